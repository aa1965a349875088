"""What a descent came to rest at, by the Hessian at its last point; in float64, after the descent.

at rest ─┬─ a known minimum close by ─────────────────────────→ CONVERGED
         └─ else Newton steps to the stationary point nearby ─┬→ CONVERGED, SADDLE, MAXIMUM
                                                              ├→ DEGENERATE: a singular Hessian
                                                              ├→ PLATEAU: level all around
                                                              └→ STALLED: none is within reach
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gdjax import curvature, stationary
from gdjax._compiler.interpreter import widest
from gdjax._descent import unscaled
from gdjax._descent.outcomes import Outcome, StoppingRule
from gdjax.objectives import Objective

FEW = 32  # dimensions up to which the whole Hessian is looked at
GRID = 2.0**-17  # widths: points closer than that are one, so that a million cells share few looks
BATCH = 2**14  # numbers in the Hessians that are looked at together
WIDE = 2**13  # bytes of a result within an objective from which on points are looked at one by one
AT_ONCE = 16  # points that are looked at together at least
REACH = 30  # radii within which a singular point is what a descent was creeping to
LEVEL = 0.5  # of its length: by how much a gradient may change in a level neighbourhood
RITZ = 64  # products with the Hessian that a point in many dimensions may cost

KINDS = {
    "minimum": Outcome.CONVERGED,
    "saddle": Outcome.SADDLE,
    "maximum": Outcome.MAXIMUM,
    "degenerate": Outcome.DEGENERATE,
}


UNSURE = (Outcome.PLATEAU, Outcome.DEGENERATE, Outcome.STALLED)


def settle(
    objective: Objective,
    stopping: StoppingRule,
    outcome: np.ndarray,
    minimum: np.ndarray,
    point: np.ndarray,
    starts: Callable[[np.ndarray], np.ndarray],
    classify: bool = True,
) -> None:
    """Tell those apart that came to rest: their outcomes and minima change in place.

    A cell is looked at by itself: what becomes of it does not depend on its neighbours.

    Args:
        objective: what was descended.
        stopping: the rule, of which the radius counts.
        outcome: codes, ``(n,)``; only ``STALLED`` is looked at, and of fits ``STUCK``.
        minimum: the known minimum nearby, or −1, ``(n,)``.
        point: where they came to rest, ``(n, d)``.
        starts: numbers of cells → where they began, ``(n, d)``.
        classify: whether to ask the Hessian; else what is near a known minimum is at it.
    """
    if classify and _is_fit(objective):
        # A line search that finds no lower point may stand at the minimum, as far as rounding lets.
        stuck = np.flatnonzero(outcome == Outcome.STUCK)
        outcome[stuck[_minima_of_squares(objective, point[stuck].astype(float))]] = (
            Outcome.CONVERGED
        )
    still = outcome == Outcome.STALLED
    if not still.any():
        return
    known = still & (minimum >= 0)
    sure = known
    if classify and known.any():
        surely = _surely_minima(objective, stopping.radius)
        sure = known if surely.all() else known & surely[minimum]
    np.copyto(outcome, np.int8(Outcome.CONVERGED), where=sure)
    asked = np.flatnonzero(still & ~sure)
    if classify and asked.size:
        at = point[asked].astype(float)
        width = np.asarray(objective.width_from(starts(asked).astype(float)))
        width = np.broadcast_to(width, at.shape)
        found = np.full(len(at), Outcome.CONVERGED, np.int8)
        left = np.arange(len(at))
        if _is_fit(objective):
            left = np.flatnonzero(~_minima_of_squares(objective, at))
        if left.size:
            found[left] = _kinds(objective, at[left], width[left], stopping.radius)
        if objective.coordinates is not None:
            held = unscaled.on_bounds(objective, objective.coordinates, at, width, stopping.radius)
            found[held] = Outcome.CONVERGED
        undecided = np.isin(found, UNSURE)
        found[undecided & known[asked]] = Outcome.CONVERGED  # nothing speaks against the minimum
        outcome[asked] = found
        minimum[asked] = np.where(found == Outcome.CONVERGED, minimum[asked], -1)


def _is_fit(objective: Objective) -> bool:
    """Whether it is a sum of squares, and nobody said in what units its parameters are."""
    return objective.residuals is not None and not objective.bounded and objective.dim <= FEW


def _minima_of_squares(objective: Objective, point: np.ndarray) -> np.ndarray:
    """Which points ``(n, d)`` are minima of a fit; equal ones are looked at once."""
    places, of = np.unique(point, axis=0, return_inverse=True)
    return unscaled.of_squares(objective, places)[of.reshape(-1)]


@functools.lru_cache(maxsize=64)
def _surely_minima(objective: Objective, radius: float) -> np.ndarray:
    """Which known minima have no saddle or maximum within the radius, as far as samples show."""
    minima, width = objective.known_minima, objective.width
    if objective.dim > FEW:
        return np.full(len(minima), False)
    around = np.random.default_rng(0).uniform(-radius, radius, (32, objective.dim))
    around = np.concatenate([np.zeros((1, objective.dim)), around])
    points = (minima[:, None] + around * width).reshape(-1, objective.dim)
    with jax.enable_x64(True):
        hessians = np.asarray(curvature.second_order(objective.cast(float), points)[2])
    eigenvalues = np.linalg.eigvalsh(np.nan_to_num(hessians * np.outer(width, width)))
    curved_up = eigenvalues[:, 0] >= -curvature.FLAT * np.abs(eigenvalues[:, -1])
    return np.all(curved_up.reshape(len(minima), -1), axis=1)


def _kinds(objective: Objective, point: np.ndarray, width: np.ndarray, radius: float) -> np.ndarray:
    """The outcomes of descents at rest at these points, ``(n,)``."""
    rounded = np.round(point / width / GRID)
    rows = np.concatenate([rounded, width], axis=1)
    if len(point) > AT_ONCE:
        from pandas import DataFrame  # takes long to import, and is asked for seldom

        table = DataFrame(rows)
        rows = table.groupby([*table], sort=False).ngroup().to_numpy()[:, None]
    _, first, of = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    places, units = rounded[first] * GRID * width[first], width[first]
    size = _at_once(objective, len(places))
    found = []
    with jax.enable_x64(True), np.errstate(all="ignore"):
        given = objective.cast(float)
        for begin in range(0, len(places), size):
            rows = np.minimum(np.arange(begin, begin + size), len(places) - 1)  # one shape for all
            found.append(_looked_at(given, places[rows], units[rows], radius))
    return np.concatenate(found)[of.reshape(-1)]


def _at_once(objective: Objective, count: int) -> int:
    """How many points are looked at together: always in the same shape, which is compiled once."""
    if objective.dim > FEW or _width_of(objective) > WIDE:
        return 1
    return AT_ONCE if count <= AT_ONCE else max(BATCH // objective.dim**2, AT_ONCE)


@functools.lru_cache(maxsize=64)
def _width_of(objective: Objective) -> int:
    """The most bytes that a result takes within the objective in float32."""
    at = jax.ShapeDtypeStruct((objective.dim,), np.float32)
    # The data are handed in: JAX would remember constants in the precision of this trace.
    return widest(jax.make_jaxpr(lambda f, point: f.value(point))(objective.cast(np.float32), at))


def _looked_at(
    objective: Objective, point: np.ndarray, width: np.ndarray, radius: float
) -> np.ndarray:
    """Outcomes by the Hessian, or by the neighbourhood where the Hessian does not decide."""
    look = _by_newton if objective.dim <= FEW else _by_lanczos
    kind = look(objective, point, width, radius)
    undecided = np.isin(kind, (Outcome.STALLED, Outcome.DEGENERATE))
    if undecided.any() or objective.kink is not None:
        level, kinked = _around(objective, point, width, radius)
        kind = np.where(undecided & level, Outcome.PLATEAU, kind)
        kind = np.where(kinked, Outcome.DEGENERATE, kind)
    return kind


def _by_newton(
    objective: Objective, point: np.ndarray, width: np.ndarray, radius: float
) -> np.ndarray:
    enough = stationary.STEP_TOLERANCE
    last = stationary.newton(objective, point, width, damping=1e-8, enough=enough)
    curved = np.abs(np.nan_to_num(last.first)).max(axis=(1, 2))
    kind = np.array([KINDS[name] for name in last.kinds(curved)])
    away = np.abs((last.point - point) / width).max(axis=1)
    reach = np.where(kind == Outcome.DEGENERATE, REACH * radius, radius)
    return np.where(last.arrived & (away <= reach), kind, Outcome.STALLED)


def _by_lanczos(
    objective: Objective, point: np.ndarray, width: np.ndarray, radius: float
) -> np.ndarray:
    found = []
    for at, unit in zip(point, width, strict=True):
        low, high, slope = _extremes(objective, at, unit)
        (kind,) = curvature.kinds(np.array([low]), np.array([high]))
        reached = slope <= radius * min(abs(low), abs(high))
        found.append(KINDS[kind] if reached or kind == "degenerate" else Outcome.STALLED)
    return np.array(found)


def _extremes(
    objective: Objective, point: np.ndarray, width: np.ndarray
) -> tuple[float, float, float]:
    """The smallest and the largest eigenvalue, and the length of the gradient, by widths.

    An eigenvalue that Lanczos has not told from 0 is 0.
    """
    at, unit = jnp.asarray(point), jnp.asarray(width)

    def product(vector: Array) -> Array:
        return unit * curvature.hessian_vector_product(objective.value, at, unit * vector)

    start = jax.random.normal(jax.random.key(0), at.shape, at.dtype)
    values, residuals = curvature.lanczos(product, start, RITZ)
    told = np.where(np.abs(values) > residuals, values, 0.0)
    slope = jnp.linalg.norm(unit * jax.grad(objective.value)(at))
    return float(told[0]), float(told[-1]), float(slope)


def _around(
    objective: Objective, point: np.ndarray, width: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """Whether value and gradient stay level around each point; whether a kink is within reach."""
    value, slope, bends = map(np.asarray, _neighbourhood(objective, point, radius * width))
    slope = slope * width[:, None]
    steep = np.linalg.norm(slope[:, 0], axis=-1)
    change = np.linalg.norm(slope - slope[:, :1], axis=-1).max(axis=1)
    level = change <= LEVEL * steep + np.finfo(float).eps
    rise = np.abs(value - value[:, :1]).max(axis=1)
    level &= rise <= 1e-6 * np.maximum(1, np.abs(value[:, 0]))
    kinked = np.any(bends * bends[:, :1] <= 0, axis=(1, 2))
    return level, kinked


@jax.jit
def _neighbourhood(
    objective: Objective, points: Float[Array, "n d"], reach: Float[Array, "n d"]
) -> tuple[Array, Array, Array]:
    """Values, gradients and distances from kinks at points and so far around them."""
    dim = objective.dim
    if dim <= FEW:
        ways = jnp.concatenate([jnp.eye(dim), -jnp.eye(dim)])
    else:
        ways = jax.random.rademacher(jax.random.key(0), (FEW, dim), float)
    ways = jnp.concatenate([jnp.zeros((1, dim)), ways])

    def one(point: Array, reach: Array) -> tuple[Array, Array, Array]:
        around = point + reach * ways
        value, slope = jax.vmap(jax.value_and_grad(objective.value))(around)
        bends = jnp.ones((len(ways), 1))
        if objective.kink is not None:
            bends = jax.vmap(objective.kink)(around)
        return value, slope, bends

    return jax.vmap(one)(points, reach)
