import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import optimize

import gdjax
from gdjax import metrics, objectives, optimizers, plotting, theory
from gdjax.comparison import rivals
from gdjax.comparison.curves import curves
from gdjax.comparison.tuned import rank

QUICK = {"budget": 200, "trials": 16, "starts": 3, "held_out": 5, "seeds": 2}
SGD = {"name": "sgd", "learning_rate": 0.1}
SAM = {"optimizer": SGD, "adv_optimizer": SGD}
NAMES = ["gradient_descent", "heavy_ball", "adam", "scipy.bfgs"]


@pytest.fixture(scope="module")
def ranking():
    return rank(["booth", "himmelblau", "sphere"], NAMES, **QUICK)


def test_tuned_heavy_ball_beats_tuned_descent_by_the_root_of_the_condition_number():
    kappa = 400.0
    f = objectives.get("ill_conditioned_quadratic", dim=2, kappa=kappa)
    curvatures = theory.curvatures(f, f.minima[0])
    top = float(curvatures.max())
    assert top / curvatures.min() == pytest.approx(kappa)
    found = rank(
        f, ["gradient_descent", "heavy_ball"], budget=4000, trials=128, starts=4, held_out=16,
        seeds=2, tau=[1e-6], ranges={"learning_rate": (0.01 / top, 4 / top)},
    )  # fmt: skip
    plain, ball = np.median(found.costs[0, ..., 0], axis=(1, 2))
    assert kappa**0.5 / 3 < plain / ball < kappa**0.5 * 3
    assert found.optimizers[found.order[0]] == "heavy_ball"
    rates = found.settings["gradient_descent"]["learning_rate"]
    assert ((rates > 1 / top) & (rates < 2 / top)).all()
    assert (found.settings["heavy_ball"]["momentum"] > 0.6).all()  # 0.82 is optimal


def test_starts_to_tune_and_to_score_on_are_apart(ranking):
    held, tuning = ranking.held_out["booth"], ranking.tuning_starts["booth"]
    assert (held.shape, tuning.shape) == ((5, 2), (2, 3, 2))
    points = np.concatenate([held, *tuning])
    assert len(np.unique(points, axis=0)) == len(points)
    low, high = np.transpose(objectives.get("booth").domain)
    assert ((points >= low) & (points <= high)).all()


def test_every_optimizer_may_spend_the_same_on_tuning():
    found = rank(
        "sphere", ["gradient_descent", "heavy_ball", "adam"], **QUICK,
        ranges={"learning_rate": (1e-4, 1e-2)},  # so slow that none is lost and ends early
    )  # fmt: skip
    assert (found.tuning == found.allotted).all()
    assert found.allotted == 2 * 16 * 3 * 200


def test_the_same_seed_gives_the_same_ranking(ranking):
    again = rank(["booth", "himmelblau", "sphere"], NAMES, **QUICK)
    np.testing.assert_array_equal(again.costs, ranking.costs)
    other = rank("booth", NAMES[:1], **QUICK, seed=1)
    assert not np.isin(other.held_out["booth"], ranking.held_out["booth"]).any()


def test_costs_are_those_of_a_plain_descent(ranking):
    f = objectives.get("booth")
    j = ranking.optimizers.index("heavy_ball")
    for seed in range(2):
        chosen = {k: float(v[0, seed]) for k, v in ranking.settings["heavy_ball"].items()}
        path = gdjax.descend(
            f, gdjax.heavy_ball(**chosen), ranking.held_out["booth"][3], 199, precision="float64"
        )
        gaps = np.asarray(path.values) - f.fmin
        for t, tau in enumerate(ranking.tau):
            met = np.flatnonzero(gaps <= tau * gaps[0])
            assert ranking.costs[0, j, seed, 3, t] == (met[0] + 1 if met.size else np.inf)


def test_scores_ranks_and_shares_by_hand(ranking):
    costs = np.where(np.isinf(ranking.costs), 400, ranking.costs)
    np.testing.assert_allclose(ranking.scores, costs.mean(axis=(-2, -1)))
    best = ranking.scores.mean(axis=-1).argmin(axis=1)
    np.testing.assert_array_equal(ranking.ranks.argmin(axis=1), best)
    share = ranking.success(axis=(0, -1))
    np.testing.assert_allclose(share.share, np.isfinite(ranking.costs)[..., 2].mean((0, 2, 3)))
    assert share.low[0] == pytest.approx(metrics.wilson(share.share * 15, 15).low[0])  # not 30
    row = next(r for r in ranking.rows() if (r["optimizer"], r["tau"]) == ("adam", 1e-5))
    assert row["evaluations_median"] == metrics.steps_quantile(
        np.where(np.isinf(ranking.costs), -1, ranking.costs)[0, 2, ..., 2], 0.5
    )


