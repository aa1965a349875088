"""A sweep as one LLVM kernel: every cell in a lane of a vector, its state in registers.

The functions of a cell are unrolled into scalars and compiled with LLVM: each scalar becomes
a vector of cells. A lane whose cell has stopped is given the next cell, so that a sweep
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

from gdjax._compiler.lower import UnsupportedError, scalarise
from gdjax._compiler.program import Program
from gdjax._descent.loop import Column, Descent, Paths, as_columns, stride
from gdjax._kernels.llvm.recording import PathWriter
from gdjax._kernels.llvm.summaries import SummaryWriter
from gdjax._kernels.llvm.tiles import Programs


class Kernel:
    """A sweep compiled with LLVM; called as ``xla.Kernel`` is.

    Args:
        descent: the functions of one cell.
        start: shape and dtype of a start.
        numbers: shapes and dtypes of the hyperparameters.
        data: those of the arrays that all cells share, which each cell carries here.
        record: whether it keeps paths, or summaries alone.

    Attributes:
        name: what the metadata call it.
        tile: how many cells are computed at once.
        block: how many cells to hand over in a call.
        summary: shapes and dtypes of what is kept of a cell.

    Raises:
        UnsupportedError: a function that cannot be unrolled into scalars.
    """

    name = "native"
    block = 2**14

    def __init__(
        self,
        descent: Descent,
        start: jax.ShapeDtypeStruct,
        numbers: Sequence[Any],
        data: Sequence[Any],
        record: bool = False,
    ):
        steps = jax.ShapeDtypeStruct((), np.int32)
        init, cell = scalarise(descent.begin, start, numbers, data)
        step, _ = scalarise(descent.advance, cell, numbers)
        terminate, _ = scalarise(descent.judge, cell, numbers, steps)
        postprocess, self.summary = scalarise(descent.finish, cell)
        inside, _ = scalarise(descent.inside, cell.point)
        self._every = descent.every
        lanes, self.tile = _sizes(step, len(init.outputs))
        programs = Programs(init, step, terminate, postprocess, inside)
        writer = (PathWriter if record else SummaryWriter)(programs, cell, lanes, self.tile)
        writer.write()
        self._engine = _compile(str(writer.module))
        word, table = ctypes.c_int64, ctypes.c_void_p
        signature = ctypes.CFUNCTYPE(None, word, word, ctypes.c_int32, word, *[table] * 4)
        self._function = signature(self._engine.get_function_address("sweep"))

    def __call__(
        self,
        begin: int,
        end: int,
        steps: int,
        columns: Sequence[Column],
        data: Sequence[np.ndarray],
        out: Sequence[np.ndarray],
        paths: Paths | None = None,
    ) -> None:
        """Descend the cells from ``begin`` up to ``end``; see ``xla.Kernel``."""
        columns = [*columns, *as_columns(data)]
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
            arrays = [a.ctypes.data for a in (when, paths.points, paths.values)]
            tables.append(np.array([len(when), paths.values.strides[0], *arrays], np.int64))
        pointers = [table.ctypes.data for table in tables] + [None] * (4 - len(tables))
        self._function(begin, end, steps, stride(steps, self._every), *pointers)


def _sizes(program: Program, carried: int) -> tuple[int, int]:
    """Cells in a vector, as wide as the processor's, and in a tile.

    A tile holds enough to hide latencies, and few enough to stay in registers.
    """
    wide = any(node.dtype == np.float64 for node in program.nodes)
    features = _prepare()[1]
    size = 64 if "+avx512f" in features else 32 if "+avx2" in features else 16
    tile = 64 if carried <= 10 else 32 if carried <= 64 else 16
    return size // (8 if wide else 4), tile // 2 if wide else tile


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
    # A new one each time: the engine frees it.
    machine = target.create_target_machine(cpu=name, features=features, opt=3, jit=True)
    module = llvm.parse_assembly(text)
    module.verify()
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))
    passes.getModulePassManager().run(module, passes)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine
