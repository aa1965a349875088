import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax
from gdjax import objectives, optimizers, theory

METHODS = ("gradient_descent", "heavy_ball", "nesterov")
SPECTRUM = np.array([1.0, 3.0, 40.0, 100.0])


def iteration_matrix(method, hessian, learning_rate, momentum):
    """One step on a quadratic, probed column by column: (x, v) → (x, v), with gdjax's own rule."""
    hyperparameters = {"momentum": momentum} if method != "gradient_descent" else {}
    rule = optimizers.get(method, learning_rate=learning_rate, **hyperparameters)
    d = len(hessian)
    with jax.enable_x64(True):
        template = rule.init(jnp.zeros(d))

        def step(both):
            state = jax.tree.map(lambda _: both[d:], template)
            updates, state = rule.update(hessian @ both[:d], state)
            velocity = jax.tree.leaves(state)
            return jnp.concatenate([both[:d] + updates, velocity[0] if velocity else both[d:] * 0])

        return np.asarray(jax.jacobian(step)(jnp.ones(2 * d)))


@pytest.mark.parametrize(
    ("method", "momentum"),
    [("gradient_descent", 0.0), *itertools.product(["heavy_ball", "nesterov"], [0.0, 0.3, 0.9])],
)
def test_the_radius_is_that_of_the_optimizers_own_step(method, momentum):
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    hessian = turn @ np.diag(SPECTRUM) @ turn.T
    for learning_rate in (1e-3, 0.013, 0.05):
        matrix = iteration_matrix(method, hessian, learning_rate, momentum)
        expected = np.abs(np.linalg.eigvals(matrix)).max()
        for curvatures in (SPECTRUM, hessian):
            radius = theory.spectral_radius(method, curvatures, learning_rate, momentum)
            np.testing.assert_allclose(radius, expected, rtol=1e-7)  # a double root costs √eps


@pytest.mark.parametrize("method", METHODS)
def test_the_radius_is_one_at_the_limit_and_crosses_it_there(method):
    momentum = np.array([0.0]) if method == "gradient_descent" else np.linspace(0, 0.99, 34)
    limit = theory.stability_limit(method, 100.0, momentum)
    for factor, low, high in [(1, 1 - 1e-9, 1 + 1e-9), (0.999, 0, 1), (1.001, 1, 9)]:
        radius = theory.spectral_radius(method, SPECTRUM, factor * limit, momentum)
        assert ((radius > low) & (radius < high)).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("condition", [1.5, 40.0, 1e4])
def test_the_optimal_tuning_has_its_rate_and_nothing_beats_it(method, condition):
    best = theory.optimal(method, 1.0, condition)
    radius = theory.spectral_radius(method, [1.0, condition], best.learning_rate, best.momentum)
    np.testing.assert_allclose(radius, best.rate, rtol=1e-6)  # a double root costs √eps
    learning_rates = np.geomspace(best.learning_rate / 3, 3 * best.learning_rate, 200)[:, None]
    momenta = [0.0] if method == "gradient_descent" else np.linspace(0, 0.999, 200)
    others = theory.spectral_radius(method, [1.0, condition], learning_rates, momenta)
    assert others.min() >= best.rate - 1e-9
    plain = theory.optimal("gradient_descent", 1.0, condition).rate
    assert best.rate <= plain


def test_optimal_tunings_by_hand_for_condition_number_9():
    assert theory.optimal("gradient_descent", 2, 18) == (0.1, 0.0, 0.8)
    np.testing.assert_allclose(theory.optimal("heavy_ball", 2, 18), (1 / 8, 1 / 4, 1 / 2))
    root = 28**0.5
    np.testing.assert_allclose(
        theory.optimal("nesterov", 2, 18), (1 / 14, (root - 2) / (root + 2), 1 - 2 / root)
    )


@pytest.mark.parametrize("method", ["heavy_ball", "nesterov"])
def test_the_measured_stability_boundary_is_the_predicted_one(method):
    """Bisected on condition number 100: stable means that 1,500 steps end below the start."""
    f = objectives.get("ill_conditioned_quadratic")
    momenta = np.append(np.linspace(0, 0.9, 10), [0.95, 0.99])
    build = getattr(gdjax, method)

    def last(learning_rate, momentum):
        path = gdjax.descend(f, build(learning_rate, momentum), (3.0, 2.0), 1500)
        return path.values[-1] / path.values[0]

    with jax.enable_x64(True):
        last = jax.jit(jax.vmap(last))
        low, high = np.zeros(len(momenta)), np.full(len(momenta), 5 / 100)
        for _ in range(10):  # 0.05 / 2¹⁰ is below half a per cent of the smallest limit
            middle = (low + high) / 2
            stable = np.asarray(last(middle, momenta)) < 1
            low, high = np.where(stable, middle, low), np.where(stable, high, middle)
    predicted = theory.stability_limit(method, 100.0, momenta)
    np.testing.assert_allclose((low + high) / 2, predicted, rtol=0.01)


def distances(f, optimizer, start, minimum, steps):
    path = gdjax.descend(f, optimizer, start, steps, dtype="float64")
    return np.linalg.norm(np.asarray(path.points) - np.asarray(minimum), axis=1)


