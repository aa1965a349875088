"""What a wrong gradient has in common with the right one: arrangements, multiples and means."""

import jax.numpy as jnp
import numpy as np
import pytest

import gdjax
from gdjax.certificates.patterns import patterns

RNG = np.random.default_rng(0)
X = RNG.uniform(0.5, 2, (40, 4)) * RNG.choice([-1, 1], (40, 4))
G = RNG.normal(size=(40, 4))
SQUARE = ("w[0,0]", "w[0,1]", "w[1,0]", "w[1,1]")
TALL = tuple(f"w[{i},{j}]" for i in range(3) for j in range(2))
T = G.reshape(-1, 2, 2)
A = RNG.normal(size=(4, 4))


def column(j, values):
    changed = G.copy()
    changed[:, j] = values
    return changed


def said(mine, truth=G, points=X, names=(0, 1, 2, 3), **more):
    slack = np.full(len(truth), 1e-9)
    return patterns(mine, truth, slack, points, lambda j: names[j], int, **more)


def flat(matrices):
    return matrices.reshape(len(matrices), -1)


SWAPPED = np.swapaxes(T, 1, 2)
TRIPLE = RNG.normal(size=(40, 6))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (said(column(1, G[:, 1] * np.exp(-X[:, 2]))), "1 lacks a factor exp(x[2])"),
        (said(column(1, G[:, 1] * np.exp(X[:, 2]))), "1 has a factor exp(x[2]) too many"),
        (said(column(1, G[:, 1] / X[:, 0] ** 3)), "1 lacks a factor x[0]^3"),
        (said(np.roll(G, 1, axis=1)), "the components are shifted cyclically, one place on"),
        (said(np.roll(G, -1, axis=1)), "the components are shifted cyclically, one place back"),
        (said(flat(SWAPPED), names=SQUARE), "w is transposed"),
        (said(flat(T + SWAPPED), names=SQUARE), "w is added to its transpose, and should not be"),
        (said(flat(T + SWAPPED) / 2, names=SQUARE), "w is symmetrised, and should not be"),
        (said(G, flat(T + SWAPPED) / 2, names=SQUARE), "w is not symmetrised, and should be"),
        (
            said(np.roll(TRIPLE, 2, 1) + (np.arange(6) < 2), TRIPLE, names=TALL),
            "the rows of w are off by one: each is that of the one before",
        ),
        (said(X @ A.T, X @ (A + A.T)), "it is A x where (A + Aᵀ) x is due"),
        (said(2 * X @ A.T, X @ (A + A.T)), "it is 2 A x where (A + Aᵀ) x is due"),
        (said(G / 50, sizes=(50,)), "is a mean where a sum is due"),
        (said(50 * G, sizes=(50,)), "is a sum where a mean is due"),
        (said(G / 50), "is off by a factor 0.02"),
    ],
)
def test_what_went_wrong_is_named_and_nothing_else(found, words):
    assert len(found) == 1
    assert words in found[0]


def test_all_but_the_origin_is_no_place():
    points = np.concatenate([np.zeros((1, 4)), X])
    mine = np.concatenate([G[:1], column(0, G[:, 0] + np.sin(9 * X[:, 0]))])
    (found,) = said(mine, np.concatenate([G[:1], G]), points)
    assert "|x| > 0" not in found


def test_a_mean_for_a_sum_is_told_by_the_length_of_the_data():
    data, y = RNG.normal(size=(50, 2)), RNG.normal(size=50)
    loss = lambda p, x, y: jnp.sum((x @ p - y) ** 2)  # noqa: E731
    mean = lambda p, x, y: 2 * x.T @ (x @ p - y) / len(y)  # noqa: E731
    report = gdjax.check_gradient(loss, mean, 10, domain=[(-1, 1)] * 2, args=(data, y))
    assert "a mean where a sum is due" in report.patterns[0]
    assert "of length 50" in report.patterns[0]
