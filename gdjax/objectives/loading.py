"""A user's own function as an objective: handed over as it is, or named on the command line."""

import dataclasses
import difflib
import functools
import importlib
import importlib.util
import pkgutil
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np

from gdjax._util.errors import ArgumentError, unknown
from gdjax._util.types import Function
from gdjax.objectives.objective import Objective
from gdjax.objectives.registry import get, maker
from gdjax.objectives.structure import Structure, is_flat, is_traced

LOADING = threading.RLock()  # threads that load one file at once get one module
OWN = "_gdjax_own_"  # how the names of modules begin that are loaded from files
DEFAULT_SIDE = (-5.0, 5.0)  # of the domain, where nothing else is known


@maker
def function(
    fn: Any = None,
    gradient: Any = None,
    residuals: Any = None,
    domain: Any = None,
    start: Any = None,
    minima: Any = (),
    fmin: Any = None,
    variables: Any = (),
    name: str | None = None,
) -> Objective:
    """A function of the user's own.

    Args:
        fn: the function itself, or where it is: ``file.py:function``, ``package.module:function``.
            What is found may be an ``Objective`` already; it is then used as it is, but for what
            is chosen below.
        gradient: its hand-derived gradient, likewise.
        residuals: likewise the residuals whose squares add up to it, which Levenberg-Marquardt and
            Gauss-Newton need; they may stand alone, without ``fn``.
        domain: one ``(low, high)`` pair a dimension; without one a start is needed, lengths are
            measured in max(1, |start|), and only numbers that are not finite are lost.
        start: the customary first point.
        minima: the global minimizers, where they are known.
        fmin: the value there.
        variables: the names of the components.
        name: what tables and pictures call it; by default the function's own name.

    Raises:
        ArgumentError: no such file, module or function, neither ``fn`` nor ``residuals``, or
            neither domain nor start.
    """
    if fn is None and residuals is None:
        raise ArgumentError(
            "objective function needs fn, such as fn=file.py:function, or residuals, where it is "
            "the sum of their squares"
        )
    given = {"fn": fn, "gradient": gradient, "residuals": residuals}
    found = {key: value and find(value, key) for key, value in given.items()}
    return _function(
        found["fn"], domain, start,
        gradient=found["gradient"], residuals=found["residuals"], minima=minima, fmin=fmin,
        variables=variables, name=name,
    )  # fmt: skip


@functools.cache
def _function(fn: Any, domain: Any, start: Any, **chosen: Any) -> Objective:
    chosen |= {"domain": domain, "start": start}
    chosen = {key: value for key, value in chosen.items() if value not in (None, ())}
    if isinstance(fn, Objective):
        return dataclasses.replace(fn, **chosen) if chosen else fn
    if domain is None and start is None:
        raise ArgumentError(
            "objective function needs a domain, one [low, high] pair a dimension, such as "
            "domain=[[-5,5],[-5,5]], or a start"
        )
    return Objective(**chosen) if fn is None else Objective(fn=fn, **chosen)


def as_objective(given: Objective | Function | str, start: Any = None) -> Objective:
    """An objective of whatever stands for one.

    The same function gives the same objective, so nothing compiles twice.

    Args:
        given: an ``Objective``, the name of one in the catalogue, or a function of a point, which
            has no domain.
        start: a point, ``(d,)`` or any pytree of arrays, which says what points are like; needed
            for a function.

    Raises:
        ArgumentError: an unknown name, a function without a start, or anything else.

    Example:
        >>> as_objective(lambda p: p["a"] ** 2 + p["b"] ** 2, {"a": 1.0, "b": 2.0}).variables
        ('a', 'b')
    """
    if isinstance(given, Objective):
        return given
    if isinstance(given, str):
        return get(given)
    if not callable(given):
        raise ArgumentError(
            f"objective must be an Objective, a name or a function, got {given!r:.200}"
        )
    if start is None:
        raise ArgumentError(
            "a bare function needs a start, a point of the kind that it takes; or hand over "
            "gdjax.Objective(fn=..., domain=[(low, high), ...])"
        )
    if is_flat(start) and not len(start):
        raise ArgumentError(f"start must hold at least one number, got {start!r}")
    if is_traced(start):  # what stands for it says its structure, and is nobody's first point
        start = jax.tree.map(lambda x: np.ones(np.shape(x)), start)
    structure = None if is_flat(start) else Structure(start)
    try:
        return _bare(given, structure or len(start), _Start(start))
    except TypeError:  # what cannot be hashed is made anew each time
        return Objective(fn=given, start=start)


