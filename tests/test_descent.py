import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax
from gdjax import Outcome, objectives
from gdjax._descent import trajectory

QFSP = objectives.get("qfsp")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_plain_descent_on_the_sphere_is_the_closed_form(dtype):
    path = gdjax.descend(
        objectives.get("sphere"), gdjax.gradient_descent(0.1), (8, 8), 20, dtype=dtype
    )
    expected = 8 * 0.8 ** np.arange(21)
    assert path.points.shape == (21, 2)
    assert path.points.dtype == dtype
    tolerance = 21 * float(jnp.finfo(dtype).eps)  # one rounding a step
    np.testing.assert_allclose(path.points, np.stack([expected] * 2, axis=1), rtol=tolerance)
    np.testing.assert_allclose(path.values, 2 * expected**2, rtol=2 * tolerance)


@pytest.mark.parametrize("gradient", ["autodiff", "hand"])
def test_momentum_escapes_the_local_minimum_that_traps_plain_descent(gradient):
    plain = gdjax.descend(QFSP, gdjax.heavy_ball(0.1, 0.0), steps=300, gradient=gradient)
    ball = gdjax.descend(QFSP, gdjax.heavy_ball(0.1, 0.9), steps=300, gradient=gradient)
    assert plain.values[-1] == pytest.approx(10.167907781, abs=1e-4)
    assert ball.values[-1] == pytest.approx(-5.904491671, abs=1e-4)
    assert plain.outcome == ball.outcome == Outcome.CONVERGED
    assert plain.minimum >= len(QFSP.minima) > ball.minimum >= 0


def test_how_many_momenta_escape():
    reached = [
        int(
            gdjax.descend(QFSP, gdjax.heavy_ball(0.1, m / 100), steps=1000, dtype="float64").minimum
        )
        for m in range(96)
    ]
    assert sum(0 <= minimum < 2 for minimum in reached) == 70


def test_new_numbers_never_recompile():
    f = objectives.get("sphere", dim=7)
    for optimizer in (gdjax.gradient_descent(0.1), gdjax.heavy_ball(0.1), gdjax.nesterov(0.1)):
        gdjax.descend(f, optimizer, steps=5)
    adam = gdjax.optimizers.get("adam", learning_rate=0.1)
    gdjax.descend(f, adam, steps=5)
    compiled = trajectory._descend._cache_size()
    for rate in (0.2, 0.3):
        gdjax.descend(f, gdjax.gradient_descent(rate), np.full(7, rate), 5)
        gdjax.descend(f, gdjax.heavy_ball(rate, momentum=rate), np.full(7, rate), 5)
        gdjax.descend(f, gdjax.nesterov(rate, momentum=rate), list(range(7)), 5)
        gdjax.descend(f, gdjax.optimizers.get("adam", learning_rate=rate, b1=rate), steps=5)
    assert trajectory._descend._cache_size() == compiled


@pytest.mark.parametrize("optimizer", [optax.lbfgs(), optax.polyak_sgd(1.0), optax.adam(0.5)])
def test_any_optax_optimizer_works_the_value_and_the_line_search_included(optimizer):
    path = gdjax.descend(objectives.get("sphere"), optimizer, steps=200)
    assert path.values[-1] < 1e-3


def test_an_overflow_is_lost_and_a_value_of_nan_ends_what_is_finite():
    far = gdjax.descend(objectives.get("sphere"), gdjax.gradient_descent(1e30), (1, 2), 300)
    assert far.outcome == Outcome.DIVERGED
    holed = gdjax.Objective(
        name="log", fn=lambda p: jnp.log(p[0]) + p[1] ** 2, domain=[(0.1, 5), (-2, 2)]
    )
    path = gdjax.descend(holed, gdjax.gradient_descent(2.0), (1.0, 0.25), 10)
    assert path.outcome == Outcome.NONFINITE
    assert path.finite == 1  # the second point is finite, but its value is not
    assert str(path) == "nonfinite after 10 steps: f(1, 0.25) = 0.0625"
    whole = gdjax.descend(objectives.get("sphere"), gdjax.gradient_descent(0.25), (1, 2), 2)
    assert whole.finite == 3
    assert str(whole) == "max_steps after 2 steps: f(0.25, 0.5) = 0.3125"
    nowhere = whole._replace(values=np.full(3, np.nan))
    assert (nowhere.finite, str(nowhere)) == (0, "max_steps after 2 steps: f(1, 2) = nan")


