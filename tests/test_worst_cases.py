import jax.numpy as jnp
import numpy as np
import pytest

import gdjax
from gdjax import Outcome, objectives, optimizers

CYCLE = np.array([2592, 792, -2208]) / 1225


@pytest.mark.parametrize("start", [3.06, 3.07, 3.2, 3.46, 3.47])
def test_heavy_ball_tuned_for_quadratics_cycles_between_three_points(start):
    path = gdjax.descend(
        objectives.get("lessard_heavy_ball"),
        gdjax.heavy_ball(1 / 9, 4 / 9), (start,), steps=600, dtype="float64",
    )  # fmt: skip
    if 3.07 <= start <= 3.46:
        assert path.outcome == Outcome.MAX_STEPS
        np.testing.assert_allclose(sorted(path.points[-3:, 0]), sorted(CYCLE), rtol=1e-9)
    else:
        assert path.outcome == Outcome.CONVERGED


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_plain_descent_attains_its_worst_case_bound(steps):
    f = objectives.get("huber_worst_gd", steps=steps)
    path = gdjax.descend(f, gdjax.gradient_descent(1.0), steps=steps, dtype="float64")
    assert path.values[-1] == pytest.approx(1 / (4 * steps + 2), rel=1e-12)


@pytest.mark.parametrize("name", ["gradient_descent", "heavy_ball", "nesterov"])
def test_no_method_of_first_order_beats_the_lower_bound(name):
    steps = 6
    f = objectives.get("nesterov_worst", dim=2 * steps + 1)
    path = gdjax.descend(f, getattr(gdjax, name)(0.9), steps=steps, dtype="float64")
    distance = np.sum(np.square(f.minima[0]))
    assert float(path.values[-1]) - f.fmin >= 3 * distance / (32 * (steps + 1) ** 2)
    assert (np.asarray(path.points)[-1, steps:] == 0).all()  # a step reaches one dimension further


@pytest.mark.parametrize("curvature", [0.5, 4.0, 15.0])
def test_nesterov_on_an_eigenvalue_is_heavy_ball_with_less_momentum(curvature):
    f = gdjax.Objective(name="bowl", fn=lambda p: curvature / 2 * jnp.sum(p**2), domain=[(-2, 2)])
    rate, momentum = 0.1, 0.8
    ahead = optimizers.nesterov_textbook(rate, momentum)
    ball = gdjax.heavy_ball(rate, momentum * abs(1 - rate * curvature))
    if rate * curvature > 1:  # a negative momentum, which heavy_ball refuses
        ball = optimizers.Optimizer(
            ball.factory, {**ball.hyperparameters, "momentum": momentum * (1 - rate * curvature)}
        )
    a, b = (gdjax.descend(f, o, (1.0,), steps=40, dtype="float64").points for o in (ahead, ball))
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-14)
