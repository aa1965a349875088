"""From the settings of a command to the objects that the library takes."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gdjax import objectives, optimizers, starts
from gdjax._util.errors import ArgumentError, check_known, first_line
from gdjax._util.memory import check_fits
from gdjax.cli.kinds import OPEN, whole
from gdjax.cli.settings import Certify, Descending, Explore, OverData, Sweep
from gdjax.objectives.loading import find, load

OWN = "init", "data", "metric"  # what belongs to a loss of one's own


def picked(asked: Any, *keys: str) -> dict[str, Any]:
    """Some of the settings by name."""
    return {key: getattr(asked, key) for key in keys}


def filled(node: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a choice without those that a config leaves open, which its maker tells."""
    return {key: value for key, value in node.items() if value != OPEN}


def make_objective(asked: Any) -> objectives.Objective:
    """The chosen objective: one of the catalogue by its name, or what a maker makes."""
    return _aimed(_chosen(asked), asked)


def _aimed(objective: objectives.Objective, asked: Any) -> objectives.Objective:
    """The objective with the target of the config, if that has one."""
    target = getattr(asked, "target", None)
    return objective if target is None else dataclasses.replace(objective, target=target)


def _chosen(asked: Any) -> objectives.Objective:
    chosen = filled(asked.objective)
    if "maker" not in chosen:
        return objectives.get(chosen.pop("name"), **chosen)
    if chosen.get("start") is None:
        chosen["start"] = getattr(asked, "start", None)
    if chosen.get("name") is None:
        chosen.pop("name", None)
    return objectives.get(chosen.pop("maker"), **chosen)


def make_problem(asked: OverData) -> objectives.Objective:
    """The loss in a user's file, or the chosen objective, with batches and a seed if it has any."""
    if asked.loss is None:
        for key in OWN:
            if getattr(asked, key) is not None:
                raise ArgumentError(f"{key} belongs to a loss: give loss=my_file.py:loss")
        return _in_batches(asked)
    for key in ("init", "data"):
        if getattr(asked, key) is None:
            raise ArgumentError(f"loss needs {key}: give {key}=my_file.py:{key}")
    from gdjax.training.problems import problem  # few commands take a loss over data

    return problem(
        find(asked.loss, "loss"),
        init=load(asked.init, "init"),
        data=_data(asked.data),
        metric=None if asked.metric is None else find(asked.metric, "metric"),
        batch=asked.batch,
        seed=asked.seed,
    )


def _data(path: Any) -> Any:
    """What a name in a user's file holds, or what it returns."""
    data = load(path, "data")
    if not callable(data):
        return data
    try:
        return data()
    except Exception as error:  # whatever the user's code raises is told as it is
        raise ArgumentError(
            f"data must be arrays, or a function of nothing that returns them, and {path} fails: "
            f"{first_line(error)}"
        ) from error


def _in_batches(asked: OverData) -> objectives.Objective:
    """The objective of the config; what it takes of batch and seed is its own."""
    node = filled(asked.objective)
    given = {"batch": asked.batch, "seed": asked.seed or None}
    wanted = {key: value for key, value in given.items() if value is not None}
    if not wanted:
        return make_objective(asked)
    name = node.pop("name", "") if "maker" not in node else node["maker"]
    for key in wanted:
        if key not in objectives.parameters(name):
            raise ArgumentError(f"{key} is of a loss over data, and {name} has none")
    return objectives.get(name, **node | wanted)


def make_objectives(asked: Any) -> list[objectives.Objective]:
    """The chosen objective, or with ``all`` those of the catalogue."""
    if asked.objective.get("name") == "all":
        return [objectives.get(name) for name in objectives.working()]
    return [make_objective(asked)]


def make_optimizer(
    node: Mapping[str, Any], asked: Descending | Certify | Explore, rate: Any = None
) -> optimizers.Optimizer:
    """An optimizer, after the transforms of the whole config and then those of its own.

    Args:
        node: its name and settings, those of groups of leaves also under ``groups``.
        asked: the settings of the command.
        rate: the learning rate of an optimizer that needs one, where its own is left out.
    """
    chosen = filled(node)
    chosen |= chosen.pop("groups", None) or {}
    needs = optimizers.parameters(chosen["name"]).get("learning_rate") is optimizers.REQUIRED
    if needs and chosen.get("learning_rate") is None and rate is not None:
        chosen["learning_rate"] = rate
    transforms = asked.transforms | chosen.pop("transforms", {})
    return optimizers.get(**chosen, transforms=transforms)


def make_several(asked: Sweep) -> tuple[Any, Any]:
    """The objective and the optimizer of a sweep; those of a list instead, where there is one."""

    def each(key: str, make: Callable[[dict[str, Any]], Any]) -> Any:
        nodes = getattr(asked, key)
        pairs = nodes.items() if isinstance(nodes, dict) else enumerate(nodes or [""])
        made = {}
        for label, node in pairs:
            node = {"name": node} if isinstance(node, str) else node
            if not (isinstance(nodes, dict | list) and isinstance(node, dict) and node.get("name")):
                raise ArgumentError(
                    f"{key} must be names, or mappings with a name such as {{name: …}}, got {nodes}"
                )
            made[label] = make(dict(node))
        return made if isinstance(nodes, dict) else [*made.values()]

    return (
        make_objective(asked)
        if asked.objectives is None
        else each("objectives", lambda n: _aimed(objectives.get(n.pop("name"), **n), asked)),
        make_optimizer(asked.optimizer, asked)
        if asked.optimizers is None
        else each("optimizers", lambda node: make_optimizer(node, asked, asked.learning_rate)),
    )


def make_starts(asked: Sweep) -> Any:
    """Where a sweep's descents begin."""
    chosen = asked.starts
    if chosen.kind == "own":
        return asked.start
    if chosen.kind == "array":
        if chosen.points is None:
            raise ArgumentError("starts.points must be a list of points for starts.kind=array")
        return chosen.points
    if chosen.number is None:
        raise ArgumentError(f"starts.number must say how many for starts.kind={chosen.kind}")
    seed = {} if chosen.kind == "grid" else {"seed": chosen.seed}
    return starts.make(chosen.kind, number=chosen.number, **seed)


def make_axes(asked: Sweep) -> dict[Any, Any]:
    """A sweep's axes by name: lists, and ranges as values; zipped ones under all their names."""
    axes: dict[Any, Any] = {
        name: _range(name, values) if isinstance(values, dict) else values
        for name, values in (asked.hyperparameters or {}).items()
    }
    for names in asked.zipped:
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
    whole(1).check(f"{name}.number", given.get("number"))
    number = given["number"]
    try:
        low, high = float(given["low"]), float(given["high"])
    except (KeyError, TypeError, ValueError):
        raise ArgumentError(f"{name} needs numbers low and high, got {given}") from None
    if not np.isfinite([low, high]).all():
        raise ArgumentError(f"{name} must be finite, got {low} to {high}")
    if scale == "log" and min(low, high) <= 0:
        raise ArgumentError(f"{name} must be positive on a log scale, got {low} to {high}")
    check_fits(24 * number, f"{name}.number={number:,}", "take fewer values")
    return spaced[scale](low, high, number)
