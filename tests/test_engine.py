import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import gdjax
from gdjax import engine, objectives, starts

QFSP = objectives.get("qfsp")


def globally(found):
    """Whether a cell reached a global minimum."""
    return (found.minimum >= 0) & (found.minimum < len(QFSP.minima))


def test_share_of_the_starts_from_which_plain_descent_reaches_a_global_minimum():
    found = gdjax.sweep(QFSP, gdjax.gradient_descent(0.02), starts.grid(201), steps=2000)
    # The basins are a square of side 2 · 4.1046 each way in u and v: 1 − (1 − 4.104619850558/30)²
    assert float(globally(found).mean()) == pytest.approx(0.25492, abs=0.003)


def test_how_many_momenta_escape():
    momenta = np.arange(96) / 100
    found = gdjax.sweep(
        QFSP, gdjax.heavy_ball(0.1), hyperparameters={"momentum": momenta}, steps=1000,
        precision="float64",
    )  # fmt: skip
    assert int(globally(found).sum()) == 70
    trapped = found.momentum.values[~globally(found).values[0]]
    np.testing.assert_allclose(trapped, [*np.arange(23) / 100, 0.70, 0.71, 0.95])


def test_labels_and_metadata():
    found = gdjax.sweep(
        QFSP, gdjax.heavy_ball, starts.grid(3), steps=5, record=2,
        hyperparameters={("learning_rate", "momentum"): ([0.1, 0.2], [0.5, 0.6])},
    )  # fmt: skip
    assert dict(found.sizes) == {
        "start": 9, "learning_rate_and_momentum": 2, "component": 2, "record": 3,
        "known_minimum": 6,
    }  # fmt: skip
    assert found.points.dims == ("start", "learning_rate_and_momentum", "record", "component")
    assert found.momentum.values.tolist() == [0.5, 0.6]
    assert found.record.values.tolist() == [0, 2, 4]
    np.testing.assert_allclose(found.points.isel(record=0)[:, 0], found.start_point)
    assert found.attrs["kernel"] == "native"
    assert (found.attrs["starts_kind"], found.attrs["starts_shape"]) == ("grid", [3, 3])
    assert all({"long_name", "units"} <= set(v.attrs) for v in found.data_vars.values())
    path = gdjax.descend(QFSP, gdjax.heavy_ball(0.2, 0.6), found.start_point.values[7], 5)
    np.testing.assert_allclose(found.final_point[7, 1], path.points[-1], rtol=1e-5)


SETTINGS = {
    "hyperparameters": {"learning_rate": [0.02, 0.1], "momentum": [0.5, 0.9]},
    "steps": 200, "chunk": 1000,
}  # fmt: skip
SCRIPT = """
import sys, gdjax
gdjax.sweep(gdjax.objectives.get("qfsp"), gdjax.heavy_ball, gdjax.starts.uniform(10000, 4),
            {"learning_rate": [0.02, 0.1], "momentum": [0.5, 0.9]}, 200, chunk=1000,
            store=sys.argv[1])
"""


def test_a_sweep_killed_at_random_and_continued_has_the_bits_of_a_whole_one(tmp_path):
    whole = gdjax.sweep(QFSP, gdjax.heavy_ball, starts.uniform(10000, 4), **SETTINGS)
    store, done, kills = tmp_path / "store", 0, 0
    while kills < 4 and done < 40:
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(store)])
        while process.poll() is None and not store.is_dir():
            time.sleep(0.01)
        time.sleep(random.Random(kills).uniform(0.02, 0.5))
        process.kill()
        process.wait()
        kills += 1
        found = gdjax.open_results(store)
        now = int((found.outcome >= 0).sum()) // 1000
        assert now >= done  # a mark once set stays
        done = now
    again = gdjax.sweep(QFSP, gdjax.heavy_ball, starts.uniform(10000, 4), **SETTINGS, store=store)
    assert again.attrs["complete"]
    for name in whole.data_vars:
        np.testing.assert_array_equal(again[name], whole[name])


def test_an_interrupt_is_answered_within_a_second_and_leaves_a_store_that_opens(tmp_path):
    script = SCRIPT.replace("uniform(10000, 4)", "uniform(3 * 10**7, 4)").replace(
        "chunk=1000", "chunk=2**20"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "store")], stderr=subprocess.PIPE, text=True
    )
    while not list(tmp_path.glob("store/status/c/*")):
        time.sleep(0.05)
        assert process.poll() is None
    asked = time.perf_counter()
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert time.perf_counter() - asked < 5  # about one on a quiet machine; tests share theirs
    assert "KeyboardInterrupt" in errors
    flat = gdjax.open_results(tmp_path / "store", flat=True)
    assert not flat.attrs["complete"]
    assert (flat.outcome[:1000] >= 0).all()


def test_another_sweep_is_refused_with_what_differs(tmp_path):
    gdjax.sweep(QFSP, gdjax.heavy_ball(0.1), store=tmp_path / "store")
    with pytest.raises(gdjax.ArgumentError) as caught:
        gdjax.sweep(QFSP, gdjax.heavy_ball(0.2), steps=101, store=tmp_path / "store")
    assert "steps is 100 there and 101 here" in str(caught.value)
    assert gdjax.open_results(tmp_path / "store").attrs["max_steps"] == 100


@pytest.mark.parametrize(
    ("options", "ways"),
    [({}, "store='a folder'"), ({"record": "all"}, "fewer recorded steps")],
)
def test_a_sweep_that_would_not_fit_says_what_it_needs_before_it_starts(monkeypatch, options, ways):
    monkeypatch.setattr(engine, "available_memory", lambda: 10**6)
    with pytest.raises(
        gdjax.ArgumentError, match=r"needs .* bytes for each of 1,000,000"
    ) as caught:
        gdjax.sweep(QFSP, gdjax.heavy_ball(0.1), starts.uniform(10**6), **options)
    assert ways in str(caught.value)


def test_progress_counts_every_cell(capsys):
    gdjax.sweep(QFSP, gdjax.heavy_ball(0.1), starts.uniform(5000), progress=True)
    assert "5.00k/5.00k" in capsys.readouterr().err


def test_a_store_larger_than_the_disk_is_refused_before_it_is_made(tmp_path):
    with pytest.raises(ValueError, match=r"1,000,000,000,000 descents \(1,000,000 starts a side"):
        gdjax.sweep(
            QFSP, gdjax.gradient_descent(0.1), starts.grid(10**6), store=tmp_path / "new" / "store"
        )
    assert not list(tmp_path.iterdir())
