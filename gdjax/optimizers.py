"""gdjax's own optimizers as optax transformations, and every optimizer by name.

Each comes as a rule (``scale_by_…``) and as the rule with a learning rate. The order of the two
is the convention: gdjax applies the learning rate first and remembers *steps*, as the textbook
and Keras do; optax and PyTorch remember *gradients* and apply the learning rate last. The paths
are the same while the learning rate is constant, and differ under a schedule.
"""

import functools
import inspect
import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer
from jaxtyping import Array

from gdjax.errors import ArgumentError, unknown

Scalar = float | int | Array
LearningRate = Scalar | Callable
Factory = Callable[..., optax.GradientTransformation]

REQUIRED = inspect.Parameter.empty  # stands where a hyperparameter has no default

_OWN: dict[str, Factory] = {}


class Optimizer(optax.GradientTransformationExtraArgs):
    """An optax transformation that remembers how it was made.

    Any optax code takes it for what it is. ``gdjax.descend`` and ``gdjax.sweep`` use the memory
    to trace its numbers, so that another learning rate or momentum never recompiles.

    Attributes:
        factory: the function that makes the transformation.
        hyperparameters: the keyword arguments that it was called with.
    """

    factory: Factory
    hyperparameters: Mapping[str, Any]

    def __new__(cls, factory: Factory, hyperparameters: Mapping[str, Any]) -> "Optimizer":
        """Make the transformation, and remember how."""
        made = optax.with_extra_args_support(factory(**hyperparameters))
        self = super().__new__(cls, made.init, made.update)
        self.factory, self.hyperparameters = factory, dict(hyperparameters)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(self.factory).parameters
        shown = ", ".join(
            f"{key}={_short(value)}"
            for key, value in self.hyperparameters.items()
            if key in ("learning_rate", "momentum") or value != defaults[key].default
        )
        return f"{self.factory.__name__}({shown})"


def _short(value: Any) -> str:
    return getattr(value, "__name__", None) or (
        f"{value:g}" if isinstance(value, float) else str(value)
    )


def _own(build: Factory) -> Factory:
    """Register a factory under its name, and check its hyperparameters (a decorator)."""
    signature = inspect.signature(build)

    @functools.wraps(build)
    def factory(*args: Any, **kwargs: Any) -> Optimizer:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return Optimizer(build, {k: _checked(k, v) for k, v in bound.arguments.items()})

    _OWN[build.__name__] = factory
    return factory


def _checked(name: str, value: Any) -> Any:
    """A hyperparameter as a Python float, if it is a plain number, and within its range."""
    if callable(value) or isinstance(value, Tracer) or getattr(value, "ndim", 0):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must be a number, got {value!r}") from None
    if name == "learning_rate" and not 0 < number < math.inf:
        raise ArgumentError(f"learning_rate must be positive and finite, got {value}")
    if name == "momentum" and not 0 <= number < 1:
        raise ArgumentError(f"momentum must lie in [0, 1), got {value}")
    return number


class Velocity(NamedTuple):
    """The state of the momentum rules: the last step, shaped like the point."""

    velocity: Any


def _scale_by_momentum(momentum: Scalar, *, look_ahead: bool) -> optax.GradientTransformation:
    def init(params: Any) -> Velocity:
        return Velocity(jax.tree.map(jnp.zeros_like, params))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Velocity]:
        del params
        velocity = jax.tree.map(lambda v, u: momentum * v + u, state.velocity, updates)
        if look_ahead:
            updates = jax.tree.map(lambda v, u: momentum * v + u, velocity, updates)
        else:
            updates = velocity
        return updates, Velocity(velocity)

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


@_own
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


@_own
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


@_own
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


@functools.cache
def _factories() -> dict[str, Factory]:
    """Every factory: gdjax's own, and whatever in optax takes a learning rate."""
    found = {}
    for module in (optax.contrib, optax):
        for name, member in vars(module).items():
            if name.startswith(("_", "scale_by")) or not inspect.isfunction(member):
                continue
            if "learning_rate" in inspect.signature(member).parameters:
                found[name] = member
    return found | _OWN


def names() -> tuple[str, ...]:
    """Every optimizer's name, sorted: gdjax's own and optax's, ``optax.contrib`` included.

    Example:
        >>> {"heavy_ball", "adam", "prodigy"} <= set(names())
        True
    """
    return tuple(sorted(_factories()))


def factory(name: str) -> Factory:
    """The function that makes the optimizer of that name.

    Raises:
        ArgumentError: an unknown name.

    Example:
        >>> factory("adam") is optax.adam
        True
    """
    if name not in _factories():
        raise unknown("optimizer", name, names())
    return _factories()[name]


def parameters(name: str) -> dict[str, Any]:
    """An optimizer's hyperparameters with their defaults; ``REQUIRED`` if there is none.

    Example:
        >>> parameters("heavy_ball")["momentum"]
        0.9
    """
    return {p.name: p.default for p in inspect.signature(factory(name)).parameters.values()}


def get(name: str, **hyperparameters: Any) -> Optimizer:
    """The optimizer of that name, with its hyperparameters.

    Args:
        name: one of ``names()``.
        **hyperparameters: what its ``parameters(name)`` lists.

    Raises:
        ArgumentError: an unknown name or hyperparameter, a missing or a forbidden value.

    Example:
        >>> get("adam", learning_rate=0.1)
        adam(learning_rate=0.1)
    """
    return make(factory(name), **hyperparameters)


def make(factory: Factory, **hyperparameters: Any) -> Optimizer:
    """An optimizer by its factory: gdjax's, optax's or a user's own.

    Args:
        factory: what makes the transformation, such as ``optax.adam``.
        **hyperparameters: its keyword arguments.

    Raises:
        ArgumentError: an unknown hyperparameter, a missing or a forbidden value.

    Example:
        >>> make(optax.adam, learning_rate=0.1)
        adam(learning_rate=0.1)
    """
    factory = inspect.unwrap(factory)
    name = getattr(factory, "__name__", repr(factory))
    known = {p.name: p.default for p in inspect.signature(factory).parameters.values()}
    for key in hyperparameters:
        if key not in known:
            raise unknown(f"hyperparameter of {name}", key, known)
    hyperparameters = known | hyperparameters
    for key, value in hyperparameters.items():
        if value is REQUIRED:
            raise ArgumentError(f"{name} needs {key}")
    floats = {
        key: _checked(key, value)
        for key, value in hyperparameters.items()
        if key == "learning_rate" or isinstance(known[key], float)
    }
    return Optimizer(factory, hyperparameters | floats)


def split(optimizer: optax.GradientTransformation) -> tuple[Hashable, dict[str, Any]]:
    """What a compiled descent needs: a hashable recipe, and the numbers to trace.

    A transformation that gdjax did not make has no numbers to trace: it is its own recipe,
    compiled once for each object.
    """
    if not isinstance(optimizer, Optimizer):
        return optax.with_extra_args_support(optimizer), {}
    numbers = {
        key: value
        for key, value in optimizer.hyperparameters.items()
        if isinstance(value, float | jax.Array)
    }
    fixed = {k: v for k, v in optimizer.hyperparameters.items() if k not in numbers}
    return (optimizer.factory, tuple(fixed.items())), numbers


def join(recipe: Any, numbers: Mapping[str, Any]) -> optax.GradientTransformationExtraArgs:
    """The transformation that ``split`` took apart."""
    if isinstance(recipe, optax.GradientTransformation):
        return recipe  # type: ignore[return-value]  # split gave it extra arguments
    factory, fixed = recipe
    return optax.with_extra_args_support(factory(**dict(fixed), **numbers))
