"""Every way to a derivative, taken at many points, each with what it can resolve."""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._inputs import DType, default_dtype
from gdjax._util.errors import ArgumentError
from gdjax._util.types import PyTree
from gdjax.certificates.arithmetic import NotAnalyticError, Unit, in_complex, with_noise
from gdjax.certificates.lifting import lifted
from gdjax.certificates.problem import OnFlat, Problem

# So many roundings of every operation are allowed. The error of a right gradient was never more
# than 0.04 of that in float64 and 0.13 in float32, in 200,000 points of each over the catalogue.
ROUNDINGS = 32.0
SAMPLES = 8  # of rounding noise at each point
# Steps of the central differences, in widths: from a quarter down to 9e-13, each a quarter of the
# one before, so that truncation falls 16-fold and rounding grows 4-fold from one to the next.
STEPS = 0.25 ** np.arange(1, 21)
COMPLEX_STEP = 1e-20  # squared it vanishes, so nothing is truncated
# Compile time matters here, run time does not.
COMPILER_OPTIONS: dict[str, int | bool] = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}
CHUNK = 4_000_000  # numbers held at a time

Compiled = Callable[..., PyTree]  # (points, what else each needs) → arrays


class Differences(NamedTuple):
    """Central differences at the bottom of each error curve; n points, p directions, s steps.

    Args:
        estimate: derivatives, ``(n, m·p)``.
        bound: what they resolve, ``(n, p)``: the largest change to a neighbouring step, plus
            what rounding of the function does at that step.
        step: the steps chosen, ``(n, p)``.
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
        roundings: how far roundings can move each one: the norm, ``(n,)``, infinite where an
            intermediate result leaves the range of the precision.
        differences: central differences.
        complex_step: derivatives by the complex step, ``(n, m·p)``, or why there are none.
        missing: why a derivative is not there.
        on_kink: points within rounding of a known kink, ``(n,)``.
    """

    points: np.ndarray
    values: np.ndarray
    derivatives: dict[str, np.ndarray]
    roundings: dict[str, np.ndarray]
    differences: Differences
    complex_step: np.ndarray | str
    missing: dict[str, str]
    on_kink: np.ndarray


