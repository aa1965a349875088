import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

import gdjax
from gdjax import objectives, plotting
from gdjax.plotting import landscape, style

QFSP = objectives.get("qfsp")


@pytest.fixture(scope="module")
def paths():
    return {
        "plain": gdjax.descend(QFSP, gdjax.gradient_descent(0.1), steps=40),
        "ball": gdjax.descend(QFSP, gdjax.heavy_ball(0.1, 0.9), steps=40),
    }


def lines(axes, label):
    return [line for line in axes.get_lines() if line.get_label() == label]


def test_comparison_draws_every_path_on_surface_and_contours(paths):
    figure = plotting.comparison(QFSP, paths)
    hill, flat, bar = figure.axes
    for label, path in paths.items():
        (line,) = lines(flat, label)
        np.testing.assert_allclose(line.get_xydata(), path.points)
    assert bar.get_title() == "f"
    assert len(hill.get_lines()) == 4  # for each path, its line and its points
    low, high = np.array([flat.get_xlim(), flat.get_ylim()]).T
    for points in [np.concatenate([p.points for p in paths.values()]), QFSP.known_minima]:
        assert (points > low).all()
        assert (points < high).all()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["plain", "ball", "known minimum", "start", "end"]
    assert QFSP.latex in figure.get_suptitle()


def test_the_path_lies_on_the_surface_and_is_drawn_over_it(paths):
    figure = plotting.trajectory(QFSP, paths["ball"])
    hill = figure.axes[0]
    x, y, z = (np.asarray(values) for values in hill.get_lines()[0].get_data_3d())
    np.testing.assert_allclose(z, x**2 + y**2 + 10 * np.sin(x) * np.sin(y), rtol=1e-4, atol=1e-3)
    surface = hill.collections[0]
    assert all(line.get_zorder() > surface.get_zorder() for line in hill.get_lines())
    assert not hill.computed_zorder


def test_arrows_point_along_the_path(paths):
    flat = plotting.trajectory(QFSP, paths["plain"]).axes[1]
    (arrows,) = [c for c in flat.collections if type(c).__name__ == "Quiver"]
    moves = np.diff(np.asarray(paths["plain"].points), axis=0)[: len(arrows.U)]
    cosines = (moves[:, 0] * arrows.U + moves[:, 1] * arrows.V) / np.linalg.norm(moves, axis=1)
    np.testing.assert_allclose(cosines, 1, rtol=1e-5)


def test_a_diverging_path_is_cut_and_the_window_stays_sensible():
    f = objectives.get("sphere")
    path = gdjax.descend(f, gdjax.gradient_descent(3.0), (1.0, 2.0), steps=200)
    assert not np.isfinite(path.points[-1]).all()
    flat = plotting.trajectory(f, path).axes[1]
    assert np.abs([flat.get_xlim(), flat.get_ylim()]).max() < 60
    convergence = plotting.convergence(f, {"lost": path}).axes[0]
    assert len(convergence.get_lines()[0].get_ydata()) == path.finite


def test_one_dimension_has_the_curve_the_points_and_their_tangents():
    f = objectives.get("parabola")
    path = gdjax.descend(f, gdjax.gradient_descent(0.1), (8.0,), steps=5)
    (axes,) = plotting.trajectory(f, path, label="plain").axes
    (dots,) = lines(axes, "plain")
    np.testing.assert_allclose(dots.get_xdata(), path.points[:, 0])
    np.testing.assert_allclose(dots.get_ydata(), path.values, rtol=1e-6)
    tangents = [line.get_xydata() for line in axes.get_lines() if len(line.get_xdata()) == 2]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in tangents]
    np.testing.assert_allclose(slopes, 2 * path.points[:, 0], rtol=1e-4)


def stars(axes):
    """Where stars are drawn, by their size."""
    dots = [c for c in axes.collections if isinstance(c, PathCollection) and len(c.get_offsets())]
    return {c.get_sizes()[0]: c.get_offsets()[0] for c in dots if c.get_sizes()[0] > 100}


