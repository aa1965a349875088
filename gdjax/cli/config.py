"""From a composed config to the objects that the library takes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from gdjax import objectives, optimizers, starts
from gdjax._inputs import as_count
from gdjax._util.errors import ArgumentError, check_known
from gdjax.cli.refusals import RENAMED, renamed

KINDS: dict[str, tuple[type, ...]] = {
    "true or false": (bool,),
    "a number": (int, float),
}
KIND_OF = {"tolerance": "a number", "plot.dpi": "a number"} | dict.fromkeys(
    (
        "stopping", "parquet", "distance", "certify", "hessian", "draw", "decaying", "together",
        "tuned.together", "plan",
    ),
    "true or false",
)  # fmt: skip


def check_settings(config: DictConfig) -> None:
    """Refuse a setting's old name, and a word where true, false or a number is to stand."""
    for name in RENAMED.keys() & config.keys():
        raise renamed(name)
    for name, kind in KIND_OF.items():
        value = OmegaConf.select(config, name, default=None)
        if value is not None and not isinstance(value, KINDS[kind]):
            raise ArgumentError(f"{name} must be {kind}, got {value}")


def plain(value: Any) -> Any:
    """A config, or a part of it, as Python's own dictionaries and lists."""
    if not OmegaConf.is_config(value):
        return value
    return OmegaConf.to_container(value, resolve=True, throw_on_missing=True)


def settings(config: DictConfig, *keys: str) -> dict[str, Any]:
    """Some of a config's settings by name."""
    return {key: plain(config[key]) for key in keys}


def make_objective(config: DictConfig) -> objectives.Objective:
    """The chosen objective: one of the catalogue by its name, or what a maker makes."""
    chosen = plain(config.objective)
    if "maker" not in chosen:
        return objectives.get(chosen.pop("name"), **chosen)
    if chosen["start"] is None:
        chosen["start"] = plain(config.get("start"))
    if chosen["name"] is None:
        del chosen["name"]
    return objectives.get(chosen.pop("maker"), **chosen)


def make_objectives(config: DictConfig) -> list[objectives.Objective]:
    """The chosen objective, or with ``all`` those of the catalogue."""
    if config.objective.name == "all":
        return [objectives.get(name) for name in objectives.working()]
    return [make_objective(config)]


def make_optimizer(node: DictConfig, config: DictConfig) -> optimizers.Optimizer:
    """An optimizer, after the transforms of the whole config and then those of its own."""
    given: Any = OmegaConf.to_container(node, resolve=True)
    given = {key: value for key, value in given.items() if value != "???"}  # get() tells these
    transforms = plain(config.transforms) | given.pop("transforms", {})
    return optimizers.get(**given, transforms=transforms)


def make_several(config: DictConfig) -> tuple[Any, Any]:
    """The objective and the optimizer of a sweep; those of a list instead, where there is one."""

    def each(key: str, make: Callable[[dict[str, Any]], Any]) -> Any:
        nodes = plain(config[key])
        pairs = nodes.items() if isinstance(nodes, dict) else enumerate(nodes or [""])
        made = {}
        for label, node in pairs:
            node = {"name": node} if isinstance(node, str) else node
            if not (isinstance(nodes, dict | list) and isinstance(node, dict) and node.get("name")):
                raise ArgumentError(
                    f"{key} must be names, or mappings with a name such as {{name: …}}, got {nodes}"
                )
            made[label] = make(node)
        return made if isinstance(nodes, dict) else [*made.values()]

    def optimizer(node: dict[str, Any]) -> optimizers.Optimizer:
        if optimizers.parameters(node["name"]).get("learning_rate") is optimizers.REQUIRED:
            node = {"learning_rate": config.learning_rate} | node
        return make_optimizer(OmegaConf.create(node), config)

    return (
        make_objective(config)
        if config.objectives is None
        else each("objectives", lambda node: objectives.get(node.pop("name"), **node)),
        make_optimizer(config.optimizer, config)
        if config.optimizers is None
        else each("optimizers", optimizer),
    )


def make_starts(config: DictConfig) -> Any:
    """Where a sweep's descents begin."""
    chosen = config.starts
    if chosen.kind == "own":
        return plain(config.start)
    if chosen.kind == "array":
        if chosen.points is None:
            raise ArgumentError("starts.points must be a list of points for starts.kind=array")
        return plain(chosen.points)
    if chosen.number is None:
        raise ArgumentError(f"starts.number must say how many for starts.kind={chosen.kind}")
    seed = {} if chosen.kind == "grid" else {"seed": chosen.seed}
    return starts.make(chosen.kind, number=chosen.number, **seed)


def make_axes(config: DictConfig) -> dict[Any, Any]:
    """A sweep's axes by name: lists, and ranges as values; zipped ones under all their names."""
    axes: dict[Any, Any] = {
        name: _range(name, values) if isinstance(values, dict) else values
        for name, values in plain(config.get("hyperparameters") or {}).items()
    }
    for names in plain(config.zipped):
        for name in names:
            if not axes:
                raise ArgumentError(
                    f"zipped joins hyperparameters that have values: give those of {name} first, "
                    f"as +hyperparameters.{name}=[0.1,0.2]"
                )
            check_known("hyperparameter to zip", name, axes)
        axes[tuple(names)] = tuple(axes.pop(name) for name in names)
    return axes


def _range(name: str, given: dict[str, Any]) -> np.ndarray:
    """Numbers from low to high, evenly spaced or in equal ratios."""
    name = f"hyperparameters.{name}"
    for key in given:
        check_known(f"setting of {name}", key, ("low", "high", "number", "scale"))
    spaced = {"linear": np.linspace, "log": np.geomspace}
    scale = given.get("scale", "linear")
    check_known(f"{name}.scale", scale, spaced)
    number = as_count(f"{name}.number", given.get("number"), 1)
    try:
        low, high = float(given["low"]), float(given["high"])
    except (KeyError, TypeError, ValueError):
        raise ArgumentError(f"{name} needs numbers low and high, got {given}") from None
    if scale == "log" and min(low, high) <= 0:
        raise ArgumentError(f"{name} must be positive on a log scale, got {low} to {high}")
    return spaced[scale](low, high, number)
