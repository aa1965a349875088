"""What is to be certified: a function and its derivative on flat points, and where to look."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdjax.errors import ArgumentError
from gdjax.objectives import Objective

# More directions than this would cost more than they tell: a random set of so many takes over.
DIRECTIONS = 32


class Tree(NamedTuple):
    """How a user's point, an array or a pytree of arrays, lies in one flat vector.

    Args:
        structure: the pytree's structure.
        shapes: of its leaves.
        paths: the leaves' names, such as ``['w']``; empty for a point that is one array.
    """

    structure: Any
    shapes: tuple[tuple[int, ...], ...]
    paths: tuple[str, ...]

    @classmethod
    def of(cls, point: Any) -> "Tree":
        """The layout of a point."""
        named, structure = jax.tree_util.tree_flatten_with_path(point)
        shapes = tuple(np.shape(leaf) for _, leaf in named)
        return cls(structure, shapes, tuple(jax.tree_util.keystr(path) for path, _ in named))

    @property
    def size(self) -> int:
        """The length d of the flat vector."""
        return sum(map(math.prod, self.shapes))

    def unflatten(self, flat: Any) -> Any:
        """The point of a flat vector ``(d,)``."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes]).tolist()
        leaves = [
            flat[end - math.prod(shape) : end].reshape(shape)
            for end, shape in zip(ends, self.shapes, strict=True)
        ]
        return jax.tree.unflatten(self.structure, leaves)

    def flatten(self, point: Any, argument: str) -> np.ndarray:
        """The flat vector of a point, or an ArgumentError where it is not laid out like this."""
        other = Tree.of(point)
        if other[:2] != self[:2]:
            raise ArgumentError(f"{argument} must be {self}, got {other}")
        try:
            leaves = [np.asarray(leaf, dtype=float).ravel() for leaf in jax.tree.leaves(point)]
        except (TypeError, ValueError):
            raise ArgumentError(f"{argument} must hold numbers, got {point!r}") from None
        return np.concatenate(leaves)

    def name(self, component: int) -> int | str:
        """A component as its user knows it: an index, or a path into the pytree."""
        if self.paths == ("",) and len(self.shapes[0]) <= 1:
            return component
        for path, shape in zip(self.paths, self.shapes, strict=True):
            if component < math.prod(shape):
                index = np.unravel_index(component, shape) if shape else ()
                return path + (f"[{', '.join(map(str, index))}]" if shape else "")
            component -= math.prod(shape)
        raise IndexError(component)

    def __str__(self) -> str:
        if self.paths == ("",):
            return f"an array of shape {self.shapes[0]}"
        leaves = zip(self.paths, self.shapes, strict=True)
        return f"a pytree of {', '.join(f'{path} {shape}' for path, shape in leaves)}"


class Problem(NamedTuple):
    """A derivative to be certified, on flat points ``(d,)``.

    Args:
        name: of the function.
        kind: ``gradient`` or ``Hessian``.
        tree: how a flat point is the user's.
        value: point → ``(m,)``, what is differentiated: the function itself, or its gradient.
        sides: the derivatives, by ``hand``, ``reverse`` and ``forward``: point → ``(c,)``. The
            last one, and differences, are taken along ``directions`` only.
        labels: what each side is called.
        directions: ``(p, d)``; the identity, or a random set of unit vectors.
        points: where to look, ``(n, d)``.
        drawn: how many of them were drawn at random; the others come last.
        width: a length in each dimension, for steps, ``(d,)``.
        kink: point → ``(k,)``, whose zeros are kinks, or None.
        domain: ``(d, 2)``, or None.
    """

    name: str
    kind: str
    tree: Tree
    value: Callable
    sides: dict[str, Callable]
    labels: dict[str, str]
    directions: np.ndarray
    points: np.ndarray
    drawn: int
    width: np.ndarray
    kink: Callable | None
    domain: np.ndarray | None

    @property
    def subject(self) -> str:
        """The side to be certified: the hand-derived one, or else reverse mode."""
        return "hand" if "hand" in self.sides else "reverse"

    def project(self, derivative: np.ndarray) -> np.ndarray:
        """A gradient along ``directions``; a Hessian has been taken along them already."""
        full = self.kind == "gradient" and len(self.directions) < self.directions.shape[1]
        return derivative @ self.directions.T if full else derivative

    def component(self, index: int) -> int | str:
        """The name of one component of the derivative."""
        if self.kind == "gradient":
            return self.tree.name(index)
        row, column = divmod(index, len(self.directions))
        across = (
            self.tree.name(column)
            if len(self.directions) == self.tree.size
            else f"direction {column}"
        )
        return f"({self.tree.name(row)}, {across})"


