"""A sweep as XLA compiles it: ``jit(vmap(while_loop))`` over tiles of one fixed shape.

It runs everything that JAX runs, on any device. A tile whose cells have all stopped ends; the last
tile is padded, so that every cell is computed in the same shape, to the same bits.
"""

import re
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._compiler.xla_math import substituted
from gdjax._descent.cells import Cells, stride
from gdjax._descent.loop import State, Summary
from gdjax._kernels.call import Call

# What JAX leaves to LAPACK on a CPU.
LAPACK = re.compile(
    r" = (cholesky|eigh?|geqrf|householder_product|lu|qr|schur|svd|triangular_solve|tridiagonal)\b"
)


class Kernel:
    """A compiled sweep; see ``call.Kernel``.

    Args:
        cells: the functions of a cell.
        tile: how many cells are computed at once.
        own_math: whether the elementary functions are our own where XLA's are slow.

    Attributes:
        name: what the metadata call it, for with other functions it has other results.
        tile, block: how many cells to hand over in a call.
        summary: shapes and dtypes of what is kept of a cell.
        alone: whether it must not be called by two threads at once.
    """

    def __init__(self, cells: Cells, tile: int, own_math: bool = False):
        self.tile = self.block = tile
        self.name = "xla_math" if own_math else "xla"
        self.summary, self._cells = cells.summary, cells
        self._run = jax.jit(substituted(self._descend) if own_math else self._descend)
        start, numbers, data = cells.given
        rows = [jax.ShapeDtypeStruct((tile, *x.shape), x.dtype) for x in (start, *numbers)]
        count = jax.ShapeDtypeStruct((), np.int32)
        when = jax.ShapeDtypeStruct((0,), np.int32)
        # What fails does so here, and not in a thread; a call without paths uses what was made.
        traced = self._run.trace(rows[0], rows[1:], data, count, count, when)
        traced.lower()
        # XLA's calls of LAPACK wait for its threads; two of them at once may wait for each other.
        self.alone = LAPACK.search(str(traced.jaxpr)) is not None

    def __call__(self, call: Call) -> None:
        """Descend the cells of a call, one tile at the most; see ``Call``."""
        cells = call.cells(self.tile)
        starts, numbers = call.starts.of(cells), [column.of(cells) for column in call.numbers]
        when = np.asarray(call.paths.when if call.paths else (), np.int32)
        counts = np.int32(call.steps), np.int32(stride(call.steps, self._cells.every))
        summary, recorded = self._run(starts, numbers, call.data, *counts, when)
        for array, values in zip(call.out, jax.tree.leaves(summary), strict=True):
            array[...] = np.asarray(values)[: len(array)]
        if call.paths:
            kept = call.paths.values.shape[1]
            for array, values in zip(call.paths[1:], recorded, strict=True):
                array[...] = np.asarray(values)[..., :kept]

    def _descend(
        self, starts: jax.Array, numbers: Sequence[jax.Array], data: Sequence[jax.Array],
        steps: jax.Array, every: jax.Array, when: jax.Array,
    ) -> tuple[Summary, tuple[jax.Array, jax.Array]]:  # fmt: skip
        step = jax.vmap(self._cells.step, in_axes=(0, 0, None))
        terminate = jax.vmap(self._cells.terminate, in_axes=(0, 0, None, None))
        state = jax.vmap(self._cells.init, in_axes=(0, 0, None))(starts, numbers, data)

        def running(state: State) -> jax.Array:
            return jnp.any(state.cell.running)

        def stretch(state: State) -> State:
            state, _ = terminate(state, numbers, steps, data)
            more = jnp.where(running(state), every, 1)
            return jax.lax.fori_loop(1, more, lambda _, s: step(s, numbers, data)[0], state)

        def one(k: jax.Array, state: State) -> tuple[State, jax.Array]:
            return jax.lax.cond(
                k % every == 0,
                lambda state: terminate(state, numbers, steps, data),
                lambda state: step(state, numbers, data),
                state,
            )

        def keep(
            carry: tuple[jax.Array, State], wanted: jax.Array
        ) -> tuple[tuple[jax.Array, State], tuple[jax.Array, jax.Array]]:
            k, state = jax.lax.while_loop(
                lambda c: c[0] < wanted, lambda c: (c[0] + 1, one(*c)[0]), carry
            )
            after, values = one(k, state)
            return (k + 1, after), (state.point.T, values)

        recorded = jnp.zeros(()), jnp.zeros(())
        if when.size:
            (k, state), recorded = jax.lax.scan(keep, (jnp.int32(0), state), when)
            left = -k % every
            state = jax.lax.fori_loop(0, left, lambda i, s: one(k + i, s)[0], state)
        state = jax.lax.while_loop(running, stretch, state)
        return jax.vmap(self._cells.postprocess, in_axes=(0, None))(state, data), recorded
