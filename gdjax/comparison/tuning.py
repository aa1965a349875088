"""The fair comparison: tuned with equal budgets on some starts, scored on others: ``rank``."""

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from gdjax import optimizers as lookup
from gdjax._descent.structured import points_of
from gdjax._inputs import DType, as_count, as_dtype, cannot_descend, default_dtype
from gdjax._util.arguments import as_seed, flag
from gdjax._util.errors import ArgumentError
from gdjax.comparison import cost, external
from gdjax.comparison.entrants import as_entrants, as_objectives
from gdjax.comparison.evaluations import Block, Entrant, curves, evaluations_to, visits
from gdjax.comparison.ranges import Range, chosen_ranges, draw, with_groups
from gdjax.comparison.ranking import Ranking, penalised
from gdjax.objectives import GradientSide, Objective, evaluate, validate
from gdjax.starts import draws_its_own, init

Advance = Callable[[float], bool | None]
TARGETS = 10.0 ** -np.arange(0.25, 8.01, 0.25)  # of the runtime distribution


class _Asked(NamedTuple):
    """What ``rank`` was asked for, checked."""

    budget: int
    trials: int
    seeds: int
    tau: np.ndarray
    gradient: GradientSide
    dtype: DType
    together: bool


class _Arena(NamedTuple):
    """An objective, its starts, and its lowest value or its target; a metric counts negative."""

    objective: Objective
    tuning: np.ndarray  # (seeds, starts, d)
    held_out: np.ndarray  # (h, d)
    fmin: float

    def met(self, best: np.ndarray, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """f(x₀) − f*, and the evaluations to each share τ of it, or to the target."""
        shares = tau if self.objective.target is None else np.zeros_like(tau)
        return _met(best, self.fmin, shares)


def rank(
    objectives: Any,
    optimizers: Any,
    *,
    budget: int = 1000,
    trials: int = 32,
    starts: int = 8,
    held_out: int = 16,
    seeds: int = 5,
    seed: int = 0,
    tau: Sequence[float] = (1e-1, 1e-3, 1e-5),
    ranges: Mapping[str, Any] | None = None,
    together: bool = False,
    gradient: GradientSide = "autodiff",
    dtype: DType = "float64",
    progress: bool = False,
) -> Ranking:
    """Rank optimizers on objectives, each tuned with the same budget, on starts they have not seen.

    For each tuning seed, random search draws ``trials`` settings of each optimizer's learning
    rates and shares (momentum and the like), descends with each from ``starts`` points, and keeps
    the setting with the least mean of the evaluations that it takes to f − f* ≤ τ (f(x₀) − f*).
    A failure counts twice the budget; of a schedule-free method or an average the values at its
    evaluation points count. That setting is scored on ``held_out`` other points.
    Descents end with the budget, or when they leave a hundred widths of the domain. Where f*
    is not known, the lowest value that BFGS finds from all these points stands for it.

    An objective with a ``target`` is solved where that is met, whatever τ. Starts of one without a
    domain are its own initialisations, as a ``gdjax.problem`` has them.

    Args:
        objectives: names, families of the catalogue, ``all`` of it that has minima, mappings with
            a ``name`` and parameters, objectives or functions; or one of these.
        optimizers: names of optimizers or of external solvers (``scipy.bfgs``,
            ``optimistix.bfgs``), mappings with a ``name`` and hyperparameters, or optimizers made
            by gdjax; a list, or a mapping from labels.
        budget: evaluations of each descent: visits of a point, with value and gradient.
        trials: settings to draw.
        starts: points to tune on, uniform in the domain and different for each seed.
        held_out: points to score on, the same for all.
        seeds: how often to tune anew.
        seed: of all draws.
        tau: precisions, relative to the start.
        ranges: what to tune beyond or instead of the defaults: ``(low, high, scale)`` by
            hyperparameter, or by ``label.hyperparameter``. One whose range is None is not tuned.
            ``learning_rate[layers.0]`` is that of a group of leaves.
        together: whether one setting is tuned for all objectives, and not one for each.
        gradient: which gradient to follow, ``autodiff`` or ``hand``.
        dtype: ``float64``, or ``float32``, which cannot tell values apart that differ by less than
            6e-8 of their size; the runtime distribution goes down to τ = 1e-8.
        progress: whether to show a progress bar.

    Returns:
        Costs, profiles, ranks and the settings that were chosen; ``str`` makes a table of them.

    Raises:
        ArgumentError: before anything is compiled, an unknown name or hyperparameter, one that
            cannot be tuned, an objective without a least value, counts below 1.

    Example:
        >>> found = rank(["booth"], ["gradient_descent", "scipy.bfgs"], budget=200, trials=8,
        ...              starts=2, held_out=2, seeds=1)
        >>> found.optimizers[found.order[0]]
        'scipy.bfgs'

    Reference:
        Moré & Wild 2009, Benchmarking derivative-free optimization algorithms, section 2.
    """
    counts = {
        "budget": budget, "trials": trials, "starts": starts, "held_out": held_out, "seeds": seeds,
    }  # fmt: skip
    for name, number in counts.items():
        as_count(name, number, 2 if name == "budget" else 1)
    as_seed(seed)
    together, progress = flag("together", together), flag("progress", progress)
    dtype = as_dtype(dtype) or "float64"
    chosen, entrants = as_objectives(objectives), as_entrants(optimizers)
    tunable = {k: e for k, e in entrants.items() if isinstance(e, lookup.Optimizer)}
    wanted = {} if ranges is None else ranges
    tunable = with_groups(tunable, wanted)
    entrants |= tunable
    for one, f in itertools.product(tunable.values(), chosen.values()):
        try:
            visits(one, points_of(one, f))  # refuses, before any descent, what cannot be counted
        except Exception as error:
            cannot_descend(f, one, error)
    for one, f in itertools.product(entrants.values(), chosen.values()):
        if isinstance(one, external.ExternalSolver) and f.target and f.target.metric:
            raise ArgumentError(
                f"{one!r} cannot be ranked by {f.target}: it tells its values alone"
            )
    searched = chosen_ranges(tunable, wanted)
    for f in chosen.values():
        f.value_and_gradient(gradient)
        with default_dtype(dtype):
            validate(f, numbers=False)
    precisions = _precisions(tau)
    if all(f.target is not None for f in chosen.values()):
        precisions = precisions[-1:]  # a target is met or not, whatever τ
    asked = _Asked(budget, trials, seeds, precisions, gradient, dtype, together)
    costs = len(asked.tau) + 2
    cost.check_memory(counts, costs, costs + len(TARGETS), chosen.values(), entrants.values())
    cost.tell_time(counts, chosen.values(), len(entrants), sum(map(bool, searched.values())))
    with _bar(len(chosen) * len(entrants), progress) as bar:
        arenas = [_arena(f, starts, held_out, seeds, seed, bar) for f in chosen.values()]
        named = dict(zip(chosen, arenas, strict=True))
        return _ranking(asked, named, entrants, searched, seed, bar.update)


def _bar(pairs: int, shown: bool) -> tqdm:
    """How many pairs of an objective and an optimizer are done."""
    form = "{desc}{percentage:3.0f}%|{bar}| {n:.3g} of {total} pairs [{elapsed}<{remaining}]"
    return tqdm(total=pairs, bar_format=form, disable=not shown, file=sys.stderr)


def _precisions(tau: Sequence[float]) -> np.ndarray:
    try:
        values = np.sort(np.asarray(tau, dtype=float).ravel())[::-1]
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"tau must be numbers between 0 and 1, got {tau!r}") from None
    if not values.size or not ((values > 0) & (values < 1)).all():
        raise ArgumentError(f"tau must lie between 0 and 1, got {tau}")
    return values


