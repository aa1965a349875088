"""The functions of formulas: each is tested by standing in the table."""

import functools
import re

import jax
import jax.numpy as jnp
import latex
import mpmath
import numpy as np
import pytest
from matplotlib.mathtext import MathTextParser

import gdjax
from gdjax import objectives
from gdjax._inputs import default_dtype
from gdjax.objectives import hints, registry
from gdjax.objectives.formula import Formula, parse
from gdjax.objectives.functions import EVERY, FUNCTIONS, SPELLINGS
from gdjax.objectives.parser import check

POSITIVE = "sqrt", "log", "log2", "log10", "log1p", "gamma", "lgamma"
ARGUMENTS = {  # of x and y in [-2, 2]
    **dict.fromkeys(POSITIVE, "3 + x"), "acosh": "2 + x**2", "mod": "x, 0.7 + y**2",
    "piecewise": "x < 0.3 and y >= -1.5, x*y, not (0 <= y < 1) or x == 2, y**2, x",
    "floor": "3*x", "ceil": "3*x + y", "heaviside": "x - y", "sign": "x*y",
}  # fmt: skip
HERE = {
    "abs": abs, "max": max, "min": min, "log2": lambda x: mpmath.log(x, 2),
    "hypot": lambda *a: mpmath.sqrt(sum(x * x for x in a)), "lgamma": mpmath.loggamma,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)), "mod": lambda x, y: x - y * mpmath.floor(x / y),
    "heaviside": lambda x: (mpmath.sign(x) + 1) / 2,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "piecewise": lambda a, b, c, d, e: b if a else d if c else e,
}  # fmt: skip
FUNCTION = pytest.mark.parametrize("name", FUNCTIONS)


def call(name):
    row = FUNCTIONS[name]
    many = ["x/3", "y", "1/4"][: row.most or 3]
    return f"{name}({ARGUMENTS.get(name, ', '.join(many))})"


@functools.lru_cache
def made(name):
    expression = f"{call(name)}**2 + pi*y + x*{call(name)}"
    return expression, objectives.get("formula", expression=expression, domain=[(-2, 2)] * 2)


@FUNCTION
def test_every_function_has_its_value_its_slopes_and_a_title(name):
    expression, f = made(name)

    def exact(x, y):
        return eval(expression, vars(mpmath) | HERE | {"x": x, "y": y})

    with default_dtype("float64"):
        for point in ((0.7, -1.1), (-1.6, 0.4), (1.3, 1.9)):
            point = tuple(map(mpmath.mpf, point))
            flat = jnp.array([*map(float, point)])
            assert float(f(flat)) == pytest.approx(float(exact(*point)), rel=1e-13)
            slopes = [float(mpmath.diff(exact, point, each)) for each in ((1, 0), (0, 1))]
            np.testing.assert_allclose(f.gradient(flat), slopes, rtol=1e-9)
    parser = MathTextParser("agg")  # what matplotlib cannot typeset would spoil every picture
    for told in (f.latex, f.gradient_latex):
        parser.parse(f"$f = {told}$")


@FUNCTION
def test_what_is_printed_is_what_is_computed(name):
    """The LaTeX of value and slopes, and the text of slopes, read back."""
    f = parse(made(name)[0])
    at = {"x": np.array([0.7, -1.6, 1.3, 0.2]), "y": np.array([-1.1, 0.4, 1.9, -1.7])}
    with jax.enable_x64(True):
        for one in (f, *f.derivatives(["x", "y"])):
            typed = Formula(*check(latex.typed(one.latex()), "printed", EVERY))
            np.testing.assert_allclose(typed(at), one(at), rtol=1e-12, err_msg=typed.text)
            again = Formula(*check(one.text, "printed", EVERY))
            np.testing.assert_array_equal(again(at), one(at))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("piecewise", "mod") else pytest.mark.full)
        for name in FUNCTIONS
    ],
)
def test_the_certificate_of_every_function_is_good(name):
    _, f = made(name)
    report = gdjax.check_gradient(f, points=60)
    assert report.ok, report
    assert gdjax.check_gradient(f, points=20, dtype="float32").ok


@FUNCTION
def test_no_gradient_is_nan_where_the_formula_is_finite(name):
    """At whole numbers and at 0, where guards fail, by hand and by autodiff, in float32."""
    if name in ("sqrt", "acosh", "asin", "acos", "atan2", "atanh"):
        pytest.skip("its slope is infinite or undefined at the end of where it is defined")
    few = 2 if FUNCTIONS[name].most is None else FUNCTIONS[name].least
    arguments = "x < y, x, y" if name == "piecewise" else ", ".join("xy"[:few])
    f = parse(f"{name}({arguments})*y + x")
    slopes = f.derivatives(["x", "y"])
    for x, y in ((0, 0), (1, 1), (2, 0), (0, 2), (-1, 1), (0.5, -0.5), (3, 2)):
        at = [jnp.float32(x), jnp.float32(y)]
        value = f({"x": at[0], "y": at[1]})
        if not np.isfinite(value):
            continue
        auto = jax.grad(lambda a, b, f=f: f({"x": a, "y": b}), (0, 1))(*at)
        hand = [slope({"x": at[0], "y": at[1]}) for slope in slopes]
        assert np.isfinite([*map(float, (*auto, *hand))]).all(), (x, y, auto, hand)


