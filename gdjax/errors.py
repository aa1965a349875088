"""The errors for a bad call and a bad disk, and the sentence that suggests the nearest name."""

import difflib
from collections.abc import Iterable


class ArgumentError(ValueError):
    """A bad argument: the message names the argument, the rule, and what came."""


class StorageError(ArgumentError):
    """A disk that did not take what was written: what failed, and what is still there."""


def unknown(kind: str, name: object, choices: Iterable[str]) -> ArgumentError:
    """The error for a name that is not among ``choices``, with the nearest ones.

    Example:
        >>> print(unknown("objective", "qfps", ["ackley", "qfsp", "sphere"]))
        unknown objective 'qfps'; did you mean 'qfsp'?
        >>> print(unknown("objective", "zzz", ["ackley", "qfsp"]))
        unknown objective 'zzz'; choose from ackley, qfsp
    """
    choices = sorted(choices)
    near = difflib.get_close_matches(str(name), choices, n=3, cutoff=0.5)
    hint = (
        f"did you mean {' or '.join(map(repr, near))}?"
        if near
        else f"choose from {', '.join(choices) or 'nothing: it takes none'}"
    )
    return ArgumentError(f"unknown {kind} {name!r}; {hint}")
