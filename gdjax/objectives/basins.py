"""A few separate minima: landscapes in which a descent can be caught."""

import jax.numpy as jnp

from gdjax.objectives.base import Objective
from gdjax.objectives.registry import register


@register
def qfsp() -> Objective:
    """f(x, y) = x² + y² + 10 sin x sin y: a quadratic function with sine products.

    With u = x + y and v = x − y it separates into (u²/2 − 5 cos u) + (v²/2 + 5 cos v), which
    gives its 6 minima (2 of them global), 7 saddles and 2 maxima.
    """

    def fn(point):
        x, y = point
        return x**2 + y**2 + 10 * jnp.sin(x) * jnp.sin(y)

    def gradient(point):
        x, y = point
        return jnp.stack(
            [2 * x + 10 * jnp.cos(x) * jnp.sin(y), 2 * y + 10 * jnp.sin(x) * jnp.cos(y)]
        )

    a, b, c = 1.2978695398249, 3.75101711525309, 1.15527803560329
    p, q = 3.35017946510385, 0.754440385454053
    s, t = 2.45314757542819, 2.05230992527895
    return Objective(
        name="qfsp",
        fn=fn,
        gradient=gradient,
        domain=[(-15, 15)] * 2,
        start=[7.11, 6.97],
        minima=[[a, -a], [-a, a]],
        fmin=-5.904491670910733,
        local_minima=[[b, c], [c, b], [-b, -c], [-c, -b]],
        saddles=[[0, 0], [s, s], [-s, -s], [p, q], [q, p], [-p, -q], [-q, -p]],
        maxima=[[t, t], [-t, -t]],
        latex=r"x^2 + y^2 + 10\,\sin x\,\sin y",
        reference="Gradient Descent Ninja with Momentum, blog post, 2024-12-12",
    )
