"""Parameters from elsewhere: files and loaders, matched by name to the leaves of an objective."""

import math
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from gdjax._descent.trajectory import Trajectory
from gdjax._util.arguments import place as as_place
from gdjax._util.arguments import refused
from gdjax._util.errors import ArgumentError, first_line, said
from gdjax._util.types import PyTree
from gdjax.objectives import Objective
from gdjax.objectives.loading import load, no_file
from gdjax.objectives.structure import path_in_words
from gdjax.training.records import FORMAT
from gdjax.training.runs import TrainingRun

SUFFIXES = (".npz", ".safetensors")
OF_A_RUN = ("training.npz", "trajectory.npz")  # what gdjax's own commands leave in a folder
FEW = 6  # names that a message lists


class Points(NamedTuple):
    """Points along a path.

    Args:
        points: all of them finite, ``(m, d)``.
        steps: at which each was, ``(m,)``.
        lost: how many were left out that are not finite.
    """

    points: np.ndarray
    steps: np.ndarray
    lost: int = 0


def as_parameters(objective: Objective, given: Any, argument: str) -> np.ndarray:
    """One point ``(d,)`` of whatever holds one; the last point of what holds several.

    Args:
        objective: whose point it is.
        given: a point, a ``Trajectory``, a ``TrainingRun``, the path of a file or of a run's
            folder, or a loader ``file.py:function``.
        argument: what messages call it.

    Raises:
        ArgumentError: no such point; of a leaf that does not fit, its name and both shapes.

    Example:
        >>> import gdjax
        >>> as_parameters(gdjax.objectives.get("qfsp"), [1.0, 2.0], "at").tolist()
        [1.0, 2.0]
    """
    if isinstance(given, TrainingRun | Trajectory) or _is_place(given):
        return _points_of(objective, given, argument).points[-1]
    return np.asarray(objective.flat(given, argument), float)


def as_path(objective: Objective, given: Any, argument: str) -> Points:
    """The points of a path, of a run that gdjax made, of an array, or of a list of checkpoints.

    Args:
        objective: whose points they are.
        given: a ``Trajectory``, a ``TrainingRun``, the path of a file or of a run's folder, an
            array ``(m, d)``, or a list of what ``as_parameters`` takes.
        argument: what messages call it.

    Raises:
        ArgumentError: none of these, or points of another objective.
    """
    if isinstance(given, TrainingRun | Trajectory) or _is_place(given):
        return _points_of(objective, given, argument)
    if isinstance(given, np.ndarray | jax.Array):
        return _finite(objective, given, None, argument)
    if not isinstance(given, list | tuple) or not given:
        raise refused(argument, "be what gdjax made, an array (m, d), or a list of points", given)
    found = [as_parameters(objective, one, f"{argument}[{i}]") for i, one in enumerate(given)]
    return Points(np.asarray(found), np.arange(len(found)))


def _is_place(given: Any) -> bool:
    return isinstance(given, str | os.PathLike)


def _points_of(f: Objective, given: Any, argument: str) -> Points:
    """The points of a run, a path, a file or a folder."""
    if isinstance(given, TrainingRun):
        last = None if given.broken is not None else f.flat(given.point, argument)
        return _of_training(
            f, given.parameters, given.checkpoints, last, int(given.steps[-1]), argument
        )
    if isinstance(given, Trajectory):
        if np.ndim(given.values) != 1:
            raise ArgumentError(f"{argument} must be the path of one descent, got several")
        return _finite(f, f.flattened(given.points), None, argument)
    return _read(f, os.fspath(given), argument)


def _of_training(f: Objective, kept: Any, steps: Any, last: Any, end: int, argument: str) -> Points:
    """The checkpoints of a run, and its last point where that is none of them."""
    points, steps = [*np.asarray(kept, float)], [*np.asarray(steps).tolist()]
    if last is not None and end not in steps:
        points, steps = [*points, np.asarray(last, float)], [*steps, end]
    if not points:
        raise ArgumentError(f"{argument} must hold a point that is finite, and the run kept none")
    return _finite(f, np.asarray(points), np.asarray(steps), argument)


