"""A function computed in another arithmetic: with rounding noise, or in complex numbers.

Both walk the operations that JAX traced, and carry out each of them in their own way.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

# Operations that wrap others, which are walked in their stead.
CALLS = frozenset(
    "jit pjit closed_call core_call remat remat2 checkpoint custom_jvp_call custom_vjp_call".split()
)
# Operations that move numbers about and round none.
EXACT = frozenset(
    "abs argmax argmin argsort broadcast_in_dim ceil clamp concatenate convert_element_type copy"
    " dynamic_slice dynamic_update_slice expand_dims floor gather imag iota max min neg pad real"
    " reduce_max reduce_min reshape rev round select_n sign slice sort split squeeze stop_gradient"
    " transpose".split()
)
# Operations that round once for each number they return; in all others, what happens inside counts.
ELEMENTWISE = frozenset(
    "acos acosh add add_any asin asinh atan atan2 atanh cbrt cos cosh digamma div erf erf_inv erfc"
    " exp exp2 expm1 integer_pow lgamma log log1p logistic mul pow rem rsqrt sin sinh sqrt square"
    " sub tan tanh".split()
)
# Operations that have a complex form, which agrees with the real one on real numbers.
ANALYTIC = frozenset(
    "acos acosh add add_any asin asinh atan atanh broadcast_in_dim concatenate copy cos cosh cumsum"
    " div dot_general dynamic_slice exp exp2 expand_dims expm1 gather integer_pow log log1p logistic"
    " mul neg pad reduce_sum reshape rev rsqrt select_n sin sinh slice split sqrt square squeeze sub"
    " tan tanh transpose".split()
)
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
    def of(cls, precision: str) -> "Unit":
        """The limits of ``float32`` or ``float64``.

        Example:
            >>> Unit.of("float32").rounding == 2.0**-24
            True
        """
        info = np.finfo(precision)
        return cls(float(info.eps) / 2, float(info.tiny), float(info.max))


def trace(fn: Callable, point: Any) -> ClosedJaxpr:
    """The operations of ``fn`` at a point, which may be a mere shape."""
    return jax.make_jaxpr(fn)(point)


Rule = Callable[[JaxprEqn, list[Any]], list[Any]]


def walk(
    jaxpr: Jaxpr,
    consts: Sequence[Any],
    args: Sequence[Any],
    rule: Rule,
    constant: Callable[[Any], Any] = lambda x: x,
) -> list[Any]:
    """Carry out traced operations one by one, each by ``rule``: (operation, operands) → results.

    Every constant of the program goes through ``constant`` first.
    """

    def read(v: Any) -> Any:
        return constant(v.val) if isinstance(v, Literal) else values[v]

    values = dict(zip(jaxpr.constvars, map(constant, consts), strict=True))
    values.update(zip(jaxpr.invars, args, strict=True))
    for eqn in jaxpr.eqns:
        operands = [read(v) for v in eqn.invars]
        inner = None
        if eqn.primitive.name in CALLS:
            named = (eqn.params.get(key) for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"))
            inner = next((found for found in named if found is not None), None)
        if isinstance(inner, ClosedJaxpr):
            results = walk(inner.jaxpr, inner.consts, operands, rule, constant)
        elif inner is not None:
            results = walk(inner, (), operands, rule, constant)
        else:
            results = rule(eqn, operands)
        values.update(zip(eqn.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]


def carry_out(eqn: JaxprEqn, operands: list[Any], **changed: Any) -> list[Any]:
    """One operation as JAX itself does it."""
    results = eqn.primitive.bind(*operands, **eqn.params | changed)
    return list(results) if eqn.primitive.multiple_results else [results]


def in_complex(traced: ClosedJaxpr) -> Callable:
    """The traced function of one array, with complex numbers in place of real ones.

    The returned function raises ``NotAnalyticError`` where an operation that depends on the
    point has no complex form: ``abs``, ``max``, a comparison, a cast, a real power.
    """

    def rule(eqn: JaxprEqn, operands: list[Any]) -> list[Any]:
        if not any(map(_is_complex, operands)):
            return carry_out(eqn, operands)
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
        return carry_out(eqn, operands, **preferred)

    def fn(point: Any) -> Any:
        (result,) = walk(traced.jaxpr, traced.consts, [point], rule)
        return result

    return fn


def with_noise(traced: ClosedJaxpr) -> tuple[Callable, int]:
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
        ``unit``, an instance of ``Unit``; and how many such numbers it takes.

    Reference:
        Parker 1997, Monte Carlo Arithmetic, UCLA CSD-970002.
    """

    def fn(point: Any, numbers: Any, scale: Any, unit: Unit) -> list[Any]:
        errors = numbers * (scale * unit.rounding * math.sqrt(3) / 127)
        return _walk_with_noise(traced, point, lambda at, n: errors[at : at + n], unit)[0]

    def count(point: Any) -> list[Any]:
        nonlocal needed
        results, needed = _walk_with_noise(
            traced, point, lambda _, n: jnp.zeros(n), Unit.of("float64")
        )
        return results

    needed = 0
    jax.eval_shape(count, *traced.in_avals)
    return fn, needed


