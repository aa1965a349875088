"""Traced programs: what constants they hold, and carrying them out, equation by equation."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import jax
import numpy as np
from jax.core import ShapedArray
from jax.extend import source_info_util
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

REMATS = frozenset({"checkpoint", "remat", "remat2"})
# Primitives that run another program and do nothing else.
CALLS = REMATS | {
    "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "jit", "pjit",
}  # fmt: skip
T = TypeVar("T")  # what is computed with: arrays, arrays of scalars of a program, and the like
Atom: TypeAlias = Var | Literal
Rule: TypeAlias = Callable[[JaxprEqn, list[T]], Sequence[T] | None]


def constants(part: object) -> Iterator[object]:
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


def called(eqn: JaxprEqn) -> ClosedJaxpr | Jaxpr | None:
    """The program that an equation runs, if it is a call; some hold one without constants."""
    if eqn.primitive.name not in CALLS:
        return None
    named = (eqn.params.get(key) for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"))
    return next((found for found in named if found is not None), None)


def equations(program: ClosedJaxpr | Jaxpr) -> Iterator[JaxprEqn]:
    """The equations of a traced program, those of a call in its stead."""
    for eqn in getattr(program, "jaxpr", program).eqns:
        inner = called(eqn)
        yield from [eqn] if inner is None else equations(inner)


def aval(var: Any) -> ShapedArray:
    """The shape and dtype of a variable or a literal."""
    return var.aval


def bind(eqn: JaxprEqn, operands: Sequence[object], **changed: object) -> Sequence[Any]:
    """The results of one equation as JAX itself computes them, with some parameters changed."""
    params = eqn.primitive.get_bind_params({**eqn.params, **changed})
    results = eqn.primitive.bind(*operands, **params)
    return results if eqn.primitive.multiple_results else [results]


def walk(
    program: ClosedJaxpr | Jaxpr,
    args: Sequence[T],
    rule: Rule[T],
    constant: Callable[[Any, ShapedArray], T] = lambda value, aval: value,
    inline: bool = True,
) -> list[T]:
    """Carry out a traced program, equation by equation.

    Args:
        program: what ``jax.make_jaxpr`` returned.
        args: what it is handed, flat.
        rule: an equation and its operands → its results, or None for those that JAX computes.
        constant: a constant and its shape and dtype → what stands for it.
        inline: whether the equations of a call are carried out in its stead.

    Example:
        >>> traced = jax.make_jaxpr(jax.jit(lambda x: jax.numpy.sin(x) + 1))(0.0)
        >>> cosine = lambda eqn, x: [jax.numpy.cos(*x)] if eqn.primitive.name == "sin" else None
        >>> float(walk(traced, [0.0], cosine)[0])
        2.0
    """

    def read(var: Atom) -> T:
        return constant(var.val, aval(var)) if isinstance(var, Literal) else known[var]

    jaxpr = getattr(program, "jaxpr", program)
    pairs = zip(jaxpr.constvars, getattr(program, "consts", ()), strict=True)
    known = {var: constant(value, aval(var)) for var, value in pairs}
    known |= dict(zip(jaxpr.invars, args, strict=True))
    for eqn in jaxpr.eqns:
        operands = [read(v) for v in eqn.invars]
        if inline and (inner := called(eqn)) is not None:
            results = walk(inner, operands, rule, constant)
        else:
            results = rule(eqn, operands)
        if results is None:
            results = bind(eqn, operands)
        known |= dict(zip(eqn.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]


def widest(part: object, own: Sequence[bool] | None = None) -> int:
    """The most bytes that a result takes of one equation of a traced program, however deep it is.

    Args:
        part: the program.
        own: which of its arguments count: results of the others alone do not. By default all do.

    Example:
        >>> traced = jax.make_jaxpr(lambda x, data: (x * data).sum() + (data @ data))
        >>> made = traced(np.float32(1), np.ones((50, 50), np.float32))
        >>> widest(made, [True, False]), widest(made, [False, False])
        (10000, 0)
    """
    made = (v for eqn, _ in _counted(part, own) for v in map(aval, eqn.outvars))
    return max((v.size * v.dtype.itemsize for v in made), default=0)


def multiplies(part: object, own: Sequence[bool] | None = None) -> bool:
    """Whether a traced program multiplies two matrices that both count; see ``widest``.

    Example:
        >>> traced = jax.make_jaxpr(lambda x, data: x @ x + data @ x)
        >>> made = traced(np.ones((5, 5)), np.ones((5, 5)))
        >>> multiplies(made, [True, False]), multiplies(made, [False, True])
        (True, False)
    """

    def is_matrix(var: Atom, used: Sequence[tuple[int, ...]]) -> bool:
        shape = aval(var).shape
        return math.prod(shape) > math.prod(shape[i] for axes in used for i in axes)

    for eqn, operands in _counted(part, own):
        if eqn.primitive.name == "dot_general" and all(operands):
            numbers = zip(*eqn.params["dimension_numbers"], strict=True)
            if all(map(is_matrix, eqn.invars, numbers)):
                return True
    return False


def _counted(part: object, own: Sequence[bool] | None = None) -> list[tuple[JaxprEqn, list[bool]]]:
    """The equations of a program that compute with what counts, and which operands do."""
    found: list[tuple[JaxprEqn, list[bool]]] = []

    def rule(eqn: JaxprEqn, operands: list[bool]) -> list[bool]:
        if any(operands):
            found.extend([(eqn, operands), *_counted(eqn.params)])
        return [any(operands)] * len(eqn.outvars)

    if isinstance(part, ClosedJaxpr | Jaxpr):
        args = getattr(part, "jaxpr", part).invars
        walk(part, own or [True] * len(args), rule, lambda value, aval: False)
    elif isinstance(part, Mapping | tuple | list):
        for each in part.values() if isinstance(part, Mapping) else part:
            found.extend(_counted(each))
    return found


def evaluate(
    closed: ClosedJaxpr | Jaxpr, args: Sequence[T], rule: Rule[T] = lambda eqn, operands: None
) -> list[T]:
    """The results of a traced program; NumPy arrays in it are copied, however deep they are.

    Calls, loops and conditions stay what they are, and the rule reaches into them.

    Args:
        closed: the program.
        args: what it is handed, flat.
        rule: an equation and its operands → its results, or None for those it has of itself.

    Example:
        >>> traced = jax.make_jaxpr(lambda x: jax.numpy.sin(x) + 1)(0.0)
        >>> float(evaluate(traced, [0.0])[0])
        1.0
    """

    def inside(value: object) -> object:
        """What a call, a loop or a condition computes, run again; another parameter as it is."""
        if type(value) is tuple:
            return tuple(map(inside, value))
        if isinstance(value, ClosedJaxpr):
            return jax.make_jaxpr(lambda *args: evaluate(value, args, rule))(*value.in_avals)
        return value

    def carry_out(eqn: JaxprEqn, operands: list[T]) -> Sequence[T]:
        results = rule(eqn, operands)
        if results is not None:
            return results
        if eqn.primitive.name in REMATS:  # which takes no program with constants
            given = {key: eqn.params[key] for key in ("prevent_cse", "policy")}
            inner = eqn.params["jaxpr"]
            return jax.checkpoint(lambda *args: evaluate(inner, args, rule), **given)(*operands)
        changed = {key: inside(value) for key, value in eqn.params.items()}
        with source_info_util.user_context(eqn.source_info.traceback):  # whose line it is
            return bind(eqn, operands, **changed)

    return walk(closed, args, carry_out, _copied, inline=False)


def _copied(value: Any, aval: ShapedArray) -> Any:
    """A constant as an array that nobody else has; numbers stay as they are, for they are weak."""
    if isinstance(value, np.ndarray) and not aval.weak_type:
        return np.array(value, aval.dtype)
    return value