class _Start:
    """A start that any other of its structure stands for: the first one is kept."""

    def __init__(self, point: Any) -> None:
        self.point = point

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Start)

    def __hash__(self) -> int:
        return 0


@functools.lru_cache(maxsize=256)
def _bare(fn: Function, structure: Structure | int, start: _Start) -> Objective:
    del structure  # part of the key
    return Objective(fn=fn, start=start.point)


def find(source: Any, argument: str = "fn") -> Any:
    """What ``file.py:name`` or ``package.module:name`` stands for; a callable is itself.

    A file is loaded again once it has changed. Its own folder is searched for what it imports,
    and so is the current one.

    Raises:
        ArgumentError: no such file, module or name, with the nearest ones; or the import fails.
    """
    if callable(source):
        return source
    found = load(source, argument)
    if not callable(found):
        raise ArgumentError(
            f"{argument} must name a function, and {source} is a {type(found).__name__}"
        )
    return found


def load(source: Any, argument: str) -> Any:
    """What ``file.py:name`` or ``package.module:name`` holds, of whatever type.

    Raises:
        ArgumentError: as ``find`` does, but for its type.
    """
    where, colon, name = str(source).rpartition(":")
    if not colon or not where or not name:
        raise ArgumentError(
            f"{argument} must be file.py:function or package.module:function, got {str(source)!r}"
        )
    module = _load_file(where, argument) if where.endswith(".py") else _load_module(where, argument)
    if not hasattr(module, name):
        found = [key for key, value in vars(module).items() if _is_own(value, key, module)]
        raise unknown(f"function in {where}:", name, found)
    return getattr(module, name)


def _is_own(value: Any, name: str, module: ModuleType) -> bool:
    if isinstance(value, Objective):
        return True
    defined_here = getattr(value, "__module__", None) == module.__name__
    return callable(value) and defined_here and not name.startswith("_")


def _load_file(where: str, argument: str) -> ModuleType:
    path = Path(where).resolve()
    if not path.is_file():
        raise no_file(argument, where, path, "*.py")
    with LOADING:
        return _execute(path, path.stat().st_mtime_ns, argument)


@functools.cache
def _execute(path: Path, changed: int, argument: str) -> ModuleType:
    del changed  # part of the key: an edited file is another one
    _search_also(path.parent)
    spec = importlib.util.spec_from_file_location(f"{OWN}{path.stem}", path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]  # a .py has a loader
    sys.modules[module.__name__] = module  # as an import does: dataclasses and pickle look there
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except Exception as error:
        raise _broken(path.name, argument, error, str(path)) from error
    return module


def _load_module(where: str, argument: str) -> ModuleType:
    _search_also(Path.cwd())
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{where}.".startswith(f"{error.name}."):
            raise _broken(where, argument, error) from error  # one that the module imports
        package, _, last = error.name.rpartition(".")
        path = getattr(sys.modules.get(package), "__path__", None) if package else None
        known = [m.name for m in pkgutil.iter_modules(path)] if path or not package else []
        hint = _nearest(last, known) or "is it installed?"
        raise ArgumentError(f"{argument}: there is no module {error.name!r}; {hint}") from None
    except Exception as error:
        raise _broken(where, argument, error) from error


def no_file(argument: str, where: str, path: Path, pattern: str) -> ArgumentError:
    """The error for a file that is not there, with those beside it that have nearly its name."""
    hint = _nearest(path.name, [p.name for p in path.parent.glob(pattern)]) or "is the path right?"
    return ArgumentError(f"{argument}: there is no file {where!r}; {hint}")


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else ""


def _search_also(folder: Path) -> None:
    """Let imports find what lies in a folder, after everything that is installed."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _broken(what: str, argument: str, error: Exception, file: str | None = None) -> ArgumentError:
    if isinstance(error, SyntaxError):
        line, reason = error.lineno, error.msg
    else:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
        line, reason = (lines[-1] if lines else None), " ".join(str(error).split())
    place = f", line {line}" if line else ""
    return ArgumentError(
        f"{argument}: {what} cannot be imported: {type(error).__name__}: {reason}{place}"
    )
