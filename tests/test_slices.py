"""Slices of landscapes: closed forms, invariance, checkpoints, the command, and what is refused."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax
from gdjax._util.version import versions
from gdjax.cli import jobs
from gdjax.training import grids

CURVES = np.array([9.0, 4.0, 1.0, 0.25])
BOWL = gdjax.Objective(
    name="bowl", fn=lambda p, c: (c * p**2).sum() / 2, start=(1.0, 2.0, -1.0, 0.5), args=(CURVES,)
)
DRAWN = np.random.default_rng(0)
X, Y = DRAWN.normal(size=(20, 3)), DRAWN.normal(size=20)


def wells(p):
    return (p[0] ** 2 - 1) ** 2 + p[1] ** 2


def predicted(params, batch):
    hidden = batch[0]
    for layer in params["layers"]:
        hidden = jax.nn.relu(hidden @ layer["w"] + layer["b"])
    return hidden @ params["out"]


def loss(params, batch):
    return jnp.mean((predicted(params, batch) - batch[1]) ** 2)


def init(key):
    keys = jax.random.split(key, 5)
    layers = [
        {"w": jax.random.normal(keys[0], (3, 5)), "b": jax.random.normal(keys[1], (5,))},
        {"w": jax.random.normal(keys[2], (5, 4)), "b": jax.random.normal(keys[3], (4,))},
    ]
    return {"layers": layers, "out": jax.random.normal(keys[4], (4,))}


NET = gdjax.problem(loss, init=init, data=(X, Y), name="net")
PARAMS = NET.shaped(np.asarray(NET.start, np.float32))
SMALL = {"points": 5, "dtype": "float64"}


# The planes


def scaled(params, c):
    """The same relu network: one layer times c, what comes before the next one divided by it."""
    first, second = params["layers"]
    # The second layer's bias is after the division, and stays.
    layers = [{"w": c * first["w"], "b": c * first["b"]}, {"w": second["w"] / c, "b": second["b"]}]
    return {"layers": layers, "out": params["out"]}


def test_random_directions_see_the_same_in_a_relu_network_that_is_rescaled():
    found = gdjax.landscape(NET, PARAMS, seed=3, **SMALL)
    again = gdjax.landscape(NET, scaled(PARAMS, 7.0), seed=3, **SMALL)
    assert np.ptp(found.losses) > 1
    np.testing.assert_allclose(again.losses, found.losses, rtol=1e-5)
    other = gdjax.landscape(NET, PARAMS, seed=4, **SMALL)
    assert np.abs(other.losses - found.losses).max() > 0.1


def test_random_directions_are_as_long_as_the_weights_into_each_unit():
    found = gdjax.landscape(NET, PARAMS, dims=1, **SMALL)
    direction = NET.shaped(found.directions[0])
    for layer, along in zip(PARAMS["layers"], direction["layers"], strict=True):
        columns = (np.linalg.norm(w, axis=0) for w in (layer["w"], along["w"]))
        np.testing.assert_allclose(*columns, rtol=1e-5)
        assert not along["b"].any()
    assert not direction["out"].any()
    flat = gdjax.landscape(BOWL, **SMALL)
    np.testing.assert_allclose(np.linalg.norm(flat.directions, axis=1), 2.5)  # |start|
    assert "of length 2.5, as the point has" in flat.says
    nowhere = gdjax.landscape(BOWL, np.zeros(4), **SMALL)  # which has no length
    np.testing.assert_allclose(np.linalg.norm(nowhere.directions, axis=1), 1)


def test_principal_directions_are_those_of_numpy_and_the_shown_loss_has_a_closed_form():
    path = gdjax.descend(BOWL, gdjax.gradient_descent(0.1), steps=30, dtype="float64")
    points = np.asarray(path.points)
    found = gdjax.landscape(BOWL, path=path, plane="pca", **SMALL)
    apart = points - points[-1]
    _, spread, directions = np.linalg.svd(apart, full_matrices=False)
    np.testing.assert_allclose(abs(found.directions @ directions[:2].T), np.eye(2), atol=1e-6)
    np.testing.assert_allclose(found.explained, spread[:2] ** 2 / (spread**2).sum(), rtol=1e-6)
    nearest = points[-1] + apart @ directions[:2].T @ directions[:2]
    np.testing.assert_allclose(found.points(found.path), nearest, atol=1e-9)
    np.testing.assert_allclose(found.shown_losses, (nearest**2) @ CURVES / 2, rtol=1e-9)
    np.testing.assert_allclose(found.true_losses, path.values, rtol=1e-9)
    np.testing.assert_allclose(found.distances, np.linalg.norm(points - nearest, axis=1), atol=1e-9)
    assert (found.path[0] >= 0).all()
    low, high = (np.array([c[end] for c in found.coordinates]) for end in (0, -1))
    assert ((low <= found.path) & (found.path <= high)).all()  # the path is in sight
    ratio = np.abs(np.log(found.true_losses / found.shown_losses))
    assert found.worst == ratio.argmax()
    assert f"it holds {100 * found.explained.sum():.1f} %" in str(found)


def test_a_path_on_a_line_still_has_a_plane():
    points = np.linspace(0, 1, 9)[:, None] * [1.0, 2.0, 0.0, 0.0]
    found = gdjax.landscape(BOWL, path=points, plane="pca", **SMALL)
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(2), atol=1e-9)
    np.testing.assert_allclose(found.explained, [1, 0], atol=1e-9)
    assert np.isfinite(found.losses).all()


def test_the_directions_of_the_hessian_are_its_eigenvectors():
    turn, _ = np.linalg.qr(DRAWN.normal(size=(4, 4)))
    matrix = turn @ np.diag(CURVES) @ turn.T
    f = gdjax.Objective(fn=lambda p, m: p @ m @ p / 2, start=np.ones(4), args=(matrix,))
    found = gdjax.landscape(f, plane="hessian", **SMALL)
    values, vectors = np.linalg.eigh(matrix)
    np.testing.assert_allclose(found.curvatures, values[:-3:-1], rtol=1e-6)
    np.testing.assert_allclose(abs(found.directions @ vectors[:, :-3:-1]), np.eye(2), atol=1e-6)
    assert (found.residuals < 1e-6).all()
    assert "9 ± " in str(found)
    equal = gdjax.landscape(lambda p: p @ p, np.ones(3), "hessian", **SMALL)
    np.testing.assert_allclose(equal.curvatures, 2, rtol=1e-6)  # of which Lanczos finds one
    np.testing.assert_allclose(equal.directions @ equal.directions.T, np.eye(2), atol=1e-6)


def test_the_barrier_between_two_wells_is_their_hill():
    found = gdjax.landscape(wells, [[-1.0, 0.0], [1.0, 0.0]], "between", dtype="float64")
    assert found.barrier == pytest.approx(1)
    assert found.barriers_at == pytest.approx([0.5])
    np.testing.assert_allclose(found.end_losses, 0, atol=1e-12)
    x = -1 + 2 * found.coordinates[0]
    np.testing.assert_allclose(found.losses, (x**2 - 1) ** 2, atol=1e-12)
    tilted = gdjax.landscape(lambda p: wells(p) + 3 * p[0], [[-1.0, 0.0], [1.0, 0.0]], "between")
    assert tilted.barrier == pytest.approx(1, rel=1e-4)  # above the line, whatever its slope
    assert gdjax.landscape(BOWL, [np.zeros(4), np.ones(4)], "between").barrier == 0


def test_the_plane_through_three_points_passes_through_them():
    three = DRAWN.normal(size=(3, 4))
    found = gdjax.landscape(BOWL, [*three], "between", **SMALL)
    np.testing.assert_allclose(found.points(found.ends), three, atol=1e-9)
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(2), atol=1e-9)
    np.testing.assert_allclose(found.end_losses, three**2 @ CURVES / 2)
    assert len(found.barriers) == 3


def test_the_axes_are_the_variables_themselves():
    found = gdjax.landscape("qfsp", [1.0, 2.0], "axes", axes=["y", 0], **SMALL)
    f = gdjax.objectives.get("qfsp")
    a, b = found.coordinates
    np.testing.assert_allclose(found.losses[1, 3], float(f((b[3], a[1]))), rtol=1e-6)
    assert (a[0], a[-1]) == f.domain[1]
    assert found.center.tolist() == [2.0, 1.0]
    assert "nothing is hidden" in str(found)
    near = gdjax.landscape(NET, plane="axes", axes=["layers[0].w[2,1]"], radius=0.5, **SMALL)
    place = NET.variables.index("layers[0].w[2,1]")
    assert near.coordinates[0] == pytest.approx(NET.start[place] + np.linspace(-0.5, 0.5, 5))


def test_a_random_slice_confesses_the_sharpest_direction():
    found = gdjax.landscape(BOWL, **SMALL)
    units = found.directions / np.linalg.norm(found.directions, axis=1, keepdims=True)
    np.testing.assert_allclose(found.curvatures, (units**2) @ CURVES, rtol=1e-9)
    assert found.sharpness == pytest.approx(9)
    assert "the sharpest direction of all has 9 ± " in str(found)


def test_a_loss_that_has_no_second_derivative_still_has_a_slice():
    @jax.custom_vjp
    def once(x):
        return x**2

    def back(x, g):  # by NumPy, which JAX does not differentiate
        return (g * jax.pure_callback(lambda x: 2 * np.asarray(x), x, x),)

    once.defvjp(lambda x: (x**2, x), back)
    found = gdjax.landscape(lambda p: once(p).sum(), np.ones(3), **SMALL)
    assert np.isfinite(found.losses).all()
    assert np.isnan(found.sharpness)
    assert "curvature" not in str(found)


def test_new_data_and_points_of_equal_shape_compile_nothing():
    gdjax.landscape(BOWL, plane="axes", points=4)
    sizes = grids._across._cache_size(), grids._along._cache_size()
    gdjax.landscape(BOWL.with_args(2 * CURVES), 2 * np.ones(4), "axes", points=4)
    assert (grids._across._cache_size(), grids._along._cache_size()) == sizes


# Where points come from


def stored(params):
    """The arrays of parameters by the names of their leaves, as other programs write them."""
    pairs = jax.tree_util.tree_flatten_with_path(params)[0]
    names = ("/".join(jax.tree_util.keystr((k,), simple=True) for k in path) for path, _ in pairs)
    return {n: np.asarray(leaf) for n, (_, leaf) in zip(names, pairs, strict=True)}


LOADER = """import numpy as np

