"""Whether two optimizers are one method, certified step by step."""

from gdjax import _lazy
from gdjax.equivalence.certificate import certify_equivalence
from gdjax.equivalence.report import EquivalenceReport, Trial, table

__all__ = ["EquivalenceReport", "Trial", "certify_equivalence", "table"]

__dir__ = _lazy.listing(globals())
