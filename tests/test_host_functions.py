"""Functions that JAX cannot trace: certified on the host, with the noise that they have."""

import jax.numpy as jnp
import numpy as np
import pytest

import gdjax
from gdjax.certificates import host
from gdjax.certificates.host import differences, noise

A = np.random.default_rng(1).normal(size=(3, 3))
SQUARE = [(-2, 2)] * 3


def simulator(p):
    return float(np.sin(A @ np.array(p)).sum())


def gradient(p):
    return A.T @ np.cos(A @ p)


def off(p):
    return gradient(p) * np.array([1, 1.02, 1])


def shaken(size):
    rng = np.random.default_rng(0)
    return lambda p: simulator(p) + size * rng.standard_normal()


def printed(p):
    return round(simulator(p), 6)


@pytest.mark.parametrize("fn", [simulator, shaken(1e-9), shaken(1e-6), printed])
def test_a_simulator_is_certified_by_differences_and_raises_no_false_alarm(fn):
    right = gdjax.check_gradient(fn, gradient, 20, domain=SQUARE)
    assert right.ok, right
    assert "certified on the host, by differences" in right.warnings[0]
    wrong = gdjax.check_gradient(fn, off, 20, domain=SQUARE)
    assert not wrong.ok
    assert wrong.component == 1


def test_the_noise_is_that_which_was_put_there():
    at, way = np.array([0.3, -0.2, 1.0]), np.ones(3)
    for size in (1e-10, 1e-6, 1e-3):
        fn = shaken(size)
        assert size / 3 < noise(lambda p, fn=fn: np.array([fn(p)]), at, way)[0] < 3 * size
    exact = noise(lambda p: np.array([simulator(p)]), at, way)[0]
    assert exact < 1e-15


def test_the_step_grows_with_the_noise_and_so_does_what_is_resolved():
    at, found = np.array([0.3, -0.2, 1.0]), []
    for size in (1e-12, 1e-6):
        fn = shaken(size)
        _, one = differences(lambda p, fn=fn: np.array([fn(p)]), at, np.eye(3), np.ones(3))
        assert (np.abs(one.estimate[0] - gradient(at)) < one.bound[0]).all()
        found.append((np.median(one.step), np.median(one.bound)))
    (step, bound), (longer, wider) = found
    assert longer > 16 * step
    assert wider > 1000 * bound


def test_it_is_told_that_autodiff_does_not_apply_and_that_values_change():
    report = gdjax.check_gradient(shaken(1e-6), gradient, 5, domain=SQUARE)
    assert "not applicable: " in report.estimates["reverse mode"].remark
    assert "gives other values when it is called again" in report.warnings[1]
    assert report.behaviour == {}
    assert "what the differences resolve here" in str(report)


def test_a_slow_simulator_is_looked_at_until_its_time_is_up(monkeypatch):
    monkeypatch.setattr(host, "BUDGET", 0.0)
    report = gdjax.check_gradient(simulator, gradient, 5, domain=SQUARE)
    assert "after 0 seconds 1 of " in " ".join(report.warnings)


def test_a_loss_over_data_is_handed_them_on_the_host_and_in_jax():
    x, y = A, np.array([1.0, 2.0, 3.0])
    loss = lambda p, x, y: float(np.sum((x @ np.asarray(p) - y) ** 2))  # noqa: E731
    slope = lambda p, x, y: 2 * x.T @ (x @ p - y)  # noqa: E731
    assert gdjax.check_gradient(loss, slope, 5, domain=SQUARE, args=(x, y)).ok
    traced = lambda p, x, y: jnp.sum((x @ p - y) ** 2)  # noqa: E731
    assert gdjax.check_gradient(traced, slope, 5, domain=SQUARE, args=(x, y)).ok


def test_a_tolerance_of_the_users_own_is_granted_and_shown():
    loose = lambda p: gradient(p) * (1 + 1e-5)  # noqa: E731
    assert not gdjax.check_gradient(simulator, loose, 5, domain=SQUARE).ok
    report = gdjax.check_gradient(simulator, loose, 5, domain=SQUARE, rtol=1e-4)
    assert report.ok
    assert "rtol 0.0001 and atol 0 of your own" in str(report)
    assert not gdjax.check_gradient(simulator, off, 5, domain=SQUARE, rtol=1e-4).ok


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gdjax.check_gradient(simulator, domain=SQUARE), "cannot be traced by JAX"),
        (
            lambda: gdjax.check_gradient(simulator, gradient, 3, domain=SQUARE, traceable=True),
            "simulator cannot be traced by JAX",
        ),
        (
            lambda: gdjax.check_gradient(simulator, gradient, 3, domain=SQUARE, dtype="float32"),
            "dtype must be float64 for a function on the host",
        ),
        (
            lambda: gdjax.check_gradient(jnp.sum, domain=SQUARE, traceable=False),
            "sum has no gradient to certify: traceable=False, and no gradient was given",
        ),
        (
            lambda: gdjax.check_gradient(jnp.sum, domain=SQUARE, rtol=-1.0),
            "rtol must be a number, at least 0, got -1.0",
        ),
    ],
)
def test_bad_calls_say_what_is_wrong(call, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        call()
    assert message in str(caught.value)
