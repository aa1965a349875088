"""Optimizers: each is the recurrence that it names, with every number that it was given."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax_loops import (
    A_PAIR,
    EXTRA,
    NO_POINT,
    OWN,
    SCHEDULES,
    SQUARES,
    changed,
    raw,
    theirs,
    value,
    walk,
)

import gdjax
from gdjax import objectives, optimizers
from gdjax._descent import trajectory
from gdjax.optimizers import listing, lookup, schedules


def recurrence(name, rates, momentum, start, gradient):
    """The methods as a plain NumPy loop over the textbook's formulas."""
    x, v, path = np.array(start), np.zeros(len(start)), [np.array(start)]
    for rate in rates:
        if name == "averaged_momentum":
            v = momentum * v + (1 - momentum) * gradient(x)
            x = x - rate * v
        else:
            ahead = momentum * v if name == "nesterov_textbook" else 0
            step = -rate * gradient(x + ahead)
            v = momentum * v + step
            x = x + (momentum * v + step if name == "nesterov" else v)
        path.append(x)
    return np.array(path)


def qfsp_gradient(p):
    x, y = p
    return np.array([2 * x + 10 * np.cos(x) * np.sin(y), 2 * y + 10 * np.sin(x) * np.cos(y)])


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("schedule", [None, optax.exponential_decay(0.05, 5, 0.7)])
def test_a_descent_with_an_own_method_is_the_textbooks_recurrence(name, schedule):
    steps, start = 25, (7.11, 6.97)
    rates = [0.05 if schedule is None else float(schedule(k)) for k in range(steps)]
    mu = () if name == "gradient_descent" else (0.8,)
    expected = recurrence(name, rates, *(mu or (0.0,)), start, qfsp_gradient)
    made = getattr(optimizers, name)(schedule or 0.05, *mu)
    path = gdjax.descend(objectives.get("qfsp"), made, start, steps, dtype="float64")
    # 25 steps of a chaotic map multiply rounding errors; float32 schedules cost 1e-7 more.
    np.testing.assert_allclose(path.points, expected, rtol=1e-11 if schedule is None else 1e-5)


def test_every_own_method_has_a_recurrence_above():
    modules = {name: optimizers.factory(name).__module__ for name in optimizers.names()}
    own = {name for name, module in modules.items() if module.startswith("gdjax")}
    assert own == set(OWN) | SQUARES


# One of each sort every day: plain, seeded, nested, with a line search or other extra arguments.
EVERY_DAY = {
    "adam", "adafactor", "lbfgs", "mechanize", "momo", "noisy_sgd", "polyak_sgd", "rmsprop", "sam",
    "schedule_free", "sgd", "sophia", "add_noise", "adaptive_grad_clip", "apply_every", "clip",
    "clip_by_global_norm", "ema", "reduce_on_plateau", "scale", "scale_by_adam", "trace",
}  # fmt: skip


def again(made):
    """The same optimizer, taken apart and put together again as a pytree."""
    leaves, kind = jax.tree.flatten(made)
    return jax.tree.unflatten(kind, leaves)


def most_of_them_under_full(names):
    full = pytest.mark.full
    return [n if n in EVERY_DAY else pytest.param(n, marks=full) for n in sorted(names)]


@pytest.mark.filterwarnings("ignore:`optimistic_adam` is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    "name",
    most_of_them_under_full(set(optimizers.names()) - set(NO_POINT) - A_PAIR - set(OWN) - SQUARES),
)
def test_every_optimizer_by_name_is_optaxs_with_every_number_given(name):
    given = changed(optimizers.parameters(name))
    made = optimizers.get(name, **given)
    with jax.disable_jit():
        expected = walk(raw(name, given), EXTRA.get(name, ()))
        np.testing.assert_array_equal(walk(made), expected)
        joined = again(made)
        np.testing.assert_array_equal(walk(joined, steps=2), expected[:2])
    assert np.abs(expected[-1] - expected[0]).max() > 0


@pytest.mark.filterwarnings("ignore:`optimistic_adam` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", sorted(set(optimizers.names()) - set(NO_POINT) - SQUARES))
def test_every_number_given_is_kept_and_traced(name):
    given = changed(optimizers.parameters(name))
    made = optimizers.get(name, **given)
    assert {key: made.hyperparameters[key] for key in given} == given
    numbers = made.numbers | made.seeds
    plain = {key: v for key, v in given.items() if isinstance(v, float) or key == "seed"}
    assert {key: numbers[key] for key in numbers if "." not in key} == plain
    # so that another learning rate does not recompile
    rates = [key for key in given if key.endswith("learning_rate")]
    other = optimizers.get(name, **given | dict.fromkeys(rates, 0.2))
    assert jax.tree.structure(made) == jax.tree.structure(other)
    assert hash(jax.tree.structure(made)) == hash(jax.tree.structure(other))
    assert {key: other.numbers[key] for key in rates} == dict.fromkeys(rates, 0.2)
    inside = {f"{key}.learning_rate" for key in given if "optimizer" in key}
    assert rates or numbers.keys() & inside


@pytest.mark.parametrize("name", NO_POINT)
def test_what_cannot_descend_from_a_point_says_why(name):
    with pytest.raises(gdjax.ArgumentError, match=f"{name} cannot descend .*{NO_POINT[name]}"):
        optimizers.get(name, **changed(optimizers.parameters(name)))


# Transforms that need an example's own gradient, or a matrix.
NO_VECTOR = {"differentially_private_aggregate", "scale_by_muon"}
# Numbers that optax decides on in Python.
IN_PYTHON = {"reduce_on_plateau": ("factor", "rtol", "atol"), "scale_by_sm3": ("b2",)}


@pytest.mark.parametrize(
    "name", most_of_them_under_full(set(optimizers.TRANSFORMS.names()) - NO_VECTOR)
)
def test_every_transform_by_name_is_optaxs_with_every_number_given(name):
    if not hasattr(optax, name) and not hasattr(optax.contrib, name):
        return  # gdjax's own, held against its formula elsewhere
    given = changed(optimizers.TRANSFORMS.parameters(name))
    made = optimizers.transform(name, **given)
    chained = optimizers.chain(optimizers.get("sgd", learning_rate=0.1), before=made)
    with jax.disable_jit():
        theirs = optax.chain(raw(name, given), optax.sgd(0.1))
        expected = walk(theirs, EXTRA.get(name, ()))
        np.testing.assert_array_equal(walk(chained), expected)
        numbers, joined = chained.numbers | chained.seeds, again(chained)
        np.testing.assert_array_equal(walk(joined, steps=2), expected[:2])
    floats = {f"before.{key}" for key, v in given.items() if isinstance(v, float) or key == "seed"}
    decided = {f"before.{key}" for key in IN_PYTHON.get(name, ())}
    assert set(numbers) == {"learning_rate"} | floats - decided


def test_transforms_act_in_the_order_in_which_they_are_given():
    double, clip = {"name": "scale", "step_size": 2.0}, {"name": "clip", "max_delta": 1.0}
    slope, point = jnp.array([0.75, -3.0]), jnp.zeros(2)
    for order, expected in (
        ({"double": double, "clip": clip}, [-0.1, 0.1]),  # 1.5 and 6 are both clipped to 1
        ({"clip": clip, "double": double}, [-0.15, 0.2]),
    ):
        made = optimizers.get("gradient_descent", learning_rate=0.1, transforms=order)
        parts = {label: optimizers.transform(**node) for label, node in order.items()}
        chained = optimizers.chain(gdjax.gradient_descent(0.1), **parts)
        twice = gdjax.gradient_descent(0.1)
        for label, part in reversed(parts.items()):  # the last to be put before it is the first
            twice = optimizers.chain(twice, **{label: part})
        for one in (made, chained, twice, again(made)):
            update, _ = one.update(slope, one.init(point), point)
            np.testing.assert_allclose(update, expected, rtol=1e-6)


@pytest.mark.parametrize("name", schedules.names())
def test_every_schedule_by_name_is_optaxs_at_every_step(name):
    given = SCHEDULES[name]
    known = schedules.parameters(name)
    assert set(given) == set(known), "a schedule's case changes all that can be chosen"
    rate, expected = schedules.get(name, **given), theirs(name, given)
    wanted = np.array([expected(k) for k in range(12)])
    np.testing.assert_array_equal([rate(k) for k in (0, 5, 11)], wanted[[0, 5, 11]])
    if name != "constant_schedule":
        assert len(np.unique(wanted.round(6))) > 1
    # With a gradient of one, the updates of plain descent are the rate itself, from step 0 on.
    made = optimizers.get("gradient_descent", learning_rate={"schedule": name} | given)
    one = again(made)
    state, seen = one.init(jnp.ones(1)), []
    for _ in range(12):
        update, state = one.update(jnp.ones(1), state)
        seen.append(-update[0])
    np.testing.assert_allclose(seen, wanted, rtol=2e-6)


