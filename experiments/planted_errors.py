"""Does the certificate of gradients catch every planted error, and accuse no right gradient?

    uv run python experiments/planted_errors.py [--checks=200000] [--seed=0] [--beside]

tries the whole catalogue with so many right checks in each precision, then every objective of it in
other units, from 1e-8 to 1e8, with one in a hundred of them, and then as a function of several
arguments with a rule for its derivatives; and prints the figures.
"""

import argparse
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads
from scipy.optimize import check_grad

from gdjax import check_gradient, check_rule, objectives
from gdjax.certificates.conclusion import conclude
from gdjax.certificates.estimates import Estimates, Estimators
from gdjax.certificates.gradient_report import Details
from gdjax.certificates.problem import Problem, pose
from gdjax.certificates.verdict import relative
from gdjax.objectives import Objective

RELATIVE = 1e-4  # size of the smallest planted error, in one component
VISIBLE = 1e-9  # what changes a gradient by less than this everywhere is no error


class Trial(NamedTuple):
    """What became of one or more objectives.

    Args:
        planted: how many errors were planted.
        missed: those that were not caught, or blamed on another component.
        invisible: those that change nothing, such as exchanging two equal components.
        checks: right gradients checked at a point, by precision.
        decided: those of them that rounding left something to decide.
        alarms: those of them that were called wrong.
        share: the largest error of a right gradient, in tolerances, by precision.
    """

    planted: int = 0
    missed: tuple[str, ...] = ()
    invisible: tuple[str, ...] = ()
    checks: tuple[int, ...] = (0, 0)
    decided: tuple[int, ...] = (0, 0)
    alarms: tuple[int, ...] = (0, 0)
    share: tuple[float, ...] = (0.0, 0.0)

    def __str__(self) -> str:
        caught = self.planted - len(self.missed) - len(self.invisible)
        lines = [
            f"planted {self.planted:,} errors: {caught:,} caught, {len(self.missed)} missed, "
            f"{len(self.invisible)} change nothing"
        ]
        for i, dtype in enumerate(("float64", "float32")):
            lines.append(
                f"{dtype}: {self.checks[i]:,} right gradients checked ({self.decided[i]:,} "
                f"decided), {self.alarms[i]} false alarms; largest error {self.share[i]:.2f} of "
                f"its tolerance"
            )
        lines += [f"missed: {what}" for what in self.missed]
        lines += [f"changes nothing: {what}" for what in self.invisible]
        return "\n".join(lines)


def plants(
    points: np.ndarray, gradient: np.ndarray, weights: np.ndarray
) -> Iterator[tuple[str, set[int], Callable]]:
    """Errors to plant: what each is called, the components it spoils, and gradients → gradients.

    In each component a relative error of 1e-4, a flipped sign, and a term that is missing
    beyond four fifths of all distances from 0; each pair of components swapped; all signs flipped.

    Args:
        points: where, ``(n, d)``.
        gradient: the right one there, ``(n, d)``.
        weights: how much each component counts, ``(d,)``: its width.
    """
    d = points.shape[1]
    distance = np.linalg.norm(points / weights, axis=1)
    far = np.quantile(distance, 0.8)
    norms = np.linalg.norm(gradient * weights, axis=1)
    size = 1e-3 * max(np.nanmedian(norms[distance > far]), 1e-6 * np.sqrt(np.nanmean(norms**2)))
    term = size * np.maximum(distance / far - 1, 0)
    for j in range(d):
        unit = np.eye(d)[j]
        yield f"component {j} times 1.0001", {j}, lambda g, u=unit: g * (1 + RELATIVE * u)
        yield f"sign of component {j} flipped", {j}, lambda g, u=unit: g * (1 - 2 * u)
        missing = term[:, None] * unit / weights[j]
        yield f"term missing in component {j}", {j}, lambda g, missing=missing: g - missing
    for i, j in itertools.combinations(range(d), 2):
        order = np.arange(d)
        order[[i, j]] = j, i
        yield f"components {i} and {j} swapped", {i, j}, lambda g, order=order: g[:, order]
    yield "all signs flipped", set(range(d)), lambda g: -g


def scaled(objective: Objective, seed: int = 0) -> Objective:
    """An objective of the same function in other units: each component times 1e-8 to 1e8.

    The scales of the first two components are those two, and so far apart.

    Args:
        objective: with a hand-derived gradient.
        seed: of the scales of the other components.
    """
    drawn = np.random.default_rng(seed).uniform(-8, 8, objective.dim)
    drawn[:2] = (-8, 8)[: objective.dim]
    units = 10.0**drawn
    fn, kink = objective.fn, objective.kink
    gradient: Any = objective.gradient
    return Objective(
        name=f"{objective.name} in other units",
        fn=lambda p, *args: fn(p / units, *args),
        gradient=lambda p, *args: gradient(p / units, *args) / units,
        args=objective.args,
        domain=np.asarray(objective.domain) * units[:, None],
        start=np.asarray(objective.start) * units,
        minima=[np.asarray(one) * units for one in objective.known_minima],
        kink=kink and (lambda p: kink(p / units)),
    )


