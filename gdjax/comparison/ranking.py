"""What a fair comparison found, and the numbers that are read off it."""

import itertools
from typing import Any, NamedTuple

import numpy as np

from gdjax import metrics
from gdjax._descent.trajectory import AT_EVAL_POINT
from gdjax._util.display import Card, aligned, shown

QUARTILES = np.array([0.25, 0.5, 0.75])


@shown
class Profile(NamedTuple):
    """A share that grows along x, for each optimizer and tuning seed.

    Args:
        x: factor, simplex gradients or evaluations, ``(n,)``.
        shares: ``(optimizers, seeds, n)``.
    """

    x: np.ndarray
    shares: np.ndarray


@shown
class Ranking(NamedTuple):
    """What ``gdjax.rank`` found, for p objectives, o optimizers, s tuning seeds, h held-out starts.

    Args:
        objectives: names.
        dims: of each, ``(p,)``.
        fmin: f* of each, ``(p,)``.
        known: whether that is known, or the lowest value that BFGS found, ``(p,)``.
        optimizers: labels.
        elsewhere: whether its values are those at its evaluation points, ``(o,)``.
        budget: evaluations of each descent.
        tau: precisions, each relative to the start, ``(t,)``.
        targets: more of them, for the runtime distribution, ``(m,)``.
        costs: evaluations to f − f* ≤ τ (f(x₀) − f*), infinite for never, ``(p, o, s, h, t)``.
        runtimes: likewise to the targets, ``(p, o, s, h, m)``.
        best: lowest value of each descent, ``(p, o, s, h)``.
        stuck: whether its line search found no lower point in the end, ``(p, o, s, h)``.
        at: numbers of evaluations, ``(n,)``.
        gaps: quartiles of (best f − f*)/(f(x₀) − f*) there over starts and seeds, ``(p, o, 3, n)``.
        settings: the hyperparameters that tuning chose: by label, and name, ``(p, s)``.
        tuning: evaluations that tuning spent, ``(p, o)``, each of at most ``allotted``.
        allotted: what every optimizer may spend on tuning for each objective.
        functions, gradients: mean evaluations of each in a scored descent, ``(p, o)``.
        tuning_starts, held_out: by objective, ``(s, n, d)`` and ``(h, d)``.
        together: whether one setting was tuned for all objectives.
        goals: the target of each objective in words, empty for f* and τ, ``(p,)``. Of a target
            ``fmin`` is its value, the negative of a metric's, and so are the best values.
    """

    objectives: tuple[str, ...]
    dims: np.ndarray
    fmin: np.ndarray
    known: np.ndarray
    optimizers: tuple[str, ...]
    elsewhere: np.ndarray
    budget: int
    tau: np.ndarray
    targets: np.ndarray
    costs: np.ndarray
    runtimes: np.ndarray
    best: np.ndarray
    stuck: np.ndarray
    at: np.ndarray
    gaps: np.ndarray
    settings: dict[str, dict[str, np.ndarray]]
    tuning: np.ndarray
    allotted: int
    functions: np.ndarray
    gradients: np.ndarray
    tuning_starts: dict[str, np.ndarray]
    held_out: dict[str, np.ndarray]
    together: bool
    goals: tuple[str, ...] = ()

    @property
    def by_target(self) -> bool:
        """Whether every objective has a target, so that no τ counts."""
        return bool(self.goals) and all(self.goals)

    @property
    def scores(self) -> np.ndarray:
        """Mean evaluations to the precisions τ, a failure counting twice the budget, ``(p, o, s)``.

        It is what tuning makes small and what ranks: the measure called PAR2 in the
        configuration of algorithms.
        """
        return penalised(self.costs, self.budget).mean(axis=(-2, -1))

    @property
    def ranks(self) -> np.ndarray:
        """1 for the best on each objective, ties sharing the mean of their ranks, ``(p, o)``."""
        from scipy.stats import rankdata

        return rankdata(self.scores.mean(axis=-1).round(9), axis=1)

    @property
    def order(self) -> np.ndarray:
        """The optimizers from the best mean rank to the worst, ``(o,)``."""
        return np.argsort(self.ranks.mean(axis=0), kind="stable")

    def success(self, axis: tuple[int, ...], tau: int = -1) -> metrics.Share:
        """The share of descents that meet a precision, with Wilson's interval.

        Tuning seeds repeat the same starts, so that they are averaged, and do not count as
        trials.

        Args:
            axis: what to count over: 0 for the objectives, −1 for the starts.
            tau: which precision.
        """
        met = np.isfinite(self.costs[..., tau]).mean(axis=2)  # (p, o, h)
        trials = np.prod([met.shape[i] for i in axis])
        return metrics.wilson(met.sum(axis=axis), int(trials))

    def performance(self, ratios: np.ndarray, tau: int = -1) -> Profile:
        """Performance profiles over objectives and starts; the best of each seed is the measure."""
        return self._profile(ratios, lambda c, d: metrics.performance_profile(c, ratios), tau)

    def data(self, budgets: np.ndarray, tau: int = -1) -> Profile:
        """Data profiles over objectives and starts, in simplex gradients."""
        return self._profile(budgets, lambda c, d: metrics.data_profile(c, d, budgets), tau)

    def _profile(self, x: np.ndarray, of: Any, tau: int) -> Profile:
        p, o, s, h, _ = self.costs.shape
        problems = self.costs[..., tau].transpose(2, 0, 3, 1).reshape(s, p * h, o)
        dims = np.repeat(self.dims, h)
        return Profile(x, np.stack([of(costs, dims) for costs in problems], axis=1))

    def runtime(self) -> Profile:
        """The share of all (objective, start, target) met after so many evaluations.

        Reference:
            Hansen et al. 2021, COCO: a platform for comparing continuous optimizers in a
            black-box setting, section 4.
        """
        o, s = len(self.optimizers), self.runtimes.shape[2]
        runs = np.sort(self.runtimes.transpose(1, 2, 0, 3, 4).reshape(o, s, -1))
        met = [[np.searchsorted(seed, self.at, side="right") for seed in one] for one in runs]
        return Profile(self.at, np.array(met) / runs.shape[-1])

    def rows(self) -> list[dict[str, Any]]:
        """The whole table: one row for each objective, optimizer and precision."""
        found, scores, ranks = [], self.scores, self.ranks
        shares = [self.success(axis=(-1,), tau=t) for t in range(len(self.tau))]
        places = itertools.product(range(len(self.objectives)), self.order, range(len(self.tau)))
        for i, j, t in places:
            quartiles = quartiles_of(self.costs[i, j, ..., t])
            by_seed = np.isfinite(self.costs[i, j, ..., t]).mean(axis=-1)
            found.append(
                {
                    "objective": self.objectives[i], "dim": int(self.dims[i]),
                    "optimizer": self.optimizers[j], "tau": float(self.tau[t]),
                    "success": float(shares[t].share[i, j]),
                    "success_low": float(shares[t].low[i, j]),
                    "success_high": float(shares[t].high[i, j]),
                    "success_worst_seed": float(by_seed.min()),
                    "success_best_seed": float(by_seed.max()),
                    "evaluations_q25": float(quartiles[0]),
                    "evaluations_median": float(quartiles[1]),
                    "evaluations_q75": float(quartiles[2]),
                    "best_value": float(self.best[i, j].min()),
                    "stuck": float(self.stuck[i, j].mean()),
                    "score": float(scores[i, j].mean()),
                    "score_best_seed": float(scores[i, j].min()),
                    "score_worst_seed": float(scores[i, j].max()),
                    "rank": float(ranks[i, j]),
                    "functions": float(self.functions[i, j]),
                    "gradients": float(self.gradients[i, j]),
                }
            )  # fmt: skip
        return found

    def overall(self) -> list[dict[str, Any]]:
        """One row for each optimizer, the best first, over all objectives."""
        found, ranks, shares = [], self.ranks, self.success(axis=(0, -1))
        for j in self.order:
            quartiles = quartiles_of(self.costs[:, j, ..., -1])
            by_seed = self.scores[:, j].mean(axis=0)
            found.append(
                {
                    "optimizer": self.optimizers[j],
                    "mean_rank": float(ranks[:, j].mean()),
                    "first": int((ranks[:, j] == ranks.min(axis=1)).sum()),
                    "success": [float(x[j]) for x in shares],
                    "evaluations": [float(q) for q in quartiles],
                    "score": float(by_seed.mean()),
                    "score_by_seed": by_seed.tolist(),
                    "tuning_evaluations": int(self.tuning[:, j].sum()),
                    "stuck": int(self.stuck[:, j].sum()),
                    "value_at_evaluation_point": bool(self.elsewhere[j]),
                }
            )
        return found

    def _tuned(self, label: str) -> str:
        """What tuning chose, from the least to the most of its seeds."""
        settings = self.settings[label].items()
        return ", ".join(f"{name} {_between(values)}" for name, values in settings)

    def _rows(self) -> list[tuple[str, ...]]:
        head = "optimizer", "mean rank", "first", "success", "95 %", "evaluations"
        alike = self.together or len(self.objectives) == 1
        any_stuck = bool(self.stuck.any())
        last = *["stuck"] * any_stuck, *["tuned to"] * alike
        rows: list[tuple[str, ...]] = [(*head, "score", "by seed", *last)]
        for row in self.overall():
            share, low, high = (f"{100 * x:.0f}" for x in row["success"])
            arrived = ("never" if np.isinf(q) else f"{q:.0f}" for q in row["evaluations"])
            low_seed, high_seed = min(row["score_by_seed"]), max(row["score_by_seed"])
            tuned = high_seed > low_seed
            rows.append(
                (
                    row["optimizer"], f"{row['mean_rank']:.2f}", str(row["first"]), f"{share} %",
                    f"{low}–{high}", ", ".join(arrived), f"{row['score']:.0f}",
                    f"{low_seed:.0f}–{high_seed:.0f}" if tuned else "",
                    *[f"{row['stuck']} of {self.stuck[:, 0].size}"] * any_stuck,
                    *[self._tuned(row["optimizer"])] * alike,
                )
            )  # fmt: skip
        return rows

    def __str__(self) -> str:
        elsewhere = itertools.compress(self.optimizers, self.elsewhere)
        return "\n".join([aligned(self._rows()), *(f"{k}: {AT_EVAL_POINT}" for k in elsewhere)])

    def _card(self) -> Card:
        p, o, s, h, _ = self.costs.shape
        facts = {
            "objectives": self.objectives,
            "budget": f"{self.budget:,} evaluations a descent, {self.allotted:,} for tuning",
            "descents": f"from {h} starts held out, after {s} tunings",
            "precisions": None if self.by_target else self.tau,
            "targets": ", ".join(dict.fromkeys(filter(None, self.goals))) or None,
        }
        return Card(f"Ranking of {o} optimizers on {p} objectives", facts, self._rows())


def _between(values: np.ndarray) -> str:
    low, high = f"{values.min():.4g}", f"{values.max():.4g}"
    return low if low == high else f"{low}–{high}"


def quartiles_of(costs: np.ndarray) -> np.ndarray:
    """Quartiles of evaluations, infinite where fewer than that share arrive, ``(3,)``."""
    return np.asarray(metrics.steps_quantile(np.where(np.isinf(costs), -1, costs), QUARTILES))


def penalised(costs: np.ndarray, budget: int) -> np.ndarray:
    """Evaluations, a failure counting as twice the budget.

    Reference:
        Hutter et al. 2009, ParamILS: an automatic algorithm configuration framework, sec. 2.
    """
    return np.where(np.isinf(costs), 2.0 * budget, costs)
