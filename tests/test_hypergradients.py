import numpy as np
import optax
import pytest

import gdjax
from gdjax._inputs import as_starts
from gdjax import objectives, optimizers

QFSP = objectives.get("qfsp")


@pytest.mark.parametrize("gradient", ["autodiff", "hand"])
def test_the_derivative_is_the_difference_quotient(gradient):
    def final(rate, momentum):
        optimizer = gdjax.heavy_ball(rate, momentum)
        path = gdjax.descend(QFSP, optimizer, steps=10, gradient=gradient, precision="float64")
        return float(path.values[-1])

    optimizer = gdjax.heavy_ball(0.02, 0.5)
    found = gdjax.hypergradient(QFSP, optimizer, steps=10, gradient=gradient)
    assert found.value == pytest.approx(final(0.02, 0.5), rel=1e-14)
    assert not found.unreliable
    h = 1e-6  # central: the error is h² f‴ and rounding over h, both below 1e-7 here
    slopes = [(final(0.02 + h, 0.5) - final(0.02 - h, 0.5)) / (2 * h)]
    slopes += [(final(0.02, 0.5 + h) - final(0.02, 0.5 - h)) / (2 * h)]
    np.testing.assert_allclose(list(found.gradient.values()), slopes, rtol=1e-6)


def test_any_traced_number_can_be_chosen_and_by_default_a_schedules_first_one():
    rate = {"schedule": "linear_schedule", "init_value": 0.05, "end_value": 0.01}
    adam = optimizers.get("adam", learning_rate=rate | {"transition_steps": 9})
    assert set(gdjax.hypergradient(QFSP, adam, steps=5).gradient) == {
        "learning_rate.init_value",
        "learning_rate.end_value",
    }
    assert set(gdjax.hypergradient(QFSP, adam, steps=5, of=("b1",)).gradient) == {"b1"}


def test_a_chaotic_path_warns_and_shows_how_far_displacements_grow():
    with pytest.warns(RuntimeWarning, match="the path is chaotic, a displacement of its start"):
        found = gdjax.hypergradient(QFSP, gdjax.heavy_ball(0.1, 0.95), steps=100)
    assert found.growth > 1e6
    assert abs(found.gradient["learning_rate"]) > 1e3 * abs(found.difference["learning_rate"])
    assert "chaotic" in str(found)


def test_a_lost_path_warns_too():
    with pytest.warns(RuntimeWarning, match="ends nowhere finite"):
        gdjax.hypergradient(objectives.get("rosenbrock"), gdjax.heavy_ball(1.0), steps=50)


def test_tuning_is_as_good_as_theory_on_a_quadratic():
    # Heavy ball on eigenvalues 1…κ is fastest in the long run at α = 4/(√κ + 1)², μ = ρ².
    f = objectives.get("ill_conditioned_quadratic", kappa=25.0)
    theory = gdjax.heavy_ball(4 / 6**2, (4 / 6) ** 2)
    tuned = gdjax.tune_by_gradient(f, gdjax.heavy_ball(0.01, 0.2), 3, 40, rounds=80)
    losses = [
        np.mean(
            [
                np.log(float(gdjax.descend(f, o, start, 40, precision="float64").values[-1]))
                for start in as_starts(f, 3, 0)
            ]
        )
        for o in (tuned.optimizer, theory)
    ]
    assert losses[0] == pytest.approx(np.min(tuned.losses), abs=1e-6)
    assert tuned.losses[0] > losses[1] + 10
    assert losses[0] < losses[1] + 1
    assert tuned.unreliable == 0


def test_a_round_that_diverges_is_taken_back():
    tuned = gdjax.tune_by_gradient(
        objectives.get("sphere"), gdjax.gradient_descent(0.9), 2, 200, rounds=30, rate=1.5
    )
    assert np.isfinite(tuned.losses[0])
    assert 0 < tuned.optimizer.hyperparameters["learning_rate"] < 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: gdjax.hypergradient(QFSP, optax.adam(0.1)),
            "optimizer must be made by gdjax, such as gdjax.optimizers.get('adam'",
        ),
        (
            lambda: gdjax.hypergradient(QFSP, gdjax.heavy_ball(0.1), of=("momentun",)),
            "unknown hyperparameter of heavy_ball 'momentun'; did you mean 'momentum'?",
        ),
        (
            lambda: gdjax.hypergradient(
                QFSP, optimizers.get("lbfgs", learning_rate=0.1), of=("memory_size",)
            ),
            "memory_size of lbfgs cannot be traced",
        ),
        (
            lambda: gdjax.hypergradient(QFSP, gdjax.heavy_ball(0.1), steps=0),
            "steps must be at least 1, got 0",
        ),
        (
            lambda: gdjax.tune_by_gradient(QFSP, gdjax.heavy_ball(0.1, 0.0)),
            "momentum must lie between 0 and 1 to be tuned, got 0",
        ),
        (
            lambda: gdjax.tune_by_gradient(
                objectives.get("rosenbrock"), gdjax.heavy_ball(9.0), rounds=2
            ),
            "starts must let heavy_ball(learning_rate=9, momentum=0.9) end at a finite value",
        ),
    ],
)
def test_bad_calls_say_what_is_wrong(untyped, call, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        call()
    assert message in str(caught.value)
