"""A ranking is worked out again from its raw costs, and these from the starts, by plain loops."""

import contextlib
import itertools
import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import optimize

import gdjax
from gdjax import objectives, optimizers, plotting, theory
from gdjax.comparison import evaluations, external, ranges
from gdjax.comparison.ranking import Ranking
from gdjax.comparison.tuning import rank

Z = 1.959963984540054  # the normal quantile of 0.975
QUICK = {"budget": 200, "trials": 16, "starts": 3, "held_out": 5, "seeds": 2}
SGD = {"name": "sgd", "learning_rate": 0.1}
SAM = {"optimizer": SGD, "adv_optimizer": SGD}


def in_many_blocks(monkeypatch):
    """Let memory suffice for one or two descents at a time."""
    monkeypatch.setattr(evaluations, "BLOCK", 2000)


def as_drawn(names, spans, trials, seeds, seed):
    """The settings that random search draws: a stream a tuning seed, a name after the other."""
    streams = np.random.SeedSequence([seed, 1]).spawn(seeds)
    return [
        {name: spans[name](unit) for name, unit in zip(names, row, strict=True)}
        for row in [np.random.default_rng(s).random((len(names), trials)) for s in streams]
    ]


# A ranking made up of few numbers, so that ties abound: p = 3, o = 4, s = 2, h = 3, t = 3, m = 4.
def made_up() -> Ranking:
    rng = np.random.default_rng(5)
    costs = rng.choice([2.0, 3, 4, 6, 9, 12, 30, np.inf], (3, 4, 2, 3, 3))
    costs[:, 3], costs[0, 1] = costs[:, 0], costs[0, 2][::-1]  # two alike, two alike on one
    costs[2, :, :, 0] = np.inf  # nobody solves this one
    costs[1, 2] = np.inf  # this one arrives nowhere
    return Ranking(
        objectives=("line", "long", "plane"),
        dims=np.array([1, 5, 2]),
        fmin=np.array([0.0, -1.0, 3.0]),
        known=np.array([True, False, True]),
        optimizers=("a", "b", "c", "d"),
        budget=30,
        tau=np.array([0.1, 0.01, 0.001]),
        targets=np.array([0.5, 0.1, 0.01, 0.001]),
        costs=costs,
        runtimes=rng.choice([1.0, 2, 3, 5, 8, 13, np.inf], (3, 4, 2, 3, 4)),
        best=rng.normal(size=(3, 4, 2, 3)),
        stuck=np.arange(72).reshape(3, 4, 2, 3) % 7 == 0,
        elsewhere=np.array([False, True, False, False]),
        at=np.array([1, 2, 3, 4, 5, 8, 12, 13, 30]),
        gaps=rng.random((3, 4, 3, 9)),
        settings={"a": {"rate": np.arange(6.0).reshape(3, 2)}, "b": {}, "c": {}, "d": {}},
        tuning=rng.integers(1, 1000, (3, 4)),
        allotted=1000,
        functions=rng.random((3, 4)),
        gradients=rng.random((3, 4)),
        tuning_starts={},
        held_out={},
        together=False,
    )


MADE_UP = made_up()
P, O, S, H, T = map(range, MADE_UP.costs.shape)  # noqa: E741
LAST = len(T) - 1


def cost(i, j, k, n, t):
    return float(MADE_UP.costs[i, j, k, n, t])


def mean(numbers):
    numbers = list(numbers)
    return math.fsum(numbers) / len(numbers)


def own_score(i, j, k):
    """Mean evaluations of one tuning seed, a failure as twice the budget."""
    return mean(min(cost(i, j, k, n, t), 60.0) for n in H for t in T)


def own_rank(i, j):
    """One more than those that are better, and half of those that are as good."""
    scores = [round(mean(own_score(i, other, k) for k in S), 9) for other in O]
    return 1 + sum(x < scores[j] for x in scores) + (scores.count(scores[j]) - 1) / 2


def own_quartiles(costs):
    """Of sorted evaluations the first by which a quarter, a half, three quarters have arrived."""
    costs = sorted(costs)
    return [costs[math.ceil(q * len(costs)) - 1] for q in (0.25, 0.5, 0.75)]


def own_interval(successes, trials):
    """The p at which a normal test rejects neither; successes may be a mean over tuning seeds."""
    share = successes / trials

    def excess(p):
        return (share - p) ** 2 * trials - Z**2 * p * (1 - p)

    low = optimize.brentq(excess, 0, share - 1e-9, xtol=1e-15) if successes else 0.0
    high = optimize.brentq(excess, share + 1e-9, 1, xtol=1e-15) if successes < trials else 1.0
    return [share, low, high]


def check_row(row, expected):
    assert row.keys() == expected.keys()
    for name, value in expected.items():
        alike = value if isinstance(value, str) else pytest.approx(value, rel=1e-9, abs=1e-12)
        assert row[name] == alike, name


@pytest.mark.parametrize("t", [*T, None])
@pytest.mark.parametrize("kind", ["performance", "data"])
def test_a_profile_counts_the_problems_of_its_precision(kind, t):
    """Ties at every limit, dimensions that differ, a problem that nobody solves, each τ alone."""
    x = [1.0, 1.5, 2.0, 3.0, 4.5, 15.0] if kind == "performance" else [0.5, 1.0, 2.0, 3.0, 9.0]
    profile = getattr(MADE_UP, kind)(np.array(x), *[] if t is None else [t])
    at = LAST if t is None else t
    np.testing.assert_array_equal(profile.x, x)
    assert profile.shares.shape == (len(O), len(S), len(x))
    for j, k, (number, factor) in itertools.product(O, S, enumerate(x)):
        solved = 0
        for i, n in itertools.product(P, H):
            measure = min(cost(i, other, k, n, at) for other in O)
            limit = factor * (measure if kind == "performance" else (1, 5, 2)[i] + 1)
            solved += cost(i, j, k, n, at) <= limit and cost(i, j, k, n, at) < np.inf
        assert profile.shares[j, k, number] == pytest.approx(solved / 9, rel=1e-15)


