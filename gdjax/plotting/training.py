"""A training run in one picture: loss, sharpness against its limit, gradient and noise."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from gdjax._util.arguments import gate, one_of
from gdjax._util.types import Flat
from gdjax.plotting import style
from gdjax.plotting.figure import AnyFigure, Figure
from gdjax.training.runs import TrainingRun

LOSS, SHARP, LIMIT, SECOND = style.PALETTE[1], style.PALETTE[0], "0.25", style.PALETTE[2]
HEIGHT = 2.1  # inches of a panel


@gate(run=one_of(TrainingRun, "be what gdjax.train gives"))
def training(run: TrainingRun) -> AnyFigure:
    """What became of a training run, against the step.

    The loss over all data with the metric; the sharpness with the limit of its stability, where
    one is known, and the step at which it was reached; the norm of the gradient with its noise
    scale; how far the gradient lies along the sharpest direction. What was not watched is left out.

    Args:
        run: of ``gdjax.train``.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Example:
        >>> import gdjax
        >>> run = gdjax.train("qfsp", gdjax.heavy_ball(0.05, 0.9), steps=200, every=20)
        >>> figure = training(run)
    """
    draw: list[Callable[[TrainingRun, Axes], None]] = [_loss]
    if np.isfinite(run.looks.sharpness).any():
        draw.append(_sharpness)
    draw.append(_gradient)
    if np.isfinite(run.looks.alignment).any():
        draw.append(_alignment)
    figure = Figure(figsize=(8.5, 1.2 + HEIGHT * len(draw)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(len(draw), 1, sharex=True))
    for one, axes in zip(draw, panels, strict=True):
        one(run, axes)
        style.quiet(axes)
        if run.broken is not None:
            axes.axvline(run.broken, color="0.4", linewidth=1, linestyle=":")
    panels[-1].set_xlabel("step")
    panels[-1].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    panels[-1].set_xlim(run.steps[0], max(run.steps[-1], 1))
    lost = "" if run.broken is None else f"\nnot finite from step {run.broken:,}, {run.leaf} first"
    figure.suptitle(f"{run.objective.replace('_', ' ')}:  {run.optimizer}{lost}", fontsize=13)
    return figure


def _loss(run: TrainingRun, axes: Axes) -> None:
    """The loss, on a logarithmic axis where it is positive; beside it the metric."""
    _line(axes, run, run.looks.loss, LOSS, "loss")
    if run.metric:
        _second(run, axes, run.looks.metric, run.metric)


def _sharpness(run: TrainingRun, axes: Axes) -> None:
    """The sharpness, as far as it is known, and where its limit lies."""
    sharp, residual = np.asarray(run.looks.sharpness), np.asarray(run.looks.residual)
    limit, kind = run.edge.limit, "preconditioned\n" * run.preconditioned + "sharpness"
    axes.plot(run.steps, sharp, color=SHARP)
    axes.fill_between(
        run.steps, sharp - residual, sharp + residual, color=SHARP, alpha=0.25, linewidth=0
    )
    axes.set_ylabel(kind, color=SHARP)
    if limit is None:
        axes.set_title(run.edge.why, loc="right", fontsize=9, color=LIMIT)
        return
    axes.axhline(limit, color=LIMIT, linewidth=1.2, linestyle="--")
    shown = sharp[np.isfinite(sharp)]
    axes.set_ylim(min(0.0, 1.1 * shown.min()), 1.3 * max(limit, np.quantile(shown, 0.98)))
    number = f"{limit:,.0f}" if limit >= 1000 else f"{limit:.4g}"
    axes.annotate(
        f"${run.edge.formula}$ = {number}", (1, limit), (-4, 5), ha="right", color=LIMIT,
        xycoords=axes.get_yaxis_transform(), textcoords="offset points", path_effects=style.HALO,
    )  # fmt: skip
    if run.reached:
        axes.axvline(run.reached, color=LIMIT, linewidth=1, linestyle=":")
        axes.annotate(
            f"reached at {run.reached:,}", (run.reached, 0), (5, 5), color=LIMIT, fontsize=9,
            xycoords=axes.get_xaxis_transform(), textcoords="offset points",
            path_effects=style.HALO,
        )  # fmt: skip


def _gradient(run: TrainingRun, axes: Axes) -> None:
    """The norm of the gradient, and beside it the batch size that its noise asks for."""
    _line(axes, run, run.looks.gradient_norm, LOSS, "‖gradient‖")
    if np.isfinite(run.looks.noise_scale).any():
        second = _second(run, axes, run.looks.noise_scale, "noise scale\n(rows)")
        second.set_yscale("log")


def _alignment(run: TrainingRun, axes: Axes) -> None:
    """The cosine between the gradient and the sharpest direction."""
    axes.plot(run.steps, run.looks.alignment, color=SHARP)
    axes.set_ylabel("alignment", color=SHARP)
    axes.set_ylim(0, 1.02)


def _line(axes: Axes, run: TrainingRun, values: Flat, colour: str, name: str) -> None:
    axes.plot(run.steps, values, color=colour)
    axes.set_ylabel(name, color=colour)
    finite = np.asarray(values)[np.isfinite(values)]
    if finite.size and (finite > 0).all():
        axes.set_yscale("log")
        style.plain_logarithmic(axes.yaxis, wide=bool(finite.max() > 10 * finite.min()))


def _second(run: TrainingRun, axes: Axes, values: Flat, name: str) -> Axes:
    """A second quantity, on an axis of its own at the right."""
    second = axes.twinx()
    second.plot(run.steps, values, color=SECOND, linewidth=1.4)
    second.set_ylabel(name, color=SECOND)
    second.spines[["top", "left"]].set_visible(False)
    second.grid(False)
    return second
