"""Optimizers by leaf: masks, labels and states over points of a person's own structure."""

import functools

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_doors import DICT, MODEL, NETWORK, TUPLE, Model, of_a_dict, of_a_model, of_a_tuple

import gdjax
from gdjax._sweep.engine import Sweep
from gdjax._sweep.outer import plans
from gdjax.optimizers.evaluation import tolerant

SGD, ADAM = optax.sgd(0.05), optax.adam(0.1)


def by_size(params):
    return jax.tree.map(lambda x: "many" if jnp.ndim(x) else "one", params)


def frozen(mask):
    """Descent where the mask says so, and rest elsewhere."""
    rest = jax.tree.map(lambda moves: not moves, mask)
    return optax.chain(optax.masked(SGD, mask), optax.masked(optax.set_to_zero(), rest))


GROUPS = {"many": SGD, "one": ADAM}
# What is descended, from where, and by what.
BY_LEAF = {
    "mask of a dict": (of_a_dict, DICT, frozen({"b1": True, "b2": False})),
    "mask of a tuple": (of_a_tuple, TUPLE, frozen((False, True))),
    "mask of a dataclass": (of_a_model, MODEL, frozen(Model(True, False))),  # pyright: ignore
    "mask by a function": (
        of_a_tuple, TUPLE, optax.masked(SGD, lambda p: jax.tree.map(lambda x: x.ndim > 0, p)),
    ),
    "partition": (of_a_dict, DICT, optax.partition(GROUPS, {"b1": "many", "b2": "one"})),
    "partition of a list": (
        lambda p: (p[0] ** 2).sum() + p[1] ** 2, [np.ones((1, 2)), 2.0],
        optax.partition(GROUPS, ["many", "one"]),
    ),
    "multi_transform by a function": (of_a_tuple, TUPLE, optax.multi_transform(GROUPS, by_size)),
    "decay of some": (
        of_a_dict, DICT, optax.adamw(0.1, weight_decay=0.5, mask={"b1": True, "b2": False}),
    ),
    "decay by a function": (
        of_a_tuple, TUPLE,
        optax.adamw(0.1, weight_decay=0.5, mask=lambda p: jax.tree.map(lambda x: x.ndim > 0, p)),
    ),
    "norms by leaf": (of_a_tuple, TUPLE, optax.lars(0.1, momentum=0.5)),
    "line search": (of_a_tuple, TUPLE, optax.lbfgs()),
    "gradients elsewhere": (
        of_a_tuple, TUPLE, optax.contrib.sam(SGD, optax.sgd(0.01), opaque_mode=True),
    ),
    "all in one": (of_a_tuple, TUPLE, optax.flatten(optax.lars(0.1, momentum=0.5))),
    "several steps in one": (
        of_a_dict, DICT, optax.MultiSteps(frozen({"b1": True, "b2": False}), 2),
    ),
}  # fmt: skip


def walk(fn, start, made, steps):
    """A plain optax loop over the tree itself."""
    point = jax.tree.map(lambda x: jnp.asarray(x, float), start)
    state, slope = made.init(point), jax.grad(fn)

    @jax.jit
    def step(point, state):
        given = gdjax.optimizers.extra_arguments(fn(point), slope(point), fn, slope)
        update, state = tolerant(made).update(slope(point), state, point, **given)
        return optax.apply_updates(point, update), state

    for _ in range(steps):
        point, state = step(point, state)
    return point


@pytest.mark.parametrize("kind", BY_LEAF)
def test_an_optimizer_is_handed_points_of_the_structure_that_the_start_has(untyped, kind):
    fn, start, made = BY_LEAF[kind]
    with jax.enable_x64(True):
        expected = walk(fn, start, made, 4)
    path = gdjax.descend(fn, made, start, 4, dtype="float64")
    ends = jax.tree.map(lambda x: x[-1], path.points)
    assert jax.tree.structure(ends) == jax.tree.structure(expected)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12)
    jax.tree.map(close, ends, expected)


@pytest.mark.parametrize(
    ("kind", "kernel"),
    [("partition", "auto"), ("partition", "xla"), ("mask of a tuple", "auto")],
)
def test_a_sweep_is_the_descent(kind, kernel):
    fn, start, made = BY_LEAF[kind]
    found = gdjax.sweep(fn, made, [start], steps=10, dtype="float64", kernel=kernel)
    path = gdjax.descend(fn, made, start, 10, dtype="float64")
    last = np.concatenate([np.ravel(x[-1]) for x in jax.tree.leaves(path.points)])
    np.testing.assert_allclose(found.final_point.values[0], last, rtol=1e-12)
    assert kernel == "xla" or found.attrs["kernel"] == "llvm"


@pytest.mark.parametrize(
    "made", [ADAM, gdjax.heavy_ball(0.05), optax.contrib.schedule_free_sgd(0.1)]
)
def test_what_moves_each_component_by_itself_moves_a_tree_as_a_vector(made):
    def of_a_vector(p):
        return of_a_dict({"b1": p[0], "b2": p[1]})

    tree = gdjax.descend(of_a_dict, made, DICT, 30, dtype="float64")
    flat = gdjax.descend(of_a_vector, made, [1.0, 2.0], 30, dtype="float64")
    for i, name in enumerate(DICT):  # XLA joins other operations in one than in the other
        np.testing.assert_allclose(tree.points[name], flat.points[:, i], rtol=1e-10, atol=1e-14)
    trees = gdjax.sweep(of_a_dict, made, [DICT], steps=30, kernel="llvm")
    flats = gdjax.sweep(of_a_vector, made, [[1.0, 2.0]], steps=30, kernel="llvm")
    np.testing.assert_array_equal(trees.final_point.values, flats.final_point.values)


def test_a_networks_leaves_without_numbers_are_none_to_an_optimizer():
    def loss(net):
        return jnp.sum(net(jnp.ones(1)) ** 2)

    weights = jax.tree.map(lambda x: x.ndim > 1, equinox.filter(NETWORK, equinox.is_array))
    path = gdjax.descend(loss, frozen(weights), NETWORK, 3)
    for layer, first in zip(path.points.layers, NETWORK.layers, strict=True):
        assert not np.array_equal(layer.weight[-1], first.weight)
        np.testing.assert_array_equal(layer.bias[-1], first.bias)


def test_what_is_masked_has_its_own_place_for_an_evaluation_point():
    free = optax.contrib.schedule_free_sgd(0.1)
    made = optax.chain(
        optax.masked(free, {"b1": True, "b2": False}),
        optax.masked(optax.scale(-0.1), {"b1": False, "b2": True}),
    )
    path = gdjax.descend(of_a_dict, made, DICT, 5)
    assert path.eval_point["b2"] == path.points["b2"][-1]
    alone = gdjax.descend(lambda p: p[0] ** 2, free, [1.0], 5)
    assert path.eval_point["b1"] == pytest.approx(float(alone.eval_point[0]), rel=1e-6)


def test_every_verb_takes_masks_by_leaf():
    made = functools.partial(optax.adamw, mask={"b1": True, "b2": False}, weight_decay=0.5)
    f = gdjax.Objective(fn=of_a_dict, start=DICT, domain=[(-3, 3)] * 2, fmin=0.0, minima=[(0, 1)])
    found = gdjax.compare(f, {"masked": made, "plain": "adam"}, DICT, 5)
    assert not np.array_equal(found.paths["masked"].values, found.paths["plain"].values)
    swept = gdjax.sweep(f, made, [DICT], {"learning_rate": [0.01, 0.1]}, 5)
    assert np.ptp(swept.final_value.values) > 0
    slope = gdjax.hypergradient(f, made, DICT, 5, dtype="float64")
    assert not slope.unreliable
    assert gdjax.tune_by_gradient(f, made, [DICT], 3, rounds=1).losses.shape == (2,)
    ranking = gdjax.rank(f, {"masked": made}, budget=9, trials=2, starts=1, held_out=2, seeds=1)
    assert np.isfinite(ranking.best).all()
    with pytest.raises(gdjax.ArgumentError, match="it is measured on plain vectors"):
        gdjax.certify_equivalence(made, made, f, [DICT], 3)