def pose(
    function: Objective | Callable,
    derivative: Callable | None,
    kind: str,
    points: Any,
    domain: Sequence[Any] | None,
    around: Any,
    seed: int,
) -> Problem:
    """The problem that a user's arguments pose; see ``gdjax.check_gradient`` for them.

    Raises:
        ArgumentError: a function that returns no scalar, a derivative of another shape than
            the point's, or points that are none.
    """
    objective = function if isinstance(function, Objective) else None
    fn: Callable = function.fn if isinstance(function, Objective) else function
    if objective is not None:
        domain = objective.domain if domain is None else domain
        given = objective.gradient if kind == "gradient" else objective.hessian
        derivative = given if derivative is None else derivative
    box = None if domain is None else _box(domain)
    tree, where, drawn = _where(points, box, around, np.random.default_rng(seed), objective)
    d = tree.size
    directions = np.eye(d)
    if d > DIRECTIONS:
        directions = np.random.default_rng(seed + 1).standard_normal((DIRECTIONS, d))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    reach = np.abs(where).max(axis=0)
    width = np.where(reach > 0, reach, 1.0) if box is None else np.ptp(box, axis=1)

    def flat_fn(flat: Any) -> Any:
        return fn(tree.unflatten(flat))

    def flat_derivative(flat: Any) -> Any:
        result = derivative(tree.unflatten(flat))  # type: ignore[misc]
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(result)])

    def along(inner: Callable, flat: Any) -> Any:
        ways = jnp.asarray(directions, flat.dtype)
        return jax.vmap(lambda way: jax.jvp(inner, (flat,), (way,))[1], out_axes=-1)(ways)

    sides: dict[str, Callable] = {"hand": flat_derivative} if derivative is not None else {}
    if kind == "gradient":
        value = lambda flat: jnp.reshape(flat_fn(flat), (1,))  # noqa: E731
        sides["reverse"] = jax.grad(flat_fn)
        sides["forward"] = lambda flat: along(flat_fn, flat)
        labels = {"hand": "hand", "reverse": "reverse mode", "forward": "forward mode"}
    else:
        value = slope = jax.grad(flat_fn)
        sides["reverse"] = lambda flat: jnp.ravel(along(slope, flat))
        sides["forward"] = lambda flat: jnp.ravel(along(lambda x: along(flat_fn, x), flat))
        if d > DIRECTIONS:
            del sides["forward"]
        if derivative is not None:
            hessian = derivative

            def hand(flat: Any) -> Any:
                return jnp.ravel(hessian(flat) @ jnp.asarray(directions.T, flat.dtype))

            sides["hand"] = hand
        labels = {
            "hand": "hand",
            "reverse": "forward over reverse",
            "forward": "forward over forward",
        }
    problem = Problem(
        name=objective.name if objective else getattr(function, "__name__", "function"),
        kind=kind, tree=tree, value=value, sides=sides, labels=labels, directions=directions,
        points=where, drawn=drawn, width=width, kink=objective.kink if objective else None,
        domain=box,
    )  # fmt: skip
    _check_shapes(problem, fn, derivative)
    return problem