class Estimators:
    """All ways to the derivative of one problem, each compiled once; call them on points.

    Args:
        problem: what to certify.

    Raises:
        ArgumentError: the function or its derivative cannot be traced, or the function has
            neither a derivative by hand nor one by reverse mode, or no Hessian by autodiff.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.missing: dict[str, str] = {}
        with default_dtype("float64"):
            point = jnp.zeros(problem.structure.size)
            traced = {}
            for key, fn in problem.derivatives.items():
                try:
                    traced[key] = jax.make_jaxpr(fn)(point)
                except (TypeError, ValueError, NotImplementedError) as error:
                    # no reverse mode through while_loop, no forward mode through custom_vjp
                    if key == "hand":
                        raise
                    self.missing[key] = str(error).strip().partition("\n")[0].partition(". ")[0]
            if problem.subject not in traced or (problem.kind == "Hessian" and self.missing):
                raise ArgumentError(
                    f"{problem.name} has no {problem.kind} to certify: "
                    f"{next(iter(self.missing.values()))}"
                )
            value = jax.make_jaxpr(problem.value)(point)
            noisy = {key: with_noise(fn) for key, fn in traced.items() if key != "forward"}
            if problem.kind == "gradient" and "reverse" in traced:  # with the value beside it
                both = lambda at: _pull_back(problem.written or problem.value, at)  # noqa: E731
                both = jax.make_jaxpr(lifted(both) if problem.written else both)(point)
                noisy["reverse"] = with_noise(both)
            else:
                noisy["value"] = with_noise(value)
            if problem.kink is not None:
                noisy["kink"] = with_noise(jax.make_jaxpr(problem.kink)(point))
        self.narrow: bool = "f32[" in str(value) or "f16[" in str(value)
        self.numbers: dict[str, int] = {key: count for key, (_, count) in noisy.items()}
        functions = {key: fn for key, (fn, _) in noisy.items()}
        plain = {key: problem.derivatives[key] for key in traced}
        self._look = _compile(lambda at: self._derivatives(plain, at))
        self._rounding = _compile(
            lambda at, noise, unit: _spreads(functions, at, noise, unit), (0, 0, None)
        )
        self._complex: Compiled | None = None
        self.reason: str = ""
        steps = functools.partial(self._complex_steps, in_complex(value))
        try:
            with default_dtype("float64"):
                jax.eval_shape(jax.vmap(steps), point[None])
            self._complex = _compile(steps)
        except NotAnalyticError as error:
            self.reason = f"not applicable: {error} has no complex form"
        except (TypeError, ValueError, NotImplementedError) as error:
            self.reason = f"not applicable: {type(error).__name__} in complex numbers"

    def __call__(self, points: np.ndarray, dtype: DType, seed: int = 0) -> Estimates:
        """Every estimate at points ``(n, d)``, with the roundings of a precision."""
        unit, rng = Unit.of(dtype), np.random.default_rng(seed)
        parts = []
        with default_dtype("float64"):
            for at in self._chunks(points):
                noise = {
                    key: rng.integers(-127, 128, (len(at), 1 + SAMPLES, count), dtype=np.int8)
                    for key, count in self.numbers.items()
                }
                for numbers in noise.values():
                    numbers[:, 0] = 0  # the exact result comes first
                complex_step = self._complex(at) if self._complex else ()
                found = self._look(at), self._rounding(at, noise, unit), complex_step
                parts.append(jax.tree.map(np.asarray, found))
        n = len(points)
        (derivatives, up, down, length), spread, complex_step = jax.tree.map(
            lambda *pieces: np.concatenate(pieces)[:n], *parts
        )
        kink, blur = spread.get("kink", [(np.full((n, 0), np.inf), np.zeros((n, 0)))])[0]
        value, noise = spread["value"][0] if "value" in spread else spread["reverse"][1]
        # The differences are taken in float64, unless the user's function casts to less.
        to_double = 1.0 if self.narrow else Unit.of("float64").rounding / unit.rounding
        with np.errstate(invalid="ignore"):
            on_kink = ~(np.abs(kink) > blur).all(axis=1)
        return Estimates(
            points=points,
            values=value,
            derivatives=derivatives,
            roundings={
                key: np.linalg.norm(spread[key][0][1], axis=1)
                for key in derivatives
                if key in spread
            },
            differences=_differences(value, noise * to_double, up, down, length),
            complex_step=complex_step if self._complex else self.reason,
            missing=self.missing,
            on_kink=on_kink,
        )

    def single(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """What the hand-derived derivative and reverse mode give in float32, ``(n, c)``."""
        absent = (*self.missing, "forward")
        plain = {key: fn for key, fn in self.problem.derivatives.items() if key not in absent}
        with default_dtype("float32"):
            look = _compile(lambda at: {key: fn(at) for key, fn in plain.items()})
            parts = [look(at.astype(np.float32)) for at in self._chunks(points)]
        return jax.tree.map(
            lambda *pieces: np.concatenate(pieces)[: len(points)].astype(float), *parts
        )

    def _chunks(self, points: np.ndarray) -> Iterator[np.ndarray]:
        """Points in pieces of one size, for one compiled program each; the last piece is padded."""
        d, p = self.problem.structure.size, len(self.problem.directions)
        m = d if self.problem.kind == "Hessian" else 1
        each = 4 * len(STEPS) * p * (m + d) + SAMPLES * sum(self.numbers.values())
        size = int(np.clip(CHUNK // each, 1, len(points)))
        for start in range(0, len(points), size):
            yield points[np.minimum(np.arange(start, start + size), len(points) - 1)]

    def _derivatives(
        self, functions: dict[str, OnFlat], at: jax.Array
    ) -> tuple[dict[str, jax.Array], jax.Array, jax.Array, jax.Array]:
        """The derivatives; the function a step ahead and a step behind; the lengths between."""
        problem = self.problem
        directions = jnp.asarray(problem.directions)
        unit = len(directions) == problem.structure.size
        reach = jnp.maximum(jnp.abs(at), jnp.asarray(problem.width) / 128)
        reach = reach if unit else jnp.full(len(directions), jnp.max(reach))
        steps = reach[:, None] * jnp.asarray(STEPS)
        moves = directions[:, None, :] * steps[:, :, None]
        value = jax.vmap(jax.vmap(jax.vmap(problem.value)))
        # (x + h) − (x − h) is exact for one coordinate; 2h is not.
        length = jnp.sum((at + moves) - (at - moves), axis=2) if unit else 2 * steps
        up, down = value(at + jnp.stack([moves, -moves]))
        return {key: fn(at) for key, fn in functions.items()}, up, down, length

    def _complex_steps(self, value: OnFlat, at: jax.Array) -> jax.Array:
        """The derivatives of ``value``, a function of complex numbers, by the complex step."""
        size = COMPLEX_STEP * jnp.maximum(1.0, jnp.max(jnp.abs(at)))
        along = jax.vmap(lambda way: value(at + 1j * size * way).imag / size, out_axes=-1)
        return jnp.ravel(along(jnp.asarray(self.problem.directions)))


def _pull_back(value: OnFlat, at: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A function's gradient by reverse mode, and its value."""
    result, pull = jax.vjp(value, at)
    return pull(jnp.ones_like(result))[0], result


