"""Minimisers of scipy and optimistix, run with every evaluation of the objective counted."""

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._inputs import DType, default_dtype
from gdjax._util.errors import ArgumentError, check_known
from gdjax._util.types import PointFunction
from gdjax.objectives import GradientSide, Objective

Visit = Callable[[jax.Array], tuple[jax.Array, jax.Array | None]]

# Methods of scipy.optimize.minimize that need neither Hessian nor constraints.
SCIPY = {
    "bfgs": "BFGS", "cg": "CG", "l_bfgs_b": "L-BFGS-B", "newton_cg": "Newton-CG", "tnc": "TNC",
    "slsqp": "SLSQP", "nelder_mead": "Nelder-Mead", "powell": "Powell", "cobyla": "COBYLA",
}  # fmt: skip
VALUES_ALONE = ("nelder_mead", "powell", "cobyla")
OPTIMISTIX = {
    "bfgs": "BFGS", "dfp": "DFP", "lbfgs": "LBFGS", "nonlinear_cg": "NonlinearCG",
    "nelder_mead": "NelderMead",
}  # fmt: skip
TOLERANCE = 1e-12  # so tight that a run ends with the budget, or at the limit of the precision


class ExternalSolver(NamedTuple):
    """A minimiser of another library; it is run as it is, with nothing to tune.

    Args:
        library: ``scipy`` or ``optimistix``.
        method: as ``names`` has it.
    """

    library: str
    method: str

    def __repr__(self) -> str:
        return f"{self.library}.{self.method}"


class Counted(NamedTuple):
    """What the runs of an external solver from n starts met, and cost.

    Args:
        values: the value at each point that was evaluated, the last one repeated when the run
            had ended, ``(n, budget)``.
        functions, gradients: how many of each were evaluated, ``(n,)``.
    """

    values: np.ndarray
    functions: np.ndarray
    gradients: np.ndarray


class _Spent(Exception):  # noqa: N818  (an end, not an error)
    """The budget is used up."""


def names() -> tuple[str, ...]:
    """Every external solver's name, whether its library is installed or not.

    Example:
        >>> {"scipy.bfgs", "optimistix.nonlinear_cg"} <= set(names())
        True
    """
    return *(f"scipy.{m}" for m in SCIPY), *(f"optimistix.{m}" for m in OPTIMISTIX)


def get(name: str) -> ExternalSolver:
    """The external solver of that name.

    Raises:
        ArgumentError: an unknown name, or one whose library is not installed.
    """
    check_known("external solver", name, names())
    library, method = name.split(".")
    if library == "optimistix":
        _optimistix()
    return ExternalSolver(library, method)


def run(
    solver: ExternalSolver,
    objective: Objective,
    starts: np.ndarray,
    budget: int,
    gradient: GradientSide = "autodiff",
    dtype: DType = "float64",
) -> Counted:
    """Minimise from every start, and count.

    Args:
        solver: of ``get``.
        objective: what to minimise.
        starts: ``(n, d)``.
        budget: the most points to evaluate from each start.
        gradient: which gradient it is given, ``autodiff`` or ``hand``.
        dtype: in which the objective is evaluated.

    Example:
        >>> import gdjax
        >>> f = gdjax.objectives.get("booth")
        >>> found = run(get("scipy.bfgs"), f, np.array([[5.0, 5.0]]), budget=50)
        >>> found.values.min() < 1e-9, found.functions == found.gradients
        (np.True_, array([ True]))
    """
    values = np.empty((len(starts), budget))
    functions, gradients = np.zeros(len(starts), int), np.zeros(len(starts), int)
    one = _scipy_run if solver.library == "scipy" else _optimistix_run
    with default_dtype(dtype), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of the libraries: the values show what happened
        for i, start in enumerate(starts):
            met, gradients[i] = one(solver.method, objective, gradient, start, budget)
            functions[i] = len(met)
            values[i] = np.concatenate([met, np.full(budget - len(met), met[-1])])
    return Counted(values, functions, gradients)


