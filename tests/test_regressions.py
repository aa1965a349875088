"""What a regression says of parameters, against the closed forms of linear statistics."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import gdjax
from gdjax import regressions

X = np.array([0.0, 1.0, 2.0, 3.0, 5.0, 8.0])
Y = np.array([1.1, 2.9, 5.2, 7.1, 10.6, 17.3])
DATA = {"x": X, "y": Y, "s": np.array([0.1, 0.3, 0.2, 0.4, 0.2, 0.1])}
LINE = gdjax.objectives.get("curve_fit", data=DATA, model="a + b*x", response="y", start=[0, 0])


def fit(model, start, **options):
    return gdjax.objectives.get(
        "curve_fit", data=DATA, model=model, response="y", start=start, **options
    )


def best(f, steps=100):
    return np.asarray(gdjax.descend(f, "levenberg_marquardt", steps=steps, dtype="float64").points)[
        -1
    ]


def straight():
    found = stats.linregress(X, Y)
    return found, np.array([found.intercept, found.slope])


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_a_line_has_the_statistics_of_linear_regression(confidence):
    theirs, at = straight()
    found = gdjax.regression(LINE, at, confidence)
    assert found.names == ("a", "b")
    np.testing.assert_allclose(found.standard_errors, [theirs.intercept_stderr, theirs.stderr])
    assert found.r_squared == pytest.approx(theirs.rvalue**2)
    left = Y - at[0] - at[1] * X
    assert found.residual_sum == pytest.approx(left @ left)
    assert found.residual_deviation == pytest.approx(np.sqrt(left @ left / 4))
    assert (found.degrees_of_freedom, found.confidence) == (4, confidence)
    reach = stats.t.ppf(0.5 + confidence / 2, 4) * found.standard_errors
    np.testing.assert_allclose(found.intervals, np.stack([at - reach, at + reach], axis=1))
    slopes = np.stack([np.ones(6), X], axis=1)
    inverse = np.linalg.inv(slopes.T @ slopes)
    np.testing.assert_allclose(found.covariance, left @ left / 4 * inverse)
    np.testing.assert_allclose(
        found.correlation[0, 1], inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
    )
    np.testing.assert_allclose(np.diag(found.correlation), 1)
    assert (found.undetermined, found.on_bound, found.remarks) == ((), (), ())
    assert found.at_best
    assert found.offset < 1e-9


@pytest.mark.parametrize("absolute", [True, False])
def test_a_weighted_line_has_the_statistics_of_weighted_regression(absolute):
    f = fit("a + b*x", [0, 0], sigma="s", absolute_sigma=absolute)
    slopes, weights = np.stack([np.ones(6), X], axis=1), DATA["s"] ** -2
    inverse = np.linalg.inv(slopes.T * weights @ slopes)
    at = inverse @ (slopes.T @ (weights * Y))
    left = (Y - slopes @ at) / DATA["s"]
    found = gdjax.regression(f, at)
    spread = 1 if absolute else left @ left / 4
    np.testing.assert_allclose(found.covariance, spread * inverse, rtol=1e-9)
    mean = np.average(Y, weights=weights)
    total = np.sum(weights * (Y - mean) ** 2)
    assert found.r_squared == pytest.approx(1 - left @ left / total)


def test_a_band_is_the_textbook_s():
    """Draper & Smith 1998, Applied regression analysis, p. 80–82."""
    _, at = straight()
    found, where = gdjax.regression(LINE, at, 0.9), np.linspace(-3, 12, 7)
    curve, observation = regressions.band(LINE, found, {"x": where})
    share = 1 / 6 + (where - X.mean()) ** 2 / np.sum((X - X.mean()) ** 2)
    reach = stats.t.ppf(0.95, 4) * found.residual_deviation
    np.testing.assert_allclose(curve, reach * np.sqrt(share))
    np.testing.assert_allclose(observation, reach * np.sqrt(1 + share))


@pytest.mark.parametrize(
    ("model", "point", "groups"),
    [
        ("a*b*x", [2.0, 1.0], [("a", "b")]),
        ("a + b*x + 0*c", [1.0, 2.0, 3.0], [("c",)]),
        ("a + b*x + c*(2*x + 3)", [0.5, 1.5, 0.2], [("a", "b", "c")]),
        ("a + b*x + c*x", [1.0, 1.0, 1.0], [("b", "c")]),
        ("a*b*x + 0*c + d", [2.0, 1.0, 5.0, 1.0], [("c",), ("a", "b")]),
        ("a + b*x", [1.0, 2.0], []),
        ("1e-9*a + 1e9*b*x", [1e9, 2e-9], []),  # of other sizes, yet told apart
    ],
)
def test_what_the_data_cannot_tell_apart_is_named(model, point, groups):
    found = gdjax.regression(fit(model, point), point)
    assert sorted(found.undetermined) == sorted(groups)
    lost = {name for group in groups for name in group}
    errors = dict(zip(found.names, found.standard_errors, strict=True))
    assert {name for name, error in errors.items() if np.isinf(error)} == lost
    assert all(np.isfinite(errors[name]) for name in errors.keys() - lost)
    told = " ".join(found.remarks)
    for group in groups:
        words = "cannot tell a and b apart" if group == ("a", "b") else ", ".join(group[:1])
        assert words in told
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_penalty_decides_what_the_data_do_not():
    f = fit("a*b*x", [2.0, 1.0], penalties="a - 2")
    found = gdjax.regression(f, best(f))
    assert found.undetermined == ()
    assert np.isfinite(found.standard_errors).all()
    assert found.degrees_of_freedom == 5  # six rows and a penalty, less two parameters


def test_what_is_held_on_a_bound_has_no_error_and_leaves_the_others_theirs():
    f = fit("a + b*x", [2.5, 1.0], bounds={"a": [2.0, None]})
    point = best(f)
    assert point[0] == pytest.approx(2, abs=1e-5)
    found = gdjax.regression(f, [2.0, X @ (Y - 2) / (X @ X)])
    assert found.on_bound == ("a",)
    assert np.isnan(found.standard_errors[0])
    assert found.degrees_of_freedom == 5
    slope = X @ (Y - 2) / (X @ X)
    left = Y - 2 - slope * X
    assert found.standard_errors[1] == pytest.approx(np.sqrt(left @ left / 5 / (X @ X)))
    assert found.at_best
    assert "held on a bound, and without an error: a" in found.remarks
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert plain["parameters"]["a"]["standard_error"] is None
    assert plain["on_bound"] == ["a"]


def test_where_a_descent_to_a_bound_ends_it_is_held():
    f = fit("a + b*x", [2.5, 1.0], bounds={"a": [2.0, None]})
    found = gdjax.regression(f, best(f, 300))
    assert found.on_bound == ("a",)
    assert found.at_best


@pytest.mark.parametrize(("away", "at_best"), [(1e-9, True), (0.01, True), (1.0, False)])
def test_the_offset_says_how_far_the_best_fit_is(away, at_best):
    """By a shift of the line's height: √6 |shift| in the plane of the model, by 2 parameters."""
    theirs, at = straight()
    found = gdjax.regression(LINE, at + np.array([away, 0]))
    spread = np.sqrt(np.sum((Y - at[0] - at[1] * X) ** 2) / 4)
    assert found.offset == pytest.approx(np.sqrt(6 / 2) * away / spread, rel=1e-3)
    assert found.at_best == at_best
    assert ("this is not the best fit" in " ".join(found.remarks)) != at_best
    assert theirs.slope == pytest.approx(at[1])


