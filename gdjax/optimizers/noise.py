"""Other gradients on the same landscapes, as transformations: with noise, or in a cycle."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from gdjax._util.types import PyTree
from gdjax.optimizers.optimizer import Scalar, own
from gdjax.optimizers.wrappers import random_key


class NoiseState(NamedTuple):
    """The state of ``gradient_noise``: the random key of the next step."""

    key: Array


@own
def gradient_noise(
    additive: Scalar = 0.0, relative: Scalar = 0.0, seed: Scalar = 0
) -> optax.GradientTransformation:
    """Stochastic gradients: g ← g + (a + r ‖g‖) ξ, with ξ standard normal, new at every step.

    The additive part is the noise of sampled data, which keeps plain descent moving round a
    minimum; the relative one fades with the gradient, as where one model fits all the data.
    Line searches still see the objective without noise.

    Args:
        additive: a, the standard deviation of each component.
        relative: r, the standard deviation as a share of the gradient's norm.
        seed: of the noise; the same seed gives the same noise. It is traced: a new one never
            recompiles, and ``jax.vmap`` runs over many.

    Returns:
        An optax transformation.

    Example:
        >>> import gdjax
        >>> f, noise = gdjax.objectives.get("sphere"), gradient_noise(additive=0.5, seed=1)
        >>> sgd = gdjax.optimizers.chain(gdjax.gradient_descent(0.1), noise=noise)
        >>> sgd
        gradient_descent(learning_rate=0.1, noise=gradient_noise(additive=0.5, seed=1))
        >>> gdjax.descend(f, sgd, steps=9).points.shape
        (10, 2)
    """

    def init(params: PyTree) -> NoiseState:
        return NoiseState(random_key(seed))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, NoiseState]:
        key, now = jax.random.split(state.key)
        size = additive + relative * optax.tree.norm(updates)
        noise = optax.tree.random_like(now, updates, jax.random.normal)
        noisy = jax.tree.map(lambda g, n: g + (size * n).astype(g.dtype), updates, noise)
        return noisy, NoiseState(key)

    return optax.GradientTransformation(init, update)


class CycleState(NamedTuple):
    """The state of ``gradient_cycle``: how many steps were taken."""

    steps: Array


@own
def gradient_cycle(
    rare: Scalar = 1.0, common: Scalar = 1.0, period: int = 3
) -> optax.GradientTransformation:
    """A cycle of gradients: g ← r g at the first of every p steps, and g ← c g at the others.

    So do batches of data come round that pull different ways. On average the gradient is
    (r + (p − 1) c)/p times as large.

    Args:
        rare: r, the factor at steps 0, p, 2 p, …
        common: c, the factor at all others.
        period: p, at least 1.

    Returns:
        An optax transformation.

    Raises:
        ArgumentError: a period that is no whole number of at least 1.

    Example:
        >>> import gdjax
        >>> f, cycle = gdjax.objectives.get("parabola"), gradient_cycle(rare=4.0, common=-1.0)
        >>> plain = gdjax.optimizers.chain(gdjax.gradient_descent(0.125), cycle=cycle)
        >>> gdjax.descend(f, plain, start=[8], steps=3).points[:, 0].tolist()
        [8.0, 0.0, 0.0, 0.0]

    Reference:
        Reddi, Kale & Kumar 2018, On the convergence of Adam and beyond, section 3.
    """

    def init(params: PyTree) -> CycleState:
        return CycleState(jnp.zeros((), jnp.int32))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, CycleState]:
        factor = jnp.where(state.steps % period == 0, rare, common)
        scaled = jax.tree.map(lambda g: (factor * g).astype(g.dtype), updates)
        return scaled, CycleState(state.steps + 1)

    return optax.GradientTransformation(init, update)
