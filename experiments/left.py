"""What studies share: what a command left in a folder, and an empty slide to draw on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

import gdjax
from gdjax.plotting import style
from gdjax.plotting.figure import AnyFigure as Figure
from gdjax.plotting.figure import one_panel

ORANGE, BLUE, GREEN, PINK, YELLOW, SKY, BLACK = style.PALETTE[:7]
GREY = "0.45"  # of what stands behind

Line = tuple[np.ndarray, np.ndarray, np.ndarray]  # x, what theory says there, what was measured


def summary(folder: Path) -> dict[str, Any]:
    """The numbers that the command told."""
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def results(folder: Path, key: str) -> list[Any]:
    """One of the numbers that ``run`` or ``compare`` told of each descent."""
    return [told[key] for told in summary(folder)["results"].values()]


def swept(folder: Path) -> xr.Dataset:
    """The results of a sweep."""
    store = Path(summary(folder)["store"])  # from where the command was called
    return gdjax.open_results(folder.parent / "stores" / store.name)


def reached(folder: Path) -> xr.DataArray:
    """Which descents of a sweep came to rest in a global minimum."""
    found = swept(folder)
    number = xr.DataArray(range(found.sizes["known_minimum"]), dims="known_minimum")
    return ((found.minimum == number) & found.is_global).any("known_minimum")


def arrays(folder: Path, file: str = "trajectory.npz") -> dict[str, np.ndarray]:
    """The arrays of ``run`` or ``compare``; those of ``train`` are in ``training.npz``."""
    with np.load(folder / file) as found:
        return dict(found)


def paths(folder: Path) -> list[np.ndarray]:
    """The points of each descent of ``compare``, in order, ``(steps + 1, d)``."""
    found = arrays(folder)
    return [found[f"points_{i}"].astype(float) for i in range(len(found["labels"]))]


def slide(title: str, x: str, y: str, log: str = "") -> tuple[Figure, Axes]:
    """An empty picture for a slide: what it shows, what its axes are, and which are logarithmic."""
    figure, axes, _ = one_panel(8, 4.8)
    axes.set_title(title, fontsize=13)
    axes.set(xlabel=x, ylabel=y, **{f"{each}scale": "log" for each in log})
    style.quiet(axes)
    return figure, axes


def dots_on_line(axes: Axes, x: Any, theory: Any, found: Any, colour: str, label: str = "") -> None:
    """A line by theory, dots as measured, and their name at the end."""
    axes.plot(x, theory, color=colour, linewidth=1)
    axes.plot(x, found, "o", color=colour, markersize=4)
    axes.text(x[-1], theory[-1], "  " + label.replace("_", " "), color=colour, va="center")


def curve(axes: Axes, x: Any, y: Any, colour: str, label: str, at: tuple[float, float]) -> None:
    """A line, and its name at a place; logarithmic axes are marked in plain numbers."""
    axes.plot(x, y, color=colour, linewidth=1.4)
    axes.text(*at, label, color=colour)
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            style.plain_logarithmic(axis)
