"""Which step makes numerical differentiation most exact?

Of eˣ at 1 the forward difference is best near √ε = 1e-8, with 8 digits, the central one near
∛ε = 6e-6, with 10; the complex step gives 15 digits below 1e-8. A descent on x² by differences of
step 1e-17 never leaves its start 8: 8 + 1e-17 is 8.

Reference: Squire and Trapp, Using complex variables to estimate derivatives, 1998, page 110.
"""

from pathlib import Path

import numpy as np
from left import BLUE, GREEN, ORANGE, Figure, slide

import gdjax

H = 10.0 ** -np.arange(1, 16.1, 0.25)
FORWARD = np.abs((np.exp(1 + H) - np.e) / H / np.e - 1)
CENTRAL = np.abs((np.exp(1 + H) - np.exp(1 - H)) / (2 * H) / np.e - 1)
COMPLEX = np.abs(np.imag(np.exp(1 + 1j * H)) / H / np.e - 1)


def finding(folder: Path) -> None:
    """The certificate, the best steps, and a descent with a step that is too small."""
    assert "the hand-derived gradient is right" in (folder / "gdjax.log").read_text("utf-8")
    assert 1e-9 < H[FORWARD.argmin()] < 1e-7 < 1e-6 < H[CENTRAL.argmin()] < 3e-5
    assert max(FORWARD.min() / 1e-8, CENTRAL.min() / 1e-10, COMPLEX[H < 1e-8].max() / 1e-15) < 1
    slope = lambda x: ((x + 1e-17) ** 2 - x**2) / 1e-17  # noqa: E731
    f = gdjax.Objective(fn=lambda x: x[0] ** 2, gradient=slope, start=[8])
    path = gdjax.descend(f, gdjax.gradient_descent(0.1), gradient="hand", dtype="float64")
    assert float(path.points[-1, 0]) == 8


def figure(folder: Path) -> Figure:
    """The error of each formula against the step."""
    drawn, axes = slide("Small steps drown in rounding", "step h", "relative error", "xy")
    axes.set_prop_cycle(color=[ORANGE, BLUE, GREEN])
    axes.plot(H, np.stack([FORWARD, CENTRAL, COMPLEX + 1e-17], axis=1), ".-")
    axes.legend(["forward: best √ε", "central: ∛ε", "complex step: none"], loc="upper center")
    return drawn
