"""Optimizers in other coordinates than the parameters: scale and bounds."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import optimize

import gdjax
from gdjax.objectives import Coordinates

INF = math.inf
PAIRS = {
    "none": (-INF, INF), "low": (2.0, INF), "high": (-INF, -3.0), "both": (-1.0, 4.0),
    "narrow": (1e-9, 2e-9), "low 0": (0.0, INF),
}  # fmt: skip
X = np.linspace(0, 3, 20)
Y = 2.5 * np.exp(-1.3 * X) + 0.5 + 0.02 * np.cos(9 * X)
DATA = {"x": X, "y": Y}
START = [1.0, 1.0, 0.2]


def fit(start=START, model="a*exp(-b*x) + c", **options):
    return gdjax.objectives.get("curve_fit", data=DATA, model=model, start=start, **options)


def inside(low, high):
    """Points within, close to the bounds and far from them."""
    close = np.geomspace(1e-12, 1, 13)
    if math.isfinite(low) and math.isfinite(high):
        share = np.array([*close[:-1] / 2, 0.5, *(1 - close[:-1] / 2)])
        found = low + (high - low) * share
    elif math.isfinite(low):
        found = low + np.array([*close, 10, 1e3, 1e9])
    elif math.isfinite(high):
        found = high - np.array([*close, 10, 1e3, 1e9])
    else:
        found = np.array([-1e9, -1.0, 0.0, 1e-9, 3.0, 1e9])
    return found[(found > low) & (found < high)]


KINDS = pytest.mark.parametrize("kind", PAIRS)
SCALES = pytest.mark.parametrize("scale", [1.0, 1e-3, 50.0])


@KINDS
@SCALES
def test_outward_undoes_inward(kind, scale):
    low, high = PAIRS[kind]
    points = inside(low, high)
    of = Coordinates([scale] * len(points), [PAIRS[kind]] * len(points))
    with jax.enable_x64(True):
        at = of.inward(jnp.asarray(points))
        back = np.asarray(of.outward(at))
    assert np.isfinite(at).all()
    assert (np.diff(np.asarray(at)[np.argsort(points)]) > 0).all()
    np.testing.assert_allclose(back, points, rtol=1e-9)
    for bound in (low, high):
        if math.isfinite(
            bound
        ):  # and the distance from it keeps its digits as far as the point has
            near = 8 * np.finfo(float).eps * max(1e-9, np.abs(points).max())
            np.testing.assert_allclose(back - bound, points - bound, rtol=1e-9, atol=near)


@KINDS
@SCALES
def test_the_slope_is_the_derivative(kind, scale):
    v = np.array([-700.0, -40, -3, -0.5, 0, 0.1, 2, 30, 500])
    if all(map(math.isfinite, PAIRS[kind])):  # the coordinate is measured in widths of the pair
        v *= np.ptp(PAIRS[kind]) / (4 * scale)
    of = Coordinates([scale] * len(v), [PAIRS[kind]] * len(v))
    with jax.enable_x64(True):
        derivative = jax.vmap(jax.grad(lambda w, i: of.outward(jnp.asarray(v).at[i].set(w))[i]))(
            jnp.asarray(v), jnp.arange(len(v))
        )
        np.testing.assert_allclose(of.slope(jnp.asarray(v)), derivative, rtol=1e-12, atol=1e-300)
        at = np.asarray(of.outward(jnp.asarray(v)))
    assert (at >= PAIRS[kind][0]).all()
    assert (at <= PAIRS[kind][1]).all()


@KINDS
def test_the_slope_is_the_scale_where_no_bound_is_near(kind):
    low, high = PAIRS[kind]
    of = Coordinates([0.25], [PAIRS[kind]])
    far = 0.0 if math.isfinite(low) and math.isfinite(high) else {INF: 50.0}.get(high, -50.0)
    assert float(of.slope(jnp.array([far]))[0]) == pytest.approx(0.25)


def bowl(scale=None, bounds=None):
    pairs = [(-INF, INF)] * 2 if bounds is None else bounds
    return gdjax.Objective(
        fn=lambda p: (p[0] - 1) ** 2 + 50 * (p[1] + 2) ** 2 + p[0] * p[1], start=(3.0, 1.0),
        coordinates=None if scale is None else Coordinates(scale, pairs),
    )  # fmt: skip


def test_descents_in_a_scale_are_those_with_a_rate_for_each_parameter():
    scale, rate, momentum = np.array([2.0, 0.1]), 0.05, 0.7
    f = bowl(scale)
    for optimizer, mu in (
        (gdjax.gradient_descent(rate), 0),
        (gdjax.heavy_ball(rate, momentum), momentum),
    ):
        path = gdjax.descend(f, optimizer, steps=20, dtype="float64")
        with jax.enable_x64(True):
            gradient = jax.grad(f.fn)
            at, velocity = np.array(f.start), np.zeros(2)
            for point in np.asarray(path.points):
                np.testing.assert_allclose(point, at, rtol=1e-11)
                velocity = mu * velocity - rate * scale**2 * np.asarray(gradient(jnp.asarray(at)))
                at = at + velocity
        by_optax = gdjax.descend(
            bowl(), optax.chain(optax.sgd(rate, momentum=mu or None), optax.scale(1.0)), steps=1,
            dtype="float64",
        )  # fmt: skip
        assert not np.allclose(by_optax.points[1], path.points[1])  # without the scale


def test_auto_gives_the_gauss_newton_matrix_a_unit_diagonal():
    f = fit(scale="auto")
    with jax.enable_x64(True):
        at = jnp.asarray(f.start)
        slopes = jax.jacfwd(f.cast(float).residual_vector)(at)
        scaled = slopes * jnp.asarray(f.coordinates.slope(f.coordinates.inward(at)))
        np.testing.assert_allclose(np.diag(2 * scaled.T @ scaled), 1, rtol=1e-9)


def test_auto_takes_the_size_of_the_start_where_the_residuals_say_nothing():
    f = fit([3.0, -7.0, 0.0], "a*x + 0*b + 0*c", scale="auto")
    assert f.coordinates.scale[1:].tolist() == [7.0, 1.0]


BOUNDS = {
    "inactive": {"b": [0, 5], "c": [0, None]},
    "active below": {"b": [1.5, None]},
    "active above": {"a": [None, 2.0]},
    "active in a pair": {"c": [0.1, 0.3]},
}
METHODS = {
    "lbfgs": ("lbfgs", 300), "gauss_newton": ("gauss_newton", 300),
    "levenberg_marquardt": ("levenberg_marquardt", 300),
}  # fmt: skip


def by_scipy(bounds):
    sides = [bounds.get(name, [None, None]) for name in "abc"]
    low = [-INF if side[0] is None else side[0] for side in sides]
    high = [INF if side[1] is None else side[1] for side in sides]
    found = optimize.least_squares(
        lambda p: p[0] * np.exp(-p[1] * X) + p[2] - Y, START if "b" not in bounds else [1, 2, 0.2],
        bounds=(low, high), xtol=1e-15, ftol=1e-15, gtol=1e-15,
    )  # fmt: skip
    return found, np.array(low), np.array(high)


@pytest.mark.parametrize("which", BOUNDS)
@pytest.mark.parametrize("method", METHODS)
def test_the_minimum_within_bounds_is_scipy_s_and_no_step_leaves_them(which, method):
    bounds, (optimizer, steps) = BOUNDS[which], METHODS[method]
    f = fit(START if "b" not in bounds else [2.2, 1.7, 0.5], bounds=bounds)
    path = gdjax.descend(f, optimizer, steps=steps, dtype="float64")
    theirs, low, high = by_scipy(bounds)
    points = np.asarray(path.points)
    assert (points >= low).all()
    assert (points <= high).all()
    np.testing.assert_allclose(points[-1], theirs.x, rtol=1e-4)
    assert float(path.values[-1]) == pytest.approx(2 * theirs.cost, rel=1e-4)
    assert path.outcome == gdjax.Outcome.CONVERGED


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [0.01, 1e3])
def test_no_step_leaves_the_bounds_whatever_its_length(dtype, rate):
    f = fit([0.3, 0.7, 0.2], bounds={"a": [0.1, 0.7], "b": [0.3, None], "c": [None, 0.9]})
    path = gdjax.descend(f, gdjax.heavy_ball(rate, 0.9), steps=50, dtype=dtype)
    points = np.asarray(path.points)
    assert np.isfinite(points).all()
    kind = points.dtype.type
    assert (points >= np.array([0.1, 0.3, -INF], kind)).all()
    assert (points <= np.array([0.7, INF, 0.9], kind)).all()


def test_a_sweep_ends_where_descents_end():
    f = fit(bounds={"b": [1.5, None], "c": [0, 1]}, scale="auto", start=[1.0, 2.0, 0.2])
    starts = [[1.0, 2.0, 0.2], [2.0, 3.0, 0.6]]
    rates = [0.01, 0.2]
    swept = gdjax.sweep(
        f, gdjax.heavy_ball, starts, {"learning_rate": rates}, 60, stopping=False, dtype="float64"
    )
    for i, start in enumerate(starts):
        for j, rate in enumerate(rates):
            path = gdjax.descend(f, gdjax.heavy_ball(rate), start, 60, dtype="float64")
            np.testing.assert_allclose(
                swept.final_point[i, j], path.points[-1], rtol=1e-7, atol=1e-9
            )
    assert np.ptp(swept.final_point.values, axis=(0, 1)).min() > 1e-6


def test_a_sweep_tells_that_a_minimum_is_on_a_bound():
    f = fit(bounds={"b": [1.5, None]}, start=[1.0, 2.0, 0.2])
    found = gdjax.sweep(
        f, "levenberg_marquardt", [[1.0, 2.0, 0.2], [3.0, 1.6, 1.0]], steps=300, dtype="float64"
    )
    assert (found.outcome == gdjax.Outcome.CONVERGED).all()


def test_a_schedule_free_optimizer_is_evaluated_within_the_bounds():
    f = fit([0.3, 0.7, 0.2], bounds={"a": [0.1, 0.7], "b": [0.3, None], "c": [None, 0.9]})
    for optimizer in (
        optax.contrib.schedule_free_sgd(0.5),
        gdjax.optimizers.chain(gdjax.gradient_descent(0.5), mean=gdjax.optimizers.mean_of_points()),
    ):
        path = gdjax.descend(f, optimizer, steps=20, dtype="float64")
        at = np.asarray(path.eval_point)
        assert (at >= [0.1, 0.3, -INF]).all()
        assert (at <= [0.7, INF, 0.9]).all()
        with jax.enable_x64(True):
            assert float(path.eval_value) == pytest.approx(float(f.cast(float).value(at)))


def test_the_gradient_in_coordinates_is_certified():
    f = fit([0.3, 0.7, 0.2], bounds={"a": [0.1, 0.7], "b": [0.3, None], "c": [None, 0.9]})
    of, args = f.coordinates, f.args
    given = {
        "fn": lambda v, *args: f.fn(of.outward(v), *args), "args": args,
        "domain": [(-0.5, 0.5), (-2.0, 2.0), (-2.0, 2.0)],
    }  # fmt: skip
    right = gdjax.Objective(
        gradient=lambda v, *args: of.slope(v) * f.gradient(of.outward(v), *args), **given
    )
    assert gdjax.check_gradient(right).ok
    wrong = gdjax.Objective(gradient=lambda v, *args: f.gradient(of.outward(v), *args), **given)
    assert not gdjax.check_gradient(wrong).ok


def test_an_objective_of_one_s_own_may_have_coordinates():
    f = bowl([1.0, 1.0], [(-INF, INF), (-1.0, INF)])
    path = gdjax.descend(f, "lbfgs", steps=200, dtype="float64")
    assert path.outcome == gdjax.Outcome.CONVERGED
    np.testing.assert_allclose(path.points[-1], [1.5, -1.0], atol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bounds": {"a": [1.0, 2.0]}}, "start must lie within bounds, 1 < a < 2, got a=1"),
        ({"bounds": {"a": [0.0, 1.0]}}, "start must lie within bounds, 0 < a < 1, got a=1"),
        ({"bounds": {"a": [10, None]}}, "start must lie within bounds, 10 < a < inf, got a=1"),
        ({"bounds": {"a": [10, None]}, "domain": [(0, 20)] * 3}, "start must lie within bounds"),
        ({"bounds": {"a": [2, 1]}, "domain": [(0, 20)] * 3}, "bounds must be pairs low < high"),
        ({"bounds": {"a": [2, 1]}}, r"bounds must be pairs low < high, got \(2, 1\)"),
        ({"bounds": {"a": [1, 1]}}, r"bounds must be pairs low < high, got \(1, 1\)"),
        ({"bounds": {"a": [float("nan"), 3]}}, "bounds must be"),
        ({"bounds": {"d": [0, 1]}}, "unknown parameter in bounds 'd'"),
        ({"bounds": {"a": 3}}, "bounds of a must be a pair"),
        ({"bounds": {"a": [0, 1, 2]}}, "bounds of a must be a pair"),
        ({"bounds": {"a": ["low", 2]}}, "bounds of a must be a pair"),
        ({"bounds": [0, 1]}, "bounds must be"),
        ({"bounds": 3}, "bounds must be"),
        ({"bounds": "a"}, "bounds must be"),
        ({"scale": [1.0, 2.0]}, "scale must be auto, none or one positive number for each of a, b"),
        ({"scale": 3.0}, "scale must be auto, none or one positive number for each of a, b"),
        ({"scale": [1.0, -2.0, 1.0]}, "scale of b must be positive"),
        ({"scale": [1.0, 0.0, 1.0]}, "scale of b must be positive"),
        ({"scale": "autos"}, "unknown scale 'autos'; did you mean 'auto'"),
    ],
)
def test_what_are_no_coordinates_is_refused_in_a_line(untyped, options, words):
    with pytest.raises(gdjax.ArgumentError, match=words) as caught:
        fit(**options)
    assert "\n" not in str(caught.value)


def test_coordinates_are_of_vectors_and_of_their_length():
    two = Coordinates([1.0, 1.0], [(-INF, INF)] * 2)
    for given, words in (
        ({"start": {"a": 1.0, "b": 2.0}}, "coordinates need points that are vectors"),
        ({"start": (1.0, 2.0, 3.0)}, "coordinates must have 3 components, as f has, got 2"),
    ):
        with pytest.raises(gdjax.ArgumentError, match=words) as caught:
            gdjax.Objective(fn=lambda p: 0.0, name="f", coordinates=two, **given)
        assert "\n" not in str(caught.value)
    with pytest.raises(gdjax.ArgumentError, match="scale must be positive and finite"):
        Coordinates([1.0, INF], [(-INF, INF)] * 2)
    for start in ([0.0, 1.0, 0.2], [-1.0, 1.0, 0.2]):  # that of a descent too
        with pytest.raises(gdjax.ArgumentError, match="start must lie within bounds, 0 < a"):
            gdjax.descend(fit(bounds={"a": [0, None]}), "adam", start)
        with pytest.raises(gdjax.ArgumentError, match=r"start.* must lie within bounds, 0 < a"):
            gdjax.sweep(fit(bounds={"a": [0, None]}), "adam", [START, start], steps=2)


@pytest.mark.parametrize("kind", sorted(gdjax.starts.MAKERS.keys() - {"init"}))
def test_starts_that_are_drawn_lie_within_the_bounds(kind):
    f = fit(bounds={"a": [0, 5], "b": [0.5, None]}, domain=[(0, 5), (-2, 3), (-1, 1)])
    made = gdjax.starts.make(kind, number=8)
    points = made.take(f, 0, made.count(3))
    assert (points[:, 0] > 0).all()
    assert (points[:, 0] < 5).all()
    assert (points[:, 1] > 0.5).all()
    assert (points[:, 1] < 0.6).any()  # those of the domain that the bound cuts off are moved
    free = made.take(fit(domain=f.domain), 0, made.count(3))
    np.testing.assert_array_equal(points[:, 2], free[:, 2])
    found = gdjax.sweep(f, "levenberg_marquardt", gdjax.starts.grid(2), steps=3, dtype="float64")
    assert np.isfinite(found.final_point).all()
    assert (found.start_point[:, 0] > 0).all()
    assert (found.start_point[:, 0] < 5).all()


def test_a_point_that_rounds_to_its_bound_comes_back():
    """The coordinates are kept: of the point alone, 30 units beyond, float32 has lost them."""

    def there_and_back(updates, state, params=None):
        return jnp.full_like(updates, jnp.where(state == 0, -30.0, 30.0)), state + 1

    optimizer = optax.GradientTransformation(lambda params: jnp.int32(0), there_and_back)
    f = gdjax.Objective(
        fn=lambda p: (p**2).sum(), start=(1.5, 2.0),
        coordinates=Coordinates([1.0, 1.0], [(1.0, INF), (1.0, 3.0)]),
    )  # fmt: skip
    points = np.asarray(gdjax.descend(f, optimizer, steps=2, dtype="float32").points)
    np.testing.assert_array_equal(points[1], 1)
    np.testing.assert_allclose(points[2], points[0], rtol=1e-5)
