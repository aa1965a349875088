"""Hyperparameters of groups of leaves: against optax's own partitions, in every verb."""

import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from commands import called

import gdjax
from gdjax import optimizers
from gdjax._descent import trajectory

F64 = {"dtype": "float64"}
START = {"a": np.array([1.0, -2.0]), "b": {"c": np.array([[0.5]]), "d": np.array(3.0)}}


def of_a_dict(p):
    return jnp.sum(p["a"] ** 4) + 3 * jnp.sum((p["b"]["c"] - p["a"]) ** 2) + p["b"]["d"] ** 2


def network(name):
    pytest.importorskip("sklearn")
    return gdjax.objectives.get(name)


def walk(f, made, steps):
    """The last point and values of a plain loop of optax over the tree itself."""
    with jax.enable_x64(True):
        f = f.cast(float)
        point = jax.tree.map(jnp.asarray, f.shaped(np.asarray(f.start, float)))
        state, both = made.init(point), jax.jit(jax.value_and_grad(lambda p: f.fn(p, *f.args)))
        for _ in range(steps):
            update, state = made.update(both(point)[1], state, point)
            point = optax.apply_updates(point, update)
        return np.asarray(f.structure.flatten(point))


# An objective, a factory, what it has of its own, and the same as a partition of optax's.
BY_GROUP = {
    "fractal": (
        lambda: network("fractal"), gdjax.gradient_descent,
        {"learning_rate[w1]": 0.3, "learning_rate[w2]": 0.7},
        optax.multi_transform({"1": optax.sgd(0.3), "2": optax.sgd(0.7)}, {"w1": "1", "w2": "2"}),
    ),
    "iris_mlp": (
        lambda: network("iris_mlp"), optax.adam,
        {"learning_rate": 0.01, "learning_rate[0]": 0.05, "learning_rate[0.b]": 0.02,
         "b1[[1].w]": 0.5},
        optax.multi_transform(
            {"rest": optax.adam(0.01), "0": optax.adam(0.05), "0.b": optax.adam(0.02),
             "1.w": optax.adam(0.01, b1=0.5)},
            [{"b": "0.b", "w": "0"}, {"b": "rest", "w": "1.w"}],
        ),
    ),
    "dict": (
        lambda: gdjax.Objective(fn=of_a_dict, start=START), optax.sgd,
        {"learning_rate": 0.01, "momentum": 0.9, "learning_rate[b]": 0.02, "momentum[b.c]": 0.5},
        optax.multi_transform(
            {"rest": optax.sgd(0.01, 0.9), "b": optax.sgd(0.02, 0.9), "b.c": optax.sgd(0.02, 0.5)},
            {"a": "rest", "b": {"c": "b.c", "d": "b"}},
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BY_GROUP)
def test_groups_are_a_partition_of_optax(kind, untyped):
    make, factory, own, partition = BY_GROUP[kind]
    f = make()
    expected = walk(f, partition, 20)
    path = gdjax.descend(f, optimizers.make(factory, **own), steps=20, **F64)
    np.testing.assert_allclose(f.flattened(path.points)[-1], expected, rtol=1e-9, atol=1e-12)
    swept = {name: [value, 1.1 * value] for name, value in own.items()}
    found = gdjax.sweep(f, factory, hyperparameters=swept, steps=20, **F64)
    assert found.final_value.dims == ("start", *own)
    first = found.final_point[(0,) * (1 + len(own))].values
    np.testing.assert_allclose(first, expected, rtol=1e-9, atol=1e-12)
    assert len(np.unique(found.final_value)) == 2 ** len(own)  # every axis counts


def test_new_numbers_of_groups_never_recompile():
    f = gdjax.Objective(fn=of_a_dict, start=START)
    made = gdjax.heavy_ball(0.01).replace(**{"learning_rate[b]": 0.02})
    gdjax.descend(f, made, steps=5)
    compiled = trajectory._descend._cache_size()
    gdjax.descend(f, made.replace(**{"learning_rate[b]": 0.03, "momentum": 0.5}), steps=5)
    assert trajectory._descend._cache_size() == compiled


@pytest.mark.parametrize("kernel", ["auto", "xla"])
def test_a_component_of_a_vector_is_a_group(kernel):
    def update(x):
        return jnp.array([0.01, 0.02, 0.04]) * jnp.array([1.0, 4.0, 9.0]) * x

    def fn(p):
        return (p[0] ** 2 + 4 * p[1] ** 2 + 9 * p[2] ** 2) / 2

    f = gdjax.Objective(fn=fn, start=(1.0, 2.0, 3.0), variables=("u", "v", "w"))
    own = {"learning_rate": [0.02], "learning_rate[w]": [0.04], "learning_rate[u]": [0.01]}
    found = gdjax.sweep(f, gdjax.gradient_descent, hyperparameters=own, steps=4, kernel=kernel)
    assert found.attrs["kernel"] == ("llvm" if kernel == "auto" else "xla")
    x = jnp.asarray(f.start)
    for _ in range(4):
        x -= update(x)
    np.testing.assert_allclose(found.final_point.values.ravel(), x, rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["adam", "schedule_free_sgd", "adafactor", "lion", "noisy_sgd", "polyak_sgd"]
)
def test_a_group_with_the_numbers_of_the_rest_changes_nothing(name):
    f = gdjax.Objective(fn=of_a_dict, start=START)
    rate = "max_learning_rate" if name == "polyak_sgd" else "learning_rate"
    plain = optimizers.get(name, **{rate: 0.01})
    made = plain.replace(**{f"{rate}[b]": 0.01})
    paths = [gdjax.descend(f, one, steps=10, **F64) for one in (plain, made)]
    if name in ("noisy_sgd", "polyak_sgd"):  # other draws, and a norm of the group alone
        assert np.isfinite(paths[1].values).all()
    else:
        np.testing.assert_allclose(*(path.values for path in paths), rtol=1e-12)
        ends = (path.eval_point for path in paths)
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-12), *ends)


