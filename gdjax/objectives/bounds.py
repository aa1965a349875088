"""Reads and writes beyond the end of an array, which JAX clamps or drops without a word.

``p[5]`` of two components is ``p[1]`` to JAX, so that a function of more components than its domain
has is silently another one. The indices that a traced function knows before it runs are computed
from its program with NumPy; what depends on the point is left alone.
"""

import linecache
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, JaxprEqn
from jaxtyping import Array

from gdjax._compiler.interpreter import aval, bind, evaluate, walk
from gdjax._compiler.operations import BY_PRIMITIVE, MOVING
from gdjax._compiler.program import Program
from gdjax._compiler.rules import RULES
from gdjax._util.types import Function

LARGEST = 2**20  # numbers in an array of indices; a larger one is not looked at
LOOPED = 10_000  # equations of loops that are gone through turn by turn
INSTEAD = 0.0, 1.0, 1e3, -1e3  # what may stand beyond the end: does anybody see the difference?
SAME = frozenset({"convert_element_type", "copy", "copy_p", "stop_gradient"})
MODES = 3  # lines of a call within which its ``mode=`` stands

_FOLDS: dict[str, Function] = {
    "select_n": lambda which, *cases: np.choose(np.asarray(which, int), cases),
    "rem": np.fmod,
    "div": lambda x, y: (x - np.fmod(x, y)) // y,
    "clamp": lambda low, x, high: np.clip(x, low, high),
}
for _name in ("add", "sub", "mul", "neg", "abs", "max", "min", "sign", "and", "or", "xor", "not",
              "lt", "le", "gt", "ge", "eq", "ne"):  # fmt: skip
    _FOLDS[_name] = BY_PRIMITIVE[_name].numpy  # type: ignore[assignment]


class _Point:
    """What stands for the point itself, of which nothing else is known."""


POINT = _Point()
Value = np.ndarray | _Point | None  # what is known of an array: whole numbers, or nothing


class Beyond(NamedTuple):
    """An index that lies beyond the end of an axis.

    Args:
        verb: ``reads`` or ``writes``.
        place: as it was written, negative ones too.
        size: of the axis.
        of_point: whether it is the point's own.
        equation: where.
    """

    verb: str
    place: int
    size: int
    of_point: bool
    equation: JaxprEqn

    def said(self, whole: str) -> str:
        """In words: ``reads component 1, and the domain has 1``."""
        if self.of_point:
            return f"{self.verb} component {self.place}, and {whole} has {self.size}"
        return f"{self.verb} index {self.place} of an axis that has {self.size}"


def out_of_bounds(closed: ClosedJaxpr, at: np.ndarray) -> Beyond | None:
    """The first index beyond the end of an array that changes what a traced function returns.

    Found are indices that do not depend on the point, in calls, conditions and loops too. A call
    that says its ``mode=`` means it, and what is masked afterwards is as good as not read.

    Args:
        closed: the function, of a flat point.
        at: a point ``(d,)``.

    Example:
        >>> traced = jax.make_jaxpr(lambda p: p[0] ** 2 + p[5])(np.ones(2, np.float32))
        >>> out_of_bounds(traced, np.ones(2, np.float32)).said("the domain")
        'reads component 5, and the domain has 2'
    """
    found: list[Beyond] = []
    with np.errstate(all="ignore"):
        _Search(found).of(closed, [POINT])
    first: dict[int, Beyond] = {}
    for beyond in found:
        first.setdefault(id(beyond.equation), beyond)
    asked = (one for one in first.values() if not _meant(one.equation))
    return next((one for one in asked if _matters(closed, one, at)), None)


