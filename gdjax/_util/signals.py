"""Ctrl-C, kept in mind: Python drops a KeyboardInterrupt that falls into a callback of XLA's.

Linux, macOS and Windows all send SIGINT, and only the main thread may handle it. In any other
thread, or under a handler that Python cannot put back, Ctrl-C stays as it was.
"""

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
    """A context in which ``check`` knows of a Ctrl-C that the main thread lost.

    Nothing is printed of the callback that lost it, and what fails after a Ctrl-C failed of it:
    it comes out as a KeyboardInterrupt.
    """
    before, complain = signal.getsignal(signal.SIGINT), sys.unraisablehook
    if not _may_handle(before):
        yield
        return

    def press(*_: object) -> None:
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
    is lost in a callback. Where SIGINT cannot be handled, it does nothing.
    """

    def leave(*_: object) -> None:
        with contextlib.suppress(OSError):
            os.write(2, f"{called}: interrupted\n".encode())
        os._exit(130)

    before = signal.getsignal(signal.SIGINT)
    if not _may_handle(before):
        yield
        return
    signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _may_handle(before: object) -> bool:
    """Whether Python lets this thread replace a handler, and put it back."""
    return before is not None and threading.current_thread() is threading.main_thread()


def check() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed; from any thread."""
    if _pressed.is_set():
        raise KeyboardInterrupt
