"""Which pictures a sweep's results can be drawn as."""

from collections.abc import Callable, Sequence

from gdjax._inputs import ObjectiveLike
from gdjax._util.errors import ArgumentError, check_known
from gdjax.objectives import Objective
from gdjax.plotting import given
from gdjax.plotting.basin_map import basin_map
from gdjax.plotting.datasets import Dataset, check_finished
from gdjax.plotting.figure import Figure, Figures
from gdjax.plotting.multiples import paths_grid
from gdjax.plotting.rates import steps_ecdf, success_rate
from gdjax.plotting.stability import stability_map

PICTURES: dict[str, Callable[[Dataset, Objective], Figure]] = {
    "basins": basin_map,
    "stability": stability_map,
    "success_rate": lambda dataset, _: success_rate(dataset),
    "steps": lambda dataset, _: steps_ecdf(dataset),
    "paths": paths_grid,
}


def sweep_pictures(
    dataset: Dataset, objective: ObjectiveLike, names: Sequence[str] | None = None
) -> Figures:
    """The pictures of a sweep by name: those asked for, or every one that suits it.

    Args:
        dataset: the result of ``gdjax.sweep``.
        objective: what was swept.
        names: among ``basins``, ``stability``, ``success_rate``, ``steps`` and ``paths``; by
            default whatever can be drawn of this sweep.

    Returns:
        Figures by name; nothing is shown or saved.

    Raises:
        ArgumentError: an unfinished sweep, an unknown name, or a picture asked for that the sweep
            does not suit.
    """
    check_finished(dataset)
    objective = given.swept(objective, dataset)
    for name in names or ():
        check_known("picture", name, PICTURES)
    if names is not None:
        return Figures({name: PICTURES[name](dataset, objective) for name in names})
    figures = Figures()
    for name, draw in PICTURES.items():
        try:
            figures[name] = draw(dataset, objective)
        except ArgumentError:  # each picture says itself what it cannot be drawn of
            continue
    return figures
