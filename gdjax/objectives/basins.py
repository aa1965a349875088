"""A few separate minima: landscapes in which a descent can be caught."""

import itertools
import math
from collections.abc import Sequence

import jax.numpy as jnp

from gdjax.objectives.objective import Objective
from gdjax.objectives.registry import of_components, register


def mirrored(points: Sequence[Sequence[float]]) -> list[list[float]]:
    """Each point and its reflection in the origin."""
    return [[sign * x for x in point] for point in points for sign in (1, -1)]


@register
def qfsp() -> Objective:
    """f(x, y) = x² + y² + 10 sin x sin y: a quadratic function with sine products.

    With u = x + y and v = x − y it separates into (u²/2 − 5 cos u) + (v²/2 + 5 cos v), which
    gives its 6 minima (2 of them global), 7 saddles and 2 maxima.
    """

    @of_components
    def gradient(x, y):
        return jnp.stack(
            [2 * x + 10 * jnp.cos(x) * jnp.sin(y), 2 * y + 10 * jnp.sin(x) * jnp.cos(y)]
        )

    a, b, c = 1.2978695398249, 3.7510171152530876, 1.1552780356032881
    p, q = 3.3501794651038526, 0.7544403854540532
    s, t = 2.4531475754281877, 2.0523099252789527
    return Objective(
        name="qfsp",
        fn=of_components(lambda x, y: x**2 + y**2 + 10 * jnp.sin(x) * jnp.sin(y)),
        gradient=gradient,
        domain=[(-15, 15)] * 2,
        start=[7.11, 6.97],
        minima=[[a, -a], [-a, a]],
        fmin=-5.904491670910733,
        local_minima=[[b, c], [c, b], [-b, -c], [-c, -b]],
        saddles=[[0, 0], [s, s], [-s, -s], [p, q], [q, p], [-p, -q], [-q, -p]],
        maxima=[[t, t], [-t, -t]],
        complete=True,
        latex=r"x^2 + y^2 + 10\,\sin x\,\sin y",
        reference="Gradient Descent Ninja with Momentum, blog post, 2024-12-12",
    )


@register
def himmelblau() -> Objective:
    """f(x, y) = (x² + y − 11)² + (x + y² − 7)²: four equal minima around one hill.

    Every minimum is a root of both brackets; a saddle lies between each two neighbours, and the
    hill, f = 181.6, in the middle of them.
    """

    @of_components
    def gradient(x, y):
        first, second = x**2 + y - 11, x + y**2 - 7
        return 2 * jnp.stack([2 * x * first + second, first + 2 * y * second])

    return Objective(
        name="himmelblau",
        fn=of_components(lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2),
        residuals=of_components(lambda x, y: jnp.stack([x**2 + y - 11, x + y**2 - 7])),
        gradient=gradient,
        domain=[(-5, 5)] * 2,
        start=[-0.5, -1.5],
        minima=[
            [3, 2],
            [3.5844283403304917, -1.8481265269644036],
            [-2.805118086952745, 3.131312518250573],
            [-3.779310253377747, -3.2831859912861696],
        ],
        fmin=0.0,
        saddles=[
            [3.385154183607021, 0.07385187983774928],
            [0.08667750455539636, 2.884254701174776],
            [-3.0730257507643897, -0.08135304428796751],
            [-0.12796134673068008, -1.9537149802445763],
        ],
        maxima=[[-0.2708445906673476, -0.9230385564799815]],
        complete=True,
        latex=r"(x^2 + y - 11)^2 + (x + y^2 - 7)^2",
        reference="Himmelblau 1972; Jamil & Yang 2013, arXiv:1308.4008",
    )


@register
def goldstein_price() -> Objective:
    """Two quartic factors, multiplied: four minima from 3 to 840 under walls of 10⁶.

    f(x, y) = (1 + (x + y + 1)² p) (30 + (2x − 3y)² q), p = 19 − 14x + 3x² − 14y + 6xy + 3y²,
    q = 18 − 32x + 12x² + 48y − 36xy + 27y². In s = x + y and t = 2x − 3y these are
    p = 3s² − 14s + 19 and q = 3t² − 16t + 18, so that f is the product of a function of s and
    one of t: its stationary points are the grid s ∈ {−1, 1, 2}, t ∈ {0, 1, 3}.
    """

    @of_components
    def factors(x, y):
        s, t = x + y, 2 * x - 3 * y
        first = 1 + (s + 1) ** 2 * (3 * s**2 - 14 * s + 19)
        return s, t, first, 30 + t**2 * (3 * t**2 - 16 * t + 18)

    def fn(point):
        _, _, first, second = factors(point)
        return first * second

    def gradient(point):
        s, t, first, second = factors(point)
        by_s = 12 * (s + 1) * (s - 1) * (s - 2) * second
        by_t = 12 * t * (t - 1) * (t - 3) * first
        return jnp.stack([by_s + 2 * by_t, by_s - 3 * by_t])

    return Objective(
        name="goldstein_price",
        fn=fn,
        gradient=gradient,
        domain=[(-2, 2)] * 2,
        start=[-1.5, 1],
        minima=[[0, -1]],
        fmin=3.0,
        local_minima=[[-0.6, -0.4], [1.8, 0.2], [1.2, 0.8]],
        saddles=[[1.2, -0.2], [0.6, 0.4], [-0.4, -0.6], [1.4, 0.6]],
        maxima=[[0.8, 0.2]],
        complete=True,
        latex=r"(1 + (s+1)^2 (3 s^2 - 14 s + 19))\,(30 + t^2 (3 t^2 - 16 t + 18)),"
        r"\ s = x + y,\ t = 2x - 3y",
        reference="Goldstein & Price 1971, Math. Comput. 25:569",
    )


