import dataclasses
import functools
import inspect
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax
from gdjax import objectives, optimizers, starts
from gdjax._descent.outcomes import StoppingRule
from gdjax._kernels import choice
from gdjax._sweep import engine
from gdjax._sweep.outer import plans
from gdjax.objectives import Objective
from gdjax.objectives.minibatches import Training
from gdjax.objectives.structure import Structure
from gdjax.results import Store
from gdjax.results.checked import FINISHED

QFSP = objectives.get("qfsp")


def globally(found):
    """Whether a cell reached a global minimum."""
    return (found.minimum >= 0) & (found.minimum < len(QFSP.minima))


def test_share_of_the_starts_from_which_plain_descent_reaches_a_global_minimum():
    found = gdjax.sweep(QFSP, gdjax.gradient_descent(0.02), starts.grid(201), steps=2000)
    # The basins are a square of side 2 · 4.1046 each way in u and v: 1 − (1 − 4.104619850558/30)²
    assert float(globally(found).mean()) == pytest.approx(0.25492, abs=0.003)


def test_how_many_momenta_escape():
    momenta = np.arange(96) / 100
    found = gdjax.sweep(
        QFSP, gdjax.heavy_ball(0.1), hyperparameters={"momentum": momenta}, steps=1000,
        dtype="float64",
    )  # fmt: skip
    assert int(globally(found).sum()) == 70
    trapped = found.momentum.values[~globally(found).values[0]]
    np.testing.assert_allclose(trapped, [*np.arange(23) / 100, 0.70, 0.71, 0.95])


def test_labels_and_metadata():
    found = gdjax.sweep(
        QFSP, gdjax.heavy_ball, starts.grid(3), steps=6, save_at=2, tolerance=0.5, chunk=7,
        hyperparameters={("learning_rate", "momentum"): ([0.1, 0.2], [0.5, 0.6])}, devices=2,
        stopping=StoppingRule(every=4),
    )  # fmt: skip
    assert dict(found.sizes) == {
        "start": 9, "learning_rate_and_momentum": 2, "component": 2, "record": 4,
        "known_minimum": 6,
    }  # fmt: skip
    assert found.points.dims == ("start", "learning_rate_and_momentum", "record", "component")
    assert found.momentum.values.tolist() == [0.5, 0.6]
    assert found.record.values.tolist() == [0, 2, 4, 6]
    np.testing.assert_array_equal(found.minimum_point, [*QFSP.minima, *QFSP.local_minima])
    assert found.is_global.values.tolist() == [True] * 2 + [False] * 4
    sides = [np.linspace(low, high, 3, dtype=np.float32) for low, high in QFSP.domain]
    grid = np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, 2)
    np.testing.assert_array_equal(found.start_point, grid)
    assert {name: found.attrs[name] for name in ABOUT} == ABOUT
    path = gdjax.descend(QFSP, gdjax.heavy_ball(0.2, 0.6), found.start_point.values[7], 6)
    np.testing.assert_allclose(found.points[7, 1], path.points[::2], rtol=1e-5)
    np.testing.assert_allclose(found["values"][7, 1], path.values[::2], rtol=1e-5)


ABOUT = {
    "objective": "qfsp", "formula": QFSP.latex, "fmin": QFSP.fmin,
    "domain": json.dumps(QFSP.domain),
    "optimizer": "heavy_ball(learning_rate=0.1, momentum=0.5)", "max_steps": 6, "tolerance": 0.5,
    "gradient": "autodiff", "starts_kind": "grid", "starts_shape": [3, 3], "seed": 0,
    "kernel": "llvm", "kernel_reason": "", "stride": 3, "processors": 2, "chunk": 7,
    "dtype": "float32", "complete": True,
}  # fmt: skip


# ---- What decides a store ------------------------------------------------------------------


def prepare(devices=None, kernel="auto", **settings):
    """A sweep that is yet to run: the one way here to its layout and to its digest."""
    return engine.Sweep(plans(**settings), devices, kernel, in_memory=False)


def weighted(*weights):
    """A function whose weights are an array that it closes over."""
    weights = np.float32(weights)
    return lambda point: jnp.sum(weights * point**2)


