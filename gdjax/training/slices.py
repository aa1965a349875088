"""Slices of a loss landscape, with what each of them hides."""

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._descent.trajectory import Trajectory
from gdjax._inputs import DType, ObjectiveLike, as_objective, default_dtype
from gdjax._util.arguments import POSITIVE, as_count, as_seed, flag, gate, maybe, number
from gdjax._util.errors import ArgumentError, check_known
from gdjax._util.memory import check_fits
from gdjax._util.types import PyTree
from gdjax.objectives import Objective, validate
from gdjax.training import grids, planes
from gdjax.training.checkpoints import Points, as_parameters, as_path
from gdjax.training.confessions import LandscapeSlice
from gdjax.training.planes import PLANES, Plane, PlaneName
from gdjax.training.runs import TrainingRun

POINTS = {1: 241, 2: 51}  # along each axis; the middle, and the ends of a line, are among them
MOST = 400  # points of a path that are looked at
MARGIN = 0.15  # of a window around a path, in its widths
SQUARE = 0.5  # the narrower side of a window, at least, in the wider ones
FAR = 10  # half widths of a window beyond which a path is left out of sight


@gate(radius=maybe(number(POSITIVE)), progress=flag)
def landscape(
    objective: ObjectiveLike,
    at: PyTree = None,
    plane: PlaneName = "random",
    *,
    path: PyTree = None,
    dims: int | None = None,
    axes: PyTree = None,
    radius: float | int | None = None,
    points: int | None = None,
    seed: int = 0,
    dtype: DType | None = None,
    progress: bool = False,
) -> LandscapeSlice:
    r"""A slice of a loss landscape, along a line or a plane, and what it hides.

    .. math:: (a, b) \mapsto f(\theta + a\, u + b\, v)

    ===========  ==============================================================================
    random       random directions through ``at``; of each leaf with two or more dimensions the
                 weights into one output unit, its last index, are as long as the point's own, and
                 vectors such as biases are held, so that a rescaling of relu layers changes
                 nothing; of a plain vector, or where there are no such leaves, the whole
                 direction is as long as the point
    pca          the principal directions of ``path`` about its last point
    between      the line between two points, the plane through three, and the barriers there
    hessian      the eigenvectors of the largest eigenvalues of the Hessian at ``at``
    axes         one or two of the variables
    ===========  ==============================================================================

    A slice shows a plane and hides all the rest, so the result tells how much that is. Of a path:
    what share of its squared distance from the centre lies in the plane, how far each point is
    from it, and the true loss beside the loss that is shown at the nearest point of the plane. At
    the centre: the curvature along the axes beside the largest of all, with its residual. Between
    two points: the barrier, :math:`\max_t f(\theta_t) - (1 - t) f(\theta_0) - t f(\theta_1)` with
    :math:`\theta_t` on the line between them, at ``points`` places.

    The loss is that over all data, never a batch's.

    Args:
        objective: what is looked at: a ``gdjax.problem``, a network of the catalogue, or whatever
            else ``descend`` takes.
        at: the point that the slice is laid through: parameters in any structure; a checkpoint,
            as a file ``.npz`` or ``.safetensors`` whose arrays have the names of the leaves,
            such as ``layers.0.w``, or one flat array; a loader ``my.py:load``, which returns
            parameters; the folder of a run of gdjax's. By default the last point of ``path``, or
            the objective's start. For ``between`` a list of two or three of these.
        plane: which one.
        path: points to be shown beside it: a ``Trajectory``, a ``TrainingRun`` with checkpoints,
            an array ``(m, d)``, a list of checkpoints, or the folder of a run of gdjax's. Of more
            than 400, as many are taken, evenly.
        dims: 1 for a line, 2 for a plane; by default a plane where there are two dimensions.
        axes: of ``plane=axes`` the variables, by name or number.
        radius: how far to look from the centre, in lengths of the directions: of ``random`` in
            multiples of the weights, else in the point's own units. By default 1 for ``random``,
            a quarter of the point's norm for ``hessian``, the domain or ``max(1, |x|)`` for
            ``axes``; and so far that the path is in sight.
        points: how many places along each axis; by default 241 of a line, 51 of a plane.
        seed: of the random directions.
        dtype: ``float32`` or ``float64``; by default as JAX is configured.
        progress: whether to show a bar.

    Returns:
        The slice. ``gdjax.plotting.landscape_slice`` draws it.

    Raises:
        ArgumentError: an unknown plane, points that span none, a path that is too short or does
            not move, a loss that is not finite at the centre, or a checkpoint that does not fit,
            with the leaf and both shapes.

    Example:
        >>> import gdjax
        >>> wells = lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2
        >>> found = landscape(wells, [[-1.0, 0.0], [1.0, 0.0]], "between")
        >>> found.barrier
        1.0

    Reference:
        Li et al. 2018, Visualizing the Loss Landscape of Neural Nets (filters, principal
        directions); Garipov et al. 2018, Loss Surfaces, Mode Connectivity, and Fast Ensembling of
        DNNs (three points); Entezari et al. 2022, The Role of Permutation Invariance in Linear
        Mode Connectivity, definition 2.2, after Frankle et al. 2020 (the barrier).
    """
    check_known("plane", plane, PLANES)
    dims = None if dims is None else as_count("dims", dims, 1, 2)
    seed = as_seed(seed)
    points = None if points is None else as_count("points", points, 2)
    _check_needed(plane, at, axes, radius)
    f = as_objective(objective, _one_of(at, path, plane))
    if dims is not None and dims > f.dim:
        raise ArgumentError(f"dims must be at most {f.dim}, as {f.name} has, got {dims}")
    with default_dtype(dtype):
        kept = None if path is None else as_path(f, path, "path")
        several = None
        if plane == "between":
            several = [as_parameters(f, one, f"at[{i}]") for i, one in enumerate(at)]
        center = _center(f, several[0] if several else at, kept)
        validate(f, at=center)
        f = f.cast(jnp.result_type(float))
        values = grids.along(f, np.asarray([center] if several is None else several))
        if not np.isfinite(values).all():
            bad = values[~np.isfinite(values)][0]
            where = "the centre of the slice" if several is None else "each of the points"
            raise ArgumentError(f"at must be where {f.name} is finite: it is {bad} at {where}")
        if several is not None:
            made = planes.between(f, several, dims)
        elif plane == "axes":
            made = planes.axes(f, center, axes, dims)
        else:
            made = _about(f, plane, center, kept, dims or min(2, f.dim), seed)
        return _sliced(f, plane, made, kept, center, radius, points, seed, progress)


