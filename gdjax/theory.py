"""Closed forms for quadratics, and so for any smooth minimum seen from nearby.

On f(x) = ½ xᵀ H x every eigenvector of H goes its own way. With λ its eigenvalue, each method is
a recurrence of second order, e ← b e − c e₋, and converges like the larger root of z² − b z + c:

====================  ================  ============
method                b                 c
====================  ================  ============
`gradient_descent`    1 − α λ           0
`heavy_ball`          1 + μ − α λ       μ
`nesterov`            (1 + μ)(1 − α λ)  μ (1 − α λ)
====================  ================  ============

The forms are those of ``gdjax.optimizers``; Nesterov's is that of the look-ahead points.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gdjax._util import lazy
from gdjax._util.arguments import FINITE, POSITIVE, SHARE, as_numbers, gate, number, one_of
from gdjax._util.errors import ArgumentError, check_known
from gdjax.objectives import Objective, validate

__all__ = [
    "METHODS",
    "OptimalParameters",
    "curvatures",
    "local_rate",
    "measured_rate",
    "optimal",
    "spectral_radius",
    "stability_limit",
]

__dir__: Callable[[], list[str]] = lazy.listing(globals())

Numbers = float | int | np.number | np.ndarray | jax.Array | Sequence[object]

OBJECTIVE = one_of(Objective, "be a gdjax.Objective")
METHODS: tuple[str, ...] = ("gradient_descent", "heavy_ball", "nesterov")


class OptimalParameters(NamedTuple):
    """Hyperparameters, and the linear rate that they give.

    Args:
        learning_rate: α.
        momentum: μ; 0 for plain descent.
        rate: the factor ρ by which the error shrinks each step, in the long run.
    """

    learning_rate: float
    momentum: float
    rate: float

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name}={x:.12g}" for name, x in self._asdict().items())
        return f"OptimalParameters({numbers})"


def stability_limit(method: str, curvature: Numbers, momentum: Numbers = 0.0) -> np.ndarray | float:
    """The learning rate below which a method converges on a quadratic.

    It is 2/L for gradient descent, 2(1 + μ)/L for the heavy ball and 2(1 + μ)/((1 + 2μ)L) for
    Nesterov: there the root of the stiffest direction leaves the unit circle, through −1.

    Args:
        method: one of ``METHODS``.
        curvature: L > 0, the largest eigenvalue of the Hessian; any shape.
        momentum: μ in [0, 1); any shape that broadcasts with it.

    Returns:
        The limits, of the shape that the arguments broadcast to.

    Raises:
        ArgumentError: an unknown method, a curvature that is not positive, a momentum outside
            [0, 1), or one that is not 0 for gradient descent.

    Example:
        >>> float(stability_limit("heavy_ball", 20.0, 0.5))
        0.15

    Reference:
        Polyak 1964, Some methods of speeding up the convergence of iteration methods, theorem 9.
        Nesterov's follows from ``|c| < 1`` and ``|b| < 1 + c``.
    """
    curvature, momentum = _positive("curvature", curvature), _momentum(method, momentum)
    look_ahead = 1 + 2 * momentum if method == "nesterov" else 1.0
    _fit(curvature=curvature, momentum=momentum)
    return 2 * (1 + momentum) / (look_ahead * curvature)


@gate(low=number(POSITIVE), high=number(POSITIVE))
def optimal(method: str, low: float | int, high: float | int) -> OptimalParameters:
    """The constant hyperparameters with the best rate for curvatures from m to L; κ = L/m.

    ====================  ============  ===========================  =================
    method                α             μ                            rate
    ====================  ============  ===========================  =================
    `gradient_descent`    2/(L + m)     0                            (κ − 1)/(κ + 1)
    `heavy_ball`          4/(√L + √m)²  ((√κ − 1)/(√κ + 1))²         (√κ − 1)/(√κ + 1)
    `nesterov`            4/(3L + m)    (√(3κ+1) − 2)/(√(3κ+1) + 2)  1 − 2/√(3κ+1)
    ====================  ============  ===========================  =================

    Each makes the flattest and the stiffest direction shrink equally fast. For the heavy ball
    the roots of both are double, and for Nesterov the one of the flattest: there the error falls
    like k ρᵏ.

    Args:
        method: one of ``METHODS``.
        low: m > 0, the smallest eigenvalue of the Hessian.
        high: L ≥ m, the largest.

    Returns:
        Learning rate, momentum and rate.

    Raises:
        ArgumentError: an unknown method, or curvatures that are not 0 < m ≤ L.

    Example:
        >>> optimal("heavy_ball", 1.0, 9.0)
        OptimalParameters(learning_rate=0.25, momentum=0.25, rate=0.5)

    Reference:
        Polyak 1964, theorem 9; Lessard, Recht & Packard 2016, Analysis and Design of
        Optimization Algorithms via Integral Quadratic Constraints, proposition 1.
    """
    check_known("method", method, METHODS)
    if not low <= high:
        raise ArgumentError(f"curvatures must satisfy 0 < low <= high, got {low} and {high}")
    if method == "gradient_descent":
        return OptimalParameters(2 / (high + low), 0.0, (high - low) / (high + low))
    if method == "heavy_ball":
        root_high, root_low = high**0.5, low**0.5
        rate = (root_high - root_low) / (root_high + root_low)
        return OptimalParameters(4 / (root_high + root_low) ** 2, rate**2, rate)
    root = (3 * high / low + 1) ** 0.5
    return OptimalParameters(4 / (3 * high + low), (root - 2) / (root + 2), 1 - 2 / root)


def spectral_radius(
    method: str, curvatures: Numbers, learning_rate: Numbers, momentum: Numbers = 0.0
) -> np.ndarray | float:
    """The linear rate of a method on a quadratic: the largest root over all its eigenvalues.

    ρ = max over λ of ``|z|`` with z² − b z + c = 0; below 1 it converges, above it diverges. A
    direction of negative curvature, as at a saddle, gives a rate above 1.

    Args:
        method: one of ``METHODS``.
        curvatures: the eigenvalues of the Hessian ``(d,)``, or the symmetric Hessian ``(d, d)``.
        learning_rate: α > 0; any shape.
        momentum: μ in [0, 1); any shape that broadcasts with it.

    Returns:
        ρ, of the shape that learning rate and momentum broadcast to.

    Raises:
        ArgumentError: an unknown method, curvatures of another shape or a matrix that is not
            symmetric, hyperparameters out of range.

    Example:
        >>> spectral_radius("gradient_descent", [1.0, 4.0], [0.1, 0.4, 0.6]).round(2)
        array([0.9, 0.6, 1.4])
    """
    momentum, rate = _momentum(method, momentum), _positive("learning_rate", learning_rate)
    _fit(learning_rate=rate, momentum=momentum)
    momentum, step = momentum[..., None], rate[..., None] * _spectrum(curvatures)
    if method == "nesterov":
        b, c = (1 + momentum) * (1 - step), momentum * (1 - step)
    else:
        b, c = 1 + momentum - step, momentum * np.ones_like(step)
    gap = b**2 - 4 * c
    real = (np.abs(b) + np.sqrt(np.maximum(gap, 0))) / 2
    return np.where(gap < 0, np.sqrt(np.abs(c)), real).max(axis=-1)


@gate(objective=OBJECTIVE)
def curvatures(objective: Objective, point: Numbers) -> np.ndarray:
    """The eigenvalues of the Hessian at a point, ascending, in float64.

    Args:
        objective: any; its Hessian is taken by autodiff.
        point: usually a minimum, ``(d,)``.

    Returns:
        Eigenvalues ``(d,)``.

    Raises:
        ArgumentError: a point of another dimension or not finite, or one without a Hessian: on a
            kink.

    Example:
        >>> import gdjax
        >>> booth = gdjax.objectives.get("booth")
        >>> curvatures(booth, booth.minima[0])
        array([ 2., 18.])
    """
    at = objective.check_point(point, "point")
    with jax.enable_x64(True):
        validate(objective, numbers=False)
        place = jnp.asarray(at, dtype=float)
        on_kink = objective.kink is not None and np.isclose(objective.kink(place), 0).any()
        hessian = np.asarray(_hessian(objective.cast(float), place))
    if on_kink or not np.isfinite(hessian).all():
        raise ArgumentError(f"point must have a Hessian, {objective.name} has none at {at}")
    return np.linalg.eigvalsh(hessian)


@jax.jit
def _hessian(objective: Objective, point: Array) -> Array:
    return jax.hessian(objective.value)(point)


def local_rate(
    objective: Objective,
    minimum: Numbers,
    method: str,
    learning_rate: Numbers,
    momentum: Numbers = 0.0,
) -> np.ndarray | float:
    """The linear rate that a method ends with near a minimum: that of its second-order model.

    Args:
        objective: what is descended.
        minimum: the point it converges to, ``(d,)``.
        method: one of ``METHODS``.
        learning_rate: α > 0; any shape.
        momentum: μ in [0, 1); any shape that broadcasts with it.

    Returns:
        ρ, of the shape that learning rate and momentum broadcast to.

    Raises:
        ArgumentError: as ``curvatures`` and ``spectral_radius`` do.

    Example:
        >>> import gdjax
        >>> f = gdjax.objectives.get("qfsp")
        >>> float(local_rate(f, f.minima[0], "gradient_descent", 0.02).round(4))
        0.7891

    Reference:
        Polyak 1987, Introduction to Optimization, section 2.1.1, theorem 1.
    """
    return spectral_radius(method, curvatures(objective, minimum), learning_rate, momentum)


def measured_rate(errors: Numbers) -> float:
    """The linear rate that a descent showed: ρ of the best fit error_k ≈ C ρᵏ.

    A least-squares line through the logarithm of the envelope max(error_k, error_k+1, …), which
    the swings of momentum do not disturb. Of the decades that the error fell, those before the
    middle count as transient, and the last two above the end as rounding.

    Args:
        errors: ``(n,)``, one a step: distances ‖x_k − x*‖, or values f(x_k) − f*. Near a smooth
            minimum the values fall with the square of the rate of the distances.

    Returns:
        ρ, below 1.

    Raises:
        ArgumentError: errors that are not finite and at least 0, or that did not fall far enough
            to fit: through at least 4 decades, over 8 steps of those that count.

    Example:
        >>> round(measured_rate(0.9 ** np.arange(400) + 1e-15), 4)
        0.9
    """
    errors = as_numbers("errors", errors, FINITE)
    if errors.ndim != 1 or not np.isfinite(errors).all() or (errors < 0).any():
        raise ArgumentError("errors must be a list of finite numbers, at least 0")
    envelope = np.maximum.accumulate(errors[::-1])[::-1]
    positive = envelope[envelope > 0]
    if not positive.size:
        raise ArgumentError("errors must fall through at least 4 decades, got zeros alone")
    end = max(np.median(envelope[-max(errors.size // 10, 1) :]), positive[-1])
    low, high = np.log(100 * end), np.log(positive[0])
    heights = np.log(positive)
    counted = np.flatnonzero((heights >= low) & (heights <= (low + high) / 2))
    if high - low < np.log(100) or counted.size < 8:
        raise ArgumentError(
            f"errors must fall through at least 4 decades, and slowly enough to be fitted, "
            f"got {positive[0]:.3g} to {end:.3g} in {errors.size - 1} steps"
        )
    slope = np.polynomial.Polynomial.fit(counted, heights[counted], 1).convert().coef[1]
    return float(np.exp(slope))


def _fit(**arrays: np.ndarray) -> None:
    """Refuse arrays whose shapes do not broadcast."""
    try:
        np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        shapes = " and ".join(str(array.shape) for array in arrays.values())
        raise ArgumentError(f"{' and '.join(arrays)} must fit together, got {shapes}") from None


def _some(name: str, array: np.ndarray) -> np.ndarray:
    if not array.size:
        raise ArgumentError(f"{name} must hold at least one number, got none")
    return array


def _positive(name: str, value: Numbers) -> np.ndarray:
    return _some(name, as_numbers(name, value, POSITIVE))


def _momentum(method: str, value: Numbers) -> np.ndarray:
    check_known("method", method, METHODS)
    array = _some("momentum", as_numbers("momentum", value, SHARE))
    if method == "gradient_descent" and array.any():
        raise ArgumentError(f"momentum must be 0 for gradient_descent, got {value}")
    return array


def _spectrum(curvatures: Numbers) -> np.ndarray:
    array = as_numbers("curvatures", curvatures)
    square = array.ndim == 2 and array.shape[0] == array.shape[1]
    if not array.size or not np.isfinite(array).all() or not (array.ndim == 1 or square):
        raise ArgumentError(
            f"curvatures must be finite: eigenvalues (d,) or a matrix (d, d), got {curvatures}"
        )
    if square and not np.allclose(array, array.T):
        raise ArgumentError("curvatures must be a symmetric matrix")
    return np.linalg.eigvalsh(array) if square else array
