"""What is to be certified: a function and its derivative on flat points, and where to look."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._inputs import ObjectiveLike, as_count, as_objective, as_points, is_count
from gdjax._util.errors import ArgumentError, first_line
from gdjax._util.memory import check_fits
from gdjax._util.types import PyTree
from gdjax.objectives import Objective
from gdjax.objectives.closures import unshared
from gdjax.objectives.structure import Structure, is_flat

# More directions than this would cost more than they tell: a random set of so many takes over.
DIRECTIONS = 32
NUMBERS_KEPT = 100  # at each point and component: above all differences over twenty steps, twice
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
Bounds = Sequence[Sequence[float | int] | np.ndarray] | np.ndarray  # a (low, high) a dimension


class Problem(NamedTuple):
    """A derivative to be certified, on flat points ``(d,)``.

    Args:
        name: of the function.
        kind: ``gradient`` or ``Hessian``.
        structure: how a flat point is the user's.
        value: point → ``(m,)``, what is differentiated: the function itself, or its gradient.
        derivatives: by ``hand``, ``reverse`` and ``forward``: point → ``(c,)``. The last one, and
            differences, are taken along ``directions`` only.
        directions: ``(p, d)``; the identity, or a random set of unit vectors.
        points: where to look, ``(n, d)``.
        drawn: how many of them were drawn at random; the others come last.
        width: a length in each dimension, for steps, ``(d,)``.
        kink: point → ``(k,)``, whose zeros are kinks, or None.
        domain: ``(d, 2)``, or None.
        variables: the names of the components.
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

    @property
    def subject(self) -> str:
        """The derivative to be certified: the hand-derived one, or else reverse mode."""
        return "hand" if "hand" in self.derivatives else "reverse"

    def project(self, derivative: np.ndarray) -> np.ndarray:
        """A gradient along ``directions``; a Hessian has been taken along them already."""
        full = self.kind == "gradient" and len(self.directions) < self.directions.shape[1]
        return derivative @ self.directions.T if full else derivative

    def component(self, index: int) -> int | str:
        """The name of one component of the derivative."""
        if self.kind == "gradient":
            return self.name_of(index)
        row, column = divmod(index, len(self.directions))
        every = len(self.directions) == self.structure.size
        across = self.name_of(column) if every else f"direction {column}"
        return f"({self.name_of(row)}, {across})"

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
        name, domain = objective.name, objective.domain if domain is None else domain
        if domain is None and around is None:
            around = objective.shaped(np.asarray(objective.start))
        fn = _with_data(objective.fn, objective)
        derivative = derivative or (objective.gradient if kind == "gradient" else objective.hessian)
    if derivative is not None:
        derivative = _with_data(derivative, objective)
    box = None if domain is None else _box(domain)
    structure, where, drawn = _where(points, box, around, np.random.default_rng(seed), objective)
    directions = np.eye(structure.size)
    if structure.size > DIRECTIONS:
        directions = np.random.default_rng(seed + 1).standard_normal((DIRECTIONS, structure.size))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    reach = np.abs(where).max(axis=0)
    ways = _gradients if kind == "gradient" else _hessians
    on_flat = lambda flat: fn(structure.unflatten(flat))  # noqa: E731
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
        drawn=drawn,
        width=np.where(reach > 0, reach, 1.0) if box is None else np.ptp(box, axis=1),
        kink=objective.kink if objective else None,
        domain=box,
        variables=objective.variables if objective else structure.names,
    )
    _check_shapes(problem, on_flat, hand)
    return problem


def _along(fn: OnFlat, directions: np.ndarray, flat: jax.Array) -> jax.Array:
    """Forward mode along each direction, the last axis."""
    ways = jnp.asarray(directions, flat.dtype)
    return jax.vmap(lambda way: jax.jvp(fn, (flat,), (way,))[1], out_axes=-1)(ways)


def _gradients(
    fn: OnFlat, hand: Derivative | None, structure: Structure, directions: np.ndarray, name: str
) -> tuple[OnFlat, dict[str, OnFlat]]:
    """What is differentiated, and every gradient of a function."""
    found: dict[str, OnFlat] = {}
    if hand is not None:
        found["hand"] = lambda flat: structure.flatten(hand(flat), f"the gradient of {name}")
    found["reverse"] = jax.grad(fn)
    found["forward"] = lambda flat: _along(fn, directions, flat)
    return lambda flat: jnp.reshape(fn(flat), (1,)), found


