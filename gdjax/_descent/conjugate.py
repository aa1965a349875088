"""Optimizers that move in other coordinates than those the points have."""

from typing import Any, NamedTuple

import optax
from jaxtyping import Array, Float

from gdjax import optimizers
from gdjax._util.types import PyTree
from gdjax.objectives.coordinates import Coordinates


class Moved(NamedTuple):
    """The state of an optimizer in coordinates.

    Args:
        at: the coordinates of the point, ``(d,)``: they are kept, since close to a bound the point
            itself no longer tells them.
        optimizer: the state of the optimizer.
    """

    at: Float[Array, "d"]
    optimizer: PyTree


def in_coordinates(
    optimizer: optax.GradientTransformationExtraArgs, coordinates: Coordinates | None
) -> optax.GradientTransformationExtraArgs:
    """A transformation of points that hands the optimizer their coordinates.

    With x = T(v) the optimizer sees v, and the gradient T′(v) ∇f(T(v)); what it adds to v becomes
    the step T(v + Δv) − T(v).
    """
    if coordinates is None:
        return optimizer
    outward, slope = coordinates.outward, coordinates.slope

    def init(params: PyTree) -> Moved:
        at = coordinates.inward(params)
        return Moved(at, optimizer.init(at))

    def update(
        updates: PyTree, state: PyTree, params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, Moved]:
        at, before = state
        fn, gradient, residuals = extra["obj_fn"], extra["grad_fn"], extra["residual_fn"]
        given = optimizers.extra_arguments(
            extra["value"], slope(at) * extra["grad"],
            lambda v: fn(outward(v)), lambda v: slope(v) * gradient(outward(v)),
            residuals and (lambda v: residuals(outward(v))),
        )  # fmt: skip
        moves, after = optimizer.update(slope(at) * updates, before, at, **given)
        moved = at + moves
        return outward(moved) - params, Moved(moved, after)

    return optax.GradientTransformationExtraArgs(init, update)
