"""Axes of any kind: each combination holds the bits of a sweep of its own."""

import itertools
import re

import numpy as np
import optax
import pytest

import gdjax
from gdjax import objectives, optimizers, starts
from gdjax._sweep import engine
from gdjax._sweep.outer import plans
from gdjax.plotting import datasets

BOOTH, HILLS = objectives.get("booth"), objectives.get("himmelblau")
COSINE = optimizers.schedules.get("cosine_decay_schedule", init_value=0.1, decay_steps=30)
HALVED = optax.exponential_decay(0.1, 10, 0.5)
POINTS = starts.sobol(8, seed=1)
RATES = [0.02, 0.1]


def own(rate, count):
    """A factory that counts in Python, without a default to tell a count by."""
    return optax.chain(*[optax.scale(0.9)] * int(count.__index__()), optax.sgd(rate))


# What is asked for; the outer axes; and for each combination of labels the sweep that it holds.
KINDS = {
    "flags": (
        ("sgd", {"learning_rate": RATES, "nesterov": [True, False], "momentum": [0.5, 0.9]}),
        {"nesterov": [True, False]},
        lambda nesterov: (
            optimizers.get("sgd", learning_rate=0.1, nesterov=nesterov),
            {"learning_rate": RATES, "momentum": [0.5, 0.9]},
        ),
    ),
    "whole numbers": (
        ("lbfgs", {"memory_size": np.array([1, 5])}),
        {"memory_size": [1, 5]},
        lambda memory_size: (optimizers.get("lbfgs", memory_size=memory_size), None),
    ),
    "whole numbers as floats": (
        ("muon", {"learning_rate": RATES, "ns_steps": np.linspace(3, 5, 2)}),
        {"ns_steps": [3.0, 5.0]},
        lambda ns_steps: (
            optimizers.get("muon", learning_rate=0.1, ns_steps=int(ns_steps)),
            {"learning_rate": RATES},
        ),
    ),
    "whole numbers without a default": (
        (own, {"rate": RATES, "count": [1, 2]}),
        {"count": [1, 2]},
        lambda count: (optimizers.make(own, rate=0.1, count=count), {"rate": RATES}),
    ),
    "words": (
        ("lbfgs", {"scale_init_precond": [True], "learning_rate": {"none": None, "slow": 0.1}}),
        {"scale_init_precond": [True], "learning_rate": ["none", "slow"]},
        lambda scale_init_precond, learning_rate: (
            optimizers.get("lbfgs", learning_rate={"none": None, "slow": 0.1}[learning_rate]),
            None,
        ),
    ),
    "schedules": (
        (gdjax.heavy_ball, {"momentum": RATES,
                            "learning_rate": [0.1, COSINE, HALVED, HALVED]}),
        {"learning_rate": ["0.1", repr(COSINE), "exponential_decay", "exponential_decay (2)"]},
        lambda learning_rate: (
            gdjax.heavy_ball({"0.1": 0.1, repr(COSINE): COSINE}.get(
                learning_rate, HALVED)),
            {"momentum": RATES},
        ),
    ),
    "zipped kinds": (
        ("rmsprop", {("learning_rate", "nesterov"): (RATES, [True, False]), "momentum": RATES}),
        {"learning_rate_and_nesterov": [0, 1]},
        lambda learning_rate_and_nesterov: (
            optimizers.get("rmsprop", learning_rate=RATES[learning_rate_and_nesterov],
                           nesterov=not learning_rate_and_nesterov, momentum=0.1),
            {"momentum": RATES},
        ),
    ),
    "optimizers": (
        ({"plain": gdjax.gradient_descent, "adam": "adam"}, {"learning_rate": RATES}),
        {"optimizer": ["plain", "adam"]},
        lambda optimizer: ({"plain": gdjax.gradient_descent}.get(optimizer, optax.adam),
                           {"learning_rate": RATES}),
    ),
}  # fmt: skip


EVERY_DAY = {"flags", "whole numbers without a default", "schedules", "zipped kinds"}