def _arena(
    objective: Objective, starts: int, held_out: int, seeds: int, seed: int,
    bar: tqdm,
) -> _Arena:  # fmt: skip
    """The starts of an objective: one stream for those held out, and one for each tuning seed."""
    sides = None if draws_its_own(objective) else objective.needs_domain("a ranking")

    def drawn(number: int, stream: np.random.SeedSequence) -> np.ndarray:
        """Uniform points of the domain, or initialisations, at which the objective is finite."""
        if sides is None:
            own = init(4 * number, int(stream.generate_state(1)[0]))
            points = own.take(objective, 0, 4 * number)
        else:
            points = np.random.default_rng(stream).uniform(
                sides[:, 0], sides[:, 1], (4 * number, objective.dim)
            )
        with default_dtype("float64"):
            good = points[np.isfinite(evaluate(objective.cast(float), jnp.asarray(points)))]
        if len(good) < number:
            raise ArgumentError(f"objective {objective.name} must be finite at most of its starts")
        return good[:number]

    scored, *streams = np.random.SeedSequence(seed).spawn(1 + seeds)
    held = drawn(held_out, scored)
    tuning = np.stack([drawn(starts, stream) for stream in streams])
    fmin, target = objective.fmin, objective.target
    if target is not None:
        fmin = -target.level if target.metric else target.value
    if fmin is None:
        every = np.concatenate([held, *tuning])
        what = f"looking for the least value of {objective.name} from start"

        def told() -> Iterator[np.ndarray]:
            for i, start in enumerate(every):
                bar.set_description(f"{what} {i + 1} of {len(every)}")
                yield start

        fmin = external.lowest(objective, told())
        bar.set_description("")
    return _Arena(objective, tuning, held, fmin)


