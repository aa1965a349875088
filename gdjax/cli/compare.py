"""What the commands do: objectives and optimizers in, files and a summary out."""

import itertools
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optax

from gdjax import plotting
from gdjax._descent.outcomes import Outcome
from gdjax._descent.trajectory import Trajectory
from gdjax._inputs import DType
from gdjax.certificates import certify_equivalence
from gdjax.comparison import comparison as side_by_side
from gdjax.objectives import GradientSide, Objective
from gdjax.plotting import landscape

log = logging.getLogger(__name__)


def compare(
    objective: Objective,
    optimizers: Mapping[str, optax.GradientTransformation],
    folder: Path,
    *,
    start: Sequence | None = None,
    steps: int = 100,
    gradient: GradientSide = "autodiff",
    dtype: DType | None = None,
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
        dtype: ``float32`` or ``float64``.
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
    plotting.check_output(format, dpi)
    landscape.pick(objective, axes)  # says early what is wrong with the choice
    found = side_by_side.compare(
        objective, optimizers, start, steps, gradient=gradient, dtype=dtype
    )
    paths = found.paths
    first = next(iter(paths.values()))
    summary = {
        "objective": objective.name,
        "formula": objective.latex,
        "gradient_formula": objective.gradient_latex,
        "variables": list(objective.variables),
        "start": np.asarray(first.points[0], dtype=float).tolist(),
        "steps": steps,
        "gradient": gradient,
        "dtype": str(first.points.dtype),
        "results": {
            label: _describe(objective, path)
            | {"rate_predicted": found.rates[label].predicted}
            | {"rate_measured": found.rates[label].measured}
            for label, path in paths.items()
        },
    }
    if distance:
        summary["distances"] = [_distance(paths, pair) for pair in itertools.combinations(paths, 2)]
    reports = []
    if certify:
        (_, first_one), *others = optimizers.items()
        reports = [
            certify_equivalence(
                first_one, other, objective, [first.points[0]], max(steps, 1),
                gradient=gradient, dtype=str(first.points.dtype),  # type: ignore[arg-type]
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
    head = "optimizer", "outcome", "minimum", "final value", "final point"
    rows: list[tuple[str, ...]] = [(*head, "rate by theory", "measured")]
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
                side_by_side.rate_text(result["rate_predicted"]),
                side_by_side.rate_text(result["rate_measured"]),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{summary['objective']} from ({start}), {summary['steps']} steps, {summary['dtype']}"]
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
