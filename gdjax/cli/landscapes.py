"""``gdjax landscape``: a slice of a loss landscape, and what it hides."""

import logging
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gdjax.cli import clusters, rerun
from gdjax.cli.config import make_objective, make_optimizer, make_problem, picked
from gdjax.cli.jobs import Done
from gdjax.cli.output_folder import OutputFolder, plain
from gdjax.cli.settings import Landscape, Train
from gdjax.objectives import Objective
from gdjax.training import runs, slices
from gdjax.training.confessions import LandscapeSlice

log: logging.Logger = logging.getLogger(__name__)

KEPT = 100  # points of a path that is descended for the slice, about


def landscape(asked: Landscape, folder: OutputFolder) -> Done:
    """Lay a slice, and leave the picture, the numbers and what it hides in words.

    Its number is the highest barrier of a plane between points, else the loss at the centre.
    """
    clusters.check_local(asked.engine)
    objective, path, dtype = _given(asked)
    at = asked.at[0] if _is_one_place(asked.at) and asked.plane != "between" else asked.at
    found = slices.landscape(
        objective,
        at,
        asked.plane,
        path=path,
        **picked(asked, "dims", "axes", "radius", "points"),
        seed=asked.plane_seed,
        dtype=dtype,
        progress=sys.stderr.isatty(),
    )
    pictures = {}
    if folder.draws:
        from gdjax import plotting  # not every call draws

        pictures = {"landscape": plotting.landscape_slice(found)}
    names = folder.pictures(pictures)
    folder.arrays("landscape.npz", _arrays(objective, found))
    folder.summary(_summary(found) | {"pictures": names})
    log.info("%s", found.objective)
    for sentence in found.sentences:
        log.info("%s", sentence)
    folder.tell([*names, "landscape.npz"])
    return Done(found.loss if found.barrier is None else found.barrier)


def _is_one_place(at: Any) -> bool:
    return isinstance(at, list) and len(at) == 1 and isinstance(at[0], str)


def _given(asked: Landscape) -> tuple[Objective, Any, Any]:
    """The objective, the path that is shown beside the slice, and the dtype."""
    if asked.run is not None:
        folder = Path(asked.run)
        made = rerun.asked_of(folder, "run", ("train", "run"))
        objective = make_problem(made) if isinstance(made, Train) else make_objective(made)
        return objective, asked.path or asked.run, asked.dtype or made.dtype
    objective, dtype = make_problem(asked), asked.dtype or "float32"
    if asked.at is not None or asked.path is not None or asked.plane == "between":
        return objective, asked.path, dtype
    return objective, _descended(asked, objective, dtype), dtype


def _descended(asked: Landscape, objective: Objective, dtype: Any) -> runs.TrainingRun | None:
    """The path of the optimizer from the start, where no point is given."""
    if not asked.steps:
        return None
    optimizer, every = make_optimizer(asked.optimizer, asked), math.ceil(asked.steps / KEPT)
    how = picked(asked, "start", "steps", "gradient")
    run = runs.train(
        objective, optimizer, **how, watch=(), every=every, checkpoint=every, dtype=dtype,
        progress=sys.stderr.isatty(),
    )  # fmt: skip
    log.info("%s: %s", run.optimizer, run)
    return run


def _arrays(objective: Objective, found: LandscapeSlice) -> dict[str, Any]:
    arrays = {k: v for k, v in found._asdict().items() if isinstance(v, np.ndarray)}
    places = {f"coordinates_{i}": along for i, along in enumerate(found.coordinates)}
    return arrays | places | {"variables": np.array(objective.variables)}


def _summary(found: LandscapeSlice) -> dict[str, Any]:
    """What a slice shows and hides, as plain numbers; what is not known is null."""
    worst, seen = found.worst, found.losses[np.isfinite(found.losses)]
    return {
        "objective": found.objective,
        "plane": found.plane,
        "axes": list(found.names),
        "dim": found.dim,
        "loss": plain(found.loss),
        "lowest": plain(seen.min()) if seen.size else None,
        "highest": plain(seen.max()) if seen.size else None,
        "explained": [*map(plain, found.explained)] if len(found.steps) else None,
        "farthest": plain(found.distances.max()) if len(found.steps) else None,
        "worst": None
        if worst is None
        else {
            "step": int(found.steps[worst]),
            "true_loss": plain(found.true_losses[worst]),
            "shown_loss": plain(found.shown_losses[worst]),
        },
        "curvatures": [*map(plain, found.curvatures)],
        "residuals": [*map(plain, found.residuals)],
        "sharpness": plain(found.sharpness),
        "sharpness_residual": plain(found.sharpness_residual),
        "barrier": plain(found.barrier),
        "barriers": [*map(plain, found.barriers)],
        "sentences": found.sentences,
    }
