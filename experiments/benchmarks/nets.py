"""Networks over data: gdjax beside the bare scan of optax, which keeps the last point alone."""

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
from gdjax.objectives import Objective

from .data import LAST
from .measure import Effort, in_turn, timed

log = logging.getLogger(__name__)

RATE, MOMENTUM, NEAR = 0.05, 0.9, 0.01
# Parameters × rows × descents × steps of a call, and the bounds on its steps.
WORK, STEPS = 3e9, (10, 1000)
WIDE, FEW = 10_000, 64  # networks of more parameters are not descended from more starts
OPTIONS: dict[str, dict[str, int]] = {"digits_mlp-wide": {"hidden": 266, "rows": 256}}


class OverNetwork(NamedTuple):
    """One network at one size: seconds of a call, the first one and the median of later ones.

    Args:
        network: its name.
        dim: how many parameters.
        cells: how many descents.
        steps: of each.
        scan: the bare scan.
        summary: gdjax.
        last: gdjax, which keeps the last point and its value alone.
        first_scan, first: the first calls of the scan and of gdjax, compilation included.
        memory_scan, memory: bytes by which the process grew at most in a call of each.
    """

    network: str
    dim: int
    cells: int
    steps: int
    scan: float
    summary: float
    last: float
    first_scan: float
    first: float
    memory_scan: int
    memory: int


def over_networks(
    networks: Iterable[str], cells: Iterable[int], effort: Effort
) -> list[OverNetwork]:
    """All networks at all sizes, one after the other."""
    found, cells = [], list(cells)
    for name in networks:
        f = gdjax.objectives.get(name.partition("-")[0], **OPTIONS.get(name, {}))
        for count in cells:
            if f.dim <= WIDE or count <= FEW:
                found.append(_one(name, f, count, effort))
                log.info("  %-15s %6d parameters × %4d × %4d  scan %.4g s, gdjax %.4g s, "
                         "last point %.4g s", *found[-1][:7])  # fmt: skip
    return found


def bare_scan(f: Objective, steps: int) -> Callable[[Any], Any]:
    """What a reader of optax's documentation writes, parameters in their own structure."""
    optimizer = optax.sgd(RATE, MOMENTUM)
    data = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), f.args)

    def descent(start: Any) -> Any:
        def body(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
            point, state = carry
            updates, state = optimizer.update(jax.grad(f.fn)(point, *data), state, point)
            return (optax.apply_updates(point, updates), state), None

        (point, _), _ = jax.lax.scan(body, (start, optimizer.init(start)), length=steps)
        return point, f.fn(point, *data)

    batch = jax.jit(jax.vmap(descent))
    return lambda starts: jax.block_until_ready(batch(starts))


def _one(name: str, f: Objective, cells: int, effort: Effort) -> OverNetwork:
    rows = len(jax.tree.leaves(f.args)[0])
    steps = int(np.clip(WORK / (f.dim * rows * cells), *STEPS)) if f.dim <= WIDE else STEPS[0]
    spread = NEAR * np.random.default_rng(1).normal(size=(cells, f.dim))
    starts = (f.flat(f.start) + spread).astype(np.float32)
    ball = gdjax.heavy_ball(RATE, MOMENTUM)
    summary = functools.partial(gdjax.sweep, f, ball, starts, steps=steps,
                                devices=effort.processors)  # fmt: skip
    calls: dict[str, Callable[[], Any]] = {
        "scan": functools.partial(bare_scan(f, steps), jax.vmap(f.shaped)(jnp.asarray(starts))),
        "summary": summary,
        "last": functools.partial(summary, keep=LAST),
    }
    first = {key: timed(calls[key]) for key in ("scan", "summary")}
    found = in_turn(calls, effort.rounds)
    scan, whole, last = (statistics.median(seconds) for seconds, _ in found.values())
    return OverNetwork(name, f.dim, cells, steps, scan, whole, last, first["scan"],
                       first["summary"], found["scan"][1], found["summary"][1])  # fmt: skip
