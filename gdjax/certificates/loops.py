"""Loops that might never end, such as a solver's whose tolerance rounding keeps out of reach."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, JaxprEqn
from jaxtyping import Array, ArrayLike

from gdjax._compiler.interpreter import Rule, evaluate
from gdjax._util.types import PyTree

# A loop may take ten times as many turns as it needs at the points, rounded up to one of these.
TURNS = (100, 1_000, 10_000, 100_000)
PROBES = 32  # points at which turns are counted
LONG = 3.0  # seconds of counting after which no more turns are tried


def has_loop(traced: ClosedJaxpr) -> bool:
    """Whether a traced function has a ``while_loop`` in it, however deep."""
    return " while[" in str(traced)


def ending(fn: Callable[..., PyTree], turns: ArrayLike) -> Callable[..., PyTree]:
    """A function of arrays whose loops give NaN where they have not ended after so many turns.

    Example:
        >>> halved = lambda x: lax.while_loop(lambda y: y > 1, lambda y: y / 2, x)
        >>> [float(ending(halved, 10)(x)) for x in jnp.array([8.0, 1e9])]
        [1.0, nan]
    """

    def bounded(*args: ArrayLike) -> PyTree:
        traced, shape = jax.make_jaxpr(fn, return_shape=True)(*args)
        return jax.tree.unflatten(jax.tree.structure(shape), evaluate(traced, args, _rule(turns)))

    return bounded


def enough(fn: Callable[[Array], PyTree], points: np.ndarray) -> int:
    """How many turns loops may take: ten times what they need at some of the points.

    Where counting takes long already, as many as were counted are ten times enough.
    """
    at = jnp.asarray(points[:: max(1, len(points) // PROBES)])
    value = jax.jit(lambda turns: jax.vmap(ending(fn, turns))(at))
    best, wanted = -1, TURNS[0]
    for turns in TURNS:
        begun = time.monotonic()
        found = [np.isfinite(leaf).reshape(len(at), -1) for leaf in jax.tree.leaves(value(turns))]
        finite = int(np.concatenate(found, axis=1).all(axis=1).sum())
        if finite > best:
            best, wanted = finite, turns
        if finite == len(at) or time.monotonic() - begun > LONG:
            break
    return 10 * wanted


def _rule(turns: ArrayLike) -> Rule[Any]:
    def rule(eqn: JaxprEqn, operands: list[Any]) -> Sequence[Any] | None:
        if eqn.primitive.name != "while":
            return None
        nc, nb = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
        known, given, start = operands[:nc], operands[nc : nc + nb], operands[nc + nb :]

        def goes_on(state: tuple[Any, ...]) -> Array:
            count, *carry = state
            return (count <= turns) & evaluate(eqn.params["cond_jaxpr"], [*known, *carry], rule)[0]

        def turn(state: tuple[Any, ...]) -> tuple[Any, ...]:
            return state[0] + 1, *evaluate(eqn.params["body_jaxpr"], [*given, *state[1:]], rule)

        # One turn too many tells that it had not ended. To ask again after the loop would not, for
        # there its numbers may have been rounded once more.
        state = (jnp.zeros((), jnp.int32), *map(jnp.asarray, start))
        count, *carry = lax.while_loop(goes_on, turn, state)
        return [
            jnp.where(count > turns, jnp.nan, x) if jnp.issubdtype(x.dtype, np.floating) else x
            for x in carry
        ]

    return rule
