import datetime
import errno
import importlib.metadata
import json
import multiprocessing
import os
import random
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr
import zarr
from stores import AXES, Disk, files, fill, in_memory, make_chunk, make_layout

import gdjax
from gdjax._descent.outcomes import Outcome
from gdjax._util.errors import ArgumentError, StorageError
from gdjax.results import (
    Store,
    dataset,
    folder,
    open_results,
    standard_variables,
    sweep_layout,
    to_parquet,
)
from gdjax.results import parquet as table
from gdjax.results.checked import FINISHED, HEAD


@pytest.mark.parametrize("record", [None, np.array([0, 10, 100])])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_written_is_what_is_opened(tmp_path, dtype, record):
    layout = make_layout(dtype=dtype, record=record)
    memory = in_memory(layout)
    stored = open_results(
        fill(Store.open_or_create(tmp_path / "new" / "sweep", layout)).place.folder
    )
    xr.testing.assert_identical(stored, memory)
    assert stored["points" if record is not None else "final_point"].dtype == dtype
    assert stored["final_value"].dims == ("start", "learning_rate_and_momentum", "decay")
    assert stored["component"].values.tolist() == ["x", "y"]
    assert stored["is_global"].values.tolist() == [True, False]
    assert np.isnan(stored.attrs["fmin"])
    assert stored.attrs["complete"] == 1
    assert stored.attrs["domain"] == memory.attrs["domain"] == "[[-1, 1], [-1, 1]]"
    # Cell 45 is start 7, second pair of the zipped axis, second decay: C order.
    cell = stored.isel(start=7, learning_rate_and_momentum=1, decay=1)
    assert cell["final_value"] == make_chunk(layout, 1)["final_value"][45 - 32]
    assert (cell["learning_rate"], cell["momentum"], cell["decay"]) == (0.2, 0.5, 1.0)


def test_a_dataset_shares_the_memory_of_its_arrays():
    layout = make_layout()
    arrays = {
        name: np.zeros((layout.cells, *variable.shape), variable.dtype)
        for name, variable in layout.variables.items()
    }
    results = dataset(layout, arrays)
    assert all(np.shares_memory(results[name].values, arrays[name]) for name in arrays)
    assert results.attrs["complete"] == 1
    assert layout.bytes_per_cell * layout.cells == sum(a.nbytes for a in arrays.values())


def test_starts_are_asked_for_piece_by_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "FILE_BYTES", 96)  # twelve points
    points = np.random.default_rng(0).uniform(-1, 1, (25, 2)).astype("float32")
    asked = []

    class Starts:
        shape, dtype = points.shape, points.dtype

        def __getitem__(self, key):
            asked.append(len(points[key]))
            return points[key]

    layout = sweep_layout(Starts(), dtype="float32", chunk=32, config={})
    results = open_results(fill(Store.create(tmp_path, layout)).place.folder)
    assert asked == [12, 12, 1]
    np.testing.assert_array_equal(results["start_point"], points)
    np.testing.assert_array_equal(in_memory(layout)["start_point"], points)


LABELS = {  # dims after the cells', bytes, long name and units
    "final_point": (("component",), 8, "last point", "1"),
    "final_value": ((), 4, "last value", "1"),
    "best_value": ((), 4, "best value", "1"),
    "steps_to_tolerance": ((), 4, "first step within tolerance", "step"),
    "steps": ((), 4, "steps taken", "step"),
    "evaluations": ((), 4, "gradient evaluations", "1"),
    "outcome": ((), 1, "outcome", "1"),
    "minimum": ((), 2, "known minimum reached", "1"),
    "points": (("record", "component"), 16, "point", "1"),
    "values": (("record",), 8, "value", "1"),
}
AXIS = "learning_rate_and_momentum"
COORDINATES = {
    "start": (("start",), "start", "1"),
    "start_point": (("start", "component"), "first point", "1"),
    "component": (("component",), "component", "1"),
    "learning_rate": ((AXIS,), "learning rate", "1"),
    "momentum": ((AXIS,), "momentum", "1"),
    "decay": (("decay",), "decay", "1"),
    "record": (("record",), "step", "step"),
    "minimum_point": (("known_minimum", "component"), "known minimum", "1"),
    "is_global": (("known_minimum",), "whether it is global", "1"),
}


