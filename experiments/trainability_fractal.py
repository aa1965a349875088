"""Is the boundary between learning rates that train a network and those that do not a fractal?

Of 256 × 256 rates 84.6 % train in 200 steps. The boxes of 2 to 32 cells that hold both kinds fall
in number from 1,586 to 46, as of a boundary of dimension 1.30 ± 0.06; a smooth line has 1.

Reference: Sohl-Dickstein, The boundary of neural network trainability is fractal, 2024.
"""

from pathlib import Path

import numpy as np
from left import Figure, gdjax, slide, style, swept


def boundary(folder: Path) -> tuple[np.ndarray, float, float]:
    """Which rates train; the boundary's dimension by boxes that hold both kinds, and its error."""
    f, sides = gdjax.objectives.get("fractal"), [2, 4, 8, 16, 32]
    trained = swept(folder).final_value.values[0] < float(f(f.start))
    tiles = (trained.reshape(-1, k, len(trained) // k, k).swapaxes(1, 2) for k in sides)
    counts = [(x.any((2, 3)) & ~x.all((2, 3))).sum() for x in tiles]
    (slope, _), errors = np.polyfit(np.log(sides), np.log(counts), 1, cov=True)
    return trained, -slope, errors[0, 0] ** 0.5


def finding(folder: Path) -> None:
    """How many train; a dimension well above that of a line, and below that of the plane."""
    trained, found, error = boundary(folder)
    np.testing.assert_allclose([trained.mean(), found], [0.846, 1.30], atol=0.05)
    assert 1 + 3 * error < found < 2


def figure(folder: Path) -> Figure:
    """The loss in the end where they train, white where they do not."""
    drawn, axes = slide("Which rates train?", "rate of layer 1", "rate of layer 2", "xy")
    loss = swept(folder).final_value[0].where(boundary(folder)[0])
    drawn.colorbar(axes.pcolormesh(*(loss[dim] for dim in loss.dims), loss.T), label="loss")
    style.plain_logarithmic(axes.xaxis)
    style.plain_logarithmic(axes.yaxis)
    return drawn
