"""One cell of a sweep, step by step: what it carries, when it stops, and what is kept of it.

These are functions of one cell. A sweep runs them for many cells at once, with ``vmap`` or
unrolled into a kernel; what they mean does not depend on which.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gdjax import optimizers
from gdjax.descent import frame_of, move
from gdjax.objectives import GradientSide, Objective
from gdjax.outcomes import StoppingRule, classify, nearest_minimum, went_wrong

ALIGNED = 64  # bytes: a whole vector can be stored past the caches from such an address


class Cell(NamedTuple):
    """What one descent carries from step to step: little, for it is to stay in registers.

    Args:
        point: where it is, ``(d,)``.
        state: of the optimizer.
        step: how many steps it has taken.
        best: the smallest value met before this point.
        first_step: the first step before this one with a value within tolerance, or −1.
        flat: the square of the gradient norm that counts as at rest.
        small: whether the last step was small enough for being at rest.
        running: whether it has not been seen to stop.
    """

    point: Float[Array, "d"]
    state: Any
    step: Int[Array, ""]
    best: Float[Array, ""]
    first_step: Int[Array, ""]
    flat: Float[Array, ""]
    small: Bool[Array, ""]
    running: Bool[Array, ""]


class Summary(NamedTuple):
    """What is kept of one descent: one number a field, but for the point ``(d,)``."""

    final_point: Float[Array, "d"]
    final_value: Float[Array, ""]
    best_value: Float[Array, ""]
    first_step: Int[Array, ""]
    steps: Int[Array, ""]
    evaluations: Int[Array, ""]
    outcome: Int[Array, ""]
    minimum: Int[Array, ""]


class Column(NamedTuple):
    """Where a scalar of every cell lies: cell i has ``array[(i // every) % len(array)]``.

    Args:
        array: of one dimension, or the view of a column of a matrix.
        every: how many neighbouring cells share a value.
    """

    array: np.ndarray
    every: int


class Paths(NamedTuple):
    """Where recorded steps go, cells last; rows begin at multiples of ``ALIGNED`` bytes.

    Args:
        when: the steps that are kept, in order, r of them.
        points: ``(r, d, cells)``.
        values: ``(r, cells)``.
    """

    when: tuple[int, ...]
    points: np.ndarray
    values: np.ndarray


class Descent(NamedTuple):
    """The three functions that make a sweep's cells; compared by identity of its members.

    Args:
        begin: (start, numbers) → ``Cell``.
        advance: (cell, numbers, steps) → (cell, value): judged at its point, and if it does not
            stop there one step on; with the value at the point that it came with.
        finish: cell → ``Summary``.
    """

    begin: Callable
    advance: Callable
    finish: Callable


def descent(
    objective: Objective,
    recipe: Any,
    gradient: GradientSide,
    rule: StoppingRule,
    tolerance: float,
    stop: bool,
) -> Descent:
    """The functions of one cell.

    Args:
        objective: what to descend.
        recipe: the optimizer, as ``optimizers.split`` gives it.
        gradient: which gradient to follow.
        rule: when a cell is at rest, lost, or at a known minimum.
        tolerance: ``first_step`` is the first one with f ≤ f* + tolerance.
        stop: whether a cell at rest stops; lost and broken ones always do.
    """
    value_and_gradient = objective.value_and_gradient(gradient)
    within = -jnp.inf if objective.fmin is None else objective.fmin + tolerance

    def begin(start: Array, numbers: Mapping[str, Any]) -> Cell:
        _, slope = value_and_gradient(start)
        norm = jnp.sqrt(jnp.sum(slope * slope))
        return Cell(
            point=start,
            state=optimizers.join(recipe, numbers).init(start),
            step=jnp.int32(0),
            best=jnp.full_like(start[0], jnp.inf),
            first_step=jnp.int32(-1),
            flat=(rule.gradient * (1 + norm)) ** 2,
            small=jnp.array(True),
            running=jnp.array(True),
        )

    def advance(
        cell: Cell, numbers: Mapping[str, Any], steps: Int[Array, ""]
    ) -> tuple[Cell, Float[Array, ""]]:
        point, frame = cell.point, frame_of(objective, cell.point.dtype)
        value, slope = value_and_gradient(point)
        inside = jnp.all(jnp.abs(point - frame.center) <= rule.bound * frame.width)
        healthy = inside & jnp.isfinite(value)  # NaN is not inside
        ended = (cell.step >= steps) | (stop & at_rest(cell, slope))
        running = cell.running & healthy & ~ended
        moved, state = move(
            objective, value_and_gradient, optimizers.join(recipe, numbers),
            point, cell.state, value, slope,
        )  # fmt: skip
        small = jnp.all(jnp.abs(moved - point) <= rule.step * frame.width)
        met = (value <= within) & (cell.first_step < 0)
        after = Cell(
            point=jnp.where(running, moved, point),
            state=jax.tree.map(lambda a, b: jnp.where(running, a, b), state, cell.state),
            step=jnp.where(running, cell.step + 1, cell.step),
            best=jnp.where(value < cell.best, value, cell.best),
            first_step=jnp.where(met, cell.step, cell.first_step),
            flat=cell.flat,
            small=jnp.where(running, small, cell.small),
            running=running,
        )
        return after, value

    def at_rest(cell: Cell, slope: Float[Array, "d"]) -> Bool[Array, ""]:
        return cell.small & (jnp.sum(slope * slope) <= cell.flat)

    def finish(cell: Cell) -> Summary:
        value, slope = value_and_gradient(cell.point)
        frame = frame_of(objective, cell.point.dtype)
        minimum = nearest_minimum(cell.point, frame, rule)
        wrong = went_wrong(jnp.int32(-1), cell.point, value, frame, rule)
        return Summary(
            final_point=cell.point,
            final_value=value,
            best_value=cell.best,
            first_step=cell.first_step,
            steps=cell.step,
            evaluations=cell.step + 1,
            outcome=classify(wrong, at_rest(cell, slope), minimum).astype(jnp.int8),
            minimum=minimum.astype(jnp.int16),
        )

    return Descent(begin, advance, finish)
