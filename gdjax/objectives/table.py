"""The catalogue, to be read: one line for each objective, or all that is known about one."""

from collections.abc import Iterable
from typing import NamedTuple

from gdjax._util.display import Card, aligned, shown
from gdjax.objectives import registry
from gdjax.objectives.facts import sides_in_words

LISTED = 12  # points of one kind that a description shows
SHOWN = 200  # numbers of a point that it shows


@shown
class Entry(NamedTuple):
    """One line of the catalogue, at the dimension an objective has by default.

    Args:
        name: what ``get`` calls it.
        family: the shape of its landscape.
        dim: the number of dimensions, or ``n`` if it can be chosen.
        smoothness: as ``Objective`` has it.
        global_minima, other_minima: how many are known.
        complete: whether there are no others in the domain.
        fmin: the least value; None if there is none.
    """

    name: str
    family: str
    dim: str
    smoothness: str
    global_minima: int
    other_minima: int
    complete: bool
    fmin: float | None


@shown
class Table(tuple[Entry, ...]):
    """Lines of the catalogue; ``str`` aligns them, ``?`` and ``+`` where there may be others."""

    def _rows(self) -> list[list[str]]:
        rows = [["name", "family", "dim", "smoothness", "global", "other", "f*"]]
        for *words, others, complete, fmin in self:
            known = str(others) if complete else f"{others}+" if others else "?"
            least = "none" if fmin is None else f"{fmin:.10g}"
            rows.append([*map(str, words), known, least])
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
    for name in registry.working():
        f = registry.get(name)
        dim = "n" if "dim" in registry.parameters(name) else str(f.dim)
        known = len(f.minima), len(f.local_minima), f.complete
        entries.append(Entry(name, registry.family(name), dim, f.smoothness, *known, f.fmin))
    for name, count in registry.network_names().items():  # without their data, which take a while
        dim = str(count)
        entries.append(Entry(name, registry.family(name), dim, "smooth", 0, 0, False, None))
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
        "domain": sides_in_words(f.domain) if f.domain else "none",
        "start": _point(f.start),
        "smoothness": f.smoothness,
        "f*": "none" if f.fmin is None else repr(f.fmin),
        "minima": _points(f.minima),
        "local minima": _points(f.local_minima),
        "saddles": _points(f.saddles),
        "maxima": _points(f.maxima),
        "parameters": ", ".join(f"{k}={v}" for k, v in registry.parameters(name).items()),
        "dtype": "" if f.float32 else "needs float64",
        "reference": f.reference,
    }
    gap = "\n" + 14 * " "
    lines = [f"{label:12}  {value}".replace("\n", gap) for label, value in facts.items() if value]
    if f.complete:
        kinks = ", its kinks aside" if f.kink else ""
        lines.append(f"There are no other stationary points in the domain{kinks}.")
    else:
        lines.append("There may be other stationary points than these.")
    return f"{name} ({registry.family(name)}): {registry.text(name)}\n\n" + "\n".join(lines)


def _point(point: Iterable[float]) -> str:
    shown = [f"{x:.10g}" for x in point]
    if len(shown) > SHOWN:
        shown = [*shown[:3], f"… {len(shown):,} numbers"]
    return f"({', '.join(shown)})"


def _points(points: Iterable[Iterable[float]]) -> str:
    lines = [_point(point) for point in points]
    more = [f"… and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return "\n".join(lines[:LISTED] + more)
