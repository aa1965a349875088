"""Objectives: functions worth descending, with their gradients, minima and references."""

from gdjax.objectives import (  # noqa: F401  (importing a family registers it)
    basins,
    bowls,
    curve_fit,
    fits,
    formula,
    ripples,
    saddles,
    valleys,
    worst_cases,
)
from gdjax.objectives.base import Fit, GradientSide, Objective
from gdjax.objectives.registry import REQUIRED, get, makers, names, parameters, register
from gdjax.objectives.sources import as_objective
from gdjax.objectives.validation import validate

__all__ = [
    "REQUIRED",
    "Fit",
    "GradientSide",
    "Objective",
    "as_objective",
    "get",
    "makers",
    "names",
    "parameters",
    "register",
    "validate",
]
