"""Optimizers that are evaluated at another point than the one they stand at."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax
from gdjax import optimizers
from gdjax._descent.outcomes import Outcome

F = gdjax.Objective(
    fn=lambda p: (p[0] - 1) ** 2 + 9 * (p[1] + 0.5) ** 2 + jnp.sin(3 * p[0]), domain=[(-3, 3)] * 2,
    minima=[(-0.2, -0.5)], fmin=0.0, name="slanted",
)  # fmt: skip
START = (2.0, 1.5)
FREE = optax.contrib.schedule_free_sgd(0.05)


def by_hand(rate, steps, start=START, b1=0.9):
    """Schedule-free descent as its paper has it: y is where it stands, x where it is evaluated."""
    z = x = y = np.array(start)
    values = []
    for t in range(1, steps + 1):
        values.append(float(F.fn(x)))
        z = z - rate * np.asarray(jax.grad(F.fn)(y))
        x = (1 - 1 / t) * x + z / t
        y = (1 - b1) * z + b1 * x
    return y, x, values


def averaged(path, decay=None):
    if decay is None:
        return path.mean(axis=0)
    mean = path[0]
    for point in path:
        mean = decay * mean + (1 - decay) * point
    return mean


MEAN, EMA = optimizers.mean_of_points(), optimizers.ema_of_points(0.75)
EVALUATED = {
    "alone": FREE,
    "by name": optimizers.get("schedule_free_sgd", learning_rate=0.05),
    "in a chain": optax.chain(optax.clip(1e9), FREE),
    "named chain": optax.named_chain(("free", FREE)),
    "several steps in one": optax.MultiSteps(FREE, 1),
    "if finite": optax.apply_if_finite(FREE, 3),
    "injected": optax.inject_hyperparams(optax.contrib.schedule_free_sgd)(learning_rate=0.05),
    "masked": optax.masked(FREE, True),
    "of any optimizer": optax.contrib.schedule_free(optax.sgd(0.05), 0.05),
}


@pytest.mark.parametrize("kind", EVALUATED)
def test_a_schedule_free_method_tells_its_evaluation_point_wherever_it_stands(untyped, kind):
    path = gdjax.descend(F, EVALUATED[kind], START, 12, dtype="float64")
    with jax.enable_x64(True):
        stands, evaluated, _ = by_hand(0.05, 12)
        np.testing.assert_allclose(path.points[-1], stands, rtol=1e-9)
        np.testing.assert_allclose(path.eval_point, evaluated, rtol=1e-9)
        assert path.eval_value == pytest.approx(float(F.fn(jnp.asarray(evaluated))), rel=1e-9)
    assert path.final_value == float(path.eval_value) != float(path.values[-1])
    assert f"= {path.final_value:.6g}; value at its evaluation point" in str(path)


@pytest.mark.parametrize("decay", [None, 0.75])
def test_points_are_averaged_anywhere_in_a_chain_and_change_nothing(decay):
    average = MEAN if decay is None else EMA
    plain = gdjax.descend(F, optax.adam(0.1), START, 9, dtype="float64")
    for made in (
        optax.chain(average, optax.adam(0.1)), optax.chain(optax.adam(0.1), average),
        optimizers.chain("adam", average=average),
    ):  # fmt: skip
        path = gdjax.descend(F, made, START, 9, dtype="float64")
        np.testing.assert_array_equal(path.points, plain.points)
        expected = averaged(np.asarray(plain.points), decay)
        np.testing.assert_allclose(path.eval_point, expected, rtol=1e-12)
    assert plain.eval_point is None
    assert plain.eval_value is None
    assert plain.final_value == float(plain.values[-1])


def by_pairs(optimizer, steps):
    """optax's own loop over a pair of points: where it stands at each step, and the slow point."""
    pair = optax.LookaheadParams.init_synced(jnp.array(START))
    state, path = optimizer.init(pair), [pair.fast]
    for _ in range(steps):
        moves, state = optimizer.update(jax.grad(F.fn)(pair.fast), state, pair)
        pair = optax.apply_updates(pair, moves)
        path.append(pair.fast)
    return np.array(path), np.array(pair.slow)


LOOKAHEAD = optax.lookahead(optax.adam(0.1), 3, 0.5)


@pytest.mark.parametrize("made", [
    LOOKAHEAD,
    optimizers.get(
        "lookahead", fast_optimizer=optax.adam(0.1), sync_period=3, slow_step_size=0.5,
    ),
    functools.partial(optax.lookahead, optax.adam(0.1), 3, 0.5),
])  # fmt: skip
def test_lookahead_stands_at_its_fast_point_and_is_evaluated_at_its_slow_one(made):
    path = gdjax.descend(F, made, START, 8, dtype="float64")
    with jax.enable_x64(True):
        points, slow = by_pairs(LOOKAHEAD, 8)
    np.testing.assert_allclose(path.points, points, rtol=1e-12)
    np.testing.assert_allclose(path.eval_point, slow, rtol=1e-12)
    assert not np.allclose(points[-1], slow)
    swept = gdjax.sweep(F, made, [START], steps=8, dtype="float64")
    np.testing.assert_allclose(swept.final_point.values[0], points[-1], rtol=1e-12)


