"""The spectrum of a Hessian that is never formed: its top, its density and its trace.

All is made of products of the Hessian with vectors. Over many rows of data these are sums over
pieces of the data, one after the other.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gdjax import curvature
from gdjax._inputs import DType, ObjectiveLike, as_objective, default_dtype
from gdjax._util.arguments import POSITIVE, as_count, as_numbers, as_seed, gate, number
from gdjax._util.display import Card, brief, shown
from gdjax._util.errors import ArgumentError
from gdjax._util.memory import check_fits
from gdjax._util.types import PointLike, PyTree
from gdjax.objectives import Objective, validate
from gdjax.objectives.minibatches import count_rows

FIRST_STEPS = 32  # of Lanczos; twice as many as long as a residual is too large
MOST_STEPS = 512
LEAST = {4: 1e-5, 8: 1e-12}  # a residual below so much of the value is rounding; bytes of a number


@shown
class Sharpness(NamedTuple):
    """The largest eigenvalues of a Hessian, the largest first.

    Args:
        values: λ, ``(k,)``.
        residuals: ``‖H v − λ v‖`` for the unit vectors found: an eigenvalue lies within so much of
            each value, ``(k,)``.
        vectors: the directions, ``(k, d)``.
    """

    values: np.ndarray
    residuals: np.ndarray
    vectors: np.ndarray

    def __float__(self) -> float:
        return float(self.values[0])

    def __str__(self) -> str:
        pairs = zip(self.values.tolist(), self.residuals.tolist(), strict=True)
        return ", ".join(f"{value:.6g} ± {residual:.1g}" for value, residual in pairs)

    def _card(self) -> Card:
        rows = [("eigenvalue", "residual")]
        rows += [(brief(a), brief(b)) for a, b in zip(self.values, self.residuals, strict=True)]
        return Card(f"Sharpness: {self.values[0]:.6g}", {}, rows)


@shown
class SpectralDensity(NamedTuple):
    """Where the eigenvalues of a Hessian lie, by stochastic Lanczos quadrature.

    Args:
        nodes: of the quadrature of every probe, ``(probes, k)``.
        weights: what share of the eigenvalues each stands for; of a probe they sum to 1.
        dim: how many eigenvalues there are.
    """

    nodes: np.ndarray
    weights: np.ndarray
    dim: int

    def density(self, at: np.ndarray, width: float | int | None = None) -> np.ndarray:
        """The density at some places, every node a normal curve; it integrates to 1.

        Args:
            at: places, of any shape.
            width: the standard deviation of a curve; by default a hundredth of the whole range.
        """
        width = width or max(float(np.ptp(self.nodes)), 1e-12) / 100
        scaled = (np.asarray(at)[..., None] - self.nodes.ravel()) / width
        curves = np.exp(-(scaled**2) / 2) / (width * math.sqrt(2 * math.pi))
        return curves @ self.weights.ravel() / len(self.nodes)

    def _card(self) -> Card:
        low, high = self.nodes.min(), self.nodes.max()
        mean = (self.nodes * self.weights).sum(axis=1).mean()
        facts = {"from": brief(low), "to": brief(high), "mean": brief(mean)}
        return Card(f"SpectralDensity of {self.dim:,} eigenvalues", facts)


class Trace(NamedTuple):
    """The trace of a Hessian, estimated.

    Args:
        value: the mean over the probes.
        error: its standard error.
    """

    value: float
    error: float


@gate(tolerance=number(POSITIVE))
def sharpness(
    objective: ObjectiveLike,
    point: PointLike = None,
    number: int = 1,
    *,
    preconditioner: PyTree = None,
    pieces: int = 1,
    tolerance: float | int = 1e-3,
    seed: int = 0,
    dtype: DType | None = None,
) -> Sharpness:
    r"""The largest eigenvalues of the Hessian at a point, each with a measured residual.

    Gradient descent is stable along a direction of curvature λ while :math:`\lambda < 2 / \alpha`.
    With a preconditioner P, as Adam has one, it is the largest eigenvalue of :math:`P^{-1} H` that
    counts, which :math:`P^{-1/2} H P^{-1/2}` shares.

    Lanczos takes more steps until the residuals are within ``tolerance`` of the largest value, or
    are rounding, or 512 steps are taken: what it came to is told by the residuals. The error of a
    value is about the square of its residual, over the gap to the next. Of equal eigenvalues one
    is found.

    Args:
        objective: what is looked at: an ``Objective``, the name of one, or a function of a point.
        point: where, ``(d,)`` or of the objective's own structure; by default its start.
        number: how many eigenvalues.
        preconditioner: P, positive numbers of the shape of a point.
        pieces: in how many pieces the data of a ``gdjax.problem`` are taken, so that large ones
            fit into memory; the loss must be a mean over rows.
        tolerance: on the residuals, as a share of the largest value.
        seed: of the first vector.
        dtype: ``float32`` or ``float64``; by default as JAX is configured.

    Raises:
        ArgumentError: a point that is none, more eigenvalues than dimensions or pieces than rows,
            a preconditioner that is not positive, a loss that is no mean over rows, or a Hessian
            that is not finite.

    Example:
        >>> import gdjax
        >>> found = sharpness(lambda p: 3 * p[0] ** 2 + p[1] ** 2, [1.0, 1.0], 2)
        >>> print(found.values.round(4).tolist())
        [6.0, 2.0]

    Reference:
        Cohen et al. 2021, Gradient Descent on Neural Networks Typically Occurs at the Edge of
        Stability; with a preconditioner Cohen et al. 2022, Adaptive Gradient Methods at the Edge
        of Stability.
    """
    with default_dtype(dtype):
        f, at, pieces = _given(objective, point, pieces)
        number = as_count("number", number, 1, f.dim)
        scale = _scale(f, preconditioner)
        key = jax.random.key(as_seed(seed))
        start = jax.random.normal(key, (f.dim,), at.dtype)
        steps = min(f.dim, max(FIRST_STEPS, 2 * number))
        while True:
            check_fits(2 * steps * at.nbytes, f"{steps} Lanczos vectors", "ask for fewer values")
            found = Sharpness(*map(np.asarray, _top(f, at, start, scale, steps, number, pieces)))
            wanted = max(tolerance, LEAST[at.dtype.itemsize]) * np.abs(found.values[0])
            most = max(MOST_STEPS, 2 * number)
            if steps >= min(f.dim, most) or np.all(found.residuals <= wanted):
                break
            steps = min(f.dim, most, 2 * steps)
    if not np.isfinite(found.values[0]):
        raise ArgumentError(f"point must be one at which {f.name} has a finite Hessian")
    distinct = np.isfinite(found.values)
    return Sharpness(*(each[distinct] for each in found))


def spectral_density(
    objective: ObjectiveLike,
    point: PointLike = None,
    *,
    probes: int = 8,
    num_steps: int = 64,
    pieces: int = 1,
    seed: int = 0,
    dtype: DType | None = None,
) -> SpectralDensity:
    r"""Where the eigenvalues of the Hessian lie, all of them, without the Hessian.

    For random unit vectors v, the eigenvalues θ of Lanczos's matrix with the squares of the first
    components of its eigenvectors are a Gauss quadrature of :math:`v^T g(H) v` for any g; its mean
    over v is :math:`\mathrm{tr}\, g(H) / d`.

    Args:
        objective: as ``sharpness`` takes it.
        point: likewise.
        probes: how many random vectors.
        num_steps: of Lanczos for each, at most d.
        pieces: as ``sharpness`` takes it.
        seed: of the vectors.
        dtype: ``float32`` or ``float64``; by default as JAX is configured.

    Raises:
        ArgumentError: as ``sharpness`` does.

    Example:
        >>> found = spectral_density(lambda p: 3 * p[0] ** 2 + p[1] ** 2, [1.0, 1.0], probes=2)
        >>> found.nodes.round(3).tolist()
        [[2.0, 6.0], [2.0, 6.0]]

    Reference:
        Ghorbani, Krishnan & Xiao 2019, An Investigation into Neural Net Optimization via Hessian
        Eigenvalue Density, ICML; Ubaru, Chen & Saad 2017, SIAM J. Matrix Anal. Appl. 38:1075.
    """
    with default_dtype(dtype):
        f, at, pieces = _given(objective, point, pieces)
        probes = as_count("probes", probes, 1)
        steps = min(as_count("num_steps", num_steps, 1), f.dim)
        check_fits(2 * steps * at.nbytes, f"num_steps={steps:,}", "take fewer steps")
        keys = jax.random.split(jax.random.key(as_seed(seed)), probes)
        starts = (jax.random.normal(key, (f.dim,), at.dtype) for key in keys)
        rows = [_nodes(f, at, start, steps, pieces) for start in starts]
    nodes, weights = (np.asarray(each, float) for each in zip(*rows, strict=True))
    if not np.isfinite(nodes).all():
        raise ArgumentError(f"point must be one at which {f.name} has a finite Hessian")
    return SpectralDensity(nodes, weights, f.dim)


def hessian_trace(
    objective: ObjectiveLike,
    point: PointLike = None,
    *,
    probes: int = 32,
    pieces: int = 1,
    seed: int = 0,
    dtype: DType | None = None,
) -> Trace:
    r"""The trace of the Hessian, and the standard error of the estimate.

    The mean of :math:`v^T H v` over random vectors v of signs; exact for a diagonal Hessian.

    Args:
        objective: as ``sharpness`` takes it.
        point: likewise.
        probes: how many random vectors, at least 2.
        pieces: as ``sharpness`` takes it.
        seed: of the vectors.
        dtype: ``float32`` or ``float64``; by default as JAX is configured.

    Raises:
        ArgumentError: as ``sharpness`` does.

    Example:
        >>> found = hessian_trace(lambda p: 3 * p[0] ** 2 + p[1] ** 2, [1.0, 1.0])
        >>> round(found.value, 4), found.error
        (8.0, 0.0)

    Reference:
        Hutchinson 1990, Communications in Statistics 19:433.
    """
    with default_dtype(dtype):
        f, at, pieces = _given(objective, point, pieces)
        key, probes = jax.random.key(as_seed(seed)), as_count("probes", probes, 2)
        signs = jax.random.rademacher(key, (probes, f.dim), at.dtype)
        found = np.asarray(_squares(f, at, signs, pieces), float)
    if not np.isfinite(found).all():
        raise ArgumentError(f"point must be one at which {f.name} has a finite Hessian")
    return Trace(float(found.mean()), float(found.std(ddof=1) / math.sqrt(probes)))


def hessian_product(
    objective: Objective, point: Float[Array, "d"], pieces: int = 1
) -> Callable[[Array], Array]:
    """V → H v at a point; over data in pieces, a mean weighted by their rows."""
    if pieces == 1:
        return lambda vector: curvature.hessian_vector_product(objective.value, point, vector)
    count = count_rows(objective.args)
    size = count // pieces

    def of(args: PyTree, vector: Array) -> Array:
        value = objective.with_args(*args).value
        return curvature.hessian_vector_product(value, point, vector)

    def cut(leaf: Any) -> Array:
        whole = jnp.asarray(leaf)[: size * pieces]
        return whole.reshape(pieces, size, *whole.shape[1:])

    def product(vector: Array) -> Array:
        stacked = jax.tree.map(cut, objective.args)
        total, _ = jax.lax.scan(
            lambda total, args: (total + of(args, vector) * size / count, None),
            jnp.zeros_like(vector),
            stacked,
        )
        left = count - size * pieces
        if left:
            rest = jax.tree.map(lambda leaf: jnp.asarray(leaf)[size * pieces :], objective.args)
            total = total + of(rest, vector) * left / count
        return total

    return product


@functools.partial(jax.jit, static_argnames=("steps", "number", "pieces"))
def _top(
    objective: Objective, point: Array, start: Array, scale: Array, steps: int, number: int,
    pieces: int,
) -> tuple[Array, Array, Array]:  # fmt: skip
    product = hessian_product(objective, point, pieces)
    return curvature.top(lambda v: scale * product(scale * v), start, steps, number)


@functools.partial(jax.jit, static_argnames=("steps", "pieces"))
def _tridiagonal(
    objective: Objective, point: Array, start: Array, steps: int, pieces: int
) -> tuple[Array, Array]:
    product = hessian_product(objective, point, pieces)
    return curvature.tridiagonal(product, start, steps)[:2]


def _nodes(
    objective: Objective, point: Array, start: Array, steps: int, pieces: int
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the quadrature of one vector, as many as steps."""
    found = _tridiagonal(objective, point, start, steps, pieces)
    alpha, beta = (np.asarray(each, float) for each in found)
    if not np.isfinite([alpha, beta]).all():
        return np.full(steps, np.nan), np.full(steps, np.nan)
    size = np.abs(alpha).max() + beta.max()
    small = beta <= 10 * objective.dim * jnp.finfo(start.dtype).eps * size
    count = int(small.argmax()) + 1 if small.any() else steps
    beside = beta[: count - 1]
    matrix = np.diag(alpha[:count]) + np.diag(beside, 1) + np.diag(beside, -1)
    values, vectors = np.linalg.eigh(matrix)
    more = steps - count  # every probe has as many; those without weight count for nothing
    return np.pad(values, (0, more), "edge"), np.pad(vectors[0] ** 2, (0, more))


