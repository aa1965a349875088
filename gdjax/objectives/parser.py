"""What a formula may hold: a whitelist over Python's syntax, and the value of what has passed."""

import ast
import dataclasses
import functools
import importlib
import keyword
import math
import operator
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import numpy as np

from gdjax._util.errors import ArgumentError, unknown
from gdjax._util.types import Function

LARGEST_POWER = 100
LARGEST_DEGREE = 1000  # of powers within one another
LARGEST_DIGITS = 308  # of a number: float64 holds no more
LARGEST_TEXT = 20_000  # letters
LARGEST_SIZE = 500  # names, numbers and operations
DEEPEST = 60  # parentheses and calls within one another

CONSTANTS = {"pi": math.pi, "e": math.e}
LOOK_ALIKES = {  # of constants: what to write instead
    **dict.fromkeys(("E", "exp1"), "e"), **dict.fromkeys(("PI", "Pi"), "pi"),
    **dict.fromkeys(("inf", "Inf", "infinity", "nan", "NaN"), "a finite number"),
}  # fmt: skip
SIGNS = str.maketrans(
    {"·": "*", "×": "*", "∙": "*", "⋅": "*", "÷": "/", "−": "-", "–": "-", "π": "pi"}
)
RAISED = re.compile("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+")  # a power as it is printed
SPELLINGS = {  # of functions that have two
    "ln": "log", **{f"arc{name}": f"a{name}" for name in
                    ("sin", "cos", "tan", "tan2", "sinh", "cosh", "tanh")},
}  # fmt: skip
# What each function is called in numpy and jax.numpy, and how many arguments it takes.
FUNCTIONS: dict[str, tuple[str, int | None]] = {
    "abs": ("abs", 1), "max": ("maximum", None), "min": ("minimum", None), "sqrt": ("sqrt", 1),
    "exp": ("exp", 1), "expm1": ("expm1", 1), "log": ("log", 1), "log1p": ("log1p", 1),
    "log2": ("log2", 1), "log10": ("log10", 1), "hypot": ("hypot", 2),
    "sin": ("sin", 1), "cos": ("cos", 1), "tan": ("tan", 1),
    "asin": ("arcsin", 1), "acos": ("arccos", 1), "atan": ("arctan", 1), "atan2": ("arctan2", 2),
    "sinh": ("sinh", 1), "cosh": ("cosh", 1), "tanh": ("tanh", 1),
    "asinh": ("arcsinh", 1), "acosh": ("arccosh", 1), "atanh": ("arctanh", 1),
}  # fmt: skip
DERIVED: dict[str, tuple[str, int | None]] = {  # only derivatives have these
    "sign": ("sign", 1),
    "heaviside": ("heaviside", 2),
}
RESERVED = {*CONSTANTS, *FUNCTIONS, *DERIVED}
OPERATORS: dict[type, Function] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
ALLOWED = f"numbers, names, + - * / **, pi, e and the functions {', '.join(FUNCTIONS)}"
INSTEAD: dict[type, str] = {
    ast.BitXor: "write ** for powers, not ^",
    ast.Attribute: "write sin(x), not np.sin(x): nothing has parts",
    ast.BitOr: "write abs(x), not |x|",
    ast.Subscript: "write x1, x2, … for components, not x[0], x[1]",
    ast.Compare: "there are no comparisons; max, min and abs make kinks",
    ast.IfExp: "there are no conditions; max, min and abs make kinks",
}

Number = TypeVar("Number")  # of any arithmetic


class Parsed(NamedTuple):
    """A formula that has passed the whitelist.

    Args:
        text: as it was written.
        tree: its syntax.
        names: the names that are neither functions nor constants, in natural order.
        own: those of them that would be constants otherwise.
    """

    text: str
    tree: ast.expr
    names: tuple[str, ...]
    own: tuple[str, ...] = ()


