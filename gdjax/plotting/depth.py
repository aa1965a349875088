"""What a hill hides: matplotlib sorts nothing in three dimensions, so rays are followed here."""

import numpy as np
from mpl_toolkits.mplot3d import Axes3D
from scipy.ndimage import map_coordinates

from gdjax.plotting.landscape import Grid

RAY = 160  # looks along a ray, about one a row of the drawn surface
LIFT = 0.01  # of the surface's height: what lies on it is not hidden by it


def eye(axes: Axes3D) -> np.ndarray:
    """Where the camera stands, in the units of the data, ``(3,)``.

    It is the point that a perspective maps to no place of the picture: the null vector of the rows
    of its matrix that give x, y and the divisor.
    """
    *_, null = np.linalg.svd(axes.get_proj()[[0, 1, 3]])[2]
    return null[:3] / null[3]


def hidden(points: np.ndarray, eye: np.ndarray, ground: Grid) -> np.ndarray:
    """Which points ``(n, 3)`` lie behind the surface: where the ray to the eye passes under it.

    Example:
        >>> x = np.linspace(-1.0, 1.0, 21)
        >>> ridge = Grid(x, x, np.exp(-40 * x**2) + 0 * x[:, None])
        >>> points = np.array([[-0.8, 0.0, 0.0], [0.8, 0.0, 0.0]])
        >>> hidden(points, np.array([9.0, 0.0, 1.0]), ridge)
        array([ True, False])
    """
    low, high = (np.array([side[end] for side in (ground.x, ground.y)]) for end in (0, -1))
    z = np.nan_to_num(ground.z, nan=-np.inf, posinf=np.nanmax(ground.z, initial=0.0))
    finite = z[np.isfinite(z)]
    if not finite.size:
        return np.zeros(len(points), bool)
    bottom, lift = finite.min(), LIFT * (np.ptp(finite) or 1.0)
    z = np.maximum(z, bottom - lift)
    ways = eye - points
    rooms = np.where(ways[:, :2] > 0, high - points[:, :2], low - points[:, :2])
    shares = np.divide(rooms, ways[:, :2], out=np.full_like(rooms, np.inf), where=ways[:, :2] != 0)
    leaves = np.clip(shares.min(axis=1), 0, 1)  # where a ray is no longer over the window
    along = leaves[:, None] * np.linspace(0, 1, RAY)
    x, y, height = np.moveaxis(points[:, None] + along[..., None] * ways[:, None], -1, 0)
    cells = [
        (at - side[0]) / (side[-1] - side[0]) * (len(side) - 1)
        for at, side in ((y, ground.y), (x, ground.x))
    ]
    return (map_coordinates(z, cells, order=1, mode="nearest") > height + lift).any(axis=1)
