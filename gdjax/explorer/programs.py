"""Objectives and steps of optimizers as text for the page, from the programs that kernels run."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import ShapedArray
from jax.extend.core import JaxprEqn, Primitive
from jaxtyping import Array

from gdjax._compiler.interpreter import aval, evaluate
from gdjax._compiler.lower import unroll
from gdjax._compiler.program import Program
from gdjax._compiler.text import Text, prefix, write
from gdjax.objectives import Objective
from gdjax.optimizers import Optimizer, extra_arguments

Written: TypeAlias = list[str]  # the statements, and the expression of each result


def objective(of: Objective) -> dict[str, Written]:
    """The value, and the value with the gradient, of the components ``p0``, ``p1`` and so on.

    Raises:
        UnsupportedError: what cannot be written as text, and why.
    """
    names = [f"p{i}" for i in range(of.dim)]
    at = jnp.zeros(of.dim)
    both = _written(of.value_and_gradient("autodiff"), [names], at)
    return {"value": _written(of.value, [names], at), "slope": both}


def optimizer(of: Optimizer, dim: int) -> dict[str, Any]:
    """The first state, and a step that follows a value ``f0`` and its gradient ``g0``, ``g1``.

    Returns:
        ``init`` and ``step`` as text, of the point, the state ``s0``, ``s1``, … and the numbers
        ``n0``, ``n1``, …; the step gives the next point before the next state. ``state`` are the
        names of the state's numbers, which tell their types.

    Raises:
        UnsupportedError: what cannot be written as text, and why.
    """
    leaves, tree = jax.tree.flatten(of)
    at = jnp.zeros(dim)
    point, slope = ([f"{letter}{i}" for i in range(dim)] for letter in "pg")
    numbers = [f"n{i}" for i in range(len(leaves))]

    def init(at: Array, numbers: list[Array]) -> Any:
        return jax.tree.unflatten(tree, numbers).init(at)

    def step(at: Array, state: Any, numbers: list[Array], value: Array, slope: Array) -> Any:
        made = jax.tree.unflatten(tree, numbers)
        extra = extra_arguments(value, slope, _value, jax.grad(_value))
        updates, state = made.update(slope, state, at, **extra)
        return optax.apply_updates(at, updates), state

    begun = jax.eval_shape(init, at, leaves)
    parts = [leaf.dtype for leaf in jax.tree.leaves(begun) for _ in range(leaf.size)]
    state = [f"{prefix(dtype)}s{i}" for i, dtype in enumerate(parts)]
    return {
        "init": _written(init, [point, numbers], at, leaves),
        "step": _written(step, [point, state, numbers, ["f0"], slope], at, begun, leaves, 0.0, at),
        "state": state,
    }


def _written(fn: Any, names: Sequence[Sequence[str]], *args: Any) -> Written:
    traced = jax.make_jaxpr(fn)(*args)
    straight = jax.make_jaxpr(lambda *flat: evaluate(traced, flat, _both))(*traced.in_avals)
    text: Text = write(
        unroll(straight, {}, {"evaluate_objective": _calls}),
        [name for part in names for name in part],
    )
    return [text.body, *text.results]


def _both(eqn: JaxprEqn, operands: Sequence[Any]) -> list[Any] | None:
    """Every branch of a condition, and then a choice: a page has no branches of its own."""
    if eqn.primitive.name.startswith("empty"):  # what a branch leaves open for the other one
        return [jnp.zeros(aval(v).shape, aval(v).dtype) for v in eqn.outvars]
    if eqn.primitive.name != "cond":
        return None
    which, *given = operands
    cases = [evaluate(branch, given, _both) for branch in eqn.params["branches"]]
    return [jax.lax.select_n(which, *results) for results in zip(*cases, strict=True)]


# An optimizer that evaluates the objective by itself, as nesterov_textbook and sam do, calls these.
_evaluate = Primitive("evaluate_objective")
_evaluate.multiple_results = True


@_evaluate.def_abstract_eval
def _shapes(at: ShapedArray) -> list[ShapedArray]:
    return [ShapedArray((), at.dtype), ShapedArray(at.shape, at.dtype)]


@jax.custom_jvp
def _value(at: Array) -> Array:
    return _evaluate.bind(at)[0]


@_value.defjvp
def _forward(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    value, slope = _evaluate.bind(primals[0])
    return value, jnp.dot(slope, tangents[0])


def _calls(program: Program, eqn: JaxprEqn, at: np.ndarray) -> list[np.ndarray]:
    value = program.emit("value", *at)
    slope = [program.emit(f"slope{i}", *at) for i in range(len(at))]
    return [np.array(value, object).reshape(()), np.array(slope, object)]
