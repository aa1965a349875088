import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib import mathtext

import gdjax
from gdjax import objectives
from gdjax.descent import as_precision
from gdjax.objectives.guards import cosine_of_root

KINDS = {"minima": "minimum", "local_minima": "minimum", "saddles": "saddle", "maxima": "maximum"}
N_DIMENSIONAL = [name for name in objectives.names() if "dim" in objectives.parameters(name)]


class View(NamedTuple):
    """Value and gradient, by hand and by autodiff, at the points that are worth a look."""

    points: np.ndarray  # at random; then where autodiff is known to fail; then around the minima
    traps: slice
    around: slice
    value: np.ndarray
    hand: np.ndarray
    auto: np.ndarray


def view(f, precision):
    low, high = np.asarray(f.domain).T
    rng = np.random.default_rng(1)
    drawn = rng.uniform(low, high, (200, f.dim))
    traps = np.concatenate(
        [np.reshape(getattr(f, kind), (-1, f.dim)) for kind in KINDS] + [[f.start, [0.0] * f.dim]]
    )
    radii = np.geomspace(1e-5, 1e-2, 16)[:, None]
    around = [m + radii * f.width * rng.uniform(-1, 1, (16, f.dim)) for m in f.known_minima]
    around = np.clip(np.reshape(around, (-1, f.dim)), low, high)
    points = np.concatenate([drawn, traps, around])

    def one(point):
        return f.fn(point), f.gradient(point), jax.grad(f.fn)(point)

    with as_precision(precision):
        seen = jax.jit(jax.vmap(one))(jnp.asarray(points, dtype=float))
    cuts = np.cumsum([len(drawn), len(traps), len(around)])
    return View(points, slice(*cuts[:2]), slice(*cuts[1:]), *map(np.asarray, seen))


def assert_facts_hold(f):
    seen = view(f, "float64")
    assert np.isfinite(seen.value).all()
    size = np.linalg.norm(seen.auto, axis=1)
    typical = np.median(size[:200])
    # Rounding leaves 1e-12 of the norm, or of the typical one where the slope vanishes.
    apart = np.linalg.norm(seen.hand - seen.auto, axis=1)
    excess = apart - 1e-10 * (size + 1e-3 * typical) - 1e-300
    assert excess.max() <= 0, seen.points[excess.argmax()]
    if f.fmin is None:
        assert not f.minima
        return
    at_minima = seen.value[seen.traps][: len(f.minima)]
    rounding = 4e-15 * (abs(f.fmin) + np.median(seen.value[:200]) - f.fmin)
    assert np.abs(at_minima - f.fmin).max() <= rounding
    assert seen.value.min() >= f.fmin - rounding
    bottoms = np.repeat(seen.value[seen.traps][: len(f.known_minima)], 16)
    assert (seen.value[seen.around] >= bottoms - 1e-15 * np.abs(bottoms)).all()


def assert_atlas_agrees(f, draws=300):
    """What is listed is what it is called; what is found is not lower, and listed if all is."""
    low, high = np.asarray(f.domain).T
    drawn = np.random.default_rng(2).uniform(low, high, (draws, f.dim))
    listed = [(kind, point) for kind in KINDS for point in getattr(f, kind)]
    found = gdjax.stationary_points(f, starts=[*drawn, *(point for _, point in listed)])
    points = np.reshape([point for _, point in listed], (-1, f.dim))
    gaps = np.abs((found.points[:, None] - points) / f.width).max(axis=2)
    for (kind, point), gap in zip(listed, gaps.T, strict=True):
        assert np.all((low <= point) & (point <= high))
        if f.smoothness == "kink" or np.any((low == point) | (point == high)):
            continue  # at a kink or an edge a minimum is not stationary
        i = gap.argmin()
        assert gap[i] <= 1e-12 or (gap[i] <= 1e-3 and found.kinds[i] == "degenerate")
        assert found.kinds[i] in (KINDS[kind], "degenerate")
    if f.fmin is not None:
        lowest = f.fmin - 1e-12 * abs(f.fmin)
        assert (found.values >= lowest).all()
        as_low = (found.values <= f.fmin + 1e-12 * abs(f.fmin)) & (found.kinds == "minimum")
        assert (gaps[as_low].min(axis=1, initial=1) <= 1e-6).all()
    if f.complete:
        assert (gaps.min(axis=1) <= 1e-3).all(), found


