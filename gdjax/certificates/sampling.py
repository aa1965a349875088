"""Where a certificate looks: points drawn in a domain, drawn around a point, or given."""

from typing import NamedTuple

import numpy as np

from gdjax._inputs import as_count, as_points, is_count
from gdjax._util.errors import ArgumentError
from gdjax._util.memory import check_fits
from gdjax._util.types import PyTree
from gdjax.certificates.complex_points import is_complex_list, structure_like, with_arrays
from gdjax.objectives import Objective
from gdjax.objectives.domains import is_tree, middle_of, pairs_of
from gdjax.objectives.structure import Structure, is_flat

DECADES = 8  # how far a domain shrinks towards a point where the function may be alive
NUMBERS_KEPT = 400  # at each point and component: differences over twenty steps, and their like


class Sample(NamedTuple):
    """Points, and what lengths are there.

    Args:
        structure: how a flat point is the user's.
        points: flat, ``(n, d)``.
        drawn: how many of them were drawn at random; the others come last.
        width: a length in each dimension, ``(d,)``.
        domain: ``(d, 2)``, or None.
        centres: points towards which the function may be alive, ``(k, d)``.
    """

    structure: Structure
    points: np.ndarray
    drawn: int
    width: np.ndarray
    domain: np.ndarray | None
    centres: np.ndarray


def sample(
    points: PyTree,
    domain: PyTree,
    around: PyTree | None,
    rng: np.random.Generator,
    objective: Objective | None,
) -> Sample:
    """The points to look at; see ``gdjax.check_gradient`` for the arguments.

    Raises:
        ArgumentError: no points, points or a domain of another structure, or not finite.
    """
    structure = objective and (objective.structure or Structure(np.asarray(objective.start)))
    if not is_count(points):
        structure, where = _given(points, structure, objective)
        box = _box(domain, structure)
        special, drawn = where[:0], 0
    else:
        drawn = as_count("points", points, 1)
        if around is not None:
            structure, at = _middle(around, structure, objective)
            _check_memory(drawn, structure.size)
            box = _box(domain, structure)
            where = at + 0.1 * structure.scale(at) * rng.standard_normal((drawn, structure.size))
            special = at[None]
        elif domain is not None:
            structure = structure or _structure_of(domain)
            _check_memory(drawn, structure.size)
            box = np.asarray(pairs_of(domain, structure))
            low, high = box.T
            where = rng.uniform(low, high, (drawn, structure.size))
            special = _special(box, where, objective)
        else:
            raise ArgumentError("points must be given, or a domain or a point to draw them around")
        # Numbers that single precision holds can be looked at in both precisions.
        where = where.astype(np.float32).astype(float)
        where = np.concatenate([where, np.unique(special, axis=0)])
    _check_finite(where, structure, "points")
    width = structure.scale(np.abs(where).max(axis=0)) if box is None else np.ptp(box, axis=1)
    return Sample(structure, where, drawn, width, box, special)


def closer(
    centres: np.ndarray,
    width: np.ndarray,
    domain: np.ndarray | None,
    number: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Points ``(n, d)`` near others: in a domain about each, shrunk by up to eight decades.

    Where there is no domain, half of the points themselves shrink towards 0 too.

    Args:
        centres: the others, ``(k, d)``.
        width: a length in each dimension, ``(d,)``.
        domain: ``(d, 2)``, or None.
        number: n.
        rng: of the draw.
    """
    at = centres[rng.integers(len(centres), size=number)]
    shrink = 10.0 ** -rng.uniform(0, DECADES, (number, 1))
    if domain is None:
        at = np.where(rng.random((number, 1)) < 0.5, at, at * shrink)
    where = at + shrink * width * rng.uniform(-0.5, 0.5, (number, len(width)))
    if domain is not None:
        where = np.clip(where, *domain.T)
    return where.astype(np.float32).astype(float)


def _box(domain: PyTree, structure: Structure) -> np.ndarray | None:
    return None if domain is None else np.asarray(pairs_of(domain, structure))


def _structure_of(domain: PyTree) -> Structure:
    """What points are like in a domain that nobody said more of."""
    if is_tree(domain):
        return structure_like(middle_of(domain), "domain")
    if any(map(np.iscomplexobj, domain)):
        return structure_like(np.mean(np.asarray(domain), axis=-1), "domain")
    return Structure(np.zeros(len(pairs_of(domain))))


def _middle(
    around: PyTree, structure: Structure | None, objective: Objective | None
) -> tuple[Structure, np.ndarray]:
    """The point to draw around, flat."""
    if structure is not None and objective is not None:
        return structure, np.asarray(objective.flat(around, "around"))
    around = _as_point(around)
    structure = structure_like(around, "around")
    at = np.asarray(structure.flatten(with_arrays(around), "around"), dtype=float)
    _check_finite(at[None], structure, "around")
    return structure, at


def _given(
    points: PyTree, structure: Structure | None, objective: Objective | None
) -> tuple[Structure, np.ndarray]:
    """Points given one by one: an array ``(n, d)``, one pytree, or a list of points."""
    if structure is not None and objective is not None:
        return structure, as_points(objective, points, "points")
    if isinstance(points, list | tuple) and not _is_vector(points):
        several = list(points)
    else:
        several = list(points) if getattr(points, "ndim", 0) == 2 else [points]
    if not several:
        raise ArgumentError("points must hold at least one point, got none")
    several = list(map(_as_point, several))
    structure = structure_like(several[0], "points")
    flat = [structure.flatten(with_arrays(point), "every point") for point in several]
    return structure, np.stack(flat).astype(float)


def _as_point(point: PyTree) -> PyTree:
    """A point, a list of numbers as an array."""
    return np.asarray(point) if _is_vector(point) else point


def _is_vector(point: PyTree) -> bool:
    return (is_flat(point) and len(point) > 0) or is_complex_list(point)


def _check_memory(points: int, dim: int) -> None:
    """Refuse more points than fit: themselves, and what every estimate keeps at each of them."""
    what = f"points={points:,} in {dim} dimension{'s' * (dim > 1)}"
    check_fits(8 * NUMBERS_KEPT * points * dim, what, "take fewer points")


def _check_finite(points: np.ndarray, structure: Structure, argument: str) -> None:
    broken = np.argwhere(~np.isfinite(points))
    if len(broken):
        point, index = broken[0]
        component = index if structure.is_vector else structure.names[index]
        which = f" of point {point}" if len(points) > 1 else ""
        raise ArgumentError(
            f"{argument} must be finite, got {points[point, index]} in component {component}{which}"
        )


def _special(box: np.ndarray, drawn: np.ndarray, objective: Objective | None) -> np.ndarray:
    """Points at which guards and formulas are known to fail, and no random draw will ever be."""
    low, high = box.T
    special = [box.mean(axis=1)]
    if ((low <= 0) & (high >= 0)).all():
        special.append(np.zeros(len(box)))
    for i in range(min(len(box), 8)):
        if low[i] <= 0 <= high[i]:
            special.append(np.where(np.arange(len(box)) == i, 0.0, drawn[i % len(drawn)]))
    middle = drawn[0].mean()
    if len(box) > 1 and ((low <= middle) & (middle <= high)).all():
        special.append(np.full(len(box), middle))
    if objective is not None:
        known = *objective.known_minima, *objective.saddles, *objective.maxima
        special += map(np.asarray, (objective.start, *known))
    return np.stack(special)
