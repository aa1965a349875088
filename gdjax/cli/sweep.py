"""``gdjax sweep``: many descents; what is missing is run, counted, drawn and told."""

import logging
import math
import re
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
import xarray as xr

from gdjax import metrics, plotting, results
from gdjax._descent.outcomes import Outcome, StoppingRule
from gdjax._sweep.engine import Sweep
from gdjax._sweep.estimate import estimate
from gdjax._sweep.outer import Plans, plans
from gdjax._util import signals
from gdjax._util.errors import ArgumentError, check_known
from gdjax.cli import clusters, ends, settings
from gdjax.cli.config import make_axes, make_several, make_starts, picked
from gdjax.cli.jobs import Done
from gdjax.cli.output_folder import OutputFolder, file_name
from gdjax.objectives import Objective
from gdjax.results.places import Place, place_of

log: logging.Logger = logging.getLogger(__name__)

PICTURED = ("outcome", "minimum", "steps_to_tolerance")  # what pictures read
REHEARSED = 200_000  # descents, of which pictures are tried before they are computed
ASKED = ("steps", "save_at", "classify_rest", "keep", "tolerance", "gradient", "dtype", "chunk")


def sweep(asked: settings.Sweep, folder: OutputFolder) -> Done | None:
    """Run a sweep, or what is missing of it; count, draw and tell what came out.

    With ``plan`` it is told what that would take, and nothing is computed or written.

    Without ``store`` the results lie beside the folder, in one named after what decides them, so
    that the same sweep finds what it has computed already.

    Its number is what ``objective_value`` names.
    """
    objective, optimizer = make_several(asked)
    stopping = StoppingRule(every=asked.every) if asked.stopping else False
    planned = plans(
        objective, optimizer, make_starts(asked), make_axes(asked),
        stopping=stopping, **picked(asked, *ASKED),
    )  # fmt: skip
    prepared = Sweep(planned, asked.devices, asked.kernel, in_memory=False)
    plots = _checked_plots(asked.plots, prepared, objective)
    _check_value(asked.objective_value, prepared, planned)
    name = objective.name if isinstance(objective, Objective) else "objectives"
    digest = f"{file_name(name)}-{prepared.digest}.zarr"
    store = place_of(asked.store or folder.path.parent / "stores" / digest)
    if asked.plan:
        there = _progress(prepared, store, asked.accept_version)
        print(f"{estimate(prepared)}\nstore     {store}, {there}")
        return None
    before = _ready(prepared, store, asked.accept_version)
    began = time.perf_counter()
    with clusters.executor(asked.engine) as executor:
        found = _completed(prepared, store, asked.accept_version, executor)
    seconds = time.perf_counter() - began
    works = [one.objective for one in planned.by_objective]
    summary = _count(works, found) | {
        "ends": ends.described(works, found),
        "store": str(store),
        "seconds": round(seconds, 3),
    }
    for name, earlier in before.items():
        summary[f"{name}_now"] = summary[name] - earlier
    drawn = folder.draws and plots != []
    pictures = plotting.sweep_pictures(found, objective, plots) if drawn else {}
    summary["pictures"] = folder.pictures(pictures)
    names = [*summary["pictures"]]
    folder.summary(summary)
    if asked.parquet:
        names.append("results.parquet")
        results.to_parquet(str(store), folder.path / names[-1])
    log.info(_sweep_table(summary))
    folder.tell(names)
    log.info("%s", store)
    higher = asked.objective_value in (None, "share_global", "share_target")
    return Done(_value(asked.objective_value, summary, found), higher=higher)


def _checked_plots(plots: list[str] | None, prepared: Sweep, objective: Any) -> list[str] | None:
    """The names of the pictures that are asked for; None for all that suit.

    Those asked for are drawn once of what the sweep might find, so that each says itself, before
    anything is computed, what it cannot be drawn of.
    """
    if lacking := [name for name in PICTURED if name not in prepared.layout.variables]:
        if plots:
            raise ArgumentError(f"plots need {', '.join(PICTURED)}: keep {', '.join(lacking)} too")
        return []
    for name in plots or ():
        check_known("picture", name, plotting.PICTURES)
        if name == "paths" and "points" not in prepared.layout.variables:
            raise ArgumentError("plots can show paths of recorded steps only: add save_at=all")
    if plots and 0 < prepared.layout.cells <= REHEARSED:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                plotting.sweep_pictures(_as_if_done(prepared.layout), objective, plots)
            except ArgumentError as error:
                raise ArgumentError(f"plots cannot be drawn of this sweep: {error}") from error
            except ArithmeticError:  # of numbers that are not those of a sweep
                pass
    return plots