def test_an_optimizer_with_groups_is_an_optimizer():
    made = functools.partial(gdjax.heavy_ball, 0.1, **{"learning_rate[a]": 0.2})
    made = optimizers.as_optimizer(made)
    assert made == optimizers.get("heavy_ball", **{"learning_rate": 0.1, "learning_rate[a]": 0.2})
    assert repr(made) == "heavy_ball(learning_rate=0.1, momentum=0.9, learning_rate[a]=0.2)"
    assert pickle.loads(pickle.dumps(made)) == made
    twice = jax.tree.map(lambda x: x / 2, made)
    assert twice.numbers == {"learning_rate": 0.05, "learning_rate[a]": 0.1, "momentum": 0.45}
    schedule = optimizers.schedules.get("exponential_decay", init_value=0.1, transition_steps=5,
                                        decay_rate=0.5)  # fmt: skip
    later = made.replace(**{"learning_rate[b.c]": schedule})
    assert "learning_rate[b.c].init_value" in later.numbers
    clipped = optimizers.chain(later, clip=optimizers.transform("clip", max_delta=0.1))
    again = clipped.replace(**{"clip.max_delta": 0.2, "momentum[b]": 0.5})
    f = gdjax.Objective(fn=of_a_dict, start=START)
    assert np.isfinite(gdjax.descend(f, again, steps=3).values).all()


def test_every_verb_takes_groups(tmp_path):
    f = gdjax.Objective(fn=of_a_dict, start=START, domain=jax.tree.map(
        lambda x: np.stack([x - 1, x + 1], -1), START))  # fmt: skip
    made = gdjax.heavy_ball(0.01).replace(**{"learning_rate[b]": 0.02})
    found = gdjax.hypergradient(f, made, steps=10, **F64)
    assert found.gradient.keys() == {"learning_rate", "momentum", "learning_rate[b]"}
    assert not found.unreliable
    tuned = gdjax.tune_by_gradient(f, made, 1, steps=10, rounds=3)
    assert tuned.history["learning_rate[b]"][-1] != 0.02
    run = gdjax.train(f, made, steps=10, every=5)
    path = gdjax.compare(f, {"a": made}, steps=10).paths["a"]
    np.testing.assert_allclose(run.looks.loss[-1], path.values[-1], rtol=1e-5)
    assert run.edge.limit is None
    ranges = {"learning_rate[b]": (1e-4, 1e-1), "two.learning_rate[b.c]": (1e-4, 1e-2)}
    ranked = gdjax.rank(f, {"one": "heavy_ball", "two": "adam"}, ranges=ranges, budget=20,
                        trials=2, starts=2, held_out=2, seeds=1)  # fmt: skip
    assert "learning_rate[b]" in ranked.settings["one"]
    assert "learning_rate[b.c]" in ranked.settings["two"].keys() - ranked.settings["one"].keys()
    axes = {"learning_rate": [0.01], "learning_rate[b]": [0.02, 0.03]}
    store = tmp_path / "store"
    kept = gdjax.sweep(f, "heavy_ball", hyperparameters=axes, steps=10, store=store)
    bare = gdjax.sweep(f, "heavy_ball", hyperparameters=axes, steps=10)
    np.testing.assert_array_equal(kept.final_value, bare.final_value)
    assert kept["learning_rate[b]"].values.tolist() == [0.02, 0.03]
    axes = {"learning_rate": [0.01], "learning_rate[b.c]": [0.02, 0.03]}
    with pytest.raises(gdjax.ArgumentError, match="another sweep"):
        gdjax.sweep(f, "heavy_ball", hyperparameters=axes, steps=10, store=store)


