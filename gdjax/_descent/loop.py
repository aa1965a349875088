"""The loop of a descent: ``init``, ``step``, ``terminate``, ``postprocess`` over one ``State``.

These are functions of one descent. ``descend`` runs ``step`` in a scan of fixed length, and a
sweep runs all four for many cells at once, with ``vmap`` or unrolled into a kernel; what they mean
does not depend on which. ``terminate`` is a ``step`` that also judges whether a cell is to stop.

    start → init → State → step → … → step → terminate → step → … → postprocess → Summary
                             ↑                    │
                             └──── running ───────┘
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from gdjax import optimizers
from gdjax._descent.outcomes import DEFAULT_RULE, Judge, StoppingRule, classify
from gdjax._descent.structured import over_vectors
from gdjax._util.errors import ArgumentError
from gdjax._util.types import PyTree
from gdjax.objectives import GradientSide, Objective


class Progress(NamedTuple):
    """What a cell knows of its way so far, and a path need not.

    Args:
        step: how many steps it has taken.
        best: the smallest value met before this point, where it was not lost.
        steps_to_tolerance: how many points before this one came before the first value within
            tolerance.
        flat: the square of the gradient norm that counts as flat.
        converged: whether it was at rest when it was last judged.
        running: whether it has not been seen to stop.
        width: what lengths are measured by, where that depends on the start.
    """

    step: Int[Array, ""]
    best: Float[Array, ""]
    steps_to_tolerance: Int[Array, ""]
    flat: Float[Array, ""]
    converged: Bool[Array, ""]
    running: Bool[Array, ""]
    width: Float[Array, "d"] | None


class State(NamedTuple):
    """What a descent carries from step to step; what is None is not kept, and costs nothing.

    Args:
        point: where it is, ``(d,)``.
        optimizer: the state of the optimizer.
        failed: of a path, what has failed so far: ``DIVERGED``, ``NONFINITE``, or −1.
        progress: of a cell, which stops by itself.
        data: the arrays of its setting, where a kernel keeps them in the cell.
    """

    point: Float[Array, "d"]
    optimizer: PyTree
    failed: Int[Array, ""] | None = None
    progress: Progress | None = None
    data: Sequence[PyTree] = ()

    @property
    def cell(self) -> Progress:
        """The progress of a cell."""
        assert self.progress is not None, "a path takes every step"
        return self.progress

    @property
    def running_at(self) -> int:
        """Which of the scalars of a cell, in order, says whether it is running."""
        leaves = jax.tree.leaves(self)
        scalars = [leaf for leaf in leaves for _ in range(math.prod(leaf.shape))]
        return [leaf is self.cell.running for leaf in scalars].index(True)


class Summary(NamedTuple):
    """What is kept of one cell: one number a field, but for the point ``(d,)``."""

    final_point: Float[Array, "d"]
    final_value: Float[Array, ""]
    best_value: Float[Array, ""]
    steps_to_tolerance: Int[Array, ""]
    steps: Int[Array, ""]
    evaluations: Int[Array, ""]
    outcome: Int[Array, ""]
    minimum: Int[Array, ""]


class Descent(NamedTuple):
    """An optimizer on an objective, step by step.

    Args:
        objective: what is descended.
        optimizer: by what.
        gradient: which gradient it follows.
        stopping: when it is at rest, lost, or at a known minimum.
        tolerance: of a cell, on f − f* for ``steps_to_tolerance``.
        stops: whether a cell at rest stops; lost and broken ones always do.
    """

    objective: Objective
    optimizer: optax.GradientTransformationExtraArgs
    gradient: GradientSide = "autodiff"
    stopping: StoppingRule = DEFAULT_RULE
    tolerance: float = 0.0
    stops: bool = True

    @classmethod
    def of(
        cls, objective: Objective, optimizer: optimizers.Optimizer, *how: Any, **named: Any
    ) -> "Descent":
        """A descent whose optimizer is handed points of the structure that the start has.

        Masks, labels and norms are then by leaf, as in optax; ``optax.flatten`` makes them one.
        """
        return cls(objective, over_vectors(optimizer, objective.structure), *how, **named)

    def init(self, start: Float[Array, "d"]) -> State:
        """A path at its start: all steps will be taken, and what fails is noted."""
        return State(start, self.optimizer.init(start), failed=jnp.int32(-1))

    def init_cell(self, start: Float[Array, "d"]) -> State:
        """A cell at its start: it will stop by itself."""
        judge = Judge.of(self.objective, start, self.stopping)
        progress = Progress(
            step=jnp.int32(0),
            best=jnp.full_like(start[0], jnp.inf),
            steps_to_tolerance=jnp.int32(0),
            flat=judge.flat(self._seen(start)[1]),
            converged=jnp.array(False),
            running=jnp.array(True),
            width=None if judge.bounded else jnp.asarray(judge.width),
        )
        return State(start, self.optimizer.init(start), progress=progress)

    def step(
        self, state: State, steps: Int[Array, ""] | None = None
    ) -> tuple[State, Float[Array, ""]]:
        """One step on, and the value at the point before it.

        A cell whose point is lost, or whose value is broken, stops where it is. Given a number of
        steps, it is judged too: then it also stops at rest, and after so many.
        """
        value, gradient = self._seen(state.point)
        point, optimizer = self._moved(state, value, gradient)
        cell = state.progress
        if cell is None:
            failed = self._failed(state, value)
            return state._replace(point=point, optimizer=optimizer, failed=failed), value
        judge = self.judge(state)
        there = judge.inside(state.point)
        running = cell.running & there & jnp.isfinite(value)
        converged = cell.converged
        if steps is not None:
            now = judge.converged(gradient, point - state.point, cell.flat)
            converged = jnp.where(cell.running, now, converged)
            running = running & (cell.step < steps) & ~(self.stops & converged)
        counts = jnp.where(there, value, jnp.inf)
        best = jnp.where(counts < cell.best, counts, cell.best)
        waited = cell.steps_to_tolerance
        if self._within is not None:  # one that has stopped sees its last value again: no new best
            waited = waited + (best > self._within)
        progress = cell._replace(
            step=jnp.where(running, cell.step + 1, cell.step),
            best=best,
            steps_to_tolerance=waited,
            converged=converged,
            running=running,
        )
        # Of a cell that has stopped the optimizer's state no longer matters.
        point = jnp.where(running, point, state.point)
        return state._replace(point=point, optimizer=optimizer, progress=progress), value

    def postprocess(self, state: State) -> Summary:
        """What is kept of a cell that has stopped; ``terminate`` came last."""
        judge, cell, value = self.judge(state), state.cell, self.objective.value(state.point)
        minimum, close = judge.nearest_minimum(state.point, value)
        stuck = self.stuck(state, value, cell.best)
        failed = judge.failed(jnp.int32(-1), state.point, value)
        never = self._within is None or cell.best > self._within
        return Summary(
            final_point=state.point,
            final_value=value,
            best_value=cell.best,
            steps_to_tolerance=jnp.where(never, jnp.int32(-1), cell.steps_to_tolerance),
            steps=cell.step,
            evaluations=cell.step + 1,
            outcome=classify(failed, cell.converged, close, stuck).astype(jnp.int8),
            minimum=minimum.astype(jnp.int16),
        )

    def end(
        self, state: State, start: Float[Array, "d"], best: Float[Array, ""]
    ) -> tuple[Float[Array, ""], Int[Array, ""], Int[Array, ""]]:
        """Value, outcome and minimum at the last point of a path.

        Whether it is at rest is told by the step that would follow.

        Args:
            state: the last one.
            start: the first point.
            best: the smallest value met before the last point.
        """
        judge = Judge.of(self.objective, start, self.stopping)
        value, gradient = self._seen(state.point)
        following = self._moved(state, value, gradient)[0]
        flat = judge.flat(self._seen(start)[1])
        minimum, close = judge.nearest_minimum(state.point, value)
        converged = judge.converged(gradient, following - state.point, flat)
        failed, stuck = self._failed(state, value), self.stuck(state, value, best)
        return value, classify(failed, converged, close, stuck), minimum

    def eval_point(self, state: State) -> Float[Array, "d"] | None:
        """Where the optimizer is evaluated, or None where that is the point itself."""
        structure = self.objective.structure
        if structure is None:
            return optimizers.eval_point(state.optimizer, state.point)
        found = optimizers.eval_point(state.optimizer, structure.numbers(state.point))
        return None if found is None else structure.flatten(found, "the evaluation point")

    def judge(self, state: State) -> Judge:
        """What a state is judged by."""
        judge = Judge.of(self.objective, state.point, self.stopping)
        width = state.progress and state.progress.width
        return judge if width is None else judge._replace(width=width)

    def update(
        self, point: Float[Array, "d"], optimizer: PyTree, value: Float[Array, ""],
        gradient: Float[Array, "d"],
    ) -> tuple[PyTree, PyTree]:  # fmt: skip
        """What the optimizer adds to a point, and its next state."""
        extra = optimizers.extra_arguments(
            value, gradient, self.objective.value, lambda point: self._seen(point)[1]
        )
        return self.optimizer.update(gradient, optimizer, point, **extra)

    def stuck(
        self, state: State, value: Float[Array, ""], best: Float[Array, ""]
    ) -> Bool[Array, ""] | bool:
        """Whether the optimizer has a line search whose last step found no lower point."""
        return (value >= best) if optimizers.has_line_search(state.optimizer) else False

    def _failed(self, state: State, value: Float[Array, ""]) -> Any:
        """What has failed by this point of a path, where that is kept."""
        if state.failed is None:
            return None
        return self.judge(state).failed(state.failed, state.point, value)

    def _moved(
        self, state: State, value: Float[Array, ""], gradient: Float[Array, "d"]
    ) -> tuple[Float[Array, "d"], PyTree]:
        updates, optimizer = self.update(state.point, state.optimizer, value, gradient)
        if jnp.shape(updates) != state.point.shape:
            raise ArgumentError(
                f"the update of the optimizer must have the shape {state.point.shape} of the "
                f"point, got {jnp.shape(updates)}"
            )
        return jnp.asarray(optax.apply_updates(state.point, updates)), optimizer

    @property
    def _seen(self) -> Callable[[Array], tuple[Array, Array]]:
        """Point → value and gradient."""
        return self.objective.value_and_gradient(self.gradient)

    @property
    def _within(self) -> float | None:
        """The value from which on a cell is within tolerance, where the minimum is known."""
        fmin = self.objective.fmin
        return None if fmin is None else fmin + self.tolerance
