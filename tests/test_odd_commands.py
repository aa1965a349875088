"""Odd command lines, drawn with a seed: right, or refused in one line with nothing left behind."""

import contextlib
import io
import logging
import os
import random
import sys

import absl.logging
import pytest

from gdjax import cli

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
    "sweep=3", "experiment=3", "+experiment=ackley", "pair=3", "plot=3", "transform=clip",
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


def called(words: list[str]) -> tuple[int, str, str]:
    """The command in this process: its exit code, what it prints, and what it complains of."""
    absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__
    root, out, err, code = logging.getLogger(), io.StringIO(), io.StringIO(), 0
    kept, argv, environment = root.handlers[:], sys.argv, dict(os.environ)
    sys.argv = ["gdjax", *words]
    os.environ["HYDRA_FULL_ERROR"] = "0"
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)
        for handler in set(root.handlers) - set(kept):
            root.removeHandler(handler)
            handler.close()
        root.handlers[:] = kept
    return code, out.getvalue(), err.getvalue()


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
    if code == 2:
        if not err.startswith("gdjax ") or err.count("\n") != 1:
            return f"refused in {err.count(chr(10))} lines: {err[:300]}"
        return f"left {[*folder.iterdir()]}" if any(folder.iterdir()) else ""
    if code not in (0, 1) or err:
        return f"exit code {code}: {err[:300]}"
    return ""