def check(
    text: str,
    argument: str,
    functions: Mapping[str, tuple[str, int | None]],
    own: Iterable[str] = (),
) -> Parsed:
    """A formula whose every node is on the whitelist.

    Args:
        text: as it is written.
        argument: what an error calls it.
        functions: that it may call.
        own: names that are no constants, since something of the user's has them.
    """
    if not isinstance(text, str) or not text.strip():
        raise ArgumentError(f"{argument} must be a formula, got {text!r}")
    text = _in_ascii(" ".join(text.split()))
    if len(text) > LARGEST_TEXT and functions is FUNCTIONS:  # a derivative may be longer
        raise ArgumentError(
            f"{argument} may have {LARGEST_TEXT:,} letters, got {len(text):,}: {short(text)}"
        )
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        column = f" at column {error.offset}" if error.offset else ""
        reason = _instead(text) or error.msg.split(";")[0] + column
        raise ArgumentError(f"{argument}: {reason}: {short(text)}") from None
    except (ValueError, MemoryError, RecursionError):
        raise ArgumentError(
            f"{argument} may hold {LARGEST_SIZE} names, numbers and operations, as plain text; "
            f"got {short(text)}"
        ) from None
    called = set()
    for node in nodes(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            node.func.id = SPELLINGS.get(node.func.id, node.func.id)
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                continue
            case ast.UnaryOp(op=op) | ast.BinOp(op=op) if type(op) in OPERATORS:
                continue
            case ast.Call(func=ast.Name(id=name) as func, args=args, keywords=[]):
                if name not in functions:
                    problem, hint = str(unknown("function", name, functions)).split("; ", 1)
                    raise _refusal(text, argument, node, problem, hint)
                count = functions[name][1]
                if len(args) != count if count else len(args) < 2:
                    takes = f"{name} takes {count or 'at least 2'} argument{'s' * (count != 1)}"
                    raise _refusal(text, argument, node, takes, f"got {len(args)}")
                called.add(func)
                continue
            case ast.Name(id=name) if name not in functions or node in called:
                continue
            case ast.Name(id=name):
                raise _refusal(text, argument, node, f"{name} is a function", f"write {name}(x)")
            case ast.Call(func=ast.Attribute()):
                node = node.func
            case ast.Call(func=ast.Constant() | ast.BinOp() | ast.Call()):
                before = short(ast.get_source_segment(text, node.func) or "")
                raise _refusal(text, argument, node, f"a * is missing after {before}", "write it")
        kind = type(node.op) if isinstance(node, ast.BinOp) else type(node)
        shown = short(ast.get_source_segment(text, node) or "")
        hint = INSTEAD.get(kind, f"allowed are {ALLOWED}")
        raise _refusal(text, argument, node, f"{shown} is not allowed", hint)
    free = {n.id for n in nodes(tree) if isinstance(n, ast.Name) and n not in called}
    constants = {*CONSTANTS} - {*own}
    names = tuple(sorted(free - constants, key=natural))
    return Parsed(text, tree, names, tuple(name for name in names if name in CONSTANTS))


def check_look_alikes(parsed: Parsed, argument: str, given: Iterable[str], by: str) -> None:
    """Refuse names that look like constants, unless they were given as names.

    Args:
        parsed: the formula.
        argument: what an error calls it.
        given: names that the user has said to be names.
        by: what says so.
    """
    new = [name for name in parsed.names if name not in given]
    for name in new:
        if name in LOOK_ALIKES:
            raise ArgumentError(
                f"{argument}: {name} is no constant here: write {LOOK_ALIKES[name]}, or if it is a "
                f"name, list all of them: {by}=[{','.join(new)}]"
            )


def _in_ascii(text: str) -> str:
    """A formula with the operators, powers and letters of a printed one as they are typed."""
    powers = RAISED.sub(lambda found: f"**({unicodedata.normalize('NFKC', found[0])})", text)
    return unicodedata.normalize("NFKC", powers.translate(SIGNS)).translate(SIGNS)


def _instead(text: str) -> str:
    """What to write instead of something that Python cannot read; empty if nobody knows."""
    if re.search(r"(?<![=<>!])=(?!=)", text):
        return "write what stands right of the = alone"
    if "|" in text:
        return "write abs(x), not |x|"
    for word in re.findall(r"[A-Za-z_]\w*", text):
        if keyword.iskeyword(word):
            return f"{word} is a word of Python's: take another name, such as {word[:3]}"
    if found := re.search(r"(?<![\w.])(\d+\.?\d*)\s*([A-Za-z_]\w*)", text):
        return f"write {found[1]}*{found[2]}, not {found[0]}"
    if found := re.search(r"(\w+|\))\s+(\w+)|(\))\s*(\w+)", text):
        before, after = found[1] or found[3], found[2] or found[4]
        if SPELLINGS.get(before, before) in FUNCTIONS:
            return f"write {before}({after}), not {found[0]}"
        return f"an operator is missing before {after}"
    return ""


def guard(parsed: Parsed, argument: str) -> None:
    """Refuse what is absurd: it would take sympy or the compiler for ever."""
    text, tree, names, _ = parsed
    for node in nodes(tree):
        if isinstance(node, ast.Name) and node.id in DERIVED and node.id in names:
            problem = f"{node.id} cannot be a name"
            raise _refusal(text, argument, node, problem, "it is what derivatives are made of")
    size = sum(1 for _ in nodes(tree))
    if size > LARGEST_SIZE:
        raise ArgumentError(
            f"{argument} may hold {LARGEST_SIZE} names, numbers and operations, got {size}"
        )
    if _depth(tree) > DEEPEST:
        raise ArgumentError(f"{argument} is nested more than {DEEPEST} levels deep: {short(text)}")
    for node in nodes(tree):
        value = _constant(node)
        if value is not None and not math.isfinite(value):
            shown = short(ast.get_source_segment(text, node) or "")
            raise _refusal(text, argument, node, f"{shown} has no finite value", "change it")
        if not isinstance(node, ast.BinOp):
            continue
        if isinstance(node.op, ast.Div) and _constant(node.right) == 0:
            raise _refusal(text, argument, node.right, "division by zero", "change it")
        if isinstance(node.op, ast.Pow):
            power = _constant(node.right)
            if power is not None and not abs(power) <= LARGEST_POWER:
                problem = f"the power {power:g} is too large"
                raise _refusal(text, argument, node.right, problem, f"at most {LARGEST_POWER}")
    try:
        evaluate(tree, dict.fromkeys((*names, *CONSTANTS), _Size(0.0, 1.0)), _SIZES, _size)
    except OverflowError as error:
        raise ArgumentError(f"{argument}: {error}, in {short(text)}") from None


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

    def __add__(self, other: "_Size") -> "_Size":
        value = _of_constants(operator.add, self, other)
        return _Size(max(self.digits, other.digits) + math.log10(2), 1.0, value)

    __sub__ = __add__

    def __mul__(self, other: "_Size") -> "_Size":
        value = _of_constants(operator.mul, self, other)
        return _Size(self.digits + other.digits, max(self.degree, other.degree), value)

    __truediv__ = __mul__

    def __neg__(self) -> "_Size":
        return dataclasses.replace(self, value=None if self.value is None else -self.value)

    def __pos__(self) -> "_Size":
        return self

    def __pow__(self, power: "_Size") -> "_Size":
        if power.value is None:
            return _Size(self.digits, self.degree)
        times = abs(power.value)
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


def _of_constants(op: Function, a: _Size, b: _Size) -> float | None:
    return None if a.value is None or b.value is None else op(a.value, b.value)


def _size(value: float | int) -> _Size:
    return _Size(abs(math.log10(abs(value))) if value else 0.0, 0.0, float(value))


_SIZES: dict[str, Function] = {name: lambda *args: _Size(0.0, 1.0) for name in FUNCTIONS}
_SIZES["sqrt"] = lambda x: _Size(x.digits / 2, x.degree / 2)


def _depth(node: ast.AST, level: int = 0) -> int:
    """How deeply nested a tree is, as far as it matters; a long sum or product is not."""
    if level > DEEPEST:
        return level
    depth = level
    while isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Pow):
        depth = max(depth, _depth(node.right, level + 1))
        node = node.left
    inner = [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)]
    return max([depth, *(_depth(child, level + 1) for child in inner)])


