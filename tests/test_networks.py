"""The networks of the catalogue: sizes, backpropagation by hand, and where they are listed."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax
from gdjax import curvature, objectives
from gdjax._sweep.plan import plan
from gdjax._sweep.runner import Runner

pytest.importorskip("sklearn")
NAMES = objectives.network_names()
QUICK = ("deep_linear", "iris_logistic", "iris_mlp")  # to certify the others takes half a minute


def test_each_has_the_size_that_the_list_says():
    assert len(NAMES) == 7
    for name, dim in NAMES.items():
        assert objectives.get(name).dim == dim, name
        assert objectives.family(name) == "networks"


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.full) for n in NAMES]
)
def test_the_backpropagation_of_each_is_certified(name):
    gdjax.assert_gradient(objectives.get(name), points=4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_backpropagation_is_what_autodiff_gives(name, activation):
    chosen = {"activation": activation} if "activation" in objectives.parameters(name) else {}
    if activation == "relu" and not chosen:
        pytest.skip("it has no choice")
    f = objectives.get(name, **chosen)
    with jax.enable_x64(True):
        point = jnp.asarray(f.start + 0.1 * np.random.default_rng(0).normal(size=f.dim))
        given = f.cast(float)
        hand = given.value_and_gradient("hand")(point)[1]
        auto = given.value_and_gradient()(point)[1]
    np.testing.assert_allclose(hand, auto, atol=1e-13 * np.linalg.norm(auto))


def test_the_known_points_of_the_linear_network_are_stationary_and_of_their_kind():
    f = objectives.get("deep_linear")
    points = [*f.minima, *f.saddles]
    _, slopes, hessians = curvature.second_order(f, np.asarray(points, np.float32))
    np.testing.assert_allclose(slopes, 0, atol=1e-5)
    lowest = np.linalg.eigvalsh(hessians)[:, 0]
    assert lowest[0] > -1e-4
    assert (lowest[1:] < -0.9).all()


@pytest.mark.parametrize("name", ["iris_logistic", pytest.param("digits_logistic")])
def test_the_optimum_of_a_regression_is_that_of_scikit_learn(name):
    from sklearn.linear_model import LogisticRegression

    f = objectives.get(name, penalty=0.05)
    inputs, wanted = f.args[0]
    labels = wanted.argmax(axis=1)
    theirs = LogisticRegression(C=1 / (0.05 * len(labels)), tol=1e-10, max_iter=10_000)
    theirs.fit(inputs, labels)
    path = gdjax.descend(f, "lbfgs", steps=150, dtype="float64")
    np.testing.assert_allclose(path.points[0]["w"][-1], theirs.coef_.T, atol=1e-4)


def test_they_stand_outside_the_catalogue_but_can_be_chosen_by_name(gdjax):
    assert not {*NAMES} & {*objectives.names()}
    assert not {*NAMES} & {*objectives.working()}
    code, out, _ = gdjax("objectives")
    assert code == 0
    assert "digits_permuted networks 1930" in " ".join(out.split())
    for task in (("run", "optimizer=adam"), ("compare", "distance=true")):
        words = *task, "objective=iris_mlp", "objective.activation=relu", "steps=3", "plot=none"
        code, out, complaints = gdjax(*words)
        assert code == 0, complaints


def test_without_the_extra_none_is_listed_and_one_that_is_named_says_what_is_missing(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "sklearn" else found(name)
    )
    assert objectives.network_names() == {}
    with pytest.raises(gdjax.ArgumentError, match=r"iris_mlp needs .* 'gdjax\[networks\]'"):
        objectives.get("iris_mlp")


@pytest.mark.parametrize(
    ("name", "chosen", "words"),
    [
        ("iris_mlp", {"activation": "sigmoid"}, "unknown activation 'sigmoid'"),
        ("iris_mlp", {"batch": 151}, "batch must be at most 150, got 151"),
        ("digits_permuted", {"rows": 2000}, "rows must be at most 1,797"),
        ("iris_logistic", {"penalty": -1.0}, "penalty must be at least 0"),
        ("fractal", {"seed": -1}, "seed must be a whole number"),
    ],
)
def test_a_bad_choice_is_refused_in_one_line(name, chosen, words):
    with pytest.raises(gdjax.ArgumentError) as refused:
        objectives.get(name, **chosen)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("name", "tile"),
    [("digits_mlp", 1), ("digits_logistic", 16), ("iris_mlp", 32)],
)
def test_wide_cells_that_multiply_matrices_of_their_own_go_one_by_one(name, tile):
    f = objectives.get(name)
    starts = np.zeros((64, f.dim), np.float32)
    asked = plan(f, gdjax.heavy_ball(0.1, 0.9), starts, {}, 20, keep=("final_point",))
    kernel = Runner(asked).kernel
    assert (kernel.name, kernel.tile) == ("xla_math", tile)
