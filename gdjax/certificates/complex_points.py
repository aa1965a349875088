"""Points with complex numbers, as their real and imaginary parts; gradients in JAX's convention."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from gdjax._util.errors import ArgumentError
from gdjax._util.types import Flat, Function, PointLike, PyTree
from gdjax.objectives.structure import Structure

NUMBERS = int | float | complex | np.number
SEEN = 8  # points at which a function of complex value is held against Cauchy and Riemann
HOLOMORPHIC = (
    1e-6  # how far off, relative to its derivative: far more than roundings, far less than 1
)


class Parts(NamedTuple):
    """The two parts of an array of complex numbers."""

    real: PyTree
    imag: PyTree


class ComplexStructure(Structure):
    r"""The structure of a point with complex leaves, each of which lies flat as two real ones.

    ``jax.grad`` of a real function is $\partial_x f - i\,\partial_y f$ where z = x + iy, and that
    is the derivative of a holomorphic function whose real part is f.

    Args:
        point: a pytree of arrays, real and complex ones.
        argument: what messages call it.

    Example:
        >>> structure = ComplexStructure({"a": 3.0, "z": np.array([1 + 2j])})
        >>> structure.names, structure.flatten({"a": 3.0, "z": np.array([1 + 2j])}).tolist()
        (('a', 'z.real[0]', 'z.imag[0]'), [3.0, 1.0, 2.0])
    """

    def __init__(self, point: PointLike, argument: str = "start") -> None:
        self._flags = jax.tree.map(_is_complex, point)
        self._whole = Structure(jax.tree.map(_as_real, point), argument)
        super().__init__(self._split(point), argument)

    @property
    def leaves(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The path and the shape of every leaf that holds numbers, real or complex."""
        return self._whole.leaves

    @property
    def all_complex(self) -> bool:
        """Whether no leaf holds real numbers."""
        return len(super().leaves) == 2 * len(self.leaves)

    def leaves_of(self, tree: PyTree) -> list[PyTree] | None:
        """What a tree has where a point has its numbers; None if it has other branches."""
        return self._whole.leaves_of(tree)

    def flat_of(self, leaves: Sequence[np.ndarray]) -> np.ndarray:
        """The numbers of every leaf as one vector ``(d,)``; a real one is that of both parts."""
        both = []
        flags = self._whole.leaves_of(self._flags) or []
        for (path, _), leaf, is_complex in zip(self.leaves, leaves, flags, strict=True):
            if np.iscomplexobj(leaf) and not is_complex:
                raise ArgumentError(f"{path} is real, got {leaf!r:.200}")
            both += [np.real(leaf)]
            both += [np.imag(leaf) if np.iscomplexobj(leaf) else leaf] if is_complex else []
        return super().flat_of(both)

    def scale(self, flat: np.ndarray) -> np.ndarray:
        """How large each number is: both parts of a complex one as large as it is."""
        size = jax.tree.map(
            lambda x: abs(x) * (1 + 1j) if _is_complex(x) else x, self.unflatten(np.asarray(flat))
        )
        return super().scale(np.asarray(self.flatten(size)))

    def unflatten(self, flat: Flat) -> PyTree:
        """The point of a flat vector ``(d,)``; of several, ``(n, d)``, with n before each shape."""
        known = isinstance(flat, np.ndarray)

        def joined(x: PyTree) -> PyTree:
            if not isinstance(x, Parts):
                return x
            return x.real + 1j * x.imag if known else lax.complex(*x)

        return jax.tree.map(joined, super().unflatten(flat), is_leaf=lambda x: isinstance(x, Parts))

    def flatten(self, point: PointLike, argument: str = "start", batched: bool = False) -> Flat:
        """The flat vector of a point; see ``Structure.flatten``."""
        return super().flatten(self._split(point), argument, batched)

    def _split(self, point: PointLike) -> PyTree:
        try:
            return jax.tree.map(_parts, self._flags, point)
        except (
            AttributeError,
            TypeError,
            ValueError,
        ):  # of another structure, as is said of it later
            return point


