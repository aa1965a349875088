"""Every way to a derivative, taken at many points, each with what it can resolve."""

import contextlib
import functools
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr
from tqdm import tqdm

from gdjax._compiler.interpreter import walk
from gdjax._inputs import DType, default_dtype
from gdjax._util.errors import ArgumentError
from gdjax._util.types import PyTree
from gdjax.certificates.arithmetic import (
    NotAnalyticError,
    Unit,
    in_complex,
    norm,
    spread,
    with_noise,
)
from gdjax.certificates.lifting import lifted
from gdjax.certificates.loops import ending, enough, has_loop
from gdjax.certificates.problem import OnFlat, Problem

# So many roundings of every operation are allowed. The error of a right gradient was never more
# than 0.04 of that in float64 and 0.13 in float32, in 200,000 points of each over the catalogue.
ROUNDINGS = 32.0
SAMPLES = 8  # of rounding noise at each point
# Steps of the central differences, in widths: from a quarter down to 9e-13, each a quarter of the
# one before, so that truncation falls 16-fold and rounding grows 4-fold from one to the next.
STEPS = 0.25 ** np.arange(1, 21)
COMPLEX_STEP = 1e-100  # squared it vanishes, so nothing is truncated
# Below its smallest normal number a format keeps fewer digits, or none.
LEAST = {"f16": 2.0**-14, "bf16": 2.0**-126, "f32": 2.0**-126}
SHARED = 1000  # numbers of noise from which on points share theirs
# Compile time matters where dimensions are few, run time does not.
COMPILER_OPTIONS: dict[str, int | bool] = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}
CHUNK = 4_000_000  # numbers held at a time
SECONDS = 300.0  # that estimates in one precision may take
DELAY = 3.0  # seconds after which their progress is shown

Compiled = Callable[..., PyTree]  # (points, what else each needs) → arrays


class Differences(NamedTuple):
    """Central differences at the bottom of each error curve; n points, p directions, s steps.

    Args:
        estimate: derivatives, ``(n, m·p)``.
        bound: what each resolves, ``(n, m·p)``: the largest change to a neighbouring step, plus
            what rounding of the function does at that step.
        step: the steps chosen, ``(n, m·p)``.
        steps: all steps, ``(n, p, s)``.
        curve: estimates at all of them, ``(n, m, p, s)``.
        kinked: whether they show a kink or a jump as the step shrinks, ``(n,)``.
    """

    estimate: np.ndarray
    bound: np.ndarray
    step: np.ndarray
    steps: np.ndarray
    curve: np.ndarray
    kinked: np.ndarray


class Estimates(NamedTuple):
    """Every estimate of a derivative at n points, in one precision.

    Args:
        points: where, ``(n, d)``.
        values: of the function, ``(n, m)``.
        derivatives: each one in float64, by ``hand``, ``reverse`` and ``forward``, ``(n, c)``.
        roundings: how far roundings can move each one, ``(n, c)``, infinite where an intermediate
            result leaves the range of the precision; by ``values``, those of reverse mode through
            the function as it is, its own derivative rules left out.
        differences: central differences.
        complex_step: derivatives by the complex step, ``(n, m·p)``, or why there are none.
        missing: why a derivative is not there.
        on_kink: points within rounding of a known kink, ``(n,)``.
        coarse: the derivatives that compute in less than float64.
        turns: how many a loop may take before its result counts as NaN; 0 where there is no loop.
        locate: a point, what is certified along directions ``(q, d)``, and a row of it → the
            component, or the column, that values contradict most, and what they say it is; None
            where every component has differences of its own.
    """

    points: np.ndarray
    values: np.ndarray
    derivatives: dict[str, np.ndarray]
    roundings: dict[str, np.ndarray]
    differences: Differences
    complex_step: np.ndarray | str
    missing: dict[str, str]
    on_kink: np.ndarray
    coarse: tuple[str, ...] = ()
    turns: int = 0
    locate: Callable[[np.ndarray, np.ndarray | None, int], tuple[int, float, float]] | None = None


