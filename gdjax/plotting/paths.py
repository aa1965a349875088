"""Paths on a landscape: one or several, on the surface and on its contours."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from mpl_toolkits.mplot3d import Axes3D

from gdjax._descent.trajectory import Trajectory
from gdjax._inputs import ObjectiveLike
from gdjax._util.arguments import gate, refused, text
from gdjax._util.errors import ArgumentError
from gdjax.objectives import Objective
from gdjax.plotting import given, growth, hills, landscape, style
from gdjax.plotting.curves import curve, finite_points, legend_entry, mark_ends, shown_steps
from gdjax.plotting.figure import AnyFigure, Figure, axes_in, figure_of, legend_below
from gdjax.plotting.growth import Growing

TALL = 4.4  # inches of the map with its labels
ARROWS, APART, SHORT = 16, 0.1, 0.03  # at most so many a path, so far apart; on no shorter step
CROWDED = 12  # sides of the window: a path so long, as under noise, is drawn with a fine pen
CLOSE = 0.004  # of the window: paths so near to each other are one to the eye


class Places(NamedTuple):
    """Where paths are drawn.

    Args:
        figure: the whole.
        hill: axes of the surface, if any.
        flat: axes of the contours, if any.
        own: whether the figure is made for them.
    """

    figure: AnyFigure
    hill: Axes3D | None
    flat: Axes | None
    own: bool


class Look(NamedTuple):
    """How paths are drawn, as ``comparison`` has it."""

    axes: Sequence[int | str] | None
    window: landscape.Shown
    view: Sequence[float | int] | None
    cmap: landscape.Shades

    def unless(self, other: "Look") -> "Look":
        """The same, but for what the other one asks for."""
        auto = isinstance(other.window, str) and other.window == "auto"
        return Look(
            self.axes if other.axes is None else other.axes,
            self.window if auto else other.window,
            self.view if other.view is None else other.view,
            self.cmap if other.cmap is None else other.cmap,
        )


class Drawn(NamedTuple):
    """What was drawn.

    Args:
        places: where.
        scene: the ground.
        tracks: what is in sight of the paths, by label.
        growing: what grows with their steps.
    """

    places: Places
    scene: hills.Scene
    tracks: Mapping[str, hills.Track]
    growing: Sequence[Growing]


class Kept(NamedTuple):
    """What is remembered of a picture for paths that are added later; it keeps no figure alive.

    Args:
        objective: what was descended.
        look: how.
        paths: by label.
        drawn: the hill, the flat axes and the colour bar, as far as there are such.
        own: whether the figure was made for them.
    """

    objective: Objective
    look: Look
    paths: Mapping[str, Trajectory]
    drawn: tuple[Callable[[], Any], ...]
    own: bool


_KEPT: weakref.WeakKeyDictionary[Any, Kept] = weakref.WeakKeyDictionary()


@gate(label=text)
def trajectory(
    objective: ObjectiveLike,
    path: Trajectory,
    label: str = "path",
    axes: Sequence[int | str] | None = None,
    drape: bool = False,
    *,
    window: landscape.Shown = "auto",
    view: Sequence[float | int] | None = None,
    cmap: landscape.Shades = None,
    ax: Any = None,
) -> AnyFigure:
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
        window: as of ``comparison``, as what follows.
        view: of the camera.
        cmap: of the ground.
        ax: where to draw.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Example:
        >>> import gdjax
        >>> f = gdjax.objectives.get("sphere")
        >>> figure = trajectory(f, gdjax.descend(f, gdjax.heavy_ball(0.1), steps=30))
        >>> other = gdjax.descend(f, gdjax.nesterov(0.1), start=[3, 1], steps=30)
        >>> trajectory(f, other, "nesterov", ax=figure) is figure  # beside the first one
        True
    """
    return comparison(
        objective, {label: path}, axes, drape, window=window, view=view, cmap=cmap, ax=ax
    )


def comparison(
    objective: ObjectiveLike,
    paths: Any,
    axes: Sequence[int | str] | None = None,
    drape: bool = False,
    *,
    window: landscape.Shown = "auto",
    view: Sequence[float | int] | None = None,
    cmap: landscape.Shades = None,
    ax: Any = None,
) -> AnyFigure:
    """Several paths on one landscape, on the surface and on its contours.

    Args:
        objective: what was descended: an ``Objective``, the name of one, or the function.
        paths: trajectories by the label that the legend shows, or what ``gdjax.compare`` found.
        axes: the two components to draw, by number or by name; by default the first two.
        drape: whether lines follow the ground from step to step; by default they are straight, as
            the steps are.
        window: what of the landscape is shown: ``auto`` is all paths and the known minima,
            ``domain``, or an interval for each of the two components.
        view: elevation and azimuth of the camera, in degrees; by default it faces the slope under
            the start.
        cmap: a colour map of matplotlib, by its name or itself.
        ax: axes to draw in, of two or three dimensions, or one of each; a figure that this
            function made, or such axes, get the paths beside those that are there, in the same
            window unless that is ``auto``.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Raises:
        ArgumentError: no paths, axes that are not two different components, or no such window,
            view, colour map or axes.
    """
    objective, paths = given.described(objective, paths)
    if objective.dim == 1:
        return curve(objective, paths, window=window, ax=ax)
    return draw_paths(objective, paths, drape, Look(axes, window, view, cmap), ax).places.figure


