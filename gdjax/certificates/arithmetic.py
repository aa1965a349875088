"""A function computed in another arithmetic: with rounding noise, or in complex numbers.

Both walk the operations that JAX traced, and carry out each of them in their own way.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import ShapedArray, Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn
from jaxtyping import Array, ArrayLike

from gdjax._compiler.interpreter import Atom, aval, bind, called, walk
from gdjax._compiler.operations import ANALYTIC, ELEMENTWISE, EXACT
from gdjax._util.types import PointFunction

LOOPS = frozenset({"cond", "scan", "while"})
WORDS = {
    "lt": "a comparison", "le": "a comparison", "gt": "a comparison", "ge": "a comparison",
    "eq": "a comparison", "ne": "a comparison", "pow": "a real power",
    "convert_element_type": "a cast", "reduce_max": "max", "reduce_min": "min",
}  # fmt: skip


class NotAnalyticError(ValueError):
    """The function has no complex form; the message names the operation."""


class Unit(NamedTuple):
    """The limits of a floating-point format.

    Args:
        rounding: the largest relative error of one rounding.
        tiny: the smallest normal number.
        largest: the largest finite number.
    """

    rounding: float
    tiny: float
    largest: float

    @classmethod
    def of(cls, dtype: str) -> "Unit":
        """The limits of ``float32`` or ``float64``.

        Example:
            >>> Unit.of("float32").rounding == 2.0**-24
            True
        """
        info = np.finfo(dtype)
        return cls(float(info.eps) / 2, float(info.tiny), float(info.max))


Noisy = Callable[[Array, Array, ArrayLike, Unit], list[Array]]  # see ``with_noise``


def in_complex(traced: ClosedJaxpr) -> PointFunction:
    """The traced function of one array, with complex numbers in place of real ones.

    The returned function raises ``NotAnalyticError`` where an operation that depends on the
    point has no complex form: ``abs``, ``max``, a comparison, a cast, a real power.
    """

    def rule(eqn: JaxprEqn, operands: list[Any]) -> Sequence[Any]:
        if not any(map(jnp.iscomplexobj, operands)):
            return bind(eqn, operands)
        name = eqn.primitive.name
        if name == "convert_element_type" and eqn.params["new_dtype"] == np.float64:
            return operands
        if name not in ANALYTIC:
            raise NotAnalyticError(WORDS.get(name, name))
        operands = [
            jnp.asarray(x, complex) if jnp.issubdtype(jnp.result_type(x), np.floating) else x
            for x in operands
        ]
        preferred = {"preferred_element_type": None} if name == "dot_general" else {}
        return bind(eqn, operands, **preferred)

    def fn(point: Array) -> Array:
        (result,) = walk(traced, [point], rule)
        return result

    return fn


def with_noise(traced: ClosedJaxpr) -> tuple[Noisy, int]:
    """The traced function of one array, with a relative error put on every operation's result.

    This is Monte Carlo arithmetic: how far the result spreads under random errors of a few
    units of rounding shows how far true roundings can move it, whatever their conditioning.
    Sums and products of matrices have an error put on their operands as well, √n times as
    large for n terms; an error goes on constants that single precision cannot hold, too. A
    result below the smallest number of the format gets an error of that size, one above the
    largest becomes infinite.

    Returns:
        A function (point, numbers, scale, unit) → results, where ``numbers`` are small integers
        drawn uniformly from −127 to 127, ``scale`` the size of the errors in roundings of
        ``unit``, an instance of ``Unit``; and how many such numbers it takes at most.

    Reference:
        Parker 1997, Monte Carlo Arithmetic, UCLA CSD-970002.
    """

    def fn(point: Array, numbers: Array, scale: ArrayLike, unit: Unit) -> list[Array]:
        errors = numbers * (scale * unit.rounding * math.sqrt(3) / 127)
        noise = _Noise(errors, unit)
        results = walk(traced, [point], noise.rule, noise.constant)
        return [jnp.asarray(x) for x in results]  # a literal may come as NumPy's

    return fn, _count(traced)


def spread(results: Any) -> tuple[Any, Any]:
    """The exact result, which comes first, and how far the others are from it: root mean square.

    The squares of what is tiny or huge would leave the range, so they are taken of shares.
    """
    xp = jnp if isinstance(results, Array) else np
    exact, off = results[0], results[1:] - results[0]
    size = xp.max(xp.abs(off), axis=0)
    unit = xp.where((size > 0) & xp.isfinite(size), size, 1.0)
    return exact, unit * xp.sqrt(xp.mean((off / unit) ** 2, axis=0))


@np.errstate(all="ignore")
def norm(vectors: np.ndarray, axis: int = 1) -> np.ndarray:
    """The norm along an axis, of numbers whose squares would leave the range too.

    Example:
        >>> norm(np.array([[3e-200, 4e-200], [3e200, 4e200]]))
        array([5.e-200, 5.e+200])
    """
    size = np.abs(vectors).max(axis=axis, keepdims=True, initial=0.0)
    unit = np.ldexp(1.0, np.frexp(size)[1] - 1)  # a power of two: nothing is rounded
    unit = np.where((size > 0) & np.isfinite(size), unit, 1.0)
    return np.linalg.norm(vectors / unit, axis=axis) * unit.squeeze(axis)


class _Noise:
    """Rounding errors from a stock, one for each number that rounds. In ``lax``, to trace fast.

    What is computed twice is rounded alike, as a compiler has it: else a loop might compare two
    copies of a number that differ, and never end.
    """

    def __init__(self, errors: Array, unit: Unit) -> None:
        self.errors, self.unit = errors, unit
        self.floor = unit.tiny / unit.rounding
        self.used = 0
        self.known: dict[
            Any, tuple[list[Any], Sequence[Any]]
        ] = {}  # results, by what they are results of
        self.moved: dict[int, tuple[JaxprEqn, list[Any], int]] = {}  # what has only been moved
        self.alike: dict[Any, Array] = {}  # what goes into loops

    def perturb(self, x: Any, factor: float = 1.0) -> Array:
        x = jnp.asarray(x)
        if jnp.iscomplexobj(x):  # each part is off by a share of the whole
            size = lax.abs(x)
            off = [lax.sub(self.perturb(size, factor), size) for _ in range(2)]
            return lax.add(x, lax.complex(*off))
        if not jnp.issubdtype(x.dtype, np.floating) or not x.size:
            return x

        def full(number: Any) -> Array:
            return lax.broadcast(lax.convert_element_type(number, x.dtype), x.shape)

        error = lax.slice_in_dim(self.errors, self.used, self.used + x.size)
        self.used += x.size
        if x.dtype != np.float64:  # a user's own cast rounds more than the format
            coarse = float(jnp.finfo(x.dtype).eps) / 2
            error = error * jnp.maximum(1.0, coarse / self.unit.rounding)
        error = lax.convert_element_type(lax.reshape(error, x.shape), x.dtype)
        if factor != 1:
            error = lax.mul(error, full(factor))
        size = lax.add(x, lax.mul(lax.sign(x), full(self.floor)))
        moved = lax.add(x, lax.mul(error, size))
        beyond = lax.gt(lax.abs(x), full(self.unit.largest)) & lax.ne(error, full(0))
        return lax.select(beyond, lax.mul(x, full(np.inf)), moved)

    def constant(self, x: Any, _: ShapedArray) -> Any:
        if not (mask := _inexact(x)).any():
            return x
        return self._once(_key(x), lambda: [jnp.where(mask, self.perturb(x), x)])[0]

    def rule(self, eqn: JaxprEqn, operands: list[Any]) -> Sequence[Any]:
        if eqn.primitive.name in LOOPS:
            return self._round(eqn, [self._perturb_alike(x, eqn) for x in operands])
        key = eqn.primitive.name, tuple(map(_key, operands)), str(eqn.params)
        return self._once(key, lambda: self._round(eqn, operands), operands)

    def _round(self, eqn: JaxprEqn, operands: list[Any]) -> list[Any]:
        name = eqn.primitive.name
        narrows = name == "convert_element_type" and _is_narrow(eqn.params["new_dtype"])
        if name in EXACT and not narrows:
            results = list(bind(eqn, operands))
            self.moved |= {id(x): (eqn, operands, i) for i, x in enumerate(results)}
            return results
        if name not in ELEMENTWISE and name not in LOOPS:
            factor = math.sqrt(_terms(eqn))
            operands = [self.perturb(x, factor) for x in operands]
        return [self.perturb(x) for x in bind(eqn, operands)]

    def _perturb_alike(self, x: Any, eqn: JaxprEqn) -> Any:
        """A number that goes into a loop, off by as much wherever it does, and however it came."""
        if (key := _key(x)) not in self.alike:
            if key in self.moved:
                source, operands, index = self.moved[key]
                operands = [self._perturb_alike(y, eqn) for y in operands]
                self.alike[key] = bind(source, operands)[index]
            else:
                self.alike[key] = self.perturb(x, math.sqrt(_terms(eqn)))
        return self.alike[key]

    def _once(self, key: Any, make: Callable[[], list[Any]], uses: Sequence[Any] = ()) -> list[Any]:
        if (
            key not in self.known
        ):  # with its operands, whose ids would be others' once they are gone
            self.known[key] = make(), uses
        return self.known[key][0]


def _key(x: Any) -> Any:
    """What tells a number from others: its value if that is known, or which one it is."""
    if isinstance(x, Tracer):
        return id(x)
    known = np.asarray(x)
    return (str(known.dtype), known.shape, known.tobytes()) if known.size <= 8 else id(x)


def _is_narrow(dtype: np.dtype) -> bool:
    """Whether it has digits, and fewer than float64; what makes an integer is cut, not rounded."""
    return bool(jnp.issubdtype(dtype, np.inexact) and jnp.finfo(dtype).bits < 64)


def _inexact(x: Any) -> np.ndarray:
    """Which numbers of a constant single precision cannot hold."""
    if not jnp.issubdtype(jnp.result_type(x), np.floating):
        return np.zeros((), bool)
    known = np.asarray(x)
    with np.errstate(over="ignore"):
        return np.asarray(known.astype(np.float32) != known)


def _count(program: ClosedJaxpr | Jaxpr) -> int:
    """How many errors a walk with noise takes at most."""
    jaxpr = getattr(program, "jaxpr", program)
    variables = [*jaxpr.constvars, *jaxpr.outvars]
    for eqn in jaxpr.eqns:
        variables += [*eqn.invars, *eqn.outvars]
    inner = [program for program in map(called, jaxpr.eqns) if program is not None]
    return sum(map(_size, variables)) + sum(map(_count, inner))


def _size(v: Atom) -> int:
    """How many real numbers a value has."""
    parts = 1 + (getattr(v.aval, "dtype", None) in (np.complex64, np.complex128))
    return parts * math.prod(getattr(v.aval, "shape", ()))


def _terms(eqn: JaxprEqn) -> int:
    """How many roundings one result of an operation gathers."""
    if "length" in eqn.params:  # a scan
        return max(1, eqn.params["length"])
    sizes = [_size(v) for v in eqn.invars]
    if eqn.primitive.name == "dot_general":
        (left, _), _ = eqn.params["dimension_numbers"]
        return max(1, math.prod(aval(eqn.invars[0]).shape[axis] for axis in left))
    if eqn.primitive.name.startswith("cum"):
        return max(1, *sizes)
    return max(1, max(sizes, default=1) // max(1, min(map(_size, eqn.outvars), default=1)))
