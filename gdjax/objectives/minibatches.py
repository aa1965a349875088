"""Data that a loss sees in batches: which rows a step takes is a function of seed and step alone.

Nothing is carried from step to step, so that a descent may be cut and continued anywhere, on any
device, and sees the same batches.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Int, UInt

from gdjax._util.errors import ArgumentError
from gdjax._util.types import Function, PyTree
from gdjax.objectives.structure import path_in_words

ROUNDS = 16  # of the shuffle; with 12, orders of six rows were not yet equally frequent


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """What training knows beside a loss.

    Args:
        init: random key → parameters; None where the start is given.
        metric: parameters and data → a number to be watched, such as the accuracy.
        batch: how many rows a step sees; None for all of them.
        seed: of the order of the rows.
    """

    init: Function | None = None
    metric: Function | None = None
    batch: int | None = None
    seed: int = 0

    def batch_of(self, data: PyTree, step: ArrayLike) -> PyTree:
        """The rows that a step sees, of data whose leaves all have the same number of them."""
        if self.batch is None:
            return data
        rows = rows_of_batch(count_rows(data), self.batch, self.seed, step)
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[rows], data)


def count_rows(data: PyTree) -> int:
    """How many rows data have.

    Raises:
        ArgumentError: no arrays, or arrays of different lengths.

    Example:
        >>> count_rows((np.ones((5, 2)), np.ones(5)))
        5
    """
    pairs = jax.tree_util.tree_flatten_with_path(data)[0]
    found = [(path_in_words(path), np.shape(leaf)[:1]) for path, leaf in pairs]
    if not found or () in dict(found).values() or not found[0][1][0]:
        raise ArgumentError(f"data must be arrays with at least one row, got {data!r:.100}")
    if len({length for _, length in found}) > 1:
        lengths = ", ".join(f"{length[0]:,} in {path}" for path, length in found)
        raise ArgumentError(f"data must be arrays of equal length, got {lengths}")
    return found[0][1][0]


def rows_of_batch(count: int, size: int, seed: int, step: ArrayLike) -> Int[Array, "size"]:
    """Which rows a step sees: epochs without replacement, each in another order.

    An epoch has as many batches as are full. What is left over of the rows is left out of that
    epoch, other rows each time.

    Args:
        count: how many rows there are.
        size: how many a batch has.
        seed: of the order.
        step: which batch, from 0; may be traced.

    Example:
        >>> epoch = [rows_of_batch(6, 2, 0, step) for step in range(3)]
        >>> sorted(jnp.concatenate(epoch).tolist())
        [0, 1, 2, 3, 4, 5]
    """
    epoch, batch = jnp.divmod(jnp.asarray(step, jnp.int32), count // size)
    keys = jax.random.bits(jax.random.fold_in(jax.random.key(seed), epoch), (ROUNDS,), jnp.uint32)
    places = batch * size + jnp.arange(size, dtype=jnp.int32)
    return shuffled(places.astype(jnp.uint32), count, keys).astype(jnp.int32)


def shuffled(places: UInt[Array, "n"], count: int, keys: UInt[Array, "rounds"]) -> UInt[Array, "n"]:
    """Where a random permutation of ``count`` places puts some of them.

    A Feistel network on pairs (left, right) that number a little more places than there are; what
    falls beyond is put through it again until it is one of them. To sort all rows, as
    ``jax.random.permutation`` does, would take longer than many a step.

    Args:
        places: below ``count``, unsigned integers of 32 bits.
        count: how many places there are.
        keys: random bits, one for each round.

    Reference:
        Black & Rogaway 2002, Ciphers with Arbitrary Finite Domains, CT-RSA, sec. 3 and 5.
    """
    left = math.isqrt(count - 1) + 1
    right = -(-count // left)

    def once(places: Array) -> Array:
        a, b = jnp.divmod(places, jnp.uint32(right))
        for i in range(ROUNDS):
            if i % 2:
                b = (b + _mixed(a, keys[i]) % right) % right
            else:
                a = (a + _mixed(b, keys[i]) % left) % left
        return a * right + b

    return jax.lax.while_loop(
        lambda found: jnp.any(found >= count),
        lambda found: jnp.where(found >= count, once(found), found),
        once(places),
    )


def _mixed(bits: Array, key: Array) -> Array:
    """Bits that look random: the finalizer of MurmurHash3 (Appleby 2011, public domain)."""
    bits = bits * jnp.uint32(0x9E3779B1) ^ key
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        bits = (bits ^ (bits >> shift)) * jnp.uint32(factor)
    return bits ^ (bits >> 16)
