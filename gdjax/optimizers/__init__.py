"""Optimizers: gdjax's own as optax transformations, and every one of optax by name."""

from collections.abc import Callable

from gdjax._util import lazy
from gdjax.optimizers import schedules
from gdjax.optimizers.averaging import ema_of_points, mean_of_points
from gdjax.optimizers.evaluation import eval_point, has_eval_point
from gdjax.optimizers.least_squares import gauss_newton, levenberg_marquardt
from gdjax.optimizers.lookup import (
    TRANSFORMS,
    as_factory,
    as_optimizer,
    chain,
    factory,
    get,
    make,
    names,
    parameters,
    resolved,
    transform,
    why_not,
)
from gdjax.optimizers.momentum import (
    averaged_momentum,
    gradient_descent,
    heavy_ball,
    nesterov,
    nesterov_textbook,
    scale_by_heavy_ball,
    scale_by_nesterov,
)
from gdjax.optimizers.noise import gradient_cycle, gradient_noise
from gdjax.optimizers.optimizer import (
    LearningRate,
    Optimizer,
    Scalar,
    Schedule,
    extra_arguments,
    has_line_search,
)
from gdjax.optimizers.tree import REQUIRED, cannot_trace, signature

__all__ = [
    "REQUIRED",
    "TRANSFORMS",
    "LearningRate",
    "Optimizer",
    "Scalar",
    "Schedule",
    "as_factory",
    "as_optimizer",
    "averaged_momentum",
    "cannot_trace",
    "chain",
    "ema_of_points",
    "eval_point",
    "extra_arguments",
    "factory",
    "gauss_newton",
    "get",
    "gradient_cycle",
    "gradient_descent",
    "gradient_noise",
    "has_eval_point",
    "has_line_search",
    "heavy_ball",
    "levenberg_marquardt",
    "make",
    "mean_of_points",
    "names",
    "nesterov",
    "nesterov_textbook",
    "parameters",
    "resolved",
    "scale_by_heavy_ball",
    "scale_by_nesterov",
    "schedules",
    "signature",
    "transform",
    "why_not",
]

__dir__: Callable[[], list[str]] = lazy.listing(globals())
