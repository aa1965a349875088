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
from gdjax._descent.conjugate import in_coordinates
from gdjax._descent.outcomes import DEFAULT_RULE, Judge, StoppingRule, classify
from gdjax._descent.structured import Points, over_vectors, points_of
from gdjax._util.errors import ArgumentError
from gdjax._util.types import PyTree
from gdjax.objectives import GradientSide, Objective


class Progress(NamedTuple):
    """What a cell knows of its way so far, and a path need not.

    Args:
        step: how many steps it has taken.
        best: the smallest value met before this point, where it was not lost; None if not kept.
        steps_to_tolerance: how many points before this one came before the first value within
            tolerance; None if not kept.
        flat: the square of the gradient norm that counts as flat.
        converged: whether it was at rest when it was last judged.
        running: whether it has not been seen to stop.
        width: what lengths are measured by, where that depends on the start.
        met: whether a metric was at its target when it was last judged, or before; None if no
            metric has one.
    """

    step: Int[Array, ""]
    best: Float[Array, ""] | None
    steps_to_tolerance: Int[Array, ""] | None
    flat: Float[Array, ""]
    converged: Bool[Array, ""]
    running: Bool[Array, ""]
    width: Float[Array, "d"] | None
    met: Bool[Array, ""] | None = None


class State(NamedTuple):
    """What a descent carries from step to step; what is None is not kept, and costs nothing.

    Args:
        point: where it is, ``(d,)``.
        optimizer: the state of the optimizer.
        failed: of a path, what has failed so far: ``DIVERGED``, ``NONFINITE``, or −1.
        taken: of a path that sees batches, how many steps it has taken.
        progress: of a cell, which stops by itself.
        data: the arrays of its setting, where a kernel keeps them in the cell.
    """

    point: Float[Array, "d"]
    optimizer: PyTree
    failed: Int[Array, ""] | None = None
    taken: Int[Array, ""] | None = None
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
    """What is kept of one cell: one number a field, but for the point ``(d,)``; else None."""

    final_point: Float[Array, "d"] | None = None
    final_value: Float[Array, ""] | None = None
    best_value: Float[Array, ""] | None = None
    steps_to_tolerance: Int[Array, ""] | None = None
    steps: Int[Array, ""] | None = None
    evaluations: Int[Array, ""] | None = None
    outcome: Int[Array, ""] | None = None
    minimum: Int[Array, ""] | None = None


AT_THE_END = frozenset({"final_point", "final_value"})  # these need nothing on the way