def _check_needed(plane: str, at: Any, axes: Any, radius: Any) -> None:
    """Refuse what does not go with the plane."""
    if plane == "between":
        if not isinstance(at, list | tuple) or hasattr(at, "_fields"):
            came = "none" if at is None else "one"
            raise ArgumentError(f"plane=between needs a list of two or three points, got {came}")
        if radius is not None:
            raise ArgumentError("radius is of planes about one point; between is as wide as it is")
    if axes is not None and plane != "axes":
        raise ArgumentError(f"axes belong to plane=axes, and the plane is {plane}")


def _one_of(at: Any, path: Any, plane: str) -> Any:
    """A point that says what points are like, of what is given in memory."""
    if plane == "between":
        at = next(iter(at), None)
    for given in (at, path):
        if isinstance(given, TrainingRun):
            return given.point
        if isinstance(given, Trajectory):
            return jax.tree.map(lambda leaf: leaf[0] if np.ndim(leaf) else leaf, given.points)
        if given is not None and given is at and not isinstance(given, str | os.PathLike):
            return given
        if isinstance(given, np.ndarray | jax.Array | list | tuple) and np.shape(given)[:1] != ():
            first = next(iter(given), None)
            return None if isinstance(first, str | os.PathLike) else first
    return None


def _center(f: Objective, at: Any, path: Points | None) -> np.ndarray:
    """The point that is given, the last of the path that has a finite loss, or the start."""
    if at is not None:
        return as_parameters(f, at, "at")
    if path is None:
        return np.asarray(f.start, float)
    last = path.points[-1]
    if np.isfinite(grids.along(f, last[None])).all():
        return last
    finite = np.flatnonzero(np.isfinite(grids.along(f, path.points)))
    return path.points[finite[-1]] if finite.size else last


