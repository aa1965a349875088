"""What engineers bring to a certificate: data, complex points, pytrees, domains, dead regions."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax
from gdjax.certificates.lifting import lifted
from gdjax.certificates.sampling import sample
from gdjax.objectives.domains import pairs_of
from gdjax.objectives.structure import Structure

rng = np.random.default_rng(0)
A64 = rng.normal(size=(3, 3))
A = jnp.asarray(A64, jnp.float32)
TWICE, THRICE, SUM = 2 * A, 3 * A, A + A.T
CUBE, CUBE_OF_30 = [(-2, 2)] * 3, [(-30, 30)] * 3
LINEAR = eqx.nn.Linear(3, 2, key=jax.random.key(0))
MLP = eqx.nn.MLP(2, "scalar", 2, 1, key=jax.random.key(0))
X2 = np.array([0.1, 0.2])


def cases(table, *everyday):
    """The names of cases, of which some are for every day."""
    full = pytest.mark.full
    return [pytest.param(case, marks=() if case in everyday else full) for case in table]


def check(fn, gradient=None, points=12, domain=CUBE, **options):
    return gdjax.check_gradient(fn, gradient, points, domain=domain, **options)


# --- data ---------------------------------------------------------------------------------------

SAME = {  # function, and the factory of its gradient with a factor
    "the same array": (lambda p: p @ A @ p, lambda k: lambda p: k * (A @ p + p @ A)),
    "computed in single precision": (
        lambda p: 0.5 * p @ A @ p,
        lambda k: lambda p: k * (0.5 * (A + A.T) @ p),
    ),
    "a factor that meets the array first": (
        lambda p: p @ A @ p,
        lambda k: lambda p: float(k) * (A + A.T) @ p,
    ),
    "twice it, and transposed": (
        lambda p: p @ A @ p,
        lambda k: lambda p: k * ((TWICE + 2 * A.T) @ p) / 2,
    ),
    "a module": (
        lambda p: jnp.sum(LINEAR(p) ** 2),
        lambda k: lambda p: k * (2 * LINEAR.weight.T @ LINEAR(p)),
    ),
    "half precision": (
        lambda p: p @ A.astype(jnp.bfloat16) @ p,
        lambda k: lambda p: k * (A.astype(jnp.bfloat16) @ p + p @ A.astype(jnp.bfloat16)),
    ),
    "NumPy's, in double": (lambda p: p @ A64 @ p, lambda k: lambda p: k * (A64 + A64.T) @ p),
}


@pytest.mark.parametrize("case", cases(SAME, "computed in single precision"))
def test_data_that_both_hold_are_exact(case):
    fn, gradient = SAME[case]
    right, wrong = check(fn, gradient(1.0)), check(fn, gradient(1 + 1e-6))
    assert (right.ok, wrong.ok) == (True, False)
    assert right.error < 1e-14
    assert right.tolerance < 1e-12
    assert right.warnings == ()


STRANGE = {
    "a sum made before": (lambda p: p @ A @ p, lambda p: SUM @ p, "float32 (3, 3)"),
    "a multiple made before": (
        lambda p: 3 * jnp.sum(A @ p),
        lambda p: THRICE.sum(0),
        "float32 (3, 3)",
    ),
    "one that only the function holds": (
        lambda p: p @ SUM @ p / 2,
        lambda p: (A + A.T) @ p,
        "only the function holds float32 (3, 3)",
    ),
    "double beside single": (
        lambda p: jnp.sum(A @ p),
        lambda p: jnp.asarray(A64.sum(0)),
        "float32 (3, 3)",
    ),
    "a number": (lambda p: jnp.sum(jnp.float32(0.7) * p**2), lambda p: 1.4 * p, "0.699999988"),
}


@pytest.mark.parametrize("case", cases(STRANGE, "a number"))
def test_data_that_one_side_holds_raise_no_false_alarm_and_are_named(case):
    fn, gradient, said = STRANGE[case]
    report = check(fn, gradient)
    assert report.ok
    assert 1e-8 < report.error < report.tolerance < 1e-4
    (warning,) = report.warnings
    assert said in warning
    assert "are not seen" in warning


@pytest.mark.full
@pytest.mark.parametrize("case", STRANGE)
def test_data_that_one_side_holds_hide_no_error_beyond_their_rounding(case):
    fn, gradient, _ = STRANGE[case]
    assert not check(fn, lambda p: 1.00001 * gradient(p)).ok


def test_data_in_a_custom_rule_are_exact():
    def rule(factor):
        square = jax.custom_vjp(lambda p: p @ A @ p)
        square.defvjp(lambda p: (square(p), p), lambda p, g: (factor * g * ((A + A.T) @ p),))
        return square

    assert not check(rule(1 + 1e-6)).ok


def test_data_in_args_are_double_for_both():
    f = gdjax.Objective(
        fn=lambda p, a: p @ a @ p,
        gradient=lambda p, a: (1 + 1e-9) * (a + a.T) @ p,
        domain=CUBE,
        args=(A,),
    )
    assert not gdjax.check_gradient(f, points=12).ok


def test_what_is_lifted_computes_the_same_through_rules_and_loops():
    data = jnp.arange(3, dtype=jnp.float32) / 7

    @jax.custom_jvp
    def rule(x):
        return jnp.sin(x)

    rule.defjvp(lambda x, t: (rule(*x), 99 * t[0]))

    def fn(x):
        loop, _ = jax.lax.scan(lambda c, d: (c * d + x, None), x, data)
        row = jax.jit(lambda y: jnp.where(y > 0, y, 0) @ data)(x * data)
        return rule(loop.sum() + row) + jnp.linalg.norm(data) + jnp.arange(3, dtype=jnp.float32)[2]

    x = np.ones(3)
    with jax.enable_x64(True):
        for one, other in ((fn, lifted(fn)), (jax.grad(fn), lifted(jax.grad(fn)))):
            np.testing.assert_allclose(one(x), jax.jit(other)(x), rtol=1e-6)
    single = np.ones(3, np.float32)
    np.testing.assert_array_equal(jax.jit(fn)(single), jax.jit(lifted(fn))(single))


# NumPy data in a closure, its siblings in modules and in linear algebra
B = np.array([[2.0, 1, 0], [1, 3, 1], [0, 1, 4]])
C = np.array([0.1, 0.2, 0.3])
CLOSED = {
    "dot": (lambda p: jnp.dot(C, p) ** 2, lambda p: 2 * jnp.dot(C, p) * C),
    "solve": (lambda p: p @ jnp.linalg.solve(B, p), lambda p: 2 * jnp.linalg.solve(B, p)),
    "cholesky": (
        lambda p: jnp.sum(jax.scipy.linalg.cho_solve((np.linalg.cholesky(B), True), p)),
        lambda p: jnp.linalg.solve(B, jnp.ones(3)),
    ),
    "a NumPy scalar": (lambda p: np.float64(0.1) * p @ p, lambda p: np.float64(0.2) * p),
    "a 0-d array": (lambda p: np.array(0.1) * (p @ p), lambda p: 2 * np.array(0.1) * p),
    "an index": (lambda p: p[np.array([0, 2])].sum(), lambda p: jnp.array([1.0, 0, 1])),
    "a jitted function": (jax.jit(lambda p: (C * p).sum()), lambda p: jnp.asarray(C)),
    "interpolation": (
        lambda p: jnp.interp(p[0], np.arange(-3.0, 4), np.arange(-3.0, 4) ** 2),
        jax.grad(lambda p: jnp.interp(p[0], np.arange(-3.0, 4), np.arange(-3.0, 4) ** 2)),
    ),
}


@pytest.mark.parametrize("case", cases(CLOSED, "dot"))
def test_numpy_data_in_a_closure(case):
    fn, gradient = CLOSED[case]
    assert check(fn, gradient).ok
    single = fn(np.ones(3, np.float32))  # JAX is whole afterwards
    np.testing.assert_allclose(single, jax.jit(fn)(np.ones(3, np.float32)), rtol=1e-6)


@pytest.mark.full
def test_parameters_of_a_network_by_name_as_flax_has_them():
    def dense(params, x):
        return jnp.tanh(x @ params["kernel"] + params["bias"])

    def loss(tree):
        return jnp.sum(dense(tree["params"]["Dense_0"], X2) ** 2)

    start = {"params": {"Dense_0": {"kernel": np.ones((2, 3), np.float32), "bias": np.zeros(3)}}}
    right = jax.grad(loss)
    wrong = lambda t: jax.tree.map(lambda x: x * (1 + (x.ndim == 1)), right(t))  # noqa: E731
    report = gdjax.check_gradient(loss, wrong, 9, around=start)
    assert not report.ok
    assert report.component.startswith("params.Dense_0.bias")


# --- modules, and what is refused in one line -----------------------------------------------------


@pytest.mark.parametrize("way", cases(("points", "a list", "around"), "a list"))
def test_a_module_with_an_activation_in_its_leaves(way):
    given = {
        "points": {"points": MLP},
        "a list": {"points": [MLP, MLP]},
        "around": {"around": MLP, "points": 5},
    }[way]
    loss = lambda module: module(X2) ** 2  # noqa: E731
    half = lambda module: jax.tree.map(lambda x: x / 2, eqx.filter_grad(loss)(module))  # noqa: E731
    report = gdjax.check_gradient(loss, half, **given)
    assert report.patterns[0].endswith("off by a factor 0.5")
    assert report.component.startswith("layers[")


CALLBACK = lambda p: jax.pure_callback(np.sum, jax.ShapeDtypeStruct((), p.dtype), p)  # noqa: E731
REFUSED = {
    "bool gradient": (
        lambda: check(jnp.sum, lambda p: p > 0),
        "must be an array of shape (3,), of real numbers, got bool of shape (3,)",
    ),
    "complex gradient": (
        lambda: check(jnp.sum, lambda p: p + 0j),
        "of real numbers, got complex128 of shape (3,)",
    ),
    "ragged points": (
        lambda: gdjax.check_gradient(jnp.sum, None, [[1.0, 2.0], [3.0]]),
        "every point must be an array of shape (2,), got an array of shape (1,)",
    ),
    "callback": (lambda: check(CALLBACK, lambda p: p), "vmap_method='sequential'"),
    "callback in a gradient": (
        lambda: check(jnp.sum, lambda p: p * CALLBACK(p)),
        "the gradient of sum cannot be computed at several points",
    ),
    "neither real nor holomorphic": (
        lambda: check(lambda z: jnp.sum(z * z.conj() + 1j * z.real), domain=[(-1 - 1j, 1 + 1j)]),
        "must return a real number or be holomorphic",
    ),
    "complex at real points": (
        lambda: check(lambda p: jnp.sum(p + 1j)),
        "must return one real number, got complex128",
    ),
    "complex beside real": (
        lambda: gdjax.check_gradient(lambda p: p["a"] * p["z"], around={"a": 1.0, "z": 1j}),
        "returns a complex number at points with real ones",
    ),
    "Hessian at complex points": (
        lambda: gdjax.check_hessian(lambda z: jnp.sum(abs(z) ** 2), None, [[1j]]),
        "points must be real for a Hessian",
    ),
    "domain of other leaves": (
        lambda: gdjax.check_gradient(
            lambda p: p["a"], around={"a": 1.0, "b": np.ones(2)}, domain={"a": (0, 1)}
        ),
        "domain must be a (low, high) pair, or one for each leaf of a pytree of a (), b (2,)",
    ),
    "domain of another shape": (
        lambda: gdjax.check_gradient(lambda p: p["b"].sum(), domain={"b": [(0, 1, 2)]}),
        "domain must be a (low, high) pair, got [(0, 1, 2)]",
    ),
    "domain of no length": (
        lambda: gdjax.check_gradient(lambda p: p["b"], domain={"b": (1, 1)}),
        "domain needs finite low < high",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_certified_is_refused_in_one_line(untyped, case):
    call, message = REFUSED[case]
    with pytest.raises(gdjax.ArgumentError) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# --- complex points -----------------------------------------------------------------------------

Z = np.array([1 + 2j, 3 - 1j])
H = np.array([[1, 2j], [-2j, 3]])
COMPLEX = {
    "squared modulus": (lambda z: jnp.sum(jnp.abs(z) ** 2), lambda z: 2 * z.conj()),
    "Hermitian form": (lambda z: (z.conj() @ H @ z).real, lambda z: 2 * (H @ z).conj()),
    "holomorphic": (lambda z: jnp.sum(z * jnp.exp(z)), lambda z: (1 + z) * jnp.exp(z)),
    "spectrum": (
        lambda z: jnp.abs(jnp.fft.fft(z)[1]) ** 2,
        lambda z: 2 * (z[0] - z[1]).conj() * np.array([1, -1]),
    ),
}


@pytest.mark.parametrize("case", cases(COMPLEX, "Hermitian form"))
def test_complex_points_in_the_convention_of_jax(case):
    fn, gradient = COMPLEX[case]
    around = {"around": Z, "domain": None}
    right = check(fn, gradient, **around)
    assert right.ok
    assert right.behaviour["float32"].ok
    assert not check(fn, lambda z: gradient(z).conj(), **around).ok


@pytest.mark.parametrize(
    "points", [[Z, 2 * Z], [[1 + 2j, 3 - 1j], [1j, 2.0]], Z, [1 + 2j, 3 - 1j], Z[None]]
)
def test_complex_points_are_given_as_others_are(points):
    found = sample(points, None, None, rng, None)
    given = found.structure.unflatten(found.points[0])
    np.testing.assert_array_equal(given, Z if np.ndim(given) else Z[0])
    np.testing.assert_array_equal(found.points[0], [1, 3, 2, -1])


@pytest.mark.full
def test_complex_leaves_beside_real_ones():
    fn = lambda p: p["a"] * jnp.sum(jnp.abs(p["z"]) ** 2)  # noqa: E731

    def gradient(p, factor=1.0):
        size = jnp.sum(jnp.abs(p["z"]) ** 2)
        return {"a": size, "z": factor * 2 * p["a"] * p["z"].conj()}

    domain = {"a": (1, 2), "z": (-1 - 2j, 1 + 0j)}
    assert check(fn, gradient, domain=domain).ok
    report = check(
        fn, lambda p: gradient(p, factor=1 + 1e-9), around={"a": 2.0, "z": Z}, domain=None
    )
    assert report.component.startswith("z.")
    assert np.iscomplexobj(report.worst_point["z"])


# --- where it looks -----------------------------------------------------------------------------


def test_around_spreads_by_a_tenth_of_each_number():
    around = {"A": 9e4, "k": 1e-5, "w": np.array([0.0, 30.0, 40.0]), "z": np.zeros(2), "c": 3 + 4j}
    found = sample(4000, None, around, rng, None)
    names = ("A", "c.real", "c.imag", "k", "w[0]", "w[1]", "w[2]", "z[0]", "z[1]")
    assert found.structure.names == names
    middle = np.array([9e4, 3, 4, 1e-5, 0, 30, 40, 0, 0])
    size = np.array([9e4, 5, 5, 1e-5, np.sqrt(2500 / 3), 30, 40, 1, 1])
    np.testing.assert_allclose((found.points - middle).std(axis=0), 0.1 * size, rtol=0.06)
    np.testing.assert_allclose((found.points - middle).mean(axis=0) / size, 0, atol=0.01)


BY_LEAF = {
    "pairs": ({"a": (0, 1), "w": (2, 3)}, [(0, 1), (2, 3), (2, 3)]),
    "by component": ({"a": (0, 1), "w": [(2, 3), (4, 5)]}, [(0, 1), (2, 3), (4, 5)]),
    "an array": ({"a": (0, 1), "w": np.array([(2, 3), (4, 5)])}, [(0, 1), (2, 3), (4, 5)]),
    "arrays of ends": (
        {"a": (0, 1), "w": (np.array([2, 4]), np.array([3, 5]))},
        [(0, 1), (2, 3), (4, 5)],
    ),
    "a number and an array": ({"a": (0, 1), "w": (0, np.array([3, 5]))}, [(0, 1), (0, 3), (0, 5)]),
    "one for all": ((-1, 1), [(-1, 1)] * 3),
    "flat": ([(0, 1), (2, 3), (4, 5)], [(0, 1), (2, 3), (4, 5)]),
}


@pytest.mark.parametrize("case", BY_LEAF)
def test_domains_by_leaf_and_by_component(case):
    domain, pairs = BY_LEAF[case]
    point = {"a": 0.5, "w": np.ones(2)}
    np.testing.assert_array_equal(pairs_of(domain, Structure(point)), pairs)
    fn = lambda p: p["a"] ** 2 + jnp.sum(p["w"] ** 2)  # noqa: E731
    f = gdjax.Objective(fn=fn, domain=domain, start=point)
    np.testing.assert_array_equal(f.domain, pairs)
    found = sample(50, domain, point, rng, None)
    np.testing.assert_array_equal(found.domain, pairs)
    np.testing.assert_array_equal(found.width, np.ptp(pairs, axis=1))
    if case in ("by component", "an array", "arrays of ends"):  # they say what points are like
        found = sample(50, domain, None, rng, None)
        assert found.structure.names == ("a", "w[0]", "w[1]")
        low, high = np.array(pairs).T
        assert ((found.points >= low) & (found.points <= high)).all()
        np.testing.assert_array_equal(gdjax.Objective(fn=fn, domain=domain).domain, pairs)


def test_a_domain_by_leaf_draws_the_points_of_a_certificate():
    fn = lambda p: p["a"] ** 2 + jnp.sum(p["w"] ** 2)  # noqa: E731
    wrong = lambda p: {"a": 2 * p["a"], "w": p["w"]}  # noqa: E731
    report = check(fn, wrong, domain={"a": (2, 3), "w": [(-1, 1), (-3, -2)]})
    assert report.component == "w[1]"
    assert (report.details.points[:, 2] <= -2).all()


# --- certificates that nothing decides ------------------------------------------------------------


def bump(factor, centre=0.0, power=50.0):
    fn = lambda p: jnp.exp(-power * jnp.sum((p - centre) ** 2))  # noqa: E731
    return fn, lambda p: -factor * power * (p - centre) * fn(p)


@pytest.mark.full
@pytest.mark.parametrize("way", ["domain", "around"])
def test_where_a_function_underflows_it_is_looked_for_where_it_does_not(way):
    where = {"domain": {"domain": CUBE_OF_30}, "around": {"domain": None, "around": [9.0, 20, 30]}}
    right, wrong = (check(*bump(factor), points=99, **where[way]) for factor in (2, 1))
    assert (right.ok, wrong.ok) == (True, False)
    assert wrong.patterns == ("the whole gradient is off by a factor 0.5",)
    assert "more were drawn closer to" in right.warnings[0]


DEAD = {
    "a bump that is not found": (
        *bump(1, centre=7.0),
        {"domain": [(-30, 30)] * 3},
        "derivative is 0",
    ),
    "points where it underflows": (
        *bump(1),
        {"points": [[20.0, 20.0]] * 5, "domain": None},
        "give points where",
    ),
    "saturated": (
        lambda p: jnp.tanh(1e4 * p).sum(),
        lambda p: p * 0,
        {"domain": [(5, 9)] * 2},
        "where rounding leaves nothing to decide",
    ),
    "a dead unit": (
        lambda p: jax.nn.relu(p).sum(),
        lambda p: 2.0 * (p > 0),
        {"domain": [(-3, -1)] * 2},
        "is 0",
    ),
    "not finite": (
        lambda p: jnp.log(p).sum(),
        lambda p: 2 / p,
        {"domain": [(-3, -1)] * 2},
        "not finite",
    ),
    "all kinks": (
        lambda p: jnp.abs(p).sum(),
        lambda p: p,
        {"points": np.zeros((4, 2)), "domain": None},
        "kink",
    ),
    "the minimum alone": (
        lambda p: p @ p,
        lambda p: -2 * p,
        {"points": [[0.0, 0.0]], "domain": None},
        "is 0",
    ),
}


@pytest.mark.parametrize("case", cases(DEAD, "the minimum alone"))
def test_where_no_point_decides_the_verdict_is_undecided(case):
    fn, gradient, where, reason = DEAD[case]
    report = check(fn, gradient, **where)
    assert (report.ok, report.undecided) == (False, True)
    assert report.verdict.startswith("undecided: 0 of ")
    assert reason in report.verdict
    assert "worst at" not in str(report)
    assert str(report._repr_html_())
    gdjax.plotting.certificate(report)  # of what it has
    with pytest.raises(AssertionError, match="undecided"):
        gdjax.assert_gradient(fn, gradient, where.get("points", 12), domain=where["domain"])


def test_a_derivative_that_is_0_by_its_program_is_right():
    assert check(lambda p: jnp.floor(p).sum(), jnp.zeros_like).ok


@pytest.mark.full
def test_a_constant_and_a_hessian_of_0_are_right_and_a_slope_of_steps_is_wrong():
    assert check(lambda p: 3.0).ok
    assert not check(lambda p: jnp.floor(p).sum(), jnp.ones_like).ok
    assert gdjax.check_hessian(lambda p: p.sum(), domain=CUBE, points=5).ok


@pytest.mark.full
def test_interpolation_by_floor_and_ceil_is_decided():
    table = np.array([0.0, 1, 4, 9, 16, 25])

    def fn(p):
        low, high = jnp.floor(p[0]), jnp.ceil(p[0])
        values = jnp.asarray(table)
        return values[low.astype(int)] * (1 - p[0] + low) + values[high.astype(int)] * (p[0] - low)

    points = np.linspace(0, 4, 33)[:, None] + 1 / 64
    report = check(fn, lambda p: 2 * jnp.floor(p) + 1, points, domain=None)
    assert report.ok
    assert sum(report.left_out.values()) == 0
    assert not check(fn, lambda p: 2 * p, points, domain=None).ok
