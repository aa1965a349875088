"""Countless minima: a regular or wild ripple over a simple shape."""

import itertools
import math

import jax.numpy as jnp
import numpy as np

from gdjax.objectives.objective import Objective
from gdjax.objectives.registry import of_components, register
from gdjax.objectives.safe import safe_abs, safe_sqrt


@register
def ackley(dim: int = 2) -> Objective:
    """Ackley's function: a conical tip at 0 in a nearly flat plain full of small pits.

    f(x) = −20 exp(−r/5) − exp(Σ cos(2π xᵢ)/d) + 20 + e with r² = Σ xᵢ²/d. It has a kink at the
    tip: the gradient tends to norm 4/√d there, so a fixed learning rate never settles. At the
    tip itself the gradient is the subgradient 0, by hand and by autodiff.
    """

    def radius(point):
        return safe_sqrt(jnp.mean(point**2))

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


@register
def rastrigin(dim: int = 2) -> Objective:
    """f(x) = 10d + Σ (xᵢ² − 10 cos 2πxᵢ): a bowl lined with a pit at every whole number.

    The box holds 11ᵈ minima, all but one of them traps. The Hessian at 0 is (2 + 40π²) I.
    """

    def residuals(point):
        return jnp.append(point, math.sqrt(20) * jnp.sin(math.pi * point))  # 1 − cos 2t = 2 sin² t

    return Objective(
        name="rastrigin",
        fn=lambda point: 10 * point.size + jnp.sum(point**2 - 10 * jnp.cos(2 * math.pi * point)),
        residuals=residuals,
        gradient=lambda point: 2 * point + 20 * math.pi * jnp.sin(2 * math.pi * point),
        domain=[(-5.12, 5.12)] * dim,
        start=([2.3, -1.6] * dim)[:dim],
        minima=[[0] * dim],
        fmin=0.0,
        latex=r"10\,d + \sum_i (x_i^2 - 10 \cos 2\pi x_i)",
        reference="Rastrigin 1974; Surjanovic & Bingham, sfu.ca/~ssurjano",
    )


@register
def griewank(dim: int = 2) -> Objective:
    """f(x) = Σ xᵢ²/4000 − Π cos(xᵢ/√i) + 1: a wide bowl under fine ripples of height 1.

    Far away the bowl leads, close by the ripples trap. The gradient multiplies the cosines of
    the other dimensions; xᵢ tan(…) times the whole product would be 0/0 where a cosine is 0.
    """

    def parts(point):
        scale = 1 / jnp.sqrt(jnp.arange(1, point.size + 1, dtype=point.dtype))
        return scale, jnp.cos(scale * point)

    def gradient(point):
        scale, cosines = parts(point)
        own = np.eye(point.size, dtype=bool)
        others = jnp.prod(jnp.where(own, jnp.ones_like(point), cosines), axis=1)
        return point / 2000 + scale * jnp.sin(scale * point) * others

    return Objective(
        name="griewank",
        fn=lambda point: jnp.sum(point**2) / 4000 - jnp.prod(parts(point)[1]) + 1,
        gradient=gradient,
        domain=[(-600, 600)] * dim,
        start=([25, -18] * dim)[:dim],
        minima=[[0] * dim],
        fmin=0.0,
        latex=r"\frac{1}{4000} \sum_i x_i^2 - \prod_i \cos\frac{x_i}{\sqrt{i}} + 1",
        reference="Griewank 1981, J. Optim. Theory Appl. 34:11",
    )


@register
def schwefel(dim: int = 2) -> Objective:
    """f(x) = Σ (c − xᵢ sin √|xᵢ|): the deepest pit far out in a corner, the next best far from it.

    The minimizer is xᵢ = t² with tan t = −t/2, and c = t² sin t = 418.98288727… makes f* = 0; the
    rounded 418.9829 of most tables leaves 1.3e-5 a dimension. Outside the box f falls without end.
    At xᵢ = 0 the slope is 0 and the curvature infinite.
    """

    def gradient(point):
        t = safe_sqrt(jnp.abs(point))
        return -jnp.sin(t) - t * jnp.cos(t) / 2

    return Objective(
        name="schwefel",
        fn=lambda point: jnp.sum(418.9828872724337 - point * jnp.sin(safe_sqrt(jnp.abs(point)))),
        gradient=gradient,
        domain=[(-500, 500)] * dim,
        start=([350, 260] * dim)[:dim],
        minima=[[420.968746359982] * dim],
        fmin=0.0,
        smoothness="removable",
        kink=lambda point: point,
        latex=r"\sum_i (418.982887\ldots - x_i \sin\sqrt{|x_i|})",
        reference="Schwefel 1981, Numerical Optimization of Computer Models",
    )


