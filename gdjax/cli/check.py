"""What ``gdjax check`` does: certificates of gradients, in a table."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gdjax import plotting
from gdjax._inputs import DType
from gdjax.certificates import GradientReport, check_gradient, check_hessian
from gdjax.objectives import Objective

log = logging.getLogger(__name__)


def check(
    objectives: Sequence[Objective],
    folder: Path,
    *,
    points: int = 1000,
    seed: int = 0,
    dtype: DType = "float64",
    hessian: bool = False,
    draw: bool = False,
) -> list[GradientReport]:
    """Certify the gradient of each objective, several at a time, and say how it went.

    One objective gets its whole table, of several only those with a wrong gradient.

    Args:
        objectives: with a hand-derived gradient; of others, autodiff's is certified.
        folder: where the pictures go.
        points: how many to draw in each domain.
        seed: of the draw.
        dtype: the one that the verdict is about.
        hessian: whether to certify the Hessian as well.
        draw: whether to draw each certificate.

    Raises:
        ArgumentError: as ``gdjax.check_gradient`` does, before anything is written.
    """
    kinds = [check_gradient, check_hessian] if hessian else [check_gradient]
    jobs = [(certify, objective) for objective in objectives for certify in kinds]

    def certify(job: tuple) -> GradientReport:
        return job[0](job[1], points=points, seed=seed, dtype=dtype)

    reports = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # XLA compiles outside Python's lock
        for report in pool.map(certify, jobs):
            reports.append(report)
            log.info("%s", report if len(objectives) == 1 or not report.ok else report.line)
    if draw:
        folder.mkdir(parents=True, exist_ok=True)
        for report in reports:
            name = f"{report.name}_{report.kind.lower()}.png"
            log.info("%s", plotting.save(plotting.certificate(report), folder / name))
    return reports
