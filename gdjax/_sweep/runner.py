"""Chunks of a plan, computed: which kernel, on how many devices, into which arrays."""

import itertools
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, get_args

import jax
import numpy as np

from gdjax._descent.cells import Setting
from gdjax._descent.rest import settle
from gdjax._inputs import cannot_descend, default_dtype
from gdjax._kernels.call import ALIGNED, Call, Column, Paths, aligned
from gdjax._kernels.choice import Case, KernelChoice, compiled
from gdjax._sweep.plan import Plan, axis_length
from gdjax._util.errors import unknown

BLOCK_STEPS = 2**26  # in a call: a fraction of a second
TILE = 64  # descents that the native kernel records at once, at the most
LEAST_STEPS = 2**17  # times dimensions: as long as a call takes besides, or longer


class Buffers(NamedTuple):
    """Memory for results.

    Args:
        arrays: by variable, ``(cells, …)``.
        paths: the memory behind the recorded ones, or None.
    """

    arrays: dict[str, np.ndarray]
    paths: Paths | None


class Runner:
    """Computes the chunks of a plan.

    Args:
        plan: what to compute.
        devices: how many processors to use; by default all that there are.
        choice: which kernel: ``auto`` takes the first that can, any other name that one alone.
        alike: how many cells the kernel is made for; by default those of the plan. Plans of
            whatever size give a cell the same bits if this is the same.

    Attributes:
        case: what decides the kernel.
        kernel: what computes the cells.
        devices: how many processors it uses.
        reason: why the faster ones cannot; empty if there are none.
    """

    def __init__(
        self,
        plan: Plan,
        devices: int | None = None,
        choice: KernelChoice = "auto",
        alike: int | None = None,
    ):
        if choice not in get_args(KernelChoice):
            raise unknown("kernel", choice, get_args(KernelChoice))
        self.plan, dtype = plan, np.dtype(plan.dtype)
        setting, numbers, data = Setting.of(plan.optimizer, plan.objective)
        start = jax.ShapeDtypeStruct((plan.objective.dim,), dtype)
        asked = plan.gradient, plan.stopping, plan.tolerance, plan.stops, plan.computed
        try:
            self._data = [np.asarray(x, dtype if x.dtype.kind == "f" else None) for x in data]
            kinds = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in self._data)
            with default_dtype(plan.dtype):
                self.case = Case(setting, kinds, start, asked, bool(plan.save_at))
                self.kernel, self.reason = compiled(self.case, choice, alike or plan.cells)
        except Exception as error:
            cannot_descend(plan.objective, plan.optimizer, error)
        # An accelerator takes one call at a time.
        one = jax.default_backend() != "cpu" or self.kernel.alone
        self.devices = 1 if one else devices or processors()
        self._every, columns = 1, {}
        for axis in reversed(plan.axes):
            for name, values in axis.items():
                columns[name] = Column(values.astype(plan.dtype), self._every)
            self._every *= axis_length(axis)
        for name, values in plan.paired.items():
            columns[name] = Column(values.astype(plan.dtype), self._every)
        names = [name for name, x in plan.optimizer.numbers.items() if np.ndim(x) == 0]
        for name, value in zip(names, numbers, strict=True):
            columns.setdefault(name, Column(np.asarray([value], plan.dtype), 1))
        self._numbers = {name: columns[name] for name in names}

    def buffers(self, count: int) -> Buffers:
        """Memory for the results of so many cells."""
        plan, dim, tile = self.plan, self.plan.objective.dim, self.kernel.tile
        kept = {n: leaf for n, leaf in self.kernel.summary._asdict().items() if leaf is not None}
        sizes = [count * math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in kept.values()]
        # One piece of memory, which a system that has large pages gives in large pages.
        padded = (-(-size // ALIGNED) * ALIGNED for size in sizes)
        places = list(itertools.accumulate(padded, initial=0))
        memory = aligned((places[-1],), np.uint8)
        arrays = {
            name: memory[place : place + size].view(leaf.dtype).reshape(count, *leaf.shape)
            for (name, leaf), size, place in zip(kept.items(), sizes, places[:-1], strict=True)
        }
        if not plan.save_at:
            return Buffers(arrays, None)
        padded = -(-count // tile) * tile
        points = aligned((len(plan.save_at), dim, padded), plan.dtype)
        values = aligned((len(plan.save_at), padded), plan.dtype)
        # Computed with the cells last, where they are neighbours; seen with the cells first.
        arrays["points"], arrays["values"] = (
            points[..., :count].transpose(2, 0, 1),
            values[:, :count].T,
        )
        return Buffers(arrays, Paths(plan.save_at, points, values))

    def __call__(
        self,
        index: int,
        buffers: Buffers | None = None,
        done: Callable[[int], None] = lambda cells: None,
    ) -> dict[str, np.ndarray]:
        """The results of one chunk: for each variable that is kept an array, ``(cells, …)``.

        Args:
            index: of the chunk.
            buffers: memory for the results of the whole plan; by default new one for the chunk.
            done: told how many cells were finished, from time to time.
        """
        return self.compute(*self.plan.bounds(index), buffers, done)

    def compute(
        self, first: int, last: int, buffers: Buffers | None, done: Callable[[int], None]
    ) -> dict[str, np.ndarray]:
        """The results of the cells from ``first`` up to ``last``; as those of a chunk."""
        plan, kernel = self.plan, self.kernel
        count = last - first
        if buffers is not None and buffers.paths is not None and first % kernel.tile:
            alone = self.compute(first, last, None, done)  # else stores would not be aligned
            for name, array in alone.items():
                buffers.arrays[name][first:last] = array
            return {name: array[first:last] for name, array in buffers.arrays.items()}
        arrays, paths = buffers or self.buffers(count)
        at = first if buffers else 0
        begin, end = first // self._every, -(-last // self._every)
        starts = np.asarray(plan.starts.take(plan.objective, begin, end), plan.dtype)
        numbers = [
            column._replace(array=column.array[begin:end]) if name in plan.paired else column
            for name, column in self._numbers.items()
        ]
        offset = first - begin * self._every
        size = self._block(count)

        def block(a: int) -> None:
            b = min(a + size, count)
            rows = {name: arrays[name][at + a : at + b] for name in plan.computed}
            recorded = None
            if paths is not None:
                wide = slice(at + a, at + a + -(-(b - a) // kernel.tile) * kernel.tile)
                recorded = Paths(paths.when, paths.points[..., wide], paths.values[..., wide])
            with default_dtype(plan.dtype):
                kernel(
                    Call(
                        offset + a, offset + b, plan.steps, Column(starts, self._every), numbers,
                        self._data, [*rows.values()], recorded,
                    )
                )  # fmt: skip
            if "outcome" in rows:
                settle(
                    plan.objective, plan.stopping, rows["outcome"], rows["minimum"],
                    rows["final_point"], lambda which: starts[(offset + a + which) // self._every],
                    plan.classify_rest,
                )  # fmt: skip
            done(b - a)

        blocks = range(0, count, size)
        left = iter(blocks)

        def work() -> None:
            try:
                for a in left:
                    block(a)
            finally:
                for _ in left:  # after an error nobody begins another one
                    pass

        with ThreadPoolExecutor(self.devices) as pool:  # this thread works too: one less to start
            others = [pool.submit(work) for _ in range(min(self.devices, len(blocks)) - 1)]
            work()
            for other in others:
                other.result()
        return {name: arrays[name][at : at + count] for name in plan.variables}

    def _block(self, count: int) -> int:
        """Cells in a call: enough for every processor, few enough to answer an interrupt soon."""
        tile, most = self.kernel.tile, self.kernel.block
        soon, worth = (n // max(self.plan.steps, 1) for n in (BLOCK_STEPS, LEAST_STEPS))
        shared = max(count // (4 * self.devices), worth // self.plan.objective.dim)
        return max(tile, min(most, soon, shared) // tile * tile)


def processors() -> int:
    """How many processors this process may use; macOS and Windows say only how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
