"""Tables in text files: separator, header and rows are found here; pandas reads the numbers.

Every row carries the number of its line as an editor shows it, for what is said about it.
"""

import contextlib
import csv
import functools
import io
import itertools
import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gdjax._util.errors import ArgumentError
from gdjax.objectives.unpacking import encoding_of, refusing, unpacked

log: logging.Logger = logging.getLogger(__name__)

SPACES = " "  # one or more of them, or tabs
SEPARATORS = {"tab": "\t", "semicolon": ";", "comma": ",", "spaces": SPACES}  # as they are tried
BLOCK = 20_000  # rows that pandas reads at once
LONGEST = 100  # lines of a quoted cell
SAMPLE = 50  # rows that tell the separator
ABSENT = {"", "na", "n/a", "nan", "-nan", "null", "none", "<na>", "#n/a", "#na"}
COMMENT = re.compile(r"\s*#(?!N/A|NA\b|DIV/0!|VALUE!|REF!|NUM!|NAME\?|NULL!)")  # Excel's errors
THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+")  # or three decimals: nobody can tell

Line = tuple[int, str]  # the number and the text of a row


class Block(NamedTuple):
    """Some rows of a table.

    Args:
        columns: the values of each column that was asked for, ``(n,)``; NaN where one is missing.
        places: the number of each row.
        cell: row and column, both counted within the block → the refusal's words for the cell.
    """

    columns: list[np.ndarray]
    places: Sequence[int]
    cell: Callable[[int, int], str]


class TextFile:
    """A table in a text file, which may be packed.

    Args:
        path: where it is.
        sep: what parts its cells: one character, or a word of ``SEPARATORS``; by default found.
    """

    counted: str = ""  # how its rows are: from 1, as an editor does

    def __init__(self, path: Path, sep: Any = None) -> None:
        self.path, self.file = path, path.name
        with refusing(path):
            self.encoding: str = encoding_of(path)
            with self._text() as text:
                head = list(itertools.islice(_logical(enumerate(text, 1)), SAMPLE))
            if len(head) < 2:
                raise ArgumentError(
                    f"data: {self.file} needs a header and at least one row of numbers"
                    + ("" if head else ", and is empty")
                )
            found = separator(sep) if sep is not None else _found([line for _, line in head])
            self.sep: str = found
            self.header: list[str] = _trimmed(_cells(head[0][1], found))
            if all(number(name, "," if "," in name else ".") is not None for name in self.header):
                raise self._no_header()
        if self.encoding != "utf-8-sig":
            word = "Latin-1" if self.encoding == "latin-1" else self.encoding.upper()
            log.warning("%s is not in UTF-8: it is read as %s", self.file, word)

    def blocks(self, indices: Sequence[int]) -> Iterator[Block]:
        """The rows, as the numbers of some columns.

        Raises:
            ArgumentError: a row of another length, or a cell that is no number.
        """
        decimal, whole = ".", True  # so far: what numbers may yet be once a comma comes
        with refusing(self.path), self._text() as text:
            rows = self._rows(text)
            while lines := list(itertools.islice(rows, BLOCK)):
                try:
                    columns = self._parsed(lines, indices, decimal)
                except ValueError:
                    cells = [_cells(line, self.sep) for _, line in lines]
                    used = [[row[i] for i in indices] for row in cells]
                    if decimal == "." and whole and _has_decimal_commas(used):
                        log.warning("%s has decimal commas: 1,5 is read as 1.5", self.file)
                        decimal = ","
                    columns = self._one_by_one(lines, used, indices, decimal)
                whole = whole and all((each == np.floor(each)).all() for each in columns)
                cell = functools.partial(self._cell, lines, indices)
                yield Block(columns, [place for place, _ in lines], cell)

    def _cell(self, lines: list[Line], indices: Sequence[int], row: int, column: int) -> str:
        cell = _cells(lines[row][1], self.sep)[indices[column]]
        return f"got {cell!r:.80}" if cell else "the cell is empty"

    def _parsed(self, lines: list[Line], indices: Sequence[int], decimal: str) -> list[np.ndarray]:
        import pandas as pd

        exact: dict[str, Any] = {}  # the nearest float64, which is the default since pandas 3.1
        if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):
            exact = {"float_precision": "round_trip"}
        text = "".join(line if line.endswith("\n") else f"{line}\n" for _, line in lines)
        table = pd.read_csv(
            io.StringIO(text), sep=r"\s+" if self.sep == SPACES else self.sep, decimal=decimal,
            header=None, usecols=sorted({*indices}), index_col=False, dtype="float64",
            skipinitialspace=True, skip_blank_lines=False, engine="c", keep_default_na=False,
            na_values=sorted(ABSENT | {each.upper() for each in ABSENT} | {"NaN", "None"}), **exact,
        )  # fmt: skip
        if len(table) != len(lines):
            raise ValueError("its rows are others")
        return [table[i].to_numpy() for i in indices]

    def _one_by_one(
        self, lines: list[Line], used: list[list[str]], indices: Sequence[int], decimal: str
    ) -> list[np.ndarray]:
        """What pandas does not take, cell by cell: the first that is no number is refused."""
        columns = [np.empty(len(used)) for _ in indices]
        for i, row in enumerate(used):
            for j, cell in enumerate(row):
                value = math.nan if cell.lower() in ABSENT else number(cell, decimal)
                if value is None:
                    raise ArgumentError(
                        f"data: {self.file}, row {lines[i][0]}, column {self.header[indices[j]]!r} "
                        f"must be a finite number; got {cell!r:.80}{_hint(cell, decimal)}"
                    )
                columns[j][i] = value
        return columns

    def _rows(self, text: Iterable[str]) -> Iterator[Line]:
        """The rows after the header, each with as many cells as that."""
        lines, sep, count = enumerate(text, 1), self.sep, len(self.header)
        next(_logical(lines, sep))
        quoted = re.compile(rf'(?<![^\s{re.escape(sep)}])"[^"]*"')
        for place, line in lines:  # there may be millions: the plain ones first
            bare = quoted.sub("q", line) if '"' in line else line
            cells = len(bare.split()) if sep == SPACES else bare.count(sep) + 1
            if cells == count > 1 and '"' not in bare and "#" not in bare:
                yield place, line
                continue
            if _is_skipped(line):
                continue
            line = _whole(place, line, lines, sep)
            found = _trimmed(_cells(line, sep), count)
            if len(found) != count:
                raise ArgumentError(
                    f"data: {self.file}, row {place}: {count} cells expected, as in the "
                    f"header ({', '.join(self.header)}), got {len(found)}"
                )
            yield place, line

    def _no_header(self) -> ArgumentError:
        with self._text() as text:
            first = next(line for line in text if line.strip()).strip()
        hint = "write one above them, such as x,y"
        if first.startswith("#"):
            hint = f"if {first!r:.80} is one, take its # away"
        return ArgumentError(
            f"data: {self.file} needs a header with the names of its columns, got the numbers "
            f"{', '.join(self.header)}; {hint}"
        )

    @contextlib.contextmanager
    def _text(self) -> Iterator[io.TextIOWrapper]:
        with unpacked(self.path) as file:
            yield io.TextIOWrapper(file, self.encoding)