class Estimators:
    """All ways to the derivative of one problem, each compiled once; call them on points.

    Args:
        problem: what to certify.

    Raises:
        ArgumentError: the function or its derivative cannot be traced, or the function has
            neither a derivative by hand nor one by reverse mode, or no Hessian by autodiff.
    """

    def __init__(self, problem: Problem) -> None:
        self.missing: dict[str, str] = {}
        with default_dtype("float64"):
            point = jnp.zeros(problem.structure.size)
            self.turns = 0
            written = jax.make_jaxpr(problem.written or problem.value)(point)
            both = functools.partial(_pull_back, problem.written or problem.value)
            self.problem, both = problem, lifted(both) if problem.written else both
            traced = self._traced(point)
            loops = {"value": problem.value} | {
                key: problem.derivatives[key] for key in ("hand", "reverse") if key in traced
            }
            loops = {key: fn for key, fn in loops.items() if has_loop(jax.make_jaxpr(fn)(point))}
            if loops:
                self.turns = enough(lambda at: [fn(at) for fn in loops.values()], problem.points)
                self.problem, both = _limited(problem, self.turns), ending(both, self.turns)
                traced = self._traced(point)
            problem = self.problem
            if problem.subject not in traced or (problem.kind == "Hessian" and self.missing):
                raise ArgumentError(
                    f"{problem.name} has no {problem.kind} to certify: "
                    f"{next(iter(self.missing.values()))}"
                )
            value = jax.make_jaxpr(problem.value)(point)
            noisy = {key: with_noise(fn) for key, fn in traced.items() if key != "forward"}
            if problem.kind == "gradient" and "reverse" in traced:  # with the value beside it
                noisy["reverse"] = with_noise(jax.make_jaxpr(both)(point))
            else:
                noisy["value"] = with_noise(value)
            if problem.kind == "gradient" and "custom_" in str(written):  # a rule of the user's own
                bare = jax.grad(lambda at: walk(value, [at], lambda eqn, operands: None)[0][0])
                with contextlib.suppress(TypeError, ValueError, NotImplementedError):
                    noisy["values"] = with_noise(jax.make_jaxpr(bare)(point))
            if problem.kink is not None:
                noisy["kink"] = with_noise(jax.make_jaxpr(problem.kink)(point))
        self.narrow: set[str] = _narrow(value)
        # What only one side holds is told with its dtype anyway.
        coarse = "hand" in traced and bool(_narrow(traced["hand"])) and not problem.foreign
        self.coarse = ("hand",) if coarse else ()
        self.numbers: dict[str, int] = {key: count for key, (_, count) in noisy.items()}
        functions = {key: fn for key, (fn, _) in noisy.items()}
        plain = {key: problem.derivatives[key] for key in traced}
        many = len(problem.directions) < problem.structure.size
        self._compile = functools.partial(_compile, options={} if many else COMPILER_OPTIONS)
        self._look = self._compile(lambda at, ways: self._derivatives(plain, at, ways), (0, None))
        # Many numbers of noise are the same ones at every point of a piece.
        self._shared = sum(self.numbers.values()) > SHARED
        self._rounding = self._compile(
            lambda at, noise, unit: _spreads(functions, at, noise, unit),
            (0, None if self._shared else 0, None),
        )
        self._complex: Compiled | None = None
        self.reason: str = ""
        self._few: Compiled | None = None
        self._mine: Any = None
        self._seen: dict[bytes, PyTree] = {}
        self._in_complex = in_complex(value)

        def steps(at: jax.Array, ways: jax.Array) -> jax.Array:
            return _complex_steps(self._in_complex, at, ways, self._reach(at))

        try:
            with default_dtype("float64"):
                jax.eval_shape(steps, point, jnp.asarray(problem.directions))
            self._complex = self._compile(steps, (0, None))
        except NotAnalyticError as error:
            self.reason = f"not applicable: {error} has no complex form"
        except (TypeError, ValueError, NotImplementedError) as error:
            self.reason = f"not applicable: {type(error).__name__} in complex numbers"

    def __call__(self, points: np.ndarray, dtype: DType, seed: int = 0) -> Estimates:
        """Every estimate at points ``(n, d)``, with the roundings of a precision.

        Those that are left when the budget is spent, in seconds, are not looked at.
        """
        unit, rng = Unit.of(dtype), np.random.default_rng(seed)
        parts, begun, n = [], time.monotonic(), 0
        bar = tqdm(
            total=len(points),
            disable=None,
            delay=DELAY,
            leave=False,
            unit=" points",
            file=sys.stderr,
        )
        with default_dtype("float64"), bar:
            for at in self._chunks(points):
                if parts and time.monotonic() - begun > SECONDS:
                    break
                each = () if self._shared else (len(at),)
                noise = {
                    key: rng.integers(-127, 128, (*each, 1 + SAMPLES, count), dtype=np.int8)
                    for key, count in self.numbers.items()
                }
                for numbers in noise.values():
                    numbers[..., 0, :] = 0  # the exact result comes first
                found = self._exact(at), self._rounding(at, noise, unit)
                parts.append(jax.tree.map(np.asarray, found))
                n = min(n + len(at), len(points))
                bar.update(n - bar.n)
        ((derivatives, up, down, length), complex_step), spread = jax.tree.map(
            lambda *pieces: np.concatenate(pieces)[:n], *parts
        )
        kink, blur = spread.get("kink", [(np.full((n, 0), np.inf), np.zeros((n, 0)))])[0]
        value, noise = spread["value"][0] if "value" in spread else spread["reverse"][1]
        # The differences are taken in float64, unless the user's function casts to less.
        to_double = 1.0 if self.narrow else Unit.of("float64").rounding / unit.rounding
        least = max((LEAST[dtype] for dtype in self.narrow), default=0.0)
        few = len(self.problem.directions) < self.problem.structure.size
        with np.errstate(invalid="ignore"):
            on_kink = ~(np.abs(kink) > blur).all(axis=1)
        return Estimates(
            points=points[:n],
            values=value,
            derivatives=derivatives,
            roundings={key: spread[key][0][1] for key in (*derivatives, "values") if key in spread},
            differences=central_differences(value, noise * to_double + least, up, down, length),
            complex_step=complex_step if self._complex else self.reason,
            missing=self.missing,
            on_kink=on_kink,
            coarse=self.coarse,
            turns=self.turns,
            locate=self.locate if few else None,
        )

    def _traced(self, point: jax.Array) -> dict[str, ClosedJaxpr]:
        """Every derivative as JAX traces it; why others are not there is kept in ``missing``."""
        traced = {}
        for key, fn in self.problem.derivatives.items():
            try:
                traced[key] = jax.make_jaxpr(fn)(point)
            except (TypeError, ValueError, NotImplementedError) as error:
                # no reverse mode through while_loop, no forward mode through custom_vjp
                if key == "hand":
                    raise
                self.missing[key] = str(error).strip().partition("\n")[0].partition(". ")[0]
        return traced

    def _exact(self, at: np.ndarray) -> PyTree:
        """What does not depend on the noise, remembered for the other precision's turn."""
        if (key := at.tobytes()) not in self._seen:
            ways = np.asarray(self.problem.directions)
            complex_step = self._complex(at, ways) if self._complex else ()
            self._seen[key] = jax.tree.map(np.asarray, (self._look(at, ways), complex_step))
        return self._seen[key]

    def locate(
        self, point: np.ndarray, derivative: np.ndarray | None = None, row: int = 0
    ) -> tuple[int, float, float]:
        """The component of a gradient that values contradict most, by bisection.

        Args:
            point: where.
            derivative: the gradient there; of a Hessian None.
            row: of a Hessian.

        Returns:
            Its index, or the column in the row; what it is, and what values say it is.
        """
        width, left = self.problem.width, np.arange(len(point))
        signs = np.random.default_rng(0).choice([-1.0, 1.0], len(point))
        with default_dtype("float64"):
            if self._few is None:
                self._few = jax.jit(self._along, compiler_options=COMPILER_OPTIONS)
                again = self.problem.along
                self._mine = again and jax.jit(lambda at, ways: again(ways)(at))
            while True:
                ways = np.zeros((2, len(point)))
                for way, part in zip(ways, np.array_split(left, 2), strict=True):
                    way[part] = (signs * width)[part]
                said = self._few(point, ways)
                if not isinstance(said, jax.Array):
                    value, up, down, length = (np.asarray(x)[None] for x in said)
                    none = np.zeros_like(value)
                    said = central_differences(value, none, up, down, length).estimate[0]
                mine = self._mine(point, ways) if derivative is None else derivative @ ways.T
                said, mine = (np.reshape(np.asarray(x), (-1, len(ways)))[row] for x in (said, mine))
                if len(left) == 1:
                    unit = ways[0, left[0]]
                    return int(left[0]), float(mine[0] / unit), float(said[0] / unit)
                off = np.abs(mine - said)
                left = np.array_split(left, 2)[int(np.nan_to_num(off, nan=np.inf).argmax())]

    def _along(self, at: jax.Array, ways: jax.Array) -> jax.Array | tuple[jax.Array, ...]:
        """The derivative along directions by the complex step, or what differences are taken of."""
        reach = jnp.full(len(ways), self._farthest(at))
        if self._complex is not None:
            return _complex_steps(self._in_complex, at, ways, reach)
        value = self.problem.value
        return value(at), *_ahead_and_behind(value, at, ways, reach)

    def single(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """What the hand-derived derivative and reverse mode give in float32, ``(n, c)``."""
        absent = (*self.missing, "forward")
        plain = {key: fn for key, fn in self.problem.derivatives.items() if key not in absent}
        with default_dtype("float32"):
            look = self._compile(lambda at: {key: fn(at) for key, fn in plain.items()})
            parts = [look(at.astype(np.float32)) for at in self._chunks(points)]
        return jax.tree.map(
            lambda *pieces: np.concatenate(pieces)[: len(points)].astype(float), *parts
        )

    def _chunks(self, points: np.ndarray) -> Iterator[np.ndarray]:
        """Points in pieces of one size, for one compiled program each; the last piece is padded."""
        d, p = self.problem.structure.size, len(self.problem.directions)
        m = d if self.problem.kind == "Hessian" else 1
        noise = 0 if self._shared else SAMPLES * sum(self.numbers.values())
        each = 4 * len(STEPS) * p * (m + d) + noise
        size = int(np.clip(CHUNK * (1 + 3 * self._shared) // each, 1, len(points)))
        for start in range(0, len(points), size):
            yield points[np.minimum(np.arange(start, start + size), len(points) - 1)]

    def _derivatives(
        self, functions: dict[str, OnFlat], at: jax.Array, ways: jax.Array
    ) -> tuple[dict[str, jax.Array], jax.Array, jax.Array, jax.Array]:
        """The derivatives; the function a step ahead and a step behind; the lengths between."""
        moved = _ahead_and_behind(self.problem.value, at, ways, self._reach(at))
        return {key: fn(at) for key, fn in functions.items()}, *moved

    def _reach(self, at: jax.Array) -> jax.Array:
        """How far the point is from 0 in units of each direction, but no less than 1/128 of it."""
        width = jnp.asarray(self.problem.width)
        if len(self.problem.directions) == len(width):
            return jnp.maximum(jnp.abs(at), width / 128)
        return jnp.full(len(self.problem.directions), self._farthest(at))

    def _farthest(self, at: jax.Array) -> jax.Array:
        return jnp.maximum(jnp.max(jnp.abs(at) / jnp.asarray(self.problem.width)), 1 / 128)


def _ahead_and_behind(
    value: OnFlat, at: jax.Array, ways: jax.Array, reach: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The function a step ahead and a step behind along each way; the lengths between."""
    steps = reach[:, None] * jnp.asarray(STEPS)
    moves = ways[:, None, :] * steps[:, :, None]
    every = jax.vmap(jax.vmap(jax.vmap(value)))
    # (x + h) − (x − h) is exact for one coordinate; 2h is not.
    unit = len(ways) == len(at)
    length = jnp.sum((at + moves) - (at - moves), axis=2) if unit else 2 * steps
    up, down = every(at + jnp.stack([moves, -moves]))
    return up, down, length


def _complex_steps(value: OnFlat, at: jax.Array, ways: jax.Array, reach: jax.Array) -> jax.Array:
    """The derivatives of ``value``, a function of complex numbers, by the complex step."""
    along = jax.vmap(lambda way, h: value(at + 1j * h * way).imag / h, out_axes=-1)
    return jnp.ravel(along(ways, COMPLEX_STEP * reach))


def _limited(problem: Problem, turns: int) -> Problem:
    """The problem, with loops that end after so many turns."""
    derivatives = {key: ending(fn, turns) for key, fn in problem.derivatives.items()}
    return problem._replace(value=ending(problem.value, turns), derivatives=derivatives)


def _narrow(traced: ClosedJaxpr) -> set[str]:
    """The formats of less than float64 in which a traced function computes somewhere."""
    return set(re.findall(r"\b(bf16|f16|f32)\[", str(traced)))


def _pull_back(value: OnFlat, at: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A function's gradient by reverse mode, and its value."""
    result, pull = jax.vjp(value, at)
    return pull(jnp.ones_like(result))[0], result


def _compile(
    fn: Compiled,
    in_axes: int | tuple[int | None, ...] = 0,
    options: dict[str, int | bool] = COMPILER_OPTIONS,
) -> Compiled:
    """``fn`` of a point, compiled for many points; ``in_axes`` as ``jax.vmap`` has them."""
    return jax.jit(jax.vmap(fn, in_axes), compiler_options=options)


def _spreads(
    noisy: dict[str, Callable[..., list[jax.Array]]],
    at: jax.Array,
    noise: dict[str, jax.Array],
    unit: Unit,
) -> dict[str, list[tuple[jax.Array, jax.Array]]]:
    """Each function's exact results, and how far noise moves them (root mean square)."""
    found = {}
    for key, fn in noisy.items():
        results = jax.vmap(lambda numbers, fn=fn: fn(at, numbers, ROUNDINGS, unit))(noise[key])
        found[key] = list(map(spread, results))
    return found


@np.errstate(all="ignore")
def central_differences(
    value: np.ndarray, noise: np.ndarray, up: np.ndarray, down: np.ndarray, length: np.ndarray
) -> Differences:
    """Central differences, each at the bottom of its error curve.

    The curve is what can be known without the answer: how much the estimate changes to either
    neighbouring step, plus the rounding of the function over the step. A step is rejected if any
    smaller one differs from it by more than twice their errors.

    Args:
        value: of the function, ``(n, m)``.
        noise: how far roundings move it, ``(n, m)``.
        up: the function a step ahead, ``(n, p, s, m)``.
        down: the same a step behind.
        length: from one to the other, ``(n, p, s)``.
    """
    curve = (up - down) / length[..., None]
    change = np.abs(np.diff(curve, axis=2))
    change = np.where(np.isfinite(change), change, np.inf)
    floor = ROUNDINGS * Unit.of("float64").rounding * np.maximum(np.abs(up), np.abs(down))
    rough = (noise[:, None, None, :] + floor) / length[..., None]
    error = np.full(curve.shape, np.inf)
    error[:, :, 1:-1] = np.maximum(change[:, :, :-1], change[:, :, 1:])
    error = np.where(np.isfinite(rough), error + rough, np.inf)
    # Beyond a pole or a ripple large steps agree on a wrong answer, and smaller ones do not.
    for k in range(length.shape[2] - 1):
        apart = np.abs(curve[:, :, k + 1 :] - curve[:, :, k, None])
        refuted = apart > 2 * (error[:, :, k + 1 :] + error[:, :, k, None])
        error[:, :, k] = np.where(refuted.any(axis=2), np.inf, error[:, :, k])
    best = error.argmin(axis=2)[:, :, None]
    # As the step shrinks, one-sided differences of a smooth function come together, and its
    # central differences settle; at a kink or a jump they do not.
    apart = norm(up + down - 2 * value[:, None, None, :], axis=3) / length
    central, rough = norm(curve, axis=3), norm(rough, axis=3)
    kinked = (_trend(apart, rough) > 0.5) | (_trend(central, rough) > 4)

    def chosen(sizes: np.ndarray) -> np.ndarray:
        taken = np.take_along_axis(np.broadcast_to(sizes, curve.shape), best, axis=2)[:, :, 0]
        return np.swapaxes(taken, 1, 2).reshape(len(value), -1)

    return Differences(
        estimate=chosen(curve),
        bound=chosen(error),
        step=chosen(length[..., None]) / 2,
        steps=length / 2,
        curve=np.moveaxis(curve, 3, 1),
        kinked=np.asarray(kinked.any(axis=1)),
    )


def _trend(sizes: np.ndarray, rough: np.ndarray) -> np.ndarray:
    """The factor by which a size ``(n, p, s)`` grows over the last two steps that rounding spares.

    0 where no two steps are free of rounding.
    """
    clear = np.isfinite(sizes) & (sizes > 8 * rough)
    clear = clear[..., 2:] & clear[..., 1:-1] & clear[..., :-2]
    last = np.where(clear, np.arange(clear.shape[2]), -1).max(axis=2)[..., None]
    first, third = (np.take_along_axis(sizes, np.maximum(last, 0) + k, axis=2) for k in (0, 2))
    return np.where(last < 0, 0.0, third / first)[..., 0]
