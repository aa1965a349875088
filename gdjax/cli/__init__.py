"""The command line; the only importer of Hydra."""

from gdjax.cli.app import main

__all__ = ["main"]