@register
def levy(dim: int = 2) -> Objective:
    """Lévy's function: parallel troughs in w = 1 + (x − 1)/4, crossed by a bowl.

    f(x) = sin² πw₁ + Σ (wᵢ − 1)² (1 + 10 sin²(πwᵢ + 1)) + (w_d − 1)² (1 + sin² 2πw_d), the sum
    over all dimensions but the last.
    """

    def fn(point):
        w = 1 + (point - 1) / 4
        inner, last = w[:-1], w[-1]
        troughs = (inner - 1) ** 2 * (1 + 10 * jnp.sin(math.pi * inner + 1) ** 2)
        end = (last - 1) ** 2 * (1 + jnp.sin(2 * math.pi * last) ** 2)
        return jnp.sin(math.pi * w[0]) ** 2 + jnp.sum(troughs) + end

    def residuals(point):
        w = 1 + (point - 1) / 4
        troughs = jnp.sqrt(1 + 10 * jnp.sin(math.pi * w[:-1] + 1) ** 2)
        end = jnp.sqrt(1 + jnp.sin(2 * math.pi * w[-1:]) ** 2)
        return jnp.append((w - 1) * jnp.append(troughs, end), jnp.sin(math.pi * w[0]))

    def gradient(point):
        w = 1 + (point - 1) / 4
        inner, last = w[:-1] - 1, w[-1:] - 1
        wave, turn = math.pi * w[:-1] + 1, 2 * math.pi * w[-1:]
        bowl = 2 * inner * (1 + 10 * jnp.sin(wave) ** 2)
        ripple = 10 * math.pi * inner**2 * jnp.sin(2 * wave)
        end = 2 * last * (1 + jnp.sin(turn) ** 2) + 2 * math.pi * last**2 * jnp.sin(2 * turn)
        first = math.pi * jnp.sin(2 * math.pi * w[:1])
        return (jnp.concatenate([bowl + ripple, end]) + jnp.pad(first, (0, w.size - 1))) / 4

    return Objective(
        name="levy",
        fn=fn,
        residuals=residuals,
        gradient=gradient,
        domain=[(-10, 10)] * dim,
        start=([-7, 8] * dim)[:dim],
        minima=[[1] * dim],
        fmin=0.0,
        latex=r"\sin^2 \pi w_1 + \sum_{i<d} (w_i - 1)^2 (1 + 10 \sin^2(\pi w_i + 1))"
        r" + (w_d - 1)^2 (1 + \sin^2 2\pi w_d),\ w = 1 + \frac{x - 1}{4}",
        reference="Laguna & Martí 2005; Surjanovic & Bingham, sfu.ca/~ssurjano",
    )


@register
def levy13() -> Objective:
    """f(x, y) = sin² 3πx + (x − 1)² (1 + sin² 3πy) + (y − 1)² (1 + sin² 2πy): Lévy's number 13."""

    @of_components
    def fn(x, y):
        across = (x - 1) ** 2 * (1 + jnp.sin(3 * math.pi * y) ** 2)
        along = (y - 1) ** 2 * (1 + jnp.sin(2 * math.pi * y) ** 2)
        return jnp.sin(3 * math.pi * x) ** 2 + across + along

    @of_components
    def residuals(x, y):
        across = (x - 1) * jnp.sqrt(1 + jnp.sin(3 * math.pi * y) ** 2)
        along = (y - 1) * jnp.sqrt(1 + jnp.sin(2 * math.pi * y) ** 2)
        return jnp.stack([jnp.sin(3 * math.pi * x), across, along])

    @of_components
    def gradient(x, y):
        three, two = 3 * math.pi, 2 * math.pi
        bowl_x = 2 * (x - 1) * (1 + jnp.sin(three * y) ** 2)
        bowl_y = 2 * (y - 1) * (1 + jnp.sin(two * y) ** 2)
        ripple_y = three * (x - 1) ** 2 * jnp.sin(2 * three * y)
        ripple_y += two * (y - 1) ** 2 * jnp.sin(2 * two * y)
        return jnp.stack([three * jnp.sin(2 * three * x) + bowl_x, ripple_y + bowl_y])

    return Objective(
        name="levy13",
        fn=fn,
        residuals=residuals,
        gradient=gradient,
        domain=[(-10, 10)] * 2,
        start=[-2.4, 3.6],
        minima=[[1, 1]],
        fmin=0.0,
        latex=r"\sin^2 3\pi x + (x - 1)^2 (1 + \sin^2 3\pi y) + (y - 1)^2 (1 + \sin^2 2\pi y)",
        reference="Surjanovic & Bingham, sfu.ca/~ssurjano",
    )


