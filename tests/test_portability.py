"""What only some systems have is done without on the others."""

import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from gdjax._sweep import runner
from gdjax._util import files, signals


def test_without_an_affinity_all_processors_count(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert runner.processors() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert runner.processors() == 1


def test_a_thread_that_may_handle_no_signals_leaves_them_alone():
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=signals.end_at_signals, args=("gdjax",))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_handler_that_cannot_be_put_back_stays(monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(signal, "getsignal", lambda number: None)  # one that C installed
    signals.end_at_signals("gdjax")
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("fcntl", "asked"),
    [
        (None, ["fsync"]),  # Windows
        (SimpleNamespace(), ["fsync"]),  # Linux
        (SimpleNamespace(F_FULLFSYNC=51, fcntl=lambda file, what: ASKED.append(what)), [51]),
        (SimpleNamespace(F_FULLFSYNC=51, fcntl=lambda file, what: os.stat("no file")), ["fsync"]),
    ],
)
def test_a_file_is_flushed_by_the_best_that_the_system_has(monkeypatch, tmp_path, fcntl, asked):
    ASKED.clear()
    monkeypatch.setattr(files, "fcntl", fcntl)
    monkeypatch.setattr(os, "fsync", lambda file: ASKED.append("fsync"))
    with (tmp_path / "a").open("wb") as file:
        file.write(b"whole")
        files.flush(file)
        assert (tmp_path / "a").read_bytes() == b"whole"
    assert asked == ASKED


ASKED = []


@pytest.mark.parametrize(("windows", "times", "taken"), [(True, 2, True), (False, 1, False)])
def test_windows_is_asked_again_for_a_file_that_a_scanner_has_open(
    monkeypatch, tmp_path, windows, times, taken
):
    replace, refused = os.replace, []

    def busy(old, new):
        if len(refused) < times:
            refused.append(1)
            raise PermissionError(13, "in use")
        replace(old, new)

    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("whole")
    monkeypatch.setattr(os, "replace", busy)
    monkeypatch.setattr(files, "WINDOWS", windows)
    try:
        files.rename(old, new)
    except PermissionError:
        assert not taken
    monkeypatch.undo()
    assert new.exists() == taken


def test_a_file_that_stays_open_is_refused_after_a_while(monkeypatch, tmp_path):
    def busy(old, new):
        raise PermissionError(13, "in use")

    monkeypatch.setattr(files, "PATIENCE", 0.05)
    monkeypatch.setattr(os, "replace", busy)
    monkeypatch.setattr(files, "WINDOWS", True)
    with pytest.raises(PermissionError, match="in use"):
        files.rename(Path("old"), Path("new"))