def test_two_masks_are_two_sweeps():
    masks = [frozen({"b1": b1, "b2": not b1}) for b1 in (True, False)]
    digests = {Sweep(plans(of_a_dict, made, [DICT], steps=3)).digest for made in masks}
    assert len(digests) == 2


RATES = jnp.array([0.1, 0.05])


@pytest.mark.parametrize(
    "made", [optax.sgd(RATES), gdjax.gradient_descent(RATES), functools.partial(optax.sgd, RATES)]
)
def test_a_vector_may_have_a_rate_for_each_component(made):
    path = gdjax.descend(lambda p: (p**2).sum(), made, [1.0, 2.0], 3)
    expected = np.array([1.0, 2.0]) * (1 - 2 * np.asarray(RATES)) ** 3
    np.testing.assert_allclose(path.points[-1], expected, rtol=1e-6)
    swept = gdjax.sweep(lambda p: (p**2).sum(), made, [[1.0, 2.0]], steps=3)
    np.testing.assert_allclose(swept.final_point.values[0], expected, rtol=1e-6)


def stateful(kept):
    """A user's transformation that keeps something beside numbers."""
    return optax.GradientTransformation(
        lambda params: kept, lambda updates, state, params=None: (-0.1 * updates, state)
    )


@pytest.mark.parametrize("kept", [None, (), {"none": None, "count": 3, "on": True, "x": 0.5}])
def test_a_state_may_hold_what_python_has(kept):
    path = gdjax.descend("booth", stateful(kept), steps=3)
    plain = gdjax.descend("booth", optax.sgd(0.1), steps=3)
    np.testing.assert_allclose(path.points, plain.points, rtol=1e-6)
    swept = gdjax.sweep("booth", stateful(kept), steps=3)
    np.testing.assert_allclose(swept.final_point.values[0], plain.points[-1], rtol=1e-5)


VERBS = {
    "descend": lambda f, o, x: gdjax.descend(f, o, x, 2),
    "sweep": lambda f, o, x: gdjax.sweep(f, o, [x], steps=2),
}
FEW = {"b1": True, "b3": False}
REFUSED = [
    (of_a_dict, optax.masked(SGD, FEW), DICT, "structure of a point, a pytree of b1 (), b2 ()"),
    (of_a_dict, optax.masked(SGD, [True, False]), DICT, "structure of a point, a pytree of b1"),
    (of_a_dict, optax.partition(GROUPS, {"b1": "many", "b2": "no"}), DICT, "partition(…) cannot"),
    (of_a_dict, optax.sgd(RATES), DICT, "b1 (), b2 (), got a pytree of b1 (2,), b2 (2,)"),
    ("booth", optax.masked(SGD, [True, False]), None, "let the function take {'x': …, 'y': …}, "),
    ("booth", optax.partition(GROUPS, ["many", "one"]), None, "let the function take {'x': …"),
    ("booth", optax.adamw(0.1, mask={"x": True, "y": False}), None, "one array of shape (2,)"),
    ("booth", optax.sgd(jnp.ones(3)), None, "incompatible shapes"),
    ("booth", optax.sgd(jnp.ones((2, 1))), None, "the shape (2,) of the point, got (2, 2)"),
    ("booth", stateful({"name": "mine"}), None, "cannot descend booth"),
]  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_does_not_fit_the_point_is_refused_in_one_line(verb, case):
    fn, made, start, words = REFUSED[case]
    start = gdjax.objectives.get("booth").start if start is None else start
    with pytest.raises(gdjax.ArgumentError) as caught:
        VERBS[verb](fn, made, start)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_ranking_refuses_it_before_any_descent():
    made = functools.partial(optax.adamw, mask={"x": True, "y": False})
    with pytest.raises(gdjax.ArgumentError, match=r"one array of shape \(2,\)"):
        gdjax.rank("booth", {"masked": made})


def test_rates_by_component_are_no_number_to_differentiate_in():
    with pytest.raises(gdjax.ArgumentError, match=r"one number .*got an array of shape \(2,\)"):
        gdjax.hypergradient("booth", gdjax.gradient_descent(RATES))
