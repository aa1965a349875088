import jax
import numpy as np
import optax
import pytest

import gdjax
from gdjax import objectives, optimizers

QFSP = objectives.get("qfsp")


def sgd(rate=0.05, **given):
    return optimizers.get("sgd", learning_rate=rate, **{"momentum": 0.9} | given)


ball, ahead = gdjax.heavy_ball(0.05), gdjax.nesterov(0.05)
EMA = optax.chain(optax.ema(0.9, debias=False), optax.scale(-0.5))
PAIRS = {
    "heavy ball": (ball, sgd(), "a remembers steps, b gradients", True),
    "heavy ball, raw optax": (ball, optax.sgd(0.05, momentum=0.9), "b gradients", None),
    "nesterov": (ahead, sgd(nesterov=True), "a remembers steps, b gradients", True),
    "average": (ball, optimizers.averaged_momentum(0.05), "learning rate × (1 − β)", True),
    "average, the other way": (optimizers.averaged_momentum(0.05), ball, "× 1/(1 − β)", True),
    "average, as fast": (ball, EMA, "b averaged gradients", None),
    "textbook": (ahead, optimizers.nesterov_textbook(0.05), "look-ahead points", False),
    "rate": (ball, gdjax.heavy_ball(0.1), "learning rate × 2", False),
    "plain": (gdjax.gradient_descent(0.05), sgd(momentum=None), "same method", False),
    "history": (optax.nadam(0.05), optax.adam(0.05, nesterov=True), "same method", None),
}


@pytest.mark.parametrize(
    ("name", "precision"),
    [(name, "float64") for name in PAIRS] + [(name, "float32") for name in list(PAIRS)[::3]],
)
def test_one_method_in_two_conventions_is_found_out(name, precision):
    a, b, words, parts = PAIRS[name]
    report = gdjax.certify_equivalence(a, b, QFSP, 2, 30, precision=precision)
    assert report.same
    assert words in report.verdict
    assert report.trials[0].ulps <= 3
    assert report.trials[0].drift_step == -1
    assert report.trials[0].forced == ("history" if name == "history" else "state")
    if parts is None:  # there is no learning rate to put a schedule into
        assert len(report.trials) == 1
        return
    assert ("different under a schedule" in report.verdict) == parts
    assert report.trials[1].same != parts
    if parts:
        assert "the schedule changes what the past is worth" in str(report)
        assert report.trials[1].drift_step > 0


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        (ball, ahead, "weigh a new gradient differently"),
        (ball, sgd(momentum=0.8), "a keeps 0.9 of its memory a step, b 0.8"),
        (ball, gdjax.heavy_ball(0.05, 0.9 * (1 + 1e-13)), ""),
        (optax.adam(0.05), optax.adam(0.05, b2=0.99), ""),
        (ball, optax.adam(0.05), ""),
    ],
)
def test_different_methods_are_told_apart(a, b, reason):
    report = gdjax.certify_equivalence(a, b, QFSP, 2, 30, schedule=False)
    assert report.verdict == "different"
    assert reason in report.trials[0].reason


def test_chaos_and_the_certificate_see_different_things():
    # 200 chaotic steps from one rounding: the free runs part, and yet the method is one.
    report = gdjax.certify_equivalence(
        gdjax.heavy_ball(0.3, 0.95), sgd(0.3, momentum=0.95), QFSP, 1, 200, schedule=False
    )
    (trial,) = report.trials
    assert trial.same
    assert trial.ulps <= 3
    assert trial.drift_step > 20


def test_the_unit_is_that_of_the_largest_number_added_up():
    # At 1e6 from the origin a step of 1e-4 is known to 1e-10 only: that is one unit, no error.
    f = gdjax.Objective(
        name="far", fn=lambda p: ((p - 1e6) ** 2).sum() * 1e-3, domain=[(1e6 - 1, 1e6 + 1)]
    )
    report = gdjax.certify_equivalence(ball, sgd(), f, [(1e6 + 0.5,)], 20, schedule=False)
    assert report.same
    assert report.trials[0].ulps <= 2
    broken = jax.tree_util.Partial(lambda g, s, p=None: (g * -0.05 * (1 + 1e-5), s))
    report = gdjax.certify_equivalence(
        gdjax.gradient_descent(0.05), optax.GradientTransformation(lambda p: (), broken), QFSP, 1
    )
    assert report.trials[0].factor == pytest.approx(1 + 1e-5)
    assert "learning rate × 1.00001" in report.verdict


def test_a_lost_path_ends_where_it_is_not_finite():
    report = gdjax.certify_equivalence(
        gdjax.heavy_ball(50.0), sgd(50.0), objectives.get("monkey_saddle"), 2, 30, schedule=False
    )
    assert 0 < report.trials[0].steps < 60
    assert report.same
    assert np.isfinite(report.trials[0].ulps)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"starts": 0}, "starts must be at least 1, got 0"),
        ({"starts": []}, "starts must name at least one point, got none"),
        ({"starts": [(1, 2, 3)]}, "starts must have 2 components, as qfsp has, got 3"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"precision": "float16"}, "unknown precision 'float16'"),
    ],
)
def test_bad_calls_say_what_is_wrong(untyped, arguments, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        gdjax.certify_equivalence(ball, sgd(), QFSP, **arguments)
    assert message in str(caught.value)
