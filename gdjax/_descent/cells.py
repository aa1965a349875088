"""The functions of the cells of a sweep, traced once: every kernel runs what is traced here."""

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jaxtyping import Array, ArrayLike

from gdjax import optimizers
from gdjax._descent.loop import Descent, State, Summary
from gdjax._descent.outcomes import StoppingRule
from gdjax._util.types import PyTree
from gdjax.objectives import GradientSide, Objective

Data: TypeAlias = Array | np.ndarray  # what all cells share
Numbers: TypeAlias = Sequence[ArrayLike | None]  # one a cell; None where none is known


class Setting(NamedTuple):
    """An optimizer and an objective without their numbers and data: what is compiled.

    Args:
        tree: the structure of both, as pytrees.
        scalars: which of their leaves are numbers, one a cell; the others are the data, arrays
            that all cells share.
    """

    tree: Hashable
    scalars: tuple[bool, ...]

    @classmethod
    def of(
        cls, optimizer: optimizers.Optimizer, objective: Objective
    ) -> tuple["Setting", list[ArrayLike], list[Data]]:
        """A setting with its numbers and its data."""
        leaves, tree = jax.tree.flatten((optimizer, objective))
        count = len(jax.tree.leaves(optimizer))
        scalars = tuple(i < count and np.ndim(leaf) == 0 for i, leaf in enumerate(leaves))
        numbers = [leaf for leaf, scalar in zip(leaves, scalars, strict=True) if scalar]
        data = [leaf for leaf, scalar in zip(leaves, scalars, strict=True) if not scalar]
        return cls(tree, scalars), numbers, data

    def filled(
        self, numbers: Numbers, data: Sequence[Data | None]
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
    result: PyTree

    def __call__(self, *args: PyTree) -> PyTree:
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
    gradient: GradientSide,
    stopping: StoppingRule,
    tolerance: float,
    stops: bool,
    keep: tuple[str, ...] = Summary._fields,
    carry_data: bool = False,
) -> Cells:
    """Trace the functions of a cell, with numbers weakly typed as ``descend`` has them.

    Args:
        setting: the optimizer and the objective.
        data: shapes and dtypes of the arrays that all cells share.
        start: those of a start.
        gradient: which gradient it follows.
        stopping: when a cell is at rest, lost, or at a known minimum.
        tolerance: on f − f* for ``steps_to_tolerance``.
        stops: whether a cell at rest stops.
        keep: which fields of the summary are kept.
        carry_data: whether a cell carries the data, for kernels that share nothing between cells.
    """
    number = jax.ShapeDtypeStruct((), start.dtype, weak_type=True)
    given = start, [number] * sum(setting.scalars), list(data)
    shared = () if carry_data else given[2:]

    def bound(numbers: Numbers, data: Sequence[Data | None]) -> Descent:
        optimizer, objective = setting.filled(numbers, data)
        return Descent.of(objective, optimizer, gradient, stopping, tolerance, stops, keep)

    def of(state: State, numbers: Numbers, shared: Sequence[PyTree]) -> Descent:
        return bound(numbers, state.data if carry_data else shared[0])

    def init(start: Array, numbers: Numbers, data: Sequence[Data | None]) -> State:
        state = bound(numbers, data).init_cell(start)
        return state._replace(data=tuple(data) if carry_data else ())

    def step(state: State, numbers: Numbers, *shared: PyTree) -> tuple[State, Array]:
        return of(state, numbers, shared).step(state)

    def terminate(
        state: State, numbers: Numbers, steps: Array, *shared: PyTree
    ) -> tuple[State, Array]:
        return of(state, numbers, shared).step(state, steps)

    def postprocess(state: State, *shared: PyTree) -> Summary:
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
        stopping.every,
    )  # fmt: skip


def stride(steps: int, every: int) -> int:
    """After how many steps a cell is judged: the largest divisor of ``steps`` up to ``every``.

    Example:
        >>> [stride(steps, 10) for steps in (0, 7, 100, 101, 128)]
        [1, 7, 10, 1, 8]
    """
    return next(k for k in range(min(every, max(steps, 1)), 0, -1) if steps % k == 0)


def _traced(function: Callable[..., PyTree], *args: PyTree) -> Function:
    return Function(*jax.make_jaxpr(function, return_shape=True)(*args))


def _weaker(before: jax.ShapeDtypeStruct, after: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    """The type of a number in a loop: weak only if it is so at first and after a step."""
    weak = before.weak_type and after.weak_type
    return jax.ShapeDtypeStruct(before.shape, before.dtype, weak_type=weak)
