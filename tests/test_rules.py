"""Rules for derivatives: right ones pass, and a rule that breaks a law is told which, and where."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import gdjax
from gdjax.certificates import laws
from gdjax.certificates.pullbacks import rule_of


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


full = pytest.mark.full
BROKEN = [  # the law, what breaks it, its argument and component, and what else breaks with it
    ("adjointness", {"backward": planted}, "y", "y", {"derivative"}),
    pytest.param("derivative", {"backward": planted}, "y", "y[1]", {"adjointness"}, marks=full),
    pytest.param(
        "linearity", {"backward": clipped}, "y", "",
        {"derivative", "adjointness", "one at a time"}, marks=full,
    ),
    pytest.param(
        "primal value", {"backward": right, "forward": other_value}, "output", "output.b", set(),
        marks=full,
    ),
    pytest.param("jit", {"backward": peeking}, "", "", set(), marks=full),
    pytest.param("vmap", {"backward": nearly_vmapped}, "y", "", {"derivative"}, marks=full),
    ("layout", {"backward": narrow}, "", "", set()),
    pytest.param(
        "one at a time",
        {"backward": aware, "forward": aware_forward, "symbolic_zeros": True}, "y", "", set(),
        marks=full,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("law", "rule", "argument", "component", "also"), BROKEN)
def test_a_broken_law_is_named_with_its_argument_and_component(
    law, rule, argument, component, also
):
    report = gdjax.check_rule(with_vjp(product, **rule), X, Y, points=2)
    found = report.law(law)
    assert (report.ok, found.ok, found.argument) == (False, False, argument)
    assert found.component == component or not component
    assert law in report.verdict
    assert {one.name for one in report.laws if one.ok is False} <= {law, *also}


@full
def test_a_right_rule_of_matrices_and_several_outputs_obeys_every_law():
    report = gdjax.check_rule(with_vjp(product, backward=right), X, Y, points=2, order=2)
    assert report.ok, report
    assert {law.ok for law in report.laws if law.name != "integer arguments"} == {True}
    assert report.verdict == "ok, the custom_vjp obeys every law"
    assert report.jv == "from jax.jvp of the function without its rule"


@full
def test_the_second_order_is_that_of_the_rule_itself():
    def frozen(r, u):  # right, but its own derivative forgets x
        return right((lax.stop_gradient(r[0]), r[1]), u)

    report = gdjax.check_rule(with_vjp(product, backward=frozen), X, Y, points=2, order=2)
    assert [law.name for law in report.laws if law.ok is False] == ["second order"]
    assert report.argument == "x"


# --- a function and its pullback, in NumPy: the same laws, on the host ----------------------------

M = np.random.default_rng(0).normal(size=(3, 3))


def layer(x, n):
    return np.tanh(M @ x) * n


def pullback(x, n, u):
    return M.T @ (n * u * (1 - np.tanh(M @ x) ** 2)), None


def with_value(x, n, more=0.0):
    return layer(x, n) + more, lambda u: pullback(x, n, u)


ON_HOST = {
    "right": (pullback, set()),
    "right, with its value": (with_value, set()),
    "transposed": (
        lambda x, n, u: (M @ (n * u * (1 - np.tanh(M @ x) ** 2)), None),
        {"derivative", "adjointness"},
    ),
    "primal": (lambda x, n: with_value(x, n, 1e-6), {"primal value"}),
    "nonlinear": (
        lambda x, n, u: (np.clip(pullback(x, n, u)[0], -0.1, 0.1), None),
        {"linearity", "derivative", "adjointness"},
    ),
    "an integer's": (lambda x, n, u: (pullback(x, n, u)[0], u.sum()), {"integer arguments"}),
    "layout": (lambda x, n, u: (pullback(x, n, u)[0][None], None), {"layout"}),
}


@pytest.mark.parametrize("case", ON_HOST)
def test_a_pair_on_the_host_obeys_the_laws_that_it_does(case):
    rule, broken = ON_HOST[case]
    report = gdjax.check_rule((layer, rule), np.array([0.1, 0.2, 0.3]), 2, points=2)
    assert {law.name for law in report.laws if law.ok is False} == broken
    assert report.ok == (not broken)
    if "layout" not in broken:
        assert report.jv.startswith("from central differences of the function, for")
    if broken - {"layout"}:
        wanted = {"an integer's": "n", "primal": "output"}.get(case, "x")
        assert report.argument == wanted


def test_a_complex_argument_has_the_cotangent_that_jax_gives_it():
    square = lambda z: np.asarray(z) ** 2  # noqa: E731
    assert gdjax.check_rule((square, lambda z, u: (2 * z * u,)), 1 + 2j, points=1).ok
    report = gdjax.check_rule((square, lambda z, u: (np.conj(2 * z) * u,)), 1 + 2j, points=1)
    assert report.law("derivative").component in ("z.real", "z.imag")


def test_arguments_can_be_held_constant_and_a_tolerance_granted():
    fn, args = (lambda x, y: np.sin(x) * y), (0.5, 2.0)
    rough = lambda x, y, u: (u * y * np.cos(x) * 1.00001, None)  # noqa: E731
    assert not gdjax.check_rule((fn, rough), *args, points=1, rtol=1e-4).ok
    assert not gdjax.check_rule((fn, rough), *args, points=1, nondiff_argnums=1).ok
    assert gdjax.check_rule((fn, rough), *args, points=1, nondiff_argnums=1, rtol=1e-4).ok


def test_assert_rule_fails_with_the_table_and_the_call():
    fn = lambda x: np.sin(x)  # noqa: E731
    gdjax.assert_rule((fn, lambda x, u: (u * np.cos(x),)), 0.5, points=1)
    with pytest.raises(AssertionError, match="BROKEN") as found:
        gdjax.assert_rule((fn, lambda x, u: (u * np.sin(x),)), 0.5, points=1)
    call = "to repeat: gdjax.check_rule((<lambda>, <lambda>), 0.5, points=1)"
    assert str(found.value).splitlines()[-1] == call


@full
def test_functions_static_arguments_and_kinks_are_taken_as_they_are():
    @functools.partial(jax.custom_vjp, nondiff_argnums=(0, 2))
    def apply(g, x, scale):
        return g(x) * scale

    apply.defvjp(
        lambda g, x, scale: (g(x) * scale, x),
        lambda g, scale, x, u: (u * scale * jax.vmap(jax.grad(g))(x),),
    )
    assert gdjax.check_rule(apply, jnp.sin, np.arange(3.0), 2.0, points=1).ok

    @jax.custom_jvp
    def relu(x):
        return jnp.maximum(x, 0)

    relu.defjvp(lambda p, t: (relu(*p), jnp.where(p[0] > 0, t[0], 0.0)))
    assert gdjax.check_rule(relu, np.array([0.0, 1.0, -1.0]), points=2).ok
    bent = jax.custom_jvp(jnp.sin)
    bent.defjvp(lambda p, t: (jnp.sin(*p), jnp.abs(t[0])))
    assert gdjax.check_rule(bent, 1.0, points=1).law("linearity").ok is False


def broken(x):
    raise KeyError(3)


@full
def test_what_fails_in_a_callback_is_told_in_one_line():
    @jax.custom_vjp
    def fn(x):
        return jax.pure_callback(
            broken, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="sequential"
        )

    fn.defvjp(lambda x: (fn(x), x), lambda x, u: (u,))
    for call in (
        lambda: gdjax.check_gradient(fn, points=3, around=1.0),
        lambda: gdjax.check_rule(lambda x: x * fn(x), 1.0, points=1),
    ):
        with pytest.raises(gdjax.ArgumentError, match="fails") as caught:
            call()
        assert str(caught.value).endswith("KeyError: 3")


SIBLINGS = {  # of rules: whether each is right, what it is, and what it is called with
    "a callable held constant": lambda k: (_of_a_callable(k), jnp.sin, np.arange(3.0)),
    "symbolic zeros, forward": lambda k: (_told_of_zeros(k), 2.0, 3.0),
    "float0": lambda k: (
        with_vjp(lambda x, n: x * n, backward=lambda r, u: (k * u * r[1], _float0(r[1]))),
        np.arange(1.0, 4), np.array([1, 2, 3]),
    ),
    "complex": lambda k: (_square(k), np.array([1 + 2j, 0.5 - 1j])),
    "an empty pytree": lambda k: (
        with_vjp(lambda x, y: jnp.sin(y), backward=lambda r, u: (r[0], k * u * jnp.cos(r[1]))),
        {}, 1.0,
    ),
    "half precision": lambda k: (
        with_vjp(
            lambda x, y: jnp.sin(x.astype(jnp.bfloat16)).astype(x.dtype) * y,
            backward=lambda r, u: (k**400 * u * jnp.cos(r[0]) * r[1], u * jnp.sin(r[0])),
        ),
        0.3, 2.0,
    ),
}  # fmt: skip


def _float0(n):
    return np.zeros(np.shape(n), jax.dtypes.float0)


def _of_a_callable(factor):
    made = jax.custom_vjp(lambda g, x: g(x) * 2, nondiff_argnums=(0,))
    made.defvjp(
        lambda g, x: (made(g, x), x), lambda g, x, u: (factor * 2 * u * jax.vmap(jax.grad(g))(x),)
    )
    return made


def _told_of_zeros(factor):
    made = jax.custom_jvp(lambda x, y: x * y)

    def rule(points, ways):
        shares = (factor * points[1], points[0])
        used = [
            a * b
            for a, b in zip(ways, shares, strict=True)
            if not isinstance(a, jax.custom_derivatives.SymbolicZero)
        ]
        return points[0] * points[1], sum(used, jnp.zeros_like(points[0]))

    made.defjvp(rule, symbolic_zeros=True)
    return made


def _square(factor):
    made = jax.custom_vjp(lambda z: z**2)
    made.defvjp(lambda z: (z**2, z), lambda z, u: (2 * factor * z * u,))
    return made


@full
@pytest.mark.parametrize("case", SIBLINGS)
def test_rules_of_every_kind_are_certified(case):
    for factor, ok in ((1.0, True), (1.001, False)):
        fn, *args = SIBLINGS[case](factor)
        assert gdjax.check_rule(fn, *args, points=1).ok == ok


@full
def test_a_callback_has_no_derivative_and_is_held_against_differences():
    @jax.custom_vjp
    def sine(x):
        return jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    sine.defvjp(lambda x: (sine(x), x), lambda x, u: (u * jnp.cos(x),))
    report = gdjax.check_rule(sine, np.arange(3.0), points=2)
    assert report.ok, report
    assert report.jv.startswith("from central differences")


# --- solvers: loops that end by a tolerance of their own ------------------------------------------


def newton(a, tolerance):
    return lax.while_loop(lambda x: abs(x * x - a) > tolerance, lambda x: (x + a / x) / 2, a + 1)


def by_newton(tolerance):
    return lambda a: newton(a, tolerance)


def by_fori(a):
    return lax.fori_loop(0, 40, lambda _, x: (x + a / x) / 2, a + 1)


def by_scan(a):
    return lax.scan(lambda x, _: ((x + a / x) / 2, None), a + 1, length=40)[0]


def implicit(solve):
    """A root with the rule of its equation, x² = a, times a factor."""

    def made(factor):
        root = jax.custom_vjp(lambda a: solve(a))
        root.defvjp(lambda a: (root(a),) * 2, lambda x, u: (factor * u / (2 * x),))
        return root

    return made


def by_custom_root(factor):
    slope = lambda g, y: factor * y / g(1.0)  # noqa: E731
    return lambda a: lax.custom_root(
        lambda x: x * x - a, 1.0 + 0 * a, lambda _, x: newton(a, 1e-14), slope
    )


SOLVERS = {
    "to the last digits": implicit(by_newton(1e-14)),
    "a fixed number of turns": implicit(by_fori),
    "a scan": implicit(by_scan),
    "custom_root": by_custom_root,
}


@full
@pytest.mark.parametrize("case", SOLVERS)
def test_an_implicit_rule_of_a_solver_is_certified(case):
    wrong = gdjax.check_rule(SOLVERS[case](1 + 1e-6), 2.0, points=2)
    assert {law.name for law in wrong.laws if law.ok is False} >= {"derivative", "adjointness"}
    assert wrong.certificate.patterns == ("component a is off by a factor 1.000001",)
    assert gdjax.check_rule(SOLVERS[case](1.0), 2.0, points=2).ok


@full
def test_a_solver_that_stops_early_is_told_of_and_its_tolerance_granted():
    made = implicit(by_newton(1e-6))
    early = gdjax.check_rule(made(1.0), 2.0)
    assert not early.ok
    assert 1e-8 < early.law("derivative").error < 1e-4
    assert "grant it by rtol or atol" in early.certificate.warnings[0]
    assert gdjax.check_rule(made(1.0), 2.0, rtol=1e-4).ok
    assert not gdjax.check_rule(made(1.001), 2.0, rtol=1e-4).ok


def test_a_rule_whose_loops_never_end_ends():
    root = implicit(by_newton(0.0))(1.0)
    with jax.enable_x64(True):
        for arg, left in ((4.0, [2.0, 0.25]), (3.0, [np.nan, np.nan])):
            rule = rule_of(root, (arg,), ())
            one = (np.array([arg]), np.ones(1), np.ones(1), np.ones(1))
            found = jax.jit(laws.bounded(rule, [one]).pull)(*one[:2])
            np.testing.assert_allclose(np.ravel(found), left)


@full
def test_a_rule_whose_loops_never_end_is_undecided():
    report = gdjax.check_rule(implicit(by_newton(0.0))(1.0), 3.0, points=2)
    assert not report.ok
    assert report.verdict.startswith("undecided: 0 of 3 points decide")
    assert "a loop had not ended" in report.certificate.warnings[0]


def test_laws_end_when_their_time_is_spent(monkeypatch):
    monkeypatch.setattr(laws, "SECONDS", 0.0)
    report = gdjax.check_rule((layer, pullback), np.array([0.1, 0.2, 0.3]), 2, points=2)
    assert report.law("linearity").said == "after 0 seconds 1 of 3 were looked at"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gdjax.check_rule(jnp.sin), "sin has no argument of floats to be differentiated"),
        (lambda: gdjax.check_rule(jnp.sin, np.zeros(0)), "has no argument of floats"),
        (lambda: gdjax.check_rule(jnp.sin, {}), "has no argument of floats"),
        (lambda: gdjax.check_rule(lambda x: x[:0], np.ones(2)), "<lambda> must return floats, got"),
        (lambda: gdjax.check_rule((jnp.sin,), 1.0), "a pair (function, pullback), got"),
        (lambda: gdjax.check_rule(lambda x: x @ x, 1.0), "cannot be called with these arguments"),
        (lambda: gdjax.check_rule(jax.custom_vjp(jnp.sin), 1.0), "No VJP defined"),
        (lambda: gdjax.check_rule(jnp.sin, np.nan), "args must be finite, got nan in x"),
        (lambda: gdjax.check_rule(jnp.sin, 1.0, order=3), "order must be 1 or 2, got 3"),
        (
            lambda: gdjax.check_rule(jnp.sin, 1.0, nondiff_argnums=1),
            "nondiff_argnums must be numbers of arguments, below 1, got 1",
        ),
        (
            lambda: gdjax.check_rule((lambda x, y: x * y, lambda x, y, u: (u * y,)), 1.0, 2.0),
            "a pullback must return one cotangent for each of 2 arguments, got 1",
        ),
    ],
)
def test_bad_calls_say_what_is_wrong(call, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        call()
    assert message in str(caught.value)
