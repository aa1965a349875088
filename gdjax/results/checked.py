"""The files of a store: flushed when they are written, and held against digests when read.

A checksum within a file, such as zarr's crc32c, misses files that are swapped or deleted, which
read as fill values. Here a digest is of a file's bytes and of its key, and is kept elsewhere:
those of what a chunk consists of in its mark, those of everything else in one file, ``HEAD``.
"""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype

from gdjax._util.display import shown
from gdjax._util.errors import DamageError
from gdjax.results.places import Place

HEAD = "status/laid_out"  # digests of everything that is there before the first chunk
FINISHED = "status/finished"  # is there once every chunk was: no mark may be missing from then on
SIZE = 16  # bytes of a digest
NONE = bytes(SIZE)  # in place of the digest of a file that was not written: all its cells are fill
MISSING, CHANGED = "is missing", "is not what was written"


@shown
class Damage(NamedTuple):
    """A file of a store that is not what was written.

    Args:
        file: its key.
        what: what is wrong with it.
        chunk: the chunk that it is part of; None of what is there before the first one.
    """

    file: str
    what: str
    chunk: int | None = None

    def __str__(self) -> str:
        whose = "" if self.chunk is None else f"chunk {self.chunk}: "
        return f"{whose}{self.file} {self.what}"


def digest(key: str, data: Any) -> bytes:
    """What tells a file from any other, and from itself at another place."""
    found = hashlib.sha256(f"{key}\n".encode())
    found.update(data)
    return found.digest()[:SIZE]


def mark_file(chunk: int) -> str:
    """The key of the mark of a chunk."""
    return f"status/c/{chunk}"