def test_the_runtime_distribution_counts_every_start_and_target():
    profile = MADE_UP.runtime()
    for j, k, (number, limit) in itertools.product(O, S, enumerate(MADE_UP.at)):
        met = sum(run <= limit for run in MADE_UP.runtimes[:, j, k].ravel().tolist())
        assert profile.shares[j, k, number] == pytest.approx(met / (3 * 3 * 4), rel=1e-15)
    np.testing.assert_array_equal(profile.x, MADE_UP.at)


def test_scores_ranks_and_their_order():
    """Ties share the mean of their ranks, and keep the order in which they were named."""
    scores = [[[own_score(i, j, k) for k in S] for j in O] for i in P]
    np.testing.assert_allclose(MADE_UP.scores, scores, rtol=1e-14)
    ranks = [[own_rank(i, j) for j in O] for i in P]
    assert any(x % 1 for row in ranks for x in row)
    np.testing.assert_array_equal(MADE_UP.ranks, ranks)
    best_first = sorted(O, key=lambda j: mean(own_rank(i, j) for i in P))
    assert best_first != [*O]
    assert MADE_UP.order.tolist() == best_first


@pytest.mark.parametrize("t", [*T, None])
def test_shares_of_success_count_starts_and_not_tuning_seeds(t):
    at = LAST if t is None else t
    met = [[[mean(cost(i, j, k, n, at) < np.inf for k in S) for n in H] for j in O] for i in P]
    asked = [] if t is None else [t]
    of_each = np.transpose(MADE_UP.success((-1,), *asked), (1, 2, 0))
    expected = [[own_interval(sum(starts), 3) for starts in row] for row in met]
    np.testing.assert_allclose(of_each, expected, rtol=1e-9, atol=1e-12)
    overall = np.transpose(MADE_UP.success((0, -1), *asked))
    expected = [own_interval(sum(sum(met[i][j]) for i in P), 9) for j in O]
    np.testing.assert_allclose(overall, expected, rtol=1e-9, atol=1e-12)


def test_every_row_of_the_table():
    found = iter(MADE_UP.rows())
    for i, j, t in itertools.product(P, MADE_UP.order.tolist(), T):
        arrived = [[cost(i, j, k, n, t) < np.inf for n in H] for k in S]
        q25, median, q75 = own_quartiles(cost(i, j, k, n, t) for k in S for n in H)
        share, low, high = own_interval(mean(map(sum, arrived)), 3)
        scores = [own_score(i, j, k) for k in S]
        check_row(
            next(found),
            {
                "objective": ("line", "long", "plane")[i], "dim": (1, 5, 2)[i],
                "optimizer": "abcd"[j], "tau": (0.1, 0.01, 0.001)[t],
                "success": share, "success_low": low, "success_high": high,
                "success_worst_seed": min(map(mean, arrived)),
                "success_best_seed": max(map(mean, arrived)),
                "evaluations_q25": q25, "evaluations_median": median, "evaluations_q75": q75,
                "best_value": min(MADE_UP.best[i, j].ravel().tolist()),
                "stuck": mean(MADE_UP.stuck[i, j].ravel().tolist()),
                "score": mean(scores), "score_best_seed": min(scores),
                "score_worst_seed": max(scores), "rank": own_rank(i, j),
                "functions": MADE_UP.functions[i, j], "gradients": MADE_UP.gradients[i, j],
            },
        )  # fmt: skip
    assert next(found, None) is None


def test_every_row_of_the_summary():
    found = MADE_UP.overall()
    assert [row["optimizer"] for row in found] == ["abcd"[j] for j in MADE_UP.order]
    for row, j in zip(found, MADE_UP.order.tolist(), strict=True):
        every = [(i, k, n) for i in P for k in S for n in H]
        met = sum(cost(i, j, k, n, LAST) < np.inf for i, k, n in every) / 2
        by_seed = [mean(own_score(i, j, k) for i in P) for k in S]
        first = sum(own_rank(i, j) == min(own_rank(i, other) for other in O) for i in P)
        expected = {
            "optimizer": "abcd"[j],
            "mean_rank": mean(own_rank(i, j) for i in P), "first": first,
            "success": own_interval(met, 9),
            "evaluations": own_quartiles(cost(i, j, k, n, LAST) for i, k, n in every),
            "score": mean(by_seed), "score_by_seed": by_seed,
            "tuning_evaluations": sum(MADE_UP.tuning[:, j].tolist()),
            "stuck": sum(sum(MADE_UP.stuck[i, j].ravel().tolist()) for i in P),
            "value_at_evaluation_point": "abcd"[j] == "b",
        }  # fmt: skip
        check_row(row, expected)


