"""Every key of every command's config arrives in what the command asks of the library, or writes.

A row is a key, another value of it, and what that changes; all else must stay as it was. A key
without a row fails.
"""

import contextlib
import functools
import inspect
import json
import re
import warnings
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import by_hand
import jax
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf

import gdjax
from gdjax import objectives, optimizers
from gdjax.cli.studies import studies

CONF = Path(gdjax.__file__).parents[1] / "conf"

pytestmark = pytest.mark.usefixtures("untyped")  # what stands in for results has no types


# The seams: where a command meets the library. Only these functions know where things live.


@functools.lru_cache
def composed(task, *words):
    """The config of a command, as Hydra composes it from the words of the call."""
    from gdjax.cli.choices import store_choices
    from gdjax.cli.hydra_versions import BASE
    from gdjax.cli.spelling import spelled_out

    store_choices(task)
    with initialize_config_dir(str(CONF), **BASE):
        return compose(task, spelled_out(task, list(words)))


def perform(task, config, folder):
    """What the command does with a config; returns its exit code."""
    from gdjax.cli import settings
    from gdjax.cli.commands import find
    from gdjax.cli.output_folder import OutputFolder

    asked = settings.read(task, OmegaConf.to_container(config, resolve=True))
    done = find(task)(asked, OutputFolder(folder, config.get("plot")))
    return done and done.code


def commands():
    from gdjax.cli.commands import COMMANDS

    return COMMANDS


@contextlib.contextmanager
def library(told, objects):
    """Stands in for the library: ``told`` has what it was asked for, and nothing is computed."""
    from gdjax import certificates, plotting, results
    from gdjax._sweep import engine, plan
    from gdjax.cli import certify, check, compare, descents, landscapes, rank, run, sweep, train
    from gdjax.comparison import comparison, tuning
    from gdjax.explorer import pages

    class Sweep(engine.Sweep):
        kept = "outcome", "minimum", "steps_to_tolerance", "points"
        layout, digest = SimpleNamespace(variables=kept, cells=0, chunks=0, bounds=None), "digest"

        def __init__(self, asked, devices, kernel, in_memory):
            told.update(devices=devices, kernel=kernel)
            assert not in_memory

        def run(self, store, progress, accept_version, executor):
            told.update(store=str(store), accept_version=accept_version)
            return by_hand.sweep_of([0], [0], [1], [1])

    def asks(function, answer, before=""):
        """The function's arguments by name, as they were asked for, and the answer."""

        def asked(*args, **kwargs):
            bound = inspect.signature(function).bind(*args, **kwargs)
            bound.apply_defaults()
            told.update({before + key: plain(value) for key, value in bound.arguments.items()})
            told.pop("progress", None)
            objects.append(bound.arguments)
            return answer(bound.arguments)

        return asked

    def several(objective, optimizer, starts, hyperparameters, **settings):
        several = isinstance(objective, list)
        first = objective[0] if several else objective
        asks(plan.plan, lambda asked: None)(
            first, optimizer[0] if isinstance(optimizer, list) else optimizer, starts,
            hyperparameters, **settings,
        )  # fmt: skip
        told.update(objective=plain(objective), optimizer=plain(optimizer))
        return SimpleNamespace(by_objective=[SimpleNamespace(objective=first)])

    def certificate(kind):
        def report(asked):
            told.setdefault("checked", []).append(f"{kind} of {asked['function'].name}")
            told.pop("function")  # several at a time: the last one is chance
            name = asked["function"].name
            return SimpleNamespace(
                kind=kind, name=name, ok=True, undecided=False, line=name, error=0.0
            )

        return report

    def saved(figure, path, dpi=150):
        path.touch()
        told.setdefault("pictures", []).append(path.name.removeprefix(".partial-"))
        size = figure.get_size_inches().tolist()
        told.update(dpi=dpi, title=figure.axes[0].get_title() or None)
        told.update(figsize=None if size == Figure().get_size_inches().tolist() else size)
        return path

    def pictures(found, objective, names):
        told["plots"] = names
        return dict.fromkeys(names or ("basins",), blank())

    def same(asked):
        told.setdefault("certified", []).append(f"{asked['objective'].name} {asked['dtype']}")
        trial = SimpleNamespace(
            ulps=1.0,
            carried=0.0,
            forced="state",
            evidence="",
            verdict="same",
            _asdict=lambda: {"ulps": 1.0},
        )
        return SimpleNamespace(
            a=repr(asked["a"]), b=repr(asked["b"]), verdict="same", same=True, trials=[trial]
        )

    def one(asked):
        told["optimizers"] = {(made := told.pop("optimizer")): made}
        told.pop("stopping")  # a run has no say in it
        return PATH_TAKEN

    def drawn(objective, found, axes, drape, window, view, cmap):
        told.update(axes=axes, drape=drape, window=window, view=view, cmap=cmap)
        return blank()

    def animated(*how, **look):
        drawn(*how, **look)
        told["animated"] = True
        return SimpleNamespace(save=lambda file, progress: file.touch())

    def blank():
        figure = Figure()
        figure.add_subplot()
        return figure

    def fake(where, name, stand_in):
        return patch.object(where, name, stand_in)

    fakes = [
        fake(run, "descend", asks(run.descend, one)),
        fake(descents, "rates", lambda *_: NO_RATES),
        fake(comparison, "compare", asks(comparison.compare, compared)),
        fake(plotting, "comparison", drawn),
        fake(plotting, "animate", animated),
        fake(plotting, "fit", lambda *_: blank()),
        fake(plotting, "certificate", lambda report: blank()),
        fake(plotting, "convergence", lambda *_: blank()),
        fake(plotting, "save", saved),
        fake(plotting, "sweep_pictures", pictures),
        fake(plotting, "RANKING_PICTURES", {"ranks": lambda found: blank()}),
        fake(compare, "certify_equivalence",
             asks(certificates.certify_equivalence, same, "certified with ")),
        fake(certify, "certify_equivalence", asks(certificates.certify_equivalence, same)),
        fake(train.runs, "train", asks(train.runs.train, trained)),
        fake(plotting, "training", lambda run: blank()),
        fake(landscapes.slices, "landscape",
             asks(landscapes.slices.landscape, lambda asked: SLICE_TAKEN)),
        fake(plotting, "landscape_slice", lambda found: blank()),
        fake(check, "check_gradient", asks(certificates.check_gradient, certificate("gradient"))),
        fake(check, "check_hessian", asks(certificates.check_hessian, certificate("Hessian"))),
        fake(rank, "ranked", asks(tuning.rank, lambda asked: by_hand.ranking())),
        fake(pages, "explore", asks(pages.explore, lambda asked: pages.Page("a page"))),
        fake(pages, "show", lambda file: told.update(page=str(file)) or True),
        fake(sweep, "plans", several),
        fake(sweep, "estimate", lambda prepared: told.update(plan=True)),
        fake(sweep, "Sweep", Sweep),
        fake(results, "to_parquet", lambda store, file: told.update(parquet=file.name)),
    ]  # fmt: skip
    with contextlib.ExitStack() as stack:
        for one in fakes:
            stack.enter_context(one)
        yield