def _compile(fn: Compiled, in_axes: int | tuple[int | None, ...] = 0) -> Compiled:
    """``fn`` of a point, compiled for many points; ``in_axes`` as ``jax.vmap`` has them."""
    return jax.jit(jax.vmap(fn, in_axes), compiler_options=COMPILER_OPTIONS)


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
        found[key] = [
            (moved[0], jnp.sqrt(jnp.mean((moved[1:] - moved[0]) ** 2, axis=0))) for moved in results
        ]
    return found


@np.errstate(all="ignore")
def _differences(
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
    change = np.linalg.norm(np.diff(curve, axis=2), axis=3)
    change = np.where(np.isfinite(change), change, np.inf)
    size = np.maximum(np.linalg.norm(up, axis=3), np.linalg.norm(down, axis=3))
    floor = ROUNDINGS * Unit.of("float64").rounding * size
    rough = (np.linalg.norm(noise, axis=1)[:, None, None] + floor) / length
    error = np.full(length.shape, np.inf)
    error[..., 1:-1] = np.maximum(change[..., :-1], change[..., 1:])
    error = np.where(np.isfinite(rough), error + rough, np.inf)
    # Beyond a pole or a ripple large steps agree on a wrong answer, and smaller ones do not.
    for k in range(length.shape[2] - 1):
        apart = np.linalg.norm(curve[:, :, k + 1 :] - curve[:, :, k, None], axis=3)
        refuted = apart > 2 * (error[..., k + 1 :] + error[..., k, None])
        error[..., k] = np.where(refuted.any(axis=2), np.inf, error[..., k])
    best = error.argmin(axis=2)[..., None]
    # As the step shrinks, one-sided differences of a smooth function come together, and its
    # central differences settle; at a kink or a jump they do not.
    apart = np.linalg.norm(up + down - 2 * value[:, None, None, :], axis=3) / length
    central = np.linalg.norm(curve, axis=3)
    kinked = (_trend(apart, rough) > 0.5) | (_trend(central, rough) > 4)
    estimate = np.take_along_axis(curve, best[..., None], axis=2)[:, :, 0]
    return Differences(
        estimate=np.swapaxes(estimate, 1, 2).reshape(len(value), -1),
        bound=np.take_along_axis(error, best, axis=2)[..., 0],
        step=np.take_along_axis(length, best, axis=2)[..., 0] / 2,
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
