"""Which steps of a certificate of equivalence are evidence, and whether they are enough."""

import numpy as np
from jaxtyping import Bool

from gdjax.certificates.path import Seen

RESOLUTION = 10.0  # a step counts where a tenth of what the gradient adds to it would be seen
PHASES = 10  # into so many parts a run is cut, and in each half of the steps must count


def phases(counts: Bool[np.ndarray, "n steps"]) -> list[np.ndarray]:
    """Whether steps count, phase by phase, ``(n, steps of the phase)``: a tenth of the run each."""
    return np.array_split(counts, min(PHASES, counts.shape[1]), axis=1)


def shortage(found: Seen, units: float) -> str:
    """Why too few steps count, and what to do; empty where enough do.

    A step counts that does so from one start at least, in one component.

    Args:
        found: what was seen.
        units: from how many units in the last place on a step counts.
    """
    if not found.compared.any():
        return "no step is finite: give starts where the gradient is"
    if not found.alive.any():
        return "the gradient is 0 or not finite at every point: give starts where it is neither"
    if not found.moves.any():
        return (
            f"no step is {units:g} units in the last place long: take a larger learning rate, "
            f"or more steps"
        )
    first = 1
    for phase in phases(found.counts.any(axis=-1)):
        enough, length = phase.any(axis=0).sum(), phase.shape[1]
        if 2 * enough < length:
            return (
                f"only {enough} of the steps {first} to {first + length - 1} are {units:g} units "
                f"in the last place long: take other starts, a larger learning rate, or float64"
            )
        first += length
    return ""
