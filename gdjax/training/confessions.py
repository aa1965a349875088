"""A slice of a landscape, and in words what it hides."""

import math
from typing import NamedTuple

import numpy as np

from gdjax._util.display import Card, shown

LETTERS = "ABC"


@shown
class LandscapeSlice(NamedTuple):
    """The loss along a line or over a plane, and what that hides.

    Its points are ``origin + coordinates @ directions``; k is 1 for a line and 2 for a plane.

    Args:
        objective: what was looked at.
        plane: which plane: ``random``, ``pca``, ``between``, ``hessian`` or ``axes``.
        says: the same in words.
        names: what its axes are called.
        coordinates: along each axis, ``(n,)``.
        losses: over a line ``(n,)``; over a plane ``(n, n)``, rows along the first axis.
        origin: the point at coordinates 0, flat, ``(d,)``.
        directions: ``(k, d)``.
        center: coordinates of the point that the slice is laid through, ``(k,)``.
        loss: there.
        path: coordinates of the points of the plane nearest to those of the path, ``(m, k)``.
        steps: at which these were.
        whole: how many points the path has; of many, only some are looked at.
        lost: how many of them were left out that are not finite.
        distances: of the path's points from the plane, ``(m,)``.
        lengths: of the same points from the centre, ``(m,)``.
        true_losses: at the path's points, ``(m,)``.
        shown_losses: at the points of the plane nearest to them, ``(m,)``.
        explained: what share of the path's squared distance from the centre lies along the first
            axis, and what the second one adds, ``(k,)``; not all of it is.
        curvatures: at the centre, along each axis, ``(k,)``; NaN where not known.
        residuals: ``‖H u − λ u‖`` of these: an eigenvalue lies within so much of each, ``(k,)``.
        sharpness: the largest eigenvalue of the Hessian at the centre.
        sharpness_residual: an eigenvalue lies within so much of it.
        ends: of ``between`` the coordinates of its points, ``(2, 1)`` or ``(3, 2)``.
        end_losses: there, ``(n,)``.
        barriers: of ``between`` how far the loss rises above the straight line between the losses
            at the ends: from the first to the second point, and in a plane on to the third and
            back to the first.
        barriers_at: at which share of the way.
    """

    objective: str
    plane: str
    says: str
    names: tuple[str, ...]
    coordinates: tuple[np.ndarray, ...]
    losses: np.ndarray
    origin: np.ndarray
    directions: np.ndarray
    center: np.ndarray
    loss: float
    path: np.ndarray
    steps: np.ndarray
    whole: int
    lost: int
    distances: np.ndarray
    lengths: np.ndarray
    true_losses: np.ndarray
    shown_losses: np.ndarray
    explained: np.ndarray
    curvatures: np.ndarray
    residuals: np.ndarray
    sharpness: float
    sharpness_residual: float
    ends: np.ndarray
    end_losses: np.ndarray
    barriers: np.ndarray
    barriers_at: np.ndarray

    @property
    def dim(self) -> int:
        """The number of dimensions of the landscape."""
        return self.directions.shape[1]

    @property
    def barrier(self) -> float | None:
        """The highest barrier; None where the plane is not ``between``."""
        return float(np.max(self.barriers)) if len(self.barriers) else None

    @property
    def worst(self) -> int | None:
        """Which point of the path is shown with the most wrong loss; None where there is none.

        By its ratio where all losses are positive, else by its difference.
        """
        true, seen = self.true_losses, self.shown_losses
        known = np.isfinite(true) & np.isfinite(seen)
        if not known.any():
            return None
        if (true[known] > 0).all() and (seen[known] > 0).all():
            true, seen = (np.log(np.where(known, x, 1.0)) for x in (true, seen))
        with np.errstate(invalid="ignore"):
            return int(np.argmax(np.where(known, np.abs(true - seen), -1.0)))

    def points(self, coordinates: np.ndarray) -> np.ndarray:
        """The points ``(…, d)`` at some coordinates ``(…, k)``."""
        return self.origin + np.asarray(coordinates) @ self.directions

    @property
    def sentences(self) -> list[str]:
        """What it shows, and what it hides, in words."""
        told = [self._shown(), *self._hidden(), self._of_barriers()]
        return [sentence for sentence in told if sentence]

    def _shown(self) -> str:
        k, n = len(self.directions), len(self.coordinates[0])
        finite = self.losses[np.isfinite(self.losses)]
        spread = f"{finite.min():.4g} to {finite.max():.4g}" if finite.size else "nowhere finite"
        where = "at A" if len(self.ends) else "at the centre"
        size = f"{k} of {self.dim:,} dimensions, {' × '.join([str(n)] * k)} places"
        found = f"{self.says}: {size}; loss {self.loss:.4g} {where}, {spread} in sight"
        share = 1 - finite.size / self.losses.size
        return found + (f", not finite in {_share(share)} of it" if share else "")

    def _hidden(self) -> list[str]:
        if len(self.directions) == self.dim:
            return ["nothing is hidden: there are no other dimensions", self._of_curvature()]
        return [*self._of_the_path(), self._of_curvature()]

    def _of_the_path(self) -> list[str]:
        if not len(self.steps):
            return []
        told = []
        whole = float(self.explained.sum())
        several = len(self.explained) > 1 and whole > 0.001
        parts = f" ({' + '.join(map(_share, self.explained))})" if several else ""
        if self.lengths.any():
            told.append(
                f"of the path's squared distance from the centre it holds {_share(whole)}{parts}; "
                f"the path is up to {self._farthest()}"
            )
        if self.worst is not None:
            i = self.worst
            told.append(
                f"at step {int(self.steps[i]):,} it shows a loss of {self.shown_losses[i]:.4g} "
                f"where the path has {self.true_losses[i]:.4g}"
            )
        if len(self.steps) + self.lost < self.whole:
            told.append(f"{len(self.steps):,} of the path's {self.whole:,} points are looked at")
        if self.lost:
            told.append(f"{self.lost:,} points of the path are not finite, and left out")
        return told

    def _farthest(self) -> str:
        i = int(self.distances.argmax())
        return f"{self.distances[i]:.3g} away from it, at step {int(self.steps[i]):,}"

    def _of_curvature(self) -> str:
        if not math.isfinite(self.sharpness):
            return ""
        both = zip(self.curvatures, self.residuals, strict=True)
        if self.plane == "hessian":
            values = ", ".join(f"{value:.6g} ± {residual:.1g}" for value, residual in both)
            return f"largest eigenvalue{'s' * (len(self.names) > 1)} of the Hessian: {values}"
        pairs = [f"{value:.4g}" for value, _ in both]
        if len(self.directions) == self.dim:
            return ""
        axes = "axes" if len(pairs) > 1 else "axis"
        return (
            f"curvature at the centre along its {axes} {', '.join(pairs)}; the sharpest direction "
            f"of all has {self.sharpness:.4g} ± {self.sharpness_residual:.1g}"
        )

    def _of_barriers(self) -> str:
        if not len(self.barriers):
            return ""
        several = len(self.barriers) > 1
        told = []
        for i, (height, share) in enumerate(zip(self.barriers, self.barriers_at, strict=True)):
            way = f" from {LETTERS[i]} to {LETTERS[(i + 1) % len(self.ends)]}"
            size = f"{height:.4g}" if math.isfinite(height) else "not finite"
            told.append(size + way + (f", at {share:.2f} of the way" if height else ""))
        what = "barriers" if several else "barrier"
        return f"{what}, above the straight line between the losses at the ends: {'; '.join(told)}"

    def __str__(self) -> str:
        return "; ".join(self.sentences)

    def _card(self) -> Card:
        head, *more = self.sentences
        title = f"LandscapeSlice of {self.objective}, plane={self.plane}"
        facts = {"it shows": head} | {f"({i + 1})": said for i, said in enumerate(more)}
        return Card(title, facts)


def _share(share: float) -> str:
    """A share in per cent; never 100 % or 0 % of what is not all or nothing.

    Example:
        >>> _share(0.9893), _share(0.99999), _share(0.0004), _share(1.0)
        ('98.9 %', 'over 99.9 %', 'under 0.1 %', '100 %')
    """
    if 0.9995 <= share < 1 - 1e-9:
        return "over 99.9 %"
    if 1e-9 < share < 0.0005:
        return "under 0.1 %"
    return f"{100 * share:.1f} %".replace("100.0", "100").replace(" 0.0", " 0")
