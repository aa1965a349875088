"""Certificates for users: pose the problem, hear the referees, judge, report."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from gdjax._inputs import DType, ObjectiveLike, as_count, as_dtype
from gdjax._util.errors import ArgumentError
from gdjax.certificates.estimates import ROUNDINGS, STEPS, Estimates, Estimators
from gdjax.certificates.gradient_report import Behaviour, Details, GradientReport, Side
from gdjax.certificates.patterns import patterns
from gdjax.certificates.problem import Problem, pose
from gdjax.certificates.verdict import Judgement, judge, judge_single, norm


def check_gradient(
    function: ObjectiveLike,
    gradient: Callable | None = None,
    points: Any = 1000,
    *,
    domain: Sequence[Any] | None = None,
    around: Any = None,
    dtype: DType = "float64",
    seed: int = 0,
) -> GradientReport:
    """Certify a hand-derived gradient; without one, certify what autodiff makes of the function.

    Four referees stand beside it: ``jax.grad``, forward mode, central differences over steps of
    twelve decades, each at the bottom of its error curve, and the complex step where the function
    has a complex form. All of them work in float64. A difference counts as rounding if it is
    smaller than what 32 random roundings of every operation do to the gradient at that point, so
    that cancellation and bad conditioning raise no false alarm and hide no more than they must.

    To the points drawn, some are added at which guards and formulas fail: the centre, the origin,
    points with a coordinate 0, and the known stationary points. Points on a kink are left out.

    Args:
        function: an objective, or any function of a point ``(d,)`` or of a pytree → scalar.
        gradient: its gradient, of the same layout as the point; by default the objective's own.
        points: how many to draw in the domain; or the points themselves, an array ``(n, d)``, one
            pytree, or a list of points.
        domain: one (low, high) pair a dimension, to draw in; by default the objective's own.
        around: a point, which may be a pytree, to draw points around: normally distributed, a
            tenth of each number wide.
        dtype: ``float64`` judges the formula; ``float32`` how the gradient behaves
            in single precision, against the truth in double.
        seed: of the draw and of the rounding noise.

    Raises:
        ArgumentError: a function that returns no scalar or cannot be traced, a gradient of
            another layout than the point's, no points, or none that decide anything.

    Example:
        >>> import gdjax
        >>> check_gradient(gdjax.objectives.get("qfsp")).ok
        True
        >>> f = lambda p: p["a"] * (p["b"]**2).sum()
        >>> wrong = lambda p: {"a": (p["b"]**2).sum(), "b": p["a"] * p["b"]}
        >>> report = check_gradient(f, wrong, {"a": 3.0, "b": np.array([1.0, 2.0])})
        >>> report.component, report.patterns[0]
        ('b[1]', 'component b[0] is off by a factor 0.5')
    """
    return _certify(dtype, seed, function, gradient, "gradient", points, domain, around)


def check_hessian(
    function: ObjectiveLike,
    hessian: Callable | None = None,
    points: Any = 1000,
    *,
    domain: Sequence[Any] | None = None,
    around: Any = None,
    dtype: DType = "float64",
    seed: int = 0,
) -> GradientReport:
    """Certify a hand-derived Hessian; without one, certify autodiff's, as every Hessian step uses.

    The certificate of a gradient one order up, product by product with each unit vector (or
    with 32 random ones where there are more dimensions). The differences are those of the
    gradient by reverse mode. A guard that keeps the gradient of a function right, such as the
    double ``where``, can make its Hessian wrong.

    Args:
        function: an objective, or any function of a point ``(d,)`` → scalar.
        hessian: point ``(d,)`` → ``(d, d)``; by default the objective's own.
        points: as in ``check_gradient``, and so are the rest.
        domain: where to draw.
        around: what to draw around.
        dtype: which one the verdict is about.
        seed: of the draw and of the rounding noise.

    Raises:
        ArgumentError: as in ``check_gradient``.

    Example:
        >>> import gdjax
        >>> check_hessian(gdjax.objectives.get("rosenbrock"), points=100).ok
        True
    """
    return _certify(dtype, seed, function, hessian, "Hessian", points, domain, around)


def assert_gradient(
    function: ObjectiveLike,
    gradient: Callable | None = None,
    points: Any = 1000,
    **options: Any,
) -> None:
    """Fail with the table of ``check_gradient`` if a gradient is wrong: for a user's own tests.

    Args:
        function: as in ``check_gradient``, and so are the rest.
        gradient: of the function.
        points: how many, or which.
        **options: ``domain``, ``around``, ``dtype``, ``seed``.

    Raises:
        AssertionError: the gradient is wrong.
        ArgumentError: as in ``check_gradient``.

    Example:
        >>> import gdjax
        >>> assert_gradient(lambda p: (p**2).sum(), lambda p: 2 * p, domain=[(-5, 5)] * 3)
    """
    report = check_gradient(function, gradient, points, **options)
    if not report.ok:
        raise AssertionError(str(report))


def _certify(dtype: Any, seed: Any, *asked: Any) -> GradientReport:
    dtype = as_dtype(dtype) or "float64"
    seed = as_count("seed", seed, 0)
    with jax.enable_x64(True):  # whatever is traced, data that are closed over included
        problem = pose(*asked, seed=seed)
    referees = Estimators(problem)
    double = referees(problem.points, "float64", seed)
    coarse = problem.points.astype(np.float32).astype(float)
    single = referees(coarse, "float32", seed)
    return conclude(problem, dtype, double, single, referees.single(coarse))


def conclude(
    problem: Problem,
    dtype: DType,
    double: Estimates,
    single: Estimates,
    computed: dict[str, np.ndarray],
) -> GradientReport:
    """The report on what the referees said.

    Args:
        problem: what was to be certified.
        dtype: which one the verdict is about.
        double: the evidence for the roundings of float64.
        single: that for the roundings of float32.
        computed: the derivatives in float32, at the points of ``single``.
    """
    judged = judge(problem, double)
    at = judge(problem, single)
    subject = problem.subject
    judged32 = judge_single(at.truth, computed[subject], single.roundings[subject], at.left_out)
    behaviour = {"float64": _behaviour(judged, double), "float32": _behaviour(judged32, single)}
    main, evidence = (judged, double) if dtype == "float64" else (judged32, single)
    mine = double.sides[subject] if dtype == "float64" else computed[subject]
    kept = main.kept
    if not kept.any():
        reasons = ", ".join(f"{v.sum():,} {k}" for k, v in main.left_out.items() if v.any())
        raise ArgumentError(f"{problem.name}: no point decides anything: {reasons}")
    wrong = main.wrong & kept
    index = _worst(main, wrong)
    scale = np.fmax(norm(mine), norm(main.truth))
    scale = np.where(np.isfinite(scale), scale, norm(main.truth))
    component = int(np.nan_to_num(np.abs(mine - main.truth)[index], nan=np.inf).argmax())
    counts = {side: int((odd & judged.kept).sum()) for side, odd in judged.odd.items()}
    found: tuple[str, ...] = ()
    if wrong.any():
        slack = main.tolerance * scale
        found = patterns(
            mine[kept], main.truth[kept], slack[kept], evidence.points[kept],
            problem.component, problem.name_of, problem.kind,
        )  # fmt: skip
    point = problem.structure.unflatten(evidence.points[index])
    flat = problem.structure.is_vector
    return GradientReport(
        name=problem.name,
        kind=problem.kind,
        dtype=dtype,
        ok=not wrong.any(),
        verdict=_verdict(problem, wrong, kept, counts),
        points=problem.drawn or len(problem.points),
        special=len(problem.points) - problem.drawn if problem.drawn else 0,
        left_out={reason: int(where.sum()) for reason, where in main.left_out.items()},
        worst_point=tuple(evidence.points[index].tolist()) if flat else point,
        component=problem.component(component),
        error=float(main.error[index]),
        tolerance=float(main.tolerance[index]),
        sides=_sides(problem, evidence, mine, main, counts, index, component),
        patterns=found,
        warnings=_warnings(problem, double, judged, counts),
        behaviour=behaviour,
        reason=f"what {ROUNDINGS:g} roundings of every operation do to it here",
        details=_details(problem, evidence, main, wrong, kept, scale, index),
    )


def _worst(judged: Judgement, wrong: np.ndarray) -> int:
    """The largest error among the wrong points; if none is, the one nearest to its tolerance."""
    if wrong.any():
        return int(np.where(wrong, judged.error, -1.0).argmax())
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(judged.error > 0, judged.error / judged.tolerance, 0.0)
    return int(np.where(judged.kept, share, -1.0).argmax())


def _behaviour(judged: Judgement, evidence: Estimates) -> Behaviour:
    kept = judged.kept
    wrong = judged.wrong & kept
    index = int(np.where(wrong if wrong.any() else kept, judged.error, -1.0).argmax())
    undecided = judged.left_out["where rounding leaves nothing to decide"]
    return Behaviour(
        ok=not wrong.any(),
        error=float(judged.error[index]),
        tolerance=float(judged.tolerance[index]),
        point=evidence.points[index],
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


def _sides(
    problem: Problem,
    evidence: Estimates,
    mine: np.ndarray,
    judged: Judgement,
    counts: dict[str, int],
    index: int,
    component: int,
) -> dict[str, Side]:
    """Every side's word on one component at one point."""
    truth = judged.truth[index]
    scale = float(np.fmax(norm(mine[[index]]), norm(truth[None]))[0])
    scale = scale if np.isfinite(scale) else float(norm(truth[None])[0])
    scale = scale or 1.0  # at a stationary point errors are absolute

    def side(values: np.ndarray, remark: str = "", odd: int = 0) -> Side:
        if values.shape == mine.shape:
            value = values[index, component]
            return Side(float(value), float((value - truth[component]) / scale), remark, odd)
        gap = norm(values[[index]] - problem.project(truth[None]))[0] / scale
        seen = f"{gap:.0e} off along {len(problem.directions)} random directions"
        return Side(np.nan, np.nan, ", ".join(filter(None, (seen, remark))), odd)

    rows: dict[str, Side] = {}
    for key in problem.sides:
        if key in evidence.missing:
            row = Side(np.nan, np.nan, f"not applicable: {evidence.missing[key]}")
        else:
            values = mine if key == problem.subject else evidence.sides[key]
            row = side(values, odd=counts.get(key, 0))
        rows[problem.labels[key]] = row
    found = evidence.differences
    remark = f"resolves {norm(found.bound[[index]])[0] / scale:.0e}"
    if found.estimate.shape == mine.shape:
        remark = f"step {found.step[index, component % len(problem.directions)]:.0e}, {remark}"
    rows["differences"] = side(found.estimate, remark, counts.get("differences", 0))
    rows["complex step"] = (
        Side(np.nan, np.nan, evidence.complex_step)
        if isinstance(evidence.complex_step, str)
        else side(evidence.complex_step)
    )
    return rows


