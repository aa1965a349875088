"""Objectives: functions worth descending, with their gradients, minima and references."""

from gdjax.objectives import (  # noqa: F401  (importing a family registers it)
    basins,
    bowls,
    cliffs,
    fits,
    ripples,
    saddles,
    valleys,
    waves,
    worst_cases,
)
from gdjax.objectives.atlas import StationaryPoints, stationary_points
from gdjax.objectives.base import GradientSide, Objective
from gdjax.objectives.listing import Entry, Table, describe, table
from gdjax.objectives.registry import family, get, names, parameters, register

__all__ = [
    "Entry",
    "GradientSide",
    "Objective",
    "StationaryPoints",
    "Table",
    "describe",
    "family",
    "get",
    "names",
    "parameters",
    "register",
    "stationary_points",
    "table",
]
