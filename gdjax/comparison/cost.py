"""What a ranking takes: refused where it does not fit, and told before any of it is computed."""

import logging
from collections.abc import Iterable, Mapping

from gdjax import optimizers
from gdjax._descent.structured import points_of
from gdjax._sweep.runner import TILE
from gdjax._util.display import duration
from gdjax._util.memory import check_fits
from gdjax.comparison.evaluations import Entrant, visits
from gdjax.objectives import Objective

log: logging.Logger = logging.getLogger(__name__)

COPIES = 8  # of every score, in profiles, tables and files
# Numbers that one core of an AMD EPYC recorded in a second, of descents of cheap objectives.
RECORDED = 3e7
STARTED = 0.01  # seconds that each tuning takes besides, of a pair and a seed


def check_memory(
    counts: Mapping[str, int],
    costs: int,
    scores: int,
    objectives: Iterable[Objective],
    entrants: Iterable[Entrant],
) -> None:
    """Refuse a ranking that would not fit, before its starts are drawn.

    What counts is drawn points, settings and their costs, curves of the budget's length, and all
    that is scored.

    Args:
        counts: ``budget``, ``trials``, ``starts``, ``held_out`` and ``seeds``.
        costs: numbers that are kept of a descent in tuning.
        scores: numbers that are kept of one in scoring.
        objectives: what to descend.
        entrants: what descends.

    Raises:
        ArgumentError: more than four fifths of the memory that is free.
    """
    works, entrants = [*objectives], [*entrants]
    names = "budget", "trials", "starts", "held_out", "seeds"
    budget, t, starts, h, s = (counts[name] for name in names)
    dim = max(f.dim for f in works)
    tuned = [e for e in entrants if isinstance(e, optimizers.Optimizer)]
    step_by_step = any(any(visits(e, points_of(e, f))) for e in tuned for f in works)
    at_once = max(starts * t, h * s) if step_by_step else h * s
    parts = {
        f"seeds={s:,}, starts={starts:,} and held_out={h:,}": 6 * (s * starts + h) * dim,
        f"trials={t:,}, starts={starts:,} and seeds={s:,}": t * (starts * costs + 4 * s),
        f"budget={budget:,}": budget * (3 * at_once + TILE * (dim + 1)),
        f"seeds={s:,} and held_out={h:,}": COPIES * len(works) * len(entrants) * s * h * scores,
    }
    for what, numbers in parts.items():
        check_fits(8 * numbers, f"a ranking with {what}", "take less of these")


def tell_time(
    counts: Mapping[str, int], objectives: Iterable[Objective], entrants: int, tuned: int
) -> None:
    """Log how many evaluations a ranking takes, and how long they take at the least.

    Args:
        counts: ``budget``, ``trials``, ``starts``, ``held_out`` and ``seeds``.
        objectives: what to descend.
        entrants: how many optimizers.
        tuned: how many of them have something to tune.
    """
    dims = [f.dim for f in objectives]
    each = len(dims) * counts["seeds"] * counts["budget"]
    tuning = each * tuned * counts["trials"] * counts["starts"]
    scoring = each * entrants * counts["held_out"]
    seconds = (tuning + scoring) * (sum(dims) / len(dims) + 1) / RECORDED
    seconds += len(dims) * tuned * counts["seeds"] * STARTED
    log.info(
        "up to %s evaluations to tune and %s to score, roughly %s and compilation where one costs "
        "little", f"{tuning:,}", f"{scoring:,}", duration(seconds),
    )  # fmt: skip