def scaled(point, weights):
    """A function whose weights are handed over as data."""
    return jnp.sum(weights * point**2)


def shaken(seed):
    """A function that closes over a random key."""
    key = jax.random.key(seed)
    return lambda point: jnp.sum((point - jax.random.normal(key, (2,))) ** 2)


def bowl(**changes):
    facts = {
        "name": "bowl", "fn": lambda p: jnp.sum(p**2), "gradient": lambda p: 2 * p,
        "domain": ((-2, 1), (-1, 3)), "start": (0.5, 2), "fmin": 0.0,
        "minima": [(0, 0), (-1, 0)], "local_minima": [(0.5, 2.5)],
    }  # fmt: skip
    return Objective(**facts | changes)


def moved(scale=2.0, high=3.0):
    return objectives.Coordinates([1.0, scale], [(-np.inf, np.inf), (-1.0, high)])


def drawn(key):
    return jax.random.uniform(key, (2,))


def batched(**training):
    data = (np.float32([1, 2]),)
    return bowl(fn=scaled, gradient=None, args=data, training=Training(**training))


def named(name, factory):
    factory.__name__ = factory.__qualname__ = name
    return factory


def noisy(**noise):
    transform = gdjax.optimizers.transform("gradient_noise", **noise)
    return optimizers.chain(gdjax.gradient_descent(0.1), noise=transform)


def scheduled(**numbers):
    rate = optimizers.schedules.get("exponential_decay", transition_steps=2, **numbers)
    return gdjax.heavy_ball(rate)


RATES, MOMENTA = [0.1, 0.2], [0.5, 0.9]
BASE = {
    "objective": bowl(), "optimizer": gdjax.heavy_ball, "starts": starts.uniform(4, seed=1),
    "hyperparameters": {"learning_rate": RATES, "momentum": MOMENTA}, "steps": 4, "save_at": [0, 2],
    "stopping": True, "classify_rest": True, "keep": None, "tolerance": 1e-4,
    "gradient": "autodiff", "dtype": "float32", "chunk": 6,
    "kernel": "xla",  # nothing is compiled before a sweep runs
}  # fmt: skip
POINTS = np.random.default_rng(0).uniform(-1, 1, (4, 2))
MOVED = np.where(np.arange(8).reshape(4, 2) == 5, np.nextafter(POINTS, 2), POINTS)
# Sweeps whose store is there already, as changes of BASE.
THERE = {
    "base": {},
    "hand": {"gradient": "hand"},
    "array": {"objective": bowl(fn=weighted(1, 2))},
    "jit": {"objective": bowl(fn=jax.jit(weighted(1, 2)))},
    "key": {"objective": bowl(fn=shaken(1))},
    "data": {"objective": bowl(fn=scaled, gradient=None, args=(np.float32([1, 2]),))},
    "residuals": {"objective": bowl(residuals=lambda p: p)},
    "moved": {"objective": bowl(coordinates=moved())},
    "init": {"objective": batched(init=drawn), "starts": starts.init(4, seed=1)},
    "batches": {"objective": batched(batch=1)},
    "own start": {"starts": None},
    "points": {"starts": POINTS},
    "grid": {"starts": starts.grid(2)},
    "sobol": {"starts": starts.sobol(4, seed=1)},
    "latin": {"starts": starts.latin_hypercube(4, seed=1)},
    "zipped": {"hyperparameters": {("learning_rate", "momentum"): (RATES, MOMENTA)}},
    "paired": {"hyperparameters": None, "paired": {"learning_rate": [0.1, 0.2, 0.3, 0.4]}},
    "plain": {"optimizer": gdjax.heavy_ball(0.1), "hyperparameters": None},
    "option": {"optimizer": optimizers.get("sgd", learning_rate=0.1), "hyperparameters": None},
    "made": {"optimizer": optax.adam(0.1), "hyperparameters": None},
    "user's": {"optimizer": named("mine", lambda learning_rate=0.1: optax.sgd(learning_rate)),
               "hyperparameters": None},
    "schedule": {"optimizer": scheduled(init_value=0.1, decay_rate=0.5), "hyperparameters": None},
    "noise": {"optimizer": noisy(relative=0.1, seed=1), "hyperparameters": None},
    "fast": {"kernel": "auto"},
    "xla": {"objective": bowl(fn=lambda p: jnp.sum(jnp.sort(p) ** 2)), "kernel": "auto"},
}  # fmt: skip


