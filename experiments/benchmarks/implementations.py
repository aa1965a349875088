"""Who descends. Each makes a function (starts, steps) → last points and values."""

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

from . import c_reference
from .workloads import GRADIENTS, MOMENTUM, VALUES, Workload

PATH = ("points", "values")
Run = Callable[[np.ndarray, int], tuple[Any, Any]]


class Implementation(NamedTuple):
    """One way to compute the workload.

    Args:
        name: what the tables call it.
        make: (workload, processors) → the function that is timed.
        missing: workload → why it cannot be had; empty if it can.
        fewer: what is cut down where it is slow, ``starts`` or ``steps``.
        pilot: starts of the first, short call.
        patience: how many times as long as others it may take.
        note: what else a reader must know.
    """

    name: str
    make: Callable[[Workload, int], Run]
    missing: Callable[[Workload], str] = lambda workload: ""
    fewer: str = "starts"
    pilot: int = 1000
    patience: float = 1
    note: str = ""


def _gdjax(keep: tuple[str, ...] | None = None) -> Callable[[Workload, int], Run]:
    def make(workload: Workload, processors: int) -> Run:
        f = dataclasses.replace(workload.objective)  # a new object: nothing of it is compiled
        ball = gdjax.heavy_ball(workload.learning_rate, MOMENTUM)

        def run(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
            found = sweep(
                f, ball, starts, steps=steps, dtype=workload.dtype, devices=processors,
                save_at="all" if workload.keep == "path" else None, keep=keep,
            )  # fmt: skip
            return found.final_point.values, found.final_value.values

        return run

    return make


def _descend(workload: Workload, processors: int) -> Run:
    del processors
    f = dataclasses.replace(workload.objective)
    ball = gdjax.heavy_ball(workload.learning_rate, MOMENTUM)

    def run(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
        paths = [gdjax.descend(f, ball, x, steps, dtype=workload.dtype) for x in starts]
        jax.block_until_ready(paths[-1])
        points, values = ([np.asarray(getattr(p, k))[-1] for p in paths] for k in PATH)
        return np.stack(points), np.stack(values)

    return run


def _c_reference(variant: str) -> Callable[[Workload, int], Run]:
    def make(workload: Workload, processors: int) -> Run:
        kernel = c_reference.build(workload.objective, workload.dtype)

        def run(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
            found = kernel(variant, starts, steps, workload.learning_rate, MOMENTUM, processors)
            return found["final_point"], found["final_value"]

        return run

    return make


def _numpy_loop(workload: Workload, processors: int) -> Run:
    del processors
    value, gradient = VALUES[workload.name], GRADIENTS[workload.name]

    def run(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
        points, values = [], []
        for x in starts:
            path, path_values = [x], [value(np, x)]
            velocity = np.zeros_like(x)
            for _ in range(steps):
                velocity = MOMENTUM * velocity - workload.learning_rate * gradient(np, x)
                x = x + velocity
                if workload.keep == "path":
                    path.append(x)
                    path_values.append(value(np, x))
            points.append(x)
            values.append(value(np, x))
            if workload.keep == "path":
                path, path_values = np.array(path), np.array(path_values)
        return np.array(points), np.array(values)

    return run


def _vectorised(
    workload: Workload, xp: Any, starts: Any, steps: int, empty: Callable
) -> tuple[Any, Any]:
    """All starts at a time, ``(d, n)``."""
    value, gradient = VALUES[workload.name], GRADIENTS[workload.name]
    x, velocity = starts, xp.zeros_like(starts)
    keep = workload.keep == "path"
    kept = steps + 1 if keep else 0
    path, values = empty((kept, *x.shape)), empty((kept, x.shape[1]))
    for k in range(steps):
        if keep:
            path[k], values[k] = x, value(xp, x)
        velocity = MOMENTUM * velocity - workload.learning_rate * gradient(xp, x)
        x = x + velocity
    last = value(xp, x)
    if keep:
        path[steps], values[steps] = x, last
    return x.T, last


def _numpy(workload: Workload, processors: int) -> Run:
    del processors

    def run(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
        x = np.ascontiguousarray(starts.T)
        return _vectorised(workload, np, x, steps, lambda shape: np.empty(shape, x.dtype))

    return run


def _torch(workload: Workload, processors: int) -> Run:
    import torch  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(processors)
    on = "cuda" if torch.cuda.is_available() else "cpu"

    def run(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
        x = torch.tensor(np.ascontiguousarray(starts.T), device=on)
        with torch.no_grad():
            points, values = _vectorised(
                workload,
                torch,
                x,
                steps,
                lambda shape: torch.empty(shape, dtype=x.dtype, device=on),
            )
        return points.cpu().numpy(), values.cpu().numpy()

    return run


def _numba(workload: Workload, processors: int) -> Run:
    import numba  # pyright: ignore[reportMissingImports]  # an extra

    from . import loops

    numba.set_num_threads(min(processors, numba.get_num_threads()))
    kernel = loops.compiled(workload)
    real = np.dtype(workload.dtype).type
    numbers = real(workload.learning_rate), real(MOMENTUM)

    def run(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
        n, kept = len(starts), steps + 1 if workload.keep == "path" else 0
        points, values = np.empty_like(starts), np.empty(n, starts.dtype)
        path = np.empty((n, kept, workload.dim), starts.dtype)
        kernel(starts, steps, *numbers, points, values, path, path[:, :, 0].copy())
        return points, values

    return run


def _in_precision(run: Callable[[np.ndarray, int], tuple], workload: Workload) -> Run:
    def wrapped(starts: np.ndarray, steps: int) -> tuple[Any, Any]:
        with jax.enable_x64(workload.dtype == "float64"):
            points, values, *_ = jax.block_until_ready(run(starts, steps))
            return np.asarray(points), np.asarray(values)

    return wrapped


def _optax(workload: Workload) -> optax.GradientTransformation:
    return optax.sgd(workload.learning_rate, momentum=MOMENTUM)


def _optax_loop(workload: Workload, processors: int) -> Run:
    del processors
    optimizer, fn = _optax(workload), workload.objective.fn

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
            if workload.keep == "path":
                path.append((points, values))
            points = following
        last = jax.vmap(fn)(points)
        whole = [jnp.stack(kept) for kept in zip(*path, strict=True)]
        return points, last, whole

    return _in_precision(run, workload)


def bare_scan(workload: Workload) -> Callable[[Any, int], tuple[Any, Any, Any]]:
    """What one writes with optax and JAX alone: (start, steps) → last point, its value, path."""
    optimizer, fn = _optax(workload), workload.objective.fn

    def descent(start: Any, steps: int) -> tuple[Any, Any, Any]:
        def body(carry: Any, _: None) -> tuple[Any, Any]:
            point, state = carry
            value, slope = jax.value_and_grad(fn)(point)
            updates, state = optimizer.update(slope, state)
            kept = (point, value) if workload.keep == "path" else None
            return (optax.apply_updates(point, updates), state), kept

        (point, _), path = jax.lax.scan(body, (start, optimizer.init(start)), length=steps)
        return point, fn(point), path

    return descent


def _scan(workload: Workload, processors: int) -> Run:
    del processors
    batch = jax.jit(jax.vmap(bare_scan(workload), in_axes=(0, None)), static_argnums=1)
    return _in_precision(lambda starts, steps: batch(starts, steps), workload)


def _optimistix(workload: Workload, processors: int) -> Run:
    del processors
    import optimistix

    solver = optimistix.OptaxMinimiser(_optax(workload), rtol=0.0, atol=0.0)
    fn = workload.objective.fn

    def descent(start: Any, steps: int) -> tuple[Any, Any]:
        solution = optimistix.minimise(
            lambda y, args: fn(y), solver, start, max_steps=steps, throw=False
        )
        return solution.value, fn(solution.value)

    return _in_precision(jax.jit(jax.vmap(descent, in_axes=(0, None)), static_argnums=1), workload)


def _jaxopt(workload: Workload, processors: int) -> Run:
    del processors
    import jaxopt  # pyright: ignore[reportMissingImports]  # an extra

    fn = workload.objective.fn

    def descent(start: Any, steps: int) -> tuple[Any, Any]:
        solver = jaxopt.OptaxSolver(fn, _optax(workload), maxiter=steps, tol=0.0)
        point = solver.run(start).params
        return point, fn(point)

    return _in_precision(jax.jit(jax.vmap(descent, in_axes=(0, None)), static_argnums=1), workload)


def _needs(package: str, paths: bool = True) -> Callable[[Workload], str]:
    """Says why an implementation that needs a package is skipped."""

    def missing(workload: Workload) -> str:
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed"
        return "" if paths or workload.keep == "summary" else "it keeps no path"

    return missing


def _whole_path(workload: Workload) -> str:
    return "" if workload.keep == "path" else "it keeps the whole path"


def _no_c_reference(workload: Workload) -> str:
    if workload.keep == "path":
        return "full paths are compared with the write bandwidth"
    return c_reference.missing(workload.name, workload.dim)


C_REFERENCE, BARE_C_REFERENCE = "C reference", "C reference, no summary"
GDJAX, GDJAX_LAST, SCAN = "gdjax", "gdjax, last point", "jit(vmap(scan))"
NUMPY_LOOP, DESCEND = "NumPy loop", "gdjax.descend"
LAST, FULL = "last point and value only", "summary with outcomes"
IMPLEMENTATIONS = {
    implementation.name: implementation
    for implementation in (
        Implementation(GDJAX, _gdjax(), pilot=2**14, patience=10, note=FULL),
        Implementation(
            GDJAX_LAST,
            _gdjax(("final_point", "final_value")),
            lambda workload: "" if workload.keep == "summary" else "it keeps no path",
            pilot=2**14,
            patience=10,
            note=LAST,
        ),
        Implementation(DESCEND, _descend, _whole_path, pilot=1),
        Implementation(
            C_REFERENCE,
            _c_reference("sweep"),
            _no_c_reference,
            pilot=2**14,
            patience=10,
            note=FULL,
        ),
        Implementation(
            BARE_C_REFERENCE,
            _c_reference("bare"),
            _no_c_reference,
            pilot=2**14,
            patience=10,
            note=LAST,
        ),
        Implementation(NUMPY_LOOP, _numpy_loop, pilot=1, note=LAST),
        Implementation("NumPy", _numpy, fewer="steps", note=LAST),
        Implementation("numba", _numba, _needs("numba"), note=LAST),
        Implementation("PyTorch", _torch, _needs("torch"), fewer="steps", note=LAST),
        Implementation("optax loop", _optax_loop, fewer="steps", note=LAST),
        Implementation(SCAN, _scan, note=LAST),
        Implementation("optimistix", _optimistix, _needs("optimistix", paths=False), note=LAST),
        Implementation("jaxopt", _jaxopt, _needs("jaxopt", paths=False), note=LAST),
    )
}
RIVALS = ("NumPy", "numba", "PyTorch", SCAN)
ON_CPU = (C_REFERENCE, BARE_C_REFERENCE, NUMPY_LOOP, "NumPy", "numba")  # wherever JAX computes