def _as_if_done(layout: results.Layout) -> xr.Dataset:
    """What a sweep of this layout might find: every descent at the first minimum after a step."""
    found = {"outcome": Outcome.CONVERGED, "steps_to_tolerance": 1, "steps": 1}
    arrays = {
        name: np.broadcast_to(
            np.array(found.get(name, 0), variable.dtype), (layout.cells, *variable.shape)
        )
        for name, variable in layout.variables.items()
    }
    return results.dataset(layout, arrays)


def _check_value(name: str | None, prepared: Sweep, planned: Plans) -> None:
    """Refuse a number that what is kept, or what is swept, does not tell."""
    if name is not None and (needs := VALUES[name][0]) not in prepared.layout.variables:
        raise ArgumentError(f"objective_value={name} needs {needs}: keep {needs} too")
    if name != "share_target":
        return
    if all(one.objective.target is None for one in planned.by_objective):
        raise ArgumentError("objective_value=share_target needs a target, such as target=0.05")


def _value(name: str | None, summary: Mapping[str, Any], found: xr.Dataset) -> float | None:
    """The number that a sweeper optimises; the share, if nothing is named and it can be told."""
    if name is None:
        shares = [summary[key][0] for key in ("share_target", "share_global") if key in summary]
        return shares[0] if shares else None
    variable, reduced = VALUES[name]
    return float(reduced(found[variable].values, summary))


def _share(minimum: np.ndarray, summary: Mapping[str, Any]) -> float:
    del minimum  # it has been counted
    return summary["share_global"][0]


def _share_of_target(steps: np.ndarray, summary: Mapping[str, Any]) -> float:
    del steps
    return summary["share_target"][0]


def _least(final: np.ndarray, summary: Mapping[str, Any]) -> float:
    del summary
    return np.where(np.isfinite(final), final, np.inf).min()


def _middle(final: np.ndarray, summary: Mapping[str, Any]) -> float:
    del summary
    return float(np.quantile(np.where(np.isfinite(final), final, np.inf), 0.5, method="higher"))


def _steps(steps: np.ndarray, summary: Mapping[str, Any]) -> float:
    del steps
    middle = summary["steps_to_tolerance"][1]
    return math.inf if middle is None else middle


# What objective_value may name: the variable that it needs, and how it comes out of that.
VALUES = {
    "share_global": ("minimum", _share),
    "share_target": ("steps_to_tolerance", _share_of_target),
    "best_value": ("final_value", _least),
    "median_value": ("final_value", _middle),
    "median_steps": ("steps_to_tolerance", _steps),
}


def _completed(
    prepared: Sweep, store: Place, accept_version: bool, executor: Executor | None
) -> xr.Dataset:
    """All results of a sweep; one that is interrupted says how much of it is in the store."""

    def tell() -> None:
        if not store.is_empty():
            ready = _ready(prepared, store, accept_version)["descents"]
            cells = prepared.layout.cells
            print(f"{ready:,} of {cells:,} descents are in {store}; the same command continues")

    with signals.before_end(tell), warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: log.warning("%s", message)
        return prepared.run(str(store), sys.stderr.isatty(), accept_version, executor)


def _ready(prepared: Sweep, store: Place, accept_version: bool) -> dict[str, int]:
    """How many descents a store holds already, and the gradient evaluations that they took."""
    layout, there = prepared.layout, None
    left = layout.cells
    if not store.is_empty():
        there = results.Store.open(str(store), layout, accept_version=accept_version)
        left = sum(cells.stop - cells.start for cells in map(layout.bounds, there.missing()))
    ready = {"descents": layout.cells - left}
    if "evaluations" in layout.variables:
        ready["gradient_evaluations"] = 0
        if there is not None and ready["descents"]:
            found = there.results(["evaluations"])["evaluations"].values
            ready["gradient_evaluations"] = int(found.sum(where=found >= 0, dtype=np.int64))
    return ready


def _progress(prepared: Sweep, store: Place, accept_version: bool) -> str:
    """How much of a sweep is in its store."""
    if not (descents := _ready(prepared, store, accept_version)["descents"]):
        return "nothing in it yet"
    return f"{_many(descents, 'descent')} in it already"


def _with_ranges(found: xr.Dataset) -> str:
    """The optimizer with the range of what was swept, as heavy_ball(learning_rate=0.1…0.5)."""
    first, *others = _each(found, "optimizer")
    if others:
        return ", ".join(dict.fromkeys(text.partition("(")[0] for text in (first, *others)))

    def setting(match: re.Match) -> str:
        name = match[1]
        if name not in found.coords or name == "start":
            return match[0]
        values = found[name].values
        if values.dtype.kind not in "fiu":
            return match[0]
        ends = f"{values.min():g}", f"{values.max():g}"
        return f"{name}={'…'.join(dict.fromkeys(ends))}"

    return re.sub(r"([\w.]+(?:\[[^=]*\])?[\w.]*)=([^,()]+)", setting, first)


