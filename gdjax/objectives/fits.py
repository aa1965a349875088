"""Least-squares fits: sums of squared residuals, by Moré, Garbow and Hillstrom."""

import math

import jax.numpy as jnp
import numpy as np

from gdjax.objectives.objective import Objective
from gdjax.objectives.registry import register

BOX_TIMES = np.arange(1, 11) / 10
BOX_DATA = np.exp(-BOX_TIMES) - np.exp(-10 * BOX_TIMES)
BROWN_TIMES = np.arange(1, 21) / 5
BROWN_DATA = np.stack([BROWN_TIMES, np.exp(BROWN_TIMES), np.sin(BROWN_TIMES), np.cos(BROWN_TIMES)])
ENZYME_RATES = np.array(
    [0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246]
)
ENZYME_DOSES = np.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])


@register
def jennrich_sampson() -> Objective:
    """f(x, y) = Σ (2 + 2i − e^(ix) − e^(iy))², i = 1…10: two exponentials that cannot fit a line.

    The residuals stay large at the minimum (f* = 124.36), which lies on the diagonal, and the
    Hessian has eigenvalues from 4.5e3 to 1.4e5 there; in the corner (1, 1) it is near 1e11.
    """

    def parts(point):
        index = jnp.arange(1, 11, dtype=point.dtype)
        waves = jnp.exp(index * point[:, None])
        return index, waves, 2 + 2 * index - jnp.sum(waves, axis=0)

    def gradient(point):
        index, waves, residual = parts(point)
        return -2 * jnp.sum(index * residual * waves, axis=1)

    return Objective(
        name="jennrich_sampson",
        residuals=lambda point: parts(point)[-1],
        gradient=gradient,
        domain=[(-1, 1)] * 2,
        start=[0.3, 0.4],
        minima=[[0.2578252136703641] * 2],
        fmin=124.36218235561485,
        complete=True,
        latex=r"\sum_{i=1}^{10} (2 + 2i - e^{i x} - e^{i y})^2",
        reference="Moré, Garbow & Hillstrom 1981, ACM TOMS 7:17, #6",
    )


@register
def helical_valley() -> Objective:
    """f(x) = 100 (x₃ − 10θ)² + 100 (r − 1)² + x₃² in cylindrical r, 2πθ: down a spiral staircase.

    θ jumps from ½ to −½ across the half plane x₂ = 0, x₁ < 0, on which the customary start lies
    (its upper side, θ = ½, is the one taken). On the axis r = 0 the function is undefined; θ
    is put to 0 there and r to the subgradient 0, which keeps value and gradient finite.
    """

    def parts(point):
        x, y, z = point
        squared = x**2 + y**2
        off_axis = squared > 0
        x = jnp.where(off_axis, x, 1.0)
        y = jnp.where(off_axis, y, 0.0)
        radius = jnp.sqrt(jnp.where(off_axis, squared, 1.0))
        return off_axis, x, y, radius, z - 5 / math.pi * jnp.arctan2(y, x)

    def fn(point):
        off_axis, _, _, radius, rise = parts(point)
        return 100 * (rise**2 + (jnp.where(off_axis, radius, 0.0) - 1) ** 2) + point[2] ** 2

    def residuals(point):
        off_axis, _, _, radius, rise = parts(point)
        return jnp.stack([10 * rise, 10 * (jnp.where(off_axis, radius, 0.0) - 1), point[2]])

    def gradient(point):
        off_axis, x, y, radius, rise = parts(point)
        outward = 200 * (radius - 1) / radius
        turn = 1000 / math.pi * rise / radius**2
        return jnp.stack(
            [
                jnp.where(off_axis, outward * x + turn * y, 0.0),
                jnp.where(off_axis, outward * y - turn * x, 0.0),
                200 * rise + 2 * point[2],
            ]
        )

    def kink(point):
        off_axis, *_, radius, _ = parts(point)
        radius = jnp.where(off_axis, radius, 0.0)
        return jnp.stack([radius, jnp.where(point[0] < 0, point[1], radius)])

    return Objective(
        name="helical_valley",
        fn=fn,
        residuals=residuals,
        gradient=gradient,
        domain=[(-10, 10)] * 3,
        start=[-1, 0, 0],
        minima=[[1, 0, 0]],
        fmin=0.0,
        complete=True,
        smoothness="smooth_at_min",
        kink=kink,
        latex=r"100\,(x_3 - 10\,\theta)^2 + 100\,(r - 1)^2 + x_3^2,"
        r"\ x_1 + \mathrm{i}\,x_2 = r\,e^{2 \pi \mathrm{i} \theta}",
        reference="Fletcher & Powell 1963; Moré, Garbow & Hillstrom 1981, ACM TOMS 7:17, #7",
    )


