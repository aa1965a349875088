"""One descent from one start: a single ``lax.scan`` under ``jit``."""

import functools
from collections import Counter
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Int

from gdjax import optimizers
from gdjax._descent.loop import Descent, State
from gdjax._descent.outcomes import DEFAULT_RULE, Outcome, StoppingRule, as_stopping
from gdjax._descent.rest import settle
from gdjax._inputs import (
    DType,
    ObjectiveLike,
    OptimizerLike,
    as_count,
    as_objective,
    cannot_descend,
    default_dtype,
)
from gdjax._util.display import Card, shown
from gdjax._util.errors import ArgumentError
from gdjax._util.memory import NEGLIGIBLE_BYTES, SHARE, available_memory, size
from gdjax._util.types import PointLike, PyTree
from gdjax.objectives import GradientSide, Objective, validate
from gdjax.optimizers.tree import Kind

AT_EVAL_POINT = "value at its evaluation point"  # the remark of all tables


@shown
class Trajectory(NamedTuple):
    """The path of one descent, and what became of it.

    Args:
        points: every point, the start included, ``(steps + 1, d)``; in the structure of the start
            where that is no vector.
        values: the objective at each point, ``(steps + 1,)``.
        outcome: an ``Outcome`` code; inside a ``jit`` or ``vmap`` what is at rest far from every
            known minimum is ``STALLED``, since the Hessian is asked afterwards.
        minimum: index into ``objective.known_minima`` of the one reached (the global ones come
            first), or −1.
        eval_point: where the optimizer is evaluated after the last step, as schedule-free methods
            and averages of the points are; None where that is the last point.
        eval_value: the objective there.
    """

    points: PyTree
    values: Float[Array, "n"]
    outcome: Int[Array, ""]
    minimum: Int[Array, ""]
    eval_point: PyTree = None
    eval_value: Float[Array, ""] | None = None

    @property
    def finite(self) -> int:
        """How many points come before the first one that is not finite, or has no finite value."""
        good = np.isfinite(self._flat).all(axis=1) & np.isfinite(self.values)
        return int(good.size if good.all() else good.argmin())

    @property
    def _flat(self) -> np.ndarray:
        """All points as vectors, ``(steps + 1, d)``."""
        return _vector(self.points, len(self.values))

    @property
    def best_step(self) -> np.ndarray:
        """The step with the lowest value, the first one of several; of NaN none is lowest."""
        values = np.asarray(self.values)
        return np.asarray(np.argmin(np.where(np.isnan(values), np.inf, values), axis=-1))

    @property
    def best_value(self) -> np.ndarray:
        """The lowest value."""
        return self._at_best(self.values)

    @property
    def best_point(self) -> PyTree:
        """The point with the lowest value, in the structure of the start."""
        return jax.tree.map(self._at_best, self.points)

    def _at_best(self, array: Array | np.ndarray) -> np.ndarray:
        lead = np.ndim(self.values) - 1  # the dims of a vmap
        step = np.expand_dims(self.best_step, tuple(range(lead, np.ndim(array))))
        return np.take_along_axis(np.asarray(array), step, axis=lead).squeeze(lead)

    @property
    def final_value(self) -> float:
        """What a descent is compared by: the value at its evaluation point, or at its last one.

        Where that is not finite, it is the last one that is.
        """
        return float(np.asarray(self.eval_value if self._evaluated else self.values[self._last]))

    @property
    def _last(self) -> int:
        return max(self.finite - 1, 0)

    @property
    def _evaluated(self) -> bool:
        return self.eval_value is not None and bool(np.isfinite(self.eval_value))

    @property
    def remark(self) -> str:
        """What a person must be told beside the outcome, or an empty string."""
        return "; ".join(filter(None, [self._warning, AT_EVAL_POINT if self._evaluated else ""]))

    @property
    def _warning(self) -> str:
        if self.outcome != Outcome.STUCK:
            return ""
        return f"it found no lower point from step {int(self.best_step):,}"

    def __str__(self) -> str:
        point = _vector(self.eval_point) if self._evaluated else self._flat[self._last]
        shown = ", ".join([*(f"{x:.6g}" for x in point[:6]), *["…"] * (len(point) > 6)])
        return (
            f"{Outcome(int(self.outcome))} after {len(self.values) - 1} steps: "
            f"f({shown}) = {self.final_value:.6g}" + (f"; {self.remark}" if self.remark else "")
        )

    def _card(self) -> Card:
        if np.ndim(self.values) > 1:  # of a vmap
            outcomes = Counter(str(Outcome(code)) for code in np.ravel(self.outcome).tolist())
            ends = ", ".join(f"{n} × {outcome}" for outcome, n in outcomes.items())
            shapes = {"points": self.points, "values": self.values}
            return Card(f"Trajectory of {outcomes.total():,} descents: {ends}", shapes)
        known = max(self.finite, 1)
        path, values = self._flat[:known], np.asarray(self.values)[:known]
        outcome, steps = Outcome(int(self.outcome)), len(self.values) - 1
        lowest, minimum = int(np.argmin(values)), int(self.minimum)
        listed = "not listed" if outcome == Outcome.CONVERGED else "none that is known"
        return Card(
            f"Trajectory: {outcome} after {steps:,} steps",
            {
                "start": path[0],
                "end": path[-1],
                "value": f"{values[0]:.6g} → {values[-1]:.6g}",
                "lowest": f"{values[lowest]:.6g} at step {lowest:,}",
                "evaluated at": _vector(self.eval_point) if self._evaluated else None,
                "value there": f"{self.final_value:.6g}" if self._evaluated else None,
                "minimum": listed if minimum < 0 else f"known_minima[{minimum}]",
                "remark": self._warning or None,
                "finite": None if self.finite > steps else f"the first {self.finite:,} points",
                "points": self.points,
            },
        )


