"""Lopsided data to draw, and readers of what a figure shows.

Nothing here is symmetric and no two lengths are equal, so that what is transposed, reversed or
taken from a neighbour lands somewhere else.
"""

import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba
from mpl_toolkits.mplot3d.art3d import Line3DCollection

import gdjax
from gdjax import objectives
from gdjax._descent.outcomes import Outcome
from gdjax._descent.trajectory import Trajectory
from gdjax.certificates import GradientReport
from gdjax.certificates.gradient_report import Details
from gdjax.comparison.ranking import Ranking

QFSP = objectives.get("qfsp")
GLOBAL, LOCAL, UNLISTED, STALLED, MOVING, LOST = range(6)
CODES = {  # outcome and minimum, as a sweep of QFSP would have them
    GLOBAL: (Outcome.CONVERGED, 1),
    LOCAL: (Outcome.CONVERGED, 3),
    UNLISTED: (Outcome.CONVERGED, -1),
    STALLED: (Outcome.SADDLE, -1),
    MOVING: (Outcome.MAX_STEPS, -1),
    LOST: (Outcome.DIVERGED, -1),
}

# A landscape with a deep well at the left and a shallow one at the right, along a bent valley.


def height(x, y):
    u = x - 1
    return (u**2 - 4) ** 2 / 8 + u / 2 + 3 * (y - 0.4 - 0.1 * u**2) ** 2


def slope(x, y):
    u = x - 1
    v = y - 0.4 - 0.1 * u**2
    return np.stack([u * (u**2 - 4) / 2 + 0.5 - 1.2 * u * v, 6 * v], axis=-1)


def sharpness(x):
    """The largest eigenvalue of the Hessian on the floor of the valley."""
    u = x - 1
    return np.linalg.eigvalsh([[1.5 * u**2 - 2 + 0.24 * u**2, -1.2 * u], [-1.2 * u, 6]])[-1]


U_MINIMA = np.sort(np.roots([1, 0, -4, 1]).real)[[0, 2]]  # between them lies a saddle
MINIMA = np.stack([U_MINIMA + 1, 0.4 + 0.1 * U_MINIMA**2], axis=1)
LOW, HIGH = np.array([-3.0, -1.0]), np.array([6.0, 2.5])
WELLS = gdjax.Objective(
    name="two_wells",
    fn=lambda p: height(p[0], p[1]),
    gradient=lambda p: jnp.stack([-p[1], 1 + p[0] ** 2]),  # not its own, to tell which is drawn
    domain=np.stack([LOW, HIGH], axis=1).tolist(),
    minima=MINIMA[:1].tolist(),
    local_minima=MINIMA[1:].tolist(),
    fmin=float(height(*MINIMA[0])),
    variables=("a_1", "theta"),
    latex="g(a)",
    gradient_latex="g'(a)",
)
BALL, ADAM = "heavy_ball(learning_rate=0.1)", "adam(learning_rate=0.2)"
BLUE, PINK = "#0072B2", "#CC79A7"  # of the heavy ball and of Adam, in every picture


def runs(axes, colour, rim=None):
    """The straight pieces of a path in three dimensions, ``(n, 2, 3)``: in sight, and behind."""
    drawn = [
        (lines.get_linewidth()[0], np.asarray(lines._segments3d))
        for lines in axes.collections
        if isinstance(lines, Line3DCollection) and len(lines._segments3d)
        and same_colour(lines._edgecolors[0][:3], colour)
    ]  # fmt: skip
    none = np.zeros((0, 2, 3))
    return tuple(
        np.concatenate([none, *(found for width, found in drawn if width == wanted)])
        for wanted in (1.8, 1.2)
    )


def trajectory(points, fn=height, outcome=Outcome.CONVERGED):
    points = np.asarray(points, float)
    values = jnp.asarray(fn(*points.T), float)
    return Trajectory(jnp.asarray(points), values, jnp.asarray(int(outcome)), jnp.asarray(-1))


STAYS = np.array([[5.0, -0.5], [4.0, 1.5], [0.0, 2.0], [-1.5, 0.5], [-1.1, 0.85]])
LEAVES = np.array([[-2.0, 2.2], [-1.0, 1.0], [0.5, -0.6], [3.0, -3.5], [8.0, -9.0]])
LOST_PATH = np.vstack([LEAVES, [[np.inf, 0.0], [1.0, 1.0]]])
PATHS = {
    ADAM: trajectory(LOST_PATH, outcome=Outcome.NONFINITE),
    BALL: trajectory(STAYS),
}
# The points in sight span [-2, 5] × [-0.6, 2.2], which is made 0.75 as high as it is wide; the
# margin is 0.12 of that on each side.
WINDOW = np.array([[-2.84, 5.84], [-2.455, 4.055]])
BORDER = LEAVES[2] + 1.855 / 2.9 * (LEAVES[3] - LEAVES[2])  # where it crosses y = -2.455


