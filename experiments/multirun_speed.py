"""What does a job of a multirun cost, as a cell of a batch and launched one by one by Hydra?

    uv run python experiments/multirun_speed.py [--jobs=10000] [--basic=20]

runs ``gdjax run -m`` over learning rates and momenta both ways, in folders of its own, and prints
seconds, files and their ratio a job. What a process takes before its first job is taken off both.
"""

import argparse
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def launched(words: list[str]) -> tuple[float, int]:
    """Seconds that a call takes in a new folder, and how many files it leaves."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "gdjax.cli", "run", *words],
            cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        return seconds, sum(path.is_file() for path in Path(folder).rglob("*"))


def grid(jobs: int) -> list[str]:
    """Learning rates and momenta of about so many jobs."""
    side = math.isqrt(jobs)
    rates = f"learning_rate=range(0.001,{0.001 * (side + 0.5)},0.001)"
    return [rates, f"optimizer.momentum=range(0,{0.99 - 1e-6},{0.99 / side})"]


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--basic", type=int, default=20)
    chosen = parser.parse_args()
    launched(["plot=none"])  # what is compiled once is kept
    alone, files = launched(["plot=none"])
    side = math.isqrt(chosen.jobs)
    few = [f"optimizer.momentum=range(0,{0.99 - 1e-6},{0.99 / chosen.basic})"]
    rows = {
        "one run, no picture": (alone, files, 1),
        f"{side**2:,} jobs in one batch": (*launched(["-m", *grid(chosen.jobs)]), side**2),
        f"{chosen.basic} jobs, hydra/launcher=basic": (
            *launched(["-m", "hydra/launcher=basic", *few]), chosen.basic,
        ),
    }  # fmt: skip
    each = {}
    print(f"{'':32}{'seconds':>9}{'files':>7}{'ms a job':>10}")
    for name, (seconds, files, jobs) in rows.items():
        each[name] = max(seconds - alone, 1e-9) / jobs * 1000
        print(f"{name:32}{seconds:9.2f}{files:7}{each[name]:10.3f}")
    _, batch, basic = each.values()
    print(f"a job costs {basic / batch:,.0f} times less in a batch")


if __name__ == "__main__":
    main()
