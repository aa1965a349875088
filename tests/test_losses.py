"""Robust losses against SciPy's: values, slopes, and the fits that they make."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import gdjax
from gdjax.objectives.losses import LOSSES

EVERY = pytest.mark.parametrize("loss", LOSSES)
X = np.linspace(0, 4, 25)
Y = 3 * np.exp(-0.8 * X) + 1 + 0.05 * np.sin(7 * X)
Y[[3, 11, 19]] += [4.0, -3.0, 6.0]  # outliers
SIGMA = 0.1 + 0.02 * X


def fit(loss, loss_scale=1.0, **options):
    data = {"x": X, "y": Y, "s": SIGMA}
    return gdjax.objectives.get(
        "curve_fit", data=data, response="y", model="b1*exp(-b2*x) + b3", start=[3, 0.8, 1],
        loss=loss, loss_scale=loss_scale, **options,
    )  # fmt: skip


def misses(b):
    return (b[0] * np.exp(-b[1] * X) + b[2] - Y) / SIGMA


def by_scipy(loss, scale, start=(3, 0.8, 1)):
    return optimize.least_squares(
        misses, start, loss=loss, f_scale=scale, xtol=1e-15, ftol=1e-15, gtol=1e-12, max_nfev=999
    )


@EVERY
@pytest.mark.parametrize("scale", [1.0, 0.3, 20.0])
def test_the_sum_of_squares_is_twice_scipy_s_cost(loss, scale):
    f = fit(loss, scale, sigma="s")
    for start in np.random.default_rng(0).uniform(0, 5, (5, 3)):
        cost = optimize.least_squares(misses, start, loss=loss, f_scale=scale, max_nfev=1).cost
        with jax.enable_x64(True):
            at, given = jnp.asarray(start), f.cast(float)
            residuals, value = np.asarray(given.residual_vector(at)), given.value(at)
        assert residuals @ residuals == pytest.approx(2 * cost, rel=1e-12)
        assert float(value) == pytest.approx(2 * cost, rel=1e-12)


@EVERY
def test_the_weight_is_half_the_slope_of_the_squared_root_by_the_residual(loss):
    root, weight = LOSSES[loss].root, LOSSES[loss].weight
    with jax.enable_x64(True):
        sizes = np.geomspace(1e-12, 1e6, 60)
        sizes = sizes[np.abs(sizes - 1) > 1e-3]  # huber's seam, at which ρ″ jumps
        for u in jnp.asarray([*-sizes, 0.0, *sizes]):
            slope = jax.grad(lambda u: root(u) ** 2)(u)
            np.testing.assert_allclose(slope, 2 * weight(u) * u, rtol=1e-9, atol=0)


@EVERY
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_root_is_smooth_at_0_and_has_numbers_for_huge_residuals(loss, dtype):
    """Huge: 1e20, whose square is beyond float32."""
    root, weight = LOSSES[loss].root, LOSSES[loss].weight
    with jax.enable_x64(True):
        zero, huge = jnp.asarray(0, dtype), jnp.asarray(1e20, dtype)
        assert root(zero) == 0
        assert jax.grad(root)(zero) == 1
        small = jnp.geomspace(jnp.finfo(dtype).tiny ** 0.5, 1e-3, 40, dtype=dtype)
        for u in (small, -small):  # as close to 0 it is u itself
            np.testing.assert_allclose(root(u), u, rtol=1e-6)
            np.testing.assert_allclose(jax.vmap(jax.grad(root))(u), 1, rtol=1e-5)
        for u in (huge, -huge):
            assert np.sign(root(u)) == np.sign(u)
            assert np.isfinite([root(u), jax.grad(root)(u), weight(u)]).all()
            assert root(u).dtype == weight(u).dtype == dtype
            assert 1 < abs(root(u)) <= abs(u)


HUGE = {  # ρ(u²) of u = 1e20
    "linear": 1e40, "huber": 2e20 - 1, "soft_l1": 2 * (np.sqrt(1 + 1e40) - 1),
    "cauchy": np.log1p(1e40),
}  # fmt: skip


@EVERY
def test_huge_residuals_count_what_they_should(loss):
    root = LOSSES[loss].root
    for dtype, close in ((jnp.float32, 1e-6), (jnp.float64, 1e-12)):
        with jax.enable_x64(True):
            found = float(root(jnp.asarray(1e20, dtype)))
        assert found == pytest.approx(np.sqrt(HUGE[loss]), rel=close)


@EVERY
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_fit_with_outliers_ends_where_scipy_s_ends(loss, scale):
    f = fit(loss, scale, sigma="s")
    path = gdjax.descend(f, "levenberg_marquardt", steps=200, dtype="float64")
    theirs = by_scipy(loss, scale)
    np.testing.assert_allclose(path.points[-1], theirs.x, rtol=1e-6)
    assert float(path.values[-1]) == pytest.approx(2 * theirs.cost, rel=1e-10)
    linear = by_scipy("linear", 1.0).x
    apart = np.abs(np.asarray(path.points[-1]) - linear).max()
    assert (apart < 1e-3) == (loss == "linear")


@EVERY
def test_its_gradient_is_certified_with_weights_and_penalties(loss):
    f = fit(loss, 0.7, sigma="s", penalties=["0.3*(b1 - b2)", "b3 - 1"])
    assert gdjax.check_gradient(f).ok
    wrong = gdjax.Objective(
        fn=f.fn, gradient=lambda *at: f.gradient(*at) * jnp.array([1, 1, 1.01]), args=f.args,
        start=f.start, domain=f.domain,
    )  # fmt: skip
    assert not gdjax.check_gradient(wrong).ok


def test_penalties_add_their_squares_and_draw_the_parameters():
    plain, drawn = fit("linear", sigma="s"), fit("linear", sigma="s", penalties="1e4*(b3 - 2)")
    at = (3.0, 0.8, 1.5)
    assert float(drawn(at)) - float(plain(at)) == pytest.approx((1e4 * 0.5) ** 2, rel=1e-4)
    path = gdjax.descend(drawn, "levenberg_marquardt", steps=100, dtype="float64")
    assert float(path.points[-1, 2]) == pytest.approx(2, abs=1e-4)
    theirs = optimize.least_squares(
        lambda b: [*misses(b), 1e4 * (b[2] - 2)], [3, 0.8, 1], xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    np.testing.assert_allclose(path.points[-1], theirs.x, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": "hubert"}, "unknown loss 'hubert'; did you mean 'huber'"),
        ({"loss": "huber", "loss_scale": 0}, "loss_scale must be positive"),
        ({"loss": "huber", "loss_scale": -1.0}, "loss_scale must be positive"),
        ({"loss": "linear", "sigma": -1.0}, "sigma must be positive"),
        ({"loss": "linear", "sigma": "q"}, "unknown sigma"),
        ({"loss": "linear", "penalties": [3.0]}, "penalties must be formulas of the parameters"),
        ({"loss": "linear", "penalties": "x - b1"}, "unknown parameter in penalties 'x'"),
        ({"loss": "linear", "penalties": "c*b1"}, "unknown parameter in penalties 'c'"),
    ],
)
def test_what_is_no_loss_is_refused_in_a_line(options, words):
    with pytest.raises(gdjax.ArgumentError, match=words) as caught:
        fit(**options)
    assert "\n" not in str(caught.value)
