"""Can Adam go uphill on a straight line?

Yes. The gradient of f(x) = x comes as 4, −1, −1, again and again: 2/3 on average, so that down is
left. Adam with β₂ = 1/17 shortens the step of the rare large one alone and goes right, by 0.0343 a
cycle; AMSGrad, which remembers the largest for all, goes left by 0.025. Here the learning rate is
constant and x is free; in the paper α falls and x stays in [−1, 1].

Reference: Reddi, Kale and Kumar, On the convergence of Adam and beyond, 2018, theorem 1.
"""

from pathlib import Path

import numpy as np
from left import BLUE, ORANGE, Figure, paths, slide


def finding(folder: Path) -> None:
    """What a cycle of three steps adds, once the start is forgotten."""
    adam, amsgrad = (path[::3, 0] for path in paths(folder))
    np.testing.assert_allclose(np.diff(adam)[2:], 0.0343, atol=1e-4)
    np.testing.assert_allclose(np.diff(amsgrad), -0.025, rtol=1e-6)


def figure(folder: Path) -> Figure:
    """The points against the step."""
    drawn, axes = slide("Adam climbs, AMSGrad descends: f(x) = x", "step", "x, and f(x)")
    names = ("Adam forgets the large gradient", "AMSGrad remembers it")
    for path, name, colour in zip(paths(folder), names, (ORANGE, BLUE), strict=True):
        axes.plot(path[:, 0], ".-", color=colour, linewidth=0.8)
        axes.text(30, path[30, 0] + np.sign(path[30, 0]) * 0.15, name, color=colour, ha="center")
    return drawn
