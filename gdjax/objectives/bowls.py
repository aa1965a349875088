"""Convex bowls: one minimum, no way to get lost."""

import math

import jax.numpy as jnp
import numpy as np

from gdjax._util.errors import ArgumentError
from gdjax.objectives.objective import Objective
from gdjax.objectives.registry import of_components, register
from gdjax.objectives.safe import safe_sqrt


@register
def parabola() -> Objective:
    """f(x) = x²: every step of plain descent multiplies x by 1 − 2α."""
    return Objective(
        name="parabola",
        fn=lambda point: point[0] ** 2,
        residuals=lambda point: point,
        gradient=lambda point: 2 * point,
        domain=[(-10, 10)],
        start=[8],
        minima=[[0]],
        fmin=0.0,
        complete=True,
        latex=r"x^2",
        reference="textbook",
    )


@register
def sphere(dim: int = 2) -> Objective:
    """f(x) = Σ xᵢ²: the paraboloid in d dimensions."""
    return Objective(
        name="sphere",
        residuals=lambda point: point,
        gradient=lambda point: 2 * point,
        domain=[(-10, 10)] * dim,
        start=[8] * dim,
        minima=[[0] * dim],
        fmin=0.0,
        complete=True,
        latex=r"\sum_i x_i^2",
        reference="De Jong 1975, F1",
    )


