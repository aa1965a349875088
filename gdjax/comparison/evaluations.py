"""Curves of descents: the best value after each evaluation, ``(descents, budget)``.

One evaluation is one visit: the value at a point, and the gradient there if the method asks for it.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdjax import optimizers
from gdjax._descent.loop import Descent, State
from gdjax._descent.structured import Points, over_vectors, points_of
from gdjax._inputs import DType, default_dtype
from gdjax._sweep.plan import plan
from gdjax._sweep.runner import Runner
from gdjax._util.errors import ArgumentError
from gdjax._util.types import PyTree
from gdjax.comparison import external
from gdjax.comparison.external import ExternalSolver
from gdjax.objectives import GradientSide, Objective
from gdjax.optimizers.optimizer import trial_bowl, trial_step

BLOCK = 2**26  # bytes of recorded paths at a time

Entrant = optimizers.Optimizer | ExternalSolver


class Block(NamedTuple):
    """Some of the descents, which are numbered with the starts slowest and the settings fastest.

    Args:
        cells: which ones, by number.
        best: the lowest value up to each evaluation, ``(n, budget)``.
        functions, gradients: how many were evaluated in all n.
        stuck: whether a line search found no lower point in the end, ``(n,)``.
    """

    cells: slice
    best: np.ndarray
    functions: int
    gradients: int
    stuck: np.ndarray


def curves(
    entrant: Entrant,
    objective: Objective,
    starts: np.ndarray,
    settings: Mapping[str, np.ndarray],
    budget: int,
    gradient: GradientSide,
    dtype: DType,
) -> Iterator[Block]:
    """Descend from every start with every setting, until the budget is spent.

    Args:
        entrant: an optimizer made by gdjax, or an external solver.
        objective: what to descend.
        starts: ``(n, d)``.
        settings: hyperparameters by name, each ``(k,)``; empty for the optimizer as it is.
        budget: evaluations of each descent.
        gradient: which gradient to follow.
        dtype: ``float32`` or ``float64``.
    """
    if isinstance(entrant, ExternalSolver):
        found = external.run(entrant, objective, starts, budget, gradient, dtype)
        counts = int(found.functions.sum()), int(found.gradients.sum())
        never = np.zeros(len(starts), bool)
        yield Block(slice(0, len(starts)), best_so_far(found.values), *counts, never)
    elif any(visits(entrant, points_of(entrant, objective))):
        yield _step_by_step(entrant, objective, starts, settings, budget, gradient, dtype)
    else:
        each = 2 * 8 * (objective.dim + 1) * budget
        axis = {tuple(settings): tuple(settings.values())} if settings else {}
        asked = plan(
            objective, entrant, starts, axis,
            budget - 1, save_at="all", stopping=False, classify_rest=False, gradient=gradient,
            dtype=dtype, chunk=max(BLOCK // each, 1),
        )  # fmt: skip
        runner = Runner(asked)
        for index in range(asked.chunks):
            arrays = runner(index)
            spent = int(arrays["evaluations"].sum(dtype=np.int64))
            best = best_so_far(_counted(objective, arrays, dtype))
            never = np.zeros(len(best), bool)
            yield Block(slice(*asked.bounds(index)), best, spent, spent, never)


def _counted(objective: Objective, arrays: Mapping[str, np.ndarray], dtype: DType) -> np.ndarray:
    """What counts at each recorded point, ``(n, budget)``: the value, or the metric's negative."""
    target = objective.target
    if target is None or not target.metric:
        return arrays["values"]
    with default_dtype(dtype):
        given = objective.cast(dtype)
        return -np.stack([np.asarray(_measured(given, path)) for path in arrays["points"]])


@jax.jit
def _measured(objective: Objective, points: jax.Array) -> jax.Array:
    return jax.vmap(objective.measured)(points)


