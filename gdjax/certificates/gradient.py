"""Certificates of derivatives for users: the problem, its estimates, the verdict, the report."""

from typing import Any

import jax
import numpy as np

from gdjax._inputs import DType, ObjectiveLike, as_dtype
from gdjax._util.arguments import as_seed
from gdjax._util.errors import ArgumentError
from gdjax._util.types import PyTree
from gdjax.certificates import host
from gdjax.certificates.conclusion import Own, conclude
from gdjax.certificates.decisive import brought_closer, is_steady, where_alive
from gdjax.certificates.estimates import Estimates, Estimators
from gdjax.certificates.gradient_report import GradientReport, repeat
from gdjax.certificates.problem import Bounds, Derivative, Problem, pose, running


def check_gradient(
    function: ObjectiveLike,
    gradient: Derivative | None = None,
    points: PyTree | None = None,
    *,
    domain: Bounds | None = None,
    around: PyTree | None = None,
    args: PyTree = (),
    dtype: DType = "float64",
    rtol: float | int = 0.0,
    atol: float | int = 0.0,
    traceable: bool | None = None,
    seed: int = 0,
) -> GradientReport:
    """Certify a hand-derived gradient; without one, certify what autodiff makes of the function.

    It is compared with four other estimates: ``jax.grad``, forward mode, central differences over
    steps of twelve decades, each at the bottom of its error curve, and the complex step where the
    function has a complex form. All of them are computed in float64. A difference counts as
    rounding if it is smaller than what 32 random roundings of every operation do to that component
    at that point. So cancellation and bad conditioning raise no false alarm, and hide no error
    that is larger than what they themselves cause.

    Besides the points that are drawn, it looks at points where guards and formulas often fail: the
    centre, the origin, points with a coordinate 0, and the known stationary points. Points on a
    kink are left out. Where nearly no point decides anything, as where a function underflows, as
    many are drawn closer to these points; if they do not decide either, the verdict is "undecided".

    Data of single precision that both function and gradient close over are exact: what is computed
    of them is computed in float64. Where only one of them holds an array, such as 3A beside A, the
    gradient is held to no more than the rounding of that array's dtype, and a warning says so.

    A function that JAX cannot trace, such as a simulator, is called on the host with NumPy arrays:
    its gradient is held against central differences, whose steps follow from the noise that its
    values are found to have. The warnings say so, and the table what the differences resolve.

    Args:
        function: an objective, or any function of a point ``(d,)`` or of a pytree → scalar. Points
            may be complex; its value may be too, where it is holomorphic.
        gradient: its gradient, of the same layout as the point; by default the objective's own. For
            complex points as ``jax.grad`` has it: ∂f/∂x − i ∂f/∂y, or the derivative of a
            holomorphic function.
        points: how many to draw in the domain, by default 1000, or fewer in more than a hundred
            dimensions; or the points themselves, an array ``(n, d)``, one pytree, or a list.
        domain: one (low, high) pair a dimension, to draw in; or a pytree like the point, whose
            leaves are such pairs, pairs of arrays or arrays ``(…, 2)``; or one pair for all numbers
            of ``around``. By default the objective's own.
        around: a point, which may be a pytree, to draw points around: normally distributed, a
            tenth of each number wide, and where it is 0 a tenth of its leaf's typical size.
        args: what function and gradient are handed after the point: data, pytrees of arrays.
        dtype: ``float64`` judges the formula; ``float32`` how the gradient behaves
            in single precision, against the truth in double.
        rtol: errors up to ``atol + rtol |truth|`` are granted in each component, beside those of
            rounding: for gradients of iterative solvers, which are right to what these reach.
        atol: likewise.
        traceable: whether JAX can trace the function; None finds it out. False calls it on the
            host, True refuses one that cannot be traced.
        seed: of the draw and of the rounding noise.

    Raises:
        ArgumentError: a function that returns no scalar, or can be traced no more than its
            gradient is given, a gradient of another layout than the point's, or no points.

    Example:
        >>> import gdjax
        >>> check_gradient(gdjax.objectives.get("qfsp")).ok
        True
        >>> f = lambda p: p["a"] * (p["b"]**2).sum()
        >>> wrong = lambda p: {"a": (p["b"]**2).sum(), "b": p["a"] * p["b"]}
        >>> report = check_gradient(f, wrong, {"a": 3.0, "b": np.array([1.0, 2.0])})
        >>> report.component, report.patterns[0]
        ('b[1]', 'component b[0] is off by a factor 0.5')
        >>> simulator = lambda p: float(np.interp(p[0], [0.0, 1.0], [0.0, 3.0]))
        >>> check_gradient(simulator, lambda p: np.array([3.0]), 9, domain=[(0.1, 0.9)]).ok
        True
    """
    own = Own(rtol, atol).check()
    return _certify(
        dtype, own, seed, function, gradient, "gradient", points, domain, around,
        args=args, traceable=traceable,
    )  # fmt: skip


