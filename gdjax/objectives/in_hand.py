"""Tables in hand: frames, mappings of arrays, arrays with names, and what lies in Parquet files."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from gdjax._util.arguments import refused
from gdjax._util.errors import ArgumentError, said
from gdjax.objectives.delimited import Block

KINDS = "the path of a file, a DataFrame, arrays by the names of columns, or an array with names"


class InHand:
    """A table in memory.

    Args:
        file: what messages call it.
        header: the names of its columns.
        column: index → its values.
    """

    counted: str = " (from 0)"  # how its rows are

    def __init__(self, file: str, header: Sequence[Any], column: Callable[[int], Any]) -> None:
        self.file, self.header, self.column = file, [str(name).strip() for name in header], column
        if not header:
            raise ArgumentError(f"data: {file} has no columns")

    def blocks(self, indices: Sequence[int]) -> Iterator[Block]:
        """All its rows, counted from 0, as one block."""
        try:
            raw = [self.column(i) for i in indices]
        except Exception as error:  # of whatever hands them out
            raise ArgumentError(f"data: {self.file} cannot be read: {said(error)}") from None
        columns = [self._as_numbers(each, i) for each, i in zip(raw, indices, strict=True)]
        for i, column in zip(indices, columns, strict=True):
            if len(column) != len(columns[0]):
                raise ArgumentError(
                    f"data: the columns of {self.file} must be of one length, got "
                    f"{len(columns[0])} for {self.header[indices[0]]!r} and {len(column)} for "
                    f"{self.header[i]!r}"
                )
        if not len(columns[0]):
            raise ArgumentError(f"data: {self.file} needs at least one row of numbers")
        yield Block(columns, range(len(columns[0])), lambda i, j: f"got {_item(raw[j], i)!r:.80}")

    def _as_numbers(self, given: Any, index: int) -> np.ndarray:
        """A column as a new array of floats; NaN where a number is missing."""
        where = f"data: column {self.header[index]!r} of {self.file}"
        try:
            numeric = getattr(given, "dtype", None)
            if hasattr(numeric, "na_value") and getattr(numeric, "kind", "O") in "iuf":
                return given.to_numpy("float64", na_value=math.nan)  # pandas' Int64
            if isinstance(given, np.ma.MaskedArray) and given.dtype.kind in "iuf":
                return np.ma.filled(given.astype("float64"), math.nan)
            array = np.asarray(given)
        except Exception as error:  # whatever stands there
            raise ArgumentError(f"{where} is no array of numbers: {said(error)}") from None
        if array.ndim != 1:
            raise ArgumentError(f"{where} must be of shape (n,), got {array.shape}")
        if array.dtype.kind in "iuf":
            return array.astype("float64", copy=False)
        if array.dtype.kind not in "OUT":
            raise ArgumentError(f"{where} must hold numbers, got {array.dtype}")
        found = np.empty(len(array))
        for i, value in enumerate(array.tolist()):
            if value is None or type(value).__name__ in ("NAType", "NaTType"):
                found[i] = math.nan
            elif isinstance(value, Real | Decimal) and not isinstance(value, bool):
                found[i] = float(value)
            else:
                raise ArgumentError(
                    f"data: {self.file}, row {i}{self.counted}, column {self.header[index]!r} "
                    f"must be a finite number; got {value!r:.80}"
                )
        return found


def _item(column: Any, i: int) -> Any:
    value = column.iloc[i] if hasattr(column, "iloc") else np.ma.asarray(column)[i]
    return value.item() if hasattr(value, "item") else value


def in_hand(data: Any) -> InHand:
    """The table that an object is.

    Raises:
        ArgumentError: it is none, or its columns have no names.
    """
    frame: Any = data
    if isinstance(data, np.ndarray) and data.dtype.names:
        names, array = data.dtype.names, data
        return InHand("the array", names, lambda i: array[names[i]])
    if isinstance(data, Mapping):
        keys = list(data)
        return InHand("the mapping", keys, lambda i: data[keys[i]])
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return InHand("the DataFrame", list(frame.columns), lambda i: frame.iloc[:, i])
    if hasattr(data, "columns") and hasattr(data, "get_column"):  # polars
        return InHand("the DataFrame", list(frame.columns), lambda i: frame.to_series(i))
    hint = '; give names, as in {"x": a[:, 0], "y": a[:, 1]}' if hasattr(data, "shape") else ""
    raise ArgumentError(f"{refused('data', f'be {KINDS}', data)}{hint}")


def in_parquet(path: Path) -> InHand:
    """The table in a Parquet file, of which only the columns that are asked for are read.

    Raises:
        ArgumentError: it cannot be read, or pyarrow is not installed.
    """
    try:
        import pandas as pd
        import pyarrow.parquet as parquet
    except ImportError:
        raise ArgumentError(
            f"data: {path.name} is a Parquet file, which needs pyarrow: pip install gdjax[parquet]"
        ) from None
    try:
        names = parquet.read_schema(path).names
    except Exception as error:  # pyarrow's own kinds
        raise ArgumentError(f"data: {path} cannot be read: {said(error)}") from None

    def column(i: int) -> Any:
        found = pd.read_parquet(path, columns=[names[i]], engine="pyarrow")
        return found[names[i]] if names[i] in found else found.index.to_series()

    return InHand(path.name, names, column)
