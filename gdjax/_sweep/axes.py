"""Axes of a sweep as a person gives them: numbers, flags, choices, schedules, and their labels."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gdjax import optimizers
from gdjax._util.arguments import refused
from gdjax._util.errors import ArgumentError
from gdjax._util.types import PyTree

Axis = Mapping[str, np.ndarray]  # values by name, ``(n,)`` each; several names vary together
# Values by name, or by a tuple of names that vary together with a list of values for each.
Axes = Mapping[str, Any] | Mapping[tuple[str, ...], Any] | Mapping[str | tuple[str, ...], Any]
Paired = Mapping[str, Any]  # values by name, one for each start


class Values(NamedTuple):
    """What a hyperparameter is along an axis.

    Args:
        values: in order, as Python has them.
        numbers: the same as floats, ``(n,)``; None where one of them is no number.
        names: what a person calls them; None for the values themselves.
    """

    values: Sequence[PyTree]
    numbers: np.ndarray | None
    names: tuple[str, ...] | None = None

    @property
    def labels(self) -> np.ndarray:
        """The coordinate: flags, numbers and words as they are, all else by readable names."""
        if self.names is not None:
            return np.array(self.names, dtype=object)
        kinds = {*map(type, self.values)}
        if kinds == {bool} or kinds <= {int, float}:
            return np.array(self.values)
        return np.array(numbered(map(readable, self.values)), dtype=object)


GivenAxis = Mapping[str, Values]


def parse(given: Axes | None, paired: Paired | None = None) -> tuple[GivenAxis, ...]:
    """The axes that a person gave; the last one is what is paired with the starts, if anything is.

    Raises:
        ArgumentError: a name twice, zipped axes of unequal length, no values, or infinite ones.
    """
    given = {} if given is None else given
    paired = {} if paired is None else paired
    for argument, values in (("hyperparameters", given), ("paired", paired)):
        if not isinstance(values, Mapping):
            raise refused(argument, "be values by name", values)
    axes, named = [], []
    pairs = [(tuple(paired), paired.values())] if paired else []
    for key, values in (*given.items(), *pairs):
        if not isinstance(key, str | tuple):
            raise refused("hyperparameters", "have names, or tuples of them", key)
        names = (key,) if isinstance(key, str) else tuple(key)
        columns = (values,) if isinstance(key, str) else tuple(values)
        if len(columns) != len(names):
            raise ArgumentError(
                f"hyperparameters {', '.join(names)} are zipped: one list of values each, "
                f"got {len(columns)}"
            )
        named += names
        axes.append(dict(zip(names, map(_values, names, columns), strict=True)))
        lengths = {name: len(column.values) for name, column in axes[-1].items()}
        if len(set(lengths.values())) > 1:
            raise ArgumentError(
                "zipped hyperparameters must have equally many values, got "
                + ", ".join(f"{size} of {name}" for name, size in lengths.items())
            )
    if len({*named}) < len(named):
        raise ArgumentError("hyperparameters must be named once each")
    return tuple(axes)


def _values(name: str, given: Any) -> Values:
    names = tuple(map(str, given)) if isinstance(given, Mapping) else None
    found = list(given.values()) if isinstance(given, Mapping) else given
    found = np.asarray(found) if hasattr(found, "__array__") else found
    several = isinstance(found, Sequence) and not isinstance(found, str)
    if not (several or np.ndim(found) == 1) or not len(found):
        raise ArgumentError(f"{name} must be a list of at least one value, got {given!r:.200}")
    values = found.tolist() if isinstance(found, np.ndarray) else [*map(_plain, found)]
    if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in values):
        return Values(values, None, names)
    numbers = np.asarray(values, dtype=float)
    if not np.isfinite(numbers).all():
        at = int((~np.isfinite(numbers)).argmax())
        raise ArgumentError(f"{name} must be finite, got {numbers[at]} at index {at}")
    return Values(values, numbers, names)


def _plain(value: Any) -> PyTree:
    """A number of NumPy's or JAX's as Python's; what a config describes, made."""
    if np.ndim(value) == 0 and getattr(getattr(value, "dtype", None), "kind", "-") in "biuf":
        return value.item()
    return optimizers.resolved(value)


def readable(value: PyTree) -> str:
    """What a value is called: an optax schedule by the function that made it.

    Example:
        >>> import optax
        >>> readable(0.1), readable(optax.cosine_decay_schedule(0.1, 9)), readable(None)
        ('0.1', 'cosine_decay_schedule', 'None')
    """
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, optimizers.Schedule | optimizers.Optimizer):
        return repr(value)
    made_by, inner, _ = getattr(value, "__qualname__", "").partition(".<locals>")
    if inner and str(getattr(value, "__module__", "")).startswith("optax"):
        return made_by
    return getattr(value, "__name__", None) or str(value)


def numbered(names: Iterable[str]) -> list[str]:
    """The same names; those that come again with a number.

    Example:
        >>> numbered(["cosine", "step", "cosine"])
        ['cosine', 'step', 'cosine (2)']
    """
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        seen[name] += 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return result
