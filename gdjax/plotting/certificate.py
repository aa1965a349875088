"""A certificate as a picture: the error of differences against the step, and where errors lie."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from gdjax._util.arguments import gate, one_of
from gdjax.certificates.gradient_report import GradientReport
from gdjax.plotting import style
from gdjax.plotting.figure import Figure

FLOOR = 1e-17  # an error of 0 is drawn here on a logarithmic scale


@gate(report=one_of(GradientReport, "be what gdjax.check_gradient gives"))
def certificate(report: GradientReport) -> Figure:
    """How far the central differences are from the truth with each step, and a map of the errors.

    On the left the V curve: with a large step the differences are cut short, with a small one
    they drown in rounding. On the right, in 2-D, every point by the error of the derivative that
    was certified; in other dimensions, the errors against their tolerances.

    Args:
        report: of ``gdjax.check_gradient`` or ``gdjax.check_hessian``.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Example:
        >>> import gdjax
        >>> figure = certificate(gdjax.check_gradient(gdjax.objectives.get("qfsp"), points=50))
    """
    figure = Figure(figsize=(12, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
    _v_curve(left, report)
    if report.details.points.shape[1] == 2:
        _map(right, report)
    else:
        _errors(right, report)
    colour = style.PALETTE[2] if report.ok else style.PALETTE[0]
    figure.suptitle(f"{report.name.replace('_', ' ')}: {report.verdict}", color=colour, fontsize=13)
    return figure


def _v_curve(axes: Axes, report: GradientReport) -> None:
    details = report.details
    curve = details.curve[details.kept]
    curve = np.where(np.isfinite(curve), np.maximum(curve, FLOOR), np.nan)
    curve = curve[np.isfinite(curve).any(axis=1)]
    blue, orange = style.PALETTE[1], style.PALETTE[0]
    if len(curve):
        filled = np.where(np.isnan(curve), np.inf, curve)
        low, middle, high = np.quantile(filled, [0.1, 0.5, 0.9], axis=0, method="nearest")
        shown = np.isfinite(high)
        axes.fill_between(
            details.steps[shown], low[shown], high[shown], color=blue, alpha=0.2, linewidth=0,
            label="8 of 10 points",
        )  # fmt: skip
        axes.plot(details.steps, middle, color=blue, linewidth=2, label="median point")
    worst = np.maximum(details.curve[details.worst], FLOOR)
    if np.isfinite(worst).any():
        axes.plot(
            details.steps, worst, ".-", color=orange, linewidth=1.2, markersize=6,
            label="worst point",
        )  # fmt: skip
    reached = details.reached[details.kept & np.isfinite(details.reached)]
    if len(reached):
        axes.axhline(
            max(np.median(reached), FLOOR), color="0.4", linestyle=":",
            label="with the step chosen (median)",
        )  # fmt: skip
    drawn = [line.get_ydata() for line in axes.get_lines()]
    ends = _decades([y for y in np.concatenate(drawn) if np.isfinite(y)]) if drawn else (FLOOR, 1)
    axes.set(
        ylim=ends,
        xscale="log",
        yscale="log",
        xlabel="step, as a share of the point's scale",
        ylabel="error of the central difference / norm",
    )
    axes.set_title("central differences against the truth", fontsize=11)
    style.quiet(axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9)


def _map(axes: Axes, report: GradientReport) -> None:
    details = report.details
    kept, wrong = details.kept, details.wrong
    errors = np.clip(np.nan_to_num(details.errors, posinf=1.0), FLOOR, None)
    low, high = _decades(errors[kept])
    dots = axes.scatter(
        *details.points[kept & ~wrong].T, c=errors[kept & ~wrong], s=24, marker="o", linewidths=0,
        cmap="viridis", norm=LogNorm(low, high), label="within tolerance",
    )  # fmt: skip
    if wrong.any():
        axes.scatter(
            *details.points[wrong].T, c=errors[wrong], s=34, marker="s", linewidths=0.8,
            edgecolors=style.PALETTE[0], cmap="viridis", norm=LogNorm(low, high), label="wrong",
        )  # fmt: skip
    if (~kept).any():
        axes.scatter(
            *details.points[~kept].T, s=26, marker="x", color="0.45", linewidths=1,
            label="left out",
        )  # fmt: skip
    axes.scatter(
        *details.points[details.worst], s=150, facecolors="none", edgecolors="black",
        linewidths=1.5, label="worst",
    )  # fmt: skip
    if details.domain is not None:
        (x_low, x_high), (y_low, y_high) = details.domain
        axes.set(xlim=(x_low, x_high), ylim=(y_low, y_high))
    across, up = map(style.component, details.variables)
    axes.set(xlabel=across, ylabel=up)
    axes.set_title(f"error of the {report.kind} / norm, in {report.dtype}", fontsize=11)
    axes.figure.colorbar(dots, ax=axes, pad=0.02)
    axes.figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower right",
        ncols=4,
        frameon=False,
        fontsize=9,
    )


def _errors(axes: Axes, report: GradientReport) -> None:
    details = report.details
    kept, wrong = details.kept, details.wrong
    errors = np.clip(np.nan_to_num(details.errors, posinf=1.0), FLOOR, None)
    tolerances = np.clip(np.nan_to_num(details.tolerances, posinf=1.0), FLOOR, None)
    for which, colour, label in (
        (kept & ~wrong, style.PALETTE[1], "within tolerance"),
        (wrong, style.PALETTE[0], "wrong"),
    ):
        if which.any():
            axes.scatter(
                tolerances[which], errors[which], s=14, color=colour, linewidths=0, alpha=0.7,
                label=label,
            )  # fmt: skip
    ends = _decades(np.concatenate([tolerances[kept], errors[kept]]))
    axes.plot(ends, ends, color="0.4", linestyle=":", label="error = tolerance")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="tolerance at the point",
        ylabel=f"error of the {report.kind} / norm",
    )
    axes.set_title(f"every point, in {report.dtype}; no error is drawn at {FLOOR:g}", fontsize=11)
    style.quiet(axes)
    axes.legend(frameon=False, fontsize=9)


def _decades(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Powers of ten around all values, two apart at least; all that is drawn, of none."""
    if not len(values):
        return FLOOR, 1.0
    low, high = np.log10(np.min(values)), np.log10(np.max(values))
    low, high = np.floor(low), np.ceil(high)
    return 10.0**low, 10.0 ** max(high, low + 2)
