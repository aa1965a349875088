"""Certificates that two optimizers are one method: step by step, from the same state.

End points prove nothing: on a chaotic path two roundings of the same method drift apart. So both
are put into the same state at every step of one path, and their next points are compared in units
in the last place. Two states correspond if, without a gradient, they would make the same step. That
one rule converts between velocities kept as steps (the textbook, Keras), as sums of gradients
(optax, PyTorch) and as moving averages.

A step below rounding proves nothing either. So a path at rest goes on elsewhere, every phase of a
run begins at another point, and where too few steps are evidence the verdict is "undecided".
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from gdjax import optimizers
from gdjax._inputs import (
    DType,
    ObjectiveLike,
    OptimizerLike,
    as_count,
    as_optimizer,
    default_dtype,
    objective_at,
)
from gdjax._util.arguments import NOT_NEGATIVE, as_seed, flag, gate, number
from gdjax._util.memory import check_fits
from gdjax._util.types import PyTree
from gdjax.certificates.conversion import Conversion, convention, difference
from gdjax.certificates.equivalence_report import EquivalenceReport, Trial
from gdjax.certificates.evidence import RESOLUTION, counted, shortage
from gdjax.certificates.filters import Filter, is_textbook, measured_filter
from gdjax.certificates.path import Elsewhere, Seen, along, phases
from gdjax.objectives import GradientSide, Objective, validate
from gdjax.optimizers import schedules
from gdjax.starts import given_or_drawn

# In units in the last place. Two conventions round a step up to seven times, the conversion
# included, each time by one unit at most. Where only the history is made the same, the roundings of
# 1/(1 − μ) steps add up.
LIMITS = {"state": 8.0, "history": 64.0}

NUMBERS_SEEN = 16  # held for each start, step and component: eight seen, four drawn, and copies


@gate(tolerance=number(NOT_NEGATIVE), schedule=flag)
def certify_equivalence(
    a: OptimizerLike,
    b: OptimizerLike,
    objective: ObjectiveLike,
    starts: PyTree = 3,
    steps: int = 50,
    *,
    seed: int = 0,
    gradient: GradientSide = "autodiff",
    dtype: DType = "float64",
    tolerance: float = 1e-3,
    schedule: bool = True,
) -> EquivalenceReport:
    """Compare two optimizers step by step, each step from the same state.

    Optimizer a descends; at every step b is put into the state that corresponds to a's, and
    both take the same gradient. Beside that, b descends freely from the same start. Where both
    have a plain learning rate, all this is done once more with one that decays, because
    conventions that agree under a constant rate may part there.

    A step is evidence if a tenth of what the gradient adds to it would be seen beside rounding, or
    if both stand still in spite of a gradient. Every tenth of the run, and every component whose
    step is no evidence, goes on elsewhere in the domain, so that a schedule is seen with a live
    gradient throughout. Undecided is what has less than half of such steps in some tenth.

    Args:
        a: an optimizer: any optax transformation, a factory such as ``optax.adam``, or a name.
        b: another one.
        objective: what to descend.
        starts: points ``(n, d)``, or how many: the objective's own and others drawn in the domain.
        steps: number of steps, at least 1; as many as a schedule has, to see all of it.
        seed: of the starts drawn, and of where the paths go on.
        gradient: which gradient to follow, ``autodiff`` or ``hand``.
        dtype: in which the steps are taken.
        tolerance: from which on the free runs count as apart, in widths of the domain.
        schedule: whether to try a decaying learning rate as well.

    Raises:
        ArgumentError: a start of another dimension, no starts or no steps.

    Example:
        >>> import gdjax, optax
        >>> f = gdjax.objectives.get("qfsp")
        >>> report = certify_equivalence(gdjax.heavy_ball(0.1), optax.sgd(0.1, momentum=0.9), f)
        >>> report.verdict
        'same method, other convention: a remembers steps, b gradients'
        >>> halved = optax.piecewise_constant_schedule(0.1, {280: 0.5})
        >>> late = certify_equivalence(optax.sgd(0.1), optax.sgd(halved), f, steps=300)
        >>> late.verdict, late.trials[0].first
        ('different', 281)
    """
    steps, seed = as_count("steps", steps, 1), as_seed(seed)
    objective = objective_at(objective, starts)
    objective.value_and_gradient(gradient)  # refuses what is no side
    points = given_or_drawn(objective, starts, seed)
    _check_memory(len(points), steps, objective.dim)
    with default_dtype(dtype):
        validate(objective, at=points[0])
    a, b = map(as_optimizer, (a, b))
    pairs = {"as given": (a, b)}
    slower_a, slower_b = (_decaying(o, steps) if schedule else None for o in (a, b))
    if slower_a and slower_b:
        pairs["decaying"] = slower_a, slower_b
    elsewhere = Elsewhere.drawn(objective, points, steps, seed)
    trials = tuple(
        _trial(rate, pair, objective, points, elsewhere, gradient, np.dtype(dtype), tolerance)
        for rate, pair in pairs.items()
    )
    return EquivalenceReport(repr(a), repr(b), objective.name, dtype, tolerance, trials)


def _check_memory(starts: int, steps: int, dim: int) -> None:
    """Refuse a comparison that would not fit: where paths go on, and what is seen at each step."""
    numbers = NUMBERS_SEEN * starts * steps * dim
    what = f"a certificate from {starts:,} starts over {steps:,} steps"
    check_fits(8 * numbers, what, "take fewer starts or steps")


def _decaying(optimizer: optimizers.Optimizer, steps: int) -> optimizers.Optimizer | None:
    """The same optimizer with a learning rate that halves four times on the way."""
    rate = optimizer.hyperparameters.get("learning_rate")
    if not isinstance(rate, float):
        return None
    decay = {"init_value": rate, "transition_steps": max(steps // 4, 1), "decay_rate": 0.5}
    halving = schedules.get("exponential_decay", **decay)
    changed = {**optimizer.hyperparameters, "learning_rate": halving}
    slower = optimizers.Optimizer(optimizer.factory, changed)
    return None if optimizers.why_not(slower) else slower


def _trial(
    rate: str,
    pair: tuple[optimizers.Optimizer, optimizers.Optimizer],
    objective: Objective,
    points: np.ndarray,
    elsewhere: Elsewhere,
    gradient: GradientSide,
    dtype: np.dtype,
    tolerance: float,
) -> Trial:
    steps = len(elsewhere.always)
    filters = first, second = [measured_filter(_rounded(one, dtype), steps) for one in pair]
    if first is None or second is None:
        forced, places, convert = "history", (-1, -1), Conversion.none(steps)
    else:
        forced, places = "state", (first.place, second.place)
        convert = Conversion.between(first, second)
    units = RESOLUTION * LIMITS[forced]
    with default_dtype(dtype):
        cast = lambda x: jnp.asarray(x, None if np.asarray(x).dtype == bool else dtype)  # noqa: E731
        given = jax.tree.map(cast, (points, elsewhere, units, convert))
        found = along(objective.cast(dtype), gradient, places, pair, *given)
        found = Seen(*map(np.asarray, found))
    # Smaller numbers are flushed to zero, so that no unit is finer than the smallest normal one.
    finest = np.finfo(dtype).tiny / np.finfo(dtype).eps
    unit = np.spacing(np.fmax(found.scale, finest.astype(dtype)))
    ulps, carried = (
        np.where(found.compared, np.nan_to_num(x / unit, nan=np.inf, posinf=np.inf), 0)
        for x in (found.apart, found.carried)
    )
    start, step, component = np.unravel_index(int(ulps.argmax()), ulps.shape)
    off = np.any(np.maximum(ulps, carried) > LIMITS[forced], axis=(0, 2))
    drift = np.where(found.compared, np.nan_to_num(found.drift, nan=np.inf), 0).max(axis=-1)
    passed = np.any(drift > tolerance, axis=0)
    verdict, reason = _verdict(pair, filters, convert, bool(off.any()), shortage(found, units))
    return Trial(
        rate=rate,
        verdict=verdict,
        reason=reason,
        forced=forced,
        ulps=float(ulps.max()),
        carried=float(carried.max()),
        where=(int(start), int(step) + 1, int(component)),
        first=_first(off),
        steps=int(found.compared.all(axis=-1).sum()),
        counted=tuple(int(counted(found)[:, phase].sum()) for phase in phases(steps)),
        factor=convert.factor,
        drift=float(drift.max()),
        drift_step=_first(passed),
    )


def _first(steps: Bool[np.ndarray, "steps"]) -> int:
    """The first step of which something is true, or −1."""
    return int(steps.argmax()) + 1 if steps.any() else -1


def _verdict(
    pair: Sequence[optimizers.Optimizer],
    filters: Sequence[Filter | None],
    convert: Conversion,
    different: bool,
    shortage: str,
) -> tuple[str, str]:
    """The verdict on two optimizers, and the reason for it where one is known."""
    a, b = filters
    if not different and shortage:
        return "undecided", shortage
    if a is None or b is None:
        return ("different" if different else "same method"), ""
    if different:
        return "different", difference(a, b, convert)
    return convention(a, b, convert.factor, [is_textbook(one) for one in pair]), ""


def _rounded(optimizer: optimizers.Optimizer, dtype: np.dtype) -> optimizers.Optimizer:
    return jax.tree.map(lambda number: float(np.asarray(number, dtype)), optimizer)
