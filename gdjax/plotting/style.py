"""What all pictures share: a palette safe for colour-blind readers, and sizes that stay legible."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from matplotlib import colormaps, patheffects
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

# Okabe & Ito 2008, Color Universal Design: told apart under every common colour blindness.
PALETTE = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
HALO = [patheffects.Stroke(linewidth=3.4, foreground="white", alpha=0.9), patheffects.Normal()]
RIM = [patheffects.Stroke(linewidth=2.6, foreground="black"), patheffects.Normal()]

LINE = 100  # glyphs of a formula that a title has room for


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


def title(name: str, latex: str) -> str:
    """An objective's title: its name, and its formula where one is known and not too long.

    Example:
        >>> title("three_hump", "x^2")
        'three hump:  $f = x^2$'
    """
    readable = name.replace("_", " ")
    return f"{readable}:  $f = {latex}$" if fits(latex) else readable


def fits(latex: str) -> bool:
    """Whether there is a formula, and a line of a title can hold it."""
    glyphs = re.sub(r"\\[a-zA-Z]+", "xx", latex)
    return 0 < len(re.sub(r"[\\{}^_ ]", "", glyphs)) <= LINE


def quiet(axes: Axes) -> None:
    """Take the frame off the top and the right, and lay a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)


def save(figure: Figure, path: Path, dpi: int = 150) -> Path:
    """Write a figure in the format that the path's suffix names, and return the path."""
    figure.savefig(path, dpi=dpi, facecolor="white")
    return path