def _hessians(
    fn: OnFlat, hand: Derivative | None, structure: Structure, directions: np.ndarray, name: str
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


def _check_shapes(problem: Problem, fn: OnFlat, derivative: Derivative | None) -> None:
    point = jnp.asarray(problem.points[0])  # flat, for a pytree may hold more than arrays
    returned = _shape_of(fn, point, problem.name)
    if not isinstance(returned, jax.ShapeDtypeStruct):
        raise ArgumentError(f"{problem.name} must return one real number, got a pytree")
    if returned.shape != () or not jnp.issubdtype(returned.dtype, np.floating):
        kind = f"{returned.dtype} of shape {returned.shape}"
        raise ArgumentError(f"{problem.name} must return one real number, got {kind}")
    if derivative is None:
        return
    what = f"the {problem.kind} of {problem.name}"
    returned = _shape_of(derivative, point, what)
    if problem.kind == "gradient":
        problem.structure.flatten(jax.tree.map(lambda x: np.zeros(x.shape), returned), what)
        return
    d = problem.structure.size
    if getattr(returned, "shape", None) != (d, d):
        got = Structure(returned, what) if jax.tree.leaves(returned) else returned
        raise ArgumentError(f"{what} must be an array of shape {(d, d)}, got {got}")


def _shape_of(fn: Derivative, point: jax.Array, what: str) -> PyTree:
    try:
        return jax.eval_shape(fn, point)
    except ArgumentError:
        raise
    except Exception as error:
        raise ArgumentError(
            f"{what} cannot be traced by JAX, so write it in jax.numpy: {first_line(error)}"
        ) from error


def _box(domain: Bounds) -> np.ndarray:
    """The domain as pairs ``(d, 2)``, checked as an objective checks its own."""
    return np.asarray(Objective(name="domain", fn=abs, domain=domain).domain)


def _where(
    points: PyTree,
    box: np.ndarray | None,
    around: PyTree | None,
    rng: np.random.Generator,
    objective: Objective | None,
) -> tuple[Structure, np.ndarray, int]:
    """The points to look at: drawn in a box, drawn around a point, or given one by one."""
    known = objective is not None
    if not is_count(points):
        if known:
            where = as_points(objective, points, "points")
            structure = objective.structure or Structure(where[0])
        else:
            given = _given(points)
            if not given:
                raise ArgumentError("points must hold at least one point, got none")
            structure = Structure(given[0], "points")
            where = np.stack([structure.flatten(point, "every point") for point in given])
        if box is not None and structure.size != len(box):
            raise ArgumentError(f"points must have {len(box)} components, got {structure.size}")
        drawn = 0
    else:
        points = as_count("points", points, 1)
        if around is not None:
            if known:
                middle = objective.flat(around, "around")
                structure = objective.structure or Structure(middle)
            else:
                around = np.asarray(around) if is_flat(around) else around
                structure = Structure(around, "around")
                middle = structure.flatten(around, "around")
                _check_finite(middle[None], structure, "around")
            spread = 0.1 * np.maximum(np.abs(middle), np.sqrt(np.mean(middle**2)) or 1.0)
            _check_memory(points, structure.size)
            where = middle + spread * rng.standard_normal((points, structure.size))
            special = [middle]
        elif box is not None:
            structure = (known and objective.structure) or Structure(np.zeros(len(box)))
            low, high = box.T
            _check_memory(points, len(box))
            where = rng.uniform(low, high, (points, len(box)))
            special = _special(box, where, objective)
        else:
            raise ArgumentError("points must be given, or a domain or a point to draw them around")
        # Numbers that single precision holds can be looked at in both precisions.
        where = where.astype(np.float32).astype(float)
        where = np.concatenate([where, np.unique(np.stack(special), axis=0)])
        drawn = int(points)
    _check_finite(where, structure, "points")
    return structure, where, drawn


def _check_memory(points: int, dim: int) -> None:
    """Refuse more points than fit: themselves, and what every estimate keeps at each of them."""
    what = f"points={points:,} in {dim} dimension{'s' * (dim > 1)}"
    check_fits(8 * NUMBERS_KEPT * points * dim, what, "take fewer points")


def _check_finite(points: np.ndarray, structure: Structure, argument: str) -> None:
    broken = np.argwhere(~np.isfinite(points))
    if len(broken):
        point, index = broken[0]
        component = index if structure.is_vector else structure.names[index]
        which = f" of point {point}" if len(points) > 1 else ""
        raise ArgumentError(
            f"{argument} must be finite, got {points[point, index]} in component {component}{which}"
        )


def _given(points: PyTree) -> list[PyTree]:
    """Points as a list: from ``(n, d)``, ``(d,)``, one pytree, or a list of points."""
    if isinstance(points, list | tuple):
        numbers = all(np.ndim(x) == 0 and not isinstance(x, dict) for x in points)
        return [np.asarray(points, dtype=float)] if numbers else list(points)
    return list(points) if getattr(points, "ndim", 0) == 2 else [points]


def _special(box: np.ndarray, drawn: np.ndarray, objective: Objective | None) -> list[np.ndarray]:
    """Points at which guards and formulas are known to fail, and no random draw will ever be."""
    low, high = box.T
    special = [box.mean(axis=1)]
    if ((low <= 0) & (high >= 0)).all():
        special.append(np.zeros(len(box)))
    for i in range(min(len(box), 8)):
        if low[i] <= 0 <= high[i]:
            special.append(np.where(np.arange(len(box)) == i, 0.0, drawn[i % len(drawn)]))
    middle = drawn[0].mean()
    if len(box) > 1 and ((low <= middle) & (middle <= high)).all():
        special.append(np.full(len(box), middle))
    if objective is not None:
        known = *objective.known_minima, *objective.saddles, *objective.maxima
        special += map(np.asarray, (objective.start, *known))
    return special