def check_hessian(
    function: ObjectiveLike,
    hessian: Derivative | None = None,
    points: PyTree | None = None,
    *,
    domain: Bounds | None = None,
    around: PyTree | None = None,
    args: PyTree = (),
    dtype: DType = "float64",
    rtol: float | int = 0.0,
    atol: float | int = 0.0,
    seed: int = 0,
) -> GradientReport:
    """Certify a hand-derived Hessian; without one, certify autodiff's, as every Hessian step uses.

    The certificate of a gradient one order up: the Hessian's products with each unit vector are
    compared, or with a few random ones in more than 32 dimensions. The differences are those of
    the gradient by reverse mode. A guard that keeps the gradient of a function right, such as the
    double ``where``, can make its Hessian wrong.

    Args:
        function: an objective, or any function of a point ``(d,)`` → scalar.
        hessian: point ``(d,)`` → ``(d, d)``; by default the objective's own.
        points: as in ``check_gradient``, like all that follow.
        domain: where to draw.
        around: what to draw around.
        args: data.
        dtype: which one the verdict is about.
        rtol: granted beside rounding.
        atol: likewise.
        seed: of the draw and of the rounding noise.

    Raises:
        ArgumentError: as in ``check_gradient``.

    Example:
        >>> import gdjax
        >>> check_hessian(gdjax.objectives.get("rosenbrock"), points=100).ok
        True
    """
    own = Own(rtol, atol).check()
    return _certify(
        dtype, own, seed, function, hessian, "Hessian", points, domain, around,
        args=args, traceable=True,
    )  # fmt: skip


def assert_gradient(
    function: ObjectiveLike,
    gradient: Derivative | None = None,
    points: PyTree | None = None,
    **options: Any,
) -> None:
    """Fail with the table of ``check_gradient`` unless a gradient is right: for a user's own tests.

    Args:
        function: as in ``check_gradient``, like all that follow.
        gradient: of the function.
        points: how many, or which.
        **options: those of ``check_gradient``.

    Raises:
        AssertionError: the gradient is wrong, or too few points decide whether it is; the message
            ends with the call at its worst point.
        ArgumentError: as in ``check_gradient``.

    Example:
        >>> import gdjax
        >>> assert_gradient(lambda p: (p**2).sum(), lambda p: 2 * p, domain=[(-5, 5)] * 3)
    """
    report = check_gradient(function, gradient, points, **options)
    if not report.ok:
        worst = report.worst_point
        again = [np.array(worst) if isinstance(worst, tuple) else worst]
        kept = {key: value for key, value in options.items() if key not in ("domain", "around")}
        call = repeat("check_gradient", function, gradient, again, **kept)
        raise AssertionError(f"{report}\n  {call}")


def _certify(
    dtype: DType, own: Own, seed: int, *asked: Any, args: PyTree, traceable: bool | None
) -> GradientReport:
    dtype = as_dtype(dtype) or "float64"
    seed = as_seed(seed)
    with jax.enable_x64(True):  # whatever is traced, data that are closed over included
        problem = pose(*asked, seed=seed, args=args, traceable=traceable)
    if problem.on_host:
        if dtype != "float64":
            raise ArgumentError(f"dtype must be float64 for a function on the host, got {dtype}")
        problem, found, words = host.estimates(problem)
        report = conclude(problem, dtype, found, None, {}, own=own)
        return report._replace(warnings=(*words, *report.warnings))
    look = Estimators(problem)
    found = _estimates(look, problem, seed)
    report, words = conclude(problem, dtype, *found, own=own), ()
    if report.undecided:
        if problem.drawn:
            problem = brought_closer(problem, seed)
            found = _estimates(look, problem, seed)
        report = conclude(problem, dtype, *found, is_steady(problem), own)
        words = (where_alive(problem, report.details.kept),) if problem.drawn else ()
    return _with_warnings(report, problem, words)


def _estimates(
    look: Estimators, problem: Problem, seed: int
) -> tuple[Estimates, Estimates, dict[str, np.ndarray]]:
    """The estimates in double and in single precision, and the derivatives computed in single."""
    coarse = problem.points.astype(np.float32).astype(float)
    with running(problem.name):
        double, single = look(problem.points, "float64", seed), look(coarse, "float32", seed)
        return double, single, look.single(coarse)


def _with_warnings(
    report: GradientReport, problem: Problem, words: tuple[str, ...]
) -> GradientReport:
    """The report, with words of its own and with what the data hide of errors."""
    if problem.foreign:
        kept = report.details.tolerances[report.details.kept]
        seen = f"{np.median(kept):.0e}" if len(kept) else "any size"
        words = (
            *words,
            f"{problem.foreign}: errors below {seen} are not seen; let both compute such data "
            f"from the same arrays, or take them in args",
        )
    return report._replace(warnings=(*report.warnings, *words))
