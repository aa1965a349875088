"""What becomes of a descent, by cases worked out by hand; every number in them is exact.

The landscape is (x² + y²) / 2, so that plain descent with the rate α takes x to (1 − α) x. Its
known minima are where a case needs one: whether a point is one is not the outcome's to ask.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

import gdjax
from gdjax._descent.outcomes import Outcome, StoppingRule

CONVERGED, STALLED, DIVERGED, NONFINITE, MAX_STEPS = (Outcome(code) for code in range(5))
TINY = 2**-10  # enough to be beyond a limit
RULE = StoppingRule(gradient=1 / 8, step=1 / 64, radius=1 / 64, value=1 / 8, bound=8, every=2)
TOLERANCE = 1 / 8


def _value(p):
    hole = ((p[0] > 40) & (p[0] < 60)) | (p[0] > 200)
    return jnp.where(hole, jnp.nan, jnp.sum(p * p) / 2)


# At rest: |step| ≤ 1/4 in x and 1/8 in y; near a minimum: within 1/4 and 1/8; not lost:
# −124 ≤ x ≤ 132 and −66 ≤ y ≤ 62. The value is NaN in 40 < x < 60, the gradient in 50 < y < 60.
BOWL = gdjax.Objective(
    name="bowl with holes", fn=_value, domain=((-4, 12), (-6, 2)), fmin=0.0,
    gradient=lambda p: jnp.where((p[1] > 50) & (p[1] < 60), jnp.nan, p),
    minima=[(-1 / 4, 0)], local_minima=[(1 / 4, 0), (0, 1 / 4)],
)  # fmt: skip


class Case(NamedTuple):
    """A descent, and what becomes of it; a sweep stops it after ``taken`` steps."""

    start: tuple[float, float]
    steps: int
    outcome: Outcome
    minimum: int = -1
    taken: int | None = None
    rate: float = 0.5
    momentum: float = 0.0
    best: float | None = None
    reached: int = -1


CASES = {
    # The gradient: at rest up to (1 + |first gradient|) / 8.
    "gradient just small enough": Case((1, 0), 2, CONVERGED, 1, best=1 / 32, reached=1),
    "gradient a little too large": Case((1 + TINY, 0), 2, MAX_STEPS, 1, reached=2),
    "gradient still twice too large": Case((1, 0), 1, MAX_STEPS, 1, reached=1),
    "gradient of 3, 4 and 5": Case((0.75, 1), 2, MAX_STEPS, 2, best=25 / 512, reached=2),
    "gradient of 3, 4 and 5, a step on": Case((0.75, 1), 3, CONVERGED, 1, reached=2),
    # The next step.
    "step just small enough in x": Case((1 / 8, 0), 0, CONVERGED, 1, rate=2, reached=0),
    "step too large in x": Case((1 / 8 + TINY, 0), 0, MAX_STEPS, 1, rate=2, reached=0),
    "step just small enough in y": Case((0, -1 / 16), 0, CONVERGED, 0, rate=2, reached=0),
    "step too large in y": Case((0, -1 / 16 - TINY), 0, MAX_STEPS, 0, rate=2, reached=0),
    "at the bottom with speed": Case(
        (1, 0), 1, MAX_STEPS, 0, rate=1, momentum=0.5, best=0.0, reached=1
    ),
    "at the bottom without": Case((1, 0), 1, CONVERGED, 0, rate=1, best=0.0, reached=1),
    # The minimum: the nearest one, in widths of the domain, and the first of two as near.
    "as near to two minima": Case((0, 0), 0, CONVERGED, 0, best=0.0, reached=0),
    "nearer to the second": Case((TINY, 0), 0, CONVERGED, 1, reached=0),
    "as near as can be in y": Case((0, -1 / 8), 0, CONVERGED, 0, reached=0),
    "too far in y": Case((0, -1 / 8 - TINY), 0, STALLED, -1, reached=0),
    "the third one": Case((0, 1 / 8 + TINY), 0, CONVERGED, 2, reached=0),
    "at rest to the left, too far in x": Case((-9 / 16, 0), 0, MAX_STEPS, -1, reached=-1),
    # Lost: at the limit not yet.
    "as far as can be to the right": Case((132, 0), 0, MAX_STEPS, best=8712.0),
    "lost to the right": Case((132 + 2**-4, 0), 0, DIVERGED, best=np.inf),
    "as far as can be to the left": Case((-124, 0), 0, MAX_STEPS),
    "lost to the left": Case((-124 - 2**-4, 0), 0, DIVERGED),
    "as far as can be above": Case((0, 62), 0, MAX_STEPS),
    "lost above": Case((0, 62 + 2**-4), 0, DIVERGED),
    "lost below": Case((0, -66 - 2**-4), 0, DIVERGED),
    "not lost yet": Case((64, 0), 0, MAX_STEPS, rate=3),
    "lost at the last point": Case((64, 0), 1, DIVERGED, rate=3, best=2048.0),
    "lost at the last but one": Case((64, 0), 2, DIVERGED, rate=3, taken=1, best=2048.0),
    "lost, and back at rest": Case((-192, 0), 1, DIVERGED, 0, rate=1, taken=0, best=np.inf),
    # Not finite.
    "no value at the start": Case((48, 0), 0, NONFINITE, best=np.inf),
    "beside the hole": Case((40, 0), 0, MAX_STEPS),
    "no value at the last point": Case((96, 0), 1, NONFINITE, best=4608.0),
    "no value at the last but one": Case((96, 0), 2, NONFINITE, taken=1, best=4608.0),
    "a gradient of NaN": Case((0, 56), 0, MAX_STEPS),
    "a point of NaN": Case((0, 56), 1, NONFINITE, best=1568.0),
    # Of two wrongs the first counts; of two at once the place.
    "no value, then lost": Case((48, 0), 1, NONFINITE, rate=4, taken=0),
    "lost, then no value": Case((-192, 0), 1, DIVERGED, rate=1.25, taken=0),
    "lost where there is no value": Case((256, 0), 0, DIVERGED),
    # A sweep looks for rest after 0, 2 and 4 of 4 steps, and after each of 3.
    "at rest before the last step": Case((1, 0), 4, CONVERGED, 1, taken=2, reached=1),
    "at rest between two looks": Case((2, 0), 4, CONVERGED, 1, taken=4, reached=2),
    "at rest at a look": Case((2, 0), 3, CONVERGED, 1, taken=3, reached=2),
    "at rest where it begins": Case((TINY, 0), 4, CONVERGED, 1, taken=0, reached=0),
    "the best one was passed": Case(
        (1, 0), 2, MAX_STEPS, 0, rate=1, momentum=0.5, best=0.0, reached=1
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_descent_is_judged_by_its_whole_path_and_its_last_point(name):
    case = CASES[name]
    gdjax.objectives.validate(BOWL)  # at its own start; that of a case may have no value
    ball = gdjax.heavy_ball(case.rate, case.momentum)
    path = gdjax.descend(BOWL, ball, case.start, case.steps, gradient="hand", stopping=RULE)
    assert (Outcome(int(path.outcome)), int(path.minimum)) == (case.outcome, case.minimum)
    assert len(path.points) == len(path.values) == case.steps + 1


# The kernels that keep summaries and those that keep paths are different ones.
@pytest.mark.parametrize("record", [None, [0]])
@pytest.mark.parametrize(("kernel", "dtype"), [("llvm", "float32"), ("xla", "float64")])
def test_a_cell_of_a_sweep_is_judged_likewise_and_stops_there(kernel, dtype, record):
    wrong = []
    for steps in sorted({case.steps for case in CASES.values()}):
        cases = {name: case for name, case in CASES.items() if case.steps == steps}
        rates = sorted({(case.rate, case.momentum) for case in cases.values()})
        found = gdjax.sweep(
            BOWL, gdjax.heavy_ball, [case.start for case in cases.values()],
            {("learning_rate", "momentum"): tuple(zip(*rates, strict=True))}, steps,
            gradient="hand", stopping=RULE, tolerance=TOLERANCE, kernel=kernel,
            dtype=dtype, save_at=record,
        )  # fmt: skip
        assert found.attrs["kernel"] == kernel
        for i, (name, case) in enumerate(cases.items()):
            cell = found.isel(
                {"start": i, found.outcome.dims[1]: rates.index((case.rate, case.momentum))}
            )
            lost = case.outcome in (DIVERGED, NONFINITE)  # it stays there, near no minimum
            taken = steps if case.taken is None else case.taken
            expected = {
                "outcome": case.outcome, "minimum": -1 if lost else case.minimum, "steps": taken,
                "evaluations": taken + 1, "steps_to_tolerance": case.reached,
            }  # fmt: skip
            expected |= {} if case.best is None else {"best_value": case.best}
            came = {key: cell[key].item() for key in expected}
            wrong += [(name, came, expected)] * (came != expected)
    assert wrong == []


def test_a_sweep_that_is_not_to_stop_at_rest_still_stops_where_it_is_lost():
    found = gdjax.sweep(
        BOWL, gdjax.heavy_ball, [(1, 0), (0, 0), (0, 64), (96, 0)],
        {"learning_rate": [0.5, 3], "momentum": [0.0]}, 6, gradient="hand", stopping=False,
    )  # fmt: skip
    assert found.steps.values[..., 0].tolist() == [[6, 6], [6, 6], [6, 4], [1, 2]]
    assert found.final_point.values[0, 0, 0].tolist() == [2**-6, 0]
    # By the default rule: (0, 0) is far from every minimum that is said to be known, and is one.
    assert found.outcome.values[..., 0].tolist() == [
        [MAX_STEPS, MAX_STEPS], [CONVERGED, CONVERGED],
        [MAX_STEPS, DIVERGED], [NONFINITE, NONFINITE],
    ]  # fmt: skip


def line(width):
    """x² / 2 on a domain that wide, of which the middle is no minimum."""
    return gdjax.Objective(
        name="line", fn=lambda p: p[0] ** 2 / 2, domain=[(-width / 4, 3 * width / 4)],
        minima=[[0.0]], fmin=0.0,
    )  # fmt: skip


def test_by_default_a_descent_is_at_rest_at_a_millionth():
    halve, often = gdjax.gradient_descent(0.5), StoppingRule(every=1, bound=1e6)
    wide, narrow = line(100.0), line(2**-8)
    # ‖∇f‖ = 2⁻ᵏ ≤ 10⁻⁶ (1 + 1) from k = 19 on, and 2⁻ᵏ / 2 ≤ 10⁻⁶ · 2⁻⁸ from k = 27 on.
    assert gdjax.descend(wide, halve, [1.0], 18).outcome == MAX_STEPS
    assert gdjax.descend(wide, halve, [1.0], 19).outcome == CONVERGED
    assert gdjax.sweep(wide, halve, [[1.0]], steps=200, stopping=often).steps.item() == 19
    assert gdjax.sweep(narrow, halve, [[1.0]], steps=200, stopping=often).steps.item() == 27
    # A sweep looks for it after every ten steps.
    assert gdjax.sweep(wide, halve, [[1.0]], steps=990).steps.item() == 20  # not 9 or 11


def test_by_default_a_minimum_is_reached_at_a_thousandth_and_lost_beyond_a_hundred_widths():
    f, still = line(8.0), gdjax.gradient_descent(0.5)  # from −2 to 6: the middle is 2
    at = {x: gdjax.descend(f, still, [x], 0) for x in (0.00799, 0.00801, 802.0, 802.1, -798.1)}
    assert [int(path.minimum) for path in at.values()] == [0, -1, -1, -1, -1]
    assert [Outcome(int(path.outcome)) for path in at.values()] == [
        MAX_STEPS, MAX_STEPS, MAX_STEPS, DIVERGED, DIVERGED,
    ]  # fmt: skip


def test_where_no_minimum_is_known_one_may_be_proven():
    path = gdjax.descend(lambda p: p[0] ** 2, gdjax.gradient_descent(0.5), [1.0], 1)
    assert (path.outcome, path.minimum) == (CONVERGED, -1)


def test_the_name_of_an_outcome_is_what_pictures_and_tables_say():
    assert [f"{outcome} {outcome.value}" for outcome in Outcome] == [
        "converged 0", "stalled 1", "diverged 2", "nonfinite 3", "max_steps 4",
        "saddle 5", "maximum 6", "plateau 7", "degenerate 8", "stuck 9",
    ]  # fmt: skip
