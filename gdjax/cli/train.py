"""``gdjax train``: a training run that is watched."""

import logging
import sys
from typing import Any

import numpy as np

from gdjax._util.errors import ArgumentError, first_line
from gdjax.cli import clusters
from gdjax.cli.config import filled, make_objective, make_optimizer, picked
from gdjax.cli.jobs import Done
from gdjax.cli.output_folder import OutputFolder
from gdjax.cli.settings import Train
from gdjax.objectives import Objective, get, parameters
from gdjax.objectives.loading import find, load
from gdjax.training import problems, runs

log: logging.Logger = logging.getLogger(__name__)

OWN = "init", "data", "metric"  # what belongs to a loss of one's own


def train(asked: Train, folder: OutputFolder) -> Done:
    """Train, and leave the picture, the numbers and the last parameters.

    Its number is the last loss.
    """
    clusters.check_local(asked.engine)
    optimizer, objective = make_optimizer(asked.optimizer, asked), _objective(asked)
    how = picked(
        asked, "start", "steps", "watch", "every", "checkpoint", "gradient", "dtype", "store"
    )
    run = runs.train(objective, optimizer, **how, progress=sys.stderr.isatty())
    pictures = {}
    if folder.draws:
        from gdjax import plotting  # not every call draws

        pictures = {"training": plotting.training(run)}
    names = folder.pictures(pictures)
    folder.arrays("training.npz", _arrays(objective, run))
    folder.summary(_summary(run) | {"pictures": names})
    log.info("%s: %s", run.objective, run.optimizer)
    for sentence in run.sentences:
        log.info("%s", sentence)
    folder.tell([*names, "training.npz"])
    return Done(float(run.looks.loss[-1]))


def _objective(asked: Train) -> Objective:
    """The loss in a user's file, or the chosen objective, with batches and a seed if it has any."""
    if asked.loss is None:
        for key in OWN:
            if getattr(asked, key) is not None:
                raise ArgumentError(f"{key} belongs to a loss: give loss=my_file.py:loss")
        return _chosen(asked)
    for key in ("init", "data"):
        if getattr(asked, key) is None:
            raise ArgumentError(f"loss needs {key}: give {key}=my_file.py:{key}")
    return problems.problem(
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


def _chosen(asked: Train) -> Objective:
    """The objective of the config; what it takes of batch and seed is its own."""
    node = filled(asked.objective)
    given = {"batch": asked.batch, "seed": asked.seed or None}
    wanted = {key: value for key, value in given.items() if value is not None}
    if not wanted:
        return make_objective(asked)
    name = node.pop("name", "") if "maker" not in node else node["maker"]
    for key in wanted:
        if key not in parameters(name):
            raise ArgumentError(f"{key} is of a loss over data, and {name} has none")
    return get(name, **node | wanted)


def _arrays(objective: Objective, run: runs.TrainingRun) -> dict[str, Any]:
    looks = {name: np.asarray(values) for name, values in run.looks._asdict().items()}
    last = objective.flat(run.point) if run.broken is None else np.full(objective.dim, np.nan)
    return looks | {
        "steps": run.steps,
        "point": last,
        "checkpoints": run.checkpoints,
        "parameters": run.parameters,
        "variables": np.array(objective.variables),
    }


def _summary(run: runs.TrainingRun) -> dict[str, Any]:
    """What became of a run, as plain numbers; what is not known is null."""

    def plain(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    return {
        "objective": run.objective,
        "optimizer": run.optimizer,
        "steps": int(run.steps[-1]),
        "last": {name: plain(values[-1]) for name, values in run.looks._asdict().items()},
        "metric": run.metric,
        "preconditioned": run.preconditioned,
        "limit": run.edge.limit,
        "no_limit": run.edge.why,
        "reached": run.reached,
        "hovering": run.hovering,
        "broken": run.broken,
        "leaf": run.leaf,
    }
