"""Descents from one start, as ``run`` and ``compare`` describe, draw, write and tell them."""

import logging
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from gdjax import plotting
from gdjax._descent.outcomes import Outcome
from gdjax._descent.trajectory import Trajectory
from gdjax._util.display import aligned
from gdjax._util.errors import ArgumentError
from gdjax.cli.advice import advice
from gdjax.cli.config import picked
from gdjax.cli.jobs import Done
from gdjax.cli.output_folder import OutputFolder
from gdjax.cli.settings import Compare, PathPlot, Run
from gdjax.comparison.comparison import Rates, rate_text, rates
from gdjax.objectives import Objective
from gdjax.objectives.structure import component_names
from gdjax.optimizers import Optimizer
from gdjax.plotting import hills, landscape
from gdjax.regressions import Regression, regression

log: logging.Logger = logging.getLogger(__name__)

FEW = 10  # components of a start that are told
ASKED = ("start", "steps", "gradient", "dtype")  # what a config says of a descent


def check_look(objective: Objective, plot: PathPlot) -> None:
    """Say what is wrong with how paths are to be drawn before anything runs."""
    picked = (0,) if objective.dim == 1 else landscape.pick(objective, plot.axes)
    start = np.asarray(objective.start, dtype=float)[None]
    window = landscape.frame(objective, [start], picked, plot.window)
    landscape.shades_of(plot.cmap)
    if objective.dim > 1:
        hills.camera(plot.view, start[0], window)


def labels(optimizers: Mapping[str, Optimizer]) -> dict[str, str]:
    """What each is called: as it is written, and of two that are the same the second with its key.

    Example:
        >>> import gdjax
        >>> labels({"a": gdjax.heavy_ball(0.1), "b": gdjax.heavy_ball(0.1)})["b"]
        'heavy_ball(learning_rate=0.1, momentum=0.9) [b]'
    """
    found: dict[str, str] = {}
    for key, optimizer in optimizers.items():
        label = repr(optimizer)
        found[key] = f"{label} [{key}]" if label in found.values() else label
    return found


def finish(
    objective: Objective,
    optimizers: Mapping[str, Optimizer],
    paths: Mapping[str, Trajectory],
    asked: Run | Compare,
    folder: OutputFolder,
) -> Done:
    """Describe paths and leave them; what they come to is the least of their values."""
    paths = {label: flat(objective, path) for label, path in paths.items()}
    measured = {label: rates(objective, optimizers[label], path) for label, path in paths.items()}
    summary = describe(objective, paths, measured, picked(asked, *ASKED))
    leave(objective, optimizers, paths, summary, folder, asked.plot)
    return Done(min(result["compared_by"] for result in summary["results"].values()))


def flat(objective: Objective, path: Trajectory) -> Trajectory:
    """A path whose points are vectors, ``(steps + 1, d)``, whatever the objective's structure."""
    evaluated = path.eval_point
    if evaluated is not None:
        evaluated = objective.flat(evaluated, "the evaluation point")
    return path._replace(points=objective.flattened(path.points), eval_point=evaluated)


def describe(
    objective: Objective,
    paths: Mapping[str, Trajectory],
    measured: Mapping[str, Rates],
    asked: Mapping[str, Any],
) -> dict[str, Any]:
    """Descents in numbers and words, as ``summary.json`` has them.

    Args:
        objective: what was descended.
        paths: trajectories by label.
        measured: their rates, by label.
        asked: the config's settings ``ASKED``.
    """
    first = next(iter(paths.values()))
    return {
        "objective": objective.name,
        "formula": objective.latex,
        "gradient_formula": objective.gradient_latex,
        "variables": list(objective.variables),
        "coordinates": objective.coordinates and str(objective.coordinates),
        "start": np.asarray(first.points[0], dtype=float).tolist(),
        "steps": asked["steps"],
        "gradient": asked["gradient"],
        "dtype": str(first.points.dtype),
        "results": {
            label: _described(objective, path, measured[label]) for label, path in paths.items()
        },
    }


def _described(objective: Objective, path: Trajectory, measured: Rates) -> dict[str, Any]:
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
        "best_step": int(path.best_step),
        "best_point": np.asarray(path.points, dtype=float)[path.best_step].tolist(),
        "eval_value": None if path.eval_value is None else float(path.eval_value),
        "eval_point": None if path.eval_point is None else np.asarray(path.eval_point).tolist(),
        "compared_by": path.final_value,
        "remark": path.remark,
        "final_point": np.asarray(path.points, dtype=float)[last].tolist(),
        "finite_steps": last,
        "rate_predicted": measured.predicted,
        "rate_measured": measured.measured,
    }


