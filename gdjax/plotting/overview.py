"""The jobs of a multirun in one picture: what came out, over what was varied."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Normalize
from matplotlib.lines import Line2D

from gdjax._util.arguments import flag, gate, one_of, texts
from gdjax._util.errors import ArgumentError
from gdjax.plotting import style
from gdjax.plotting.datasets import edges, scale_of
from gdjax.plotting.figure import Figure, legend_below

LINES, PANELS, BARS = 8, 12, 40  # the most of each in a picture
COLUMNS = 4
QUANTILES = 9
LOST = ("diverged", "nonfinite")  # outcomes whose value says nothing
FAILED: dict[str, Any] = {"marker": "x", "color": "#D55E00", "linestyle": "none"}
GONE: dict[str, Any] = {"marker": "^", "color": "black", "linestyle": "none"}


class _Jobs(NamedTuple):
    """A table of jobs, told apart.

    Args:
        rows: all of them.
        numbers: settings that are numbers, the one with the most values first.
        words: the other settings.
        value: of each job, NaN where it failed or was lost.
        failed: which were refused, or crashed.
        lost: which left the domain or had no finite value.
        higher: whether a higher value is better.
    """

    rows: Any  # a DataFrame, whose columns have no types
    numbers: list[str]
    words: list[str]
    value: np.ndarray
    failed: np.ndarray
    lost: np.ndarray
    higher: bool

    def only(self, which: np.ndarray) -> "_Jobs":
        columns = {name: getattr(self, name)[which] for name in ("value", "failed", "lost")}
        return self._replace(rows=self.rows.iloc[which], **columns)

    @property
    def bad(self) -> tuple[tuple[np.ndarray, dict[str, Any], str], ...]:
        """Which have no value, how they are marked, and what they are called."""
        return (self.failed, FAILED, "failed"), (self.lost, GONE, "diverged")


@gate(table=one_of(pd.DataFrame, "be a table of jobs"), settings=texts, higher=flag)
def overview(table: pd.DataFrame, settings: Sequence[str], higher: bool = False) -> Figure:
    """What became of jobs, over the settings in which they differ.

    One setting of numbers makes a curve, two make a map, whose colours are by quantile so that few
    large values do not hide the others; settings of words make lines or panels. Where a picture
    would have more than twelve panels, or no two jobs share a setting, it shows the values over
    each number by itself. Jobs that failed are marked, and so are those that diverged: none is
    left out.

    Args:
        table: a row a job, with the columns ``value``, ``outcome`` and ``failed``.
        settings: the columns of what was varied.
        higher: whether a higher value is better.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Raises:
        ArgumentError: no jobs, or a column that is not there.

    Example:
        >>> table = pd.DataFrame({"momentum": [0.1, 0.5, 0.9], "value": [3.0, 1.0, np.nan],
        ...                       "outcome": ["converged", "converged", "momentum must …"],
        ...                       "failed": [False, False, True]})
        >>> overview(table, ["momentum"]).axes[0].get_xlabel()
        'momentum'
    """
    jobs = _read(table, settings, higher)
    others = [*jobs.numbers[2:], *jobs.words] if len(jobs.numbers) > 1 else jobs.words
    panels = jobs.rows.groupby(others, sort=False).ngroups if others else 1
    if not jobs.numbers:
        figure = _bars(jobs)
    elif len(jobs.numbers) == 1 and panels <= LINES:
        figure = _curve(jobs)
    elif len(jobs.numbers) > 1 and panels <= PANELS and len(table) > panels:
        figure = _maps(jobs, others)
    else:
        figure = _each(jobs)
    bad = [f"{which.sum():,} {word}" for which, _, word in jobs.bad if which.any()]
    figure.suptitle(f"{len(table):,} jobs" + (f", {' and '.join(bad)}" if bad else ""), fontsize=12)
    return figure


def _read(table: pd.DataFrame, settings: Sequence[str], higher: bool) -> _Jobs:
    needed = (*settings, "value", "outcome", "failed")
    if missing := [name for name in needed if name not in table.columns]:
        raise ArgumentError(
            f"table must have a column {missing[0]}, got {', '.join(table.columns)}"
        )
    if not len(table):
        raise ArgumentError("table must have a job, got none")
    rows: Any = table.reset_index(drop=True)
    numbers, words = [], []
    for name in settings:
        column: Any = pd.to_numeric(rows[name], errors="coerce")
        if column.notna().all() and rows[name].nunique() > 1 and rows[name].dtype != bool:
            rows[name] = column
            numbers.append(name)
        elif rows[name].nunique(dropna=False) > 1:
            rows[name] = rows[name].astype(str)
            words.append(name)
    numbers.sort(key=lambda name: -rows[name].nunique())
    failed = rows["failed"].to_numpy(bool)
    value = rows["value"].to_numpy(float)
    lost = ~failed & (rows["outcome"].isin(LOST).to_numpy() | ~np.isfinite(value))
    good = np.where(failed | lost, np.nan, value)
    return _Jobs(rows, numbers, words, good, failed, lost, higher)


def _scale(values: np.ndarray) -> str:
    """A logarithmic scale for what is positive and spans two orders."""
    good = values[np.isfinite(values)]
    return "log" if good.size and good.min() > 0 and good.max() > 100 * good.min() else "linear"


def _marks(panel: Axes, x: np.ndarray, jobs: _Jobs, y: np.ndarray | None = None) -> None:
    """Failures, and what was lost: at the upper edge where they have no place of their own."""
    for which, how, _ in jobs.bad:
        if y is None:
            edge = panel.get_xaxis_transform()
            panel.plot(
                x[which], np.ones(which.sum()), transform=edge, clip_on=False, zorder=5, **how
            )
        else:
            panel.plot(x[which], y[which], markersize=4, zorder=5, **how)


def _legend(figure: Figure, jobs: _Jobs, handles: Sequence[Line2D] = ()) -> None:
    marks = [Line2D([], [], label=label, **how) for which, how, label in jobs.bad if which.any()]
    if every := [*handles, *marks]:
        legend_below(figure, every, most=4)


def _name(names: Sequence[str], values: Any) -> str:
    values = values if isinstance(values, tuple) else (values,)
    shown = (f"{v:.4g}" if isinstance(v, float | int) else str(v) for v in values)
    return ", ".join(f"{n.rpartition('.')[2]} = {v}" for n, v in zip(names, shown, strict=True))


def _groups(jobs: _Jobs, names: list[str]) -> list[tuple[str, _Jobs]]:
    if not names:
        return [("", jobs)]
    found = jobs.rows.groupby(names, sort=False).indices.items()
    return [(_name(names, key), jobs.only(at)) for key, at in found]


def _bars(jobs: _Jobs) -> Figure:
    """A row a job, the best above; of many the best ones, and all that failed."""
    order = np.lexsort((-jobs.value if jobs.higher else jobs.value, ~(jobs.failed | jobs.lost)))
    shown = order[:BARS]
    labels = [_name(jobs.words, tuple(jobs.rows.loc[i, jobs.words])) or "the job" for i in shown]
    figure = Figure(figsize=(8.0, 1.4 + 0.28 * len(shown)), layout="constrained")
    panel = figure.add_subplot()
    rows = np.arange(len(shown))
    panel.plot(jobs.value[shown], rows, "o", color="#0072B2")
    for which, how, _ in jobs.bad:
        at = which[shown]
        panel.plot(
            np.ones(at.sum()),  # the right edge: the left one would look like the best value
            rows[at],
            transform=panel.get_yaxis_transform(),
            clip_on=False,
            **how,
        )
    panel.set_yticks(rows, labels)
    panel.set(ylim=(len(shown) - 0.5, -0.5), xlabel="value", xscale=_scale(jobs.value))
    style.quiet(panel)
    _legend(figure, jobs)
    return figure


def _curve(jobs: _Jobs) -> Figure:
    """Values over the one number, a line for each combination of words."""
    (name,) = jobs.numbers
    figure = Figure(figsize=(7.6, 4.8), layout="constrained")
    panel = figure.add_subplot()
    groups = _groups(jobs, jobs.words)
    handles = []
    for (label, some), colour in zip(groups, itertools.cycle(style.PALETTE[1:]), strict=False):
        x = some.rows[name].to_numpy(float)
        order = np.argsort(x)
        (line,) = panel.plot(
            x[order], some.value[order], ".-", color=colour, linewidth=1.2, markersize=5
        )
        line.set_label(label)
        handles += [line] if label else []
    every = jobs.rows[name].to_numpy(float)
    panel.set(xlabel=name, ylabel="value", xscale=scale_of(np.unique(every)))
    panel.set_yscale(_scale(jobs.value))
    style.quiet(panel)
    _marks(panel, every, jobs)
    _legend(figure, jobs, handles)
    return figure


def _shades(jobs: _Jobs) -> ScalarMappable:
    """Colours by quantile: as many values in each shade, the best ones in yellow."""
    good = jobs.value[np.isfinite(jobs.value)]
    shades = colormaps["viridis" if jobs.higher else "viridis_r"]
    if not good.size:
        return ScalarMappable(Normalize(0, 1), shades)
    quantiles = np.quantile(good, np.linspace(0, 1, QUANTILES + 1))
    steps = np.unique([float(f"{quantile:.4g}") for quantile in quantiles])  # as they are told
    if len(steps) < 3:
        return ScalarMappable(Normalize(steps[0], max(steps[-1], steps[0] + 1e-12)), shades)
    return ScalarMappable(BoundaryNorm(steps, shades.N), shades)


def _maps(jobs: _Jobs, others: list[str]) -> Figure:
    """Values over the two numbers with the most values, a panel for each combination of others."""
    across, up = sorted(jobs.numbers[:2], key=lambda name: "learning_rate" not in name)
    groups = _groups(jobs, others)
    columns = min(COLUMNS, len(groups))
    rows = -(-len(groups) // columns)
    wide = 6.2 if len(groups) == 1 else 3.4
    figure = Figure(figsize=(wide * columns + 1.2, 0.85 * wide * rows + 0.9), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    shades = _shades(jobs)
    for (label, some), panel in zip(groups, panels.flat, strict=False):
        _map(panel, some, across, up, shades)
        panel.set_title(label, fontsize=10)
    for panel in panels.flat[len(groups) :]:
        panel.set_axis_off()
    for panel in panels[-1]:
        panel.set_xlabel(across)
    for panel in panels[:, 0]:
        panel.set_ylabel(up)
    x, y = (np.unique(jobs.rows[name]) for name in (across, up))
    panels[0, 0].set(xscale=scale_of(x), yscale=scale_of(y))
    style.bar(figure, shades, panels.ravel().tolist(), "value", "shades by quantile")
    _legend(figure, jobs)
    return figure


def _map(panel: Axes, jobs: _Jobs, across: str, up: str, shades: ScalarMappable) -> None:
    how: Any = {"norm": shades.norm, "cmap": shades.cmap}
    x, y = (jobs.rows[name].to_numpy(float) for name in (across, up))
    columns, i = np.unique(x, return_inverse=True)
    rows, j = np.unique(y, return_inverse=True)
    if len(columns) * len(rows) == len(x) and len(columns) > 1 and len(rows) > 1:
        cells = np.full((len(rows), len(columns)), np.nan)
        cells[j, i] = jobs.value
        panel.pcolormesh(
            edges(columns), edges(rows), np.ma.masked_invalid(cells), rasterized=True, **how
        )  # fmt: skip
        panel.patch.set_facecolor("0.85")
    else:
        good = np.isfinite(jobs.value)
        panel.scatter(
            x[good], y[good], c=jobs.value[good], s=28, edgecolors="0.3", linewidths=0.4, **how
        )  # fmt: skip
    _marks(panel, x, jobs, y)


def _each(jobs: _Jobs) -> Figure:
    """Values over each number by itself."""
    columns = min(COLUMNS, len(jobs.numbers))
    rows = -(-len(jobs.numbers) // columns)
    figure = Figure(figsize=(3.6 * columns + 0.4, 3.2 * rows + 0.8), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for name, panel in zip(jobs.numbers, panels.flat, strict=False):
        x = jobs.rows[name].to_numpy(float)
        panel.plot(x, jobs.value, ".", color="#0072B2", alpha=0.6)
        panel.set(xlabel=name, xscale=scale_of(np.unique(x)), yscale=_scale(jobs.value))
        style.quiet(panel)
        _marks(panel, x, jobs)
    for panel in panels.flat[len(jobs.numbers) :]:
        panel.set_axis_off()
    for panel in panels[:, 0]:
        panel.set_ylabel("value")
    _legend(figure, jobs)
    return figure
