"""The catalogue, to be read: one line for each objective, or all that is known about one."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from gdjax._display import Card, aligned, brief, shown
from gdjax.objectives import registry
from gdjax.objectives.base import Objective

LISTED = 12  # points of one kind that a description shows


@shown
class Entry(NamedTuple):
    """One line of the catalogue, at the dimension an objective has by default.

    Args:
        name: what ``get`` calls it.
        family: the shape of its landscape.
        dim: the number of dimensions, or ``n`` if it can be chosen.
        smoothness: as ``Objective`` has it.
        global_minima, other_minima: how many are known.
        fmin: the least value; None if there is none.
    """

    name: str
    family: str
    dim: str
    smoothness: str
    global_minima: int
    other_minima: int
    fmin: float | None


@shown
class Table(tuple[Entry, ...]):
    """Lines of the catalogue; ``str`` aligns them."""

    def _rows(self) -> list[list[str]]:
        rows = [["name", "family", "dim", "smoothness", "global", "other", "f*"]]
        for *words, fmin in self:
            rows.append([*map(str, words), "none" if fmin is None else f"{fmin:.10g}"])
        return rows

    def __str__(self) -> str:
        return aligned(self._rows())

    def _card(self) -> Card:
        return Card(f"Table of {len(self)} objectives; print it for all", {}, self._rows())


def table() -> Table:
    """Every objective in one line, with its family, dimension, smoothness and known minima.

    Example:
        >>> print(Table(entry for entry in table() if entry.family == "saddles"))
        name           family   dim  smoothness  global  other  f*
        monkey_saddle  saddles  2    smooth      0       0      none
        saddle         saddles  2    smooth      0       0      none
    """
    entries = []
    for name in registry.names():
        f = registry.get(name)
        dim = "n" if "dim" in registry.parameters(name) else str(f.dim)
        known = len(f.minima), len(f.local_minima)
        entries.append(Entry(name, registry.family(name), dim, f.smoothness, *known, f.fmin))
    return Table(sorted(entries, key=lambda entry: (entry.family, entry.name)))


def describe(name: str) -> str:
    """All that is known about one objective, as text.

    Raises:
        ArgumentError: an unknown name.

    Example:
        >>> print(describe("saddle").splitlines()[0])
        saddle (saddles): f(x, y) = x² − y²: the plainest saddle, unbounded below.
    """
    f = registry.get(name)
    facts = {
        "formula": f.latex,
        "domain": _times(f"[{low:g}, {high:g}]" for low, high in f.domain),
        "start": _point(f.start),
        "smoothness": f.smoothness,
        "f*": "none" if f.fmin is None else repr(f.fmin),
        "minima": _points(f.minima),
        "local minima": _points(f.local_minima),
        "saddles": _points(f.saddles),
        "maxima": _points(f.maxima),
        "parameters": ", ".join(f"{k}={v}" for k, v in registry.parameters(name).items()),
        "precision": "" if f.float32 else "needs float64",
        "reference": f.reference,
    }
    gap = "\n" + 14 * " "
    lines = [f"{label:12}  {value}".replace("\n", gap) for label, value in facts.items() if value]
    if f.complete:
        kinks = ", its kinks aside" if f.kink else ""
        lines.append(f"There are no other stationary points in the domain{kinks}.")
    return f"{name} ({registry.family(name)}): {registry.text(name)}\n\n" + "\n".join(lines)


def card(objective: Objective) -> Card:
    """What is shown of an objective, in the catalogue or not."""
    f = objective
    names = f.variables if f.dim <= 6 else (f.variables[0], "…", f.variables[-1])
    guessed = "" if f.bounded or f.domain is None else ", guessed"
    sides = _times(f"[{low:g}, {high:g}]" for low, high in f.domain or ())
    derived = {"gradient": f.gradient, "Hessian": f.hessian}
    return Card(
        f"Objective {f.name}, of {f.dim} variable{'s' * (f.dim > 1)}: {', '.join(names)}",
        {
            "formula": f"${f.latex}$" if f.latex else None,
            "domain": sides + guessed if sides else "none: a descent is never out of bounds",
            "start": f.start,
            "f*": f.fmin,
            "minima": _few(f.minima),
            "local minima": _few(f.local_minima),
            "saddles": _few(f.saddles),
            "maxima": _few(f.maxima),
            "by hand": ", ".join(name for name, hand in derived.items() if hand) or "no derivative",
            "smoothness": f.smoothness,
            "args": f.args,
            "fit": f.fit and f"{f.fit.response} over {', '.join(f.fit.columns)}",
            "precision": None if f.float32 else "needs float64",
            "reference": f.reference,
        },
    )


def _few(points: Sequence[Any] | None) -> str:
    points = points or ()
    shown = ", ".join(map(brief, points[:2]))
    return f"{shown}, … {len(points)} in all" if len(points) > 2 else shown


def _point(point: Iterable[float]) -> str:
    return f"({', '.join(f'{x:.10g}' for x in point)})"


def _points(points: Iterable[Iterable[float]]) -> str:
    lines = [_point(point) for point in points]
    more = [f"… and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return "\n".join(lines[:LISTED] + more)


def _times(sides: Iterable[str]) -> str:
    """Equal sides as a power, others as a product."""
    sides = list(sides)
    if len(set(sides)) == 1 and len(sides) > 1:
        return f"{sides[0]} in each of {len(sides)} dimensions"
    return " × ".join(sides)
