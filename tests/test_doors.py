"""Every public verb takes every noun that a person may bring, or refuses it in one line.

The nouns are written once, the verbs once; the test crosses them. A verb that is not in the table
fails it, and so does a noun that ends in anything but a result or an ``ArgumentError``.
"""

import dataclasses
import functools
import inspect
import re
import warnings

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from matplotlib.figure import Figure

import gdjax

# Nouns: objectives, each with what it may be started from


def valley(p):
    return (p[0] - 1) ** 2 + 4 * (p[1] + 0.5) ** 2


def weighed(p, weight, shift):
    return weight * ((p - shift) ** 2).sum()


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Model:
    slope: jax.Array
    offset: jax.Array


def of_a_model(model):
    return (model.slope**2).sum() + 3 * (model.offset - 1) ** 2


def of_a_dict(p):
    return p["b1"] ** 2 + 3 * (p["b2"] - 1) ** 2


def of_a_tuple(p):
    return (p[0] ** 2).sum() + 3 * (p[1] - 1) ** 2


def of_a_line(x):
    return (x - 1) ** 2


INPUTS = np.random.default_rng(0).normal(size=(8, 1))


def of_a_network(net, inputs):
    return jnp.mean((jax.vmap(net)(inputs)[:, 0] - inputs.sum(axis=1)) ** 2)


MODEL = Model(jnp.ones(2), jnp.zeros(()))
DICT = {"b1": 1.0, "b2": 2.0}
TUPLE = (np.array([1.0, 2.0]), 3.0)
NETWORK = equinox.nn.MLP(1, 1, 2, 1, key=jax.random.key(0))
NUMPY_DATA = np.array([0.25, 0.75])

OBJECTIVES = {
    "Objective": (gdjax.Objective(fn=valley, domain=[(-3, 3)] * 2), [1.5, 2.0]),
    "of the catalogue": (gdjax.objectives.get("qfsp"), (7.11, 6.97)),
    "name": ("qfsp", np.array([7.11, 6.97])),
    "function": (valley, [2, 1]),
    "compiled function": (jax.jit(valley), [2.0, 1.0]),
    "partial": (functools.partial(weighed, weight=2.0, shift=1.0), jnp.array([2.0, 1.5])),
    "over NumPy data": (lambda p: jnp.sum((NUMPY_DATA - p) ** 2), np.array([2.0, 1.5])),
    "over JAX data": (lambda p: jnp.sum((jnp.ones(2) - p) ** 2), (2.0, 1.5)),
    "with args": (
        gdjax.Objective(fn=weighed, start=(2.0, 1.5), args=(2.0, NUMPY_DATA)), [2.0, 1.5],
    ),
    "by its residuals": (
        gdjax.Objective(residuals=lambda p: p - NUMPY_DATA, start=(2.0, 1.5)), [2.0, 1.5],
    ),
    "without a domain": (gdjax.Objective(fn=valley, start=(2.0, 1.5)), [2.0, 1.5]),
    "without minima": (gdjax.Objective(fn=valley, domain=[(-3, 3)] * 2, minima=None), [2.0, 1.0]),
    "named variables": (
        gdjax.Objective(fn=valley, start=(2.0, 1.5), variables=("A", "tau")), {"A": 2, "tau": 1},
    ),
    "of a number": (of_a_line, 3.0),
    "of a dict": (of_a_dict, DICT),
    "of a tuple": (of_a_tuple, TUPLE),
    "of a dataclass": (of_a_model, MODEL),
    "of a dict, Objective": (gdjax.Objective(fn=of_a_dict, start=DICT), DICT),
    "of a network": (gdjax.Objective(fn=of_a_network, start=NETWORK, args=INPUTS), NETWORK),
}  # fmt: skip
NOT_OBJECTIVES = {
    "a number": 3,
    "an unknown name": "qfps",
    "None": None,
    "an array": np.ones(2),
    "a class": Figure,
    "a function of nothing": lambda: 1.0,
    "a function that returns nothing": lambda p: None,
    "a function that returns a vector": lambda p: jnp.ones(2),
    "a function of Python's numbers": lambda p: float(p[0]),
    "a function that fails": lambda p: 1 / 0,
}
OPTIMIZERS = {
    "Optimizer": gdjax.heavy_ball(0.05, 0.5),
    "made by name": gdjax.optimizers.get("adam", learning_rate=0.1),
    "object of optax": optax.adam(0.1),
    "chain of optax": optax.chain(optax.clip(1.0), optax.sgd(0.1, momentum=0.5)),
    "injected": optax.inject_hyperparams(optax.sgd)(learning_rate=0.1),
    "factory": gdjax.heavy_ball,
    "factory of optax": optax.adam,
    "partial": functools.partial(optax.adam, b1=0.5),
    "name": "adam",
    "with a schedule": optax.sgd(optax.cosine_decay_schedule(0.1, 100)),
    "factory by schedule": functools.partial(optax.sgd, optax.cosine_decay_schedule(0.1, 100)),
    "line search": "lbfgs",
    "several steps in one": optax.MultiSteps(optax.adam(0.1), 2),
    "random": optax.noisy_sgd(0.01, key=jax.random.key(0)),
    "a pair of points": optax.lookahead(optax.sgd(0.1), 2, 0.5),
    "a rate for each component": optax.sgd(jnp.array([0.01, 0.02])),
    "with extra arguments": optax.contrib.momo(1.0),
}
NOT_OPTIMIZERS = {
    "a number": 3,
    "None": None,
    "an unknown name": "adm",
    "a factory of something else": dict,
    "a function that fails": lambda learning_rate=0.1: 1 / 0,
    "pair": (1, 2),
}
COUNTS = {"int": 3, "NumPy's": np.int64(3), "JAX's": jnp.int32(3)}
NOT_COUNTS = {"negative": -1, "float": 2.5, "bool": True, "None": None, "text": "3", "array": [3]}

