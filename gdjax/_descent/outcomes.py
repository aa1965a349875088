"""What became of a descent: the outcome codes, and the rule that tells them apart."""

import enum
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gdjax._util.arguments import Limits, as_count, number, refused
from gdjax._util.types import Flat
from gdjax.objectives import Objective


class Outcome(enum.IntEnum):
    """How a descent ended.

    At rest: ``CONVERGED`` at a minimum, a known one or one that the Hessian shows to be one;
    ``SADDLE`` and ``MAXIMUM`` likewise; ``PLATEAU`` where value and gradient stay level all around;
    ``DEGENERATE`` where the Hessian is singular, or not there, and decides nothing; ``STALLED``
    where the next stationary point is out of reach, or nobody asked the Hessian.

    Else: ``STUCK`` has a line search that found no lower point; ``DIVERGED`` left every sensible
    bound; ``NONFINITE`` met NaN or infinity; ``MAX_STEPS`` was still moving after the last step.
    """

    CONVERGED = 0
    STALLED = 1
    DIVERGED = 2
    NONFINITE = 3
    MAX_STEPS = 4
    SADDLE = 5
    MAXIMUM = 6
    PLATEAU = 7
    DEGENERATE = 8
    STUCK = 9

    def __str__(self) -> str:
        return self.name.lower()


class StoppingRule(NamedTuple):
    """When a descent counts as at rest, as lost, and as having reached a minimum.

    Lengths are measured axis by axis in widths of the domain, so that the rule means the same
    on a domain of 1e7 × 10 as on the unit square.

    Args:
        gradient: at rest needs ‖∇f(x)‖ ≤ gradient · (1 + ‖∇f(x₀)‖) …
        step: … and a next step of at most this many widths on every axis.
        radius: a minimum is reached within this many widths on every axis …
        value: … and within this much of its value, in units of ``max(1, |value|)``.
        bound: lost is farther than this many widths from the middle of the domain.
        every: a sweep judges its descents after at most this many steps (after as many as divide
            all its steps), since judging costs as much as a step of a simple objective.
    """

    gradient: float = 1e-6
    step: float = 1e-6
    radius: float = 1e-3
    value: float = 1e-2
    bound: float = 100.0
    every: int = 10

    def levels(self, values: Flat) -> Flat:
        """The largest values that count as those of minima, ``(k,)``."""
        return values + self.value * abs(values).clip(1)


DEFAULT_RULE = StoppingRule()


def as_stopping(given: Any) -> StoppingRule:
    """A rule of which every number makes sense; True and False stand for the usual one.

    Raises:
        ArgumentError: what is no rule, or a number of it that is negative or NaN.
    """
    if given is DEFAULT_RULE or isinstance(given, bool | np.bool_):
        return DEFAULT_RULE
    if not isinstance(given, StoppingRule):
        raise refused("stopping", "be a gdjax.StoppingRule, True or False", given)
    for name, value in zip(given._fields[:-1], given[:-1], strict=True):
        number(Limits(ends="[]"))(f"{name} of the stopping rule", value)
    as_count("every", given.every, 1)
    return given


CLOSE = 1e-2  # of the radius: closer to a known minimum nobody looks for a saddle beside it


