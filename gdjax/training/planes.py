"""Planes through a landscape: which directions a slice is laid along, and how wide it is."""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from gdjax import curvature
from gdjax._inputs import is_count
from gdjax._util.arguments import refused
from gdjax._util.errors import ArgumentError, check_known
from gdjax.objectives import Objective
from gdjax.training.spectrum import Sharpness, sharpness

PlaneName = Literal["random", "pca", "between", "hessian", "axes"]
PLANES: tuple[str, ...] = get_args(PlaneName)
BESIDE = 0.25  # beyond the points of a plane between them, in its widths
STILL = 1e-6  # of the widest spread of a path: what is narrower is rounding


class Plane(NamedTuple):
    """A line or a plane: the points ``origin + coordinates @ directions``.

    Args:
        origin: the point whose coordinates are 0, ``(d,)``.
        directions: ``(k, d)``.
        center: coordinates of the point that the plane is laid through, ``(k,)``.
        names: what the axes are called.
        window: from where to where it is looked at by default, ``(k, 2)``.
        says: what kind of plane it is, in words.
        ends: coordinates of the points that it lies between, ``(n, k)``.
        top: the eigenvalues of which it has the directions.
    """

    origin: np.ndarray
    directions: np.ndarray
    center: np.ndarray
    names: tuple[str, ...]
    window: np.ndarray
    says: str
    ends: np.ndarray
    top: Sharpness | None = None

    def points(self, coordinates: np.ndarray) -> np.ndarray:
        """The points ``(…, d)`` at some coordinates ``(…, k)``."""
        return self.origin + coordinates @ self.directions

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        """Coordinates ``(m, k)`` of the points of the plane nearest to some points ``(m, d)``."""
        units, sides = np.linalg.qr(self.directions.T)
        return np.linalg.solve(sides, ((points - self.origin) @ units).T).T

    @property
    def units(self) -> np.ndarray:
        """Unit vectors at right angles that span it, ``(k, d)``, the first along its first axis."""
        return np.linalg.qr(self.directions.T)[0].T


def random(f: Objective, point: np.ndarray, dims: int, seed: int) -> Plane:
    """Random directions, filter by filter as long as the weights.

    Of a leaf with two or more dimensions, what leads to one output unit, its last index, is a
    filter; vectors and scalars, as biases are, are held. Where there is no such leaf, a direction
    is as long as the whole point.

    Reference:
        Li, Xu, Taylor, Studer & Goldstein 2018, Visualizing the Loss Landscape of Neural Nets,
        NeurIPS, sec. 4.
    """
    # Drawn in single precision, so that both precisions see the same plane.
    keys = jax.random.split(jax.random.key(seed), dims)
    drawn = np.asarray([jax.random.normal(key, (f.dim,), jnp.float32) for key in keys], float)
    scaled = np.asarray([_by_filters(f, point, one) for one in drawn])
    length = float(np.linalg.norm(point)) or reach(f, point)
    if (np.linalg.norm(scaled, axis=1) > 0).all():
        says = f"{_some('random direction', dims)}, each unit's weights as long as they are"
    else:
        scaled = drawn * length / np.linalg.norm(drawn, axis=1, keepdims=True)
        says = f"{_some('random direction', dims)} of length {length:.4g}"
        says += ", as the point has" if np.linalg.norm(point) else ""
    names = tuple(f"random direction {i + 1}" for i in range(dims))
    return _through(point, scaled, names, np.ones(dims), says)