def case(inside, there, words, **change):
    """An input of ``sweep`` or a part of one, the store that is there, what is changed and said."""
    return pytest.param(inside, there, change, words, id=f"{inside}: {words.partition(' is ')[0]}")


DECIDES = [
    case("objective.name", "base", "objective is 'bowl' there and 'pail' here",
         objective=bowl(name="pail")),
    case("objective.fn", "base", "function is", objective=bowl(fn=lambda p: jnp.sum(p**2) / 2)),
    case("objective.fn", "array", "function is ", objective=bowl(fn=weighted(1, 3))),
    case("objective.fn", "jit", "function is ", objective=bowl(fn=jax.jit(weighted(1, 3)))),
    case("objective.fn", "key", "function is ", objective=bowl(fn=shaken(2))),
    case("objective.args", "data", "function is ",
         objective=bowl(fn=scaled, gradient=None, args=(np.float32([1, 3]),))),
    case("objective.structure", "base", "function is ",
         objective=bowl(structure=Structure(np.ones((2, 1))))),
    case("objective.bounded", "base", "bounded is True there and False here",
         objective=bowl(bounded=False)),
    case("objective.residuals", "base", "function is '",
         objective=bowl(residuals=lambda p: p)),
    case("objective.residuals", "residuals", "function is '",
         objective=bowl(residuals=lambda p: -p)),
    case("objective.coordinates", "base", "function is '", objective=bowl(coordinates=moved())),
    case("objective.coordinates", "moved", "function is '",
         objective=bowl(coordinates=moved(scale=2.1))),
    case("objective.coordinates", "moved", "function is '",
         objective=bowl(coordinates=moved(high=3.00001))),
    case("objective.coordinates", "moved", "function is '",
         objective=bowl(coordinates=moved(high=np.inf))),
    case("objective.training", "data", "function is ", objective=batched(batch=1)),
    case("objective.training", "init", "starts.init is ",
         objective=batched(init=lambda key: 2 * drawn(key))),
    case("objective.training", "batches", "function is ", objective=batched(batch=1, seed=1)),
    case("objective.target", "base", "target", objective=bowl(target=0.1)),
    case("objective.gradient", "hand", "function is", objective=bowl(gradient=lambda p: 3 * p)),
    case("objective.domain", "base", "domain[1][1] is 3.0 there and 4.0 here",
         objective=bowl(domain=((-2, 1), (-1, 4)))),
    case("objective.start", "own start", "starts.points is", objective=bowl(start=(0.5, 2.1))),
    case("objective.minima", "base", "minima[1][0] is -1.0 there and -1.5 here",
         objective=bowl(minima=[(0, 0), (-1.5, 0)])),
    case("objective.local_minima", "base", "local_minima[0][1] is 2.5 there and 2.6 here",
         objective=bowl(local_minima=[(0.5, 2.6)])),
    case("objective.minima", "base", "minima is [[0.0, 0.0], [-1.0, 0.0]] there and [[0.0, 0.0]]",
         objective=bowl(minima=[(0, 0)], local_minima=[(-1, 0), (0.5, 2.5)])),
    case("objective.fmin", "base", "fmin is 0.0 there and 1e-12 here", objective=bowl(fmin=1e-12)),
    case("objective.fmin", "base", "fmin is 0.0 there and None here", objective=bowl(fmin=None)),
    case("optimizer", "base", "optimizer is 'heavy_ball(", optimizer=gdjax.nesterov),
    case("optimizer", "plain", "numbers.learning_rate is 0.1 there and 0.1000000001 here",
         optimizer=gdjax.heavy_ball(0.1000000001)),
    case("optimizer", "plain", "numbers.momentum is 0.9 there and 0.90000001 here",
         optimizer=gdjax.heavy_ball(0.1, 0.90000001)),
    case("optimizer", "option", "update is",
         optimizer=optimizers.get("sgd", learning_rate=0.1, nesterov=True, momentum=0.0)),
    case("optimizer", "made", "update is", optimizer=optax.adam(0.1000001)),
    case("optimizer", "user's", "update is",
         optimizer=named("mine", lambda learning_rate=0.1: optax.sgd(2 * learning_rate))),
    case("optimizer", "schedule", "update is",  # optax decides on this number in Python
         optimizer=scheduled(init_value=0.1, decay_rate=0.5000001)),
    case("optimizer", "schedule", "numbers.learning_rate.init_value is 0.1 there and 0.100000001",
         optimizer=scheduled(init_value=0.100000001, decay_rate=0.5)),
    case("optimizer", "noise", "numbers.noise.seed is 1 there and 2 here",
         optimizer=noisy(relative=0.1, seed=2)),
    case("optimizer", "noise", "numbers.noise.relative is 0.1 there and 0.0 here",
         optimizer=noisy(additive=0.1, seed=1)),
    case("starts.seed", "base", "starts.seed is 1 there and 2 here",
         starts=starts.uniform(4, seed=2)),
    case("starts.seed", "sobol", "starts.seed is 1 there and 2 here (sobol)",
         starts=starts.sobol(4, seed=2)),
    case("starts.seed", "init", "starts.seed is 1 there and 2 here (init)",
         starts=starts.init(4, seed=2)),
    case("starts.seed", "latin", "starts.seed is 1 there and 2 here (latin)",
         starts=starts.latin_hypercube(4, seed=2)),
    case("starts.number", "base", "starts.number is 4 there and 5 here",
         starts=starts.uniform(5, seed=1)),
    case("starts.number", "grid", "starts.number is 2 there and 3 here", starts=starts.grid(3)),
    case("starts.kind", "base", "starts.kind is 'uniform' there and 'sobol' here",
         starts=starts.sobol(4, seed=1)),
    case("starts.kind", "sobol", "starts.kind is 'sobol' there and 'latin_hypercube' here",
         starts=starts.latin_hypercube(4, seed=1)),
    case("starts.kind", "grid", "starts.kind is 'grid' there and 'array' here",
         starts=starts.grid(2).take(bowl(), 0, 4)),
    case("starts.points", "points", "starts.points is", starts=MOVED),
    case("starts.points", "points", "starts.points is ", starts=POINTS[::-1]),
    case("hyperparameters", "base", "hyperparameters.learning_rate[1] is 0.2 there and 0.20000001",
         hyperparameters={"learning_rate": [0.1, 0.20000001], "momentum": MOMENTA}),
    case("hyperparameters", "base", "dims.momentum is 2 there and 3 here",
         hyperparameters={"learning_rate": RATES, "momentum": [0.5, 0.9, 0.95]}),
    case("hyperparameters", "base", "dims.momentum is 2 there and 'absent' here",
         hyperparameters={"learning_rate": RATES}),
    case("hyperparameters", "base", "axes[1] is 'learning_rate' there and 'momentum' here",
         hyperparameters={"momentum": MOMENTA, "learning_rate": RATES}),
    case("hyperparameters", "zipped", "hyperparameters.momentum[0] is 0.5 there and 0.9 here",
         hyperparameters={("learning_rate", "momentum"): (RATES, MOMENTA[::-1])}),
    case("hyperparameters", "zipped", "dims.learning_rate is 'absent' there and 2 here",
         hyperparameters={"learning_rate": RATES, "momentum": MOMENTA}),
    case("steps", "base", "steps is 4 there and 5 here", steps=5),
    case("save_at", "base", "save_at[1] is 2 there and 3 here", save_at=[0, 3]),
    case("save_at", "base", "save_at is [0, 2] there and [0, 1, 2] here", save_at=[0, 1, 2]),
    case("save_at", "base", "variables.points is", save_at=None),
    case("stopping", "base", "stops is True there and False here", stopping=False),
    case("stopping.gradient", "base", "stopping.gradient is", stopping=StoppingRule(gradient=2e-6)),
    case("stopping.step", "base", "stopping.step is", stopping=StoppingRule(step=2e-6)),
    case("stopping.radius", "base", "stopping.radius is", stopping=StoppingRule(radius=2e-3)),
    case("stopping.value", "base", "stopping.value is", stopping=StoppingRule(value=2e-2)),
    case("keep", "base", "keep is ", keep=["outcome"]),
    case("paired", "paired", "paired.learning_rate is '",
         paired={"learning_rate": [0.1, 0.2, 0.3, 0.5]}),
    case("classify_rest", "base", "classify_rest is True there and False", classify_rest=False),
    case("objective.kink", "base", "kink is '", objective=bowl(kink=lambda p: p)),
    case("stopping.bound", "base", "stopping.bound is", stopping=StoppingRule(bound=101.0)),
    case("stopping.every", "base", "stopping.every is 10.0 there and 9.0",
         stopping=StoppingRule(every=9)),
    case("tolerance", "base", "tolerance is 0.0001 there and 0.0001000001", tolerance=1.000001e-4),
    case("gradient", "base", "gradient is 'autodiff' there and 'hand' here", gradient="hand"),
    case("dtype", "base", "dtype is 'float32' there and 'float64' here",
         dtype="float64"),
    case("chunk", "base", "chunk is 6 there and 5 here", chunk=5),
    case("kernel", "fast", "kernel is 'llvm' there and 'xla' here", kernel="xla"),
    case("kernel", "xla", "kernel is 'xla_math' there and 'xla' here", kernel="xla"),
]  # fmt: skip
# What may differ: another value, and why it does not matter.
FREE = {
    "store": (None, "it is where the results are"),
    "progress": (True, "it only shows"),
    "executor": (None, "the bits are the same whoever computes them"),
    "accept_version": (True, "it says what to do about a store of other versions"),
    "devices": (1, "the bits are the same on any number of processors"),
    "objective.hessian": (lambda p: 2 * jnp.eye(2), "descent does not look at it"),
    "objective.gradient": (lambda p: 3 * p, "autodiff is followed"),
    "objective.start": ((0, 1), "the starts are given"),
    "objective.saddles": ([(0.5, 0)], "only minima are told apart"),
    "objective.maxima": ([(0.5, 0)], "only minima are told apart"),
    "objective.complete": (True, "it says how much is known"),
    "objective.smoothness": ("kink", "it serves the checks of gradients"),
    "objective.float32": (False, "it warns a reader"),
    "objective.latex": ("x", "words"),
    "objective.gradient_latex": ("x", "words"),
    "objective.reference": ("x", "words"),
    "objective.variables": (["a", "b"], "words"),
    "objective.fit": (objectives.Fit({}, "y", np.zeros(1), len), "pictures draw it"),
}
PARTS = {  # of the inputs that have parts
    "objective": [field.name for field in dataclasses.fields(Objective)],
    "stopping": StoppingRule._fields,
    "starts": starts.Starts._fields,
}


