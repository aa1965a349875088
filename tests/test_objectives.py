"""The catalogue against the literature: a second writing of every formula, its facts, its points.

Every objective has a row in ``FACTS``; one without a row fails. The formulas there are written for
plain lists of numbers with ``math``, as the sources print them, and share nothing with gdjax.
"""

import functools
import itertools
import math
import re
from collections.abc import Callable, Mapping
from math import cos, e, exp, pi, sin, sqrt
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib import mathtext

import gdjax
from gdjax import objectives
from gdjax._inputs import default_dtype
from gdjax.objectives.safe import cos_sqrt, safe_abs, safe_sqrt

KINDS = {"minima": "minimum", "local_minima": "minimum", "saddles": "saddle", "maxima": "maximum"}

SB = "Surjanovic & Bingham, Virtual Library of Simulation Experiments, sfu.ca/~ssurjano"
JY = "Jamil & Yang 2013, arXiv:1308.4008"
MGH = "Moré, Garbow & Hillstrom 1981, ACM TOMS 7:17"
MW = "Moré & Wild 2009, SIAM J. Optim. 20:172, values at the starting points"
OWN = "gdjax: no source gives one; it holds the start and what is listed"


class Row(NamedTuple):
    """What the literature says: the formula, the domain, the start, and values at other points.

    ``domain`` is one pair for all dimensions or a tuple of pairs, or a function of the dimension;
    ``start`` is repeated over the dimensions; ``options`` are values of parameters other than dim.
    """

    formula: Callable
    source: str
    domain: Any
    domain_source: str
    start: Any
    published: tuple = ()
    options: Mapping = MappingProxyType({})
    smoothness: str = "smooth"
    rounding: float = 1e-14  # what adding up the terms may leave


def pairs(p):
    return itertools.pairwise(p)


def counted(p, first=1):
    return enumerate(p, start=first)


def norm(p):
    return sqrt(sum(x * x for x in p))


# Bowls


def trid(p):
    return sum((x - 1) ** 2 for x in p) - sum(a * b for a, b in pairs(p))


def zakharov(p):
    s = sum(0.5 * i * x for i, x in counted(p))
    return sum(x * x for x in p) + s**2 + s**4


def quadratic(p, kappa=100.0):
    powers = [kappa ** (i / (len(p) - 1)) for i in range(len(p))]
    return 0.5 * sum(c * x * x for c, x in zip(powers, p, strict=True))


# Valleys


def dixon_price(p):
    return (p[0] - 1) ** 2 + sum(i * (2 * b**2 - a) ** 2 for i, (a, b) in counted(pairs(p), 2))


def beale(p):
    x, y = p
    return sum((c - x * (1 - y**i)) ** 2 for i, c in ((1, 1.5), (2, 2.25), (3, 2.625)))


def wood(p):
    a, b, c, d = p
    f = [10 * (b - a * a), 1 - a, sqrt(90) * (d - c * c), 1 - c]
    f += [sqrt(10) * (b + d - 2), (b - d) / sqrt(10)]
    return sum(r * r for r in f)


def powell_singular(p):
    a, b, c, d = p
    f = [a + 10 * b, sqrt(5) * (c - d), (b - 2 * c) ** 2, sqrt(10) * (a - d) ** 2]
    return sum(r * r for r in f)


def freudenstein_roth(p):
    x, y = p
    return (-13 + x + ((5 - y) * y - 2) * y) ** 2 + (-29 + x + ((y + 1) * y - 14) * y) ** 2


# Waves and ripples


def drop_wave(p):
    x, y = p
    return -(1 + cos(12 * sqrt(x * x + y * y))) / (0.5 * (x * x + y * y) + 2)


def schaffer(p, wave):
    x, y = p
    return 0.5 + (wave(abs(x * x - y * y)) - 0.5) / (1 + 0.001 * (x * x + y * y)) ** 2


def ackley(p):
    d = len(p)
    tip = -20 * exp(-0.2 * sqrt(sum(x * x for x in p) / d))
    return tip - exp(sum(cos(2 * pi * x) for x in p) / d) + 20 + e


def griewank(p):
    return 1 + sum(x * x / 4000 for x in p) - math.prod(cos(x / sqrt(i)) for i, x in counted(p))


def levy(p):
    *w, last = [1 + (x - 1) / 4 for x in p]
    first = (w or [last])[0]
    end = (last - 1) ** 2 * (1 + sin(2 * pi * last) ** 2)
    middle = sum((v - 1) ** 2 * (1 + 10 * sin(pi * v + 1) ** 2) for v in w)
    return sin(pi * first) ** 2 + middle + end


def levy13(p):
    x, y = p
    across = (x - 1) ** 2 * (1 + sin(3 * pi * y) ** 2)
    return sin(3 * pi * x) ** 2 + across + (y - 1) ** 2 * (1 + sin(2 * pi * y) ** 2)


def bohachevsky1(p):
    x, y = p
    return x * x + 2 * y * y - 0.3 * cos(3 * pi * x) - 0.4 * cos(4 * pi * y) + 0.7


def shubert(p):
    return math.prod(sum(i * cos((i + 1) * x + i) for i in (1, 2, 3, 4, 5)) for x in p)


# Basins


def goldstein_price(p):
    x, y = p
    first = 19 - 14 * x + 3 * x * x - 14 * y + 6 * x * y + 3 * y * y
    second = 18 - 32 * x + 12 * x * x + 48 * y - 36 * x * y + 27 * y * y
    return (1 + (x + y + 1) ** 2 * first) * (30 + (2 * x - 3 * y) ** 2 * second)


def branin(p):
    x, y = p
    b, c, t = 5.1 / (4 * pi**2), 5 / pi, 1 / (8 * pi)
    return (y - b * x * x + c * x - 6) ** 2 + 10 * (1 - t) * cos(x) + 10


def two_gaussian_bowl(p):
    x, y = p
    right = exp(-((x - 1) ** 2 + y * y) / 0.2)
    return x * x + y * y - 2 * right - 3 * exp(-((x + 1) ** 2 + y * y) / 0.2)


def camel(p):
    x, y = p
    return 4 * x**2 - 2.1 * x**4 + x**6 / 3 + x * y - 4 * y**2 + 4 * y**4


# Cliffs


def eggholder(p):
    x, y = p
    return -(y + 47) * sin(sqrt(abs(y + x / 2 + 47))) - x * sin(sqrt(abs(x - (y + 47))))


def cross_in_tray(p):
    x, y = p
    inside = abs(sin(x) * sin(y) * exp(abs(100 - norm(p) / pi))) + 1
    return -0.0001 * inside**0.1


def michalewicz(p):
    return -sum(sin(x) * sin(i * x * x / pi) ** (2 * 10) for i, x in counted(p))


# Fits


def jennrich_sampson(p):
    return sum((2 + 2 * i - (exp(i * p[0]) + exp(i * p[1]))) ** 2 for i in range(1, 11))