def _by_filters(f: Objective, point: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """A direction each of whose filters is as long as the point's; 0 where there are no filters."""
    found, first = np.zeros_like(drawn), 0
    for _, shape in f.structure.leaves if f.structure else ():
        last = first + math.prod(shape)
        if len(shape) > 1:
            weights, along = (x[first:last].reshape(-1, shape[-1]) for x in (point, drawn))
            ratio = np.linalg.norm(weights, axis=0) / np.linalg.norm(along, axis=0)
            found[first:last] = (along * ratio).ravel()
        first = last
    return found


def pca(f: Objective, point: np.ndarray, path: np.ndarray | None, dims: int) -> Plane:
    """The directions in which a path lies farthest from a point, in the mean of the squares.

    Raises:
        ArgumentError: a path of fewer than three points, or one that does not move.
    """
    if path is None or len(path) < 3:
        came = "none" if path is None else f"{len(path)}"
        raise ArgumentError(f"plane=pca needs a path of at least 3 points, got {came}")
    apart = path - point
    _, spread, found = np.linalg.svd(apart, full_matrices=False)
    if spread[0] <= STILL * max(np.abs(path).max(), 1e-300):
        raise ArgumentError("plane=pca needs a path that moves, and all points of it are the same")
    found = _orthonormal(found[: min(dims, int((spread > STILL * spread[0]).sum()))], f.dim, dims)
    sides = np.sign(found @ apart[0])  # the path begins where coordinates are positive
    found = found * np.where(sides == 0, 1, sides)[:, None]
    names = tuple(f"principal direction {i + 1}" for i in range(dims))
    says = f"{_some('principal direction', dims)} of the path about its centre"
    return _through(point, found, names, np.zeros(dims), says)


def between(f: Objective, points: Sequence[np.ndarray], dims: int | None) -> Plane:
    """The line between two points, by its share from the first to the second; a plane of three.

    The plane has the unit of length of the points, its first axis from the first to the second.

    Raises:
        ArgumentError: another number of points, or points that span no such plane.
    """
    dims = len(points) - 1 if dims is None else dims
    if dims not in (1, 2) or len(points) != dims + 1:
        raise ArgumentError(
            f"plane=between needs two points for a line and three for a plane, got {len(points)}"
            + f" with dims={dims}" * (len(points) in (2, 3))
        )
    first, *others = points
    sides = np.asarray([other - first for other in others])
    size = max(np.linalg.norm(sides, axis=1).max(), 1e-300)
    spread = np.linalg.svd(sides / size, compute_uv=False)
    scale = max(np.abs(points).max() / size, 1)
    if spread[-1] <= STILL * scale or not np.any(sides):
        what = "two different points" if dims == 1 else "three points that lie on no line"
        raise ArgumentError(f"plane=between needs {what}")
    directions = sides
    if dims == 2:
        along = sides[0] / np.linalg.norm(sides[0])
        across = sides[1] - (sides[1] @ along) * along
        directions = np.asarray([along, across / np.linalg.norm(across)])
    made = Plane(first, directions, np.zeros(dims), ("from A to B", "towards C")[:dims],
                 np.zeros((dims, 2)), "", np.zeros((0, dims)))  # fmt: skip
    ends = np.eye(2)[:, 1:] if dims == 1 else made.coordinates(np.asarray(points))
    low, high = ends.min(axis=0), ends.max(axis=0)
    window = np.stack([low - BESIDE * (high - low), high + BESIDE * (high - low)], axis=1)
    says = "the line through two points" if dims == 1 else "the plane through three points"
    return made._replace(window=window, says=says, ends=ends)


def hessian(f: Objective, point: np.ndarray, dims: int, seed: int) -> Plane:
    """The eigenvectors of the largest eigenvalues of the Hessian."""
    top = sharpness(f, point, dims, seed=seed)
    vectors = _orthonormal(np.asarray(top.vectors, float), f.dim, dims)
    if len(top.values) < dims:  # of equal eigenvalues Lanczos finds one
        values, residuals = curvatures(f, point, vectors)
        top = Sharpness(values, residuals, vectors)
    pairs = zip(top.values, top.residuals, strict=True)
    names = tuple(f"eigenvector of λ = {value:.4g} ± {residual:.1g}" for value, residual in pairs)
    which = "eigenvectors of the two largest eigenvalues", "eigenvector of the largest eigenvalue"
    says = f"the {which[dims == 1]} of the Hessian"
    return _through(point, vectors, names, np.full(dims, reach(f, point)), says, top)


def axes(f: Objective, point: np.ndarray, picked: Sequence[Any] | None, dims: int | None) -> Plane:
    """One or two of the variables; the coordinates are these themselves.

    Raises:
        ArgumentError: no such variables, or more or fewer than there are dimensions.
    """
    if picked is None:
        picked = range(min(dims or 2, f.dim))
    several = isinstance(picked, list | tuple | range)
    if not several or not 1 <= len(picked) <= 2 or len(picked) != (dims or len(picked)):
        raise refused("axes", f"be {dims or 'one or two'} of the variables of {f.name}", picked)
    found: list[int] = []
    for one in picked:
        if isinstance(one, str):
            check_known(f"variable of {f.name}", one, f.variables)
            one = f.variables.index(one)
        if not is_count(one) or not 0 <= one < f.dim:
            raise ArgumentError(
                f"axes must lie between 0 and {f.dim - 1}, as {f.name} has {f.dim:,} variables, "
                f"got {one!r:.100}"
            )
        if int(one) in found:
            raise ArgumentError(f"axes must be two different variables, got {one!r} twice")
        found.append(int(one))
    units, origin, center = np.zeros((len(found), f.dim)), point.copy(), point[found]
    units[np.arange(len(found)), found], origin[found] = 1, 0
    if f.bounded:
        window = np.asarray(f.domain, float)[found]
    else:
        window = center[:, None] + np.maximum(1, abs(center))[:, None] * [-1, 1]
    names = tuple(f.variables[i] for i in found)
    says = (
        f"the plane of {' and '.join(names)}" if len(names) == 2 else f"the line along {names[0]}"
    )
    return Plane(origin, units, center, names, window, says, np.zeros((0, len(found))))


def reach(f: Objective, point: np.ndarray) -> float:
    """How far to look about a point, where nothing else says so."""
    if f.bounded:
        return float(f.width.min() / 4)
    return float(np.linalg.norm(point) / 4) or 1.0


def curvatures(f: Objective, point: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Second derivatives along unit vectors, ``(k,)``; and how far each is from an eigenvector."""
    at = jnp.asarray(point, float)
    found = np.asarray(_products(f.cast(at.dtype), at, jnp.asarray(units, float)), float)
    values = np.sum(found * units, axis=1)
    return values, np.linalg.norm(found - values[:, None] * units, axis=1)


@jax.jit
def _products(f: Objective, point: jax.Array, vectors: jax.Array) -> jax.Array:
    def product(vector: jax.Array) -> jax.Array:
        return curvature.hessian_vector_product(f.value, point, vector)

    return jax.lax.map(product, vectors)


def _orthonormal(vectors: np.ndarray, dim: int, count: int) -> np.ndarray:
    """Vectors at right angles, filled up to so many with random ones."""
    found = [*vectors]
    draw = np.random.default_rng(0)
    while len(found) < count:
        new = draw.normal(size=dim)
        for _ in range(2):
            for old in found:
                new = new - (new @ old) * old
        found.append(new / np.linalg.norm(new))
    return np.asarray(found)


def _some(what: str, count: int) -> str:
    """So many of something, in words."""
    return f"two {what}s" if count == 2 else f"one {what}"


def _through(
    point: np.ndarray, directions: np.ndarray, names: tuple[str, ...], half: np.ndarray, says: str,
    top: Sharpness | None = None,
) -> Plane:  # fmt: skip
    """A plane about a point, so far to either side."""
    k = len(directions)
    window = half[:, None] * np.array([-1.0, 1.0])
    return Plane(point, directions, np.zeros(k), names, window, says, np.zeros((0, k)), top)
