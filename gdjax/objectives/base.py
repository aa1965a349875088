"""What an objective is: a function of one point with everything known about it."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gdjax.errors import ArgumentError, unknown

GradientSide = Literal["autodiff", "hand"]


class Fit(NamedTuple):
    """The data behind a least-squares objective, and the curve that a point draws through it.

    Args:
        columns: the independent variables, each ``(n,)``, by name.
        response: the name of the dependent one.
        observed: its values, ``(n,)``.
        predict: point ``(d,)`` and columns → what the model says, ``(n,)``.
    """

    columns: Mapping[str, np.ndarray]
    response: str
    observed: np.ndarray
    predict: Callable


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Objective:
    """A function of one point, its hand-derived gradient, and what is known about it.

    Instances compare and hash by identity, so one can be a static argument of a compiled
    function. The function must be pure and written in ``jax.numpy``; it is never handed a
    batch (use ``jax.vmap``).

    Args:
        name: what tables and pictures call it; by default the function's own name.
        fn: point ``(d,)`` → scalar of the point's dtype.
        gradient: point ``(d,)`` → gradient ``(d,)``, derived by hand; None if there is none.
        domain: one ``(low, high)`` pair a dimension; where starts are drawn and pictures look.
        start: the customary first point ``(d,)``; by default well inside the domain, off every
            axis and diagonal on which a symmetric function would hold the path.
        minima: the global minimizers, each ``(d,)``.
        fmin: the value there; None where the function has no minimum.
        local_minima: the other known minimizers.
        saddles: known saddle points.
        maxima: known local maximizers.
        complete: whether these four lists hold every stationary point of the domain, kinks aside.
        smoothness: ``smooth``, ``removable`` (smooth, but a plain formula divides 0 by 0),
            ``kink`` (not differentiable somewhere, the minimum included) or ``smooth_at_min``
            (kinks, but not at a minimum).
        kink: point ``(d,)`` → signed quantities ``(k,)`` whose zeros are the kinks; None if smooth.
        hessian: point ``(d,)`` → Hessian ``(d, d)``, derived by hand; None if there is none.
        float32: whether single precision can resolve the landscape.
        latex: the formula, as LaTeX without dollar signs.
        gradient_latex: the gradient's formula likewise, where one was derived.
        variables: the names of the components; by default x and y, or x1, x2, … in more than two.
        fit: the data, where the objective is the misfit of a curve to them.
        reference: where the function and its facts come from.

    Raises:
        ArgumentError: a domain that is not pairs ``low < high``, or a start or a stationary
            point that is not a finite point of the same dimension, or not one name a component.

    Example:
        >>> f = Objective(name="bowl", fn=lambda p: (p**2).sum(), domain=((-5, 5), (-5, 5)))
        >>> f.dim, float(f((3.0, 4.0)))
        (2, 25.0)
    """

    name: str = ""
    fn: Callable
    gradient: Callable | None = None
    domain: Sequence[Any]
    start: Any = None
    minima: Sequence[Any] = ()
    fmin: float | None = None
    local_minima: Sequence[Any] = ()
    saddles: Sequence[Any] = ()
    maxima: Sequence[Any] = ()
    complete: bool = False
    smoothness: Literal["smooth", "removable", "kink", "smooth_at_min"] = "smooth"
    kink: Callable | None = None
    hessian: Callable | None = None
    float32: bool = True
    latex: str = ""
    gradient_latex: str = ""
    variables: Sequence[str] = ()
    fit: Fit | None = None
    reference: str = ""

    def __post_init__(self) -> None:
        put = object.__setattr__  # the instance is frozen; lists from YAML become tuples here
        if not callable(self.fn):
            raise ArgumentError(f"fn must be a function of one point, got {self.fn!r}")
        put(self, "name", self.name or getattr(self.fn, "__name__", "objective").strip("<>"))
        try:
            put(self, "domain", tuple((float(low), float(high)) for low, high in self.domain))
        except (TypeError, ValueError):
            raise ArgumentError(
                f"domain must be one (low, high) pair a dimension, got {self.domain!r}"
            ) from None
        if not self.domain or not all(-math.inf < a < b < math.inf for a, b in self.domain):
            raise ArgumentError(f"domain needs finite low < high, got {self.domain}")
        if not self.variables:
            names = "xy" if self.dim <= 2 else [f"x{i + 1}" for i in range(self.dim)]
            put(self, "variables", names[: self.dim])
        put(self, "variables", tuple(self.variables))
        if len(self.variables) != self.dim or len(set(self.variables)) != self.dim:
            raise ArgumentError(
                f"variables must be different names, one for each of the {self.dim} (low, high) "
                f"pairs of the domain, got {', '.join(self.variables)}"
            )
        if self.start is None:
            put(
                self,
                "start",
                tuple(a + (0.8 - 0.1 * (i % 2)) * (b - a) for i, (a, b) in enumerate(self.domain)),
            )
        put(self, "start", self.check_point(self.start, "start"))
        for kind in ("minima", "local_minima", "saddles", "maxima"):
            put(self, kind, tuple(self.check_point(point, kind) for point in getattr(self, kind)))

    def __call__(self, point: Any) -> Float[Array, ""]:
        """The value at one point ``(d,)``."""
        return self.fn(jnp.asarray(point, dtype=float) if isinstance(point, Sequence) else point)

    @property
    def dim(self) -> int:
        """The number of dimensions d."""
        return len(self.domain)

    @property
    def center(self) -> np.ndarray:
        """The middle of the domain, ``(d,)``."""
        return np.mean(self.domain, axis=1)

    @property
    def width(self) -> np.ndarray:
        """The side lengths of the domain, ``(d,)``."""
        return np.ptp(np.asarray(self.domain), axis=1)

    @property
    def known_minima(self) -> np.ndarray:
        """Every known minimizer ``(k, d)``: the global ones first, then the local ones."""
        return np.asarray([*self.minima, *self.local_minima], dtype=float).reshape(-1, self.dim)

    def check_point(self, point: Any, argument: str = "start") -> tuple[float, ...]:
        """``point`` as a tuple of d finite floats, or an ArgumentError naming ``argument``."""
        try:  # an array gives its numbers one by one, but slowly
            values = tuple(map(float, point.tolist() if hasattr(point, "tolist") else point))
        except (TypeError, ValueError):
            raise ArgumentError(
                f"{argument} must be a list of {self.dim} number{'s' * (self.dim > 1)}, "
                f"got {point!r}"
            ) from None
        if len(values) != self.dim:
            raise ArgumentError(
                f"{argument} must have {self.dim} component{'s' * (self.dim > 1)}, "
                f"as {self.name} has, got {len(values)}: {values}"
            )
        if not all(map(math.isfinite, values)):
            raise ArgumentError(f"{argument} must be finite, got {values}")
        return values

    @functools.cached_property
    def _autodiff(self) -> Callable:
        """Made once: making it takes a tenth of a whole short descent."""
        return jax.value_and_grad(self.fn)

    def value_and_gradient(self, side: GradientSide = "autodiff") -> Callable:
        """A function point → (value, gradient), the gradient by ``autodiff`` or by ``hand``.

        Raises:
            ArgumentError: another word, or ``hand`` where the objective has no hand-derived one.
        """
        if side == "autodiff":
            return self._autodiff
        if side != "hand":
            raise unknown("gradient", side, ("autodiff", "hand"))
        if self.gradient is None:
            raise ArgumentError(
                f"gradient='hand' needs a hand-derived gradient, and {self.name} has none; "
                f"use 'autodiff'"
            )
        hand = self.gradient
        return lambda point: (self.fn(point), hand(point))
