"""A sweep as one native kernel: every cell in a lane of a vector, its state in registers.

The functions of a cell are unrolled into scalars and compiled with LLVM: each scalar becomes
a vector of cells. A lane whose cell has stopped is given the next cell, so that a sweep
costs the steps that its cells take. No lane ever sees another, and every lane computes the same
operations wherever it sits, so that results do not depend on how cells are cut into calls.
"""

import ctypes
import ctypes.util
import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from gdjax.sweeps.cells import ALIGNED, Column, Descent, Paths, stride, stride
from gdjax.sweeps.program import Program
from gdjax.sweeps.scalarise import UnsupportedError, scalarise
from gdjax.sweeps.vectors import I1, I8, I32, I64, Active, Builder, Value, Writer

REFILL = 16  # one lane in this many idle is reason enough to fetch new cells


class Kernel:
    """A compiled sweep, as ``portable.Kernel`` is one, but native.

    Args:
        descent: the functions of one cell.
        start: shape and dtype of a start.
        numbers: shapes and dtypes of the hyperparameters.
        record: whether it keeps paths, or summaries alone.

    Attributes:
        name: what the metadata call it.
        tile: how many cells are computed at once.
        block: how many cells to hand over in a call.
        summary: shapes and dtypes of what is kept of a cell.

    Raises:
        UnsupportedError: a function that cannot be unrolled into scalars.
    """

    name = "native"
    block = 2**14

    def __init__(
        self, descent: Descent, start: jax.ShapeDtypeStruct, numbers: Any, record: bool = False
    ):
        steps = jax.ShapeDtypeStruct((), np.int32)
        begin, cell = scalarise(descent.begin, start, numbers)
        advance, _ = scalarise(descent.advance, cell, numbers)
        judge, _ = scalarise(descent.judge, cell, numbers, steps)
        finish, self.summary = scalarise(descent.finish, cell)
        inside, _ = scalarise(descent.inside, cell.point)
        lanes, self.tile = _sizes(advance, len(begin.outputs))
        programs = Programs(begin, advance, judge, finish, inside)
        writer = _Writer(programs, cell, lanes, self.tile)
        name = "record" if record else "sweep"
        (writer.write_record if record else writer.write_sweep)(name)
        self._engine = _compile(str(writer.module))
        c = ctypes
        signature = [c.c_int64, c.c_int64, c.c_int32, c.c_int64, *[c.c_void_p] * 4]
        address = self._engine.get_function_address(name)
        self._function = ctypes.CFUNCTYPE(None, *signature)(address)

    def __call__(
        self,
        begin: int,
        end: int,
        steps: int,
        columns: Sequence[Column],
        out: Sequence[np.ndarray],
        paths: Paths | None = None,
    ) -> None:
        """Descend the cells from ``begin`` up to ``end``.

        Args:
            begin: the first cell, as the columns number them.
            end: the cell after the last one.
            steps: the most steps that a cell takes.
            columns: one for each scalar of the start, then of the numbers.
            out: one array for each field of the summary, ``(end - begin, …)``; filled.
            paths: where to keep recorded points and values; filled.
        """
        places = [
            (array.ctypes.data + k * array.itemsize, array.strides[0])
            for array in out
            for k in range(math.prod(array.shape[1:]))
        ]
        tables = [
            np.array([(c.every, *c.array.shape, *c.array.strides) for c in columns], np.int64),
            np.array([c.array.ctypes.data for c in columns], np.int64),
            np.array(places, np.int64),
        ]
        if paths is not None:
            when = np.asarray(paths.when, np.int64)
            kept = [len(when), paths.values.strides[0]]
            kept += [a.ctypes.data for a in (when, paths.points, paths.values)]
            tables.append(np.array(kept, np.int64))
        pointers = [table.ctypes.data for table in tables] + [None] * (4 - len(tables))
        self._function(begin, end, steps, stride(steps), *pointers)


