"""Certificates that two optimizers are one method: step by step, from the same state.

End points prove nothing: on a chaotic path two roundings of the same method drift apart. So both
are put into the same state at every step of one path, and their next points are compared in units
in the last place. What corresponds is found by asking: two states correspond if, without a
gradient, they would make the same step. That one rule converts between velocities kept as steps
(the textbook, Keras), as sums of gradients (optax, PyTorch) and as moving averages.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from gdjax import optimizers
from gdjax.descent import Precision, as_precision
from gdjax.errors import ArgumentError
from gdjax.objectives import GradientSide, Objective
from gdjax.optimizers import momentum, recipes, schedules

# Two conventions round a step up to seven times, the conversion included, each time by one unit
# at most. Where only the history is the same, 1/(1 − μ) steps of such roundings add up.
LIMITS = {"state": 8.0, "history": 64.0}
PROBES = np.array([[0.75, -1.5], [1.25, 0.5]])  # a memory and a gradient that are not parallel


class Filter(NamedTuple):
    """A momentum method in numbers, one of each a step k: u = p m + q g, and m ← r m + s g.

    Args:
        carry: p, what a unit of memory adds to the update.
        rate: q, what a unit of gradient does; minus the learning rate.
        decay: r, how much of the memory stays.
        gain: s, what a unit of gradient adds to the memory.
    """

    carry: np.ndarray
    rate: np.ndarray
    decay: np.ndarray
    gain: np.ndarray

    @property
    def memory(self) -> str:
        """In which units the past is remembered."""
        gain, decay = float(self.gain[0]), float(self.decay[0])
        if gain == 0:
            return "nothing"
        if np.isclose(gain, 1):
            return "gradients"
        if np.isclose(gain, 1 - decay):
            return "averaged gradients"
        return "steps" if gain < 0 else "gradients in other units"


class Trial(NamedTuple):
    """Two optimizers held against each other along one path from each start.

    Args:
        rate: under which learning rate: ``as given``, or ``decaying``.
        verdict: ``same method``, ``same method, other convention: …`` or ``different``.
        reason: why they differ, where it is known.
        forced: what was made equal at every step: the ``state``, or the ``history`` of points and
            gradients where no conversion between the states is known.
        ulps: largest difference of the next points, in units in the last place of the largest
            of |x|, the step and the carried step, component by component.
        carried: the same for the step that the next state would make without a gradient; 0
            where only the history is the same.
        where: start, step and component of the largest difference.
        steps: how many steps were compared, all starts together; a path ends where it is not
            finite.
        factor: b is a with its learning rate times this.
        drift: largest distance of the two free runs, in widths of the domain.
        drift_step: the first step at which it passes the tolerance, or −1.
    """

    rate: str
    verdict: str
    reason: str
    forced: str
    ulps: float
    carried: float
    where: tuple[int, int, int]
    steps: int
    factor: float
    drift: float
    drift_step: int

    @property
    def same(self) -> bool:
        """Whether the two are one method, in whatever convention."""
        return self.verdict.startswith("same")


class EquivalenceReport(NamedTuple):
    """What ``certify_equivalence`` found; ``str`` of it is a table.

    Args:
        a, b: the two optimizers, as they write themselves.
        objective: name of the objective.
        precision: ``float32`` or ``float64``.
        tolerance: of the free runs, in widths of the domain.
        trials: as given, and under a decaying learning rate where both take one.
    """

    a: str
    b: str
    objective: str
    precision: str
    tolerance: float
    trials: tuple[Trial, ...]

    @property
    def same(self) -> bool:
        """Whether the two, as given, are one method."""
        return self.trials[0].same

    @property
    def verdict(self) -> str:
        """The finding in one sentence."""
        first, *others = (trial.verdict for trial in self.trials)
        apart = self.same and "different" in others
        return f"{first}; different under a schedule" if apart else first

    def __str__(self) -> str:
        rows = [("learning rate", "verdict", "next point", "carried step", "same", "free runs")]
        for trial in self.trials:
            rows.append(
                (
                    trial.rate,
                    trial.verdict.partition(":")[0],
                    f"{trial.ulps:.3g} ulps at step {trial.where[1]}",
                    f"{trial.carried:.3g} ulps",
                    trial.forced,
                    f"{trial.drift:.1e}, "
                    + (f"apart at step {trial.drift_step}" if trial.drift_step >= 0 else "together"),
                )
            )
        lines = [
            f"a = {self.a}",
            f"b = {self.b}",
            f"on {self.objective}, {self.precision}: {self.verdict}",
            table(rows),
        ]
        lines += [f"{t.rate}: {t.reason}" for t in self.trials if t.reason]
        return "\n".join(lines)


def certify_equivalence(
    a: optax.GradientTransformation,
    b: optax.GradientTransformation,
    objective: Objective,
    starts: Any = 3,
    steps: int = 50,
    *,
    seed: int = 0,
    gradient: GradientSide = "autodiff",
    precision: Precision = "float64",
    tolerance: float = 1e-3,
    schedule: bool = True,
) -> EquivalenceReport:
    """Hold two optimizers against each other, step by step from the same state.

    Optimizer a descends; at every step b is put into the state that corresponds to a's, and
    both take the same gradient. Beside that, b descends freely from the same start. Where both
    have a plain learning rate, all this is done once more with one that decays, because
    conventions that agree under a constant rate may part there.

    Args:
        a, b: optax transformations, gdjax's own included.
        objective: what to descend.
        starts: points ``(n, d)``, or how many: the objective's own and others drawn in the domain.
        steps: number of steps, at least 1.
        seed: of the draw.
        gradient: which gradient to follow, ``autodiff`` or ``hand``.
        precision: in which the steps are taken.
        tolerance: from which on the free runs count as apart, in widths of the domain.
        schedule: whether to try a decaying learning rate as well.

    Raises:
        ArgumentError: a start of another dimension, no starts or no steps.

    Example:
        >>> import gdjax
        >>> f = gdjax.objectives.get("qfsp")
        >>> report = certify_equivalence(gdjax.heavy_ball(0.1), optax.sgd(0.1, momentum=0.9), f)
        >>> report.verdict
        'same method, other convention: a remembers steps, b gradients'
    """
    if steps < 1:
        raise ArgumentError(f"steps must be at least 1, got {steps}")
    points = start_points(objective, starts, seed)
    arguments = objective, points, steps, gradient, precision, tolerance
    trials = [_trial("as given", a, b, *arguments)]
    if schedule:
        scheduled = [_decaying(optimizer, steps) for optimizer in (a, b)]
        if None not in scheduled:
            trials.append(_trial("decaying", *scheduled, *arguments))
    return EquivalenceReport(
        _name(a), _name(b), objective.name, precision, tolerance, tuple(trials)
    )


def start_points(objective: Objective, starts: Any, seed: int) -> np.ndarray:
    """Starts ``(n, d)``: the given ones, or n of them, the objective's own first.

    Raises:
        ArgumentError: no starts, or one of another dimension.
    """
    if isinstance(starts, int) and not isinstance(starts, bool):
        if starts < 1:
            raise ArgumentError(f"starts must be at least 1, got {starts}")
        low, high = np.asarray(objective.domain).T
        drawn = np.random.default_rng(seed).uniform(low, high, (starts - 1, objective.dim))
        return np.concatenate([np.asarray(objective.start)[None], drawn])
    points = [objective.check_point(point, "starts") for point in starts]
    if not points:
        raise ArgumentError("starts must name at least one point, got none")
    return np.asarray(points)


def table(rows: list[tuple[str, ...]]) -> str:
    """Rows as aligned text, two spaces between the columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _name(optimizer: optax.GradientTransformation) -> str:
    if isinstance(optimizer, optimizers.Optimizer):
        return repr(optimizer)
    return getattr(optimizer.update, "__qualname__", "optax").partition(".")[0] + "(…)"


