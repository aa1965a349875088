"""The hyperparameters that are tuned, and the bounds between which each is searched."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gdjax import optimizers
from gdjax._util.arguments import refused
from gdjax._util.errors import ArgumentError, check_known, unknown
from gdjax.optimizers.groups import is_of_group
from gdjax.optimizers.limits import SHARES
from gdjax.optimizers.tree import bare

SCALES = ("linear", "log", "share")
RATE = 1e-5, 10.0  # learning rates: six decades, whatever the objective
MEMORY = 10.0  # a share is searched up to this many times the memory 1/(1 − μ) of its default


class Range(NamedTuple):
    """The bounds between which a hyperparameter is drawn.

    Args:
        low, high: the bounds.
        scale: ``linear``; ``log``, every decade alike; or ``share``, every decade of 1 − x
            alike, so that 0.9 to 0.99 counts as much as 0 to 0.9.
    """

    low: float
    high: float
    scale: str

    def at(self, unit: np.ndarray) -> np.ndarray:
        """The values at shares of the way from low to high, ``(n,)``.

        Example:
            >>> Range(0.0, 0.99, "share").at(np.array([0.0, 0.5, 1.0])).round(4).tolist()
            [0.0, 0.9, 0.99]
        """
        if self.scale == "linear":
            return self.low + (self.high - self.low) * unit
        if self.scale == "log":
            return self.low * (self.high / self.low) ** unit
        return 1 - (1 - self.low) * ((1 - self.high) / (1 - self.low)) ** unit


def as_range(name: str, given: Any) -> Range:
    """A range as a user writes it: a ``Range``, ``(low, high)``, or a mapping with its fields.

    Raises:
        ArgumentError: what is no range, bounds that are not low < high, or beyond their scale.
    """
    fields = given if isinstance(given, Mapping) else None
    if fields is None and isinstance(given, list | tuple) and 2 <= len(given) <= 3:
        fields = dict(zip(("low", "high", "scale"), given, strict=False))
    if fields is None or not {"low", "high"} <= {*fields} <= {"low", "high", "scale"}:
        raise ArgumentError(f"range of {name} must have low and high, and maybe scale, got {given}")
    scale = fields.get("scale", "log")
    check_known(f"scale of {name}", scale, SCALES)
    try:
        low, high = float(fields["low"]), float(fields["high"])
    except (TypeError, ValueError):
        raise ArgumentError(f"range of {name} must be numbers, got {given}") from None
    if not -np.inf < low < high < np.inf:
        raise ArgumentError(f"range of {name} must be finite with low < high, got {given}")
    if (scale == "log" and low <= 0) or (scale == "share" and high >= 1):
        rule = "above 0 on the log scale" if scale == "log" else "below 1 on the share scale"
        raise ArgumentError(f"range of {name} must lie {rule}, got {given}")
    return Range(low, high, scale)


def default_ranges(optimizer: optimizers.Optimizer) -> dict[str, Range]:
    """What is tuned of an optimizer: constant learning rates, and shares such as momentum.

    Learning rates on a log scale; shares from 0 to ten times the memory of their default.

    Example:
        >>> import gdjax
        >>> default_ranges(gdjax.heavy_ball(0.1))["momentum"]
        Range(low=0.0, high=0.99, scale='share')
    """
    found = {}
    for name, number in optimizer.numbers.items():
        if "learning_rate" in bare(name).rpartition(".")[2]:
            found[name] = Range(*RATE, "log")
        elif bare(name) in SHARES and 0 < number < 1:
            found[name] = Range(0.0, round(1 - (1 - number) / MEMORY, 12), "share")
    return found


def with_groups(
    entrants: Mapping[str, optimizers.Optimizer], given: Mapping[str, Any]
) -> dict[str, optimizers.Optimizer]:
    """The optimizers with all hyperparameters of groups of leaves that are to be tuned.

    Args:
        entrants: optimizers by label.
        given: as ``chosen_ranges`` takes it.

    Raises:
        ArgumentError: what is no mapping by name.
    """
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise refused("ranges", "be ranges by hyperparameter", given)
    made = dict(entrants)
    for key in filter(is_of_group, given):
        label, name = _of(key, entrants)
        for one in made if label is None else [label]:
            numbers = made[one].numbers
            if bare(name) in numbers and name not in numbers:
                made[one] = made[one].replace(**{name: numbers[bare(name)]})
    return made


def _of(key: str, labels: Iterable[str]) -> tuple[str | None, str]:
    """The label and the name of a hyperparameter that is given as ``label.hyperparameter``."""
    label = next((x for x in labels if key.startswith(f"{x}.")), None)
    return label, key if label is None else key.removeprefix(f"{label}.")


def chosen_ranges(
    entrants: Mapping[str, optimizers.Optimizer], given: Mapping[str, Any]
) -> dict[str, dict[str, Range]]:
    """What is tuned of each optimizer: the defaults, and the ranges that a user has given.

    Args:
        entrants: optimizers by label.
        given: ranges by hyperparameter, for every optimizer that has it, or by
            ``label.hyperparameter`` for one. None takes a hyperparameter out of the search.

    Raises:
        ArgumentError: a hyperparameter that no optimizer has, or that cannot be tuned.
    """
    ranges = {label: default_ranges(optimizer) for label, optimizer in entrants.items()}
    for key, value in given.items():
        label, name = _of(key, entrants)
        fitting = []
        for one in entrants if label is None else [label]:
            made = entrants[one]
            if name in (numbers := made.numbers):
                fitting.append(one)
            elif name in made.hyperparameters or name in made.stuck:
                raise ArgumentError(
                    f"{name} of {one} cannot be tuned: it is not a float, or decided on in "
                    f"Python; those that can are {', '.join(numbers) or 'none'}"
                )
            elif label is not None:
                error = unknown(f"hyperparameter of {one}", name, numbers)
                raise ArgumentError(f"{error}; it has {', '.join(numbers) or 'none'}")
        if not fitting:
            known = {n for made in entrants.values() for n in made.numbers}
            raise unknown("hyperparameter to tune", name, known)
        for one in fitting:
            if value is None:
                ranges[one].pop(name, None)
                continue
            ranges[one][name] = new = as_range(key, value)
            for bound in (new.low, new.high):  # the optimizer's own rules on it
                made = entrants[one]
                fixed = {k: v for k, v in made.hyperparameters.items() if k != name}
                optimizers.make(made.factory, **fixed | {name: bound})
    return ranges


def draw(
    ranges: Mapping[str, Range], trials: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Random hyperparameters, ``(trials,)`` by name."""
    return {name: one.at(rng.random(trials)) for name, one in ranges.items()}
