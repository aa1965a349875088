"""How each primitive is unrolled into scalars: an array is an object array of them.

What only moves numbers (slices, pads, reshapes, …) is indexing, and leaves nothing in the program.
"""

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np
from jax.extend.core import JaxprEqn

from gdjax._compiler.interpreter import aval
from gdjax._compiler.operations import BY_PRIMITIVE
from gdjax._compiler.program import Node, Program, Scalar

Rule = Callable[..., np.ndarray | list[np.ndarray]]
RULES: dict[str, Rule] = {}
"""The rules, by primitive."""


class UnsupportedError(Exception):
    """The function does something that cannot be unrolled into scalars; says what."""


def filled(values: Sequence[Scalar], shape: tuple[int, ...]) -> np.ndarray:
    """Scalars as an array of them."""
    return np.fromiter(values, object, len(values)).reshape(shape)


def constant(value: object, dtype: np.dtype | None = None) -> np.ndarray:
    """A constant as an array of NumPy scalars, of the dtype that its variable has.

    A literal of Python's has no dtype of its own, and a user's array may be wider than JAX.
    """
    array = np.asarray(value, dtype)
    return filled(list(array.reshape(-1)), array.shape)


def shape_of(eqn: JaxprEqn) -> tuple[int, ...]:
    """The shape of the first result of an equation."""
    return aval(eqn.outvars[0]).shape


def unrolled(
    program: Program,
    eqn: JaxprEqn,
    operands: Sequence[np.ndarray],
    functions: Mapping[str, Callable[..., Scalar]],
) -> list[np.ndarray]:
    """The results of an equation, written into a program.

    Args:
        program: where to.
        eqn: what.
        operands: what it is handed.
        functions: for some primitives what writes them, number by number: (program, *scalars).

    Raises:
        UnsupportedError: there is no rule for it, or none in such a case.
    """
    name = eqn.primitive.name
    if make := functions.get(name):
        return [_each(program, eqn, operands, make)]
    if name not in RULES:
        raise UnsupportedError(f"{name} cannot be unrolled into scalars")
    results = RULES[name](program, eqn, *operands)
    return results if isinstance(results, list) else [results]


def _each(
    program: Program, eqn: JaxprEqn, operands: Sequence[np.ndarray], make: Callable[..., Scalar]
) -> np.ndarray:
    """Number by number: ``make(program, *scalars)``."""
    shape = shape_of(eqn)
    columns = [np.broadcast_to(operand, shape).reshape(-1) for operand in operands]
    return filled([make(program, *row) for row in zip(*columns, strict=True)], shape)


def _rule(*names: str) -> Callable[[Rule], Rule]:
    """The rule of some primitives (a decorator)."""

    def put(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, rule))
        return rule

    return put


def _scalar(*names: str) -> Callable[[Callable[..., Scalar]], Callable[..., Scalar]]:
    """The rule of primitives that act number by number: (program, params, *scalars)."""

    def put(make: Callable[..., Scalar]) -> Callable[..., Scalar]:
        @_rule(*names)
        def rule(program: Program, eqn: JaxprEqn, *operands: np.ndarray) -> np.ndarray:
            return _each(program, eqn, operands, lambda p, *row: make(p, eqn.params, *row))

        return make

    return put


for _name, _row in BY_PRIMITIVE.items():
    if _row.jnp:
        _scalar(_name)(lambda p, params, *x, op=_row.name: p.emit(op, *x))
for _name, _make in {
    "square": lambda p, params, x: p.emit("mul", x, x),
    "copy": lambda p, params, x: x,
    "copy_p": lambda p, params, x: x,
    "stop_gradient": lambda p, params, x: x,
    "convert_element_type": lambda p, params, x: p.emit("convert", x, dtype=params["new_dtype"]),
    "is_finite": lambda p, params, x: p.emit("lt", p.emit("abs", x), np.inf),
    "clamp": lambda p, params, low, x, high: p.emit("minimum", p.emit("maximum", x, low), high),
}.items():
    _scalar(_name)(_make)


@_scalar("select_n")
def _select_n(p: Program, params: dict, which: Scalar, *cases: Scalar) -> Scalar:
    if which.dtype == bool:
        return p.emit("select", which, cases[1], cases[0])
    chosen = cases[0]
    for i, case in enumerate(cases[1:], 1):
        chosen = p.emit("select", p.emit("ge", which, i), case, chosen)
    return chosen


