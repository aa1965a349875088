"""Gauss-Newton and Levenberg-Marquardt, against linear algebra, SciPy and optimistix."""

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
import pytest
from scipy import optimize

import gdjax
from gdjax.optimizers import gauss_newton, levenberg_marquardt
from gdjax.optimizers.least_squares import _Model

TIMES = np.linspace(0, 3, 20)
RATES = 2.5 * np.exp(-1.3 * TIMES) + 0.5 + 0.02 * np.cos(9 * TIMES)


def decay(p, t, y):
    return p[0] * jnp.exp(-p[1] * t) + p[2] - y


DECAY = gdjax.Objective(residuals=decay, start=(1.0, 1.0, 0.0), args=(TIMES, RATES))
METHODS = {"gauss_newton": gauss_newton(), "levenberg_marquardt": levenberg_marquardt()}


def by_scipy(f, start, **how):
    """Where SciPy's least_squares ends, with the same Jacobian."""
    with jax.enable_x64(True):
        given = f.cast(float)
        found = optimize.least_squares(
            jax.jit(given.residual_vector), start, jac=jax.jit(jax.jacfwd(given.residual_vector)),
            x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15, **how,
        )  # fmt: skip
    return found.x


@pytest.mark.parametrize("method", METHODS)
def test_a_fit_ends_where_scipy_and_optimistix_end(method):
    path = gdjax.descend(DECAY, METHODS[method], steps=30, dtype="float64")
    assert path.outcome == gdjax.Outcome.CONVERGED
    for how in ("lm", "trf", "dogbox"):
        np.testing.assert_allclose(path.points[-1], by_scipy(DECAY, [1, 1, 0], method=how), 1e-7)
    with jax.enable_x64(True):
        solver = optimistix.LevenbergMarquardt(rtol=1e-14, atol=1e-14)
        theirs = optimistix.least_squares(
            lambda p, data: decay(p, *data), solver, jnp.array([1.0, 1.0, 0.0]),
            (jnp.asarray(TIMES), jnp.asarray(RATES)),
        )  # fmt: skip
    np.testing.assert_allclose(path.points[-1], theirs.value, rtol=1e-7)


def test_gauss_newton_takes_the_step_of_the_linear_fit():
    f = gdjax.Objective(
        residuals=lambda p: jnp.stack(
            [p[0] * p[1] - 3, p[1] ** 2 - p[2], p[2] * p[0], jnp.sin(p[1])]
        ),
        start=(1.0, 2.0, 3.0),
    )
    for rate in (1.0, 0.25):
        path = gdjax.descend(f, gauss_newton(rate), steps=4, dtype="float64")
        with jax.enable_x64(True):
            for here, there in zip(path.points, path.points[1:], strict=False):
                slopes = jax.jacfwd(f.residual_vector)(here)
                step = np.linalg.lstsq(slopes, f.residual_vector(here))[0]
                np.testing.assert_allclose(there, here - rate * step, rtol=1e-9)


def test_a_singular_jacobian_gives_the_shortest_step():
    f = gdjax.Objective(residuals=lambda p: jnp.stack([p[0] + p[1] - 2.0]), start=(3.0, 1.0))
    for method in METHODS.values():
        path = gdjax.descend(f, method, steps=8, dtype="float64")
        np.testing.assert_allclose(path.points[-1], [2.0, 0.0], atol=1e-9)


@pytest.mark.parametrize("rows", [2, 4, 9])
@pytest.mark.parametrize("radius", [1e-6, 0.1, 1.0, 1e6])
def test_the_step_is_the_lowest_point_within_the_radius(rows, radius):
    """By the conditions of Moré: (AᵀA + λ) δ = −Aᵀh with λ ≥ 0, and λ = 0 or ‖δ‖ = Δ."""
    with jax.enable_x64(True):
        slopes = np.random.default_rng(rows).normal(size=(rows, 4)) * [1, 10, 0.1, 3]
        height = np.random.default_rng(9).normal(size=rows)
        model = _Model.of(jnp.asarray(slopes), jnp.asarray(height))
        lowest, at_border = model.lowest(jnp.asarray(radius))
        step, foretold = np.asarray(lowest), float(model.fall(lowest))
    pull = -slopes.T @ (height + slopes @ step)  # λδ
    damping = pull @ step / (step @ step)
    np.testing.assert_allclose(pull, damping * step, atol=1e-8 * np.abs(slopes.T @ height).max())
    assert np.linalg.norm(step) <= radius * (1 + 1e-9)
    if at_border:
        assert np.linalg.norm(step) == pytest.approx(radius)
        assert damping > -1e-9
    fall = height @ height - np.sum((height + slopes @ step) ** 2)
    assert foretold == pytest.approx(fall, rel=1e-9)


