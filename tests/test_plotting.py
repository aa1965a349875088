"""Paths and landscapes at their limits; what a picture shows is read back in ``test_pictures``."""

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from pictures import QFSP, data, entries, line, lines, stars, trajectory

import gdjax
from gdjax import objectives, plotting
from gdjax._descent.outcomes import Outcome
from gdjax.plotting import landscape, style


def test_one_dimension_shows_the_start_wherever_it_is():
    f = objectives.get("parabola")
    far = np.array([[30.0], [18.0], [6.0]])
    figure = plotting.trajectory(f, trajectory(far, np.square))
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    assert low < 0 < 30 < high
    np.testing.assert_allclose(stars(axes)[0][0], [30, 900])
    assert entries(figure) == ["path:  minimum, not listed", "global minimum", "start", "end"]
    lost = trajectory([[3.0], [-90.0], [2700.0]], np.square, Outcome.DIVERGED)
    figure = plotting.trajectory(f, lost)
    assert np.abs(figure.axes[0].get_xlim()).max() < 30
    assert len(stars(figure.axes[0])) == 1
    assert entries(figure) == ["path:  diverged", "global minimum", "start"]


def test_more_than_two_dimensions_are_drawn_as_a_slice():
    f = objectives.get("sphere", dim=4)
    square = lambda *q: sum(x**2 for x in q)  # noqa: E731
    for last, outcome, through, ringed in (
        (1e-9, Outcome.CONVERGED, "the last point", True),
        (0.5, Outcome.MAX_STEPS, "the last point", False),  # the minimum lies beside the slice
        (1e6, Outcome.DIVERGED, "a known minimum", True),
    ):
        path = np.array([f.start, np.full(4, last)])
        figure = plotting.trajectory(f, trajectory(path, square, outcome))
        assert f"slice through {through}" in figure.get_suptitle()
        assert ("global minimum" in entries(figure)) == ringed
        assert np.abs(figure.axes[0].get_xlim()).max() < 60
    nowhere = gdjax.Objective(name="plane", fn=lambda q: q[0], domain=[(0, 2)] * 3)
    figure = plotting.trajectory(
        nowhere, trajectory([(1, 1, 1), (1e6, 0, 0)], lambda *q: q[0], Outcome.DIVERGED)
    )
    assert "slice through the domain's centre" in figure.get_suptitle()


def test_convergence_ends_at_the_resolution_of_the_values():
    path = gdjax.descend(QFSP, gdjax.heavy_ball(0.05, 0.9), steps=300)
    assert (np.asarray(path.values, float) < QFSP.fmin).any()
    (axes,) = plotting.convergence(QFSP, {"ball": path}).axes
    assert np.isfinite(line(axes, "ball").get_ydata()).all()  # no gaps, which were nan
    limit = line(axes, "float32 resolution").get_ydata()[0]
    assert limit == 2.0**-21  # next to -5.904, between 4 and 8
    f = objectives.get("rastrigin")  # 0 at the minimum, from terms of 10 that cancel
    values = np.float32([25.0, 3.0, 4e-6, 1e-6, 0.0])
    path = trajectory(np.zeros((5, 2)))._replace(values=jnp.asarray(values))
    (axes,) = plotting.convergence(f, {"ball": path}).axes
    np.testing.assert_allclose(line(axes, "float32 resolution").get_ydata(), 1e-6)
    np.testing.assert_allclose(line(axes, "ball").get_ydata(), [25, 3, 4e-6, 1e-6, 1e-6])
    f = objectives.get("parabola")  # exact in one step: no rounding shows
    path = trajectory(np.array([[8.0], [0], [0], [0]]), np.square)
    (axes,) = plotting.convergence(f, {"plain": path}).axes
    assert not lines(axes, "float32 resolution")
    np.testing.assert_array_equal(data(line(axes, "plain"))[:, 1], [64, *[np.nan] * 3])


def test_no_path_and_no_plane_to_draw_are_refused():
    with pytest.raises(gdjax.ArgumentError, match="paths must name at least one trajectory"):
        plotting.comparison(QFSP, {})
    with pytest.raises(gdjax.ArgumentError, match="at least 2 dimensions, parabola has 1"):
        plotting.gradient_field(objectives.get("parabola"))


def landscapes():
    """A few every day, all of them once."""
    few = {"qfsp", "easom", "himmelblau", "goldstein_price"}
    for name in objectives.names():
        if objectives.get(name).dim > 1:
            yield pytest.param(name, marks=[] if name in few else pytest.mark.full)


@pytest.mark.parametrize("name", list(landscapes()))
def test_every_landscape_has_levels_to_draw(name):
    f = objectives.get(name)
    window = landscape.frame(f, [np.array([f.start])])
    axes = Figure().add_subplot()
    landscape.contours(axes, landscape.grid(f, window, resolution=41), f, window)
    filled = axes.collections[0]
    assert len(filled.levels) > 10
    assert (np.diff(filled.levels) > 0).all()


@pytest.mark.parametrize("height", [0.0, -2.18e26, 1e-35, np.nan])
def test_a_level_ground_is_drawn_too(height):
    f = gdjax.Objective(name="level", fn=lambda p: 0 * p[0] + height, domain=[(0, 1)] * 2)
    path = trajectory([(0.2, 0.6), (0.3, 0.5)], lambda x, y: 0 * x + height)
    figure = plotting.trajectory(f, path)
    filled = figure.axes[1].collections[0]
    assert len(filled.levels) > 1
    assert filled.norm.vmin < filled.norm.vmax


def test_an_optimizer_keeps_its_colour_whatever_its_company():
    crowd = [f"{name}(learning_rate={rate})" for rate in (0.1, 0.2) for name in style.FIRST[:7]]
    alone = style.colours(["lion(learning_rate=0.1)"])
    together = style.colours(crowd)
    assert alone.items() <= together.items()
    assert style.colours(crowd[::-1]) == together
    assert list(together) == crowd
    assert len(set(together.values())) == len(crowd) == len(style.PALETTE)


def test_a_user_s_own_pictures_can_look_alike(tmp_path):
    from matplotlib import pyplot as plt

    with plt.style.context("gdjax.plotting.gdjax"):
        figure, axes = plt.subplots()
        (line,) = axes.plot([0, 1])
        axes.contourf(np.eye(3))
        figure.savefig(tmp_path / "own.png")
        assert axes.collections[0].get_cmap().name == style.LANDSCAPE.name
    plt.close(figure)
    assert to_hex(line.get_color()).upper() == style.PALETTE[0]
    assert not axes.spines["top"].get_visible()
