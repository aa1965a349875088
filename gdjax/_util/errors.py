"""The errors for a bad call and a bad disk, and the sentence that suggests the nearest name."""

import difflib
from collections.abc import Collection, Iterable
from typing import Any


class ArgumentError(ValueError):
    """A bad argument: the message names the argument, the rule, and what came, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(map(str.strip, message.splitlines())))


class StorageError(ArgumentError):
    """A disk that did not take or give what it should: what failed, and what is still there."""


class DamageError(StorageError):
    """Stored results that are not what was written: which store, which chunk, which file.

    Args:
        message: all of that, in one line.
        damage: the file, and what is wrong with it.
    """

    def __init__(self, message: str, damage: Any = None) -> None:
        super().__init__(message)
        self.damage = damage


class ChunkError(RuntimeError):
    """Chunks of a sweep that failed in another process: which, why, and what is there."""


def unknown(kind: str, name: object, choices: Iterable[str], every: str = "") -> ArgumentError:
    """The error for a name that is not among ``choices``, with the nearest ones.

    With ``every``, such as ``it takes``, all choices follow the nearest ones too.

    Example:
        >>> print(unknown("objective", "qfps", ["ackley", "qfsp", "sphere"]))
        unknown objective 'qfps'; did you mean 'qfsp'?
        >>> print(unknown("objective", "zzz", ["ackley", "qfsp"]))
        unknown objective 'zzz'; choose from ackley, qfsp
        >>> print(unknown("setting", "step", ["steps", "tau"], every="there are"))
        unknown setting 'step'; did you mean 'steps'?; there are steps, tau
    """
    choices = list(choices)
    near = difflib.get_close_matches(f"{name!s:.100}", sorted(choices), n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {' or '.join(map(repr, near))}?"
        hint += f"; {every} {', '.join(choices)}" if every else ""
    else:
        order = choices if every else sorted(choices)
        hint = f"choose from {', '.join(order) or 'nothing: it takes none'}"
    return ArgumentError(f"unknown {kind} {name!r:.200}; {hint}")


def check_known(kind: str, name: object, choices: Collection[str], every: str = "") -> None:
    """Refuse a name that is not among ``choices``, in the words of ``unknown``.

    Raises:
        ArgumentError: for such a name.
    """
    if not isinstance(name, str) or name not in choices:
        raise unknown(kind, name, choices, every)


def first_line(error: BaseException) -> str:
    """What an error is, and the first line of what it says.

    Example:
        >>> first_line(TypeError("no such type"))
        'TypeError: no such type'
    """
    return f"{type(error).__name__}: {said(error)}"


def said(error: BaseException) -> str:
    r"""The first line of what an error says; of a traceback in it, the last.

    Example:
        >>> said(TypeError())
        'no reason given'
        >>> said(RuntimeError("a callback: Traceback (most recent call last):\n  …\nKeyError: 3"))
        'KeyError: 3'
    """
    lines = str(error).strip().splitlines() or ["no reason given"]
    return lines[-1 if "Traceback (most recent call last)" in lines[0] else 0]
