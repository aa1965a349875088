"""The folder of a sweep: how zarr lays its results out on the disk, and reads them again."""

import asyncio
import difflib
import json
import math
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
import zarr
from xarray.backends import BackendArray
from xarray.core import indexing
from zarr.codecs import BloscCodec
from zarr.storage import LocalStore

from gdjax._util.errors import ArgumentError, unknown
from gdjax._util.files import flush, rename
from gdjax._util.version import __version__
from gdjax.results.layout import Coordinate, Layout, Variable, dataset, labels
from gdjax.results.provenance import numbers, to_json

# What a store's names and codes mean. It goes up by one whenever a variable, a dim, an outcome or
# an attr is renamed or means something else: an older store is refused then, and never misread.
FORMAT = 2
FILE_BYTES = 1 << 24  # uncompressed, in one file: larger ones are no faster
# Of zstd's levels and shuffles the fastest on summaries, and within 10 % of the smallest.
CODEC = BloscCodec(cname="zstd", clevel=2, shuffle="bitshuffle")


class _FlushedFolder(LocalStore):
    """A zarr folder in which a file has its name once it is on the disk, not only in the cache.

    Otherwise a power cut could leave an empty file, which zarr cannot read, under that name.
    """

    async def set(self, key: str, value: Any) -> None:
        self._check_writable()
        await asyncio.to_thread(_write, self.root / key, value)

    def set_sync(self, key: str, value: Any) -> None:
        self._check_writable()
        _write(self.root / key, value)

    async def set_if_not_exists(self, key: str, value: Any) -> None:
        if not (self.root / key).exists():  # nobody else writes here
            await self.set(key, value)


