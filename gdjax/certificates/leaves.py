"""What can be differentiated in a pytree: its floats, real and complex, by name in one vector."""

import functools
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.dtypes import float0

from gdjax._util.types import Flat, PyTree
from gdjax.objectives.structure import Structure, path_in_words


class Part(NamedTuple):
    """The real or the imaginary numbers of one leaf.

    Args:
        place: the leaf's, among all leaves.
        argument: the name of the argument that it is in.
        sign: 0 for a real leaf; 1 for the real numbers of a complex one, −1 for the imaginary.
    """

    place: int
    argument: str
    sign: int


class Leaves:
    """The floats of a pytree as one flat vector ``(d,)``; all other leaves stay as they are.

    A complex number lies in it as two. JAX's cotangent of z = x + i y is ∂/∂x − i ∂/∂y, so that
    the imaginary numbers of a cotangent lie in it with the other sign.

    Args:
        tree: any pytree.
        names: what it is called; of a tuple of arguments, what each is.
        held: the places in the tuple whose floats are held constant.

    Attributes:
        structure: the flat vector as a dictionary of real arrays by the names of the parts.
        integers: the names of the leaves of integers and truth values, by their places.

    Raises:
        ArgumentError: from ``structure``, a pytree without floats.

    Example:
        >>> leaves = Leaves((np.ones(2), {"z": 1 + 2j}, 3), ("x", "y", "n"))
        >>> leaves.structure.names, leaves.integers
        (('x[0]', 'x[1]', 'y.z.imag', 'y.z.real'), {2: 'n'})
        >>> leaves.join(leaves.flat)[1]["z"]
        np.complex128(1+2j)
    """

    def __init__(
        self, tree: PyTree, names: str | Sequence[str], held: Collection[int] = ()
    ) -> None:
        pairs, self._tree = jax.tree_util.tree_flatten_with_path(tree)
        self._leaves = [leaf for _, leaf in pairs]
        self.parts: dict[str, Part] = {}
        self.integers: dict[int, str] = {}
        for place, (path, leaf) in enumerate(pairs):
            at: int = path[0].idx if isinstance(tree, tuple) and not isinstance(names, str) else -1
            argument = names if isinstance(names, str) else names[at]
            words = path_in_words(path if at < 0 else path[1:])
            joint = "" if not words or words.startswith("[") else "."
            name = f"{argument}{joint}{words}"
            kind = kind_of(leaf)
            if kind in "iub":
                self.integers[place] = name
            elif at in held:
                continue
            elif kind == "f":
                self.parts[name] = Part(place, argument, 0)
            elif kind == "c":
                self.parts[f"{name}.real"] = Part(place, argument, 1)
                self.parts[f"{name}.imag"] = Part(place, argument, -1)
        self.parts = dict(sorted(self.parts.items()))  # as JAX sorts the keys of a dictionary

    @functools.cached_property
    def structure(self) -> Structure:
        """How the flat vector is a dictionary."""
        shapes = {name: np.zeros(self.shape(name)) for name in self.parts}
        return Structure(shapes, "what is to be differentiated")

    @property
    def size(self) -> int:
        """How many numbers the flat vector has."""
        return len(self.owners)

    @property
    def flat(self) -> np.ndarray:
        """The numbers that the pytree was made with."""
        return np.asarray(self.flatten(jax.tree.unflatten(self._tree, self._leaves)), float)

    def shape(self, name: str) -> tuple[int, ...]:
        """That of one part."""
        return np.shape(self._leaves[self.parts[name].place])

    def argument(self, component: int) -> str:
        """The argument that a component of the flat vector is in."""
        return list(self.parts.values())[self.owners[component]].argument

    @functools.cached_property
    def owners(self) -> np.ndarray:
        """Which part each component of the flat vector is in, ``(d,)``."""
        sizes = [int(np.prod(self.shape(name))) for name in self.parts]
        return np.repeat(np.arange(len(sizes)), sizes)

    def join(self, numbers: Flat | dict[str, Any], dual: bool = False) -> PyTree:
        """The pytree of a flat vector, or of its dictionary; ``dual`` makes a cotangent of it."""
        given = numbers if isinstance(numbers, dict) else self.structure.unflatten(numbers)
        # Copies, since JAX remembers the dtype that it once took an array of NumPy's for.
        leaves = [np.array(x) if isinstance(x, np.ndarray) else x for x in self._leaves]
        if dual:
            leaves = [np.zeros(np.shape(leaf), float0) for leaf in leaves]
        for name, part in self.parts.items():
            if part.sign == 0:
                leaves[part.place] = given[name]
            elif part.sign == 1:
                other = given[f"{name.removesuffix('.real')}.imag"]
                leaves[part.place] = given[name] + (-1j if dual else 1j) * other
        return jax.tree.unflatten(self._tree, leaves)

    def flatten(self, tree: PyTree, dual: bool = False) -> Flat:
        """The flat vector of a pytree of the same structure; of a cotangent, None is 0."""
        leaves = self._tree.flatten_up_to(tree)
        return self._concatenated([self._piece(leaves, name, dual) for name in self.parts])

    def pick(self, tree: PyTree, name: str) -> Any:
        """One part of a pytree, flat."""
        return jnp.ravel(self._piece(self._tree.flatten_up_to(tree), name, False))

    def _piece(self, leaves: list[Any], name: str, dual: bool) -> Any:
        part = self.parts[name]
        leaf = leaves[part.place]
        if leaf is None or getattr(leaf, "dtype", None) == float0:
            return np.zeros(self.shape(name))
        if part.sign == 0:
            return leaf
        xp = jnp if isinstance(leaf, jax.Array) else np
        return xp.real(leaf) if part.sign == 1 else (-1 if dual else 1) * xp.imag(leaf)

    def _concatenated(self, pieces: list[Any]) -> Flat:
        xp = jnp if any(isinstance(piece, jax.Array) for piece in pieces) else np
        return xp.concatenate([xp.ravel(piece) for piece in pieces])

    def mismatch(self, cotangent: PyTree) -> str:
        """What is wrong with the layout of a cotangent, in words; empty if nothing is."""
        try:
            leaves = self._tree.flatten_up_to(cotangent)
        except ValueError:
            got = jax.tree.structure(cotangent)
            return f"a cotangent must have the structure {self._tree}, got {got}"
        for name, part in self.parts.items():
            leaf, like = leaves[part.place], self._leaves[part.place]
            if leaf is None or getattr(leaf, "dtype", None) == float0:
                continue
            if np.shape(leaf) != np.shape(like):
                return f"that of {name} must have shape {np.shape(like)}, got {np.shape(leaf)}"
            kinds = kind_of(leaf), kind_of(like)
            if kinds[0] != kinds[1]:
                return f"that of {name} must be {_KINDS[kinds[1]]}, got {_KINDS[kinds[0]]}"
        return ""

    def nonzero_integers(self, cotangent: PyTree) -> str:
        """The first integer leaf that a cotangent gives anything but None, float0 or 0."""
        leaves = self._tree.flatten_up_to(cotangent)
        for place, name in self.integers.items():
            parts = jax.tree.leaves(leaves[place])
            if any(part.dtype != float0 and np.any(part) for part in map(_array, parts)):
                return name
        return ""


_KINDS = {"f": "real", "c": "complex", "i": "an integer", "u": "an integer", "b": "a truth value"}
_KINDS[" "] = "no number"


def kind_of(leaf: Any) -> str:
    """``f``, ``c``, ``i``, ``u`` or ``b`` for numbers and arrays of them, else a blank."""
    if not isinstance(leaf, np.ndarray | np.generic | jax.Array | jax.ShapeDtypeStruct):
        return {float: "f", complex: "c", int: "i", bool: "b"}.get(type(leaf), " ")
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        return "f"
    return leaf.dtype.kind if leaf.dtype != float0 and leaf.dtype.kind in "ciub" else " "


def lifted(tree: PyTree) -> PyTree:
    """A pytree with its floats in double precision."""

    def wide(leaf: Any) -> Any:
        kind = kind_of(leaf)
        return np.asarray(leaf, {"f": float, "c": complex}[kind]) if kind in "fc" else leaf

    return jax.tree.map(wide, tree)


def _array(leaf: Any) -> Any:
    return leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