def test_the_summary_as_text():
    """One objective, two starts, two tuning seeds, one precision; the quartiles are of four."""
    small = MADE_UP._replace(
        objectives=("line",), dims=np.array([1]), optimizers=("slow", "fast", "same"),
        tau=np.array([0.01]), stuck=np.zeros((1, 3, 2, 2), bool), elsewhere=np.zeros(3, bool),
        costs=np.array([[[10.0, np.inf], [20, np.inf]], [[2, 3], [2, 4]], [[5, 5], [5, 5]]])[
            None, ..., None
        ],
        settings={
            "slow": {"rate": np.array([[0.25, 0.125]]), "mass": np.array([[0.5, 0.5]])},
            "fast": {"rate": np.array([[1 / 3, 2e-5]])},
            "same": {},
        },
    )  # fmt: skip
    heads, *rows = [
        [cell for cell in line.split("  ") if cell.strip()] for line in str(small).splitlines()
    ]
    assert [head.strip() for head in heads] == [
        "optimizer", "mean rank", "first", "success", "95 %", "evaluations", "score", "by seed",
        "tuned to",
    ]  # fmt: skip
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["fast", "1.00", "1", "100 %", "34–100", "2, 2, 3", "3", "2–3", "rate 2e-05–0.3333"],
        ["same", "2.00", "0", "100 %", "34–100", "5, 5, 5", "5"],
        ["slow", "3.00", "0", "50 %", "9–91", "10, 20, never", "38", "35–40",
         "rate 0.125–0.25, mass 0.5"],
    ]  # fmt: skip
    assert "stuck" not in str(small)
    slow = small._replace(stuck=np.arange(12).reshape(1, 3, 2, 2) == 1, elsewhere=np.arange(3) == 2)
    heads, *rows, remark = str(slow).splitlines()
    assert [line.split("  ") for line in rows][2][-2:] == ["1 of 4", "rate 0.125–0.25, mass 0.5"]
    assert heads.split()[-3:] == ["stuck", "tuned", "to"]
    assert remark == "same: value at its evaluation point"
    assert "tuned to" not in str(MADE_UP)
    assert "tuned to" in str(MADE_UP._replace(together=True))


# Two bowls of unequal dimension, f = c·(x − m)² + h on domains that are not square: in closed form.
class Bowl:
    def __init__(self, name, curvature, middle, height, domain):
        self.name, self.height, self.domain = name, height, np.array(domain, float)
        self.curvature, self.middle = np.array(curvature), np.array(middle)
        c, m = jnp.asarray(curvature), jnp.asarray(middle)
        self.objective = gdjax.Objective(
            name=name, fn=lambda p: jnp.sum(c * (p - m) ** 2) + height,
            gradient=lambda p: c * (p - m),  # half of it, to see which one is followed
            domain=domain, minima=[middle], fmin=height,
        )  # fmt: skip

    def value(self, point):
        return float((self.curvature * (point - self.middle) ** 2).sum() + self.height)

    def slope(self, point, side):
        return {"autodiff": 2.0, "hand": 1.0}[side] * self.curvature * (point - self.middle)

    def lost(self, point):
        low, high = self.domain.T
        return (abs(point - (low + high) / 2) > 100 * (high - low)).any()


BOWLS = [
    Bowl("long", [1.0, 3.0, 10.0], [0.5, -1.0, 2.0], -2.0, [(-3, 5), (-4, 0), (0, 9)]),
    Bowl("plane", [2.0, 0.5], [1.0, -2.0], 3.0, [(-3, 5), (-10, 0)]),
]
TAU = [1e-3, 0.3, 1e-5]
BUDGET = 30


def own_descent(bowl, side, start, learning_rate, momentum=0.0):
    """The heavy ball's values, until it leaves a hundred widths of the domain."""
    point, velocity, met = start, np.zeros_like(start), []
    while len(met) < BUDGET:
        met.append(bowl.value(point))
        if bowl.lost(point):
            break
        velocity = momentum * velocity - learning_rate * bowl.slope(point, side)
        point = point + velocity
    return met


def own_bfgs(bowl, side, start):
    """What scipy's own BFGS meets, until the budget is spent."""
    met = []

    def both(point):
        if len(met) == BUDGET:
            raise StopIteration
        met.append(bowl.value(point))
        return met[-1], bowl.slope(point, side)

    with contextlib.suppress(StopIteration):
        optimize.minimize(both, start, jac=True, method="BFGS", tol=1e-12)
    return met


def own_costs(bowl, met, tau):
    """The number of the first evaluation that is low enough, for each precision."""
    height = met[0] - bowl.height
    limits = [bowl.height + share * height for share in tau]
    return [next((i for i, v in enumerate(met, 1) if v <= limit), np.inf) for limit in limits]


def own_gaps(bowl, met, at):
    """What is left of f(x₀) − f* after so many evaluations."""
    return [max((min(met[:n]) - bowl.height) / (met[0] - bowl.height), 1e-16) for n in at]


def own_criterion(bowl, runs):
    """Mean penalised cost, and the mean logarithm of what is left, which decides between equals."""
    costs = [min(c, 2 * BUDGET) for met in runs for c in own_costs(bowl, met, TAU)]
    return mean(costs), mean(math.log(own_gaps(bowl, met, [BUDGET])[0]) for met in runs)


SPANS = {
    "learning_rate": lambda unit: 1e-3 * 1e3**unit,  # as the ranges asked for below say
    "momentum": lambda unit: 1 - 0.1**unit,
}
TUNED = {"plain": ("learning_rate",), "ball": ("learning_rate", "momentum"), "lost": (), "bfgs": ()}


