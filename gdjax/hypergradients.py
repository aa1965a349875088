"""Derivatives of where a descent ends in its own learning rate, momentum and other numbers."""

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from gdjax import optimizers
from gdjax._descent.loop import Descent, State
from gdjax._inputs import (
    DType,
    ObjectiveLike,
    as_count,
    as_objective,
    cannot_descend,
    default_dtype,
    objective_at,
)
from gdjax._util import arguments, lazy
from gdjax._util.display import Card, shown
from gdjax._util.errors import ArgumentError, check_known
from gdjax._util.memory import check_fits
from gdjax.objectives import GradientSide, Objective, validate
from gdjax.optimizers.limits import SHARES
from gdjax.optimizers.tree import bare
from gdjax.starts import given_or_drawn

__all__ = ["Hypergradient", "TuningResult", "hypergradient", "tune_by_gradient"]

__dir__: Callable[[], list[str]] = lazy.listing(globals())

# A derivative is of use if it tells what a change does that somebody would make: here one of a
# thousandth of the value, up to a factor of two, which leaves room for plain curvature.
COARSE = 1e-3
AGREEMENT = 0.5
CHAOTIC = 10.0  # beside which a displacement of 0.1 % is no longer small


@shown
class Hypergradient(NamedTuple):
    """What a small change of each hyperparameter does to the final value.

    Args:
        value: the final value.
        gradient: its derivative in each hyperparameter, by autodiff through all steps.
        difference: the difference quotient over a change of one in a thousand, in float64.
        growth: how many times larger a small displacement of the start becomes at most, on the
            way; the measure of chaos.
        unreliable: the hyperparameters whose derivative is not that quotient, even roughly.
    """

    value: float
    gradient: dict[str, float]
    difference: dict[str, float]
    growth: float
    unreliable: tuple[str, ...]

    @property
    def warning(self) -> str:
        """Why the derivative means nothing, or an empty string if it does mean something."""
        if not self.unreliable:
            return ""
        if not math.isfinite(self.value):
            why = "the path ends nowhere finite"
        elif self.growth > CHAOTIC:
            why = f"the path is chaotic, a displacement of its start grows {self.growth:.1e} times"
        else:
            why = "the path crosses a kink, or the border of a basin"
        return (
            f"the derivative in {', '.join(self.unreliable)} does not tell what a change of 0.1 % "
            f"does: {why}"
        )

    def __str__(self) -> str:
        slopes = (
            f"d/d {name}: {slope:.6g}; over 0.1 %: {self.difference[name]:.6g}"
            for name, slope in self.gradient.items()
        )
        return "\n".join([f"final value {self.value:.8g}", *slopes, *filter(None, [self.warning])])

    def _card(self) -> Card:
        rows = [("hyperparameter", "derivative", "over 0.1 %", "")]
        for name, slope in self.gradient.items():
            doubt = "unreliable" if name in self.unreliable else ""
            rows.append((name, f"{slope:.6g}", f"{self.difference[name]:.6g}", doubt))
        facts = {"growth": f"{self.growth:.3g}", "warning": self.warning}
        return Card(f"Hypergradient of the final value {self.value:.6g}", facts, rows)


