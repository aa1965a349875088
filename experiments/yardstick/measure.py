"""Times, memory and answers of rows that do the same work."""

import ctypes
import functools
import gc
import logging
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .rows import DESCEND, ROWS, Row, Run
from .work import Work, reference

log = logging.getLogger(__name__)

# Shares of the domain's width after CHECK_STEPS, while rounding is all that tells rows apart: it
# grows by up to 2.5 a step on these landscapes, 1e4 in all.
TOLERANCE = {"float32": 1e-3, "float64": 1e-11}
CHECK_STEPS, CHECK_STARTS, CHECK_LOOP = 10, 1000, 20
FAR_STEPS, FAR_SHARE = 100, 0.02  # later only the shares of starts near each minimum agree


class Case(NamedTuple):
    """A work at one size."""

    work: Work
    starts: int
    steps: int


class Timing(NamedTuple):
    """One row on one case; times in seconds, of the whole case.

    Args:
        compile: from nothing to a first short call, less the time of a second one.
        steady: the median over the rounds.
        low, high: their quartiles.
        peak: bytes that the process grew by at most in a call, or −1 where that is not known.
        ran_starts, ran_steps: what was run; where it is less than the case, times are scaled.
        error: how far it was from the reference, as a share of the domain's width.
        same: whether it computed the same answer.
        reason: why it was skipped; empty if it was not.
        series: what it belongs to: ``rows``, or what grows.
        devices: how many processors it was given.
    """

    row: str
    work: str
    dtype: str
    keep: str
    starts: int
    steps: int
    compile: float = np.nan
    steady: float = np.nan
    low: float = np.nan
    high: float = np.nan
    peak: int = -1
    ran_starts: int = 0
    ran_steps: int = 0
    error: float = np.nan
    same: bool = False
    reason: str = ""
    series: str = "rows"
    devices: int = 0

    @property
    def rate(self) -> float:
        """Descent steps a second, over all starts."""
        return self.starts * self.steps / self.steady


class Effort(NamedTuple):
    """How much a measurement may cost.

    Args:
        rounds: how often every row is timed.
        seconds: for one call; slower rows get less work.
        path_bytes: the largest full path.
        processors: how many a row may use.
    """

    rounds: int
    seconds: float
    path_bytes: float
    processors: int


def measure(cases: Iterable[Case], names: Iterable[str], effort: Effort) -> list[Timing]:
    """Every row on every case of one work; the rows of a case are timed in turn, round by round."""
    cases = list(cases)
    work = cases[0].work
    ready, results = {}, []
    for name in names:
        row = ROWS[name]
        reason = row.missing(work)
        if name == DESCEND and not any(case.starts == 1 for case in cases):
            reason = "it takes one start"
        if not reason:
            try:
                ready[name] = _prepare(row, work, min(c.steps for c in cases), effort)
                continue
            except Exception as error:  # a rival that fails must not end the whole benchmark
                reason = f"{type(error).__name__}: {error}".splitlines()[0][:150]
        log.info("  %s skipped: %s", name, reason)
        results += [_blank(name, case)._replace(reason=reason) for case in cases]
    for case in cases:
        fitting = {k: v for k, v in ready.items() if k != DESCEND or case.starts == 1}
        results += _rounds(case, fitting, effort)
    return results


def _blank(name: str, case: Case) -> Timing:
    work = case.work
    return Timing(name, work.label, work.dtype, work.keep, case.starts, case.steps)


class _Ready(NamedTuple):
    run: Run
    compile: float
    error: float
    same: bool


def _prepare(row: Row, work: Work, steps: int, effort: Effort) -> _Ready:
    """Make a row, time what it compiles, and check its answer."""
    starts = work.starts(row.pilot)
    begin = time.perf_counter()
    run = row.make(work, effort.processors)
    run(starts, steps)
    first = time.perf_counter() - begin
    second = timed(run, starts, steps)
    return _Ready(run, max(first - second, 0.0), *check(run, row, work))


