"""A function that JAX cannot trace: values on the host, their noise, and differences of them."""

import math
import time
from collections.abc import Callable

import jax
import numpy as np

from gdjax._util.errors import ArgumentError, first_line
from gdjax.certificates.estimates import STEPS, Differences, Estimates, central_differences
from gdjax.certificates.problem import Problem

TABLE = 8  # differences of up to this order are taken for the noise
SAMPLED = 9  # points at which the usual noise is taken
CERTAIN = 6.0  # standard deviations that noise is taken to stay within
BUDGET = 10.0  # seconds; then no new point is begun

OnHost = Callable[[np.ndarray], np.ndarray]  # a flat point (d,) → (m,)


def noise(fn: OnHost, point: np.ndarray, way: np.ndarray) -> np.ndarray:
    """The standard deviation of the noise in a function's values, ``(m,)``.

    Of equally spaced values the k-th differences of what is smooth vanish as k grows, and those of
    noise do not: σ² = γ mean(Δᵏ²) with γ = (k!)² / (2k)!. It is read off where three orders in a
    row agree within a factor 4 and the differences change sign. Rounding of the value is the least.

    Args:
        fn: flat point ``(d,)`` → ``(m,)``.
        point: where, ``(d,)``.
        way: a direction whose length is that of the point's scale, ``(d,)``.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> shaken = lambda p: p**2 + 1e-6 * rng.standard_normal(1)
        >>> bool(0.5e-6 < noise(shaken, np.ones(1), np.ones(1))[0] < 2e-6)
        True

    Reference:
        Moré and Wild 2011, Estimating computational noise, SIAM J. Sci. Comput. 33, 1292–1314,
        algorithm ECnoise.
    """
    middle = np.asarray(fn(point))
    found, least = np.full(middle.shape, np.nan), np.full(middle.shape, np.inf)
    spacing = 1e-8
    for _ in range(5):
        offsets = spacing * (np.arange(TABLE + 1) - TABLE / 2)
        values = np.stack([fn(point + offset * way) for offset in offsets])
        sigma, too_close, too_far = _table(values)
        found = np.where(np.isnan(found), sigma, found)
        if not np.isnan(found).any():
            break
        undecided = np.isnan(found)
        gaps = np.abs(np.diff(values, axis=0))
        gaps = np.where((gaps > 0) & too_close, gaps, np.inf)
        least = np.minimum(least, gaps.min(axis=0))  # of values that repeat, such as printed ones
        if (too_far & undecided).any():
            spacing /= 100
        elif (too_close & undecided).any():
            spacing *= 100
        else:
            spacing *= 10
    found = np.where(np.isnan(found) & np.isfinite(least), least, found)
    return np.fmax(found, np.finfo(float).eps / 2 * np.abs(middle))


