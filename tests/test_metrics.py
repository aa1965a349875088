"""Held against plain loops, scipy and published numbers; ties, failures and step 0 are the rule."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import gdjax
from gdjax import metrics

NEVER = -1
COUNTS = [(0, 7), (7, 7), (1, 1), (0, 1), (8, 10), (70, 96), (255, 1000)]


def scipys_interval(k, n, confidence):
    return k / n, *stats.binomtest(int(k), int(n)).proportion_ci(confidence, method="wilson")


# Each way to ask for an interval, with the successes and trials that it is about.
INTERVALS = {
    "wilson": (lambda **c: metrics.wilson(*np.transpose(COUNTS), **c), COUNTS),
    "success_rate": (
        lambda **c: metrics.success_rate(np.arange(12).reshape(3, 4) >= 6, axis=1, **c),
        [(0, 4), (2, 4), (4, 4)],
    ),
    "basin_shares": (
        lambda **c: metrics.basin_shares(np.array([[0, 0, 3], [3, 2, NEVER]]), 5, **c),
        [(2, 6), (0, 6), (1, 6), (2, 6), (0, 6)],
    ),
    "basin_shares, where all arrive": (
        lambda **c: metrics.basin_shares(np.array([1, 0, 1]), 2, **c),
        [(1, 3), (2, 3)],
    ),
}


@pytest.mark.parametrize("confidence", [None, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", INTERVALS)
def test_an_interval_is_scipys_at_the_confidence_that_is_asked(name, confidence):
    ask, counts = INTERVALS[name]
    found = ask() if confidence is None else ask(confidence=confidence)
    expected = [scipys_interval(k, n, confidence or 0.95) for k, n in counts]
    np.testing.assert_allclose(np.transpose(found), expected, rtol=1e-12, atol=1e-15)


def test_the_ends_at_no_and_at_all_successes_are_exact():
    for n in range(1, 60):
        assert metrics.wilson(0, n).low == 0.0
        assert metrics.wilson(n, n).high == 1.0


def test_wilson_by_statsmodels():
    """proportion_confint(8, 10, method="wilson") and (255, 1000, alpha=0.1) of 0.14."""
    np.testing.assert_allclose(metrics.wilson(8, 10)[1:], (0.4901624715366, 0.9433178485456))
    np.testing.assert_allclose(
        metrics.wilson(255, 1000, 0.9)[1:], (0.2330107766048797, 0.278311362582603)
    )


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), (0, 2), None])
def test_descents_are_counted_along_the_axes_given(axis):
    """Shares and quantiles over each line of cells that the axes leave together."""
    steps = np.random.default_rng(0).integers(NEVER, 3, (4, 3, 2))  # −1, 0, 1 and 2
    axes = range(3) if axis is None else {a % 3 for a in np.atleast_1d(axis)}
    left = [a for a in range(3) if a not in axes]
    lines = {}
    for cell in itertools.product(*map(range, steps.shape)):
        lines.setdefault(tuple(cell[a] for a in left), []).append(int(steps[cell]))
    rate, median = metrics.success_rate(steps >= 0, axis), metrics.steps_quantile(steps, 0.5, axis)
    assert np.shape(rate.share) == np.shape(median) == tuple(steps.shape[a] for a in left)
    for place, line in lines.items():
        arrived = sorted(k for k in line if k != NEVER)
        expected = scipys_interval(len(arrived), len(line), 0.95)
        np.testing.assert_allclose([x[place] for x in rate], expected, rtol=1e-12, atol=1e-15)
        need = math.ceil(len(line) / 2)
        assert np.asarray(median)[place] == (arrived[need - 1] if need <= len(arrived) else np.inf)


@given(st.lists(st.integers(NEVER, 5), min_size=1, max_size=9))
@settings(max_examples=40)
def test_descents_that_never_arrive_are_censored_not_left_out(steps):
    """F(k) by counting, and min {k : F(k) ≥ q}; to arrive at step 0 is to arrive."""
    arrived = {k: sum(0 <= s <= k for s in steps) for k in sorted(set(steps)) if k != NEVER}
    ecdf = metrics.steps_ecdf(np.array(steps))
    assert ecdf.steps.tolist() == list(arrived)
    assert ecdf.share.tolist() == [count / len(steps) for count in arrived.values()]
    quantiles = [1 / 8, 1 / 4, 1 / 2, 5 / 8, 3 / 4, 1.0]  # exact in binary: so are ties with F
    expected = [
        next((k for k, count in arrived.items() if count >= q * len(steps)), np.inf)
        for q in quantiles
    ]
    np.testing.assert_array_equal(
        metrics.steps_quantile(np.array(steps), np.array(quantiles)), expected
    )


def test_the_distribution_is_scipys_for_right_censored_data():
    rng = np.random.default_rng(1)
    steps = np.where(rng.random(300) < 0.7, rng.integers(0, 60, 300), NEVER)
    seen = np.where(steps < 0, 60, steps)  # the descents ended after 60 steps
    expected = stats.ecdf(stats.CensoredData.right_censored(seen, steps < 0)).cdf
    ecdf = metrics.steps_ecdf(steps)
    np.testing.assert_allclose(ecdf.share, expected.evaluate(ecdf.steps), rtol=1e-12)


# Four problems, three solvers. Ratios to the best: (1, 2, 4), (3, 1, inf), (1, inf, 1.5), none.
COSTS = np.array([[10, 20, 40], [90, 30, np.inf], [20, np.inf, 30], [np.inf] * 3])


def test_performance_profiles_by_hand():
    np.testing.assert_array_equal(
        metrics.performance_profile(COSTS, np.array([1, 1.5, 2, 3, 4, 1e9])),
        [
            [0.5, 0.5, 0.5, 0.75, 0.75, 0.75],
            [0.25, 0.25, 0.5, 0.5, 0.5, 0.5],
            [0.0, 0.25, 0.25, 0.25, 0.5, 0.5],
        ],
    )


def test_data_profiles_by_hand():
    """With dimensions 1, 2, 9, 1 the costs are (5, 10, 20), (30, 10, inf), (2, inf, 3), none."""
    np.testing.assert_array_equal(
        metrics.data_profile(
            COSTS, np.array([1, 2, 9, 1]), np.array([1, 2, 5, 10, 20, 30, np.inf])
        ),
        [
            [0.0, 0.25, 0.5, 0.5, 0.5, 0.75, 0.75],
            [0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5],
            [0.0, 0.0, 0.25, 0.25, 0.5, 0.5, 0.5],
        ],
    )


@given(st.integers(1, 4).flatmap(lambda s: st.lists(st.tuples(
    st.integers(1, 4), st.lists(st.sampled_from([0.5, 2.0, 3.0, 6.0, 9.0, np.inf]),
                                min_size=s, max_size=s)), min_size=1, max_size=5)))  # fmt: skip
@settings(max_examples=40)
def test_profiles_are_shares_of_problems(drawn):
    """By plain loops, with ties at every limit and problems that nobody solves."""
    dims, rows = zip(*drawn, strict=True)
    ratios, budgets = [1.0, 1.5, 2.0, 3.0, np.inf], [0.25, 1.0, 1.5, 3.0, np.inf]
    performance = metrics.performance_profile(np.array(rows), np.array(ratios))
    data = metrics.data_profile(np.array(rows), np.array(dims), np.array(budgets))
    for s in range(len(rows[0])):
        for k, (ratio, budget) in enumerate(zip(ratios, budgets, strict=True)):
            near = [row[s] < np.inf and row[s] <= ratio * min(row) for row in rows]
            soon = [
                row[s] < np.inf and row[s] <= budget * (n + 1)
                for n, row in zip(dims, rows, strict=True)
            ]
            assert performance[s, k] == pytest.approx(sum(near) / len(rows), rel=1e-15)
            assert data[s, k] == pytest.approx(sum(soon) / len(rows), rel=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.wilson(1, 0), "trials must be at least 1"),
        (lambda: metrics.wilson(np.array([0, 0]), np.array([3, 0])), "trials must be at least 1"),
        (lambda: metrics.wilson(3, 2), "successes must lie between"),
        (lambda: metrics.wilson(np.array([1, 3]), 2), "successes must lie between"),
        (lambda: metrics.wilson(-1, 2), "successes must lie between"),
        (lambda: metrics.wilson(1, 2, 1.0), "confidence must lie between 0 and 1, got 1.0"),
        (lambda: metrics.wilson(1, 2, 0.0), "confidence must lie between 0 and 1, got 0.0"),
        (lambda: metrics.success_rate(np.empty((0, 2), bool)), "at least one descent"),
        (lambda: metrics.success_rate(np.empty((0, 2), bool), axis=1), "at least one descent"),
        (lambda: metrics.steps_quantile(np.array([1]), 0.0), r"quantile must lie in \(0, 1\]"),
        (lambda: metrics.steps_quantile(np.array([1]), np.array([0.5, 1.01])), "quantile must"),
        (lambda: metrics.steps_ecdf(np.array([], int)), "at least one descent"),
        (lambda: metrics.basin_shares(np.array([], int), 2), "at least one descent"),
        (lambda: metrics.basin_shares(np.array([2]), 2), "minimum must be −1 to 1, got 2 to 2"),
        (lambda: metrics.basin_shares(np.array([-2, 0]), 2), "minimum must be −1 to 1, got -2"),
        (lambda: metrics.performance_profile(np.zeros((2, 2)), np.ones(1)), "must be positive"),
        (lambda: metrics.performance_profile(np.array([[1, np.nan]]), np.ones(1)), "positive"),
        (lambda: metrics.performance_profile(np.ones(3), np.ones(1)), r"got shape \(3,\)"),
        (lambda: metrics.performance_profile(np.ones((2, 2, 2)), np.ones(1)), "got shape"),
        (lambda: metrics.performance_profile(np.ones((0, 2)), np.ones(1)), "got shape"),
        (lambda: metrics.data_profile(COSTS, np.ones(3), np.ones(1)), "dims must be 4"),
        (lambda: metrics.data_profile(COSTS, np.ones(5), np.ones(1)), "dims must be 4"),
        (lambda: metrics.data_profile(COSTS, np.array([1, 0, 1, 1]), np.ones(1)), "at least 1"),
    ],
)
def test_bad_calls_say_what_is_wrong(call, message):
    with pytest.raises(gdjax.ArgumentError, match=message):
        call()
