import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.colors import to_rgb
from pictures import GLOBAL, LOCAL, LOST, QFSP, by_hand, dataset, entries
from pictures import data as data_of

import gdjax
from gdjax import objectives, plotting, theory
from gdjax._descent.outcomes import Outcome
from gdjax.plotting import datasets, style
from gdjax.plotting.sweep_pictures import PICTURES


def square(low, high, n):
    side = np.linspace(low, high, n)
    return np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)


# Basin maps


def test_the_map_of_real_descents_fits_the_basins_of_plain_descent():
    """u = x + y and v = x − y go their own ways: |u| beyond 4.1046 ends in a local minimum."""
    starts = square(-12, 12, 25) + np.array(
        [0.013, 0.0]
    )  # off the diagonals, which lead to saddles
    data = gdjax.sweep(QFSP, gdjax.gradient_descent, starts, {"learning_rate": [0.02]}, steps=400)
    reached = datasets.statuses(data).ravel()
    clear = np.abs(np.abs(starts.sum(axis=1)) - 4.104619850558) > 0.05
    expected = np.where(np.abs(starts.sum(axis=1)) < 4.104619850558, GLOBAL, LOCAL)
    np.testing.assert_array_equal(reached[clear], expected[clear])
    figure = plotting.basin_map(data, QFSP)
    assert len(entries(figure)) == 6
    assert "α = 0.02" in figure.get_suptitle()


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
    assert entries(figure)[-1].startswith("3 more minima  7 %")  # 1 + 2 + 3 of 91
    assert entries(figure)[0].startswith("(−3.00, 0.00)")
    (dots,) = figure.axes[0].collections
    np.testing.assert_allclose(dots.get_offsets(), data["start_point"])
    assert len(np.unique(dots.get_facecolors(), axis=0)) == 11


@pytest.mark.parametrize("dim", [1, 3])
def test_basins_and_paths_of_a_sweep_are_drawn_in_two_dimensions_only(dim):
    f = objectives.get("sphere", dim=dim)
    none = np.full(4, -1)
    data = dataset(f, np.ones((4, dim)), {}, np.full(4, Outcome.STALLED), none, none)
    with pytest.raises(gdjax.ArgumentError, match=f"needs 2 dimensions, sphere has {dim}"):
        plotting.basin_map(data, f)
    data["points"] = (("start", "record", "component"), np.ones((4, 3, dim)))
    with pytest.raises(gdjax.ArgumentError, match=f"needs 2 dimensions, sphere has {dim}"):
        plotting.paths_grid(data, f)


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
    assert entries(figure)[-1].endswith("L = 12")
    assert "never arrives" in entries(figure)


def test_the_limit_parts_what_arrives_from_what_diverges():
    f = objectives.get("ill_conditioned_quadratic")
    axes = {"learning_rate": np.geomspace(0.005, 0.08, 12), "momentum": np.linspace(0.2, 0.8, 4)}
    data = gdjax.sweep(f, gdjax.heavy_ball, [[3.0, 2.0]], axes, steps=600)
    figure = plotting.stability_map(data, f)
    limit = figure.axes[0].get_lines()[0].get_xydata()
    lost = datasets.statuses(data)[0] == datasets.Status.LOST
    for j, momentum in enumerate(axes["momentum"]):
        at = np.interp(momentum, limit[:, 1], limit[:, 0])
        np.testing.assert_array_equal(lost[:, j], axes["learning_rate"] > at)
        assert at == pytest.approx(theory.stability_limit("heavy_ball", 100.0, momentum), rel=1e-3)


def test_values_in_any_order_are_drawn_in_theirs():
    axes = {"learning_rate": [0.1, 0.01, 1.0], "momentum": [0.5, 0.0]}
    statuses = np.array([[[GLOBAL, GLOBAL], [LOCAL, LOCAL], [LOST, GLOBAL]]])
    data = by_hand(statuses, axes)
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


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0.1, 0.2, 0.4], "log"),
        ([0.1, 0.2, 0.39], "linear"),  # too narrow
        ([0.1, 0.5], "linear"),  # two are even in either scale
        ([0.1, 0.5, 0.9], "linear"),
        ([0.0, 0.1, 1.0], "linear"),
        ([1.0, 0.01, 0.1], "log"),
    ],
)
def test_an_axis_is_logarithmic_where_its_values_are_even_in_their_logarithms(values, scale):
    data = by_hand(np.zeros((2, len(values))), {"momentum": values})
    assert plotting.success_rate(data).axes[0].get_xscale() == scale