def test_every_input_of_a_sweep_has_a_row_in_the_tables():
    inputs = {name for name in inspect.signature(gdjax.sweep).parameters if name != "objective"}
    parts = {f"{name}.{part}" for name, parts in PARTS.items() for part in parts}
    decides = {row.values[0] for row in DECIDES}
    assert (inputs | parts) - {"starts"} == decides | FREE.keys()
    kinds = {THERE[there]["starts"].kind for there in ("grid", "sobol", "latin", "init")}
    assert kinds | {"uniform"} == starts.MAKERS.keys()


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """By name the folders of THERE, empty of results, and what the sweeps' digests are."""

    @functools.cache
    def get(name):
        prepared = prepare(**BASE | THERE[name])
        store = Store.create(tmp_path_factory.mktemp("stores") / "store", prepared.layout)
        return store.place.folder, prepared.digest

    return get


def listing(path):
    return {p: p.stat().st_mtime_ns for p in path.rglob("*")}


@pytest.mark.parametrize(("inside", "there", "change", "words"), DECIDES)
def test_a_store_is_refused_when_one_input_differs(stores, inside, there, change, words):
    settings = BASE | THERE[there] | change
    assert set(change) == {inside.partition(".")[0]}
    path, digest = stores(there)
    before = listing(path)
    with pytest.raises(gdjax.ArgumentError, match="holds another sweep") as caught:
        gdjax.sweep(**settings, store=path)
    assert re.sub(r" \(\w+\)$", "", words).strip() in str(caught.value)
    assert listing(path) == before
    assert prepare(**settings).digest != digest  # by which a command names its stores


