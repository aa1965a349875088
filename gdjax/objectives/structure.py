"""How a point of a user's own structure, any pytree of arrays, lies in one flat vector."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from gdjax._util.errors import ArgumentError
from gdjax._util.types import Flat, PointLike, PyTree


class Structure:
    """The structure of a point: which leaves hold its numbers, and in which shapes.

    Leaves that are no numbers, such as an activation function, are the same in every point.

    Args:
        point: a pytree of numbers and arrays: a dictionary, a tuple, a registered dataclass, an
            Equinox module.
        argument: what messages call it.

    Attributes:
        size: the length d of the flat vector.
        names: of its components: the path to the leaf, and the index in it, ``w1[0,3]``.

    Raises:
        ArgumentError: a point without numbers.

    Example:
        >>> structure = Structure({"w": np.ones((1, 2)), "b": 3.0})
        >>> structure.names, structure.flatten({"w": [[4.0, 5.0]], "b": 6.0}).tolist()
        (('b', 'w[0,0]', 'w[0,1]'), [6.0, 4.0, 5.0])
    """

    def __init__(self, point: PointLike, argument: str = "start") -> None:
        pairs, self._structure = jax.tree_util.tree_flatten_with_path(_arrays(point))
        self._moving = tuple(_is_number(leaf) for _, leaf in pairs)
        self._fixed = tuple(None if _is_number(leaf) else leaf for _, leaf in pairs)
        _, self._wanted = _numbers(point)
        self._paths = tuple(path for path, _ in self._wanted)
        self._shapes = tuple(shape for _, shape in self._wanted)
        self._ends = np.cumsum([math.prod(shape) for shape in self._shapes], dtype=int).tolist()
        self.size: int = self._ends[-1] if self._ends else 0
        if not self.size:
            raise ArgumentError(f"{argument} must hold at least one number, got {point!r:.200}")

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """What the components are called."""
        if self._paths == ("",) and len(self._shapes[0]) <= 1:
            return component_names(self.size)
        return tuple(
            path + (f"[{','.join(map(str, index))}]" if shape else "")
            for path, shape in zip(self._paths, self._shapes, strict=True)
            for index in np.ndindex(*shape)
        )

    @property
    def is_vector(self) -> bool:
        """Whether it is a plain vector, whose components are known by number."""
        return self._paths == ("",) and len(self._shapes[0]) == 1

    @property
    def leaves(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The path and the shape of every leaf that holds numbers."""
        return self._wanted

    def leaves_of(self, tree: PyTree) -> list[PyTree] | None:
        """What a tree has where a point has its numbers; None if it has other branches."""
        try:
            found = self._structure.flatten_up_to(tree)
        except (TypeError, ValueError):
            return None
        return [one for one, moves in zip(found, self._moving, strict=True) if moves]

    def flat_of(self, leaves: Sequence[np.ndarray]) -> np.ndarray:
        """The numbers of every leaf, each of its own shape, as one vector ``(d,)`` of floats."""
        return np.concatenate([np.ravel(leaf) for leaf in leaves]).astype(float)

    def scale(self, flat: np.ndarray) -> np.ndarray:
        """How large each number of a point ``(d,)`` is: a 0 as large as its leaf, else 1."""
        sizes = []
        for numbers in np.split(np.abs(flat), self._ends[:-1]):
            typical = np.sqrt(np.mean(numbers**2)) if numbers.size else 0.0
            sizes.append(np.where(numbers > 0, numbers, typical or 1.0))
        return np.concatenate(sizes)

    def unflatten(self, flat: Flat) -> PyTree:
        """The point of a flat vector ``(d,)``; of several, ``(n, d)``, with n before each shape."""
        return self._filled(flat, self._fixed)

    def numbers(self, flat: Flat) -> PyTree:
        """The same with None for every leaf that holds no numbers: what an optimizer is handed."""
        return self._filled(flat, (None,) * len(self._fixed))

    def _filled(self, flat: Flat, fixed: tuple[object, ...]) -> PyTree:
        first, before = 0, flat.shape[:-1]
        leaves = []
        for shape, end in zip(self._shapes, self._ends, strict=True):
            leaves.append(flat[..., first:end].reshape((*before, *shape)))
            first = end
        given = iter(leaves)
        pairs = zip(self._moving, fixed, strict=True)
        return jax.tree.unflatten(self._structure, [next(given) if m else x for m, x in pairs])

    def flatten(self, point: PointLike, argument: str = "start", batched: bool = False) -> Any:
        """The flat vector of a point, NumPy's unless something in it is traced.

        Args:
            point: of this structure.
            argument: what messages call it.
            batched: whether every leaf has one more dimension in front, ``(n, …)``.

        Raises:
            ArgumentError: a point of another structure.
        """
        numbers, found = _numbers(point)
        shapes = tuple((path, shape[batched:]) for path, shape in found)
        if shapes != self._wanted:
            raise ArgumentError(f"{argument} must be {self}, got {_describe(point)}")
        lead = np.shape(numbers[0])[:1] if batched else ()
        if any(isinstance(x, jax.Array) for x in numbers):
            xp = jnp
        else:
            xp, numbers = np, [np.asarray(x) for x in numbers]
        try:
            flat = xp.concatenate([xp.reshape(x, (*lead, -1)) for x in numbers], axis=-1)
            return flat if flat.dtype.kind == "f" else flat.astype(float)
        except (TypeError, ValueError, OverflowError):
            raise ArgumentError(f"{argument} must hold numbers, got {point!r:.200}") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Structure) and self._key == other._key

    def __hash__(self) -> int:
        return hash((self._structure, self._shapes))

    @property
    def _key(self) -> tuple[object, ...]:
        return self._structure, self._shapes, self._moving, self._fixed

    def __str__(self) -> str:
        leaves = zip(self._paths, self._shapes, strict=True)
        if self._paths == ("",):
            return f"an array of shape {self._shapes[0]}"
        return f"a pytree of {', '.join(f'{path} {shape}' for path, shape in leaves)}"


