"""Certificates: a hand-derived derivative against every other way to it."""

from gdjax import _lazy
from gdjax.gradients.certificate import assert_gradient, check_gradient, check_hessian
from gdjax.gradients.report import GradientReport

__all__ = ["GradientReport", "assert_gradient", "check_gradient", "check_hessian"]

__dir__ = _lazy.listing(globals())
