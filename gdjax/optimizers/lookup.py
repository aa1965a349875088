"""Every optimizer, transformation and schedule by name: gdjax's own and all of optax's."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from gdjax.errors import ArgumentError, unknown
from gdjax.optimizers import momentum, noise, schedules
from gdjax.optimizers.base import Factory, Optimizer, random_key
from gdjax.optimizers.catalogue import Catalogue, arguments, module_functions
from gdjax.optimizers.recipes import all_numbers, first_step, replace

_OWN: dict[str, Factory] = {
    name: member for name, member in vars(momentum).items() if getattr(member, "is_own", False)
}

# Where optax's own error would not say it; whatever else fails is told in optax's words.
_REASONS = {
    "lookahead": "it descends a pair of points, a fast and a slow one (optax.LookaheadParams)",
    "dpsgd": "it needs one gradient for each example of a batch, and an objective has no examples",
}


@functools.cache
def _functions() -> dict[str, Factory]:
    return module_functions(optax.contrib, optax)


def _is_optimizer(name: str, factory: Callable) -> bool:
    """Whether a function of optax takes a learning rate, or an optimizer to build upon."""
    if name.startswith("scale_by_") or factory.__module__.startswith("optax.transforms"):
        return False
    keys = inspect.signature(factory).parameters
    return any("learning_rate" in key or "optimizer" in key for key in keys)


@functools.cache
def _optimizers() -> dict[str, Factory]:
    found = {name: f for name, f in _functions().items() if _is_optimizer(name, f)}
    return {name: _seeded(factory) for name, factory in found.items()} | _OWN


@functools.cache
def _transforms() -> dict[str, Factory]:
    """The other transformations of optax whose parameters are plain values."""
    found = {
        name: _seeded(factory)
        for name, factory in _functions().items()
        if not _is_optimizer(name, factory)
        and "GradientTransformation" in str(inspect.signature(factory).return_annotation)
        and not any(
            parameter.default is parameter.empty
            and any(word in str(parameter.annotation) for word in ("Callable", "Transform", "Any"))
            for parameter in inspect.signature(factory).parameters.values()
        )
    }
    return found | {"gradient_noise": noise.gradient_noise}


@functools.cache
def _seeded(factory: Factory) -> Factory:
    """A factory that takes a random key, as one that takes a seed, which can be traced."""
    signature = inspect.signature(factory)
    if "key" not in signature.parameters:
        return factory

    @functools.wraps(factory)
    def build(*, seed: Any = 0, **hyperparameters: Any) -> Any:
        return factory(**hyperparameters, key=random_key(seed))

    kept = [p for key, p in signature.parameters.items() if key not in ("key", "seed")]
    seed = inspect.Parameter("seed", inspect.Parameter.KEYWORD_ONLY, default=0)
    build.__signature__ = inspect.Signature([*kept, seed])  # type: ignore[attr-defined]
    return build


OPTIMIZERS = Catalogue("optimizer", _optimizers)
TRANSFORMS = Catalogue("transform", _transforms)


def names() -> tuple[str, ...]:
    """Every optimizer's name, sorted: gdjax's own and optax's, ``optax.contrib`` included.

    Example:
        >>> {"heavy_ball", "adam", "prodigy"} <= set(names())
        True
    """
    return OPTIMIZERS.names()


def parameters(name: str) -> dict[str, Any]:
    """An optimizer's hyperparameters with their defaults; ``REQUIRED`` if there is none.

    Example:
        >>> parameters("heavy_ball")["momentum"]
        0.9
    """
    return OPTIMIZERS.parameters(name)


def get(name: str, *, transforms: Mapping[str, Any] | None = None, **given: Any) -> Optimizer:
    """The optimizer of that name, with its hyperparameters.

    Args:
        name: one of ``names()``.
        transforms: what is done to the gradient first, in this order: by label, transformations
            or mappings with a ``name`` and parameters, as ``transform`` takes them.
        **given: what its ``parameters(name)`` lists. A schedule may be a mapping with its name
            under ``schedule``; an optimizer to build upon one with its own under ``name``.

    Raises:
        ArgumentError: an unknown name or hyperparameter, a missing or a forbidden value, or an
            optimizer that cannot descend from a point, and why.

    Example:
        >>> get("adam", learning_rate=0.1)
        adam(learning_rate=0.1)
        >>> get("lion", learning_rate=0.1, transforms={"c": {"name": "clip", "max_delta": 0.5}})
        lion(learning_rate=0.1, c=clip(max_delta=0.5))
    """
    reason, optimizer = _REASONS.get(name), None
    if reason is None:
        resolved = {key: _resolved(value) for key, value in given.items()}
        optimizer = make(OPTIMIZERS.factory(name), **resolved)
        reason = why_not(optimizer)
    if reason is not None or optimizer is None:
        raise ArgumentError(f"{name} cannot descend from a point: {reason}")
    before = {
        label: node if isinstance(node, optax.GradientTransformation) else transform(**node)
        for label, node in (transforms or {}).items()
    }
    return chain(optimizer, **before) if before else optimizer


def factory(name: str) -> Factory:
    """The function that makes the optimizer of that name.

    Raises:
        ArgumentError: an unknown name.

    Example:
        >>> factory("adam") is optax.adam
        True
    """
    return OPTIMIZERS.factory(name)


def make(factory: Factory, **given: Any) -> Optimizer:
    """An optimizer by its factory: gdjax's, optax's or a user's own.

    Args:
        factory: what makes the transformation, such as ``optax.adam``.
        **given: its keyword arguments; those with a dot are set inside the others.

    Raises:
        ArgumentError: an unknown hyperparameter, a missing or a forbidden value.

    Example:
        >>> make(optax.adam, learning_rate=0.1)
        adam(learning_rate=0.1)
    """
    factory = _seeded(factory)
    plain = {key: value for key, value in given.items() if "." not in key}
    inside = {key: value for key, value in given.items() if "." in key}
    chosen = arguments(factory, plain)
    try:
        made = factory(**chosen)
        made = made if isinstance(made, Optimizer) else Optimizer(factory, chosen)
    except (TypeError, ValueError, AttributeError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"{factory.__name__}: {str(error).splitlines()[0]}") from error
    for key in inside:
        if key not in (numbers := all_numbers(made)):
            raise unknown(f"hyperparameter of {factory.__name__}", key, numbers)
    return replace(made, inside) if inside else made


def transform(name: str, **given: Any) -> Optimizer:
    """The transformation of that name, for ``chain``: ``gradient_noise``, or one of optax's.

    Args:
        name: one of ``TRANSFORMS.names()``.
        **given: its parameters.

    Raises:
        ArgumentError: an unknown name or parameter, or a missing value.

    Example:
        >>> transform("clip_by_global_norm", max_norm=1.0)
        clip_by_global_norm(max_norm=1)
    """
    return make(TRANSFORMS.factory(name), **given)


def chain(optimizer: Optimizer, **before: optax.GradientTransformation) -> Optimizer:
    """An optimizer that is handed a transformed gradient.

    Args:
        optimizer: made by gdjax.
        **before: transformations, by label and in order. Their numbers are traced, as
            ``label.parameter``.

    Raises:
        ArgumentError: a label that is one of the optimizer's hyperparameters.

    Example:
        >>> import gdjax
        >>> chain(gdjax.heavy_ball(0.1), clip=transform("clip", max_delta=1.0))
        heavy_ball(learning_rate=0.1, momentum=0.9, clip=clip(max_delta=1))
    """
    for label in before:
        if label in optimizer.hyperparameters:
            raise ArgumentError(
                f"a transformation cannot be labelled {label!r}: the optimizer has a "
                f"hyperparameter of that name"
            )
    factory = _preceded(optimizer.factory, tuple(before))
    return Optimizer(factory, {**optimizer.hyperparameters, **before})


@functools.cache
def _preceded(factory: Factory, labels: tuple[str, ...]) -> Factory:
    @functools.wraps(factory)
    def build(**given: Any) -> optax.GradientTransformation:
        before = [given.pop(label) for label in labels]
        return optax.chain(*before, factory(**given))

    known = inspect.signature(factory).parameters.values()
    added = (inspect.Parameter(label, inspect.Parameter.KEYWORD_ONLY) for label in labels)
    build.__signature__ = inspect.Signature([*known, *added])  # type: ignore[attr-defined]
    return build


def why_not(optimizer: Optimizer) -> str | None:
    """Why an optimizer cannot descend from a point, or None if it can; nothing is compiled."""
    try:
        update = jax.eval_shape(lambda: first_step(optimizer))
    except Exception as error:  # whatever optax raises is the reason
        return f"{type(error).__name__}: {error}".splitlines()[0]
    shape = jax.tree.map(lambda leaf: leaf.shape, update)
    return None if shape == (2,) else f"its update for a point of shape (2,) is {shape}"


def _resolved(value: Any) -> Any:
    """A schedule or an optimizer that a config describes, made."""
    if isinstance(value, Mapping) and "schedule" in value:
        return schedules.get(**value)
    if isinstance(value, Mapping) and "name" in value:
        return get(**value)
    return value
