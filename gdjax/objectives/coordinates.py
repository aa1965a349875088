"""Coordinates in which optimizers move: parameters of different sizes, and parameters with bounds.

A descent's points stay in the user's own units. The optimizer is handed coordinates v of them, with
the gradient in these, and what it adds to v is turned back into a step of the point:

    no bound      x = s v
    x > a         x = a + s log(1 + e^v)
    x < b         x = b − s log(1 + e^(−v))
    a < x < b     x = a + (b − a) / (1 + e^(−4 s v / (b − a)))

so that s is the slope far from the bounds, or half-way between two.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from gdjax._util.arguments import as_numbers, refused
from gdjax._util.errors import ArgumentError, check_known
from gdjax._util.types import Flat

MARGIN = 1e-3  # of the domain: starts that are drawn keep so far from a bound

SHOWN = 3  # components in the repr


class Coordinates:
    """Coordinates v of points x, each component by itself.

    Args:
        scale: the slope s of each component where no bound is near, ``(d,)``, positive.
        bounds: the pair (low, high) of each component, infinite where there is none.

    Raises:
        ArgumentError: a scale that is not positive, or a pair that is not low < high, or not one of
            each for every component.

    Example:
        >>> of = Coordinates([1.0, 100.0], [(0.0, math.inf), (-math.inf, math.inf)])
        >>> of.outward(of.inward(jnp.array([3.0, 50.0]))).tolist()
        [3.0, 50.0]
        >>> of
        0 < x₁: softplus, slope 1; x₂: slope 100

    Reference:
        Dugas et al. 2001, Incorporating second-order functional knowledge for better option
        pricing, p. 473 (softplus).
    """

    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def __init__(self, scale: ArrayLike | Sequence[float], bounds: ArrayLike | Sequence[Any]):
        self.scale = _numbers("scale", "one positive number a component", scale, 1)
        pairs = _numbers("bounds", "one pair (low, high) a component", bounds, 2)
        if pairs.shape != (len(self.scale), 2):
            raise ArgumentError(
                f"bounds must be {len(self.scale)} pairs (low, high), as scale has as many "
                f"components, got {bounds!r:.100}"
            )
        self.low, self.high = pairs.T
        if not (np.isfinite(self.scale) & (self.scale > 0)).all():
            raise ArgumentError(f"scale must be positive and finite, got {self.scale.tolist()}")
        for low, high in zip(self.low, self.high, strict=True):
            if not low < high:
                raise ArgumentError(f"bounds must be pairs low < high, got ({low:g}, {high:g})")

    def __repr__(self) -> str:
        rows = zip(self.scale[:SHOWN], self.low, self.high, strict=False)
        told = [
            f"{_side(i, low, high)}: {_kind(low, high)}slope {s:.4g}"
            for i, (s, low, high) in enumerate(rows)
        ]
        return "; ".join([*told, *["…"] * (len(self.scale) > SHOWN)])

    def check_inside(self, point: Sequence[float | int], names: Sequence[str]) -> None:
        """Refuse a start on a bound or beyond: the coordinates have no number for it.

        Raises:
            ArgumentError: for the first of its components that is.
        """
        for x, low, high, name in zip(point, self.low, self.high, names, strict=True):
            if not low < x < high:
                raise ArgumentError(
                    f"start must lie within bounds, {low:g} < {name} < {high:g}, got {name}={x:g}"
                )

    def pulled_inside(self, points: np.ndarray, domain: np.ndarray) -> np.ndarray:
        """Points ``(n, d)`` of a domain ``(d, 2)``, those on a bound or beyond moved within."""
        margin = MARGIN * np.minimum(np.ptp(domain, axis=1), self.high - self.low)
        return np.clip(points, self.low + margin, self.high - margin)

    def outward(self, v: Array) -> Array:
        """Coordinates ``(d,)`` → point ``(d,)``."""
        s, low, high = self._like(v)
        side = jnp.where(jnp.isfinite(high - low), high - low, 1)
        return self._chosen(
            v, s * v, low + s * jax.nn.softplus(v), high - s * jax.nn.softplus(-v),
            low + side * jax.nn.sigmoid(4 * s * v / side),
        )  # fmt: skip

    def slope(self, v: Array) -> Array:
        """The derivative of ``outward``, component by component, ``(d,)``."""
        s, low, high = self._like(v)
        side = jnp.where(jnp.isfinite(high - low), high - low, 1)
        share = jax.nn.sigmoid(4 * s * v / side)
        return self._chosen(
            v, s, s * jax.nn.sigmoid(v), s * jax.nn.sigmoid(-v), 4 * s * share * (1 - share)
        )

    def inward(self, x: Array) -> Array:
        """Point ``(d,)`` → coordinates ``(d,)``; infinite on a bound."""
        s, low, high = self._like(x)
        side = jnp.where(jnp.isfinite(high - low), high - low, 1)
        above, below = (jnp.where(jnp.isfinite(y), y, 1) / s for y in (x - low, high - x))
        return self._chosen(
            x, x / s, _from_softplus(above), -_from_softplus(below),
            side / (4 * s) * (jnp.log(above) - jnp.log(below)),
        )  # fmt: skip

    def free(self, point: Flat, gradient: Flat, width: Flat) -> Flat:
        """A gradient that counts the less against a bound, the closer it is in widths, ``(d,)``."""
        above = jnp.clip((point - self._like(point)[1]) / width, 0, 1)
        below = jnp.clip((self._like(point)[2] - point) / width, 0, 1)
        return gradient * jnp.where(gradient > 0, above, below)

    def _like(self, v: Flat) -> tuple[Array, Array, Array]:
        return tuple(jnp.asarray(x, v.dtype) for x in (self.scale, self.low, self.high))  # type: ignore

    def _chosen(self, v: Array, plain: Array, above: Array, below: Array, both: Array) -> Array:
        low, high = np.isfinite(self.low), np.isfinite(self.high)
        found = jnp.where(high, jnp.where(low, both, below), jnp.where(low, above, plain))
        return found.astype(v.dtype)


def coordinates(
    scale: Sequence[float] | None, bounds: Any, names: Sequence[str]
) -> Coordinates | None:
    """The coordinates of named parameters, or None where they are the parameters themselves.

    Args:
        scale: one number a parameter, or None.
        bounds: pairs (low, high) by name, None or infinite for a side without a bound.
        names: of the parameters, in order.

    Raises:
        ArgumentError: a name that is no parameter, or what is no pair.
    """
    given = by_name(bounds)
    for name in given:
        check_known("parameter in bounds", name, names)
    pairs = [pair(name, given.get(name)) for name in names]
    if scale is None and not given:
        return None
    return Coordinates([1.0] * len(names) if scale is None else scale, pairs)


def by_name(bounds: Any) -> dict[str, Any]:
    """Bounds by the names of parameters, from a mapping or from its items; empty for none."""
    try:
        return dict(() if bounds is None else bounds)
    except (TypeError, ValueError):
        raise refused("bounds", "be pairs (low, high) by the names of parameters", bounds) from None


def pair(name: str, given: Any) -> tuple[float, float]:
    """The bounds of a parameter, infinite where there is none."""
    if given is None:
        return -math.inf, math.inf
    try:
        low, high = given
        return (
            -math.inf if low is None else float(low),
            math.inf if high is None else float(high),
        )
    except (TypeError, ValueError):
        raise ArgumentError(
            f"bounds of {name} must be a pair such as [0, inf], got {given!r:.100}"
        ) from None


def _numbers(argument: str, what: str, given: Any, ndim: int) -> np.ndarray:
    found = as_numbers(argument, given)
    if found.ndim != ndim:
        raise refused(argument, f"be {what}", given)
    return found


def _from_softplus(y: Array) -> Array:
    """The v with log(1 + e^v) = y; from y itself where that is large, since e^y has no number."""
    return y + jnp.log(-jnp.expm1(-y))


def _kind(low: float, high: float) -> str:
    finite = math.isfinite(low) + math.isfinite(high)
    return ("", "softplus, ", "logistic, ")[finite]


def _side(i: int, low: float, high: float) -> str:
    name = "x" + str(i + 1).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
    below = f"{low:g} < " if math.isfinite(low) else ""
    above = f" < {high:g}" if math.isfinite(high) else ""
    return below + name + above


__all__ = ["Coordinates", "by_name", "coordinates", "pair"]
