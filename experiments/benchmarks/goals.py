"""What gdjax is meant to reach, as ratios within one run: wanted, measured, met or not."""

import ctypes
import functools
import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

import gdjax

from . import implementations
from .measure import Effort, Timing, in_turn, timed
from .workloads import MOMENTUM, PERIODIC, Workload

# To the reference in C: 0.6 of it; 0.3 elsewhere.
CLOSE = ("qfsp 2-D", "rastrigin 10-D", "rosenbrock 2-D")


class Goal(NamedTuple):
    """One goal.

    Args:
        text: what is compared.
        wanted: the bound.
        measured: the ratio; NaN where it was not measured.
        least: whether the bound is a lower one.
        note: how it was measured, or why it was not.
    """

    text: str
    wanted: float
    measured: float
    least: bool = True
    note: str = ""

    @property
    def met(self) -> str:
        """In a word."""
        if math.isnan(self.measured):
            return "not measured"
        good = self.measured >= self.wanted if self.least else self.measured <= self.wanted
        return "yes" if good else "no"


def alone(effort: Effort, quick: bool) -> list[Goal]:
    """The goals measured for themselves: before the implementations, whose threads linger."""
    return [*one_start(effort), *stopping(effort, quick), full_paths(effort)]


def compared(found: Sequence[Timing]) -> list[Goal]:
    """The goals that other measurements decide."""
    return [*against_others(found), *growing(found)]


def of_the_goals(found: Sequence[Timing]) -> list[Timing]:
    """The measurements on the largest summary sweep of up to 10⁶ × 100 in float32."""
    chosen = [t for t in found if t.series == "implementations" and t.keep == "summary"
              and t.dtype == "float32" and t.starts <= 10**6 and t.steps <= 100]  # fmt: skip
    size = max(((t.starts, t.steps) for t in chosen), default=())
    return [t for t in chosen if (t.starts, t.steps) == size]


def against_others(found: Sequence[Timing]) -> list[Goal]:
    """The reference in C, and the rivals."""
    chosen = of_the_goals(found)
    if not chosen:
        return []
    where = f"{chosen[0].starts:,} starts × {chosen[0].steps} steps"
    made = []
    for label in dict.fromkeys(t.workload for t in chosen):
        rates = {t.implementation: t.rate for t in chosen if t.workload == label and not t.reason}
        reasons = {t.implementation: t.reason for t in chosen if t.workload == label and t.reason}
        own = rates.get(implementations.GDJAX, math.nan)
        in_c = rates.get(implementations.C_REFERENCE, math.nan)
        made.append(Goal(f"{label}: of the C reference", 0.6 if label in CLOSE else 0.3, own / in_c,
                         note=reasons.get(implementations.C_REFERENCE, where)))  # fmt: skip
        made += _like_for_like(label, rates)
    return made


def _like_for_like(label: str, rates: Mapping[str, float]) -> list[Goal]:
    """gdjax that keeps the last point and its value, as C without summary and all rivals do."""
    name, kept = label.split()[0], f"{label}, last point"
    own = rates.get(implementations.GDJAX_LAST, math.nan)
    rivals = {name: rates[name] for name in implementations.RIVALS if name in rates}
    best = max(rivals, key=lambda name: rivals[name], default="")
    made = [
        Goal(f"{kept}: of C without summary", 0.8 if name in PERIODIC else 0.6,
             own / rates.get(implementations.BARE_C_REFERENCE, math.nan)),
        Goal(f"{kept}: times the best rival", 8 if name in PERIODIC else 2,
             own / rivals[best] if best else math.nan, note=best),
    ]  # fmt: skip
    if name in ("qfsp", "ackley"):
        scan = rates.get(implementations.SCAN, math.nan)
        made.append(Goal(f"{kept}: times the bare scan", 16, own / scan))
    return made


def growing(found: Sequence[Timing]) -> list[Goal]:
    """Devices, and cost against starts and steps."""
    series = {name: [t for t in found if t.series == name]
              for name in ("devices", "starts", "steps")}  # fmt: skip
    times = {t.devices: t.steady for t in series["devices"]}
    made = [Goal("two devices: times one", 1.8, times.get(1, math.nan) / times.get(2, math.nan),
                 note="" if {1, 2} <= times.keys() else "one processor")]  # fmt: skip
    for name in ("starts", "steps"):
        line = sorted(series[name], key=lambda t: getattr(t, name))
        growths = [
            b.steady / a.steady / (getattr(b, name) / getattr(a, name))
            for a, b in itertools.pairwise(line)
        ]
        if growths:
            span = f"{getattr(line[0], name):,} … {getattr(line[-1], name):,}"
            made.append(Goal(f"cost over {name}, the steepest growth over linear", 1.15,
                             max(growths), least=False, note=span))  # fmt: skip
            made.append(Goal(f"cost over {name}, the last growth over linear", 0.85, growths[-1],
                             note=span))  # fmt: skip
    line = sorted(series["steps"], key=lambda t: t.steps)
    if line and line[0].peak >= 0:
        # A page or two come and go: what counts is what 1 MB would not hide.
        low, high = (max(t.peak, 2**20) for t in (line[0], line[-1]))
        note = f"{line[-1].steps:,} against {line[0].steps} steps"
        made.append(Goal("memory of summaries, most steps over fewest", 1.1, high / low,
                         least=False, note=note))  # fmt: skip
    return made


