"""The verdict: at each point, which estimate is the outlier, and by how much."""

from typing import NamedTuple

import numpy as np

from gdjax.certificates.estimates import Estimates
from gdjax.certificates.problem import Problem

# Differences contradict a derivative that is farther from them than this many times what they
# resolve. Right ones were never farther than 0.12 times, at 56,000 points all over the catalogue.
CONTRADICTION = 4.0
# A point decides nothing if its roundings may amount to more than this share of the derivative.
UNDECIDED = 0.25


class Judgement(NamedTuple):
    """What the estimates decide at each of n points.

    Args:
        truth: the derivative that the majority stands for, ``(n, c)``.
        error: ‖subject − truth‖ / max(‖subject‖, ‖truth‖), ``(n,)``.
        tolerance: the largest such error that is rounding, ``(n,)``.
        wrong: where the subject is the outlier.
        outliers: the same for every estimate, and for ``differences``.
        left_out: points that decide nothing, by the reason.
    """

    truth: np.ndarray
    error: np.ndarray
    tolerance: np.ndarray
    wrong: np.ndarray
    outliers: dict[str, np.ndarray]
    left_out: dict[str, np.ndarray]

    @property
    def kept(self) -> np.ndarray:
        """The points that decide, ``(n,)``."""
        return ~np.any(list(self.left_out.values()), axis=0)


@np.errstate(all="ignore")
def judge(problem: Problem, estimates: Estimates) -> Judgement:
    """Find the outlier at each point.

    Two derivatives agree if they differ by no more than what roundings can do to them. Whether
    they agree or not, central differences and the complex step are compared with them: these
    use values of the function alone, and so share no mistake with a derivative. The derivative
    that they contradict is the outlier. Where two derivatives disagree by less than the
    differences resolve, the outlier is the hand-derived one.
    """
    derivatives, subject = estimates.derivatives, problem.subject
    finite = {key: np.isfinite(derivative).all(axis=1) for key, derivative in derivatives.items()}
    roundings = {
        key: np.where(finite[key], rounding, 0.0) for key, rounding in estimates.roundings.items()
    }
    roundings["forward"] = 4 * roundings.get("reverse", roundings[subject])
    found = estimates.differences
    resolved = norm(found.bound)
    bad: dict[str, np.ndarray] = {}
    supported = np.zeros(len(estimates.points), bool)
    for key, derivative in derivatives.items():
        along = derivative if key == "forward" else problem.project(derivative)
        gap = norm(along - found.estimate)
        contradicted = gap > CONTRADICTION * resolved + roundings[key]
        if not isinstance(estimates.complex_step, str):
            # It takes four times as many operations, which round.
            slack = 5 * roundings[key] + 1e-12 * norm(along) + 1e-30
            agrees = (norm(along - estimates.complex_step) <= slack) & finite[key]
            supported |= contradicted & agrees
            contradicted &= ~agrees
        bad[key] = contradicted | ~finite[key]
    other = next(
        (key for key in ("reverse", "forward") if key in derivatives.keys() - {subject}), None
    )
    mine, wrong = derivatives[subject], bad[subject].copy()
    differ, rounding, truth = np.zeros_like(wrong), roundings[subject], mine
    if other is not None:
        full = mine.shape == derivatives[other].shape
        theirs = derivatives[other] if full else np.where(bad[subject][:, None], np.nan, mine)
        gap = norm((mine if full else problem.project(mine)) - derivatives[other])
        rounding = rounding + roundings[other]
        differ = ~(gap <= rounding)
        if subject == "hand":
            wrong |= differ & ~bad[other]
        truth = np.where((differ & bad[other] & ~wrong)[:, None], mine, theirs)
    # Where both are contradicted, only the estimates by values are left.
    lost = wrong & (bad[other] if other is not None else True)
    values = found.estimate if isinstance(estimates.complex_step, str) else estimates.complex_step
    if values.shape == mine.shape:
        truth = np.where(lost[:, None], values, truth)
    tolerance = np.where(lost, rounding + CONTRADICTION * resolved, rounding)
    scale = np.fmax(norm(mine), norm(truth))
    suspicious = differ | np.any(list(bad.values()), axis=0)
    # At the edge of where a function is defined there is no difference, nor a finite derivative.
    edge = np.all(list(bad.values()), axis=0) & ~np.isfinite(resolved)
    left_out = {
        "where the function is not finite": ~np.isfinite(estimates.values).all(axis=1) | edge,
        "on a kink or a jump": estimates.on_kink | (suspicious & found.kinked),
    }
    seen = np.any(list(left_out.values()), axis=0)
    left_out["where rounding leaves nothing to decide"] = (
        ~seen & finite[subject] & np.isfinite(truth).all(axis=1) & ~(rounding <= UNDECIDED * scale)
    )
    outliers = bad | {subject: wrong, "differences": supported}
    tolerance = np.where(scale > 0, tolerance / scale, 0.0)
    return Judgement(truth, relative(mine, truth), tolerance, wrong, outliers, left_out)


@np.errstate(all="ignore")
def judge_single(
    truth: np.ndarray, single: np.ndarray, rounding: np.ndarray, left_out: dict[str, np.ndarray]
) -> Judgement:
    """The verdict on a derivative computed in float32, against the truth in float64.

    Args:
        truth: ``(n, c)``.
        single: the derivative in float32, at the same points.
        rounding: how far roundings can move it, ``(n,)``.
        left_out: points that decide nothing, by the reason.
    """
    scale = np.fmax(norm(single), norm(truth))
    undecided = ~(rounding <= UNDECIDED * scale) & (scale > 0)
    # infinite roundings: an intermediate result is beyond the range of single precision
    undecided &= np.isfinite(single).all(axis=1) | np.isposinf(rounding) | np.isnan(rounding)
    reason = "where rounding leaves nothing to decide"
    seen = np.any([v for k, v in left_out.items() if k != reason], axis=0)
    left_out = left_out | {reason: undecided & ~seen}
    error = relative(single, truth)
    tolerance = np.where(scale > 0, rounding / scale, 0.0)
    return Judgement(truth, error, tolerance, ~(error <= tolerance), {}, left_out)


def norm(vectors: np.ndarray) -> np.ndarray:
    """The norm of each row."""
    return np.linalg.norm(vectors, axis=1)


def relative(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """‖a − b‖ / max(‖a‖, ‖b‖) of each row: 0 if they are equal, infinite if one is not finite."""
    gap = norm(a - b)
    error = gap / np.fmax(norm(a), norm(b))
    return np.where(gap == 0, 0.0, np.where(np.isfinite(error), error, np.inf))
