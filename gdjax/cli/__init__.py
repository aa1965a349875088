"""The command line; the only importer of Hydra."""

import os
import sys


def main() -> None:
    """Entry point of the ``gdjax`` command; it ends the process."""
    called = " ".join(["gdjax", *sys.argv[1:2]])
    try:
        from gdjax._util import signals  # from here on a signal is awaited

        signals.end_at_signals(called)
    except KeyboardInterrupt:
        os.write(2, f"{called}: interrupted\n".encode())
        os._exit(130)
    code = 0
    try:
        command()
    except SystemExit as stop:
        code = stop.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BrokenPipeError:  # whoever read has read enough
        code = signals.UNREAD
    except BaseException as error:  # its traceback was asked for
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    signals.finish(called, code)


def command() -> None:
    """What the words of the call ask for.

    Raises:
        SystemExit: it failed, with the exit code.
    """
    from gdjax.cli.commands import HELP, LISTS, USAGE

    words = sys.argv[1:]
    if not words or words[0] in HELP:
        _say(USAGE)
    elif words[0] == "--version":
        from gdjax._util.version import versions

        _say("".join(f"{name} {version}\n" for name, version in versions().items()))
    elif words[0] in LISTS:
        _say(_answer(*words).rstrip("\n") + "\n")
    else:
        from gdjax._util.memory import check_startup

        try:
            check_startup()
        except MemoryError as error:
            sys.exit(f"gdjax {words[0]}: out of memory: {error}")
        from gdjax.cli import app

        app.main()


def _answer(name: str, *words: str) -> str:
    """What one of the lists answers; a bad call is told in one line."""
    from gdjax._util.errors import ArgumentError
    from gdjax.cli.commands import find

    try:
        return find(name)([*words])
    except ArgumentError as error:
        if os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0"):
            raise
        print(f"gdjax {name}: {error}", file=sys.stderr)
        sys.exit(2)


def _say(text: str) -> None:
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.exit(f"gdjax {sys.argv[1]}: cannot write to the output: {error.strerror}")


__all__ = ["main"]
