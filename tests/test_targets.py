"""Targets: a loss or a metric that says what success is, in sweeps, rankings and their pictures."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import called

import gdjax
from gdjax.plotting import sweep_pictures

RATES = {"learning_rate": [0.01, 0.1, 0.5]}
ROWS = np.random.default_rng(0).normal(size=(40, 3))
DATA = ROWS, (ROWS @ np.array([1.0, -2.0, 0.5]) > 0).astype(float)


def loss(w, data):
    inputs, wanted = data
    return jnp.mean(jnp.logaddexp(0.0, inputs @ w) - wanted * (inputs @ w))


def accuracy(w, data):
    inputs, wanted = data
    return jnp.mean((inputs @ w > 0) == (wanted > 0.5))


def problem(target=None, batch=None):
    return gdjax.problem(
        loss, init=lambda key: jax.random.normal(key, (3,)), data=DATA, metric=accuracy,
        target=target, batch=batch,
    )  # fmt: skip


@pytest.mark.parametrize("batch", [None, 10])
@pytest.mark.parametrize("kernel", ["auto", "xla"])
@pytest.mark.parametrize("target", [0.2, {"accuracy": 0.95}])
def test_steps_to_a_target_are_those_of_the_path_where_it_is_judged(target, kernel, batch):
    f = problem(target, batch)
    found = gdjax.sweep(f, "gradient_descent", gdjax.starts.init(3), RATES, 60, save_at="all",
                        kernel=kernel, stopping=False)  # fmt: skip
    points = jnp.asarray(found.points.values.reshape(-1, 3))
    if isinstance(target, dict):
        met = jax.vmap(lambda w: accuracy(w, f.args[0]) > 0.94)(points)
    else:
        met = jax.vmap(lambda w: loss(w, f.args[0]) <= 0.2)(points)
    met = np.asarray(met).reshape(9, 61)
    asked = np.arange(61) % (1 if batch is None and target == 0.2 else 10) == 0
    met = met & asked
    expected = np.where(met.any(axis=1), met.argmax(axis=1), -1)
    assert {*(expected >= 0)} == {True, False}
    np.testing.assert_array_equal(found.steps_to_tolerance.values.ravel(), expected)


def test_a_target_stands_for_the_known_minimum_and_the_tolerance():
    f = dataclasses.replace(gdjax.objectives.get("booth"), target=20.0)
    path = gdjax.descend(f, gdjax.gradient_descent(0.02), steps=50)
    found = gdjax.sweep(f, gdjax.gradient_descent(0.02), steps=50, tolerance=1e-9)
    assert found.steps_to_tolerance.item() == int(np.argmax(np.asarray(path.values) <= 20.0)) > 0
    assert found.attrs["target"] == "f ≤ 20"


def test_a_store_of_another_target_is_another_sweep(tmp_path):
    store = tmp_path / "store"
    gdjax.sweep(problem(0.2), "gradient_descent", None, RATES, 5, store=store)
    gdjax.sweep(problem(0.2), "gradient_descent", None, RATES, 5, store=store)
    for other in (0.3, {"accuracy": 0.2}, None):
        with pytest.raises(gdjax.ArgumentError, match="another sweep"):
            gdjax.sweep(problem(other), "gradient_descent", None, RATES, 5, store=store)


def test_pictures_of_a_sweep_show_the_share_that_meets_the_target():
    f = problem({"accuracy": 0.95})
    found = gdjax.sweep(f, "gradient_descent", gdjax.starts.init(4), RATES, 60)
    drawn = sweep_pictures(found, f, ["success_rate", "steps"])
    panel = drawn["success_rate"].axes[0]
    assert panel.get_ylabel() == "of 4 starts reach accuracy ≥ 0.95"
    share = gdjax.metrics.success_rate(found.steps_to_tolerance.values >= 0, axis=0).share
    np.testing.assert_allclose(panel.lines[0].get_ydata(), share)
    assert "that met accuracy ≥ 0.95" in drawn["steps"].axes[0].get_ylabel()


@pytest.mark.parametrize("target", [0.2, {"accuracy": 0.95}])
def test_a_ranking_counts_evaluations_to_the_target_from_initialisations(target):
    f = problem(target)
    found = gdjax.rank(f, {"a": "adam", "s": "schedule_free_sgd"}, budget=30, trials=2, starts=2,
                       held_out=3, seeds=1)  # fmt: skip
    assert found.goals == (str(f.target),)
    assert found.known.tolist() == [True]
    assert found.costs.shape == (1, 2, 1, 3, 1)
    assert str(f.target) in repr(found)
    rates = {name: float(values[0, 0]) for name, values in found.settings["a"].items()}
    made = gdjax.optimizers.get("adam", **rates)
    for start, costs in zip(found.held_out["loss"], found.costs[0, 0, 0, :, 0], strict=True):
        path = gdjax.descend(f, made, start, 29, dtype="float64")
        with jax.enable_x64(True):
            values = np.array([accuracy(w, f.args[0]) for w in path.points])
        met = values > 0.94 if isinstance(target, dict) else np.asarray(path.values) <= 0.2
        assert costs == (1 + int(np.argmax(met)) if met.any() else np.inf)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("low", "target must be a number, got 'low'"),
        (float("nan"), "target must be finite, got nan"),
        (True, "target must be a number, got True"),
        ({}, "one number, or one by the metric's name"),
        ({"accuracy": 0.5, "loss": 0.1}, "one number, or one by the metric's name"),
        ({"acc": 0.5}, "unknown metric of the target 'acc'; did you mean 'accuracy'"),
        ({"accuracy": "high"}, "target of accuracy must be a number"),
    ],
)
def test_a_target_of_nothing_is_refused(target, told):
    with pytest.raises(gdjax.ArgumentError, match=told):
        problem(target)


def test_what_cannot_be_judged_by_a_metric_is_refused():
    with pytest.raises(gdjax.ArgumentError, match="target of accuracy needs a metric"):
        dataclasses.replace(gdjax.objectives.get("booth"), target={"accuracy": 0.5})
    with pytest.raises(gdjax.ArgumentError, match=r"cannot be ranked by accuracy ≥ 0\.5"):
        gdjax.rank(problem({"accuracy": 0.5}), ["scipy.bfgs"], budget=5)


def test_a_command_line_gives_a_target(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    words = "sweep", "sweep=single", "objective=iris_logistic", "steps=50", "plot=none"
    code, out, err = called([*words, "target.accuracy=0.8", "objective_value=share_target"])
    assert code == 0, err
    lines = out.splitlines()
    assert any(line.startswith("accuracy ≥ 0.8      100 %") for line in lines)
    assert any(line.startswith("steps to target     ") for line in lines)
    assert not any(line.startswith("global minimum") for line in lines)
    code, _, err = called([*words, "objective_value=share_target"])
    assert (code, "needs a target" in err) == (2, True)
    code, _, err = called(["rank", "target=0.1"])
    assert (code, "target is of one objective" in err) == (2, True)