def evaluations_to(best: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Evaluations until a descent has met its targets, infinite where it never does.

    Args:
        best: the lowest value up to each evaluation, ``(n, budget)``.
        targets: the values to come down to, ``(n, t)``.

    Returns:
        ``(n, t)``.

    Example:
        >>> evaluations_to(np.array([[9.0, 4.0, 4.0, 1.0]]), np.array([[9.0, 2.0, 0.5]]))
        array([[ 1.,  4., inf]])
    """
    above = [(best > column[:, None]).sum(axis=1) for column in targets.T]
    counts = np.stack(above, axis=1).astype(float)
    return np.where(counts < best.shape[1], counts + 1, np.inf)


def best_so_far(values: np.ndarray) -> np.ndarray:
    """The lowest value up to each evaluation, in float64; NaN is no value."""
    return np.minimum.accumulate(np.where(np.isnan(values), np.inf, values), axis=-1, dtype=float)


class Visits(NamedTuple):
    """How the evaluations of an optimizer are counted.

    Args:
        searches: whether it evaluates the objective more than once a step, in a line search.
        elsewhere: whether it is evaluated at another point than the one it stands at.
    """

    searches: bool
    elsewhere: bool


@functools.lru_cache(maxsize=256)
def visits(optimizer: optimizers.Optimizer, points: Points | None = None) -> Visits:
    """How the evaluations of an optimizer are counted; nothing is compiled.

    Args:
        optimizer: made by gdjax.
        points: as ``points_of`` tells, where they are no plain vectors.

    Raises:
        ArgumentError: it evaluates the objective more than once, without telling how often.
        Exception: whatever optax raises at such points.

    Example:
        >>> visits(optimizers.get("schedule_free_sgd"))
        Visits(searches=False, elsewhere=True)
    """
    calls = []

    def bowl(point: jax.Array) -> jax.Array:
        calls.append(point)
        return trial_bowl(point)

    made, dim = over_vectors(optimizer, points), points.size if points else 2
    _, state = jax.eval_shape(lambda: trial_step(made, bowl, dim))
    if calls and not optimizers.has_line_search(state):
        raise ArgumentError(
            f"{optimizer.factory.__name__} cannot be ranked: it evaluates the objective more than "
            f"once a step, and does not tell how often"
        )
    return Visits(bool(calls), optimizers.has_eval_point(state))


def _step_by_step(
    optimizer: optimizers.Optimizer,
    objective: Objective,
    starts: np.ndarray,
    settings: Mapping[str, np.ndarray],
    budget: int,
    gradient: GradientSide,
    dtype: DType,
) -> Block:
    """The curves of an optimizer that counts its own evaluations, or is evaluated elsewhere.

    A step costs what its line search evaluates: the last of these serves the next step. To look
    at the evaluation point costs nothing: the method does not.
    """
    many = max([len(column) for column in settings.values()], default=1)
    with default_dtype(dtype):
        cells = np.repeat(starts, many, axis=0)
        given = {name: jnp.tile(jnp.asarray(v, float), len(starts)) for name, v in settings.items()}
        numbers = [
            given.get(name, jnp.broadcast_to(number, (len(cells), *np.shape(number))))
            for name, number in optimizer.numbers.items()
        ]
        made = optimizers.Optimizer.of_parts(optimizer.parts[0], numbers)
        seen = _steps(objective.cast(dtype), made, jnp.asarray(cells, float), budget, gradient)
        met, costs, stuck = map(np.asarray, seen)
    values = np.full((len(cells), budget), np.inf)
    at = np.cumsum(np.insert(costs, 0, 1, axis=1)[:, :-1], axis=1) - 1  # when each value is known
    rows, columns = np.nonzero(at < budget)
    values[rows, at[rows, columns]] = met[rows, columns]
    last = (at < budget).sum(axis=1) - 1
    spent = int(np.minimum(costs.sum(axis=1) + 1, budget).sum())
    every = slice(0, len(cells))
    return Block(every, best_so_far(values), spent, spent, stuck[np.arange(len(cells)), last])


@functools.partial(jax.jit, static_argnums=(3, 4))
def _steps(
    objective: Objective,
    optimizers_by_cell: optimizers.Optimizer,
    starts: jax.Array,
    budget: int,
    gradient: GradientSide,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The value before each step, what the step costs, and whether it is stuck: ``(n, budget)``."""

    def path(
        optimizer: optimizers.Optimizer, start: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        descent = Descent.of(objective, optimizer, gradient, stops=False)

        def body(state: State, _: None) -> tuple[State, tuple[jax.Array, jax.Array, jax.Array]]:
            after, value = descent.step(state, jnp.int32(budget))
            moving = after.cell.running & ~after.cell.converged
            stuck = moving & descent.stuck(state, value, state.cell.best)
            evaluated = descent.eval_point(state)
            target, at = objective.target, state.point if evaluated is None else evaluated
            if target is not None and target.metric:
                value = -objective.measured(at)
            elif evaluated is not None:
                value = objective.value(at)
            counts = jnp.where(after.cell.running, value, jnp.inf)
            return after, (counts, _cost(after.optimizer), stuck)

        return jax.lax.scan(body, descent.init_cell(start), length=budget)[1]

    return jax.vmap(path)(optimizers_by_cell, starts)


def _cost(state: PyTree) -> jax.Array:
    """How many evaluations the step that led to a state took."""
    if not optimizers.has_line_search(state):
        return jnp.int32(1)
    return jnp.maximum(optax.tree_utils.tree_get(state, "num_linesearch_steps"), 1)