# Sweeps


def dataset(
    f, starts, axes, outcome, minimum, steps_to_tolerance, steps=None, points=None, **attrs
):
    """Results as a sweep labels them; the arrays are ``(start, *axes)``."""
    dims = ("start", *axes)
    data = {
        "outcome": (dims, np.asarray(outcome, np.int8)),
        "minimum": (dims, np.asarray(minimum, np.int16)),
        "steps_to_tolerance": (dims, np.asarray(steps_to_tolerance, np.int32)),
        "steps": (dims, np.asarray(steps_to_tolerance if steps is None else steps, np.int32)),
    }
    if points is not None:
        data["points"] = ((*dims, "record", "component"), points)
    coords = {
        "start_point": (("start", "component"), np.asarray(starts, float)),
        "minimum_point": (("known_minimum", "component"), f.known_minima),
        "is_global": ("known_minimum", np.arange(len(f.known_minima)) < len(f.minima)),
    }
    for name, values in axes.items():
        coords[name] = (name, np.asarray(values, float), {"long_name": name.replace("_", " ")})
    about = {"objective": f.name, "formula": f.latex, "optimizer": "heavy_ball", "max_steps": 200,
             "tolerance": 1e-4}  # fmt: skip
    kind = {"starts_kind": "array", "starts_shape": [len(starts)]}
    return xr.Dataset(data, coords, about | kind | attrs)


def by_hand(statuses, axes=None, starts=None, f=QFSP, **more):
    """Fates, ``(start, *axes)``, and a first step of 10 for what reached a global minimum."""
    statuses = np.asarray(statuses, dtype=int)
    outcome, minimum = np.moveaxis(np.array(list(CODES.values()))[statuses], -1, 0)
    if f is not QFSP:
        minimum = np.where(statuses <= LOCAL, statuses, -1)  # one global minimum and a local one
    starts = np.zeros((len(statuses), 2)) if starts is None else starts
    more = {"steps_to_tolerance": np.where(statuses == GLOBAL, 10, -1)} | more
    return dataset(f, starts, axes or {}, outcome, minimum, **more)


def wilson(successes, trials, z=1.959963984540054):
    """The roots p of (successes/trials − p)² = z² p (1 − p)/trials, and the share first."""
    share = successes / trials
    a, b, c = 1 + z**2 / trials, -(2 * share + z**2 / trials), share**2
    root = np.sqrt(b**2 - 4 * a * c)
    return share, (-b - root) / (2 * a), (-b + root) / (2 * a)


# Rankings: 2 objectives, 3 optimizers, 2 seeds, 3 held-out starts, 2 precisions

OPTIMIZERS = ("nesterov_textbook", BALL, ADAM)
COLOURS = ("#00573F", BLUE, PINK)
BUDGET = 90
NEVER = np.inf


def ranking():
    drawn = np.random.default_rng(3)
    costs = drawn.integers(2, BUDGET, (2, 3, 2, 3, 2)).astype(float)
    costs[..., 1] = np.maximum(costs[..., 0], costs[..., 1])  # the finer takes longer
    costs[:, 2] *= 0.2  # the fastest, and not the surest
    costs[:, 0] *= 0.7
    costs[1, 2, 0, :2, 1] = costs[1, 0, 1, 0, 1] = costs[0, 1, 0, :, 1] = NEVER
    runtimes = np.sort(drawn.integers(1, BUDGET, (2, 3, 2, 3, 4)), axis=-1).astype(float)
    runtimes[0, 1, 1, :, 3] = runtimes[1, 2, :, 0, 2:] = NEVER
    at = np.array([1, 2, 5, 10, 20, 50, 90])
    gaps = np.sort(10.0 ** -drawn.uniform(0, 8, (2, 3, 3, at.size)), axis=2)
    none = {label: {} for label in OPTIMIZERS}
    zeros = np.zeros((2, 3))
    return Ranking(
        objectives=("steep_dish", "long_valley"), dims=np.array([1, 6]), fmin=np.zeros(2),
        known=np.ones(2, bool), optimizers=OPTIMIZERS, budget=BUDGET, tau=np.array([0.1, 1e-3]),
        targets=np.array([0.5, 0.1, 1e-2, 1e-5]), costs=costs, runtimes=runtimes,
        best=np.zeros((2, 3, 2, 3)), stuck=np.zeros((2, 3, 2, 3), bool),
        elsewhere=np.zeros(3, bool), at=at, gaps=gaps, settings=none, tuning=zeros, allotted=0,
        functions=zeros, gradients=zeros, tuning_starts={}, held_out={}, together=False,
    )  # fmt: skip


