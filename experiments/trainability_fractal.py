"""Is the boundary between learning rates that train a network and those that do not a fractal?

PLACEHOLDER

Reference: Sohl-Dickstein, The boundary of neural network trainability is fractal, 2024.
"""

from pathlib import Path

import numpy as np
from left import Figure, slide, swept

import gdjax

SIDES = 2, 4, 8, 16, 32  # of boxes, in cells


def trained(folder: Path) -> np.ndarray:
    """Where the loss is lower in the end than at the start."""
    f = gdjax.objectives.get("fractal")
    return swept(folder).final_value.values[0] < float(f(f.start))


def dimension(good: np.ndarray) -> tuple[float, float]:
    """Of the boundary, by the boxes that hold cells of both kinds, and the error of the fit."""
    counts = []
    for side in SIDES:
        boxes = np.lib.stride_tricks.sliding_window_view(good, (side, side))[::side, ::side]
        counts.append((boxes.any((2, 3)) & ~boxes.all((2, 3))).sum())
    (slope, _), errors = np.polyfit(np.log(SIDES), np.log(counts), 1, cov=True)
    return -slope, errors[0, 0] ** 0.5


def finding(folder: Path) -> None:
    """A dimension well above that of a line, and below that of the plane."""
    found, error = dimension(trained(folder))
    assert 1 + 3 * error < found < 2 - 3 * error


def figure(folder: Path) -> Figure:
    """Where it trains, darker where the loss is lower."""
    drawn, axes = slide("Two layers, two rates", "rate of layer 1", "rate of layer 2", "xy")
    loss = swept(folder).final_value[0].where(trained(folder))
    rates = loss["learning_rate[w1]"], loss["learning_rate[w2]"]
    axes.pcolormesh(*rates, np.log10(loss.T), cmap="viridis", rasterized=True)
    return drawn