def _finite(f: Objective, points: Any, steps: np.ndarray | None, argument: str) -> Points:
    """Points without those that are not finite.

    Raises:
        ArgumentError: points of another dimension, or none that is finite.
    """
    found = np.asarray(points)
    if found.dtype.kind not in "fiu" or found.ndim != 2 or found.shape[1] != f.dim:
        raise ArgumentError(
            f"{argument} must be points of {f.name}, of {f.dim:,} numbers each, got an array of "
            f"{found.dtype} {found.shape}"
        )
    found = found.astype(float)
    steps = np.arange(len(found)) if steps is None else steps
    good = np.isfinite(found).all(axis=1)
    if not good.any():
        raise ArgumentError(f"{argument} must hold a point that is finite, got none")
    return Points(found[good], steps[good], int((~good).sum()))


def _read(f: Objective, source: str, argument: str) -> Points:
    """The points of a file, of the folder of a run, or of a user's loader."""
    place = Path(as_place(argument, source))
    if place.is_dir():
        files = [place / name for name in OF_A_RUN if (place / name).is_file()]
        if not files:
            raise ArgumentError(
                f"{argument} must be the folder of gdjax train or gdjax run, and {place} holds "
                f"neither {' nor '.join(OF_A_RUN)}"
            )
        place = files[0]
    if place.suffix not in SUFFIXES:
        if ":" in source:
            return _one(f, _named(_loaded(source, argument)), source, argument)
        raise ArgumentError(
            f"{argument} must be a file of parameters that ends in {' or '.join(SUFFIXES)}, the "
            f"folder of a run, or a loader such as my.py:load, got {source!r:.200}"
        )
    if not place.is_file():
        raise no_file(argument, source, place.resolve(), f"*{place.suffix}")
    arrays = (_npz if place.suffix == ".npz" else _safetensors)(place, argument)
    made = _of_gdjax(f, arrays, place, argument)
    return _one(f, arrays, place.name, argument) if made is None else made


def _npz(file: Path, argument: str) -> dict[str, np.ndarray]:
    try:
        with np.load(file) as found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ArgumentError(f"{argument}: {file} cannot be read: {said(error)}") from None


def _safetensors(file: Path, argument: str) -> dict[str, np.ndarray]:
    try:
        from safetensors.numpy import load_file
    except ImportError:
        raise ArgumentError(
            f"{argument}: {file.name} needs safetensors: install it with "
            f"pip install 'gdjax[checkpoints]'"
        ) from None
    try:
        return load_file(file)
    except Exception as error:  # its own kinds, and a KeyError for a dtype that NumPy has not
        raise ArgumentError(f"{argument}: {file} cannot be read: {first_line(error)}") from None


def _loaded(source: str, argument: str) -> PyTree:
    """What a user's loader returns, or what stands there by itself."""
    found = load(source, argument)
    try:
        return found() if callable(found) else found
    except Exception as error:  # whatever the user's code raises is told as it is
        raise ArgumentError(f"{argument}: {source} fails: {first_line(error)}") from error


def _named(tree: PyTree) -> dict[str, Any]:
    pairs = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {path_in_words(path): leaf for path, leaf in pairs if not callable(leaf)}


def _of_gdjax(
    f: Objective, arrays: Mapping[str, np.ndarray], file: Path, argument: str
) -> Points | None:
    """The points of a file that gdjax wrote; None if it did not."""
    if {"parameters", "checkpoints", "point", "variables", "steps"} <= {*arrays}:
        _check_variables(f, [*map(str, arrays["variables"])], file, argument)
        last = arrays["point"] if np.isfinite(arrays["point"]).all() else None
        kept, end = arrays["parameters"], int(arrays["steps"][-1])
        return _of_training(f, kept, arrays["checkpoints"], last, end, argument)
    if {"points", "values", "outcome", "labels"} <= {*arrays}:
        return _finite(f, arrays["points"], None, argument)
    if str(arrays.get("format", "")) == FORMAT:
        if not len(arrays["parameters"]):
            raise ArgumentError(
                f"{argument}: {file} keeps no parameters but those it goes on from; train with "
                f"checkpoint=100, say, or give the folder of the run"
            )
        return _finite(f, arrays["parameters"], arrays["checkpoints"], argument)
    return None


