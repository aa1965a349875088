"""Certificates of functions in odd units, with offsets, in many dimensions, with loops."""

import jax
import jax.numpy as jnp
import numpy as np
import planted_errors
import pytest
from jax import lax

import gdjax
from gdjax import objectives
from gdjax.certificates import estimates, loops
from gdjax.certificates.problem import pose


def with_rule(fn, slope):
    """``fn`` with a derivative of its own: reverse mode believes it, forward mode has none."""
    ruled = jax.custom_vjp(fn)
    ruled.defvjp(lambda p: (fn(p), p), lambda p, c: (slope(p) * c,))
    return ruled


def in_units(p):
    return (p[0] * 1e-8) ** 2 + (p[1] * 1e8) ** 2


FULL = pytest.mark.full
UNITS = [(5e7, 1.5e8), (5e-9, 1.5e-8)]


@pytest.mark.parametrize("share", [-1.0, *(pytest.param(x, marks=FULL) for x in (1, 1 + 1e-12))])
def test_a_component_that_is_small_in_number_is_judged_by_its_own_rounding(share):
    wrong = lambda p: jax.grad(in_units)(p) * jnp.array([share, 1.0])  # noqa: E731
    report = gdjax.check_gradient(in_units, wrong, 20, domain=UNITS)
    assert report.ok == (share == 1) == (report.error < report.tolerance)
    assert report.ok or report.component == 0


@FULL
def test_an_entry_of_a_hessian_that_is_small_in_number_is_judged_by_its_own_rounding():
    hessian = jax.hessian(in_units)
    odd = gdjax.check_hessian(
        in_units, lambda p: hessian(p) * jnp.array([[-1.0, 1], [1, 1]]), 20, domain=UNITS
    )
    assert (odd.ok, odd.component) == (False, "(0, 0)")
    assert odd.patterns == ("component (0, 0) has its sign flipped",)


@pytest.mark.parametrize("name", ["rosenbrock", pytest.param("brown_dennis", marks=FULL)])
def test_planted_errors_are_caught_in_units_that_are_far_apart(name):
    f = planted_errors.scaled(objectives.get(name), 3)
    widths = np.ptp(np.asarray(f.domain), axis=1)
    assert widths[1] / widths[0] == pytest.approx(1e16)
    trial = planted_errors.try_objective(f, 40)
    assert (trial.missed, trial.invisible, trial.alarms) == ((), (), (0, 0))
    assert max(trial.share) < 0.25


@FULL
@pytest.mark.parametrize("number", range(len(planted_errors.RULES) * 2))
def test_planted_errors_in_rules_are_caught_in_every_kind_and_argument(number):
    f = objectives.get(("qfsp", "rosenbrock", "brown_dennis")[number % 3])
    f = planted_errors.scaled(f) if number % 2 else f
    trial = planted_errors.try_rule(f, number)
    assert (trial.planted, trial.missed, trial.alarms) == (1, (), (0, 0))
    assert trial.checks == trial.decided == (9, 0)
    assert 0 < trial.share[0] < 0.25


def test_a_rule_that_is_wrong_already_is_a_false_alarm_and_its_error_misplaced(monkeypatch):
    wrong = planted_errors.check_rule((np.sin, lambda x, u: (u * np.sin(x),)), 0.5, points=1)
    monkeypatch.setattr(planted_errors, "check_rule", lambda *_, **options: wrong)
    trial = planted_errors.try_rule(objectives.get("qfsp"), 1)
    assert trial.missed == ("qfsp: a custom_jvp, component 1 times 1.0001",)
    assert trial.alarms == (2, 0)


