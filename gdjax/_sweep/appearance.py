"""What a sweep's results look like, and everything that decides them."""

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdjax import optimizers, results
from gdjax._compiler.fingerprint import fingerprint
from gdjax._descent.cells import stride
from gdjax._descent.structured import Points, over_vectors, points_of
from gdjax._inputs import DType, default_dtype
from gdjax._sweep.outer import Plans
from gdjax._sweep.plan import Plan
from gdjax._sweep.runner import Runner
from gdjax._util.types import PyTree
from gdjax.objectives import GradientSide, Objective
from gdjax.objectives.validation import UNTRACEABLE
from gdjax.results.provenance import to_json


class LazyStarts:
    """Starts as an array that is made where it is sliced, so that it need never be whole.

    ``(n, d)``; where objectives do not share them, ``(n, objective, d)``.
    """

    def __init__(self, asked: Plans):
        first, *others = asked.by_objective
        shared = all(_starts_agree(first, other) for other in others)
        self._plans = (first,) if shared else (first, *others)
        several = () if shared else (len(self._plans),)
        self.shape: tuple[int, ...] = (first.shape[0], *several, first.objective.dim)
        self.dtype: np.dtype = np.dtype(first.dtype)

    def __getitem__(self, key: slice) -> np.ndarray:
        first, last, _ = key.indices(self.shape[0])
        parts = [
            one.starts.take(one.objective, first, last).astype(self.dtype, copy=False)
            for one in self._plans
        ]
        return parts[0] if len(parts) == 1 else np.stack(parts, axis=1)


def _starts_agree(one: Plan, other: Plan) -> bool:
    """Whether two plans begin at the same points."""
    if one.starts.points is not None and other.starts.points is not None:
        return np.array_equal(one.starts.points, other.starts.points)
    return one.starts is other.starts and one.objective.domain == other.objective.domain


def layout(
    asked: Plans,
    points: np.ndarray | LazyStarts,
    runners: Sequence[Runner],
    in_memory: bool,
) -> results.Layout:
    """The layout of a sweep's results.

    Args:
        asked: what to compute.
        points: the starts, or what makes them where it is sliced.
        runners: what computes it, one a plan.
        in_memory: whether the results are in memory alone, with no store to compare them with.
    """
    one, works = asked.plans[0], [each.objective for each in asked.by_objective]
    pairs = [*zip(asked.plans, runners, strict=True)]
    common, differing = _merged([_config(each, runner, in_memory) for each, runner in pairs])
    if asked.outer:
        outer = {name: labels for axis in asked.outer for name, labels in axis.items()}
        common |= {"outer": outer, "combinations": differing}
    origin, others = _merged([_origin(each, runner) for each, runner in pairs])
    if asked.outer:
        origin["outer"] = ["_and_".join(axis) for axis in asked.outer]
    for name in others[0]:
        origin[name] = [each[name] for each in others]
    several = bool(asked.outer) and "objective" in asked.outer[0]
    alike = all(f.variables == works[0].variables for f in works)
    return results.sweep_layout(
        points,
        one.axes,
        paired=one.paired,
        dtype=one.dtype,
        chunk=asked.chunk,
        config=common,
        components=works[0].variables if alike else (),
        keep=one.keep,
        record=np.asarray(one.save_at, np.int32) if one.save_at else None,
        minima=[f.known_minima for f in works] if several else works[0].known_minima,
        global_minima=[len(f.minima) for f in works] if several else len(works[0].minima),
        attrs=origin,
        outer=asked.outer,
        order=asked.order,
    )


