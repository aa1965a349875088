"""How much faster is a descent with the best momentum?

At κ = 100 a step leaves 0.980 of the error, with heavy ball 0.819 and with Nesterov 0.885. At
κ = 10⁴ heavy ball takes off 92 times as much as plain descent.

Reference: Polyak, Introduction to Optimization, 1987, section 3.2.
"""

from pathlib import Path

import numpy as np
from left import BLUE, GREEN, ORANGE, Figure, dots_on_line, results, slide

from gdjax import descend, objectives, optimizers
from gdjax.theory import METHODS, measured_rate, optimal


def gain(method: str, kappa: float) -> float:
    """The share of the error that a step takes off, with the best numbers for κ."""
    best = optimal(method, 1, kappa)
    made = getattr(optimizers, method)(*best[: 1 + bool(best.momentum)])
    f = objectives.get("ill_conditioned_quadratic", kappa=kappa)
    path = descend(f, made, steps=int(24 / (1 - best.rate)), dtype="float64")
    return 1 - measured_rate(np.linalg.norm(path.points, axis=1))


def finding(folder: Path) -> None:
    """The rates at κ = 100, and the gain at 10⁴."""
    np.testing.assert_allclose(results(folder, "rate_measured"), [0.980, 0.819, 0.885], atol=6e-4)
    assert 91 < gain("heavy_ball", 1e4) / gain("gradient_descent", 1e4) < 93


def figure(folder: Path) -> Figure:
    """Dots as measured, lines by theory."""
    title, kappas = "Momentum turns 1/κ into 1/√κ", np.geomspace(4, 1e4, 9)
    drawn, axes = slide(title, "condition number κ", "share that a step takes off", log="xy")
    for method, colour in zip(METHODS, (ORANGE, BLUE, GREEN), strict=True):
        theory = [1 - optimal(method, 1, k).rate for k in kappas]
        dots_on_line(axes, kappas, theory, [gain(method, k) for k in kappas], colour, method)
    return drawn
