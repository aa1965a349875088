import jax
import numpy as np
import optax
import pytest

import gdjax
from gdjax import objectives, optimizers

OWN = {"gradient_descent": (), "heavy_ball": (0.8,), "nesterov": (0.8,)}


def recurrence(name, rates, momentum, start, gradient):
    """The three methods as a plain NumPy loop over the textbook's formulas."""
    x, v, path = np.array(start), np.zeros(len(start)), [np.array(start)]
    for rate in rates:
        v = momentum * v - rate * gradient(x)
        x = x + (momentum * v - rate * gradient(x) if name == "nesterov" else v)
        path.append(x)
    return np.array(path)


def qfsp_gradient(p):
    x, y = p
    return np.array([2 * x + 10 * np.cos(x) * np.sin(y), 2 * y + 10 * np.sin(x) * np.cos(y)])


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("schedule", [None, optax.exponential_decay(0.05, 5, 0.7)])
def test_descent_is_the_textbooks_recurrence(name, schedule):
    steps, start = 25, (7.11, 6.97)
    rates = [0.05 if schedule is None else float(schedule(k)) for k in range(steps)]
    momentum = 0.0 if name == "gradient_descent" else 0.8
    expected = recurrence(name, rates, momentum, start, qfsp_gradient)
    path = gdjax.descend(
        objectives.get("qfsp"),
        getattr(gdjax, name)(schedule or 0.05, *OWN[name]),
        start,
        steps,
        precision="float64",
    )
    # 25 steps of a chaotic map multiply rounding errors; float32 schedules cost 1e-7 more.
    np.testing.assert_allclose(path.points, expected, rtol=1e-11 if schedule is None else 1e-5)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (gdjax.gradient_descent(0.05), optax.sgd(0.05)),
        (gdjax.heavy_ball(0.05, 0.8), optax.sgd(0.05, momentum=0.8)),
        (gdjax.nesterov(0.05, 0.8), optax.sgd(0.05, momentum=0.8, nesterov=True)),
    ],
)
def test_a_constant_rate_makes_optax_the_same_method(ours, theirs):
    f = objectives.get("qfsp")
    a, b = (gdjax.descend(f, o, steps=20, precision="float64").points for o in (ours, theirs))
    np.testing.assert_allclose(a, b, rtol=1e-10)


def test_a_schedule_makes_optax_another_method():
    f, rate = objectives.get("sphere"), optax.piecewise_constant_schedule(0.1, {5: 0.1})
    a = gdjax.descend(f, gdjax.heavy_ball(rate, 0.9), steps=10).points
    b = gdjax.descend(f, optax.sgd(rate, momentum=0.9), steps=10).points
    np.testing.assert_allclose(a[:6], b[:6], rtol=1e-5)
    assert np.abs(a[-1] - b[-1]).max() > 0.1


@pytest.mark.parametrize("name", optimizers.names())
def test_every_optimizer_by_name_takes_a_step(name):
    known = optimizers.parameters(name)
    required = [k for k, v in known.items() if v is optimizers.REQUIRED and k != "learning_rate"]
    if name == "optimistic_adam":
        pytest.skip("optax has deprecated it")
    if required or name == "sophia":  # sophia needs the objective, given when it is made
        pytest.skip(f"{name} needs {required or 'obj_fn'}")
    optimizer = optimizers.get(name, learning_rate=0.1)
    path = gdjax.descend(objectives.get("sphere"), optimizer, (3.0, 2.0), steps=3)
    assert np.isfinite(path.points).all()
    assert not np.array_equal(path.points[0], path.points[-1])


def test_optimizers_work_on_any_pytree_as_optax_transformations():
    params = {"a": jax.numpy.ones(2), "b": [jax.numpy.zeros(())]}
    optimizer = gdjax.heavy_ball(0.1, 0.9)
    assert isinstance(optimizer, optax.GradientTransformationExtraArgs)
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    np.testing.assert_allclose(updates["a"], [-0.1, -0.1], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gdjax.heavy_ball(-0.1), "learning_rate must be positive and finite, got -0.1"),
        (
            lambda: gdjax.heavy_ball(float("nan")),
            "learning_rate must be positive and finite, got nan",
        ),
        (lambda: gdjax.nesterov(0.1, 1.0), "momentum must lie in [0, 1), got 1.0"),
        (lambda: optimizers.get("adm"), "unknown optimizer 'adm'; did you mean 'adam'"),
        (lambda: optimizers.get("adam"), "adam needs learning_rate"),
        (
            lambda: optimizers.get("heavy_ball", learning_rate=0.1, momentun=0.5),
            "unknown hyperparameter of heavy_ball 'momentun'; did you mean 'momentum'?",
        ),
    ],
)
def test_bad_hyperparameters_say_what_is_wrong(untyped, call, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        call()
    assert message in str(caught.value)
