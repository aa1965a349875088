"""Optimizers taken apart for a compiled descent: a hashable recipe, and the numbers to trace."""

from collections.abc import Collection, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer

from gdjax.errors import ArgumentError
from gdjax.optimizers.base import Factory, Optimizer, Schedule, tolerant

IN_PYTHON = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


class Recipe(NamedTuple):
    """How to make an optimizer or a schedule; ``TRACED`` stands where a number goes."""

    factory: Factory
    arguments: tuple[tuple[str, Any], ...]


class _Traced:
    def __repr__(self) -> str:
        return "TRACED"


TRACED = _Traced()
_STUCK: dict[tuple, frozenset[str]] = {}


def split(optimizer: optax.GradientTransformation) -> tuple[Hashable, dict[str, Any]]:
    """What a compiled descent needs: a hashable recipe, and the numbers to trace.

    A number inside a schedule or a transformation has a dotted name, such as
    ``learning_rate.init_value``. One that optax decides on in Python cannot be traced, and
    stays in the recipe. A transformation that gdjax did not make has no numbers to trace: it is
    its own recipe, compiled once for each object.

    Raises:
        ArgumentError: a number that comes from inside a JAX transformation, but cannot be traced.

    Example:
        >>> import gdjax
        >>> split(gdjax.heavy_ball(0.1))[1]
        {'learning_rate': 0.1, 'momentum': 0.9}
    """
    if not isinstance(optimizer, Optimizer):
        return optimizer, {}
    if optimizer.parts is None:
        optimizer.parts = _split(optimizer)
    recipe, numbers = optimizer.parts
    return recipe, dict(numbers)


def _split(optimizer: Optimizer) -> tuple[Any, dict[str, Any]]:
    recipe, numbers = _apart(optimizer)
    if not numbers:
        return recipe, {}
    stuck = _stuck(recipe, numbers)
    for name in stuck:
        if isinstance(numbers[name], Tracer):
            raise ArgumentError(cannot_trace(repr(recipe.factory.__name__), name))
    return _apart(optimizer, keep=stuck) if stuck else (recipe, numbers)


def all_numbers(optimizer: Optimizer) -> dict[str, Any]:
    """Its numbers by the names that ``split`` gives them, with those that cannot be traced."""
    return _apart(optimizer)[1]


def join(recipe: Any, numbers: Mapping[str, Any]) -> optax.GradientTransformationExtraArgs:
    """The transformation that ``split`` took apart."""
    return tolerant(_together(recipe, numbers, ""))


def replace(made: Any, numbers: Mapping[str, Any]) -> Any:
    """An optimizer made anew with other numbers, by the names that ``split`` gives them.

    Example:
        >>> import gdjax
        >>> replace(gdjax.heavy_ball(0.1), {"momentum": 0.5})
        heavy_ball(learning_rate=0.1, momentum=0.5)
    """
    return _replaced(made, numbers, "")


def cannot_trace(optimizer: str, name: str) -> str:
    """The sentence for a hyperparameter whose every value is another program."""
    return (
        f"{name} of {optimizer} cannot be traced, as a sweep or a derivative would need: optax "
        f"decides on its value in Python"
    )


def _apart(made: Any, path: str = "", keep: Collection[str] = ()) -> tuple[Any, dict[str, Any]]:
    if isinstance(made, Optimizer | Schedule):
        parts = {k: _part(k, v, f"{path}{k}", keep) for k, v in made.hyperparameters.items()}
        recipe = Recipe(made.factory, tuple((k, part) for k, (part, _) in parts.items()))
    elif isinstance(made, tuple) and not isinstance(made, optax.GradientTransformation):
        parts = {i: _part("", value, f"{path}{i}", keep) for i, value in enumerate(made)}
        recipe = tuple(part for part, _ in parts.values())
    else:
        return made, {}
    return recipe, {name: n for _, inner in parts.values() for name, n in inner.items()}


def _part(key: str, value: Any, path: str, keep: Collection[str]) -> tuple[Any, dict[str, Any]]:
    if path not in keep and (isinstance(value, float | jax.Array) or key == "seed"):
        return TRACED, {path: value}
    return _apart(value, f"{path}.", keep)


def _together(recipe: Any, numbers: Mapping[str, Any], path: str) -> Any:
    if recipe is TRACED:
        return numbers[path[:-1]]
    if isinstance(recipe, Recipe):
        parts = {k: _together(part, numbers, f"{path}{k}.") for k, part in recipe.arguments}
        return recipe.factory(**parts)
    if isinstance(recipe, tuple) and not isinstance(recipe, optax.GradientTransformation):
        return tuple(_together(part, numbers, f"{path}{i}.") for i, part in enumerate(recipe))
    return recipe


def _replaced(made: Any, numbers: Mapping[str, Any], path: str) -> Any:
    if path and path[:-1] in numbers:
        return numbers[path[:-1]]
    if isinstance(made, Optimizer | Schedule):
        parts = made.hyperparameters.items()
        return type(made)(made.factory, {k: _replaced(v, numbers, f"{path}{k}.") for k, v in parts})
    if isinstance(made, tuple) and not isinstance(made, optax.GradientTransformation):
        return tuple(_replaced(part, numbers, f"{path}{i}.") for i, part in enumerate(made))
    return made


def _stuck(recipe: Any, numbers: Mapping[str, Any]) -> frozenset[str]:
    """The names of the numbers that cannot be traced, found by tracing one step, once."""
    if recipe not in _STUCK:
        plain = {k: 0.5 if isinstance(v, Tracer) else v for k, v in numbers.items()}
        if _traces(recipe, numbers, {}):
            found = ()
        else:
            found = [k for k, v in numbers.items() if not _traces(recipe, {k: v}, plain)]
        _STUCK[recipe] = frozenset(found)
    return _STUCK[recipe]


def _traces(recipe: Any, traced: Mapping[str, Any], plain: Mapping[str, Any]) -> bool:
    try:
        jax.eval_shape(lambda n: first_step(join(recipe, {**plain, **n})), dict(traced))
    except IN_PYTHON:
        return False
    except Exception:  # it fails with plain numbers too, and says so where it is used
        return True
    return True


def first_step(transformation: optax.GradientTransformationExtraArgs) -> Any:
    """The first update on a bowl in two dimensions, with everything that a descent hands over."""

    def bowl(point: Any) -> Any:
        return jnp.sum(point**2)

    point, slope = jnp.ones(2), 2 * jnp.ones(2)
    extra = extra_arguments(jnp.zeros(()), slope, bowl, jax.grad(bowl))
    return transformation.update(slope, transformation.init(point), point, **extra)[0]


def extra_arguments(value: Any, slope: Any, fn: Any, gradient: Any) -> dict[str, Any]:
    """All that some optimizer of optax asks for: line searches, Polyak steps, Sophia, SAM.

    Args:
        value: the objective at the point.
        slope: its gradient there, ``(d,)``.
        fn: point → value.
        gradient: point → gradient.
    """

    def value_fn(point: Any, obj_fn: Any = None, grad_fn: Any = None) -> Any:
        del obj_fn, grad_fn  # line searches hand on what they do not take themselves
        return fn(point)

    def grad_fn(point: Any, inner_step: Any = None) -> Any:
        del inner_step
        return gradient(point)

    return {"value": value, "grad": slope, "value_fn": value_fn, "obj_fn": fn, "grad_fn": grad_fn}
