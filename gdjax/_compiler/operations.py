"""The operations on numbers: what each one means to JAX, NumPy, XLA and LLVM, a row an operation.

A primitive of JAX's that acts number by number is supported everywhere once it has a row here. What
takes more than one operation, or more than one number, has a rule in ``rules`` besides.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gdjax._util.types import Function

Rounding = Literal["never", "once", "inside"]


class Operation(NamedTuple):
    """A row of the table.

    Args:
        name: what programs call it.
        numpy: the function of NumPy scalars that folds constants, if there is one.
        jnp: the function of JAX arrays; operations without one are no nodes of a program's own.
        llvm: for floats, an instruction of the builder's, an intrinsic (``llvm.sqrt``), a function
            of the C library (``libm.asin``) or the sign of a comparison.
        integer: the same for whole numbers and truth values.
        rounds: ``once`` for each number that it returns, or ``never``; what happens ``inside``
            counts where it is neither.
        analytic: whether it has a complex form, which agrees with the real one on real numbers.
        commutes: whether its two arguments can change places.
        compares: whether its result is a truth value.
        text: the same in the text for a page, an operator or the name of a function, where that
            is not its own; see ``text``.
        moves: whether all that it does is to move the numbers of arrays.
        primitives: the primitives of JAX's that mean it; by default the one of its name.
    """

    name: str
    numpy: Function | None = None
    jnp: Callable[..., jax.Array] | None = None
    llvm: str = ""
    integer: str = ""
    rounds: Rounding = "inside"
    analytic: bool = False
    commutes: bool = False
    compares: bool = False
    text: str = ""
    moves: bool = False
    primitives: tuple[str, ...] | None = None


def _divide(x: np.generic, y: np.generic) -> np.generic:
    """The quotient; of integers towards 0, and by 0 what XLA makes of it."""
    if x.dtype.kind == "f":
        return np.divide(x, y)
    return (x - np.fmod(x, y)) // y if y else np.invert(x.dtype.type(0))


def _remainder(x: np.generic, y: np.generic) -> np.generic:
    return np.fmod(x, y) if x.dtype.kind == "f" or y else x


_Op = Operation
_ROWS = (
    _Op("add", np.add, jnp.add, "fadd", "add", "once", analytic=True, commutes=True,
        primitives=("add", "add_any"), text="+"),
    _Op("sub", np.subtract, jnp.subtract, "fsub", "sub", "once", analytic=True, text="-"),
    _Op("mul", np.multiply, jnp.multiply, "fmul", "mul", "once", analytic=True, commutes=True,
        text="*"),
    _Op("div", _divide, lax.div, "fdiv", "", "once", analytic=True, text="/"),
    _Op("rem", _remainder, lax.rem, "frem", "", "once", text="remainder"),
    _Op("neg", np.negative, jnp.negative, "fneg", "neg", "never", analytic=True, text="-"),
    _Op("abs", np.abs, jnp.abs, "llvm.fabs", "", "never"),
    _Op("maximum", np.maximum, jnp.maximum, "llvm.maximum", "", "never", primitives=("max",),
        text="max"),
    _Op("minimum", np.minimum, jnp.minimum, "llvm.minimum", "", "never", primitives=("min",),
        text="min"),
    _Op("sqrt", np.sqrt, jnp.sqrt, "llvm.sqrt", "", "once", analytic=True),
    _Op("floor", np.floor, jnp.floor, "llvm.floor", "", "never"),
    _Op("ceil", np.ceil, jnp.ceil, "llvm.ceil", "", "never"),
    _Op("rint", np.rint, jnp.rint, "llvm.rint", "", "never", primitives=("round",),
        text="roundEven"),
    # fused, as XLA compiles it where a processor can
    _Op("fma", None, lambda x, y, z: x * y + z, "llvm.fma", primitives=()),
    _Op("fms", None, lambda x, y, z: x * y - z, "llvm.fma", primitives=()),
    _Op("fnma", None, lambda x, y, z: z - x * y, "llvm.fma", primitives=()),

    _Op("lt", np.less, jnp.less, "<", "<", "never", compares=True, text="<"),
    _Op("le", np.less_equal, jnp.less_equal, "<=", "<=", "never", compares=True, text="<="),
    _Op("gt", np.greater, jnp.greater, ">", ">", "never", compares=True, text=">"),
    _Op("ge", np.greater_equal, jnp.greater_equal, ">=", ">=", "never", compares=True, text=">="),
    _Op("eq", np.equal, jnp.equal, "==", "==", "never", compares=True, commutes=True, text="=="),
    _Op("ne", np.not_equal, jnp.not_equal, "!=", "!=", "never", compares=True, commutes=True,
        text="!="),

    _Op("and", np.bitwise_and, jnp.bitwise_and, "", "and_", "never", commutes=True),
    _Op("or", np.bitwise_or, jnp.bitwise_or, "", "or_", "never", commutes=True),
    _Op("xor", np.bitwise_xor, jnp.bitwise_xor, "", "xor", "never", commutes=True),
    _Op("not", np.invert, jnp.bitwise_not, "", "not_", "never"),
    _Op("shl", np.left_shift, jnp.left_shift, "", "shl", primitives=()),
    _Op("ashr", np.right_shift, jnp.right_shift, "", "ashr", primitives=()),
    _Op("select", np.where, jnp.where, "", "select", "never", analytic=True,
        primitives=("select_n",)),

    _Op("sin", np.sin, jnp.sin, rounds="once", analytic=True),
    _Op("cos", np.cos, jnp.cos, rounds="once", analytic=True),
    _Op("tan", np.tan, jnp.tan, rounds="once", analytic=True),
    _Op("exp", np.exp, jnp.exp, rounds="once", analytic=True),
    _Op("log", np.log, jnp.log, rounds="once", analytic=True),
    _Op("tanh", np.tanh, jnp.tanh, rounds="once", analytic=True),
    _Op("atan", np.arctan, jnp.arctan, rounds="once", analytic=True),
    _Op("atan2", np.arctan2, jnp.arctan2, rounds="once"),
    _Op("pow", np.power, jnp.power, rounds="once", text="power"),
    _Op("sign", np.sign, jnp.sign, rounds="never"),
    _Op("rsqrt", lambda x: 1 / np.sqrt(x), lax.rsqrt, rounds="once", analytic=True),
    _Op("logistic", lambda x: 1 / (1 + np.exp(-x)), jax.nn.sigmoid, rounds="once", analytic=True),
    _Op("asin", np.arcsin, jnp.arcsin, "libm.asin", "", "once", analytic=True),
    _Op("acos", np.arccos, jnp.arccos, "libm.acos", "", "once", analytic=True),
    _Op("sinh", np.sinh, jnp.sinh, "libm.sinh", "", "once", analytic=True),
    _Op("cosh", np.cosh, jnp.cosh, "libm.cosh", "", "once", analytic=True),
    _Op("asinh", np.arcsinh, jnp.arcsinh, "libm.asinh", "", "once", analytic=True),
    _Op("acosh", np.arccosh, jnp.arccosh, "libm.acosh", "", "once", analytic=True),
    _Op("atanh", np.arctanh, jnp.arctanh, "libm.atanh", "", "once", analytic=True),
    _Op("exp2", np.exp2, jnp.exp2, "libm.exp2", "", "once", analytic=True),
    _Op("expm1", np.expm1, jnp.expm1, "libm.expm1", "", "once", analytic=True),
    _Op("log1p", np.log1p, jnp.log1p, "libm.log1p", "", "once", analytic=True),
    _Op("cbrt", np.cbrt, jnp.cbrt, "libm.cbrt", "", "once"),
    _Op("erf", None, lax.erf, "libm.erf", "", "once"),
    _Op("erfc", None, lax.erfc, "libm.erfc", "", "once"),
    _Op("lgamma", None, lax.lgamma, "libm.lgamma", "", "once"),

    # No nodes of a program: of numbers, of arrays, and those that only move numbers.
    _Op("digamma", rounds="once"),
    _Op("erf_inv", rounds="once"),
    _Op("square", rounds="once", analytic=True),
    _Op("integer_pow", rounds="once", analytic=True),
    _Op("convert", rounds="never", primitives=("convert_element_type",)),
    _Op("bitcast", primitives=()),
    _Op("copy", rounds="never", analytic=True, primitives=("copy", "copy_p")),
    *(_Op(name, rounds="never") for name in (
        "argmax", "argmin", "clamp", "is_finite", "reduce_max", "reduce_min", "sort",
        "stop_gradient",
    )),
    *(_Op(name, analytic=True) for name in ("cumsum", "dot_general", "reduce_sum")),
    *(_Op(name, rounds="never", moves=True) for name in ("dynamic_update_slice", "iota")),
    *(_Op(name, rounds="never", analytic=True, moves=True) for name in (
        "broadcast_in_dim", "concatenate", "dynamic_slice", "expand_dims", "gather", "pad",
        "reshape", "rev", "slice", "split", "squeeze", "stack", "transpose", "unstack",
    )),
)  # fmt: skip

OPERATIONS: dict[str, Operation] = {row.name: row for row in _ROWS}
BY_PRIMITIVE: dict[str, Operation] = {
    name: row
    for row in _ROWS
    for name in ((row.name,) if row.primitives is None else row.primitives)
}
ON_ARRAYS: dict[str, Callable[..., jax.Array]] = {row.name: row.jnp for row in _ROWS if row.jnp}

# Primitives that have a property in common.
EXACT = frozenset(name for name, row in BY_PRIMITIVE.items() if row.rounds == "never")
ELEMENTWISE = frozenset(name for name, row in BY_PRIMITIVE.items() if row.rounds == "once")
ANALYTIC = frozenset(name for name, row in BY_PRIMITIVE.items() if row.analytic)
MOVING = frozenset(name for name, row in BY_PRIMITIVE.items() if row.moves)
