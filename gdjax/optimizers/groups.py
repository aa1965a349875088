"""Hyperparameters of their own for groups of leaves: ``learning_rate[layers.0]``.

A group is a path into the point, such as ``w1``, ``layers.0`` or ``layers[0].weight``: the leaf
there, or all leaves below. Each group has an optimizer of its own, by ``optax.partition``.
"""

import functools
import itertools
import re
from collections.abc import Collection, Iterable
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import optax

from gdjax._util.errors import ArgumentError, unknown
from gdjax._util.types import PyTree
from gdjax.objectives.structure import path_in_words
from gdjax.optimizers.evaluation import tolerant
from gdjax.optimizers.tree import Factory, Tree, bare, signature
from gdjax.optimizers.wrappers import Preceded, Wrapper

Path = tuple[str, ...]  # from the whole point to a leaf, or to a branch
SHOWN = 20  # groups that a message lists
REST = ()  # the path of what is in no group


class Key(NamedTuple):
    """A hyperparameter of a group.

    Args:
        text: as it was written.
        name: of the hyperparameter.
        path: of the group.
    """

    text: str
    name: str
    path: Path


def is_of_group(name: str) -> bool:
    """Whether a name is that of a hyperparameter of a group.

    Example:
        >>> is_of_group("learning_rate[w1]"), is_of_group("learning_rate")
        (True, False)
    """
    return name != bare(name) and name.endswith("]")


def with_groups(factory: Factory, names: Iterable[str]) -> Factory:
    """The factory that takes these hyperparameters, those of groups too.

    Raises:
        ArgumentError: a name that is no path, two for one group, or one of a transformation.
    """
    keys = tuple(sorted(name for name in names if is_of_group(name)))
    if isinstance(factory, Preceded):
        inner, labels = factory.parts
        for key in keys:
            if bare(key) in labels:
                raise ArgumentError(
                    f"{key}: what transforms the gradient is of all leaves, and of no group"
                )
        return Preceded(with_groups(inner, keys), labels)
    if isinstance(factory, Grouped):
        factory = factory.parts[0]
    return Grouped(factory, keys) if keys else factory


def has_groups(optimizer: optax.GradientTransformation) -> bool:
    """Whether an optimizer has hyperparameters of groups."""
    return _grouped(optimizer) is not None


def paths_of(optimizer: optax.GradientTransformation) -> tuple[Path, ...]:
    """The paths of an optimizer's groups."""
    found = _grouped(optimizer)
    return found.paths if found else ()


def trial_point(optimizer: optax.GradientTransformation, dim: int) -> PyTree:
    """A point that an optimizer can be tried at: ``(dim,)``, or a tree with its groups."""
    found = _grouped(optimizer)
    if found is None:
        return jnp.ones(dim)
    return found.trial_point(dim, [*cast(Tree, optimizer).hyperparameters])


def _grouped(optimizer: optax.GradientTransformation) -> "Grouped | None":
    factory = getattr(optimizer, "factory", None)
    while isinstance(factory, Preceded):
        factory = factory.parts[0]
    return factory if isinstance(factory, Grouped) else None


