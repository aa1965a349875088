"""What the commands tell and write, word for word, for results that were made by hand."""

import csv
import inspect
import json
import logging
from types import SimpleNamespace
from unittest.mock import Mock, patch

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from by_hand import NEVER, path, ranking, sweep_of
from matplotlib.figure import Figure
from omegaconf import OmegaConf

import gdjax
from gdjax import certificates, plotting, results
from gdjax._util import signals
from gdjax.cli import certify, check, compare, descents, rank, run, sweep
from gdjax.cli.output_folder import OutputFolder
from gdjax.comparison import comparison

pytestmark = pytest.mark.usefixtures("untyped")  # what stands in for results has no types

BOWL = gdjax.Objective(
    name="bowl", fn=lambda p: (p**2).sum(), domain=[(-5, 5)] * 2, minima=[(0, 0)], fmin=0.0
)


@pytest.fixture
def told(caplog):
    """The lines that a command has told."""
    caplog.set_level(logging.INFO)
    return lambda: "\n".join(record.getMessage() for record in caplog.records).splitlines()


@pytest.fixture
def saved():
    """The pictures that were saved: name and dots per inch; none is drawn."""
    pictures = []

    def save(figure, path, dpi=150):
        path.touch()
        pictures.append((path.name.removeprefix(".partial-"), dpi))
        return path

    blank = dict.fromkeys(("comparison", "convergence", "fit"), lambda *_, **__: Figure())
    with patch.multiple(plotting, save=save, **blank):
        yield pictures


LOOK = dict.fromkeys(("axes", "view", "cmap", "title", "figsize")) | {
    "window": "auto", "drape": False, "animate": False,
}  # fmt: skip
LOCAL = {"kind": "local", "address": None, "workers": None}


def performed(command, config, folder, plot=None, **stand_ins):
    """A command with a config by hand; stand-ins take the place of what it calls."""
    plot = {"format": "png", "dpi": 150} | (plot or {})
    config = OmegaConf.create({"engine": LOCAL} | config | {"plot": plot | LOOK})
    with patch.multiple(inspect.getmodule(command), **stand_ins):
        return command(config, OutputFolder(folder, plot))


def written(folder):
    return json.loads((folder / "summary.json").read_text())


# gdjax run and compare


PATHS = {
    "good": path([[1, 2], [0.5, 1], [0, 0]], [5, 1.25, 0], 0, 0),
    "trapped": path([[1, 2], [1, 1], [1, 1]], [5, 1, 2], 1, 1),
    "lost": path([[1, 2], [4, 5], [np.nan, np.nan]], [5, 41, np.nan], 3, -1),
}
RATES = {
    "good": comparison.Rates(0.5, 0.4999999),
    "trapped": comparison.Rates(None, 0.25),
    "lost": comparison.Rates(None, None),
}


def compared(objective, labels, folder, distance=False, certify=False, steps=2, dpi=150):
    """The summary that is left of paths by hand, and the optimizers that they are said to be of."""
    asked = Mock(
        return_value=comparison.Comparison(
            objective, {k: PATHS[k] for k in labels}, {k: RATES[k] for k in labels}
        )
    )
    optimizers = dict(zip(labels, (gdjax.heavy_ball(x) for x in (0.1, 0.2, 0.3)), strict=False))
    config = {
        "mode": "paths", "start": None, "steps": steps, "gradient": "autodiff", "dtype": "float32",
        "distance": distance, "certify": certify,
    }  # fmt: skip
    with patch.object(comparison, "compare", asked):
        done = performed(
            compare.compare, config, folder, {"dpi": dpi},
            make_objective=lambda config: objective, _optimizers=lambda config: optimizers,
        )  # fmt: skip
    assert done.code == 0
    assert asked.call_args.args == (objective, optimizers)
    return written(folder), optimizers


def descended(label, folder):
    """The summary that gdjax run leaves of a path by hand."""
    config = {
        "optimizer": None, "start": None, "steps": 2, "gradient": "autodiff", "dtype": "float32",
    }  # fmt: skip
    with patch.object(descents, "rates", lambda *_: RATES[label]):
        done = performed(
            run.run, config, folder,
            make_objective=lambda config: BOWL, make_optimizer=lambda *_: gdjax.heavy_ball(0.1),
            descend=lambda *_, **__: PATHS[label],
        )  # fmt: skip
    assert done.code == 0
    return written(folder)


