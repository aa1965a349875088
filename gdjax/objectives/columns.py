"""A person's table of numbers: of a file, or of what is in hand; columns by name, as float64."""

import ast
import functools
import hashlib
import logging
import os
import re
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gdjax._util.arguments import refused
from gdjax._util.errors import ArgumentError, check_known
from gdjax.objectives.delimited import TextFile, number
from gdjax.objectives.formula import Formula, parse, uncounted
from gdjax.objectives.in_hand import InHand, in_hand, in_parquet
from gdjax.objectives.objective import Objective
from gdjax.objectives.parser import check_names
from gdjax.objectives.unpacking import find_file, is_parquet

log: logging.Logger = logging.getLogger(__name__)

MISSING = ("refuse", "drop")  # what becomes of rows that lack a number


class Table:
    """Named columns of numbers, which are read once they are asked for.

    Args:
        source: where they come from.
        columns: names for columns, each with a header or a number from 1.
        missing: ``refuse`` or ``drop``: what becomes of rows that lack a number.

    Raises:
        ArgumentError: columns without a name, or two of one name.
    """

    def __init__(
        self, source: "TextFile | InHand", columns: Any = None, missing: Any = None
    ) -> None:
        self.source, self.file = source, source.file
        self.missing: str = MISSING[0] if missing is None else missing
        check_known("missing", self.missing, MISSING)
        header = [_in_formula(name) or name for name in source.header]
        given = _renamed(columns, source.header, self.file)
        self._all: list[str] = [given.get(i, name) for i, name in enumerate(header)]
        if all(number(name) is not None for name in self._all):
            raise ArgumentError(
                f"data: {self.file} needs names for its columns, got {', '.join(self._all)}; "
                f"give them, as in columns={{x: 1, y: 2}}"
            )
        for i, name in enumerate(self._all):
            if not name and i:  # the first one may be an index, as pandas writes it
                raise ArgumentError(
                    f"data: {self.file} has no name for column {i + 1} in its header; "
                    f"give one, as in columns={{x: {i + 1}}}"
                )
            if name in self._all[:i]:
                first = self._all.index(name)
                raise ArgumentError(
                    f"data: {self.file} has two columns named {name!r}; tell them apart by their "
                    f"numbers, as in columns={{u: {first + 1}, v: {i + 1}}}"
                )
        self.names: tuple[str, ...] = tuple(name for name in self._all if name)
        self._suggested: dict[str, str] = _suggested(self._all)
        self.taken: dict[tuple[str, ...], dict[str, np.ndarray]] = {}  # what was asked for

    def response(self, asked: str | None) -> str:
        """The column to explain: by default y, or the last one."""
        if asked is None:
            return "y" if "y" in self.names else self.names[-1]
        asked = (_in_formula(asked) or asked) if isinstance(asked, str) else asked
        check_known(f"response, a column of {self.file},", asked, self.names)
        return asked

    def numbers(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Some columns, each ``(n,)`` in float64; to drop a row, one of them must lack a number.

        Raises:
            ArgumentError: a cell that is no finite number, with row and column.
        """
        names = tuple(dict.fromkeys(names))
        if names not in self.taken:
            with uncounted():
                self.taken[names] = self._read(names)
        return self.taken[names]

    def _read(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        indices = [self._all.index(name) for name in names]
        parts: list[list[np.ndarray]] = []
        total = lost = 0
        first = ""
        for columns, places, cell in self.source.blocks(indices):
            total += len(places)
            absent = np.zeros(len(places), bool)
            for j, column in enumerate(columns):
                if np.isinf(column).any():
                    i = int(np.argmax(np.isinf(column)))
                    raise self._bad(places[i], names[j], cell(i, j))
                absent |= np.isnan(column)
            if absent.any():
                lost += int(absent.sum())
                if not first:
                    i = int(np.argmax(absent))
                    j = next(j for j, column in enumerate(columns) if np.isnan(column[i]))
                    first = str(self._bad(places[i], names[j], cell(i, j)))
                columns = [column[~absent] for column in columns]
            parts.append(columns)
        if lost and self.missing == "refuse":
            raise ArgumentError(
                f"{first}; missing=drop leaves out the rows that lack a number, {lost:,} of "
                f"{total:,}"
            )
        if lost == total:
            raise ArgumentError(
                f"data: {self.file} has no row with a number in each of {', '.join(names)}"
            )
        if lost:
            log.warning(
                "%s: rows that lack a number are left out, %d of %d", self.file, lost, total
            )
        found = {}
        for j, name in enumerate(names):
            column = np.concatenate([part[j] for part in parts])  # a copy, of one part too
            column.setflags(write=False)
            found[name] = column
        return found

    def digest(self) -> str:
        """What tells the numbers that were asked for from others."""
        found = hashlib.blake2b(digest_size=16)
        for columns in self.taken.values():
            for column in columns.values():
                found.update(column.data)
        return found.hexdigest()

    def formula(self, model: Any, listed: Sequence[str] = ()) -> Formula:
        """The model, unless it means a column by a header that no formula can hold.

        Args:
            model: as it was written.
            listed: the names that are known to be parameters.

        Raises:
            ArgumentError: that, with the ``columns=`` to write, or no formula.
        """
        try:
            found = parse(model, "model", own=self.names)
        except ArgumentError:
            for name, header in self._suggested.items():
                word = rf"(?<!\w){re.escape(header)}(?!\w|\s*\()"
                if re.search(r"[^\W\d]", header) and re.search(word, str(model)):
                    raise self._no_name({name: header}, "") from None
            raise
        meant = {n: h for n, h in self._suggested.items() if n in {*found.names} - {*listed}}
        if meant:
            others = ",".join(name for name in found.names if name not in self.names)
            raise self._no_name(meant, f"; or, if these are parameters, parameters=[{others}]")
        return found

    def _no_name(self, meant: dict[str, str], more: str) -> ArgumentError:
        return ArgumentError(
            f"model: {', '.join(map(repr, meant.values()))} of {self.file} cannot stand in a "
            f"formula: write {_as_columns(meant)}, and {', '.join(meant)} in the model{more}"
        )

    @property
    def hint(self) -> str:
        """What to write for columns whose headers no formula can hold; empty if there are none."""
        given = self._suggested
        return f"; name those that are no names: {_as_columns(given)}" if given else ""

    def _bad(self, place: int, column: str, words: str) -> ArgumentError:
        return ArgumentError(
            f"data: {self.file}, row {place}{self.source.counted}, column {column!r} must be a "
            f"finite number; {words}"
        )


def table(data: Any, sep: Any = None, columns: Any = None, missing: Any = None) -> Table:
    """The table that a person brings.

    Args:
        data: the path of a text file or of a Parquet file, a DataFrame, a mapping of arrays by the
            names of their columns, or a structured array.
        sep: what parts the cells of a text file; by default found.
        columns: names for columns, each with a header or a number from 1.
        missing: ``refuse`` or ``drop``: what becomes of rows that lack a number.

    Raises:
        ArgumentError: anything else, or a table that cannot be read.

    Example:
        >>> found = table({"t": [1, 2], "y": [2.5, 3]})
        >>> found.names, found.numbers(["y"])["y"].tolist()
        (('t', 'y'), [2.5, 3.0])
    """
    if isinstance(data, str | os.PathLike):
        path = find_file(data)
        if not is_parquet(path):
            return Table(TextFile(path, sep), columns, missing)
        source = in_parquet(path)
    else:
        source = in_hand(data)
    if sep is not None:
        raise ArgumentError(f"sep is of text files, and {source.file} is none; leave it out")
    return Table(source, columns, missing)


def _as_columns(names: Mapping[str, str]) -> str:
    """The argument that gives these names to these headers."""
    given = (f'{name}: "{header}"' for name, header in names.items())
    return f"columns={{{', '.join(given)}}}"


@functools.lru_cache(maxsize=4096)
def _in_formula(name: str) -> str | None:
    """A header as a formula has it, where it may be a name there; None if it may not."""
    try:
        parsed = parse(name, "column", own=[name])
    except ArgumentError:
        return None
    return parsed.names[0] if parsed.names and isinstance(parsed.tree, ast.Name) else None


def _suggested(headers: Sequence[str]) -> dict[str, str]:
    """Names for the headers that no formula can hold: Time for ``Time (s)``."""
    found: dict[str, str] = {}
    for i, header in enumerate(headers):
        if header and _in_formula(header) is None:
            word = next(iter(re.findall(r"[^\W\d_]\w*", header)), "column")
            name = _in_formula(word)
            if name is None or name in found or name in headers:
                name = f"{_in_formula(f'{word}_') or 'column_'}{i + 1}"
            found[name] = header
    return found


def _renamed(columns: Any, header: Sequence[str], file: str) -> dict[int, str]:
    """Index → name, of the columns that are given names."""
    pairs = list(columns.items()) if isinstance(columns, Mapping) else columns or ()
    paired = isinstance(pairs, list | tuple) and all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs
    )
    if not paired:
        raise refused("columns", 'be names with headers, such as {t: "Time (s)"}', columns)
    check_names([name for name, _ in pairs], "columns", may_be_constants=True)
    found: dict[int, str] = {}
    for name, which in pairs:
        if isinstance(which, int) and not isinstance(which, bool):
            if not 1 <= which <= len(header):
                raise ArgumentError(f"columns: {file} has columns 1 to {len(header)}, got {which}")
            index = which - 1
        else:
            check_known(f"header of {file}", which, header)
            index = header.index(which)
        if index in found:
            raise ArgumentError(f"columns: {found[index]} and {name} are both column {index + 1}")
        found[index] = _in_formula(name) or name
    return found


def remembered(make: Callable[..., Objective]) -> Callable[..., Objective]:
    """One object for equal calls, as long as anybody holds it (a decorator).

    The first argument is a table, of which the numbers count that were taken from it. Which ones
    those are follows from its names and the other arguments.
    """
    taken: dict[Any, tuple[tuple[str, ...], ...]] = {}
    made: weakref.WeakValueDictionary[Any, Objective] = weakref.WeakValueDictionary()

    @functools.wraps(make)
    def one(table: Table, *args: Any, **more: Any) -> Objective:
        asked = table.names, table.file, args, *more.items()
        for names in taken.get(asked, ()):
            table.numbers(names)
        found = made.get((asked, table.digest()))
        if found is None:
            found = make(table, *args, **more)
            taken[asked] = tuple(table.taken)
            found = made.setdefault((asked, table.digest()), found)
        return found

    return one
