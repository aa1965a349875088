"""Which pictures a sweep's results can be drawn as."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gdjax._util.arguments import gate, maybe, refused
from gdjax._util.errors import ArgumentError, check_known
from gdjax.objectives import Objective
from gdjax.plotting import given
from gdjax.plotting.basin_map import basin_map
from gdjax.plotting.datasets import (
    Dataset,
    axes_of,
    check_finished,
    combination,
    has_numbers,
    setting,
)
from gdjax.plotting.figure import AnyFigure, Figures
from gdjax.plotting.multiples import paths_grid
from gdjax.plotting.rates import steps_ecdf, success_rate
from gdjax.plotting.stability import stability_map

PICTURES: dict[str, Callable[[Dataset, Objective], AnyFigure]] = {
    "basins": basin_map,
    "stability": stability_map,
    "success_rate": lambda dataset, _: success_rate(dataset),
    "steps": lambda dataset, _: steps_ecdf(dataset),
    "paths": paths_grid,
}


def _names(name: str, value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        raise refused(name, f"be a list of {', '.join(PICTURES)}", value)
    return list(value)


@gate(dataset=given.sweep_results, names=maybe(_names))
def sweep_pictures(dataset: Dataset, objective: Any, names: Sequence[str] | None = None) -> Figures:
    """The pictures of a sweep by name: those asked for, or every one that suits it.

    Each of several objectives has pictures of its own. A picture that cannot be drawn of all axes
    at once is drawn of every combination of those that are no numbers.

    Args:
        dataset: the result of ``gdjax.sweep``.
        objective: what was swept; several as they were given.
        names: among ``basins``, ``stability``, ``success_rate``, ``steps`` and ``paths``; by
            default whatever can be drawn of this sweep.

    Returns:
        Figures by name, with the combination where there are several: ``basins, adam``; nothing
        is shown or saved.

    Raises:
        ArgumentError: an unfinished sweep, an unknown name, or a picture asked for that the sweep
            does not suit.
    """
    check_finished(dataset)
    for name in names or ():
        check_known("picture", name, PICTURES)
    parts: dict[str, tuple[Dataset, Objective]] = {}
    if "objective" in dataset["outcome"].dims:
        several = [*objective.values()] if isinstance(objective, Mapping) else objective
        count = dataset.sizes["objective"]
        if not isinstance(several, list | tuple) or len(several) != count:
            raise ArgumentError(f"objective must be the {count} that were swept, in their order")
        for i, label in enumerate(dataset["objective"].values):
            part = combination(dataset, objective=i)
            parts[str(label)] = part, given.swept(several[i], part)
    else:
        parts[""] = dataset, given.swept(objective, dataset)
    figures = Figures()
    for name in PICTURES if names is None else names:
        for label, (part, f) in parts.items():
            try:
                drawn = _drawn(name, part, f)
            except ArgumentError:  # each picture says itself what it cannot be drawn of
                if names is not None:
                    raise
                continue
            for words, figure in drawn.items():
                figures[", ".join(filter(None, [name, label, words]))] = figure
    return figures


def _drawn(name: str, dataset: Dataset, objective: Objective) -> dict[str, AnyFigure]:
    """A picture; if it takes no such axes, one for each combination of those without numbers."""
    try:
        return {"": PICTURES[name](dataset, objective)}
    except ArgumentError:
        axes = [axis for axis in axes_of(dataset) if not has_numbers(dataset, axis)]
        if not axes:
            raise
    figures = {}
    for index in itertools.product(*(range(dataset.sizes[axis]) for axis in axes)):
        at = dict(zip(axes, index, strict=True))
        words = setting(dataset, **at)
        figures[words] = PICTURES[name](combination(dataset, **at), objective)
    return figures