def test_every_variable_and_coordinate_is_labelled(tmp_path):
    layout = make_layout(record=[0, 1])
    fill(Store.create(tmp_path, layout))
    sides = {"start": 25, AXIS: 3, "decay": 2}
    sizes = {"component": 2, "record": 2}
    for results in (open_results(tmp_path), in_memory(layout), open_results(tmp_path, flat=True)):
        cells = ("cell",) if "cell" in results.dims else tuple(sides)
        for name, (dims, size, *words) in LABELS.items():
            variable = results[name]
            assert variable.dims == (*cells, *dims)
            assert variable.nbytes == 150 * size
            assert [variable.attrs["long_name"], variable.attrs["units"]] == words
            assert variable.shape[len(cells) :] == tuple(sizes[dim] for dim in dims)
        for name in COORDINATES.keys() - ({"start"} if cells == ("cell",) else set()):
            dims, *words = COORDINATES[name]
            assert results[name].dims == dims
            assert [results[name].attrs["long_name"], results[name].attrs["units"]] == words
        assert results.data_vars.keys() == LABELS.keys()
        assert results["minimum_point"].values.tolist() == [[0, 0], [1, 1]]
        assert results["record"].values.tolist() == [0, 1]
        flags = results["outcome"].attrs
        assert flags["flag_values"].dtype == results["outcome"].dtype == "int8"
        meanings = flags["flag_meanings"].split()
        assert dict(zip(meanings, flags["flag_values"], strict=True)) == {
            str(outcome): outcome.value for outcome in Outcome
        }
    assert json.loads(results.attrs["layout"]) == {"dims": sides}
    assert layout.bytes_per_cell == sum(size for _, size, *_ in LABELS.values())
    assert "points" not in make_layout().variables


def test_results_say_where_they_come_from(tmp_path):
    before = datetime.datetime.now(datetime.UTC)
    results = open_results(Store.create(tmp_path, make_layout()).place.folder)
    made = datetime.datetime.fromisoformat(results.attrs["created"])
    assert abs((made - before).total_seconds()) < 60
    versions = json.loads(results.attrs["versions"])
    assert versions.pop("python") == ".".join(map(str, sys.version_info[:3]))
    others = {"gdjax", "jax", "jaxlib", "llvmlite", "numpy", "optax", "xarray", "zarr"}
    assert versions.keys() == others
    assert all(importlib.metadata.version(name) == v for name, v in versions.items())
    assert versions["zarr"] == zarr.__version__
    devices = jax.devices()
    assert results.attrs["devices"] == f"{len(devices)} × {devices[0].device_kind}"
    config = {"steps": 100, "fmin": "NaN", "rates": [0.1, 0.2]}
    assert json.loads(results.attrs["config"]) == config
    assert (results.attrs["dtype"], results.attrs["chunk"]) == ("float32", 32)
    assert "seed" not in results.attrs


def test_infinite_attributes_are_numbers_again(tmp_path):
    words = {"low": -np.inf, "high": np.inf, "half": -0.5, "word": "-Infinite"}
    layout = sweep_layout(
        np.zeros((1, 3)), dtype="float32", chunk=1, config=words, attrs=words, minima=[[0] * 3]
    )
    results = open_results(Store.create(tmp_path, layout).place.folder)
    assert {name: results.attrs[name] for name in words} == words
    assert json.loads(results.attrs["config"]) == words | {"low": "-Infinity", "high": "Infinity"}
    assert '"low": "-Infinity"' in (tmp_path / "zarr.json").read_text()
    assert results["component"].values.tolist() == ["x1", "x2", "x3"]
    assert results["is_global"].values.tolist() == [False]  # unless it is said


def test_plain_xarray_and_zarr_read_the_store(tmp_path):
    layout = make_layout()
    fill(Store.create(tmp_path, layout))
    plain = xr.open_zarr(tmp_path, consolidated=False, chunks=None)
    xr.testing.assert_equal(plain["final_point"], open_results(tmp_path, flat=True)["final_point"])
    array = zarr.open_array(tmp_path / "final_value", mode="r")
    assert array.metadata.zarr_format == 3
    assert array.compressors[0].to_dict()["configuration"]["cname"] == "zstd"


