"""What the commands do: objectives and optimizers in, files and a summary out."""

import itertools
import json
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import optax

from gdjax import plotting
from gdjax.descent import Precision, Trajectory, descend
from gdjax.errors import ArgumentError, unknown
from gdjax.gradients import GradientReport, check_gradient, check_hessian
from gdjax.objectives import GradientSide, Objective
from gdjax.outcomes import Outcome

log = logging.getLogger(__name__)
FORMATS = ("png", "svg", "pdf")


def compare(
    objective: Objective,
    optimizers: Mapping[str, optax.GradientTransformation],
    folder: Path,
    *,
    start: Sequence | None = None,
    steps: int = 100,
    gradient: GradientSide = "autodiff",
    precision: Precision | None = None,
    distance: bool = False,
    format: str = "png",
    dpi: int = 150,
) -> dict[str, Any]:
    """Descend with each optimizer from one start; write down and draw what happened.

    Args:
        objective: what to descend.
        optimizers: optax transformations by label; a single one is a plain run.
        folder: where the files go; made after everything has been computed.
        start: the first point, ``(d,)``; by default the objective's own.
        steps: number of steps.
        gradient: which gradient to follow, ``autodiff`` or ``hand``.
        precision: ``float32`` or ``float64``.
        distance: whether to measure how far the paths drift apart, pair by pair.
        format: of the pictures: ``png``, ``svg`` or ``pdf``.
        dpi: dots per inch of the pictures.

    Returns:
        The summary, as ``summary.json`` has it.

    Raises:
        ArgumentError: as ``gdjax.descend`` does, before anything is written.
    """
    if format not in FORMATS:
        raise unknown("plot.format", format, FORMATS)
    if not dpi > 0:
        raise ArgumentError(f"plot.dpi must be positive, got {dpi}")
    paths = {
        label: descend(objective, optimizer, start, steps, gradient=gradient, precision=precision)
        for label, optimizer in optimizers.items()
    }
    first = next(iter(paths.values()))
    summary = {
        "objective": objective.name,
        "formula": objective.latex,
        "start": np.asarray(first.points[0], dtype=float).tolist(),
        "steps": steps,
        "gradient": gradient,
        "precision": str(first.points.dtype),
        "results": {label: _describe(objective, path) for label, path in paths.items()},
    }
    if distance:
        summary["distances"] = [_distance(paths, pair) for pair in itertools.combinations(paths, 2)]
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "comparison" if len(paths) > 1 else "trajectory": plotting.comparison(objective, paths)
    }
    figures["convergence"] = plotting.convergence(objective, paths)
    summary["pictures"] = [
        plotting.save(figure, folder / f"{name}.{format}", dpi).name
        for name, figure in figures.items()
    ]
    arrays = {
        f"{field}_{i}" if len(paths) > 1 else field: np.asarray(value)
        for i, path in enumerate(paths.values())
        for field, value in path._asdict().items()
    }
    arrays["labels"] = np.array(list(paths))
    np.savez(folder / "trajectory.npz", **arrays)  # pyright: ignore
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    log.info(_table(summary))
    for name in summary["pictures"]:
        log.info("%s", folder / name)
    return summary


def check(
    objectives: Sequence[Objective],
    folder: Path,
    *,
    points: int = 1000,
    seed: int = 0,
    precision: Precision = "float64",
    hessian: bool = False,
    draw: bool = False,
) -> list[GradientReport]:
    """Certify the gradient of each objective, several at a time, and say how it went.

    One objective gets its whole table, of several only those with a wrong gradient.

    Args:
        objectives: with a hand-derived gradient; of others, autodiff's is certified.
        folder: where the pictures go.
        points: how many to draw in each domain.
        seed: of the draw.
        precision: the one that the verdict is about.
        hessian: whether to certify the Hessian as well.
        draw: whether to draw each certificate.

    Raises:
        ArgumentError: as ``gdjax.check_gradient`` does, before anything is written.
    """
    kinds = [check_gradient, check_hessian] if hessian else [check_gradient]
    jobs = [(certify, objective) for objective in objectives for certify in kinds]

    def certify(job: tuple) -> GradientReport:
        return job[0](job[1], points=points, seed=seed, precision=precision)

    reports = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # XLA compiles outside Python's lock
        for report in pool.map(certify, jobs):
            reports.append(report)
            log.info("%s", report if len(objectives) == 1 or not report.ok else report.line)
    if draw:
        folder.mkdir(parents=True, exist_ok=True)
        for report in reports:
            name = f"{report.name}_{report.kind.lower()}.png"
            log.info("%s", plotting.save(report.plot(), folder / name))
    return reports


def _describe(objective: Objective, path: Trajectory) -> dict[str, Any]:
    """One path as plain numbers; a path that was lost is described at its last finite point."""
    last = max(path.finite - 1, 0)
    minimum = int(path.minimum)
    values = np.asarray(path.values, dtype=float)[: last + 1]
    reached = None if minimum < 0 else "global" if minimum < len(objective.minima) else "local"
    return {
        "outcome": str(Outcome(int(path.outcome))),
        "minimum": minimum,
        "reached": reached,
        "final_value": float(values[-1]),
        "best_value": float(values.min()),
        "final_point": np.asarray(path.points, dtype=float)[last].tolist(),
        "finite_steps": last,
    }


def _distance(paths: Mapping[str, Trajectory], pair: tuple[str, str]) -> dict[str, Any]:
    a, b = (np.asarray(paths[label].points, dtype=float) for label in pair)
    apart = np.linalg.norm(a - b, axis=1)
    step = int(np.nan_to_num(apart, nan=np.inf).argmax())
    return {"between": list(pair), "largest": float(apart[step]), "step": step}


def _table(summary: Mapping[str, Any]) -> str:
    """The outcome as a short table."""
    start = ", ".join(f"{x:g}" for x in summary["start"])
    rows = [("optimizer", "outcome", "minimum", "final value", "final point")]
    for label, result in summary["results"].items():
        point = [f"{x:.6g}" for x in result["final_point"][:4]]
        point += ["…"] * (len(result["final_point"]) > 4)
        minimum = f"{result['reached']} #{result['minimum']}" if result["reached"] else "none"
        rows.append(
            (
                label,
                result["outcome"],
                minimum,
                f"{result['final_value']:.8g}",
                f"({', '.join(point)})",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{summary['objective']} from ({start}), {summary['steps']} steps, {summary['precision']}"
    ]
    lines += [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    for pair in summary.get("distances", ()):
        lines.append(
            f"largest distance between {' and '.join(pair['between'])}: "
            f"{pair['largest']:.3g} at step {pair['step']}"
        )
    return "\n".join(lines)
