"""The path along which two optimizers are held against each other, and what is seen on it."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from gdjax import optimizers
from gdjax._descent.loop import Descent
from gdjax._descent.outcomes import DEFAULT_RULE
from gdjax._util.types import Flat, PyTree
from gdjax.certificates.filters import at_gradients, memory_in, with_memory
from gdjax.objectives import GradientSide, Objective

NEAREST = 1e-3  # of the way to a drawn point: the nearest that a path at rest is put elsewhere


class Seen(NamedTuple):
    """What is seen for each start, step and component, all of them ``(n, steps, d)``.

    Args:
        apart: distance of the next points.
        carried: distance of the steps that the next states would make without a gradient.
        scale: the largest number that went into the two.
        drift: distance of a from the free run of b, in widths of the domain.
        compared: whether the next point of a or b is finite.
        alive: whether the gradient is finite and not 0.
        moves: whether what the gradient adds to the step of a can be told from rounding.
        counts: whether the step is evidence: it moves, or both stand still in spite of a gradient.
    """

    apart: np.ndarray
    carried: np.ndarray
    scale: np.ndarray
    drift: np.ndarray
    compared: np.ndarray
    alive: np.ndarray
    moves: np.ndarray
    counts: np.ndarray


def elsewhere(objective: Objective, starts: np.ndarray, steps: int, seed: int) -> np.ndarray:
    """Where to go on at each step if there is nothing more to see: ``(n, steps, d)``.

    Points on the way from the start to one drawn in the domain, as often near as far, since the
    gradient may be alive near the start only.
    """
    rng = np.random.default_rng([seed, 1])  # other numbers than those of the starts
    count, dim = starts.shape
    middle = objective.center if objective.bounded else starts
    drawn = rng.uniform(-0.5, 0.5, (steps, count, dim)) * objective.width_from(starts) + middle
    share = NEAREST ** rng.uniform(size=(steps, count, 1))
    return np.swapaxes(starts + share * (drawn - starts), 0, 1)


@functools.partial(jax.jit, static_argnums=(1, 2))
def along(
    objective: Objective,
    gradient: GradientSide,
    places: tuple[int, int],
    a: optimizers.Optimizer,
    b: optimizers.Optimizer,
    starts: Float[Array, "n d"],
    others: Float[Array, "n steps d"],
    resolution: Float[Array, ""],
    factor: Float[Array, ""],
    convert: Float[Array, " steps+1"],
    carries: Float[Array, "2 steps+1"],
) -> Seen:
    """What is seen along the path of a, from each start.

    A component whose step is no evidence goes on from another point; so does a path that left all
    bounds, with the state that it had before.

    Args:
        objective: what is descended.
        gradient: which gradient is followed.
        places: of the memories in the states of a and b.
        a, b: the optimizers.
        starts: where the paths begin.
        others: where they go on, at each step.
        resolution: a step counts from so many units of ``eps · scale`` on.
        factor, convert, carries: the conversion of a's state into b's.
    """
    first, second = (Descent(objective, at_gradients(o), gradient) for o in (a, b))
    oracle = objective.value_and_gradient(gradient)
    finest = jnp.finfo(starts.dtype).tiny / jnp.finfo(starts.dtype).eps

    def body(
        start: Flat, width: Flat, carry: PyTree, step: PyTree
    ) -> tuple[PyTree, tuple[Array, ...]]:
        point, state_a, state_b, free, _state_free = carry
        factor_now, (carry_a, _), (next_a, next_b), other = step
        value, slope = oracle(point)
        before = memory_in(state_a, places[0], point)
        forced_b = with_memory(state_b, places[1], factor_now * before)
        update_a, after_a = first.update(point, state_a, value, slope)
        update_b, after_b = second.update(point, forced_b, value, slope)
        moved_a, moved_b = point + update_a, point + update_b / factor
        carried_a = next_a * memory_in(after_a, places[0], point)
        carried_b = next_b * memory_in(after_b, places[1], point)
        # Every number that is added up on the way to the next point and the next memory.
        kept = carry_a * before
        sizes = point, moved_a, update_a, kept, update_a - kept, carried_a
        scale = functools.reduce(jnp.maximum, [jnp.abs(size) for size in sizes])
        update, after_free = second.update(free, carry[4], *oracle(free))
        moved_free = free + update / factor
        drift = jnp.abs(moved_a - moved_free) / width

        idle, _ = first.update(point, state_a, value, jnp.zeros_like(slope))
        added = jnp.abs(update_a - jnp.where(jnp.isfinite(idle), idle, 0))
        compared = jnp.isfinite(scale) | jnp.isfinite(moved_b)
        alive = jnp.isfinite(slope) & (slope != 0)
        unit = jnp.finfo(starts.dtype).eps * jnp.maximum(scale, finest)
        moves = jnp.isfinite(scale) & (added > resolution * unit)
        counts = moves | (alive & (update_a == 0) & (update_b == 0))
        seen = Seen(
            jnp.abs(moved_a - moved_b), jnp.abs(carried_a - carried_b), scale, drift,
            compared, alive, moves, counts,
        )  # fmt: skip

        lost = ~jnp.all(jnp.abs(moved_a - start) <= DEFAULT_RULE.bound * width)
        after = moved_a, after_a, after_b, moved_free, after_free
        moved_a, after_a, after_b, moved_free, after_free = _taken_back(lost, after, carry)
        jump = jnp.where(counts & ~lost, 0, other - moved_a)
        return (moved_a + jump, after_a, after_b, moved_free + jump, after_free), seen

    def path(start: Array, others: Array) -> Seen:
        begun = [descent.optimizer.init(start) for descent in (first, second)]
        carry = start, *begun, start, begun[1]
        columns = convert[:-1], carries[:, :-1].T, carries[:, 1:].T, others
        width = jnp.asarray(objective.width_from(start), start.dtype)
        return jax.lax.scan(functools.partial(body, start, width), carry, columns)[1]

    return jax.vmap(path)(starts, others)


def _taken_back(lost: Bool[Array, ""], after: PyTree, before: PyTree) -> PyTree:
    """All numbers as they were before a step that is lost; what counts steps counts on."""
    return jax.tree.map(
        lambda new, old: jnp.where(lost, old, new) if jnp.issubdtype(new, jnp.floating) else new,
        after,
        before,
    )
