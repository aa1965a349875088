"""Names that are loaded when they are first used, and modules that list only what is public."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def loader(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package whose names are imported when they are first asked for.

    Args:
        package: its name.
        homes: the module that each name is found in; of a module, that module itself.

    Example:
        >>> shelf = sys.modules["shelf"] = type(sys)("shelf")
        >>> shelf.__getattr__ = loader("shelf", {"pi": "math", "path": "os.path"})
        >>> shelf.pi, shelf.path.sep
        (3.141592653589793, '/')
    """

    def find(name: str) -> Any:
        if name not in homes:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=sys.modules[package])
        home = importlib.import_module(homes[name])
        found = home if homes[name].endswith(f".{name}") else getattr(home, name)
        setattr(sys.modules[package], name, found)  # from now on it is there at once
        return found

    return find


def listing(namespace: Mapping[str, Any]) -> Callable[[], list[str]]:
    """The ``__dir__`` of a module: what its ``__all__`` names, and Python's own ``__names__``.

    Example:
        >>> listing({"__all__": ["get"], "__doc__": "", "get": print, "sys": sys})()
        ['get', '__all__', '__doc__']
    """

    def names() -> list[str]:
        return [*namespace["__all__"], *(name for name in namespace if name.startswith("__"))]

    return names
