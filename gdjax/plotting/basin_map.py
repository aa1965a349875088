"""The basin map: from which start each minimum is reached."""

import itertools

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gdjax import metrics
from gdjax._descent.outcomes import Outcome
from gdjax._inputs import ObjectiveLike
from gdjax._util.arguments import gate
from gdjax._util.errors import ArgumentError
from gdjax.objectives import Objective
from gdjax.plotting import given, style
from gdjax.plotting.datasets import Dataset, Status, axes_of, heading, setting, statuses
from gdjax.plotting.figure import AnyFigure, Figure, legend_below, one_panel
from gdjax.plotting.landscape import one_scale

PANELS = 9  # more would be too small to read
LONG = 16  # letters of a setting that leave no room for the share in the same line
OTHERS = "#F0E442"  # minima beyond the palette
DOT = 0.35  # diameter, in distances of starts that lie evenly
MARGIN = 0.04  # around the starts of a function that has no domain, in sides
PALEST = 0.65  # share of white in the colour of the slowest start
GREYS = {  # what reached no listed minimum: colour, hatch
    Status.UNLISTED: ("0.7", r"\\"),
    Status.STALLED: ("0.55", "...."),
    Status.MOVING: ("0.85", "////"),
    Status.LOST: ("0.2", ""),
}


