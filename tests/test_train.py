"""Training that is watched: the edge of stability, its formulas, stores, and what goes wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax
from gdjax.training import edges, runs

DRAWN = np.random.default_rng(0)
X, Y = DRAWN.normal(size=(40, 3)), DRAWN.normal(size=40)
TOP = 4.0


def loss(params, batch):
    hidden = jnp.tanh(batch[0] @ params["first"])
    return jnp.mean((hidden @ params["second"] - batch[1]) ** 2)


def init(key):
    return {"first": jax.random.normal(key, (3, 4)), "second": jnp.ones(4)}


def problem(**chosen):
    return gdjax.problem(loss, init=init, data=(X, Y), **chosen)


BOWL = gdjax.Objective(
    name="bowl", fn=lambda p, c: (c * p**2).sum() / 2, start=(1.0, 1.0), args=np.array([TOP, 0.1])
)
AT_THE_EDGE = {  # optimizers by their rate, and the rate at which a curvature of 4 is too much
    "gd": (gdjax.gradient_descent, 2 / TOP),
    "heavy ball": (lambda rate: gdjax.heavy_ball(rate, 0.8), 3.6 / TOP),
    "nesterov": (lambda rate: gdjax.nesterov(rate, 0.8), 3.6 / (2.6 * TOP)),
    "sgd": (
        lambda rate: gdjax.optimizers.get("sgd", learning_rate=rate, momentum=0.5, nesterov=True),
        3 / (2 * TOP),
    ),
}


@pytest.mark.parametrize("name", AT_THE_EDGE)
def test_on_a_quadratic_divergence_begins_at_the_limit(name):
    make, rate = AT_THE_EDGE[name]
    for factor, grows in ((0.98, False), (1.02, True)):
        run = gdjax.train(BOWL, make(rate * factor), steps=100, every=50)
        assert run.edge.limit == pytest.approx(TOP / factor)
        assert (run.looks.loss[-1] > run.looks.loss[0]) == grows
        assert (run.reached is not None) == grows
        assert run.looks.sharpness[-1] == pytest.approx(TOP, rel=1e-5)


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_the_preconditioner_is_what_the_update_divides_by(name):
    given = gdjax.optimizers.get(name, learning_rate=0.1, eps=1e-3)
    point, state = jnp.zeros(3), given.init(jnp.zeros(3))
    momentum = jnp.zeros(3)
    for step in range(4):
        slope = jnp.array([1.0, -2.0, 0.5]) * (step + 1)
        update, state = given.update(slope, state, point)
        # Adam's momentum is uncorrected: its correction is a part of the preconditioner.
        momentum = 0.9 * momentum + 0.1 * slope if name == "adam" else slope
        scale = edges.preconditioner(given, state)
        np.testing.assert_allclose(update, -0.1 * momentum / scale, rtol=1e-4)


@pytest.mark.parametrize(
    ("optimizer", "chosen", "why"),
    [
        (gdjax.heavy_ball(0.1), {"batch": 8}, "steps see batches"),
        (gdjax.heavy_ball(optax.linear_schedule(0.1, 0.0, 9)), {}, "a constant learning rate"),
        (optax.sgd(0.1), {}, "none is known"),
        (gdjax.optimizers.get("lion", learning_rate=0.1), {}, "none is known"),
        (gdjax.optimizers.chain("adam", a=optax.clip(1.0)), {}, "none is known"),
    ],
)
def test_where_the_limit_does_not_hold_a_word_says_why(optimizer, chosen, why):
    run = gdjax.train(problem(**chosen), optimizer, steps=2, every=1)
    assert run.edge.limit is None
    assert why in run.edge.why
    assert why in str(run)


def test_a_run_takes_the_steps_of_descend_and_sees_what_is_there():
    f = problem(batch=8)
    run = gdjax.train(
        f, "adam", steps=25, every=10, checkpoint=10, watch=["sharpness", "alignment"]
    )
    path = gdjax.descend(f, "adam", steps=25)
    assert run.steps.tolist() == [0, 10, 20, 25]
    np.testing.assert_allclose(run.looks.loss, path.values[run.steps], rtol=1e-5)
    np.testing.assert_allclose(run.point["first"], path.points["first"][-1], rtol=1e-4, atol=1e-6)
    assert run.checkpoints.tolist() == [0, 10, 20]
    kept, taken = f.shaped(run.parameters)["second"], path.points["second"][run.checkpoints]
    np.testing.assert_allclose(kept, taken, rtol=1e-4, atol=1e-6)
    slope = jax.grad(lambda p: loss(p, (X, Y)))(jax.tree.map(jnp.asarray, run.point))
    assert run.looks.gradient_norm[-1] == pytest.approx(float(optax.tree.norm(slope)), rel=1e-4)


def test_the_noise_scale_is_the_trace_of_the_covariance_over_the_squared_gradient():
    f = problem(batch=1)
    run = gdjax.train(problem(batch=1), "sgd", steps=0, watch="noise_scale", dtype="float64")
    with jax.enable_x64(True):
        value = f.cast(float)
        rows = [value.with_args((X[i : i + 1], Y[i : i + 1])).value for i in range(40)]
        slopes = np.array([jax.grad(one)(jnp.asarray(f.start)) for one in rows])
    exact = slopes.var(axis=0, ddof=1).sum() / (slopes.mean(axis=0) ** 2).sum()
    assert run.looks.noise_scale[0] == pytest.approx(exact, rel=0.3)  # 32 of 40 rows
    assert np.isnan(run.looks.sharpness[0])


def test_a_store_is_gone_on_from_to_the_same_bits(tmp_path):
    f, noisy = problem(batch=8), optax.noisy_sgd(0.01, key=jax.random.key(3))
    how = {"every": 5, "checkpoint": 10, "watch": ["sharpness"]}
    whole = gdjax.train(f, noisy, steps=40, **how)
    file = tmp_path / "deep" / "run.npz"
    gdjax.train(f, noisy, steps=17, store=file, **how)
    parts = gdjax.train(f, noisy, steps=40, store=file, **how)
    again = gdjax.train(f, noisy, steps=40, store=file, **how)
    for run in (parts, again):
        np.testing.assert_array_equal(run.steps, whole.steps)
        for seen, wanted in zip(run.looks, whole.looks, strict=True):
            np.testing.assert_array_equal(seen, wanted)
        np.testing.assert_array_equal(run.parameters, whole.parameters)
        np.testing.assert_array_equal(run.point["first"], whole.point["first"])
    for other in ({"every": 10}, {"watch": ["alignment"]}):
        with pytest.raises(gdjax.ArgumentError, match="of the same run"):
            gdjax.train(f, noisy, steps=40, store=file, **how | other)
    with pytest.raises(gdjax.ArgumentError, match="of the same run"):
        gdjax.train(problem(batch=4), noisy, steps=40, store=file, **how)
    short = tmp_path / "short.npz"  # a run that ends before its second look has a file, too
    gdjax.train(f, noisy, steps=3, store=short, **how)
    np.testing.assert_array_equal(
        gdjax.train(f, noisy, steps=40, store=short, **how).looks.loss, whole.looks.loss
    )
    assert np.load(short)["steps"].tolist() == whole.steps.tolist()
    file.write_bytes(b"PK nonsense")
    with pytest.raises(gdjax.ArgumentError, match="must be the file of a training run"):
        gdjax.train(f, noisy, steps=40, store=file, **how)


def test_a_learning_rate_never_recompiles():
    f, sizes = problem(batch=8), []
    for rate in (0.1, 0.2, 0.05):
        gdjax.train(f, gdjax.heavy_ball(rate, 0.5), steps=30, every=7)
        sizes.append((runs._advance._cache_size(), runs._look._cache_size()))
    assert len({*sizes}) == 1


def test_a_start_that_is_flat_and_one_in_a_tree_give_the_same_bits():
    f = problem(batch=8)
    tree = {"first": np.full((3, 4), 0.3), "second": np.arange(4.0)}
    with jax.enable_x64(True):
        flat = np.asarray(f.flat(tree))
    one, two = (
        gdjax.train(f, "adam", start, steps=30, every=10) for start in (tree, flat.tolist())
    )
    np.testing.assert_array_equal(f.flat(one.point), f.flat(two.point))
    for seen, wanted in zip(one.looks, two.looks, strict=True):
        np.testing.assert_array_equal(seen, wanted)


def test_a_parameter_that_is_not_finite_is_told_with_step_and_leaf():
    def breaking(p):
        return p["calm"] ** 2 - 2 * p["wild"] ** 2  # which grows fivefold in every step

    start = {"calm": 1.0, "wild": 1.0}
    run = gdjax.train(breaking, gdjax.gradient_descent(1.0), start, steps=200, every=10)
    assert (run.broken, run.leaf) == (56, "wild")  # 5 ** 56 is beyond single precision
    assert run.steps.tolist() == [0, 10, 20, 30, 40, 50, 60]
    assert "not finite from step 56, first in wild" in str(run)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"watch": ["sharpnes"]}, "did you mean 'sharpness'"),
        ({"watch": 3}, "watch must be a list of sharpness"),
        ({"every": 0}, "every must be a whole number, at least 1"),
        ({"every": 4, "checkpoint": 6}, "checkpoint must be a multiple of every=4, got 6"),
        ({"objective": "qfsp", "watch": ["noise_scale"]}, "needs a loss over data"),
        ({"start": [1.0]}, "start must have"),
        ({"store": f"{__file__}/run.npz"}, "store must be a file in a folder, and"),
        ({"steps": -1}, "steps must be a whole number, at least 0, got -1"),
    ],
)
def test_a_bad_call_is_refused_in_one_line(untyped, chosen, words):
    call = {"objective": problem(), "optimizer": "adam", "steps": 4} | chosen
    with pytest.raises(gdjax.ArgumentError) as refused:
        gdjax.train(**call)
    assert words in str(refused.value), refused.value
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("optimizer", "steps"),
    [
        (gdjax.gradient_descent(0.15), 12_000),
        pytest.param(gdjax.heavy_ball(0.2, 0.9), 20_000, marks=pytest.mark.full),
    ],
    ids=["gradient descent", "heavy ball"],
)
def test_training_hovers_at_the_edge_of_stability(optimizer, steps):
    pytest.importorskip("sklearn")
    run = gdjax.train("digits_permuted", optimizer, steps=steps)
    assert run.looks.sharpness[0] < 0.6 * run.edge.limit
    assert 0.95 < run.hovering < 1.1
    assert 0 < run.reached < 3000
    assert run.looks.metric[-1] > 0.95


OWN = """import jax
import jax.numpy as jnp
import numpy as np

