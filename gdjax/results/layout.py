"""What a sweep's results look like: their dims, coordinates, variables and origin."""

import dataclasses
import functools
import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import xarray as xr
from xarray.indexes import PandasIndex

from gdjax._descent.outcomes import Outcome
from gdjax._util.display import Card, shown
from gdjax._util.errors import ArgumentError
from gdjax.objectives.structure import component_names
from gdjax.results.provenance import holdable, numbers, provenance, to_json


@runtime_checkable
class Values(Protocol):
    """An array, or what gives arrays when it is sliced along its first axis."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of its dims."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Of its numbers."""
        ...

    def __getitem__(self, key: slice, /) -> Any:
        """The array of such a slice."""
        ...


SweepAxis = Mapping[str, np.ndarray | Sequence[float | int]]
DECIDING = ("gdjax", "jax", "jaxlib", "numpy")  # numpy draws the starts
RESERVED = ("start", "record", "known_minimum", "minimum_point", "is_global", "cell", "status")


@shown
class Variable(NamedTuple):
    """One result of every cell.

    Args:
        dtype: as NumPy names it.
        long_name: what a table or an axis calls it.
        units: ``1`` where dimensionless.
        dims: dims after those of the cells.
        shape: their lengths.
        meanings: of a code, what 0, 1, 2, … stand for.
    """

    dtype: str
    long_name: str
    units: str = "1"
    dims: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    meanings: tuple[str, ...] = ()

    @property
    def fill(self) -> float | int:
        """What an unfinished cell holds: NaN, or −1 where there is no NaN."""
        return math.nan if np.dtype(self.dtype).kind == "f" else -1

    @property
    def nbytes(self) -> int:
        """Bytes a cell."""
        return np.dtype(self.dtype).itemsize * math.prod(self.shape)


@shown
class Coordinate(NamedTuple):
    """Values along one or more dims.

    Args:
        dims: their names.
        values: an array, or anything with ``shape`` and ``dtype`` that gives arrays when it is
            sliced along its first axis, so that a long one is never in memory as a whole.
        long_name: what a table or an axis calls it.
        units: ``1`` where dimensionless.
    """

    dims: tuple[str, ...]
    values: Values | pd.RangeIndex
    long_name: str
    units: str = "1"


def labels(item: Variable | Coordinate) -> dict[str, Any]:
    """Long name and units, as xarray and its plots read them; of a code, its flags.

    Reference:
        CF conventions 1.11, section 3.5, Flags.
    """
    named = {"long_name": item.long_name, "units": item.units}
    if not isinstance(item, Variable) or not item.meanings:
        return named
    codes = np.arange(len(item.meanings), dtype=item.dtype)
    return named | {"flag_values": codes, "flag_meanings": " ".join(item.meanings)}


