"""Functions built to defeat a method: they attain the bounds of the theory."""

import jax.numpy as jnp
import numpy as np

from gdjax._util.errors import ArgumentError
from gdjax.objectives.objective import Objective
from gdjax.objectives.registry import of_components, register


@register
def nesterov_worst(dim: int = 4) -> Objective:
    """f(x) = (x₁² + Σ (xᵢ − xᵢ₊₁)² + x_d²)/8 − x₁/4: the chain no gradient method is fast on.

    From 0, k gradients reach no further than the k-th dimension; with d = 2k + 1 every such
    method is left with f − f* ≥ 3 ‖x₀ − x*‖²/(32 (k + 1)²). The Hessian's eigenvalues are
    sin²(iπ/(2d + 2)), i = 1…d, all below L = 1.
    """

    def fn(point):
        padded = jnp.pad(point, 1)
        return jnp.sum((padded[1:] - padded[:-1]) ** 2) / 8 - point[0] / 4

    def gradient(point):
        padded = jnp.pad(point, 1)
        pull = jnp.asarray(np.arange(point.size) == 0, point.dtype)
        return (2 * point - padded[:-2] - padded[2:] - pull) / 4

    return Objective(
        name="nesterov_worst",
        fn=fn,
        gradient=gradient,
        domain=[(-2, 2)] * dim,
        start=[0] * dim,
        minima=[[1 - i / (dim + 1) for i in range(1, dim + 1)]],
        fmin=(1 / (dim + 1) - 1) / 8,
        complete=True,
        latex=r"\frac{1}{8} (x_1^2 + \sum_{i<d} (x_i - x_{i+1})^2 + x_d^2) - \frac{1}{4} x_1",
        reference="Nesterov 2004, Introductory Lectures on Convex Optimization, Thm 2.1.7",
    )


@register
def huber_worst_gd(steps: int = 10) -> Objective:
    """f(x) = x²/2 where |x| ≤ k, else k|x| − k²/2, with k = 1/(2N + 1): worst for N plain steps.

    From x = 1 with learning rate 1 every step takes off just k, and N steps leave exactly
    f = 1/(4N + 2), the most that any convex function with L = 1 can leave. The gradient
    is continuous; it bends at ±k.

    Args:
        steps: the N that the function is worst for.

    Raises:
        ArgumentError: steps < 1.
    """
    if steps < 1:
        raise ArgumentError(f"steps must be at least 1, got {steps}")
    knee = 1 / (2 * steps + 1)

    def fn(point):
        x = jnp.abs(point[0])
        return jnp.where(x <= knee, x**2 / 2, knee * x - knee**2 / 2)

    return Objective(
        name="huber_worst_gd",
        fn=fn,
        gradient=lambda point: jnp.clip(point, -knee, knee),
        domain=[(-1, 1)],
        start=[1],
        minima=[[0]],
        fmin=0.0,
        complete=True,
        latex=rf"x^2/2\ (|x| \leq k),\ k|x| - k^2/2\ (|x| > k),\ k = \frac{{1}}{{{2 * steps + 1}}}",
        reference="Drori & Teboulle 2014, Math. Program. 145:451",
    )


@register
def lessard_heavy_ball() -> Objective:
    """f′(x) = 25x below 1, x + 24 up to 2, 25x − 24 above: heavy ball circles it for ever.

    Strongly convex with m = 1 and L = 25. Heavy ball tuned for quadratics (learning rate 1/9,
    momentum 4/9) started at rest in [3.07, 3.46] runs into the 3-cycle
    2592 → 792 → −2208, over 1225, though 0 attracts every start close to it.
    """

    @of_components
    def fn(x):
        steep = 12.5 * x**2
        return jnp.where(
            x < 1, steep, jnp.where(x < 2, x**2 / 2 + 24 * x - 12, steep - 24 * x + 36)
        )

    def gradient(point):
        return jnp.where(point < 1, 25 * point, jnp.where(point < 2, point + 24, 25 * point - 24))

    return Objective(
        name="lessard_heavy_ball",
        fn=fn,
        gradient=gradient,
        domain=[(-5, 5)],
        start=[3.3],
        minima=[[0]],
        fmin=0.0,
        complete=True,
        latex=r"12.5 x^2\ (x < 1),\ x^2/2 + 24 x - 12\ (x < 2),\ 12.5 x^2 - 24 x + 36\ (x \geq 2)",
        reference="Lessard, Recht & Packard 2016, SIAM J. Optim. 26(1):57, eq. 4.11",
    )
