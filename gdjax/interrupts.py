"""Ctrl-C, kept in mind: Python drops a KeyboardInterrupt that falls into a callback of XLA's."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

_pressed = threading.Event()


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """A context in which ``check`` knows of a Ctrl-C that was lost; for the main thread."""

    def press(*_: Any) -> None:
        _pressed.set()
        raise KeyboardInterrupt

    _pressed.clear()
    before = signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _pressed.clear()


def check() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed; from any thread."""
    if _pressed.is_set():
        raise KeyboardInterrupt
