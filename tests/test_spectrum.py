"""The spectrum of a Hessian by its products: held against the dense one, residuals included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matfree import decomp, funm, stochtrace

import gdjax
from gdjax import curvature

DRAWN = np.random.default_rng(0)
X, Y = DRAWN.normal(size=(50, 4)), np.eye(3)[DRAWN.integers(0, 3, 50)]


def init(key):
    first, second = jax.random.split(key)
    return {
        "w1": jax.random.normal(first, (4, 12)) / 2, "b1": jnp.zeros(12),
        "w2": jax.random.normal(second, (12, 3)) / 3, "b2": jnp.zeros(3),
    }  # fmt: skip


def loss(p, batch):
    hidden = jnp.tanh(batch[0] @ p["w1"] + p["b1"])
    logits = jax.nn.log_softmax(hidden @ p["w2"] + p["b2"])
    return -jnp.mean(jnp.sum(logits * batch[1], axis=1))


NET = gdjax.problem(loss, init=init, data=(X, Y))


@pytest.fixture(scope="module")
def dense():
    with jax.enable_x64(True):
        return np.asarray(jax.hessian(NET.cast(float).value)(jnp.asarray(NET.start)))


@pytest.mark.parametrize("dim", [1, 2, 7, 300])
def test_the_top_of_a_quadratic(dim):
    curvatures = np.geomspace(1e-3, 50, dim)
    turn = np.linalg.qr(DRAWN.normal(size=(dim, dim)))[0]
    matrix = turn * curvatures @ turn.T
    f = gdjax.Objective(fn=lambda p, m: p @ m @ p / 2, start=np.ones(dim), args=matrix)
    number = min(dim, 3)
    found = gdjax.sharpness(f, number=number, dtype="float64", tolerance=1e-9)
    np.testing.assert_allclose(found.values, curvatures[::-1][:number], rtol=1e-6)
    assert (found.residuals <= 1e-8 * curvatures[-1]).all()


def test_the_top_of_a_network_is_that_of_its_dense_hessian(dense):
    assert NET.dim == 99
    exact, vectors = np.linalg.eigh(dense)
    found = gdjax.sharpness(NET, number=4, dtype="float64")
    np.testing.assert_allclose(found.values, exact[::-1][:4], rtol=1e-6)
    assert abs(found.vectors[0] @ vectors[:, -1]) > 1 - 1e-6
    single = gdjax.sharpness(NET)
    assert abs(float(single) - exact[-1]) <= single.residuals[0] + 1e-5 * exact[-1]


def test_a_residual_says_how_far_an_eigenvalue_may_be(dense):
    exact = np.linalg.eigvalsh(dense)
    rough = curvature.top(lambda v: dense @ v, jnp.asarray(DRAWN.normal(size=99)), 6, 2)
    for value, residual, vector in zip(*map(np.asarray, rough), strict=True):
        assert np.abs(exact - value).min() <= residual + 1e-5
        assert residual > 1e-3  # six steps are too few, and it says so
        assert residual == pytest.approx(np.linalg.norm(dense @ vector - value * vector), rel=1e-3)


def test_with_a_preconditioner_it_is_that_of_the_preconditioned_hessian(dense):
    scale = np.geomspace(0.1, 10, 99)
    exact = np.linalg.eigvalsh(dense / np.sqrt(np.outer(scale, scale)))
    found = gdjax.sharpness(NET, preconditioner=scale, dtype="float64")
    assert float(found) == pytest.approx(exact[-1], rel=1e-6)
    tree = gdjax.sharpness(NET, preconditioner=NET.shaped(scale), dtype="float64")
    assert float(tree) == float(found)


@pytest.mark.parametrize("pieces", [2, 7, 50])
def test_data_in_pieces_have_the_hessian_of_the_whole(pieces):
    whole = gdjax.sharpness(NET, dtype="float64")
    found = gdjax.sharpness(NET, dtype="float64", pieces=pieces)
    np.testing.assert_allclose(found.values, whole.values, rtol=1e-9)


def test_density_and_trace_have_the_moments_of_the_spectrum(dense):
    exact = np.linalg.eigvalsh(dense)
    found = gdjax.spectral_density(NET, probes=64, num_steps=40, dtype="float64")
    np.testing.assert_allclose(found.weights.sum(axis=1), 1, rtol=1e-9)
    for power in (1, 2):
        moments = (found.weights * found.nodes**power).sum(axis=1)
        error = moments.std() / 8
        assert abs(moments.mean() - np.mean(exact**power)) < 4 * error
    at = np.linspace(exact[0] - 1, exact[-1] + 1, 4001)
    assert np.trapezoid(found.density(at), at) == pytest.approx(1, abs=1e-3)
    trace = gdjax.hessian_trace(NET, probes=200, dtype="float64")
    assert abs(trace.value - exact.sum()) < 4 * trace.error
    assert trace.error < 0.2 * abs(exact.sum())


def test_the_top_of_a_network_of_the_catalogue_is_that_of_its_dense_hessian():
    pytest.importorskip("sklearn")
    f = gdjax.objectives.get("iris_mlp")
    point = np.asarray(f.start) + DRAWN.normal(size=f.dim)
    with jax.enable_x64(True):
        matrix = np.asarray(jax.hessian(f.cast(float).value)(jnp.asarray(point, float)))
    exact = np.linalg.eigvalsh(matrix)[::-1]
    found = gdjax.sharpness(f, point, number=3, dtype="float64")
    np.testing.assert_allclose(found.values, exact[:3], rtol=1e-6)
    off = found.vectors @ matrix - found.values[:, None] * found.vectors
    floor = 1e-10 * exact[0]  # below it both are rounding
    np.testing.assert_allclose(found.residuals, np.linalg.norm(off, axis=1), rtol=1e-3, atol=floor)


BOUNDS = {  # the largest stable rate, times the sharpness; the momentum is 0.8
    "descent": (gdjax.gradient_descent, 2.0),
    "heavy ball": (lambda rate: gdjax.heavy_ball(rate, 0.8), 3.6),
    "nesterov": (lambda rate: gdjax.nesterov(rate, 0.8), 3.6 / 2.6),
}


@pytest.mark.parametrize("method", BOUNDS)
def test_on_a_quadratic_divergence_begins_at_the_rate_that_its_sharpness_allows(method):
    half = DRAWN.normal(size=(20, 20))
    matrix = half @ half.T / 20 + np.eye(20)
    f = gdjax.Objective(fn=lambda p, m: p @ m @ p / 2, start=np.ones(20), args=matrix)
    make, bound = BOUNDS[method]
    limit = bound / float(gdjax.sharpness(f, dtype="float64"))
    below, above = (
        float(gdjax.descend(f, make(factor * limit), steps=3000, dtype="float64").values[-1])
        for factor in (0.99, 1.01)
    )
    assert below < 1e-6
    assert above > 1e6


def test_density_is_that_of_matfree_from_the_same_vectors(dense):
    def vectors(seed):  # of length √d, as its samplers draw them
        keys = jax.random.split(jax.random.key(seed), 6)
        drawn = jax.vmap(lambda key: jax.random.normal(key, (99,), float))(keys)
        return drawn * np.sqrt(99) / jnp.linalg.norm(drawn, axis=1, keepdims=True)

    found = gdjax.spectral_density(NET, probes=6, num_steps=20, seed=7, dtype="float64")
    width = np.ptp(found.nodes) / 40
    with jax.enable_x64(True):
        lanczos = decomp.tridiag_sym(20, reortho="full")

        def theirs(place):
            curve = funm.dense_funm_sym_eigh(lambda x: jnp.exp(-(((x - place) / width) ** 2) / 2))
            form = funm.monte_carlo_funm_sym(curve, lanczos)
            estimate = stochtrace.estimator_monte_carlo(form, vectors)
            return estimate(lambda v: dense @ v, 7) / (99 * width * np.sqrt(2 * np.pi))

        at = np.linspace(found.nodes.min(), found.nodes.max(), 9)
        wanted = np.array([theirs(place) for place in at])
    np.testing.assert_allclose(found.density(at, width), wanted, rtol=1e-6, atol=1e-9)


def test_trace_is_that_of_matfree_within_its_error():
    pytest.importorskip("sklearn")
    f = gdjax.objectives.get("digits_mlp")
    ours = gdjax.hessian_trace(f, probes=100)
    value = f.cast(np.float32).value
    point = jnp.asarray(f.start, jnp.float32)
    estimate = stochtrace.estimator_monte_carlo_mean_and_sem(
        stochtrace.monte_carlo_trace(), stochtrace.sampler_signs(point, num=100)
    )
    mean, error = jax.jit(
        lambda key: estimate(lambda v: curvature.hessian_vector_product(value, point, v), key)
    )(jax.random.key(1))
    assert ours.error == pytest.approx(float(error), rel=0.4)  # of 100 numbers each
    assert abs(ours.value - float(mean)) < 4 * np.hypot(ours.error, float(error))
    assert ours.error < 0.1 * ours.value


def test_equal_eigenvalues_are_one_and_a_flat_place_has_none():
    found = gdjax.sharpness(lambda p: p @ p, np.ones(40), 5)
    assert found.values.round(4).tolist() == [2.0]
    assert float(gdjax.sharpness(lambda p: p.sum(), np.ones(3))) == 0


BAD = {
    "pieces=2 needs a loss over rows": lambda: gdjax.sharpness("qfsp", pieces=2),
    "pieces must be at most 50": lambda: gdjax.sharpness(NET, pieces=51),
    "needs a loss that is a mean over rows": lambda: gdjax.sharpness(
        gdjax.problem(lambda p, x: jnp.sum((x @ p) ** 2), init=np.ones(4), data=X), pieces=5
    ),
    "preconditioner must be positive": lambda: gdjax.sharpness("qfsp", preconditioner=[1, 0]),
    "preconditioner must have 2": lambda: gdjax.sharpness("qfsp", preconditioner=[1, 1, 1]),
    "number must be at most 2": lambda: gdjax.sharpness("qfsp", number=3),
    "a finite Hessian": lambda: gdjax.sharpness(lambda p: jnp.sqrt(p).sum(), [0.0, 1.0]),
    "tolerance must be positive": lambda: gdjax.sharpness("qfsp", tolerance=0),
}


@pytest.mark.parametrize("words", BAD)
def test_what_has_no_spectrum_is_refused_in_one_line(untyped, words):
    with pytest.raises(gdjax.ArgumentError) as refused:
        BAD[words]()
    assert words in str(refused.value), refused.value
