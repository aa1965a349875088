"""A sweep as one native kernel: every cell in a lane of a vector, its state in registers.

The three functions of a cell are unrolled into scalars and compiled with LLVM: each scalar becomes
a vector of ``lanes`` cells. A lane whose cell has stopped is given the next cell, so that a sweep
costs the steps that its cells take. No lane ever sees another, and every lane computes the same
operations wherever it sits, so that results do not depend on how cells are cut into calls.
"""

import contextlib
import ctypes
import ctypes.util
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from gdjax.sweeps.cells import Column, Descent, Paths
from gdjax.sweeps.program import Node, Program, Scalar
from gdjax.sweeps.scalarise import UnsupportedError, scalarise

REFILL = 8  # one lane in this many idle is reason enough to fetch new cells
ALIGNED = 64  # bytes: what a store past the caches must be aligned to

_I1, _I8, _I32, _I64 = (ir.IntType(n) for n in (1, 8, 32, 64))
_ARITHMETIC = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "rem": "frem"}
_INTEGER = {"add": "add", "sub": "sub", "mul": "mul", "div": "sdiv", "rem": "srem"}
_COMPARE = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_INTRINSIC = {
    "abs": "fabs", "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "rint": "rint",
    "trunc": "trunc", "fma": "fma", "maximum": "maximum", "minimum": "minimum",
}  # fmt: skip


class Kernel:
    """A compiled sweep, as ``portable.Kernel`` is one, but native.

    Args:
        descent: the functions of one cell.
        start: shape and dtype of a start.
        numbers: shapes and dtypes of the hyperparameters.

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

    def __init__(self, descent: Descent, start: jax.ShapeDtypeStruct, numbers: Any):
        steps = jax.ShapeDtypeStruct((), np.int32)
        begin, cell = scalarise(descent.begin, start, numbers)
        advance, _ = scalarise(descent.advance, cell, numbers, steps)
        finish, self.summary = scalarise(descent.finish, cell)
        self.tile = _lanes(advance, len(begin.outputs))
        self._engine = _compile(str(_Writer(begin, advance, finish, cell, self.tile).module))
        signature = [ctypes.c_int64] * 2 + [ctypes.c_int32] + [ctypes.c_void_p] * 4
        prototype = ctypes.CFUNCTYPE(None, *signature)
        self._sweep, self._record = (
            prototype(self._engine.get_function_address(name)) for name in ("sweep", "record")
        )

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
            begin, end: cells, as the columns number them.
            steps: the most steps that a cell takes.
            columns: one for each scalar of the start, then of the numbers.
            out: one array for each field of the summary, ``(end - begin, …)``; filled.
            paths: where to keep recorded points and values; filled.
        """
        layout = np.array([(c.every, *c.array.shape, *c.array.strides) for c in columns], np.int64)
        bases = np.array([c.array.ctypes.data for c in columns], np.int64)
        places = [
            (array.ctypes.data + k * array.itemsize, array.strides[0])
            for array in out
            for k in range(math.prod(array.shape[1:]))
        ]
        outputs = np.array(places, np.int64)
        pointers = [a.ctypes.data for a in (layout, bases, outputs)]
        if paths is None:
            self._sweep(begin, end, steps, *pointers, None)
            return
        when = np.asarray(paths.when, np.int64)
        kept = [len(when), paths.values.strides[0], when.ctypes.data]
        kept += [paths.points.ctypes.data, paths.values.ctypes.data]
        self._record(begin, end, steps, *pointers, np.array(kept, np.int64).ctypes.data)


def _lanes(program: Program, carried: int) -> int:
    """How many cells a vector holds: enough to hide latencies, few enough to stay in registers."""
    wide = any(node.dtype == np.float64 for node in program.nodes)
    lanes = 64 if carried <= 12 else 32 if carried <= 24 else 16
    return lanes // 2 if wide else lanes


