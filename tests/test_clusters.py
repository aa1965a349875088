"""Chunks that other processes compute: the same bits, and faults that are told in one line."""

import concurrent.futures
import multiprocessing
import re
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

import gdjax
from gdjax._sweep import remote
from gdjax._sweep.runner import Runner
from gdjax._util.version import versions
from gdjax.cli import clusters
from gdjax.objectives.loading import load

HOW = {"optimizer": "adam", "steps": 9, "chunk": 16}
OWN = """
import jax.numpy as jnp
from beside import WEIGHT
def scaled(p):
    return WEIGHT * p
def f(p):
    return (scaled(p) ** 2).sum()
"""


class Inline(concurrent.futures.Executor):
    """An executor that does what it is handed at once."""

    def submit(self, fn, *args):
        future = concurrent.futures.Future()
        try:
            future.set_result(fn(*args))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    remote._opened.cache_clear()


def swept(objective="booth", number=64, **more):
    return gdjax.sweep(objective, starts=gdjax.starts.uniform(number), **HOW | more)


def assert_same(found, expected):
    assert found.attrs["complete"] == 1
    for name, array in expected.data_vars.items():
        assert found[name].values.tobytes() == array.values.tobytes(), name


@pytest.mark.parametrize("kernel", ["auto", "xla"])
def test_an_executor_computes_the_same_bits(tmp_path, kernel):
    how = {"kernel": kernel, "store": tmp_path / "s"}
    assert_same(swept(executor=Inline(), **how), swept(kernel=kernel))


@pytest.mark.full
def test_processes_compute_a_user_s_own_functions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beside.py").write_text("WEIGHT = 2.0\n")
    (tmp_path / "own.py").write_text(OWN)
    mine = gdjax.Objective(fn=load("own.py:f", "fn"), domain=[(-5, 5), (-5, 5)])
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
        found = swept(mine, executor=pool, store=tmp_path / "s")
    assert_same(found, swept(mine))


def test_a_chunk_that_fails_is_named_by_its_descents_and_the_others_finish(tmp_path, monkeypatch):
    def poisoned(self, first, *args):
        if first == 32:
            raise MemoryError("too much")
        return compute(self, first, *args)

    compute = Runner.compute
    monkeypatch.setattr(Runner, "compute", poisoned)
    with pytest.raises(gdjax.ChunkError) as caught:
        swept(executor=Inline(), store=tmp_path / "s")
    assert str(caught.value).startswith(
        "chunk 2 (descents 32 to 47) failed where it was computed, with MemoryError: too much; "
    )
    there = gdjax.open_results(tmp_path / "s")
    assert int(np.isfinite(there.final_value).sum()) == 48
    monkeypatch.undo()
    assert_same(swept(executor=Inline(), store=tmp_path / "s"), swept())


class Blind(Inline):
    """One whose workers see another disk."""

    def submit(self, fn, *args):
        return super().submit((lambda *_: b"") if fn is remote.head else fn, *args)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"executor": Inline()}, "executor needs a store"),
        ({"executor": Blind(), "store": "s"}, "executor has workers that do not see the store"),
    ],
)
def test_what_no_worker_can_do_is_refused(tmp_path, monkeypatch, more, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(gdjax.ArgumentError, match=told):
        swept(**more)


def test_what_cannot_be_pickled_is_refused(tmp_path):
    lock = threading.Lock()
    objective = gdjax.Objective(fn=lambda p: (p**2).sum() if lock else 0, domain=[(-1, 1)])
    with pytest.raises(gdjax.ArgumentError, match="executor takes what can be pickled"):
        swept(objective, executor=Inline(), store=tmp_path / "s")


def test_workers_of_other_versions_are_refused():
    there = {"tcp://a:1": versions(), "tcp://b:2": {**versions(), "jax": "0.1"}}
    client = SimpleNamespace(run=lambda fn: there)
    with pytest.raises(gdjax.ArgumentError, match=r"worker tcp://b:2 has jax 0\.1, and this"):
        clusters._check_versions(client)


@pytest.mark.full
def test_dask_computes_the_same_store(tmp_path):
    words = "sweep=starts", "starts.number=64", "chunk=8", "steps=20", "plot=none"
    for more in (["store=here"], ["store=there", "engine=dask", "engine.workers=2"]):
        done = subprocess.run(
            [sys.executable, "-m", "gdjax.cli", "sweep", *words, *more],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
    here, there = (gdjax.open_results(tmp_path / name) for name in ("here", "there"))
    assert_same(there, here)


@pytest.mark.full
def test_dask_computes_a_multirun_and_the_same_call_without_it_finds_its_work(tmp_path):
    words = "run", "-m", "optimizer.momentum=0.5,0.9", "steps=9", "plot=none"
    seen = []
    for more in (["engine=dask", "engine.workers=2"], []):
        done = subprocess.run(
            [sys.executable, "-m", "gdjax.cli", *words, *more],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        (store,) = tmp_path.glob("multirun/run/*/stores/*.zarr")
        seen.append({file: file.stat().st_mtime_ns for file in store.rglob("*") if file.is_file()})
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["engine.workers=3"], "engine.workers is for a cluster: choose engine=dask"),
        (["engine=dusk"], "unknown engine 'dusk'; did you mean 'dask'?"),
        pytest.param(["engine=dask", "engine.address=tcp://127.0.0.1:9"],
                     "engine.address must be that of a Dask scheduler, and at tcp://127.0.0.1:9 "
                     "none answers: ", marks=pytest.mark.full),
    ],
)  # fmt: skip
def test_what_is_no_cluster_is_told_in_one_line(gdjax, tmp_path, untyped, words, told):
    began = time.monotonic()
    code, _, err = gdjax("sweep", "sweep=single", "plot=none", *words)
    assert (code, err.count("\n")) == (2, 1)
    assert told in err
    assert time.monotonic() - began < 10


def cluster(folder, *words):
    """A process of Dask's."""
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.full
def test_a_scheduler_or_workers_that_die_lose_no_finished_chunk(tmp_path, untyped):
    address = "tcp://127.0.0.1:18786"
    scheduler = cluster(
        tmp_path, "dask_scheduler", "--host", "127.0.0.1", "--port", "18786", "--no-dashboard"
    )
    workers = [
        cluster(tmp_path, "dask_worker", address, "--nthreads", "1", "--no-dashboard", "--nanny")
        for _ in range(2)
    ]
    words = [
        sys.executable, "-m", "gdjax.cli", "sweep", "sweep=starts", "starts.number=1024",
        "chunk=16", "steps=2000000", "stopping=false", "plot=none", "store=s",
    ]  # fmt: skip
    try:
        time.sleep(5)
        process = subprocess.Popen(
            [*words, "engine=dask", f"engine.address={address}"],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        marks = tmp_path / "s" / "status" / "c"
        while not (marks.is_dir() and len([*marks.iterdir()]) > 4):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        for child in psutil.Process(workers[0].pid).children(recursive=True):
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()  # its nanny starts another one
        before = len([*marks.iterdir()])
        while len([*marks.iterdir()]) < before + 6:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        scheduler.kill()
        _, err = process.communicate(timeout=120)
    finally:
        for one in (scheduler, *workers):
            one.kill()
            one.wait()
    assert process.returncode == 1, err
    assert re.fullmatch(r"gdjax sweep: chunk \d+ \(descents .*\n", err), err
    kept = len([*marks.iterdir()])
    assert 10 < kept < 64
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "the others were in the store" in done.stdout