def asked(objective, optimizer="gradient_descent", **own):
    axes = {name: [value] for name, value in own.items()}
    return gdjax.sweep(objective, optimizer, hyperparameters=axes, steps=1)


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"learning_rate[c]": 0.1}, r"unknown group of learning_rate 'c'; .* a, b, b.c, b.d"),
        ({"learning_rate[b.x]": 0.1}, r"unknown group of learning_rate 'b.x'; .*b.c, b.d"),
        ({"learning_rate[a[7]]": 0.1}, "unknown group of learning_rate 'a.7'"),
        ({"rate[a]": 0.1}, "unknown hyperparameter of gradient_descent 'rate'"),
        ({"learning_rate[]": 0.1}, r"learning_rate\[\] must name a group"),
        ({"learning_rate[a]": -0.1}, r"learning_rate\[a\] must be positive"),
        ({"learning_rate[b.c]": 0.1, "learning_rate[b[c]]": 0.1}, "are one: give one of them"),
        (
            {"learning_rate[b]": 0.1, "learning_rate[b.c]": 0.1, "learning_rate[b.d]": 0.1},
            r"learning_rate\[b\] counts nowhere",
        ),
    ],
)
def test_a_bad_group_is_refused_in_one_line(own, told):
    with pytest.raises(gdjax.ArgumentError, match=told):
        asked(gdjax.Objective(fn=of_a_dict, start=START), **{"learning_rate": 0.1} | own)


@pytest.mark.parametrize(
    ("objective", "optimizer", "own", "told"),
    [
        ("booth", "gradient_descent", {"learning_rate[x]": 0.1}, "needs learning_rate for the"),
        ("booth", "heavy_ball", {"momentum[x]": 0.1}, "needs learning_rate"),
        (
            "booth", "gradient_descent", {"learning_rate": 0.1, "learning_rate[z]": 0.1},
            "unknown group of hyperparameters 'z'; choose from x, y",
        ),
        ("booth", "lbfgs", {"learning_rate": 1.0, "learning_rate[x]": 1.0}, "all leaves at once"),
        ("booth", optax.sgd(0.1), {"learning_rate[x]": 1.0}, "this one is made already"),
    ],
)  # fmt: skip
def test_what_no_group_can_have_is_refused(objective, optimizer, own, told):
    with pytest.raises(gdjax.ArgumentError, match=told):
        asked(objective, optimizer, **own)


def test_what_transforms_the_gradient_is_of_no_group():
    clip = {"name": "clip", "max_delta": 1.0}
    made = optimizers.get("sgd", learning_rate=0.1, transforms={"c": clip})
    with pytest.raises(gdjax.ArgumentError, match="of all leaves, and of no group"):
        made.replace(**{"c[a]": 0.1})


def test_a_command_line_names_groups(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rates = "hyperparameters.learning_rate[x]=[0.01,0.02]", "learning_rate[y]=0.03"
    where = "objective=booth", "steps=5", "plot=none"
    code, out, err = called(["sweep", "sweep=single", *where, *rates])
    assert code == 0, err
    assert "learning_rate[y]=0.03, learning_rate[x]=0.01…0.02" in out
    code, out, err = called(["run", "-m", *where, "optimizer.learning_rate[x]=0.01,0.02"])
    assert code == 0, err
    assert "2 jobs, 0 failed" in out
    code, _, err = called(["run", *where, "learning_rate[z]=0.1"])
    assert code == 2
    assert err == "gdjax run: unknown group of hyperparameters 'z'; choose from x, y\n"
    code, _, err = called(["compare", *where, "learning_rate[x]=0.1"])
    assert code == 2
    assert "optimizers.a.learning_rate[x]=0.1" in err
