"""What a descent came to rest at, told by value, Hessian and neighbourhood."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax
from gdjax import curvature, objectives
from gdjax._descent.outcomes import Outcome
from gdjax._descent.rest import FEW

gd = gdjax.gradient_descent


def double_well(p):
    """Minima at ±1e-3, and a saddle between them."""
    return (p[0] ** 2 - 1e-6) ** 2 + p[1] ** 2


def quadratic(*curvatures):
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(len(curvatures),) * 2))[0]
    matrix = jnp.asarray(rotation * curvatures @ rotation.T)
    return lambda p: p @ matrix @ p / 2


MANY = np.linspace(0.5, 2, FEW + 8)
RESTS = {
    "a minimum": (lambda p: p[0] ** 2 + p[1] ** 2, (1, 2), "converged"),
    "a minimum in one dimension": (lambda p: jnp.cos(p[0]), (3.0,), "converged"),
    "a flat bowl": (lambda p: 1e-12 * (p[0] ** 2 + p[1] ** 2), (1e-3, 0), "converged"),
    "a saddle, along its ridge": (lambda p: p[0] ** 2 - p[1] ** 2, (1, 0), "saddle"),
    "a saddle with a level direction": (
        lambda p: p[0] ** 2 - p[1] ** 2 + 0 * p[2], (1, 0, 1), "saddle",
    ),
    "the top": (lambda p: -(p[0] ** 2) - p[1] ** 2, (0, 0), "maximum"),
    "a constant": (lambda p: 3 + 0 * p[0], (1, 1), "plateau"),
    "a dead unit": (lambda p: jnp.maximum(p[0], 0) ** 2, (-3, 1), "plateau"),
    "a tail": (lambda p: jnp.exp(-p[0]), (20,), "plateau"),
    "the same as good as underflown": (lambda p: jnp.exp(-p[0]), (700,), "plateau"),
    "a valley": (lambda p: p[0] ** 2 + 0 * p[1], (1, 1), "degenerate"),
    "a fourth power": (lambda p: p[0] ** 4, (0,), "degenerate"),
    "a fourth power, before it": (lambda p: p[0] ** 4 + p[1] ** 2, (5e-3, 1), "degenerate"),
    "an inflection": (lambda p: p[0] ** 3, (0,), "degenerate"),
    "a monkey saddle": (lambda p: p[0] ** 3 - 3 * p[0] * p[1] ** 2, (0, 0), "degenerate"),
    "many dimensions": (quadratic(*MANY), np.ones(len(MANY)), "converged"),
    "many, one of them level": (quadratic(0, *MANY), np.ones(len(MANY) + 1), "degenerate"),
    "many, all level": (lambda p: 0 * p[0], np.ones(len(MANY)), "plateau"),
    "many, on top": (quadratic(*-MANY), np.zeros(len(MANY)), "maximum"),
    "many, one of them down": (quadratic(-1, *MANY), np.zeros(len(MANY) + 1), "saddle"),
    "between two minima": (double_well, (1e-6, 0), "saddle"),
}  # fmt: skip


def in_words(outcome):
    return str(Outcome(int(outcome)))


@pytest.mark.parametrize("name", RESTS)
def test_what_a_descent_came_to_rest_at(name):
    fn, start, outcome = RESTS[name]
    path = gdjax.descend(fn, gd(0.1), np.asarray(start, float), 400, dtype="float64")
    assert (in_words(path.outcome), int(path.minimum)) == (outcome, -1)


SOME = ("a minimum", "a saddle, along its ridge", "a fourth power, before it", "a dead unit")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in SOME else pytest.mark.full) for n in RESTS]
)
def test_the_cells_of_a_sweep_are_told_apart_alike(name):
    fn, start, outcome = RESTS[name]
    starts = [np.asarray(start, float)] * 2
    swept = gdjax.sweep(fn, gd(0.1), starts, steps=400, dtype="float64", kernel="xla")
    assert [in_words(code) for code in swept.outcome.values.ravel()] == [outcome] * 2
    unasked = gdjax.sweep(
        fn, gd(0.1), starts, steps=400, dtype="float64", kernel="xla", classify_rest=False
    )
    assert unasked.outcome.values.tolist() == [Outcome.STALLED] * 2


def test_a_saddle_beside_a_known_minimum_is_not_that_minimum():
    f = gdjax.Objective(
        fn=double_well, domain=((-1, 1),) * 2, minima=[(1e-3, 0), (-1e-3, 0)], fmin=0.0
    )
    ends = {(1e-6, 0.0): ("saddle", -1), (1.001e-3, 0.0): ("converged", 0)}
    swept = gdjax.sweep(f, gd(0.1), [*ends], dtype="float64")
    for i, (start, (outcome, minimum)) in enumerate(ends.items()):
        path = gdjax.descend(f, gd(0.1), start, dtype="float64")
        assert (in_words(path.outcome), int(path.minimum)) == (outcome, minimum)
        assert (swept.outcome.values.flat[i], swept.minimum.values.flat[i]) == (
            path.outcome, path.minimum,
        )  # fmt: skip


def test_what_becomes_of_a_cell_does_not_depend_on_its_neighbours():
    """One rests at a kink, where no Hessian is asked, and one on a plain."""

    def fn(p):
        return jnp.where(p[0] > 2, 0.0, p[0] ** 2 + p[1] ** 2)

    f = gdjax.Objective(fn=fn, domain=[(-4, 4), (-4, 4)], kink=lambda p: p[:1])
    starts = [(0.0, 0.0), (3.0, 1.0)]
    together = gdjax.sweep(f, gd(0.1), starts, kernel="xla").outcome.values.ravel()
    alone = [gdjax.sweep(f, gd(0.1), [one], kernel="xla").outcome.item() for one in starts]
    assert together.tolist() == alone == [Outcome.DEGENERATE, Outcome.PLATEAU]


FAR_ABOVE = [  # within a thousandth of the domain from the minimum, and high above it
    ("brown_badly_scaled", (999999.0, 1e-3), 1e5), ("powell_badly_scaled", (0.0, 9.1), 0.5),
]  # fmt: skip


@pytest.mark.parametrize(("name", "start", "above"), FAR_ABOVE)
def test_a_minimum_is_reached_by_its_value_too(name, start, above):
    path = gdjax.descend(name, gd(1e-16), start, 10, dtype="float64")
    assert np.asarray(path.values)[-1] > above
    assert path.minimum == -1
    found = gdjax.sweep(name, gd(1e-16), [start], steps=10, dtype="float64")
    assert found.minimum.item() == -1
    assert gdjax.descend(name, gd(1e-16), objectives.get(name).minima[0], 1).minimum == 0


@pytest.mark.full
@pytest.mark.parametrize("name", objectives.names()[::2])
def test_whatever_is_high_above_a_known_minimum_has_not_reached_it(name):
    f = objectives.get(name)
    if not len(f.known_minima):
        return
    offsets = np.random.default_rng(0).uniform(-1e-3, 1e-3, (5, 1, f.dim)) * f.width
    starts = (f.known_minima[:4] + offsets).reshape(-1, f.dim)
    found = gdjax.sweep(f, gd(1e-30), starts, steps=0, dtype="float64", stopping=False)
    minimum, value = found.minimum.values.ravel(), found.final_value.values.ravel()
    reached = f.minimum_values[minimum[minimum >= 0]]
    assert (value[minimum >= 0] - reached <= 0.0101 * np.maximum(1, np.abs(reached))).all()


def rat42():
    """NIST's Rat42, with its first start: a sigmoid through nine points."""
    x = jnp.array([9.0, 14, 21, 28, 42, 57, 63, 70, 79])
    y = jnp.array([8.93, 10.8, 18.59, 22.33, 39.35, 56.11, 61.73, 64.62, 67.08])

    def misfit(b):
        return jnp.sum((y - b[0] / (1 + jnp.exp(b[1] - b[2] * x))) ** 2)

    return gdjax.Objective(name="rat42", fn=misfit, start=(100, 1, 0.1))


