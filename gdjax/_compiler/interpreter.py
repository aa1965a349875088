"""Traced programs: what constants they hold, and running them again, equation by equation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal


def constants(part: Any) -> Iterator[Any]:
    """The constants inside a traced program, in the order in which they are met.

    Example:
        >>> traced = jax.make_jaxpr(lambda x: 2 * x + np.ones(3, np.float32))(1.0)
        >>> [np.shape(value) for value in constants(traced)]
        [(3,), ()]
    """
    if isinstance(part, ClosedJaxpr | Jaxpr):  # one class in newer versions of JAX
        yield from getattr(part, "consts", ())
        for equation in getattr(part, "jaxpr", part).eqns:
            yield from (v.val for v in equation.invars if isinstance(v, Literal))
            yield from constants(equation.params)
    elif isinstance(part, Mapping | tuple | list):
        for item in part.values() if isinstance(part, Mapping) else part:
            yield from constants(item)


def evaluate(
    closed: ClosedJaxpr,
    args: Sequence[Any],
    rule: Callable[[Any, Sequence[Any]], list[Any] | None] = lambda eqn, operands: None,
) -> list[Any]:
    """The results of a traced program; NumPy arrays in it are copied, however deep they are.

    Args:
        closed: the program.
        args: what it is handed, flat.
        rule: an equation and its operands → its results, or None for those it has of itself.

    Example:
        >>> traced = jax.make_jaxpr(lambda x: jax.numpy.sin(x) + 1)(0.0)
        >>> cosine = lambda eqn, x: [jax.numpy.cos(*x)] if eqn.primitive.name == "sin" else None
        >>> float(evaluate(traced, [0.0])[0]), float(evaluate(traced, [0.0], cosine)[0])
        (1.0, 2.0)
    """

    def inside(value: Any) -> Any:
        """What a call, a loop or a condition computes, run again; another parameter as it is."""
        if type(value) is tuple:
            return tuple(map(inside, value))
        if isinstance(value, ClosedJaxpr):
            return jax.make_jaxpr(lambda *args: evaluate(value, args, rule))(*value.in_avals)
        return value

    def read(var: Any) -> Any:
        return _copied(var.val, var.aval) if isinstance(var, Literal) else known[var]

    jaxpr = closed.jaxpr
    pairs = zip(jaxpr.constvars, closed.consts, strict=True)
    known = {var: _copied(value, var.aval) for var, value in pairs}
    known |= dict(zip(jaxpr.invars, args, strict=True))
    for eqn in jaxpr.eqns:
        operands = [read(v) for v in eqn.invars]
        results = rule(eqn, operands)
        if results is None:
            params = {key: inside(value) for key, value in eqn.params.items()}
            results = eqn.primitive.bind(*operands, **eqn.primitive.get_bind_params(params))
            results = results if eqn.primitive.multiple_results else [results]
        known |= dict(zip(eqn.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _copied(value: Any, aval: Any) -> Any:
    """A constant as an array that nobody else has; numbers stay as they are, for they are weak."""
    if isinstance(value, np.ndarray) and not aval.weak_type:
        return np.array(value, aval.dtype)
    return value
