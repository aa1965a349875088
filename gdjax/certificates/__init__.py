"""Certificates: of derivatives against every other way to them, of optimizers as one method."""

from collections.abc import Callable

from gdjax._util import lazy
from gdjax.certificates.equivalence import certify_equivalence
from gdjax.certificates.equivalence_report import EquivalenceReport, Trial, table
from gdjax.certificates.gradient import assert_gradient, check_gradient, check_hessian
from gdjax.certificates.gradient_report import GradientReport
from gdjax.certificates.rule import assert_rule, check_rule
from gdjax.certificates.rule_report import RuleReport

__all__ = ["EquivalenceReport", "GradientReport", "RuleReport", "Trial", "assert_gradient",
           "assert_rule", "certify_equivalence", "check_gradient", "check_hessian", "check_rule",
           "table"]  # fmt: skip

__dir__: Callable[[], list[str]] = lazy.listing(globals())