@functools.cache
def polished(f):
    """The first minimum of the catalogue to the last bit, by Newton's method."""
    newton = jax.jit(lambda x: x - jnp.linalg.solve(jax.hessian(f.fn)(x), jax.grad(f.fn)(x)))
    with jax.enable_x64(True):
        return np.asarray(newton(newton(jnp.asarray(f.minima[0], dtype=float))))


@pytest.mark.parametrize("method", METHODS)
def test_optimally_tuned_descents_show_the_optimal_rate(method):
    """Within 2 % of −log ρ for plain descent; 25 % where k ρᵏ hides it (double roots)."""
    f = objectives.get("ill_conditioned_quadratic")
    best = theory.optimal(method, 1.0, 100.0)
    tuning = {"momentum": best.momentum} if method != "gradient_descent" else {}
    optimizer = optimizers.get(method, learning_rate=best.learning_rate, **tuning)
    measured = theory.measured_rate(distances(f, optimizer, (3.0, 2.0), (0.0, 0.0), 2000))
    tolerance = 0.02 if method == "gradient_descent" else 0.25
    np.testing.assert_allclose(np.log(measured), np.log(best.rate), rtol=tolerance)


@pytest.mark.parametrize(
    ("method", "momentum"),
    [("gradient_descent", 0.0), *itertools.product(["heavy_ball", "nesterov"], [0.5, 0.9])],
)
@pytest.mark.parametrize(
    "name", ["qfsp", *(pytest.param(n, marks=pytest.mark.full) for n in ("booth", "beale", "trid"))]
)
def test_descents_near_a_minimum_show_the_predicted_rate(name, method, momentum):
    """Within 2 % of −log ρ, 5 % with momentum: the tops of swings are met at whole steps only."""
    f = objectives.get(name)
    tuning = {} if method == "gradient_descent" else {"momentum": momentum}
    curvatures = theory.curvatures(f, f.minima[0])
    alpha = 0.2 * float(theory.stability_limit(method, curvatures[-1], **tuning))
    predicted = float(theory.local_rate(f, f.minima[0], method, alpha, **tuning))
    minimum = polished(f)
    start = minimum + 1e-3 * np.cos(np.arange(f.dim))
    steps = int(30 / -np.log(predicted)) + 50
    optimizer = optimizers.get(method, learning_rate=alpha, **tuning)
    measured = theory.measured_rate(distances(f, optimizer, start, minimum, steps))
    np.testing.assert_allclose(np.log(measured), np.log(predicted), rtol=0.05 if momentum else 0.02)


def test_curvatures_are_those_of_the_hand_derived_hessians():
    f = objectives.get("qfsp")
    x, y = f.minima[0]
    own = 2 - 10 * np.sin(x) * np.sin(y)
    mixed = 10 * np.cos(x) * np.cos(y)
    np.testing.assert_allclose(
        theory.curvatures(f, f.minima[0]), sorted([own - mixed, own + mixed]), rtol=1e-12
    )
    assert theory.curvatures(f, (0.0, 0.0))[0] < 0  # a saddle
    with pytest.raises(gdjax.ArgumentError, match="ackley has none at"):
        theory.curvatures(objectives.get("ackley"), (0.0, 0.0))


@pytest.mark.parametrize("rate", [0.3, 0.9, 0.999])
def test_a_rate_is_read_through_transient_swing_and_rounding(rate):
    """Within 2 % of −log ρ: some 4 decades are fitted, whatever else is in them."""
    steps = np.arange(int(45 / -np.log(rate)) + 60)
    swing = np.abs(np.cos(0.7 * steps)) * rate**steps
    transient = 100 * (rate**3) ** steps
    noise = 1e-13 * np.random.default_rng(0).uniform(size=steps.size)
    for errors in (rate**steps, transient + rate**steps, swing, swing + transient + noise):
        np.testing.assert_allclose(np.log(theory.measured_rate(errors)), np.log(rate), rtol=0.02)
    squared = theory.measured_rate(rate ** (2 * steps))
    np.testing.assert_allclose(squared, rate**2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.stability_limit("heavyball", 1.0), "did you mean 'heavy_ball'"),
        (lambda: theory.stability_limit("nesterov", -1.0), "curvature must be positive"),
        (lambda: theory.stability_limit("nesterov", 1.0, 1.0), r"momentum must lie in \[0, 1\)"),
        (lambda: theory.stability_limit("gradient_descent", 1.0, 0.5), "momentum must be 0"),
        (lambda: theory.optimal("nesterov", 2.0, 1.0), "0 < low <= high"),
        (lambda: theory.spectral_radius("nesterov", [[1.0, 2.0]], 0.1), "a matrix"),
        (lambda: theory.spectral_radius("nesterov", [[1.0, 2.0], [0, 1]], 0.1), "symmetric"),
        (lambda: theory.measured_rate(np.ones(50)), "at least 4 decades"),
        (lambda: theory.measured_rate(np.zeros(50)), "zeros alone"),
        (lambda: theory.measured_rate([1.0, np.nan]), "finite"),
    ],
)
def test_bad_calls_say_what_is_wrong(call, message):
    with pytest.raises(gdjax.ArgumentError, match=message):
        call()