@np.errstate(all="ignore")
def _table(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The noise that a difference table shows, NaN where it shows none; spaced too close, too far.

    Args:
        values: equally spaced, ``(n, m)``.
    """
    n = len(values)
    differences, sigmas, changes = values, [], []
    too_close = (np.diff(values, axis=0) == 0).sum(axis=0) >= n / 2
    for k in range(1, n - 1):
        differences = np.diff(differences, axis=0)
        gamma = math.factorial(k) ** 2 / math.factorial(2 * k)
        sigmas.append(np.sqrt(gamma * np.mean(differences**2, axis=0)))
        changes.append((differences.min(axis=0) < 0) & (differences.max(axis=0) > 0))
    size = np.maximum(np.abs(values).max(axis=0), np.finfo(float).tiny)
    too_far = np.ptp(values, axis=0) > 0.1 * size
    sigma = np.full(values.shape[1:], np.nan)
    for k in range(len(sigmas) - 2):
        three = np.stack(sigmas[k : k + 3])
        agree = (three.max(axis=0) <= 4 * three.min(axis=0)) & (three.min(axis=0) > 0)
        sigma = np.where(np.isnan(sigma) & agree & changes[k] & ~too_close, sigmas[k], sigma)
    return sigma, too_close, too_far


def _usual(fn: OnHost, points: np.ndarray, reach: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Values → the noise that is usual in such, absolutely or as a share, whichever is less.

    At a single point a table may show too little of a noise that comes in steps.
    """
    few = np.random.default_rng(0).permutation(len(points))[:SAMPLED]
    sizes = np.stack([np.abs(fn(points[i])) for i in few])
    sigmas = np.stack([noise(fn, points[i], reach[i]) for i in few])
    with np.errstate(all="ignore"):
        usual, share = np.nanmedian(sigmas, axis=0), np.nanmedian(sigmas / sizes, axis=0)
    return lambda value: np.fmin(usual, share * np.abs(value))


def differences(
    fn: OnHost,
    point: np.ndarray,
    ways: np.ndarray,
    reach: np.ndarray,
    usual: Callable[[np.ndarray], np.ndarray] = np.zeros_like,
) -> tuple[np.ndarray, Differences]:
    """The noise at a point ``(m,)``, and central differences along each of p directions.

    The step is the one at which the change to its neighbours and the noise over it are least: it
    goes with the noise ε as ε^⅓. Steps at which noise is all that is left are not taken.

    Args:
        fn: flat point ``(d,)`` → ``(m,)``.
        point: where, ``(d,)``.
        ways: the directions, ``(p, d)``.
        reach: the length of the point's scale along each, ``(p,)``.
        usual: values → the least noise to reckon with.

    Example:
        >>> square = lambda p: p @ p[:, None]
        >>> _, found = differences(square, np.array([3.0, 4.0]), np.eye(2), np.ones(2))
        >>> np.allclose(found.estimate, [[6.0, 8.0]], atol=1e-8)
        True
    """
    value = np.asarray(fn(point))
    spread = np.random.default_rng(0).standard_normal(len(ways)) @ (reach[:, None] * ways)
    sigma = np.fmax(noise(fn, point, spread / math.sqrt(len(ways))), usual(value))
    shape = (len(ways), len(STEPS), *value.shape)
    up, down = np.full(shape, np.nan), np.full(shape, np.nan)
    lengths = 2 * reach[:, None] * STEPS
    for i, way in enumerate(ways):
        last, change = None, math.inf
        for k, length in enumerate(lengths[i]):
            ahead, behind = point + length / 2 * way, point - length / 2 * way
            up[i, k], down[i, k] = fn(ahead), fn(behind)
            slope = (up[i, k] - down[i, k]) / length
            if last is not None and np.isfinite(slope).all():
                change = min(change, float(np.linalg.norm(slope - last)) or math.inf)
            last = slope
            if k > 4 and np.linalg.norm(sigma) / length > 16 * change:
                break
    least = CERTAIN / 2 * np.sqrt(2) * sigma  # of two values, and length is two steps
    found = central_differences(value[None], least[None], up[None], down[None], lengths[None])
    return sigma, found


def estimates(problem: Problem) -> tuple[Problem, Estimates, tuple[str, ...]]:
    """Differences at the points of a problem whose function runs on the host, and words on them.

    Returns:
        The problem with the points that were looked at, its estimates, and what is to be known.

    Raises:
        ArgumentError: no hand-derived gradient, or a function or a gradient that fails.
    """
    hand = problem.derivatives.get("hand")
    if hand is None:
        raise ArgumentError(
            f"{problem.name} has no {problem.kind} to certify: {problem.on_host}, and no "
            f"{problem.kind} was given"
        )
    value = _guarded(problem.value, problem.name)
    slope = _guarded(hand, f"the {problem.kind} of {problem.name}")
    reach = np.maximum(np.abs(problem.points), problem.width / 128)
    ways = problem.directions
    unit = len(ways) == problem.structure.size
    begun, rows, seen, shaken = time.monotonic(), [], 0, False
    with jax.enable_x64(True):
        usual = _usual(value, problem.points, reach)
        for point, scale in zip(problem.points, reach, strict=True):
            along = scale if unit else np.full(len(ways), (scale / problem.width).max())
            first = value(point)
            shaken |= bool((value(point) != first).any())
            seen_here = differences(value, point, ways, along, usual)
            rows.append((first, slope(point), *seen_here))
            seen += 1
            if time.monotonic() - begun > BUDGET:
                break
    values, slopes, sigmas, found = (list(column) for column in zip(*rows, strict=True))
    joined = Differences(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
    why, bound = problem.on_host, joined.bound
    made = Estimates(
        points=problem.points[:seen],
        values=np.stack(values),
        derivatives={"hand": np.stack(slopes)},
        roundings={"hand": bound if unit else bound.max(axis=1)[:, None] / problem.width},
        differences=joined,
        complex_step=f"not applicable: {why}",
        missing=dict.fromkeys(("reverse", "forward"), why),
        on_kink=np.zeros(seen, bool),
    )
    level = float(np.median(np.linalg.norm(np.stack(sigmas), axis=1)))
    words = [f"{why}: certified on the host, by differences of values with noise {level:.0e}"]
    if shaken:
        words.append("the function gives other values when it is called again at a point")
    if seen < len(problem.points):
        words.append(
            f"after {BUDGET:g} seconds {seen:,} of {len(problem.points):,} points were looked at"
        )
    looked = problem._replace(points=made.points, drawn=min(problem.drawn, seen))
    return looked, made, tuple(words)


def _guarded(fn: Callable[..., object], what: str) -> OnHost:
    """A function of a flat point as one of NumPy's arrays; what it raises is told in one line."""

    def on_host(point: np.ndarray) -> np.ndarray:
        try:
            with np.errstate(all="ignore"):
                return np.asarray(fn(point), dtype=float).ravel()
        except ArgumentError:
            raise
        except Exception as error:
            raise ArgumentError(f"{what} fails on the host: {first_line(error)}") from error

    return on_host
