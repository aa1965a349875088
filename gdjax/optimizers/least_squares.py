"""Optimizers of sums of squares, which follow the residuals and not the gradient alone.

f(x) = Σ rᵢ(x)² with the Jacobian J of r has the gradient 2 Jᵀr and, where the residuals are small
or nearly straight, almost the Hessian 2 JᵀJ. Both methods here go to, or towards, the minimum of
‖r + Jδ‖². They need an objective with ``residuals``; J is by autodiff.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from gdjax._util.errors import ArgumentError
from gdjax._util.types import PyTree
from gdjax.optimizers.optimizer import LearningRate, Scalar, own

TRIES = 16  # of steps, each at most a quarter as long as the one before
ALIKE = 1e-11  # of the largest singular value: below it residuals do not tell parameters apart
GOOD, POOR = 0.75, 0.25  # of the fall that the model foretells

Residuals = Callable[[PyTree], Array]


@own
def gauss_newton(learning_rate: LearningRate = 1.0) -> optax.GradientTransformation:
    """Gauss-Newton: x ← x − α J⁺ r, α of the way to the minimum of ‖r + Jδ‖².

    One step solves a linear fit. Where the Jacobian is singular, δ is the shortest solution;
    nothing holds the method back where the residuals are far from straight, and it may diverge.

    Args:
        learning_rate: α > 0; a number, a traced value or an optax schedule.

    Returns:
        An optax transformation whose ``update`` needs ``residual_fn``.

    Raises:
        ArgumentError: a learning rate that is not positive; an objective without residuals.

    Example:
        >>> import gdjax
        >>> path = gdjax.descend("rosenbrock", gauss_newton(), steps=2, dtype="float64")
        >>> float(path.values[-1]) < 1e-25
        True

    Reference:
        Nocedal & Wright 2006, Numerical Optimization, p. 254.
    """

    def update(
        updates: PyTree, state: PyTree, params: PyTree = None,
        residual_fn: Residuals | None = None, **extra: object,
    ) -> tuple[PyTree, PyTree]:  # fmt: skip
        point, unravel = ravel_pytree(params)
        slopes, height = triangle(_on_flat("gauss_newton", residual_fn, unravel), point)
        return unravel(jnp.linalg.lstsq(slopes, height)[0]), state

    rule = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)
    return optax.chain(rule, optax.scale_by_learning_rate(learning_rate))


class TrustRegion(NamedTuple):
    """The state of ``levenberg_marquardt``.

    Args:
        radius: how far the next step may go, in ‖Dδ‖; 0 before the first step.
        scale: the largest norm of each column of J so far, ``(d,)``.
        num_linesearch_steps: how many radii the last step tried.
    """

    radius: Float[Array, ""]
    scale: Float[Array, "d"]
    num_linesearch_steps: Int[Array, ""]


@own
def levenberg_marquardt(radius: Scalar = 1.0) -> optax.GradientTransformation:
    """Levenberg-Marquardt: x ← x + δ with (JᵀJ + λ D²) δ = −Jᵀr, λ ≥ 0 such that ‖Dδ‖ ≤ Δ.

    D holds the largest norm of each column of J so far, so that the units of the parameters do not
    matter. Δ begins at ``radius`` times ‖Dx₀‖. A step that finds no lower point is tried again
    within a quarter of its length, up to 16 times; each try is an evaluation, as in a line search.
    Δ doubles where the linear model foretold the value well, and shrinks where it did badly.

    Args:
        radius: > 0; the smaller, the more the first steps are like gradient descent.

    Returns:
        An optax transformation whose ``update`` needs ``residual_fn``.

    Raises:
        ArgumentError: a radius that is not positive; an objective without residuals.

    Example:
        >>> import gdjax
        >>> path = gdjax.descend("helical_valley", levenberg_marquardt(), dtype="float64", steps=20)
        >>> float(path.values[-1]) < 1e-20
        True

    Reference:
        Moré 1978, The Levenberg-Marquardt algorithm: implementation and theory, p. 105-116.
    """

    def init(params: PyTree) -> TrustRegion:
        point, _ = ravel_pytree(params)
        return TrustRegion(jnp.zeros((), point.dtype), jnp.zeros_like(point), jnp.int32(0))

    def update(
        updates: PyTree, state: PyTree, params: PyTree = None,
        residual_fn: Residuals | None = None, **extra: Any,
    ) -> tuple[PyTree, TrustRegion]:  # fmt: skip
        value, value_fn = extra["value"], extra["value_fn"]
        point, unravel = ravel_pytree(params)
        slopes, height = triangle(_on_flat("levenberg_marquardt", residual_fn, unravel), point)
        scale = jnp.maximum(state.scale, jnp.linalg.norm(slopes, axis=0))
        unit = jnp.where(scale > 0, scale, 1)
        length = jnp.linalg.norm(unit * point)
        first = radius * jnp.where(length > 0, length, 1)
        model = _Model.of(slopes / unit, height)

        def tried(search: _Search) -> _Search:
            scaled, at_border = model.lowest(search.radius)
            fall = value - value_fn(unravel(point + scaled / unit))
            gain = fall / model.fall(scaled)
            lower = fall > 0  # NaN is not; nor does a rise that a rounded model foretells count
            far = jnp.where((gain > GOOD) & at_border, 2 * search.radius, search.radius)
            near = jnp.fmin(jnp.linalg.norm(scaled), search.radius) / 4
            return _Search(
                step=jnp.where(lower, scaled / unit, 0),
                radius=jnp.where(gain >= POOR, far, near).astype(point.dtype),
                lower=lower,
                tries=search.tries + 1,
            )

        begin = _Search(
            jnp.zeros_like(point), jnp.where(state.radius > 0, state.radius, first),
            jnp.array(False), jnp.int32(0),
        )  # fmt: skip
        end = jax.lax.while_loop(lambda s: ~s.lower & (s.tries < TRIES), tried, begin)
        return unravel(end.step), TrustRegion(end.radius, scale, end.tries)

    return optax.GradientTransformationExtraArgs(init, update)


class _Search(NamedTuple):
    step: Array
    radius: Array
    lower: Array
    tries: Array


class _Model(NamedTuple):
    """‖Aδ + h‖² by the singular values of A = U diag(s) Vᵀ.

    Args:
        singular: s, ``(k,)``.
        height: Uᵀh, ``(k,)``.
        axes: Vᵀ, ``(k, d)``.
    """

    singular: Array
    height: Array
    axes: Array

    @classmethod
    def of(cls, slopes: Array, height: Array) -> "_Model":
        left, singular, axes = jnp.linalg.svd(slopes, full_matrices=False)
        return cls(singular, left.T @ height, axes)

    def fall(self, step: Array) -> Array:
        """By how much δ lowers the model."""
        moved = self.singular * (self.axes @ step)
        return -jnp.sum(moved * (2 * self.height + moved))

    def lowest(self, radius: Array) -> tuple[Array, Array]:
        """The δ of length at most ``radius`` where the model is lowest; whether it is so long.

        λ is found by Newton's method on the length, which Hebden 1973 and Moré 1978 make to
        converge from any side; where it has not in 10 steps, δ is cut to its length.
        """
        least = jnp.finfo(radius.dtype).eps * self.singular[0] * max(self.axes.shape)
        singular = jnp.where(self.singular > least, self.singular, 0)
        pull = singular * self.height
        shortest = _ratio(-self.height, singular)
        inside = jnp.linalg.norm(shortest) <= radius

        def newton(_: Array, bounds: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            damping, low, high = bounds
            outside = (damping < low) | (damping > high)
            middle = jnp.maximum(1e-3 * high, jnp.sqrt(low * high))
            damping = jnp.where(outside, middle, damping)
            below = singular**2 + damping
            length = jnp.linalg.norm(pull / below)
            slope = -jnp.sum(pull**2 / below**3) / length
            high = jnp.where(length < radius, damping, high)
            low = jnp.maximum(low, damping - (length - radius) / slope)
            return damping - length / radius * (length - radius) / slope, low, high

        high = jnp.linalg.norm(pull) / radius
        damping, _, _ = jax.lax.fori_loop(0, 10, newton, (-high, jnp.zeros_like(high), high))
        bent = _ratio(-pull, singular**2 + jnp.maximum(damping, 0))
        bent = bent * radius / jnp.linalg.norm(bent)
        return jnp.where(inside, shortest, bent) @ self.axes, ~inside


def _ratio(above: Array, below: Array) -> Array:
    """The quotient; 0 over 0, where the model is level and a step leads nowhere."""
    return jnp.where(below > 0, above / jnp.where(below > 0, below, 1), 0)


def _on_flat(
    name: str, residual_fn: Residuals | None, unravel: Callable[[Array], PyTree]
) -> Callable[[Array], Array]:
    """Flat point → residuals ``(n,)``."""
    if residual_fn is None:
        raise ArgumentError(
            f"{name} needs an objective that is a sum of squares and says so: "
            f"gdjax.Objective(residuals=...), or objective=curve_fit"
        )
    return lambda point: jnp.ravel(residual_fn(unravel(point)))


def triangle(residuals: Callable[[Array], Array], point: Array) -> tuple[Array, Array]:
    """R and Qᵀr with J = QR, of at most d + 1 rows: ‖Rδ + Qᵀr‖ is ‖Jδ + r‖ for every δ.

    Args:
        residuals: point ``(d,)`` → ``(n,)``.
        point: ``(d,)``.
    """
    height = residuals(point)
    by = jax.jacfwd if height.size >= point.size else jax.jacrev
    both = jnp.concatenate([by(residuals)(point), height[:, None]], axis=1)
    found = jnp.linalg.qr(both, mode="r")
    return found[:, :-1], found[:, -1]
