"""Can a ball roll through the pits of Ackley's landscape?

From (2.6, 1.7) plain descent falls into the first pit, (1.974, 1.974) with f = 6.56. With
momentum 0.95 the same learning rate of 0.01 passes pit after pit, and from step 300 on the ball
circles the tip within 0.076. It never settles, for right up to the tip the slope does not fade.

Reference: Ackley, A Connectionist Machine for Genetic Hillclimbing, 1987.
"""

from pathlib import Path

import numpy as np
from left import paths, summary


def finding(folder: Path) -> None:
    """Where each ends, and how close to the tip the ball stays."""
    plain, ball = summary(folder)["results"].values()
    np.testing.assert_allclose(plain["final_point"], [1.974, 1.974], atol=1e-3)
    assert abs(plain["final_value"] - 6.56) < 0.01
    distance = np.linalg.norm(paths(folder)[1][300:], axis=1)
    assert 0.03 < distance.min() < distance.max() < 0.076
    assert ball["outcome"] == "max_steps"