def try_objective(objective: Objective, points: int = 1000, seed: int = 0) -> Trial:
    """Put the certificate of one objective's hand-derived gradient on trial.

    The errors are planted in what the gradient returns, after it has been compiled and run.

    Args:
        objective: with a hand-derived gradient.
        points: how many right checks in each precision.
        seed: of the draw and of the rounding noise.
    """
    with jax.enable_x64(True):  # as check_gradient poses it
        problem = pose(objective, None, "gradient", points, None, None, seed)
    referees = Estimators(problem)
    coarse = problem.points.astype(np.float32).astype(float)
    double, single = referees(problem.points, "float64", seed), referees(coarse, "float32", seed)
    computed = referees.single(coarse)
    right = [conclude(problem, p, double, single, computed) for p in ("float64", "float32")]
    trial = Trial(
        checks=(len(problem.points),) * 2,
        decided=tuple(int(report.details.kept.sum()) for report in right),
        alarms=tuple(int(report.details.wrong.sum()) for report in right),
        share=tuple(map(_share, (report.details for report in right))),
    )
    kept, hand = right[0].details.kept, double.derivatives["hand"]
    missed, invisible = [], []
    for count, (what, spoilt, plant) in enumerate(plants(problem.points, hand, problem.weights), 1):
        trial = trial._replace(planted=count)
        planted = plant(hand)
        with np.errstate(all="ignore"):
            seen = relative(planted * problem.weights, hand * problem.weights)[kept]
        if not seen.max() > VISIBLE:
            invisible.append(f"{objective.name}: {what}")
        elif not _caught(problem, double, single, computed, planted, spoilt):
            missed.append(f"{objective.name}: {what}")
    return trial._replace(missed=tuple(missed), invisible=tuple(invisible))


def _caught(
    problem: Problem,
    double: Estimates,
    single: Estimates,
    computed: dict[str, np.ndarray],
    planted: np.ndarray,
    spoilt: set[int],
) -> bool:
    evidence = double._replace(derivatives=double.derivatives | {"hand": planted})
    report = conclude(problem, "float64", evidence, single, computed)
    return not report.ok and report.component in spoilt


def _share(details: Details) -> float:
    return float(details.shares[details.kept].max(initial=0.0))


Plant = Callable[[jax.Array], jax.Array]  # a right gradient → a wrong one
RULES = ("custom_vjp", "custom_jvp", "pullback")


