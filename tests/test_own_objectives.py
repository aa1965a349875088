"""The user's own objective: functions, sources, formulas, fits to data, and what is refused."""

import functools
import math
import os
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax
from gdjax import objectives, plotting
from gdjax._inputs import default_dtype
from gdjax.objectives.formula import parse
from gdjax.objectives.loading import find

# NIST Statistical Reference Datasets, nonlinear regression: model, the data as y then x, both
# published starts, the certified parameters and residual sum of squares.
MISRA1A = (
    "b1*(1 - exp(-b2*x))",
    """10.07 14.73 17.94 23.93 29.61 35.18 40.02 44.82 50.76 55.05 61.01 66.40 75.47 81.78
    77.6 114.9 141.1 190.8 239.9 289.0 332.8 378.4 434.8 477.3 536.8 593.1 689.1 760.0""",
    [(500, 0.0001), (250, 0.0005)],
    (2.3894212918e02, 5.5015643181e-04),
    1.2455138894e-01,
)
THURBER = (
    "(b1 + b2*x + b3*x**2 + b4*x**3) / (1 + b5*x + b6*x**2 + b7*x**3)",
    """80.574 84.248 87.264 87.195 89.076 89.608 89.868 90.101 92.405 95.854 100.696 101.060 401.672
    390.724 567.534 635.316 733.054 759.087 894.206 990.785 1090.109 1080.914 1122.643 1178.351
    1260.531 1273.514 1288.339 1327.543 1353.863 1414.509 1425.208 1421.384 1442.962 1464.350
    1468.705 1447.894 1457.628
    -3.067 -2.981 -2.921 -2.912 -2.840 -2.797 -2.702 -2.699 -2.633 -2.481 -2.363 -2.322 -1.501
    -1.460 -1.274 -1.212 -1.100 -1.046 -0.915 -0.714 -0.566 -0.545 -0.400 -0.309 -0.109 -0.103 0.010
    0.119 0.377 0.790 0.963 1.006 1.115 1.572 1.841 2.047 2.200""",
    [(1000, 1000, 400, 40, 0.7, 0.3, 0.03), (1300, 1500, 500, 75, 1, 0.4, 0.05)],
    (
        1.2881396800e03, 1.4910792535e03, 5.8323836877e02, 7.5416644291e01, 9.6629502864e-01,
        3.9797285797e-01, 4.9727297349e-02,
    ),
    5.6427082397e03,
)  # fmt: skip


def write(path, rows):
    """A CSV file with the columns y and x, from NIST's listing."""
    y, x = np.reshape(rows.split(), (2, -1))
    path.write_text("\n".join(["y,x", *map(",".join, zip(y, x, strict=True))]) + "\n")
    return path


@functools.lru_cache
def fitted(folder, problem):
    """One objective for both starts, so that it compiles once."""
    model, rows, starts, *_ = (MISRA1A, THURBER)[problem]
    data = write(folder / f"{problem}.csv", rows)
    return objectives.get("curve_fit", data=data, model=model, start=starts[0])


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("nist")


NIST = pytest.mark.parametrize("problem", [0, 1], ids=["Misra1a", "Thurber"])


@pytest.mark.parametrize(
    ("problem", "start"),
    [(0, 0), *(pytest.param(*case, marks=pytest.mark.full) for case in ((0, 1), (1, 0), (1, 1)))],
)
def test_lbfgs_finds_the_certified_parameters_from_the_published_starts(folder, problem, start):
    _, _, starts, certified, squares = (MISRA1A, THURBER)[problem]
    f = fitted(folder, problem)
    path = gdjax.descend(f, optax.lbfgs(), starts[start], steps=200, dtype="float64")
    # NIST certifies 11 digits; at the minimum parameters have half of float64's, so 1e-8 is safe.
    np.testing.assert_allclose(path.points[-1], certified, rtol=1e-8)
    assert float(path.values[-1]) == pytest.approx(squares, rel=1e-9)


@NIST
def test_a_fit_is_the_sum_of_squares_with_the_slope_that_differences_have(folder, problem):
    model, rows, starts, certified, squares = (MISRA1A, THURBER)[problem]
    f = fitted(folder, problem)
    y, x = np.reshape(rows.split(), (2, -1)).astype(float)

    def misfit(b):
        names = {f"b{i + 1}": value for i, value in enumerate(b)}
        return np.sum((y - eval(model, {"exp": np.exp, "x": x} | names)) ** 2)

    with default_dtype("float64"):
        for b in np.array(starts):
            assert float(f(b)) == pytest.approx(misfit(b), rel=1e-12)
            h = 1e-5 * b
            slopes = [(misfit(b + d) - misfit(b - d)) / (2 * d.max()) for d in np.diag(h)]
            np.testing.assert_allclose(f.hand_gradient(jnp.array(b)), slopes, rtol=1e-4)
        assert float(f(certified)) == pytest.approx(squares, rel=1e-9)
    assert f.fit.response == "y"
    np.testing.assert_array_equal(f.fit.observed, y)
    np.testing.assert_array_equal(f.fit.columns["x"], x)
    assert f.domain == tuple((b - 5 * b, b + 5 * b) for b in starts[0])
    assert f.reference == f"{problem}.csv: {model}"


def test_heavy_ball_finds_them_where_the_model_scales_its_parameters(tmp_path):
    _, rows, starts, certified, _ = MISRA1A
    data, scale = write(tmp_path / "data.csv", rows), np.array([100, 1e-3])
    f = objectives.get("curve_fit", data=data, model="100*b1*(1 - exp(-b2*x/1000))")
    for start in starts:
        path = gdjax.descend(
            f, gdjax.heavy_ball(1e-7, 0.999), start / scale, steps=20_000, dtype="float64"
        )
        # Condition number 6.5e3: after 20,000 steps of this rate about 1e-5 is left.
        np.testing.assert_allclose(np.asarray(path.points)[-1] * scale, certified, rtol=1e-4)


def test_a_fit_is_drawn_with_its_data_and_the_curves_before_and_after(tmp_path):
    model, rows, starts, certified, _ = MISRA1A
    data = write(tmp_path / "data.csv", rows)
    f = objectives.get("curve_fit", data=data, model=model, start=starts[1], minima=[certified])
    path = gdjax.descend(f, optax.lbfgs(), steps=60, dtype="float64")
    axes, below = plotting.fit(f, {"lbfgs": path}).axes
    start, end, dots = axes.get_lines()
    np.testing.assert_array_equal(
        dots.get_xydata(), np.column_stack([f.fit.columns["x"], f.fit.observed])
    )
    for line, (a, b) in ((start, starts[1]), (end, certified)):
        x, y = line.get_xydata().T
        np.testing.assert_allclose(y, a * (1 - np.exp(-b * x)), rtol=1e-3)
    left = below.get_lines()[1].get_xydata().T
    np.testing.assert_allclose(
        left[1], f.fit.observed - certified[0] * (1 - np.exp(-certified[1] * left[0])), atol=0.01
    )
    assert len(axes.collections) == 2  # the bands of the curve, and of a new observation
    flat = plotting.comparison(f, {"lbfgs": path}, axes=["b2", "b1"]).axes[1]
    assert (flat.get_xlabel(), flat.get_ylabel()) == ("$b_{2}$", "$b_{1}$")
    with pytest.raises(gdjax.ArgumentError, match="fit needs data, and qfsp has none"):
        plotting.fit(objectives.get("qfsp"), {"lbfgs": path})


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ([0, 4], "axes must lie between 0 and 3"),
        ([1, 1], "axes must be two different components"),
        (["x1", "x5"], "unknown component of sphere 'x5'"),
        ([0], "axes must be two components of sphere"),
    ],
)
def test_axes_that_cannot_be_drawn(axes, message):
    with pytest.raises(gdjax.ArgumentError, match=message):
        plotting.landscape.pick(objectives.get("sphere", dim=4), axes)


def test_a_formula_is_the_function_it_says_with_the_gradient_sympy_derives():
    f = objectives.get("formula", expression="x**2 + y**2 + 10*sin(x)*sin(y)")
    known = objectives.get("qfsp")
    assert f is objectives.get("formula", expression="x**2 + y**2 + 10*sin(x)*sin(y)")
    assert f.domain == ((-5, 5), (-5, 5))
    assert r"2 x + 10 \sin{\left(y \right)} \cos{\left(x \right)}" in f.gradient_latex
    for point in np.random.default_rng(0).uniform(-5, 5, (5, 2)):
        point = jnp.asarray(point, dtype=float)
        np.testing.assert_allclose(f.fn(point), known.fn(point), rtol=1e-5)
        np.testing.assert_allclose(f.gradient(point), known.gradient(point), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("expression", "point", "gradient"),
    [
        ("abs(x) + abs(y - 1)", (0, 1), (0, 0)),  # sign(0) = 0
        ("max(x, y)", (2, 2), (0.5, 0.5)),  # heaviside(0) = ½
        ("min(x, y, 0)", (-1, 3), (1, 0)),
        ("x**-2 + 2**y", (2, 3), (-0.25, 8 * math.log(2))),
        ("+x - -y/2", (1, 1), (1, 0.5)),
        ("e**x + e*y + 1e-3*x", (1, 1), (math.e + 1e-3, math.e)),
        ("sqrt(x)*y", (4, 3), (0.75, 2)),
    ],
)
def test_derivatives_are_those_of_hand_and_subgradients_at_a_kink(expression, point, gradient):
    f = objectives.get("formula", expression=expression, variables=["x", "y"])
    slope = f.gradient(jnp.array(point, dtype=float))
    np.testing.assert_allclose(slope, gradient, rtol=1e-6)
    assert slope.dtype == f(point).dtype == "float32"
    assert f.reference == expression


