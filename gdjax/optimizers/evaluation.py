"""Where an optimizer is evaluated, if that is another point than the one it stands at.

Schedule-free methods take gradients at one sequence of points and are evaluated at another, an
average; lookahead is evaluated at its slow point. What knows such a point is a part of the
optimizer's state, wherever it lies in chains and wrappers: optax's ``ScheduleFreeState``, and every
state that has a method ``eval_point``: point → point.
"""

import inspect
from typing import NamedTuple

import jax
import optax

from gdjax._util.types import Function, PyTree


def eval_point(state: PyTree, point: PyTree) -> PyTree | None:
    """Where an optimizer is evaluated, or None where that is the point itself.

    Args:
        state: of the optimizer.
        point: where it stands.

    Example:
        >>> import jax.numpy as jnp
        >>> both = optax.chain(optax.clip(1.0), optax.contrib.schedule_free_sgd(0.1))
        >>> eval_point(both.init(jnp.ones(2)), jnp.ones(2)).tolist()
        [1.0, 1.0]
        >>> eval_point(optax.adam(0.1).init(jnp.ones(2)), jnp.ones(2)) is None
        True
    """
    if not has_eval_point(state):
        return None
    found = point
    for part in _knowing(state):
        if isinstance(part, optax.contrib.ScheduleFreeState):
            found = where_kept(lambda z, y, b1=part.b1: (y - (1 - b1) * z) / b1, part.z, found)
        else:
            found = part.eval_point(found)
    return found


def has_eval_point(state: PyTree) -> bool:
    """Whether an optimizer with such a state is evaluated at another point than its own."""
    return bool(_knowing(state))


def _knowing(state: PyTree) -> list[PyTree]:
    """The parts of a state that know an evaluation point."""

    def knows(part: PyTree) -> bool:
        return isinstance(part, optax.contrib.ScheduleFreeState) or hasattr(part, "eval_point")

    return [part for part in jax.tree.leaves(state, is_leaf=knows) if knows(part)]


def where_kept(function: Function, kept: PyTree, point: PyTree) -> PyTree:
    """The function of what a state keeps and the point, leaf by leaf; of masked ones the point."""

    def masked(leaf: PyTree) -> bool:
        return isinstance(leaf, optax.MaskedNode)

    def at(leaf: PyTree, x: PyTree) -> PyTree:
        return x if masked(leaf) else function(leaf, x)

    return jax.tree.map(at, kept, point, is_leaf=masked)


class SlowPoint(NamedTuple):
    """The state of ``lookahead``: its slow point, and optax's own state."""

    slow: PyTree
    state: PyTree

    def eval_point(self, point: PyTree) -> PyTree:
        """The slow point."""
        return where_kept(lambda slow, _: slow, self.slow, point)


def is_lookahead(transformation: optax.GradientTransformation) -> bool:
    """Whether it is ``optax.lookahead``, which moves a pair of points."""
    update = transformation.update
    return getattr(update, "__qualname__", "").startswith("lookahead.<locals>") and (
        update.__module__.startswith("optax.")
    )


def with_slow_point(lookahead: optax.GradientTransformation) -> optax.GradientTransformation:
    """``optax.lookahead`` as a transformation of its fast point, with the slow one in its state."""

    def init(params: PyTree) -> SlowPoint:
        return SlowPoint(params, lookahead.init(optax.LookaheadParams.init_synced(params)))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, SlowPoint]:
        pair: PyTree = optax.LookaheadParams(fast=params, slow=state.slow)
        found: PyTree = lookahead.update(updates, state.state, pair)
        moves, after = found
        return moves.fast, SlowPoint(optax.apply_updates(state.slow, moves.slow), after)

    return optax.GradientTransformation(init, update)


def tolerant(transformation: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """The transformation, handed only those of the extra arguments that it takes.

    optax hands on all or none; a few of its optimizers, such as ``contrib.sam``, take some.
    ``optax.lookahead`` comes as one of a single point.
    """
    if is_lookahead(transformation):
        transformation = with_slow_point(transformation)
    transformation = optax.with_extra_args_support(transformation)
    taken = inspect.signature(transformation.update).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        return transformation

    def update(
        updates: PyTree, state: PyTree, params: PyTree = None, **extra: PyTree
    ) -> tuple[PyTree, PyTree]:
        extra = {key: value for key, value in extra.items() if key in taken}
        return transformation.update(updates, state, params, **extra)

    return optax.GradientTransformationExtraArgs(transformation.init, update)
