"""The verdict: at each point, which estimate is the outlier, and by how much."""

from typing import NamedTuple

import numpy as np

from gdjax.certificates.arithmetic import norm
from gdjax.certificates.estimates import Estimates
from gdjax.certificates.problem import Problem

# Differences contradict a derivative that is farther from them than this many times what they
# resolve. Right ones were never farther than 0.12 times, at 56,000 points all over the catalogue.
CONTRADICTION = 4.0
# Nothing is decided if roundings may amount to more than this share of the derivative.
UNDECIDED = 0.25
COMPLEX = 1e-12  # the complex step resolves this share of a derivative
# What underflows is not resolved, in float64 with what the complex step leaves, and in float32.
TINY, TINY_SINGLE = 1e-180, 2.0**-100


class Judgement(NamedTuple):
    """What the estimates decide at each of n points.

    Norms weigh every component by its width, and so say how far the function moves.

    Args:
        truth: the derivative that the majority stands for, ``(n, c)``.
        error: ‖subject − truth‖ / max(‖subject‖, ‖truth‖), ``(n,)``.
        tolerance: the largest such error that is rounding, ``(n,)``; where the subject is the
            outlier, of the components that are wrong.
        slack: how far roundings move each component, ``(n, c)``.
        share: the largest error of a component that decides, in what roundings do to it, ``(n,)``.
        wrong: where the subject is the outlier.
        component: the one that moves the function most, of those that are wrong, ``(n,)``.
        lost: where the truth is known along the problem's directions alone, ``(n,)``.
        outliers: where each estimate is the outlier, ``differences`` and ``complex step`` included.
        left_out: points that decide nothing, by the reason.
    """

    truth: np.ndarray
    error: np.ndarray
    tolerance: np.ndarray
    slack: np.ndarray
    share: np.ndarray
    wrong: np.ndarray
    component: np.ndarray
    lost: np.ndarray
    outliers: dict[str, np.ndarray]
    left_out: dict[str, np.ndarray]

    @property
    def kept(self) -> np.ndarray:
        """The points that decide, ``(n,)``."""
        return ~np.any(list(self.left_out.values()), axis=0)


class _Values(NamedTuple):
    """What values of the function say, and what that decides.

    Args:
        bad: which derivatives they contradict, ``(n, m·p)`` each.
        refuted: where ``differences`` and ``complex step`` are wrong themselves, ``(n,)`` each.
        best: the better one of the two, ``(n, m·p)``.
        bound: how far that can be off, ``(n, m·p)``.
    """

    bad: dict[str, np.ndarray]
    refuted: dict[str, np.ndarray]
    best: np.ndarray
    bound: np.ndarray


class _Sizes(NamedTuple):
    """How large errors are: see ``Judgement``."""

    error: np.ndarray
    tolerance: np.ndarray
    share: np.ndarray
    wrong: np.ndarray
    component: np.ndarray


@np.errstate(all="ignore")
def judge(problem: Problem, estimates: Estimates) -> Judgement:
    """Find the outlier at each point, component by component.

    Two derivatives agree if they differ by no more than what roundings can do to them. Whether
    they agree or not, central differences and the complex step are compared with them: these
    use values of the function alone, and so share no mistake with a derivative. The derivative
    that they contradict is the outlier; where they contradict each other, neither accuses one
    that the other speaks for. Where two derivatives disagree by less than these resolve, the
    outlier is the hand-derived one.
    """
    derivatives, subject, weights = estimates.derivatives, problem.subject, problem.weights
    finite = {key: ~_somewhere(~np.isfinite(derivative)) for key, derivative in derivatives.items()}
    roundings = _roundings(estimates, subject, finite)
    values = _by_values(problem, estimates, roundings)
    bad, found = values.bad, estimates.differences
    mine, rounding = derivatives[subject], roundings[subject]
    other = next(
        (key for key in ("reverse", "forward") if key in derivatives.keys() - {subject}), None
    )
    # NaN on one side only is a fault, at a kink as anywhere; there values say nothing.
    nan = {key: _somewhere(np.isnan(derivative)) for key, derivative in derivatives.items()}
    fault = nan[subject] & ~nan[other or subject]
    for key in bad.keys() - {subject}:
        bad[key] &= ~(fault & (estimates.on_kink | found.kinked) & finite[key])[:, None]
    wrong, truth = _spread(bad[subject], mine), mine
    differ, lost = np.zeros_like(wrong), wrong
    if other is not None:
        rounding, blamed = rounding + roundings[other], _spread(bad[other], mine)
        theirs = derivatives[other]
        if theirs.shape == mine.shape:
            differ = ~(np.abs(mine - theirs) <= rounding + TINY)
        else:  # forward mode along a few directions
            gap = np.abs(problem.project(mine) - theirs)
            differ = _spread(~(gap <= _along(problem, rounding)), mine)
            theirs = np.where(wrong, np.nan, mine)
        if wrong.shape != bad[subject].shape:  # which component it is, the other one knows
            wrong = np.where(_somewhere(differ & ~blamed)[:, None], differ, wrong)
        if subject == "hand":
            wrong = wrong | (differ & ~blamed)
        truth = np.where(differ & blamed & ~wrong, mine, theirs)
        lost = wrong & blamed
    # Where both are contradicted, only the estimates by values are left.
    slack = rounding
    if known := values.best.shape == mine.shape:
        truth = np.where(lost, values.best, truth)
        slack = np.where(lost, roundings[subject] + values.bound, rounding)
    left_out = _left_out(estimates, [differ, *bad.values()], fault, finite)
    accused, decided = _weighed(mine, truth, rounding, wrong, weights)
    unknown = _somewhere(lost) & (not known)
    accused |= (unknown & decided)[:, None]  # there is no gap where the truth is not known
    seen = np.any(list(left_out.values()), axis=0)
    left_out["where rounding leaves nothing to decide"] = (
        ~seen & finite[subject] & np.isfinite(truth).all(axis=1) & ~decided
    )
    outliers = {key: _somewhere(where) for key, where in bad.items()}
    outliers |= {subject: _somewhere(accused)} | values.refuted
    sizes = _measured(mine, truth, slack, accused, weights)
    if unknown.any():
        sizes = _measured_along(problem, sizes, unknown, mine, rounding, values)
    return Judgement(
        truth=truth, slack=slack, lost=unknown, outliers=outliers, left_out=left_out,
        **sizes._asdict(),
    )  # fmt: skip


