"""Jobs that differ in numbers alone are one batch, and each has the results that it has alone."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hydra._internal.config_loader_impl import ConfigLoaderImpl

from gdjax._sweep.runner import Runner
from gdjax._util.locks import locked
from gdjax.cli import checks
from gdjax.cli.jobs import rows_of

COSINE = "learning_rate={schedule: cosine_decay_schedule, init_value: 0.1, decay_steps: 50}"
OWN = """
import jax.numpy as jnp
def f(p):
    return ((p - 1.0) ** 2).sum() + jnp.sin(3 * p[0])
"""
# What is common to the jobs, and what differs: words, and how many batches they make.
CASES = {
    "numbers": (["run", "steps=9"], ["learning_rate=0.02,0.1", "optimizer.momentum=0,.5"], 1),
    "starts": (["run", "steps=40"], ["start=[7.11,6.97],[1,-2]", "learning_rate=1e-1,5e-2"], 1),
    "steps": (["run"], ["steps=3,20", "learning_rate=0.02,0.1"], 1),
    "a schedule": (["run", COSINE, "steps=9"], ["learning_rate.init_value=0.05,0.1"], 1),
    "a rate of its own": (["run", "optimizer.learning_rate=0.05", "steps=9"],
                          ["learning_rate=0.1,0.2"], 1),
    "flags": (["run", "optimizer=sgd", "steps=9"], ["optimizer.nesterov=true,false",
                                         "optimizer.momentum=0.5,0.9"], 2),
    "whole numbers": (["run", "optimizer=lbfgs", "steps=9"], ["optimizer.memory_size=2,3"], 2),
    "objectives": (["run", "steps=9"], ["objective=booth,sphere", "learning_rate=0.01,0.02"], 2),
    "of compare": (["compare", "steps=9"], ["learning_rate=0.1,0.05",
                                            "optimizers.b.momentum=0.5,0.9"], 1),
    "one by one": (["run", "optimizer=schedule_free_sgd", "steps=9"],
                   ["learning_rate=0.05,0.1"], 0),
    "by XLA": (["run", "objective=rosenbrock", "objective.dim=70", "steps=9"],
               ["learning_rate=1e-4,2e-4,3e-4"], 1),
}  # fmt: skip


EVERY_DAY = "numbers", "steps", "flags", "one by one"


@pytest.fixture
def composed(monkeypatch):
    """The overrides of each config that Hydra composes for a job."""
    compose, seen = ConfigLoaderImpl.load_sweep_config, []

    def composing(self, master, words):
        seen.append(words)
        return compose(self, master, words)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", composing)
    return seen


def told(folder, name):
    """What jobs came to, by what they have of their own."""
    rows = rows_of(folder / name / "jobs.jsonl")
    rows += [json.loads(file.read_text()) for file in (folder / name).glob("*/job.json")]
    return {" ".join(sorted(set(row["overrides"]))): row for row in rows}


@pytest.mark.parametrize(
    "name",
    [name if name in EVERY_DAY else pytest.param(name, marks=pytest.mark.full) for name in CASES],
)
def test_each_job_has_the_bits_that_it_has_alone_and_the_numbers_of_a_run(
    name, gdjax, tmp_path, composed, untyped
):
    common, own, batches = CASES[name]
    quiet = "plot=none"
    code, out, err = gdjax(*common, "-m", *own, quiet, "hydra.sweep.dir=whole")
    assert (code, err) == (0, "")
    assert (f"in {batches} batch" in out) == (batches > 0)
    assert len(composed) <= 2 * max(batches, 1) + 2 * (batches == 0)
    whole = told(tmp_path, "whole")
    task, *words = common
    for number, (job, row) in enumerate(whole.items()):
        own = [word for word in row["overrides"] if word not in (*words, quiet)]
        assert gdjax(task, "-m", *words, *own, quiet, f"hydra.sweep.dir=alone{number}")[0] == 0
        (alone,) = told(tmp_path, f"alone{number}").values()
        assert alone["value"] == row["value"], job
        assert alone.get("outcome") == row.get("outcome"), job
        where = f"hydra.run.dir=run{number}"
        assert gdjax(task, *words, *own, quiet, where)[0] == 0
        run = json.loads((tmp_path / f"run{number}" / "job.json").read_text())
        assert row["value"] == pytest.approx(run["value"], rel=1e-4, abs=1e-6), job


def test_a_bad_number_fails_alone_and_the_same_call_goes_on(gdjax, tmp_path, monkeypatch, untyped):
    words = "run", "-m", "learning_rate=0.1,-1,0.2", "optimizer.momentum=0.5,1", "steps=9"
    code, out, err = gdjax(*words)
    assert code == 1
    assert "4 of 6 jobs failed:\n  #1 learning_rate=0.1 optimizer.momentum=1: momentum must" in err
    (folder,) = tmp_path.glob("multirun/run/*")
    assert "one alone: gdjax run learning_rate=0." in out
    table = pd.read_parquet(folder / "results.parquet")
    assert table["failed"].tolist() == [False, True, True, True, False, True]
    assert [*map(str, table["folder"])] == [f"#{n}" for n in range(6)]
    (store,) = (folder / "stores").iterdir()
    with xr.open_zarr(store, consolidated=False) as found:
        assert found.learning_rate.values.tolist() == np.float64([0.1, 0.2]).tolist()
    (folder / "jobs.jsonl").unlink()
    monkeypatch.setattr(Runner, "compute", None)  # it would be called
    again, out, _ = gdjax(*words)
    assert again == 1
    assert pd.read_parquet(folder / "results.parquet")["value"].equals(table["value"])
    assert [*tmp_path.glob("multirun/run/*")] == [folder]


def test_jobs_of_another_multirun_are_not_replaced_in_silence(gdjax, tmp_path, untyped):
    place = "hydra.sweep.dir=here"
    assert gdjax("run", "-m", "learning_rate=0.1,0.2", place)[0] == 0
    for changed in (["learning_rate=0.1,0.3"], ["learning_rate=0.1,0.2", "optimizer=adam"]):
        code, _, err = gdjax("run", "-m", *changed, place)
        assert (code, err.count("\n")) == (2, 1)
        assert "here holds jobs of another multirun: job " in err
    assert gdjax("run", "-m", "learning_rate=0.1,0.3", "overwrite=true", place)[0] == 0
    assert {row["overrides"][0] for row in rows_of(tmp_path / "here" / "jobs.jsonl")} == {
        "learning_rate=0.1", "learning_rate=0.3",
    }  # fmt: skip


@pytest.mark.parametrize("task", ["run", "compare"])
def test_a_folder_each_has_the_files_of_a_run_and_the_bits_of_the_batch(
    task, gdjax, tmp_path, untyped
):
    words = task, "-m", "learning_rate=0.1,0.05", "steps=9"
    assert gdjax(*words, "hydra.sweep.dir=one")[0] == 0
    assert gdjax(*words, "hydra.sweep.dir=each", "folders=each", "plot.dpi=20")[0] == 0
    words = task, "learning_rate=0.05", "steps=9", "plot.dpi=20", "hydra.run.dir=alone"
    assert gdjax(*words)[0] == 0
    files = {path.name for path in (tmp_path / "alone").iterdir()} - {"gdjax.log"}
    assert {path.name for path in (tmp_path / "each" / "1").iterdir()} == files
    config, alone = (
        (tmp_path / place / "config.yaml").read_text() for place in ("each/1", "alone")
    )
    assert config.splitlines()[1:] == alone.splitlines()[1:]
    one, each = (told(tmp_path, place) for place in ("one", "each"))
    assert [row["value"] for row in one.values()] == [
        row["value"] for _, row in sorted(each.items(), key=lambda pair: pair[1]["number"])
    ]
    summary, before = (
        json.loads((tmp_path / place / "summary.json").read_text()) for place in ("each/1", "alone")
    )
    assert summary["results"].keys() == before["results"].keys()
    assert gdjax("rerun", "each/1", "hydra.run.dir=again")[0] == 0


def test_own_functions_are_a_batch_where_their_domain_is_given(gdjax, tmp_path, untyped):
    (tmp_path / "own.py").write_text(OWN)
    words = "run", "-m", "fn=own.py:f", "start=[1,2],[3,4]", "learning_rate=0.1,0.2", "plot=none"
    code, out, _ = gdjax(*words, "domain=[[-5,5],[-5,5]]")
    assert code == 0
    assert "Launching 4 jobs in 1 batch" in out
    code, out, err = gdjax(*words)
    assert (code, err) == (0, "")
    assert "4 jobs, 0 failed" in out


def test_few_files_for_many_jobs(gdjax, tmp_path, untyped):
    code, out, _ = gdjax(
        "run", "-m", "learning_rate=range(0.001,0.0305,0.001)", "optimizer.momentum=range(0,10)",
        "steps=9",
    )  # fmt: skip
    assert code == 1  # momenta of 1 and more
    assert sum(path.is_file() for path in tmp_path.rglob("*")) < 100
    assert "300 jobs, 270 failed" in out


CHECKS = "check", "-m", "objective.name=qfsp,booth", "seed=0,1,2", "points=50"


def test_checks_are_a_batch_an_objective_and_are_not_done_again(
    gdjax, tmp_path, composed, untyped, monkeypatch
):
    code, out, err = gdjax(*CHECKS, "hydra.sweep.dir=whole")
    assert (code, err, len(composed)) == (0, "", 2)
    assert "Launching 6 jobs in 2 batches" in out
    assert "6 jobs, 0 failed" in out
    whole = told(tmp_path, "whole")
    for job, row in whole.items():
        assert gdjax("check", *row["overrides"], "hydra.run.dir=alone", "overwrite=true")[0] == 0
        assert json.loads((tmp_path / "alone" / "job.json").read_text())["value"] == row["value"], (
            job
        )
    monkeypatch.setattr(checks, "certified", None)  # it would be called
    assert gdjax(*CHECKS, "hydra.sweep.dir=whole")[0] == 0
    assert told(tmp_path, "whole") == whole
    code, _, err = gdjax(*CHECKS, "hydra.sweep.dir=whole", "overwrite=true")
    assert (code, "6 of 6 jobs failed" in err) == (1, True)


def test_a_wrong_check_of_a_batch_fails_alone_and_is_done_again(gdjax, tmp_path, untyped):
    own = tmp_path / "own.py"
    own.write_text(OWN + "def g(p):\n    return 2 * (p - 1)\n")
    words = "check", "-m", "fn=own.py:f", "gradient=own.py:g", "domain=[[-5,5],[-5,5]]", "seed=0,1"
    code, _, err = gdjax(*words, "folders=each")
    assert code == 1
    assert "2 of 2 jobs failed" in err
    assert "wrong: gradient of f" in err
    (folder,) = tmp_path.glob("multirun/check/*")
    assert {file.name for file in (folder / "0").iterdir()} == {"config.yaml", "job.json"}
    own.write_text(own.read_text().replace("2 * (p - 1)", "2 * (p - 1) + jnp.stack("
                                           "[3 * jnp.cos(3 * p[0]), 0 * p[1]])"))  # fmt: skip
    assert gdjax(*words, "folders=each")[::2] == (0, "")


def test_a_rule_and_pictures_of_checks_are_jobs_of_their_own(gdjax, tmp_path, untyped):
    code, out, _ = gdjax("check", "-m", "seed=0,1", "points=20", "draw=true")
    assert code == 0
    assert "in 0 batch" not in out
    assert len([*tmp_path.glob("multirun/check/*/*/*.png")]) == 2


def test_two_launchers_at_once_do_not_share_a_folder(gdjax, tmp_path, untyped):
    (tmp_path / "here").mkdir()
    words = "run", "-m", "learning_rate=0.1,0.2", "hydra.sweep.dir=here", "steps=3"
    with locked(tmp_path / "here"):
        code, _, err = gdjax(*words)
    assert (code, err.count("\n")) == (2, 1)
    assert "another process is writing to here" in err
    assert gdjax(*words)[0] == 0


def test_a_cluster_is_refused_where_there_is_nothing_to_hand_out(gdjax, tmp_path, untyped):
    for task in ("run", "compare"):
        code, _, err = gdjax(task, "engine=dask")
        assert (code, err.count("\n")) == (2, 1)
        assert "engine=dask is for sweeps, and for jobs of -m that differ in numbers" in err
    assert not [*tmp_path.iterdir()]