def _vector(points: PyTree, *count: int) -> np.ndarray:
    """A point of any structure as a vector; of several, ``(count, d)``."""
    leaves = [np.asarray(x) for x in jax.tree.leaves(points) if hasattr(x, "shape")]
    return np.concatenate([leaf.reshape(*count, -1) for leaf in leaves], axis=-1)


def descend(
    objective: ObjectiveLike,
    optimizer: OptimizerLike,
    start: PointLike = None,
    steps: object = 100,
    *,
    gradient: GradientSide = "autodiff",
    stopping: StoppingRule = DEFAULT_RULE,
    dtype: DType | None = None,
) -> Trajectory:
    """Descend an objective from one start, and keep the whole path.

    All ``steps`` are taken: nothing stops early, so that the path is the bare recurrence. A
    descent that diverges is an outcome, not an error. The result can be differentiated with
    respect to the start, the objective's ``args`` and the numbers of gdjax's optimizers.

    Args:
        objective: what to descend: an ``Objective``, the name of one, or a function of a point.
        optimizer: an optimizer, any optax transformation, a factory such as ``optax.adam``, or a
            name. The numbers of those made by gdjax are traced, so that new values never
            recompile; another optax object compiles once. It is handed points of the start's own
            structure, so that masks, labels and norms are by leaf; a vector is one leaf.
        start: the first point, ``(d,)``, or of the objective's own structure: a dictionary, a
            tuple, an Equinox module; by default the objective's own.
        steps: number of steps, at least 0.
        gradient: which gradient to follow, ``autodiff`` or ``hand``.
        stopping: when the last point counts as at rest, lost, or at a known minimum.
        dtype: ``float32`` or ``float64``; by default as JAX is configured.

    Returns:
        The trajectory, with ``points`` of shape ``(steps + 1, d)``, or of the start's structure
        with ``steps + 1`` in front of every shape. Points, values and outcome are those of the
        iterates, where gradients are taken: of ``nesterov`` and of optax's ``nesterov=True`` the
        look-ahead points, of ``nesterov_textbook`` the textbook's. A schedule-free method, and
        one whose points are averaged, also has an ``eval_point``.

    Raises:
        ArgumentError: a start of another structure or dimension or not finite, a negative number
            of steps or more than fit into memory, an unknown gradient or dtype, a hand gradient
            where there is none, or a function that is no objective, as
            ``objectives.validate`` says.

    Example:
        >>> import gdjax
        >>> f = gdjax.objectives.get("parabola")
        >>> path = descend(f, gdjax.gradient_descent(0.1), start=[8.0], steps=20)
        >>> path.points.shape, f"{path.points[-1, 0]:.5f}"
        ((21, 1), '0.09223')
    """
    steps = as_count("steps", steps, 0)
    stopping = as_stopping(stopping)
    f = as_objective(objective, start)
    f.value_and_gradient(gradient)  # says early what is wrong with the choice
    with default_dtype(dtype):
        _check_memory(steps, f.dim)
        first = f.flat(f.start if start is None else start)
        validate(f, at=first)
        chosen = optimizers.as_optimizer(optimizer)
        kind, numbers = chosen.with_arrays_for_seeds().parts
        wide = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
        numbers = [_placed(n, wide) if type(n) is float else n for n in numbers]
        given = f.cast(np.float64 if wide else np.float32)
        try:
            path = _descend(given, steps, gradient, kind, numbers, first, stopping)
        except Exception as error:
            cannot_descend(f, chosen, error)
    unsure = Outcome.STALLED, Outcome.STUCK
    if not isinstance(path.outcome, Tracer) and path.outcome.item() in unsure:
        path = _settled(f, stopping, path)
    if f.structure is None:
        return path
    evaluated = None if path.eval_point is None else f.shaped(path.eval_point)
    return path._replace(points=f.shaped(path.points), eval_point=evaluated)


