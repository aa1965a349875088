"""Pictures: data in, matplotlib ``Figure`` out; nothing here runs a descent or opens a window."""

from collections.abc import Callable

from gdjax._util import lazy
from gdjax.plotting.animation import Animation, animate
from gdjax.plotting.basin_map import basin_map
from gdjax.plotting.certificate import certificate
from gdjax.plotting.curves import convergence, curve
from gdjax.plotting.eigenvalues import hessian_spectrum
from gdjax.plotting.fields import gradient_field, surface
from gdjax.plotting.fitted import fit
from gdjax.plotting.multiples import paths_grid
from gdjax.plotting.overview import overview
from gdjax.plotting.paths import comparison, trajectory
from gdjax.plotting.profiles import (
    RANKING_PICTURES,
    convergence_bands,
    data_profiles,
    performance_profiles,
    rank_table,
    runtime_ecdf,
)
from gdjax.plotting.rates import steps_ecdf, success_rate
from gdjax.plotting.slicing import landscape_slice
from gdjax.plotting.stability import stability_map
from gdjax.plotting.style import check_output, save
from gdjax.plotting.sweep_pictures import PICTURES, sweep_pictures
from gdjax.plotting.training import training

__all__ = [
    "PICTURES",
    "RANKING_PICTURES",
    "Animation",
    "animate",
    "basin_map",
    "certificate",
    "check_output",
    "comparison",
    "convergence",
    "convergence_bands",
    "curve",
    "data_profiles",
    "fit",
    "gradient_field",
    "hessian_spectrum",
    "landscape_slice",
    "overview",
    "paths_grid",
    "performance_profiles",
    "rank_table",
    "runtime_ecdf",
    "save",
    "stability_map",
    "steps_ecdf",
    "success_rate",
    "surface",
    "sweep_pictures",
    "training",
    "trajectory",
]

__dir__: Callable[[], list[str]] = lazy.listing(globals())
