"""Paths on a landscape: one or several, on the surface and on its contours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from mpl_toolkits.mplot3d import Axes3D

from gdjax._descent.trajectory import Trajectory
from gdjax._inputs import ObjectiveLike
from gdjax._util.arguments import gate, text
from gdjax.objectives import Objective
from gdjax.plotting import given, landscape, style
from gdjax.plotting.curves import curve, finite_points, legend_entry, mark_ends
from gdjax.plotting.figure import Figure

DRAPE = 12  # samples a step, so that a path lies on the surface instead of cutting through it


@gate(label=text)
def trajectory(
    objective: ObjectiveLike,
    path: Trajectory,
    label: str = "path",
    axes: Sequence[int | str] | None = None,
) -> Figure:
    """One path: the surface with the path on it, beside contours with arrows along the path.

    In one dimension it is the curve with the points and their tangents; in more than two, the
    slice through the last point, along two of the coordinates, or through a minimum if the last
    point is out of sight. A path that leaves is drawn to the border of the picture.

    Args:
        objective: what was descended: an ``Objective``, the name of one, or the function.
        path: the result of ``gdjax.descend``.
        label: what the legend calls it.
        axes: the two components to draw, by number or by name; by default the first two.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Example:
        >>> import gdjax
        >>> f = gdjax.objectives.get("sphere")
        >>> figure = trajectory(f, gdjax.descend(f, gdjax.heavy_ball(0.1), steps=30))
    """
    return comparison(objective, {label: path}, axes)


def comparison(
    objective: ObjectiveLike,
    paths: Any,
    axes: Sequence[int | str] | None = None,
) -> Figure:
    """Several paths on one landscape, on the surface and on its contours.

    Args:
        objective: what was descended: an ``Objective``, the name of one, or the function.
        paths: trajectories by the label that the legend shows, or what ``gdjax.compare`` found.
        axes: the two components to draw, by number or by name; by default the first two.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Raises:
        ArgumentError: no paths, or axes that are not two different components.
    """
    objective, paths = given.described(objective, paths)
    if objective.dim == 1:
        return curve(objective, paths)
    points = {label: finite_points(path) for label, path in paths.items()}
    window = landscape.frame(objective, list(points.values()), landscape.pick(objective, axes))
    ground = landscape.grid(objective, window)
    figure = Figure(figsize=(12.5, 5.4), layout="constrained")
    hill = figure.add_subplot(1, 2, 1, projection="3d", computed_zorder=False)
    flat = figure.add_subplot(1, 2, 2)
    landscape.surface(hill, ground, objective, window)
    landscape.contours(flat, ground, objective, window)
    start = next(iter(points.values()))[0]
    _face(hill, start, window)
    entries: list[str] = []
    ended = False
    for (label, path), colour in zip(points.items(), style.colours(points).values(), strict=True):
        path, whole = landscape.in_sight(path, window)
        ended = ended or whole
        entries.append(legend_entry(label, paths[label], whole))
        _draw_on_surface(hill, objective, path, window, ground, colour, whole)
        at = path[:, list(window.axes)]
        _draw_on_contours(flat, at, window, entries[-1], colour, whole)
    mark_ends(flat, ended)
    handles, labels = flat.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i] not in entries)  # the paths first
    figure.legend(
        [handles[i] for i in order], [labels[i] for i in order],
        loc="outside lower center", ncols=4 if len(paths) < 5 else 3, frameon=False, fontsize=10,
    )  # fmt: skip
    slice_note = "" if objective.dim == 2 else f"   (slice through {window.through})"
    title = style.title(objective.name, objective.latex) + slice_note
    if style.fits(objective.gradient_latex):
        title += f"\n$\\nabla f = {objective.gradient_latex}$"
    figure.suptitle(title, fontsize=13)
    return figure


def _face(axes: Axes3D, start: np.ndarray, window: landscape.Window) -> None:
    """Turn the camera so that the slope under the start faces it."""
    x, y = ((window.low + window.high) / 2 - start[list(window.axes)]) / (window.high - window.low)
    axes.view_init(elev=52, azim=float(np.degrees(np.arctan2(y, x))) + 30)
    axes.set_box_aspect((1, 1, 0.66), zoom=1.12)  # pyright: ignore


def _draw_on_surface(
    axes: Axes3D,
    objective: Objective,
    path: np.ndarray,
    window: landscape.Window,
    ground: landscape.Grid,
    colour: str,
    whole: bool,
) -> None:
    share = np.linspace(0, 1, DRAPE, endpoint=False)[None, :, None]
    draped = (path[:-1, None] * (1 - share) + path[1:, None] * share).reshape(-1, path.shape[1])
    draped = np.concatenate([draped, path[-1:]])
    x, y = draped[:, window.axes[0]], draped[:, window.axes[1]]
    slack = 1e-9 * (window.high - window.low)  # a path that leaves ends on the border itself
    low, high = window.low - slack, window.high + slack
    inside = (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])
    onto = np.broadcast_to(window.base, draped.shape).copy()
    onto[:, list(window.axes)] = draped[:, list(window.axes)]
    z = landscape.evaluate(objective, onto)
    z = np.minimum(z, np.fmax.reduce(ground.z, axis=None))  # the surface is cut off there
    x, y, z = np.where(inside, (x, y, z), np.nan)
    axes.plot(x, y, z, color=colour, linewidth=1.8, path_effects=style.HALO, zorder=5)
    dots = slice(None, None if whole else -1, DRAPE)
    axes.plot(x[dots], y[dots], z[dots], ".", color=colour, markersize=3.5, zorder=6)
    for end, face, edge, size in ((0, "white", "black", 130), (-1, colour, "white", 170)):
        if end == 0 or whole:
            axes.scatter(
                x[end], y[end], z[end], marker="*", s=size, c=face, edgecolors=edge, zorder=7,
                depthshade=False,
            )  # fmt: skip


def _draw_on_contours(
    axes: Axes, path: np.ndarray, window: landscape.Window, label: str, colour: str, whole: bool
) -> None:
    axes.plot(*path.T, color=colour, linewidth=1.8, path_effects=style.HALO, label=label)
    axes.plot(*path[: None if whole else -1].T, ".", color=colour, markersize=5)
    moves = np.diff(path, axis=0)
    long = np.linalg.norm(moves / (window.high - window.low), axis=1) > 0.05
    if long.any():
        heads = (path[:-1] + 0.6 * moves)[long]
        ways = moves[long] / np.linalg.norm(moves[long], axis=1, keepdims=True)
        axes.quiver(
            *heads.T, *ways.T, color=colour, angles="xy", pivot="mid", units="inches", width=0.04,
            scale=6, scale_units="inches", headwidth=4, headlength=4, headaxislength=3.5, zorder=4,
        )  # fmt: skip
    axes.scatter(*path[0], marker="*", s=170, c="white", edgecolors="black", zorder=6)
    if whole:
        axes.scatter(*path[-1], marker="*", s=210, c=colour, edgecolors="white", zorder=7)
