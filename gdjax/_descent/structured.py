"""Optimizers over points of a person's own structure, in a loop whose points are flat."""

from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array

from gdjax import optimizers
from gdjax._util.types import PyTree
from gdjax.objectives.structure import Structure


def over_vectors(
    optimizer: optax.GradientTransformationExtraArgs, structure: Structure | None
) -> optax.GradientTransformationExtraArgs:
    """A transformation of flat points that hands the optimizer points of that structure.

    Args:
        optimizer: what moves the points.
        structure: of the points, whose leaves without numbers are None; None for plain vectors,
            which the optimizer is handed as they are.
    """
    if structure is None:
        return optimizer
    shaped = structure.numbers

    def flat(point: PyTree, argument: str = "a point of the optimizer") -> Array:
        return jnp.asarray(structure.flatten(point, argument))

    def init(params: PyTree) -> PyTree:
        return optimizer.init(shaped(params))

    def update(
        updates: PyTree, state: PyTree, params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, PyTree]:
        fn, gradient, residuals = extra["obj_fn"], extra["grad_fn"], extra.get("residual_fn")
        given = optimizers.extra_arguments(
            extra["value"], shaped(extra["grad"]),
            lambda point: fn(flat(point)), lambda point: shaped(gradient(flat(point))),
            residuals and (lambda point: residuals(flat(point))),
        )  # fmt: skip
        moves, state = optimizer.update(shaped(updates), state, shaped(params), **given)
        return flat(moves, "the update of the optimizer"), state

    return optax.GradientTransformationExtraArgs(init, update)
