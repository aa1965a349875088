"""What many descents say together: NumPy arrays in, NumPy arrays out.

Where steps or costs are counted, a descent that never arrived counts as infinitely long: it is
censored, not left out, so that failing often cannot look like being fast.
"""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from gdjax._util import lazy
from gdjax._util.arguments import (
    INSIDE,
    Limits,
    as_numbers,
    count,
    gate,
    number,
    numbers,
    refused,
)
from gdjax._util.display import shown
from gdjax._util.errors import ArgumentError

__all__ = [
    "Ends",
    "Share",
    "Steps",
    "basin_shares",
    "data_profile",
    "distinct",
    "performance_profile",
    "steps_ecdf",
    "steps_quantile",
    "success_rate",
    "wilson",
]

__dir__: Callable[[], list[str]] = lazy.listing(globals())

Axes = int | tuple[int, ...] | None
Counts = int | np.integer | np.ndarray
SURE = number(INSIDE)  # of a confidence
FROM_ONE = Limits(1.0)
COSTS = Limits(ends="(]")
NO_LIMIT = Limits(1.0, ends="[]")


def _truths(name: str, value: Any) -> np.ndarray:
    """The rule of truth values: they may be written as 0 and 1."""
    try:
        found = np.asarray(value) if isinstance(value, list | tuple) else value
    except ValueError:  # rows of different lengths
        raise refused(name, "be truth values", value) from None
    if getattr(found, "dtype", None) == np.dtype(bool):
        return np.asarray(found)
    found = as_numbers(name, [int(x) if isinstance(x, bool) else x for x in found]
                       if isinstance(found, list) else found)  # fmt: skip
    if not ((found == 0) | (found == 1)).all():
        raise refused(name, "be truth values", value)
    return found.astype(bool)


def _axes(axis: Axes, ndim: int) -> tuple[int, ...] | None:
    """Axes of an array of so many dimensions, as NumPy takes them."""
    try:
        if not isinstance(axis, int | np.integer | tuple | list | None):
            raise TypeError
        return None if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, ndim)
    except (TypeError, ValueError, OverflowError):
        raise refused("axis", f"be different axes of {ndim}", axis) from None


@shown
class Share(NamedTuple):
    """A share of descents, with its confidence interval; three arrays of one shape.

    Args:
        share: successes / trials.
        low, high: ends of the interval.
    """

    share: np.ndarray
    low: np.ndarray
    high: np.ndarray


@shown
class Steps(NamedTuple):
    """An empirical distribution function: ``share[i]`` have arrived by ``steps[i]``.

    Args:
        steps: each number of steps at which someone arrived, ascending, ``(n,)``.
        share: of all descents, those that never arrive included, ``(n,)``.
    """

    steps: np.ndarray
    share: np.ndarray


