"""A JAX function with elementary functions of our own in place of XLA's, where XLA's are slow.

On a CPU, XLA calls the C library once a number for the sine and its relatives, and vectorises the
rest. What ``elementary`` writes into a program of scalars is here computed with arrays: the same
polynomials, which XLA fuses and vectorises like any other arithmetic.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import JaxprEqn

from gdjax._compiler import elementary
from gdjax._compiler.interpreter import evaluate
from gdjax._compiler.operations import ON_ARRAYS
from gdjax._compiler.program import Program, Scalar
from gdjax._util.types import Function, PyTree

# What was measured to be 2.5 to 15 times faster, a power in float32 is not; and what is right for
# subnormal numbers though XLA's arithmetic takes them for 0, which log and atan2 are not.
REPLACED = {"float32": ("sin", "cos", "tan", "atan"), "float64": ("sin", "cos", "tan")}


class Arrays(Program):
    """A program that is not written down: what is emitted is computed at once, with arrays."""

    def emit(self, op: str, *args: Scalar, dtype: Any = None) -> Scalar:
        """The result of an operation; see ``Program.emit``."""
        if op == "bitcast":
            return lax.bitcast_convert_type(args[0], dtype)
        _, aside, name = op.partition(":")
        if aside:  # left to the selection that follows
            return functools.partial(getattr(lax, name), args[1])
        if op == "select" and callable(args[1]):
            return _aside(*args)
        if op == "sub":  # XLA would simplify (x + c) − c away, by which a number is rounded
            return args[0] - lax.optimization_barrier(args[1])
        return ON_ARRAYS[op](*args)


def _aside(far: jax.Array, function: Callable[[], jax.Array], near: jax.Array) -> jax.Array:
    """XLA's own function where numbers are marked, computed only if any is.

    What comes out of a condition lies in memory, so that nothing that uses it computes it again.
    """
    return lax.cond(jnp.any(far), lambda: jnp.where(far, function(), near), lambda: near)


def substituted(fn: Function) -> Function:
    """The same function of arrays, with ``elementary``'s functions where XLA's are slow.

    It belongs outside of ``vmap``, which would compute both sides of every condition.

    Args:
        fn: what ``jax.make_jaxpr`` can trace.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.linspace(-9, 9, 7)
        >>> own = jax.jit(substituted(jax.vmap(jnp.sin)))(x)
        >>> bool(jnp.allclose(own, jnp.sin(x), rtol=0, atol=1.2e-7))
        True
    """

    def substitute(*args: PyTree) -> PyTree:
        closed, shapes = jax.make_jaxpr(fn, return_shape=True)(*args)
        results = evaluate(closed, jax.tree.leaves(args), _own)
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return substitute


def _own(eqn: JaxprEqn, operands: Sequence[Any]) -> list[jax.Array] | None:
    """What an equation computes, by functions of our own if they are faster."""
    name, kind = eqn.primitive.name, _kind(eqn)
    if name in REPLACED.get(kind, ()):
        return [elementary.FUNCTIONS[name](Arrays(), *operands)]
    if name == "reduce_sum" and kind in REPLACED:
        x, axes = operands[0], eqn.params["axes"]
        if x.ndim - 1 in axes:  # over other axes XLA's own loop is the faster one, up to 5 times
            return [_sum(x, axes)]
    return None


def _kind(eqn: JaxprEqn) -> str:
    """The dtype of what an equation computes, if that is one array."""
    return str(getattr(eqn.outvars[0].aval, "dtype", "")) if len(eqn.outvars) == 1 else ""


def _sum(x: jax.Array, axes: tuple[Any, ...]) -> jax.Array:
    """A sum as a product with ones, which XLA computes in a faster loop."""
    ones = jnp.ones([x.shape[axis] for axis in axes], x.dtype)
    along = (axes, range(len(axes))), ((), ())
    return lax.dot_general(x, ones, along, precision=lax.Precision.HIGHEST)