X = np.linspace(-1, 1, 12)[:, None]


OWN = "me"


def data():
    return X, X[:, 0] ** 2


def init(key):
    return {"w": jax.random.normal(key, (1, 4)), "v": jnp.ones(4)}


def loss(params, batch):
    return jnp.mean((jnp.tanh(batch[0] @ params["w"]) @ params["v"] - batch[1]) ** 2)


def close(params, batch):
    return jnp.mean(jnp.abs(jnp.tanh(batch[0] @ params["w"]) @ params["v"] - batch[1]) < 0.1)
"""
MINE = "loss=my.py:loss", "init=my.py:init", "data=my.py:data"


def test_a_loss_in_a_file_is_trained_by_the_command(gdjax, tmp_path):
    (tmp_path / "my.py").write_text(OWN)
    more = "metric=my.py:close", "steps=50", "every=10", "watch=[sharpness,noise_scale]", "seed=3"
    code, _, complaints = gdjax("train", *MINE, *more, "plot.dpi=30", "hydra.run.dir=out")
    assert code == 0, complaints
    found = np.load(tmp_path / "out" / "training.npz")
    assert found["steps"].tolist() == [0, 10, 20, 30, 40, 50]
    assert np.isfinite(found["noise_scale"]).all()
    assert found["loss"][-1] < found["loss"][0]
    assert (tmp_path / "out" / "training.png").exists()
    for words, refusal in (
        (("train", *MINE, "batch=13"), "batch must be at most 12"),
        (("train", MINE[0], MINE[1]), "loss needs data: give data=my_file.py:data"),
        (("train", *MINE[:2], "data=my.py:X1"), "X1"),
        (("train", *MINE[:2], "data=my.py:close"), "data must be arrays, or a function of nothing"),
        (("train", *MINE[:2], "data=my.py:OWN"), "data must be arrays of numbers, got 'me'"),
        (("train", *MINE, "watch=sharpnes"), "did you mean 'sharpness'"),
        (("train", *MINE, "every=5", "store=my.py/run.npz"), "store must be a file in a folder"),
        (("train", *MINE, "watch=[loss]"), "unknown quantity to watch 'loss'"),
    ):
        code, _, complaints = gdjax(*words)
        assert code == 2
        assert refusal in complaints
        assert complaints.count("\n") == 1