def same(found, whole):
    """Whether a combination holds every bit of a sweep of its own."""
    assert {*found.data_vars} == {*whole.data_vars}
    for name in whole.data_vars:
        assert found[name].dims == whole[name].dims
        np.testing.assert_array_equal(found[name].values, whole[name].values, err_msg=name)


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k in EVERY_DAY else pytest.mark.full) for k in KINDS]
)
def test_every_kind_of_axis_holds_the_bits_of_separate_sweeps(kind):
    (optimizer, axes), outer, separate = KINDS[kind]
    settings = {"starts": POINTS, "steps": 20, "dtype": "float32"}
    found = gdjax.sweep(BOOTH, optimizer, hyperparameters=axes, chunk=5, **settings)
    given = ["optimizer"] if "optimizer" in outer else []
    dims = ["_and_".join(key) if isinstance(key, tuple) else key for key in axes]
    assert found.outcome.dims == ("start", *given, *dims)
    assert found.attrs["outer"] == [*outer]
    for labels in itertools.product(*outer.values()):
        at = dict(zip(outer, labels, strict=True))
        one, inside = separate(**at)
        same(found.sel(at), gdjax.sweep(BOOTH, one, hyperparameters=inside, **settings))


def test_objectives_on_one_axis_have_minima_starts_and_attributes_of_their_own():
    works, settings = [HILLS, "booth"], {"hyperparameters": {"learning_rate": RATES}, "steps": 30}
    found = gdjax.sweep(works, ["heavy_ball", "sgd"], POINTS, **settings)
    assert found.start_point.dims == ("start", "objective", "component")
    assert found.minimum_point.shape == (2, 4, 2)
    assert found.attrs["objective"] == ["himmelblau"] * 2 + ["booth"] * 2
    for f, name in itertools.product((HILLS, BOOTH), ("heavy_ball", "sgd")):
        one, whole = found.sel(objective=f.name), gdjax.sweep(f, name, POINTS, **settings)
        same(one.sel(optimizer=name), whole)
        np.testing.assert_array_equal(one.start_point, whole.start_point)
        np.testing.assert_array_equal(one.is_global.sum(), len(f.minima))
        np.testing.assert_array_equal(one.minimum_point.dropna("known_minimum"), f.known_minima)
    ended = datasets.statuses(found)
    for i in range(2):
        np.testing.assert_array_equal(ended[:, i], datasets.statuses(found.isel(objective=i)))
    pictures = gdjax.plotting.sweep_pictures(found, works, ["basins", "success_rate"])
    assert [*pictures] == [
        f"{p}, {f}" for p in ("basins", "success_rate") for f in found.objective.values
    ]
    with pytest.raises(gdjax.ArgumentError, match="the dataset of several; pick first"):
        gdjax.plotting.basin_map(found, HILLS)
    with pytest.raises(gdjax.ArgumentError, match="objective must be the 2 that were swept"):
        gdjax.plotting.sweep_pictures(found, HILLS)
    given = gdjax.sweep(works, "sgd", [[1.0, 2.0]], **settings)  # points are shared
    assert given.start_point.dims == ("start", "component")


@pytest.mark.parametrize("save_at", [pytest.param(None, marks=pytest.mark.full), 10])
def test_a_sweep_of_any_axes_is_continued_in_the_middle_of_a_combination(tmp_path, save_at):
    call = (
        {"b": BOOTH, "h": HILLS}, ["sgd"], POINTS,
        {"momentum": [0.0, 0.5, 0.9], "nesterov": [True, False], "learning_rate": RATES},
    )  # fmt: skip
    settings = {"steps": 30, "chunk": 31, "save_at": save_at}
    store = tmp_path / "store"
    prepared = engine.Sweep(plans(*call, **settings), in_memory=False)
    seen = []

    class StoppedError(Exception):
        pass

    def stop(index, *args):
        seen.append(index)
        if len(seen) == 4:
            raise StoppedError
        return runner(index, *args)

    runner, prepared._runner = prepared._runner, stop
    with pytest.raises(StoppedError):
        prepared.run(store)
    partial = gdjax.open_results(store)
    assert not partial.attrs["complete"]
    assert (partial.outcome.values >= 0).sum() in (62, 93)  # the last one was being written
    again = gdjax.sweep(*call, **settings, store=store)
    whole = gdjax.sweep(*call, **settings | {"chunk": 1000})
    same(again, whole)
    assert again.coords.equals(whole.coords)
    assert again.attrs["domain"] == whole.attrs["domain"]
    flat = gdjax.open_results(store, flat=True)
    assert flat.sizes["cell"] == whole.outcome.size
    with pytest.raises(gdjax.ArgumentError, match="holds another sweep"):
        gdjax.sweep(*call[:3], call[3] | {"nesterov": [False, True]}, **settings, store=store)


