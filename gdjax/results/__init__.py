"""Labelled results of a sweep: in memory, on disk, and as a table."""

from collections.abc import Callable

from gdjax._util import lazy
from gdjax.results.folder import open_results
from gdjax.results.integrity import Damage, Verification, verify
from gdjax.results.layout import (
    Coordinate,
    Layout,
    Variable,
    dataset,
    standard_variables,
    sweep_layout,
)
from gdjax.results.parquet import to_parquet
from gdjax.results.provenance import provenance
from gdjax.results.store import Store

__all__ = [
    "Coordinate",
    "Damage",
    "Layout",
    "Store",
    "Variable",
    "Verification",
    "dataset",
    "open_results",
    "provenance",
    "standard_variables",
    "sweep_layout",
    "to_parquet",
    "verify",
]

__dir__: Callable[[], list[str]] = lazy.listing(globals())
