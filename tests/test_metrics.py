import numpy as np
import pytest
from scipy import stats

import gdjax
from gdjax import metrics

NEVER = -1


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_wilson_is_scipys(confidence):
    cases = [(0, 7), (7, 7), (1, 1), (8, 10), (70, 96), (255, 1000)]
    share, low, high = metrics.wilson(*np.transpose(cases), confidence)
    for i, (k, n) in enumerate(cases):
        expected = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
        np.testing.assert_allclose(
            (share[i], low[i], high[i]), (k / n, *expected), rtol=1e-12, atol=1e-15
        )


def test_wilson_by_statsmodels():
    """proportion_confint(8, 10, method="wilson") and (255, 1000, alpha=0.1) of 0.14."""
    np.testing.assert_allclose(metrics.wilson(8, 10)[1:], (0.4901624715366, 0.9433178485456))
    np.testing.assert_allclose(
        metrics.wilson(255, 1000, 0.9)[1:], (0.2330107766048797, 0.278311362582603)
    )


def test_the_interval_covers_as_often_as_it_says():
    """Exactly, over every outcome of 40 trials: Wilson's coverage averages to its confidence."""
    k = np.arange(41)
    _, low, high = metrics.wilson(k, 40)
    chances = np.linspace(0.02, 0.98, 193)
    covered = [(stats.binom.pmf(k, 40, p) * ((low <= p) & (p <= high))).sum() for p in chances]
    assert abs(np.mean(covered) - 0.95) < 0.01
    assert min(covered) > 0.85


def test_success_rate_counts_along_the_axes_given():
    success = np.random.default_rng(0).random((50, 3, 2)) < [[[0.2, 0.9]]]
    rate = metrics.success_rate(success, axis=0)
    np.testing.assert_array_equal(rate.share, success.mean(axis=0))
    np.testing.assert_array_equal(rate.low, metrics.wilson(success.sum(axis=0), 50).low)
    pooled = metrics.success_rate(success, axis=(0, 1))
    np.testing.assert_array_equal(pooled.high, metrics.wilson(success.sum(axis=(0, 1)), 150).high)
    assert metrics.success_rate(success).share == success.mean()


def test_descents_that_never_arrive_are_censored_not_left_out():
    steps = np.array([40, NEVER, 10, 20, NEVER, 10, 30, NEVER])  # five of eight arrive
    np.testing.assert_array_equal(
        metrics.steps_quantile(steps, np.array([0.25, 0.26, 0.5, 0.625, 0.63, 1.0])),
        [10, 20, 30, 40, np.inf, np.inf],
    )
    ecdf = metrics.steps_ecdf(steps)
    np.testing.assert_array_equal(ecdf.steps, [10, 20, 30, 40])
    np.testing.assert_array_equal(ecdf.share, [2 / 8, 3 / 8, 4 / 8, 5 / 8])
    assert metrics.steps_ecdf(np.full(3, NEVER)).steps.size == 0
    assert metrics.steps_quantile(np.full(3, NEVER), 0.5) == np.inf


def test_the_distribution_is_scipys_for_right_censored_data():
    rng = np.random.default_rng(1)
    steps = np.where(rng.random(300) < 0.7, rng.integers(0, 60, 300), NEVER)
    seen = np.where(steps < 0, 60, steps)  # the descents ended after 60 steps
    expected = stats.ecdf(stats.CensoredData.right_censored(seen, steps < 0)).cdf
    ecdf = metrics.steps_ecdf(steps)
    np.testing.assert_allclose(ecdf.share, expected.evaluate(ecdf.steps), rtol=1e-12)
    for quantile in (0.1, 0.5, 0.69):
        at = ecdf.steps[np.argmax(ecdf.share >= quantile)]
        assert metrics.steps_quantile(steps, quantile) == at


def test_quantiles_reduce_the_axes_given():
    steps = np.array([[[5, NEVER], [7, 3]], [[9, NEVER], [NEVER, 3]], [[1, 2], [8, 3]]])
    median = metrics.steps_quantile(steps, 0.5, axis=0)
    np.testing.assert_array_equal(median, [[5, np.inf], [8, 3]])


def test_basin_shares_are_of_all_starts():
    shares = metrics.basin_shares(np.array([[0, 0, 2], [2, 2, NEVER]]), number=4)
    np.testing.assert_array_equal(shares.share, [2 / 6, 0, 3 / 6, 0])
    np.testing.assert_array_equal(shares.low, metrics.wilson(np.array([2, 0, 3, 0]), 6).low)


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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.wilson(1, 0), "trials must be at least 1"),
        (lambda: metrics.wilson(3, 2), "successes must lie between"),
        (lambda: metrics.wilson(1, 2, 1.0), "confidence must lie between 0 and 1, got 1.0"),
        (lambda: metrics.success_rate(np.empty((0, 2), bool)), "at least one descent"),
        (lambda: metrics.steps_quantile(np.array([1]), 0.0), r"quantile must lie in \(0, 1\]"),
        (lambda: metrics.steps_ecdf(np.array([], int)), "at least one descent"),
        (lambda: metrics.basin_shares(np.array([2]), 2), "minimum must be −1 to 1, got 2 to 2"),
        (lambda: metrics.performance_profile(np.zeros((2, 2)), np.ones(1)), "must be positive"),
        (lambda: metrics.performance_profile(np.array([[1, np.nan]]), np.ones(1)), "positive"),
        (lambda: metrics.data_profile(COSTS, np.ones(3), np.ones(1)), "dims must be 4"),
    ],
)
def test_bad_calls_say_what_is_wrong(call, message):
    with pytest.raises(gdjax.ArgumentError, match=message):
        call()