def structure_like(point: PointLike, argument: str) -> Structure:
    """The structure of a point, of complex numbers too."""
    if not any(map(_is_complex, jax.tree.leaves(point))):
        return Structure(point, argument)
    return ComplexStructure(with_arrays(point), argument)


def with_arrays(point: PointLike) -> PyTree:
    """A point with its lists of complex numbers as arrays."""
    return jax.tree.map(
        lambda x: np.asarray(x) if is_complex_list(x) else x, point, is_leaf=is_complex_list
    )


def is_complex_list(node: PyTree) -> bool:
    """Whether it is a list or a tuple of numbers, and some of them are complex."""
    return (
        type(node) in (list, tuple)
        and any(map(_is_complex, node))
        and all(isinstance(x, NUMBERS) for x in node)
    )


def conjugate(tree: PyTree) -> PyTree:
    """The conjugate of every complex leaf: a gradient in JAX's convention has those parts."""
    return jax.tree.map(lambda x: x.conj() if _is_complex(x) else x, tree)


def real_part(fn: Function, structure: Structure) -> Function:
    """The function of a flat point; of a complex value the real part, whose gradient is fn'."""

    def on_flat(flat: Flat) -> PyTree:
        value = fn(structure.unflatten(flat))
        return (
            jnp.real(value)
            if _is_complex(value) and isinstance(structure, ComplexStructure)
            else value
        )

    return on_flat


def check_complex(
    fn: Function, structure: ComplexStructure, kind: str, points: np.ndarray, name: str
) -> None:
    r"""Refuse what has no certificate: a function u + iv that is not holomorphic, or a Hessian.

    A holomorphic function has $v_x + i v_y = i\,(u_x + i u_y)$.

    Raises:
        ArgumentError: such a function, or one of points that hold real numbers too.
    """
    if kind == "Hessian":
        raise ArgumentError(f"points must be real for a Hessian of {name}, got complex ones")
    at = jnp.asarray(points[0])
    if not _is_complex(jax.eval_shape(lambda flat: fn(structure.unflatten(flat)), at)):
        return
    remedy = "let it return a real number, such as its real part or its squared modulus"
    if not structure.all_complex:
        raise ArgumentError(f"{name} returns a complex number at points with real ones; {remedy}")

    def slopes(flat: Array) -> tuple[Array, ...]:
        """The slopes of u and v along every x, and along every y."""
        parts = lambda at: jnp.stack(_both(fn(structure.unflatten(at))))  # noqa: E731
        u, v = map(structure.unflatten, jax.jacrev(parts)(flat))
        return tuple(
            jnp.concatenate([jnp.ravel(x) for x in jax.tree.leaves(one)]) for one in (u, v)
        )

    u, v = jax.jit(jax.vmap(slopes))(points[:SEEN])
    size = jnp.linalg.norm(u, axis=1) + jnp.linalg.norm(v, axis=1)
    broken = np.flatnonzero(jnp.linalg.norm(v - 1j * u, axis=1) > HOLOMORPHIC * size)
    if broken.size:
        at = structure.unflatten(points[broken[0]])
        raise ArgumentError(
            f"{name} must return a real number or be holomorphic, and is neither at {at!r:.100}; "
            f"{remedy}"
        )


def _both(value: Array) -> tuple[Array, Array]:
    return jnp.real(value), jnp.imag(value)


def _parts(is_complex: bool, leaf: PyTree) -> PyTree:
    return Parts(leaf.real, leaf.imag) if is_complex else leaf


def _as_real(leaf: PyTree) -> PyTree:
    return np.zeros(np.shape(leaf)) if _is_complex(leaf) else leaf


def _is_complex(leaf: PyTree) -> bool:
    if isinstance(leaf, complex):
        return True
    return np.dtype(getattr(leaf, "dtype", bool)).kind == "c"