def _each(found: xr.Dataset, name: str) -> list[str]:
    """What an attribute is for each kernel, once each."""
    told = found.attrs[name]
    return [*dict.fromkeys(map(str, told if isinstance(told, list) else [told]))]


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _time(summary: Mapping[str, Any]) -> str:
    """How long it took, and how fast what was computed now was computed."""
    seconds, evaluations = summary["seconds"], summary.get("gradient_evaluations_now")
    if not summary["descents_now"]:
        return f"{seconds:.3g} s, all read from the store"
    rest = summary["descents"] - summary["descents_now"]
    kept = f" for {_many(summary['descents_now'], 'descent')}, the others were in the store"
    speed = ""
    if evaluations is not None:
        speed = f"{evaluations / max(seconds, 1e-9) / 1e6:.3g} million gradients a second, "
    return (
        f"{seconds:.3g} s{kept if rest else ''}, {speed}{summary['kernel']} kernel"
        + (f" ({summary['kernel_reason']})" if summary["kernel_reason"] else "")
    )  # fmt: skip


def _count(works: Sequence[Objective], found: xr.Dataset) -> dict[str, Any]:
    """What became of a sweep's descents, in numbers: as far as they are kept."""
    sizes = next(iter(found.values())).sizes
    axes = {str(dim): n for dim, n in sizes.items() if dim not in ("component", "record")}
    told: dict[str, Any] = {
        "objective": ", ".join(f.name for f in works),
        "formula": ", ".join(f.latex for f in works),
        "optimizer": _with_ranges(found),
        "descents": math.prod(axes.values()),
        "axes": axes,
        "dtype": found.attrs["dtype"],
        "kernel": ", ".join(_each(found, "kernel")),
        "kernel_reason": "; ".join(filter(None, _each(found, "kernel_reason"))),
    }
    if "outcome" in found:
        told["outcomes"] = {str(o): int((found["outcome"].values == o).sum()) for o in Outcome}
    aimed = any(f.target is not None for f in works)
    if "minimum" in found and not (aimed and all(f.fmin is None for f in works)):
        minimum = found["minimum"]
        along = ("objective",) if "objective" in minimum.dims else ()
        many = [len(f.minima) for f in works]
        known = xr.DataArray(many if along else many[0], dims=along)
        reached = ((minimum >= 0) & (minimum < known)).values
        share = metrics.success_rate(reached)
        told["reached_global"] = int(reached.sum())
        told["share_global"] = [float(share.share), float(share.low), float(share.high)]
    if "steps_to_tolerance" in found:
        arrived = found["steps_to_tolerance"].values
        quartiles = np.ravel(metrics.steps_quantile(arrived, np.array([0.25, 0.5, 0.75])))
        told["steps_to_tolerance"] = [None if np.isinf(q) else int(q) for q in quartiles]
        if aimed:
            share = metrics.success_rate(arrived >= 0)
            told["target"] = ", ".join(dict.fromkeys(str(f.target) for f in works if f.target))
            told["share_target"] = [float(share.share), float(share.low), float(share.high)]
    if "evaluations" in found:
        told["gradient_evaluations"] = int(found["evaluations"].values.sum(dtype=np.int64))
    return told


def _interval(share: Sequence[float]) -> str:
    """A share with its interval."""
    middle, low, high = (f"{100 * x:.4g}" for x in share)
    return f"{middle} % (95 % interval {low} to {high} %)"


def _sweep_table(summary: Mapping[str, Any]) -> str:
    """The outcome of a sweep as a short table."""
    starts, *axes = summary["axes"].items()
    size = " × ".join(
        [_many(starts[1], "start")]
        + [f"{_many(n, 'value')} of {name.replace('_', ' ')}" for name, n in axes]
    )
    lines = [
        f"{summary['objective']}, {summary['optimizer']}: "
        f"{_many(summary['descents'], 'descent')} ({size}), {summary['dtype']}"
    ]
    if "outcomes" in summary:
        counts = "  ".join(f"{name} {n:,}" for name, n in summary["outcomes"].items() if n)
        lines.append(f"outcomes            {counts}")
    known = not summary.get("ends")  # of a fit no minimum is known
    if "share_global" in summary and known:
        lines.append(f"global minimum      {_interval(summary['share_global'])}")
    if "share_target" in summary:
        lines.append(f"{summary['target']:18}  {_interval(summary['share_target'])}")
    if "steps_to_tolerance" in summary and known:
        steps = ", ".join("never" if q is None else str(q) for q in summary["steps_to_tolerance"])
        what = "target" if "share_target" in summary else "tolerance"
        lines.append(f"{f'steps to {what}':18}  {steps} (quartiles of all descents)")
    if summary.get("ends"):
        lines += ends.table(summary["ends"])
    return "\n".join([*lines, f"time                {_time(summary)}"])
