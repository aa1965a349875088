"""What a wrong derivative has in common with the right one: factors, signs, swaps, terms."""

import itertools
from collections.abc import Callable, Collection, Iterator

import numpy as np

from gdjax.certificates import arrangements

MOST = 8  # patterns told
SIMPLE = 1e-6  # a factor this near to a short decimal is taken for it


def patterns(
    mine: np.ndarray,
    truth: np.ndarray,
    slack: np.ndarray,
    points: np.ndarray,
    name: Callable[[int], int | str],
    coordinate: Callable[[int], int | str],
    derivative: str = "gradient",
    sizes: Collection[int] = (),
) -> tuple[str, ...]:
    """Say in words how a wrong derivative differs from the true one.

    A pattern is named only where it explains every point to within rounding; a component that
    follows none is still named as wrong.

    Args:
        mine: the wrong one, ``(n, c)``.
        truth: the right one, ``(n, c)``.
        slack: how far each component may be off by rounding, ``(n, c)``, or all of them, ``(n,)``.
        points: ``(n, d)``.
        name: what a component is called.
        coordinate: what a coordinate of the points is called.
        derivative: ``gradient`` or ``Hessian``.
        sizes: lengths of the data, by which a mean and a sum differ.

    Example:
        >>> x = np.linspace(1.0, 2.0, 8).reshape(4, 2)
        >>> patterns(x * [1, -1], x, np.full(4, 1e-9), x, int, int)
        ('component 1 has its sign flipped',)
    """
    said = []
    finite = np.isfinite(mine).all(axis=1)
    for j in np.flatnonzero(~np.isfinite(mine).all(axis=0)).tolist():
        count = int((~np.isfinite(mine[:, j])).sum())
        said.append(f"component {name(j)} is not finite at {count:,} point{'s' * (count > 1)}")
    mine, truth, slacks, points = (a[finite] for a in (mine, truth, slack, points))
    if not len(mine):
        return tuple(said)
    slacks = np.broadcast_to(slacks if slacks.ndim == 2 else slacks[:, None], mine.shape)

    def fits(column: np.ndarray, target: np.ndarray, slack: np.ndarray) -> bool:
        return bool((np.abs(column - target) <= slack + 1e-13 * np.abs(target)).all())

    def fit(rows: np.ndarray, targets: np.ndarray) -> bool:
        return fits(rows, targets, slacks.max(axis=1).reshape(-1, *[1] * (rows.ndim - 1)))

    columns = list(zip(mine.T, truth.T, slacks.T, strict=True))
    wrong = [j for j, column in enumerate(columns) if not fits(*column)]
    factors = {j: _factor(*columns[j], fits) for j in wrong}
    common = factors[wrong[0]] if len(set(factors.values())) == 1 else None
    if common is not None and len(wrong) == mine.shape[1] > 1:
        return (*said, f"the whole {derivative} {_told(common, sizes)}")
    left = dict.fromkeys(wrong)
    if derivative == "gradient" and None in factors.values():
        names = [name(j) for j in range(mine.shape[1])]
        for leaf in arrangements.leaves(names):
            unexplained = any(factors.get(int(j), 1) is None for j in leaf.columns)
            told = unexplained and arrangements.rearranged(mine, truth, leaf, fit)
            if told:
                said.append(told)
                left = {j: None for j in left if j not in leaf.columns}
        if left and (told := arrangements.half_form(mine, truth, points, fit)):
            return (*said, told)
    for i, j in itertools.combinations(wrong[:64], 2):
        free = i in left and j in left
        (mine_i, right_i, slack_i), (mine_j, right_j, slack_j) = columns[i], columns[j]
        if free and fits(mine_i, right_j, slack_j) and fits(mine_j, right_i, slack_i):
            said.append(f"components {name(i)} and {name(j)} are swapped")
            del left[i], left[j]
    for j in left:
        if (factor := factors[j]) is not None:
            said.append(f"component {name(j)} {_told(factor, sizes)}")
            continue
        slack = slacks[:, j]
        if told := _multiple(mine[:, j], truth[:, j], slack, points, coordinate):
            said.append(f"component {name(j)} {told}")
            continue
        gap = mine[:, j] - truth[:, j]
        term = next(_terms(gap, slack, points, coordinate), None)
        if term:
            said.append(f"component {name(j)} is off by {term}: a term is missing or wrong")
        elif place := _place(np.abs(gap) > slack, np.abs(gap), points, coordinate):
            said.append(f"component {name(j)} is {place}")
        else:
            count = int((np.abs(gap) > slack).sum())
            said.append(f"component {name(j)} is wrong at {count:,} point{'s' * (count > 1)}")
    if len(said) > MOST:
        said[MOST:] = [f"and {len(said) - MOST:,} more of the kind"]
    return tuple(said)


