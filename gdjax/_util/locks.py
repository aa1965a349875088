"""One process at a time in a folder, on Linux, macOS and Windows; a lock ends with its process."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from gdjax._util import signals
from gdjax._util.errors import ArgumentError

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A context in which no other process has this folder.

    The file ``.lock`` stands in it meanwhile. A process that is killed leaves the file and no lock.
    Where the file system knows no locks, every process has the folder.

    Args:
        folder: one that is there.

    Raises:
        ArgumentError: another process has it.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with locked(folder), contextlib.suppress(ArgumentError):
        ...     with locked(folder):
        ...         print("twice")
        >>> [*folder.iterdir()]
        []
    """
    file = folder.absolute() / ".lock"  # whatever becomes of the working directory
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not _taken(descriptor, file):
            raise ArgumentError(f"another process is writing to {folder}: take a folder of its own")
        with signals.unfinished(str(file)):
            try:
                yield
            finally:
                with contextlib.suppress(OSError):  # Windows removes no open file
                    file.unlink()
    finally:
        os.close(descriptor)


def lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; whether no other process has done so.

    Where the file system knows no locks, none has.
    """
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # pyright: ignore  # on Windows
    except BlockingIOError:
        return False
    except OSError:
        return fcntl is not None  # of a file system without locks; Windows says so of a taken one
    return True


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """A context in which a folder is locked, where the system can, and so is not ``is_free``."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # Windows opens no folder
            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            lock(descriptor)
        yield


def is_free(path: Path) -> bool:
    """Whether no process has locked a file or a folder, as one that is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except OSError:
        return True
    try:
        return lock(descriptor)
    finally:
        os.close(descriptor)


def _taken(descriptor: int, file: Path) -> bool:
    """Whether this process now has the lock of a file that is still the one in its folder."""
    if not lock(descriptor):
        return False
    try:  # who had it may have removed the file since it was opened here
        return os.path.samestat(os.fstat(descriptor), os.stat(file))
    except FileNotFoundError:
        return False
