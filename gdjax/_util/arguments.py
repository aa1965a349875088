"""The gate of public functions: what each argument must be, told in one line where it is not.

A rule takes the name of an argument and what came, and gives back what the function works on. It
stands beside the function that it guards: ``@gate(confidence=number(INSIDE))``.
"""

import functools
import inspect
import math
import operator
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from gdjax._util.errors import ArgumentError

P = ParamSpec("P")
T = TypeVar("T")
Rule = Callable[[str, Any], Any]

NO_NUMBERS = str | bytes | bool | complex | None
MOST = 2**31 - 1  # of what is counted, within compiled code in 32 bits
SEEDS = 2**32 - 1  # JAX's random keys take no more bits without float64


class Limits(NamedTuple):
    """Where numbers lie.

    Args:
        low, high: the ends.
        ends: a bracket at each end that belongs to it, such as ``[)``.
        whole: whether they are whole numbers.
    """

    low: float = 0.0
    high: float = math.inf
    ends: str = "[)"
    whole: bool = False

    def hold(self, values: np.ndarray) -> bool:
        """Whether all of some values lie there; NaN does not.

        Example:
            >>> SHARE.hold(np.array([0.0, 0.9])), SHARE.hold(np.array([1.0])), str(SHARE)
            (True, False, 'lie in [0, 1)')
        """
        above = values >= self.low if self.ends[0] == "[" else values > self.low
        below = values <= self.high if self.ends[1] == "]" else values < self.high
        whole = not self.whole or bool((values == np.floor(values)).all())
        return bool((above & below).all()) and whole

    def __str__(self) -> str:
        low, high = self.low, self.high
        if self.whole:
            return "be whole numbers" if low == -math.inf else f"be whole, {low:g} to {high:.0f}"
        if low == -math.inf:
            return "be finite" if self.ends == "()" else "be a number"
        if high < math.inf:
            if self.ends == "()":
                return f"lie between {low:g} and {high:g}"
            return f"lie in {self.ends[0]}{low:g}, {high:g}{self.ends[1]}"
        least = "positive" if self.ends[0] == "(" and not low else f"at least {low:g}"
        return f"be {least}" + ("" if self.ends[1] == "]" else " and finite")


SHARE = Limits(0.0, 1.0)
INSIDE = Limits(0.0, 1.0, "()")
POSITIVE = Limits(ends="()")
NOT_NEGATIVE = Limits()
FINITE = Limits(-math.inf, ends="()")
ANY = Limits(-math.inf, ends="[]")  # infinity too


def gate(**rules: Rule) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A function whose arguments are checked, each by its rule (a decorator).

    A default stands for itself, and is not checked.

    Example:
        >>> @gate(share=number(SHARE), of=count(1))
        ... def part(share, of=10):
        ...     return share * of
        >>> part(0.5)
        5.0
        >>> part(2)
        Traceback (most recent call last):
        gdjax._util.errors.ArgumentError: share must lie in [0, 1), got 2
    """

    def put(fn: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(fn)
        assert {*rules} <= {*signature.parameters}, f"a rule of {fn} is for no argument of it"

        @functools.wraps(fn)
        def gated(*args: P.args, **kwargs: P.kwargs) -> T:
            given = signature.bind(*args, **kwargs)
            for name, rule in rules.items():
                if name in given.arguments:
                    value = given.arguments[name]
                    if value is not signature.parameters[name].default:
                        given.arguments[name] = rule(name, value)
            return fn(*given.args, **given.kwargs)

        return gated

    return put


def refused(name: str, rule: str, value: object) -> ArgumentError:
    """The error for what is not as a rule has it."""
    try:
        came = f"{value!r:.200}"
    except Exception:  # an int of more digits than Python writes, or a user's own class
        came = f"a {type(value).__name__}"
    return ArgumentError(f"{name} must {rule}, got {came}")


def as_count(name: str, value: Any, least: int, most: int = MOST) -> int:
    """``value`` as a whole number from ``least`` to ``most``: any integer, NumPy's and JAX's too.

    Raises:
        ArgumentError: anything else; it names the argument.

    Example:
        >>> as_count("steps", np.int64(10), 0)
        10
    """
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise refused(name, f"be a whole number, at least {least}", value)
    if number > most:
        raise refused(name, f"be at most {most:,}", value)
    return number


def as_seed(value: Any) -> int:
    """``value`` as a seed.

    Raises:
        ArgumentError: anything but a whole number of 32 bits.
    """
    return as_count("seed", value, 0, SEEDS)


def count(least: int = 0, most: int = MOST) -> Rule:
    """The rule of what is counted."""
    return lambda name, value: as_count(name, value, least, most)


def as_numbers(name: str, value: Any, limits: Limits = ANY) -> np.ndarray:
    """Numbers as an array of floats; truth values and words are none.

    Raises:
        ArgumentError: what holds anything else, or a number beyond the limits; NaN is beyond all.
    """
    try:
        found = np.asarray(value)
        wide = found.dtype.kind not in "iuf"  # whole numbers beyond 64 bits are objects
        if wide and any(isinstance(x, NO_NUMBERS) for x in found.ravel().tolist()):
            raise TypeError
        found = found.astype(float)
    except (TypeError, ValueError, OverflowError):
        raise refused(name, _numeric(value), value) from None
    if not limits.hold(found):
        raise refused(name, str(limits), value)
    return found


def _numeric(value: object) -> str:
    return "be numbers" if isinstance(value, list | tuple | np.ndarray) else "be a number"


def number(limits: Limits = FINITE) -> Rule:
    """The rule of one number."""

    def rule(name: str, value: Any) -> float:
        found = as_numbers(name, value, limits)
        if found.ndim:
            raise refused(name, "be one number", value)
        return float(found)

    return rule


def numbers(limits: Limits = ANY, ndim: int | None = None) -> Rule:
    """The rule of an array of numbers, of so many dimensions if they are given."""

    def rule(name: str, value: Any) -> np.ndarray:
        found = as_numbers(name, value, limits)
        if ndim is not None and found.ndim != ndim:
            raise refused(name, f"have {ndim} dimension{'s' * (ndim != 1)}", value)
        return found

    return rule


def flag(name: str, value: Any) -> bool:
    """The rule of a truth value."""
    if not isinstance(value, bool | np.bool_):
        raise refused(name, "be true or false", value)
    return bool(value)


def text(name: str, value: Any) -> str:
    """The rule of a text."""
    if not isinstance(value, str) or "\0" in value:
        raise refused(name, "be a text", value)
    return value


def texts(name: str, value: Any) -> Sequence[str]:
    """The rule of a list of texts."""
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise refused(name, "be a list of texts", value)
    return value


def function(name: str, value: Any) -> Callable[..., Any]:
    """The rule of a function."""
    if not callable(value):
        raise refused(name, "be a function", value)
    return value


def place(name: str, value: Any) -> str | os.PathLike[str]:
    """The rule of a path."""
    if not isinstance(value, str | os.PathLike) or not str(value) or "\0" in str(value):
        raise refused(name, "be a path", value)
    return value


def one_of(cls: type, words: str) -> Rule:
    """The rule of what some function makes, told in these words."""

    def rule(name: str, value: Any) -> Any:
        if not isinstance(value, cls):
            raise refused(name, f"be {words}", value)
        return value

    return rule


def maybe(rule: Rule) -> Rule:
    """The same rule, and None."""
    return lambda name, value: None if value is None else rule(name, value)