def draw_paths(
    objective: Objective,
    paths: Mapping[str, Trajectory],
    drape: bool,
    look: Look,
    ax: Any = None,
) -> Drawn:
    """As ``comparison``, of paths with points ``(n, d)``."""
    before = _before(ax, objective)
    places = None
    if before:
        look = before.look.unless(look)
        paths = {**before.paths, **_renamed(paths, before.paths)}
        places = _wiped(before)
    points = {label: finite_points(path) for label, path in paths.items()}
    picked = landscape.pick(objective, look.axes)
    seen = landscape.frame(objective, list(points.values()), picked, look.window)
    ground = landscape.grid(objective, seen)
    places = places or _places(ax, seen)
    camera = hills.camera(look.view, next(iter(points.values()))[0], seen)
    colours = style.colours(points)
    in_sight = {label: landscape.in_sight(path, seen) for label, path in points.items()}
    scene = hills.Scene(objective, seen, ground)
    tracks = {
        label: hills.Track(
            path[:, list(seen.axes)],
            shown_steps(max(paths[label].finite, 1))[: len(path)],
            colours[label],
            whole,
        )
        for label, (path, whole) in in_sight.items()
    }
    key, growing = None, list[Growing]()
    entries = {
        label: legend_entry(objective, label, paths[label], whole)
        for label, (_, whole) in in_sight.items()
    }
    if places.hill is not None:
        zoom = 1.04 if places.own else 0.92
        hills.ground(places.hill, scene, camera, look.cmap, zoom)
        for label, track in tracks.items():
            growing += hills.path(places.hill, scene, track, drape, entries[label])
    if places.flat is not None:
        key = landscape.contours(places.flat, ground, objective, seen, places.own, look.cmap)
        dashed = _overlapping(list(points.values()), seen)
        for (label, track), dashes in zip(tracks.items(), dashed, strict=True):
            growing += _draw_on_contours(places.flat, track, seen, entries[label], dashes)
        mark_ends(places.flat, any(track.whole for track in tracks.values()))
        if ground.coarse:
            places.flat.set_title(landscape.COARSE, fontsize=10, color="0.35")
    _legend(places, [*entries.values()])
    if places.own:
        _title(places.figure, objective, seen)
    parts = tuple(
        (lambda: None) if one is None else weakref.ref(one)
        for one in (places.hill, places.flat, key)
    )
    kept = Kept(objective, look, paths, parts, places.own)
    for one in (places.hill, places.flat, places.figure if places.own else None):
        if one is not None:
            _KEPT[one] = kept
    return Drawn(places, scene, tracks, growing)


def _before(ax: Any, objective: Objective) -> Kept | None:
    """What was drawn there of the same objective."""
    first = ax if ax is None or isinstance(ax, AnyFigure) else axes_in(ax)[0]
    found = None if first is None else _KEPT.get(first)
    hill, flat, _ = (part() for part in found.drawn) if found else (None,) * 3
    if not any(axes is not None and axes.has_data() for axes in (hill, flat)):
        return None  # or a user has wiped it out
    if found and (found.objective.name, found.objective.dim) != (objective.name, objective.dim):
        raise ArgumentError(
            f"ax must be axes with paths on {objective.name}, or empty ones, and these are of "
            f"{found.objective.name}"
        )
    return found


def _wiped(kept: Kept) -> Places:
    """The places of a picture, empty."""
    hill, flat, key = (part() for part in kept.drawn)
    if key is not None:
        key.remove()
    for axes in (hill, flat):
        if axes is not None:
            axes.clear()
    figure = figure_of(flat or hill)
    figure.legends.clear()
    return Places(figure, hill, flat, kept.own)


def _renamed(paths: Mapping[str, Trajectory], taken: Mapping[str, Any]) -> dict[str, Trajectory]:
    """Paths whose labels are not among those that are taken."""
    found: dict[str, Trajectory] = {}
    for label, path in paths.items():
        number, new = 2, label
        while new in taken:
            number, new = number + 1, f"{label} [{number}]"
        found[new] = path
    return found