@pytest.mark.parametrize("other", SPELLINGS)
def test_every_spelling_is_the_same_function(other):
    name = SPELLINGS[other]
    assert parse(call(name).replace(name, other, 1)).latex() == parse(call(name)).latex()


@pytest.mark.parametrize("other", hints.CALLED)
def test_what_is_told_to_write_is_a_formula(other):
    with pytest.raises(gdjax.ArgumentError) as caught:
        parse(f"x + {other}(x)")
    assert f"write {hints.CALLED[other]}" in str(caught.value)
    for told in hints.CALLED[other].split(", or "):
        assert parse(told).latex()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("erf(x", "its closing parenthesis is missing"), ("sin(x))*2", "its opening parenthesis"),
        ("Sum(x[i], (i, 1, 3))", "write sum(x[i]**2, i, 1, 10)"),
        ("sum(x)", "write sum(x[i]**2, i, 1, 10)"), ("sum(x[i] for i in y)", "write sum(x[i]**2"),
        ("sum(x[i], i, 1, n)", "must be whole numbers"), ("sum(i, 3, 1, 2)", "must be a name"),
        ("sum(x[i], i, 3, 1)", "runs upwards, got 3 to 1"), ("sum(x[i/2], i, 1, 2)", "whole"),
        ("sum(x[i], e, 1, 2)", "must be a name, such as i"), ("x[i]", "write x1, x2, …"),
        ("product(x[i], i)", "write product(x[i], i, 1, 10)"),
        ("x if x > 0 else 0", "write piecewise(x < 2, a, b)"), ("if x > 0", "write piecewise("),
        ("x > 0 ? x : 0", "write piecewise("), ("x % 2", "write mod(x, 2)"),
        ("x // 1", "write floor(x/y)"), ("x < 0", "write piecewise("), ("x and y", "piecewise("),
        ("(x < 0)*x", "write piecewise("), ("not x", "write piecewise("),
        ("piecewise(x, 1, 2)", "'x' is no condition"), ("piecewise(x < 0, 1)", "a last value"),
        ("piecewise(x < 0 and y, 1, 2)", "'y' is no condition"),
        ("piecewise(x < 0 & y < 0, 1, 2)", "write and between conditions"),
        ("piecewise(x < 0 && y < 0, 1, 2)", "write and, or between conditions"),
        ("piecewise(x in y, 1, 2)", "is no condition"), ("x!", "write gamma(n + 1) for n!"),
        ("√x", "write sqrt(x)"), ("∑x", "write sum("), ("⌊x⌋", "write floor(x)"),
        ("sin²(x)", "write sin(x)**2 for a power"), ("log(x, 2)", "write log(x)/log(b)"),
        ("atan(y, x)", "write atan2(y, x)"), ("max(x)", "at least 2"),
        ("sigmoid*x", "write sigmoid(x)"), ("np.erf(x)", "nothing has parts"),
        ("x @ y", "write x1*y1"), ("max(*x)", "write sum("), ("sin(x, 2)", "takes 1 argument"),
        ("heaviside(x, 1, 2)", "heaviside takes 1 or 2 arguments"), ("mod(x)", "mod takes 2"),
        ("x*digamma", "digamma cannot be a name"), ("digamma(x)", "unknown function 'digamma'"),
    ],
)  # fmt: skip
def test_a_near_miss_is_told_what_to_write(text, told):
    with pytest.raises(gdjax.ArgumentError) as caught:
        parse(text)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("sum(x[i]**2, i, 1, 3)", "x1**2 + x2**2 + x3**2"),
        ("2*product(x[i] + i, i, 1, 2)", "2*((x1 + 1)*(x2 + 2))"),
        ("sum(sum(a[i]*x[j], j, 1, i), i, 1, 2)", "a1*x1 + a2*x1 + a2*x2"),
        ("sum((x[i + 1] - x[2*i])**2, i, 1, 2)", "(x2 - x2)**2 + (x3 - x4)**2"),
        ("sum(b[i]*x**i, i, 0, 2) + i", "b0 + b1*x + b2*x**2 + i"),
        ("y + sum(x[i], i, 1, 0) + product(x[i], i, 1, 0)", "y + 1"),
        ("piecewise(x < 1 and x ≥ 0, x, -x)", "piecewise(0 <= x and x < 1, x, -x)"),
    ],
)
def test_a_sum_over_an_index_is_its_terms(short, long):
    one, other = parse(short), parse(long)
    assert one.names == other.names
    at = {name: 0.3 + 0.4 * i for i, name in enumerate(one.names)}
    assert float(one(at)) == pytest.approx(float(other(at)), rel=1e-6)
    slopes = [[slope(at) for slope in each.derivatives(one.names)] for each in (one, other)]
    np.testing.assert_allclose(*slopes, rtol=1e-6)


