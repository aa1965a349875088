"""Why does the gradient point in the direction of steepest ascent?

Round (1, 2) on Himmelblau's function the slope follows a cosine: greatest, 48.2, at 221.6°, where
the gradient (−36, −32) points, 0 along the contour, and least where plain descent goes.

Reference: Nocedal and Wright, Numerical Optimization, second edition, 2006, section 2.2.
"""

from pathlib import Path

import numpy as np
from left import BLUE, ORANGE, Figure, arrays, dots_on_line, slide


def slopes(at: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """The slope in each direction, by central differences: no gradient is used."""
    f = lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2  # noqa: E731
    move = 1e-5 * np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1)
    return (f(*(at + move).T) - f(*(at - move).T)) / 2e-5


def finding(folder: Path) -> None:
    """The step is opposite to the steepest direction; the slope there is the gradient's length."""
    before, after = arrays(folder)["points"]
    np.testing.assert_allclose((before - after) / 0.01, [-36, -32], rtol=1e-6)
    found = slopes(before, np.arange(0, 360, 0.2))
    told = found.argmax(), *found[[1108, 658, 208]]
    np.testing.assert_allclose(told, [1108, 48.17, 0, -48.17], atol=0.05)


def figure(folder: Path) -> Figure:
    """Dots by differences, the line by the gradient."""
    drawn, axes = slide("Steepest where the gradient points", "direction (degrees)", "slope of f")
    x, at = np.arange(0, 361, 10), arrays(folder)["points"][0]
    dots_on_line(axes, x, 48.166 * np.cos(np.radians(x - 221.63)), slopes(at, x), BLUE)
    axes.axvline(221.63, color=ORANGE)
    axes.text(225, -46, "the gradient", color=ORANGE)
    return drawn
