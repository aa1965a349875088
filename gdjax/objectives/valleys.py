"""Curved narrow valleys and bad scaling: steep across, almost flat along."""

import math

import jax.numpy as jnp

from gdjax._util.errors import ArgumentError
from gdjax.objectives.objective import Objective
from gdjax.objectives.registry import of_components, register


@register
def rosenbrock(dim: int = 2) -> Objective:
    """f(x) = Σ 100 (xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²: the banana valley.

    In 2-D the Hessian at the minimum has eigenvalues 501 ± √250601: condition number 2508.
    From 4 dimensions on there is a second minimum near (−1, 1, …, 1) (f = 3.701 for 4, 3.931
    for 5, 3.987 for 10), with a saddle before the first; both are listed for 4.

    Raises:
        ArgumentError: dim < 2.
    """
    if dim < 2:
        raise ArgumentError(f"rosenbrock needs dim >= 2, got {dim}")

    def fn(point):
        here, after = point[:-1], point[1:]
        return jnp.sum(100 * (after - here**2) ** 2 + (1 - here) ** 2)

    def gradient(point):
        here, after = point[:-1], point[1:]
        gap = after - here**2
        return jnp.pad(-400 * here * gap - 2 * (1 - here), (0, 1)) + jnp.pad(200 * gap, (1, 0))

    def residuals(point):
        here, after = point[:-1], point[1:]
        return jnp.concatenate([10 * (after - here**2), 1 - here])

    second = [-0.7756592265653526, 0.6130933654850435, 0.3820628463383931, 0.1459720185521946]
    between = [-0.6561246357194459, 0.4431200409715724, 0.2043122482283643, 0.0417434947761287]
    return Objective(
        name="rosenbrock",
        fn=fn,
        residuals=residuals,
        gradient=gradient,
        domain=[(-5, 10)] * dim,
        start=([-1.2, 1] * dim)[:dim],
        minima=[[1] * dim],
        fmin=0.0,
        local_minima=[second] if dim == 4 else (),
        saddles=[between] if dim == 4 else (),
        complete=dim <= 4,
        latex=r"\sum_i 100\,(x_{i+1} - x_i^2)^2 + (1 - x_i)^2",
        reference="Rosenbrock 1960, Comput. J. 3:175;"
        " Moré, Garbow & Hillstrom 1981, ACM TOMS 7:17, #1",
    )


@register
def beale() -> Objective:
    """f(x, y) = (1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)²: a bent valley.

    f = 14.203125 on the whole line y = 1, with a saddle at (0, 1). Towards x = ±∞ another valley
    follows y → 1 down to f → 0.452, so a descent on the left runs away.
    """

    @of_components
    def residuals(x, y):
        return jnp.stack([1.5 - x + x * y, 2.25 - x + x * y**2, 2.625 - x + x * y**3])

    @of_components
    def fn(x, y):
        return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2

    @of_components
    def gradient(x, y):
        first, second, third = 1.5 - x + x * y, 2.25 - x + x * y**2, 2.625 - x + x * y**3
        return 2 * jnp.stack(
            [
                first * (y - 1) + second * (y**2 - 1) + third * (y**3 - 1),
                x * (first + 2 * y * second + 3 * y**2 * third),
            ]
        )

    return Objective(
        name="beale",
        fn=fn,
        residuals=residuals,
        gradient=gradient,
        domain=[(-4.5, 4.5)] * 2,
        start=[1, 1],
        minima=[[3, 0.5]],
        fmin=0.0,
        saddles=[[0, 1], [0.1005379373241584, -2.644513585023125]],
        complete=True,
        latex=r"(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2",
        reference="Beale 1958; Moré, Garbow & Hillstrom 1981, ACM TOMS 7:17, #5",
    )


