"""Needles, cusps and cliffs: flat almost everywhere, or so steep that a slope says little."""

import itertools
import math

import jax.numpy as jnp

from gdjax.objectives.objective import Objective
from gdjax.objectives.registry import register
from gdjax.objectives.safe import safe_abs, safe_sqrt


@register
def easom() -> Objective:
    """f(x, y) = −cos x cos y e^(−(x−π)² − (y−π)²): one pit in a plain that is flat to the last bit.

    The Hessian at (π, π) is 3I. A few units away no slope is left: it falls below 1e-6 at a
    distance of 4, and from 9.4 on it is 0 in single precision.
    """

    def parts(point):
        return jnp.cos(point), jnp.exp(-jnp.sum((point - math.pi) ** 2))

    def fn(point):
        cosines, bell = parts(point)
        return -cosines[0] * cosines[1] * bell

    def gradient(point):
        cosines, bell = parts(point)
        slopes = jnp.sin(point) + 2 * (point - math.pi) * cosines
        return bell * jnp.stack([slopes[0] * cosines[1], cosines[0] * slopes[1]])

    return Objective(
        name="easom",
        fn=fn,
        gradient=gradient,
        domain=[(-100, 100)] * 2,
        start=[4.1, 2.6],
        minima=[[math.pi] * 2],
        fmin=-1.0,
        latex=r"-\cos x\,\cos y\;e^{-(x - \pi)^2 - (y - \pi)^2}",
        reference="Easom 1990; Surjanovic & Bingham, sfu.ca/~ssurjano",
    )


@register
def eggholder() -> Objective:
    """f(x, y) = −u sin √|x/2 + u| − x sin √|x − u| with u = y + 47: a rack of ever deeper cups.

    The lowest point, f = −959.64, lies on the domain's edge x = 512, where the slope still leads
    out. On the two lines under the roots the slope is infinite (a cusp); there each root's
    derivative is put to 0, by hand and by autodiff.
    """

    def parts(point):
        x, u = point[0], point[1] + 47
        first, second = x / 2 + u, x - u
        return x, u, first, second, safe_sqrt(jnp.abs(first)), safe_sqrt(jnp.abs(second))

    def fn(point):
        x, u, _, _, a, b = parts(point)
        return -u * jnp.sin(a) - x * jnp.sin(b)

    def gradient(point):
        x, u, first, second, a, b = parts(point)
        by_first = u * jnp.cos(a) * jnp.sign(first) / (2 * jnp.where(a > 0, a, 1.0))
        by_second = x * jnp.cos(b) * jnp.sign(second) / (2 * jnp.where(b > 0, b, 1.0))
        by_x = by_first / 2 + by_second + jnp.sin(b)
        return -jnp.stack([by_x, by_first - by_second + jnp.sin(a)])

    return Objective(
        name="eggholder",
        fn=fn,
        gradient=gradient,
        domain=[(-512, 512)] * 2,
        start=[300, 250],
        minima=[[512, 404.2318051137578]],
        fmin=-959.6406627208509,
        smoothness="smooth_at_min",
        kink=lambda point: jnp.stack(parts(point)[2:4]),
        latex=r"-u \sin\sqrt{|x/2 + u|} - x \sin\sqrt{|x - u|},\ u = y + 47",
        reference="Surjanovic & Bingham, sfu.ca/~ssurjano",
    )


