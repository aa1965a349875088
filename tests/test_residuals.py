"""Residuals: where an objective is a sum of squares, and what follows them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import least_squares

import gdjax
from gdjax import objectives
from gdjax._inputs import default_dtype

NAMES = [name for name in objectives.names() if objectives.get(name).residuals]
# A singular Jacobian at the start; one at the minimum; dozens of minima; residuals that stay large.
SHORT = {"beale", "powell_singular", "kowalik_osborne", "jennrich_sampson"}


def every(names):
    return [
        pytest.param(name, marks=[] if name in SHORT else pytest.mark.full, id=name)
        for name in names
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_squares_of_the_residuals_add_up_to_the_value(name):
    f = objectives.get(name)
    with default_dtype("float64"):
        low, high = np.asarray(f.domain).T
        points = np.random.default_rng(0).uniform(low, high, (20, f.dim))
        values, residuals = jax.jit(jax.vmap(lambda p: (f.value(p), f.residual_vector(p))))(points)
        assert residuals.ndim == 2
        assert np.isfinite(residuals).all()
        np.testing.assert_allclose(np.sum(residuals**2, axis=1), values, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_their_slopes_are_finite_where_a_formula_may_divide_by_zero(name):
    f = objectives.get(name)
    with default_dtype("float64"):
        points = jnp.array([np.zeros(f.dim), f.start, *f.known_minima])

        def slopes(point):
            jacobian = jax.jacfwd(f.residual_vector)(point)
            return 2 * f.residual_vector(point) @ jacobian, f.value_and_gradient("hand")(point)[1]

        by_residuals, by_hand = jax.jit(jax.vmap(slopes))(points)
        scale = 1e-12 * (1 + abs(by_hand).max())
        np.testing.assert_allclose(by_residuals, by_hand, rtol=1e-9, atol=scale)


@functools.cache
def descended(name):
    """Where Levenberg-Marquardt comes to rest from the customary start: point, value."""
    path = gdjax.descend(name, gdjax.levenberg_marquardt(), steps=300, dtype="float64")
    assert (np.diff(path.values) <= 0).all()  # it takes no step up
    return np.asarray(path.points[-1]), float(path.values[-1])


def cosine(f, point):
    """The largest cosine between the residuals and a column of their Jacobian; 0 where both are."""
    residuals = np.asarray(f.residual_vector(point))
    jacobian = np.asarray(jax.jacfwd(f.residual_vector)(point))
    lengths = np.linalg.norm(jacobian, axis=0) * np.linalg.norm(residuals)
    return np.max(abs(residuals @ jacobian) / np.where(lengths > 0, lengths, 1))


@pytest.mark.parametrize("name", every(NAMES))
def test_levenberg_marquardt_comes_to_a_stationary_point(name):
    f, (point, value) = objectives.get(name), descended(name)
    with default_dtype("float64"):
        lowest = f.minimum_values.min() if f.minimum_values.size else -np.inf
        level = abs(f.value_and_gradient()(jnp.asarray(point))[1]).max() < 1e-5
        assert value <= lowest * (1 + 1e-6) + 1e-12 or level or cosine(f, point) < 1e-6


@pytest.mark.parametrize("name", every(NAMES))
def test_scipy_finds_the_same_minimum(name):
    f, (point, value) = objectives.get(name), descended(name)
    with default_dtype("float64"):
        residuals, jacobian = jax.jit(f.residual_vector), jax.jit(jax.jacfwd(f.residual_vector))
        start, n = np.array(f.start, float), residuals(jnp.asarray(f.start, float)).size
        found = least_squares(
            lambda p: np.array(residuals(p)), start, lambda p: np.array(jacobian(p)),
            method="lm" if n >= f.dim else "trf", x_scale="jac", max_nfev=2000,
            ftol=1e-14, xtol=1e-14, gtol=1e-14,
        )  # fmt: skip
    near = np.abs(found.x - point) <= 1e-3 * f.width
    if near.all():
        assert value == pytest.approx(2 * found.cost, rel=1e-6, abs=1e-12)
    else:  # another one, and of neither can be said that it is the better method's
        assert name not in SHORT, (point, found.x)
