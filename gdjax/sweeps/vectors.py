"""Straight-line programs over vectors, written as LLVM's intermediate representation."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from gdjax.sweeps.program import Node, Program, Scalar

Builder = Any  # ir.IRBuilder and ir.Value, which llvmlite does not type
Value = Any

I1, I8, I32, I64 = (ir.IntType(n) for n in (1, 8, 32, 64))
_ARITHMETIC = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "rem": "frem"}
_INTEGER = {"add": "add", "sub": "sub", "mul": "mul", "div": "sdiv", "rem": "srem"}
_COMPARE = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_INTRINSIC = {
    "abs": "fabs", "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "rint": "rint",
    "trunc": "trunc", "fma": "fma", "maximum": "maximum", "minimum": "minimum",
}  # fmt: skip


class Writer:
    """Writes programs into functions of one module, every scalar as a vector.

    Args:
        lanes: how many numbers a vector holds.

    Attributes:
        module: what is written.
        entry: a builder in the function being written, whose entry block takes its memory.
        active: a vector of the lanes that matter, or None for all.
    """

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.module = ir.Module(name="gdjax")
        self.entry: Builder = None
        self.active: Value = None

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

    def run(self, builder: Builder, program: Program, inputs: Sequence[Value]) -> list[Value]:
        """Write a program over vectors: the values of its inputs in, those of its outputs out."""
        values: dict[int, Value] = dict(
            zip((node.index for node in program.inputs), inputs, strict=True)
        )

        def read(scalar: Scalar) -> Value:
            return values[scalar.index] if isinstance(scalar, Node) else self.constant(scalar)

        for node in program.live():
            if node.op != "input":
                values[node.index] = self._operation(builder, node, [read(a) for a in node.args])
        return [read(output) for output in program.outputs]

    def _operation(self, builder: Builder, node: Node, args: list[Value]) -> Value:
        op, kind = node.op, self.type(node.dtype)
        given = node.args[0].dtype
        floating = given.kind == "f"
        if op in _COMPARE:
            if not floating:
                compare = builder.icmp_unsigned if given.kind in "bu" else builder.icmp_signed
                return compare(_COMPARE[op], *args)
            compare = builder.fcmp_unordered if op == "ne" else builder.fcmp_ordered
            return compare(_COMPARE[op], *args)
        if op in _ARITHMETIC and floating:
            return getattr(builder, _ARITHMETIC[op])(*args)
        if op in _INTEGER:
            return getattr(builder, _INTEGER[op])(*args)
        if op == "fms":  # x·y − z
            op, args = "fma", [*args[:2], builder.fneg(args[2])]
        if op == "fnma":  # z − x·y
            op, args = "fma", [builder.fneg(args[0]), *args[1:]]
        if op in _INTRINSIC and floating:
            return builder.call(self._intrinsic(_INTRINSIC[op], kind, len(args)), args)
        if op == "abs":
            return builder.select(builder.icmp_signed("<", args[0], kind(None)),
                                  builder.neg(args[0]), args[0])  # fmt: skip
        if op in ("maximum", "minimum"):
            sign = ">" if op == "maximum" else "<"
            return builder.select(builder.icmp_signed(sign, *args), *args)
        if op.startswith("libm:"):
            return self._library_call(builder, op[5:], node, args)
        if op == "neg":
            return builder.fneg(args[0]) if floating else builder.neg(args[0])
        if op == "convert":
            return self._convert(builder, args[0], given, node.dtype)
        if op == "bitcast":
            return builder.bitcast(args[0], kind)
        plain = {"and": builder.and_, "or": builder.or_, "xor": builder.xor, "not": builder.not_,
                 "shl": builder.shl, "ashr": builder.ashr, "select": builder.select}  # fmt: skip
        return plain[op](*args)

    def _intrinsic(self, name: str, kind: ir.VectorType, arity: int) -> ir.Function:
        width = 32 if isinstance(kind.element, ir.FloatType) else 64
        full = f"llvm.{name}.v{self.lanes}f{width}"
        known = self.module.globals.get(full)
        return known or ir.Function(self.module, ir.FunctionType(kind, [kind] * arity), full)

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
            name = f"llvm.fptosi.sat.v{self.lanes}i{8 * new.itemsize}"
            name += f".v{self.lanes}f{8 * old.itemsize}"
            function = self.module.globals.get(name) or ir.Function(
                self.module, ir.FunctionType(kind, [value.type]), name
            )
            return builder.call(function, [value])
        if old.itemsize == new.itemsize and old.kind != "b":
            return value
        if new.itemsize < old.itemsize:
            return builder.trunc(value, kind)
        return (builder.sext if signed else builder.zext)(value, kind)

    def _library_call(self, builder: Builder, name: str, node: Node, args: list[Value]) -> Value:
        """Lane by lane, for the active lanes that the first argument marks, if there are any."""
        mask, *vectors = args
        wanted = builder.and_(mask, self.active) if self.active is not None else mask
        bits = builder.bitcast(wanted, ir.IntType(self.lanes))
        before = builder.block
        with builder.if_then(builder.icmp_unsigned("!=", bits, bits.type(0)), likely=False):
            *slots, result = (self.slot(v.type) for v in [*vectors, vectors[0]])
            for vector, slot in zip([*vectors, vectors[0]], [*slots, result], strict=True):
                builder.store(vector, slot)
            suffix = "f" if node.dtype == np.float32 else ""
            function = self._lane_by_lane(name + suffix, vectors[0].type, len(vectors))
            builder.call(function, [bits, *slots, result])
            computed, inside = builder.load(result), builder.block
        merged = builder.phi(vectors[0].type)
        merged.add_incoming(vectors[0], before)
        merged.add_incoming(computed, inside)
        return merged

    def _lane_by_lane(self, name: str, kind: Any, arity: int) -> Value:
        """A function (marks, arguments…, result) that calls a library function for marked lanes."""
        full = f"each_{name}"
        if full in self.module.globals:
            return self.module.globals[full]
        element = kind.element
        scalar = ir.Function(self.module, ir.FunctionType(element, [element] * arity), name)
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
        with self.each(builder) as lane:
            narrow = builder.trunc(lane, marks) if self.lanes < 64 else lane
            on = builder.trunc(builder.lshr(bits, narrow), I1)
            with builder.if_then(on):
                row = [builder.load(self.at(builder, slot, lane)) for slot in slots]
                builder.store(builder.call(scalar, row), self.at(builder, result, lane))
        builder.ret_void()
        self.entry = outer
        return function

    def slot(self, kind: ir.Type) -> Value:
        """Memory for a value, made at the function's entry."""
        with self.entry.goto_entry_block():
            return self.entry.alloca(kind)

    @staticmethod
    def at(builder: Builder, slot: Value, lane: Value) -> Value:
        """The address of one lane of a vector in memory."""
        vector = slot.type.pointee
        array = ir.ArrayType(vector.element, vector.count).as_pointer()
        return builder.gep(builder.bitcast(slot, array), [I64(0), lane], inbounds=True)

    @contextlib.contextmanager
    def each(self, builder: Builder) -> Iterator[Value]:
        """A loop over the lanes."""
        counter = self.slot(I64)
        builder.store(I64(0), counter)
        head = builder.append_basic_block("lane")
        after = builder.append_basic_block("lanes_done")
        builder.branch(head)
        builder.position_at_end(head)
        lane = builder.load(counter)
        yield lane
        following = builder.add(lane, I64(1))
        builder.store(following, counter)
        builder.cbranch(builder.icmp_unsigned("<", following, I64(self.lanes)), head, after)
        builder.position_at_end(after)