@pytest.mark.parametrize(
    ("side", "together", "blocks"),
    [("autodiff", False, False), ("hand", True, True)],
)
def test_a_ranking_worked_out_again(side, together, blocks, monkeypatch, capfd):
    """Draws, tuning, scoring and counts by plain loops over NumPy's own descents."""
    if blocks:
        in_many_blocks(monkeypatch)
    trials, seeds, starts, held_out = 7, 3, 2, 5
    found = rank(
        [bowl.objective for bowl in BOWLS],
        {
            "plain": gdjax.gradient_descent(0.1), "ball": gdjax.heavy_ball(0.1, 0.9),
            "lost": gdjax.gradient_descent(1.7), "bfgs": "scipy.bfgs",
        },
        budget=BUDGET, trials=trials, starts=starts, held_out=held_out, seeds=seeds, seed=4,
        tau=TAU, together=together, gradient=side, progress=blocks,
        ranges={
            "learning_rate": (1e-3, 1.0), "lost.learning_rate": None,
            "momentum": {"low": 0, "high": 0.9, "scale": "share"},
        },
    )  # fmt: skip
    shown = capfd.readouterr().err
    assert "100%|" in shown and " 8 of 8 pairs" in shown if blocks else "pairs" not in shown
    assert (found.objectives, found.optimizers) == (("long", "plane"), tuple(TUNED))
    assert (found.dims.tolist(), found.fmin.tolist()) == ([3, 2], [-2.0, 3.0])
    assert found.known.all()
    assert found.tau.tolist() == [0.3, 1e-3, 1e-5]
    assert (found.budget, found.allotted, found.together) == (BUDGET, 3 * 7 * 2 * 30, together)
    assert found.at.tolist() == [*range(1, BUDGET + 1)]

    for j, (label, names) in enumerate(TUNED.items()):
        drawn = as_drawn(names, SPANS, trials, seeds, 4)
        spent = np.zeros(len(BOWLS), int)
        criteria = np.zeros((len(BOWLS), seeds, trials, 2))
        for i, k, trial in itertools.product(range(2), range(seeds), range(trials if names else 0)):
            numbers = {name: drawn[k][name][trial] for name in names}
            points = found.tuning_starts[BOWLS[i].name][k]
            assert points.shape == (starts, len(BOWLS[i].middle))
            runs = [own_descent(BOWLS[i], side, point, **numbers) for point in points]
            criteria[i, k, trial] = own_criterion(BOWLS[i], runs)
            spent[i] += sum(map(len, runs))
        assert found.tuning[:, j].tolist() == spent.tolist()
        if together:
            criteria[:] = criteria.mean(axis=0)
        assert found.settings[label].keys() == set(names)
        for i, bowl in enumerate(BOWLS):
            runs = np.empty((seeds, held_out), object)
            for k, (n, point) in itertools.product(
                range(seeds), enumerate(found.held_out[bowl.name])
            ):
                best = min(range(trials), key=lambda trial: tuple(criteria[i, k, trial]))
                numbers = {name: drawn[k][name][best] for name in names}
                for name in names:
                    assert found.settings[label][name][i, k] == pytest.approx(numbers[name])
                if label == "bfgs":
                    runs[k, n] = own_bfgs(bowl, side, point)
                else:
                    numbers = numbers or {"learning_rate": 1.7}
                    runs[k, n] = own_descent(bowl, side, point, **numbers)
                met = runs[k, n]
                assert found.costs[i, j, k, n].tolist() == own_costs(bowl, met, found.tau)
                assert found.runtimes[i, j, k, n].tolist() == own_costs(bowl, met, found.targets)
                assert found.best[i, j, k, n] == pytest.approx(min(met), abs=1e-12)
            left = np.sort([own_gaps(bowl, met, found.at) for met in runs.ravel()], axis=0)
            ranks = [math.ceil(q * len(left)) - 1 for q in (0.25, 0.5, 0.75)]
            np.testing.assert_allclose(found.gaps[i, j], left[ranks], rtol=1e-6, atol=1e-13)
            slack = 2 if label == "bfgs" else 0  # rounding decides on its last steps
            for counted in (found.functions, found.gradients):
                assert counted[i, j] == pytest.approx(mean(map(len, runs.ravel())), abs=slack)
    assert found.functions[0, 2] < BUDGET  # one that is lost costs no more than that


def test_a_line_search_is_charged_for_every_evaluation():
    """Two settings from two starts, each counted by a function that notes every call."""
    f = objectives.get("rosenbrock")
    found = rank(
        f, {"search": optimizers.get("lbfgs", learning_rate=1.0)}, budget=25, trials=2, starts=2,
        held_out=2, seeds=2, tau=[0.5, 1e-2], ranges={"learning_rate": (0.3, 1.0)},
    )  # fmt: skip
    values = []

    def noted(point):
        value = f.fn(point)
        jax.debug.callback(lambda v: values.append(float(v)), value)
        return value

    @jax.jit
    def step(point, state, rate):
        made = optax.lbfgs(rate)
        value, slope = jax.value_and_grad(f.fn)(point)
        extra = {"value": value, "grad": slope, "value_fn": noted}
        update, state = made.update(slope, state, point, **extra)
        return point + update, state, value

    costs = set()
    for k, n in itertools.product(range(2), range(2)):
        with jax.enable_x64(True):
            point = jnp.asarray(found.held_out["rosenbrock"][n])
            state, met = optax.lbfgs(1.0).init(point), []
            rate = float(found.settings["search"]["learning_rate"][0, k])
            while len(met) < 25:
                values.clear()
                point, state, value = jax.block_until_ready(step(point, state, rate))
                jax.effects_barrier()
                costs.add(len(values))
                # A value is known to the search as its last evaluation, which the next step uses.
                met += [float(value), *[np.inf] * (len(values) - 1)]
        for arrived, shares in ((found.costs, found.tau), (found.runtimes, found.targets)):
            expected = [
                next((i for i, v in enumerate(met[:25], 1) if v <= share * met[0]), np.inf)
                for share in shares
            ]
            assert arrived[0, 0, k, n].tolist() == expected
        assert found.best[0, 0, k, n] == pytest.approx(min(met[:25]), rel=1e-6)
    assert max(costs) > 1
    assert found.functions[0, 0] == found.gradients[0, 0] == 25
    assert found.tuning[0, 0] == found.allotted == 2 * 2 * 2 * 25


