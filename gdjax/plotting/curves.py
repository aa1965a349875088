"""Curves: a one-dimensional objective with its descents, and convergence against the step."""

from collections.abc import Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gdjax._descent.outcomes import Outcome
from gdjax._descent.trajectory import Trajectory
from gdjax._inputs import ObjectiveLike
from gdjax._util.errors import ArgumentError
from gdjax.objectives import Objective
from gdjax.plotting import given, growth, landscape, style
from gdjax.plotting.figure import AnyFigure, one_panel
from gdjax.plotting.growth import Growing

TANGENTS = 8  # more would cover the curve
NUMBERED = 8  # steps, likewise
SAME = 0.02  # decades: curves so near to each other are one to the eye
MOST_POINTS = 100_000  # of a path or a curve: a picture has a hundredth of that in pixels


def curve(
    objective: ObjectiveLike,
    paths: Any,
    *,
    window: landscape.Shown = "auto",
    ax: Axes | None = None,
) -> AnyFigure:
    """A one-dimensional objective, the points that each descent visited, and their tangents.

    Points are joined in the order of the steps, and the first ones of a path bear their number; of
    a second path below them, of more paths none. Points beyond twice the domain, and farther out
    than every start, are left out of sight.

    Args:
        objective: of dimension 1, also its name or the function.
        paths: trajectories by the label that the legend shows, or what ``gdjax.compare`` found.
        window: ``auto`` for all of that, ``domain``, or an interval.
        ax: axes to draw in; by default those of a new figure.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Example:
        >>> import gdjax
        >>> f = gdjax.objectives.get("parabola")
        >>> figure = curve(f, {"plain": gdjax.descend(f, gdjax.gradient_descent(0.1), steps=9)})
    """
    objective, paths = given.described(objective, paths)
    if objective.dim != 1:
        raise ArgumentError(f"curve needs 1 dimension, {objective.name} has {objective.dim}")
    return draw_curve(objective, paths, window, ax)[0]


def draw_curve(
    objective: Objective,
    paths: Mapping[str, Trajectory],
    window: landscape.Shown,
    ax: Axes | None = None,
) -> tuple[AnyFigure, list[Growing]]:
    """As ``curve``, of paths with points ``(n, 1)``; with what grows with their steps."""
    panel = one_panel(8.5, 5, ax)
    axes = panel.axes
    points = {label: finite_points(path) for label, path in paths.items()}
    seen_of = landscape.frame(objective, list(points.values()), (0,), window)
    low, high = seen_of.low[0], seen_of.high[0]
    x = np.linspace(low, high, 601)
    axes.plot(x, landscape.evaluate(objective, x[:, None]), color="0.35", linewidth=1.6, zorder=1)
    slope_at = jax.vmap(jax.grad(objective.value))
    ended, places, growing = False, [9, -16], list[Growing]()
    for (label, path), colour in zip(points.items(), style.colours(points).values(), strict=True):
        whole = landscape.in_sight(path, seen_of)[1]
        ended = ended or whole
        seen = np.flatnonzero((path[:, 0] >= low) & (path[:, 0] <= high))
        path = path[seen, 0]
        y = landscape.evaluate(objective, path[:, None])
        entry = legend_entry(objective, label, paths[label], whole)
        gaps = np.flatnonzero(np.diff(seen) > 1) + 1  # nothing joins points around one out of sight
        joined = (np.insert(column.astype(float), gaps, np.nan) for column in (path, y))
        (line,) = axes.plot(
            *joined, ".-", color=colour, markersize=11, linewidth=0.9, label=entry, zorder=3
        )
        steps = shown_steps(max(paths[label].finite, 1))[seen]
        growing.append(growth.line(line, np.insert(steps, gaps, steps[gaps])))
        if places:
            _number(axes, steps, path, y, (high - low) / 40, places.pop(0), colour)
        half = 0.15 * (high - low)
        slopes = np.asarray(slope_at(jnp.asarray(path[:TANGENTS, None])))[:, 0]
        for at, height, slope, step in zip(path, y, slopes, steps, strict=False):
            reach = np.array([-half, half])
            (tangent,) = axes.plot(
                at + reach, height + slope * reach, color=colour, alpha=0.6, linewidth=1, zorder=2
            )
            growing.append(growth.from_step(tangent, int(step)))
        axes.scatter(path[0], y[0], marker="*", s=170, c="white", edgecolors="black", zorder=5)
        if whole:
            star = axes.scatter(
                path[-1], y[-1], marker="*", s=210, c=colour, edgecolors="white", zorder=6
            )
            growing.append(growth.from_step(star, int(steps[-1])))
    for kind, found in landscape.stationary(objective).items():
        if len(found):
            landscape.mark(
                axes, kind, found[:, 0], landscape.evaluate(objective, found), zorder=4.0
            )
    mark_ends(axes, ended)
    style.quiet(axes)
    axes.set(xlabel=style.component(objective.variables[0]), ylabel="f", xlim=(low, high))
    panel.title(style.title(objective.name, objective.latex))
    panel.legend()
    return panel.figure, growing


def _number(
    axes: Axes,
    steps: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    apart: float,
    above: int,
    colour: str,
) -> None:
    """Write their steps at the first points that stand apart from each other and the start."""
    told = [float(x[0])]
    for step, *at in zip(steps[1:], x[1:], y[1:], strict=True):
        if all(abs(at[0] - other) > apart for other in told):
            told.append(float(at[0]))
            axes.annotate(
                str(step), (at[0], at[1]), (0, above), textcoords="offset points", color=colour,
                fontsize=9, ha="center", path_effects=style.HALO, zorder=7,
            )  # fmt: skip
        if len(told) > NUMBERED:
            break