class _Search:
    """Goes through a program with what is known of its whole numbers."""

    def __init__(self, found: list[Beyond]) -> None:
        self.found, self.left = found, LOOPED

    def of(self, program: Any, args: Sequence[Value]) -> list[Value]:
        """What is known of the results of a program."""
        return walk(program, args, self._rule, _known)

    def _rule(self, eqn: JaxprEqn, operands: list[Value]) -> Sequence[Value]:
        name = eqn.primitive.name
        self.left -= 1
        nothing: list[Value] = [None] * len(eqn.outvars)
        if check := _CHECKS.get(name):
            verb = "reads" if name in ("gather", "dynamic_slice") else "writes"
            of_point = operands[0] is POINT
            beyond = (Beyond(verb, *pair, of_point, eqn) for pair in check(eqn, operands))
            self.found.extend(beyond)
            return nothing
        if name == "scan":
            return self._scan(eqn, operands)
        if name == "while":
            return self._while(eqn, operands)
        if name == "cond":
            which, *rest = operands
            branches = eqn.params["branches"]
            if isinstance(which, np.ndarray):
                return self.of(branches[int(np.clip(which, 0, len(branches) - 1))], rest)
            for branch in branches:
                self.of(branch, rest)
            return nothing
        if name in SAME and operands[0] is POINT:
            return [POINT]
        arrays = [x for x in operands if isinstance(x, np.ndarray)]
        dtype = aval(eqn.outvars[0]).dtype if eqn.outvars else None
        known = len(arrays) == len(operands) and dtype is not None and _whole(dtype)
        return _folded(eqn, arrays) if known else nothing

    def _scan(self, eqn: JaxprEqn, operands: list[Value]) -> list[Value]:
        """A loop of known length, turn by turn as long as anything is known of its numbers."""
        if "ft_in" in eqn.params:  # JAX 0.12: constants, carry, and what is run through
            first, carried, _ = map(len, eqn.params["ft_in"].unpack())
        else:
            first, carried = eqn.params["num_consts"], eqn.params["num_carry"]
        last = first + carried
        fixed, carry, xs = operands[:first], operands[first:last], operands[last:]
        length, body = eqn.params["length"], eqn.params["jaxpr"]
        turns = range(length)[::-1] if eqn.params["reverse"] else range(length)
        nothing: list[Value] = [None] * (len(eqn.outvars) - len(carry))
        for turn in turns:
            now = [np.asarray(x[turn]) if isinstance(x, np.ndarray) else None for x in xs]
            before = carry
            carry = self.of(body, [*fixed, *carry, *now])[: len(carry)]
            known = any(isinstance(x, np.ndarray) for x in [*before, *now])
            if not known or self.left < 0:  # every other turn is like this one
                return [None] * len(carry) + nothing
        return carry + nothing

    def _while(self, eqn: JaxprEqn, operands: list[Value]) -> list[Value]:
        """A loop, turn by turn as long as it is known whether it goes on."""
        test, body = eqn.params["cond_jaxpr"], eqn.params["body_jaxpr"]
        first = eqn.params["cond_nconsts"]
        last = first + eqn.params["body_nconsts"]
        carry = operands[last:]
        while self.left >= 0:
            (on,) = self.of(test, [*operands[:first], *carry])
            if not isinstance(on, np.ndarray):
                self.of(body, [*operands[first:last], *[None] * len(carry)])
                break
            if not on:
                return carry
            carry = self.of(body, [*operands[first:last], *carry])
        return [None] * len(carry)


def _whole(dtype: Any) -> bool:
    return getattr(dtype, "kind", "") in ("i", "u", "b")  # a random key has none


def _known(value: Any, aval: Any) -> Value:
    """A constant, if it is one of whole numbers."""
    dtype = getattr(aval, "dtype", None)
    if isinstance(value, Tracer) or not _whole(dtype) or np.size(value) > LARGEST:
        return None
    return np.asarray(value, dtype)


def _folded(eqn: JaxprEqn, arrays: list[np.ndarray]) -> list[Value]:
    """What an equation makes of whole numbers."""
    name, out = eqn.primitive.name, aval(eqn.outvars[0])
    if out.size > LARGEST:
        return [None] * len(eqn.outvars)
    if name in _FOLDS:
        return [np.broadcast_to(_FOLDS[name](*arrays), out.shape).astype(out.dtype)]
    if name in SAME:
        return [arrays[0].astype(out.dtype)]
    if name in MOVING and name not in _CHECKS:
        moved = RULES[name](Program(), eqn, *arrays)
        return [np.asarray(x, out.dtype) for x in (moved if isinstance(moved, list) else [moved])]
    return [None] * len(eqn.outvars)


Pairs = list[tuple[int, int]]  # an index, and the size of its axis


def _beyond(start: Value, width: int, size: int) -> Pairs:
    """The first of some known starts at which so many do not fit into an axis."""
    if not isinstance(start, np.ndarray):
        return []
    out = start[(start < 0) | (start > size - width)]
    if not out.size:
        return []
    index = int(out.flat[0])  # one from the end has had the size added already
    return [(index - size if index < 0 else index + width - 1, size)]


