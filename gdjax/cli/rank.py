"""What ``gdjax rank`` does: tune, score, draw, export and tell."""

import csv
import importlib.util
import json
import logging
import math
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gdjax import plotting
from gdjax.comparison.ranking import Profile, Ranking
from gdjax.comparison.tuning import rank as ranked
from gdjax.plotting.profiles import RATIOS, simplex_gradients

log = logging.getLogger(__name__)


def rank(
    objectives: Any,
    optimizers: Any,
    folder: Path,
    *,
    format: str = "png",
    dpi: int = 150,
    **asked: Any,
) -> Ranking:
    """Rank optimizers; write tables, profiles and pictures, and say who won.

    Args:
        objectives: as ``gdjax.rank`` takes them.
        optimizers: likewise.
        folder: where the files go; made after everything has been computed.
        format: of the pictures: ``png``, ``svg`` or ``pdf``.
        dpi: dots per inch of the pictures.
        **asked: the other arguments of ``gdjax.rank``.

    Returns:
        The ranking.

    Raises:
        ArgumentError: as ``gdjax.rank`` does, before anything is written.
    """
    plotting.check_output(format, dpi)
    began = time.perf_counter()
    found = ranked(objectives, optimizers, **asked, progress=sys.stderr.isatty())
    seconds = time.perf_counter() - began
    figures = {name: draw(found) for name, draw in plotting.RANKING_PICTURES.items()}
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [
        plotting.save(figure, folder / f"{name}.{format}", dpi).name
        for name, figure in figures.items()
    ]
    _write(folder / "table.csv", found.rows())
    _write(folder / "settings.csv", _settings(found))
    _write(folder / "profiles.csv", _profiles(found))
    arrays = {k: v for k, v in found._asdict().items() if isinstance(v, np.ndarray | tuple)}
    starts = {f"held_out_{name}": points for name, points in found.held_out.items()}
    np.savez_compressed(folder / "ranking.npz", **arrays, **starts)  # pyright: ignore
    tables = ["table.csv", "settings.csv", "profiles.csv", "ranking.npz"]
    if importlib.util.find_spec("pyarrow"):
        _runs(found, folder / "runs.parquet")
        tables.append("runs.parquet")
    summary = {
        "objectives": list(found.objectives),
        "optimizers": found.overall(),
        "budget": found.budget,
        "tau": found.tau.tolist(),
        "tuning_evaluations_allotted": found.allotted,
        "fmin_not_known": [n for n, k in zip(found.objectives, found.known, strict=True) if not k],
        "together": found.together,
        "seconds": round(seconds, 1),
        "pictures": pictures,
        "tables": tables,
    }
    (folder / "summary.json").write_text(json.dumps(_plain(summary), indent=2) + "\n")
    log.info("%s\n%s", _heading(found, seconds), found)
    for name in [*pictures, *tables]:
        log.info("%s", folder / name)
    return found


def _heading(found: Ranking, seconds: float) -> str:
    p, o, seeds, held_out, _ = found.costs.shape
    one = "together" if found.together else "for each objective"
    guessed = [n for n, known in zip(found.objectives, found.known, strict=True) if not known]
    lines = [
        f"{o} optimizer{'s' * (o > 1)} on {p} objective{'s' * (p > 1)}, tuned {one} with at most "
        f"{found.allotted:,} evaluations in {seeds} seeds, scored on {held_out} held-out starts, "
        f"{seconds:.0f} s",
        f"success and evaluations: f − f* ≤ {found.tau[-1]:g} (f(start) − f*) within "
        f"{found.budget:,}; score: mean over all τ, a failure counts {2 * found.budget:,}",
    ]
    if guessed:
        lines.append(f"f* is the lowest value that BFGS found on {', '.join(guessed)}")
    return "\n".join(lines)


def _settings(found: Ranking) -> Iterable[dict[str, Any]]:
    """The hyperparameters that tuning chose, one a row."""
    for label, settings in found.settings.items():
        for name, values in settings.items():
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
    }
    for t, tau in enumerate(found.tau.tolist()):
        columns[f"evaluations_to_{tau:g}"] = found.costs[..., t].ravel()
    pq.write_table(pa.table(columns), file)


def _write(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    rows = list(rows)
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, rows[0] if rows else ["objective"])
        writer.writeheader()
        writer.writerows(rows)


def _plain(value: Any) -> Any:
    """As JSON has it: what never happens is null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