def test_starts_to_tune_and_to_score_on_are_apart_and_follow_the_seed():
    few = {"budget": 3, "trials": 2, "starts": 3, "held_out": 5, "seeds": 2}
    bowl = BOWLS[1]
    found, again, other = (
        rank(bowl.objective, [gdjax.gradient_descent], **few, **seed)
        for seed in ({}, {"seed": 0}, {"seed": 1})
    )
    held, tuning = found.held_out["plane"], found.tuning_starts["plane"]
    assert (held.shape, tuning.shape) == ((5, 2), (2, 3, 2))
    points = np.concatenate([held, *tuning])
    assert len(np.unique(points)) == points.size
    low, high = bowl.domain.T
    assert ((points >= low) & (points <= high)).all()
    np.testing.assert_array_equal(again.costs, found.costs)
    np.testing.assert_array_equal(again.held_out["plane"], held)
    for mine, its in (
        (found.held_out["plane"], other.held_out["plane"]),
        (found.tuning_starts["plane"], other.tuning_starts["plane"]),
        (found.settings["gradient_descent"]["learning_rate"],
         other.settings["gradient_descent"]["learning_rate"]),
    ):  # fmt: skip
        assert not np.isin(its, mine).any()


def test_a_value_that_just_meets_its_target_has_met_it():
    """A step of 1/4 on x² halves x, and so takes the value to exactly a quarter."""
    f = gdjax.Objective(name="square", fn=lambda p: p[0] ** 2, domain=[(-3, 3)], minima=[(0,)],
                        fmin=0.0)  # fmt: skip
    found = rank(
        f, [gdjax.gradient_descent(0.25)], budget=5, trials=1, starts=1, seeds=1,
        tau=[1 / 4, 1 / 16, 1 / 64], ranges={"learning_rate": None},
    )  # fmt: skip
    np.testing.assert_array_equal(found.costs[0, 0, 0], [[2, 3, 4]] * 16)


def test_of_settings_that_all_fail_the_one_that_comes_lowest_is_chosen():
    """So slow that none arrives in three evaluations: then the fastest is the best."""
    found = rank(
        BOWLS[1].objective, [gdjax.gradient_descent], budget=3, trials=9, starts=2, held_out=1,
        seeds=4, seed=2, tau=[1e-6], ranges={"learning_rate": (1e-4, 1e-2)},
    )  # fmt: skip
    drawn = as_drawn(["learning_rate"], {"learning_rate": lambda u: 1e-4 * 100**u}, 9, 4, 2)
    np.testing.assert_allclose(
        found.settings["gradient_descent"]["learning_rate"][0],
        [max(row["learning_rate"]) for row in drawn],
    )


def test_what_is_below_the_least_value_that_is_known_leaves_a_gap_that_a_logarithm_can_show():
    f = gdjax.Objective(
        name="lower", fn=lambda p: jnp.sum(p**2), domain=[(-3, 3)], minima=[(0.5,)], fmin=0.25
    )
    found = rank(f, "scipy.bfgs", budget=9, starts=1, held_out=3, seeds=1)
    assert (found.best < 0.25).all()
    np.testing.assert_array_equal(found.gaps[0, 0, :, -1], 1e-16)


def test_how_much_is_spent_where_nothing_is_said():
    found = rank(BOWLS[1].objective, "scipy.bfgs")
    assert found.costs.shape == (1, 1, 5, 16, 3)
    assert found.tuning_starts["plane"].shape == (5, 8, 2)
    assert found.allotted == 5 * 32 * 8 * 1000
    assert found.tau.tolist() == [1e-1, 1e-3, 1e-5]
    assert (found.together, found.budget) == (False, 1000)


@pytest.mark.parametrize("optimizer", ["scipy.bfgs", "gradient_descent", "lbfgs"])
def test_a_ranking_descends_in_the_precision_asked_for(optimizer):
    few = {"budget": 4, "trials": 1, "starts": 1, "held_out": 2, "seeds": 1}
    for dtype in ("float32", "float64"):
        best = rank(BOWLS[1].objective, optimizer, **few, dtype=dtype).best
        assert (best == best.astype(np.float32)).all() == (dtype == "float32")


@pytest.mark.full
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


def test_an_unknown_minimum_is_the_lowest_value_that_is_found():
    f = gdjax.Objective(name="mine", fn=lambda p: jnp.sum((p - 1) ** 2) + 7, domain=[(-3, 3)] * 2)
    found = rank(f, ["gradient_descent"], **QUICK)
    assert not found.known[0]
    assert found.fmin[0] == pytest.approx(7, abs=1e-9)
    assert np.isfinite(found.costs).all()


def test_an_objective_that_falls_for_ever_is_refused():
    f = gdjax.Objective(name="slope", fn=lambda p: jnp.sum(p**3), domain=[(-3, 3)] * 2)
    with pytest.raises(gdjax.ArgumentError, match="seems to be unbounded below"):
        rank(f, ["gradient_descent"], **QUICK)


def test_starts_are_drawn_where_the_objective_is_finite():
    def fn(p):
        return jnp.where(p[0] > 1, jnp.nan, jnp.sum(p**2))  # from 2/3 of the domain on

    few = {"budget": 2, "trials": 1, "starts": 3, "held_out": 8, "seeds": 2}
    f = gdjax.Objective(name="half", fn=fn, domain=[(-3, 3)] * 2, minima=[(0, 0)], fmin=0.0)
    found = rank(f, ["gradient_descent"], **few)
    for points in (found.held_out["half"], *found.tuning_starts["half"]):
        assert (points[:, 0] <= 1).all()
    g = gdjax.Objective(name="bad", fn=fn, domain=[(0.9, 3)] * 2, minima=[(1, 1)], fmin=0.0)
    with pytest.raises(gdjax.ArgumentError, match="bad must be finite at most of its starts"):
        rank(g, ["gradient_descent"], **few)


