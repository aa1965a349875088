"""Where a formula may have no derivative: quantities of its parts that vanish there."""

import ast
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from gdjax._util.types import Function
from gdjax.objectives.parser import nodes

if TYPE_CHECKING:
    from sympy import Expr
else:
    Expr = Any  # sympy is loaded where a formula is derived

Quantity = tuple[Function, tuple[ast.expr, ...]]  # what vanishes at a kink, and what it is taken of
Symbolic = Callable[[ast.expr], Expr]  # a part of a formula in sympy, over the real numbers

MOST_ASKED = 32  # quantities that sympy is asked about, each of which may take long

AT_KINKS: dict[str, Function] = {
    "abs": lambda u: u,
    "sqrt": lambda u: u,
    "asin": lambda u: 1 - u * u,
    "acos": lambda u: 1 - u * u,
    "acosh": lambda u: u - 1,
    "atan2": lambda y, x: (x * x + y * y) ** 0.5 + x,  # 0 where it jumps from −π to π
}


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
    every = itertools.chain.from_iterable(_of(node, symbolic) for node in nodes(tree))
    found = [
        (fn, parts)
        for fn, parts in every
        if any(getattr(node, "id", "") in free for part in parts for node in nodes(part))
    ]
    if len(found) > MOST_ASKED:
        return found
    return [(fn, parts) for fn, parts in found if fn(*map(symbolic, parts)).is_zero is None]


def _of(node: ast.expr, symbolic: Symbolic) -> Iterator[Quantity]:
    match node:
        case ast.Call(func=ast.Name(id="max" | "min"), args=args):
            for pair in itertools.combinations(args, 2):
                yield (lambda a, b: a - b), pair
        case ast.Call(func=ast.Name(id=name), args=args) if name in AT_KINKS:
            yield AT_KINKS[name], tuple(args)
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent) if _is_root(symbolic(exponent)):
            yield AT_KINKS["sqrt"], (base,)


def _is_root(exponent: Expr) -> bool:
    """Whether a power has, or may have, no derivative where its base is 0."""
    if not exponent.is_number:
        return True
    return 0 < float(exponent) < 1 and math.isfinite(float(exponent))