def test_a_schedule_is_not_taken_for_another():
    assert set(SCHEDULES) == set(schedules.names())
    with pytest.raises(gdjax.ArgumentError, match="exponential_decay needs decay_rate"):
        schedules.get("exponential_decay", init_value=0.1, transition_steps=3)


def test_a_schedule_makes_optax_another_method():
    f, rate = objectives.get("sphere"), optax.piecewise_constant_schedule(0.1, {5: 0.1})
    a = gdjax.descend(f, gdjax.heavy_ball(rate, 0.9), steps=10).points
    b = gdjax.descend(f, optax.sgd(rate, momentum=0.9), steps=10).points
    np.testing.assert_allclose(a[:6], b[:6], rtol=1e-5)
    assert np.abs(a[-1] - b[-1]).max() > 0.1


def test_an_optimizer_that_a_new_optax_brings_appears(monkeypatch):
    def brand_new(learning_rate: float, zest: float = 0.5) -> optax.GradientTransformation:
        return optax.sgd(learning_rate * zest)

    caches = lookup._functions, lookup._optimizers
    monkeypatch.setattr(optax.contrib, "brand_new", brand_new, raising=False)
    try:
        for cache in caches:
            cache.cache_clear()
        assert optimizers.parameters("brand_new")["zest"] == 0.5
        assert optimizers.get("brand_new", learning_rate=0.1).numbers["zest"] == 0.5
    finally:
        for cache in caches:
            cache.cache_clear()


def scheduled(init_value, decay_rate=0.5):
    rate = {"schedule": "exponential_decay", "init_value": init_value}
    rate |= {"transition_steps": 5, "decay_rate": decay_rate}
    return optimizers.get("heavy_ball", learning_rate=rate)


def test_the_first_value_of_a_schedule_is_traced():
    f = objectives.get("sphere")
    paths = [gdjax.descend(f, scheduled(0.05), steps=9).points]
    compiled = trajectory._descend._cache_size()
    paths.append(gdjax.descend(f, scheduled(0.1), steps=9).points)
    assert trajectory._descend._cache_size() == compiled
    for init_value, path in zip((0.05, 0.1), paths, strict=True):
        rates = init_value * 0.5 ** (np.arange(9) / 5)
        expected = recurrence("heavy_ball", rates, 0.9, path[0], lambda x: 2 * x)
        np.testing.assert_allclose(path, expected, rtol=1e-4, atol=1e-5)
    numbers = scheduled(0.1).numbers
    assert numbers == {"learning_rate.init_value": 0.1, "momentum": 0.9}


def test_numbers_are_set_by_dotted_names_and_nothing_else_changes():
    clip = {"name": "clip", "max_delta": 0.5}
    made = optimizers.get("nesterov", learning_rate=0.1, momentum=0.7, transforms={"c": clip})
    other = made.replace(**{"c.max_delta": 0.25, "learning_rate": 0.2})
    assert repr(other) == "nesterov(learning_rate=0.2, momentum=0.7, c=clip(max_delta=0.25))"
    assert repr(made) == "nesterov(learning_rate=0.1, momentum=0.7, c=clip(max_delta=0.5))"
    inside = optimizers.make(
        optax.adamw, learning_rate=schedules.get("constant_schedule", value=0.1),
        **{"learning_rate.value": 0.3},
    )  # fmt: skip
    assert inside.numbers["learning_rate.value"] == 0.3
    joined = schedules.get("join_schedules", **SCHEDULES["join_schedules"])
    assert joined(0) == pytest.approx(0.1)
    rate = gdjax.gradient_descent(joined).replace(**{"learning_rate.schedules.0.value": 0.7})
    assert rate.hyperparameters["learning_rate"](0) == pytest.approx(0.7)
    assert rate.hyperparameters["learning_rate"](3) == pytest.approx(0.3)
    with pytest.raises(
        gdjax.ArgumentError, match=r"unknown hyperparameter of adamw 'learning_rate\.v"
    ):
        optimizers.make(optax.adamw, learning_rate=0.1, **{"learning_rate.value": 0.3})