def helical_valley(p):
    x, y, z = p
    if x == y == 0:
        return 100 * z**2 + 100 + z**2  # θ undefined on the axis; put to 0
    theta = math.atan2(y, x) / (2 * pi)
    return (10 * (z - 10 * theta)) ** 2 + (10 * (norm([x, y]) - 1)) ** 2 + z**2


def box3d(p):
    x, y, z = p
    times = [0.1 * i for i in range(1, 11)]
    return sum((exp(-t * x) - exp(-t * y) - z * (exp(-t) - exp(-10 * t))) ** 2 for t in times)


def brown_dennis(p):
    a, b, c, d = p
    times = [i / 5 for i in range(1, 21)]
    fs = [(a + t * b - exp(t)) ** 2 + (c + d * sin(t) - cos(t)) ** 2 for t in times]
    return sum(f * f for f in fs)


DOSES = [4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]
RATES = [0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246]


def kowalik_osborne(p):
    a, b, c, d = p

    def model(u):
        below = u * u + u * c + d
        return a * (u * u + u * b) / below if below else 0.0  # on a pole the term is yᵢ²

    return sum((y - model(u)) ** 2 for u, y in zip(DOSES, RATES, strict=True))


# Worst cases


def nesterov_worst(p):
    quadratic = (p[0] ** 2 + sum((a - b) ** 2 for a, b in pairs(p)) + p[-1] ** 2) / 2
    return (quadratic - p[0]) / 4


def huber(p, steps=10):
    k, x = 1 / (2 * steps + 1), abs(p[0])
    return x * x / 2 if x <= k else k * x - k * k / 2


def lessard(p):
    """The integral of the gradient that Lessard, Recht & Packard give."""
    (x,) = p
    if x < 1:
        return 25 * x * x / 2
    if x < 2:
        return 25 / 2 + (x * x - 1) / 2 + 24 * (x - 1)
    return 25 / 2 + 3 / 2 + 24 + 25 * (x * x - 4) / 2 - 24 * (x - 2)


