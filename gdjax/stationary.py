"""Stationary points: where the slope of an objective vanishes, and what is there."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from gdjax import curvature
from gdjax._inputs import ObjectiveLike, as_count, as_points, is_count, objective_at
from gdjax._util import lazy
from gdjax._util.arguments import as_seed
from gdjax._util.display import Card, brief, shown
from gdjax._util.memory import check_fits
from gdjax.objectives import Objective, validate

__all__ = ["Arrivals", "StationaryPoints", "newton", "stationary_points"]

__dir__: Callable[[], list[str]] = lazy.listing(globals())

STEPS = 100  # Newton doubles the digits; at a degenerate point each step gains a factor 3/2 only
STEP_TOLERANCE = 1e-10  # of the domain's width: a last Newton step below this has arrived
SAME = 1e-6  # of the domain's width: two arrivals closer than this are one point
SAME_DEGENERATE = 1e-3  # the same where the curvature vanishes and arrivals scatter
STUCK = 1e8  # the damping beyond which a point is given up
ON_A_KINK = 1e-9  # of the typical distance from one


@shown
class StationaryPoints(NamedTuple):
    """Stationary points of an objective, the lowest first.

    Args:
        points: where they are, ``(k, d)``.
        values: the objective there, ``(k,)``.
        kinds: ``minimum``, ``saddle``, ``maximum``, or ``degenerate`` where the Hessian is singular
            and does not decide, ``(k,)``.
        eigenvalues: of the Hessian, ascending, ``(k, d)``.
    """

    points: np.ndarray
    values: np.ndarray
    kinds: np.ndarray
    eigenvalues: np.ndarray

    def __str__(self) -> str:
        lines = [f"{'kind':10}  {'value':>14}  point"]
        for point, value, kind, _ in zip(*self, strict=True):
            shown = (f"{x if abs(x) > 1e-15 else 0:.8g}" for x in point)
            lines.append(f"{kind:10}  {value:14.8g}  ({', '.join(shown)})")
        return "\n".join(lines)

    def _card(self) -> Card:
        rows = [("kind", "value", "point", "eigenvalues")]
        for point, value, kind, curved in zip(*self, strict=True):
            place = np.where(np.abs(point) > 1e-15, point, 0)
            rows.append((str(kind), brief(value + 0), brief(place), brief(curved)))
        found = [f"{n} × {kind}" for kind, n in Counter(self.kinds.tolist()).items()]
        return Card(f"StationaryPoints: {', '.join(found) or 'none found'}", {}, rows)


class Arrivals(NamedTuple):
    """Where damped Newton steps on the slope came to from each of n points.

    Args:
        point: the last one, ``(n, d)``.
        value: of the objective there, ``(n,)``.
        curvature: the Hessian there, with widths as the units of length, ``(n, d, d)``.
        first: the same at the point where they began.
        left: the length of the next Newton step, in widths, ``(n,)``.
    """

    point: np.ndarray
    value: np.ndarray
    curvature: np.ndarray
    first: np.ndarray
    left: np.ndarray

    @property
    def arrived(self) -> np.ndarray:
        """Whether the next step is as good as none, ``(n,)``."""
        return np.isfinite(self.value) & (self.left <= STEP_TOLERANCE)

    def kinds(self, typical: np.ndarray | float) -> np.ndarray:
        """What the Hessian says there; see ``curvature.kinds``."""
        eigenvalues = np.linalg.eigvalsh(_finite(self.curvature))
        return curvature.kinds(eigenvalues[:, 0], eigenvalues[:, -1], typical)


class _Look(NamedTuple):
    """What is seen at each of n points, with widths as the units of length."""

    point: np.ndarray
    value: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray

    @property
    def steepness(self) -> np.ndarray:
        return np.linalg.norm(self.slope, axis=1)


def stationary_points(
    objective: ObjectiveLike, starts: Any = 2000, seed: int = 0
) -> StationaryPoints:
    r"""Find the minima, saddles and maxima inside an objective's domain, in float64.

    From many starts, damped Newton steps on the slope,
    :math:`x \leftarrow x - V\,\mathrm{diag}(\lambda_i / (\lambda_i^2 + \mu))\,V^T \nabla f`
    with the Hessian's eigenvalues λ and eigenvectors V, taken where they make ‖∇f‖ smaller
    (Levenberg–Marquardt: the damping μ falls after a good step and grows after a bad one). They
    go to whatever is near, up or down. What has arrived is merged and told apart by the Hessian.

    A search from random starts proves the points that it finds, never that there are no more.
    Points on a kink are left out, minima on the domain's boundary with a slope are not stationary,
    and a plateau or a whole line of minima gives as many ``degenerate`` points as starts arrived.

    Args:
        objective: what to search, also a name or a function; twice differentiable off its kinks.
        starts: how many to draw, uniformly in the domain, or the starts themselves, ``(n, d)``;
            a function without a domain needs these.
        seed: of the draw.

    Raises:
        ArgumentError: no starts, or starts of another dimension.

    Example:
        >>> import gdjax
        >>> print(stationary_points(gdjax.objectives.get("mccormick")))
        kind                 value  point
        minimum          -1.913223  (-0.54719755, -1.5471976)
        minimum          1.2283697  (2.5943951, 1.5943951)
        saddle            1.913223  (1.5471976, 0.54719755)
    """
    f, seed = objective_at(objective, starts), as_seed(seed)
    if is_count(starts):
        low, high = f.needs_domain("a search for stationary points").T
        number = as_count("starts", starts, 1)
        need = 8 * number * (4 * f.dim + 3 * f.dim**2)  # points, and Hessians with their vectors
        check_fits(need, f"starts={number:,} in {f.dim} dimensions", "take fewer starts")
        first = np.random.default_rng(seed).uniform(low, high, (number, f.dim))
    else:
        first = as_points(f, starts, "starts")
        unlimited = np.full((f.dim, 2), (-np.inf, np.inf))
        low, high = (unlimited if f.domain is None else np.asarray(f.domain)).T
    objective = f.cast(float)
    with jax.enable_x64(True):
        validate(f, numbers=False)
        last = newton(objective, first, objective.width)
        on_a_kink = _on_a_kink(objective, last.point, first)
    slack = SAME * objective.width
    inside = np.all((last.point >= low - slack) & (last.point <= high + slack), axis=1)
    arrived = last.arrived & inside & ~on_a_kink
    typical = np.median(np.abs(_finite(last.first)).max(axis=(1, 2)))
    points, values, curvatures, _, left = (field[arrived] for field in last)
    kinds = last.kinds(typical)[arrived]
    chosen = _merge(points / objective.width, kinds == "degenerate", left)
    chosen = chosen[np.argsort(values[chosen], kind="stable")]
    eigenvalues = np.linalg.eigvalsh(
        curvatures[chosen] / np.outer(objective.width, objective.width)
    )
    return StationaryPoints(points[chosen], values[chosen], kinds[chosen], eigenvalues)


def newton(
    objective: Objective,
    points: np.ndarray,
    width: np.ndarray,
    damping: float = 1e-2,
    enough: float = 0.0,
) -> Arrivals:
    """Follow damped Newton steps from many points at once; see ``stationary_points``.

    Call it where floats are of 64 bits.

    Args:
        objective: with its data in float64.
        points: where to begin, ``(n, d)``.
        width: the units of length, ``(d,)``, or ``(n, d)`` with others for each point.
        damping: the first μ, in units of the largest eigenvalue squared.
        enough: the length of a next step, in widths, that ends the search; 0 takes all there are.
    """

    def look(points: np.ndarray) -> _Look:
        value, slope, hessian = map(np.asarray, curvature.second_order(objective, points))
        return _Look(points, value, slope * width, hessian * units)

    width = np.asarray(width)
    units = width[..., :, None] * width[..., None, :]
    with np.errstate(all="ignore"):
        first = here = look(points)
        mu = np.full(len(points), damping)
        for _ in range(STEPS):
            there = look(here.point + _newton_step(here, mu) * width)
            better = np.isfinite(there.value) & (there.steepness < here.steepness)
            here = _Look(
                *(np.where(_along(better, a), a, b) for a, b in zip(there, here, strict=True))
            )
            mu = np.where(better, mu / 10, mu * 4)
            if not np.any((better | (mu < STUCK)) & ~(_left(here) < enough)):
                break
        return Arrivals(here.point, here.value, here.curvature, first.curvature, _left(here))


def _left(here: _Look) -> np.ndarray:
    """The length of the Newton step that would follow."""
    return np.linalg.norm(_newton_step(here, 0.0), axis=1)


def _newton_step(here: _Look, damping: np.ndarray | float) -> np.ndarray:
    """−(H² + μI)⁻¹ H g for every point, with μ in units of the largest eigenvalue squared."""
    eigenvalues, vectors = np.linalg.eigh(_finite(here.curvature))
    largest = np.abs(eigenvalues).max(axis=1, keepdims=True)
    along = np.einsum("nij,ni->nj", vectors, here.slope)
    damping = np.broadcast_to(damping, len(largest))[:, None] * largest**2
    shrunk = np.where(along == 0, 0.0, along * eigenvalues / (eigenvalues**2 + damping))
    return -np.einsum("nij,nj->ni", vectors, shrunk)


def _finite(curvature: np.ndarray) -> np.ndarray:
    return np.nan_to_num(curvature, posinf=0.0, neginf=0.0)


def _on_a_kink(objective: Objective, points: np.ndarray, typical: np.ndarray) -> np.ndarray:
    """Which points lie on a kink, by the distances that ``typical`` points have from one."""
    if objective.kink is None:
        return np.zeros(len(points), dtype=bool)
    distance = jax.jit(jax.vmap(objective.kink))
    near = ON_A_KINK * np.median(np.abs(distance(typical)), axis=0)
    return np.any(np.abs(distance(points)) <= near, axis=1)


def _merge(points: np.ndarray, degenerate: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Indices of the points to keep: of those that are one point, the one with least left to go."""
    kept: list[int] = []
    for i in np.lexsort((left, degenerate)):
        same = SAME_DEGENERATE if degenerate[i] else SAME
        if not kept or np.abs(points[kept] - points[i]).max(axis=1).min() > same:
            kept.append(int(i))
    return np.array(kept, dtype=int)


def _along(mask: np.ndarray, field: np.ndarray) -> np.ndarray:
    return mask.reshape(-1, *[1] * (field.ndim - 1))
