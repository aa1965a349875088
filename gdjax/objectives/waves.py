"""Waves around a centre: rings and crosses of troughs that hide the one in the middle."""

import math

import jax.numpy as jnp

from gdjax.objectives.objective import Objective
from gdjax.objectives.registry import of_components, register
from gdjax.objectives.safe import cos_sqrt, safe_sqrt


@register
def drop_wave() -> Objective:
    """f(x, y) = −(1 + cos 12r)/(r²/2 + 2): the rings around a drop that fell into water.

    It is smooth in r², with Hessian 72.5 I at 0, though its formula in r is not: the cosine is
    computed from r² by ``safe.cos_sqrt``, which gives autodiff all derivatives there.
    Every ring's trough is a whole circle of minima.
    """

    def parts(point):
        squared = jnp.sum(point**2)
        return squared, 1 + cos_sqrt(144 * squared), squared / 2 + 2

    def fn(point):
        _, crest, flattening = parts(point)
        return -crest / flattening

    def gradient(point):
        squared, crest, flattening = parts(point)
        r = safe_sqrt(squared)
        wave = jnp.where(r > 0, 12 * jnp.sin(12 * r) / jnp.where(r > 0, r, 1.0), 144.0)
        return (wave / flattening + crest / flattening**2) * point

    return Objective(
        name="drop_wave",
        fn=fn,
        gradient=gradient,
        domain=[(-5.12, 5.12)] * 2,
        start=[1.5, 0.9],
        minima=[[0, 0]],
        fmin=-1.0,
        smoothness="removable",
        latex=r"-\frac{1 + \cos 12 r}{r^2/2 + 2},\ r^2 = x^2 + y^2",
        reference="Surjanovic & Bingham, sfu.ca/~ssurjano",
    )


@register
def salomon(dim: int = 2) -> Objective:
    """f(x) = 1 − cos 2πr + 0.1 r with r = ‖x‖: a cone with ring-shaped moats.

    The tip at 0 has slope 0.1 all around it, a kink; there the gradient is the subgradient 0.
    """

    def fn(point):
        r = safe_sqrt(jnp.sum(point**2))
        return 1 - jnp.cos(2 * math.pi * r) + 0.1 * r

    def gradient(point):
        r = safe_sqrt(jnp.sum(point**2))
        outward = point / jnp.where(r > 0, r, 1.0)
        return (2 * math.pi * jnp.sin(2 * math.pi * r) + 0.1) * outward

    return Objective(
        name="salomon",
        fn=fn,
        gradient=gradient,
        domain=[(-100, 100)] * dim,
        start=([2.2, 1.3] * dim)[:dim],
        minima=[[0] * dim],
        fmin=0.0,
        smoothness="kink",
        kink=lambda point: safe_sqrt(jnp.sum(point**2))[None],
        latex=r"1 - \cos 2\pi r + 0.1\,r,\ r = \Vert x \Vert",
        reference="Salomon 1996, BioSystems 39:263; Jamil & Yang 2013, arXiv:1308.4008",
    )


def _schaffer(wave, slope):
    """½ + (w − ½)/(1 + r²/1000)² with a wave w of x² − y², and the gradient, by w's slope."""

    @of_components
    def parts(x, y):
        return x**2 - y**2, 1 + (x**2 + y**2) / 1000

    def fn(point):
        angle, fading = parts(point)
        return 0.5 + (wave(angle) - 0.5) / fading**2

    def gradient(point):
        angle, fading = parts(point)
        across = slope(angle) / fading**2
        decay = 0.004 * (wave(angle) - 0.5) / fading**3
        return jnp.stack([(across - decay) * point[0], (-across - decay) * point[1]])

    return fn, gradient


@register
def schaffer2() -> Objective:
    """f(x, y) = ½ + (sin²(x² − y²) − ½)/(1 + r²/1000)²: hyperbolas of troughs, the cross deepest.

    The Hessian at 0 is only 0.002 I, with quartic walls: near the end the cross |x| = |y| is
    almost level.
    """
    fn, gradient = _schaffer(
        wave=lambda angle: jnp.sin(angle) ** 2, slope=lambda angle: 2 * jnp.sin(2 * angle)
    )
    return Objective(
        name="schaffer2",
        fn=fn,
        gradient=gradient,
        domain=[(-100, 100)] * 2,
        start=[2.6, 1.7],
        minima=[[0, 0]],
        fmin=0.0,
        latex=r"\frac{1}{2} + \frac{\sin^2(x^2 - y^2) - \frac{1}{2}}{(1 + 0.001\,(x^2 + y^2))^2}",
        reference="Schaffer et al. 1989; Surjanovic & Bingham, sfu.ca/~ssurjano",
    )


@register
def schaffer4() -> Objective:
    """f(x, y) = ½ + (cos²(sin(x² − y²)) − ½)/(1 + r²/1000)²: four minima on the axes.

    They lie at ±1.25313 on either axis, where tables often list one or two; the Hessian there has
    eigenvalues 0.0017 and 5.7. The customary |x² − y²| changes nothing, since the function is even
    in it, and is left out.
    """
    fn, gradient = _schaffer(
        wave=lambda angle: jnp.cos(jnp.sin(angle)) ** 2,
        slope=lambda angle: -2 * jnp.sin(2 * jnp.sin(angle)) * jnp.cos(angle),
    )
    at = 1.2531318314637332
    return Objective(
        name="schaffer4",
        fn=fn,
        gradient=gradient,
        domain=[(-100, 100)] * 2,
        start=[2.4, 1.1],
        minima=[[0, at], [0, -at], [at, 0], [-at, 0]],
        fmin=0.29257863203598056,
        latex=r"\frac{1}{2} + \frac{\cos^2 \sin(x^2 - y^2) - \frac{1}{2}}"
        r"{(1 + 0.001\,(x^2 + y^2))^2}",
        reference="Schaffer et al. 1989; Surjanovic & Bingham, sfu.ca/~ssurjano",
    )
