"""Every optimizer, transformation and schedule by name: gdjax's own and all of optax's.

Optimizers of other packages are found by their entry points in the group ``gdjax.optimizers``.
"""

import functools
import inspect
import math
from collections.abc import Mapping
from typing import cast

import jax
import optax

from gdjax._util.arguments import MOST, refused
from gdjax._util.errors import ArgumentError, check_known, first_line
from gdjax._util.memory import check_fits
from gdjax._util.plugins import Plugins
from gdjax._util.types import PyTree
from gdjax.optimizers import averaging, least_squares, momentum, noise, schedules
from gdjax.optimizers.catalogue import Catalogue, arguments, module_functions, parameters_of
from gdjax.optimizers.groups import has_groups, is_of_group, trial_point, with_groups
from gdjax.optimizers.optimizer import Optimizer, has_line_search, trial_bowl, trial_step
from gdjax.optimizers.tree import REQUIRED, Factory, bare, is_own, signature
from gdjax.optimizers.wrappers import Given, Preceded, Preset, seeded

LONG_MEMORY = 10_000  # a whole number above it may be of points that are remembered
_OWN: dict[str, Factory] = {
    name: member
    for room in (momentum, least_squares)
    for name, member in vars(room).items()
    if is_own(member)
}

# Where optax's own error would not say it; whatever else fails is told in optax's words.
_REASONS = {
    "dpsgd": "it needs one gradient for each example of a batch, and an objective has no examples",
}


@functools.cache
def _functions() -> dict[str, Factory]:
    presets = {
        name: Preset(member.func, name, tuple(member.keywords.items()))
        for name, member in vars(optax).items()
        if isinstance(member, functools.partial) and not member.args
    }
    return module_functions(optax.contrib, optax) | presets


def _is_optimizer(name: str, factory: Factory) -> bool:
    """Whether a function of optax takes a learning rate, or an optimizer to build upon."""
    if name.startswith("scale_by_") or factory.__module__.startswith("optax.transforms"):
        return False
    keys = inspect.signature(factory).parameters
    return any("learning_rate" in key or "optimizer" in key for key in keys)


@functools.cache
def _optimizers() -> dict[str, Factory]:
    found = {name: f for name, f in _functions().items() if _is_optimizer(name, f)}
    return {name: seeded(factory) for name, factory in found.items()} | _OWN


@functools.cache
def _transforms() -> dict[str, Factory]:
    """The other transformations of optax whose parameters are plain values."""
    found = {
        name: seeded(factory)
        for name, factory in _functions().items()
        if not _is_optimizer(name, factory)
        and "GradientTransformation" in str(inspect.signature(factory).return_annotation)
        and not any(
            parameter.default is parameter.empty
            and any(word in str(parameter.annotation) for word in ("Callable", "Transform", "Any"))
            for parameter in inspect.signature(factory).parameters.values()
        )
    }
    own = (
        averaging.ema_of_points,
        averaging.mean_of_points,
        noise.gradient_cycle,
        noise.gradient_noise,
    )
    return found | {factory.__name__: factory for factory in own}


OPTIMIZERS = Catalogue("optimizer", _optimizers, Plugins("gdjax.optimizers", "optimizer", seeded))
TRANSFORMS = Catalogue("transform", _transforms)


def names() -> tuple[str, ...]:
    """Every optimizer's name, sorted: gdjax's own, optax's with ``optax.contrib``, and others'.

    Example:
        >>> {"heavy_ball", "adam", "prodigy"} <= set(names())
        True
    """
    return OPTIMIZERS.names()


def parameters(name: str) -> dict[str, PyTree]:
    """An optimizer's hyperparameters with their defaults; ``REQUIRED`` if there is none.

    Example:
        >>> parameters("heavy_ball")["momentum"]
        0.9
    """
    return OPTIMIZERS.parameters(name)


def get(name: str, *, transforms: Mapping[str, PyTree] | None = None, **given: PyTree) -> Optimizer:
    """The optimizer of that name, with its hyperparameters.

    Args:
        name: one of ``names()``.
        transforms: what is done to the gradient first, in this order: by label, transformations
            or mappings with a ``name`` and parameters, as ``transform`` takes them.
        **given: what its ``parameters(name)`` lists. A schedule may be a mapping with its name
            under ``schedule``; an optimizer to build upon one with its own under ``name``. Of a
            group of leaves it is ``learning_rate[layers.0]``, as ``make`` has it.

    Raises:
        ArgumentError: an unknown name or hyperparameter, a missing or a forbidden value, or an
            optimizer that cannot descend from a point, and why.

    Example:
        >>> get("adam", learning_rate=0.1)
        adam(learning_rate=0.1)
        >>> get("lion", learning_rate=0.1, transforms={"c": {"name": "clip", "max_delta": 0.5}})
        lion(learning_rate=0.1, c=clip(max_delta=0.5))
    """
    reason, optimizer = _REASONS.get(name) if isinstance(name, str) else None, None
    if reason is None:
        chosen = {key: resolved(value) for key, value in given.items()}
        optimizer = make(OPTIMIZERS.factory(name), **chosen)
        reason = why_not(optimizer)
    if reason is not None or optimizer is None:
        raise ArgumentError(_refusal(name, reason))
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