FACTS = {
    "bowls": {
        "parabola": Row(lambda p: p[0] ** 2, "textbook", (-10, 10), OWN, [8]),
        "sphere": Row(
            lambda p: sum(x * x for x in p), "De Jong 1975, F1", (-10, 10), OWN, [8],
            published=(([1, 2, 3], 14),),
        ),
        "booth": Row(
            lambda p: (p[0] + 2 * p[1] - 7) ** 2 + (2 * p[0] + p[1] - 5) ** 2, JY, (-10, 10), SB,
            [-8, 6], published=(([0, 0], 74),),
        ),
        "matyas": Row(
            lambda p: 0.26 * (p[0] ** 2 + p[1] ** 2) - 0.48 * p[0] * p[1], JY, (-10, 10), SB,
            [9, 2], published=(([1, 2], 0.34),),
        ),
        "ill_conditioned_quadratic": Row(
            quadratic, "Polyak 1964; Hansen et al. 2009, BBOB f2", (-10, 10), OWN, [1],
            options={"kappa": (7.0, 1.0)},
        ),
        "rotated_quadratic": Row(
            # ½ xᵀ H x with the eigenvalues 1 along (1, 1) and 100 along (1, −1)
            lambda p: (p[0] + p[1]) ** 2 / 4 + 100 * (p[0] - p[1]) ** 2 / 4,
            "Goh 2017, Why Momentum Really Works", (-10, 10), OWN, [1, 0],
        ),
        "trid": Row(
            trid, f"Neumaier 1997; {SB}", lambda d: (-d * d, d * d), SB, None,
            published=(([0, 0, 0, 0, 0, 0], 6),),
        ),
        "zakharov": Row(zakharov, SB, (-5, 10), SB, [-4, 7]),
        "sum_different_powers": Row(
            lambda p: sum(abs(x) ** (i + 1) for i, x in counted(p)), SB, (-1, 1), SB, [0.9, -0.7],
        ),
    },
    "valleys": {
        "rosenbrock": Row(
            lambda p: sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairs(p)),
            f"Rosenbrock 1960; {MGH}, #1; {MW}", (-5, 10), SB, [-1.2, 1],
            published=(([-1.2, 1], 24.2), ([-12, 10], "1.795769e6")),
        ),
        "beale": Row(beale, f"{MGH}, #5", (-4.5, 4.5), SB, [1, 1],
                     published=(([1, 1], 14.203125),)),
        "dixon_price": Row(dixon_price, SB, (-10, 10), SB, [-4, 3]),
        "leon": Row(
            lambda p: 100 * (p[1] - p[0] ** 3) ** 2 + (1 - p[0]) ** 2,
            f"Leon 1966; {MW}, as cube", (-1.5, 1.5), OWN, [-1.2, -1],
        ),
        "wood": Row(wood, f"{MGH}, #14", (-10, 10), SB + ", as Colville", [-3, -1],
                    published=(([-3, -1, -3, -1], 19192),)),
        "powell_singular": Row(
            powell_singular, f"{MGH}, #13; {MW}", (-4, 5), SB, [3, -1, 0, 1],
            published=(([3, -1, 0, 1], 215), ([30, -10, 0, 10], "1.6154e6")),
        ),
        "brown_badly_scaled": Row(
            lambda p: (p[0] - 1e6) ** 2 + (p[1] - 2e-6) ** 2 + (p[0] * p[1] - 2) ** 2,
            f"{MGH}, #4", ((-1e7, 1e7), (-10, 10)), OWN, [1, 1],
            published=(([1, 1], "9.99998000003e11"),),
        ),
        "powell_badly_scaled": Row(
            lambda p: (1e4 * p[0] * p[1] - 1) ** 2 + (exp(-p[0]) + exp(-p[1]) - 1.0001) ** 2,
            f"{MGH}, #3", (-1, 20), OWN, [0, 1], published=(([0, 1], "1.13526"),),
        ),
        "freudenstein_roth": Row(
            freudenstein_roth, f"{MGH}, #2; {MW}", (-20, 20), OWN, [0.5, -2],
            published=(([0.5, -2], 400.5), ([5, -20], "1.545754e8"), ([11.41, -0.8968], "48.984")),
        ),
    },
    "waves": {
        "drop_wave": Row(drop_wave, SB, (-5.12, 5.12), SB, [1.5, 0.9], smoothness="removable"),
        "salomon": Row(
            lambda p: 1 - cos(2 * pi * norm(p)) + 0.1 * norm(p), f"Salomon 1996; {JY}",
            (-100, 100), JY, [2.2, 1.3], smoothness="kink",
        ),
        "schaffer2": Row(
            lambda p: schaffer(p, lambda t: sin(t) ** 2), SB, (-100, 100), SB, [2.6, 1.7]
        ),
        "schaffer4": Row(
            lambda p: schaffer(p, lambda t: cos(sin(t)) ** 2), SB, (-100, 100), SB, [2.4, 1.1],
        ),
    },
    "ripples": {
        "ackley": Row(
            ackley, "Ackley 1987; values: tests of pycellga", (-32.768, 32.768), SB, [2.6, 1.7],
            published=(([-15.2, -30.1], 20.799510075569014),),
            smoothness="kink",
        ),
        "rastrigin": Row(
            lambda p: sum(10 + x * x - 10 * cos(2 * pi * x) for x in p), SB, (-5.12, 5.12), SB,
            [2.3, -1.6],
        ),
        "griewank": Row(griewank, f"Griewank 1981; {SB}", (-600, 600), SB, [25, -18]),
        "schwefel": Row(
            lambda p: 418.9828872724337 * len(p) - sum(x * sin(sqrt(abs(x))) for x in p),
            f"Schwefel 1981; {SB}", (-500, 500), SB, [350, 260], smoothness="removable",
            rounding=1e-11,
        ),
        "levy": Row(levy, f"Laguna & Martí 2005; {SB}", (-10, 10), SB, [-7, 8]),
        "levy13": Row(levy13, SB, (-10, 10), SB, [-2.4, 3.6]),
        "bohachevsky1": Row(
            bohachevsky1, "Bohachevsky, Johnson & Stein 1986", (-100, 100), SB, [5, -3]
        ),
        "alpine1": Row(
            lambda p: sum(abs(x * sin(x) + 0.1 * x) for x in p), JY, (-10, 10), JY, [7.6, -4.6],
            smoothness="kink",
        ),
        "shubert": Row(shubert, SB, (-10, 10), SB, [-2.2, 0.6]),
    },
    "basins": {
        "qfsp": Row(
            lambda p: p[0] ** 2 + p[1] ** 2 + 10 * sin(p[0]) * sin(p[1]),
            "Gradient Descent Ninja with Momentum, 2024", (-15, 15), OWN, [7.11, 6.97],
        ),
        "himmelblau": Row(
            lambda p: (p[0] ** 2 + p[1] - 11) ** 2 + (p[0] + p[1] ** 2 - 7) ** 2,
            f"Himmelblau 1972; {JY}", (-5, 5), JY, [-0.5, -1.5],
            published=(([0, 0], 170), ([-0.270845, -0.923039], "181.617")),
        ),
        "goldstein_price": Row(
            goldstein_price, "Goldstein & Price 1971, with the values of its local minima",
            (-2, 2), SB, [-1.5, 1],
            published=(([-0.6, -0.4], 30), ([1.8, 0.2], 84), ([1.2, 0.8], 840)),
        ),
        "mccormick": Row(
            lambda p: sin(p[0] + p[1]) + (p[0] - p[1]) ** 2 - 1.5 * p[0] + 2.5 * p[1] + 1,
            "McCormick 1976", ((-1.5, 4), (-3, 4)), SB, [3.5, 0],
        ),
        "styblinski_tang": Row(
            lambda p: 0.5 * sum(x**4 - 16 * x**2 + 5 * x for x in p),
            f"Styblinski & Tang 1990; {SB}", (-5, 5), SB, [4.5, 0.5],
        ),
        "six_hump_camel": Row(
            camel, f"Dixon & Szegő 1978; {SB}", ((-3, 3), (-2, 2)), SB, [2.2, 1.4],
            published=(([1.7036, -0.7961], "-0.2155"), ([1.6071, 0.5687], "2.1043")),
        ),
        "three_hump_camel": Row(
            lambda p: 2 * p[0] ** 2 - 1.05 * p[0] ** 4 + p[0] ** 6 / 6 + p[0] * p[1] + p[1] ** 2,
            SB, (-5, 5), SB, [-2, 2], published=(([1.7476, -0.8738], "0.2986"),),
        ),
        "branin": Row(branin, f"Dixon & Szegő 1978; {SB}", ((-5, 10), (0, 15)), SB, [6, 13],
                      published=(([0, 0], "55.602113"),)),
        "two_gaussian_bowl": Row(two_gaussian_bowl, "Dupont 2018", (-2, 2), OWN, [1.6, 1.2]),
    },
    "cliffs": {
        "easom": Row(
            lambda p: -cos(p[0]) * cos(p[1]) * exp(-((p[0] - pi) ** 2 + (p[1] - pi) ** 2)), SB,
            (-100, 100), SB, [4.1, 2.6],
        ),
        "eggholder": Row(
            eggholder, SB, (-512, 512), SB, [300, 250], smoothness="smooth_at_min"
        ),
        "bukin6": Row(
            lambda p: 100 * sqrt(abs(p[1] - 0.01 * p[0] ** 2)) + 0.01 * abs(p[0] + 10), SB,
            ((-15, -5), (-3, 3)), SB, [-13, 2.6], smoothness="kink",
        ),
        "cross_in_tray": Row(
            cross_in_tray, SB, (-10, 10), SB, [2.6, -0.6], smoothness="smooth_at_min"
        ),
        "holder_table": Row(
            lambda p: -abs(sin(p[0]) * cos(p[1]) * exp(abs(1 - norm(p) / pi))), SB, (-10, 10), SB,
            [6.9, 8.4], smoothness="smooth_at_min",
        ),
        "michalewicz": Row(michalewicz, f"Michalewicz 1992; {SB}", (0, pi), SB, [2.5, 1.75]),
    },
    "saddles": {
        "saddle": Row(
            lambda p: p[0] ** 2 - p[1] ** 2, "textbook", (-2, 2), OWN, [1.5, 0.01]
        ),
        "monkey_saddle": Row(
            lambda p: norm(p) ** 3 * cos(3 * math.atan2(p[1], p[0])),
            "Hilbert & Cohn-Vossen 1952", (-2, 2), OWN, [1.5, 0.1],
        ),
    },
    "fits": {
        "jennrich_sampson": Row(jennrich_sampson, f"{MGH}, #6; {MW}", (-1, 1), JY, [0.3, 0.4],
                                published=(([0.3, 0.4], "4171.306"),)),
        "helical_valley": Row(
            helical_valley, f"{MGH}, #7; {MW}", (-10, 10), JY, [-1, 0, 0],
            published=(([-1, 0, 0], 2500), ([-10, 0, 0], 10600)), smoothness="smooth_at_min",
        ),
        "box3d": Row(box3d, f"{MGH}, #12; {MW}", (-2, 20), OWN, [0, 10, 20],
                     published=(([0, 10, 20], "1031.154"),)),
        "brown_dennis": Row(
            brown_dennis, f"{MGH}, #16; {MW}", (-30, 30), OWN, [25, 5, -5, -1],
            published=(([25, 5, -5, -1], "7.926693e6"), ([250, 50, -50, -10], "3.081064e11")),
        ),
        "kowalik_osborne": Row(
            kowalik_osborne, f"{MGH}, #15; {MW}", (-5, 5), JY, [0.25, 0.39, 0.415, 0.39],
            published=(([0.25, 0.39, 0.415, 0.39], "5.313172e-3"),), smoothness="smooth_at_min",
        ),
    },
    "worst_cases": {
        "nesterov_worst": Row(nesterov_worst, "Nesterov 2004, (2.1.20) with L = 1", (-2, 2), OWN,
                              [0]),
        "huber_worst_gd": Row(huber, "Drori & Teboulle 2014", (-1, 1), OWN, [1],
                              options={"steps": (1, 3)}),
        "lessard_heavy_ball": Row(lessard, "Lessard, Recht & Packard 2016, eq. 4.11", (-5, 5), OWN,
                                  [3.3]),
    },
}  # fmt: skip
ROWS = {name: row for family in FACTS.values() for name, row in family.items()}