PATH_TAKEN = by_hand.path([[1, 2], [0.5, 1]], [5, 1.25], 0, 0)
SLICE_TAKEN = gdjax.landscape("qfsp", points=2)
RUN_TAKEN = gdjax.train("qfsp", "adam", steps=1, every=1)
NO_RATES = SimpleNamespace(predicted=None, measured=None)


def trained(asked):
    return RUN_TAKEN._replace(point=asked["objective"].start)


def compared(asked):
    labels = list(asked["optimizers"])
    return SimpleNamespace(
        paths=dict.fromkeys(labels, PATH_TAKEN), rates=dict.fromkeys(labels, NO_RATES)
    )  # fmt: skip


def plain(value):
    """What a command handed over, in words and numbers that can be compared."""
    if isinstance(value, gdjax.Objective):
        name = value.name if value.dim == 2 else f"{value.name} in {value.dim}"
        return name if value.target is None else f"{name} to {value.target}"
    if isinstance(value, optimizers.Optimizer):
        return repr(value)
    if isinstance(value, gdjax.TrainingRun):
        return "a run"
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if hasattr(value, "kind"):  # starts
        return (value.kind, value.number, value.seed)
    if hasattr(value, "every"):  # a stopping rule
        return {"every": value.every}
    if isinstance(value, np.ndarray | jax.Array):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return float(f"{value:.9g}") if isinstance(value, float | np.floating) else value


def asked(task, config, folder, objects=None):
    """What a command asks of the library, with the names and the resolution of its pictures."""
    told = {}
    with library(told, [] if objects is None else objects):
        assert not perform(task, config, folder / "now")  # neither a code nor a refusal
    if (summary := folder / "now" / "summary.json").exists():
        told["distance"] = "distances" in json.loads(summary.read_text())
    if "checked" in told:  # several at a time, in whatever order
        told["checked"].sort()
    for key in {"store", "page"} & given(told).keys():
        told[key] = told[key].replace(f"{folder}/", "")
    return given(told)


def given(told):
    """Without what was left to the library."""
    return {key: value for key, value in told.items() if value is not None}


# What each command asks for by its defaults, and what every key changes of that.


def sgd(rate, momentum=0.9, more=""):
    return f"sgd(learning_rate={rate}, momentum={momentum}{more})"


def ball(rate, momentum=0.9, more=""):
    return f"heavy_ball(learning_rate={rate}, momentum={momentum}{more})"


RUN = {
    "objective": "qfsp", "start": None, "steps": 300, "gradient": "autodiff",
    "dtype": "float32", "axes": None, "drape": False, "window": "auto", "dpi": 150,
    "distance": False,
    "pictures": ["trajectory.png", "convergence.png"],
}  # fmt: skip
CLIP = {"clip": {"name": "clip", "max_delta": 0.5}}
LOOK = {
    "plot.dpi": (30, {"dpi": 30}),
    "plot.title": ("A race", {"title": "A race"}),
    "plot.figsize": ([8, 5], {"figsize": [8.0, 5.0]}),
}
PLOT = {"plot.format": ("svg", {"pictures": ["trajectory.svg", "convergence.svg"]})}
PATH = {
    "start": ([7.0, 6.0], {"start": [7.0, 6.0]}),
    "steps": (7, {"steps": 7}),
    "gradient": ("hand", {"gradient": "hand"}),
    "dtype": ("float64", {"dtype": "float64"}),
    "plot.axes": ([1, 0], {"axes": [1, 0]}),
    "plot.window": ("domain", {"window": "domain"}),
    "plot.view": ([45, -60], {"view": [45, -60]}),
    "plot.cmap": ("magma", {"cmap": "magma"}),
    "plot.drape": (True, {"drape": True}),
    "plot.animate": (True, {"animated": True}),
    "objective.name": ("ackley", {"objective": "ackley"}),
} | LOOK  # fmt: skip


def labelled(*made):
    return {"optimizers": {label: label for label in made}}


