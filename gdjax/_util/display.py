"""What a person sees of an object: at most a screen of text, and in a notebook a small table.

A class that is ``@shown`` says what is on its card: a title, facts, perhaps a table. The colours
and fonts are the notebook's own, so that it can be read in a light and in a dark one.
"""

import functools
import html
import itertools
import sys
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

LINES, COLUMNS = 20, 100  # of a terminal's screen, with room for the prompt
ROWS = 60  # of a notebook's table, as pandas has it
LABEL, TEXT = 24, 1000  # characters of a fact's label, and of a cell
ITEMS = 6  # of a point, a list or a dictionary
LEFT = ' style="text-align: left; vertical-align: top"'

Class = TypeVar("Class", bound=type)
Described = TypeVar("Described")
Item = TypeVar("Item")


class Card(NamedTuple):
    """What is shown of an object.

    Args:
        title: what it is, and what became of it.
        facts: by label, any values; those that are None or empty are left out.
        table: rows of cells, its head first.
    """

    title: str
    facts: Mapping[str, object] = {}
    table: Sequence[Sequence[str]] = ()


def shown(cls: Class) -> Class:
    """Give a class a ``repr`` within a screen and a table in notebooks, by its ``_card`` method.

    Without one, and where JAX has put tracers, batches or shapes into its fields, these are
    listed by their names.

    Example:
        >>> @shown
        ... class Pair(NamedTuple):
        ...     name: str
        ...     path: np.ndarray
        >>> Pair("long", np.ones((3000, 50)))
        Pair
          name  long
          path  float64 (3000, 50)
    """
    card, words = getattr(cls, "_card", _fields), cls.__dict__.get("__str__")

    def safe(self: object) -> Card:
        return _or_else(card, _fields, self)

    # A class is of any type here, and these are attributes of every one.
    made: Any = cls
    made.__repr__ = lambda self: as_text(safe(self))
    made._repr_html_ = lambda self: as_html(safe(self))
    if words is not None:
        made.__str__ = functools.wraps(words)(lambda self: _or_else(words, repr, self))
    return cls


def _or_else(
    describe: Callable[[object], Described], other: Callable[[object], Described], it: object
) -> Described:
    try:
        return describe(it)
    except Exception:  # a pytree's fields may hold anything, and a repr never fails
        return other(it)


def _fields(it: object) -> Card:
    names = getattr(it, "_fields", None) or [n for n in vars(it) if not n.startswith("_")]
    return Card(type(it).__name__, {name: brief(getattr(it, name)) for name in names})


def brief(value: Any) -> str:
    """Any value in a few words: an array by its numbers, or its dtype and shape.

    Example:
        >>> brief(np.float32(0.1)), brief((7.11, 6.97)), brief(np.arange(9.0))
        ('0.1', '(7.11, 6.97)', '(0, 1, 2, 3, 4, 5, …)')
        >>> brief(np.ones((301, 2))), brief({"w": np.ones((4, 3)), "b": 0.5})
        ('float64 (301, 2)', 'w: float64 (4, 3), b: 0.5')
    """
    if isinstance(value, str):
        return _words(value)
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return _array(value)
    if isinstance(value, Mapping):
        items = [f"{key}: {brief(item)}" for key, item in itertools.islice(value.items(), ITEMS)]
        return _join(items, len(value))
    if type(value) in (tuple, list):
        comma = "," * (len(value) == 1)
        return f"({_join(map(brief, value[:ITEMS]), len(value))}{comma})" if value else ""
    if hasattr(type(value), "_repr_html_"):
        return type(value).__name__
    return _words(str(getattr(value, "__name__", value)))


def _array(array: Any) -> str:
    """Its numbers where they are few and known, else how many of which kind."""
    shape = tuple(array.shape)
    if len(shape) < 2:
        try:
            numbers = np.asarray(array)
            if not shape:
                return brief(numbers.item())
            return f"({_join(map(brief, numbers[:ITEMS].tolist()), len(numbers))})"
        except Exception:  # traced, deleted, or only a shape
            pass
    return f"{array.dtype} {shape}"


def _join(words: Iterable[str], count: int) -> str:
    return ", ".join([*words, *["…"] * (count > ITEMS)])


def as_text(card: Card) -> str:
    """A card for a terminal: at most 20 lines of 100 characters."""
    facts = _said(card.facts)
    width = max(map(len, facts), default=0) + 4
    lines = _wrapped(_words(card.title), 4)
    for label, text in facts.items():
        lines += _wrapped(f"  {label}".ljust(width) + text, width)
    table = [[_words(cell) for cell in row] for row in card.table]
    rows = [f"  {line}" for line in aligned(table, COLUMNS - 2).splitlines()]
    lines = _first(lines, LINES - min(len(rows) + 1, LINES // 2))
    if rows:
        lines += ["", *_first(rows, LINES - 1 - len(lines))]
    return "\n".join(lines)


def as_html(card: Card) -> str:
    """A card for a notebook, in the colours that are there."""
    head, *rows = card.table or [()]
    listed = "".join(
        f"<tr>{_cells('th', [k])}{_cells('td', [v])}</tr>" for k, v in _said(card.facts).items()
    )
    body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows[:ROWS])
    parts = [f"<strong>{_escaped(_words(card.title))}</strong>"]
    parts += [f"<table><tbody>{listed}</tbody></table>"] if listed else []
    if rows:
        top = f"<thead><tr>{_cells('th', head)}</tr></thead>"
        parts.append(f"<table>{top}<tbody>{body}</tbody></table>")
    parts += [f"<p>… {len(rows) - ROWS} more</p>"] if len(rows) > ROWS else []
    return f"<div>{''.join(parts)}</div>"


def _said(facts: Mapping[str, object]) -> dict[str, str]:
    """The facts that say something, as text."""
    known = {label: brief(value) for label, value in facts.items() if value is not None}
    return {_cut(_words(label), LABEL): text for label, text in known.items() if text}


def _words(text: str) -> str:
    """Text without line breaks."""
    return " ".join(text.split())


def _wrapped(line: str, indent: int) -> list[str]:
    """A line in at most three."""
    return textwrap.wrap(
        line, COLUMNS, subsequent_indent=" " * indent, max_lines=3, placeholder=" …"
    )


def _escaped(text: str) -> str:
    return html.escape(_cut(text, TEXT))


def _cells(tag: str, cells: Iterable[str]) -> str:
    return "".join(f"<{tag}{LEFT}>{_escaped(cell)}</{tag}>" for cell in cells)


def _first(lines: list[str], room: int) -> list[str]:
    """As many as there is room for, the last of them saying how many more there are."""
    if len(lines) <= room:
        return lines
    return [*lines[: room - 1], f"  … {len(lines) - room + 1} more lines"]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def aligned(rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """Rows as text in columns, two spaces apart; to fit a width, the widest are cut.

    Example:
        >>> print(aligned([("name", "dim"), ("rosenbrock", "2")]))
        name        dim
        rosenbrock  2
        >>> print(aligned([("name", "dim"), ("rosenbrock", "2")], width=10))
        name   dim
        rose…  2
    """
    widths = [
        min(max(map(len, column)), width or sys.maxsize) for column in zip(*rows, strict=True)
    ]
    while width and sum(widths) + 2 * len(widths) - 2 > width and max(widths) > 5:
        widths[widths.index(max(widths))] -= 1
    lines = (
        "  ".join(_cut(cell, w).ljust(w) for cell, w in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def duration(seconds: float) -> str:
    """A time in one digit, for more would be more than is known.

    Example:
        >>> duration(0.0123), duration(140.0), duration(4.3e5)
        ('0.01 s', '2 min', '100 h')
    """
    units = [(s, unit) for s, unit in ((3600, "h"), (60, "min")) if seconds >= 2 * s]
    each, unit = units[0] if units else (1, "s")
    return f"{float(f'{seconds / each:.1g}'):g} {unit}"


def counted(items: Collection[Item], unit: str, shown: bool) -> Iterable[Item]:
    """The same items, with a progress bar that counts them if it is to be shown.

    Example:
        >>> [*counted([1, 2], " steps", False)]
        [1, 2]
    """
    if not shown:
        return items
    from tqdm import tqdm  # few calls show one

    return tqdm(items, unit=unit)