def _sizes(program: Program, carried: int) -> tuple[int, int]:
    """Cells in a vector, as wide as the processor's, and in a tile.

    A tile holds enough to hide latencies, and few enough to stay in registers.
    """
    wide = any(node.dtype == np.float64 for node in program.nodes)
    features = _prepare()[1]
    size = 64 if "+avx512f" in features else 32 if "+avx2" in features else 16
    tile = 64 if carried <= 10 else 32 if carried <= 64 else 16
    import os; tile = int(os.environ.get('TILE', tile))
    return size // (8 if wide else 4), tile // 2 if wide else tile


class Programs(NamedTuple):
    """The functions of a cell, unrolled."""

    begin: Program
    advance: Program
    judge: Program
    finish: Program
    inside: Program


class _Area:
    """Memory for a tile of cells: for each scalar an array over the cells; last, which cells.

    Single cells can be copied between areas, which a register cannot do.
    """

    def __init__(self, writer: "_Writer", dtypes: Sequence[np.dtype], memory: Value = None) -> None:
        self.writer, self.dtypes = writer, [*dtypes, np.dtype(np.int64)]
        self.cells = len(dtypes)
        arrays = [ir.ArrayType(self._kept(d).element, writer.tile) for d in self.dtypes]
        self.type = ir.LiteralStructType(arrays)
        self.memory = memory or writer.slot(self.type)

    def _kept(self, dtype: Any) -> Any:
        return self.writer.type(np.int8 if dtype == bool else dtype)

    def _vector(self, b: Builder, i: int, lane: Value) -> Value:
        return b.bitcast(self.at(b, i, lane), self._kept(self.dtypes[i]).as_pointer())

    def load(self, b: Builder, i: int, lane: Value) -> Value:
        """The vector of a scalar that begins at a cell."""
        value = b.load(self._vector(b, i, lane), align=1)
        return b.trunc(value, self.writer.type(bool)) if self.dtypes[i] == bool else value

    def store(self, b: Builder, i: int, lane: Value, value: Value) -> None:
        """Fill the vector of a scalar that begins at a cell."""
        value = b.zext(value, self._kept(bool)) if self.dtypes[i] == bool else value
        b.store(value, self._vector(b, i, lane), align=1)

    def at(self, b: Builder, i: int, lane: Value) -> Value:
        """The address of a scalar of one cell."""
        return b.gep(self.memory, [I32(0), I32(i), lane], inbounds=True)


