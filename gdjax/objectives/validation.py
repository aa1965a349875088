"""Whether a function is an objective at all: asked once, before anything is compiled."""

import math
import traceback
import weakref
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr
from jaxtyping import Array

from gdjax._util.arguments import refused
from gdjax._util.errors import ArgumentError, said
from gdjax._util.types import PointFunction, PointLike
from gdjax.objectives.bounds import frames, out_of_bounds
from gdjax.objectives.objective import Objective
from gdjax.objectives.structure import is_traced

SAMPLES = 256  # random points at which the value must be a number

# JAX's ways to say that Python asked a traced value for its number.
UNTRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.UnexpectedTracerError,
)

_VALID: weakref.WeakKeyDictionary[Objective, set[tuple[np.dtype, bool]]] = (
    weakref.WeakKeyDictionary()
)


def validate(objective: Objective, *, numbers: bool = True, at: PointLike = None) -> Objective:
    """Refuse an objective that cannot be descended, in the precision JAX is set to.

    The value must be a scalar of the point's dtype, the gradient (and the Hessian) must have
    the point's shape and dtype, JAX must be able to trace them, none may read beyond the end of an
    array (JAX clamps such an index and reads something else), and the value must not be NaN at
    the start, the middle, the corners, the known minima and 256 random points of the domain. The
    squares of the residuals, where there are any, must add up to the value. A second call for the
    same objective costs nothing.

    Args:
        objective: of anyone's making.
        numbers: whether to look for NaN too; a sweep does not, where NaN is a cell's outcome,
            and holds the residuals against the value at the start alone.
        at: the first point ``(d,)``; by default the objective's own.

    Returns:
        The same objective.

    Raises:
        ArgumentError: in one line, what is wrong, where, and what to do about it.

    Example:
        >>> validate(Objective(name="pair", fn=lambda p: p, domain=[(0, 1)] * 2))
        Traceback (most recent call last):
        gdjax._util.errors.ArgumentError: pair must return a scalar, got an array of shape (2,)
    """
    if not isinstance(objective, Objective):
        raise refused("objective", "be a gdjax.Objective", objective)
    if numbers is not True and numbers is not False:
        raise refused("numbers", "be true or false", numbers)
    wide = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    dtype = np.dtype("float64" if wide else "float32")  # as every other way takes microseconds
    if (dtype, numbers) not in _VALID.get(objective._origin, ()):
        name, d = objective.name, objective.dim
        lifted = is_traced(objective.args)
        with jax.ensure_compile_time_eval():  # the caller may be inside a jit of his own
            given = objective.cast(dtype)
        by_hand = (
            (name, given.value, (), objective.fn),
            (f"the gradient of {name}", given.hand_gradient, (d,), objective.gradient),
            (f"the Hessian of {name}", given.hand_hessian, (d, d), objective.hessian),
        )
        for what, fn, shape, own in by_hand:
            if fn is not None:
                traced = _check_result(what, fn, shape, d, dtype, own, lifted)
                with jax.ensure_compile_time_eval():
                    _check_bounds(what, traced, objective, own)
        if given.hand_gradient is None:
            what = f"autodiff's gradient of {name}"
            _check_result(what, jax.grad(given.value), (d,), d, dtype, objective.fn, lifted)
        if given.residual_vector is not None:
            what = f"the residuals of {name}"
            traced = _check_result(
                what, given.residual_vector, None, d, dtype, objective.residuals, lifted
            )
            with jax.ensure_compile_time_eval():
                _check_bounds(what, traced, objective, objective.residuals)
        if not lifted and not is_traced(at):
            with jax.ensure_compile_time_eval():
                start = objective.start if at is None else at
                if numbers:
                    _check_numbers(given, dtype, start)
                elif given.residual_vector is not None:
                    points = jnp.asarray([start], dtype)
                    _check_squares(given, points, *_values_and_squares(given, points))
        _VALID.setdefault(objective._origin, set()).add((dtype, numbers))
    return objective


def _check_result(
    what: str,
    fn: PointFunction,
    shape: tuple[int, ...] | None,
    dim: int,
    dtype: np.dtype,
    own: object,
    lifted: bool,
) -> ClosedJaxpr:
    """Trace a function on a point, and hold what it returns against what it should.

    Args:
        what: what messages call it.
        fn: the function of a flat point.
        shape: what it must return; None for any array of one dimension.
        dim: of the point.
        dtype: of the point, and of what is returned.
        own: the function as its user wrote it, for the line of a mistake.
        lifted: whether the data among its constants are traced, as they may be.
    """
    try:
        at = jax.ShapeDtypeStruct((dim,), dtype)
        traced, result = jax.make_jaxpr(fn, return_shape=True)(at)
    except UNTRACEABLE as error:
        raise ArgumentError(
            f"{what} cannot be traced by JAX: {_first_sentence(error)}{_line_of(error, own)}; use "
            f"jax.numpy instead of numpy and math, jnp.where instead of a Python `if` on values"
        ) from error
    except ArgumentError:  # it says all
        raise
    except Exception as error:  # whatever the user's code raises is told as it is
        raise ArgumentError(
            f"{what} fails on a point of shape ({dim},): "
            f"{type(error).__name__}: {_first_sentence(error)}{_line_of(error, own)}"
        ) from error
    if is_traced(traced.consts) and not lifted:
        raise ArgumentError(
            f"{what} closes over a traced value, such as one that jax.grad or jax.vmap varies; "
            f"pass it in args: gdjax.Objective(fn=fn, args=(value,), ...)"
        )
    expected = f"an array of shape {'(n,)' if shape is None else shape}"
    expected = "a scalar" if shape == () else expected
    if not isinstance(result, jax.ShapeDtypeStruct):
        listed = isinstance(result, list | tuple) and shape != ()
        hint = "; wrap it in jnp.stack([...])" if listed else ""
        raise ArgumentError(f"{what} must return {expected}, got {_kind(result)}{hint}")
    if result.shape != shape and (shape is not None or len(result.shape) != 1):
        got = f"an array of shape {result.shape}" if result.shape else "a scalar"
        raise ArgumentError(f"{what} must return {expected}, got {got}")
    if result.dtype != dtype:
        raise ArgumentError(
            f"{what} must return the point's dtype, {dtype}, got {result.dtype}; "
            f"take the dtype of constants from the point: jnp.asarray(c, point.dtype)"
        )
    return traced


