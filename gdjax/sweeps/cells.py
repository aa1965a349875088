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
from gdjax.descent import frame_of, step_function
from gdjax.objectives import GradientSide, Objective
from gdjax.outcomes import Outcome, StoppingRule, lost, nearest_minimum

RUNNING = -1


class Cell(NamedTuple):
    """What one descent carries from step to step.

    Args:
        point: where it is, ``(d,)``.
        state: of the optimizer.
        step: how many steps it has taken.
        best: the smallest value met so far.
        first_step: the first step at which the value was within tolerance, or −1.
        flat: the square of the gradient norm that counts as at rest.
        small: whether the last step was small enough for being at rest.
        outcome: an ``Outcome`` code, or ``RUNNING``.
    """

    point: Float[Array, "d"]
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
    """Where recorded steps go, cells last.

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
        advance: (cell, numbers, steps) → (cell, value at its point); a stopped cell stays as it is.
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
            outcome=jnp.int32(RUNNING),
        )

    def advance(
        cell: Cell, numbers: Mapping[str, Any], steps: Int[Array, ""]
    ) -> tuple[Cell, Float[Array, ""]]:
        frame = frame_of(objective, cell.point.dtype)
        step = step_function(objective, gradient, optimizers.join(recipe, numbers))
        (moved, state), value, slope = step(cell.point, cell.state)
        away = lost(cell.point, frame, rule)
        broken = ~jnp.isfinite(value) | jnp.any(jnp.isnan(cell.point))
        rest = cell.small & (jnp.sum(slope * slope) <= cell.flat)
        last = cell.step >= steps
        outcome = jnp.where(rest & (last | stop), Outcome.STALLED, RUNNING)
        outcome = jnp.where(last & ~rest, Outcome.MAX_STEPS, outcome)
        outcome = jnp.where(broken, Outcome.NONFINITE, outcome)
        outcome = jnp.where(away, Outcome.DIVERGED, outcome)
        outcome = jnp.where(cell.outcome == RUNNING, outcome, cell.outcome).astype(jnp.int32)
        goes_on = outcome == RUNNING
        within = objective.fmin is not None and value <= objective.fmin + tolerance
        after = Cell(
            point=jnp.where(goes_on, moved, cell.point),
            state=jax.tree.map(lambda a, b: jnp.where(goes_on, a, b), state, cell.state),
            step=jnp.where(goes_on, cell.step + 1, cell.step),
            best=jnp.where(value < cell.best, value, cell.best),
            first_step=jnp.where(within & (cell.first_step < 0), cell.step, cell.first_step),
            flat=cell.flat,
            small=jnp.all(jnp.abs(moved - cell.point) <= rule.step * frame.width),
            outcome=outcome,
        )
        return after, value

    def finish(cell: Cell) -> Summary:
        frame = frame_of(objective, cell.point.dtype)
        minimum = nearest_minimum(cell.point, frame, rule)
        rests = (cell.outcome == Outcome.STALLED) & (minimum >= 0)
        return Summary(
            final_point=cell.point,
            final_value=objective.fn(cell.point),
            best_value=cell.best,
            first_step=cell.first_step,
            steps=cell.step,
            evaluations=cell.step + 1,
            outcome=jnp.where(rests, Outcome.CONVERGED, cell.outcome).astype(jnp.int8),
            minimum=minimum.astype(jnp.int16),
        )

    return Descent(begin, advance, finish)