@register
def mccormick() -> Objective:
    """f(x, y) = sin(x + y) + (x − y)² − 1.5x + 2.5y + 1: a gutter that goes down in steps.

    Towards x = y = −∞ the function falls by π a period of x + y: only the domain gives it a lowest
    point. The minimum there, (1/2 − π/3, −1/2 − π/3), has f = −√3/2 − π/3.
    """

    @of_components
    def gradient(x, y):
        along, across = jnp.cos(x + y), 2 * (x - y)
        return jnp.stack([along + across - 1.5, along - across + 2.5])

    third = math.pi / 3
    return Objective(
        name="mccormick",
        fn=of_components(lambda x, y: jnp.sin(x + y) + (x - y) ** 2 - 1.5 * x + 2.5 * y + 1),
        gradient=gradient,
        domain=[(-1.5, 4), (-3, 4)],
        start=[3.5, 0],
        minima=[[0.5 - third, -0.5 - third]],
        fmin=-math.sqrt(3) / 2 - third,
        local_minima=[[0.5 + 2 * third, -0.5 + 2 * third]],
        saddles=[[0.5 + third, -0.5 + third]],
        complete=True,
        latex=r"\sin(x + y) + (x - y)^2 - 1.5\,x + 2.5\,y + 1",
        reference="McCormick 1976, Math. Program. 10:147",
    )


@register
def styblinski_tang(dim: int = 2) -> Objective:
    """f(x) = ½ Σ (xᵢ⁴ − 16xᵢ² + 5xᵢ): a deep and a shallow well along every axis.

    The dimensions do not interact: every xᵢ at one of the three roots of 4x³ − 32x + 5 gives 3ᵈ
    stationary points, 2ᵈ of them minima, and the lowest has f* = −39.166 d. They are listed up
    to 3 dimensions.
    """
    deep, top, shallow = -2.903534027771177, 0.1567312567803401, 2.746802770990837
    others = {"local_minima": [], "saddles": [], "maxima": []}
    for point in itertools.product((deep, top, shallow), repeat=dim) if dim <= 3 else ():
        if top not in point:
            others["local_minima"].append(point)
        else:
            others["maxima" if set(point) == {top} else "saddles"].append(point)
    return Objective(
        name="styblinski_tang",
        fn=lambda point: jnp.sum(point**4 - 16 * point**2 + 5 * point) / 2,
        gradient=lambda point: 2 * point**3 - 16 * point + 2.5,
        domain=[(-5, 5)] * dim,
        start=([4.5, 0.5] * dim)[:dim],
        minima=[[deep] * dim],
        fmin=-39.16616570377142 * dim,
        local_minima=others["local_minima"][1:],
        saddles=others["saddles"],
        maxima=others["maxima"],
        complete=dim <= 3,
        latex=r"\frac{1}{2} \sum_i (x_i^4 - 16 x_i^2 + 5 x_i)",
        reference="Styblinski & Tang 1990, Neural Networks 3:467",
    )


@register
def six_hump_camel() -> Objective:
    """f(x, y) = (4 − 2.1x² + x⁴/3) x² + xy + (4y² − 4) y²: six minima in mirrored pairs."""
    return Objective(
        name="six_hump_camel",
        fn=of_components(
            lambda x, y: (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (4 * y**2 - 4) * y**2
        ),
        gradient=of_components(
            lambda x, y: jnp.stack([8 * x - 8.4 * x**3 + 2 * x**5 + y, x - 8 * y + 16 * y**3])
        ),
        domain=[(-3, 3), (-2, 2)],
        start=[2.2, 1.4],
        minima=mirrored([[0.08984201310031806, -0.7126564030207396]]),
        fmin=-1.0316284534898774,
        local_minima=mirrored(
            [
                [1.703606714969981, -0.7960835686726251],
                [1.6071047529201972, 0.5686514548841314],
            ]
        ),
        saddles=[
            [0, 0],
            *mirrored(
                [
                    [1.1092053368047865, -0.7682680925095399],
                    [1.6380679841897785, 0.22867406904439408],
                    [1.2960702671671092, 0.6050843880386585],
                ]
            ),
        ],
        maxima=mirrored([[1.2302298765166526, 0.16233458445899496]]),
        complete=True,
        latex=r"(4 - 2.1 x^2 + x^4/3)\,x^2 + x y + (4 y^2 - 4)\,y^2",
        reference="Dixon & Szegő 1978, Towards Global Optimisation 2",
    )


@register
def three_hump_camel() -> Objective:
    """f(x, y) = 2x² − 1.05x⁴ + x⁶/6 + xy + y²: the global minimum 0 between two at 0.2986."""
    return Objective(
        name="three_hump_camel",
        fn=of_components(lambda x, y: 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2),
        gradient=of_components(lambda x, y: jnp.stack([4 * x - 4.2 * x**3 + x**5 + y, x + 2 * y])),
        domain=[(-5, 5)] * 2,
        start=[-2, 2],
        minima=[[0, 0]],
        fmin=0.0,
        local_minima=mirrored([[1.7475523458302888, -0.8737761729151444]]),
        saddles=mirrored([[1.07054229182366, -0.53527114591183]]),
        complete=True,
        latex=r"2 x^2 - 1.05\,x^4 + x^6/6 + x y + y^2",
        reference="Surjanovic & Bingham, sfu.ca/~ssurjano",
    )


@register
def branin() -> Objective:
    """f(x, y) = (y − bx² + 5x/π − 6)² + 10 (1 − 1/(8π)) cos x + 10, b = 5.1/(4π²): three equals.

    The bracket vanishes along a parabola, on which the cosine makes minima at x = −π, π, 3π,
    all with f = 5/(4π), and saddles at 0 and 2π.
    """
    bend, wave = 5.1 / (4 * math.pi**2), 10 * (1 - 1 / (8 * math.pi))

    @of_components
    def gradient(x, y):
        gap = 2 * (y - bend * x**2 + 5 / math.pi * x - 6)
        return jnp.stack([(5 / math.pi - 2 * bend * x) * gap - wave * jnp.sin(x), gap])

    pi = math.pi
    return Objective(
        name="branin",
        fn=of_components(
            lambda x, y: (y - bend * x**2 + 5 / math.pi * x - 6) ** 2 + wave * jnp.cos(x) + 10
        ),
        gradient=gradient,
        domain=[(-5, 10), (0, 15)],
        start=[6, 13],
        minima=[[-pi, 12.275], [pi, 2.275], [3 * pi, 2.475]],
        fmin=5 / (4 * pi),
        saddles=[[0, 6], [2 * pi, 1.1]],
        complete=True,
        latex=r"(y - \frac{5.1}{4 \pi^2} x^2 + \frac{5}{\pi} x - 6)^2"
        r" + 10\,(1 - \frac{1}{8 \pi}) \cos x + 10",
        reference="Branin 1972; Dixon & Szegő 1978, Towards Global Optimisation 2",
    )


@register
def two_gaussian_bowl() -> Objective:
    """f(x, y) = x² + y² − 2e^(−5((x−1)² + y²)) − 3e^(−5((x+1)² + y²)): two dents in a bowl.

    The deeper dent is on the left; a start on the right rolls into the other one.
    """

    @of_components
    def dents(x, y):
        right = 2 * jnp.exp(-5 * ((x - 1) ** 2 + y**2))
        return right, 3 * jnp.exp(-5 * ((x + 1) ** 2 + y**2))

    def fn(point):
        right, left = dents(point)
        return jnp.sum(point**2) - right - left

    def gradient(point):
        x, y = point
        right, left = dents(point)
        across = x + 5 * (x - 1) * right + 5 * (x + 1) * left
        return 2 * jnp.stack([across, y * (1 + 5 * right + 5 * left)])

    return Objective(
        name="two_gaussian_bowl",
        fn=fn,
        gradient=gradient,
        domain=[(-2, 2)] * 2,
        start=[1.6, 1.2],
        minima=[[-0.9363006340109187, 0]],
        fmin=-2.063090251768194,
        local_minima=[[0.905317899160115, 0]],
        saddles=[[0.06860243670809657, 0]],
        complete=True,
        latex=r"x^2 + y^2 - 2\,e^{-5 ((x-1)^2 + y^2)} - 3\,e^{-5 ((x+1)^2 + y^2)}",
        reference="Dupont 2018, emiliendupont.github.io/2018/01/24/optimization-visualization",
    )
