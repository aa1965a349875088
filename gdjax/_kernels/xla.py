"""A sweep as XLA compiles it: ``jit(vmap(while_loop))`` over tiles of one fixed shape.

It runs everything that JAX runs, on any device. A tile whose cells have all stopped ends; the last
tile is padded, so that every cell is computed in the same shape, to the same bits.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._compiler.xla_math import substituted
from gdjax._descent.loop import Column, Descent, Paths, stride


class Kernel:
    """A compiled sweep.

    Args:
        descent: the functions of one cell.
        start: shape and dtype of a start.
        numbers: shapes and dtypes of the hyperparameters.
        data: those of the arrays that all cells share.
        tile: how many cells are computed at once.
        own_math: whether the elementary functions are our own where XLA's are slow.

    Attributes:
        name: what the metadata call it, for with other functions it has other results.
        block: how many cells to hand over in a call.
        summary: shapes and dtypes of what is kept of a cell.
    """

    def __init__(
        self,
        descent: Descent,
        start: jax.ShapeDtypeStruct,
        numbers: Sequence[Any],
        data: Sequence[Any],
        tile: int,
        own_math: bool = False,
    ):
        self.tile = self.block = tile
        self.name = "xla_math" if own_math else "xla"
        self.descent = descent
        self.dim = start.shape[0]
        cell = jax.eval_shape(descent.begin, start, numbers, data)
        self.summary = jax.eval_shape(descent.finish, cell, data)
        self._run = jax.jit(substituted(self._descend) if own_math else self._descend)
        rows = [jax.ShapeDtypeStruct((tile, *x.shape), x.dtype) for x in (start, *numbers)]
        count = jax.ShapeDtypeStruct((), np.int32)
        when = jax.ShapeDtypeStruct((0,), np.int32)
        # What fails does so here, and not in a thread; a call without paths uses what was made.
        self._run.lower(rows[0], rows[1:], data, count, count, when)

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
        """Descend the cells from ``begin`` up to ``end``, one tile at the most.

        Args:
            begin: the first cell, as the columns number them.
            end: the cell after the last one.
            steps: the most steps that a cell takes.
            columns: one for each scalar of the start, then of the numbers.
            data: the arrays that all cells share.
            out: one array for each field of the summary, ``(end - begin, …)``; filled.
            paths: where to keep recorded points and values; filled.
        """
        cells = np.minimum(np.arange(begin, begin + self.tile), end - 1)
        where = functools.cache(lambda every, length: (cells // every) % length)
        rows = [c.array[where(c.every, len(c.array))] for c in columns]
        starts = np.stack(rows[: self.dim], axis=1)
        numbers = rows[self.dim :]
        when = np.asarray(paths.when if paths else (), np.int32)
        counts = np.int32(steps), np.int32(stride(steps, self.descent.every))
        summary, recorded = self._run(starts, numbers, data, *counts, when)
        for array, values in zip(out, summary, strict=True):
            array[...] = np.asarray(values)[: end - begin]
        if paths:
            kept = paths.values.shape[1]
            for array, values in zip(paths[1:], recorded, strict=True):
                array[...] = np.asarray(values)[..., :kept]

    def _descend(
        self, starts: jax.Array, numbers: Any, data: Any, steps: jax.Array, every: jax.Array,
        when: jax.Array,
    ) -> tuple[Any, Any]:  # fmt: skip
        advance = jax.vmap(self.descent.advance, in_axes=(0, 0, None))
        judge = jax.vmap(self.descent.judge, in_axes=(0, 0, None, None))
        cells = jax.vmap(self.descent.begin, in_axes=(0, 0, None))(starts, numbers, data)

        def one(k: jax.Array, cells: Any) -> tuple[Any, jax.Array]:
            return jax.lax.cond(
                k % every == 0,
                lambda cells: judge(cells, numbers, steps, data),
                lambda cells: advance(cells, numbers, data),
                cells,
            )

        def step(carry: Any) -> Any:
            k, cells = carry
            return k + 1, one(k, cells)[0]

        def keep(carry: Any, wanted: jax.Array) -> tuple[Any, Any]:
            k, cells = jax.lax.while_loop(lambda c: c[0] < wanted, step, carry)
            after, values = one(k, cells)
            return (k + 1, after), (cells.point.T, values)

        carry, recorded = jax.lax.scan(keep, (jnp.int32(0), cells), when)
        _, cells = jax.lax.while_loop(lambda c: jnp.any(c[1].running), step, carry)
        return jax.vmap(self.descent.finish, in_axes=(0, None))(cells, data), recorded