@pytest.mark.parametrize(
    ("expression", "points", "between"),
    [
        ("asin(sin(x))", [np.pi / 2, -np.pi / 2], 1), ("acos(cos(x))", [np.pi], 1),
        ("cbrt(x - 1)", [1], 2), ("hypot(x, x - 0)", [0], 1), ("sign(x - 2)", [2], 0),
        ("heaviside(x + 1)", [-1], 0), ("floor(x)", [-3, 0, 7], 0.5), ("ceil(2*x)", [1.5, 4], 1.2),
        ("mod(x, 3)", [0, 3, -6], 1), ("piecewise(x < 2, x, x**2)", [2], 1),
        ("piecewise(0 <= x < 1 or not x < 5, x, 2)", [0, 1, 5], 3),
        ("piecewise(x < 0, abs(x + 2), abs(x - 3))", [-2, 0, 3], -3),
        ("min(x, 1, x**2)", [1, 0], 3),
        ("piecewise(x > 0, sqrt(x - 1), x)", [0, 1], -2), ("max(1, x, -x)", [1, -1], 3),
    ],
)  # fmt: skip
def test_kinks_and_jumps_are_the_zeros_of_quantities(expression, points, between):
    f = objectives.get("formula", expression=expression)
    assert f.smoothness == "kink"
    with jax.enable_x64(True):
        for point in points:
            assert np.abs(f.kink(jnp.array([float(point)]))).min() < 1e-15, point
        assert np.abs(f.kink(jnp.array([float(between)]))).min() > 1e-3


@pytest.mark.parametrize("name", ["floor", "ceil", "mod"])
def test_the_quantity_of_a_jump_changes_its_sign_there_alone(name):
    f = objectives.get("formula", expression=f"{name}({'x, 1' if name == 'mod' else 'x'})")
    x = np.linspace(-2.95, 2.95, 600)
    signs = np.sign([float(f.kink(jnp.array([each]))[0]) for each in x])
    np.testing.assert_allclose(x[:-1][signs[:-1] != signs[1:]], [-2, -1, 0, 1, 2], atol=0.02)


@pytest.mark.parametrize(
    ("expression", "slope"),
    [
        ("piecewise(x > 0, log(x), 0)", 0), ("piecewise(x > 0, sqrt(x)/x, x)", 1),
        ("piecewise(x == 0, 1, sin(x)/x)", 0), ("piecewise(x <= 0, 1, x**-0.5)", 0),
        ("piecewise(x > 0, piecewise(x > 1, log(x - 1), acosh(x)), 3*x)", 3),
        ("piecewise(x < 1, 2*x, exp(1e6*x))", 2), ("hypot(x, 0) + cbrt(x)", 0),
    ],
)  # fmt: skip
def test_what_is_not_chosen_spoils_no_gradient(expression, slope):
    f = parse(expression)
    auto = jax.grad(lambda x: jnp.asarray(f({"x": x}), x.dtype))(jnp.float32(0))
    assert float(auto) == slope
    assert float(f.derivatives(["x"])[0]({"x": jnp.float32(0)})) == slope


def test_a_jump_has_the_slope_0_and_a_certificate_that_leaves_it_out():
    f = objectives.get("formula", expression="floor(x) + x**2 + sign(y)", domain=[(-2, 2)] * 2)
    assert f.gradient(jnp.array([0.5, 1.0])).tolist() == [1, 0]
    report = gdjax.check_gradient(f, points=50)
    assert report.ok
    assert report.left_out["on a kink or a jump"]


def test_what_a_kernel_has_no_operation_for_is_swept_by_another_and_refused_by_a_page():
    f = objectives.get("formula", expression="gamma(x) + y**2", domain=[(1, 3), (-1, 1)])
    swept = gdjax.sweep(
        f, gdjax.gradient_descent, starts=[[2.0, 0.5], [1.2, 0.1]],
        hyperparameters={"learning_rate": [0.1, 0.2]}, steps=40,
    )  # fmt: skip
    assert np.isfinite(swept["final_value"]).all()
    assert "digamma" in swept.attrs["kernel_reason"]
    with pytest.raises(
        gdjax.ArgumentError, match="cannot be written for a page: digamma"
    ) as caught:
        gdjax.explore(f)
    assert "\n" not in str(caught.value)


def test_a_page_takes_a_formula_of_jumps_whose_slope_is_a_constant():
    assert gdjax.explore(objectives.get("formula", expression="floor(y) + x"))


def test_a_letter_that_is_a_function_too_may_be_a_name():
    f = parse("gamma*x + gamma(x)", own=["gamma"])
    assert f.names == ("gamma", "x")
    assert float(f({"gamma": 3.0, "x": 4.0})) == pytest.approx(18)
    assert objectives.get("formula", expression="gamma*x", variables=["x", "gamma"]).dim == 2


def test_every_function_is_in_the_list_that_people_read():
    told = registry.text("formula")
    lacking = [n for n in (*FUNCTIONS, "sum", "product") if not re.search(rf"``{n}[`(]", told)]
    assert not lacking