NEED_TWO = {"dixon_price", "ill_conditioned_quadratic", "rosenbrock", "trid"}
DIMENSIONS = {1: (), 4: (), 3: pytest.mark.full, 5: pytest.mark.full}


def variants() -> list:
    """Every objective as it is, in other dimensions, and with other values of its options."""
    found = []
    for name in objectives.names():
        dims = DIMENSIONS if "dim" in objectives.parameters(name) else {}
        chosen = [({}, ())]
        default = objectives.parameters(name).get("dim")
        for dim, marks in dims.items():
            if dim != default and (dim > 1 or name not in NEED_TWO):
                daily = dim == 3 and default == 4
                chosen.append(({"dim": dim}, () if daily else marks))
        options = ROWS[name].options if name in ROWS else {}
        chosen += [({key: value}, ()) for key, values in options.items() for value in values]
        for each, marks in chosen:
            label = "-".join([name, *(f"{key}{value:g}" for key, value in each.items())])
            found.append(pytest.param((name, tuple(each.items())), marks=marks, id=label))
    return found


every_variant = pytest.mark.parametrize("case", variants())
every_objective = pytest.mark.parametrize("name", objectives.names())


class View(NamedTuple):
    """Value and gradient, by hand and by autodiff, at the points that are worth a look."""

    points: np.ndarray
    drawn: slice  # over the whole domain
    near: slice  # about the start
    listed: slice  # the stationary points
    around: slice  # about the minima
    value: np.ndarray
    hand: np.ndarray
    auto: np.ndarray


@functools.cache
def view(case, dtype) -> View:
    name, chosen = case
    f = objectives.get(name, **dict(chosen))
    low, high = np.asarray(f.domain).T
    rng = np.random.default_rng(1)
    radii = np.geomspace(1e-5, 1e-2, 16)[:, None]
    around = [m + radii * f.width * rng.uniform(-1, 1, (16, f.dim)) for m in f.known_minima]
    groups = {
        "drawn": rng.uniform(low, high, (200, f.dim)),
        "near": f.start + 0.01 * f.width * rng.uniform(-1, 1, (10, f.dim)),
        "listed": np.concatenate([np.reshape(getattr(f, kind), (-1, f.dim)) for kind in KINDS]),
        "traps": np.array([f.start, [0.0] * f.dim]),  # where autodiff is known to fail
        "around": np.clip(np.reshape(around, (-1, f.dim)), low, high),
    }
    points = np.concatenate(list(groups.values()))
    ends = np.cumsum([0, *map(len, groups.values())])
    cuts = {key: slice(*pair) for key, pair in zip(groups, itertools.pairwise(ends), strict=True)}
    del cuts["traps"]

    def one(point):
        return f.fn(point), f.gradient(point), jax.grad(f.fn)(point)

    with default_dtype(dtype):
        seen = jax.jit(jax.vmap(one))(jnp.asarray(points, dtype=float))
    value, hand, auto = map(np.asarray, seen)
    return View(points, value=value, hand=hand, auto=auto, **cuts)


def literature(case) -> Callable:
    """The formula of the row with the options of the case: list of numbers → number."""
    name, chosen = case
    options = {key: value for key, value in chosen if key != "dim"}
    return lambda point: ROWS[name].formula([float(x) for x in point], **options)


def test_every_objective_has_a_row_in_its_family_and_every_option_is_tried():
    assert sorted(ROWS) == list(objectives.names())
    for family, rows in FACTS.items():
        for name, row in rows.items():
            assert objectives.family(name) == family
            assert {*objectives.parameters(name)} - {"dim"} == {*row.options}


@every_variant
def test_the_value_is_that_of_the_literatures_formula(case):
    seen, formula, slack = view(case, "float64"), literature(case), ROWS[case[0]].rounding
    rows = [*range(16), *range(*seen.near.indices(10**6)), *range(*seen.listed.indices(10**6))]
    rows += [seen.listed.stop, seen.listed.stop + 1]  # the start and the origin
    for i in rows:
        point, expected = seen.points[i], formula(seen.points[i])
        # What one unit in the last place of a component does to the value is left to rounding.
        wiggled = [np.where(np.arange(len(point)) == k, np.nextafter(point, np.inf), point)
                   for k in range(len(point))]  # fmt: skip
        rounding = sum(abs(formula(other) - expected) for other in wiggled)
        assert abs(seen.value[i] - expected) <= 1e-11 * abs(expected) + 8 * rounding + slack, point


def test_the_formulas_of_this_file_have_the_published_values():
    for name, row in ROWS.items():
        for point, value in row.published:
            rounding = 1e-12 * abs(float(value))
            if isinstance(value, str):  # a printed number: half a unit of its last digit
                digits, _, exponent = value.partition("e")
                rounding = 0.5 * 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
            assert row.formula(point) == pytest.approx(float(value), abs=rounding, rel=0), name


@every_variant
def test_domain_start_and_names_are_those_of_the_row(case):
    name, chosen = case
    f, row = objectives.get(name, **dict(chosen)), ROWS[name]
    domain = row.domain(f.dim) if callable(row.domain) else row.domain
    assert f.domain == (domain if isinstance(domain[0], tuple) else (domain,) * f.dim)
    start = row.start if row.start is not None else [-0.6 * f.dim**2, 0.4 * f.dim**2]
    assert f.start == tuple(np.resize(start, f.dim))
    assert f.dim == dict(chosen).get("dim", f.dim)
    assert f.name == name
    named = ("x", "y")[: f.dim] if f.dim <= 2 else tuple(f"x{i + 1}" for i in range(f.dim))
    assert f.variables == named
    assert row.source
    assert row.domain_source
    assert f.reference
    assert f.smoothness == row.smoothness
    assert (f.kink is None) == (row.smoothness == "smooth" or name == "drop_wave")
    assert f.float32 == (not name.endswith("badly_scaled"))


@every_variant
def test_the_hand_gradient_is_autodiffs_and_the_minima_are_the_lowest_points(case):
    name, chosen = case
    f, seen = objectives.get(name, **dict(chosen)), view(case, "float64")
    assert np.isfinite(seen.value).all()
    size = np.linalg.norm(seen.auto, axis=1)
    # Where most of the domain is level, what is typical is the slope about the start.
    typical = max(np.median(size[seen.drawn]), np.median(size[seen.near]))
    # Rounding leaves 1e-12 of the norm, or of the typical one where the slope vanishes.
    apart = np.linalg.norm(seen.hand - seen.auto, axis=1)
    excess = apart - 1e-10 * (size + 1e-3 * typical) - 1e-300
    assert excess.max() <= 0, seen.points[excess.argmax()]
    low, high = np.asarray(f.domain).T
    listed = seen.points[seen.listed]
    assert ((low <= listed) & (listed <= high)).all()
    if f.smoothness != "kink":  # there, and on an edge, a minimum is not stationary
        inside = ((low < listed) & (listed < high)).all(axis=1)
        assert (size[seen.listed][inside] <= 1e-9 * typical).all()
    assert (f.fmin is None) == (not f.minima) == (objectives.family(name) == "saddles")
    if f.fmin is None:
        return
    value, median = seen.value[seen.listed], np.median(seen.value[seen.drawn])
    rounding = 4e-15 * (abs(f.fmin) + median - f.fmin)
    assert np.abs(value[: len(f.minima)] - f.fmin).max() <= rounding
    assert seen.value.min() >= f.fmin - rounding
    assert (value[len(f.minima) : len(f.known_minima)] > f.fmin + rounding).all()
    bottoms = np.repeat(value[: len(f.known_minima)], 16)
    assert (seen.value[seen.around] >= bottoms - 1e-15 * np.abs(bottoms)).all()


