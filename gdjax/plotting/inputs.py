"""What pictures are handed, in the one form that they draw: flat paths, and an objective."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from gdjax._inputs import ObjectiveLike, as_objective
from gdjax.descent import Trajectory
from gdjax.errors import ArgumentError
from gdjax.objectives import Objective


def described(objective: ObjectiveLike, paths: Any) -> tuple[Objective, dict[str, Trajectory]]:
    """The objective, and its trajectories by label, with points ``(n, d)``.

    Args:
        objective: an ``Objective``, the name of one, or a function of a point.
        paths: trajectories by label, what ``gdjax.compare`` found, or one trajectory.

    Raises:
        ArgumentError: no paths, or what is none of these.
    """
    if isinstance(paths, Trajectory):
        paths = {"path": paths}
    paths = getattr(paths, "paths", paths)
    if not isinstance(paths, Mapping):
        raise ArgumentError(
            f"paths must be trajectories by label, or what gdjax.compare found, got {paths!r:.200}"
        )
    for label, path in paths.items():
        if not isinstance(path, Trajectory):
            raise ArgumentError(
                f"paths must hold what gdjax.descend gives, got {path!r:.200} for {label}"
            )
    if not paths:
        raise ArgumentError("paths must name at least one trajectory, got none")
    first = next(iter(paths.values())).points
    f = as_objective(objective, jax.tree.map(lambda x: np.asarray(x)[0], first))
    flat = {str(k): path._replace(points=f.flattened(path.points)) for k, path in paths.items()}
    for label, path in flat.items():
        if np.shape(path.points)[1:] != (f.dim,):
            raise ArgumentError(
                f"paths must be of {f.name}, which has {f.dim} components, and {label} has "
                f"{np.shape(path.points)[1]}"
            )
    return f, flat


def swept(objective: ObjectiveLike, dataset: Any) -> Objective:
    """The objective that a sweep was over; a function is one of its starts' dimension."""
    starts = np.asarray(dataset["start_point"])
    return as_objective(objective, starts[0] if len(starts) else None)