def hypergradient(
    objective: ObjectiveLike,
    optimizer: Any,
    start: Any = None,
    steps: int = 100,
    *,
    wrt: tuple[str, ...] | None = None,
    gradient: GradientSide = "autodiff",
    dtype: DType | None = None,
) -> Hypergradient:
    """Differentiate the final value of a descent in its hyperparameters.

    Forward mode, through the compiled descent. Where the path is chaotic the derivative is right,
    and yet says nothing about any change that can be made: a ``RuntimeWarning`` says so. Of a
    schedule-free method or an average, the final value is that at its evaluation point.

    Args:
        objective: what to descend: an ``Objective``, the name of one, or a function of a point.
        optimizer: one with numbers: made by gdjax, a factory such as ``optax.adam``, or a name.
        start: the first point, ``(d,)``; by default the objective's own.
        steps: number of steps, at least 1.
        wrt: which hyperparameters; by default the learning rate and the momentum, as far as the
            optimizer has them.
        gradient: which gradient to follow, ``autodiff`` or ``hand``.
        dtype: ``float32`` or ``float64``; by default as JAX is configured.

    Raises:
        ArgumentError: an unknown hyperparameter or one that cannot be traced, no steps, a start
            of another dimension.

    Example:
        On the parabola x² a step multiplies by 1 − 2α, so that f = x₀² (1 − 2α)^{2N}.

        >>> import gdjax
        >>> f = gdjax.objectives.get("parabola")
        >>> found = hypergradient(f, gdjax.gradient_descent(0.1), [1.0], steps=3)
        >>> f"{found.gradient['learning_rate']:.6f}"  # −12 (1 − 2α)⁵
        '-3.932160'

    Reference:
        Maclaurin, Duvenaud & Adams 2015, Gradient-based hyperparameter optimization through
        reversible learning, sec. 4; Metz et al. 2021, Gradients are not all you need.
    """
    steps = as_count("steps", steps, 1)
    objective = as_objective(objective, start)
    _check_memory(1, steps, objective.dim)
    point = objective.check_point(objective.start if start is None else start)
    with default_dtype(dtype):
        validate(objective, at=point)
        objective = objective.cast(jnp.result_type(float))
        optimizer, chosen = _chosen(optimizer, wrt)
        at = jnp.asarray(point, dtype=float)
        try:
            found = _differentiated(objective, steps, gradient, optimizer, chosen, at)
        except Exception as error:
            cannot_descend(objective, optimizer, error)
    value, slopes, growth = jax.tree.map(float, found)
    eps, difference, unreliable = float(jnp.finfo(at.dtype).eps), {}, []
    for name, number in chosen.items():
        move = COARSE * (abs(number) or 1.0)
        low, high = (
            _end_in_float64(objective, steps, gradient, _with(optimizer, {name: x}), point)
            for x in (number - move, number + move)
        )
        difference[name] = (high - low) / (2 * move)
        sizes = abs(slopes[name]), abs(difference[name])
        # Below these the quotient is rounding but for four digits, and the derivative for two.
        rounding = max(1e4 * np.finfo(float).eps / move, 1e2 * eps / (abs(number) or 1.0))
        limit = max(AGREEMENT * max(sizes), rounding * max(abs(value), 1))
        if not abs(slopes[name] - difference[name]) <= limit:
            unreliable.append(name)
    found = Hypergradient(value, slopes, difference, growth, tuple(unreliable))
    if unreliable:
        warnings.warn(found.warning, RuntimeWarning, stacklevel=2)
    return found


@shown
class TuningResult(NamedTuple):
    """What ``tune_by_gradient`` found.

    Args:
        optimizer: with the best hyperparameters that were met.
        losses: the mean loss over the starts in each round, ``(rounds + 1,)``; infinite where a
            path ends nowhere finite.
        history: the hyperparameters of each round, by name, each ``(rounds + 1,)``.
        unreliable: from how many of the starts the derivative means nothing in the end.
    """

    optimizer: optimizers.Optimizer
    losses: np.ndarray
    history: dict[str, np.ndarray]
    unreliable: int

    def _card(self) -> Card:
        best, rounds = int(np.argmin(self.losses)), len(self.losses) - 1
        rows = [("hyperparameter", "first", "best")]
        rows += [(n, f"{x[0]:.6g}", f"{x[best]:.6g}") for n, x in self.history.items()]
        facts = {
            "loss": f"{self.losses[0]:.6g} → {self.losses[best]:.6g}",
            "best round": f"{best:,} of {rounds:,}",
            "unreliable": f"from {self.unreliable} starts" if self.unreliable else None,
        }
        return Card(f"TuningResult: {self.optimizer}", facts, rows)


