"""The catalogue by name: a factory registers itself, and nothing is written twice.

Factories of other packages are found by their entry points in the group ``gdjax.objectives``.
"""

import functools
import importlib.util
import inspect
from collections.abc import Callable, Collection, Mapping
from numbers import Real
from typing import Any

from gdjax._util.arguments import as_count, function, gate, refused
from gdjax._util.errors import ArgumentError, check_known, said, unknown
from gdjax._util.plugins import Plugins
from gdjax.objectives.objective import Objective

Factory = Callable[..., Objective]
REQUIRED = inspect.Parameter.empty  # stands where a parameter has no default

MOST_DIM = 10_000  # some gradients of the catalogue take memory like its square
_FACTORIES: dict[str, Factory] = {}
_NETWORKS: dict[str, tuple[Factory, int]] = {}  # with the number of dimensions
_MAKERS: dict[str, Factory] = {}
_AS_IS: dict[str, Collection[str]] = {}  # of makers: parameters that are handed over untouched


def _maker(name: str, value: Any) -> Any:
    if isinstance(value, type):
        raise refused(name, "be a function that makes an objective", value)
    return function(name, value)


@gate(factory=_maker)
def register(factory: Factory) -> Factory:
    """Put a factory into the catalogue under its own name (a decorator).

    Its parameters, all with defaults, are what ``get`` and the command line let a user choose;
    one called ``dim`` makes the objective n-dimensional.

    Raises:
        ArgumentError: the name is taken, or a parameter has no plain default.
    """
    name = factory.__name__
    if name in _FACTORIES:
        raise ArgumentError(f"objective {name!r} is registered already")
    _FACTORIES[name] = _checked(factory)
    return factory


def of_components(fn: Callable) -> Callable:
    """A function of one point, made of one whose arguments are the point's components."""
    return functools.wraps(fn)(lambda point: fn(*point))


def _checked(factory: Factory) -> Factory:
    """The factory, unless it has parameters that a config cannot show."""
    name = getattr(factory, "__name__", repr(factory))
    for parameter in inspect.signature(factory).parameters.values():
        default = parameter.default
        if default is parameter.empty:
            raise ArgumentError(f"{name}: parameter {parameter.name!r} needs a default")
        if not isinstance(default, bool | int | float | str | tuple | None):
            raise ArgumentError(
                f"{name}: the default of parameter {parameter.name!r} must be a number, a word or "
                f"a tuple, and is a {type(default).__name__}"
            )
    return factory


_PLUGINS = Plugins("gdjax.objectives", "objective", _checked)


def maker(factory: Factory, as_is: Collection[str] = ()) -> Factory:
    """Register a way to make an objective out of what the user brings (a decorator).

    ``get`` and the command line know it by its name, but it is no entry of the catalogue: it may
    have parameters without a default, and ``names`` does not list it. Those in ``as_is`` take any
    object, arrays included.
    """
    _MAKERS[factory.__name__] = factory
    _AS_IS[factory.__name__] = as_is
    return factory


def network(dim: int) -> Callable[[Factory], Factory]:
    """Register an objective over data that an extra brings (a decorator).

    ``get`` and the command line know it by its name; ``names`` does not list it, so that what is
    done with the whole catalogue is done without it.

    Args:
        dim: how many dimensions it has, told without loading the data.
    """

    def put(factory: Factory) -> Factory:
        _NETWORKS[factory.__name__] = _checked(factory), dim
        return factory

    return put


def network_names(every: bool = False) -> dict[str, int]:
    """The objectives over data with their dimensions; none without the extra ``networks``.

    Args:
        every: whether to name them without the extra too.

    Example:
        >>> network_names().get("iris_mlp", 99)
        99
    """
    if not every and importlib.util.find_spec("sklearn") is None:
        return {}
    return {name: dim for name, (_, dim) in sorted(_NETWORKS.items())}


def names() -> tuple[str, ...]:
    """Every objective's name, sorted; those that other packages add included.

    Example:
        >>> "qfsp" in names()
        True
    """
    return tuple(sorted({*_FACTORIES, *_PLUGINS.names(_taken())}))


def working() -> tuple[str, ...]:
    """The names of all objectives that can be made, sorted, for who wants every one.

    One of another package that cannot be made is left out, and the log says why in a line.

    Example:
        >>> working() == names()
        True
    """
    found = []
    for name in names():
        try:
            if name not in _FACTORIES:
                get(name)
            found.append(name)
        except ArgumentError as error:
            _PLUGINS.tell(error)
    return tuple(found)


