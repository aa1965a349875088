"""Optimizers, schedules and objectives are pytrees, whatever JAX or Python does with them."""

import copy
import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax
from gdjax import optimizers
from gdjax.optimizers import get

START = np.array([1.0, -2.0])
MADE = {
    "heavy_ball": gdjax.heavy_ball(0.1, 0.5),
    "adam": get("adam", learning_rate=0.1),
    "scheduled": get(
        "sgd", learning_rate=optimizers.schedules.get("exponential_decay", init_value=0.1,
                                                      transition_steps=3, decay_rate=0.5),
    ),
    "with transforms": get(
        "lion", learning_rate=0.1, transforms={"c": {"name": "clip", "max_delta": 0.5}}
    ),
    "seeded": get("noisy_sgd", learning_rate=0.1, seed=3),
    "object of optax": optimizers.as_optimizer(optax.adam(0.1)),
}  # fmt: skip
each = pytest.mark.parametrize("made", MADE.values(), ids=MADE)


def bowl(p):
    return jnp.sum(jnp.array([1.0, 3.0]) * p**2)


def ended(made, start=START):
    """Where three steps lead."""
    point, state = jnp.asarray(start, float), made.init(jnp.asarray(start, float))
    for _ in range(3):
        updates, state = made.update(jax.grad(bowl)(point), state, point)
        point = optax.apply_updates(point, updates)
    return point


@each
def test_jit_takes_one_and_a_new_number_does_not_recompile(made):
    traced = []

    @jax.jit
    def run(made):
        traced.append(1)
        return ended(made)

    other = jax.tree.map(lambda number: number * 0.9, made)
    for one in (made, other, copy.deepcopy(made)):
        np.testing.assert_allclose(run(one), ended(one), rtol=1e-5, atol=1e-6)
    assert len(traced) == 1
    assert bool(jax.tree.leaves(made)) == (not np.array_equal(run(made), run(other)))


@each
def test_vmap_runs_over_one_in_every_way_of_saying_so(made):
    several = jax.tree.map(lambda number: jnp.array([number, number / 2]), made)
    halved = jax.tree.map(lambda number: number / 2, made)
    right = [ended(made), ended(halved)] if jax.tree.leaves(made) else [ended(made)] * 2
    starts = jnp.stack([START, START])
    axes = jax.tree.map(lambda _: 0, made)
    for found in (
        jax.vmap(ended, in_axes=(0, 0))(several, starts),
        jax.vmap(ended, in_axes=(axes, 0))(several, starts),
        jax.vmap(ended, in_axes=(axes, None), axis_size=2)(several, START),
    ):
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6)
    same = jax.vmap(ended, in_axes=(None, 0))(made, starts)
    np.testing.assert_allclose(same, [ended(made)] * 2, rtol=1e-5, atol=1e-6)


@each
def test_grad_gives_what_small_changes_do(made):
    with jax.enable_x64(True):
        slopes = jax.grad(lambda made: bowl(ended(made)))(made)
        assert jax.tree.structure(slopes) == jax.tree.structure(made)
        assert type(slopes) is type(made)
        for name, slope in getattr(slopes, "numbers", {}).items():
            number = made.numbers[name]
            # from below where the number may be: none of them may be negative
            ends = (number + 1e-6, max(number - 1e-6, 0.0))
            up, down = (made.replace(**{name: end}) for end in ends)
            difference = float(bowl(ended(up)) - bowl(ended(down))) / (ends[0] - ends[1])
            assert float(slope) == pytest.approx(difference, rel=1e-3, abs=1e-3), name


@each
def test_a_tree_may_hold_anything(made):
    leaves, tree = jax.tree.flatten(made)
    assert jax.tree.unflatten(tree, leaves) == made
    for sentinel in (None, object(), "a word", -1):
        other = jax.tree.unflatten(tree, [sentinel] * len(leaves))
        assert jax.tree.leaves(other, is_leaf=lambda x: x is None) == [sentinel] * len(leaves)
    assert jax.tree.leaves(jax.tree.map(lambda number: None, made)) == []
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(made)]
    assert paths == [f"[{name!r}]" for name in made.numbers]


@each
def test_pythons_copies_are_equal_and_do_the_same(made):
    copies = [copy.copy(made), copy.deepcopy(made)]
    if made is not MADE["object of optax"]:  # its functions are local to optax
        copies.append(pickle.loads(pickle.dumps(made)))
    for one in copies:
        assert one == made
        assert hash(one) == hash(made)
        assert repr(one) == repr(made)
        np.testing.assert_array_equal(ended(one), ended(made))


def test_what_differs_is_not_equal():
    made = [*MADE.values(), gdjax.heavy_ball(0.1, 0.6), get("noisy_sgd", learning_rate=0.1, seed=4)]
    for i, one in enumerate(made):
        assert [one == other for other in made] == [i == j for j in range(len(made))]


@each
def test_it_is_the_pair_that_optax_knows(made):
    init, update = made
    assert (init, update) == (made.init, made.update)
    assert isinstance(made, optax.GradientTransformationExtraArgs)
    np.testing.assert_array_equal(ended(optax.GradientTransformation(init, update)), ended(made))


@each
def test_it_nests_in_chains_and_partitions(made):
    chained = optax.chain(optax.scale(2.0), made)
    doubled = optax.GradientTransformation(made.init, lambda u, s, p=None: made.update(2 * u, s, p))
    np.testing.assert_allclose(ended(chained), ended(doubled), rtol=1e-6)
    parts = optax.partition({"a": made, "b": optax.sgd(0.01)}, {"x": "a", "y": "b"})
    point = {"x": jnp.asarray(START, float), "y": jnp.ones(())}
    state = parts.init(point)
    updates, _ = jax.jit(parts.update)(jax.tree.map(jnp.ones_like, point), state, point)
    alone, _ = made.update(jnp.ones(2), made.init(point["x"]), point["x"])
    np.testing.assert_allclose(updates["x"], alone, rtol=1e-6)
    path = gdjax.descend(bowl, chained, START, steps=3)
    np.testing.assert_allclose(path.points[-1], ended(chained), rtol=1e-5, atol=1e-6)


def test_a_schedule_is_a_tree_of_its_numbers():
    made = optimizers.schedules.get(
        "exponential_decay", init_value=0.1, transition_steps=3, decay_rate=0.5
    )
    at = jax.jit(lambda schedule, step: schedule(step))
    assert float(at(made, 3)) == pytest.approx(0.05)
    assert float(at(jax.tree.map(lambda number: 2 * number, made), 0)) == pytest.approx(0.2)
    slope = jax.grad(lambda schedule: schedule(3))(made)
    assert float(slope.numbers["init_value"]) == pytest.approx(0.5)
    for one in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert one == made
        assert float(one(5)) == float(made(5))


def weighed(p, weight, shift):
    return weight * jnp.sum((p - shift) ** 2)


def test_an_objective_is_a_tree_of_its_data():
    f = gdjax.Objective(fn=weighed, start=START, args=(2.0, np.ones(2)))
    traced = []

    @functools.partial(jax.jit, static_argnums=1)
    def end(f, steps):
        traced.append(1)
        return gdjax.descend(f, gdjax.gradient_descent(0.1), steps=steps).values[-1]

    def closed(weight, shift):  # every step multiplies the distance by 1 − 2αw
        return weight * np.sum((START - shift) ** 2) * (1 - 0.2 * weight) ** 6

    assert float(end(f, 3)) == pytest.approx(closed(2.0, 1.0), rel=1e-5)
    assert float(end(f.with_args(1.5, np.zeros(2)), 3)) == pytest.approx(closed(1.5, 0), rel=1e-5)
    assert len(traced) == 1
    slopes = jax.grad(lambda f: end(f, 3))(f)
    d = 1e-6
    by_weight = (closed(2 + d, 1.0) - closed(2 - d, 1.0)) / (2 * d)
    assert float(slopes.args[0]) == pytest.approx(by_weight, rel=1e-4)
    by_shift = -2 * 2 * (START - 1) * 0.6**6
    np.testing.assert_allclose(slopes.args[1], by_shift, rtol=1e-4)
    several = jax.vmap(lambda w: end(f.with_args(w, np.ones(2)), 3))(jnp.array([2.0, 1.5]))
    np.testing.assert_allclose(several, [closed(2.0, 1), closed(1.5, 1)], rtol=1e-5)
    gdjax.descend(f, "adam", steps=1)
    for one in (copy.copy(f), copy.deepcopy(f), pickle.loads(pickle.dumps(f))):
        assert float(one(START)) == float(f(START))
        assert one.name == f.name
