"""What do other processes cost and bring: Dask's workers, workers that are killed, a shared store?

    uv run python experiments/cluster_speed.py [--steps=4000] [--pairs=1]

sweeps 2²¹ descents of a 10-D Ackley function, a minute or so on two processors, and prints seconds:
in this process; on two workers of Dask with a processor each, warm; the same with a worker killed
every ten seconds; and in one and in two processes of one processor each on one store.
"""

import argparse
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import gdjax
from gdjax.cli.clusters import executor
from gdjax.cli.settings import Engine


def swept(store: Path, steps: int, **how: Any) -> float:
    """Seconds that the sweep takes into a new store."""
    began = time.perf_counter()
    found = gdjax.sweep(
        gdjax.objectives.get("ackley", dim=10), gdjax.heavy_ball, gdjax.starts.uniform(2**19),
        {"learning_rate": [0.01, 0.02], "momentum": [0.5, 0.9]}, steps=steps, stopping=False,
        chunk=2**16, store=store, **how,
    )  # fmt: skip
    assert found.attrs["complete"]
    return time.perf_counter() - began


def apart(store: Path, steps: int, processes: int) -> float:
    """Seconds until so many processes of one processor each have filled a store."""
    context = multiprocessing.get_context("spawn")
    began = time.perf_counter()
    every = [
        context.Process(target=swept, args=(store, steps), kwargs={"devices": 1})
        for _ in range(processes)
    ]
    for one in every:
        one.start()
    for one in every:
        one.join()
    return time.perf_counter() - began


def killing(pool: Any, over: threading.Event) -> None:
    """Kill a worker every ten seconds."""
    while not over.wait(10):
        pid = pool.submit(os.getpid).result()
        os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--pairs", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, steps = Path(name), chosen.steps
        swept(folder / "warm", 10)
        for pair in range(chosen.pairs):
            local = swept(folder / f"local{pair}", steps)
            with executor(Engine(kind="dask", address=None, workers=2)) as pool:
                swept(folder / f"first{pair}", 10, executor=pool)
                dask = swept(folder / f"dask{pair}", steps, executor=pool)
                over = threading.Event()
                threading.Thread(target=killing, args=(pool, over), daemon=True).start()
                killed = swept(folder / f"killed{pair}", steps, executor=pool)
                over.set()
            one, two = (apart(folder / f"{n}apart{pair}", steps, n) for n in (1, 2))
            print(f"this process, two processors     {local:6.1f} s")
            print(
                f"two workers of Dask              {dask:6.1f} s, {local / dask:.2f} of its speed"
            )
            print(f"the same, one killed every 10 s  {killed:6.1f} s, {killed / dask:.2f} times")
            print(f"one process of one processor     {one:6.1f} s")
            print(f"two of them on one store         {two:6.1f} s, {one / two:.2f} times as fast")


if __name__ == "__main__":
    main()