@pytest.mark.parametrize("name", objectives.names())
def test_the_hand_gradient_is_autodiffs_and_the_minima_are_the_lowest_points(name):
    assert_facts_hold(objectives.get(name))


@pytest.mark.parametrize("name", objectives.names())
def test_the_listed_stationary_points_are_those_of_the_atlas(name):
    assert_atlas_agrees(objectives.get(name))


@pytest.mark.parametrize("name", objectives.names())
def test_single_precision_stays_single_and_finite_where_autodiff_is_known_to_fail(name):
    f = objectives.get(name)
    seen = view(f, "float32")
    for values in (seen.value, seen.hand, seen.auto):
        assert values.dtype == "float32"
        assert np.isfinite(values).all()
    assert seen.value.shape == (len(seen.points),)
    assert seen.hand.shape == seen.auto.shape == seen.points.shape


@pytest.mark.parametrize("name", N_DIMENSIONAL)
def test_n_dimensional_objectives_hold_in_other_dimensions(name):
    f = objectives.get(name, dim=5)
    assert f.dim == 5
    assert_facts_hold(f)
    try:
        line = objectives.get(name, dim=1)
    except gdjax.ArgumentError:  # some chains need two links
        return
    assert np.isfinite(line.gradient(jnp.array(line.start))).all()


@pytest.mark.parametrize(
    ("name", "dim"), [("rosenbrock", 4), ("styblinski_tang", 3), ("michalewicz", 3)]
)
def test_lists_that_depend_on_the_dimension_are_those_of_the_atlas(name, dim):
    assert_atlas_agrees(objectives.get(name, dim=dim))


@pytest.mark.parametrize("name", objectives.names())
def test_every_objective_introduces_itself(name):
    f = objectives.get(name)
    assert f.name == name
    assert f.reference
    mathtext.MathTextParser("path").parse(f"${f.latex}$")
    assert f.check_point(f.start) == f.start
    low, high = np.asarray(f.domain).T
    assert np.all((low <= f.start) & (f.start <= high))


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
    with as_precision("float64"):
        hessian = jax.jit(jax.hessian(f.fn))(jnp.array(f.minima[0]))
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), eigenvalues, rtol=1e-9, atol=1e-9)


def test_the_guard_of_the_cosine_is_the_cosine_to_the_second_derivative():
    t = np.geomspace(1e-6, 10, 400)
    root = np.sqrt(t)
    with as_precision("float64"):
        second = jax.grad(jax.grad(cosine_of_root))
        values, second = jax.jit(jax.vmap(lambda t: (cosine_of_root(t), second(t))))(jnp.array(t))
    np.testing.assert_allclose(values, np.cos(root), rtol=1e-14, atol=1e-15)
    exact = (np.sin(root) / root - np.cos(root)) / (4 * t)
    np.testing.assert_allclose(second, exact, atol=1e-10)  # the closed form loses digits near 0


def test_the_same_call_gives_the_same_object():
    assert objectives.get("sphere", dim=3) is objectives.get("sphere", dim=3)
    assert objectives.get("sphere") is objectives.get("sphere", dim=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: objectives.get("qfps"), "unknown objective 'qfps'; did you mean 'qfsp'?"),
        (lambda: objectives.get("qfsp", dim=3), "dim cannot be chosen: qfsp has 2"),
        (lambda: objectives.get("sphere", dim=0), "dim must be a positive integer, got 0"),
        (lambda: objectives.get("sphere", dims=3), "did you mean 'dim'"),
        (lambda: objectives.get("rosenbrock", dim=1), "rosenbrock needs dim >= 2, got 1"),
        (
            lambda: gdjax.Objective(name="f", fn=sum, domain=[(1, 0)]),
            "domain needs finite low < high",
        ),
        (lambda: gdjax.Objective(name="f", fn=sum, domain=3), "one (low, high) pair a dimension"),
        (
            lambda: gdjax.Objective(name="f", fn=sum, domain=[(0, 1)], minima=[(1, 2)]),
            "minima must have 1 component, as f has, got 2",
        ),
    ],
)
def test_bad_calls_say_what_is_wrong(untyped, call, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        call()
    assert message in str(caught.value)
