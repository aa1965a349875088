"""The functions that a formula may call, a row a function: its values, slopes, kinks and LaTeX."""

import ast
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from gdjax._util.types import Function

Functions = Mapping[Any, Function]  # in some arithmetic: by name, and operators by their syntax


class Row(NamedTuple):
    """A row of the table.

    Args:
        name: what formulas call it.
        numpy: its value for numbers in float64.
        jnp: its value for arrays of JAX's; autodiff of it is finite wherever the value is.
        least: how many arguments it takes at least.
        most: and at most; None is any number.
        spellings: other names that it has.
        sympy: itself in sympy's functions, (sympy, *arguments); by default sympy's of that name.
        slopes: (functions, k, *arguments) → the derivative by the k-th argument, for a function
            that sympy is only told this of.
        latex: of such a function, ``{0}`` for the first argument and ``{all}`` for all of them.
        assume: what sympy may assume of such a function's value.
        kinks: (functions, *arguments) → signed quantities whose zeros are kinks and jumps.
        safe: an argument at which value and slope are finite.
        derived: whether only derivatives have it.
        letter: whether it is a letter too, that may be a name where it is not called.
    """

    name: str
    numpy: Function
    jnp: Function
    least: int = 1
    most: int | None = 1
    spellings: tuple[str, ...] = ()
    sympy: Function | None = None
    slopes: Function | None = None
    latex: str = ""
    assume: str = "real"
    kinks: Function | None = None
    safe: float = 0.5
    derived: bool = False
    letter: bool = False

    def takes(self, count: int) -> str:
        """How many arguments it takes, in words; empty where so many are right."""
        if self.name == "piecewise":
            right = count > 2 and count % 2
            return (
                "" if right else "piecewise takes conditions and values in turn, and a last value"
            )
        if self.least <= count and (self.most is None or count <= self.most):
            return ""
        few = f"{self.least}" if self.most == self.least else f"at least {self.least}"
        few = f"{self.least} or {self.most}" if self.most == self.least + 1 else few
        return f"{self.name} takes {few} argument{'s' * (few != '1')}"


def _both(name: str) -> tuple[Function, Function]:
    """What has one name in numpy and in jax.numpy."""
    return getattr(np, name), getattr(jnp, name)


def _many(name: str) -> tuple[Function, Function]:
    """The same for any number of arguments."""
    return tuple(lambda *values, fn=fn: functools.reduce(fn, values) for fn in _both(name))  # type: ignore[return-value]


def _defined(fn: Callable[[float], float]) -> Function:
    """A function of ``math``, with infinity and NaN for its errors."""

    def value(x: float) -> float:
        try:
            return fn(x)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan

    return value


def _cbrt(x: Any) -> Any:
    zero = x == 0
    return jnp.where(zero, 0.0, jnp.cbrt(jnp.where(zero, 1.0, x)))


def _hypot(*values: Any) -> Any:
    zero = functools.reduce(jnp.logical_and, [value == 0 for value in values])
    apart = [jnp.where(zero, 1.0, value) for value in values]
    return jnp.where(zero, 0.0, functools.reduce(jnp.hypot, apart))


def _ratio(x: Any, y: Any) -> Any:
    return jnp.where(y == 0, 0.0, x / jnp.where(y == 0, 1.0, y))


def _gamma(x: Any) -> Any:
    """Γ(x), of both signs below 0, by operations that every kernel knows but those of log |Γ|."""
    near = jnp.floor(x)
    odd = (x < 0) & (near != 2 * jnp.floor(near / 2))
    return jnp.where(odd, -1.0, 1.0) * jnp.exp(special.gammaln(x))


def _from_whole(of: Functions, x: Any) -> Any:
    """A wave whose zeros are the whole numbers, with a slope of 1 or −1 and a sign on each side."""
    near = of["floor"](x + 0.5)
    return (x - near) * (1 - 2 * (near - 2 * of["floor"](near / 2)))


def _ties(of: Functions, name: str, values: Sequence[Any]) -> list[Any]:
    """Each argument of ``max`` or ``min`` against what those before it make."""
    best, found = values[0], []
    for value in values[1:]:
        found.append(value - best)
        best = of[name](best, value)
    return found


