"""``gdjax compare``: several optimizers on one objective, from one start or tuned over many."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from omegaconf import DictConfig

from gdjax._descent.trajectory import Trajectory
from gdjax._util.errors import ArgumentError, check_known
from gdjax.certificates import certify_equivalence
from gdjax.cli import descents
from gdjax.cli.config import make_objective, make_optimizer, settings
from gdjax.cli.output_folder import OutputFolder
from gdjax.comparison import comparison
from gdjax.optimizers import Optimizer

MODES = ("paths", "tuned")


def compare(config: DictConfig, folder: OutputFolder) -> int:
    """Descend with each optimizer from one start, or tune them; leave what happened."""
    check_known("mode", config.mode, MODES)
    optimizers, objective = _optimizers(config), make_objective(config)
    if config.mode == "tuned":
        from gdjax.cli.rank import tune_and_score  # what only a ranking needs takes long to import

        return tune_and_score([objective], [*optimizers.values()], config.tuned, config, folder)
    axes = descents.picked_axes(objective, config)
    asked = settings(config, *descents.ASKED)
    found = comparison.compare(objective, optimizers, **asked)
    summary = descents.describe(objective, found.paths, found.rates, asked)
    if config.distance:
        pairs = itertools.combinations(found.paths, 2)
        summary["distances"] = [_distance(found.paths, pair) for pair in pairs]
    reports = []
    if config.certify:
        first, *others = optimizers.values()
        begin = next(iter(found.paths.values())).points[0]
        how: Any = {"gradient": asked["gradient"], "dtype": summary["dtype"]}
        reports = [
            certify_equivalence(first, other, objective, [begin], max(asked["steps"], 1), **how)
            for other in others
        ]
        summary["certificates"] = [
            {"a": r.a, "b": r.b, "verdict": r.verdict, "trials": [t._asdict() for t in r.trials]}
            for r in reports
        ]
    descents.leave(objective, found.paths, summary, folder, axes, reports)
    return 0


def _optimizers(config: DictConfig) -> dict[str, Optimizer]:
    """The optimizers by what they are; of two that are the same, the second with its key."""
    if not isinstance(config.optimizers, DictConfig):
        raise ArgumentError(
            f"optimizers must be optimizers by a name of their own, got {config.optimizers}; one "
            f"is chosen as optimizer@optimizers.a=adam, and added as +optimizer@optimizers.c=adam"
        )
    if not config.optimizers:
        raise ArgumentError("optimizers must be one or more, got none")
    chosen: dict[str, Optimizer] = {}
    for key, node in config.optimizers.items():
        if not isinstance(node, DictConfig):
            raise ArgumentError(
                f"optimizers.{key} must be an optimizer with its settings, got {node}; one is "
                f"chosen as optimizer@optimizers.{key}={node}"
            )
        optimizer = make_optimizer(node, config)
        label = repr(optimizer)
        chosen[f"{label} [{key}]" if label in chosen else label] = optimizer
    return chosen


def _distance(paths: Mapping[str, Trajectory], pair: tuple[str, str]) -> dict[str, Any]:
    """How far two paths drift apart at most, and where."""
    a, b = (np.asarray(paths[label].points, dtype=float) for label in pair)
    apart = np.linalg.norm(a - b, axis=1)
    step = int(np.nan_to_num(apart, nan=np.inf).argmax())
    return {"between": list(pair), "largest": float(apart[step]), "step": step}
