"""How does the slope of the tangent lead downhill?

At x = 0.7 the derivative of x⁴/4 − 2x² + x is −1.457: the tangent falls to the right, and the
step −0.05 f′(x) = +0.073 goes there. Each of 40 steps is −0.05 times the slope, each lowers
the value, and the last tangents, near x = 1.861 and f = −2.07, are level. The valley on the
left, at x = −2.115 with f = −6.06, is deeper and is never seen.

Reference: Strang, Calculus, 1991, chapters 2 and 3.
"""

from pathlib import Path

import numpy as np
from left import BLUE, GREY, ORANGE, Figure, arrays, slide

f = np.polynomial.Polynomial([0, 1, -2, 0, 1 / 4])  # as the config has it


def finding(folder: Path) -> None:
    """Each step follows the slope and goes down, until there is none; the left is deeper."""
    x = arrays(folder)["points"][:, 0]
    slope = f.deriv()(x)
    np.testing.assert_allclose(np.diff(x), -0.05 * slope[:-1], atol=1e-12)
    assert (np.diff(f(x)) < 0).all()
    np.testing.assert_allclose([slope[0] + 1.457, slope[-1], f.deriv()(-2.115)], 0, atol=2e-3)
    np.testing.assert_allclose([x[-1], f(x[-1]), f(-2.115)], [1.861, -2.07, -6.06], atol=5e-3)


def figure(folder: Path) -> Figure:
    """The curve, the descent on it, and the tangents of some points."""
    drawn, axes = slide("Each step goes down the tangent, until it is level", "x", "f(x)")
    x, line = arrays(folder)["points"][:, 0], np.linspace(-2.9, 2.7, 300)
    axes.plot(line, f(line), color=GREY)
    for at in x[[0, 4, 8, 12, -1]]:
        reach = np.array([-0.6, 0.6])
        axes.plot(at + reach, f(at) + f.deriv()(at) * reach, color=BLUE, linewidth=1)
    axes.plot(x, f(x), "o", color=ORANGE, markersize=5)
    axes.text(0.75, -0.1, "start")
    axes.text(-2, -4, "the deeper valley", ha="center")
    return drawn
