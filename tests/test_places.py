"""Stores behind URLs: the same bits as in a folder, continued, verified and mended there."""

from pathlib import Path

import fsspec
import numpy as np
import obstore.fsspec
import pytest
import xarray as xr
from commands import called
from fsspec.implementations.memory import MemoryFileSystem
from stores import fill, in_memory, make_chunk, make_layout

import gdjax
from gdjax._util.errors import ArgumentError, DamageError, StorageError
from gdjax.results import Store, open_results, to_parquet, verify
from gdjax.results.checked import HEAD
from gdjax.results.places import Remote, place_of

SMALL = {"starts": 6, "axes": (), "chunk": 4}


@pytest.fixture(params=["memory", "local", "obstore"])
def url(request, tmp_path):
    """In fsspec's memory, on a disk seen through it, and in obstore's memory."""
    if request.param == "local":
        yield f"local://{tmp_path}/s.zarr"
        return
    if request.param == "obstore":
        obstore.fsspec.register("memory")
    yield f"memory://{tmp_path.name}/s.zarr"
    fsspec.register_implementation("memory", MemoryFileSystem, clobber=True)


def swept(store=None, **asked):
    asked = {"starts": gdjax.starts.grid(8), "steps": 50, "chunk": 32, "store": store} | asked
    return gdjax.sweep(
        "qfsp", gdjax.heavy_ball(0.1), hyperparameters={"momentum": [0.0, 0.9]}, **asked
    )


def test_a_sweep_behind_a_url_is_that_in_memory_and_is_computed_once(url, monkeypatch):
    first = swept(url)
    xr.testing.assert_equal(first, swept())
    with monkeypatch.context() as nothing:
        nothing.setattr(Store, "write", None)
        xr.testing.assert_equal(swept(url), first)
    with pytest.raises(ArgumentError, match="holds another sweep: steps is 50"):
        swept(url, steps=51)


def test_what_is_missing_is_what_is_computed(url, tmp_path):
    layout = make_layout(**SMALL)
    half = Store.open_or_create(url, layout)
    half.write(1, make_chunk(layout, 1))
    assert not open_results(url).attrs["complete"]
    assert Store.open_or_create(url, layout).missing() == [0]
    assert fill(Store.open(url, layout)).missing() == []
    xr.testing.assert_identical(open_results(url), in_memory(layout))
    lazily = open_results(url, flat=True)
    assert lazily["final_value"].shape == (6,)
    assert np.isfinite(lazily["final_value"]).all()
    assert to_parquet(url, tmp_path / "t.parquet").is_file()


def test_a_store_that_was_not_laid_out_to_its_end_is_laid_out_again(url, monkeypatch):
    layout, written = make_layout(**SMALL), []
    write = Remote.write

    def until_the_third(self, key, data):
        written.append(key)
        if len(written) == 3:
            raise RuntimeError("the bucket is gone")
        write(self, key, data)

    with monkeypatch.context() as gone:
        gone.setattr(Remote, "write", until_the_third)
        with pytest.raises(RuntimeError, match="the bucket is gone"):
            Store.create(url, layout)
    with pytest.raises(DamageError, match=f"{HEAD} is missing"):
        open_results(url)
    fill(Store.open_or_create(url, layout))
    xr.testing.assert_identical(open_results(url), in_memory(layout))
    assert verify(url).damage == ()


def test_damage_behind_a_url_is_told_and_mended(url):
    layout = make_layout(**SMALL)
    fill(Store.create(url, layout))
    place = place_of(url)
    place.write("final_value/c/0", b"other")
    place.remove("outcome/c/1")
    assert [str(each) for each in verify(url).damage] == [
        "chunk 0: final_value/c/0 is not what was written", "chunk 1: outcome/c/1 is missing",
    ]  # fmt: skip
    with pytest.raises(DamageError, match="final_value/c/0 is not what was written"):
        open_results(url)
    fill(Store.open(url, layout))
    xr.testing.assert_identical(open_results(url), in_memory(layout))


class Refusing(MemoryFileSystem):
    """A bucket that allows nothing, and says so as libraries do."""

    protocol = "refusing"

    def ls(self, path, detail=True, **kwargs):
        return []

    def cat_file(self, path, *args, **kwargs):
        if path.endswith("laid_out"):
            raise FileNotFoundError(path)
        raise RuntimeError("no credentials\nsee the manual")

    def pipe_file(self, path, value, *args, **kwargs):
        raise RuntimeError("access denied\nsee the manual")


def test_what_a_library_refuses_is_one_line(monkeypatch):
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    with pytest.raises(StorageError, match=r"could not be made: RuntimeError: access denied; the"):
        swept("refusing://bucket/s")
    with pytest.raises(StorageError, match=r"^zarr.json of store refusing://bucket/s could not be"):
        open_results("refusing://bucket/s")


@pytest.mark.parametrize(
    ("store", "told"),
    [
        ("memory://nothing/here", "there is no store at memory://nothing/here"),
        ("nosuch://bucket/s", "must be a folder or a URL that fsspec knows: ValueError: Protocol"),
        ("simplecache::nosuch://bucket/s", "must be a folder or a URL that fsspec knows"),
        (Path("s3://bucket/s"), "s3:/bucket/s is half of one"),
    ],
)
def test_a_url_that_nothing_serves_is_refused_and_makes_no_folder(
    store, told, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=told):
        open_results(store)
    if "no store" not in told:
        with pytest.raises(ArgumentError, match=told):
            swept(store)
    assert not [*tmp_path.iterdir()]


def test_without_fsspec_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(ArgumentError, match=r"needs fsspec: pip install 'gdjax\[remote\]'"):
        open_results("s3://bucket/s")


def test_a_command_takes_a_url_and_continues_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["sweep", f"store=local://{tmp_path}/away", "starts.number=5", "steps=20", "plots=[]"]
    code, out, err = called([*words, f"hydra.run.dir={tmp_path}/one"])
    assert code == 0, err
    assert f"local://{tmp_path}/away" in out + err
    code, out, err = called([*words, f"hydra.run.dir={tmp_path}/two"])
    assert code == 0
    assert "all read from the store" in out + err
    code, out, err = called(["verify", f"local://{tmp_path}/away"])
    assert code == 0, err