def tune_by_gradient(
    objective: ObjectiveLike,
    optimizer: Any,
    starts: Any = 4,
    steps: int = 50,
    *,
    wrt: tuple[str, ...] | None = None,
    rounds: int = 50,
    rate: float = 0.1,
    seed: int = 0,
    gradient: GradientSide = "autodiff",
    dtype: DType | None = None,
) -> TuningResult:
    """Tune hyperparameters by following their own gradient, from a few starts.

    The loss is the mean over the starts of log(f − f*), or of f where the minimum is not known,
    at the last point. Adam follows it in log α, and in logit μ for what lies between 0 and 1.
    A round that ends nowhere finite is taken back, and the next one is shorter.

    Args:
        objective: what to descend: an ``Objective``, the name of one, or a function of a point.
        optimizer: likewise; its hyperparameters are where the search begins.
        starts: points ``(n, d)``, or how many: the objective's own and others drawn in the domain.
        steps: number of steps of each descent.
        wrt: which hyperparameters; by default the learning rate and the momentum.
        rounds: number of rounds.
        rate: learning rate of the search.
        seed: of the draw.
        gradient: which gradient to follow, ``autodiff`` or ``hand``.
        dtype: ``float32`` or ``float64``; by default as JAX is configured.

    Raises:
        ArgumentError: as ``hypergradient`` does, or a number where no search can begin.

    Example:
        >>> import gdjax
        >>> f = gdjax.objectives.get("sphere")
        >>> found = tune_by_gradient(f, gdjax.gradient_descent(0.1), starts=2, steps=5)
        >>> bool(found.losses.min() < found.losses[0] - 5)
        True
    """
    steps, rounds = as_count("steps", steps, 1), as_count("rounds", rounds, 0)
    rate = arguments.number(arguments.POSITIVE)("rate", rate)
    objective = objective_at(objective, starts)
    points = given_or_drawn(objective, starts, arguments.as_seed(seed))
    _check_memory(len(points), steps, objective.dim)
    with default_dtype(dtype):
        validate(objective, at=points[0])
        objective = objective.cast(jnp.result_type(float))
        optimizer, chosen = _chosen(optimizer, wrt)
        at = jnp.asarray(points, dtype=float)
        kinds = tuple((name, _kind(name, number)) for name, number in chosen.items())

        def loss(free: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
            try:
                return _loss(objective, steps, gradient, optimizer, kinds, free, at)
            except Exception as error:
                cannot_descend(objective, optimizer, error)

        losses, history, usable = _searched(loss, kinds, chosen, rounds, rate)
    if not usable:
        what = "have a finite derivative" if np.isfinite(losses).any() else "end at a finite value"
        raise ArgumentError(f"starts must let {optimizer} {what}, and none do")
    numbers = history[int(np.argmin(losses))]
    tuned = _with(optimizer, numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # said once below, for all starts
        checked = functools.partial(hypergradient, wrt=tuple(numbers), gradient=gradient)
        checks = [checked(objective, tuned, point, steps, dtype=dtype) for point in points]
    doubtful = [check for check in checks if check.unreliable]
    if doubtful:
        warnings.warn(
            f"from {len(doubtful)} of {len(points)} starts {doubtful[0].warning}",
            RuntimeWarning,
            stacklevel=2,
        )
    columns = {name: np.array([row[name] for row in history]) for name in numbers}
    return TuningResult(tuned, np.array(losses), columns, len(doubtful))


def _check_memory(starts: int, steps: int, dim: int) -> None:
    """Refuse a derivative whose paths would not fit: reverse mode keeps every step."""
    what = f"a derivative through {steps:,} steps from {starts:,} start{'s' * (starts > 1)}"
    check_fits(4 * 2 * starts * steps * (dim + 1), what, "take fewer")


def _searched(
    loss: Callable[[dict[str, Array]], tuple[Array, dict[str, Array]]],
    kinds: tuple[tuple[str, str], ...],
    chosen: dict[str, float],
    rounds: int,
    rate: float,
) -> tuple[list[float], list[dict[str, float]], bool]:
    """The loss and the hyperparameters of each round, and whether one was of any use.

    Args:
        loss: hyperparameters as they are searched → loss, and its derivatives.
        kinds: how each of them is searched.
        chosen: where the search begins.
        rounds: number of rounds.
        rate: learning rate of the search.
    """
    free = {name: _opened(kind, chosen[name]) for name, kind in kinds}
    search = optax.adam(1.0)
    state, size = search.init(free), rate
    best, best_loss, losses, history = free, np.inf, [], []
    for _ in range(rounds + 1):
        value, slopes = loss(free)
        losses.append(float(value) if np.isfinite(value) else np.inf)
        history.append({name: float(_closed(kind, free[name])) for name, kind in kinds})
        if not np.isfinite([losses[-1], *map(float, slopes.values())]).all():
            size /= 2
            free, state = best, search.init(best)
            continue
        if losses[-1] < best_loss:
            best, best_loss = free, losses[-1]
        moves, state = search.update(slopes, state)
        updates: Any = moves
        free = {name: x + size * updates[name] for name, x in free.items()}
    return losses, history, bool(np.isfinite(best_loss))


def _chosen(
    given: Any, wrt: tuple[str, ...] | None
) -> tuple[optimizers.Optimizer, dict[str, float]]:
    """The optimizer, and the numbers to differentiate in."""
    optimizer = optimizers.as_optimizer(given)
    numbers = optimizer.numbers
    if wrt is None:
        usual = [n for n in numbers if bare(n).partition(".")[0] in ("learning_rate", "momentum")]
        wrt = tuple(usual or numbers)
    if not isinstance(wrt, list | tuple) or not all(isinstance(name, str) for name in wrt):
        raise arguments.refused("wrt", "be names of hyperparameters", wrt)
    if not wrt:
        raise ArgumentError(
            f"optimizer must have numbers to differentiate in, and {optimizer} has none; a name, a "
            f"factory such as optax.adam, or gdjax.optimizers.get('adam', learning_rate=0.1) has"
        )
    for name in wrt:
        if name not in numbers and (name in optimizer.hyperparameters or name in optimizer.stuck):
            raise ArgumentError(optimizers.cannot_trace(optimizer.factory.__name__, name))
        check_known(f"hyperparameter of {optimizer.factory.__name__}", name, numbers)
        if np.ndim(numbers[name]):
            raise ArgumentError(
                f"{name} of {optimizer.factory.__name__} must be one number to be differentiated "
                f"in, got an array of shape {np.shape(numbers[name])}"
            )
    return optimizer, {name: float(numbers[name]) for name in wrt}


def _with(optimizer: optimizers.Optimizer, numbers: dict[str, Any]) -> optimizers.Optimizer:
    """The optimizer with other leaves, which may be traced."""
    leaves, kind = jax.tree.flatten(optimizer)
    named = zip(optimizer.numbers, leaves, strict=True)
    return jax.tree.unflatten(kind, [numbers.get(name, leaf) for name, leaf in named])


@functools.partial(jax.jit, static_argnums=(1, 2))
def _end(
    objective: Objective,
    steps: int,
    gradient: GradientSide,
    optimizer: optimizers.Optimizer,
    start: Array,
) -> tuple[Array, Array]:
    """The last value, at the evaluation point where there is one, and all points but the start."""
    descent = Descent.of(objective, optimizer, gradient)

    def body(state: State, _: None) -> tuple[State, Array]:
        after, _value = descent.step(state)
        return after, after.point

    first = State(start, descent.optimizer.init(start))
    last, points = jax.lax.scan(body, first, length=steps)
    evaluated = descent.eval_point(last)
    return objective.value(last.point if evaluated is None else evaluated), points


def _end_in_float64(
    objective: Objective,
    steps: int,
    gradient: GradientSide,
    optimizer: optimizers.Optimizer,
    start: tuple[float, ...],
) -> float:
    """The last value, as exactly as a difference of two needs it."""
    with default_dtype("float64"):
        given = objective.cast(jnp.result_type(float))
        return float(_end(given, steps, gradient, optimizer, jnp.asarray(start, float))[0])


@functools.partial(jax.jit, static_argnums=(1, 2))
def _differentiated(
    objective: Objective,
    steps: int,
    gradient: GradientSide,
    optimizer: optimizers.Optimizer,
    chosen: dict[str, Array],
    start: Array,
) -> tuple[Array, dict[str, Array], Array]:
    """The last value, its derivatives, and the largest growth of a displacement of the start."""

    def end(chosen: dict[str, Array], start: Array) -> tuple[Array, Array]:
        return _end(objective, steps, gradient, _with(optimizer, chosen), start)

    slopes = jax.jacfwd(lambda chosen: end(chosen, start)[0])(chosen)
    aside = 1 / jnp.sqrt(jnp.arange(1.0, 1 + start.size))  # no axis, and no diagonal
    aside = (aside / jnp.linalg.norm(aside)).astype(start.dtype)
    (value, _), (_, moved) = jax.jvp(lambda start: end(chosen, start), (start,), (aside,))
    return value, slopes, jnp.max(jnp.linalg.norm(moved, axis=1))


@functools.partial(jax.jit, static_argnums=(1, 2, 4))
def _loss(
    objective: Objective,
    steps: int,
    gradient: GradientSide,
    optimizer: optimizers.Optimizer,
    kinds: tuple[tuple[str, str], ...],
    free: dict[str, Array],
    starts: Array,
) -> tuple[Array, dict[str, Array]]:
    def loss(free: dict[str, Array]) -> tuple[Array, Array]:
        chosen = {name: _closed(kind, free[name]) for name, kind in kinds}
        ends = jax.vmap(
            lambda start: _end(objective, steps, gradient, _with(optimizer, chosen), start)[0]
        )(starts)
        if objective.fmin is not None:
            rounding = jnp.finfo(ends.dtype).eps * (1 + abs(objective.fmin))
            gap = ends - objective.fmin
            ends = jnp.log(jnp.where(gap < rounding, rounding, gap))  # where, so that NaN stays
        return jnp.mean(ends), jnp.mean(ends)

    slopes, value = jax.jacfwd(loss, has_aux=True)(free)
    return value, slopes


def _kind(name: str, number: float) -> str:
    """How a hyperparameter is searched: a share between 0 and 1, a positive number, or any."""
    if bare(name).rpartition(".")[2] in SHARES:
        if not 0 < number < 1:
            raise ArgumentError(f"{name} must lie between 0 and 1 to be tuned, got {number:g}")
        return "share"
    return "positive" if number > 0 else "any"


def _opened(kind: str, number: float) -> Array:
    x = jnp.asarray(number, dtype=float)
    return {"share": jax.scipy.special.logit, "positive": jnp.log, "any": jnp.asarray}[kind](x)


def _closed(kind: str, x: Array) -> Array:
    return {"share": jax.nn.sigmoid, "positive": jnp.exp, "any": jnp.asarray}[kind](x)
