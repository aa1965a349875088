"""Times, memory and answers of implementations that do the same workload."""

import contextlib
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

from .implementations import DESCEND, IMPLEMENTATIONS, Implementation, Run
from .workloads import Workload, reference

log = logging.getLogger(__name__)

# Shares of the domain's width after CHECK_STEPS, while rounding is all that tells implementations
# apart: it grows by up to 2.5 a step on these landscapes, 1e4 in all.
TOLERANCE = {"float32": 1e-3, "float64": 1e-11}
CHECK_STEPS, CHECK_STARTS, CHECK_LOOP = 10, 1000, 20
FAR_STEPS, FAR_SHARE = 100, 0.02  # later only the shares of starts near each minimum agree


class Case(NamedTuple):
    """A workload at one size."""

    workload: Workload
    starts: int
    steps: int


class Timing(NamedTuple):
    """One implementation on one case; times in seconds, of the whole case.

    Args:
        compile: from nothing to a first short call, less the time of a second one.
        steady: the median over the rounds.
        low, high: their quartiles.
        peak: bytes that the process grew by at most in a call, or −1 where that is not known.
        ran_starts, ran_steps: what was run; where it is less than the case, times are scaled.
        error: how far it was from the reference, as a share of the domain's width.
        same: whether it computed the same answer.
        reason: why it was skipped; empty if it was not.
        series: what it belongs to: ``implementations``, or what grows.
        devices: how many processors it was given.
    """

    implementation: str
    workload: str
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
    series: str = "implementations"
    devices: int = 0

    @property
    def rate(self) -> float:
        """Descent steps a second, over all starts."""
        return self.starts * self.steps / self.steady


class Effort(NamedTuple):
    """How much a measurement may cost.

    Args:
        rounds: how often every implementation is timed.
        seconds: for one call; slower implementations get less work.
        path_bytes: the largest full path.
        processors: how many an implementation may use.
    """

    rounds: int
    seconds: float
    path_bytes: float
    processors: int


def measure(cases: Iterable[Case], names: Iterable[str], effort: Effort) -> list[Timing]:
    """Every implementation on every case of one workload; all are timed in turn, round by round."""
    cases = list(cases)
    workload = cases[0].workload
    ready, results = {}, []
    for name in names:
        implementation = IMPLEMENTATIONS[name]
        reason = implementation.missing(workload)
        if name == DESCEND and not any(case.starts == 1 for case in cases):
            reason = "it takes one start"
        if not reason:
            try:
                ready[name] = _prepare(
                    implementation, workload, min(c.steps for c in cases), effort
                )
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
    workload = case.workload
    return Timing(name, workload.label, workload.dtype, workload.keep, case.starts, case.steps)


class _Ready(NamedTuple):
    run: Run
    compile: float
    error: float
    same: bool


def _prepare(
    implementation: Implementation, workload: Workload, steps: int, effort: Effort
) -> _Ready:
    """Make an implementation, time what it compiles, and check its answer."""
    starts = workload.starts(implementation.pilot)
    begin = time.perf_counter()
    run = implementation.make(workload, effort.processors)
    run(starts, steps)
    first = time.perf_counter() - begin
    second = timed(run, starts, steps)
    return _Ready(run, max(first - second, 0.0), *check(run, implementation, workload))


def check(run: Run, implementation: Implementation, workload: Workload) -> tuple[float, bool]:
    """How far its last points are from the reference, and whether they are the same answer."""
    starts = workload.starts(CHECK_STARTS if implementation.pilot > 1 else CHECK_LOOP)
    near = np.asarray(run(starts, CHECK_STEPS)[0], float)
    width = workload.objective.width
    error = float(np.max(np.abs(near - reference(workload, starts, CHECK_STEPS)) / width))
    shares = []
    for points in (run(starts, FAR_STEPS)[0], reference(workload, starts, FAR_STEPS)):
        gaps = np.abs(np.asarray(points)[:, None] - workload.objective.known_minima) / width
        reached = np.where(gaps.max(2).min(1) < 0.05, gaps.max(2).argmin(1), -1)
        shares.append(np.bincount(reached + 1, minlength=gaps.shape[1] + 1) / len(starts))
    off = np.abs(shares[0] - shares[1]).max()
    return error, bool(error <= TOLERANCE[workload.dtype] and off <= FAR_SHARE + 1 / len(starts))


def timed(run: Callable, *args: Any) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    run(*args)
    return time.perf_counter() - begin


def _rounds(case: Case, ready: dict[str, _Ready], effort: Effort) -> list[Timing]:
    jobs = {}
    for name, made in ready.items():
        starts, steps = fit(made.run, IMPLEMENTATIONS[name], case, effort)
        jobs[name] = functools.partial(made.run, case.workload.starts(starts), steps)
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


def fit(run: Run, implementation: Implementation, case: Case, effort: Effort) -> tuple[int, int]:
    """Starts and steps that a call has time and memory for."""
    most = case.starts
    if case.workload.keep == "path":
        most = max(1, int(effort.path_bytes / (case.workload.path_bytes * (case.steps + 1))))
        most = min(most, case.starts)
    pilot = min(most, implementation.pilot) if implementation.fewer == "starts" else most
    steps = case.steps if implementation.fewer == "starts" else min(2, case.steps)
    if implementation.pilot == 1:
        steps = min(100, steps)
    points = case.workload.starts(pilot)
    run(points, steps)
    share = implementation.patience * effort.seconds / (timed(run, points, steps) / (pilot * steps))
    if implementation.fewer == "steps":
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
    with contextlib.suppress(TypeError, AttributeError):  # Windows, macOS
        ctypes.CDLL(None).malloc_trim(0)
