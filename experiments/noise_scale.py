"""Up to how many rows is a larger batch worth its price?

Batches of B rows, with the best of five rates for each, train a network to the loss 0.3 within 20 %
of 32 (1 + 18/B) steps: 288 for 2 rows, 33 for 256. Beyond 18 rows, more spare little. The noise
scale tr Σ/‖g‖² along the fastest run says so, with a median of 26; at the least rate it is 197.

Reference: McCandlish et al., An empirical model of large-batch training, 2018, section 2.
"""

from pathlib import Path

import numpy as np
from left import BLUE, Figure, curve, slide, swept

from gdjax import gradient_descent, train


def steps(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The sizes of batches, and the steps that each takes to 0.3, a mean over the starts."""
    found = swept(folder).squeeze()
    taken = found.record.where(found["values"] <= 0.3).min("record").mean("start", skipna=False)
    return found.objective.values.astype(float), taken.min("learning_rate").values


def finding(folder: Path) -> None:
    """The law, and the noise scale on the way to 0.3, of steps over all data."""
    batch, taken = steps(folder)
    np.testing.assert_allclose(taken, 32 * (1 + 18 / batch), rtol=0.2)
    for given, last, median in ((gradient_descent(1.7), 28, 26), (gradient_descent(0.3), 143, 197)):
        run = train("digits_mlp", given, steps=last, watch="noise_scale", every=1)
        np.testing.assert_allclose(np.median(run.looks.noise_scale), median, rtol=0.2)


def figure(folder: Path) -> Figure:
    """The steps against the size of a batch, and the law."""
    title, rows = "Beyond the noise scale, larger batches spare few steps", np.geomspace(2, 256, 99)
    drawn, axes = slide(title, "rows of a batch, B", "steps to the loss 0.3", log="xy")
    axes.plot(*steps(folder), "o", color=BLUE)
    curve(axes, rows, 32 * (1 + 18 / rows), BLUE, "32 (1 + 18/B)", (24, 60))
    return drawn
