"""Rates: how often descents succeed, and how the steps that they need are spread."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.ticker import PercentFormatter

from gdjax import metrics
from gdjax._util.arguments import gate, maybe, text
from gdjax._util.errors import ArgumentError, check_known
from gdjax.plotting import given, style
from gdjax.plotting.datasets import (
    SYMBOLS,
    Dataset,
    Status,
    ascending,
    axes_of,
    axis_title,
    axis_values,
    check_finished,
    entries,
    has_numbers,
    heading,
    readable,
    scale_of,
    setting,
    statuses,
    target_of,
)
from gdjax.plotting.figure import AnyFigure, Panel, one_panel

LINES = 7  # as many as the palette tells apart


@gate(dataset=given.sweep_results, against=maybe(text), confidence=metrics.SURE)
def success_rate(
    dataset: Dataset,
    against: str | None = None,
    confidence: float = 0.95,
    *,
    ax: Axes | None = None,
) -> AnyFigure:
    """The share of starts that reach a global minimum, against a hyperparameter, with intervals.

    Where the objective has a target, it is the share that meets it.

    A second hyperparameter axis makes one line a value. The band is Wilson's interval. With one
    start there is no rate to estimate: it is drawn as arriving or not.

    Args:
        dataset: a sweep over one or two hyperparameter axes.
        against: the axis to draw along; by default the longest.
        confidence: of the intervals.
        ax: axes to draw in; by default those of a new figure.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Raises:
        ArgumentError: no hyperparameter axis or more than two, an unknown one, more lines than
            colours, or neither a known global minimum nor a target.

    Reference:
        ``gdjax.metrics.wilson``.
    """
    axes = axes_of(dataset)
    if not 1 <= len(axes) <= 2:
        raise ArgumentError(
            f"success_rate needs a sweep over one or two hyperparameter axes, got "
            f"{', '.join(axes) or 'none'}"
        )
    target = target_of(dataset)
    if not (target or dataset["is_global"].values.any()):
        raise ArgumentError(
            "success_rate needs a known global minimum or a target, the objective has none"
        )
    dataset, against = ascending(dataset), _chosen(dataset, "against", against)
    others = [axis for axis in axes if axis != against]
    ended = statuses(dataset)
    good = dataset["steps_to_tolerance"].values >= 0 if target else ended == Status.GLOBAL
    success = good.reshape(dataset.sizes["start"], -1)
    dims = [dataset["outcome"].sizes[axis] for axis in axes]
    success = np.moveaxis(success.reshape(-1, *dims), 1 + axes.index(against), -1)
    if others and success.shape[1] > LINES:
        raise ArgumentError(
            f"success_rate draws at most {LINES} lines, {others[0]} has {success.shape[1]} values; "
            f"pick first, such as dataset.isel({others[0]}=0)"
        )
    values = axis_values(dataset, against)[1]
    starts = len(success)
    made = _panel(dataset, ax, height=4.8 if starts > 1 else 3.0)
    panel = made.axes
    rows = success.reshape(starts, -1, len(values)).swapaxes(0, 1)
    labels = [setting(dataset, **{others[0]: i}) for i in range(len(rows))] if others else [""]
    marker = "o" if len(values) <= 60 else "."
    for row, label, colour in zip(rows, labels, style.PALETTE, strict=False):
        rate = metrics.success_rate(row, axis=0, confidence=confidence)
        panel.plot(
            values, rate.share, marker, color=colour, markersize=5, label=label,
            linestyle="-" if starts > 1 else "none", linewidth=1.8,
        )  # fmt: skip
        if starts > 1:
            panel.fill_between(values, rate.low, rate.high, color=colour, alpha=0.2, linewidth=0)
    if starts > 1:
        panel.yaxis.set_major_formatter(PercentFormatter(1.0))
        panel.set_ylabel(f"of {starts} starts reach {target or 'a global minimum'}")
    else:
        panel.set_yticks([0, 1], ["no", "yes"])
        panel.set_ylabel(f"reaches {target or 'a global minimum'}")
        panel.set_title(f"{int(rows.sum())} of {rows.size}", loc="right", fontsize=11)
    panel.set(xscale=scale_of(values), ylim=(-0.04, 1.04), xlabel=axis_title(dataset, against))
    if others:
        panel.legend(frameon=False)
    return made.figure


@gate(dataset=given.sweep_results, by=maybe(text))
def steps_ecdf(dataset: Dataset, by: str | None = None, *, ax: Axes | None = None) -> AnyFigure:
    """How many have come within tolerance after so many steps: one line a hyperparameter value.

    Each line is the empirical distribution of the first step within tolerance, over every start
    and every other axis, which is told; it ends at the share that ever arrives.

    Args:
        dataset: a sweep with at least two cells.
        by: the axis with one line a value; by default the shortest, or none with a single start
            on one axis.
        ax: axes to draw in; by default those of a new figure.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Raises:
        ArgumentError: one cell, an unknown axis, or no cell that arrived.

    Reference:
        ``gdjax.metrics.steps_ecdf``.
    """
    check_finished(dataset)
    steps_to_tolerance = dataset["steps_to_tolerance"].values
    if steps_to_tolerance.size < 2:
        raise ArgumentError("steps_ecdf needs at least two cells, got 1")
    if not (steps_to_tolerance >= 0).any():
        raise ArgumentError("steps_ecdf needs a cell that came within tolerance, got none")
    axes = axes_of(dataset)
    if by is not None:
        by = _chosen(dataset, "by", by)
    elif axes and (dataset.sizes["start"] > 1 or len(axes) > 1):
        by = min(axes, key=lambda axis: dataset["outcome"].sizes[axis])
    made = _panel(dataset, ax)
    panel = made.axes
    last = max(int(dataset.attrs["max_steps"]), 2)
    if by is None:
        groups, labels = steps_to_tolerance[None], [""]
    else:
        groups = np.moveaxis(
            steps_to_tolerance, list(dataset["steps_to_tolerance"].dims).index(by), 0
        )
        labels = [setting(dataset, **{by: i}) for i in range(len(groups))]
    colours = _colours(dataset, by, len(groups))
    for values, label, colour in zip(groups, labels, colours, strict=False):
        ecdf = metrics.steps_ecdf(values)
        steps = np.concatenate([[1], np.maximum(ecdf.steps, 1), [last]])
        share = np.concatenate([[0], ecdf.share, ecdf.share[-1:] if ecdf.share.size else [0]])
        panel.step(steps, share, where="post", color=colour, linewidth=1.8, label=label)
    begin = max(steps_to_tolerance[steps_to_tolerance >= 0].min(), 1)
    panel.set(xscale="log", xlim=(max(0.8 * begin, 1), last), ylim=(0, 1.02))
    panel.set_xlabel("step")
    pooled = [axis for axis in axes if axis != by]
    near = target_of(dataset)
    near = f"that met {near}" if near else f"within {dataset.attrs['tolerance']:g} of f*"
    panel.set_ylabel(f"share {near}")
    if pooled:  # else lines are of starts alone, as one expects
        counts = [("starts", dataset.sizes["start"])]
        counts += [
            (f"values of {SYMBOLS.get(x, readable(x))}", dataset["outcome"].sizes[x])
            for x in pooled
        ]
        told = " × ".join(f"{count:,} {name}" for name, count in counts if count > 1)
        panel.set_ylabel(f"share {near},\nof {told}")
    style.plain_logarithmic(panel.xaxis)
    panel.yaxis.set_major_formatter(PercentFormatter(1.0))
    if by is not None and len(groups) <= LINES:
        panel.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    elif by is not None:
        name, values = axis_values(dataset, by)
        style.bar(made.figure, _shades(values), [panel], SYMBOLS.get(name, readable(name)))
    return made.figure


def _chosen(dataset: Dataset, argument: str, axis: str | None) -> str:
    """An axis by name; by default the longest, momentum where two are."""
    axes = axes_of(dataset)
    if axis is None:
        return max(
            axes,
            key=lambda axis: (
                has_numbers(dataset, axis), dataset.sizes[axis], axis == "momentum",
            ),
        )  # fmt: skip
    check_known(f"axis for {argument}", axis, axes)
    return axis


def _shades(values: np.ndarray) -> ScalarMappable:
    """Colours for more values than the palette has, along viridis without its palest end."""
    scale = LogNorm if scale_of(values) == "log" else Normalize
    cmap = ListedColormap(colormaps["viridis"](np.linspace(0, 0.92, 256)))
    return ScalarMappable(scale(values.min(), values.max()), cmap)


def _colours(dataset: Dataset, by: str | None, number: int) -> Sequence:
    if by is None or number <= LINES:
        return style.PALETTE
    values = axis_values(dataset, by)[1]
    return list(_shades(values).to_rgba(values))


def _panel(dataset: Dataset, ax: Axes | None, height: float = 4.8) -> Panel:
    made = one_panel(8.5, height, ax)
    style.quiet(made.axes)
    names, formulas = entries(dataset, "objective"), entries(dataset, "formula")
    title = style.title(", ".join(names), formulas[0] if len(formulas) == 1 else "")
    made.title(f"{title}\n{heading(dataset)}", 12, above=True)
    return made
