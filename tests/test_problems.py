"""Losses over data: batches are pure functions of seed and step, and any parameters are taken."""

import collections

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax
from gdjax._descent.cells import Setting, trace
from gdjax._descent.outcomes import DEFAULT_RULE
from gdjax.objectives.minibatches import rows_of_batch

DRAWN = np.random.default_rng(0)
X = DRAWN.normal(size=(24, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.1 * DRAWN.normal(size=24)
DATA = X, Y


def init(key):
    return {"b": jnp.zeros(()), "w": jax.random.normal(key, (3,))}


def loss(params, batch):
    inputs, wanted = batch
    return jnp.mean((inputs @ params["w"] + params["b"] - wanted) ** 2)


def problem(**chosen):
    return gdjax.problem(loss, **{"init": init, "data": DATA} | chosen)


@pytest.mark.parametrize(("count", "size"), [(1, 1), (7, 7), (24, 8), (25, 8), (1797, 32)])
def test_an_epoch_has_every_row_at_most_once_and_others_follow_in_another_order(count, size):
    batches = jax.jit(jax.vmap(lambda step: rows_of_batch(count, size, 3, step)))
    per_epoch = count // size
    epochs = np.asarray(batches(jnp.arange(3 * per_epoch))).reshape(3, -1)
    for epoch in epochs:
        assert len({*epoch.tolist()}) == len(epoch) == per_epoch * size
        assert epoch.min() >= 0
        assert epoch.max() < count
    if count > 1:
        assert not np.array_equal(epochs[0], epochs[1])


def test_every_order_of_the_rows_is_equally_frequent():
    orders = jax.vmap(lambda step: rows_of_batch(4, 4, 0, step))(jnp.arange(4800))
    found = collections.Counter(map(tuple, np.asarray(orders).tolist()))
    assert len(found) == 24
    surprise = sum((count - 200) ** 2 / 200 for count in found.values())
    assert surprise < 50  # of 23 degrees of freedom: once in a thousand


def test_the_mean_gradient_of_an_epoch_is_the_full_gradient_and_a_batch_of_all_is_all():
    f = problem(batch=6)
    point = np.array([0.3, 1.0, 2.0, 3.0])
    with jax.enable_x64(True):
        given = f.cast(float)
        whole = given.value_and_gradient()(point)
        parts = [given.at_step(step).value_and_gradient()(point) for step in range(4)]
        mean = jax.tree.map(lambda *each: np.mean(each, axis=0), *parts)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), mean, whole)
        whole_batch = problem(batch=24).cast(float).at_step(5).value(point)
        np.testing.assert_allclose(whole_batch, whole[0], rtol=1e-12)


def test_a_path_follows_batches_and_has_the_values_over_all_data():
    f = problem(batch=8, seed=1)
    path = gdjax.descend(f, optax.sgd(0.05), steps=7, dtype="float64")
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), f.shaped(jnp.array(f.start)))
        for step in range(7):
            rows = rows_of_batch(24, 8, 1, step)
            slope = jax.grad(loss)(params, (X[rows], Y[rows]))
            params = jax.tree.map(lambda x, g: x - 0.05 * g, params, slope)
        np.testing.assert_allclose(path.points["w"][-1], params["w"], rtol=1e-12)
        np.testing.assert_allclose(path.values[-1], loss(params, DATA), rtol=1e-12)


def test_a_sweep_over_initialisations_is_the_paths_from_them():
    f = problem(batch=8)
    starts = gdjax.starts.init(3, seed=2)
    found = gdjax.sweep(f, optax.sgd(0.05), starts, steps=20, save_at="all")
    for i, start in enumerate(starts.take(f, 0, 3)):
        path = gdjax.descend(f, optax.sgd(0.05), start, steps=20)
        np.testing.assert_allclose(found.final_value[i], path.values[-1], rtol=1e-4)
        np.testing.assert_allclose(found["values"][i], path.values, rtol=1e-4)
    with pytest.raises(gdjax.ArgumentError, match="need an objective that draws its parameters"):
        gdjax.sweep("qfsp", "adam", starts, steps=2)


def test_a_step_that_is_not_judged_never_sees_all_the_data():
    def work(rows):
        data = np.ones((rows, 3)), np.ones(rows)
        f = problem(data=data, batch=8).cast(np.float32)
        setting, numbers, arrays = Setting.of(gdjax.gradient_descent(0.1), f)
        shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays]
        start = jax.ShapeDtypeStruct((4,), np.float32)
        cells = trace(setting, shapes, start, "autodiff", DEFAULT_RULE, 0.0, True)
        state = cells.init(jnp.ones(4), numbers, arrays)
        step = jax.jit(lambda state: cells.step(state, numbers, arrays)[0])
        return step.lower(state).compile().cost_analysis()["flops"]

    assert work(50_000) < work(50) + 1000  # the shuffle of more rows is no longer


def test_a_store_knows_which_batches_it_was_computed_with(tmp_path):
    def swept(**chosen):
        return gdjax.sweep(problem(**chosen), "sgd", steps=4, store=tmp_path / "s.zarr")

    swept(batch=8)
    swept(batch=8)
    for other in ({"batch": 6}, {"batch": 8, "seed": 1}, {}, {"batch": 8, "data": (X + 1, Y)}):
        with pytest.raises(gdjax.ArgumentError, match="there"):
            swept(**other)


def test_a_module_of_equinox_is_trained_by_its_partition():
    key = jax.random.key(0)
    _, fixed = equinox.partition(equinox.nn.MLP(3, "scalar", 4, 1, key=key), equinox.is_array)

    def drawn(key):
        net = equinox.nn.MLP(3, "scalar", 4, 1, key=key)
        return equinox.partition(net, equinox.is_array)[0]

    def of_net(params, batch):
        net = equinox.combine(params, fixed)
        return jnp.mean((jax.vmap(net)(batch[0]) - batch[1]) ** 2)

    f = gdjax.problem(of_net, init=drawn, data=DATA, batch=8)
    path = gdjax.descend(f, "adam", steps=200)
    assert path.values[-1] < path.values[0] / 2
    assert f.variables[0] == "layers[0].weight[0,0]"


