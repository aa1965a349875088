"""What cannot be traced: an outer loop over plans, each with a kernel of its own."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gdjax import optimizers
from gdjax._inputs import ObjectiveLike, OptimizerLike, as_optimizer, objective_at
from gdjax._kernels.choice import KernelChoice
from gdjax._sweep.axes import Axes, Axis, GivenAxis, Paired, parse
from gdjax._sweep.plan import Plan, chunk_of, counts, made_with, plan, traced
from gdjax._sweep.runner import Buffers, Runner
from gdjax._util.errors import ArgumentError
from gdjax._util.types import PyTree
from gdjax.objectives import Objective
from gdjax.starts import Starts

GivenAxes = Mapping[str, GivenAxis]  # by the name of their dim


class Plans(NamedTuple):
    """A whole sweep: cells are numbered with the outer axes slowest, then as in each plan.

    Args:
        plans: one for each combination of the outer axes, the last of these fastest.
        outer: the labels along the axes that no kernel can take, by name; of objectives and of
            optimizers, ``objective`` and ``optimizer``, which come first.
        order: the dims of all axes, in the order in which they were given.
        chunk: cells in a chunk, which may lie in several plans.
    """

    plans: tuple[Plan, ...]
    outer: tuple[Axis, ...]
    order: tuple[str, ...]
    chunk: int

    @property
    def cells(self) -> int:
        """How many descents there are."""
        return len(self.plans) * self.plans[0].cells

    @property
    def chunks(self) -> int:
        """How many chunks they are cut into."""
        return -(-self.cells // self.chunk)

    def bounds(self, index: int) -> tuple[int, int]:
        """First cell of a chunk, and the one after its last."""
        return index * self.chunk, min((index + 1) * self.chunk, self.cells)

    @property
    def by_objective(self) -> tuple[Plan, ...]:
        """The first plan of each objective."""
        labels = self.outer[0].get("objective", ()) if self.outer else ()
        return self.plans[:: len(self.plans) // max(len(labels), 1)]

    def at(self, points: np.ndarray) -> "Plans":
        """The same from starts that are made: ``(n, d)``, or ``(n, objective, d)``."""
        each = len(self.plans) // len(self.by_objective)
        columns = [points] if points.ndim == 2 else [*points.swapaxes(0, 1)]
        starts = [Starts("array", len(points), points=column) for column in columns]
        made = (
            one._replace(starts=starts[k // each % len(starts)]) for k, one in enumerate(self.plans)
        )
        return self._replace(plans=tuple(made))


def plans(
    objective: ObjectiveLike | Sequence[ObjectiveLike] | Mapping[str, ObjectiveLike],
    optimizer: OptimizerLike | Sequence[OptimizerLike] | Mapping[str, OptimizerLike],
    starts: PyTree | Starts | None = None,
    hyperparameters: Axes | None = None,
    steps: int = 100,
    *,
    paired: Paired | None = None,
    chunk: int | None = None,
    **settings: Any,
) -> Plans:
    """Check what a sweep is asked for, and split it into what single kernels can compute.

    Args:
        objective: one, or several of points alike, in a list or by label.
        optimizer: likewise.
        starts: as ``gdjax.sweep`` takes them; drawn ones in the domain of each objective.
        hyperparameters: values of any kind by name.
        steps: the most steps a descent takes.
        paired: hyperparameters that vary with the starts: numbers that every optimizer computes
            with, by name.
        chunk: cells in a chunk.
        **settings: what else ``plan`` takes.

    Raises:
        ArgumentError: as ``gdjax.sweep`` does.
    """
    works, methods = _objectives(objective, starts), _optimizers(optimizer)
    given = parse(hyperparameters, paired)
    pairs = {"start": given[-1]} if paired else {}
    axes = {"_and_".join(axis): axis for axis in given[: len(given) - len(pairs)]}
    inside = _inside(axes | pairs, [*methods.values()])
    outside = [axis for dim, axis in axes.items() if dim not in inside]
    columns = {
        tuple(axis): tuple(x.numbers for x in axis.values())
        for dim, axis in inside.items()
        if dim not in pairs
    }
    made = tuple(
        plan(
            work, _made(method, chosen, inside) if outside else method, starts, columns, steps,
            paired=paired, chunk=chunk, **settings,
        )
        for work in works.values()
        for method in methods.values()
        for chosen in _combinations(outside)
    )  # fmt: skip
    labels = ({name: column.labels for name, column in axis.items()} for axis in outside)
    ways = {"objective": (objective, works), "optimizer": (optimizer, methods)}
    named = [{name: _words(found)} for name, (given, found) in ways.items() if _several(given)]
    cells = len(made) * made[0].cells
    return Plans(
        made,
        (*named, *labels),
        (*(name for axis in named for name in axis), *axes),
        chunk_of(cells, steps, made[0].objective.dim, chunk),
    )


class OuterRunner:
    """Computes the chunks of several plans, one kernel after another; as ``Runner`` does of one.

    Args:
        asked: the plans.
        devices: how many processors to use; by default all that there are.
        choice: which kernel.
        alike: how many cells it is made for; by default those of each plan.

    Attributes:
        runners: one a plan.
    """

    def __init__(
        self, asked: Plans, devices: int | None, choice: KernelChoice, alike: int | None = None
    ):
        self.plans = asked
        self.runners: list[Runner] = [Runner(one, devices, choice, alike) for one in asked.plans]

    def buffers(self, count: int) -> Buffers:
        """Memory for the results of so many cells."""
        return self.runners[0].buffers(count)

    def __call__(
        self, index: int, buffers: Buffers | None, done: Callable[[int], None]
    ) -> dict[str, np.ndarray]:
        """The results of one chunk, which begins and ends anywhere in the plans.

        Args:
            index: of the chunk.
            buffers: memory for the results of all plans; by default new one for the chunk.
            done: told how many cells were finished, from time to time.
        """
        first, last = self.plans.bounds(index)
        if len(self.runners) == 1:
            return self.runners[0].compute(first, last, buffers, done)
        if buffers is None:
            arrays = self.buffers(last - first).arrays
        else:
            arrays = {name: array[first:last] for name, array in buffers.arrays.items()}
        size = self.plans.plans[0].cells
        for which in range(first // size, -(-last // size)):
            begin, end = max(first, which * size), min(last, (which + 1) * size)
            found = self.runners[which].compute(
                begin - which * size, end - which * size, None, done
            )
            for name, array in found.items():
                arrays[name][begin - first : end - first] = array
        return {name: arrays[name] for name in self.plans.plans[0].variables}


def _several(given: object) -> bool:
    """Whether what stands for an objective or an optimizer is several of them."""
    return isinstance(given, Mapping) or type(given) in (list, tuple)


def _labelled(argument: str, given: Any, name: Callable[[Any], str]) -> dict[str, Any]:
    """Several objectives or optimizers by label: a mapping's own, or what each is called."""
    pairs = given.items() if isinstance(given, Mapping) else [(name(one), one) for one in given]
    found = {str(label): one for label, one in pairs}
    if not found:
        raise ArgumentError(f"{argument} must hold at least one, got none")
    if len(found) < len(given):
        raise ArgumentError(f"{argument} must differ, or have labels: {{'label': …}}")
    return found


