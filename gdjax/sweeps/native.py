"""A sweep as one native kernel: every cell in a lane of a vector, its state in registers.

The three functions of a cell are unrolled into scalars and compiled with LLVM: each scalar becomes
a vector of ``lanes`` cells. A lane whose cell has stopped is given the next cell, so that a sweep
costs the steps that its cells take. No lane ever sees another, and every lane computes the same
operations wherever it sits, so that results do not depend on how cells are cut into calls.
"""

import ctypes
import ctypes.util
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from gdjax.sweeps.cells import ALIGNED, Column, Descent, Paths
from gdjax.sweeps.program import Program
from gdjax.sweeps.scalarise import UnsupportedError, scalarise
from gdjax.sweeps.vectors import I8, I32, I64, Builder, Value, Writer

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
        tile: how many cells one vector holds.
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
        advance, _ = scalarise(descent.advance, cell, numbers, steps)
        finish, self.summary = scalarise(descent.finish, cell)
        self.tile = _lanes(advance, len(begin.outputs))
        writer = _Writer(begin, advance, finish, cell, self.tile)
        name = "record" if record else "sweep"
        (writer.write_record if record else writer.write_sweep)(name)
        self._engine = _compile(str(writer.module))
        signature = [ctypes.c_int64] * 2 + [ctypes.c_int32] + [ctypes.c_void_p] * 4
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
        self._function(begin, end, steps, *pointers)


def _lanes(program: Program, carried: int) -> int:
    """How many cells a vector holds: enough to hide latencies, few enough to stay in registers."""
    wide = any(node.dtype == np.float64 for node in program.nodes)
    lanes = 64 if carried <= 10 else 32 if carried <= 64 else 16
    return lanes // 2 if wide else lanes


