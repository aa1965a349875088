import jax
import numpy as np
import optax
import pytest

import gdjax
from gdjax import descent, objectives, optimizers
from gdjax.optimizers import lookup

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


NO_POINT = {
    "dpsgd": "one gradient for each example",
    "lookahead": "a pair of points",
}


def example(name, learning_rate):
    """The optimizer with something for all that it requires."""
    known = optimizers.parameters(name)
    required = [key for key, default in known.items() if default is optimizers.REQUIRED]
    given = {key: {"name": "sgd", "learning_rate": learning_rate} for key in required}
    given = {key: node if "optimizer" in key else 1 for key, node in given.items()}
    rates = [key for key in known if key.endswith("learning_rate") and not key.startswith("adam_")]
    return optimizers.get(name, **given | {rates[0]: learning_rate} if rates else given)


@pytest.mark.filterwarnings("ignore:`optimistic_adam` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", optimizers.names())
def test_every_optimizer_by_name_takes_steps_or_says_why_not(name):
    if name in NO_POINT:
        with pytest.raises(gdjax.ArgumentError, match=NO_POINT[name]):
            example(name, 0.1)
        return
    path = gdjax.descend(objectives.get("sphere"), example(name, 0.1), (3.0, 2.0), steps=3)
    assert np.isfinite(path.points).all()
    assert not np.array_equal(path.points[0], path.points[-1])
    (recipe, numbers), (other, _) = (optimizers.split(example(name, rate)) for rate in (0.1, 0.2))
    assert 0.1 in numbers.values()
    assert recipe == other  # so that another learning rate does not recompile


def test_an_optimizer_that_a_new_optax_brings_appears(monkeypatch):
    def brand_new(learning_rate: float, zest: float = 0.5) -> optax.GradientTransformation:
        return optax.sgd(learning_rate * zest)

    caches = lookup._functions, lookup._optimizers
    monkeypatch.setattr(optax.contrib, "brand_new", brand_new, raising=False)
    try:
        for cache in caches:
            cache.cache_clear()
        assert optimizers.parameters("brand_new")["zest"] == 0.5
        assert optimizers.split(optimizers.get("brand_new", learning_rate=0.1))[1]["zest"] == 0.5
    finally:
        for cache in caches:
            cache.cache_clear()


def scheduled(init_value, decay_rate=0.5):
    rate = {"schedule": "exponential_decay", "init_value": init_value}
    rate |= {"transition_steps": 5, "decay_rate": decay_rate}
    return optimizers.get("heavy_ball", learning_rate=rate)


def test_a_schedule_from_a_config_is_optaxs_and_its_first_value_is_traced():
    f = objectives.get("sphere")
    theirs = gdjax.heavy_ball(optax.exponential_decay(0.05, 5, 0.5))
    expected = gdjax.descend(f, theirs, steps=9).points
    np.testing.assert_allclose(gdjax.descend(f, scheduled(0.05), steps=9).points, expected, 1e-6)
    compiled = descent._descend._cache_size()
    other = gdjax.descend(f, scheduled(0.1), steps=9).points
    assert descent._descend._cache_size() == compiled
    assert np.abs(other - expected).max() > 0.1
    assert "learning_rate.init_value" in optimizers.split(scheduled(0.1))[1]


def test_what_optax_decides_on_in_python_is_not_traced_and_says_so():
    f = objectives.get("sphere")
    recipes = [optimizers.split(scheduled(0.05, decay))[0] for decay in (0.5, 0.6)]
    assert recipes[0] != recipes[1]
    with pytest.raises(gdjax.ArgumentError, match=r"learning_rate\.decay_rate .* cannot be traced"):
        jax.grad(lambda rate: gdjax.descend(f, scheduled(0.05, rate), steps=2).values[-1])(0.5)


def test_a_sweep_runs_over_seeds_and_over_the_numbers_of_a_schedule():
    f, start = objectives.get("sphere"), [(3.0, 2.0)]
    axes = {"noise.seed": [0, 7], "learning_rate": [0.1, 0.2]}
    swept = gdjax.sweep(f, noisy(0, additive=1.0), starts=start, steps=9, hyperparameters=axes)
    one = optimizers.replace(noisy(7, additive=1.0), {"learning_rate": 0.2})
    expected = gdjax.descend(f, one, start[0], 9).values[-1]
    np.testing.assert_allclose(swept["final_value"].values[0, 1, 1], expected, rtol=1e-5)
    with pytest.raises(gdjax.ArgumentError, match=r"those that can are learning_rate\.init_value"):
        gdjax.sweep(
            f, scheduled(0.1), starts=start, hyperparameters={"learning_rate.decay_rate": [0.5]}
        )


