"""Which kernel computes the cells of a sweep: the first that can, or the one that is asked for."""

import functools
import math
from collections.abc import Callable
from typing import Literal

import jax

from gdjax._compiler.lower import UnsupportedError
from gdjax._descent.cells import Cells, Setting, trace
from gdjax._kernels import xla
from gdjax._kernels.call import Kernel
from gdjax._util.errors import ArgumentError, first_line

CPU_TILE, ACCELERATOR_TILE = 2**11, 2**17  # the most cells that XLA is handed at once
CACHED = 3 * 2**16  # bytes that the points of a tile take on a CPU: its state stays in the caches
MOST_DATA = 64  # numbers that a cell of an unrolled kernel can carry beside its state

KernelChoice = Literal["auto", "llvm", "pallas", "xla", "xla_math"]


@functools.lru_cache(maxsize=64)
def compiled(
    setting: Setting,
    data: tuple[jax.ShapeDtypeStruct, ...],
    start: jax.ShapeDtypeStruct,
    asked: tuple[object, ...],
    choice: KernelChoice,
    record: bool,
) -> tuple[Kernel, str]:
    """The first kernel that can be had, and why those before it cannot.

    Whatever goes wrong in a kernel of ours, the next one takes over: the last is plain XLA, whose
    mistakes are those of what it was given.
    """
    on_cpu = jax.default_backend() == "cpu"
    tile = _tile(start.size * start.dtype.itemsize) if on_cpu else ACCELERATOR_TILE
    traced = functools.partial(trace, setting, data, start, *asked)

    def unrolled() -> Cells:
        count = sum(array.size for array in data)
        if count > MOST_DATA:  # there is no room for more in a cell
            raise UnsupportedError(f"its {count:,} data are too many to be unrolled into scalars")
        return traced(carry_data=True)

    def by_llvm() -> Kernel:
        if not on_cpu:
            raise UnsupportedError("it runs on a CPU")
        from gdjax._kernels import llvm

        return llvm.Kernel(unrolled(), record)

    def by_pallas() -> Kernel:
        if record:
            raise UnsupportedError("it keeps no paths")
        from gdjax._kernels import pallas

        return pallas.Kernel(unrolled())

    ways: dict[str, Callable[[], Kernel]] = {
        "llvm": by_llvm,
        "pallas": by_pallas,
        "xla_math": lambda: xla.Kernel(traced(), tile, own_math=True),
        "xla": lambda: xla.Kernel(traced(), tile),
    }
    if choice != "auto":
        names = [choice]
    elif on_cpu:
        names = ["llvm", "xla_math", "xla"]
    else:
        names = ["pallas", "xla"] if jax.default_backend() == "gpu" and not record else ["xla"]
    reasons = []
    for name in names:
        try:
            return ways[name](), "; ".join(reasons)
        except ImportError:
            reasons.append("llvmlite is not installed: pip install 'gdjax[fast]'")
        except UnsupportedError as error:
            reasons.append(str(error))
        except Exception as error:
            if name == "xla":
                raise
            reasons.append(f"the {name} kernel fails with {first_line(error)}")
    raise ArgumentError(f"kernel {choice} cannot compute this sweep: {reasons[0]}")


def _tile(point: int) -> int:
    """Cells that XLA is handed at once on a CPU, where a point takes so many bytes.

    Example:
        >>> [_tile(4 * dim) for dim in (2, 100, 1000, 10**6)]
        [2048, 256, 32, 8]
    """
    return max(8, min(CPU_TILE, 2 ** int(math.log2(max(CACHED // point, 1)))))
