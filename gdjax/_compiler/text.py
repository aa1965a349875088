"""Programs as text that JavaScript and GLSL ES 3.00 both read, but for how they declare a name.

The text is JavaScript: ``const a_=(10.*sin(p0));``. Only literals of floats have a point or an
exponent, names of whole numbers begin with ``i_`` and those of truth values with ``b_``, so that
for a shader ``const`` is replaced by ``float``, ``int`` or ``bool``. Each operation stands in
parentheses of its own or in those of a call, so that whoever wants single precision can round
each. What the languages have under other names is a call: ``power``, ``remainder``, ``single``.
"""

import collections
import itertools
import math
import string
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gdjax._compiler.operations import OPERATIONS
from gdjax._compiler.program import Node, Program, Scalar
from gdjax._compiler.rules import UnsupportedError

_PREFIX = {"f": "", "i": "i_", "b": "b_"}
_DTYPES = tuple(map(np.dtype, ["?", "i4", "i8", "f4", "f8"]))
LONGEST = 300  # characters; a longer expression is given a name, for people and for compilers
_WHOLE = {"add": "+", "sub": "-", "div": "/", "rem": "%", "shl": "<<", "ashr": ">>",
          "and": "&", "or": "|", "xor": "^"}  # fmt: skip
_TRUTH = {"and": "&&", "or": "||", "xor": "!="}
_FOR_WHOLE = ("abs", "max", "min", "imul")
_FUSED = {"fma": "({0}*{1}+{2})", "fms": "({0}*{1}-{2})", "fnma": "({2}-{0}*{1})"}


class Text(NamedTuple):
    """A program as text.

    Args:
        body: its statements.
        results: an expression for each of its outputs.
    """

    body: str
    results: list[str]


def write(program: Program, inputs: Sequence[str]) -> Text:
    """The text of a program.

    Args:
        program: what ``unroll`` made, without functions taken apart.
        inputs: the names of its inputs, which do not end in ``_``.

    Raises:
        UnsupportedError: an operation or a type that the two languages do not share.

    Example:
        >>> import jax
        >>> from gdjax._compiler.lower import unroll
        >>> program = unroll(jax.make_jaxpr(lambda x: (x - 1) ** 2 + x)(np.float32(0)), {})
        >>> write(program, ["p0"])
        Text(body='const a_=single(p0-1.);', results=['single(a_*a_+p0)'])
    """
    live = [node for node in program.live() if node.op != "input"]
    uses = collections.Counter(a for node in live for a in node.args if isinstance(a, Node))
    uses.update(output for output in program.outputs if isinstance(output, Node))
    known = dict(zip(program.inputs, inputs, strict=True))

    def read(scalar: Scalar) -> str:
        return known[scalar] if isinstance(scalar, Node) else literal(scalar)

    names, statements = _names(), []
    for node in live:
        told = _operation(node, [read(a) for a in node.args])
        if uses[node] > 1 or len(told) > LONGEST:
            name = prefix(node.dtype) + next(names)
            statements.append(f"const {name}={told};")
            told = name
        known[node] = told
    return Text("".join(statements), [read(output) for output in program.outputs])


def literal(value: np.generic) -> str:
    """A number as both languages read it.

    Example:
        >>> [literal(x) for x in (np.float64(0.5), np.float64(-1e-8), np.int32(-3), np.bool_(1))]
        ['.5', '(-1e-08)', '(-3)', 'true']
    """
    if value.dtype.kind == "b":
        return str(bool(value)).lower()
    if value.dtype.kind == "f" and math.isnan(value):
        return "NAN"
    prefix(value.dtype)
    told = repr(abs(value.item())).replace("inf", "INF")
    if told.endswith(".0"):
        told = told[:-1]
    if told.startswith("0."):
        told = told[1:] if told != "0." else told
    return f"(-{told})" if math.copysign(1, value) < 0 else told


def _names() -> Iterator[str]:
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            yield "".join(letters) + "_"  # no word of a language, no name of whoever runs the text


def prefix(dtype: Any) -> str:
    """How the names of numbers of that type begin.

    Raises:
        UnsupportedError: a type that the two languages do not share.
    """
    if dtype not in _DTYPES:
        raise UnsupportedError(f"a page has no numbers of {dtype}")
    return _PREFIX[np.dtype(dtype).kind]


def _operation(node: Node, args: list[str]) -> str:
    """One operation, each result of single precision rounded to it."""
    told = _written(node, args)
    if node.dtype != np.float32 or node.op == "select":
        return told
    return "single" + (told if told.startswith("(") else f"({told})")


def _written(node: Node, args: list[str]) -> str:
    op, kind = node.op, _kind(node.args[0])
    if op == "select":
        return "({}?{}:{})".format(*args)
    if op == "convert":
        return _converted(node, args[0])
    if op == "not" and kind == "b":
        return f"(!{args[0]})"
    if op == "neg":
        return f"(-{args[0]})"
    if op in _FUSED:
        return _FUSED[op].format(*args)
    if kind == "i" and op in _WHOLE:
        return f"({args[0]}{_WHOLE[op]}{args[1]}|0)"
    if kind == "b" and op in _TRUTH:
        return f"({args[0]}{_TRUTH[op]}{args[1]})"
    if op not in OPERATIONS:  # a function that the page has
        return f"{op}({','.join(args)})"
    row = OPERATIONS[op]
    name = "imul" if op == "mul" and kind == "i" else row.text or (op if row.jnp else "")
    if not name or (kind == "i" and name not in _FOR_WHOLE and not row.compares):
        raise UnsupportedError(f"a page has no {op} of {node.args[0].dtype}")
    return f"{name}({','.join(args)})" if name[0].isalpha() else f"({args[0]}{name}{args[1]})"


def _converted(node: Node, arg: str) -> str:
    old, new = _kind(node.args[0]), _kind(node)
    if old == new:
        return arg
    if new == "b":
        return f"({arg}!={'0.' if old == 'f' else '0'})"
    return f"{'float' if new == 'f' else 'int'}({arg})"


def _kind(scalar: Scalar) -> str:
    """``f``, ``i`` or ``b``, of a node or a number."""
    prefix(scalar.dtype)
    return scalar.dtype.kind
