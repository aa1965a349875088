"""Odd command lines, drawn with a seed: right, or refused in one line with nothing left behind."""

import random
import resource
import time

import pytest
from commands import called
from test_config_gate import COUNTED

from gdjax.cli import run

pytestmark = pytest.mark.usefixtures("untyped")

# Words that keep each command small where it is not refused.
SMALL = {
    "run": ["steps=2", "plot.dpi=10"],
    "compare": ["steps=2", "plot.dpi=10"],
    "sweep": ["sweep=single", "steps=2", "plots=[]"],
    "check": ["objective=sphere", "points=5"],
    "certify": ["objective=sphere", "dtypes=[float32]", "steps=2", "starts=1"],
    "rank": [
        "objectives=[sphere]", "optimizers=[gradient_descent]", "budget=4", "trials=1", "starts=1",
        "held_out=1", "seeds=1", "plot.dpi=10",
    ],
    "explore": ["objective=parabola", "explore.open=false"],
}  # fmt: skip
KEYS = {
    "run": ["learning_rate", "start", "steps", "gradient", "dtype", "transforms", "optimizer.name",
            "optimizer.momentum", "optimizer.learning_rate", "objective.name", "plot.dpi",
            "plot.format", "plot.axes", "plot", "optimizer", "objective"],
    "compare": ["optimizers", "optimizers.a", "optimizers.b.momentum", "mode", "distance",
                "certify", "tuned", "tuned.tau", "start", "steps", "plot.axes"],
    "sweep": ["objectives", "optimizers", "stopping", "classify_rest", "every", "keep", "tolerance",
              "devices", "kernel", "chunk", "store", "parquet", "plan", "starts", "starts.kind",
              "starts.number", "starts.points", "starts.seed", "hyperparameters", "zipped",
              "save_at", "plots", "steps", "objective.name", "+hyperparameters.momentum"],
    "check": ["points", "seed", "dtype", "hessian", "draw", "objective.name", "objective.dim"],
    "certify": ["a", "b", "a.learning_rate", "b.momentum", "learning_rate", "starts", "steps",
                "seed", "dtypes", "decaying", "objective.dim", "transforms"],
    "rank": ["budget", "trials", "starts", "held_out", "seeds", "seed", "tau", "ranges", "together",
             "objectives", "optimizers", "+ranges.learning_rate", "dtype", "gradient"],
    "explore": ["explore.file", "explore.open", "explore", "objective.name", "optimizer.name",
                "learning_rate", "transforms", "start"],
}  # fmt: skip
ODD = [
    "", "null", "nan", "inf", "-1", "0", "1.5", "1e400", "2147483648", "1" + "0" * 30, "true",
    "abc", "[]", "[[]]", "[1]", "[nan]", "[a]", "[null]", "{}", "{a: 1}", "{1: 2}", "{name: adam}",
    "[{name: [1]}]", "{schedule: linear}", "{low: 0, high: nan, number: 2}", "../../../../x", "a/b",
    "x" * 300, "${steps}", "${nope}", "${oc.env:NOPE}", "???", "a\0b", "\udc80", "'", "[1", "0x10",
    "ä", "1,2", "choice(1,2)", "~", "-0.0", "'3'", "1e5", "9" * 5000,
]  # fmt: skip
OPTIONS = [
    "--resolve", "--cfg", "--cfg=nope", "--package", "-p", "--info=nope", "--config-dir=/nope",
    "--config-name=nope", "-cn", "--multirun", "-m", "--run", "--experimental-rerun=nope", "-c",
    "--hydra-help", "--info", "--", "-", "~~", "=", "a=", "=b", "+", "++steps=x", "~nope",
    "objective=3", "optimizer=1.5", "objective=[qfsp]", "optimizer=null", "optimizer=[a,b]",
    "sweep=3", "experiment=3", "+experiment=nesterov", "pair=3", "plot=3", "transform=clip",
    "pair=null", "+nope=1", "+plot.nope=1", "hydra.run.dir=null", "hydra=3", "~hydra",
    "hydra.job=3",
    "hydra.sweep.dir=3", "+starts.nope=1", "~objective", "~optimizer", "objective=formula",
    "objective=function", "objective=curve_fit", "fn=nope.py:f", "domain=3", "fn=", "domain=[[1]]",
]  # fmt: skip


