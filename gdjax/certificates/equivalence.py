"""Certificates that two optimizers are one method: step by step, from the same state.

End points prove nothing: on a chaotic path two roundings of the same method drift apart. So both
are put into the same state at every step of one path, and their next points are compared in units
in the last place. Two states correspond if, without a gradient, they would make the same step. That
one rule converts between velocities kept as steps (the textbook, Keras), as sums of gradients
(optax, PyTorch) and as moving averages.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gdjax import optimizers
from gdjax._descent.loop import Descent
from gdjax._descent.outcomes import DEFAULT_RULE, Judge
from gdjax._inputs import (
    DType,
    ObjectiveLike,
    OptimizerLike,
    as_count,
    as_optimizer,
    default_dtype,
    objective_at,
)
from gdjax._util.types import Flat, PyTree
from gdjax.certificates.equivalence_report import EquivalenceReport, Trial
from gdjax.certificates.filters import (
    Filter,
    at_gradients,
    is_textbook,
    measured_filter,
    memory_in,
    with_memory,
)
from gdjax.objectives import GradientSide, Objective, validate
from gdjax.optimizers import schedules
from gdjax.starts import given_or_drawn

# In units in the last place. Two conventions round a step up to seven times, the conversion
# included, each time by one unit at most. Where only the history is made the same, the roundings of
# 1/(1 − μ) steps add up.
LIMITS = {"state": 8.0, "history": 64.0}


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

    Args:
        a: an optimizer: any optax transformation, a factory such as ``optax.adam``, or a name.
        b: another one.
        objective: what to descend.
        starts: points ``(n, d)``, or how many: the objective's own and others drawn in the domain.
        steps: number of steps, at least 1.
        seed: of the draw.
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
    """
    steps, seed = as_count("steps", steps, 1), as_count("seed", seed, 0)
    objective = objective_at(objective, starts)
    points = given_or_drawn(objective, starts, seed)
    with default_dtype(dtype):
        validate(objective, at=points[0])
    a, b = map(as_optimizer, (a, b))
    pairs = {"as given": (a, b)}
    slower_a, slower_b = (_decaying(o, steps) if schedule else None for o in (a, b))
    if slower_a and slower_b:
        pairs["decaying"] = slower_a, slower_b
    trials = tuple(
        _trial(rate, *pair, objective, points, steps, gradient, np.dtype(dtype), tolerance)
        for rate, pair in pairs.items()
    )
    return EquivalenceReport(repr(a), repr(b), objective.name, dtype, tolerance, trials)


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


class _Conversion(NamedTuple):
    """How a state of a is turned into one of b, at each step.

    Args:
        factor: b is a with its learning rate times this.
        memory: memory of b over that of a, ``(steps + 1,)``.
        carries: the step that one unit of memory makes, in a and, divided by ``factor``, in b,
            ``(2, steps + 1)``.
    """

    factor: float
    memory: np.ndarray
    carries: np.ndarray


def _conversion(a: Filter, b: Filter) -> _Conversion:
    """Two states correspond if, without a gradient, they would make the same step."""
    factor = (float(b.rate[0] / a.rate[0]) if a.rate[0] else 1.0) or 1.0
    carries = np.stack([a.carry, b.carry / factor])
    with np.errstate(divide="ignore", invalid="ignore"):
        memory = np.where(carries[1] != 0, carries[0] / carries[1], 0.0)
        gains = b.gain / a.gain  # the same under a constant rate, and rounded less often
    memory = np.where(np.isclose(gains, memory, rtol=1e-9), gains, memory)
    return _Conversion(factor, memory, carries)


def _trial(
    rate: str,
    a: optimizers.Optimizer,
    b: optimizers.Optimizer,
    objective: Objective,
    points: np.ndarray,
    steps: int,
    gradient: GradientSide,
    dtype: np.dtype,
    tolerance: float,
) -> Trial:
    filter_a, filter_b = (measured_filter(_rounded(o, dtype), steps) for o in (a, b))
    if filter_a is None or filter_b is None:
        forced, places = "history", (-1, -1)
        convert = _Conversion(1.0, np.ones(steps + 1), np.zeros((2, steps + 1)))
    else:
        forced, places = "state", (filter_a.place, filter_b.place)
        convert = _conversion(filter_a, filter_b)
    with default_dtype(dtype):
        found = _along(
            objective.cast(dtype), steps, gradient, places, a, b,
            *(jnp.asarray(x, dtype) for x in (points, *convert)),
        )  # fmt: skip
        apart, carried, scale, drift = map(np.asarray, found)
    # Smaller numbers are flushed to zero, so that no unit is finer than the smallest normal one.
    finest = np.finfo(dtype).tiny / np.finfo(dtype).eps
    unit = np.spacing(np.maximum(scale, finest.astype(dtype)))
    valid = np.isfinite(scale)
    ulps, carried = (
        np.where(valid, np.nan_to_num(x / unit, nan=np.inf, posinf=np.inf), 0)
        for x in (apart, carried)
    )
    start, step, component = np.unravel_index(int(ulps.argmax()), ulps.shape)
    drift = np.where(valid, np.nan_to_num(drift, nan=np.inf), 0).max(axis=-1)
    passed = (drift > tolerance).any(axis=0)
    same = max(ulps.max(), carried.max()) <= LIMITS[forced]
    if filter_a is None or filter_b is None:
        verdict, reason = ("same method" if same else "different"), ""
    elif same:
        textbook = [is_textbook(optimizer) for optimizer in (a, b)]
        verdict, reason = _convention(filter_a, filter_b, convert.factor, textbook), ""
    else:
        verdict, reason = "different", _difference(filter_a, filter_b, convert)
    return Trial(
        rate=rate,
        verdict=verdict,
        reason=reason,
        forced=forced,
        ulps=float(ulps.max()),
        carried=float(carried.max()),
        where=(int(start), int(step) + 1, int(component)),
        steps=int(valid.all(axis=-1).sum()),
        factor=convert.factor,
        drift=float(drift.max()),
        drift_step=int(passed.argmax()) + 1 if passed.any() else -1,
    )