@register
def dixon_price(dim: int = 2) -> Objective:
    """f(x) = (x₁ − 1)² + Σ i (2xᵢ² − xᵢ₋₁)²: a parabolic valley with two mirrored ends.

    The minima are xᵢ = 2^(2^(1−i) − 1) with either sign of x_d, of which most tables list one.
    Between them (1/3, 0, …, 0), f = 2/3, is a saddle; it is degenerate for d > 2, where descent all
    but stops at it.

    Raises:
        ArgumentError: dim < 2.
    """
    if dim < 2:
        raise ArgumentError(f"dixon_price needs dim >= 2, got {dim}")

    def parts(point):
        index = jnp.arange(2, point.size + 1, dtype=point.dtype)
        return index, 2 * point[1:] ** 2 - point[:-1]

    def fn(point):
        index, gap = parts(point)
        return (point[0] - 1) ** 2 + jnp.sum(index * gap**2)

    def gradient(point):
        index, gap = parts(point)
        up = jnp.concatenate([2 * (point[:1] - 1), 8 * index * point[1:] * gap])
        return up - jnp.pad(2 * index * gap, (0, 1))

    def residuals(point):
        index, gap = parts(point)
        return jnp.append(jnp.sqrt(index) * gap, point[0] - 1)

    *head, last = [2 ** (2 ** (1.0 - i) - 1) for i in range(1, dim + 1)]
    return Objective(
        name="dixon_price",
        fn=fn,
        residuals=residuals,
        gradient=gradient,
        domain=[(-10, 10)] * dim,
        start=([-4, 3] * dim)[:dim],
        minima=[[*head, last], [*head, -last]],
        fmin=0.0,
        saddles=[[1 / 3] + [0] * (dim - 1)],
        complete=dim == 2,
        latex=r"(x_1 - 1)^2 + \sum_{i>1} i\,(2 x_i^2 - x_{i-1})^2",
        reference="Dixon & Price 1989; Surjanovic & Bingham, sfu.ca/~ssurjano",
    )


@register
def leon() -> Objective:
    """f(x, y) = 100 (y − x³)² + (1 − x)²: a cubic valley, level at x = 0; also called cube.

    The Hessian at the minimum has eigenvalues 1001 ± √1001601: condition number 1.0e4. Some
    collections print x² for x³, which is Rosenbrock's function.
    """

    @of_components
    def gradient(x, y):
        gap = y - x**3
        return jnp.stack([-600 * x**2 * gap - 2 * (1 - x), 200 * gap])

    return Objective(
        name="leon",
        fn=of_components(lambda x, y: 100 * (y - x**3) ** 2 + (1 - x) ** 2),
        residuals=of_components(lambda x, y: jnp.stack([10 * (y - x**3), 1 - x])),
        gradient=gradient,
        domain=[(-1.5, 1.5)] * 2,
        start=[-1.2, -1],
        minima=[[1, 1]],
        fmin=0.0,
        complete=True,
        latex=r"100\,(y - x^3)^2 + (1 - x)^2",
        reference="Leon 1966, in Lavi & Vogl (eds), Recent Advances in Optimization Techniques",
    )


@register
def wood() -> Objective:
    """Two Rosenbrock valleys tied together, also called Colville: a saddle nearly traps descent.

    f(x) = 100 (x₂ − x₁²)² + (1 − x₁)² + 90 (x₄ − x₃²)² + (1 − x₃)² + 10 (x₂ + x₄ − 2)²
    + (x₂ − x₄)²/10. The first saddle, f = 7.877, has the Hessian eigenvalue −0.12 against 953:
    plain descent from the customary start creeps past it. The second, f = 35.09, has two ways down.
    """

    @of_components
    def fn(a, b, c, d):
        valleys = 100 * (b - a**2) ** 2 + (1 - a) ** 2 + 90 * (d - c**2) ** 2 + (1 - c) ** 2
        return valleys + 10 * (b + d - 2) ** 2 + (b - d) ** 2 / 10

    @of_components
    def residuals(a, b, c, d):
        first, second = 10 * (b - a**2), math.sqrt(90) * (d - c**2)
        tie, twist = math.sqrt(10) * (b + d - 2), (b - d) / math.sqrt(10)
        return jnp.stack([first, 1 - a, second, 1 - c, tie, twist])

    @of_components
    def gradient(a, b, c, d):
        first, second, tie, twist = b - a**2, d - c**2, 20 * (b + d - 2), (b - d) / 5
        return jnp.stack(
            [
                -400 * a * first - 2 * (1 - a),
                200 * first + tie + twist,
                -360 * c * second - 2 * (1 - c),
                180 * second + tie - twist,
            ]
        )

    return Objective(
        name="wood",
        fn=fn,
        residuals=residuals,
        gradient=gradient,
        domain=[(-10, 10)] * 4,
        start=[-3, -1, -3, -1],
        minima=[[1] * 4],
        fmin=0.0,
        saddles=[
            [-0.9679740249375931, 0.9471391408178418, -0.9695163103315912, 0.9512476657923253],
            [-0.03125102339433596, 0.1659713868557831, -0.03125817102326406, 0.1842639346967284],
        ],
        complete=True,
        latex=r"100 (x_2 - x_1^2)^2 + (1 - x_1)^2 + 90 (x_4 - x_3^2)^2 + (1 - x_3)^2"
        r" + 10 (x_2 + x_4 - 2)^2 + (x_2 - x_4)^2 / 10",
        reference="Colville 1968; Moré, Garbow & Hillstrom 1981, ACM TOMS 7:17, #14",
    )


@register
def powell_singular() -> Objective:
    """f(x) = (x₁ + 10x₂)² + 5 (x₃ − x₄)² + (x₂ − 2x₃)⁴ + 10 (x₁ − x₄)⁴: a singular minimum.

    The Hessian at 0 has eigenvalues 202, 20, 0, 0: in the flat plane the function is quartic
    and descent slower than geometric.
    """

    @of_components
    def fn(a, b, c, d):
        return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4

    @of_components
    def residuals(a, b, c, d):
        five, ten = math.sqrt(5), math.sqrt(10)
        return jnp.stack([a + 10 * b, five * (c - d), (b - 2 * c) ** 2, ten * (a - d) ** 2])

    @of_components
    def gradient(a, b, c, d):
        first, second = 2 * (a + 10 * b), 10 * (c - d)
        third, fourth = 4 * (b - 2 * c) ** 3, 40 * (a - d) ** 3
        return jnp.stack([first + fourth, 10 * first + third, second - 2 * third, -second - fourth])

    return Objective(
        name="powell_singular",
        fn=fn,
        residuals=residuals,
        gradient=gradient,
        domain=[(-4, 5)] * 4,
        start=[3, -1, 0, 1],
        minima=[[0] * 4],
        fmin=0.0,
        complete=True,
        latex=r"(x_1 + 10 x_2)^2 + 5 (x_3 - x_4)^2 + (x_2 - 2 x_3)^4 + 10 (x_1 - x_4)^4",
        reference="Powell 1962; Moré, Garbow & Hillstrom 1981, ACM TOMS 7:17, #13",
    )


@register
def brown_badly_scaled() -> Objective:
    """f(x, y) = (x − 10⁶)² + (y − 2·10⁻⁶)² + (xy − 2)²: twelve orders of magnitude apart.

    The Hessian at the minimum has eigenvalues near 2 and 2e12, so plain descent needs a
    learning rate below 1e-12, with which x hardly moves. Only for double precision.
    """

    @of_components
    def gradient(x, y):
        gap = x * y - 2
        return 2 * jnp.stack([x - 1e6 + y * gap, y - 2e-6 + x * gap])

    return Objective(
        name="brown_badly_scaled",
        fn=of_components(lambda x, y: (x - 1e6) ** 2 + (y - 2e-6) ** 2 + (x * y - 2) ** 2),
        residuals=of_components(lambda x, y: jnp.stack([x - 1e6, y - 2e-6, x * y - 2])),
        gradient=gradient,
        domain=[(-1e7, 1e7), (-10, 10)],
        start=[1, 1],
        minima=[[1e6, 2e-6]],
        fmin=0.0,
        complete=True,
        float32=False,
        latex=r"(x - 10^6)^2 + (y - 2 \cdot 10^{-6})^2 + (x y - 2)^2",
        reference="Moré, Garbow & Hillstrom 1981, ACM TOMS 7:17, #4",
    )