def _merged(parts: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What all of them say alike, and of each what it says for itself."""
    if len(parts) == 1:
        return parts[0], [{}]
    written = [{name: repr(to_json(value)) for name, value in part.items()} for part in parts]
    alike = {n for n, text in written[0].items() if all(each[n] == text for each in written)}
    return {n: x for n, x in parts[0].items() if n in alike}, [
        {name: value for name, value in part.items() if name not in alike} for part in parts
    ]


def _origin(asked: Plan, runner: Runner) -> dict[str, Any]:
    """Where the results of a plan come from, as attrs."""
    f, starts = asked.objective, asked.starts
    return {
        "objective": f.name,
        "formula": f.latex,
        "fmin": np.nan if f.fmin is None else f.fmin,
        "domain": f.domain,
        "optimizer": repr(asked.optimizer),
        "max_steps": asked.steps,
        "tolerance": asked.tolerance,
        "target": "" if f.target is None else str(f.target),
        "gradient": asked.gradient,
        "starts_kind": starts.kind,
        "starts_shape": starts.shape(f.dim),
        "seed": starts.seed,
        "kernel": runner.kernel.name,
        "kernel_reason": runner.reason,
        "tile": runner.kernel.tile,
        "stride": stride(asked.steps, asked.stopping.every),
        "processors": runner.devices,
    }


def _config(asked: Plan, runner: Runner, in_memory: bool) -> dict[str, Any]:
    """Everything that decides the results."""
    f, starts, numbers = asked.objective, asked.starts, asked.optimizer.numbers
    axes = {name: values for axis in asked.axes for name, values in axis.items()}
    varied = axes.keys() | asked.paired.keys()
    config = {
        "objective": f.name,
        "function": _function(f, asked.gradient, asked.dtype),
        "kink": _kink(f),
        "domain": f.domain,
        "bounded": f.bounded,  # a domain that was guessed decides nothing
        "minima": f.minima,
        "local_minima": f.local_minima,
        "fmin": f.fmin,
        "optimizer": repr(asked.optimizer),
        # What is written of an optimizer is rounded, and is the same for all that have one name.
        "update": _update(asked.optimizer, points_of(asked.optimizer, f) or f.dim, asked.dtype),
        "numbers": {n: np.asarray(numbers[n]) for n in sorted(numbers.keys() - varied)},
        "starts": {
            "kind": starts.kind,
            "number": starts.number,
            "seed": starts.seed,
            # A store is known again by it; without one there is nothing to compare.
            "points": "" if in_memory or starts.points is None else _digest(starts.points),
            "init": _init(f) if starts.kind == "init" else "",
        },
        "hyperparameters": axes,
        "steps": asked.steps,
        "save_at": asked.save_at,
        "gradient": asked.gradient,
        "stops": asked.stops,
        "classify_rest": asked.classify_rest,
        "keep": asked.keep,
        "stopping": {name: float(value) for name, value in asked.stopping._asdict().items()},
        "tolerance": asked.tolerance,
        "dtype": asked.dtype,
        "kernel": runner.kernel.name,
        # How many lanes the native kernel has is the machine's, and no bit depends on it.
        "tile": None if runner.kernel.name == "llvm" else runner.kernel.tile,
    }
    if f.target is not None:
        config["target"] = {**f.target._asdict(), "measured": _measured(f, asked.dtype)}
    if asked.paired:
        config["paired"] = {
            name: "" if in_memory else _digest(values) for name, values in asked.paired.items()
        }
    return config


def _digest(points: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(points).data).hexdigest()[:16]


@functools.lru_cache(maxsize=64)
def _function(objective: Objective, gradient: GradientSide, dtype: DType) -> str:
    """A digest of what the objective computes and of its data, whatever its name."""

    def seen(point: jax.Array, step: jax.Array) -> PyTree:  # at any step: one may be like another
        return given.at_step(step).value_and_gradient(gradient)(point)

    with default_dtype(dtype):
        at = jax.ShapeDtypeStruct((objective.dim,), dtype)
        given = objective.cast(dtype)
        coordinates = given.coordinates
        more = [given.residual_vector, coordinates and coordinates.outward]
        return "".join(
            fingerprint(fn, at) for fn in (given.value_and_gradient(gradient), *more) if fn
        ) + (fingerprint(seen, at, jax.ShapeDtypeStruct((), np.int32)) if given.in_batches else "")


@functools.lru_cache(maxsize=64)
def _measured(objective: Objective, dtype: DType) -> str:
    """A digest of what the target is of."""
    with default_dtype(dtype):
        given = objective.cast(dtype)
        return fingerprint(given.measured, jax.ShapeDtypeStruct((objective.dim,), dtype))


@functools.lru_cache(maxsize=64)
def _init(objective: Objective) -> str:
    """A digest of how the objective draws starts by itself; what is no number is left out."""
    draw = objective.training and objective.training.init
    if not draw:
        return ""

    def numbers(key: jax.Array) -> list[Any]:
        arrays = float | jax.Array | np.ndarray
        return [leaf for leaf in jax.tree.leaves(draw(key)) if isinstance(leaf, arrays)]

    try:
        return fingerprint(numbers, jax.eval_shape(lambda: jax.random.key(0)))
    except UNTRACEABLE:  # it is called on the host alone, and known by what it draws
        with jax.enable_x64(False):
            drawn = [objective.check_point(draw(jax.random.key(i))) for i in range(2)]
        return hashlib.sha256(np.asarray(drawn, float).tobytes()).hexdigest()[:16]


@functools.lru_cache(maxsize=64)
def _kink(objective: Objective) -> str:
    """A digest of where no Hessian is asked."""
    at = jax.ShapeDtypeStruct((objective.dim,), np.float32)
    return "" if objective.kink is None else fingerprint(objective.kink, at)


@functools.lru_cache(maxsize=64)
def _update(optimizer: optimizers.Optimizer, points: Points | int, dtype: DType) -> str:
    """A digest of what the optimizer does with its numbers, whatever its name."""

    def first(
        made: optimizers.Optimizer, point: jax.Array, slope: jax.Array, value: jax.Array
    ) -> PyTree:
        over = over_vectors(made, structure)
        extra = optimizers.extra_arguments(value, slope, jnp.sum, jnp.ones_like, jnp.sin)
        return over.update(slope, over.init(point), point, **extra)

    structure, dim = (None, points) if isinstance(points, int) else (points, points.size)

    with default_dtype(dtype):
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), dtype), optimizer)
        point = jax.ShapeDtypeStruct((dim,), dtype)
        return fingerprint(first, shapes, point, point, jax.ShapeDtypeStruct((), dtype))
