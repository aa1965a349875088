"""From a JAX function of small arrays to a straight-line program over scalars.

Everything that only moves data (slices, pads, reshapes, …) disappears: an array is an object
array of scalars, and moving is indexing. What is left is arithmetic on single numbers, which a
kernel can keep in registers for all the steps of a descent.
"""

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr

from gdjax._compiler import elementary
from gdjax._compiler.program import Node, Program, Scalar

LARGEST = 4000  # operations; a longer program no longer fits the registers and caches it is for
WORTH_TRYING = 4 * LARGEST  # before equal ones are found; a tenth of a second of unrolling


class UnsupportedError(Exception):
    """The function does something that cannot be unrolled into scalars; says what."""


def lower(
    fn: Callable, *arguments: Any, functions: Mapping[str, Callable] = elementary.FUNCTIONS
) -> Program:
    """Trace a function and unroll it into scalars; see ``unroll``.

    Args:
        fn: a JAX function of pytrees of small arrays.
        *arguments: ``jax.ShapeDtypeStruct`` pytrees, one an argument.
        functions: how the elementary functions are written into a program, by primitive.
    """
    return unroll(jax.make_jaxpr(fn)(*arguments), functions)


def unroll(
    closed: ClosedJaxpr, functions: Mapping[str, Callable] = elementary.FUNCTIONS
) -> Program:
    """A traced function as a program over scalars.

    Its inputs and outputs are the numbers of the arguments and of the results, flat and in order.

    Raises:
        UnsupportedError: a primitive that cannot be unrolled, or too many operations.
    """
    if (count := _operations(closed)) > WORTH_TRYING:
        raise UnsupportedError(
            f"it takes about {count:,} operations on scalars, more than {LARGEST}"
        )
    program = Program()
    inputs = [
        _filled([program.input(v.aval.dtype) for _ in range(v.aval.size)], v.aval.shape)
        for v in closed.jaxpr.invars
    ]
    for result in _evaluate(program, closed, inputs, functions):
        program.outputs += list(result.flat)
    program.fuse()
    return program


def _operations(closed: Any) -> int:
    """About how many operations on scalars a program takes: from its shapes, without unrolling."""
    count = 0
    for eqn in getattr(closed, "jaxpr", closed).eqns:
        sizes = [math.prod(v.aval.shape) for v in (*eqn.invars, *eqn.outvars)]
        if (inner := _called(eqn)) is not None:
            count += _operations(inner)
        elif eqn.primitive.name == "dot_general":
            left, over = eqn.invars[0].aval.shape, eqn.params["dimension_numbers"][0][0]
            count += 2 * sizes[-1] * math.prod(left[axis] for axis in over)
        elif eqn.primitive.name in _MOVING:
            count += max(sizes) // 100  # to move a number is that much cheaper
        else:
            count += max(sizes)
    return count


def _called(eqn: Any) -> Any:
    """The program that an equation calls, if it is a call."""
    if eqn.primitive.name not in _CALLS:
        return None
    return next((eqn.params[key] for key in _INNER if key in eqn.params), None)


def _filled(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape)


def _constant(value: Any, dtype: Any = None) -> np.ndarray:
    """A constant as an object array of NumPy scalars, of the dtype that its variable has.

    A literal of Python's has no dtype of its own, and a user's array may be wider than JAX.
    """
    array = np.asarray(value, dtype)
    return _filled([array.reshape(-1)[i] for i in range(array.size)], array.shape)


def _evaluate(
    program: Program, closed: Any, inputs: list[np.ndarray], functions: Mapping[str, Callable]
) -> list[np.ndarray]:
    jaxpr = getattr(closed, "jaxpr", closed)  # some calls hold one without constants
    known: dict[Any, np.ndarray] = dict(zip(jaxpr.invars, inputs, strict=True))
    for var, constant in zip(jaxpr.constvars, getattr(closed, "consts", ()), strict=True):
        known[var] = _constant(constant, var.aval.dtype)

    def read(var: Any) -> np.ndarray:
        return _constant(var.val, var.aval.dtype) if hasattr(var, "val") else known[var]

    for eqn in jaxpr.eqns:
        for var in eqn.outvars:
            if var.aval.dtype not in _DTYPES:
                raise UnsupportedError(f"a kernel has no numbers of {var.aval.dtype}")
        operands = [read(v) for v in eqn.invars]
        if (inner := _called(eqn)) is not None:
            results = _evaluate(program, inner, operands, functions)
        elif make := functions.get(eqn.primitive.name):
            results = [_each(program, eqn, operands, make)]
        elif eqn.primitive.name in _SEVERAL:
            results = _SEVERAL[eqn.primitive.name](eqn, operands[0])
        elif rule := _RULES.get(eqn.primitive.name):
            results = [rule(program, eqn, *operands)]
        else:
            raise UnsupportedError(f"{eqn.primitive.name} cannot be unrolled into scalars")
        if len(program.nodes) > LARGEST:
            raise UnsupportedError(f"it takes more than {LARGEST} operations on scalars")
        for var, result in zip(eqn.outvars, results, strict=True):
            known[var] = result
    return [read(v) for v in jaxpr.outvars]