def test_a_lost_average_is_not_what_a_descent_is_compared_by():
    path = gdjax.descend(F, optax.chain(optax.sgd(9.0), MEAN), START, 400)
    assert not np.isfinite(path.eval_value)
    assert np.isfinite(path.final_value)
    assert "evaluation" not in str(path)


def test_an_evaluation_point_has_the_structure_of_the_start_and_is_differentiated():
    def end(rate):
        made = optimizers.chain(gdjax.gradient_descent(rate), mean=MEAN)
        path = gdjax.descend(lambda p: (p["a"] ** 2).sum() + p["b"] ** 2, made, start, 3)
        return path.eval_value, path.eval_point

    start = {"a": np.ones((1, 2)), "b": 2.0}
    (value, point), (slope, _) = jax.jvp(end, (0.25,), (1.0,))
    assert point["a"].shape == (1, 2)
    shrink = (1 + 0.5 + 0.25 + 0.125) / 4
    assert float(point["b"]) == pytest.approx(2 * shrink)
    assert float(value) == pytest.approx(6 * shrink**2)
    assert slope == pytest.approx(2 * 6 * shrink * -(2 + 4 * 0.5 + 6 * 0.25) / 4)
    both = jax.vmap(end)(jnp.array([0.25, 0.5]))
    assert both[0][0] == pytest.approx(6 * shrink**2)


def test_a_comparison_is_by_the_evaluation_point_and_says_so():
    found = gdjax.compare(F, {"free": FREE, "sgd": optax.sgd(0.05)}, START, 12)
    _, free, sgd, remark = str(found).splitlines()
    assert free.split()[2] == f"{found.paths['free'].eval_value:.6g}"
    assert sgd.split()[2] == f"{found.paths['sgd'].values[-1]:.6g}"
    assert remark == "free: value at its evaluation point"


def test_a_hypergradient_is_of_the_value_at_the_evaluation_point():
    made = optimizers.get("schedule_free_sgd", learning_rate=0.05)
    path = gdjax.descend(F, made, START, 12, dtype="float64")
    found = gdjax.hypergradient(F, made, START, 12, dtype="float64")
    assert found.value == pytest.approx(path.final_value, rel=1e-12)
    assert not found.unreliable


def test_a_ranking_is_by_the_values_at_evaluation_points_and_says_so():
    """Each evaluation is one gradient; how low the average is nobody pays for."""
    given = {"free": optimizers.get("schedule_free_sgd", learning_rate=0.05), "bfgs": "scipy.bfgs"}
    fixed = dict.fromkeys(("free.learning_rate", "free.b1"))
    found = gdjax.rank(F, given, budget=9, trials=2, starts=1, held_out=3, seeds=1, ranges=fixed)
    for n, start in enumerate(found.held_out["slanted"]):
        with jax.enable_x64(True):
            values = by_hand(0.05, 9, start)[2]
        assert found.best[0, 0, 0, n] == pytest.approx(min(values), rel=1e-9)
    assert found.functions[0, 0] == 9
    assert found.elsewhere.tolist() == [True, False]
    assert str(found).endswith("\nfree: value at its evaluation point")
    assert not found.stuck.any()


def creased(p):
    return jnp.abs(p[0]) + 10 * jnp.abs(p[1] - p[0] ** 2)


@jax.jit
def evaluations(start):
    """How many evaluations the line search of each step takes."""

    def step(carry, _):
        point, state = carry
        value, slope = jax.value_and_grad(creased)(point)
        given = {"value": value, "grad": slope, "value_fn": creased}
        update, state = optax.lbfgs().update(slope, state, point, **given)
        return (point + update, state), optax.tree_utils.tree_get(state, "num_linesearch_steps")

    return jax.lax.scan(step, (start, optax.lbfgs().init(start)), length=40)[1]


def test_a_ranking_says_who_is_stuck_as_a_comparison_does():
    """A line search that gives up at a crease; its budget pays for fewer steps than that."""
    f = gdjax.Objective(fn=creased, domain=[(-3, 3)] * 2, minima=[(0, 0)], fmin=0.0)
    found = gdjax.rank(
        f, ["lbfgs", "scipy.bfgs"], budget=40, trials=1, starts=1, held_out=3, seeds=2, seed=1,
    )  # fmt: skip
    ends = []
    for start in found.held_out["creased"]:
        with jax.enable_x64(True):
            steps = int((1 + np.cumsum(evaluations(start)) <= 40).sum())
        path = gdjax.descend(f, "lbfgs", start, steps, dtype="float64")
        ends.append(path.outcome == Outcome.STUCK)
    assert 0 < sum(ends) < 3
    np.testing.assert_array_equal(found.stuck[0, 0], [ends, ends])
    assert not found.stuck[0, 1].any()
    heads, *rows = str(found).splitlines()
    assert "stuck" in heads
    told = {row.split()[0]: f"{2 * sum(ends)} of 6" in row for row in rows}
    assert told == {"lbfgs": True, "scipy.bfgs": False}
