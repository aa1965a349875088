"""From a composed config to the objects that a task takes."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from gdjax import objectives, optimizers, plotting, starts
from gdjax._descent.outcomes import StoppingRule
from gdjax._inputs import as_count
from gdjax._util.errors import ArgumentError, unknown
from gdjax.cli.certify import certify
from gdjax.cli.check import check
from gdjax.cli.compare import compare

log = logging.getLogger(__name__)


FLAGS = (
    "stopping", "parquet", "distance", "certify", "hessian", "draw", "decaying",
    "together", "tuned.together",
)  # fmt: skip
NUMBERS = ("tolerance", "plot.dpi")


def check_kinds(config: DictConfig) -> None:
    """Refuse a word where true or false, or a number, is to stand, before anything is computed."""
    for kinds, names, wanted in (
        (bool, FLAGS, "true or false"),
        (int | float, NUMBERS, "a number"),
    ):
        for name in names:
            value = OmegaConf.select(config, name, default=None)
            if value is not None and not isinstance(value, kinds):
                raise ArgumentError(f"{name} must be {wanted}, got {value}")


def _run(config: DictConfig, folder: Path) -> int:
    optimizer = _optimizer(config.optimizer, config)
    compare(_objective(config), {repr(optimizer): optimizer}, folder, **_options(config))
    return 0


def _compare(config: DictConfig, folder: Path) -> int:
    if config.mode not in ("paths", "tuned"):
        raise unknown("mode", config.mode, ("paths", "tuned"))
    if not isinstance(config.optimizers, DictConfig):
        raise ArgumentError(
            f"optimizers must be optimizers by a name of their own, got {config.optimizers}; one "
            f"is chosen as optimizer@optimizers.a=adam, and added as +optimizer@optimizers.c=adam"
        )
    if not config.optimizers:
        raise ArgumentError("optimizers must be one or more, got none")
    chosen: dict[str, Any] = {}
    for key, node in config.optimizers.items():
        if not isinstance(node, DictConfig):
            raise ArgumentError(
                f"optimizers.{key} must be an optimizer with its settings, got {node}; one is "
                f"chosen as optimizer@optimizers.{key}={node}"
            )
        optimizer = _optimizer(node, config)
        label = repr(optimizer)
        chosen[f"{label} [{key}]" if label in chosen else label] = optimizer
    if config.mode == "tuned":
        _ranked([_objective(config)], [*chosen.values()], config, _plain(config.tuned), folder)
        return 0
    extra = {"distance": config.distance, "certify": config.certify}
    compare(_objective(config), chosen, folder, **extra, **_options(config))
    return 0


def _rank(config: DictConfig, folder: Path) -> int:
    plain = _plain(config)
    given = [_objective(config)] if config.get("objective") else plain["objectives"]
    _ranked(given, plain["optimizers"], config, plain, folder)
    return 0


def _ranked(given: Any, chosen: Any, config: DictConfig, how: dict[str, Any], folder: Path) -> None:
    from gdjax.cli.rank import rank  # only a ranking needs its modules

    keys = ("budget", "trials", "starts", "held_out", "seeds", "seed", "tau", "ranges", "together")
    plain = _plain(config)
    rank(
        given, chosen, folder,
        **{key: how[key] for key in keys},
        **{key: plain[key] for key in ("gradient", "dtype")},
        **{key: plain["plot"][key] for key in ("format", "dpi")},
    )  # fmt: skip


def _check(config: DictConfig, folder: Path) -> int:
    names = objectives.working() if config.objective.name == "all" else [config.objective.name]
    chosen = [_objective(config)] if len(names) == 1 else [objectives.get(name) for name in names]
    keys = ("points", "seed", "dtype", "hessian", "draw")
    reports = check(chosen, folder, **{key: config[key] for key in keys})
    wrong = [f"{report.kind} of {report.name}" for report in reports if not report.ok]
    if len(reports) > 1:
        log.info("%d of %d are right", len(reports) - len(wrong), len(reports))
    if wrong:
        log.error("wrong: %s", ", ".join(wrong))
    return 1 if wrong else 0


def _certify(config: DictConfig, folder: Path) -> int:
    del folder  # the log is all that a certificate leaves
    names = objectives.working() if config.objective.name == "all" else [config.objective.name]
    chosen = [_objective(config)] if len(names) == 1 else [objectives.get(name) for name in names]

    def pair(rate: float) -> tuple[optimizers.Optimizer, optimizers.Optimizer]:
        at = OmegaConf.merge(config, {"learning_rate": rate})
        return _optimizer(at.a, at), _optimizer(at.b, at)  # type: ignore[arg-type]

    keys = ("learning_rate", "starts", "steps", "seed", "dtypes", "decaying")
    reports = certify(chosen, pair, **{key: _plain(config)[key] for key in keys})
    return 0 if all(report.same for report in reports) else 1


def _sweep(config: DictConfig, folder: Path) -> int:
    # Loaded here: only a sweep needs xarray and zarr, which take long to import.
    from gdjax._sweep.engine import Sweep
    from gdjax._sweep.plan import plan
    from gdjax.cli.sweep import sweep

    plain, objective = _plain(config), _objective(config)
    plotting.check_output(plain["plot"]["format"], plain["plot"]["dpi"])
    asked = plan(
        objective,
        _optimizer(config.optimizer, config),
        _starts(plain),
        _axes(plain["hyperparameters"], plain["zipped"]),
        stopping=StoppingRule(every=plain["every"]) if plain["stopping"] else False,
        **{k: plain[k] for k in ("steps", "save_at", "tolerance", "gradient", "dtype", "chunk")},
    )  # fmt: skip
    prepared = Sweep(asked, plain["devices"], plain["kernel"], in_memory=False)
    sweep(
        prepared, objective, folder,
        **{k: plain[k] for k in ("store", "parquet", "plots")},
        **{k: plain["plot"][k] for k in ("format", "dpi")},
    )  # fmt: skip
    return 0


def _starts(plain: dict[str, Any]) -> Any:
    """Where a sweep's descents begin, as the config has it."""
    chosen = plain["starts"]
    kind, points, number = chosen["kind"], chosen["points"], chosen["number"]
    if kind == "own":
        return plain["start"]
    if kind == "array":
        if points is None:
            raise ArgumentError("starts.points must be a list of points for starts.kind=array")
        return points
    if number is None:
        raise ArgumentError(f"starts.number must say how many for starts.kind={kind}")
    seed = {} if kind == "grid" else {"seed": chosen["seed"]}
    return starts.make(kind, number=number, **seed)