def test_the_saddle_at_the_origin_is_no_minimum():
    path = gdjax.descend(QFSP, gdjax.gradient_descent(0.1), (0, 0), 300)
    assert (path.outcome, path.minimum) == (Outcome.SADDLE, -1)


def test_the_final_value_can_be_differentiated_in_the_hyperparameters():
    def final(rate, momentum):
        return gdjax.descend(QFSP, gdjax.heavy_ball(rate, momentum), steps=5).values[-1]

    with jax.enable_x64(True):
        slopes = jax.grad(final, argnums=(0, 1))(0.02, 0.5)
        for i, slope in enumerate(slopes):
            h = np.eye(2)[i] * 1e-6
            difference = (final(0.02 + h[0], 0.5 + h[1]) - final(0.02 - h[0], 0.5 - h[1])) / 2e-6
            assert float(slope) == pytest.approx(float(difference), rel=1e-6)


def test_a_descent_inside_a_jit_leaves_nothing_of_it_behind():
    ball, start = gdjax.heavy_ball(0.0321, 0.87), jnp.array([7.11, 6.97])  # numbers not met yet
    with jax.checking_leaks():
        inside = jax.jit(lambda x: gdjax.descend(QFSP, ball, x, 20).values)(start)
    np.testing.assert_allclose(gdjax.descend(QFSP, ball, start, 20).values, inside, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": (1, 2, 3)}, "start must have 2 components, as qfsp has, got 3"),
        ({"start": (1, float("inf"))}, "start must be finite"),
        ({"start": "here"}, "start must be a list of 2 numbers"),
        ({"steps": -1}, "steps must be a whole number, at least 0, got -1"),
        ({"gradient": "had"}, "unknown gradient 'had'; did you mean 'hand'?"),
        ({"dtype": "float23"}, "unknown dtype 'float23'; did you mean 'float32'"),
    ],
)
def test_bad_calls_say_what_is_wrong(untyped, arguments, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        gdjax.descend(QFSP, gdjax.heavy_ball(0.1), **arguments)
    assert message in str(caught.value)


def test_a_path_larger_than_memory_is_refused():
    with pytest.raises(ValueError, match=r"steps must be few enough .* 2,147,483,647 steps"):
        gdjax.descend(objectives.get("sphere"), gdjax.gradient_descent(0.1), steps=2**31 - 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_path_asks_for_twice_the_memory_of_its_points_and_values(monkeypatch, dtype):
    f, steps = objectives.get("sphere"), 60_000

    def free(count):
        monkeypatch.setattr(trajectory, "available_memory", lambda: count)
        return gdjax.descend(f, gdjax.gradient_descent(0.1), steps=steps, dtype=dtype)

    path = free(10**9)
    need = 2 * (path.points.nbytes + path.values.nbytes)
    assert need > 2**20  # of less nobody asks
    free(int(need / 0.8) + 1)
    with pytest.raises(gdjax.ArgumentError, match=r"60,000 steps need (1\.44|2\.88) MB"):
        free(int(need / 0.8) - 1)
    steps = 100
    assert free(0).points.shape == (101, 2)


@pytest.mark.parametrize("steps", [True, 1.0, "3"])
def test_steps_are_a_whole_number(untyped, steps):
    with pytest.raises(gdjax.ArgumentError, match="steps must be a whole number, at least 0"):
        gdjax.descend(QFSP, gdjax.gradient_descent(0.1), steps=steps)
