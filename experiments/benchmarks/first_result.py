"""How long a person waits for the first result in a new process, cold and warm."""

import json
import logging
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .implementations import GDJAX, IMPLEMENTATIONS, SCAN
from .workloads import parse

log = logging.getLogger(__name__)

IMPORTS = {GDJAX: "import gdjax; gdjax.sweep", SCAN: "import jax, optax", "numba": "import numba"}
KEEPS = GDJAX, SCAN  # numba's own cache does not find functions that are made by functions
# What a process does: its imports are timed first, when it has loaded nothing else.
SCRIPT = """
import json, sys, time
name, word, starts, steps, processors, imports = json.loads(sys.argv[1])
times = [time.perf_counter()]
exec(imports)
times.append(time.perf_counter())
from benchmarks import implementations, workloads
workload = workloads.parse(word, "float32", "summary")
points = workload.starts(starts)
times.append(time.perf_counter())
implementations.IMPLEMENTATIONS[name].make(workload, processors)(points, steps)
times.append(time.perf_counter())
print(times[1] - times[0], times[3] - times[2])
"""


class FirstResult(NamedTuple):
    """What one implementation took in new processes: medians, in seconds.

    Args:
        importing: for its imports alone.
        seconds: from the points to the results, whatever is compiled included.
        state: ``cold``: nothing was kept; ``warm``: on disk is what an earlier process compiled.
        reason: why it was skipped; empty if it was not.
    """

    implementation: str
    workload: str
    starts: int
    steps: int
    state: str
    importing: float = math.nan
    seconds: float = math.nan
    reason: str = ""


def first_results(
    words: Sequence[str], starts: int, steps: int, rounds: int, processors: int
) -> list[FirstResult]:
    """gdjax, the bare scan and numba, in turn; each time a cold process and then a warm one."""
    found = []
    for word in words:
        workload = parse(word, "float32", "summary")
        reasons = {name: IMPLEMENTATIONS[name].missing(workload) for name in IMPORTS}
        times: dict[tuple[str, str], list[list[float]]] = {
            (name, state): []
            for name, reason in reasons.items() if not reason
            for state in ("cold", "warm") if state == "cold" or name in KEEPS
        }  # fmt: skip
        for _ in range(rounds):
            for name in dict.fromkeys(name for name, _ in times):
                with tempfile.TemporaryDirectory() as kept:
                    for state in (state for one, state in times if one == name):
                        asked = [name, word, starts, steps, processors, IMPORTS[name]]
                        times[name, state].append(_process(asked, Path(kept)))
        for (name, state), each in times.items():
            middle = map(statistics.median, zip(*each, strict=True))
            found.append(FirstResult(name, workload.label, starts, steps, state, *middle))
            log.info("  %-20s %-12s %s %.3g s", name, workload.label, state, found[-1].seconds)
        found += [
            FirstResult(name, workload.label, starts, steps, "cold", reason=reason)
            for name, reason in reasons.items() if reason
        ]  # fmt: skip
    return found


def _process(asked: list[Any], kept: Path) -> list[float]:
    """Seconds of the imports and of the result, in a process that keeps programs in a folder."""
    environment = os.environ | {
        "GDJAX_KERNEL_CACHE": str(kept / "kernels"),
        "JAX_COMPILATION_CACHE_DIR": str(kept / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else imports are compiled each time
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(asked)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [float(word) for word in done.stdout.split()]
