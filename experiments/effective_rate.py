"""Is heavy ball no more than gradient descent with the learning rate α/(1 − μ)?

Where that is small, yes: at 0.1 the losses of a network with μ = 0, 0.5 and 0.9 lie on one curve to
within 3 %, if read μ/(1 − μ) steps later. Where it is large, no: at 8, μ = 0.9 trains to 0.003, and
0.5 and plain descent are thrown out, to more than 10 times the loss that they began with.

Reference: Fu et al., When and why momentum accelerates SGD: an empirical study, 2023.
"""

from pathlib import Path

import numpy as np
from left import BLUE, GREEN, GREY, ORANGE, Figure, arrays, slide


def losses(folder: Path) -> list[np.ndarray]:
    """The loss of each at every step: μ = 0, 0.5 and 0.9 at 0.1, then at 8."""
    return [arrays(folder)[f"values_{i}"] for i in range(6)]


def finding(folder: Path) -> None:
    """How far the small ones lie apart from step 20 on, and where the large ones end."""
    plain, half, most, *large = losses(folder)
    np.testing.assert_allclose(half[21:], plain[20:-1], rtol=0.03)
    np.testing.assert_allclose(most[29:], plain[20:-9], rtol=0.03)
    assert large[2][-1] < 0.004
    assert min(large[0][-1], large[1][-1]) > 10 * plain[0]


def figure(folder: Path) -> Figure:
    """The loss against the step, of all six."""
    drawn, axes = slide("Momentum is a larger step, until steps are large", "step", "loss", log="y")
    for i, (loss, colour) in enumerate(zip(losses(folder), (ORANGE, GREEN, BLUE) * 2, strict=True)):
        axes.plot(loss, color=colour, linewidth=1.2, linestyle="-" if i > 2 else "--")
    for colour, y, name in ((ORANGE, 20, "0"), (GREEN, 55, "0.5"), (BLUE, 0.0033, "0.9")):
        axes.text(405, y, f"μ = {name}", color=colour, va="center")
    axes.text(100, 2.2, "α/(1 − μ) = 0.1, all three μ", color=GREY)
    axes.text(100, 0.022, "α/(1 − μ) = 8", color=GREY)
    return drawn
