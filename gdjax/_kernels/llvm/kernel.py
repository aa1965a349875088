"""The LLVM kernel: every cell in a lane of a vector, its state in registers.

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

import llvmlite.binding as llvm
import numpy as np
from jax.extend.core import ClosedJaxpr
from llvmlite import ir

from gdjax._compiler.fingerprint import digest
from gdjax._compiler.lower import UnsupportedError, unroll
from gdjax._compiler.program import Program
from gdjax._descent.cells import Cells, stride
from gdjax._descent.loop import State
from gdjax._kernels.call import Call
from gdjax._kernels.llvm import object_cache
from gdjax._kernels.llvm.machine import I64
from gdjax._kernels.llvm.recording import PathWriter
from gdjax._kernels.llvm.summaries import SummaryWriter
from gdjax._kernels.llvm.tiles import Programs


class Kernel:
    """A compiled sweep; see ``call.Kernel``.

    Args:
        cells: the functions of a cell, which carries its data.
        record: whether it keeps paths, or summaries alone.

    Attributes:
        name: what the metadata call it.
        tile: how many cells are computed at once.
        block: how many cells to hand over in a call.
        summary: shapes and dtypes of what is kept of a cell.

    Raises:
        UnsupportedError: a function that cannot be unrolled into scalars.
    """

    name = "llvm"
    block = 2**14

    def __init__(self, cells: Cells, record: bool = False):
        functions = cells.init, cells.step, cells.terminate, cells.postprocess, cells.inside
        traced = [function.traced for function in functions]
        state = cells.state
        # All that ``_written`` and ``_compile`` read beside the files that they are in.
        decides = *_prepare(), *map(digest, traced), state.running_at, state.point.shape, record
        self._engine = _load(
            object_cache.get(decides, lambda: _compile(_written(traced, state, record)))
        )
        self.tile = ctypes.c_int64.from_address(self._engine.get_global_value_address("tile")).value
        self.summary, self._every = cells.summary, cells.every
        self.alone = False
        word, table = ctypes.c_int64, ctypes.c_void_p
        signature = ctypes.CFUNCTYPE(None, word, word, ctypes.c_int32, word, *[table] * 4)
        self._function = signature(self._engine.get_function_address("sweep"))

    def __call__(self, call: Call) -> None:
        """Descend the cells of a call; see ``Call``."""
        columns = call.columns
        places = [
            (array.ctypes.data + k * array.itemsize, array.strides[0])
            for array in call.out
            for k in range(math.prod(array.shape[1:]))
        ]
        tables = [
            np.array([(c.every, *c.array.shape, *c.array.strides) for c in columns], np.int64),
            np.array([c.array.ctypes.data for c in columns], np.int64),
            np.array(places, np.int64),
        ]
        if call.paths is not None:
            when, points, values = np.asarray(call.paths.when, np.int64), *call.paths[1:]
            kept = [len(when), values.strides[0], *(a.ctypes.data for a in (when, points, values))]
            tables.append(np.array(kept, np.int64))
        pointers = [table.ctypes.data for table in tables] + [None] * (4 - len(tables))
        every = stride(call.steps, self._every)
        self._function(call.begin, call.end, call.steps, every, *pointers)


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


def _machine() -> llvm.TargetMachine:
    """This processor, as code is made for it."""
    name, features = _prepare()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=name, features=features, opt=3, jit=True)


def _written(traced: Sequence[ClosedJaxpr], state: State, record: bool) -> str:
    """The kernel of a cell's functions, in LLVM's language; it says how large its tiles are."""
    programs = Programs(*map(unroll, traced))
    lanes, tile = _sizes(programs.step, len(programs.init.outputs))
    writer = (PathWriter if record else SummaryWriter)(programs, state, lanes, tile)
    writer.write()
    size = ir.GlobalVariable(writer.module, I64, "tile")
    size.initializer = I64(tile)  # pyright: ignore  # llvmlite says it is None
    return str(writer.module)


def _compile(text: str) -> bytes:
    """The object code of a module."""
    machine = _machine()
    module = llvm.parse_assembly(text)
    module.verify()
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))
    passes.getModulePassManager().run(module, passes)
    return machine.emit_object(module)


def _load(code: bytes) -> llvm.ExecutionEngine:
    """Object code, ready to be called."""
    # A new machine each time: the engine owns it, and takes it along.
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine
