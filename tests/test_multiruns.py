"""Jobs of a multirun, runs again, and folders that are used already."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hydra.core.utils import JobStatus
from hydra.experimental.callback import Callback
from omegaconf import OmegaConf

from gdjax import ArgumentError
from gdjax._util.locks import locked
from gdjax.cli import collect, run, spelling
from gdjax.cli.jobs import rows_of

QUICK = "steps=2", "plot=none"
OWN = """
def f(p):
    return p[0] ** 2 + 3 * p[1] ** 2

def g(p):
    return p[0] ** 2 + p[1] ** 2

def wrong(p):
    return 3 * p
"""


class Seen(Callback):
    """What Hydra tells callbacks."""

    told: list = []  # noqa: RUF012

    def on_job_end(self, config, job_return, **kwargs):
        self.told.append(job_return.status)

    def on_multirun_end(self, config, **kwargs):
        self.told.append("end")


@pytest.fixture
def crash(monkeypatch):
    """A descent that fails in a way nobody foresaw, where the momentum is 0.3."""
    descend = run.descend

    def descending(objective, optimizer, **how):
        if "momentum=0.3" in repr(optimizer):
            raise RuntimeError("it was not foreseen")
        return descend(objective, optimizer, **how)

    monkeypatch.setattr(run, "descend", descending)


def jobs(folder):
    """What the jobs of the one multirun came to."""
    (sweep,) = folder.glob("multirun/*/*")
    alone = [json.loads((sweep / str(n) / "job.json").read_text())
             for n in range(len([*sweep.glob("*/job.json")]))]  # fmt: skip
    return alone or rows_of(sweep / "jobs.jsonl")


@pytest.mark.filterwarnings("ignore:[\\s\\S]*execution_whitelist")  # Hydra 1.4, of callbacks
@pytest.mark.parametrize("tracebacks", ["0", pytest.param("1", marks=pytest.mark.full)])
def test_jobs_that_fail_do_so_alone(gdjax, monkeypatch, tmp_path, crash, untyped, tracebacks):
    monkeypatch.setattr(Seen, "told", [])
    code, out, err = gdjax(
        "run", "-m", "optimizer.momentum=1,0.3,0.5", *QUICK,
        "+hydra.callbacks.seen._target_=test_multiruns.Seen", tracebacks=tracebacks,
    )  # fmt: skip
    assert code == 1
    assert re.sub(r"multirun/run/[^/]+/", "", err).splitlines() == [
        "gdjax run: 2 of 3 jobs failed:",
        "  #0 optimizer.momentum=1: momentum must lie in [0, 1), got 1",
        "  #1 optimizer.momentum=0.3: an error that gdjax did not foresee: RuntimeError: it was "
        "not foreseen; where it came from is in 1/traceback.txt",
    ]
    assert Seen.told == [JobStatus.FAILED, JobStatus.FAILED, JobStatus.COMPLETED, "end"]
    (sweep,) = tmp_path.glob("multirun/run/*")
    table = pd.read_parquet(sweep / "results.parquet")
    assert table["optimizer.momentum"].tolist() == [1, 0.3, 0.5]
    assert table["failed"].tolist() == [True, True, False]
    assert table["outcome"][2] == "max_steps"
    assert f"one alone: gdjax rerun {sweep.relative_to(tmp_path)}/2\n" in out
    printed = out[out.index("3 jobs, 2 failed") :]
    assert gdjax("collect", str(sweep.relative_to(tmp_path))) == (0, printed, "")
    refused, crashed, fine = jobs(tmp_path)
    assert (refused["code"], crashed["code"], fine["code"]) == (2, 1, 0)
    assert (refused["value"], crashed["value"]) == (None, None)
    assert fine["value"] > 0
    for number, reason in enumerate(["momentum must lie in", "it was not foreseen"]):
        (log,) = tmp_path.glob(f"multirun/run/*/{number}/gdjax.log")
        assert reason in log.read_text()
        kept = yaml.safe_load(log.with_name("config.yaml").read_text())
        assert kept["optimizer"]["momentum"] == (1, 0.3)[number]


def test_a_run_runs_again_with_the_same_bits_or_other_settings(gdjax, tmp_path, untyped):
    again = "outputs/first"
    first = ("run", "optimizer.momentum=0.5", "steps=9", "plot=none", f"hydra.run.dir={again}")
    assert gdjax(*first, "start=[7,6]")[0] == 0
    assert gdjax("rerun", again, "hydra.run.dir=same")[0] == 0
    assert gdjax("rerun", again, "learning_rate=0.01")[0] == 0
    with np.load(f"{again}/trajectory.npz") as before, np.load("same/trajectory.npz") as after:
        assert before["points"].tobytes() == after["points"].tobytes()
        assert before["labels"] == ["heavy_ball(learning_rate=0.1, momentum=0.5)"]
    (other,) = set(tmp_path.glob("outputs/run/*"))  # gdjax's own folder, by the command's name
    with np.load(other / "trajectory.npz") as found:
        assert found["labels"] == ["heavy_ball(learning_rate=0.01, momentum=0.5)"]
        assert found["points"][0].tolist() == [7, 6]


def test_results_are_not_overwritten_in_silence(gdjax, tmp_path, untyped):
    words = "run", "plot=none", "hydra.run.dir=here"
    assert gdjax(*words, "steps=1")[0] == 0
    kept = (tmp_path / "here" / "summary.json").read_bytes()
    told = "here holds results of another config: steps is 1 there and 2 here; overwrite=true"
    code, _, err = gdjax(*words, "steps=2")
    assert (code, told in err, err.count("\n")) == (2, True, 1)
    assert (tmp_path / "here" / "summary.json").read_bytes() == kept
    with locked(tmp_path / "here"):
        code, _, err = gdjax(*words, "steps=1")
    assert (code, err.count("\n")) == (2, 1)
    assert "another process is writing to here: " in err
    assert gdjax(*words, "steps=2", "overwrite=true")[0] == 0
    assert json.loads((tmp_path / "here" / "summary.json").read_text())["steps"] == 2
    assert not (tmp_path / "here" / ".lock").exists()


SPELLED = [
    ("fn=a.py:f,a.py:g", 'objective.fn="a.py:f","a.py:g"'),
    (
        "objective.expression=x**2+y**2,max(x, y)",
        'objective.expression="x**2+y**2","max(x, y)"',
    ),
    ("objective.expression=choice(x,x**2)", "objective.expression=choice(x,x**2)"),
    ("objective.expression=2", 'objective.expression="2"'),
    ('objective.expression="x**2"', 'objective.expression="x**2"'),
    ("hydra.run.dir=out dir/ü", 'hydra.run.dir="out dir/ü"'),
    ("hydra.run.dir=out/${now:%Y,%m}", 'hydra.run.dir="out/${now:%Y,%m}"'),
    ("store=null", "store=null"),
    ("store=5", "store=5"),
    ("store=~/x", f'store="{Path.home()}/x"'),
    ('rule=a"b\\', r'rule="a\"b\\"'),
    ("hydra.job.env_set.X=1", "++hydra.job.env_set.X=1"),
    ("~plot", "plot=none"),
]


@pytest.mark.parametrize(("word", "full"), SPELLED)
def test_words_are_spelled_as_hydra_reads_them(word, full):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    assert full in spelling.spelled_out("run", [word])
    OverridesParser.create().parse_override(full)


@pytest.mark.parametrize(("higher", "best"), [(False, "1, 0.5"), (True, "1, 1.5")])
def test_a_table_has_failures_first_and_then_the_best(tmp_path, higher, best):
    told = {"higher": higher, "seconds": 1.0}
    for number, value in enumerate([0.5, "nan", None, 1.5, *[1.0] * 20]):
        folder = tmp_path / str(number)
        folder.mkdir()
        words = ["b=2", f"a={number}", f"c={'1, ' + str(value)}"]
        failed = {"failed": "it broke" * (value is None), "code": int(value is None)}
        job = told | failed | {"value": value, "overrides": words}
        (folder / "job.json").write_text(json.dumps(job))
    lines = collect.collect([str(tmp_path)]).splitlines()
    assert lines[0] == "24 jobs, 1 failed"
    assert lines[1].split() == ["a", "c", "value", "outcome", "seconds", "folder"]
    assert lines[2].split() == ["2", "1,", "None", "failed:", "it", "broke", "1.00", "2"]
    assert best in lines[3]
    assert "and 4 more" in lines
    assert pd.read_parquet(tmp_path / "results.parquet")["folder"].tolist()[9:11] == ["9", "10"]
    with pytest.raises(ArgumentError, match="has no jobs"):
        collect.collect([str(tmp_path / "0" / "none")])


@pytest.mark.full
def test_a_wrong_gradient_is_a_failed_job(gdjax, tmp_path, untyped):
    (tmp_path / "own.py").write_text(OWN)
    code, _, err = gdjax(
        "check", "-m", "fn=own.py:f,own.py:g", "gradient=own.py:wrong", "domain=[[-5,5],[-5,5]]",
        "points=5",
    )  # fmt: skip
    assert code == 1
    assert "2 of 2 jobs failed:\n  #0 objective.fn=own.py:f: wrong: gradient of f\n" in err
    assert all(job["value"] > 0.1 for job in jobs(tmp_path))


@pytest.mark.full
def test_multiruns_over_formulas_functions_and_ones_own_files(gdjax, tmp_path, untyped):
    (tmp_path / "own.py").write_text(OWN)
    code, _, err = gdjax(
        "run", "-m", "objective=formula", "objective.expression=x**2+y**2,x**2 + max(x, y)", *QUICK
    )
    assert (code, err) == (0, "")
    assert len(jobs(tmp_path)) == 2
    code, _, err = gdjax(
        "run", "steps=2", "-m", "fn=own.py:f,own.py:g", "plot=none", "start=[1,2]",
        "hydra.sweep.dir=functions", "folders=each",
    )  # fmt: skip
    assert (code, err) == (0, "")
    summaries = [json.loads(p.read_text()) for p in tmp_path.glob("functions/*/summary.json")]
    assert sorted(summary["objective"] for summary in summaries) == ["f", "g"]
    mine = tmp_path / "conf" / "objective" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("name: ackley\n")
    code, _, err = gdjax("run", "-cd", "conf", "objective=mine", *QUICK, "hydra.run.dir=mine")
    assert (code, err) == (0, "")
    assert json.loads((tmp_path / "mine" / "summary.json").read_text())["objective"] == "ackley"
    code, _, err = gdjax("run", "-cd", "conf", "objective=min")
    assert (code, err) == (2, "gdjax run: unknown objective 'min'; did you mean 'mine'?\n")


@pytest.mark.full
def test_logs_can_be_turned_off_and_the_environment_set(gdjax, tmp_path, untyped):
    (tmp_path / "own.py").write_text("import os\n" + OWN.replace("3 *", "float(os.environ['X']) *"))
    words = "run", "fn=own.py:f", "start=[1,2]", *QUICK
    code, out, err = gdjax(*words, "hydra/job_logging=disabled", "hydra.job.env_set.X=5")
    assert (code, out, err) == (0, "", "")
    (folder,) = tmp_path.glob("outputs/run/*")
    assert not (folder / "gdjax.log").exists()


AGAIN = {
    "run of an experiment": (["run", "experiment=local_minimum_trap"], ["optimizer=adam"]),
    "run with transforms": (
        ["run", "+transform@transforms.a=clip", "transforms.a.max_delta=1"],
        ["transform@transforms.a=ema", "transforms.a.decay=0.5"],
    ),
    "run with a schedule": (
        ["run", "learning_rate={schedule: linear_schedule, init_value: 0.1, end_value: 0, "
         "transition_steps: 9}"],
        ["learning_rate=0.1"],
    ),
    "compare of an experiment": (["compare", "experiment=nesterov"], ["~optimizers.c"]),
    "certify": (
        ["certify", "objective=sphere", "starts=1", "dtypes=[float64]", "~pair",
         "+optimizer@a=heavy_ball", "+optimizer@b=sgd", "b.momentum=0.9"],
        ["objective=parabola"],
    ),
    "sweep": (
        ["sweep", "sweep=stability", "~hyperparameters.momentum", "starts.number=2",
         "hyperparameters.learning_rate.number=3"],
        ["sweep=single"],
    ),
}  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize("name", AGAIN)
def test_what_is_saved_composes_to_the_same_config_and_takes_changes(name, gdjax, untyped):
    (task, *words), other = AGAIN[name]
    quiet = [] if task == "certify" else ["plot=none"]
    assert gdjax(task, *words, *quiet, "steps=2", "hydra.run.dir=first")[0] == 0
    code, out, err = gdjax("rerun", "first", "--cfg", "job", "--resolve")
    assert (code, err) == (0, "")
    saved = OmegaConf.load("first/config.yaml")
    del saved["defaults"]
    resolved = OmegaConf.to_container(saved, resolve=True)
    assert yaml.safe_load(out) == {"overwrite": False, "folders": "one"} | json.loads(
        json.dumps(resolved)
    )
    code, _, err = gdjax("rerun", "first", *other, "hydra.run.dir=second")
    assert (code, err) == (0, "")
    assert (Path("second") / "config.yaml").read_text() != Path("first/config.yaml").read_text()
    code, _, err = gdjax(task, "-cd", "first", "-cn", "config", "hydra.run.dir=first")
    assert (code, err) == (0, "")  # the same config, so the same results


@pytest.mark.full
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_jobs_fail_alone_in_processes_of_their_own(launcher, tmp_path):
    plugin = launcher.partition("_")[0]
    pytest.importorskip(f"hydra_plugins.hydra_{plugin}_launcher")
    done = subprocess.run(
        [sys.executable, "-m", "gdjax.cli", "run", "-m", f"hydra/launcher={launcher}", *QUICK,
         "optimizer.momentum=0.1,0.2,1,0.4"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "1 of 4 jobs failed:\n  #2 optimizer.momentum=1: momentum must lie in" in done.stderr
    assert [job["failed"] == "" for job in jobs(tmp_path)] == [True, True, False, True]


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
def test_optuna_finds_a_momentum(gdjax, tmp_path, untyped):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    code, _, err = gdjax(
        "run", "-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=12",
        "hydra.sweeper.sampler.seed=1", "optimizer.momentum=interval(0,1.1)",
        "learning_rate=tag(log,interval(1e-3,0.3))", "steps=60", "plot=none",
    )  # fmt: skip
    found = jobs(tmp_path)
    assert len(found) == 12
    values = [job["value"] for job in found if job["value"] is not None]
    assert code == (len(values) < 12), err
    (result,) = tmp_path.glob("multirun/run/*/optimization_results.yaml")
    best = yaml.safe_load(result.read_text())
    assert best["best_value"] == min(values)
    assert set(best["best_params"]) == {"optimizer.momentum", "learning_rate"}


@pytest.mark.full
def test_each_command_hands_a_number_to_a_sweeper(gdjax, tmp_path, untyped):
    calls = {
        "compare": ["steps=20", "plot=none"],
        "sweep": ["sweep=starts", "starts.number=8", "steps=20", "plot=none"],
        "check": ["objective=sphere", "points=5"],
        "certify": ["objective=sphere", "steps=5", "starts=1"],
        "rank": ["objectives=[sphere]", "optimizers=[sgd,adam]", "budget=20", "trials=2",
                 "starts=1", "held_out=1", "seeds=1", "plot=none"],
    }  # fmt: skip
    values = {}
    for task, words in calls.items():
        code, _, err = gdjax(task, *words, f"hydra.run.dir={task}")
        assert (code, err) == (0, "")
        values[task] = json.loads((tmp_path / task / "job.json").read_text())["value"]
    compared = json.loads((tmp_path / "compare" / "summary.json").read_text())["results"]
    assert values["compare"] == min(result["final_value"] for result in compared.values())
    swept = json.loads((tmp_path / "sweep" / "summary.json").read_text())
    assert values["sweep"] == swept["share_global"][0]
    assert 0 <= values["check"] < 1e-9
    assert 0 <= values["certify"] <= 2
    assert values["rank"] > 0
    for name in ("best_value", "median_value", "median_steps"):
        words = [*calls["sweep"], f"objective_value={name}", "overwrite=true"]
        assert gdjax("sweep", *words, f"hydra.run.dir={name}")[0] == 0
        values[name] = float(json.loads((tmp_path / name / "job.json").read_text())["value"])
    assert values["best_value"] <= values["median_value"]
    assert values["median_steps"] > 0
