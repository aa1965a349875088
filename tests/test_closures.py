"""NumPy arrays that a function closes over have the dtype of the precision that asks for them."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax
from gdjax._inputs import default_dtype
from gdjax.objectives.closures import unshared

DATA = np.random.default_rng(0).normal(size=(5, 2))


def plainly(data, p):
    return jnp.sum((data @ p - 0.1) ** 2)


def by_lax(data, p):
    return jax.lax.dot(data, p).sum() ** 2 + jnp.sum(p**2)


def by_a_loop(data, p):
    body = lambda sum, row: (sum + jnp.dot(row, p) ** 2, None)  # noqa: E731
    return jax.lax.scan(body, jnp.zeros((), p.dtype), data)[0]


def by_a_condition(data, p):
    return jax.lax.cond(p[0] > 0, lambda: plainly(data, p), lambda: 2 * plainly(data, p))


def by_a_jit(data, p):
    return jax.jit(lambda p: plainly(data, p))(p)


def again(data, p):
    return jax.checkpoint(lambda p: plainly(data, p))(p)


def at_indices(data, p):
    return jnp.sum((p[np.arange(2)[::-1]] * data[0]) ** 2)


def a_number(data, p):
    return jnp.sum(p**2) * np.asarray(data[0, 0])


FORMS = [plainly, by_lax, by_a_loop, by_a_condition, by_a_jit, again, at_indices, a_number]
POINT = np.array([0.3, -0.7])


def exactly(form, data, p):
    """In NumPy, where nothing is narrowed; close to what it computes."""
    with default_dtype("float64"):
        return float(form(jnp.asarray(data), jnp.asarray(p)))


def objective(form):
    data = DATA.copy()  # an array of its own: what JAX remembers of it is of this test
    fn = lambda p: form(data, p)  # noqa: E731
    return fn, gdjax.Objective(name=form.__name__, fn=fn, domain=[(-1, 1)] * 2, start=POINT)


CALLS = {
    "descend in float32": lambda f: gdjax.descend(f, "adam", steps=2, dtype="float32"),
    "descend in float64": lambda f: gdjax.descend(f, "adam", steps=2, dtype="float64"),
    "sweep in float32": lambda f: gdjax.sweep(f, "adam", steps=2, dtype="float32"),
    "sweep in float64": lambda f: gdjax.sweep(f, "adam", steps=2, dtype="float64"),
    "check": lambda f: gdjax.check_gradient(f, points=4),
}


def value(result):
    """The value at the start, where the result has one."""
    return float(result.values[0]) if isinstance(result, gdjax.Trajectory) else None


@pytest.mark.parametrize(
    "form", [pytest.param(f, marks=() if f is by_a_jit else pytest.mark.full) for f in FORMS],
    ids=lambda form: form.__name__,
)  # fmt: skip
def test_a_function_over_numpy_arrays_works_in_every_verb_and_precision(form):
    _, f = objective(form)
    for name in [name for pair in itertools.combinations(CALLS, 2) for name in pair]:
        found = value(CALLS[name](f))
        if found is not None:
            right = exactly(form, DATA, POINT)
            assert found == pytest.approx(right, rel=1e-14 if "64" in name else 1e-6), name


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("held", ["float32", "float64"])
def test_what_a_users_own_jit_remembers_of_an_array_does_not_matter(form, held):
    fn, f = objective(form)
    own = jax.jit(fn)
    for first, second in [(held, "float64"), (held, "float32"), (held, "float64")]:
        with default_dtype(first):
            own(POINT.astype(first))
        found = gdjax.descend(f, "adam", steps=3 + (second == held), dtype=second).values[0]
        right = exactly(form, DATA, POINT)
        assert float(found) == pytest.approx(right, rel=1e-14 if "64" in second else 1e-6)


def test_nothing_of_a_trace_holds_the_array():
    data = np.array([0.1, 0.2])
    total = unshared(lambda x: (x * data).sum())
    held = jax.jit(total).trace(np.ones(2, np.float32))
    with default_dtype("float64"):
        traced = jax.make_jaxpr(lambda x: (x * data).sum())(np.ones(2))
    assert traced.consts[0].dtype == np.float64
    assert held.jaxpr.consts[0].dtype == np.float32


def test_data_that_are_single_by_birth_stay_so_and_clear_the_caches_once(monkeypatch):
    data = np.float32([0.1, 0.2])
    cleared = []
    clear = jax.clear_caches
    monkeypatch.setattr(jax, "clear_caches", lambda: (cleared.append(1), clear()))
    total = unshared(lambda x: (x * data).sum())
    with default_dtype("float64"):
        for n in (1, 2, 3):
            at = np.ones((n, 2))
            found = jax.jit(jax.vmap(total))(at)
            assert float(found[0]) == float(np.float64(data).sum())
    assert len(cleared) == 1


def test_arrays_of_jax_and_closed_over_tracers_pass_through():
    weights = jnp.float32([1, 2])

    def loss(scale, p):
        return unshared(lambda p: jnp.sum(weights * DATA[0] * scale * p**2))(p)

    slope = jax.jit(jax.grad(loss))(2.0, jnp.ones(2))
    assert float(slope) == pytest.approx(float(np.array([1, 2]) @ DATA[0]), rel=1e-6)


def test_a_function_without_arrays_is_called_as_it_is():
    calls = []

    def bowl(p):
        calls.append(1)
        return jnp.sum(p**2)

    same = unshared(bowl)
    for count in (2, 3, 4):  # twice in the first trace
        jax.make_jaxpr(functools.partial(same))(np.ones(2))
        assert len(calls) == count
