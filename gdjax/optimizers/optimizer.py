"""What an optimizer is: an optax transformation that is also a JAX pytree of its numbers."""

import contextlib
import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax
from jax import tree_util
from jaxtyping import Array, ArrayLike

from gdjax._util.types import PointFunction, PyTree
from gdjax.optimizers.catalogue import arguments
from gdjax.optimizers.evaluation import tolerant
from gdjax.optimizers.groups import is_of_group, trial_point, with_groups
from gdjax.optimizers.tree import IN_PYTHON, Factory, Kind, Tree, checked, is_own, signature

Scalar = float | int | Array
LearningRate = Scalar | Callable[[ArrayLike], ArrayLike]


class Optimizer(Tree, optax.GradientTransformationExtraArgs):
    """An optax transformation that is also a JAX pytree: its leaves are its numbers.

    Any optax code takes it for what it is, and so do ``jax.jit``, ``vmap``, ``grad`` and
    ``jax.tree.map``: another learning rate or momentum never recompiles. ``init`` and ``update``
    are made when they are first called.

    Example:
        >>> import gdjax, jax
        >>> twice = jax.tree.map(lambda number: number / 2, gdjax.heavy_ball(0.2, 0.8))
        >>> twice
        heavy_ball(learning_rate=0.1, momentum=0.4)
    """

    _built: optax.GradientTransformationExtraArgs | None

    def __new__(
        cls,
        factory: Factory,
        hyperparameters: Mapping[str, PyTree],
        made: optax.GradientTransformation | None = None,
    ) -> "Optimizer":
        """An optimizer by how it is made, and what that makes if it is known already."""
        self = cls.made_of(factory, hyperparameters)
        self._built = None if made is None else tolerant(made)
        return self

    @classmethod
    def _empty(cls, factory: Factory) -> "Optimizer":
        def init(params: PyTree) -> PyTree:
            return self._made.init(params)

        def update(
            updates: PyTree, state: PyTree, params: PyTree = None, **extra: PyTree
        ) -> PyTree:
            return self._made.update(updates, state, params, **extra)

        self = tuple.__new__(cls, (init, update))
        self.factory, self._given, self._built = factory, None, None
        return self

    def replace(self, **numbers: PyTree) -> "Optimizer":
        """The same with other numbers, by their dotted names; those of groups may be new.

        Raises:
            ArgumentError: a name that it does not have, or a value outside its range.

        Example:
            >>> import gdjax
            >>> gdjax.heavy_ball(0.1).replace(**{"learning_rate[w1]": 0.01})
            heavy_ball(learning_rate=0.1, momentum=0.9, learning_rate[w1]=0.01)
        """
        new = {k for k in numbers if is_of_group(k) and k not in self.hyperparameters}
        if not new:
            return super().replace(**numbers)
        taken = arguments(self.factory, {**self.hyperparameters, **{k: numbers[k] for k in new}})
        made = Optimizer(with_groups(self.factory, taken), taken)
        return made.replace(**{key: x for key, x in numbers.items() if key not in new})

    @property
    def _made(self) -> optax.GradientTransformationExtraArgs:
        if self._built is None:
            # One of gdjax's own checks, and remembers, what it was given.
            build = getattr(self.factory, "__wrapped__", None) if is_own(self.factory) else None
            self._built = tolerant((build or self.factory)(**self.hyperparameters))
        return self._built

    def _step(self) -> PyTree:
        return trial_step(self)[0]


class Schedule(Tree):
    """A number that depends on the step, as every optax schedule, and a JAX pytree.

    Args:
        factory: the function that makes the schedule.
        hyperparameters: the keyword arguments to call it with.
    """

    def __init__(self, factory: Factory, hyperparameters: Mapping[str, PyTree]) -> None:
        self.factory, self._given = factory, dict(hyperparameters)
        self._at: Factory | None = None
        with contextlib.suppress(*IN_PYTHON):  # said by name once it is taken apart
            self._at = factory(**hyperparameters)

    @classmethod
    def _empty(cls, factory: Factory) -> "Schedule":
        self = object.__new__(cls)
        self.factory, self._given, self._at = factory, None, None
        return self

    def __call__(self, step: ArrayLike) -> ArrayLike:
        """The number at that step."""
        # With traced numbers it is made each time: inside a loop what it holds is the loop's own.
        return (self._at or self.factory(**self.hyperparameters))(step)

    def _step(self) -> PyTree:
        return self(jnp.zeros((), int))


def _flatten(tree: Tree) -> tuple[tuple[PyTree, ...], Kind]:
    kind, numbers = tree.parts
    return numbers, kind


def _flatten_with_keys(tree: Tree) -> tuple[tuple[PyTree, ...], Kind]:
    kind, numbers = tree.parts
    return tuple(zip(map(tree_util.DictKey, kind.names), numbers, strict=True)), kind


for _cls in (Optimizer, Schedule):
    tree_util.register_pytree_with_keys(_cls, _flatten_with_keys, _cls.of_parts, _flatten)


def own(build: Factory) -> Callable[..., Optimizer]:
    """A factory that checks its hyperparameters and makes an ``Optimizer`` (a decorator)."""

    @functools.wraps(build)
    def factory(*args: PyTree, **kwargs: PyTree) -> Optimizer:
        bound = signature(build).bind(*args, **kwargs)
        bound.apply_defaults()
        return Optimizer(factory, {k: checked(k, v) for k, v in bound.arguments.items()})

    factory.is_own = True  # pyright: ignore
    return factory


def trial_bowl(point: PyTree) -> Array:
    """The objective of ``trial_step``: the squared length of a point."""
    return sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(point)), jnp.zeros(()))


def trial_step(
    transformation: optax.GradientTransformation, bowl: PointFunction = trial_bowl, dim: int = 2
) -> tuple[PyTree, PyTree]:
    """The first update and state on a bowl, with all that a descent hands over.

    Args:
        transformation: whose step it is.
        bowl: the objective, which an optimizer may evaluate by itself.
        dim: number of dimensions.
    """
    point = trial_point(transformation, dim)
    slope = jax.tree.map(lambda x: 2 * x, point)
    extra = extra_arguments(jnp.zeros(()), slope, bowl, jax.grad(bowl), lambda residuals: residuals)
    taking = optax.with_extra_args_support(transformation)
    return taking.update(slope, taking.init(point), point, **extra)


def has_line_search(state: PyTree) -> bool:
    """Whether an optimizer with such a state searches along a line for a lower point.

    Example:
        >>> has_line_search(optax.lbfgs().init(jnp.zeros(2)))
        True
    """
    return bool(optax.tree_utils.tree_get_all_with_path(state, "num_linesearch_steps"))


def extra_arguments(
    value: Array, slope: PyTree, fn: Factory, gradient: Factory, residuals: Factory | None = None
) -> dict[str, PyTree]:
    """All that some optimizer asks for: line searches, Polyak steps, Sophia, SAM, Gauss-Newton.

    Args:
        value: the objective at the point.
        slope: its gradient there, of the structure of the point.
        fn: point → value.
        gradient: point → gradient.
        residuals: point → residuals, where the objective is the sum of their squares.
    """

    def value_fn(
        point: PyTree, obj_fn: object = None, grad_fn: object = None, residual_fn: object = None
    ) -> Array:
        return fn(point)  # line searches hand on the other three without a use for them

    def grad_fn(point: PyTree, inner_step: object = None) -> PyTree:
        return gradient(point)

    return {
        "value": value, "grad": slope, "value_fn": value_fn, "obj_fn": fn, "grad_fn": grad_fn,
        "residual_fn": residuals,
    }  # fmt: skip
