"""Is gdjax's heavy ball the momentum of optax's sgd?

Yes, in another convention: of 300 steps from the same state none differs by more than rounding,
2 units in the last place, and two whole paths stay within 1e-14 of each other. Under a schedule
they are two methods, and the certificate says so.

Reference: Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum
in deep learning, 2013, section 2.
"""

from pathlib import Path

import numpy as np
from left import BLUE, Figure, paths, slide, summary


def finding(folder: Path) -> None:
    """What the certificate says of constant and of falling learning rates; and the distance."""
    (told,) = summary(folder)["certificates"]
    constant, decaying = told["trials"]
    assert constant["verdict"].startswith("same method, other convention")
    assert constant["ulps"] <= 2
    assert constant["steps"] == 300
    assert decaying["verdict"] == "different"
    assert 0 < summary(folder)["distances"][0]["largest"] < 1e-14


def figure(folder: Path) -> Figure:
    """How far the two paths are apart, against how far they travel."""
    title = "Two conventions, one path: only rounding lies between"
    drawn, axes = slide(title, "step", "distance")
    a, b = paths(folder)
    axes.semilogy(np.linalg.norm(a - a[-1], axis=1)[:-1], color=BLUE)
    axes.semilogy(np.linalg.norm(a - b, axis=1), ".", color=BLUE)
    axes.text(60, 1, "to the minimum", color=BLUE)
    axes.text(60, 1e-14, "between the two paths", color=BLUE)
    return drawn
