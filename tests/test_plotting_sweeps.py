import itertools
import subprocess
import sys
from pathlib import Path

import matplotlib.colors
import numpy as np
import pytest
import xarray as xr
import yaml
from matplotlib.colors import to_rgb

import gdjax
from gdjax import metrics, objectives, plotting, theory
from gdjax.outcomes import Outcome
from gdjax.plotting import cells, style
from gdjax.plotting.sweeps import PICTURES

QFSP = objectives.get("qfsp")
GLOBAL, LOCAL, STALLED, MOVING, LOST = range(5)
CODES = {  # outcome and minimum, as a sweep of QFSP would have them
    GLOBAL: (Outcome.CONVERGED, 1),
    LOCAL: (Outcome.CONVERGED, 3),
    STALLED: (Outcome.STALLED, -1),
    MOVING: (Outcome.MAX_STEPS, -1),
    LOST: (Outcome.DIVERGED, -1),
}


def dataset(f, starts, axes, outcome, minimum, first_step, steps=None, points=None, **attrs):
    """Results as a sweep labels them; the arrays are ``(start, *axes)``."""
    dims = ("start", *axes)
    data = {
        "outcome": (dims, np.asarray(outcome, np.int8)),
        "minimum": (dims, np.asarray(minimum, np.int16)),
        "first_step": (dims, np.asarray(first_step, np.int32)),
        "steps": (dims, np.asarray(first_step if steps is None else steps, np.int32)),
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
    about = {"objective": f.name, "formula": f.latex, "optimizer": "heavy_ball", "max_steps": 200}
    kind = {"starts_kind": "array", "starts_shape": [len(starts)]}
    return xr.Dataset(data, coords, about | kind | attrs)


def by_hand(fates, axes=None, starts=None, **more):
    """Fates of QFSP, ``(start, *axes)``, and a first step of 10 for what reached a global one."""
    fates = np.asarray(fates, dtype=int)
    outcome, minimum = np.moveaxis(np.array(list(CODES.values()))[fates], -1, 0)
    starts = np.zeros((len(fates), 2)) if starts is None else starts
    more = {"first_step": np.where(fates == GLOBAL, 10, -1)} | more
    return dataset(QFSP, starts, axes or {}, outcome, minimum, **more)


def square(low, high, n):
    side = np.linspace(low, high, n)
    return np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


# Basin maps


def test_a_pixel_has_the_colour_of_the_minimum_that_its_start_reaches():
    starts = square(-15, 15, 31)
    fates = np.where(starts[:, 0] > 5, GLOBAL, np.where(starts[:, 1] > 3, LOCAL, LOST))
    steps = np.where(starts[:, 1] > 3, 10, 100)
    data = by_hand(fates, starts=starts, steps=steps, starts_kind="grid", starts_shape=[31, 31])
    figure = plotting.basin_map(data, QFSP)
    axes, bar = figure.axes
    (image,) = axes.get_images()
    np.testing.assert_allclose(image.get_extent(), (-15.5, 15.5, -15.5, 15.5))
    pixels = np.asarray(image.get_array())  # rows along y
    colour_of = {GLOBAL: style.CLASSES[0], LOCAL: style.CLASSES[1]}
    for (x, y), fate, taken in zip(starts, fates, steps, strict=True):
        shown = pixels[round(y) + 15, round(x) + 15]
        if fate == LOST:
            np.testing.assert_allclose(shown, to_rgb("0.2"))
        else:  # paler where it takes longer
            white = 0.65 if taken == 100 else 0.0
            np.testing.assert_allclose(shown, style.paler(colour_of[fate], white), atol=1e-6)
    assert bar.get_title() == "steps"
    stars = [line for line in axes.get_lines() if line.get_marker() == "*"]
    np.testing.assert_allclose(stars[0].get_xydata()[0], QFSP.minima[1])
    share = metrics.wilson(int((fates == GLOBAL).sum()), fates.size)
    assert legend(figure)[0] == "(−1.30, 1.30)  {:.1f} % ({:.1f}–{:.1f})".format(
        *(100 * float(part) for part in share)
    )
    assert legend(figure)[-1].startswith("diverged  ")


def test_the_map_of_real_descents_fits_the_basins_of_plain_descent():
    """u = x + y and v = x − y go their own ways: |u| beyond 4.1046 ends in a local minimum."""
    starts = square(-12, 12, 25) + np.array(
        [0.013, 0.0]
    )  # off the diagonals, which lead to saddles
    data = gdjax.sweep(QFSP, gdjax.gradient_descent, starts, {"learning_rate": [0.02]}, steps=400)
    reached = cells.fates(data).ravel()
    clear = np.abs(np.abs(starts.sum(axis=1)) - 4.104619850558) > 0.05
    expected = np.where(np.abs(starts.sum(axis=1)) < 4.104619850558, GLOBAL, LOCAL)
    np.testing.assert_array_equal(reached[clear], expected[clear])
    figure = plotting.basin_map(data, QFSP)
    assert len(legend(figure)) == 6
    assert "α = 0.02" in figure.get_suptitle()


def test_what_reached_no_minimum_is_grey_and_hatched():
    starts = square(-15, 15, 6)
    fates = np.repeat([GLOBAL, STALLED, MOVING, LOST, LOST, LOST], 6)
    data = by_hand(fates, starts=starts, starts_kind="grid", starts_shape=[6, 6])
    figure = plotting.basin_map(data, QFSP)
    pixels = np.asarray(figure.axes[0].get_images()[0].get_array())
    greys = [tuple(pixels[0, column]) for column in (1, 2, 3)]
    assert all(r == g == b for r, g, b in greys)
    assert len(set(greys)) == 3
    hatched = [c for c in figure.axes[0].collections if getattr(c, "hatches", [None])[0]]
    assert [c.hatches for c in hatched] == [["...."], ["////"]]
    assert [entry.split("  ")[0] for entry in legend(figure)[1:]] == [
        "at rest at no known minimum", "still moving", "diverged",
    ]  # fmt: skip


def test_minima_beyond_the_palette_share_one_colour():
    minima = [(float(i), 0.0) for i in range(-6, 7)]
    f = gdjax.Objective(
        name="many", fn=lambda p: (p**2).sum(), domain=[(-10, 10)] * 2, minima=minima
    )
    counts = np.arange(1, 14)
    minimum = np.repeat(np.arange(13), counts)
    data = dataset(
        f, np.random.default_rng(0).uniform(-10, 10, (minimum.size, 2)), {},
        np.full(minimum.size, Outcome.CONVERGED), minimum, np.full(minimum.size, 5),
        starts_kind="uniform",
    )  # fmt: skip
    figure = plotting.basin_map(data, f)
    assert legend(figure)[-1].startswith("3 more minima  7 %")  # 1 + 2 + 3 of 91
    assert legend(figure)[0].startswith("(−3.00, 0.00)")
    (dots,) = figure.axes[0].collections
    np.testing.assert_allclose(dots.get_offsets(), data["start_point"])
    assert len(np.unique(dots.get_facecolors(), axis=0)) == 11


def test_settings_become_panels_with_their_share():
    starts = square(-15, 15, 4)
    fates = np.stack([np.arange(16) < n for n in (4, 8, 12)], axis=1).astype(int)
    data = by_hand(
        fates, {"momentum": [0, 0.5, 0.9]}, starts, starts_kind="grid", starts_shape=[4, 4]
    )
    titles = [axes.get_title() for axes in plotting.basin_map(data, QFSP).axes[:3]]
    assert [title.split(" %")[0] for title in titles] == [
        "μ = 0:  75",
        "μ = 0.5:  50",
        "μ = 0.9:  25",
    ]


@pytest.mark.parametrize("dim", [1, 3])
def test_basins_are_drawn_in_two_dimensions_only(dim):
    f = objectives.get("sphere", dim=dim)
    data = gdjax.sweep(f, gdjax.gradient_descent(0.1), np.ones((4, dim)), steps=5)
    with pytest.raises(gdjax.ArgumentError, match=f"needs 2 dimensions, sphere has {dim}"):
        plotting.basin_map(data, f)


# The palette


def lightness(colour, blindness):
    """CIELAB under a colour blindness: Machado, Oliveira & Fernandes 2009, severity 1."""
    srgb = np.array(to_rgb(colour))
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(blindness) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ seen / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize(
    "blindness",
    [
        np.eye(3),
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]],
    ],
    ids=["none", "protan", "deutan", "tritan"],
)  # fmt: skip
def test_ten_minima_are_told_apart_under_every_colour_blindness(blindness):
    """A distance of 2.3 is just noticeable; 15 is what the closest pair keeps."""
    seen = [lightness(colour, blindness) for colour in style.CLASSES]
    assert len(seen) == 10
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 15


@pytest.mark.parametrize("number", [64, 1024])
def test_dots_are_smaller_than_their_distances(number):
    starts = np.random.default_rng(0).uniform(-15, 15, (number, 2))
    figure = plotting.basin_map(by_hand(np.zeros(number), starts=starts), QFSP)
    figure.draw_without_rendering()
    panel = figure.axes[0]
    side = 72 * panel.get_window_extent().width / figure.dpi
    diameter = np.sqrt(panel.collections[0].get_sizes()[0])
    assert 1.5 <= diameter < 0.5 * side / np.sqrt(number)


# Stability maps


def test_the_map_mixes_colours_by_share_and_shows_the_median():
    alphas, momenta = np.geomspace(1e-3, 1, 4), np.array([0.0, 0.3, 0.6])
    fates = np.full((2, 4, 3), GLOBAL)
    fates[1, 3] = LOST
    fates[:, 0, 1] = LOCAL
    first_step = np.where(fates == GLOBAL, 20, -1)
    first_step[0, 1, 2] = 7
    axes = {"learning_rate": alphas, "momentum": momenta}
    figure = plotting.stability_map(by_hand(fates, axes, first_step=first_step), QFSP)
    left, right, _ = figure.axes
    mixed = left.collections[0].get_array()  # (momentum, learning rate, rgb)
    blue, yellow, dark = (np.array(to_rgb(c)) for c in ("#0072B2", "#F0E442", "#333333"))
    np.testing.assert_allclose(mixed[0, 3], (blue + dark) / 2)
    np.testing.assert_allclose(mixed[1, 0], yellow)
    np.testing.assert_allclose(mixed[2, 2], blue)
    median = right.collections[0].get_array()
    assert median[2, 1] == 7  # one of two starts arrived by then
    assert median[2, 2] == 20
    np.testing.assert_array_equal(np.argwhere(median.mask), [[1, 0]])
    assert (left.get_xscale(), left.get_yscale()) == ("log", "linear")
    np.testing.assert_allclose(left.get_xlim(), (10**-3.5, 10**0.5))
    np.testing.assert_allclose(left.get_ylim(), (-0.15, 0.75))
    assert (left.get_xlabel(), left.get_ylabel()) == ("learning rate α", "momentum μ")
    assert legend(figure)[:4] == [
        "global minimum", "another minimum", "diverged", "fewer than half arrive",
    ]  # fmt: skip
    assert figure.legends[0].get_title().get_text() == "colours mix by the share of starts"
    assert right.patch.get_hatch()


@pytest.mark.parametrize(
    ("optimizer", "look_ahead"),
    [
        ("heavy_ball(learning_rate=0.01, momentum=0)", 0),
        ("nesterov(learning_rate=0.01, momentum=0)", 2),
        ("sgd(learning_rate=0.01, momentum=0)", 0),
        ("sgd(learning_rate=0.01, momentum=0, nesterov=True)", 2),
    ],
)
def test_the_limit_is_drawn_for_the_hessian_at_the_global_minimum(optimizer, look_ahead):
    axes = {"learning_rate": np.geomspace(0.01, 1, 5), "momentum": np.linspace(0, 0.8, 5)}
    data = by_hand(np.full((1, 5, 5), GLOBAL), axes, optimizer=optimizer)
    figure = plotting.stability_map(data, QFSP)
    for panel in figure.axes[:2]:
        (line,) = panel.get_lines()
        alpha, momentum = line.get_data()
        momentum = np.asarray(momentum)
        expected = 2 * (1 + momentum) / (1 + look_ahead * momentum) / 12
        np.testing.assert_allclose(alpha, expected, rtol=1e-3)  # L is drawn to 4 digits
    assert legend(figure)[-1].endswith("L = 12")
    assert "never arrives" in legend(figure)


def test_the_limit_parts_what_arrives_from_what_diverges():
    f = objectives.get("ill_conditioned_quadratic")
    axes = {"learning_rate": np.geomspace(0.005, 0.08, 12), "momentum": np.linspace(0.2, 0.8, 4)}
    data = gdjax.sweep(f, gdjax.heavy_ball, [[3.0, 2.0]], axes, steps=600)
    figure = plotting.stability_map(data, f)
    limit = figure.axes[0].get_lines()[0].get_xydata()
    lost = cells.fates(data)[0] == cells.Fate.LOST
    for j, momentum in enumerate(axes["momentum"]):
        at = np.interp(momentum, limit[:, 1], limit[:, 0])
        np.testing.assert_array_equal(lost[:, j], axes["learning_rate"] > at)
        assert at == pytest.approx(theory.stability_limit("heavy_ball", 100.0, momentum), rel=1e-3)


