"""What of a picture grows with the steps of a path, for animations."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Growing(NamedTuple):
    """A part of a picture that can be shown up to a step.

    Args:
        artist: of matplotlib.
        show: takes the last step that is to be seen.
    """

    artist: Any
    show: Callable[[int], None]


def line(artist: Any, steps: np.ndarray) -> Growing:
    """A line, or points, of which each belongs to a step."""
    deep = hasattr(artist, "get_data_3d")
    whole = artist.get_data_3d() if deep else artist.get_data()
    put = artist.set_data_3d if deep else artist.set_data

    def show(step: int) -> None:
        put(*(np.asarray(column)[steps <= step] for column in whole))

    return Growing(artist, show)


def segments(artist: Any, ends: np.ndarray, steps: np.ndarray) -> Growing:
    """Segments, each of which is there from a step on."""
    return Growing(artist, lambda step: artist.set_segments(ends[steps <= step]))


def from_step(artist: Any, first: int) -> Growing:
    """What is there from a step on, whole."""
    return Growing(artist, lambda step: artist.set_visible(step >= first))


def ball(artist: Any, at: np.ndarray, steps: np.ndarray) -> Growing:
    """A mark at the point of the last step that is seen."""
    put = artist.set_data_3d if at.shape[1] == 3 else artist.set_data

    def show(step: int) -> None:
        last = max(int(np.searchsorted(steps, step, "right")) - 1, 0)
        put(*([x] for x in at[last]))

    return Growing(artist, show)
