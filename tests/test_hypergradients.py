"""Held against closed forms: bowls on which where a descent ends is a formula in its numbers."""

import functools
import warnings

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax
from gdjax import objectives, optimizers
from gdjax.starts import given_or_drawn

hypergradient = functools.partial(gdjax.hypergradient, dtype="float64")
tune_by_gradient = functools.partial(gdjax.tune_by_gradient, dtype="float64")
QFSP = objectives.get("qfsp")
CURVATURES = np.array([1.0, 4.0])
START = np.array([3.0, -2.0])


def bowl(height=0.0, **facts):
    """f = ½ Σ λ x² + height; its hand gradient is half the true one, to see which is followed."""
    return gdjax.Objective(
        name="bowl",
        fn=lambda p: 0.5 * jnp.sum(jnp.asarray(CURVATURES, p.dtype) * p**2) + height,
        gradient=lambda p: 0.5 * CURVATURES * p,
        domain=[(-4, 4), (-3, 3)],
        start=START,
        **facts,
    )


def final(alpha, curvatures=CURVATURES, steps=5):
    """Where plain descent ends on a bowl: every coordinate shrinks by 1 − αλ a step."""
    return 0.5 * (CURVATURES * (START * (1 - alpha * curvatures) ** steps) ** 2).sum()


@pytest.mark.parametrize(("side", "seen"), [("autodiff", 1.0), ("hand", 0.5)])
def test_value_derivative_quotient_and_growth_are_those_of_the_closed_form(side, seen):
    alpha, steps, curvatures = 0.7, 5, seen * CURVATURES
    found = hypergradient(bowl(), gdjax.gradient_descent(alpha), steps=steps, gradient=side)
    assert found.value == pytest.approx(final(alpha, curvatures), rel=1e-12)
    shrunk = 1 - alpha * curvatures
    slope = (-steps * curvatures * CURVATURES * START**2 * shrunk ** (2 * steps - 1)).sum()
    assert found.gradient == {"learning_rate": pytest.approx(slope, rel=1e-12)}
    low, high = final(alpha * 0.999, curvatures), final(alpha * 1.001, curvatures)
    quotient = (high - low) / (0.002 * alpha)
    assert found.difference == {"learning_rate": pytest.approx(quotient, rel=1e-9)}
    aside = 1 / np.sqrt([1.0, 2.0])  # which way the start is displaced
    lengths = [np.linalg.norm(aside * shrunk**k) for k in range(1, steps + 1)]
    assert found.growth == pytest.approx(max(lengths) / np.linalg.norm(aside), rel=1e-12)
    assert (found.unreliable, found.warning) == ((), "")
    assert str(found).splitlines() == [
        f"final value {found.value:.8g}",
        f"d/d learning_rate: {slope:.6g}; over 0.1 %: {quotient:.6g}",
    ]


def test_momentum_has_its_derivative_too():
    """One heavy ball on ½λx²; the derivative by central differences of a plain loop."""

    def last(alpha, momentum):
        point, velocity = START, np.zeros(2)
        for _ in range(10):
            velocity = momentum * velocity - alpha * CURVATURES * point
            point = point + velocity
        return 0.5 * (CURVATURES * point**2).sum()

    found = hypergradient(bowl(), gdjax.heavy_ball(0.1, 0.5), steps=10)
    assert found.value == pytest.approx(last(0.1, 0.5), rel=1e-12)
    h = 1e-6  # the error is h² f‴ and rounding over h, both below 1e-8 here
    assert found.gradient == {
        "learning_rate": pytest.approx((last(0.1 + h, 0.5) - last(0.1 - h, 0.5)) / (2 * h), 1e-6),
        "momentum": pytest.approx((last(0.1, 0.5 + h) - last(0.1, 0.5 - h)) / (2 * h), 1e-6),
    }


