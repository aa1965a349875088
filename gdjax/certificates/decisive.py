"""Which points decide about a derivative, whether they are enough, and where there may be more."""

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._compiler.interpreter import walk
from gdjax._inputs import default_dtype
from gdjax.certificates.problem import Problem
from gdjax.certificates.sampling import closer
from gdjax.certificates.verdict import Judgement

# Fewer points than three, or than one in a hundred, may be alive by chance alone, as the special
# ones are: the centre of a domain at whose other points everything is 0. Of a few that somebody
# gave, half are enough.
FEWEST, SHARE = 3, 0.01


def decides(judged: Judgement, mine: np.ndarray) -> np.ndarray:
    """Which points decide: those that are kept, and where not every derivative is 0, ``(n,)``.

    Where a function underflows or is saturated, every wrong factor agrees with the right one.
    """
    return judged.kept & ((mine != 0) | (judged.truth != 0)).any(axis=1)


def shortage(problem: Problem, judged: Judgement, mine: np.ndarray, is_steady: bool) -> str:
    """Why too few points decide, and what to do; empty where they are enough.

    Args:
        problem: what is certified.
        judged: what the estimates decide.
        mine: the derivative, ``(n, c)``.
        is_steady: whether the derivative may be 0 everywhere: a 0 then is what it should be.
    """
    found, n = decides(judged, mine), len(mine)
    if found.sum() >= min(max(FEWEST, SHARE * n), (n + 1) // 2):
        return ""
    flat = judged.kept & ~found
    if is_steady and flat.any():
        return ""
    left_out = {**judged.left_out, "where every derivative is 0": flat}
    why = ", ".join(
        f"{where.sum():,} {reason}" for reason, where in left_out.items() if where.any()
    )
    give = "domain= or around=" if problem.drawn else "points"
    return (
        f"{found.sum():,} of {n:,} points decide, {why}; give {give} where the function is "
        f"defined, smooth and not flat"
    )


def is_steady(problem: Problem) -> bool:
    """Whether autodiff's derivative does not depend on the point: that of a constant or a step."""
    point = jnp.zeros(problem.structure.size)
    with default_dtype("float64"):
        try:
            ways = [
                jax.make_jaxpr(problem.derivatives[key])(point) for key in ("reverse", "forward")
            ]
        except Exception:  # there is no such mode
            return False
    depends = lambda eqn, operands: [any(operands)] * len(eqn.outvars)  # noqa: E731
    return not any(any(walk(way, [True], depends, lambda value, at: False)) for way in ways)


def brought_closer(problem: Problem, seed: int) -> Problem:
    """The same problem with as many points more, drawn where the function may be alive."""
    more = closer(
        problem.centres, problem.width, problem.domain, problem.drawn,
        np.random.default_rng([seed, 1]),
    )  # fmt: skip
    return problem._replace(
        points=np.concatenate([more, problem.points]), drawn=problem.drawn + len(more)
    )


def where_alive(problem: Problem, found: np.ndarray) -> str:
    """Where the points are that decide, of a problem that was brought closer to its centres.

    Args:
        problem: with more points.
        found: which of them decide, ``(n,)``.
    """
    n = problem.drawn // 2
    old, new = found[n:], found[:n]
    points, centres = problem.points[:n][new], problem.centres
    said = (
        f"{old.sum():,} of {len(old):,} points decide, so {n:,} more were drawn closer to "
        f"{_few(centres)}"
    )
    if not len(points):
        return f"{said}: none of them does"
    apart = np.abs(points[:, None] - centres).max(axis=2)
    nearest = np.bincount(apart.argmin(axis=1)).argmax()
    reach = apart[:, nearest][apart.argmin(axis=1) == nearest].max()
    return (
        f"{said}: {len(points):,} of them do, most within {reach:.2g} of {_few(centres[[nearest]])}"
    )


def _few(points: np.ndarray) -> str:
    """The first of several points, in words."""
    numbers = ", ".join(f"{x:.4g}" for x in points[0, :6])
    dots = ", …" if points.shape[1] > 6 else ""
    return f"({numbers}{dots})" + f" and {len(points) - 1} other points" * (len(points) > 1)
