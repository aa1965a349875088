"""Several processes on one store: each claims the chunk that it computes.

A claim is advice. Chunks are the same bits whoever computes them, and get their names when they are
whole: work that is done twice is harmless, and no result rests on a claim. That a process lives is
seen by a number that it counts up, never by a clock; on the same machine by a lock of the system's.
"""

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from gdjax._util import signals
from gdjax._util.locks import is_free, lock

FOLDER = ".claims"  # in a store, while somebody computes
BEAT = 1.0  # seconds from one count to the next
PATIENCE = 15.0  # seconds of waiting after which a process that counts no further is dead
HOST = socket.gethostname()


class Alone:
    """What ``Claims`` is where one process writes at a time: every chunk is its own."""

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """A context like any other."""
        yield

    def take(self, chunk: int) -> bool:
        """Always."""
        del chunk
        return True

    def release(self, chunk: int) -> None:
        """Nothing was claimed."""


class Claims:
    """The claims of this process on the chunks of a store.

    Where no file can be made, every chunk is taken.

    Args:
        store: its folder.

    Example:
        >>> import tempfile
        >>> store = Path(tempfile.mkdtemp())
        >>> one, other = Claims(store), Claims(store)
        >>> with one.counted(), other.counted():
        ...     print(one.take(0), other.take(0), other.take(1))
        ...     one.release(0)
        ...     print(other.take(0))
        True False True
        True
        >>> [*store.iterdir()]
        []
    """

    def __init__(self, store: Path) -> None:
        self._folder = store.absolute() / FOLDER
        self._me = f"{HOST}.{os.getpid()}.{uuid.uuid4().hex}"
        self._seen: dict[str, tuple[str, float]] = {}  # what each has counted to, and since when

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """A context in which this process is seen to live; afterwards nothing is claimed by it."""
        over, mine = threading.Event(), self._folder / self._me
        with contextlib.ExitStack() as held:
            with contextlib.suppress(OSError):
                self._folder.mkdir(exist_ok=True)
                file = held.enter_context(mine.open("w"))
                lock(file.fileno())
                threading.Thread(target=self._count, args=(mine, over), daemon=True).start()
            held.callback(self._leave)
            held.callback(over.set)
            with signals.before_end(self._leave):
                yield

    def take(self, chunk: int) -> bool:
        """Claim a chunk; whether it is free, or whoever had it is dead."""
        claim = self._folder / str(chunk)
        try:
            with claim.open("x") as file:
                file.write(self._me)
            return True
        except FileExistsError:
            owner = self._read(claim)
            if owner != self._me and not self._is_dead(owner):
                return False
            with contextlib.suppress(OSError):
                claim.write_text(self._me)
            return True
        except OSError:
            return True

    def release(self, chunk: int) -> None:
        """Give a claim back."""
        with contextlib.suppress(OSError):
            (self._folder / str(chunk)).unlink(missing_ok=True)

    def _count(self, mine: Path, over: threading.Event) -> None:
        number = 0
        while not over.wait(BEAT):
            number += 1
            try:
                with mine.open("r+") as file:  # the same file, which is locked
                    file.write(f"{number:020}")
            except OSError:
                return

    def _is_dead(self, owner: str) -> bool:
        if owner.startswith(f"{HOST}."):
            return is_free(self._folder / owner)
        count = self._read(self._folder / owner) if owner else ""  # it has just begun to write
        now = time.monotonic()
        before, since = self._seen.setdefault(owner, (count, now))
        if before != count:
            self._seen[owner] = count, now
            return False
        return now - since > PATIENCE

    def _leave(self) -> None:
        """Remove what this process has claimed, and the folder after the last one."""
        with contextlib.suppress(OSError):
            for claim in self._folder.iterdir():
                if claim.name == self._me or (
                    claim.name.isdigit() and self._read(claim) == self._me
                ):
                    claim.unlink(missing_ok=True)
            self._folder.rmdir()

    @staticmethod
    def _read(file: Path) -> str:
        try:
            return file.read_text()
        except OSError:
            return ""