F, ADAM = gdjax.objectives.get("qfsp"), gdjax.optimizers.get("adam", learning_rate=0.1)


def swept(objective, start, **options):
    given = [start, start] if start is not None else None
    return gdjax.sweep(objective, "heavy_ball", given, steps=2, **options)


def ranked(objective, optimizers):
    return gdjax.rank(objective, optimizers, budget=6, trials=2, starts=2, held_out=2, seeds=1)


def pictured(draw):
    """A picture of an objective and a descent on it."""
    return lambda f, x: draw(f, gdjax.descend(f, "adam", x, steps=3))


def pictured_sweep(draw, **options):
    return lambda f, x: draw(swept(f, x, **options), f)


TWO = {"learning_rate": [0.01, 0.02], "momentum": [0.1, 0.2]}
WITH_OBJECTIVES = {  # verb: objective, start → result
    "descend": lambda f, x: gdjax.descend(f, "adam", x, steps=3),
    "compare": lambda f, x: gdjax.compare(f, {"a": "adam", "b": optax.sgd(0.01)}, x, steps=3),
    "sweep": lambda f, x: swept(f, x, hyperparameters={"learning_rate": [0.01, 0.02]}),
    "rank": lambda f, x: ranked(f, "adam"),
    "check_gradient": lambda f, x: gdjax.check_gradient(f, around=x, points=4),
    "check_hessian": lambda f, x: gdjax.check_hessian(f, around=x, points=4),
    "assert_gradient": lambda f, x: gdjax.assert_gradient(f, around=x, points=4),
    "certify_equivalence": lambda f, x: gdjax.certify_equivalence(
        gdjax.heavy_ball(0.01), optax.sgd(0.01, momentum=0.9), f, [x], steps=3
    ),
    "hypergradient": lambda f, x: gdjax.hypergradient(f, "heavy_ball", x, steps=3),
    "tune_by_gradient": lambda f, x: gdjax.tune_by_gradient(
        f, "heavy_ball", [x], steps=2, rounds=2
    ),
    "stationary_points": lambda f, x: gdjax.stationary_points(f, [x]),
    "regression": lambda f, x: gdjax.regression(f, x),
    "sharpness": lambda f, x: gdjax.sharpness(f, x),
    "train": lambda f, x: gdjax.train(f, "adam", x, steps=3),
    "landscape": lambda f, x: gdjax.landscape(f, x, points=3),
    "spectral_density": lambda f, x: gdjax.spectral_density(f, x, probes=1),
    "hessian_trace": lambda f, x: gdjax.hessian_trace(f, x, probes=2),
    "plotting.trajectory": pictured(gdjax.plotting.trajectory),
    "plotting.comparison": pictured(gdjax.plotting.comparison),
    "plotting.convergence": pictured(gdjax.plotting.convergence),
    "plotting.curve": pictured(gdjax.plotting.curve),
    "plotting.fit": pictured(gdjax.plotting.fit),
    "plotting.gradient_field": lambda f, x: gdjax.plotting.gradient_field(f),
    "plotting.surface": lambda f, x: gdjax.plotting.surface(f),
    "plotting.animate": pictured(gdjax.plotting.animate),
    "plotting.basin_map": pictured_sweep(gdjax.plotting.basin_map),
    "plotting.paths_grid": pictured_sweep(gdjax.plotting.paths_grid, save_at="all"),
    "plotting.stability_map": pictured_sweep(
        gdjax.plotting.stability_map, hyperparameters=TWO
    ),
    "plotting.sweep_pictures": pictured_sweep(
        gdjax.plotting.sweep_pictures, hyperparameters=TWO, save_at="all"
    ),
}  # fmt: skip
WITH_OPTIMIZERS = {  # verb: optimizer → result
    "descend": lambda o: gdjax.descend(F, o, steps=2),
    "compare": lambda o: gdjax.compare(F, {"mine": o}, steps=2),
    "sweep": lambda o: gdjax.sweep(F, o, steps=2),
    "train": lambda o: gdjax.train(F, o, steps=2),
    "rank": lambda o: ranked("booth", {"mine": o}),
    "certify_equivalence": lambda o: gdjax.certify_equivalence(o, o, F, 1, steps=2),
    "hypergradient": lambda o: gdjax.hypergradient(F, o, steps=2),
    "tune_by_gradient": lambda o: gdjax.tune_by_gradient(F, o, 1, steps=2, rounds=1),
}
WITH_COUNTS = {  # verb: count → result
    "descend": lambda n: gdjax.descend(F, ADAM, steps=n),
    "compare": lambda n: gdjax.compare(F, {"a": ADAM}, steps=n),
    "sweep": lambda n: gdjax.sweep(F, ADAM, steps=n),
    "rank": lambda n: gdjax.rank(
        "booth", "adam", budget=n, trials=n, starts=n, held_out=n, seeds=n
    ),
    "check_gradient": lambda n: gdjax.check_gradient(F, points=n, seed=n),
    "check_hessian": lambda n: gdjax.check_hessian(F, points=n, seed=n),
    "assert_gradient": lambda n: gdjax.assert_gradient(F, points=n, seed=n),
    "certify_equivalence": lambda n: gdjax.certify_equivalence(ADAM, ADAM, F, n, n, seed=n),
    "hypergradient": lambda n: gdjax.hypergradient(F, ADAM, steps=n),
    "tune_by_gradient": lambda n: gdjax.tune_by_gradient(F, ADAM, n, n, rounds=n, seed=n),
    "sharpness": lambda n: gdjax.sharpness(F, seed=n),
    "train": lambda n: gdjax.train(F, ADAM, steps=n, every=n, checkpoint=n),
    "landscape": lambda n: gdjax.landscape(F, points=n, seed=n),
    "spectral_density": lambda n: gdjax.spectral_density(F, seed=n, probes=1),
    "hessian_trace": lambda n: gdjax.hessian_trace(F, seed=n, probes=2),
    "stationary_points": lambda n: gdjax.stationary_points(F, n, seed=n),
    "plotting.gradient_field": lambda n: gdjax.plotting.gradient_field(F, arrows=n),
}  # fmt: skip


