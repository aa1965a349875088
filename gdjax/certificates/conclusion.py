"""What the estimates of a derivative amount to: the report of a certificate."""

from typing import NamedTuple

import numpy as np

from gdjax._inputs import DType
from gdjax._util.errors import ArgumentError
from gdjax.certificates.arithmetic import norm
from gdjax.certificates.decisive import decides, shortage
from gdjax.certificates.estimates import ROUNDINGS, SECONDS, STEPS, Estimates
from gdjax.certificates.gradient_report import Behaviour, Details, Estimate, GradientReport
from gdjax.certificates.patterns import patterns
from gdjax.certificates.problem import LABELS, Problem
from gdjax.certificates.verdict import Judgement, judge, judge_single


class Own(NamedTuple):
    """A tolerance of the user's own, as ``numpy.isclose`` has it: ``atol + rtol |truth|``.

    Args:
        rtol: relative to a component.
        atol: absolute.

    Raises:
        ArgumentError: from ``check``, one that is negative or no number.
    """

    rtol: float | int = 0.0
    atol: float | int = 0.0

    def check(self) -> "Own":
        """The same, or an ArgumentError that names what is wrong."""
        for name, value in self._asdict().items():
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not 0 <= value < np.inf:
                raise ArgumentError(f"{name} must be a number, at least 0, got {value!r:.200}")
        return self

    def granted(self, judged: Judgement, subject: str, mine: np.ndarray) -> Judgement:
        """The judgement without the errors that are within this tolerance."""
        if self == (0, 0):
            return judged
        close = np.isclose(mine, judged.truth, self.rtol, self.atol)
        within, beyond = close.all(axis=1), np.nan_to_num(np.abs(mine - judged.truth), nan=np.inf)
        outliers = judged.outliers
        if subject in outliers:
            outliers = outliers | {subject: outliers[subject] & ~within}
        worst = np.where(close, -1.0, beyond).argmax(axis=1)
        return judged._replace(
            wrong=judged.wrong & ~within,
            component=np.where(judged.wrong & ~within, worst, judged.component),
            outliers=outliers,
        )

    def __str__(self) -> str:
        return "" if self == (0, 0) else f"; rtol {self.rtol:g} and atol {self.atol:g} of your own"


NOTHING = Own()


def conclude(
    problem: Problem,
    dtype: DType,
    double: Estimates,
    single: Estimates | None,
    computed: dict[str, np.ndarray],
    is_steady: bool = False,
    own: Own = NOTHING,
) -> GradientReport:
    """The report on the estimates of a derivative.

    Args:
        problem: what was to be certified.
        dtype: which one the verdict is about.
        double: the estimates, with the roundings of float64.
        single: the same with the roundings of float32; None where there is no such precision.
        computed: the derivatives in float32, at the points of ``single``.
        is_steady: whether the derivative may be 0 everywhere.
        own: the tolerance that is granted beside that for rounding.
    """
    subject = problem.subject
    mine = double.derivatives[subject]
    judged = own.granted(judge(problem, double), subject, mine)
    main, estimates = judged, double
    behaviour = {}
    if single is not None:
        behaviour["float64"] = _behaviour(judged, double)
        at = judge(problem, single)
        found32 = computed[subject][: len(single.points)]
        coarse = judge_single(
            at.truth, found32, single.roundings[subject], at.left_out, problem.weights
        )
        coarse = own.granted(coarse, subject, found32)
        behaviour["float32"] = _behaviour(coarse, single)
        if dtype == "float32":
            main, estimates, mine = coarse, single, found32
    kept = main.kept
    wrong = main.wrong & kept
    few = "" if wrong.any() else shortage(problem, main, mine, is_steady)
    index = _worst(main, wrong)
    scale = np.fmax(norm(mine * problem.weights), norm(main.truth * problem.weights))
    scale = np.where(np.isfinite(scale), scale, norm(main.truth * problem.weights))
    component = int(main.component[index])
    name, entry = problem.component(component), ""
    if main.lost[index] and estimates.locate and problem.kind == "gradient":
        component, _, value = estimates.locate(estimates.points[index], mine[index], 0)
        name = problem.component(component)
        main = main._replace(truth=main.truth.copy())
        main.truth[index, component] = value
    elif wrong.any() and estimates.locate and problem.kind == "Hessian":
        row = component // len(problem.directions)
        column, own_value, value = estimates.locate(estimates.points[index], None, row)
        name = problem.entry(row, column)
        entry = f"entry {name} is {own_value:.9g} at the worst point where values say {value:.9g}"
    counts = {key: int((where & judged.kept).sum()) for key, where in judged.outliers.items()}
    found: tuple[str, ...] = ()
    if entry:
        found = (entry,)
    elif wrong.any():
        found = patterns(
            mine[kept], main.truth[kept], main.slack[kept], estimates.points[kept],
            problem.component, problem.name_of, problem.kind, problem.sizes,
        )  # fmt: skip
    worst = estimates.points[index]
    flat = problem.structure.is_vector
    return GradientReport(
        name=problem.name,
        kind=problem.kind,
        dtype=dtype,
        ok=not wrong.any() and not few,
        verdict=f"undecided: {few}" if few else _verdict(problem, wrong, kept, counts),
        points=problem.drawn or len(problem.points),
        special=len(problem.points) - problem.drawn if problem.drawn else 0,
        left_out={reason: int(where.sum()) for reason, where in main.left_out.items()},
        worst_point=tuple(worst.tolist()) if flat else problem.structure.unflatten(worst),
        component=name,
        error=float(main.error[index]) if kept.any() else np.nan,
        tolerance=float(main.tolerance[index]) if kept.any() else np.nan,
        estimates=_rows(problem, estimates, mine, main, counts, (index, component), scale[index]),
        patterns=found,
        warnings=_warnings(problem, double, judged, counts),
        behaviour=behaviour,
        reason=f"{_reason(problem)}{own}",
        details=_details(problem, estimates, main, wrong, decides(main, mine), scale, index),
    )


