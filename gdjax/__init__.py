"""See, sweep and certify gradient descent."""

import importlib
from typing import TYPE_CHECKING, Any

from gdjax import objectives, optimizers
from gdjax.descent import Trajectory, descend
from gdjax.errors import ArgumentError
from gdjax.gradients import GradientReport, assert_gradient, check_gradient, check_hessian
from gdjax.objectives import Objective
from gdjax.optimizers import gradient_descent, heavy_ball, nesterov
from gdjax.outcomes import Outcome, StoppingRule

if TYPE_CHECKING:
    from gdjax import plotting

__all__ = [
    "ArgumentError",
    "GradientReport",
    "Objective",
    "Outcome",
    "StoppingRule",
    "Trajectory",
    "assert_gradient",
    "check_gradient",
    "check_hessian",
    "descend",
    "gradient_descent",
    "heavy_ball",
    "nesterov",
    "objectives",
    "optimizers",
    "plotting",
]


def __getattr__(name: str) -> Any:
    if name == "plotting":  # loaded on first use: matplotlib takes longer to import than gdjax
        return importlib.import_module("gdjax.plotting")
    raise AttributeError(f"module 'gdjax' has no attribute {name!r}")
