"""What helps where people get stuck, a line each, and only where it is true."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdjax import curvature, starts, theory
from gdjax._descent.outcomes import Outcome
from gdjax._descent.trajectory import Trajectory
from gdjax._sweep.engine import sweep
from gdjax._util.errors import ArgumentError
from gdjax.comparison.comparison import method_of
from gdjax.metrics import distinct
from gdjax.objectives import Objective
from gdjax.optimizers import Optimizer, levenberg_marquardt
from gdjax.regressions import Regression

FEW = 32  # dimensions up to which the Hessian at the start is looked at
UNLIKE = 1e6  # times the smallest component of a gradient: too unlike for one learning rate
ROUGH = 1e-3  # of the value: by so much may rounding of the points change it
EXPLAINED = 0.95  # R² from which on nobody looks for a better fit elsewhere
OTHERS, OTHER_STEPS = 64, 100  # starts that are tried, and their steps
LARGE = 1_000_000  # residuals times starts, above which that would take long
BETTER = 0.99  # of the value: what is below it is better


def advice(
    objective: Objective,
    optimizers: Mapping[str, Optimizer],
    paths: Mapping[str, Trajectory],
    found: Regression | None,
) -> Iterator[str]:
    """Lines of help after descents from one start.

    Args:
        objective: what was descended.
        optimizers: by what, by label.
        paths: their trajectories.
        found: the regression at the lowest end of a fit.
    """
    start = np.asarray(objective.flattened(next(iter(paths.values())).points), float)[0]
    plain = {label: made for label, made in optimizers.items() if _rates(made)}
    failed = {
        label: made
        for label, made in plain.items()
        if paths[label].outcome in (Outcome.DIVERGED, Outcome.NONFINITE)
    }
    yield from _too_fast(objective, start, failed)
    if any(paths[label].outcome != Outcome.CONVERGED for label in plain):
        yield from _unlike(objective, start)
    if objective.fit is not None:
        yield from _too_coarse(objective, paths)
        yield from _elsewhere(objective, paths, found)


def _rates(optimizer: Optimizer) -> dict[str, Any]:
    """The numbers of a plain method or of momentum, at a constant rate; empty for all others."""
    try:
        return method_of(optimizer)
    except ArgumentError:
        return {}


def _units(objective: Objective, at: np.ndarray) -> np.ndarray:
    """The slopes of what the optimizers move in, at a point, ``(d,)``."""
    within = objective.coordinates
    if within is None:
        return np.ones(len(at))
    with jax.enable_x64(True):
        return np.asarray(within.slope(within.inward(jnp.asarray(at))))


def _too_fast(
    objective: Objective, at: np.ndarray, failed: Mapping[str, Optimizer]
) -> Iterator[str]:
    """Where a learning rate is above what the Hessian at the start allows."""
    if not failed or len(at) > FEW:
        return
    unit = _units(objective, at)
    with jax.enable_x64(True):
        hessian = np.asarray(curvature.second_order(objective.cast(float), at[None])[2][0])
    hessian = hessian * np.outer(unit, unit)
    if not np.isfinite(hessian).all() or (top := float(np.linalg.eigvalsh(hessian)[-1])) <= 0:
        return
    for label, optimizer in failed.items():
        given = _rates(optimizer)
        rate = given.pop("learning_rate")
        limit = float(theory.stability_limit(curvature=top, **given))
        if rate > limit:
            yield (
                f"{label}: its learning rate is above {limit:.3g}, all that the Hessian at the "
                f"start allows, whose largest eigenvalue is {top:.3g}; "
                f"try learning_rate={limit / 2:.1e}"
            )


def _unlike(objective: Objective, at: np.ndarray) -> Iterator[str]:
    """Where no one learning rate suits all components."""
    if len(at) > FEW:
        return
    with jax.enable_x64(True):  # the gradient alone: a Hessian takes long to compile
        slope = np.asarray(objective.cast(float).value_and_gradient()(jnp.asarray(at))[1])
    slope = np.abs(slope * _units(objective, at))
    if not np.isfinite(slope).all() or not slope.all():
        return
    first, last = int(slope.argmax()), int(slope.argmin())
    if slope[first] < UNLIKE * slope[last]:
        return
    scaled = objective.coordinates is not None
    way = "" if objective.fit is None or scaled else "objective.scale=auto or "
    yield (
        f"at the start the slope along {objective.variables[first]} is "
        f"{slope[first] / slope[last]:.1e} times that along {objective.variables[last]}, too much "
        f"for one learning rate; try {way}optimizer=lbfgs"
    )


def _too_coarse(objective: Objective, paths: Mapping[str, Trajectory]) -> Iterator[str]:
    """Where single precision cannot resolve the misfit."""
    for label, path in paths.items():
        value = float(path.final_value)
        if path.points.dtype != np.float32 or not np.isfinite(value):
            continue
        with jax.enable_x64(True):
            at = np.asarray(path.points, float)[max(path.finite - 1, 0)]
            true = float(objective.cast(float).value(jnp.asarray(at)))
        if abs(value - true) > ROUGH * abs(true):
            yield (
                f"{label}: float32 cannot resolve this fit: what it takes for {value:.6g} is "
                f"{true:.6g}; take dtype=float64"
            )


def _elsewhere(
    objective: Objective, paths: Mapping[str, Trajectory], found: Regression | None
) -> Iterator[str]:
    """Where Levenberg-Marquardt finds a better fit from starts drawn in the domain."""
    assert objective.fit is not None
    good = found is not None and found.at_best and (found.r_squared or 0) >= EXPLAINED
    if good or objective.domain is None or OTHERS * len(objective.fit.observed) > LARGE:
        return
    ends = sweep(
        objective, levenberg_marquardt(), starts.sobol(OTHERS, seed=0), steps=OTHER_STEPS,
        dtype="float64", keep=["final_point", "final_value"], classify_rest=False,
    )  # fmt: skip
    values = ends.final_value.values
    told = np.isfinite(values) & np.isfinite(ends.final_point.values).all(axis=1)
    best = distinct(ends.final_point.values[told], values[told], objective.width)
    lowest = min(float(np.nan_to_num(path.final_value, nan=np.inf)) for path in paths.values())
    if len(best.values) and best.values[0] < BETTER * lowest:
        i = int(np.flatnonzero(values == best.values[0])[0])
        start = ",".join(f"{x:.6g}" for x in ends.start_point.values[i])
        yield (
            f"other starts do better: {best.counts[0]} of {OTHERS} end at f = "
            f"{best.values[0]:.6g}, such as start=[{start}] by optimizer=levenberg_marquardt "
            f"dtype=float64; sweep=starts lists where they end"
        )
