"""Straight-line programs over vectors, written as LLVM's intermediate representation."""

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from gdjax._compiler import elementary
from gdjax._compiler.operations import OPERATIONS
from gdjax._compiler.program import Node, Program, Scalar
from gdjax._descent.loop import ALIGNED

Builder = Any  # ir.IRBuilder and ir.Value, which llvmlite does not type
Value = Any
Active = Callable[[Builder], Value] | None

I1, I8, I32, I64 = (ir.IntType(n) for n in (1, 8, 32, 64))


def _aside(node: Node) -> bool:
    return node.op.startswith(("libm:", "wide:"))


class Writer:
    """Writes programs into functions of one module, every scalar as a vector.

    Args:
        lanes: how many numbers a vector holds.

    Attributes:
        module: what is written.
        entry: a builder in the function being written, whose entry block takes its memory.
    """

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.module = ir.Module(name="gdjax")
        self.entry: Builder = None

    def type(self, dtype: Any) -> Any:
        """The vector of a dtype."""
        dtype = np.dtype(dtype)
        if dtype.kind == "b":
            scalar: Any = I1
        elif dtype.kind in "iu":
            scalar = ir.IntType(8 * dtype.itemsize)
        else:
            scalar = {2: ir.HalfType, 4: ir.FloatType, 8: ir.DoubleType}[dtype.itemsize]()
        return ir.VectorType(scalar, self.lanes)

    def constant(self, value: Any) -> Value:
        """A NumPy scalar in every lane."""
        kind = self.type(value.dtype)
        plain = int(value) if value.dtype.kind in "biu" else float(value)
        return ir.Constant(kind, [ir.Constant(kind.element, plain)] * self.lanes)

    def splat(self, builder: Builder, value: Value) -> Value:
        """A scalar in every lane."""
        kind = ir.VectorType(value.type, self.lanes)
        first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, I32(0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [I32(0)] * self.lanes)
        return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)

    def run(
        self,
        builder: Builder,
        program: Program,
        *inputs: Sequence[Value],
        active: Sequence[Active] = (),
    ) -> list[list[Value]]:
        """Write a program over vectors: the values of its inputs in, those of its outputs out.

        Args:
            builder: where to write.
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
                found = self._asides(builder, group, args, active or [None] * len(values))
                for known, results in zip(values, found, strict=True):
                    known |= {n.index: result for n, result in zip(group, results, strict=True)}
            else:
                for known, given in zip(values, args, strict=True):
                    known[node.index] = self._operation(builder, node, given)
        return [[read(known, output) for output in program.outputs] for known in values]

    def _operation(self, builder: Builder, node: Node, args: list[Value]) -> Value:
        op, kind, given = node.op, self.type(node.dtype), node.args[0].dtype
        row, floating = OPERATIONS[op], given.kind == "f"
        ordered = builder.icmp_signed if given.kind == "i" else builder.icmp_unsigned
        if row.compares and floating:
            compare = builder.fcmp_unordered if op == "ne" else builder.fcmp_ordered
            return compare(row.llvm, *args)
        if row.compares:
            return ordered(row.integer, *args)
        if op == "fms":  # x·y − z
            args = [*args[:2], builder.fneg(args[2])]
        elif op == "fnma":  # z − x·y
            args = [builder.fneg(args[0]), *args[1:]]
        instruction = row.llvm if floating else row.integer
        if instruction.startswith("llvm."):
            return builder.call(self._intrinsic(instruction, kind, len(args)), args)
        if instruction:
            return getattr(builder, instruction)(*args)
        if op in ("div", "rem"):
            return self._divide(builder, op, given, *args)
        if op == "convert":
            return self._convert(builder, args[0], given, node.dtype)
        if op == "bitcast":
            return builder.bitcast(args[0], kind)
        if op == "abs":
            return builder.select(ordered("<", args[0], kind(None)),
                                  builder.neg(args[0]), args[0])  # fmt: skip
        return builder.select(ordered(">" if op == "maximum" else "<", *args), *args)

    def _divide(self, builder: Builder, op: str, kind: np.dtype, x: Value, y: Value) -> Value:
        """Integers, as XLA divides them where a processor would stop: by 0, and beyond the range.

        x/0 is −1 and its remainder x; −x where x has no positive counterpart is x itself.
        """
        one, none = self.constant(kind.type(1)), self.constant(kind.type(0))
        nothing = builder.icmp_signed("==", y, none)
        if kind.kind == "u":
            safe = builder.select(nothing, one, y)
            rest, ratio = builder.urem(x, safe), builder.udiv(x, safe)
        else:
            minus = builder.icmp_signed("==", y, self.constant(kind.type(-1)))
            safe = builder.select(builder.or_(nothing, minus), one, y)
            rest = builder.srem(x, safe)
            ratio = builder.select(minus, builder.neg(x), builder.sdiv(x, safe))
        if op == "rem":
            return builder.select(nothing, x, rest)
        return builder.select(nothing, self.constant(np.invert(kind.type(0))), ratio)

    def _intrinsic(self, name: str, kind: ir.VectorType, arity: int) -> ir.Function:
        width = 32 if isinstance(kind.element, ir.FloatType) else 64
        full = f"{name}.v{self.lanes}f{width}"
        return self.declare(full, kind, [kind] * arity)

    def _convert(self, builder: Builder, value: Value, old: np.dtype, new: np.dtype) -> Value:
        kind, signed = self.type(new), old.kind == "i"
        if new.kind == "b":
            zero = self.constant(old.type(0))
            if old.kind == "f":
                return builder.fcmp_unordered("!=", value, zero)
            return builder.icmp_signed("!=", value, zero)
        if new.kind == "f":
            if old.kind == "f":
                return (builder.fpext if new.itemsize > old.itemsize else builder.fptrunc)(
                    value, kind
                )
            return (builder.sitofp if signed else builder.uitofp)(value, kind)
        if old.kind == "f":
            name = f"llvm.fpto{new.kind[0].replace('i', 's')}i.sat.v{self.lanes}i{8 * new.itemsize}"
            name += f".v{self.lanes}f{8 * old.itemsize}"
            return builder.call(self.declare(name, kind, [value.type]), [value])
        if old.itemsize == new.itemsize and old.kind != "b":
            return value
        if new.itemsize < old.itemsize:
            return builder.trunc(value, kind)
        return (builder.sext if signed else builder.zext)(value, kind)

    def _asides(
        self, builder: Builder, nodes: Sequence[Node], args: Sequence[Sequence[Value]],
        active: Sequence[Active],
    ) -> list[list[Value]]:  # fmt: skip
        """What few lanes need, of the same arguments: computed out of line, if by any.

        The first argument marks the lanes; marked ones that are not active get NaN.
        """
        integer, kind = ir.IntType(self.lanes), args[0][1].type
        given, result = [self.slot(a.type) for a in args[0][1:]], self.slot(kind)
        unknown = self.constant(nodes[0].dtype.type(np.nan))
        merged = [[self.slot(kind) for _ in nodes] for _ in args]
        for slot in itertools.chain(*merged):
            builder.store(unknown, slot)
        wanted = [
            builder.and_(mask, write(builder)) if write else mask
            for (mask, *_), write in zip(args, active, strict=True)
        ]
        bits = [builder.bitcast(mask, integer) for mask in wanted]
        some = functools.reduce(builder.or_, bits)
        with builder.if_then(builder.icmp_unsigned("!=", some, integer(0)), likely=False):
            for mask, own, (_, *vectors), slots in zip(wanted, bits, args, merged, strict=True):
                with builder.if_then(builder.icmp_unsigned("!=", own, integer(0))):
                    for vector, slot in zip(vectors, given, strict=True):
                        builder.store(vector, slot)
                    for node, slot in zip(nodes, slots, strict=True):
                        builder.store(unknown, result)
                        builder.call(self._cold(node, kind), [own, *given, result])
                        value = builder.select(mask, builder.load(result), unknown)
                        builder.store(value, slot)
        return [[builder.load(slot) for slot in slots] for slots in merged]

    def _cold(self, node: Node, kind: Any) -> Value:
        """A function (marks, arguments…, result): the C library's, lane by lane, or a program."""
        where, _, name = node.op.partition(":")
        arity = len(node.args) - 1
        full = f"{where}_{name}_{node.dtype}"
        if full in self.module.globals:
            return self.module.globals[full]
        marks, pointer = ir.IntType(self.lanes), kind.as_pointer()
        function = ir.Function(
            self.module, ir.FunctionType(ir.VoidType(), [marks, *[pointer] * (arity + 1)]), full
        )
        function.linkage = "internal"
        for attribute in ("noinline", "cold"):
            function.attributes.add(attribute)
        outer, self.entry = self.entry, ir.IRBuilder(function.append_basic_block("entry"))
        builder = self.entry
        bits, *slots, result = function.args
        body = builder.append_basic_block("body")
        builder.branch(body)
        builder.position_at_end(body)
        if where == "wide":
            marked = builder.bitcast(bits, self.type(bool))
            ((value,),) = self.run(
                builder, elementary.in_double(name), [builder.load(slots[0])],
                active=[lambda _: marked],
            )  # fmt: skip
            builder.store(value, result)
        else:
            scalar = self._library(name, kind.element, arity)
            wide = builder.zext(bits, I64) if self.lanes < 64 else bits
            with self.each_of(builder, wide) as lane:
                row = [builder.load(self.at(builder, slot, lane)) for slot in slots]
                builder.store(builder.call(scalar, row), self.at(builder, result, lane))
        builder.ret_void()
        self.entry = outer
        return function

    def _library(self, name: str, kind: Any, arity: int) -> Value:
        """A function of the C library."""
        name += "f" if isinstance(kind, ir.FloatType) else ""
        return self.declare(name, kind, [kind] * arity)

    def slot(self, kind: ir.Type) -> Value:
        """Memory for a value, made at the function's entry."""
        with self.entry.goto_entry_block():
            slot = self.entry.alloca(kind)
        slot.align = ALIGNED
        return slot

    @staticmethod
    def at(builder: Builder, slot: Value, lane: Value) -> Value:
        """The address of one lane of a vector in memory."""
        vector = slot.type.pointee
        array = ir.ArrayType(vector.element, vector.count).as_pointer()
        return builder.gep(builder.bitcast(slot, array), [I64(0), lane], inbounds=True)

    @contextlib.contextmanager
    def times(self, builder: Builder, count: Value) -> Iterator[Value]:
        """A loop that is run so many times, perhaps never; gives its counter."""
        counter = self.slot(I64)
        builder.store(I64(0), counter)
        head, body, after = map(builder.append_basic_block, ("head", "body", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        now = builder.load(counter)
        builder.cbranch(builder.icmp_unsigned("<", now, count), body, after)
        builder.position_at_end(body)
        yield now
        builder.store(builder.add(now, I64(1)), counter)
        builder.branch(head)
        builder.position_at_end(after)

    def lowest(self, builder: Builder, bits: Value) -> Value:
        """The first bit that is set."""
        return builder.call(self.declare("llvm.cttz.i64", I64, [I64, I1]), [bits, I1(1)])

    def count(self, builder: Builder, bits: Value) -> Value:
        """How many bits are set."""
        return builder.call(self.declare("llvm.ctpop.i64", I64, [I64]), [bits])

    def declare(self, name: str, result: Any, kinds: Sequence[Any]) -> Value:
        """A function from elsewhere."""
        known = self.module.globals.get(name)
        return known or ir.Function(self.module, ir.FunctionType(result, kinds), name)

    @contextlib.contextmanager
    def each_of(self, builder: Builder, marks: Value) -> Iterator[Value]:
        """A loop over the lanes whose bits, of 64, are set."""
        left = self.slot(I64)
        builder.store(marks, left)
        head, body, after = map(builder.append_basic_block, ("marked", "lane", "lanes_done"))
        builder.branch(head)
        builder.position_at_end(head)
        now = builder.load(left)
        builder.cbranch(builder.icmp_unsigned("!=", now, I64(0)), body, after)
        builder.position_at_end(body)
        yield self.lowest(builder, now)
        builder.store(builder.and_(now, builder.sub(now, I64(1))), left)
        builder.branch(head)
        builder.position_at_end(after)
