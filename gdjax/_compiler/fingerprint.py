"""What a function computes, as a short name: its traced program and every array in it."""

import hashlib
import re

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from gdjax._compiler.interpreter import constants
from gdjax._util.types import Function, PyTree


def fingerprint(function: Function, *arguments: PyTree) -> str:
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
    return digest(jax.make_jaxpr(function)(*arguments))[:16]


def digest(traced: ClosedJaxpr) -> str:
    """A digest of a traced program and of every array in it.

    Example:
        >>> one, other = (jax.make_jaxpr(lambda x, k=k: k * x)(1.0) for k in (2, 3))
        >>> digest(one) == digest(one), digest(one) == digest(other)
        (True, False)
    """
    found = hashlib.sha256(re.sub(r"0x[0-9a-f]+", "", str(traced)).encode())
    for array in map(_plain, constants(traced)):
        found.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return found.hexdigest()


def _plain(array: object) -> np.ndarray:
    if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    return np.asarray(array)
