"""What all pictures share: a palette safe for colour-blind readers, and sizes that stay legible."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps, patheffects
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

# Okabe & Ito 2008, Color Universal Design: told apart under every common colour blindness.
PALETTE = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Four more for pictures with many classes, chosen to stay apart from the others and from the greys.
CLASSES = (*PALETTE[:6], "#332288", "#DDCC77", "#661100", "#8C6D31")
HALO = [patheffects.Stroke(linewidth=3.4, foreground="white", alpha=0.9), patheffects.Normal()]
RIM = [patheffects.Stroke(linewidth=2.6, foreground="black"), patheffects.Normal()]


def _pale(name: str, white: float) -> ListedColormap:
    """A colour map mixed with white, so that paths stand out against the ground."""
    shades = colormaps[name](np.linspace(0, 1, 256))[:, :3]
    return ListedColormap(white + (1 - white) * shades, name=f"pale_{name}")


LANDSCAPE = _pale("viridis", 0.35)


def colours(labels: Iterable[str]) -> dict[str, str]:
    """A colour for each label, in their order; the same labels get the same in every picture.

    Example:
        >>> colours(["plain", "momentum"])
        {'plain': '#D55E00', 'momentum': '#0072B2'}
    """
    return {label: PALETTE[i % len(PALETTE)] for i, label in enumerate(labels)}


def paler(colour: str, white: float | np.ndarray) -> np.ndarray:
    """A colour mixed with white, as RGB; one for each share of white, ``(..., 3)``.

    Example:
        >>> paler("#000000", 0.25).tolist()
        [0.25, 0.25, 0.25]
    """
    white = np.asarray(white)[..., None]
    return white + (1 - white) * np.asarray(to_rgb(colour))


def title(name: str, latex: str) -> str:
    """An objective's title: its name, and its formula where one is known.

    Example:
        >>> title("three_hump", "x^2")
        'three hump:  $f = x^2$'
    """
    readable = name.replace("_", " ")
    return f"{readable}:  $f = {latex}$" if latex else readable


def point(at: Iterable[float]) -> str:
    """A point in brackets, short.

    Example:
        >>> point([1.29787, -1.29787])
        '(1.30, −1.30)'
    """
    return f"({', '.join(f'{x:.2f}'.replace('-', '−') for x in at)})"


def bar(figure: Figure, shades: ScalarMappable, panels: Sequence[Axes], title: str) -> None:
    """A colour bar beside some axes; a logarithmic one with plain numbers."""
    drawn = figure.colorbar(shades, ax=panels, pad=0.03, shrink=0.95, aspect=30)
    drawn.ax.set_title(title, fontsize=10)
    drawn.outline.set_visible(False)  # type: ignore[operator]  # a Patch, typed as a callable
    if isinstance(shades.norm, LogNorm):
        low, high = shades.get_clim()
        plain_logarithmic(drawn.ax.yaxis, wide=bool(low and high and high > 10 * low))


def plain_logarithmic(axis: Axis, wide: bool = True) -> None:
    """Mark a logarithmic axis at 1, 2, 5, 10, … in plain numbers; a narrow one evenly."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if wide else MaxNLocator(6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def quiet(axes: Axes) -> None:
    """Take the frame off the top and the right, and lay a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)


def save(figure: Figure, path: Path, dpi: int = 150) -> Path:
    """Write a figure in the format that the path's suffix names, and return the path."""
    figure.savefig(path, dpi=dpi, facecolor="white")
    return path
