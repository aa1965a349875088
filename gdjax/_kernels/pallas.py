"""A sweep as one Pallas kernel for a GPU: the state of a cell stays in registers for all steps.

XLA launches kernels for every step, and between them the state goes through memory. Here each block
of cells runs all its steps in one kernel, over the same scalar programs that the native kernel of a
CPU runs. What cannot be unrolled is left to ``portable``.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas

from gdjax._compiler.lower import lower
from gdjax._compiler.operations import ON_ARRAYS
from gdjax._compiler.program import Node, Program
from gdjax._descent.loop import Column, Descent, Paths, as_columns, running_at, stride

WHOLE: dict[str, Callable[..., Any]] = {}  # elementary functions are left to the GPU's own library


def evaluate(program: Program, inputs: Sequence[jax.Array]) -> list[Any]:
    """Run a program over arrays of one shape."""
    values: dict[int, Any] = {
        node.index: value for node, value in zip(program.inputs, inputs, strict=True)
    }

    def read(scalar: Any) -> Any:
        return values[scalar.index] if isinstance(scalar, Node) else scalar

    for node in program.live():
        args = [read(a) for a in node.args]
        if node.op == "convert":
            values[node.index] = jnp.asarray(args[0]).astype(node.dtype)
        elif node.op != "input":
            values[node.index] = ON_ARRAYS[node.op](*args)
    return [read(output) for output in program.outputs]


class Kernel:
    """A compiled sweep, as ``portable.Kernel`` is one, for summaries on a GPU.

    Args:
        descent: the functions of one cell.
        start: shape and dtype of a start.
        numbers: shapes and dtypes of the hyperparameters.
        data: those of the arrays that all cells share, which each cell carries here.
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

    def __init__(
        self,
        descent: Descent,
        start: jax.ShapeDtypeStruct,
        numbers: Sequence[Any],
        data: Sequence[Any] = (),
        interpret: bool = False,
    ):
        steps = jax.ShapeDtypeStruct((), np.int32)
        begin, cell = lower(descent.begin, start, numbers, data, functions=WHOLE)
        advance, _ = lower(descent.advance, cell, numbers, functions=WHOLE)
        judge, _ = lower(descent.judge, cell, numbers, steps, functions=WHOLE)
        finish, self.summary = lower(descent.finish, cell, functions=WHOLE)
        self._programs = begin, advance, judge, finish
        self._dim, self._numbers, self._every = start.shape[0], len(numbers), descent.every
        self._running = running_at(cell)
        self._interpret = interpret
        self._run = jax.jit(self._descend)
        self._run.lower(
            [jax.ShapeDtypeStruct((self.tile,), i.dtype) for i in begin.inputs],
            jax.ShapeDtypeStruct((2,), np.int32),
        ).compile()  # what Pallas cannot do it says only here

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
        """Descend the cells from ``begin`` up to ``end``; see ``portable.Kernel``."""
        assert paths is None, "paths are recorded by the portable kernel"
        count = -(-(end - begin) // self.tile) * self.tile
        cells = np.minimum(np.arange(begin, begin + count), end - 1)
        columns = [*columns, *as_columns(data)]
        rows = [c.array[(cells // c.every) % len(c.array)] for c in columns]
        kept = iter(self._run(rows, np.array([steps, stride(steps, self._every)], np.int32)))
        for array in out:
            for k in range(array[0].size):
                (array[:, k] if array.ndim > 1 else array)[...] = np.asarray(next(kept))[
                    : end - begin
                ]

    def _descend(self, rows: Sequence[jax.Array], counts: jax.Array) -> Sequence[jax.Array]:
        begin, advance, judge, finish = self._programs
        given, count = len(rows), rows[0].shape[0]

        def body(*refs: Any) -> None:
            inputs = [ref[...] for ref in refs[:given]]
            limit, every = jnp.full((self.tile,), refs[given][0]), refs[given][1]
            numbers = inputs[self._dim : self._dim + self._numbers]
            state = [jnp.broadcast_to(x, (self.tile,)) for x in evaluate(begin, inputs)]

            def step(_: Any, state: list[Any]) -> list[Any]:
                return evaluate(advance, [*state, *numbers])[:-1]

            def runs(state: list[Any]) -> jax.Array:
                return jnp.max(state[self._running].astype(jnp.int32)) > 0

            def segment(state: list[Any]) -> list[Any]:
                state = evaluate(judge, [*state, *numbers, limit])[:-1]
                return jax.lax.fori_loop(0, every - 1, step, state)

            state = jax.lax.while_loop(runs, segment, state)
            for ref, value in zip(refs[given + 1 :], evaluate(finish, state), strict=True):
                ref[...] = jnp.broadcast_to(value, (self.tile,)).astype(ref.dtype)

        lane = pallas.BlockSpec((self.tile,), lambda i: (i,))
        return pallas.pallas_call(
            body,
            grid=(count // self.tile,),
            in_specs=[*[lane] * given, pallas.BlockSpec((2,), lambda i: (0,))],
            out_specs=[lane] * len(finish.outputs),
            out_shape=[jax.ShapeDtypeStruct((count,), o.dtype) for o in finish.outputs],
            interpret=self._interpret,
        )(*rows, counts)