def _constant(node: ast.AST) -> float | None:
    """The value of a tree without variables; None for any other."""
    if isinstance(node, ast.Name):
        return CONSTANTS.get(node.id)
    if any(isinstance(n, ast.Name) and n.id not in RESERVED for n in ast.walk(node)):
        return None
    try:
        with np.errstate(all="ignore"):
            return float(evaluate(node, CONSTANTS, functions_of("numpy"), np.float64))
    except OverflowError:
        return math.inf


def evaluate(
    node: ast.AST,
    names: Mapping[str, Number],
    functions: Mapping[str, Function],
    number: Callable[..., Number],
) -> Number:
    """The value of a tree that has passed the whitelist, in any arithmetic."""
    match node:
        case ast.Constant(value=value):
            return number(value)
        case ast.Name(id=name):
            return names[name]
        case ast.UnaryOp(op=op, operand=operand):
            return OPERATORS[type(op)](evaluate(operand, names, functions, number))
        case ast.BinOp(left=left, op=op, right=right):
            a = evaluate(left, names, functions, number)  # no frame more: sums are long
            b = evaluate(right, names, functions, number)
            if isinstance(op, ast.Pow) and isinstance(b, float) and b.is_integer():
                b = int(b)  # a product, which is faster than a power and knows negative bases
            return OPERATORS[type(op)](a, b)
        case ast.Call(func=ast.Name(id=name), args=args):
            return functions[name](*(evaluate(a, names, functions, number) for a in args))
    raise AssertionError(f"{node} passed the whitelist")


@functools.cache
def functions_of(library: str) -> dict[str, Function]:
    """The functions in numpy or jax.numpy."""

    def find(called: str, count: int | None) -> Function:
        fn = getattr(importlib.import_module(library), called)
        return fn if count else lambda *values: functools.reduce(fn, values)

    return {name: find(*facts) for name, facts in (FUNCTIONS | DERIVED).items()}


def nodes(tree: ast.AST) -> Iterator[ast.expr]:
    """Every part of a tree, from the outside in."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.expr))


def _refusal(text: str, argument: str, node: ast.expr, problem: str, hint: str) -> ArgumentError:
    column = len(text.encode()[: node.col_offset].decode()) + 1
    return ArgumentError(f"{argument}: {problem}, at column {column} of {short(text)}; {hint}")


def short(text: str) -> str:
    """A text in quotes, cut where it is long."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def check_names(
    names: str | Iterable[str], argument: str, may_be_constants: bool = False
) -> tuple[str, ...]:
    """Names as a tuple, if each can stand in a formula and none does so twice."""
    reserved = RESERVED - {*CONSTANTS} if may_be_constants else RESERVED
    names = (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        if not isinstance(name, str) or not name.isidentifier() or name in reserved:
            raise ArgumentError(
                f"{argument} must be names that mean nothing else in a formula, got {name!r}"
            )
    if len(set(names)) < len(names):
        raise ArgumentError(f"{argument} must differ from one another, got {', '.join(names)}")
    return names


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts x2 before x10."""
    parts = re.split(r"(\d+)", name)
    return [(len(part.lstrip("0")) if part.isdigit() else 0, part) for part in parts]
