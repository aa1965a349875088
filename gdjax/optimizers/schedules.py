"""Every schedule of optax by name: a learning rate that changes from step to step."""

import functools
from collections.abc import Callable, Mapping

import optax

from gdjax._util import lazy
from gdjax._util.errors import ArgumentError, said
from gdjax._util.types import PyTree
from gdjax.optimizers.catalogue import Catalogue, arguments, module_functions
from gdjax.optimizers.optimizer import Schedule
from gdjax.optimizers.tree import Factory

__all__ = ["get", "names", "parameters"]

__dir__: Callable[[], list[str]] = lazy.listing(globals())


@functools.cache
def _find() -> dict[str, Factory]:
    found = module_functions(optax.schedules)
    return {name: factory for name, factory in found.items() if not name.startswith("inject_")}


CATALOGUE = Catalogue("schedule", _find)
names: Callable[[], tuple[str, ...]] = CATALOGUE.names
parameters: Callable[[str], dict[str, PyTree]] = CATALOGUE.parameters


def get(schedule: str, **hyperparameters: PyTree) -> Schedule:
    """The schedule of that name, with its numbers.

    Args:
        schedule: one of ``names()``.
        **hyperparameters: what its ``parameters(name)`` lists; a schedule inside another, as
            ``join_schedules`` takes them, may be a mapping with its name under ``schedule``.

    Raises:
        ArgumentError: an unknown name or hyperparameter, or a missing value.

    Example:
        >>> rate = get("exponential_decay", init_value=0.1, transition_steps=10, decay_rate=0.5)
        >>> f"{rate(20):.3f}"
        '0.025'
    """
    given = {key: _resolved(value) for key, value in hyperparameters.items()}
    factory = CATALOGUE.factory(schedule)
    chosen = arguments(factory, given)
    try:
        return Schedule(factory, chosen)
    except (
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
    ) as error:  # optax's own, of what it cannot take
        raise ArgumentError(f"{schedule} cannot be made: {said(error)}") from error


def _resolved(value: PyTree) -> PyTree:
    if isinstance(value, Mapping) and "schedule" in value:
        return get(**value)
    return [_resolved(item) for item in value] if isinstance(value, list | tuple) else value
