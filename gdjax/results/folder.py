"""The folder of a sweep: how zarr lays its results out on the disk, and reads them again."""

import itertools
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
import zarr
from xarray.backends import BackendArray
from xarray.core import indexing
from zarr.codecs import BloscCodec

from gdjax._util.arguments import flag, gate, maybe, texts
from gdjax._util.arguments import place as as_place
from gdjax._util.errors import ArgumentError, DamageError, unknown
from gdjax._util.version import __version__
from gdjax.results.checked import HEAD, SIZE, CheckedFiles, identity_digest
from gdjax.results.layout import Coordinate, Layout, Variable, dataset, labels
from gdjax.results.places import Place, place_of
from gdjax.results.provenance import holdable, numbers, to_json

# What a store's names and codes mean. It goes up by one whenever a variable, a dim, an outcome or
# an attr is renamed or means something else: an older store is refused then, and never misread.
FORMAT = 3
FILE_BYTES = 1 << 24  # uncompressed, in one file: larger ones are no faster
# Of zstd's levels and shuffles the fastest on summaries, and within 10 % of the smallest.
CODEC = BloscCodec(cname="zstd", clevel=2, shuffle="bitshuffle")


@gate(path=as_place, variables=maybe(texts), flat=flag)
def open_results(
    path: str | os.PathLike[str], *, variables: Sequence[str] | None = None, flat: bool = False
) -> xr.Dataset:
    """Open the results of a sweep, finished or not.

    Args:
        path: the store's folder, or its URL, which needs fsspec.
        variables: which variables to load; by default all.
        flat: leave the cells in one dim ``cell``, numbered in C order over ``dims`` of the attr
            ``layout`` (JSON), and load nothing before it is used: for a store larger than memory.

    Returns:
        The variables with leading dims ``start`` and one an axis. Cells that are not finished
        hold NaN and −1 (an outcome is never −1), and the attr ``complete`` is 1 where there are
        none, and else 0.

    Raises:
        ArgumentError: no store there, one that another format of gdjax's wrote, or no such
            variable.
        DamageError: a file that is not what was written. What is loaded later is checked when it
            is loaded.

    Example:
        >>> import tempfile
        >>> from gdjax.results import Store, sweep_layout
        >>> layout = sweep_layout(np.zeros((5, 2)), [{"momentum": [0.0, 0.9]}],
        ...                       dtype="float32", chunk=4, config={})
        >>> folder = tempfile.mkdtemp()
        >>> store = Store.create(folder, layout)
        >>> results = open_results(folder)
        >>> dict(results["outcome"].sizes), results.attrs["complete"]
        ({'start': 5, 'momentum': 2}, 0)
    """
    group = open_group(place_of(path))
    layout = read_layout(group)
    done, damaged = checked(group).read_marks(chunk_files(group, layout))
    for damage in damaged:
        raise checked(group).error(damage)
    return read_results(group, layout, bool(done.all()), variables, flat)


def read_results(
    group: zarr.Group,
    layout: Layout,
    complete: bool,
    variables: Sequence[str] | None = None,
    flat: bool = False,
) -> xr.Dataset:
    """What is finished in a store whose marks were read; as ``open_results``."""
    for name in variables or ():
        if name not in layout.variables:
            raise unknown("variable", name, layout.variables)
    names = layout.variables if variables is None else variables
    shape = {"dims": dict(layout.dims)}
    if not flat:
        arrays = {name: np.asarray(stored(group, name)[...]) for name in names}
        return dataset(layout, arrays, complete)
    return xr.Dataset(
        {
            name: _lazy(("cell", *layout.variables[name].dims), stored(group, name),
                        layout.variables[name])
            for name in names
        },
        {
            name: _lazy(c.dims, c.values, c)
            if isinstance(c.values, zarr.Array)
            else (c.dims, c.values, labels(c))
            for name, c in layout.coordinates.items()
        },
        holdable({**layout.attrs, "layout": json.dumps(shape), "complete": complete}),
    )  # fmt: skip


class _Lazy(BackendArray):
    """A stored array that is read where it is indexed."""

    def __init__(self, array: zarr.Array) -> None:
        self._array = array
        self.shape = array.shape
        self.dtype = array.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self.read
        )

    def read(self, key: Any) -> np.ndarray:
        """The elements at an orthogonal index."""
        return np.asarray(self._array.oindex[key])


def _lazy(dims: tuple[str, ...], array: zarr.Array, item: Variable | Coordinate) -> xr.Variable:
    return xr.Variable(dims, indexing.LazilyIndexedArray(_Lazy(array)), labels(item))


def lay_out(place: Place, layout: Layout) -> None:
    """Write everything but the results: the arrays that will take them, coordinates, attrs.

    What is there already of the same layout is replaced, file by file.
    """
    names = {
        "dims": layout.dims,
        "variables": list(layout.variables),
        "coordinates": list(layout.coordinates),
        "order": list(layout.order),
    }
    attrs = {**layout.attrs, "gdjax_format": FORMAT, "layout": json.dumps(names)}
    files = CheckedFiles(place)
    group = zarr.create_group(files, attributes=to_json(attrs))
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
    width = SIZE * (1 + len(chunk_files(group, layout, 1)[0]))
    group.create_array(
        "status",
        shape=(layout.chunks * width,),
        chunks=(width,),  # a file a mark: setting one never touches another
        dtype="uint8",
        fill_value=0,
        compressors=None,
        dimension_names=("byte",),
        attributes={
            "long_name": "of each finished chunk, the digests of its mark and of its files",
            "units": "1",
        },
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
    files.write_head(identity_digest(layout.identity))


def chunk_files(group: zarr.Group, layout: Layout, chunks: int | None = None) -> list[list[str]]:
    """The keys of the files of each chunk, of as many as there are or as is said."""
    tails = []
    for name in layout.variables:
        array = stored(group, name)
        grid = [range(-(-n // c)) for n, c in zip(array.shape[1:], array.chunks[1:], strict=True)]
        tails += [(name, "".join(f"/{i}" for i in tail)) for tail in itertools.product(*grid)]
    many = layout.chunks if chunks is None else chunks
    return [[f"{name}/c/{chunk}{tail}" for name, tail in tails] for chunk in range(many)]


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


def open_group(place: Place, mode: Literal["r", "r+"] = "r") -> zarr.Group:
    """The zarr group of a store, or an ArgumentError that says what is there instead."""
    place.check_is_there()
    files = CheckedFiles(place, read_only=mode == "r")
    attrs, lost = root_attrs(place), None
    try:
        files.read_head()
    except DamageError as error:
        lost = error
    for damage in files.damage(["zarr.json", "status/zarr.json"]):
        raise files.error(damage)
    _check_format(place, attrs)
    if not {"layout", "config", "chunk"} <= attrs.keys() and place.read(HEAD) is None:
        raise ArgumentError(f"store must be a folder of gdjax results, and {place} is not")
    if lost:
        raise lost
    return zarr.open_group(files, mode=mode)


def root_attrs(place: Place) -> dict[str, Any]:
    """The attrs of the group in a place, as they stand there; empty where there are none."""
    try:
        return dict(json.loads(place.read("zarr.json") or b"{}")["attributes"])
    except (ValueError, KeyError, TypeError):
        return {}


def _check_format(place: Place, attrs: Mapping[str, Any]) -> None:
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
            f"store {place} was written by gdjax {writer} {there}, and this gdjax, {__version__}, "
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


def checked(group: zarr.Group) -> CheckedFiles:
    """The files of a group that ``open_group`` opened."""
    assert isinstance(group.store, CheckedFiles)
    return group.store
