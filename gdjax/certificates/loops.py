"""Loops that might never end, such as a solver's whose tolerance rounding keeps out of reach."""

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


def has_loop(traced: ClosedJaxpr) -> bool:
    """Whether a traced function has a ``while_loop`` in it, however deep."""
    return " while[" in str(traced)


def ended(traced: ClosedJaxpr, turns: int) -> ClosedJaxpr:
    """The traced function, whose loops are NaN where they have not ended after so many turns.

    Example:
        >>> halved = lambda x: lax.while_loop(lambda y: y > 1, lambda y: y / 2, x)
        >>> traced = jax.make_jaxpr(halved)(1.0)
        >>> [float(jax.core.eval_jaxpr(ended(traced, 10).jaxpr, [], x)[0]) for x in (8.0, 1e9)]
        [1.0, nan]
    """
    return jax.make_jaxpr(lambda *args: evaluate(traced, args, _rule(turns)))(*traced.in_avals)


def ending(fn: Callable[[Array], PyTree], turns: ArrayLike) -> Callable[[Array], PyTree]:
    """The same of a function of one array."""

    def bounded(at: Array) -> PyTree:
        traced, shape = jax.make_jaxpr(fn, return_shape=True)(at)
        return jax.tree.unflatten(jax.tree.structure(shape), evaluate(traced, [at], _rule(turns)))

    return bounded


def enough(fn: Callable[[Array], Array], points: np.ndarray) -> int:
    """How many turns loops may take: ten times what they need at some of the points."""
    at = jnp.asarray(points[:: max(1, len(points) // PROBES)])
    value = jax.jit(lambda turns: jax.vmap(ending(fn, turns))(at))
    finite = [int(np.isfinite(np.asarray(value(turns))).sum()) for turns in TURNS]
    return 10 * TURNS[finite.index(max(finite))]


def _rule(turns: ArrayLike) -> Rule[Any]:
    def rule(eqn: JaxprEqn, operands: list[Any]) -> Sequence[Any] | None:
        if eqn.primitive.name != "while":
            return None
        nc, nb = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
        known, given, start = operands[:nc], operands[nc : nc + nb], operands[nc + nb :]

        def goes_on(carry: Sequence[Any]) -> Array:
            return evaluate(eqn.params["cond_jaxpr"], [*known, *carry], rule)[0]

        def turn(state: tuple[Any, ...]) -> tuple[Any, ...]:
            return state[0] + 1, *evaluate(eqn.params["body_jaxpr"], [*given, *state[1:]], rule)

        state = (jnp.zeros((), jnp.int32), *map(jnp.asarray, start))
        _, *carry = lax.while_loop(lambda s: (s[0] < turns) & goes_on(s[1:]), turn, state)
        endless = goes_on(carry)
        return [
            jnp.where(endless, jnp.nan, x) if jnp.issubdtype(x.dtype, np.floating) else x
            for x in carry
        ]

    return rule