def test_values_in_any_order_are_drawn_in_theirs():
    axes = {"learning_rate": [0.1, 0.01, 1.0], "momentum": [0.5, 0.0]}
    fates = np.array([[[GLOBAL, GLOBAL], [LOCAL, LOCAL], [LOST, GLOBAL]]])
    data = by_hand(fates, axes)
    mixed = plotting.stability_map(data, QFSP).axes[0].collections[0].get_array()
    np.testing.assert_allclose(mixed[1, 2], to_rgb("#333333"))  # α = 1, μ = 0.5
    np.testing.assert_allclose(mixed[0, 0], to_rgb("#F0E442"))
    line = plotting.success_rate(data).axes[0].get_lines()[1]
    np.testing.assert_allclose(line.get_xydata(), [[0.01, 0], [0.1, 1], [1, 0]])
    assert line.get_label() == "μ = 0.5"


def test_without_a_known_limit_or_arrival_there_is_no_line_and_no_second_panel():
    grid = np.full((3, 4, 4), LOCAL)
    axes = {"learning_rate": np.geomspace(0.01, 1, 4), "b1": np.linspace(0, 0.9, 4)}
    figure = plotting.stability_map(by_hand(grid, axes, optimizer="adam"), QFSP)
    (panel,) = figure.axes
    assert not panel.get_lines()
    ackley = objectives.get("ackley")  # a kink: no Hessian
    axes = {"learning_rate": np.geomspace(0.01, 1, 4), "momentum": np.linspace(0, 0.9, 4)}
    lost = np.full((1, 4, 4), Outcome.DIVERGED)
    data = dataset(ackley, [(1.0, 1.0)], axes, lost, 0 * lost - 1, 0 * lost - 1)
    assert not plotting.stability_map(data, ackley).axes[0].get_lines()


# Rates


def test_success_rate_has_wilsons_band():
    rng = np.random.default_rng(0)
    momenta = np.linspace(0, 0.9, 10)
    fates = (rng.random((40, 10)) < 0.4).astype(int)
    (axes,) = plotting.success_rate(by_hand(fates, {"momentum": momenta})).axes
    expected = metrics.success_rate(fates == GLOBAL, axis=0)
    (line,) = axes.get_lines()
    np.testing.assert_allclose(line.get_xydata(), np.transpose([momenta, expected.share]))
    (band,) = axes.collections
    x, y = band.get_paths()[0].vertices.T
    for at, low, high in zip(momenta, expected.low, expected.high, strict=True):
        np.testing.assert_allclose([y[x == at].min(), y[x == at].max()], [low, high])
    assert axes.get_xlabel() == "momentum μ"
    assert axes.get_ylabel() == "of 40 starts reach a global minimum"


def test_success_rate_draws_a_line_for_each_value_of_a_second_axis():
    fates = np.random.default_rng(1).integers(0, 2, (20, 3, 8))
    axes = {"momentum": [0, 0.5, 0.9], "learning_rate": np.geomspace(1e-3, 1, 8)}
    data = by_hand(fates, axes)
    (panel,) = plotting.success_rate(data).axes
    assert panel.get_xscale() == "log"
    labels = [line.get_label() for line in panel.get_lines()]
    assert labels == ["μ = 0", "μ = 0.5", "μ = 0.9"]
    np.testing.assert_allclose(panel.get_lines()[1].get_ydata(), (fates[:, 1] == 0).mean(axis=0))
    with pytest.raises(gdjax.ArgumentError, match="at most 7 lines, learning_rate has 8"):
        plotting.success_rate(data, against="momentum")
    with pytest.raises(gdjax.ArgumentError, match="did you mean 'momentum'"):
        plotting.success_rate(data, against="momentun")


