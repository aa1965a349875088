"""The tables, the Parquet file, the plots and the README's section."""

import math
import platform
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import jax
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from gdjax.plotting import style

from .data import OverData
from .first_result import FirstResult
from .goals import Goal, of_the_goals
from .implementations import GDJAX, GDJAX_LAST, IMPLEMENTATIONS, LAST, ON_CPU
from .measure import Timing
from .nets import OverNetwork

BLOCK = re.compile(r"(<!-- benchmark -->\n).*?(<!-- /benchmark -->)", re.S)


def machine(processors: int) -> str:
    """The machine in a line."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = re.findall(r"model name\s*: (.*)", info.read_text())
        name = models[0].strip() if models else name
    device = jax.devices()[0]
    on = "" if device.platform == "cpu" else f", {len(jax.devices())} × {device.device_kind}"
    return (
        f"{name}, {processors} cores{on}, JAX {jax.__version__}, Python {platform.python_version()}"
    )


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table."""
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines)) + "\n"


def number(value: float) -> str:
    """Three digits, or a dash."""
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def goal_table(goals: Sequence[Goal]) -> str:
    """Every goal with its measurement."""
    lines = [
        [g.text, f"{'≥' if g.least else '≤'} {g.wanted:g}", number(g.measured), g.met, g.note]
        for g in goals
    ]
    return markdown(["goal", "wanted", "measured", "met", "how"], lines)


def shown(timings: Sequence[Timing]) -> list[Timing]:
    """What the goals are about, or else the largest size of the first kind that was measured."""
    if chosen := of_the_goals(timings):
        return chosen
    timings = [t for t in timings if t.series == "implementations"]
    kinds = [(t.dtype, t.keep) for t in timings]
    largest = max((t.starts, t.steps) for t, kind in zip(timings, kinds, strict=True)
                  if kind == kinds[0])  # fmt: skip
    return [t for t, kind in zip(timings, kinds, strict=True)
            if kind == kinds[0] and (t.starts, t.steps) == largest]  # fmt: skip


def ratio_table(timings: Sequence[Timing], own: str = GDJAX) -> str:
    """How many times as fast gdjax is as each implementation; of those that keep less, like it."""
    chosen = shown(timings)
    if own != GDJAX:
        chosen = [t for t in chosen if IMPLEMENTATIONS[t.implementation].note == LAST]
    rates = {(t.implementation, t.workload): t.rate for t in chosen}
    if own not in {t.implementation for t in chosen}:
        return ""
    starts, steps = chosen[0].starts, chosen[0].steps
    workloads = list(dict.fromkeys(t.workload for t in chosen))
    lines = [
        [name, *(number(rates.get((own, w), math.nan) / rates[name, w]) for w in workloads)]
        for name in dict.fromkeys(t.implementation for t in chosen)
        if name not in (GDJAX, GDJAX_LAST)
        and any(not math.isnan(rates[name, w]) for w in workloads)
    ]
    rate = [number(rates.get((own, w), math.nan) / 1e6) for w in workloads]
    lines.append([f"*{own}, million steps a second*", *rate])
    kind = f"{chosen[0].dtype}, {IMPLEMENTATIONS[own].note if own != GDJAX else chosen[0].keep}"
    title = f"gdjax is … times as fast as ({starts:,} starts × {steps} steps, {kind})"
    return markdown([title, *workloads], lines)


def data_table(found: Sequence[OverData]) -> str:
    """Losses over data: how many times as fast as the bare scan, and the first calls."""
    lines = [
        [f"{r.loss}, {r.cells} × {r.rows:,} × {r.steps}", number(1e3 * r.scan),
         number(r.scan / r.last),
         number(r.scan / r.summary), f"{number(r.first_scan)}, {number(r.first)}"]
        for r in found
    ]  # fmt: skip
    head = ["loss over data, descents × rows × steps", "bare scan, ms",
            "times as fast: last point", "whole summary", "first call, s: scan, gdjax"]  # fmt: skip
    return markdown(head, lines)


def network_table(found: Sequence[OverNetwork]) -> str:
    """Networks: how many times as fast as the bare scan, the first calls, and the memory."""
    lines = [
        [f"{r.network}, {r.dim:,} × {r.cells:,} × {r.steps}", number(1e3 * r.scan),
         number(r.scan / r.last), number(r.scan / r.summary),
         f"{number(r.first_scan)}, {number(r.first)}",
         f"{number(r.memory_scan / 1e6)}, {number(r.memory / 1e6)}"]
        for r in found
    ]  # fmt: skip
    head = ["network, parameters × descents × steps", "bare scan, ms",
            "times as fast: last point", "whole summary", "first call, s: scan, gdjax",
            "memory of a call, MB: scan, gdjax"]  # fmt: skip
    return markdown(head, lines)


def first_table(found: Sequence[FirstResult]) -> str:
    """Seconds to the first result, and how many times as long as gdjax takes in the same state."""
    workloads = list(dict.fromkeys(r.workload for r in found))
    rows = {(r.implementation, r.state, r.workload): r for r in found}
    lines = []
    for name, state in dict.fromkeys((name, state) for name, state, _ in rows):
        chosen = [rows[name, state, workload] for workload in workloads]
        own = [rows.get((GDJAX, state, workload)) for workload in workloads]
        cells = [
            r.reason or f"{number(r.seconds)} ({number(r.seconds / o.seconds if o else math.nan)})"
            for r, o in zip(chosen, own, strict=True)
        ]
        lines.append([f"{name}, {state}", number(chosen[0].importing), *cells])
    one = found[0]
    title = f"seconds to the first result in a new process ({one.starts:,} × {one.steps}, float32)"
    return markdown([title, "imports", *(f"{w} (times gdjax's)" for w in workloads)], lines)


def full_table(timings: Sequence[Timing]) -> str:
    """Every measurement of every implementation, and why the others are missing."""
    parts = []
    groups = dict.fromkeys((t.dtype, t.keep, t.starts, t.steps) for t in timings
                           if t.series == "implementations")  # fmt: skip
    for group in groups:
        chosen = [t for t in timings if t.series == "implementations"
                  and (t.dtype, t.keep, t.starts, t.steps) == group]  # fmt: skip
        dtype, keep, starts, steps = group
        parts.append(f"### {dtype}, {keep}, {starts:,} starts × {steps:,} steps\n")
        parts.append(markdown(
            ["workload", "implementation", "compile s", "steady s", "quartiles s", "M steps/s",
             "peak MB", "same answer", "remarks"],
            [_line(t) for t in chosen if not t.reason],
        ))  # fmt: skip
    skipped = sorted({(t.implementation, t.keep, t.reason) for t in timings if t.reason})
    if skipped:
        parts.append("### Skipped\n")
        parts.append(markdown(["implementation", "keeps", "reason"], skipped))
    return "\n".join(parts)


def _line(t: Timing) -> list[str]:
    remarks = [IMPLEMENTATIONS[t.implementation].note]
    if (t.ran_starts, t.ran_steps) != (t.starts, t.steps):
        remarks.append(f"scaled from {t.ran_starts:,} × {t.ran_steps:,}")
    if t.implementation in ON_CPU and jax.default_backend() != "cpu":
        remarks.append("on the CPU")
    return [
        t.workload, t.implementation, number(t.compile), number(t.steady),
        f"{number(t.low)} – {number(t.high)}",
        number(t.rate / 1e6), number(t.peak / 1e6) if t.peak >= 0 else "–",
        f"{'yes' if t.same else 'NO'} ({t.error:.0e})", "; ".join(filter(None, remarks)),
    ]  # fmt: skip


def growth_table(timings: Sequence[Timing]) -> str:
    """The series, one line a point."""
    lines = [
        [t.series, t.workload, f"{t.starts:,}", f"{t.steps:,}", str(t.devices), number(t.steady),
         number(t.rate / 1e6), number(t.peak / 1e6) if t.peak >= 0 else "–"]
        for t in timings if t.series != "implementations"
    ]  # fmt: skip
    head = ["series", "workload", "starts", "steps", "devices", "steady s", "M steps/s", "peak MB"]
    return markdown(head, lines)


def parquet(timings: Sequence[Timing], path: Path) -> None:
    """All measurements, one row each."""
    import pandas as pd

    frame = pd.DataFrame(timings)
    frame["steps_per_second"] = [t.rate for t in timings]
    frame.to_parquet(path)


def speed_plot(timings: Sequence[Timing]) -> Figure:
    """Steps a second of every implementation on every workload."""
    chosen = [t for t in shown(timings) if not t.reason]
    workloads = list(dict.fromkeys(t.workload for t in chosen))
    names = [name for name in IMPLEMENTATIONS if any(t.implementation == name for t in chosen)]
    figure = Figure(
        figsize=(2.2 * len(workloads) + 1.6, 0.32 * len(names) + 1.6), layout="constrained"
    )
    axes = figure.subplots(1, len(workloads), sharey=True, squeeze=False)[0]
    for ax, workload in zip(axes, workloads, strict=True):
        for t in (t for t in chosen if t.workload == workload):
            y, own = names.index(t.implementation), t.implementation == GDJAX
            colour = style.PALETTE[0] if own else style.PALETTE[1]
            ax.plot(t.rate / 1e6, y, "o", color=colour, markersize=7 if own else 5)
            done = t.starts * t.steps / 1e6
            ax.plot([done / t.high, done / t.low], [y, y], color=colour, linewidth=1.5)
        ax.set(xscale="log", title=workload, yticks=range(len(names)), yticklabels=names)
        ax.xaxis.set_minor_formatter(NullFormatter())  # on a short axis they run into each other
        style.quiet(ax)
    axes[0].invert_yaxis()
    t = chosen[0]
    figure.supxlabel(f"million steps a second ({t.dtype}, {t.starts:,} starts × {t.steps})")
    return figure


def growth_plot(timings: Sequence[Timing]) -> Figure:
    """Seconds against each thing that grows, with the line of linear cost."""
    series = [s for s in ("starts", "steps", "dimension", "devices")
              if any(t.series == s for t in timings)]  # fmt: skip
    figure = Figure(figsize=(3.1 * len(series), 3), layout="constrained")
    for ax, name in zip(figure.subplots(1, len(series), squeeze=False)[0], series, strict=True):
        chosen = [t for t in timings if t.series == name]
        x = [int(t.workload.split()[1][:-2]) if name == "dimension" else getattr(t, name)
             for t in chosen]  # fmt: skip
        y = [t.steady for t in chosen]
        ax.plot(x, y, "o-", color=style.PALETTE[0], label="gdjax")
        slope = -1 if name == "devices" else 1
        ideal = [y[-1] * (v / x[-1]) ** slope for v in x]
        ax.plot(x, ideal, "--", color="0.5", label="linear")
        ax.set(xscale="log", yscale="log", xlabel=name, title=chosen[0].workload.split()[0])
        if name == "devices":
            ax.set(xscale="linear", yscale="linear", xticks=x, ylim=(0, None))
        style.quiet(ax)
        ax.legend(frameon=False)
    figure.supylabel("seconds")
    return figure


def rewrite(readme: Path, text: str) -> None:
    """Put ``text`` between the benchmark's marks of a README.

    Raises:
        ValueError: a README without the marks.
    """
    old = readme.read_text(encoding="utf-8")
    if not BLOCK.search(old):
        raise ValueError(f"{readme.name} has no <!-- benchmark --> … <!-- /benchmark --> block")
    readme.write_text(BLOCK.sub(lambda m: m[1] + text.strip() + "\n" + m[2], old), encoding="utf-8")