def _difference(a: Filter, b: Filter, convert: _Conversion) -> str:
    """Why two filters are not one method."""
    if not np.allclose(a.decay, b.decay):
        return f"a keeps {a.decay[0]:g} of its memory a step, b {b.decay[0]:g}"
    if not np.allclose(convert.memory, convert.memory[0]):
        return f"the schedule changes what the past is worth: a remembers {a.memory}, b {b.memory}"
    if not np.allclose(a.rate * convert.factor, b.rate):
        return "the learning rates change differently"
    return "they weigh a new gradient differently against the past"


def _convention(a: Filter, b: Filter, factor: float, textbook: list[bool]) -> str:
    """The verdict on two filters that are one method: in which conventions."""
    notes = []
    if not np.isclose(factor, 1, rtol=1e-6):
        decay = float(a.decay[0])
        names = {"(1 − β)": 1 - decay, "1/(1 − β)": 1 / (1 - decay)} if decay else {}
        near = [name for name, value in names.items() if np.isclose(factor, value, rtol=1e-5)]
        notes.append(f"learning rate × {near[0] if near else f'{factor:g}'}")
    elif a.memory != b.memory and a.carry.any():
        notes.append(f"a remembers {a.memory}, b {b.memory}")
    if textbook[0] != textbook[1]:
        ahead, behind = "ba" if textbook[0] else "ab"
        notes.append(f"{ahead} visits the look-ahead points x + μ v of {behind}")
    return f"same method, other convention: {'; '.join(notes)}" if notes else "same method"


def _rounded(optimizer: optimizers.Optimizer, dtype: np.dtype) -> optimizers.Optimizer:
    return jax.tree.map(lambda number: float(np.asarray(number, dtype)), optimizer)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _along(
    objective: Objective,
    steps: int,
    gradient: GradientSide,
    places: tuple[int, int],
    a: optimizers.Optimizer,
    b: optimizers.Optimizer,
    points: Array,
    factor: Array,
    convert: Array,
    carries: Array,
) -> tuple[Array, ...]:
    """What is seen along the path of a, for each start, step and component.

    How far the next points are apart, and the carried steps; the largest number that went into
    them; and how far a is from the free run of b.
    """
    first, second = (Descent(objective, at_gradients(o), gradient) for o in (a, b))
    oracle = objective.value_and_gradient(gradient)

    def body(width: Flat, carry: PyTree, step: PyTree) -> tuple[PyTree, tuple[Array, ...]]:
        point, state_a, state_b, free, state_free = carry
        factor_now, (carry_a, _), (next_a, next_b) = step
        seen = oracle(point)
        before = memory_in(state_a, places[0], point)
        state_b = with_memory(state_b, places[1], factor_now * before)
        update_a, state_a = first.update(point, state_a, *seen)
        update_b, state_b = second.update(point, state_b, *seen)
        moved_a, moved_b = point + update_a, point + update_b / factor
        carried_a = next_a * memory_in(state_a, places[0], point)
        carried_b = next_b * memory_in(state_b, places[1], point)
        # Every number that is added up on the way to the next point and the next memory.
        kept = carry_a * before
        sizes = point, moved_a, update_a, kept, update_a - kept, carried_a
        scale = functools.reduce(jnp.maximum, [jnp.abs(size) for size in sizes])
        update, state_free = second.update(free, state_free, *oracle(free))
        free = free + update / factor
        after = moved_a, state_a, state_b, free, state_free
        apart, carried = jnp.abs(moved_a - moved_b), jnp.abs(carried_a - carried_b)
        return after, (apart, carried, scale, jnp.abs(moved_a - free) / width)

    def path(point: Array) -> tuple[Array, ...]:
        begun = [descent.optimizer.init(point) for descent in (first, second)]
        carry = point, *begun, point, begun[1]
        columns = convert[:-1], carries[:, :-1].T, carries[:, 1:].T
        width = Judge.of(objective, point, DEFAULT_RULE).width
        return jax.lax.scan(functools.partial(body, width), carry, columns)[1]

    return jax.vmap(path)(points)
