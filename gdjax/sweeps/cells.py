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
from gdjax.outcomes import Outcome, StoppingRule, lost, nearest_minimum

RUNNING = -1
ALIGNED = 64  # bytes: a whole vector can be stored past the caches from such an address


class Cell(NamedTuple):
    """What one descent carries from step to step.

    Args:
        point: where it is, ``(d,)``.
        value, slope: of the objective there.
        state: of the optimizer.
        step: how many steps it has taken.
        best: the smallest value met so far.
        first_step: the first step at which the value was within tolerance, or −1.
        flat: the square of the gradient norm that counts as at rest.
        small: whether the last step was small enough for being at rest.
        outcome: an ``Outcome`` code, or ``RUNNING``.
    """

    point: Float[Array, "d"]
    value: Float[Array, ""]
    slope: Float[Array, "d"]
    state: Any
    step: Int[Array, ""]
    best: Float[Array, ""]
    first_step: Int[Array, ""]
    flat: Float[Array, ""]
    small: Bool[Array, ""]
    outcome: Int[Array, ""]


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
        advance: (cell, numbers, steps) → cell, one step on; a stopped cell stays as it is.
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

    def begin(start: Array, numbers: Mapping[str, Any]) -> Cell:
        value, slope = value_and_gradient(start)
        norm = jnp.sqrt(jnp.sum(slope * slope))
        return Cell(
            point=start,
            value=value,
            slope=slope,
            state=optimizers.join(recipe, numbers).init(start),
            step=jnp.int32(0),
            best=value,
            first_step=jnp.where(within(value), 0, -1).astype(jnp.int32),
            flat=(rule.gradient * (1 + norm)) ** 2,
            small=jnp.array(True),
            outcome=jnp.int32(RUNNING),
        )

    def advance(cell: Cell, numbers: Mapping[str, Any], steps: Int[Array, ""]) -> Cell:
        outcome = jnp.where(cell.outcome == RUNNING, judge(cell, steps), cell.outcome)
        goes_on = outcome == RUNNING
        transformation = optimizers.join(recipe, numbers)
        moved, state = move(
            objective, value_and_gradient, transformation,
            cell.point, cell.state, cell.value, cell.slope,
        )  # fmt: skip
        point = jnp.where(goes_on, moved, cell.point)
        step = jnp.where(goes_on, cell.step + 1, cell.step)
        # In the carry, so that XLA computes them once and not again for every use.
        value, slope = value_and_gradient(point)
        first = within(value) & (cell.first_step < 0)
        return Cell(
            point=point,
            value=value,
            slope=slope,
            state=jax.tree.map(lambda a, b: jnp.where(goes_on, a, b), state, cell.state),
            step=step,
            best=jnp.where(value < cell.best, value, cell.best),
            first_step=jnp.where(first, step, cell.first_step),
            flat=cell.flat,
            small=jnp.all(jnp.abs(moved - cell.point) <= rule.step * objective.width),
            outcome=outcome,
        )

    def within(value: Float[Array, ""]) -> Bool[Array, ""]:
        return value <= (-jnp.inf if objective.fmin is None else objective.fmin + tolerance)

    def judge(cell: Cell, steps: Int[Array, ""]) -> Int[Array, ""]:
        """What becomes of a running cell at its point; a cell at rest counts as stalled here."""
        away = lost(cell.point, frame_of(objective, cell.point.dtype), rule)
        broken = ~jnp.isfinite(cell.value) | jnp.any(jnp.isnan(cell.point))
        rest = cell.small & (jnp.sum(cell.slope * cell.slope) <= cell.flat)
        last = cell.step >= steps
        outcome = jnp.where(last, Outcome.MAX_STEPS, RUNNING)
        outcome = jnp.where(rest & (last | stop), Outcome.STALLED, outcome)
        outcome = jnp.where(broken, Outcome.NONFINITE, outcome)
        return jnp.where(away, Outcome.DIVERGED, outcome).astype(jnp.int32)

    def finish(cell: Cell) -> Summary:
        frame = frame_of(objective, cell.point.dtype)
        minimum = nearest_minimum(cell.point, frame, rule)
        rests = (cell.outcome == Outcome.STALLED) & (minimum >= 0)
        return Summary(
            final_point=cell.point,
            final_value=cell.value,
            best_value=cell.best,
            first_step=cell.first_step,
            steps=cell.step,
            evaluations=cell.step + 1,
            outcome=jnp.where(rests, Outcome.CONVERGED, cell.outcome).astype(jnp.int8),
            minimum=minimum.astype(jnp.int16),
        )

    return Descent(begin, advance, finish)