def _about(
    f: Objective, plane: str, center: np.ndarray, path: Points | None, dims: int, seed: int
) -> Plane:
    """A plane about one point."""
    if plane == "random":
        return planes.random(f, center, dims, seed)
    if plane == "pca":
        return planes.pca(f, center, path and _thinned(path).points, dims)
    return planes.hessian(f, center, dims, seed)


def _thinned(path: Points) -> Points:
    """At most so many points, evenly, the last one among them."""
    if len(path.points) <= MOST:
        return path
    chosen = np.unique(np.linspace(0, len(path.points) - 1, MOST).round().astype(int))
    return path._replace(points=path.points[chosen], steps=path.steps[chosen])


def _sliced(
    f: Objective, kind: str, plane: Plane, path: Points | None, center: np.ndarray,
    radius: float | None, points: int | None, seed: int, progress: bool,
) -> LandscapeSlice:  # fmt: skip
    """The slice of a plane that is known."""
    k = len(plane.directions)
    points = POINTS[k] if points is None else points
    check_fits(64 * points**k, f"points={points:,}", "take fewer")
    given = Points(np.zeros((0, f.dim)), np.zeros(0, int)) if path is None else path
    along = _thinned(given)
    coordinates = plane.coordinates(along.points)
    window = _window(plane, radius, coordinates)
    places = tuple(np.linspace(low, high, points) for low, high in window)
    nearest = plane.points(coordinates)
    apart, units = along.points - center, plane.units
    whole = max(float(np.sum(apart**2)), 1e-300)
    explained = np.sum((apart @ units.T) ** 2, axis=0) / whole
    second, residuals, sharp = grids.second_order(f, plane, center, seed)
    return LandscapeSlice(
        objective=f.name,
        plane=kind,
        says=plane.says,
        names=plane.names,
        coordinates=places,
        losses=grids.grid(f, plane, places, progress),
        origin=plane.origin,
        directions=plane.directions,
        center=plane.center,
        loss=float(grids.along(f, center[None])[0]),
        path=coordinates,
        steps=along.steps,
        whole=len(given.points) + given.lost,
        lost=given.lost,
        distances=np.linalg.norm(along.points - nearest, axis=1),
        lengths=np.linalg.norm(apart, axis=1),
        true_losses=grids.along(f, along.points),
        shown_losses=grids.across(f, plane, coordinates),
        explained=explained,
        curvatures=second,
        residuals=residuals,
        sharpness=sharp[0],
        sharpness_residual=sharp[1],
        ends=plane.ends,
        end_losses=grids.across(f, plane, plane.ends),
        **grids.barriers(f, plane, points),
    )


def _window(plane: Plane, radius: float | None, path: np.ndarray) -> np.ndarray:
    """From where to where to look along each axis, ``(k, 2)``."""
    if radius is not None:
        return plane.center[:, None] + radius * np.array([-1.0, 1.0])
    half = np.ptp(plane.window, axis=1) / 2
    middle = plane.window.mean(axis=1)
    near = np.abs(path - middle) <= FAR * half
    seen = path[(near | (half == 0)).all(axis=1)]
    if len(seen):
        low, high = seen.min(axis=0), seen.max(axis=0)
        room = MARGIN * (high - low)
        low = np.minimum(plane.window[:, 0], low - room)
        high = np.maximum(plane.window[:, 1], high + room)
        found = np.stack([low, high], axis=1)
    else:
        found = plane.window.copy()
    if plane.window.any() and len(plane.ends) == 0:
        return found
    wide = np.ptp(found, axis=1)
    more = np.maximum(SQUARE * wide.max() - wide, 0) / 2
    return found + more[:, None] * np.array([-1.0, 1.0])
