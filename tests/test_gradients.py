"""Certificates: right gradients pass, wrong ones are found, located and described."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import planted_errors
import pytest
from jax import lax

import gdjax
from gdjax import objectives
from gdjax._inputs import default_dtype
from gdjax.certificates import arithmetic, estimates
from gdjax.certificates.conclusion import conclude
from gdjax.certificates.estimates import Differences, Estimates, Estimators
from gdjax.certificates.patterns import patterns
from gdjax.certificates.problem import pose
from gdjax.certificates.verdict import judge, judge_single, relative

SQUARE = [(-2, 2)] * 2
QFSP = objectives.get("qfsp")


# --- the verdict: on both sides of every boundary, on made-up estimates ---------------------

TRUTH = np.array([3.0, 4.0])  # of norm 5
KINK, UNDEFINED, ROUNDING = (
    "on a kink or a jump",
    "where the function is not finite",
    "where rounding leaves nothing to decide",
)
NONE = "not applicable"
EQUAL = np.ones(2)  # how much two components count
LITTLE = 2.0**-40  # beyond a boundary by a hair


def made_up(hand=0.0, reverse=0.0, forward=0.0, estimate=0.0, complex_step=NONE, rounding=2.0**-6,
            bound=0.0, value=1.0, on_kink=False, kinked=False, points=1, at=TRUTH):  # fmt: skip
    """A problem and estimates that are each off in component 0; None leaves one out.

    By numbers: roundings of the hand-derived one, those of reverse mode are twice as large.
    """
    where = np.arange(2.0 * points).reshape(points, 2)
    fn = lambda p: jnp.sum(p)  # noqa: E731
    slope = None if hand is None else jnp.ones_like
    problem = pose(fn, slope, "gradient", where, [(0, 1)] * 2, None, 0)

    def full(off):
        moved = np.tile(at, (points, 1))
        moved[:, 0] += off
        return moved

    offs = {"hand": hand, "reverse": reverse, "forward": forward}
    derivatives = {side: full(off) for side, off in offs.items() if off is not None}
    size = np.broadcast_to(np.asarray(rounding, float), points)[:, None] * np.ones(2)
    roundings = {s: size * (1 + (s == "reverse")) for s in derivatives if s != "forward"}
    steps = np.ones((points, 2, 3))
    found = Differences(
        estimate=full(estimate), bound=np.tile([bound, 0.0], (points, 1)),
        step=np.ones((points, 2)), steps=steps, curve=np.ones((points, 1, 2, len(estimates.STEPS))),
        kinked=np.broadcast_to(kinked, points),
    )  # fmt: skip
    made = Estimates(
        points=where, values=np.full((points, 1), value), derivatives=derivatives,
        roundings=roundings, differences=found,
        missing={s: "no such mode" for s, off in offs.items() if off is None and s != "hand"},
        complex_step=complex_step if isinstance(complex_step, str) else full(complex_step),
        on_kink=np.broadcast_to(on_kink, points),
    )  # fmt: skip
    return problem, made


BLIND = {"bound": 100.0}  # differences that resolve nothing
VERDICTS = {
    # two derivatives agree within the sum of their roundings, 3/64
    "agree": (BLIND | {"hand": 3 / 64}, ""),
    "differ": (BLIND | {"hand": 3 / 64 + LITTLE}, "hand"),
    "differ the other way": (BLIND | {"reverse": -3 / 64 - LITTLE}, "hand"),
    # differences contradict beyond four times what they resolve, and a rounding
    "resolved": ({"hand": 4 + 1 / 64, "reverse": 4 + 1 / 64, "bound": 1.0, "forward": 4.0}, ""),
    "contradicted": (
        {"hand": 4 + 1 / 64 + LITTLE, "reverse": 4.0, "bound": 1.0, "forward": 4.0}, "hand",
    ),
    "reverse mode is resolved": (BLIND | {"bound": 1.0, "reverse": 4 + 1 / 32, "hand": 4.0}, ""),
    "reverse mode is contradicted": (
        {"hand": 4.0, "reverse": 4 + 1 / 32 + LITTLE, "bound": 1.0}, "reverse",
    ),
    "forward mode has four times the roundings": ({"bound": 1.0, "forward": 4 + 1 / 8}, ""),
    "a small component counts by itself": (
        BLIND | {"at": np.array([1e-9, 1.0]), "hand": -2e-9, "rounding": 1e-12}, "hand",
    ),
    "a component that its rounding drowns does not": (
        BLIND | {"at": np.array([1e-9, 1.0]), "hand": -2e-9, "rounding": 6e-10}, "",
    ),
    "forward mode is contradicted": ({"bound": 1.0, "forward": 4 + 1 / 8 + LITTLE}, "forward"),
    "reverse mode alone is wrong": ({"reverse": 1.0}, "reverse"),
    "the hand-derived one alone is wrong": ({"hand": 1.0}, "hand"),
    "both are wrong": ({"hand": 1.0, "reverse": 1.0}, "hand reverse"),
    "all are wrong": ({"hand": 1.0, "reverse": 1.0, "forward": 1.0}, "hand reverse forward"),
    # the complex step speaks for a side within five roundings of reverse mode and one of its own
    "complex step for it": (
        {"hand": 1.0, "complex_step": 1 - 11 / 64, "reverse": 1.0, "forward": 1.0}, "differences",
    ),
    "complex step for reverse mode only": (
        {"hand": 1.0, "complex_step": 1 - 11 / 64 - 1e-9, "reverse": 1.0, "forward": 1.0},
        "hand differences",
    ),
    "complex step against all": (
        {"hand": 1.0, "complex_step": 0.0, "reverse": 1.0, "forward": 1.0}, "hand reverse forward",
    ),
    "complex step when differences see nothing wrong": ({"complex_step": 1.0}, "complex_step"),
    "complex step accuses where differences see nothing": (
        BLIND | {"hand": 1.0, "reverse": 1.0, "forward": 1.0, "complex_step": 0.0},
        "hand reverse forward",
    ),
    "complex step accuses one": (BLIND | {"hand": 1.0, "complex_step": 0.0}, "hand"),
    "complex step that is not finite says nothing": (BLIND | {"complex_step": np.nan}, ""),
    "hand is not finite": ({"hand": np.nan}, "hand"),
    "reverse mode is not finite": ({"reverse": np.inf}, "reverse"),
    "forward mode is not finite": ({"forward": np.nan}, "forward"),
    # without a hand-derived side reverse mode is the subject, forward mode its other
    "autodiff is right": ({"hand": None}, ""),
    "autodiff is wrong": ({"hand": None, "reverse": 1.0}, "reverse"),
    "forward mode cannot outvote reverse mode": (BLIND | {"hand": None, "forward": 1.0}, ""),
    "no other side": ({"reverse": None, "forward": None, "hand": 1 / 64}, ""),
    "no other side, wrong": ({"reverse": None, "forward": None, "hand": 1 / 64 + LITTLE}, "hand"),
}  # fmt: skip


@pytest.mark.parametrize("case", VERDICTS)
def test_the_outlier_is_found_on_both_sides_of_every_boundary(case):
    given, odd = VERDICTS[case]
    problem, made = made_up(**given)
    judged = judge(problem, made)
    found = {side.replace(" ", "_") for side, where in judged.outliers.items() if where[0]}
    assert found == set(odd.split())
    assert judged.wrong[0] == (problem.subject in odd.split())
    assert judged.kept[0]
    assert not np.any(list(judged.left_out.values()))


@pytest.mark.parametrize(
    ("given", "truth", "tolerance"),
    [
        ({"hand": 1.0}, 0.0, 3 / 64),  # reverse mode's, and both roundings
        # what is certified, where autodiff is wrong; of both components, where neither is
        ({"reverse": 1.0}, 0.0, np.sqrt(2) * 3 / 64),
        # reverse mode's if they agree
        ({"reverse": 1 / 64, "estimate": 1 / 128}, 1 / 64, np.sqrt(2) * 3 / 64),
        ({"hand": 1.0, "reverse": 1.0, "estimate": 1 / 4}, 1 / 4, 1 / 64),  # what values say
        ({"hand": 9.0, "reverse": 9.0, "bound": 1.0}, 0.0, 1 / 64 + 4),
        (
            {"hand": 9.0, "reverse": 9.0, "bound": 1.0, "complex_step": 1 / 8},
            1 / 8,
            1 / 64 + 5 / 32 + 1e-12 * (3 + 1 / 8),
        ),
        # forward mode's roundings are four times reverse mode's
        ({"hand": None}, 0.0, np.sqrt(2) * 5 / 32),
        ({"hand": None, "forward": 1 / 64}, 1 / 64, np.sqrt(2) * 5 / 32),
        ({"hand": 1.0, "reverse": None, "forward": None}, 0.0, 1 / 64),
        ({"hand": np.nan}, 0.0, np.sqrt(2) / 32),
    ],
)
def test_the_truth_and_its_tolerance(given, truth, tolerance):
    problem, made = made_up(**given)
    judged = judge(problem, made)
    right = TRUTH + np.array([truth, 0])
    np.testing.assert_allclose(judged.truth[0], right, rtol=1e-15)
    mine = made.derivatives[problem.subject][0]
    scale = np.fmax(np.linalg.norm(mine), np.linalg.norm(right))
    error = np.linalg.norm(mine - right) / scale if np.isfinite(mine).all() else np.inf
    np.testing.assert_allclose(judged.error[0], error, rtol=1e-14)
    np.testing.assert_allclose(judged.tolerance[0], tolerance / scale, rtol=1e-14)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        # roundings, of 1 and 2 parts in 3, of a quarter of the larger component: 1
        ({"rounding": 1 / 3 - LITTLE}, ""),
        ({"rounding": 1 / 3 + LITTLE}, ROUNDING),
        ({"rounding": np.inf}, ROUNDING),
        ({"rounding": 1 / 3 + LITTLE, "hand": np.nan}, ""),  # nothing rounds to that
        ({"at": np.zeros(2), "rounding": 0.0}, ""),
        ({"at": np.zeros(2)}, ROUNDING),
        ({"value": np.nan}, UNDEFINED),
        ({"on_kink": True}, KINK),
        ({"kinked": True}, ""),  # what is not in doubt needs no excuse
        ({"kinked": True, "hand": 1.0}, KINK),
        ({"kinked": True, "forward": 1.0}, KINK),
        ({"kinked": True, "hand": 3 / 64 + LITTLE, "bound": 9.0}, KINK),
        ({"value": np.inf, "on_kink": True}, f"{UNDEFINED}; {KINK}"),
        ({"on_kink": True, "rounding": 9.0}, KINK),  # told once
        # at an edge there is neither a difference nor a finite derivative
        ({"hand": np.inf, "reverse": np.inf, "forward": np.inf, "bound": np.inf}, UNDEFINED),
        ({"hand": np.inf, "reverse": np.inf, "forward": np.inf, "bound": 1.0}, ""),
        ({"hand": np.inf, "reverse": np.inf, "forward": 0.0, "bound": np.inf}, ""),
    ],
)
def test_points_that_decide_nothing_are_left_out_by_their_reason(given, reason):
    judged = judge(*made_up(**given))
    said = "; ".join(why for why, where in judged.left_out.items() if where[0])
    assert said == reason
    assert judged.kept[0] == (not reason)
    assert tuple(judged.left_out) == (UNDEFINED, KINK, ROUNDING)


@pytest.mark.parametrize(
    ("single", "rounding", "wrong", "undecided"),
    [
        (TRUTH, 0.0, False, False),
        (TRUTH * 1.25, 1.0, False, False),  # as far off as the larger component may be
        (TRUTH * 1.25, 1.0 - LITTLE, True, False),
        (TRUTH * 1.25, 1.25 + LITTLE, False, True),  # a quarter of what is computed
        (TRUTH * 1.25, 1.25, False, False),
        (TRUTH, np.inf, False, True),
        (TRUTH * np.nan, 0.1, True, False),
        (TRUTH * np.nan, 9.0, True, False),
        (TRUTH * np.nan, np.inf, True, True),
        (TRUTH * np.nan, np.nan, True, True),
        (TRUTH * 0, 1.0 - LITTLE, True, False),
        (TRUTH * 0, 5.0, False, True),
    ],
)
def test_single_precision_is_judged_by_its_roundings(single, rounding, wrong, undecided):
    nothing = {why: np.zeros(1, bool) for why in (UNDEFINED, KINK, ROUNDING)}
    judged = judge_single(TRUTH[None], single[None], np.full((1, 2), rounding), nothing, EQUAL)
    assert (judged.wrong[0], judged.left_out[ROUNDING][0]) == (wrong, undecided)
    kink = nothing | {KINK: np.ones(1, bool)}
    drowned = judge_single(TRUTH[None], single[None], np.full((1, 2), 9.0), kink, EQUAL)
    assert not drowned.left_out[ROUNDING]
    assert judged.kept[0] == (not undecided)


def test_a_stationary_point_is_decided_in_single_precision():
    nothing = {why: np.zeros(1, bool) for why in (UNDEFINED, KINK, ROUNDING)}
    zero = np.zeros((1, 2))
    judged = judge_single(zero, zero, np.full((1, 2), 1e-3), nothing, EQUAL)
    assert (judged.kept[0], judged.wrong[0], judged.error[0], judged.tolerance[0]) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("a", "b", "error"),
    [
        ((3, 4), (3, 4), 0), ((0, 0), (0, 0), 0), ((0, 0), (3, 4), 1), ((6, 8), (3, 4), 0.5),
        ((3, 4), (-3, -4), 2), ((np.nan, 4), (3, 4), np.inf), ((np.inf, 0), (3, 4), np.inf),
    ],
)  # fmt: skip
def test_errors_are_relative_to_the_larger_norm(a, b, error):
    with np.errstate(all="ignore"):
        found = relative(np.array([a, b], float), np.array([b, a], float))
    np.testing.assert_array_equal(found, [error, error])


# --- the report on the estimates ---------------------------------------------------------------


def concluded(dtype="float64", single=None, **given):
    """The report on made-up estimates; ``single`` is how far float32 is off in component 0."""
    problem, made = made_up(**given)
    computed = {s: v.copy() for s, v in made.derivatives.items() if s != "forward"}
    if single is not None:
        computed[problem.subject][:, 0] += single
    return conclude(problem, dtype, made, made, computed)


def test_a_report_counts_and_names_the_worst_point():
    report = concluded(points=5, hand=[0, 1.0, 0, 2.0, 0.5])
    assert (report.ok, report.points, report.special) == (False, 5, 0)
    assert report.verdict == "WRONG: the hand-derived gradient is the outlier at 3 of 5 points"
    assert (report.worst_point, report.component) == ((6.0, 7.0), 0)
    assert report.error == pytest.approx(2 / np.hypot(5, 4))
    assert report.tolerance == pytest.approx(3 / 64 / np.hypot(5, 4))
    assert [one.outliers for one in report.estimates.values()] == [3, 0, 0, 0, 0]
    assert list(report.estimates) == ["hand", "reverse mode", "forward mode", "differences",
                                  "complex step"]  # fmt: skip
    assert report.estimates["hand"][:2] == pytest.approx((5.0, 2 / np.hypot(5, 4)))
    assert report.estimates["reverse mode"][:2] == (3.0, 0.0)
    assert "step 1e+00, resolves 0e+00" in report.estimates["differences"].remark
    assert report.estimates["complex step"].remark == NONE
    assert report.left_out == {UNDEFINED: 0, KINK: 0, ROUNDING: 0}
    assert report.warnings == ()
    details = report.details
    np.testing.assert_array_equal(details.wrong, [0, 1, 0, 1, 1])
    np.testing.assert_array_equal(details.kept, np.ones(5))
    assert details.worst == 3
    np.testing.assert_allclose(details.errors[[0, 3]], [0, report.error])
    # a curve of ones is off by (−2, −3) all along it
    np.testing.assert_allclose(details.curve[0], np.sqrt(13) / 5)
    np.testing.assert_array_equal(details.reached, np.zeros(5))
    assert report.line == (
        f"function: {report.verdict}; error {report.error:.1e}, tolerance {report.tolerance:.1e}"
    ).replace("function", report.name)


def test_a_right_report_names_the_point_nearest_to_its_tolerance():
    report = concluded(points=3, hand=[1 / 64, 1 / 32, 1 / 128], rounding=[2.0**-6, 1, 2.0**-6])
    assert report.ok
    assert report.verdict == "ok, the hand-derived gradient is right"
    assert report.worst_point == (0.0, 1.0)  # 1/3 of its tolerance; the next is larger, and 1/96
    assert report.patterns == ()
    by_autodiff = concluded(hand=None)
    assert by_autodiff.verdict == "ok, the gradient by autodiff is right"
    assert next(iter(by_autodiff.estimates)) == "reverse mode"
    wrong = concluded(hand=None, reverse=1.0).verdict
    assert wrong == "WRONG: the gradient by autodiff is the outlier at 1 of 1 points"
    both = concluded(points=3, hand=[1.0, 0, 1.0], reverse=[1.0, 0, 1.0]).verdict
    assert both == "WRONG: hand and autodiff differ from what the values say at 2 of 3 points"


def test_points_that_are_left_out_are_counted_and_accuse_nobody():
    report = concluded(points=4, hand=[1.0, 0, 0, 0], on_kink=[True, False, False, True])
    assert (report.ok, report.left_out[KINK]) == (True, 2)
    assert report.line.endswith("; 2 left out")
    assert "left out    2 on a kink or a jump" in str(report)
    report = concluded(points=4, on_kink=True)
    assert (report.ok, report.undecided) == (False, True)
    assert report.verdict.startswith("undecided: 0 of 4 points decide, 4 on a kink or a jump; give")


def test_a_wrong_autodiff_is_warned_of():
    report = concluded(points=3, reverse=[0, 1.0, 1.0])
    assert report.ok
    assert report.warnings == ("the gradient by autodiff is wrong at 2 points, such as (2, 3)",)
    assert report.estimates["reverse mode"].outliers == 2
    report = concluded(points=3, reverse=[0, np.nan, 0])
    assert report.warnings == ("the gradient by autodiff is not finite at 1 point, such as (2, 3)",)
    report = concluded(points=3, reverse=[0, np.nan, 0], on_kink=[False, True, False])
    assert report.warnings == ("reverse mode is not finite at 1 kink",)
    report = concluded(points=3, hand=[0, np.inf, np.inf], on_kink=[False, True, True])
    assert report.warnings == ("hand is not finite at 2 kinks",)


def test_nan_at_a_kink_is_a_fault_unless_autodiff_is_nan_there_too():
    on_kink = [False, True]
    alone = concluded(points=2, hand=[0, np.nan], on_kink=on_kink)
    assert (alone.ok, alone.left_out[KINK], alone.warnings) == (False, 0, ())
    assert alone.verdict == "WRONG: the hand-derived gradient is the outlier at 1 of 2 points"
    both = concluded(points=2, hand=[0, np.nan], reverse=[0, np.nan], on_kink=on_kink)
    assert (both.ok, both.left_out[KINK]) == (True, 1)
    assert both.warnings == ("hand is not finite at 1 kink", "reverse mode is not finite at 1 kink")


def test_each_precision_has_its_own_verdict_and_behaviour():
    coarse = {"points": 3, "single": [0, 1.0, 0.25], "rounding": [1 / 8, 1 / 8, 2]}
    double, single = concluded(**coarse), concluded("float32", **coarse)
    assert (double.ok, double.dtype, double.error) == (True, "float64", 0.0)
    assert (single.ok, single.dtype, single.worst_point) == (False, "float32", (2.0, 3.0))
    assert single.error == pytest.approx(1 / np.hypot(4, 4))
    assert single.tolerance == pytest.approx(1 / 8 / np.hypot(4, 4))
    assert single.verdict.endswith("at 1 of 2 points")  # at the third, rounding may be 2 of 5
    assert single.behaviour.keys() == double.behaviour.keys() == {"float64", "float32"}
    for report in (double, single):
        fine, rough = report.behaviour["float64"], report.behaviour["float32"]
        assert (fine.ok, fine.error, fine.typical, fine.undecided) == (True, 0, 0, 1)
        assert (rough.ok, rough.undecided) == (False, 1)
        assert rough.error == pytest.approx(1 / np.hypot(4, 4))
        assert rough.tolerance == pytest.approx(1 / 8 / np.hypot(4, 4))
        assert rough.typical == pytest.approx(0.5 / np.hypot(4, 4))
        np.testing.assert_array_equal(rough.point, (2, 3))
        assert "float64     within tolerance: error 0e+00, at most 0e+00" in str(report)
        assert "float32     BEYOND TOLERANCE: error 9e-02, at most 2e-01 where 2e-02" in str(report)


def test_the_table_holds_every_side_the_error_and_the_patterns():
    report = concluded(points=9, hand=3.0, forward=None)
    lines = str(report).splitlines()
    assert lines[0] == f"{report.name}: {report.verdict}"
    assert lines[1] == "  looked at   9 points, in float64"
    assert lines[2] == "  worst at    (0, 1), component 0"
    rows = {line[4:17].strip(): line[17:].split() for line in lines[3:9]}
    assert rows["hand"] == ["6", "+4.2e-01", *["OUTLIER", "at", "9", "points"]]
    assert rows["reverse mode"] == ["3", "+0.0e+00"]
    assert rows["forward mode"] == ["—", *["not", "applicable:", "no", "such", "mode"]]
    assert "  pattern     component 0 is off by a factor 2" in lines
    assert f"  tolerance   6.5e-03, {report.reason}" in lines
    assert report.reason == "what 32 roundings of every operation do to it here"
    assert "  error       4.2e-01 of the norm" in lines
    one = concluded()
    assert "  looked at   1 point, in float64" in str(one)


# --- what errors have in common ----------------------------------------------------------------

X = np.random.default_rng(0).uniform(0.5, 3, (60, 3))
X *= np.random.default_rng(1).choice([-1, 1], X.shape)
G = np.random.default_rng(2).normal(size=(60, 3)) + np.sign(X)


def column(j, values):
    changed = G.copy()
    changed[:, j] = values
    return changed


far, ripple = np.linalg.norm(X, axis=1), np.sin(9 * X[:, 0])
PATTERNS = {
    "component 1 is off by a factor 1.0001": column(1, G[:, 1] * 1.0001),
    "component 1 is off by a factor 0.3333333": column(1, G[:, 1] / 3),
    "component 0 is off by a factor 1.000003": column(0, G[:, 0] * 1.000003),
    "the whole gradient has its sign flipped": -G,
    "the whole gradient is off by a factor 2": 2 * G,
    "the whole gradient is 0 where it should not be": 0 * G,
    "component 0 has its sign flipped": column(0, -G[:, 0]),
    "component 0 has its sign flipped and is off by a factor 2.5": column(0, -2.5 * G[:, 0]),
    "component 2 is 0 where it should not be": column(2, 0),
    "components 0 and 2 are swapped": G[:, [2, 1, 0]],
    "component 1 is off by -3 x[0]: a term is missing or wrong": column(1, G[:, 1] - 3 * X[:, 0]),
    "component 1 is off by +0.5 x[2]^2: a term is missing or wrong":
        column(1, G[:, 1] + X[:, 2] ** 2 / 2),
    "component 1 is off by +2 x[1]^3: a term is missing or wrong":
        column(1, G[:, 1] + 2 * X[:, 1] ** 3),
    "component 0 is off by +1 x[0] x[1]: a term is missing or wrong":
        column(0, G[:, 0] + X[:, 0] * X[:, 1]),
    "component 0 is off by -1 x[1] x[2]: a term is missing or wrong":
        column(0, G[:, 0] - X[:, 1] * X[:, 2]),
    "component 0 is off by +0.5: a term is missing or wrong": column(0, G[:, 0] + 0.5),
    "component 1 lacks a factor x[0]": column(1, G[:, 1] / X[:, 0]),
    "component 1 lacks a factor x[2]^2": column(1, G[:, 1] / X[:, 2] ** 2),
    "component 1 has a factor x[0] too many": column(1, G[:, 1] * X[:, 0]),
    "component 1 has a factor x[0]^2 too many": column(1, G[:, 1] * X[:, 0] ** 2),
    "component 0 is off by more the farther the point is from 0: a term is missing or wrong":
        column(0, G[:, 0] + np.exp(far)),
    "component 0 is wrong only where x[1] > ": column(0, G[:, 0] + (X[:, 1] > 1) * ripple),
    "component 0 is wrong only where x[2] < ": column(0, G[:, 0] + (X[:, 2] < -1) * ripple),
    "component 0 is wrong only where |x| > ": column(0, G[:, 0] + (far > 4) * ripple),
    "component 0 is wrong only where |x| < ": column(0, G[:, 0] + (far < 3) * ripple),
    "component 1 is wrong at 60 points": column(1, G[:, 1] + 5 + np.sin(99 * X[:, 0])),
    "component 2 is not finite at 1 point":
        column(2, np.where(np.arange(60) == 7, np.nan, G[:, 2])),
    "component 2 is not finite at 60 points": column(2, np.inf),
    "component 2 is not finite at 30 points; component 2 has its sign flipped":
        column(2, np.where(np.arange(60) < 30, np.inf, -G[:, 2])),
}  # fmt: skip


def named(mine, slack=1e-9, name=int, derivative="gradient", truth=G, points=X):
    return patterns(mine, truth, np.full(len(truth), slack), points, name, name, derivative)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_is_named_and_nothing_beside_it(pattern):
    said = named(PATTERNS[pattern])
    assert "; ".join(said).startswith(pattern)
    assert len(said) == pattern.count("; ") + 1
    if "only where" in pattern:  # the bound lies at the last point that is right
        label, side, bound = "; ".join(said).split("where ")[1].split()
        scale = far if label == "|x|" else X[:, int(label[2])]
        off = np.abs(PATTERNS[pattern] - G)[:, 0] > 0
        wanted = scale[~off].max() if side == ">" else scale[~off].min()
        assert float(bound) == pytest.approx(wanted, rel=1e-3)


def test_patterns_are_named_only_where_they_explain_every_point():
    almost = 2 * G
    almost[7, 1] += 0.01
    said = named(almost)
    assert said[::2] == ("component 0 is off by a factor 2", "component 2 is off by a factor 2")
    assert said[1].startswith("component 1 is ")
    assert "factor" not in said[1]
    # a difference within the slack is none, and one beyond it is
    slack = 2.0**-20
    assert named(G + slack, slack) == ()
    assert len(named(G + 1.001 * slack, slack)) == 3
    assert named(column(1, 2 * G[:, 1] + slack), slack) == ("component 1 is off by a factor 2",)
    assert named(G) == ()


def test_patterns_use_the_names_of_components_and_there_are_eight_at_most():
    letters = "abc"
    assert named(-G, derivative="Hessian") == ("the whole Hessian has its sign flipped",)
    said = named(column(1, G[:, 1] / X[:, 2]), name=lambda i: letters[i])
    assert said == ("component b lacks a factor x[c]",)
    many, points = np.tile(G, 4), X
    factors = 2 + np.arange(12.0)
    eight = named(np.where(np.arange(12) < 8, factors, 1) * many, truth=many, points=points)
    assert eight == tuple(f"component {j} is off by a factor {factors[j]:g}" for j in range(8))
    nine = named(np.where(np.arange(12) < 9, factors, 1) * many, truth=many, points=points)
    assert nine == (*eight, "and 1 more of the kind")
    every = named(factors * many, truth=many, points=points)
    assert every == (*eight, "and 4 more of the kind")


def test_a_few_points_are_enough_for_a_factor_but_not_for_a_term():
    three = X[:3]
    said = named(column(0, G[:, 0] + X[:, 0])[:3], truth=G[:3], points=three)
    assert said == ("component 0 is wrong at 3 points",)
    four = named(column(0, G[:, 0] + X[:, 0])[:4], truth=G[:4], points=X[:4])
    assert four == ("component 0 is off by +1 x[0]: a term is missing or wrong",)


# --- functions in another arithmetic -----------------------------------------------------------

P = np.array([0.3125, 0.6875, 0.4375])  # single precision holds them, and what is below
IN_JAX = {
    "abs": lambda x: jnp.abs(-x), "acos": jnp.arccos, "acosh": lax.acosh,
    "add": lambda x: x + x[::-1], "add_any": jax.grad(lambda x: jnp.sum(x * x)),
    "and": lambda x: jnp.where((x > 0.375) & (x < 0.625), x, -x),
    "argmax": lambda x: x[jnp.argmax(x)],
    "argmin": lambda x: x[jnp.argmin(x)], "asin": jnp.arcsin, "asinh": jnp.arcsinh,
    "atan": jnp.arctan, "atan2": lambda x: lax.atan2(x, x[::-1]), "atanh": jnp.arctanh,
    "broadcast_in_dim": lambda x: jnp.broadcast_to(x, (2, 3)), "cbrt": lax.cbrt,
    "ceil": jnp.ceil, "clamp": lambda x: lax.clamp(0.375, x, 0.625),
    "concatenate": lambda x: jnp.concatenate([x, x]),
    "convert_element_type": lambda x: (x > 0.375).astype(float),
    "copy": lambda x: jnp.array(x, copy=True), "cos": jnp.cos, "cosh": jnp.cosh,
    "cumsum": jnp.cumsum, "digamma": lax.digamma, "div": lambda x: x / x[::-1],
    "dot_general": lambda x: x @ x, "dynamic_slice": lambda x: lax.dynamic_slice(x, (1,), (2,)),
    "dynamic_update_slice": lambda x: lax.dynamic_update_slice(x, x[:1], (1,)),
    "eq": lambda x: jnp.where(x == x[::-1], x, -x), "erf": lax.erf, "erf_inv": lax.erf_inv,
    "erfc": lax.erfc, "exp": jnp.exp, "exp2": lax.exp2,
    "expm1": jnp.expm1, "floor": jnp.floor, "gather": lambda x: x[jnp.array([2, 0])],
    "ge": lambda x: jnp.where(x >= 0.4375, x, -x), "gt": lambda x: jnp.where(x > 0.4375, x, -x),
    "integer_pow": lambda x: x**3, "iota": lambda x: x[lax.iota(int, 2)],
    "is_finite": lambda x: jnp.where(lax.is_finite(x), x, -x),
    "le": lambda x: jnp.where(x <= 0.4375, x, -x), "lgamma": lax.lgamma, "log": jnp.log,
    "log1p": jnp.log1p, "logistic": jax.nn.sigmoid, "lt": lambda x: jnp.where(x < 0.4375, x, -x),
    "max": lambda x: jnp.maximum(x, 0.5), "min": lambda x: jnp.minimum(x, 0.5),
    "mul": lambda x: x * x[::-1], "ne": lambda x: jnp.where(x != 0.4375, x, -x),
    "neg": jnp.negative,
    "not": lambda x: jnp.where(~(x > 0.375), x, -x),
    "or": lambda x: jnp.where((x > 0.625) | (x < 0.375), x, -x),
    "pad": lambda x: jnp.pad(x, 1), "pow": lambda x: x ** x[::-1], "reduce_max": jnp.max,
    "reduce_min": jnp.min, "reduce_sum": jnp.sum, "rem": lambda x: lax.rem(x, x[::-1]),
    "reshape": lambda x: jnp.reshape(x, (3, 1)), "rev": lambda x: x[::-1], "round": jnp.round,
    "rsqrt": lax.rsqrt, "select_n": lambda x: lax.select(np.array([True, False, True]), x, x[::-1]),
    "sign": lambda x: jnp.sign(-x), "sin": jnp.sin, "sinh": jnp.sinh,
    "slice": lambda x: lax.slice(x, (1,), (3,)), "sort": jnp.sort,
    "split": lambda x: lax.split(x, (1, 2))[1], "sqrt": jnp.sqrt, "square": lax.square,
    "squeeze": lambda x: jnp.squeeze(x[:1]), "stop_gradient": lax.stop_gradient,
    "sub": lambda x: x - x[::-1] / 2, "tan": jnp.tan, "tanh": jnp.tanh,
    "transpose": lambda x: jnp.broadcast_to(x, (2, 3)).T,
    "xor": lambda x: jnp.where((x > 0.375) ^ (x < 0.625), x, -x),
}  # fmt: skip
# Names that this JAX does not trace, kept for others.
ELSEWHERE = {"expand_dims", "stack", "unstack", "stop_gradient", "copy_p"}
E = 2.0**-10  # the error put on every result


def traced(fn, point=P):
    with default_dtype("float64"):
        return jax.make_jaxpr(fn)(jnp.asarray(point))


def at(name):
    return P + 1 if name == "acosh" else P


def operations(fn):
    names = set()

    def rule(eqn, operands):
        names.add(eqn.primitive.name)

    with default_dtype("float64"):
        program = jax.make_jaxpr(fn)(jnp.asarray(P))
        arithmetic.walk(program, [jnp.asarray(P)], rule)
    return names


def erring(fn, point=P, dtype="float64", error=E):
    """(the function as it is, the function with the same relative error on every result)."""
    unit = arithmetic.Unit.of(dtype)
    with default_dtype("float64"):
        noisy, count = arithmetic.with_noise(jax.make_jaxpr(fn)(jnp.asarray(point)))
        numbers, scale = np.full(count, 127), error / (unit.rounding * np.sqrt(3))
        unit = arithmetic.Unit(*(jnp.asarray(limit, float) for limit in unit))
        moved = noisy(jnp.asarray(point), jnp.asarray(numbers, jnp.int8), scale, unit)
        return np.asarray(fn(jnp.asarray(point))), np.asarray(moved[0])


def test_every_operation_that_has_another_arithmetic_has_a_case():
    tables = arithmetic.EXACT | arithmetic.ELEMENTWISE | arithmetic.ANALYTIC
    assert tables - ELSEWHERE <= set(IN_JAX)
    assert not arithmetic.EXACT & arithmetic.ELEMENTWISE
    # what is no smooth function of a complex number has no complex form
    broken = "abs max min clamp sign floor ceil round sort pow cbrt atan2 rem reduce_max lt erf"
    assert not arithmetic.ANALYTIC & {"convert_element_type", "reduce_min", *broken.split()}


@pytest.mark.parametrize("name", sorted(arithmetic.ANALYTIC - ELSEWHERE))
def test_the_complex_step_is_the_derivative_of_every_analytic_operation(name):
    assert name in operations(IN_JAX[name])

    def fn(x):  # weights tell the components apart
        out = jnp.ravel(IN_JAX[name](x))
        return jnp.dot(out, jnp.arange(1.0, 1.0 + out.size))

    program = traced(fn)
    with default_dtype("float64"):
        complex_fn = arithmetic.in_complex(program)
        point = jnp.asarray(at(name))
        slopes = [complex_fn(point + 1e-20j * way).imag / 1e-20 for way in np.eye(3)]
        np.testing.assert_allclose(complex_fn(point + 0j).real, fn(point), rtol=1e-14)
        np.testing.assert_allclose(slopes, jax.grad(fn)(point), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "word"),
    [("abs", "abs"), ("max", "max"), ("reduce_max", "max"), ("lt", "a comparison"),
     ("eq", "a comparison"), ("pow", "a real power"), ("sort", "sort")],
)  # fmt: skip
def test_an_operation_without_a_complex_form_is_named(name, word):
    with default_dtype("float64"), pytest.raises(arithmetic.NotAnalyticError) as caught:
        arithmetic.in_complex(traced(IN_JAX[name]))(jnp.asarray(P) + 1e-20j)
    assert str(caught.value) == word


def test_operations_that_do_not_touch_the_point_need_no_complex_form():
    fn = lambda x: x * jnp.abs(jnp.arange(-1.0, 2.0)) * x.astype(jnp.float64)  # noqa: E731
    with default_dtype("float64"):
        found = arithmetic.in_complex(traced(fn))(jnp.asarray(P) + 1e-20j).imag / 1e-20
    np.testing.assert_allclose(found, 2 * P * [1, 0, 1], rtol=1e-14)


@pytest.mark.parametrize("name", sorted(arithmetic.EXACT - ELSEWHERE))
def test_exact_operations_round_nothing(name):
    assert name in operations(IN_JAX[name])
    right, moved = erring(IN_JAX[name])
    np.testing.assert_array_equal(moved, right)


@pytest.mark.parametrize("name", sorted(arithmetic.ELEMENTWISE))
def test_elementwise_operations_round_once(name):
    assert operations(IN_JAX[name]) & arithmetic.ELEMENTWISE >= {name}
    right, moved = erring(IN_JAX[name], at(name))
    if name == "sub":  # the half is a product of its own
        right = P - P[::-1] / 2 * (1 + E)
    if name == "add_any":  # both products round before their sum does
        right = right * (1 + E)
    np.testing.assert_allclose(moved, right * (1 + E), rtol=1e-12)


@pytest.mark.parametrize(
    ("fn", "share"),
    [
        # operands of a sum of n terms are off √n times as much
        (lambda x: jnp.sum(x), (1 + np.sqrt(3) * E) * (1 + E)),
        (lambda x: x @ x, (1 + np.sqrt(3) * E) ** 2 * (1 + E)),
        (lambda x: jnp.cumsum(x), (1 + np.sqrt(3) * E) * (1 + E)),
        (lambda x: jnp.outer(x, x) @ x, (1 + E) * (1 + np.sqrt(3) * E) ** 2 * (1 + E)),
        (lambda x: jnp.prod(x[:2]), (1 + np.sqrt(2) * E) ** 2 * (1 + E)),
        # constants that single precision does not hold are off as well
        (lambda x: 0.5 * x, 1 + E),
        (lambda x: 0.1 * x, (1 + E) ** 2),
        (lambda x: jnp.array([0.1, 0.5, 0.1]) * x, np.array([(1 + E) ** 2, 1 + E, (1 + E) ** 2])),
        # what wraps others rounds as they do
        (jax.jit(lambda x: x * x), 1 + E), (jax.checkpoint(lambda x: x * x), 1 + E),
        (jax.custom_jvp(lambda x: x * x), 1 + E), (jax.custom_vjp(lambda x: x * x), 1 + E),
        (lambda x: x * x / x, (1 + E) ** 2),
    ],
)  # fmt: skip
def test_roundings_gather(fn, share):
    if isinstance(fn, jax.custom_derivatives.custom_jvp | jax.custom_derivatives.custom_vjp):
        inner, fn = fn, lambda x: inner(x)
        for derivative in ("defjvp", "defvjp"):
            if hasattr(inner, derivative):
                getattr(inner, derivative)(*([lambda *a: a] * (1 + (derivative == "defvjp"))))
    right, moved = erring(fn)
    np.testing.assert_allclose(moved, right * share, rtol=1e-13)


def test_a_users_own_cast_rounds_by_its_own_unit():
    cast = lambda x: x.astype(jnp.float32).astype(float)  # noqa: E731
    for dtype, error, share in (("float64", 2.0**-40, 2.0**-11), ("float32", E, E)):
        right, moved = erring(cast, P, dtype, error)
        np.testing.assert_allclose(moved, right * (1 + error) * (1 + share), rtol=1e-7)


def test_the_range_of_a_precision_bounds_what_it_holds():
    single = arithmetic.Unit.of("float32")
    assert single == (2.0**-24, 2.0**-126, (2 - 2.0**-23) * 2.0**127)
    assert arithmetic.Unit.of("float64").rounding == 2.0**-53
    for point, wanted in (
        (1e38, 2e38 * (1 + E)), (2e38, np.inf), (-2e38, -np.inf),
        # below the smallest number an error is as large as that
        (1e-60, E * 2.0**-102), (-1e-60, -E * 2.0**-102), (0.0, 0.0),
    ):  # fmt: skip
        _, moved = erring(lambda x: x + x, np.array([point]), "float32")
        np.testing.assert_allclose(moved, [wanted], rtol=1e-9)
    assert erring(lambda x: x + x, np.array([2e38]), "float32", 0.0)[1] == 4e38
    assert np.isfinite(erring(lambda x: x + x, np.array([2e38]))[1])


def test_noise_spreads_a_result_as_far_as_rounding_does():
    with default_dtype("float64"):
        fn, count = arithmetic.with_noise(jax.make_jaxpr(lambda p: (p[0] + 1) - 1)(jnp.zeros(1)))
        noise = np.random.default_rng(0).integers(-127, 128, (1000, count), dtype=np.int8)
        unit = arithmetic.Unit.of("float64")
        moved = np.asarray(jax.vmap(lambda n: fn(jnp.array([1e-9]), n, 1.0, unit)[0])(noise))
    # adding 1 loses what is below its last place; the difference is rounded once more, by far less
    assert np.std(moved - 1e-9) == pytest.approx(unit.rounding, rel=0.1)


# --- the estimates -----------------------------------------------------------------------------

WAVE = gdjax.Objective(
    name="wave", fn=lambda p: jnp.sin(p[0]) * jnp.exp(p[1]), gradient=lambda p: 3 * p,
    domain=[(-2, 2), (-1, 1)], kink=lambda p: p[:1],
)  # fmt: skip


@functools.cache
def estimated(seed=0, dtype="float64"):
    problem, estimators = wave()
    return estimators(problem.points, dtype, seed)


@functools.cache
def wave():
    drawn = np.random.default_rng(0).uniform([-2, -1], [2, 1], (400, 2))
    drawn[:3] = (0.0, 0.5), (1.5, 0.0), (0.0, 0.0)
    problem = pose(WAVE, None, "gradient", drawn.astype(np.float32).astype(float), None, None, 0)
    return problem, Estimators(problem)


def test_every_estimate_is_the_derivative_and_says_how_far_it_can_be_off():
    (problem, _), found = wave(), estimated()
    x, y = problem.points.T
    slope = np.stack([np.cos(x) * np.exp(y), np.sin(x) * np.exp(y)], axis=1)
    np.testing.assert_array_equal(found.points, problem.points)
    np.testing.assert_allclose(found.values[:, 0], np.sin(x) * np.exp(y), rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(found.derivatives["hand"], 3 * problem.points, rtol=1e-15)
    for side in (found.derivatives["reverse"], found.derivatives["forward"], found.complex_step):
        np.testing.assert_allclose(side, slope, rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(found.on_kink, x == 0)
    assert found.missing == {}
    off = np.abs(found.differences.estimate - slope)
    assert (off <= found.differences.bound).all()
    assert np.median(found.differences.bound) < 1e-8
    assert not found.differences.kinked.any()


@pytest.mark.parametrize(("dtype", "unit"), [("float64", 2.0**-53), ("float32", 2.0**-24)])
def test_roundings_are_thirty_two_of_each_operation(dtype, unit):
    found = estimated(0, dtype)
    # the hand-derived side is one product a component: its roundings are of 32 units each
    sizes = found.roundings["hand"][3:] / np.abs(found.derivatives["hand"][3:])
    typical = np.sqrt(np.mean(sizes**2)) / unit
    assert typical == pytest.approx(32, rel=0.05)  # of 400 points of 8 samples: 2 %
    assert set(found.roundings) == {"hand", "reverse"}
    assert 20 < np.sqrt(np.mean((found.roundings["reverse"] / unit) ** 2)) < 200


def test_a_seed_decides_the_noise():
    again = wave()[1](wave()[0].points, "float64", 0)
    for side, rounding in estimated().roundings.items():
        np.testing.assert_array_equal(rounding, again.roundings[side])
        assert (rounding != estimated(1).roundings[side]).mean() > 0.99
    np.testing.assert_array_equal(
        estimated().derivatives["reverse"], estimated(1).derivatives["reverse"]
    )


def test_steps_of_differences_shrink_fourfold_from_a_quarter_of_the_point_or_its_width():
    problem, found = wave()[0], estimated().differences
    reach = np.maximum(np.abs(problem.points), np.array([4.0, 2.0]) / 128)
    wanted = reach[..., None] * 0.25 ** np.arange(1, 21)
    np.testing.assert_allclose(found.steps, wanted, rtol=1e-2)
    np.testing.assert_allclose(found.steps[..., :8], wanted[..., :8], rtol=1e-9)
    (x, y), steps = problem.points[7], found.steps[7]
    for k in (0, 3, 6):
        h, w = steps[0, k], steps[1, k]
        along = np.exp(y) * np.cos(x) * np.sin(h) / h, np.sin(x) * np.exp(y) * np.sinh(w) / w
        np.testing.assert_allclose(found.curve[7, 0, :, k], along, rtol=1e-9)
    taken = np.abs(found.steps - found.step[..., None]).argmin(axis=-1)
    chosen = np.take_along_axis(found.curve[:, 0], taken[..., None], axis=-1)[..., 0]
    np.testing.assert_array_equal(chosen, found.estimate)


def test_points_are_evaluated_in_pieces_as_they_are_at_once(monkeypatch):
    problem, estimators = wave()
    whole = estimated()
    monkeypatch.setattr(estimates, "CHUNK", 150_000)
    pieces = estimators(problem.points, "float64")
    assert len(list(estimators._chunks(problem.points))) > 2
    for name in ("values", "complex_step", "on_kink"):
        np.testing.assert_allclose(getattr(pieces, name), getattr(whole, name), rtol=1e-14)
    for side, derivative in whole.derivatives.items():
        np.testing.assert_allclose(pieces.derivatives[side], derivative, rtol=1e-13, atol=1e-16)
        if side != "forward":
            assert (pieces.roundings[side] > 0).sum() == (whole.roundings[side] > 0).sum()
    np.testing.assert_allclose(pieces.differences.steps, whole.differences.steps, rtol=1e-12)


def test_single_precision_is_computed_in_it():
    problem, estimators = wave()
    single = estimators.single(problem.points)
    np.testing.assert_array_equal(single["hand"], np.float32(3) * np.float32(problem.points))
    x, y = problem.points.T
    slope = np.stack([np.cos(x) * np.exp(y), np.sin(x) * np.exp(y)], axis=1)
    off = np.abs(single["reverse"] - slope)
    assert 1e-9 < off.max() < 1e-6
    assert set(single) == {"hand", "reverse"}


def differences(fn, x, noise=0.0):
    """Central differences of a function of one number at points ``(n,)``, by its values alone."""
    x = np.asarray(x, float)
    steps = np.maximum(np.abs(x), 1 / 32)[:, None] * 0.25 ** np.arange(1, 21)
    up, down = x[:, None] + steps, x[:, None] - steps
    with np.errstate(all="ignore"):
        values, ahead, behind = (np.asarray(fn(at)) for at in (x, up, down))
    spread = np.full((len(x), 1), noise)
    return estimates.central_differences(
        values[:, None], spread, ahead[:, None, :, None], behind[:, None, :, None],
        (up - down)[:, None],
    )  # fmt: skip


def near(x, pole):
    return 1 / (x - pole)


SMOOTH = {
    "sine": (np.sin, np.cos, [-2.0, 0.1, 1.0]),
    "cube": (lambda x: x**3, lambda x: 3 * x**2, [-2.0, 0.0, 0.5]),
    "near a pole": (lambda x: near(x, 1.3), lambda x: -near(x, 1.3) ** 2, [1.0, 1.2, 1.29]),
    "with a ripple": (
        lambda x: x + 0.01 * np.sin(1e3 * x), lambda x: 1 + 10 * np.cos(1e3 * x), [0.3, 1.0],
    ),
    "steep": (lambda x: np.exp(50 * x), lambda x: 50 * np.exp(50 * x), [-1.0, 1.0]),
    "nowhere finite but here": (
        lambda x: np.log(x), lambda x: 1 / x, [1e-3, 2e-2],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_differences_know_what_they_resolve(name):
    fn, slope, points = SMOOTH[name]
    found = differences(fn, points)
    off = np.abs(found.estimate[:, 0] - slope(np.array(points)))
    assert (off <= found.bound[:, 0]).all()
    assert (found.bound[:, 0] <= 1e-5 * np.abs(slope(np.array(points))) + 1e-5).all()
    assert not found.kinked.any()
    # what rounding does to the function's values is not resolved
    noisy = differences(fn, points, noise=1e-6 * float(np.abs(fn(np.array(points))).max()))
    assert (noisy.bound > 10 * found.bound).all()
    assert (noisy.step > found.step).all()


def test_differences_of_noise_are_bounded_by_it_over_the_step():
    found = differences(lambda x: 0 * x + 1.0, [1.0], noise=1e-3)
    step = found.step[0, 0]
    assert step == 0.0625  # the largest that has a neighbour on either side
    floor = 32 * 2.0**-53
    assert found.bound[0, 0] == pytest.approx((1e-3 + floor) / (2 * step), rel=1e-12)


@pytest.mark.parametrize(
    ("fn", "kinked"),
    [
        (lambda x: np.abs(x - 1), True), (lambda x: np.where(x >= 1, 1.0, 0.0), True),
        (lambda x: np.sqrt(np.abs(x - 1)), True), (lambda x: np.maximum(x - 1, 0), True),
        (lambda x: np.cbrt(x - 1), True),
        (lambda x: (x - 1) ** 2, False), (lambda x: np.abs(x - 1) ** 3, False),
        (lambda x: np.abs(x - 2), False), (lambda x: np.exp(30 * (x - 1)), False),
        (lambda x: 0 * x, False),
    ],
)  # fmt: skip
def test_kinks_and_jumps_are_told_by_one_sided_differences_that_do_not_come_together(fn, kinked):
    assert differences(fn, [1.0]).kinked.tolist() == [kinked]


# --- the problem that arguments pose -----------------------------------------------------------


def posed(points=100, seed=0, fn=None, around=None, domain=None, kind="gradient"):
    fn = fn or (lambda p: sum(jnp.sum(leaf) for leaf in jax.tree.leaves(p)))
    return pose(fn, None, kind, points, domain, around, seed)


def test_points_are_drawn_in_the_domain_by_the_seed():
    box = [(-1, 1), (2, 10)]
    one, other = posed(500, 3, domain=box), posed(500, 4, domain=box)
    np.testing.assert_array_equal(one.points, posed(500, 3, domain=box).points)
    assert not np.isin(one.points[:500], other.points[:500]).all(axis=1).any()
    unit = (one.points[:500] - [-1, 2]) / [2, 8]
    for share in (0.1, 0.5, 0.9):
        np.testing.assert_allclose((unit < share).mean(axis=0), share, atol=0.07)
    np.testing.assert_array_equal(one.points[:500], one.points[:500].astype(np.float32))
    np.testing.assert_array_equal(one.width, [2, 8])
    assert (one.drawn, one.subject) == (500, "reverse")


def test_points_are_drawn_around_one_a_tenth_of_each_number_wide():
    tree = {"w": np.array([100.0, -1.0]), "b": 0.0}
    found = posed(2000, 1, around=tree)
    flat = np.array([0.0, 100.0, -1.0])
    np.testing.assert_array_equal(found.points[-1], flat)
    wanted = 0.1 * np.array([1.0, 100.0, 1.0])
    np.testing.assert_allclose((found.points[:-1] - flat).std(axis=0), wanted, rtol=0.07)
    np.testing.assert_allclose(found.points[:-1].mean(axis=0), flat, atol=wanted.max() * 0.1)
    assert [found.component(i) for i in range(3)] == ["b", "w[0]", "w[1]"]
    zero = posed(2000, 1, around=np.zeros(2))
    np.testing.assert_allclose(zero.points[:-1].std(axis=0), 0.1, rtol=0.07)
    assert not np.isin(posed(9, 2, around=tree).points[:-1], posed(9, 3, around=tree).points).any()


def test_points_at_which_formulas_fail_are_added():
    f = gdjax.Objective(
        name="f", fn=lambda p: jnp.sum(p), domain=[(-3, 5), (-2, 4)], start=(0.5, 3.0),
        minima=[(1.5, 2.5)], local_minima=[(2.0, 1.0)], saddles=[(3.0, 0.5)], maxima=[(-1.0, 3.5)],
    )  # fmt: skip
    found = posed(50, fn=f)
    extra = {tuple(point) for point in found.points[50:].tolist()}
    first, second = found.points[:2]
    known = {(0.5, 3.0), (1.5, 2.5), (2.0, 1.0), (3.0, 0.5), (-1.0, 3.5)}
    assert extra >= known | {(1.0, 1.0), (0.0, 0.0)}  # the centre and the origin
    axes = {(0.0, first[1]), (second[0], 0.0)}
    near = lambda a, b: np.allclose(a, b, rtol=1e-6)  # noqa: E731
    assert all(any(near(point, axis) for point in extra) for axis in axes)
    middle = first.mean()
    assert any(near(point, (middle, middle)) for point in extra)
    assert len(extra) == len(found.points) - 50 == 10
    away = posed(5, domain=[(1, 3), (2, 6)]).points[5:]  # neither 0 nor an axis lies within
    assert (2.0, 4.0) in {tuple(point) for point in away.tolist()}
    assert (away > 0).all()


def test_many_dimensions_are_looked_at_along_random_directions():
    one, other = (posed(5, seed, domain=[(0, 1)] * 33) for seed in (0, 1))
    assert one.directions.shape == (4, 33)
    np.testing.assert_allclose(np.linalg.norm(one.directions, axis=1), 1)
    assert np.abs(one.directions @ one.directions.T - np.eye(4)).max() < 0.8
    assert (one.directions != other.directions).all()
    slopes = np.random.default_rng(0).normal(size=(4, 33))
    np.testing.assert_allclose(one.project(slopes), slopes @ one.directions.T)
    few = posed(5, domain=[(0, 1)] * 32)
    np.testing.assert_array_equal(few.directions, np.eye(32))
    np.testing.assert_array_equal(few.project(slopes[:, :32]), slopes[:, :32])
    hessian = posed(5, domain=[(0, 1)] * 33, kind="Hessian")
    assert (hessian.component(5), hessian.component(3)) == ("(1, direction 1)", "(0, direction 3)")
    assert posed(5, domain=SQUARE, kind="Hessian").component(2) == "(1, 0)"
    assert (set(hessian.derivatives), set(one.derivatives)) == ({"reverse"}, {"reverse", "forward"})


def test_differences_along_random_directions_are_the_derivative_there():
    report = gdjax.check_gradient(
        lambda p: jnp.sum(jnp.sin(p * jnp.arange(1, 41) / 20)), domain=[(0, 1)] * 40, points=50
    )
    off = float(report.estimates["differences"].remark.split(" off along 4 random directions")[0])
    assert off < 1e-9


def test_a_functions_own_cast_to_single_precision_is_no_error():
    def narrow(p):
        return jnp.sum(jnp.sin(p.astype(jnp.float32)).astype(p.dtype) * p)

    report = gdjax.check_gradient(narrow, domain=[(0.5, 1.5)] * 2, points=50)
    assert report.ok
    assert report.estimates["differences"].outliers == 0


def test_points_can_be_given():
    grid = np.array([[0.5, 1.0], [1.5, -1.0]])
    for points in (grid, list(grid), [{"p": point} for point in grid]):
        tree = pose(lambda p: 0.0, None, "gradient", points, None, None, 0)
        np.testing.assert_array_equal(tree.points, grid)
        np.testing.assert_array_equal(tree.width, [1.5, 1.0])
        assert tree.drawn == 0
    for points in ((0.5, 1.0), [0.5, 1.0], jnp.array([0.5, 1.0]), {"a": 0.5, "b": [1.0]}):
        tree = pose(lambda p: 0.0, None, "gradient", points, None, None, 0)
        np.testing.assert_array_equal(tree.points, grid[:1])
    report = gdjax.check_gradient(jnp.sin, jnp.cos, around=0.5, points=10)
    assert (report.ok, report.points, report.special) == (True, 10, 1)


# --- the certificate on trial ------------------------------------------------------------------


def test_errors_are_planted_in_every_component_pair_and_sign():
    points = np.array([[1.0, 0, 0], [0, 2, 0], [0, 0, 3], [4, 0, 0], [0, 5, 0], [0, 0, 10.0]])
    right = np.arange(18.0).reshape(6, 3) + 1
    plants = planted_errors.plants(points, right, np.ones(3))
    planted = {what: (spoilt, plant(right)) for what, spoilt, plant in plants}
    wanted = {f"component {j} times 1.0001" for j in range(3)}
    wanted |= {f"sign of component {j} flipped" for j in range(3)}
    wanted |= {f"term missing in component {j}" for j in range(3)}
    wanted |= {f"components {i} and {j} swapped" for i, j in itertools.combinations(range(3), 2)}
    assert set(planted) == wanted | {"all signs flipped"}
    for j in range(3):
        other = [k for k in range(3) if k != j]
        for what, share in (
            ("component {} times 1.0001", 1.0001),
            ("sign of component {} flipped", -1),
        ):
            spoilt, wrong = planted[what.format(j)]
            assert spoilt == {j}
            np.testing.assert_allclose(wrong[:, j], right[:, j] * share, rtol=1e-15)
            np.testing.assert_array_equal(wrong[:, other], right[:, other])
        spoilt, wrong = planted[f"term missing in component {j}"]
        assert spoilt == {j}
        # four of five distances are 5 or less, and the term grows beyond them
        size = 1e-3 * np.linalg.norm(right[5]) * (10 / 5 - 1)
        np.testing.assert_allclose(right[:, j] - wrong[:, j], [0] * 5 + [size], atol=1e-15)
        np.testing.assert_array_equal(wrong[:, other], right[:, other])
    spoilt, wrong = planted["components 0 and 2 swapped"]
    assert spoilt == {0, 2}
    np.testing.assert_array_equal(wrong, right[:, [2, 1, 0]])
    spoilt, wrong = planted["all signs flipped"]
    assert spoilt == {0, 1, 2}
    np.testing.assert_array_equal(wrong, -right)


@pytest.mark.parametrize(
    "name",
    [
        "qfsp",
        pytest.param("helical_valley", marks=pytest.mark.full),
        pytest.param("brown_badly_scaled", marks=pytest.mark.full),
    ],
)
def test_planted_errors_are_caught_and_right_gradients_are_not_accused(name):
    trial = planted_errors.try_objective(objectives.get(name), points=300)
    d = objectives.get(name).dim
    assert trial.planted == 3 * d + d * (d - 1) // 2 + 1
    assert trial.missed == trial.invisible == ()
    assert trial.alarms == (0, 0)
    assert trial.checks == (trial.checks[0],) * 2 > (300, 300)
    assert min(trial.decided) > 280
    # a right gradient comes nowhere near its tolerance, in either precision
    assert max(trial.share) > 0
    assert max(trial.share) < 0.25


@pytest.mark.full
def test_a_wrong_gradient_on_trial_is_a_false_alarm_and_equal_components_hide_a_swap():
    wrong = gdjax.Objective(
        name="wrong", fn=lambda p: p[0] ** 2 + p[1] ** 2, gradient=lambda p: p * jnp.array([2, 3]),
        domain=[(1, 2)] * 2,
    )  # fmt: skip
    trial = planted_errors.try_objective(wrong, points=20)
    assert trial.alarms == trial.decided == trial.checks
    assert min(trial.share) > 1e3
    twins = gdjax.Objective(
        name="twins", fn=lambda p: jnp.sin(p[0] + p[1]), domain=[(-1, 1)] * 2,
        gradient=lambda p: jnp.full(2, jnp.cos(p[0] + p[1])),
    )  # fmt: skip
    trial = planted_errors.try_objective(twins, points=20)
    assert trial.invisible == ("twins: components 0 and 1 swapped",)
    assert (trial.planted, trial.missed, trial.alarms) == (8, (), (0, 0))


def test_an_error_that_is_blamed_on_another_component_is_missed():
    problem, made = made_up(points=20)
    computed = {side: made.derivatives[side] for side in ("hand", "reverse")}
    planted = made.derivatives["hand"] + [1.0, 0]
    given = problem, made, made, computed, planted
    assert planted_errors._caught(*given, {0})
    assert planted_errors._caught(*given, {0, 1})
    assert not planted_errors._caught(*given, {1})
    assert not planted_errors._caught(*given[:-1], made.derivatives["hand"], {0})


CLEAN = planted_errors.Trial(8, (), (), (9, 9), (8, 7), (0, 0), (0.1, 0.2))


@pytest.mark.parametrize(
    ("found", "fails"),
    [
        (CLEAN, False),
        (CLEAN._replace(invisible=("twins: swapped",)), False),
        (CLEAN._replace(missed=("qfsp: sign",)), True),
        (CLEAN._replace(alarms=(1, 0)), True),
        (CLEAN._replace(alarms=(0, 1)), True),
    ],
)
def test_the_self_test_fails_on_missed_errors_and_on_false_alarms(
    found, fails, monkeypatch, capsys
):
    tried, rules = [], []

    def try_objective(objective, points, seed):
        tried.append((objective.name, points, seed))
        return found if objective.name == "qfsp" else CLEAN

    def try_rule(objective, number, seed):
        rules.append((objective.name, number, seed))
        return found if objective.name == "qfsp" else CLEAN

    monkeypatch.setattr(planted_errors, "try_objective", try_objective)
    monkeypatch.setattr(planted_errors, "try_rule", try_rule)
    monkeypatch.setattr("sys.argv", ["planted_errors", "--checks", "1001", "--seed", "5"])
    names = objectives.names()
    if fails:
        with pytest.raises(SystemExit) as left:
            planted_errors.main()
        assert left.value.code == 1
    else:
        planted_errors.main()
    each = -(-1001 // len(names))
    few = [(f"{name} in other units", -(-each // 100), 5) for name in names]
    assert tried == [(name, each, 5) for name in names] + few
    scales = ("", " in other units")
    assert rules == [(name + scales[i % 2], i, 5) for i, name in enumerate(names)]
    out = capsys.readouterr().out
    assert f"planted {24 * len(names):,} errors" in out
    assert "qfsp: 8 planted, " in out


def test_trials_are_added_up():
    other = planted_errors.Trial(5, ("a",), ("b", "c"), (1, 2), (3, 4), (5, 6), (0.3, 0.1))
    total = planted_errors.join([CLEAN, other])
    assert total == (13, ("a",), ("b", "c"), (10, 11), (11, 11), (5, 6), (0.3, 0.2))
    assert planted_errors.join([]) == planted_errors.Trial()
    assert str(total).splitlines() == [
        "planted 13 errors: 10 caught, 1 missed, 2 change nothing",
        "float64: 10 right gradients checked (11 decided), 5 false alarms; largest error 0.30 of "
        "its tolerance",
        "float32: 11 right gradients checked (11 decided), 6 false alarms; largest error 0.20 of "
        "its tolerance",
        "missed: a", "changes nothing: b", "changes nothing: c",
    ]  # fmt: skip


# --- whole certificates ------------------------------------------------------------------------


@pytest.mark.full
def test_a_seed_decides_the_points_and_the_noise():
    def report(seed, points, check=gdjax.check_gradient):
        return check(lambda p: p[0] ** 2 * p[1], points=points, seed=seed, domain=[(1, 2)] * 2)

    one, two, other = report(3, 2), report(3, 2), report(4, 2)
    assert str(one) == str(two)
    assert not np.isin(one.details.points[:2], other.details.points[:2]).any()
    given = one.details.points[:2]  # where only the noise is left to draw
    for check in (gdjax.check_gradient, gdjax.check_hessian):
        one, other = (report(seed, given, check).details for seed in (3, 4))
        assert (one.tolerances != other.tolerances).all()
        np.testing.assert_array_equal(one.errors, other.errors)


def test_the_errors_of_each_side_are_signed_and_the_sides_agree():
    report = gdjax.check_gradient(QFSP, lambda p: QFSP.gradient(p) * jnp.array([1, 0.5]), 50)
    x, y = report.worst_point
    slope = np.array([2 * x + 10 * np.cos(x) * np.sin(y), 2 * y + 10 * np.sin(x) * np.cos(y)])
    share = -0.5 * slope[1] / np.linalg.norm(slope)
    assert report.estimates["hand"].error == pytest.approx(share)
    assert report.estimates["complex step"].value == pytest.approx(slope[1], rel=1e-13)
    assert report.estimates["differences"].value == pytest.approx(slope[1], rel=1e-7)
    assert report.estimates["forward mode"].value == pytest.approx(slope[1], rel=1e-13)
    assert report.patterns == ("component 1 is off by a factor 0.5",)
    for word in ("WRONG: the hand-derived gradient is the outlier", "factor 0.5", "tolerance"):
        assert word in str(report)


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


def test_a_wrong_autodiff_is_told_from_a_wrong_hand_derived_gradient():
    def plain(point):
        return drop_wave(point, guarded=False)

    report = gdjax.check_gradient(plain, drop_wave_gradient, 30, domain=SQUARE)
    assert report.ok
    assert report.estimates["reverse mode"].outliers == 1
    assert "by autodiff is not finite at 1 point, such as (0, 0)" in report.warnings[0]
    alone = gdjax.check_gradient(plain, points=30, domain=SQUARE)
    assert not alone.ok
    assert alone.worst_point == (0, 0)

    @jax.custom_jvp
    def cube(x):
        return x**3

    cube.defjvp(lambda x, t: (x[0] ** 3, 2 * x[0] ** 2 * t[0]))
    both = gdjax.check_gradient(
        lambda p: cube(p[0]), lambda p: jnp.array([2 * p[0] ** 2]), 30, domain=[(1, 2)]
    )
    assert "hand and autodiff differ from what the values say" in both.verdict
    assert both.patterns == ("component 0 is off by a factor 0.6666667",)


def test_a_guard_that_spoils_the_hessian_is_found():
    def guarded(point):
        return drop_wave(point, guarded=True)

    report = gdjax.check_hessian(guarded, points=30, domain=SQUARE)
    assert not report.ok
    assert report.worst_point == (0, 0)
    assert report.component in ("(0, 0)", "(1, 1)")
    assert report.estimates["forward over reverse"].value == pytest.approx(0.5)
    assert report.estimates["differences"].value == pytest.approx(72.5)  # 12²/2 + 1/2


@pytest.mark.full
def test_a_hand_derived_hessian_is_certified():
    def hessian(point):
        x, y = point
        cross = 10 * jnp.cos(x) * jnp.cos(y)
        same = 2 - 10 * jnp.sin(x) * jnp.sin(y)
        return jnp.array([[same, cross], [cross, same]])

    assert gdjax.check_hessian(QFSP, hessian, 30).ok
    wrong = gdjax.check_hessian(QFSP, lambda p: hessian(p).at[0, 1].multiply(-1), 30)
    assert wrong.component == "(0, 1)"
    assert wrong.patterns == ("component (0, 1) has its sign flipped",)


@pytest.mark.full
@pytest.mark.parametrize("complex_form", [True, False])
def test_a_wrong_entry_of_a_large_hessian_is_named(complex_form):
    d, bend = 40, (lambda x: x) if complex_form else jnp.abs

    def fn(p):
        return jnp.sum(jnp.sin(bend(p[1:] * p[:-1])) * jnp.arange(1.0, d)) + jnp.sum(p**3)

    hessian, where = jax.hessian(fn), {"domain": [(0.5, 1)] * d}
    wrong = lambda p: hessian(p).at[17, 18].multiply(-1)  # noqa: E731
    report = gdjax.check_hessian(fn, wrong, 2, **where)
    assert (report.ok, report.component) == (False, "(17, 18)")
    (pattern,) = report.patterns  # "entry (17, 18) is … at the worst point where values say …"
    _, _, _, _, mine, *_, theirs = pattern.split()
    assert float(mine) == pytest.approx(-float(theirs), rel=1e-6)
    assert gdjax.check_hessian(fn, hessian, 2, **where).ok


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
    assert "random directions" in report.estimates["differences"].remark
    assert report.component == "w[3,4]"
    assert report.patterns == ("component w[3,4] is off by a factor 1.01",)
    assert report.worst_point["w"].shape == (6, 7)


@pytest.mark.parametrize("by_differences", [True, pytest.param(False, marks=pytest.mark.full)])
def test_points_on_a_kink_are_left_out_and_counted(by_differences):
    def kink(point):
        return jnp.sum(jnp.abs(point))

    f = kink if by_differences else gdjax.Objective(fn=kink, domain=SQUARE, kink=lambda p: p)
    # jax.grad(abs)(0) is 1, the sign of 0 is 0, and both are subgradients
    report = gdjax.check_gradient(f, jnp.sign, 30, domain=SQUARE)
    assert report.ok
    assert report.left_out["on a kink or a jump"] == 3  # the origin, and once on each axis
    assert "abs has no complex form" in report.estimates["complex step"].remark


@pytest.mark.full
def test_the_edge_of_where_a_function_is_defined_is_left_out():
    report = gdjax.check_gradient(lambda p: jnp.sum(jnp.sqrt(p)), points=30, domain=[(0, 4)] * 2)
    assert report.ok
    assert report.left_out["where the function is not finite"] == 3  # the origin, and on each axis


@pytest.mark.full
def test_sides_that_do_not_exist_are_not_applicable():
    def loop(point):
        turn = lambda c: (c[0] + 1, c[1] * point[0])  # noqa: E731
        return lax.while_loop(lambda c: c[0] < 3, turn, (0, 1.0))[1]

    report = gdjax.check_gradient(loop, lambda p: 3 * p**2, 30, domain=[(1, 2)])
    assert report.ok
    assert "while" in report.estimates["reverse mode"].remark
    with pytest.raises(gdjax.ArgumentError, match="no gradient to certify: Reverse-mode"):
        gdjax.check_gradient(loop, domain=[(1, 2)])


@pytest.mark.full
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


@pytest.mark.full
def test_float32_is_judged_by_what_rounding_does_to_it():
    f = objectives.get("ackley")  # cos 2πx of x up to 32 loses three digits
    report = gdjax.check_gradient(f, points=100, dtype="float32")
    assert report.ok
    assert report.behaviour["float32"].error > 1e-5
    assert report.behaviour["float64"].error < 1e-13
    wrong = gdjax.check_gradient(QFSP, lambda p: QFSP.gradient(p) * 1.0001, 50, dtype="float32")
    assert not wrong.ok  # where rounding is smaller than the error

    def overflow(point):  # e^100 is beyond single precision, its logarithm is not
        return jnp.log(jnp.exp(100 * point[0]))

    report = gdjax.check_gradient(overflow, points=20, domain=[(0.95, 1)], dtype="float64")
    assert report.ok
    assert report.behaviour["float32"].undecided == 21


def test_assert_gradient_fails_with_the_table():
    options = {"domain": [(-5, 5)] * 2, "points": 10}
    gdjax.assert_gradient(lambda p: jnp.sum(p**2), lambda p: 2 * p, **options)
    with pytest.raises(
        AssertionError, match=r"the whole gradient is off by a factor 1\.5"
    ) as found:
        gdjax.assert_gradient(lambda p: jnp.sum(p**2), lambda p: 3 * p, **options)
    call = str(found.value).splitlines()[-1]
    assert call.startswith("  to repeat: gdjax.check_gradient(<lambda>, <lambda>, [np.array([")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: gdjax.check_gradient(QFSP, points=0),
            "points must be a whole number, at least 1, got 0",
        ),
        (lambda: gdjax.check_gradient(jnp.sum), "points must be given, or a domain or a point"),
        (lambda: gdjax.check_gradient(QFSP, dtype="half"), "unknown dtype 'half'"),
        (
            lambda: gdjax.check_gradient(QFSP, points=np.zeros((2, 3))),
            "points must have 2 components, as qfsp has, got 3: (0.0, 0.0, 0.0)",
        ),
        (
            lambda: gdjax.check_gradient(jnp.sum, points=[np.zeros(2), np.zeros(3)]),
            "every point must be an array of shape (2,), got an array of shape (3,)",
        ),
        (
            lambda: gdjax.check_gradient(jnp.sum, points=np.array([(1, 2), (np.nan, 3)])),
            "points must be finite, got nan in component 0 of point 1",
        ),
        (
            lambda: gdjax.check_gradient(lambda p: p["w"][0], around={"w": [1.0, np.inf]}),
            "around must be finite, got inf in component w[1]",
        ),
        (
            lambda: gdjax.check_gradient(jnp.sum, points=np.zeros((0, 2))),
            "points must hold at least one point, got none",
        ),
        (
            lambda: gdjax.check_gradient(QFSP, points=np.zeros((0, 2))),
            "points must hold at least one point, got none",
        ),
        (
            lambda: gdjax.check_gradient(lambda p: p, domain=SQUARE),
            "must return one real number, got float64 of shape (2,)",
        ),
        (
            lambda: gdjax.check_gradient(lambda p: (p[0], p[1]), domain=SQUARE),
            "must return one real number, got a pytree",
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
            lambda: gdjax.check_hessian(lambda p: float(p[0]), lambda p: p, domain=SQUARE),
            "no certificate on the host, but check_gradient certifies its rows there",
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
