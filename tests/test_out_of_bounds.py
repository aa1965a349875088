"""A function that reads beyond the end of an array is refused, and one that only seems to is not.

JAX clamps an index that is out of range, so that a function of more components than its domain has
would silently be another function.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import gdjax
from gdjax.objectives import Objective, validate

FAR = np.array([0, 5])
DATA = jnp.arange(3.0)
TABLE = jnp.ones((2, 3))


def turns(p, count):
    return lax.scan(lambda total, i: (total + p[i], None), 0.0, jnp.arange(count))[0]


def counted(p, count):
    return lax.while_loop(lambda c: c[0] < count, lambda c: (c[0] + 1, c[1] + p[c[0]]), (0, 0.0))[1]


READS = {
    "component 2": lambda p: p[0] + p[2],
    "component -3": lambda p: p[-3] + p[0],
    "component 3": lambda p: p[..., 3],
    "component 4": lambda p: p[np.int64(4)],
    "component 5": lambda p: p[FAR].sum(),
    "component 6": lambda p: p[jnp.array([6, 0])].sum(),
    "component 7": lambda p: jnp.take(p, 7),
    "component 8": lambda p: lax.dynamic_index_in_dim(p, 8)[0],
    "component 9": lambda p: jnp.max(jnp.array([p[0], p[9]])),
    "component 10": jax.jit(lambda p: p[10] ** 2),
    "component 11": jax.checkpoint(lambda p: p[11] ** 2),
    "component 12": lambda p: lax.cond(p[0] > 0, lambda: p[12], lambda: p[0]),
    "component 13": lambda p: lax.switch(1, [lambda: p[0], lambda: p[13]]),
    "component 14": lambda p: lax.dynamic_slice(p, (13,), (2,)).sum(),
    "component 15": lambda p: jnp.take_along_axis(p, jnp.array([15]), 0)[0],
}
LOOPS = [
    lambda p: turns(p, 4),
    lambda p: counted(p, 4),
    lambda p: lax.fori_loop(0, 4, lambda i, total: total + p[i], 0.0),
    lambda p: jax.vmap(lambda i: p[i])(jnp.arange(4)).sum(),
    lambda p: p[jnp.arange(3) * 2 - 1 + 1].sum(),
    lambda p: sum(p[i] for i in jnp.arange(3)),
]
WRITES = [
    lambda p: p.at[5].set(1.0).sum(),
    lambda p: p.at[-3].mul(2.0).sum(),
    lambda p: p.at[jnp.array([0, 5])].add(1.0).sum(),
    lambda p: lax.dynamic_update_slice(p, p[:1], (5,)).sum(),
]
OTHERS = [
    lambda p: DATA[7] * p[0],
    lambda p: TABLE[1, 3] * p[0],
    lambda p: TABLE[p[0].astype(int), 3] * p[0],
    lambda p: TABLE[FAR // 5, jnp.array([0, 3])].sum() * p[0],
    lambda p: jnp.take(DATA, jnp.array([1, 9])).sum() * p[0],
    lambda p: p.reshape(2, 1)[1, 1],
]
FINE = [
    lambda p: p[-2] + p[1:7].sum() + p[-9:].sum(),
    lambda p: p.at[5].get(mode="fill", fill_value=0.0) + p[0],
    lambda p: p.at[jnp.array([0, 9])].add(1.0, mode="drop").sum(),
    lambda p: p[jnp.array([0, 9])].sum() + p.at[FAR].get(mode="clip").sum(),
    lambda p: p[(p[0] > 0).astype(int) + 7],  # known only where the point is
    lambda p: jnp.interp(p[0], DATA, DATA) + DATA[jnp.searchsorted(DATA, p[1])],
    lambda p: jnp.where(jnp.arange(2) < 1, p[jnp.arange(2) + 1], 0.0).sum(),  # masked
    lambda p: lax.fori_loop(0, 2, lambda i, s: s + jnp.where(i < 1, p[i + 1], 0.0), 0.0),
    lambda p: (jnp.array([1.0, 0.0]) * p[jnp.array([0, 2])]).sum(),
    lambda p: lax.switch(1, [lambda: p[9], lambda: p[1]]),
    lambda p: turns(p, 2),
    lambda p: jnp.roll(p, 1)[0] + jnp.sort(p)[0] + jnp.median(p) + jnp.quantile(p, 0.3),
    lambda p: jnp.linalg.inv(jnp.outer(p, p) + jnp.eye(2)).sum() + jnp.convolve(p, p).sum(),
    lambda p: jax.ops.segment_sum(p, jnp.array([0, 9]), num_segments=2).sum(),
    lambda p: jnp.pad(p, 3)[7] + jnp.diff(p).sum() + jnp.cumsum(p)[1],
]


def refusal(fn, **more):
    more = more or {"domain": [(0.1, 0.9)] * 2}
    with pytest.raises(gdjax.ArgumentError) as caught:
        validate(Objective(name="f", fn=fn, **more))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("said", READS)
def test_a_component_that_is_not_there_is_named(said):
    assert f"f reads {said}, and the domain has 2" in refusal(READS[said])


@pytest.mark.parametrize("fn", LOOPS)
def test_so_is_one_that_a_loop_comes_to(fn):
    assert "f reads component 2, and the domain has 2" in refusal(fn)


@pytest.mark.parametrize("fn", WRITES)
def test_so_is_one_that_is_written(fn):
    assert "f writes component" in refusal(fn)


@pytest.mark.parametrize("fn", OTHERS)
def test_so_is_an_index_into_anything_else(fn):
    assert "f reads index" in refusal(fn)


@pytest.mark.parametrize("fn", range(len(FINE)))
def test_no_alarm_where_it_is_meant_or_masked_or_known_only_at_the_point(fn):
    f = Objective(name="f", fn=FINE[fn], domain=[(0.1, 0.9)] * 2)
    if fn == 3:  # one call on the line says how it is meant, and the other is believed too
        f = Objective(name="f", fn=lambda p: p.at[FAR].get(mode="clip").sum(), start=(1.0, 2.0))
    assert validate(f, numbers=False) is f


def test_the_gradient_by_hand_the_data_and_points_of_any_structure_are_looked_at():
    def square(p, *data):
        return (p**2).sum()

    def hand(p, *data):
        return 2 * p + 0 * p[1]

    wrong = {"gradient": lambda p: 2 * p + p[1], "domain": [(-5, 5)]}
    assert "the gradient of f reads component 1, and the domain has 1" in refusal(square, **wrong)
    validate(Objective(fn=square, gradient=hand, domain=[(-5, 5)]))  # weighed by nothing
    said = refusal(
        lambda p, rows, x: x[rows].sum() * p[0], start=(1.0,), args=(jnp.asarray(FAR), jnp.ones(3))
    )
    assert "f reads index 5 of an axis that has 3" in said
    said = refusal(lambda p: p["w"][2] + p["b"], start={"w": np.ones(2), "b": 1.0})
    assert "f reads index 2 of an axis that has 2 (line" in said
    assert "component 1, and the start has 1" in refusal(lambda p: p[0] + p[1], start=(1.0,))


def test_every_verb_refuses_it():
    def valley(p):
        return p[0] ** 2 + 3 * p[1] ** 2

    f, said = Objective(fn=valley, domain=[(-5, 5)]), "valley reads component 1, and the domain"
    for call in (
        lambda: jax.jit(lambda x: gdjax.descend(f, "adam", x, steps=2).values)(jnp.ones(1)),
        lambda: gdjax.sweep(f, "adam", steps=2),
        lambda: gdjax.theory.curvatures(f, [0.0]),
    ):
        with pytest.raises(gdjax.ArgumentError, match=said):
            call()