def test_flat_results_are_read_where_they_are_indexed(tmp_path, monkeypatch):
    layout = make_layout()
    fill(Store.create(tmp_path, layout))
    flat = open_results(tmp_path, flat=True, variables=["final_point", "outcome"])
    read = []
    monkeypatch.setattr(
        folder._Lazy,
        "read",
        lambda self, key, f=folder._Lazy.read: read.append(key) or f(self, key),
    )
    expected = in_memory(layout)["final_point"].values.reshape(-1, 2)
    for key in (3, slice(5, 90, 7), slice(140, 3, -2), [149, 0, 31, 32]):
        np.testing.assert_array_equal(flat["final_point"][key], expected[key])
    assert flat["outcome"][[0, 1]].shape == (2,)
    assert len(read) == 4  # the outcomes were not looked at
    third = layout.coordinates["start_point"].values[3]
    np.testing.assert_array_equal(flat["start_point"][3], third)
    assert len(read) == 5  # nor had the starts been
    assert list(flat.data_vars) == ["final_point", "outcome"]
    np.testing.assert_array_equal(
        flat["start_point"][20:].values, layout.coordinates["start_point"].values[20:]
    )


def test_unfinished_cells_are_masked(tmp_path):
    layout = make_layout()
    half = Store.create(tmp_path, layout)
    half.write(0, make_chunk(layout, 0))
    half.write(4, make_chunk(layout, 4))
    half._arrays["final_value"][64:96] = 7.0  # a chunk in flight: data without its mark
    half._arrays["outcome"][64:96] = 1
    results = open_results(half.place.folder)
    assert results.attrs["complete"] == 0
    done = np.zeros(layout.cells, dtype=bool)
    done[:32] = done[128:] = True
    assert (np.isnan(results["final_value"].values.ravel()) == ~done).all()
    assert ((results["outcome"].values.ravel() == -1) == ~done).all()
    assert np.isnan(results["final_point"].values.reshape(-1, 2)[~done]).all()
    flat = open_results(tmp_path, flat=True)
    for key in (70, slice(60, 100, 3), [1, 70, 140]):
        assert (np.isnan(flat["final_value"][key].values) == ~done[key]).all()
    xr.testing.assert_identical(results, in_memory(layout, [0, 4]))


SMALL = {"starts": 6, "axes": (), "chunk": 4}
VARIABLES = (*make_layout(**SMALL).variables, "status")