def ring(formula, point, radius, domain):
    """The lowest and the highest value at a small distance from a point, within the domain."""
    low, high = np.asarray(domain).T
    point = np.asarray(point)
    rng = np.random.default_rng(3)

    def value(direction):
        there = point + radius * (high - low) * direction / np.linalg.norm(direction)
        return formula(np.clip(there, low, high))

    def best(sign):
        if len(point) == 1:
            directions = np.array([[1.0], [-1.0]])
        elif len(point) == 2:
            turn = np.linspace(0, 2 * pi, 120, endpoint=False)
            directions = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        else:
            axes = np.eye(len(point))
            directions = np.concatenate([axes, -axes, rng.normal(size=(120, len(point)))])
        values = [sign * value(u) for u in directions]
        found, lowest = directions[int(np.argmin(values))], min(values)
        # In more dimensions the way down may be narrow: it is looked for about the best so far.
        for spread in np.geomspace(0.5, 1e-4, 20 if len(point) > 2 else 0):
            found = found / np.linalg.norm(found)
            tried = found + spread * rng.normal(size=(12, len(point)))
            values = [sign * value(u) for u in tried]
            if min(values) < lowest:
                found, lowest = tried[int(np.argmin(values))], min(values)
        return sign * lowest

    return best(1), best(-1)


@every_variant
def test_on_a_ring_round_every_listed_point_the_values_say_what_it_is(case):
    """It needs no Hessian, so it tells degenerate points, kinks and edges apart as well."""
    name, chosen = case
    f, formula = objectives.get(name, **dict(chosen)), literature(case)
    for kind in KINDS:
        points = getattr(f, kind)
        for point in points[:: max(1, len(points) // 12)]:
            here = formula(point)
            # Of dixon_price's degenerate saddle the way down is x₂ ~ r⁸ or r¹⁶: only seen afar.
            far = name == "dixon_price" and kind == "saddles" and f.dim > 3
            for radius in (0.02,) if far else (1e-4, 2e-5):
                lowest, highest = ring(formula, point, radius, f.domain)
                rounding = 1e-14 * abs(here)
                down, up = lowest < here - rounding, highest > here + rounding
                expected = {"saddles": (True, True), "maxima": (True, False)}
                assert (down, up) == expected.get(kind, (False, True)), (kind, point)


# One of every kind every day: a lattice, degenerate points, kinks, an edge, nothing but saddles.
SEEN_DAILY = {"monkey_saddle", "drop_wave", "eggholder", "kowalik_osborne", "powell_singular",
              "qfsp", "schaffer4", "trid"}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in SEEN_DAILY else pytest.mark.full)
        for name in objectives.names()
    ],
)
def test_the_listed_stationary_points_are_those_of_the_atlas(name):
    assert_atlas_agrees(objectives.get(name))


@pytest.mark.parametrize(
    ("name", "dim"), [("rosenbrock", 4), ("styblinski_tang", 3), ("michalewicz", 3)]
)
def test_lists_that_depend_on_the_dimension_are_those_of_the_atlas(name, dim):
    assert_atlas_agrees(objectives.get(name, dim=dim))


