"""Formulas in sympy: its functions, or those that it is told the slopes of, and their printing."""

import ast
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gdjax._util.errors import ArgumentError
from gdjax._util.types import Function
from gdjax.objectives.formula_values import evaluate, logic
from gdjax.objectives.functions import EVERY, Functions, Row
from gdjax.objectives.sizes import LARGEST_DIGITS

if TYPE_CHECKING:
    from sympy import Expr, Symbol
else:
    Expr = Symbol = Any  # sympy is loaded where a formula is derived

LONGEST = 200  # terms in one pair of parentheses, of a text that Python can read
COMPARED: dict[type, tuple[str, str, str]] = {  # a name, in formulas, in LaTeX
    ast.Lt: ("lt", "<", "<"),
    ast.LtE: ("le", "<=", r"\leq"),
    ast.Gt: ("gt", ">", ">"),
    ast.GtE: ("ge", ">=", r"\geq"),
    ast.Eq: ("eq", "==", "="),
    ast.NotEq: ("ne", "!=", r"\neq"),
    ast.And: ("both", "and", r"\wedge"),
    ast.Or: ("either", "or", r"\vee"),
}


def in_sympy(part: ast.expr, symbols: Mapping[str, Symbol]) -> Expr:
    """A part of a formula in sympy, over the real numbers."""
    import sympy

    names = {"pi": sympy.pi, "e": sympy.E, **symbols}
    return sympy.sympify(evaluate(part, names, symbolic_functions(), _exact))


def derivatives(expression: Expr, by: Sequence[Symbol]) -> list[Expr]:
    """The partial derivatives; of a sum, each only of the terms that have its symbol.

    The rules are written out: sympy's own ``diff`` takes fifty times as many calls for a power.
    """
    slopes = _Slopes()
    if not expression.is_Add:
        return [slopes.of(expression, symbol) for symbol in by]
    terms: dict[Symbol, list[Expr]] = {symbol: [] for symbol in by}
    for term in expression.args:
        for symbol in slopes.free(term) & terms.keys():
            terms[symbol].append(slopes.of(term, symbol))
    return [expression.func(*terms[symbol]) for symbol in by]


class _Slopes:
    """Derivatives by the rules for sums, products, powers and chains, each taken once."""

    def __init__(self) -> None:
        self._free: dict[Any, frozenset[Any]] = {}
        self._outer: dict[Any, list[Any]] = {}

    def free(self, expression: Any) -> frozenset[Any]:
        """The symbols of an expression."""
        found = self._free.get(expression)
        if found is None:
            inner = map(self.free, expression.args)
            own = (expression,) if expression.is_Symbol else ()
            found = self._free[expression] = frozenset(own).union(*inner)
        return found

    def of(self, expression: Any, by: Any) -> Any:
        """The derivative of an expression by a symbol."""
        import sympy

        if by not in self.free(expression):
            return sympy.Integer(0)
        if expression.is_Symbol:
            return sympy.Integer(1)
        args = expression.args
        having = [k for k, arg in enumerate(args) if by in self.free(arg)]
        if expression.is_Add:
            return sympy.Add(*(self.of(args[k], by) for k in having))
        if expression.is_Mul:
            return sympy.Add(*(
                sympy.Mul(*args[:k], self.of(args[k], by), *args[k + 1 :]) for k in having
            ))  # fmt: skip
        if hasattr(expression, "branches"):
            return expression.branches(lambda part: self.of(part, by))
        if expression.is_Pow:
            base, power = args
            by_base = [power * base ** (power - 1) * self.of(base, by)] if 0 in having else []
            by_power = [expression * sympy.log(base) * self.of(power, by)] if 1 in having else []
            return sympy.Add(*by_base, *by_power)
        if isinstance(expression, sympy.Abs):  # sympy makes it of the root of a square
            return sympy.sign(args[0]) * self.of(args[0], by)
        outer = self._outer.get(expression)
        if outer is None:
            outer = self._outer[expression] = [expression.fdiff(k + 1) for k in range(len(args))]
        return sympy.Add(*(outer[k] * self.of(args[k], by) for k in having))


@functools.cache
def symbolic_functions() -> Functions:
    """The functions and operators in sympy."""
    import sympy

    functions: dict[Any, Function] = {}
    for name, row in EVERY.items():
        if name == "piecewise":
            functions[name] = _piecewise()
        elif row.slopes:
            functions[name] = _told(row, functions)
        elif row.sympy:
            functions[name] = functools.partial(row.sympy, sympy)
        else:
            functions[name] = getattr(sympy, name)
    compared = {kind: _compared(*words) for kind, words in COMPARED.items()}
    at_once = {
        "sum": lambda first, rest: sympy.Add(first, *_signed(rest, ast.Sub, lambda x: -x)),
        "product": lambda first, rest: sympy.Mul(first, *_signed(rest, ast.Div, lambda x: 1 / x)),
    }
    functions.update({**compared, **at_once})
    return logic(functions, compared[ast.And], compared[ast.Or], _not())


def _signed(rest: Sequence[tuple[type, Expr]], inverse: type, of: Function) -> Iterator[Expr]:
    return (of(_sympy(part)) if op is inverse else part for op, part in rest)


def _sympy(part: Any) -> Expr:
    import sympy

    return sympy.sympify(part)