_CALLS = ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint",
          "remat2")  # fmt: skip
_INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")
_MOVING = ("broadcast_in_dim", "slice", "squeeze", "reshape", "expand_dims", "transpose", "rev",
           "concatenate", "stack", "unstack", "split", "pad", "iota", "gather", "dynamic_slice",
           "dynamic_update_slice")  # fmt: skip
_DTYPES = tuple(map(np.dtype, ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"]))
_RULES: dict[str, Callable] = {}


def _each(
    program: Program, eqn: Any, operands: Sequence[np.ndarray], make: Callable[..., Scalar]
) -> np.ndarray:
    """Number by number: ``make(program, *scalars)``."""
    shape = eqn.outvars[0].aval.shape
    columns = [np.broadcast_to(operand, shape).reshape(-1) for operand in operands]
    return _filled([make(program, *row) for row in zip(*columns, strict=True)], shape)


def _elementwise(name: str, make: Callable[..., Scalar]) -> None:
    """A primitive that acts number by number: ``make(program, eqn, *scalars)``."""

    def rule(program: Program, eqn: Any, *operands: np.ndarray) -> np.ndarray:
        return _each(program, eqn, operands, lambda p, *row: make(p, eqn, *row))

    _RULES[name] = rule


def _plain(op: str) -> Callable[..., Scalar]:
    return lambda program, eqn, *args: program.emit(op, *args)


for _name, _op in {
    "add": "add", "add_any": "add", "sub": "sub", "mul": "mul", "div": "div", "neg": "neg",
    "abs": "abs", "max": "maximum", "min": "minimum", "sqrt": "sqrt", "floor": "floor",
    "ceil": "ceil", "rem": "rem", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge", "eq": "eq",
    "ne": "ne", "and": "and", "or": "or", "xor": "xor", "not": "not",
}.items():  # fmt: skip
    _elementwise(_name, _plain(_op))


_elementwise("square", lambda program, eqn, x: program.emit("mul", x, x))
_elementwise("copy", lambda program, eqn, x: x)
_elementwise("copy_p", lambda program, eqn, x: x)
_elementwise("stop_gradient", lambda program, eqn, x: x)
_elementwise(
    "convert_element_type",
    lambda program, eqn, x: program.emit("convert", x, dtype=eqn.params["new_dtype"]),
)
_elementwise(
    "is_finite", lambda program, eqn, x: program.emit("lt", program.emit("abs", x), np.inf)
)
_elementwise(
    "clamp",
    lambda program, eqn, low, x, high: program.emit(
        "minimum", program.emit("maximum", x, low), high
    ),
)


def _select_n(program: Program, eqn: Any, which: Scalar, *cases: Scalar) -> Scalar:
    if which.dtype == bool:
        return program.emit("select", which, cases[1], cases[0])
    chosen = cases[0]
    for i, case in enumerate(cases[1:], 1):
        chosen = program.emit("select", program.emit("ge", which, i), case, chosen)
    return chosen


def _round(program: Program, eqn: Any, x: Scalar) -> Scalar:
    if eqn.params["rounding_method"] == jax.lax.RoundingMethod.TO_NEAREST_EVEN:
        return program.emit("rint", x)
    size = program.emit("abs", x)  # halves away from zero
    whole = program.emit("floor", size)
    up = program.emit("ge", program.emit("sub", size, whole), 0.5)
    size = program.emit("select", up, program.emit("add", whole, 1), whole)
    near = program.emit("select", program.emit("gt", x, 0), size, x)  # 0 and NaN are their own
    return program.emit("select", program.emit("lt", x, 0), program.emit("neg", size), near)


def _integer_pow(program: Program, eqn: Any, x: Scalar) -> Scalar:
    """xⁿ by repeated squaring."""
    power, square, exponent = None, x, abs(eqn.params["y"])
    while exponent:
        if exponent & 1:
            power = square if power is None else program.emit("mul", power, square)
        square, exponent = program.emit("mul", square, square), exponent >> 1
    one = x.dtype.type(1)
    if power is None:
        return one
    return power if eqn.params["y"] > 0 else program.emit("div", one, power)


_elementwise("select_n", _select_n)
_elementwise("round", _round)
_elementwise("integer_pow", _integer_pow)


def _rule(name: str) -> Callable[[Callable], Callable]:
    def put(rule: Callable) -> Callable:
        _RULES[name] = rule
        return rule

    return put


@_rule("broadcast_in_dim")
def _broadcast(program: Program, eqn: Any, operand: np.ndarray, *_: Any) -> np.ndarray:
    shape = eqn.params["shape"]
    kept = dict(zip(eqn.params["broadcast_dimensions"], operand.shape, strict=True))
    return np.broadcast_to(operand.reshape([kept.get(i, 1) for i in range(len(shape))]), shape)


@_rule("slice")
def _slice(program: Program, eqn: Any, operand: np.ndarray) -> np.ndarray:
    starts, stops = eqn.params["start_indices"], eqn.params["limit_indices"]
    strides = eqn.params["strides"] or [1] * operand.ndim
    return operand[tuple(map(slice, starts, stops, strides))]


@_rule("squeeze")
@_rule("reshape")
@_rule("expand_dims")
def _reshape(program: Program, eqn: Any, operand: np.ndarray, *_: Any) -> np.ndarray:
    return operand.reshape(eqn.outvars[0].aval.shape)


@_rule("transpose")
def _transpose(program: Program, eqn: Any, operand: np.ndarray) -> np.ndarray:
    return operand.transpose(eqn.params["permutation"])


@_rule("rev")
def _rev(program: Program, eqn: Any, operand: np.ndarray) -> np.ndarray:
    return np.flip(operand, eqn.params["dimensions"])


@_rule("concatenate")
def _concatenate(program: Program, eqn: Any, *operands: np.ndarray) -> np.ndarray:
    return np.concatenate(operands, axis=eqn.params["dimension"])


@_rule("stack")
def _stack(program: Program, eqn: Any, *operands: np.ndarray) -> np.ndarray:
    return np.stack(operands, axis=eqn.params["axis"])


def _unstack(eqn: Any, operand: np.ndarray) -> list[np.ndarray]:
    axis = eqn.params["axis"]
    return [np.squeeze(part, axis) for part in np.split(operand, operand.shape[axis], axis)]


def _split(eqn: Any, operand: np.ndarray) -> list[np.ndarray]:
    return np.split(operand, np.cumsum(eqn.params["sizes"])[:-1], axis=eqn.params["axis"])


_SEVERAL: dict[str, Callable] = {"unstack": _unstack, "split": _split}  # of several results


@_rule("pad")
def _pad(program: Program, eqn: Any, operand: np.ndarray, fill: np.ndarray) -> np.ndarray:
    result = np.full(eqn.outvars[0].aval.shape, fill[()], dtype=object)
    for index in np.ndindex(*operand.shape):
        place = tuple(
            int(low) + i * (int(inside) + 1)
            for i, (low, _, inside) in zip(index, eqn.params["padding_config"], strict=True)
        )
        if all(0 <= p < size for p, size in zip(place, result.shape, strict=True)):
            result[place] = operand[index]
    return result


@_rule("iota")
def _iota(program: Program, eqn: Any, *_: Any) -> np.ndarray:
    shape, dimension = eqn.params["shape"], eqn.params["dimension"]
    line = np.arange(shape[dimension], dtype=eqn.params["dtype"])
    line = line.reshape([-1 if i == dimension else 1 for i in range(len(shape))])
    return _constant(np.broadcast_to(line, shape))


def _reduction(name: str, op: str) -> None:
    def rule(program: Program, eqn: Any, operand: np.ndarray) -> np.ndarray:
        axes = tuple(eqn.params["axes"])
        kept = [i for i in range(operand.ndim) if i not in axes]
        rows = operand.transpose([*kept, *axes]).reshape(*[operand.shape[i] for i in kept], -1)
        if rows.shape[-1] == 0:
            raise UnsupportedError(f"{name} of nothing")
        result = np.empty(rows.shape[:-1], dtype=object)
        for index in np.ndindex(*result.shape):
            result[index] = functools.reduce(lambda a, b: program.emit(op, a, b), rows[index])
        return result

    _RULES[name] = rule


for _name, _op in {
    "reduce_sum": "add", "reduce_prod": "mul", "reduce_max": "maximum", "reduce_min": "minimum",
    "reduce_and": "and", "reduce_or": "or",
}.items():  # fmt: skip
    _reduction(_name, _op)


@_rule("argmin")
@_rule("argmax")
def _extremum(program: Program, eqn: Any, operand: np.ndarray) -> np.ndarray:
    """The first index of the smallest (largest) number of a vector, or of the first NaN."""
    if operand.ndim != 1:
        raise UnsupportedError(f"{eqn.primitive.name} of a matrix")
    kind = np.dtype(eqn.params["index_dtype"]).type
    better = "lt" if eqn.primitive.name == "argmin" else "gt"
    best, where = operand[0], kind(0)
    for i, candidate in enumerate(operand[1:], 1):
        ahead = program.emit(better, candidate, best)
        if candidate.dtype.kind == "f":
            first = program.emit("eq", best, best)
            broken = program.emit("and", program.emit("ne", candidate, candidate), first)
            ahead = program.emit("or", ahead, broken)
        best = program.emit("select", ahead, candidate, best)
        where = program.emit("select", ahead, kind(i), where)
    return _filled([where], ())


def _running(name: str, op: str) -> None:
    def rule(program: Program, eqn: Any, operand: np.ndarray) -> np.ndarray:
        if operand.ndim != 1:
            raise UnsupportedError(f"{name} of a matrix")
        line = operand[::-1] if eqn.params["reverse"] else operand
        sums = list(itertools.accumulate(line, lambda a, b: program.emit(op, a, b)))
        return _filled(sums[::-1] if eqn.params["reverse"] else sums, operand.shape)

    _RULES[name] = rule


_running("cumsum", "add")
_running("cumprod", "mul")


@_rule("dot_general")
def _dot_general(program: Program, eqn: Any, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    (over_a, over_b), (batch_a, batch_b) = eqn.params["dimension_numbers"]
    if batch_a or batch_b:
        raise UnsupportedError("a batched dot_general")
    rows = np.moveaxis(a, over_a, range(-len(over_a), 0)) if over_a else a
    columns = np.moveaxis(b, over_b, range(-len(over_b), 0)) if over_b else b
    result = np.empty(eqn.outvars[0].aval.shape, dtype=object)
    free = a.ndim - len(over_a)
    for index in np.ndindex(*result.shape):
        left = rows[(*index[:free], ...)].reshape(-1)  # an array even where it is one number
        right = columns[(*index[free:], ...)].reshape(-1)
        terms = [program.emit("mul", x, y) for x, y in zip(left, right, strict=True)]
        result[index] = functools.reduce(lambda x, y: program.emit("add", x, y), terms)
    return result


def _moved(moving: int) -> Callable:
    """A primitive that only moves numbers, by constant indices: JAX itself moves their labels.

    The first ``moving`` operands hold the numbers, the others the indices.
    """

    def rule(program: Program, eqn: Any, *operands: np.ndarray) -> np.ndarray:
        pool = np.concatenate([o.reshape(-1) for o in operands[:moving]])
        labels, first = [], 0
        for operand in operands[:moving]:
            labels.append(np.arange(first, first + operand.size).reshape(operand.shape))
            first += operand.size
        given = [label.astype(np.int32) for label in labels]
        given += [_known_integers(operand) for operand in operands[moving:]]
        moved = np.asarray(eqn.primitive.bind(*given, **_for_labels(eqn.params)))
        if moved.size and not (moved.min() >= 0 and moved.max() < len(pool)):
            raise UnsupportedError(f"{eqn.primitive.name} out of bounds")
        return pool[moved]

    return rule


def _for_labels(params: dict) -> dict:
    return params | {"fill_value": -1} if "fill_value" in params else params


def _known_integers(operand: np.ndarray) -> np.ndarray:
    if any(isinstance(x, Node) for x in operand.flat):
        raise UnsupportedError("an index that is not a constant")
    return np.array(operand.tolist(), dtype=np.int32).reshape(operand.shape)


_RULES["gather"] = _RULES["dynamic_slice"] = _moved(1)
_RULES["dynamic_update_slice"] = _moved(2)


@_rule("scatter-add")
def _scatter_add(
    program: Program, eqn: Any, operand: np.ndarray, indices: np.ndarray, updates: np.ndarray
) -> np.ndarray:
    result = operand.copy()
    where, kind = _known_integers(indices), eqn.invars[0].aval.dtype
    nothing = np.zeros(operand.shape, kind)
    for i in np.ndindex(*updates.shape):
        one = np.zeros(updates.shape, kind)
        one[i] = 1
        hit = np.asarray(eqn.primitive.bind(nothing, where, one, **eqn.params))
        for place in zip(*np.nonzero(hit), strict=True):
            result[place] = program.emit("add", result[place], updates[i])
    return result
