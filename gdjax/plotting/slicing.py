"""A slice of a landscape in one picture, with what it hides beside and below it."""

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import FuncFormatter, MaxNLocator, StrMethodFormatter

from gdjax._util.arguments import gate, one_of
from gdjax.plotting import landscape, style
from gdjax.plotting.figure import AnyFigure, Figure
from gdjax.training.confessions import LETTERS, LandscapeSlice

DECADES = 30.0  # from the lowest to the highest loss, from which on levels are logarithmic
LEVELS, ROOM = 28, 1 + 1e-6  # of which the outer ones are beyond all rounding
TRUE, SHOWN, FAINT = style.PALETTE[0], style.PALETTE[1], "0.55"
LETTER = 0.0745  # inches of a letter below the picture
IN_LENGTHS = ("pca", "hessian", "between")  # planes whose two axes have one unit
STRETCH = 4  # a window no longer than so many times its height is drawn to scale


@gate(found=one_of(LandscapeSlice, "be what gdjax.landscape gives"))
def landscape_slice(found: LandscapeSlice) -> AnyFigure:
    """A slice of a landscape, and what it hides.

    The loss along a line or over a plane, on logarithmic levels where it spans decades, with the
    path at the points of the plane nearest to it; where there is a path, the true loss along it
    beside the loss that is shown, and how far it is from the plane; below, in words, what is
    hidden.

    Args:
        found: of ``gdjax.landscape``.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Example:
        >>> import gdjax
        >>> path = gdjax.descend("rosenbrock", "adam", steps=50)
        >>> figure = landscape_slice(gdjax.landscape("rosenbrock", path=path, plane="pca"))
    """
    along = bool(len(found.steps))
    width = 12.0 if along else 8.5
    lines = _wrapped(found, width)
    height = 5.6 + 0.17 * len(lines)
    figure = Figure(figsize=(width, height), layout="constrained")
    if along:
        grid = figure.add_gridspec(2, 2, width_ratios=(1.3, 1), height_ratios=(1.3, 1))
        places = grid[:, 0], grid[0, 1], grid[1, 1]
        ground, loss, away = map(figure.add_subplot, places)
        loss.sharex(away)
        loss.tick_params(labelbottom=False)
        _losses(found, loss)
        _distances(found, away)
    else:
        ground = figure.add_subplot()
    (_line if len(found.coordinates) == 1 else _plane)(found, ground)
    figure.suptitle(f"{found.objective.replace('_', ' ')}:  {found.says}", fontsize=13)
    figure.supxlabel(
        "\n".join(lines), x=0.01, ha="left", fontsize=9, color="0.25", linespacing=1.35
    )
    return figure


def _wrapped(found: LandscapeSlice, width: float) -> list[str]:
    """What is shown and hidden, in lines that fit below the picture."""
    room = int(width / LETTER)
    _, _, shown = found.sentences[0].partition(f"{found.says}: ")
    several = [shown, *found.sentences[1:]]
    wrapped = (textwrap.wrap(f"· {one}", room, subsequent_indent="  ") for one in several)
    return [line for lines in wrapped for line in lines]


def _plane(found: LandscapeSlice, axes: Axes) -> None:
    """Contours of the loss, with the path and the points that the plane goes through."""
    x, y = found.coordinates
    z = found.losses.T  # rows along the second axis, as matplotlib has them
    known = z[np.isfinite(z)]
    if known.size:
        axes.set_facecolor("0.85")  # where the loss is not finite
        _contours(axes, x, y, z, known)
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    axes.set_xlabel(_name(found, 0))
    axes.set_ylabel(_name(found, 1))
    wide, high = np.ptp(x), np.ptp(y)
    if found.plane in IN_LENGTHS and max(wide, high) <= STRETCH * min(wide, high):
        axes.set_aspect("equal")
    if len(found.path):
        axes.plot(*found.path.T, color="black", linewidth=1.2, marker=".", markersize=4,
                  path_effects=style.HALO, label="path, projected")  # fmt: skip
        axes.plot(*found.path[0], "o", color="white", markeredgecolor="black", label="its start")
    if len(found.ends):
        for letter, at in zip(LETTERS, found.ends, strict=False):
            _point(axes, at, letter)
    else:
        axes.plot(*found.center, marker="*", markersize=13, color="white", markeredgecolor="black",
                  linestyle="none", label="centre")  # fmt: skip
    if not len(found.ends):
        axes.legend(loc="best", fontsize=8, framealpha=0.85)


