"""Each public picture, read back from its figure and held against NumPy; see ``pictures``."""

import functools
import gc
import itertools
import shutil
import weakref
from statistics import NormalDist

import jax.numpy as jnp
import matplotlib.figure
import matplotlib.image
import numpy as np
import pandas as pd
import pictures as p
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.patches import Patch
from mpl_toolkits.mplot3d.art3d import Line3DCollection
from pictures import (
    BALL,
    BLUE,
    GLOBAL,
    LOCAL,
    LOST,
    MOVING,
    PINK,
    STALLED,
    UNLISTED,
    WELLS,
    same_colour,
)
from PIL import Image

import gdjax
from gdjax import plotting
from gdjax._descent.outcomes import Outcome
from gdjax._util.errors import StorageError
from gdjax.objectives.objective import Fit
from gdjax.plotting.figure import AnyFigure, Figure

FIGURES = Figure, AnyFigure
READ = {}  # what a public picture shows, by its name: the checks


def reads(name):
    def register(check):
        READ.setdefault(name, []).append(check)
        return check

    return register


def figures_of(module):
    """Its public functions that return a figure."""
    found = {name: getattr(module, name) for name in module.__all__}
    return {
        n for n, f in found.items() if getattr(f, "__annotations__", {}).get("return") in FIGURES
    }


# Landscapes and paths


@functools.cache
def drawn_comparison():
    return plotting.comparison(WELLS, p.PATHS)


def mixed_with_white(name, white, shades):
    return white + (1 - white) * colormaps[name](shades)[:, :3]


def assert_shades_of_the_window(artist, window=p.WINDOW, resolution=161):
    """The colours of a landscape: a power of the height, half of it below the median."""
    x, y = np.linspace(*window.T, resolution).T
    z = p.height(*np.meshgrid(x, y))
    low, middle, high = z.min(), np.median(z), z.max()
    gamma = np.log(0.5) / np.log((middle - low) / (high - low))
    assert 0.2 < gamma < 1  # else it is cut there
    np.testing.assert_allclose([artist.norm.vmin, artist.norm.vmax], [low, high], rtol=1e-4)
    np.testing.assert_allclose(artist.norm(middle), 0.5, atol=1e-4)
    at = np.array([0, 100, 255])
    np.testing.assert_allclose(
        artist.get_cmap()(at)[:, :3], mixed_with_white("viridis", 0.35, at), atol=1e-6
    )


def assert_contours(axes, window, bands=28, resolution=161):
    """Filled bands and every second line lie where the heights are, in this window."""
    filled, thin = axes.collections[:2]
    assert_shades_of_the_window(filled, window, resolution)
    np.testing.assert_allclose(filled.norm(filled.levels), np.linspace(0, 1, bands + 1), atol=1e-6)
    np.testing.assert_allclose(thin.levels, filled.levels[1::2])
    slack = 2e-3 * np.ptp(filled.levels)  # a contour is straight between two points of the grid
    for i, at in p.levels(thin):
        np.testing.assert_allclose(p.height(*at.T), thin.levels[i], atol=slack)
    ends = np.append(filled.levels, np.inf)
    for i, at in p.levels(filled):
        z = p.height(*at.T)
        assert (z > ends[i] - slack).all()
        assert (z < ends[i + 1] + slack).all()
    corners = np.concatenate([at for _, at in p.levels(filled)])
    np.testing.assert_allclose([corners.min(axis=0), corners.max(axis=0)], window.T, atol=1e-5)
    assert filled.extend == "max"
    assert len(p.levels(thin)) > 10
    assert same_colour(thin.get_edgecolor()[0], "white")
    np.testing.assert_allclose([axes.get_xlim(), axes.get_ylim()], window, atol=1e-6)


