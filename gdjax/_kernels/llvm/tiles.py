"""Tiles of cells in an LLVM kernel: where they lie, how they begin, step and are kept."""

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from llvmlite import ir

from gdjax._compiler.program import Program
from gdjax._descent.loop import State
from gdjax._kernels.llvm.machine import I32, I64, VOID, WORDS, Integer, Value, Variable
from gdjax._kernels.llvm.vectors import Writer

ARGUMENTS = [I64, I64, I32, I64, WORDS, WORDS, WORDS, WORDS]  # see ``TileWriter``
Pairs = Iterable[tuple[int, int]]


class Programs(NamedTuple):
    """The functions of a cell, unrolled; see ``Descent``."""

    init: Program
    step: Program
    terminate: Program
    postprocess: Program
    inside: Program


class Registers:
    """Scalars of a tile of cells, in slots that the compiler turns into registers."""

    def __init__(self, writer: "TileWriter", dtypes: Sequence[np.dtype]) -> None:
        self.writer = writer
        self.slots = {
            lane: [writer.slot(writer.type(d)) for d in dtypes] for lane in writer.vectors
        }

    def load(self, i: int, lane: Value) -> Value:
        """The vector of a scalar that begins at a lane."""
        return self.writer.b.load(self.slots[lane][i])

    def store(self, i: int, lane: Value, value: Value) -> None:
        """Fill the vector of a scalar that begins at a lane."""
        self.writer.b.store(value, self.slots[lane][i])


class Area:
    """Scalars of a tile of cells in memory, as arrays over the cells; last, which cells they are.

    Single cells can be copied between areas, which a register cannot do.

    Attributes:
        memory: where it lies in the function being written.
    """

    memory: Value

    def __init__(self, writer: "TileWriter", dtypes: Sequence[np.dtype]) -> None:
        self.writer, self.dtypes = writer, [*dtypes, np.dtype(np.int64)]
        self.cells = len(dtypes)
        arrays = [ir.ArrayType(self._kept(d).element, writer.tile) for d in self.dtypes]
        self.type = ir.LiteralStructType(arrays)

    def _kept(self, dtype: np.dtype) -> ir.VectorType:
        return self.writer.type(np.int8 if dtype.kind == "b" else dtype)

    def allocate(self) -> None:
        """Give it memory of the function being written."""
        self.memory = self.writer.slot(self.type)

    def at(self, i: int, lane: Value) -> Value:
        """The address of a scalar of one cell."""
        return self.writer.b.gep(self.memory, [I32(0), I32(i), lane], inbounds=True)

    def _vector(self, i: int, lane: Value) -> Value:
        return self.writer.b.bitcast(self.at(i, lane), self._kept(self.dtypes[i]).as_pointer())

    def load(self, i: int, lane: Value) -> Value:
        """The vector of a scalar that begins at a lane."""
        value = self.writer.b.load(self._vector(i, lane), align=1)
        boolean = self.dtypes[i].kind == "b"
        return self.writer.b.trunc(value, self.writer.type(bool)) if boolean else value

    def store(self, i: int, lane: Value, value: Value) -> None:
        """Fill the vector of a scalar that begins at a lane."""
        if self.dtypes[i].kind == "b":
            value = self.writer.b.zext(value, self._kept(self.dtypes[i]))
        self.writer.b.store(value, self._vector(i, lane), align=1)

    def copy_cell(self, to: Integer, source: "Area", lane: Integer, pairs: Pairs) -> None:
        """Copy one cell of another area to a lane of this one."""
        for i, j in pairs:
            self.writer.b.store(self.writer.b.load(source.at(j, lane)), self.at(i, to))


