"""Optimizers: gdjax's own as optax transformations, and every one of optax by name."""

from gdjax.optimizers import schedules
from gdjax.optimizers.base import REQUIRED, LearningRate, Optimizer, Scalar, Schedule, signature
from gdjax.optimizers.lookup import (
    TRANSFORMS,
    chain,
    factory,
    get,
    make,
    names,
    parameters,
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
from gdjax.optimizers.noise import gradient_noise
from gdjax.optimizers.recipes import cannot_trace, extra_arguments, join, replace, split

__all__ = [
    "REQUIRED",
    "TRANSFORMS",
    "LearningRate",
    "Optimizer",
    "Scalar",
    "Schedule",
    "averaged_momentum",
    "cannot_trace",
    "chain",
    "extra_arguments",
    "factory",
    "get",
    "gradient_descent",
    "gradient_noise",
    "heavy_ball",
    "join",
    "make",
    "names",
    "nesterov",
    "nesterov_textbook",
    "parameters",
    "replace",
    "scale_by_heavy_ball",
    "scale_by_nesterov",
    "schedules",
    "signature",
    "split",
    "transform",
    "why_not",
]
