"""Elementary functions that stay finite, and right, where autodiff divides 0 by 0."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def safe_abs(t: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """|t| with slope 0 at t = 0, the middle of the subgradients; ``jnp.abs`` has slope 1 there.

    Example:
        >>> import jax
        >>> float(jax.grad(safe_abs)(0.0))
        0.0
    """
    return t * jnp.sign(t)


def safe_sqrt(t: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """√t for t ≥ 0 with slope 0 at t = 0, where the true one is infinite.

    So √(x² + y²), a cone, gets the subgradient 0 at its tip.

    Example:
        >>> import jax
        >>> float(jax.grad(lambda x: safe_sqrt(x**2))(0.0))
        0.0
    """
    positive = t > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, t, 1.0)), 0.0)


def cos_sqrt(t: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Cos √t for t ≥ 0 with all its derivatives: it is smooth in t, though √t is not.

    Below ¼ the power series Σ (−t)ᵏ/(2k)! is used; its ninth term is less than 1e-18.

    Example:
        >>> import jax
        >>> float(jax.grad(cos_sqrt)(0.0))
        -0.5
    """
    small = t < 0.25
    near = jnp.where(small, t, 0.0)
    series = jnp.ones_like(near)
    for k in range(8, 0, -1):
        series = 1 - near / (2 * k * (2 * k - 1)) * series
    return jnp.where(small, series, jnp.cos(jnp.sqrt(jnp.where(small, 1.0, t))))