def _axes(hyperparameters: dict[str, Any], zipped: list[list[str]]) -> dict[Any, Any]:
    """Axes by name, lists and ranges turned into values; zipped ones under all their names."""
    axes: dict[Any, Any] = {}
    for name, values in hyperparameters.items():
        axes[name] = _range(name, values) if isinstance(values, dict) else values
    for names in zipped:
        for name in names:
            if not axes:
                raise ArgumentError(
                    f"zipped joins hyperparameters that have values: give those of {name} first, "
                    f"as +hyperparameters.{name}=[0.1,0.2]"
                )
            if name not in axes:
                raise unknown("hyperparameter to zip", name, axes)
        axes[tuple(names)] = tuple(axes.pop(name) for name in names)
    return axes


def _range(name: str, given: dict[str, Any]) -> np.ndarray:
    """Numbers from low to high, evenly spaced or in equal ratios."""
    wanted = {"low", "high", "number", "scale"}
    for key in given:
        if key not in wanted:
            raise unknown(f"setting of hyperparameters.{name}", key, wanted)
    scale = given.get("scale", "linear")
    if scale not in ("linear", "log"):
        raise unknown(f"hyperparameters.{name}.scale", scale, ("linear", "log"))
    number = as_count(f"hyperparameters.{name}.number", given.get("number"), 1)
    try:
        low, high = float(given["low"]), float(given["high"])
    except (KeyError, TypeError, ValueError):
        raise ArgumentError(
            f"hyperparameters.{name} needs numbers low and high, got {given}"
        ) from None
    if scale == "log" and min(low, high) <= 0:
        raise ArgumentError(
            f"hyperparameters.{name} must be positive on a log scale, got {low} to {high}"
        )
    return (np.linspace if scale == "linear" else np.geomspace)(low, high, number)


TASKS = {
    "run": _run, "compare": _compare, "rank": _rank, "sweep": _sweep, "check": _check,
    "certify": _certify,
}  # fmt: skip


def _objective(config: DictConfig) -> objectives.Objective:
    """The chosen objective: one of the catalogue by its name, or what a maker makes."""
    chosen = _plain(config.objective)
    if "maker" not in chosen:
        return objectives.get(chosen.pop("name"), **chosen)
    if chosen["start"] is None and config.get("start") is not None:
        chosen["start"] = _plain(config)["start"]
    if chosen["name"] is None:
        del chosen["name"]
    return objectives.get(chosen.pop("maker"), **chosen)


def _optimizer(node: DictConfig, config: DictConfig | None = None) -> optimizers.Optimizer:
    """An optimizer, after the transforms of the whole config and then those of its own."""
    plain: Any = OmegaConf.to_container(node, resolve=True)
    plain = {key: value for key, value in plain.items() if value != "???"}  # get() tells these
    transforms = (_plain(config.transforms) if config else {}) | plain.pop("transforms", {})
    return optimizers.get(**plain, transforms=transforms)


def _options(config: DictConfig) -> dict[str, Any]:
    keys = ("start", "steps", "gradient", "dtype")
    return {key: _plain(config)[key] for key in keys} | _plain(config.plot)


def _plain(node: DictConfig) -> dict[str, Any]:
    return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