def _walk_with_noise(
    traced: ClosedJaxpr, point: Any, draw: Callable, unit: Unit
) -> tuple[list[Any], int]:
    used = 0
    floor = unit.tiny / unit.rounding

    def perturb(x: Any, factor: float = 1.0) -> Any:
        nonlocal used
        x = jnp.asarray(x)
        if not jnp.issubdtype(x.dtype, np.floating) or not x.size:
            return x
        error = draw(used, x.size).reshape(x.shape) * factor
        used += x.size
        if x.dtype != np.float64:  # a user's own cast rounds more than the format
            error = error * jnp.maximum(1.0, float(jnp.finfo(x.dtype).eps) / 2 / unit.rounding)
        size = jnp.abs(x)
        moved = x + error.astype(x.dtype) * (size + floor * (size > 0)).astype(x.dtype)
        return jnp.where(size > unit.largest, jnp.inf * x, moved)

    def constant(x: Any) -> Any:
        if not jnp.issubdtype(jnp.result_type(x), np.floating):
            return x
        known = np.asarray(x)
        with np.errstate(over="ignore"):
            rounded = known.astype(np.float32) != known
        return jnp.where(rounded, perturb(x), x) if rounded.any() else x

    def rule(eqn: JaxprEqn, operands: list[Any]) -> list[Any]:
        name = eqn.primitive.name
        narrowing = name == "convert_element_type" and eqn.params["new_dtype"] != np.float64
        if name in EXACT and not narrowing:
            return carry_out(eqn, operands)
        if name not in ELEMENTWISE and not narrowing:
            factor = math.sqrt(_terms(eqn))
            operands = [perturb(x, factor) for x in operands]
        return [perturb(x) for x in carry_out(eqn, operands)]

    return walk(traced.jaxpr, traced.consts, [point], rule, constant), used


def _terms(eqn: JaxprEqn) -> int:
    """How many roundings one result of an operation gathers."""
    if "length" in eqn.params:  # a scan
        return max(1, eqn.params["length"])
    shapes = [getattr(v.aval, "shape", ()) for v in eqn.invars]
    if eqn.primitive.name == "dot_general":
        (left, _), _ = eqn.params["dimension_numbers"]
        return max(1, math.prod(shapes[0][axis] for axis in left))
    sizes = [math.prod(shape) for shape in shapes]
    if eqn.primitive.name.startswith("cum"):
        return max(1, *sizes)
    results = min(math.prod(getattr(v.aval, "shape", ())) for v in eqn.outvars)
    return max(1, max(sizes, default=1) // max(1, results))


def _is_complex(x: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(x), np.complexfloating)