def assert_atlas_agrees(f, draws=300):
    """What is listed is found as what it is called; what is found is not lower; all is listed."""
    low, high = np.asarray(f.domain).T
    rng = np.random.default_rng(2)
    drawn = [*rng.uniform(low, high, (draws, f.dim))]
    drawn += [f.center + 0.01 * f.width * x for x in rng.uniform(-1, 1, (draws // 5, f.dim))]
    listed = [(kind, point) for kind in KINDS for point in getattr(f, kind)]
    found = gdjax.stationary_points(f, starts=[*drawn, *(point for _, point in listed)])
    points = np.reshape([point for _, point in listed], (-1, f.dim))
    gaps = np.abs((found.points[:, None] - points) / f.width).max(axis=2)
    for (kind, point), gap in zip(listed, gaps.T, strict=True):
        if f.smoothness == "kink" or np.any((low == point) | (point == high)):
            continue  # at a kink or an edge a minimum is not stationary
        i = gap.argmin()
        assert gap[i] <= 1e-12 or (gap[i] <= 1e-3 and found.kinds[i] == "degenerate")
        assert found.kinds[i] in (KINDS[kind], "degenerate")  # the ring tells degenerate ones
    if f.fmin is not None:
        lowest = f.fmin - 1e-12 * abs(f.fmin)
        assert (found.values >= lowest).all()
        as_low = (found.values <= f.fmin + 1e-12 * abs(f.fmin)) & (found.kinds == "minimum")
        assert (gaps[as_low].min(axis=1, initial=1) <= 1e-6).all()
    gap = np.where(found.kinds == "degenerate", 1e-3, 1e-6)
    unlisted = gaps.min(axis=1, initial=1) > gap
    # Of these two the rest is not seen: it lies on kinks, or on plains that are flat to the bit.
    assert f.complete != unlisted.any() or f.name in ("bukin6", "michalewicz"), found


@every_objective
def test_single_precision_stays_single_and_finite_where_autodiff_is_known_to_fail(name):
    seen, exact = view((name, ()), "float32"), view((name, ()), "float64")
    for values in (seen.value, seen.hand, seen.auto):
        assert values.dtype == "float32"
        assert np.isfinite(values).all()
    assert seen.value.shape == (len(seen.points),)
    assert seen.hand.shape == seen.auto.shape == seen.points.shape
    if objectives.get(name).float32:
        near = np.abs(seen.value - exact.value)[seen.near]
        assert near.max() <= 2e-3 * np.abs(exact.value[seen.near]).max()


@pytest.mark.parametrize("name", sorted(NEED_TWO))
def test_chains_need_two_links(name):
    with pytest.raises(gdjax.ArgumentError, match=f"{name} needs dim >= 2, got 1"):
        objectives.get(name, dim=1)
    assert objectives.get(name, dim=2).dim == 2


# Kinks


KINKED = [name for name in objectives.names() if objectives.get(name).kink is not None]


@pytest.mark.parametrize("name", KINKED)
def test_where_a_kink_changes_sign_the_slope_breaks(name):
    """Across a zero of the kink the slope (or the value) changes more than anywhere else."""
    f, formula = objectives.get(name), literature((name, ()))
    low, high = np.asarray(f.domain).T
    ends = np.random.default_rng(5).uniform(low, high, (400, 2, f.dim))
    kink = jax.jit(jax.vmap(f.kink))

    def slope(at, along, h=1e-6):
        return (formula(at + h * along) - formula(at)) / h

    with default_dtype("float64"):
        signs = np.sign(kink(ends[:, 0])) * np.sign(kink(ends[:, 1]))
        crossing = (signs < 0).sum(axis=1) == 1
        if not crossing.any():  # a distance, 0 at a tip
            at = kink(np.stack([np.zeros(f.dim), *ends[:5, 0]]))
            assert at[0] == 0
            assert (at[1:] > 0).all()
            return
        ends = ends[crossing][:24]
        which = np.argmax(signs[crossing][:24] < 0, axis=1)
        a, b = ends[:, 0], ends[:, 1]
        start = np.take_along_axis(np.asarray(kink(a)), which[:, None], axis=1)
        for _ in range(60):
            middle = (a + b) / 2
            same = np.take_along_axis(np.asarray(kink(middle)), which[:, None], axis=1) * start > 0
            a, b = np.where(same, middle, a), np.where(same, b, middle)
        left = np.take_along_axis(np.asarray(kink(a)), which[:, None], axis=1)
    found = (np.abs(left) <= 1e-9 * np.abs(start))[:, 0]  # where it jumps it has no zero
    assert found.any()
    broken = []
    for at, (begin, end) in zip(a[found], ends[found], strict=True):
        along = (end - begin) / np.linalg.norm(end - begin)

        def bend(point, along=along):
            return abs(slope(point + 1e-5 * along, along) - slope(point - 1e-5 * along, along))

        ordinary = np.median([bend(begin + t * (end - begin)) for t in np.linspace(0.05, 0.95, 19)])
        broken.append(bend(at) > 20 * ordinary)
    assert np.mean(broken) >= 0.9, broken


# Formulas as they are printed


class Latex:
    """A reader of the catalogue's LaTeX: it turns a formula into Python over lists x, y, …."""

    TOKEN = re.compile(r"\\[a-zA-Z]+|\\[,;]|\d+\.\d+|\d+|[a-zA-Z]|\S")
    CALLS = ("sin", "cos")

    def __init__(self, text):
        self.tokens = self.TOKEN.findall(re.sub(r"\\left(?![a-z])|\\right|\\ldots", "", text))
        self.at = 0

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *expected):
        token = self.peek()
        assert not expected or token in expected, (token, expected, self.tokens)
        self.at += 1
        return token

    def all(self):
        found = self.sum()
        assert not self.peek(), self.tokens[self.at :]
        return found

    def sum(self):
        code = (self.take() if self.peek() in ("+", "-") else "") + self.product()
        while self.peek() in ("+", "-"):
            code += self.take() + self.product()
        return code

    def product(self):
        factors = [self.factor()]
        while True:
            while self.peek() in (r"\,", r"\;"):
                self.take()
            if self.peek() in ("/", r"\cdot"):
                factors.append({"/": "/", r"\cdot": "*"}[self.take()] + self.factor())
            elif self.begins():
                factors.append("*" + self.factor())
            else:
                return "".join(factors)

    def begins(self):
        token = self.peek()
        opening = token == "|" and not getattr(self, "inside", False)
        return opening or token in ("(", "{") or token[:1].isalnum() or token[1:].isalpha()

    def factor(self):
        code = self.atom()
        if self.peek() == "^":
            self.take()
            code = f"{code}**({self.group()})"
        return code

    def group(self):
        if self.peek() != "{":
            token = self.take()
            return token.lstrip("\\")
        self.take("{")
        code = self.sum()
        self.take("}")
        return f"({code})"

    def atom(self):
        token = self.take()
        if token in "({" or token == "|":
            self.inside, before = token == "|", getattr(self, "inside", False)
            code = self.sum()
            self.take({"(": ")", "{": "}", "|": "|"}[token])
            self.inside = before
            return f"abs({code})" if token == "|" else f"({code})"
        if token == r"\frac":
            return f"(({self.group()})/({self.group()}))"
        if token == r"\sqrt":
            return f"sqrt({self.group()})"
        if token == r"\Vert":
            self.take("x"), self.take(r"\Vert")
            return "norm(x)"
        if token in (r"\sum", r"\prod"):
            return self.series(token[1:])
        name = token.lstrip("\\")
        if name in self.CALLS:
            return self.call(name)
        if token[0].isdigit():
            return token
        if self.peek() == "_":
            self.take()
            return f"at({name}, {self.group()})"
        if name == "S":
            self.take("(")
            code = self.sum()
            self.take(")")
            return f"S({code})"
        return name

    def call(self, name):
        """A function takes a bracket, one other function or root, or what stands close by it."""
        power = ""
        if self.peek() == "^":
            self.take()
            power = f"**{self.group()}"
        one = self.peek() in "({" or (self.peek().startswith("\\") and self.peek() != r"\pi")
        code = self.atom() if one else self.factor()
        while not one and self.begins() and self.peek().lstrip("\\") not in self.CALLS:
            code += "*" + self.factor()
        return f"{name}({code}){power}"

    def series(self, name):
        self.take("_")
        bounds = self.take()
        if bounds == "{":
            bounds = "".join(iter(self.take, "}"))
        index, first, last = bounds[0], "1", "d"
        if "=" in bounds:
            self.take("^")
            first, last = bounds[2:], self.group()
        elif "<" in bounds:
            last = bounds[2:] + "-1"
        elif ">" in bounds:
            first = bounds[2:] + "+1"
        code = self.product()
        while name == "sum" and self.peek() in ("+", "-"):  # terms with the index belong to it
            back = self.at
            code_of_next = self.take() + self.product()
            if not re.search(rf"\b{index}\b", code_of_next) or f"lambda {index}" in code_of_next:
                self.at = back
                break
            code += code_of_next
        return f"{name}_of(lambda {index}: {code}, {first}, {last})"


def at(values, i):
    if not 1 <= i <= len(values):
        raise IndexError
    return values[int(i) - 1]


def terms(term, first, last):
    for i in range(first, int(last) + 1):
        try:
            yield term(i)
        except IndexError:  # x_{i+1} ends a chain
            continue


READ = {
    "sin": np.sin, "cos": np.cos, "sqrt": np.sqrt, "e": e, "pi": pi, "norm": norm, "at": at,
    "sum_of": lambda *args: sum(terms(*args)), "prod_of": lambda *args: math.prod(terms(*args)),
}  # fmt: skip


def read(latex: str, point, **names) -> float:
    """The value that a printed formula has at a point, its definitions and cases included."""
    main, *others = latex.split(r",\ ")
    scope = READ | names | {"d": len(point)}
    indexed = any(word in latex for word in ("x_", "w_", "Vert"))
    scope |= {"x": np.asarray(point)} if indexed else dict(zip("xy", point, strict=False))
    cases = [main] if r"\ (" in main else []
    for text in others:
        if r"\ (" in text:
            cases.append(text)
            continue
        left, right = text.split(" = ")
        if "mathrm" in right + left:
            continue  # it defines an angle; the caller gives it
        code = Latex(right).all()
        if left == "S(t)":
            scope["S"] = eval(f"lambda t: {code}", scope)
        elif re.fullmatch(r"\w(\^2)?", left):
            # What is defined by an index of a sum is put in its place.
            late = re.search(r"\bi\b", code) and "lambda" not in code
            value = f"({code})" if late else eval(code, scope)
            if late:
                main = re.sub(rf"(?<![a-zA-Z\\]){left}(?![a-zA-Z])", rf"{{({right})}}", main)
                continue
            scope[left[0]] = value if "^" not in left else math.sqrt(value)
    for text in cases:
        text, condition = re.fullmatch(r"(.*)\\ \((.*)\)", text).groups()
        condition = condition.replace(r"\leq", "<=").replace(r"\geq", ">=")
        if eval(re.sub(r"\|x\|", "abs(x)", condition), scope):
            return float(eval(Latex(text).all(), scope))
    return float(eval(Latex(main).all(), scope))


def extra_names(name, point, chosen):
    if name == "kowalik_osborne":
        return {"u": DOSES, "y": RATES}
    if name == "helical_valley":
        return {"theta": math.atan2(point[1], point[0]) / (2 * pi), "r": norm(point[:2])}
    return {"kappa": 100.0} | {key: value for key, value in chosen if key != "dim"}


@every_variant
def test_the_printed_formula_is_the_function(case):
    name, chosen = case
    f, formula = objectives.get(name, **dict(chosen)), literature(case)
    mathtext.MathTextParser("path").parse(f"${f.latex}$")
    if (name == "levy" and f.dim == 1) or (name == "ill_conditioned_quadratic" and f.dim == 1):
        return  # sums without a term
    low, high = np.asarray(f.domain).T
    rng = np.random.default_rng(4)
    drawn = f.start + 0.05 * f.width * rng.uniform(-1, 1, (4, f.dim))
    for point in [*np.clip(drawn, low, high), *rng.uniform(low, high, (4, f.dim))]:
        expected = formula(point)
        value = read(f.latex, point, **extra_names(name, point, chosen))
        assert value == pytest.approx(expected, rel=1e-8, abs=1e-6)


# Facts that are neither points nor values


@pytest.mark.parametrize(
    ("name", "dim", "fmin"),
    [
        ("michalewicz", 5, -4.687658),
        ("michalewicz", 10, -9.6601517),
        ("styblinski_tang", 4, 4 * -39.1661657037714),
        ("trid", 10, -210),
    ],
)
def test_published_lowest_values(name, dim, fmin):
    assert objectives.get(name, dim=dim).fmin == pytest.approx(fmin, abs=5e-7)


# How many minima, local minima, saddles and maxima are listed, where it is not one minimum alone;
# all of it as the atlas finds it, which is seen under the marker ``full``.
LISTED = {
    "alpine1": (64, 0, 0, 0), "beale": (1, 0, 2, 0), "box3d": (2, 0, 2, 0),
    "branin": (3, 0, 2, 0), "cross_in_tray": (4, 0, 0, 0), "dixon_price": (2, 0, 1, 0),
    "freudenstein_roth": (1, 1, 0, 0), "goldstein_price": (1, 3, 4, 1),
    "himmelblau": (4, 0, 4, 1), "holder_table": (4, 0, 0, 0), "kowalik_osborne": (1, 2, 0, 0),
    "mccormick": (1, 1, 1, 0), "michalewicz": (1, 1, 0, 0), "monkey_saddle": (0, 0, 1, 0),
    "powell_badly_scaled": (2, 1, 2, 0), "qfsp": (2, 4, 7, 2), "saddle": (0, 0, 1, 0),
    "schaffer4": (4, 0, 0, 0), "shubert": (18, 0, 0, 0), "six_hump_camel": (2, 4, 7, 2),
    "styblinski_tang": (1, 3, 4, 1), "three_hump_camel": (1, 2, 2, 0),
    "two_gaussian_bowl": (1, 1, 1, 0), "wood": (1, 0, 2, 0),
}  # fmt: skip
LISTED_BY_DIMENSION = {
    ("alpine1", 1): (8, 0, 0, 0), ("alpine1", 3): (1, 0, 0, 0), ("dixon_price", 5): (2, 0, 1, 0),
    ("michalewicz", 4): (1, 23, 0, 0), ("michalewicz", 5): (1, 0, 0, 0),
    ("rosenbrock", 3): (1, 0, 0, 0), ("rosenbrock", 4): (1, 1, 1, 0),
    ("rosenbrock", 5): (1, 0, 0, 0), ("styblinski_tang", 3): (1, 7, 18, 1),
    ("styblinski_tang", 4): (1, 0, 0, 0),
}  # fmt: skip
INCOMPLETE = {
    "ackley", "alpine1", "bohachevsky1", "box3d", "bukin6", "cross_in_tray", "drop_wave", "easom",
    "eggholder", "griewank", "holder_table", "kowalik_osborne", "levy", "levy13", "michalewicz",
    "rastrigin", "salomon", "schaffer2", "schaffer4", "schwefel", "shubert",
}  # fmt: skip


def test_as_many_different_points_are_listed_as_there_are():
    wanted = {(name, None): LISTED.get(name, (1, 0, 0, 0)) for name in objectives.names()}
    for (name, dim), counts in (wanted | LISTED_BY_DIMENSION).items():
        f = objectives.get(name, **({} if dim is None else {"dim": dim}))
        assert tuple(len(getattr(f, kind)) for kind in KINDS) == counts, name
        assert len({point for kind in KINDS for point in getattr(f, kind)}) == sum(counts)
        if dim is None:
            assert f.complete == (name not in INCOMPLETE)


@pytest.mark.parametrize(
    ("name", "dims"),
    [("dixon_price", {2}), ("rosenbrock", {2, 3, 4}), ("styblinski_tang", {2, 3})],
)
def test_lists_are_complete_up_to_the_dimension_that_is_told(name, dims):
    assert {dim for dim in range(2, 7) if objectives.get(name, dim=dim).complete} == dims


@pytest.mark.parametrize(
    ("name", "eigenvalues"),
    [
        ("drop_wave", [72.5, 72.5]),
        ("sum_different_powers", [0, 2]),
        ("griewank", [0.5005, 1.0005]),
        ("rastrigin", [2 + 40 * math.pi**2] * 2),
        ("schaffer2", [0.002, 0.002]),
        ("easom", [3, 3]),
        ("michalewicz", [32.505644087929944, 81]),
    ],
)
def test_autodiff_has_the_right_hessian_at_the_minimum(name, eigenvalues):
    f = objectives.get(name)
    with default_dtype("float64"):
        hessian = jax.jit(jax.hessian(f.fn))(jnp.array(f.minima[0]))
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), eigenvalues, rtol=1e-9, atol=1e-9)


