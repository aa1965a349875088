import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gdjax import ArgumentError, cli, objectives, results
from gdjax.cli.studies import studies

ROOT = Path(cli.__file__).parents[2]
EXPERIMENTS = sorted(  # studies have tests of their own
    path for path in (ROOT / "conf" / "experiment").glob("*.yaml") if path.stem not in studies()
)


def test_the_command_from_another_folder_leaves_pictures_numbers_and_config(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "gdjax.cli", "compare"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    (folder,) = (tmp_path / "outputs" / "compare").iterdir()
    files = {path.name for path in folder.iterdir()}
    assert files == {
        "comparison.png", "convergence.png", "trajectory.npz", "summary.json", "config.yaml",
        "gdjax.log", "job.json",
    }  # fmt: skip
    plain, ball = json.loads((folder / "summary.json").read_text())["results"].values()
    assert (plain["reached"], ball["reached"]) == ("local", "global")
    assert plain["final_value"] == pytest.approx(10.1679, abs=1e-3)
    assert ball["final_value"] == pytest.approx(-5.9045, abs=1e-3)
    with np.load(folder / "trajectory.npz") as arrays:
        assert arrays["points_1"].shape == (301, 2)
        np.testing.assert_allclose(arrays["points_1"][-1], ball["final_point"])
    assert "heavy_ball(learning_rate=0.1, momentum=0.9)  converged  global #0" in done.stdout
    assert str(folder.relative_to(tmp_path) / "comparison.png") in done.stdout


def test_multirun_gives_one_result_for_each_combination(gdjax, tmp_path):
    code, _, _ = gdjax(
        "run", "-m", "objective=qfsp,ackley", "optimizer.momentum=0.5,0.9", "steps=2",
        "plot.dpi=10", "folders=each",
    )  # fmt: skip
    assert code == 0
    found = [json.loads(p.read_text()) for p in tmp_path.glob("multirun/run/*/*/summary.json")]
    labels = sorted((s["objective"], *s["results"]) for s in found)
    assert labels == [
        (name, f"heavy_ball(learning_rate=0.1, momentum={momentum})")
        for name in ("ackley", "qfsp")
        for momentum in (0.5, 0.9)
    ]


@pytest.mark.full
@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_runs(path, gdjax, tmp_path):
    command = re.search(r"^# gdjax (\w+) experiment=(\w+)$", path.read_text(), re.MULTILINE)
    task, name = command.groups()
    assert name == path.stem
    code, _, err = gdjax(task, f"experiment={name}", "plot.dpi=30")
    assert (code, err) == (0, "")
    assert list(tmp_path.glob(f"outputs/{task}/*/summary.json"))


SWEEPS = {
    "single": (["steps=20"], "1 descent (1 start)", {"paths"}),
    "starts": (
        ["starts.number=32", "steps=20", "optimizer=gradient_descent",
         "learning_rate={schedule: cosine_decay_schedule, init_value: 0.1, decay_steps: 300}"],
        "32 descents (32 starts)", {"basins", "steps"},
    ),
    "basins": (["starts.number=11", "steps=20"], "121 descents (121 starts)", {"basins"}),
    "stability": (
        ["starts.number=4", "hyperparameters.momentum.number=4",
         "hyperparameters.learning_rate.number=5", "steps=20"],
        "heavy_ball(learning_rate=0.001…1, momentum=0…0.98): 80 descents (4 starts × 5 values of "
        "learning rate × 4 values of momentum)",
        {"stability", "success_rate", "steps"},
    ),
    "hyperparameters": (
        ["starts.number=8", "hyperparameters.momentum.number=4", "steps=20"],
        "heavy_ball(learning_rate=0.01…0.1, momentum=0…0.95): 96 descents (8 starts × 3 values of "
        "learning rate × 4 values of momentum)",
        {"stability", "success_rate", "steps"},
    ),
}  # fmt: skip


def test_every_sweep_has_its_row():
    assert set(SWEEPS) == {path.stem for path in (ROOT / "conf" / "sweep").glob("*.yaml")}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "starts" else pytest.mark.full) for name in SWEEPS],
)
def test_a_sweep_counts_draws_and_is_found_again(name, gdjax, tmp_path):
    more, counted, pictures = SWEEPS[name]
    words = ["sweep", f"sweep={name}", *more, "plot.dpi=30"]
    code, out, err = gdjax(*words)
    assert (code, err) == (0, "")
    assert f"{counted}, float32\n" in out
    assert "million gradients a second, llvm kernel" in out
    (store,) = tmp_path.glob("outputs/sweep/stores/qfsp-*.zarr")
    marks = {mark: mark.stat().st_mtime_ns for mark in store.rglob("*") if mark.is_file()}
    (folder,) = {path.parent for path in tmp_path.glob("outputs/sweep/*/summary.json")}
    assert {path.stem for path in folder.glob("*.png")} == pictures
    code, out, _ = gdjax(*words)
    assert (code, "s, all read from the store" in out, "a second" in out) == (0, True, False)
    found = [json.loads(p.read_text()) for p in tmp_path.glob("outputs/sweep/*/summary.json")]
    assert sorted(summary["descents_now"] for summary in found) == [0, found[0]["descents"]]
    for key in ("outcomes", "share_global", "steps_to_tolerance", "gradient_evaluations"):
        assert found[0][key] == found[1][key]
    assert marks == {mark: mark.stat().st_mtime_ns for mark in store.rglob("*") if mark.is_file()}


