"""Straight-line programs over scalars: what one descent step is once nothing is an array.

A node is one operation on one number. Equal operations are one node, constants are folded, so that
a program holds each term once, however it was written.
"""

import collections
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import DTypeLike

from gdjax._compiler.operations import OPERATIONS, Operation

Scalar: TypeAlias = Any  # a Node or a NumPy scalar


_NAMELESS = Operation("")  # what an operation is that has no row


class Node:
    """One operation on scalars, its arguments nodes or NumPy scalars; compares by identity."""

    __slots__ = ("args", "dtype", "index", "op")

    def __init__(self, op: str, args: tuple[Scalar, ...], dtype: np.dtype, index: int):
        self.op, self.args, self.dtype, self.index = op, args, dtype, index


class Program:
    """A list of nodes in the order in which they can be computed.

    Attributes:
        nodes: every operation, arguments before their uses.
        inputs: the nodes that stand for what is passed in.
        outputs: what the program returns: nodes or NumPy scalars.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.inputs: list[Node] = []
        self.outputs: list[Scalar] = []
        self._known: dict[object, Node] = {}

    def input(self, dtype: DTypeLike) -> Node:
        """A new input."""
        node = self._append("input", (len(self.inputs),), np.dtype(dtype))
        self.inputs.append(node)
        return node

    def emit(self, op: str, *args: Scalar, dtype: DTypeLike | None = None) -> Scalar:
        """The node of an operation; an equal one that exists, or a constant where all are known.

        Python numbers take the dtype of the node beside them. ``dtype`` is the result's, where it
        is not the first argument's (``convert``, ``bitcast``).
        """
        like = next((a.dtype for a in args if hasattr(a, "dtype") and a.dtype != bool), None)
        if op == "select":
            like = next((a.dtype for a in args[1:] if hasattr(a, "dtype")), like)
        args = tuple(a if hasattr(a, "dtype") else np.dtype(like).type(a) for a in args)
        simple = self._simplify(op, args, dtype)
        if simple is not None:
            return simple
        row = OPERATIONS.get(op, _NAMELESS)
        if row.compares:
            result = np.dtype(bool)
        else:
            result = np.dtype(dtype or (args[1] if op == "select" else args[0]).dtype)
        keys = tuple(a.index if isinstance(a, Node) else (a.dtype.str, a.tobytes()) for a in args)
        if row.commutes:
            keys = tuple(sorted(keys, key=str))
        key = op, keys, result.str
        if key not in self._known:
            self._known[key] = self._append(op, args, result)
        return self._known[key]

    def live(self) -> Iterator[Node]:
        """The nodes that the outputs need, each soon after its arguments: that saves registers."""
        needed = {o.index for o in self.outputs if isinstance(o, Node)}
        users: dict[int, list[Node]] = collections.defaultdict(list)
        missing: dict[int, int] = {}
        for node in reversed(self.nodes):
            if node.index in needed:
                before = {a.index for a in node.args if isinstance(a, Node)}
                needed |= before
                missing[node.index] = len(before)
                for index in before:
                    users[index].append(node)
        ready = [node for node in reversed(self.nodes) if missing.get(node.index) == 0]
        while ready:
            node = ready.pop()
            yield node
            for user in users[node.index]:  # the last one first
                missing[user.index] -= 1
                if not missing[user.index]:
                    ready.append(user)

    def fuse(self) -> None:
        """Turn a product that is used once, in a sum, into one fused operation with the sum.

        Done here, and not left to a compiler, so that it is done the same way everywhere.
        """
        live = list(self.live())
        uses = collections.Counter(a for node in live for a in node.args if isinstance(a, Node))
        uses.update(output for output in self.outputs if isinstance(output, Node))
        for node in live:
            if node.op not in ("add", "sub") or node.dtype.kind != "f":
                continue
            for i, product in enumerate(node.args):
                if isinstance(product, Node) and product.op == "mul" and uses[product] == 1:
                    fused = "fma" if node.op == "add" else "fms" if i == 0 else "fnma"
                    node.op, node.args = fused, (*product.args, node.args[1 - i])
                    break

    def _append(self, op: str, args: tuple[Scalar, ...], dtype: np.dtype) -> Node:
        node = Node(op, args, dtype, len(self.nodes))
        self.nodes.append(node)
        return node

    def _simplify(
        self, op: str, args: tuple[Scalar, ...], dtype: DTypeLike | None
    ) -> Scalar | None:
        """A constant, or an argument that the result is equal to; None if there is none."""
        constant = [not isinstance(a, Node) for a in args]
        if op == "select":
            if constant[0]:
                return args[1] if args[0] else args[2]
            return args[1] if args[1] is args[2] else None
        if op == "convert":
            if constant[0]:
                return np.dtype(dtype).type(args[0])
            return args[0] if args[0].dtype == dtype else None
        if all(constant) and op in OPERATIONS and (fold := OPERATIONS[op].numpy):
            with np.errstate(all="ignore"):
                return np.asarray(fold(*args))[()]
        if len(args) != 2 or not any(constant):
            return None
        node, number, last = (args[0], args[1], True) if constant[1] else (*args[::-1], False)
        same = (
            (op == "mul" and number == 1)
            or (op == "add" and number == 0)
            or (op in ("sub", "div") and last and number == (op == "div"))
            or (op == "and" and number.dtype == bool and number)
            or (op == "or" and number.dtype == bool and not number)
        )
        return node if same else None