def _decaying(optimizer: optax.GradientTransformation, steps: int) -> Any:
    """The same optimizer with a learning rate that halves four times on the way."""
    if not isinstance(optimizer, optimizers.Optimizer):
        return None
    rate = optimizer.hyperparameters.get("learning_rate")
    if not isinstance(rate, float):
        return None
    decay = {"init_value": rate, "transition_steps": max(steps // 4, 1), "decay_rate": 0.5}
    halving = schedules.get("exponential_decay", **decay)
    changed = {**optimizer.hyperparameters, "learning_rate": halving}
    try:
        return optimizers.Optimizer(optimizer.factory, changed)
    except Exception:  # this optimizer takes no schedule
        return None


def _trial(
    label: str,
    a: optax.GradientTransformation,
    b: optax.GradientTransformation,
    objective: Objective,
    points: np.ndarray,
    steps: int,
    gradient: GradientSide,
    precision: Precision,
    tolerance: float,
) -> Trial:
    sides = [optimizers.split(optimizer) for optimizer in (a, b)]
    dtype = np.dtype(precision)
    filters = [_filter(recipe, _rounded(numbers, dtype), steps) for recipe, numbers in sides]
    forced = "history" if None in filters else "state"
    factor, convert, carries = 1.0, np.ones(steps + 1), np.zeros((2, steps + 1))
    if forced == "state":
        first, second = filters
        factor = float(second.rate[0] / first.rate[0]) if first.rate[0] else 1.0
        factor = factor or 1.0
        carries = np.stack([first.carry, second.carry / factor])
        with np.errstate(divide="ignore", invalid="ignore"):
            convert = np.where(carries[1] != 0, carries[0] / carries[1], 0.0)
            gains = second.gain / first.gain  # the same while the rate is constant, less rounded
        convert = np.where(np.isclose(gains, convert, rtol=1e-9), gains, convert)
    (recipe_a, numbers_a), (recipe_b, numbers_b) = sides
    with as_precision(precision):
        found = _along(
            objective, steps, gradient, forced, recipe_a, recipe_b, numbers_a, numbers_b,
            jnp.asarray(points, dtype), jnp.asarray(convert[:-1], dtype),
            jnp.asarray(carries, dtype), jnp.asarray(factor, dtype),
        )  # fmt: skip
        found = _Along(*(np.asarray(x) for x in found))
    # Smaller numbers are flushed to zero, so that no unit is finer than the smallest normal one.
    finest = np.finfo(dtype).tiny / np.finfo(dtype).eps
    unit = np.spacing(np.maximum(found.scale, finest.astype(dtype)))
    valid = np.isfinite(found.scale)
    ulps, carried = (
        np.where(valid, np.nan_to_num(x / unit, nan=np.inf, posinf=np.inf), 0)
        for x in (found.apart, found.carried)
    )
    worst = np.unravel_index(int(ulps.argmax()), ulps.shape)
    drift = np.where(np.isfinite(found.drift), found.drift, 0).max(axis=-1)
    passed = (drift > tolerance).any(axis=0)
    same = max(ulps.max(), carried.max()) <= LIMITS[forced]
    verdict, reason = _verdict(same, filters, factor, convert, sides)
    return Trial(
        rate=label, verdict=verdict, reason=reason, forced=forced,
        ulps=float(ulps.max()), carried=float(carried.max()),
        where=(int(worst[0]), int(worst[1]) + 1, int(worst[2])),
        steps=int(valid.all(axis=-1).sum()), factor=factor,
        drift=float(drift.max()), drift_step=int(passed.argmax()) + 1 if passed.any() else -1,
    )  # fmt: skip


def _verdict(
    same: bool, filters: list[Any], factor: float, convert: np.ndarray, sides: list[Any]
) -> tuple[str, str]:
    """The verdict, and the reason for a difference where the filters tell it."""
    if None in filters:
        return ("same method" if same else "different"), ""
    first, second = filters
    if not same:
        if not np.allclose(first.decay, second.decay):
            return "different", (
                f"a keeps {first.decay[0]:g} of its memory a step, b {second.decay[0]:g}"
            )
        if not np.allclose(convert, convert[0]):
            return "different", (
                f"the schedule changes what the past is worth: a remembers {first.memory}, "
                f"b {second.memory}"
            )
        if not np.allclose(first.rate * factor, second.rate):
            return "different", "the learning rates change differently"
        return "different", "they weigh a new gradient differently against the past"
    notes = []
    if not np.isclose(factor, 1, rtol=1e-6):
        decay = float(first.decay[0])
        names = {1 - decay: "(1 − β)", 1 / (1 - decay): "1/(1 − β)"}
        near = [name for value, name in names.items() if np.isclose(factor, value, rtol=1e-5)]
        notes.append(f"learning rate × {near[0] if near and decay else f'{factor:g}'}")
    elif first.memory != second.memory and first.carry.any():
        notes.append(f"a remembers {first.memory}, b {second.memory}")
    if _is_textbook(sides[0][0]) != _is_textbook(sides[1][0]):
        ahead, behind = ("b", "a") if _is_textbook(sides[0][0]) else ("a", "b")
        notes.append(f"{ahead} visits the look-ahead points x + μ v of {behind}")
    return "same method" + (f", other convention: {'; '.join(notes)}" if notes else ""), ""


def _is_textbook(recipe: Any) -> bool:
    return (
        isinstance(recipe, recipes.Recipe)
        and recipe.factory is momentum.nesterov_textbook.__wrapped__  # type: ignore[attr-defined]
    )


def _rounded(numbers: dict[str, Any], dtype: np.dtype) -> dict[str, float]:
    return {key: float(np.asarray(value, dtype)) for key, value in numbers.items()}


def _joined(recipe: Any, numbers: dict[str, Any]) -> optax.GradientTransformationExtraArgs:
    """The transformation; one in textbook iterates is seen at the points of its gradients."""
    made = optimizers.join(recipe, numbers)
    if not _is_textbook(recipe):
        return made
    mu = numbers["momentum"]

    def update(slope: Any, state: Any, ahead: Any = None, **extra: Any) -> tuple[Any, Any]:
        extra |= {"grad_fn": lambda point: slope}
        point = ahead - mu * state[0].velocity
        step, state = made.update(slope, state, point, **extra)
        return point + step + mu * state[0].velocity - ahead, state

    return optax.GradientTransformationExtraArgs(made.init, update)


def _memory(state: Any, shape: tuple[int, ...]) -> int | None:
    """Which leaf of a state is the memory: the only float one, shaped like the point; −1 if none.

    None if there are several, or others that count.
    """
    floats = [
        (i, leaf.shape)
        for i, leaf in enumerate(jax.tree.leaves(state))
        if jnp.issubdtype(leaf.dtype, jnp.floating)
    ]
    if not floats:
        return -1
    return floats[0][0] if len(floats) == 1 and floats[0][1] == shape else None


def _replace(state: Any, index: int, memory: Array) -> Any:
    leaves, tree = jax.tree.flatten(state)
    if index >= 0:
        leaves[index] = memory
    return jax.tree.unflatten(tree, leaves)


def _filter(recipe: Any, numbers: dict[str, float], steps: int) -> Filter | None:
    """An optimizer as a linear filter, measured in float64 at every step; None if it is none."""
    with as_precision("float64"):
        transformation = _joined(recipe, numbers)
        index = _memory(jax.eval_shape(transformation.init, jnp.ones(2)), (2,))
        if index is None:
            return None
        try:
            measured, residual = _measure(recipe, steps, index, numbers)
        except Exception:  # it needs more than a gradient, and is no filter
            return None
        residual = float(residual)
    return Filter(*np.asarray(measured).T) if residual < 1e-9 else None


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _measure(recipe: Any, steps: int, index: int, numbers: dict[str, float]) -> Any:
    transformation = _joined(recipe, numbers)
    ones, zeros = jnp.ones(2), jnp.zeros(2)

    def respond(state: Any, memory: Any, slope: Any, point: Any) -> tuple[Array, Array, Any]:
        update, after = transformation.update(slope, _replace(state, index, memory), point)
        leaves = jax.tree.leaves(after)
        return update, leaves[index] if index >= 0 else zeros, after

    def body(state: Any, _: None) -> tuple[Any, Any]:
        carry, decay, _after = respond(state, ones, zeros, zeros)
        rate, gain, after = respond(state, zeros, ones, zeros)
        memory, slope = jnp.asarray(PROBES)
        update, kept, _after = respond(state, memory, slope, slope)
        wrong = jnp.abs(carry * memory + rate * slope - update) + jnp.abs(
            decay * memory + gain * slope - kept
        )
        return after, (jnp.stack([carry[0], rate[0], decay[0], gain[0]]), wrong.max())

    _, (measured, wrong) = jax.lax.scan(body, transformation.init(ones), length=steps + 1)
    return measured, wrong.max()


class _Along(NamedTuple):
    """For each start, step and component, what was seen along the path of a."""

    apart: Any
    carried: Any
    scale: Any
    drift: Any


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4, 5))
def _along(
    objective: Objective,
    steps: int,
    gradient: GradientSide,
    forced: str,
    recipe_a: Any,
    recipe_b: Any,
    numbers_a: dict[str, Any],
    numbers_b: dict[str, Any],
    points: Array,
    convert: Array,
    carries: Array,
    factor: Array,
) -> _Along:
    first, second = _joined(recipe_a, numbers_a), _joined(recipe_b, numbers_b)
    oracle = objective.value_and_gradient(gradient)
    width = jnp.asarray(objective.width, points.dtype)

    def updated(transformation: Any, point: Array, state: Any, seen: Any) -> tuple[Array, Any]:
        extra = optimizers.extra_arguments(*seen, objective.fn, lambda p: oracle(p)[1])
        return transformation.update(seen[1], state, point, **extra)

    def memory(state: Any) -> Array:
        index = _memory(state, points.shape[1:]) if forced == "state" else -1
        leaves = jax.tree.leaves(state)
        return leaves[index] if index is not None and index >= 0 else jnp.zeros(points.shape[1])

    def body(carry: Any, step: Any) -> tuple[Any, _Along]:
        point, state_a, state_b, free, state_free = carry
        factor_now, (carry_a, _), (next_a, next_b) = step
        seen = oracle(point)
        before = memory(state_a)
        if forced == "state":
            index = _memory(state_b, point.shape)
            state_b = _replace(state_b, -1 if index is None else index, factor_now * before)
        update_a, state_a = updated(first, point, state_a, seen)
        update_b, state_b = updated(second, point, state_b, seen)
        moved_a, moved_b = point + update_a, point + update_b / factor
        carried_a, carried_b = next_a * memory(state_a), next_b * memory(state_b)
        # Every number that is added up on the way to the next point and the next memory.
        kept = carry_a * before
        sizes = point, moved_a, update_a, kept, update_a - kept, carried_a
        scale = functools.reduce(jnp.maximum, [jnp.abs(size) for size in sizes])
        update, state_free = updated(second, free, state_free, oracle(free))
        free = free + update / factor
        after = moved_a, state_a, state_b, free, state_free
        return after, _Along(
            jnp.abs(moved_a - moved_b),
            jnp.abs(carried_a - carried_b),
            scale,
            jnp.abs(moved_a - free) / width,
        )

    def path(point: Array) -> _Along:
        carry = point, first.init(point), second.init(point), point, second.init(point)
        columns = convert, carries[:, :-1].T, carries[:, 1:].T
        return jax.lax.scan(body, carry, columns)[1]

    return jax.vmap(path)(points)