def test_success_rate_refuses_what_it_cannot_draw():
    axes = {"momentum": [0, 0.5, 0.9], "learning_rate": np.geomspace(1e-3, 1, 8)}
    data = by_hand(np.zeros((2, 3, 8)), axes)
    with pytest.raises(gdjax.ArgumentError, match="at most 7 lines, learning_rate has 8"):
        plotting.success_rate(data, against="momentum")
    with pytest.raises(gdjax.ArgumentError, match="did you mean 'momentum'"):
        plotting.success_rate(data, against="momentun")
    data["is_global"][:] = False
    with pytest.raises(gdjax.ArgumentError, match="the objective has none"):
        plotting.success_rate(data)


def test_one_axis_of_one_start_is_pooled():
    data = by_hand(np.zeros((1, 2)), {"momentum": [0, 0.9]}, steps_to_tolerance=[[5, 50]])
    (pooled,) = plotting.steps_ecdf(data).axes[0].get_lines()
    np.testing.assert_array_equal(pooled.get_xydata(), [[1, 0], [5, 0.5], [50, 1], [200, 1]])
    data["steps_to_tolerance"][0, 0] = (
        0  # the start itself is within tolerance: drawn at the first step
    )
    (axes,) = plotting.steps_ecdf(data).axes
    assert axes.get_xlim() == (1, 200)
    assert axes.get_lines()[0].get_xdata().min() == 1


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


# Which pictures


@pytest.mark.parametrize(
    ("statuses", "axes", "expected"),
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
def test_a_sweep_gets_the_pictures_that_suit_it(statuses, axes, expected):
    rng = np.random.default_rng(0)
    axes = {name: np.array(values) / 10 for name, values in axes.items()}
    data = by_hand(statuses, axes, starts=rng.uniform(-15, 15, (len(statuses), 2)))
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


@pytest.mark.parametrize(
    ("optimizer", "index", "line"),
    [
        ("heavy_ball(learning_rate=0.05, momentum=0)", {}, "heavy ball, α = 0.05, 200 steps"),
        ("adam(weight_decay=2)", {"momentum": 1}, "adam, weight decay = 2, μ = 0.5, 200 steps"),
        ("sgd", {"momentum": [0]}, "sgd, μ = 0.25, 200 steps"),
    ],
)
def test_the_heading_has_what_was_fixed_and_not_what_was_swept(optimizer, index, line):
    data = by_hand(np.zeros((3, 2)), {"momentum": [0.25, 0.5]}, optimizer=optimizer).isel(index)
    assert plotting.steps_ecdf(data).get_suptitle().splitlines()[1] == line


def test_a_real_sweep_is_drawn_as_every_picture():
    starts = np.random.default_rng(0).uniform(-15, 15, (9, 2))
    axes = {"learning_rate": [0.01, 0.1, 0.2], "momentum": [0.0, 0.5]}
    data = gdjax.sweep(QFSP, gdjax.heavy_ball, starts, axes, steps=60, save_at="all")
    figures = plotting.sweep_pictures(data, QFSP)
    assert list(figures) == list(PICTURES)
    corner = figures["paths"].axes[2]  # the upper right one
    assert corner.get_title() == "α = 0.2, μ = 0.5"
    for line, path in zip(corner.get_lines()[::2], data["points"].values[:, 2, 1], strict=True):
        np.testing.assert_allclose(data_of(line)[0], path[0])
    assert figures["steps"].get_suptitle().endswith("heavy ball, 60 steps")


def test_an_unknown_picture_is_refused():
    with pytest.raises(gdjax.ArgumentError, match="did you mean 'basins'"):
        plotting.sweep_pictures(by_hand(np.zeros(4)), QFSP, ["basin"])


def test_drawing_does_not_import_xarray():
    code = "import sys, gdjax.plotting; sys.exit('xarray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[1].glob("conf/sweep/*.yaml")), ids=lambda p: p.stem
)
def test_sweep_configs_share_their_keys(path):
    config = yaml.safe_load(path.read_text())
    keys = {"starts", "hyperparameters", "zipped", "steps", "save_at", "plots"}
    assert keys <= set(config) <= keys | {"learning_rate", "every"}
    assert set(config["starts"]) == {"kind", "number", "points", "seed"}
    assert set(config["plots"] or ()) <= set(PICTURES)
    for values in config["hyperparameters"].values():
        assert isinstance(values, list) or set(values) == {"low", "high", "number", "scale"}
