"""A catalogue of factories by name, whose signatures say what can be chosen."""

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType

from gdjax._util.errors import ArgumentError, check_known
from gdjax._util.plugins import Plugins
from gdjax._util.types import PyTree
from gdjax.optimizers.tree import REQUIRED, Factory, bare, checked, limited, signature


class Catalogue:
    """Factories by name, found when first asked for.

    Args:
        kind: what messages call an entry.
        find: gives all factories by name.
        plugins: those of other packages.
    """

    def __init__(
        self, kind: str, find: Callable[[], Mapping[str, Factory]], plugins: Plugins | None = None
    ) -> None:
        self.kind: str = kind
        self._find = find
        self.plugins: Plugins | None = plugins

    def names(self) -> tuple[str, ...]:
        """Every name, sorted; those that other packages add included."""
        return tuple(sorted({*self._find(), *self._added()}))

    def factory(self, name: str) -> Factory:
        """The factory of that name; one of another package is imported now.

        Raises:
            ArgumentError: an unknown name, with the nearest ones, or a package that fails.
        """
        if self.plugins is not None and name in self._added():
            return self.plugins.load(name)
        check_known(self.kind, name, self.names())
        return self._find()[name]

    def _added(self) -> tuple[str, ...]:
        return self.plugins.names(self._find()) if self.plugins else ()

    def parameters(self, name: str) -> dict[str, PyTree]:
        """What can be chosen, with the defaults; ``REQUIRED`` where there is none."""
        return parameters_of(self.factory(name))


def parameters_of(factory: Factory) -> dict[str, PyTree]:
    """What can be chosen about what a factory makes, with the defaults."""
    return {
        p.name: REQUIRED if p.kind is p.VAR_POSITIONAL else p.default
        for p in signature(factory).parameters.values()
        if p.kind is not p.VAR_KEYWORD
    }


def arguments(factory: Factory, given: Mapping[str, PyTree]) -> dict[str, PyTree]:
    """All arguments for a factory: the given ones, those of groups too, and the defaults.

    Raises:
        ArgumentError: an unknown parameter, a missing or a forbidden value.
    """
    name, known = getattr(factory, "__name__", repr(factory)), parameters_of(factory)
    for key in given:
        check_known(f"hyperparameter of {name}", bare(key), known, every="it takes")
    arguments = known | dict(given)
    by_group = {bare(key) for key in given if key not in known}
    for key, value in list(arguments.items()):
        default = known[bare(key)]
        if value is REQUIRED and key in by_group:  # of the groups it may be enough
            del arguments[key]
            continue
        if value is REQUIRED:
            raise ArgumentError(f"{name} needs {key}")
        arguments[key] = _plain(value)
        if value is default:
            continue
        if bare(key) in ("learning_rate", "seed") or isinstance(default, float):
            arguments[key] = checked(key, arguments[key])
        elif limited(factory, key):  # a whole number stays one: optax divides those in float32
            checked(key, arguments[key])
    return arguments


def module_functions(*modules: ModuleType) -> dict[str, Factory]:
    """The public functions of modules by name; a later module wins."""
    return {
        name: member
        for module in modules
        for name, member in vars(module).items()
        if not name.startswith("_") and inspect.isfunction(member)
    }


def _plain(value: PyTree) -> PyTree:
    """Lists, as a config has them, as tuples."""
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return tuple(_plain(item) for item in value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
