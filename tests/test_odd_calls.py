"""Odd values in every argument of every public function: a result, or one line that says why not.

The functions are found by walking what gdjax lists; each has a plain call here, of which one
argument after the other is replaced. What can mean nothing anywhere is never taken.
"""

import functools
import random
import types
import warnings

import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import gdjax
from gdjax import certificates, metrics, objectives, optimizers, plotting, starts, theory

SEED, EVERY_DAY, ALL = 15, 120, 1000


class Odd:
    """An object of nobody's."""


ODD = {
    "None": None, "nan": float("nan"), "inf": float("inf"), "-inf": -float("inf"), "empty": "",
    "abc": "abc", "12": "12", "NUL": "a\0b", "[]": [], "{}": {}, "()": (), "-1": -1, "0": 0,
    "1.5": 1.5, "2**31": 2**31, "2**63": 2**63, "10**400": 10**400, "1j": 1j, "True": True,
    "object": Odd(), "type": Odd, "bytes": b"12", "[nan]": [float("nan")], "[1, 2, 3]": [1, 2, 3],
    "['1', '2']": ["1", "2"], "[[1], [1, 2]]": [[1], [1, 2]], "[None]": [None], "{1: 2}": {1: 2},
    "array 0-d": np.array(2.5), "array of objects": np.array([None, "a"], object),
    "array of texts": np.array(["a", "b"]), "array (0, 3)": np.empty((0, 3)),
    "array (2, 2, 2)": np.zeros((2, 2, 2)), "complex array": np.array([1j, 2.0]),
    "lambda": lambda *args: "a", "set": {1, 2}, "generator": iter(()), "range": range(3),
}  # fmt: skip
NONSENSE = {
    "nan", "-inf", "NUL", "10**400", "1j", "object", "bytes", "[nan]", "['1', '2']", "[None]",
    "[[1], [1, 2]]", "{1: 2}", "array of objects", "array of texts", "complex array", "set",
}  # fmt: skip
UNUSED = {  # what is not looked at where an Objective says it, and names, which are any texts
    ("objectives.as_objective", "start"), ("Objective", "variables"),
    ("metrics.steps_ecdf", "steps_to_tolerance"),  # all below 0 is never
}  # fmt: skip
F = objectives.get("booth")
LINE_FIT = objectives.get(
    "curve_fit", data={"t": np.arange(4.0), "y": np.array([1.0, 3.0, 5.0, 8.0])}, model="a + b*t"
)
PATH = gdjax.descend(F, "adam", steps=4)
LINE = gdjax.descend("parabola", "adam", steps=4)
LINES = {"a": PATH}
SWEEP = gdjax.sweep(
    F, gdjax.heavy_ball, starts.grid(3), steps=20, save_at="all",
    hyperparameters={"learning_rate": [0.01, 0.02], "momentum": [0.1, 0.2]},
)  # fmt: skip
RATED = SWEEP.isel(momentum=[0])
TABLE = pd.DataFrame(
    {"learning_rate": [0.1, 0.2], "value": [1.0, 2.0], "outcome": "converged", "failed": False}
)
ERRORS = 0.5 ** np.arange(60)
COSTS = np.array([[1.0, 2.0], [3.0, np.inf]])

