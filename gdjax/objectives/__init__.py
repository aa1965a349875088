"""Objectives: functions worth descending, with their gradients, minima and references."""

from gdjax.objectives import (  # noqa: F401  (importing a family registers it)
    basins,
    bowls,
    fits,
    ripples,
    saddles,
    valleys,
    worst_cases,
)
from gdjax.objectives.base import GradientSide, Objective
from gdjax.objectives.registry import get, names, parameters, register

__all__ = ["GradientSide", "Objective", "get", "names", "parameters", "register"]
