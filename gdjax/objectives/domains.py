"""Domains as a person gives them: pairs by dimension, or by leaf of a point of any structure."""

import math

import jax
import numpy as np

from gdjax._util.arguments import refused
from gdjax._util.errors import ArgumentError
from gdjax._util.types import PyTree
from gdjax.objectives.structure import Structure

Pairs = tuple[tuple[float, float], ...]  # (low, high) of each dimension


def pairs_of(domain: PyTree, structure: Structure | None = None) -> Pairs:
    """The (low, high) pair of each dimension of a point.

    Args:
        domain: one pair a dimension, an array ``(d, 2)``; or, where the structure is known, a
            pytree of it with a domain for each leaf: a pair of numbers, a pair of arrays, or an
            array ``(…, 2)``; or one pair for all. A complex number lies between two corners.
        structure: of the point.

    Raises:
        ArgumentError: what is no such domain, or is not finite with ``low < high``.

    Example:
        >>> pairs_of({"a": (0, 1), "w": [(-1, 1), (-2, 2)]})
        ((0.0, 1.0), (-1.0, 1.0), (-2.0, 2.0))
        >>> pairs_of({"a": (0, 1), "w": (-1, 1)}, Structure({"a": 0.5, "w": np.ones(2)}))
        ((0.0, 1.0), (-1.0, 1.0), (-1.0, 1.0))
    """
    if not is_tree(domain) and (structure is None or _is_flat(domain, structure.size)):
        return _checked(_vector(domain))
    low, high = _corners(domain, structure or Structure(middle_of(domain), "domain"))
    return _checked(tuple(zip(low.tolist(), high.tolist(), strict=True)))


def is_tree(domain: PyTree) -> bool:
    """Whether a domain is a pytree of domains, and not pairs alone."""
    tree = jax.tree.structure(domain)
    return tree.num_leaves > 0 and not jax.tree_util.treedef_is_leaf(tree) and not _is_sides(domain)


def middle_of(domain: PyTree) -> PyTree:
    """The point in the middle of a domain that says itself what points are like."""
    return jax.tree.map(lambda sides: sum(_sides(sides, None)) / 2, domain, is_leaf=_is_sides)


def _is_flat(domain: PyTree, size: int) -> bool:
    """Whether a domain is one pair for each number of a point, leaf after leaf.

    Several pairs that are too few or too many count as such: that is told by who has the point.
    """
    try:
        array = np.asarray(domain)
    except ValueError:
        return False
    several = array.ndim == 2 and array.shape[1] == 2 and len(array) > 1
    return (several or array.shape == (size, 2)) and array.dtype.kind != "c"


def _vector(domain: PyTree) -> Pairs:
    try:
        return tuple((float(low), float(high)) for low, high in domain)
    except (TypeError, ValueError, OverflowError):
        raise refused("domain", "be one (low, high) pair a dimension", domain) from None


def _checked(pairs: Pairs) -> Pairs:
    if not pairs or not all(-math.inf < a < b < math.inf for a, b in pairs):
        raise ArgumentError(f"domain needs finite low < high, got {pairs}")
    return pairs


def _corners(domain: PyTree, structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """The low and the high end of every component, ``(d,)``."""
    wanted = structure.leaves
    leaves = structure.leaves_of(domain)
    if leaves is None and _is_sides(domain):  # one pair for all
        leaves = [domain] * len(wanted)
    if leaves is None or not all(map(_is_sides, leaves)):
        raise ArgumentError(
            f"domain must be a (low, high) pair, or one for each leaf of {structure}, "
            f"got {domain!r:.200}"
        )
    ends = [_sides(leaf, at) for leaf, at in zip(leaves, wanted, strict=True)]
    low, high = (
        structure.flat_of([np.broadcast_to(x, at[1]) for x, at in zip(side, wanted, strict=True)])
        for side in zip(*ends, strict=True)
    )
    return low, high


def _is_sides(node: PyTree) -> bool:
    """Whether a node of a domain is the domain of one leaf."""
    if isinstance(node, np.ndarray | jax.Array):
        return True
    return type(node) in (tuple, list) and len(node) > 0 and not any(map(_holds_more, node))


def _holds_more(node: PyTree) -> bool:
    """Whether something else than numbers, arrays and lists of them is in a node."""
    if type(node) in (tuple, list):
        return any(map(_holds_more, node))
    return not isinstance(node, np.ndarray | jax.Array | np.generic | int | float | complex | str)


def _sides(leaf: PyTree, at: tuple[str, tuple[int, ...]] | None) -> tuple[np.ndarray, np.ndarray]:
    """The low and the high end of the numbers of one leaf.

    Args:
        leaf: its domain: a pair of numbers or of arrays, or pairs as an array ``(…, 2)``.
        at: its path and its shape, where they are known.
    """
    path, shape = at or ("", None)
    is_pair = isinstance(leaf, tuple | list) and len(leaf) == 2
    if is_pair and not any(type(end) in (tuple, list) for end in leaf):
        low, high = map(np.asarray, leaf)
        if _fits(low.shape, shape) and _fits(high.shape, shape):
            return low, high
    array = np.asarray(leaf)
    if array.shape[-1:] == (2,) and _fits(array.shape[:-1], shape):
        return array[..., 0], array[..., 1]
    where = f"domain of {path}" if path else "domain"
    size = "" if shape is None else f" of numbers, or one for each of {shape}"
    raise ArgumentError(f"{where} must be a (low, high) pair{size}, got {leaf!r:.200}")


def _fits(given: tuple[int, ...], shape: tuple[int, ...] | None) -> bool:
    """Whether numbers of one shape are given for those of a leaf: one for all, or one for each."""
    return shape is None or given in ((), shape)
