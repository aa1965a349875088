"""What is to be certified: a function and its derivative on flat points, and where to look."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from gdjax._inputs import ObjectiveLike, as_objective
from gdjax._util.errors import ArgumentError, first_line
from gdjax._util.types import Flat, PyTree
from gdjax.certificates.complex_points import (
    ComplexStructure,
    check_complex,
    conjugate,
    real_part,
)
from gdjax.certificates.lifting import coarse_by, foreign, has_coarse, in_words, lifted
from gdjax.certificates.sampling import sample
from gdjax.objectives import Objective
from gdjax.objectives.closures import unshared
from gdjax.objectives.structure import Structure

# More directions than DIRECTIONS would cost more than they tell: FEW random ones take over.
DIRECTIONS, FEW = 32, 4
POINTS = 1000  # by default; in more than a hundred dimensions, a hundred thousand numbers in all
LABELS = {  # what each derivative is called
    "gradient": {"hand": "hand", "reverse": "reverse mode", "forward": "forward mode"},
    "Hessian": {
        "hand": "hand",
        "reverse": "forward over reverse",
        "forward": "forward over forward",
    },
}

OnFlat = Callable[[jax.Array], jax.Array]  # of a flat point
Derivative = Callable[..., PyTree]  # of a point as the user has it, and the objective's args
Bounds = PyTree  # (low, high) pairs, by dimension or by leaf: what ``pairs_of`` takes


class UntraceableError(ArgumentError):
    """A function, or a derivative of it, that JAX cannot trace."""


@contextlib.contextmanager
def running(name: str) -> Iterator[None]:
    """What a function raises as it runs, such as in a callback, in one line."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        raise ArgumentError(f"{name} fails as it runs: {first_line(error)}") from error


class Problem(NamedTuple):
    """A derivative to be certified, on flat points ``(d,)``.

    Args:
        name: of the function.
        kind: ``gradient`` or ``Hessian``.
        structure: how a flat point is the user's.
        value: point → ``(m,)``, what is differentiated: the function itself, or its gradient.
        derivatives: by ``hand``, ``reverse`` and ``forward``: point → ``(c,)``. The last one, and
            differences, are taken along ``directions`` only.
        directions: ``(p, d)``; the identity, or a random set of unit vectors times the width.
        points: where to look, ``(n, d)``.
        drawn: how many of them were drawn at random; the others come last.
        width: a length in each dimension, for steps, ``(d,)``.
        kink: point → ``(k,)``, whose zeros are kinks, or None.
        domain: ``(d, 2)``, or None.
        variables: the names of the components.
        centres: points near which the function may be alive, ``(k, d)``.
        written: ``value`` as its user wrote it, with rules for its derivatives, where it computes
            in float64 with data of less.
        foreign: which such data only one side holds, so that the derivative is no more exact.
        on_host: why the function runs on the host and is not traced; empty where it is.
        sizes: lengths of the data that it is handed.
        along: directions ``(q, d)`` → what is certified of a Hessian, along these.
    """

    name: str
    kind: str
    structure: Structure
    value: OnFlat
    derivatives: dict[str, OnFlat]
    directions: np.ndarray
    points: np.ndarray
    drawn: int
    width: np.ndarray
    kink: OnFlat | None
    domain: np.ndarray | None
    variables: Sequence[str]
    centres: np.ndarray = np.zeros((0, 0))
    written: OnFlat | None = None
    foreign: str = ""
    on_host: str = ""
    sizes: tuple[int, ...] = ()
    along: Callable[[jax.Array], OnFlat] | None = None

    @property
    def subject(self) -> str:
        """The derivative to be certified: the hand-derived one, or else reverse mode."""
        return "hand" if "hand" in self.derivatives else "reverse"

    def project(self, derivative: np.ndarray) -> np.ndarray:
        """A gradient along ``directions``; a Hessian has been taken along them already."""
        full = self.kind == "gradient" and len(self.directions) < self.directions.shape[1]
        return derivative @ self.directions.T if full else derivative

    @property
    def weights(self) -> np.ndarray:
        """How much each component of the derivative counts in a norm, ``(c,)``: its width.

        So a norm says how far the function moves, in whatever units its components are.
        """
        width = self.width / self.width.max()
        if self.kind == "gradient":
            return width
        every = len(self.directions) == len(width)
        return np.outer(width, width if every else np.ones(len(self.directions))).ravel()

    @property
    def weights_along(self) -> np.ndarray:
        """The same of a derivative along ``directions``, which have the widths in them."""
        few = self.kind == "gradient" and len(self.directions) < len(self.width)
        return np.ones(len(self.directions)) if few else self.weights

    def component(self, index: int) -> int | str:
        """The name of one component of the derivative."""
        if self.kind == "gradient":
            return self.name_of(index)
        row, column = divmod(index, len(self.directions))
        if len(self.directions) == self.structure.size:
            return self.entry(row, column)
        return f"({self.name_of(row)}, direction {column})"

    def entry(self, row: int, column: int) -> str:
        """The name of an entry of a Hessian."""
        return f"({self.name_of(row)}, {self.name_of(column)})"

    def name_of(self, component: int) -> int | str:
        """The name of one component of the point: a number, or a path into the pytree."""
        return component if self.structure.is_vector else self.structure.names[component]