LOOK = {"window": "domain", "view": (45, -60), "cmap": "magma"}  # of pictures of the ground
CALLS = {  # function: a plain call
    "compare": {
        "objective": F,
        "optimizers": {"a": "adam"},
        "start": [1.0, 2.0],
        "steps": 3,
        "gradient": "autodiff",
        "dtype": "float32",
    },
    "descend": {
        "objective": F,
        "optimizer": "adam",
        "start": [1.0, 2.0],
        "steps": 3,
        "gradient": "autodiff",
        "stopping": gdjax.StoppingRule(),
        "dtype": "float32",
    },
    "gradient_descent": {"learning_rate": 0.1},
    "heavy_ball": {"learning_rate": 0.1, "momentum": 0.5},
    "nesterov": {"learning_rate": 0.1, "momentum": 0.5},
    "gauss_newton": {"learning_rate": 0.1},
    "levenberg_marquardt": {"radius": 1.0},
    "hypergradient": {
        "objective": F,
        "optimizer": "heavy_ball",
        "start": [1.0, 2.0],
        "steps": 3,
        "wrt": ("momentum",),
        "gradient": "autodiff",
        "dtype": "float32",
    },
    "tune_by_gradient": {
        "objective": F,
        "optimizer": "heavy_ball",
        "starts": 2,
        "steps": 3,
        "wrt": ("momentum",),
        "rounds": 1,
        "rate": 0.1,
        "seed": 0,
        "gradient": "autodiff",
        "dtype": "float32",
    },
    "regression": {"objective": LINE_FIT, "point": [1.0, 2.0], "confidence": 0.9},
    "stationary_points": {"objective": F, "starts": 3, "seed": 0},
    "sweep": {
        "objective": F,
        "optimizer": "adam",
        "starts": [1.0, 2.0],
        "hyperparameters": {},
        "steps": 3,
        "save_at": None,
        "stopping": True,
        "classify_rest": False,
        "keep": ["outcome"],
        "tolerance": 0.1,
        "gradient": "autodiff",
        "dtype": "float32",
        "chunk": 4,
    },
    "open_results": {"path": "s.zarr", "variables": ["outcome"], "flat": False},
    "results.verify": {"path": "s.zarr"},
    "results.to_parquet": {"results": "s.zarr", "file": "x.parquet"},
    "certify_equivalence": {
        "a": "adam",
        "b": "adam",
        "objective": F,
        "starts": 1,
        "steps": 2,
        "seed": 0,
        "gradient": "autodiff",
        "dtype": "float32",
        "tolerance": 1e-3,
        "schedule": False,
    },
    "check_gradient": {"function": F, "points": 3, "seed": 0, "dtype": "float64"},
    "check_hessian": {"function": F, "points": 3, "seed": 0, "dtype": "float64"},
    "metrics.wilson": {"successes": 1, "trials": 3, "confidence": 0.9},
    "metrics.success_rate": {"success": [True, False], "axis": 0, "confidence": 0.9},
    "metrics.steps_quantile": {"steps_to_tolerance": [1, -1], "quantile": 0.5, "axis": 0},
    "metrics.steps_ecdf": {"steps_to_tolerance": [1, -1]},
    "metrics.basin_shares": {"minimum": [0, -1], "number": 2, "confidence": 0.9},
    "metrics.distinct": {"points": [[1.0], [3.0]], "values": [0.5, 0.2], "width": 1.0},
    "metrics.performance_profile": {"costs": COSTS, "ratios": [1.0, 2.0]},
    "metrics.data_profile": {"costs": COSTS, "dims": [1, 2], "budgets": [1.0, 2.0]},
    "theory.curvatures": {"objective": F, "point": [1.0, 3.0]},
    "theory.local_rate": {
        "objective": F,
        "minimum": [1.0, 3.0],
        "method": "heavy_ball",
        "learning_rate": 0.1,
        "momentum": 0.5,
    },
    "theory.measured_rate": {"errors": ERRORS},
    "theory.optimal": {"method": "heavy_ball", "low": 1.0, "high": 2.0},
    "theory.spectral_radius": {
        "method": "heavy_ball",
        "curvatures": [1.0, 2.0],
        "learning_rate": 0.1,
        "momentum": 0.5,
    },
    "theory.stability_limit": {"method": "heavy_ball", "curvature": 2.0, "momentum": 0.5},
    "starts.grid": {"number": 3},
    "starts.init": {"number": 3, "seed": 0},
    "starts.latin_hypercube": {"number": 3, "seed": 0},
    "starts.make": {"kind": "grid"},
    "starts.sobol": {"number": 4, "seed": 0},
    "starts.uniform": {"number": 3, "seed": 0},
    "objectives.as_objective": {"given": F, "start": [1.0, 2.0]},
    "objectives.describe": {"name": "booth"},
    "objectives.family": {"name": "booth"},
    "objectives.get": {"name": "booth"},
    "objectives.parameters": {"name": "booth"},
    "objectives.validate": {"objective": F, "numbers": False},
    "objectives.register": {"factory": lambda a=1: F},
    "Objective": {
        "fn": lambda p: (p**2).sum(),
        "name": "f",
        "gradient": lambda p: 2 * p,
        "domain": [(-5, 5)] * 2,
        "start": [1.0, 2.0],
        "minima": [(0.0, 0.0)],
        "fmin": 0.0,
        "local_minima": (),
        "saddles": (),
        "maxima": (),
        "complete": False,
        "smoothness": "smooth",
        "kink": None,
        "hessian": None,
        "float32": True,
        "latex": "",
        "gradient_latex": "",
        "variables": ("x", "y"),
        "reference": "",
        "bounded": True,
        "residuals": lambda p: p,
        "coordinates": objectives.Coordinates([1.0, 2.0], [(0, 9), (0, np.inf)]),
    },
    "objectives.Coordinates": {"scale": [1.0, 2.0], "bounds": [(0, 9), (0, np.inf)]},
    "optimizers.as_factory": {"given": "adam"},
    "optimizers.as_optimizer": {"given": "adam"},
    "optimizers.averaged_momentum": {"learning_rate": 0.1, "momentum": 0.5},
    "optimizers.chain": {"optimizer": "adam"},
    "optimizers.ema_of_points": {"decay": 0.5},
    "optimizers.factory": {"name": "adam"},
    "optimizers.get": {
        "name": "adam",
        "learning_rate": 0.1,
        "b1": 0.9,
        "b2": 0.99,
        "eps": 1e-8,
        "eps_root": 0.0,
    },
    "optimizers.gradient_cycle": {"rare": 4.0, "common": -1.0, "period": 3},
    "optimizers.gradient_noise": {"additive": 0.1, "relative": 0.1, "seed": 0},
    "optimizers.make": {"factory": optax.adam, "learning_rate": 0.1, "b1": 0.9},
    "optimizers.nesterov_textbook": {"learning_rate": 0.1, "momentum": 0.5},
    "optimizers.parameters": {"name": "adam"},
    "optimizers.schedules.get": {
        "schedule": "exponential_decay",
        "init_value": 0.1,
        "transition_steps": 10,
        "decay_rate": 0.5,
        "transition_begin": 0,
    },
    "optimizers.schedules.parameters": {"name": "linear_schedule"},
    "optimizers.transform": {"name": "clip", "max_delta": 1.0},
    "explore": {"objective": F, "optimizer": "adam"},
    "plotting.animate": {"objective": F, "paths": LINES, "frames": 3, "fps": 9, "dpi": 20} | LOOK,
    "plotting.basin_map": {"dataset": SWEEP, "objective": F, "confidence": 0.9, "ax": None},
    "plotting.certificate": {"report": None},
    "plotting.check_output": {"format": "png", "dpi": 100},
    "plotting.comparison": {"objective": F, "paths": LINES, "axes": (0, 1), "ax": None} | LOOK,
    "plotting.convergence": {"objective": F, "paths": LINES, "ax": None},
    "plotting.convergence_bands": {"ranking": None, "objectives": None, "bands": None},
    "plotting.curve": {"objective": "parabola", "paths": {"a": LINE}, "window": "auto", "ax": None},
    "plotting.data_profiles": {"ranking": None},
    "plotting.fit": {"objective": F, "paths": LINES, "ax": None},
    "plotting.gradient_field": {
        "objective": F,
        "gradient": "autodiff",
        "arrows": 3,
        "on_surface": True,
        "ax": None,
    }
    | LOOK,
    "plotting.overview": {"table": TABLE, "settings": ["learning_rate"], "higher": False},
    "plotting.paths_grid": {"dataset": SWEEP, "objective": F},
    "plotting.performance_profiles": {"ranking": None},
    "plotting.rank_table": {"ranking": None, "ax": None},
    "plotting.runtime_ecdf": {"ranking": None, "ax": None},
    "plotting.save": {"figure": None, "path": "x.png", "dpi": 100},
    "plotting.stability_map": {"dataset": SWEEP, "objective": F, "ax": None},
    "plotting.steps_ecdf": {"dataset": RATED, "by": "learning_rate", "ax": None},
    "plotting.success_rate": {
        "dataset": RATED,
        "against": "learning_rate",
        "confidence": 0.9,
        "ax": None,
    },
    "plotting.surface": {"objective": F, "axes": (0, 1), "ax": None} | LOOK,
    "plotting.sweep_pictures": {"dataset": SWEEP, "objective": F, "names": ["basins"]},
    "plotting.trajectory": {"objective": F, "path": PATH, "label": "a", "axes": (0, 1), "ax": None}
    | LOOK,
    "hessian_trace": {
        "objective": F,
        "point": [1.0, 2.0],
        "probes": 2,
        "pieces": 1,
        "seed": 0,
        "dtype": "float32",
    },
    "sharpness": {
        "objective": F,
        "point": [1.0, 2.0],
        "number": 1,
        "preconditioner": [1.0, 2.0],
        "pieces": 1,
        "tolerance": 0.1,
        "seed": 0,
        "dtype": "float32",
    },
    "spectral_density": {
        "objective": F,
        "point": [1.0, 2.0],
        "probes": 2,
        "num_steps": 2,
        "pieces": 1,
        "seed": 0,
        "dtype": "float32",
    },
    "problem": {
        "loss": lambda w, batch: ((batch[0] @ w - batch[1]) ** 2).mean(),
        "init": np.ones(2),
        "data": (np.ones((4, 2)), np.ones(4)),
        "batch": 2,
        "metric": lambda w, batch: w.sum(),
        "target": 0.5,
        "gradient": None,
        "seed": 0,
        "name": "line",
    },
    "train": {
        "objective": F,
        "optimizer": "adam",
        "start": [1.0, 2.0],
        "steps": 3,
        "watch": "sharpness",
        "every": 2,
        "checkpoint": 2,
        "gradient": "autodiff",
        "dtype": "float32",
        "store": "r.npz",
        "progress": False,
    },
    "landscape": {
        "objective": F,
        "at": [1.0, 2.0],
        "plane": "axes",
        "path": PATH,
        "dims": 1,
        "axes": [0],
        "radius": 1.0,
        "points": 3,
        "seed": 0,
        "dtype": "float32",
        "progress": False,
    },
    "plotting.landscape_slice": {"found": gdjax.landscape(F, points=3)},
    "plotting.hessian_spectrum": {
        "density": gdjax.spectral_density(F, probes=2),
        "limit": 2.0,
        "ax": None,
    },
    "plotting.training": {"run": gdjax.train(F, "adam", steps=3, every=1)},
    "rank": {
        "objectives": "booth",
        "optimizers": "gradient_descent",
        "budget": 3,
        "trials": 1,
        "starts": 1,
        "held_out": 1,
        "seeds": 1,
        "seed": 0,
        "tau": [0.1],
        "ranges": None,
        "together": False,
        "gradient": "autodiff",
        "dtype": "float32",
    },
}
# Positional alone.
FIRST = {"objectives.get": "name"}
# Those whose arguments are arrays and states of what runs, checked where a descent begins; parts
# of a layout, which sweeps and stores make; rules, and those that stand here by another name.
INNER = {
    "optimizers.gradient_descent", "optimizers.heavy_ball", "optimizers.nesterov",
    "optimizers.gauss_newton", "optimizers.levenberg_marquardt",
    "objectives.evaluate", "objectives.names", "objectives.network_names", "objectives.makers",
    "objectives.table",
    "objectives.working", "optimizers.cannot_trace", "optimizers.eval_point",
    "optimizers.extra_arguments", "optimizers.has_eval_point", "optimizers.has_line_search",
    "optimizers.mean_of_points", "optimizers.names", "optimizers.resolved",
    "optimizers.scale_by_heavy_ball", "optimizers.scale_by_nesterov", "optimizers.signature",
    "optimizers.why_not", "optimizers.schedules.names", "assert_gradient",
    "assert_rule", "check_rule",
    "results.dataset", "results.open_results", "results.provenance", "results.standard_variables",
    "results.sweep_layout", "certificates.assert_gradient", "certificates.assert_rule",
    "certificates.certify_equivalence", "certificates.check_gradient", "certificates.check_rule",
    "certificates.check_hessian", "certificates.table",
}  # fmt: skip


