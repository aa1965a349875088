"""Sums and products over an index, which are written out: ``sum(x[i]**2, i, 1, 10)``."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from gdjax._util.types import Function
from gdjax.objectives.formula_values import nodes

SUMS: dict[str, tuple[type[ast.operator], int]] = {"sum": (ast.Add, 0), "product": (ast.Mult, 1)}
HOW = {
    "sum": "write sum(x[i]**2, i, 1, 10) for x1**2 + x2**2 + … + x10**2",
    "product": "write product(x[i], i, 1, 10) for x1*x2*…*x10",
}
_WHOLE: dict[type, Function] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
Refuse = Callable[[ast.expr, str, str], Exception]  # what is wrong with a part, and what to write


def written_out(tree: ast.expr, largest: int, reserved: frozenset[str], refuse: Refuse) -> ast.expr:
    """A tree in which every sum over an index is one of its terms; ``x[i]`` is the name x1, x2, ….

    The index is known within its sum only, where it hides any other name. The bounds, and what
    stands in brackets, are made of whole numbers and of the indices of sums around; an upper bound
    that is one less than the lower makes the sum of nothing, 0, or the product, 1.

    Args:
        tree: what is not too deeply nested.
        largest: how many names, numbers and operations it may become.
        reserved: names that cannot be an index.
        refuse: makes the error for a part.
    """
    if not any(_is_sum(node) for node in nodes(tree)):
        return tree
    return _Writer(largest, reserved, refuse).copy(tree, {})


def _is_sum(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") in SUMS


class _Writer:
    def __init__(self, largest: int, reserved: frozenset[str], refuse: Refuse) -> None:
        self.left, self.largest, self.reserved, self.refuse = largest, largest, reserved, refuse

    def copy(self, node: ast.expr, known: Mapping[str, int]) -> ast.expr:
        """A part, of which every index that is known is a number."""
        links = []
        while isinstance(node, ast.BinOp):  # a sum of thousands of terms is deep to the left
            links.append(node)
            node = node.left
        result = self._copy(node, known)
        for link in reversed(links):
            result = self._at(link, ast.BinOp(result, link.op, self.copy(link.right, known)))
        return result

    def _copy(self, node: ast.expr, known: Mapping[str, int]) -> ast.expr:
        match node:
            case ast.Name(id=name) if name in known:
                return self._at(node, ast.Constant(known[name]))
            case ast.Subscript(value=ast.Name(id=name), slice=place) if known:
                index = self._whole(place, known)
                if index < 0:
                    raise self.refuse(node, f"{name}[{index}] is no component", "begin at 1")
                return self._at(node, ast.Name(f"{name}{index}", ast.Load()))
            case ast.Call() if _is_sum(node):
                return self._sum(node, known)
        fields = {field: self._field(value, known) for field, value in ast.iter_fields(node)}
        return self._at(node, type(node)(**fields))

    def _field(self, value: Any, known: Mapping[str, int]) -> Any:
        if isinstance(value, list):
            return [self._field(each, known) for each in value]
        return self.copy(value, known) if isinstance(value, ast.expr) else value

    def _sum(self, node: ast.Call, known: Mapping[str, int]) -> ast.expr:
        name = getattr(node.func, "id", "")
        op, nothing = SUMS[name]
        if len(node.args) != 4 or node.keywords:
            raise self.refuse(node, f"{name} takes a term, its index and two bounds", HOW[name])
        term, index, *ends = node.args
        if not isinstance(index, ast.Name) or index.id in self.reserved:
            raise self.refuse(index, f"the index of a {name} must be a name, such as i", HOW[name])
        low, high = (self._whole(end, known) for end in ends)
        if high < low - 1:
            raise self.refuse(node, f"a {name} runs upwards, got {low} to {high}", HOW[name])
        terms = [self.copy(term, {**known, index.id: i}) for i in range(low, high + 1)]
        if not terms:
            return self._at(node, ast.Constant(nothing))
        result = terms[0]
        for each in terms[1:]:
            result = self._at(node, ast.BinOp(result, op(), each))
        return result

    def _whole(self, node: ast.expr, known: Mapping[str, int]) -> int:
        """A whole number that is made of such and of indices."""
        match node:
            case ast.Constant(value=int() as value) if not isinstance(value, bool):
                return self._small(node, value)
            case ast.Name(id=name) if name in known:
                return known[name]
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _WHOLE:
                return _WHOLE[type(op)](self._whole(operand, known))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _WHOLE:
                sides = self._whole(left, known), self._whole(right, known)
                return self._small(node, _WHOLE[type(op)](*sides))
        problem = "what stands in brackets and the bounds of a sum must be whole numbers"
        raise self.refuse(node, problem, HOW["sum"])

    def _small(self, node: ast.expr, value: int) -> int:
        if abs(value) > self.largest:
            raise self.refuse(node, f"a bound or an index may be {self.largest:,}", "change it")
        return value

    def _at(self, node: ast.expr, made: ast.expr) -> ast.expr:
        """What was made of a part, at its place in the text, if that is not one too many."""
        self.left -= 1
        if self.left < 0:
            raise self.refuse(
                node, f"sums make more than {self.largest:,} names, numbers and operations",
                "let them have fewer terms",
            )  # fmt: skip
        return ast.copy_location(made, node)