def _reason(problem: Problem) -> str:
    """Where the tolerance comes from."""
    if problem.on_host:
        return "what the differences resolve here"
    return f"what {ROUNDINGS:g} roundings of every operation do to it here"


@np.errstate(invalid="ignore", divide="ignore")
def _worst(judged: Judgement, wrong: np.ndarray) -> int:
    """The largest error among the wrong points; if none is, the one nearest to its tolerance."""
    if wrong.any():
        return int(np.where(wrong, judged.error, -1.0).argmax())
    share = np.where(judged.error > 0, judged.error / judged.tolerance, 0.0)
    return int(np.where(judged.kept, share, -1.0).argmax())


def _behaviour(judged: Judgement, estimates: Estimates) -> Behaviour:
    kept = judged.kept
    wrong = judged.wrong & kept
    index = int(np.where(wrong if wrong.any() else kept, judged.error, -1.0).argmax())
    undecided = judged.left_out["where rounding leaves nothing to decide"]
    return Behaviour(
        ok=bool(kept.any()) and not wrong.any(),
        error=float(judged.error[index]) if kept.any() else np.nan,
        tolerance=float(judged.tolerance[index]) if kept.any() else np.nan,
        point=estimates.points[index],
        typical=float(np.median(judged.error[kept])) if kept.any() else np.nan,
        undecided=int(undecided.sum()),
    )


def _verdict(problem: Problem, wrong: np.ndarray, kept: np.ndarray, counts: dict[str, int]) -> str:
    hand = problem.subject == "hand"
    what = f"the hand-derived {problem.kind}" if hand else f"the {problem.kind} by autodiff"
    if not wrong.any():
        return f"ok, {what} is right"
    count = f"{wrong.sum():,} of {kept.sum():,} points"
    if hand and counts.get("reverse", 0) >= wrong.sum():
        return f"WRONG: hand and autodiff differ from what the values say at {count}"
    return f"WRONG: {what} is the outlier at {count}"