BALL = ball(0.1)
PLAIN = "gradient_descent(learning_rate=0.1)"
TUNED = {
    "budget": 1000, "trials": 32, "starts": 8, "held_out": 16, "seeds": 5, "seed": 0,
    "tau": [0.1, 0.001, 1e-5], "ranges": {}, "together": False,
}  # fmt: skip
RANK = TUNED | {
    "gradient": "autodiff", "dtype": "float64", "dpi": 150, "pictures": ["ranks.png"],
    "distance": False,
}  # fmt: skip
TUNING = {
    "budget": (999, {"budget": 999}),
    "trials": (31, {"trials": 31}),
    "starts": (7, {"starts": 7}),
    "held_out": (15, {"held_out": 15}),
    "seeds": (4, {"seeds": 4}),
    "seed": (3, {"seed": 3}),
    "tau": ([0.5], {"tau": [0.5]}),
    "ranges": ({"momentum": None}, {"ranges": {"momentum": None}}),
    "together": (True, {"together": True}),
}
SWEEP = {
    "objective": "qfsp", "optimizer": ball(0.02),
    "starts": ("grid", 201, 0), "hyperparameters": {}, "steps": 1000, "save_at": None,
    "stopping": {"every": 1}, "classify_rest": True, "keep": None, "tolerance": 1e-4,
    "gradient": "autodiff", "dtype": "float32", "chunk": None, "devices": None, "kernel": "auto",
    "store": "stores/qfsp-digest.zarr", "accept_version": False,
    "plots": None, "pictures": ["basins.png"], "dpi": 150, "distance": False,
}  # fmt: skip

TRAIN = {
    "objective": "qfsp", "optimizer": "gradient_descent(learning_rate=0.15)", "steps": 12000,
    "watch": ["sharpness"], "every": 100, "gradient": "autodiff", "dtype": "float32",
    "checkpoint": 200, "pictures": ["training.png"], "dpi": 150, "distance": False,
}  # fmt: skip
SLICED = {
    "objective": "qfsp", "plane": "random", "seed": 0, "dtype": "float32",
    "pictures": ["landscape.png"], "dpi": 150, "distance": False,
}  # fmt: skip
LANDSCAPE = SLICED | {
    "optimizer": ball(0.1), "steps": 300, "gradient": "autodiff", "watch": (), "every": 3,
    "checkpoint": 3, "path": "a run",
}  # fmt: skip
CHECKED = {
    "points": 1000, "seed": 0, "dtype": "float64", "args": (), "rtol": 0.0, "atol": 0.0,
}  # fmt: skip

TOLD_LATER = (
    "store",
    "accept_version",
    "plots",
    "pictures",
    "dpi",
    "distance",
)  # not where nothing is computed


def evenly(low, high, number):
    return [float(f"{low + (high - low) * i / (number - 1):.9g}") for i in range(number)]


def ratios(low, high, number):
    return [float(f"{low * (high / low) ** (i / (number - 1)):.9g}") for i in range(number)]


def axis(**values):
    return {"hyperparameters": values}


def drawn(seed, number, name="sphere"):
    """The starts of a certificate: the objective's own, and others in its domain, by NumPy."""
    f = objectives.get(name)
    low, high = np.transpose(f.domain)
    points = np.random.default_rng(seed).uniform(low, high, (number - 1, f.dim))
    return {"starts": plain(np.vstack([f.start, points]))}


def pair(a, b):
    return {"a": a, "b": b}


TWICE = {"certified": ["sphere float32", "sphere float64"], "dtype": "float64"}
CERTIFIED = {"seed": 0, "tolerance": 1e-3, "schedule": False}
START = [1.0, 2.0]  # of the path that stands in for the result