@register
def bukin6() -> Objective:
    """f(x, y) = 100 √|y − x²/100| + |x + 10|/100: a ridge turned over, a valley with no floor.

    Along the parabola y = x²/100 the slope is infinite on both sides, so every step overshoots.
    On it the root's derivative is put to 0, which leaves the 1/100 that leads along the valley.
    """

    def gap(point):
        return 100 * point[1] - point[0] ** 2  # undivided, so that it is exactly 0 at (−10, 1)

    def gradient(point):
        off = gap(point)
        side = 10 * jnp.sign(off) / safe_sqrt(jnp.where(off == 0, 1.0, jnp.abs(off)))
        return jnp.stack([jnp.sign(point[0] + 10) / 100 - point[0] * side, 50 * side])

    return Objective(
        name="bukin6",
        fn=lambda point: 10 * safe_sqrt(jnp.abs(gap(point))) + safe_abs(point[0] + 10) / 100,
        gradient=gradient,
        domain=[(-15, -5), (-3, 3)],
        start=[-13, 2.6],
        minima=[[-10, 1]],
        fmin=0.0,
        smoothness="kink",
        kink=lambda point: jnp.stack([gap(point), point[0] + 10]),
        latex=r"100 \sqrt{|y - x^2/100|} + |x + 10|/100",
        reference="Bukin 1997; Surjanovic & Bingham, sfu.ca/~ssurjano",
    )


def _tent(point, height: float):
    """E = |height − r/π|, and its gradient; 0 at the kinks r = 0 and r = height · π."""
    r = safe_sqrt(jnp.sum(point**2))
    slope = jnp.sign(height - r / math.pi) / (math.pi * jnp.where(r > 0, r, 1.0))
    return safe_abs(height - r / math.pi), -slope * point


@register
def cross_in_tray() -> Objective:
    """f(x, y) = −10⁻⁴ (|sin x sin y| e^E + 1)^0.1, E = |100 − r/π|: trays between sharp walls.

    e^100 is beyond single precision, so it is computed as −10⁻⁴ e^(E/20) q^0.1 with
    q = |sin x sin y| e^(E/2) + e^(−E/2), which is the same and overflows nowhere. On the walls,
    where sin x sin y = 0, the gradient is put to 0 across them; at the four minima f is smooth.
    """

    def parts(point):
        tent, tilt = _tent(point, 100.0)
        sines = jnp.sin(point)
        heights = safe_abs(sines)
        base = heights[0] * heights[1] * jnp.exp(tent / 2) + jnp.exp(-tent / 2)
        return tent, tilt, sines, heights, base

    def fn(point):
        tent, _, _, _, base = parts(point)
        return -1e-4 * jnp.exp(tent / 20) * base**0.1

    def gradient(point):
        tent, tilt, sines, heights, base = parts(point)
        slopes = jnp.sign(sines) * jnp.cos(point)
        across = jnp.stack([slopes[0] * heights[1], heights[0] * slopes[1]])
        steepness = 0.1 * fn(point) * jnp.exp(tent / 2) / base
        return steepness * (across + heights[0] * heights[1] * tilt)

    at = 1.3494066171539107
    return Objective(
        name="cross_in_tray",
        fn=fn,
        gradient=gradient,
        domain=[(-10, 10)] * 2,
        start=[2.6, -0.6],
        minima=[[at, at], [at, -at], [-at, at], [-at, -at]],
        fmin=-2.062611870822737,
        smoothness="smooth_at_min",
        kink=jnp.sin,
        latex=r"-10^{-4} \left(|\sin x\,\sin y|\;e^{|100 - r/\pi|} + 1\right)^{0.1},"
        r"\ r^2 = x^2 + y^2",
        reference="Mishra 2006; Surjanovic & Bingham, sfu.ca/~ssurjano",
    )