def test_a_comparison_is_told_in_a_table_and_written_as_numbers(told, saved, tmp_path):
    folder = tmp_path / "new" / "folder"
    written, _ = compared(BOWL, ["good", "trapped", "lost"], folder, distance=True, dpi=30)
    assert told() == [
        "bowl from (1, 2), 2 steps, float32",
        "optimizer  outcome    minimum    final value  final point  rate by theory  measured",
        "good       converged  global #0  0            (x=0, y=0)   0.50000         0.50000",
        "trapped    stalled    local #1   2            (x=1, y=1)   n/a             0.25000",
        "lost       nonfinite  none       41           (x=4, y=5)   n/a             n/a",
        "largest distance between good and trapped: 1.41 at step 2",
        "largest distance between good and lost: nan at step 2",
        "largest distance between trapped and lost: nan at step 2",
        f"{folder}/comparison.png",
        f"{folder}/convergence.png",
    ]
    assert saved == [("comparison.png", 30), ("convergence.png", 30)]
    assert written["results"]["trapped"] == {
        "outcome": "stalled", "minimum": 1, "reached": "local", "final_value": 2.0,
        "best_value": 1.0, "final_point": [1.0, 1.0], "finite_steps": 2, "best_step": 1,
        "best_point": [1.0, 1.0], "remark": "",
            "eval_value": None, "eval_point": None, "compared_by": 2.0,
        "rate_predicted": None, "rate_measured": 0.25,
    }  # fmt: skip
    assert written["results"]["lost"] == {
        "outcome": "nonfinite", "minimum": -1, "reached": None, "final_value": 41.0,
        "best_value": 5.0, "best_step": 0, "best_point": [1.0, 2.0], "remark": "",
        "final_point": [4.0, 5.0], "finite_steps": 1,
        "eval_value": None, "eval_point": None, "compared_by": 41.0,
        "rate_predicted": None, "rate_measured": None,
    }  # fmt: skip
    assert {key: written[key] for key in ("start", "variables", "gradient", "pictures")} == {
        "start": [1.0, 2.0], "variables": ["x", "y"], "gradient": "autodiff",
        "pictures": ["comparison.png", "convergence.png"],
    }  # fmt: skip
    with np.load(folder / "trajectory.npz") as arrays:
        kept = "points", "values", "outcome", "minimum"  # these paths are evaluated nowhere else
        fields = [f"{field}_{i}" for i in range(3) for field in kept]
        assert sorted(arrays) == sorted([*fields, "labels"])
        assert arrays["labels"].tolist() == ["good", "trapped", "lost"]
        np.testing.assert_array_equal(arrays["values_1"], [5, 1, 2])


def test_one_descent_is_a_run_whose_arrays_have_no_numbers(told, saved, tmp_path):
    descended("lost", tmp_path)
    assert [name for name, _ in saved] == ["trajectory.png", "convergence.png"]
    with np.load(tmp_path / "trajectory.npz") as arrays:
        assert sorted(arrays) == ["labels", "minimum", "outcome", "points", "values"]
    assert not any("distance" in line for line in told())


def test_a_descent_without_a_finite_value_is_described_at_its_start(told, saved, tmp_path):
    hole = path([[1, 2], [1, 2]], [np.nan, np.nan], 3, -1)
    with patch.dict(PATHS, lost=hole):
        (described,) = descended("lost", tmp_path)["results"].values()
    assert (described["finite_steps"], described["final_point"]) == (0, [1.0, 2.0])


@pytest.mark.parametrize(("dim", "more"), [(4, ""), (5, ", …")])
def test_a_point_is_told_by_its_first_four_components(dim, more, told, saved, tmp_path):
    f = gdjax.Objective(name="f", fn=lambda p: p.sum(), domain=[(0, 1)] * dim)
    far = path([[0.25] * dim], [1], 4, -1)
    with patch.dict(PATHS, good=far):
        compared(f, ["good"], tmp_path)
    first = ", ".join(f"{name}=0.25" for name in f.variables[:4])
    assert f"({first}{more})" in told()[2]


