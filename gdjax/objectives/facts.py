"""What is told of an objective beside its function: of which kind each fact is, and its domain."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

from gdjax._util.arguments import Rule, flag, function, maybe, number, refused, text
from gdjax._util.errors import ArgumentError
from gdjax._util.types import PyTree

Smoothness = Literal["smooth", "removable", "kink", "smooth_at_min"]
EDGE = 1e-9  # of the domain's side: a minimum on its border may be rounded


def _smoothness(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in get_args(Smoothness):
        raise refused(name, f"be one of {', '.join(get_args(Smoothness))}", value)
    return value


def _names(name: str, value: Any) -> tuple[str, ...]:
    try:
        found = (value,) if isinstance(value, str) else tuple(value)
    except TypeError:
        found = (value,)
    if not all(isinstance(each, str) and each for each in found):
        raise refused(name, "be names, one for each component", value)
    return found


RULES: dict[str, Rule] = {
    "name": text,
    "fn": maybe(function),
    "residuals": maybe(function),
    "gradient": maybe(function),
    "hessian": maybe(function),
    "kink": maybe(function),
    "fmin": maybe(number()),
    "complete": flag,
    "float32": flag,
    "bounded": flag,
    "smoothness": _smoothness,
    "variables": _names,
    "latex": text,
    "gradient_latex": text,
    "reference": text,
}


def check_inside(kind: str, points: Sequence[Sequence[float]], domain: PyTree) -> None:
    """Refuse minima that lie outside the domain.

    Raises:
        ArgumentError: for the first of them.
    """
    for point in points:
        for x, (low, high) in zip(point, domain, strict=True):
            slack = EDGE * (high - low)
            if not low - slack <= x <= high + slack:
                sides = sides_in_words(domain)
                raise ArgumentError(f"{kind} must lie within the domain, {sides}, got {point}")


def sides_in_words(domain: Sequence[Sequence[float | int]]) -> str:
    """The sides of a domain: equal ones as one with their number, others as a product.

    Example:
        >>> sides_in_words([(-1, 1), (-1, 1)]), sides_in_words([(0, 1), (0, 2.5)])
        ('[-1, 1] in each of 2 dimensions', '[0, 1] × [0, 2.5]')
    """
    sides = [f"[{low:g}, {high:g}]" for low, high in domain]
    if len(set(sides)) == 1 and len(sides) > 1:
        return f"{sides[0]} in each of {len(sides)} dimensions"
    return " × ".join(sides)
