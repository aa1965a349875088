"""The kernel that keeps paths: tile by tile, each step stored past the caches."""

from gdjax._compiler.program import Program
from gdjax._kernels.call import ALIGNED
from gdjax._kernels.llvm.machine import I32, I64, VOID, WORDS, Value, Variable
from gdjax._kernels.llvm.tiles import Registers, TileWriter


class PathWriter(TileWriter):
    """Writes the functions of a kernel that keeps paths.

    The cells of a tile step until the last one has stopped, each in the lane where it began::

        start
          v
        init <------------------------------------------.
          v                                             |
        choose <--------------------------------------. |
          |--- it is time to judge --> terminate --.  | |
          `--- else --> step ----------------------+  | |
                                                   v  | |
        advance <-----------------------------------  | |
          |--- rows are left --> keep --.             | |
          v                             |             | |
        check <-------------------------'             | |
          |--- some cells run ------------------------' |
          v                                             |
        fill <------------------------.                 |
          |--- rows are left --> repeat_row             |
          v                                             |
        finish --- cells are left ----------------------'
          v
        close

    Attributes:
        cell: the first cell of the tile.
        now: how many steps it has taken.
        phase: how many since it was last judged.
        kept_rows: how many rows of its paths are stored.
    """

    cell, now, phase, kept_rows = Variable(), Variable(), Variable(), Variable()

    def write(self) -> None:
        """All steps of one tile of cells after the other."""
        self.write_postprocess()
        self.begin("sweep", VOID)
        table = (self.word(self.paths, I64(i)) for i in range(5))
        self.rows, self.stride, when, self.points, self.values = table
        self.when = self.b.inttoptr(when, WORDS)
        self.registers = Registers(self, self.carried)
        # The points before a step, and their values.
        self.seen = Registers(self, [*self.carried[: self.dim], self.carried[0]])
        self.done.allocate()
        self.limit = self.splat(self.b, self.steps)
        self.cell = self.first
        self.write_states(
            self.init, self.choose, self.terminate, self.step, self.advance, self.keep,
            self.check, self.fill, self.repeat_row, self.finish, self.close,
        )  # fmt: skip

    def init(self) -> None:
        """Begin a tile of cells; on to ``choose``."""
        self.inputs = self.fetch(self.cell)
        for lane in self.vectors:
            (begun,) = self.run(self.b, self.programs.init, self.inputs(lane))
            for i, value in enumerate(begun):
                self.registers.store(i, lane, value)
        self.now = self.kept_rows = self.phase = self.integer(I64(0))
        self.goto(self.choose)

    def choose(self) -> None:
        """``terminate`` at the start and after every so many steps, else ``step``."""
        self.branch(self.phase.equals(0), self.terminate, self.step)

    def terminate(self) -> None:
        """Step and judge the cells; on to ``advance``."""
        self._step(self.programs.terminate, self.limit)

    def step(self) -> None:
        """Step without a judgement; on to ``advance``."""
        self._step(self.programs.step)

    def _step(self, program: Program, *limit: Value) -> None:
        self.copy(self.seen, self.registers, [(i, i) for i in range(self.dim)])
        went = [self.registers.load(self.flag, lane) for lane in self.vectors]
        found = self.run_step(
            program, lambda lane: [*self.inputs(lane)[self.given], *limit], hold=True
        )
        for lane, mask, value in zip(self.vectors, went, found, strict=True):
            before = self.seen.load(self.dim, lane)
            self.seen.store(self.dim, lane, self.b.select(mask, value, before))
        self.goto(self.advance)

    def advance(self) -> None:
        """Count the step; ``keep`` the points before it while rows are left, else ``check``."""
        phase = self.phase + 1
        self.phase = phase.equals(self.every).select(I64(0), phase)
        self.branch(self.kept_rows < self.rows, self.keep, self.check)

    def keep(self) -> None:
        """Store the points and values where this step is one that is asked for; to ``check``."""
        wanted = self.word(self.when, self.kept_rows)
        with self.b.if_then(wanted.equals(self.now)):
            self._store_row()
        self.goto(self.check)

    def check(self) -> None:
        """On to ``choose`` while cells run, else ``fill``."""
        self.now = self.now + 1
        self.branch(self.running().differs(0), self.choose, self.fill)

    def fill(self) -> None:
        """All have stopped: ``repeat_row`` until no row is left, then ``finish``."""
        self.branch(self.kept_rows < self.rows, self.repeat_row, self.finish)

    def repeat_row(self) -> None:
        """The rest of a path is its last point; back to ``fill``."""
        self._store_row()
        self.goto(self.fill)

    def finish(self) -> None:
        """Finish the cells of the tile; ``init`` the next one, or ``close``."""
        self.copy(self.done, self.registers, enumerate(self.kept))
        for lane in self.vectors:
            self.done.store(self.done.cells, lane, self.numbered(self.cell + lane))
        left = self.end - self.cell
        self.call("postprocess", self.done.memory, (left < self.tile).select(left, I64(self.tile)))
        self.cell = self.cell + self.tile
        self.branch(self.cell < self.end, self.init, self.close)

    def close(self) -> None:
        """Return."""
        self.b.ret_void()

    def _store_row(self) -> None:
        """Store the points and values of the tile in the next row."""
        row = self.kept_rows
        for lane in self.vectors:
            place = (self.cell - self.first + lane) * self.carried[0].itemsize
            for i in range(self.dim + 1):
                point = i < self.dim
                base, line = (self.points, row * self.dim + i) if point else (self.values, row)
                value = self.seen.load(i, lane)
                address = self.pointer(base + (line * self.stride + place), value.type)
                kept = self.b.store(value, address, align=ALIGNED)
                # Nobody reads it soon: it would only push out of the caches what is needed.
                kept.set_metadata("nontemporal", self.module.add_metadata([I32(1)]))
        self.kept_rows = row + 1