class CheckedFiles(Store):
    """A zarr store that holds what has a digest, and nothing else.

    A file without a digest, such as one of a chunk that is not finished, is as good as absent; one
    that is absent or other than its digest says is damage.

    Attributes:
        place: where the files are.
        digests: by key, of what may be read.
        chunks: by key, of which chunk it is a part.
    """

    def __init__(
        self,
        place: Place,
        *,
        read_only: bool = False,
        digests: dict[str, bytes] | None = None,
        chunks: dict[str, int] | None = None,
    ) -> None:
        super().__init__(read_only=read_only)
        self.place: Place = place
        self.digests: dict[str, bytes] = {} if digests is None else digests
        self.chunks: dict[str, int] = {} if chunks is None else chunks

    def with_read_only(self, read_only: bool = False) -> "CheckedFiles":
        """The same files, to be read or to be written."""
        return CheckedFiles(
            self.place, read_only=read_only, digests=self.digests, chunks=self.chunks
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CheckedFiles) and str(self.place) == str(other.place)

    # ---- What zarr asks of a store ----------------------------------------------------------

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """The bytes of a file that has a digest, which they must match; None of any other."""
        assert byte_range is None, "no array of a store is cut into shards"
        if key not in self.digests:
            return None
        data = await asyncio.to_thread(self.place.read, key)
        if data is None or self._flaw(key, data):
            raise self.error(Damage(key, self._flaw(key, data), self.chunks.get(key)))
        return (prototype or default_buffer_prototype()).buffer.from_bytes(data)

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[Any]) -> list[Any]:
        """As ``get``, of several."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether a file has a digest."""
        return key in self.digests

    async def set(self, key: str, value: Any) -> None:
        """Write a file, and keep its digest."""
        self._check_writable()
        data = value.as_buffer_like()
        await asyncio.to_thread(self.place.write, key, data)
        self.digests[key] = digest(key, data)

    async def set_if_not_exists(self, key: str, value: Any) -> None:
        """Write a file that has no digest yet."""
        if key not in self.digests:
            await self.set(key, value)

    async def delete(self, key: str) -> None:
        """Remove a file and its digest."""
        self._check_writable()
        await asyncio.to_thread(self.place.remove, key)
        self.digests.pop(key, None)

    # ---- What is there before the first chunk -----------------------------------------------

    def write_head(self, identity: str) -> None:
        """Keep the digests of everything that was written, and what the store is of."""
        files = {key: found.hex() for key, found in self.digests.items()}
        body = json.dumps({"identity": identity, "files": files}, indent=1).encode()
        self.place.write(HEAD, digest(HEAD, body).hex().encode() + b"\n" + body)

    def read_head(self) -> str:
        """Take over the digests of a store; returns what it is of.

        Raises:
            DamageError: they are not there, or not what was written.
        """
        whole = self.place.read(HEAD)
        if whole is None:
            raise self.error(Damage(HEAD, MISSING))
        told, _, body = whole.partition(b"\n")
        if told != digest(HEAD, body).hex().encode():
            raise self.error(Damage(HEAD, CHANGED))
        head = json.loads(body)
        self.digests |= {key: bytes.fromhex(found) for key, found in head["files"].items()}
        return head["identity"]

    # ---- Chunks -----------------------------------------------------------------------------

    def write_mark(self, chunk: int, files: Sequence[str]) -> None:
        """Say that a chunk is finished, and what its files are."""
        key = mark_file(chunk)
        body = b"".join(self.digests.get(file, NONE) for file in files)
        self.place.write(key, digest(key, body) + body)
        self.chunks |= dict.fromkeys(files, chunk)

    def read_marks(self, files: Sequence[Sequence[str]]) -> tuple[np.ndarray, list[Damage]]:
        """For each chunk, of such files, whether it is finished; and the marks that are damaged."""
        sealed = self.place.read(FINISHED) is not None
        found = [self.read_mark(chunk, own, sealed) for chunk, own in enumerate(files)]
        done = np.array([one is True for one in found], dtype=bool)
        return done, [one for one in found if isinstance(one, Damage)]

    def read_mark(self, chunk: int, files: Sequence[str], sealed: bool = False) -> bool | Damage:
        """Whether a chunk of such files is finished.

        Args:
            chunk: its number.
            files: their keys.
            sealed: whether all chunks have been finished, so that a mark must be there.
        """
        key = mark_file(chunk)
        mark = self.place.read(key)
        if mark is None and not sealed:
            return False
        body = b"" if mark is None else mark[SIZE:]
        found = [body[i : i + SIZE] for i in range(0, len(body), SIZE)]
        if mark is None or len(found) != len(files) or mark[:SIZE] != digest(key, body):
            return Damage(key, MISSING if mark is None else CHANGED, chunk)
        self.digests |= {k: told for k, told in zip(files, found, strict=True) if told != NONE}
        self.chunks |= dict.fromkeys(files, chunk)
        return True

    def finish(self) -> None:
        """Say that every chunk is finished."""
        self.place.write(FINISHED, b"")

    def forget(self, files: Iterable[str]) -> None:
        """Have files as if they were not there."""
        for file in files:
            self.digests.pop(file, None)

    # ---- Damage -----------------------------------------------------------------------------

    def damage(self, files: Iterable[str]) -> list[Damage]:
        """Those of the files that are not what was written; all are read."""
        known = [file for file in files if file in self.digests]

        def check(key: str) -> str:
            return self._flaw(key, self.place.read(key))

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            flaws = zip(known, pool.map(check, known), strict=True)
            return [Damage(key, what, self.chunks.get(key)) for key, what in flaws if what]

    def error(self, damage: Damage) -> DamageError:
        """What to raise where damage is met."""
        return DamageError(
            f"store {self.place} is damaged: {damage}; the same sweep into it "
            f"{'writes' if damage.chunk is None else 'computes'} that again",
            damage,
        )

    def _flaw(self, key: str, data: bytes | None) -> str:
        if data is None:
            return MISSING
        return "" if digest(key, data) == self.digests[key] else CHANGED

    # ---- What zarr asks a store about itself --------------------------------------------------

    @property
    def supports_writes(self) -> bool:
        """It does."""
        return True

    @property
    def supports_deletes(self) -> bool:
        """It does."""
        return True

    @property
    def supports_listing(self) -> bool:
        """It does."""
        return True

    async def list(self) -> AsyncIterator[str]:
        """The keys of all files."""
        for key in [*self.digests]:
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """The keys that begin so."""
        async for key in self.list():
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """The next parts of the keys under a folder, once each."""
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        for part in {key[len(folder):].partition("/")[0]
                     async for key in self.list_prefix(folder)}:  # fmt: skip
            yield part


def identity_digest(identity: Mapping[str, Any]) -> str:
    """A short name of what a store is of."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