def test_one_start_arrives_or_not():
    data = by_hand([[LOCAL, GLOBAL, LOST, GLOBAL]], {"momentum": [0, 0.2, 0.4, 0.6]})
    (axes,) = plotting.success_rate(data).axes
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), [0, 1, 0, 1])
    assert not axes.collections  # one start has no rate, and no interval
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["no", "yes"]
    assert axes.get_title(loc="right") == "2 of 4"


def test_zipped_hyperparameters_are_drawn_along_the_first_of_them():
    data = by_hand([[0, 1, 1], [0, 0, 1]], {"learning_rate_and_momentum": [0, 1, 2]})
    data = data.drop_vars("learning_rate_and_momentum").assign_coords(
        learning_rate=("learning_rate_and_momentum", [0.1, 0.2, 0.3]),
        momentum=("learning_rate_and_momentum", [0.9, 0.8, 0.7]),
    )
    (axes,) = plotting.success_rate(data).axes
    np.testing.assert_allclose(axes.get_lines()[0].get_xydata(), [[0.1, 1], [0.2, 0.5], [0.3, 0]])
    assert axes.get_xlabel() == "learning rate α\n(alongside, momentum μ from 0.9 to 0.7)"
    (axes,) = plotting.steps_ecdf(data).axes
    assert axes.get_lines()[0].get_label() == "α = 0.1, μ = 0.9"


def test_ecdf_climbs_at_each_arrival_and_ends_at_the_share_that_arrived():
    steps = np.array([[5, 50], [-1, 20], [5, -1], [9, -1]])
    data = by_hand(np.where(steps < 0, LOCAL, GLOBAL), {"momentum": [0, 0.9]}, first_step=steps)
    (axes,) = plotting.steps_ecdf(data).axes
    first, second = axes.get_lines()
    np.testing.assert_array_equal(first.get_xydata(), [[1, 0], [5, 0.5], [9, 0.75], [200, 0.75]])
    np.testing.assert_array_equal(second.get_xydata()[1:3], [[20, 0.25], [50, 0.5]])
    assert first.get_drawstyle() == "steps-post"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["μ = 0", "μ = 0.9"]
    assert axes.get_xscale() == "log"
    (pooled,) = plotting.steps_ecdf(data.isel(start=[0])).axes[0].get_lines()
    np.testing.assert_array_equal(pooled.get_xydata()[1:3], [[5, 0.5], [50, 1.0]])


def test_ecdf_of_many_values_has_a_colour_bar_instead_of_a_legend():
    data = by_hand(np.zeros((3, 12)), {"momentum": np.linspace(0, 0.9, 12)})
    axes, bar = plotting.steps_ecdf(data).axes
    assert axes.get_legend() is None
    assert bar.get_title() == "μ"
    assert len({matplotlib.colors.to_hex(line.get_color()) for line in axes.get_lines()}) == 12


# Small multiples


def test_paths_are_drawn_setting_by_setting():
    axes = {"learning_rate": [0.01, 0.1], "momentum": [0.0, 0.5, 0.9]}
    data = gdjax.sweep(
        QFSP, gdjax.heavy_ball, [[7.11, 6.97], [-6.0, 2.0]], axes, steps=60, record="all"
    )
    panels = plotting.paths_grid(data, QFSP).axes
    assert [panel.get_title() for panel in panels[:3]] == [
        "α = 0.01, μ = 0.9", "α = 0.1, μ = 0.9", "α = 0.01, μ = 0.5",
    ]  # fmt: skip
    for panel, (i, j) in zip(panels, [(0, 2), (1, 2), (0, 1), (1, 1), (0, 0), (1, 0)], strict=True):
        drawn = [line.get_xydata() for line in panel.get_lines()[::2]]
        np.testing.assert_allclose(drawn, data["points"].values[:, i, j])
    colours = [panel.get_lines()[0].get_color() for panel in panels]
    assert colours[3] == "#0072B2"  # α = 0.1, μ = 0.5 rolls through to a global minimum
    assert colours[5] == "#D55E00"  # plain descent is trapped


