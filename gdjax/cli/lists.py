"""What ``gdjax objectives`` and ``gdjax optimizers`` print: all of them, or the one named."""

from collections.abc import Callable

from gdjax._util.errors import ArgumentError
from gdjax.cli.commands import HELP, USAGE


def list_objectives(words: list[str]) -> str:
    """The catalogue of objectives, or the one that is named."""
    from gdjax import objectives  # a list loads no more than it tells

    return _listed("objectives", words, lambda: str(objectives.table()), objectives.describe)


def list_optimizers(words: list[str]) -> str:
    """All optimizers, or the one that is named."""
    from gdjax.optimizers import listing

    return _listed("optimizers", words, listing.every, listing.one)


def _listed(
    kind: str, words: list[str], every: Callable[[], str], one: Callable[[str], str]
) -> str:
    if words and words[0] in HELP:
        return USAGE
    if len(words) > 1:
        raise ArgumentError(f"{kind} takes one name or none, got {' '.join(words)}")
    return (one(words[0]) if words else every()) + "\n"
