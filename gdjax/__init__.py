"""See, sweep and certify gradient descent."""

TYPE_CHECKING = False  # as typing has it, which takes longer to load than all of this

if TYPE_CHECKING:
    from gdjax import metrics, objectives, optimizers, plotting, results, starts, theory
    from gdjax._descent.outcomes import Outcome, StoppingRule
    from gdjax._descent.trajectory import Trajectory, descend
    from gdjax._sweep.engine import sweep
    from gdjax._util.errors import ArgumentError, ChunkError
    from gdjax._util.version import __version__ as __version__
    from gdjax.certificates import (
        EquivalenceReport,
        GradientReport,
        RuleReport,
        assert_gradient,
        assert_rule,
        certify_equivalence,
        check_gradient,
        check_hessian,
        check_rule,
    )
    from gdjax.comparison.comparison import Comparison, compare
    from gdjax.comparison.ranking import Ranking
    from gdjax.comparison.tuning import rank
    from gdjax.explorer import explore
    from gdjax.hypergradients import Hypergradient, hypergradient, tune_by_gradient
    from gdjax.objectives import Objective
    from gdjax.optimizers import (
        gauss_newton,
        gradient_descent,
        heavy_ball,
        levenberg_marquardt,
        nesterov,
    )
    from gdjax.regressions import Regression, regression
    from gdjax.results import open_results
    from gdjax.stationary import StationaryPoints, stationary_points
    from gdjax.training.confessions import LandscapeSlice
    from gdjax.training.problems import problem
    from gdjax.training.runs import TrainingRun, train
    from gdjax.training.slices import landscape
    from gdjax.training.spectrum import (
        Sharpness,
        SpectralDensity,
        hessian_trace,
        sharpness,
        spectral_density,
    )

__all__ = [
    "ArgumentError",
    "ChunkError",
    "Comparison",
    "EquivalenceReport",
    "GradientReport",
    "Hypergradient",
    "LandscapeSlice",
    "Objective",
    "Outcome",
    "Ranking",
    "Regression",
    "RuleReport",
    "Sharpness",
    "SpectralDensity",
    "StationaryPoints",
    "StoppingRule",
    "TrainingRun",
    "Trajectory",
    "assert_gradient",
    "assert_rule",
    "certify_equivalence",
    "check_gradient",
    "check_hessian",
    "check_rule",
    "compare",
    "descend",
    "explore",
    "gauss_newton",
    "gradient_descent",
    "heavy_ball",
    "hessian_trace",
    "hypergradient",
    "landscape",
    "levenberg_marquardt",
    "metrics",
    "nesterov",
    "objectives",
    "open_results",
    "optimizers",
    "plotting",
    "problem",
    "rank",
    "regression",
    "results",
    "sharpness",
    "spectral_density",
    "starts",
    "stationary_points",
    "sweep",
    "theory",
    "train",
    "tune_by_gradient",
]

# Where each name is loaded from when it is first used: JAX alone takes seconds to import.
_HOMES = {
    "ArgumentError": "gdjax._util.errors",
    "ChunkError": "gdjax._util.errors",
    "Comparison": "gdjax.comparison.comparison",
    "EquivalenceReport": "gdjax.certificates",
    "GradientReport": "gdjax.certificates",
    "Hypergradient": "gdjax.hypergradients",
    "LandscapeSlice": "gdjax.training.confessions",
    "Objective": "gdjax.objectives",
    "Outcome": "gdjax._descent.outcomes",
    "Ranking": "gdjax.comparison.ranking",
    "Regression": "gdjax.regressions",
    "RuleReport": "gdjax.certificates",
    "Sharpness": "gdjax.training.spectrum",
    "SpectralDensity": "gdjax.training.spectrum",
    "StationaryPoints": "gdjax.stationary",
    "StoppingRule": "gdjax._descent.outcomes",
    "TrainingRun": "gdjax.training.runs",
    "Trajectory": "gdjax._descent.trajectory",
    "__version__": "gdjax._util.version",
    "assert_gradient": "gdjax.certificates",
    "assert_rule": "gdjax.certificates",
    "certify_equivalence": "gdjax.certificates",
    "check_gradient": "gdjax.certificates",
    "check_hessian": "gdjax.certificates",
    "check_rule": "gdjax.certificates",
    "compare": "gdjax.comparison.comparison",
    "descend": "gdjax._descent.trajectory",
    "explore": "gdjax.explorer",
    "gauss_newton": "gdjax.optimizers",
    "gradient_descent": "gdjax.optimizers",
    "heavy_ball": "gdjax.optimizers",
    "hessian_trace": "gdjax.training.spectrum",
    "hypergradient": "gdjax.hypergradients",
    "landscape": "gdjax.training.slices",
    "levenberg_marquardt": "gdjax.optimizers",
    "metrics": "gdjax.metrics",
    "nesterov": "gdjax.optimizers",
    "objectives": "gdjax.objectives",
    "open_results": "gdjax.results",
    "optimizers": "gdjax.optimizers",
    "plotting": "gdjax.plotting",
    "problem": "gdjax.training.problems",
    "rank": "gdjax.comparison.tuning",
    "regression": "gdjax.regressions",
    "results": "gdjax.results",
    "sharpness": "gdjax.training.spectrum",
    "spectral_density": "gdjax.training.spectrum",
    "starts": "gdjax.starts",
    "stationary_points": "gdjax.stationary",
    "sweep": "gdjax._sweep.engine",
    "theory": "gdjax.theory",
    "train": "gdjax.training.runs",
    "tune_by_gradient": "gdjax.hypergradients",
}

if not TYPE_CHECKING:  # else a type checker would take every name for one of gdjax

    def __getattr__(name: str):
        from gdjax._util import lazy  # nothing is loaded before it is used

        return lazy.loader(__name__, _HOMES)(name)


def __dir__() -> list[str]:
    from gdjax._util import lazy

    return [*lazy.listing(globals())(), "__version__"]