def test_what_optax_decides_on_in_python_is_not_traced_and_says_so():
    f = objectives.get("sphere")
    kinds = [jax.tree.structure(scheduled(0.05, decay)) for decay in (0.5, 0.6)]
    assert kinds[0] != kinds[1]
    for traced in (jax.grad, jax.jit):
        with pytest.raises(
            gdjax.ArgumentError, match=r"^learning_rate\.decay_rate of heavy_ball cannot be traced"
        ):
            traced(lambda rate: gdjax.descend(f, scheduled(0.05, rate), steps=2).values[-1])(0.5)


def test_optimizers_that_differ_in_a_seed_as_an_array_alone_are_unequal():
    one, other = (noisy(seed, relative=0.1).with_arrays_for_seeds() for seed in (1, 2))
    assert (one == other, one != other) == (False, True)
    assert one == noisy(1, relative=0.1).with_arrays_for_seeds()


def test_only_a_number_that_is_replaced_is_held_against_its_range():
    beyond = optimizers.Optimizer(gdjax.heavy_ball, {"learning_rate": 0.1, "momentum": -0.4})
    assert beyond.replace(learning_rate=0.2).numbers == {"learning_rate": 0.2, "momentum": -0.4}
    with pytest.raises(gdjax.ArgumentError, match=r"momentum must lie in \[0, 1\), got -0.5"):
        beyond.replace(momentum=-0.5)
    assert gdjax.descend("sphere", beyond, steps=3).points.shape == (4, 2)


def test_a_sweep_runs_over_seeds_and_over_the_numbers_of_a_schedule():
    f, start = objectives.get("sphere"), [(3.0, 2.0)]
    axes = {"noise.seed": [0, 7], "learning_rate": [0.1, 0.2]}
    swept = gdjax.sweep(f, noisy(0, additive=1.0), starts=start, steps=9, hyperparameters=axes)
    one = noisy(7, additive=1.0).replace(learning_rate=0.2)
    expected = gdjax.descend(f, one, start[0], 9).values[-1]
    np.testing.assert_allclose(swept["final_value"].values[0, 1, 1], expected, rtol=1e-5)
    axes = {"learning_rate.decay_rate": [0.5, 0.9]}  # each is compiled anew
    swept = gdjax.sweep(f, scheduled(0.1), starts=start, steps=9, hyperparameters=axes)
    expected = gdjax.descend(f, scheduled(0.1, 0.9), start[0], 9).values[-1]
    np.testing.assert_allclose(swept["final_value"].values[0, 1], expected, rtol=1e-5)


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
    compiled = trajectory._descend._cache_size()
    gdjax.descend(f, noisy(5, additive=0.5), steps=5)
    assert trajectory._descend._cache_size() == compiled
    many = jax.vmap(lambda seed: gdjax.descend(f, noisy(seed, additive=1.0), steps=5).points)
    np.testing.assert_allclose(many(np.array([4, 3]))[1], first, rtol=1e-5)


@pytest.mark.parametrize("name", ["noisy_sgd", "add_noise", "gradient_noise"])
def test_every_seed_decides_the_noise(name):
    sized = {"add_noise": {"eta": 0.5, "gamma": 0.5}, "gradient_noise": {"additive": 0.5}}

    def seeded(seed, traced=False):
        if name == "noisy_sgd":
            made = optimizers.get(name, learning_rate=0.1, eta=0.5, seed=seed)
        else:
            noise = optimizers.transform(name, seed=seed, **sized[name])
            made = optimizers.chain(gdjax.gradient_descent(0.1), noise=noise)
        label = "seed" if name == "noisy_sgd" else "noise.seed"
        assert made.seeds[label] == seed
        return walk(made.replace(**{label: jnp.asarray(float(seed))}) if traced else made)

    first = seeded(3)
    np.testing.assert_array_equal(first, seeded(3))
    np.testing.assert_array_equal(first, seeded(3, traced=True))
    for other in (0, 4):
        assert (first != seeded(other)).all()
    np.testing.assert_array_equal(seeded(0, traced=True), seeded(0))