def test_schedules_inside_schedules():
    halves = [{"schedule": "constant_schedule", "value": value} for value in (0.1, 0.2)]
    rate = optimizers.schedules.get("join_schedules", schedules=halves, boundaries=[2])
    assert [round(float(rate(k)), 6) for k in range(4)] == [0.1, 0.1, 0.2, 0.2]
    numbers = optimizers.split(gdjax.gradient_descent(rate))[1]
    assert set(numbers) == {f"learning_rate.schedules.{i}.value" for i in range(2)}


def test_clipping_limits_every_step():
    clip = {"name": "clip", "max_delta": 0.5}
    optimizer = optimizers.get("gradient_descent", learning_rate=0.1, transforms={"clip": clip})
    path = gdjax.descend(objectives.get("sphere"), optimizer, (8.0, 0.1), steps=5).points
    np.testing.assert_allclose(np.diff(path[:, 0]), -0.05, rtol=1e-5)
    np.testing.assert_allclose(path[1, 1], 0.1 * 0.8, rtol=1e-5)
    assert optimizers.split(optimizer)[1]["clip.max_delta"] == 0.5


def noisy(seed, **noise):
    noise = optimizers.gradient_noise(seed=seed, **noise)
    return optimizers.chain(gdjax.gradient_descent(0.1), noise=noise)


def test_noise_is_reproducible_by_seed_and_runs_under_vmap():
    f = objectives.get("sphere")
    first, again, other = (
        gdjax.descend(f, noisy(seed, additive=1.0), steps=5).points for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    compiled = descent._descend._cache_size()
    gdjax.descend(f, noisy(5, additive=0.5), steps=5)
    assert descent._descend._cache_size() == compiled
    many = jax.vmap(lambda seed: gdjax.descend(f, noisy(seed, additive=1.0), steps=5).points)
    np.testing.assert_allclose(many(np.array([4, 3]))[1], first, rtol=1e-5)


def test_the_spread_of_stochastic_descent_is_the_closed_form():
    # On x² a step is x ← (1 − 2α) x − α a ξ, an AR(1) process of variance α² a²/(1 − (1 − 2α)²).
    f, seeds = objectives.get("parabola"), np.arange(4000)
    ends = jax.vmap(
        lambda s: gdjax.descend(f, noisy(s, additive=2.0), (0.0,), steps=60).points[-1, 0]
    )(seeds)
    expected = 0.1 * 2 / np.sqrt(1 - 0.8**2)
    assert np.std(ends) == pytest.approx(expected, rel=0.05)  # 4 standard errors of 1/√8000
    relative = gdjax.descend(f, noisy(0, relative=0.5), (1.0,), steps=200)
    assert relative.values[-1] < 1e-6  # fades with the gradient


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
            "'momentun'; did you mean 'momentum'?; it takes learning_rate, momentum",
        ),
        (
            lambda: optimizers.get("adam", learning_rate=0.1, b1="big"),
            "b1 must be a number, got 'big'",
        ),
        (
            lambda: optimizers.get("adam", learning_rate={"schedule": "exponential_decey"}),
            "unknown schedule 'exponential_decey'; did you mean 'exponential_decay'",
        ),
        (
            lambda: optimizers.transform("clip_by_global_nrm"),
            "unknown transform 'clip_by_global_nrm'; did you mean 'clip_by_global_norm'",
        ),
        (
            lambda: optimizers.chain(gdjax.heavy_ball(0.1), momentum=optax.clip(1.0)),
            "a transformation cannot be labelled 'momentum'",
        ),
        (
            lambda: optimizers.gradient_noise(seed=0.5),
            "seed must be a whole number, at least 0, got 0.5",
        ),
    ],
)
def test_bad_hyperparameters_say_what_is_wrong(untyped, call, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        call()
    assert message in str(caught.value)
