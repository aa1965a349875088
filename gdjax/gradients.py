"""Certificates: a hand-derived gradient against the one that autodiff derives."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdjax.descent import as_precision
from gdjax.errors import ArgumentError
from gdjax.objectives import Objective

# In float64, correct gradients of the catalogue differ from autodiff by less than 1e-12 of the
# norm; a wrong one by far more than 1e-9 somewhere in the domain.
TOLERANCE = 1e-9


class GradientReport(NamedTuple):
    """How far a hand-derived gradient is from autodiff's, at the point where it is farthest.

    Args:
        name: of the objective.
        points: how many points were compared.
        ok: whether the error is within the tolerance everywhere.
        worst_point: where the error is largest.
        component: which component is the worst there.
        hand, autodiff: that component by either side.
        error: ‖hand − autodiff‖ / max(‖autodiff‖, ‖hand‖, tiny) at the worst point.
        tolerance: the largest error that counts as rounding.
    """

    name: str
    points: int
    ok: bool
    worst_point: tuple[float, ...]
    component: int
    hand: float
    autodiff: float
    error: float
    tolerance: float

    def __str__(self) -> str:
        point = ", ".join(f"{x:.6g}" for x in self.worst_point)
        return (
            f"{self.name}: {'ok' if self.ok else 'WRONG'} at {self.points} points; "
            f"worst at ({point}), component {self.component}: "
            f"hand {self.hand:.9g}, autodiff {self.autodiff:.9g}; "
            f"error {self.error:.1e}, tolerance {self.tolerance:.0e}"
        )


def check_gradient(objective: Objective, points: int = 1000, seed: int = 0) -> GradientReport:
    """Hold an objective's hand-derived gradient against ``jax.grad``, in float64.

    Args:
        objective: with a hand-derived gradient.
        points: how many points to draw, uniformly in the domain.
        seed: of the draw.

    Raises:
        ArgumentError: the objective has no hand-derived gradient, or no points were asked for.

    Example:
        >>> import gdjax
        >>> check_gradient(gdjax.objectives.get("qfsp")).ok
        True
    """
    if points < 1:
        raise ArgumentError(f"points must be at least 1, got {points}")
    low, high = np.asarray(objective.domain).T
    drawn = np.random.default_rng(seed).uniform(low, high, (points, objective.dim))
    with as_precision("float64"):
        at = jnp.asarray(drawn)
        sides = (objective.value_and_gradient(side) for side in ("hand", "autodiff"))
        hand, auto = (np.asarray(jax.vmap(lambda p, g=g: g(p)[1])(at)) for g in sides)
    scale = np.maximum(np.linalg.norm(auto, axis=1), np.linalg.norm(hand, axis=1))
    with np.errstate(invalid="ignore"):  # infinity on both sides is no agreement
        error = np.linalg.norm(hand - auto, axis=1) / np.maximum(scale, np.finfo(float).tiny)
    error = np.where(np.isfinite(error), error, np.inf)
    worst = int(error.argmax())
    component = int(np.nan_to_num(np.abs(hand - auto)[worst], nan=np.inf).argmax())
    return GradientReport(
        name=objective.name,
        points=points,
        ok=bool(error[worst] <= TOLERANCE),
        worst_point=tuple(drawn[worst].tolist()),
        component=component,
        hand=float(hand[worst, component]),
        autodiff=float(auto[worst, component]),
        error=float(error[worst]),
        tolerance=TOLERANCE,
    )
