"""Formulas that would take all time or memory are refused in seconds, by counts."""

import resource
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax
from gdjax.objectives import formula


def nested(template, times, inside="x"):
    for _ in range(times):
        inside = template.format(inside)
    return inside


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB, of all tests until now


def product(*factors):
    return "*".join(factors)


FAST = {  # refused before sympy sees them
    "((((((2*x)**100)**100)**100)**100)**100)**100": "make a power of",
    "((3*x)**100)**100": "make a power of 10000, at most 1,000",
    "((3*x)**10)**100": "a number of 477 digits, at most 308",
    "((x/3)**100)**10": "a number of 477 digits, at most 308",
    "((0.001*x)**10)**100": "a number of 3,000 digits, at most 308",
    "(-(2*x)*y**3)**100 * ((7*(2*x)**50)**100)**3": "make a power of",
    "((sqrt(1000000*x))**100)**10": "digits, at most 308",
    "(((5*x*y)/(7*z))**100)**9": "digits, at most 308",
    "(((x + x)*2)**100)**20": "make a power of",
    "((e*x)**100)**100": "make a power of 10000",
    nested("({})**2", 20): "make a power of",
    nested("({})**(1/2)", 5, nested("({})**100", 2)): "make a power of",
    "x" + "+x" * 3000: "may hold 5,000 names, numbers and operations",
    "x+" * 60_000 + "x": "may have 100,000 letters, got 120,001",
    "-" * 4000 + "x": "expression",
    "x*" + "9" * 5000: "expression",
    "x*1" + "0" * 400: "no finite value",
    "x**101": "the power 101 is too large",
    "x*9**99**99": "no finite value",
    "(" * 150 + "x" + ")" * 150 + "**2" * 60: "expression",
    nested("sin({})", 80): "nested more than 60 levels",
    "max(" + ",".join(["x"] * 6000) + ")": "may hold 5,000",
    "sum(x[i], i, 1, 9**9**9)": "must be whole numbers",
    "sum(x[i], i, 1, 999999999)": "a bound or an index may be 5,000",
    "sum(sum(sum(i*j*x[k], k, 1, 4000), j, 1, 4000), i, 1, 4000)": "sums make more than 5,000",
    "sum(sum(x[k], k, 1, 0), i, 1, 5000)": "sums make more than 5,000",
    "product(x[i]**100, i, 1, 30)*product(3*x[i], i, 1, 2000)": "sums make more than 5,000",
    nested("sum({}, i, 1, 2)", 50, "x[i]"): "sums make more than 5,000",
    nested("piecewise(x < 1, {}, 2)", 70): "nested more than 60 levels",
}
SLOW = {  # refused by sympy's budget
    "every factor its own": product(*(f"(x{i}+{i})" for i in range(100))),
    "the largest of many": "max(" + ",".join(f"x*{i} + y" for i in range(800)) + ")",
    "a long product of sums": "product(sum(x[j] + i, j, 1, 8), i, 1, 90)",
}
FINE = {
    "branches within branches": nested("piecewise(x < {0}, y*{0}, {0})", 6),
    "one of six variables": "+".join(f"(x{i} - {i})**2 + x{i}*sin(x{i})" for i in range(6)),
    "max of twenty": "max(" + ",".join(f"x*{i} + y" for i in range(20)) + ")",
    "max within max": nested("max({}, y*2)", 40),
    "a high power": "(x**10 + 3*y)**10 + ((x - 1)**50)**2 + 1000*((0.1*x)**20)**2",
    "a tower": nested("log10({})", 40),
    "towers in turn": nested("max(x,min(y,{}))", 29),
    "one term": "x" + "+x" * 2499,
    "long denominators": "+".join(f"x/{1000 + i}" for i in range(60)),
}


def made(text):
    return gdjax.objectives.get("formula", expression=text)


