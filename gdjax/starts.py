"""Where the descents of a sweep begin: given points, a grid, or a sample of the domain.

Of an objective without a domain that draws its own parameters, any sample is one of those.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from gdjax._inputs import as_count, as_points, is_count
from gdjax._util import lazy
from gdjax._util.arguments import SEEDS, as_numbers
from gdjax._util.display import shown
from gdjax._util.errors import ArgumentError, check_known
from gdjax._util.memory import check_fits
from gdjax.objectives import Objective

__all__ = ["Starts", "grid", "init", "latin_hypercube", "make", "sobol", "uniform"]
__dir__: Callable[[], list[str]] = lazy.listing(globals())

Kind = Literal["array", "grid", "uniform", "sobol", "latin_hypercube", "init"]
MANY = 2**62  # more are no numbers of 64 bits
BLOCK = 2**16  # points drawn from one seed: any part of a sample can be made without the rest


@shown
class Starts(NamedTuple):
    """Starts, made piece by piece where they are needed.

    Args:
        kind: ``array``, ``grid``, ``uniform``, ``sobol``, ``latin_hypercube`` or ``init``.
        number: how many; of a grid, how many along each axis of the domain.
        seed: of a sample.
        points: of an array, ``(n, d)``.
    """

    kind: Kind
    number: int
    seed: int = 0
    points: Float[np.ndarray, "n d"] | None = None

    def count(self, dim: int) -> int:
        """How many starts there are in d dimensions."""
        return self.number**dim if self.kind == "grid" else self.number

    def shape(self, dim: int) -> tuple[int, ...]:
        """Points a side of a grid, else their number."""
        return (self.number,) * dim if self.kind == "grid" else (self.number,)

    def take(self, objective: Objective, first: int, last: int) -> Float[np.ndarray, "n d"]:
        """The starts from ``first`` up to ``last``, ``(last - first, d)``.

        None that is drawn lies on a bound of the objective's coordinates, or beyond.
        """
        if self.points is not None:
            return self.points[first:last]
        return _within(objective, self._drawn(objective, first, last))

    def _drawn(self, objective: Objective, first: int, last: int) -> np.ndarray:
        """Points of the domain, ``(last - first, d)``."""
        dim = objective.dim
        drawn = self.number if self.kind == "latin_hypercube" else last - first
        check_fits(3 * 8 * drawn * dim, f"{drawn:,} starts of {dim} numbers", "take fewer starts")
        if self.kind == "init" or (self.kind != "grid" and draws_its_own(objective)):
            return _initialised(objective, self.seed, range(first, last))
        domain = objective.needs_domain(f"a {self.kind} of starts")
        low, high = domain.T
        if self.kind == "grid":
            lines = [np.linspace(a, b, self.number) for a, b in domain]
            index = np.unravel_index(np.arange(first, last), self.shape(dim))
            return np.stack([line[i] for line, i in zip(lines, index, strict=True)], axis=1)
        if self.kind == "uniform":
            blocks = range(first // BLOCK, -(-last // BLOCK))
            draws = [np.random.default_rng([self.seed, b]).random((BLOCK, dim)) for b in blocks]
            skip = first - blocks.start * BLOCK
            unit = np.concatenate(draws)[skip : skip + last - first]
        else:
            from scipy.stats import qmc

            if self.kind == "sobol":
                sampler = qmc.Sobol(dim, rng=np.random.default_rng(self.seed))
                if first:
                    unit = sampler.fast_forward(first).random(last - first)
                else:  # SciPy warns of a beginning that is no power of two, even where more follow
                    unit = sampler.random(2 ** (last - 1).bit_length())[:last]
            else:  # a Latin hypercube is a whole: every slice of every axis is hit once
                sampler = qmc.LatinHypercube(dim, rng=np.random.default_rng(self.seed))
                unit = sampler.random(self.number)[first:last]
        return low + (high - low) * unit


def _within(objective: Objective, points: np.ndarray) -> np.ndarray:
    """Points ``(n, d)`` of the domain, moved within the bounds of the coordinates."""
    if objective.coordinates is None:
        return points
    return objective.coordinates.pulled_inside(points, np.asarray(objective.domain))


def _sample(kind: Kind, number: int, seed: int) -> Starts:
    return Starts(
        kind, as_count("number of starts", number, 1, MANY), as_count("seed", seed, 0, MANY)
    )


def grid(number: int) -> Starts:
    """A grid over the domain, both ends included, the first axis slowest.

    Args:
        number: how many points along each axis.

    Raises:
        ArgumentError: not a positive integer.

    Example:
        >>> import gdjax
        >>> gdjax.starts.grid(3).take(gdjax.objectives.get("parabola"), 0, 3).tolist()
        [[-10.0], [0.0], [10.0]]
    """
    return _sample("grid", number, 0)


def uniform(number: int, seed: int = 0) -> Starts:
    """Independent uniform points in the domain.

    Args:
        number: how many.
        seed: of the draw; the first n points do not depend on ``number``.

    Raises:
        ArgumentError: a number or a seed that is not a whole number.
    """
    return _sample("uniform", number, seed)


def sobol(number: int, seed: int = 0) -> Starts:
    """A scrambled Sobol sequence over the domain; a power of two keeps it balanced.

    Args:
        number: how many points.
        seed: of the scrambling.

    Raises:
        ArgumentError: a number that is not a power of two, or a seed that is no whole number.

    Reference:
        Owen 1998, Scrambling Sobol' and Niederreiter-Xing points, J. Complexity 14:466.
    """
    starts = _sample("sobol", number, seed)
    number = starts.number
    if number > 2**30:
        raise ArgumentError(f"number of Sobol points must be at most 2³⁰, got {number}")
    if number & (number - 1):
        near = 2 ** min(round(math.log2(number)), 30)
        raise ArgumentError(f"number of Sobol points must be a power of two, got {number}; "
                            f"take {near}")  # fmt: skip
    return starts


def latin_hypercube(number: int, seed: int = 0) -> Starts:
    """A Latin hypercube over the domain: every one of n slices of every axis holds one point.

    Args:
        number: how many points.
        seed: of the draw.

    Raises:
        ArgumentError: a number or a seed that is not a whole number.

    Reference:
        McKay, Beckman & Conover 1979, Technometrics 21:239.
    """
    return _sample("latin_hypercube", number, seed)


def init(number: int, seed: int = 0) -> Starts:
    """Initialisations of a problem's parameters, as its own ``init`` draws them.

    Args:
        number: how many.
        seed: of the draw; the first n do not depend on ``number``.

    Raises:
        ArgumentError: a number or a seed that is not a whole number; where they are drawn, an
            objective that has no ``init``.

    Example:
        >>> import gdjax, jax.numpy as jnp
        >>> f = gdjax.problem(
        ...     lambda w, x: jnp.mean((x @ w) ** 2), data=np.eye(3),
        ...     init=lambda key: jax.random.normal(key, (3,)),
        ... )
        >>> init(5).take(f, 0, 5).shape
        (5, 3)
    """
    return _sample("init", number, as_count("seed", seed, 0, SEEDS))


def draws_its_own(objective: Objective) -> bool:
    """Whether there is no domain to sample, and an ``init`` instead."""
    training = objective.training
    return not objective.bounded and training is not None and training.init is not None


def _initialised(objective: Objective, seed: int, which: range) -> np.ndarray:
    """The initialisations of these numbers, in single precision; both precisions begin there."""
    draw = objective.training and objective.training.init
    if not draw:
        raise ArgumentError(
            f"starts of kind init need an objective that draws its parameters, as gdjax.problem "
            f"with init=... makes one, and {objective.name} does not"
        )
    with jax.enable_x64(False):
        drawn = (draw(jax.random.fold_in(jax.random.key(seed), i)) for i in which)
        points = [objective.check_point(each) for each in drawn]
    return np.asarray(points, float).reshape(len(which), objective.dim)


MAKERS: dict[str, Callable[..., Starts]] = {
    "grid": grid,
    "uniform": uniform,
    "sobol": sobol,
    "latin_hypercube": latin_hypercube,
    "init": init,
}


def make(kind: str, **options: Any) -> Starts:
    """Starts by the name of their kind, as a config has it.

    Example:
        >>> make("uniform", number=10, seed=3).kind
        'uniform'
    """
    check_known("kind of starts", kind, MAKERS)
    return MAKERS[kind](**options)


def as_starts(starts: Any, objective: Objective) -> Starts:
    """Whatever a user gives for starts: ``Starts``, one point, points, or None for the objective's.

    Raises:
        ArgumentError: points of another dimension, not finite, or none.
    """
    if isinstance(starts, Starts):
        return starts
    if starts is None:
        starts = objective.start
    first = starts[0] if isinstance(starts, list | tuple) and len(starts) else starts
    if objective.structure is not None or isinstance(first, Mapping):
        points = as_points(objective, starts, "starts")
        return Starts("array", len(points), points=points)
    try:
        points = np.asarray(starts)
        points = points if points.dtype.kind == "f" else as_numbers("starts", starts)
    except (TypeError, ValueError):
        raise ArgumentError(
            f"starts must be points of {objective.dim} numbers, got {starts!r}"
        ) from None
    if points.ndim == 1 and isinstance(starts, Sequence | np.ndarray):
        points = points[None] if points.size == objective.dim else points[:, None]
    if points.ndim != 2 or points.shape[1] != objective.dim:
        raise ArgumentError(
            f"starts must have shape (n, {objective.dim}), as {objective.name} needs, "
            f"got {np.shape(starts)}"
        )
    if not len(points):
        raise ArgumentError("starts must hold at least one point, got none")
    if not np.isfinite(points).all():
        i = int((~np.isfinite(points).all(axis=1)).argmax())
        raise ArgumentError(f"starts must be finite, got {tuple(points[i].tolist())} at index {i}")
    if objective.coordinates is not None:
        for point in points:
            objective.coordinates.check_inside(point.tolist(), objective.variables)
    return Starts("array", len(points), points=points)


def given_or_drawn(objective: Objective, starts: Any, seed: int = 0) -> np.ndarray:
    """Starts ``(n, d)``: those given, or so many: the objective's own and others of its domain.

    Raises:
        ArgumentError: no starts, or one of another dimension.
    """
    if not is_count(starts):
        return as_points(objective, starts, "starts")
    number = as_count("starts", starts, 1)
    drawn = np.empty((0, objective.dim))
    if number > 1:
        need = 4 * 8 * number * objective.dim
        check_fits(need, f"starts={number:,} of {objective.dim} numbers", "take fewer starts")
        if draws_its_own(objective):
            drawn = _initialised(objective, seed, range(number - 1))
        else:
            low, high = objective.needs_domain("a number of starts").T
            drawn = np.random.default_rng(seed).uniform(low, high, (number - 1, objective.dim))
            drawn = _within(objective, drawn)
    return np.concatenate([np.asarray(objective.start)[None], drawn])