def test_as_many_residuals_as_parameters_leave_no_freedom():
    data = {"x": np.array([0.0, 1.0]), "y": np.array([1.0, 3.0])}
    f = gdjax.objectives.get("curve_fit", data=data, model="a + b*x", start=[0, 0])
    found = gdjax.regression(f, [1.0, 2.0])
    assert found.degrees_of_freedom == 0
    assert np.isnan(found.residual_deviation)
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert plain["parameters"]["a"] == {
        "estimate": 1.0, "standard_error": None, "interval": [None, None],
    }  # fmt: skip
    str(found), found._repr_html_()


def test_an_objective_of_one_s_own_residuals_has_a_regression():
    f = gdjax.Objective(
        residuals=lambda p: jnp.asarray(Y) - p[0] - p[1] * jnp.asarray(X), start=(0.0, 0.0)
    )
    theirs, at = straight()
    found = gdjax.regression(f, {"x": at[0], "y": at[1]})
    np.testing.assert_allclose(
        found.standard_errors, [theirs.intercept_stderr, theirs.stderr], rtol=1e-6
    )
    assert found.r_squared is None
    assert "R²" not in str(found)


def test_observations_that_are_all_alike_have_no_r_squared():
    f = gdjax.objectives.get(
        "curve_fit", data={"x": X, "y": np.full(6, 2.0)}, model="a + b*x", start=[0, 0]
    )
    found = gdjax.regression(f, [2.0, 0.1])
    assert found.r_squared is None
    json.dumps(found.as_dict(), allow_nan=False)


def test_it_is_written_as_a_table():
    _, at = straight()
    lines = str(gdjax.regression(LINE, at)).splitlines()
    assert lines[0].split() == ["parameter", "estimate", "standard", "error", "95%", "interval"]
    assert lines[1].split()[:2] == ["a", f"{at[0]:.8g}"]
    assert lines[3].startswith("residual standard deviation")
    assert "on 4 degrees of freedom, R² = 0.99" in lines[3]
    assert len(lines) == 4


SHORT = gdjax.objectives.get(
    "curve_fit", data={"x": X[:2], "y": Y[:2]}, model="a + b*x + c*x**2", start=[0, 0, 0]
)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gdjax.regression("qfsp", [1, 2]), "needs an objective with residuals, and qfsp"),
        (lambda: gdjax.regression(lambda p: (p**2).sum(), [1, 2]), "needs an objective with"),
        (lambda: gdjax.regression(SHORT, [0, 0, 0]), "residuals as parameters, got 2 for 3"),
        (lambda: gdjax.regression(LINE, [0, 0], 0), "confidence must"),
        (lambda: gdjax.regression(LINE, [0, 0], 1.0), "confidence must"),
        (lambda: gdjax.regression(LINE, [0, 0], 95), "confidence must"),
        (lambda: gdjax.regression(LINE, [0, 0], "95%"), "confidence must"),
        (lambda: gdjax.regression(LINE, [0, 0, 0]), "point must have 2 components"),
        (lambda: gdjax.regression(LINE, [0, np.nan]), "point must be finite"),
        (lambda: gdjax.regression(fit("a*x**b", [1, 1]), [1, -1]), "needs finite residuals"),
    ],
)  # fmt: skip
def test_what_has_no_regression_is_refused_in_a_line(untyped, call, words):
    with pytest.raises(gdjax.ArgumentError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
