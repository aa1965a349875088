"""Ctrl-C, kept in mind: Python drops a KeyboardInterrupt that falls into a callback of XLA's."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

_pressed = threading.Event()


@contextlib.contextmanager
def catch_sigint() -> Iterator[None]:
    """A context in which ``check`` knows of a Ctrl-C that was lost; for the main thread.

    Nothing is printed of the callback that lost it, and what fails after a Ctrl-C failed of it:
    it comes out as a KeyboardInterrupt.
    """
    before, complain = signal.getsignal(signal.SIGINT), sys.unraisablehook

    def press(*_: Any) -> None:
        _pressed.set()
        raise KeyboardInterrupt

    def quiet(lost: Any) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            complain(lost)

    _pressed.clear()
    signal.signal(signal.SIGINT, press)
    sys.unraisablehook = quiet
    try:
        yield
    except Exception:
        check()
        raise
    finally:
        sys.unraisablehook = complain
        signal.signal(signal.SIGINT, before)
        _pressed.clear()


@contextlib.contextmanager
def exit_on_sigint(called: str) -> Iterator[None]:
    """A context in which Ctrl-C ends the process at once, in one line; for imports.

    A KeyboardInterrupt in the middle of them comes out as an ImportError of some extension, or
    is lost in a callback.
    """

    def leave(*_: Any) -> None:
        with contextlib.suppress(OSError):
            os.write(2, f"{called}: interrupted\n".encode())
        os._exit(130)

    before = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def check() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed; from any thread."""
    if _pressed.is_set():
        raise KeyboardInterrupt
