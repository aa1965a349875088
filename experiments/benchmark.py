"""How fast is gdjax? Against NumPy, numba, optax, other libraries, and hand-written C.

    uv run --extra bench python experiments/benchmark.py [key=value ...]

``quick=true`` sees in seconds that everything runs; ``readme=true`` rewrites .github/BENCHMARK.md.
What can be set stands in ``benchmark.yaml`` beside it. The run's folder gets ``benchmark.md``,
``benchmark.parquet``, ``speed.png`` and ``growth.png``.
"""

import functools
import logging
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

# Else the threads of one implementation spin into the next.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import hydra
from benchmarks import (
    data,
    first_result,
    goals,
    gpu,
    growth,
    implementations,
    measure,
    nets,
    report,
    workloads,
)
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gdjax._sweep.runner import processors
from gdjax._util.errors import ArgumentError, unknown
from gdjax.cli.hydra_versions import BASE
from gdjax.cli.output_folder import remove_unused
from gdjax.plotting import style

ROOT = Path(__file__).resolve().parents[1]
log = logging.getLogger(__name__)


@hydra.main(config_path=str(ROOT / "experiments"), config_name="benchmark", **BASE)
def main(config: DictConfig) -> None:
    """Measure, and write down."""
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    if settings["quick"]:
        settings |= settings["small"]
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        run(settings, folder)
    except ArgumentError as error:
        remove_unused(folder)
        print(f"benchmark: {error}", file=sys.stderr)
        sys.exit(2)


def _log_here() -> None:
    logging.basicConfig(format="%(message)s")
    logging.getLogger("benchmarks").setLevel(logging.INFO)


def apart(function: Callable, *args: Any) -> Any:
    """Call a function in a process of its own, whose memory and threads nothing else has used."""
    with ProcessPoolExecutor(1, get_context("spawn"), _log_here) as pool:
        return pool.submit(function, *args).result()


def run(settings: dict[str, Any], folder: Path) -> None:
    """The whole benchmark, into a folder."""
    known = implementations.IMPLEMENTATIONS
    names = list(known) if settings["implementations"] == "all" else settings["implementations"]
    for name in names:
        if name not in known:
            raise unknown("implementation", name, known)
    every = [
        workloads.parse(word, dtype, keep)
        for dtype in settings["dtypes"]
        for keep in settings["keep"]
        for word in settings["workloads"]
    ]
    effort = measure.Effort(
        settings["rounds"], settings["seconds"], settings["path_bytes"],
        settings["devices"] or processors(),
    )  # fmt: skip
    machine = report.machine(effort.processors)
    log.info("%s", machine)
    log.info("goals")
    reached = apart(goals.alone, effort, settings["quick"])
    log.info("first results")
    first = first_result.first_results(**settings["first"], processors=effort.processors)
    log.info("data")
    over_data = apart(functools.partial(data.over_data, effort=effort, **settings["data"]))
    log.info("networks")
    chosen = settings["networks"]
    over_networks = apart(functools.partial(nets.over_networks, effort=effort, **chosen))
    if reason := apart(gpu.missing):
        log.info("GPU skipped: %s", reason)
        on_gpu, on_its_goals = [], gpu.skipped(reason)
    else:
        log.info("GPU")
        on_gpu, on_its_goals = apart(gpu.on_gpu, settings["gpu"], effort)
    log.info("growth")
    chosen = settings["growth"]
    devices = [k for k in chosen["devices"] if k <= effort.processors]
    found = on_gpu + apart(
        growth.growth, chosen["starts"], chosen["steps"], chosen["dimension"], devices, effort
    )
    for one in every:
        log.info("%s, %s, %s", one.label, one.dtype, one.keep)
        sizes = [(n, k) for n in settings["starts"] for k in settings["steps"]]
        cases = [measure.Case(one, n, k) for n, k in sizes]
        found += apart(measure.measure, cases, names, effort)
    reached = [*goals.compared(found), *reached, *on_its_goals]
    tables = (
        report.ratio_table(found),
        report.ratio_table(found, implementations.GDJAX_LAST),
        report.data_table(over_data),
        report.network_table(over_networks),
        report.first_table(first),
        report.goal_table(reached),
    )
    short = "\n".join([f"{machine}.\n", *tables])
    text = (
        f"# Benchmark\n\n{short}\n## Growth\n\n{report.growth_table(found)}\n## Implementations\n\n"
    )
    (folder / "benchmark.md").write_text(text + report.full_table(found))
    report.parquet(found, folder / "benchmark.parquet")
    style.save(report.speed_plot(found), folder / "speed.png")
    style.save(report.growth_plot(found), folder / "growth.png")
    if settings["readme"]:
        report.rewrite(ROOT / ".github" / "BENCHMARK.md", short)
    log.info("\n%s\n%s", short, folder)


if __name__ == "__main__":
    main()
