"""Several optimizers from one start, with the rates of theory: the public ``compare``."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import optax

from gdjax import optimizers, theory
from gdjax._descent.outcomes import Outcome
from gdjax._descent.trajectory import Trajectory, descend
from gdjax._inputs import DType, ObjectiveLike, as_objective, as_optimizers
from gdjax._util.display import Card, aligned, shown
from gdjax._util.errors import ArgumentError
from gdjax.objectives import GradientSide, Objective


class Rates(NamedTuple):
    """The linear rate of a descent near its minimum; None where it means nothing.

    Args:
        predicted: by ``theory.local_rate``, for a method whose rate is known.
        measured: by ``theory.measured_rate``, from the distances to the minimum.
    """

    predicted: float | None
    measured: float | None


@shown
class Comparison(NamedTuple):
    """What ``compare`` found.

    Args:
        objective: what was descended.
        paths: trajectories by label.
        rates: by label.
    """

    objective: Objective
    paths: dict[str, Trajectory]
    rates: dict[str, Rates]

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [
            ("optimizer", "outcome", "final value", "rate predicted", "measured")
        ]
        for label, path in self.paths.items():
            rates, value = map(rate_text, self.rates[label]), f"{path.final_value:.6g}"
            rows.append((label, str(Outcome(int(path.outcome))), value, *rates))
        return rows

    def __str__(self) -> str:
        remarks = (f"{k}: {path.remark}" for k, path in self.paths.items() if path.remark)
        return "\n".join([aligned(self._rows()), *remarks])

    def _card(self) -> Card:
        first = next(iter(self.paths.values()))
        return Card(
            f"Comparison on {self.objective.name}: {len(self.paths)} optimizers",
            {"start": first._flat[0], "steps": f"{len(first.values) - 1:,}"},
            self._rows(),
        )


def compare(
    objective: ObjectiveLike,
    optimizers: Any,
    start: Any = None,
    steps: Any = 100,
    *,
    gradient: GradientSide = "autodiff",
    dtype: DType | None = None,
) -> Comparison:
    """Descend with each optimizer from one start.

    Args:
        objective: what to descend, as ``gdjax.descend`` takes it.
        optimizers: optimizers by label, each as ``gdjax.descend`` takes it; or a list of them.
        start: the first point, ``(d,)``; by default the objective's own.
        steps: number of steps.
        gradient: which gradient to follow, ``autodiff`` or ``hand``.
        dtype: ``float32`` or ``float64``; by default as JAX is configured.

    Returns:
        Paths and rates by label; ``str`` makes a table of them, in which a schedule-free method
        or an average has the value at its evaluation point. ``gdjax.plotting.comparison`` and
        ``convergence`` draw the paths.

    Raises:
        ArgumentError: no optimizers, or as ``gdjax.descend`` does.

    Example:
        >>> import gdjax
        >>> f = gdjax.objectives.get("booth")
        >>> found = compare(f, {"gd": gdjax.gradient_descent(0.05)}, steps=99, dtype="float64")
        >>> found.rates["gd"].predicted.__round__(4), found.rates["gd"].measured.__round__(4)
        (0.9, 0.9)
    """
    chosen, f = as_optimizers(optimizers), as_objective(objective, start)
    paths = {
        label: descend(f, optimizer, start, steps, gradient=gradient, dtype=dtype)
        for label, optimizer in chosen.items()
    }
    found = {label: rates(f, chosen[label], path) for label, path in paths.items()}
    return Comparison(f, paths, found)


def rates(objective: Objective, optimizer: optimizers.Optimizer, path: Trajectory) -> Rates:
    """The rate of a descent that ended at a known minimum: predicted, and measured."""
    if path.minimum < 0:
        return Rates(None, None)
    minimum = objective.known_minima[int(path.minimum)]
    in_points = objective.coordinates is None  # else the Hessian is that of no step
    errors = np.linalg.norm(np.asarray(objective.flattened(path.points), float) - minimum, axis=1)
    return Rates(
        _if_any(lambda: theory.local_rate(objective, minimum, **method_of(optimizer)))
        if in_points
        else None,
        _if_any(lambda: theory.measured_rate(errors)),
    )


def rate_text(rate: float | None) -> str:
    """A rate as a table shows it."""
    return "n/a" if rate is None else f"{rate:.5f}"


def _if_any(rate: Callable[[], Any]) -> float | None:
    try:
        return float(rate())
    except ArgumentError:  # what theory does not cover, or a path that shows no line
        return None


def method_of(optimizer: optimizers.Optimizer) -> dict[str, Any]:
    """What theory calls an optimizer: its method and numbers, at a constant learning rate.

    Raises:
        ArgumentError: one that theory knows no rate of.
    """
    given = dict(optimizer.hyperparameters)
    for method in theory.METHODS:
        if optimizer.factory is optimizers.factory(method):
            return {"method": method} | _constant(given)
    if optimizer.factory is optax.sgd and given.pop("accumulator_dtype") is None:
        nesterov, momentum = given.pop("nesterov"), given.pop("momentum") or 0.0
        named = ("nesterov" if nesterov else "heavy_ball") if momentum else "gradient_descent"
        return {"method": named} | _constant(given | {"momentum": momentum})
    raise ArgumentError(f"no rate is known for {optimizer}")


def _constant(numbers: dict[str, Any]) -> dict[str, Any]:
    for name, number in numbers.items():
        if not isinstance(number, float | int):
            raise ArgumentError(f"no rate is known where {name} is {number!r}")
    return numbers