def finite_points(path: Trajectory) -> np.ndarray:
    """The points of a path up to its last finite one, ``(m, d)``; at least the start.

    Of more than a picture can show, evenly chosen ones.
    """
    return np.asarray(np.asarray(path.points)[shown_steps(max(path.finite, 1))], dtype=float)


def shown_steps(count: int) -> np.ndarray:
    """The steps that a picture shows, of so many: all, or evenly chosen ones with both ends.

    Example:
        >>> shown_steps(4).tolist(), len(shown_steps(10**8)), shown_steps(10**8)[-1].item()
        ([0, 1, 2, 3], 100000, 99999999)
    """
    return np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(int)


def legend_entry(objective: Objective, label: str, path: Trajectory, whole: bool) -> str:
    """What a legend says of a path: its label, and what its end is."""
    outcome, minimum = Outcome(int(path.outcome)), int(path.minimum)
    if outcome == Outcome.CONVERGED:
        is_global = objective.fmin is not None and minimum < len(objective.minima)
        end = "global minimum" if is_global else "local minimum"
        end = end if minimum >= 0 else "minimum, not listed"
    else:
        end = "still moving" if outcome == Outcome.MAX_STEPS else str(outcome)
    lost = outcome in (Outcome.DIVERGED, Outcome.NONFINITE)
    return f"{label}:  {end}" + ("" if whole or lost else ", out of sight")


def mark_ends(axes: Axes, ended: bool) -> None:
    """Legend entries for the stars at the start and, where there is one, at the end."""
    axes.scatter([], [], marker="*", s=120, c="white", edgecolors="black", label="start")
    if ended:
        axes.scatter([], [], marker="*", s=120, c="0.5", edgecolors="white", label="end")


def convergence(objective: ObjectiveLike, paths: Any, *, ax: Axes | None = None) -> AnyFigure:
    """Convergence: f − f* against the step, logarithmic, for one or several descents.

    Where the minimum is not known it is f itself, or if that is not always positive, f less the
    best value that any of the paths met; where all of them diverge, f on both sides of 0. What lies
    below the resolution of the values, 0 and negative differences among them, is drawn at it;
    where f* is 0 and has no rounding to tell from, they are left out.

    Args:
        objective: what was descended: an ``Objective``, the name of one, or the function.
        paths: trajectories by the label that the legend shows, or what ``gdjax.compare`` found.
        ax: axes to draw in; by default those of a new figure.

    Returns:
        A matplotlib figure; nothing is shown or saved.
    """
    objective, paths = given.described(objective, paths)
    panel = one_panel(8.5, 4.6, ax)
    axes = panel.axes
    values = {k: np.asarray(t.values, float)[: max(t.finite, 1)] for k, t in paths.items()}
    lost = (Outcome.DIVERGED, Outcome.NONFINITE)
    kept = [value for k, value in values.items() if int(paths[k].outcome) not in lost]
    best, known, scale = objective.fmin, "f − f*", "log"
    if best is None and all((value > 0).all() for value in values.values()):
        best, known = 0.0, "f"  # a sum of squares, say
    elif best is None and kept:
        best, known = min(np.min(value) for value in kept), "f − best value met"
    elif best is None:
        best, known, scale = 0.0, "f", "symlog"
    dtype = np.result_type(*(np.asarray(t.values).dtype for t in paths.values()))
    floor = _resolution(values.values(), best, dtype) if scale == "log" else 0.0
    below, drawn = False, list[np.ndarray]()
    for (label, value), colour in zip(values.items(), style.colours(values).values(), strict=True):
        gap = value - best
        if scale == "log":
            below = below or bool((gap < floor).any())
            gap = np.maximum(gap, floor) if floor else np.where(gap > 0, gap, np.nan)
        steps = shown_steps(len(gap))
        alone = "." if np.isfinite(gap).sum() == 1 else ""  # one point has no line
        dashes = (0, (3, 3)) if any(_alike(gap, other) for other in drawn) else "-"
        drawn.append(gap)
        axes.plot(
            steps, gap[steps], marker=alone, color=colour, linewidth=2, linestyle=dashes,
            label=label,
        )  # fmt: skip
    if below:
        axes.axhline(floor, color="0.4", linestyle=":", label=f"{dtype} resolution", zorder=1)
    style.quiet(axes)
    axes.set(xlabel="step", ylabel=known, yscale=scale)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.01)
    panel.title(style.title(objective.name, objective.latex))
    if len(paths) > 3:  # inside, so many would hide the curves
        panel.legend()
    else:
        axes.legend(frameon=False)
    return panel.figure


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two curves lie on each other, for the larger part of the shorter one."""
    n = min(len(one), len(other))
    with np.errstate(all="ignore"):
        return bool(np.median(np.abs(np.log10(one[:n] / other[:n]))) < SAME)


def _resolution(values: Collection[np.ndarray], best: float, dtype: np.dtype) -> float:
    """The least difference from the best value that rounding leaves a meaning; 0 if unknown.

    It is the spacing of floating-point numbers there. Next to 0 that is next to nothing, and what
    counts is the rounding of the terms that cancel: it shows as a smallest difference within the
    resolution of the first values.
    """
    if best:
        return float(np.spacing(np.abs(dtype.type(best))))
    positive = [value[value > 0].min(initial=np.inf) for value in values]
    first = max(abs(value[0]) for value in values)
    met_zero = any((value <= 0).any() for value in values)
    return min(positive) if met_zero and min(positive) <= np.finfo(dtype).eps * first else 0.0
