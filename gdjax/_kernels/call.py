"""A call of a kernel, described once for all of them."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from gdjax._descent.loop import Summary

ALIGNED = 64  # bytes: a whole vector can be stored past the caches from such an address


class Column(NamedTuple):
    """Where a number of every cell lies: cell i has ``array[(i // every) % len(array)]``.

    Args:
        array: of one dimension, or a matrix of points, a row for each.
        every: how many neighbouring cells share a value.
    """

    array: np.ndarray
    every: int

    def of(self, cells: np.ndarray) -> np.ndarray:
        """The numbers of these cells, or their points."""
        return self.array[(cells // self.every) % len(self.array)]


class Paths(NamedTuple):
    """Where recorded steps go, cells last; rows begin at multiples of ``ALIGNED`` bytes.

    Args:
        when: the steps that are kept, in order, r of them.
        points: ``(r, d, cells)``.
        values: ``(r, cells)``.
    """

    when: tuple[int, ...]
    points: np.ndarray
    values: np.ndarray


class Call(NamedTuple):
    """What a kernel is to compute: the cells from ``begin`` up to ``end``.

    Args:
        begin: the first cell, as the columns number them.
        end: the cell after the last one.
        steps: the most steps that a cell takes.
        starts: the first points.
        numbers: one for each number of a cell.
        data: the arrays that all cells share.
        out: one array for each field of the summary that is kept, ``(end - begin, …)``; filled.
        paths: where to keep recorded points and values; filled.
    """

    begin: int
    end: int
    steps: int
    starts: Column
    numbers: Sequence[Column]
    data: Sequence[np.ndarray]
    out: Sequence[np.ndarray]
    paths: Paths | None = None

    @property
    def columns(self) -> list[Column]:
        """One for each scalar of the starts, the numbers and the data, for unrolled kernels."""
        starts = [self.starts._replace(array=column) for column in self.starts.array.T]
        data = [Column(x[i : i + 1], 1) for x in map(np.ravel, self.data) for i in range(x.size)]
        return [*starts, *self.numbers, *data]

    def cells(self, tile: int) -> np.ndarray:
        """The cells by number, filled up to whole tiles with the last one."""
        count = -(-(self.end - self.begin) // tile) * tile
        return np.minimum(np.arange(self.begin, self.begin + count), self.end - 1)


@runtime_checkable
class Kernel(Protocol):
    """What computes cells.

    Attributes:
        name: what the metadata call it, for with other functions it has other results.
        tile: how many cells are computed at once.
        block: how many cells to hand over in a call.
        summary: shapes and dtypes of what is kept of a cell.
        alone: whether it must not be called by two threads at once.
    """

    name: str
    tile: int
    block: int
    summary: Summary
    alone: bool

    def __call__(self, call: Call) -> None:
        """Descend the cells of a call, and fill its arrays."""


def aligned(shape: tuple[int, ...], dtype: np.dtype | str | type) -> np.ndarray:
    """An uninitialised array whose first byte is where a whole vector may be stored."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNED, np.uint8)
    first = -memory.ctypes.data % ALIGNED
    return memory[first : first + size].view(dtype).reshape(shape)