def _check_variables(f: Objective, names: list[str], file: Path, argument: str) -> None:
    """Refuse the parameters of another objective, by the first leaf that differs."""
    if tuple(names) == f.variables:
        return
    there, here = _shapes(names), _shapes(f.variables)
    for leaf, shape in here.items():
        if there.get(leaf) != shape:
            other = f"it of shape {there[leaf]}" if leaf in there else "none"
            raise ArgumentError(
                f"{argument} must have leaf {leaf} of shape {shape}, as {f.name} has, and {file} "
                f"has {other}"
            )
    raise ArgumentError(
        f"{argument} must hold the {f.dim:,} parameters of {f.name}, and {file} holds "
        f"{len(names):,} others"
    )


def _shapes(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Leaves with their shapes, of the names of all variables in order.

    Example:
        >>> _shapes(["b", "[0].w[0,0]", "[0].w[0,1]"])
        {'b': (), '[0].w': (1, 2)}
    """
    found = {}
    for name in names:
        leaf, index = re.fullmatch(r"(.*?)(?:\[([\d,]+)\])?", name, re.DOTALL).groups()  # type: ignore[union-attr]
        found[leaf] = tuple(int(i) + 1 for i in index.split(",") if i) if index else ()
    return found


def _one(f: Objective, arrays: Mapping[str, Any], where: str, argument: str) -> Points:
    """The one point that is stored by the names of its leaves, or flat under any one name."""
    if not arrays:
        raise ArgumentError(f"{argument}: {where} holds no arrays")
    arrays = {_canonical(name): np.asarray(array) for name, array in arrays.items()}
    only = next(iter(arrays.values())) if len(arrays) == 1 else None
    wanted = f.structure.leaves if f.structure else (("", (f.dim,)),)
    if only is not None and (only.shape == (f.dim,) or (len(wanted) == 1 and not wanted[0][0])):
        shape = (f.dim,) if only.shape == (f.dim,) else wanted[0][1]
        arrays, wanted = {"": only}, (("", shape),)
    elif f.structure is None:
        wanted = tuple((name, ()) for name in f.variables)
    pieces = [_leaf(f, arrays, name, shape, where, argument) for name, shape in wanted]
    return Points(np.concatenate(pieces)[None], np.arange(1))


def _leaf(
    f: Objective, arrays: Mapping[str, np.ndarray], path: str, shape: tuple[int, ...], where: str,
    argument: str,
) -> np.ndarray:  # fmt: skip
    """The numbers of one leaf, flat."""
    name = _canonical(path)
    if name not in arrays:
        listed = ", ".join([*sorted(arrays)[:FEW], *["…"] * (len(arrays) > FEW)])
        raise ArgumentError(
            f"{argument} must have a leaf {path or 'of its own'} of shape {shape}, as {f.name} "
            f"has, and {where} has {listed}"
        )
    array, called = arrays[name], f"leaf {path} " if path else "an array "
    if array.shape != shape and not (shape == () and array.shape == (1,)):
        raise ArgumentError(
            f"{argument} must have {called}of shape {shape}, as {f.name} has, and {where} has it "
            f"of shape {array.shape}"
        )
    if array.dtype.kind not in "fiu":
        raise ArgumentError(
            f"{argument} must have {called}of plain numbers, and {where} has it of {array.dtype}; "
            f"save it as float32"
        )
    if not np.isfinite(array).all():
        raise ArgumentError(f"{argument} must be finite, and {where} is not, in {called.strip()}")
    return np.reshape(array, math.prod(shape)).astype(float)


def _canonical(name: str) -> str:
    """A leaf's name, however its places in lists are written.

    Example:
        >>> _canonical("layers[0].w"), _canonical("layers/0/w"), _canonical("[1].b")
        ('layers.0.w', 'layers.0.w', '1.b')
    """
    return re.sub(r"[\[\]/.'\"]+", ".", name).strip(".")