@_scalar("round")
def _round(p: Program, params: dict, x: Scalar) -> Scalar:
    if params["rounding_method"] == jax.lax.RoundingMethod.TO_NEAREST_EVEN:
        return p.emit("rint", x)
    size = p.emit("abs", x)  # halves away from zero
    whole = p.emit("floor", size)
    up = p.emit("ge", p.emit("sub", size, whole), 0.5)
    size = p.emit("select", up, p.emit("add", whole, 1), whole)
    near = p.emit("select", p.emit("gt", x, 0), size, x)  # 0 and NaN are their own
    return p.emit("select", p.emit("lt", x, 0), p.emit("neg", size), near)


@_scalar("integer_pow")
def _integer_pow(p: Program, params: dict, x: Scalar) -> Scalar:
    """xⁿ by repeated squaring."""
    power, square, exponent = None, x, abs(params["y"])
    while exponent:
        if exponent & 1:
            power = square if power is None else p.emit("mul", power, square)
        square, exponent = p.emit("mul", square, square), exponent >> 1
    one = x.dtype.type(1)
    if power is None:
        return one
    return power if params["y"] > 0 else p.emit("div", one, power)


@_rule("broadcast_in_dim")
def _broadcast(program: Program, eqn: JaxprEqn, operand: np.ndarray, *_: np.ndarray) -> np.ndarray:
    shape = eqn.params["shape"]
    kept = dict(zip(eqn.params["broadcast_dimensions"], operand.shape, strict=True))
    return np.broadcast_to(operand.reshape([kept.get(i, 1) for i in range(len(shape))]), shape)


_MOVES: dict[str, Rule] = {  # parameters, *operands
    "concatenate": lambda params, *arrays: np.concatenate(arrays, axis=params["dimension"]),
    "iota": lambda params, *_: constant(
        np.indices(params["shape"])[params["dimension"]], params["dtype"]
    ),
    "rev": lambda params, array: np.flip(array, params["dimensions"]),
    "slice": lambda params, array: array[tuple(map(
        slice, params["start_indices"], params["limit_indices"],
        params["strides"] or [1] * array.ndim,
    ))],
    "split": lambda params, array: np.split(
        array, np.cumsum(params["sizes"])[:-1], axis=params["axis"]
    ),
    "stack": lambda params, *arrays: np.stack(arrays, axis=params["axis"]),
    "transpose": lambda params, array: array.transpose(params["permutation"]),
}  # fmt: skip
for _name, _move in _MOVES.items():
    _rule(_name)(lambda program, eqn, *arrays, move=_move: move(eqn.params, *arrays))


@_rule("squeeze", "reshape", "expand_dims")
def _reshape(program: Program, eqn: JaxprEqn, operand: np.ndarray, *_: np.ndarray) -> np.ndarray:
    return operand.reshape(shape_of(eqn))


@_rule("unstack")
def _unstack(program: Program, eqn: JaxprEqn, operand: np.ndarray) -> list[np.ndarray]:
    parts = np.moveaxis(operand, eqn.params["axis"], 0)
    return [parts[i, ...] for i in range(len(parts))]  # an array even where it is one number


@_rule("pad")
def _pad(program: Program, eqn: JaxprEqn, operand: np.ndarray, fill: np.ndarray) -> np.ndarray:
    shape = shape_of(eqn)  # np.full would make a float of Python's of a constant
    result = filled([fill[()]] * math.prod(shape), shape)
    for index in np.ndindex(*operand.shape):
        place = tuple(
            int(low) + i * (int(inside) + 1)
            for i, (low, _, inside) in zip(index, eqn.params["padding_config"], strict=True)
        )
        if all(0 <= p < size for p, size in zip(place, result.shape, strict=True)):
            result[place] = operand[index]
    return result


def _moved(
    program: Program, eqn: JaxprEqn, *operands: np.ndarray, moving: tuple[int, ...] = (0,)
) -> np.ndarray:
    """Numbers that are moved by constant indices: JAX itself moves their labels.

    The operands at the places ``moving`` hold the numbers, the others the indices.
    """
    pool = np.concatenate([operands[i].reshape(-1) for i in moving])
    ends = np.cumsum([operands[i].size for i in moving])
    labels = dict(
        zip(moving, np.split(np.arange(len(pool), dtype=np.int32), ends[:-1]), strict=True)
    )
    given = [
        labels[i].reshape(operand.shape) if i in labels else _known_integers(operand)
        for i, operand in enumerate(operands)
    ]
    params = eqn.params | {"fill_value": -1} if "fill_value" in eqn.params else eqn.params
    moved = np.asarray(eqn.primitive.bind(*given, **params))
    if moved.size and not (moved.min() >= 0 and moved.max() < len(pool)):
        raise UnsupportedError(f"{eqn.primitive.name} out of bounds")
    return filled(list(pool[moved.reshape(-1)]), moved.shape)  # an array even of one number