def test_the_others_of_a_comparison_are_certified_against_the_first(told, saved, tmp_path):
    trial = certificates.Trial(
        "as given", "different", "", "state", 9.0, 8.0, (0, 1, 0), 1, 2, (2,), 1.0, 0.5, 1
    )

    def asked(a, b, objective, starts, steps, **kwargs):
        assert (objective, steps) == (BOWL, 2)
        assert kwargs == {"gradient": "autodiff", "dtype": "float32"}
        np.testing.assert_array_equal(starts, [[1, 2]])
        names = repr(a), repr(b)
        return certificates.EquivalenceReport(*names, "bowl", "float32", 1e-3, (trial,))

    with patch.object(compare, "certify_equivalence", asked):
        summary, made = compared(BOWL, ["good", "trapped", "lost"], tmp_path, certify=True)
    first, *others = map(repr, made.values())
    pairs = [(r["a"], r["b"], r["verdict"]) for r in summary["certificates"]]
    assert pairs == [(first, other, "different") for other in others]
    assert summary["certificates"][0]["trials"] == [
        trial._asdict() | {"where": [0, 1, 0], "counted": [2]}
    ]
    assert [line for line in told() if line.startswith(("a =", "b ="))] == [
        f"a = {first}", f"b = {others[0]}", f"a = {first}", f"b = {others[1]}",
    ]  # fmt: skip


def test_a_certificate_of_no_steps_takes_one(saved, tmp_path):
    with (
        patch.object(compare, "certify_equivalence", Mock(side_effect=StopIteration)) as asked,
        pytest.raises(StopIteration),
    ):
        compared(BOWL, ["good", "trapped"], tmp_path, steps=0, certify=True)
    assert asked.call_args.args[4] == 1


@pytest.mark.parametrize("columns", [["t"], ["t", "u"]], ids=["one column", "two columns"])
def test_a_fit_is_drawn(columns, saved, tmp_path):
    fitted = Mock(wraps=BOWL, fit=SimpleNamespace(columns=columns), residuals=None)
    fitted.coordinates = None
    for name in (
        "name", "latex", "gradient_latex", "variables", "minima", "dim", "start", "width", "center",
        "known_minima", "minimum_values",
    ):  # fmt: skip
        setattr(fitted, name, getattr(BOWL, name))
    with patch.object(descents, "advice", lambda *_: ["a hint"]):
        summary, _ = compared(fitted, ["good"], tmp_path)
    assert "fit.png" in dict(saved)
    assert summary["hints"] == ["a hint"]


# gdjax check and certify


CHECK = {
    "rule": None,
    "args": None,
    "pullback": None,
    "order": 1,
    "points": 9,
    "seed": 0,
    "dtype": "float64",
    "hessian": False,
    "draw": False,
}


def checked(name, ok, kind="gradient"):
    class Report:
        line = f"{name} in a line"
        undecided, error = False, 0.0

        def __str__(self):
            return f"{name} in a table"

    report = Report()
    report.name, report.ok, report.kind = name, ok, kind
    return report


@pytest.mark.parametrize(
    ("good", "lines"),
    [
        ({"a": True}, ["a in a table"]),
        ({"a": False}, ["a in a table", "wrong: gradient of a"]),
        (
            {"a": True, "b": False},
            ["a in a line", "b in a table", "1 of 2 are right", "wrong: gradient of b"],
        ),
    ],
)
def test_of_several_gradients_the_wrong_ones_have_their_table(good, lines, told, tmp_path):
    done = performed(
        check.check, CHECK, tmp_path / "none",
        make_objectives=lambda config: [
            SimpleNamespace(name=name, coordinates=None) for name in good
        ],
        check_gradient=lambda f, **_: checked(f.name, good[f.name]),
    )  # fmt: skip
    assert told() == lines
    assert done.code == (not all(good.values()))
    assert not (tmp_path / "none").exists()


def test_a_drawn_certificate_is_named_after_its_objective(told, saved, monkeypatch, tmp_path):
    monkeypatch.setattr(plotting, "certificate", lambda report: Figure())
    folder = tmp_path / "new" / "folder"
    done = performed(
        check.check, CHECK | {"hessian": True, "draw": True}, folder,
        make_objectives=lambda config: [BOWL],
        check_gradient=lambda f, **_: checked(f.name, True),
        check_hessian=lambda f, **_: checked(f.name, True, "Hessian"),
    )  # fmt: skip
    assert done.code == 0
    assert [name for name, _ in saved] == ["bowl_gradient.png", "bowl_hessian.png"]
    pictures = [f"{folder}/bowl_gradient.png", f"{folder}/bowl_hessian.png"]
    assert told()[2:] == [*pictures, "2 of 2 are right"]
    assert folder.is_dir()


