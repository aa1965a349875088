"""``gdjax train``: a training run that is watched."""

import logging
import math
import sys
from typing import Any

import numpy as np

from gdjax.cli import clusters
from gdjax.cli.config import make_optimizer, make_problem, picked
from gdjax.cli.jobs import Done
from gdjax.cli.output_folder import OutputFolder, plain
from gdjax.cli.settings import Train
from gdjax.objectives import Objective
from gdjax.training import runs

log: logging.Logger = logging.getLogger(__name__)

KEPT = 100  # checkpoints of a run, about, where nothing is said and they are few numbers
LITTLE = 64 * 2**20  # bytes of them


def train(asked: Train, folder: OutputFolder) -> Done:
    """Train, and leave the picture, the numbers and the last parameters.

    Its number is the last loss.
    """
    clusters.check_local(asked.engine)
    optimizer, objective = make_optimizer(asked.optimizer, asked), make_problem(asked)
    how = picked(
        asked, "start", "steps", "watch", "every", "checkpoint", "gradient", "dtype", "store"
    )
    if asked.checkpoint is None:
        how["checkpoint"] = _checkpoint(asked, objective)
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


def _checkpoint(asked: Train, objective: Objective) -> int | None:
    """How often parameters are kept where nothing is said: so that slices have a path to show.

    A store that may go further later keeps none: how often must not depend on how far it goes.
    """
    if asked.store is not None or 8 * KEPT * objective.dim > LITTLE:
        return None
    return asked.every * max(1, math.ceil(asked.steps / (asked.every * KEPT)))


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