@shown
@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Layout:
    """The plain description of a sweep's results: what computing, storing and drawing agree on.

    Cells are numbered in C order over ``dims``; chunk i holds the cells from ``i * chunk`` on.

    Args:
        dims: the dims of the cells and their lengths, slowest first: those of an outer loop, then
            ``start``, then the others.
        coordinates: by name; ``start`` itself needs none, it counts from 0.
        variables: by name.
        chunk: cells a chunk.
        attrs: what else a reader should know; ``config`` is the JSON of everything that decides
            the results.
        order: the dims as a Dataset has them, ``start`` first.
    """

    dims: Mapping[str, int]
    coordinates: Mapping[str, Coordinate]
    variables: Mapping[str, Variable]
    chunk: int
    attrs: Mapping[str, Any]
    order: tuple[str, ...]

    def _card(self) -> Card:
        return Card(
            f"Layout of {self.cells:,} cells in {self.chunks:,} chunks",
            {
                "dims": self.dims,
                "coordinates": ", ".join(self.coordinates),
                "variables": ", ".join(self.variables),
                "attrs": ", ".join(self.attrs),
            },
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the cells' dims."""
        return tuple(self.dims.values())

    @property
    def cells(self) -> int:
        """How many descents there are."""
        return math.prod(self.shape)

    @property
    def chunks(self) -> int:
        """How many chunks they make, the last one perhaps shorter."""
        return -(-self.cells // self.chunk)

    @property
    def bytes_per_cell(self) -> int:
        """Bytes of one cell's results, uncompressed."""
        return sum(variable.nbytes for variable in self.variables.values())

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides the results."""
        return json.loads(self.attrs["config"])

    @property
    def identity(self) -> dict[str, Any]:
        """What must agree for a store to be continued."""
        return {
            "dims": dict(self.dims),
            "axes": list(self.dims),  # their order, which says which cell is which
            "chunk": self.chunk,
            "variables": {name: [v.dtype, list(v.shape)] for name, v in self.variables.items()},
            "versions": self.versions,
            **self.config,
        }

    @property
    def versions(self) -> dict[str, str]:
        """Of what computes the results, as far as bits may depend on it."""
        kernels = self.attrs.get("kernel", ())
        named = {kernels} if isinstance(kernels, str) else {*kernels}
        deciding = (*DECIDING, "llvmlite") if "llvm" in named else DECIDING
        there = json.loads(self.attrs["versions"])
        return {name: there.get(name, "absent") for name in deciding}

    def bounds(self, index: int) -> slice:
        """The cells of chunk ``index``."""
        if not 0 <= index < self.chunks:
            raise IndexError(f"chunk {index} of {self.chunks}")
        return slice(index * self.chunk, min((index + 1) * self.chunk, self.cells))

    def check(self, index: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Refuse arrays that are not exactly the results of chunk ``index``."""
        bounds = self.bounds(index)
        if arrays.keys() != self.variables.keys():
            raise ArgumentError(
                f"arrays must be {', '.join(self.variables)}, got {', '.join(arrays)}"
            )
        for name, variable in self.variables.items():
            expected = (variable.dtype, (bounds.stop - bounds.start, *variable.shape))
            came = (str(arrays[name].dtype), arrays[name].shape)
            if came != expected:
                raise ArgumentError(f"{name} of chunk {index} must be {expected}, got {came}")


def standard_variables(
    dtype: str, dim: int, records: int = 0, keep: Collection[str] | None = None
) -> dict[str, Variable]:
    """The results that a sweep keeps of a cell, and the paths where they are recorded.

    Args:
        dtype: ``float32`` or ``float64``.
        dim: dimensions of the objective.
        records: how many steps of each path are kept.
        keep: which results; by default all.

    Example:
        >>> variables = standard_variables("float32", dim=2)
        >>> sum(variable.nbytes for variable in variables.values())
        31
    """
    point = (("component",), (dim,))
    variables = {
        "final_point": Variable(dtype, "last point", "1", *point),
        "final_value": Variable(dtype, "last value"),
        "best_value": Variable(dtype, "best value"),
        "steps_to_tolerance": Variable("int32", "first step within tolerance", "step"),
        "steps": Variable("int32", "steps taken", "step"),
        "evaluations": Variable("int32", "gradient evaluations"),
        "outcome": Variable("int8", "outcome", meanings=tuple(map(str, Outcome))),
        "minimum": Variable("int16", "known minimum reached"),
    }
    variables = {name: v for name, v in variables.items() if keep is None or name in keep}
    if records:
        record = (("record", "component"), (records, dim))
        variables["points"] = Variable(dtype, "point", "1", *record)
        variables["values"] = Variable(dtype, "value", "1", ("record",), (records,))
    return variables


def sweep_layout(
    starts: Values,
    axes: Sequence[SweepAxis] = (),
    *,
    paired: SweepAxis | None = None,
    dtype: str,
    chunk: int,
    config: Mapping[str, Any],
    components: Sequence[str] = (),
    keep: Collection[str] | None = None,
    record: np.ndarray | Sequence[int] | None = None,
    minima: np.ndarray | Sequence[Any] | None = None,
    global_minima: int | Sequence[int] = 0,
    attrs: Mapping[str, Any] | None = None,
    outer: Sequence[SweepAxis] = (),
    order: Sequence[str] | None = None,
) -> Layout:
    """The layout of a sweep over start points and hyperparameters.

    Args:
        starts: first points ``(n, d)``, or ``(n, m, d)`` where m objectives do not share them; see
            ``Coordinate`` for ones that are made as needed.
        axes: one mapping an axis, from the names of its hyperparameters to their values; one
            that names several is zipped.
        paired: hyperparameters that vary with the starts, a value for each.
        dtype: ``float32`` or ``float64``.
        chunk: cells a chunk.
        config: everything that decides the results, the starts and hyperparameters included.
        components: their names; by default x and y, or x1, x2, ….
        keep: which results are kept of a cell; by default all.
        record: the numbers of the recorded steps, ``(r,)``; None for the summary only.
        minima: the known minima ``(k, d)``, the global ones first; along an axis of objectives, a
            list of those of each.
        global_minima: how many of them are global; likewise.
        attrs: what else a reader should know.
        outer: axes whose cells lie further apart than those of different starts, such as
            ``objective``.
        order: the names of all dims but ``start``, as a Dataset has them; by default the outer
            ones first.

    Returns:
        The layout, its attrs completed by the config and by ``provenance()``.

    Raises:
        ArgumentError: a hyperparameter that is given twice or bears the name of a result.

    Example:
        >>> layout = sweep_layout(np.zeros((5, 2)), [{"learning_rate": [0.1, 0.2]}],
        ...                       dtype="float32", chunk=4, config={"steps": 100})
        >>> layout.dims, layout.cells, layout.chunks
        ({'start': 5, 'learning_rate': 2}, 10, 3)
    """
    count, dim = starts.shape[0], starts.shape[-1]
    names = np.array(components or component_names(dim), dtype=object)
    along = (
        ("start", "objective", "component") if len(starts.shape) == 3 else ("start", "component")
    )
    dims: dict[str, int] = {}
    coordinates = {
        "start_point": Coordinate(along, starts, "first point"),
        "component": Coordinate(("component",), names, "component"),
    }
    variables = standard_variables(dtype, dim, 0 if record is None else len(record), keep)
    for name, axis in (
        *(("_and_".join(axis), axis) for axis in outer),
        ("start", paired or {}),
        *(("_and_".join(axis), axis) for axis in axes),
    ):
        dims[name] = count if name == "start" else len(next(iter(axis.values())))
        for parameter, values in axis.items():
            if parameter in {*variables, *coordinates, *RESERVED}:
                raise ArgumentError(
                    f"hyperparameters: each name must be its own, and {parameter!r} is taken"
                )
            coordinates[parameter] = Coordinate(
                (name,), np.asarray(values), parameter.replace("_", " ")
            )
    coordinates |= _minima(minima, global_minima, dim)
    if record is not None:
        coordinates["record"] = Coordinate(("record",), np.asarray(record), "step", "step")
    return Layout(
        dims=dims,
        coordinates=coordinates,
        variables=variables,
        chunk=chunk,
        attrs={
            **provenance(),
            **numbers(to_json(attrs or {})),
            "dtype": dtype,
            "chunk": chunk,
            "config": json.dumps(to_json(config)),
        },
        order=("start", *(order or (dim for dim in dims if dim != "start"))),
    )


def _minima(minima: Any, global_minima: int | Sequence[int], dim: int) -> dict[str, Coordinate]:
    """The known minima of one objective, or of several: then the shorter lists end in NaN."""
    several = not isinstance(global_minima, int)
    lists = minima if several else [np.zeros((0, dim)) if minima is None else minima]
    points = np.full((len(lists), max(map(len, lists)), dim), np.nan)
    for row, known in zip(points, lists, strict=True):
        row[: len(known)] = np.reshape(known, (-1, dim))
    is_global = np.arange(points.shape[1]) < np.reshape(global_minima, (-1, 1))
    first = ("objective",) if several else ()
    points, is_global = (points, is_global) if several else (points[0], is_global[0])
    return {
        "minimum_point": Coordinate(
            (*first, "known_minimum", "component"), points, "known minimum"
        ),
        "is_global": Coordinate((*first, "known_minimum"), is_global, "whether it is global"),
    }


def dataset(layout: Layout, arrays: Mapping[str, np.ndarray], complete: bool = True) -> xr.Dataset:
    """Flat arrays as a labelled Dataset, without copying them.

    Args:
        layout: what they are.
        arrays: by name, ``(cells, ...)``; some of the layout's variables, or all.
        complete: whether every cell is finished; unfinished ones hold NaN and −1.

    Returns:
        The variables with leading dims ``layout.order``, and ``layout.attrs``.
    """
    start = Coordinate(("start",), pd.RangeIndex(layout.dims["start"]), "start")  # takes no memory
    variables = {
        name: xr.Variable(
            (*layout.dims, *variable.dims),
            arrays[name].reshape(*layout.shape, *variable.shape),
            labels(variable),
        )
        for name, variable in ((name, layout.variables[name]) for name in arrays)
    }
    coordinates, indexes = {}, {}
    for name, c in {**layout.coordinates, "start": start}.items():
        if c.dims == (name,):
            words = c.values.dtype == object
            indexes[name] = _words(name, *c.values[:]) if words else PandasIndex(c.values[:], name)
            coordinates |= indexes[name].create_variables()
            coordinates[name].attrs = labels(c)
        else:
            coordinates[name] = xr.Variable(c.dims, np.asarray(c.values[:]), labels(c))
    # All at first as coordinates: to align and merge two sides takes twice as long.
    whole = xr.Coordinates({**variables, **coordinates}, indexes).to_dataset()
    whole.attrs = holdable({**layout.attrs, "complete": complete})
    whole = whole.reset_coords(list(variables))
    return whole if tuple(layout.dims) == layout.order else whole.transpose(*layout.order, ...)


@functools.lru_cache(maxsize=64)
def _words(name: str, *values: str) -> PandasIndex:
    """Made once: pandas takes longer over a few words than over all numbers."""
    return PandasIndex(pd.Index(values, dtype=object), name)
