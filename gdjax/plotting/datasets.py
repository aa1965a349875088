"""A sweep's Dataset as the pictures read it: its axes, what became of each cell, labels, scales."""

import enum
import re
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from gdjax._descent.outcomes import Outcome
from gdjax._util.errors import ArgumentError

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any  # read by its interface, so that drawing does not import xarray

SYMBOLS = {"learning_rate": "α", "momentum": "μ"}
# Attributes that are lists where kernels differ.
PER_KERNEL = {
    "objective",
    "formula",
    "fmin",
    "target",
    "optimizer",
    "kernel",
    "kernel_reason",
    "tile",
}
WIDEST = 32  # letters of a line in a legend or a title
UNTOLD = ("start", "objective", "optimizer")  # a title says them already


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
    known = dataset["is_global"].values.astype(bool)
    known = np.pad(np.atleast_2d(known), ((0, 0), (0, 1)))  # −1 picks the last
    dims = dataset["outcome"].dims
    each = [len(known) if dim == "objective" else 1 for dim in dims]
    is_global = known[np.arange(len(known)).reshape(each), minimum]
    ended = np.full(outcome.shape, Status.STALLED)
    ended[outcome == Outcome.MAX_STEPS] = Status.MOVING
    ended[outcome == Outcome.CONVERGED] = Status.UNLISTED
    ended[minimum >= 0] = Status.LOCAL
    ended[is_global] = Status.GLOBAL
    ended[(outcome == Outcome.DIVERGED) | (outcome == Outcome.NONFINITE)] = Status.LOST
    return ended


def target_of(dataset: Dataset) -> str:
    """The targets of what was swept, in words; empty where there is none."""
    told = dataset.attrs.get("target", "")
    return ", ".join(dict.fromkeys(filter(None, told if isinstance(told, list) else [told])))


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
        if coordinate.dims == (axis,)
    }


def has_numbers(dataset: Dataset, axis: str) -> bool:
    """Whether there are numbers along an axis, and not flags, words or schedules alone."""
    return any(values.dtype.kind in "fiu" for values in along(dataset, axis).values())


def axis_values(dataset: Dataset, axis: str) -> tuple[str, np.ndarray]:
    """The hyperparameter that an axis is drawn by, the first of numbers, and its values.

    Raises:
        ArgumentError: an axis without numbers.
    """
    if not has_numbers(dataset, axis):
        raise ArgumentError(
            f"this picture needs axes of numbers, and {axis} has none; pick first, such as "
            f"dataset.isel({axis}=0)"
        )
    return next((n, x) for n, x in along(dataset, axis).items() if x.dtype.kind in "fiu")


def ascending(dataset: Dataset) -> Dataset:
    """The dataset with each axis of numbers sorted by the hyperparameter that it is drawn by."""
    axes = [axis for axis in axes_of(dataset) if has_numbers(dataset, axis)]
    return dataset.sortby([axis_values(dataset, axis)[0] for axis in axes])


def setting(dataset: Dataset, **at: int) -> str:
    """One setting in words, such as "α = 0.1, μ = 0.5", from the index on each axis."""
    return ", ".join(
        f"{SYMBOLS.get(name, readable(name))} = {in_words(values[index])}"
        for axis, index in at.items()
        for name, values in along(dataset, axis).items()
    )


def in_words(value: Any) -> str:
    """A value of an axis: a number in three digits, all else as it is, in short lines.

    Example:
        >>> in_words(np.float64(1 / 3)), in_words(np.True_), in_words("adam")
        ('0.333', 'True', 'adam')
    """
    if np.asarray(value).dtype.kind in "fiu":
        return f"{value:.3g}"
    return "\n".join(textwrap.wrap(str(value), WIDEST, break_on_hyphens=False))


def entries(dataset: Dataset, name: str) -> list[str]:
    """What an attribute is for each kernel of a sweep, once each."""
    value = dataset.attrs[name]
    if name == "objective" and name in dataset.coords and not dataset[name].ndim:
        value = dataset[name].item()
    return [*dict.fromkeys(map(str, value if isinstance(value, list) else [value]))]


def combination(dataset: Dataset, **at: int) -> Dataset:
    """The cells at an index on some axes, and the attributes of their kernels alone."""
    outer = [str(dim) for dim in dataset.attrs.get("outer", ())]
    if not {*outer} <= {*dataset.dims}:  # somebody has picked already, who knows which
        return dataset.isel(at)
    shape = [dataset.sizes[dim] for dim in outer]
    numbers = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    kept = numbers[tuple(at.get(dim, slice(None)) for dim in outer)].ravel()
    part = dataset.isel(at)
    part.attrs["outer"] = [dim for dim in outer if dim not in at]
    for name in PER_KERNEL & part.attrs.keys():
        if isinstance(value := part.attrs[name], list):
            chosen = [value[i] for i in kept]
            part.attrs[name] = chosen if len({*map(str, chosen)}) > 1 else chosen[0]
    return part


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
    drawn, _ = axis_values(dataset, axis)
    alongside = ", ".join(
        f"{axis_label(dataset, name)} from {in_words(values[0])} to {in_words(values[-1])}"
        for name, values in along(dataset, axis).items()
        if name != drawn
    )
    return axis_label(dataset, drawn) + (f"\n(alongside, {alongside})" if alongside else "")


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
    optimizers = entries(dataset, "optimizer")  # such as heavy_ball(learning_rate=0.1)
    settings = [dict(re.findall(r"(\w+)=([^,()]+)", text)) for text in optimizers]
    fixed = {
        name: value
        for name, value in settings[0].items()
        if name not in dataset.coords and all(each.get(name) == value for each in settings)
    }
    swept = set(dataset["outcome"].dims) - {"start"}
    for name, coordinate in dataset.coords.items():
        if coordinate.size == 1 and set(coordinate.dims) <= swept and name not in UNTOLD:
            fixed[str(name)] = in_words(coordinate.values.item())
    told = [f"{SYMBOLS.get(name, readable(name))} = {value}" for name, value in fixed.items()]
    if "optimizer" in dataset.coords and dataset["optimizer"].size == 1:
        optimizers = [str(dataset["optimizer"].item())]
    names = dict.fromkeys(readable(text.partition("(")[0]) for text in optimizers)
    return ", ".join([*names, *told, f"{dataset.attrs['max_steps']} steps"])
