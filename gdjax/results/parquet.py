"""Results as a table: one row a cell, in a Parquet file."""

import json
import math
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from gdjax._util.arguments import gate, place
from gdjax._util.errors import ArgumentError, StorageError
from gdjax._util.files import whole
from gdjax.results.folder import open_results
from gdjax.results.provenance import to_json

GROUP_BYTES = 1 << 26  # of results in one row group: what is in memory at a time
TRAILING = ("record", "component", "known_minimum")


def _results(name: str, value: Any) -> xr.Dataset | str | os.PathLike[str]:
    return value if isinstance(value, xr.Dataset) else place(name, value)


@gate(results=_results, file=place)
def to_parquet(results: xr.Dataset | str | os.PathLike[str], file: str | os.PathLike[str]) -> Path:
    """Write results as a Parquet table with one row a cell; a file of that name is replaced.

    The columns are ``start`` and its components (``start_point_x``, …), the hyperparameters,
    and the results (``final_point_x``, …); recorded paths are columns of lists. The attrs and
    the recorded steps stand in the table's metadata under ``gdjax``, as JSON. Needs the extra
    ``gdjax[parquet]``.

    Args:
        results: a Dataset, or the folder of a store, which is never in memory as a whole.
        file: where to write.

    Returns:
        The file.

    Raises:
        ArgumentError: pyarrow is missing, there is no such store, or a variable of the Dataset
            has not one value a cell.
        StorageError: the disk does not take it; a file that was there before stays.

    Example:
        >>> import tempfile
        >>> import pyarrow.parquet
        >>> from gdjax.results import Store, sweep_layout
        >>> layout = sweep_layout(np.ones((3, 2)), [{"momentum": [0.0, 0.9]}],
        ...                       dtype="float32", chunk=4, config={})
        >>> folder = tempfile.mkdtemp()
        >>> store = Store.create(folder, layout)
        >>> file = to_parquet(folder, f"{folder}/sweep.parquet")
        >>> pyarrow.parquet.read_table(file).column_names[:4]
        ['start', 'start_point_x', 'start_point_y', 'momentum']
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ArgumentError(
            "a Parquet table needs pyarrow: install it with pip install 'gdjax[parquet]'"
        ) from None

    def arrow(array: np.ndarray) -> pa.Array:
        if array.ndim == 1:
            return pa.array(array)
        return pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), array.shape[1])

    data = results if isinstance(results, xr.Dataset) else open_results(results, flat=True)
    dims, cells = _cells(data)
    count = math.prod(dims.values())
    rows = max(1, GROUP_BYTES * count // max(1, sum(v.nbytes for v in cells.values())))
    record = {"record": data["record"].values} if "record" in data.coords else {}
    about = {b"gdjax": json.dumps(to_json({**data.attrs, **record})).encode()}
    file = Path(file)
    try:
        with whole(file) as partial:
            writer = None
            for first in range(0, count, rows):
                block = slice(first, min(first + rows, count))
                columns = _columns(data, dims, cells, block)
                table = pa.table({name: arrow(array) for name, array in columns.items()})
                if writer is None:
                    schema = table.schema.with_metadata(about)
                    writer = pq.ParquetWriter(partial, schema, compression="zstd")
                writer.write_table(table.replace_schema_metadata(about))
            if writer is not None:
                writer.close()
    except OSError as error:
        raise StorageError(f"table {file} could not be written: {error}") from error
    return file


def _cells(results: xr.Dataset) -> tuple[dict[str, int], dict[str, xr.Variable]]:
    """The dims of the cells, and every variable with these flattened into one, ``cell``."""
    variables = {str(name): array.variable for name, array in results.data_vars.items()}
    if "cell" in results.dims:
        return json.loads(results.attrs["layout"])["dims"], variables
    first = next(iter(variables.values()))
    dims = {str(dim): first.sizes[dim] for dim in first.dims if dim not in TRAILING}
    for name, variable in variables.items():
        if {*variable.dims} - {*TRAILING} != {*dims}:
            raise ArgumentError(f"{name} must have one value a cell, along {', '.join(dims)}")
        rest = [dim for dim in variable.dims if dim in TRAILING]
        values = variable.transpose(*dims, *rest).values
        variables[name] = xr.Variable(
            ("cell", *rest), values.reshape(-1, *(variable.sizes[dim] for dim in rest))
        )
    return dims, variables


def _columns(
    results: xr.Dataset, dims: Mapping[str, int], cells: Mapping[str, xr.Variable], block: slice
) -> dict[str, np.ndarray]:
    """The columns of the rows in ``block``: coordinates first, then the variables."""
    numbers = np.unravel_index(np.arange(block.start, block.stop), tuple(dims.values()))
    index = dict(zip(dims, numbers, strict=True))
    columns = {"start": index["start"]} if "start" in index else {}

    def add(name: str, values: np.ndarray, dims: Sequence[Hashable]) -> None:
        if dims[-1:] == ("component",):
            for i, component in enumerate(results["component"].values):
                columns[f"{name}_{component}"] = values[..., i]
        else:
            columns[name] = values

    for name, coordinate in results.coords.items():
        along = [str(dim) for dim in coordinate.dims if dim in dims]
        if along and "known_minimum" not in coordinate.dims:
            taken = _take(coordinate.variable, *(index[dim] for dim in along))
            add(str(name), taken, coordinate.dims)
        elif name != "component" and {*coordinate.dims} <= {"component"}:  # of every cell
            shape = (block.stop - block.start, *coordinate.shape)
            add(str(name), np.broadcast_to(coordinate.values, shape), coordinate.dims)
    for name, variable in cells.items():
        add(name, variable[block].values, variable.dims)
    return columns


def _take(variable: xr.Variable, index: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """``variable`` at ``index``; of one that lies on the disk, only the part needed is read."""
    first = int(index.min())
    return variable[first : int(index.max()) + 1].values[(index - first, *others)]
