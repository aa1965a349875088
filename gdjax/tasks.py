"""What the commands do: objectives and optimizers in, files and a summary out."""

import itertools
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from gdjax import plotting
from gdjax.descent import Precision, Trajectory, as_precision, descend
from gdjax.equivalence import EquivalenceReport, certify_equivalence, start_points, table
from gdjax.errors import ArgumentError, unknown
from gdjax.gradients import GradientReport, check_gradient, check_hessian
from gdjax.objectives import GradientSide, Objective
from gdjax.outcomes import Outcome
from gdjax.plotting import landscape

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
    certify: bool = False,
    format: str = "png",
    dpi: int = 150,
    axes: Sequence[int | str] | None = None,
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
        certify: whether to certify that the others are the same method as the first one.
        format: of the pictures: ``png``, ``svg`` or ``pdf``.
        dpi: dots per inch of the pictures.
        axes: the two components to draw, by number or by name; by default the first two.

    Returns:
        The summary, as ``summary.json`` has it.

    Raises:
        ArgumentError: as ``gdjax.descend`` does, before anything is written.
    """
    if format not in FORMATS:
        raise unknown("plot.format", format, FORMATS)
    if not dpi > 0:
        raise ArgumentError(f"plot.dpi must be positive, got {dpi}")
    landscape.pick(objective, axes)  # says early what is wrong with the choice
    paths = {
        label: descend(objective, optimizer, start, steps, gradient=gradient, precision=precision)
        for label, optimizer in optimizers.items()
    }
    first = next(iter(paths.values()))
    summary = {
        "objective": objective.name,
        "formula": objective.latex,
        "gradient_formula": objective.gradient_latex,
        "variables": list(objective.variables),
        "start": np.asarray(first.points[0], dtype=float).tolist(),
        "steps": steps,
        "gradient": gradient,
        "precision": str(first.points.dtype),
        "results": {label: _describe(objective, path) for label, path in paths.items()},
    }
    if distance:
        summary["distances"] = [_distance(paths, pair) for pair in itertools.combinations(paths, 2)]
    reports = []
    if certify:
        (_, first_one), *others = optimizers.items()
        reports = [
            certify_equivalence(
                first_one, other, objective, [first.points[0]], max(steps, 1),
                gradient=gradient, precision=str(first.points.dtype),  # type: ignore[arg-type]
            )
            for _, other in others
        ]  # fmt: skip
        summary["certificates"] = [
            {"a": r.a, "b": r.b, "verdict": r.verdict, "trials": [t._asdict() for t in r.trials]}
            for r in reports
        ]
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "comparison" if len(paths) > 1 else "trajectory": plotting.comparison(
            objective, paths, axes
        )
    }
    if objective.fit is not None and len(objective.fit.columns) == 1:
        figures["fit"] = plotting.fit(objective, paths)
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
    for report in reports:
        log.info("%s", report)
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


def certify(
    objectives: Iterable[Objective],
    pair: Callable[[float], tuple[optax.GradientTransformation, optax.GradientTransformation]],
    *,
    learning_rate: float | None = None,
    starts: int = 3,
    steps: int = 50,
    seed: int = 0,
    precisions: Sequence[Precision] = ("float32", "float64"),
    decaying: bool = False,
) -> list[EquivalenceReport]:
    """Certify two optimizers as one method on every objective, and say how it went, in a table.

    Args:
        objectives: what to descend, one after the other.
        pair: learning rate → the two optimizers.
        learning_rate: None takes 1/L on each, with L the largest curvature at the starts.
        starts: how many; the objective's own and others drawn in the domain.
        steps: number of steps from each start.
        seed: of the draw.
        precisions: in which the steps are taken.
        decaying: whether to try a decaying learning rate as well.

    Raises:
        ArgumentError: as ``gdjax.certify_equivalence`` does.
    """
    reports, rows = [], [("objective", "precision", "point", "carried", "steps", "verdict")]
    for objective in objectives:
        points = start_points(objective, starts, seed)
        rate = learning_rate or _inverse_curvature(objective, points)
        for precision in precisions:
            report = certify_equivalence(
                *pair(rate), objective, points, steps, precision=precision, schedule=decaying
            )
            reports.append(report)
            trial = report.trials[0]
            numbers = f"{trial.ulps:.3g}", f"{trial.carried:.3g}", str(trial.steps)
            rows.append((objective.name, precision, *numbers, report.verdict))
    log.info(table(rows))
    first, ulps = reports[0], [report.trials[0].ulps for report in reports]
    log.info("a = %s\nb = %s", first.a, first.b)
    log.info(
        "at every step the same %s; learning rate %s; the next points are at most 2 ulps apart in "
        "%d of %d, %.3g in the worst%s",
        first.trials[0].forced, "1/L" if learning_rate is None else learning_rate,
        sum(value <= 2 for value in ulps), len(ulps), max(ulps),
        ", as seven roundings can add up" * (2 < max(ulps) <= 8),
    )  # fmt: skip
    return reports


def _inverse_curvature(objective: Objective, points: np.ndarray) -> float:
    """1/L, with L the largest curvature at the points; where all are flat, a slow 1/100."""
    with as_precision("float64"):
        hessians = np.asarray(jax.jit(jax.vmap(jax.hessian(objective.fn)))(points))
    curvature = np.linalg.norm(hessians[np.isfinite(hessians).all((1, 2))], 2, (1, 2))
    return 1 / float(curvature.max()) if curvature.any() else 0.01


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
        named = zip(summary["variables"], result["final_point"], strict=True)
        point = [f"{name}={x:.6g}" for name, x in list(named)[:4]]
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
