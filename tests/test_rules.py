"""Rules for derivatives: right ones pass, and a rule that breaks a law is told which, and where."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import gdjax


def with_vjp(fn, forward=None, backward=None, **options):
    """A function of x, y with a ``custom_vjp``; what is not given is right."""

    def run(x, y):
        return fn(x, y)

    made = jax.custom_vjp(run)
    made.defvjp(forward or (lambda x, y: (fn(x, y), (x, y))), backward, **options)
    return made


def product(x, y):
    """Of a matrix and a vector, two outputs."""
    return {"a": x @ y, "b": jnp.sum(jnp.sin(y))}


def right(r, u):
    x, y = r
    return jnp.outer(u["a"], y), x.T @ u["a"] + u["b"] * jnp.cos(y)


X, Y = np.array([[1.0, -0.5, 2.0], [0.25, 1.5, -1.0]]), np.array([0.5, -1.25, 0.75])


def planted(r, u):
    gx, gy = right(r, u)
    return gx, gy.at[1].multiply(1.001)


def clipped(r, u):
    gx, gy = right(r, u)
    return gx, jnp.clip(gy, -0.1, 0.1)


def transposed(r, u):
    return jnp.outer(r[1], u["a"]).T + 0.1 * u["b"], right(r, u)[1]


def peeking(r, u):
    gx, gy = right(r, u)
    return (gx, gy) if u["b"] < 1e9 else (gx, 0 * gy)


def narrow(r, u):
    gx, gy = right(r, u)
    return gx, gy[None]


def aware(r, u):
    """Of symbolic zeros; forgets one output where the other is not used."""
    (x, y), zero = r, jax.custom_derivatives.SymbolicZero
    if isinstance(u["b"], zero):
        return jnp.outer(u["a"], y), 2 * (x.T @ u["a"])
    if isinstance(u["a"], zero):
        return None, u["b"] * jnp.cos(y)
    return right(r, u)


def aware_forward(x, y):
    return product(x.value, y.value), (x.value, y.value)


def _axis(batched):
    return 0 if batched else None


def nearly_vmapped(r, u):
    """Wrong only in a batch."""

    @jax.custom_batching.custom_vmap
    def back(x, y, a, b):
        return right((x, y), {"a": a, "b": b})

    @back.def_vmap
    def _(size, which, x, y, a, b):
        del size
        each = jax.vmap(lambda x, y, a, b: right((x, y), {"a": a, "b": b}), [*map(_axis, which)])
        found = each(x, y, a, b)
        return (found[0], 2 * found[1]), (True, True)

    return back(*r, u["a"], u["b"])


def other_value(x, y):
    found = product(x, y)
    return found | {"b": found["b"] + 1e-9}, (x, y)


BROKEN = {  # the law, what breaks it, its argument and component
    "derivative": ({"backward": planted}, "y", "y[1]"),
    "adjointness": ({"backward": planted}, "y", "y"),
    "linearity": ({"backward": clipped}, "y", None),
    "primal value": ({"backward": right, "forward": other_value}, "output", "output.b"),
    "jit": ({"backward": peeking}, "", ""),
    "vmap": ({"backward": nearly_vmapped}, "y", None),
    "layout": ({"backward": narrow}, "", ""),
    "one at a time": (
        {"backward": aware, "forward": aware_forward, "symbolic_zeros": True}, "y", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("law", BROKEN)
def test_a_broken_law_is_named_with_its_argument_and_component(law):
    rule, argument, component = BROKEN[law]
    report = gdjax.check_rule(with_vjp(product, **rule), X, Y, points=2)
    found = report.law(law)
    assert (report.ok, found.ok, found.argument) == (False, False, argument)
    assert component is None or found.component == component
    assert law in report.verdict
    others = {one.name for one in report.laws if one.ok is False} - {law}
    allowed = {
        "linearity": {"derivative", "adjointness"},  # a rule that is not linear is no pullback
        "derivative": {"adjointness"},
        "adjointness": {"derivative"},
    }
    assert others <= allowed.get(law, set())


def test_a_right_rule_of_matrices_and_several_outputs_obeys_every_law():
    report = gdjax.check_rule(with_vjp(product, backward=right), X, Y, points=2, order=2)
    assert report.ok, report
    assert {law.ok for law in report.laws if law.name != "integer arguments"} == {True}
    assert report.verdict == "ok, the custom_vjp obeys every law"
    assert report.jv == "from jax.jvp of the function without its rule"


def test_the_second_order_is_that_of_the_rule_itself():
    def frozen(r, u):  # right, but its own derivative forgets x
        return right((lax.stop_gradient(r[0]), r[1]), u)

    report = gdjax.check_rule(with_vjp(product, backward=frozen), X, Y, points=2, order=2)
    assert [law.name for law in report.laws if law.ok is False] == ["second order"]
    assert report.argument == "x"