def test_one_setting_for_all_objectives():
    found = rank(["booth", "sphere"], ["heavy_ball"], **QUICK, together=True)
    for values in found.settings["heavy_ball"].values():
        np.testing.assert_array_equal(values[0], values[1])
        assert values[0, 0] != values[0, 1]


def test_an_unknown_minimum_is_the_lowest_value_that_is_found():
    f = gdjax.Objective(name="mine", fn=lambda p: jnp.sum((p - 1) ** 2) + 7, domain=[(-3, 3)] * 2)
    found = rank(f, ["gradient_descent"], **QUICK)
    assert not found.known[0]
    assert found.fmin[0] == pytest.approx(7, abs=1e-9)
    assert np.isfinite(found.costs).all()


def test_a_line_search_is_charged_for_every_evaluation():
    f, start, calls = objectives.get("rosenbrock"), np.array([[-1.2, 1.0]]), []

    def value(point):
        calls.append(point)
        return f.fn(point)

    with jax.enable_x64(True), jax.disable_jit():  # a loop calls the function each time then
        made = optax.lbfgs()
        point = jnp.asarray(start[0])
        state, costs, values = made.init(point), [1], [float(f.fn(point))]
        for _ in range(3):
            before = len(calls)
            height, slope = jax.value_and_grad(f.fn)(point)
            update, state = made.update(
                slope, state, point, value=height, grad=slope, value_fn=value
            )
            point = point + update
            costs.append(len(calls) - before)
            values.append(float(f.fn(point)))
    assert max(costs) > 1
    (block,) = curves(optimizers.get("lbfgs"), f, start, {}, 30, "autodiff", "float64")
    at = np.cumsum(costs) - 1
    np.testing.assert_allclose(block.best[0, at], np.minimum.accumulate(values), rtol=1e-9)
    assert block.best[0, at[1] - 1] > block.best[0, at[1]]


@pytest.mark.parametrize("method", ["bfgs", "l_bfgs_b", "nelder_mead"])
def test_scipy_is_charged_for_what_it_evaluates(method):
    f, start = objectives.get("rosenbrock"), np.array([[-1.2, 1.0]])
    found = rivals.run(rivals.get(f"scipy.{method}"), f, start, budget=900)
    alone = method == "nelder_mead"
    own = optimize.minimize(
        optimize.rosen, start[0], jac=None if alone else optimize.rosen_der,
        method=rivals.SCIPY[method], tol=rivals.TOLERANCE, options={"maxiter": 900},
    )  # fmt: skip
    assert found.functions[0] == pytest.approx(own.nfev, abs=3)  # rounding in the last steps
    assert found.gradients[0] == (0 if alone else found.functions[0])
    assert found.values.min() == pytest.approx(0, abs=1e-12)
    short = rivals.run(rivals.get(f"scipy.{method}"), f, start, budget=20)
    np.testing.assert_array_equal(short.values, found.values[:, :20])
    assert short.functions[0] == 20


@pytest.mark.parametrize("method", ["bfgs", "nelder_mead"])
def test_optimistix_is_charged_for_what_it_evaluates(method):
    library = pytest.importorskip("optimistix")
    f, start = objectives.get("booth"), np.array([[5.0, 5.0]])
    found = rivals.run(rivals.get(f"optimistix.{method}"), f, start, budget=300)
    assert found.values.min() == pytest.approx(0, abs=1e-9)
    if method == "nelder_mead":
        assert found.gradients[0] == 0
        return
    with jax.enable_x64(True):
        solver = library.BFGS(rtol=rivals.TOLERANCE, atol=rivals.TOLERANCE)
        own = library.minimise(lambda p, _: f.fn(p), solver, jnp.asarray(start[0]), max_steps=300)
    assert found.functions[0] == own.stats["num_steps"]
    assert 0 < found.gradients[0] < found.functions[0]


def test_without_optimistix_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optimistix", None)
    with pytest.raises(gdjax.ArgumentError, match=r"pip install 'gdjax\[rivals\]'"):
        rank("booth", ["optimistix.bfgs"])


def test_rates_of_theory_stand_beside_the_fitted_ones():
    f = objectives.get("rotated_quadratic")
    low, high = theory.curvatures(f, f.minima[0])
    rate = 1 / float(high)
    found = gdjax.compare(
        f,
        {
            "gd": gdjax.gradient_descent(rate),
            "heavy ball": gdjax.heavy_ball(rate, 0.3),
            "nesterov": gdjax.nesterov(rate, 0.3),
            "sgd": optimizers.get("sgd", learning_rate=rate, momentum=0.3),
            "adam": optimizers.get("adam", learning_rate=0.01),
            "noisy": optimizers.chain(
                gdjax.gradient_descent(rate), clip=optimizers.transform("clip", max_delta=1e9)
            ),
            "bare": optax.sgd(rate),
        },
        steps=1500,
        precision="float64",
    )
    for label in ("gd", "heavy ball", "nesterov", "sgd"):
        assert found.rates[label].measured == pytest.approx(found.rates[label].predicted, rel=1e-3)
    assert found.rates["gd"].predicted == pytest.approx(1 - rate * low)
    assert found.rates["sgd"] == pytest.approx(found.rates["heavy ball"], rel=1e-6)
    for label in ("adam", "noisy", "bare"):
        assert found.rates[label].predicted is None
    assert "n/a" in str(found)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rank("booth", ["adma"]), "unknown optimizer 'adma'; did you mean .*'adam'"),
        (lambda: rank("booth", ["scipy.bgfs"]), "unknown rival 'scipy.bgfs'; did you mean"),
        (lambda: rank("boot", ["adam"]), "unknown objective 'boot'; did you mean 'booth'"),
        (lambda: rank("saddle", ["adam"]), "saddle must have a least value to rank by"),
        (lambda: rank("saddles", ["adam"]), "must have a least value to rank by, saddles have"),
        (lambda: rank(["booth", "booth"], ["adam"]), "named once each"),
        (lambda: rank("booth", ["adam", "adam"]), "must differ or have labels"),
        (lambda: rank("booth", []), "optimizers must hold at least one"),
        (
            lambda: rank("booth", [{"name": "adam", "momentum": 0.9}]),
            "unknown hyperparameter of adam 'momentum'; choose from learning_rate, b1, b2",
        ),
        (lambda: rank("booth", ["adam"], ranges={"momentum": (0, 0.9)}), "hyperparameter to tune"),
        (
            lambda: rank("booth", ["adam"], ranges={"nesterov": (0, 1, "linear")}),
            "nesterov of adam cannot be tuned.*those that can are learning_rate, b1",
        ),
        (lambda: rank("booth", ["adam"], ranges={"adam.b5": (0.1, 1)}), "b5.*it has learning_rate"),
        (lambda: rank("booth", ["adam"], ranges={"b1": (0.9, 0.1)}), "low < high"),
        (
            lambda: rank("booth", ["heavy_ball"], ranges={"momentum": (0.5, 1.5)}),
            r"momentum must lie in \[0, 1\), got 1.5",
        ),
        (lambda: rank("booth", [optax.adam(0.1)]), "names, factories such as optax.adam"),
        (
            lambda: rank("booth", [{"name": "sam", "opaque_mode": True, **SAM}]),
            "sam cannot be ranked: it evaluates the objective more than once",
        ),
        (lambda: rank("booth", ["adam"], tau=[2.0]), "tau must lie between 0 and 1"),
        (lambda: rank("booth", ["adam"], trials=0), "trials must be a whole number, at least 1"),
        (lambda: gdjax.compare(objectives.get("booth"), {}), "optimizers must hold at least one"),
    ],
)  # fmt: skip
def test_bad_calls_say_what_is_wrong(call, message):
    with pytest.raises(gdjax.ArgumentError, match=message):
        call()


def test_an_objective_that_falls_for_ever_is_refused():
    f = gdjax.Objective(name="slope", fn=lambda p: jnp.sum(p**3), domain=[(-3, 3)] * 2)
    with pytest.raises(gdjax.ArgumentError, match="seems to be unbounded below"):
        rank(f, ["gradient_descent"], **QUICK)


def test_pictures_show_the_ranking_in_the_colours_of_the_optimizers(ranking):
    colours = plotting.style.colours(ranking.optimizers)
    figure = plotting.performance_profiles(ranking)
    curve = ranking.performance(plotting.profiles.RATIOS, 2).shares.mean(axis=1)
    for line, expected, label in zip(figure.axes[2].get_lines(), curve, NAMES, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), expected)
        assert line.get_color() == colours[label]
    heat = plotting.rank_table(ranking).axes[0]
    shown = [text.get_text() for text in heat.texts]
    best_first = ranking.ranks[:, ranking.order]
    assert shown[:4] == [f"{x:.1f}" for x in best_first.mean(axis=0)]
    assert shown[4:8] == [f"{x:g}" for x in best_first[0]]
    bands = plotting.convergence_bands(ranking, ["sphere"]).axes[0]
    np.testing.assert_array_equal(bands.get_lines()[1].get_ydata(), ranking.gaps[2, 1, 1])
    assert len(bands.collections) == len(NAMES)
    runtime = plotting.runtime_ecdf(ranking).axes[0].get_lines()[3].get_ydata()
    assert runtime[-1] == np.isfinite(ranking.runtimes[:, 3]).mean()
    assert plotting.data_profiles(ranking).axes
