"""What a sweep is to compute: starts and axes of hyperparameters, flattened into cells."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from gdjax import optimizers
from gdjax._descent.loop import Summary
from gdjax._descent.outcomes import StoppingRule, as_stopping
from gdjax._inputs import (
    DType,
    ObjectiveLike,
    OptimizerLike,
    as_count,
    as_dtype,
    default_dtype,
    is_count,
    objective_at,
)
from gdjax._sweep.axes import Axes, Axis, GivenAxis, Paired, parse
from gdjax._util.arguments import POSITIVE, flag, number, refused
from gdjax._util.errors import ArgumentError, check_known, unknown
from gdjax._util.memory import check_fits
from gdjax._util.types import Function as Factory
from gdjax._util.types import PyTree
from gdjax.objectives import GradientSide, Objective, validate
from gdjax.starts import Starts, as_starts

MOST_CELLS = 2**53  # they are numbered, and counted in floats
CHUNK_STEPS = 2**28  # steps times dimensions in a chunk: a fraction of a second


class Plan(NamedTuple):
    """A whole sweep: cells are numbered with the starts slowest, the last axis fastest.

    Args:
        objective: what is descended.
        optimizer: with the hyperparameters that do not vary.
        starts: where the descents begin.
        axes: of the hyperparameters that vary.
        paired: hyperparameters that vary with the starts, by name, a value for each start.
        steps: the most steps a cell takes.
        save_at: the steps whose points and values are kept; empty for the summary alone.
        gradient: which gradient is followed.
        stopping: when a cell is at rest, lost, or at a known minimum.
        stops: whether a cell at rest stops.
        classify_rest: whether the Hessian is asked what a cell came to rest at.
        keep: the variables of the summary that are kept.
        tolerance: on f − f*, for ``steps_to_tolerance``.
        dtype: ``float32`` or ``float64``.
        chunk: cells in a chunk.
    """

    objective: Objective
    optimizer: optimizers.Optimizer
    starts: Starts
    axes: tuple[Axis, ...]
    paired: Axis
    steps: int
    save_at: tuple[int, ...]
    gradient: GradientSide
    stopping: StoppingRule
    stops: bool
    classify_rest: bool
    keep: tuple[str, ...]
    tolerance: float
    dtype: DType
    chunk: int

    @property
    def shape(self) -> tuple[int, ...]:
        """How many starts there are, and how many values along each axis."""
        return (self.starts.count(self.objective.dim), *map(axis_length, self.axes))

    @property
    def variables(self) -> tuple[str, ...]:
        """What is asked for of every cell."""
        return (*self.keep, "points", "values") if self.save_at else self.keep

    @property
    def computed(self) -> tuple[str, ...]:
        """What a kernel keeps: an outcome is settled by the last point and the minimum there."""
        if self.save_at:
            return Summary._fields
        settled = not {"outcome", "minimum"}.isdisjoint(self.keep)
        more = ("final_point", "outcome", "minimum") if settled else ()
        return tuple(name for name in Summary._fields if name in (*self.keep, *more))

    @property
    def cells(self) -> int:
        """How many descents there are."""
        return math.prod(self.shape)

    @property
    def chunks(self) -> int:
        """How many chunks they are cut into."""
        return -(-self.cells // self.chunk)

    def bounds(self, index: int) -> tuple[int, int]:
        """First cell of a chunk, and the one after its last."""
        return index * self.chunk, min((index + 1) * self.chunk, self.cells)


def axis_length(axis: Axis) -> int:
    """How many values each hyperparameter of an axis has."""
    return len(next(iter(axis.values())))


def plan(
    objective: ObjectiveLike,
    optimizer: OptimizerLike,
    starts: PyTree | Starts | None = None,
    hyperparameters: Axes | None = None,
    steps: int = 100,
    *,
    paired: Paired | None = None,
    save_at: str | int | Sequence[int] | None = None,
    stopping: StoppingRule | bool = True,
    classify_rest: bool = True,
    keep: Sequence[str] | None = None,
    tolerance: float = 1e-4,
    gradient: GradientSide = "autodiff",
    dtype: DType | None = None,
    chunk: int | None = None,
) -> Plan:
    """Check what a sweep is asked for, and put it into its one form.

    Raises:
        ArgumentError: as ``gdjax.sweep`` does.
    """
    steps = as_count("steps", steps, 0)
    tolerance = number(POSITIVE)("tolerance", tolerance)
    classify_rest = flag("classify_rest", classify_rest)
    dtype = as_dtype(dtype)
    objective = objective_at(objective, starts)
    objective.value_and_gradient(gradient)
    rule = as_stopping(stopping)
    chosen = as_starts(starts, objective)
    axes, pairs, made = _hyperparameters(optimizer, parse(hyperparameters, paired), bool(paired))
    count = chosen.count(objective.dim)
    if pairs and axis_length(pairs) != count:
        raise ArgumentError(
            f"paired must hold one value for each of {count:,} starts, got {axis_length(pairs):,}"
        )
    cells = count * math.prod(map(axis_length, axes))
    if cells > MOST_CELLS:
        raise ArgumentError(f"a sweep can have up to {MOST_CELLS:,} descents, got more")
    saved = _saved(save_at, steps, objective.dim)
    if dtype is None:
        dtype = "float64" if jnp.result_type(float) == jnp.float64 else "float32"
    with default_dtype(dtype):
        validate(objective, numbers=False)
    return Plan(
        objective=objective,
        optimizer=made,
        starts=chosen,
        axes=axes,
        paired=pairs,
        steps=steps,
        save_at=saved,
        gradient=gradient,
        stopping=rule,
        stops=stopping is not False,
        classify_rest=classify_rest,
        keep=_kept(keep),
        tolerance=float(tolerance),
        dtype=dtype,
        chunk=chunk_of(cells, steps, objective.dim, chunk),
    )


def _kept(keep: Sequence[str] | None) -> tuple[str, ...]:
    """The variables of the summary to keep, in its order."""
    if keep is None:
        return Summary._fields
    if not isinstance(keep, Iterable) or isinstance(keep, np.ndarray):
        raise ArgumentError(f"keep must be names of variables, got {keep!r}")
    chosen = [keep] if isinstance(keep, str) else list(keep)
    for name in chosen:
        check_known("variable to keep", name, Summary._fields)
    if not chosen:
        raise ArgumentError("keep must name at least one variable of the summary, got none")
    return tuple(name for name in Summary._fields if name in chosen)


def chunk_of(cells: int, steps: int, dim: int, asked: int | None = None) -> int:
    """How many of so many cells are in a chunk: as many as is asked for, or a sensible number."""
    if asked is None:
        most = 2 ** round(math.log2(max(CHUNK_STEPS / (max(steps, 1) * dim), 1)))
        asked = min(max(most, 2**14), 2**20)
    return min(as_count("chunk", asked, 1), cells)


def _saved(save_at: str | int | Sequence[int] | None, steps: int, dim: int) -> tuple[int, ...]:
    """The steps to save, in order; of one descent they have to fit into memory."""
    if save_at is None or (isinstance(save_at, str) and save_at == "summary"):
        return ()
    if (isinstance(save_at, str) and save_at == "all") or is_count(save_at):
        every = 1 if save_at == "all" else as_count("save_at", save_at, 1)
        kept = range(0, steps + 1, every)
        number = 40 + 8 * (dim + 1)  # bytes of a step: its number, its point and its value
        check_fits(
            number * len(kept), f"save_at={save_at} of {steps:,} steps", "save fewer of them"
        )
        return tuple(kept)
    if isinstance(save_at, str):
        raise unknown("save_at", save_at, ("summary", "all"))
    known = isinstance(save_at, list | tuple | range | np.ndarray)
    if not known or not getattr(save_at, "shape", True):
        raise refused("save_at", "be a number of steps, or a list of steps", save_at)
    chosen = sorted({as_count("save_at", step, 0) for step in save_at})
    if chosen and chosen[-1] > steps:
        raise ArgumentError(f"save_at must lie within the {steps} steps, got {chosen[-1]}")
    return tuple(chosen)


def _hyperparameters(
    optimizer: OptimizerLike, axes: tuple[GivenAxis, ...], paired: bool
) -> tuple[tuple[Axis, ...], Axis, optimizers.Optimizer]:
    """The axes, what is paired with the starts, and the optimizer with the first value of each."""
    if not axes:
        return (), {}, optimizers.as_optimizer(optimizer).with_arrays_for_seeds()
    columns = {name: column.numbers for axis in axes for name, column in axis.items()}
    first = {n: column.values[0] for axis in axes for n, column in axis.items()}
    first |= {name: float(x[0]) for name, x in columns.items() if x is not None}
    made = made_with(optimizer, first)
    sweepable = traced(made)
    for name, values in columns.items():
        if values is None or name not in sweepable:
            raise ArgumentError(
                f"{name} of {made.factory.__name__} cannot vary within one kernel: the optimizer "
                f"decides on it in Python; those that can are {', '.join(sweepable) or 'none'}"
            )
        for value in sorted({float(values.min()), float(values.max())} - {first[name]}):
            made_with(optimizer, first | {name: value})  # rules are on the range
    inside = [{n: x.numbers for n, x in axis.items() if x.numbers is not None} for axis in axes]
    pairs = inside.pop() if paired else {}
    return tuple(inside), pairs, made.with_arrays_for_seeds()


def made_with(
    optimizer: OptimizerLike, hyperparameters: Mapping[str, PyTree]
) -> optimizers.Optimizer:
    """An optimizer with these hyperparameters in place of its own.

    Raises:
        ArgumentError: an unknown hyperparameter, a forbidden value, or an optimizer that is made.
    """
    made = isinstance(optimizer, optax.GradientTransformation)
    if made and not isinstance(optimizer, optimizers.Optimizer):
        raise ArgumentError(
            "hyperparameters can be swept for an optimizer given by its name or its factory, "
            "such as optax.adam; this one is made already"
        )
    factory, fixed = optimizers.as_factory(optimizer)
    return optimizers.make(factory, **fixed | dict(hyperparameters))


def traced(optimizer: optimizers.Optimizer) -> list[str]:
    """The hyperparameters whose values can differ from cell to cell: floats, and seeds."""
    made = optimizer.with_arrays_for_seeds()
    return sorted(made.numbers.keys() - counts(optimizer.factory))


def counts(factory: Factory) -> set[str]:
    """The parameters of a factory that are flags or whole numbers, but for a seed."""
    parameters = optimizers.signature(factory).parameters
    return {n for n, p in parameters.items() if isinstance(p.default, bool | int)} - {"seed"}
