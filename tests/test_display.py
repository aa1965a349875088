"""What a person sees of an object: every class that gdjax hands out has a row here."""

import functools
import importlib
import inspect
import typing
from pathlib import Path
from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax
from gdjax import certificates, metrics, objectives, optimizers, results, starts, theory
from gdjax._descent.outcomes import Outcome, StoppingRule
from gdjax._util.display import COLUMNS, LINES, Card, aligned, as_html, as_text, brief, shown
from gdjax.certificates.gradient_report import Behaviour, Details, Estimate
from gdjax.certificates.rule_report import Law
from gdjax.comparison.comparison import Rates
from gdjax.comparison.ranking import Profile, Ranking
from gdjax.explorer import Page
from gdjax.hypergradients import Hypergradient, TuningResult
from gdjax.objectives.minibatches import Training
from gdjax.objectives.structure import Structure
from gdjax.training.edges import Edge
from gdjax.training.spectrum import Sharpness, SpectralDensity, Trace
from gdjax.training.watching import Look

EVIL = '<b>&"bold"</b>' + " and on" * 30 + "\nto the next line"
MANY = 3000
SCHEDULE = optimizers.schedules.get("cosine_decay_schedule", init_value=0.1, decay_steps=9)


def path(dim=50, outcome=Outcome.CONVERGED):
    points = np.cumsum(np.ones((MANY + 1, dim), np.float32), axis=0)
    return gdjax.Trajectory(points, points[:, 0], np.int32(outcome), np.int32(0))


def objective():
    return gdjax.Objective(
        name=EVIL, fn=lambda p, a: a.sum() * (p**2).sum(), domain=[(-5.123456, 5)] * 50,
        args=(np.ones((MANY, 50)),), latex=r"x < y & z" * 60, reference=EVIL,
        minima=[np.full(50, 0.123456)] * 300, fmin=0.0, saddles=[np.full(50, 0.123456)] * 300,
    )  # fmt: skip


def report():
    estimate = Estimate(1 / 3, 1e-16, EVIL, 1)
    good = Behaviour(True, 1e-16, 1e-15, np.ones(50), 1e-17, 3)
    return certificates.GradientReport(
        name=EVIL, kind="gradient", dtype="float64", ok=False, verdict=EVIL, points=1000,
        special=3, left_out={EVIL: 5}, worst_point=tuple(np.ones(50)), component=EVIL, error=1.0,
        tolerance=1e-15, estimates={f"way {i} {EVIL}": estimate for i in range(9)},
        patterns=(EVIL,) * 40,
        warnings=(EVIL,) * 40, behaviour={"float64": good, "float32": good}, reason=EVIL,
        details=details(),
    )  # fmt: skip


def details():
    n = np.ones(MANY)
    points = np.ones((MANY, 50))
    pairs = np.ones((50, 2))
    return Details(points, n, n, n, n > 0, n > 0, n[:20], points, n, pairs, ["<b>"] * 50, 3)


def law():
    return Law(EVIL, False, EVIL, EVIL, EVIL, 1e-3, 1e-9)


def rule():
    return gdjax.RuleReport(
        name=EVIL, kind="custom_vjp", ok=False, verdict=EVIL, laws=(law(),) * 12, argument=EVIL,
        component=EVIL, jv=EVIL, points=3, certificate=report(), second=None,
    )  # fmt: skip


def trial():
    return certificates.Trial(
        EVIL, "different", EVIL, "state", 2.0, 3.0, (1, 2, 3), 2, 100, (9,) * 10, 1.0, 1e-3, 17
    )


def ranking(optimizers=30, objectives=40):
    o, p, s, h, t, n = optimizers, objectives, 3, 5, 2, 40
    return Ranking(
        objectives=tuple(f"{EVIL} {i}" for i in range(p)), dims=np.full(p, 2), fmin=np.zeros(p),
        known=np.ones(p, bool), optimizers=tuple(f"{EVIL} {i}" for i in range(o)), budget=1000,
        tau=np.array([1e-3, 1e-6]), targets=np.ones(9), costs=np.ones((p, o, s, h, t)),
        runtimes=np.ones((p, o, s, h, 9)), best=np.ones((p, o, s, h)),
        stuck=np.ones((p, o, s, h), bool), elsewhere=np.ones(o, bool), at=np.arange(n),
        gaps=np.ones((p, o, 3, n)), tuning=np.ones((p, o)), allotted=500,
        settings={f"{EVIL} {i}": {"learning_rate": np.ones((p, s))} for i in range(o)},
        functions=np.ones((p, o)), gradients=np.ones((p, o)), tuning_starts={}, held_out={},
        together=True,
    )  # fmt: skip