def whole_chunks(path, layout):
    """The chunks that are marked, which must be whole: found in the files, read by NumPy's eyes."""
    marked = sorted(int(p.name) for p in path.glob("status/c/*") if p.name.isdigit())
    found = open_results(path)
    for index in marked:
        for name, array in make_chunk(layout, index).items():
            np.testing.assert_array_equal(found[name].values[layout.bounds(index)], array)
    assert (found["outcome"] >= 0).sum() == sum(len(range(6)[layout.bounds(i)]) for i in marked)
    return marked


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The files of a small store, and what was done to make them."""
    folder, layout = tmp_path_factory.mktemp("disk"), make_layout(**SMALL)
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch, folder)
        fill(Store.open_or_create(folder / "sweep", layout))
    return files(folder / "sweep"), disk.done


def test_a_mark_is_set_after_everything_of_its_chunk_is_on_the_disk(undisturbed):
    stored, done = undisturbed
    flushed = {path: i for i, (name, path, _) in enumerate(done) if name == "fsync"}
    renamed = {to: (i, path) for i, (name, path, to) in enumerate(done) if to is not None}
    made, partial = next((i, p) for to, (i, p) in renamed.items() if to.name == "sweep")
    folder = next(to for to in renamed if to.name == "sweep")
    for name in stored.keys() - {FINISHED}:
        results = folder / name in renamed
        when, was = renamed[(folder if results else partial) / name]
        assert flushed[was] < when
        # All else is laid out under another name, which the whole folder loses at once.
        assert (when > made) == results == (Path(name).parts[:2] in {(v, "c") for v in VARIABLES})
        if results:
            chunk = Path(name).parts[2]
            assert when <= renamed[folder / "status" / "c" / chunk][0]
    assert [name for name in stored if name.startswith("start_point/c")] == ["start_point/c/0/0"]
    assert {f"{name}/c/{i}" for name in ("final_value", "status") for i in (0, 1)} < {*stored}


@pytest.mark.parametrize("forever", [False, True], ids=["error", "killed"])
@pytest.mark.parametrize("every", [20, pytest.param(3, marks=pytest.mark.full)])
def test_whatever_operation_fails_no_chunk_is_marked_that_is_not_whole(
    tmp_path, undisturbed, forever, every
):
    stored, done = undisturbed
    layout = make_layout(**SMALL)
    marks = [i for i, (_, path, to) in enumerate(done) if "status/c" in f"{path} {to}"]
    for number in sorted({*range(0, len(done), every), *marks, len(done) - 1}):
        path = tmp_path / str(number) / "sweep"
        path.parent.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, path.parent, number, forever)
            failure = None
            try:
                fill(Store.open_or_create(path, layout))
            except StorageError as error:
                failure = str(error)
        if failure is None:  # nothing was to be cleared, or the folder was there already
            assert disk.done[number][0] in ("rmtree", "mkdir")
        assert failure is None or forever or os.strerror(errno.EIO) in failure
        if forever:
            disk.lose_power()
        if path.exists():
            marked = whole_chunks(path, layout)
            assert marked == np.flatnonzero(Store.open(path, layout).done).tolist()
        elif not forever:
            assert not list(path.parent.iterdir())
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, path.parent)  # for its speed
            assert files(fill(Store.open_or_create(path, layout)).place.folder) == stored
        assert [p.name for p in path.parent.iterdir()] == ["sweep"]


def test_what_a_killed_writer_left_is_swept_away(tmp_path):
    path, layout = tmp_path / "sweep", make_layout(**SMALL)
    partial = tmp_path / ".sweep.0123.partial"
    partial.mkdir()
    (partial / "junk").write_text("of a store that was being made")
    kept = Store.open_or_create(path, layout)
    kept.write(0, make_chunk(layout, 0))
    assert [p.name for p in tmp_path.iterdir()] == ["sweep"]
    left = path / "final_value" / "c" / "1.0123.partial"
    left.write_text("of a chunk that was being written")
    open_results(path)
    assert left.exists()  # who reads leaves a writer alone
    before = files(path)
    fill(Store.open_or_create(path, layout))
    after = files(path)
    assert before.keys() - after.keys() == {str(left.relative_to(path))}
    assert not [name for name in after if "partial" in name]
    mine = path / "mine.partial"
    mine.write_text("in a finished store nothing is left over")
    Store.open(path, layout)
    assert mine.exists()


def write_until_killed(path, layout):
    fill(Store.open_or_create(path, layout))


@pytest.mark.full
def test_killed_at_any_moment_nothing_but_the_chunk_in_flight_is_lost(tmp_path, monkeypatch):
    layout = make_layout(starts=1201, axes=(), chunk=8)
    path = tmp_path / "sweep"
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    context = multiprocessing.get_context("forkserver")  # imports once, so that a life is short
    context.set_forkserver_preload([Path(__file__).stem])
    moment = random.Random(0)
    kills, done = 0, np.zeros(layout.chunks, dtype=bool)
    while not done.all():
        process = context.Process(target=write_until_killed, args=(path, layout))
        process.start()
        if kills < 24:
            made = path.exists()
            marks = done.sum() + moment.randrange(5) * made
            while process.is_alive() and count_marks(path) < marks:
                time.sleep(0.001)
            time.sleep(moment.uniform(0, 0.01 if made else 0.15))
            process.kill()
        process.join()
        kills += process.exitcode == -9
        if not path.exists():  # killed while it was made
            continue
        before, done = done, Store.open(path, layout).done
        assert done[before].all()
        finished = np.repeat(done, layout.chunk)[: layout.cells]
        outcome = open_results(path, variables=["outcome"])["outcome"]
        assert ((outcome >= 0) == finished).all()
    assert kills >= 20
    monkeypatch.setattr(os, "fsync", lambda file: None)  # faster, and the bits are the same
    assert files(path) == files(fill(Store.create(tmp_path / "whole", layout)).place.folder)


def count_marks(path):
    marks = path / "status" / "c"
    return len(os.listdir(marks)) if marks.is_dir() else 0


def test_a_store_of_another_sweep_is_refused_and_untouched(tmp_path):
    fill(Store.create(tmp_path, make_layout()))
    before = files(tmp_path)
    for other, words in {
        "steps": (make_layout(steps=200), "steps is 100 there and 200 here"),
        "rates": (make_layout(rates=[0.1, 0.3]), "rates[1] is 0.2 there and 0.3 here"),
        "length": (make_layout(rates=[0.1]), "rates is [0.1, 0.2] there and [0.1] here"),
        "number": (make_layout(rates=3), "rates is [0.1, 0.2] there and 3 here"),
        "mapping": (make_layout(steps={"a": 1}), "steps is 100 there and {'a': 1} here"),
        "chunk": (make_layout(chunk=16), "chunk is 32 there and 16 here"),
        "absent": (make_layout(nesterov=True), "nesterov is 'absent' there and True here"),
        "dims": (make_layout(starts=26), "dims.start is 25 there and 26 here"),
        "types": (make_layout(dtype="float64"), "'float32' there and 'float64' here"),
        "both": (make_layout(steps=1, seed=3), "steps is 100 there and 1 here; seed is"),
        "eight": (make_layout(**dict.fromkeys("abcdefgh", 1)), "h is 'absent' there and 1 here; c"),
        "ten": (make_layout(**dict.fromkeys("abcdefghij", 1)), "and 1 here; and 2 more; choose"),
    }.values():
        with pytest.raises(ArgumentError) as error:
            Store.open_or_create(tmp_path, other)
        assert words in str(error.value)
        assert "\n" not in str(error.value)
    assert files(tmp_path) == before
    assert Store.open(tmp_path, make_layout()).missing() == []


def test_what_is_no_store_is_refused_and_untouched(tmp_path):
    file, full, other = tmp_path / "file", tmp_path / "full", tmp_path / "other"
    file.write_text("mine")
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    zarr.create_group(other)
    inside = Store.create(tmp_path / "store", make_layout()).place.folder / "status"
    for path in (file, full, other, inside):
        for call in (open_results, lambda p: Store.open_or_create(p, make_layout())):
            with pytest.raises(ArgumentError, match="must be a folder"):
                call(path)
        with pytest.raises(ArgumentError, match="new or an empty folder"):
            Store.create(path, make_layout())
    assert file.read_text() == (full / "notes.txt").read_text() == "mine"
    with pytest.raises(StorageError, match="could not be made"):
        Store.create(file / "below", make_layout())
    with pytest.raises(ArgumentError, match="there is no folder"):
        open_results(tmp_path / "nowhere" / "sweep")
    Store.create(tmp_path / "sweep", make_layout())
    with pytest.raises(ArgumentError, match="swep; did you mean 'sweep'"):
        open_results(tmp_path / "swep")
    with pytest.raises(ArgumentError, match="'outcomes'; did you mean 'outcome'"):
        open_results(tmp_path / "sweep", variables=["outcomes"])


@pytest.mark.parametrize(
    ("mark", "said"), [(None, "before format 3"), (2, "in format 2"), (4, "in format 4")]
)
def test_a_store_of_another_format_is_refused_by_name_and_untouched(tmp_path, mark, said):
    layout, path = make_layout(), tmp_path / "sweep"
    fill(Store.create(path, layout))
    head = json.loads((path / "zarr.json").read_text())
    assert head["attributes"]["gdjax_format"] == folder.FORMAT == 3
    head["attributes"] |= {"versions": '{"gdjax": "0.0.7"}', "gdjax_format": mark}
    if mark is None:
        del head["attributes"]["gdjax_format"]
    (path / "zarr.json").write_text(json.dumps(head))
    (path / HEAD).unlink()  # which other formats may have otherwise
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    calls = open_results, lambda p: Store.open(p, layout), lambda p: to_parquet(p, tmp_path / "t")
    for call in calls:
        with pytest.raises(ArgumentError) as caught:
            call(path)
        assert str(caught.value).startswith(
            f"store {path} was written by gdjax 0.0.7 {said}, and this gdjax, "
            f"{gdjax.__version__}, reads format 3; "
        )
    assert before == {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_arrays_that_do_not_fit_are_refused(tmp_path):
    kept = Store.create(tmp_path, make_layout())
    good = make_chunk(kept.layout, 4)
    for bad in (
        good | {"steps": good["steps"].astype("int64")},
        good | {"final_point": good["final_point"][:-1]},
        {"steps": good["steps"]},
    ):
        with pytest.raises(ArgumentError):
            kept.write(4, bad)
    assert not kept.done.any()
    assert not Store.open(tmp_path, kept.layout).done.any()
    for index in (-1, 5, 6):
        with pytest.raises(IndexError, match=f"chunk {index} of 5"):
            kept.write(index, good)
    for taken in ("steps", "record", "component", "momentum"):
        with pytest.raises(ArgumentError, match=f"'{taken}' is taken"):
            make_layout(axes=[{"momentum": [1.0]}, {taken: [1.0]}])


def test_a_full_disk_costs_only_the_chunk_in_flight(tmp_path, monkeypatch):
    layout = make_layout()
    half = Store.create(tmp_path / "sweep", layout)
    half.write(0, make_chunk(layout, 0))

    def full(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError) as error:
            half.write(1, make_chunk(layout, 1))
        assert "chunk 1 of 5" in str(error.value)
        assert ": No space left on device; the 1 finished" in str(error.value)
        assert "\n" not in str(error.value)
        with pytest.raises(StorageError, match=r"could not be made.*No space left"):
            Store.create(tmp_path / "second", layout)
    assert [entry.name for entry in tmp_path.iterdir()] == ["sweep"]
    assert half.missing() == Store.open(half.place.folder, layout).missing() == [1, 2, 3, 4]
    assert (open_results(half.place.folder)["outcome"].values.ravel()[:32] >= 0).all()
    fill(half)
    assert files(half.place.folder) == files(
        fill(Store.create(tmp_path / "second", layout)).place.folder
    )


def test_a_chunk_of_many_bytes_lies_in_files_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "FILE_BYTES", 600)
    layout = make_layout(chunk=31, record=[0, 5, 7, 9, 10])
    kept = Store.create(tmp_path / "sweep", layout)
    written = []
    for index in kept.missing():
        before = files(kept.place.folder)
        kept.write(index, make_chunk(layout, index))
        after = files(kept.place.folder)
        assert {name: after[name] for name in before} == before
        written.append(len(after) - len(before))
    # In a file fit two of the five steps of the points, or four of the values.
    assert written == [*[3 + 2 + 8 + 1] * (layout.chunks - 1), 3 + 2 + 8 + 1 + 1]
    xr.testing.assert_identical(open_results(kept.place.folder), in_memory(layout))
    monkeypatch.setattr(folder, "FILE_BYTES", 1)  # a file holds a row and a step, at the least
    small = Store.create(tmp_path / "small", layout)
    assert len(list(small.place.folder.glob("start_point/c/*/*"))) == 25
    small.write(4, make_chunk(layout, 4))
    assert len(list(small.place.folder.glob("points/c/4/*/*"))) == 5


def rows_of(layout, chunks):
    """The table of a store with these chunks, put together cell by cell."""
    points = layout.coordinates["start_point"].values.tolist()
    (rates, momenta), (decays,) = (list(axis.values()) for axis in AXES)
    flat = {
        name: np.full((layout.cells, *v.shape), v.fill, v.dtype).tolist()
        for name, v in layout.variables.items()
    }
    for index in chunks:
        for name, array in make_chunk(layout, index).items():
            flat[name][index * 32 : index * 32 + len(array)] = array.tolist()
    for cell in range(25 * 3 * 2):
        start, pair, decay = cell // 6, cell // 2 % 3, cell % 2
        row = {"start": start, "start_point_x": points[start][0], "start_point_y": points[start][1]}
        row |= {"learning_rate": rates[pair], "momentum": momenta[pair], "decay": decays[decay]}
        for name, values in flat.items():
            value = values[cell]
            if name == "points":
                row |= {"points_x": [x for x, _ in value], "points_y": [y for _, y in value]}
            elif name == "final_point":
                row |= {"final_point_x": value[0], "final_point_y": value[1]}
            else:
                row[name] = value
        yield row


@pytest.mark.parametrize("chunks", [range(5), [2]], ids=["whole", "unfinished"])
def test_a_parquet_table_holds_every_cell(tmp_path, monkeypatch, chunks):
    parquet = pytest.importorskip("pyarrow.parquet")
    layout = make_layout(record=[0, 5, 9])
    kept = Store.create(tmp_path / "sweep", layout)
    for index in chunks:
        kept.write(index, make_chunk(layout, index))
    monkeypatch.setattr(table, "GROUP_BYTES", 2000)  # 29 rows of 31 + 3 · 12 bytes
    expected = list(rows_of(layout, chunks))
    for results in (kept.place.folder, open_results(kept.place.folder)):
        file = parquet.ParquetFile(to_parquet(results, tmp_path / "table.parquet"))
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        assert groups == [29] * 5 + [5]
        rows = file.read()
        assert str(rows.to_pylist()) == str(expected)  # in order; NaN as well
        types = {field.name: str(field.type) for field in rows.schema}
        assert types["steps"] == "int32"
        assert types["outcome"] == "int8"
        assert types["final_point_x"] == "float"
        about = json.loads(rows.schema.metadata[b"gdjax"])
        assert (about["objective"], about["fmin"], about["record"]) == ("qfsp", "NaN", [0, 5, 9])
        assert about["complete"] == (len(chunks) == 5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sweep", "table.parquet"]


@pytest.mark.parametrize("error", [OSError("no space"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("call", [("write_table", 0), ("write_table", 2), ("close", 0)], ids=str)
def test_an_interrupted_export_leaves_the_file_that_was_there(tmp_path, monkeypatch, error, call):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(table, "GROUP_BYTES", 2000)
    results = in_memory(make_layout())
    (name, number), calls = call, []
    real = getattr(parquet.ParquetWriter, name)

    def fails(self, *args):
        calls.append(name)
        if len(calls) == number + 1:
            raise error
        return real(self, *args)

    file = tmp_path / "table.parquet"
    for there in (None, b"an earlier table"):
        if there:
            file.write_bytes(there)
        calls.clear()
        with monkeypatch.context() as patch:
            patch.setattr(parquet.ParquetWriter, name, fails)
            with pytest.raises((StorageError, KeyboardInterrupt)) as caught:
                to_parquet(results, file)
        if isinstance(error, OSError):
            assert str(caught.value) == f"table {file} could not be written: no space"
        assert [p.read_bytes() for p in tmp_path.iterdir()] == ([there] if there else [])
    to_parquet(results, file)
    assert parquet.read_table(file).num_rows == 150


def test_a_parquet_table_of_a_part_of_a_dataset(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    results = in_memory(make_layout())
    part = results.isel(start=3, decay=slice(1, 2)).transpose()
    assert parquet.ParquetFile(to_parquet(part, tmp_path / "part.parquet")).num_row_groups == 1
    monkeypatch.setattr(table, "GROUP_BYTES", 1)  # a group holds a row, at the least
    assert parquet.ParquetFile(to_parquet(part, tmp_path / "part.parquet")).num_row_groups == 3
    rows = parquet.read_table(tmp_path / "part.parquet")
    assert rows.num_rows == 3
    assert rows["start"].to_pylist() == [3, 3, 3]
    assert rows["decay"].to_pylist() == [1.0, 1.0, 1.0]
    assert rows["final_point_y"].to_pylist() == part["final_point"].values.T[:, 0, 1].tolist()
    np.testing.assert_array_equal(rows["start_point_x"], [results["start_point"].values[3, 0]] * 3)
    with pytest.raises(ArgumentError, match="final_value must have one value a cell"):
        to_parquet(results.assign(final_value=results["final_value"].mean("start")), "never")
    with pytest.raises(StorageError, match="could not be written"):
        to_parquet(results, tmp_path / "nowhere" / "table.parquet")


def test_without_pyarrow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ArgumentError, match=r"gdjax\[parquet\]"):
        to_parquet(in_memory(make_layout()), "never")


def test_loaded_on_first_use():
    assert gdjax.open_results is open_results
    assert standard_variables("float64", 3).keys() == standard_variables("float32", 2).keys()


@pytest.mark.parametrize("flat", [False, True])
def test_netcdf_takes_what_was_opened(tmp_path, flat):
    stored = open_results(fill(Store.create(tmp_path / "a", make_layout())).place.folder, flat=flat)
    stored.to_netcdf(tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc") as found:
        xr.testing.assert_equal(found.load(), stored)
        for name, value in stored.attrs.items():
            np.testing.assert_equal(np.asarray(found.attrs[name]), np.asarray(value))


def test_attributes_are_such_as_every_format_holds(tmp_path):
    stored = open_results(Store.create(tmp_path / "a", make_layout()).place.folder)
    for value in stored.attrs.values():
        assert type(value) in (int, float, str) or {*map(type, value)} in ({int}, {float}, {str})
