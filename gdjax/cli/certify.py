"""What ``gdjax certify`` does: two optimizers held against each other, on every objective."""

import logging
from collections.abc import Callable, Iterable, Sequence

import jax
import numpy as np
import optax

from gdjax._inputs import DType, default_dtype
from gdjax.certificates import EquivalenceReport, certify_equivalence, table
from gdjax.objectives import Objective
from gdjax.starts import given_or_drawn

log = logging.getLogger(__name__)


def certify(
    objectives: Iterable[Objective],
    pair: Callable[[float], tuple[optax.GradientTransformation, optax.GradientTransformation]],
    *,
    learning_rate: float | None = None,
    starts: int = 3,
    steps: int = 50,
    seed: int = 0,
    dtypes: Sequence[DType] = ("float32", "float64"),
    decaying: bool = False,
) -> list[EquivalenceReport]:
    """Certify two optimizers as one method on every objective, and say how it went, in a table.

    Args:
        objectives: what to descend, one after the other.
        pair: learning rate → the two optimizers.
        learning_rate: None takes 1/L on each, with L the largest curvature at the starts.
        starts: how many; the objective's own and others drawn in the domain.
        steps: number of steps from each start.
        seed: of the draw.
        dtypes: in which the steps are taken.
        decaying: whether to try a decaying learning rate as well.

    Raises:
        ArgumentError: as ``gdjax.certify_equivalence`` does.
    """
    reports, rows = [], [("objective", "dtype", "point", "carried", "steps", "verdict")]
    for objective in objectives:
        points = given_or_drawn(objective, starts, seed)
        rate = _inverse_curvature(objective, points) if learning_rate is None else learning_rate
        for dtype in dtypes:
            report = certify_equivalence(
                *pair(rate), objective, points, steps, dtype=dtype, schedule=decaying
            )
            reports.append(report)
            trial = report.trials[0]
            numbers = f"{trial.ulps:.3g}", f"{trial.carried:.3g}", str(trial.steps)
            rows.append((objective.name, dtype, *numbers, report.verdict))
    log.info(table(rows))
    first, ulps = reports[0], [report.trials[0].ulps for report in reports]
    log.info("a = %s\nb = %s", first.a, first.b)
    log.info(
        "at every step the same %s; learning rate %s; the next points are at most 2 ulps apart in "
        "%d of %d, %.3g in the worst%s",
        first.trials[0].forced, "1/L" if learning_rate is None else learning_rate,
        sum(value <= 2 for value in ulps), len(ulps), max(ulps),
        ", as seven roundings can add up" * (2 < max(ulps) <= 8),
    )  # fmt: skip
    return reports


def _inverse_curvature(objective: Objective, points: np.ndarray) -> float:
    """1/L, with L the largest curvature at the points; where all are flat, a slow 1/100."""
    with default_dtype("float64"):
        hessian = jax.jit(lambda f, points: jax.vmap(jax.hessian(f.value))(points))
        hessians = np.asarray(hessian(objective.cast(float), points))
    curvature = np.linalg.norm(hessians[np.isfinite(hessians).all((1, 2))], 2, (1, 2))
    return 1 / float(curvature.max()) if curvature.any() else 0.01