@pytest.mark.parametrize(
    ("offset", "share"),
    [
        (1e15, -1.0),
        pytest.param(1e9, 1.00001, marks=FULL),
        pytest.param(1e6, 1 + 1e-8, marks=FULL),
    ],
)
def test_the_complex_step_accuses_where_differences_resolve_nothing(offset, share):
    def fn(p):
        return offset + jnp.sin(p[0]) * p[1]

    ruled = with_rule(fn, lambda p: share * jax.grad(fn)(p))
    report = gdjax.check_gradient(ruled, points=20, domain=[(0.5, 2)] * 2)
    assert not report.ok
    assert report.estimates["reverse mode"].outliers == 22
    assert report.error > report.tolerance
    told = "has its sign flipped" if share < 0 else f"is off by a factor {share:.10g}"
    assert report.patterns == (f"the whole gradient {told}",)
    assert gdjax.check_gradient(with_rule(fn, jax.grad(fn)), points=20, domain=[(0.5, 2)] * 2).ok


def test_a_rule_that_is_stabler_than_the_function_is_not_accused():
    def cancels(p):  # the rule has all digits, and the function as it is few
        return jnp.sum((1 - jnp.cos(1e-5 * p)) / 1e-10)

    ruled = with_rule(cancels, lambda p: jnp.sin(1e-5 * p) / 1e-5)
    assert gdjax.check_gradient(ruled, points=50, domain=[(0.5, 2)] * 2).ok


@pytest.mark.parametrize(
    ("kinked", "by_hand"),
    [(True, False), *(pytest.param(*x, marks=FULL) for x in ((True, True), (False, True)))],
)
def test_a_wrong_component_of_a_thousand_is_named(by_hand, kinked):
    d = 300
    weights, bend = jnp.arange(1.0, d + 1), jnp.abs if kinked else jnp.sin

    def fn(p):
        return jnp.sum(jnp.exp(bend(p)) * weights.astype(p.dtype))

    def wrong(p):
        return jax.grad(fn)(p).at[217].multiply(-1)

    given = (fn, wrong) if by_hand else (with_rule(fn, wrong),)
    report = gdjax.check_gradient(*given, points=3, domain=[(0.5, 1)] * d)
    assert (report.ok, report.component) == (False, 217)
    subject = next(iter(report.estimates.values()))
    assert subject.value < 0  # what is certified, as it is
    assert report.error > report.tolerance


def test_many_dimensions_have_fewer_points_by_default_and_share_their_noise():
    def count(d):
        return pose(jnp.sum, None, "gradient", None, [(0, 1)] * d, None, 0).drawn

    assert [count(d) for d in (2, 100, 200, 20_000)] == [1000, 1000, 500, 10]
    tree = {"a": np.zeros(1000), "b": 0.0}
    assert pose(lambda p: p["b"], None, "gradient", None, None, tree, 0).drawn == 99


@FULL
def test_a_right_gradient_of_many_dimensions_is_not_accused():
    f = objectives.get("rosenbrock", dim=400)
    assert gdjax.check_gradient(f, points=20).ok


def root(a, tolerance):
    return lax.while_loop(lambda x: abs(x * x - a) > tolerance, lambda x: (x + a / x) / 2, a + 1)


def carried(a, tolerance):
    goes_on = lambda c: abs(c[0] ** 2 - c[1]) > tolerance  # noqa: E731
    return lax.while_loop(goes_on, lambda c: ((c[0] + a / c[0]) / 2, c[1]), (a + 1, a))[0]


def doubled(a, tolerance):
    return root(jnp.reshape(2 * a, (1,))[0] / 2, tolerance) + 0 * (2 * a)


@pytest.mark.parametrize(
    "solve", [carried, *(pytest.param(x, marks=FULL) for x in (root, doubled))]
)
def test_a_solver_with_a_tolerance_ends_under_roundings_and_is_certified(solve):
    def fn(p):
        return solve(p[0], 1e-6)

    ruled = with_rule(fn, lambda p: 0.5 / jnp.sqrt(p))
    report = gdjax.check_gradient(ruled, points=10, domain=[(1, 4)])
    assert np.isfinite(report.details.tolerances).all()
    # to be right about the root is to be off by what the tolerance leaves of it
    assert report.details.errors.max() < 1e-3
    wrong = with_rule(fn, lambda p: 0.4 / jnp.sqrt(p))
    assert not gdjax.check_gradient(wrong, points=10, domain=[(1, 4)]).ok


