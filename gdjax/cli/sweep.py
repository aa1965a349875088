"""``gdjax sweep``: many descents; what is missing is run, counted, drawn and told."""

import logging
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from omegaconf import DictConfig

from gdjax import metrics, plotting, results
from gdjax._descent.outcomes import Outcome, StoppingRule
from gdjax._sweep.engine import Sweep
from gdjax._sweep.estimate import estimate
from gdjax._sweep.outer import plans
from gdjax._util.errors import ArgumentError, check_known
from gdjax.cli.config import make_axes, make_several, make_starts, plain, settings
from gdjax.cli.output_folder import OutputFolder
from gdjax.objectives import Objective

log: logging.Logger = logging.getLogger(__name__)

ASKED = ("steps", "save_at", "classify_rest", "tolerance", "gradient", "dtype", "chunk")


def sweep(config: DictConfig, folder: OutputFolder) -> int | None:
    """Run a sweep, or what is missing of it; count, draw and tell what came out.

    With ``plan`` it is told what that would take, and nothing is computed or written.

    Without ``store`` the results lie beside the folder, in one named after what decides them, so
    that the same sweep finds what it has computed already.
    """
    objective, optimizer = make_several(config)
    stopping = StoppingRule(every=config.every) if config.stopping else False
    asked = plans(
        objective, optimizer, make_starts(config), make_axes(config),
        stopping=stopping, **settings(config, *ASKED),
    )  # fmt: skip
    prepared = Sweep(asked, config.devices, config.kernel, in_memory=False)
    plots = _checked_plots(config, prepared)
    name = objective.name if isinstance(objective, Objective) else "objectives"
    digest = f"{name}-{prepared.digest}.zarr"
    store = Path(config.store or folder.path.parent / "stores" / digest)
    if config.plan:
        print(f"{estimate(prepared)}\nstore     {store}, {_progress(store)}")
        return None
    before = _evaluations(store)
    began = time.perf_counter()
    found = _completed(prepared, store)
    seconds = time.perf_counter() - began
    summary = _count([one.objective for one in asked.by_objective], found) | {
        "store": str(store),
        "seconds": round(seconds, 3),
    }
    for name, earlier in zip(("descents", "gradient_evaluations"), before, strict=True):
        summary[f"{name}_now"] = summary[name] - earlier
    summary["pictures"] = folder.pictures(plotting.sweep_pictures(found, objective, plots))
    names = [*summary["pictures"]]
    if config.parquet:
        names.append("results.parquet")
        results.to_parquet(store, folder.file("results.parquet"))
    folder.summary(summary)
    log.info(_sweep_table(summary))
    folder.tell(names)
    log.info("%s", store)
    return 0


def _checked_plots(config: DictConfig, prepared: Sweep) -> list[str] | None:
    """The names of the pictures that are asked for; None for all that suit."""
    plots = plain(config.plots)
    for name in plots or ():
        check_known("picture", name, plotting.PICTURES)
        if name == "paths" and "points" not in prepared.layout.variables:
            raise ArgumentError("plots can show paths of recorded steps only: add save_at=all")
    return plots


def _completed(prepared: Sweep, store: Path) -> xr.Dataset:
    """All results of a sweep; one that is interrupted says how much of it is in the store."""
    try:
        return prepared.run(store, progress=sys.stderr.isatty())
    except KeyboardInterrupt:
        if store.is_dir():
            done = results.open_results(store, variables=["outcome"])["outcome"].values >= 0
            log.warning(
                "interrupted: %s of %s descents are in %s; the same command continues",
                f"{int(done.sum()):,}", f"{done.size:,}", store,
            )  # fmt: skip
        raise


def _evaluations(store: Path) -> tuple[int, int]:
    """How many descents a store holds already, and the gradient evaluations that they took."""
    if not store.is_dir() or not any(store.iterdir()):
        return 0, 0
    taken = results.open_results(store, variables=["evaluations"])["evaluations"].values
    return int((taken >= 0).sum()), int(taken.sum(where=taken >= 0, dtype=np.int64))