@reads("comparison")
def the_surface_over_its_own_window():
    hill = drawn_comparison().axes[0]
    surface = hill.collections[0]
    corners = p.faces(surface)
    x, y, z = np.ma.compress_rows(corners.reshape(-1, 3)).T
    np.testing.assert_allclose(z, p.height(x, y), atol=2e-3)
    np.testing.assert_allclose([[x.min(), x.max()], [y.min(), y.max()]], p.WINDOW, atol=1e-5)
    assert len(corners) > 50**2
    assert_shades_of_the_window(surface)
    np.testing.assert_allclose(surface.get_array(), corners[..., 2].mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose([hill.get_xlim(), hill.get_ylim()], p.WINDOW, atol=1e-6)
    assert all(x.get_zorder() > surface.get_zorder() for x in hill.get_lines())
    assert not hill.computed_zorder  # the paths are drawn over the surface
    labels = hill.get_xlabel(), hill.get_ylabel(), hill.get_zlabel()
    assert labels == ("$a_{1}$", r"$\theta$", "f")


@reads("comparison")
def the_slope_under_the_first_start_to_the_camera():
    hill = drawn_comparison().axes[0]
    x, y = (p.WINDOW.mean(axis=1) - p.LEAVES[0]) / np.ptp(p.WINDOW, axis=1)  # to the middle
    assert hill.elev > 40
    assert hill.azim == pytest.approx(np.degrees(np.arctan2(y, x)) + 30)


@reads("comparison")
def contours_with_their_key_and_the_minima():
    _, flat, key = drawn_comparison().axes
    assert_contours(flat, p.WINDOW)
    assert (flat.get_xlabel(), flat.get_ylabel()) == ("$a_{1}$", r"$\theta$")
    for kind, at, is_filled in (("global", p.MINIMA[:1], True), ("local", p.MINIMA[1:], False)):
        (mark,) = p.dots(flat, f"{kind} minimum")
        np.testing.assert_allclose(mark.get_offsets(), at)
        assert bool(len(mark.get_facecolors())) == is_filled
    assert key.get_title() == "f"
    levels = flat.collections[0].levels
    ticks = [tick for tick in key.get_yticks() if levels[0] <= tick <= levels[-1]]
    assert len(ticks) == len(key.get_yticks()) > 3
    assert np.ptp(np.diff(ticks)) < 1e-9
    np.testing.assert_allclose(key.get_ylim(), levels[[0, -1]], rtol=1e-6)


@reads("comparison")
def each_path_in_its_colour_up_to_where_it_leaves():
    figure = drawn_comparison()
    hill, flat, _ = figure.axes
    lost = p.ADAM + ":  nonfinite"
    cut = np.vstack([p.LEAVES[:3], p.BORDER])
    ball = BALL + ":  minimum, not listed"
    for label, colour, path, inside in ((ball, BLUE, p.STAYS, 5), (lost, PINK, cut, 3)):
        whole = p.line(flat, label)
        np.testing.assert_allclose(p.data(whole), path, atol=1e-5)
        of_it = [x for x in flat.get_lines() if same_colour(x.get_color(), colour)]
        np.testing.assert_allclose(p.data(of_it[1]), path[:inside], atol=1e-5)
        assert [x.get_marker() for x in of_it] == ["None", "."]
        assert of_it[1].get_linestyle() == of_it[0].get_marker() == "None"
        at = np.column_stack([path, p.height(*path.T)])
        straight = [  # in twelve pieces
            [at[k] + (at[k + 1] - at[k]) * (i + j) / 12 for j in (0, 1)]
            for k in range(len(at) - 1) for i in range(12)
        ]  # fmt: skip
        pieces = sorted(np.concatenate(p.runs(hill, colour)).tolist())
        np.testing.assert_allclose(pieces, sorted(np.array(straight).tolist()), atol=2e-3)
        (steps,) = (x for x in hill.get_lines() if same_colour(x.get_color(), colour))
        for spot in np.transpose(steps.get_data_3d()):  # all that no hill hides
            assert np.isclose(at[:inside], spot, atol=2e-3).all(axis=1).any()
    assert p.entries(figure) == [lost, ball, "global minimum", "local minimum", "start", "end"]
    handles = figure.legends[0].legend_handles
    assert same_colour(handles[0].get_color(), PINK)
    assert same_colour(handles[1].get_color(), BLUE)
    assert figure.get_suptitle() == "two wells:  $f = g(a)$\n$\\nabla f = g'(a)$"


@reads("comparison")
def stars_at_the_starts_and_at_the_end_that_is_in_sight():
    hill, flat, _ = drawn_comparison().axes
    for axes in (hill, flat):
        expected = [
            (p.LEAVES[0], "white", "black"), (p.STAYS[0], "white", "black"),
            (p.STAYS[-1], BLUE, "white"),
        ]  # fmt: skip
        shown = p.stars(axes)
        for (at, face, edge), (point, colour, rim) in zip(shown, expected, strict=True):
            np.testing.assert_allclose(at[:2], point, atol=1e-5)
            assert same_colour(face[:3], colour)  # fainter behind a hill
            assert same_colour(edge[:3], rim)
            if len(at) == 3:
                assert at[2] == pytest.approx(p.height(*point), abs=2e-3)


@reads("comparison")
def paths_that_lie_on_each_other_told_apart():
    beside = {"sgd": p.trajectory(p.STAYS + 0.01), "adam": p.trajectory(p.STAYS[::-1] + 0.1)}
    _, flat, _ = plotting.comparison(WELLS, {BALL: p.trajectory(p.STAYS), **beside}).axes
    look = {line.get_label().partition(":")[0]: line.get_linestyle() for line in flat.get_lines()}
    assert {name: look[name] for name in (BALL, *beside)} == {BALL: "-", "sgd": "--", "adam": "-"}


@reads("comparison")
def right_angles_and_the_whole_bowl_where_both_axes_have_one_unit():
    bowl = gdjax.Objective(
        name="bowl", fn=lambda q: (q**2).sum(), domain=[(-5, 5), (-4, 4)],
        minima=[(0.0, 0.0)], fmin=0.0, saddles=[(9.0, 0.0)],
    )  # fmt: skip
    square = lambda x, y: x**2 + y**2  # noqa: E731
    path = p.trajectory([(4.5, -1.0), (0.0, 0.0)], square)._replace(minimum=jnp.asarray(0))
    figure = plotting.trajectory(bowl, path)
    flat = figure.axes[1]
    assert flat.get_aspect() == 1.0
    low, high = np.array([flat.get_xlim(), flat.get_ylim()]).T
    np.testing.assert_allclose(high, -low)  # as far on the other side
    assert high[0] > 4.5
    assert p.entries(figure) == ["path:  global minimum", "global minimum", "start", "end"]
    valley = gdjax.Objective(
        name="valley", fn=lambda q: q[0] ** 2 + 100 * (q[1] - q[0] ** 2) ** 2,
        domain=[(-5, 5), (-4, 4)], minima=[(0.0, 0.0)], fmin=0.0, saddles=[(0.5, 0.2)],
    )  # fmt: skip
    figure = plotting.trajectory(valley, p.trajectory([(2.0, 4.0), (0.0, 0.0)], square))
    assert figure.axes[1].get_xlim()[0] > -1.5  # it is no bowl
    assert "saddle" in p.entries(figure)
    (cross,) = p.dots(figure.axes[1], "saddle")
    np.testing.assert_allclose(cross.get_offsets(), [[0.5, 0.2]])


@reads("trajectory")
def a_hill_that_hides_what_is_behind_it():
    ridge = gdjax.Objective(
        name="ridge", fn=lambda q: jnp.exp(-(q[0] ** 2)) + 0.01 * q[1] ** 2, domain=[(-4, 4)] * 2
    )
    height = lambda x, y: np.exp(-(x**2)) + 0.01 * y**2  # noqa: E731
    path = [(1.5, 0.5), (1.8, -0.5), (-1.5, 0.0), (-2.5, 0.5)]  # the last step faces the camera
    figure = plotting.trajectory(ridge, p.trajectory(path, height))
    seen, behind = p.runs(figure.axes[0], BLUE)
    assert len(seen) + len(behind) == 3 * 12
    assert seen[..., 0].max() < 0 < behind[..., 0].max()  # the second step goes through the ridge
    assert np.isclose(seen[..., 0].min(), -2.5)
    (_, start, _), (_, end, _) = p.stars(figure.axes[0])
    assert start[3] < 1 == end[3]


@reads("trajectory")
def ripples_as_fine_as_they_are():
    def ripples(x, y):
        return 9 * np.cos(9 * x) + 0.001 * (x**2 + y**2)

    f = gdjax.Objective(
        name="ripples", fn=lambda q: 9 * jnp.cos(9 * q[0]) + 0.001 * (q @ q), domain=[(-30, 30)] * 2
    )
    for reach, points, is_told in ((1.0, 161, False), (12.0, 641, False), (28.0, 641, True)):
        path = p.trajectory([(-reach, -reach), (reach, reach)], ripples)
        figure = plotting.trajectory(f, path)
        window = plotting.landscape.frame(f, [np.asarray(path.points)])
        ground = plotting.landscape.grid(f, window)
        assert (ground.z.shape, ground.coarse) == ((points, points), is_told)
        assert ("ripples" in figure.axes[1].get_title()) == is_told


@reads("trajectory")
def arrows_along_the_long_moves_alone():
    path = np.vstack([p.STAYS, p.STAYS[-1] + [0.1, 0.0], p.STAYS[-1] + [0.4, 0.3]])
    figure = plotting.trajectory(WELLS, p.trajectory(path), label="mine")
    at, ways, arrows = p.quiver(figure.axes[1])
    moves = np.diff(path, axis=0)
    window = np.array([figure.axes[1].get_xlim(), figure.axes[1].get_ylim()])
    far = np.linalg.norm(moves / np.ptp(window, axis=1), axis=1) > 0.05
    assert far.tolist() == [True] * 4 + [False, True]
    np.testing.assert_allclose(at, (path[:-1] + 0.6 * moves)[far], atol=1e-5)
    np.testing.assert_allclose(
        ways, (moves / np.linalg.norm(moves, axis=1, keepdims=True))[far], atol=1e-5
    )
    assert (arrows.angles, arrows.pivot) == ("xy", "middle")
    assert p.entries(figure) == [
        "mine:  minimum, not listed", "global minimum", "local minimum", "start", "end"
    ]  # fmt: skip
    circling = p.STAYS[0] + 0.5 * np.stack([np.cos(np.arange(400)), np.sin(np.arange(400))], axis=1)
    at, *_ = p.quiver(plotting.trajectory(WELLS, p.trajectory(circling)).axes[1])
    assert 10 < len(at) <= 16  # else they would cover it


@reads("trajectory")
def a_slice_through_the_last_point_along_the_axes_that_are_asked():
    def depth(a, b, c):
        return a**2 + 3 * (b - 1) ** 2 + 0.5 * c + 2 * a * c + 0.1 * c**4

    f = gdjax.Objective(
        name="dent", fn=lambda q: depth(*q), domain=[(-2, 3), (-1, 6), (-4, 4)],
        minima=[(1.0, 1.0, -1.5), (0.5, 2.0, 1.0)], variables=("a", "b", "c"),
    )  # fmt: skip
    path = np.array([[2.5, 4.0, 3.0], [1.0, 1.5, -2.0], [0.5, 2.0, 1.2]])
    figure = plotting.trajectory(f, p.trajectory(path, depth), axes=["c", 0])
    hill, flat, _ = figure.axes
    x, y, z = np.ma.compress_rows(p.faces(hill.collections[0]).reshape(-1, 3)).T
    np.testing.assert_allclose(z, depth(y, 2.0, x), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(p.data(p.line(flat, "path:  minimum, not listed")), path[:, [2, 0]])
    (ring,) = p.dots(flat, "local minimum")  # the other one lies outside the slice
    np.testing.assert_allclose(ring.get_offsets(), [[1.0, 0.5]])
    dots = hill.get_lines()[0].get_data_3d()  # on the surface of the slice, not at its values
    np.testing.assert_allclose(dots[2], depth(dots[1], 2.0, dots[0]), rtol=1e-4, atol=1e-3)
    assert (flat.get_xlabel(), flat.get_ylabel()) == ("c", "a")
    assert figure.get_suptitle() == "dent   (slice through the last point)"


@reads("trajectory")
def a_pole_cut_off_with_the_path_on_top_of_it():
    f = gdjax.Objective(
        name="wall", fn=lambda q: jnp.exp(6 * q[0]) + 4 * q[1] ** 2 - 3, domain=[(-4, 4), (-1, 1)]
    )

    def wall(x, y):
        return np.exp(6 * x) + 4 * y**2 - 3

    path = [(3.5, -0.5), (2.0, 0.5), (-3.0, 0.2)]
    figure = plotting.trajectory(f, p.trajectory(path, wall), drape=True)
    hill = figure.axes[0]
    z = p.faces(hill.collections[0])[..., 2]
    window = np.array([hill.get_xlim(), hill.get_ylim()])
    all_of_it = wall(*np.meshgrid(*np.linspace(*window.T, 161).T))
    top = all_of_it.min() + 1e3 * (np.median(all_of_it) - all_of_it.min())
    assert z.max() == pytest.approx(top, rel=1e-3)
    x, y, on_top = np.moveaxis(np.concatenate(p.runs(hill, BLUE)), -1, 0)
    assert on_top.shape == (2 * 12, 2)  # on the ground all the way
    np.testing.assert_allclose(on_top, np.minimum(wall(x, y), top), rtol=1e-3, atol=1e-2)
    assert figure.axes[1].collections[0].norm.gamma == pytest.approx(0.2)


@reads("curve")
def a_curve_its_points_tangents_and_minima():
    def bend(x):
        return x**4 / 4 - x + 2

    f = gdjax.Objective(
        name="bend", fn=lambda q: bend(q[0]), domain=[(-3, 2)], minima=[(1.0,)], latex="h",
        variables=("mu",),
    )  # fmt: skip
    inside = np.array([-2.5, -1.9, -1.2, 0.1, 0.9, 1.4, 1.1, 0.8, 1.05, 0.95])
    outside = np.array([1.5, 0.3, 9.0])
    paths = {
        BALL: p.trajectory(inside[:, None], bend), p.ADAM: p.trajectory(outside[:, None], bend)
    }  # fmt: skip
    figure = plotting.curve(f, paths)
    (axes,) = figure.axes
    half = 0.62 * (2.0 + 2.5)  # of the whole bowl, and the margin
    window = (-0.25 - half, -0.25 + half)
    np.testing.assert_allclose(axes.get_xlim(), window, rtol=1e-6)
    x, y = p.data(axes.get_lines()[0]).T
    np.testing.assert_allclose(x[[0, -1]], window, rtol=1e-6)
    np.testing.assert_allclose(y, bend(x), rtol=1e-4, atol=1e-5)
    ends = ":  minimum, not listed"
    gone = p.ADAM + ends + ", out of sight"
    for label, colour, path in ((BALL + ends, BLUE, inside), (gone, PINK, outside[:2])):
        of_it = [one for one in axes.get_lines() if same_colour(one.get_color(), colour)]
        np.testing.assert_allclose(p.data(of_it[0]), np.stack([path, bend(path)], 1), rtol=1e-5)
        assert of_it[0].get_label() == label
        assert (of_it[0].get_marker(), of_it[0].get_linestyle()) == (".", "-")
        assert len(of_it) == 1 + min(len(path), 8)
        for at, tangent in zip(path, of_it[1:], strict=False):
            reach = np.array([-0.3, 0.3]) * half
            expected = np.stack([at + reach, bend(at) + (at**3 - 1) * reach], axis=1)
            np.testing.assert_allclose(p.data(tangent), expected, rtol=1e-4, atol=1e-4)
    shown = [(spot.tolist(), face, edge) for spot, face, edge in p.stars(axes)]
    for (at, face, edge), (point, colour, rim) in zip(
        shown,
        [(-2.5, "white", "black"), (0.95, BLUE, "white"), (1.5, "white", "black")],
        strict=True,
    ):
        np.testing.assert_allclose(at, [point, bend(point)], rtol=1e-5)
        assert same_colour(face, colour)
        assert same_colour(edge, rim)
    (ring,) = p.dots(axes, "local minimum")
    np.testing.assert_allclose(ring.get_offsets(), [[1.0, 1.25]])
    numbers = [(text.get_text(), text.xy, text.xyann[1] > 0) for text in axes.texts]
    steps = [(str(k), (inside[k], bend(inside[k])), True) for k in (1, 2, 3, 4, 5, 6)]
    assert [(number, above) for number, _, above in numbers] == [
        *((number, above) for number, _, above in steps), ("1", False),
    ]  # fmt: skip
    for (_, at, _), (_, expected, _) in zip(numbers, steps, strict=False):
        np.testing.assert_allclose(at, expected, rtol=1e-5)
    assert p.entries(figure) == [BALL + ends, gone, "local minimum", "start", "end"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (r"$\mu$", "f")
    assert axes.get_title() == "bend:  $f = h$"


def test_steps_out_of_sight_are_counted_and_nothing_is_joined_over_them():
    f = gdjax.Objective(name="bowl", fn=lambda q: q[0] ** 2, domain=[(-1, 1)])
    path = p.trajectory(np.array([[0.9], [-0.5], [9.0], [0.4], [0.1]]), lambda x: x**2)
    (axes,) = plotting.curve(f, {"a": path}).axes
    x, _ = p.data(axes.get_lines()[1]).T
    np.testing.assert_allclose(x, [0.9, -0.5, np.nan, 0.4, 0.1], rtol=1e-6)
    assert [text.get_text() for text in axes.texts] == ["1", "3", "4"]


@reads("convergence")
def gaps_to_the_known_minimum_or_to_the_best_of_all_paths():
    values = {"adam": p.LEAVES, "heavy ball": p.STAYS, "lion": p.STAYS[1:4], "sgd": p.LEAVES[:1]}
    paths = {label: p.trajectory(points) for label, points in values.items()}
    paths["adam"] = p.trajectory(p.LOST_PATH)  # drawn up to its last finite point
    heights = {label: p.height(*points.T) for label, points in values.items()}
    assert min(heights, key=lambda label: heights[label].min()) == "heavy ball"  # the second
    for fmin, best, ylabel in (
        (WELLS.fmin, WELLS.fmin, "f − f*"),
        (None, min(map(np.min, heights.values())), "f − best value met"),
    ):
        f = gdjax.Objective(name="a_b", fn=WELLS.fn, domain=WELLS.domain, fmin=fmin, latex="h")
        figure = plotting.convergence(f, paths)
        (axes,) = figure.axes
        floor = np.spacing(np.float32(abs(best)))
        for label, z in heights.items():
            shown = p.line(axes, label)
            np.testing.assert_array_equal(shown.get_xdata(), np.arange(len(z)))
            np.testing.assert_allclose(
                shown.get_ydata(), np.maximum(z - best, floor), rtol=1e-4, atol=2e-6
            )
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", ylabel)
        assert axes.get_yscale() == "log"
        met = p.lines(axes, "float32 resolution")
        assert len(met) == (fmin is None)  # the best value of all is one of a path's own
        assert p.entries(figure)[:4] == list(values)
        assert axes.get_legend() is None
        assert axes.get_title() == "a b:  $f = h$"
        colours = [line.get_color() for line in axes.get_lines()[:4]]
        assert all(map(same_colour, colours, [PINK, BLUE, "#56B4E9", "#003E61"]))
        markers = [line.get_marker() for line in axes.get_lines()[:4]]
        assert markers == ["", "", "", "."]  # a single point has no line
    few = plotting.convergence(WELLS, dict(list(paths.items())[:3]))
    assert p.entries(few.axes[0]) == list(values)[:3]


@reads("convergence")
def what_lies_below_the_resolution_at_it():
    fmin = -6.5
    f = gdjax.Objective(name="a", fn=WELLS.fn, domain=WELLS.domain, fmin=fmin)
    path = p.trajectory(np.zeros((4, 2)))._replace(
        values=jnp.asarray([-4.5, fmin - 1e-3, fmin, -6.0])
    )
    (axes,) = plotting.convergence(f, {"ball": path}).axes
    floor = 2.0**-21  # the spacing of float32 next to 6.5, which lies between 4 and 8
    np.testing.assert_allclose(p.line(axes, "ball").get_ydata(), [2, floor, floor, 0.5])
    np.testing.assert_allclose(p.line(axes, "float32 resolution").get_ydata(), [floor] * 2)


@reads("fit")
def data_with_the_curve_before_and_after():
    x, y = np.array([1.0, 2.0, 4.0, 6.0]), np.array([2.0, 3.5, 4.0, 8.0])

    def model(q, columns):
        return q[0] + q[1] * jnp.asarray(columns["time"]) ** 2

    f = gdjax.Objective(
        name="a_fit", fn=lambda q: ((model(q, {"time": x}) - y) ** 2).sum(), domain=[(-9, 9)] * 2,
        fit=Fit({"time": x}, "load", y, model), latex="h",
    )  # fmt: skip
    ends = {BALL: (2.0, 0.125), p.ADAM: (40.0, -3.0)}
    paths = {k: p.trajectory([(1.0, 0.5), end], lambda a, b: a + b) for k, end in ends.items()}
    axes, below = plotting.fit(f, paths).axes
    along = np.linspace(1 - 0.2, 6 + 0.2, 401)
    np.testing.assert_allclose(axes.get_xlim(), along[[0, -1]])
    start, ball, adam, observed = axes.get_lines()
    expected = ((start, (1.0, 0.5), "0.45"), (ball, ends[BALL], BLUE), (adam, ends[p.ADAM], PINK))
    for line, (a, b), colour in expected:
        np.testing.assert_allclose(
            p.data(line), np.stack([along, a + b * along**2], 1), rtol=1e-5, atol=1e-5
        )
        assert same_colour(line.get_color(), colour)
    np.testing.assert_array_equal(p.data(observed), np.stack([x, y], axis=1))
    assert observed.get_linestyle() == "None"
    assert start.get_linestyle() == "--"
    misfits = [((a + b * x**2 - y) ** 2).sum() for a, b in ends.values()]
    assert p.entries(axes) == [
        "start", f"{BALL}:  f = {misfits[0]:.5g}", f"{p.ADAM}:  f = {misfits[1]:.5g}", "data"
    ]  # fmt: skip
    np.testing.assert_allclose(axes.get_ylim(), [2 - 0.35 * 6, 8 + 0.35 * 6])  # not Adam's −75
    assert (below.get_xlabel(), axes.get_ylabel()) == ("time", "load")
    assert axes.get_title() == "a fit:  $f = h$"
    wide = f.fit._replace(columns={"time": x, "place": x})
    many = gdjax.Objective(name="many", fn=f.fn, domain=f.domain, fit=wide)
    over = plotting.fit(many, paths).axes[0]
    a, b = min(ends.values(), key=lambda end: ((end[0] + end[1] * x**2 - y) ** 2).sum())
    np.testing.assert_allclose(p.data(over.get_lines()[-1])[:, 0], a + b * x**2, rtol=1e-6)
    for drawn, (a, b) in zip(below.get_lines()[1::2], ends.values(), strict=True):
        np.testing.assert_allclose(p.data(drawn)[:, 1], y - a - b * x**2, rtol=1e-5, atol=1e-5)


@reads("gradient_field")
def arrows_of_the_gradient_that_is_asked():
    for side, arrows in (("autodiff", 7), ("hand", 4)):
        figure = plotting.gradient_field(WELLS, gradient=side, arrows=arrows)
        at, ways, drawn = p.quiver(figure.axes[0])
        cell = (p.HIGH - p.LOW) / arrows
        lattice = itertools.product(range(arrows), range(arrows))
        expected = np.array([p.LOW + (np.array([i, j]) + 0.5) * cell for j, i in lattice])
        np.testing.assert_allclose(at, expected, atol=1e-5)
        x, y = expected.T
        uphill = p.slope(x, y) if side == "autodiff" else np.stack([-y, 1 + x**2], axis=1)
        size = np.linalg.norm(uphill, axis=1)
        scale = 0.9 * 3.5 / arrows / size.max() ** 0.25  # the longest just fits its place
        np.testing.assert_allclose(
            ways, -uphill / size[:, None] ** 0.75 * scale, rtol=1e-3, atol=1e-4
        )
        assert (drawn.angles, drawn.scale_units, drawn.scale) == ("xy", "xy", 1)
        assert drawn.pivot == "middle"
    assert_contours(figure.axes[0], np.stack([p.LOW, p.HIGH], axis=1))
    assert figure.axes[0].get_title() == "two wells:  $f = g(a)$"
    assert r"$-\nabla f$" in figure.get_supxlabel()


# Certificates


@reads("certificate")
def the_errors_of_differences_over_their_steps():
    report = p.certificate(2)
    axes = plotting.certificate(report).axes[0]
    rows = report.details.curve[[1, 2, 3, 4, 5, 6, 8]]  # the first has none, the eighth is left out
    rows = np.sort(np.maximum(np.where(np.isnan(rows), np.inf, rows), 1e-17), axis=0)
    steps = report.details.steps
    np.testing.assert_allclose(
        p.data(p.line(axes, "median point")), np.stack([steps, rows[3]], axis=1)
    )
    (shade,) = [c for c in axes.collections if c.get_label() == "8 of 10 points"]
    x, low, high = p.band(shade)
    seen = np.isfinite(rows[5])
    assert seen.tolist() == [True, True, True, False]
    np.testing.assert_allclose([x, low, high], [steps[seen], rows[1, seen], rows[5, seen]])
    worst = p.line(axes, "worst point")
    np.testing.assert_allclose(p.data(worst), np.stack([steps, report.details.curve[3]], axis=1))
    (chosen,) = [x for x in axes.get_lines() if x.get_label().startswith("with the step chosen")]
    reached = report.details.reached[[1, 2, 3, 4, 5, 6, 8]]
    np.testing.assert_allclose(chosen.get_ydata(), np.median(reached))
    drawn = np.concatenate([rows[3], report.details.curve[3], [np.median(reached)]])
    ends = np.log10([drawn[np.isfinite(drawn)].min(), drawn[np.isfinite(drawn)].max()])
    np.testing.assert_allclose(np.log10(axes.get_ylim()), [np.floor(ends[0]), np.ceil(ends[1])])
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert p.entries(axes)[:3] == ["8 of 10 points", "median point", "worst point"]
    assert same_colour(worst.get_color(), "#D55E00")
    assert same_colour(p.line(axes, "median point").get_color(), BLUE)


@reads("certificate")
def where_the_errors_lie_in_two_dimensions():
    report = p.certificate(2)
    figure = plotting.certificate(report)
    _, axes, key = figure.axes
    errors = np.array([1e-9, 1e-17, 3e-8, 2e-3, 5e-9, 1.0, 2e-10, 4e-7, 8e-9])
    shown = {"within tolerance": [0, 1, 2, 4, 6, 8], "wrong": [3, 5], "left out": [7], "worst": [3]}
    for label, which in shown.items():
        (found,) = p.dots(axes, label)
        np.testing.assert_allclose(found.get_offsets(), report.details.points[which])
        if label in ("within tolerance", "wrong"):
            np.testing.assert_allclose(found.get_array(), errors[which])
            np.testing.assert_allclose([found.norm.vmin, found.norm.vmax], [1e-17, 1])
            assert found.norm(1e-17 * 10**8.5) == pytest.approx(0.5)  # logarithmic
            assert found.get_cmap().name == "viridis"
    assert p.entries(figure) == list(shown)
    np.testing.assert_allclose(key.get_ylim(), [1e-17, 1])
    np.testing.assert_allclose([axes.get_xlim(), axes.get_ylim()], [[-1.5, 2.0], [-3.0, 2.5]])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y")
    assert axes.get_title() == "error of the Hessian / norm, in float32"
    assert figure.get_suptitle() == "steep dish: hand is wrong"
    for ok, colour in ((False, "#D55E00"), (True, "#009E73")):
        figure = plotting.certificate(p.certificate(2, ok))
        assert same_colour(figure._suptitle.get_color(), colour)


@reads("certificate")
def errors_against_tolerances_in_other_dimensions():
    report = p.certificate(3)
    axes = plotting.certificate(report).axes[1]
    errors = np.array([1e-9, 1e-17, 3e-8, 2e-3, 5e-9, 1.0, 2e-10, 4e-7, 8e-9])
    tolerances = [1.6e-8, 8e-7, 4e-10, 1.0, 1e-8, 4e-3, 6e-8, 1e-17, 2e-9]
    pairs = np.stack([tolerances, errors], axis=1)
    for label, which, colour in (
        ("within tolerance", [0, 1, 2, 4, 6, 8], BLUE), ("wrong", [3, 5], "#D55E00"),
    ):  # fmt: skip
        (found,) = p.dots(axes, label)
        np.testing.assert_allclose(found.get_offsets(), pairs[which])
        assert same_colour(found.get_facecolor()[0, :3], to_rgb(colour))
    np.testing.assert_allclose(
        p.data(p.line(axes, "error = tolerance")), [[1e-17, 1e-17], [1, 1]], rtol=1e-9
    )
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_ylabel() == "error of the Hessian / norm"
    assert axes.get_title() == "every point, in float32; no error is drawn at 1e-17"
    alike = {"errors": np.full(9, 3e-9), "tolerances": np.full(9, 2e-9)}
    near = report._replace(details=report.details._replace(**alike))
    axes = plotting.certificate(near).axes[1]  # two decades at least
    np.testing.assert_allclose(p.data(p.line(axes, "error = tolerance"))[:, 0], [1e-9, 1e-7])


# Sweeps

HALF = 0.6744897501960817  # the normal quantile of 0.75, for a confidence of 0.5
ORANGE, GREEN = "#D55E00", "#009E73"


def pale(colour, white):
    return white + (1 - white) * np.array(to_rgb(colour))


def percents(mask, z, digits=0):
    share, low, high = (100 * x for x in p.wilson(np.sum(mask), np.size(mask), z))
    return f"{share:.{digits}f} % ({low:.{digits}f}–{high:.{digits}f})"


FATES = np.array([0, 1, 3, 4, 5, 0, 1, 1, 0, 2, 4, 5, 0, 0, 1])  # on five columns of three


def on_a_grid():
    """Starts on 5 × 3 points of the domain; one still moves, and lies in a minimum all the same."""
    x, y = -2.1 + 1.8 * np.arange(5), -1 + 3.5 / 6 * np.array([1, 3, 5])
    starts = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    data = p.by_hand(
        FATES, starts=starts, f=WELLS, steps=10 * (1 + np.arange(15)) ** 2, starts_kind="grid",
        starts_shape=[5, 3], optimizer="heavy_ball(learning_rate=0.1, weight_decay=2)",
    )  # fmt: skip
    data["outcome"][7] = Outcome.MAX_STEPS  # near the local minimum, and not at rest
    data["outcome"][11] = Outcome.NONFINITE
    return data, starts


@reads("basin_map")
def a_pixel_for_each_start_of_a_grid():
    data, starts = on_a_grid()
    figure = plotting.basin_map(data, WELLS, confidence=0.5)
    axes, key = figure.axes
    (image,) = axes.get_images()
    np.testing.assert_allclose(image.get_extent(), [-3, 6, -1, 2.5])
    assert image.origin == "lower"
    pixels = np.asarray(image.get_array())
    assert pixels.shape == (3, 5, 3)
    steps = data["steps"].values
    low, high = np.quantile(steps[(FATES <= LOCAL) & (np.arange(15) != 7)], [0.02, 0.98])
    white = 0.65 * np.clip(np.log(steps / low) / np.log(high / low), 0, 1)
    plain = {UNLISTED: "0.7", STALLED: "0.55", MOVING: "0.85", LOST: "0.2"}
    for i, fate in enumerate(FATES):
        column, row = divmod(i, 3)
        expected = (
            to_rgb(plain[fate]) if fate in plain else pale((ORANGE, BLUE)[fate], white[i])
        )  # fmt: skip
        np.testing.assert_allclose(pixels[row, column], expected, atol=1e-6)
    hatched = {c.hatches[0]: c.get_paths()[0] for c in axes.collections if hasattr(c, "hatches")}
    assert list(hatched) == [r"\\", "....", "////"]
    for fate, path in zip((UNLISTED, STALLED, MOVING), hatched.values(), strict=True):
        within = [path.contains_points(starts, radius=r) for r in (-1e-3, 1e-3)]
        np.testing.assert_array_equal(np.any(within, axis=0), fate == FATES)
    np.testing.assert_allclose([axes.get_xlim(), axes.get_ylim()], [[-3, 6], [-1, 2.5]])
    assert axes.get_aspect() == 1
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$a_{1}$", r"$\theta$")
    assert p.entries(figure) == [
        f"{name}  {percents(fate == FATES, HALF, digits=int(np.sum(fate == FATES) == 1))}"
        for fate, name in enumerate((
            "(−1.11, 0.85)", "(2.86, 0.75)", "local minimum, not listed",
            "at rest or stuck at no minimum", "still moving", "diverged",
        ))
    ]  # fmt: skip
    assert key.get_title() == "steps"
    assert key.get_ylabel() == "paler takes more"
    np.testing.assert_allclose(key.get_ylim(), [low, high])
    shades = key.collections[-1].get_cmap()
    np.testing.assert_allclose([shades(0)[:3], shades(255)[:3]], [[0.25] * 3, [0.7375] * 3])
    assert figure.get_suptitle() == (
        "two wells:  $f = g(a)$\nheavy ball, α = 0.1, weight decay = 2, 200 steps"
    )


@reads("basin_map")
def shares_to_as_many_digits_as_their_interval_has():
    mask = np.array(FATES) == GLOBAL
    for confidence, digits in ((0.35, 0), (0.31, 1), (0.02, 1), (0.0075, 1), (0.005, 2)):
        figure = plotting.basin_map(on_a_grid()[0], WELLS, confidence)
        z = NormalDist().inv_cdf((1 + confidence) / 2)
        width = np.diff(p.wilson(mask.sum(), 15, z)[1:]) * 100
        assert digits == (2 if width < 0.2 else 1 if width < 10 else 0)
        assert p.entries(figure)[0] == f"(−1.11, 0.85)  {percents(mask, z, digits)}"


@reads("basin_map")
def the_minima_as_stars_and_rings_in_the_colours_of_their_basins():
    figure = plotting.basin_map(on_a_grid()[0], WELLS)
    expected = [("*", MINIMUM, c) for MINIMUM, c in zip(p.MINIMA, (ORANGE, BLUE), strict=True)]
    expected[1] = ("o", *expected[1][1:])
    drawn = figure.axes[0].get_lines()
    for line, handle, (mark, at, colour) in zip(
        drawn, figure.legends[0].legend_handles, expected, strict=False
    ):
        np.testing.assert_allclose(p.data(line), [at])
        for one in (line, handle):
            assert one.get_marker() == mark
            assert same_colour(one.get_color(), colour)
    assert len(drawn) == 2
    greys = [h.get_facecolor()[:3] for h in figure.legends[0].legend_handles[2:]]
    np.testing.assert_allclose(greys, [[0.7] * 3, [0.55] * 3, [0.85] * 3, [0.2] * 3])
    assert [h.get_hatch() or "" for h in figure.legends[0].legend_handles[2:]] == [
        r"\\", "....", "////", "",
    ]  # fmt: skip


@reads("basin_map")
def a_panel_for_each_setting_in_one_scale():
    data, starts = on_a_grid()
    statuses = np.stack([np.roll(FATES, 4 * k) for k in range(8)], axis=1).reshape(15, 2, 4)
    steps = np.full(statuses.shape, 10)
    steps[:, 1, 2] = 1000
    axes = {"momentum": [0.0, 0.5], "learning_rate": [0.1, 0.2, 0.3, 0.4]}
    data = p.by_hand(
        statuses, axes, starts, WELLS, steps=steps, starts_kind="grid", starts_shape=[5, 3]
    )
    figure = plotting.basin_map(data, WELLS)
    panels, key = figure.axes[:8], figure.axes[-1]
    for k, panel in enumerate(panels):
        i, j = divmod(k, 4)
        mask = statuses[:, i, j] == GLOBAL
        setting = f"μ = {axes['momentum'][i]:g}, α = {axes['learning_rate'][j]:g}"
        assert panel.get_title() == f"{setting}:  {percents(mask, 1.959963984540054)} global"
        white = 0.65 if (i, j) == (1, 2) else 0.0
        shown = np.asarray(panel.get_images()[0].get_array()).transpose(1, 0, 2).reshape(-1, 3)
        np.testing.assert_allclose(shown[mask], [pale(ORANGE, white)] * mask.sum(), atol=1e-6)
        local = statuses[:, i, j] == LOCAL
        np.testing.assert_allclose(shown[local], [pale(BLUE, white)] * local.sum(), atol=1e-6)
    assert [panel.get_xlabel() for panel in panels] == [""] * 5 + ["$a_{1}$"] * 3
    theta = r"$\theta$"
    assert [panel.get_ylabel() for panel in panels] == [theta, "", ""] * 2 + [theta, ""]
    assert not figure.axes[8].axison
    assert p.entries(figure)[:3] == [
        "(−1.11, 0.85)", "(2.86, 0.75)", "local minimum, not listed"
    ]  # fmt: skip
    np.testing.assert_allclose(key.get_ylim(), [10, 1000])
    assert key.get_yscale() == "log"
    ticks = [t for t in key.yaxis.get_majorticklocs() if 10 <= t <= 1000]
    assert [key.yaxis.get_major_formatter()(t) for t in ticks] == [
        "10", "20", "50", "100", "200", "500", "1000",
    ]  # fmt: skip


@reads("basin_map")
def scattered_starts_as_dots_over_the_whole_domain():
    starts = np.random.default_rng(1).uniform(-0.5, 0.5, (15, 2))
    figure = plotting.basin_map(
        p.by_hand(FATES, starts=starts, f=WELLS, steps=np.full(15, 9)), WELLS
    )
    (axes,) = figure.axes  # without a key, since all take equally many steps
    (dots,) = p.dots(axes)
    np.testing.assert_allclose(dots.get_offsets(), starts)
    colours = np.array([pale(c, 0.0) for c in (ORANGE, BLUE, "0.7", "0.55", "0.85", "0.2")])
    np.testing.assert_allclose(dots.get_facecolor()[:, :3], colours[FATES])
    np.testing.assert_allclose([axes.get_xlim(), axes.get_ylim()], [[-3, 6], [-1, 2.5]])


RATES = np.geomspace(0.01, 1.0, 5)
MOMENTA = np.array([0.0, 0.3, 0.6])


@functools.cache
def over_rate_and_momentum():
    """Fates ``(start, momentum, rate)`` and steps, with no two settings alike."""
    drawn = np.random.default_rng(2)
    statuses = drawn.choice(6, (12, 3, 5), p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.1])
    statuses[:, 1, 4] = LOST
    first = np.where(statuses == GLOBAL, drawn.integers(3, 190, statuses.shape), -1)
    points = drawn.uniform(p.LOW, p.HIGH, (12, 3, 5, 4, 2))
    points[0, 2, 0, 2:] = np.nan
    axes = {"momentum": MOMENTA, "learning_rate": RATES}
    data = p.by_hand(statuses, axes, f=WELLS, steps_to_tolerance=first, points=points)
    return data, statuses, first, points


@functools.cache
def drawn_stability():
    return plotting.stability_map(over_rate_and_momentum()[0], WELLS)


@reads("stability_map")
def fates_mixed_by_share_over_rate_and_momentum():
    _, statuses, _, _ = over_rate_and_momentum()
    figure = drawn_stability()
    left = figure.axes[0]
    (mesh,) = left.collections
    colours = np.array(
        [to_rgb(c) for c in (BLUE, "#F0E442", "#E69F00", PINK, "#E0E0E0", "#333333")]
    )
    np.testing.assert_allclose(mesh.get_array(), colours[statuses].mean(axis=0), atol=1e-6)
    half = np.sqrt(RATES[1] / RATES[0])
    np.testing.assert_allclose(
        mesh.get_coordinates()[0, :, 0], [*RATES / half, RATES[-1] * half], rtol=1e-6
    )
    np.testing.assert_allclose(
        mesh.get_coordinates()[:, 0, 1], [-0.15, 0.15, 0.45, 0.75], atol=1e-9
    )
    for panel in figure.axes[:2]:
        assert (panel.get_xscale(), panel.get_yscale()) == ("log", "linear")
        np.testing.assert_allclose(panel.get_xlim(), [0.01 / half, half])
        np.testing.assert_allclose(panel.get_ylim(), [-0.15, 0.75])
        assert panel.get_xlabel() == "learning rate α"
    assert left.get_ylabel() == "momentum μ"
    assert left.get_title() == "where 12 starts end, colours mixed by share"
    sharpest = f"{p.sharpness(p.MINIMA[0, 0]):.4g}"
    assert p.entries(figure) == [
        "global minimum", "another minimum", "local minimum, not listed",
        "at rest or stuck at no minimum", "still moving", "diverged", "fewer than half arrive",
        f"stability limit α L = 2 (1 + μ),  L = {sharpest}",
    ]  # fmt: skip
    patches = [h for h in figure.legends[0].legend_handles if isinstance(h, Patch)]
    for patch, colour in zip(patches, [*colours, (1, 1, 1)], strict=True):
        assert same_colour(patch.get_facecolor(), to_rgba(colour))
    assert figure.get_suptitle() == "two wells:  $f = g(a)$\nheavy ball, 200 steps"


@reads("stability_map")
def the_median_of_the_steps_with_its_scale_and_the_limit():
    _, _, first, _ = over_rate_and_momentum()
    _, right, key = drawn_stability().axes
    median = np.sort(np.where(first < 0, np.inf, first), axis=0)[5]  # the sixth of twelve
    mesh = right.collections[0]
    shown = mesh.get_array()
    np.testing.assert_array_equal(shown.mask, np.isinf(median))
    np.testing.assert_array_equal(shown[~shown.mask], median[np.isfinite(median)])
    assert 0 < shown.mask.sum() < 15
    np.testing.assert_allclose(
        mesh.get_coordinates(), drawn_stability().axes[0].collections[0].get_coordinates()
    )
    low, high = shown.min(), shown.max()
    assert (mesh.norm.vmin, mesh.norm.vmax) == (low, high)
    assert mesh.norm(np.sqrt(low * high)) == pytest.approx(0.5)
    assert mesh.get_cmap().name == key.collections[-1].get_cmap().name == "magma_r"
    assert key.get_title() == "steps"
    np.testing.assert_allclose(key.get_ylim(), [low, high])
    assert right.get_title() == "steps to tolerance, median"
    (limit,) = right.get_lines()
    rate, momentum = p.data(limit).T
    np.testing.assert_allclose(momentum[[0, -1]], [0, 0.75], atol=1e-9)
    sharpest = p.sharpness(p.MINIMA[0, 0])
    np.testing.assert_allclose(rate, 2 * (1 + momentum) / sharpest, rtol=1e-3)
    assert limit.get_linestyle() == "--"


@reads("stability_map")
def one_start_with_its_own_words():
    data, _, first, _ = over_rate_and_momentum()
    figure = plotting.stability_map(data.isel(start=[3]), WELLS)
    left, right, _ = figure.axes
    assert (left.get_title(), right.get_title()) == ("where it ends", "steps to tolerance")
    shown = right.collections[0].get_array()
    np.testing.assert_array_equal(shown.filled(-1), first[3])
    assert "never arrives" in p.entries(figure)
    assert figure.legends[0].get_title().get_text() == ""
    narrow = data.isel(start=[3]).copy(deep=True)
    narrow["steps_to_tolerance"].values[:] = np.where(first[[3]] >= 0, 40, -1)
    key = plotting.stability_map(narrow, WELLS).axes[2]
    np.testing.assert_allclose(key.get_ylim(), [40, 41])  # a scale needs two ends
    assert len(key.get_yticks()) > 3


@reads("success_rate")
def a_line_with_its_band_for_each_value_of_the_other_axis():
    data, statuses, _, _ = over_rate_and_momentum()
    good = (statuses == GLOBAL).sum(axis=0)
    for against, counts, values, others, confidence, z in (
        (None, good, RATES, MOMENTA, 0.5, HALF),
        ("momentum", good.T, MOMENTA, RATES, 0.95, 1.959963984540054),
    ):
        figure = plotting.success_rate(data, against=against, confidence=confidence)
        (axes,) = figure.axes
        symbol = "α" if against else "μ"
        labels = [f"{symbol} = {value:.3g}" for value in others]
        assert p.entries(axes) == [line.get_label() for line in axes.get_lines()] == labels
        for line, shade, row, colour in zip(
            axes.get_lines(), axes.collections, counts, plotting.style.PALETTE, strict=False
        ):
            share, low, high = p.wilson(row, 12, z)
            np.testing.assert_allclose(p.data(line), np.stack([values, share], axis=1))
            at, lower, upper = p.band(shade)
            np.testing.assert_allclose(at, values)
            np.testing.assert_allclose([lower, upper], [low, high], atol=1e-12)
            assert same_colour(line.get_color(), colour)
            assert same_colour(shade.get_facecolor()[0, :3], to_rgb(colour))
            assert (line.get_marker(), line.get_linestyle()) == ("o", "-")
        assert len(axes.collections) == len(others)
        assert axes.get_xscale() == ("linear" if against else "log")
        assert axes.get_xlabel() == ("momentum μ" if against else "learning rate α")
        assert axes.get_ylabel() == "of 12 starts reach a global minimum"
        assert axes.get_ylim()[0] <= 0
        assert axes.get_ylim()[1] >= 1
        assert axes.yaxis.get_major_formatter().convert_to_pct(0.5) == 50
    assert figure.get_suptitle() == "two wells:  $f = g(a)$\nheavy ball, 200 steps"


def arrivals(first):
    """The steps of an empirical distribution, from nothing at step 1 to the last step."""
    when = np.sort(first[first >= 0])
    at = np.unique(when)
    share = np.searchsorted(when, at, side="right") / first.size
    ends = share[-1] if share.size else 0
    return np.array([[1, 0], *np.stack([at, share], axis=1).tolist(), [200, ends]])


@reads("steps_ecdf")
def how_many_arrived_by_each_step():
    data, _, first, _ = over_rate_and_momentum()
    for by, groups, labels in (
        (None, first.transpose(1, 0, 2), [f"μ = {m:g}" for m in MOMENTA]),  # the shorter axis
        ("learning_rate", first.transpose(2, 0, 1), [f"α = {a:.3g}" for a in RATES]),
    ):
        figure = plotting.steps_ecdf(data, by=by)
        (axes,) = figure.axes
        drawn = axes.get_lines()
        assert p.entries(axes) == labels == [line.get_label() for line in drawn]
        for line, group, colour in zip(drawn, groups, plotting.style.PALETTE, strict=False):
            np.testing.assert_allclose(p.data(line), arrivals(group))
            assert same_colour(line.get_color(), colour)
            assert line.get_drawstyle() == "steps-post"
        np.testing.assert_allclose(axes.get_xlim(), [0.8 * first[first >= 0].min(), 200])
        np.testing.assert_allclose(axes.get_ylim(), [0, 1.02])
        assert axes.get_xlabel() == "step"
        assert axes.get_ylabel().startswith("share within 0.0001 of f*")
        assert axes.yaxis.get_major_formatter().convert_to_pct(0.25) == 25
        assert axes.xaxis.get_major_formatter()(20) == "20"


@reads("steps_ecdf")
def many_values_in_shades_with_a_key():
    for values, logarithmic in ((np.geomspace(0.01, 1, 9), True), (np.arange(9) / 4, False)):
        data = p.by_hand(np.zeros((2, 9)), {"learning_rate": values}, f=WELLS)
        axes, key = plotting.steps_ecdf(data).axes
        place = np.linspace(0, 0.92, 9)  # evenly, in the scale that the values are even in
        shades = colormaps["viridis"](place)
        np.testing.assert_allclose(
            [to_rgba(line.get_color()) for line in axes.get_lines()], shades, atol=0.01
        )
        np.testing.assert_allclose(key.get_ylim(), values[[0, -1]])
        assert key.get_yscale() == ("log" if logarithmic else "linear")
        assert key.get_title() == "α"


@reads("paths_grid")
def paths_of_evenly_picked_settings():
    data, statuses, _, points = over_rate_and_momentum()
    data, statuses, points = data.isel(start=slice(5)), statuses[:5], points[:5]
    figure = plotting.paths_grid(data, WELLS)
    rates = [4, 3, 1, 0]  # upwards, four of five; momentum to the right
    settings = list(itertools.product(rates, range(3)))
    assert len(figure.axes) == len(settings)
    inks = (BLUE, ORANGE, GREEN, PINK, "0.35", "#000000")
    seen = points[:, :, rates].reshape(-1, 2)
    low, high = np.nanmin(seen, axis=0), np.nanmax(seen, axis=0)
    for panel, (j, i) in zip(figure.axes, settings, strict=True):
        assert panel.get_title() == f"μ = {MOMENTA[i]:.3g}, α = {RATES[j]:.3g}"
        paths, marks = panel.get_lines()[::2], panel.get_lines()[1::2]
        for line, dots, path, fate in zip(
            paths, marks, points[:, i, j], statuses[:, i, j], strict=True
        ):
            whole = path[np.isfinite(path[:, 0])]
            np.testing.assert_allclose(p.data(line), whole)
            np.testing.assert_allclose(p.data(dots), whole)
            assert same_colour(line.get_color(), inks[fate])
        ends = p.stars(panel)
        np.testing.assert_allclose([at for at, *_ in ends[::2]], points[:, i, j, 0])
        last = [path[np.isfinite(path[:, 0])][-1] for path in points[:, i, j]]
        np.testing.assert_allclose([at for at, *_ in ends[1::2]], last)
        for (_, face, _), fate in zip(ends[1::2], statuses[:, i, j], strict=True):
            assert same_colour(face, inks[fate])
    sides = high - low
    middle, half = (low + high) / 2, 0.62 * np.maximum(sides, 0.75 * sides.max())
    window = np.stack([middle - half, middle + half], axis=1)
    assert_contours(figure.axes[0], window, resolution=121)
    assert p.entries(figure) == [
        "global minimum", "another minimum", "local minimum, not listed",
        "at rest or stuck at no minimum", "still moving", "diverged", "local minimum",
    ]  # fmt: skip
    handles = figure.legends[0].legend_handles[:-1]
    assert all(map(same_colour, [h.get_color() for h in handles], inks))
    assert figure.get_suptitle() == "two wells:  $f = g(a)$\nheavy ball, 200 steps"


@reads("paths_grid")
def starts_alone_one_a_panel_in_a_window_that_is_not_too_thin():
    points = np.array([[-1.0, 0.8], [2.0, 0.81], [5.0, 0.8]]) + np.zeros((14, 1, 1))
    points += np.linspace(0, 0.05, 14)[:, None, None]
    points[9, 2] = points[9, 1] - [0.0, 7.0]  # straight down, out of sight: it ends on the border
    data = p.by_hand(np.arange(14) % 2, starts=points[:, 0], points=points, f=WELLS)
    figure = plotting.paths_grid(data, WELLS)
    panels = [axes for axes in figure.axes if axes.axison]
    picked = [0, 1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 13]  # twelve of fourteen, evenly
    assert [panel.get_title() for panel in panels] == [
        "from ({:.2f}, {:.2f})".format(*points[i, 0]).replace("-", "−") for i in picked
    ]
    across = np.array([p.MINIMA[0, 0], 5.05])
    side = np.ptp(across)
    up = np.array([p.MINIMA[1, 1], 0.86])
    half = 0.62 * side * np.array([1, 0.75])
    middle = np.array([across.mean(), up.mean()])
    window = np.stack([middle - half, middle + half], axis=1)
    for panel in panels:
        np.testing.assert_allclose([panel.get_xlim(), panel.get_ylim()], window, atol=1e-6)
    cut = panels[picked.index(9)]
    last = p.data(cut.get_lines()[0])[-1]
    np.testing.assert_allclose(last, [points[9, 1, 0], window[1, 0]], rtol=1e-6)
    assert len(p.stars(cut)) == 1
    assert len(p.data(cut.get_lines()[1])) == 2
    assert len(panels[0].get_lines()[1].get_xdata()) == 3


# Rankings


@functools.cache
def ranked():
    return p.ranking()


def share_solved(t, limit_of, xs):
    """The share of problems solved within a limit, ``(optimizers, seeds, x)``, one by one."""
    costs = ranked().costs[..., t]
    found = np.zeros((3, 2, len(xs)))
    for k, x in enumerate(xs):
        for o, s in itertools.product(range(3), range(2)):
            solved = [
                costs[i, o, s, h] <= limit_of(x, i, costs[i, :, s, h].min()) < np.inf
                for i, h in itertools.product(range(2), range(3))
            ]
            found[o, s, k] = sum(solved) / 6
    return found


def assert_steps(axes, expected):
    """The mean of the seeds as a line for each optimizer, in a band from the least to the most."""
    for line, shade, seeds, colour, label in zip(
        axes.get_lines(), axes.collections, expected, p.COLOURS, p.OPTIMIZERS, strict=True
    ):
        x, y = p.data(line).T
        np.testing.assert_allclose(y, seeds.mean(axis=0))
        assert same_colour(line.get_color(), colour)
        assert line.get_linestyle() == ("--" if label == "nesterov_textbook" else "-")
        assert line.get_drawstyle() == "steps-post"
        assert same_colour(shade.get_facecolor()[0, :3], to_rgb(colour))
        np.testing.assert_allclose(p.band(shade)[0], x)
        corners = shade.get_paths()[0].vertices  # at each x the border steps from the last value
        for k in range(1, len(x) - 1):
            there = corners[corners[:, 0] == x[k], 1]
            assert there.min() == pytest.approx(seeds.min(axis=0)[k - 1 : k + 1].min())
            assert there.max() == pytest.approx(seeds.max(axis=0)[k - 1 : k + 1].max())


def assert_profiles(figure, expected_of, ends, title, xlabel):
    for t, (axes, tau) in enumerate(zip(figure.axes, ("0.1", "0.001"), strict=True)):
        x = p.data(axes.get_lines()[0])[:, 0]
        np.testing.assert_allclose(x[[0, -1]], ends)
        np.testing.assert_allclose(axes.get_xlim(), ends)
        np.testing.assert_allclose(np.diff(np.log(x)), np.log(x[1] / x[0]), rtol=1e-6)
        final = share_solved(t, expected_of, x)
        assert_steps(axes, final)
        assert axes.get_title() == f"τ = {tau}"
        assert (2 in axes.get_xticks()) == (ends[1] < 100 * ends[0])  # else powers of ten alone
        assert axes.get_xscale() == "log"
        assert axes.get_ylim()[0] <= 0
        assert axes.get_ylim()[1] >= 1
        assert axes.yaxis.get_major_formatter().convert_to_pct(0.5) == 50
    order = np.argsort(-final.mean(axis=1)[:, -1], kind="stable")
    assert_legend(figure, order)
    assert figure.get_suptitle() == title
    assert figure._supxlabel.get_text() == xlabel
    assert figure.axes[0].get_ylabel() == "share of problems solved"


def assert_legend(figure, order):
    assert p.entries(figure) == [p.OPTIMIZERS[j].replace("_", " ") for j in order]
    for handle, j in zip(figure.legends[0].legend_handles, order, strict=True):
        assert same_colour(handle.get_color(), p.COLOURS[j])
        assert handle.get_linestyle() == ("--" if j == 0 else "-")


SIZE = "2 objectives, 3 held-out starts each, 2 tunings"


@reads("performance_profiles")
def shares_within_a_factor_of_the_fastest():
    assert_profiles(
        plotting.performance_profiles(ranked()), lambda x, i, best: x * best, [1, 64],
        f"Performance profiles: {SIZE}", "times the evaluations of the fastest",
    )  # fmt: skip


@reads("data_profiles")
def shares_within_a_number_of_simplex_gradients():
    dims = [1, 6]
    assert_profiles(
        plotting.data_profiles(ranked()), lambda x, i, best: x * (dims[i] + 1), [1 / 7, 90 / 2],
        f"Data profiles: {SIZE}", "evaluations / (dimension + 1)",
    )  # fmt: skip


@reads("runtime_ecdf")
def the_share_of_targets_met():
    figure = plotting.runtime_ecdf(ranked())
    (axes,) = figure.axes
    at = [1, 2, 5, 10, 20, 50, 90]
    np.testing.assert_array_equal(p.data(axes.get_lines()[0])[:, 0], at)
    expected = np.array([(ranked().runtimes <= k).mean(axis=(0, 3, 4)) for k in at])
    assert_steps(axes, expected.transpose(1, 2, 0))
    np.testing.assert_allclose(axes.get_xlim(), [1, p.BUDGET])
    assert_legend(figure, np.argsort(-expected[-1].mean(axis=1), kind="stable"))
    assert figure.get_suptitle() == (f"Runtime: {SIZE},\n4 targets from 0.5 to 1e-05 of f(x₀) − f*")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("evaluations", "share of targets met")


def ranks():
    """By mean evaluations over starts, precisions and seeds; a failure counts twice the budget."""
    costs = np.where(np.isinf(ranked().costs), 2 * p.BUDGET, ranked().costs)
    scores = costs.mean(axis=(2, 3, 4))
    assert len(np.unique(scores)) == 6
    return 1 + scores.argsort(axis=1).argsort(axis=1)


@reads("rank_table")
def ranks_with_the_best_mean_at_the_left():
    (axes,) = plotting.rank_table(ranked()).axes
    mean = ranks().mean(axis=0)
    order = np.argsort(mean, kind="stable")
    assert order.tolist() not in ([0, 1, 2], [2, 1, 0])
    expected = np.vstack([mean, ranks()])[:, order]
    (image,) = axes.get_images()
    np.testing.assert_allclose(image.get_array(), expected)
    assert (image.norm.vmin, image.norm.vmax) == (1, 3)
    np.testing.assert_allclose(
        image.get_cmap()([0.0, 1.0])[:, :3], [to_rgb("#0B4F7D"), to_rgb("#F7F7F7")]
    )
    for text, ((i, j), value) in zip(axes.texts, np.ndenumerate(expected), strict=True):
        assert text.get_position() == (j, i)
        assert text.get_text() == (f"{value:.1f}" if i == 0 else f"{value:g}")
        assert same_colour(text.get_color(), "white" if value < 1.7 else "0.15")
        assert text.get_weight() == ("bold" if i == 0 else "normal")
    (rule,) = axes.get_lines()  # between the mean and the objectives
    assert list(rule.get_ydata()) == [0.5, 0.5]
    labels = axes.get_xticklabels()
    assert [x.get_text() for x in labels] == [p.OPTIMIZERS[j].replace("_", " ") for j in order]
    assert all(same_colour(x.get_color(), p.COLOURS[j]) for x, j in zip(labels, order, strict=True))
    assert [y.get_text() for y in axes.get_yticklabels()] == [
        "mean rank", "steep dish", "long valley"
    ]  # fmt: skip
    assert axes.get_xticks().tolist() == axes.get_yticks().tolist() == [0, 1, 2]
    assert axes.get_xlabel() == (
        "rank by mean evaluations to τ = 0.1, 0.001;\na failure counts 180"
    )
    assert axes.yaxis_inverted()


@reads("convergence_bands")
def quartiles_of_the_gaps_of_each_objective():
    figure = plotting.convergence_bands(ranked(), ["long_valley", "steep_dish"])
    gaps = ranked().gaps[::-1]
    for panel, rows, name in zip(figure.axes, gaps, ("long valley", "steep dish"), strict=True):
        assert panel.get_title() == name
        for line, shade, (low, middle, high), colour in zip(
            panel.get_lines(), panel.collections, rows, p.COLOURS, strict=True
        ):
            np.testing.assert_allclose(p.data(line), np.stack([ranked().at, middle], axis=1))
            np.testing.assert_allclose(p.band(shade), [ranked().at, low, high])
            assert same_colour(line.get_color(), colour)
            assert line.get_linestyle() == ("--" if colour == p.COLOURS[0] else "-")
            assert same_colour(shade.get_facecolor()[0, :3], to_rgb(colour))
    for axes in figure.axes:
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        np.testing.assert_allclose(axes.get_xlim(), [1, p.BUDGET])
        np.testing.assert_allclose(axes.get_ylim(), [1e-10, 1.6])
    assert figure.get_suptitle() == (
        "Convergence, median and quartiles over 3 held-out starts each, 2 tunings"
    )
    assert figure._supxlabel.get_text() == "evaluations"
    assert_legend(figure, np.argsort(ranks().mean(axis=0), kind="stable"))
    many = ranked()._replace(
        optimizers=tuple(f"adam({i})" for i in range(6)), gaps=np.repeat(ranked().gaps, 2, axis=1),
        costs=np.repeat(ranked().costs, 2, axis=1),
    )  # fmt: skip
    figure = plotting.convergence_bands(many)
    assert not figure.axes[0].collections  # six bands would hide each other
    assert [axes.get_title() for axes in figure.axes] == ["steep dish", "long valley"]
    assert "Convergence, median over" in figure.get_suptitle()
    with pytest.raises(gdjax.ArgumentError, match="must be ranked ones, got booth"):
        plotting.convergence_bands(ranked(), ["booth"])


@reads("overview")
def values_of_jobs_over_both_settings():
    rates, momenta = np.geomspace(1e-3, 1, 5), np.array([0.0, 0.3, 0.9])
    rows = [(a, m, 100 * i + j) for i, a in enumerate(rates) for j, m in enumerate(momenta)]
    jobs = pd.DataFrame(rows[::-1], columns=["learning_rate", "momentum", "value"])
    jobs = jobs.assign(outcome="max_steps", failed=False)
    jobs.loc[0, "failed"] = True  # the last rate and momentum
    panel, key = plotting.overview(jobs, ["learning_rate", "momentum"]).axes
    (cells,) = panel.collections
    expected = [[100.0 * i + j for i in range(5)] for j in range(3)]
    expected[2][4] = np.nan
    np.testing.assert_array_equal(cells.get_array().filled(np.nan), expected)
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("learning_rate", "momentum")
    assert (panel.get_xscale(), key.get_title()) == ("log", "value")
    assert [line.get_xydata().tolist() for line in panel.get_lines()] == [[[1.0, 0.9]], []]


@reads("overview")
def values_of_jobs_over_one_setting_with_a_line_for_each_word():
    jobs = pd.DataFrame({"momentum": [0.5, 0.1, 0.5, 0.1], "of": [*"aabb"],
                         "value": [1.0, 2.0, 3.0, 9e9], "failed": False,
                         "outcome": ["saddle", "saddle", "saddle", "diverged"]})  # fmt: skip
    figure = plotting.overview(jobs, ["momentum", "of"])
    (panel,) = figure.axes
    first, second, failed, lost = (line.get_xydata().tolist() for line in panel.get_lines())
    assert first == [[0.1, 2.0], [0.5, 1.0]]
    np.testing.assert_array_equal(second, [[0.1, np.nan], [0.5, 3.0]])
    assert (failed, lost) == ([], [[0.1, 1.0]])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["of = a", "of = b", "diverged"]


# Looks of a user's own, the ground alone, and what grows


def line_of(axes, label):
    (found,) = (x for x in axes.get_lines() if str(x.get_label()).startswith(label))
    return found


@reads("comparison")
def a_window_a_view_and_colours_that_are_asked_for():
    figure = plotting.comparison(
        WELLS, p.PATHS, window=[[-3, 3], [-2, 4]], view=[40, -70], cmap="magma"
    )
    hill, flat, _ = figure.axes
    for axes in (hill, flat):
        np.testing.assert_allclose([axes.get_xlim(), axes.get_ylim()], [[-3, 3], [-2, 4]])
    assert (hill.elev, hill.azim) == (40, -70)
    assert flat.collections[0].get_cmap().name == "magma"
    domain = plotting.comparison(WELLS, p.PATHS, window="domain").axes[1]
    np.testing.assert_allclose([domain.get_xlim(), domain.get_ylim()], WELLS.domain)


@reads("comparison")
def paths_in_a_users_axes_with_a_legend_of_their_own():
    (label, path), *_ = p.PATHS.items()
    figure = matplotlib.figure.Figure()
    hill, flat = figure.add_subplot(1, 2, 1, projection="3d"), figure.add_subplot(1, 2, 2)
    for given in ([hill, flat], hill, flat):
        hill.clear(), flat.clear()
        assert plotting.comparison(WELLS, {label: path}, ax=given) is figure
        assert figure.axes == [hill, flat]  # no colour bar
        drawn = given if isinstance(given, list) else [given]
        for axes in (hill, flat):
            assert bool(axes.collections) == (axes in drawn)
        assert p.entries(drawn[-1])[0].startswith(label)
    one = figure.add_subplot(2, 2, 4)
    for draw in (plotting.convergence, functools.partial(plotting.gradient_field, arrows=3)):
        one.clear()
        args = (WELLS,) if draw is not plotting.convergence else (WELLS, {label: path})
        assert draw(*args, ax=one) is figure
        assert one.get_title().startswith("two wells")


@reads("comparison")
def a_path_that_is_added_joins_legend_and_window():
    (first, one), (second, other), *_ = p.PATHS.items()
    figure = plotting.comparison(WELLS, {first: one}, window=[[-9, 9], [-9, 9]], cmap="magma")
    assert plotting.comparison(WELLS, {second: other, first: other}, ax=figure) is figure
    _, flat, _ = figure.axes  # still one bar
    labels = [text.split(":")[0] for text in p.entries(figure)]
    assert labels[:3] == [first, second, f"{first} [2]"]
    assert len(figure.legends) == 1
    assert flat.get_xlim() == (-9, 9)
    assert flat.collections[0].get_cmap().name == "magma"
    with pytest.raises(gdjax.ArgumentError, match="these are of two_wells"):
        plotting.comparison("booth", gdjax.descend("booth", gdjax.heavy_ball(0.01)), ax=flat)


@reads("surface")
def the_ground_alone():
    figure = plotting.surface(WELLS, window=[[-3, 3], [-2, 4]], view=(30, 20), cmap="magma")
    (hill,) = figure.axes
    np.testing.assert_allclose([hill.get_xlim(), hill.get_ylim()], [[-3, 3], [-2, 4]])
    assert (hill.elev, hill.azim) == (30, 20)
    (ground,) = hill.collections
    assert ground.get_cmap().name == "magma"
    assert hill.get_title() == "two wells:  $f = g(a)$"
    assert not hill.get_lines()
    (wide,) = plotting.surface("ackley", window=[[-400, 400]] * 2).axes
    assert wide.get_title().endswith("ripples are finer than this picture can show")


@reads("gradient_field")
def lines_down_the_slope_on_the_surface():
    figure = plotting.gradient_field("sphere", arrows=6, on_surface=True, view=[80, 10])
    (hill,) = figure.axes
    (lines,) = (x for x in hill.collections if isinstance(x, Line3DCollection))
    tails, tips = np.array(lines._segments3d).swapaxes(0, 1)
    assert len(tails) > 20  # nothing hides much of a bowl from above
    assert (np.abs(tips[:, :2]) < np.abs(tails[:, :2]) + 1e-9).all()
    assert (tips[:, 2] < tails[:, 2]).all()
    np.testing.assert_allclose(np.column_stack(hill.get_lines()[0].get_data_3d()), tails)
    assert "fourth root" in figure.get_supxlabel()


@reads("convergence")
def a_title_of_a_users_own():
    for figure in (plotting.comparison(WELLS, p.PATHS), plotting.convergence(WELLS, p.PATHS)):
        plotting.figure.retitle(figure, "mine")
        words = {figure.get_suptitle(), figure.axes[0].get_title()}
        assert words - {""} == {"mine"}


def test_no_picture_is_kept_alive():
    figure = plotting.comparison(WELLS, p.PATHS)
    gone = weakref.ref(figure)
    del figure
    gc.collect()
    assert gone() is None


def race(frames=200):
    return plotting.animate(WELLS, p.PATHS, frames=frames, dpi=25)


def test_paths_grow_step_by_step_from_their_start_to_the_whole():
    made = race()
    flat = made.figure.axes[1]
    (label, path), *_ = p.PATHS.items()
    line = line_of(flat, label)
    whole = len(line.get_xdata())
    seen = []
    for _, step in zip(made.frames(), made.steps, strict=True):
        np.testing.assert_allclose(
            np.column_stack(line.get_data())[: whole - 1],  # the last one is at the border
            np.asarray(path.points)[: step + 1][: whole - 1],
            atol=1e-5,
        )  # fmt: skip
        seen.append(len(line.get_xdata()))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (1, whole)


def test_the_last_frame_is_the_figure_and_the_ground_never_moves():
    first, *_, last = race(frames=5).frames()
    assert first.shape == last.shape
    changed = (first != last).any(axis=2)
    assert 0 < changed.mean() < 0.2


@pytest.mark.parametrize("suffix", [".gif", pytest.param(".mp4", marks=pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="no ffmpeg"))])  # fmt: skip
def test_an_animation_is_a_file_with_its_frames(suffix, tmp_path):
    made = race(frames=6)
    path = made.save(tmp_path / f"race{suffix}")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    if suffix == ".gif":
        with Image.open(path) as picture:
            assert picture.n_frames == len(made.steps)
        assert "data:image/gif" in made._repr_html_()


def test_an_animation_is_refused_where_it_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for name, told in (("race.avi", "path must end in .gif or .mp4"), ("race.mp4", "needs ffmpeg")):
        with pytest.raises(gdjax.ArgumentError, match=told):
            race(frames=2).save(tmp_path / name)
    with pytest.raises(StorageError, match="could not be written"):
        race(frames=2).save(tmp_path / "nowhere" / "race.gif")
    assert not [*tmp_path.iterdir()]


def test_a_pole_does_not_take_all_colours():
    def pole(at):
        return 1 / ((at[0] - 1) ** 2 + at[1] ** 2) + (at**2).sum() / 10

    f = gdjax.Objective(name="pole", fn=pole, domain=[(-5, 5)] * 2)
    window = plotting.landscape.frame(f, [np.array([[3.0, 2.0]])], shown="domain")
    ground = plotting.landscape.grid(f, window)
    high = np.quantile(ground.z, 0.98)
    assert ground.z.max() < 10 * high


def test_every_public_function_is_read_back():
    others = {"PICTURES", "RANKING_PICTURES", "check_output", "save", "sweep_pictures"}
    others |= {"Animation", "animate"}
    assert figures_of(plotting) | others == set(plotting.__all__)
    assert set(READ) == figures_of(plotting)
    assert plotting.animate.__annotations__["return"] is plotting.Animation  # it has tests above


@functools.cache
def trained(optimizer="gradient_descent", steps=40):
    """A run on a bowl of curvature 4, and the limit that is drawn."""
    bowl = gdjax.Objective(name="bowl", fn=lambda p: 2 * p @ p, start=(1.0, 1.0))
    made = gdjax.optimizers.get(optimizer, learning_rate=0.25)
    watch = ("sharpness", "alignment")
    return gdjax.train(bowl, made, steps=steps, every=10, watch=watch)


@reads("training")
def loss_sharpness_and_gradient_against_the_step():
    run = trained()
    loss, sharp, gradient, aligned = plotting.training(run).axes
    for axes, values in (
        (loss, run.looks.loss), (sharp, run.looks.sharpness), (gradient, run.looks.gradient_norm),
        (aligned, run.looks.alignment),
    ):  # fmt: skip
        drawn = axes.get_lines()[0]
        np.testing.assert_array_equal(drawn.get_xdata(), run.steps)
        np.testing.assert_array_equal(drawn.get_ydata(), values)
    assert aligned.get_xlabel() == "step"


@reads("training")
def the_limit_of_stability_and_where_it_was_reached():
    run = trained()
    sharp = plotting.training(run).axes[1]
    assert sharp.get_lines()[1].get_ydata() == [8.0, 8.0]
    assert [text.get_text() for text in sharp.texts] == [r"$2/\alpha$ = 8"]
    met = run._replace(edge=run.edge._replace(limit=3.99), steps=run.steps + 10)
    crossed = plotting.training(met).axes[1]
    assert "reached at 10" in [text.get_text() for text in crossed.texts]


@reads("training")
def a_word_where_there_is_no_limit_and_the_step_where_it_broke():
    run = trained("lion")
    figure = plotting.training(run._replace(broken=7, leaf="w"))
    assert "no limit is drawn" in figure.axes[1].get_title(loc="right")
    assert "not finite from step 7, w first" in figure.get_suptitle()
    without = plotting.training(
        run._replace(looks=run.looks._replace(sharpness=np.full(5, np.nan)))
    )
    assert len(without.axes) == 3


@functools.cache
def sliced(plane="pca", **how):
    """A slice of a bowl in four dimensions, with the path of a descent."""
    bowl = gdjax.Objective(
        name="bowl", fn=lambda p: 1 + p @ (jnp.arange(1.0, 5) * p), start=(1.0, -1.0, 1.0, 1.0)
    )
    path = gdjax.descend(bowl, gdjax.gradient_descent(0.05), steps=20)
    if plane == "between":
        return gdjax.landscape(bowl, [-np.ones(4), np.ones(4)], plane, points=9)
    return gdjax.landscape(bowl, path=path, plane=plane, points=9, **how)


@reads("landscape_slice")
def the_plane_with_the_path_and_true_and_shown_loss():
    found = sliced()
    figure = plotting.landscape_slice(found)
    ground, loss, away = (axes for axes in figure.axes if axes.get_label() != "<colorbar>")
    lines = {line.get_label(): line for line in ground.get_lines()}
    np.testing.assert_allclose(np.column_stack(lines["path, projected"].get_data()), found.path)
    for axes, label, values in (
        (loss, "true loss of the path", found.true_losses),
        (loss, "loss that the slice shows", found.shown_losses),
        (away, "from the slice", found.distances),
        (away, "from the centre", found.lengths),
    ):
        drawn = next(line for line in axes.get_lines() if line.get_label() == label)
        np.testing.assert_array_equal(drawn.get_ydata(), values)
    assert f"{100 * found.explained[1]:.1f} % of the path" in ground.get_ylabel()


@reads("landscape_slice")
def what_a_slice_hides_stands_below_it_word_for_word():
    for found in (sliced(), sliced("random", dims=1), sliced("between"), sliced("hessian")):
        below = " ".join(plotting.landscape_slice(found).get_supxlabel().split())
        for sentence in found.sentences[1:]:
            assert sentence in below, (sentence, below)


@reads("landscape_slice")
def the_loss_along_a_line_with_its_barrier():
    found = sliced("between")
    hill = found._replace(barriers=np.array([2.0]), barriers_at=np.array([0.5]))
    (axes,) = plotting.landscape_slice(hill).axes
    line, straight, *_ = axes.get_lines()
    np.testing.assert_array_equal(line.get_data(), (found.coordinates[0], found.losses))
    np.testing.assert_array_equal(straight.get_ydata(), found.end_losses)
    words = [text.get_text() for text in axes.texts]
    assert [word for word in words if word] == ["A", "B", "barrier 2"]
    assert axes.get_yscale() == "linear"


@reads("landscape_slice")
def levels_are_logarithmic_where_the_loss_spans_decades():
    found = sliced("random")
    for scale, kind in ((1.0, "linear"), (1e3, "log")):
        steep = found._replace(losses=1 + scale * (found.losses - found.losses.min()))
        bar = plotting.landscape_slice(steep).axes[-1]
        assert (bar.get_yscale() == "log") == (kind == "log")
    holed = found.losses.copy()
    holed[0, 0] = np.inf
    assert "not finite in 1.2 % of it" in str(found._replace(losses=holed))
    plotting.landscape_slice(found._replace(losses=np.full((9, 9), np.nan)))


@reads("hessian_spectrum")
def the_density_of_eigenvalues_with_those_that_stand_alone():
    scale = np.r_[np.linspace(-0.1, 0.1, 60), 4.0, 9.0]
    f = gdjax.Objective(fn=lambda p, c: p @ (c * p) / 2, start=np.ones(62), args=scale)
    density = gdjax.spectral_density(f, probes=4, num_steps=30, dtype="float64")
    (axes,) = plotting.hessian_spectrum(density, limit=12.0).axes
    curve, marks, limit = axes.get_lines()
    at, height = curve.get_data()
    np.testing.assert_allclose(marks.get_xdata(), [4, 9], rtol=1e-9)
    seen = height > 1.01 * axes.get_ylim()[0]
    width = np.ptp(density.nodes) / 100
    np.testing.assert_allclose(height[seen], density.density(at, width)[seen])
    assert (axes.get_yscale(), limit.get_xdata()) == ("log", [12, 12])
    assert {text.get_text() for text in axes.texts} == {"9", "stability limit 12"}
    assert axes.get_title(loc="left") == "62 eigenvalues, 2 of them outliers"


@reads("hessian_spectrum")
def a_word_for_a_limit_far_away_and_a_spectrum_of_one_eigenvalue():
    density = gdjax.spectral_density(lambda p: p @ p, np.ones(5), probes=2)
    (axes,) = plotting.hessian_spectrum(density, limit=500.0).axes
    assert axes.get_title(loc="right") == "stability limit 500, further right"
    curve, marks = axes.get_lines()
    assert marks.get_xdata() == pytest.approx([2.0])
    assert curve.get_xdata()[curve.get_ydata().argmax()] == pytest.approx(2.0)


@pytest.mark.parametrize(
    "check", [c for checks in READ.values() for c in checks] or [None], ids=lambda c: c.__name__
)
def test_a_picture_shows(check):
    check()


# All of them


@functools.cache
def every_picture():
    """One figure for each entry of the two tables of pictures."""
    data = on_a_grid()[0]
    swept = over_rate_and_momentum()[0].isel(start=slice(3), learning_rate=[0, 4])
    found = {
        name: draw(data if name == "basins" else swept, WELLS)
        for name, draw in plotting.PICTURES.items()
    }
    return found | {name: draw(ranked()) for name, draw in plotting.RANKING_PICTURES.items()}


def test_each_name_of_a_picture_draws_what_it_says():
    said = {
        "basins": "(−1.11, 0.85)", "stability": "colours mixed by share",
        "success_rate": "starts reach a global minimum", "steps": "share within 0.0001",
        "paths": "μ = 0, α = 0.01", "ranks": "rank by mean evaluations",
        "performance_profiles": "Performance profiles", "data_profiles": "Data profiles",
        "runtime_ecdf": "Runtime", "convergence": "Convergence",
    }  # fmt: skip
    assert list(every_picture()) == list(said)
    for name, figure in every_picture().items():
        words = [
            figure.get_suptitle(),
            *[text for x in figure.legends for text in p.entries(figure)],
        ]
        for axes in figure.axes:
            words += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
        found = [other for other, words_of in said.items() if any(words_of in w for w in words)]
        assert found == [name]


@pytest.mark.parametrize("name", ["basins", "ranks", "comparison"])
def test_a_picture_is_saved_in_the_size_that_is_asked(name, tmp_path):
    figure = every_picture().get(name) or drawn_comparison()
    path = plotting.save(figure, tmp_path / f"{name}.png", dpi=40)
    assert path == tmp_path / f"{name}.png"
    pixels = matplotlib.image.imread(path)
    expected = np.floor(figure.get_size_inches()[::-1] * 40 + 1e-6)
    np.testing.assert_array_equal(pixels.shape[:2], expected)
    np.testing.assert_array_equal(pixels[0, 0, :3], 1)  # on white
    assert pixels.std() > 0.05


def test_the_resolution_and_the_format_are_those_that_are_said(tmp_path):
    figure = Figure(figsize=(2, 1), facecolor="red")
    for dpi in ({}, {"dpi": 60}):
        pixels = matplotlib.image.imread(plotting.save(figure, tmp_path / "a.png", **dpi))
        assert pixels.shape[:2] == ((60, 120) if dpi else (150, 300))
        np.testing.assert_array_equal(pixels[0, 0], 1)
    for suffix, begins in (("pdf", b"%PDF"), ("svg", b"<?xml")):
        written = plotting.save(figure, tmp_path / f"a.{suffix}").read_bytes()
        assert written.startswith(begins)


@pytest.mark.parametrize("name", [*plotting.PICTURES, *plotting.RANKING_PICTURES])
@pytest.mark.full
def test_every_picture_can_be_saved_in_every_format(name, tmp_path):
    for suffix in ("png", "svg", "pdf"):
        path = plotting.save(every_picture()[name], tmp_path / f"{name}.{suffix}", dpi=30)
        assert path.stat().st_size > 1000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("gif", 100), "unknown plot.format 'gif'; "),
        (("png", 0), "plot.dpi must be positive and finite, got 0"),
        (("png", -3), "plot.dpi must be positive and finite, got -3"),
    ],
)
def test_a_format_or_a_resolution_is_refused(call, message):
    with pytest.raises(gdjax.ArgumentError, match=message):
        plotting.check_output(*call)


def test_what_can_be_saved_is_taken():
    for suffix in ("png", "svg", "pdf"):
        plotting.check_output(suffix, 1)


def test_a_formula_is_in_the_title_where_a_line_has_room_for_it():
    for count, shown in ((0, False), (1, True), (100, True), (101, False)):
        latex = r"\alpha" * (count // 2) + "{x}_" * (count % 2)  # a Greek letter counts as two
        title = plotting.style.title("a_b", latex)
        assert title == ("a b" + (f":  $f = {latex}$" if shown else ""))


def test_two_labels_share_no_colour_until_the_palette_is_used_up():
    shades = plotting.style.colours(["adam(learning_rate=0.2)", "adam(learning_rate=0.1)"])
    assert list(shades.values()) == ["#7C3A60", PINK]  # two shades of one hue, by the alphabet
    for name in ("gradient_descent", "lion"):
        names = [f"{name}(learning_rate=0.{i})" for i in range(14)]
        assert set(plotting.style.colours(names).values()) == set(plotting.style.PALETTE)
        again = plotting.style.colours([*names, f"{name}(momentum=1)"])
        assert again[f"{name}(momentum=1)"] in plotting.style.PALETTE