def _measured_along(
    problem: Problem,
    sizes: _Sizes,
    unknown: np.ndarray,
    mine: np.ndarray,
    rounding: np.ndarray,
    values: _Values,
) -> _Sizes:
    """The sizes, along the problem's directions where the truth is not known beside them."""
    weights = problem.weights_along
    along, best = problem.project(mine) * weights, values.best * weights
    scale = np.fmax(norm(along), norm(best))
    bound = norm((_along(problem, rounding) + values.bound) * weights) / scale
    return sizes._replace(
        error=np.where(unknown, relative(along, best), sizes.error),
        tolerance=np.where(unknown, bound, sizes.tolerance),
    )


def _left_out(
    estimates: Estimates,
    doubts: list[np.ndarray],
    fault: np.ndarray,
    finite: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Where the function has no derivative, by the reason."""
    found = estimates.differences
    suspicious = np.any([_somewhere(where) for where in doubts], axis=0)
    # At the edge of where a function is defined there is no difference, nor a finite derivative.
    edge = ~np.any(list(finite.values()), axis=0) & _somewhere(~np.isfinite(found.bound))
    return {
        "where the function is not finite": _somewhere(~np.isfinite(estimates.values)) | edge,
        "on a kink or a jump": (estimates.on_kink | (suspicious & found.kinked)) & ~fault,
    }


def _roundings(
    estimates: Estimates, subject: str, finite: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """How far roundings move each derivative, by component: forward mode and by values too."""
    roundings = {
        key: np.where(finite[key][:, None], rounding, 0.0) if key in finite else rounding
        for key, rounding in estimates.roundings.items()
    }
    known = roundings.get("reverse", roundings[subject])
    return {"values": known} | roundings | {"forward": 4 * known}


def _along(problem: Problem, rounding: np.ndarray) -> np.ndarray:
    """The roundings along the problem's directions, ``(n, p)``, of those by component."""
    if problem.kind == "Hessian" or len(problem.directions) == rounding.shape[1]:
        return rounding
    return np.repeat(norm(rounding * problem.width)[:, None], len(problem.directions), axis=1)


def _spread(where: np.ndarray, like: np.ndarray) -> np.ndarray:
    """What holds along directions, as what holds by component."""
    same = where.shape == like.shape
    return where if same else np.broadcast_to(_somewhere(where)[:, None], like.shape)


def _by_values(problem: Problem, estimates: Estimates, roundings: dict[str, np.ndarray]) -> _Values:
    """Hold every derivative against the differences and the complex step.

    The complex step truncates nothing and cancels nothing, but takes four times as many operations,
    which round. Where it and the differences contradict each other, one of them is wrong, and a
    derivative that either of them speaks for is not accused.
    """
    found, by_complex_step = estimates.differences, estimates.complex_step
    resolved = CONTRADICTION * found.bound
    best, bound = found.estimate, resolved
    refuted = {key: np.zeros(len(best), bool) for key in ("differences", "complex step")}
    own, clear, apart = np.zeros_like(best), np.zeros(best.shape, bool), np.zeros(best.shape, bool)
    if not isinstance(by_complex_step, str):
        own = 5 * _along(problem, roundings["values"]) + COMPLEX * np.abs(by_complex_step) + TINY
        clear = np.isfinite(by_complex_step) & np.isfinite(own)
        apart = np.abs(by_complex_step - found.estimate) > resolved + own
        best, bound = np.where(clear, by_complex_step, best), np.where(clear, own, bound)
    bad = {}
    for key, derivative in estimates.derivatives.items():
        along = derivative if key == "forward" else problem.project(derivative)
        rounding = _along(problem, roundings[key])
        bad[key] = np.abs(along - found.estimate) > resolved + rounding + TINY
        if not isinstance(by_complex_step, str):
            off = clear & (np.abs(along - by_complex_step) > own + rounding)
            refuted["differences"] |= _somewhere(bad[key] & clear & ~off)
            refuted["complex step"] |= _somewhere(off & ~bad[key] & apart)
            bad[key] = np.where(clear, off & (bad[key] | ~apart), bad[key])
        bad[key] |= _somewhere(~np.isfinite(derivative))[:, None]
    return _Values(bad, refuted, best, bound)


def _weighed(
    mine: np.ndarray,
    truth: np.ndarray,
    rounding: np.ndarray,
    wrong: np.ndarray,
    weights: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Which components are wrong beyond doubt, ``(n, c)``, and which points decide, ``(n,)``.

    A component decides for itself where its own roundings are small beside it, and where all
    roundings together are small beside the whole derivative, for what is larger than they are.
    """
    size, whole = np.fmax(np.abs(mine), np.abs(truth)), norm(rounding * weights)
    clear = rounding <= UNDECIDED * size
    decides = whole <= UNDECIDED * np.fmax(norm(mine * weights), norm(truth * weights))
    large = decides[:, None] & ~(np.abs(mine - truth) * weights <= whole[:, None])
    broken = _somewhere(~np.isfinite(mine))
    accused = wrong & (clear | large | broken[:, None])
    return accused, decides | (clear & (size > 0)).any(axis=1)


def _measured(
    mine: np.ndarray,
    truth: np.ndarray,
    slack: np.ndarray,
    accused: np.ndarray,
    weights: np.ndarray,
) -> _Sizes:
    gap, wrong = np.abs(mine - truth), _somewhere(accused)
    scale = np.fmax(norm(mine * weights), norm(truth * weights))
    blamed = accused | ~wrong[:, None]
    tolerance = norm(np.where(blamed, slack * weights, 0.0))
    clear = slack <= UNDECIDED * np.fmax(np.abs(mine), np.abs(truth))
    share = np.where(clear & (gap > 0), gap / (slack + TINY), 0.0)
    moved = np.where(blamed, np.nan_to_num(gap * weights, nan=np.inf), -1.0)
    return _Sizes(
        relative(mine * weights, truth * weights),
        np.where(scale > 0, tolerance / scale, 0.0),
        np.max(share, axis=1), wrong, np.argmax(moved, axis=1),
    )  # fmt: skip


def _somewhere(where: np.ndarray) -> np.ndarray:
    """Which rows hold a True."""
    return np.asarray(np.any(where, axis=1))


@np.errstate(all="ignore")
def judge_single(
    truth: np.ndarray,
    single: np.ndarray,
    rounding: np.ndarray,
    left_out: dict[str, np.ndarray],
    weights: np.ndarray,
) -> Judgement:
    """The verdict on a derivative computed in float32, against the truth in float64.

    Args:
        truth: ``(n, c)``.
        single: the derivative in float32, at the same points.
        rounding: how far roundings can move it, ``(n, c)``.
        left_out: points that decide nothing, by the reason.
        weights: of the components, ``(c,)``.
    """
    wrong = ~(np.abs(single - truth) <= rounding + TINY_SINGLE)
    accused, decided = _weighed(single, truth, rounding, wrong, weights)
    undecided = ~decided & (np.abs(single) + np.abs(truth) != 0).any(axis=1)
    # infinite roundings: an intermediate result is beyond the range of single precision
    beyond = (np.isposinf(rounding) | np.isnan(rounding)).any(axis=1)
    undecided &= np.isfinite(single).all(axis=1) | beyond
    reason = "where rounding leaves nothing to decide"
    seen = np.any([v for k, v in left_out.items() if k != reason], axis=0)
    left_out = left_out | {reason: undecided & ~seen}
    sizes = _measured(single, truth, rounding, accused, weights)
    return Judgement(
        truth=truth, slack=rounding, lost=np.zeros_like(decided), outliers={}, left_out=left_out,
        **sizes._asdict(),
    )  # fmt: skip


def relative(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """‖a − b‖ / max(‖a‖, ‖b‖) of each row: 0 if they are equal, infinite if one is not finite."""
    gap = norm(a - b)
    error = gap / np.fmax(norm(a), norm(b))
    return np.where(gap == 0, 0.0, np.where(np.isfinite(error), error, np.inf))
