"""What pictures are handed, in the one form that they draw: flat paths, and an objective."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from gdjax._descent.trajectory import Trajectory
from gdjax._inputs import ObjectiveLike, as_objective, default_dtype, objective_at
from gdjax._util.arguments import refused
from gdjax._util.errors import ArgumentError
from gdjax.objectives import Objective, validate
from gdjax.objectives.structure import component_names

NEEDED = {"outcome", "start_point"}


def sweep_results(name: str, value: Any) -> Any:
    """The rule of a dataset: what ``gdjax.sweep`` gives, with all that pictures read."""
    names = {*map(str, getattr(value, "variables", ()))} if hasattr(value, "data_vars") else set()
    if not names >= NEEDED:
        raise refused(name, "be what gdjax.sweep gives", value)
    return value


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
    first, values = next(iter(paths.values()))[:2]
    start = jax.tree.map(lambda x: np.asarray(x)[0] if hasattr(x, "dtype") else x, first)
    f = as_objective(objective, start)
    with default_dtype(values.dtype):
        validate(f, numbers=False)
    flat = {str(k): path._replace(points=f.flattened(path.points)) for k, path in paths.items()}
    for label, path in flat.items():
        if np.shape(path.points)[1:] != (f.dim,):
            raise ArgumentError(
                f"paths must be of {f.name}, which has {f.dim} components, and {label} has "
                f"{np.shape(path.points)[1]}"
            )
    return f, flat


def swept(objective: ObjectiveLike, dataset: Any) -> Objective:
    """The objective that a sweep was over; a function is one of points like its starts.

    Raises:
        ArgumentError: a function of a structure that the names of the components do not tell, or
            several objectives at once.
    """
    if "objective" in dataset["outcome"].dims:
        raise ArgumentError(
            "this picture is of one objective, and the dataset of several; pick first, such as "
            "dataset.isel(objective=0)"
        )
    if isinstance(objective, Objective | str) or not callable(objective):
        return as_objective(objective)
    start: Any = np.asarray(dataset["start_point"])[0]
    names = [str(x) for x in dataset["component"].values]
    if names != list(component_names(len(names))):
        if not all(name.isidentifier() for name in names):
            raise ArgumentError(
                f"a function of a pytree must come as the gdjax.Objective that was swept, for its "
                f"components {', '.join(names)[:100]} do not tell what points are like"
            )
        start = dict(zip(names, start, strict=True))
    with default_dtype(str(dataset["start_point"].dtype)):
        return validate(objective_at(objective, start), numbers=False)