class _Writer(Writer):
    """Writes the function of a kernel: one that keeps summaries, or one that keeps paths.

    A tile of cells is several vectors, so that one can be computed while another one waits.
    """

    def __init__(self, programs: Programs, cell: Any, lanes: int, tile: int) -> None:
        super().__init__(lanes)
        self.programs, self.tile = programs, tile
        self.vectors = [I64(lane) for lane in range(0, tile, lanes)]  # where they begin
        self.running = [leaf is cell.running for leaf in _scalars(cell)].index(True)
        self.dim = math.prod(cell.point.shape)
        self.carried = [o.dtype for o in programs.begin.outputs]
        self.numbers = [i.dtype for i in programs.begin.inputs[self.dim :]]
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
        """The bits of the first so many cells of a tile, at least one."""
        few = b.icmp_signed("<", count, I64(self.tile))
        left = b.sub(b.shl(I64(1), b.select(few, count, I64(0))), I64(1))
        return b.select(few, left, I64(2**self.tile - 1))

    def _step(
        self, b: Builder, program: Program, registers: Sequence[Sequence[Value]],
        more: Sequence[Sequence[Value]], hold: bool,
    ) -> list[Value]:  # fmt: skip
        """One step of a tile, in its registers: the values before it, by vectors.

        ``hold`` is whether cells that have stopped must stay where they are.
        """
        old = [[b.load(slot) for slot in state] for state in registers]

        def matters(vector: Sequence[Value]) -> Active:
            """The cells that are neither stopped nor lost: only theirs are values that count."""

            def write(b: Builder) -> Value:
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

    def _registers(self) -> list[list[Value]]:
        """For each vector slots for what its cells carry; the compiler makes them registers."""
        return [[self.slot(self.type(dtype)) for dtype in self.carried] for _ in self.vectors]

    def write_sweep(self, name: str) -> None:
        """Summaries: a lane whose cell has stopped gets the next one.

        Cells are begun and finished by whole tiles: new ones wait in ``queue`` for a lane, and
        stopped ones in ``done`` for company.
        """
        enter, finish = self._write_enter(), self._write_finish()
        words = I64.as_pointer()
        b, (first, end, steps, every, layout, bases, outputs, _) = self._begin_function(
            name, ir.VoidType(), [I64, I64, I32, I64, words, words, words, words]
        )
        whole = [*self.carried, *self.numbers]
        lanes, queue = _Area(self, whole), _Area(self, whole)
        done = _Area(self, [self.carried[i] for i in self.kept])
        registers = self._registers()
        following, occupied, alive, waiting, count, runs = (self.slot(I64) for _ in range(6))
        for slot in (occupied, waiting, count, runs):
            b.store(I64(0), slot)
        b.store(first, following)
        for i, dtype in enumerate(whole):  # idle lanes compute too, in peace
            for lane in self.vectors:
                lanes.store(b, i, lane, ir.Constant(self.type(dtype), None))
        all_lanes = self._first(b, I64(self.tile))
        blocks = (
            "retire", "together", "apart", "retired", "fill", "draw", "more", "begin", "place", "all", "one",
            "step", "advance", "judge", "leave", "end",
        )  # fmt: skip
        at = {block: b.append_basic_block(block) for block in blocks}
        limit = self.splat(b, steps)

        def part(source: _Area, i: int, lane: Value, target: _Area, j: int, to: Value) -> None:
            b.store(b.load(source.at(b, i, lane)), target.at(b, j, to))

        def retire(source: _Area, lane: Value) -> None:
            """Copy a stopped cell to those that are done; finish them when they fill a tile."""
            to = b.load(count)
            for j, i in enumerate([*self.kept, source.cells]):
                part(source, i, lane, done, j, to)
            b.store(b.add(to, I64(1)), count)
            with b.if_then(b.icmp_unsigned("==", to, I64(self.tile - 1))):
                b.call(finish, [done.memory, I64(self.tile), first, outputs])
                b.store(I64(0), count)

        b.branch(at["fill"])

        b.position_at_end(at["retire"])  # at once, for a stopped cell may move on
        stopped = b.and_(b.load(occupied), b.not_(b.load(runs)))
        b.store(b.and_(b.load(occupied), b.load(runs)), occupied)
        for i in self.kept:
            for lane, state in zip(self.vectors, registers, strict=True):
                lanes.store(b, i, lane, b.load(state[i]))
        synchronous = b.and_(
            b.icmp_unsigned("==", stopped, all_lanes), b.icmp_unsigned("==", b.load(count), I64(0))
        )
        b.cbranch(synchronous, at["together"], at["apart"])
        b.position_at_end(at["together"])
        for j, i in enumerate([*self.kept, lanes.cells]):
            for lane in self.vectors:
                done.store(b, j, lane, lanes.load(b, i, lane))
        b.call(finish, [done.memory, I64(self.tile), first, outputs])
        b.branch(at["retired"])
        b.position_at_end(at["apart"])
        with self.each_of(b, stopped) as lane:
            retire(lanes, lane)
        b.branch(at["retired"])
        b.position_at_end(at["retired"])
        running = self.count(b, b.load(occupied))
        go_on = b.icmp_unsigned(">=", running, b.sub(b.load(alive), b.udiv(b.load(alive), I64(REFILL))))
        go_on = b.and_(go_on, b.icmp_unsigned("!=", running, I64(0)))
        b.cbranch(go_on, at["advance"], at["leave"])

        b.position_at_end(at["fill"])
        idle = b.xor(b.load(occupied), all_lanes)
        b.cbranch(b.icmp_unsigned("!=", idle, I64(0)), at["draw"], at["step"])
        b.position_at_end(at["draw"])
        b.cbranch(b.icmp_unsigned("!=", b.load(waiting), I64(0)), at["place"], at["more"])
        b.position_at_end(at["more"])
        new = b.load(following)
        b.cbranch(b.icmp_signed("<", new, end), at["begin"], at["step"])
        b.position_at_end(at["begin"])
        go = b.call(enter, [queue.memory, new, first, end, steps, layout, bases, outputs])
        b.store(go, waiting)
        b.store(b.add(new, I64(self.tile)), following)
        present = self._first(b, b.sub(end, new))
        with self.each_of(b, b.and_(present, b.not_(go))) as lane:  # stopped where they began
            retire(queue, lane)
        b.branch(at["fill"])

        b.position_at_end(at["place"])
        b.cbranch(b.icmp_unsigned("==", b.load(occupied), I64(0)), at["all"], at["one"])
        b.position_at_end(at["all"])
        for i in range(len(lanes.dtypes)):
            for lane in self.vectors:
                lanes.store(b, i, lane, queue.load(b, i, lane))
        b.store(b.load(waiting), occupied)
        b.store(I64(0), waiting)
        b.branch(at["fill"])
        b.position_at_end(at["one"])
        to, lane = self.lowest(b, idle), self.lowest(b, b.load(waiting))
        for i in range(len(lanes.dtypes)):
            part(queue, i, lane, lanes, i, to)
        b.store(b.or_(b.load(occupied), b.shl(I64(1), to)), occupied)
        b.store(b.and_(b.load(waiting), b.sub(b.load(waiting), I64(1))), waiting)
        b.branch(at["fill"])

        b.position_at_end(at["step"])
        for lane, state in zip(self.vectors, registers, strict=True):
            for i, slot in enumerate(state):
                b.store(lanes.load(b, i, lane), slot)
        b.store(self.count(b, b.load(occupied)), alive)
        b.cbranch(b.icmp_unsigned("!=", b.load(alive), I64(0)), at["advance"], at["end"])

        def step(program: Program, *limit: Value) -> None:
            numbers = range(len(self.carried), len(whole))
            more = [[*(lanes.load(b, i, lane) for i in numbers), *limit] for lane in self.vectors]
            self._step(b, program, registers, more, hold=False)

        b.position_at_end(at["advance"])
        with self.times(b, b.sub(every, I64(1))):
            step(self.programs.advance)
        b.branch(at["judge"])
        b.position_at_end(at["judge"])
        step(self.programs.judge, limit)
        b.store(I64(0), runs)
        for lane, state in zip(self.vectors, registers, strict=True):
            bits = self._bits(b, b.load(state[self.running]), lane)
            b.store(b.or_(b.load(runs), bits), runs)
        some = b.and_(b.load(occupied), b.not_(b.load(runs)))
        b.cbranch(b.icmp_unsigned("!=", some, I64(0)), at["retire"], at["advance"])
        b.position_at_end(at["leave"])
        for lane, state in zip(self.vectors, registers, strict=True):
            for i, slot in enumerate(state):
                lanes.store(b, i, lane, b.load(slot))
        b.branch(at["fill"])

        b.position_at_end(at["end"])
        b.call(finish, [done.memory, b.load(count), first, outputs])
        b.ret_void()

    def _write_enter(self) -> Value:
        """Begins a tile of cells, judges them, and says which of them go on, by bits."""
        words = I64.as_pointer()
        queue = _Area(self, [*self.carried, *self.numbers], I1(0))
        kinds = [queue.type.as_pointer(), I64, I64, I64, I32, words, words, words]
        b, (queue.memory, cell, first, end, steps, layout, bases, outputs) = self._begin_function(
            "enter", I64, kinds
        )
        self._announce(b, b.sub(cell, first), outputs)
        given = self._fetch(b, cell, end, layout, bases)
        present, limit = self._first(b, b.sub(end, cell)), self.splat(b, steps)
        go = self.slot(I64)
        b.store(I64(0), go)
        with self.times(b, I64(len(self.vectors))) as vector:
            lane = b.mul(vector, I64(self.lanes))
            inputs = self._given(b, given, lane)
            (begun,) = self.run(b, self.programs.begin, inputs)
            # A step on from where it began: later steps come by strides that end with a judgement.
            more = [*inputs[self.dim :], limit]
            ((*state, _),) = self.run(b, self.programs.judge, [*begun, *more])
            state[self.running] = b.and_(state[self.running], self._mask(b, present, lane))
            for i, value in enumerate([*state, *inputs[self.dim :]]):
                queue.store(b, i, lane, value)
            queue.store(b, queue.cells, lane, self._numbered(b, b.add(cell, lane)))
            bits = self._bits(b, state[self.running], lane)
            b.store(b.or_(b.load(go), bits), go)
        b.ret(b.load(go))
        return self.module.globals["enter"]

    def _write_finish(self) -> Value:
        """Finishes so many cells that are done, and keeps what is kept of them."""
        done = _Area(self, [self.carried[i] for i in self.kept], I1(0))
        b, (done.memory, count, first, outputs) = self._begin_function(
            "finish", ir.VoidType(), [done.type.as_pointer(), I64, I64, I64.as_pointer()]
        )
        results = _Area(self, [o.dtype for o in self.programs.finish.outputs])
        vectors = b.udiv(b.add(count, I64(self.lanes - 1)), I64(self.lanes))
        with self.times(b, vectors) as vector:
            lane = b.mul(vector, I64(self.lanes))
            inputs = [ir.Constant(self.type(dtype), ir.Undefined) for dtype in self.carried]
            for j, i in enumerate(self.kept):
                inputs[i] = done.load(b, j, lane)
            (found,) = self.run(b, self.programs.finish, inputs)
            for i, value in enumerate(found):
                results.store(b, i, lane, value)
        origin = b.load(done.at(b, done.cells, I64(0)))
        other = self.slot(ir.IntType(self.lanes))
        b.store(ir.IntType(self.lanes)(0), other)
        for lane in self.vectors:
            numbers = self._numbered(b, b.add(origin, lane))
            differ = b.icmp_signed("!=", done.load(b, done.cells, lane), numbers)
            b.store(b.or_(b.load(other), b.bitcast(differ, ir.IntType(self.lanes))), other)
        neighbours = b.and_(
            b.icmp_unsigned("==", b.load(other), ir.IntType(self.lanes)(0)),
            b.icmp_unsigned("==", count, I64(self.tile)),
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
                with each:
                    with self.times(b, count) as lane:
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

    def write_record(self, name: str) -> None:
        """Paths: one tile of cells after the other, each step stored past the caches."""
        finish = self._write_finish()
        words = I64.as_pointer()
        b, (first, end, steps, every, layout, bases, outputs, paths) = self._begin_function(
            name, ir.VoidType(), [I64, I64, I32, I64, words, words, words, words]
        )
        count, stride, when, points, values = (
            b.load(b.gep(paths, [I64(i)], inbounds=True)) for i in range(5)
        )
        when = b.inttoptr(when, words)
        tile, k, j, phase, runs = (self.slot(I64) for _ in range(5))
        registers = self._registers()
        # The points before a step, and their values.
        seen = [[*(self.slot(s.type.pointee) for s in state[: self.dim]),
                 self.slot(state[0].type.pointee)] for state in registers]  # fmt: skip
        done = _Area(self, [self.carried[i] for i in self.kept])
        limit = self.splat(b, steps)
        b.store(first, tile)
        blocks = ("tile", "step", "judge", "advance", "stepped", "keep", "after", "fill", "next",
                  "finish", "end")  # fmt: skip
        at = {block: b.append_basic_block(block) for block in blocks}
        b.branch(at["tile"])

        b.position_at_end(at["tile"])
        given = self._fetch(b, b.load(tile), end, layout, bases)
        for lane, state in zip(self.vectors, registers, strict=True):
            (begun,) = self.run(b, self.programs.begin, self._given(b, given, lane))
            for value, slot in zip(begun, state, strict=True):
                b.store(value, slot)
        for slot in (k, j, phase):
            b.store(I64(0), slot)
        b.branch(at["step"])

        def store() -> None:
            """Keep the points and values of the tile in row j."""
            row = b.load(j)
            size = self.carried[0].itemsize
            for lane, slots in zip(self.vectors, seen, strict=True):
                place = b.mul(b.add(b.sub(b.load(tile), first), lane), I64(size))
                for i, slot in enumerate(slots):
                    line = b.add(b.mul(row, I64(self.dim)), I64(i)) if i < self.dim else row
                    base = points if i < self.dim else values
                    address = b.add(base, b.add(b.mul(line, stride), place))
                    kept = b.store(b.load(slot), b.inttoptr(address, slot.type), align=ALIGNED)
                    kept.set_metadata("nontemporal", self.module.add_metadata([I32(1)]))
            b.store(b.add(row, I64(1)), j)

        b.position_at_end(at["step"])
        judged = b.icmp_unsigned("==", b.load(phase), I64(0))
        b.cbranch(judged, at["judge"], at["advance"])
        for block, program, more in (
            ("judge", self.programs.judge, [limit]), ("advance", self.programs.advance, [])
        ):  # fmt: skip
            b.position_at_end(at[block])
            for state, before in zip(registers, seen, strict=True):
                for slot, old in zip(state, before[:-1], strict=False):
                    b.store(b.load(slot), old)
            inputs = [[*self._given(b, given, i)[self.dim :], *more] for i in self.vectors]
            values_now = self._step(b, program, registers, inputs, hold=True)
            for value, before in zip(values_now, seen, strict=True):
                b.store(value, before[-1])
            b.branch(at["stepped"])
        b.position_at_end(at["stepped"])
        now, following = b.load(k), b.add(b.load(phase), I64(1))
        around = b.icmp_unsigned("==", following, every)
        b.store(b.select(around, I64(0), following), phase)
        b.cbranch(b.icmp_signed("<", b.load(j), count), at["keep"], at["after"])
        b.position_at_end(at["keep"])
        wanted = b.load(b.gep(when, [b.load(j)], inbounds=True))
        with b.if_then(b.icmp_signed("==", wanted, now)):
            store()
        b.branch(at["after"])
        b.position_at_end(at["after"])
        b.store(b.add(now, I64(1)), k)
        b.store(I64(0), runs)
        for lane, state in zip(self.vectors, registers, strict=True):
            bits = self._bits(b, b.load(state[self.running]), lane)
            b.store(b.or_(b.load(runs), bits), runs)
        b.cbranch(b.icmp_unsigned("!=", b.load(runs), I64(0)), at["step"], at["fill"])

        b.position_at_end(at["fill"])  # all have stopped: the rest of a path is its last point
        b.cbranch(b.icmp_signed("<", b.load(j), count), at["next"], at["finish"])
        b.position_at_end(at["next"])
        store()
        b.branch(at["fill"])

        b.position_at_end(at["finish"])
        for lane, state in zip(self.vectors, registers, strict=True):
            for i, slot in enumerate(self.kept):
                done.store(b, i, lane, b.load(state[slot]))
            done.store(b, done.cells, lane, self._numbered(b, b.add(b.load(tile), lane)))
        left = b.sub(end, b.load(tile))
        few = b.icmp_signed("<", left, I64(self.tile))
        b.call(finish, [done.memory, b.select(few, left, I64(self.tile)), first, outputs])
        b.store(b.add(b.load(tile), I64(self.tile)), tile)
        b.cbranch(b.icmp_signed("<", b.load(tile), end), at["tile"], at["end"])
        b.position_at_end(at["end"])
        b.ret_void()

    def _fetch(self, b: Builder, cell: Value, end: Value, layout: Value, bases: Value) -> Value:
        """The inputs of a tile of cells, in memory; beyond the end the last one is repeated."""
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
            plain = b.and_(
                b.icmp_unsigned("==", every, I64(1)),
                b.and_(b.icmp_unsigned("<=", ahead, size), b.icmp_signed("<=", beyond, end)),
            )
            alike = b.icmp_unsigned("==", size, I64(1))

            def copy(lane: Value, row: Value, stride: Value) -> None:
                address = b.add(base, b.mul(row, stride))
                value = b.load(b.inttoptr(address, line.element.as_pointer()))
                b.store(value, b.gep(given, [I64(0), i, lane], inbounds=True))

            with b.if_else(b.or_(alike, plain)) as (straight, around):
                with straight:
                    step = b.select(alike, I64(0), stride)
                    with self.times(b, I64(self.tile)) as lane:
                        copy(lane, b.add(first, lane), step)
                with around:
                    b.store(first, row)
                    b.store(b.urem(cell, every), part)
                    with self.times(b, I64(self.tile)) as lane:
                        copy(lane, b.load(row), stride)
                        after = b.add(cell, b.add(lane, I64(1)))
                        onward = b.add(b.load(part), I64(1))
                        wrap = b.icmp_unsigned("==", onward, every)
                        following = b.add(b.load(row), b.zext(wrap, I64))
                        following = b.select(
                            b.icmp_unsigned("==", following, size), I64(0), following
                        )
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

    def _announce(self, b: Builder, row: Value, outputs: Value) -> None:
        """Ask for the memory of a tile's results, so that it is there when its cells stop."""
        kinds = [I8.as_pointer(), I32, I32, I32]
        prefetch = self.declare("llvm.prefetch.p0", ir.VoidType(), kinds)
        for i in range(len(self.programs.finish.outputs)):
            base, stride = self._place(b, outputs, i)
            start = b.add(base, b.mul(row, stride))
            lines = b.add(b.lshr(b.mul(stride, I64(self.tile)), I64(6)), I64(1))
            with self.times(b, lines) as line:
                address = b.add(start, b.shl(line, I64(6)))
                pointer = b.inttoptr(address, I8.as_pointer())
                b.call(prefetch, [pointer, I32(1), I32(2), I32(1)])  # to write, second cache

    @staticmethod
    def _place(b: Builder, outputs: Value, i: int) -> tuple[Value, Value]:
        """Where the first row of a result lies, and how far it is to the next."""
        base, stride = (b.load(b.gep(outputs, [I64(2 * i + k)], inbounds=True)) for k in range(2))
        return base, stride


def _scalars(tree: Any) -> list[Any]:
    """A pytree's leaves, each repeated as many times as it holds numbers."""
    return [leaf for leaf in jax.tree.leaves(tree) for _ in range(int(np.prod(leaf.shape)))]


@functools.cache
def _prepare() -> tuple[str, str]:
    """Make LLVM ready for this processor: its name and its features, with its widest vectors."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    library = ctypes.util.find_library("m")
    if library:
        llvm.load_library_permanently(library)
    features = llvm.get_host_cpu_features()
    if not (features.get("fma") or features.get("neon")):
        raise UnsupportedError("this processor has no fused multiply-add")
    wide = ",-prefer-256-bit" if features.get("avx512f") else ""
    return llvm.get_host_cpu_name(), features.flatten() + wide


def _compile(text: str) -> llvm.ExecutionEngine:
    name, features = _prepare()
    target = llvm.Target.from_default_triple()
    # A new one each time: the engine owns it, and takes it along.
    machine = target.create_target_machine(cpu=name, features=features, opt=3, jit=True)
    module = llvm.parse_assembly(text)
    module.verify()
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    passes.getModulePassManager().run(module, passes)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine
