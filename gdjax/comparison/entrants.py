"""The optimizers and the objectives of a ranking, made of whatever a user gives."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from gdjax import objectives as catalogue
from gdjax import optimizers as lookup
from gdjax._util.errors import ArgumentError, check_known, unknown
from gdjax.comparison import external
from gdjax.comparison.evaluations import Entrant
from gdjax.comparison.external import ExternalSolver
from gdjax.objectives import Objective, as_objective
from gdjax.optimizers.lookup import Given

PLACEHOLDER = 0.1  # where a learning rate must be given, and is tuned


def as_objectives(given: Any) -> dict[str, Objective]:
    """Objectives by name, made of the names, families or mappings that ``rank`` is given.

    Raises:
        ArgumentError: none, an unknown name, one without minima, or one name twice.
    """
    found: dict[str, Objective] = {}
    for item in given if isinstance(given, list | tuple) else [given]:
        for f in _objectives(item):
            label = f.name if f.name not in found else f"{f.name} ({f.dim})"
            if label in found or f in found.values():
                raise ArgumentError(f"objectives must be named once each, got {f.name} twice")
            found[label] = f
    if not found:
        raise ArgumentError("objectives must hold at least one, got none")
    return found


def _objectives(item: Any) -> Iterable[Objective]:
    families = {catalogue.family(name) for name in catalogue.working()}
    if isinstance(item, str) and (item == "all" or item in families):
        names = [n for n in catalogue.working() if item in ("all", catalogue.family(n))]
        every = [f for f in map(catalogue.get, names) if f.fmin is not None]
        if not every:
            raise ArgumentError(f"objectives must have a least value to rank by, {item} have none")
        return every
    networks = catalogue.network_names(every=True)
    if isinstance(item, str) and item not in (*catalogue.names(), *networks):
        raise unknown("objective", item, [*catalogue.names(), *families, "all"])
    if isinstance(item, str | Mapping):
        node = {"name": item} if isinstance(item, str) else dict(item)
        if "name" not in node:
            raise ArgumentError(f"objectives given by a mapping need a name, got {item}")
        target = node.pop("target", None)
        f = catalogue.get(node.pop("name"), **node)
        f = f if target is None else dataclasses.replace(f, target=target)
    else:
        f = as_objective(item)
    if f.fmin is None and f.target is None and f.name in catalogue.names():
        raise ArgumentError(f"objective {f.name} must have a least value to rank by, and has none")
    return [f]


def as_entrants(given: Any) -> dict[str, Entrant]:
    """The optimizers and external solvers that take part, by label.

    Raises:
        ArgumentError: none, an unknown name or hyperparameter, a library that is missing.
    """
    if isinstance(given, Mapping) and "name" not in given:
        found = {str(label): _entrant(item) for label, item in given.items()}
    else:
        found = {}
        for item in given if isinstance(given, list | tuple) else [given]:
            entrant = _entrant(item)
            label = (
                repr(entrant) if isinstance(entrant, ExternalSolver) else entrant.factory.__name__
            )
            if label in found:
                label = repr(entrant)
            if repr(entrant) in map(repr, found.values()):
                raise ArgumentError(f"optimizers must differ or have labels, got {label} twice")
            found[label] = entrant
    if not found:
        raise ArgumentError("optimizers must hold at least one, got none")
    return found


def _entrant(item: Any) -> Entrant:
    if isinstance(item, ExternalSolver):
        return item
    if not isinstance(item, str | Mapping):
        made = lookup.as_optimizer(item)
        if isinstance(made.factory, Given):
            raise ArgumentError(
                "optimizers to tune must be names, factories such as optax.adam, or made by "
                "gdjax.optimizers.get, so that their hyperparameters are known"
            )
        return made
    node: dict[str, Any] = {"name": item} if isinstance(item, str) else dict(item)
    name = str(node.pop("name", ""))
    if name.partition(".")[0] in ("scipy", "optimistix"):
        if node:
            raise ArgumentError(f"{name} has nothing to set, got {', '.join(node)}")
        return external.get(name)
    check_known("optimizer", name, [*lookup.names(), *external.names()])
    for key, default in lookup.parameters(name).items():
        if default is lookup.REQUIRED and "learning_rate" in key:
            node.setdefault(key, PLACEHOLDER)
    return lookup.get(name, **node)
