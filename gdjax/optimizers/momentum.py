"""gdjax's own optimizers as optax transformations.

Each comes as a rule (``scale_by_…``) and as the rule with a learning rate. The order of the two
is the convention: gdjax applies the learning rate first and remembers *steps*, as the textbook
and Keras do; optax and PyTorch remember *gradients* and apply the learning rate last. The paths
are the same while the learning rate is constant, and differ under a schedule. Two more
conventions that are met in books and code stand beside them; ``gdjax.certify_equivalence`` tells
which is which.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax._util.errors import ArgumentError
from gdjax._util.types import PyTree
from gdjax.optimizers.optimizer import LearningRate, Scalar, own
from gdjax.optimizers.tree import Factory


class Velocity(NamedTuple):
    """The state of the momentum rules: the last step, shaped like the point."""

    velocity: PyTree


def _scale_by_momentum(momentum: Scalar, *, look_ahead: bool) -> optax.GradientTransformation:
    def init(params: PyTree) -> Velocity:
        return Velocity(jax.tree.map(jnp.zeros_like, params))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, Velocity]:
        velocity = jax.tree.map(lambda v, u: momentum * v + u, state.velocity, updates)
        ahead = (
            jax.tree.map(lambda v, u: momentum * v + u, velocity, updates)
            if look_ahead
            else velocity
        )
        return ahead, Velocity(velocity)

    return optax.GradientTransformation(init, update)


def scale_by_heavy_ball(momentum: Scalar) -> optax.GradientTransformation:
    """Polyak's momentum on steps: v ← μ v + u, and the update is v.

    Args:
        momentum: μ, in [0, 1).

    Example:
        >>> rule = optax.chain(optax.scale_by_learning_rate(0.1), scale_by_heavy_ball(0.9))

    Reference:
        Polyak 1964, Some methods of speeding up the convergence of iteration methods, p. 12.
    """
    return _scale_by_momentum(momentum, look_ahead=False)


def scale_by_nesterov(momentum: Scalar) -> optax.GradientTransformation:
    """Nesterov's momentum on steps: v ← μ v + u, and the update is μ v + u.

    The points that it visits are the look-ahead points, where the gradient is taken.

    Args:
        momentum: μ, in [0, 1).

    Reference:
        Sutskever et al. 2013, On the importance of initialization and momentum, eq. 3-4.
    """
    return _scale_by_momentum(momentum, look_ahead=True)


@own
def gradient_descent(learning_rate: LearningRate) -> optax.GradientTransformation:
    """Plain gradient descent: x ← x − α ∇f(x).

    Args:
        learning_rate: α > 0; a number, a traced value or an optax schedule.

    Returns:
        An optax transformation.

    Raises:
        ArgumentError: a learning rate that is not positive and finite.

    Example:
        >>> gradient_descent(0.1)
        gradient_descent(learning_rate=0.1)
    """
    return optax.scale_by_learning_rate(learning_rate)


@own
def heavy_ball(learning_rate: LearningRate, momentum: Scalar = 0.9) -> optax.GradientTransformation:
    """Momentum as a heavy ball: v ← μ v − α ∇f(x), x ← x + v.

    The velocity is a step, as in Keras. ``optax.sgd(momentum=)`` and PyTorch keep it in gradient
    units, v ← μ v + ∇f(x), x ← x − α v: the same path while α is constant, another one under a
    schedule, where gdjax's past steps keep the learning rate that they were made with.

    Args:
        learning_rate: α > 0; a number, a traced value or an optax schedule.
        momentum: μ, in [0, 1).

    Returns:
        An optax transformation.

    Raises:
        ArgumentError: a learning rate that is not positive, or a momentum outside [0, 1).

    Example:
        >>> heavy_ball(0.1, momentum=0.5)
        heavy_ball(learning_rate=0.1, momentum=0.5)

    Reference:
        Polyak 1964, Some methods of speeding up the convergence of iteration methods, p. 12.
    """
    return optax.chain(optax.scale_by_learning_rate(learning_rate), scale_by_heavy_ball(momentum))


@own
def nesterov(learning_rate: LearningRate, momentum: Scalar = 0.9) -> optax.GradientTransformation:
    """Nesterov's momentum: v ← μ v − α ∇f(y), y ← y + μ v − α ∇f(y).

    The points y are the look-ahead points x + μ v of the textbook's form, as in
    ``optax.sgd(nesterov=True)``; the velocity is a step, as in ``heavy_ball``.

    Args:
        learning_rate: α > 0; a number, a traced value or an optax schedule.
        momentum: μ, in [0, 1).

    Returns:
        An optax transformation.

    Raises:
        ArgumentError: a learning rate that is not positive, or a momentum outside [0, 1).

    Example:
        >>> nesterov(0.1)
        nesterov(learning_rate=0.1, momentum=0.9)

    Reference:
        Sutskever et al. 2013, On the importance of initialization and momentum, eq. 3-4.
    """
    return optax.chain(optax.scale_by_learning_rate(learning_rate), scale_by_nesterov(momentum))


@own
def averaged_momentum(
    learning_rate: LearningRate, momentum: Scalar = 0.9
) -> optax.GradientTransformation:
    """Momentum as a moving average: m ← μ m + (1 − μ) ∇f(x), x ← x − α m.

    The heavy ball with learning rate α (1 − μ); the form of Adam's first moment, and of PyTorch's
    SGD with ``dampening=momentum``, but for its first step.

    Args:
        learning_rate: α > 0; a number, a traced value or an optax schedule.
        momentum: μ, in [0, 1).

    Returns:
        An optax transformation.

    Raises:
        ArgumentError: a learning rate that is not positive, or a momentum outside [0, 1).

    Reference:
        Kingma & Ba 2015, Adam: a method for stochastic optimization, alg. 1.
    """
    return optax.chain(
        optax.ema(momentum, debias=False),  # pyright: ignore  # a traced decay is fine
        optax.scale_by_learning_rate(learning_rate),
    )


class TextbookVelocity(NamedTuple):
    """The state of ``nesterov_textbook``: the last step, shaped like the point."""

    velocity: PyTree


@own
def nesterov_textbook(
    learning_rate: LearningRate, momentum: Scalar = 0.9
) -> optax.GradientTransformation:
    """Nesterov's momentum in the textbook's iterates: v ← μ v − α ∇f(x + μ v), x ← x + v.

    The gradient is taken ahead of the point, so that the update must be handed the gradient
    function, as ``gdjax.descend`` does. ``nesterov`` visits the points x + μ v of this one.

    Args:
        learning_rate: α > 0; a number, a traced value or an optax schedule.
        momentum: μ, in [0, 1).

    Returns:
        An optax transformation whose ``update`` needs ``grad_fn``.

    Raises:
        ArgumentError: a learning rate that is not positive, or a momentum outside [0, 1).

    Reference:
        Sutskever et al. 2013, On the importance of initialization and momentum, eq. 3-4.
    """
    rate = optax.scale_by_learning_rate(learning_rate)

    def init(params: PyTree) -> tuple[TextbookVelocity, PyTree]:
        return TextbookVelocity(jax.tree.map(jnp.zeros_like, params)), rate.init(params)

    def update(
        updates: PyTree,
        state: PyTree,
        params: PyTree = None,
        *,
        grad_fn: Factory | None = None,
        **extra: object,
    ) -> tuple[PyTree, tuple[TextbookVelocity, PyTree]]:
        if grad_fn is None:
            raise ArgumentError("nesterov_textbook.update needs grad_fn: point → gradient")
        ahead = jax.tree.map(lambda x, v: x + momentum * v, params, state[0].velocity)
        step, rate_state = rate.update(grad_fn(ahead), state[1], params)
        velocity = jax.tree.map(lambda v, u: momentum * v + u, state[0].velocity, step)
        return velocity, (TextbookVelocity(velocity), rate_state)

    return optax.GradientTransformationExtraArgs(init, update)
