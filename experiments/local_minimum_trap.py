"""Where does plain descent end that starts on the wrong slope?

In the nearest valley: after 300 steps of 0.1 from (7.11, 6.97) it rests in the local minimum
f(3.751, 1.155) = 10.168, while the global one, −5.904, is never seen.

Reference: the closed form of the objective; its minima in ``gdjax objectives qfsp``.
"""

from pathlib import Path

from left import summary

import gdjax


def finding(folder: Path) -> None:
    """The end is a known minimum, and not the global one."""
    (end,) = summary(folder)["results"].values()
    assert end["outcome"] == "converged"
    assert abs(end["final_value"] - 10.167909) < 1e-4
    fmin = gdjax.objectives.get("qfsp").fmin
    assert fmin is not None
    assert end["final_value"] > fmin + 16
