"""Objectives: functions worth descending, with their gradients, minima and references."""

from collections.abc import Callable

from gdjax._util import lazy
from gdjax.objectives import (  # noqa: F401  (importing a family registers it)
    basins,
    bowls,
    cliffs,
    curve_fit,
    fits,
    formula,
    networks,
    ripples,
    saddles,
    valleys,
    waves,
    worst_cases,
)
from gdjax.objectives.coordinates import Coordinates
from gdjax.objectives.loading import as_objective
from gdjax.objectives.objective import Fit, GradientSide, Objective
from gdjax.objectives.registry import (
    REQUIRED,
    family,
    get,
    makers,
    names,
    network_names,
    parameters,
    register,
    working,
)
from gdjax.objectives.table import Entry, Table, describe, table
from gdjax.objectives.validation import evaluate, validate

__all__ = [
    "REQUIRED",
    "Coordinates",
    "Entry",
    "Fit",
    "GradientSide",
    "Objective",
    "Table",
    "as_objective",
    "describe",
    "evaluate",
    "family",
    "get",
    "makers",
    "names",
    "network_names",
    "parameters",
    "register",
    "table",
    "validate",
    "working",
]

__dir__: Callable[[], list[str]] = lazy.listing(globals())