BACKTRACKING = optax.chain(
    optax.sgd(1.0), optax.scale_by_backtracking_linesearch(max_backtracking_steps=2)
)


@pytest.mark.parametrize(
    ("f", "optimizer", "start", "first"),
    [
        (rat42(), optax.lbfgs(), None, 2),
        # 1e8 is far too steep for two halvings, and optax steps all the same.
        (lambda p: 1e8 * p[0] ** 2, BACKTRACKING, (1.0,), 0),
    ],
    ids=["lbfgs", "backtracking"],
)
def test_a_line_search_that_gives_up_is_told(f, optimizer, start, first):
    path = gdjax.descend(f, optimizer, start, 3, dtype="float64")
    assert path.outcome == Outcome.STUCK
    assert str(path).endswith(f"; it found no lower point from step {first}")
    assert path.best_step == first
    values, points = np.asarray(path.values), np.asarray(path.points)
    assert path.best_value == values[first] < values[-1]
    np.testing.assert_array_equal(path.best_point, points[first])
    starts = [f.start if start is None else start]
    swept = gdjax.sweep(f, optimizer, starts, steps=3, dtype="float64", kernel="xla")
    assert swept.outcome.item() == Outcome.STUCK
    assert swept.best_value.item() == pytest.approx(path.best_value, rel=1e-12)
    told = str(gdjax.compare(f, {"searcher": optimizer}, start, 3, dtype="float64"))
    assert told.endswith(f"searcher: it found no lower point from step {first}")


