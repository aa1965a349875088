"""The kernel that keeps paths: tile by tile, each step stored past the caches."""

from llvmlite import ir

from gdjax._kernels.call import ALIGNED
from gdjax._kernels.llvm.tiles import KERNEL, WORDS, Area, TileWriter
from gdjax._kernels.llvm.vectors import I32, I64


class PathWriter(TileWriter):
    """Writes the function of a kernel that keeps paths."""

    def write(self) -> None:
        """All steps of one tile of cells after the other."""
        finish = self._write_finish()
        b, (first, end, steps, every, layout, bases, outputs, paths) = self._begin_function(
            "sweep", ir.VoidType(), KERNEL
        )
        count, stride, when, points, values = (
            b.load(b.gep(paths, [I64(i)], inbounds=True)) for i in range(5)
        )
        when = b.inttoptr(when, WORDS)
        tile, k, j, phase = (self.slot(I64) for _ in range(4))
        registers = self._registers()
        # The points before a step, and their values.
        seen = [[*(self.slot(s.type.pointee) for s in state[: self.dim]),
                 self.slot(state[0].type.pointee)] for state in registers]  # fmt: skip
        done = Area(self, [self.carried[i] for i in self.kept])
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
            inputs = [[*self._given(b, given, i)[self.given], *more] for i in self.vectors]
            went = [b.load(state[self.running]) for state in registers]
            found = self._step(b, program, registers, inputs, hold=True)
            for value, mask, before in zip(found, went, seen, strict=True):
                b.store(b.select(mask, value, b.load(before[-1])), before[-1])
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
        runs = self._running(b, registers)
        b.cbranch(b.icmp_unsigned("!=", runs, I64(0)), at["step"], at["fill"])

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
