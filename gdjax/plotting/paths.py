"""Paths on a landscape: one or several, on the surface and on its contours."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from gdjax._descent.trajectory import Trajectory
from gdjax._inputs import ObjectiveLike
from gdjax._util.arguments import gate, text
from gdjax.objectives import Objective
from gdjax.plotting import depth, given, landscape, style
from gdjax.plotting.curves import curve, finite_points, legend_entry, mark_ends
from gdjax.plotting.figure import Figure

TALL = 4.4  # inches of the map with its labels
ARROWS, APART, SHORT = 16, 0.1, 0.03  # at most so many a path, so far apart; on no shorter step
CLOSE = 0.004  # of the window: paths so near to each other are one to the eye
PIECES = 12  # of a step, each in sight or behind a hill
FAINT = 0.35  # how much of a colour is left of what lies behind a hill
JUMP = 0.06  # of the surface's height: a step that far off the ground shows how far


class Scene(NamedTuple):
    """The ground that paths are drawn on, and how high it is at any point of the window.

    Args:
        objective: what is descended.
        window: what of it is drawn.
        ground: the heights over the window; the surface is cut off above the highest.
    """

    objective: Objective
    window: landscape.Window
    ground: landscape.Grid

    def heights(self, at: np.ndarray) -> np.ndarray:
        """Of the surface that is drawn, at points ``(..., 2)`` of the plane."""
        z = landscape.evaluate(self.objective, self.window.points(at[..., 0], at[..., 1]))
        return np.minimum(z, np.fmax.reduce(self.ground.z, axis=None))

    def inside(self, at: np.ndarray) -> np.ndarray:
        """Which of the points ``(..., 2)`` lie in the window, its border included."""
        slack = 1e-9 * (self.window.high - self.window.low)
        return np.all((at >= self.window.low - slack) & (at <= self.window.high + slack), axis=-1)


@gate(label=text)
def trajectory(
    objective: ObjectiveLike,
    path: Trajectory,
    label: str = "path",
    axes: Sequence[int | str] | None = None,
    drape: bool = False,
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
        drape: whether lines follow the ground from step to step; by default they are straight, as
            the steps are.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Example:
        >>> import gdjax
        >>> f = gdjax.objectives.get("sphere")
        >>> figure = trajectory(f, gdjax.descend(f, gdjax.heavy_ball(0.1), steps=30))
    """
    return comparison(objective, {label: path}, axes, drape)


