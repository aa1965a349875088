"""The verdict: at each point, which side is the outlier, and by how much."""

from typing import NamedTuple

import numpy as np

from gdjax.certificates.estimates import Estimates
from gdjax.certificates.problem import Problem

# Differences contradict a derivative beyond so many times what they resolve; from right ones they
# were never farther than 0.12 times, in 56,000 points all over the catalogue.
CONTRADICTION = 4.0
# A point whose rounding may amount to this share of the derivative decides nothing.
UNDECIDED = 0.25


class Judgement(NamedTuple):
    """What the referees decide at each of n points.

    Args:
        truth: the derivative that the majority stands for, ``(n, c)``.
        error: ‖subject − truth‖ / max(‖subject‖, ‖truth‖), ``(n,)``.
        tolerance: the largest such error that is rounding, ``(n,)``.
        wrong: where the subject is the outlier.
        odd: the same for every side, and for ``differences``.
        left_out: points that decide nothing, by the reason.
    """

    truth: np.ndarray
    error: np.ndarray
    tolerance: np.ndarray
    wrong: np.ndarray
    odd: dict[str, np.ndarray]
    left_out: dict[str, np.ndarray]

    @property
    def kept(self) -> np.ndarray:
        """The points that decide, ``(n,)``."""
        return ~np.any(list(self.left_out.values()), axis=0)


def judge(problem: Problem, evidence: Estimates) -> Judgement:
    """Find the outlier at each point.

    Two derivatives agree if they differ by no more than what roundings can do to them. Where
    they do not, and in any case, central differences and the complex step speak: they see
    nothing but values, and so share no mistake with a derivative. The one that they contradict
    is the outlier; if the difference is too small for them to see, it is the hand-derived.
    """
    with np.errstate(all="ignore"):
        return _judge(problem, evidence)


def _judge(problem: Problem, evidence: Estimates) -> Judgement:
    sides, subject = evidence.sides, problem.subject
    heard = {side: np.isfinite(derivative).all(axis=1) for side, derivative in sides.items()}
    roundings = {
        side: np.where(heard[side], rounding, 0.0) for side, rounding in evidence.roundings.items()
    }
    roundings["forward"] = 4 * roundings.get("reverse", roundings[subject])
    found = evidence.differences
    resolved = norm(found.bound)
    bad: dict[str, np.ndarray] = {}
    supported = np.zeros(len(evidence.points), bool)
    for side, derivative in sides.items():
        along = derivative if side == "forward" else problem.project(derivative)
        gap = norm(along - found.estimate)
        contradicted = gap > CONTRADICTION * resolved + roundings[side]
        if not isinstance(evidence.complex_step, str):
            agrees = norm(along - evidence.complex_step) <= _slack(along, roundings[side])
            agrees &= heard[side]
            supported |= contradicted & agrees
            contradicted &= ~agrees
        bad[side] = contradicted | ~heard[side]
    other = next((s for s in ("reverse", "forward") if s in sides and s != subject), None)
    mine, wrong = sides[subject], bad[subject].copy()
    differ, rounding, truth = np.zeros_like(wrong), roundings[subject], mine
    if other is not None:
        full = mine.shape == sides[other].shape
        theirs = sides[other] if full else np.where(bad[subject][:, None], np.nan, mine)
        gap = norm(problem.project(mine) - sides[other]) if not full else norm(mine - theirs)
        rounding = rounding + roundings[other]
        differ = ~(gap <= rounding)
        if subject == "hand":
            wrong |= differ & ~bad[other]
        truth = np.where((differ & bad[other] & ~wrong)[:, None], mine, theirs)
    # Where both are contradicted, only those who look at values are left.
    lost = wrong & (bad[other] if other is not None else True)
    values = found.estimate if isinstance(evidence.complex_step, str) else evidence.complex_step
    if values.shape == mine.shape:
        truth = np.where(lost[:, None], values, truth)
    tolerance = np.where(lost, rounding + CONTRADICTION * resolved, rounding)
    scale = np.fmax(norm(mine), norm(truth))
    suspicious = differ | np.any(list(bad.values()), axis=0)
    finite = np.isfinite(mine).all(axis=1) & np.isfinite(truth).all(axis=1)
    # At the edge of where a function is defined there is no difference, nor a finite derivative.
    edge = np.all(list(bad.values()), axis=0) & ~np.isfinite(resolved)
    left_out = {
        "where the function is not finite": ~np.isfinite(evidence.values).all(axis=1) | edge,
        "on a kink or a jump": evidence.on_kink | (suspicious & found.kinked),
    }
    seen = np.any(list(left_out.values()), axis=0)
    left_out["where rounding leaves nothing to decide"] = (
        ~seen & finite & ~(rounding <= UNDECIDED * scale)
    )
    error = relative(mine, truth)
    odd = bad | {subject: wrong, "differences": supported}
    return Judgement(
        truth, error, np.where(scale > 0, tolerance / scale, 0.0), wrong, odd, left_out
    )


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
    with np.errstate(all="ignore"):
        scale = np.fmax(norm(single), norm(truth))
        undecided = ~(rounding <= UNDECIDED * scale) & (scale > 0)
        # infinite roundings: an intermediate result is beyond the range of single precision
        undecided &= np.isfinite(single).all(axis=1) | np.isposinf(rounding) | np.isnan(rounding)
        reason = "where rounding leaves nothing to decide"
        seen = np.any([v for k, v in left_out.items() if k != reason], axis=0)
        left_out = left_out | {reason: undecided & ~seen}
        error = relative(single, truth)
        tolerance = np.where(scale > 0, rounding / scale, 0.0)
        wrong = ~(error <= tolerance)
    return Judgement(truth, error, tolerance, wrong, {}, left_out)


def norm(vectors: np.ndarray) -> np.ndarray:
    """The norm of each row."""
    return np.linalg.norm(vectors, axis=1)


def relative(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """‖a − b‖ / max(‖a‖, ‖b‖) of each row: 0 if they are equal, infinite if one is not finite."""
    gap = norm(a - b)
    error = gap / np.fmax(norm(a), norm(b))
    return np.where(gap == 0, 0.0, np.where(np.isfinite(error), error, np.inf))


def _slack(derivative: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """How far the complex step may be off: its own roundings, of operations four times as many."""
    return 5 * rounding + 1e-12 * norm(derivative) + 1e-30