def _check_bounds(what: str, traced: ClosedJaxpr, objective: Objective, own: object) -> None:
    """Refuse a function that reads beyond the end of an array, where JAX reads something else."""
    at = np.asarray(objective.start, traced.in_avals[0].dtype)
    beyond = out_of_bounds(traced, at)
    if beyond is not None:
        whole = "the start" if objective.domain is None else "the domain"
        lines = [line for file, _, line in frames(beyond.equation) if file == _file_of(own)]
        place = f" (line {lines[0]})" if lines else ""
        raise ArgumentError(f"{what} {beyond.said(whole)}{place}")


def _check_numbers(objective: Objective, dtype: np.dtype, start: PointLike) -> None:
    points = np.asarray([start, *objective.known_minima])
    if objective.bounded:
        low, high = np.asarray(objective.domain).T
        drawn = np.random.default_rng(0).uniform(low, high, (SAMPLES, objective.dim))
        points = np.concatenate([points[:1], [objective.center, low, high], points[1:], drawn])
    points = jnp.asarray(points, dtype)
    values, squares = _values_and_squares(objective, points)
    broken = np.flatnonzero(np.isnan(values))
    if broken.size:
        at = ", ".join(f"{x:.6g}" for x in np.asarray(points[broken[0]]))
        raise ArgumentError(
            f"{objective.name} is NaN at ({at}), and at {broken.size} of {len(points)} points "
            f"{'of its domain' if objective.bounded else 'looked at'}; choose "
            f"{'a domain on' if objective.bounded else 'a start at'} which it is defined, or guard "
            f"it with jnp.where"
        )
    if objective.residual_vector is not None:
        _check_squares(objective, points, values, squares)


def _check_squares(objective: Objective, points: Array, values: Array, squares: Array) -> None:
    """Refuse residuals whose squares do not add up to the value, by more than rounding."""
    fits = np.isfinite(values) & ~np.isinf(squares)  # into the precision
    where, told, found = (np.asarray(x, float)[fits] for x in (points, values, squares))
    eps = float(jnp.finfo(values.dtype).eps)
    # A formula may lose half of its digits, or what is small beside its other terms.
    slack = math.sqrt(eps) * np.fmax(abs(told), found) + eps * np.max(abs(told), initial=1)
    apart = np.flatnonzero(~(abs(told - found) <= slack))  # NaN is apart
    if apart.size:
        i = apart[0]
        at = ", ".join(f"{x:.6g}" for x in where[i])
        raise ArgumentError(
            f"{objective.name} must be the sum of the squares of its residuals, neither halved nor "
            f"averaged: at ({at}) it is {told[i]:.6g}, and they sum to {found[i]:.6g}"
        )


@jax.jit
def _values_and_squares(objective: Objective, points: Array) -> tuple[Array, Array]:
    """What the objective is at points ``(n, d)``, and by its residuals; by itself without any.

    One by one, so that large data are not held in memory n times.
    """
    residuals = objective.residual_vector
    if residuals is None:
        values = jax.lax.map(objective.value, points)
        return values, values
    both = lambda point: (objective.value(point), jnp.sum(residuals(point) ** 2))  # noqa: E731
    return jax.lax.map(both, points)


@jax.jit
def evaluate(objective: Objective, points: Any) -> Array:
    """The values at points ``(n, d)``."""
    return jax.vmap(objective.value)(points)


def _kind(result: object) -> str:
    return f"a {type(result).__name__}" if result is not None else "None (is a `return` missing?)"


def _first_sentence(error: Exception) -> str:
    return said(error).removesuffix(".").split(". ")[0].rstrip(":")


def _line_of(error: Exception, fn: object) -> str:
    """The line of the user's file at which it happened, where there is one."""
    frames_of = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames_of if frame.filename == _file_of(fn)]
    return f" (line {lines[-1]})" if lines else ""


def _file_of(fn: object) -> str | None:
    """The file in which a user wrote a function, where there is one."""
    return getattr(getattr(fn, "__code__", None), "co_filename", None)
