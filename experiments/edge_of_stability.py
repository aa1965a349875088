"""How sharp a valley does gradient descent train itself into?

One as sharp as its steps can bear: 2/α, and 2(1 + μ)/α with momentum. The sharpness climbs to this
limit within 2,000 steps and hovers there: over the second half of the run it is on average 1.00 of
13.3 for α = 0.15, and 0.99 of 19 for α = 0.2 with μ = 0.9.

Reference: Cohen et al., Gradient descent on neural networks … at the edge of stability, 2021.
"""

import functools
from pathlib import Path

import numpy as np
from left import BLUE, ORANGE, Figure, arrays, curve, slide, summary

import gdjax


@functools.cache
def heavy_ball() -> gdjax.TrainingRun:
    """The same network with momentum; the command is without."""
    return gdjax.train("digits_permuted", gdjax.heavy_ball(0.2, 0.9), steps=20_000)


def finding(folder: Path) -> None:
    """When each is at its limit, and where it stays."""
    told, run = summary(folder), heavy_ball()
    ends = np.array([(told["reached"], told["hovering"]), (run.reached, run.hovering)], float)
    assert (ends > [0, 0.95]).all()
    assert (ends < [2000, 1.1]).all()


def figure(folder: Path) -> Figure:
    """The sharpness over its limit, of both."""
    drawn, axes = slide("Training hovers at the edge of stability", "step", "sharpness / limit")
    run, plain = heavy_ball(), arrays(folder, "training.npz")
    ratios = np.asarray(run.looks.sharpness) / 19, plain["sharpness"] * 0.15 / 2
    curve(axes, run.steps, ratios[0], BLUE, "heavy ball, limit 2(1 + μ)/α", (5600, 0.66))
    curve(axes, plain["steps"], ratios[1], ORANGE, "gradient descent, limit 2/α", (5600, 0.75))
    return drawn