def _known_integers(operand: np.ndarray) -> np.ndarray:
    if any(isinstance(x, Node) for x in operand.flat):
        raise UnsupportedError("an index that is not a constant")
    return np.array(operand.tolist(), dtype=np.int32).reshape(operand.shape)


_rule("gather", "dynamic_slice")(_moved)
_rule("dynamic_update_slice")(functools.partial(_moved, moving=(0, 1)))
_rule("scatter")(functools.partial(_moved, moving=(0, 2)))


@_rule("scatter-add")
def _scatter_add(
    program: Program, eqn: JaxprEqn, operand: np.ndarray, indices: np.ndarray, updates: np.ndarray
) -> np.ndarray:
    result = operand.copy()
    where, kind = _known_integers(indices), aval(eqn.invars[0]).dtype
    nothing = np.zeros(operand.shape, kind)
    for i in np.ndindex(*updates.shape):
        one = np.zeros(updates.shape, kind)
        one[i] = 1
        hit = np.asarray(eqn.primitive.bind(nothing, where, one, **eqn.params))
        for place in zip(*np.nonzero(hit), strict=True):
            result[place] = program.emit("add", result[place], updates[i])
    return result


def _reduced(op: str, program: Program, eqn: JaxprEqn, operand: np.ndarray) -> np.ndarray:
    axes = tuple(eqn.params["axes"])
    kept = [i for i in range(operand.ndim) if i not in axes]
    rows = operand.transpose([*kept, *axes]).reshape(*[operand.shape[i] for i in kept], -1)
    if rows.shape[-1] == 0:
        raise UnsupportedError(f"{eqn.primitive.name} of nothing")
    sums = [_total(program, op, rows[index]) for index in np.ndindex(*rows.shape[:-1])]
    return filled(sums, rows.shape[:-1])


def _total(program: Program, op: str, terms: Sequence[Scalar] | np.ndarray) -> Scalar:
    return functools.reduce(functools.partial(program.emit, op), terms)


def _running(op: str, program: Program, eqn: JaxprEqn, operand: np.ndarray) -> np.ndarray:
    if operand.ndim != 1:
        raise UnsupportedError(f"{eqn.primitive.name} of a matrix")
    way = -1 if eqn.params["reverse"] else 1
    sums = list(itertools.accumulate(operand[::way], functools.partial(program.emit, op)))
    return filled(sums[::way], operand.shape)


for _name, _op in {
    "reduce_sum": "add", "reduce_prod": "mul", "reduce_max": "maximum", "reduce_min": "minimum",
    "reduce_and": "and", "reduce_or": "or",
}.items():  # fmt: skip
    _rule(_name)(functools.partial(_reduced, _op))
for _name, _op in {"cumsum": "add", "cumprod": "mul"}.items():
    _rule(_name)(functools.partial(_running, _op))


@_rule("argmin", "argmax")
def _extremum(program: Program, eqn: JaxprEqn, operand: np.ndarray) -> np.ndarray:
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
    return filled([where], ())


@_rule("dot_general")
def _dot_general(program: Program, eqn: JaxprEqn, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    (over_a, over_b), (batch_a, batch_b) = eqn.params["dimension_numbers"]
    if batch_a or batch_b:
        raise UnsupportedError("a batched dot_general")
    rows = np.moveaxis(a, over_a, range(-len(over_a), 0)) if over_a else a
    columns = np.moveaxis(b, over_b, range(-len(over_b), 0)) if over_b else b
    result = np.empty(shape_of(eqn), dtype=object)
    free, dtype = a.ndim - len(over_a), aval(eqn.outvars[0]).dtype

    weighs, weighed = (aval(v).dtype == bool for v in eqn.invars)

    def product(x: Scalar, y: Scalar) -> Scalar:
        if weighs or weighed:  # XLA selects: what is weighed by nothing may be NaN
            which, number = (x, y) if weighs else (y, x)
            return program.emit("select", which, program.emit("convert", number, dtype=dtype), 0)
        return program.emit("mul", *(program.emit("convert", z, dtype=dtype) for z in (x, y)))

    for index in np.ndindex(*result.shape):
        left = rows[(*index[:free], ...)].reshape(-1)  # an array even where it is one number
        right = columns[(*index[free:], ...)].reshape(-1)
        terms = [product(x, y) for x, y in zip(left, right, strict=True)]
        result[index] = _total(program, "or" if dtype.kind == "b" else "add", terms)
    return result
