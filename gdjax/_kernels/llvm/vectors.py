"""Straight-line programs over vectors, written as LLVM's intermediate representation."""

import functools
import itertools
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import DTypeLike
from llvmlite import ir

from gdjax._compiler import elementary
from gdjax._compiler.operations import OPERATIONS
from gdjax._compiler.program import Node, Program, Scalar
from gdjax._kernels.llvm.machine import I1, I32, I64, VOID, Machine, Value

Active = Callable[[], Value] | None


def _aside(node: Node) -> bool:
    return node.op.startswith(("libm:", "wide:"))


class Writer(Machine):
    """Writes programs into functions of one module, every scalar as a vector.

    Args:
        lanes: how many numbers a vector holds.
    """

    def __init__(self, lanes: int) -> None:
        super().__init__()
        self.lanes = lanes

    def type(self, dtype: DTypeLike) -> ir.VectorType:
        """The vector of a dtype."""
        dtype = np.dtype(dtype)
        floats = {2: ir.HalfType, 4: ir.FloatType, 8: ir.DoubleType}
        integer = I1 if dtype.kind == "b" else ir.IntType(8 * dtype.itemsize)
        scalar = integer if dtype.kind in "biu" else floats[dtype.itemsize]()
        return ir.VectorType(scalar, self.lanes)

    def constant(self, value: np.generic) -> Value:
        """A NumPy scalar in every lane."""
        kind = self.type(value.dtype)
        return ir.Constant(kind, [ir.Constant(kind.element, value.item())] * self.lanes)

    def splat(self, b: ir.IRBuilder, value: Value) -> Value:
        """A scalar in every lane."""
        kind = ir.VectorType(value.type, self.lanes)
        first = b.insert_element(ir.Constant(kind, ir.Undefined), value, I32(0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [I32(0)] * self.lanes)
        return b.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)

    def run(
        self,
        b: ir.IRBuilder,
        program: Program,
        *inputs: Sequence[Value],
        active: Sequence[Active] = (),
    ) -> list[list[Value]]:
        """Write a program over vectors: the values of its inputs in, those of its outputs out.

        Args:
            b: where to write.
            program: what.
            *inputs: for each vector; operations are written in turn for one after the other, so
                that a processor can work at one while another one waits.
            active: for each vector what writes which lanes matter; by default all do.
        """
        indices = [node.index for node in program.inputs]
        values = [dict(zip(indices, vector, strict=True)) for vector in inputs]

        def read(known: dict[int, Value], scalar: Scalar) -> Value:
            return known[scalar.index] if isinstance(scalar, Node) else self.constant(scalar)

        live = [node for node in program.live() if node.op != "input"]
        for node in live:
            if node.index in values[0]:
                continue
            args = [[read(known, a) for a in node.args] for known in values]
            if _aside(node):
                group = [other for other in live if _aside(other) and other.args == node.args]
                found = self._asides(b, group, args, active or [None] * len(values))
            else:
                group, found = [node], [[self._operation(b, node, given)] for given in args]
            for known, results in zip(values, found, strict=True):
                known |= zip([n.index for n in group], results, strict=True)
        return [[read(known, output) for output in program.outputs] for known in values]

    def _operation(self, b: ir.IRBuilder, node: Node, args: list[Value]) -> Value:
        op, kind, given = node.op, self.type(node.dtype), node.args[0].dtype
        row, floating = OPERATIONS[op], given.kind == "f"
        ordered = b.icmp_signed if given.kind == "i" else b.icmp_unsigned
        if row.compares and floating:
            compare = b.fcmp_unordered if op == "ne" else b.fcmp_ordered
            return compare(row.llvm, *args)
        if row.compares:
            return ordered(row.integer, *args)
        if op in ("fms", "fnma"):  # x·y − z and z − x·y
            negated = 2 if op == "fms" else 0
            args[negated] = b.fneg(args[negated])
        instruction = row.llvm if floating else row.integer
        if instruction.startswith("llvm."):
            name = f"{instruction}.v{self.lanes}f{8 * given.itemsize}"
            return b.call(self.declare(name, kind, [kind] * len(args)), args)
        if instruction:
            return getattr(b, instruction)(*args)
        if op in ("div", "rem"):
            return self._divide(b, op, given, *args)
        if op == "convert":
            return self._convert(b, args[0], given, node.dtype)
        if op == "bitcast":
            return b.bitcast(args[0], kind)
        if op == "abs":
            return b.select(ordered("<", args[0], kind(None)), b.neg(args[0]), args[0])
        return b.select(ordered(">" if op == "maximum" else "<", *args), *args)

    def _divide(self, b: ir.IRBuilder, op: str, kind: np.dtype, x: Value, y: Value) -> Value:
        """Integers, as XLA divides them where a processor would stop: by 0, and beyond the range.

        x/0 is −1 and its remainder x; −x where x has no positive counterpart is x itself.
        """
        one, none = self.constant(kind.type(1)), self.constant(kind.type(0))
        nothing = b.icmp_signed("==", y, none)
        if kind.kind == "u":
            safe = b.select(nothing, one, y)
            rest, ratio = b.urem(x, safe), b.udiv(x, safe)
        else:
            minus = b.icmp_signed("==", y, self.constant(kind.type(-1)))
            safe = b.select(b.or_(nothing, minus), one, y)
            rest = b.srem(x, safe)
            ratio = b.select(minus, b.neg(x), b.sdiv(x, safe))
        if op == "rem":
            return b.select(nothing, x, rest)
        return b.select(nothing, self.constant(np.invert(kind.type(0))), ratio)

    def _convert(self, b: ir.IRBuilder, value: Value, old: np.dtype, new: np.dtype) -> Value:
        kind, signed, wider = self.type(new), old.kind == "i", new.itemsize > old.itemsize
        if new.kind == "b":
            compare = b.fcmp_unordered if old.kind == "f" else b.icmp_signed
            return compare("!=", value, self.constant(old.type(0)))
        if old.kind == "f" and new.kind != "f":
            name = f"llvm.fpto{new.kind[0].replace('i', 's')}i.sat.v{self.lanes}i{8 * new.itemsize}"
            name += f".v{self.lanes}f{8 * old.itemsize}"
            return b.call(self.declare(name, kind, [value.type]), [value])
        if old.kind == "f":
            return (b.fpext if wider else b.fptrunc)(value, kind)
        if new.kind == "f":
            return (b.sitofp if signed else b.uitofp)(value, kind)
        if new.itemsize < old.itemsize:
            return b.trunc(value, kind)
        return (b.sext if signed else b.zext)(value, kind)  # the value itself, of the same size

    def _asides(
        self, b: ir.IRBuilder, nodes: Sequence[Node], args: Sequence[Sequence[Value]],
        active: Sequence[Active],
    ) -> list[list[Value]]:  # fmt: skip
        """Functions of the same arguments that few lanes need, called only where some lane does.

        The first argument marks these lanes; marked ones that are not active get NaN.
        """
        integer, kind = ir.IntType(self.lanes), args[0][1].type
        given, result = [self.slot(a.type) for a in args[0][1:]], self.slot(kind)
        unknown = self.constant(nodes[0].dtype.type(np.nan))
        merged = [[self.slot(kind) for _ in nodes] for _ in args]
        for slot in itertools.chain(*merged):
            b.store(unknown, slot)
        wanted = [
            b.and_(mask, write()) if write else mask
            for (mask, *_), write in zip(args, active, strict=True)
        ]
        bits = [b.bitcast(mask, integer) for mask in wanted]
        some = functools.reduce(b.or_, bits)
        with b.if_then(b.icmp_unsigned("!=", some, integer(0)), likely=False):
            for mask, own, (_, *vectors), slots in zip(wanted, bits, args, merged, strict=True):
                with b.if_then(b.icmp_unsigned("!=", own, integer(0))):
                    for vector, slot in zip(vectors, given, strict=True):
                        b.store(vector, slot)
                    for node, slot in zip(nodes, slots, strict=True):
                        b.store(unknown, result)
                        b.call(self._cold(node, kind), [own, *given, result])
                        value = b.select(mask, b.load(result), unknown)
                        b.store(value, slot)
        return [[b.load(slot) for slot in slots] for slots in merged]

    def _cold(self, node: Node, kind: ir.VectorType) -> Value:
        """A function (marks, arguments…, result): the C library's, lane by lane, or a program."""
        where, _, name = node.op.partition(":")
        full = f"{where}_{name}_{node.dtype}"
        if full in self.module.globals:
            return self.module.globals[full]
        outer = dict(vars(self))  # the function that is being written goes on afterwards
        kinds = [ir.IntType(self.lanes), *[kind.as_pointer()] * len(node.args)]
        bits, *slots, result = self.begin_function(full, VOID, kinds, "noinline", "cold")
        b = self.b
        if where == "wide":
            marked = b.bitcast(bits, self.type(bool))
            given = [b.load(slots[0])]
            ((value,),) = self.run(b, elementary.in_double(name), given, active=[lambda: marked])
            b.store(value, result)
        else:
            name += "f" if isinstance(kind.element, ir.FloatType) else ""
            scalar = self.declare(name, kind.element, [kind.element] * len(slots))
            array = ir.ArrayType(kind.element, self.lanes).as_pointer()
            arrays = [b.bitcast(slot, array) for slot in (*slots, result)]
            with self.each_of(b, b.zext(bits, I64)) as lane:
                *row, to = (b.gep(a, [I64(0), lane], inbounds=True) for a in arrays)
                b.store(b.call(scalar, [b.load(x) for x in row]), to)
        b.ret_void()
        vars(self).update(outer)
        return self.module.globals[full]
