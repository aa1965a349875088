"""Optimizers whose result is another point than the one they stand at: their evaluation point.

Schedule-free methods take gradients at one sequence of points and are evaluated at another, an
average; whoever averages the points of any other method evaluates the average. What knows such a
point is a part of the optimizer's state, wherever it lies in chains and wrappers: optax's
``ScheduleFreeState``, and every state that has a method ``eval_point``: point → point.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from gdjax._util.types import Function, PyTree
from gdjax.optimizers.optimizer import Scalar, own


def eval_point(state: PyTree, point: PyTree) -> PyTree | None:
    """Where an optimizer is evaluated, or None where that is the point itself.

    Args:
        state: of the optimizer.
        point: where it stands.

    Example:
        >>> both = optax.chain(optax.clip(1.0), optax.contrib.schedule_free_sgd(0.1))
        >>> eval_point(both.init(jnp.ones(2)), jnp.ones(2)).tolist()
        [1.0, 1.0]
        >>> eval_point(optax.adam(0.1).init(jnp.ones(2)), jnp.ones(2)) is None
        True
    """
    parts = [part for part in jax.tree.leaves(state, is_leaf=_knows) if _knows(part)]
    found = point
    for part in parts:
        if isinstance(part, optax.contrib.ScheduleFreeState):
            found = _where_kept(lambda z, y, b1=part.b1: (y - (1 - b1) * z) / b1, part.z, found)
        else:
            found = part.eval_point(found)
    return found if parts else None


def _knows(part: PyTree) -> bool:
    """Whether a part of a state knows an evaluation point."""
    return isinstance(part, optax.contrib.ScheduleFreeState) or hasattr(part, "eval_point")


def _where_kept(function: Function, kept: PyTree, point: PyTree) -> PyTree:
    """The function of what a state keeps and the point, leaf by leaf; of masked ones the point."""

    def masked(leaf: PyTree) -> bool:
        return isinstance(leaf, optax.MaskedNode)

    def at(leaf: PyTree, x: PyTree) -> PyTree:
        return x if masked(leaf) else function(leaf, x)

    return jax.tree.map(at, kept, point, is_leaf=masked)


class MeanOfPoints(NamedTuple):
    """The state of ``mean_of_points``: the mean of the points before this one, and their number."""

    mean: PyTree
    count: Int[Array, ""]

    def eval_point(self, point: PyTree) -> PyTree:
        """The mean with this point."""
        return _where_kept(lambda m, x: m + (x - m) / (self.count + 1), self.mean, point)


@own
def mean_of_points() -> optax.GradientTransformation:
    """Polyak-Ruppert averaging: beside the descent, the mean of its points, the start included.

    It changes no update and is evaluated at the mean; it may stand anywhere in a chain.

    Returns:
        An optax transformation.

    Example:
        >>> import gdjax
        >>> f, mean = gdjax.objectives.get("parabola"), mean_of_points()
        >>> averaged = gdjax.optimizers.chain(gdjax.gradient_descent(0.25), mean=mean)
        >>> path = gdjax.descend(f, averaged, start=[8.0], steps=2)
        >>> path.points[:, 0].tolist(), f"{path.eval_point[0]:.4f}"
        ([8.0, 4.0, 2.0], '4.6667')

    Reference:
        Polyak & Juditsky 1992, Acceleration of stochastic approximation by averaging, eq. 2.
    """

    def init(params: PyTree) -> MeanOfPoints:
        return MeanOfPoints(jax.tree.map(jnp.zeros_like, params), jnp.int32(0))

    def update(
        updates: PyTree, state: MeanOfPoints, params: PyTree = None
    ) -> tuple[PyTree, MeanOfPoints]:
        return updates, MeanOfPoints(state.eval_point(params), state.count + 1)

    return optax.GradientTransformation(init, update)


class EmaOfPoints(NamedTuple):
    """The state of ``ema_of_points``: the average up to the point before this one."""

    average: PyTree
    decay: Scalar

    def eval_point(self, point: PyTree) -> PyTree:
        """The average with this point."""
        return _where_kept(lambda m, x: self.decay * m + (1 - self.decay) * x, self.average, point)


@own
def ema_of_points(decay: Scalar = 0.99) -> optax.GradientTransformation:
    """An exponential moving average of the points: x̄ ← δ x̄ + (1 − δ) x, from the start on.

    It changes no update and is evaluated at the average; it may stand anywhere in a chain.

    Args:
        decay: δ, in [0, 1).

    Returns:
        An optax transformation.

    Example:
        >>> import gdjax
        >>> f, ema = gdjax.objectives.get("parabola"), ema_of_points(0.5)
        >>> averaged = gdjax.optimizers.chain(gdjax.gradient_descent(0.25), ema=ema)
        >>> path = gdjax.descend(f, averaged, start=[8.0], steps=2)
        >>> path.points[:, 0].tolist(), path.eval_point.tolist()
        ([8.0, 4.0, 2.0], [4.0])
    """

    def init(params: PyTree) -> EmaOfPoints:
        return EmaOfPoints(params, jnp.asarray(decay))

    def update(
        updates: PyTree, state: EmaOfPoints, params: PyTree = None
    ) -> tuple[PyTree, EmaOfPoints]:
        return updates, state._replace(average=state.eval_point(params))

    return optax.GradientTransformation(init, update)