def leave(
    objective: Objective,
    optimizers: Mapping[str, Optimizer],
    paths: Mapping[str, Trajectory],
    summary: dict[str, Any],
    folder: OutputFolder,
    plot: PathPlot,
    remarks: Iterable[object] = (),
) -> None:
    """Draw the paths, write them and their summary, and tell it: a table, remarks, pictures."""
    several, answer = len(paths) > 1, _answer(objective, summary)
    summary["hints"] = [*advice(objective, optimizers, paths, answer)]
    summary["pictures"] = folder.pictures(_drawn(objective, paths, plot)) if folder.draws else []
    if plot.animate:
        summary["pictures"].append("animation.gif")
        race = plotting.animate(
            objective, paths, plot.axes, plot.drape, window=plot.window, view=plot.view,
            cmap=plot.cmap,
        )  # fmt: skip
        with folder.file("animation.gif") as file:
            race.save(file, progress=sys.stderr.isatty())
    arrays = {
        f"{field}_{i}" if several else field: np.asarray(value)
        for i, path in enumerate(paths.values())
        for field, value in path._asdict().items()
        if value is not None
    }
    folder.arrays("trajectory.npz", arrays | {"labels": np.array(list(paths))})
    folder.summary(summary)
    log.info(_table(summary))
    if answer is not None:
        folder.numbers("fit.json", answer.as_dict())
        log.info("%s", answer)
    for remark in (*remarks, *summary["hints"]):
        log.info("%s", remark)
    folder.tell(summary["pictures"])


def _answer(objective: Objective, summary: Mapping[str, Any]) -> Regression | None:
    """What a fit says of its parameters, at the lowest of the ends."""
    if objective.fit is None or objective.residuals is None:
        return None
    ends = [r for r in summary["results"].values() if np.isfinite(r["final_value"])]
    if not ends:
        return None
    try:
        best = min(ends, key=lambda result: result["final_value"])
        return regression(objective, best["final_point"])
    except ArgumentError as error:  # fewer observations than parameters, or no slopes there
        log.info("%s", error)
        return None


def _drawn(objective: Objective, paths: Mapping[str, Trajectory], plot: PathPlot) -> dict[str, Any]:
    """The pictures of descents, by name."""
    name = "comparison" if len(paths) > 1 else "trajectory"
    figures = {
        name: plotting.comparison(
            objective, paths, plot.axes, plot.drape, window=plot.window, view=plot.view,
            cmap=plot.cmap,
        )
    }  # fmt: skip
    if objective.fit is not None:
        figures["fit"] = plotting.fit(objective, paths)
    figures["convergence"] = plotting.convergence(objective, paths)
    return figures


def _table(summary: Mapping[str, Any]) -> str:
    """The outcome as a short table."""
    names, start = summary["variables"], [f"{x:g}" for x in summary["start"][:FEW]]
    if tuple(names) != component_names(len(names)):
        start = [f"{name}={x}" for name, x in zip(names, start, strict=False)]
    more = ", …" * (len(names) > FEW)
    begun = f"{', '.join(start)}{more}" if "=" in start[0] else f"({', '.join(start)}{more})"
    head = "optimizer", "outcome", "minimum", "final value", "final point"
    rows: list[tuple[str, ...]] = [(*head, "rate by theory", "measured")]
    for label, result in summary["results"].items():
        named = zip(summary["variables"], result["final_point"], strict=True)
        point = [f"{name}={x:.6g}" for name, x in list(named)[:4]]
        point += ["…"] * (len(result["final_point"]) > 4)
        minimum = f"{result['reached']} #{result['minimum']}" if result["reached"] else "none"
        if result["outcome"] == str(Outcome.CONVERGED) and not result["reached"]:
            minimum = "not listed"
        rates = rate_text(result["rate_predicted"]), rate_text(result["rate_measured"])
        value = f"{result['compared_by']:.8g}"
        rows.append((label, result["outcome"], minimum, value, f"({', '.join(point)})", *rates))
    return "\n".join(
        [
            f"{summary['objective']} from {begun}, {summary['steps']} steps, {summary['dtype']}",
            aligned(rows),
            *(f"{label}: {r['remark']}" for label, r in summary["results"].items() if r["remark"]),
            *(
                f"largest distance between {' and '.join(pair['between'])}: "
                f"{pair['largest']:.3g} at step {pair['step']}"
                for pair in summary.get("distances", ())
            ),
        ]
    )
