"""What became of a descent: the outcome codes, and the rule that tells them apart."""

import enum
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


class Outcome(enum.IntEnum):
    """How a descent ended.

    ``CONVERGED`` came to rest at a known minimum, global or local; ``STALLED`` came to rest
    at a stationary point that is no known minimum; ``DIVERGED`` left every sensible bound;
    ``NONFINITE`` met NaN or infinity; ``MAX_STEPS`` was still moving after the last step.
    """

    CONVERGED = 0
    STALLED = 1
    DIVERGED = 2
    NONFINITE = 3
    MAX_STEPS = 4

    def __str__(self) -> str:
        return self.name.lower()


class StoppingRule(NamedTuple):
    """When a descent counts as at rest, as lost, and as having reached a minimum.

    Lengths are measured axis by axis in widths of the domain, so that the rule means the same
    on a domain of 1e7 × 10 as on the unit square.

    Args:
        gradient: at rest needs ‖∇f(x)‖ ≤ gradient · (1 + ‖∇f(x₀)‖) …
        step: … and a next step of at most this many widths on every axis.
        radius: a minimum is reached within this many widths on every axis.
        bound: lost is farther than this many widths from the middle of the domain.
        every: a sweep looks for rest after at most this many steps, which costs it as much as a
            step of a simple objective: after as many as divide its steps.
    """

    gradient: float = 1e-6
    step: float = 1e-6
    radius: float = 1e-3
    bound: float = 100.0
    every: int = 10


DEFAULT_RULE = StoppingRule()


class Frame(NamedTuple):
    """Where an objective lives: what the rule measures lengths by, and the known minima.

    Args:
        center: middle of the domain, ``(d,)``.
        width: side lengths of the domain, ``(d,)``.
        minima: known minimizers ``(k, d)``, the global ones first.
        bounded: whether anybody gave a domain; without one only NaN and infinity are lost.
    """

    center: Float[Array | np.ndarray, "d"]
    width: Float[Array | np.ndarray, "d"]
    minima: Float[Array | np.ndarray, "k d"]
    bounded: bool = True


def at_rest(
    gradient: Float[Array, "d"],
    first_gradient: Float[Array, "d"],
    step: Float[Array, "d"],
    frame: Frame,
    rule: StoppingRule,
) -> Bool[Array, ""]:
    """Whether both the gradient and the next step are small enough to call the point at rest."""
    flat = jnp.linalg.norm(gradient) <= rule.gradient * (1 + jnp.linalg.norm(first_gradient))
    return flat & jnp.all(jnp.abs(step) <= rule.step * frame.width)


def lost(point: Float[Array, "d"], frame: Frame, rule: StoppingRule) -> Bool[Array, ""]:
    """Whether the point left every sensible bound; False for NaN, which is not a place."""
    if not frame.bounded:
        return jnp.array(False)
    return jnp.any(jnp.abs(point - frame.center) > rule.bound * frame.width)


def nearest_minimum(point: Float[Array, "d"], frame: Frame, rule: StoppingRule) -> Int[Array, ""]:
    """Index of the known minimum within ``rule.radius`` of the point, the nearest one, or −1."""
    if len(frame.minima) == 0:
        return jnp.int32(-1)
    away = jnp.abs((point - frame.minima) / frame.width)
    nearest = jnp.argmin(jnp.max(away, axis=1)).astype(jnp.int32)
    # Each axis is compared by itself: XLA's maximum of numbers with a NaN among them may be −∞.
    within = jnp.any(jnp.all(away <= rule.radius, axis=1))
    return jnp.where(within, nearest, jnp.int32(-1))


def went_wrong(
    before: Int[Array, ""],
    point: Float[Array, "d"],
    value: Float[Array, ""],
    frame: Frame,
    rule: StoppingRule,
) -> Int[Array, ""]:
    """What has gone wrong by this point of a path; of NaN and out of bounds, the first one counts.

    Args:
        before: what had gone wrong by the point before: ``DIVERGED``, ``NONFINITE``, or −1.
        point: of the path.
        value: of the objective there.
        frame: of the objective.
        rule: when a point counts as lost.
    """
    broken = ~(jnp.isfinite(point).all() & jnp.isfinite(value))
    now = jnp.where(broken, Outcome.NONFINITE, -1)
    now = jnp.where(lost(point, frame, rule), Outcome.DIVERGED, now)
    return jnp.where(before < 0, now, before).astype(jnp.int32)


def classify(
    wrong: Int[Array, ""], rest: Bool[Array, ""], minimum: Int[Array, ""]
) -> Int[Array, ""]:
    """The outcome of a whole path.

    Args:
        wrong: ``went_wrong`` by the last point.
        rest: whether that point is ``at_rest``.
        minimum: ``nearest_minimum`` of it.
    """
    still = jnp.where(minimum >= 0, Outcome.CONVERGED, Outcome.STALLED)
    ended = jnp.where(rest, still, Outcome.MAX_STEPS)
    return jnp.where(wrong < 0, ended, wrong).astype(jnp.int32)
