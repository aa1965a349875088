"""``gdjax verify``: whether the results in a store are what was written."""

import sys

from gdjax import results
from gdjax._util.errors import ArgumentError
from gdjax.cli.commands import HELP, USAGE


def verify(words: list[str]) -> str:
    """What was found in a store: one line, or a line each damaged file and exit code 1."""
    if words and words[0] in HELP:
        return USAGE.rstrip()
    if len(words) != 1:
        raise ArgumentError(f"verify takes one store, got {' '.join(words) or 'none'}")
    found = results.verify(words[0])
    done = "" if found.chunks is None else f"{found.finished:,} of {found.chunks:,} chunks, "
    if not found.damage:
        return f"store {found.store} is whole: {done}{found.files:,} files"
    lost = len({each.chunk for each in found.damage if each.chunk is not None})
    for each in found.damage:
        print(each)
    print(
        f"store {found.store} is damaged: {len(found.damage):,} files, {lost:,} chunks; the same "
        f"sweep into it makes them again"
    )
    sys.exit(1)
