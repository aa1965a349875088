"""Compiled kernels kept on disk: what was compiled once no other process compiles again.

A file is named by the digest of everything that decides the code, and holds a digest of its
content before the content. Code that is loaded runs as the user: a folder or a file that anyone
else could have written is not used. Whatever is amiss, the kernel is compiled, and nobody is told.
"""

import contextlib
import functools
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import llvmlite
import llvmlite.binding as llvm
import numpy as np

from gdjax._util import IMPORTED
from gdjax._util.files import cache_folder
from gdjax._util.version import __version__

VARIABLE = "GDJAX_KERNEL_CACHE"  # names the folder, or says "off"
MOST_BYTES = 2**27  # in the folder; what was not used for longest goes first
PACKAGE = Path(__file__).parents[2]
ROOMS = "_compiler", "_kernels"  # what writes a kernel, given the traced functions of a cell
NAME = re.compile(r"[0-9a-f]{64}\.kernel(\.[0-9a-f]+\.partial)?")  # no other file is touched


def get(
    decides: tuple[object, ...], make: Callable[[], bytes], rooms: tuple[str, ...] = ROOMS
) -> bytes:
    """Object code: from the folder, or else made now and put there.

    Args:
        decides: what tells this kernel from others of this gdjax on this machine; by its ``repr``.
        make: compiles it.
        rooms: whose code decides as well.
    """
    name = ""
    with contextlib.suppress(OSError):
        name = _name(decides, rooms)
        return _read(name)
    code = make()
    with contextlib.suppress(OSError):
        if name:
            _write(name, code)
    return code


def _name(decides: tuple[object, ...], rooms: tuple[str, ...]) -> str:
    """The name of a file: a digest of everything that decides the code in it."""
    libraries = __version__, jax.__version__, np.__version__, llvmlite.__version__
    compiler = llvm.llvm_version_info, llvm.get_default_triple()
    whole = repr((_sources(rooms), libraries, compiler, decides))
    return f"{hashlib.sha256(whole.encode()).hexdigest()}.kernel"


@functools.cache
def _sources(rooms: tuple[str, ...]) -> str:
    """A digest of the code of some rooms, as this process has loaded it.

    Raises:
        OSError: there are no such files, or one was changed since they were loaded.
    """
    files = sorted(file for room in rooms for file in (PACKAGE / room).rglob("*.py"))
    if not files or max(file.stat().st_ctime for file in files) > IMPORTED:
        raise OSError("what writes kernels cannot be told from its files")
    whole = [(file.relative_to(PACKAGE).as_posix(), file.read_bytes()) for file in files]
    return hashlib.sha256(repr(whole).encode()).hexdigest()


@contextlib.contextmanager
def _opened() -> Iterator[int]:
    """The folder, made where it is missing, as an open file: what was checked is what is used.

    Raises:
        OSError: there is none, none is wanted, or others could write to it.
    """
    given = os.environ.get(VARIABLE)
    path = Path(given) if given else cache_folder() / "kernels"
    if given == "off" or not hasattr(os, "geteuid"):  # Windows does not say whose a file is
        raise OSError("no kernels are kept")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _check_ours(folder)
        yield folder
    finally:
        os.close(folder)


def _check_ours(file: int) -> None:
    found = os.fstat(file)
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError("others could have written it")


def _digest(name: str, code: bytes) -> bytes:
    return hashlib.sha256(name.encode() + code).digest()


def _read(name: str) -> bytes:
    """What a file of the folder holds, which counts as used now.

    Raises:
        OSError: there is none, it is not ours, or it is not what was written.
    """
    with _opened() as folder:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe of that name holds up nobody
        with open(os.open(name, flags, dir_fd=folder), "rb") as file:
            _check_ours(file.fileno())
            whole = file.read()
            size = hashlib.sha256().digest_size
            if whole[:size] != _digest(name, whole[size:]):
                raise OSError("the file is damaged")
            with contextlib.suppress(OSError):  # it may be there to be read alone
                os.utime(file.fileno())
            return whole[size:]


def _write(name: str, code: bytes) -> None:
    """Put a file into the folder, whole or not at all, and remove what is too much there."""
    with _opened() as folder:
        partial = f"{name}.{secrets.token_hex(8)}.partial"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            with open(os.open(partial, flags, 0o600, dir_fd=folder), "wb") as file:
                file.write(_digest(name, code) + code)
            os.replace(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial, dir_fd=folder)
            raise
        _make_room(folder)


def _make_room(folder: int) -> None:
    """Remove the files that were not used for longest, until the others fit."""
    names = filter(NAME.fullmatch, os.listdir(folder))
    found = {name: os.stat(name, dir_fd=folder, follow_symlinks=False) for name in names}
    left = MOST_BYTES
    for name in sorted(found, key=lambda name: found[name].st_mtime_ns, reverse=True):
        left -= found[name].st_size
        if left < 0:
            os.unlink(name, dir_fd=folder)