def test_a_cycle_multiplies_the_first_gradient_of_each_period():
    made = optimizers.gradient_cycle(rare=4.0, common=-1.0, period=3)
    state, seen = made.init(jnp.zeros(2)), []
    for _ in range(6):
        update, state = made.update(jnp.array([1.0, -2.0]), state)
        seen.append(float(update[0]))
        assert update[1] == -2 * update[0]
    assert seen == [4, -1, -1, 4, -1, -1]
    with pytest.raises(gdjax.ArgumentError, match="period must be"):
        optimizers.gradient_cycle(period=0)


@pytest.mark.parametrize("noise", [(0.5, 0.0), (0.0, 0.25), (0.5, 0.25)])
def test_noise_is_as_large_as_its_formula_says_and_new_at_every_step(noise):
    additive, relative = noise
    slope = jnp.linspace(-3, 3, 40_000)
    made = optimizers.gradient_noise(additive, relative, seed=5)
    state, seen = made.init(slope), []
    for _ in range(2):
        update, state = made.update(slope, state, slope)
        seen.append(np.asarray(update - slope, float))
    size = additive + relative * np.linalg.norm(np.asarray(slope, float))
    for found in seen:  # a standard deviation of 40,000 is known to 0.35 %
        assert np.std(found) == pytest.approx(size, rel=0.015)
        assert abs(np.mean(found)) < 0.02 * size
        assert np.mean(np.abs(found) < size) == pytest.approx(0.6827, abs=0.01)  # normal
    assert abs(np.corrcoef(seen)[0, 1]) < 0.02
    assert abs(np.corrcoef(seen[0][:-1], seen[0][1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(seen[0], slope)[0, 1]) < 0.02


def test_the_spread_of_stochastic_descent_is_the_closed_form():
    # On x² a step is x ← (1 − 2α) x − α a ξ, an AR(1) process of variance α² a²/(1 − (1 − 2α)²).
    f, seeds = objectives.get("parabola"), np.arange(4000)
    ends = jax.vmap(
        lambda s: gdjax.descend(f, noisy(s, additive=2.0), (0.0,), steps=60).points[-1, 0]
    )(seeds)
    expected = 0.1 * 2 / np.sqrt(1 - 0.8**2)
    assert np.std(ends) == pytest.approx(expected, rel=0.05)  # 4 standard errors of 1/√8000


@pytest.mark.parametrize("name", OWN)
def test_own_optimizers_work_on_any_pytree_as_optax_transformations(name):
    made = optimizers.get(name, learning_rate=0.1)
    assert isinstance(made, optax.GradientTransformationExtraArgs)
    x = np.array([1.0, -2.0, 0.5])
    params = {"a": jnp.asarray(x[:2]), "b": [jnp.asarray(x[2])]}
    slopes = lambda tree: jax.tree.map(lambda leaf: 2 * leaf, tree)  # noqa: E731
    state = made.init(params)
    momentum = 0.0 if name == "gradient_descent" else 0.9
    for expected in recurrence(name, [0.1] * 3, momentum, x, lambda p: 2 * p)[1:]:
        updates, state = made.update(slopes(params), state, params, grad_fn=slopes)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(np.append(params["a"], params["b"]), expected, rtol=1e-5)


def test_rules_without_a_learning_rate_are_the_rules_with_one():
    for rule, whole in (
        (optimizers.scale_by_heavy_ball, optimizers.heavy_ball),
        (optimizers.scale_by_nesterov, optimizers.nesterov),
    ):
        chained = optax.chain(optax.scale_by_learning_rate(0.1), rule(0.7))
        np.testing.assert_array_equal(walk(chained, ()), walk(whole(0.1, 0.7)))
    with pytest.raises(gdjax.ArgumentError, match=r"nesterov_textbook\.update needs grad_fn"):
        walk(optimizers.nesterov_textbook(0.1), ())


def test_any_transformation_is_handed_only_what_it_takes():
    def update(updates, state, params=None, *, value, grad_fn):
        return -0.1 * grad_fn(params) * value, state

    factory = lambda: optax.GradientTransformationExtraArgs(lambda p: (), update)  # noqa: E731
    np.testing.assert_allclose(
        walk(optimizers.make(factory), steps=1)[0],
        np.array([1.5, -0.8]) * 1 - 0.1 * float(value((1.5, -0.8))) * np.array(
            [3 * 1.5 - 0.3 * 0.8, (-0.8) ** 3 + 0.3 * 1.5]), rtol=1e-5,
    )  # fmt: skip


def test_optimizers_write_themselves_as_the_call_that_makes_them():
    for written in (
        "adam(learning_rate=0.1)",
        "adam(learning_rate=0.1, b1=0.5, nesterov=True)",
        "sgd(learning_rate=exponential_decay(init_value=0.1, transition_steps=5, decay_rate=0.5))",
        "heavy_ball(learning_rate=0.1, momentum=0.9)",  # what matters most is always said
        "noisy_sgd(learning_rate=0.1, seed=3)",
    ):
        names = {name: lambda n=name, **k: optimizers.get(n, **k) for name in optimizers.names()}
        names |= {"exponential_decay": lambda **k: schedules.get("exponential_decay", **k)}
        assert repr(eval(written, names)) == written


def test_the_listing_has_a_line_for_every_optimizer_and_what_can_be_chosen():
    lines = listing.every().splitlines()
    assert [line.split()[0] for line in lines[:-2]] == list(optimizers.names())
    by_name = {line.split()[0]: line for line in lines[:-2]}
    assert [name for name, line in by_name.items() if line.endswith("(✗)")] == sorted(NO_POINT)
    assert by_name["heavy_ball"].split(None, 1)[1] == "learning_rate=?, momentum=0.9"
    assert by_name["sgd"].split(None, 1)[1].startswith("learning_rate=?, momentum=None, nesterov=F")
    assert "hessian_diagonal_fn=…" in by_name["sophia"]
    assert "dtype_momentum=float32" in by_name["adafactor"]
    assert lines[-1].startswith("✗: cannot descend from a point")
    one = listing.one("rmsprop").splitlines()
    assert one[0].startswith("rmsprop: ")
    assert "  decay=0.9  (a new value never recompiles)" in one
    assert "  centered=False" in one
    assert listing.one("dpsgd").splitlines()[-1].startswith("dpsgd cannot descend from a point")


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (lambda: gdjax.heavy_ball(1e-300).hyperparameters["learning_rate"], 1e-300),
        (lambda: gdjax.heavy_ball(0.1, 0).hyperparameters["momentum"], 0.0),
        (lambda: gdjax.heavy_ball(0.1, 1 - 1e-9).hyperparameters["momentum"], 1 - 1e-9),
        (lambda: gdjax.heavy_ball(np.float32(0.5)).hyperparameters["learning_rate"], 0.5),
        (lambda: optimizers.gradient_noise(seed=0).hyperparameters["seed"], 0),
        (lambda: optimizers.gradient_noise(seed=2.0).hyperparameters["seed"], 2),
        (lambda: optimizers.get("adam", learning_rate=1).hyperparameters["learning_rate"], 1.0),
    ],
)
def test_hyperparameters_at_the_edge_of_their_range_are_taken(call, wanted):
    found = call()
    assert (found, type(found)) == (wanted, type(wanted))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gdjax.heavy_ball(-0.1), "learning_rate must be positive and finite, got -0.1"),
        (lambda: gdjax.heavy_ball(0), "learning_rate must be positive and finite, got 0"),
        (lambda: gdjax.heavy_ball(np.inf), "learning_rate must be positive and finite, got inf"),
        (
            lambda: gdjax.heavy_ball(float("nan")),
            "learning_rate must be a number, got nan",
        ),
        (lambda: gdjax.nesterov(0.1, 1.0), "momentum must lie in [0, 1), got 1.0"),
        (lambda: gdjax.nesterov(0.1, -1e-9), "momentum must lie in [0, 1), got -1e-09"),
        (lambda: gdjax.heavy_ball("fast"), "learning_rate must be a number, got 'fast'"),
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
            lambda: optimizers.get("sgd", learning_rate=-1.0),
            "learning_rate must be positive and finite, got -1.0",
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
            "seed must be a whole number, at least 0 and below 2³², got 0.5",
        ),
        (
            lambda: optimizers.gradient_noise(seed=-1),
            "seed must be a whole number, at least 0 and below 2³², got",
        ),
        (
            lambda: optimizers.get("noisy_sgd", learning_rate=0.1, seed=1.5),
            "seed must be a whole number, at least 0 and below 2³², got 1.5",
        ),
    ],
)
def test_bad_hyperparameters_say_what_is_wrong(untyped, call, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        call()
    assert message in str(caught.value)