def test_a_store_is_refused_when_tiles_have_another_size(tmp_path, monkeypatch):
    settings = BASE | {"objective": bowl()}  # not seen by any cache
    Store.create(tmp_path, prepare(**settings).layout)
    monkeypatch.setattr(choice, "CPU_TILE", 8)
    with pytest.raises(gdjax.ArgumentError, match="tile is 16 there and 8 here"):
        gdjax.sweep(**settings | {"objective": bowl()}, store=tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished store of BASE, and its results."""
    path = tmp_path_factory.mktemp("finished") / "store"
    return path, gdjax.sweep(**BASE | {"kernel": "auto"}, store=path)


@pytest.mark.parametrize("name", [name for name in FREE if "." not in name] + ["objective"])
def test_a_store_is_continued_whatever_does_not_matter(finished, tmp_path, name):
    path, whole = finished
    if name == "objective":
        value = bowl(**{n.partition(".")[2]: new for n, (new, why) in FREE.items() if "." in n})
    else:
        value = shutil.copytree(path, tmp_path / "store") if name == "store" else FREE[name][0]
    settings = BASE | {"kernel": "auto", "store": path} | {name: value}
    assert gdjax.sweep(**settings).identical(whole)


SAME = {
    "name": {"optimizer": "heavy_ball"},
    "function": {"objective": bowl(fn=lambda x: jnp.sum(x**2))},
    "arrays": {"hyperparameters": {"learning_rate": np.array(RATES), "momentum": (0.5, 0.9)}},
    "every": {"save_at": range(0, 4, 2)},
    "rule": {"stopping": StoppingRule()},
    "default": {"dtype": None},
    "fixed number": {"optimizer": gdjax.heavy_ball(0.1)},
}


@pytest.mark.parametrize("spelling", SAME)
def test_a_store_is_continued_however_the_same_is_asked_for(finished, spelling):
    path, whole = finished
    again = gdjax.sweep(**BASE | {"kernel": "auto"} | SAME[spelling], store=path)
    assert again.identical(whole)


# ---- Interrupted and continued -------------------------------------------------------------

SETTINGS = {
    "optimizer": gdjax.heavy_ball, "starts": starts.uniform(10000, 4),
    "hyperparameters": {"learning_rate": [0.02, 0.1], "momentum": [0.5, 0.9]},
    "steps": 200, "chunk": 1000,
}  # fmt: skip
SCRIPT = """
import sys, gdjax
gdjax.sweep(gdjax.objectives.get("qfsp"), gdjax.heavy_ball, gdjax.starts.uniform(10000, 4),
            {"learning_rate": [0.02, 0.1], "momentum": [0.5, 0.9]}, 200, chunk=1000,
            store=sys.argv[1])
"""


def assert_same_numbers(found, whole):
    assert found.data_vars.keys() == whole.data_vars.keys()
    for name in whole.data_vars:
        np.testing.assert_array_equal(found[name], whole[name])


@pytest.fixture(scope="module")
def whole_sweep():
    return gdjax.sweep(QFSP, **SETTINGS)


@pytest.mark.parametrize("kills", [1, pytest.param(6, marks=pytest.mark.full)])
def test_a_sweep_killed_at_random_and_continued_has_the_bits_of_a_whole_one(
    tmp_path, whole_sweep, kills
):
    store, done = tmp_path / "store", 0
    for kill in range(kills):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(store)])
        while process.poll() is None and not list(store.glob("status/c/*")):
            time.sleep(0.001)
        time.sleep(random.Random(kill).uniform(0, 0.3))
        process.kill()
        process.wait()
        found = gdjax.open_results(store)
        now = int((found.outcome >= 0).sum()) // 1000
        assert now >= max(done, 1)  # a mark once set stays
        done = now
    again = gdjax.sweep(QFSP, **SETTINGS, store=store)
    assert again.attrs["complete"]
    assert_same_numbers(again, whole_sweep)


def test_finished_chunks_are_not_computed_again(tmp_path, whole_sweep, capsys):
    store = tmp_path / "store"
    gdjax.sweep(QFSP, **SETTINGS, store=store)
    lost = {"3", "17", "39"}
    for chunk in lost:
        (store / "status" / "c" / chunk).unlink()  # as if it had not been finished
    (store / FINISHED).unlink()
    before = listing(store)
    capsys.readouterr()
    again = gdjax.sweep(QFSP, **SETTINGS, store=store, progress=True)
    assert " 37.0k/40.0k" in capsys.readouterr().err.split("\r")[1]
    after = listing(store)
    changed = {p.relative_to(store).parts for p in after if before.get(p) != after[p]}
    assert {parts[2] for parts in changed if len(parts) > 2} == lost
    marks = {("status", "c", chunk) for chunk in lost}
    status = {parts for parts in changed if parts[0] == "status"}
    assert status == {*marks, ("status", "finished"), ("status", "c"), ("status",)}
    assert_same_numbers(again, whole_sweep)


def test_an_interrupt_is_answered_soon_and_leaves_a_store_that_continues(tmp_path):
    store = tmp_path / "store"
    asked = []

    def press():
        while not list(store.glob("status/c/*")):
            time.sleep(0.01)
        asked.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    rates = {"learning_rate": np.linspace(0.001, 0.1, 1000), "momentum": np.linspace(0, 0.9, 300)}
    settings = SETTINGS | {"starts": starts.uniform(1000), "chunk": 2**18, "hyperparameters": rates}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=press, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            gdjax.sweep(QFSP, **settings, store=store)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.perf_counter() - asked[0] < 5  # about one on a quiet machine; tests share theirs
    flat = gdjax.open_results(store, flat=True, variables=["outcome"])
    assert not flat.attrs["complete"]
    marked = [int(mark.name) for mark in store.glob("status/c/*")]
    assert marked
    for chunk in marked:
        assert (flat.outcome[chunk * 2**18 : (chunk + 1) * 2**18] >= 0).all()


def test_progress_counts_every_cell(capsys):
    for count, shown in {50: "50.0/50.0", 5000: "5.00k/5.00k"}.items():
        gdjax.sweep(QFSP, gdjax.heavy_ball(0.1), starts.uniform(count), progress=True)
        assert shown in capsys.readouterr().err
    gdjax.sweep(QFSP, gdjax.heavy_ball(0.1), starts.uniform(5000))
    assert not capsys.readouterr().err


def test_what_is_not_said_is_the_default(tmp_path, capsys):
    bare = {"objective": bowl(), "optimizer": gdjax.heavy_ball(0.1)}
    said = {
        "starts": [[0.5, 2.0]], "hyperparameters": {}, "steps": 100, "save_at": None,
        "stopping": True, "classify_rest": True, "keep": None, "tolerance": 1e-4,
        "gradient": "autodiff", "dtype": "float32", "chunk": 1, "kernel": "auto",
        "accept_version": False, "paired": {},
    }  # fmt: skip
    assert said.keys() | bare.keys() | {"store", "progress", "devices", "executor"} == {
        *inspect.signature(gdjax.sweep).parameters
    }
    found = gdjax.sweep(**bare, store=tmp_path / "store")
    assert gdjax.sweep(**bare | said, store=tmp_path / "store").identical(found)
    assert_same_numbers(engine.Sweep(plans(**bare)).run(), found)
    assert_same_numbers(gdjax.sweep(**bare), found)
    assert engine.Sweep(plans(**bare)).layout.attrs["kernel"] == "llvm"
    assert not capsys.readouterr().err


# ---- Memory and disk -----------------------------------------------------------------------


def free(monkeypatch, *, memory=2**40, disk=2**50):
    """A machine with so many free bytes."""
    monkeypatch.setattr(engine, "available_memory", lambda: memory)
    usage = types.SimpleNamespace(free=disk)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)


def made(found):
    """Bytes of the results and of the starts."""
    return sum(v.nbytes for v in found.data_vars.values()) + found["start_point"].nbytes


SIZES = {
    "summary": {"objective": QFSP, "dtype": "float32"},
    "paths": {"objective": objectives.get("sphere"), "dtype": "float64", "save_at": "all"},
}


@pytest.mark.parametrize("kind", SIZES)
def test_a_sweep_asks_for_the_memory_that_its_results_take(monkeypatch, kind):
    settings = {"optimizer": gdjax.heavy_ball(0.1), "starts": starts.uniform(40000), "steps": 3}
    settings |= SIZES[kind] | {"hyperparameters": {"momentum": [0.5, 0.9]}}
    free(monkeypatch)
    found = gdjax.sweep(**settings)
    each = sum(v.nbytes for v in found.data_vars.values()) // 80000
    four_fifths = -(-made(found) * 5 // 4)
    free(monkeypatch, memory=four_fifths)
    gdjax.sweep(**settings)
    free(monkeypatch, memory=four_fifths - 1)
    with pytest.raises(gdjax.ArgumentError) as caught:
        gdjax.sweep(**settings)
    megabytes = f"{made(found) / 1e6:.3g} MB of memory"
    assert f"{megabytes}, {each} bytes for each of 80,000 descents beside" in str(caught.value)
    assert "store='a folder'" in str(caught.value)
    assert ("fewer recorded steps" in str(caught.value)) == (kind == "paths")


@pytest.mark.parametrize("kind", SIZES)
def test_a_sweep_into_a_store_asks_for_two_chunks_of_memory_and_for_the_disk(
    monkeypatch, tmp_path, kind
):
    settings = {"optimizer": gdjax.heavy_ball(0.1), "starts": starts.uniform(100000), "steps": 3}
    settings |= SIZES[kind] | {"chunk": 32000}  # whole tiles
    free(monkeypatch)
    found = gdjax.sweep(**settings, store=tmp_path / "whole")
    each = sum(v.nbytes for v in found.data_vars.values()) // 100000
    written = sum(p.stat().st_size for p in (tmp_path / "whole").rglob("*") if p.is_file())
    assert written < made(found) + 2**16  # it is compressed, and a few kilobytes are labels
    enough = {"memory": -(-each * 64000 * 5 // 4), "disk": -(-made(found) * 5 // 4)}
    free(monkeypatch, **enough)
    gdjax.sweep(**settings, store=tmp_path / "just")
    free(monkeypatch, **enough | {"memory": enough["memory"] - 1})
    with pytest.raises(gdjax.ArgumentError) as caught:
        gdjax.sweep(**settings, store=tmp_path / "new")
    assert f"{each} bytes for each of 64,000 descents, and" in str(caught.value)
    assert "take a smaller chunk" in str(caught.value)
    assert "store=" not in str(caught.value)
    free(monkeypatch, **enough | {"disk": enough["disk"] - 1})
    with pytest.raises(gdjax.ArgumentError, match="this sweep of 100,000 descents needs") as caught:
        gdjax.sweep(**settings, store=tmp_path / "new")
    assert f"up to {made(found) / 1e6:.3g} MB on the disk, and" in str(caught.value)
    assert "take fewer starts or values" in str(caught.value)
    assert ("or save fewer steps" in str(caught.value)) == (kind == "paths")
    assert not (tmp_path / "new").exists()
    gdjax.sweep(**settings, store=tmp_path / "whole")  # what is there is not asked for again


def test_a_little_memory_is_not_asked_for(monkeypatch):
    monkeypatch.setattr(engine, "available_memory", lambda: pytest.fail("asked"))
    gdjax.sweep(QFSP, gdjax.heavy_ball(0.1), starts.uniform(20000), steps=1)


def test_a_grid_larger_than_the_disk_is_refused_by_its_sides(tmp_path):
    grid, store = starts.grid(10**6), tmp_path / "new" / "store"
    with pytest.raises(
        gdjax.ArgumentError,
        match=r"1,000,000,000,000 descents \(1,000,000 starts a side, 2 sides\) needs up to .* on "
        r"the disk, and .* are free; take fewer starts a side or values$",
    ):
        gdjax.sweep(QFSP, gdjax.gradient_descent(0.1), grid, store=store)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("devices", [0, -1, 1.5, True])
def test_a_number_of_devices_is_a_whole_number(devices, untyped):
    with pytest.raises(gdjax.ArgumentError, match="devices must be a whole number, at least 1"):
        gdjax.sweep(QFSP, gdjax.heavy_ball(0.1), devices=devices)