def found(path):
    value = gdjax
    for name in path.split("."):
        value = getattr(value, name)
    return value


def public():
    """Every public function by its path, those of the modules that gdjax lists included."""
    for module, prefix in (
        (gdjax, ""), (metrics, "metrics."), (objectives, "objectives."),
        (optimizers, "optimizers."), (plotting, "plotting."), (starts, "starts."),
        (theory, "theory."), (gdjax.results, "results."), (certificates, "certificates."),
        (optimizers.schedules, "optimizers.schedules."),
    ):  # fmt: skip
        for name in getattr(module, "__all__", ("get", "names", "parameters")):
            kinds = types.FunctionType | types.MethodType
            if isinstance(getattr(module, name), kinds):
                yield prefix + name


def test_every_public_function_is_called():
    assert {*public()} <= {*CALLS} | INNER, "a plain call for it stands in CALLS"


CASES = [(path, key, odd) for path, call in CALLS.items() for key in call for odd in ODD]
random.Random(SEED).shuffle(CASES)


def outcome(path, key, odd):
    """What a call gives; or the words in which it is refused."""
    call = CALLS[path] | {key: ODD[odd]}
    first = [call.pop(FIRST[path])] if path in FIRST else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return found(path)(*first, **call)
        except gdjax.ArgumentError as error:
            message = str(error)
            assert "\n" not in message, message
            assert 10 < len(message) < 1500, message
            return error