@pytest.mark.parametrize("method", external.SCIPY)
@pytest.mark.filterwarnings("ignore::scipy.optimize.OptimizeWarning")
def test_scipy_is_charged_for_what_it_evaluates(method):
    """Held against scipy on a function that notes its calls, with and without enough budget."""
    f, start, met = objectives.get("rosenbrock"), np.array([[-1.2, 1.0], [1.5, 2.0]]), []
    alone = method in ("nelder_mead", "powell", "cobyla")  # those that take no gradient
    budget = 50
    fn = jax.jit(f.fn if alone else jax.value_and_grad(f.fn))

    def noted(point):
        found = fn(jnp.asarray(point))
        met.append(float(found if alone else found[0]))
        return met[-1] if alone else (met[-1], np.asarray(found[1]))

    found = external.run(external.get(f"scipy.{method}"), f, start, budget)
    named = "L-BFGS-B" if method == "l_bfgs_b" else method.replace("_", "-")
    for i, point in enumerate(start):
        met.clear()
        with jax.enable_x64(True):
            options = {"maxiter": budget}
            optimize.minimize(noted, point, jac=not alone, tol=1e-12, method=named, options=options)
        own = (met + [met[-1]] * budget)[:budget]
        np.testing.assert_allclose(found.values[i], own, rtol=1e-7, atol=1e-12)
        assert found.functions[i] == min(len(met), budget)
        assert found.gradients[i] == (0 if alone else found.functions[i])


@pytest.mark.parametrize("method", ["bfgs", "nelder_mead"])
def test_optimistix_is_charged_for_what_it_evaluates(method):
    library = pytest.importorskip("optimistix")
    f, start = objectives.get("booth"), np.array([[5.0, 5.0]])
    found = external.run(external.get(f"optimistix.{method}"), f, start, budget=300)
    assert found.values.min() == pytest.approx(0, abs=1e-9)
    if method == "nelder_mead":
        assert found.gradients[0] == 0
        return
    with jax.enable_x64(True):
        solver = library.BFGS(rtol=external.TOLERANCE, atol=external.TOLERANCE)
        own = library.minimise(lambda p, _: f.fn(p), solver, jnp.asarray(start[0]), max_steps=300)
    assert found.functions[0] == own.stats["num_steps"]
    assert 0 < found.gradients[0] < found.functions[0]


def test_without_optimistix_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optimistix", None)
    with pytest.raises(gdjax.ArgumentError, match=r"pip install 'gdjax\[rivals\]'"):
        rank("booth", ["optimistix.bfgs"])


HALVING = {"schedule": "exponential_decay", "init_value": 0.05, "transition_steps": 9}
# What theory says of each, at curvatures 2 and 10: roots of z² − (1 + μ − αλ) z + μ for the heavy
# ball, and of z² − (1 + μ)(1 − αλ) z + μ (1 − αλ) for Nesterov; None where it says nothing.
THEORY = {
    "gd": (gdjax.gradient_descent(0.05), lambda s: [1, s - 1]),
    "ball": (gdjax.heavy_ball(0.05, 0.3), lambda s: [1, s - 1.3, 0.3]),
    "nesterov": (gdjax.nesterov(0.05, 0.3), lambda s: [1, -1.3 * (1 - s), 0.3 * (1 - s)]),
    "sgd": (optimizers.get("sgd", learning_rate=0.02), lambda s: [1, s - 1]),
    "sgd, ball": (
        optimizers.get("sgd", learning_rate=0.05, momentum=0.3), lambda s: [1, s - 1.3, 0.3]
    ),
    "sgd, nesterov": (
        optimizers.get("sgd", learning_rate=0.05, momentum=0.3, nesterov=True),
        lambda s: [1, -1.3 * (1 - s), 0.3 * (1 - s)],
    ),
    "sgd, halving": (optimizers.get("sgd", learning_rate=HALVING | {"decay_rate": 0.5}), None),
    "sgd, float16": (
        optimizers.get("sgd", learning_rate=0.05, momentum=0.3, accumulator_dtype="float16"), None
    ),
    "adam": (optimizers.get("adam", learning_rate=0.01), None),
    "clipped": (
        optimizers.chain(
            gdjax.gradient_descent(0.05), clip=optimizers.transform("clip", max_delta=1e9)
        ),
        None,
    ),
    "bare": (optax.sgd(0.05), None),
}  # fmt: skip
ROUND = Bowl("round", [1.0, 5.0], [1.0, -2.0], 3.0, [(-3, 5), (-10, 0)])


def test_rates_are_predicted_for_what_theory_covers():
    """Descents that begin at the minimum are there at once, and show no rate of their own."""
    found = gdjax.compare(
        ROUND.objective, {name: made for name, (made, _) in THEORY.items()}, (1.0, -2.0), 1
    )
    lines = str(found).splitlines()
    for line, (name, (made, polynomial)) in zip(lines[1:], THEORY.items(), strict=True):
        rate, measured = found.rates[name]
        assert measured is None
        if polynomial is None:
            assert rate is None
            assert line.split()[-2:] == ["n/a", "n/a"]
        else:
            alpha = float(made.hyperparameters["learning_rate"])
            expected = max(abs(np.roots(polynomial(alpha * c))).max() for c in (2, 10))
            assert rate == pytest.approx(expected, rel=1e-6)
            assert line.split()[-2:] == [f"{expected:.5f}", "n/a"]


@pytest.mark.parametrize("side", ["autodiff", "hand"])
def test_a_comparison_descends_from_the_start_with_the_gradient_asked_for(side):
    made = {"gd": gdjax.gradient_descent(0.05), "ball": gdjax.heavy_ball(0.05, 0.3)}
    found = gdjax.compare(ROUND.objective, made, (4.0, -1.0), 400, gradient=side, dtype="float64")
    assert found.objective is ROUND.objective
    for label, momentum in {"gd": 0.0, "ball": 0.3}.items():
        start = np.array([4.0, -1.0])
        own = own_descent(ROUND, side, start, 0.05, momentum)
        np.testing.assert_allclose(found.paths[label].values[:BUDGET], own, rtol=1e-12)
        factor = 0.05 * (2 if side == "autodiff" else 1)
        roots = [abs(np.roots([1, factor * c - 1 - momentum, momentum])).max() for c in (1, 5)]
        assert found.rates[label].measured == pytest.approx(max(roots), rel=5e-3)
    row = str(found).splitlines()[1]
    assert row.split()[:3] == ["gd", "converged", "3"]


def test_of_a_lost_descent_the_last_finite_value_is_shown():
    found = gdjax.compare(
        ROUND.objective, {"gd": gdjax.gradient_descent(9.0)}, (4.0, -1.0), 300, dtype="float64"
    )
    values = np.asarray(found.paths["gd"].values)
    last = values[np.isfinite(values)][-1]
    assert not np.isfinite(values[-1])
    assert f"{last:.6g}" in str(found)
    assert found.rates["gd"] == (None, None)


def bounds(*args):
    return ranges.as_range("x", *args)


@pytest.mark.parametrize(
    ("given", "expected"),  # at none, a quarter, half and all of the way
    [
        ((2.0, 6.0, "linear"), [2, 3, 4, 6]),
        ((1e-4, 1.0), [1e-4, 1e-3, 1e-2, 1]),  # the log scale, where none is named
        ({"low": "1e-2", "high": 100}, [1e-2, 1e-1, 1, 100]),
        ((0.0, 0.9999, "share"), [0, 0.9, 0.99, 0.9999]),
        ([0.5, 0.99995, "share"], [0.5, 0.95, 0.995, 0.99995]),
        (ranges.Range(-1.0, 1.0, "linear"), [-1, -0.5, 0, 1]),
    ],
)
def test_settings_are_drawn_evenly_on_the_scale_of_their_range(given, expected):
    at = bounds(given).at(np.array([0, 0.25, 0.5, 1]))
    np.testing.assert_allclose(at, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((0.1, 0.1), "finite with low < high"),
        ((0.1, np.inf), "finite with low < high"),
        ((-np.inf, 1.0, "linear"), "finite with low < high"),
        ((np.nan, 1.0), "finite with low < high"),
        ((0.0, 1.0), "above 0 on the log scale"),
        ((0.0, 1.0, "share"), "below 1 on the share scale"),
        ((0.1, 1.0, "lin"), "unknown scale of x 'lin'; did you mean 'linear'"),
        (("a", 1.0), "must be numbers"),
        ((None, 1.0), "must be numbers"),
        ((0.1,), "must have low and high"),
        ((0.1, 1.0, "log", 3), "must have low and high"),
        ({"low": 0.1}, "must have low and high"),
        ({"low": 0.1, "high": 1, "top": 2}, "must have low and high"),
        (0.1, "must have low and high"),
    ],
)
def test_a_bad_range_says_what_is_wrong(given, message):
    with pytest.raises(gdjax.ArgumentError, match=message):
        bounds(given)


def chosen(entrants, **given):
    """What is tuned of each: ``(low, high, scale)`` by label and name."""
    found = ranges.chosen_ranges(entrants, given)
    return {label: {k: tuple(v) for k, v in one.items()} for label, one in found.items()}


def test_learning_rates_and_shares_are_tuned_and_what_a_user_asks_for():
    rate, schedule = (1e-5, 10.0, "log"), HALVING | {"decay_rate": 0.5}
    entrants = {
        "ball": gdjax.heavy_ball(0.1, 0.8),
        "adam": optimizers.get("adam", learning_rate=0.1, b1=0.5),
        "halving": optimizers.get("sgd", learning_rate=schedule, momentum=0.0),
    }
    adam = {"learning_rate": rate, "b1": (0, 0.95, "share"), "b2": (0, 0.9999, "share")}
    ball = {"learning_rate": rate, "momentum": (0, 0.98, "share")}
    assert chosen(entrants) == {"ball": ball, "adam": adam, "halving": {}}
    new = (0.1, 0.2, "linear")
    alike = {name: entrants[name] for name in ("ball", "adam")}
    assert chosen(alike, learning_rate=new, b2=None) == {
        "ball": ball | {"learning_rate": new},
        "adam": {"learning_rate": new, "b1": (0, 0.95, "share")},
    }
    given = {"adam.eps": (1e-9, 1e-3), "ball.momentum": None, "learning_rate.init_value": new}
    assert chosen(entrants, **given) == {
        "ball": {"learning_rate": rate},
        "adam": adam | {"eps": (1e-9, 1e-3, "log")},
        "halving": {"learning_rate.init_value": new},
    }


def labels(given):
    """Under which names objectives, or else optimizers, take part."""
    from gdjax.comparison.entrants import as_entrants, as_objectives

    kind, items = given
    return list({"objectives": as_objectives, "optimizers": as_entrants}[kind](items))


ADAM = {"name": "adam", "learning_rate": 0.1, "b1": 0.8}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("objectives", "booth"), ["booth"]),
        (("objectives", ["booth", {"name": "sphere", "dim": 3}]), ["booth", "sphere"]),
        (("objectives", [{"name": "sphere", "dim": n} for n in (3, 5)]), ["sphere", "sphere (5)"]),
        (("objectives", [BOWLS[0].objective, "booth"]), ["long", "booth"]),
        (("optimizers", "adam"), ["adam"]),
        (("optimizers", [optax.adam, gdjax.heavy_ball(0.1)]), ["adam", "heavy_ball"]),
        (
            ("optimizers", ["scipy.cg", external.ExternalSolver("scipy", "bfgs")]),
            ["scipy.cg", "scipy.bfgs"],
        ),
        (("optimizers", ADAM), ["adam"]),
        (("optimizers", {"mine": ADAM, 2: "scipy.cg"}), ["mine", "2"]),
        (
            ("optimizers", [gdjax.heavy_ball(0.1), gdjax.heavy_ball(0.2)]),
            ["heavy_ball", "heavy_ball(learning_rate=0.2, momentum=0.9)"],
        ),
    ],
)
def test_who_takes_part_and_under_which_name(given, expected):
    assert labels(given) == expected


def test_families_and_all_are_the_objectives_with_a_least_value():
    ranked = {n for n in objectives.names() if objectives.get(n).fmin is not None}
    assert ranked < set(objectives.names())
    assert set(labels(("objectives", "all"))) == ranked
    for family in {objectives.family(name) for name in ranked}:
        expected = {name for name in ranked if objectives.family(name) == family}
        assert set(labels(("objectives", family))) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rank("booth", ["adma"]), "unknown optimizer 'adma'; did you mean .*'adam'"),
        (lambda: rank("booth", ["scipy.bgfs"]), "unknown external solver 'scipy.bgfs'; did"),
        (
            lambda: rank("booth", {"a": {"name": "scipy.bfgs", "tol": 1}}),
            "scipy.bfgs has nothing to set, got tol",
        ),
        (lambda: rank("boot", ["adam"]), "unknown objective 'boot'; did you mean 'booth'"),
        (lambda: rank("saddle", ["adam"]), "saddle must have a least value to rank by"),
        (lambda: rank("saddles", ["adam"]), "must have a least value to rank by, saddles have"),
        (lambda: rank(["booth", "booth"], ["adam"]), "named once each"),
        (lambda: rank([BOWLS[0].objective] * 2, ["adam"]), "named once each"),
        (lambda: rank([], ["adam"]), "objectives must hold at least one"),
        (lambda: rank([{"dim": 3}], ["adam"]), "given by a mapping need a name"),
        (lambda: rank("booth", ["adam", "adam"]), "must differ or have labels"),
        (  # a learning rate that must be given and is not is 0.1
            lambda: rank("booth", ["adam", {"name": "adam", "learning_rate": 0.1}]),
            "must differ or have labels",
        ),
        (lambda: rank("booth", ["scipy.cg", "scipy.cg"]), "must differ or have labels"),
        (lambda: rank("booth", []), "optimizers must hold at least one"),
        (
            lambda: rank("booth", [{"name": "adam", "momentum": 0.9}]),
            "unknown hyperparameter of adam 'momentum'; choose from learning_rate, b1, b2",
        ),
        (lambda: rank("booth", ["adam"], ranges={"momentum": (0, 0.9)}), "hyperparameter to tune"),
        (
            lambda: rank("booth", ["adam"], ranges={"nesterov": (0, 1, "linear")}),
            "nesterov of adam cannot be tuned.*those that can are b1, b2, eps, eps_root, lear",
        ),
        (lambda: rank("booth", ["adam"], ranges={"adam.b5": (0.1, 1)}), "b5.*it has b1, b2"),
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
        *[
            (lambda tau=tau: rank("booth", ["adam"], tau=tau), "tau must")
            for tau in ([2.0], [1.0], [0.0], [], ["a"], [0.1, -0.1], [np.nan])
        ],
        *[
            (
                lambda name=name, low=low: rank("booth", ["adam"], **{name: low - 1}),
                f"{name} must be a whole number, at least {low}",
            )
            for name, low in {
                "budget": 2, "trials": 1, "starts": 1, "held_out": 1, "seeds": 1, "seed": 0,
            }.items()
        ],
        (lambda: rank("booth", ["adam"], dtype="float16"), "unknown dtype 'float16'"),
        (
            lambda: rank(BOWLS[1].objective, ["adam"], gradient="hnd"),
            "unknown gradient 'hnd'; did you mean 'hand'",
        ),
        (lambda: gdjax.compare(objectives.get("booth"), {}), "optimizers must hold at least one"),
    ],
)  # fmt: skip
def test_bad_calls_say_what_is_wrong(untyped, call, message):
    with pytest.raises(gdjax.ArgumentError, match=message):
        call()


def test_pictures_show_the_ranking_in_the_colours_of_the_optimizers():
    """What the lines show is counted again from the raw costs."""
    colours = plotting.style.colours(MADE_UP.optimizers)
    figure = plotting.performance_profiles(MADE_UP)
    for t, ax in enumerate(figure.axes):
        for j, line in enumerate(ax.get_lines()[: len(O)]):
            for factor, share in zip(*line.get_data(), strict=True):
                solved = sum(
                    cost(i, j, k, n, t) < np.inf
                    and cost(i, j, k, n, t) <= factor * min(cost(i, o, k, n, t) for o in O)
                    for i in P for k in S for n in H
                )  # fmt: skip
                assert share == pytest.approx(solved / 18)
            assert line.get_color() == colours["abcd"[j]]
    order = MADE_UP.order.tolist()
    shown = [text.get_text() for text in plotting.rank_table(MADE_UP).axes[0].texts]
    assert shown[:4] == [f"{mean(own_rank(i, j) for i in P):.1f}" for j in order]
    assert shown[4:8] == [f"{own_rank(0, j):g}" for j in order]
    bands = plotting.convergence_bands(MADE_UP, ["plane"]).axes[0]
    np.testing.assert_array_equal(bands.get_lines()[1].get_ydata(), MADE_UP.gaps[2, 1, 1])
    assert len(bands.collections) == len(O)
    runtime = plotting.runtime_ecdf(MADE_UP).axes[0].get_lines()[3].get_ydata()
    assert runtime[-1] == pytest.approx(np.isfinite(MADE_UP.runtimes[:, 3]).mean())
    for t, ax in enumerate(plotting.data_profiles(MADE_UP).axes):
        for j, line in enumerate(ax.get_lines()[: len(O)]):
            for budget, share in zip(*line.get_data(), strict=True):
                solved = sum(
                    cost(i, j, k, n, t) < np.inf
                    and cost(i, j, k, n, t) <= budget * ((1, 5, 2)[i] + 1)
                    for i in P for k in S for n in H
                )  # fmt: skip
                assert share == pytest.approx(solved / 18)
