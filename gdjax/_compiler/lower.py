"""From a JAX function of small arrays to a straight-line program over scalars.

What is left of it is arithmetic on single numbers, which a kernel can keep in registers for all the
steps of a descent.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import numpy as np
from jax.core import ShapedArray
from jax.extend.core import ClosedJaxpr, JaxprEqn

from gdjax._compiler import elementary
from gdjax._compiler.interpreter import aval, equations, walk
from gdjax._compiler.operations import MOVING
from gdjax._compiler.program import Program, Scalar
from gdjax._compiler.rules import Rule, UnsupportedError, constant, filled, unrolled

LARGEST = 4000  # operations; a longer program no longer fits the registers and caches it is for
WORTH_TRYING = 4 * LARGEST  # before equal ones are found; a tenth of a second of unrolling
ELEMENTARY = 2  # operations for each equation, where elementary functions are not taken apart
Functions = Mapping[str, Callable[..., Scalar]]
_DTYPES = tuple(map(np.dtype, ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"]))


def unroll(
    closed: ClosedJaxpr,
    functions: Functions = elementary.FUNCTIONS,
    rules: Mapping[str, Rule] = MappingProxyType({}),
) -> Program:
    """Unroll a traced function into scalars.

    Args:
        closed: what ``jax.make_jaxpr`` returned.
        functions: by primitive, how elementary functions are written into a program:
            (program, *scalars). What is missing stays one operation, for a kernel that has it.
        rules: by primitive, how primitives of the caller's own are: (program, equation, *operands).

    Returns:
        The program, whose inputs and outputs are the flattened numbers of the arguments and of the
        results in order.

    Raises:
        UnsupportedError: a primitive that cannot be unrolled, or too many operations.

    Example:
        >>> import jax
        >>> program = unroll(jax.make_jaxpr(lambda x: 2 * x[:2])(np.ones(3, np.float32)))
        >>> len(program.inputs), [node.op for node in program.outputs]
        (3, ['mul', 'mul'])
    """
    if (count := sum(map(_cost, equations(closed)))) > WORTH_TRYING:
        raise UnsupportedError(
            f"it takes about {count:,} operations on scalars, more than {LARGEST}"
        )
    program = Program()
    jaxpr = getattr(closed, "jaxpr", closed)  # one class in newer versions of JAX
    _check_dtypes(aval(v) for v in (*jaxpr.invars, *jaxpr.constvars))
    inputs = [
        filled([program.input(a.dtype) for _ in range(math.prod(a.shape))], a.shape)
        for a in closed.in_avals
    ]

    def rule(eqn: JaxprEqn, operands: list[np.ndarray]) -> list[np.ndarray]:
        _check_dtypes(map(aval, eqn.outvars))
        own = rules.get(eqn.primitive.name)
        if own is not None:
            results = own(program, eqn, *operands)
            return results if isinstance(results, list) else [results]
        results = unrolled(program, eqn, operands, functions)
        if len(program.nodes) > LARGEST:
            raise UnsupportedError(f"it takes more than {LARGEST} operations on scalars")
        return results

    for result in walk(closed, inputs, rule, lambda value, aval: constant(value, aval.dtype)):
        program.outputs += list(result.flat)
    program.fuse()
    return program


def _check_dtypes(avals: Iterable[ShapedArray]) -> None:
    for dtype in (a.dtype for a in avals):
        if dtype not in _DTYPES:
            raise UnsupportedError(f"a kernel has no numbers of {dtype}")


def operations(closed: ClosedJaxpr) -> int:
    """About how many operations on scalars a function takes; a loop of unknown length, once.

    Example:
        >>> import jax
        >>> operations(jax.make_jaxpr(lambda x: (2 * x).sum())(np.ones(3, np.float32)))
        3
    """
    try:
        return sum(node.op != "input" for node in unroll(closed).live())
    except UnsupportedError:
        return ELEMENTARY * sum(map(_nested_cost, equations(closed)))


def _nested_cost(eqn: JaxprEqn) -> int:
    """The cost of an equation, and of what it repeats."""
    inner = [part for value in eqn.params.values() for part in _programs(value)]
    if not inner:
        return _cost(eqn)
    each = sum(_nested_cost(e) for part in inner for e in equations(part))
    return int(eqn.params.get("length", 1)) * each


def _programs(value: object) -> list[ClosedJaxpr]:
    several = value if isinstance(value, list | tuple) else [value]
    return [part for part in several if isinstance(part, ClosedJaxpr)]


def _cost(eqn: JaxprEqn) -> int:
    """About how many operations on scalars an equation takes, from its shapes alone."""
    sizes = [math.prod(aval(v).shape) for v in (*eqn.invars, *eqn.outvars)]
    if eqn.primitive.name == "dot_general":
        left, over = aval(eqn.invars[0]).shape, eqn.params["dimension_numbers"][0][0]
        return 2 * sizes[-1] * math.prod(left[axis] for axis in over)
    if eqn.primitive.name in MOVING:
        return max(sizes) // 100  # to move a number is that much cheaper
    return max(sizes)