@register
def holder_table() -> Objective:
    """f(x, y) = −|sin x cos y| e^|1 − r/π|: a creased table whose corners hang lowest.

    The creases are sin x = 0, cos y = 0 and the circle r = π; the four minima lie off them. Beyond
    the domain the function falls without end.
    """

    def parts(point):
        waves = jnp.stack([jnp.sin(point[0]), jnp.cos(point[1])])
        return waves, safe_abs(waves), *_tent(point, 1.0)

    def fn(point):
        _, heights, tent, _ = parts(point)
        return -heights[0] * heights[1] * jnp.exp(tent)

    def gradient(point):
        waves, heights, tent, tilt = parts(point)
        slopes = jnp.sign(waves) * jnp.stack([jnp.cos(point[0]), -jnp.sin(point[1])])
        across = jnp.stack([slopes[0] * heights[1], heights[0] * slopes[1]])
        return -jnp.exp(tent) * (across + heights[0] * heights[1] * tilt)

    def kink(point):
        waves = parts(point)[0]
        return jnp.stack([waves[0], waves[1], safe_sqrt(jnp.sum(point**2)) - math.pi])

    x, y = 8.055023475736563, 9.664590019241272
    return Objective(
        name="holder_table",
        fn=fn,
        gradient=gradient,
        domain=[(-10, 10)] * 2,
        start=[6.9, 8.4],
        minima=[[x, y], [x, -y], [-x, y], [-x, -y]],
        fmin=-19.208502567886732,
        smoothness="smooth_at_min",
        kink=kink,
        latex=r"-|\sin x\,\cos y|\;e^{|1 - r/\pi|},\ r^2 = x^2 + y^2",
        reference="Mishra 2006; Surjanovic & Bingham, sfu.ca/~ssurjano",
    )


@register
def michalewicz(dim: int = 2) -> Objective:
    """f(x) = −Σ sin xᵢ sin²⁰(i xᵢ²/π): narrow canyons crossing on a flat plain.

    The dimensions do not interact: dimension i has i canyons, d! crossings of which are minima
    (listed up to d = 4) and the deepest is the global one, f* = −1.8013 for d = 2, −4.6877 for 5,
    −9.6602 for 10. A canyon's bottom is where tan(u − π/2 − kπ) = π cot x/(40 i x), u = i x²/π,
    which a fixed-point iteration solves from u = π/2 + kπ.
    """

    def parts(point):
        index = jnp.arange(1, point.size + 1, dtype=point.dtype)
        return index, jnp.sin(index * point**2 / math.pi)

    def fn(point):
        _, wave = parts(point)
        return -jnp.sum(jnp.sin(point) * wave**20)

    def gradient(point):
        index, wave = parts(point)
        bend = 40 / math.pi * index * point * jnp.cos(index * point**2 / math.pi)
        return -(wave**19) * (jnp.cos(point) * wave + jnp.sin(point) * bend)

    canyons = [_canyons(i, every=dim <= 4) for i in range(1, dim + 1)]
    crossings = list(itertools.product(*canyons)) if dim <= 4 else [[c[0] for c in canyons]]
    lowest, *others = [[x for _, x in crossing] for crossing in crossings]
    return Objective(
        name="michalewicz",
        fn=fn,
        gradient=gradient,
        domain=[(0, math.pi)] * dim,
        start=([2.5, 1.75] * dim)[:dim],
        minima=[lowest],
        fmin=sum(canyon[0][0] for canyon in canyons),
        local_minima=others,
        latex=r"-\sum_i \sin x_i\,\sin^{20} (i\,x_i^2 / \pi)",
        reference="Michalewicz 1992, Genetic Algorithms + Data Structures = Evolution Programs",
    )


def _canyons(i: int, every: bool) -> list[tuple[float, float]]:
    """The minima of −sin x sin²⁰(i x²/π) on [0, π]: (value, x), the deepest first.

    The deepest is next to π/2, where k is i/4; where not all are asked for, it is looked for there.
    """
    bottoms = []
    for k in range(i) if every else range(max(i // 4 - 2, 0), min(i // 4 + 3, i)):
        x = math.pi * math.sqrt((k + 0.5) / i)
        for _ in range(40):
            lean = math.atan(math.pi / (40 * i * x * math.tan(x)))
            x = math.sqrt(math.pi * (math.pi / 2 + k * math.pi + lean) / i)
        bottoms.append((-math.sin(x) * math.sin(i * x**2 / math.pi) ** 20, x))
    return sorted(bottoms)