@register
def powell_badly_scaled() -> Objective:
    """f(x, y) = (10⁴xy − 1)² + (e^(−x) + e^(−y) − 1.0001)²: the valley is a hair-thin hyperbola.

    At the minima the Hessian has eigenvalues 2.4e-8 and 1.7e10. Past 14.57 the valley floor
    falls the other way, from f = 1.13e-8 to 1e-8 at infinity; the branch x, y < 0 has a minimum
    of its own, f = 1.04. Only for double precision.
    """

    def gradient(point):
        across = 1e4 * point[0] * point[1] - 1
        decay = jnp.exp(-point)
        return 2e4 * across * point[::-1] - 2 * (jnp.sum(decay) - 1.0001) * decay

    def residuals(point):
        return jnp.stack([1e4 * point[0] * point[1] - 1, jnp.sum(jnp.exp(-point)) - 1.0001])

    near, far = 1.0981593296998175e-05, 9.106146739866524
    return Objective(
        name="powell_badly_scaled",
        fn=of_components(
            lambda x, y: (1e4 * x * y - 1) ** 2 + (jnp.exp(-x) + jnp.exp(-y) - 1.0001) ** 2
        ),
        residuals=residuals,
        gradient=gradient,
        domain=[(-1, 20)] * 2,
        start=[0, 1],
        minima=[[near, far], [far, near]],
        fmin=0.0,
        local_minima=[[-0.00994809192580094] * 2],
        saddles=[[0.01004815694710833] * 2, [-0.0001000300205170159] * 2],
        complete=True,
        float32=False,
        latex=r"(10^4 x y - 1)^2 + (e^{-x} + e^{-y} - 1.0001)^2",
        reference="Powell 1970; Moré, Garbow & Hillstrom 1981, ACM TOMS 7:17, #3",
    )


@register
def freudenstein_roth() -> Objective:
    """f(x, y) = (x − 13 + ((5 − y)y − 2)y)² + (x − 29 + ((y + 1)y − 14)y)²: the wrong valley calls.

    The customary start leads into the local minimum ((53 − 4√22)/3, (2 − √22)/3), f = 48.98; the
    saddle on the way to the global one, with +√22 in both places, lies outside the domain.
    """

    @of_components
    def residuals(x, y):
        return x - 13 + ((5 - y) * y - 2) * y, x - 29 + ((y + 1) * y - 14) * y

    def fn(point):
        first, second = residuals(point)
        return first**2 + second**2

    def gradient(point):
        first, second = residuals(point)
        y = point[1]
        across = first * (10 * y - 3 * y**2 - 2) + second * (3 * y**2 + 2 * y - 14)
        return 2 * jnp.stack([first + second, across])

    root = math.sqrt(22)
    return Objective(
        name="freudenstein_roth",
        fn=fn,
        residuals=lambda point: jnp.stack(residuals(point)),
        gradient=gradient,
        domain=[(-20, 20)] * 2,
        start=[0.5, -2],
        minima=[[5, 4]],
        fmin=0.0,
        local_minima=[[(53 - 4 * root) / 3, (2 - root) / 3]],
        complete=True,
        latex=r"(x - 13 + ((5 - y) y - 2) y)^2 + (x - 29 + ((y + 1) y - 14) y)^2",
        reference="Moré, Garbow & Hillstrom 1981, ACM TOMS 7:17, #2",
    )