CALLS = {
    ("run",): (
        RUN | labelled(BALL),
        PATH | PLOT | {
            "learning_rate": (0.2, labelled(ball(0.2))),
            "optimizer.name": ("nesterov", labelled("nesterov(learning_rate=0.1, momentum=0.9)")),
            "optimizer.learning_rate": (
                0.3, labelled(ball(0.3))),
            "optimizer.momentum": (0.5, labelled(ball(0.1, 0.5))),
            "transforms": (CLIP, labelled(BALL[:-1] + ", clip=clip(max_delta=0.5))")),
        },
    ),
    ("compare",): (
        RUN | labelled(PLAIN, BALL) | {"pictures": ["comparison.png", "convergence.png"]},
        PATH | {
            "plot.format": ("pdf", {"pictures": ["comparison.pdf", "convergence.pdf"]}),
            "distance": (True, {"distance": True}),
            "certify": (True, {"certified": ["qfsp float32"]} | {
                f"certified with {key}": value for key, value in {
                    "a": PLAIN, "b": BALL, "objective": "qfsp", "starts": [START], "steps": 300,
                    "gradient": "autodiff", "dtype": "float32", **CERTIFIED, "schedule": True,
                }.items()
            }),
            "learning_rate": (0.2, labelled(
                "gradient_descent(learning_rate=0.2)",
                ball(0.2))),
            "optimizers.a.name": ("adam", labelled("adam(learning_rate=0.1)", BALL)),
            "optimizers.a.learning_rate": (0.3, labelled(
                "gradient_descent(learning_rate=0.3)", BALL)),
            "optimizers.b.name": ("nesterov", labelled(
                PLAIN, "nesterov(learning_rate=0.1, momentum=0.9)")),
            "optimizers.b.learning_rate": (0.3, labelled(
                PLAIN, ball(0.3))),
            "optimizers.b.momentum": (0.5, labelled(
                PLAIN, ball(0.1, 0.5))),
            "transforms": (CLIP, labelled(
                PLAIN[:-1] + ", clip=clip(max_delta=0.5))",
                BALL[:-1] + ", clip=clip(max_delta=0.5))")),
        },
    ),
    ("compare", "mode=tuned"): (
        RANK | {"objectives": ["qfsp"], "optimizers": [PLAIN, BALL], "dtype": "float32"},
        {f"tuned.{key}": row for key, row in TUNING.items()} | {
            "mode": ("paths", lambda: CALLS["compare",][0]),
            "gradient": ("hand", {"gradient": "hand"}),
            "dtype": ("float64", {"dtype": "float64"}),
            "plot.format": ("pdf", {"pictures": ["ranks.pdf"]}),
            **LOOK,
        },
    ),
    ("compare", "experiment=nesterov"): (
        RUN | {"pictures": ["comparison.png", "convergence.png"]} | labelled(
            "gradient_descent(learning_rate=0.02)", ball(0.02),
            "nesterov(learning_rate=0.02, momentum=0.9)"),
        {},
    ),
    ("compare", "experiment=optax_equivalence"): (
        RUN | {"pictures": ["comparison.png", "convergence.png"]} | labelled(sgd(0.1), BALL)
        | {"dtype": "float64", "distance": True, "certified": ["qfsp float32"]} | {
            f"certified with {key}": value for key, value in {
                "a": sgd(0.1), "b": BALL, "objective": "qfsp", "starts": [START], "steps": 300,
                "gradient": "autodiff", **CERTIFIED, "schedule": True, "dtype": "float32",
            }.items()
        },  # the path that stands in for the result is in float32
        {},
    ),
    ("rank",): (
        RANK | {
            "objectives": [
                "sphere", "booth", "ill_conditioned_quadratic", "rotated_quadratic", "zakharov",
                "trid", "rosenbrock", "beale", "leon", "dixon_price", "powell_singular",
                "himmelblau", "qfsp", "six_hump_camel", "styblinski_tang", "goldstein_price",
                "ackley", "rastrigin", "griewank", "levy",
            ],
            "optimizers": [
                "gradient_descent", "heavy_ball", "nesterov", "adam", "adabelief", "rmsprop",
                "adagrad", "rprop", "lion", "scipy.bfgs",
            ],
        },
        TUNING | {
            "objectives": (["booth", {"name": "sphere", "dim": 3}],
                           {"objectives": ["booth", {"name": "sphere", "dim": 3}]}),
            "optimizers": (["adam"], {"optimizers": ["adam"]}),
            "gradient": ("hand", {"gradient": "hand"}),
            "dtype": ("float32", {"dtype": "float32"}),
            "plot.format": ("pdf", {"pictures": ["ranks.pdf"]}),
            **LOOK,
        },
    ),
    ("rank", "objective=ackley"): (
        None, {"objective.name": ("levy", {"objectives": ["levy"]}),
               "objective.dim": (5, {"objectives": ["ackley in 5"]}),
               "target": (0.5, {"objectives": ["ackley to f ≤ 0.5"]})},
    ),
    ("sweep",): (
        SWEEP,
        {
            "objective.name": (
                "ackley", {"objective": "ackley", "store": "stores/ackley-digest.zarr"}),
            "optimizer.name": (
                "nesterov", {"optimizer": "nesterov(learning_rate=0.02, momentum=0.9)"}),
            "optimizer.learning_rate": (
                0.3, {"optimizer": ball(0.3)}),
            "optimizer.momentum": (
                0.5, {"optimizer": ball(0.02, 0.5)}),
            "learning_rate": (0.2, {"optimizer": ball(0.2)}),
            "transforms": (CLIP, {"optimizer": "heavy_ball(learning_rate=0.02, momentum=0.9, "
                                               "clip=clip(max_delta=0.5))"}),
            "starts.number": (11, {"starts": ("grid", 11, 0)}),
            "steps": (7, {"steps": 7}),
            "save_at": ("all", {"save_at": "all"}),
            "stopping": (False, {"stopping": False}),
            "every": (5, {"stopping": {"every": 5}}),
            "classify_rest": (False, {"classify_rest": False}),
            "keep": (["outcome"], {"keep": ["outcome"]}),
            "plan": (True, lambda: {k: v for k, v in SWEEP.items() if k not in TOLD_LATER}
                     | {"plan": True}),
            "objectives": (["ackley", "sphere"], {"objective": ["ackley", "sphere"],
                                                  "store": "stores/objectives-digest.zarr"}),
            "optimizers": (["sgd"], {"optimizer": ["sgd(learning_rate=0.02)"]}),
            "tolerance": (0.01, {"tolerance": 0.01}),
            "target": (0.5, {"objective": "qfsp to f ≤ 0.5"}),
            "gradient": ("hand", {"gradient": "hand"}),
            "dtype": ("float64", {"dtype": "float64"}),
            "chunk": (64, {"chunk": 64}),
            "devices": (1, {"devices": 1}),
            "kernel": ("xla", {"kernel": "xla"}),
            "store": ("mine", {"store": "mine"}),
            "accept_version": (True, {"accept_version": True}),
            "parquet": (True, {"parquet": "results.parquet"}),
            "plots": (["steps", "paths"], {"plots": ["steps", "paths"],
                                           "pictures": ["steps.png", "paths.png"]}),
            "plot.format": ("pdf", {"pictures": ["basins.pdf"]}),
            **LOOK,
            "hyperparameters": ({"momentum": [0.5]}, axis(momentum=[0.5])),
        },
    ),
    ("sweep", "sweep=single"): (
        SWEEP | {"starts": None, "steps": 300, "save_at": "all", "stopping": {"every": 10},
                 "optimizer": BALL},
        {"start": ([1.0, 2.0], {"starts": [1.0, 2.0]})},
    ),
    ("sweep", "sweep=single", "starts.kind=array", "starts.points=[[1,2],[3,4]]"): (
        None, {"starts.points": ([[5, 6]], {"starts": [[5, 6]]}),
               "starts.kind": ("own", {"starts": None})},
    ),
    ("sweep", "sweep=single", "+hyperparameters.learning_rate=[0.1,0.2]",
     "+hyperparameters.momentum=[0.5,0.6]"): (
        None, {"zipped": ([["learning_rate", "momentum"]],
                          {"hyperparameters": {
                              ("learning_rate", "momentum"): ([0.1, 0.2], [0.5, 0.6])}})},
    ),
    ("sweep", "sweep=starts"): (
        SWEEP | {"starts": ("sobol", 4096, 0), "stopping": {"every": 10}},
        {"starts.kind": ("uniform", {"starts": ("uniform", 4096, 0)}),
         "starts.seed": (5, {"starts": ("sobol", 4096, 5)})},
    ),
    ("sweep", "sweep=hyperparameters"): (
        SWEEP | {"starts": ("sobol", 1024, 0), "stopping": {"every": 10}, "optimizer": BALL} | axis(
            learning_rate=[0.01, 0.03, 0.1], momentum=evenly(0, 0.95, 20)),
        {"hyperparameters.learning_rate": (
            [0.2], axis(learning_rate=[0.2], momentum=evenly(0, 0.95, 20))),
         "hyperparameters.momentum": (
            [0.2], axis(learning_rate=[0.01, 0.03, 0.1], momentum=[0.2]))},
    ),
    ("sweep", "sweep=stability"): (
        SWEEP | {"starts": ("latin_hypercube", 64, 0), "stopping": {"every": 10}, "optimizer": BALL,
                 "steps": 500} | axis(
            learning_rate=ratios(1e-3, 1, 60), momentum=evenly(0, 0.98, 50)),
        {
            f"hyperparameters.{name}.{key}": (value, axis(**{
                "learning_rate": ratios(1e-3, 1, 60), "momentum": evenly(0, 0.98, 50), name: new}))
            for name, key, value, new in [
                ("learning_rate", "low", 0.01, ratios(0.01, 1, 60)),
                ("learning_rate", "high", 0.5, ratios(1e-3, 0.5, 60)),
                ("learning_rate", "number", 3, ratios(1e-3, 1, 3)),
                ("learning_rate", "scale", "linear", evenly(1e-3, 1, 60)),
                ("momentum", "low", 0.5, evenly(0.5, 0.98, 50)),
                ("momentum", "high", 0.5, evenly(0, 0.5, 50)),
                ("momentum", "number", 3, evenly(0, 0.98, 3)),
            ]
        } | {
            "starts.seed": (5, {"starts": ("latin_hypercube", 64, 5)}),
        },
    ),
    ("sweep", "sweep=stability", "hyperparameters.momentum.low=0.1"): (
        None, {"hyperparameters.momentum.scale": (
            "log", axis(learning_rate=ratios(1e-3, 1, 60), momentum=ratios(0.1, 0.98, 50)))},
    ),
    ("train", "objective=qfsp"): (
        TRAIN,
        {
            "objective.name": ("ackley", {"objective": "ackley"}),
            "learning_rate": (0.2, {"optimizer": "gradient_descent(learning_rate=0.2)"}),
            "optimizer.name": ("heavy_ball", {"optimizer": ball(0.15)}),
            "optimizer.learning_rate": (0.3, {"optimizer": "gradient_descent(learning_rate=0.3)"}),
            "transforms": (CLIP, {
                "optimizer": "gradient_descent(learning_rate=0.15, clip=clip(max_delta=0.5))"}),
            "start": ([7.0, 6.0], {"start": [7.0, 6.0]}),
            "steps": (7, {"steps": 7, "checkpoint": 100}),
            "gradient": ("hand", {"gradient": "hand"}),
            "dtype": ("float64", {"dtype": "float64"}),
            "watch": (["alignment"], {"watch": ["alignment"]}),
            "every": (10, {"every": 10, "checkpoint": 120}),
            "checkpoint": (400, {"checkpoint": 400}),
            "store": ("run.npz", {"store": "run.npz", "checkpoint": None}),
            "loss": ("own.py:loss", "loss needs init"),
            "init": ("own.py:init", "init belongs to a loss"),
            "data": ("own.py:data", "data belongs to a loss"),
            "metric": ("own.py:metric", "metric belongs to a loss"),
            "batch": (8, "batch is of a loss over data, and qfsp has none"),
            "seed": (1, "seed is of a loss over data, and qfsp has none"),
            "plot.format": ("pdf", {"pictures": ["training.pdf"]}),
            **LOOK,
        },
    ),
    ("train", "objective=digits_permuted"): (
        None,  # what a network is made with is the catalogue's own
        {f"objective.{key}": (100, {}) for key in ("rows", "batch", "seed")},
    ),
    ("landscape", "objective=qfsp"): (
        LANDSCAPE,
        {
            "objective.name": ("ackley", {"objective": "ackley"}),
            "learning_rate": (0.2, {"optimizer": ball(0.2)}),
            "optimizer.name": ("nesterov", {
                "optimizer": "nesterov(learning_rate=0.1, momentum=0.9)"}),
            "optimizer.learning_rate": (0.3, {"optimizer": ball(0.3)}),
            "optimizer.momentum": (0.5, {"optimizer": ball(0.1, 0.5)}),
            "transforms": (CLIP, {"optimizer": ball(0.1, more=", clip=clip(max_delta=0.5)")}),
            "start": ([7.0, 6.0], {"start": [7.0, 6.0]}),
            "steps": (7, {"steps": 7, "every": 1, "checkpoint": 1}),
            "gradient": ("hand", {"gradient": "hand"}),
            "dtype": ("float64", {"dtype": "float64"}),
            "run": ("nowhere", "run must be the folder of gdjax train or gdjax run"),
            "at": ([1.0, 2.0], lambda: SLICED | {"at": [1.0, 2.0]}),
            "path": (["a.npz"], lambda: SLICED | {"path": ["a.npz"]}),
            "plane": ("pca", {"plane": "pca"}),
            "dims": (1, {"dims": 1}),
            "axes": ([0], {"axes": [0]}),
            "radius": (0.5, {"radius": 0.5}),
            "points": (9, {"points": 9}),
            "plane_seed": (5, {"seed": 5}),
            "loss": ("own.py:loss", "loss needs init"),
            "init": ("own.py:init", "init belongs to a loss"),
            "data": ("own.py:data", "data belongs to a loss"),
            "metric": ("own.py:metric", "metric belongs to a loss"),
            "batch": (8, "batch is of a loss over data, and qfsp has none"),
            "seed": (1, "seed is of a loss over data, and qfsp has none"),
            "plot.format": ("pdf", {"pictures": ["landscape.pdf"]}),
            **LOOK,
        },
    ),
    ("landscape",): (
        None,
        {"objective.activation": ("relu", {}), "objective.batch": (100, {}),
         "objective.seed": (100, {}), "objective.hidden": (9, {"objective": "digits_mlp in 685"}),
         "objective.rows": (200, {})},
    ),
    ("check",): (
        CHECKED | {"checked": ["gradient of qfsp"]},
        {
            "objective.name": ("beale", {"checked": ["gradient of beale"]}),
            "points": (50, {"points": 50}),
            "seed": (5, {"seed": 5}),
            "dtype": ("float32", {"dtype": "float32"}),
            "hessian": (True, {"checked": ["Hessian of qfsp", "gradient of qfsp"]}),
            "rule": ("own.py:f", "rule needs args"),
            "args": ("own.py:args", "args belongs to a rule"),
            "pullback": ("own.py:pull", "pullback belongs to a rule"),
            "order": (2, {}),
            "draw": (True, {"pictures": ["qfsp_gradient.png"], "dpi": 150}),
        },
    ),
    ("check", "objective=all"): (
        CHECKED | {"checked": [f"gradient of {name}" for name in objectives.names()]},
        {},
    ),
    ("certify", "objective=sphere"): (
        pair(ball(0.5), sgd(0.5)) | TWICE
        | CERTIFIED | drawn(0, 3) | {"objective": "sphere", "steps": 50, "gradient": "autodiff"},
        {
            "learning_rate": (0.2, pair(ball(0.2),
                                        sgd(0.2))),
            "starts": (5, drawn(0, 5)),
            "seed": (5, drawn(5, 3) | {"seed": 5}),
            "steps": (7, {"steps": 7}),
            "dtypes": (["float32"], {"certified": ["sphere float32"], "dtype": "float32"}),
            "decaying": (True, {"schedule": True}),
            "transforms": (CLIP, pair(
                "heavy_ball(learning_rate=0.5, momentum=0.9, clip=clip(max_delta=0.5))",
                sgd(0.5, more=", clip=clip(max_delta=0.5)"))),
            "a.name": ("nesterov", {"a": "nesterov(learning_rate=0.5, momentum=0.9)"}),
            "a.learning_rate": (0.3, {"a": ball(0.3)}),
            "a.momentum": (0.5, pair(ball(0.5, 0.5),
                                     sgd(0.5, 0.5))),
            "b.name": ("adam", "unknown hyperparameter of adam 'momentum'"),
            "b.learning_rate": (0.3, {"b": sgd(0.3)}),
            "b.momentum": (0.5, {"b": sgd(0.5, 0.5)}),
            "b.nesterov": (True, {"b": sgd(0.5, more=", nesterov=True")}),
            "b.accumulator_dtype": (
                "float32", {"b": sgd(0.5, more=", accumulator_dtype=float32")}),
        },
    ),
    ("explore",): (
        {"page": "now/explore.html"},
        {
            "explore.file": ("a/b.html", {"page": "a/b.html"}),
            "explore.open": (False, {"page": None}),
            "learning_rate": (0.3, {}),  # of an optimizer that is chosen
            "transforms": (CLIP, {}),
        },
    ),
    ("explore", "objective=booth", "optimizer=heavy_ball", "explore.open=false"): (
        {"objective": "booth", "optimizer": {"heavy_ball": ball(0.01)}},
        {
            "objective.name": ("ackley", {"objective": "ackley"}),
            "optimizer.name": ("nesterov", {
                "optimizer": {"nesterov": "nesterov(learning_rate=0.01, momentum=0.9)"}}),
            "optimizer.learning_rate": (0.3, {"optimizer": {"heavy_ball": ball(0.3)}}),
            "optimizer.momentum": (0.5, {"optimizer": {"heavy_ball": ball(0.01, 0.5)}}),
            "transforms": (CLIP, {"optimizer": {
                "heavy_ball": ball(0.01)[:-1] + ", clip=clip(max_delta=0.5))"}}),
        },
    ),
    # The learning rate is 1/L: of x² + y², L is 2, of booth's matrix (10 8; 8 10) it is 18.
    ("certify", "objective=booth"): (
        pair(ball(0.0555556), sgd(0.0555556)) | CERTIFIED | drawn(0, 3, "booth")
        | {"objective": "booth", "steps": 50, "gradient": "autodiff", "dtype": "float64",
           "certified": ["booth float32", "booth float64"]},
        {"objective.name": ("sphere", lambda: CALLS["certify", "objective=sphere"][0])},
    ),
    ("certify", "pair=nesterov", "objective=all", "learning_rate=0.1"): (
        pair("nesterov(learning_rate=0.1, momentum=0.9)", sgd(0.1, more=", nesterov=True"))
        | CERTIFIED | {"certified": [f"{name} {dtype}" for name in objectives.names()
                         for dtype in ("float32", "float64")],
           "steps": 50, "gradient": "autodiff", "dtype": "float64"}
        | {"objective": objectives.names()[-1]} | drawn(0, 3, objectives.names()[-1]),
        {},
    ),
}  # fmt: skip


