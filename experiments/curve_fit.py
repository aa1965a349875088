"""How long does it take to fit a straight line by descent?

The best line through Anscombe's eleven points is y = 3.000 + 0.500 x, with misfit 13.763. The
columns 1 and x are so alike that the bowl has condition number 844: each with its best numbers,
heavy ball is within 1e-6 of that misfit after 237 steps, though it swells first, and plain
descent after 2000 still 0.05 above it.

Reference: Anscombe, Graphs in statistical analysis, 1973, page 19.
"""

from pathlib import Path

import numpy as np
from left import BLUE, ORANGE, Figure, arrays, paths, slide

BEST = 13.76269


def finding(folder: Path) -> None:
    """The line, and how much either misfit is above the best one."""
    np.testing.assert_allclose(paths(folder)[1][-1], [3.000, 0.500], atol=5e-4)
    plain, ball = (arrays(folder)[f"values_{i}"] - BEST for i in (0, 1))
    assert np.argmax(ball < 1e-6) == 237
    assert abs(plain[-1] - 0.05) < 1e-3


def figure(folder: Path) -> Figure:
    """How much the misfit is above the best one."""
    drawn, axes = slide("Fitting a line: momentum pays", "step", "misfit above the least")
    for i, (name, colour) in enumerate((("plain descent", ORANGE), ("heavy ball", BLUE))):
        gap = np.maximum(arrays(folder)[f"values_{i}"] - BEST, 1e-12)
        axes.semilogy(gap[gap > 1e-12], color=colour)
        axes.text((1000, 250)[i], (20, 1e-5)[i], name, color=colour)
    return drawn
