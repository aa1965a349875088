"""The optimizers as text: what there is, and what can be chosen about each."""

import inspect
import warnings

from gdjax._util.errors import ArgumentError
from gdjax._util.types import PyTree
from gdjax.optimizers import lookup
from gdjax.optimizers.optimizer import Optimizer
from gdjax.optimizers.tree import REQUIRED


def every() -> str:
    """All optimizers, a line each, with their hyperparameters and defaults."""
    width = max(map(len, lookup.names()))
    lines = []
    for name in lookup.names():
        try:
            shown = ", ".join(_setting(*item) for item in lookup.parameters(name).items())
        except ArgumentError:  # one of another package that cannot be imported
            shown = "…"
        lines.append(f"{name:{width}}  {shown}{'' if _descends(name) else ' (✗)'}")
    return "\n".join([*lines, "", "✗: cannot descend from a point; gdjax optimizers NAME says why"])


def one(name: str) -> str:
    """One optimizer: what it is, its hyperparameters, and which of them can be swept.

    Raises:
        ArgumentError: an unknown name.
    """
    factory, made = lookup.OPTIMIZERS.factory(name), _example(name)
    about = (inspect.getdoc(factory) or "").split("\n\n")[0].replace("\n", " ")
    lines = [f"{name}: {about}"]
    traced = {**made.numbers, **made.seeds} if isinstance(made, Optimizer) else {}
    for key, default in lookup.parameters(name).items():
        note = "  (a new value never recompiles)" if key in traced else ""
        lines.append(f"  {_setting(key, default)}{note}")
    return "\n".join(lines if isinstance(made, Optimizer) else [*lines, made])


def _setting(key: str, default: object) -> str:
    if default is REQUIRED:
        return f"{key}=?"
    plain = isinstance(default, bool | int | float | str | tuple | None)
    plain = plain and not hasattr(default, "_fields")
    return f"{key}={default if plain else getattr(default, '__name__', '…')}"


def _descends(name: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of optax, about itself
        try:
            return lookup.descends(name, **_required(name))
        except ArgumentError:
            return False


def _example(name: str) -> Optimizer | str:
    """The optimizer with something for everything that it requires, or why it cannot be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of optax, about itself
            return lookup.get(name, **_required(name))
    except ArgumentError as error:
        return str(error)


def _required(name: str) -> dict[str, PyTree]:
    """Something for everything that an optimizer requires."""
    required = [key for key, value in lookup.parameters(name).items() if value is REQUIRED]
    given: dict[str, PyTree] = {
        key: lookup.get("sgd", learning_rate=0.1) if "optimizer" in key else 1.0 for key in required
    }
    if "seed" in given:
        given["seed"] = 0
    return given