def test_a_sweep_of_zipped_hyperparameters_leaves_a_table(gdjax, tmp_path):
    import pyarrow.parquet

    code, _, err = gdjax(
        "sweep", "sweep=single", "steps=3", "+hyperparameters.learning_rate=[0.1,0.2]",
        "+hyperparameters.momentum=[0.5,0.6]", "zipped=[[learning_rate,momentum]]",
        "parquet=true", "plots=[paths]", "plot.dpi=30",
    )  # fmt: skip
    assert (code, err) == (0, "")
    (table,) = tmp_path.glob("outputs/sweep/*/results.parquet")
    columns = pyarrow.parquet.read_table(table).to_pydict()
    assert (columns["learning_rate"], columns["momentum"]) == ([0.1, 0.2], [0.5, 0.6])


def test_a_sweep_without_hyperparameters_has_no_axes(gdjax):
    code, out, err = gdjax(
        "sweep", "sweep=stability", "~hyperparameters", "starts.number=4", "steps=3", "plots=[]",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "4 descents (4 starts)" in out


def test_a_plan_says_what_a_sweep_would_be_and_leaves_nothing(gdjax, tmp_path):
    words = [
        "sweep", "sweep=hyperparameters", "optimizer=sgd", "starts.number=4", "steps=20",
        "hyperparameters.momentum.number=3", "+hyperparameters.nesterov=[true,false]",
    ]  # fmt: skip
    code, out, err = gdjax(*words, "plan=true", "chunk=50")
    assert (code, err, [*tmp_path.iterdir()]) == (0, "", [])
    told = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert told["descents"] == "72 in 2 chunks of up to 50"
    assert told["results"] == "0.00223 MB before compression, 31 bytes a descent"
    assert told["kernel"] == "llvm × 2"
    assert re.match(
        r"roughly \S+ s and compilation, if every descent takes all .* \d+ op", told["time"]
    )
    assert told["store"].endswith(", nothing in it yet")
    code, out, err = gdjax(*words, "plots=[stability]", "plot.dpi=30", "chunk=50")
    assert (code, err) == (0, "")
    assert (
        "qfsp, sgd: 72 descents (4 starts × 3 values of learning rate × 3 values of momentum × 2 "
        "values of nesterov)" in out
    )
    drawn = {path.stem for path in tmp_path.glob("outputs/sweep/*/*.png")}
    assert drawn == {"stability_nesterov=True", "stability_nesterov=False"}
    before = sorted(tmp_path.rglob("*"))
    assert "72 descents in it already" in gdjax(*words, "plan=true", "chunk=50")[1]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.full
def test_objectives_optimizers_and_schedules_are_axes_on_the_command_line(gdjax, tmp_path):
    rate = "{schedule: cosine_decay_schedule, init_value: 0.1, decay_steps: 300}"
    code, out, err = gdjax(
        "sweep", "sweep=starts", "starts.number=8", "steps=20", "plot.dpi=30",
        "objectives=[qfsp,ackley]", "optimizers=[adam,{name: sgd, momentum: 0.9}]",
        f"+hyperparameters.learning_rate=[0.1,{rate}]", "parquet=true",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "qfsp, ackley, adam, sgd: 64 descents" in out
    (store,) = tmp_path.glob("outputs/sweep/stores/objectives-*.zarr")
    found = results.open_results(store)
    assert found.outcome.dims == ("start", "objective", "optimizer", "learning_rate")
    assert {path.stem for path in tmp_path.glob("outputs/sweep/*/*.png")} >= {"basins_ackley"}


RANKED = {
    "ranks.png", "performance_profiles.png", "data_profiles.png", "runtime_ecdf.png",
    "convergence.png", "table.csv", "settings.csv", "profiles.csv", "ranking.npz", "runs.parquet",
    "summary.json", "config.yaml", "gdjax.log", "job.json",
}  # fmt: skip
SMALL = {"budget": 60, "trials": 4, "starts": 2, "held_out": 3, "seeds": 2}


@pytest.mark.full
def test_a_ranking_leaves_tables_profiles_and_pictures(gdjax, tmp_path):
    import pyarrow.parquet

    code, out, err = gdjax(
        "rank", "objectives=[booth,{name: sphere, dim: 3}]", "optimizers=[heavy_ball,scipy.cg]",
        "plot.dpi=30", *(f"{key}={value}" for key, value in SMALL.items()),
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "2 optimizers on 2 objectives" in out
    (folder,) = tmp_path.glob("outputs/rank/*")
    assert {path.name for path in folder.iterdir()} == RANKED
    table = [*csv.DictReader((folder / "table.csv").read_text().splitlines())]
    assert len(table) == 2 * 2 * 3
    assert {row["dim"] for row in table} == {"2", "3"}
    settings = [*csv.DictReader((folder / "settings.csv").read_text().splitlines())]
    assert {row["optimizer"] for row in settings} == {"heavy_ball"}
    assert len(settings) == 2 * 2 * 2  # learning rate and momentum
    runs = pyarrow.parquet.read_table(folder / "runs.parquet").to_pydict()
    with np.load(folder / "ranking.npz") as arrays:
        np.testing.assert_array_equal(runs["evaluations_to_0.1"], arrays["costs"][..., 0].ravel())
    profiles = [*csv.DictReader((folder / "profiles.csv").read_text().splitlines())]
    assert {row["profile"] for row in profiles} == {"performance", "data", "runtime"}


@pytest.mark.full
def test_tuned_comparison_of_ones_own_function(gdjax, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    code, out, err = gdjax(
        "compare", "mode=tuned", "fn=own.py:f", "domain=[[-5,5],[-5,5]]", "plot.dpi=30",
        *(f"tuned.{key}={value}" for key, value in SMALL.items()),
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "f* is the lowest value that BFGS found on f" in out
    assert re.search(r"^heavy_ball .*learning_rate .*, momentum ", out, re.MULTILINE)


@pytest.mark.full
def test_a_run_follows_the_gradient_of_the_hand_from_its_start_in_its_precision(gdjax, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    code, out, err = gdjax(
        "run", "fn=own.py:f", "objective.gradient=own.py:wrong", "domain=[[-5,5],[-5,5]]",
        "gradient=hand", "optimizer=gradient_descent", "learning_rate=0.1", "dtype=float64",
        "start=[1,2]", "steps=4", "plot.format=svg",
    )  # fmt: skip
    assert (code, err) == (0, "")
    (folder,) = tmp_path.glob("outputs/run/*")
    assert {path.name for path in folder.iterdir()} == {
        "trajectory.svg", "convergence.svg", "trajectory.npz", "summary.json", "config.yaml",
        "gdjax.log", "job.json",
    }  # fmt: skip
    with np.load(folder / "trajectory.npz") as arrays:
        # (x, y) ← (x − 0.1 · 2 x, y − 0.1 · 3 y), where f has 6 y
        expected = np.array([[1, 2]]) * np.array([[0.8, 0.7]]) ** np.arange(5)[:, None]
        np.testing.assert_allclose(arrays["points"], expected, rtol=1e-15)
        assert arrays["points"].dtype == np.float64
    assert out.splitlines()[0] == "f from (1, 2), 4 steps, float64"
    assert (folder / "trajectory.svg").read_text().startswith("<?xml")
    kept = yaml.safe_load((folder / "config.yaml").read_text())
    assert (kept["steps"], kept["learning_rate"]) == (4, 0.1)
    assert kept["optimizer"]["learning_rate"] == "${learning_rate}"  # it still follows


def test_check_says_so_and_exits_1_for_a_wrong_gradient(gdjax, monkeypatch, tmp_path):
    code, out, _ = gdjax("check", "objective=sphere")
    assert code == 0
    assert "sphere: ok, the hand-derived gradient is right" in out
    assert "looked at   1,000 points" in out
    from gdjax import objectives

    wrong = objectives.Objective(
        name="qfsp", fn=lambda p: (p**2).sum(), gradient=lambda p: 3 * p, domain=[(-1, 1)] * 2
    )
    monkeypatch.setattr(objectives, "get", lambda name: wrong)
    code, out, _ = gdjax("check", "draw=true", "hessian=true", "points=50")
    assert code == 1
    assert "qfsp: WRONG: the hand-derived gradient is the outlier" in out
    assert "the whole gradient is off by a factor 1.5" in out
    assert "qfsp: ok, the Hessian by autodiff is right" in out
    assert "wrong: gradient of qfsp" in out
    assert len(list(tmp_path.glob("outputs/check/*/qfsp_*.png"))) == 2


REFUSED = [
    (["rnu"], "gdjax rnu: unknown task 'rnu'; did you mean 'run' or 'rank' or 'train'?"),
    (["run", "objective=qfps"], "gdjax run: unknown objective 'qfps'; did you mean 'qfsp'?"),
    (["run", "-m", "objective=qfsp,akley"], "unknown objective 'akley'; did you mean 'ackley'"),
    (
        ["compare", "experiment=nestrov"],
        "unknown experiment 'nestrov'; did you mean 'nesterov'?",
    ),
    (
        ["run", "optimizer.mometum=0.5"],
        "unknown setting of optimizer 'mometum'; did you mean 'momentum'?; there are name, "
        "learning_rate, momentum",
    ),
    (["optimizers", "adma"], "unknown optimizer 'adma'; did you mean"),
    (["run", "steps=-1"], "steps must be a whole number, at least 0, got -1"),
    (["run", "optimizer.momentum=1"], "momentum must lie in [0, 1), got 1"),
    (["run", "hydra.run.dir=/proc/none"], "cannot write to /proc/none: "),
    (["run", "--nonsense"], "gdjax run: unknown option '--nonsense'; did you mean"),
    (["run", "-x"], "gdjax run: unknown option '-x'; choose from --cfg"),
    (["run", "--multrun"], "gdjax run: unknown option '--multrun'; did you mean '--multirun'"),
    (["run", "--run", "--multirun"], "--run and --multirun exclude each other: give one of them"),
    (["run", "--cfg", "job", "-m"], "--cfg and -m exclude each other: give one of them"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_a_bad_call_is_told_in_one_line_and_leaves_nothing_behind(
    gdjax, untyped, tmp_path, words, message
):
    code, out, err = gdjax(*words)
    assert code == 2
    assert "-m" in words or out == ""  # several jobs are announced
    assert err.startswith(f"gdjax {words[0]}: ")
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def refusal(task, *words, folder, capsys):
    """What a bad call is told, without Hydra's main: its exit code, and its one line."""
    from gdjax.cli import choices, hydra_versions, settings, spelling
    from gdjax.cli.commands import find
    from gdjax.cli.output_folder import OutputFolder
    from gdjax.cli.refusals import refuse

    known = choices.store_choices(task)
    with pytest.raises(SystemExit) as left:  # noqa: PT012
        try:
            words = spelling.spelled_out(task, list(words))
            choices.check_choices(known, words)
            with initialize_config_dir(str(ROOT / "conf"), **hydra_versions.BASE):
                config = compose(task, words)
            asked = settings.read(task, OmegaConf.to_container(config, resolve=True))
            find(task)(asked, OutputFolder(folder, config.get("plot")))
        except (ArgumentError, HydraException, OmegaConfBaseException, OSError) as error:
            refuse(task, error)
    return left.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "optimizer=heavy_bal"], "did you mean 'heavy_ball'"),
        (["compare", "optimizer@optimizers.a=adm"], "unknown optimizer 'adm'; did you mean 'adam'"),
        (["run", "optimizer=dpsgd"], "dpsgd cannot descend from a point: it needs one gradient"),
        (["run", "optimizer=sam"], "sam needs optimizer"),
        (["run", "+transform@transforms.a=gradient_nois"], "unknown transform 'gradient_nois'"),
        (["run", "learning_rate={schedule: cosin}"], "unknown schedule 'cosin'"),
        (["compare", "mode=tund"], "unknown mode 'tund'; did you mean 'tuned'?"),
        (["compare", "mode=tuned", "tuned.trials=0"], "trials must be a whole number"),
        (["rank", "optimizers=[adam,adma]"], "unknown optimizer 'adma'; did you mean"),
        (["rank", "optimizers=[{name: adam, momentum: 0.9}]"], "choose from learning_rate, b1, b2"),
        (["rank", "+ranges.nesterov={low: 0, high: 1}"], "nesterov of adam cannot be tuned"),
        (["rank", "objectives=[boot]"], "unknown objective 'boot'; did you mean 'booth'"),
        (["rank", "objective=saddle"], "saddle must have a least value to rank by"),
        (["certify", "+optimizer@a=adam"], "~pair +optimizer@a=adam +optimizer@b=adamw"),
        (
            ["certify", "objective=qfsp", "starts=0"],
            "starts must be a whole number, at least 1, or a list of points, got 0",
        ),
        (["run", "start=[1,2,3]"], "start must have 2 components, as qfsp has, got 3"),
        (["run", "start=[1,nan]"], "start must be finite"),
        (["run", "learning_rate=0"], "learning_rate must be positive and finite, got 0"),
        (["run", "optimizer.momentum=1"], "momentum must lie in [0, 1), got 1"),
        (["sweep", "starts.kind=sobl"], "unknown kind of starts 'sobl'; did you mean 'sobol'?"),
        (["sweep", "starts.kind=sobol", "starts.number=1000"], "power of two, got 1000; take 1024"),
        (["sweep", "objectives=qfsp"], "objectives must be names, or mappings with a name"),
        (["sweep", "optimizers=[{momentum: 1}]"], "optimizers must be names, or mappings with a"),
        (["sweep", "optimizers=[adam,adma]"], "unknown optimizer 'adma'; did you mean"),
        (["sweep", "objectives=[qfsp,{name: sphere, dim: 3}]"], "must have points alike: qfsp has"),
        (["sweep", "plan=yse"], "plan must be true or false, got yse"),
        (["sweep", "+hyperparameters.momentum=[]"], "momentum must be a list of at least one"),
        (["sweep", "+hyperparameters.momentum={low: 0}"], "hyperparameters.momentum.number must"),
        (["sweep", "zipped=[[momentum]]"], "first, as +hyperparameters.momentum=[0.1,0.2]"),
        (["sweep", "hyperparameters={momentum: [0]}"], "plus: +hyperparameters.momentum=[0.1,0.2]"),
        (["sweep", "starts.number=1000000"], "1,000,000,000,000 descents (1,000,000 starts a side"),
        (["certify", "learning_rate=0"], "learning_rate must be positive and finite, got 0"),
        (["sweep", "plot.axes=[0,1]"], "unknown setting of plot 'axes'"),
        (["sweep", "starts.kind=array"], "starts.points must be a list of points"),
        (["sweep", "starts.kind=uniform", "starts.number=null"], "starts.number must say how many"),
        (["sweep", "+hyperparameters.momentum={lo: 0}"], "'lo'; did you mean 'low'"),
        (
            ["sweep", "+hyperparameters.momentum={low: 0, high: 1, number: 2, scale: lag}"],
            "unknown hyperparameters.momentum.scale 'lag'; did you mean 'log'",
        ),
        (
            ["sweep", "+hyperparameters.momentum={low: 0, high: 1, number: 2, scale: log}"],
            "hyperparameters.momentum must be positive on a log scale, got 0.0 to 1.0",
        ),
        (
            ["sweep", "+hyperparameters.momentum={low: 0, high: a, number: 2}"],
            "hyperparameters.momentum needs numbers low and high",
        ),
        (["sweep", "+hyperparameters.momentum={low: 0, high: 1, number: 0}"], "at least 1, got 0"),
        (
            ["sweep", "+hyperparameters.momentum=[0]", "zipped=[[learning_rate]]"],
            "unknown hyperparameter to zip 'learning_rate'",
        ),
        (["rank", "objectives=[sphere]", "seed=-1"], "seed must be a whole number"),
        (["sweep", "tolerance=small"], "tolerance must be a positive number, got small"),
        (["compare", "optimizers=adam"], "optimizers must be optimizers by a name of their own"),
        (["compare", "~optimizers.a", "~optimizers.b"], "optimizers must be one or more, got none"),
        (["compare", "optimizers.a=adam"], "chosen as optimizer@optimizers.a=adam"),
        (["compare", "optimizers.c=adam"], "another optimizer is +optimizer@optimizers.c=adam"),
        (
            ["run", "start=3", "objective=parabola"],
            "start must be a list of numbers such as [1,2], or a mapping from names, or null",
        ),
        (["sweep", "sweep=stability", "optimizer=gradient_descent"], "unknown hyperparameter of"),
        (["sweep", "plots=[basin]"], "unknown picture 'basin'; did you mean 'basins'?"),
        (["sweep", "plots=[paths]"], "add save_at=all"),
        (["sweep", "store=../file"], "store must be a folder"),
        (["run", "gradient=had"], "unknown gradient 'had'; did you mean 'hand'?"),
        (["check", "dtype=float16"], "unknown dtype 'float16'"),
        (
            ["check", "points=0"],
            "points must be a whole number, at least 1, or a list of points, got 0",
        ),
        (["run", "plot.format=gif"], "unknown plot.format 'gif'"),
        (["run", "precision=float64"], "run: unknown setting 'precision'; it is dtype now\n"),
        (["certify", "precisions=[float64]"], "unknown setting 'precisions'; it is dtypes now"),
        (["sweep", "record=all"], "sweep: unknown setting 'record'; it is save_at now\n"),
        (["sweep", "stop=false"], "sweep: unknown setting 'stop'; it is stopping now\n"),
        (["sweep", "fast_math=false"], "sweep: unknown setting 'fast_math'; it is kernel now\n"),
        (["sweep", "+record=all"], "sweep: unknown setting 'record'; it is save_at now\n"),
        (["run", "~steps"], "run: steps is missing from the config, and run needs it\n"),
        (["run", "~transforms"], "run: transforms is missing from the config, and run needs it\n"),
        (["sweep", "~starts.kind"], "sweep: starts.kind is missing from the config, and sweep"),
        (["run", "~plot.dpi"], "run: plot.dpi is missing from the config, and run needs it\n"),
        (["run", "steps=["], "run: cannot read steps=[ as key=value: no viable alternative at"),
        (["run", "steps"], "run: cannot read steps as key=value: missing EQUAL at"),
        (["run", "steps=3]'"], "run: cannot read steps=3]' as key=value\n"),
    ],
)
def test_a_bad_setting_is_refused_in_one_line_before_a_folder_is_made(
    untyped, monkeypatch, capsys, tmp_path, words, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path.parent / "file").touch()
    code, err = refusal(*words, folder=tmp_path / "now", capsys=capsys)
    assert code == 2
    assert err.startswith(f"gdjax {words[0]}: ")
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_config_of_old_is_refused_by_the_name_that_is_another_now(gdjax, tmp_path):
    code, _, err = gdjax("run", "steps=1", "plot.dpi=10")
    assert (code, err) == (0, "")
    (kept,) = tmp_path.glob("outputs/run/*/config.yaml")
    kept.write_text(kept.read_text().replace("dtype:", "precision:"))
    code, _, err = gdjax("run", "-cd", str(kept.parent), "-cn", "config")
    assert (code, err) == (2, "gdjax run: unknown setting 'precision'; it is dtype now\n")
    assert len(list(tmp_path.rglob("summary.json"))) == 1  # that of the first call


def test_outputs_that_cannot_be_made_are_told_in_one_line(gdjax, tmp_path):
    (tmp_path / "outputs").touch()
    code, _, err = gdjax("run", "steps=1")
    assert (code, err.count("\n")) == (2, 1)
    assert "cannot write to outputs/run" in err


OWN = """import jax.numpy as jnp

def f(p):
    return p[0] ** 2 + 3 * p[1] ** 2

def right(p):
    return jnp.stack([2 * p[0], 6 * p[1]])

def wrong(p):
    return jnp.stack([2 * p[0], 3 * p[1]])

def pair(p):
    return p

def bump(p):
    return jnp.exp(-50 * jnp.sum((p - 7) ** 2))
"""


RULE = """
import numpy as np

args = (np.array([0.5, 1.0]), 2)

def f(x, n):
    return np.sin(x) * n

def right(x, n, u):
    return u * n * np.cos(x), None

def wrong(x, n, u):
    return u * np.cos(x), None
"""


def test_a_rule_in_a_file_is_checked_law_by_law(gdjax, tmp_path):
    (tmp_path / "rules.py").write_text(RULE)
    call = ("check", "rule=rules.py:f", "args=rules.py:args")
    code, out, _ = gdjax(*call, "pullback=rules.py:right")
    assert (code, "ok, the pullback obeys every law" in out) == (0, True)
    code, out, _ = gdjax(*call, "pullback=rules.py:wrong")
    assert (code, "breaks derivative, adjointness" in out) == (1, True)
    code, _, err = gdjax(*call[:2])
    assert (code, "rule needs args" in err) == (2, True)
    code, _, err = gdjax("check", "objective=sphere", "args=rules.py:args")
    assert (code, "args belongs to a rule" in err) == (2, True)


def test_a_function_in_a_file_is_checked_and_descended(gdjax, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    domain = "domain=[[-5,5],[-5,5]]"
    assert gdjax("check", "fn=own.py:f", "gradient=own.py:right", domain)[0] == 0
    code, out, _ = gdjax("check", "fn=own.py:f", "gradient=own.py:wrong", domain)
    assert (code, "component 1" in out) == (1, True)
    code, out, err = gdjax("check", "fn=own.py:bump", "domain=[[-30,30],[-30,30]]", "points=20")
    assert (code, "bump: undecided: " in out + err) == (1, True)
    assert "wrong" not in out + err
    code, out, err = gdjax(
        "run", "fn=own.py:f", "objective.gradient=own.py:right", "gradient=hand", "start=[1,2]",
        "objective.minima=[[0,0]]", "objective.name=mine", "plot.dpi=30",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "mine from (1, 2)" in out
    assert "converged  global #0" in out


def test_residuals_in_a_file_are_descended_alone_and_beside_a_function(gdjax, tmp_path):
    (tmp_path / "own.py").write_text(
        OWN + "\ndef r(p):\n    return jnp.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]])\n"
    )
    call = ("run", "residuals=own.py:r", "optimizer=levenberg_marquardt", "steps=9", "plot=none")
    code, out, err = gdjax(*call, "start=[1,2]")
    assert (code, err, "r from (1, 2)" in out) == (0, "", True)
    code, _, err = gdjax(*call, "start=[1,2]", "fn=own.py:f")
    assert code == 2
    assert "at (1, 2) it is 13, and they sum to 100" in err


def test_options_may_stand_anywhere_between_settings(gdjax, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    words = "steps=3", "--cfg", "job", "fn=own.py:f", "--resolve", "~transforms"
    code, out, err = gdjax("run", *words)
    assert (code, err) == (0, "")
    config = yaml.safe_load(out)
    assert (config["steps"], config["objective"]["fn"]) == (3, "own.py:f")
    assert "transforms" not in config


def test_no_choice_holds_a_tuple_whose_items_could_not_be_changed():
    from gdjax.cli import choices

    choices.store_choices("run")
    repo = ConfigStore.instance().repo
    groups = "objective", "optimizer", "transform", "schedule"
    nodes = {name: choice.node for group in groups for name, choice in repo[group].items()}
    assert len(nodes) > 100
    for name, node in nodes.items():
        for key, value in OmegaConf.to_container(node).items():
            assert not isinstance(value, tuple), (name, key)


def test_a_formula_needs_no_quotes_of_hydras(gdjax, tmp_path):
    code, _, err = gdjax(
        "run", "-m", "objective=formula", "objective.expression=x**2 + max(x, y)", "steps=1,2",
        "plot.dpi=30", "folders=each",
    )  # fmt: skip
    assert (code, err) == (0, "")
    found = [json.loads(p.read_text()) for p in tmp_path.glob("multirun/run/*/*/summary.json")]
    assert sorted(summary["steps"] for summary in found) == [1, 2]
    assert found[0]["formula"] == r"x^{2} + \max\left(x, y\right)"
    assert r"2 x + \theta" in found[0]["gradient_formula"]


@pytest.mark.full
def test_a_fit_from_a_csv_leaves_the_picture_of_the_fit(gdjax, tmp_path):
    (tmp_path / "points.csv").write_text("t,y\n1,2\n2,3\n3,5\n")
    code, out, err = gdjax(
        "compare", "objective=curve_fit", "objective.data=points.csv",
        "objective.model=a + b*t + c*t**2", "start=[1,1,0]", "plot.axes=[b,c]",
        "learning_rate=0.002", "plot.dpi=30",
    )  # fmt: skip
    assert (code, err) == (0, "")
    (folder,) = tmp_path.glob("outputs/compare/*")
    assert (folder / "fit.png").is_file()
    assert "(a=" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "fn=own.py:pair", "domain=[[0,1],[0,1]]"], "pair must return a scalar"),
        (["run", "fn=own.py:g"], "unknown function in own.py: 'g'"),
        (["run", "gradient=own.py:right"], "objective.gradient=own.py:right"),
        (["run", "objective=function"], "objective function needs fn"),
        (["run", "residuals=own.py:q", "start=[1,2]"], "unknown function in own.py: 'q'"),
        (["run", "residuals=own.py:", "start=[1,2]"], "residuals must be file.py:function"),
        (["run", "objective=formula", "objective.expression=x^2"], "write ** for powers"),
        (
            ["compare", "objective=curve_fit", "objective.data=no.csv", "objective.model=a*x"],
            "no file",
        ),
        (["run", "plot.axes=[0,2]"], "axes must lie between 0 and 1, as qfsp has 2 components"),
    ],
)
def test_a_bad_objective_of_ones_own_is_refused_in_one_line(
    untyped, monkeypatch, capsys, tmp_path, words, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    code, err = refusal(*words, folder=tmp_path / "now", capsys=capsys)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err
    assert not (tmp_path / "now").exists()


def test_certify_prints_a_table_and_its_exit_code_is_the_verdict(gdjax):
    code, out, _ = gdjax("certify", "objective=sphere", "steps=9", "starts=1", "decaying=true")
    assert code == 0
    assert re.search(
        r"sphere +float32 +[\d.]+ +[\d.]+ +8 of 9, .*same method.*different under", out
    )
    assert "at most 2 ulps apart in 2 of 2" in out
    other = "~pair", "+optimizer@a=heavy_ball", "+optimizer@b=nesterov"
    code, out, _ = gdjax("certify", "objective=sphere", "steps=9", "dtypes=[float64]", *other)
    assert code == 1
    assert re.search(r"sphere +float64 .* different", out)


def test_optimizers_are_listed_with_their_defaults(gdjax):
    out = gdjax("optimizers")[1]
    assert re.search(r"^heavy_ball +learning_rate=\?, momentum=0.9$", out, re.MULTILINE)
    assert re.search(r"^dpsgd .*✗", out, re.MULTILINE)
    assert "momentum=0.9  (a new value never recompiles)" in gdjax("optimizers", "heavy_ball")[1]
    assert "one gradient for each example" in gdjax("optimizers", "dpsgd")[1]


def test_noise_and_schedules_from_the_command_line(gdjax, tmp_path):
    noise = "+transform@transforms.noise=gradient_noise", "transforms.noise.additive=2"
    decay = "+schedule@optimizer.learning_rate=exponential_decay"
    numbers = "init_value=0.1", "transition_steps=10", "decay_rate=0.9"
    code, _, err = gdjax(
        "run", "steps=5", "optimizer=gradient_descent", *noise, decay, "plot.dpi=30",
        *(f"optimizer.learning_rate.{number}" for number in numbers),
    )  # fmt: skip
    assert (code, err) == (0, "")
    (label,) = json.loads(next(tmp_path.glob("outputs/run/*/summary.json")).read_text())["results"]
    assert label == (
        "gradient_descent(learning_rate=exponential_decay(init_value=0.1, transition_steps=10, "
        "decay_rate=0.9), noise=gradient_noise(additive=2))"
    )


def test_help_shows_choices_and_defaults(gdjax):
    assert "gdjax TASK" in gdjax("--help")[1]
    out = gdjax("run", "--help")[1]
    assert "objective: ackley" in out
    assert "momentum: 0.9" in out
    assert re.search(r"^steps +a whole number, at least 0$", out, re.MULTILINE)
    assert re.search(r"^plot.dpi +a number from 10 to 1,200$", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gdjax co", "compare"),
        ("gdjax op", "optimizers"),
        ("gdjax optimizers ad", "adamw"),
        ("gdjax objectives q", "qfsp"),
        ("gdjax run objective=q", "objective=qfsp"),
        ("gdjax run step", "steps="),
        ("gdjax re", "rerun"),
        ("gdjax compare +optimizer@optimizers.c=ad", "+optimizer@optimizers.c=adamw"),
    ],
)
def test_completion(gdjax, monkeypatch, line, expected):
    monkeypatch.setenv("COMP_LINE", line)
    assert expected in gdjax("-sc", "query=bash")[1].split()


def test_default_folders_do_not_collide_within_a_second(gdjax, tmp_path):
    for _ in range(2):
        gdjax("check", "objective=parabola", "points=1")
    assert len(list(tmp_path.glob("outputs/check/*"))) == 2


def test_objectives_prints_the_catalogue_or_one_of_it_and_leaves_no_files(gdjax, tmp_path):
    code, out, _ = gdjax("objectives")
    assert code == 0
    listed = {*objectives.names(), *objectives.network_names()}
    assert {line.split()[0] for line in out.splitlines()[1:]} == listed
    code, out, _ = gdjax("objectives", "branin")
    assert (code, out.split()[0]) == (0, "branin")
    code, out, err = gdjax("objectives", "branim")
    assert (code, out) == (2, "")
    assert err == "gdjax objectives: unknown objective 'branim'; did you mean 'branin'?\n"
    code, _, err = gdjax("objectives", "branin", "beale")
    assert (code, err.count("\n")) == (2, 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.full
def test_a_sweep_that_keeps_less_tells_and_draws_less(gdjax, tmp_path):
    code, told, _ = gdjax("sweep", "sweep=starts", "steps=5", "keep=[final_value]")
    assert code == 0
    assert "outcomes" not in told
    assert "global minimum" not in told
    assert not [*tmp_path.rglob("*.png")]
    code, _, error = gdjax("sweep", "keep=[outcome]", "plots=[basins]")
    assert code == 2
    assert "keep minimum, steps_to_tolerance too" in error