class Judge(NamedTuple):
    """What a descent is judged by: where the objective lives, its minima, and the rule.

    Args:
        center: middle of the domain, ``(d,)``.
        width: side lengths of the domain, ``(d,)``; without a domain ``max(1, |start|)``.
        minima: known minimizers ``(k, d)``, the global ones first.
        levels: the largest value that counts as that of each minimum, ``(k,)``.
        bounded: whether anybody gave a domain; without one only NaN and infinity are lost.
        stopping: the rule.
    """

    center: Float[Array | np.ndarray, "d"]
    width: Float[Array | np.ndarray, "d"]
    minima: Float[Array | np.ndarray, "k d"]
    levels: Float[Array | np.ndarray, "k"]
    bounded: bool
    stopping: StoppingRule

    @classmethod
    def of(cls, objective: Objective, start: Array, stopping: StoppingRule) -> "Judge":
        """The judge of descents from a start, in the start's dtype."""
        center = objective.center if objective.bounded else start
        width, levels = objective.width_from(start), stopping.levels(objective.minimum_values)
        center, width, minima, levels = (
            jnp.asarray(x, start.dtype) for x in (center, width, objective.known_minima, levels)
        )
        return cls(center, width, minima, levels, objective.bounded, stopping)

    def flat(self, first_gradient: Float[Array, "d"]) -> Float[Array, ""]:
        """The square of the gradient norm that counts as flat: (gradient · (1 + ‖∇f(x₀)‖))²."""
        norm = jnp.sqrt(jnp.sum(first_gradient * first_gradient))
        return (self.stopping.gradient * (1 + norm)) ** 2

    def converged(
        self, gradient: Float[Array, "d"], step: Float[Array, "d"], flat: Float[Array, ""]
    ) -> Bool[Array, ""]:
        """Whether gradient and next step are both small enough to call the point at rest."""
        small = jnp.all(jnp.abs(step) <= self.stopping.step * self.width)
        return small & (jnp.sum(gradient * gradient) <= flat)

    def inside(self, point: Float[Array, "d"]) -> Bool[Array, ""]:
        """Whether the point is within every sensible bound; NaN is not."""
        if not self.bounded:
            return jnp.all(jnp.isfinite(point))
        return jnp.all(jnp.abs(point - self.center) <= self.stopping.bound * self.width)

    def diverged(self, point: Float[Array, "d"]) -> Bool[Array, ""]:
        """Whether the point left every sensible bound; NaN has not, it is no number."""
        if not self.bounded:
            return jnp.array(False)
        return jnp.any(jnp.abs(point - self.center) > self.stopping.bound * self.width)

    def failed(
        self, before: Int[Array, ""], point: Float[Array, "d"], value: Float[Array, ""]
    ) -> Int[Array, ""]:
        """What has failed by this point of a path: of NaN and divergence, the first one counts.

        Args:
            before: what had failed by the point before: ``DIVERGED``, ``NONFINITE``, or −1.
            point: of the path.
            value: of the objective there.
        """
        broken = ~(jnp.isfinite(point).all() & jnp.isfinite(value))
        now = jnp.where(broken, Outcome.NONFINITE, -1)
        now = jnp.where(self.diverged(point), Outcome.DIVERGED, now)
        return jnp.where(before < 0, now, before).astype(jnp.int32)

    def nearest_minimum(
        self, point: Float[Array, "d"], value: Float[Array, ""]
    ) -> tuple[Int[Array, ""], Bool[Array, ""]]:
        """Index of the nearest known minimum that is reached, or −1; and whether it is close.

        Reached is what is within ``stopping.radius`` of it and within ``stopping.value`` of its
        value; close, within ``CLOSE`` of that radius, no stationary point can be told from it.
        """
        if len(self.minima) == 0:
            return jnp.int32(-1), jnp.array(False)
        away = jnp.abs((point - self.minima) / self.width)
        low = value <= self.levels
        # Each axis is compared by itself: XLA's maximum of numbers with a NaN may be −∞.
        within = jnp.all(away <= self.stopping.radius, axis=1) & low
        close = jnp.all(away <= CLOSE * self.stopping.radius, axis=1) & low
        distance = jnp.where(within, jnp.max(away, axis=1), jnp.inf)
        nearest = jnp.argmin(distance).astype(jnp.int32)
        return jnp.where(jnp.any(within), nearest, jnp.int32(-1)), jnp.any(close)


def classify(
    failed: Int[Array, ""],
    converged: Bool[Array, ""],
    close: Bool[Array, ""],
    stuck: Bool[Array, ""] | bool,
) -> Int[Array, ""]:
    """The outcome of a descent, by what ``Judge`` says of its last point.

    What is at rest, and not close to a known minimum, is ``STALLED`` until ``rest.settle`` has
    looked at it.
    """
    still = jnp.where(close, Outcome.CONVERGED, Outcome.STALLED)
    going = jnp.where(stuck, Outcome.STUCK, Outcome.MAX_STEPS)
    ended = jnp.where(converged, still, going)
    return jnp.where(failed < 0, ended, failed).astype(jnp.int32)