def _check_shapes(problem: Problem, fn: Callable, derivative: Callable | None) -> None:
    point = problem.tree.unflatten(jnp.asarray(problem.points[0]))
    returned = _shape_of(fn, point, problem.name)
    if not isinstance(returned, jax.ShapeDtypeStruct):
        raise ArgumentError(f"{problem.name} must return one real number, got a pytree")
    if returned.shape != () or not jnp.issubdtype(returned.dtype, np.floating):
        kind = f"{returned.dtype} of shape {returned.shape}"
        raise ArgumentError(f"{problem.name} must return one real number, got {kind}")
    if derivative is None:
        return
    what = f"the {'gradient' if problem.kind == 'gradient' else 'Hessian'} of {problem.name}"
    returned = _shape_of(derivative, point, what)
    expected = problem.tree
    if problem.kind == "Hessian":
        d = problem.tree.size
        expected = Tree.of(jax.ShapeDtypeStruct((d, d), float))
    if Tree.of(returned)[:2] != expected[:2]:
        raise ArgumentError(f"{what} must be {expected}, got {Tree.of(returned)}")


def _shape_of(fn: Callable, point: Any, what: str) -> Any:
    try:
        return jax.eval_shape(fn, point)
    except ArgumentError:
        raise
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "")
        raise ArgumentError(
            f"{what} cannot be traced by JAX, so write it in jax.numpy: "
            f"{type(error).__name__}: {reason}"
        ) from error


def _box(domain: Sequence[Any]) -> np.ndarray:
    """The domain as pairs ``(d, 2)``, checked as an objective checks its own."""
    return np.asarray(Objective(name="domain", fn=abs, domain=domain).domain)


def _where(
    points: Any,
    box: np.ndarray | None,
    around: Any,
    rng: np.random.Generator,
    objective: Objective | None,
) -> tuple[Tree, np.ndarray, int]:
    """The points to look at: drawn in a box, drawn around a point, or given one by one."""
    if not isinstance(points, int | np.integer):
        given = _given(points)
        tree = Tree.of(given[0])
        where = np.stack([tree.flatten(point, "every point") for point in given])
        if box is not None and tree.size != len(box):
            raise ArgumentError(f"points must have {len(box)} components, got {tree.size}")
        drawn = 0
    else:
        if points < 1:
            raise ArgumentError(f"points must be at least 1, got {points}")
        if around is not None:
            tree = Tree.of(around)
            middle = tree.flatten(around, "around")
            spread = 0.1 * np.maximum(np.abs(middle), np.sqrt(np.mean(middle**2)) or 1.0)
            where = middle + spread * rng.standard_normal((points, tree.size))
            special = [middle]
        elif box is not None:
            tree = Tree.of(np.zeros(len(box)))
            low, high = box.T
            where = rng.uniform(low, high, (points, len(box)))
            special = _special(box, where, objective)
        else:
            raise ArgumentError("points must be given, or a domain or a point to draw them around")
        # Numbers that single precision holds can be looked at in both precisions.
        where = where.astype(np.float32).astype(float)
        where = np.concatenate([where, np.unique(np.stack(special), axis=0)])
        drawn = int(points)
    if not tree.size or not np.isfinite(where).all():
        raise ArgumentError(f"points must be finite and not empty, got {points!r}")
    return tree, where, drawn


def _given(points: Any) -> list[Any]:
    """Points as a list: from ``(n, d)``, ``(d,)``, one pytree, or a list of points."""
    if isinstance(points, list | tuple):
        numbers = all(np.ndim(x) == 0 and not isinstance(x, dict) for x in points)
        return [np.asarray(points, dtype=float)] if numbers else list(points)
    return list(points) if getattr(points, "ndim", 0) == 2 else [points]


def _special(box: np.ndarray, drawn: np.ndarray, objective: Objective | None) -> list[np.ndarray]:
    """Points at which guards and formulas are known to fail, and no random draw will ever be."""
    low, high = box.T
    special = [box.mean(axis=1)]
    origin = np.zeros(len(box))
    if ((low <= 0) & (high >= 0)).all():
        special.append(origin)
    for i in range(min(len(box), 8)):
        if low[i] <= 0 <= high[i]:
            special.append(np.where(np.arange(len(box)) == i, 0.0, drawn[i % len(drawn)]))
    middle = drawn[0].mean()
    if len(box) > 1 and ((low <= middle) & (middle <= high)).all():
        special.append(np.full(len(box), middle))
    if objective is not None:
        special.append(np.asarray(objective.start))
        for kind in (objective.minima, objective.local_minima, objective.saddles, objective.maxima):
            special += [np.asarray(point) for point in kind]
    return special
