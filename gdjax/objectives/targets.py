"""What counts as success where a person says so: a value to come down to, or a metric to reach."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from gdjax._util.arguments import number
from gdjax._util.errors import ArgumentError, check_known
from gdjax._util.types import Function

ROUNDING = 2**-20  # of a metric, which may be in single precision


class Target(NamedTuple):
    """A target.

    Args:
        value: of the objective, met from above; or of a metric, met from below.
        metric: what the metric is called; empty for the objective.
    """

    value: float
    metric: str = ""

    @property
    def level(self) -> float:
        """The value that is to be met; of a metric less its rounding, as 38/40 is to meet 0.95.

        Example:
            >>> Target(0.05).level, Target(0.95, "accuracy").level
            (0.05, 0.9499990940093994)
        """
        return self.value - ROUNDING * abs(self.value) if self.metric else self.value

    def __str__(self) -> str:
        return f"{self.metric} ≥ {self.value:g}" if self.metric else f"f ≤ {self.value:g}"


def metric_name(metric: Function) -> str:
    """What a metric is called: its function's own name."""
    return getattr(metric, "__name__", "metric").strip("<>")


def as_target(given: Any, metric: Function | None) -> Target | None:
    """A target as it is given: a number for the value, or one by the name of the metric.

    Args:
        given: also None, for none, or what is one already.
        metric: of the objective, if it has one.

    Raises:
        ArgumentError: what is no finite number, several of them, or a metric that is not there.

    Example:
        >>> print(as_target(0.05, None))
        f ≤ 0.05
    """
    if given is None or isinstance(given, Target):
        return given
    if not isinstance(given, Mapping):
        return Target(float(number()("target", given)))
    if len(given) != 1:
        raise ArgumentError(f"target must be one number, or one by the metric's name, got {given}")
    ((name, value),) = given.items()
    if metric is None:
        raise ArgumentError(f"target of {name} needs a metric, as gdjax.problem(metric=…) has one")
    check_known("metric of the target", name, [metric_name(metric)])
    return Target(float(number()(f"target of {name}", value)), name)