def _warnings(
    problem: Problem, evidence: Estimates, judged: Judgement, counts: dict[str, int]
) -> tuple[str, ...]:
    """What is wrong with autodiff, though the hand-derived side is what is certified."""
    said = []
    odd = judged.odd.get("reverse")
    if problem.subject == "hand" and odd is not None and counts["reverse"]:
        at = np.flatnonzero(odd & judged.kept)
        point = ", ".join(f"{x:.6g}" for x in evidence.points[at[0]][:6])
        nonfinite = ~np.isfinite(evidence.sides["reverse"][at]).all(axis=1)
        how = "not finite" if nonfinite.any() else "wrong"
        count = f"{len(at):,} point{'s' * (len(at) > 1)}"
        said.append(f"the {problem.kind} by autodiff is {how} at {count}, such as ({point})")
    kinks = judged.left_out["on a kink or a jump"]
    for side in ("hand", "reverse"):
        if side in evidence.sides:
            lost = kinks & ~np.isfinite(evidence.sides[side]).all(axis=1)
            if lost.any():
                said.append(f"{problem.labels[side]} is not finite at {lost.sum():,} kinks")
    return tuple(said)


def _details(
    problem: Problem,
    evidence: Estimates,
    judged: Judgement,
    wrong: np.ndarray,
    kept: np.ndarray,
    scale: np.ndarray,
    index: int,
) -> Details:
    found = evidence.differences
    n, p = found.bound.shape
    along = problem.project(judged.truth)
    with np.errstate(all="ignore"):
        off = found.curve - along.reshape(n, -1, p, 1)
        curve = np.sqrt(np.sum(off**2, axis=(1, 2))) / scale[:, None]
        reached = norm(found.estimate - along) / scale
    return Details(
        evidence.points, judged.error, judged.tolerance, wrong, kept, STEPS, curve, reached,
        problem.domain, problem.variables, index,
    )  # fmt: skip
