import jax.numpy as jnp
import numpy as np
import pytest

from gdjax.outcomes import (
    DEFAULT_RULE,
    Frame,
    Outcome,
    at_rest,
    classify,
    lost,
    nearest_minimum,
    went_wrong,
)

FRAME = Frame(
    center=jnp.array([0.0, 500.0]),
    width=jnp.array([2.0, 1000.0]),
    minima=jnp.array([[0.0, 0.0], [0.5, 900.0]]),
)


def test_lengths_are_measured_axis_by_axis_in_widths_of_the_domain():
    assert nearest_minimum(jnp.array([0.5019, 900.9]), FRAME, DEFAULT_RULE) == 1
    assert nearest_minimum(jnp.array([0.5021, 900.0]), FRAME, DEFAULT_RULE) == -1
    assert nearest_minimum(jnp.array([jnp.nan, 900.0]), FRAME, DEFAULT_RULE) == -1
    assert not lost(jnp.array([199.0, 0.0]), FRAME, DEFAULT_RULE)
    assert lost(jnp.array([201.0, 0.0]), FRAME, DEFAULT_RULE)


def test_at_rest_needs_both_a_small_gradient_and_a_small_step():
    small, large = jnp.full(2, 1e-7), jnp.full(2, 1e-1)
    first = jnp.array([3.0, 4.0])
    assert at_rest(small, first, small, FRAME, DEFAULT_RULE)
    assert not at_rest(large, first, small, FRAME, DEFAULT_RULE)
    assert not at_rest(small, first, large, FRAME, DEFAULT_RULE)
    assert not at_rest(jnp.full(2, jnp.nan), first, small, FRAME, DEFAULT_RULE)


@pytest.mark.parametrize(
    ("finite", "away", "rest", "minimum", "expected"),
    [
        ("1111", "0000", True, 0, Outcome.CONVERGED),
        ("1111", "0000", True, -1, Outcome.STALLED),
        ("1111", "0000", False, 0, Outcome.MAX_STEPS),
        ("1111", "0100", True, 0, Outcome.DIVERGED),
        ("1100", "0100", False, -1, Outcome.DIVERGED),  # NaN after it was lost
        ("1000", "0010", False, -1, Outcome.NONFINITE),  # NaN came first
        ("0111", "0000", True, 0, Outcome.NONFINITE),
    ],
)
def test_what_came_first_decides(finite, away, rest, minimum, expected):
    wrong = jnp.int32(-1)
    for good, far in zip(finite, away, strict=True):
        point = jnp.array([300.0 if far == "1" else 0.0, 500.0])
        value = jnp.float32(1.0 if good == "1" else jnp.nan)
        wrong = went_wrong(wrong, point, value, FRAME, DEFAULT_RULE)
    code = classify(wrong, jnp.array(rest), jnp.int32(minimum))
    assert Outcome(int(code)) == expected
    assert np.dtype(code.dtype) == np.int32
