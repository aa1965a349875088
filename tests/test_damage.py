"""What happens to a store whose files are not what was written, or that others wrote."""

import errno
import json
import os
import pickle
import random
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from stores import Disk, fill, in_memory, make_chunk, make_layout

import gdjax
from gdjax._sweep import engine
from gdjax._sweep.outer import plans
from gdjax._util.errors import ArgumentError, DamageError, StorageError
from gdjax.cli.verify import verify as verify_command
from gdjax.results import Store, folder, open_results, store, verify
from gdjax.results.checked import FINISHED, HEAD

SMALL = {"starts": 6, "axes": (), "chunk": 4}
ROOT = "zarr.json"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The layout of a small store, and its files."""
    path, layout = tmp_path_factory.mktemp("whole") / "store", make_layout(**SMALL)
    fill(Store.create(path, layout))
    return layout, {
        str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()
    }


@pytest.fixture
def there(tmp_path, finished, monkeypatch):
    """The layout of a small store, and its folder, in which anything may be done."""
    monkeypatch.setattr(os, "fsync", lambda file: None)  # what is lost here is not lost by power
    for name, data in finished[1].items():
        put(tmp_path / "store" / name, data)
    return finished[0], tmp_path / "store"


def put(file, data):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def cut(file):
    file.write_bytes(file.read_bytes()[:-1])


def swap(file, other):
    one, two = file.read_bytes(), other.read_bytes()
    file.write_bytes(two), other.write_bytes(one)


def chunk_of(name):
    """The chunk that a file is a part of; None of what is there before the first one."""
    parts = Path(name).parts
    return (
        int(parts[2])
        if len(parts) > 2 and parts[0] != "start_point" and parts[0] in PARTS
        else None
    )


PARTS = {*make_layout(**SMALL).variables, "status"}


def check_damage(layout, path, names, all_chunks=False):
    """Damage of these files is told by reading, verifying and continuing, which makes it good."""
    with pytest.raises(DamageError) as caught:
        open_results(path)
    told = str(caught.value)
    assert f"store {path} is damaged: " in told
    assert "\n" not in told
    assert any(
        f"chunk {chunk_of(name)}: {name}" in told if chunk_of(name) is not None else name in told
        for name in names
    )
    chunks = {0, 1} if all_chunks else {chunk_of(name) for name in names} - {None}
    found = verify(path)
    if found.chunks is not None:
        assert {each.file for each in found.damage} == {*names}
        assert found.finished == layout.chunks - len(chunks)
    again = Store.open(path, layout)
    assert again.missing() == sorted(chunks)
    assert {each.file for each in again.damage} == {*names}
    assert f"store {path} was damaged: " in again.told()
    fill(again)
    xr.testing.assert_equal(open_results(path), in_memory(layout))
    assert verify(path).damage == ()


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("final_value/c/1", flip), ("final_value/c/0", cut), ("minimum/c/0", Path.unlink),
        ("status/c/1", flip), ("status/c/0", cut), ("start_point/c/0/0", Path.unlink),
        ("component/c/0", flip), ("final_value/zarr.json", Path.unlink),
        ("status/zarr.json", Path.unlink), (ROOT, flip), (ROOT, Path.unlink), (HEAD, flip),
        (HEAD, Path.unlink), ("status", shutil.rmtree), ("final_value", shutil.rmtree),
    ],
)  # fmt: skip
def test_a_damaged_file_is_noticed_and_that_alone_is_made_again(there, finished, name, how):
    layout, path = there
    how(path / name)
    inside = [file for file in finished[1] if file.startswith(f"{name}/")]
    if name == "status":
        inside = [HEAD]  # without any mark no chunk is known to have been finished
    check_damage(layout, path, inside or [name], all_chunks=name == "status")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("final_value/c/0", "final_value/c/1"),  # another chunk
        ("final_value/c/0", "best_value/c/0"),  # another variable
        ("status/c/0", "status/c/1"),
        ("start_point/c/0/0", "minimum_point/c/0/0"),
        ("steps/zarr.json", "evaluations/zarr.json"),
    ],
)
def test_files_in_each_others_place_are_noticed(there, one, other):
    layout, path = there
    swap(path / one, path / other)
    check_damage(layout, path, [one, other])


@pytest.mark.full
def test_of_500_flips_deletions_and_swaps_none_is_silently_wrong(there, finished):
    layout, path = there
    files = {name: data for name, data in finished[1].items() if data}
    moment, whole = random.Random(0), in_memory(layout)
    for _ in range(500):
        one, other = moment.sample(sorted(files), 2)
        how = moment.choice(["flip", "cut", "delete", "swap"])
        if how == "flip":
            data = bytearray(files[one])
            data[moment.randrange(len(data))] ^= 1 << moment.randrange(8)
            put(path / one, data)
        elif how == "cut":
            put(path / one, files[one][: moment.randrange(len(files[one]))])
        elif how == "delete":
            (path / one).unlink()
        elif files[one] != files[other]:
            swap(path / one, path / other)
        else:
            continue
        with pytest.raises(DamageError):
            open_results(path)
        assert verify(path).damage
        fill(Store.open(path, layout))
        xr.testing.assert_equal(open_results(path), whole)
        for name, data in files.items():
            put(path / name, data)


def test_what_is_read_later_is_checked_later(there, tmp_path):
    layout, path = there
    flat = pickle.loads(pickle.dumps(open_results(path, flat=True)))
    flip(path / "final_value/c/1")
    flip(path / "start_point/c/0/0")
    expected = in_memory(layout)
    np.testing.assert_array_equal(flat["best_value"], expected["best_value"])
    np.testing.assert_array_equal(flat["final_value"][:4], expected["final_value"][:4])
    uses = (
        lambda: flat["final_value"][4:].values,
        lambda: flat["final_value"].mean(),
        lambda: flat[["final_value"]].drop_attrs().to_netcdf(tmp_path / "table.nc"),
        lambda: gdjax.results.to_parquet(path, tmp_path / "table.parquet"),
    )
    for use in uses:
        with pytest.raises(DamageError, match=r"store .* is damaged: (chunk 1: final|start_point)"):
            use()
    with pytest.raises(DamageError, match=f"store {path} is damaged: start_point/c/0/0 is not"):
        flat["start_point"].load()
    assert [*open_results(path, variables=["steps"], flat=True)] == ["steps"]  # that part is whole


def test_a_mark_may_be_missing_until_every_chunk_was_finished(there):
    layout, path = there
    (path / "status/c/0").unlink()
    with pytest.raises(DamageError, match="chunk 0: status/c/0 is missing"):
        open_results(path)
    (path / FINISHED).unlink()
    found = open_results(path)
    assert not found.attrs["complete"]
    assert (found["outcome"].values[:4] == -1).all()
    assert verify(path).damage == ()
    assert verify(path).finished == 1
    assert fill(Store.open(path, layout)).told() == ""
    xr.testing.assert_equal(open_results(path), in_memory(layout))


def test_without_what_says_of_which_sweep_it_is_a_store_is_left_alone(there):
    layout, path = there
    other = make_layout(**SMALL, steps=7)
    flip(path / ROOT)
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    with pytest.raises(DamageError, match=r"zarr\.json is not what was written"):
        Store.open(path, other)
    flip(path / HEAD)
    with pytest.raises(ArgumentError):
        Store.open(path, other)
    flip(path / HEAD)
    assert before == {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    assert Store.open(path, layout).missing() == []


def test_an_error_in_reading_is_not_called_one_in_writing(there, monkeypatch):
    layout, path = there
    real = Path.read_bytes

    def fails(self):
        if self.name == "1":
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", fails)
    for call in (open_results, verify, lambda p: Store.open(p, layout)):
        with pytest.raises(StorageError, match=r"could not be read: Permission denied$"):
            call(path)


def test_a_store_that_cannot_be_written_is_read_and_needs_no_writing(there, monkeypatch):
    layout, path = there
    Disk(monkeypatch, path, fails=0, forever=True)
    assert Store.open(path, layout).missing() == []
    xr.testing.assert_equal(open_results(path), in_memory(layout))
    with pytest.raises(StorageError, match="could not be written"):
        Store.open(path, layout).write(0, make_chunk(layout, 0))


# ---- Versions ------------------------------------------------------------------------------


def of_versions(**changes):
    """A layout that other versions make."""
    layout = make_layout(**SMALL)
    told = json.loads(layout.attrs["versions"]) | changes
    layout.attrs["versions"] = json.dumps(told)
    return layout


def test_chunks_of_two_versions_do_not_mix_in_silence(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda file: None)
    path, old, new = tmp_path / "store", of_versions(jax="0.9.0"), make_layout(**SMALL)
    Store.create(path, old).write(0, make_chunk(old, 0))
    with pytest.raises(ArgumentError) as caught:
        Store.open_or_create(path, new)
    mine = new.versions["jax"]
    assert (
        f"store {path} holds chunks of other versions: jax is '0.9.0' there and '{mine}' here"
        in str(caught.value)
    )
    assert "accept_version=True" in str(caught.value)
    with pytest.raises(ArgumentError, match=r"another sweep: steps is 100.*; jax is '0.9.0'"):
        Store.open(path, make_layout(**SMALL, steps=7), accept_version=True)
    accepted = fill(Store.open_or_create(path, new, accept_version=True))
    assert accepted.told() == ""
    found = open_results(path)
    xr.testing.assert_equal(found, in_memory(new))
    assert json.loads(found.attrs["versions"])["jax"] == "0.9.0"
    (told,) = json.loads(found.attrs["accepted_versions"])
    assert told == new.versions
    assert verify(path).damage == ()
    for layout in (old, new):  # both have been accepted
        assert Store.open(path, layout).missing() == []
    with pytest.raises(ArgumentError, match="numpy is"):
        Store.open(path, of_versions(numpy="1.0"))


def test_what_decides_nothing_may_have_another_version(tmp_path):
    path = Store.create(
        tmp_path / "store", of_versions(xarray="1", zarr="2", llvmlite="0")
    ).place.folder
    assert Store.open(path, make_layout(**SMALL)).missing() == [0, 1]
    native = of_versions(llvmlite="0")
    native.attrs["kernel"] = ["xla", "llvm"]  # of one of several kernels it decides
    assert native.versions["llvmlite"] == "0"


# ---- Sweeps --------------------------------------------------------------------------------

SWEEP = {
    "objective": "qfsp", "optimizer": gdjax.heavy_ball, "starts": gdjax.starts.uniform(32, 1),
    "steps": 4, "chunk": 8,
}  # fmt: skip


def test_a_sweep_computes_damaged_chunks_again_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "store"
    whole = gdjax.sweep(**SWEEP, store=path)
    flip(path / "final_value/c/1")
    (path / "outcome/c/3").unlink()
    written, real = [], Store.write

    def write(self, index, arrays):
        written.append(index)
        real(self, index, arrays)

    monkeypatch.setattr(Store, "write", write)
    with pytest.warns(RuntimeWarning) as caught:
        again = gdjax.sweep(**SWEEP, store=path)
    assert [str(each.message) for each in caught] == [
        f"store {path} was damaged: chunk 1: final_value/c/1 is not what was written; "
        f"chunk 3: outcome/c/3 is missing; that is made again"
    ]
    assert written == [1, 3]
    xr.testing.assert_identical(again, whole)


def test_the_lanes_of_the_machine_decide_no_store(tmp_path, monkeypatch):
    prepared = engine.Sweep(plans(**SWEEP), in_memory=False)
    assert prepared.layout.attrs["kernel"] == "llvm"
    assert prepared.layout.config["tile"] is None
    monkeypatch.setattr(prepared.runners[0].kernel, "tile", 2 * prepared.runners[0].kernel.tile)
    assert engine.Sweep(plans(**SWEEP), in_memory=False).digest == prepared.digest
    other = engine.Sweep(plans(**SWEEP), kernel="xla", in_memory=False)
    assert other.layout.config["tile"] == other.runners[0].kernel.tile


def test_of_two_that_make_a_store_at_once_the_second_opens_that_of_the_first(tmp_path, monkeypatch):
    layout, path, real, made = make_layout(**SMALL), tmp_path / "store", folder.lay_out, []

    def slow(place, layout):
        real(place, layout)
        if not made:
            made.append(place)
            Store.create(path, layout).write(0, make_chunk(layout, 0))

    monkeypatch.setattr(store, "lay_out", slow)
    second = Store.open_or_create(path, layout)
    assert second.missing() == [1]
    fill(second)
    assert [entry.name for entry in tmp_path.iterdir()] == ["store"]
    xr.testing.assert_equal(open_results(path), in_memory(layout))


@pytest.mark.full
def test_many_make_a_store_at_once(tmp_path):
    layout = make_layout(**SMALL)
    for turn in range(10):
        path, failed = tmp_path / str(turn) / "store", []

        def work(path=path, failed=failed):
            try:
                fill(Store.open_or_create(path, layout))
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert failed == []
        assert [entry.name for entry in path.parent.iterdir()] == ["store"]
        xr.testing.assert_equal(open_results(path), in_memory(layout))


# ---- The command ---------------------------------------------------------------------------


def test_the_command_says_whether_a_store_is_whole(there, finished, capsys, tmp_path):
    _, path = there
    count = len(finished[1]) - 2 - 2  # without two marks, the digests and the seal
    assert verify_command([str(path)]) == f"store {path} is whole: 2 of 2 chunks, {count} files"
    flip(path / "steps/c/1")
    (path / "start_point/c/0/0").unlink()
    with pytest.raises(SystemExit) as left:
        verify_command([str(path)])
    assert left.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        "start_point/c/0/0 is missing",
        "chunk 1: steps/c/1 is not what was written",
        f"store {path} is damaged: 2 files, 1 chunks; the same sweep into it makes them again",
    ]
    for words, told in (([], "verify takes one store"), ([str(tmp_path)], "must be a folder")):
        with pytest.raises(ArgumentError, match=told):
            verify_command(words)
    assert "gdjax verify STORE" in verify_command(["--help"])
    assert " ".join(repr(verify(path)).split()).startswith(f"Store {path}, damaged: 2 files")