def _ranking(
    asked: _Asked,
    arenas: dict[str, _Arena],
    entrants: dict[str, Entrant],
    searched: dict[str, dict[str, Range]],
    seed: int,
    advance: Advance,
) -> Ranking:
    p, o, s = len(arenas), len(entrants), asked.seeds
    h = len(next(iter(arenas.values())).held_out)
    at = np.unique(np.geomspace(1, asked.budget, 120).round().astype(int))
    costs = np.empty((p, o, s, h, len(asked.tau)))
    runtimes = np.empty((p, o, s, h, len(TARGETS)))
    best, gaps = np.empty((p, o, s, h)), np.empty((p, o, 3, len(at)))
    stuck = np.empty((p, o, s, h), bool)
    spent = np.zeros((p, o), int)
    functions, gradients = np.empty((p, o)), np.empty((p, o))
    settings: dict[str, dict[str, np.ndarray]] = {}
    for j, (label, entrant) in enumerate(entrants.items()):
        drawn = _draws(searched.get(label, {}), asked.trials, s, seed)
        first, spent[:, j] = _tuned(asked, arenas, entrant, drawn, advance)
        settings[label] = {name: values[np.arange(s), first] for name, values in drawn.items()}
        for i, arena in enumerate(arenas.values()):
            chosen = {name: values[i] for name, values in settings[label].items()}
            found = _score(asked, arena, entrant, chosen, at, advance)
            costs[i, j], runtimes[i, j], best[i, j], stuck[i, j], gaps[i, j], *counts = found
            functions[i, j], gradients[i, j] = counts
    works = [arena.objective for arena in arenas.values()]
    trial_starts = next(iter(arenas.values())).tuning.shape[1]
    return Ranking(
        objectives=tuple(arenas),
        dims=np.array([arena.objective.dim for arena in arenas.values()]),
        fmin=np.array([arena.fmin for arena in arenas.values()]),
        known=np.array([f.fmin is not None or f.target is not None for f in works]),
        goals=tuple(str(f.target or "") for f in works),
        optimizers=tuple(entrants),
        elsewhere=np.array([_elsewhere(e, next(iter(arenas.values()))) for e in entrants.values()]),
        budget=asked.budget,
        tau=asked.tau,
        targets=TARGETS,
        costs=costs,
        runtimes=runtimes,
        best=best,
        stuck=stuck,
        at=at,
        gaps=gaps,
        settings=settings,
        tuning=spent,
        allotted=s * asked.trials * trial_starts * asked.budget,
        functions=functions,
        gradients=gradients,
        tuning_starts={name: arena.tuning for name, arena in arenas.items()},
        held_out={name: arena.held_out for name, arena in arenas.items()},
        together=asked.together,
    )


def _tuned(
    asked: _Asked,
    arenas: dict[str, _Arena],
    entrant: Entrant,
    drawn: Mapping[str, np.ndarray],
    advance: Advance,
) -> tuple[np.ndarray, np.ndarray]:
    """The best trial for each objective and seed ``(p, s)``, and the evaluations spent ``(p,)``."""
    p, s = len(arenas), asked.seeds
    if not drawn:
        advance(p / 2)
        return np.zeros((p, s), int), np.zeros(p, int)
    criteria, spent = np.empty((p, s, asked.trials, 2)), np.zeros(p, int)
    for i, arena in enumerate(arenas.values()):
        criteria[i], spent[i] = _tune(asked, arena, entrant, drawn, advance)
    if asked.together:
        criteria[:] = criteria.mean(axis=0)
    return np.lexsort((criteria[..., 1], criteria[..., 0]))[..., 0], spent