CERTIFY = {
    "a": "one", "b": "other", "learning_rate": None, "starts": 3, "steps": 50, "seed": 3,
    "dtypes": ["float32", "float64"], "decaying": False,
}  # fmt: skip


def certified(ulps, told, verdict="same method", why="", **options):
    """What is told of objectives with these largest differences."""
    given = iter(ulps)

    def asked(a, b, objective, points, steps, *, seed, dtype, schedule):
        assert seed == CERTIFY["seed"]
        trial = certificates.Trial(
            "as given", verdict, why, "state", next(given), 1.5, (0, 1, 0), -1, 9, (5, 4), 1, 0, -1
        )
        return certificates.EquivalenceReport(a, b, objective.name, dtype, 1e-3, (trial,))

    rates = []
    done = performed(
        certify.certify, CERTIFY | options, None,
        make_objectives=lambda config: [BOWL] * (len(ulps) // 2),
        make_optimizer=lambda node, asked, rate: (rates.append(rate), node)[1],
        certify_equivalence=asked,
    )  # fmt: skip
    assert (done.code, done.value) == (verdict != "same method", max(ulps))
    return told(), rates


def test_a_certificate_is_told_in_a_table_and_a_sentence(told):
    lines, rates = certified([1.25, 2.0], told, learning_rate=0.3)
    assert rates == [0.3, 0.3]
    assert lines == [
        "objective  dtype    point  carried  steps that count     verdict",
        "bowl       float32  1.25   1.5      9 of 9, ≥ 4 a phase  same method",
        "bowl       float64  2      1.5      9 of 9, ≥ 4 a phase  same method",
        "a = one",
        "b = other",
        "at every step the same state; learning rate 0.3; the next points are at most 2 ulps apart "
        "in 2 of 2, 2 in the worst",
    ]


def test_a_certificate_that_is_undecided_says_why(told):
    lines, _ = certified([0.0, 0.0], told, "undecided", "nothing moves: take more")
    dtypes = "float32", "float64"
    assert lines[3:5] == [
        f"undecided on bowl, {dtype}: nothing moves: take more" for dtype in dtypes
    ]


@pytest.mark.parametrize(
    ("worst", "said"),
    [(2.0, False), (2.5, True), (8.0, True), (8.5, False)],
)
def test_seven_roundings_explain_up_to_eight_ulps(worst, said, told):
    (*_, last), _ = certified([1.0, worst], told)
    assert last.startswith("at every step the same state; learning rate 1/L; ")
    assert f"in {1 + (worst <= 2)} of 2, {worst:g} in the worst" in last
    assert last.endswith(", as seven roundings can add up") == said


@pytest.mark.parametrize(
    ("fn", "rate"),
    [
        (lambda p: 8 * p[0] ** 2 + p[0] * p[1], 1 / (8 + np.sqrt(65))),  # of (16 1; 1 0)
        (lambda p: p[0] - p[1], 0.01),
        # a kink at a start whose curvature is no number decides nothing
        (lambda p: jnp.where(p[0] == 0, jnp.nan, 1) * (p[0] ** 2 + 3 * p[1] ** 2), 1 / 6),
    ],
)
def test_the_rate_of_a_certificate_is_one_over_the_largest_curvature(fn, rate, told):
    f = gdjax.Objective(name="f", fn=fn, domain=[(-1, 1)] * 2, start=(0, 0))
    rates = []
    with pytest.raises(StopIteration):
        performed(
            certify.certify, CERTIFY, None, make_objectives=lambda config: [f],
            make_optimizer=lambda node, asked, rate: rates.append(rate),
            certify_equivalence=Mock(side_effect=StopIteration),
        )  # fmt: skip
    assert rates == pytest.approx([rate, rate], rel=1e-12)


# gdjax rank


TUNING = dict.fromkeys((*rank.TUNING, "objective", "target"))
TUNING |= {"gradient": "autodiff", "dtype": "float64"}


def ranked(found, folder, seconds=1.26, **plot):
    clock = Mock(side_effect=[100.0, 100.0 + seconds])
    pictures = dict.fromkeys(("ranks", "convergence"), lambda _: Figure())
    with patch.object(plotting, "RANKING_PICTURES", pictures):
        done = performed(
            rank.rank, TUNING | {"objectives": ["any"], "optimizers": ["any"]}, folder, plot,
            ranked=Mock(return_value=found), time=Mock(perf_counter=clock),
        )  # fmt: skip
    assert done.code == 0


def read(file):
    return [*csv.DictReader(file.read_text().splitlines())]


def test_a_ranking_is_told_with_how_it_was_tuned_and_scored(told, saved, tmp_path):
    found, folder = ranking(), tmp_path / "new" / "folder"
    ranked(found, folder, format="svg", dpi=31)
    heading = [
        "2 optimizers on 2 objectives, tuned for each objective with at most 123,456 evaluations "
        "in 2 seeds, scored on 3 held-out starts, 1 s",
        "success and evaluations: f − f* ≤ 0.01 (f(start) − f*) within 1,000; score: mean over all "
        "τ, a failure counts 2,000",
        "f* is the lowest value that BFGS found on steep",
    ]
    files = ["ranks.svg", "convergence.svg", "table.csv", "settings.csv", "profiles.csv",
             "ranking.npz", "runs.parquet"]  # fmt: skip
    assert told()[:3] == heading
    assert told()[3:] == [*str(found).splitlines(), *(f"{folder}/{name}" for name in files)]
    assert saved == [("ranks.svg", 31), ("convergence.svg", 31)]
    written = json.loads((folder / "summary.json").read_text())
    fast, slow = written.pop("optimizers")
    assert written == {
        "objectives": ["flat", "steep"], "budget": 1000, "tau": [0.1, 0.01],
        "tuning_evaluations_allotted": 123456, "fmin_not_known": ["steep"], "together": False,
        "seconds": 1.3, "pictures": files[:2], "tables": files[2:],
    }  # fmt: skip
    assert (fast["optimizer"], slow["optimizer"]) == ("fast", "slow")
    assert slow["evaluations"] == [None, None, None]  # what never happens is null


def test_one_optimizer_tuned_together_is_told_in_the_singular(told, saved, tmp_path):
    one = ranking(known=(True, True), together=True, optimizers=("slow",))
    ranked(one, tmp_path)
    assert told()[0].startswith("1 optimizer on 2 objectives, tuned together with at most")
    assert not any("BFGS" in line for line in told())


def test_the_tables_of_a_ranking_have_its_numbers(saved, tmp_path):
    import pyarrow.parquet

    found = ranking()
    ranked(found, tmp_path)
    table = read(tmp_path / "table.csv")
    assert table == [{k: str(v) for k, v in row.items()} for row in found.rows()]
    settings = read(tmp_path / "settings.csv")
    assert [tuple(row.values()) for row in settings] == [
        ("flat", "slow", "0", "learning_rate", "0.1"),
        ("flat", "slow", "1", "learning_rate", "0.2"),
        ("steep", "slow", "0", "learning_rate", "0.3"),
        ("steep", "slow", "1", "learning_rate", "0.4"),
    ]
    with np.load(tmp_path / "ranking.npz") as arrays:
        np.testing.assert_array_equal(arrays["costs"], found.costs)
        np.testing.assert_array_equal(arrays["held_out_steep"], np.full((3, 3), 8.0))
        assert arrays["optimizers"].tolist() == ["slow", "fast"]
        assert "settings" not in arrays
    runs = pyarrow.parquet.read_table(tmp_path / "runs.parquet").to_pylist()
    assert len(runs) == 24
    # The cell of the second objective, the second optimizer, the first seed and the first start.
    assert runs[12 + 6] == {
        "objective": "steep", "optimizer": "fast", "tuning_seed": 0, "start": 0,
        "best_value": 18.0, "evaluations_to_0.1": NEVER, "evaluations_to_0.01": 5.0,
        "stuck": False,
    }  # fmt: skip


def test_the_profiles_of_a_ranking_are_its_shares(saved, tmp_path):
    found = ranking()
    ranked(found, tmp_path)
    rows = read(tmp_path / "profiles.csv")
    scales = {
        # factor of the best, simplex gradients of d + 1 evaluations, evaluations
        "performance": lambda c: c / c.min(axis=1, keepdims=True),
        "data": lambda c: c / (found.dims + 1)[:, None, None, None],
        "runtime": lambda c: c,
    }
    seen = {kind: {row["tau"] for row in rows if row["profile"] == kind} for kind in scales}
    assert seen == {"performance": {"0.1", "0.01"}, "data": {"0.1", "0.01"}, "runtime": {""}}
    for row in rows:
        costs = found.costs[..., ("0.1", "0.01").index(row["tau"] or "0.1")]
        with np.errstate(invalid="ignore"):
            measured = scales[row["profile"]](costs)[:, found.optimizers.index(row["optimizer"])]
        by_seed = (measured <= float(row["x"]) * (1 + 1e-12)).mean(axis=(0, 2))
        told = [float(row[f"share{which}"]) for which in ("", "_worst_seed", "_best_seed")]
        assert told == pytest.approx([by_seed.mean(), by_seed.min(), by_seed.max()])


def test_without_pyarrow_a_ranking_has_no_parquet(saved, told, tmp_path):
    with patch.object(rank, "importlib", Mock(util=Mock(find_spec=lambda name: None))):
        ranked(ranking(), tmp_path)
    assert not (tmp_path / "runs.parquet").exists()
    assert "runs.parquet" not in json.loads((tmp_path / "summary.json").read_text())["tables"]


# gdjax sweep


FOUND = sweep_of(
    outcome=[[0, 0, 4], [0, 1, 2], [0, 3, 0], [0, 0, 0]],
    minimum=[[0, 1, -1], [0, -1, -1], [1, -1, 0], [0, 0, 0]],
    first=[[10, -1, -1], [20, -1, -1], [-1, -1, 30], [40, 50, 60]],
    taken=[[1000, 2000, 3000], [1000, 1, 1], [1, 1, 1], [1, 1, 1]],
    axes={"momentum": [0.0, 0.5, 0.95]},
)


SWEEP = dict.fromkeys((*sweep.ASKED, "plots", "store", "optimizer", "devices", "kernel")) | {
    "stopping": True, "every": 10, "parquet": False, "plan": False, "accept_version": False,
    "engine": LOCAL,
    "objective_value": None,
}  # fmt: skip


def asked_for(prepared, config, folder, **plot):
    """gdjax sweep, with a sweep that is prepared already."""
    return performed(
        sweep.sweep, SWEEP | config, folder, plot, make_several=lambda config: (BOWL, None),
        make_starts=Mock(), make_axes=Mock(),
        plans=Mock(return_value=Mock(by_objective=[SimpleNamespace(objective=BOWL)])),
        Sweep=Mock(return_value=prepared),
    )  # fmt: skip


def layout_of(cells):
    """As much of a layout as the command looks at: each cell is a chunk."""
    kept = "outcome", "minimum", "steps_to_tolerance", "evaluations"
    return SimpleNamespace(
        variables=kept, cells=cells, chunks=cells, bounds=lambda index: slice(index, index + 1)
    )


def store_without(missing, opened):
    """A store in which these chunks are missing, and what is there."""
    there = Mock(missing=Mock(return_value=[*missing]), results=Mock(return_value=opened))
    return Mock(open=Mock(return_value=there))


def swept(found, folder, seconds=0.5, before=None, parquet=False, **plot):
    store = folder.parent / "stores" / "bowl-abc.zarr"
    taken = before or [0]
    prepared = SimpleNamespace(
        layout=layout_of(len(taken)), digest="abc", run=Mock(return_value=found)
    )
    missing = [cell for cell, evaluations in enumerate(taken) if evaluations < 0]
    if before is not None:
        (store / "part").mkdir(parents=True)
    opened = xr.Dataset({"evaluations": ("start", np.array(taken))})
    clock = Mock(side_effect=[100.0, 100.0 + seconds])
    with (
        patch.object(sweep, "time", Mock(perf_counter=clock)),
        patch.object(results, "Store", store_without(missing, opened)),
        patch.object(plotting, "sweep_pictures", lambda *_: {"steps": Figure()}),
        patch.object(results, "to_parquet", lambda *_: None),
    ):
        assert asked_for(prepared, {"parquet": parquet}, folder, **plot).code == 0
    assert prepared.run.call_args.args[0] == str(store)
    return written(folder), store


def test_a_sweep_is_told_in_five_lines_and_written_as_numbers(told, saved, tmp_path):
    folder = tmp_path / "new" / "folder"
    written, store = swept(FOUND, folder, parquet=True, format="pdf", dpi=31)
    assert told() == [
        "bowl, heavy_ball(learning_rate=0.1, momentum=0…0.95): 12 descents (4 starts × 3 values "
        "of momentum), float32",
        "outcomes            converged 8  stalled 1  diverged 1  nonfinite 1  max_steps 1",
        # 6 of 12 by Wilson's interval with z = 1.96
        "global minimum      50 % (95 % interval 25.38 to 74.62 %)",
        "steps to tolerance  30, 60, never (quartiles of all descents)",
        "time                0.5 s, 0.014 million gradients a second, llvm kernel",
        f"{folder}/steps.pdf",
        f"{folder}/results.parquet",
        f"{store}",
    ]
    assert saved == [("steps.pdf", 31)]
    assert (written["reached_global"], written["descents"]) == (6, 12)
    assert written["gradient_evaluations"] == 7008
    assert written["axes"] == {"start": 4, "momentum": 3}
    assert (written["store"], written["seconds"]) == (str(store), 0.5)


ONE = sweep_of([4], [-1], [-1], [7], kernel="portable", kernel_reason="no llvmlite")


@pytest.mark.parametrize(
    ("before", "told_of_time"),
    [
        (None, "0.5 s, 1.4e-05 million gradients a second, portable kernel (no llvmlite)"),
        ([7], "0.5 s, all read from the store"),
    ],
)
def test_one_descent_is_told_in_the_singular(before, told_of_time, told, saved, tmp_path):
    summary, _ = swept(ONE, tmp_path / "now", before=before)
    assert told()[0] == (
        "bowl, heavy_ball(learning_rate=0.1, momentum=0.9): 1 descent (1 start), float32"
    )
    assert told()[1:4] == [
        "outcomes            max_steps 1",
        "global minimum      0 % (95 % interval 0 to 79.35 %)",
        "steps to tolerance  never, never, never (quartiles of all descents)",
    ]
    assert told()[4] == f"time                {told_of_time}"
    assert summary["descents_now"] == (before is None)


def test_what_was_in_the_store_is_not_counted_as_computed_now(told, saved, tmp_path):
    summary, _ = swept(FOUND, tmp_path / "now", before=[1000, 2000, 8, -1], seconds=2.0)
    assert (summary["descents_now"], summary["gradient_evaluations_now"]) == (9, 4000)
    assert told()[4] == (
        "time                2 s for 9 descents, the others were in the store, 0.002 million "
        "gradients a second, llvm kernel"
    )


def test_a_sweep_that_takes_no_time_divides_by_none(told, saved, tmp_path):
    swept(ONE, tmp_path / "now", seconds=0.0)
    assert "0 s, 7e+03 million gradients a second" in told()[4]


def test_two_axes_and_one_value_are_told_with_their_numbers(told, saved, tmp_path):
    found = sweep_of(
        [[[0]], [[0]]], [[[0]], [[0]]], [[[1]], [[1]]], [[[1]], [[1]]],
        {"learning_rate": [0.25], "clip.max_delta": [3.0]},
        optimizer="heavy_ball(learning_rate=0.1, momentum=0.9, clip=clip(max_delta=0.5))",
    )  # fmt: skip
    swept(found, tmp_path / "now")
    assert told()[0] == (
        "bowl, heavy_ball(learning_rate=0.25, momentum=0.9, clip=clip(max_delta=0.5)): 2 descents "
        "(2 starts × 1 value of learning rate × 1 value of clip.max delta), float32"
    )


def test_an_interrupted_sweep_says_what_is_in_the_store(capsys, tmp_path):
    store = tmp_path / "mine"
    done = xr.Dataset({"evaluations": ("start", np.array([9] * 1200 + [-1] * 800))})

    class EndedError(Exception):
        """What a signal does here."""

    def end(*_, **__):
        for action in signals._actions:
            action()
        raise EndedError

    prepared = SimpleNamespace(layout=layout_of(2000), digest="abc", run=end)
    with (
        patch.object(results, "open_results", Mock(return_value=done)),
        pytest.raises(EndedError),
    ):
        asked_for(prepared, {"store": str(store)}, tmp_path / "now")
    assert capsys.readouterr().out == ""  # nothing was begun
    (store / "part").mkdir(parents=True)
    with (
        patch.object(results, "Store", store_without(range(1200, 2000), done)),
        pytest.raises(EndedError),
    ):
        asked_for(prepared, {"store": str(store)}, tmp_path / "now")
    assert capsys.readouterr().out == (
        f"1,200 of 2,000 descents are in {store}; the same command continues\n"
    )
    assert not (tmp_path / "now").exists()
