"""What other packages add to gdjax: functions that are found by the entry points they declare."""

import functools
import importlib.metadata
import logging
from collections.abc import Callable, Container
from typing import Any

from gdjax._util.errors import ArgumentError, first_line
from gdjax._util.types import Function

log: logging.Logger = logging.getLogger(__name__)

EntryPoint = Any  # importlib.metadata's, or that of its backport, which takes over once imported


class Plugins:
    """The functions that installed packages declare under one group of entry points.

    Their names are read from the packages' metadata when they are first asked for. A function is
    imported when it is used, so that one that cannot be imported stands in nobody else's way.

    Args:
        group: of the entry points, such as ``gdjax.objectives``.
        kind: what messages call what such a function makes, ``objective`` or ``optimizer``.
        prepare: gives what is used of a function; raises whatever is wrong with it.

    Example:
        >>> Plugins("gdjax.nobody.declares.this", "objective", lambda f: f).names(taken=())
        ()
    """

    def __init__(self, group: str, kind: str, prepare: Callable[[Function], Function]) -> None:
        self.group: str = group
        self.kind: str = kind
        self._prepare = prepare
        self._told: set[str] = set()

    @functools.cached_property
    def found(self) -> dict[str, list[EntryPoint]]:
        """The entry points by name; more than one where packages contradict each other."""
        found: dict[str, list[EntryPoint]] = {}
        for point in importlib.metadata.entry_points(group=self.group):
            found.setdefault(point.name, []).append(point)
        return found

    def names(self, taken: Container[str]) -> tuple[str, ...]:
        """Every name but those that gdjax itself has taken, whose entry points are refused."""
        for name, points in self.found.items():
            if name in taken:
                self.tell(_refusal(points, f"gdjax has an {self.kind} of that name"))
        return tuple(name for name in self.found if name not in taken)

    def load(self, name: str) -> Function:
        """The function of that name, imported and prepared.

        Args:
            name: one of ``names``.

        Raises:
            ArgumentError: it cannot be imported, is no function or not one that can be used, or
                two packages declare the name; with the package and the entry point.
        """
        point, *others = points = self.found[name]
        if others:
            raise _refusal(points, f"only one package may declare an {self.kind} of that name")
        try:
            function = point.load()
            if not callable(function):
                raise TypeError(f"it must be a function, and is a {type(function).__name__}")
            return self._prepare(function)
        except Exception as error:  # whatever another package's code raises
            raise self.failed(name, error) from error

    def failed(self, name: str, error: Exception) -> ArgumentError:
        """The error for a function that fails: the package, the entry point and the reason."""
        own = isinstance(error, ArgumentError)  # which needs no name before it
        return _refusal(self.found[name], str(error) if own else first_line(error))

    def tell(self, error: ArgumentError) -> None:
        """Say once, in one line, that something is left out."""
        if str(error) not in self._told:
            self._told.add(str(error))
            log.warning("%s", error)


def _refusal(points: list[EntryPoint], reason: str) -> ArgumentError:
    said = " and ".join(
        f"{p.name!r} = {p.value} of package {getattr(p.dist, 'name', 'of unknown name')}"
        for p in points
    )
    return ArgumentError(f"entry point {said} in {points[0].group} is refused: {reason}")
