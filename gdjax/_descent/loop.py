"""One cell of a sweep, step by step: what it carries, when it stops, and what is kept of it.

These are functions of one cell. A sweep runs them for many cells at once, with ``vmap`` or
unrolled into a kernel; what they mean does not depend on which.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gdjax import optimizers
from gdjax._descent.outcomes import Frame, StoppingRule, classify, nearest_minimum, went_wrong
from gdjax._descent.trajectory import frame_of, move
from gdjax.objectives import GradientSide, Objective

ALIGNED = 64  # bytes: a whole vector can be stored past the caches from such an address


class Cell(NamedTuple):
    """What one descent carries from step to step: little, for it is to stay in registers.

    Args:
        point: where it is, ``(d,)``.
        state: of the optimizer.
        step: how many steps it has taken.
        best: the smallest value met before this point, where it was not lost.
        waited: how many points before this one came before the first value within tolerance.
        flat: the square of the gradient norm that counts as at rest.
        resting: whether it was at rest when it was last judged.
        running: whether it has not been seen to stop.
        scale: what lengths are measured by, where that depends on the start; else absent.
        data: the arrays of its setting, where a kernel keeps them in the cell; else absent.
    """

    point: Float[Array, "d"]
    state: Any
    step: Int[Array, ""]
    best: Float[Array, ""]
    waited: Int[Array, ""]
    flat: Float[Array, ""]
    resting: Bool[Array, ""]
    running: Bool[Array, ""]
    scale: Float[Array, "d"] | None = None
    data: Sequence[Any] = ()


class Setting(NamedTuple):
    """An optimizer and an objective without their numbers and data: what is compiled.

    Args:
        tree: the structure of both, as pytrees.
        scalars: which of their leaves are numbers, one a cell; the others are the data, arrays
            that all cells share.
    """

    tree: Any
    scalars: tuple[bool, ...]

    @classmethod
    def of(
        cls, optimizer: optimizers.Optimizer, objective: Objective
    ) -> tuple["Setting", list[Any], list[Any]]:
        """A setting with its numbers and its data."""
        leaves, tree = jax.tree.flatten((optimizer, objective))
        count = len(jax.tree.leaves(optimizer))
        scalars = tuple(i < count and np.ndim(leaf) == 0 for i, leaf in enumerate(leaves))
        numbers = [leaf for leaf, scalar in zip(leaves, scalars, strict=True) if scalar]
        data = [leaf for leaf, scalar in zip(leaves, scalars, strict=True) if not scalar]
        return cls(tree, scalars), numbers, data

    def filled(
        self, numbers: Sequence[Any], data: Sequence[Any]
    ) -> tuple[optimizers.Optimizer, Objective]:
        """The optimizer and the objective with these numbers and data."""
        one, other = iter(numbers), iter(data)
        leaves = [next(one) if scalar else next(other) for scalar in self.scalars]
        return jax.tree.unflatten(self.tree, leaves)


class Summary(NamedTuple):
    """What is kept of one descent: one number a field, but for the point ``(d,)``."""

    final_point: Float[Array, "d"]
    final_value: Float[Array, ""]
    best_value: Float[Array, ""]
    steps_to_tolerance: Int[Array, ""]
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


def as_columns(data: Sequence[np.ndarray]) -> list[Column]:
    """Arrays that all cells share, as a column for each of their numbers."""
    return [Column(x.reshape(-1)[i : i + 1], 1) for x in data for i in range(x.size)]


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
    """The functions that make a sweep's cells; compared by identity of its members.

    A cell is judged at its start and after every ``stride(steps, every)`` steps. The data come
    last wherever cells do not carry them.

    Args:
        begin: (start, numbers, data) → ``Cell``.
        advance: (cell, numbers, data) → (cell, value): one step on, unless its point is lost or
            its value is broken, where it stops; with the value at the point that it came with.
        judge: (cell, numbers, steps, data) → (cell, value): the same, and it also stops at rest
            and after so many steps.
        finish: (cell, data) → ``Summary``; after it was judged.
        inside: point → whether it is not lost; elsewhere its value may be NaN.
        every: see ``StoppingRule``.
    """

    begin: Callable
    advance: Callable
    judge: Callable
    finish: Callable
    inside: Callable
    every: int


def running_at(cell: Cell) -> int:
    """Which of the scalars of a cell, in order, says whether it is running."""
    leaves = jax.tree.leaves(cell)
    scalars = [leaf for leaf in leaves for _ in range(math.prod(leaf.shape))]
    return [leaf is cell.running for leaf in scalars].index(True)


def stride(steps: int, every: int) -> int:
    """After how many steps a cell is judged: the largest divisor of ``steps`` up to ``every``.

    Example:
        >>> [stride(steps, 10) for steps in (0, 7, 100, 101, 128)]
        [1, 7, 10, 1, 8]
    """
    return next(k for k in range(min(every, max(steps, 1)), 0, -1) if steps % k == 0)


def descent(
    setting: Setting,
    gradient: GradientSide,
    rule: StoppingRule,
    tolerance: float,
    stop: bool,
    carry_data: bool = False,
) -> Descent:
    """The functions of one cell.

    Args:
        setting: the optimizer and the objective.
        gradient: which gradient to follow.
        rule: when a cell is at rest, lost, or at a known minimum.
        tolerance: ``steps_to_tolerance`` is the first one with f ≤ f* + tolerance.
        stop: whether a cell at rest stops; lost and broken ones always do.
        carry_data: whether a cell carries the data, for kernels that share nothing between cells.
    """
    known = setting.filled([None] * len(setting.scalars), [None] * len(setting.scalars))[1]
    within = None if known.fmin is None else known.fmin + tolerance

    def begin(start: Array, numbers: Sequence[Any], data: Sequence[Any] = ()) -> Cell:
        optimizer, objective = setting.filled(numbers, data)
        _, slope = objective.value_and_gradient(gradient)(start)
        norm = jnp.sqrt(jnp.sum(slope * slope))
        return Cell(
            point=start,
            state=optimizer.init(start),
            step=jnp.int32(0),
            best=jnp.full_like(start[0], jnp.inf),
            waited=jnp.int32(0),
            flat=(rule.gradient * (1 + norm)) ** 2,
            resting=jnp.array(False),
            running=jnp.array(True),
            scale=jnp.asarray(frame_of(objective, start).width) if not known.bounded else None,
            data=tuple(data) if carry_data else (),
        )

    def advance(
        cell: Cell, numbers: Sequence[Any], data: Sequence[Any] = ()
    ) -> tuple[Cell, Float[Array, ""]]:
        return move_on(cell, numbers, None, data)

    def judge(
        cell: Cell, numbers: Sequence[Any], steps: Int[Array, ""], data: Sequence[Any] = ()
    ) -> tuple[Cell, Float[Array, ""]]:
        return move_on(cell, numbers, steps, data)

    def move_on(
        cell: Cell, numbers: Sequence[Any], steps: Int[Array, ""] | None, data: Sequence[Any]
    ) -> tuple[Cell, Float[Array, ""]]:
        optimizer, objective = setting.filled(numbers, cell.data if carry_data else data)
        value_and_gradient = objective.value_and_gradient(gradient)
        point, frame = cell.point, frame_at(cell)
        value, slope = value_and_gradient(point)
        there = inside(point)
        running = cell.running & there & jnp.isfinite(value)
        moved, state = move(
            objective, value_and_gradient, optimizer, point, cell.state, value, slope
        )
        resting = cell.resting
        if steps is not None:
            small = jnp.all(jnp.abs(moved - point) <= rule.step * frame.width)
            flat = jnp.sum(slope * slope) <= cell.flat
            resting = jnp.where(cell.running, small & flat, resting)
            running = running & (cell.step < steps) & ~(stop & resting)
        counts = jnp.where(there, value, jnp.inf)
        best = jnp.where(counts < cell.best, counts, cell.best)
        after = cell._replace(
            point=jnp.where(running, moved, point),
            state=state,  # of a cell that has stopped it no longer matters
            step=jnp.where(running, cell.step + 1, cell.step),
            best=best,
            # A stopped cell sees its last value again, which changes neither in a way that counts.
            waited=cell.waited if within is None else cell.waited + (best > within),
            resting=resting,
            running=running,
        )
        return after, value

    def frame_at(cell: Cell) -> Frame:
        frame = frame_of(known, cell.point)
        return frame if cell.scale is None else frame._replace(width=cell.scale)

    def inside(point: Float[Array, "d"]) -> Bool[Array, ""]:
        if not known.bounded:
            return jnp.all(jnp.isfinite(point))
        frame = frame_of(known, point)
        return jnp.all(jnp.abs(point - frame.center) <= rule.bound * frame.width)  # not NaN

    def finish(cell: Cell, data: Sequence[Any] = ()) -> Summary:
        numbers = [None] * sum(setting.scalars)
        _, objective = setting.filled(numbers, cell.data if carry_data else data)
        value = objective.value(cell.point)
        frame = frame_at(cell)
        minimum = nearest_minimum(cell.point, frame, rule)
        wrong = went_wrong(jnp.int32(-1), cell.point, value, frame, rule)
        never = within is None or cell.best > within
        return Summary(
            final_point=cell.point,
            final_value=value,
            best_value=cell.best,
            steps_to_tolerance=jnp.where(never, jnp.int32(-1), cell.waited),
            steps=cell.step,
            evaluations=cell.step + 1,
            outcome=classify(wrong, cell.resting, minimum).astype(jnp.int8),
            minimum=minimum.astype(jnp.int16),
        )

    return Descent(begin, advance, judge, finish, inside, rule.every)