@functools.cache
def layout():
    axes = [{EVIL: np.linspace(0, 1, 100)}]
    return results.sweep_layout(
        np.ones((MANY, 50)), axes, dtype="float32", chunk=4096, config={"name": EVIL}
    )


def tuning():
    column = np.ones(MANY)
    history = {f"{EVIL}.{i}": column for i in range(40)}
    return TuningResult(gdjax.heavy_ball(np.linspace(0.1, 1, MANY)), column, history, 3)


def landscape_slice():
    n, row = np.ones(MANY), np.ones((MANY, 2))
    return gdjax.LandscapeSlice(
        objective=EVIL, plane="pca", says=EVIL, names=(EVIL, EVIL), coordinates=(n[:51], n[:51]),
        losses=np.ones((51, 51)), origin=np.ones(50), directions=np.eye(50)[:2],
        center=np.zeros(2), loss=1 / 3, path=row, steps=np.arange(MANY), whole=9999, lost=3,
        distances=n, lengths=n, true_losses=n, shown_losses=n / 3, explained=np.ones(2) / 3,
        curvatures=n[:2], residuals=n[:2], sharpness=1 / 3, sharpness_residual=1 / 7,
        ends=row[:3], end_losses=n[:3], barriers=n[:3], barriers_at=n[:3],
    )  # fmt: skip


# One big one of each class that gdjax hands out; what is not listed here fails a test below.
SHOWN = {
    gdjax.Trajectory: path,
    gdjax.Objective: objective,
    gdjax.Comparison: lambda: gdjax.Comparison(
        objective(), {f"{EVIL} {i}": path() for i in range(40)},
        {f"{EVIL} {i}": Rates(0.9, None) for i in range(40)},
    ),
    Rates: lambda: Rates(1 / 3, None),
    gdjax.EquivalenceReport: lambda: gdjax.EquivalenceReport(
        EVIL, EVIL, EVIL, "float64", 1e-3, (trial(), trial())
    ),
    certificates.Trial: trial,
    gdjax.GradientReport: report,
    gdjax.RuleReport: rule,
    Law: law,
    Page: lambda: None,  # in a notebook it is itself
    Estimate: lambda: Estimate(1 / 3, 1e-16, EVIL, 1),
    Behaviour: lambda: Behaviour(True, 1e-16, 1e-15, np.ones(MANY), 1e-17, 3),
    Details: details,
    Hypergradient: lambda: Hypergradient(
        1.0, {f"{EVIL}.{i}": 1.0 for i in range(40)}, {f"{EVIL}.{i}": 1.0 for i in range(40)},
        1e9, tuple(f"{EVIL}.{i}" for i in range(40)),
    ),
    TuningResult: tuning,
    theory.OptimalParameters: lambda: theory.OptimalParameters(1 / 3, 1 / 7, 2 / 3),
    gdjax.StationaryPoints: lambda: gdjax.StationaryPoints(
        np.ones((MANY, 50)), np.ones(MANY), np.array(["minimum", "saddle"] * (MANY // 2)),
        np.ones((MANY, 50)),
    ),
    Ranking: ranking,
    Profile: lambda: Profile(np.ones(MANY), np.ones((9, 3, MANY))),
    metrics.Share: lambda: metrics.wilson(np.arange(MANY), MANY),
    metrics.Steps: lambda: metrics.steps_ecdf(np.arange(MANY)),
    objectives.Table: lambda: objectives.Table([objectives.Entry(EVIL, *"abcdef", 1.0)] * MANY),
    objectives.Entry: lambda: objectives.table()[0],
    objectives.Fit: lambda: objectives.Fit({EVIL: np.ones(MANY)}, EVIL, np.ones(MANY), print),
    results.Store: lambda: None,  # on the disk: a test of its own
    results.Damage: lambda: results.Damage(EVIL, "is missing", 3),
    results.Verification: lambda: results.Verification(
        "store", MANY, 3, MANY, (results.Damage(EVIL, "is missing", 3),) * MANY
    ),
    results.Layout: layout,
    results.Variable: lambda: results.Variable("int8", EVIL, meanings=(EVIL,) * 9),
    results.Coordinate: lambda: results.Coordinate(("start",), np.ones((MANY, 2)), EVIL),
    optimizers.Optimizer: lambda: gdjax.heavy_ball(0.1),
    optimizers.Schedule: lambda: SCHEDULE,
    StoppingRule: StoppingRule,
    starts.Starts: lambda: starts.Starts("array", MANY, points=np.ones((MANY, 50))),
    Outcome: lambda: Outcome.CONVERGED,
    Structure: lambda: Structure({"w": np.ones((MANY, 5))}),
    metrics.Ends: lambda: metrics.distinct(np.ones((MANY, 50)) * np.arange(MANY)[:, None],
                                           np.arange(MANY)),
    objectives.Coordinates: lambda: objectives.Coordinates(np.ones(50), [(0, 1)] * 50),
    Training: Training,
    gdjax.Regression: lambda: gdjax.regression(
        gdjax.Objective(
            residuals=lambda p: jnp.append(p, p[0]), start=np.ones(40),
            variables=[f"{EVIL} {i}" for i in range(40)],
        ),
        np.ones(40),
    ),
    Edge: lambda: Edge(None, EVIL, EVIL),
    Look: lambda: Look(*np.ones((7, MANY))),
    Sharpness: lambda: Sharpness(np.ones(MANY), np.ones(MANY), np.ones((MANY, 50))),
    SpectralDensity: lambda: SpectralDensity(np.ones((9, 50)), np.ones((9, 50)), MANY),
    gdjax.TrainingRun: lambda: gdjax.TrainingRun(
        np.arange(MANY), Look(*np.ones((7, MANY))), Edge(0.1, EVIL), False, EVIL, np.ones(50),
        np.arange(9), np.ones((9, 50)), None, "", objective(), gdjax.heavy_ball(0.1),
    ),
    gdjax.LandscapeSlice: landscape_slice,
    Trace: lambda: Trace(1 / 3, 1 / 7),
}  # fmt: skip
IN_MEMORY = [cls for cls in SHOWN if cls not in (results.Store, Page)]
CARDS = [cls for cls in IN_MEMORY if "_repr_html_" in vars(cls)]


def handed_out():
    """Every class of gdjax's that is public, that a public function returns, or that these hold."""
    modules = [gdjax, *map(importlib.import_module, (f"gdjax.{name}" for name in (
        "certificates", "metrics", "objectives", "optimizers", "results",
        "starts", "theory",
    )))]  # fmt: skip
    found, todo = set(), []
    for module in modules:
        for name in module.__all__:
            todo += classes(getattr(module, name))
    while todo:
        cls = todo.pop()
        protocol = getattr(cls, "_is_protocol", False)  # it is what others are like
        if cls not in found and not (protocol or issubclass(cls, Exception)):
            found.add(cls)
            parts = vars(cls) | hints(cls)
            todo += [c for n, part in parts.items() if n[0] != "_" for c in classes(part)]
    return found


def classes(it):
    """The classes of gdjax's in a class, a type, a property, or what a function returns."""
    if isinstance(it, property | functools.cached_property):
        it = getattr(it, "fget", None) or it.func
    if inspect.isfunction(it):
        return classes(hints(it).get("return"))
    if inspect.isclass(it) and it.__module__.startswith("gdjax."):
        return [] if it.__name__.startswith("_") else [it]
    return [c for part in typing.get_args(it) for c in classes(part)]


def hints(it):
    it = inspect.unwrap(it) if inspect.isfunction(it) else it
    try:
        return typing.get_type_hints(it)
    except NameError:  # of what is imported for type checkers alone, and is no result of ours
        return {n: kind for n, kind in inspect.get_annotations(it).items() if type(kind) is not str}


def test_every_class_that_gdjax_hands_out_has_a_row():
    assert handed_out() == {*SHOWN}


def check(text, html):
    assert len(text.splitlines()) <= LINES == 20
    assert max(map(len, text.splitlines())) <= COLUMNS == 100
    if html is not None:
        tree = ElementTree.fromstring(html)
        assert not tree.findall(".//b")
        assert len(tree.findall(".//tr")) < 100
        assert len(html) < 60_000
        assert "color" not in html  # the notebook's own, light or dark


@pytest.mark.parametrize("cls", IN_MEMORY, ids=lambda cls: cls.__qualname__)
def test_it_fits_within_a_screen(cls):
    found = SHOWN[cls]()
    if hasattr(cls, "_card"):
        found._card()  # nothing fails and is hidden by the fields
    text, html = repr(found), getattr(found, "_repr_html_", lambda: None)()
    check(text, html)
    assert html is not None or text.count("\n") == 0
    if html:
        assert ElementTree.fromstring(html).find("strong").text.startswith(text.split()[0])


@pytest.mark.parametrize("cls", CARDS, ids=lambda cls: cls.__qualname__)
def test_names_are_escaped_and_nothing_is_drawn_of_them(cls):
    html = SHOWN[cls]()._repr_html_()
    assert "<b>" not in html
    if EVIL[:10] in repr(SHOWN[cls]()):
        assert "&lt;b&gt;&amp;" in html


def test_a_store_says_how_far_it_is(tmp_path):
    store = results.Store.create(tmp_path / "store", layout())
    check(repr(store), store._repr_html_())
    assert "0 of 74 finished" in repr(store)


TUPLES = [cls for cls in CARDS if hasattr(cls, "_fields")]


@pytest.mark.parametrize("cls", TUPLES, ids=lambda cls: cls.__qualname__)
@pytest.mark.parametrize("strange", [None, (3, 2), jax.ShapeDtypeStruct((3,), float), "x"], ids=str)
def test_a_tuple_with_other_things_in_its_fields_is_still_shown(cls, strange):
    found = cls(*[strange] * len(cls._fields))
    check(repr(found), found._repr_html_())
    assert str(found)


@pytest.mark.parametrize("cls", TUPLES, ids=lambda cls: cls.__qualname__)
def test_inside_a_jit_a_vmap_and_a_grad_it_is_shown_too(cls):
    seen = []

    def look(x):
        found = cls(*[x] * len(cls._fields))
        seen.append(repr(found))
        check(seen[-1], found._repr_html_())
        assert str(found)
        return x.sum()

    jax.jit(look)(jnp.ones((4, 2)))
    jax.vmap(look)(jnp.ones((4, 2)))
    jax.grad(look)(jnp.ones(3))
    assert len(seen) == 3
    assert all("float32 (" in text for text in seen)


def test_a_descent_says_from_where_to_where_and_how_it_ended():
    f = gdjax.objectives.get("qfsp")
    found = repr(gdjax.descend(f, gdjax.heavy_ball(0.1), start=(7.11, 6.97), steps=300))
    assert found.splitlines() == [
        "Trajectory: converged after 300 steps",
        "  start    (7.11, 6.97)",
        "  end      (1.29787, -1.29787)",
        "  value    103.798 → -5.90449",
        "  lowest   -5.90449 at step 172",
        "  minimum  known_minima[0]",
        "  points   float32 (301, 2)",
    ]
    lost = repr(gdjax.descend(f, gdjax.heavy_ball(50.0), steps=300))
    assert lost.startswith("Trajectory: diverged after 300 steps")
    assert "the first 10 points" in lost


def test_a_descent_inside_a_transformation_is_shown():
    f, seen = gdjax.objectives.get("qfsp"), []

    def last(start):
        found = gdjax.descend(f, gdjax.heavy_ball(0.1), start, 7)
        seen.extend([repr(found), str(found), found._repr_html_()])
        return found.values[-1]

    for transformed in (jax.jit(last), jax.grad(last), jax.vmap(last)):
        transformed(jnp.ones((3, 2)) if not seen[6:] and len(seen) == 6 else jnp.ones(2))
    assert len(seen) == 9
    assert seen[0] == seen[1]
    assert "float32 (8, 2)" in seen[0]


def test_many_descents_of_a_vmap_are_counted_by_their_outcomes():
    f = gdjax.objectives.get("sphere")
    starts = jnp.array([[1.0, 1.0], [2.0, 1.0], [1e4, 1e4]])
    found = jax.vmap(lambda x: gdjax.descend(f, gdjax.gradient_descent(0.4), x, 60))(starts)
    assert repr(found).splitlines() == [
        "Trajectory of 3 descents: 2 × converged, 1 × diverged",
        "  points  float32 (3, 61, 2)",
        "  values  float32 (3, 61)",
    ]
    assert str(found) == repr(found)


def test_an_objective_says_what_is_known_about_it():
    text = repr(gdjax.objectives.get("rosenbrock", dim=50))
    assert text.startswith("Objective rosenbrock, of 50 variables: x1, …, x50\n")
    assert "[-5, 10] in each of 50 dimensions" in text
    assert "Rosenbrock 1960" in text
    f = gdjax.Objective(
        fn=lambda p, a: (a @ p["w"]).sum(), start={"w": np.ones(4)}, args=np.ones((9, 4))
    )
    assert "float64 (9, 4)" in repr(f)
    jax.jit(lambda a: [repr(f.with_args(a))] and a)(jnp.ones((9, 4)))


def test_a_report_and_a_comparison_say_their_verdicts():
    f = gdjax.objectives.get("booth")
    assert repr(gdjax.check_hessian(f)).startswith("GradientReport of booth, Hessian: ok")
    found = gdjax.compare(f, {"gd": gdjax.gradient_descent(0.1), "adam": optax.adam(0.1)})
    rows = ElementTree.fromstring(found._repr_html_()).findall(".//tbody/tr")
    cells = [["".join(cell.itertext()) for cell in row] for row in rows]
    assert [row[:2] for row in cells] == [
        ["start", "(-8, 6)"], ["steps", "100"], ["gd", "converged"], ["adam", "max_steps"],
    ]  # fmt: skip
    points = repr(gdjax.stationary_points(gdjax.objectives.get("mccormick")))
    assert points.startswith("StationaryPoints: 2 × minimum, 1 × saddle\n")


def test_what_does_not_fit_says_how_much_more_there_is():
    facts = {f"fact {i}": "word " * 200 for i in range(30)}
    table = [("a", "b"), *[("x" * 90, "y" * 90)] * 200]
    text, html = as_text(Card("title " * 200, facts, table)), as_html(Card("", facts, table))
    check(text, html)
    assert "… 193 more lines" in text
    assert "… 140 more" in html
    assert as_text(Card("bare")) == "bare"


def test_what_cannot_be_shown_otherwise_is_shown_by_its_fields():
    @shown
    class Broken:
        def __init__(self):
            self.size = np.float32(2)
            self._secret = 1

        def _card(self):
            raise KeyError("this")

        def __str__(self):
            raise KeyError("that")

    assert repr(Broken()) == str(Broken()) == "Broken\n  size  2"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"), (True, "yes"), (1 / 3, "0.333333"), ((1.0,), "(1,)"), ((), ""),
        (np.arange(9), "(0, 1, 2, 3, 4, 5, …)"), (np.ones((2, 3), np.int8), "int8 (2, 3)"),
        (jnp.arange(3.0), "(0, 1, 2)"), ({"w": np.ones((2, 2))}, "w: float64 (2, 2)"),
        ({i: i for i in range(9)}, "0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, …"), (print, "print"),
        (jax.ShapeDtypeStruct((2,), np.float32), "float32 (2,)"), ("two\n lines", "two lines"),
        (Path("a/b"), "a/b"), (np.datetime64("2026-01-01"), "2026-01-01"),
    ],
)  # fmt: skip
def test_any_value_in_a_few_words(value, text):
    assert brief(value) == text


def test_an_array_that_was_given_away_has_a_shape_still():
    array = jnp.ones(3)
    array.delete()
    assert brief(array) == "float32 (3,)"


def test_columns_are_cut_where_they_are_widest():
    rows = [("optimizer", "x"), ("a" * 30, "1"), ("b" * 10, "2")]
    assert aligned(rows, 20).splitlines() == [
        "optimizer          x", "a" * 16 + "…  1", "bbbbbbbbbb         2",
    ]  # fmt: skip
    assert aligned([]) == ""
