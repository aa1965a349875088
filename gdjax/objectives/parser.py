"""What a formula may hold: a whitelist over Python's syntax."""

import ast
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from gdjax._util.errors import ArgumentError, unknown
from gdjax.objectives import hints
from gdjax.objectives.formula_values import COMPARISONS, OPERATORS, nodes
from gdjax.objectives.functions import EVERY, FUNCTIONS, LETTERS, SPELLINGS, Row
from gdjax.objectives.sums import written_out

LARGEST_TEXT = 100_000  # letters
LARGEST_SIZE = 5000  # names, numbers and operations
DEEPEST = 60  # parentheses and calls within one another

CONSTANTS = {"pi": math.pi, "e": math.e}
LOOK_ALIKES = {  # of constants: what to write instead
    **dict.fromkeys(("E", "exp1"), "e"), **dict.fromkeys(("PI", "Pi"), "pi"),
    **dict.fromkeys(("inf", "Inf", "infinity", "nan", "NaN"), "a finite number"),
}  # fmt: skip
SIGNS = str.maketrans(
    {"·": "*", "×": "*", "∙": "*", "⋅": "*", "÷": "/", "−": "-", "–": "-", "π": "pi",
     "≤": "<=", "≥": ">=", "≠": "!=", "∧": " and ", "∨": " or ", "¬": " not "}
)  # fmt: skip
RAISED = re.compile("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+")  # a power as it is printed
RESERVED = {*CONSTANTS, *EVERY} - LETTERS


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
    functions: Mapping[str, Row],
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
    of_user = functions is FUNCTIONS  # a derivative may be longer
    if len(text) > LARGEST_TEXT and of_user:
        raise ArgumentError(
            f"{argument} may have {LARGEST_TEXT:,} letters, got {len(text):,}: {short(text)}"
        )
    tree = _tree(text, argument)
    refuse = Refusal(text, argument)
    if of_user:
        _check_size(tree, argument)
        if _depth(tree) > DEEPEST:
            raise ArgumentError(
                f"{argument} is nested more than {DEEPEST} levels deep: {short(text)}"
            )
        tree = written_out(tree, LARGEST_SIZE, frozenset(RESERVED), refuse)
        _check_size(tree, argument)
    called, conditions = set(), set()
    for node in nodes(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            node.func.id = SPELLINGS.get(node.func.id, node.func.id)
        if node in conditions:
            conditions.update(_conditions_in(node, refuse))
            continue
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                continue
            case ast.UnaryOp(op=op) | ast.BinOp(op=op) if type(op) in OPERATORS:
                continue
            case ast.Call(func=ast.Name(id=name) as func, args=args, keywords=[]) if not any(
                isinstance(arg, ast.Starred | ast.GeneratorExp) for arg in args
            ):
                _check_call(node, name, len(args), functions, refuse)
                called.add(func)
                if name == "piecewise":
                    conditions.update(args[:-1:2])
                continue
            case ast.Name(id=name) if node in called or name not in functions or name in LETTERS:
                continue
            case ast.Name(id=name):
                raise refuse(node, f"{name} is a function", hints.of_name(name, text))
            case ast.Call(func=ast.Name(), args=[ast.Starred() | ast.GeneratorExp() as arg, *_]):
                node = arg
            case ast.Call(func=ast.Attribute()):
                node = node.func
            case ast.Call(func=ast.Constant() | ast.BinOp() | ast.Call()):
                before = short(ast.get_source_segment(text, node.func) or "")
                raise refuse(node, f"a * is missing after {before}", "write it")
        kind = type(getattr(node, "op", node))
        shown = short(ast.get_source_segment(text, node) or "")
        hint = hints.INSTEAD.get(kind) or hints.INSTEAD.get(type(node))
        raise refuse(node, f"{shown} is not allowed", hint or f"allowed are {hints.ALLOWED}")
    free = {n.id for n in nodes(tree) if isinstance(n, ast.Name) and n not in called}
    constants = {*CONSTANTS} - {*own}
    names = tuple(sorted(free - constants, key=natural))
    return Parsed(text, tree, names, tuple(name for name in names if name in CONSTANTS))


class Refusal:
    """Makes the error for a part of a formula."""

    def __init__(self, text: str, argument: str) -> None:
        self.text, self.argument = text, argument

    def __call__(self, node: ast.expr, problem: str, hint: str) -> ArgumentError:
        """The error for a part, with its column, what is wrong and what to write."""
        column = len(self.text.encode()[: node.col_offset].decode()) + 1
        return ArgumentError(
            f"{self.argument}: {problem}, at column {column} of {short(self.text)}; {hint}"
        )


def _tree(text: str, argument: str) -> ast.expr:
    """The syntax of a text."""

    def read() -> ast.expr:
        return ast.parse(text, mode="eval").body

    try:
        try:
            return read()
        except RecursionError:  # a sum of thousands of terms: Python counts the callers too
            with ThreadPoolExecutor(1) as fresh:
                return fresh.submit(read).result()
    except SyntaxError as error:
        column = f" at column {error.offset}" if error.offset else ""
        reason = hints.of_text(text) or error.msg.split(";")[0] + column
        raise ArgumentError(f"{argument}: {reason}: {short(text)}") from None
    except (ValueError, MemoryError, RecursionError):
        raise ArgumentError(
            f"{argument} may hold {LARGEST_SIZE:,} names, numbers and operations, as plain text; "
            f"got {short(text)}"
        ) from None


def _check_size(tree: ast.expr, argument: str) -> None:
    size = sum(1 for _ in nodes(tree))
    if size > LARGEST_SIZE:
        raise ArgumentError(
            f"{argument} may hold {LARGEST_SIZE:,} names, numbers and operations, got {size:,}"
        )


def _check_call(
    node: ast.Call, name: str, count: int, functions: Mapping[str, Row], refuse: Refusal
) -> None:
    """Refuse an unknown function, and one with too few or too many arguments."""
    hint = hints.of_call(name, count)
    if name not in functions:
        problem, near = str(unknown("function", name, functions)).split("; ", 1)
        raise refuse(node, problem, hint or near)
    if problem := functions[name].takes(count):
        raise refuse(node, problem, f"got {count}" + (hint and f": {hint}"))


def _conditions_in(node: ast.expr, refuse: Refusal) -> list[ast.expr]:
    """The conditions that one is made of."""
    match node:
        case ast.Compare(ops=ops) if all(type(op) in COMPARISONS for op in ops):
            return []
        case ast.BoolOp(values=parts):
            return parts
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return [part]
    shown = short(ast.get_source_segment(refuse.text, node) or "")
    raise refuse(node, f"{shown} is no condition", hints.CONDITION)


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
