"""Which momentum carries the ball out of the local minimum that traps plain descent?

Of the 96 momenta 0, 0.01, … 0.95, from (7.11, 6.97) with learning rate 0.1, 70 reach a global
minimum. Up to 0.22 all are trapped, from 0.23 on it works, but 0.70, 0.71 and 0.95 fail again:
more momentum is not always better.

Reference: Attouch, Goudou and Redont, The heavy ball with friction method, 2000, section 1.
"""

from pathlib import Path

import numpy as np
from left import GREEN, ORANGE, Figure, reached, slide, swept


def finding(folder: Path) -> None:
    """How many escape, and which do not."""
    escaped = reached(folder).values[0]
    assert (escaped.sum(), escaped.size) == (70, 96)
    failed = swept(folder).momentum.values[~escaped]
    np.testing.assert_allclose(failed, [*np.arange(23) / 100, 0.70, 0.71, 0.95])


def figure(folder: Path) -> Figure:
    """The value after 300 steps against the momentum."""
    drawn, axes = slide("70 of 96 momenta escape, with gaps", "momentum", "f after 300 steps")
    found, escaped = swept(folder), reached(folder).values[0]
    for which, colour in ((escaped, GREEN), (~escaped, ORANGE)):
        at = found.momentum.values[which], found.final_value.values[0][which]
        axes.plot(*at, "o", color=colour, markersize=5)
    axes.text(0.25, 10.17, "local minima", color=ORANGE, va="center")
    axes.text(0.04, -5.9, "global minimum", color=GREEN, va="center")
    return drawn