def _starts(eqn: JaxprEqn, operands: list[Value]) -> Pairs:
    """Of a slice whose start is handed over number by number."""
    shape, update = aval(eqn.invars[0]).shape, eqn.primitive.name == "dynamic_update_slice"
    widths = aval(eqn.invars[1]).shape if update else eqn.params["slice_sizes"]
    starts = operands[1 + update :]
    rows = zip(starts, widths, shape, strict=True)
    return [pair for row in rows for pair in _beyond(*row)]


def _rows(eqn: JaxprEqn, operands: list[Value]) -> Pairs:
    """Of a gather or a scatter, whose starts are the rows of an array."""
    shape, numbers, rows = aval(eqn.invars[0]).shape, eqn.params["dimension_numbers"], operands[1]
    if not isinstance(rows, np.ndarray):
        return []
    if eqn.primitive.name == "gather":
        axes, widths = numbers.start_index_map, eqn.params["slice_sizes"]
    else:
        axes, update = numbers.scatter_dims_to_operand_dims, aval(eqn.invars[2]).shape
        alone = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
        sizes = iter([update[i] for i in numbers.update_window_dims])
        widths = [1 if axis in alone else next(sizes) for axis in range(len(shape))]
    found = (_beyond(rows[..., i], widths[axis], shape[axis]) for i, axis in enumerate(axes))
    return [pair for pairs in found for pair in pairs]


_CHECKS: dict[str, Callable[[JaxprEqn, list[Value]], Pairs]] = {
    "dynamic_slice": _starts,
    "dynamic_update_slice": _starts,
    "gather": _rows,
    **dict.fromkeys(("scatter", "scatter-add", "scatter-mul", "scatter-min", "scatter-max",
                     "scatter_add", "scatter_mul", "scatter_min", "scatter_max"), _rows),
}  # fmt: skip


def frames(eqn: JaxprEqn) -> list[tuple[str, str, int]]:
    """The files, functions and lines that an equation comes from, the innermost first."""
    trace, found = eqn.source_info.traceback, []
    trace = trace.as_python_traceback() if trace is not None else None
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append((code.co_filename, code.co_name, trace.tb_lineno))
        trace = trace.tb_next
    return found[::-1]


JAX = os.path.dirname(jax.__file__)


def _meant(eqn: JaxprEqn) -> bool:
    """Whether somebody said what is to be done beyond the end: the user, or a function of JAX's."""
    fill = eqn.params.get("fill_value")
    if fill is not None and fill == fill:
        return True
    for file, function, line in frames(eqn):
        if not file.startswith(JAX):
            return any("mode" in linecache.getline(file, line + i) for i in range(MODES))
        if function.startswith("segment_") or f"{os.sep}sparse{os.sep}" in file:
            return True
    return False


def _matters(closed: ClosedJaxpr, beyond: Beyond, at: np.ndarray) -> bool:
    """Whether the results are others where other numbers stand beyond the end."""
    eqn, out = beyond.equation, aval(beyond.equation.outvars[0])
    if out.dtype.kind != "f" or any(isinstance(x, Tracer) for x in closed.consts):
        return True

    met = False

    def results(instead: float) -> np.ndarray:
        def rule(one: JaxprEqn, operands: list[Any]) -> list[Any] | None:
            nonlocal met
            met = met or one is eqn
            return [_replaced(one, operands, instead)] if one is eqn else None

        return np.concatenate([np.ravel(x) for x in evaluate(closed, [jnp.asarray(at)], rule)])

    before, *others = map(results, INSTEAD)
    return not met or not all(np.array_equal(before, x, equal_nan=True) for x in others)


def _replaced(eqn: JaxprEqn, operands: list[Any], instead: float) -> Array:
    """What an equation gives, with another number for whatever lies beyond the end."""
    (plain,) = bind(eqn, operands)
    if eqn.primitive.name == "gather":
        mode = jax.lax.GatherScatterMode.FILL_OR_DROP
        (inside,) = bind(eqn, operands, mode=mode, fill_value=np.nan)
        broken = jnp.isnan(inside)
    elif eqn.primitive.name == "dynamic_slice":
        shape, widths = operands[0].shape, eqn.params["slice_sizes"]
        rows = zip(operands[1:], shape, widths, strict=True)
        broken = jnp.any(jnp.stack([(s < 0) | (s > n - w) for s, n, w in rows]))
    else:
        broken = jnp.array(True)
    return jnp.where(broken, jnp.asarray(instead, plain.dtype), plain)
