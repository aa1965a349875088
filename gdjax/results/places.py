"""Where the files of a store are: a folder on this machine, or a URL that fsspec reads."""

import contextlib
import difflib
import glob
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from gdjax._util import signals
from gdjax._util.errors import ArgumentError, StorageError, first_line
from gdjax._util.files import flush, rename
from gdjax._util.locks import held, is_free

RETRIES = 3
URL = re.compile(r"[A-Za-z][\w+.:-]*://")
HALVED_URL = re.compile(r"[A-Za-z][\w+.-]+:/[^/]")  # what pathlib makes of one


class Folder:
    """A folder on this machine, or one that it shares.

    A file has its name once it is on the disk, not only in the cache: otherwise a power cut could
    leave an empty one. A store has its name once it is laid out.

    Attributes:
        folder: its path; None of what is no folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder: Path = folder

    def __str__(self) -> str:
        return str(self.folder)

    def read(self, key: str) -> bytes | None:
        """What is in a file; None where there is none."""
        try:
            return (self.folder / key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unread(key, self, error) from error

    def write(self, key: str, data: Any) -> None:
        """Write a file, flush it, and only then give it its name."""
        path = self.folder / key
        if not data:  # an empty file is never there in part
            path.touch()
            return
        for left in reversed(range(RETRIES)):
            partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("wb") as file:
                    file.write(data)
                    flush(file)
                rename(partial, path)
                return
            except FileNotFoundError:  # who continues a store takes away what looks left over
                if not left:
                    raise
            except OSError:
                partial.unlink(missing_ok=True)
                raise

    def remove(self, key: str) -> None:
        """Remove a file, if there is one."""
        (self.folder / key).unlink(missing_ok=True)

    def is_empty(self) -> bool:
        """Whether it is a new or an empty folder."""
        path = self.folder
        return not (path.is_file() or (path.is_dir() and any(path.iterdir())))

    def check_is_there(self) -> None:
        """Raise an ArgumentError where there is no folder; it names stores of similar names."""
        path = self.folder
        if path.is_dir():
            return
        if path.exists():
            raise ArgumentError(f"store must be a folder, and {path} is a file")
        stores = [
            entry.parent.name
            for entry in path.parent.glob("*/zarr.json")
            if '"layout"' in entry.read_text(encoding="utf-8")
        ]
        near = difflib.get_close_matches(path.name, sorted(stores))
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ArgumentError(f"there is no folder {path}{hint}")

    @contextlib.contextmanager
    def made(self) -> Iterator["Place"]:
        """A folder beside this one, which gets its name in one step."""
        path = self.folder.absolute()
        partial = path.with_name(f".{path.name[:60]}.{uuid.uuid4().hex}.partial")
        try:
            with signals.unfinished(str(partial)):
                partial.mkdir(parents=True)
                with held(partial):
                    yield Folder(partial)
                    if path.is_dir():
                        path.rmdir()
                    rename(partial, path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self._remove_unmade()

    def tidy(self) -> None:
        """Remove files, and stores of this name, that were never finished."""
        for leftover in self.folder.rglob("*.partial"):
            leftover.unlink(missing_ok=True)
        self._remove_unmade()

    def _remove_unmade(self) -> None:
        path = self.folder.absolute()
        for partial in path.parent.glob(f".{glob.escape(path.name[:60])}.*.partial"):
            if is_free(partial):
                shutil.rmtree(partial, ignore_errors=True)


class Remote:
    """What a URL names, by fsspec: a file there is whole or not at all.

    One process writes at a time: such a place knows no locks and no names given in one step.
    """

    folder: None = None

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError:
            raise ArgumentError(
                f"store {url:.200} needs fsspec: pip install 'gdjax[remote]'"
            ) from None
        self._url = url.rstrip("/") if not url.endswith("://") else url
        try:
            self._files, root = fsspec.core.url_to_fs(url)
        except Exception as error:  # of whatever library serves the scheme
            raise ArgumentError(
                f"store {url:.200} must be a folder or a URL that fsspec knows: {first_line(error)}"
            ) from None
        self._root = root.rstrip("/")

    def __str__(self) -> str:
        return self._url

    def read(self, key: str) -> bytes | None:
        """What is in a file; None where there is none."""
        try:
            return bytes(self._files.cat_file(f"{self._root}/{key}"))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except Exception as error:
            raise _unread(key, self, error) from error

    def write(self, key: str, data: Any) -> None:
        """Write a file, as one object."""
        path = f"{self._root}/{key}"
        with _as_os_error():
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, bytes(data))

    def remove(self, key: str) -> None:
        """Remove a file, if there is one."""
        with _as_os_error(), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(f"{self._root}/{key}")

    def is_empty(self) -> bool:
        """Whether nothing is there."""
        try:
            self._files.invalidate_cache()
            return not self._files.ls(self._root, detail=False)
        except FileNotFoundError:
            return True
        except Exception as error:
            raise StorageError(f"store {self} could not be listed: {first_line(error)}") from error

    def check_is_there(self) -> None:
        """Raise an ArgumentError where there is nothing that can be a store."""
        if self.read("zarr.json") is None:
            raise ArgumentError(f"there is no store at {self}")

    @contextlib.contextmanager
    def made(self) -> Iterator["Place"]:
        """This place: a store that was not laid out to its end is laid out again."""
        yield self

    def tidy(self) -> None:
        """Nothing is ever left over."""


Place: TypeAlias = Folder | Remote  # of files by their keys, such as status/c/0


def place_of(store: str | os.PathLike[str]) -> Place:
    """The place of a path or of a URL; ``file://`` is a folder.

    Raises:
        ArgumentError: a URL that nothing here serves.

    Example:
        >>> print(place_of("file:///tmp/a%20sweep.zarr"))
        /tmp/a sweep.zarr
        >>> print(place_of("memory://sweep.zarr"))
        memory://sweep.zarr
        >>> place_of(Path("s3://bucket/sweep.zarr"))
        Traceback (most recent call last):
        gdjax._util.errors.ArgumentError: store must be a path or a whole URL, and \
        s3:/bucket/sweep.zarr is half of one: a Path holds none, text does
    """
    text = os.fspath(store)
    if text.startswith("file://"):
        from urllib.parse import urlsplit  # few paths are URLs
        from urllib.request import url2pathname

        return Folder(Path(url2pathname(urlsplit(text).path)))
    if URL.match(text):
        return Remote(text)
    if HALVED_URL.match(text):
        raise ArgumentError(
            f"store must be a path or a whole URL, and {text:.200} is half of one: "
            f"a Path holds none, text does"
        )
    return Folder(Path(text))


def _unread(key: str, place: Place, error: Exception) -> StorageError:
    told = getattr(error, "strerror", None) or first_line(error)
    return StorageError(f"{key} of store {place} could not be read: {told}")


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    """Whatever a library raises where a disk would raise an OSError."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(first_line(error)) from error