def _itself(of: Functions, x: Any, *_: Any) -> list[Any]:
    return [x]


def _flat(of: Functions, k: int, *_: Any) -> int:
    return 0


def _within_one(of: Functions, x: Any) -> list[Any]:
    return [1 - x * x]


def _others(values: Sequence[Any], k: int, largest: Function) -> Any:
    rest = [*values[:k], *values[k + 1 :]]
    return rest[0] if len(rest) == 1 else largest(*rest)


def _chosen(of: Functions, conditions: Sequence[Any], branches: Sequence[Function]) -> Any:
    """The value of the first branch whose condition holds.

    Autodiff goes through all branches, and what the others make infinite times 0 is NaN: each sees
    arguments of its own only where it is chosen, and safe ones elsewhere.
    """
    free: Any = True
    masks = []
    for condition in conditions:
        masks.append(jnp.logical_and(free, condition))
        free = jnp.logical_and(free, jnp.logical_not(condition))
    *values, result = [
        branch(_guarded(of, mask)) for branch, mask in zip(branches, (*masks, free), strict=True)
    ]
    for condition, value in zip(reversed(conditions), reversed(values), strict=True):
        result = jnp.where(condition, value, result)
    return result


def _guarded(of: Functions, mask: Any) -> Functions:
    """The same functions, of a safe argument wherever a mask is false."""

    def safe(fn: Function, instead: float, places: Sequence[int] = range(99)) -> Function:
        def call(*args: Any) -> Any:
            return fn(*(
                jnp.where(mask, arg, instead) if i in places and hasattr(arg, "dtype") else arg
                for i, arg in enumerate(args)
            ))  # fmt: skip

        return call

    functions = {row.name: safe(of[row.name], row.safe) for row in _ROWS if row.name != "piecewise"}
    division = {ast.Div: safe(of[ast.Div], 1.0, [1]), ast.Pow: safe(of[ast.Pow], 1.0)}
    return {**of, **functions, **division}


def _first(of: Functions, conditions: Sequence[bool], branches: Sequence[Function]) -> Any:
    """The same where conditions are known."""
    chosen = (branch for branch, holds in zip(branches, (*conditions, True), strict=True) if holds)
    return next(chosen)(of)