@functools.partial(jax.jit, static_argnames="pieces")
def _squares(objective: Objective, point: Array, vectors: Array, pieces: int) -> Array:
    product = hessian_product(objective, point, pieces)
    return jax.lax.map(lambda vector: vector @ product(vector), vectors)


def _given(objective: ObjectiveLike, point: PointLike, pieces: int) -> tuple[Objective, Array, int]:
    """The objective, the flat point and the pieces, checked, in the precision that is set."""
    f = as_objective(objective, point)
    first = f.flat(f.start if point is None else point, "point")
    validate(f, at=first)
    at = jnp.asarray(first, float)
    f = f.cast(at.dtype)
    pieces = as_count("pieces", pieces, 1)
    if pieces > 1:
        _check_pieces(f, at, pieces)
    return f, at, pieces


def _check_pieces(objective: Objective, at: Array, pieces: int) -> None:
    """Refuse data that cannot be taken in pieces."""
    if objective.training is None:
        raise ArgumentError(
            f"pieces={pieces} needs a loss over rows of data, as gdjax.problem makes one, and "
            f"{objective.name} is none"
        )
    count = count_rows(objective.args)
    if pieces > count:
        raise ArgumentError(f"pieces must be at most {count:,}, the rows of data, got {pieces:,}")
    two = max(count // pieces, 2) // 2 * 2
    ends = (0, two), (0, two // 2), (two // 2, two)
    parts = [jax.tree.map(lambda x, a=a, b=b: x[a:b], objective.args) for a, b in ends]
    whole, *halves = (float(objective.with_args(*part).value(at)) for part in parts)
    scale = max(abs(whole), *map(abs, halves))
    if count > 1 and abs(whole - sum(halves) / 2) > 1e-3 * scale:
        raise ArgumentError(
            f"pieces={pieces} needs a loss that is a mean over rows, and {objective.name} is none: "
            f"{whole:.4g} over {two} rows, {halves[0]:.4g} and {halves[1]:.4g} over their halves"
        )


def _scale(objective: Objective, preconditioner: PyTree) -> Array:
    """``P ** -½`` as a vector ``(d,)``."""
    if preconditioner is None:
        return jnp.ones(objective.dim)
    flat = as_numbers("preconditioner", objective.flat(preconditioner, "preconditioner"), POSITIVE)
    return jnp.asarray(flat, float) ** -0.5
