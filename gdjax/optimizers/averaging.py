"""Averages of the points of any optimizer, as transformations that change no update."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from gdjax._util.types import PyTree
from gdjax.optimizers.evaluation import where_kept
from gdjax.optimizers.optimizer import Scalar, own


class MeanOfPoints(NamedTuple):
    """The state of ``mean_of_points``: the mean of the points before this one, and their number."""

    mean: PyTree
    seen: Int[Array, ""]

    def eval_point(self, point: PyTree) -> PyTree:
        """The mean with this point."""
        return where_kept(lambda m, x: m + (x - m) / (self.seen + 1), self.mean, point)


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
        updates: PyTree, state: PyTree, params: PyTree = None
    ) -> tuple[PyTree, MeanOfPoints]:
        return updates, MeanOfPoints(state.eval_point(params), state.seen + 1)

    return optax.GradientTransformation(init, update)


class EmaOfPoints(NamedTuple):
    """The state of ``ema_of_points``: the average up to the point before this one."""

    average: PyTree
    decay: Scalar

    def eval_point(self, point: PyTree) -> PyTree:
        """The average with this point."""
        return where_kept(lambda m, x: self.decay * m + (1 - self.decay) * x, self.average, point)


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

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, EmaOfPoints]:
        return updates, state._replace(average=state.eval_point(params))

    return optax.GradientTransformation(init, update)