@register
def box3d() -> Objective:
    """f(x) = Σ (e^(−tx₁) − e^(−tx₂) − x₃ (e^(−t) − e^(−10t)))², t = 0.1…1: with a line of minima.

    f = 0 at (1, 10, 1), at (10, 1, −1) and on the whole line x₁ = x₂, x₃ = 0, of which only the
    two isolated points are listed as minima; the Hessian has eigenvalues from 9.1e-4 to 7.6 there.
    Swapping x₁ with x₂ and changing the sign of x₃ leaves f as it is.
    """

    def parts(point):
        x, y, z = point
        times, data = jnp.asarray(BOX_TIMES, point.dtype), jnp.asarray(BOX_DATA, point.dtype)
        rise, decay = jnp.exp(-times * x), jnp.exp(-times * y)
        return times, data, rise, decay, rise - decay - z * data

    def gradient(point):
        times, data, rise, decay, residual = parts(point)
        jacobian = jnp.stack([-times * rise, times * decay, -data])
        return 2 * jnp.sum(jacobian * residual, axis=1)

    a, b, c = 5.658714539130157, 1.660142236169584, 0.5899947959093227
    return Objective(
        name="box3d",
        residuals=lambda point: parts(point)[-1],
        gradient=gradient,
        domain=[(-2, 20)] * 3,
        start=[0, 10, 20],
        minima=[[1, 10, 1], [10, 1, -1]],
        fmin=0.0,
        saddles=[[a, b, -c], [b, a, c]],
        latex=r"\sum_{i=1}^{10} (e^{-t x_1} - e^{-t x_2} - x_3 (e^{-t} - e^{-10 t}))^2,\ t = i/10",
        reference="Moré, Garbow & Hillstrom 1981, ACM TOMS 7:17, #12",
    )


@register
def brown_dennis() -> Objective:
    """f(x) = Σ ((x₁ + t x₂ − eᵗ)² + (x₃ + x₄ sin t − cos t)²)², t = 0.2…4: a quartic misfit.

    The residuals stay large at the minimum (f* = 85822.2), where the Hessian's eigenvalues run
    from 1.2e3 to 9.3e4.
    """

    def parts(point):
        a, b, c, d = point
        times, growth, sine, cosine = jnp.asarray(BROWN_DATA, point.dtype)
        return times, sine, a + b * times - growth, c + d * sine - cosine

    def fn(point):
        _, _, first, second = parts(point)
        return jnp.sum((first**2 + second**2) ** 2)

    def residuals(point):
        _, _, first, second = parts(point)
        return first**2 + second**2

    def gradient(point):
        times, sine, first, second = parts(point)
        jacobian = jnp.stack([first, times * first, second, sine * second])
        return 4 * jnp.sum(jacobian * (first**2 + second**2), axis=1)

    return Objective(
        name="brown_dennis",
        fn=fn,
        residuals=residuals,
        gradient=gradient,
        domain=[(-30, 30)] * 4,
        start=[25, 5, -5, -1],
        minima=[[-11.594439904762165, 13.203630051207204, -0.4034394881768595, 0.2367787744557363]],
        fmin=85822.20162635634,
        complete=True,
        latex=r"\sum_{i=1}^{20} ((x_1 + t x_2 - e^t)^2 + (x_3 + x_4 \sin t - \cos t)^2)^2,"
        r"\ t = i/5",
        reference="Moré, Garbow & Hillstrom 1981, ACM TOMS 7:17, #16",
    )


@register
def kowalik_osborne() -> Objective:
    """f(x) = Σ (yᵢ − x₁ (uᵢ² + uᵢx₂)/(uᵢ² + uᵢx₃ + x₄))²: an enzyme's kinetics, 11 measurements.

    The denominators vanish on 11 planes of (x₃, x₄). Between these poles lie dozens of local
    minima, of which the two that draw most are listed, and for x far out f → 1.03e-3. Exactly on
    a pole its term counts as yᵢ², which keeps value and gradient finite.
    """

    def parts(point):
        a, b, c, d = point
        doses = jnp.asarray(ENZYME_DOSES, point.dtype)
        below = doses**2 + doses * c + d
        inverse = jnp.where(below == 0, 0.0, 1 / jnp.where(below == 0, 1.0, below))
        model = doses * (doses + b) * inverse
        return doses, inverse, model, jnp.asarray(ENZYME_RATES, point.dtype) - a * model

    def gradient(point):
        doses, inverse, model, residual = parts(point)
        slope = point[0] * inverse
        jacobian = jnp.stack([-model, -slope * doses, slope * model * doses, slope * model])
        return 2 * jnp.sum(jacobian * residual, axis=1)

    def kink(point):
        doses = jnp.asarray(ENZYME_DOSES, point.dtype)
        return (doses**2 + doses * point[2] + point[3]) / jnp.sqrt(doses**2 + 1)

    return Objective(
        name="kowalik_osborne",
        residuals=lambda point: parts(point)[-1],
        gradient=gradient,
        domain=[(-5, 5)] * 4,
        start=[0.25, 0.39, 0.415, 0.39],
        minima=[[0.1928069345790379, 0.191282328734367, 0.1230565069263207, 0.1360623306837948]],
        fmin=0.0003075056038492374,
        local_minima=[
            [0.2253564377988867, -0.4147538060055383, -0.02445269621513163, -0.1779696598012656],
            [0.2339237308689686, -1.292283387337197, -0.8358331955370852, -0.5506774225155381],
        ],
        smoothness="smooth_at_min",
        kink=kink,
        latex=r"\sum_{i=1}^{11} (y_i - x_1 \frac{u_i^2 + u_i x_2}{u_i^2 + u_i x_3 + x_4})^2",
        reference="Moré, Garbow & Hillstrom 1981, ACM TOMS 7:17, #15",
    )
