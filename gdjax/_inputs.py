"""The door: what a person brings, turned into what every verb works on, or refused in one line."""

import contextlib
import re
from collections.abc import Mapping
from typing import Any, Literal, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdjax._util.arguments import as_count
from gdjax._util.errors import ArgumentError, first_line, unknown
from gdjax._util.types import Function
from gdjax.objectives import Objective, as_objective
from gdjax.objectives.structure import is_flat
from gdjax.optimizers import Optimizer, as_optimizer

ObjectiveLike = Objective | Function | str  # what ``as_objective`` takes
OptimizerLike = (
    optax.GradientTransformation | optax.MultiSteps | Function | str
)  # what ``as_optimizer`` takes
DType = Literal["float32", "float64"]

__all__ = [
    "DType",
    "ObjectiveLike",
    "OptimizerLike",
    "as_count",
    "as_dtype",
    "as_objective",
    "as_optimizer",
    "as_optimizers",
    "cannot_descend",
    "default_dtype",
    "is_count",
    "objective_at",
]  # fmt: skip


def as_dtype(dtype: Any) -> Any:
    """``float32``, ``float64`` or None, given as a word or as a dtype.

    Raises:
        ArgumentError: anything else.
    """
    if dtype is None or (isinstance(dtype, str) and dtype in ("float32", "float64")):
        return dtype
    try:
        name = np.dtype(dtype).name
    except Exception:  # NumPy has many ways to say so
        name = None
    if name not in ("float32", "float64"):
        raise unknown("dtype", dtype, ("float32", "float64"))
    return name


def default_dtype(dtype: Any) -> contextlib.AbstractContextManager[object]:
    """A context in which floats have that dtype; None leaves JAX as it is configured."""
    dtype = as_dtype(dtype)
    return contextlib.nullcontext() if dtype is None else jax.enable_x64(dtype == "float64")


def as_optimizers(given: Any) -> dict[str, Optimizer]:
    """Optimizers by label: of a mapping, of a list, or of one alone.

    Raises:
        ArgumentError: none at all, or what is no optimizer.
    """
    if isinstance(given, Mapping):
        pairs = [(str(label), as_optimizer(one)) for label, one in given.items()]
    else:
        single = isinstance(given, str | optax.GradientTransformation) or callable(given)
        several = [given] if single else given
        if not isinstance(several, list | tuple):
            raise ArgumentError(f"optimizers must be a mapping from labels, got {given!r:.200}")
        pairs = [(repr(one), one) for one in map(as_optimizer, several)]
    if not pairs:
        raise ArgumentError("optimizers must hold at least one, got none")
    if len(dict(pairs)) < len(pairs):
        raise ArgumentError("optimizers must differ, or have labels: {'label': optimizer}")
    return dict(pairs)


def cannot_descend(objective: Objective, optimizer: Optimizer, error: Exception) -> NoReturn:
    """Raise in one line what an optimizer raised when it was run on an objective.

    Raises:
        ArgumentError: for one whose ``init`` or ``update`` fails on such points.
        Exception: what is in one line already, or was asked for by ``jax_debug_nans``.
    """
    if isinstance(error, ArgumentError | FloatingPointError):
        raise error
    why = _unlike(objective) if UNLIKE.search(str(error)) else first_line(error)
    raise ArgumentError(f"{optimizer!r:.200} cannot descend {objective.name}: {why}") from error


# How JAX says that two trees are not alike.
UNLIKE = re.compile("tree structure|(key|arity|type) mismatch|Mismatch custom|Expected .*, got")


def _unlike(objective: Objective) -> str:
    """What masks and labels have to be like."""
    if objective.structure is not None:
        return f"its masks and labels must have the structure of a point, {objective.structure}"
    names = ", ".join(f"'{name}': …" for name in objective.variables[:2])
    more = ", …" if objective.dim > 2 else ""
    return (
        f"its masks and labels must have the structure of a point, and that is one array of shape "
        f"({objective.dim},); for masks by component, let the function take {{{names}{more}}}, and "
        f"start there"
    )


def is_count(value: Any) -> bool:
    """Whether a value is one integer, where points could be given too."""
    number = isinstance(value, int) or getattr(value, "ndim", 1) == 0
    return number and np.dtype(getattr(value, "dtype", type(value))).kind in "iu"


def objective_at(given: ObjectiveLike, starts: Any) -> Objective:
    """An objective where several starts are asked for: the first one says what points are like.

    A function of one number is known by what it makes of a vector.

    Raises:
        ArgumentError: as ``as_objective`` does.

    Example:
        >>> objective_at(lambda x: x**2, [1.0, 2.0, 3.0]).dim
        1
        >>> objective_at(lambda p: p @ p, [1.0, 2.0, 3.0]).dim
        3
    """
    start, fn = _first(starts), given
    if isinstance(fn, Objective | str) or not (callable(fn) and is_flat(start) and len(start)):
        return as_objective(given, start)
    if not _is_scalar(fn, np.shape(start)) and _is_scalar(fn, ()):
        start = start[0]
    return as_objective(fn, start)


def _is_scalar(fn: Function, shape: tuple[int, ...]) -> bool:
    """Whether a function makes a scalar of such an array."""
    at = jax.ShapeDtypeStruct(shape, jnp.result_type(float))
    try:  # of a function that is new, for JAX keeps what it has traced of others
        return jax.eval_shape(lambda x: fn(x), at).shape == ()
    except Exception:  # whatever it raises is told when it is used
        return False


def _first(starts: Any) -> Any:
    """The first of several starts, or the one that is given; None for what draws them."""
    if starts is None or is_count(starts) or isinstance(starts, str) or hasattr(starts, "kind"):
        return None
    if isinstance(starts, np.ndarray | jax.Array):
        if starts.ndim < 2:
            return starts
        return starts[0] if len(starts) else None
    if isinstance(starts, list) and starts and not is_flat(starts):
        return starts[0]
    return starts


def as_points(objective: Objective, points: Any, argument: str) -> np.ndarray:
    """Points ``(n, d)`` of a list of points, of one point, or of an array of them.

    Raises:
        ArgumentError: none, or one that is no finite point of the objective.
    """
    one = isinstance(points, Mapping) or (is_flat(points) and len(points) > 0)
    if (
        objective.structure is not None and not one
    ):  # a list is one of points, any other tree is one
        one = not isinstance(points, list | np.ndarray | jax.Array)
    several = hasattr(points, "__len__") and getattr(points, "ndim", 1) > 0
    if isinstance(points, str) or not (one or several):
        raise ArgumentError(f"{argument} must be points of {objective.name}, got {points!r:.200}")
    if one and is_flat(points) and objective.dim == 1 and len(points) != 1:
        points, one = [[x] for x in points], False
    found = [objective.check_point(x, argument) for x in ([points] if one else points)]
    if not found:
        raise ArgumentError(f"{argument} must hold at least one point, got none")
    return np.asarray(found)
