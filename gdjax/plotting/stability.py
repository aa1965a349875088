"""The stability map: for which hyperparameters descents arrive, go astray, or diverge."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.patches import Patch

from gdjax import metrics, theory
from gdjax._inputs import ObjectiveLike
from gdjax._util.arguments import gate
from gdjax._util.errors import ArgumentError
from gdjax.objectives import Objective
from gdjax.plotting import given, style
from gdjax.plotting.datasets import (
    Dataset,
    Status,
    ascending,
    axis_title,
    axis_values,
    edges,
    entries,
    heading,
    need_axes,
    scale_of,
    statuses,
    target_of,
)
from gdjax.plotting.figure import (
    AnyFigure,
    Figure,
    Panel,
    axes_in,
    figure_of,
    legend_below,
    one_panel,
)

COLOURS = {  # the first two mix to greens, that stand for nothing else
    Status.GLOBAL: "#0072B2",
    Status.LOCAL: "#F0E442",
    Status.UNLISTED: "#E69F00",
    Status.STALLED: "#CC79A7",
    Status.MOVING: "#E0E0E0",
    Status.LOST: "#333333",
}
STEPS = "magma_r"
NEVER: dict[str, Any] = {
    "facecolor": "white",
    "edgecolor": "0.7",
    "hatch": "////",
}  # nothing else is hatched
LIMITS = {
    "heavy_ball": "α L = 2 (1 + μ)",
    "nesterov": "α L = 2 (1 + μ) / (1 + 2 μ)",
}


@gate(dataset=given.sweep_results)
def stability_map(dataset: Dataset, objective: ObjectiveLike, *, ax: Any = None) -> AnyFigure:
    """For which two hyperparameters descents arrive, and in how many steps; over all starts.

    The first panel mixes the colours of what became of the starts, by their shares. The second
    has the median of the steps to tolerance, in which a start that never arrives counts as
    infinite. Over learning rate and momentum of ``heavy_ball``, ``nesterov`` or optax's ``sgd``,
    the dashed line is the stability limit at the global minima, for L the largest eigenvalue of
    the Hessian.

    Args:
        dataset: a sweep over two hyperparameter axes, such as learning rate and momentum.
        objective: what was swept.
        ax: axes to draw in: one for where descents end, or two for their steps as well; by default
            those of a new figure.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Raises:
        ArgumentError: a sweep over more or fewer hyperparameter axes.

    Reference:
        ``gdjax.theory.stability_limit``.
    """
    objective = given.swept(objective, dataset)
    axes = need_axes(dataset, "stability_map", 2)
    across, up = sorted(axes, key=lambda axis: "learning_rate" not in axis)
    timed = bool((dataset["steps_to_tolerance"].values >= 0).any())
    own = ax is None
    if own:
        figure = Figure(figsize=(12.0 if timed else 6.4, 5.2), layout="constrained")
        panels = [*np.atleast_1d(figure.subplots(1, 1 + timed, sharex=True, sharey=True))]
    else:
        panels = [one_panel(1, 1, one).axes for one in axes_in(ax)[: 1 + timed]]
        figure, timed = figure_of(panels[0]), len(panels) == 2
    dataset = ascending(dataset)
    ground = dataset.transpose("start", up, across, ...)
    x, y = (axis_values(dataset, axis)[1] for axis in (across, up))
    ended = statuses(ground)
    ended = ended.reshape(len(ended), len(y), len(x))
    _draw_fates(panels[0], ended, x, y)
    starts = len(ended)
    panels[0].set_title(
        "where it ends" if starts == 1 else f"where {starts} starts end, colours mixed by share",
        fontsize=11,
    )
    if timed:
        steps_to_tolerance = ground["steps_to_tolerance"].values.reshape(ended.shape)
        _draw_steps(figure, panels[1], steps_to_tolerance, x, y)
        panels[1].set_title(
            f"steps to {target_of(dataset) or 'tolerance'}" + ", median" * (starts > 1), fontsize=11
        )
    if (across, up) == ("learning_rate", "momentum"):
        for panel in panels:
            _draw_limits(panel, dataset, objective, y)
    for panel in panels:
        panel.set(
            xscale=scale_of(x), yscale=scale_of(y), xlim=edges(x)[[0, -1]], ylim=edges(y)[[0, -1]],
            xlabel=axis_title(dataset, across),
        )  # fmt: skip
    panels[0].set_ylabel(axis_title(dataset, up))
    handles = [
        Patch(color=colour, label=fate.label)
        for fate, colour in COLOURS.items()
        if (ended == fate).any()
    ]
    if timed:
        handles.append(
            Patch(**NEVER, label="fewer than half arrive" if starts > 1 else "never arrives")
        )
    handles += [line for line in panels[0].get_lines() if line.get_label() != "_"]
    title = f"{style.title(objective.name, objective.latex)}\n{heading(dataset)}"
    if not own:
        made = Panel(figure, panels[0], own)
        made.title(title)
        made.legend(handles=handles)
        return figure
    legend_below(
        figure, handles, most=4,
        title="colours mix by the share of starts" if starts > 1 else None, title_fontsize=10,
    )  # fmt: skip
    figure.suptitle(title, fontsize=12)
    return figure


def _draw_fates(axes: Axes, ended: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    mixed = sum(
        (ended == fate).mean(axis=0)[..., None] * style.paler(colour, 0.0)
        for fate, colour in COLOURS.items()
    )
    axes.pcolormesh(edges(x), edges(y), mixed, rasterized=True)


def _draw_steps(
    figure: AnyFigure, axes: Axes, steps_to_tolerance: np.ndarray, x: np.ndarray, y: np.ndarray
) -> None:
    median = np.maximum(metrics.steps_quantile(steps_to_tolerance, 0.5, axis=0), 1)
    finite = median[np.isfinite(median)]
    axes.patch.set(**NEVER)
    if not finite.size:
        return
    norm = LogNorm(finite.min(), max(finite.max(), finite.min() + 1))
    shown = np.ma.masked_invalid(median)
    axes.pcolormesh(edges(x), edges(y), shown, norm=norm, cmap=STEPS, rasterized=True)
    style.bar(figure, ScalarMappable(norm, STEPS), [axes], "steps")


def _draw_limits(axes: Axes, dataset: Dataset, objective: Objective, momenta: np.ndarray) -> None:
    """The stability limit at each global minimum; one line where several share it."""
    optimizer, *others = entries(dataset, "optimizer")
    if others:
        return
    method = optimizer.partition("(")[0]
    if method == "sgd":  # optax's, with the momentum that is an axis here
        method = "nesterov" if "nesterov=True" in optimizer else "heavy_ball"
    if method not in LIMITS:
        return
    try:
        sharpest = {
            float(f"{theory.curvatures(objective, minimum)[-1]:.4g}")
            for minimum in objective.minima
        }
    except ArgumentError:  # on a kink there is no Hessian, and no such limit
        return
    low, high = edges(momenta)[[0, -1]]
    momentum = np.clip(np.linspace(low, high, 200), 0, 1 - 1e-9)
    curvatures = ", ".join(f"{curvature:g}" for curvature in sorted(sharpest))
    limits = [theory.stability_limit(method, curvature, momentum) for curvature in sorted(sharpest)]
    for i, limit in enumerate(limits):
        axes.plot(
            limit, momentum,
            color="white", linewidth=1.8, linestyle="--", path_effects=style.RIM,
            label=f"stability limit {LIMITS[method]},  L = {curvatures}" if i == 0 else "_",
        )  # fmt: skip
