"""How many random starts does plain descent need to find the global minimum?

On this landscape a start succeeds with p = 0.25492; of n starts all fail with (1 − p)ⁿ. To be
99 % sure 16 are needed: of 4,096 groups of 16 starts 99.2 % found it, of groups of 8 90.2 %.

Reference: Rinnooy Kan and Timmer, Stochastic global optimization methods, part I, 1987, page 27.
"""

from pathlib import Path

import numpy as np
from left import BLUE, GREY, ORANGE, Figure, reached, slide

P = 1 - (1 - 4.104619850558 / 30) ** 2  # in closed form: the basins are known


def shares(folder: Path, sizes: range) -> list[float]:
    """The share of groups of each size in which at least one start found it."""
    found = reached(folder).values
    return [found[: len(found) // n * n].reshape(-1, n).any(axis=1).mean() for n in sizes]


def finding(folder: Path) -> None:
    """The shares are those of independent draws, and 16 is the least that gives 99 %."""
    theory = 1 - (1 - P) ** np.arange(1, 25)
    assert np.flatnonzero(theory > 0.99)[0] == 15
    found = shares(folder, range(1, 25))
    np.testing.assert_allclose(found, theory, atol=0.008)
    np.testing.assert_allclose([found[7], found[15]], [0.902, 0.992], atol=5e-4)


def figure(folder: Path) -> Figure:
    """The share of successful groups against their size."""
    drawn, axes = slide("16 random starts find it with 99 %", "random starts n", "success")
    sizes = range(1, 25)
    axes.plot(sizes, 1 - (1 - P) ** np.array(sizes), color=GREY)
    axes.plot(sizes, shares(folder, sizes), "o", color=BLUE)
    axes.axhline(0.99, color=ORANGE, linestyle="--")
    axes.text(8, 0.8, "line: 1 − (1 − p)ⁿ with p = 0.25492\ndots: groups of n starts")
    return drawn
