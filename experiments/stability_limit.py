"""How large may the learning rate be before a method diverges?

On a quadratic with largest curvature L = 10 heavy ball converges below 2(1 + μ)/L, Nesterov below
2(1 + μ)/((1 + 2μ)L). Of the learning rates 0.002, 0.004, … 0.4 the last that converged is the last
below the limit, for each of ten momenta: 0.198 without, and 0.378 or 0.134 with 0.9.

Reference: Goh, Why Momentum Really Works, 2017, Distill, section on the dynamics of momentum.
"""

from pathlib import Path

import numpy as np
from left import BLUE, GREEN, Figure, Line, dots_on_line, slide, swept

from gdjax.theory import stability_limit


def limits(folder: Path, method: str) -> Line:
    """The momenta, the limits by theory, and the largest learning rates that converged."""
    found = swept(folder).sel(optimizer=method).squeeze()
    last = found.learning_rate.where(found.outcome == 0).max("learning_rate").values
    momentum = found.momentum.values
    return momentum, np.asarray(stability_limit(method, 10.0, momentum)), last


def finding(folder: Path) -> None:
    """The limit lies within a step of the grid above what was measured."""
    for method, end in (("heavy_ball", 0.378), ("nesterov", 0.134)):
        _, theory, last = limits(folder, method)
        np.testing.assert_allclose(last[[0, -1]], [0.198, end])
        assert 0 < (theory - last).min() < (theory - last).max() < 0.002 + 1e-9


def figure(folder: Path) -> Figure:
    """Dots as measured, lines by theory."""
    title = "Momentum lets heavy ball take a larger learning rate, and Nesterov a smaller one"
    drawn, axes = slide(title, "momentum μ", "largest learning rate that converges")
    dots_on_line(axes, *limits(folder, "heavy_ball"), BLUE, "heavy ball\n  2(1 + μ)/L")
    dots_on_line(axes, *limits(folder, "nesterov"), GREEN, "Nesterov\n  2(1 + μ)/((1 + 2μ)L)")
    return drawn
