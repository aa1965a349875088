"""Data of single precision that functions close over: computed with in double, or as coarse.

An array that function and gradient both hold is exact for both, whatever its dtype: all that is
computed of it is computed in float64. Where one holds numbers that the other does not, they may be
roundings of the same quantity, such as 3A beside A: the gradient is then only as exact as these.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from jaxtyping import Array

from gdjax._compiler.interpreter import aval, bind, called, constants, walk
from gdjax._util.types import PyTree

ONCE = 1 / 8  # of 32 roundings: what one may be, with room for the draw of the noise
OnFlat = Callable[[Array], PyTree]  # of a flat point


class Coarse(NamedTuple):
    """How exact a derivative can be whose constants are roundings.

    Args:
        dtype: to which they have been rounded.
        share: of the roundings that are allowed for an operation; numbers are rounded once, but
            arrays may come of long computations.
        result: whether the result is no more exact than they are.
    """

    dtype: np.dtype
    share: float
    result: bool


def lifted(fn: OnFlat, coarse: Coarse | None = None) -> OnFlat:
    """The same function, which computes in float64 with constants of a smaller dtype.

    In float32 it is what it was. Rules for derivatives are not kept: what has been differentiated
    is lifted, not the other way round.

    Args:
        fn: of a flat point, traced.
        coarse: where its constants cannot be taken for exact: certificates then know them as
            numbers that carry such roundings.

    Example:
        >>> data = jnp.ones(2, jnp.float32) / 3
        >>> fn = lambda x: (0.1 * data * x).sum()
        >>> with jax.enable_x64(True):
        ...     ["f32" in str(jax.make_jaxpr(one)(np.ones(2))) for one in (fn, lifted(fn))]
        [True, False]
    """

    def constant(value: Any, at: ShapedArray) -> Any:
        wide = np.asarray(value, _wide(at.dtype)) if _is_narrow(at.dtype) else value
        if coarse is None or not jnp.issubdtype(at.dtype, np.floating):
            return wide
        mask = _is_inexact(np.asarray(wide))
        return jnp.where(mask, blurred(jnp.asarray(wide), coarse), wide) if mask.any() else wide

    def rule(eqn: JaxprEqn, operands: list[Any]) -> Sequence[Any]:
        inner = called(eqn)
        if inner is not None:
            return walk(inner, operands, rule, constant, inline=False)
        return _in_double(eqn, operands) or bind(
            eqn,
            [_as_was(x, aval(v).dtype) for x, v in zip(operands, eqn.invars, strict=True)],
            **{key: inside(value) for key, value in eqn.params.items() if _holds_program(value)},
        )

    def inside(value: Any) -> Any:
        """What a loop or a condition runs, in double where it holds data itself."""
        if isinstance(value, tuple):
            return tuple(map(inside, value))
        if not isinstance(value, ClosedJaxpr):
            return value
        return jax.make_jaxpr(lambda *args: run(value, args))(*value.in_avals)

    def run(program: ClosedJaxpr, args: Sequence[Any]) -> list[Any]:
        results = walk(program, args, rule, constant, inline=False)
        return [_as_was(x, v.dtype) for x, v in zip(results, program.out_avals, strict=True)]

    def on_flat(flat: Array) -> PyTree:
        if jnp.result_type(flat) != np.float64:
            return fn(flat)
        traced, shape = jax.make_jaxpr(fn, return_shape=True)(flat)
        results = run(traced, [flat])
        results = [blurred(x, coarse) for x in results] if coarse and coarse.result else results
        return jax.tree.unflatten(jax.tree.structure(shape), results)

    return on_flat


def blurred(x: Array, coarse: Coarse) -> Array:
    """The same numbers, with one operation in them that rounds as a smaller dtype does."""
    cut = x.astype(coarse.dtype)
    cut = jnp.where(jnp.isfinite(cut), cut, 0)
    limits = jnp.finfo(coarse.dtype)
    rounded = lax.reduce_precision(cut, limits.nexp, limits.nmant)
    return x + coarse.share * (rounded - cut).astype(x.dtype)


def _in_double(eqn: JaxprEqn, operands: list[Any]) -> Sequence[Any] | None:
    """What an equation makes of numbers that were lifted; None if it cannot, or none were."""
    dtypes = [aval(v).dtype for v in eqn.invars]
    narrow = [jnp.result_type(x) for x, d in zip(operands, dtypes, strict=True) if _is_narrow(d)]
    made = not operands and _is_narrow(aval(eqn.outvars[0]).dtype)  # such as by iota
    lifts = (narrow or made) and not any(map(_is_narrow, narrow))
    if not lifts or any(map(_holds_program, eqn.params.values())):
        return None
    changed = {k: _wide(v) for k, v in eqn.params.items() if isinstance(v, np.dtype)}
    try:
        results = bind(eqn, operands, **changed)
    except Exception:  # an operation that exists in one dtype only
        return None
    expected = [(aval(v).shape, _wide(aval(v).dtype)) for v in eqn.outvars]
    return results if [(x.shape, x.dtype) for x in results] == expected else None


def _as_was(x: Any, dtype: np.dtype) -> Any:
    """A number that was lifted in the dtype that it had."""
    return jnp.asarray(x, dtype) if _is_narrow(dtype) and jnp.result_type(x) != dtype else x


def _holds_program(param: object) -> bool:
    if isinstance(param, tuple | list):
        return any(map(_holds_program, param))
    return isinstance(param, ClosedJaxpr | Jaxpr)


def _is_narrow(dtype: np.dtype) -> bool:
    """Whether it has fewer digits than float64."""
    return bool(jnp.issubdtype(dtype, np.inexact) and jnp.finfo(dtype).bits < 64)


def _wide(dtype: np.dtype) -> np.dtype:
    if not _is_narrow(dtype):
        return dtype
    return np.dtype(complex if jnp.issubdtype(dtype, np.complexfloating) else float)


def has_coarse(program: ClosedJaxpr) -> bool:
    """Whether a traced program holds numbers that were rounded to less than float64."""
    return any(_is_narrow(x.dtype) or _is_coarse(x).any() for x in _arrays(constants(program)))


def foreign(
    function: ClosedJaxpr, reverse: ClosedJaxpr | None, hand: ClosedJaxpr
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Coarse constants of a hand-derived derivative that the function does not hold, and reversely.

    They are told by their numbers but for signs and powers of two: ``2 * A`` and ``A.T`` hold
    nothing that A does not.

    Args:
        function: as it was traced.
        reverse: its derivative by reverse mode; constants on which that does not depend are free.
        hand: the hand-derived derivative.
    """
    theirs, mine = _arrays(constants(function)), _arrays(constants(hand))
    used = [] if reverse is None else _arrays(_live(reverse))
    return _strangers(mine, theirs), _strangers(used, mine)