def test_names_of_a_formula_are_symbols_whatever_sympy_calls_so():
    names = ["E", "I", "N", "S", "x2", "x10"]
    f = objectives.get("formula", expression="E*x10 + e*x2 + I**2 + S*N", variables=names)
    assert f.variables == ("E", "I", "N", "S", "x2", "x10")
    assert f.gradient(jnp.arange(6.0))[4] == pytest.approx(math.e)
    assert objectives.get("formula", expression="y - x", variables=["y", "x"])((3, 1)) == 2


def test_kinks_of_a_formula_are_told():
    f = objectives.get("formula", expression="abs(x - 1) + max(x, y, 3)")
    assert f.smoothness == "kink"
    assert f.kink(jnp.array([1.5, 2.0])).tolist() == [0.5, 0.5, 1.0]  # y − x, 3 − max(x, y)


@pytest.mark.parametrize(
    ("expression", "smoothness"),
    [
        ("sqrt(x**2)", "kink"), ("sqrt(x**2 + y**2)", "kink"), ("(x**2)**0.5 + y", "kink"),
        ("x**(1/3) + y", "kink"), ("acosh(cosh(x)) + y", "kink"), ("acos(cos(x)) + y", "kink"),
        ("atan2(y, x)", "kink"), ("min(x, y)", "kink"), ("x*abs(y)", "kink"),
        ("sqrt(1 + x**2 + y**2)", "smooth"), ("abs(3)*x + y", "smooth"),
        ("max(x, x + 1)", "smooth"),
        ("max(x, x)*y", "smooth"), ("x**1.5 + y**-2", "smooth"), ("2**x + e**y", "smooth"),
    ],
)  # fmt: skip
def test_a_formula_is_smooth_where_it_has_no_root_of_0_and_no_kink(expression, smoothness):
    f = objectives.get("formula", expression=expression)
    assert f.smoothness == smoothness
    assert (f.kink is None) == (smoothness == "smooth")
    if f.kink is not None and f.dim == 2:
        assert (f.kink(jnp.array([0.0, 0.0])) == 0).any()
        assert (f.kink(jnp.array([0.7, 1.3])) != 0).all()