@register
def bohachevsky1() -> Objective:
    """f(x, y) = x² + 2y² − 0.3 cos 3πx − 0.4 cos 4πy + 0.7: a bowl, rippled only near its bottom.

    The ripples make minima only where |x| < 0.45π and |y| < 0.4π; from farther away every
    descent comes down to them.
    """

    @of_components
    def fn(x, y):
        waves = 0.3 * jnp.cos(3 * math.pi * x) + 0.4 * jnp.cos(4 * math.pi * y)
        return x**2 + 2 * y**2 - waves + 0.7

    @of_components
    def residuals(x, y):  # 1 − cos 2t = 2 sin² t
        by_x = math.sqrt(0.6) * jnp.sin(1.5 * math.pi * x)
        by_y = math.sqrt(0.8) * jnp.sin(2 * math.pi * y)
        return jnp.stack([x, math.sqrt(2) * y, by_x, by_y])

    @of_components
    def gradient(x, y):
        by_x = 2 * x + 0.9 * math.pi * jnp.sin(3 * math.pi * x)
        by_y = 4 * y + 1.6 * math.pi * jnp.sin(4 * math.pi * y)
        return jnp.stack([by_x, by_y])

    return Objective(
        name="bohachevsky1",
        fn=fn,
        residuals=residuals,
        gradient=gradient,
        domain=[(-100, 100)] * 2,
        start=[5, -3],
        minima=[[0, 0]],
        fmin=0.0,
        latex=r"x^2 + 2 y^2 - 0.3 \cos 3\pi x - 0.4 \cos 4\pi y + 0.7",
        reference="Bohachevsky, Johnson & Stein 1986, Technometrics 28:209",
    )


@register
def alpine1(dim: int = 2) -> Objective:
    """f(x) = Σ |xᵢ sin xᵢ + 0.1 xᵢ|: creases at 0 that meet in equal minima.

    Every zero of x (sin x + 0.1) is a crease: 0 and 7 more in the box, so that there are 8ᵈ global
    minima, 64 in 2-D, where most tables list the origin alone (here too from 3 dimensions on). On
    a crease the gradient is put to the subgradient 0.
    """

    def gradient(point):
        side = jnp.sign(point * jnp.sin(point) + 0.1 * point)
        return side * (jnp.sin(point) + point * jnp.cos(point) + 0.1)

    lean = math.asin(0.1)
    creases = [0.0, -lean, 2 * math.pi - lean, -2 * math.pi - lean]
    creases += [math.pi + lean, 3 * math.pi + lean, lean - math.pi, lean - 3 * math.pi]
    return Objective(
        name="alpine1",
        fn=lambda point: jnp.sum(safe_abs(point * jnp.sin(point) + 0.1 * point)),
        gradient=gradient,
        domain=[(-10, 10)] * dim,
        start=([7.6, -4.6] * dim)[:dim],
        minima=list(itertools.product(creases, repeat=dim)) if dim <= 2 else [[0] * dim],
        fmin=0.0,
        smoothness="kink",
        kink=lambda point: point * jnp.sin(point) + 0.1 * point,
        latex=r"\sum_i |x_i \sin x_i + 0.1\,x_i|",
        reference="Jamil & Yang 2013, arXiv:1308.4008",
    )


@register
def shubert() -> Objective:
    """f(x, y) = S(x) S(y), S(t) = Σ j cos((j + 1) t + j), j = 1…5: a crowd of pits and peaks.

    f has period 2π in both. Its 18 global minima in the box pair the highest peak of S, at
    −0.8003, with the lowest pit, at −1.4251, one in x and the other in y.
    """

    def parts(point):
        j = jnp.arange(1, 6, dtype=point.dtype)
        return j, (j + 1) * point[:, None] + j

    def fn(point):
        j, angle = parts(point)
        return jnp.prod(jnp.sum(j * jnp.cos(angle), axis=1))

    def gradient(point):
        j, angle = parts(point)
        first, second = jnp.sum(j * jnp.cos(angle), axis=1)
        slopes = -jnp.sum(j * (j + 1) * jnp.sin(angle), axis=1)
        return slopes * jnp.stack([second, first])

    peak, pit = -0.8003211004719731, -1.4251284283197609
    turns = [-2 * math.pi, 0, 2 * math.pi]
    pairs = [(peak + a, pit + b) for a in turns for b in turns]
    return Objective(
        name="shubert",
        fn=fn,
        gradient=gradient,
        domain=[(-10, 10)] * 2,
        start=[-2.2, 0.6],
        minima=pairs + [pair[::-1] for pair in pairs],
        fmin=-186.73090883102384,
        latex=r"S(x)\,S(y),\ S(t) = \sum_{j=1}^{5} j \cos((j + 1)\,t + j)",
        reference="Surjanovic & Bingham, sfu.ca/~ssurjano",
    )