@register
def booth() -> Objective:
    """f(x, y) = (x + 2y − 7)² + (2x + y − 5)²: an ellipse of a bowl, turned by 45°.

    The Hessian has eigenvalue 18 along (1, 1) and 2 along (1, −1): condition number 9.
    """
    return Objective(
        name="booth",
        fn=of_components(lambda x, y: (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2),
        residuals=of_components(lambda x, y: jnp.stack([x + 2 * y - 7, 2 * x + y - 5])),
        gradient=of_components(lambda x, y: jnp.stack([10 * x + 8 * y - 34, 8 * x + 10 * y - 38])),
        domain=[(-10, 10)] * 2,
        start=[-8, 6],
        minima=[[1, 3]],
        fmin=0.0,
        complete=True,
        latex=r"(x + 2y - 7)^2 + (2x + y - 5)^2",
        reference="Jamil & Yang 2013, arXiv:1308.4008",
    )


@register
def matyas() -> Objective:
    """f(x, y) = 0.26 (x² + y²) − 0.48 xy: a long trough along the diagonal.

    The Hessian has eigenvalue 1/25 along (1, 1) and 1 along (1, −1): condition number 25.
    """
    return Objective(
        name="matyas",
        fn=of_components(lambda x, y: 0.26 * (x**2 + y**2) - 0.48 * x * y),
        residuals=of_components(lambda x, y: jnp.stack([(x + y) / 10, (x - y) / 2])),
        gradient=lambda point: 0.52 * point - 0.48 * point[::-1],
        domain=[(-10, 10)] * 2,
        start=[9, 2],
        minima=[[0, 0]],
        fmin=0.0,
        complete=True,
        latex=r"0.26\,(x^2 + y^2) - 0.48\,x y",
        reference="Jamil & Yang 2013, arXiv:1308.4008",
    )


@register
def ill_conditioned_quadratic(dim: int = 2, kappa: float = 100.0) -> Objective:
    """f(x) = ½ Σ λᵢ xᵢ² with λ from 1 to κ in equal ratios: a bowl stretched along the axes.

    Tuned, plain descent shrinks the error by (κ − 1)/(κ + 1) a step, heavy ball by
    ρ = (√κ − 1)/(√κ + 1) with learning rate 4/(√κ + 1)² and momentum ρ².

    Raises:
        ArgumentError: dim < 2, or a kappa that is not a finite number of at least 1.
    """
    if dim < 2:
        raise ArgumentError(f"ill_conditioned_quadratic needs dim >= 2, got {dim}")
    if not 1 <= kappa < math.inf:
        raise ArgumentError(f"kappa must be finite and at least 1, got {kappa}")
    eigenvalues = float(kappa) ** np.linspace(0, 1, dim)

    return Objective(
        name="ill_conditioned_quadratic",
        fn=lambda point: jnp.sum(jnp.asarray(eigenvalues, point.dtype) * point**2) / 2,
        residuals=lambda point: jnp.asarray(np.sqrt(eigenvalues / 2), point.dtype) * point,
        gradient=lambda point: jnp.asarray(eigenvalues, point.dtype) * point,
        domain=[(-10, 10)] * dim,
        start=[1] * dim,
        minima=[[0] * dim],
        fmin=0.0,
        complete=True,
        latex=r"\frac{1}{2} \sum_i \kappa^{(i-1)/(d-1)} x_i^2",
        reference="Polyak 1964; BBOB f2 family",
    )


@register
def rotated_quadratic() -> Objective:
    """f(x, y) = (101x² − 198xy + 101y²)/4: a bowl of condition number 100, turned by 45°.

    The Hessian has eigenvalue 1 along (1, 1) and 100 along (1, −1), so no coordinate can be
    descended alone.
    """
    return Objective(
        name="rotated_quadratic",
        fn=of_components(lambda x, y: (101 * x**2 - 198 * x * y + 101 * y**2) / 4),
        residuals=of_components(lambda x, y: jnp.stack([(x + y) / 2, 5 * (x - y)])),
        gradient=lambda point: (101 * point - 99 * point[::-1]) / 2,
        domain=[(-10, 10)] * 2,
        start=[1, 0],
        minima=[[0, 0]],
        fmin=0.0,
        complete=True,
        latex=r"\frac{1}{4} (101 x^2 - 198\,x y + 101 y^2)",
        reference="Goh 2017, Why Momentum Really Works, Distill",
    )


@register
def trid(dim: int = 4) -> Objective:
    """f(x) = Σ (xᵢ − 1)² − Σ xᵢ xᵢ₋₁: a chain of coupled bowls, its minimum far from the start.

    The Hessian's eigenvalues are 2 − 2 cos(kπ/(d + 1)), k = 1…d: the condition number grows
    like 4d²/π². The minimizer is xᵢ = i (d + 1 − i).

    Raises:
        ArgumentError: dim < 2.
    """
    if dim < 2:
        raise ArgumentError(f"trid needs dim >= 2, got {dim}")

    def gradient(point):
        padded = jnp.pad(point, 1)
        return 2 * (point - 1) - padded[:-2] - padded[2:]

    return Objective(
        name="trid",
        fn=lambda point: jnp.sum((point - 1) ** 2) - jnp.sum(point[1:] * point[:-1]),
        gradient=gradient,
        domain=[(-(dim**2), dim**2)] * dim,
        start=([-0.6 * dim**2, 0.4 * dim**2] * dim)[:dim],
        minima=[[i * (dim + 1 - i) for i in range(1, dim + 1)]],
        fmin=-dim * (dim + 4) * (dim - 1) / 6,
        complete=True,
        latex=r"\sum_i (x_i - 1)^2 - \sum_{i>1} x_i x_{i-1}",
        reference="Neumaier 1997; Surjanovic & Bingham, sfu.ca/~ssurjano",
    )


@register
def zakharov(dim: int = 2) -> Objective:
    """f(x) = Σ xᵢ² + s² + s⁴ with s = ½ Σ i xᵢ: a round bowl with one steep quartic direction.

    The Hessian at 0 has the eigenvalue 2 + d(d + 1)(2d + 1)/12 along (1, …, d) and 2 across;
    away from the plane s = 0 the steep one grows like 6s².
    """

    def parts(point):
        weights = jnp.arange(1, point.size + 1, dtype=point.dtype) / 2
        return weights, jnp.sum(weights * point)

    def fn(point):
        _, s = parts(point)
        return jnp.sum(point**2) + s**2 + s**4

    def residuals(point):
        _, s = parts(point)
        return jnp.append(point, jnp.stack([s, s**2]))

    def gradient(point):
        weights, s = parts(point)
        return 2 * point + (2 * s + 4 * s**3) * weights

    return Objective(
        name="zakharov",
        fn=fn,
        residuals=residuals,
        gradient=gradient,
        domain=[(-5, 10)] * dim,
        start=([-4, 7] * dim)[:dim],
        minima=[[0] * dim],
        fmin=0.0,
        complete=True,
        latex=r"\sum_i x_i^2 + s^2 + s^4,\ s = \frac{1}{2} \sum_i i\,x_i",
        reference="Surjanovic & Bingham, sfu.ca/~ssurjano",
    )


@register
def sum_different_powers(dim: int = 2) -> Objective:
    """f(x) = Σ |xᵢ|^(i+1): every dimension flatter at the bottom than the one before.

    It is twice continuously differentiable; at 0 the Hessian is diag(2, 0, …, 0), so all but
    the first dimension converge slower than geometrically. |x|^p is computed as x² |x|^(p−2)
    with the second factor kept from 0, which keeps autodiff's Hessian right there too.
    """

    def parts(point):
        extra = jnp.arange(point.size, dtype=point.dtype)
        at_zero = point == 0
        factor = jnp.where(at_zero, 1.0, jnp.abs(point)) ** extra
        return extra, jnp.where(at_zero, (extra == 0).astype(point.dtype), factor)

    def fn(point):
        _, factor = parts(point)
        return jnp.sum(point**2 * factor)

    def gradient(point):
        extra, factor = parts(point)
        return (extra + 2) * point * factor

    return Objective(
        name="sum_different_powers",
        fn=fn,
        residuals=lambda point: point * safe_sqrt(parts(point)[1]),
        gradient=gradient,
        domain=[(-1, 1)] * dim,
        start=([0.9, -0.7] * dim)[:dim],
        minima=[[0] * dim],
        fmin=0.0,
        complete=True,
        latex=r"\sum_i \left|x_i\right|^{i+1}",
        reference="Surjanovic & Bingham, sfu.ca/~ssurjano",
    )