def kinked(before, after, height=0.0, pull=0.0):
    """One step of rate α = 1 from x = 1 + pull leads to 0, where the slope changes a little later.

    The hand gradient is 1 + pull x: a displaced start moves by 1 − pull times as much.
    """
    return gdjax.Objective(
        name="kinked",
        # x falls as α grows: to the right of the kink the slope in α is ``before``.
        fn=lambda p: height + jnp.where(p[0] > -1e-9, -before, -after) * (p[0] + 1e-9),
        gradient=lambda p: 1.0 - pull + pull * p,
        domain=[(-4, 4)],
    )


@pytest.mark.parametrize(
    ("before", "after", "height", "reliable"),
    [
        # The derivative is ``before``, the quotient the mean of both: half of it is the limit.
        (1.0, 1.0, 0.0, True),
        (1.0, 0.05, 0.0, True),
        (1.0, -0.05, 0.0, False),
        (-1.0, -0.05, 0.0, True),
        (-1.0, 0.05, 0.0, False),
        (0.3, 0.89, 0.0, True),
        (0.3, 0.91, 0.0, False),
        # Up to 1e4 units in the last place of the value, over the change of 1e-3, are rounding.
        (1e-9, -1e-9, 0.0, True),
        (4e-9, -4e-9, 0.0, False),
        (1e-6, -1e-6, -1e3, True),
        (4e-6, -4e-6, -1e3, False),
    ],
)
def test_a_derivative_is_of_use_if_it_is_about_what_a_small_change_does(
    before, after, height, reliable
):
    f, descent = kinked(before, after, height), gdjax.gradient_descent(1.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = hypergradient(f, descent, [1.0], 1, gradient="hand")
    assert found.gradient["learning_rate"] == pytest.approx(before, rel=1e-6)
    expected = pytest.approx((before + after) / 2, rel=1e-3, abs=max(abs(height), 1) * 1e-12)
    assert found.difference["learning_rate"] == expected
    assert found.unreliable == (() if reliable else ("learning_rate",))
    assert len(caught) == (0 if reliable else 1)
    if not reliable:
        assert issubclass(caught[0].category, RuntimeWarning)
        assert not caught[0].filename.endswith("gdjax/hypergradients.py")  # but the caller's
        assert "the path crosses a kink" in str(caught[0].message)
        assert "derivative in learning_rate does not tell" in found.warning
        assert str(found).endswith(found.warning)


@pytest.mark.parametrize(("growth", "why"), [(9.9, "crosses a kink"), (10.1, "is chaotic, a dis")])
def test_what_a_warning_says_depends_on_how_far_displacements_grow(growth, why):
    f = kinked(1.0, -1.0, pull=1 - growth)
    with pytest.warns(RuntimeWarning, match=f"the path {why}"):
        found = hypergradient(f, gdjax.gradient_descent(1.0), [1.0], 1, gradient="hand")
    assert found.growth == pytest.approx(growth)


def test_a_chaotic_path_warns_and_shows_how_far_displacements_grow():
    with pytest.warns(RuntimeWarning, match="the path is chaotic, a displacement of its start"):
        found = hypergradient(QFSP, gdjax.heavy_ball(0.1, 0.95), steps=100)
    assert found.growth > 1e6
    assert abs(found.gradient["learning_rate"]) > 1e3 * abs(found.difference["learning_rate"])
    assert "chaotic" in str(found)


def test_a_lost_path_warns_too():
    with pytest.warns(RuntimeWarning, match="ends nowhere finite"):
        hypergradient(objectives.get("rosenbrock"), gdjax.heavy_ball(1.0), steps=50)


def test_any_traced_number_can_be_chosen_and_by_default_learning_rates_and_momentum():
    rate = {"schedule": "linear_schedule", "init_value": 0.05, "end_value": 0.01}
    cases = {
        ("learning_rate.init_value", "learning_rate.end_value"): (
            optimizers.get("adam", learning_rate=rate | {"transition_steps": 9}), None
        ),
        ("b1",): (optimizers.get("adam", learning_rate=0.1), ("b1",)),
        ("learning_rate", "momentum"): (gdjax.heavy_ball(0.1, 0.5), None),
        ("max_learning_rate", "scaling", "f_min", "eps"): (optimizers.get("polyak_sgd"), None),
    }  # fmt: skip
    for names, (made, of) in cases.items():
        assert {*hypergradient(bowl(), made, steps=3, wrt=of).gradient} == {*names}


def test_a_number_that_is_zero_is_moved_by_a_thousandth_of_one():
    found = hypergradient(bowl(), gdjax.heavy_ball(0.1, 0.0), steps=2, wrt=("momentum",))

    def last(momentum):
        first = START * (1 - 0.1 * CURVATURES)
        second = first + momentum * (first - START) - 0.1 * CURVATURES * first
        return 0.5 * (CURVATURES * second**2).sum()

    quotient = (last(1e-3) - last(-1e-3)) / 2e-3
    assert found.difference["momentum"] == pytest.approx(quotient, rel=1e-9)


def test_the_precision_asked_for_is_that_of_the_descent():
    """A value of single precision is one that float32 holds, as is what nothing asks for."""
    f, made = bowl(), gdjax.gradient_descent(0.1)
    for asked in ({}, {"dtype": "float32"}, {"dtype": "float64"}):
        value = gdjax.hypergradient(f, made, steps=3, **asked).value
        loss = float(gdjax.tune_by_gradient(f, made, [START], 3, rounds=0, **asked).losses[0])
        for number in (value, loss):
            assert (float(np.float32(number)) == number) == ("float64" not in asked.values())


def test_chaos_is_told_in_either_precision():
    for dtype in ("float32", "float64"):
        with pytest.warns(RuntimeWarning, match="chaotic"):
            found = gdjax.hypergradient("qfsp", gdjax.heavy_ball(0.1, 0.95), steps=100, dtype=dtype)
        assert set(found.unreliable) == {"learning_rate", "momentum"}


EPS = np.finfo(float).eps


def own_search(points, alpha, steps, rounds, rate):
    """Adam in log α on the mean of log f, with rounds that end nowhere finite taken back.

    On ½ Σ λ x² plain descent ends at x (1 − αλ)ᴺ; the logarithm ends at the last digit of f.
    """
    free, best, best_loss, size = np.log(alpha), np.log(alpha), np.inf, rate
    first = second = count = 0
    losses, rates = [], []
    for _ in range(rounds + 1):
        alpha = np.exp(free)
        rates.append(alpha)
        shrunk = 1 - alpha * CURVATURES
        with np.errstate(all="ignore"):
            ends = 0.5 * (CURVATURES * (points * shrunk**steps) ** 2).sum(axis=1)
            by_alpha = -steps * CURVATURES**2 * points**2 * shrunk ** (2 * steps - 1)
            above = ends >= EPS
            loss = np.log(np.where(above, ends, EPS)).mean()
            slope = (np.where(above, alpha * by_alpha.sum(axis=1) / ends, 0)).mean()
        losses.append(loss if np.isfinite(loss) else np.inf)
        if not (np.isfinite(loss) and np.isfinite(slope)):
            size /= 2
            free, first, second, count = best, 0.0, 0.0, 0
            continue
        if loss < best_loss:
            best, best_loss = free, loss
        count += 1
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        slope, scale = first / (1 - 0.9**count), np.sqrt(second / (1 - 0.999**count))
        free = free - size * slope / (scale + 1e-8)
    return np.array(losses), np.array(rates)


@pytest.mark.parametrize(
    ("alpha", "steps", "rate", "lost"),
    [
        (1e-3, 150, 0.1, 0),
        (1e-3, 150, 9.0, 1),
        (1e-3, 150, 40.0, 4),  # halved three times, and once more from where it is best by then
        (1e-3, 300, 2.25, 1),  # back to the first of two that are best
    ],
)
def test_a_round_that_diverges_is_taken_back_and_the_next_is_shorter(alpha, steps, rate, lost):
    """Every round of the search, by NumPy's own Adam: after a bad one it begins at the best."""
    points = np.array([START, [1.0, 2.5]])
    tuned = tune_by_gradient(
        bowl(minima=[(0, 0)], fmin=0.0), gdjax.gradient_descent(alpha), points, steps,
        rounds=11, rate=rate,
    )  # fmt: skip
    losses, rates = own_search(points, alpha, steps, 11, rate)
    assert np.isinf(losses).sum() == lost
    np.testing.assert_allclose(tuned.losses, losses, rtol=1e-6)
    np.testing.assert_allclose(tuned.history["learning_rate"], rates, rtol=1e-6)
    best = rates[int(np.argmin(losses))]
    assert tuned.optimizer.hyperparameters["learning_rate"] == pytest.approx(best, rel=1e-6)
    assert losses.min() < losses[0] - 0.1


def test_a_round_is_taken_back_where_the_loss_alone_is_infinite():
    """Beyond 10 the value is infinite and level, so that the derivative is a finite 0."""
    f = gdjax.Objective(
        name="pit", fn=lambda p: jnp.where(abs(p[0]) > 10, jnp.inf, p[0] ** 2), domain=[(-4, 4)]
    )
    tuned = tune_by_gradient(f, gdjax.gradient_descent(0.25), [[1.0]], 1, rounds=5, rate=9.0)
    rates = 0.25 * np.exp([0, 9, 0, 4.5, 0, 2.25])
    np.testing.assert_allclose(tuned.history["learning_rate"], rates, rtol=1e-6)
    ends = (1 - 2 * rates) ** 2
    np.testing.assert_allclose(tuned.losses, np.where(ends > 100, np.inf, ends), rtol=1e-6)


def test_each_number_is_searched_on_the_scale_of_its_kind():
    """Adam's first step is its rate, whatever the slope: in log α, in logit μ, or as it is."""
    made = optimizers.get("adam", learning_rate=0.01, b1=0.6, eps_root=0.0)
    found = tune_by_gradient(
        bowl(), made, [START], 4, wrt=("learning_rate", "b1", "eps_root"), rounds=1, rate=0.05
    ).history
    scales = {
        "learning_rate": np.log,
        "b1": lambda x: np.log(x / (1 - x)),
        "eps_root": lambda x: x,
    }
    assert found.keys() == scales.keys()
    for name, scale in scales.items():
        before, after = found[name]
        assert abs(scale(after) - scale(before)) == pytest.approx(0.05, rel=1e-3), name


@pytest.mark.parametrize(
    ("facts", "loss"),
    [
        ({}, lambda f: f),
        ({"minima": [(0, 0)], "fmin": 7.0}, lambda f: np.log(f - 7)),
        ({"minima": [(0, 0)], "fmin": 1e6}, lambda _: np.log(EPS * (1 + 1e6))),  # no gap left
    ],
)
@pytest.mark.parametrize(("side", "seen"), [("autodiff", 1.0), ("hand", 0.5)])
def test_the_loss_is_the_mean_over_the_starts(facts, loss, side, seen):
    f, points = bowl(7.0, **facts), [START, np.array([1.0, 2.5])]
    tuned = tune_by_gradient(f, gdjax.gradient_descent(0.1), points, 3, rounds=0, gradient=side)
    ends = [
        7 + 0.5 * (CURVATURES * (p * (1 - 0.1 * seen * CURVATURES) ** 3) ** 2).sum() for p in points
    ]
    assert tuned.losses == pytest.approx([np.mean([loss(end) for end in ends])], rel=1e-9)


def test_starts_that_are_counted_are_drawn_by_the_seed():
    def first_loss(**asked):
        made = gdjax.gradient_descent(0.1)
        return tune_by_gradient(bowl(), made, steps=3, rounds=0, **asked).losses[0]

    low, high = np.transpose([(-4, 4), (-3, 3)])
    for seed in (0, 5):
        others = np.random.default_rng(seed).uniform(low, high, (3, 2))
        points = np.vstack([START, others])  # the objective's own, and those drawn
        ends = (points * (1 - 0.1 * CURVATURES) ** 3) ** 2 @ CURVATURES / 2
        assert first_loss(seed=seed) == pytest.approx(ends.mean(), rel=1e-9)
    assert first_loss() == first_loss(seed=0, starts=4)


def test_how_much_is_done_where_nothing_is_said():
    f, alpha = bowl(), 0.01
    found = hypergradient(f, gdjax.gradient_descent(alpha))
    assert found.value == pytest.approx(final(alpha, steps=100), rel=1e-9)
    tuned = tune_by_gradient(f, gdjax.gradient_descent(alpha), [START])
    assert tuned.losses.shape == (51,)
    assert tuned.losses[0] == pytest.approx(final(alpha, steps=50), rel=1e-9)
    assert tuned.history["learning_rate"][1] == pytest.approx(alpha * np.exp(0.1), rel=1e-6)


def test_it_is_said_from_how_many_starts_the_derivative_means_nothing():
    """From 1 a step ends at the kink, and from 2 far from it."""
    f = kinked(1.0, -1.0)
    with pytest.warns(RuntimeWarning, match=r"from 1 of 2 starts .*crosses a kink") as caught:
        tuned = tune_by_gradient(
            f, gdjax.gradient_descent(1.0), [[2.0], [1.0]], 1, rounds=0, gradient="hand"
        )
    assert (tuned.unreliable, len(caught)) == (1, 1)
    assert not caught[0].filename.endswith("gdjax/hypergradients.py")


def test_tuning_is_as_good_as_theory_on_a_quadratic():
    # Heavy ball on eigenvalues 1…κ is fastest in the long run at α = 4/(√κ + 1)², μ = ρ².
    f = objectives.get("ill_conditioned_quadratic", kappa=25.0)
    theory = gdjax.heavy_ball(4 / 6**2, (4 / 6) ** 2)
    tuned = tune_by_gradient(f, gdjax.heavy_ball(0.01, 0.2), 3, 40, rounds=80)
    losses = [
        np.mean(
            [
                np.log(float(gdjax.descend(f, o, start, 40, dtype="float64").values[-1]))
                for start in given_or_drawn(f, 3, 0)
            ]
        )
        for o in (tuned.optimizer, theory)
    ]
    assert losses[0] == pytest.approx(np.min(tuned.losses), abs=1e-6)
    assert tuned.losses[0] > losses[1] + 10
    assert losses[0] < losses[1] + 1
    assert tuned.unreliable == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: hypergradient(QFSP, optax.adam(0.1)),
            "optimizer must have numbers to differentiate in, and chain(…) has none; a name, a ",
        ),
        (
            lambda: hypergradient(QFSP, gdjax.heavy_ball(0.1), wrt=("momentun",)),
            "unknown hyperparameter of heavy_ball 'momentun'; did you mean 'momentum'?",
        ),
        (
            lambda: hypergradient(QFSP, gdjax.heavy_ball(0.1), wrt=("learning_rate", "momentun")),
            "unknown hyperparameter of heavy_ball 'momentun'; did you mean 'momentum'?",
        ),
        (
            lambda: hypergradient(
                QFSP, optimizers.get("lbfgs", learning_rate=0.1), wrt=("memory_size",)
            ),
            "memory_size of lbfgs cannot be traced",
        ),
        (
            lambda: hypergradient(QFSP, gdjax.heavy_ball(0.1), steps=0),
            "steps must be a whole number, at least 1, got 0",
        ),
        (
            lambda: tune_by_gradient(QFSP, gdjax.heavy_ball(0.1, 0.0)),
            "momentum must lie between 0 and 1 to be tuned, got 0",
        ),
        (
            lambda: tune_by_gradient(objectives.get("rosenbrock"), gdjax.heavy_ball(9.0), rounds=2),
            "starts must let heavy_ball(learning_rate=9, momentum=0.9) end at a finite value",
        ),
    ],
)
def test_bad_calls_say_what_is_wrong(untyped, call, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        call()
    assert message in str(caught.value)