def _taken() -> set[str]:
    """The names that no other package may use."""
    own = {n for n, factory in _FACTORIES.items() if factory.__module__.startswith("gdjax.")}
    return own.union(_MAKERS, _NETWORKS)


def _factory(name: str) -> Factory:
    """The factory of that name; one of another package is imported now."""
    if not isinstance(name, str):
        raise refused("objective", "be a name", name)
    factory = _FACTORIES.get(name) or _MAKERS.get(name)
    if factory is not None:
        return factory
    if name in _NETWORKS:
        if name not in network_names():
            raise ArgumentError(
                f"objective {name} needs scikit-learn, for its data: pip install 'gdjax[networks]'"
            )
        return _NETWORKS[name][0]
    if name in _PLUGINS.names(_taken()):
        return _PLUGINS.load(name)
    raise unknown("objective", name, (*names(), *network_names(), *makers()))


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
    return {p.name: p.default for p in inspect.signature(_factory(name)).parameters.values()}


def family(name: str) -> str:
    """The shape of an objective's landscape: the module that its factory stands in.

    Example:
        >>> family("rosenbrock")
        'valleys'
    """
    return _factory(name).__module__.rpartition(".")[2]


def text(name: str) -> str:
    """What an objective's factory says about it."""
    return inspect.getdoc(_factory(name)) or ""


def get(name: str, /, **chosen: Any) -> Objective:
    """The objective of that name; the same call gives the same object, so nothing compiles twice.

    Args:
        name: one of ``names()`` or of ``makers()``.
        **chosen: values for its ``parameters(name)``, such as ``dim=10``.

    Raises:
        ArgumentError: an unknown name or parameter, a missing or a forbidden value, or an
            objective of another package that fails.

    Example:
        >>> get("sphere", dim=3).dim
        3
        >>> get("formula", expression="x**2 + 3*y**2").variables
        ('x', 'y')
    """
    defaults = parameters(name)
    for key in chosen:
        if key == "dim" and name not in _MAKERS and key not in defaults:
            raise ArgumentError(f"dim cannot be chosen: {name} has {get(name).dim} by definition")
        check_known(f"parameter of {name}", key, defaults)
    if name in _MAKERS:
        for key, default in defaults.items():
            if default is REQUIRED and chosen.get(key) is None:
                raise ArgumentError(f"objective {name} needs {key}")
        plain = {
            key: _hashable([*value.items()] if isinstance(value, Mapping) else value)
            for key, value in chosen.items()
            if key not in _AS_IS[name]
        }
        for key, value in plain.items():
            if not _is_plain(value):
                raise refused(f"{key} of {name}", "be plain numbers, words or lists", chosen[key])
        return _MAKERS[name](**chosen | plain)
    chosen = {key: _hashable(value) for key, value in chosen.items()}
    for key, value in chosen.items():
        if key == "dim":
            chosen[key] = as_count("dim", value, 1, MOST_DIM)
        else:
            _check_kind(key, value, defaults[key])
    try:
        return _build(name, **(defaults | chosen))
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, ArgumentError) or not chosen:
            raise
        given = ", ".join(f"{key}={value!r:.50}" for key, value in chosen.items())
        raise ArgumentError(f"{name} cannot be made with {given}: {said(error)}") from error


def _check_kind(name: str, value: Any, default: Any) -> None:
    """Refuse a value of another kind than the parameter's default is of."""
    kinds = {bool: bool, int: Real, float: Real, str: str, tuple: tuple}
    words = {bool: "true or false", str: "a word", tuple: "a list"}
    kind = kinds.get(type(default), object)
    if not isinstance(value, kind) or (kind is Real and isinstance(value, bool)):
        raise refused(name, f"be {words.get(type(default), 'a number')}", value)


@functools.cache
def _build(name: str, **chosen: Any) -> Objective:
    factory = _factory(name)
    if name not in _PLUGINS.found or name in _taken():
        return factory(**chosen)
    try:
        made = factory(**chosen)
        if not isinstance(made, Objective):
            raise TypeError(f"it must return an Objective, and returns a {type(made).__name__}")
    except Exception as error:  # whatever another package's code raises
        if isinstance(error, ArgumentError) and chosen != parameters(name):
            raise  # it is the caller who chose badly
        raise _PLUGINS.failed(name, error) from error
    return made


def _is_plain(value: Any) -> bool:
    """Whether a value can be remembered, whatever it holds."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _hashable(value: Any) -> Any:
    """Lists, as YAML gives them, become tuples, so that a maker can remember its calls."""
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value