def strangers(cases):
    """The calls that end in anything but a result or a refusal, and nonsense that is taken."""
    for path, key, odd in cases:
        try:
            result = outcome(path, key, odd)
        except Exception as error:
            yield path, key, odd, f"{type(error).__name__}: {error}"[:150]
        else:
            refused = isinstance(result, gdjax.ArgumentError)
            if not refused and odd in NONSENSE and (path, key) not in UNUSED:
                yield path, key, odd, "is taken"


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store where the plain calls look for it."""
    monkeypatch.chdir(tmp_path)
    gdjax.sweep(F, "adam", [[1.0, 2.0]], steps=2, store="s.zarr")


def test_nothing_ends_in_a_stranger_s_exception_and_no_nonsense_is_taken(untyped, store):
    assert [*strangers(CASES[:EVERY_DAY])] == []


@pytest.mark.full
def test_nothing_does_in_a_thousand_calls(untyped, store):
    assert [*strangers(CASES[:ALL])] == []


SILENT = {  # once taken without a word
    "no truth value": lambda: metrics.success_rate([float("nan")]),
    "more than all": lambda: metrics.steps_quantile([1, float("nan")], 0.5),
    "a decay that grows": lambda: optimizers.get("adam", learning_rate=0.1, b1=1.5),
    "a decay below 0": lambda: optimizers.get("adam", learning_rate=0.1, b1=-1),
    "no number": lambda: optimizers.get("adam", learning_rate=0.1, eps=float("nan")),
    "in a partial": lambda: optimizers.as_optimizer(functools.partial(optax.adam, 0.1, b2=2.0)),
    "replaced": lambda: optimizers.get("adam", learning_rate=0.1).replace(b1=1.0),
    "swept": lambda: gdjax.sweep(F, "adam", hyperparameters={"b1": [0.5, 1.5]}, steps=2),
    "a rate for no component": lambda: gdjax.heavy_ball(jnp.array([0.1, jnp.nan])),
    "a negative rate": lambda: optimizers.schedules.get("constant_schedule", value=-0.1),
    "a schedule that turns": lambda: optimizers.schedules.get(
        "linear_schedule", init_value=0.1, end_value=-0.1, transition_steps=9
    ),
    "a search backwards": lambda: gdjax.tune_by_gradient(F, "heavy_ball", 1, rate=-1),
    "no rule": lambda: gdjax.descend(F, "adam", stopping=[1, 2, 3]),
    "no rule of a sweep": lambda: gdjax.sweep(F, "adam", stopping=[1, 2, 3]),
    "a rule below 0": lambda: gdjax.descend(F, "adam", stopping=gdjax.StoppingRule(step=-1)),
    "no least value": lambda: gdjax.Objective(fn=len, domain=[(0, 1)], fmin=float("nan")),
    "a minimum far away": lambda: gdjax.Objective(fn=len, domain=[(0, 1)], minima=[(3.0,)]),
    "a text": lambda: gdjax.descend("parabola", "adam", "12"),
    "texts": lambda: gdjax.descend(F, "adam", ["1", "2"]),
    "steps of 64 bits": lambda: gdjax.descend(F, "adam", steps=2**32 + 3),
    "steps of a sweep": lambda: gdjax.sweep(F, "adam", steps=2**31),
    "starts of more": lambda: starts.uniform(2**63),
    "points of more": lambda: starts.sobol(2**31),
    "budgets": lambda: gdjax.rank("booth", "adam", budget=2**31),
    "rounds": lambda: gdjax.tune_by_gradient(F, "adam", rounds=2**31),
    "chunks": lambda: gdjax.sweep(F, "adam", steps=1, chunk=2**31),
}


@pytest.mark.parametrize("what", SILENT)
def test_silent_nonsense_is_refused(untyped, what):
    with pytest.raises(gdjax.ArgumentError):
        SILENT[what]()