def test_a_line_search_that_works_is_not_stuck():
    path = gdjax.descend("rosenbrock", optax.lbfgs(), steps=60, dtype="float64")
    assert (path.outcome, path.minimum) == (Outcome.CONVERGED, 0)
    assert gdjax.descend("rosenbrock", optax.lbfgs(), steps=5).outcome == Outcome.MAX_STEPS


def test_inside_a_transformation_nobody_is_asked():
    def end(x):
        return gdjax.descend(lambda p: p[0] ** 2, gd(0.4), jnp.stack([x]), 60)

    path = jax.vmap(end)(jnp.array([1.0, 2.0]))
    assert path.outcome.tolist() == [Outcome.STALLED] * 2
    assert path.best_step.tolist() == [int(end(x).best_step) for x in (1.0, 2.0)]
    assert path.best_point.shape == (2, 1)


def test_lanczos_finds_the_ends_of_a_spectrum_and_says_how_well():
    eigenvalues = np.sort(np.random.default_rng(1).normal(size=200))
    vectors = np.linalg.qr(np.random.default_rng(2).normal(size=(200, 200)))[0]
    matrix = jnp.asarray(vectors * eigenvalues @ vectors.T, dtype=jnp.float32)
    found = curvature.lanczos(lambda v: matrix @ v, jnp.ones(200), 60)
    for end in (0, -1):
        assert abs(found.values[end] - eigenvalues[end]) < 1e-4
    for value, residual in zip(found.values, found.residuals, strict=True):
        assert np.abs(eigenvalues - value).min() <= residual + 1e-5
    few = curvature.lanczos(lambda v: jnp.array([1.0, 1.0, 3.0]) * v, jnp.ones(3), 3)
    np.testing.assert_allclose(few.values, [1, 3], rtol=1e-5)  # all that a start can reach
    assert (few.residuals == 0).all()


def test_a_descent_at_rest_leaves_data_in_the_precision_they_have():
    """JAX remembers the dtype of an array that is a constant of anything traced."""
    times = np.linspace(0.0, 3.0, 20)
    f = gdjax.Objective(fn=lambda p, t: jnp.sum((p[0] * t - 1.0) ** 2), start=(1.0,), args=(times,))
    path = gdjax.descend(f, gdjax.gradient_descent(0.01), steps=300, dtype="float64")
    assert path.outcome == gdjax.Outcome.CONVERGED
    for dtype in ("float64", "float32"):
        swept = gdjax.sweep(f, gdjax.gradient_descent(0.01), steps=300, dtype=dtype, kernel="xla")
        assert swept.outcome.item() == gdjax.Outcome.CONVERGED
