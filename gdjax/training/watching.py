"""What is looked at along the way: value, gradient, metric, sharpness, noise; compiled once."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gdjax import curvature
from gdjax._descent.loop import Descent, State
from gdjax._util.display import shown
from gdjax.objectives import GradientSide, Objective
from gdjax.objectives.minibatches import count_rows, rows_of_batch
from gdjax.optimizers import Optimizer
from gdjax.training.edges import preconditioner

WATCHED = ("sharpness", "noise_scale", "alignment")
LANCZOS = 16  # steps at a time, from the vector that was found last
BATCHES = 32  # at most so many tell the noise of the gradient
TENTH = 10  # a batch that tells the noise is a tenth of the data, where the problem has none


@shown
class Look(NamedTuple):
    """What is seen at one point; NaN where it is not watched.

    Args:
        loss: over all data.
        metric: likewise.
        gradient_norm: of the loss over all data.
        sharpness: the largest eigenvalue of the Hessian, preconditioned where the optimizer is.
        residual: an eigenvalue lies within so much of it.
        noise_scale: tr Σ / ‖g‖², the batch size at which noise and gradient are of one size.
        alignment: the cosine between the gradient and the sharpest direction.
    """

    loss: Float[Array, ""]
    metric: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    sharpness: Float[Array, ""]
    residual: Float[Array, ""]
    noise_scale: Float[Array, ""]
    alignment: Float[Array, ""]


def advance(
    objective: Objective,
    optimizer: Optimizer,
    state: State,
    count: int | Array,
    gradient: GradientSide,
) -> State:
    """The state so many steps on; what is on the way is not kept."""
    descent = Descent.of(objective, optimizer, gradient)
    return jax.lax.fori_loop(0, count, lambda _, state: descent.step(state)[0], state)


def look(
    objective: Objective, optimizer: Optimizer, state: State, vector: Float[Array, "d"],
    watch: tuple[str, ...], gradient: GradientSide,
) -> tuple[Look, Float[Array, "d"]]:  # fmt: skip
    """What is seen at a state, and the sharpest direction, from which the next look begins."""
    value, slope = objective.value_and_gradient(gradient)(state.point)
    norm = jnp.linalg.norm(slope)
    nothing = jnp.full_like(value, jnp.nan)
    metric = sharpness = residual = noise = cosine = nothing
    metric_of = objective.training and objective.training.metric
    if metric_of:
        metric = jnp.asarray(metric_of(objective.shaped(state.point), *objective.args), value.dtype)
    if "sharpness" in watch or "alignment" in watch:
        scale = preconditioner(optimizer, state.optimizer)
        scale = jnp.ones_like(vector) if scale is None else scale**-0.5

        def product(v: Array) -> Array:
            return scale * curvature.hessian_vector_product(objective.value, state.point, scale * v)

        steps = min(LANCZOS, vector.size)
        values, residuals, found = curvature.top(product, vector, steps)
        first = found[0]
        if "sharpness" in watch:
            sharpness, residual = values[0], residuals[0]
        vector = jnp.where(jnp.isfinite(first).all(), first, vector)
        if "alignment" in watch:
            pulled = scale * slope
            cosine = jnp.abs(vector @ pulled) / jnp.linalg.norm(pulled)
    if "noise_scale" in watch:
        noise = noise_scale(objective, state.point, slope, gradient)
    return Look(value, metric, norm, sharpness, residual, noise, cosine), vector


def noise_scale(
    objective: Objective, point: Float[Array, "d"], slope: Float[Array, "d"], side: GradientSide
) -> Float[Array, ""]:
    r"""Tr Σ / ‖g‖², with Σ the covariance of the gradients of single rows, by two batch sizes.

    Batches of b of n rows, drawn without replacement, have
    :math:`E\|g_b\|^2 = \|g\|^2 + (1/b - 1/n)\, \mathrm{tr}\, \Sigma`.

    Reference:
        McCandlish, Kaplan & Amodei 2018, An Empirical Model of Large-Batch Training, appendix A.
    """
    rows, training = count_rows(objective.args), objective.training
    assert training is not None, "who asks for it has data"
    size = min(training.batch or max(rows // TENTH, 1), max(rows // 2, 1))

    def square(step: Array) -> Array:
        chosen = rows_of_batch(rows, size, training.seed, step)
        args = jax.tree.map(lambda leaf: jnp.asarray(leaf)[chosen], objective.args)
        return jnp.sum(objective.with_args(*args).value_and_gradient(side)(point)[1] ** 2)

    squares = jax.lax.map(square, jnp.arange(min(rows // size, BATCHES)))
    whole = jnp.sum(slope**2)
    spread = jnp.maximum(jnp.mean(squares) - whole, 0) / (1 / size - 1 / rows)
    return spread / whole
