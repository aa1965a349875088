"""Certificates: of derivatives against every other way to them, of optimizers as one method."""

from collections.abc import Callable

from gdjax._util import lazy
from gdjax.certificates.equivalence import certify_equivalence
from gdjax.certificates.equivalence_report import EquivalenceReport, Trial, table
from gdjax.certificates.gradient import assert_gradient, check_gradient, check_hessian
from gdjax.certificates.gradient_report import GradientReport

__all__ = ["EquivalenceReport", "GradientReport", "Trial", "assert_gradient", "certify_equivalence",
           "check_gradient", "check_hessian", "table"]  # fmt: skip

__dir__: Callable[[], list[str]] = lazy.listing(globals())
