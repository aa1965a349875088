"""See, sweep and certify gradient descent."""

from typing import TYPE_CHECKING

from gdjax import _lazy

if TYPE_CHECKING:
    from gdjax import metrics, objectives, optimizers, plotting, results, theory
    from gdjax._version import __version__ as __version__
    from gdjax.comparison.paths import Comparison, compare
    from gdjax.comparison.ranking import Ranking
    from gdjax.comparison.tuned import rank
    from gdjax.descent import Trajectory, descend
    from gdjax.engine import sweep
    from gdjax.equivalence import EquivalenceReport, certify_equivalence
    from gdjax.errors import ArgumentError
    from gdjax.gradients import GradientReport, assert_gradient, check_gradient, check_hessian
    from gdjax.hypergradients import Hypergradient, hypergradient, tune_by_gradient
    from gdjax.objectives import Objective
    from gdjax.optimizers import gradient_descent, heavy_ball, nesterov
    from gdjax.outcomes import Outcome, StoppingRule
    from gdjax.results import open_results
    from gdjax.stationary import StationaryPoints, stationary_points
    from gdjax.sweeps import starts

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

# Where each name is loaded from when it is first used: JAX alone takes seconds to import.
_HOMES = {
    "ArgumentError": "gdjax.errors",
    "Comparison": "gdjax.comparison.paths",
    "EquivalenceReport": "gdjax.equivalence",
    "GradientReport": "gdjax.gradients",
    "Hypergradient": "gdjax.hypergradients",
    "Objective": "gdjax.objectives",
    "Outcome": "gdjax.outcomes",
    "Ranking": "gdjax.comparison.ranking",
    "StationaryPoints": "gdjax.stationary",
    "StoppingRule": "gdjax.outcomes",
    "Trajectory": "gdjax.descent",
    "__version__": "gdjax._version",
    "assert_gradient": "gdjax.gradients",
    "certify_equivalence": "gdjax.equivalence",
    "check_gradient": "gdjax.gradients",
    "check_hessian": "gdjax.gradients",
    "compare": "gdjax.comparison.paths",
    "descend": "gdjax.descent",
    "gradient_descent": "gdjax.optimizers",
    "heavy_ball": "gdjax.optimizers",
    "hypergradient": "gdjax.hypergradients",
    "metrics": "gdjax.metrics",
    "nesterov": "gdjax.optimizers",
    "objectives": "gdjax.objectives",
    "open_results": "gdjax.results",
    "optimizers": "gdjax.optimizers",
    "plotting": "gdjax.plotting",
    "rank": "gdjax.comparison.tuned",
    "results": "gdjax.results",
    "starts": "gdjax.sweeps.starts",
    "stationary_points": "gdjax.stationary",
    "sweep": "gdjax.engine",
    "theory": "gdjax.theory",
    "tune_by_gradient": "gdjax.hypergradients",
}

if not TYPE_CHECKING:  # else a type checker would take every name for one of gdjax
    __getattr__ = _lazy.loader(__name__, _HOMES)


def __dir__() -> list[str]:
    return [*_lazy.listing(globals())(), "__version__"]