def load():
    with np.load("a.npz") as found:
        layers = [{k: found[f"layers/{i}/{k}"] for k in "bw"} for i in range(2)]
        return {"layers": layers, "out": found["out"]}

def broken():
    raise RuntimeError("no such step")
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Checkpoints of the network in several forms, in the current folder."""
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", **stored(PARAMS), step=np.array(3))
    np.savez("dots.npz", **{k.replace("/", "."): v for k, v in stored(PARAMS).items()})
    np.savez("flat.npz", anything=np.asarray(NET.start))
    Path("my.py").write_text(LOADER)
    wrong = stored(PARAMS) | {"layers/1/w": np.ones((4, 5))}
    np.savez("wrong.npz", **wrong)
    np.savez("less.npz", **{k: v for k, v in stored(PARAMS).items() if k != "out"})
    np.savez("nan.npz", **stored(PARAMS) | {"out": np.full(4, np.nan)})
    np.savez("text.npz", **stored(PARAMS) | {"out": np.array([*"abcd"])})
    np.savez("none.npz")
    Path("rotten.npz").write_bytes(b"PK nonsense")


@pytest.mark.parametrize("place", ["a.npz", "dots.npz", "flat.npz", "my.py:load", "tensors"])
def test_a_checkpoint_is_read_wherever_it_was_saved(files, place):
    if place == "tensors":
        safetensors = pytest.importorskip("safetensors.numpy")
        place = "a.safetensors"
        safetensors.save_file({k: v.copy() for k, v in stored(PARAMS).items()}, place)
    moved = jax.tree.map(np.zeros_like, PARAMS)
    found = gdjax.landscape(NET, place, **SMALL)
    np.testing.assert_allclose(found.origin, NET.start, rtol=1e-6)
    line = gdjax.landscape(NET, [place, moved], "between", **SMALL)
    np.testing.assert_allclose(line.end_losses[0], found.loss)
    along = gdjax.landscape(NET, path=[moved, place], **SMALL)
    assert along.lengths[0] == pytest.approx(np.linalg.norm(NET.start))


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("wrong.npz", "leaf layers[1].w of shape (5, 4), as net has, and wrong.npz has it of shape "
                      "(4, 5)"),
        ("less.npz", "must have a leaf out of shape (4,), as net has, and less.npz has layers.0.b"),
        ("nan.npz", "must be finite, and nan.npz is not, in leaf out"),
        ("text.npz", "leaf out of plain numbers"),
        ("none.npz", "none.npz holds no arrays"),
        ("rotten.npz", "rotten.npz cannot be read"),
        ("aa.npz", "there is no file 'aa.npz'; did you mean 'a.npz' or"),
        ("my.py:lod", "did you mean 'load'?"),
        ("my.py:broken", "my.py:broken fails: RuntimeError: no such step"),
        ("my.pt", "must be a file of parameters that ends in .npz or .safetensors"),
        (".", "holds neither training.npz nor trajectory.npz"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_does_not_fit_is_refused_in_one_line(files, place, words):
    for call in ({"at": place}, {"path": [place]}, {"at": [place, PARAMS], "plane": "between"}):
        with pytest.raises(gdjax.ArgumentError) as refused:
            gdjax.landscape(NET, **call)
        assert words in str(refused.value), refused.value
        assert "\n" not in str(refused.value)


def test_safetensors_that_is_not_installed_is_named_with_its_extra(files, monkeypatch):
    Path("a.safetensors").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(gdjax.ArgumentError, match=r"pip install 'gdjax\[checkpoints\]'"):
        gdjax.landscape(NET, "a.safetensors")


def test_a_run_is_its_own_path(tmp_path):
    store = tmp_path / "run.npz"
    run = gdjax.train(NET, "adam", steps=25, every=10, checkpoint=10, watch=(), store=store)
    found = gdjax.landscape(NET, path=run, plane="pca", **SMALL)
    assert found.steps.tolist() == [0, 10, 20, 25]
    np.testing.assert_allclose(found.true_losses, run.looks.loss, rtol=1e-4)
    np.testing.assert_allclose(found.points(found.center), NET.flat(run.point), rtol=1e-6)
    assert gdjax.landscape(NET, run, plane="axes", **SMALL).loss == pytest.approx(found.loss)
    assert gdjax.landscape(NET, path=store, **SMALL).steps.tolist() == [0, 10, 20]


def test_points_that_are_not_finite_are_left_out_and_told():
    path = gdjax.descend(BOWL, gdjax.gradient_descent(30.0), steps=40)
    found = gdjax.landscape(BOWL, path=path, plane="axes", points=3)
    assert found.lost > 0
    assert f"{found.lost} points of the path are not finite, and left out" in str(found)
    assert np.isfinite(found.loss)  # the centre is the last point that has a loss


def test_of_a_long_path_some_points_are_looked_at_the_ends_among_them():
    points = np.ones((1000, 4)) * np.linspace(2, 1, 1000)[:, None]
    found = gdjax.landscape(BOWL, path=points, plane="axes", points=3)
    assert (len(found.steps), found.steps[0], found.steps[-1]) == (400, 0, 999)
    assert "400 of the path's 1,000 points are looked at" in str(found)


def test_a_barrier_that_is_not_finite_is_said_to_be():
    f = gdjax.Objective(fn=lambda p: 1 / p[0] ** 2, start=(1.0,))
    found = gdjax.landscape(f, [[-1.0], [1.0]], "between", points=5)
    assert "not finite from A to B, at 0.50 of the way" in str(found)


# Bad calls


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"plane": "pcaa"}, "unknown plane 'pcaa'; did you mean 'pca'?"),
        ({"plane": "between"}, "needs a list of two or three points, got none"),
        ({"plane": "between", "at": np.ones(4)}, "needs a list of two or three points, got one"),
        ({"plane": "between", "at": [np.ones(4)]}, "two points for a line and three for a plane"),
        ({"plane": "between", "at": [np.ones(4)] * 2}, "needs two different points"),
        ({"plane": "between", "at": [k * np.ones(4) for k in range(3)]}, "that lie on no line"),
        ({"plane": "between", "at": [np.ones(4)] * 2, "dims": 2}, "got 2 with dims=2"),
        ({"plane": "between", "at": [np.ones(4)] * 2, "radius": 1.0}, "radius is of planes about"),
        ({"plane": "pca"}, "needs a path of at least 3 points, got none"),
        ({"plane": "pca", "path": np.ones((2, 4))}, "needs a path of at least 3 points, got 2"),
        ({"plane": "pca", "path": np.ones((5, 4))}, "needs a path that moves"),
        ({"path": np.ones((5, 3))}, "path must be points of bowl, of 4 numbers each"),
        ({"path": np.full((5, 4), np.nan)}, "path must hold a point that is finite"),
        ({"path": 3}, "path must be what gdjax made"),
        ({"radius": 0}, "radius must be positive and finite, got 0"),
        ({"radius": -1.0}, "radius must be positive"),
        ({"points": 1}, "points must be a whole number, at least 2, got 1"),
        ({"dims": 3}, "dims must be at most 2, got 3"),
        ({"axes": [0, 1]}, "axes belong to plane=axes, and the plane is random"),
        ({"plane": "axes", "axes": ["x9"]}, "unknown variable of bowl 'x9'"),
        ({"plane": "axes", "axes": [0, 4]}, "axes must lie between 0 and 3"),
        ({"plane": "axes", "axes": [1, 1]}, "two different variables, got 1 twice"),
        ({"plane": "axes", "axes": [1], "dims": 2}, "axes must be 2 of the variables of bowl"),
        ({"at": [1.0, 2.0]}, "at must have 4 components"),
        ({"objective": "parabola", "dims": 2}, "dims must be at most 1"),
        ({"objective": lambda p: jnp.log(p).sum(), "at": [-1.0, 1.0]}, "lambda is NaN at (-1, 1)"),
        ({"objective": lambda p: jnp.exp(p).sum(), "at": [999.0]}, "it is inf at the centre of"),
    ],
)  # fmt: skip
def test_a_bad_call_is_refused_in_one_line(untyped, call, words):
    with pytest.raises(gdjax.ArgumentError) as refused:
        gdjax.landscape(**{"objective": BOWL, "points": 3} | call)
    assert words in str(refused.value), refused.value
    assert "\n" not in str(refused.value)


# The command


OWN = """import jax
import jax.numpy as jnp
import numpy as np