class _Writer(Writer):
    """Writes the function of a kernel: one that keeps summaries, or one that keeps paths."""

    def __init__(
        self, begin: Program, advance: Program, finish: Program, cell: Any, lanes: int
    ) -> None:
        super().__init__(lanes)
        self.begin, self.advance, self.finish = begin, advance, finish
        self.running = [leaf is cell.running for leaf in _scalars(cell)].index(True)
        self.dim = math.prod(cell.point.shape)

    def _function(self, name: str) -> tuple[Builder, tuple[Value, ...]]:
        """A function (first, end, steps, layout, bases, outputs, paths), and its slots."""
        words = I64.as_pointer()
        kinds = [I64, I64, I32, words, words, words, words]
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), kinds), name)
        self.entry = b = ir.IRBuilder(function.append_basic_block("entry"))
        self.state = [self.slot(self.type(o.dtype)) for o in self.begin.outputs]
        self.given = [self.slot(self.type(i.dtype)) for i in self.begin.inputs]
        self.results = [self.slot(self.type(o.dtype)) for o in self.finish.outputs]
        body = b.append_basic_block("body")
        b.branch(body)
        b.position_at_end(body)
        return b, function.args

    def _step(self, b: Builder, limit: Value) -> tuple[Value, Value]:
        """One step of every lane: how many are running after it, and the values before it."""
        old = [b.load(slot) for slot in self.state]
        numbers = [b.load(slot) for slot in self.given[self.dim :]]
        self.active = old[self.running]
        *state, value = self.run(b, self.advance, [*old, *numbers, limit])
        self.active = None
        for new, slot in zip(state, self.state, strict=True):
            b.store(new, slot)
        bits = ir.IntType(self.lanes)
        name = f"llvm.ctpop.i{self.lanes}"
        count = self.module.globals.get(name) or ir.Function(
            self.module, ir.FunctionType(bits, [bits]), name
        )
        running = b.call(count, [b.bitcast(state[self.running], bits)])
        return (b.zext(running, I64) if self.lanes < 64 else running), value

    def _finish(self, b: Builder) -> None:
        kept = self.run(b, self.finish, [b.load(slot) for slot in self.state])
        for value, slot in zip(kept, self.results, strict=True):
            b.store(value, slot)

    def write_sweep(self, name: str) -> None:
        """Summaries: a lane whose cell has stopped gets the next one."""
        b, (first, end, steps, layout, bases, outputs, _) = self._function(name)
        cells = self.slot(ir.VectorType(I64, self.lanes))
        following, alive, fresh = (self.slot(I64) for _ in range(3))
        b.store(I64(0), alive)
        b.store(first, following)
        b.store(self.constant(np.int64(-1)), cells)
        for slot in self.state:
            b.store(ir.Constant(slot.type.pointee, None), slot)
        with self.each(b) as lane:  # idle lanes hold a cell too, so that they compute in peace
            self._fetch(b, first, lane, layout, bases)
        refill, step, done = (b.append_basic_block(n) for n in ("refill", "step", "done"))
        limit = self.splat(b, steps)
        b.branch(refill)

        b.position_at_end(refill)
        stopped = b.not_(b.bitcast(b.load(self.state[self.running]), ir.IntType(self.lanes)))
        self._finish(b)
        b.store(I64(0), fresh)
        with self.each_of(b, stopped) as lane:
            place = self.at(b, cells, lane)
            cell = b.load(place)
            with b.if_then(b.icmp_signed(">=", cell, I64(0))):
                self._keep(b, b.sub(cell, first), lane, outputs)
                b.store(I64(-1), place)
                b.store(b.sub(b.load(alive), I64(1)), alive)
            new = b.load(following)
            with b.if_then(b.icmp_signed("<", new, end)):
                self._fetch(b, new, lane, layout, bases)
                self._announce(b, b.sub(new, first), outputs)
                b.store(new, place)
                b.store(b.add(new, I64(1)), following)
                b.store(b.add(b.load(alive), I64(1)), alive)
                b.store(b.or_(b.load(fresh), b.shl(I64(1), lane)), fresh)
        narrow = b.trunc(b.load(fresh), stopped.type) if self.lanes < 64 else b.load(fresh)
        mask = b.bitcast(narrow, self.type(bool))
        begun = self.run(b, self.begin, [b.load(slot) for slot in self.given])
        for value, slot in zip(begun, self.state, strict=True):
            b.store(b.select(mask, value, b.load(slot)), slot)
        b.cbranch(b.icmp_signed(">", b.load(alive), I64(0)), step, done)

        b.position_at_end(step)
        running, _ = self._step(b, limit)
        enough = b.sub(b.load(alive), b.udiv(b.load(alive), I64(REFILL)))
        go_on = b.icmp_signed(">=", running, enough)
        b.cbranch(b.and_(go_on, b.icmp_signed(">", running, I64(0))), step, refill)

        b.position_at_end(done)
        b.ret_void()

    def write_record(self, name: str) -> None:
        """Paths: one vector of cells after the other, each step stored past the caches."""
        b, (first, end, steps, layout, bases, outputs, paths) = self._function(name)
        count, stride, when, points, values = (
            b.load(b.gep(paths, [I64(i)], inbounds=True)) for i in range(5)
        )
        when = b.inttoptr(when, I64.as_pointer())
        tile, k, j = (self.slot(I64) for _ in range(3))
        seen = [self.slot(slot.type.pointee) for slot in self.state[: self.dim]]
        seen.append(self.slot(seen[0].type.pointee))  # the value
        limit = self.splat(b, steps)
        b.store(first, tile)
        names = ("tile", "step", "keep", "next", "after", "fill", "finish", "done")
        head, step, keep, onward, after, fill, finish, done = map(b.append_basic_block, names)
        b.branch(head)

        b.position_at_end(head)
        with self.each(b) as lane:
            cell = b.add(b.load(tile), lane)
            last = b.sub(end, I64(1))
            self._fetch(b, b.select(b.icmp_signed("<", cell, end), cell, last), lane, layout, bases)
        begun = self.run(b, self.begin, [b.load(slot) for slot in self.given])
        for value, slot in zip(begun, self.state, strict=True):
            b.store(value, slot)
        b.store(I64(0), k)
        b.store(I64(0), j)
        b.branch(step)

        def store() -> None:
            """Keep the points and values of the vector in row j."""
            row = b.load(j)
            size = self.begin.outputs[0].dtype.itemsize
            place = b.mul(b.sub(b.load(tile), first), I64(size))
            for i, slot in enumerate(seen):
                line = b.add(b.mul(row, I64(self.dim)), I64(i)) if i < self.dim else row
                base = points if i < self.dim else values
                address = b.add(base, b.add(b.mul(line, stride), place))
                kept = b.store(b.load(slot), b.inttoptr(address, slot.type), align=ALIGNED)
                kept.set_metadata("nontemporal", self.module.add_metadata([I32(1)]))
            b.store(b.add(row, I64(1)), j)

        b.position_at_end(step)
        for slot, before in zip(self.state, seen[:-1], strict=False):
            b.store(b.load(slot), before)
        running, value = self._step(b, limit)
        b.store(value, seen[-1])
        now = b.load(k)
        b.cbranch(b.icmp_signed("<", b.load(j), count), keep, after)
        b.position_at_end(keep)
        wanted = b.load(b.gep(when, [b.load(j)], inbounds=True))
        with b.if_then(b.icmp_signed("==", wanted, now)):
            store()
        b.branch(after)
        b.position_at_end(after)
        b.store(b.add(now, I64(1)), k)
        b.cbranch(b.icmp_signed(">", running, I64(0)), step, fill)

        b.position_at_end(fill)  # every cell has stopped: the rest of its path is its last point
        b.cbranch(b.icmp_signed("<", b.load(j), count), onward, finish)
        b.position_at_end(onward)
        store()
        b.branch(fill)

        b.position_at_end(finish)
        self._finish(b)
        with self.each(b) as lane:
            cell = b.add(b.load(tile), lane)
            with b.if_then(b.icmp_signed("<", cell, end)):
                self._keep(b, b.sub(cell, first), lane, outputs)
        b.store(b.add(b.load(tile), I64(self.lanes)), tile)
        b.cbranch(b.icmp_signed("<", b.load(tile), end), head, done)
        b.position_at_end(done)
        b.ret_void()

    def _fetch(self, b: Builder, cell: Value, lane: Value, layout: Value, bases: Value) -> None:
        """Copy the inputs of a cell into a lane."""
        start = self._index(b, cell, layout, 0)  # its components lie at one index
        for i, slot in enumerate(self.given):
            index = start if i < self.dim else self._index(b, cell, layout, i)
            stride = b.load(b.gep(layout, [I64(3 * i + 2)], inbounds=True))
            base = b.load(b.gep(bases, [I64(i)], inbounds=True))
            address = b.add(base, b.mul(index, stride))
            element = slot.type.pointee.element
            b.store(b.load(b.inttoptr(address, element.as_pointer())), self.at(b, slot, lane))

    def _index(self, b: Builder, cell: Value, layout: Value, column: int) -> Value:
        """Where a cell reads a column; it divides, which takes long, only where it must."""
        every, size = (b.load(b.gep(layout, [I64(3 * column + k)], inbounds=True)) for k in (0, 1))
        index = self.slot(I64)
        b.store(I64(0), index)
        with b.if_then(b.icmp_unsigned("!=", size, I64(1))):
            b.store(cell, index)
            with b.if_then(b.icmp_unsigned("!=", every, I64(1))):
                b.store(b.udiv(cell, every), index)
            with b.if_then(b.icmp_unsigned(">=", b.load(index), size)):
                b.store(b.urem(b.load(index), size), index)
        return b.load(index)

    def _announce(self, b: Builder, row: Value, outputs: Value) -> None:
        """Ask for the memory of a cell's results, so that it is there when the cell stops."""
        kinds = [I8.as_pointer(), I32, I32, I32]
        name = "llvm.prefetch.p0"
        prefetch = self.module.globals.get(name) or ir.Function(
            self.module, ir.FunctionType(ir.VoidType(), kinds), name
        )
        for i in range(len(self.results)):
            address = b.inttoptr(self._place(b, row, outputs, i), I8.as_pointer())
            b.call(prefetch, [address, I32(1), I32(2), I32(1)])  # to write, into the second cache

    @staticmethod
    def _place(b: Builder, row: Value, outputs: Value, i: int) -> Value:
        base, stride = (b.load(b.gep(outputs, [I64(2 * i + k)], inbounds=True)) for k in range(2))
        return b.add(base, b.mul(row, stride))

    def _keep(self, b: Builder, row: Value, lane: Value, outputs: Value) -> None:
        """Copy what is kept of a lane's cell to its row of the output arrays."""
        for i, slot in enumerate(self.results):
            element = slot.type.pointee.element
            address = b.inttoptr(self._place(b, row, outputs, i), element.as_pointer())
            b.store(b.load(self.at(b, slot, lane)), address)


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