LONG = {
    "400 squares": "sum((x[i] - i)**2, i, 1, 400)",
    "400 squares of two": "+".join(f"(a*{i} + b - {i * i % 7})**2" for i in range(400)),
    "rosenbrock in 250": "sum(100*(x[i + 1] - x[i]**2)**2 + (1 - x[i])**2, i, 1, 249)",
    "griewank in 50": "1 + sum(x[i]**2/4000, i, 1, 50) - product(cos(x[i]/sqrt(i)), i, 1, 50)",
    "waves in bells": "+".join(
        f"sin({i + 1}*x{i % 10 + 1} + x{(i + 3) % 10 + 1})"
        f"*exp(-({'+'.join(f'x{j}**2' for j in range(1, 11))})/{i + 2})"
        for i in range(20)
    ),
}


@pytest.mark.parametrize("text", FAST, ids=range(len(FAST)))
def test_a_bomb_is_refused_by_its_counts(text):
    begun = time.process_time()
    with pytest.raises(gdjax.ArgumentError) as caught:
        made(text)
    assert FAST[text] in str(caught.value)
    assert len(str(caught.value)) < 300
    assert time.process_time() - begun < 20


@pytest.mark.parametrize("name", FINE)
def test_what_is_long_but_harmless_is_taken(name):
    f = made(FINE[name])
    _, slope = f.value_and_gradient("hand")(jnp.asarray(f.center + 0.1))
    assert slope.shape == (f.dim,)


def test_the_budget_counts_calls_and_leaves_nothing_behind(monkeypatch):
    monkeypatch.setattr(formula, "LARGEST_WORK", 2000)
    with pytest.raises(gdjax.ArgumentError, match="takes too long to derive: more than 2,000"):
        made("sin(x)*cos(y)*exp(x*y) + 12.25")
    assert sys.getprofile() is None
    monkeypatch.undo()
    assert made("sin(x)*cos(y)*exp(x*y) + 12.25").dim == 2  # the refusal is not remembered


@pytest.mark.parametrize("work", range(10, 20))
def test_the_budget_holds_where_it_ends_as_a_generator_is_closed(monkeypatch, work):
    monkeypatch.setattr(formula, "LARGEST_WORK", work)

    @formula.budget("x")
    def leaves_generators():
        for _ in range(100):
            any(one for one in (1, 2))

    with pytest.raises(gdjax.ArgumentError, match="takes too long"):
        leaves_generators()


def test_max_and_min_have_the_slope_of_their_largest_term():
    f = made("max(x, 2*y, 3) + min(x, max(y, x))")
    assert f.hand_gradient(jnp.array([0.0, 2.0])).tolist() == [1.0, 2.0]
    assert f.hand_gradient(jnp.array([9.0, 1.0])).tolist() == [2.0, 0.0]
    assert f.latex == r"\max\left(x, 2 y, 3\right) + \min\left(x, \max\left(y, x\right)\right)"


@pytest.mark.full
@pytest.mark.parametrize("name", SLOW)
def test_a_bomb_is_refused_by_its_budget(name):
    (begun, memory) = (time.process_time(), peak_memory())
    with pytest.raises(gdjax.ArgumentError, match=r"takes too long|too deeply nested to derive"):
        made(SLOW[name])
    assert time.process_time() - begun < 20  # far above what it takes, far below a bomb
    assert peak_memory() - memory < 2**20


@pytest.mark.full
@pytest.mark.parametrize("name", LONG)
def test_a_long_formula_that_somebody_would_write_is_derived_in_seconds(name, monkeypatch):
    # The type checks of these tests are calls too.
    monkeypatch.setattr(formula, "LARGEST_WORK", 4 * formula.LARGEST_WORK)
    begun = time.process_time()
    f = made(LONG[name])
    assert time.process_time() - begun < 40  # one to five without the type checks
    point = jnp.asarray(f.center + 0.1)
    slope = np.asarray(jax.grad(f.fn)(point))
    np.testing.assert_allclose(f.hand_gradient(point), slope, rtol=1e-4, atol=1e-4)