def coarse_by(mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> Coarse | None:
    """How exact a derivative can be with what ``foreign`` found."""
    both = [*mine, *theirs]
    if not both:
        return None
    dtypes = [x.dtype if _is_narrow(x.dtype) else np.dtype("float32") for x in both]
    dtype = max(dtypes, key=lambda dtype: float(jnp.finfo(dtype).eps))
    return Coarse(dtype, 1.0 if any(x.ndim for x in both) else ONCE, bool(theirs))


def in_words(arrays: Sequence[np.ndarray]) -> str:
    """The dtypes and the shapes of arrays, the first few."""
    words = [f"{x.dtype} {x.shape}" if x.ndim else f"{x.item():.9g}" for x in arrays]
    return ", ".join(words[:3]) + f" and {len(words) - 3} more" * (len(words) > 3)


def _live(program: ClosedJaxpr) -> Iterator[object]:
    """The constants of a program on which its results depend."""
    jaxpr = program.jaxpr
    needed = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    for eqn in reversed(jaxpr.eqns):
        if needed.intersection(eqn.outvars):
            needed.update(v for v in eqn.invars if not isinstance(v, Literal))
            yield from (v.val for v in eqn.invars if isinstance(v, Literal))
            yield from constants(eqn.params)
    yield from (c for v, c in zip(jaxpr.constvars, program.consts, strict=True) if v in needed)


def _arrays(values: Iterable[object]) -> list[np.ndarray]:
    """Those constants that hold numbers with digits."""
    found = [np.asarray(x) for x in values if isinstance(x, float) or hasattr(x, "dtype")]
    return [x for x in found if jnp.issubdtype(x.dtype, np.inexact)]


def _strangers(mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Arrays of mine with coarse numbers that are not among theirs."""
    known = np.unique(np.concatenate([np.zeros(0), *(_mantissas(x) for x in theirs)]))
    return [
        x for x in mine if not np.isin(_mantissas(x)[_is_coarse(x)], known).all()
    ]  # fmt: skip


def _parts(array: np.ndarray) -> np.ndarray:
    """Its numbers in float64, the parts of complex ones as numbers of their own."""
    wide = np.ravel(array).astype(_wide(array.dtype))
    return wide.view(float) if wide.dtype.kind == "c" else wide


def _mantissas(array: np.ndarray) -> np.ndarray:
    return np.frexp(np.abs(_parts(array)))[0]


def _digits(array: np.ndarray) -> np.ndarray:
    """How many binary digits each number has, without the zeros at their end."""
    whole = np.ldexp(_mantissas(array), 53)
    whole = np.where(np.isfinite(whole), whole, 0).astype(np.int64)
    return 53 - np.where(whole > 0, np.log2(np.maximum(whole & -whole, 1)), 53)


def _is_coarse(array: np.ndarray) -> np.ndarray:
    """Which numbers were rounded to less than float64.

    They have no more digits than single precision, nor only half as many, as 0.5 and 100 have: of
    4,096 that were rounded to it, about one does.
    """
    if _is_narrow(array.dtype):
        kept = int(jnp.finfo(array.dtype).nmant) + 1
    elif array.ndim:
        return np.zeros(_parts(array).size, bool)
    else:  # JAX makes such a literal of a number of float32
        kept = 24
    digits, numbers = _digits(array), _parts(array)
    return (digits > kept // 2) & (digits <= kept) & (numbers != np.rint(numbers))


def _is_inexact(array: np.ndarray) -> np.ndarray:
    """Which numbers of an array of float64 may have been rounded at all."""
    return ((_digits(array) > 12) & (_parts(array) != np.rint(_parts(array)))).reshape(array.shape)
