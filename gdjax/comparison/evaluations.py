"""Curves of descents: the best value after each evaluation, ``(descents, budget)``.

One evaluation is one visit: the value at a point, and the gradient there if the method asks for it.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdjax import optimizers
from gdjax._descent.loop import Descent, State
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
    """

    cells: slice
    best: np.ndarray
    functions: int
    gradients: int


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
        yield Block(slice(0, len(starts)), best_so_far(found.values), *counts)
    elif searches_line(entrant):
        values, spent = _line_search(entrant, objective, starts, settings, budget, gradient, dtype)
        yield Block(slice(0, len(values)), best_so_far(values), spent, spent)
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
            best = best_so_far(arrays["values"])
            yield Block(slice(*asked.bounds(index)), best, spent, spent)


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


def searches_line(optimizer: optimizers.Optimizer) -> bool:
    """Whether an optimizer evaluates the objective more than once a step, in a line search.

    Raises:
        ArgumentError: it does, without telling how often.
    """
    calls = []

    def bowl(point: jax.Array) -> jax.Array:
        calls.append(point)
        return trial_bowl(point)

    _, state = jax.eval_shape(lambda: trial_step(optimizer, bowl))
    if not calls:
        return False
    if not optimizers.has_line_search(state):
        raise ArgumentError(
            f"{optimizer.factory.__name__} cannot be ranked: it evaluates the objective more than "
            f"once a step, and does not tell how often"
        )
    return True


def _searched(state: PyTree) -> PyTree:
    return optax.tree_utils.tree_get(state, "num_linesearch_steps")


def _line_search(
    optimizer: optimizers.Optimizer,
    objective: Objective,
    starts: np.ndarray,
    settings: Mapping[str, np.ndarray],
    budget: int,
    gradient: GradientSide,
    dtype: DType,
) -> tuple[np.ndarray, int]:
    """The curves of an optimizer that counts its own evaluations, and how many there were.

    A step costs what its line search evaluates: the last of these serves the next step.
    """

    def descend(
        objective: Objective, start: jax.Array, given: dict[str, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        made = optimizer.replace(**given)
        descent = Descent(objective, made, gradient)

        def body(state: State, _: None) -> tuple[State, tuple[jax.Array, jax.Array]]:
            after, value = descent.step(state)
            return after, (value, jnp.maximum(_searched(after.optimizer), 1))

        return jax.lax.scan(body, State(start, made.init(start)), length=budget)[1]

    many = max([len(column) for column in settings.values()], default=1)
    with default_dtype(dtype):
        cells = np.repeat(starts, many, axis=0)
        given = {name: jnp.tile(jnp.asarray(v, float), len(starts)) for name, v in settings.items()}
        run = jax.jit(jax.vmap(descend, in_axes=(None, 0, 0)))
        met, costs = map(np.asarray, run(objective, jnp.asarray(cells, float), given))
    values = np.full((len(cells), budget), np.inf)
    at = np.cumsum(np.insert(costs, 0, 1, axis=1)[:, :-1], axis=1) - 1  # when each value is known
    rows, columns = np.nonzero(at < budget)
    values[rows, at[rows, columns]] = met[rows, columns]
    return values, int(np.minimum(costs.sum(axis=1) + 1, budget).sum())
