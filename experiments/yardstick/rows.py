"""The rows: who descends. Each makes a function (starts, steps) → last points and values."""

import dataclasses
import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gdjax
from gdjax._sweep.engine import sweep

from . import limit
from .work import GRADIENTS, MOMENTUM, VALUES, Work

PATH = ("points", "values")
Run = Callable[[np.ndarray, int], tuple[Any, Any]]


class Row(NamedTuple):
    """One way to compute the work.

    Args:
        name: what the tables call it.
        make: (work, processors) → the function that is timed.
        missing: work → why it cannot be had; empty if it can.
        fewer: what is cut down where it is slow, ``starts`` or ``steps``.
        pilot: starts of the first, short call.
        patience: how many times as long as others it may take.
        note: what else a reader must know.
    """

    name: str
    make: Callable[[Work, int], Run]
    missing: Callable[[Work], str] = lambda work: ""
    fewer: str = "starts"
    pilot: int = 1000
    patience: float = 1
    note: str = ""


def _gdjax(work: Work, processors: int) -> Run:
    f = dataclasses.replace(work.objective)  # a new object: nothing of it is compiled
    ball = gdjax.heavy_ball(work.learning_rate, MOMENTUM)

    def run(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
        found = sweep(
            f, ball, starts, steps=steps, dtype=work.dtype, devices=processors,
            save_at="all" if work.keep == "path" else None,
        )  # fmt: skip
        return found.final_point.values, found.final_value.values

    return run


def _descend(work: Work, processors: int) -> Run:
    del processors
    f = dataclasses.replace(work.objective)
    ball = gdjax.heavy_ball(work.learning_rate, MOMENTUM)

    def run(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
        paths = [gdjax.descend(f, ball, x, steps, dtype=work.dtype) for x in starts]
        jax.block_until_ready(paths[-1])
        points, values = ([np.asarray(getattr(p, k))[-1] for p in paths] for k in PATH)
        return np.stack(points), np.stack(values)

    return run


def _limit(variant: str) -> Callable[[Work, int], Run]:
    def make(work: Work, processors: int) -> Run:
        kernel = limit.build(work.objective, work.dtype)

        def run(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
            found = kernel(variant, starts, steps, work.learning_rate, MOMENTUM, processors)
            return found["final_point"], found["final_value"]

        return run

    return make


def _numpy_loop(work: Work, processors: int) -> Run:
    del processors
    value, gradient = VALUES[work.name], GRADIENTS[work.name]

    def run(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
        points, values = [], []
        for x in starts:
            path, path_values = [x], [value(np, x)]
            velocity = np.zeros_like(x)
            for _ in range(steps):
                velocity = MOMENTUM * velocity - work.learning_rate * gradient(np, x)
                x = x + velocity
                if work.keep == "path":
                    path.append(x)
                    path_values.append(value(np, x))
            points.append(x)
            values.append(value(np, x))
            if work.keep == "path":
                path, path_values = np.array(path), np.array(path_values)
        return np.array(points), np.array(values)

    return run


def _vectorised(work: Work, xp: Any, starts: Any, steps: int, empty: Callable) -> tuple[Any, Any]:
    """All starts at a time, ``(d, n)``."""
    value, gradient = VALUES[work.name], GRADIENTS[work.name]
    x, velocity = starts, xp.zeros_like(starts)
    keep = work.keep == "path"
    kept = steps + 1 if keep else 0
    path, values = empty((kept, *x.shape)), empty((kept, x.shape[1]))
    for k in range(steps):
        if keep:
            path[k], values[k] = x, value(xp, x)
        velocity = MOMENTUM * velocity - work.learning_rate * gradient(xp, x)
        x = x + velocity
    last = value(xp, x)
    if keep:
        path[steps], values[steps] = x, last
    return x.T, last


def _numpy(work: Work, processors: int) -> Run:
    del processors

    def run(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
        x = np.ascontiguousarray(starts.T)
        return _vectorised(work, np, x, steps, lambda shape: np.empty(shape, x.dtype))

    return run


def _torch(work: Work, processors: int) -> Run:
    import torch  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(processors)
    on = "cuda" if torch.cuda.is_available() else "cpu"

    def run(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
        x = torch.tensor(np.ascontiguousarray(starts.T), device=on)
        with torch.no_grad():
            points, values = _vectorised(
                work, torch, x, steps, lambda shape: torch.empty(shape, dtype=x.dtype, device=on)
            )
        return points.cpu().numpy(), values.cpu().numpy()

    return run


def _numba(work: Work, processors: int) -> Run:
    import numba  # pyright: ignore[reportMissingImports]  # an extra

    from . import loops

    numba.set_num_threads(min(processors, numba.get_num_threads()))
    kernel = loops.compiled(work)
    real = np.dtype(work.dtype).type
    numbers = real(work.learning_rate), real(MOMENTUM)

    def run(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
        n, kept = len(starts), steps + 1 if work.keep == "path" else 0
        points, values = np.empty_like(starts), np.empty(n, starts.dtype)
        path = np.empty((n, kept, work.dim), starts.dtype)
        kernel(starts, steps, *numbers, points, values, path, path[:, :, 0].copy())
        return points, values

    return run


def _in_precision(run: Callable[[np.ndarray, int], tuple], work: Work) -> Run:
    def wrapped(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
        with jax.enable_x64(work.dtype == "float64"):
            points, values, *_ = jax.block_until_ready(run(starts, steps))
            return np.asarray(points), np.asarray(values)

    return wrapped


def _optax(work: Work) -> optax.GradientTransformation:
    return optax.sgd(work.learning_rate, momentum=MOMENTUM)


def _optax_loop(work: Work, processors: int) -> Run:
    del processors
    optimizer, fn = _optax(work), work.objective.fn

    @jax.jit
    def step(points: Any, state: Any) -> tuple[Any, Any, Any]:
        values, slopes = jax.vmap(jax.value_and_grad(fn))(points)
        updates, state = optimizer.update(slopes, state)
        return optax.apply_updates(points, updates), state, values

    def run(starts: np.ndarray, steps: int) -> tuple:
        points = jnp.asarray(starts)
        state, path = optimizer.init(points), []
        for _ in range(steps):
            following, state, values = step(points, state)
            if work.keep == "path":
                path.append((points, values))
            points = following
        last = jax.vmap(fn)(points)
        whole = [jnp.stack(kept) for kept in zip(*path, strict=True)]
        return points, last, whole

    return _in_precision(run, work)


def bare_scan(work: Work) -> Callable[[Any, int], tuple[Any, Any, Any]]:
    """What one writes with optax and JAX alone: (start, steps) → last point, its value, path."""
    optimizer, fn = _optax(work), work.objective.fn

    def descent(start: Any, steps: int) -> tuple[Any, Any, Any]:
        def body(carry: Any, _: None) -> tuple[Any, Any]:
            point, state = carry
            value, slope = jax.value_and_grad(fn)(point)
            updates, state = optimizer.update(slope, state)
            kept = (point, value) if work.keep == "path" else None
            return (optax.apply_updates(point, updates), state), kept

        (point, _), path = jax.lax.scan(body, (start, optimizer.init(start)), length=steps)
        return point, fn(point), path

    return descent


def _scan(work: Work, processors: int) -> Run:
    del processors
    batch = jax.jit(jax.vmap(bare_scan(work), in_axes=(0, None)), static_argnums=1)
    return _in_precision(lambda starts, steps: batch(starts, steps), work)


def _optimistix(work: Work, processors: int) -> Run:
    del processors
    import optimistix

    solver = optimistix.OptaxMinimiser(_optax(work), rtol=0.0, atol=0.0)
    fn = work.objective.fn

    def descent(start: Any, steps: int) -> tuple[Any, Any]:
        solution = optimistix.minimise(
            lambda y, args: fn(y), solver, start, max_steps=steps, throw=False
        )
        return solution.value, fn(solution.value)

    return _in_precision(jax.jit(jax.vmap(descent, in_axes=(0, None)), static_argnums=1), work)


def _jaxopt(work: Work, processors: int) -> Run:
    del processors
    import jaxopt  # pyright: ignore[reportMissingImports]  # an extra

    fn = work.objective.fn

    def descent(start: Any, steps: int) -> tuple[Any, Any]:
        solver = jaxopt.OptaxSolver(fn, _optax(work), maxiter=steps, tol=0.0)
        point = solver.run(start).params
        return point, fn(point)

    return _in_precision(jax.jit(jax.vmap(descent, in_axes=(0, None)), static_argnums=1), work)


def _needs(package: str, paths: bool = True) -> Callable[[Work], str]:
    """Says why a row that needs a package is skipped."""

    def missing(work: Work) -> str:
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed"
        return "" if paths or work.keep == "summary" else "it keeps no path"

    return missing


def _whole_path(work: Work) -> str:
    return "" if work.keep == "path" else "it keeps the whole path"


def _no_limit(work: Work) -> str:
    if work.keep == "path":
        return "the limit of full paths is the write bandwidth"
    return limit.missing(work.name, work.dim)


LIMIT, BARE_LIMIT, GDJAX, SCAN = "C limit", "C limit, no summary", "gdjax", "jit(vmap(scan))"
NUMPY_LOOP, DESCEND = "NumPy loop", "gdjax.descend"
LAST, FULL = "last point and value only", "summary with outcomes"
ROWS = {
    row.name: row
    for row in (
        Row(GDJAX, _gdjax, pilot=2**14, patience=10, note=FULL),
        Row(DESCEND, _descend, _whole_path, pilot=1),
        Row(
            LIMIT,
            _limit("sweep"),
            _no_limit,
            pilot=2**14,
            patience=10,
            note=FULL,
        ),
        Row(BARE_LIMIT, _limit("bare"), _no_limit, pilot=2**14, patience=10, note=LAST),
        Row(NUMPY_LOOP, _numpy_loop, pilot=1, note=LAST),
        Row("NumPy", _numpy, fewer="steps", note=LAST),
        Row("numba", _numba, _needs("numba"), note=LAST),
        Row("PyTorch", _torch, _needs("torch"), fewer="steps", note=LAST),
        Row("optax loop", _optax_loop, fewer="steps", note=LAST),
        Row(SCAN, _scan, note=LAST),
        Row("optimistix", _optimistix, _needs("optimistix", paths=False), note=LAST),
        Row("jaxopt", _jaxopt, _needs("jaxopt", paths=False), note=LAST),
    )
}
RIVALS = ("NumPy", "numba", "PyTorch", SCAN)
ON_CPU = (LIMIT, BARE_LIMIT, NUMPY_LOOP, "NumPy", "numba")  # wherever JAX computes