@gate(dataset=given.sweep_results, confidence=metrics.SURE)
def basin_map(
    dataset: Dataset,
    objective: ObjectiveLike,
    confidence: float = 0.95,
    *,
    ax: Axes | None = None,
) -> AnyFigure:
    """From which start each minimum is reached: one colour a minimum, paler where it takes longer.

    A grid of starts is drawn as pixels, other starts as dots. Several hyperparameter settings
    become panels side by side. The legend gives each basin's share of the starts, which is its
    share of the area, with Wilson's interval. Where more than ten minima are reached, the local
    ones with the smallest basins share one colour.

    Args:
        dataset: a sweep over starts in two dimensions, with at most 9 hyperparameter settings.
        objective: what was swept.
        confidence: of the intervals.
        ax: axes to draw in, of a single setting; by default a new figure.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Raises:
        ArgumentError: an objective that is not two-dimensional, one start, or too many settings.
    """
    objective = given.swept(objective, dataset)
    axes = axes_of(dataset)
    indices = list(itertools.product(*(range(dataset["outcome"].sizes[axis]) for axis in axes)))
    if objective.dim != 2:
        raise ArgumentError(f"basin_map needs 2 dimensions, {objective.name} has {objective.dim}")
    if dataset.sizes["start"] < 2:
        raise ArgumentError("basin_map needs several starts, got 1")
    if len(indices) > PANELS:
        raise ArgumentError(
            f"basin_map draws at most {PANELS} settings, got {len(indices)}; pick first, such as "
            f"dataset.isel({', '.join(f'{axis}=0' for axis in axes)})"
        )
    colours, norm = _colours(dataset, objective), _norm(dataset)
    handles = _legend(dataset, objective, colours, None if axes else confidence)
    ncols = 3 if axes else 2  # without shares the entries are short
    if ax is not None and len(indices) > 1:
        raise ArgumentError(f"basin_map draws {len(indices)} settings, and ax are of one")
    made = None if ax is None else one_panel(1, 1, ax)
    figure, panels = (
        (made.figure, [made.axes])
        if made
        else _layout(len(indices), objective, legend_rows=-(-len(handles) // ncols))
    )
    for panel, index in zip(panels, indices, strict=True):
        at = dict(zip(axes, index, strict=True))
        cells = dataset.isel(at)
        _draw(panel, cells, objective, colours, norm)
        if axes:
            rate = metrics.success_rate(statuses(cells) == Status.GLOBAL, confidence=confidence)
            label = setting(dataset, **at)
            gap = "\n" if len(label) > LONG else ":  "
            panel.set_title(f"{label}{gap}{_percent(rate)} global", fontsize=11)
    title = f"{style.title(objective.name, objective.latex)}\n{heading(dataset)}"
    if made:
        made.title(title)
        made.legend(handles=handles)
        return figure
    legend_below(figure, handles, ncols, handleheight=1.2)
    if norm is not None:
        _step_key(figure, panels, norm)
    figure.suptitle(title, fontsize=12)
    return figure


def _layout(number: int, objective: Objective, legend_rows: int) -> tuple[AnyFigure, list[Axes]]:
    """A figure with that many panels of the domain's shape, at most three in a row."""
    columns = 2 if number == 4 else min(number, 3)
    rows = -(-number // columns)
    side = 6.4 if number == 1 else 4.0
    shape = float(objective.width[1] / objective.width[0]) if one_scale(objective) else 1
    tall = side * min(shape, 1)
    figure = Figure(
        figsize=(max(side * columns + 0.9, 7.6), tall * rows + 0.9 + 0.23 * legend_rows),
        layout="constrained",
    )
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for panel in panels[number:]:
        panel.set_axis_off()
    for panel in panels[::columns]:
        panel.set_ylabel(style.component(objective.variables[1]))
    for panel in panels[number - columns : number]:
        panel.set_xlabel(style.component(objective.variables[0]))
        panel.tick_params(labelbottom=True)
    return figure, list(panels[:number])


def _colours(dataset: Dataset, objective: Objective) -> dict[int, str]:
    """A colour for each minimum that was reached; those beyond the palette are left out."""
    reached = dataset["minimum"].values
    counts = np.bincount(reached[reached >= 0].ravel(), minlength=len(objective.known_minima))
    is_local = np.arange(len(counts)) >= len(objective.minima)
    order = np.lexsort((-counts, is_local))  # the global ones first, then the largest basins
    kept = sorted([int(i) for i in order if counts[i]][: len(style.CLASSES)])
    return {index: style.CLASSES[i] for i, index in enumerate(kept)}


def _norm(dataset: Dataset) -> LogNorm | None:
    """How steps become paleness; None where every start takes equally many."""
    coloured = dataset["minimum"].values >= 0
    at_rest = dataset["outcome"].values == Outcome.CONVERGED
    steps = dataset["steps"].values[coloured & at_rest]
    if not steps.size:
        return None
    low, high = np.quantile(np.maximum(steps, 1), [0.02, 0.98])
    return LogNorm(low, high, clip=True) if high > low else None


def _draw(
    axes: Axes,
    cells: Dataset,
    objective: Objective,
    colours: dict[int, str],
    norm: LogNorm | None,
) -> None:
    starts, fate = cells["start_point"].values, statuses(cells).reshape(-1)
    minimum, steps = cells["minimum"].values.reshape(-1), cells["steps"].values.reshape(-1)
    white = np.zeros(fate.shape) if norm is None else PALEST * np.asarray(norm(steps))
    paint = np.empty((*fate.shape, 3))
    paint[:] = style.paler(OTHERS, white)
    for index, colour in colours.items():
        paint[minimum == index] = style.paler(colour, white[minimum == index])
    for kind, (grey, _) in GREYS.items():
        paint[fate == kind] = style.paler(grey, 0.0)
    shape = tuple(cells.attrs["starts_shape"])
    if cells.attrs["starts_kind"] == "grid" and np.prod(shape) == len(starts) and min(shape) > 1:
        x, y = starts.reshape(*shape, 2)[:, 0, 0], starts.reshape(*shape, 2)[0, :, 1]
        half = np.array([x[1] - x[0], y[1] - y[0]]) / 2
        extent = (x[0] - half[0], x[-1] + half[0], y[0] - half[1], y[-1] + half[1])
        axes.imshow(
            paint.reshape(*shape, 3).transpose(1, 0, 2), origin="lower", extent=extent,
            interpolation="nearest", aspect="auto",
        )  # fmt: skip
        for kind, (_, hatch) in GREYS.items():
            mask = (fate == kind).reshape(shape).T
            if hatch and mask.any():
                axes.contourf(x, y, mask, levels=[0.5, 1.5], colors="none", hatches=[hatch])
    else:
        side = 72 * min(axes.bbox.width, axes.bbox.height) / axes.figure.dpi  # in points
        diameter = np.clip(DOT * side / np.sqrt(len(starts)), 1.5, 9)
        axes.scatter(*starts.T, c=paint, s=diameter**2, linewidths=0)
        if objective.bounded:
            low, high = np.asarray(objective.domain).T
        else:
            low, high = starts.min(axis=0), starts.max(axis=0)
            room = np.where(high > low, MARGIN * (high - low), objective.width / 2)
            low, high = low - room, high + room
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    limits = axes.get_xlim(), axes.get_ylim()
    for index, colour in colours.items():
        axes.plot(*objective.known_minima[index], **_marker(index, objective, colour))
    axes.set(xlim=limits[0], ylim=limits[1], aspect="equal" if one_scale(objective) else "auto")


def _marker(index: int, objective: Objective, colour: str) -> dict:
    """A star for a global minimum, a circle for another, in the basin's colour."""
    is_global = index < len(objective.minima)
    return {
        "marker": "*" if is_global else "o",
        "markersize": 15 if is_global else 8,
        "color": colour,
        "markeredgecolor": "white",
        "markeredgewidth": 1.2,
        "linestyle": "none",
        "path_effects": style.RIM,
    }


def _legend(
    dataset: Dataset,
    objective: Objective,
    colours: dict[int, str],
    confidence: float | None,
) -> list:
    """One entry for each class of cells, with its share unless ``confidence`` is None."""
    fate, minimum = statuses(dataset), dataset["minimum"].values
    handles: list = []

    def share(mask: np.ndarray) -> str:
        if confidence is None:
            return ""
        return f"  {_percent(metrics.success_rate(mask, confidence=confidence))}"

    for index, colour in colours.items():
        label = style.point(objective.known_minima[index]) + share(minimum == index)
        handles.append(Line2D([], [], label=label, **_marker(index, objective, colour)))
    others = sorted(set(np.unique(minimum[minimum >= 0]).tolist()) - set(colours))
    if others:
        label = f"{len(others)} more minima" + share(np.isin(minimum, others))
        handles.append(Patch(color=OTHERS, label=label))
    for kind, (grey, hatch) in GREYS.items():
        if (fate == kind).any():
            label = kind.label + share(fate == kind)
            handles.append(Patch(facecolor=grey, hatch=hatch, label=label))
    return handles


def _percent(share: metrics.Share) -> str:
    value, low, high = (100 * float(part) for part in share)
    digits = 2 if high - low < 0.2 else 1 if high - low < 10 else 0
    return f"{value:.{digits}f} % ({low:.{digits}f}–{high:.{digits}f})"


def _step_key(figure: AnyFigure, panels: list[Axes], norm: LogNorm) -> None:
    """A bar that reads paleness as steps."""
    greys = ListedColormap(style.paler("0.25", np.linspace(0, PALEST, 256)))
    style.bar(figure, ScalarMappable(norm, greys), panels, "steps", note="paler takes more")