def _draws(
    searched: Mapping[str, Range], trials: int, seeds: int, seed: int
) -> dict[str, np.ndarray]:
    """Random settings, ``(seeds, trials)`` by name; equal ranges get the same draws."""
    streams = np.random.SeedSequence([seed, 1]).spawn(seeds)
    each = [draw(searched, trials, np.random.default_rng(stream)) for stream in streams]
    return {name: np.stack([one[name] for one in each]) for name in searched}


def _tune(
    asked: _Asked, arena: _Arena, entrant: Entrant, drawn: Mapping[str, np.ndarray],
    advance: Advance,
) -> tuple[np.ndarray, int]:  # fmt: skip
    """For each seed and trial, the mean penalised cost and the mean logarithm of what is left."""
    criteria, spent = [], 0
    for k, starts in enumerate(arena.tuning):
        shape = len(starts), asked.trials
        costs, left = np.empty((*shape, len(asked.tau))), np.empty(shape)
        flat, rest = costs.reshape(-1, len(asked.tau)), left.reshape(-1)
        tried = {name: values[k] for name, values in drawn.items()}
        for block in curves(
            entrant, arena.objective, starts, tried, asked.budget, asked.gradient, asked.dtype
        ):
            height, flat[block.cells] = arena.met(block.best, asked.tau)
            gap = (block.best[:, -1] - arena.fmin) / height
            rest[block.cells] = np.log(np.clip(gap, 1e-16, 1.0))
            spent += block.gradients
            advance(_half(block, asked.seeds * rest.size))
        mean = penalised(costs, asked.budget).mean(axis=(0, 2))
        criteria.append(np.stack([mean, left.mean(axis=0)], axis=-1))
    return np.stack(criteria), spent


def _score(
    asked: _Asked,
    arena: _Arena,
    entrant: Entrant,
    chosen: Mapping[str, np.ndarray],
    at: np.ndarray,
    advance: Advance,
) -> tuple[Any, ...]:
    """Costs, runtimes, best values and who is stuck ``(s, h, …)``; gaps ``(3, n)``, and counts."""
    blocks, held = [], arena.held_out
    for block in curves(
        entrant, arena.objective, held, chosen, asked.budget, asked.gradient, asked.dtype
    ):
        blocks.append(block)
        advance(_half(block, len(held) * (asked.seeds if chosen else 1)))
    best = np.concatenate([block.best for block in blocks])
    height, costs = arena.met(best, asked.tau)
    _, runtimes = _met(best, arena.fmin, TARGETS)
    left = np.clip((best[:, at - 1] - arena.fmin) / height[:, None], 1e-16, None)
    gaps = np.quantile(left, [0.25, 0.5, 0.75], axis=0, method="inverted_cdf")

    def by_seed(array: np.ndarray) -> np.ndarray:
        """(starts · settings, …) → (s, h, …); what has no settings is the same for each seed."""
        split = array.reshape(len(arena.held_out), -1, *array.shape[1:]).swapaxes(0, 1)
        return np.broadcast_to(split, (asked.seeds, *split.shape[1:]))

    counts = np.sum([(block.functions, block.gradients) for block in blocks], axis=0) / len(best)
    stuck = np.concatenate([block.stuck for block in blocks])
    return *map(by_seed, (costs, runtimes, best[:, -1], stuck)), gaps, *counts


def _half(block: Block, cells: int) -> float:
    """The share of a pair that a block of so many cells is: half is tuning, half is scoring."""
    return (block.cells.stop - block.cells.start) / cells / 2


def _elsewhere(entrant: Entrant, arena: _Arena) -> bool:
    """Whether an entrant is evaluated at another point than the one it stands at."""
    if not isinstance(entrant, lookup.Optimizer):
        return False
    return visits(entrant, points_of(entrant, arena.objective)).elsewhere


def _met(best: np.ndarray, fmin: float, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f(x₀) − f*, and the evaluations to each share τ of it."""
    height = np.maximum(best[:, 0] - fmin, np.finfo(float).tiny)
    return height, evaluations_to(best, fmin + height[:, None] * tau)