def entries(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_one_dimension_shows_the_start_wherever_it_is():
    f = objectives.get("parabola")
    figure = plotting.trajectory(f, gdjax.descend(f, gdjax.gradient_descent(0.1), (30.0,), steps=5))
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    assert low < 0 < 30 < high
    np.testing.assert_allclose(stars(axes)[170], [30, 900])
    assert entries(figure) == ["path", "known minimum", "start", "end"]
    lost = gdjax.descend(f, gdjax.gradient_descent(2.0), (3.0,), steps=50)
    figure = plotting.trajectory(f, lost)
    assert np.abs(figure.axes[0].get_xlim()).max() < 30
    assert list(stars(figure.axes[0])) == [170]
    assert entries(figure) == ["path:  diverged", "known minimum", "start"]


def test_a_path_that_leaves_is_drawn_to_the_border():
    lost = gdjax.descend(QFSP, gdjax.heavy_ball(2.0, 0.9), steps=60)
    figure = plotting.trajectory(QFSP, lost, label="ball")
    hill, flat, _ = figure.axes
    (line,) = lines(flat, "ball:  diverged")
    drawn = np.asarray(line.get_xydata())
    low, high = np.array([flat.get_xlim(), flat.get_ylim()]).T
    np.testing.assert_allclose(drawn[0], lost.points[0])
    assert len(drawn) == 2
    np.testing.assert_allclose(np.min([drawn[-1] - low, high - drawn[-1]]), 0, atol=1e-9)
    x, y, _ = hill.get_lines()[0].get_data_3d()
    np.testing.assert_allclose([x[-1], y[-1]], drawn[-1])
    assert list(stars(flat)) == [170]
    assert entries(figure) == ["ball:  diverged", "known minimum", "start"]


def test_more_than_two_dimensions_are_drawn_as_a_slice():
    f = objectives.get("sphere", dim=4)
    path = gdjax.descend(f, gdjax.heavy_ball(0.1, 0.5), steps=200)
    figure = plotting.trajectory(f, path)
    assert "slice through the last point" in figure.get_suptitle()
    assert "known minimum" in entries(figure)  # which lies in the slice
    figure = plotting.trajectory(f, gdjax.descend(f, gdjax.heavy_ball(0.1), steps=2))
    assert "known minimum" not in entries(figure)
    figure = plotting.trajectory(f, gdjax.descend(f, gdjax.gradient_descent(3.0), steps=20))
    assert "slice through a known minimum" in figure.get_suptitle()
    assert "known minimum" in entries(figure)


def test_convergence_is_the_gap_to_the_minimum(paths):
    (axes,) = plotting.convergence(QFSP, paths).axes
    assert axes.get_yscale() == "log"
    for label, path in paths.items():
        (line,) = lines(axes, label)
        np.testing.assert_allclose(line.get_ydata(), path.values - QFSP.fmin, rtol=1e-5)


def test_convergence_ends_at_the_resolution_of_the_values():
    path = gdjax.descend(QFSP, gdjax.heavy_ball(0.05, 0.9), steps=300)
    assert (np.asarray(path.values, float) < QFSP.fmin).any()
    (axes,) = plotting.convergence(QFSP, {"ball": path}).axes
    (line,), (limit,) = lines(axes, "ball"), lines(axes, "float32 resolution")
    assert limit.get_ydata()[0] == np.spacing(np.float32(abs(QFSP.fmin)))
    assert np.min(line.get_ydata()) == limit.get_ydata()[0]  # and no gaps, which were nan
    f = objectives.get("rastrigin")  # 0 at the minimum, from terms of 10 that cancel
    path = gdjax.descend(f, gdjax.heavy_ball(0.001, 0.9), (0.3, 0.2), steps=300)
    (axes,) = plotting.convergence(f, {"ball": path}).axes
    assert 1e-7 < lines(axes, "float32 resolution")[0].get_ydata()[0] < 1e-5
    f = objectives.get("parabola")  # exact in one step: no rounding shows
    path = gdjax.descend(f, gdjax.gradient_descent(0.5), (8.0,), steps=3)
    (axes,) = plotting.convergence(f, {"plain": path}).axes
    assert not lines(axes, "float32 resolution")
    np.testing.assert_array_equal(lines(axes, "plain")[0].get_ydata(), [64, *[np.nan] * 3])


def test_gradient_field_points_downhill():
    axes = plotting.gradient_field(QFSP, gradient="hand", arrows=9).axes[0]
    (arrows,) = [c for c in axes.collections if type(c).__name__ == "Quiver"]
    slopes = [QFSP.gradient(jnp.array(p)) for p in zip(arrows.X, arrows.Y, strict=True)]
    assert (np.sum(np.array(slopes) * np.stack([arrows.U, arrows.V], axis=1), axis=1) <= 0).all()
    with pytest.raises(gdjax.ArgumentError, match="at least 2 dimensions"):
        plotting.gradient_field(objectives.get("parabola"))


def test_a_certificate_is_drawn_as_the_v_curve_and_a_map_of_the_errors():
    wrong = gdjax.check_gradient(QFSP, lambda p: QFSP.gradient(p) * jnp.array([1, 2]), 100)
    left, right, bar = wrong.plot().axes
    (median,) = lines(left, "median point")
    steps, errors = median.get_data()
    bottom = int(np.argmin(errors))
    assert 1e-7 < steps[bottom] < 1e-4
    assert errors[bottom] < 1e-8 < min(errors[0], errors[-1])
    shown = sum(len(dots.get_offsets()) for dots in right.collections)
    assert shown == len(wrong.details.points) + 1  # the worst one is ringed
    assert bar.get_ylim()[1] >= wrong.error
    left, right = gdjax.check_gradient(objectives.get("parabola"), points=20).plot().axes
    (limit,) = lines(right, "error = tolerance")
    np.testing.assert_array_equal(*limit.get_data())


@pytest.mark.parametrize("name", objectives.names())
def test_every_landscape_has_levels_to_draw(name):
    f = objectives.get(name)
    if f.dim == 1:
        return
    window = landscape.frame(f, [np.array([f.start])])
    axes = Figure().add_subplot()
    landscape.contours(axes, landscape.grid(f, window, resolution=41), f, window)
    filled = axes.collections[0]
    assert len(filled.levels) > 10
    assert (np.diff(filled.levels) > 0).all()


@pytest.mark.parametrize("height", [0.0, 1.0, -2.18e26, 1e-35])
def test_a_level_ground_is_drawn_too(height):
    f = gdjax.Objective(name="level", fn=lambda p: 0 * p[0] + height, domain=[(0, 1)] * 2)
    figure = plotting.trajectory(f, gdjax.descend(f, gdjax.gradient_descent(0.1), steps=2))
    assert len(figure.axes[1].collections[0].levels) > 1


def test_a_path_that_leaves_takes_neither_the_slice_nor_the_surface_along(tmp_path):
    f = objectives.get("wood")
    path = gdjax.descend(f, gdjax.heavy_ball(1e-2), steps=5)
    assert np.abs(path.points[path.finite - 1]).max() > 1e6
    assert np.abs(landscape.frame(f, [np.asarray(path.points)[: path.finite]]).base).max() <= 20
    figure = plotting.trajectory(f, path)
    assert np.abs(figure.axes[0].get_xlim()).max() < 60
    assert plotting.save(figure, tmp_path / "wood.png", dpi=20).stat().st_size > 0


def test_an_optimizer_keeps_its_colour_whatever_its_company():
    crowd = [f"{name}(learning_rate={rate})" for rate in (0.1, 0.2) for name in style.FIRST[:7]]
    alone = style.colours(["lion(learning_rate=0.1)"])
    together = style.colours(crowd)
    assert alone.items() <= together.items()
    assert style.colours(crowd[::-1]) == together
    assert list(together) == crowd
    assert len(set(together.values())) == len(crowd) == len(style.PALETTE)
