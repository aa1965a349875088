"""The catalogue by name: a factory registers itself, and nothing is written twice."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from gdjax._util.errors import ArgumentError, unknown
from gdjax.objectives.objective import Objective

Factory = Callable[..., Objective]
REQUIRED = inspect.Parameter.empty  # stands where a parameter has no default

_FACTORIES: dict[str, Factory] = {}
_MAKERS: dict[str, Factory] = {}


def register(factory: Factory) -> Factory:
    """Put a factory into the catalogue under its own name (a decorator).

    Its parameters, all with defaults, are what ``get`` and the command line let a user choose;
    one called ``dim`` makes the objective n-dimensional.

    Raises:
        ArgumentError: the name is taken, or a parameter has no default.
    """
    name = factory.__name__
    if name in _FACTORIES:
        raise ArgumentError(f"objective {name!r} is registered already")
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.default is parameter.empty:
            raise ArgumentError(f"{name}: parameter {parameter.name!r} needs a default")
    _FACTORIES[name] = factory
    return factory


def maker(factory: Factory) -> Factory:
    """Register a way to make an objective out of what the user brings (a decorator).

    ``get`` and the command line know it by its name, but it is no entry of the catalogue: it may
    have parameters without a default, and ``names`` does not list it.
    """
    _MAKERS[factory.__name__] = factory
    return factory


def names() -> tuple[str, ...]:
    """Every objective's name, sorted.

    Example:
        >>> "qfsp" in names()
        True
    """
    return tuple(sorted(_FACTORIES))


def makers() -> tuple[str, ...]:
    """The ways to make an objective of one's own, sorted.

    Example:
        >>> makers()
        ('curve_fit', 'formula', 'function')
    """
    return tuple(sorted(_MAKERS))


def parameters(name: str) -> dict[str, Any]:
    """What can be chosen about an objective, with the defaults; ``REQUIRED`` if there is none.

    Example:
        >>> parameters("ackley")
        {'dim': 2}
    """
    factory = _FACTORIES.get(name) or _MAKERS.get(name)
    if factory is None:
        raise unknown("objective", name, names() + makers())
    return {p.name: p.default for p in inspect.signature(factory).parameters.values()}


def family(name: str) -> str:
    """The shape of an objective's landscape: the module that its factory stands in.

    Example:
        >>> family("rosenbrock")
        'valleys'
    """
    parameters(name)  # says what is wrong with a name
    return _FACTORIES[name].__module__.rpartition(".")[2]


def text(name: str) -> str:
    """What an objective's factory says about it."""
    parameters(name)
    return inspect.getdoc(_FACTORIES[name]) or ""


def get(name: str, /, **chosen: Any) -> Objective:
    """The objective of that name; the same call gives the same object, so nothing compiles twice.

    Args:
        name: one of ``names()`` or of ``makers()``.
        **chosen: values for its ``parameters(name)``, such as ``dim=10``.

    Raises:
        ArgumentError: an unknown name or parameter, a missing or a forbidden value.

    Example:
        >>> get("sphere", dim=3).dim
        3
        >>> get("formula", expression="x**2 + 3*y**2").variables
        ('x', 'y')
    """
    defaults = parameters(name)
    for key in chosen:
        if key == "dim" and name in _FACTORIES and key not in defaults:
            raise ArgumentError(f"dim cannot be chosen: {name} has {get(name).dim} by definition")
        if key not in defaults:
            raise unknown(f"parameter of {name}", key, defaults)
    if name in _MAKERS:
        for key, default in defaults.items():
            if default is REQUIRED and chosen.get(key) is None:
                raise ArgumentError(f"objective {name} needs {key}")
        return _MAKERS[name](**{key: _hashable(value) for key, value in chosen.items()})
    dim = chosen.get("dim", 1)
    if not isinstance(dim, int) or dim < 1:
        raise ArgumentError(f"dim must be a positive integer, got {dim!r}")
    return _build(name, **(defaults | chosen))


@functools.cache
def _build(name: str, **chosen: Any) -> Objective:
    return _FACTORIES[name](**chosen)


def _hashable(value: Any) -> Any:
    """Lists, as YAML gives them, become tuples, so that a maker can remember its calls."""
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value