def _objectives(given: Any, starts: PyTree | Starts | None) -> dict[str, Objective]:
    """Objectives by label: their points must be alike, for they share dims."""
    if not _several(given):
        return {"": objective_at(given, starts)}
    several = given.items() if isinstance(given, Mapping) else enumerate(given)
    made = {key: objective_at(one, starts) for key, one in several}
    made = made if isinstance(given, Mapping) else [*made.values()]
    found = _labelled("objectives", made, lambda f: f.name)
    first = next(iter(found.values()))
    for f in found.values():
        if (f.dim, f.structure) != (first.dim, first.structure):
            one, other = (x.structure or f"{x.dim} components" for x in (first, f))
            raise ArgumentError(
                f"objectives on one axis must have points alike: {first.name} has {one}, "
                f"and {f.name} has {other}"
            )
    return found


def _optimizers(given: Any) -> dict[str, OptimizerLike]:
    """Optimizers by label: as they are given, for hyperparameters may complete a factory."""
    if not _several(given):
        return {"": given}

    def name(one: Any) -> str:
        known = isinstance(one, str) or callable(one)
        factory = optimizers.as_factory(one if known else as_optimizer(one))[0]
        return getattr(factory, "written", factory.__name__)

    if isinstance(given, Mapping) or len({*map(name, given)}) == len(given):
        return _labelled("optimizers", given, name)
    return _labelled("optimizers", given, lambda one: repr(as_optimizer(one)))


def _words(found: Mapping[str, object]) -> np.ndarray:
    return np.array([*found], dtype=object)


def _combinations(axes: Sequence[GivenAxis]) -> list[dict[str, PyTree]]:
    """Every combination of values by hyperparameter, those of the last axis fastest."""
    lengths = [range(len(next(iter(axis.values())).values)) for axis in axes]
    return [
        {
            name: column.values[i]
            for axis, i in zip(axes, index, strict=True)
            for name, column in axis.items()
        }
        for index in itertools.product(*lengths)
    ]


def _inside(axes: GivenAxes, methods: Sequence[OptimizerLike]) -> GivenAxes:
    """The axes that a kernel takes: of numbers that every optimizer computes with, not decides by.

    An axis that one optimizer decides by is one of the outer loop for all, which may free others.
    """
    numbers = {d: x for d, x in axes.items() if all(c.numbers is not None for c in x.values())}
    inside: GivenAxes = {}
    while len(numbers) != len(inside):
        inside = numbers
        outside = [axis for dim, axis in axes.items() if dim not in inside]
        sweepable = [
            {*traced(_made(method, chosen, inside))}
            for method in methods
            for chosen in _combinations(outside)
        ]
        numbers = {d: x for d, x in inside.items() if all({*x} <= names for names in sweepable)}
    return inside


def _made(
    method: OptimizerLike, chosen: Mapping[str, PyTree], inside: GivenAxes
) -> optimizers.Optimizer:
    """An optimizer with one combination of the outer axes, and the first values of the others."""
    whole = counts(optimizers.as_factory(method)[0])
    first = {name: column.values[0] for axis in inside.values() for name, column in axis.items()}
    given = {
        name: int(x) if name in whole and isinstance(x, float) and x.is_integer() else x
        for name, x in {**first, **chosen}.items()
    }
    floats = {name: float(x) for name, x in first.items() if name not in whole}
    try:
        return made_with(method, given | floats)
    except ArgumentError:  # a whole number that has no default to tell it by
        return made_with(method, given)
