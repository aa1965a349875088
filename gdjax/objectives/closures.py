"""NumPy arrays that a function closes over, in the dtype of whatever precision it is traced in.

JAX remembers, for each NumPy array that it meets while it traces, the dtype that it took it for.
As long as anything that was traced in one precision is alive, the array has that dtype in the other
precision too: a descent in float32 would leave a certificate in float64 with rounded data, or
with two dtypes in one product. So the arrays of a user's function are copied out of every trace.
"""

import inspect
import warnings

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr
from jaxtyping import ArrayLike

from gdjax._compiler.interpreter import constants, evaluate
from gdjax._util.errors import ArgumentError
from gdjax._util.types import Function, PyTree
from gdjax.objectives.structure import is_traced

_JITTED = type(jax.jit(abs))


def unshared(fn: Function) -> Function:
    """The same function; what is traced of it holds none of the NumPy arrays that it closes over.

    Args:
        fn: of pytrees of arrays.

    Raises:
        ArgumentError: when called, an array that something else holds in another precision.

    Example:
        >>> data = np.array([0.1, 0.2])
        >>> total = unshared(lambda x: (x * data).sum())
        >>> single = jax.jit(total).lower(np.ones(2, np.float32))
        >>> with jax.enable_x64(True):
        ...     bool(jax.jit(total)(np.ones(2)) == data.sum())
        True
    """
    while isinstance(fn, _JITTED):  # it would remember the arrays
        fn = fn.__wrapped__  # type: ignore[attr-defined]
    return _Unshared(fn)


class _Unshared:
    def __init__(self, fn: Function) -> None:
        self._fn = fn
        self._plain = False  # whether it is known to close over no such array
        self._narrow: list[int] | None = None  # which of them are of single precision by birth

    def __call__(self, *args: PyTree) -> PyTree:
        if self._plain or not is_traced(args):
            return self._fn(*args)
        leaves, tree = jax.tree.flatten(args)
        arrays = {i: leaf for i, leaf in enumerate(leaves) if hasattr(leaf, "dtype")}

        def fn(
            arrays: dict[int, ArrayLike],
        ) -> PyTree:  # new each time, for JAX knows it
            return self._fn(*tree.unflatten([arrays.get(i, x) for i, x in enumerate(leaves)]))

        closed, shapes = self._traced(fn, arrays)
        held = any(isinstance(value, np.ndarray) and value.ndim for value in constants(closed))
        if not held and not _sees_a_scalar(self._fn):
            self._plain = True
            return self._fn(*args)
        return jax.tree.unflatten(jax.tree.structure(shapes), evaluate(closed, [*arrays.values()]))

    def _traced(self, fn: Function, arrays: dict[int, ArrayLike]) -> tuple[ClosedJaxpr, PyTree]:
        """The function, traced once more if something else has decided on the dtypes in it."""
        trace = jax.make_jaxpr(fn, return_shape=True)
        try:
            with warnings.catch_warnings():  # of float64 where there is none
                warnings.filterwarnings("ignore", "Explicitly requested dtype")
                found = trace(arrays)
            if _odd(found[0]) in ([], self._narrow):
                return found
        except TypeError as error:
            if "64" not in str(error):  # no two dtypes met
                raise
        found = None  # which would hold the arrays itself
        jax.clear_caches()  # where a user's own jit holds them
        found = trace(arrays)
        if _wide():
            self._narrow = _odd(found[0])
        elif _odd(found[0]):
            raise ArgumentError(
                f"{getattr(self._fn, '__name__', 'the function')} closes over an array that is in "
                f"use in float64 elsewhere; pass it in args: gdjax.Objective(fn=fn, args=(array,))"
            )
        return found


def _sees_a_scalar(fn: Function, depth: int = 3) -> bool:
    """Whether a function names a NumPy array without dimensions: in a program it is a literal."""
    fn = getattr(inspect.unwrap(fn), "func", fn)
    if not inspect.isfunction(fn) or not depth:
        return False
    found = inspect.getclosurevars(fn)
    named = [*found.nonlocals.values(), *found.globals.values(), *(fn.__defaults__ or ())]
    if any(isinstance(value, np.ndarray) and not value.ndim for value in named):
        return True
    return any(_sees_a_scalar(value, depth - 1) for value in named if inspect.isfunction(value))


def _wide() -> bool:
    return jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]


def _odd(closed: ClosedJaxpr) -> list[int]:
    """Which NumPy constants of a program have a dtype that they rarely have in this precision."""
    rare = {*map(np.dtype, ("f4", "c8") if _wide() else ("f8", "c16", "i8", "u8"))}
    held = [value for value in constants(closed) if isinstance(value, np.ndarray)]
    return [i for i, value in enumerate(held) if value.dtype in rare]
