import dataclasses
from collections import Counter

import jax.numpy as jnp
import numpy as np
import pytest

import gdjax
from gdjax import objectives, stationary_points


def test_the_stationary_points_of_a_cosine_lattice_are_counted_right():
    f = dataclasses.replace(objectives.get("rastrigin"), domain=[(-1.4, 1.4)] * 2, start=(0.3, 0.2))
    found = stationary_points(f, starts=500)
    assert Counter(found.kinds.tolist()) == {"minimum": 9, "saddle": 12, "maximum": 4}
    assert (np.diff(found.values) >= 0).all()
    assert found.points.dtype == "float64"
    np.testing.assert_allclose(found.points[0], 0, atol=1e-15)
    np.testing.assert_allclose(found.eigenvalues[0], 2 + 40 * np.pi**2)
    again = stationary_points(f, starts=500)
    np.testing.assert_array_equal(found.points, again.points)


def test_a_function_of_the_users_own_needs_no_gradient_and_scales_do_not_matter():
    f = gdjax.Objective(
        name="stretched", fn=lambda p: (1e6 * p[0]) ** 3 - 3e6 * p[0] + (1e-6 * p[1]) ** 2,
        domain=[(-2e-6, 3e-6), (-1e7, 2e7)],
    )  # fmt: skip
    found = stationary_points(f, starts=100)
    assert found.kinds.tolist() == ["minimum", "saddle"]
    np.testing.assert_allclose(found.points[:, 0], [1e-6, -1e-6])
    np.testing.assert_allclose(found.values, [-2, 2])
    first, second, *_ = str(found).splitlines()
    assert first.split() == ["kind", "value", "point"]
    assert second.split()[:2] == ["minimum", "-2"]


def test_a_singular_hessian_is_called_degenerate_and_one_point_is_listed_once():
    found = stationary_points(objectives.get("powell_singular"), starts=200)
    assert found.kinds.tolist() == ["degenerate"]
    np.testing.assert_allclose(found.points, 0, atol=1e-6)
    assert stationary_points(objectives.get("monkey_saddle"), starts=50).kinds == ["degenerate"]


def test_kinks_and_what_lies_outside_the_domain_are_left_out():
    tip = objectives.get("ackley")
    assert not len(stationary_points(tip, starts=[(0.0, 0.0)]).points)
    elsewhere = {"domain": [(1, 2)] * 2, "start": (1.5, 1.2), "minima": (), "fmin": None}
    outside = dataclasses.replace(objectives.get("sphere"), **elsewhere)
    assert not len(stationary_points(outside, starts=20).points)


@pytest.mark.parametrize(
    ("starts", "message"),
    [
        (0, "starts must be a whole number, at least 1, got 0"),
        ([1.0, 2.0, 3.0], "starts must have 2 components, as sphere has, got 3: (1.0, 2.0, 3.0)"),
        (np.zeros((3, 4)), "starts must have 2 components, as sphere has, got 4"),
        (np.zeros((0, 2)), "starts must hold at least one point, got none"),
    ],
)
def test_bad_calls_say_what_is_wrong(starts, message):
    f = objectives.get("sphere")
    with pytest.raises(gdjax.ArgumentError) as caught:
        stationary_points(f, starts=starts)
    assert message in str(caught.value)


def test_one_start_may_be_given_alone():
    f = objectives.get("rastrigin")
    alone, listed = (stationary_points(f, starts=x).points for x in ([1.1, 0.9], [[1.1, 0.9]]))
    assert len(alone) == 1
    np.testing.assert_array_equal(alone, listed)


def test_infinite_values_and_nan_keep_away_from_the_rest():
    f = gdjax.Objective(
        name="pole", fn=lambda p: p[0] ** 2 + jnp.sqrt(p[0]) + jnp.sum(p**2), domain=[(-1, 1)] * 2
    )
    assert len(stationary_points(f, starts=50).points) == 0
    g = gdjax.Objective(
        name="log", fn=lambda p: p[0] - jnp.log(p[0]) + p[1] ** 2, domain=[(-1, 3)] * 2
    )
    found = stationary_points(g, starts=50)
    assert found.kinds.tolist() == ["minimum"]
    np.testing.assert_allclose(found.points, [[1, 0]], atol=1e-12)


def test_a_search_that_got_stuck_has_found_nothing():
    """Beside a kink that nobody told of, a Newton step is short and leads nowhere."""
    f = gdjax.Objective(
        name="crease", fn=lambda p: jnp.abs(p[0]) + 5 * p[0] ** 2, domain=[(-1, 1.1)]
    )
    assert len(stationary_points(f, starts=40).points) == 0