def component_names(dim: int) -> tuple[str, ...]:
    """``x, y`` in one or two dimensions, ``x1, x2, …`` beyond.

    Example:
        >>> component_names(2), component_names(3)
        (('x', 'y'), ('x1', 'x2', 'x3'))
    """
    return ("x", "y")[:dim] if dim <= 2 else tuple(f"x{i + 1}" for i in range(dim))


def is_flat(point: PointLike) -> bool:
    """Whether a point is a plain vector: an array ``(d,)``, or a list or tuple of numbers."""
    if isinstance(point, np.ndarray | jax.Array):
        return point.ndim == 1
    return (
        isinstance(point, Sequence)
        and not isinstance(point, str)
        and not hasattr(point, "_fields")
        and all(_is_number(x) and not np.ndim(x) for x in point)
    )


def is_traced(point: PyTree) -> bool:
    """Whether anything in a point is a tracer of JAX's."""
    if type(point) in (tuple, list) and {*map(type, point)} <= {float, int}:
        return False  # the usual start, told in a third of a microsecond
    if type(point) is np.ndarray:
        return False
    return isinstance(point, Tracer) or any(isinstance(x, Tracer) for x in jax.tree.leaves(point))


def _numbers(point: PointLike) -> tuple[list[PyTree], tuple[tuple[str, tuple[int, ...]], ...]]:
    """The leaves of a point that hold numbers, and the paths and shapes of each."""
    pairs = jax.tree_util.tree_flatten_with_path(_arrays(point))[0]
    found = [(path_in_words(path), leaf) for path, leaf in pairs if _is_number(leaf)]
    return [leaf for _, leaf in found], tuple((path, np.shape(leaf)) for path, leaf in found)


def _describe(point: PointLike) -> str:
    try:
        return str(Structure(point))
    except ArgumentError:
        return f"{point!r:.200}"


def _arrays(point: PointLike) -> PyTree:
    """A point with its innermost lists of numbers as arrays, as an array of such lists is."""
    if isinstance(point, list):
        try:
            array = np.asarray(point)
        except (TypeError, ValueError):  # rows of different lengths
            return [_arrays(x) for x in point]
        return array.astype(float) if array.dtype.kind in "fiu" else [_arrays(x) for x in point]
    if type(point) is dict:
        return {key: _arrays(value) for key, value in point.items()}
    return tuple(_arrays(x) for x in point) if type(point) is tuple else point


def _is_number(leaf: object) -> bool:
    if isinstance(leaf, np.ndarray | np.generic | jax.Array | jax.ShapeDtypeStruct):
        return np.dtype(leaf.dtype).kind in "fiu" if hasattr(leaf.dtype, "kind") else False
    return isinstance(leaf, float | int) and not isinstance(leaf, bool)


def path_in_words(path: tuple[object, ...]) -> str:
    """A path through a pytree, as its user writes it: ``layers[0].weight``."""
    text = ""
    for entry in path:
        key = jax.tree_util.keystr((entry,), simple=True)
        index = isinstance(entry, jax.tree_util.SequenceKey | jax.tree_util.FlattenedIndexKey)
        text += f"[{key}]" if index else f".{key}" if text else key
    return text


def named(point: Mapping[str, PyTree], variables: Sequence[str], argument: str) -> list[PyTree]:
    """The numbers of a mapping in the order of the variables.

    Raises:
        ArgumentError: other names than theirs.
    """
    if {*point} != {*variables}:
        raise ArgumentError(
            f"{argument} must give one number for each of {', '.join(variables)}, "
            f"got {', '.join(map(str, point)) or 'none'}"
        )
    return [point[name] for name in variables]