def make(factory: Factory, **given: PyTree) -> Optimizer:
    """An optimizer by its factory: gdjax's, optax's or a user's own.

    Args:
        factory: what makes the transformation, such as ``optax.adam``.
        **given: its keyword arguments; those with a dot are set inside the others. One such as
            ``learning_rate[layers.0]`` is that of a group of leaves: of what lies at that path of
            a point, or below it. Each group has an optimizer of its own, norms and all; where
            groups lie in one another, the longest path counts.

    Raises:
        ArgumentError: an unknown hyperparameter, a missing or a forbidden value.

    Example:
        >>> make(optax.adam, learning_rate=0.1)
        adam(learning_rate=0.1)
        >>> make(optax.adam, **{"learning_rate": 0.1, "learning_rate[layers.0]": 0.01})
        adam(learning_rate=0.1, learning_rate[layers.0]=0.01)
    """
    if not callable(factory):
        raise refused("factory", "be a function that makes an optimizer", factory)
    plain = {key: value for key, value in given.items() if "." not in bare(key)}
    inside = {key: value for key, value in given.items() if "." in bare(key)}
    made = _built(factory, plain)
    _check_memory(made)
    if has_groups(made):
        _check_groups(made)
    known = [*made.numbers, *made.stuck, *made.seeds]
    for key in inside:
        check_known(f"hyperparameter of {factory.__name__}", key, known)
    return made.replace(**inside) if inside else made


def descends(name: str, **given: PyTree) -> bool:
    """Whether the optimizer of that name can descend from a point: ``get``, without the optimizer.

    Raises:
        ArgumentError: what it is given is none of its hyperparameters, or forbidden.

    Example:
        >>> descends("adam", learning_rate=0.1), descends("dpsgd", learning_rate=0.1)
        (True, False)
    """
    return name not in _REASONS and why_not(_built(OPTIMIZERS.factory(name), given)) is None


def _built(factory: Factory, given: dict[str, PyTree]) -> Optimizer:
    """An optimizer of which nobody has looked yet what can be traced."""
    factory = seeded(factory)
    chosen = arguments(factory, given)
    factory = with_groups(factory, chosen)
    try:
        made = factory(**chosen)
        return made if isinstance(made, Optimizer) else Optimizer(factory, chosen, made)
    except ArgumentError:
        raise
    except Exception as error:  # whatever optax or the user's own code raises
        raise ArgumentError(f"{factory.__name__}: {error}".splitlines()[0]) from error


def _check_groups(made: Optimizer) -> None:
    """Refuse groups of an optimizer that asks for values of the objective: it has all leaves."""
    searches = False

    def bowl(point: PyTree) -> jax.Array:
        nonlocal searches
        searches = True
        return trial_bowl(point)

    try:
        searches = has_line_search(jax.eval_shape(lambda: made.init(trial_point(made, 2))))
        jax.eval_shape(lambda: trial_step(made, bowl)[1])
    except Exception:  # why it cannot take a step is told when it is asked to
        pass
    if searches:
        raise ArgumentError(
            f"{made.factory.__name__} takes no hyperparameters of groups: it evaluates the "
            f"objective itself, which is of all leaves at once"
        )


def _check_memory(made: Optimizer) -> None:
    """Refuse counts beyond 32 bits, and one of points to remember that do not fit."""
    counts = {k: n for k, n in made.hyperparameters.items() if type(n) is int and k != "seed"}
    for name, count in counts.items():
        if count > MOST:
            raise ArgumentError(f"{name} must be at most {MOST:,}, got {count}")
    if all(count <= LONG_MEMORY for count in counts.values()):
        return
    try:
        state = jax.eval_shape(lambda: trial_step(made)[1])
    except Exception:  # why it cannot take a step is told when it is asked to
        return
    leaves = [x for x in jax.tree.leaves(state) if hasattr(x, "dtype")]
    need = sum(math.prod(x.shape) * x.dtype.itemsize for x in leaves)
    check_fits(2 * need, f"{made!r:.200}, at a point of 2 numbers,", "let it remember less")


def transform(name: str, **given: PyTree) -> Optimizer:
    """The transformation of that name, for ``chain``: one of gdjax's own, or of optax's.

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


DEFAULT_RATE = 0.1  # where a name or a factory stands alone, as on the command line


def as_optimizer(given: PyTree) -> Optimizer:
    """An optimizer of whatever stands for one.

    Args:
        given: an ``Optimizer``; any optax transformation, which has no numbers to trace; a
            factory such as ``optax.adam``, a ``functools.partial`` of one, or a name: these at
            their defaults, with a learning rate of 0.1 where one must be given.

    Raises:
        ArgumentError: anything else, or a factory that needs more.

    Example:
        >>> import functools
        >>> as_optimizer("adam"), as_optimizer(functools.partial(optax.adam, 0.2, b1=0.5))
        (adam(learning_rate=0.1), adam(learning_rate=0.2, b1=0.5))
    """
    if isinstance(given, Optimizer):
        return given
    if isinstance(given, optax.GradientTransformation):
        return _given(given)
    if callable(getattr(given, "init", None)) and callable(getattr(given, "update", None)):
        return _given(optax.GradientTransformation(given.init, given.update))  # as MultiSteps is
    build, chosen = as_factory(given)
    for key, default in parameters_of(seeded(build)).items():
        if default is REQUIRED and key == "learning_rate":
            chosen.setdefault(key, DEFAULT_RATE)
    return make(build, **chosen)


def as_factory(given: object) -> tuple[Factory, dict[str, PyTree]]:
    """What makes an optimizer, and what it has been given already.

    Args:
        given: as ``as_optimizer`` takes it.

    Raises:
        ArgumentError: an unknown name, or what is nothing of the kind.
    """
    if isinstance(given, str):
        return factory(given), {}
    if isinstance(given, Optimizer):
        return given.factory, dict(given.hyperparameters)
    if isinstance(given, optax.GradientTransformation):
        return Given(given), {}
    if isinstance(given, functools.partial):
        build, chosen = as_factory(given.func)
        of_groups = {key: value for key, value in given.keywords.items() if is_of_group(key)}
        plain = {key: value for key, value in given.keywords.items() if key not in of_groups}
        try:
            bound = signature(build).bind_partial(*given.args, **plain)
        except TypeError as error:
            raise ArgumentError(f"{getattr(build, '__name__', build)}: {error}") from None
        return build, chosen | bound.arguments | of_groups
    try:
        signature(cast(Factory, given))  # Python's own types have none
    except (TypeError, ValueError):
        raise ArgumentError(
            f"optimizer must be a name, a factory such as optax.adam, or an optax transformation, "
            f"got {given!r:.200}"
        ) from None
    return cast(Factory, given), {}


@functools.lru_cache(maxsize=256)
def _given(transformation: optax.GradientTransformation) -> Optimizer:
    """The same object for the same transformation, so that nothing compiles twice."""
    return Optimizer(Given(transformation), {}, transformation)


def _refusal(name: str, reason: str | None) -> str:
    return f"{name} cannot descend from a point: {reason}"


def chain(optimizer: object, **before: optax.GradientTransformation) -> Optimizer:
    """An optimizer that is handed a transformed gradient.

    Args:
        optimizer: as ``as_optimizer`` takes it.
        **before: transformations, by label and in order. Their numbers are traced, as
            ``label.parameter``.

    Raises:
        ArgumentError: a label that is one of the optimizer's hyperparameters.

    Example:
        >>> import gdjax
        >>> chain(gdjax.heavy_ball(0.1), clip=transform("clip", max_delta=1.0))
        heavy_ball(learning_rate=0.1, momentum=0.9, clip=clip(max_delta=1))
    """
    optimizer = as_optimizer(optimizer)
    for label in before:
        if label in optimizer.hyperparameters:
            raise ArgumentError(
                f"a transformation cannot be labelled {label!r}: the optimizer has a "
                f"hyperparameter of that name"
            )
    factory = Preceded(optimizer.factory, tuple(before))
    return Optimizer(factory, {**optimizer.hyperparameters, **before})


def why_not(optimizer: Optimizer) -> str | None:
    """Why an optimizer cannot descend from a point, or None if it can; nothing is compiled."""
    try:
        update = jax.eval_shape(lambda: trial_step(optimizer)[0])
    except Exception as error:  # whatever optax raises is the reason
        return first_line(error)
    shape, wanted = (
        jax.tree.map(lambda leaf: leaf.shape, x) for x in (update, trial_point(optimizer, 2))
    )
    return None if shape == wanted else f"its update for a point of shape {wanted} is {shape}"


def resolved(value: PyTree) -> PyTree:
    """A schedule or an optimizer that a config describes, made; all else as it is.

    Example:
        >>> resolved({"schedule": "constant_schedule", "value": 0.1}), resolved(0.1)
        (constant_schedule(value=0.1), 0.1)
    """
    if isinstance(value, Mapping) and "schedule" in value:
        return schedules.get(**value)
    if isinstance(value, Mapping) and "name" in value:
        return get(**value)
    return value