def odd(number: int, seed: int = 0) -> list[list[str]]:
    """Command lines with one or two odd words, the same for the same seed."""
    draw = random.Random(seed)
    lines = []
    for _ in range(number):
        task = draw.choice([*SMALL])
        words = [*SMALL[task]]
        for _ in range(draw.choice([1, 1, 2])):
            kind, key = draw.random(), draw.choice(KEYS[task])
            if kind < 0.15:
                words.append(f"~{key.lstrip('+')}")
            elif kind < 0.3:
                words.append(draw.choice(OPTIONS))
            else:
                words.append(f"{key}={draw.choice(ODD)}")
        lines.append([task, *words])
    return lines


def wrong(words: list[str], folder) -> str:
    """What is wrong with how a command line is answered; nothing if it is right or refused."""
    try:
        code, _, err = called(words)
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"[:300]
    left = sorted(path for path in folder.parent.rglob("*") if path.is_file())
    outside = [path for path in left if not path.is_relative_to(folder)]
    if outside:
        return f"wrote outside of its folder: {outside}"
    if code == 2 and " jobs failed:\n" in err:  # a multirun, whose jobs leave their logs
        return "" if err.startswith("gdjax ") else err[:300]
    if code == 2:
        if not err.startswith("gdjax ") or err.count("\n") != 1:
            return f"refused in {err.count(chr(10))} lines: {err[:300]}"
        return f"left {[*folder.iterdir()]}" if any(folder.iterdir()) else ""
    if code not in (0, 1) or err:
        return f"exit code {code}: {err[:300]}"
    return ""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder deep enough for names that climb."""
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / "cache"))
    return folder


def refused(words, folder):
    """What a command line is refused with, in one line and with nothing left."""
    assert wrong(words, folder) == ""
    code, _, err = called(words)
    assert code == 2
    assert not any(folder.iterdir())
    return err


NAMED = [
    (["run", "~steps"], "steps is missing from the config, and run needs it"),
    (["run", "~plot.format"], "plot.format is missing from the config, and run needs it"),
    (["run", "start=(7,7)"], "a list takes brackets: start=[7,7]"),
    (["run", "start=7.11,6.97"], "start has several values: a list is start=[7.11,6.97], one job"),
    (["run", "--experimental-rerun", "x"], "a finished run runs again by gdjax rerun FOLDER"),
    (["sweep", "store=s3://a/b"], "store s3://a/b must be a folder or a URL that fsspec knows"),
    (["sweep", "keep=[outcome]", "objective_value=best_value", "plots=[]"], "keep final_value too"),
    (["rerun", "nowhere"], "there is no nowhere/config.yaml"),
    (["sweep", "~zipped"], "zipped is missing from the config, and sweep needs it"),
    (["sweep", "starts=abc"], "starts must be settings by name, got 'abc'"),
    (["run", "transforms=nan"], "transforms must be transforms by a name of their own, got nan"),
    (["sweep", "hyperparameters="], "hyperparameters must be values by name, or null, got ''"),
    (["run", "objective.name=[1]"], "objective.name must be the name of one objective, got [1]"),
    (["run", "objective.name=???"], "objective.name must be the name of one objective, got ???"),
    (["run", "optimizer.name={a: 1}"], "optimizer.name must be the name of one optimizer"),
    (["run", "objective=3"], "unknown objective '3'"),
    (["run", "+experiment=3"], "experiment must be a name, got 3"),
    (["sweep", "starts.seed=-1"], "starts.seed must be a whole number, at least 0, got -1"),
    (["sweep", "store=5"], "store must be a path, or null, got 5"),
    (["run", "plot.dpi=1"], "plot.dpi must lie from 10 to 1,200, got 1"),
    (["run", "plot.dpi=100000"], "plot.dpi must lie from 10 to 1,200, got 100000"),
    (["run", "objective.name=a\0b"], "every word must be text without NUL"),
    (["run", "--resolve"], "--resolve goes with --cfg, which is not given"),
    (["run", "steps=2", "-p"], "-p goes with --cfg, which is not given"),
    (["run", "--info", "steps=2"], "argument --info/-i: invalid choice: 'steps=2'"),
    (["run", "--cfg"], "argument --cfg/-c: expected one argument"),
    (["run", "--cfg=nope"], "argument --cfg/-c: invalid choice: 'nope'"),
    (["run", "+nope=1"], "unknown setting 'nope'; choose from"),
    (["run", f"steps={'9' * 5000}"], "these words make no config: ValueError: Exceeds the limit"),
    (["sweep", "plots=[basins]", "sweep=single"], "basin_map needs several starts, got 1"),
    (["sweep", "plots=[stability]", "sweep=starts"], "plots cannot be drawn of this sweep: "),
    (
        ["explore", "rosenbrock"],
        "the file of the page must be the path of a file that ends in .html",
    ),
    (["explore", f"{'x' * 300}.html", "objective=parabola"], "File name too long"),
    (["explore", "fn=own.py:f"], "own.py"),
]


@pytest.mark.parametrize(("words", "message"), NAMED, ids=lambda value: str(value)[:60])
def test_an_odd_word_of_each_kind_is_named(words, message, place):
    code, _, err = called(words)
    assert message in err
    assert (code, err.count("\n"), [*place.iterdir()]) == (2, 1, [])


@pytest.mark.parametrize("name", ["../../../../x", "ä" * 300])
def test_a_name_leads_nowhere_else(name, place):
    words = ["sweep", "sweep=single", "steps=2", "plots=[]", f"objective.name='{name}'",
             "fn=own.py:f", "domain=[[-5,5]]"]  # fmt: skip
    (place / "own.py").write_text("def f(p):\n    return p[0] ** 2\n")
    code, _, err = called(words)
    assert (code, err) == (0, "")
    assert {path.name for path in place.iterdir()} - {"__pycache__"} == {"own.py", "outputs"}
    (store,) = (place / "outputs" / "sweep" / "stores").iterdir()
    assert store.suffix == ".zarr"
    assert [path.name for path in place.parents[1].iterdir()] == ["b"]


@pytest.mark.parametrize("said", ["", "Unable to allocate 7.45 GiB for an array"])
def test_memory_that_runs_out_is_told_in_one_line(said, place, monkeypatch):
    def descend(*_, **__):
        raise MemoryError(*[said] * bool(said))

    monkeypatch.setattr(run, "descend", descend)
    code, _, err = called(["run", "steps=1"])
    assert (code, [*place.iterdir()]) == (1, [])
    assert err.startswith(
        f"gdjax run: out of memory: {said or 'in descend, test_odd_commands.py:'}"
    )
    assert err.count("\n") == 1


EVERY_DAY = 6


@pytest.mark.parametrize("words", odd(EVERY_DAY, seed=1), ids=lambda words: ascii(words)[:80])
def test_odd_words_are_right_or_refused(words, place):
    assert wrong(words, place) == ""


@pytest.mark.full
@pytest.mark.parametrize("part", range(6))  # of twenty that have been tried
def test_odd_command_lines_are_right_or_refused(part, tmp_path, monkeypatch):
    found = {}
    for number, words in enumerate(odd(50, seed=100 + part)):
        folder = tmp_path / str(number) / "a" / "b" / "c"
        folder.mkdir(parents=True)
        monkeypatch.chdir(folder)
        if said := wrong(words, folder):
            found[ascii(words)[:300]] = said
    assert found == {}


BOMBS = [
    "rank trials=1000000000000", "rank trials=2000000000", "rank trials=4294967299",
    "rank optimizers=[lbfgs] objectives=[sphere] trials=100000000", "rank budget=1000000000",
    "rank budget=100000000000", "rank starts=2000000000", "rank starts=10000000000000",
    "rank held_out=1000000000", "rank held_out=3000000000", "rank seeds=1000000000",
    "rank seeds=99999999999", "rank objectives=[{name:ackley,dim:100000000}]",
    "compare mode=tuned tuned.trials=2000000000", "compare mode=tuned tuned.budget=2000000000",
    "compare mode=tuned tuned.held_out=2000000000", "compare steps=2000000000",
    "compare steps=10000000000", "run steps=2000000000", "run steps=2147483648",
    "run steps=4294967299", "run steps=1000000000000", "run plot.dpi=1000000",
    "run objective=ackley objective.dim=100000000",
    "run objective=rosenbrock objective.dim=2000000000",
    "run objective=sphere objective.dim=99999999999",
    "run objective=rotated_quadratic objective.dim=1000000",
    "run optimizer=lbfgs optimizer.memory_size=2000000000",
    "run optimizer=lbfgs optimizer.memory_size=9999999999",
    "sweep sweep=single optimizer=lbfgs optimizer.memory_size=2000000000",
    "sweep sweep=single steps=2000000000", "sweep sweep=single steps=4294967299",
    "sweep sweep=single save_at=2 steps=2000000000", "sweep sweep=single save_at=9999999999",
    "sweep starts.number=100000000000", "sweep starts.number=2000000000",
    "sweep starts.kind=latin_hypercube starts.number=2000000000",
    "sweep starts.kind=sobol starts.number=2147483648",
    "sweep objective=ackley objective.dim=100 starts.number=1000000",
    "sweep objective=ackley objective.dim=100 starts.number=1000000 plan=true",
    "sweep sweep=stability hyperparameters.momentum.number=100000000000",
    "sweep sweep=stability hyperparameters.momentum.number=2000000000",
    "sweep chunk=2000000000 sweep=single starts.kind=uniform starts.number=2000000000 steps=100000",
    "sweep every=3000000000", "sweep devices=3000000000", "certify steps=1000000000000",
    "certify objective=qfsp steps=2000000000", "certify objective=qfsp starts=2000000000",
    "check points=2000000000", "check points=1000000000000",
]  # fmt: skip


def cost(words, place):
    """What is wrong with an answer, and the seconds of processor and the bytes that it takes."""
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = wrong(words, place)
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return said, time.process_time() - began, more * 1024


@pytest.mark.parametrize(
    "bomb",
    [pytest.param(b, marks=() if i % 12 == 5 else pytest.mark.full) for i, b in enumerate(BOMBS)],
)
def test_a_bomb_is_refused_in_five_seconds_and_a_gigabyte(bomb, place):
    called(["run", "steps=-1"])  # what is imported once is not counted
    said, seconds, size = cost(bomb.split(), place)
    assert said == ""
    assert not any(place.iterdir())
    assert seconds < 5
    assert size < 1e9


@pytest.mark.full
@pytest.mark.parametrize("command", SMALL)
def test_a_huge_number_is_refused_at_once_or_changes_nothing(command, place, monkeypatch):
    called([command, *SMALL[command], "nope=1"])  # what is imported once is not counted
    found = {}
    for path in [path for of, path in COUNTED if of == command]:
        small = [*SMALL[command]]
        if path[0] == "tuned":
            small += ["mode=tuned", "tuned.budget=4", "tuned.trials=1", "tuned.starts=1",
                      "tuned.held_out=1", "tuned.seeds=1"]  # fmt: skip
        for number in (10**9, 2**31 - 1, 10**12):
            word = f"{'.'.join(path)}={number}"
            kind = ["starts.kind=uniform"] if path == ("starts", "number") else []
            folder = place / word / "here"
            folder.mkdir(parents=True)
            monkeypatch.chdir(folder)
            said, seconds, size = cost([command, *small, *kind, word], folder)
            if said or seconds > 10 or size > 1e9:
                found[word] = said, seconds, size
    assert found == {}
