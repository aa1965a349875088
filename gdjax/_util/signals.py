"""Ctrl-C, at any moment: the command ends at once, in one line, with nothing unwound.

Python's own way, a KeyboardInterrupt, is lost in callbacks of XLA's, comes out of an import as
another error, waits until a compilation is over, and leaves XLA's threads to crash while Python
is taken down. Here the handler itself ends the process; while the main thread is inside a
library, where Python calls no handler, a thread that is told of each signal does.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

ENDINGS = {signal.SIGINT: ("interrupted", 130), signal.SIGTERM: ("terminated", 143)}
UNREAD = 141  # the exit code of what SIGPIPE ends: nobody reads on
GRACE = 0.3  # seconds in which the main thread can answer, before another one does
PATIENCE = 5.0  # seconds in which what is half done can be finished

_actions: list[Callable[[], object]] = []
_unfinished: set[str] = set()


def end_at_signals(called: str) -> None:
    """From now on SIGINT and SIGTERM end this process, in one line; a second one without delay.

    It does nothing in a thread that may handle no signals, or where C installed the handlers.

    Args:
        called: the command, as the line begins.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or any(signal.getsignal(number) is None for number in ENDINGS):
        return
    process, leaving, saying = os.getpid(), threading.Lock(), threading.Lock()

    def stop(number: int) -> NoReturn:
        how, code = ENDINGS[signal.Signals(number)]
        if os.getpid() != process:  # a fork has nothing to say
            os._exit(code)
        if saying.acquire(blocking=False):
            with contextlib.suppress(OSError):
                os.write(2, f"{called}: {how}\n".encode())
        _remove_unfinished()
        os._exit(code)

    def leave(number: int, *_: object) -> NoReturn:
        if os.getpid() == process:
            if not leaving.acquire(blocking=False):
                threading.Event().wait()  # another thread is at it
            _remove_unfinished()
            for action in reversed(_actions):
                with contextlib.suppress(BaseException):
                    action()
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
        stop(number)

    def take_over(number: int) -> None:
        time.sleep(GRACE)
        if not leaving.locked():
            threading.Thread(target=leave, args=(number,), daemon=True).start()
        time.sleep(PATIENCE)
        stop(number)

    def watch() -> None:
        pressed = False
        while told := os.read(reader, 1):
            if told[0] in ENDINGS:
                if pressed:
                    stop(told[0])
                pressed = True
                threading.Thread(target=take_over, args=(told[0],), daemon=True).start()

    reader, writer = os.pipe()
    for number in ENDINGS:
        signal.signal(number, leave)
    with contextlib.suppress(OSError, AttributeError):  # Windows needs none of it
        os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def before_end(action: Callable[[], object]) -> Iterator[None]:
    """A context in which a signal that ends the command calls this first; the latest is first."""
    _actions.append(action)
    try:
        yield
    finally:
        _actions.remove(action)


@contextlib.contextmanager
def unfinished(path: str) -> Iterator[None]:
    """A context in which a file or folder is half made, and goes if a signal ends the command."""
    _unfinished.add(path)
    try:
        yield
    finally:
        _unfinished.discard(path)


def finish(called: str, code: int) -> NoReturn:
    """End this process, once all has been said; XLA's threads crash while Python is taken down.

    A reader that has enough, as ``head`` has, is no error; a full disk is.
    """
    import atexit  # a log may still be open

    atexit._run_exitfuncs()
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        code = code or UNREAD
    except OSError as error:
        print(f"{called}: cannot write to the output: {error.strerror}", file=sys.stderr)
        code = code or 1
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            sys.stderr.flush()
    os._exit(code)


def _remove_unfinished() -> None:
    for path in tuple(_unfinished):
        with contextlib.suppress(OSError):
            if os.path.isdir(path):
                import shutil  # few calls come here

                shutil.rmtree(path)
            else:
                os.unlink(path)