def test_a_loop_that_never_ends_is_left_out_and_told():
    def fn(p):  # beyond 3 it has ended before it begins
        return lax.while_loop(lambda x: x < 3, lambda x: x * 1.0, p[0])

    report = gdjax.check_gradient(fn, jnp.ones_like, np.array([[1.0], [2.0], [3.5], [4.0]]))
    assert report.left_out["where the function is not finite"] == 2
    assert report.warnings == (
        "a loop had not ended after 1,000 turns, as it is or with roundings, at 2 points, where "
        "its result counts as NaN",
    )


def test_a_gradient_by_a_loop_that_never_ends_ends():
    def solved(p, tolerance):  # of 2 x = p
        step = lambda x: x + 0.3 * (p - 2 * x)  # noqa: E731
        return lax.while_loop(lambda x: jnp.abs(2 * x - p).max() > tolerance, step, p)

    fn = lambda p: jnp.sum(p**2) / 4  # noqa: E731
    assert gdjax.check_gradient(fn, lambda p: solved(p, 1e-15), 5, domain=[(1, 2)] * 2).ok
    report = gdjax.check_gradient(fn, lambda p: solved(p, -1.0), 5, domain=[(1, 2)] * 2)
    assert not report.ok
    assert "a loop had not ended after 1,000 turns" in report.warnings[0]


def test_loops_may_take_ten_times_as_many_turns_as_they_need():
    def counts(p):
        return lax.while_loop(lambda c: c[0] < p[0], lambda c: (c[0] + 1, c[1] + 1), (0.0, 0.0))[1]

    with jax.enable_x64(True):
        for turns, wanted in ((30.0, 1_000), (700.0, 10_000), (3000.0, 100_000)):
            assert loops.enough(counts, np.array([[turns]])) == wanted
        nested = lambda x: lax.fori_loop(0, 1, lambda _, y: counts(y[None]), x[0])  # noqa: E731
        for limit, found in ((5, np.nan), (9, 7.0)):
            assert np.array_equal(
                loops.ending(nested, limit)(jnp.array([7.0])), found, equal_nan=True
            )


def test_a_certificate_says_how_far_its_budget_reached(monkeypatch):
    monkeypatch.setattr(estimates, "SECONDS", 0.0)
    monkeypatch.setattr(estimates, "CHUNK", 2000)
    report = gdjax.check_gradient(objectives.get("qfsp"), points=50)
    assert any("points were looked at, in" in said for said in report.warnings)
    assert len(report.details.points) < report.points


def test_a_gradient_of_less_than_double_precision_is_named():
    narrow = lambda p: (2 * p).astype(jnp.float32)  # noqa: E731
    report = gdjax.check_gradient(lambda p: jnp.sum(p**2), narrow, 10, domain=[(1, 2)] * 2)
    assert "hand computes in less than float64" in report.warnings[0]


def test_what_underflows_is_no_error_and_no_report_contradicts_itself():
    f = objectives.get("easom")  # e^(−r²) of r up to 140
    far = np.array([[-99.0, 98.0], [28.0, 17.0], [-23.0, 20.0]])
    tiny = np.array([[-4.76660728, -14.29207802], [22.31520844, 5.02748823]])  # squares of 0
    near = np.array([[3.0, 3.5], [3.2, 3.0], [2.9, 3.1]])
    report = gdjax.check_gradient(f, points=np.concatenate([far, tiny, near]))
    assert report.ok
    assert (report.details.tolerances[3:5] > 1e-15).all()
    root_of_square = gdjax.check_gradient(lambda p: jnp.sqrt(p[0] ** 2), points=[[0.0], [1e-30]])
    for said in (report, root_of_square):
        for found in said.behaviour.values():
            assert found.ok or found.error > found.tolerance or np.isnan(found.error)


@FULL
def test_what_others_miss_or_accuse_is_told_right():
    for kind, said in zip(planted_errors.KINDS, list(planted_errors.beside())[1:], strict=True):
        assert said.split()[len(kind.split())] == ("right" if kind.startswith("none") else "WRONG")