def test_the_guards_are_the_functions_they_guard_with_slope_0_where_there_is_none():
    with default_dtype("float64"):
        t = jnp.array([-2.25, -1e-300, 0.0, 1e-300, 0.25, 6.25])
        np.testing.assert_array_equal(safe_abs(t), np.abs(t))
        np.testing.assert_array_equal(safe_sqrt(t), np.sqrt(np.maximum(t, 0)))
        slopes = [jax.vmap(jax.grad(g))(jnp.array([-4.0, 0.0, 4.0])) for g in (safe_abs, safe_sqrt)]
    np.testing.assert_array_equal(slopes, [[-1, 0, 1], [0, 0, 0.25]])


def test_the_guard_of_the_cosine_is_the_cosine_to_the_second_derivative():
    t = np.geomspace(1e-6, 10, 400)
    safe_sqrt = np.sqrt(t)
    with default_dtype("float64"):
        second = jax.grad(jax.grad(cos_sqrt))
        values, second = jax.jit(jax.vmap(lambda t: (cos_sqrt(t), second(t))))(jnp.array(t))
    np.testing.assert_allclose(values, np.cos(safe_sqrt), rtol=1e-14, atol=1e-15)
    exact = (np.sin(safe_sqrt) / safe_sqrt - np.cos(safe_sqrt)) / (4 * t)
    np.testing.assert_allclose(second, exact, atol=1e-10)  # the closed form loses digits near 0


