"""How large the numbers of a formula become: what would take sympy for ever is refused."""

import ast
import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from gdjax._util.errors import ArgumentError
from gdjax._util.types import Function
from gdjax.objectives.formula_values import COMPARISONS, OPERATORS, evaluate, logic, nodes
from gdjax.objectives.functions import DERIVED, EVERY, Functions
from gdjax.objectives.parser import CONSTANTS, Parsed, Refusal, short

LARGEST_POWER = 100
LARGEST_DEGREE = 1000  # of powers within one another
LARGEST_DIGITS = 308  # of a number: float64 holds no more


def guard(parsed: Parsed, argument: str) -> None:
    """Refuse what is absurd: it would take sympy or the compiler for ever."""
    text, tree, names, _ = parsed
    refuse = Refusal(text, argument)
    for node in nodes(tree):
        if isinstance(node, ast.Name) and node.id in DERIVED and node.id in names:
            problem = f"{node.id} cannot be a name"
            raise refuse(node, problem, "it is what derivatives are made of")
    values = _constants(parsed)
    for node in nodes(tree):
        value = values.get(node)
        if value is not None and not math.isfinite(value):
            shown = short(ast.get_source_segment(text, node) or "")
            raise refuse(node, f"{shown} has no finite value", "change it")
        if not isinstance(node, ast.BinOp):
            continue
        if isinstance(node.op, ast.Div) and values.get(node.right) == 0:
            raise refuse(node.right, "division by zero", "change it")
        if isinstance(node.op, ast.Pow):
            power = values.get(node.right)
            if power is not None and not abs(power) <= LARGEST_POWER:
                problem = f"the power {power:g} is too large"
                raise refuse(node.right, problem, f"at most {LARGEST_POWER}")
    try:
        evaluate(tree, dict.fromkeys((*names, *CONSTANTS), _Size(0.0, 1.0)), _of_sizes(), _size)
    except OverflowError as error:
        raise ArgumentError(f"{argument}: {error}, in {short(text)}") from None


def _constants(parsed: Parsed) -> Mapping[ast.AST, float]:
    """The value of each part without variables, in float64."""
    found: dict[ast.AST, float] = {}
    constants = {name: value for name, value in CONSTANTS.items() if name not in parsed.own}

    def known(*parts: ast.AST) -> list[np.float64]:
        is_known = all(part in found for part in parts)
        return [np.float64(found[part]) for part in parts] if is_known else []

    def value(node: ast.AST) -> float | None:
        match node:
            case ast.Constant(value=int() | float() as told):
                return float(told)
            case ast.Name(id=name):
                return constants.get(name)
            case ast.UnaryOp(op=op, operand=operand) if values := known(operand):
                return OPERATORS[type(op)](*values)
            case ast.BinOp(op=op, left=left, right=right) if values := known(left, right):
                return OPERATORS[type(op)](*values)
            case ast.Call(func=ast.Name(id=name), args=args) if values := known(*args):
                return EVERY[name].numpy(*values)
        return None  # it has a variable or a condition

    with np.errstate(all="ignore"):
        for node in reversed([*nodes(parsed.tree)]):  # from the inside out, each but once
            try:
                constant = value(node)
            except OverflowError:
                constant = math.inf
            if constant is not None:
                found[node] = float(constant)
    return found


@dataclasses.dataclass(frozen=True)
class _Size:
    """How large the numbers become that sympy takes out of a term, an arithmetic of its own.

    Args:
        digits: of the number before a term, in its numerator and its denominator.
        degree: the largest power of a factor.
        value: of a constant.
    """

    digits: float
    degree: float
    value: float | None = None

    def __mul__(self, other: "_Size") -> "_Size":
        value = None if self.value is None or other.value is None else self.value * other.value
        return _Size(self.digits + other.digits, max(self.degree, other.degree), value)

    def __truediv__(self, other: "_Size") -> "_Size":
        inverse = None if not other.value else 1 / other.value
        return self * dataclasses.replace(other, value=inverse)

    def __neg__(self) -> "_Size":
        return dataclasses.replace(self, value=None if self.value is None else -self.value)

    def __pos__(self) -> "_Size":
        return self

    def __pow__(self, power: "_Size | int") -> "_Size":
        value = power.value if isinstance(power, _Size) else float(power)
        if value is None:
            return _Size(self.digits, self.degree)
        times = abs(value)
        digits, degree = times * self.digits, times * self.degree
        if degree > LARGEST_DEGREE:
            raise OverflowError(
                f"powers within one another make a power of {degree:g}, at most {LARGEST_DEGREE:,}"
            )
        if digits > LARGEST_DIGITS:
            raise OverflowError(
                f"powers make a number of {digits:,.0f} digits, at most {LARGEST_DIGITS}"
            )
        return _Size(digits, degree)


def _of_sum(first: _Size, others: Sequence[tuple[type, _Size]]) -> _Size:
    sizes = [first, *(size for _, size in others)]
    digits = max(size.digits for size in sizes) + math.log10(len(sizes))
    if any(size.value is None for size in sizes):
        return _Size(digits, 1.0)
    terms = [-(size.value or 0) if op is ast.Sub else size.value or 0 for op, size in others]
    return _Size(digits, 1.0, math.fsum([first.value or 0, *terms]))


def _size(value: float | int) -> _Size:
    return _Size(abs(math.log10(abs(value))) if value else 0.0, 0.0, float(value))


def _largest(of: Functions, conditions: Sequence[None], branches: Sequence[Function]) -> _Size:
    return _Size(max(branch(of).digits for branch in branches), 1.0)


@functools.cache
def _of_sizes() -> Functions:
    """The functions and operators of sizes; conditions have none."""
    other = lambda *_: _Size(0.0, 1.0)  # noqa: E731
    nothing = lambda *_: None  # noqa: E731
    functions = dict.fromkeys(EVERY, other)
    root = {"sqrt": lambda x: _Size(x.digits / 2, x.degree / 2)}
    conditions = dict.fromkeys(COMPARISONS, nothing)
    own = {**functions, **root, **conditions, "piecewise": _largest, "sum": _of_sum}
    return logic(own, nothing, nothing, nothing)