@pytest.mark.parametrize(
    ("objective", "optimizer", "axes", "message"),
    [
        (["booth", objectives.get("rosenbrock", dim=3)], "sgd", None,
         "objectives on one axis must have points alike: booth has 2 components, and rosenbrock "
         "has 3 components"),
        (["booth", "booth"], "sgd", None, "objectives must differ, or have labels"),
        ([], "sgd", None, "objectives must hold at least one, got none"),
        (BOOTH, [], None, "optimizers must hold at least one, got none"),
        (BOOTH, [optax.sgd(0.1), optax.adam(0.1)], None, "optimizers must differ, or have labels"),
        (BOOTH, ["sgd", "gradient_descent"], {"nesterov": [True], "learning_rate": [0.1]},
         "unknown hyperparameter of gradient_descent 'nesterov'"),
        (BOOTH, ["sgd", optax.adam(0.1)], {"learning_rate": [0.1]}, "this one is made already"),
        (BOOTH, "sgd", {"nesterov": True}, "nesterov must be a list of at least one value"),
        (BOOTH, "sgd", {"learning_rate": [0.1, {"schedule": "cosine"}]}, "unknown schedule"),
        (BOOTH, "sgd", {"learning_rate": [0.1], ("nesterov", "momentum"): ([True], [0.1, 0.2])},
         "zipped hyperparameters must have equally many values, got 1 of nesterov, 2 of momentum"),
    ],
)  # fmt: skip
def test_axes_that_cannot_be_are_refused_in_one_line(objective, optimizer, axes, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        gdjax.sweep(objective, optimizer, [[1.0, 2.0]], axes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kernel", ["llvm", "xla"])
def test_what_is_paired_with_the_starts_gives_the_bits_of_each_alone(kernel, tmp_path):
    rng = np.random.default_rng(0)
    points, rates = rng.uniform(-5, 5, (7, 2)), rng.uniform(0.01, 0.1, 7)
    axes = {"momentum": [0.0, 0.5, 0.9]}
    how = {"steps": 30, "save_at": 10, "kernel": kernel}
    paired = {"learning_rate": rates}
    whole = gdjax.sweep("qfsp", "heavy_ball", points, axes, paired=paired, **how)
    store = gdjax.sweep(
        "qfsp", "heavy_ball", points, axes, paired=paired, chunk=4, store=tmp_path / "a", **how
    )
    for i, (point, rate) in enumerate(zip(points, rates, strict=True)):
        alone = gdjax.sweep("qfsp", "heavy_ball", [point], axes | {"learning_rate": [rate]}, **how)
        for found in (whole, store):
            one = found.isel(start=i)
            assert one.learning_rate == pytest.approx(rate)
            for name in ("points", "final_value", "outcome"):
                there = alone[name].isel(start=0, learning_rate=0).values
                if kernel == "llvm":
                    assert one[name].values.tobytes() == there.tobytes()
                np.testing.assert_allclose(one[name].values, there, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("paired", "told"),
    [
        ({"learning_rate": [0.1]}, "paired must hold one value for each of 2 starts, got 1"),
        ({"learning_rate": [0.1, np.nan]}, "learning_rate must be finite, got nan at index 1"),
        ({"momentum": [0.1, 0.2]}, "hyperparameters must be named once each"),
        ({"momentun": [0.1, 0.2]}, "momentun"),
        ({"learning_rate": [0.1, -1.0]}, "learning_rate must be"),
        ([0.1, 0.2], "paired must be values by name"),
    ],
)
def test_what_cannot_be_paired_is_refused(untyped, paired, told):
    with pytest.raises(gdjax.ArgumentError, match=re.escape(told)):
        gdjax.sweep("qfsp", "heavy_ball", [[1, 2], [3, 4]], {"momentum": [0.5]}, paired=paired)
    with pytest.raises(gdjax.ArgumentError, match="cannot vary within one kernel"):
        gdjax.sweep(
            "qfsp", "sgd", [[1, 2], [3, 4]], {"learning_rate": [0.1]}, paired={"nesterov": [0, 1]}
        )