def _told(row: Row, functions: Functions) -> Any:
    """A function of which sympy knows no more than the slopes: its own are slow, or have none."""
    import sympy

    slopes = row.slopes
    assert slopes is not None

    class Told(sympy.Function):
        @classmethod
        def eval(cls, *args: Any) -> Any:
            if row.name not in ("max", "min"):
                return None  # what sympy makes of constants may be long
            flat = [b for a in args for b in (a.args if isinstance(a, cls) else (a,))]
            several = [*dict.fromkeys(flat)]
            if len(several) == 1:
                return several[0]
            return cls(*several) if tuple(several) != args else None

        def fdiff(self, argindex: int = 1) -> Any:
            return sympy.sympify(slopes(functions, argindex - 1, *self.args))

        def _latex(self, printer: Any, exp: str = "") -> str:
            inside = [*map(printer._print, self.args)]
            form = row.latex or rf"\operatorname{{{{{row.name}}}}}\left({{all}}\right)"
            told = form.format(*inside, all=", ".join(inside))
            if exp and not told.startswith(r"\left") and not told.endswith(r"\right)"):
                told = rf"\left({told}\right)"
            return f"{told}^{{{exp}}}" if exp else told

        def _sympystr(self, printer: Any) -> str:
            return f"{row.name}({', '.join(map(printer._print, self.args))})"

    assumed = {"is_real": True, f"is_{row.assume}": True}
    return type(row.name, (Told,), assumed)  # terms are sorted by its name


def _piecewise() -> Function:
    """``piecewise`` as it is written: sympy's own would solve the conditions."""
    import sympy

    class piecewise(sympy.Function):  # noqa: N801  (terms are sorted by it)
        is_real = True

        def branches(self, change: Function) -> Any:
            """The same of changed values."""
            *cases, last = list(self.args)
            values = [change(part) for part in (*cases[1::2], last)]
            if len({*values}) == 1:
                return values[0]
            told = [x for pair in zip(cases[::2], values, strict=False) for x in pair]
            return piecewise(*told, values[-1])

        def _latex(self, printer: Any, exp: str = "") -> str:
            *cases, last = map(printer._print, self.args)
            pairs = zip(cases[::2], cases[1::2], strict=True)
            told = [rf"{value}\ \mathrm{{if}}\ {condition}" for condition, value in pairs]
            inside = r";\ ".join([*told, rf"{last}\ \mathrm{{otherwise}}"])
            return rf"\left\{{{inside}\right\}}" + (f"^{{{exp}}}" if exp else "")

        def _sympystr(self, printer: Any) -> str:
            return f"piecewise({', '.join(map(printer._print, self.args))})"

    def make(of: Functions, conditions: Sequence[Any], branches: Sequence[Function]) -> Any:
        values = [sympy.sympify(branch(of)) for branch in branches]
        told = [x for pair in zip(conditions, values, strict=False) for x in pair]
        return piecewise(*told, values[-1])

    return make


def _compared(name: str, word: str, latex: str) -> Any:
    """A comparison, or two conditions joined, of which sympy is told nothing."""
    import sympy

    class Compared(sympy.Function):
        nargs = 2

        def _latex(self, printer: Any, exp: str = "") -> str:
            first, second = map(printer._print, self.args)
            return rf"\left({first} {latex} {second}\right)"

        def _sympystr(self, printer: Any) -> str:
            return f"({printer._print(self.args[0])} {word} {printer._print(self.args[1])})"

    return type(name, (Compared,), {})


def _not() -> Any:
    import sympy

    class opposite(sympy.Function):  # noqa: N801
        nargs = 1

        def _latex(self, printer: Any, exp: str = "") -> str:
            return rf"\neg {printer._print(self.args[0])}"

        def _sympystr(self, printer: Any) -> str:
            return f"(not {printer._print(self.args[0])})"

    return opposite


def _exact(value: int | float) -> Expr:
    """A number in sympy."""
    import sympy

    return sympy.Integer(value) if isinstance(value, int) else sympy.Float(repr(value))


def in_python(expression: Expr, own: Sequence[str] = ()) -> str:
    """A sympy expression in the notation of formulas, where some names are no constants."""
    import sympy
    from sympy.printing.str import StrPrinter

    for number in expression.atoms(sympy.Rational):
        if max(abs(number.p), number.q) >= 10**LARGEST_DIGITS:
            raise ArgumentError(f"a derivative has a number of more than {LARGEST_DIGITS} digits")

    class Printer(StrPrinter):
        def _print_Exp1(self, expr: Expr) -> Any:  # noqa: N802  (sympy's names)
            return "exp(1)" if "e" in own else "e"

        def _print_Pi(self, expr: Expr) -> Any:  # noqa: N802
            return "acos(-1)" if "pi" in own else "pi"

        def _print_Float(self, expr: Expr) -> str:  # noqa: N802
            return repr(float(expr))

        def _print_Abs(self, expr: Expr) -> str:  # noqa: N802  (of the root of a square)
            return f"abs({self._print(expr.args[0])})"

        def _print_Add(self, expr: Expr, order: Any = None) -> str:  # noqa: N802
            if len(expr.args) <= LONGEST:
                return super()._print_Add(expr, order)
            args: Any = self._as_ordered_terms(expr)
            width = LONGEST // 2
            parts = [args[i : i + width] for i in range(0, len(args), width)]
            return " + ".join(f"({self._print(expr.func(*part))})" for part in parts)

    return Printer().doprint(expression)