def pose(
    function: ObjectiveLike,
    derivative: Derivative | None,
    kind: str,
    points: PyTree,
    domain: Bounds | None,
    around: PyTree | None,
    seed: int,
    args: PyTree = (),
    traceable: bool | None = None,
) -> Problem:
    """The problem that a user's arguments pose; see ``gdjax.check_gradient`` for them.

    Raises:
        ArgumentError: a function that returns no scalar, a derivative of another shape than
            the point's, or points that are none.
    """
    if callable(function) and not isinstance(function, Objective):
        objective, fn = None, unshared(function)
        name = getattr(function, "__name__", "function")
    else:
        objective = as_objective(function)
        name, fn = objective.name, objective.fn
        domain = objective.domain if domain is None else domain
        if domain is None and around is None:
            around = objective.shaped(np.asarray(objective.start))
        derivative = derivative or (objective.gradient if kind == "gradient" else objective.hessian)
    given = args is not None and not (isinstance(args, tuple | list) and not args)
    data = _holding(args, objective, name) if given else objective
    if data is not None:
        fn = _with_data(objective.fn if objective else fn, data)
    if derivative is not None:
        derivative = _with_data(derivative, data)
    points = _count(domain, around, objective) if points is None else points
    found = sample(points, domain, around, np.random.default_rng(seed), objective)
    structure, where = found.structure, found.points
    if structure.size <= DIRECTIONS:
        directions = np.eye(structure.size)
    else:
        directions = np.random.default_rng(seed + 1).standard_normal((FEW, structure.size))
        directions *= found.width / np.linalg.norm(directions, axis=1, keepdims=True)
    ways = _gradients if kind == "gradient" else _hessians
    on_flat = real_part(fn, structure)
    hand = derivative and (lambda flat: derivative(structure.unflatten(flat)))
    value, derivatives = ways(on_flat, hand, structure, directions, name)
    problem = Problem(
        name=name,
        kind=kind,
        structure=structure,
        value=value,
        derivatives=derivatives,
        directions=directions,
        points=where,
        drawn=found.drawn,
        width=found.width,
        kink=unshared(objective.kink) if objective and objective.kink else None,
        domain=found.domain,
        variables=objective.variables if objective else structure.names,
        centres=found.centres,
        sizes=_lengths(data),
    )
    if kind == "Hessian":
        again = lambda to: _hessians(on_flat, hand, structure, to, name)[1][problem.subject]  # noqa: E731
        problem = problem._replace(along=again)
    if traceable is False:
        return problem._replace(on_host="traceable=False")
    try:
        traced = _check_shapes(problem, on_flat, hand)
    except UntraceableError as error:
        if kind == "Hessian":
            row = "check_gradient certifies its rows there, as the gradients of a gradient's parts"
            raise UntraceableError(
                f"{error}; a Hessian has no certificate on the host, but {row}"
            ) from error
        if traceable or hand is None or not _runs(on_flat, hand, where[0]):
            raise
        return problem._replace(on_host=str(error).partition(", so write")[0])
    if isinstance(structure, ComplexStructure):
        check_complex(fn, structure, kind, where, name)
    return _in_double(problem, *traced)


