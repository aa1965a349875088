"""Processes that share a store share the work, and nobody waits for the dead."""

import signal
import subprocess
import sys
import threading
import time

import pytest

import gdjax
from gdjax._sweep import claims
from gdjax._sweep.claims import Claims
from gdjax._sweep.runner import Runner

# 16 chunks, each of which takes a tenth of a second.
SLOW = """
import sys, time
from gdjax._sweep.runner import Runner
compute, seen = Runner.compute, []
def slowly(self, *args):
    seen.append(args[0])
    time.sleep(float(sys.argv[2]))
    return compute(self, *args)
Runner.compute = slowly
import gdjax
print("begun", flush=True)
gdjax.sweep("booth", "adam", gdjax.starts.uniform(256), steps=9, chunk=16, store=sys.argv[1])
print(len(seen))
"""


def begin(store, seconds=0.1):
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, str(store), str(seconds)], stdout=subprocess.PIPE, text=True
    )


def alone():
    return gdjax.sweep("booth", "adam", gdjax.starts.uniform(256), steps=9)


def test_processes_on_one_store_share_its_chunks(tmp_path):
    both = [begin(tmp_path / "store") for _ in range(2)]
    told = [process.communicate(timeout=120)[0].split() for process in both]
    computed = [int(count) for _, count in told]
    assert sum(computed) == 16
    assert min(computed) > 0
    found = gdjax.results.open_results(tmp_path / "store")
    assert found.attrs["complete"] == 1
    for name, array in alone().data_vars.items():
        assert found[name].values.tobytes() == array.values.tobytes()
    assert not (tmp_path / "store" / claims.FOLDER).exists()


def test_the_chunks_of_one_that_was_killed_are_taken_over_at_once(tmp_path):
    store = tmp_path / "store"
    killed = begin(store, 30)
    assert killed.stdout.readline() == "begun\n"
    while not [*store.glob(f"{claims.FOLDER}/0")]:
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    began = time.monotonic()
    found = gdjax.sweep("booth", "adam", gdjax.starts.uniform(256), steps=9, chunk=16, store=store)
    assert time.monotonic() - began < claims.PATIENCE
    assert found.final_value.values.tobytes() == alone().final_value.values.tobytes()


def claimed_elsewhere(folder, counts):
    """A claim on chunk 0 by a process of another machine, and what it has counted to."""
    (folder / claims.FOLDER).mkdir()
    (folder / claims.FOLDER / "0").write_text("elsewhere.1.a")
    (folder / claims.FOLDER / "elsewhere.1.a").write_text(counts)


def test_whoever_counts_on_lives_and_whoever_does_not_is_dead(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(claims.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(claims.time, "time", lambda: 1 / 0)  # no clock that jumps is asked
    claimed_elsewhere(tmp_path, "1")
    mine = Claims(tmp_path)
    for count in range(5):
        now[0] += 0.8 * claims.PATIENCE
        (tmp_path / claims.FOLDER / "elsewhere.1.a").write_text(str(count))
        assert not mine.take(0)
    now[0] += 0.8 * claims.PATIENCE
    assert not mine.take(0)
    now[0] += 0.3 * claims.PATIENCE
    assert mine.take(0)
    assert mine.take(0)  # it has it already


def test_a_sweep_waits_for_a_chunk_of_another_machine_and_takes_what_it_leaves(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(claims, "PATIENCE", 0.5)
    how = {"starts": [[1.0, 2.0]], "steps": 3, "store": tmp_path / "store"}
    gdjax.sweep("booth", "adam", **how)
    (tmp_path / "store" / "status" / "c" / "0").unlink()
    (tmp_path / "store" / "status" / "finished").unlink()
    claimed_elsewhere(tmp_path / "store", "7")
    began = time.monotonic()
    assert gdjax.sweep("booth", "adam", **how).attrs["complete"] == 1
    assert time.monotonic() - began > 0.5


def test_a_chunk_that_fails_is_no_longer_claimed(tmp_path, monkeypatch):
    def poisoned(self, first, *args):
        if first == 32:
            raise MemoryError("of this chunk")
        return compute(self, first, *args)

    compute = Runner.compute
    monkeypatch.setattr(Runner, "compute", poisoned)
    how = {"starts": gdjax.starts.uniform(64), "steps": 3, "chunk": 16, "store": tmp_path / "s"}
    with pytest.raises(MemoryError):
        gdjax.sweep("booth", "adam", **how)
    assert not (tmp_path / "s" / claims.FOLDER).exists()
    monkeypatch.undo()
    assert gdjax.sweep("booth", "adam", **how).attrs["complete"] == 1


def test_where_no_claim_can_be_made_every_chunk_is_free(tmp_path):
    (tmp_path / claims.FOLDER).write_text("a file, and no folder")
    mine = Claims(tmp_path)
    with mine.counted():
        assert mine.take(0)
        mine.release(0)


def test_a_process_is_seen_to_count(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "BEAT", 0.01)
    mine = Claims(tmp_path)
    before = threading.active_count()
    with mine.counted():
        (file,) = (tmp_path / claims.FOLDER).iterdir()
        deadline = time.monotonic() + 20
        while not file.read_text().strip("0").strip():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    deadline = time.monotonic() + 20
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