X = np.linspace(-1, 1, 12)[:, None]


def data():
    return X, X[:, 0] ** 2


def init(key):
    return {"w": jax.random.normal(key, (1, 4)), "v": jnp.ones(4)}


def loss(params, batch):
    return jnp.mean((jnp.tanh(batch[0] @ params["w"]) @ params["v"] - batch[1]) ** 2)
"""
MINE = "loss=own.py:loss", "init=own.py:init", "data=own.py:data"
QUICK = "points=5", "plot.format=none"


def test_a_loss_in_a_file_is_trained_and_sliced_by_the_command(gdjax, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    train = "watch=[]", "steps=40", "every=10", "plot.format=none", "hydra.run.dir=out"
    for words in (
        ("train", *MINE, *train, "dtype=float64", "seed=3"),
        ("landscape", "run=out", "plane=pca", "points=9", "plot.dpi=30", "hydra.run.dir=pca"),
    ):
        code, _, complaints = gdjax(*words)
        assert code == 0, complaints
    run, found = (np.load(tmp_path / name) for name in ("out/training.npz", "pca/landscape.npz"))
    assert found["steps"].tolist() == [0, 10, 20, 30, 40]
    np.testing.assert_allclose(found["true_losses"], run["loss"], rtol=1e-12)  # float64, as trained
    assert found["losses"].shape == (9, 9)
    assert (tmp_path / "pca" / "landscape.png").exists()


def test_a_point_an_optimizer_or_checkpoints_say_where_the_command_looks(gdjax, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    np.savez(tmp_path / "a.npz", w=np.ones((1, 4)), v=np.ones(4))
    np.savez(tmp_path / "b.npz", w=-np.ones((1, 4)), v=-np.ones(4))
    calls = {
        "descended": (*MINE, "steps=6", "plane=pca"),
        "listed": (*MINE, "at=[a.npz]", "plane=hessian", "dims=1"),
        "line": (*MINE, "at=[a.npz,b.npz]", "plane=between"),
        "by_name": ("objective=qfsp", "at={x:1,y:2}", "plane=axes", "axes=[y]"),
    }
    found = {}
    for name, words in calls.items():
        code, _, complaints = gdjax("landscape", *words, *QUICK, f"hydra.run.dir={name}")
        assert code == 0, complaints
        found[name] = dict(np.load(tmp_path / name / "landscape.npz"))
    assert found["descended"]["steps"].tolist() == [*range(7)]
    assert not len(found["listed"]["steps"])
    np.testing.assert_array_equal(found["listed"]["origin"], 1)
    assert found["line"]["ends"].tolist() == [[0.0], [1.0]]
    assert found["by_name"]["center"].tolist() == [2.0]


@pytest.mark.parametrize("key", ["loss", "init", "data", "metric", "run", "at", "path"])
def test_a_finished_job_that_read_a_file_is_done_again(key):
    row = {"code": 0, "versions": versions()}
    assert jobs.stands(row, {"steps": 3})
    assert not jobs.stands(row, {"steps": 3, key: "own.py:it"})


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("plane=bettween",), "unknown plane 'bettween'; did you mean 'between'?"),
        (("objective=qfsp", "plane=between"), "plane=between needs a list of two or three points"),
        (("run=nowhere",), "run must be the folder of gdjax train or gdjax run"),
        (("run=nowhere", "steps=3"), "steps is what the folder of a run says: leave out steps"),
        (("radius=0",), "radius must be a positive number"),
        (("points=1",), "points must be a whole number, at least 2"),
        (("objective=qfsp", "at=nothing.npz"), "there is no file 'nothing.npz'"),
    ],
)
def test_a_bad_command_is_refused_in_one_line(gdjax, words, refusal):
    code, _, complaints = gdjax("landscape", *words)
    assert code == 2
    assert refusal in complaints
    assert complaints.count("\n") == 1
