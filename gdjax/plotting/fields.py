"""The ground alone, and the gradient as a field of arrows on it."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from gdjax._inputs import ObjectiveLike, as_count, as_objective
from gdjax._util.arguments import flag, gate, refused
from gdjax._util.errors import ArgumentError
from gdjax._util.types import Flat
from gdjax.objectives import GradientSide, Objective
from gdjax.plotting import depth, hills, landscape, style
from gdjax.plotting.figure import AnyFigure, Figure, Panel, figure_of, one_panel

MOST = 1000  # arrows a side: more are no arrows
SCALED = "as long as the fourth root of its norm"


def surface(
    objective: ObjectiveLike,
    axes: Sequence[int | str] | None = None,
    *,
    window: landscape.Shown = "auto",
    view: Sequence[float | int] | None = None,
    cmap: landscape.Shades = None,
    ax: Any = None,
) -> AnyFigure:
    """The surface alone, without a path.

    Args:
        objective: an ``Objective`` of dimension at least 2, the name of one, or the function; in
            more than 2, the slice through the start.
        axes: the two components to draw, by number or by name; by default the first two.
        window: ``auto`` for the domain, or else the start and the known minima; ``domain``, or an
            interval for each of the two components.
        view: elevation and azimuth of the camera, in degrees.
        cmap: a colour map of matplotlib, by its name or itself.
        ax: axes of three dimensions to draw in; by default those of a new figure.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Raises:
        ArgumentError: a one-dimensional objective, or no such window, view, colour map or axes.

    Example:
        >>> figure = surface("rosenbrock", window=[[-2, 2], [-1, 3]], view=[40, -120])
    """
    objective = as_objective(objective)
    seen = _window(objective, "surface", axes, window)
    panel = _hill(ax)
    scene = _ground(panel.axes, objective, seen, view, cmap)
    note = f"\n{landscape.COARSE}" if scene.ground.coarse else ""
    panel.title(style.title(objective.name, objective.latex) + note)
    return panel.figure


@gate(on_surface=flag)
def gradient_field(
    objective: ObjectiveLike,
    gradient: GradientSide = "autodiff",
    arrows: Any = None,
    *,
    on_surface: bool = False,
    window: landscape.Shown = "auto",
    view: Sequence[float | int] | None = None,
    cmap: landscape.Shades = None,
    ax: Any = None,
) -> AnyFigure:
    """Where plain descent would go from everywhere: arrows of −∇f over the contours.

    An arrow's length grows with the fourth root of the gradient's norm, so that plains and cliffs
    can be read in one picture. On the surface they are lines from points, down the slope; those
    that a hill hides are left out.

    Args:
        objective: of dimension at least 2; in more than 2, the slice through the start.
        gradient: which gradient to draw, ``autodiff`` or ``hand``.
        arrows: how many along each side; by default 25, on a surface 15.
        on_surface: whether they lie on the surface instead.
        window: ``auto`` for the domain, or else the start and the known minima; ``domain``, or an
            interval for each component.
        view: of a surface, elevation and azimuth of the camera, in degrees.
        cmap: a colour map of matplotlib, by its name or itself.
        ax: axes to draw in; by default those of a new figure.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Raises:
        ArgumentError: a one-dimensional objective, or no such window, view, colour map or axes.

    Example:
        >>> figure = gradient_field("qfsp", on_surface=True)
    """
    objective = as_objective(objective)
    side = as_count("arrows", (15 if on_surface else 25) if arrows is None else arrows, 1, MOST)
    objective.value_and_gradient(gradient)  # says early what is wrong with the choice
    seen = _window(objective, "gradient_field", None, window)
    low, high = seen.low, seen.high
    inset = (high - low) / (2 * side)
    x, y = np.meshgrid(*np.linspace(low + inset, high - inset, side).T)
    at = seen.points(x.ravel(), y.ravel())
    slopes = _slopes(objective.cast(jnp.result_type(float)), gradient, jnp.asarray(at))
    downhill = -np.asarray(slopes, dtype=float)[:, :2]
    steepness = np.linalg.norm(downhill, axis=1, keepdims=True)
    lengths = (steepness / max(steepness.max(), 1e-300)) ** 0.25  # of the longest
    ways = downhill / np.maximum(steepness, 1e-300) * lengths
    ways *= 0.9 * (high - low).min() / side
    if on_surface:
        panel = _hill(ax)
        scene = _ground(panel.axes, objective, seen, view, cmap)
        _lay(panel.axes, scene, at[:, list(seen.axes)], ways, lengths / side)
    else:
        panel = one_panel(7.6, 6.2, ax)
        landscape.contours(
            panel.axes, landscape.grid(objective, seen), objective, seen, panel.own, cmap
        )
        panel.axes.quiver(
            x, y, *ways.T, color="0.15", angles="xy", scale_units="xy", scale=1, width=0.003,
            pivot="mid",
        )  # fmt: skip
    panel.title(style.title(objective.name, objective.latex), 12)
    if not on_surface and panel.axes.get_legend_handles_labels()[0]:
        panel.legend(ncols=4)
    if panel.own:
        what = "from each point" if on_surface else "arrows:"
        panel.figure.supxlabel(rf"{what} $-\nabla f$, {SCALED}", fontsize=10, color="0.35")
    return panel.figure


def _window(
    objective: Objective, what: str, axes: Sequence[int | str] | None, shown: landscape.Shown
) -> landscape.Window:
    """The window of a ground without paths."""
    if objective.dim < 2:
        raise ArgumentError(f"{what} needs at least 2 dimensions, {objective.name} has 1")
    start = np.asarray(objective.start, dtype=float)
    auto = isinstance(shown, str) and shown == "auto"
    shown = "domain" if auto and objective.bounded else shown
    found = landscape.frame(objective, [start[None]], landscape.pick(objective, axes), shown)
    return found._replace(base=start, through="the start")


def _hill(ax: Any) -> Panel:
    """Axes of three dimensions."""
    if ax is None:
        made = Figure(figsize=(6.6, 5.6), layout="constrained")
        return Panel(made, made.add_subplot(projection="3d"), True)
    if not isinstance(ax, Axes3D):
        raise refused("ax", "be axes of matplotlib, of three dimensions", ax)
    return Panel(figure_of(ax), ax, False)


def _ground(
    axes: Axes3D,
    objective: Objective,
    window: landscape.Window,
    view: Sequence[float | int] | None,
    cmap: landscape.Shades,
) -> hills.Scene:
    start = np.asarray(objective.start, dtype=float)
    camera = hills.camera(view, start, window)
    scene = hills.Scene(objective, window, landscape.grid(objective, window))
    hills.ground(axes, scene, camera, cmap)
    return scene


def _lay(
    axes: Axes3D, scene: hills.Scene, at: np.ndarray, ways: np.ndarray, lengths: np.ndarray
) -> None:
    """Lines from points along the ground, downhill, of these lengths in sides of the box drawn.

    The heads of arrows in three dimensions cannot be told from their shafts: points begin them.
    """
    tails = np.column_stack([at, scene.heights(at)])
    along = np.column_stack([at + ways, scene.heights(at + ways)]) - tails
    box = np.ptp([axes.get_xlim(), axes.get_ylim(), axes.get_zlim()], axis=1)
    shown = np.linalg.norm(along / box, axis=1, keepdims=True)
    along = np.where(shown > 0, along / np.maximum(shown, 1e-300) * lengths, 0)
    tips = tails + along
    seen = ~depth.hidden(tails + along / 2, depth.eye(axes), scene.ground)
    seen &= scene.inside(tips[:, :2]) & (lengths[:, 0] > 0)
    lines = Line3DCollection(np.stack([tails, tips], axis=1)[seen], colors="0.1", linewidths=1.1)
    lines.set_zorder(5)
    axes.add_collection3d(lines, autolim=False)
    axes.plot(*tails[seen].T, ".", color="0.1", markersize=3, zorder=5)


@functools.partial(jax.jit, static_argnums=1)
def _slopes(objective: Objective, gradient: GradientSide, points: Flat) -> Array:
    return jax.vmap(lambda point: objective.value_and_gradient(gradient)(point)[1])(points)
