"""``gdjax compare``: several optimizers on one objective, from one start or tuned over many."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from gdjax._descent.trajectory import Trajectory
from gdjax._util.errors import ArgumentError
from gdjax.certificates import certify_equivalence
from gdjax.cli import clusters, descents
from gdjax.cli.config import make_objective, make_optimizer, picked
from gdjax.cli.jobs import Done
from gdjax.cli.output_folder import OutputFolder
from gdjax.cli.settings import Compare
from gdjax.comparison import comparison
from gdjax.optimizers import Optimizer


def compare(asked: Compare, folder: OutputFolder) -> Done:
    """Descend with each optimizer from one start, or tune them; leave what happened.

    Its number is the least of the final values, or the best score.
    """
    clusters.check_local(asked.engine)
    optimizers, objective = _optimizers(asked), make_objective(asked)
    if asked.mode == "tuned":
        from gdjax.cli.rank import tune_and_score  # what only a ranking needs takes long to import

        return tune_and_score([objective], [*optimizers.values()], asked.tuned, asked, folder)
    descents.check_look(objective, asked.plot)
    descent = picked(asked, *descents.ASKED)
    found = comparison.compare(objective, optimizers, **descent)
    paths = {label: descents.flat(objective, path) for label, path in found.paths.items()}
    summary = descents.describe(objective, paths, found.rates, descent)
    if asked.distance:
        pairs = itertools.combinations(paths, 2)
        summary["distances"] = [_distance(paths, pair) for pair in pairs]
    reports = []
    if asked.certify:
        first, *others = optimizers.values()
        begin = next(iter(paths.values())).points[0]
        how: Any = {"gradient": asked.gradient, "dtype": summary["dtype"]}
        reports = [
            certify_equivalence(first, other, objective, [begin], max(asked.steps, 1), **how)
            for other in others
        ]
        summary["certificates"] = [
            {"a": r.a, "b": r.b, "verdict": r.verdict, "trials": [t._asdict() for t in r.trials]}
            for r in reports
        ]
    descents.leave(objective, optimizers, paths, summary, folder, asked.plot, reports)
    return Done(min(result["compared_by"] for result in summary["results"].values()))


def _optimizers(asked: Compare) -> dict[str, Optimizer]:
    if not asked.optimizers:
        raise ArgumentError("optimizers must be one or more, got none")
    made = {key: make_optimizer(node, asked) for key, node in asked.optimizers.items()}
    return {label: made[key] for key, label in descents.labels(made).items()}


def _distance(paths: Mapping[str, Trajectory], pair: tuple[str, str]) -> dict[str, Any]:
    """How far two paths drift apart at most, and where."""
    a, b = (np.asarray(paths[label].points, dtype=float) for label in pair)
    apart = np.linalg.norm(a - b, axis=1)
    step = int(np.nan_to_num(apart, nan=np.inf).argmax())
    return {"between": list(pair), "largest": float(apart[step]), "step": step}
