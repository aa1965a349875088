"""``python -m gdjax.cli`` is the ``gdjax`` command."""

from gdjax.cli import main

main()