@pytest.mark.full
@pytest.mark.parametrize("expression", ["sqrt(x**2)", "acosh(cosh(x))", "(x**2)**0.5"])
def test_a_certificate_leaves_out_the_kink_of_a_root(expression):
    report = gdjax.check_gradient(objectives.get("formula", expression=expression), points=9)
    assert report.ok
    assert report.left_out["on a kink or a jump"] == 1


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("x^2", "'x^2' is not allowed, at column 1 of 'x^2'; write ** for powers, not ^"),
        (
            "x + sinn(y)",
            "unknown function 'sinn', at column 5 of 'x + sinn(y)'; did you mean 'sin'",
        ),
        ("x + __import__('os').system('ls')", "at column 5"),
        ("x.__class__", "'x.__class__' is not allowed"),
        ("ä*np.sin(x)", "'np.sin' is not allowed, at column 3"),
        ("x[0]**2", "write x1, x2, … for components"),
        ("x if x > 0 else y", "write piecewise(x < 2, a, b)"),
        ("x < 3", "write piecewise(x < 2, a, b)"),
        ("[x for x in y]", "is not allowed, at column 1"),
        ("sin(x, y)", "sin takes 1 argument, at column 1 of 'sin(x, y)'; got 2"),
        ("sin + x", "sin is a function"),
        ("sin x", "write sin(x), not sin x"),
        ("x**1000", "the power 1000 is too large, at column 4 of 'x**1000'; at most 100"),
        ("x*9**9**9**9", "'9**9**9**9' has no finite value"),
        ("x/0", "division by zero, at column 3"),
        ("(" * 300 + "x" + ")" * 300, "too many nested parentheses"),
        ("sin(" * 70 + "x" + ")" * 70, "nested more than 60 levels deep"),
        ("-" * 5000 + "x", "expression may hold 5,000 names, numbers and operations"),
        ("+".join(["x"] * 2600), "may hold 5,000 names, numbers and operations, got 5,199"),
        ("digamma*x", "digamma cannot be a name"),
        ("2*pi", "needs at least one variable"),
        ("", "expression must be a formula, got ''"),
    ],
)
def test_anything_but_a_formula_is_refused(expression, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        objectives.get("formula", expression=expression)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("allowed", "refused", "message"),
    [
        ("x**100", "x**101", "the power 101 is too large, at column 4"),
        ("x**-100", "x**-101", "the power -101 is too large"),
        ("-x" + "+x" * 2499, "-x" + "+x" * 2499 + "*x", "got 5,002"),
        ("sin(" * 60 + "x" + ")" * 60, "sin(" * 61 + "x" + ")" * 61, "more than 60 levels"),
        ("2**(x*" * 30 + "x" + ")" * 30, "2**(x*" * 31 + "x" + ")" * 31, "more than 60 levels"),
        ("x*exp(709)", "x*exp(710)", "'exp(710)' has no finite value, at column 3"),
        ("x/1e-300", "x/(1 - 1)", "division by zero"),
        ("max(x, 1, 2, 3)", "max(x)", "max takes at least 2 arguments, at column 1"),
        ("atan2(x, 1)", "atan2(x)", "atan2 takes 2 arguments"),
        ("x + heavy", "x + digamma", "digamma cannot be a name, at column 5"),
        ("x*2.5", "x*True", "'True' is not allowed"),
        ("y\n + x", "y\n + 'x'", "\"'x'\" is not allowed"),
    ],
)
def test_a_formula_is_refused_from_the_limit_on(allowed, refused, message):
    parse(allowed)
    with pytest.raises(gdjax.ArgumentError) as caught:
        parse(refused)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (["x"], "unknown variable 'y'"),
        (["x", "y", "x"], "variables must differ from one another, got x, y, x"),
        (["x", "exp"], "names that mean nothing else in a formula, got 'exp'"),
        (["x", "2y"], "got '2y'"),
        (["x", 3], "got 3"),
    ],
)
def test_variables_of_a_formula_that_cannot_be(untyped, variables, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        objectives.get("formula", expression="x*y", variables=variables)
    assert message in str(caught.value)


def test_a_formula_nested_as_deeply_as_allowed_still_has_its_gradient():
    f = parse("sin(" * 55 + "x" + ")" * 55)
    assert np.isfinite(f.derivatives(["x"])[0]({"x": 1.0}))


def bowl(point):
    return jnp.sum(point**2)


def test_a_bare_function_can_be_descended_and_compiles_once():
    count = []

    def counted(point):
        count.append(1)
        return bowl(point)

    for start in ((3.0, 4.0), (1.0, 2.0)):
        path = gdjax.descend(counted, gdjax.heavy_ball(0.1), start, steps=5)
        np.testing.assert_array_equal(path.points[0], start)
        traced = len(count)
        gdjax.descend(counted, gdjax.heavy_ball(0.2), start, steps=5)
        assert len(count) == traced
    with pytest.raises(gdjax.ArgumentError, match="a bare function needs a start"):
        gdjax.descend(bowl, gdjax.heavy_ball(0.1))


def test_a_descent_of_a_bare_function_can_be_differentiated():
    def end(start):
        return gdjax.descend(bowl, gdjax.gradient_descent(0.1), start, steps=3).values[-1]

    slope = jax.jit(jax.grad(end))(jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(slope, 2 * 0.8**6 * np.array([1.0, 2.0]), rtol=1e-5)


def branch(point):
    return point[0] if point[0] > 0 else point[1]


def nothing(point):
    point.sum()


def three(point):
    x, y, z = point
    return x + y + z


def halved(point):
    return jnp.float32(point[0])


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda p: p, "lambda must return a scalar, got an array of shape (2,)"),
        (lambda p: [p[0]], "lambda must return a scalar, got a list"),
        (nothing, "nothing must return a scalar, got None (is a `return` missing?)"),
        (lambda p: jnp.argmax(p), "lambda must return the point's dtype, float64, got int"),
        (halved, "halved must return the point's dtype, float64, got float32"),
        (lambda p: np.sin(p[0]), "cannot be traced by JAX: The numpy.ndarray conversion"),
        (lambda p: math.sin(p[0]), "use jax.numpy instead of numpy and math"),
        (branch, "branch cannot be traced by JAX: Attempted boolean conversion"),
        (three, "three fails on a point of shape (2,): ValueError: not enough values to unpack"),
        (lambda p: jnp.log(p[0]) + p[1], "lambda is NaN at (-5, -5), and at "),
        (lambda p: jnp.sin(p[0]) / p[0], "lambda is NaN at (0, 0), and at 1 of 260 points"),
        (
            lambda p: jax.lax.while_loop(lambda x: x < 3, lambda x: x + 1, p[0]),
            "autodiff's gradient of lambda fails",
        ),
    ],
)
def test_a_function_that_is_no_objective_is_refused_in_one_line(fn, message):
    f = gdjax.Objective(fn=fn, domain=[(-5, 5)] * 2)
    with pytest.raises(gdjax.ArgumentError) as caught:
        gdjax.descend(f, gdjax.heavy_ball(0.1), dtype="float64")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_line_of_the_users_file_is_told():
    line = branch.__code__.co_firstlineno + 1
    with pytest.raises(gdjax.ArgumentError, match=rf"\(line {line}\); use"):
        objectives.validate(gdjax.Objective(fn=branch, domain=[(-5, 5)] * 2))


