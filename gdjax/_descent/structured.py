"""Optimizers over points of a person's own structure, in a loop whose points are flat."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array

from gdjax import optimizers
from gdjax._util.errors import unknown
from gdjax._util.types import Flat, PyTree
from gdjax.objectives import Objective
from gdjax.objectives.structure import Structure
from gdjax.optimizers.groups import has_groups, path_of, paths_of


@dataclasses.dataclass(frozen=True)
class Components:
    """A vector, in which some components are leaves of their own, by name; all others are one.

    Args:
        names: of all components.
        own: of those that are leaves.
    """

    names: tuple[str, ...]
    own: frozenset[str]

    @property
    def size(self) -> int:
        """The length d of the vector."""
        return len(self.names)

    @functools.cached_property
    def _runs(self) -> list[tuple[str, int, int]]:
        """The vector, piece by piece: whose it is, "" for the rest, and from where to where."""
        runs = itertools.groupby(range(self.size), key=lambda i: self._leaf(self.names[i]))
        return [(leaf, part[0], part[-1] + 1) for leaf, part in ((k, [*v]) for k, v in runs)]

    def _leaf(self, name: str) -> str:
        return name if name in self.own else ""

    def numbers(self, flat: Flat) -> dict[str, Array]:
        """A point by leaf."""
        pieces: dict[str, list[Flat]] = {}
        for leaf, first, last in self._runs:
            pieces.setdefault(leaf, []).append(flat[first:last])
        return {leaf: jnp.concatenate(parts) for leaf, parts in pieces.items()}

    def flatten(self, point: PyTree, argument: str = "") -> Array:
        """The vector again."""
        del argument
        used, pieces = dict.fromkeys(point, 0), []
        for leaf, first, last in self._runs:
            at = used[leaf]
            used[leaf] = at + last - first
            pieces.append(point[leaf][at : used[leaf]])
        return jnp.concatenate(pieces)


Points = Structure | Components


def points_of(optimizer: optax.GradientTransformation, objective: Objective) -> Points | None:
    """What an optimizer is handed points as; None for plain vectors.

    Raises:
        ArgumentError: hyperparameters of components that a vector does not have.
    """
    if objective.structure is not None or not has_groups(optimizer):
        return objective.structure
    return _components(objective.variables, paths_of(optimizer))


@functools.lru_cache(maxsize=256)
def _components(names: Sequence[str], paths: Sequence[tuple[str, ...]]) -> Components:
    own: set[str] = set()
    for path in paths:
        there = {name for name in names if path_of(name)[: len(path)] == path}
        if not there:
            raise unknown("group of hyperparameters", ".".join(path), names, "there are")
        own |= there
    return Components(tuple(names), frozenset(own))


def over_vectors(
    optimizer: optax.GradientTransformationExtraArgs, structure: Points | None
) -> optax.GradientTransformationExtraArgs:
    """A transformation of flat points that hands the optimizer points of that structure.

    Args:
        optimizer: what moves the points.
        structure: of the points, whose leaves without numbers are None; None for plain vectors,
            which the optimizer is handed as they are.
    """
    if structure is None:
        return optimizer
    shaped = structure.numbers

    def flat(point: PyTree, argument: str = "a point of the optimizer") -> Array:
        return jnp.asarray(structure.flatten(point, argument))

    def init(params: PyTree) -> PyTree:
        return optimizer.init(shaped(params))

    def update(
        updates: PyTree, state: PyTree, params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, PyTree]:
        fn, gradient, residuals = extra["obj_fn"], extra["grad_fn"], extra.get("residual_fn")
        given = optimizers.extra_arguments(
            extra["value"], shaped(extra["grad"]),
            lambda point: fn(flat(point)), lambda point: shaped(gradient(flat(point))),
            residuals and (lambda point: residuals(flat(point))),
        )  # fmt: skip
        moves, state = optimizer.update(shaped(updates), state, shaped(params), **given)
        return flat(moves, "the update of the optimizer"), state

    return optax.GradientTransformationExtraArgs(init, update)