def with_rule(objective: Objective, kind: str, plant: Plant) -> Any:
    """A function of the components of an objective, one argument each, with a rule of its own.

    Args:
        objective: with a hand-derived gradient.
        kind: one of ``RULES``.
        plant: what becomes of the gradient.
    """
    gradient: Any = objective.gradient

    def value(*point: jax.Array) -> jax.Array:
        return objective.fn(jnp.stack(point), *objective.args)

    def slope(point: tuple[jax.Array, ...]) -> jax.Array:
        return plant(gradient(jnp.stack(point), *objective.args))

    def pull(point: tuple[jax.Array, ...], u: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(u * slope(point))

    if kind == "pullback":
        return value, lambda *given: pull(given[:-1], given[-1])
    if kind == "custom_vjp":
        ruled = jax.custom_vjp(value)
        ruled.defvjp(lambda *point: (value(*point), point), pull)
        return ruled
    pushed = jax.custom_jvp(value)
    pushed.defjvp(lambda point, ways: (pushed(*point), slope(point) @ jnp.stack(ways)))
    return pushed


def try_rule(objective: Objective, number: int, seed: int = 0) -> Trial:
    """Put the certificate of a rule on trial: with an error in one component, and with none.

    Args:
        objective: with a hand-derived gradient.
        number: decides on the kind of the rule, on the error and on its component.
        seed: of the point and of the rounding noise.
    """
    d, kind = objective.dim, RULES[number % len(RULES)]
    j = number % d
    error = (RELATIVE, -2.0)[number // len(RULES) % 2]
    low, high = np.asarray(objective.domain).T
    at = np.random.default_rng([seed, number]).uniform(low, high)
    right = check_rule(with_rule(objective, kind, lambda g: g), *at, seed=seed)
    wrong = check_rule(
        with_rule(objective, kind, lambda g: g.at[j].multiply(1 + error)), *at, seed=seed
    )
    gradient: Any = objective.gradient
    with jax.enable_x64(True):
        changes = bool(gradient(at, *objective.args)[j])  # of a flat function it does not
    caught = not wrong.ok and wrong.argument == f"point[{j}]"
    what = f"{objective.name}: a {kind}, component {j} times {1 + error:g}"
    details = right.certificate.details if right.certificate else None
    return Trial(
        planted=1,
        missed=() if caught or not changes else (what,),
        invisible=() if changes else (what,),
        checks=(right.points, 0),
        decided=(int(details.kept.sum()) if details else 0, 0),
        alarms=(right.points * any(law.ok is False for law in right.laws), 0),
        share=(_share(details) if details else 0.0, 0.0),
    )


def join(trials: Iterable[Trial]) -> Trial:
    """The sum of several trials."""
    total = Trial()
    for one in trials:
        add = lambda a, b: tuple(x + y for x, y in zip(a, b, strict=True))  # noqa: E731
        total = Trial(
            total.planted + one.planted,
            total.missed + one.missed,
            total.invisible + one.invisible,
            add(total.checks, one.checks),
            add(total.decided, one.decided),
            add(total.alarms, one.alarms),
            tuple(map(max, total.share, one.share)),
        )
    return total


def _wave(p: jax.Array) -> jax.Array:
    return jnp.sin(p[0]) * p[1]


def _units(p: jax.Array) -> jax.Array:
    return (p[0] * 1e-8) ** 2 + (p[1] * 1e8) ** 2


KINDS = {  # of errors: the function, what the first component is times, and around which point
    "factor 1.0001": (_wave, 1.0001, (0.7, 1.3)),
    "factor 1 + 1e-8": (_wave, 1 + 1e-8, (0.7, 1.3)),
    "sign, in units of 1e8 and 1e-8": (_units, -1.0, (1e8, 1e-8)),
    "sign, under an offset of 1e15": (lambda p: 1e15 + _wave(p), -1.0, (0.7, 1.3)),
    "factor 1.00001, under 1e9": (lambda p: 1e9 + _wave(p), 1.00001, (0.7, 1.3)),
    "none": (_wave, 1.0, (0.7, 1.3)),
    "none, in units of 1e8 and 1e-8": (_units, 1.0, (1e8, 1e-8)),
    "none, under an offset of 1e9": (lambda p: 1e9 + _wave(p), 1.0, (0.7, 1.3)),
}


def beside() -> Iterator[str]:
    """What others say of errors of each kind: ``check_grads`` of JAX, ``check_grad`` of SciPy."""
    yield f"{'planted':<34}{'gdjax':<10}{'check_grads':<14}SciPy (more than 1e-6 of the norm)"
    for kind, (fn, factor, around) in KINDS.items():
        ruled = jax.custom_vjp(fn)

        def slope(p, fn=fn, factor=factor):
            return jax.grad(fn)(p) * jnp.array([factor, 1.0])

        ruled.defvjp(lambda p, fn=fn: (fn(p), p), lambda p, c, slope=slope: (slope(p) * c,))
        ours = check_gradient(ruled, points=np.array([around])).ok
        with jax.enable_x64(True):
            at = jnp.array(around)
            try:
                check_grads(ruled, (at,), order=1, modes=["rev"])
                theirs = True
            except AssertionError:
                theirs = False
            gap = check_grad(fn, slope, np.array(around)) / np.linalg.norm(slope(at))
        said = ["right" if ok else "WRONG" for ok in (ours, theirs, gap <= 1e-6)]
        yield f"{kind:<34}{said[0]:<10}{said[1]:<14}{said[2]} ({gap:.0e})"


def main() -> None:
    """Try the whole catalogue; leave with exit code 1 if the certificate fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=200_000, help="in each precision")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--beside", action="store_true", help="what others say of a few errors")
    chosen = parser.parse_args()
    if chosen.beside:
        for line in beside():
            print(line, flush=True)
        return
    catalogue = [objectives.get(name) for name in objectives.names()]
    points = math.ceil(chosen.checks / len(catalogue))
    others = [scaled(f, chosen.seed) for f in catalogue]
    begun = (
        *(functools.partial(try_objective, f, points, chosen.seed) for f in catalogue),
        *(
            functools.partial(try_objective, f, math.ceil(points / 100), chosen.seed)
            for f in others
        ),
        *(
            functools.partial(try_rule, pair[number % 2], number, chosen.seed)
            for number, pair in enumerate(zip(catalogue, others, strict=True))
        ),
    )
    trials = []
    for trial in begun:
        trials.append(trial())
        one = trials[-1]
        print(
            f"{trial.args[0].name}: {one.planted} planted, {len(one.missed)} missed, "
            f"{len(one.invisible)} change nothing; {sum(one.alarms)} false alarms; "
            f"largest error {one.share[0]:.2f} and {one.share[1]:.2f} of its tolerance",
            flush=True,
        )
    total = join(trials)
    print(total)
    if total.missed or any(total.alarms):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
