"""What does the learning rate do on the simplest bowl, x² + y²?

Each step multiplies the distance to the minimum by |1 − 2α|. From distance 5, thirty steps of
α = 0.02 crawl to 1.47, those of 0.3 arrive, those of 0.9 overshoot each time and still come to
0.006; α = 1 jumps to and fro at distance 5 for ever, and 1.05 diverges, to 87.

Reference: Polyak, Introduction to Optimization, 1987, section 1.4.
"""

from pathlib import Path

import numpy as np
from left import BLUE, GREEN, ORANGE, PINK, YELLOW, Figure, dots_on_line, paths, slide

RATES = {0.02: "crawls", 0.3: "arrives", 0.9: "overshoots", 1.0: "for ever", 1.05: "diverges"}


def finding(folder: Path) -> None:
    """The distances after thirty steps, and the factor of every single step."""
    ends = [np.linalg.norm(path[-1]) for path in paths(folder)]
    np.testing.assert_allclose(ends, [1.469, 5.76e-12, 0.00619, 5, 87.25], rtol=1e-3)
    for rate, path in zip(RATES, paths(folder), strict=True):
        np.testing.assert_allclose(path[1:], (1 - 2 * rate) * path[:-1], rtol=1e-6)


def figure(folder: Path) -> Figure:
    """The distance against the step: dots as measured, lines by theory."""
    title = "Each step multiplies the distance to the minimum by |1 − 2α|"
    drawn, axes = slide(title, "step", "distance to the minimum")
    colours = ORANGE, BLUE, GREEN, PINK, YELLOW
    for rate, path, colour in zip(RATES, paths(folder), colours, strict=True):
        distance = np.linalg.norm(path, axis=1)
        step = np.flatnonzero(distance > 1e-4)
        theory, text = 5 * abs(1 - 2 * rate) ** step, f"α = {rate:g} {RATES[rate]}"
        dots_on_line(axes, step, theory, distance[step], colour, text)
    axes.semilogy()
    return drawn
