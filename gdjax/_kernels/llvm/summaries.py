"""The kernel that keeps summaries: a lane whose cell has stopped is given the next cell."""

from llvmlite import ir

from gdjax._compiler.program import Program
from gdjax._kernels.llvm.tiles import KERNEL, WORDS, Area, TileWriter
from gdjax._kernels.llvm.vectors import I1, I8, I32, I64, Builder, Value

REFILL = 16  # one lane in this many idle is reason enough to fetch new cells


class SummaryWriter(TileWriter):
    """Writes the functions of a kernel that keeps summaries."""

    def write(self) -> None:
        """All steps of all cells, a tile of them at a time, in ``lanes``.

        Cells are begun and finished by whole tiles: new ones wait in ``queue`` for a lane, and
        stopped ones in ``done`` for company.
        """
        enter, finish = self._write_enter(), self._write_finish()
        b, (first, end, steps, every, layout, bases, outputs, _) = self._begin_function(
            "sweep", ir.VoidType(), KERNEL
        )
        whole = [*self.carried, *self.numbers]
        lanes, queue = Area(self, whole), Area(self, whole)
        done = Area(self, [self.carried[i] for i in self.kept])
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
            "fill", "draw", "more", "begin", "place", "all", "one", "step", "advance", "judge",
            "retire", "together", "apart", "retired", "leave", "end",
        )  # fmt: skip
        at = {block: b.append_basic_block(block) for block in blocks}
        limit = self.splat(b, steps)

        def part(source: Area, i: int, lane: Value, target: Area, j: int, to: Value) -> None:
            b.store(b.load(source.at(b, i, lane)), target.at(b, j, to))

        def retire(source: Area, lane: Value) -> None:
            """Copy a stopped cell to those that are done; finish them when they fill a tile."""
            to = b.load(count)
            for j, i in enumerate([*self.kept, source.cells]):
                part(source, i, lane, done, j, to)
            b.store(b.add(to, I64(1)), count)
            with b.if_then(b.icmp_unsigned("==", to, I64(self.tile - 1))):
                b.call(finish, [done.memory, I64(self.tile), first, outputs])
                b.store(I64(0), count)

        b.branch(at["fill"])

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
        b.store(self._running(b, registers), runs)
        some = b.and_(b.load(occupied), b.not_(b.load(runs)))
        b.cbranch(b.icmp_unsigned("!=", some, I64(0)), at["retire"], at["advance"])
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
        enough = b.sub(b.load(alive), b.udiv(b.load(alive), I64(REFILL)))
        go_on = b.icmp_unsigned(">=", running, enough)
        go_on = b.and_(go_on, b.icmp_unsigned("!=", running, I64(0)))
        b.cbranch(go_on, at["advance"], at["leave"])

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
        queue = Area(self, [*self.carried, *self.numbers], I1(0))
        kinds = [queue.type.as_pointer(), I64, I64, I64, I32, WORDS, WORDS, WORDS]
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
            more = [*inputs[self.given], limit]
            ((*state, _),) = self.run(b, self.programs.judge, [*begun, *more])
            state[self.running] = b.and_(state[self.running], self._mask(b, present, lane))
            for i, value in enumerate([*state, *inputs[self.given]]):
                queue.store(b, i, lane, value)
            queue.store(b, queue.cells, lane, self._numbered(b, b.add(cell, lane)))
            bits = self._bits(b, state[self.running], lane)
            b.store(b.or_(b.load(go), bits), go)
        b.ret(b.load(go))
        return self.module.globals["enter"]

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
