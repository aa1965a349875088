"""What a file of data is by its first bytes: packed, a workbook, another format; and its text."""

import bz2
import codecs
import contextlib
import csv
import gzip
import itertools
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from gdjax._util.errors import ArgumentError, said
from gdjax.objectives.loading import no_file

PACKED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open, b"BZh[1-9]1AY&SY": bz2.open, b"\xfd7zXZ\x00": lzma.open,
}  # fmt: skip
ZIP = b"PK\x03\x04"
WORKBOOK = "is a workbook: save its sheet as CSV, or hand over pandas.read_excel(...) in Python"
PARQUET = b"PAR1"
OTHERS = {
    b"\xd0\xcf\x11\xe0": WORKBOOK,
    b"\x28\xb5\x2f\xfd": "is packed by zstd: unpack it, or pack it by gzip, bz2, xz or zip",
}
MARKS = (  # of encodings, UTF-32 first: its own begins like that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # that no text holds
CHUNK = 1 << 20  # bytes
BROKEN = (  # what a file may raise that is not what it seems
    OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, UnicodeError,
    NotImplementedError, csv.Error,
)  # fmt: skip


def find_file(data: Any) -> Path:
    """The file of that path.

    Raises:
        ArgumentError: there is none, or it is a folder, a URL or no path at all.
    """
    where = str(data)
    if re.match(r"[A-Za-z][\w+.-]*://", where):
        raise ArgumentError(f"data must be a file on this machine: download {where!r:.200} first")
    try:
        path = Path(where).expanduser()
        if path.is_dir():
            raise ArgumentError(f"data must be a file, and {where!r:.200} is a folder")
        if not path.exists():
            raise no_file("data", where, path, "*.*")
        if not path.is_file():
            raise ArgumentError(f"data must be a file, and {where!r:.200} is a device or a pipe")
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"data: {where!r:.200} cannot be read: {said(error)}") from None
    return path


@contextlib.contextmanager
def refusing(path: Path) -> Iterator[None]:
    """What goes wrong while a file is read is told in one line."""
    try:
        yield
    except BROKEN as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"data: {path} cannot be read as a table: {said(error)}") from None


def is_parquet(path: Path) -> bool:
    """Whether a file is one of Parquet."""
    with refusing(path), path.open("rb") as file:
        return file.read(4) == PARQUET


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, or of the one that is packed in it."""
    with path.open("rb") as file:
        head = file.read(16)
    for mark, words in OTHERS.items():
        if head.startswith(mark):
            raise ArgumentError(f"data: {path} {words}")
    if head.startswith(ZIP):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            names = [name for name in names if not name.startswith("__MACOSX/")]
            if {"[Content_Types].xml", "content.xml"} & {*names}:
                raise ArgumentError(f"data: {path} {WORKBOOK}")
            if len(names) != 1:
                raise ArgumentError(f"data: {path} must hold one file, and holds {len(names)}")
            with archive.open(names[0]) as file:
                yield file  # type: ignore[misc]  # bytes, as the others have them
        return
    opened = next((fn for mark, fn in PACKED.items() if re.match(mark, head)), open)
    with opened(path, "rb") as file:
        yield file


def encoding_of(path: Path) -> str:
    """The encoding that all bytes of a text are in: UTF-8 wherever that can be.

    Raises:
        ArgumentError: the file is no text.
    """
    with unpacked(path) as file:
        head = file.read(CHUNK)
        for mark, encoding in MARKS:
            if head.startswith(mark):
                return encoding
        for side, encoding in (1, "utf-16-le"), (0, "utf-16-be"):
            if len(head) > 3 and not any(head[side::2]) and all(head[1 - side :: 2]):
                return encoding
        if CONTROL.search(head):
            raise ArgumentError(f"data: {path} cannot be read as a table: it is no text")
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            for chunk in itertools.chain([head], iter(lambda: file.read(CHUNK), b"")):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8-sig"