def test_paths_from_starts_alone_have_a_panel_each_and_broken_ones_are_cut():
    points = np.linspace(0, 1, 5)[None, :, None] * np.array([[3.0, 2.0]] * 20)[:, None]
    points[7, 2:] = np.nan
    data = by_hand(np.zeros(20), starts=points[:, 0], points=points)
    panels = plotting.paths_grid(data, QFSP).axes
    assert len(panels) == 12
    counts = [len(panel.get_lines()[0].get_xydata()) for panel in panels]
    assert sorted(set(counts)) == [2, 5]


# Which pictures


@pytest.mark.parametrize(
    ("fates", "axes", "expected"),
    [
        (np.zeros(9), {}, ["basins", "steps"]),
        (np.zeros(1), {}, []),
        (np.zeros((1, 4)), {"momentum": range(4)}, ["success_rate", "steps"]),
        (
            np.zeros((9, 4)),
            {"momentum": range(4)},
            ["basins", "success_rate", "steps"],
        ),
        (
            np.zeros((9, 4, 5)),
            {"learning_rate": range(1, 5), "momentum": range(5)},
            ["stability", "success_rate", "steps"],
        ),
    ],
)
def test_a_sweep_gets_the_pictures_that_suit_it(fates, axes, expected):
    rng = np.random.default_rng(0)
    axes = {name: np.array(values) / 10 for name, values in axes.items()}
    data = by_hand(fates, axes, starts=rng.uniform(-15, 15, (len(fates), 2)))
    assert list(plotting.sweep_pictures(data, QFSP)) == expected
    for name in PICTURES:
        if name in expected:
            assert list(plotting.sweep_pictures(data, QFSP, [name])) == [name]
        else:
            with pytest.raises(gdjax.ArgumentError, match=r"needs|draws at most"):
                plotting.sweep_pictures(data, QFSP, [name])


def test_an_interrupted_sweep_is_not_drawn():
    data = by_hand(np.zeros((9, 4)), {"momentum": np.arange(4) / 10})
    data["outcome"][3:] = -1
    for draw in (plotting.success_rate, plotting.steps_ecdf, lambda d: PICTURES["basins"](d, QFSP)):
        with pytest.raises(gdjax.ArgumentError, match="24 of 36 descents are missing"):
            draw(data)
    with pytest.raises(gdjax.ArgumentError, match="continue the sweep first"):
        plotting.sweep_pictures(data, QFSP)


def test_the_heading_has_what_was_fixed_and_not_what_was_swept():
    data = gdjax.sweep(
        QFSP, gdjax.heavy_ball(0.05), None, {"momentum": [0.0, 0.5]}, steps=5
    )  # fmt: skip
    assert cells.heading(data) == "heavy ball, α = 0.05, 5 steps"
    assert cells.heading(data.isel(momentum=1)) == "heavy ball, α = 0.05, μ = 0.5, 5 steps"


def test_an_unknown_picture_is_refused():
    with pytest.raises(gdjax.ArgumentError, match="did you mean 'basins'"):
        plotting.sweep_pictures(by_hand(np.zeros(4)), QFSP, ["basin"])


def test_every_picture_can_be_saved(tmp_path):
    starts = np.random.default_rng(0).uniform(-15, 15, (9, 2))
    axes = {"learning_rate": [0.01, 0.1], "momentum": [0.0, 0.5]}
    data = gdjax.sweep(QFSP, gdjax.heavy_ball, starts, axes, steps=60, record="all")
    figures = plotting.sweep_pictures(data, QFSP)
    assert list(figures) == list(PICTURES)
    for name, figure in figures.items():
        assert plotting.save(figure, tmp_path / f"{name}.png", dpi=30).stat().st_size > 0


def test_drawing_does_not_import_xarray():
    code = "import sys, gdjax.plotting; sys.exit('xarray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[1].glob("conf/sweep/*.yaml")), ids=lambda p: p.stem
)
def test_sweep_configs_share_their_keys(path):
    config = yaml.safe_load(path.read_text())
    keys = {"starts", "hyperparameters", "zipped", "steps", "record", "plots"}
    assert keys <= set(config) <= keys | {"learning_rate", "every"}
    assert set(config["starts"]) == {"kind", "number", "points", "seed"}
    assert set(config["plots"] or ()) <= set(PICTURES)
    for values in config["hyperparameters"].values():
        assert isinstance(values, list) or set(values) == {"low", "high", "number", "scale"}
