"""The command line; the only importer of Hydra."""

import sys

from gdjax import interrupts


def main() -> None:
    """Entry point of the ``gdjax`` command."""
    called = " ".join(["gdjax", *sys.argv[1:2]])
    try:
        with interrupts.remembered():
            from gdjax.cli import app  # it takes a while, and may be interrupted

            interrupts.check()
            app.main()
    except KeyboardInterrupt:
        print(f"{called}: interrupted", file=sys.stderr)
        sys.exit(130)


__all__ = ["main"]
