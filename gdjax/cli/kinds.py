"""What a setting may be: a kind says it in words, and refuses what is none of it; no JAX here."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gdjax._util.arguments import MOST
from gdjax._util.errors import ArgumentError, check_known

OPEN = "???"  # what a config leaves open


@dataclass(frozen=True)
class Kind:
    """A kind of value.

    Args:
        words: what messages and ``--help`` call it.
        fits: whether a value is of that kind, whatever its size.
        rule: refuses a value of that kind that is out of range, or does not know a name; it takes
            the setting's name and the value.
    """

    words: str
    fits: Callable[[Any], bool]
    rule: Callable[[str, Any], object] = lambda name, value: None

    def check(self, name: str, value: Any) -> None:
        """Refuse another value.

        Raises:
            ArgumentError: it names the setting, the rule and what came.
        """
        if not self.fits(value):
            raise _must(name, self.words, value)
        self.rule(name, value)

    def __or__(self, other: "Kind") -> "Kind":
        """Either of two kinds; one that a value fits says what is wrong with its size."""

        def rule(name: str, value: Any) -> None:
            (self if self.fits(value) else other).rule(name, value)

        return Kind(
            f"{self.words}, or {other.words}", lambda v: self.fits(v) or other.fits(v), rule
        )


def _must(name: str, words: str, value: Any) -> ArgumentError:
    plain = isinstance(value, str | bool) and value != "" and str(value).isprintable()
    shown = "null" if value is None else str(value) if plain else repr(value)
    return ArgumentError(f"{name} must be {words}, got {shown:.200}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def whole(least: int, most: int = MOST) -> Kind:
    """A whole number in a range.

    Example:
        >>> whole(1).check("trials", 0)
        Traceback (most recent call last):
        gdjax._util.errors.ArgumentError: trials must be a whole number, at least 1, got 0
    """
    words = f"a whole number, at least {least:,}"

    def rule(name: str, value: int) -> None:
        if value > most:
            raise ArgumentError(f"{name} must be at most {most:,}, got {value}"[:200])

    return Kind(words, lambda value: _is_whole(value) and value >= least, rule)


def number(low: float | int = -math.inf, high: float | int = math.inf) -> Kind:
    """A number; with bounds, one of that range, the bounds included.

    Example:
        >>> number(10, 1200).check("plot.dpi", 1)
        Traceback (most recent call last):
        gdjax._util.errors.ArgumentError: plot.dpi must lie from 10 to 1,200, got 1
    """
    bounded = math.isfinite(low) or math.isfinite(high)
    words = f"a number from {low:,} to {high:,}" if bounded else "a number"

    def rule(name: str, value: float | int) -> None:
        if not low <= value <= high and bounded:
            raise ArgumentError(f"{name} must lie from {low:,} to {high:,}, got {value}"[:200])

    return Kind(words, lambda value: isinstance(value, float) or _is_whole(value), rule)


def between(low: float | int, high: float | int, words: str) -> Kind:
    """A number of an open interval."""

    def rule(name: str, value: float | int) -> None:
        if not low < value < high:
            raise _must(name, words, value)

    return Kind(words, NUMBER.fits, rule)


def word(*known: str, kind: str = "") -> Kind:
    """One of a few words; messages call it by its kind, or else by the setting's name."""

    def rule(name: str, value: str) -> None:
        check_known(kind or name, value, known)

    return Kind(" or ".join(known), lambda value: isinstance(value, str), rule)


def listing(of: Kind, words: str, least: int = 0, most: float | int = math.inf) -> Kind:
    """A list of values of one kind, at least and at most so many."""

    def rule(name: str, value: Collection[Any]) -> None:
        if not least <= len(value) <= most:
            raise _must(name, words, value)
        if not all(map(of.fits, value)):
            raise _must(name, words, value)
        for item in value:
            of.rule(f"each of {name}", item)

    return Kind(words, lambda value: isinstance(value, list), rule)


def mapping(words: str, of: Kind | None = None) -> Kind:
    """Values by name, of one kind or of any."""

    def rule(name: str, value: Mapping[Any, Any]) -> None:
        for key, item in value.items():
            if not isinstance(key, str):
                raise ArgumentError(f"{name} must have words for names, got {key!r:.200}")
            if of is not None:
                of.check(f"{name}.{key}", item)

    return Kind(words, lambda value: isinstance(value, dict), rule)


def chosen(group: str, example: str, *by: str) -> Kind:
    """A choice of a config group with its settings, as Hydra composes it."""

    def rule(name: str, value: Mapping[str, Any]) -> None:
        mapping("").rule(name, value)
        if not any(TEXT.fits(value.get(key)) and value[key] != OPEN for key in by):
            raise _must(f"{name}.{by[0]}", f"the name of one {group}", value.get(by[0]))

    words = f"one {group} with its settings, chosen as {example}"
    return Kind(words, lambda value: isinstance(value, dict), rule)


NUMBER = number()
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
TEXT = Kind("a word", lambda value: isinstance(value, str) and value != "")
PATH = Kind("a path", TEXT.fits)
NULL = Kind("null", lambda value: value is None)
