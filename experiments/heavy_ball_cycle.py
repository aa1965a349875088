"""Does the heavy ball that is fastest on quadratics converge on every convex function?

No. With learning rate 1/9 and momentum 4/9, the best for curvatures from 1 to 25, it runs from
3.3 into a cycle of three points, −2208/1225, 2592/1225 and 792/1225, on a strongly convex
function with these curvatures. Nesterov's, with 1/25 and 2/3, is at the minimum after 3 steps.

Reference: Lessard, Recht and Packard, Analysis and design of optimization algorithms via
integral quadratic constraints, 2016, section 4.6.
"""

from pathlib import Path

import numpy as np
from left import BLUE, GREEN, Figure, paths, slide

CYCLE = np.array([-2208, 2592, 792]) / 1225


def finding(folder: Path) -> None:
    """The last six points are twice the cycle; Nesterov's are at the minimum."""
    ball, nesterov = (path[:, 0] for path in paths(folder))
    np.testing.assert_allclose(ball[-6:], [*CYCLE, *CYCLE], atol=1e-6)
    np.testing.assert_allclose(nesterov[3:], 0, atol=1e-12)


def figure(folder: Path) -> Figure:
    """The points against the step, and the levels of the cycle."""
    drawn, axes = slide("Tuned for quadratics, the heavy ball cycles for ever", "step", "x")
    ball, nesterov = (path[:31, 0] for path in paths(folder))
    for level, name in zip(CYCLE, ("−2208/1225", "2592/1225", "792/1225"), strict=True):
        axes.axhline(level, color=BLUE, linewidth=0.8, linestyle="--")
        axes.text(35.2, level, name, color=BLUE, va="center")
    axes.plot(ball, "o-", color=BLUE, markersize=4, linewidth=0.6)
    axes.plot(nesterov, "o-", color=GREEN, markersize=4)
    axes.text(1.5, -3.2, "heavy ball", color=BLUE, va="center")
    axes.text(30.5, 0, "Nesterov", color=GREEN, va="center")
    axes.set_xlim(-1, 35)
    return drawn