# Certificates


def certificate(dim, ok=False):
    """A report on nine points, of which two are wrong and one is left out; one error is 0."""
    drawn = np.random.default_rng(5)
    points = drawn.uniform(-1, 1, (9, dim)) * np.arange(1, dim + 1)
    errors = np.array([1e-9, 0.0, 3e-8, 2e-3, 5e-9, np.inf, 2e-10, 4e-7, 8e-9])
    wrong, kept = np.zeros(9, bool), np.ones(9, bool)
    wrong[[3, 5]], kept[7] = True, False
    curve = 10 ** drawn.uniform(-12, -2, (9, 4))
    curve[0] = np.nan  # no differences there
    curve[1:3, 3] = np.inf
    curve[4, 0] = 0.0
    details = Details(
        points=points, errors=errors, tolerances=errors[::-1] * 2, shares=errors,
        wrong=wrong, kept=kept,
        steps=np.array([1e-8, 1e-6, 1e-4, 1e-1]), curve=curve, reached=curve.min(axis=1) / 4,
        domain=np.array([[-1.5, 2.0], [-3.0, 2.5]]) if dim == 2 else None,
        variables=("x", "y", "z")[:dim], worst=3,
    )  # fmt: skip
    return GradientReport(
        name="steep_dish", kind="Hessian", dtype="float32", ok=ok, verdict="hand is wrong",
        points=9, special=0, left_out={}, worst_point=points[3], component=0, error=2e-3,
        tolerance=1e-7, estimates={}, patterns=(), warnings=(), behaviour={}, reason="",
        details=details,
    )  # fmt: skip


# Readers


def lines(axes, label):
    return [line for line in axes.get_lines() if line.get_label() == label]


def line(axes, label):
    (found,) = lines(axes, label)
    return found


def data(line):
    return np.asarray(line.get_xydata(), float)


def entries(holder):
    """What the legend of a figure or of axes says, in its order."""
    held = holder.legends[0] if hasattr(holder, "legends") else holder.get_legend()
    return [text.get_text() for text in held.get_texts()]


def same_colour(one, other):
    return np.allclose(to_rgba(one), to_rgba(other), atol=1e-6)


def quiver(axes):
    """Where the arrows of axes are, and where they point."""
    (arrows,) = [c for c in axes.collections if type(c).__name__ == "Quiver"]
    return np.stack([arrows.X, arrows.Y], axis=1), np.stack([arrows.U, arrows.V], axis=1), arrows


def dots(axes, label=None):
    """The scattered points of axes that are not empty, by label or all."""
    return [
        c for c in axes.collections
        if isinstance(c, PathCollection) and len(c.get_offsets())
        and (label is None or c.get_label() == label)
    ]  # fmt: skip


def stars(axes):
    """Where stars are drawn and in which colour, in the order of drawing; in 3-D with heights."""
    big = [c for c in dots(axes) if c.get_sizes()[0] >= 60]
    return [(spot(c), c.get_facecolor()[0], c.get_edgecolor()[0]) for c in big]


def spot(collection):
    if hasattr(collection, "_offsets3d"):  # mplot3d has no public reader
        return np.array([part[0] for part in collection._offsets3d])
    return np.asarray(collection.get_offsets()[0])


def faces(collection):
    """The polygons of a surface, ``(n, corners, 3)``, masked where one has fewer corners."""
    padding = np.broadcast_to(collection._invalid_vertices[..., None], collection._faces.shape)
    return np.ma.array(collection._faces, mask=padding)  # mplot3d has no public reader


def band(collection):
    """The lower and the upper border of a filled band at each of its x."""
    x, y = collection.get_paths()[0].vertices.T
    at = np.unique(x)
    return at, np.array([y[x == v].min() for v in at]), np.array([y[x == v].max() for v in at])


def levels(contour_set):
    """(level, the vertices drawn for it) of each contour line or filled band that is not empty."""
    paths = contour_set.get_paths()
    return [(i, path.vertices) for i, path in enumerate(paths) if len(path.vertices)]
