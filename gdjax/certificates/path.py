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
from gdjax.certificates.conversion import Conversion
from gdjax.certificates.filters import at_gradients, memory_in, with_memory
from gdjax.objectives import GradientSide, Objective

NEAREST = 1e-3  # of the way to a drawn point: the nearest that a path goes on from elsewhere
PHASES = 10  # into so many a run is cut at most …
SHORTEST = 10  # … and so many steps each has at least


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
        still: whether both stand still in spite of a gradient.
    """

    apart: Flat
    carried: Flat
    scale: Flat
    drift: Flat
    compared: Flat
    alive: Flat
    moves: Flat
    still: Flat


class Elsewhere(NamedTuple):
    """Where paths go on when there is nothing more to see.

    Args:
        points: for each start and step, ``(n, steps, d)``.
        always: after which steps every path goes on there, ``(steps,)``: at the end of a phase.
    """

    points: Flat
    always: Flat

    @classmethod
    def drawn(cls, objective: Objective, starts: np.ndarray, steps: int, seed: int) -> "Elsewhere":
        """Points on the way from the start to one in the domain.

        As often near as far, since the gradient may be alive near the start only.
        """
        rng = np.random.default_rng([seed, 1])  # other numbers than those of the starts
        count, dim = starts.shape
        middle = objective.center if objective.bounded else starts
        ends = rng.uniform(-0.5, 0.5, (steps, count, dim)) * objective.width_from(starts) + middle
        share = NEAREST ** rng.uniform(size=(steps, count, 1))
        always = np.concatenate([np.arange(len(part)) == len(part) - 1 for part in phases(steps)])
        return cls(np.swapaxes(starts + share * (ends - starts), 0, 1), always)


def phases(steps: int) -> list[np.ndarray]:
    """The steps of each phase of a run, from 0 on: a tenth of all, but ten at least.

    Example:
        >>> [len(phase) for phase in phases(34)]
        [12, 11, 11]
    """
    return np.array_split(np.arange(steps), max(min(PHASES, steps // SHORTEST), 1))


@functools.partial(jax.jit, static_argnums=(1, 2))
def along(
    objective: Objective,
    gradient: GradientSide,
    places: tuple[int, int],
    pair: tuple[optimizers.Optimizer, optimizers.Optimizer],
    starts: Float[Array, "n d"],
    elsewhere: Elsewhere,
    resolution: Float[Array, ""],
    convert: Conversion,
) -> Seen:
    """What is seen along the path of a, from each start.

    At the end of a phase a path goes on elsewhere; so does a component whose step is no evidence,
    and a path that left all bounds, with the state that it had before.

    Args:
        objective: what is descended.
        gradient: which gradient is followed.
        places: of the memories in the states of a and b.
        pair: a and b.
        starts: where the paths begin.
        elsewhere: where they go on.
        resolution: a step counts from so many units in the last place on.
        convert: a's state into b's.
    """
    first, second = (Descent(objective, at_gradients(o), gradient) for o in pair)
    oracle = objective.value_and_gradient(gradient)

    def body(start: Flat, width: Flat, carry: PyTree, step: PyTree) -> tuple[PyTree, Seen]:
        point, state_a, state_b, free, state_free = carry
        (factor_now, carries, following), other, always = step
        value, slope = oracle(point)
        before = memory_in(state_a, places[0], point)
        forced = with_memory(state_b, places[1], factor_now * before)
        update_a, after_a = first.update(point, state_a, value, slope)
        update_b, after_b = second.update(point, forced, value, slope)
        update, after_free = second.update(free, state_free, *oracle(free))
        moved_a, moved_b = point + update_a, point + update_b / convert.factor
        after = moved_a, after_a, after_b, free + update / convert.factor, after_free
        carried_a = following[0] * memory_in(after_a, places[0], point)
        carried_b = following[1] * memory_in(after_b, places[1], point)
        # Every number that is added up on the way to the next point and the next memory.
        kept = carries[0] * before
        sizes = point, moved_a, update_a, kept, update_a - kept, carried_a
        scale = functools.reduce(jnp.maximum, [jnp.abs(size) for size in sizes])
        alive = jnp.isfinite(slope) & (slope != 0)
        idle, _ = first.update(point, state_a, value, jnp.zeros_like(slope))
        seen = Seen(
            apart=jnp.abs(moved_a - moved_b),
            carried=jnp.abs(carried_a - carried_b),
            scale=scale,
            drift=jnp.abs(moved_a - after[3]) / width,
            compared=jnp.isfinite(scale) | jnp.isfinite(moved_b),
            alive=alive,
            moves=_told(update_a, idle, scale, resolution),
            still=alive & (update_a == 0) & (update_b == 0),
        )
        lost = ~jnp.all(jnp.abs(moved_a - start) <= DEFAULT_RULE.bound * width)
        point, *states, free, state_free = _taken_back(lost, after, carry)
        stays = (seen.moves | seen.still) & ~lost & ~always
        jump = jnp.where(stays, 0, other - point)
        return (point + jump, *states, free + jump, state_free), seen

    def path(start: Flat, others: Flat) -> Seen:
        begun = [descent.optimizer.init(start) for descent in (first, second)]
        carry = start, *begun, start, begun[1]
        steps = convert.memory[:-1], convert.carries[:, :-1].T, convert.carries[:, 1:].T
        width = jnp.asarray(objective.width_from(start), start.dtype)
        scan = functools.partial(body, start, width)
        return jax.lax.scan(scan, carry, (steps, others, elsewhere.always))[1]

    return jax.vmap(path)(starts, elsewhere.points)


def _told(update: Array, idle: Array, scale: Array, resolution: Array) -> Bool[Array, "d"]:
    """Whether an update can be told from that without a gradient, beside numbers of a scale."""
    number = jnp.finfo(update.dtype)
    added = jnp.abs(update - jnp.where(jnp.isfinite(idle), idle, 0))
    unit = number.eps * jnp.maximum(scale, number.tiny / number.eps)
    return jnp.isfinite(scale) & (added > resolution * unit)


def _taken_back(lost: Bool[Array, ""], after: PyTree, before: PyTree) -> PyTree:
    """All numbers as they were before a step that is lost; what counts steps counts on."""

    def kept(new: Array, old: Array) -> Array:
        counts = not jnp.issubdtype(new.dtype, jnp.floating)
        return new if counts else jnp.where(lost, old, new)

    return jax.tree.map(kept, after, before)
