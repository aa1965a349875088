"""``gdjax rank``: many optimizers on many objectives, each tuned and then scored."""

import importlib.util
import logging
import math
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gdjax import plotting
from gdjax._util.errors import ArgumentError
from gdjax.cli.config import make_objective, picked
from gdjax.cli.jobs import Done
from gdjax.cli.output_folder import OutputFolder
from gdjax.cli.settings import Compare, Rank, Tuned
from gdjax.comparison.ranking import Profile, Ranking
from gdjax.comparison.tuning import rank as ranked
from gdjax.plotting.profiles import RATIOS, simplex_gradients

log: logging.Logger = logging.getLogger(__name__)

TUNING = (
    "budget", "trials", "starts", "held_out", "seeds", "seed", "tau", "ranges", "together",
)  # fmt: skip


def rank(asked: Rank, folder: OutputFolder) -> Done:
    """Rank optimizers on the objectives of the config, or on the one that is chosen.

    Its number is the best score.
    """
    if asked.target is not None and asked.objective is None:
        raise ArgumentError(
            "target is of one objective: give objective=NAME, or each of several its own, as in "
            "objectives=[{name: iris_mlp, target: 0.1}]"
        )
    objectives = asked.objectives if asked.objective is None else [make_objective(asked)]
    return tune_and_score(objectives, asked.optimizers, asked, asked, folder)


def tune_and_score(
    objectives: Sequence[Any],
    optimizers: Sequence[Any],
    tuning: Tuned,
    asked: Rank | Compare,
    folder: OutputFolder,
) -> Done:
    """Rank optimizers; leave tables, profiles and pictures, and say who won.

    Args:
        objectives: as ``gdjax.rank`` takes them.
        optimizers: likewise.
        tuning: how to tune and score.
        asked: the settings of the command.
        folder: where the files go.
    """
    how = picked(tuning, *TUNING) | picked(asked, "gradient", "dtype")
    began = time.perf_counter()
    found = ranked(objectives, optimizers, **how, progress=sys.stderr.isatty())
    seconds = time.perf_counter() - began
    drawn = plotting.RANKING_PICTURES.items() if folder.draws else ()
    pictures = folder.pictures({name: draw(found) for name, draw in drawn})
    tables = _write_tables(found, folder)
    summary = {
        "objectives": list(found.objectives),
        "optimizers": [
            row | {"evaluations": [q if math.isfinite(q) else None for q in row["evaluations"]]}
            for row in found.overall()  # what never happens is null
        ],
        "budget": found.budget,
        "tau": found.tau.tolist(),
        "tuning_evaluations_allotted": found.allotted,
        "fmin_not_known": _guessed(found),
        "together": found.together,
        "seconds": round(seconds, 1),
        "pictures": pictures,
        "tables": tables,
    }
    folder.summary(summary)
    log.info("%s\n%s", _heading(found, seconds), found)
    folder.tell([*pictures, *tables])
    return Done(min(row["score"] for row in summary["optimizers"]))


def _write_tables(found: Ranking, folder: OutputFolder) -> list[str]:
    """Every number of a ranking; returns the names of the files."""
    tables = {
        "table.csv": found.rows(),
        "settings.csv": _settings(found),
        "profiles.csv": _profiles(found),
    }
    for name, rows in tables.items():
        folder.table(name, rows)
    arrays = {k: v for k, v in found._asdict().items() if isinstance(v, np.ndarray | tuple)}
    starts = {f"held_out_{name}": points for name, points in found.held_out.items()}
    folder.arrays("ranking.npz", arrays | starts, np.savez_compressed)
    names = [*tables, "ranking.npz"]
    if importlib.util.find_spec("pyarrow"):
        names.append("runs.parquet")
        with folder.file("runs.parquet") as file:
            _runs(found, file)
    return names


def _guessed(found: Ranking) -> list[str]:
    """The objectives whose least value is not known."""
    return [n for n, known in zip(found.objectives, found.known, strict=True) if not known]


def _heading(found: Ranking, seconds: float) -> str:
    p, o, seeds, held_out, _ = found.costs.shape
    one = "together" if found.together else "for each objective"
    guessed = _guessed(found)
    goals = {f"{n}: {goal}" for n, goal in zip(found.objectives, found.goals, strict=False) if goal}
    level = f"f − f* ≤ {found.tau[-1]:g} (f(start) − f*)"
    level = "at the target" if found.by_target else level
    lines = [
        f"{o} optimizer{'s' * (o > 1)} on {p} objective{'s' * (p > 1)}, tuned {one} with at most "
        f"{found.allotted:,} evaluations in {seeds} seeds, scored on {held_out} held-out starts, "
        f"{seconds:.0f} s",
        f"success and evaluations: {level} within {found.budget:,}; score: "
        f"{'' if found.by_target else 'mean over all τ, '}a failure counts {2 * found.budget:,}",
    ]
    if goals:
        lines.append(f"success is a target on {', '.join(sorted(goals))}")
    if guessed:
        lines.append(f"f* is the lowest value that BFGS found on {', '.join(guessed)}")
    return "\n".join(lines)


def _settings(found: Ranking) -> Iterable[dict[str, Any]]:
    """The hyperparameters that tuning chose, one a row."""
    for label, chosen in found.settings.items():
        for name, values in chosen.items():
            for (i, seed), value in np.ndenumerate(values):
                yield {
                    "objective": found.objectives[i], "optimizer": label, "tuning_seed": seed,
                    "hyperparameter": name, "value": float(value),
                }  # fmt: skip


def _profiles(found: Ranking) -> Iterable[dict[str, Any]]:
    """Every curve of the profiles, one point a row."""

    def rows(kind: str, tau: float | str, profile: Profile) -> Iterable[dict[str, Any]]:
        for label, seeds in zip(found.optimizers, profile.shares, strict=True):
            for x, share in zip(profile.x, seeds.T, strict=True):
                yield {
                    "profile": kind, "tau": tau, "optimizer": label, "x": float(x),
                    "share": float(share.mean()), "share_worst_seed": float(share.min()),
                    "share_best_seed": float(share.max()),
                }  # fmt: skip

    for t, tau in enumerate(found.tau.tolist()):
        yield from rows("performance", tau, found.performance(RATIOS, t))
        yield from rows("data", tau, found.data(simplex_gradients(found), t))
    yield from rows("runtime", "", found.runtime())


def _runs(found: Ranking, file: Path) -> None:
    """Every scored descent as a row of a Parquet table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    places = np.indices(found.best.shape).reshape(4, -1)
    columns = {
        "objective": np.array(found.objectives)[places[0]],
        "optimizer": np.array(found.optimizers)[places[1]],
        "tuning_seed": places[2],
        "start": places[3],
        "best_value": found.best.ravel(),
        "stuck": found.stuck.ravel(),
    }
    for t, tau in enumerate(found.tau.tolist()):
        columns[f"evaluations_to_{tau:g}"] = found.costs[..., t].ravel()
    pq.write_table(pa.table(columns), file)
