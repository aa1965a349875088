"""See, sweep and certify gradient descent."""

import importlib
from typing import TYPE_CHECKING, Any

from gdjax import metrics, objectives, optimizers, theory
from gdjax.comparison.paths import Comparison, compare
from gdjax.descent import Trajectory, descend
from gdjax.equivalence import EquivalenceReport, certify_equivalence
from gdjax.errors import ArgumentError
from gdjax.gradients import GradientReport, assert_gradient, check_gradient, check_hessian
from gdjax.hypergradients import Hypergradient, hypergradient, tune_by_gradient
from gdjax.objectives import Objective
from gdjax.optimizers import gradient_descent, heavy_ball, nesterov
from gdjax.outcomes import Outcome, StoppingRule
from gdjax.stationary import StationaryPoints, stationary_points
from gdjax.sweeps import starts

if TYPE_CHECKING:
    from gdjax import plotting, results
    from gdjax.comparison.ranking import Ranking
    from gdjax.comparison.tuned import rank
    from gdjax.engine import sweep
    from gdjax.results import open_results

__all__ = [
    "ArgumentError",
    "Comparison",
    "EquivalenceReport",
    "GradientReport",
    "Hypergradient",
    "Objective",
    "Outcome",
    "Ranking",
    "StationaryPoints",
    "StoppingRule",
    "Trajectory",
    "assert_gradient",
    "certify_equivalence",
    "check_gradient",
    "check_hessian",
    "compare",
    "descend",
    "gradient_descent",
    "heavy_ball",
    "hypergradient",
    "metrics",
    "nesterov",
    "objectives",
    "open_results",
    "optimizers",
    "plotting",
    "rank",
    "results",
    "starts",
    "stationary_points",
    "sweep",
    "theory",
    "tune_by_gradient",
]


def __getattr__(name: str) -> Any:
    # Loaded on first use: matplotlib and xarray take longer to import than gdjax.
    if name in ("plotting", "results"):
        return importlib.import_module(f"gdjax.{name}")
    if name == "open_results":
        return importlib.import_module("gdjax.results").open_results
    if name == "rank":
        return importlib.import_module("gdjax.comparison.tuned").rank
    if name == "Ranking":
        return importlib.import_module("gdjax.comparison.ranking").Ranking
    if name == "sweep":
        return importlib.import_module("gdjax.engine").sweep
    raise AttributeError(f"module 'gdjax' has no attribute {name!r}")
