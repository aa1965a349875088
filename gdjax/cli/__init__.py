"""The command line; the only importer of Hydra."""

import sys

from gdjax._util import signals
from gdjax.cli.commands import HELP, USAGE


def main() -> None:
    """Entry point of the ``gdjax`` command."""
    words = sys.argv[1:]
    if not words or words[0] in HELP:
        print(USAGE, end="")
        return
    called = f"gdjax {words[0]}"
    with signals.exit_on_sigint(called):  # the imports take a while
        if words[0] == "--version":
            print(_versions())
            return
        from gdjax.cli import app
    try:
        with signals.catch_sigint():
            app.main()
    except KeyboardInterrupt:
        print(f"{called}: interrupted", file=sys.stderr)
        sys.exit(130)


def _versions() -> str:
    """A package a line, gdjax first."""
    from gdjax._util.version import versions

    return "\n".join(f"{name} {version}" for name, version in versions().items())


__all__ = ["main"]
