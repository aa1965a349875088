"""Does momentum find the lowest of many minima on other landscapes too?

On some. From momentum 0 to 0.95, with the best of nine learning rates at each, the share of 512
starts that find it grows from 24 to 88 % on qfsp, from 56 to 68 and from 40 to 56 % on the
camels, and from 0 to 32 % on Bohachevsky's; on Levy's it is 48 % in between, and at last 25 % as
at first; on Rastrigin's it stays at 1 %.

Reference: Attouch, Goudou and Redont, The heavy ball with friction method, 2000, section 1.
"""

from pathlib import Path

import numpy as np
from left import BLACK, BLUE, GREEN, ORANGE, PINK, SKY, Figure, reached, slide


def finding(folder: Path) -> None:
    """The shares without momentum, with 0.95, and Levy's best in between."""
    share = reached(folder).mean("start").max("learning_rate").transpose("objective", "momentum")
    np.testing.assert_allclose(share[:, 0], [0.24, 0.56, 0.40, 0.25, 0, 0.01], atol=0.02)
    np.testing.assert_allclose(share[:, -1], [0.88, 0.68, 0.56, 0.25, 0.32, 0.01], atol=0.02)
    np.testing.assert_allclose(share[3, 8:14], 0.48, atol=0.02)  # momenta 0.4 to 0.65


def figure(folder: Path) -> Figure:
    """The share against the momentum, for each landscape."""
    drawn, axes = slide("Momentum helps, but not everywhere", "momentum", "share of starts")
    share = reached(folder).mean("start").max("learning_rate")
    colours = BLUE, GREEN, ORANGE, PINK, SKY, BLACK
    for name, colour in zip(share.objective.values, colours, strict=True):
        line = share.sel(objective=name)
        axes.plot(line.momentum, line, "o-", color=colour, markersize=4, linewidth=1)
        axes.text(0.97, line.values[-1], name.replace("_", " "), color=colour, va="center")
    axes.set_xlim(0, 1.18)
    return drawn