def separator(given: Any) -> str:
    """The separator that a word or a character stands for.

    Example:
        >>> separator("semicolon"), separator("|")
        (';', '|')
    """
    words = SEPARATORS | {"space": SPACES, r"\t": "\t", r"\s+": SPACES, "\t": "\t"}
    if isinstance(given, str) and given in words:
        return words[given]
    if isinstance(given, str) and re.fullmatch(r"[!$%&()*/:;<=>?@\[\]^`{|}~,\\]", given):
        return given
    raise ArgumentError(
        f"sep must be one character or one of {', '.join(SEPARATORS)}, got {given!r:.80}"
    )


def number(cell: str, decimal: str = ".") -> float | None:
    """A cell as a finite number; None if it is none.

    Example:
        >>> number("1e3"), number("1,5", ","), number("1_0"), number("inf")
        (1000.0, 1.5, None, None)
    """
    if "_" in cell or not cell.isascii() or (decimal == "," and "." in cell):
        return None  # 1_0 is a number to Python alone
    try:
        value = float(cell.replace(decimal, "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _hint(cell: str, decimal: str) -> str:
    """What to write instead of a cell."""
    if decimal == ",":
        return ", where others have decimal commas"
    if THOUSANDS.fullmatch(cell):
        return f": write {cell.replace(',', '')}, or {cell.replace(',', '.')} if that is meant"
    return ": write a decimal point" if number(cell, ",") is not None else ""


def _has_decimal_commas(rows: Iterable[Sequence[str]]) -> bool:
    """Whether every cell is a number once its comma is a point, and one can be nothing else."""
    sure = False
    for cell in itertools.chain.from_iterable(rows):
        if cell.lower() not in ABSENT:
            if number(cell, ",") is None:
                return False
            sure = sure or ("," in cell and not THOUSANDS.fullmatch(cell))
    return sure


def _found(lines: Sequence[str]) -> str:
    """The separator that cuts most rows into as many cells as the header has, two at least.

    Of several, the one whose cells are numbers more often.
    """

    def fit(sep: str) -> tuple[int, float]:
        try:
            header, *rows = (_trimmed(_cells(line, sep)) for line in lines)
        except csv.Error:  # a cell over two lines, where another separator is taken for theirs
            return 0, 0.0
        alike = [row for row in rows if len(row) == len(header) > 1]
        cells = list(itertools.chain.from_iterable(alike))
        numbers = sum(number(cell, "," if "," in cell else ".") is not None for cell in cells)
        return len(alike), numbers / max(len(cells), 1)

    best = max(SEPARATORS.values(), key=fit)  # the first of equals
    return best if fit(best)[0] else ","


def _cells(line: str, sep: str) -> list[str]:
    """The cells of a row, without the blanks and the quotes around them."""
    if sep == SPACES:
        line = " ".join(line.split())
    row = next(csv.reader([line], delimiter=sep, skipinitialspace=True))
    return [cell.strip() for cell in row]


def _trimmed(cells: list[str], count: int = 1) -> list[str]:
    """The cells without the empty ones that trailing separators make; at least so many."""
    while len(cells) > count and not cells[-1]:
        cells = cells[:-1]
    return cells


def _logical(lines: Iterator[Line], sep: str | None = None) -> Iterator[Line]:
    """The rows without blank lines and comments."""
    for place, line in lines:
        if not _is_skipped(line):
            yield place, _whole(place, line, lines, sep)


def _is_skipped(line: str) -> bool:
    return not line.strip() or COMMENT.match(line) is not None


def _whole(place: int, line: str, lines: Iterator[Line], sep: str | None) -> str:
    """A row with the lines that a quoted cell goes on in; without a separator, whatever it is."""
    for _ in range(LONGEST):
        if not (line.count('"') % 2 and _is_open(line, sep)):
            return line
        line += next(lines, (0, ""))[1]
    raise csv.Error(f"a quote that begins in row {place} has no end")


def _is_open(line: str, sep: str | None) -> bool:
    """Whether a quoted cell goes on in the next line."""
    for each in [sep] if sep else SEPARATORS.values():
        try:
            list(csv.reader([line], delimiter=each, skipinitialspace=True, strict=True))
        except csv.Error as error:
            if "unexpected end" in str(error):
                return True
    return False