def comparison(
    objective: ObjectiveLike,
    paths: Any,
    axes: Sequence[int | str] | None = None,
    drape: bool = False,
) -> Figure:
    """Several paths on one landscape, on the surface and on its contours.

    Args:
        objective: what was descended: an ``Objective``, the name of one, or the function.
        paths: trajectories by the label that the legend shows, or what ``gdjax.compare`` found.
        axes: the two components to draw, by number or by name; by default the first two.
        drape: whether lines follow the ground from step to step; by default they are straight, as
            the steps are.

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
    wide, tall = window.high - window.low
    width = 1.2 + TALL * float(wide / tall) if window.one_scale else 6.6
    figure = Figure(figsize=(TALL + 1.4 + width, TALL + 1.2), layout="constrained")
    panels = figure.add_gridspec(1, 2, width_ratios=[TALL + 1.4, width])
    hill = figure.add_subplot(panels[0], projection="3d", computed_zorder=False)
    flat = figure.add_subplot(panels[1])
    landscape.surface(hill, ground, objective, window)
    landscape.contours(flat, ground, objective, window)
    start = next(iter(points.values()))[0]
    _face(hill, start, window)
    scene = Scene(objective, window, ground)
    entries: list[str] = []
    ended = False
    dashed = _overlapping(list(points.values()), window)
    for (label, path), colour, dashes in zip(
        points.items(), style.colours(points).values(), dashed, strict=True
    ):
        path, whole = landscape.in_sight(path, window)
        ended = ended or whole
        entries.append(legend_entry(objective, label, paths[label], whole))
        at = path[:, list(window.axes)]
        _draw_on_surface(hill, scene, at, colour, whole, drape)
        _draw_on_contours(flat, at, window, entries[-1], colour, whole, dashes)
    mark_ends(flat, ended)
    handles, labels = flat.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i] not in entries)  # the paths first
    figure.legend(
        [handles[i] for i in order], [labels[i] for i in order],
        loc="outside lower center", ncols=max(2, int(figure.get_figwidth() / 2.6)), frameon=False,
        fontsize=10,
    )  # fmt: skip
    if ground.coarse:
        flat.set_title("ripples are finer than this picture can show", fontsize=10, color="0.35")
    slice_note = "" if objective.dim == 2 else f"   (slice through {window.through})"
    title = style.title(objective.name, objective.latex) + slice_note
    if style.fits(objective.gradient_latex):
        title += f"\n$\\nabla f = {objective.gradient_latex}$"
    figure.suptitle(title, fontsize=13)
    return figure


def _overlapping(paths: Sequence[np.ndarray], window: landscape.Window) -> list[bool]:
    """Which paths lie on an earlier one, for the larger part of the shorter of the two."""
    size = window.high - window.low
    at = [path[:, list(window.axes)] / size for path in paths]

    def on(one: np.ndarray, other: np.ndarray) -> bool:
        n = min(len(one), len(other))
        return bool(np.median(np.abs(one[:n] - other[:n]).max(axis=1)) < CLOSE)

    return [any(on(path, earlier) for earlier in at[:i]) for i, path in enumerate(at)]


def _face(axes: Axes3D, start: np.ndarray, window: landscape.Window) -> None:
    """Turn the camera so that the slope under the start faces it."""
    x, y = ((window.low + window.high) / 2 - start[list(window.axes)]) / (window.high - window.low)
    axes.view_init(elev=52, azim=float(np.degrees(np.arctan2(y, x))) + 30)
    sides = window.high - window.low if window.one_scale else np.ones(2)
    axes.set_box_aspect((*sides / sides.max(), 0.66), zoom=1.04)  # pyright: ignore


def _draw_on_surface(
    axes: Axes3D,
    scene: Scene,
    path: np.ndarray,
    colour: str,
    whole: bool,
    drape: bool,
) -> None:
    """A path ``(n, 2)``, straight from step to step as the iterates go, or draped over the ground.

    What a hill hides is drawn faintly, and a jump through the air has its drop to the ground.
    """
    share = np.linspace(0, 1, PIECES + 1)[:, None]
    over = path[:-1, None] * (1 - share) + path[1:, None] * share  # (steps, PIECES + 1, 2)
    ends, floor = scene.heights(path), scene.heights(over)
    chord = ends[:-1, None] * (1 - share[:, 0]) + ends[1:, None] * share[:, 0]
    line = np.concatenate([over, (floor if drape else chord)[..., None]], axis=2)
    eye = depth.eye(axes)

    def draw(lines: np.ndarray, **look: Any) -> None:
        kept = lines[scene.inside(lines[..., :2]).all(axis=1)]
        drawn = Line3DCollection(kept, capstyle="round", **{"colors": colour} | look)  # pyright: ignore
        drawn.set_zorder(5)
        axes.add_collection3d(drawn, autolim=False)

    pieces = np.stack([line[:, :-1], line[:, 1:]], axis=2).reshape(-1, 2, 3)
    behind = depth.hidden(pieces.mean(axis=1), eye, scene.ground)
    draw(pieces[behind], linewidths=1.2, alpha=FAINT)
    draw(pieces[~behind], linewidths=3.6, colors="white")
    draw(pieces[~behind], linewidths=1.8)
    middle = PIECES // 2
    falls = abs(chord - floor)[:, middle] > JUMP * np.ptp(axes.get_zlim())
    if not drape and falls.any():
        tops = line[falls, middle]
        feet = np.column_stack([tops[:, :2], floor[falls, middle]])
        draw(np.stack([tops, feet], axis=1), linewidths=0.9, linestyles="dotted")
    points = np.column_stack([path, ends])
    seen, there = ~depth.hidden(points, eye, scene.ground), scene.inside(path)
    dots = np.flatnonzero((seen & there)[: None if whole else -1])
    axes.plot(*points[dots].T, ".", color=colour, markersize=3.5, zorder=6)
    for end, face, edge, size in ((0, "white", "black", 130), (-1, colour, "white", 170)):
        if end == 0 or whole:
            axes.scatter(
                *points[end], marker="*", s=size, c=face, edgecolors=edge, zorder=7,
                depthshade=False, alpha=1 if seen[end] else FAINT,
            )  # fmt: skip


def _draw_on_contours(
    axes: Axes,
    path: np.ndarray,
    window: landscape.Window,
    label: str,
    colour: str,
    whole: bool,
    dashed: bool,
) -> None:
    dashes, around = ((0, (3, 3)), None) if dashed else ("-", style.HALO)
    axes.plot(
        *path.T, color=colour, linewidth=1.8, linestyle=dashes, path_effects=around, label=label
    )
    axes.plot(*path[: None if whole else -1].T, ".", color=colour, markersize=5)
    moves = np.diff(path, axis=0)
    gone = np.append(0, np.linalg.norm(moves / (window.high - window.low), axis=1).cumsum())
    marks = np.floor(gone / max(APART, gone[-1] / ARROWS))
    long = (np.diff(marks) > 0) & (np.diff(gone) > SHORT)
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
