"""Certificates: right gradients pass, wrong ones are found, located and described."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import gdjax
from gdjax import objectives
from gdjax.descent import as_precision
from gdjax.gradients import selftest
from gdjax.gradients.arithmetic import Unit, trace, with_noise
from gdjax.gradients.certificate import conclude
from gdjax.gradients.patterns import patterns
from gdjax.gradients.problem import pose
from gdjax.gradients.referees import Referees

SQUARE = [(-2, 2)] * 2
QFSP = objectives.get("qfsp")


def drop_wave(point, guarded):
    """Smooth at 0, where a plain ``sqrt`` has no gradient and a guarded one the wrong Hessian."""
    squared = jnp.sum(point**2)
    if guarded:
        off = squared > 0
        radius = jnp.where(off, jnp.sqrt(jnp.where(off, squared, 1.0)), 0.0)
    else:
        radius = jnp.sqrt(squared)
    return -(1 + jnp.cos(12 * radius)) / (squared / 2 + 2)


def drop_wave_gradient(point):
    squared = jnp.sum(point**2)
    off = squared > 0
    radius = jnp.sqrt(jnp.where(off, squared, 1.0))
    below = squared / 2 + 2
    along = 12 * jnp.sin(12 * radius) / (radius * below) + (1 + jnp.cos(12 * radius)) / below**2
    return jnp.where(off, along, 0.0) * point


@pytest.mark.parametrize("name", ["qfsp", "helical_valley", "brown_badly_scaled"])
def test_planted_errors_are_caught_and_right_gradients_are_not_accused(name):
    trial = selftest.try_objective(objectives.get(name), points=300)
    assert trial.missed == trial.invisible == ()
    assert trial.alarms == (0, 0)
    assert min(trial.decided) > 280
    # a right gradient comes nowhere near its tolerance, in either precision
    assert max(trial.share) < 0.25
    assert selftest.join([trial, trial]).planted == 2 * trial.planted


@pytest.fixture(scope="module")
def planted():
    """The report on QFSP with its gradient mended, without compiling anything again."""
    problem = pose(QFSP, None, "gradient", 200, None, None, 0)
    referees = Referees(problem)
    double, single = (referees(problem.points, precision) for precision in ("float64", "float32"))
    computed = referees.single(problem.points)

    def report(mend):
        with as_precision("float64"):
            hand = jax.vmap(mend)(problem.points, double.sides["hand"])
        evidence = double._replace(sides=double.sides | {"hand": np.asarray(hand)})
        return conclude(problem, "float64", evidence, single, computed)

    return report


@pytest.mark.parametrize(
    ("mend", "component", "pattern"),
    [
        (lambda p, g: g.at[1].multiply(1.0001), 1, "component 1 is off by a factor 1.0001"),
        (lambda p, g: -g, None, "the whole gradient has its sign flipped"),
        (lambda p, g: g.at[0].multiply(-1), 0, "component 0 has its sign flipped"),
        (lambda p, g: g.at[0].multiply(-2), 0, "has its sign flipped and is off by a factor 2"),
        (lambda p, g: g.at[0].set(0), 0, "component 0 is 0 where it should not be"),
        (lambda p, g: g[::-1], None, "components 0 and 1 are swapped"),
        (lambda p, g: g.at[1].add(-3 * p[0]), 1, "component 1 is off by -3 x[0]: a term is"),
        (lambda p, g: g.at[0].add(p[0] * p[1]), 0, "component 0 is off by +1 x[0] x[1]: a term"),
        (lambda p, g: g.at[1].divide(p[0]), 1, "component 1 lacks a factor x[0]"),
        (lambda p, g: g.at[1].multiply(p[0] ** 2), 1, "component 1 has a factor x[0]^2 too many"),
        (lambda p, g: g.at[0].add(0.5), 0, "component 0 is off by +0.5: a term is missing"),
        (lambda p, g: g.at[0].add(jnp.exp(p @ p / 40)), 0, "off by more the farther the point"),
        (lambda p, g: g.at[0].add(jnp.where(p[1] > 3, p[0], 0)), 0, "wrong only where x[1] > 2."),
        (lambda p, g: g / 0, None, "component 0 is not finite at"),
    ],
)
def test_a_wrong_gradient_is_located_and_described(planted, mend, component, pattern):
    report = planted(mend)
    assert not report.ok
    assert report.error > report.tolerance
    assert component in (None, report.component)
    assert pattern in "; ".join(report.patterns)
    assert report.sides["hand"].odd > 0
    assert report.sides["reverse mode"].odd == report.sides["differences"].odd == 0
    for word in ("WRONG: the hand-derived gradient is the odd one out", pattern, "tolerance"):
        assert word in str(report)


def test_the_errors_of_each_side_are_signed_and_the_sides_agree():
    report = gdjax.check_gradient(QFSP, lambda p: QFSP.gradient(p) * jnp.array([1, 0.5]), 200)
    x, y = report.worst_point
    slope = np.array([2 * x + 10 * np.cos(x) * np.sin(y), 2 * y + 10 * np.sin(x) * np.cos(y)])
    share = -0.5 * slope[1] / np.linalg.norm(slope)
    assert report.sides["hand"].error == pytest.approx(share)
    assert report.sides["complex step"].value == pytest.approx(slope[1], rel=1e-13)
    assert report.sides["differences"].value == pytest.approx(slope[1], rel=1e-7)
    assert report.sides["forward mode"].value == pytest.approx(slope[1], rel=1e-13)


def test_a_wrong_autodiff_is_told_from_a_wrong_hand_derived_gradient():
    def plain(point):
        return drop_wave(point, guarded=False)

    report = gdjax.check_gradient(plain, drop_wave_gradient, 100, domain=SQUARE)
    assert report.ok
    assert report.sides["reverse mode"].odd == 1
    assert "by autodiff is not finite at 1 point, such as (0, 0)" in report.warnings[0]
    alone = gdjax.check_gradient(plain, points=100, domain=SQUARE)
    assert not alone.ok
    assert alone.worst_point == (0, 0)

    @jax.custom_jvp
    def cube(x):
        return x**3

    cube.defjvp(lambda x, t: (x[0] ** 3, 2 * x[0] ** 2 * t[0]))
    both = gdjax.check_gradient(
        lambda p: cube(p[0]), lambda p: jnp.array([2 * p[0] ** 2]), 100, domain=[(1, 2)]
    )
    assert "hand and autodiff differ from what the values say" in both.verdict
    assert both.patterns == ("component 0 is off by a factor 0.6666667",)


def test_a_guard_that_spoils_the_hessian_is_found():
    def guarded(point):
        return drop_wave(point, guarded=True)

    assert gdjax.check_gradient(guarded, points=100, domain=SQUARE).ok
    report = gdjax.check_hessian(guarded, points=100, domain=SQUARE)
    assert not report.ok
    assert report.worst_point == (0, 0)
    assert report.component in ("(0, 0)", "(1, 1)")
    assert report.sides["forward over reverse"].value == pytest.approx(0.5)
    assert report.sides["differences"].value == pytest.approx(72.5)  # 12²/2 + 1/2


def test_a_hand_derived_hessian_is_certified():
    def hessian(point):
        x, y = point
        cross = 10 * jnp.cos(x) * jnp.cos(y)
        same = 2 - 10 * jnp.sin(x) * jnp.sin(y)
        return jnp.array([[same, cross], [cross, same]])

    assert gdjax.check_hessian(QFSP, hessian, 100).ok
    wrong = gdjax.check_hessian(QFSP, lambda p: hessian(p).at[0, 1].multiply(-1), 100)
    assert wrong.component == "(0, 1)"
    assert wrong.patterns == ("component (0, 1) has its sign flipped",)


def test_any_function_of_a_pytree_is_certified_and_its_components_keep_their_names():
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=(6, 7)), "b": [rng.normal(size=7), 0.3]}

    def loss(tree):
        return jnp.sum(jnp.tanh(tree["w"] @ tree["b"][0] + tree["b"][1]) ** 2)

    def wrong(tree):
        slope = jax.grad(loss)(tree)
        slope["w"] = slope["w"].at[3, 4].multiply(1.01)
        return slope

    report = gdjax.check_gradient(loss, wrong, 20, around=weights)
    assert "random directions" in report.sides["differences"].remark
    assert report.component == "['w'][3, 4]"
    assert report.patterns == ("component ['w'][3, 4] is off by a factor 1.01",)
    assert report.worst_point["w"].shape == (6, 7)


def test_points_can_be_given():
    grid = np.array([[0.5, 1.0], [1.5, -1.0]])
    for points in (grid, list(grid), [{"p": point} for point in grid]):
        tree = pose(lambda p: 0.0, None, "gradient", points, None, None, 0)
        np.testing.assert_array_equal(tree.points, grid)
    for points in ((0.5, 1.0), [0.5, 1.0], jnp.array([0.5, 1.0]), {"a": 0.5, "b": [1.0]}):
        tree = pose(lambda p: 0.0, None, "gradient", points, None, None, 0)
        np.testing.assert_array_equal(tree.points, grid[:1])
    report = gdjax.check_gradient(jnp.sin, jnp.cos, around=0.5, points=10)
    assert (report.ok, report.points, report.special) == (True, 10, 1)


def test_points_on_a_kink_are_left_out_and_counted():
    def kink(point):
        return jnp.sum(jnp.abs(point))

    for f in (kink, gdjax.Objective(name="kink", fn=kink, domain=SQUARE, kink=lambda p: p)):
        # jax.grad(abs)(0) is 1, the sign of 0 is 0, and both are subgradients
        report = gdjax.check_gradient(f, jnp.sign, 100, domain=SQUARE)
        assert report.ok
        assert report.left_out["on a kink or a jump"] == 3  # the origin, and once on each axis
        assert "abs has no complex form" in report.sides["complex step"].remark


def test_the_edge_of_where_a_function_is_defined_is_left_out():
    report = gdjax.check_gradient(lambda p: jnp.sum(jnp.sqrt(p)), points=50, domain=[(0, 4)] * 2)
    assert report.ok
    assert report.left_out["where the function is not finite"] == 3  # the origin, and on each axis


def test_sides_that_do_not_exist_are_not_applicable():
    def loop(point):
        return lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * point[0]), (0, 1.0))[
            1
        ]

    report = gdjax.check_gradient(loop, lambda p: 3 * p**2, 50, domain=[(1, 2)])
    assert report.ok
    assert "while" in report.sides["reverse mode"].remark
    with pytest.raises(gdjax.ArgumentError, match="no gradient to certify: Reverse-mode"):
        gdjax.check_gradient(loop, domain=[(1, 2)])


def test_differences_beyond_a_pole_or_on_a_jump_are_not_believed():
    kowalik = objectives.get("kowalik_osborne")
    near = np.array([[3.0347, -2.6236, -4.4099, 1.6352]])  # a pole within the larger steps
    assert gdjax.check_gradient(kowalik, points=near).ok

    def chaos(point):  # 1.8 times as steep with each of 200 turns, and flat beyond
        turn = lambda c, _: (jnp.tanh(c * point[0] + point[1]), None)  # noqa: E731
        return lax.scan(turn, jnp.zeros_like(point[0]), length=200)[0]

    report = gdjax.check_gradient(chaos, jax.grad(chaos), np.array([[1.8, 0.0], [0.5, 0.1]]))
    assert report.ok
    assert report.left_out["on a kink or a jump"] == 1


def test_float32_is_judged_by_what_rounding_does_to_it():
    f = objectives.get("ackley")  # cos 2πx of x up to 32 loses three digits
    report = gdjax.check_gradient(f, points=300, precision="float32")
    assert report.ok
    assert report.behaviour["float32"].error > 1e-5
    assert report.behaviour["float64"].error < 1e-13
    slightly = gdjax.check_gradient(QFSP, lambda p: QFSP.gradient(p) * 1.0001, precision="float32")
    assert not slightly.ok  # where rounding is smaller than the error

    def overflow(point):  # e^100 is beyond single precision, its logarithm is not
        return jnp.log(jnp.exp(100 * point[0]))

    report = gdjax.check_gradient(overflow, points=50, domain=[(0.95, 1)], precision="float64")
    assert report.ok
    assert report.behaviour["float32"].undecided == 51


def test_noise_spreads_a_result_as_far_as_rounding_does():
    with as_precision("float64"):
        fn, count = with_noise(trace(lambda p: (p[0] + 1) - 1, jnp.zeros(1)))
        noise = np.random.default_rng(0).integers(-127, 128, (1000, count), dtype=np.int8)
        unit = Unit.of("float64")
        moved = np.asarray(jax.vmap(lambda n: fn(jnp.array([1e-9]), n, 1.0, unit)[0])(noise))
    # adding 1 loses what is below its last place; the difference is rounded once more, by far less
    assert np.std(moved - 1e-9) == pytest.approx(unit.rounding, rel=0.1)


def test_patterns_are_named_only_where_they_explain_every_point():
    x = np.random.default_rng(0).normal(size=(50, 2))
    slack = np.full(50, 1e-12)
    almost = x * [1, 2]
    almost[7, 1] += 0.01
    assert patterns(almost, x, slack, x, int, int) == ("component 1 is wrong at 50 points",)
    many = np.tile(x, 10)
    assert patterns(many * almost[:, :1], many, slack, x, int, int)[-1] == "and 12 more of the kind"
    assert patterns(x * [1, 2], x, slack, x, int, int) == ("component 1 is off by a factor 2",)


def test_assert_gradient_fails_with_the_table():
    gdjax.assert_gradient(QFSP, points=50)
    with pytest.raises(AssertionError, match="component 1 is off by a factor 2"):
        gdjax.assert_gradient(QFSP, lambda p: QFSP.gradient(p) * jnp.array([1, 2]), 50)


def test_the_same_seed_gives_the_same_report():
    one, two = (gdjax.check_gradient(QFSP, points=50, seed=3) for _ in range(2))
    assert str(one) == str(two)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gdjax.check_gradient(QFSP, points=0), "points must be at least 1, got 0"),
        (lambda: gdjax.check_gradient(jnp.sum), "points must be given, or a domain or a point"),
        (lambda: gdjax.check_gradient(QFSP, precision="half"), "unknown precision 'half'"),
        (
            lambda: gdjax.check_gradient(lambda p: p, domain=SQUARE),
            "must return one real number, got float32 of shape (2,)",
        ),
        (
            lambda: gdjax.check_gradient(QFSP, lambda p: p[:1]),
            "the gradient of qfsp must be an array of shape (2,), got an array of shape (1,)",
        ),
        (
            lambda: gdjax.check_gradient(lambda p: float(p[0]), domain=SQUARE),
            "cannot be traced by JAX, so write it in jax.numpy: ConcretizationTypeError",
        ),
        (
            lambda: gdjax.check_gradient(lambda p: jnp.log(-1 - p[0] ** 2), domain=SQUARE),
            "no point decides anything: 1,004 where the function is not finite",
        ),
        (
            lambda: gdjax.check_hessian(QFSP, lambda p: p),
            "the Hessian of qfsp must be an array of shape (2, 2), got an array of shape (2,)",
        ),
    ],
)
def test_bad_calls_say_what_is_wrong(untyped, call, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        call()
    assert message in str(caught.value)
