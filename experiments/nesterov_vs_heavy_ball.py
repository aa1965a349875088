"""Is Nesterov's momentum faster than the heavy ball's?

Hardly, with the same cautious learning rate 1/L: on curvatures from 1 to 100 the best of 50 momenta
is 0.82 for both, with a rate of 0.901 for Nesterov and 0.906 for heavy ball; without it is 0.990.

Reference: Nesterov, Introductory Lectures on Convex Optimization, 2004, section 2.2.
"""

from pathlib import Path

import numpy as np
from left import BLUE, GREEN, Figure, Line, dots_on_line, slide, swept

from gdjax.theory import measured_rate, spectral_radius


def rates(folder: Path, method: str) -> Line:
    """The momenta, the rates by theory, and those that were measured."""
    found = swept(folder).sel(optimizer=method).squeeze()
    distance = np.sqrt((found.points**2).sum("component")).transpose("momentum", "record")
    theory = np.asarray(spectral_radius(method, [1, 100], 0.01, found.momentum.values))
    return found.momentum.values, theory, np.array([measured_rate(each) for each in distance])


def finding(folder: Path) -> None:
    """Theory holds; the rates without momentum and with the best one."""
    for method, best in (("heavy_ball", 0.906), ("nesterov", 0.901)):
        momentum, theory, found = rates(folder, method)
        np.testing.assert_allclose(found, theory, atol=1e-4)
        told = momentum[found.argmin()], found[0], found.min()
        np.testing.assert_allclose(told, [0.82, 0.99, best], atol=6e-4)


def figure(folder: Path) -> Figure:
    """Dots as measured, lines by theory."""
    title = "With learning rate 1/L both are nearly alike"
    drawn, axes = slide(title, "momentum μ", "rate: error after a step / before")
    dots_on_line(axes, *rates(folder, "heavy_ball"), BLUE, "heavy ball")
    dots_on_line(axes, *rates(folder, "nesterov"), GREEN, "Nesterov")
    return drawn
