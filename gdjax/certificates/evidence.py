"""Which steps of a certificate of equivalence are evidence, and whether they are enough."""

import numpy as np
from jaxtyping import Bool

from gdjax.certificates.path import Seen, phases

RESOLUTION = 10.0  # a step counts where a tenth of what the gradient adds to it would be seen


def counted(found: Seen) -> Bool[np.ndarray, "n steps"]:
    """Which steps are evidence: one component of a finite one moves, or stands still with both.

    Standing still is no evidence where nothing ever moves.
    """
    counts = found.moves | found.still if np.any(found.moves) else found.moves
    return np.any(counts, axis=-1) & np.all(found.compared, axis=-1)


def shortage(found: Seen, units: float) -> str:
    """Why too few steps count, and what to do; empty where half of those of every phase do.

    Args:
        found: what was seen.
        units: from how many units in the last place on a step counts.
    """
    if not np.any(np.all(found.compared, axis=-1)):
        return "no step is finite: give starts where the gradient is"
    if not np.any(found.alive):
        return "the gradient is 0 or not finite at every point: give starts where it is neither"
    if not np.any(found.moves):
        return (
            f"no gradient moves a point by {units:g} units in the last place: take a larger "
            f"learning rate, or more steps"
        )
    seen = np.any(counted(found), axis=0)
    for phase in phases(len(seen)):
        if 2 * seen[phase].sum() < len(phase):
            return (
                f"of the steps {phase[0] + 1} to {phase[-1] + 1} only {seen[phase].sum()} moved by "
                f"{units:g} units in the last place: take other starts, a larger learning rate, "
                f"or float64"
            )
    return ""
