"""What a function computes, as a short name: its traced program and every array in it."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core


def fingerprint(function: Callable, *arguments: Any) -> str:
    """A digest of the program that ``function`` is for such arguments, the same in any process.

    Arrays that the function closes over count by their bytes, for the program does not print them.

    Args:
        function: what JAX can trace.
        *arguments: pytrees of arrays, or of their shapes and dtypes.

    Example:
        >>> here, there = np.float32([1, 2]), np.float32([1, 3])
        >>> prints = [fingerprint(lambda x, a=a: x - a, here) for a in (here, there, here.copy())]
        >>> prints[0] == prints[1], prints[0] == prints[2]
        (False, True)
    """
    traced = jax.make_jaxpr(function)(*arguments)
    digest = hashlib.sha256(re.sub(r"0x[0-9a-f]+", "", str(traced)).encode())
    for array in _arrays(traced):
        digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()[:16]


def _arrays(part: Any) -> Iterator[np.ndarray]:
    """The arrays inside a traced program, in the order in which they are met."""
    if isinstance(part, core.ClosedJaxpr | core.Jaxpr):  # one class in newer versions of JAX
        yield from map(_plain, getattr(part, "consts", ()))
        for equation in getattr(part, "jaxpr", part).eqns:
            yield from (_plain(v.val) for v in equation.invars if isinstance(v, core.Literal))
            yield from _arrays(equation.params)
    elif isinstance(part, Mapping | tuple | list):
        for item in part.values() if isinstance(part, Mapping) else part:
            yield from _arrays(item)


def _plain(array: Any) -> np.ndarray:
    if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    return np.asarray(array)
