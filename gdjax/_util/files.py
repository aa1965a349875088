"""Files that are there whole or not at all, on Linux, macOS and Windows."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from gdjax._util import signals

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None

WINDOWS = os.name == "nt"
PATIENCE = 2.0  # seconds that another program may keep a file open


def cache_folder() -> Path:
    """Where this user's programs keep what can be made again; it may not exist.

    Raises:
        OSError: there is no home.
    """
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:
        raise OSError(*error.args) from None
    return Path(base) / "gdjax"


def flush(file: IO[Any]) -> None:
    """Have what was written to an open file on the disk before returning.

    On macOS ``fsync`` leaves it in the drive's own memory, where a power cut loses it, and
    ``F_FULLFSYNC`` does not; where there is none, or the file system refuses it, ``fsync`` it is.
    """
    file.flush()
    whole = getattr(fcntl, "F_FULLFSYNC", None)
    if whole is not None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(file.fileno(), whole)  # pyright: ignore  # it is there
            return
    os.fsync(file.fileno())


@contextlib.contextmanager
def whole(file: Path) -> Iterator[Path]:
    """A place for what becomes the file at the end, in one step; nothing is left if that fails.

    It has the suffix of the file, which says in what format many a library writes.

    Args:
        file: its path; one that is there is replaced.

    Raises:
        OSError: the system refuses.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with whole(folder / "a.txt") as partial:
        ...     _ = partial.write_text("whole")
        ...     print((folder / "a.txt").exists(), partial.suffix)
        False .txt
        >>> [path.name for path in folder.iterdir()]
        ['a.txt']
    """
    partial = file.with_name(f".partial-{file.name}")
    with signals.unfinished(str(partial)):
        try:
            yield partial
            rename(partial, file)
        finally:
            partial.unlink(missing_ok=True)


def rename(old: Path, new: Path) -> None:
    """Give a file another name, in one step; a file of that name is replaced.

    It takes folders too, if there is nothing of the new name. Windows refuses either while any
    program, such as a virus scanner, has the file open: it is tried again for two seconds.

    Raises:
        OSError: the system refuses.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "a.partial").write_text("whole")
        5
        >>> rename(folder / "a.partial", folder / "a")
        >>> [path.name for path in folder.iterdir()]
        ['a']
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            os.replace(old, new)
            return
        except PermissionError:
            if not WINDOWS or time.monotonic() > end:
                raise
            time.sleep(0.02)
