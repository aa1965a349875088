"""Whether a function is an objective at all: asked once, before anything is compiled."""

import traceback
import weakref
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdjax.errors import ArgumentError
from gdjax.objectives.base import Objective

SAMPLES = 256  # random points at which the value must be a number

# JAX's ways to say that Python asked a traced value for its number.
UNTRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.UnexpectedTracerError,
)

_VALID: weakref.WeakKeyDictionary[Objective, set] = weakref.WeakKeyDictionary()


def validate(objective: Objective, *, numbers: bool = True) -> Objective:
    """Refuse an objective that cannot be descended, in the precision JAX is set to.

    The value must be a scalar of the point's dtype, the gradient (and the Hessian) must have
    the point's shape and dtype, JAX must be able to trace them, and the value must not be NaN at
    the start, the middle, the corners, the known minima and 256 random points of the domain. A
    second call for the same objective costs nothing.

    Args:
        objective: of anyone's making.
        numbers: whether to look for NaN too; a sweep does not, where NaN is a cell's outcome.

    Returns:
        The same objective.

    Raises:
        ArgumentError: in one line, what is wrong, where, and what to do about it.

    Example:
        >>> validate(Objective(name="pair", fn=lambda p: p, domain=[(0, 1)] * 2))
        Traceback (most recent call last):
        gdjax.errors.ArgumentError: pair must return a scalar, got an array of shape (2,)
    """
    wide = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    dtype = np.dtype("float64" if wide else "float32")  # as every other way takes microseconds
    if (dtype, numbers) not in _VALID.get(objective, ()):
        name, d = objective.name, objective.dim
        with jax.ensure_compile_time_eval():  # the caller may be inside a jit of his own
            _check_result(name, objective.fn, (), d, dtype)
            if objective.gradient is None:
                _check_result(
                    f"autodiff's gradient of {name}", jax.grad(objective.fn), (d,), d, dtype
                )
            else:
                _check_result(f"the gradient of {name}", objective.gradient, (d,), d, dtype)
            if objective.hessian is not None:
                _check_result(f"the Hessian of {name}", objective.hessian, (d, d), d, dtype)
            if numbers:
                _check_numbers(objective, dtype)
        _VALID.setdefault(objective, set()).add((dtype, numbers))
    return objective


def _check_result(what: str, fn: Callable, shape: tuple[int, ...], dim: int, dtype: Any) -> None:
    """Trace a function on a point, and hold what it returns against what it should."""
    try:
        result = jax.eval_shape(fn, jax.ShapeDtypeStruct((dim,), dtype))
    except UNTRACEABLE as error:
        raise ArgumentError(
            f"{what} cannot be traced by JAX: {_first_sentence(error)}{_line_of(error, fn)}; use "
            f"jax.numpy instead of numpy and math, jnp.where instead of a Python `if` on values"
        ) from error
    except Exception as error:  # whatever the user's code raises is told as it is
        raise ArgumentError(
            f"{what} fails on a point of shape ({dim},): "
            f"{type(error).__name__}: {_first_sentence(error)}{_line_of(error, fn)}"
        ) from error
    expected = f"an array of shape {shape}" if shape else "a scalar"
    if not isinstance(result, jax.ShapeDtypeStruct):
        hint = "; wrap it in jnp.stack([...])" if isinstance(result, list | tuple) and shape else ""
        raise ArgumentError(f"{what} must return {expected}, got {_kind(result)}{hint}")
    if result.shape != shape:
        got = f"an array of shape {result.shape}" if result.shape else "a scalar"
        raise ArgumentError(f"{what} must return {expected}, got {got}")
    if result.dtype != dtype:
        raise ArgumentError(
            f"{what} must return the point's dtype, {dtype}, got {result.dtype}; "
            f"take the dtype of constants from the point: jnp.asarray(c, point.dtype)"
        )


def _check_numbers(objective: Objective, dtype: Any) -> None:
    low, high = np.asarray(objective.domain).T
    drawn = np.random.default_rng(0).uniform(low, high, (SAMPLES, objective.dim))
    known = [objective.start, objective.center, low, high, *objective.known_minima]
    points = jnp.asarray(np.concatenate([known, drawn]), dtype)
    # One after the other: a function over large data must not be held in memory 256 times.
    values = jax.jit(lambda points: jax.lax.map(objective.fn, points))(points)
    broken = np.flatnonzero(np.isnan(values))
    if broken.size:
        at = ", ".join(f"{x:.6g}" for x in np.asarray(points[broken[0]]))
        raise ArgumentError(
            f"{objective.name} is NaN at ({at}), and at {broken.size} of {len(points)} points of "
            f"its domain; choose a domain on which it is defined, or guard it with jnp.where"
        )


def _kind(result: Any) -> str:
    return f"a {type(result).__name__}" if result is not None else "None (is a `return` missing?)"


def _first_sentence(error: Exception) -> str:
    line = (str(error).strip().splitlines() or ["no reason given"])[0]
    return line.removesuffix(".").split(". ")[0].rstrip(":")


def _line_of(error: Exception, fn: Callable) -> str:
    """The line of the user's file at which it happened, where there is one."""
    code = getattr(fn, "__code__", None)
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if code is not None and frame.filename == code.co_filename
    ]
    return f" (line {lines[-1]})" if lines else ""
