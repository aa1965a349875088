"""What an optimizer is: an optax transformation that remembers how it was made."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer
from jaxtyping import Array

from gdjax.errors import ArgumentError

Scalar = float | int | Array
LearningRate = Scalar | Callable
Factory = Callable[..., Any]

REQUIRED = inspect.Parameter.empty  # stands where a hyperparameter has no default

signature = functools.lru_cache(maxsize=1024)(inspect.signature)  # asked for by every sweep


class Optimizer(optax.GradientTransformationExtraArgs):
    """An optax transformation that remembers how it was made.

    Any optax code takes it for what it is. ``gdjax.descend`` and ``gdjax.sweep`` use the memory
    to trace its numbers, so that another learning rate or momentum never recompiles.

    Attributes:
        factory: the function that makes the transformation.
        hyperparameters: the keyword arguments that it was called with; schedules and
            transformations among them remember in turn.
        parts: what ``split`` makes of it, once it has been asked.
    """

    factory: Factory
    hyperparameters: Mapping[str, Any]
    parts: tuple[Any, dict[str, Any]] | None = None

    def __new__(cls, factory: Factory, hyperparameters: Mapping[str, Any]) -> "Optimizer":
        """Make the transformation, and remember how."""
        made = tolerant(factory(**hyperparameters))
        self = super().__new__(cls, made.init, made.update)
        self.factory, self.hyperparameters = factory, dict(hyperparameters)
        return self

    def __repr__(self) -> str:
        return _written(self.factory, self.hyperparameters)


class Schedule:
    """A number that depends on the step, and remembers how it was made.

    Called with a step it gives the number, as every optax schedule does. Two that were made
    alike are equal.

    Args:
        factory: the function that makes the schedule.
        hyperparameters: the keyword arguments to call it with.
    """

    def __init__(self, factory: Factory, hyperparameters: Mapping[str, Any]) -> None:
        self.factory, self.hyperparameters = factory, dict(hyperparameters)
        self._at = factory(**hyperparameters)

    def __call__(self, step: Any) -> Any:
        """The number at that step."""
        return self._at(step)

    def __repr__(self) -> str:
        return _written(self.factory, self.hyperparameters)


def own(build: Factory) -> Callable[..., Optimizer]:
    """A factory that checks its hyperparameters and makes an ``Optimizer`` (a decorator)."""

    @functools.wraps(build)
    def factory(*args: Any, **kwargs: Any) -> Optimizer:
        bound = signature(build).bind(*args, **kwargs)
        bound.apply_defaults()
        return Optimizer(build, {k: checked(k, v) for k, v in bound.arguments.items()})

    factory.is_own = True  # pyright: ignore
    return factory


def checked(name: str, value: Any) -> Any:
    """A hyperparameter as a Python number, if it is a plain one, and within its range."""
    if callable(value) or isinstance(value, Tracer) or getattr(value, "ndim", 0):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must be a number, got {value!r}") from None
    if name == "seed":
        if not number.is_integer() or number < 0:
            raise ArgumentError(f"seed must be a whole number, at least 0, got {value!r}")
        return int(number)
    if name == "learning_rate" and not 0 < number < math.inf:
        raise ArgumentError(f"learning_rate must be positive and finite, got {value}")
    if name == "momentum" and not 0 <= number < 1:
        raise ArgumentError(f"momentum must lie in [0, 1), got {value}")
    return number


def random_key(seed: Any) -> Array:
    """The random key of a seed; a traced one may be a float."""
    return jax.random.key(jnp.asarray(seed).astype(jnp.uint32))


def tolerant(transformation: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """The transformation, handed only those of the extra arguments that it takes.

    optax hands on all or none; a few of its optimizers, such as ``contrib.sam``, take some.
    """
    transformation = optax.with_extra_args_support(transformation)
    taken = inspect.signature(transformation.update).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        return transformation

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        extra = {key: value for key, value in extra.items() if key in taken}
        return transformation.update(updates, state, params, **extra)

    return optax.GradientTransformationExtraArgs(transformation.init, update)


def _written(factory: Factory, hyperparameters: Mapping[str, Any]) -> str:
    """The call that makes it, without the arguments that are at their defaults."""
    defaults = {p.name: p.default for p in signature(factory).parameters.values()}
    shown = ", ".join(
        f"{key}={_short(value)}"
        for key, value in hyperparameters.items()
        if value is not None
        and (key in ("learning_rate", "momentum") or value != defaults.get(key, REQUIRED))
    )
    return f"{factory.__name__}({shown})"


def _short(value: Any) -> str:
    return getattr(value, "__name__", None) or (
        f"{value:g}" if isinstance(value, float) else str(value)
    )
