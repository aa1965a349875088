"""Minima that a Hessian in the units of the domain does not show: on bounds, and of fits."""

import jax
import jax.numpy as jnp
import numpy as np

from gdjax import curvature
from gdjax.objectives import Objective
from gdjax.objectives.coordinates import Coordinates
from gdjax.optimizers.least_squares import ALIKE, triangle

ORTHOGONAL = 1e-3  # of their length: how much of the residuals may lie in the plane of the model
RESOLVED = 1e-2  # the largest share of curvature that rounding may make


def on_bounds(
    objective: Objective, within: Coordinates, point: np.ndarray, width: np.ndarray, radius: float
) -> np.ndarray:
    """Which points ``(n, d)`` are held on a bound by the slope, and minima in what is free."""
    with jax.enable_x64(True):
        _, slope, hessian = map(np.asarray, curvature.second_order(objective.cast(float), point))
        held = np.abs(within.free(point, slope * width, width)) <= radius * np.abs(slope * width)
    slope, hessian = slope * width, hessian * width[..., :, None] * width[..., None, :]
    found = np.asarray(held.any(axis=1))
    for i in np.flatnonzero(found):
        free = ~held[i]
        if free.any():
            eigenvalues, ways = np.linalg.eigh(hessian[i][np.ix_(free, free)])
            step = ways @ ((ways.T @ slope[i, free]) / eigenvalues)
            up = eigenvalues[0] > curvature.FLAT * eigenvalues[-1]
            found[i] = up and np.abs(step).max() <= radius
    return found


def of_squares(objective: Objective, point: np.ndarray) -> np.ndarray:
    """Which points ``(n, d)`` are minima of a sum of squares, whatever the units of parameters.

    The residuals must be orthogonal to the plane of the linear model, the Jacobian of full rank,
    and the Hessian positive by its measure: all eigenvalues of R⁻ᵀ H R⁻¹ / 2 with J = QR, which
    are near 1 where the model is nearly linear.
    """
    with jax.enable_x64(True):
        given = objective.cast(float)
        looks = [map(np.asarray, _looked_at(given, jnp.asarray(at))) for at in point]
    return np.array([_is_minimum(*look) for look in looks], bool)


@jax.jit
def _looked_at(objective: Objective, at: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """R and Qᵀr of the residuals, and the Hessian of the value at a point."""
    residuals = objective.residual_vector
    assert residuals is not None
    # One direction after the other: data that are large are not held in memory d times.
    products = jax.lax.map(
        lambda way: curvature.hessian_vector_product(objective.value, at, way),
        jnp.eye(at.size, dtype=at.dtype),
    )
    return *triangle(residuals, at), products


def _is_minimum(slopes: np.ndarray, height: np.ndarray, hessian: np.ndarray) -> bool:
    dim = slopes.shape[1]
    if len(slopes) < dim or not (np.isfinite(slopes).all() and np.isfinite(hessian).all()):
        return False
    norms = np.linalg.norm(slopes, axis=0)
    if not norms.all():
        return False
    _, singular, ways = np.linalg.svd(slopes[:dim] / norms)
    if singular[-1] <= ALIKE * singular[0]:
        return False
    inside, rounding = np.linalg.norm(height[:dim]), np.finfo(float).eps * np.linalg.norm(norms)
    if inside > ORTHOGONAL * np.linalg.norm(height) and inside > rounding:
        return False
    if np.finfo(float).eps * (singular[0] / singular[-1]) ** 2 > RESOLVED:
        return True  # the Hessian has no digits left to object with
    turned = ways / singular[:, None] / norms
    return bool(np.linalg.eigvalsh(turned @ hessian @ turned.T / 2)[0] > RESOLVED)


__all__ = ["of_squares", "on_bounds"]