class _Writer:
    """Writes the kernel as LLVM's intermediate representation."""

    def __init__(
        self, begin: Program, advance: Program, finish: Program, cell: Any, lanes: int
    ) -> None:
        self.lanes = lanes
        self.module = ir.Module(name="gdjax")
        self.begin, self.advance, self.finish = begin, advance, finish
        self.outcome = [leaf is cell.outcome for leaf in _scalars(cell)].index(True)
        self.dim = math.prod(cell.point.shape)
        self.active: Any = None
        self._write_sweep()
        self._write_record()

    def _type(self, dtype: Any, lanes: int | None = None) -> ir.Type:
        dtype = np.dtype(dtype)
        if dtype == bool:
            scalar: ir.Type = _I1
        elif dtype.kind in "iu":
            scalar = ir.IntType(8 * dtype.itemsize)
        else:
            scalar = {2: ir.HalfType, 4: ir.FloatType, 8: ir.DoubleType}[dtype.itemsize]()
        return ir.VectorType(scalar, lanes or self.lanes)

    def _constant(self, value: Any) -> ir.Constant:
        kind = self._type(value.dtype)
        plain = int(value) if value.dtype.kind in "biu" else float(value)
        return ir.Constant(kind, [ir.Constant(kind.element, plain)] * self.lanes)

    def _splat(self, builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
        kind = ir.VectorType(value.type, self.lanes)
        first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, _I32(0))
        zeros = ir.Constant(ir.VectorType(_I32, self.lanes), [_I32(0)] * self.lanes)
        return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)

    def run(
        self, builder: ir.IRBuilder, program: Program, inputs: Sequence[ir.Value]
    ) -> list[ir.Value]:
        """Write a program over vectors: the values of its inputs in, those of its outputs out."""
        values: dict[int, ir.Value] = dict(
            zip((node.index for node in program.inputs), inputs, strict=True)
        )

        def read(scalar: Scalar) -> ir.Value:
            return values[scalar.index] if isinstance(scalar, Node) else self._constant(scalar)

        for node in program.live():
            if node.op != "input":
                values[node.index] = self._operation(builder, node, [read(a) for a in node.args])
        return [read(output) for output in program.outputs]

    def _operation(self, builder: ir.IRBuilder, node: Node, args: list[ir.Value]) -> ir.Value:
        op, kind = node.op, self._type(node.dtype)
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

    def _convert(
        self, builder: ir.IRBuilder, value: ir.Value, old: np.dtype, new: np.dtype
    ) -> ir.Value:
        kind, signed = self._type(new), old.kind == "i"
        if new == bool:
            zero = self._constant(old.type(0))
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
        if old.itemsize == new.itemsize and old != bool:
            return value
        if new.itemsize < old.itemsize:
            return builder.trunc(value, kind)
        return (builder.sext if signed else builder.zext)(value, kind)

    def _library_call(
        self, builder: ir.IRBuilder, name: str, node: Node, args: list[ir.Value]
    ) -> ir.Value:
        """Lane by lane, for the active lanes that the first argument marks, if there are any."""
        mask, *vectors = args
        wanted = builder.and_(mask, self.active) if self.active is not None else mask
        bits = builder.bitcast(wanted, ir.IntType(self.lanes))
        scalar = self._type(node.dtype).element
        suffix = "f" if node.dtype == np.float32 else ""
        function = self.module.globals.get(name + suffix) or ir.Function(
            self.module, ir.FunctionType(scalar, [scalar] * len(vectors)), name + suffix
        )
        slots = [self._slot(v.type) for v in [*vectors, vectors[0]]]
        builder.store(vectors[0], slots[-1])
        with builder.if_then(builder.icmp_unsigned("!=", bits, bits.type(0)), likely=False):
            for vector, slot in zip(vectors, slots, strict=False):
                builder.store(vector, slot)
            marks = self._slot(ir.VectorType(_I8, self.lanes))
            builder.store(builder.zext(wanted, marks.type.pointee), marks)
            with self._each(builder) as lane:
                on = builder.load(self._at(builder, marks, lane))
                with builder.if_then(builder.icmp_unsigned("!=", on, _I8(0))):
                    row = [builder.load(self._at(builder, s, lane)) for s in slots[:-1]]
                    builder.store(builder.call(function, row), self._at(builder, slots[-1], lane))
        return builder.load(slots[-1])

    def _slot(self, kind: ir.Type) -> ir.Value:
        """Memory for a value, made at the function's entry."""
        with self.entry.goto_entry_block():
            return self.entry.alloca(kind)

    @staticmethod
    def _at(builder: ir.IRBuilder, slot: ir.Value, lane: ir.Value) -> ir.Value:
        """The address of one lane of a vector in memory."""
        vector = slot.type.pointee
        array = ir.ArrayType(vector.element, vector.count).as_pointer()
        return builder.gep(builder.bitcast(slot, array), [_I64(0), lane], inbounds=True)

    @contextlib.contextmanager
    def _each(self, builder: ir.IRBuilder) -> Iterator[ir.Value]:
        """A loop over the lanes."""
        counter = self._slot(_I64)
        builder.store(_I64(0), counter)
        head = builder.append_basic_block("lane")
        after = builder.append_basic_block("lanes_done")
        builder.branch(head)
        builder.position_at_end(head)
        lane = builder.load(counter)
        yield lane
        following = builder.add(lane, _I64(1))
        builder.store(following, counter)
        builder.cbranch(builder.icmp_unsigned("<", following, _I64(self.lanes)), head, after)
        builder.position_at_end(after)

    def _function(self, name: str) -> tuple[ir.IRBuilder, tuple[ir.Argument, ...]]:
        """A function (first, end, steps, layout, bases, outputs, paths), and its slots."""
        words = _I64.as_pointer()
        kinds = [_I64, _I64, _I32, words, words, words, words]
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), kinds), name)
        self.entry = b = ir.IRBuilder(function.append_basic_block("entry"))
        self.state = [self._slot(self._type(o.dtype)) for o in self.begin.outputs]
        self.given = [self._slot(self._type(i.dtype)) for i in self.begin.inputs]
        self.results = [self._slot(self._type(o.dtype)) for o in self.finish.outputs]
        body = b.append_basic_block("body")
        b.branch(body)
        b.position_at_end(body)
        return b, function.args

    def _step(self, b: ir.IRBuilder, limit: ir.Value) -> tuple[ir.Value, ir.Value]:
        """One step of every lane: how many are running after it, and the values before it."""
        old = [b.load(slot) for slot in self.state]
        zero = self._constant(np.int32(0))
        self.active = b.icmp_signed("<", old[self.outcome], zero)
        numbers = [b.load(slot) for slot in self.given[self.dim :]]
        *state, value = self.run(b, self.advance, [*old, *numbers, limit])
        for new, slot in zip(state, self.state, strict=True):
            b.store(new, slot)
        self.active = None
        bits = ir.IntType(self.lanes)
        runs = b.bitcast(b.icmp_signed("<", state[self.outcome], zero), bits)
        name = f"llvm.ctpop.i{self.lanes}"
        count = self.module.globals.get(name) or ir.Function(
            self.module, ir.FunctionType(bits, [bits]), name
        )
        running = b.call(count, [runs])
        return (b.zext(running, _I64) if self.lanes < 64 else running), value

    def _finish(self, b: ir.IRBuilder) -> None:
        kept = self.run(b, self.finish, [b.load(slot) for slot in self.state])
        for value, slot in zip(kept, self.results, strict=True):
            b.store(value, slot)

    def _write_sweep(self) -> None:
        """Summaries: a lane whose cell has stopped gets the next one."""
        b, (first, end, steps, layout, bases, outputs, _) = self._function("sweep")
        cells = self._slot(ir.VectorType(_I64, self.lanes))
        fresh = self._slot(ir.VectorType(_I8, self.lanes))
        ended = self._slot(self._type(np.int32))
        following, alive = self._slot(_I64), self._slot(_I64)
        b.store(first, following)
        b.store(self._constant(np.int64(-1)), cells)
        for slot in self.state:
            b.store(ir.Constant(slot.type.pointee, None), slot)
        with self._each(b) as lane:  # idle lanes hold a cell too, so that they compute in peace
            self._fetch(b, first, lane, layout, bases)
        refill, step, done = (b.append_basic_block(n) for n in ("refill", "step", "done"))
        limit = self._splat(b, steps)
        b.branch(refill)

        b.position_at_end(refill)
        b.store(b.load(self.state[self.outcome]), ended)
        self._finish(b)
        b.store(_I64(0), alive)
        with self._each(b) as lane:
            b.store(_I8(0), self._at(b, fresh, lane))
            place = self._at(b, cells, lane)
            with b.if_then(b.icmp_signed(">=", b.load(self._at(b, ended, lane)), _I32(0))):
                cell = b.load(place)
                with b.if_then(b.icmp_signed(">=", cell, _I64(0))):
                    self._keep(b, b.sub(cell, first), lane, outputs)
                b.store(_I64(-1), place)
                new = b.load(following)
                with b.if_then(b.icmp_signed("<", new, end)):
                    self._fetch(b, new, lane, layout, bases)
                    b.store(new, place)
                    b.store(b.add(new, _I64(1)), following)
                    b.store(_I8(1), self._at(b, fresh, lane))
            lives = b.icmp_signed(">=", b.load(place), _I64(0))
            b.store(b.add(b.load(alive), b.zext(lives, _I64)), alive)
        mask = b.icmp_unsigned("!=", b.load(fresh), ir.Constant(fresh.type.pointee, None))
        begun = self.run(b, self.begin, [b.load(slot) for slot in self.given])
        for value, slot in zip(begun, self.state, strict=True):
            b.store(b.select(mask, value, b.load(slot)), slot)
        b.cbranch(b.icmp_signed(">", b.load(alive), _I64(0)), step, done)

        b.position_at_end(step)
        running, _ = self._step(b, limit)
        enough = b.sub(b.load(alive), b.udiv(b.load(alive), _I64(REFILL)))
        go_on = b.icmp_signed(">=", running, enough)
        b.cbranch(b.and_(go_on, b.icmp_signed(">", running, _I64(0))), step, refill)

        b.position_at_end(done)
        b.ret_void()

    def _write_record(self) -> None:
        """Paths: one vector of cells after the other, each step stored past the caches."""
        b, (first, end, steps, layout, bases, outputs, paths) = self._function("record")
        count, stride, when, points, values = (
            b.load(b.gep(paths, [_I64(i)], inbounds=True)) for i in range(5)
        )
        when = b.inttoptr(when, _I64.as_pointer())
        tile, k, j = (self._slot(_I64) for _ in range(3))
        seen = self._slot(self.results[self.dim].type.pointee)
        limit = self._splat(b, steps)
        b.store(first, tile)
        names = ("tile", "step", "keep", "next", "after", "fill", "finish", "done")
        head, step, keep, onward, after, fill, finish, done = map(b.append_basic_block, names)
        b.branch(head)

        b.position_at_end(head)
        with self._each(b) as lane:
            cell = b.add(b.load(tile), lane)
            last = b.sub(end, _I64(1))
            self._fetch(b, b.select(b.icmp_signed("<", cell, end), cell, last), lane, layout, bases)
        begun = self.run(b, self.begin, [b.load(slot) for slot in self.given])
        for value, slot in zip(begun, self.state, strict=True):
            b.store(value, slot)
        b.store(_I64(0), k)
        b.store(_I64(0), j)
        b.branch(step)

        def store() -> None:
            """Keep the points and values of the vector in row j."""
            row = b.load(j)
            place = b.mul(b.sub(b.load(tile), first), _I64(self.finish.outputs[self.dim].dtype.itemsize))
            for i, slot in enumerate([*self.before, seen]):
                line = b.add(b.mul(row, _I64(self.dim)), _I64(i)) if i < self.dim else row
                base = points if i < self.dim else values
                address = b.add(base, b.add(b.mul(line, stride), place))
                kept = b.store(b.load(slot), b.inttoptr(address, slot.type), align=ALIGNED)
                kept.set_metadata("nontemporal", self.module.add_metadata([_I32(1)]))
            b.store(b.add(row, _I64(1)), j)

        self.before = [self._slot(slot.type.pointee) for slot in self.state[: self.dim]]
        b.position_at_end(step)
        for slot, kept in zip(self.state, self.before, strict=False):
            b.store(b.load(slot), kept)
        running, value = self._step(b, limit)
        b.store(value, seen)
        now, row = b.load(k), b.load(j)
        more = b.icmp_signed("<", row, count)
        b.cbranch(more, keep, after)
        b.position_at_end(keep)
        wanted = b.load(b.gep(when, [b.load(j)], inbounds=True))
        with b.if_then(b.icmp_signed("==", wanted, now)):
            store()
        b.branch(after)
        b.position_at_end(after)
        b.store(b.add(now, _I64(1)), k)
        b.cbranch(b.icmp_signed(">", running, _I64(0)), step, fill)

        b.position_at_end(fill)  # every cell has stopped: the rest of its path is its last point
        b.cbranch(b.icmp_signed("<", b.load(j), count), onward, finish)
        b.position_at_end(onward)
        store()
        b.branch(fill)

        b.position_at_end(finish)
        self._finish(b)
        with self._each(b) as lane:
            cell = b.add(b.load(tile), lane)
            with b.if_then(b.icmp_signed("<", cell, end)):
                self._keep(b, b.sub(cell, first), lane, outputs)
        b.store(b.add(b.load(tile), _I64(self.lanes)), tile)
        b.cbranch(b.icmp_signed("<", b.load(tile), end), head, done)
        b.position_at_end(done)
        b.ret_void()

    def _fetch(
        self, b: ir.IRBuilder, cell: ir.Value, lane: ir.Value, layout: ir.Value, bases: ir.Value
    ) -> None:
        """Copy the inputs of a cell into a lane."""
        for i, slot in enumerate(self.given):
            every, size, stride = (
                b.load(b.gep(layout, [_I64(3 * i + k)], inbounds=True)) for k in range(3)
            )
            index = b.mul(b.urem(b.udiv(cell, every), size), stride)
            address = b.add(b.load(b.gep(bases, [_I64(i)], inbounds=True)), index)
            element = slot.type.pointee.element
            b.store(b.load(b.inttoptr(address, element.as_pointer())), self._at(b, slot, lane))

    def _keep(
        self, b: ir.IRBuilder, row: ir.Value, lane: ir.Value, outputs: ir.Value
    ) -> None:
        """Copy what is kept of a lane's cell to its row of the output arrays."""
        for i, slot in enumerate(self.results):
            base, stride = (
                b.load(b.gep(outputs, [_I64(2 * i + k)], inbounds=True)) for k in range(2)
            )
            address = b.add(base, b.mul(row, stride))
            element = slot.type.pointee.element
            b.store(b.load(self._at(b, slot, lane)), b.inttoptr(address, element.as_pointer()))


def _scalars(tree: Any) -> list[Any]:
    """A pytree's leaves, each repeated as many times as it holds numbers."""
    return [leaf for leaf in jax.tree.leaves(tree) for _ in range(int(np.prod(leaf.shape)))]


@functools.cache
def _machine() -> llvm.TargetMachine:
    """This processor, with its widest vectors."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    library = ctypes.util.find_library("m")
    if library:
        llvm.load_library_permanently(library)
    target = llvm.Target.from_default_triple()
    found = llvm.get_host_cpu_features()
    if not (found.get("fma") or found.get("neon")):
        raise UnsupportedError("this processor has no fused multiply-add")
    features = found.flatten() + ",-prefer-256-bit"
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True
    )


def _compile(text: str) -> llvm.ExecutionEngine:
    module = llvm.parse_assembly(text)
    module.verify()
    machine = _machine()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine
