"""Momentum methods as linear filters, measured by their answers to a memory and to a gradient."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from gdjax import optimizers
from gdjax._inputs import default_dtype
from gdjax._util.errors import ArgumentError, first_line
from gdjax._util.types import PyTree
from gdjax.optimizers import momentum

PROBES = np.array([[0.75, -1.5], [1.25, 0.5]])  # a memory and a gradient that are not parallel


class Filter(NamedTuple):
    """A momentum method in numbers: at each step the update is p m + q g, and m becomes r m + s g.

    Here m is the memory and g the gradient; p, q, r and s are arrays with one number for each step.

    Args:
        place: which leaf of the state is the memory; −1 if none is.
        carry: p, what a unit of memory adds to the update.
        rate: q, what a unit of gradient adds to the update: minus the learning rate.
        decay: r, the share of the memory that stays.
        gain: s, what a unit of gradient adds to the memory.
    """

    place: int
    carry: np.ndarray
    rate: np.ndarray
    decay: np.ndarray
    gain: np.ndarray

    @property
    def memory(self) -> str:
        """What the memory is a sum of."""
        most = abs(self.gain).argmax()  # the first may be 0, as in a warm-up
        gain, decay = float(self.gain[most]), float(self.decay[most])
        if gain == 0:
            return "nothing"
        if np.isclose(gain, 1):
            return "gradients"
        if np.isclose(gain, 1 - decay):
            return "averaged gradients"
        return "steps" if gain < 0 else "gradients in other units"


def is_textbook(optimizer: optimizers.Optimizer) -> bool:
    """Whether it is Nesterov's method as in textbooks, with gradients taken ahead of its points."""
    return optimizer.factory is momentum.nesterov_textbook


def at_gradients(made: optimizers.Optimizer) -> optax.GradientTransformationExtraArgs:
    """The optimizer, with the points at which it takes gradients for its points.

    Only the textbook form of Nesterov's method takes them elsewhere, at x + μ v.
    """
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
            """The gradient at ``params``; NaN elsewhere, where it is not known."""
            return jnp.where(jnp.abs(at - params) <= apart, updates, jnp.nan)

        extra |= {"grad_fn": known}
        step, state = made.update(updates, state, point, **extra)
        return point + step + mu * state[0].velocity - params, state

    return optax.GradientTransformationExtraArgs(made.init, update)


def _place_of_memory(state: PyTree, point: jax.ShapeDtypeStruct) -> int | None:
    """Which leaf of a state is the memory: its only array of floats, if it is like the point.

    −1 if the state holds no floats; None if it holds others than the memory. ``optax.MultiSteps``
    adds up gradients in float32 whatever the point is: they are no memory that could be converted.
    """
    floats = [
        (i, (leaf.shape, leaf.dtype))
        for i, leaf in enumerate(jax.tree.leaves(state))
        if jnp.issubdtype(leaf.dtype, jnp.floating)
    ]
    if not floats:
        return -1
    (place, kind), *others = floats
    return place if not others and kind == (point.shape, point.dtype) else None


def memory_in(state: PyTree, place: int, like: Array) -> Array:
    """The memory that a state holds at a place; where it holds none, zeros like another array."""
    return jax.tree.leaves(state)[place] if place >= 0 else jnp.zeros_like(like)


def with_memory(state: PyTree, place: int, memory: Array) -> PyTree:
    """The state with another memory; unchanged where it holds none."""
    leaves, tree = jax.tree.flatten(state)
    if place >= 0:
        leaves[place] = memory
    return jax.tree.unflatten(tree, leaves)


def measured_filter(optimizer: optimizers.Optimizer, steps: int) -> Filter | None:
    """An optimizer as a linear filter, measured in float64 at every step.

    None for an optimizer that is no linear filter, or whose state holds more than one memory.
    """
    with default_dtype("float64"):
        point = jax.ShapeDtypeStruct((2,), np.float64)
        try:
            state = jax.eval_shape(at_gradients(optimizer).init, point)
        except Exception as error:  # such as that of a mask by leaf
            raise ArgumentError(
                f"{optimizer!r:.200} cannot be certified: it is measured on plain vectors, and "
                f"fails there with {first_line(error)}"
            ) from error
        place = _place_of_memory(state, point)
        if place is None:
            return None
        measured, wrong = (np.asarray(x) for x in _measure(optimizer, steps, place))
    return Filter(place, *measured.T) if wrong < 1e-9 else None


@functools.partial(jax.jit, static_argnums=(1, 2))
def _measure(optimizer: optimizers.Optimizer, steps: int, place: int) -> tuple[Array, Array]:
    """p, q, r and s of each step, and the largest error of the filter that they make."""
    transformation = at_gradients(optimizer)
    ones, zeros = jnp.ones(2), jnp.zeros(2)

    def respond(
        state: PyTree, memory: Array, slope: Array, point: Array
    ) -> tuple[PyTree, PyTree, PyTree]:
        extra = optimizers.extra_arguments(jnp.ones(()), slope, jnp.sum, lambda point: slope)
        before = with_memory(state, place, memory)
        update, after = transformation.update(slope, before, point, **extra)
        return update, memory_in(after, place, zeros), after

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