class Descent(NamedTuple):
    """An optimizer on an objective, step by step.

    Args:
        objective: what is descended.
        optimizer: by what.
        gradient: which gradient it follows.
        stopping: when it is at rest, lost, or at a known minimum.
        tolerance: of a cell, on f − f* for ``steps_to_tolerance`` where the objective has no
            target.
        stops: whether a cell at rest stops; lost and broken ones always do.
        keep: which fields of the summary are kept of a cell. Where these are ``AT_THE_END`` alone,
            whether it is lost or broken is looked at when it is judged, not at every step.
        points: what the optimizer is handed points as.
    """

    objective: Objective
    optimizer: optax.GradientTransformationExtraArgs
    gradient: GradientSide = "autodiff"
    stopping: StoppingRule = DEFAULT_RULE
    tolerance: float = 0.0
    stops: bool = True
    keep: tuple[str, ...] = Summary._fields
    points: Points | None = None

    @classmethod
    def of(
        cls, objective: Objective, optimizer: optimizers.Optimizer, *how: Any, **named: Any
    ) -> "Descent":
        """A descent whose optimizer is handed points of the structure that the start has.

        Masks, labels and norms are then by leaf, as in optax; ``optax.flatten`` makes them one.
        """
        points = points_of(optimizer, objective)
        made = in_coordinates(over_vectors(optimizer, points), objective.coordinates)
        return cls(objective, made, *how, points=points, **named)

    def init(self, start: Float[Array, "d"]) -> State:
        """A path at its start: all steps will be taken, and what fails is noted."""
        taken = jnp.int32(0) if self.objective.in_batches else None
        return State(start, self.optimizer.init(start), failed=jnp.int32(-1), taken=taken)

    def init_cell(self, start: Float[Array, "d"]) -> State:
        """A cell at its start: it will stop by itself."""
        judge = Judge.of(self.objective, start, self.stopping)
        optimizer, timed = self.optimizer.init(start), "steps_to_tolerance" in self.keep
        searches = "outcome" in self.keep and optimizers.has_line_search(optimizer)
        best = timed or searches or "best_value" in self.keep
        progress = Progress(
            step=jnp.int32(0),
            best=jnp.full_like(start[0], jnp.inf) if best else None,
            steps_to_tolerance=jnp.int32(0) if timed else None,
            flat=judge.flat(self._seen(start)[1]),
            converged=jnp.array(False),
            running=jnp.array(True),
            width=None if judge.bounded else jnp.asarray(judge.width),
            met=jnp.array(False) if timed and self._by_metric else None,
        )
        return State(start, optimizer, progress=progress)

    def step(
        self, state: State, steps: Int[Array, ""] | None = None
    ) -> tuple[State, Float[Array, ""]]:
        """One step on, and the value at the point before it.

        A cell whose point is lost, or whose value is broken, stops where it is. Given a number of
        steps, it is judged too: then it also stops at rest, and after so many. Where a step sees a
        batch, what is judged and recorded is the value over all data; elsewhere it is not
        computed.
        """
        following, seen, (value, gradient) = self._following(state, judged=steps is not None)
        point, optimizer = following
        cell = state.progress
        if cell is None:
            after = state._replace(
                point=point,
                optimizer=optimizer,
                failed=self._failed(state, value),
                taken=None if state.taken is None else state.taken + 1,
            )
            return after, value
        judge = self.judge(state)
        there = judge.inside(state.point)
        running = cell.running
        if steps is not None or not AT_THE_END.issuperset(self.keep):
            running = running & there & jnp.isfinite(value if steps is not None else seen)
        if steps is not None:
            free = self._free(state.point, gradient, judge)
            now = judge.converged(free, point - state.point, cell.flat)
            converged = jnp.where(cell.running, now, cell.converged)
            running = running & (cell.step < steps) & ~(self.stops & converged)
            cell = cell._replace(converged=converged)
        if cell.best is not None:
            best = cell.best
            if steps is not None or not self.objective.in_batches:
                counts = jnp.where(there, value, jnp.inf)
                best = jnp.where(counts < cell.best, counts, cell.best)
            cell = cell._replace(best=best)
        if cell.met is not None and steps is not None:
            cell = cell._replace(met=cell.met | self._meets(state.point))
        # One that has stopped sees its last value again: no new best.
        if cell.steps_to_tolerance is not None and (left := self._left(cell)) is not None:
            cell = cell._replace(steps_to_tolerance=cell.steps_to_tolerance + left)
        step = jnp.where(running, cell.step + 1, cell.step)
        # Of a cell that has stopped the optimizer's state no longer matters.
        point = jnp.where(running, point, state.point)
        cell = cell._replace(step=step, running=running)
        return state._replace(point=point, optimizer=optimizer, progress=cell), value

    def postprocess(self, state: State) -> Summary:
        """What is kept of a cell that has stopped; ``terminate`` came last."""
        judge, cell, value = self.judge(state), state.cell, self.objective.value(state.point)
        minimum, close = judge.nearest_minimum(state.point, value)
        stuck = self.stuck(state, value, cell.best)
        failed = judge.failed(jnp.int32(-1), state.point, value)
        waited = cell.steps_to_tolerance
        if waited is not None:
            left = self._left(cell)
            waited = jnp.where(True if left is None else left, jnp.int32(-1), waited)
        whole = Summary(
            final_point=state.point,
            final_value=value,
            best_value=cell.best,
            steps_to_tolerance=waited,
            steps=cell.step,
            evaluations=cell.step + 1,
            outcome=classify(failed, cell.converged, close, stuck).astype(jnp.int8),
            minimum=minimum.astype(jnp.int16),
        )
        return Summary(**{name: getattr(whole, name) for name in self.keep})

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
        (following, _), _, (value, gradient) = self._following(state, judged=True)
        flat = judge.flat(self._seen(start)[1])
        minimum, close = judge.nearest_minimum(state.point, value)
        free = self._free(state.point, gradient, judge)
        converged = judge.converged(free, following - state.point, flat)
        failed, stuck = self._failed(state, value), self.stuck(state, value, best)
        return value, classify(failed, converged, close, stuck), minimum

    def eval_point(self, state: State) -> Float[Array, "d"] | None:
        """Where the optimizer is evaluated, or None where that is the point itself."""
        structure, coordinates = self.points, self.objective.coordinates
        if coordinates is not None:
            at, optimizer = state.optimizer
            found = optimizers.eval_point(optimizer, at)
            return None if found is None else coordinates.outward(found)
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
        seen = self.objective.value_and_gradient(self.gradient)
        extra = optimizers.extra_arguments(
            value, gradient, self.objective.value, lambda point: seen(point)[1],
            self.objective.residual_vector,
        )  # fmt: skip
        return self.optimizer.update(gradient, optimizer, point, **extra)

    def stuck(
        self, state: State, value: Float[Array, ""], best: Float[Array, ""] | None
    ) -> Bool[Array, ""] | bool:
        """Whether the optimizer has a line search whose last step found no lower point."""
        if best is None or not optimizers.has_line_search(state.optimizer):
            return False
        return value >= best

    def _free(self, point: Float[Array, "d"], gradient: Float[Array, "d"], judge: Judge) -> Any:
        """The gradient without what pushes against a bound of the coordinates."""
        coordinates = self.objective.coordinates
        return gradient if coordinates is None else coordinates.free(point, gradient, judge.width)

    def _failed(self, state: State, value: Float[Array, ""]) -> Any:
        """What has failed by this point of a path, where that is kept."""
        if state.failed is None:
            return None
        return self.judge(state).failed(state.failed, state.point, value)

    def _following(
        self, state: State, judged: bool
    ) -> tuple[tuple[Array, PyTree], Array, tuple[Array, Array]]:
        """The next point and state of the optimizer, and what it is told.

        Returns:
            Both; the value that the step sees; and value and gradient over all data, the gradient
            only where it is judged.
        """
        if not self.objective.in_batches:
            value, gradient = self._seen(state.point)
            return self._moved(state, value, gradient), value, (value, gradient)
        taken = state.cell.step if state.taken is None else state.taken
        there = self._replace(objective=self.objective.at_step(taken))
        seen, slope = there._seen(state.point)
        moved = there._moved(state, seen, slope)
        if judged:
            return moved, seen, self._seen(state.point)
        return moved, seen, (self.objective.value(state.point), slope)

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

    def _left(self, cell: Progress) -> Bool[Array, ""] | None:
        """Whether a cell has not arrived yet; None where nothing says when it has."""
        if cell.met is not None:
            return ~cell.met
        return None if self._within is None or cell.best is None else cell.best > self._within

    def _meets(self, point: Float[Array, "d"]) -> Bool[Array, ""]:
        """Whether the metric is at its target."""
        assert self.objective.target is not None
        return self.objective.measured(point) >= self.objective.target.level

    @property
    def _by_metric(self) -> bool:
        """Whether a metric says when a cell has arrived."""
        return self.objective.target is not None and self.objective.target.metric != ""

    @property
    def _within(self) -> float | None:
        """The value from which on a cell has arrived, where a target or a minimum is known."""
        if self.objective.target is not None:
            return self.objective.target.value
        fmin = self.objective.fmin
        return None if fmin is None else fmin + self.tolerance
