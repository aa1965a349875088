"""``gdjax collect``, and how every multirun ends: one table of its jobs, whoever launched them."""

import contextlib
import importlib.util
import json
import math
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gdjax._util.display import aligned
from gdjax._util.errors import ArgumentError
from gdjax._util.files import whole
from gdjax.cli import jobs
from gdjax.cli.commands import HELP, USAGE

SHOWN = 20  # rows that are printed; all of them are in the file
BEST = 3


def collect(words: list[str]) -> str:
    """The table of the jobs below a folder, which is left there too."""
    if words and words[0] in HELP:
        return USAGE
    if len(words) != 1:
        raise ArgumentError(f"collect takes one folder, got {' '.join(words) or 'none'}")
    return collected(Path(words[0]))


def collected(folder: Path) -> str:
    """The same, of one folder.

    Raises:
        ArgumentError: there is no job below it.
    """
    found = sorted(_found(folder), key=lambda pair: _natural(pair[0]))
    rows = _rows(folder, found)
    if not rows:
        raise ArgumentError(f"collect needs the folder of a multirun, and {folder} has no jobs")
    file = _written(folder, rows)
    failed = [row for row in rows if row["failed"]]
    fine = sorted((row for row in rows if not row["failed"]), key=_rank)
    first = failed[: max(SHOWN // 2, SHOWN - len(fine))]
    lines = [f"{len(rows)} jobs, {len(failed)} failed", _table([*first, *fine][:SHOWN])]
    if len(rows) > SHOWN:
        lines.append(f"and {len(rows) - SHOWN} more")
    ranked = [row for row in fine if not math.isnan(row["value"])]
    if ranked:
        lines.append(f"best: {'; '.join(map(_named, ranked[:BEST]))}")
        lines.append(f"one alone: {ranked[0]['command']}")
    lines.append(str(file))
    words = {word for _, one in found for word in one["overrides"]}
    if words.isdisjoint(("plot=none", "plot.format=none")):
        lines.append(str(_drawn(folder, rows)))
    return "\n".join(lines) + "\n"


def _drawn(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """All rows in a picture."""
    import pandas as pd

    from gdjax import plotting

    settings = [*dict.fromkeys(key for row in rows for key in _settings(row))]
    figure = plotting.overview(pd.DataFrame(rows), settings, bool(rows[0]["higher"]))
    file = folder / "overview.png"
    with whole(file) as partial:
        plotting.save(figure, partial)
    return file


def _rows(folder: Path, found: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """A row for each job: what it has that not all of them have, and what it came to."""
    told = [one for _, one in found]
    common = set.intersection(*(set(one["overrides"]) for one in told)) if told[1:] else set()
    rows = []
    for place, one in found:
        words = (word.partition("=") for word in one["overrides"] if word not in common)
        row: dict[str, Any] = {key: value for key, _, value in words}
        row["value"] = math.nan if one["value"] is None else float(one["value"])
        row["outcome"] = one["failed"] or one["outcome"]
        row |= {key: one[key] for key in ("seconds", "higher")}
        again = ["gdjax", "rerun", str(folder / place)]
        if "command" in one:  # of a batch, whose jobs have no folder each
            again = ["gdjax", one["command"], *one["overrides"]]
        row |= {"failed": one["code"] != 0, "folder": place, "command": shlex.join(again)}
        rows.append(row)
    return rows


def _found(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each job has its place, and what it came to: of a batch the folder and its number."""
    for file in folder.rglob(jobs.NAME):
        one = json.loads(file.read_text(encoding="utf-8"))
        yield str(file.parent.relative_to(folder)), {"outcome": _outcome(file), **one}
    for file in folder.rglob(jobs.TABLE):
        for one in jobs.rows_of(file):
            yield f"{file.parent.relative_to(folder)}#{one['number']}".removeprefix("."), one


def _outcome(job: Path) -> str:
    """What became of the descents of a job, where it has few."""
    try:
        results = json.loads(job.with_name("summary.json").read_text(encoding="utf-8"))["results"]
        return ", ".join(result["outcome"] for result in results.values())
    except (OSError, ValueError, LookupError):
        return ""


def _natural(text: str) -> list[Any]:
    """A key that sorts 10 after 9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def _rank(row: dict[str, Any]) -> float:
    """The best first, and what has no number last."""
    value = -row["value"] if row["higher"] else row["value"]
    return math.inf if math.isnan(value) else value


def _settings(row: dict[str, Any]) -> dict[str, str]:
    own = ("value", "outcome", "seconds", "higher", "failed", "folder", "command")
    return {key: value for key, value in row.items() if key not in own}


def _named(row: dict[str, Any]) -> str:
    words = " ".join(f"{key}={value}" for key, value in _settings(row).items())
    return f"{row['value']:.8g} at {words or row['folder']}"


def _table(rows: list[dict[str, Any]]) -> str:
    keys = [*dict.fromkeys(key for row in rows for key in _settings(row))]
    lines = [(*keys, "value", "outcome", "seconds", "folder")]
    for row in rows:
        value = "" if math.isnan(row["value"]) else f"{row['value']:.8g}"
        told = f"failed: {row['outcome']:.60}" if row["failed"] else row["outcome"]
        settings = (row.get(key, "") for key in keys)
        lines.append((*settings, value, told, f"{row['seconds']:.2f}", row["folder"]))
    return aligned(lines)


def _written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """All rows in a file: Parquet, or CSV where pyarrow is not installed."""
    import pandas as pd  # few calls come here

    table = pd.DataFrame(rows).drop(columns="higher")
    for key in _settings(rows[0]):
        with contextlib.suppress(ValueError):  # words
            table[key] = pd.to_numeric(table[key])
    parquet = importlib.util.find_spec("pyarrow") is not None
    file = folder / f"results.{'parquet' if parquet else 'csv'}"
    with whole(file) as partial:
        (table.to_parquet if parquet else table.to_csv)(partial, index=False)
    return file
