"""The gradient as a field of arrows."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gdjax._inputs import ObjectiveLike, as_count, as_objective
from gdjax._util.errors import ArgumentError
from gdjax._util.types import Flat
from gdjax.objectives import GradientSide, Objective
from gdjax.plotting import landscape, style
from gdjax.plotting.figure import Figure, one_panel

MOST = 1000  # arrows a side: more are no arrows


def gradient_field(
    objective: ObjectiveLike, gradient: GradientSide = "autodiff", arrows: Any = 25
) -> Figure:
    """Where plain descent would go from everywhere: arrows of −∇f over the contours.

    An arrow's length grows with the fourth root of the gradient's norm, so that plains and cliffs
    can be read in one picture.

    Args:
        objective: of dimension at least 2; in more than 2, the slice through the start.
        gradient: which gradient to draw, ``autodiff`` or ``hand``.
        arrows: how many along each side.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Raises:
        ArgumentError: a one-dimensional objective.
    """
    objective, arrows = as_objective(objective), as_count("arrows", arrows, 1, MOST)
    objective.value_and_gradient(gradient)  # says early what is wrong with the choice
    if objective.dim < 2:
        raise ArgumentError(f"gradient_field needs at least 2 dimensions, {objective.name} has 1")
    low, high = objective.needs_domain("gradient_field").T[:, :2]
    window = landscape.Window(low, high, (0, 1), np.asarray(objective.start, dtype=float))
    figure, axes = one_panel(7.6, 6.2)
    landscape.contours(axes, landscape.grid(objective, window), objective, window)
    inset = (high - low) / (2 * arrows)
    x, y = np.meshgrid(*np.linspace(low + inset, high - inset, arrows).T)
    points = np.broadcast_to(window.base, (arrows**2, objective.dim)).copy()
    points[:, 0], points[:, 1] = x.ravel(), y.ravel()
    slopes = _slopes(objective.cast(jnp.result_type(float)), gradient, jnp.asarray(points))
    ways = -np.asarray(slopes, dtype=float)[:, :2]
    length = np.linalg.norm(ways, axis=1, keepdims=True)
    ways = np.where(length > 0, ways / np.maximum(length, 1e-300) ** 0.75, 0)
    ways *= 0.9 * (high - low).min() / arrows / max(np.linalg.norm(ways, axis=1).max(), 1e-300)
    axes.quiver(
        x,
        y,
        *ways.T,
        color="0.15",
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.003,
        pivot="mid",
    )
    axes.set_title(style.title(objective.name, objective.latex), fontsize=12)
    figure.supxlabel(
        r"arrows: $-\nabla f$, their lengths by the fourth root of its norm",
        fontsize=10,
        color="0.35",
    )
    return figure


@functools.partial(jax.jit, static_argnums=1)
def _slopes(objective: Objective, gradient: GradientSide, points: Flat) -> Array:
    return jax.vmap(lambda point: objective.value_and_gradient(gradient)(point)[1])(points)
