"""Formulas as objectives: text, through a whitelist of Python's syntax, to a traceable function."""

import ast
import functools
import importlib
import itertools
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from gdjax.errors import ArgumentError, unknown
from gdjax.objectives.base import Objective
from gdjax.objectives.registry import maker
from gdjax.objectives.sources import DEFAULT_SIDE

LARGEST_POWER = 100
LARGEST_SIZE = 500  # names, numbers and operations
DEEPEST = 60  # parentheses and calls within one another

CONSTANTS = {"pi": math.pi, "e": math.e}
# What each function is called in numpy and jax.numpy, and how many arguments it takes.
FUNCTIONS: dict[str, tuple[str, int | None]] = {
    "abs": ("abs", 1), "max": ("maximum", None), "min": ("minimum", None), "sqrt": ("sqrt", 1),
    "exp": ("exp", 1), "log": ("log", 1), "log10": ("log10", 1),
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
OPERATORS: dict[type, Callable] = {
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
    ast.Attribute: "write sin(x), not np.sin(x)",
    ast.Subscript: "write x1, x2, … for components, not x[0], x[1]",
    ast.Compare: "there are no comparisons; max, min and abs make kinks",
    ast.IfExp: "there are no conditions; max, min and abs make kinks",
}


class Formula(NamedTuple):
    """A formula that has passed the whitelist.

    Args:
        text: as it was written.
        tree: its syntax.
        names: the names that are neither functions nor constants, in natural order.
    """

    text: str
    tree: ast.expr
    names: tuple[str, ...]

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """The value where the names have these values, with ``jax.numpy``."""
        return _evaluate(self.tree, CONSTANTS | dict(values), _functions_of("jax.numpy"), float)

    def derivatives(self, names: Sequence[str]) -> tuple["Formula", ...]:
        """The partial derivatives, derived by sympy: each a formula again.

        At a kink they are the subgradient that ``sign(0) = 0`` and ``heaviside(0) = ½`` give.
        """
        try:
            expression, symbols = self._symbolic()
            found = [_in_python(expression.diff(symbols[name])) for name in names]
        except RecursionError:
            raise ArgumentError(f"{_short(self.text)} is too deeply nested to derive") from None
        slopes = tuple(_parse(text, "derivative", FUNCTIONS | DERIVED) for text in found)
        for slope in slopes:  # sympy says zoo, nan or oo where there is none
            if strange := {*slope.names} - {*self.names}:
                raise ArgumentError(
                    f"{_short(self.text)} has no derivative: sympy finds {', '.join(strange)}"
                )
        return slopes

    def latex(self) -> str:
        """The formula as LaTeX."""
        import sympy

        return sympy.latex(self._symbolic()[0])

    @property
    def kinked(self) -> bool:
        """Whether it holds an ``abs``, ``max`` or ``min``."""
        return bool(self._kinked_calls())

    def kinks(self, values: Mapping[str, Any]) -> list[Any]:
        """Signed quantities that vanish where ``abs``, ``max`` or ``min`` make a kink."""
        names, found = CONSTANTS | dict(values), []
        for call in self._kinked_calls():
            at = [_evaluate(a, names, _functions_of("jax.numpy"), float) for a in call.args]
            found += [a - b for a, b in itertools.combinations(at, 2)] or at
        return found

    def _kinked_calls(self) -> list[ast.Call]:
        calls = (node for node in _nodes(self.tree) if isinstance(node, ast.Call))
        return [call for call in calls if call.func.id in ("abs", "max", "min")]  # type: ignore[attr-defined]

    def _symbolic(self) -> tuple[Any, dict[str, Any]]:
        """The formula in sympy, over the real numbers, and its symbols by name."""
        import sympy

        symbols = {name: sympy.Symbol(name, real=True) for name in self.names}
        constants = {"pi": sympy.pi, "e": sympy.E}
        expression = _evaluate(self.tree, constants | symbols, _symbolic_functions(), _exact)
        return sympy.sympify(expression), symbols


def parse(text: str, argument: str = "expression") -> Formula:
    """A formula, if it holds nothing but what the whitelist allows; nothing is ever executed.

    Args:
        text: such as ``x**2 + y**2 + 10*sin(x)*sin(y)``.
        argument: what an error calls it.

    Raises:
        ArgumentError: anything else, with its name, its position and what is allowed.

    Example:
        >>> f = parse("x1**2 + x10 * pi + x2")
        >>> f.names
        ('x1', 'x2', 'x10')
        >>> f.derivatives(["x1"])[0].text
        '2*x1'
        >>> parse("x^2")
        Traceback (most recent call last):
        gdjax.errors.ArgumentError: expression: 'x^2' is not allowed, at column 1 of 'x^2'; write
        ** for powers, not ^
    """
    parsed = _parse(text, argument, FUNCTIONS)
    _guard(parsed, argument)
    return parsed


@maker
def formula(
    expression: str,
    variables: Any = None,
    domain: Any = None,
    start: Any = None,
    name: str = "formula",
) -> Objective:
    """A formula such as ``x**2 + y**2 + 10*sin(x)*sin(y)``; its hand gradient is sympy's.

    Args:
        expression: the formula, in Python's notation.
        variables: its names in the order of the point's components; by default in natural
            order, x2 before x10.
        domain: one ``(low, high)`` pair a variable; by default (-5, 5).
        start: the customary first point.
        name: what tables and pictures call it.

    Raises:
        ArgumentError: something that is not on the whitelist, or variables that do not fit.

    Reference:
        Meurer et al. 2017, SymPy: symbolic computing in Python, PeerJ Computer Science 3:e103.
    """
    return _formula(expression, variables, domain, start, name)


@functools.cache
def _formula(expression: str, variables: Any, domain: Any, start: Any, name: str) -> Objective:
    parsed = parse(expression)
    chosen = parsed.names if variables is None else check_names(variables, "variables")
    for free in parsed.names:
        if free not in chosen:
            raise unknown("variable", free, chosen)
    if not chosen:
        raise ArgumentError(f"expression needs at least one variable, got {expression!r}")
    slopes = parsed.derivatives(chosen)

    def fn(point):
        return _as(point, parsed(named(point)))

    def gradient(point):
        return jnp.stack([_as(point, slope(named(point))) for slope in slopes])

    def kink(point):
        return jnp.stack([_as(point, each) for each in parsed.kinks(named(point))])

    def named(point):
        return dict(zip(chosen, point, strict=True))

    return Objective(
        name=name,
        fn=fn,
        gradient=gradient,
        domain=[DEFAULT_SIDE] * len(chosen) if domain is None else domain,
        start=start,
        smoothness="kink" if parsed.kinked else "smooth",
        kink=kink if parsed.kinked else None,
        variables=chosen,
        latex=parsed.latex(),
        gradient_latex=vector([slope.latex() for slope in slopes]),
        reference=expression,
    )


def check_names(names: Any, argument: str) -> tuple[str, ...]:
    """Names as a tuple, if each can stand in a formula and none does so twice."""
    names = (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        if not isinstance(name, str) or not name.isidentifier() or name in RESERVED:
            raise ArgumentError(
                f"{argument} must be names that mean nothing else in a formula, got {name!r}"
            )
    if len(set(names)) < len(names):
        raise ArgumentError(f"{argument} must differ from one another, got {', '.join(names)}")
    return names


def vector(components: Sequence[str]) -> str:
    """A vector in LaTeX, of components in LaTeX."""
    return r"\left(" + r",\ ".join(components) + r"\right)"


def symbol(name: str) -> str:
    """A name in LaTeX: alpha is a Greek letter, b1 has an index; y if it cannot stand there."""
    import sympy

    return sympy.latex(sympy.Symbol(name)) if name.isidentifier() else "y"


def natural(name: str) -> list[Any]:
    """A key that sorts x2 before x10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _as(point: Any, value: Any) -> Any:
    return jnp.asarray(value, point.dtype)


def _parse(text: str, argument: str, functions: Mapping[str, tuple]) -> Formula:
    """A formula whose every node is on the whitelist."""
    if not isinstance(text, str) or not text.strip():
        raise ArgumentError(f"{argument} must be a formula, got {text!r}")
    text = " ".join(text.split())
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        column = f" at column {error.offset}" if error.offset else ""
        reason = error.msg.split(";")[0]
        raise ArgumentError(f"{argument}: {reason}{column}: {_short(text)}") from None
    except (ValueError, MemoryError, RecursionError):
        raise ArgumentError(f"{argument} is too large or no text at all: {_short(text)}") from None
    called = set()
    for node in _nodes(tree):
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
        kind = type(node.op) if isinstance(node, ast.BinOp) else type(node)
        shown = _short(ast.get_source_segment(text, node) or "")
        hint = INSTEAD.get(kind, f"allowed are {ALLOWED}")
        raise _refusal(text, argument, node, f"{shown} is not allowed", hint)
    free = {n.id for n in _nodes(tree) if isinstance(n, ast.Name) and n not in called}
    return Formula(text, tree, tuple(sorted(free - {*CONSTANTS}, key=natural)))


def _guard(parsed: Formula, argument: str) -> None:
    """Refuse what is absurd: it would take sympy or the compiler for ever."""
    text, tree, names = parsed
    for node in _nodes(tree):
        if isinstance(node, ast.Name) and node.id in DERIVED and node.id in names:
            problem = f"{node.id} cannot be a name"
            raise _refusal(text, argument, node, problem, "it is what derivatives are made of")
    size = sum(1 for _ in _nodes(tree))
    if size > LARGEST_SIZE:
        raise ArgumentError(
            f"{argument} may hold {LARGEST_SIZE} names, numbers and operations, got {size}"
        )
    if _depth(tree) > DEEPEST:
        raise ArgumentError(f"{argument} is nested more than {DEEPEST} levels deep: {_short(text)}")
    for node in _nodes(tree):
        value = _constant(node)
        if value is not None and not math.isfinite(value):
            shown = _short(ast.get_source_segment(text, node) or "")
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
            return float(_evaluate(node, CONSTANTS, _functions_of("numpy"), np.float64))
    except OverflowError:
        return math.inf


def _evaluate(
    node: ast.AST, names: Mapping[str, Any], functions: Mapping[str, Callable], number: Callable
) -> Any:
    """The value of a tree that has passed the whitelist, in any arithmetic."""
    match node:
        case ast.Constant(value=value):
            return number(value)
        case ast.Name(id=name):
            return names[name]
        case ast.UnaryOp(op=op, operand=operand):
            return OPERATORS[type(op)](_evaluate(operand, names, functions, number))
        case ast.BinOp(left=left, op=op, right=right):
            a, b = (_evaluate(side, names, functions, number) for side in (left, right))
            if isinstance(op, ast.Pow) and isinstance(b, float) and b.is_integer():
                b = int(b)  # a product, which is faster than a power and knows negative bases
            return OPERATORS[type(op)](a, b)
        case ast.Call(func=ast.Name(id=name), args=args):
            return functions[name](*(_evaluate(a, names, functions, number) for a in args))
    raise AssertionError(f"{node} passed the whitelist")


@functools.cache
def _functions_of(library: str) -> dict[str, Callable]:
    """The functions in numpy or jax.numpy."""

    def find(called: str, count: int | None) -> Callable:
        fn = getattr(importlib.import_module(library), called)
        return fn if count else lambda *values: functools.reduce(fn, values)

    return {name: find(*facts) for name, facts in (FUNCTIONS | DERIVED).items()}


@functools.cache
def _symbolic_functions() -> dict[str, Callable]:
    """The functions in sympy."""
    import sympy

    class Absolute(sympy.Function):  # sympy's own Abs makes real and imaginary parts of log(x)
        nargs = 1

        def fdiff(self, argindex: int = 1) -> Any:
            return sympy.sign(self.args[0])

        def _latex(self, printer: Any, exp: str = "") -> str:
            inside = printer._print(self.args[0])
            return rf"\left|{{{inside}}}\right|" + (f"^{{{exp}}}" if exp else "")

        def _sympystr(self, printer: Any) -> str:
            return f"abs({printer._print(self.args[0])})"

    own = {
        "abs": Absolute,
        "max": sympy.Max,
        "min": sympy.Min,
        "log10": lambda x: sympy.log(x) / sympy.log(10),
        "sign": sympy.sign,
        "heaviside": lambda x, _: sympy.Heaviside(x),
    }
    return {name: own.get(name) or getattr(sympy, name) for name in FUNCTIONS | DERIVED}


def _exact(value: int | float) -> Any:
    """A number in sympy."""
    import sympy

    return sympy.Integer(value) if isinstance(value, int) else sympy.Float(repr(value))


def _in_python(expression: Any) -> str:
    """A sympy expression in the notation of formulas."""
    from sympy.printing.str import StrPrinter

    class Printer(StrPrinter):
        def _print_Exp1(self, expr: Any) -> Any:  # noqa: N802  (sympy's names)
            return "e"

        def _print_Float(self, expr: Any) -> str:  # noqa: N802
            return repr(float(expr))

        def _print_Abs(self, expr: Any) -> str:  # noqa: N802
            return f"abs({self._print(expr.args[0])})"

        def _print_Max(self, expr: Any) -> str:  # noqa: N802
            return f"max({', '.join(map(self._print, expr.args))})"

        def _print_Min(self, expr: Any) -> str:  # noqa: N802
            return f"min({', '.join(map(self._print, expr.args))})"

        def _print_Heaviside(self, expr: Any) -> str:  # noqa: N802
            return f"heaviside({self._print(expr.args[0])}, 0.5)"

    return Printer().doprint(expression)


def _nodes(tree: ast.AST) -> Iterator[ast.expr]:
    """Every part of a tree, from the outside in."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.expr))


def _refusal(text: str, argument: str, node: Any, problem: str, hint: str) -> ArgumentError:
    column = len(text.encode()[: node.col_offset].decode()) + 1
    return ArgumentError(f"{argument}: {problem}, at column {column} of {_short(text)}; {hint}")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