def _count(domain: Bounds | None, around: PyTree | None, objective: Objective | None) -> int:
    """How many points to draw by default."""
    if around is not None:
        size = sum(map(np.size, jax.tree.leaves(around)))
    elif domain is not None:
        size = sum(map(np.size, jax.tree.leaves(domain))) // 2
    else:
        size = objective.dim if objective else 1
    return POINTS if size <= 100 else max(10, 100 * POINTS // size)


def _holding(args: PyTree, objective: Objective | None, name: str) -> Objective:
    """An objective that holds the data which are handed over after the point."""
    if objective is not None:
        return objective.with_args(*(args if isinstance(args, tuple | list) else (args,)))
    return Objective(name=name, fn=abs, start=(0.0,), args=args)


def _lengths(data: Objective | None) -> tuple[int, ...]:
    """Every length above 1 that the data have along some axis, or in all."""
    arrays = jax.tree.leaves(data.args) if data is not None else []
    shapes = [(*np.shape(array), int(np.size(array))) for array in arrays]
    return tuple(sorted({length for shape in shapes for length in shape if length > 1}))


def _runs(fn: Derivative, derivative: Derivative, point: np.ndarray) -> bool:
    """Whether a function and its derivative give numbers for a NumPy point."""
    try:
        value = np.asarray(fn(point), dtype=float)
        derivative(point)
    except Exception:  # what tracing said of it is told
        return False
    return value.size == 1


def _along(fn: OnFlat, directions: Flat, flat: jax.Array) -> jax.Array:
    """Forward mode along each direction, the last axis."""
    ways = jnp.asarray(directions, flat.dtype)
    return jax.vmap(lambda way: jax.jvp(fn, (flat,), (way,))[1], out_axes=-1)(ways)


def _gradients(
    fn: OnFlat, hand: Derivative | None, structure: Structure, directions: np.ndarray, name: str
) -> tuple[OnFlat, dict[str, OnFlat]]:
    """What is differentiated, and every gradient of a function."""
    found: dict[str, OnFlat] = {}
    if hand is not None:

        def derived(flat: Flat) -> Any:
            found = structure.flatten(conjugate(hand(flat)), f"the gradient of {name}")
            return jnp.asarray(found) if isinstance(flat, jax.Array) else found

        found["hand"] = derived
    found["reverse"] = jax.grad(fn)
    found["forward"] = lambda flat: _along(fn, directions, flat)
    return lambda flat: _numpy(flat).reshape(fn(flat), (1,)), found


def _numpy(array: Flat) -> Any:
    """The NumPy of an array: its own or JAX's."""
    return np if isinstance(array, np.ndarray) else jnp


def _hessians(
    fn: OnFlat, hand: Derivative | None, structure: Structure, directions: Flat, name: str
) -> tuple[OnFlat, dict[str, OnFlat]]:
    """The gradient by reverse mode, and every Hessian of a function, along the directions."""
    slope = jax.grad(fn)
    found: dict[str, OnFlat] = {}
    if hand is not None:
        found["hand"] = lambda flat: jnp.ravel(hand(flat) @ jnp.asarray(directions.T, flat.dtype))
    found["reverse"] = lambda flat: jnp.ravel(_along(slope, directions, flat))
    if len(directions) == structure.size:
        found["forward"] = lambda flat: jnp.ravel(
            _along(lambda at: _along(fn, directions, at), directions, flat)
        )
    return slope, found


def _with_data(fn: Derivative, objective: Objective | None) -> Derivative:
    """A function of the point alone; the objective's data have the point's dtype."""
    fn = unshared(fn)
    if objective is None or not objective.args:
        return fn

    def bound(point: PyTree) -> PyTree:
        floats = [x.dtype for x in jax.tree.leaves(point) if hasattr(x, "dtype")]
        return fn(point, *objective.cast(jnp.result_type(*floats)).args)

    return bound


def _in_double(problem: Problem, function: ClosedJaxpr, hand: ClosedJaxpr | None) -> Problem:
    """The same problem, in float64 over data of less; or as coarse as what only one side holds."""
    if not any(map(has_coarse, filter(None, (function, hand)))):
        return problem
    derivatives, words = problem.derivatives, ""
    ways = {key: lifted(fn) for key, fn in derivatives.items()}
    if hand is not None:
        try:
            reverse = jax.make_jaxpr(derivatives["reverse"])(jnp.asarray(problem.points[0]))
        except Exception:  # such as that there is no reverse mode through a while loop
            reverse = None
        mine, theirs = foreign(function, reverse, hand)
        ways["hand"] = lifted(derivatives["hand"], coarse_by(mine, theirs))
        sides = {f"only the {problem.kind}": mine, "only the function": theirs}
        words = "; ".join(f"{side} holds {in_words(x)}" for side, x in sides.items() if x)
    return problem._replace(
        derivatives=ways, value=lifted(problem.value), written=problem.value, foreign=words
    )


def _check_shapes(
    problem: Problem, fn: OnFlat, derivative: Derivative | None
) -> tuple[ClosedJaxpr, ClosedJaxpr | None]:
    """Refuse a function or a derivative of the wrong shape; what was traced of both."""
    point = jnp.asarray(problem.points[0])  # flat, for a pytree may hold more than arrays
    function, returned = _traced(fn, point, problem.name)
    if not isinstance(returned, jax.ShapeDtypeStruct):
        raise ArgumentError(f"{problem.name} must return one real number, got a pytree")
    if returned.shape != () or not jnp.issubdtype(returned.dtype, np.floating):
        kind = f"{returned.dtype} of shape {returned.shape}"
        raise ArgumentError(f"{problem.name} must return one real number, got {kind}")
    if derivative is None:
        return function, None
    what = f"the {problem.kind} of {problem.name}"
    hand, returned = _traced(derivative, point, what)
    if problem.kind == "gradient":
        _check_layout(problem.structure, returned, what)
        return function, hand
    d = problem.structure.size
    if getattr(returned, "shape", None) != (d, d):
        got = Structure(returned, what) if jax.tree.leaves(returned) else returned
        raise ArgumentError(f"{what} must be an array of shape {(d, d)}, got {got}")
    return function, hand


def _check_layout(structure: Structure, returned: PyTree, what: str) -> None:
    """Refuse a gradient of another layout than the point's, or of numbers that are none."""
    try:
        structure.flatten(jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), returned), what)
    except ArgumentError:
        odd = [x for x in jax.tree.leaves(returned) if np.dtype(x.dtype).kind not in "fiu"]
        if not odd:
            raise
        got = f"{odd[0].dtype} of shape {odd[0].shape}"
        raise ArgumentError(f"{what} must be {structure}, of real numbers, got {got}") from None


def _traced(fn: Derivative, point: jax.Array, what: str) -> tuple[ClosedJaxpr, PyTree]:
    """A function as JAX traces it, and the shapes of what it returns."""
    try:
        traced, shape = jax.make_jaxpr(fn, return_shape=True)(point)
    except ArgumentError:
        raise
    except Exception as error:
        raise UntraceableError(
            f"{what} cannot be traced by JAX, so write it in jax.numpy: {first_line(error)}"
        ) from error
    if "callback" in str(traced):
        try:
            jax.eval_shape(jax.vmap(fn), point[None])
        except NotImplementedError as error:
            raise ArgumentError(
                f"{what} cannot be computed at several points, as jax.pure_callback does by "
                f"vmap_method='sequential': {first_line(error)}"
            ) from error
    return traced, shape
