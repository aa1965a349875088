"""Saddles and nothing else: no minimum to find, only a point to get away from."""

import jax.numpy as jnp

from gdjax.objectives.objective import Objective
from gdjax.objectives.registry import of_components, register


@register
def saddle() -> Objective:
    """f(x, y) = x² − y²: the plainest saddle, unbounded below.

    A step of plain descent multiplies x by 1 − 2α and y by 1 + 2α: whatever lies off the line
    y = 0 escapes, but only after a time that grows like log(1/|y|).
    """
    return Objective(
        name="saddle",
        fn=of_components(lambda x, y: x**2 - y**2),
        gradient=of_components(lambda x, y: jnp.stack([2 * x, -2 * y])),
        domain=[(-2, 2)] * 2,
        start=[1.5, 0.01],
        saddles=[[0, 0]],
        complete=True,
        latex=r"x^2 - y^2",
        reference="textbook",
    )


@register
def monkey_saddle() -> Objective:
    """f(x, y) = x³ − 3xy²: a saddle for two legs and a tail, unbounded below.

    In polar coordinates it is r³ cos 3θ. The Hessian vanishes at the saddle, which is
    therefore degenerate: descent nears it and leaves it slower than geometrically.
    """
    return Objective(
        name="monkey_saddle",
        fn=of_components(lambda x, y: x**3 - 3 * x * y**2),
        gradient=of_components(lambda x, y: jnp.stack([3 * (x**2 - y**2), -6 * x * y])),
        domain=[(-2, 2)] * 2,
        start=[1.5, 0.1],
        saddles=[[0, 0]],
        complete=True,
        latex=r"x^3 - 3\,x y^2",
        reference="Hilbert & Cohn-Vossen 1952, Geometry and the Imagination",
    )