def crossed(nouns, verbs, often):
    """Some nouns with every verb, and every noun with one, every day; with every fourth in full."""
    assert {*often} <= {*nouns}
    cases = [
        pytest.param(n, v, marks=() if n in often or v == "descend" else pytest.mark.full)
        for i, n in enumerate(nouns) for j, v in enumerate(verbs)
        if n in often or v == "descend" or (i + j) % 4 == 1
    ]  # fmt: skip
    return pytest.mark.parametrize(("noun", "verb"), cases)


def answered(call):
    """The result of a call, or the one line in which it is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a derivative that means nothing says so
        try:
            return call()
        except gdjax.ArgumentError as error:
            message = str(error)
            assert message.count("\n") == 0, message
            assert 10 < len(message) < 600, message
            return message


# What a verb has no use for, and how it says so
BARE = {"function", "compiled function", "partial", "over NumPy data", "over JAX data",
        "of a number", "of a dict", "of a tuple", "of a dataclass"}  # fmt: skip
UNBOUNDED = {"with args", "by its residuals", "without a domain", "named variables",
             "of a dict, Objective", "of a network"}  # fmt: skip
LARGE = {"of a tuple", "of a dataclass", "of a network"}
ONE = {"of a number"}
TOO_LARGE = {"dimension|must come as the gdjax.Objective": LARGE | ONE}
REFUSED = {
    "rank": {"needs a start": BARE, "needs a domain": UNBOUNDED},
    "regression": {"needs an objective with residuals": {*OBJECTIVES} - {"by its residuals"}},
    "plotting.curve": {"curve needs 1 dimension": {*OBJECTIVES} - ONE},
    "plotting.fit": {"fit needs data": {*OBJECTIVES}},
    "plotting.gradient_field": {"needs a start": BARE},
    "plotting.surface": {"needs a start": BARE},
    "plotting.basin_map": TOO_LARGE,
    "plotting.paths_grid": TOO_LARGE,
    "plotting.stability_map": {"must come as": {"of a tuple", "of a dataclass"}},
    "plotting.sweep_pictures": {"must come as": {"of a tuple", "of a dataclass"}},
}
MADE = {"object of optax", "chain of optax", "injected", "with a schedule", "several steps in one",
        "random", "a pair of points", "a rate for each component",
        "with extra arguments"}  # fmt: skip
REFUSED_OPTIMIZERS = {
    "rank": {"must be names, factories": MADE},
    "hypergradient": {"must have numbers": MADE | {"line search", "factory by schedule"}},
    "tune_by_gradient": {"must have numbers": MADE | {"line search", "factory by schedule"}},
}


def check(found, noun, whys):
    """A result, or the line that the tables foresee."""
    refused = [why for why, nouns in whys.items() if noun in nouns]
    assert isinstance(found, str) == bool(refused), found
    assert not refused or re.search(refused[0], found), found


def verbs_of(module, prefix=""):
    """The public functions of a module that take an objective, an optimizer or a count."""
    found = {"objective", "objectives", "function", "optimizer", "optimizers", "a", "steps"}
    for name in module.__all__:
        verb = getattr(module, name)
        if inspect.isfunction(verb) and found & {*inspect.signature(verb).parameters}:
            yield prefix + name


def test_every_verb_has_its_row():
    own = {"gradient_descent", "heavy_ball", "nesterov", "gauss_newton", "levenberg_marquardt"}
    verbs = {*verbs_of(gdjax), *verbs_of(gdjax.plotting, "plotting.")} - own
    # a ranking's objectives are names; a page needs a domain, and has tests of its own
    others = {"plotting.convergence_bands", "explore"}
    assert verbs - others == {*WITH_OBJECTIVES}
    for table, words in (
        (WITH_OPTIMIZERS, {"optimizer", "optimizers", "a"}),
        (WITH_COUNTS, {"steps", "points", "budget", "starts", "arrows", "rounds", "seed"}),
    ):
        for verb in sorted(verbs - {"explore"}):
            owner = gdjax.plotting if verb.startswith("plotting.") else gdjax
            parameters = {*inspect.signature(getattr(owner, verb.split(".")[-1])).parameters}
            assert (verb in table) == bool(parameters & words), verb


@crossed(OBJECTIVES, WITH_OBJECTIVES, often=["function", "of a dict, Objective"])
def test_an_objective_of_any_kind_is_taken(untyped, noun, verb):
    objective, start = OBJECTIVES[noun]
    found = answered(lambda: WITH_OBJECTIVES[verb](objective, start))
    check(found, noun, REFUSED.get(verb, {}))


@crossed(NOT_OBJECTIVES, WITH_OBJECTIVES, often=["a number", "a function that fails"])
def test_what_is_no_objective_is_refused_in_one_line(untyped, noun, verb):
    found = answered(lambda: WITH_OBJECTIVES[verb](NOT_OBJECTIVES[noun], [1.0, 2.0]))
    assert isinstance(found, str)


@crossed(OPTIMIZERS, WITH_OPTIMIZERS, often=["object of optax", "partial"])
def test_an_optimizer_of_any_kind_is_taken(untyped, noun, verb):
    found = answered(lambda: WITH_OPTIMIZERS[verb](OPTIMIZERS[noun]))
    check(found, noun, REFUSED_OPTIMIZERS.get(verb, {}))


@crossed(NOT_OPTIMIZERS, WITH_OPTIMIZERS, often=["None", "a function that fails"])
def test_what_is_no_optimizer_is_refused_in_one_line(untyped, noun, verb):
    found = answered(lambda: WITH_OPTIMIZERS[verb](NOT_OPTIMIZERS[noun]))
    assert isinstance(found, str)


@crossed(COUNTS, WITH_COUNTS, often=["NumPy's"])
def test_a_count_is_any_integer(untyped, noun, verb):
    found = answered(lambda: WITH_COUNTS[verb](COUNTS[noun]))
    assert not isinstance(found, str), found


@crossed(NOT_COUNTS, WITH_COUNTS, often=["float", "text"])
def test_what_is_no_count_is_refused_in_one_line(untyped, noun, verb):
    found = answered(lambda: WITH_COUNTS[verb](NOT_COUNTS[noun]))
    assert isinstance(found, str)
    assert re.search(r"must be|needs", found), found


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gdjax.descend(valley, "adam", []), "start must hold at least one number"),
        (lambda: gdjax.sweep(valley, "adam", []), "must hold at least one"),
        (lambda: gdjax.sweep(of_a_dict, "adam", [DICT, {"b1": 1.0}]), "starts must be a pytree of"),
        (lambda: gdjax.plotting.trajectory(valley, gdjax.descend(of_a_dict, "adam", DICT, steps=1)),
         "valley fails on a point"),
        (lambda: gdjax.plotting.comparison(F, [gdjax.descend(F, "adam", steps=1)]),
         "paths must be trajectories by label"),
        (lambda: gdjax.descend(F, "adam", np.ones((20, 20))), "start must"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_line(untyped, call, words):
    found = answered(call)
    assert isinstance(found, str)
    assert words in found