_ROWS = (
    Row("abs", *_both("abs"), slopes=lambda of, k, x: of["sign"](x), kinks=_itself,
        latex=r"\left|{{{0}}}\right|", assume="nonnegative"),
    Row("max", *_many("maximum"), 2, None, latex=r"\max\left({all}\right)",
        slopes=lambda of, k, *a: of["heaviside"](a[k] - _others(a, k, of["max"])),
        kinks=lambda of, *a: _ties(of, "max", a)),
    Row("min", *_many("minimum"), 2, None, latex=r"\min\left({all}\right)",
        slopes=lambda of, k, *a: of["heaviside"](_others(a, k, of["min"]) - a[k]),
        kinks=lambda of, *a: _ties(of, "min", a)),
    Row("piecewise", _first, _chosen, 3, None),
    Row("sqrt", *_both("sqrt"), kinks=_itself),
    Row("cbrt", np.cbrt, _cbrt, kinks=_itself, latex=r"\sqrt[3]{{{0}}}",
        slopes=lambda of, k, x: of["ratio_or_0"](of["cbrt"](x), 3 * x)),
    Row("hypot", _many("hypot")[0], _hypot, 2, None, assume="nonnegative",
        slopes=lambda of, k, *a: of["ratio_or_0"](a[k], of["hypot"](*a)),
        kinks=lambda of, *a: [sum(x * x for x in a)]),
    Row("exp", *_both("exp")),
    Row("expm1", *_both("expm1"), sympy=lambda sp, x: sp.exp(x) - 1),
    Row("log", *_both("log"), spellings=("ln",)),
    Row("log1p", *_both("log1p"), sympy=lambda sp, x: sp.log(1 + x)),
    Row("log2", *_both("log2"), sympy=lambda sp, x: sp.log(x) / sp.log(2)),
    Row("log10", *_both("log10"), sympy=lambda sp, x: sp.log(x) / sp.log(10)),
    Row("sin", *_both("sin")),
    Row("cos", *_both("cos")),
    Row("tan", *_both("tan")),
    Row("asin", *_both("arcsin"), spellings=("arcsin",), kinks=_within_one),
    Row("acos", *_both("arccos"), spellings=("arccos",), kinks=_within_one),
    Row("atan", *_both("arctan"), spellings=("arctan",)),
    Row("atan2", *_both("arctan2"), 2, 2, ("arctan2",),
        kinks=lambda of, y, x: [(x * x + y * y) ** 0.5 + x]),  # where it jumps from −π to π
    Row("sinh", *_both("sinh")),
    Row("cosh", *_both("cosh")),
    Row("tanh", *_both("tanh")),
    Row("asinh", *_both("arcsinh"), spellings=("arcsinh", "arsinh")),
    Row("acosh", *_both("arccosh"), spellings=("arccosh", "arcosh"), safe=2.0,
        kinks=lambda of, x: [x - 1]),
    Row("atanh", *_both("arctanh"), spellings=("arctanh", "artanh")),
    Row("sigmoid", lambda x: 1 / (1 + np.exp(-x)), jax.nn.sigmoid, assume="positive",
        latex=r"\sigma\left({0}\right)",
        slopes=lambda of, k, x: of["sigmoid"](x) * of["sigmoid"](-x)),
    Row("erf", math.erf, special.erf),
    Row("erfc", math.erfc, special.erfc),
    Row("gamma", _defined(math.gamma), _gamma, latex=r"\Gamma\left({0}\right)",
        slopes=lambda of, k, x: of["gamma"](x) * of["digamma"](x), safe=1.5,
        letter=True),
    Row("lgamma", _defined(math.lgamma), special.gammaln, spellings=("gammaln", "loggamma"),
        latex=r"\log\left|\Gamma\left({0}\right)\right|", safe=1.5,
        slopes=lambda of, k, x: of["digamma"](x)),
    # Jumps: their slope is 0 between them.
    Row("sign", *_both("sign"), slopes=_flat, kinks=_itself, spellings=("sgn", "signum")),
    Row("heaviside", lambda x, h=0.5: np.heaviside(x, h), lambda x, h=0.5: jnp.heaviside(x, h),
        1, 2, slopes=_flat, kinks=_itself, latex=r"\theta\left({all}\right)"),
    Row("floor", *_both("floor"), slopes=_flat, latex=r"\left\lfloor {0} \right\rfloor",
        kinks=lambda of, x: [_from_whole(of, x)]),
    Row("ceil", *_both("ceil"), slopes=_flat, latex=r"\left\lceil {0} \right\rceil",
        kinks=lambda of, x: [_from_whole(of, x)], spellings=("ceiling",)),
    Row("mod", *_both("mod"), 2, 2, kinks=lambda of, x, y: [_from_whole(of, x / y)],
        slopes=lambda of, k, x, y: -of["floor"](x / y) if k else 1),
    Row("digamma", lambda x: math.nan, special.digamma, derived=True, safe=1.5,
        latex=r"\psi\left({0}\right)", slopes=lambda of, k, x: _underived("digamma")),
    Row("ratio_or_0", np.divide, _ratio, 2, 2, derived=True, latex=r"\frac{{{0}}}{{{1}}}",
        slopes=lambda of, k, x, y: _underived("ratio_or_0")),
)  # fmt: skip


def _underived(name: str) -> None:
    raise AssertionError(f"{name} is made by a derivative, of which none is taken")


FUNCTIONS: dict[str, Row] = {row.name: row for row in _ROWS if not row.derived}
DERIVED: dict[str, Row] = {row.name: row for row in _ROWS if row.derived}
EVERY: dict[str, Row] = FUNCTIONS | DERIVED
LETTERS: frozenset[str] = frozenset(row.name for row in _ROWS if row.letter)
SPELLINGS: dict[str, str] = {other: row.name for row in _ROWS for other in row.spellings}
