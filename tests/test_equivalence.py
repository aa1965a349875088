"""Equivalence: one method in two conventions, at the limit of roundings and beyond it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax
from gdjax import objectives, optimizers
from gdjax.optimizers import momentum
from gdjax.optimizers.optimizer import own
from gdjax.starts import given_or_drawn

QFSP = objectives.get("qfsp")


def sgd(rate=0.05, **given):
    return optimizers.get("sgd", learning_rate=rate, **{"momentum": 0.9} | given)


def plain(update, *leaves):
    """A raw optax transformation of plain arrays: (gradient, leaves) → update, new leaves."""
    return optax.GradientTransformation(
        lambda p: tuple(jnp.zeros_like(p) for _ in leaves),
        lambda g, s, p=None: update(g, s),
    )


# A slope that is 1 everywhere, so that from 0 a step is −1 and a unit in its last place is eps.
FLAT = gdjax.Objective(
    name="flat", fn=lambda p: p[0] + p[1], domain=[(-4, 4), (-256, 256)], start=(0.0, 0.0)
)
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def two(k, dtype):
    """(1, 1 + k ulps): the second component alone is off, which no learning rate mends."""
    return jnp.asarray([1.0, 1.0 + k * EPS[dtype]], dtype)


def compared(a, b, **options):
    options = {"starts": 1, "steps": 1, "schedule": False} | options
    (trial,) = gdjax.certify_equivalence(a, b, FLAT, **options).trials
    return trial


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize(("ulps", "same"), [(0, True), (8, True), (9, False)])
def test_a_next_point_may_be_off_by_eight_ulps(dtype, ulps, same):
    a = plain(lambda g, s: (-g, s))
    b = plain(lambda g, s: (-g * two(ulps, dtype), s))
    trial = compared(a, b, dtype=dtype)
    assert (trial.ulps, trial.carried, trial.same) == (ulps, 0, same)
    assert trial.verdict == ("same method" if same else "different")
    assert (trial.forced, trial.factor, trial.steps) == ("state", 1, 1)
    assert trial.where == (0, 1, 1 if ulps else 0)
    if not same:
        assert trial.reason == "they weigh a new gradient differently against the past"


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize(("ulps", "same"), [(8, True), (9, False)])
def test_a_carried_step_may_be_off_by_eight_ulps(dtype, ulps, same):
    a = plain(lambda g, s: (-g - s[0], (g,)), 1)
    b = plain(lambda g, s: (-g - s[0], (g * two(ulps, dtype),)), 1)
    trial = compared(a, b, dtype=dtype)
    assert (trial.ulps, trial.carried, trial.same) == (0, ulps, same)


@pytest.mark.parametrize(("ulps", "same"), [(64, True), (65, False)])
def test_where_only_the_history_is_the_same_roundings_may_add_up_to_sixty_four(ulps, same):
    # two memories, which no conversion is known for
    a = plain(lambda g, s: (-g, (s[0] + g, s[1] - g)), 1, 1)
    b = plain(lambda g, s: (-g * two(ulps, "float64"), (s[0] + g, s[1] - g)), 1, 1)
    trial = compared(a, b)
    assert (trial.ulps, trial.forced, trial.same) == (ulps, "history", same)
    assert (trial.verdict, trial.reason) == ("same method" if same else "different", "")
    assert compared(a, a).ulps == 0


def test_the_place_of_the_largest_difference_is_its_start_step_and_component():
    def late(state):  # two steps in, and back again
        return jnp.where(state == 1, two(4, "float64"), 1.0)

    counting = optax.GradientTransformation(
        lambda p: jnp.zeros((), int), lambda g, s, p=None: (-g * late(s), s + 1)
    )
    trial = compared(plain(lambda g, s: (-g, s)), counting, steps=4, starts=[(900, 900), (0, 1)])
    assert trial.where == (1, 2, 1)
    assert trial.ulps == 4


def test_free_runs_drift_in_widths_of_the_domain():
    a = plain(lambda g, s: (-g, s))
    for off, far in (([1.0, 3.0], 2.0), ([1.5, 3.0], 1.0)):  # free runs have a's learning rate
        b = plain(lambda g, s, off=off: (-g * jnp.array(off), s))
        share = far / 512
        for tolerance, step in ((3.5 * share, 4), (3 * share, 4), (2.9 * share, 3), (1.0, -1)):
            trial = compared(a, b, steps=5, tolerance=tolerance)
            assert trial.drift == pytest.approx(5 * share)
            assert trial.drift_step == step
            assert trial.parting == ("together" if step < 0 else f"apart at step {step}")


def test_the_narrow_component_counts_where_it_drifts_farther_in_its_own_width():
    wide = gdjax.Objective(name="f", fn=lambda p: p[0] + p[1], domain=[(0, 100), (0, 1)])
    a = plain(lambda g, s: (-g, s))
    b = plain(lambda g, s: (-g * jnp.array([1.0, 1.25]), s))
    (trial,) = gdjax.certify_equivalence(a, b, wide, 1, 4, tolerance=0.5, schedule=False).trials
    assert trial.drift == pytest.approx(1.0)
    assert trial.drift_step == 3  # 0.5 after two steps is not beyond


ball, ahead, book = gdjax.heavy_ball(0.05), gdjax.nesterov(0.05), optimizers.nesterov_textbook(0.05)
EMA = optax.chain(optax.ema(0.9, debias=False), optax.scale(-0.5))
SAM = optax.contrib.sam(optax.sgd(0.05), optax.sgd(0.1))  # asks for gradients elsewhere
average = optimizers.averaged_momentum(0.05)
SAME, OTHER = "same method", "same method, other convention: "
UNITS = OTHER + "a remembers steps, b gradients"
PAIRS = {
    "heavy ball": (ball, sgd(), UNITS, True),
    "heavy ball, the other way": (sgd(), ball, OTHER + "a remembers gradients, b steps", True),
    "heavy ball, raw optax": (ball, optax.sgd(0.05, momentum=0.9), UNITS, None),
    "nesterov": (ahead, sgd(nesterov=True), UNITS, True),
    "average": (ball, average, OTHER + "learning rate × (1 − β)", True),
    "average, the other way": (
        optimizers.averaged_momentum(0.05, 0.6), gdjax.heavy_ball(0.05, 0.6),
        OTHER + "learning rate × 1/(1 − β)", True,
    ),
    "average, as fast": (ball, EMA, OTHER + "a remembers steps, b averaged gradients", None),
    "textbook": (ahead, book, OTHER + "a visits the look-ahead points x + μ v of b", False),
    "textbook first": (book, ahead, OTHER + "b visits the look-ahead points x + μ v of a", False),
    "textbook in gradients": (
        book, sgd(nesterov=True),
        UNITS + "; b visits the look-ahead points x + μ v of a", True,
    ),
    "textbook twice": (book, optimizers.nesterov_textbook(0.05), SAME, False),
    "rate": (ball, gdjax.heavy_ball(0.1), OTHER + "learning rate × 2", False),
    "plain": (gdjax.gradient_descent(0.05), sgd(momentum=None), SAME, False),
    "no momentum": (gdjax.gradient_descent(0.05), gdjax.heavy_ball(0.05, 0.0), SAME, False),
    "around": (SAM, SAM, SAME, None),
    "history": (optax.nadam(0.05), optax.adam(0.05, nesterov=True), SAME, None),
}  # fmt: skip
SINGLE = "heavy ball", "average", "textbook", "history"


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, "float64") for name in PAIRS] + [(name, "float32") for name in SINGLE],
)
def test_one_method_in_two_conventions_is_found_out(name, dtype):
    a, b, words, parts = PAIRS[name]
    report = gdjax.certify_equivalence(a, b, QFSP, 2, 30, dtype=dtype)
    first = report.trials[0]
    assert report.same
    assert report.verdict.partition("; different under")[0] == first.verdict == words
    assert first.ulps <= 3
    assert first.carried <= 3
    assert (first.drift_step, first.steps, first.reason) == (-1, 60, "")
    assert first.forced == ("history" if name in ("history", "around") else "state")
    if parts is None:  # there is no learning rate to put a schedule into
        assert len(report.trials) == 1
        return
    assert [trial.rate for trial in report.trials] == ["as given", "decaying"]
    assert report.verdict == words + "; different under a schedule" * parts
    assert report.trials[1].same != parts
    if parts:
        reason = "the schedule changes what the past is worth: a remembers "
        assert report.trials[1].reason.startswith(reason)
        assert report.trials[1].drift_step > 0


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        (ball, ahead, "they weigh a new gradient differently against the past"),
        (ball, sgd(momentum=0.8), "a keeps 0.9 of its memory a step, b 0.8"),
        (ball, gdjax.heavy_ball(0.05, 0.9 * (1 + 1e-13)), ""),
        (
            gdjax.gradient_descent(optax.piecewise_constant_schedule(0.05, {5: 0.5})),
            gdjax.gradient_descent(optax.piecewise_constant_schedule(0.05, {9: 0.5})),
            "the learning rates change differently: at step 6 they are 0.025 and 0.05",
        ),
        (
            gdjax.heavy_ball(optax.exponential_decay(0.05, 5, 0.5)),
            optax.sgd(optax.exponential_decay(0.05, 5, 0.5), momentum=0.9),
            "the schedule changes what the past is worth: a remembers steps, b gradients",
        ),
        (optax.adam(0.05), optax.adam(0.05, b2=0.99), ""),
        (ball, optax.adam(0.05), ""),
    ],
)
def test_different_methods_are_told_apart(a, b, reason):
    report = gdjax.certify_equivalence(a, b, QFSP, 2, 30, schedule=False)
    assert report.verdict == "different"
    assert not report.same
    assert report.trials[0].reason == reason or not reason
    assert len(report.trials) == 1


def halving(step, rate=0.1):
    return optax.piecewise_constant_schedule(rate, {step: 0.5})


def switched(before, after, step):
    return lambda count: jnp.where(count < step, before, after)


def clipped(optimizer):  # no linear filter, so that only the history is the same
    return optax.chain(optax.clip(1.0), optimizer)


def many(optimizer, steps):
    return optax.MultiSteps(optimizer, steps).gradient_transformation()


def by_component(*rates):
    def update(gradient, count, params=None):
        each = jnp.stack([jnp.asarray(rate(count), gradient.dtype) for rate in rates])
        return -gradient * each, count + 1

    return optax.GradientTransformation(lambda p: jnp.zeros((), int), update)


def bowl(**given):
    return gdjax.Objective(name="bowl", **{"fn": lambda p: (p**2).sum(), **BOX} | given)


BOX = {"domain": [(-5, 5)] * 2, "start": (1.0, 2.0)}
NARROW = bowl(fn=lambda p: p[0] ** 2 + 1e-4 * p[1] ** 2)
HOLE = bowl(fn=lambda p: jnp.minimum(((p - 0.5) ** 2).sum(), 0.01), start=(0.55, 0.5))
adams, sgds = optax.inject_hyperparams(optax.adam), optax.inject_hyperparams(optax.sgd)
LATE = {  # at rest long before they part
    "rate": (optax.sgd(0.1), optax.sgd(halving(100)), QFSP, 101),
    "rate, near the end": (optax.sgd(0.1), optax.sgd(halving(298)), QFSP, 299),
    "rate to 0": (optax.sgd(0.1), optax.sgd(switched(0.1, 0.0, 280)), QFSP, 281),
    "rate in the memory": (
        clipped(gdjax.heavy_ball(0.1)), clipped(gdjax.heavy_ball(halving(280))), QFSP, 281,
    ),
    "one component": (
        by_component(halving(999), halving(999)), by_component(halving(280), halving(999)),
        NARROW, 281,
    ),
    "alive near the start only": (optax.sgd(0.1), optax.sgd(halving(280)), HOLE, 281),
    "begun at rest": (optax.sgd(0.1), optax.sgd(halving(280)), bowl(start=(0.0, 0.0)), 281),
    "momentum": (sgds(0.1, momentum=0.9), sgds(0.1, momentum=switched(0.9, 0.8, 280)), QFSP, 281),
    "adam": (optax.adam(0.1), optax.adam(halving(280)), QFSP, 281),
    "adam's eps": (adams(0.05), adams(0.05, eps=switched(1e-8, 2e-8, 280)), QFSP, 281),
    "MultiSteps": (
        many(optax.sgd(0.1), 4), many(optax.sgd(halving(70)), 4), QFSP, 284,
    ),
    "far from 0": (
        optax.sgd(0.1),
        optax.chain(optax.sgd(0.1), optax.stateless(
            lambda u, p: jax.tree.map(lambda u, p: jnp.where(abs(p) > 1, u - p / 100, u), u, p)
        )),
        bowl(start=(0.1, 0.1)), None,
    ),
}  # fmt: skip
EVERYDAY = "rate", "rate in the memory", "one component", "alive near the start only", "MultiSteps"


def everyday(cases, chosen):
    marks = {True: (), False: pytest.mark.full}
    return [pytest.param(case, id=case, marks=marks[case in chosen]) for case in cases]


@pytest.mark.parametrize("case", everyday(LATE, EVERYDAY))
def test_methods_that_part_when_all_is_at_rest_are_told_apart(case):
    a, b, f, step = LATE[case]
    (trial,) = gdjax.certify_equivalence(a, b, f, 1, 300, schedule=False).trials
    assert trial.verdict == "different"
    assert trial.first == (step or trial.first) > 0
    assert (len(trial.counted), trial.steps) == (10, 300)


cosine = optax.cosine_decay_schedule(0.1, 300)
SCHEDULES = {
    "warm-up": optax.linear_schedule(0.0, 0.1, 50),
    "0 at first": switched(0.0, 0.1, 90),
    "0 at last": switched(0.1, 0.0, 150),
    "cosine": cosine,
    "onecycle": optax.cosine_onecycle_schedule(300, 0.1),
    "sgdr": optax.sgdr_schedule(
        [{"init_value": 0.0, "peak_value": 0.1, "decay_steps": 100, "warmup_steps": 9}] * 3
    ),
}
FACTORIES = {
    "sgd": lambda rate: optax.sgd(rate, momentum=0.9),
    "adam": optax.adam,
    "MultiSteps": lambda rate: many(optax.sgd(rate), 3),
}


@pytest.mark.parametrize(
    ("schedule", "factory", "dtype"),
    [
        pytest.param(s, f, d, marks=() if (s, f, d) in {
            ("0 at first", "sgd", "float64"), ("cosine", "MultiSteps", "float64"),
        } else pytest.mark.full)
        for s in SCHEDULES for f in FACTORIES for d in EPS
    ],
)  # fmt: skip
def test_a_method_is_itself_under_every_schedule(schedule, factory, dtype):
    a, b = (FACTORIES[factory](SCHEDULES[schedule]) for _ in "ab")
    report = gdjax.certify_equivalence(a, b, QFSP, 2, 300, dtype=dtype)
    assert report.verdict == "same method"
    assert report.trials[0].ulps <= 3
    assert min(report.trials[0].counted) >= 10  # adam in float32 moves least, late in a decay


def test_a_closed_form_is_its_schedule_and_a_factor_is_found_behind_a_rate_of_0():
    closed = optax.sgd(lambda count: 0.05 * (1 + jnp.cos(jnp.pi * jnp.minimum(count, 300) / 300)))
    assert gdjax.certify_equivalence(optax.sgd(cosine), closed, QFSP, 1, 300).same
    rates = (optax.sgd(switched(0.0, rate, 10), momentum=0.9) for rate in (0.1, 0.2))
    assert gdjax.certify_equivalence(*rates, QFSP, 1, 20).verdict == OTHER + "learning rate × 2"


FINITE, ALIVE, FASTER = "the gradient is", "it is neither", "or more steps"
NOWHERE = {
    "gradient 0": (optax.sgd(0.1), optax.sgd(0.2), bowl(fn=lambda p: 0 * p[0]), ALIVE),
    "gradient NaN": (optax.sgd(0.1), optax.sgd(0.2), bowl(gradient=lambda p: p * jnp.nan), FINITE),
    "one is NaN": (ball, sgd(), bowl(gradient=lambda p: p * jnp.array([1, jnp.nan])), FINITE),
    "rate 0": (optax.adam(0.0), optax.adam(0.0, b1=0.5), QFSP, FASTER),
    "rate below rounding": (optax.sgd(1e-20), optax.sgd(2e-20), QFSP, FASTER),
    "too few for MultiSteps": (many(optax.sgd(0.1), 99),) * 2 + (QFSP, FASTER),
}


@pytest.mark.parametrize("case", everyday(NOWHERE, ("gradient 0", "one is NaN", "rate 0")))
def test_where_nothing_moves_nothing_is_decided(case):
    a, b, f, advice = NOWHERE[case]
    side = "autodiff" if f.gradient is None else "hand"
    report = gdjax.certify_equivalence(a, b, f, 2, 30, gradient=side, schedule=False)
    assert report.verdict == "undecided"
    assert not report.same
    (trial,) = report.trials
    assert trial.counted == (0, 0, 0)
    assert trial.reason.endswith(advice)
    assert f"as given: {trial.reason}" in str(report)


def test_too_few_steps_that_count_decide_nothing_but_a_difference_is_one():
    once = bowl(fn=lambda p: jnp.where(abs(p - 0.5).max() < 1e-9, p.sum(), 0.0), start=(0.5, 0.5))
    memory = [clipped(gdjax.heavy_ball(rate)) for rate in (0.1, 0.1, 0.2)]
    (trial,) = gdjax.certify_equivalence(*memory[:2], once, 1, 300, schedule=False).trials
    assert (trial.verdict, sum(trial.counted)) == ("undecided", 1)
    assert trial.reason.startswith("of the steps 1 to 30 only 1 moved by 640 units")
    assert gdjax.certify_equivalence(*memory[1:], once, 1, 300).verdict == "different"
    # one of both is not finite where the gradient is not
    nan = bowl(gradient=lambda p: p * jnp.nan)
    bold = optax.chain(optax.zero_nans(), optax.sgd(0.1))
    for pair in ((optax.sgd(0.1), bold), (bold, optax.sgd(0.1))):
        assert gdjax.certify_equivalence(*pair, nan, 1, gradient="hand").verdict == "different"


def test_multi_steps_is_not_its_optimizer():
    two_steps = many(optax.sgd(0.1), 2)
    report = gdjax.certify_equivalence(two_steps, optax.sgd(0.1), QFSP, 1, 20, schedule=False)
    assert (report.verdict, report.trials[0].first) == ("different", 1)


def test_a_textbook_method_that_drops_its_look_ahead_is_another_method(monkeypatch):
    right = momentum.nesterov_textbook.__wrapped__

    def wrong(learning_rate, momentum):
        made = right(learning_rate, momentum)

        def update(updates, state, params=None, *, grad_fn, **extra):
            here = lambda point: grad_fn(params)  # noqa: E731
            return made.update(updates, state, params, grad_fn=here, **extra)

        return optax.GradientTransformationExtraArgs(made.init, update)

    monkeypatch.setattr(momentum, "nesterov_textbook", own(wrong))
    dropped = momentum.nesterov_textbook(0.05, 0.9)
    report = gdjax.certify_equivalence(ahead, dropped, QFSP, 1, 20, schedule=False)
    assert report.verdict == "different"


def test_a_schedule_that_decays_halves_the_rate_four_times():
    report = gdjax.certify_equivalence(ball, sgd(), FLAT, 1, 12)
    # On a slope of 1, both conventions by hand: a's past steps keep their rate, b's do not.
    v, memory, x, y, apart = 0.0, 0.0, 0.0, 0.0, []
    for rate in 0.05 * 0.5 ** (np.arange(12) / 3):
        v, memory = 0.9 * v - rate, 0.9 * memory + 1
        x, y = x + v, y - rate * memory
        apart.append(abs(x - y) / 8)
    assert report.trials[1].drift == pytest.approx(max(apart), rel=1e-5)
    assert report.trials[1].drift_step == 1 + int(np.argmax(np.array(apart) > 1e-3))
    rates = gdjax.gradient_descent(0.5), optimizers.get("sgd", learning_rate=0.25)
    halved = gdjax.certify_equivalence(*rates, FLAT, 1, 8)
    assert [(trial.factor, trial.same) for trial in halved.trials] == [(0.5, True)] * 2


def test_every_setting_arrives():
    bowl = gdjax.Objective(
        name="f", fn=lambda p: jnp.sum(p**2), gradient=lambda p: 3 * p,
        domain=[(-4, 4)] * 2, start=(1.0, 1.0),
    )  # fmt: skip

    def drift(objective=QFSP, **options):
        a, b = gdjax.gradient_descent(0.05), gdjax.heavy_ball(0.05, 0.5)
        options = {"starts": 3, "steps": 4, "schedule": False} | options
        return gdjax.certify_equivalence(a, b, objective, **options).trials[0]

    base = drift()
    assert base == drift(seed=0)
    assert base.drift != drift(seed=1).drift
    assert base.drift != drift(starts=1).drift
    assert drift(starts=[(1, 2), (3, 4)]).drift == drift(starts=[(3, 4), (1, 2)]).drift
    assert (base.steps, drift(starts=2).steps, drift(steps=5).steps) == (12, 8, 15)
    assert drift(dtype="float32").carried < base.carried / 1e6
    # x ← x − α x twice, beside the same with half of the first step once more
    for gradient, rate in (("hand", 0.15), ("autodiff", 0.1)):
        found = drift(bowl, gradient=gradient, steps=2, starts=1).drift
        assert found == pytest.approx(0.5 * rate / 8)
    default = gdjax.certify_equivalence(plain(lambda g, s: (-g, s)), optax.sgd(1.0), FLAT)
    assert (default.trials[0].steps, default.dtype, default.tolerance) == (150, "float64", 1e-3)
    report = gdjax.certify_equivalence(ball, sgd(), QFSP, 1, 4, tolerance=0.25, dtype="float32")
    assert (report.objective, report.dtype, report.tolerance) == ("qfsp", "float32", 0.25)
    assert (report.a, report.b) == (repr(ball), repr(sgd()))
    raw = gdjax.certify_equivalence(ball, optax.sgd(0.05, 0.9), QFSP, 1, 4)
    assert raw.b == "chain(…)"


def test_starts_are_the_objectives_own_and_others_drawn_in_its_domain_by_the_seed():
    f = gdjax.Objective(name="f", fn=lambda p: p[0], domain=[(-1, 1), (2, 10)], start=(0.5, 3.0))
    points = given_or_drawn(f, 500, 3)
    np.testing.assert_array_equal(points[0], (0.5, 3.0))
    np.testing.assert_array_equal(points, given_or_drawn(f, 500, 3))
    assert not np.isin(points[1:], given_or_drawn(f, 500, 4)).any()
    unit = (points[1:] - [-1, 2]) / [2, 8]
    for share in (0.1, 0.5, 0.9):  # known to 0.022
        np.testing.assert_allclose((unit < share).mean(axis=0), share, atol=0.07)
    assert ((unit >= 0) & (unit <= 1)).all()
    np.testing.assert_array_equal(given_or_drawn(f, [(1, 2), (3, 4)], 0), [(1, 2), (3, 4)])


def test_the_report_is_a_table_of_what_was_found():
    report = gdjax.certify_equivalence(ball, sgd(), QFSP, 2, 30)
    lines = str(report).splitlines()
    assert lines[:2] == [f"a = {ball!r}", f"b = {sgd()!r}"]
    assert lines[2] == f"on qfsp, float64: {report.verdict}"
    cells = [[c.strip() for c in line.split("  ") if c.strip()] for line in lines[3:6]]
    assert cells[0] == [
        "learning rate", "verdict", "steps that count", "next point", "carried step", "same",
        "free runs",
    ]  # fmt: skip
    for row, trial in zip(cells[1:], report.trials, strict=True):
        assert row == [
            trial.rate,
            trial.verdict.partition(":")[0] if trial.same else f"different from step {trial.first}",
            f"{sum(trial.counted)} of 60, ≥ {min(trial.counted)} a phase",
            f"{trial.ulps:.3g} ulps at step {trial.where[1]}", f"{trial.carried:.3g} ulps",
            "state", f"{trial.drift:.1e}, {trial.parting}",
        ]  # fmt: skip
    assert lines[6:] == [f"decaying: {report.trials[1].reason}"]
    history = gdjax.certify_equivalence(optax.adam(0.05), optax.adam(0.05), QFSP, 1, 3)
    assert [c.strip() for c in str(history).splitlines()[-1].split("  ") if c.strip()][4:6] == [
        "–", "history",
    ]  # fmt: skip


def test_chaos_and_the_certificate_see_different_things():
    # 200 chaotic steps from one rounding: the free runs part, and yet the method is one.
    report = gdjax.certify_equivalence(
        gdjax.heavy_ball(0.3, 0.95), sgd(0.3, momentum=0.95), QFSP, 1, 200, schedule=False
    )
    (trial,) = report.trials
    assert trial.same
    assert trial.ulps <= 3
    assert trial.drift_step > 20


def test_the_unit_is_that_of_the_largest_number_added_up():
    # At 1e6 from the origin a step of 1e-4 is known to 1e-10 only: that is one unit, no error.
    f = gdjax.Objective(
        name="far", fn=lambda p: ((p - 1e6) ** 2).sum() * 1e-3, domain=[(1e6 - 1, 1e6 + 1)]
    )
    report = gdjax.certify_equivalence(ball, sgd(), f, [(1e6 + 0.5,)], 20, schedule=False)
    assert report.same
    assert report.trials[0].ulps <= 2
    broken = jax.tree_util.Partial(lambda g, s, p=None: (g * -0.05 * (1 + 1e-5), s))
    report = gdjax.certify_equivalence(
        gdjax.gradient_descent(0.05), optax.GradientTransformation(lambda p: (), broken), QFSP, 1
    )
    assert report.trials[0].factor == pytest.approx(1 + 1e-5)
    assert "learning rate × 1.00001" in report.verdict


def test_a_lost_path_goes_on_elsewhere_with_the_state_it_had():
    report = gdjax.certify_equivalence(
        gdjax.heavy_ball(50.0), sgd(50.0), objectives.get("monkey_saddle"), 2, 30, schedule=False
    )
    assert report.trials[0].steps == sum(report.trials[0].counted) == 60
    assert report.same
    assert np.isfinite(report.trials[0].ulps)
    # b alone is not finite: that is no end of a's path, but a difference
    lost = plain(lambda g, s: (-g / 0 * 0, s))
    trial = compared(plain(lambda g, s: (-g, s)), lost, steps=3)
    assert (trial.same, trial.ulps, trial.steps) == (False, np.inf, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"starts": 0}, "starts must be a whole number, at least 1, got 0"),
        ({"starts": []}, "starts must hold at least one point, got none"),
        ({"starts": np.zeros((0, 2))}, "starts must hold at least one point, got none"),
        ({"starts": np.array(3.0)}, "starts must be points of qfsp, got array(3.)"),
        ({"starts": [(1, 2, 3)]}, "starts must have 2 components, as qfsp has, got 3"),
        ({"steps": 0}, "steps must be a whole number, at least 1, got 0"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
    ],
)
def test_bad_calls_say_what_is_wrong(untyped, arguments, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        gdjax.certify_equivalence(ball, sgd(), QFSP, **arguments)
    assert message in str(caught.value)
