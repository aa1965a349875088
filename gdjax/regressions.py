"""The answer of a regression: what the data say of the parameters, and how surely."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from gdjax._inputs import ObjectiveLike, as_objective
from gdjax._util import lazy
from gdjax._util.arguments import INSIDE, gate, number
from gdjax._util.display import Card, aligned, shown
from gdjax._util.errors import ArgumentError
from gdjax._util.types import PointLike
from gdjax.objectives import Objective
from gdjax.optimizers.least_squares import ALIKE, triangle

__all__ = ["Regression", "regression"]

__dir__: Callable[[], list[str]] = lazy.listing(globals())

NAMED = 0.1  # of the largest: components of what is not told apart that are named
USEFUL = 0.1  # the relative offset from which on standard errors are a tenth off
AT_BOUND = 1e-6  # max(1, |b|): closer to a bound a parameter does not move


@shown
class Regression(NamedTuple):
    """What a fit says of its parameters, by the linear model at a point.

    With J the Jacobian of the n residuals and s² = Σ rᵢ²/(n − p), the covariance is s² (JᵀJ)⁻¹;
    where the standard deviations of the observations are known, s² is 1. Parameters on a bound are
    held there, and those that the data cannot tell apart have infinite standard errors. With a
    robust loss all this is approximate, by residuals that count what they cost.

    Args:
        names: of the p parameters.
        point: where, ``(p,)``.
        standard_errors: ``(p,)``.
        intervals: of each parameter at the confidence level, ``(p, 2)``, by Student's t.
        covariance: ``(p, p)``.
        correlation: ``(p, p)``.
        confidence: the level.
        residual_sum: Σ rᵢ², the penalties included.
        residual_deviation: s.
        degrees_of_freedom: n − p, of the parameters that are free.
        r_squared: 1 − Σ rᵢ² / Σ (yᵢ − ȳ)², both weighted; None where all observations are alike.
        offset: how far the point is from the best fit: the length of the residuals in the plane of
            the model to that across it, each by its degrees of freedom.
        undetermined: groups of names that the data cannot tell apart; of one name, the residuals do
            not depend on it.
        on_bound: names of the parameters that are held on a bound.
    """

    names: tuple[str, ...]
    point: Float[np.ndarray, "p"]
    standard_errors: Float[np.ndarray, "p"]
    intervals: Float[np.ndarray, "p 2"]
    covariance: Float[np.ndarray, "p p"]
    correlation: Float[np.ndarray, "p p"]
    confidence: float
    residual_sum: float
    residual_deviation: float
    degrees_of_freedom: int
    r_squared: float | None
    offset: float
    undetermined: tuple[tuple[str, ...], ...]
    on_bound: tuple[str, ...]

    @property
    def at_best(self) -> bool:
        """Whether the point is so close to the best fit that standard errors mean something."""
        return self.offset <= USEFUL

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person must be told beside the numbers, a line each."""
        found = []
        if not self.at_best:
            found.append(
                f"this is not the best fit: by the linear model it is {self.offset:.2g} times the "
                f"scatter of the data away, so that standard errors say nothing; take more steps, "
                f"or optimizer=levenberg_marquardt"
            )
        for group in self.undetermined:
            alike = f"the data cannot tell {' and '.join(group)} apart"
            none = f"the data say nothing of {''.join(group)}"
            found.append(f"{alike if len(group) > 1 else none}; a penalty would decide")
        if self.on_bound:
            found.append(f"held on a bound, and without an error: {', '.join(self.on_bound)}")
        return tuple(found)

    def __str__(self) -> str:
        numbers = [aligned(self._rows), self._spread] if self.at_best else []
        return "\n".join([*numbers, *self.remarks])

    def _card(self) -> Card:
        facts = {"": self._spread} | {" " * i: line for i, line in enumerate(self.remarks, 1)}
        return Card(f"Regression of {len(self.names)} parameters", facts, self._rows)

    @property
    def _rows(self) -> list[tuple[str, ...]]:
        rows = [("parameter", "estimate", "standard error", f"{self.confidence:.0%} interval")]
        for name, value, error, (low, high) in zip(
            self.names, self.point, self.standard_errors, self.intervals, strict=True
        ):
            rows.append((name, f"{value:.8g}", f"{error:.4g}", f"{low:.6g} … {high:.6g}"))
        return rows

    @property
    def _spread(self) -> str:
        r_squared = "" if self.r_squared is None else f", R² = {self.r_squared:.6g}"
        return (
            f"residual standard deviation {self.residual_deviation:.6g} on "
            f"{self.degrees_of_freedom:,} degrees of freedom{r_squared}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and words, None for what is not finite; parameters by name."""
        each = zip(self.names, self.point, self.standard_errors, self.intervals, strict=True)
        return {
            "parameters": {
                name: {
                    "estimate": float(value), "standard_error": _plain(error),
                    "interval": [_plain(x) for x in sides],
                }
                for name, value, error, sides in each
            },
            "confidence": self.confidence,
            "covariance": [[_plain(x) for x in row] for row in self.covariance],
            "correlation": [[_plain(x) for x in row] for row in self.correlation],
            "residual_sum_of_squares": self.residual_sum,
            "residual_standard_deviation": _plain(self.residual_deviation),
            "degrees_of_freedom": self.degrees_of_freedom,
            "r_squared": self.r_squared,
            "relative_offset": _plain(self.offset),
            "undetermined": [list(group) for group in self.undetermined],
            "on_bound": list(self.on_bound),
            "remarks": list(self.remarks),
        }  # fmt: skip


@gate(confidence=number(INSIDE))
def regression(
    objective: ObjectiveLike, point: PointLike, confidence: float | int = 0.95
) -> Regression:
    """Standard errors, intervals and all else that the data of a fit say of its parameters.

    Args:
        objective: with ``residuals``, such as ``objectives.get("curve_fit", ...)`` makes.
        point: the best parameters, ``(p,)`` or by name.
        confidence: of the intervals, in (0, 1).

    Raises:
        ArgumentError: an objective without residuals, or with fewer of them than parameters.

    Example:
        >>> import gdjax
        >>> x, y = np.arange(5.0), np.array([1.1, 2.9, 5.2, 7.1, 8.8])
        >>> f = gdjax.Objective(residuals=lambda p: y - p[0] - p[1] * x, start=(0.0, 0.0))
        >>> best = gdjax.descend(f, "gauss_newton", steps=2, dtype="float64").points[-1]
        >>> regression(f, best).standard_errors.round(4).tolist()
        [0.1356, 0.0554]

    Reference:
        Bates & Watts 1988, Nonlinear regression analysis and its applications, p. 49–58;
        Bates & Watts 1981, A relative offset orthogonality convergence criterion, Technometrics
        23:179.
    """
    f = as_objective(objective, point)
    if f.residuals is None:
        raise ArgumentError(f"regression needs an objective with residuals, and {f.name} has none")
    at = np.array(f.check_point(point, "point"))
    residuals, slopes, height = _linearised(f, at)
    fit = f.fit
    held = _held(f, at)
    names, free = tuple(f.variables), np.flatnonzero(~held)
    freedom = len(residuals) - len(free)
    if freedom < 0:
        raise ArgumentError(
            f"regression needs at least as many residuals as parameters, got {len(residuals)} "
            f"for {len(free)}"
        )
    square = float(residuals @ residuals)
    spread = math.sqrt(square / freedom) if freedom else math.nan
    known = 1.0 if fit is not None and fit.absolute and fit.sigma is not None else spread
    inverse, groups, within = _inverse(slopes[:, free], height)
    covariance = np.zeros((len(at), len(at)))
    covariance[np.ix_(free, free)] = known**2 * inverse
    errors = np.sqrt(np.diag(covariance))
    errors[held] = np.nan
    for i in {i for group in groups for i in group}:
        errors[free[i]] = np.inf
    with np.errstate(all="ignore"):
        correlation = covariance / np.outer(errors, errors)
    reach = _quantile(confidence, freedom) * errors
    across = max(square - within, 0.0)
    return Regression(
        names=names,
        point=at,
        standard_errors=errors,
        intervals=np.stack([at - reach, at + reach], axis=1),
        covariance=covariance,
        correlation=correlation,
        confidence=float(confidence),
        residual_sum=square,
        residual_deviation=spread,
        degrees_of_freedom=freedom,
        r_squared=_r_squared(f, residuals),
        offset=_offset(within, across, len(free), freedom, f),
        undetermined=tuple(tuple(names[free[i]] for i in group) for group in groups),
        on_bound=tuple(names[i] for i in np.flatnonzero(held)),
    )


def band(
    objective: Objective, found: Regression, columns: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Half the widths of the bands around the fitted curve, ``(k,)`` each.

    The first holds the curve, and the second a new observation, at the level of confidence.

    Args:
        objective: made by ``objectives.get("curve_fit", ...)``.
        found: its regression.
        columns: where, ``(k,)`` by name.
    """
    fit = objective.fit
    assert fit is not None, "a band is of a fit"
    with jax.enable_x64(True):
        at, given = jnp.asarray(found.point), {k: jnp.asarray(v) for k, v in columns.items()}
        count = len(next(iter(given.values())))
        slopes = jax.jacfwd(lambda b: jnp.broadcast_to(fit.predict(b, given), (count,)))(at)
    slopes = np.asarray(slopes)
    variance = np.maximum(np.einsum("ki,ij,kj->k", slopes, found.covariance, slopes), 0)
    reach = _quantile(found.confidence, found.degrees_of_freedom)
    return reach * np.sqrt(variance), reach * np.sqrt(variance + found.residual_deviation**2)


def _linearised(objective: Objective, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The residuals ``(n,)``, and R and Qᵀr with their Jacobian J = QR, in float64."""

    def all_of(f: Objective, point: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        vector = f.residual_vector
        assert vector is not None
        return vector(point), *triangle(vector, point)

    with jax.enable_x64(True):
        found = jax.jit(all_of)(objective.cast(float), jnp.asarray(at))
    residuals, slopes, height = map(np.asarray, found)
    if not (np.isfinite(residuals).all() and np.isfinite(slopes).all()):
        raise ArgumentError(
            f"regression needs finite residuals and slopes, and {objective.name} has none at "
            f"{at.tolist()}"
        )
    return residuals, slopes, height


def _inverse(
    slopes: np.ndarray, height: np.ndarray
) -> tuple[np.ndarray, list[tuple[int, ...]], float]:
    """(JᵀJ)⁻¹ in what is determined, what is not, and the square of the residuals in J's plane."""
    norms = np.linalg.norm(slopes, axis=0)
    scaled = slopes / np.where(norms > 0, norms, 1)
    left, singular, ways = np.linalg.svd(scaled, full_matrices=False)
    told = singular > ALIKE * singular.max(initial=0)
    within = float(np.sum((left[:, told].T @ height) ** 2))
    halves = ways[told].T / singular[told] / np.where(norms > 0, norms, 1)[:, None]
    groups: list[tuple[int, ...]] = [(int(i),) for i in np.flatnonzero(norms == 0)]
    for way in ways[~told]:
        large = np.flatnonzero(np.abs(way) > NAMED * np.abs(way).max())
        group = tuple(int(i) for i in large if norms[i] > 0)
        if len(group) > 1:
            groups.append(group)
    return halves @ halves.T, groups, within


def _held(objective: Objective, at: np.ndarray) -> np.ndarray:
    """Which parameters are on a bound, ``(p,)``."""
    within = objective.coordinates
    if within is None:
        return np.zeros(len(at), bool)
    near = AT_BOUND * np.maximum(1, np.abs(at))
    return np.asarray((at - within.low <= near) | (within.high - at <= near))


def _r_squared(objective: Objective, residuals: np.ndarray) -> float | None:
    fit = objective.fit
    if fit is None:
        return None
    weights = np.ones_like(fit.observed) if fit.sigma is None else fit.sigma**-2.0
    mean = np.average(fit.observed, weights=weights)
    total = float(np.sum(weights * (fit.observed - mean) ** 2))
    left = residuals[: len(fit.observed)]
    return 1 - float(left @ left) / total if total > 0 else None


def _offset(within: float, across: float, free: int, freedom: int, objective: Objective) -> float:
    scale = np.finfo(float).eps * (
        1.0 if objective.fit is None else float(np.linalg.norm(objective.fit.observed))
    )
    if math.sqrt(within) <= 100 * scale or not free:  # no more than rounding of the data
        return 0.0
    if not freedom or across <= scale**2:
        return math.inf
    return math.sqrt(within / free) / math.sqrt(across / freedom)


def _quantile(confidence: float, freedom: int) -> float:
    """Student's t of two sides."""
    from scipy import stats  # takes long to import

    return float(stats.t.ppf((1 + confidence) / 2, freedom)) if freedom else math.nan


def _plain(value: float | int) -> float | None:
    return float(value) if math.isfinite(value) else None