def _write(path: Path, value: Any) -> None:
    """Write a file, flush it, and only then give it its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with partial.open("wb") as file:
            file.write(value.as_buffer_like())
            flush(file)
        rename(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def open_results(
    path: str | os.PathLike[str], *, variables: Sequence[str] | None = None, flat: bool = False
) -> xr.Dataset:
    """Open the results of a sweep, finished or not.

    Args:
        path: the store's folder.
        variables: which variables to load; by default all.
        flat: leave the cells in one dim ``cell``, numbered in C order over ``dims`` of the attr
            ``layout`` (JSON), and load nothing before it is used: for a store larger than memory.

    Returns:
        The variables with leading dims ``start`` and one an axis. Cells that are not finished
        hold NaN and −1 (an outcome is never −1), and the attr ``complete`` says whether there
        are none.

    Raises:
        ArgumentError: no store there, one that another format of gdjax's wrote, or no such
            variable.

    Example:
        >>> import tempfile
        >>> from gdjax.results import Store, sweep_layout
        >>> layout = sweep_layout(np.zeros((5, 2)), [{"momentum": [0.0, 0.9]}],
        ...                       dtype="float32", chunk=4, config={})
        >>> store = Store.create(tempfile.mkdtemp(), layout)
        >>> results = open_results(store.path)
        >>> dict(results["outcome"].sizes), results.attrs["complete"]
        ({'start': 5, 'momentum': 2}, False)
    """
    group = open_group(Path(path))
    layout, done = read_layout(group), finished(group)
    for name in variables or ():
        if name not in layout.variables:
            raise unknown("variable", name, layout.variables)
    names = layout.variables if variables is None else variables
    complete = bool(done.all())
    holes = None if complete else np.repeat(~done, layout.chunk)[: layout.cells]
    lazy = {name: _Lazy(stored(group, name), holes) for name in names}
    if not flat:
        return dataset(layout, {name: array.read(...) for name, array in lazy.items()}, complete)
    return xr.Dataset(
        {
            name: _lazy_variable(
                ("cell", *layout.variables[name].dims), array, layout.variables[name]
            )
            for name, array in lazy.items()
        },
        {
            name: _lazy_variable(c.dims, _Lazy(c.values), c)
            if isinstance(c.values, zarr.Array)
            else (c.dims, c.values, labels(c))
            for name, c in layout.coordinates.items()
        },
        {**layout.attrs, "layout": json.dumps({"dims": dict(layout.dims)}), "complete": complete},
    )


class _Lazy(BackendArray):
    """A stored array that is read where it is indexed, with the fill value in its holes."""

    def __init__(self, array: zarr.Array, holes: np.ndarray | None = None) -> None:
        self._array = array
        self._holes = holes
        self.shape = array.shape
        self.dtype = array.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self.read
        )

    def read(self, key: Any) -> np.ndarray:
        """The elements at an orthogonal index."""
        array = np.asarray(self._array.oindex[key])
        if self._holes is not None:
            array[self._holes[key[0] if isinstance(key, tuple) else key]] = self._array.fill_value
        return array


def _lazy_variable(dims: tuple[str, ...], array: _Lazy, item: Variable | Coordinate) -> xr.Variable:
    return xr.Variable(dims, indexing.LazilyIndexedArray(array), labels(item))


def lay_out(folder: Path, layout: Layout) -> None:
    """Write everything but the results: the arrays that will take them, coordinates, attrs."""
    names = {
        "dims": layout.dims,
        "variables": list(layout.variables),
        "coordinates": list(layout.coordinates),
        "order": list(layout.order),
    }
    attrs = {**layout.attrs, "gdjax_format": FORMAT, "layout": json.dumps(names)}
    group = zarr.create_group(_FlushedFolder(folder), attributes=to_json(attrs))
    for name, variable in layout.variables.items():
        group.create_array(
            name,
            shape=(layout.cells, *variable.shape),
            chunks=_file_shape(layout.chunk, variable),
            dtype=variable.dtype,
            fill_value=variable.fill,
            compressors=CODEC,
            dimension_names=("cell", *variable.dims),
            attributes=to_json(labels(variable)),
        )
    group.create_array(
        "status",
        shape=(layout.chunks,),
        chunks=(1,),  # a file a mark: setting one never touches another
        dtype="uint8",
        fill_value=0,
        compressors=None,
        dimension_names=("chunk",),
        attributes={"long_name": "1 where the chunk is finished", "units": "1"},
    )
    for name, coordinate in layout.coordinates.items():
        values = coordinate.values
        text = values.dtype == object
        rows = max(1, FILE_BYTES // max(1, values.dtype.itemsize * math.prod(values.shape[1:])))
        array = group.create_array(
            name,
            shape=values.shape,
            chunks=(min(rows, max(1, values.shape[0])), *values.shape[1:]),
            dtype="string" if text else values.dtype,
            compressors="auto" if text else CODEC,
            dimension_names=coordinate.dims,
            attributes=labels(coordinate),
        )
        for first in range(0, values.shape[0], rows):
            array[first : first + rows] = values[first : first + rows]


def _file_shape(chunk: int, variable: Variable) -> tuple[int, ...]:
    """What one file holds: all cells of a chunk, and of paths and points as much as is sensible."""
    if not variable.shape:
        return (chunk,)
    first, *rest = variable.shape
    most = FILE_BYTES // (chunk * variable.nbytes // first)
    return (chunk, min(first, max(1, most)), *rest)


def read_layout(group: zarr.Group) -> Layout:
    """The layout as it was stored; start points stay on the disk until they are sliced."""
    of_the_store = ("layout", "gdjax_format")
    attrs = numbers({n: value for n, value in group.attrs.items() if n not in of_the_store})
    names = json.loads(str(group.attrs["layout"]))
    variables, coordinates = {}, {}
    for name in names["variables"]:
        array = stored(group, name)
        variables[name] = Variable(
            str(array.dtype), *_labels(array), _dims(array)[1:], array.shape[1:],
            tuple(str(array.attrs.get("flag_meanings", "")).split()),
        )  # fmt: skip
    for name in names["coordinates"]:
        array = stored(group, name)
        words = array.dtype.kind in "OTU"
        values = array if name == "start_point" else np.asarray(array[:], object if words else None)
        coordinates[name] = Coordinate(_dims(array), values, *_labels(array))
    return Layout(
        dims=names["dims"],
        coordinates=coordinates,
        variables=variables,
        chunk=int(attrs["chunk"]),
        attrs=attrs,
        order=tuple(names.get("order", names["dims"])),
    )


def open_group(path: Path, mode: Literal["r", "r+"] = "r") -> zarr.Group:
    """The zarr group of a store, or an ArgumentError that says what is there instead."""
    if not path.exists():
        stores = [
            entry.parent.name
            for entry in path.parent.glob("*/zarr.json")
            if '"layout"' in entry.read_text(encoding="utf-8")
        ]
        near = difflib.get_close_matches(path.name, sorted(stores))
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ArgumentError(f"there is no folder {path}{hint}")
    if not path.is_dir():
        raise ArgumentError(f"store must be a folder, and {path} is a file")
    try:
        group = zarr.open_group(_FlushedFolder(path, read_only=mode == "r"), mode=mode)
    except (OSError, ValueError) as error:
        raise ArgumentError(
            f"store must be a folder of gdjax results, and {path} is not"
        ) from error
    _check_format(path, group.attrs)
    if not {"layout", "config", "chunk"} <= set(group.attrs):
        raise ArgumentError(f"store must be a folder of gdjax results, and {path} is not")
    return group


def _check_format(path: Path, attrs: Mapping[str, Any]) -> None:
    """Refuse a store whose names and codes may mean something else than they do here."""
    if "gdjax_format" in attrs:
        there = f"in format {attrs['gdjax_format']}"
    elif {"layout", "config", "chunk"} <= set(attrs):
        there = f"before format {FORMAT}"
    else:
        return  # it is no store of gdjax
    if attrs.get("gdjax_format") != FORMAT:
        writer = json.loads(str(attrs.get("versions", "{}"))).get("gdjax", "of unknown version")
        raise ArgumentError(
            f"store {path} was written by gdjax {writer} {there}, and this gdjax, {__version__}, "
            f"reads format {FORMAT}; read it with that one, or sweep again into another folder"
        )


def stored(group: zarr.Group, name: str) -> zarr.Array:
    """The stored array of that name."""
    array = group[name]
    assert isinstance(array, zarr.Array)
    return array


def _dims(array: zarr.Array) -> tuple[str, ...]:
    return tuple(map(str, array.metadata.to_dict()["dimension_names"]))  # type: ignore[arg-type]


def _labels(array: zarr.Array) -> tuple[str, str]:
    return str(array.attrs["long_name"]), str(array.attrs["units"])


def finished(group: zarr.Group) -> np.ndarray:
    """For each chunk, whether it is finished."""
    return np.asarray(stored(group, "status")[:]) == 1
