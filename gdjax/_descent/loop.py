"""The loop of a descent: ``init``, ``step``, ``terminate``, ``postprocess`` over one ``State``.

These are functions of one descent. ``descend`` runs ``step`` in a scan of fixed length, and a
sweep runs all four for many cells at once, with ``vmap`` or unrolled into a kernel; what they mean
does not depend on which.

    start → init → State → step → … → step → terminate → step → … → postprocess → Summary
                             ↑                    │
                             └──── running ───────┘
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jaxtyping import Array, Bool, Float, Int

from gdjax import optimizers
from gdjax._descent.outcomes import DEFAULT_RULE, Judge, StoppingRule, classify
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
    optimizer: Any
    failed: Int[Array, ""] | None = None
    progress: Progress | None = None
    data: Sequence[Any] = ()

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

    def step(self, state: State) -> tuple[State, Float[Array, ""]]:
        """One step on, and the value at the point before it.

        A cell whose point is lost, or whose value is broken, stops where it is.
        """
        return self._advance(state, None)

    def terminate(self, state: State, steps: Int[Array, ""]) -> tuple[State, Float[Array, ""]]:
        """The same for a cell, which also stops at rest and after so many steps."""
        return self._advance(state, steps)

    def postprocess(self, state: State) -> Summary:
        """What is kept of a cell that has stopped; ``terminate`` came last."""
        judge, cell, value = self.judge(state), state.cell, self.objective.value(state.point)
        minimum = judge.nearest_minimum(state.point)
        failed = judge.failed(jnp.int32(-1), state.point, value)
        never = self._within is None or cell.best > self._within
        return Summary(
            final_point=state.point,
            final_value=value,
            best_value=cell.best,
            steps_to_tolerance=jnp.where(never, jnp.int32(-1), cell.steps_to_tolerance),
            steps=cell.step,
            evaluations=cell.step + 1,
            outcome=classify(failed, cell.converged, minimum).astype(jnp.int8),
            minimum=minimum.astype(jnp.int16),
        )

    def end(
        self, state: State, start: Float[Array, "d"]
    ) -> tuple[Float[Array, ""], Int[Array, ""], Int[Array, ""]]:
        """Value, outcome and minimum at the last point of a path from a start.

        Whether it is at rest is told by the step that would follow.
        """
        judge = Judge.of(self.objective, start, self.stopping)
        value, gradient = self._seen(state.point)
        following = self._moved(state, value, gradient)[0]
        flat, minimum = judge.flat(self._seen(start)[1]), judge.nearest_minimum(state.point)
        converged = judge.converged(gradient, following - state.point, flat)
        failed = self._failed(state, value)
        return value, classify(failed, converged, minimum), minimum

    def judge(self, state: State) -> Judge:
        """What a state is judged by."""
        judge = Judge.of(self.objective, state.point, self.stopping)
        width = state.progress and state.progress.width
        return judge if width is None else judge._replace(width=width)

    def update(
        self, point: Float[Array, "d"], optimizer: Any, value: Float[Array, ""],
        gradient: Float[Array, "d"],
    ) -> tuple[Any, Any]:  # fmt: skip
        """What the optimizer adds to a point, and its next state."""
        extra = optimizers.extra_arguments(
            value, gradient, self.objective.value, lambda point: self._seen(point)[1]
        )
        return self.optimizer.update(gradient, optimizer, point, **extra)

    def _advance(
        self, state: State, steps: Int[Array, ""] | None
    ) -> tuple[State, Float[Array, ""]]:
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

    def _failed(self, state: State, value: Float[Array, ""]) -> Any:
        """What has failed by this point of a path, where that is kept."""
        if state.failed is None:
            return None
        return self.judge(state).failed(state.failed, state.point, value)

    def _moved(
        self, state: State, value: Float[Array, ""], gradient: Float[Array, "d"]
    ) -> tuple[Float[Array, "d"], Any]:
        updates, optimizer = self.update(state.point, state.optimizer, value, gradient)
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


class Function(NamedTuple):
    """A function that was traced once: whoever calls it evaluates its jaxpr.

    Args:
        traced: the jaxpr.
        result: shapes and dtypes of what it returns.
    """

    traced: ClosedJaxpr
    result: Any

    def __call__(self, *args: Any) -> Any:
        """The results, whether the arguments are weakly typed or not."""
        results = jaxpr_as_fun(self.traced)(*jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(self.result), results)


class Cells(NamedTuple):
    """The traced functions of the cells of a sweep.

    A cell is judged at its start and after every ``stride(steps, every)`` steps. The data come
    last wherever the cells do not carry them.

    Args:
        given: shapes and dtypes of a start, of the numbers and of the data.
        init: (start, numbers, data) → ``State``.
        step: (state, numbers) → (state, value).
        terminate: (state, numbers, steps) → (state, value).
        postprocess: state → ``Summary``; after ``terminate``.
        inside: point → whether it is not lost; elsewhere its value may be NaN.
        every: see ``StoppingRule``.
    """

    given: tuple[jax.ShapeDtypeStruct, list[jax.ShapeDtypeStruct], list[jax.ShapeDtypeStruct]]
    init: Function
    step: Function
    terminate: Function
    postprocess: Function
    inside: Function
    every: int

    @property
    def state(self) -> State:
        """Shapes and dtypes of a state."""
        return self.init.result

    @property
    def summary(self) -> Summary:
        """Shapes and dtypes of what is kept of a cell."""
        return self.postprocess.result


def trace(
    setting: Setting,
    data: Sequence[jax.ShapeDtypeStruct],
    start: jax.ShapeDtypeStruct,
    *asked: Any,
    carry_data: bool = False,
) -> Cells:
    """Trace the functions of a cell, with numbers weakly typed as ``descend`` has them.

    Args:
        setting: the optimizer and the objective.
        data: shapes and dtypes of the arrays that all cells share.
        start: those of a start.
        *asked: what follows the optimizer in ``Descent``.
        carry_data: whether a cell carries the data, for kernels that share nothing between cells.
    """
    number = jax.ShapeDtypeStruct((), start.dtype, weak_type=True)
    given = start, [number] * sum(setting.scalars), list(data)
    shared = () if carry_data else given[2:]

    def bound(numbers: Sequence[Any], data: Sequence[Any]) -> Descent:
        optimizer, objective = setting.filled(numbers, data)
        return Descent(objective, optimizer, *asked)

    def of(state: State, numbers: Sequence[Any], shared: Sequence[Any]) -> Descent:
        return bound(numbers, state.data if carry_data else shared[0])

    def init(start: Array, numbers: Sequence[Any], data: Sequence[Any]) -> State:
        state = bound(numbers, data).init_cell(start)
        return state._replace(data=tuple(data) if carry_data else ())

    def step(state: State, numbers: Sequence[Any], *shared: Any) -> tuple[State, Array]:
        return of(state, numbers, shared).step(state)

    def terminate(
        state: State, numbers: Sequence[Any], steps: Array, *shared: Any
    ) -> tuple[State, Array]:
        return of(state, numbers, shared).terminate(state, steps)

    def postprocess(state: State, *shared: Any) -> Summary:
        return of(state, unknown, shared).postprocess(state)

    def inside(point: Array) -> Array:
        known = bound(unknown, [None] * len(data))
        return known.judge(State(point, None)).inside(point)

    unknown = [None] * len(given[1])  # what is compiled depends on no number
    begun, stepped, state = _traced(init, *given), None, None
    while stepped is None or state != begun.result:
        state = begun.result
        stepped = _traced(step, state, given[1], *shared)
        begun = begun._replace(result=jax.tree.map(_weaker, state, stepped.result[0]))
    count = jax.ShapeDtypeStruct((), np.int32)
    return Cells(
        given, begun, stepped, _traced(terminate, state, given[1], count, *shared),
        _traced(postprocess, state, *shared), _traced(inside, begun.result.point),
        bound(unknown, [None] * len(data)).stopping.every,
    )  # fmt: skip


def stride(steps: int, every: int) -> int:
    """After how many steps a cell is judged: the largest divisor of ``steps`` up to ``every``.

    Example:
        >>> [stride(steps, 10) for steps in (0, 7, 100, 101, 128)]
        [1, 7, 10, 1, 8]
    """
    return next(k for k in range(min(every, max(steps, 1)), 0, -1) if steps % k == 0)


def _traced(function: Callable, *args: Any) -> Function:
    return Function(*jax.make_jaxpr(function, return_shape=True)(*args))


def _weaker(before: jax.ShapeDtypeStruct, after: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    """The type of a number in a loop: weak only if it is so at first and after a step."""
    weak = before.weak_type and after.weak_type
    return jax.ShapeDtypeStruct(before.shape, before.dtype, weak_type=weak)