def keys(config, before=""):
    """The names of all settings of a config; an empty group is a setting."""
    for key, value in config.items_ex(resolve=False):
        if isinstance(value, DictConfig) and len(value):
            yield from keys(value, f"{before}{key}.")
        else:
            yield before + key


EXPERIMENTS = {  # studies have tests of their own
    path.stem: re.search(r"^# gdjax (\w+) experiment=(\w+)$", path.read_text(), re.MULTILINE)
    for path in CONF.glob("experiment/*.yaml")
    if path.stem not in studies()
}


def choices(task):
    """The words that bring other keys into a command's config."""
    yield from ([f"experiment={name}"] for name, found in EXPERIMENTS.items() if found[1] == task)
    yield from (words for first, *words in CALLS if first == task)
    if task == "sweep":
        yield from ([f"sweep={path.stem}"] for path in CONF.glob("sweep/*.yaml"))
    if task == "certify":
        yield from ([f"pair={path.stem}"] for path in CONF.glob("pair/*.yaml"))


@pytest.mark.parametrize("task", commands())
def test_every_key_of_a_config_has_a_row(task):
    rows = {key for (first, *_), (_, changes) in CALLS.items() if first == task for key in changes}
    # What only some optimizers and objectives have; a walk over all of them is below.
    rows |= {"objective.dim"} | {f"optimizers.c.{key}" for key in ("name", "learning_rate")}
    rows |= {f"optimizers.{x}.momentum" for x in "ac"} | {
        f"optimizers.{x}.{key}" for x in "ab" for key in ("nesterov", "accumulator_dtype")
    }
    rows |= {"engine.kind", "engine.address", "engine.workers"}  # it has tests of its own
    rows |= {"overwrite", "folders", "objective_value"}  # nothing is asked of the library
    for words in choices(task):
        assert set(keys(composed(task, *words))) <= rows, words


