"""Small multiples: the recorded paths of a sweep, one panel a setting."""

import itertools
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gdjax._inputs import ObjectiveLike
from gdjax._util.arguments import gate
from gdjax._util.errors import ArgumentError
from gdjax.plotting import given, landscape, style
from gdjax.plotting.datasets import Dataset, Status, axes_of, heading, setting, statuses
from gdjax.plotting.figure import Figure, legend_below

SIDE = 4  # panels along a side, and values drawn of an axis
PATHS = 12  # in one panel
INKS = {
    Status.GLOBAL: "#0072B2",
    Status.LOCAL: "#D55E00",
    Status.UNLISTED: "#009E73",
    Status.STALLED: "#CC79A7",
    Status.MOVING: "0.35",
    Status.LOST: "#000000",
}


@gate(dataset=given.sweep_results)
def paths_grid(dataset: Dataset, objective: ObjectiveLike) -> Figure:
    """Recorded paths on the landscape, one panel a setting, coloured by where each ended up.

    Two hyperparameter axes make rows and columns, one makes a row, and a sweep over starts alone
    has one panel a start. Of longer axes up to 4 values are drawn, evenly picked, the first and
    the last among them; of one axis, or of starts alone, up to 12.

    Args:
        dataset: a sweep that recorded ``points``, over at most two hyperparameter axes.
        objective: what was swept, of dimension 2.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Raises:
        ArgumentError: no recorded points, an objective that is not two-dimensional, or more than
            two hyperparameter axes.
    """
    if "points" not in dataset.data_vars:
        raise ArgumentError("paths_grid needs recorded points, this sweep kept summaries alone")
    objective = given.swept(objective, dataset)
    if objective.dim != 2:
        raise ArgumentError(f"paths_grid needs 2 dimensions, {objective.name} has {objective.dim}")
    axes = axes_of(dataset)
    if len(axes) > 2:
        raise ArgumentError(
            f"paths_grid needs at most two hyperparameter axes, got {', '.join(axes)}; pick first, "
            f"such as dataset.isel({axes[-1]}=0)"
        )
    picked, columns = _picked(dataset, axes)
    rows = -(-len(picked) // columns)
    drawn = [_paths(dataset.isel(at)) for at in picked]
    window = landscape.frame(objective, [path for paths, _ in drawn for path in paths])
    ground = landscape.grid(objective, window, resolution=121)
    width, height = window.high - window.low
    wide = 3.0 if len(picked) > 1 else 5.0
    tall = wide * float(np.clip(height / width, 0.5, 1.6))
    figure = Figure(figsize=(wide * columns + 0.6, tall * rows + 1.3), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for panel, at, (paths, ended) in zip(panels, picked, drawn, strict=False):
        landscape.contours(panel, ground, objective, window, bar=False)
        for path, fate in zip(paths, ended, strict=True):
            _draw(panel, path, INKS[Status(fate)], window)
        title = setting(dataset, **at) if axes else f"from {style.point(paths[0][0])}"
        panel.set_title(title, fontsize=10)
        panel.label_outer()
    for panel in panels[len(picked) :]:
        panel.set_axis_off()
    seen = {Status(fate) for _, ended in drawn for fate in ended}
    handles: list[Any] = [
        Line2D([], [], color=INKS[fate], linewidth=2, label=fate.label) for fate in sorted(seen)
    ]
    told = {handle.get_label() for handle in handles}
    marks = panels[0].get_legend_handles_labels()[0]  # of stationary points
    handles += [mark for mark in marks if mark.get_label() not in told]
    legend_below(figure, handles, most=5)
    every = dataset.sizes["start"]
    few = max(len(paths) for paths, _ in drawn) if axes else len(drawn)
    part = "" if few == every else f", {few} of {every:,} starts"
    figure.suptitle(
        f"{style.title(objective.name, objective.latex)}\n{heading(dataset)}{part}", fontsize=12
    )
    return figure


def _picked(dataset: Dataset, axes: tuple[str, ...]) -> tuple[list[dict[str, int]], int]:
    """The settings to draw, as indices by axis, row by row, and the number of columns."""
    if len(axes) == 2:
        first, second = (_evenly(dataset["outcome"].sizes[axis], SIDE) for axis in axes)
        pairs = itertools.product(second[::-1], first)  # the second axis upwards
        return [{axes[0]: i, axes[1]: j} for j, i in pairs], len(first)
    axis = axes[0] if axes else "start"
    indices = _evenly(dataset["outcome"].sizes[axis], PATHS)
    rows = -(-len(indices) // SIDE)
    return [{axis: i} for i in indices], -(-len(indices) // rows)


def _evenly(size: int, number: int) -> list[int]:
    return np.unique(np.linspace(0, size - 1, min(size, number)).round().astype(int)).tolist()


def _paths(cells: Dataset) -> tuple[list[np.ndarray], np.ndarray]:
    """The paths of one setting, each up to its last finite point, and their fates."""
    points = np.asarray(cells["points"].values, dtype=float)
    points = points.reshape(-1, *points.shape[-2:])
    chosen = _evenly(len(points), PATHS)
    paths = []
    for path in points[chosen]:
        finite = np.isfinite(path).all(axis=1)
        paths.append(path[: max(len(path) if finite.all() else int(finite.argmin()), 1)])
    return paths, statuses(cells).reshape(-1)[chosen]


def _draw(axes: Axes, path: np.ndarray, colour: str, window: landscape.Window) -> None:
    path, whole = landscape.in_sight(path, window)
    axes.plot(*path.T, color=colour, linewidth=1.3, path_effects=style.HALO, zorder=3)
    axes.plot(*path[: None if whole else -1].T, ".", color=colour, markersize=2.5, zorder=3)
    axes.scatter(*path[0], marker="*", s=60, c="white", edgecolors="black", zorder=5)
    if whole:
        axes.scatter(*path[-1], marker="*", s=80, c=colour, edgecolors="white", zorder=6)