def test_units_of_the_parameters_do_not_matter():
    units = np.array([1e6, 1e-5, 1e3])
    f = gdjax.Objective(
        residuals=lambda p, t, y: decay(p / units, t, y), start=units * [1, 1, 0],
        args=(TIMES, RATES),
    )  # fmt: skip
    paths = [
        np.asarray(gdjax.descend(g, "levenberg_marquardt", steps=9, dtype="float64").points)
        for g in (f, DECAY)
    ]
    np.testing.assert_allclose(paths[0] / units, paths[1], rtol=1e-6, atol=1e-9)


def test_the_value_never_rises_and_what_has_none_is_never_entered():
    f = gdjax.Objective(residuals=lambda p: jnp.log(p) - 3.0, start=(1e-3,))
    path = gdjax.descend(f, "levenberg_marquardt", steps=60)
    assert np.isfinite(path.values).all()
    assert (np.diff(path.values) <= 0).all()
    assert float(path.points[-1, 0]) == pytest.approx(np.exp(3), rel=1e-3)


def test_points_may_be_trees_and_sweeps_take_them_together():
    def residuals(p, t, y):
        return decay((p["a"], *p["rest"]), t, y)

    start = {"a": 1.0, "rest": np.array([1.0, 0.0])}
    f = gdjax.Objective(residuals=residuals, start=start, args=(TIMES, RATES))
    path = gdjax.descend(f, "levenberg_marquardt", steps=8, dtype="float64")
    plain = gdjax.descend(DECAY, "levenberg_marquardt", steps=8, dtype="float64")
    np.testing.assert_allclose(path.points["rest"][-1], plain.points[-1, 1:], rtol=1e-9)
    starts = [[1.0, 1.0, 0.0], [3.0, 0.5, 0.2], [0.1, 4.0, 1.0]]
    swept = gdjax.sweep(
        DECAY, levenberg_marquardt, starts, {"radius": [0.1, 1.0]}, 50, dtype="float64"
    )
    assert (swept.outcome == gdjax.Outcome.CONVERGED).all()
    np.testing.assert_allclose(
        swept.final_point, np.broadcast_to(by_scipy(DECAY, [1, 1, 0]), (3, 2, 3)), rtol=1e-6
    )
    assert swept.attrs["kernel_reason"].startswith("qr cannot be unrolled")
    assert swept.attrs["processors"] == 1  # two calls of LAPACK at once may wait for each other


def test_tries_are_counted_as_evaluations():
    bowl = gdjax.Objective(
        residuals=lambda p: jnp.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]]), domain=[(-3, 3)] * 2,
        minima=[(1, 1)], fmin=0.0,
    )  # fmt: skip
    found = gdjax.rank([bowl], ["levenberg_marquardt", "scipy.bfgs"], budget=60, seeds=3)
    print(found)


@pytest.mark.parametrize("method", METHODS)
def test_an_objective_without_residuals_is_refused_in_a_line(method):
    with pytest.raises(gdjax.ArgumentError, match=f"{method} needs an objective that is a sum of"):
        gdjax.descend("qfsp", method)


def test_an_objective_may_be_given_by_its_residuals_alone():
    assert float(DECAY((1.0, 1.0, 0.0))) == pytest.approx(np.sum((np.exp(-TIMES) - RATES) ** 2))
    assert DECAY.name == "decay"
    with pytest.raises(gdjax.ArgumentError, match="fn must be a function of a point, or residuals"):
        gdjax.Objective(start=(1.0,))