class Grouped(Wrapper):
    """The factory of an optimizer that is built once for each group of leaves.

    Where groups lie in one another, that of the longest path counts.

    Args:
        factory: of the optimizer.
        names: of the hyperparameters of groups, such as ``learning_rate[w1]``.
    """

    def __init__(self, factory: Factory, names: tuple[str, ...]) -> None:
        super().__init__(factory, names)
        self.__signature__ = signature(factory)
        self._name = factory.__name__
        self._keys = [Key(name, bare(name), _path(name)) for name in names]
        of_one = {(key.name, key.path): key for key in reversed(self._keys)}
        for key in self._keys:
            if of_one[key.name, key.path] is not key:
                raise ArgumentError(
                    f"{of_one[key.name, key.path].text} and {key.text} are one: give one of them"
                )
        self.paths: tuple[Path, ...] = tuple(dict.fromkeys(key.path for key in self._keys))

    def __call__(self, **given: PyTree) -> optax.GradientTransformation:
        """The optimizer: one for each group, and one for the rest."""
        factory, names = self.parts
        whole = {name: value for name, value in given.items() if name not in names}
        made, left = {}, self._missing(given, REST)
        for path in self.paths if left else (REST, *self.paths):
            if missing := self._missing(given, path):
                raise ArgumentError(f"{self._name} needs {missing[0]} for {_label(path)} too")
            own = {name: given[key.text] for name, key in self._keys_at(path).items()}
            made[_label(path)] = tolerant(factory(**whole | own))
        return optax.partition(made, functools.partial(self._labels, needed=left))

    def trial_point(self, dim: int, given: Collection[str]) -> PyTree:
        """A leaf ``(dim,)`` for each group, and one for the rest if it has all that it needs."""
        rest = () if self._missing(given, REST) else (REST,)
        return {_label(path): jnp.ones(dim) for path in (*rest, *self.paths)}

    def _keys_at(self, path: Path) -> dict[str, Key]:
        """By hyperparameter the key that counts at a path: the longest that leads there."""
        found: dict[str, Key] = {}
        for key in sorted(self._keys, key=lambda key: len(key.path)):
            if key.path == path[: len(key.path)]:
                found[key.name] = key
        return found

    def _missing(self, given: Collection[str], path: Path) -> list[str]:
        """The hyperparameters that a group needs and is not given."""
        every = signature(self.parts[0]).parameters.values()
        required = {p.name for p in every if p.default is p.empty}
        return sorted(required - {*given, *self._keys_at(path)})

    def _labels(self, tree: PyTree, needed: list[str]) -> PyTree:
        """For each leaf of a point the label of its group.

        Raises:
            ArgumentError: a group that names nothing, or a leaf in none where one has to be.
        """
        leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
        paths = [path_of(path_in_words(path)) for path, _ in leaves]
        for key in self._keys:
            if not any(key.path == path[: len(key.path)] for path in paths):
                raise unknown(f"group of {key.name}", _label(key.path), _known(paths), "there are")
        at = {path: max(self._leading_to(path), key=len) for path in paths}
        used = {key for path in at.values() for key in self._keys_at(path).values()}
        for key in self._keys:
            if key not in used:
                raise ArgumentError(f"{key.text} counts nowhere: groups within it name all of it")
        for path, group in at.items():
            if group == REST and needed:
                where = _label(path) or "the rest"
                names = ", ".join(key.text for key in self._keys)
                raise ArgumentError(
                    f"{self._name} needs {needed[0]} for {where}, which is in no group of {names}"
                )
        return jax.tree.unflatten(structure, [_label(at[path]) for path in paths])

    def _leading_to(self, path: Path) -> list[Path]:
        return [group for group in (REST, *self.paths) if group == path[: len(group)]]


def _path(name: str) -> Path:
    """The path in the name of a hyperparameter of a group."""
    inside = name[len(bare(name)) + 1 : -1]
    path = path_of(inside)
    if not path:
        raise ArgumentError(f"{name} must name a group, as learning_rate[w1] does")
    return path


def path_of(text: str) -> Path:
    """The parts of a path.

    Example:
        >>> path_of("layers.0.w"), path_of("layers[0].w")
        (('layers', '0', 'w'), ('layers', '0', 'w'))
    """
    return tuple(re.findall(r"[^.\[\]]+", text))


def _label(path: Path) -> str:
    return ".".join(path)


def _known(paths: Iterable[Path]) -> list[str]:
    """All groups of leaves with these paths, as far as a message has room for them."""
    every = dict.fromkeys(
        _label(path[:n]) for path in paths for n in range(1, len(path) + 1)
    )  # fmt: skip
    some = [*itertools.islice(every, SHOWN)]
    return some + ["…"] * (len(every) > SHOWN)
