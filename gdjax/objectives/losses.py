"""Losses of fits: what a residual counts, so that outliers do not decide alone.

With u the residual in units of σ and of the loss's own scale, a fit is Σ ρ(u²). As a sum of squares
it is Σ root(u)², root(u) = ±√ρ(u²), and its gradient is Σ 2 ρ′(u²) u ∇u.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array


class Loss(NamedTuple):
    """A loss ρ with ρ(z) ≈ z for small z.

    Args:
        root: u → ±√ρ(u²), with the sign of u, smooth at 0.
        weight: u → ρ′(u²).
        latex: ρ(u²) in LaTeX, with ``{u}`` for u.
        latex_weight: ρ′(u²) likewise.
    """

    root: Callable[[Array], Array]
    weight: Callable[[Array], Array]
    latex: str
    latex_weight: str


def _folded(u: Array) -> tuple[Array, Array]:
    """Whether |u| > 1, and u or else 1/u: its square is never too large for a number."""
    far = jnp.abs(u) > 1
    return far, jnp.where(far, 1 / jnp.where(far, u, 1), u)


def _hypotenuse(u: Array) -> Array:
    """√(1 + u²)."""
    far, v = _folded(u)
    return jnp.where(far, jnp.abs(u), 1) * jnp.sqrt(1 + v**2)


def _huber_root(u: Array) -> Array:
    far = jnp.abs(u) > 1
    return jnp.where(far, jnp.sign(u) * jnp.sqrt(jnp.where(far, 2 * jnp.abs(u) - 1, 1)), u)


def _cauchy_root(u: Array) -> Array:
    far, v = _folded(u)
    large = jnp.where(far, u, 2)
    beyond = jnp.sign(u) * jnp.sqrt(2 * jnp.log(jnp.abs(large)) + jnp.log1p(large**-2))
    small = jnp.abs(v) < jnp.finfo(u.dtype).eps
    z = jnp.where(small | far, 1, v**2)
    return jnp.where(far, beyond, u * jnp.where(small, 1, jnp.sqrt(jnp.log1p(z) / z)))


# Barron 2019, A general and adaptive robust loss function, p. 3, has all of them but Huber's, which
# is in Huber 1964, Robust estimation of a location parameter, p. 74.
LOSSES: dict[str, Loss] = {
    "linear": Loss(lambda u: u, jnp.ones_like, r"{u}^2", ""),
    "huber": Loss(
        _huber_root, lambda u: 1 / jnp.maximum(jnp.abs(u), 1), r"\mathrm{{huber}}{u}",
        r"\frac{{1}}{{\max(1, |{u}|)}} ",
    ),
    "soft_l1": Loss(
        lambda u: u * jnp.sqrt(2 / (1 + _hypotenuse(u))), lambda u: 1 / _hypotenuse(u),
        r"2 \left(\sqrt{{1 + {u}^2}} - 1\right)", r"\frac{{1}}{{\sqrt{{1 + {u}^2}}}} ",
    ),
    "cauchy": Loss(
        _cauchy_root, lambda u: 1 / (1 + u**2), r"\log\left(1 + {u}^2\right)",
        r"\frac{{1}}{{1 + {u}^2}} ",
    ),
}  # fmt: skip
