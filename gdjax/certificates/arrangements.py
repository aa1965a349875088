"""A wrong derivative as the right one rearranged: shifted, transposed, symmetrised or not."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

Fits = Callable[[np.ndarray, np.ndarray], bool]  # two arrays (n, …), equal to within rounding
MOST_FITTED = 32  # dimensions of a quadratic form that is looked for


class Leaf(NamedTuple):
    """The components of one array among those of a derivative.

    Args:
        path: what it is called; empty for a plain vector.
        columns: which components it has, in the order of its numbers.
        shape: its own.
    """

    path: str
    columns: np.ndarray
    shape: tuple[int, ...]


def leaves(names: Sequence[int | str]) -> list[Leaf]:
    """The arrays that components belong to, by their names.

    Example:
        >>> [(leaf.path, leaf.shape) for leaf in leaves(("b", "w[0,0]", "w[0,1]"))]
        [('w', (1, 2))]
    """
    if all(isinstance(name, int) for name in names):
        return [Leaf("", np.arange(len(names)), (len(names),))]
    found: dict[str, list[tuple[int, list[int]]]] = {}
    for column, name in enumerate(names):
        if match := re.fullmatch(r"(.+)\[([\d,]+)\]", str(name)):
            index = [int(i) for i in match[2].split(",")]
            found.setdefault(match[1], []).append((column, index))
    made = []
    for path, pairs in found.items():
        columns, indices = zip(*pairs, strict=True)
        if len({len(index) for index in indices}) == 1:
            shape = tuple(int(k) for k in np.max(indices, axis=0) + 1)
            if np.prod(shape) == len(columns):
                made.append(Leaf(path, np.array(columns), shape))
    return made


def rearranged(mine: np.ndarray, truth: np.ndarray, leaf: Leaf, fits: Fits) -> str | None:
    """How one array of a wrong derivative is the right one rearranged, if it is.

    Args:
        mine: the wrong one, ``(n, c)``.
        truth: the right one, ``(n, c)``.
        leaf: which array.
        fits: whether two arrays of n rows are equal to within rounding.
    """
    n = len(mine)
    a, b = (side[:, leaf.columns].reshape((n, *leaf.shape)) for side in (mine, truth))
    of = f" of {leaf.path}" if leaf.path else ""
    if fits(a, b):
        return None
    for words, left, right in _candidates(a, b, of):
        if fits(left, right):
            return words
    return None


def _candidates(
    a: np.ndarray, b: np.ndarray, of: str
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """What would have to be equal, and what is then wrong."""
    rows = a.shape[1]
    what = f"the rows{of}" if a.ndim > 2 else f"the components{of}"
    if rows > 2:
        for shift in (1, -1):
            place = "one place on" if shift == 1 else "one place back"
            yield f"{what} are shifted cyclically, {place}", a, np.roll(b, shift, axis=1)
        if len(a) > 1:
            yield f"{what} are off by one: each is that of the one before", a[:, 1:], b[:, :-1]
            yield f"{what} are off by one: each is that of the one after", a[:, :-1], b[:, 1:]
    if a.ndim != 3:
        return
    if a.shape[2] > 2:
        for shift in (1, -1):
            yield f"the columns{of} are shifted cyclically", a, np.roll(b, shift, axis=2)
    if rows == a.shape[2] > 1:
        flipped, back = np.swapaxes(b, 1, 2), np.swapaxes(a, 1, 2)
        name = of.removeprefix(" of ") or "the matrix"
        yield f"{name} is transposed", a, flipped
        yield f"{name} is symmetrised, and should not be", a, (b + flipped) / 2
        yield f"{name} is added to its transpose, and should not be", a, b + flipped
        yield f"{name} is not symmetrised, and should be", (a + back) / 2, b
        yield f"{name} is not added to its transpose, and should be", a + back, b


def half_form(mine: np.ndarray, truth: np.ndarray, points: np.ndarray, fits: Fits) -> str | None:
    """Whether a gradient is A x, or 2 A x, where (A + Aᵀ) x is due.

    Both are fitted as affine functions of the point, from more points than it has unknowns.
    """
    n, d = points.shape
    if mine.shape[1] != d or not 1 < d <= MOST_FITTED or n < d + 3:
        return None
    system = np.concatenate([points, np.ones((n, 1))], axis=1)
    right, *_ = np.linalg.lstsq(system, truth, rcond=None)
    wrong, *_ = np.linalg.lstsq(system, mine, rcond=None)
    if not fits(system @ right, truth) or not fits(system @ wrong, mine):
        return None
    due, own = right[:d].T, wrong[:d].T
    for factor, words in ((1.0, "A x"), (2.0, "2 A x")):
        if fits(points @ (own + own.T).T, factor * points @ due.T):
            return f"it is {words} where (A + Aᵀ) x is due: A is not symmetric"
    return None