def _settled(objective: Objective, stopping: StoppingRule, path: Trajectory) -> Trajectory:
    """The path with what the Hessian says of its last point."""
    points = np.asarray(path.points)
    outcome, minimum = np.array([path.outcome]), np.array([path.minimum])
    settle(objective, stopping, outcome, minimum, points[-1:], lambda which: points[:1])
    return path._replace(outcome=jnp.asarray(outcome[0]), minimum=jnp.asarray(minimum[0]))


@functools.lru_cache(maxsize=256)
def _placed(number: float, wide: bool) -> Array:
    """A number as an array of JAX's, weakly typed as it was: to make one takes a microsecond."""
    del wide  # the precision that JAX is set to
    with jax.ensure_compile_time_eval():  # the caller may be inside a jit of his own
        return jnp.asarray(number)


def _check_memory(steps: int, dim: int) -> None:
    """Refuse a path that would not fit, before anything is compiled."""
    # Twice: the scan's points and values, and the same with the last one joined to them.
    count = 2 * (steps + 1) * (dim + 1)
    if 8 * count <= NEGLIGIBLE_BYTES:
        return
    need = count * jnp.result_type(float).itemsize
    free = available_memory()
    if need > SHARE * free:
        raise ArgumentError(
            f"steps must be few enough for the path to fit into memory: {steps:,} steps need "
            f"{size(need)}, and {size(free)} are free"
        )


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 6))
def _descend(
    objective: Objective,
    steps: int,
    gradient: GradientSide,
    kind: Kind,
    numbers: list[ArrayLike],
    start: Float[Array, "d"],
    stopping: StoppingRule,
) -> Trajectory:
    start = jnp.asarray(start, dtype=float)
    optimizer = optimizers.Optimizer.of_parts(kind, numbers)
    descent = Descent.of(objective, optimizer, gradient, stopping)

    def body(state: State, _: None) -> tuple[State, tuple[Array, Array]]:
        after, value = descent.step(state)
        return after, (state.point, value)

    last, (points, values) = jax.lax.scan(body, descent.init(start), length=steps)
    best = jnp.min(jnp.where(jnp.isfinite(values), values, jnp.inf), initial=jnp.inf)
    value, outcome, minimum = descent.end(last, start, best)
    points = jnp.concatenate([points, last.point[None]])
    found = Trajectory(points, jnp.append(values, value), outcome, minimum)
    evaluated = descent.eval_point(last)
    if evaluated is None:
        return found
    return found._replace(eval_point=evaluated, eval_value=objective.value(evaluated))
