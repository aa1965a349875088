"""A store driven at random, and a model of it in memory: nothing lost, nothing silently wrong."""

import contextlib
import errno
import multiprocessing
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from stores import Disk, fill, make_chunk

from gdjax._util.errors import ArgumentError, DamageError, StorageError
from gdjax.results import Store, open_results, sweep_layout, verify
from gdjax.results.checked import FINISHED, HEAD

CHUNKS = 3
LAYOUT = sweep_layout(
    np.arange(10.0, dtype="float32").reshape(5, 2), dtype="float32", chunk=2, config={"steps": 1},
    keep=["final_value", "outcome"],
)  # fmt: skip
EXPECTED = {
    name: np.concatenate([make_chunk(LAYOUT, i)[name] for i in range(CHUNKS)])
    for name in LAYOUT.variables
}
NUMBERS = st.integers(0, 2**16)


def cells_of(chunks):
    """For each cell, whether it lies in one of these chunks."""
    marked = np.isin(np.arange(CHUNKS), [*chunks])
    return np.repeat(marked, LAYOUT.chunk)[: LAYOUT.cells]


class Machine(RuleBasedStateMachine):
    """What may befall a store, with what must be true of it in between.

    The model is a set of finished chunks, and the bytes that every file had when it was written.
    """

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="machine"))
        self.path = self.folder / "store"
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(os, "fsync", lambda file: None)
        self.writers, self.readers = [], []
        self.done, self.good = set(), {}

    def teardown(self):
        self.patch.undo()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- The model ------------------------------------------------------------------------

    def files(self):
        found = (p for p in self.path.rglob("*") if p.is_file() and p.suffix != ".partial")
        return {str(p.relative_to(self.path)): p.read_bytes() for p in found}

    def look(self, *chunks):
        """What was written now, these chunks and all before the first one, is what must be."""
        now = self.files()
        self.done |= {*chunks}
        renewed = {None, *chunks}
        self.good = {n: data for n, data in self.good.items() if self.chunk(n) not in renewed} | {
            n: data for n, data in now.items() if self.chunk(n) in renewed
        }

    @staticmethod
    def chunk(name):
        room, _, rest = name.partition("/c/")
        return int(rest) if rest and room in {*LAYOUT.variables, "status"} else None

    def broken(self):
        """The files that are not what was written."""
        now = self.files()
        if FINISHED in now:  # then no mark may be missing
            unmarked = {f"status/c/{i}" for i in range(CHUNKS)} - now.keys()
        else:  # a missing mark says that its chunk is not finished
            unmarked = set()
            self.done = {i for i in self.done if f"status/c/{i}" in now}
        self.good = {n: d for n, d in self.good.items() if self.chunk(n) in {None, *self.done}}
        return unmarked | {n for n, d in self.good.items() if now.get(n) != d} - {FINISHED}

    def lost(self):
        """The chunks that must be computed again, or have never been."""
        return {*range(CHUNKS)} - self.done | {self.chunk(n) for n in self.broken()} - {None}

    def exists(self):
        return bool(self.good)

    # ---- Writers --------------------------------------------------------------------------

    @rule()
    def open_or_create(self):
        """Create, reopen or continue: what is missing is what the model says."""
        if self.exists() and self.unknown():
            with pytest.raises(ArgumentError):
                Store.open_or_create(self.path, LAYOUT)
            return
        broken, lost = self.broken() if self.exists() else set(), self.lost()
        opened = Store.open_or_create(self.path, LAYOUT)
        assert {*opened.missing()} == lost
        assert {each.file for each in opened.damage} == broken - self.hidden(broken)
        self.writers = [*self.writers[-1:], opened]
        self.look()

    @rule()
    def continue_it(self):
        """Whatever was damaged or missing is there in the end."""
        self.open_or_create()
        if self.exists() and not self.unknown():
            fill(self.writers[-1])
            self.look(*range(CHUNKS))
            assert not self.broken()

    def unknown(self):
        """Whether nothing tells of which sweep the store is."""
        return {HEAD, "zarr.json"} <= self.broken()

    def hidden(self, broken):
        """What is not told beside other damage: of a damaged head the rest, of a mark its files."""
        of_head = {n for n in broken if self.chunk(n) is None} - {HEAD} if HEAD in broken else set()
        marks = {self.chunk(n) for n in broken if n.startswith("status/c/")}
        return of_head | {
            n for n in broken if self.chunk(n) in marks and not n.startswith("status/c/")
        }

    @precondition(lambda self: self.writers)
    @rule(which=NUMBERS, chunk=st.integers(0, CHUNKS - 1))
    def write_a_chunk(self, which, chunk):
        broken = {n for n in self.broken() if self.chunk(n) is None}
        kept = {n: self.good[n] for n in broken}
        self.writers[which % len(self.writers)].write(chunk, make_chunk(LAYOUT, chunk))
        self.look(chunk)
        self.good |= kept  # what is damaged before the first chunk stays so

    @precondition(lambda self: not self.exists() or not self.broken())
    @rule(number=NUMBERS, how=st.sampled_from(["error", "full", "killed"]))
    def something_fails(self, number, how):
        """An operation on the disk fails, that alone or with all that follow, while one fills."""
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, self.folder, number % 60, forever=how != "error")
            disk.flushed |= {p.stat().st_ino for p in self.folder.rglob("*")}  # before this
            if how == "full":
                patch.setattr(errno, "EIO", errno.ENOSPC)
            with contextlib.suppress(StorageError):
                fill(Store.open_or_create(self.path, LAYOUT))
        if how == "killed":
            disk.lose_power()
        self.writers.clear()
        self.after_a_crash()

    def after_a_crash(self):
        """What was finished stays so; what is marked now is finished too, and whole."""
        if not (self.path / HEAD).exists():
            assert not self.exists()
            return
        marked = {int(p.name) for p in self.path.glob("status/c/*") if p.name.isdigit()}
        assert self.done <= marked
        self.look(*marked)

    @precondition(lambda self: self.exists() and not self.broken() and len(self.done) == CHUNKS)
    @rule()
    def nothing_can_be_written(self):
        """A whole store is continued and read where nothing can be written."""
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, self.folder, 0, forever=True)
            assert Store.open(self.path, LAYOUT).missing() == []
            assert open_results(self.path).attrs["complete"]

    # ---- Damage ---------------------------------------------------------------------------

    def name(self, number):
        names = sorted(n for n in self.files() if n in self.good)
        return names[number % len(names)] if names else None

    @precondition(lambda self: self.exists())
    @rule(number=NUMBERS, at=NUMBERS, how=st.sampled_from(["flip", "cut", "delete"]))
    def damage(self, number, at, how):
        if (name := self.name(number)) is None:
            return
        file = self.path / name
        data = bytearray(file.read_bytes())
        if how == "delete":
            file.unlink()
        elif data and how == "flip":
            data[at % len(data)] ^= 1 << at % 8
            file.write_bytes(data)
        elif data:
            file.write_bytes(data[: at % len(data)])

    @precondition(lambda self: self.exists())
    @rule(one=NUMBERS, other=NUMBERS)
    def swap(self, one, other):
        one, other = self.name(one), self.name(other)
        if one is not None and FINISHED not in (one, other):
            first, second = (self.path / name for name in (one, other))
            kept = first.read_bytes()
            first.write_bytes(second.read_bytes())
            second.write_bytes(kept)

    # ---- Readers --------------------------------------------------------------------------

    @precondition(lambda self: self.exists() and not self.broken())
    @rule()
    def a_reader_opens(self):
        self.readers = [(open_results(self.path, flat=True), cells_of(self.done))]

    @rule()
    def a_reader_reads(self):
        """Whoever opened a store before reads what was finished then, or is told of damage."""
        for found, finished in self.readers:
            for name, expected in EXPECTED.items():
                try:
                    values = found[name].values
                except DamageError:
                    assert self.broken()
                    continue
                np.testing.assert_array_equal(values[finished], expected[finished])
                assert (np.isnan(values) | (values == -1))[~finished].all()

    @invariant()
    def nothing_is_silently_wrong(self):
        if not getattr(self, "path", None) or not self.exists():
            return
        broken = self.broken()
        if self.unknown():
            with pytest.raises(ArgumentError):
                open_results(self.path)
            return
        told = {each.file for each in verify(self.path).damage}
        assert told <= broken
        assert bool(told) == bool(broken)
        if broken:
            with pytest.raises(DamageError) as caught:
                open_results(self.path)
            assert any(name in str(caught.value) for name in broken)
            return
        found, finished = open_results(self.path), cells_of(self.done)
        assert found.attrs["complete"] == finished.all()
        for name, expected in EXPECTED.items():
            values = found[name].values
            np.testing.assert_array_equal(values[finished], expected[finished])
            assert (np.isnan(values) | (values == -1))[~finished].all()
        np.testing.assert_array_equal(
            found["start_point"], LAYOUT.coordinates["start_point"].values
        )


