"""Stationary points: where the slope of an objective vanishes, and what is there."""

from collections import Counter
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from gdjax._inputs import ObjectiveLike, as_count, as_points, is_count, objective_at
from gdjax._util.display import Card, brief, shown
from gdjax.objectives import Objective, validate

STEPS = 100  # Newton doubles the digits; at a degenerate point each step gains a factor 3/2 only
STEP_TOLERANCE = 1e-10  # of the domain's width: a last Newton step below this has arrived
SAME = 1e-6  # of the domain's width: two arrivals closer than this are one point
SAME_DEGENERATE = 1e-3  # the same where the curvature vanishes and arrivals scatter
FLAT = 1e-8  # of the largest curvature: below this a direction counts as without curvature
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


class _Look(NamedTuple):
    """What is seen at each of n points, with the domain's width as the unit of length."""

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
    f, seed = objective_at(objective, starts), as_count("seed", seed, 0)
    if is_count(starts):
        low, high = f.needs_domain("a search for stationary points").T
        number = as_count("starts", starts, 1)
        first = np.random.default_rng(seed).uniform(low, high, (number, f.dim))
    else:
        first = as_points(f, starts, "starts")
        unlimited = np.full((f.dim, 2), (-np.inf, np.inf))
        low, high = (unlimited if f.domain is None else np.asarray(f.domain)).T
    objective = f.cast(float)
    with jax.enable_x64(True), np.errstate(all="ignore"):
        validate(f, numbers=False)
        begin = _look(objective, first)
        last = _search(objective, begin)
        left = np.linalg.norm(_newton_step(last, 0.0), axis=1)
        arrived = np.isfinite(last.value) & (left <= STEP_TOLERANCE)
        slack = SAME * objective.width
        arrived &= np.all((last.point >= low - slack) & (last.point <= high + slack), axis=1)
        arrived &= ~_on_a_kink(objective, last.point, first)
    typical = np.median(np.abs(_finite(begin.curvature)).max(axis=(1, 2)))
    points, values, _, curvatures = (field[arrived] for field in last)
    kinds = _classify(curvatures, typical)
    chosen = _merge(points / objective.width, kinds == "degenerate", left[arrived])
    chosen = chosen[np.argsort(values[chosen], kind="stable")]
    eigenvalues = np.linalg.eigvalsh(
        curvatures[chosen] / np.outer(objective.width, objective.width)
    )
    return StationaryPoints(points[chosen], values[chosen], kinds[chosen], eigenvalues)


def _look(objective: Objective, points: np.ndarray) -> _Look:
    """What is seen at points ``(n, d)``."""
    value, slope, curvature = map(np.asarray, _seen(objective, points))
    width = objective.width
    return _Look(points, value, slope * width, curvature * np.outer(width, width))


@jax.jit
def _seen(objective: Objective, points: Any) -> tuple[Array, Array, Array]:
    def one(point: Array) -> tuple[Array, Array, Array]:
        slope = jax.grad(objective.value)
        return objective.value(point), slope(point), jax.jacfwd(slope)(point)

    return jax.vmap(one)(points)


def _search(objective: Objective, here: _Look) -> _Look:
    """Damped Newton steps from every point at once, until all have arrived or are stuck."""
    damping = np.full(len(here.value), 1e-2)
    for _ in range(STEPS):
        step = _newton_step(here, damping)
        there = _look(objective, here.point + step * objective.width)
        better = np.isfinite(there.value) & (there.steepness < here.steepness)
        here = _Look(*(np.where(_along(better, a), a, b) for a, b in zip(there, here, strict=True)))
        damping = np.where(better, damping / 10, damping * 4)
        if not np.any(better | (damping < STUCK)):
            break
    return here


def _newton_step(here: _Look, damping: np.ndarray | float) -> np.ndarray:
    """−(H² + μI)⁻¹ H g for every point, with μ in units of the largest eigenvalue squared."""
    eigenvalues, vectors = np.linalg.eigh(_finite(here.curvature))
    largest = np.abs(eigenvalues).max(axis=1, keepdims=True)
    along = np.einsum("nij,ni->nj", vectors, here.slope)
    damping = np.broadcast_to(damping, len(largest))[:, None] * largest**2
    shrunk = np.where(along == 0, 0.0, along * eigenvalues / (eigenvalues**2 + damping))
    return -np.einsum("nij,nj->ni", vectors, shrunk)


def _classify(curvature: np.ndarray, typical: float) -> np.ndarray:
    """What each Hessian says; too flat to say is what is flat beside the typical curvature."""
    eigenvalues = np.linalg.eigvalsh(curvature)
    size = np.abs(eigenvalues)
    flat = size.min(axis=1) <= FLAT * size.max(axis=1)
    flat |= size.max(axis=1) <= FLAT * typical
    up, down = np.all(eigenvalues > 0, axis=1), np.all(eigenvalues < 0, axis=1)
    return np.select([flat, up, down], ["degenerate", "minimum", "maximum"], "saddle")


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
