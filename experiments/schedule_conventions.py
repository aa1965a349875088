"""Do the momenta of two libraries agree when the learning rate changes?

Not when it falls. Keras, as gdjax, remembers steps; PyTorch, as optax, remembers gradients and
multiplies them by today's learning rate. For 20 steps both paths are the same to 1e-15. Then α
drops from 0.02 to 0.002: remembered steps roll on nearly as fast as before, remembered gradients
count a tenth at once, and 16 steps later the paths are 2.44 apart.

Reference: PyTorch, documentation of torch.optim.SGD, the note on momentum.
"""

from pathlib import Path

import numpy as np
from left import BLUE, GREY, ORANGE, Figure, paths, slide, summary


def finding(folder: Path) -> None:
    """The same until the drop, to rounding; then one keeps its speed, and the paths part."""
    (apart,) = summary(folder)["distances"]
    assert apart["step"] == 36
    assert abs(apart["largest"] - 2.438) < 1e-3
    steps, gradients = (path[:, 0] for path in paths(folder))
    np.testing.assert_allclose(steps[:21], gradients[:21], rtol=0, atol=1e-15)
    kept = [np.diff(x)[20] / np.diff(x)[19] for x in (steps, gradients)]
    np.testing.assert_allclose(kept, [0.9, 0.1], atol=0.02)


def figure(folder: Path) -> Figure:
    """Both paths, and where the learning rate falls."""
    title = "When the learning rate falls, two conventions of momentum part"
    drawn, axes = slide(title, "step", "x")
    for path, colour in zip(paths(folder), (BLUE, ORANGE), strict=True):
        axes.plot(path[:, 0], ".-", color=colour, linewidth=0.8)
    axes.axvline(20, color=GREY, linestyle="--")
    axes.text(20.6, 7, "α falls from 0.02 to 0.002", color=GREY)
    axes.text(61, paths(folder)[0][-1, 0], "Keras, gdjax", color=BLUE, va="bottom")
    axes.text(61, paths(folder)[1][-1, 0], "PyTorch, optax", color=ORANGE, va="top")
    axes.set_xlim(0, 72)
    return drawn