def one_start(effort: Effort) -> list[Goal]:
    """One descent of 1,000 steps with its path, compiled before."""
    workload, steps = Workload("qfsp", 2, "float32", "path"), 1000
    f, ball = workload.objective, gdjax.heavy_ball(workload.learning_rate, MOMENTUM)
    start = workload.starts(1)
    scan = jax.jit(implementations.bare_scan(workload), static_argnums=1)
    loop = implementations.IMPLEMENTATIONS[implementations.NUMPY_LOOP].make(workload, 1)
    one = jax.device_put(start[0])
    calls = {
        "descend": lambda: jax.block_until_ready(gdjax.descend(f, ball, start[0], steps)),
        "scan": lambda: jax.block_until_ready(scan(one, steps)),
        "loop": lambda: loop(start, steps),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    with jax.enable_x64(False):
        for turn in range(10 * effort.rounds + 1):
            for name, call in calls.items():
                times = [timed(call) for _ in range(1 if name == "loop" else 20)]
                if turn:  # the first one compiles
                    seconds[name].append(statistics.median(times))
    middle = {name: statistics.median(times) for name, times in seconds.items()}
    note = f"{middle['descend'] * 1e6:.0f} µs"
    return [
        Goal("one start × 1,000 steps, warm: time over the bare jitted scan", 1.5,
             middle["descend"] / middle["scan"], least=False, note=note),
        Goal("one start × 1,000 steps, warm: times the NumPy loop", 300,
             middle["loop"] / middle["descend"], note=note),
    ]  # fmt: skip


def stopping(effort: Effort, quick: bool) -> list[Goal]:
    """Half of the cells stop at once, against the same sweep in which none does."""
    number = 2**12 if quick else 2**20
    pits = Workload("rastrigin", 2, "float32", "summary")
    half = pits.starts(number)
    half[::2] = 0  # the global minimum
    ripple = Workload("qfsp", 2, "float32", "summary")
    sweep = functools.partial(gdjax.sweep, steps=200, dtype="float32",
                              devices=effort.processors)  # fmt: skip
    resting = functools.partial(
        sweep, pits.objective, gdjax.heavy_ball(pits.learning_rate, MOMENTUM), half
    )

    def rates(high: float) -> Callable[[], Any]:
        return functools.partial(
            sweep, ripple.objective, gdjax.heavy_ball, ripple.starts(number // 2),
            {"learning_rate": [ripple.learning_rate, high], "momentum": [MOMENTUM]},
        )  # fmt: skip

    calls = {
        "stop": functools.partial(resting, stopping=True),
        "no stop": functools.partial(resting, stopping=False),
        "lost": rates(1e4), "none lost": rates(0.9 * ripple.learning_rate),
    }  # fmt: skip
    found = in_turn(calls, effort.rounds)
    seconds = {key: statistics.median(times) for key, (times, _) in found.items()}
    size = f"{number:,} cells × 200 steps"
    return [
        Goal("half of the starts at a minimum: times the sweep without stopping", 1.7,
             seconds["no stop"] / seconds["stop"], note=f"rastrigin 2-D, {size}"),
        Goal("half of the learning rates lost at once: times the sweep where none is", 1.7,
             seconds["none lost"] / seconds["lost"], note=f"qfsp 2-D, {size}"),
    ]  # fmt: skip


def full_paths(effort: Effort) -> Goal:
    """Bytes of full paths a second, over those that all processors can write to fresh memory."""
    workload, steps = Workload("qfsp", 2, "float32", "path"), 100
    number = max(1, int(effort.path_bytes / (workload.path_bytes * (steps + 1))))
    size = number * workload.path_bytes * (steps + 1)
    ball = gdjax.heavy_ball(workload.learning_rate, MOMENTUM)
    calls = {
        "paths": functools.partial(
            gdjax.sweep, workload.objective, ball, workload.starts(number), steps=steps,
            save_at="all", dtype=workload.dtype, devices=effort.processors,
        ),
        "write": functools.partial(write, size, effort.processors),
    }  # fmt: skip
    found = in_turn(calls, effort.rounds)
    seconds = {key: statistics.median(times) for key, (times, _) in found.items()}
    return Goal("full paths: of the write bandwidth", 0.6, seconds["write"] / seconds["paths"],
                note=f"{size / 1e9:.2g} GB; bandwidth {size / seconds['write'] / 1e9:.3g} GB/s: "
                     f"{effort.processors} threads set as much fresh memory")  # fmt: skip


def write(size: int, threads: int) -> None:
    """Set that many bytes of memory that nobody has touched, a part in each thread."""
    memory = np.empty(size, np.uint8)
    part = -(-size // threads)

    def fill(first: int) -> None:
        ctypes.memset(memory.ctypes.data + first, 1, min(part, size - first))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, range(0, size, part)))
