"""Objectives that close over data: gdjax beside the bare scan, which keeps the last point alone."""

import functools
import logging
import statistics
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gdjax

from .measure import Effort, timed

log = logging.getLogger(__name__)

DIM, RATE = 5, 0.05
STEPS, FEW_STEPS, MUCH = 100, 10, 10**7  # fewer steps of so many descents times rows
LAST = "final_point", "final_value"


class OverData(NamedTuple):
    """One loss at one size: seconds of a call, the first one and the median of later ones.

    Args:
        loss: its name.
        cells: how many descents.
        rows: of the data.
        steps: of each descent.
        scan: the bare scan.
        summary: gdjax.
        last: gdjax, which keeps the last point and its value alone.
        first_scan, first: the first calls of the scan and of gdjax, compilation included.
    """

    loss: str
    cells: int
    rows: int
    steps: int
    scan: float
    summary: float
    last: float
    first_scan: float
    first: float


def loss(name: str, rows: int) -> Callable[[jax.Array], jax.Array]:
    """Mean loss over random rows that the function closes over: ``squares`` or ``logistic``."""
    random = np.random.default_rng(0)
    x, w = random.normal(size=(rows, DIM)), random.normal(size=DIM)
    y = x @ w + random.logistic(size=rows)
    if name == "squares":
        x, y = x.astype(np.float32), y.astype(np.float32)
        return lambda p: jnp.mean((x @ p - y) ** 2)
    x, y = x.astype(np.float32), (y > 0).astype(np.float32)
    return lambda p: jnp.mean(jnp.logaddexp(0.0, x @ p) - y * (x @ p))


def bare_scan(fn: Callable[[jax.Array], jax.Array], steps: int) -> Callable[[np.ndarray], Any]:
    """What a reader of optax's documentation writes."""
    optimizer = optax.sgd(RATE)

    def descent(start: jax.Array) -> jax.Array:
        def body(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
            point, state = carry
            updates, state = optimizer.update(jax.grad(fn)(point), state, point)
            return (optax.apply_updates(point, updates), state), None

        return jax.lax.scan(body, (start, optimizer.init(start)), length=steps)[0][0]

    batch = jax.jit(jax.vmap(descent))
    return lambda starts: np.asarray(batch(starts))


def over_data(losses: Iterable[str], cells: Iterable[int], rows: Iterable[int],
              effort: Effort) -> list[OverData]:  # fmt: skip
    """All losses at all sizes, one after the other."""
    rows, found = list(rows), []
    for name in losses:
        for count in cells:
            found += [_one(name, count, size, effort) for size in rows]
            for one in found[-len(rows) :]:
                log.info("  %-9s %4d × %7d × %3d  scan %.4g s, gdjax %.4g s, last point %.4g s",
                         *one[:7])  # fmt: skip
    return found


def _one(name: str, cells: int, rows: int, effort: Effort) -> OverData:
    fn, optimizer = loss(name, rows), optax.sgd(RATE)
    steps = STEPS if cells * rows <= MUCH else FEW_STEPS
    starts = np.random.default_rng(1).normal(size=(cells, DIM)).astype(np.float32)
    summary = functools.partial(gdjax.sweep, fn, optimizer, starts, steps=steps,
                                devices=effort.processors)  # fmt: skip
    calls = {
        "scan": functools.partial(bare_scan(fn, steps), starts),
        "summary": summary,
        "last": functools.partial(summary, keep=LAST),
    }
    first = {}
    for key in ("scan", "summary"):
        first[key] = timed(calls[key])
    calls["last"]()
    rounds = effort.rounds if steps == STEPS else 2
    times = [[timed(call) for call in calls.values()] for _ in range(rounds)]
    scan, whole, last = map(statistics.median, zip(*times, strict=True))
    return OverData(name, cells, rows, steps, scan, whole, last, first["scan"], first["summary"])