def _rows(
    problem: Problem,
    estimates: Estimates,
    mine: np.ndarray,
    judged: Judgement,
    counts: dict[str, int],
    at: tuple[int, int],
    scale: float,
) -> dict[str, Estimate]:
    """Every estimate of one component at one point."""
    index, component = at
    truth, scale = judged.truth[index], scale or 1.0  # at a stationary point errors are absolute
    along = norm(problem.project(truth[None]))[0] or 1.0

    def row(values: np.ndarray, remark: str = "", outliers: int = 0) -> Estimate:
        if values.shape == mine.shape:
            value = float(values[index, component])
            error = float((value - truth[component]) * problem.weights[component] / scale)
            return Estimate(value, error, remark, outliers)
        gap = norm(values[[index]] - problem.project(truth[None]))[0] / along
        seen = f"{gap:.0e} off along {len(problem.directions)} random directions"
        return Estimate(np.nan, np.nan, ", ".join(filter(None, (seen, remark))), outliers)

    def absent(reason: str) -> Estimate:
        return Estimate(np.nan, np.nan, reason)

    labels = LABELS[problem.kind]
    rows = {
        labels[key]: absent(f"not applicable: {estimates.missing[key]}")
        if key in estimates.missing
        else row(mine if key == problem.subject else estimates.derivatives[key], "", counts[key])
        for key in problem.derivatives
    }
    found, by_complex_step = estimates.differences, estimates.complex_step
    remark = f"resolves {norm(found.bound[[index]])[0] / along:.0e}"
    if found.estimate.shape == mine.shape:
        bound = found.bound[index, component] * problem.weights[component] / scale
        remark = f"step {found.step[index, component]:.0e}, resolves {bound:.0e}"
    return rows | {
        "differences": row(found.estimate, remark, counts["differences"]),
        "complex step": absent(by_complex_step)
        if isinstance(by_complex_step, str)
        else row(by_complex_step, "", counts["complex step"]),
    }


def _warnings(
    problem: Problem, estimates: Estimates, judged: Judgement, counts: dict[str, int]
) -> tuple[str, ...]:
    """What is wrong with autodiff, or not known, although what is certified may be right."""
    said = []
    if problem.subject == "hand" and counts.get("reverse"):
        at = np.flatnonzero(judged.outliers["reverse"] & judged.kept)
        point = ", ".join(f"{x:.6g}" for x in estimates.points[at[0]][:6])
        nonfinite = ~np.isfinite(estimates.derivatives["reverse"][at]).all(axis=1)
        how = "not finite" if nonfinite.any() else "wrong"
        count = f"{len(at):,} point{'s' * (len(at) > 1)}"
        said.append(f"the {problem.kind} by autodiff is {how} at {count}, such as ({point})")
    asked, seen = len(problem.points), len(estimates.points)
    if seen < asked:
        said.append(f"only {seen:,} of {asked:,} points were looked at, in {SECONDS:g} s")
    lost = ~np.isfinite(estimates.values).all(axis=1)
    for rounding in estimates.roundings.values():
        lost |= np.isnan(rounding).any(axis=1)
    if estimates.turns and lost.any():
        said.append(
            f"a loop had not ended after {estimates.turns:,} turns, as it is or with roundings, at "
            f"{lost.sum():,} points, where its result counts as NaN"
        )
    if estimates.turns and (judged.wrong & judged.kept).any():
        said.append(
            f"a loop ends by a tolerance of its own, and a {problem.kind} of what it converges to "
            f"is right to no more than that: if that is what you see, grant it by rtol or atol"
        )
    for key in estimates.coarse:
        said.append(
            f"{LABELS[problem.kind][key]} computes in less than float64, so only errors beyond its "
            f"rounding are seen"
        )
    kinks = judged.left_out["on a kink or a jump"]
    for key, derivative in estimates.derivatives.items():
        lost = kinks & ~np.isfinite(derivative).all(axis=1)
        if key != "forward" and lost.any():
            kinks_of = f"{lost.sum():,} kink{'s' * (int(lost.sum()) > 1)}"
            said.append(f"{LABELS[problem.kind][key]} is not finite at {kinks_of}")
    return tuple(said)


@np.errstate(all="ignore")
def _details(
    problem: Problem,
    estimates: Estimates,
    judged: Judgement,
    wrong: np.ndarray,
    kept: np.ndarray,
    scale: np.ndarray,
    index: int,
) -> Details:
    found, weights = estimates.differences, problem.weights_along
    along = problem.project(judged.truth)
    scale = scale if along.shape == judged.truth.shape else norm(along)
    n, m, p, _ = found.curve.shape
    off = (found.curve - along.reshape(n, m, p, 1)) * weights.reshape(m, p, 1)
    curve = np.sqrt(np.sum(off**2, axis=(1, 2))) / scale[:, None]
    reached = norm((found.estimate - along) * weights) / scale
    return Details(
        estimates.points, judged.error, judged.tolerance, judged.share, wrong, kept, STEPS, curve,
        reached, problem.domain, problem.variables, index,
    )  # fmt: skip
