"""Countless minima: a regular or wild ripple over a simple shape."""

import math

import jax.numpy as jnp

from gdjax.objectives.base import Objective
from gdjax.objectives.registry import register


@register
def ackley(dim: int = 2) -> Objective:
    """Ackley's function: a conical tip at 0 in a nearly flat plain full of small pits.

    f(x) = −20 exp(−r/5) − exp(Σ cos(2π xᵢ)/d) + 20 + e with r² = Σ xᵢ²/d. It has a kink at the
    tip: the gradient tends to norm 4/√d there, so a fixed learning rate never settles. At the
    tip itself the gradient is the subgradient 0, by hand and by autodiff (double ``where``).
    """

    def radius(point):
        squared = jnp.mean(point**2)
        positive = squared > 0
        return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)

    def fn(point):
        waves = jnp.mean(jnp.cos(2 * jnp.pi * point))
        return -20 * jnp.exp(-0.2 * radius(point)) - jnp.exp(waves) + 20 + math.e

    def gradient(point):
        r = radius(point)
        slope = 4 / jnp.where(r > 0, r, 1.0) * jnp.exp(-0.2 * r)
        waves = jnp.exp(jnp.mean(jnp.cos(2 * jnp.pi * point)))
        return (slope * point + 2 * jnp.pi * jnp.sin(2 * jnp.pi * point) * waves) / point.size

    return Objective(
        name="ackley",
        fn=fn,
        gradient=gradient,
        domain=[(-32.768, 32.768)] * dim,
        start=([2.6, 1.7] * dim)[:dim],
        minima=[[0] * dim],
        fmin=0.0,
        smoothness="kink",
        kink=lambda point: radius(point)[None],
        latex=r"-20\,e^{-r/5} - e^{\frac{1}{d}\sum_i \cos 2\pi x_i} + 20 + e,"
        r"\ r^2 = \frac{1}{d}\sum_i x_i^2",
        reference="Ackley 1987, A Connectionist Machine for Genetic Hillclimbing",
    )