def test_a_sweep_refuses_it_as_a_descent_does():
    f = gdjax.Objective(fn=branch, domain=[(-5, 5)] * 2)
    with pytest.raises(gdjax.ArgumentError, match="branch cannot be traced by JAX"):
        gdjax.sweep(f, gdjax.heavy_ball(0.1), starts=[[1.0, 2.0]], steps=1)


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (
            lambda p: 2 * p.sum(),
            "the gradient of bowl must return an array of shape (2,), got a scalar",
        ),
        (lambda p: [2 * p[0], 2 * p[1]], "got a list; wrap it in jnp.stack([...])"),
        (lambda p: jnp.outer(p, p), "got an array of shape (2, 2)"),
        (lambda p: p.astype(int), "must return the point's dtype, float32, got int32"),
        (lambda p: np.sin(p), "the gradient of bowl cannot be traced by JAX"),
    ],
)
def test_a_gradient_that_is_none_is_refused(gradient, message):
    f = gdjax.Objective(fn=bowl, gradient=gradient, domain=[(-5, 5)] * 2)
    with pytest.raises(gdjax.ArgumentError) as caught:
        objectives.validate(f)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("residuals", "message"),
    [
        (lambda p: p @ p, "the residuals of bowl must return an array of shape (n,), got a scalar"),
        (lambda p: [p[0], p[1]], "got a list; wrap it in jnp.stack([...])"),
        (lambda p: jnp.outer(p, p), "got an array of shape (2, 2)"),
        (lambda p: p.astype(int), "must return the point's dtype, float32, got int32"),
        (lambda p: np.sin(p), "the residuals of bowl cannot be traced by JAX"),
        (lambda p: p / jnp.sqrt(2), "at (1, 2) it is 5, and they sum to 2.5"),
        (lambda p: jnp.where(p > 0, p, jnp.nan), "at (0, 0) it is 0, and they sum to nan"),
    ],
)
def test_residuals_that_are_none_are_refused(residuals, message):
    f = gdjax.Objective(
        name="bowl", fn=lambda p: p @ p, residuals=residuals, domain=[(-5, 5)] * 2, start=(1, 2)
    )
    with pytest.raises(gdjax.ArgumentError) as caught:
        objectives.validate(f)
    assert message in str(caught.value)


def test_a_sweep_holds_residuals_against_the_value_at_its_start():
    f = gdjax.Objective(fn=lambda p: p @ p, residuals=lambda p: 2 * p, start=(1, 2))
    with pytest.raises(gdjax.ArgumentError, match=r"it is 5, and they sum to 20"):
        gdjax.sweep(f, gdjax.levenberg_marquardt(), starts=[[1.0, 2.0]], steps=1)


def test_rounding_is_no_reason_to_refuse_residuals():
    x, y = jnp.linspace(1, 2, 20), jnp.linspace(3, 5, 20)
    f = gdjax.Objective(  # multiplied out, its value at the minimum is a difference of large terms
        fn=lambda p: (y @ y).astype(p.dtype) - 2 * p[0] * (x @ y) + p[0] ** 2 * (x @ x),
        residuals=lambda p: y - p[0] * x, domain=[(-5, 5)], start=[float(x @ y / (x @ x))],
    )  # fmt: skip
    objectives.validate(f)
    huge = gdjax.Objective(
        fn=lambda p: jnp.exp(2 * p[0]), residuals=jnp.exp, domain=[(-99, 99)], start=[0]
    )
    objectives.validate(huge)


def test_a_valid_objective_is_not_looked_at_twice():
    count = []
    f = gdjax.Objective(fn=lambda p: count.append(1) or bowl(p), domain=[(-5, 5)] * 2)
    assert objectives.validate(f) is f
    looked = len(count)
    objectives.validate(f)
    assert looked == len(count)
    with default_dtype("float64"):
        objectives.validate(f)
    assert looked < len(count)


@pytest.mark.parametrize("where", ["start", "center", "low", "high", "minima"])
def test_a_value_that_is_nan_at_one_known_point_is_refused_there(where):
    place = {"start": (3.0, -4.0), "center": (1.0, 2.0), "low": (-5.0, -6.0), "high": (7.0, 10.0)}
    hole = jnp.array(place.get(where, (2.0, 2.5)))
    f = gdjax.Objective(
        name="holed", fn=lambda p: jnp.where((p == hole).all(), jnp.nan, bowl(p)),
        domain=[(-5, 7), (-6, 10)], start=(3, -4), minima=[(2, 2.5)],
    )  # fmt: skip
    objectives.validate(f, numbers=False)
    with pytest.raises(gdjax.ArgumentError) as caught:
        objectives.validate(f)
    at = ", ".join(f"{x:g}" for x in hole.tolist())
    assert f"holed is NaN at ({at}), and at 1 of 261 points of its domain" in str(caught.value)


def test_a_hessian_of_another_shape_is_refused():
    f = gdjax.Objective(fn=bowl, hessian=lambda p: p, domain=[(-5, 5)] * 2)
    with pytest.raises(gdjax.ArgumentError, match=r"the Hessian of bowl must return an array of "):
        objectives.validate(f)


