"""Tiles of cells in a native kernel: where they lie, how they step, begin and are kept."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from gdjax._compiler.program import Program
from gdjax._descent.loop import State
from gdjax._kernels.llvm.vectors import I1, I32, I64, Active, Builder, Value, Writer

WORDS = I64.as_pointer()
KERNEL = [I64, I64, I32, I64, WORDS, WORDS, WORDS, WORDS]  # see ``Kernel``


class Programs(NamedTuple):
    """The functions of a cell, unrolled; see ``Descent``."""

    begin: Program
    advance: Program
    judge: Program
    finish: Program
    inside: Program


class Area:
    """Memory for a tile of cells: for each scalar an array over the cells; last, which cells.

    Single cells can be copied between areas, which a register cannot do.
    """

    def __init__(
        self, writer: "TileWriter", dtypes: Sequence[np.dtype], memory: Value = None
    ) -> None:
        self.writer, self.dtypes = writer, [*dtypes, np.dtype(np.int64)]
        self.cells = len(dtypes)
        arrays = [ir.ArrayType(self._kept(d).element, writer.tile) for d in self.dtypes]
        self.type = ir.LiteralStructType(arrays)
        self.memory = memory or writer.slot(self.type)

    def _kept(self, dtype: np.dtype) -> Any:
        return self.writer.type(np.int8 if dtype.kind == "b" else dtype)

    def _vector(self, b: Builder, i: int, lane: Value) -> Value:
        return b.bitcast(self.at(b, i, lane), self._kept(self.dtypes[i]).as_pointer())

    def load(self, b: Builder, i: int, lane: Value) -> Value:
        """The vector of a scalar that begins at a cell."""
        value, boolean = b.load(self._vector(b, i, lane), align=1), self.dtypes[i].kind == "b"
        return b.trunc(value, self.writer.type(bool)) if boolean else value

    def store(self, b: Builder, i: int, lane: Value, value: Value) -> None:
        """Fill the vector of a scalar that begins at a cell."""
        if self.dtypes[i].kind == "b":
            value = b.zext(value, self._kept(self.dtypes[i]))
        b.store(value, self._vector(b, i, lane), align=1)

    def at(self, b: Builder, i: int, lane: Value) -> Value:
        """The address of a scalar of one cell."""
        return b.gep(self.memory, [I32(0), I32(i), lane], inbounds=True)


class TileWriter(Writer):
    """What kernels have in common.

    A tile of cells is several vectors, so that one can be computed while another one waits.
    """

    def __init__(self, programs: Programs, cell: State, lanes: int, tile: int) -> None:
        super().__init__(lanes)
        self.programs, self.tile = programs, tile
        self.vectors = [I64(lane) for lane in range(0, tile, lanes)]  # where they begin
        self.running = cell.running_at
        self.dim = math.prod(cell.point.shape)
        self.carried = [o.dtype for o in programs.begin.outputs]
        # The data come last among the inputs: from the start on a cell carries them.
        count = len(programs.advance.inputs) - len(self.carried)
        self.given = slice(self.dim, self.dim + count)
        self.numbers = [i.dtype for i in programs.begin.inputs[self.given]]
        live = {node.index for node in programs.finish.live()}
        inputs = enumerate(programs.finish.inputs)
        self.kept = [i for i, node in inputs if node.index in live]  # what ``finish`` looks at

    def _begin_function(self, name: str, result: Any, kinds: Sequence[Any]) -> tuple[Builder, Any]:
        """A new function: a builder at the top of its body, and its arguments."""
        function = ir.Function(self.module, ir.FunctionType(result, kinds), name)
        if name in ("enter", "finish"):
            function.linkage = "internal"
            function.attributes.add("noinline")
        self.entry = b = ir.IRBuilder(function.append_basic_block("entry"))
        body = b.append_basic_block("body")
        b.branch(body)
        b.position_at_end(body)
        return b, function.args

    def _bits(self, b: Builder, mask: Value, lane: Value) -> Value:
        """A vector of booleans that begins at a cell as bits of an integer, one a cell."""
        bits = b.bitcast(mask, ir.IntType(self.lanes))
        return b.shl(b.zext(bits, I64), lane)

    def _mask(self, b: Builder, bits: Value, lane: Value) -> Value:
        """The vector of booleans that begins at a cell, from such an integer."""
        return b.bitcast(b.trunc(b.lshr(bits, lane), ir.IntType(self.lanes)), self.type(bool))

    def _first(self, b: Builder, count: Value) -> Value:
        """The bits of the first so many cells of a tile, or of all where that is more."""
        few = b.icmp_signed("<", count, I64(self.tile))
        left = b.sub(b.shl(I64(1), b.select(few, count, I64(0))), I64(1))
        return b.select(few, left, I64(2**self.tile - 1))

    def _step(
        self, b: Builder, program: Program, registers: Sequence[Sequence[Value]],
        more: Sequence[Sequence[Value]], hold: bool,
    ) -> list[Value]:  # fmt: skip
        """One step of a tile, in its registers: the values before it, by vectors.

        ``hold`` is whether cells that have stopped stay where they are; their values are NaN then.
        """
        old = [[b.load(slot) for slot in state] for state in registers]

        def matters(vector: Sequence[Value]) -> Active:
            """The cells whose values count: those that run and, but for paths, are not lost."""

            def write(b: Builder) -> Value:
                if hold:
                    return vector[self.running]
                ((inside,),) = self.run(b, self.programs.inside, vector[: self.dim])
                return b.and_(inside, vector[self.running])

            return write

        active = list(map(matters, old))
        inputs = [[*vector, *given] for vector, given in zip(old, more, strict=True)]
        for vector in inputs if not hold else ():
            vector[self.running] = self.constant(np.bool_(True))
        found = self.run(b, program, *inputs, active=active)
        for state, new in zip(registers, found, strict=True):
            for slot, value in zip(state, new[:-1], strict=True):
                b.store(value, slot)
        return [new[-1] for new in found]

    def _running(self, b: Builder, registers: Sequence[Sequence[Value]]) -> Value:
        """Which cells of a tile run, by bits."""
        bits = I64(0)
        for lane, state in zip(self.vectors, registers, strict=True):
            bits = b.or_(bits, self._bits(b, b.load(state[self.running]), lane))
        return bits

    def _registers(self) -> list[list[Value]]:
        """For each vector slots for what its cells carry; the compiler makes them registers."""
        return [[self.slot(self.type(dtype)) for dtype in self.carried] for _ in self.vectors]

    def _write_finish(self) -> Value:
        """Finishes so many cells that are done, and keeps what is kept of them."""
        done = Area(self, [self.carried[i] for i in self.kept], I1(0))
        b, (done.memory, count, first, outputs) = self._begin_function(
            "finish", ir.VoidType(), [done.type.as_pointer(), I64, I64, WORDS]
        )
        results = Area(self, [o.dtype for o in self.programs.finish.outputs])
        vectors = b.udiv(b.add(count, I64(self.lanes - 1)), I64(self.lanes))
        with self.times(b, vectors) as vector:
            lane = b.mul(vector, I64(self.lanes))
            inputs = [ir.Constant(self.type(dtype), ir.Undefined) for dtype in self.carried]
            for j, i in enumerate(self.kept):
                inputs[i] = done.load(b, j, lane)
            (found,) = self.run(b, self.programs.finish, inputs)
            for i, value in enumerate(found):
                results.store(b, i, lane, value)
        # Neighbours, as those of a tile that stopped together are, go to memory as vectors.
        origin = b.load(done.at(b, done.cells, I64(0)))
        other = I64(0)
        for lane in self.vectors:
            numbers = self._numbered(b, b.add(origin, lane))
            differ = b.icmp_signed("!=", done.load(b, done.cells, lane), numbers)
            other = b.or_(other, self._bits(b, differ, lane))
        neighbours = b.and_(
            b.icmp_unsigned("==", other, I64(0)), b.icmp_unsigned("==", count, I64(self.tile))
        )
        for i, dtype in enumerate(results.dtypes[:-1]):
            base, stride = self._place(b, outputs, i)
            dense = b.icmp_unsigned("==", stride, I64(dtype.itemsize))
            with b.if_else(b.and_(neighbours, dense)) as (whole, each):
                with whole:
                    start = b.add(base, b.mul(b.sub(origin, first), stride))
                    for lane in self.vectors:
                        address = b.add(start, b.mul(lane, stride))
                        value = results.load(b, i, lane)
                        b.store(value, b.inttoptr(address, value.type.as_pointer()), align=1)
                with each, self.times(b, count) as lane:
                    row = b.sub(b.load(done.at(b, done.cells, lane)), first)
                    value = b.load(results.at(b, i, lane))
                    address = b.add(base, b.mul(row, stride))
                    b.store(value, b.inttoptr(address, value.type.as_pointer()))
        b.ret_void()
        return self.module.globals["finish"]

    def _numbered(self, b: Builder, cell: Value) -> Value:
        """A vector of the numbers of cells, from one on."""
        ahead = ir.Constant(self.type(np.int64), [I64(i) for i in range(self.lanes)])
        return b.add(self.splat(b, cell), ahead)

    def _fetch(self, b: Builder, cell: Value, end: Value, layout: Value, bases: Value) -> Value:
        """The inputs of a tile of cells, in memory; beyond the end the last one is repeated.

        Where a column has a number for each cell, or the same for all, they lie at even distances.
        """
        inputs = self.programs.begin.inputs
        line = ir.ArrayType(self.type(inputs[0].dtype).element, self.tile)
        given = self.slot(ir.ArrayType(line, len(inputs)))
        row, part = self.slot(I64), self.slot(I64)
        with self.times(b, I64(len(inputs))) as i:
            at = b.gep(layout, [b.mul(i, I64(3))], inbounds=True)
            every, size, stride = (b.load(b.gep(at, [I64(k)], inbounds=True)) for k in range(3))
            base = b.load(b.gep(bases, [i], inbounds=True))
            first = b.urem(b.udiv(cell, every), size)
            ahead, beyond = b.add(first, I64(self.tile)), b.add(cell, I64(self.tile))
            there = b.and_(b.icmp_unsigned("<=", ahead, size), b.icmp_signed("<=", beyond, end))
            own = b.and_(b.icmp_unsigned("==", every, I64(1)), there)
            alike = b.icmp_unsigned("==", size, I64(1))

            def copy(lane: Value, row: Value, stride: Value) -> None:
                address = b.add(base, b.mul(row, stride))
                value = b.load(b.inttoptr(address, line.element.as_pointer()))
                b.store(value, b.gep(given, [I64(0), i, lane], inbounds=True))

            with b.if_else(b.or_(alike, own)) as (straight, around):
                with straight, self.times(b, I64(self.tile)) as lane:
                    copy(lane, b.add(first, lane), b.select(alike, I64(0), stride))
                with around:
                    b.store(first, row)
                    b.store(b.urem(cell, every), part)
                    with self.times(b, I64(self.tile)) as lane:
                        copy(lane, b.load(row), stride)
                        after = b.add(cell, b.add(lane, I64(1)))
                        onward = b.add(b.load(part), I64(1))
                        wrap = b.icmp_unsigned("==", onward, every)
                        following = b.add(b.load(row), b.zext(wrap, I64))
                        past = b.icmp_unsigned("==", following, size)
                        following = b.select(past, I64(0), following)
                        with b.if_then(b.icmp_signed("<", after, end)):
                            b.store(b.select(wrap, I64(0), onward), part)
                            b.store(following, row)
        return given

    def _given(self, b: Builder, given: Value, lane: Value) -> list[Value]:
        """A vector of what was fetched, for each input."""
        vectors = []
        for i, node in enumerate(self.programs.begin.inputs):
            place = b.gep(given, [I64(0), I64(i), lane], inbounds=True)
            vectors.append(b.load(b.bitcast(place, self.type(node.dtype).as_pointer()), align=1))
        return vectors

    @staticmethod
    def _place(b: Builder, outputs: Value, i: int) -> tuple[Value, Value]:
        """Where the first row of a result lies, and how far it is to the next."""
        base, stride = (b.load(b.gep(outputs, [I64(2 * i + k)], inbounds=True)) for k in range(2))
        return base, stride
