"""Which kernel computes the cells of a sweep: the first that can, or the one that is asked for."""

import functools
from typing import Any, Literal, NamedTuple

import jax

from gdjax._compiler.interpreter import multiplies, widest
from gdjax._compiler.lower import UnsupportedError
from gdjax._descent.cells import Cells, Setting, trace
from gdjax._kernels import xla
from gdjax._kernels.call import Kernel
from gdjax._util.errors import ArgumentError, first_line

CPU_TILE, ACCELERATOR_TILE = 2**11, 2**17  # the most cells that XLA is handed at once
# Bytes on a CPU, so that what a tile computes with stays in the caches: its points, and its widest
# intermediate result. A tile whose widest result takes fewer than the last is not worth a thread.
POINTS, WIDEST, NARROWEST = 3 * 2**16, 2**21, 2**16
# Where one cell is as wide as that, a few share what is read of the data; but not too much memory.
SHARING, MOST_BYTES = 16, 2**27
MOST_DATA = 64  # numbers that a cell of an unrolled kernel can carry beside its state

KernelChoice = Literal["auto", "llvm", "pallas", "xla", "xla_math"]


class Case(NamedTuple):
    """What decides a kernel, but for how many cells there are.

    Args:
        setting: the optimizer and the objective.
        data: shapes and dtypes of the arrays that all cells share.
        start: those of a start.
        asked: what ``trace`` is told besides.
        record: whether paths are kept.
    """

    setting: Setting
    data: tuple[jax.ShapeDtypeStruct, ...]
    start: jax.ShapeDtypeStruct
    asked: tuple[Any, ...]
    record: bool


def compiled(case: Case, choice: KernelChoice, count: int) -> tuple[Kernel, str]:
    """The first kernel that can be had for so many cells, and why those before it cannot.

    Whatever goes wrong in a kernel of ours, the next one takes over: the last is plain XLA, whose
    mistakes are those of what it was given.
    """
    if choice != "auto":
        names = [choice]
    elif jax.default_backend() == "cpu":
        names = ["llvm", "xla_math", "xla"]
    else:
        unrolls = jax.default_backend() == "gpu" and not case.record
        names = ["pallas", "xla"] if unrolls else ["xla"]
    reasons = []
    for name in names:
        try:
            found = _kernel(case, name) if name in UNROLLED else _by_xla(case, name, count)
        except Exception as error:
            if name == "xla":
                raise
            found = f"the {name} kernel fails with {first_line(error)}"
        if not isinstance(found, str):
            return found, "; ".join(reasons)
        reasons.append(found)
    raise ArgumentError(f"kernel {choice} cannot compute this sweep: {reasons[0]}")


@functools.lru_cache(maxsize=64)
def _kernel(case: Case, name: str) -> Kernel | str:
    """A kernel that unrolls a cell into scalars, or why there is none."""
    try:
        return UNROLLED[name](case)
    except UnsupportedError as error:
        return str(error)


def _by_llvm(case: Case) -> Kernel:
    if jax.default_backend() != "cpu":
        raise UnsupportedError("it runs on a CPU")
    try:
        from gdjax._kernels import llvm
    except ImportError:
        raise UnsupportedError("llvmlite is not installed: pip install 'gdjax[fast]'") from None
    return llvm.Kernel(_unrolled(case), case.record)


def _by_pallas(case: Case) -> Kernel:
    if case.record:
        raise UnsupportedError("it keeps no paths")
    from gdjax._kernels import pallas

    return pallas.Kernel(_unrolled(case))


UNROLLED = {"llvm": _by_llvm, "pallas": _by_pallas}  # how many cells there are is all the same


def _unrolled(case: Case) -> Cells:
    count = sum(array.size for array in case.data)
    if count > MOST_DATA:  # there is no room for more in a cell
        raise UnsupportedError(f"its {count:,} data are too many to be unrolled into scalars")
    return traced(case, carry_data=True)


def _by_xla(case: Case, name: str, count: int) -> Kernel:
    size = case.start.size * case.start.dtype.itemsize
    return _of_tile(case, name, tile_for(count, size, *_results(case)))


@functools.lru_cache(maxsize=64)
def _results(case: Case) -> tuple[int, bool]:
    """Of a step of a cell: the most bytes of a result, and whether it multiplies own matrices."""
    cells = traced(case)
    own = [True] * len(jax.tree.leaves((cells.state, cells.given[1])))
    own += [False] * len(case.data)
    return widest(cells.step.traced, own), multiplies(cells.step.traced, own)


@functools.lru_cache(maxsize=64)
def _of_tile(case: Case, name: str, tile: int) -> Kernel:
    return xla.Kernel(traced(case), tile, own_math=name == "xla_math")


@functools.lru_cache(maxsize=64)
def traced(case: Case, carry_data: bool = False) -> Cells:
    """The functions of a cell, traced once for all kernels."""
    return trace(case.setting, case.data, case.start, *case.asked, carry_data=carry_data)


def tile_for(count: int, point: int, wide: int, alone: bool = False) -> int:
    """How many of so many cells XLA is handed at once.

    A tile stays in the caches, and two threads have one each where that is worth a thread. Three
    bits say how many it holds: numbers of cells that are alike share a compiled program, and
    few are computed to fill the last tile.

    Args:
        count: of cells.
        point: bytes of one.
        wide: the most bytes that a result takes within a step of a cell.
        alone: whether wide cells come one by one: XLA multiplies many pairs of matrices more
            slowly than pair after pair, and two threads share them badly.

    Example:
        >>> [tile_for(count, 8, 8) for count in (1, 5, 99, 10**6)]  # of two dimensions
        [1, 5, 112, 2048]
        >>> [tile_for(count, 20, 40_000) for count in (1, 8, 64, 512)]  # over 10,000 rows of data
        [1, 4, 32, 56]
        >>> [tile_for(512, 20, 4 * rows) for rows in (10**5, 10**7, 10**9)]
        [16, 3, 1]
        >>> tile_for(512, 3940, 93_444, alone=True)  # a network of 985 parameters over 1,797 rows
        1
    """
    most = ACCELERATOR_TILE
    if jax.default_backend() == "cpu":
        if alone and wide >= NARROWEST:
            return 1
        wide = max(wide, 1)
        fit = max(WIDEST // wide, min(SHARING, MOST_BYTES // wide))
        most = min(CPU_TILE, POINTS // point, fit)
        most = max(1, min(most, max(-(-count // 2), NARROWEST // wide)))
    least = -(-count // -(-count // most))
    unit = 2 ** max(least.bit_length() - 3, 0)
    return -(-least // unit) * unit