@gate(successes=numbers(), trials=numbers(FROM_ONE), confidence=SURE)
def wilson(successes: Counts, trials: Counts, confidence: float = 0.95) -> Share:
    """Wilson's interval for a proportion: the p whose test at this confidence is not rejected.

    With p̂ = successes / n and z the normal quantile of (1 + confidence)/2, its ends are
    (p̂ + z²/2n ± z √(p̂(1 − p̂)/n + z²/4n²)) / (1 + z²/n). It stays within [0, 1] and is not empty at
    0 or n successes. It is made for independent starts; over a grid of starts, where the error is
    one of the border alone, it is wider than it need be.

    Args:
        successes: how many succeeded; any shape.
        trials: of how many, n ≥ 1; any shape that broadcasts with it.
        confidence: between 0 and 1.

    Returns:
        The share and both ends.

    Raises:
        ArgumentError: no trials, successes outside 0 … n, a confidence outside (0, 1).

    Example:
        >>> [round(float(x), 3) for x in wilson(8, 10)]
        [0.8, 0.49, 0.943]

    Reference:
        Wilson 1927, Probable inference, the law of succession, and statistical inference, p. 210.
    """
    try:
        k, n = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
    except ValueError:
        shapes = f"{np.shape(successes)} and {np.shape(trials)}"
        raise ArgumentError(f"successes and trials must fit together, got {shapes}") from None
    if (k < 0).any() or (k > n).any():
        raise ArgumentError(f"successes must lie between 0 and trials, got {successes}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = k / n
    middle = share + z**2 / (2 * n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    low = np.where(k == 0, 0.0, (middle - half) / scale)
    high = np.where(k == n, 1.0, (middle + half) / scale)
    return Share(share, low, high)


@gate(success=_truths, confidence=SURE)
def success_rate(success: np.ndarray, axis: Axes = None, confidence: float = 0.95) -> Share:
    """The share of descents that succeeded along some axes, with Wilson's interval.

    Args:
        success: one truth value a descent; any shape.
        axis: the axes to count along; by default all of them.
        confidence: of the interval, between 0 and 1.

    Returns:
        Share and interval, of the shape that is left.

    Raises:
        ArgumentError: no descents, or a confidence outside (0, 1).

    Example:
        >>> success_rate(np.array([[True, True, True, False], [False] * 4]), axis=1).share
        array([0.75, 0.  ])
    """
    counted = success.sum(axis=_axes(axis, success.ndim))
    if not success.size:
        raise ArgumentError("success must hold at least one descent, got none")
    return wilson(counted, success.size // np.size(counted), confidence)


@gate(steps_to_tolerance=numbers(), quantile=numbers(Limits(0.0, 1.0, "(]")))
def steps_quantile(
    steps_to_tolerance: np.ndarray, quantile: float | np.ndarray, axis: Axes = None
) -> np.ndarray | np.floating:
    """Steps after which a share of all descents has arrived: min {k : F(k) ≥ quantile}.

    F is the distribution that ``steps_ecdf`` gives. Where fewer than that share ever arrive the
    quantile is infinite; no value in between is made up.

    Args:
        steps_to_tolerance: first step within tolerance, −1 for never; any shape.
        quantile: one share in (0, 1], or several, ``(q,)``.
        axis: the axes to reduce; by default all of them.

    Returns:
        Steps as floats, of the shape that is left, behind ``(q,)`` where there are several.

    Raises:
        ArgumentError: a quantile outside (0, 1], or no descents.

    Example:
        >>> steps_quantile(np.array([30, -1, 10, 20, -1]), np.array([0.5, 0.75]))
        array([30., inf])
    """
    steps = _censored(steps_to_tolerance)
    if np.ndim(quantile) > 1:
        raise refused("quantile", "be one share or a list of them", quantile)
    return np.quantile(steps, quantile, axis=_axes(axis, steps.ndim), method="inverted_cdf")


@gate(steps_to_tolerance=numbers(Limits(-np.inf, 2.0**62)))
def steps_ecdf(steps_to_tolerance: np.ndarray) -> Steps:
    """The empirical distribution of steps to tolerance: F(k) = share with steps_to_tolerance ≤ k.

    Args:
        steps_to_tolerance: first step within tolerance, −1 for never; any shape.

    Returns:
        The steps at which F rises, and its value there; it ends below 1 where some never arrive.

    Raises:
        ArgumentError: no descents.

    Example:
        >>> steps_ecdf(np.array([3, -1, 5, 3]))
        Steps
          steps  (3, 5)
          share  (0.5, 0.75)
    """
    steps = _censored(steps_to_tolerance)
    arrived, counts = np.unique(steps[np.isfinite(steps)].astype(int), return_counts=True)
    return Steps(arrived, np.cumsum(counts) / steps.size)


@gate(minimum=numbers(Limits(-np.inf, ends="()", whole=True)), number=count(0), confidence=SURE)
def basin_shares(minimum: np.ndarray, number: int, confidence: float = 0.95) -> Share:
    """The share of starts that each known minimum catches, with Wilson's interval for each.

    Over starts drawn uniformly, or on a grid, the share estimates that of the basin's area. Each
    interval holds with this confidence by itself, not all of them at once.

    Args:
        minimum: the index of the minimum that each descent reached, −1 for none; any shape.
        number: how many minima are known.
        confidence: of each interval, between 0 and 1.

    Returns:
        Shares and intervals, ``(number,)``; what is missing to 1 reached none.

    Raises:
        ArgumentError: no descents, an index that is not −1 … number − 1, a confidence outside
            (0, 1).

    Example:
        >>> basin_shares(np.array([0, 0, 1, -1]), number=3).share
        array([0.5 , 0.25, 0.  ])
    """
    minimum = minimum.ravel().astype(int)
    if not minimum.size:
        raise ArgumentError("minimum must hold at least one descent, got none")
    if minimum.min() < -1 or minimum.max() >= number:
        raise ArgumentError(
            f"minimum must be −1 to {number - 1}, got {minimum.min()} to {minimum.max()}"
        )
    counts = np.bincount(minimum[minimum >= 0], minlength=number)
    return wilson(counts, minimum.size, confidence)


@gate(costs=numbers(COSTS), ratios=numbers(NO_LIMIT, ndim=1))
def performance_profile(costs: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    """The share of problems that each solver solves within a factor of the best solver.

    ``ρ_s(τ) = |{p : t_ps ≤ τ · min over s of t_ps}| / problems``. A problem that nobody solves
    counts for none. Who comes second depends on who is compared: read it for the best, or for all.

    Args:
        costs: t_ps > 0, the cost that solver s needs for problem p, infinite if it fails,
            ``(problems, solvers)``.
        ratios: τ ≥ 1, ``(n,)``.

    Returns:
        Shares, ``(solvers, n)``.

    Raises:
        ArgumentError: costs that are not positive, or of another shape.

    Example:
        >>> costs = np.array([[1.0, 2.0], [3.0, np.inf]])
        >>> performance_profile(costs, np.array([1.0, 2.0]))
        array([[1. , 1. ],
               [0. , 0.5]])

    Reference:
        Dolan & Moré 2002, Benchmarking optimization software with performance profiles, section 2.
    """
    costs = _costs(costs)
    limits = costs.min(axis=1)[:, None] * np.asarray(ratios, float)  # (problems, n)
    return _solved(costs, limits)


@gate(costs=numbers(COSTS), dims=numbers(FROM_ONE), budgets=numbers(Limits(ends="[]"), ndim=1))
def data_profile(costs: np.ndarray, dims: np.ndarray, budgets: np.ndarray) -> np.ndarray:
    """The share of problems that each solver solves within a budget of simplex gradients.

    ``d_s(κ) = |{p : t_ps ≤ κ (n_p + 1)}| / problems``, with n_p the dimension of problem p: n + 1
    evaluations are what a gradient by differences costs. Unlike ``performance_profile`` it does
    not depend on the other solvers.

    Args:
        costs: t_ps > 0, evaluations that solver s needs for problem p, infinite if it fails,
            ``(problems, solvers)``.
        dims: n_p, ``(problems,)``.
        budgets: κ, ``(n,)``.

    Returns:
        Shares, ``(solvers, n)``.

    Raises:
        ArgumentError: costs that are not positive, or shapes that do not fit.

    Example:
        >>> costs = np.array([[6.0, 12.0], [10.0, np.inf]])
        >>> data_profile(costs, dims=np.array([2, 4]), budgets=np.array([2.0, 4.0]))
        array([[1. , 1. ],
               [0. , 0.5]])

    Reference:
        Moré & Wild 2009, Benchmarking derivative-free optimization algorithms, section 2.2.
    """
    costs, dims = _costs(costs), np.asarray(dims)
    if dims.shape != costs.shape[:1] or (dims < 1).any():
        raise ArgumentError(f"dims must be {len(costs)} dimensions, at least 1, got {dims}")
    limits = (dims[:, None] + 1) * np.asarray(budgets, float)  # (problems, n)
    return _solved(costs, limits)


def _censored(steps_to_tolerance: np.ndarray) -> np.ndarray:
    steps = np.asarray(steps_to_tolerance)
    if not steps.size:
        raise ArgumentError("steps_to_tolerance must hold at least one descent, got none")
    return np.where(steps >= 0, steps, np.inf)


def _solved(costs: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """The share of problems within each limit; a failure is within none."""
    within = costs[:, :, None] <= limits[:, None, :]
    return (within & np.isfinite(costs)[:, :, None]).mean(axis=0)


def _costs(costs: np.ndarray) -> np.ndarray:
    costs = np.asarray(costs, dtype=float)
    if costs.ndim != 2 or not costs.size:
        raise ArgumentError(f"costs must be (problems, solvers), got shape {costs.shape}")
    if not (costs > 0).all():
        raise ArgumentError("costs must be positive, and infinite for a failure")
    return costs


@shown
class Ends(NamedTuple):
    """Where many descents ended, each place once, the lowest first.

    Args:
        points: one for each place, that of the lowest value there, ``(k, d)``.
        values: ``(k,)``.
        counts: how many descents ended there, ``(k,)``.
    """

    points: np.ndarray
    values: np.ndarray
    counts: np.ndarray


SAME_VALUE, SAME_PLACE = 1e-6, 1e-3  # of the value, and of the width or of the point itself


@gate(width=numbers(Limits(ends="(]")))
def distinct(points: Any, values: Any, width: Any = 1.0) -> Ends:
    """The places where descents ended: those of one value, close to each other, are one.

    Close is 1e-3 of the width, or of the point where that is larger; one value is one to 1e-6 of
    it. Infinite ends are left out.

    Args:
        points: the last ones, ``(n, d)``.
        values: of the objective there, ``(n,)``.
        width: the unit of length of each axis, ``(d,)`` or one for all.

    Raises:
        ArgumentError: arrays that do not fit together, or a width that is not positive.

    Example:
        >>> found = distinct([[1.0], [3.0], [1.0001]], [0.5, 0.2, 0.5])
        >>> found.points.ravel().tolist(), found.counts.tolist()
        ([3.0, 1.0], [1, 2])
    """
    points, values = as_numbers("points", points), as_numbers("values", values)
    if points.ndim != 2 or values.shape != points.shape[:1]:
        raise ArgumentError(
            f"points must be (n, d) and values (n,), got {points.shape} and {values.shape}"
        )
    good = np.isfinite(points).all(axis=1) & np.isfinite(values)
    order = np.argsort(values[good], kind="stable")
    points, values = points[good][order], values[good][order]
    at: list[int] = []
    counts: list[int] = []
    for i, (point, value) in enumerate(zip(points, values, strict=True)):
        near = np.abs(points[at] - point) <= SAME_PLACE * np.maximum(width, np.abs(point))
        alike = np.abs(values[at] - value) <= SAME_VALUE * abs(value) + np.finfo(float).tiny
        one = np.flatnonzero(near.all(axis=1) & alike)
        if one.size:
            counts[one[0]] += 1
        else:
            at.append(i)
            counts.append(1)
    return Ends(points[at], values[at], np.array(counts, int))