def _places(ax: Any, window: landscape.Window) -> Places:
    """Axes of a new figure, or those that a user has made.

    Raises:
        ArgumentError: they are no axes.
    """
    if ax is not None:
        several = axes_in(ax)
        deep = [isinstance(one, Axes3D) for one in several]
        if sorted(deep) not in ([False], [True], [False, True]):
            raise refused("ax", "be axes of two or three dimensions, or one of each", ax)
        by_depth = dict(zip(deep, several, strict=True))
        return Places(figure_of(several[0]), by_depth.get(True), by_depth.get(False), False)
    wide, tall = window.high - window.low
    width = 1.2 + TALL * float(wide / tall) if window.one_scale else 6.6
    figure = Figure(figsize=(TALL + 1.4 + width, TALL + 1.2), layout="constrained")
    panels = figure.add_gridspec(1, 2, width_ratios=[TALL + 1.4, width])
    hill: Any = figure.add_subplot(panels[0], projection="3d", computed_zorder=False)
    return Places(figure, hill, figure.add_subplot(panels[1]), True)


def _legend(places: Places, entries: Sequence[str]) -> None:
    """The paths first; below the pictures, or within those of a user's figure."""
    axes: Any = places.flat or places.hill
    handles, labels = axes.get_legend_handles_labels()
    if not places.own:
        few = [handle for handle, label in zip(handles, labels, strict=True) if label in entries]
        axes.legend(handles=few, fontsize=8, framealpha=0.8)
        return
    order = sorted(range(len(labels)), key=lambda i: labels[i] not in entries)
    legend_below(places.figure, [handles[i] for i in order], most=5)


def _title(figure: AnyFigure, objective: Objective, window: landscape.Window) -> None:
    slice_note = "" if objective.dim == 2 else f"   (slice through {window.through})"
    title = style.title(objective.name, objective.latex) + slice_note
    if style.fits(objective.gradient_latex):
        title += f"\n$\\nabla f = {objective.gradient_latex}$"
    figure.suptitle(title, fontsize=13)


def _overlapping(paths: Sequence[np.ndarray], window: landscape.Window) -> list[bool]:
    """Which paths lie on an earlier one, for the larger part of the shorter of the two."""
    size = window.high - window.low
    at = [path[:, list(window.axes)] / size for path in paths]

    def on(one: np.ndarray, other: np.ndarray) -> bool:
        n = min(len(one), len(other))
        return bool(np.median(np.abs(one[:n] - other[:n]).max(axis=1)) < CLOSE)

    return [any(on(path, earlier) for earlier in at[:i]) for i, path in enumerate(at)]


def _draw_on_contours(
    axes: Axes, track: hills.Track, window: landscape.Window, label: str, dashed: bool
) -> list[Growing]:
    path, steps, colour, whole = track
    dashes, around = ((0, (3, 3)), None) if dashed else ("-", style.HALO)
    moves = np.diff(path, axis=0)
    gone = np.append(0, np.linalg.norm(moves / (window.high - window.low), axis=1).cumsum())
    crowded = gone[-1] > CROWDED
    (line,) = axes.plot(
        *path.T, color=colour, linewidth=0.7 if crowded else 1.8, linestyle=dashes, label=label,
        path_effects=None if crowded else around,
    )  # fmt: skip
    visited = slice(None if whole else -1)
    (dots,) = axes.plot(*path[visited].T, ".", color=colour, markersize=2 if crowded else 5)
    grown = [growth.line(line, steps), growth.line(dots, steps[visited])]
    marks = np.floor(gone / max(APART, gone[-1] / ARROWS))
    long = (np.diff(marks) > 0) & (np.diff(gone) > SHORT)
    if long.any():
        heads = (path[:-1] + 0.6 * moves)[long]
        ways = moves[long] / np.linalg.norm(moves[long], axis=1, keepdims=True)
        arrows = axes.quiver(
            *heads.T, *ways.T, color=colour, angles="xy", pivot="mid", units="inches", width=0.04,
            scale=6, scale_units="inches", headwidth=4, headlength=4, headaxislength=3.5, zorder=4,
        )  # fmt: skip
        grown.append(growth.from_step(arrows, int(steps[-1])))
    axes.scatter(*path[0], marker="*", s=170, c="white", edgecolors="black", zorder=6)
    if whole:
        star = axes.scatter(*path[-1], marker="*", s=210, c=colour, edgecolors="white", zorder=7)
        grown.append(growth.from_step(star, int(steps[-1])))
    return grown
