"""The kernel that keeps summaries: a lane whose cell has stopped is given the next cell."""

from llvmlite import ir

from gdjax._compiler.program import Program
from gdjax._kernels.llvm.machine import I64, VOID, Integer, Value, Variable
from gdjax._kernels.llvm.tiles import Area, Registers, TileWriter

REFILL = 16  # one lane in this many idle is reason enough to fetch new cells


class SummaryWriter(TileWriter):
    """Writes the functions of a kernel that keeps summaries.

    Cells begin and are finished by whole tiles: new ones wait in ``queue`` until a lane is idle,
    stopped ones in ``done`` until they fill a tile. In between they lie in ``current``, and step
    in registers::

        start
          v
        refill <--------------------------------------------------.
          |--- no cell waits, but some have not begun --> init ---+
          |--- cells wait, all lanes are idle --> place_all ------+
          |--- cells wait, some lanes are idle --> place_one -----+
          v    no lane is idle, or no cell is left                |
        load --- no lane has a cell --> close                     |
          v                                                       |
        step <----------------------------------.                 |
          v                                     |                 |
        terminate --- no cell has stopped ------+                 |
          v                                     |                 |
        retire                                  |                 |
          v                                     |                 |
        check --- enough lanes have a cell -----'                 |
          v                                                       |
        unload ---------------------------------------------------'

    Attributes:
        following: the first cell that has not begun.
        occupied: the lanes whose cell runs, by bits.
        started: how many they were when the registers were loaded.
        waiting: the lanes of ``queue`` whose cell waits, by bits.
        stopped: the lanes whose cell has just been seen to stop, by bits.
        filled: how many cells are in ``done``.
    """

    following, occupied, started = Variable(), Variable(), Variable()
    waiting, stopped, filled = Variable(), Variable(), Variable()

    def write(self) -> None:
        """All steps of all cells, a tile of them at a time."""
        whole = [*self.carried, *self.numbers]
        self.current, self.queue = Area(self, whole), Area(self, whole)
        self.everything = [(i, i) for i in range(len(self.current.dtypes))]
        self.results = [*enumerate([*self.kept, self.current.cells])]
        self.write_postprocess()
        self._write_init()
        self.begin("sweep", VOID)
        for area in (self.current, self.queue, self.done):
            area.allocate()
        self.registers = Registers(self, self.carried)
        self.following = self.first
        self.occupied = self.waiting = self.filled = self.integer(I64(0))
        for i, dtype in enumerate(whole):  # idle lanes compute too: with zeros, not with garbage
            for lane in self.vectors:
                self.current.store(i, lane, ir.Constant(self.type(dtype), None))
        self.limit = self.splat(self.b, self.steps)
        self.write_states(
            self.refill, self.init, self.place_all, self.place_one, self.load,
            self.step, self.terminate, self.retire, self.check, self.unload, self.close,
        )  # fmt: skip

    def refill(self) -> None:
        """Fill idle lanes with cells that wait, or ``init`` more; ``load`` where neither can be."""
        with self.b.if_then(self._idle().equals(0)):
            self.goto(self.load)
        with self.b.if_then(self.waiting.equals(0)):
            self.branch(self.following < self.end, self.init, self.load)
        self.branch(self.occupied.equals(0), self.place_all, self.place_one)

    def init(self) -> None:
        """Begin a tile of cells; those that stop where they began are done; on to ``refill``."""
        first = self.following
        self.waiting = self.call("init", self.queue.memory, first)
        self.following = first + self.tile
        left = self.end - first
        few = (left < self.tile).select((self.integer(I64(1)) << left) - 1, self.all_lanes)
        with self.each_of(self.b, few & ~self.waiting) as lane:
            self._retire(self.queue, lane)
        self.goto(self.refill)

    def place_all(self) -> None:
        """Give a whole tile to the lanes; on to ``refill``."""
        self.copy(self.current, self.queue, self.everything)
        self.occupied, self.waiting = self.waiting, self.integer(I64(0))
        self.goto(self.refill)

    def place_one(self) -> None:
        """Give the first cell that waits to the first idle lane; on to ``refill``."""
        to, lane = self._idle().lowest(), self.waiting.lowest()
        self.current.copy_cell(to, self.queue, lane, self.everything)
        self.occupied = self.occupied | (self.integer(I64(1)) << to)
        self.waiting = self.waiting.rest()
        self.goto(self.refill)

    def load(self) -> None:
        """Load the registers and ``step``; ``close`` where no lane has a cell."""
        self.copy(self.registers, self.current, self.everything[: len(self.carried)])
        self.started = self.occupied.ones()
        self.branch(self.started.differs(0), self.step, self.close)

    def step(self) -> None:
        """Step without a judgement, up to the step that ``terminate`` judges."""
        with self.times(self.b, self.every - 1):
            self._step(self.programs.step)
        self.goto(self.terminate)

    def terminate(self) -> None:
        """Step and judge the cells: ``retire`` those that stop, or go on to ``step``."""
        self._step(self.programs.terminate, self.limit)
        self.stopped = self.occupied & ~self.running()
        self.branch(self.stopped.differs(0), self.retire, self.step)

    def retire(self) -> None:
        """Keep the cells that stopped, before their lanes step on; then ``check``."""
        self.occupied = self.occupied & ~self.stopped
        self.copy(self.current, self.registers, [(i, i) for i in self.kept])
        together = self.stopped.equals(self.all_lanes) & self.filled.equals(0)
        with self.b.if_else(together) as (whole, single):
            with whole:
                self.copy(self.done, self.current, self.results)
                self.call("postprocess", self.done.memory, I64(self.tile))
            with single, self.each_of(self.b, self.stopped) as lane:
                self._retire(self.current, lane)
        self.goto(self.check)

    def check(self) -> None:
        """``step`` while enough lanes have a cell, else ``unload`` the registers."""
        running = self.occupied.ones()
        enough = self.started - self.started // REFILL
        self.branch((running >= enough) & running.differs(0), self.step, self.unload)

    def unload(self) -> None:
        """Put the registers back into memory, where cells can be placed; on to ``refill``."""
        self.copy(self.current, self.registers, self.everything[: len(self.carried)])
        self.goto(self.refill)

    def close(self) -> None:
        """Finish the last cells that are done, fewer than a tile, and return."""
        self.call("postprocess", self.done.memory, self.filled)
        self.b.ret_void()

    def _idle(self) -> Integer:
        return self.occupied ^ self.all_lanes

    def _step(self, program: Program, *limit: Value) -> None:
        numbers = range(len(self.carried), self.current.cells)
        self.run_step(
            program, lambda lane: [*(self.current.load(i, lane) for i in numbers), *limit],
            hold=False,
        )  # fmt: skip

    def _retire(self, source: Area, lane: Integer) -> None:
        """Copy a stopped cell to those that are done; finish them when they fill a tile."""
        to = self.filled
        self.done.copy_cell(to, source, lane, self.results)
        self.filled = to + 1
        with self.b.if_then(to.equals(self.tile - 1)):
            self.call("postprocess", self.done.memory, I64(self.tile))
            self.filled = self.integer(I64(0))

    def _write_init(self) -> None:
        """A function (cells, first cell) that begins a tile: bits say which of its cells go on."""
        self.queue.memory, cell = self.begin("init", I64, self.queue.type.as_pointer(), I64)
        load = self.fetch(cell)
        limit = self.splat(self.b, self.steps)
        self.waiting = self.integer(I64(0))
        with self.times(self.b, I64(len(self.vectors))) as vector:
            lane = vector * self.lanes
            inputs = load(lane)
            (begun,) = self.run(self.b, self.programs.init, inputs)
            # One step is taken here: later ones come by strides that end with a judgement.
            more = [*inputs[self.given], limit]
            ((*state, _),) = self.run(self.b, self.programs.terminate, [*begun, *more])
            numbers = self.numbered(cell + lane)
            present = self.b.icmp_signed("<", numbers, self.splat(self.b, self.end))
            state[self.flag] = self.b.and_(state[self.flag], present)
            for i, value in enumerate([*state, *inputs[self.given], numbers]):
                self.queue.store(i, lane, value)
            self.waiting = self.waiting | self.bits(state[self.flag], lane)
        self.b.ret(self.waiting)
