"""Factories made of other ones: with a seed for a key, other defaults, transforms before them."""

import functools
import inspect
from typing import cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike

from gdjax._util.types import PyTree
from gdjax.optimizers.tree import Factory, signature


def random_key(seed: ArrayLike) -> Array:
    """The random key of a seed; a traced one may be a float."""
    return jax.random.key(jnp.asarray(seed).astype(jnp.uint32))


def seeded(factory: Factory) -> Factory:
    """A factory that takes a random key, as one that takes a seed, which can be traced."""
    return Seeded(factory) if "key" in signature(factory).parameters else factory


class Wrapper:
    """A factory made of another one; equal, and pickled, by what it is made of: its parts."""

    def __init__(self, factory: Factory, *parts: PyTree) -> None:
        functools.update_wrapper(cast(Factory, self), factory, updated=())
        self.parts: tuple[PyTree, ...] = (factory, *parts)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.parts == other.parts  # type: ignore

    def __hash__(self) -> int:
        return hash(self.parts)

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), self.parts


class Seeded(Wrapper):
    """A factory that takes a seed, where another takes a random key."""

    def __init__(self, factory: Factory) -> None:
        super().__init__(factory)
        known = signature(factory).parameters.items()
        kept = [p for key, p in known if key not in ("key", "seed")]
        seed = inspect.Parameter("seed", inspect.Parameter.KEYWORD_ONLY, default=0)
        self.__signature__ = inspect.Signature([*kept, seed])

    def __call__(
        self, *, seed: ArrayLike = 0, **hyperparameters: PyTree
    ) -> optax.GradientTransformation:
        """What the other makes, of the seed's key."""
        return self.parts[0](**hyperparameters, key=random_key(seed))


class Preset(Wrapper):
    """A factory with other defaults, as ``optax.nadam`` is ``optax.adam`` with Nesterov's step."""

    def __init__(self, factory: Factory, name: str, defaults: tuple[tuple[str, PyTree], ...]):
        super().__init__(factory, name, defaults)
        written = ", ".join(f"{key}={value!r}" for key, value in defaults)
        self.__name__, self.__doc__ = name, f"{factory.__name__} with {written}."
        preset = functools.partial(factory, **dict(defaults))
        self.__signature__: inspect.Signature = inspect.signature(preset)

    def __call__(self, **given: PyTree) -> optax.GradientTransformation:
        """What it makes with its own defaults."""
        factory, _, defaults = self.parts
        return factory(**dict(defaults) | given)


class Preceded(Wrapper):
    """The factory of an optimizer that is handed a transformed gradient."""

    def __init__(self, factory: Factory, labels: tuple[str, ...]) -> None:
        super().__init__(factory, labels)
        added = (inspect.Parameter(label, inspect.Parameter.KEYWORD_ONLY) for label in labels)
        self.__signature__ = inspect.Signature([*signature(factory).parameters.values(), *added])

    def __call__(self, **given: PyTree) -> optax.GradientTransformation:
        """The optimizer after what transforms its gradients."""
        factory, labels = self.parts
        before = [given.pop(label) for label in labels]
        return optax.chain(*before, factory(**given))


class Given(Wrapper):
    """The factory of what is made already, such as an object of optax: it has no numbers."""

    def __init__(self, transformation: optax.GradientTransformation) -> None:
        self.parts = (transformation,)
        self.__name__ = getattr(transformation.update, "__qualname__", "optax").partition(".")[0]
        self.written: str = f"{self.__name__}(…)"
        self.__signature__: inspect.Signature = inspect.Signature()

    def __call__(self) -> optax.GradientTransformation:
        """What was given."""
        return self.parts[0]
