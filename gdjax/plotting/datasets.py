"""A sweep's Dataset as the pictures read it: its axes, what became of each cell, labels, scales."""

import enum
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from gdjax._descent.outcomes import Outcome
from gdjax._util.errors import ArgumentError

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any  # read by its interface, so that drawing does not import xarray

SYMBOLS = {"learning_rate": "α", "momentum": "μ"}


class Status(enum.IntEnum):
    """What a picture tells apart: where a cell ended up.

    A cell counts as in a minimum when it is within the rule's radius of it, at rest or not.
    """

    GLOBAL = 0
    LOCAL = 1
    UNLISTED = 2
    STALLED = 3
    MOVING = 4
    LOST = 5

    @property
    def label(self) -> str:
        """What legends say."""
        return _LABELS[self]


_LABELS = (
    "global minimum",
    "another minimum",
    "local minimum, not listed",
    "at rest or stuck at no minimum",
    "still moving",
    "diverged",
)


def check_finished(dataset: Dataset) -> None:
    """Refuse a sweep that was interrupted: what is missing would be drawn as failure.

    Raises:
        ArgumentError: cells that have no outcome yet.
    """
    outcome = dataset["outcome"].values
    if missing := int((outcome < 0).sum()):
        raise ArgumentError(
            f"dataset must be finished to be drawn, {missing} of {outcome.size} descents are "
            f"missing; continue the sweep first"
        )


def statuses(dataset: Dataset) -> np.ndarray:
    """The ``Status`` of each cell, as codes of shape ``(start, *axes)``."""
    check_finished(dataset)
    outcome, minimum = dataset["outcome"].values, dataset["minimum"].values
    is_global = np.append(dataset["is_global"].values.astype(bool), False)  # −1 picks the last
    ended = np.full(outcome.shape, Status.STALLED)
    ended[outcome == Outcome.MAX_STEPS] = Status.MOVING
    ended[outcome == Outcome.CONVERGED] = Status.UNLISTED
    ended[minimum >= 0] = Status.LOCAL
    ended[is_global[minimum]] = Status.GLOBAL
    ended[(outcome == Outcome.DIVERGED) | (outcome == Outcome.NONFINITE)] = Status.LOST
    return ended


def axes_of(dataset: Dataset) -> tuple[str, ...]:
    """The hyperparameter dims that have more than one value, in the order of the dataset."""
    return tuple(
        str(dim)
        for dim in dataset["outcome"].dims
        if dim != "start" and dataset["outcome"].sizes[dim] > 1
    )


def along(dataset: Dataset, axis: str) -> dict[str, np.ndarray]:
    """The hyperparameters of an axis and their values: one, or several that are zipped."""
    return {
        str(name): np.asarray(coordinate.values)
        for name, coordinate in dataset.coords.items()
        if coordinate.dims == (axis,) and np.issubdtype(coordinate.dtype, np.number)
    }


def axis_values(dataset: Dataset, axis: str) -> tuple[str, np.ndarray]:
    """The hyperparameter that an axis is drawn by, the first of those zipped, and its values."""
    return next(iter(along(dataset, axis).items()))


def ascending(dataset: Dataset) -> Dataset:
    """The dataset with each axis sorted by the hyperparameter that it is drawn by."""
    return dataset.sortby([axis_values(dataset, axis)[0] for axis in axes_of(dataset)])


def setting(dataset: Dataset, **at: int) -> str:
    """One setting in words, such as "α = 0.1, μ = 0.5", from the index on each axis."""
    return ", ".join(
        f"{SYMBOLS.get(name, readable(name))} = {values[index]:.3g}"
        for axis, index in at.items()
        for name, values in along(dataset, axis).items()
    )


def readable(name: str) -> str:
    """A name without underscores.

    Example:
        >>> readable("weight_decay")
        'weight decay'
    """
    return name.replace("_", " ")


def axis_label(dataset: Dataset, name: str) -> str:
    """What an axis is called: its long name, its symbol, and its unit where it has one."""
    attrs = dataset[name].attrs if name in dataset.coords else {}
    words = [str(attrs.get("long_name", readable(name))), SYMBOLS.get(name, "")]
    unit = attrs.get("units", "1")
    return " ".join(filter(None, [*words, "" if unit == "1" else f"({unit})"]))


def axis_title(dataset: Dataset, axis: str) -> str:
    """What is drawn along an axis: the hyperparameter, and below it those zipped with it."""
    (first, _), *others = along(dataset, axis).items()
    alongside = ", ".join(
        f"{axis_label(dataset, name)} from {values[0]:.3g} to {values[-1]:.3g}"
        for name, values in others
    )
    return axis_label(dataset, first) + (f"\n(alongside, {alongside})" if others else "")


def need_axes(dataset: Dataset, picture: str, number: int) -> tuple[str, ...]:
    """The axes of the dataset, of which a picture needs that many.

    Raises:
        ArgumentError: more or fewer; it says how to pick.
    """
    axes = axes_of(dataset)
    if len(axes) != number:
        held = ", ".join(axes) or "none"
        rest = ", ".join(f"{axis}=0" for axis in axes[number:])
        hint = f"; pick first, such as dataset.isel({rest})" if rest else ""
        raise ArgumentError(
            f"{picture} needs a sweep over {number} hyperparameter "
            f"ax{'is' if number == 1 else 'es'}, got {held}{hint}"
        )
    return axes


def scale_of(values: np.ndarray) -> str:
    """Whether values are spaced evenly as they are, or in their logarithms: linear or log.

    Example:
        >>> scale_of(np.array([0.1, 0.2, 0.3])), scale_of(np.geomspace(1e-3, 1, 9))
        ('linear', 'log')
    """
    values = np.sort(np.asarray(values, dtype=float))
    if len(values) < 3 or values[0] <= 0 or values[-1] < 4 * values[0]:
        return "linear"
    plain, logs = np.diff(values), np.diff(np.log(values))
    return "log" if np.std(logs) / np.mean(logs) < np.std(plain) / np.mean(plain) else "linear"


def edges(values: np.ndarray) -> np.ndarray:
    """The borders of the pixels around ascending values, half way in their own scale, ``(n + 1,)``.

    Example:
        >>> edges(np.array([1.0, 2.0, 3.0]))
        array([0.5, 1.5, 2.5, 3.5])
    """
    log = scale_of(values) == "log"
    ruler = np.log(values) if log else np.asarray(values, dtype=float)
    middle = (ruler[1:] + ruler[:-1]) / 2
    borders = np.concatenate([[2 * ruler[0] - middle[0]], middle, [2 * ruler[-1] - middle[-1]]])
    return np.exp(borders) if log else borders


def heading(dataset: Dataset) -> str:
    """What was swept, in a line under a title: the optimizer, its fixed settings, the steps."""
    optimizer = str(dataset.attrs["optimizer"])  # such as heavy_ball(learning_rate=0.1)
    fixed = {
        name: value
        for name, value in re.findall(r"(\w+)=([^,()]+)", optimizer)
        if name not in dataset.coords
    }
    swept = set(dataset["outcome"].dims) - {"start"}
    for name, coordinate in dataset.coords.items():
        if coordinate.size == 1 and set(coordinate.dims) <= swept and name != "start":
            fixed[str(name)] = f"{coordinate.values.item():.3g}"
    settings = [f"{SYMBOLS.get(name, readable(name))} = {value}" for name, value in fixed.items()]
    name = readable(optimizer.partition("(")[0])
    return ", ".join([name, *settings, f"{dataset.attrs['max_steps']} steps"])