def live(path):
    fill(Store.open_or_create(path, LAYOUT))


class WithKills(Machine):
    """Processes of their own that write, and are killed at any moment."""

    context = multiprocessing.get_context("forkserver")  # imports once, so that a life is short

    @precondition(lambda self: not self.exists() or not self.broken())
    @rule(moment=st.integers(0, 100))
    def killed(self, moment):
        process = self.context.Process(target=live, args=(self.path,))
        process.start()
        time.sleep(moment / 500)
        process.kill()
        process.join()
        self.writers.clear()
        self.after_a_crash()


def run(machine, examples, steps):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, database=None,
            phases=[Phase.generate], derandomize=True,
            suppress_health_check=[*HealthCheck],
        ),
    )  # fmt: skip


def test_whatever_befalls_a_store_nothing_is_silently_wrong():
    run(Machine, 6, 12)


@pytest.mark.full
def test_whatever_befalls_a_store_at_length(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    WithKills.context.set_forkserver_preload([Path(__file__).stem])
    run(WithKills, 60, 30)


@pytest.mark.full
def test_200_kills_lose_no_finished_chunk(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    WithKills.context.set_forkserver_preload([Path(__file__).stem])
    moment = random.Random(0)
    kills, store = 0, tmp_path / "store"
    while kills < 200:
        process = WithKills.context.Process(target=live, args=(store,))
        process.start()
        time.sleep(moment.uniform(0, 0.2))
        process.kill()
        process.join()
        kills += process.exitcode == -9
        if not (store / HEAD).exists():
            continue
        found = open_results(store)
        assert verify(store).damage == ()
        finished = found["outcome"].values != -1
        for name, expected in EXPECTED.items():
            np.testing.assert_array_equal(found[name].values[finished], expected[finished])
        if found.attrs["complete"]:
            shutil.rmtree(store)
