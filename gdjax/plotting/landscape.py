"""The ground that paths are drawn on: a window on an objective, as surface and as contours."""

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, PowerNorm
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D

from gdjax import objectives
from gdjax._inputs import is_count
from gdjax._util.arguments import refused
from gdjax._util.errors import ArgumentError, check_known
from gdjax.objectives import Objective
from gdjax.plotting import style

CLIFF = 1e3  # how high above the lowest point a picture shows, in heights of the middle point
POLE = 8  # likewise, in heights of nearly all points: what towers above is a pole
MARGIN = 0.12  # of the window, around what it must show
SQUARE = 0.75  # the shorter side of a window with one scale, at least, in the longer ones
COARSE = "ripples are finer than this picture can show"
FINEST = 4  # times as many points a side as usual: about one a pixel
PROBES = (0.23, 0.52, 0.81)  # of the window, where lines are laid across it
BETWEEN = 0.03  # of the height, by which most values may lie off the line between their neighbours
IN_SLICE = 1e-3  # how far from a slice a minimum may lie to be drawn, in widths of the domain


Shades: TypeAlias = str | Colormap | None  # a colour map, or gdjax's own
Shown: TypeAlias = str | Sequence[Sequence[float | int]]  # auto, domain, or intervals


class Window(NamedTuple):
    """A rectangle in the plane of two coordinates; the others stay at ``base``.

    In one dimension it is an interval: one coordinate instead of two.

    Args:
        low, high: corners, ``(2,)``.
        axes: which two coordinates are drawn.
        base: the point through which the plane is laid, ``(d,)``.
        through: what that point is, in words.
        one_scale: whether a unit is as long on one axis as on the other.
    """

    low: np.ndarray
    high: np.ndarray
    axes: tuple[int, ...]
    base: np.ndarray
    through: str = "the start"
    one_scale: bool = False

    def points(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The points ``(..., d)`` of the plane at these two coordinates."""
        points = np.broadcast_to(self.base, (*x.shape, len(self.base))).copy()
        points[..., self.axes[0]], points[..., self.axes[1]] = x, y
        return points


class Grid(NamedTuple):
    """Values over a window: ``x`` and ``y`` are ``(n,)``, ``z`` is ``(n, n)`` with rows along y.

    ``coarse`` says that even so many points a side do not show what lies between two of them.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    coarse: bool = False


def one_scale(objective: Objective, axes: Sequence[int] = (0, 1)) -> bool:
    """Whether two components are alike, so that a right angle can be drawn as one.

    Parameters of a fit have units of their own.
    """
    sides = objective.width[list(axes)]
    return objective.fit is None and len(sides) == 2 and bool(max(sides) < 3 * min(sides))


def frame(
    objective: Objective,
    paths: Sequence[np.ndarray],
    axes: tuple[int, ...] = (0, 1),
    shown: Shown = "auto",
) -> Window:
    """What of the objective is drawn: by default all paths and the known minima, with a margin.

    Of a bowl with one minimum it is the whole bowl: the far side of each start, too.
    Points beyond twice the domain, and farther out than every start, are left out of sight: one
    diverging path must not shrink the rest to a dot. Of more than two dimensions, the slice goes
    through the first path's last point; where that is out of sight, through the first known
    minimum, or the domain's centre.

    Args:
        objective: what is drawn.
        paths: points ``(n, d)`` of each.
        axes: the components that are drawn.
        shown: ``auto`` as above, ``domain``, or an interval for each of the components.

    Raises:
        ArgumentError: no such window, or a domain that is not known.
    """
    picked = list(axes)
    starts = np.array([path[0] for path in paths])
    everywhere = np.maximum(objective.width, np.abs(starts - objective.center).max(axis=0))
    reach = everywhere[picked]
    low, high = objective.center[picked] - reach, objective.center[picked] + reach
    minima = objective.known_minima
    of_interest = [*paths, minima, _far_sides(objective, starts)]
    seen = np.concatenate([points[:, picked] for points in of_interest])
    seen = seen[np.all((seen >= low) & (seen <= high), axis=1)]
    if not len(seen):
        seen = np.stack([low, high])
    low, high = seen.min(axis=0), seen.max(axis=0)
    side = np.maximum(high - low, 0.04 * reach)
    alike = one_scale(objective, axes)
    side = np.maximum(side, side.max() * (SQUARE if alike else 0.6 * reach / reach.max()))
    middle, half = (low + high) / 2, side * (0.5 + MARGIN)
    base, through = objective.center, "the domain's centre"
    if np.all(np.abs(paths[0][-1] - objective.center) <= everywhere):
        base, through = paths[0][-1], "the last point"
    elif len(objective.known_minima):
        base, through = objective.known_minima[0], "a known minimum"
    low, high = middle - half, middle + half
    if not (isinstance(shown, str) and shown == "auto"):
        low, high = _asked(objective, axes, shown)
        sides = high - low
        alike = alike and bool(max(sides) < 3 * min(sides))
    return Window(low, high, axes, np.asarray(base, dtype=float), through, alike)


def _asked(objective: Objective, axes: tuple[int, ...], shown: Any) -> tuple[Any, Any]:
    """The corners of a window that is asked for."""
    if isinstance(shown, str) and shown == "domain":
        low, high = objective.needs_domain("window='domain'").T
        return low[list(axes)], high[list(axes)]
    try:
        given = np.asarray(shown)
        low, high = given.reshape(len(axes), 2).T.astype(float)
    except (TypeError, ValueError, OverflowError):
        given = low = high = np.array([np.nan])
    finite = np.isfinite(low).all() and np.isfinite(high).all()
    if given.dtype.kind not in "iuf" or not finite or not (low < high).all():
        pairs = ",".join(["[-1,1]"] * len(axes))
        raise refused("window", f"be auto, domain, or intervals such as [{pairs}]", shown)
    return low, high


def _far_sides(objective: Objective, starts: np.ndarray) -> np.ndarray:
    """Across the one minimum of a bowl from each start, ``(k, d)``; none where it is no bowl."""
    if len(objective.known_minima) != 1:
        return starts[:0]
    (minimum,), (lowest,) = objective.known_minima, objective.minimum_values
    half = objective.width / 2
    far = np.clip(2 * minimum - starts, objective.center - half, objective.center + half)
    here, there = evaluate(objective, starts), evaluate(objective, far)
    return far[there - lowest <= 2 * (here - lowest)]


def in_sight(path: np.ndarray, window: Window) -> tuple[np.ndarray, bool]:
    """A path up to where it leaves the window for good, and whether it ends inside instead.

    The last piece of a path that leaves goes to the border.
    """
    at = path[:, list(window.axes)]
    inside = np.all((at >= window.low) & (at <= window.high), axis=1)
    last = int(np.flatnonzero(inside)[-1]) if inside.any() else 0
    if last == len(path) - 1:
        return path, True
    move = at[last + 1] - at[last]
    room = np.where(move > 0, window.high - at[last], window.low - at[last])
    share = np.min(room[move != 0] / move[move != 0])
    border = path[last] + share * (path[last + 1] - path[last])
    return np.concatenate([path[: last + 1], border[None]]), False


def evaluate(objective: Objective, points: np.ndarray) -> np.ndarray:
    """The objective at each of the points ``(..., d)``, in one vectorised call."""
    flat = jnp.asarray(points.reshape(-1, objective.dim), dtype=float)
    values = objectives.evaluate(objective.cast(flat.dtype), flat)
    return np.asarray(values, dtype=float).reshape(points.shape[:-1])


def grid(objective: Objective, window: Window, resolution: int = 161) -> Grid:
    """Values over a window, cut off far above the middle one: a pole would flatten all the rest.

    There are ``resolution`` points a side, or twice or four times as many where ripples of the
    landscape are too narrow for so few, which would draw a pattern that is not there.
    """
    factor, coarse = _fineness(objective, window, resolution)
    x, y = np.linspace(window.low, window.high, (resolution - 1) * factor + 1).T
    z = evaluate(objective, window.points(*np.meshgrid(x, y)))
    finite = z[np.isfinite(z)]
    if finite.size:
        low, middle, nearly_all = np.quantile(finite, [0, 0.5, 0.98])
        room = min(CLIFF * (middle - low), POLE * (nearly_all - low))
        z = np.minimum(z, low + room) if room > abs(low) / CLIFF else z  # else all of it is flat
    return Grid(x, y, z, coarse)


def _fineness(objective: Objective, window: Window, resolution: int) -> tuple[int, bool]:
    """How many times as many points a side show what is there, and whether not even those do.

    It is looked for along a few lines across the window: where those between two points are not
    nearly on the line between them, there is more to see.
    """
    fine = np.linspace(window.low, window.high, (resolution - 1) * 2 * FINEST + 1)
    lines = []
    for share in PROBES:
        x, y = window.low + share * (window.high - window.low)
        lines += [(fine[:, 0], np.full(len(fine), y)), (np.full(len(fine), x), fine[:, 1])]
    z = evaluate(objective, window.points(*np.moveaxis(np.array(lines), 1, 0)))
    if not np.isfinite(z).any():
        return 1, False
    z = np.where(np.isfinite(z), z, np.nan)
    low, high = np.nanquantile(z, [0.05, 0.95])
    places = np.arange(z.shape[1])
    factor = 1
    while True:
        step = 2 * FINEST // factor
        between = np.array([np.interp(places, places[::step], line[::step]) for line in z])
        if np.nanquantile(abs(between - z), 0.9) <= BETWEEN * (high - low):
            return factor, False
        if factor == FINEST:
            return factor, True
        factor *= 2


def norm(ground: Grid) -> PowerNorm:
    """Colours by a power of the height, such that half of the ground lies below the middle one."""
    z = ground.z[np.isfinite(ground.z)]
    low, middle, high = np.quantile(z, [0, 0.5, 1]) if z.size else (0.0, 0.5, 1.0)
    spread = max(high - low, 1e-6 * max(abs(low), abs(high)), 1e-30)
    if not low < middle < high or high - low < spread:  # level, but for rounding
        return PowerNorm(1.0, vmin=low, vmax=low + spread)
    gamma = np.log(0.5) / np.log((middle - low) / (high - low))
    return PowerNorm(float(np.clip(gamma, 0.2, 1.0)), vmin=low, vmax=high)


def contours(
    axes: Axes,
    ground: Grid,
    objective: Objective,
    window: Window,
    bar: bool = True,
    cmap: Shades = None,
) -> Colorbar | None:
    """Filled contours with thin lines, the known minima in sight, and a colour bar if wanted."""
    shades = norm(ground)
    levels = np.unique(shades.inverse(np.linspace(0, 1, 29)))
    filled = axes.contourf(
        ground.x, ground.y, ground.z, levels, cmap=shades_of(cmap), norm=shades, extend="max"
    )
    if not ground.coarse:
        axes.contour(
            ground.x, ground.y, ground.z, levels[1::2],
            colors="white", linewidths=0.5, linestyles="solid",
        )  # fmt: skip
    for kind, points in stationary(objective).items():
        away = np.abs(points - window.base) / objective.width
        away[:, list(window.axes)] = 0
        at = points[np.all(away <= IN_SLICE, axis=1)][:, list(window.axes)]
        mark(axes, kind, *at[np.all((at >= window.low) & (at <= window.high), axis=1)].T)
    if window.one_scale:
        axes.set_aspect("equal")
    axes.set(
        xlim=(window.low[0], window.high[0]),
        ylim=(window.low[1], window.high[1]),
        xlabel=style.component(objective.variables[window.axes[0]]),
        ylabel=style.component(objective.variables[window.axes[1]]),
    )
    if not bar:
        return None
    ticks = MaxNLocator(8).tick_values(levels[0], levels[-1])
    ticks = ticks[(ticks >= levels[0]) & (ticks <= levels[-1])]
    key = axes.figure.colorbar(filled, ax=axes, pad=0.02, shrink=0.95, ticks=ticks)
    key.ax.set_title("f", fontsize=10)
    key.outline.set_visible(False)  # type: ignore[operator]  # a Patch, typed as a callable
    return key


def shades_of(cmap: Shades) -> Colormap:
    """A colour map by its name in matplotlib, or itself; by default gdjax's own.

    Raises:
        ArgumentError: no such name.
    """
    if cmap is None:
        return style.LANDSCAPE
    if isinstance(cmap, str):
        if cmap not in colormaps:
            near = difflib.get_close_matches(cmap, [*colormaps])
            hint = f"did you mean {near[0]!r}?" if near else "matplotlib.colormaps lists them"
            raise ArgumentError(f"unknown colour map {cmap!r:.50}; {hint}")
        return colormaps[cmap]
    if not isinstance(cmap, Colormap):
        raise refused("cmap", "be the name of a colour map of matplotlib", cmap)
    return cmap


def stationary(objective: Objective) -> dict[str, np.ndarray]:
    """The known stationary points by what they are, each ``(k, d)``."""
    minima = objective.known_minima
    lowest = 0 if objective.fmin is None else len(objective.minima)
    kinds = {
        "global minimum": minima[:lowest], "local minimum": minima[lowest:],
        "saddle": objective.saddles, "maximum": objective.maxima,
    }  # fmt: skip
    return {
        kind: np.asarray(points, float).reshape(-1, objective.dim) for kind, points in kinds.items()
    }


def mark(axes: Axes, kind: str, x: np.ndarray, y: np.ndarray, zorder: float = 2.5) -> None:
    """The mark of a kind of stationary point at each place, and its entry in the legend."""
    if not len(x):
        return
    common = {"linewidths": 1.3, "zorder": zorder, "path_effects": style.RIM, "label": kind}
    if kind == "saddle":
        axes.scatter(x, y, s=30, c="white", marker="x", **common)
        return
    axes.scatter(
        x, y, s=46, marker="^" if kind == "maximum" else "o", edgecolors="white",
        facecolors="white" if kind == "global minimum" else "none", **common,
    )  # fmt: skip


def surface(
    axes: Axes3D, ground: Grid, objective: Objective, window: Window, cmap: Shades = None
) -> None:
    """The surface with its axes."""
    x, y = np.meshgrid(ground.x, ground.y)
    many = min(len(ground.x) // 2, 160)
    axes.plot_surface(
        x, y, ground.z, cmap=shades_of(cmap), norm=norm(ground), rcount=many, ccount=many,
        linewidth=0, antialiased=False, zorder=1,
    )  # fmt: skip
    axes.set(
        xlabel=style.component(objective.variables[window.axes[0]]),
        ylabel=style.component(objective.variables[window.axes[1]]),
        zlabel="f",
        xlim=(window.low[0], window.high[0]),
        ylim=(window.low[1], window.high[1]),
    )
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_rotate_label(False)  # type: ignore[attr-defined]  # an index is small enough
        axis.pane.set_facecolor("white")  # type: ignore[attr-defined]
        axis._axinfo["grid"].update(color="0.88", linewidth=0.6)  # type: ignore[attr-defined]


def pick(objective: Objective, axes: Sequence[int | str] | None) -> tuple[int, int]:
    """The two components to draw, by number or by name; by default the first two.

    Raises:
        ArgumentError: not two different components of the objective.
    """
    if axes is None:
        return 0, 1
    if not isinstance(axes, list | tuple) or len(axes) != 2:
        raise refused("axes", f"be two components of {objective.name}", axes)
    found = []
    for axis in axes:
        if isinstance(axis, str):
            check_known(f"component of {objective.name}", axis, objective.variables)
            axis = objective.variables.index(axis)
        if not is_count(axis) or not 0 <= axis < objective.dim:
            raise ArgumentError(
                f"axes must lie between 0 and {objective.dim - 1}, as {objective.name} has "
                f"{objective.dim} components, got {axis}"
            )
        found.append(axis)
    if found[0] == found[1]:
        raise ArgumentError(f"axes must be two different components, got {axes[0]!r} twice")
    return found[0], found[1]
