"""What the page knows: objectives and optimizers, their programs as text, and how they look."""

import contextlib
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax

from gdjax import objectives, optimizers
from gdjax._compiler.rules import UnsupportedError
from gdjax._util.errors import ArgumentError
from gdjax.explorer import programs
from gdjax.objectives import Objective
from gdjax.optimizers import Optimizer
from gdjax.optimizers.groups import has_groups
from gdjax.plotting.style import CLASSES, colours

YOURS = "yours"  # the family of what nobody registered
LARGEST = 8  # dimensions; a page shows two of them at a time
RATE = 0.01  # the learning rate of an optimizer that has none by default


def contents(shown: Iterable[Objective], front: Mapping[str, Optimizer]) -> dict[str, Any]:
    """Everything that the page needs, as it stands in it.

    Args:
        shown: objectives, the first one in front.
        front: optimizers by label, before all those that have a name.

    Raises:
        ArgumentError: one that cannot be written as text, or has too many dimensions.
    """
    shown = list(shown)
    for objective in shown:
        if objective.dim > LARGEST:
            raise ArgumentError(
                f"{objective.name} must have at most {LARGEST} dimensions on a page, "
                f"got {objective.dim}"
            )
    dims = sorted({objective.dim for objective in shown})
    with jax.enable_x64(True):
        registered = all(
            f.name in objectives.names() and f == objectives.get(f.name) for f in shown
        )
        write = lambda: [landscape(objective) for objective in shown]  # noqa: E731
        names = [objective.name for objective in shown]
        known = _kept(("objectives", names), write) if registered else write()
        ours = steps(front, dims)
        for label, reason in ours["missing"].items():
            raise ArgumentError(f"{label} cannot be written for a page: {reason}")
        others = _kept(("optimizers", dims), lambda: all_steps(dims))
    return {
        "objectives": known,
        "optimizers": ours["optimizers"]
        + [one for one in others["optimizers"] if one["name"] not in front],
        "front": list(front),
        "missing": {name: told for name, told in others["missing"].items() if name not in front},
        "classes": CLASSES,
    }


def _kept(decides: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """What takes seconds to trace and never changes, as it is kept on disk."""
    try:
        from gdjax._kernels.llvm import object_cache
    except ImportError:  # without the LLVM kernel there is no such folder
        return make()
    told = object_cache.get(
        ("page", optax.__version__, optimizers.names(), *decides),
        lambda: json.dumps(make()).encode(),
        ("_compiler", "objectives", "optimizers", "explorer"),
    )
    return json.loads(told)


def steps(chosen: Mapping[str, Optimizer], dims: Sequence[int]) -> dict[str, Any]:
    """The programs of optimizers, and why some have none."""
    written, missing = [], {}
    for name, optimizer in chosen.items():
        if has_groups(optimizer):
            missing[name] = "its hyperparameters are of groups, which the page does not know"
            continue
        try:
            written.append(_optimizer(name, optimizer, dims))
        except UnsupportedError as error:
            drawn = "key<" in str(error) or "uint32" in str(error)
            missing[name] = "it draws random numbers" if drawn else str(error)
        except ArgumentError:  # no residuals are at hand
            missing[name] = "it follows residuals, which the page does not know"
    return {"optimizers": written, "missing": missing}


def all_steps(dims: Sequence[int]) -> dict[str, Any]:
    """The programs of every optimizer that has a name, and why some have none."""
    made = every()
    found = steps(made, dims)
    for name in optimizers.names():
        needed = [key for key in _needed(name) if key != "learning_rate"]
        if name not in made and needed:
            found["missing"][name] = f"it needs {', '.join(needed)}: hand it over in Python"
    return found


def every() -> dict[str, Optimizer]:
    """Every optimizer that needs no other one, at its defaults, by name."""
    made = {}
    for name in optimizers.names():
        with warnings.catch_warnings(), contextlib.suppress(ArgumentError, DeprecationWarning):
            warnings.simplefilter("error", DeprecationWarning)  # those have a successor
            if (one := _usual(name)) is not None:
                made[name] = one
    return made


def _usual(name: str) -> Optimizer | None:
    """The optimizer of that name at its defaults; None where it needs more than a rate."""
    needed = _needed(name)
    if needed not in ([], ["learning_rate"]):
        return None
    return optimizers.make(optimizers.factory(name), **dict.fromkeys(needed, RATE))


def _needed(name: str) -> list[str]:
    given = optimizers.parameters(name).items()
    return [key for key, default in given if default is optimizers.REQUIRED]


def landscape(of: Objective) -> dict[str, Any]:
    """What the page knows of one objective.

    Raises:
        ArgumentError: it cannot be written as text.
    """
    try:
        written = programs.objective(of)
    except UnsupportedError as error:
        raise ArgumentError(f"{of.name} cannot be written for a page: {error}") from None
    registered = of.name in objectives.names() and of == objectives.get(of.name)
    return written | {
        "name": of.name,
        "family": objectives.family(of.name) if registered else YOURS,
        "latex": of.latex,
        "variables": list(of.variables),
        "domain": np.asarray(of.needs_domain("a page"), float).tolist(),
        "start": np.asarray(of.start, float).reshape(-1).tolist(),
        "minima": of.known_minima.tolist(),
        "levels": np.asarray(of.minimum_values, float).tolist(),
        "global": len(of.minima),
        "fmin": of.fmin,
    }


def _optimizer(name: str, of: Optimizer, dims: Iterable[int]) -> dict[str, Any]:
    usual = _usual(name) if name in optimizers.names() else None
    return {
        "name": name,
        "known": jax.tree.structure(usual) == jax.tree.structure(of),  # but for its numbers
        "colour": colours([name])[name],
        "numbers": {key: float(np.asarray(number)) for key, number in of.numbers.items()},
        "programs": {dim: programs.optimizer(of, dim) for dim in dims},
    }
