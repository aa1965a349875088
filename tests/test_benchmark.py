import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import c_reference, gpu, measure, report

import gdjax

ROOT = Path(__file__).parents[1]


@pytest.mark.full
def test_the_small_benchmark_compares_and_says_what_it_skipped(tmp_path):
    command = [sys.executable, str(ROOT / "experiments" / "benchmark.py"), "quick=true"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "outputs" / "benchmark").iterdir()
    text = (folder / "benchmark.md").read_text()
    assert "ANOTHER ANSWER" not in done.stdout + done.stderr
    assert re.search(r"\| qfsp 2-D \| gdjax \|.*\| yes \(", text)
    assert re.search(r"\| C reference \| path \| full paths are compared", text)
    for state in ("cold", "warm"):
        assert re.search(rf"\| gdjax, {state} \| [\d.]+ \| [\d.]+ \(1\) \|", text)
        assert re.search(
            rf"\| jit\(vmap\(scan\)\), {state} \| [\d.]+ \| [\d.]+ \([\d.]+\) \|", text
        )
    assert re.search(r"\| iris_logistic, 15 × 3 × \d+ \| [\d.]+ \|", text)
    assert gpu.PEAK_GOAL in text
    assert gpu.SCAN_GOAL in text
    assert {p.name for p in folder.iterdir()} >= {"benchmark.parquet", "speed.png", "growth.png"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "rate"), [("qfsp", 0.1), ("rosenbrock", 1e-3), ("sphere", 0.3)])
def test_the_reference_in_c_does_the_work_of_a_sweep(name, rate, dtype):
    # rates at which some are lost and some come to rest, at steps that differ from lane to lane
    f = gdjax.objectives.get(name)
    if reason := c_reference.missing(name, f.dim):
        pytest.skip(reason)
    starts = gdjax.starts.uniform(500).take(f, 0, 500).astype(dtype)
    found = c_reference.build(f, dtype)("sweep", starts, 303, rate, 0.5, threads=2)
    ball = gdjax.heavy_ball(rate, momentum=0.5)
    expected = gdjax.sweep(f, ball, starts, steps=303, dtype=dtype, classify_rest=False)
    assert len(np.unique(found["steps"])) > (0 if name == "sphere" else 3)
    for variable, values in found.items():
        wanted = expected[variable].values
        if values.dtype.kind == "f":
            same = np.isclose(values, wanted, rtol=1e-2, atol=1e-3, equal_nan=True)
            same = same.reshape(len(starts), -1).all(axis=1)
        else:  # rounding decides when one counts as at rest, every third step
            same = np.abs(values.astype(int) - wanted) <= 3 * (variable in ("steps", "evaluations"))
        assert same.mean() > 0.99, variable


@pytest.mark.full
def test_the_rows_of_a_gpu_can_be_computed_anywhere():
    effort = measure.Effort(rounds=1, seconds=0.01, path_bytes=1e6, processors=1)
    found, goals = gpu.on_gpu([(100, 10)], effort, matrix=64)
    assert [t.series for t in found] == ["GPU, gdjax", "GPU, jit(vmap(scan))"]
    assert all(t.steady > 0 for t in found)
    assert [g.text for g in goals] == [g.text for g in gpu.skipped("none")]
    # by hand: the gradient takes 8, a step of the heavy ball 8, two sines and cosines the rest
    assert 60 < gpu.operations() < 120


def test_the_table_goes_into_its_block_of_the_readme(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- benchmark -->\nold\n<!-- /benchmark -->\nb\n")
    report.rewrite(readme, "new\n")
    assert readme.read_text() == "a\n<!-- benchmark -->\nnew\n<!-- /benchmark -->\nb\n"
    assert report.BLOCK.search((ROOT / ".github" / "BENCHMARK.md").read_text())
