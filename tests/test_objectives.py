import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax
from gdjax import objectives
from gdjax.descent import as_precision


@pytest.fixture(params=objectives.names())
def objective(request):
    return objectives.get(request.param)


def gradient_scale(objective):
    """A typical gradient norm: what 0 is measured against."""
    low, high = np.asarray(objective.domain).T
    points = np.random.default_rng(1).uniform(low, high, (64, objective.dim))
    return np.median(np.linalg.norm(jax.vmap(jax.grad(objective.fn))(jnp.asarray(points)), axis=1))


def test_known_minima_have_the_known_value_and_no_slope(objective):
    with as_precision("float64"):
        scale = gradient_scale(objective)
        for point in map(jnp.asarray, objective.minima):
            value = objective.fn(point)
            assert value == pytest.approx(objective.fmin, rel=1e-11, abs=1e-11 * max(scale, 1))
            slope = np.asarray(objective.value_and_gradient("hand")(point)[1])
            low, high = np.asarray(objective.domain).T
            downhill_is_outside = ((point == high) & (slope < 0)) | ((point == low) & (slope > 0))
            slope = np.where(downhill_is_outside, 0, slope)
            if objective.smoothness != "kink":
                assert np.linalg.norm(slope) <= 1e-7 * max(scale, 1)


@pytest.mark.parametrize("kind", ["local_minima", "saddles", "maxima"])
def test_other_stationary_points_are_what_they_are_called(objective, kind):
    with as_precision("float64"):
        for point in map(jnp.asarray, getattr(objective, kind)):
            assert np.linalg.norm(objective.gradient(point)) <= 1e-7 * max(
                gradient_scale(objective), 1
            )
            curvatures = np.linalg.eigvalsh(jax.hessian(objective.fn)(point))
            flat = 1e-7 * np.abs(curvatures).max()
            up, down = curvatures.max() > flat, curvatures.min() < -flat
            expected = {"local_minima": (True, False), "maxima": (False, True)}
            if np.abs(curvatures).max() > 1e-12:  # a degenerate saddle has no curvature to sort by
                assert (up, down) == expected.get(kind, (True, True))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_value_and_gradient_keep_the_dtype_and_are_finite_where_autodiff_is_known_to_fail(
    objective, precision
):
    with as_precision(precision):
        for point in [*objective.minima, objective.start, (0.0,) * objective.dim]:
            point = jnp.asarray(point, dtype=float)
            for side in ("hand", "autodiff"):
                value, slope = objective.value_and_gradient(side)(point)
                assert (value.shape, value.dtype) == ((), precision)
                assert (slope.shape, slope.dtype) == ((objective.dim,), precision)
                assert np.isfinite(value)
                assert np.isfinite(slope).all()


def test_hand_gradient_is_autodiffs(objective):
    assert gdjax.check_gradient(objective).ok


def test_every_factory_takes_its_own_name_and_says_where_it_comes_from(objective):
    assert objective.name in objectives.names()
    assert objective.latex
    assert objective.reference
    assert objective.check_point(objective.start) == objective.start


@pytest.mark.parametrize(
    "name", [n for n in objectives.names() if "dim" in objectives.parameters(n)]
)
@pytest.mark.parametrize("dim", [3, 5])
def test_n_dimensional_objectives_hold_in_other_dimensions(name, dim):
    f = objectives.get(name, dim=dim)
    assert f.dim == dim
    assert gdjax.check_gradient(f, points=50).ok
    test_known_minima_have_the_known_value_and_no_slope(f)


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