def test_a_function_is_made_an_objective_with_all_that_is_said_of_it(tmp_path):
    file = tmp_path / "with_slope.py"
    file.write_text("def f(p):\n    return p @ p\n\ndef g(p):\n    return 2 * p\n")
    f = objectives.get(
        "function", fn=f"{file}:f", gradient=f"{file}:g", start=[1, 2, 3], minima=[[0, 0, 0]],
        fmin=0.0, variables=["a", "b", "c"], name="own",
    )  # fmt: skip
    assert (f.domain, f.bounded) == (None, False)  # a start is all that is known of it
    assert (f.start, f.minima, f.fmin) == ((1, 2, 3), ((0, 0, 0),), 0.0)
    assert (f.variables, f.name) == (("a", "b", "c"), "own")
    assert f.gradient(jnp.array([1.0, 2.0, 3.0])).tolist() == [2, 4, 6]
    alone = objectives.get("function", residuals=f"{file}:g", start=[1, 2, 3])
    assert (alone.name, float(alone((1.0, 2.0, 3.0)))) == ("g", 56.0)
    assert alone.residual_vector(jnp.ones(3)).tolist() == [2, 2, 2]
    both = objectives.get("function", fn=f"{file}:f", residuals=f"{file}:g", start=[1, 2, 3])
    assert (both.name, float(both((1.0, 2.0, 3.0)))) == ("f", 14.0)
    bare = objectives.as_objective(bowl, start=(1.0, 2.0, 3.0))
    assert (bare.domain, bare.start) == (None, (1.0, 2.0, 3.0))
    assert bare is objectives.as_objective(bowl, start=np.zeros(3))
    assert bare is not objectives.as_objective(bowl, start=np.zeros(2))


def test_a_number_is_no_objective(untyped):
    words = "objective must be an Objective, a name or a function, got 3"
    with pytest.raises(gdjax.ArgumentError, match=words):
        objectives.as_objective(3, (1.0,))


def test_makers_are_no_entries_of_the_catalogue():
    assert not {*objectives.makers()} & {*objectives.names()}
    assert objectives.parameters("formula")["expression"] is objectives.REQUIRED


