"""From ten thousand starts to a hundred million on a GPU, the bare scan beside."""

import functools
import logging
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import gdjax
from gdjax._compiler.lower import unroll
from gdjax._descent.cells import Setting, trace
from gdjax._descent.outcomes import DEFAULT_RULE

from .goals import Goal
from .implementations import GDJAX, IMPLEMENTATIONS, SCAN
from .measure import Case, Effort, Timing, in_turn, quartiles
from .workloads import MOMENTUM, Workload

log = logging.getLogger(__name__)

QFSP = Workload("qfsp", 2, "float32", "summary")
MATRIX = 8192  # rows of the matrices whose product says what the device can do
PEAK, SMALL = (10**7, 100), (10**4, 1000)  # the starts and steps of the goals
PEAK_GOAL = "a GPU, qfsp 2-D, 10,000,000 starts: of its float32 peak"
SCAN_GOAL = "a GPU, qfsp 2-D, 10,000 starts × 1,000 steps: times the bare scan"


def on_gpu(
    sizes: Sequence[tuple[int, int]], effort: Effort, matrix: int = MATRIX
) -> tuple[list[Timing], list[Goal]]:
    """gdjax and the bare scan at some sizes, starts and steps; what these say about the goals."""
    found = [timing for size in sizes for timing in _at(*size, effort)]
    rates = {(t.implementation, t.starts, t.steps): t.rate for t in found}
    peak = _peak(matrix)
    share = rates.get((GDJAX, *PEAK), math.nan) * operations() / peak
    note = f"{operations()} operations a step; {peak / 1e12:.3g} TFLOPS: a matrix product"
    times = rates.get((GDJAX, *SMALL), math.nan) / rates.get((SCAN, *SMALL), math.nan)
    return found, [Goal(PEAK_GOAL, 0.25, share, note=note), Goal(SCAN_GOAL, 5, times)]


def skipped(reason: str) -> list[Goal]:
    """The goals, where there is no GPU."""
    goals = {PEAK_GOAL: 0.25, SCAN_GOAL: 5.0}
    return [Goal(text, wanted, math.nan, note=reason) for text, wanted in goals.items()]


def missing() -> str:
    """Why nothing can be measured; empty if it can."""
    backend = jax.default_backend()
    return "" if backend == "gpu" else f"no GPU: JAX computes on the {backend}"


def _at(starts: int, steps: int, effort: Effort) -> list[Timing]:
    case = Case(QFSP, starts, steps)
    runs = {name: _job(name, case, effort.processors) for name in (GDJAX, SCAN)}
    made = []
    for name, (seconds, peak) in in_turn(runs, effort.rounds).items():
        low, middle, high = quartiles(seconds)
        made.append(Timing(
            name, QFSP.label, QFSP.dtype, QFSP.keep, starts, steps, steady=middle, low=low,
            high=high, peak=peak, ran_starts=starts, ran_steps=steps, same=True,
            series=f"GPU, {name}", devices=1,
        ))  # fmt: skip
        log.info("  %-20s %s: %.4g s, %.4g M steps/s", name, f"{starts:,} × {steps:,}",
                 middle, made[-1].rate / 1e6)  # fmt: skip
    return made


def _job(name: str, case: Case, processors: int) -> Callable[[], Any]:
    run = IMPLEMENTATIONS[name].make(case.workload, processors)
    return functools.partial(run, case.workload.starts(case.starts), case.steps)


def operations() -> int:
    """Additions and products of numbers that a step takes, sines written out in them."""
    ball = gdjax.heavy_ball(QFSP.learning_rate, MOMENTUM)
    setting, _, data = Setting.of(ball, QFSP.objective.cast(QFSP.dtype))
    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in data]
    start = jax.ShapeDtypeStruct((QFSP.dim,), np.dtype(QFSP.dtype))
    cells = trace(setting, shapes, start, "autodiff", DEFAULT_RULE, 1e-4, True, carry_data=True)
    live = (node for node in unroll(cells.step.traced).live() if node.dtype.kind == "f")
    counts = {"add": 1, "sub": 1, "mul": 1, "div": 1, "fma": 2, "fms": 2, "fnma": 2}
    return sum(counts.get(node.op, 0) for node in live)


def _peak(size: int) -> float:
    """Operations a second of a matrix product in float32: what the device reaches at its best."""
    product = jax.jit(functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST))
    matrix = jnp.ones((size, size), jnp.float32)
    run = functools.partial(lambda a: jax.block_until_ready(product(a, a)), matrix)
    seconds = in_turn({"product": run}, 5)["product"][0]
    return 2 * size**3 / statistics.median(seconds)