# The catalogue and its entries


def test_the_same_call_gives_the_same_object():
    assert objectives.get("sphere", dim=3) is objectives.get("sphere", dim=3)
    assert objectives.get("sphere") is objectives.get("sphere", dim=2)
    assert objectives.get("sphere", dim=3) is not objectives.get("sphere")


def box(**facts):
    """An objective on a domain that is not square, for what follows from a domain."""
    return gdjax.Objective(
        **({"fn": lambda p: p[0] - p[1] ** 2, "domain": [(-1, 3), (10, 20)]} | facts)
    )


def test_an_objective_knows_its_middle_its_widths_and_a_start_off_every_diagonal():
    f = box(minima=[(0, 11)], local_minima=[(1, 12), (2, 13)], saddles=[(3, 14)])
    assert f.dim == 2
    assert f.center.tolist() == [1, 15]
    assert f.width.tolist() == [4, 10]
    assert f.start == pytest.approx((-1 + 0.8 * 4, 10 + 0.7 * 10))
    assert f.known_minima.tolist() == [[0, 11], [1, 12], [2, 13]]
    assert box().known_minima.shape == (0, 2)
    five = gdjax.Objective(fn=sum, domain=[(0, 1)] * 5)
    assert five.start == pytest.approx((0.8, 0.7, 0.8, 0.7, 0.8))
    assert five.variables == ("x1", "x2", "x3", "x4", "x5")
    assert box(variables=["a", "b"]).variables == ("a", "b")


def test_an_objective_is_called_after_its_function_and_taken_with_lists_and_arrays():
    assert (box().name, box(fn=math.hypot).name, box(name="own").name) == ("lambda", "hypot", "own")
    assert float(box()((5, 2))) == float(box()(jnp.array([5.0, 2.0]))) == 1
    assert box(start=np.array([1, 11])).start == (1.0, 11.0)
    f = box(domain=[["-1", 3], [10, 20]])
    assert f.domain == ((-1.0, 3.0), (10.0, 20.0))
    assert len({box(), box()}) == 2  # compared by identity


@pytest.mark.parametrize("side", ["autodiff", "hand"])
def test_the_gradient_is_the_one_that_was_asked_for(side):
    f = box(gradient=lambda p: jnp.array([70.0, 80.0]))
    value, gradient = f.value_and_gradient(side)(jnp.array([5.0, 2.0]))
    assert float(value) == 1
    assert gradient.tolist() == {"autodiff": [1, -4], "hand": [70, 80]}[side]


def no_default(dim):
    """A factory that cannot be registered."""


def sphere(dim=2):
    """A name that is taken."""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: objectives.get("qfps"), "unknown objective 'qfps'; did you mean 'qfsp'?"),
        (lambda: objectives.get("qfsp", dim=3), "dim cannot be chosen: qfsp has 2 by definition"),
        (lambda: objectives.get("sphere", dim=0), "dim must be a whole number, at least 1, got 0"),
        (
            lambda: objectives.get("sphere", dim=2.0),
            "dim must be a whole number, at least 1, got 2.0",
        ),
        (lambda: objectives.get("sphere", dims=3), "did you mean 'dim'"),
        (lambda: objectives.get("formula"), "objective formula needs expression"),
        (lambda: objectives.family("qfps"), "unknown objective 'qfps'"),
        (lambda: objectives.register(no_default), "no_default: parameter 'dim' needs a default"),
        (lambda: objectives.register(sphere), "objective 'sphere' is registered already"),
        (
            lambda: objectives.get("ill_conditioned_quadratic", kappa=0.99),
            "kappa must be finite and at least 1, got 0.99",
        ),
        (lambda: objectives.get("ill_conditioned_quadratic", kappa=math.inf), "got inf"),
        (lambda: objectives.get("huber_worst_gd", steps=0), "steps must be at least 1, got 0"),
        (lambda: box(fn=3), "fn must be a function, got 3"),
        (lambda: box(domain=[(1, 0)]), "domain needs finite low < high"),
        (lambda: box(domain=[(1, 1)]), "domain needs finite low < high"),
        (lambda: box(domain=[(0, math.inf)]), "domain needs finite low < high"),
        (lambda: box(domain=[(-math.inf, 0)]), "domain needs finite low < high"),
        (lambda: box(domain=[]), "domain needs finite low < high"),
        (lambda: box(domain=3), "one (low, high) pair a dimension"),
        (lambda: box(variables=["a"]), "one for each of the 2 (low, high) pairs of the domain"),
        (lambda: box(variables=["a", "a"]), "variables must be different names"),
        (lambda: box(minima=[(1,)]), "minima must have 2 components, as lambda has, got 1"),
        (lambda: box(saddles=[(1, math.nan)]), "saddles must be finite, got (1.0, nan)"),
        (lambda: box(start="ab"), "start must be a list of 2 numbers, got 'ab'"),
        (lambda: box(domain=[(0, 1)], start="a"), "start must be a list of 1 number, got 'a'"),
        (lambda: box(start=3), "start must have 2 components, as lambda has, got 1: (3.0,)"),
        (
            lambda: box(domain=None, start=(1, 2, 3), variables=["a"]),
            "variables must be different names, one for each of the 3 components, got a",
        ),
        (
            lambda: box(domain=[(0, 1)], start=(1, 2)),
            "start must have 1 component, as lambda has, got 2",
        ),
        (lambda: box().value_and_gradient("hands"), "unknown gradient 'hands'; did you mean"),
        (lambda: box().value_and_gradient("hand"), "and lambda has none; use 'autodiff'"),
    ],
)
def test_bad_calls_say_what_is_wrong(untyped, call, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        call()
    assert message in str(caught.value)