def test_a_whole_module_holds_parameters_and_a_function_of_a_key_draws_them(tmp_path):
    def of_module(net, batch):
        return jnp.mean((jax.vmap(net)(batch[0]) - batch[1]) ** 2)

    def drawn(key):
        return equinox.nn.MLP(3, "scalar", 4, 1, key=key)

    def on_the_host(key):  # JAX cannot trace it
        random = np.random.default_rng(int(jax.random.key_data(key)[1]))
        return {"b": 0.0, "w": random.normal(size=3)}

    fixed = gdjax.problem(of_module, init=drawn(jax.random.key(0)), data=DATA)
    with pytest.raises(gdjax.ArgumentError, match="need an objective that draws its parameters"):
        gdjax.sweep(fixed, "adam", gdjax.starts.init(2), steps=2)
    module = gdjax.problem(of_module, init=drawn, data=DATA, batch=8)
    host = problem(init=on_the_host)
    for i, f in enumerate((module, host)):
        call = {"steps": 3, "store": tmp_path / f"{i}.zarr"}
        one, two = (gdjax.sweep(f, "adam", gdjax.starts.init(2), **call) for _ in range(2))
        np.testing.assert_array_equal(one.final_value, two.final_value)
        assert one.final_value[0] != one.final_value[1]
    run = gdjax.train(module, "adam", steps=3, every=3)
    assert isinstance(run.point, equinox.nn.MLP)
    assert np.ndim(run.point(jnp.ones(3))) == 0


def test_parameters_in_a_tree_and_in_a_vector_take_the_same_steps():
    def of_vector(point, batch):
        return loss({"b": point[0], "w": point[1:]}, batch)

    flat = gdjax.problem(of_vector, init=np.array([0.0, 1.0, 2.0, 3.0]), data=DATA, batch=8)
    tree = problem(init={"b": np.zeros(()), "w": np.array([1.0, 2.0, 3.0])}, batch=8)
    paths = [gdjax.descend(f, "adam", steps=50) for f in (flat, tree)]
    np.testing.assert_allclose(paths[0].values, paths[1].values, rtol=1e-5)
    again = gdjax.descend(tree, "adam", [0.0, 1.0, 2.0, 3.0], steps=50)
    np.testing.assert_array_equal(again.values, paths[1].values)


def tied(params, batch):
    return jnp.mean((batch[0] @ params["w"] - Y) ** 2)  # all the rows, whatever the batch


BAD = {
    "must return a scalar, got an array of shape (24,)": {
        "loss": lambda params, batch: batch[0] @ params["w"]
    },
    "data must be arrays of equal length, got 24 in [0], 23 in [1]": {"data": (X, Y[1:])},
    "data must be arrays with at least one row": {"data": (X, 3.0)},
    "data must be arrays of numbers": {"data": (X, np.array(["a"] * 24))},
    "batch must be at most 24, as many rows as there are data, got 25": {"batch": 25},
    "batch must be a whole number, at least 1": {"batch": 0},
    "init must depend on its random key": {"init": lambda key: {"b": 0.0, "w": jnp.ones(3)}},
    "init must take a random key and return parameters, and fails": {"init": lambda: {}},
    "init must give parameters of floats, got leaf w of int32": {
        "init": lambda key: {"b": jnp.zeros(()), "w": jax.random.randint(key, (3,), 0, 9)}
    },
    "init must give parameters of floats, got leaf b of integers": {
        "init": {"b": 0, "w": np.ones(3)}
    },
    "init must give parameters of floats, got leaf b of complex numbers": {
        "init": {"b": 1j, "w": np.ones(3)}
    },
    "init must give parameters, a pytree of arrays of floats, got None": {"init": lambda key: None},
    "init must give parameters, a pytree of arrays of floats, got 'ones'": {"init": "ones"},
    "init must give the same parameters for the same random key, and does not": {
        "init": lambda key: {"b": 0.0, "w": DRAWN.normal(size=3)}
    },
    "init must give parameters of one structure, whatever its random key": {
        "init": lambda key: (
            dict.fromkeys("bcd"[: int(jax.random.key_data(key)[1]) + 1], 0.0)
            | {"b": 0.0, "w": jnp.ones(3)}
        )
    },
    "init must give finite parameters, got Array(nan, dtype=float32, weak_type=True) in leaf b": {
        "init": lambda key: {"b": jnp.array(jnp.nan), "w": jax.random.normal(key, (3,))}
    },
    "batch=8 needs a loss that takes any rows of the data, and tied fails on so many": {
        "loss": tied,
        "batch": 8,
    },
    "metric must return a scalar, got None": {"metric": lambda params, batch: None},
    "metric must return a real number": {"metric": lambda params, batch: params["b"] + 1j},
    "metric must return a scalar, got an array of shape (24,)": {
        "metric": lambda params, batch: batch[1]
    },
    "metric fails on the parameters": {"metric": lambda params, batch: params["v"]},
    "seed must be a whole number": {"seed": -1},
    "loss must be a function": {"loss": 3},
}


@pytest.mark.parametrize("words", BAD)
def test_what_is_no_problem_is_refused_in_one_line(untyped, words):
    with pytest.raises(gdjax.ArgumentError) as refused:
        gdjax.problem(**{"loss": loss, "init": init, "data": DATA} | BAD[words])
    message = str(refused.value)
    assert words in message, message
    assert "\n" not in message