def test_a_function_is_found_in_a_file_and_again_once_it_has_changed(tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text("import beside\n\ndef f(p):\n    return beside.factor * p.sum()\n")
    (tmp_path / "beside.py").write_text("factor = 3\n")
    source = f"{file}:f"
    f = objectives.get("function", fn=source, domain=[[0, 1]] * 2)
    assert f is objectives.get("function", fn=source, domain=[[0, 1]] * 2)
    assert (f.name, float(f((1, 2)))) == ("f", 9)
    file.write_text("def f(p):\n    return p.sum()\n")
    os.utime(file, ns=(1, 1))
    assert objectives.get("function", fn=source, domain=[[0, 1]] * 2)((1, 2)) == 3


def test_what_is_found_may_be_an_objective_already(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import gdjax\n\nf = gdjax.Objective(name='own', fn=lambda p: p.sum(), domain=[(0, 1)])\n"
    )
    f = objectives.get("function", fn=f"{file}:f")
    assert (f, f.name) == (find(f"{file}:f"), "own")
    assert objectives.get("function", fn=f"{file}:f", domain=[[0, 2]]).domain == ((0, 2),)
    qfsp = objectives.get("qfsp")
    assert objectives.get("function", fn=qfsp) is qfsp


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mine.py", "fn must be file.py:function or package.module:function, got 'mine.py'"),
        ("mine.py:", "fn must be file.py:function or package.module:function, got 'mine.py:'"),
        (":f", "fn must be file.py:function or package.module:function, got ':f'"),
        ("min.py:f", "fn: there is no file 'min.py'; did you mean 'mine.py'?"),
        ("mine.py:bwol", "unknown function in mine.py: 'bwol'; did you mean 'bowl'?"),
        ("mine.py:number", "fn must name a function, and mine.py:number is a int"),
        (
            "broken.py:f",
            "fn: broken.py cannot be imported: NameError: name 'y' is not defined, line 2",
        ),
        ("broken:f", "fn: broken cannot be imported: NameError: name 'y' is not defined"),
        ("needs:f", "fn: needs cannot be imported: ModuleNotFoundError: No module named 'not_th"),
        ("wrong.py:f", "fn: wrong.py cannot be imported: SyntaxError: "),
        ("needs.py:f", "ModuleNotFoundError: No module named 'not_there', line 1"),
        ("gdjaxx:f", "fn: there is no module 'gdjaxx'; did you mean 'gdjax'"),
        ("gdjax.objectivs:f", "there is no module 'gdjax.objectivs'; did you mean 'objectives'?"),
        ("gdjax.objectives:gte", "unknown function in gdjax.objectives: 'gte'"),
        ("mine.py:bowl", "objective function needs a domain"),
    ],
)
def test_a_source_that_leads_nowhere_is_told_with_near_names(
    source, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("number = 3\n\ndef bowl(p):\n    return p.sum()\n")
    (tmp_path / "broken.py").write_text("x = 3\nx = y\n")
    (tmp_path / "wrong.py").write_text("def f(:\n")
    (tmp_path / "needs.py").write_text("import not_there\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(gdjax.ArgumentError) as caught:
        objectives.get("function", fn=source)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


GOOD = "t,y\n1,2\n2,3\n3,5\n"


@pytest.mark.parametrize(
    ("table", "chosen", "message"),
    [
        ("t,y\n1,2\n2,\n", {}, "data: points.csv, row 3, column 'y' must be a finite number; the"),
        ("t,y\n1,2\nn/a,3\n", {}, "row 3, column 't' must be a finite number; got 'n/a'"),
        ("t,y\n1,2\n2,nan\n", {}, "row 3, column 'y' must be a finite number; got 'nan'"),
        ("t,y\n1,2\n2\n", {}, "row 3: 2 cells expected, as in the header (t, y), got 1"),
        ("t,t\n1,2\n", {}, "points.csv has two columns named 't'"),
        ("t,,y\n1,2,3\n", {}, "has no name for column 2"),
        ("1,2\n3,4\n", {}, "needs a header with the names of its columns, got the numbers 1, 2"),
        ("t,y\n", {}, "needs a header and at least one row"),
        (GOOD, {"model": "a*T"}, "unknown column 'T' in model; did you mean 't'?"),
        (GOOD, {"model": "a*b"}, "model names no column of points.csv; columns are t, y"),
        (GOOD, {"model": "t**2"}, "model needs at least one parameter"),
        (GOOD, {"model": "a*y"}, "model must not hold the response 'y'"),
        (GOOD, {"model": "a*t^2"}, "model: 'a*t^2' is not allowed, at column 1"),
        (GOOD, {"response": "z"}, "unknown response, a column of points.csv, 'z'; choose from"),
        (GOOD, {"parameters": ["b"]}, "unknown column or parameter of points.csv 'a'"),
        (GOOD, {"data": "pionts.csv"}, "there is no file 'pionts.csv'; did you mean 'points.csv'?"),
        (GOOD, {"start": [1, 2]}, "start must have 1 component, one for each of a, got 2"),
        (GOOD, {"domain": [[0, 1]] * 2}, "one for each of the 2 (low, high) pairs"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_fitted_are_told_by_row_and_column(
    table, chosen, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "points.csv").write_text(table)
    with pytest.raises(gdjax.ArgumentError) as caught:
        objectives.get("curve_fit", **({"data": "points.csv", "model": "a*t"} | chosen))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_line_is_fitted_to_the_rows_as_its_normal_equations_have_it(tmp_path):
    (tmp_path / "points.csv").write_text("label,t,y\nfirst,1,2\nsecond,2,3\nthird,3,5\n")
    f = objectives.get("curve_fit", data=tmp_path / "points.csv", model="a + b*t")
    assert (f.variables, f.start, f.domain) == (("a", "b"), (1, 1), ((-4, 6), (-4, 6)))
    best = np.linalg.lstsq(np.array([[1, 1], [1, 2], [1, 3]]), np.array([2, 3, 5]))[0]
    path = gdjax.descend(f, gdjax.heavy_ball(0.02, 0.8), steps=400)
    np.testing.assert_allclose(path.points[-1], best, rtol=1e-4, atol=1e-4)
    assert re.fullmatch(r"\\sum .*\^2", f.latex)
    assert r"- y\right)^2" in f.latex  # the model may be a sum, that brackets would have to hold


def test_a_table_is_read_as_spreadsheets_write_it(tmp_path):
    """With a byte order mark, blanks and empty lines; the last column is explained if none is y."""
    file = tmp_path / "table.csv"
    file.write_bytes("\ufeffu, v ,w\n1, 4,7\n\n 2,5, 8.5\n3,6,1e1\n".encode())
    f = objectives.get("curve_fit", data=file, model="c10*u + c9*v", start=[0, -2])
    assert f.variables == ("c9", "c10")
    assert f.domain == ((-5, 5), (-12, 8))
    assert (f.fit.response, f.fit.observed.tolist()) == ("w", [7, 8.5, 10])
    assert {key: each.tolist() for key, each in f.fit.columns.items()} == {
        "u": [1, 2, 3], "v": [4, 5, 6],
    }  # fmt: skip
    assert float(f((1, 2))) == pytest.approx((7 - 6) ** 2 + (8.5 - 9) ** 2 + (10 - 12) ** 2)
    other = objectives.get("curve_fit", data=file, model="c*u", response="v", parameters=["c"])
    assert other.fit.observed.tolist() == [4, 5, 6]
    kinked = objectives.get("curve_fit", data=file, model="abs(u - c)")
    assert kinked.smoothness == "kink"
    assert kinked.kink(jnp.array([2.0])).tolist() == [-1, 0, 1]
    assert objectives.get("curve_fit", data=file, model="c*abs(u - 2)").smoothness == "smooth"


def fit_of(folder, model, rows="x,e,y\n0,0,0\n1,2,8\n2,4,16\n3,1,9\n", **chosen):
    (folder / "points.csv").write_text(rows)
    return objectives.get("curve_fit", data=str(folder / "points.csv"), model=model, **chosen)


@pytest.mark.parametrize(
    ("printed", "typed"),
    [
        ("a·x", "a*x"), ("a×x²", "a*x**2"), ("a*x⁻¹⁰", "a*x**(-10)"), ("a−x", "a-x"),
        ("π*a*x", "pi*a*x"), ("ａ*x", "a*x"), ("a÷(x+1)", "a/(x+1)"),
        ("a*ln(x+1)", "a*log(x+1)"), ("arctan(a*x)", "atan(a*x)"), ("arcsinh(a*x)", "asinh(a*x)"),
    ],
)  # fmt: skip
def test_a_formula_may_be_as_it_is_printed(printed, typed):
    one, other = parse(printed), parse(typed)
    assert (one.names, one.latex()) == (other.names, other.latex())
    assert one.derivatives(["a"])[0].text == other.derivatives(["a"])[0].text


@pytest.mark.parametrize("text", ["expm1(x)", "log1p(x)", "log2(x)", "hypot(x, 2)"])
def test_more_functions_have_their_values_and_their_slopes(text):
    f = parse(text)
    at = np.array([0.3, 1.0, 2.5])
    name = text.partition("(")[0]
    wanted = np.hypot(at, 2) if name == "hypot" else getattr(np, name)(at)
    np.testing.assert_allclose(f({"x": at}), wanted, rtol=1e-6)
    (slope,) = f.derivatives(["x"])
    h = 1e-6
    with jax.enable_x64(True):
        near = [float(f({"x": x})) for x in (1 - h, 1 + h)]
        np.testing.assert_allclose(float(slope({"x": 1.0})), np.diff(near) / (2 * h), rtol=1e-8)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("y = a*x", "write what stands right of the = alone"), ("2x+a", r"write 2\*x, not 2x"),
        ("2(x+a)", r"a \* is missing after '2'"), ("(x+a)(x-a)", r"a \* is missing after 'x\+a'"),
        ("lambda**2*x", "lambda is a word of Python's: take another name, such as lam"),
        ("|a|*x", r"write abs\(x\), not \|x\|"), ("abs(a|x)", r"write abs\(x\), not \|x\|"),
        ("x.__class__", "nothing has parts"), ("a x", "an operator is missing before x"),
        ("E*x", r"E is no constant here: write e, .* variables=\[E,x\]"),
        ("PI*x", "write pi"), ("nan*x", "write a finite number"), ("x + inf", "write a finite"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_what_to_write(text, told):
    with pytest.raises(gdjax.ArgumentError, match=told):
        objectives.get("formula", expression=text)


def test_a_column_wins_over_a_constant_and_says_so(tmp_path, caplog):
    f = fit_of(tmp_path, "a*x + b*e")
    assert "e in model is the column of points.csv, not the constant" in caplog.text
    assert float(f((2.0, 3.0))) == 0
    assert gdjax.check_gradient(f).ok
    both = fit_of(tmp_path, "a*x + b*exp(1)*e + exp(a*e/9)")
    at = np.array([0.5, 0.25])
    e = np.array([0, 2, 4, 1])
    model = at[0] * np.arange(4) + at[1] * np.e * e + np.exp(at[0] * e / 9)
    np.testing.assert_allclose(
        both(tuple(at.tolist())), ((np.array([0, 8, 16, 9]) - model) ** 2).sum(), rtol=1e-5
    )
    assert gdjax.check_gradient(both).ok


def test_a_name_that_looks_like_a_constant_may_be_given_as_a_name(tmp_path):
    assert fit_of(tmp_path, "E*x", parameters=["E"]).variables == ("E",)
    f = objectives.get("formula", expression="e*x**2 + pi", variables=["x", "e", "pi"])
    np.testing.assert_allclose(f((2.0, 3.0, 4.0)), 16.0)
    assert gdjax.check_gradient(f).ok


def test_a_start_may_name_its_parameters(tmp_path):
    assert fit_of(tmp_path, "Vmax*x/(Km + x)", start={"Vmax": 2, "Km": 1}).start == (1.0, 2.0)
    assert objectives.get("formula", expression="x*y", start={"y": 1, "x": 2}).start == (2.0, 1.0)
    for start, told in (({"a": 1, "c": 2}, "unknown name in start 'c'"), ({"a": 1}, "b has none")):
        with pytest.raises(gdjax.ArgumentError, match=told):
            fit_of(tmp_path, "a*x + b", start=start)


def test_a_number_is_no_number_of_python_s_alone(tmp_path):
    with pytest.raises(gdjax.ArgumentError, match=r"row 2, column 'y' .* got '1_0'"):
        fit_of(tmp_path, "a*x", rows="x,y\n1,1_0\n2,3\n")
