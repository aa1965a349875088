"""Momentum methods as linear filters, measured by what they answer to single inputs."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from gdjax import optimizers
from gdjax._inputs import default_dtype
from gdjax._util.types import PyTree
from gdjax.optimizers import momentum

PROBES = np.array([[0.75, -1.5], [1.25, 0.5]])  # a memory and a gradient that are not parallel


class Filter(NamedTuple):
    """A momentum method in numbers, one of each a step k: u = p m + q g, and m ← r m + s g.

    Args:
        carry: p, what a unit of memory adds to the update.
        rate: q, what a unit of gradient does; minus the learning rate.
        decay: r, how much of the memory stays.
        gain: s, what a unit of gradient adds to the memory.
    """

    carry: np.ndarray
    rate: np.ndarray
    decay: np.ndarray
    gain: np.ndarray

    @property
    def memory(self) -> str:
        """In which units the past is remembered."""
        gain, decay = float(self.gain[0]), float(self.decay[0])
        if gain == 0:
            return "nothing"
        if np.isclose(gain, 1):
            return "gradients"
        if np.isclose(gain, 1 - decay):
            return "averaged gradients"
        return "steps" if gain < 0 else "gradients in other units"


def is_textbook(optimizer: optimizers.Optimizer) -> bool:
    """Whether its gradient is taken ahead of its points."""
    return optimizer.factory is momentum.nesterov_textbook


def at_gradients(made: optimizers.Optimizer) -> optax.GradientTransformationExtraArgs:
    """The transformation; one in textbook iterates is seen at the points of its gradients."""
    if not is_textbook(made):
        return made
    mu = made.hyperparameters["momentum"]

    def update(
        updates: PyTree, state: PyTree, params: PyTree = None, **extra: PyTree
    ) -> tuple[PyTree, PyTree]:
        ahead = mu * state[0].velocity
        point = params - ahead
        apart = 8 * jnp.finfo(params.dtype).eps * (jnp.abs(params) + jnp.abs(ahead))

        def known(at: Array) -> Array:
            """The gradient at ``params``, the only point at which it is known."""
            return jnp.where(jnp.abs(at - params) <= apart, updates, jnp.nan)

        extra |= {"grad_fn": known}
        step, state = made.update(updates, state, point, **extra)
        return point + step + mu * state[0].velocity - params, state

    return optax.GradientTransformationExtraArgs(made.init, update)


def memory_leaf(state: PyTree, shape: tuple[int, ...]) -> int | None:
    """Which leaf of a state is the memory: the only float one, shaped like the point; −1 if none.

    None if there are several, or others that count.
    """
    floats = [
        (i, leaf.shape)
        for i, leaf in enumerate(jax.tree.leaves(state))
        if jnp.issubdtype(leaf.dtype, jnp.floating)
    ]
    if not floats:
        return -1
    return floats[0][0] if len(floats) == 1 and floats[0][1] == shape else None


def with_leaf(state: PyTree, index: int, memory: Array) -> PyTree:
    """The state with another memory; unchanged where the index is −1."""
    leaves, tree = jax.tree.flatten(state)
    if index >= 0:
        leaves[index] = memory
    return jax.tree.unflatten(tree, leaves)


def measured_filter(optimizer: optimizers.Optimizer, steps: int) -> Filter | None:
    """An optimizer as a linear filter, measured in float64 at every step; None if it is none."""
    with default_dtype("float64"):
        transformation = at_gradients(optimizer)
        index = memory_leaf(jax.eval_shape(transformation.init, jnp.ones(2)), (2,))
        if index is None:
            return None
        measured, wrong = (np.asarray(x) for x in _measure(optimizer, steps, index))
    return Filter(*measured.T) if wrong < 1e-9 else None


@functools.partial(jax.jit, static_argnums=(1, 2))
def _measure(optimizer: optimizers.Optimizer, steps: int, index: int) -> tuple[Array, Array]:
    transformation = at_gradients(optimizer)
    ones, zeros = jnp.ones(2), jnp.zeros(2)

    def respond(
        state: PyTree, memory: Array, slope: Array, point: Array
    ) -> tuple[PyTree, PyTree, PyTree]:
        extra = optimizers.extra_arguments(jnp.ones(()), slope, jnp.sum, lambda point: slope)
        before = with_leaf(state, index, memory)
        update, after = transformation.update(slope, before, point, **extra)
        leaves = jax.tree.leaves(after)
        return update, leaves[index] if index >= 0 else zeros, after

    def body(state: PyTree, _: None) -> tuple[PyTree, tuple[Array, Array]]:
        carry, decay, _after = respond(state, ones, zeros, zeros)
        rate, gain, after = respond(state, zeros, ones, zeros)
        memory, slope = jnp.asarray(PROBES)
        update, kept, _after = respond(state, memory, slope, slope)
        wrong = jnp.abs(carry * memory + rate * slope - update) + jnp.abs(
            decay * memory + gain * slope - kept
        )
        return after, (jnp.stack([carry[0], rate[0], decay[0], gain[0]]), wrong.max())

    _, (measured, wrong) = jax.lax.scan(body, transformation.init(ones), length=steps + 1)
    return measured, wrong.max()