def _contours(axes: Axes, x: np.ndarray, y: np.ndarray, z: np.ndarray, known: np.ndarray) -> None:
    low, high = float(known.min()), float(known.max())
    masked = np.ma.masked_invalid(z)
    if low > 0 and high > DECADES * low:
        norm, levels = LogNorm(low, high), np.geomspace(low / ROOM, high * ROOM, LEVELS)
    else:
        norm = landscape.norm(landscape.Grid(x, y, z))
        levels = np.unique(norm.inverse(np.linspace(0, 1, LEVELS)))
        levels[[0, -1]] += (ROOM - 1) * (high - low) * np.array([-1, 1])
    filled = axes.contourf(x, y, masked, levels, cmap=style.LANDSCAPE, norm=norm)
    axes.contour(x, y, masked, levels[1::2], colors="white", linewidths=0.5, linestyles="solid")
    key = axes.figure.colorbar(filled, ax=axes, pad=0.02, shrink=0.9)
    key.ax.set_title("loss", fontsize=10)
    key.outline.set_visible(False)  # type: ignore[operator]  # a Patch, typed as a callable
    if isinstance(norm, LogNorm):
        style.plain_logarithmic(key.ax.yaxis, wide=high > 10 * low)
        return
    ticks = np.asarray(MaxNLocator(8).tick_values(low, high))
    key.set_ticks(ticks[(ticks >= low) & (ticks <= high)].tolist())
    key.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))


def _line(found: LandscapeSlice, axes: Axes) -> None:
    """The loss along a line."""
    (x,), z = found.coordinates, found.losses
    axes.plot(x, z, color=SHOWN, label="loss along the line")
    if len(found.ends):
        _barrier(found, axes)
    else:
        axes.plot(found.center, [found.loss], marker="*", markersize=13, color="white",
                  markeredgecolor="black", linestyle="none", label="centre")  # fmt: skip
    if len(found.path):
        axes.plot(found.path[:, 0], found.true_losses, ".", color=TRUE, markersize=5,
                  label="true loss of the path")  # fmt: skip
    style.quiet(axes)
    axes.set_xlim(x[0], x[-1])
    axes.set_xlabel(_name(found, 0))
    axes.set_ylabel("loss")
    if not len(found.ends):  # a barrier is a difference
        _logarithmic(axes, np.concatenate([z, found.true_losses]))
    axes.legend(loc="best", fontsize=8, framealpha=0.85)


def _barrier(found: LandscapeSlice, axes: Axes) -> None:
    """The points at the ends, the straight line between their losses, and the barrier above it."""
    ends, (low, high) = found.ends[:, 0], found.end_losses
    axes.plot(ends, (low, high), color=FAINT, linestyle="--", linewidth=1,
              label="straight line between the ends")  # fmt: skip
    for letter, *at in zip(LETTERS, ends, (low, high), strict=False):
        _point(axes, at, letter)
    height, share = found.barriers[0], found.barriers_at[0]
    base = low + share * (high - low)
    if height > 0 and np.isfinite(height):
        arrow = {"arrowstyle": "<->", "color": TRUE, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (share, base + height), (share, base), arrowprops=arrow)
        axes.annotate(f"barrier {height:.4g}", (share, base + height / 2), (6, 0), color=TRUE,
                      textcoords="offset points", va="center", path_effects=style.HALO)  # fmt: skip


def _point(axes: Axes, at: list[float] | np.ndarray, letter: str) -> None:
    axes.plot(*at, "o", color="white", markeredgecolor="black", zorder=4)
    axes.annotate(letter, (at[0], at[1]), (6, 6), textcoords="offset points", fontweight="bold",
                  path_effects=style.HALO, zorder=5)  # fmt: skip


def _losses(found: LandscapeSlice, axes: Axes) -> None:
    """True and shown loss along the path, and where they differ most."""
    axes.plot(found.steps, found.true_losses, color=TRUE, label="true loss of the path")
    axes.plot(found.steps, found.shown_losses, color=SHOWN, linestyle="--",
              label="loss that the slice shows")  # fmt: skip
    style.quiet(axes)
    axes.set_ylabel("loss")
    _logarithmic(axes, np.concatenate([found.true_losses, found.shown_losses]))
    axes.legend(loc="best", fontsize=9, framealpha=0.85)


def _distances(found: LandscapeSlice, axes: Axes) -> None:
    """How far the path is from the plane, beside how far it is from the centre."""
    axes.fill_between(found.steps, found.distances, color=TRUE, alpha=0.2, linewidth=0)
    axes.plot(found.steps, found.distances, color=TRUE, label="from the slice")
    axes.plot(found.steps, found.lengths, color=FAINT, linewidth=1.2, label="from the centre")
    style.quiet(axes)
    axes.set_ylim(0, None)
    axes.set_ylabel("distance")
    axes.set_xlabel("step")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.margins(x=0.01)
    axes.legend(loc="best", fontsize=9, framealpha=0.85)


def _logarithmic(axes: Axes, values: np.ndarray) -> None:
    """A logarithmic axis of losses that are positive and span decades."""
    known = values[np.isfinite(values)]
    if known.size and known.min() > 0 and known.max() > DECADES / 3 * known.min():
        axes.set_yscale("log")
        style.plain_logarithmic(axes.yaxis)


def _name(found: LandscapeSlice, axis: int) -> str:
    """What an axis is called, and what share of the path lies along it."""
    name = found.names[axis]
    if found.plane == "pca":
        return f"{name}: {100 * found.explained[axis]:.1f} % of the path"
    if found.plane == "axes":
        return style.component(name)
    return f"{name}, in multiples of it" if found.plane == "random" else name
