"""The value of a formula's tree in any arithmetic: NumPy's, JAX's, sympy's, or that of sizes."""

import ast
import functools
import itertools
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np

from gdjax._util.types import Function
from gdjax.objectives.functions import EVERY, Functions

Number = TypeVar("Number")  # of any arithmetic

OPERATORS: dict[type, Function] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
COMPARISONS: dict[type, Function] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_SUMS = (ast.Add, ast.Sub)


def evaluate(
    node: ast.AST,
    names: Mapping[str, Number],
    functions: Functions,
    number: Callable[..., Number],
) -> Number:
    """The value of a tree that has passed the whitelist.

    Args:
        node: the tree.
        names: the value of each name.
        functions: by name, and operators by their syntax. Where it has ``sum`` and ``product``,
            they take the many terms and factors of one at once.
        number: the value of a number.
    """

    def value(part: ast.AST) -> Any:
        match part:
            case ast.Constant(value=told):
                return number(told)
            case ast.Name(id=name):
                return names[name]
            case ast.UnaryOp(op=op, operand=operand):
                return functions[type(op)](value(operand))
            case ast.BinOp(op=ast.Pow(), left=left, right=right):
                base, power = value(left), value(right)
                if isinstance(power, float) and power.is_integer():
                    power = int(power)  # a product, which is faster and knows negative bases
                return functions[ast.Pow](base, power)
            case ast.BinOp():
                return of_chain(part)
            case ast.Call(func=ast.Name(id="piecewise"), args=[*cases, last]):
                branches = [
                    lambda of, each=each: evaluate(each, names, of, number)
                    for each in (*cases[1::2], last)
                ]
                return functions["piecewise"](functions, [*map(value, cases[::2])], branches)
            case ast.Call(func=ast.Name(id=name), args=args):
                return functions[name](*map(value, args))
            case ast.BoolOp(op=op, values=parts):
                return functools.reduce(functions[type(op)], map(value, parts))
            case ast.Compare(left=left, ops=ops, comparators=others):
                sides = [*map(value, (left, *others))]
                pairs = zip(ops, sides[:-1], sides[1:], strict=True)
                return functools.reduce(
                    functions[ast.And], [functions[type(op)](a, b) for op, a, b in pairs]
                )
        raise AssertionError(f"{part} passed the whitelist")

    def of_chain(part: ast.AST) -> Any:
        """The value of sums and products, which may be thousands deep to the left."""
        links: list[tuple[ast.operator, ast.expr]] = []
        while isinstance(part, ast.BinOp) and not isinstance(part.op, ast.Pow):
            links.append((part.op, part.right))
            part = part.left
        result = value(part)
        runs = itertools.groupby(reversed(links), lambda link: isinstance(link[0], _SUMS))
        for is_sum, run in runs:
            parts = [(type(op), value(right)) for op, right in run]
            if at_once := functions.get("sum" if is_sum else "product"):
                result = at_once(result, parts)
            else:
                for op, right in parts:
                    result = functions[op](result, right)
        return result

    return value(node)


def logic(of: Functions, all_of: Function, any_of: Function, opposite: Function) -> Functions:
    """The same functions with the operators and with these for conditions."""
    joined = {ast.And: all_of, ast.Or: any_of, ast.Not: opposite}
    return {**OPERATORS, **COMPARISONS, **joined, **of}


@functools.cache
def functions_of(library: str) -> Functions:
    """The functions and operators of ``numpy``, for numbers, or of ``jax.numpy``."""
    if library == "numpy":
        plain = {name: row.numpy for name, row in EVERY.items()}
        return logic(plain, np.logical_and, np.logical_or, np.logical_not)
    arrays = {name: row.jnp for name, row in EVERY.items()}
    return logic(arrays, jnp.logical_and, jnp.logical_or, jnp.logical_not)


def nodes(tree: ast.AST) -> Iterator[ast.expr]:
    """Every part of a tree, from the outside in."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.expr))
