"""Do two trainings of a network end in one valley?

From one initialisation they do, from two they do not. Runs that differ only in the order of their
batches end apart, and on the straight line between them the loss never rises above their own
losses, 0.06. Towards a run from another initialisation it rises by 0.6, though both ends are low.

Reference: Frankle et al., Linear mode connectivity and the lottery ticket hypothesis, 2020.
"""

import functools
from pathlib import Path

from left import BLUE, ORANGE, Figure, arrays, curve, gdjax, slide


@functools.cache
def line(folder: Path, *, together: bool) -> gdjax.LandscapeSlice:
    """From the command's run to one with other batches, from its initialisation or another."""
    f, first = (gdjax.objectives.get("digits_mlp", batch=64, seed=seed) for seed in (2, 1))
    start = first.start if together else f.start
    other = gdjax.train(f, gdjax.heavy_ball(0.02, 0.9), start, steps=1500, every=1500, watch=())
    return gdjax.landscape(f, [arrays(folder, "training.npz")["point"], other.point], "between")


def finding(folder: Path) -> None:
    """The barriers, and the losses of the ends."""
    one, two = (line(folder, together=together) for together in (True, False))
    assert one.barriers < 0.005
    assert 0.3 < two.barriers < 0.9
    assert max(*one.end_losses, *two.end_losses) < 0.08


def figure(folder: Path) -> Figure:
    """The loss along both lines."""
    drawn, axes = slide("From one start they share a valley", "share of the way", "loss")
    one, two = (line(folder, together=together) for together in (True, False))
    curve(axes, two.coordinates[0], two.losses, ORANGE, "from two starts", (0.7, 0.36))
    curve(axes, one.coordinates[0], one.losses, BLUE, "from one", (0.45, 0.08))
    return drawn