def _factor(mine: np.ndarray, truth: np.ndarray, slack: np.ndarray, fits: Callable) -> float | None:
    """The factor between two columns, if there is one."""
    weight = truth @ truth
    if not 0 < weight < np.inf:
        return None
    factor = float(mine @ truth / weight)
    short = float(f"{factor:.4g}")
    if abs(factor - short) < SIMPLE * abs(short) and abs(short - 1) > 1e-12:
        factor = short
    factor = float(f"{factor:.14g}") + 0.0 if abs(factor) > 1e-12 else 0.0
    return factor if factor != 1 and fits(mine, factor * truth, slack) else None


def _short(factor: float) -> str:
    """A factor in few digits, but enough to tell it from 1."""
    return next(told for k in (7, 10, 17) if (told := f"{factor:.{k}g}") != "1")


def _told(factor: float, sizes: Collection[int] = ()) -> str:
    if factor == 0:
        return "is 0 where it should not be"
    for size in sizes:
        for value, words in ((size, "a sum where a mean"), (1 / size, "a mean where a sum")):
            if abs(factor - value) < SIMPLE * value:
                return f"is {words} is due: off by a factor {factor:.7g}, of data of length {size}"
    if factor == -1:
        return "has its sign flipped"
    if factor < 0:
        return f"has its sign flipped and is off by a factor {_short(-factor)}"
    return f"is off by a factor {_short(factor)}"


@np.errstate(all="ignore")
def _multiple(
    mine: np.ndarray, truth: np.ndarray, slack: np.ndarray, points: np.ndarray, coordinate: Callable
) -> str | None:
    """A power of one coordinate, or e to it, that one column lacks or has too many, if it does."""
    for i, kind in itertools.product(range(min(points.shape[1], 8)), (1, 2, 3, "exp", "-exp")):
        x, name = points[:, i], f"x[{coordinate(i)}]"
        if isinstance(kind, int):
            x, label = x**kind, name + (f"^{kind}" if kind > 1 else "")
        else:
            sign = "-" * (kind == "-exp")
            x, label = np.exp(-x if sign else x), f"exp({sign}{name})"
        for less, more, reach, words in (
            (mine, truth, np.abs(x), f"lacks a factor {label}"),
            (truth, mine, np.ones_like(x), f"has a factor {label} too many"),
        ):
            if len(x) > 3 and np.ptp(x) > 0:
                room = slack * reach + 1e-13 * np.abs(more)
                if (np.abs(less * x - more) <= room).all():
                    return words
    return None


def _terms(
    gap: np.ndarray, slack: np.ndarray, points: np.ndarray, coordinate: Callable
) -> Iterator[str]:
    """The simple terms, a constant or a power or product of coordinates, that a gap is."""
    d = min(points.shape[1], 8)
    kinds: list[tuple[str, np.ndarray]] = [("", np.ones(len(points)))]
    for i in range(d):
        for power in (1, 2, 3):
            label = f" x[{coordinate(i)}]" + (f"^{power}" if power > 1 else "")
            kinds.append((label, points[:, i] ** power))
    for i, j in itertools.combinations(range(d), 2):
        label = f" x[{coordinate(i)}] x[{coordinate(j)}]"
        kinds.append((label, points[:, i] * points[:, j]))
    for label, term in kinds:
        weight = term @ term
        if len(gap) < 4 or not 0 < weight < np.inf:
            continue
        size = gap @ term / weight
        if (np.abs(gap - size * term) <= slack + 1e-13 * np.abs(gap)).all():
            yield f"{size:+.6g}{label}"


def _place(
    wrong: np.ndarray, gap: np.ndarray, points: np.ndarray, coordinate: Callable
) -> str | None:
    """The region, bounded by one coordinate or by the distance from 0, that holds all errors."""
    if wrong.all() or wrong.sum() < 2 or len(points) < 8:
        if len(points) >= 8 and _grows(gap, np.linalg.norm(points, axis=1)):
            return "off by more the farther the point is from 0: a term is missing or wrong"
        return None
    scales = [("|x|", np.linalg.norm(points, axis=1))]
    scales += [(f"x[{coordinate(i)}]", points[:, i]) for i in range(min(points.shape[1], 8))]
    for label, scale in scales:
        inside, outside = scale[wrong], scale[~wrong]
        if label == "|x|" and outside.max() == 0:  # the origin alone is right
            continue
        if outside.max() < inside.min():
            return f"wrong only where {label} > {outside.max():.4g}"
        if outside.min() > inside.max():
            return f"wrong only where {label} < {outside.min():.4g}"
    return None


def _grows(gap: np.ndarray, distance: np.ndarray) -> bool:
    """Whether the errors, sorted by distance, are sorted by size as well, all but a few."""
    by_gap, by_distance = np.argsort(np.argsort([gap, distance], axis=1), axis=1)
    return bool(np.corrcoef(by_gap, by_distance).min() > 0.95)