class TileWriter(Writer):
    """What kernels have in common.

    A tile of cells is several vectors, so that one can be computed while another one waits.

    Attributes:
        vectors: the lanes where they begin.
        all_lanes: the bits of a whole tile.
        flag: which scalar of a cell says whether it runs.
        carried: dtypes of what a cell carries.
        numbers: dtypes of its hyperparameters.
        given: where these are among the inputs of ``init``.
        kept: which scalars of a cell ``postprocess`` looks at.
        done: cells that have stopped.
        registers: what the cells of a tile carry, while they step.
        first: the first cell of a call of the kernel.
        end: the cell after the last one.
        steps: after how many steps a cell stops.
        every: after how many it is judged.
        layout: three words for each input of ``init``; see ``Column``.
        bases: where these inputs lie.
        outputs: two words for each result: where it lies, and how far it is from row to row.
        paths: where paths go; nothing in a kernel that keeps none.
    """

    row, part = Variable(), Variable()
    registers: Registers

    def __init__(self, programs: Programs, cell: State, lanes: int, tile: int) -> None:
        super().__init__(lanes)
        self.programs, self.tile = programs, tile
        self.vectors = [I64(lane) for lane in range(0, tile, lanes)]
        self.all_lanes = I64(2**tile - 1)
        self.flag = cell.running_at
        self.dim = math.prod(cell.point.shape)
        self.carried = [o.dtype for o in programs.init.outputs]
        # The data come last among the inputs: from the start on a cell carries them.
        count = len(programs.step.inputs) - len(self.carried)
        self.given = slice(self.dim, self.dim + count)
        self.numbers = [i.dtype for i in programs.init.inputs[self.given]]
        live = {node.index for node in programs.postprocess.live()}
        inputs = enumerate(programs.postprocess.inputs)
        self.kept = [i for i, node in inputs if node.index in live]
        self.done = Area(self, [self.carried[i] for i in self.kept])

    def begin(self, name: str, result: ir.Type, *own: ir.Type) -> Sequence[Value]:
        """A new function: its own arguments, which come before the kernel's."""
        kinds = [*own, *ARGUMENTS]
        given = self.begin_function(name, result, kinds, *["noinline"] * bool(own))
        (*mine, self.first, self.end, self.steps, self.every, self.layout, self.bases,
         self.outputs, self.paths) = given  # fmt: skip
        return mine

    def call(self, name: str, *own: Value) -> Integer:
        """Call such a function."""
        given = [*own, *self.b.function.args[-len(ARGUMENTS) :]]
        return self.integer(self.b.call(self.module.globals[name], given))

    def copy(self, target: Registers | Area, source: Registers | Area, pairs: Pairs) -> None:
        """Copy scalars of a whole tile: each pair is the place in the target, and in the source."""
        for i, j in pairs:
            for lane in self.vectors:
                target.store(i, lane, source.load(j, lane))

    def bits(self, mask: Value, lane: Value) -> Integer:
        """A vector of booleans that begins at a lane as bits of an integer, one a cell."""
        bits = self.b.bitcast(mask, ir.IntType(self.lanes))
        return self.integer(self.b.zext(bits, I64)) << lane

    def all_bits(self, mask: Callable[[Value], Value]) -> Integer:
        """The bits of a whole tile: ``mask`` writes the vector that begins at a lane."""
        found = (self.bits(mask(lane), lane) for lane in self.vectors)
        return functools.reduce(Integer.__or__, found, self.integer(I64(0)))

    def numbered(self, cell: Integer) -> Value:
        """A vector of the numbers of cells, from one on."""
        ahead = ir.Constant(self.type(np.int64), [I64(i) for i in range(self.lanes)])
        return self.b.add(self.splat(self.b, cell), ahead)

    def running(self) -> Integer:
        """Which cells of a tile run, by bits."""
        return self.all_bits(lambda lane: self.registers.load(self.flag, lane))

    def run_step(
        self, program: Program, more: Callable[[Value], list[Value]], hold: bool
    ) -> list[Value]:
        """One step of a tile, in its registers: the values before it, by vectors.

        Args:
            program: ``step`` or ``terminate``.
            more: its inputs after a cell, of the vector that begins at a lane.
            hold: whether cells that have stopped stay where they are; the values of these may be
                NaN. Else they step on like the others, and what is kept was saved before.
        """
        size = len(self.carried)
        old = [[self.registers.load(i, lane) for i in range(size)] for lane in self.vectors]

        def matter(cells: Sequence[Value]) -> Value:
            """The cells whose values count: those that run and, but for paths, are not lost."""
            if hold:
                return cells[self.flag]
            ((inside,),) = self.run(self.b, self.programs.inside, cells[: self.dim])
            return self.b.and_(inside, cells[self.flag])

        active = [functools.partial(matter, cells) for cells in old]
        inputs = [[*cells, *more(lane)] for cells, lane in zip(old, self.vectors, strict=True)]
        for vector in inputs if not hold else ():
            vector[self.flag] = self.constant(np.bool_(True))
        found = self.run(self.b, program, *inputs, active=active)
        for lane, new in zip(self.vectors, found, strict=True):
            for i, value in enumerate(new[:-1]):
                self.registers.store(i, lane, value)
        return [new[-1] for new in found]

    def write_postprocess(self) -> None:
        """A function (cells, how many) that finishes cells that are done, and keeps the results."""
        self.done.memory, count = self.begin("postprocess", VOID, self.done.type.as_pointer(), I64)
        results = Area(self, [o.dtype for o in self.programs.postprocess.outputs])
        results.allocate()
        with self.times(self.b, (count + (self.lanes - 1)) // self.lanes) as vector:
            lane = vector * self.lanes
            inputs = [ir.Constant(self.type(dtype), ir.Undefined) for dtype in self.carried]
            for j, i in enumerate(self.kept):
                inputs[i] = self.done.load(j, lane)
            (found,) = self.run(self.b, self.programs.postprocess, inputs)
            for i, value in enumerate(found):
                results.store(i, lane, value)
        self._keep(results, count)
        self.b.ret_void()

    def _keep(self, results: Area, count: Integer) -> None:
        """Store results in the rows of their cells."""
        b, done, first = self.b, self.done, self.first
        origin = self.integer(b.load(done.at(done.cells, I64(0))))

        def elsewhere(lane: Value) -> Value:
            return b.icmp_signed("!=", done.load(done.cells, lane), self.numbered(origin + lane))

        # Neighbours, as those of a tile that stopped together are, go to memory as vectors.
        neighbours = self.all_bits(elsewhere).equals(0) & count.equals(self.tile)
        for i, dtype in enumerate(results.dtypes[:-1]):
            base, stride = self.output(i)
            dense = stride.equals(dtype.itemsize)
            with b.if_else(neighbours & dense) as (whole, single):
                with whole:
                    start = base + (origin - first) * stride
                    for lane in self.vectors:
                        value = results.load(i, lane)
                        b.store(value, self.pointer(start + stride * lane, value.type), align=1)
                with single, self.times(b, count) as lane:
                    row = self.integer(b.load(done.at(done.cells, lane))) - first
                    value = b.load(results.at(i, lane))
                    b.store(value, self.pointer(base + row * stride, value.type))

    def output(self, i: int) -> tuple[Integer, Integer]:
        """Where the first row of a result lies, and how far it is to the next."""
        return self.word(self.outputs, I64(2 * i)), self.word(self.outputs, I64(2 * i + 1))

    def fetch(self, cell: Integer) -> Callable[[Value], list[Value]]:
        """Bring the inputs of a tile of cells together; beyond the end the last one is repeated.

        Where a column has a number for each cell, or the same for all, they lie at even distances.

        Returns:
            What reads the vectors of these inputs that begin at a lane.
        """
        inputs = self.programs.init.inputs
        number = self.type(inputs[0].dtype).element
        given = self.slot(ir.ArrayType(ir.ArrayType(number, self.tile), len(inputs)))

        def place(i: Value, lane: Value) -> Value:
            return self.b.gep(given, [I64(0), i, lane], inbounds=True)

        def load(lane: Value) -> list[Value]:
            kinds = [self.type(node.dtype).as_pointer() for node in inputs]
            places = [self.b.bitcast(place(I64(i), lane), kind) for i, kind in enumerate(kinds)]
            return [self.b.load(vector, align=1) for vector in places]

        with self.times(self.b, I64(len(inputs))) as i:
            every, size, stride = (self.word(self.layout, i * 3 + k) for k in range(3))
            base = self.word(self.bases, i)
            first = cell // every % size

            def copy(lane: Integer, row: Integer, stride: Integer) -> None:
                value = self.b.load(self.pointer(base + row * stride, number))
                self.b.store(value, place(i, lane))

            alike = size.equals(1)
            there = (first + self.tile <= size) & (cell + self.tile <= self.end)
            straight = alike | (every.equals(1) & there)
            with self.b.if_else(straight) as (even, around):
                with even, self.times(self.b, I64(self.tile)) as lane:
                    copy(lane, first + lane, alike.select(I64(0), stride))
                with around:
                    self.row, self.part = first, cell % every
                    with self.times(self.b, I64(self.tile)) as lane:
                        copy(lane, self.row, stride)
                        with self.b.if_then(cell + (lane + 1) < self.end):
                            self._next_row(every, size)
        return load

    def _next_row(self, every: Integer, size: Integer) -> None:
        """Go on to the row of the next cell, after so many cells and around at the end."""
        part = self.part + 1
        wrap = part.equals(every)
        row = self.row + wrap.select(I64(1), I64(0))
        self.part = wrap.select(I64(0), part)
        self.row = row.equals(size).select(I64(0), row)
