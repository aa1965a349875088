"""Second derivatives: all of them in few dimensions, the extreme ones by Lanczos in many."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gdjax._util import lazy
from gdjax._util.arguments import as_count, function, gate, refused
from gdjax._util.display import shown
from gdjax.objectives import Objective

__all__ = [
    "Ritz",
    "hessian_vector_product",
    "kinds",
    "lanczos",
    "second_order",
    "top",
    "tridiagonal",
]

__dir__: Callable[[], list[str]] = lazy.listing(globals())

FLAT = 1e-8  # of the largest curvature: below this a direction counts as without curvature


@shown
class Ritz(NamedTuple):
    """Approximate eigenvalues of a symmetric matrix.

    Args:
        values: ascending, ``(k,)``.
        residuals: each value is within so much of an eigenvalue, ``(k,)``.
    """

    values: np.ndarray
    residuals: np.ndarray


@jax.jit
def second_order(
    objective: Objective, points: Float[Array, "n d"]
) -> tuple[Float[Array, "n"], Float[Array, "n d"], Float[Array, "n d d"]]:
    """Value, gradient and Hessian of an objective at many points.

    Example:
        >>> import gdjax
        >>> f = gdjax.objectives.get("sphere")
        >>> value, gradient, hessian = second_order(f, jnp.array([[1.0, 2.0]]))
        >>> value.tolist(), gradient.tolist(), hessian.tolist()
        ([5.0], [[2.0, 4.0]], [[[2.0, 0.0], [0.0, 2.0]]])
    """

    def one(point: Array) -> tuple[Array, Array, Array]:
        slope = jax.grad(objective.value)
        return objective.value(point), slope(point), jax.jacfwd(slope)(point)

    return jax.vmap(one)(points)


@gate(fn=function)
def hessian_vector_product(
    fn: Callable[[Array], Array], point: Float[Array, "d"], vector: Float[Array, "d"]
) -> Float[Array, "d"]:
    """The Hessian of a function times a vector, without the Hessian: ``d/dt ∇f(x + t v)``.

    Costs about as much as four values.

    Example:
        >>> hessian_vector_product(lambda p: p[0] ** 2 * p[1], jnp.array([1.0, 3.0]),
        ...                        jnp.array([1.0, 0.0])).tolist()
        [6.0, 2.0]

    Reference:
        Pearlmutter 1994, Fast exact multiplication by the Hessian, Neural Computation 6, 147–160.
    """
    if np.shape(point) != np.shape(vector):
        raise refused("vector", f"have the shape of the point, {np.shape(point)}", vector)
    return jax.jvp(jax.grad(fn), (point,), (vector,))[1]


@gate(matvec=function)
def lanczos(matvec: Callable[[Array], Array], start: Float[Array, "d"], num_steps: int) -> Ritz:
    r"""Approximate eigenvalues of a symmetric matrix that is known by its products alone.

    With Q the orthonormal basis of :math:`\{v, A v, …, A^{k-1} v\}` and :math:`T = Q^T A Q`, the
    eigenvalues θ of T, with eigenvectors s, approximate those of A: one of these is within
    :math:`\beta_k |s_k|` of θ. The extreme ones come first. Every new vector is made orthogonal to
    all earlier ones twice, so that no eigenvalue appears again and again.

    Args:
        matvec: v → A v, in JAX.
        start: any vector that is not 0, ``(d,)``; a random one meets every eigenvector.
        num_steps: products to spend, at most d.

    Returns:
        As many values as steps, or fewer where the vectors span all that the start can reach;
        the residuals are then 0.

    Example:
        >>> found = lanczos(lambda v: jnp.array([1.0, 2.0, 5.0]) * v, jnp.ones(3), 3)
        >>> found.values.round(5).tolist()
        [1.0, 2.0, 5.0]

    Reference:
        Parlett 1998, The Symmetric Eigenvalue Problem, sec. 13.2 (the residual) and 13.7.
    """
    num_steps = min(as_count("num_steps", num_steps, 1), start.size)
    if not np.isfinite(start).all() or not np.any(start):
        raise refused("start", "be finite and not 0", start)

    *rows, _ = tridiagonal(matvec, start, num_steps)
    alpha, beta = (np.asarray(row, float) for row in rows)
    size = np.abs(alpha).max() + np.abs(beta).max()
    small = beta <= 10 * start.size * jnp.finfo(start.dtype).eps * size
    count = int(small.argmax()) + 1 if small.any() else num_steps
    between = beta[: count - 1]
    matrix = np.diag(alpha[:count]) + np.diag(between, 1) + np.diag(between, -1)
    values, vectors = np.linalg.eigh(matrix)
    return Ritz(values, np.where(small[count - 1], 0.0, beta[count - 1] * np.abs(vectors[-1])))


def tridiagonal(
    matvec: Callable[[Array], Array], start: Float[Array, "d"], num_steps: int
) -> tuple[Float[Array, "k"], Float[Array, "k"], Float[Array, "k d"]]:
    """What ``lanczos`` makes of a matrix, as a function that JAX can trace.

    Args:
        matvec: v → A v.
        start: not 0, ``(d,)``.
        num_steps: k, at most d.

    Returns:
        The diagonal of T; what stands beside it, with βₖ as the last; and the basis, ``(k, d)``.
        Where some β is as good as 0, what comes after it means nothing.

    Example:
        >>> diagonal, beside, basis = tridiagonal(lambda v: 3 * v, jnp.ones(2), 1)
        >>> round(float(diagonal[0]), 5), basis.shape
        (3.0, (1, 2))
    """

    def body(carry: tuple[Array, Array], k: Array) -> tuple[tuple[Array, Array], tuple]:
        basis, vector = carry
        basis = basis.at[k].set(vector)
        product = matvec(vector)
        alpha = vector @ product
        for _ in range(2):
            product = product - basis.T @ (basis @ product)
        beta = jnp.linalg.norm(product)
        return (basis, product / jnp.where(beta > 0, beta, 1)), (alpha, beta)

    first = start / jnp.linalg.norm(start)
    empty = jnp.zeros((num_steps, start.size), start.dtype)
    (basis, _), (alpha, beta) = jax.lax.scan(body, (empty, first), jnp.arange(num_steps))
    return alpha, beta, basis


def top(
    matvec: Callable[[Array], Array], start: Float[Array, "d"], num_steps: int, number: int = 1
) -> tuple[Float[Array, "n"], Float[Array, "n"], Float[Array, "n d"]]:
    """The largest eigenvalues of a symmetric matrix, as a function that JAX can trace.

    Args:
        matvec: v → A v.
        start: not 0, ``(d,)``; the eigenvector at a point nearby is a good one.
        num_steps: products to spend before those that measure the residuals, at most d.
        number: how many eigenvalues, at most ``num_steps``.

    Returns:
        Values, the largest first; residuals ``‖A y − θ y‖``, measured: an eigenvalue of A is
        within so much of each; and the vectors y. Fewer are found where the start meets no more,
        and the others are NaN: of equal eigenvalues one.

    Example:
        >>> values, residuals, _ = top(lambda v: jnp.array([1.0, 2.0, 5.0]) * v, jnp.ones(3), 3, 2)
        >>> values.round(4).tolist(), bool((residuals < 1e-5).all())
        ([5.0, 2.0], True)
    """
    alpha, beta, basis = tridiagonal(matvec, start, num_steps)
    size = jnp.abs(alpha).max() + beta.max()
    small = beta <= 10 * start.size * jnp.finfo(start.dtype).eps * size
    # What comes after the first β that is as good as 0 is cut off, and put below all eigenvalues.
    beyond = jnp.cumsum(small) - small > 0
    alpha = jnp.where(beyond, -2 * size - 1, alpha)
    beside = jnp.where((beyond | small)[:-1], 0, beta[:-1])
    _, vectors = jnp.linalg.eigh(jnp.diag(alpha) + jnp.diag(beside, 1) + jnp.diag(beside, -1))
    found = vectors[:, : -number - 1 : -1].T @ basis
    found = found / jnp.linalg.norm(found, axis=1, keepdims=True)
    products = jax.lax.map(matvec, found)
    values = jnp.sum(found * products, axis=1)
    residuals = jnp.linalg.norm(products - values[:, None] * found, axis=1)
    values = jnp.where(jnp.arange(number) < (~beyond).sum(), values, jnp.nan)
    return values, residuals, found


def kinds(low: np.ndarray, high: np.ndarray, typical: np.ndarray | float = 0.0) -> np.ndarray:
    """What the Hessian says of stationary points, by its smallest and its largest eigenvalue.

    ``minimum`` and ``maximum`` where all are of one sign and none is as good as 0, ``saddle`` where
    there are both signs, else ``degenerate``: the Hessian is singular, and decides nothing.

    Args:
        low: the smallest eigenvalues.
        high: the largest ones.
        typical: a usual curvature, beside which all of a point's may be as good as 0.

    Example:
        >>> kinds(np.array([1.0, -1, -2, 0]), np.array([2.0, 1, -1, 1])).tolist()
        ['minimum', 'saddle', 'maximum', 'degenerate']
    """
    size = np.maximum(np.abs(low), np.abs(high))
    limit = np.where(size > FLAT * np.asarray(typical), FLAT * size, np.inf)
    found = np.full(np.shape(low), "degenerate", dtype="<U10")
    found[low > limit] = "minimum"
    found[high < -limit] = "maximum"
    found[(low < -limit) & (high > limit)] = "saddle"
    return found
