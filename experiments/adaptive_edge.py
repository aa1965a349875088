"""Which curvature limits Adam, whose steps have a size of their own for every parameter?

That of the Hessian as Adam scales it: it is at 2(1 + β₁)/((1 − β₁)α) = 38/α within 1,500 steps and
hovers there, over the second half at 0.99 of 38,000. The Hessian as it is knows no such limit: its
sharpness goes from 5 to 50, where 2/α would be 2,000.

Reference: Cohen et al., Adaptive gradient methods at the edge of stability, 2022, section 3.
"""

from pathlib import Path

import numpy as np
from left import BLUE, ORANGE, Figure, arrays, curve, slide, summary

import gdjax


def plain(folder: Path) -> np.ndarray:
    """The sharpness as it is, wherever the command kept the parameters."""
    kept = arrays(folder, "training.npz")["parameters"]
    return np.array([float(gdjax.sharpness("digits_permuted", point)) for point in kept])


def finding(folder: Path) -> None:
    """One is at its limit, the other far below what would be one."""
    told, sharp = summary(folder), plain(folder)
    assert round(told["limit"]) == 38_000
    assert told["reached"] < 1500
    assert 0.95 < told["hovering"] < 1.05
    assert 4 < sharp[0] < 6 < 40 < sharp[-1] < 60


def figure(folder: Path) -> Figure:
    """Both, each over its limit."""
    drawn, axes = slide("Adam has an edge of its own", "step", "sharpness / limit", log="y")
    found, sharp = arrays(folder, "training.npz"), plain(folder) * 0.001 / 2
    scaled = found["sharpness"] * 0.001 / 38
    curve(axes, found["steps"], scaled, BLUE, "as Adam scales it, over 38/α", (2500, 0.55))
    curve(axes, found["checkpoints"], sharp, ORANGE, "as it is, over 2/α", (2500, 0.028))
    return drawn
