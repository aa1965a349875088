"""A sweep as one Pallas kernel for a GPU: the state of a cell stays in registers for all steps.

XLA launches kernels for every step, and between them the state goes through memory. Here each block
of cells runs all its steps in one kernel, over the same scalar programs that the kernel of a
CPU runs. What cannot be unrolled is left to XLA.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas
from jax.experimental.pallas import triton

from gdjax._compiler.lower import unroll
from gdjax._compiler.operations import ON_ARRAYS
from gdjax._compiler.program import Node, Program, Scalar
from gdjax._descent.cells import Cells, stride
from gdjax._kernels.call import Call
from gdjax._util.types import Function

PART = 2**18  # cells that the GPU is handed at once; several such parts make a call
WHOLE: dict[str, Function] = {}  # elementary functions are left to the GPU's own library


def evaluate(program: Program, inputs: Sequence[jax.Array]) -> list[jax.Array]:
    """Run a program over arrays of one shape; its results have it too, and their own dtypes."""
    values: dict[int, Any] = {
        node.index: value for node, value in zip(program.inputs, inputs, strict=True)
    }

    def read(scalar: Scalar) -> Scalar:
        return values[scalar.index] if isinstance(scalar, Node) else scalar

    for node in program.live():
        args = [read(a) for a in node.args]
        if node.op == "convert":
            values[node.index] = jnp.asarray(args[0]).astype(node.dtype)
        elif node.op != "input":
            values[node.index] = ON_ARRAYS[node.op](*args)
    # What is a constant has no shape, and some functions of JAX's return another dtype.
    return [jnp.broadcast_to(read(o), inputs[0].shape).astype(o.dtype) for o in program.outputs]


class Kernel:
    """A compiled sweep for summaries on a GPU; see ``call.Kernel``.

    Args:
        cells: the functions of a cell, which carries its data.
        interpret: run it step by step on any device, to test it.

    Attributes:
        name: what the metadata call it.
        tile: how many cells one block of the GPU holds.
        block: how many cells to hand over in a call.
        summary: shapes and dtypes of what is kept of a cell.

    Raises:
        UnsupportedError: a function that cannot be unrolled into scalars.
        Exception: what Pallas says of what it cannot compile, in many ways.
    """

    name = "pallas"
    tile = 128
    block = 2**20

    def __init__(self, cells: Cells, interpret: bool = False):
        functions = cells.init, cells.step, cells.terminate, cells.postprocess
        self._programs = [unroll(function.traced, WHOLE) for function in functions]
        start, numbers, _ = cells.given
        self._numbers = slice(start.size, start.size + len(numbers))
        self.summary, self._every = cells.summary, cells.every
        self.alone = False
        self._running = cells.state.running_at
        self._interpret = interpret
        self._run = jax.jit(self._descend)
        self._run.lower(
            [jax.ShapeDtypeStruct((self.tile,), i.dtype) for i in self._programs[0].inputs],
            jax.ShapeDtypeStruct((2,), np.int32),
        ).compile()  # what Pallas cannot do it says only here

    def __call__(self, call: Call) -> None:
        """Descend the cells of a call; see ``Call``."""
        assert call.paths is None, "this kernel keeps no paths"
        count = call.end - call.begin
        size = min(PART, max(self.tile, 1 << (count - 1).bit_length()))  # few sizes: each compiles
        cells = call.cells(size)
        rows = [column.of(cells) for column in call.columns]
        counts = np.array([call.steps, stride(call.steps, self._every)], np.int32)
        # All are under way before the first one is read: its results come while others run.
        parts = {
            first: self._run([row[first : first + size] for row in rows], counts)
            for first in range(0, count, size)
        }
        for first, part in parts.items():
            kept = iter(part)
            for array in (array[first : first + size] for array in call.out):
                for column in array.reshape(len(array), -1).T:
                    column[...] = np.asarray(next(kept))[: len(array)]

    def _descend(self, rows: Sequence[jax.Array], counts: jax.Array) -> Sequence[jax.Array]:
        init, step, terminate, postprocess = self._programs
        given, count = len(rows), rows[0].shape[0]

        def body(*refs: Any) -> None:
            inputs = [ref[...] for ref in refs[:given]]
            limit, every = jnp.full((self.tile,), refs[given][0]), refs[given][1]
            numbers = inputs[self._numbers]
            state = evaluate(init, inputs)

            def one(_: object, state: list[jax.Array]) -> list[jax.Array]:
                return evaluate(step, [*state, *numbers])[:-1]

            def runs(state: list[jax.Array]) -> jax.Array:
                return jnp.max(state[self._running].astype(jnp.int32)) > 0

            def segment(state: list[jax.Array]) -> list[jax.Array]:
                state = evaluate(terminate, [*state, *numbers, limit])[:-1]
                return jax.lax.fori_loop(1, jnp.where(runs(state), every, 1), one, state)

            state = jax.lax.while_loop(runs, segment, state)
            for ref, value in zip(refs[given + 1 :], evaluate(postprocess, state), strict=True):
                ref[...] = value

        lane = pallas.BlockSpec((self.tile,), lambda i: (i,))
        return pallas.pallas_call(
            body,
            grid=(count // self.tile,),
            in_specs=[*[lane] * given, pallas.BlockSpec((2,), lambda i: (0,))],
            out_specs=[lane] * len(postprocess.outputs),
            out_shape=[jax.ShapeDtypeStruct((count,), o.dtype) for o in postprocess.outputs],
            interpret=self._interpret,
            compiler_params=triton.CompilerParams(),  # by default another compiler, of other shapes
        )(*rows, counts)
