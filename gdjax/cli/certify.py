"""``gdjax certify``: two optimizers held against each other, on every objective."""

import logging

import jax
import numpy as np

from gdjax._inputs import default_dtype
from gdjax.certificates import EquivalenceReport, certify_equivalence, table
from gdjax.cli.config import make_objectives, make_optimizer
from gdjax.cli.jobs import Done
from gdjax.cli.output_folder import OutputFolder
from gdjax.cli.settings import Certify
from gdjax.objectives import Objective
from gdjax.starts import given_or_drawn

log: logging.Logger = logging.getLogger(__name__)


def certify(asked: Certify, folder: OutputFolder) -> Done:
    """Certify two optimizers as one method on every objective; 1 if they differ on one, or may.

    Where the config has no learning rate it is 1/L on each, with L the largest curvature at the
    starts. Its number is how many units in the last place the next points differ at most.
    """
    reports, rows = [], [("objective", "dtype", "point", "carried", "steps that count", "verdict")]
    for objective in make_objectives(asked):
        points = given_or_drawn(objective, asked.starts, asked.seed)
        rate = asked.learning_rate
        rate = _inverse_curvature(objective, points) if rate is None else rate
        pair = make_optimizer(asked.a, asked, rate), make_optimizer(asked.b, asked, rate)
        for dtype in asked.dtypes:
            report = certify_equivalence(
                *pair, objective, points, asked.steps, seed=asked.seed, dtype=dtype,
                schedule=asked.decaying,
            )  # fmt: skip
            reports.append(report)
            trial = report.trials[0]
            numbers = f"{trial.ulps:.3g}", f"{trial.carried:.3g}", trial.evidence
            rows.append((objective.name, dtype, *numbers, report.verdict))
    folder.config()
    log.info(table(rows))
    for report in reports:
        if report.trials[0].verdict == "undecided":
            why = report.trials[0].reason
            log.info("undecided on %s, %s: %s", report.objective, report.dtype, why)
    _tell_worst(reports, asked.learning_rate)
    worst = max(report.trials[0].ulps for report in reports)
    other = [f"{r.objective}, {r.dtype}" for r in reports if not r.same]
    remark = f"not certified as one method: {'; '.join(other)}" if other else ""
    return Done(worst, int(bool(other)), remark)


def _tell_worst(reports: list[EquivalenceReport], learning_rate: float | None) -> None:
    """Say what was compared, and how far apart the next points are in the worst case."""
    first, ulps = reports[0], [report.trials[0].ulps for report in reports]
    log.info("a = %s\nb = %s", first.a, first.b)
    log.info(
        "at every step the same %s; learning rate %s; the next points are at most 2 ulps apart in "
        "%d of %d, %.3g in the worst%s",
        first.trials[0].forced, "1/L" if learning_rate is None else learning_rate,
        sum(value <= 2 for value in ulps), len(ulps), max(ulps),
        ", as seven roundings can add up" * (2 < max(ulps) <= 8),
    )  # fmt: skip


def _inverse_curvature(objective: Objective, points: np.ndarray) -> float:
    """1/L, with L the largest curvature at the points; where all are flat, a slow 1/100."""
    with default_dtype("float64"):
        hessian = jax.jit(lambda f, points: jax.vmap(jax.hessian(f.value))(points))
        hessians = np.asarray(hessian(objective.cast(float), points))
    curvature = np.linalg.norm(hessians[np.isfinite(hessians).all((1, 2))], 2, (1, 2))
    return 1 / float(curvature.max()) if curvature.any() else 0.01
