"""Where a formula may have no derivative: quantities of its parts that vanish there."""

import ast
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp

from gdjax._util.types import Function
from gdjax.objectives.formula_values import evaluate, functions_of, nodes
from gdjax.objectives.functions import EVERY
from gdjax.objectives.symbolic import symbolic_functions

if TYPE_CHECKING:
    from sympy import Expr
else:
    Expr = Any  # sympy is loaded where a formula is derived

Symbolic = Callable[[ast.expr], Expr]  # a part of a formula in sympy, over the real numbers

MOST_ASKED = 32  # quantities that sympy is asked about, each of which may take long


class Quantity(NamedTuple):
    """What vanishes at kinks and jumps.

    Args:
        of: (functions, *parts) → signed quantities.
        parts: of the formula, that they are taken of.
        within: conditions, and whether they hold, where the formula has these parts.
        kept: which of the quantities may vanish; None is all of them.
    """

    of: Function
    parts: tuple[ast.expr, ...]
    within: tuple[tuple[ast.expr, bool], ...] = ()
    kept: tuple[int, ...] | None = None


def kinks_of(tree: ast.expr, symbolic: Symbolic, variables: Sequence[str]) -> list[Quantity]:
    """What vanishes where a formula may have a kink; what sympy can tell from 0 is left out.

    Roots have kinks too: √(x²) is |x|, and √(x² + y²) has one at the origin, but √(1 + x²) none.

    Args:
        tree: the formula.
        symbolic: a part of it → the same in sympy.
        variables: what it is differentiated by; what holds none of them makes no kink.

    Example:
        >>> from gdjax.objectives.formula import parse
        >>> kinks = parse("abs(x) + sqrt(y**2) + x**2").kinks(["x", "y"])
        >>> kinks({"x": -3.0, "y": 2.0})
        [-3.0, 4.0]
    """
    free = {*variables}
    found = [
        quantity
        for quantity in _in(tree, symbolic, ())
        if any(getattr(node, "id", "") in free for part in quantity.parts for node in nodes(part))
    ]
    if len(found) > MOST_ASKED:
        return found
    told = []
    for quantity in found:
        every = quantity.of(symbolic_functions(), *map(symbolic, quantity.parts))
        kept = tuple(i for i, each in enumerate(every) if each.is_zero is None)
        told += [quantity._replace(kept=kept)] if kept else []
    return told


def kinks_at(found: Sequence[Quantity], values: Mapping[str, Any]) -> list[Any]:
    """The quantities where the names have these values; 1 where the formula has not such a part."""
    functions = functions_of("jax.numpy")
    number = lambda part: evaluate(part, values, functions, float)  # noqa: E731
    quantities = []
    for of, parts, within, kept in found:
        every = of(functions, *map(number, parts))
        for i in range(len(every)) if kept is None else kept:
            one = every[i]
            for condition, holds in within:
                one = jnp.where(jnp.equal(number(condition), holds), one, 1.0)
            quantities.append(one)
    return quantities


def _in(
    tree: ast.expr, symbolic: Symbolic, within: tuple[tuple[ast.expr, bool], ...]
) -> Iterator[Quantity]:
    """The quantities of a tree, from the outside in."""
    left = [tree]
    for node in left:  # which grows
        match node:
            case ast.Call(func=ast.Name(id="piecewise"), args=[*cases, last]):
                yield from _in_branches(cases, last, symbolic, within)
                continue
            case ast.Call(func=ast.Name(id=name), args=args) if kinks := EVERY[name].kinks:
                yield Quantity(kinks, tuple(args), within)
            case ast.BinOp(left=base, op=ast.Pow(), right=exponent) if _is_root(symbolic(exponent)):
                yield Quantity(_base, (base,), within)
            case ast.Compare(left=first, comparators=others):  # the border of a condition
                for pair in zip((first, *others), others, strict=False):
                    yield Quantity(_apart, pair, within)
        left += [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]


def _in_branches(
    cases: Sequence[ast.expr],
    last: ast.expr,
    symbolic: Symbolic,
    within: tuple[tuple[ast.expr, bool], ...],
) -> Iterator[Quantity]:
    """Those of ``piecewise``, whose branches have theirs only where they are chosen."""
    for condition, value in zip(cases[::2], cases[1::2], strict=True):
        yield from _in(condition, symbolic, within)
        yield from _in(value, symbolic, (*within, (condition, True)))
        within = (*within, (condition, False))
    yield from _in(last, symbolic, within)


def _base(of: Any, x: Any) -> list[Any]:
    return [x]


def _apart(of: Any, x: Any, y: Any) -> list[Any]:
    return [x - y]


def _is_root(exponent: Expr) -> bool:
    """Whether a power has, or may have, no derivative where its base is 0."""
    if not exponent.is_number:
        return True
    return 0 < float(exponent) < 1 and math.isfinite(float(exponent))
