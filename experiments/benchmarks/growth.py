"""How gdjax's cost grows with starts, steps, dimension and devices."""

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any

import gdjax

from .implementations import GDJAX
from .measure import Case, Effort, Timing, in_turn, quartiles
from .workloads import MOMENTUM, Workload

log = logging.getLogger(__name__)


def growth(
    starts: Sequence[int],
    steps: Sequence[int],
    dimensions: Sequence[int],
    devices: Sequence[int],
    effort: Effort,
) -> list[Timing]:
    """Each series on its own: what it varies, the rest as in the goals."""
    qfsp = Workload("qfsp", 2, "float32", "summary")
    most = max(starts)
    series: dict[str, dict[Any, tuple[Case, int]]] = {
        "starts": {n: (Case(qfsp, n, 100), effort.processors) for n in starts},
        "steps": {k: (Case(qfsp, min(10**4, most), k), effort.processors) for k in steps},
        "dimension": {
            d: (Case(qfsp._replace(name="rastrigin", dim=d), min(1000, most), 100),
                effort.processors)
            for d in dimensions
        },
        "devices": {k: (Case(qfsp, min(10**6, most), 100), k) for k in devices},
    }  # fmt: skip
    found = []
    for name, points in series.items():
        jobs = {key: _job(case, devices) for key, (case, devices) in points.items()}
        for key, (seconds, peak) in in_turn(jobs, effort.rounds).items():
            (workload, n, k), used = points[key]
            low, middle, high = quartiles(seconds)
            found.append(Timing(
                GDJAX, workload.label, workload.dtype, workload.keep, n, k, steady=middle, low=low,
                high=high, peak=peak, ran_starts=n, ran_steps=k, same=True, series=name,
                devices=used,
            ))  # fmt: skip
            log.info("  %s %s: %.4g s, %.4g M steps/s", name, key, middle, found[-1].rate / 1e6)
    return found


def _job(case: Case, devices: int) -> Callable[[], Any]:
    workload = case.workload
    ball = gdjax.heavy_ball(workload.learning_rate, MOMENTUM)
    return functools.partial(
        gdjax.sweep, workload.objective, ball, workload.starts(case.starts), steps=case.steps,
        dtype=workload.dtype, devices=devices, stopping=False,  # every step is taken
    )  # fmt: skip