@pytest.mark.parametrize("call", [call for call in CALLS if CALLS[call][0]], ids=" ".join)
def test_a_command_asks_for_what_its_config_says(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected, _ = CALLS[call]
    assert asked(call[0], composed(*call), tmp_path) == given(expected)


@pytest.mark.parametrize(
    ("call", "key"),
    [(call, key) for call, (_, changes) in CALLS.items() for key in changes],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_another_value_of_a_key_changes_what_it_says_and_nothing_else(
    call, key, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    expected, changes = CALLS[call]
    value, change = changes[key]
    config = composed(*call)
    if expected is None:
        expected = asked(call[0], config, tmp_path)
    config = config.copy()
    OmegaConf.update(config, key, value, merge=False)
    if isinstance(change, str):
        with pytest.raises(gdjax.ArgumentError, match=change):
            asked(call[0], config, tmp_path)
        return
    found = asked(call[0], config, tmp_path)
    assert found == given(change() if callable(change) else {**expected, **change})


def test_every_experiment_is_of_a_command_and_has_its_call():
    for name, found in EXPERIMENTS.items():
        assert found.groups()[1] == name
        assert (found[1], f"experiment={name}") in CALLS


# What only some objectives and optimizers have.

OWN = """import jax.numpy as jnp

def f(p):
    return p[0] ** 2 + 3 * p[1] ** 2

def g(p):
    return p[0] ** 2 + 5 * p[1] ** 2

def gradient(p):
    return jnp.stack([7 * p[0], 8 * p[1]])

def residuals(p):
    return jnp.stack([p[0], jnp.sqrt(3) * p[1]])
"""
ONES = np.ones(2, np.float32)
at_ones = (lambda f: float(f.fn(ONES)), lambda f: f.gradient and f.gradient(ONES).tolist())
DOMAIN = ([[-1, 2], [-3, 4]], lambda f: f.domain, ((-1, 2), (-3, 4)))
START_AT = ([0.5, 0.25], lambda f: tuple(f.start), (0.5, 0.25))
NAME = ("mine", lambda f: f.name, "mine")
MINIMA = ([[0, 0]], lambda f: np.asarray(f.minima).tolist(), [[0, 0]])
FMIN = (-0.5, lambda f: f.fmin, -0.5)

MADE = {
    ("objective=formula", "objective.expression=x**2 + 3*y**2"): {
        "expression": ("x**2 + 5*y**2", at_ones[0], 6.0),
        "variables": (["y", "x"], lambda f: f.variables, ("y", "x")),
        "domain": DOMAIN, "start": START_AT, "name": NAME,
    },
    ("objective=function", "objective.fn=own.py:f", "domain=[[-5,5],[-5,5]]"): {
        "fn": ("own.py:g", at_ones[0], 6.0),
        "gradient": ("own.py:gradient", at_ones[1], [7.0, 8.0]),
        "residuals": ("own.py:residuals", lambda f: f.residuals and f.residuals(ONES).shape, (2,)),
        "domain": DOMAIN, "start": START_AT, "name": NAME, "minima": MINIMA, "fmin": FMIN,
        "variables": (["u", "v"], lambda f: f.variables, ("u", "v")),
    },
    ("objective=curve_fit", "objective.data=points.csv", "objective.model=a + b*t",
     "objective.start=[1,1]", "objective.missing=drop"): {
        "data": ("others.csv", lambda f: np.ravel(f.fit.observed).tolist(), [20.0, 30.0, 50.0]),
        "model": ("a + 2*b*t",
                  lambda f: f.fit.predict(ONES, f.fit.columns).tolist(), [3.0, 5.0, 7.0]),
        "response": ("z", lambda f: np.ravel(f.fit.observed).tolist(), [7.0, 8.0, 9.0]),
        "parameters": (["b", "a"], lambda f: f.variables, ("b", "a")),
        "sigma": ("z", lambda f: f.fit.sigma is not None and f.fit.sigma.tolist(), [7.0, 8.0, 9.0]),
        "absolute_sigma": (True, lambda f: f.fit.absolute, True),
        "loss": ("huber", lambda f: f.fit.robust, True),
        "penalties": (["a - b"], lambda f: f.fit.penalties, 1),
        "bounds": ({"a": [0, None]}, lambda f: f.coordinates and f.coordinates.low[0], 0.0),
        "scale": ([2.0, 3.0], lambda f: f.coordinates and f.coordinates.scale.tolist(), [2.0, 3.0]),
        "domain": DOMAIN, "start": START_AT, "name": NAME, "minima": MINIMA, "fmin": FMIN,
        "sep": ("|", lambda f: np.ravel(f.fit.observed).tolist(), [4.0, 4.0, 4.0]),
        "columns": ({"t": "z", "u": "t"}, lambda f: np.ravel(f.fit.columns["t"]).tolist(),
                    [7.0, 8.0, 9.0, 9.0]),
        "missing": ("refuse", None, "row 5, column 't' must be a finite number"),
    },
    ("objective=curve_fit", "objective.data=points.csv", "objective.model=a + b*t",
     "objective.loss=soft_l1", "objective.start=[9,1]", "objective.missing=drop"): {
        "loss_scale": (1e6, lambda f: round(float(f(f.start))), 177),
    },
}  # fmt: skip


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "points.csv").write_text(
        "t,z,y,k|t|y\n1,7,2,0|1|4\n2,8,3,0|2|4\n3,9,5,0|3|4\n,9,5,0||4\n"
    )
    (tmp_path / "others.csv").write_text("t,z,y\n1,7,20\n2,8,30\n3,9,50\n")
    return tmp_path


def descended(config, folder):
    """The objective and the optimizer that gdjax run takes."""
    objects = []
    asked("run", config, folder, objects)
    return objects[0]["objective"], objects[0]["optimizer"]


@pytest.mark.parametrize("words", MADE, ids=" ".join)
def test_every_key_of_an_objective_of_ones_own_arrives(words, files):
    config = composed("run", *words)
    together = {key for others in MADE if others[0] == words[0] for key in MADE[others]}
    assert set(config.objective) == {"maker", *together}
    plain_one, _ = descended(config, files)
    for key, (value, read, expected) in MADE[words].items():
        changed = config.copy()
        OmegaConf.update(changed, f"objective.{key}", value, merge=False)
        if read is None:
            with pytest.raises(gdjax.ArgumentError, match=expected):
                descended(changed, files)
            continue
        found, _ = descended(changed, files)
        assert read(found) == expected, key
        assert read(plain_one) != expected, key
    moved = config.copy()
    moved.start = [0.75, 0.5]
    if config.objective.start is None:
        assert tuple(descended(moved, files)[0].start) == (0.75, 0.5)
        moved.objective.start = [0.25, 0.25]  # the objective's own goes before the command's
    assert tuple(descended(moved, files)[0].start) != (0.75, 0.5)


def test_the_dimension_of_every_objective_arrives(tmp_path):
    config, found = composed("rank", "objective=ackley").copy(), []
    names = [name for name in objectives.names() if "dim" in objectives.parameters(name)]
    for name in names:
        OmegaConf.update(config, "objective", {"name": name, "dim": 4}, merge=False)
        found += asked("rank", config, tmp_path)["objectives"]
    assert found == [f"{name} in 4" for name in names]


def test_every_number_of_every_optimizer_arrives(tmp_path):
    from hydra.core.config_store import ConfigStore

    config, walked = composed("run").copy(), 0
    for name in optimizers.names():
        node = OmegaConf.to_container(ConfigStore.instance().load(f"optimizer/{name}.yaml").node)
        numbers = {
            key: 2 * value if value > 1 else value / 2 if value else 0.25  # within its range
            for key, value in node.items()
            if type(value) is float
        }
        if "???" in node.values():  # it builds upon another one
            continue
        OmegaConf.update(config, "optimizer", node | numbers, merge=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of optax, about itself
            _, made = descended(config, tmp_path)
        for key, value in numbers.items():
            assert made.hyperparameters[key] == pytest.approx(value), (name, key)
            walked += 1
    assert walked > 100