def check(run: Run, row: Row, work: Work) -> tuple[float, bool]:
    """How far a row's last points are from the reference, and whether they are the same answer."""
    starts = work.starts(CHECK_STARTS if row.pilot > 1 else CHECK_LOOP)
    near = np.asarray(run(starts, CHECK_STEPS)[0], float)
    width = work.objective.width
    error = float(np.max(np.abs(near - reference(work, starts, CHECK_STEPS)) / width))
    shares = []
    for points in (run(starts, FAR_STEPS)[0], reference(work, starts, FAR_STEPS)):
        gaps = np.abs(np.asarray(points)[:, None] - work.objective.known_minima) / width
        reached = np.where(gaps.max(2).min(1) < 0.05, gaps.max(2).argmin(1), -1)
        shares.append(np.bincount(reached + 1, minlength=gaps.shape[1] + 1) / len(starts))
    off = np.abs(shares[0] - shares[1]).max()
    return error, bool(error <= TOLERANCE[work.dtype] and off <= FAR_SHARE + 1 / len(starts))


def timed(run: Callable, *args: Any) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    run(*args)
    return time.perf_counter() - begin


def _rounds(case: Case, ready: dict[str, _Ready], effort: Effort) -> list[Timing]:
    jobs = {}
    for name, made in ready.items():
        starts, steps = fit(made.run, ROWS[name], case, effort)
        jobs[name] = functools.partial(made.run, case.work.starts(starts), steps)
    times = in_turn(jobs, effort.rounds)
    found = []
    for name, job in jobs.items():
        points, steps = job.args
        seconds, peak = times[name]
        scale = case.starts * case.steps / (len(points) * steps)
        low, middle, high = quartiles(seconds)
        made = ready[name]
        timing = _blank(name, case)._replace(
            compile=made.compile, steady=middle * scale, low=low * scale, high=high * scale,
            peak=peak, ran_starts=len(points), ran_steps=steps,
            error=made.error, same=made.same, devices=effort.processors,
        )  # fmt: skip
        found.append(timing)
        log.info(
            "  %-20s %10.4g s  %8.4g M steps/s%s%s", name, timing.steady, timing.rate / 1e6,
            "" if scale == 1 else f"  (from {len(points)} starts × {steps} steps)",
            "" if made.same else "  ANOTHER ANSWER",
        )  # fmt: skip
    return found


def in_turn(
    jobs: Mapping[Any, Callable[[], Any]], rounds: int
) -> dict[Any, tuple[list[float], int]]:
    """Seconds of each job in every round, and the peak of its memory; all jobs once a round."""
    peaks = {}
    for key, job in jobs.items():
        job()  # whatever this size needs to compile
        with Peak() as peak:
            job()
        peaks[key] = peak.bytes
    seconds: dict[Any, list[float]] = {key: [] for key in jobs}
    for _ in range(rounds):
        for key, job in jobs.items():
            gc.collect()
            seconds[key].append(timed(job))
    return {key: (seconds[key], peaks[key]) for key in jobs}


def quartiles(seconds: list[float]) -> tuple[float, float, float]:
    """First quartile, median and third quartile."""
    if len(seconds) < 2:
        return seconds[0], seconds[0], seconds[0]
    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return low, middle, high


def fit(run: Run, row: Row, case: Case, effort: Effort) -> tuple[int, int]:
    """Starts and steps that a call has time and memory for."""
    most = case.starts
    if case.work.keep == "path":
        most = max(1, int(effort.path_bytes / (case.work.path_bytes * (case.steps + 1))))
        most = min(most, case.starts)
    pilot = min(most, row.pilot) if row.fewer == "starts" else most
    steps = case.steps if row.fewer == "starts" else min(2, case.steps)
    if row.pilot == 1:
        steps = min(100, steps)
    points = case.work.starts(pilot)
    run(points, steps)
    share = row.patience * effort.seconds / (timed(run, points, steps) / (pilot * steps))
    if row.fewer == "steps":
        return most, int(np.clip(share / most, min(2, case.steps), case.steps))
    return int(np.clip(share / case.steps, pilot, most)), case.steps


class Peak:
    """How much the process grew at most within a ``with`` block, in bytes; −1 if unknown."""

    def __enter__(self) -> "Peak":
        self.bytes, self._known = -1, True
        try:
            gc.collect()
            _give_back()
            Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
            self._before = _status("VmRSS")
        except OSError:
            self._known = False
        return self

    def __exit__(self, *exception: object) -> None:
        if self._known:
            self.bytes = max(_status("VmHWM") - self._before, 0)


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))


def _give_back() -> None:
    """Hand freed memory back to the system, where the C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