def lowest(objective: Objective, starts: Iterable[np.ndarray], budget: int = 1000) -> float:
    """The lowest value that BFGS finds from any of the starts, for an f* that is not known.

    Raises:
        ArgumentError: the values fall without an end.
    """
    solver = ExternalSolver("scipy", "bfgs")
    values = np.concatenate([run(solver, objective, x[None], budget).values for x in starts])
    found = np.nanmin(values)
    scale = 1 + np.nanmax(np.abs(values[:, 0]))
    if not found > -1e6 * scale:
        raise ArgumentError(
            f"objective {objective.name} must have a least value to rank by, and seems to be "
            f"unbounded below: {found:.3g} was met"
        )
    return float(found)


@functools.lru_cache(maxsize=32)
def _compiled(objective: Objective, gradient: GradientSide, alone: bool) -> Visit:
    """Point → its value, and the gradient there unless the value alone is wanted."""

    def visit(f: Objective, point: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        return (f.value(point), None) if alone else f.value_and_gradient(gradient)(point)

    return functools.partial(jax.jit(visit), objective)


def _scipy_run(
    method: str, objective: Objective, gradient: GradientSide, start: np.ndarray, budget: int
) -> tuple[list[float], int]:
    from scipy import optimize

    alone = method in VALUES_ALONE
    visit, met = _compiled(objective, gradient, alone), []

    def visited(point: np.ndarray) -> float | tuple[float, np.ndarray]:
        if len(met) >= budget:
            raise _Spent
        height, slope = visit(jnp.asarray(point, dtype=float))
        met.append(float(height))
        return met[-1] if alone else (met[-1], np.asarray(slope, float))

    # The errors but the first are those of NaN: the values up to there are what it met.
    with contextlib.suppress(_Spent, ValueError, FloatingPointError, np.linalg.LinAlgError):
        optimize.minimize(
            visited, start, jac=not alone,
            method=SCIPY[method], tol=TOLERANCE, options={"maxiter": budget},
        )  # fmt: skip
    return met, 0 if alone else len(met)


def _optimistix() -> ModuleType:
    try:
        import optimistix
    except ImportError:
        raise ArgumentError(
            "the solvers of optimistix need it installed: pip install 'gdjax[rivals]'"
        ) from None
    return optimistix


def _optimistix_run(
    method: str, objective: Objective, gradient: GradientSide, start: np.ndarray, budget: int
) -> tuple[list[float], int]:
    log = _Log()
    minimise = _minimiser(method, objective, gradient, budget, jax.dtypes.canonicalize_dtype(float))
    _LOGS.append(log)
    try:
        jax.block_until_ready(minimise(jnp.asarray(start, dtype=float)))
        jax.effects_barrier()
    finally:
        _LOGS.pop()
    return log.values[:budget], min(log.gradients, budget)


class _Log:
    """What a run evaluated."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.gradients = 0


_LOGS: list[_Log] = []  # the run under way is the last


@functools.lru_cache(maxsize=32)
def _minimiser(
    method: str, objective: Objective, gradient: GradientSide, budget: int, dtype: np.dtype
) -> PointFunction:
    """Start → where optimistix ends; every evaluation calls back, and so does every gradient.

    A gradient is counted where optimistix transposes the linearised function, as it does for
    accepted points alone.
    """
    del dtype  # part of the key: another precision is another program
    library = _optimistix()
    solver = getattr(library, OPTIMISTIX[method])(rtol=TOLERANCE, atol=TOLERANCE)
    value_and_gradient = objective.value_and_gradient(gradient)

    def count_value(value: jax.Array) -> None:
        _LOGS[-1].values.append(float(value))

    def count_gradient(_: object) -> None:
        _LOGS[-1].gradients += 1

    @jax.custom_jvp
    def counted(point: jax.Array) -> jax.Array:
        value = objective.value(point)
        jax.debug.callback(count_value, value)
        return value

    def push(slope: jax.Array, tangent: jax.Array) -> jax.Array:
        return jnp.vdot(slope, tangent)

    def pull(slope: jax.Array, cotangent: jax.Array) -> jax.Array:
        jax.debug.callback(count_gradient, cotangent)
        return cotangent * slope

    @counted.defjvp
    def _(points: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
        slope = value_and_gradient(points[0])[1]
        moved = jax.custom_derivatives.linear_call(push, pull, slope, tangents[0])
        return counted(points[0]), moved

    @jax.jit
    def minimise(start: jax.Array) -> jax.Array:
        return library.minimise(
            lambda point, _: counted(point), solver, start, max_steps=budget, throw=False
        ).value

    return minimise