def _progress(store: Path) -> str:
    """How much of a sweep is in its store."""
    if not (descents := _evaluations(store)[0]):
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

    return re.sub(r"([\w.]+)=([^,()]+)", setting, first)


def _each(found: xr.Dataset, name: str) -> list[str]:
    """What an attribute is for each kernel, once each."""
    told = found.attrs[name]
    return [*dict.fromkeys(map(str, told if isinstance(told, list) else [told]))]


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _time(summary: Mapping[str, Any]) -> str:
    """How long it took, and how fast what was computed now was computed."""
    seconds, evaluations = summary["seconds"], summary["gradient_evaluations_now"]
    if not summary["descents_now"]:
        return f"{seconds:.3g} s, all read from the store"
    rest = summary["descents"] - summary["descents_now"]
    kept = f" for {_many(summary['descents_now'], 'descent')}, the others were in the store"
    return (
        f"{seconds:.3g} s{kept if rest else ''}, "
        f"{evaluations / max(seconds, 1e-9) / 1e6:.3g} million gradients a second, "
        f"{summary['kernel']} kernel"
        + (f" ({summary['kernel_reason']})" if summary["kernel_reason"] else "")
    )


def _count(works: Sequence[Objective], found: xr.Dataset) -> dict[str, Any]:
    """What became of a sweep's descents, in numbers."""
    outcome, minimum = found["outcome"].values, found["minimum"]
    along = ("objective",) if "objective" in minimum.dims else ()
    many = [len(f.minima) for f in works]
    known = xr.DataArray(many if along else many[0], dims=along)
    reached = ((minimum >= 0) & (minimum < known)).values
    share = metrics.success_rate(reached)
    arrived = found["steps_to_tolerance"].values
    quartiles = np.ravel(metrics.steps_quantile(arrived, np.array([0.25, 0.5, 0.75])))
    return {
        "objective": ", ".join(f.name for f in works),
        "formula": ", ".join(f.latex for f in works),
        "optimizer": _with_ranges(found),
        "descents": int(outcome.size),
        "axes": {str(dim): int(found.sizes[dim]) for dim in found["outcome"].dims},
        "dtype": found.attrs["dtype"],
        "kernel": ", ".join(_each(found, "kernel")),
        "kernel_reason": "; ".join(filter(None, _each(found, "kernel_reason"))),
        "outcomes": {str(o): int((outcome == o).sum()) for o in Outcome},
        "reached_global": int(reached.sum()),
        "share_global": [float(share.share), float(share.low), float(share.high)],
        "steps_to_tolerance": [None if np.isinf(q) else int(q) for q in quartiles],
        "gradient_evaluations": int(found["evaluations"].values.sum(dtype=np.int64)),
    }


def _sweep_table(summary: Mapping[str, Any]) -> str:
    """The outcome of a sweep as a short table."""
    starts, *axes = summary["axes"].items()
    size = " × ".join(
        [_many(starts[1], "start")]
        + [f"{_many(n, 'value')} of {name.replace('_', ' ')}" for name, n in axes]
    )
    share, low, high = (f"{100 * x:.4g}" for x in summary["share_global"])
    steps = ", ".join("never" if q is None else str(q) for q in summary["steps_to_tolerance"])
    counts = "  ".join(f"{name} {n:,}" for name, n in summary["outcomes"].items() if n)
    return "\n".join(
        [
            f"{summary['objective']}, {summary['optimizer']}: "
            f"{_many(summary['descents'], 'descent')} ({size}), {summary['dtype']}",
            f"outcomes            {counts}",
            f"global minimum      {share} % (95 % interval {low} to {high} %)",
            f"steps to tolerance  {steps} (quartiles of all descents)",
            f"time                {_time(summary)}",
        ]
    )
