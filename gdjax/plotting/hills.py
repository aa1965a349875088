"""Surfaces in three dimensions: the ground, and what lies on it or behind a hill."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from gdjax._util.arguments import refused
from gdjax.objectives import Objective
from gdjax.plotting import depth, growth, landscape
from gdjax.plotting.growth import Growing

PIECES = 12  # of a step, each in sight or behind a hill
FAINT = 0.35  # how much of a colour is left of what lies behind a hill
JUMP = 0.06  # of the surface's height: a step that far off the ground shows how far
NOTE = "note"  # what the words beside a surface are known by
ELEVATION = 52.0  # of the camera, in degrees
NUMBER = int | float | np.integer | np.floating
MOST = 1e6  # degrees: neither NaN nor infinity is less


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


class Track(NamedTuple):
    """What is in sight of a path.

    Args:
        at: its points in the plane that is drawn, ``(n, 2)``.
        steps: of these points.
        colour: of it.
        whole: whether its end is among them.
    """

    at: np.ndarray
    steps: np.ndarray
    colour: str
    whole: bool


def camera(
    view: Sequence[float | int] | None, start: np.ndarray, window: landscape.Window
) -> tuple[float, float]:
    """Elevation and azimuth: those asked for, or such that the slope under the start faces them.

    Raises:
        ArgumentError: not two finite numbers.
    """
    if view is None:
        at = (window.low + window.high) / 2 - start[list(window.axes)]
        x, y = at / (window.high - window.low)
        return ELEVATION, float(np.degrees(np.arctan2(y, x))) + 30
    several = [*view] if isinstance(view, list | tuple) else [*np.ravel(np.asarray(view))]
    numbers = [x for x in several if isinstance(x, NUMBER) and not isinstance(x, bool)]
    if (len(several), len(numbers)) != (2, 2) or not all(abs(x) < MOST for x in numbers):
        raise refused("view", "be elevation and azimuth in degrees, such as [45,-60]", view)
    return float(numbers[0]), float(numbers[1])


def ground(
    axes: Axes3D,
    scene: Scene,
    camera: tuple[float, float],
    cmap: landscape.Shades = None,
    zoom: float = 0.92,
) -> None:
    """The surface, seen by the camera."""
    window = scene.window
    landscape.surface(axes, scene.ground, scene.objective, window, cmap)
    axes.computed_zorder = False
    axes.view_init(*camera)
    sides = window.high - window.low if window.one_scale else np.ones(2)
    axes.set_box_aspect((*sides / sides.max(), 0.66), zoom=zoom)  # pyright: ignore


def path(axes: Axes3D, scene: Scene, track: Track, drape: bool, label: str) -> list[Growing]:
    """A path, straight from step to step as the iterates go, or along the ground if it is draped.

    What a hill hides is drawn faintly, and a jump through the air has its drop to the ground.

    Returns:
        What of it grows with the steps.
    """
    at, steps, colour, whole = track
    grown: list[Growing] = []
    share = np.linspace(0, 1, PIECES + 1)[:, None]
    over = at[:-1, None] * (1 - share) + at[1:, None] * share  # (steps, PIECES + 1, 2)
    ends, floor = scene.heights(at), scene.heights(over)
    chord = ends[:-1, None] * (1 - share[:, 0]) + ends[1:, None] * share[:, 0]
    line = np.concatenate([over, (floor if drape else chord)[..., None]], axis=2)
    eye = depth.eye(axes)

    def draw(lines: np.ndarray, since: np.ndarray, **look: Any) -> None:
        kept = scene.inside(lines[..., :2]).all(axis=1)
        drawn = Line3DCollection(lines[kept], capstyle="round", **{"colors": colour} | look)  # pyright: ignore
        drawn.set_zorder(5)
        axes.add_collection3d(drawn, autolim=False)
        grown.append(growth.segments(drawn, lines[kept], since[kept]))

    pieces = np.stack([line[:, :-1], line[:, 1:]], axis=2).reshape(-1, 2, 3)
    behind = depth.hidden(pieces.mean(axis=1), eye, scene.ground)
    since = np.repeat(steps[1:], PIECES)
    draw(pieces[behind], since[behind], linewidths=1.2, alpha=FAINT)
    notes = ["faint: behind a hill"] if behind.any() else []
    draw(pieces[~behind], since[~behind], linewidths=3.6, colors="white")
    draw(pieces[~behind], since[~behind], linewidths=1.8, label=label)
    middle = PIECES // 2
    falls = abs(chord - floor)[:, middle] > JUMP * np.ptp(axes.get_zlim())
    if not drape and falls.any():
        tops = line[falls, middle]
        feet = np.column_stack([tops[:, :2], floor[falls, middle]])
        draw(np.stack([tops, feet], axis=1), steps[1:][falls], linewidths=0.9, linestyles="dotted")
        notes.append("dotted: down to the ground")
    _note(axes, notes)
    points = np.column_stack([at, ends])
    seen, there = ~depth.hidden(points, eye, scene.ground), scene.inside(at)
    dots = np.flatnonzero((seen & there)[: None if whole else -1])
    (drawn,) = axes.plot(*points[dots].T, ".", color=colour, markersize=3.5, zorder=6)
    grown.append(growth.line(drawn, steps[dots]))
    for end, face, edge, size in ((0, "white", "black", 130), (-1, colour, "white", 170)):
        if end == 0 or whole:
            star = axes.scatter(
                *points[end], marker="*", s=size, c=face, edgecolors=edge, zorder=7,
                depthshade=False, alpha=1 if seen[end] else FAINT,
            )  # fmt: skip
            grown.append(growth.from_step(star, int(steps[end])))
    return grown


def _note(axes: Axes3D, notes: Sequence[str]) -> None:
    """Say beside a surface what its lines mean, each once."""
    told = [text for text in axes.texts if text.get_gid() == NOTE]
    before: list[str] = told[0].get_text().split("\n") if told else []
    for text in told:
        text.remove()
    every = [*before, *(note for note in notes if note not in before)]
    if every:
        axes.text2D(
            0.0, 1.0, "\n".join(every), transform=axes.transAxes, va="top",
            fontsize=9, color="0.4", gid=NOTE,
        )  # fmt: skip
