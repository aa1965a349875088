"""Jobs of a multirun that differ in numbers alone: cells of one compiled sweep, a row for each."""

import hashlib
import itertools
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from omegaconf import DictConfig, OmegaConf

from gdjax import optimizers
from gdjax._descent.outcomes import Outcome
from gdjax._descent.trajectory import Trajectory
from gdjax._sweep.engine import Sweep
from gdjax._sweep.outer import Plans, plans
from gdjax._sweep.plan import traced
from gdjax.cli import numbers, rerun, settings
from gdjax.cli.config import make_objective, make_optimizer, picked
from gdjax.cli.jobs import plain
from gdjax.cli.output_folder import file_name
from gdjax.cli.refusals import told
from gdjax.objectives import Objective
from gdjax.optimizers import Optimizer

ALIKE = 64  # cells that kernels are made for, so that one job has the bits that it has among many
STORES = "stores"

Numbers = Mapping[str, Any]  # of a job, by setting


class Job(NamedTuple):
    """A job of a batch.

    Args:
        number: among all jobs.
        words: its overrides.
        numbers: those of them that are numbers, by setting.
    """

    number: int
    words: tuple[str, ...]
    numbers: Numbers


class Batch:
    """What the jobs of one kind share.

    Args:
        command: whose jobs they are.
        config: of one of them, as Hydra composes it.

    Attributes:
        command: as given.
        config: the same without Hydra's own part.
        choices: what was chosen of each group.
        asked: its settings.
        objective: what they descend.
        optimizers: by label; of ``run`` the one without any.
        names: by label, hyperparameter → the settings that decide it, the first one given of them.
        free: settings of the config that may differ within the batch.
        digest: short name of the config.
    """

    def __init__(self, command: str, config: DictConfig):
        self.command, self.config = command, without_hydra(config)
        self.choices: Mapping[str, Any] = config.hydra.runtime.choices
        raw, resolved = (_plain(self.config, resolve) for resolve in (False, True))
        self.asked: Any = settings.read(command, resolved)
        self.objective: Objective = make_objective(self.asked)
        nodes = self.asked.optimizers if command == "compare" else {"": self.asked.optimizer}
        self.optimizers: dict[str, Optimizer] = {}
        self.names: dict[str, dict[str, tuple[str, ...]]] = {}
        for label, node in nodes.items():
            of = raw["optimizers"][label] if label else raw["optimizer"]
            place = f"optimizers.{label}" if label else "optimizer"
            self.optimizers[label] = make_optimizer(node, self.asked)
            self.names[label] = dict(numbers.decided_by(of, node, place))
        self.free: set[str] = {*self._free(raw)}
        left = {key: value for key, value in resolved.items() if key not in rerun.CALL}
        self.digest: str = hashlib.sha256(repr(left).encode()).hexdigest()[:10]

    def _free(self, raw: Mapping[str, Any]) -> Iterator[str]:
        fixed = numbers.mentioned(raw, raw.keys() - {"optimizer", "optimizers"})
        if self.asked.objective.get("maker") and self.asked.objective.get("domain") is None:
            fixed.add("start")  # it may decide where the objective is defined
        for label, optimizer in self.optimizers.items():
            inside = {*traced(optimizer)}
            fixed |= {
                key
                for name, keys in self.names[label].items()
                if name not in inside
                for key in keys
            }
        for key in {"start", "steps", *self.decided}:
            if not numbers.related(key, fixed):
                yield key

    @property
    def decided(self) -> set[str]:
        """The settings that decide a number of one of the optimizers."""
        every = (keys for names in self.names.values() for keys in names.values())
        return set(itertools.chain.from_iterable(every))

    @property
    def batched(self) -> bool:
        """Whether a sweep tells all that such a job does."""
        asked = self.asked
        if self.command == "compare" and (asked.mode != "paths" or asked.distance or asked.certify):
            return False
        at = jax.ShapeDtypeStruct((self.objective.dim,), jnp.float32)
        states = (jax.eval_shape(one.init, at) for one in self.optimizers.values())
        return not any(map(optimizers.has_eval_point, states))

    def asked_of(self, jobs: Sequence[Job], record: bool = False) -> dict[str, Plans]:
        """For each label the sweep whose cells are these jobs, which take equally many steps.

        Raises:
            ArgumentError: a number of one of them that is out of range.
        """
        given = _plain(self.config, True)
        if "steps" in jobs[0].numbers:
            given["steps"] = jobs[0].numbers["steps"]
        how = picked(settings.read(self.command, given), "gradient", "dtype", "steps")
        starts = np.stack([self._start(job.numbers) for job in jobs])
        made = {}
        for label, optimizer in self.optimizers.items():
            several = [self._own(label, job.numbers) for job in jobs]
            paired = {name: [float(own[name]) for own in several] for name in several[0]}
            made[label] = plans(
                self.objective, optimizer, starts, paired=paired, stopping=False,
                save_at="all" if record else None, **how,
            )  # fmt: skip
        return made

    def _start(self, job: Numbers) -> np.ndarray:
        start = job.get("start", self.asked.start)
        return np.asarray(self.objective.flat(self.objective.start if start is None else start))

    def optimizers_of(self, job: Numbers) -> dict[str, Optimizer]:
        """The optimizers by label, with the numbers of a job."""
        made = {}
        for label, optimizer in self.optimizers.items():
            own = self._own(label, job)
            made[label] = optimizer.replace(**own) if own else optimizer
        return made

    def _own(self, label: str, job: Numbers) -> dict[str, float]:
        """The hyperparameters of an optimizer that a job has of its own."""
        given = {k: job[k] for k in job.keys() & self.free}
        found = {}
        for name, keys in self.names[label].items():
            if key := next((key for key in keys if key in given), None):
                found[name] = given[key]
        return found


def without_hydra(config: DictConfig) -> DictConfig:
    """A composed config without Hydra's own part."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _plain(config: DictConfig, resolve: bool) -> dict[str, Any]:
    found: Any = OmegaConf.to_container(config, resolve=resolve)
    return found


def by_kind(jobs: Sequence[Job], free: set[str]) -> list[list[Job]]:
    """Jobs of one kind cut into those that can be one batch: they differ in free numbers only."""
    found: dict[Any, list[Job]] = defaultdict(list)
    for job in jobs:
        fixed = sorted((key, job.numbers[key]) for key in job.numbers.keys() - free)
        found[repr(fixed)].append(job)
    return [*found.values()]


class Result(NamedTuple):
    """What one job of a batch came to.

    Args:
        job: which.
        row: as ``job.json`` has it.
        paths: its trajectories by label, where they were recorded.
    """

    job: Job
    row: dict[str, Any]
    paths: dict[str, Trajectory]


def results(
    batch: Batch, jobs: Sequence[Job], folder: Path, record: bool = False
) -> Iterator[Result]:
    """What the jobs of a batch come to, those that are in its stores already included.

    A job that is refused, or fails, does so alone.

    Args:
        batch: what they share.
        jobs: in order.
        folder: of the whole multirun.
        record: whether paths are kept.
    """
    by_steps = defaultdict(list)
    for job in jobs:
        by_steps[job.numbers.get("steps")].append(job)
    for some in by_steps.values():
        good, bad = _sorted_out(batch, some)
        yield from bad
        if not good:
            continue
        began = time.perf_counter()
        try:
            found = {
                label: _computed(asked, folder / STORES / file_name(batch.objective.name))
                for label, asked in batch.asked_of(good, record).items()
            }
        except Exception as error:  # it is of no single job
            remark, code = told(batch.command, error, folder)
            yield from (_failed(job, remark, code) for job in good)
        else:
            yield from _told(batch, good, found, (time.perf_counter() - began) / len(good))


def _sorted_out(batch: Batch, jobs: Sequence[Job]) -> tuple[list[Job], list[Result]]:
    """The jobs that can be asked for, and those that are refused: by halves, as few are bad."""
    try:
        batch.asked_of(jobs)
    except Exception as error:
        if len(jobs) == 1:
            return [], [_failed(jobs[0], *told(batch.command, error))]
        middle = len(jobs) // 2
        halves = [_sorted_out(batch, half) for half in (jobs[:middle], jobs[middle:])]
        return [job for good, _ in halves for job in good], [
            one for _, bad in halves for one in bad
        ]
    return [*jobs], []


def _computed(asked: Plans, name: Path) -> xr.Dataset:
    sweep = Sweep(asked, in_memory=False, alike=ALIKE)
    return sweep.run(name.with_name(f"{name.name}-{sweep.digest}.zarr"))


def _failed(job: Job, remark: str, code: int) -> Result:
    return Result(job, _row(job, failed=remark, code=code), {})


def _told(
    batch: Batch, jobs: Sequence[Job], found: Mapping[str, xr.Dataset], seconds: float
) -> Iterator[Result]:
    columns = {
        label: {name: one[name].values for name in one.data_vars} for label, one in found.items()
    }
    for i, job in enumerate(jobs):
        at = {label: {n: x[i] for n, x in each.items()} for label, each in columns.items()}
        values = [float(one["final_value"]) for one in at.values()]
        outcomes = [str(Outcome(int(one["outcome"]))) for one in at.values()]
        row = _row(
            job,
            value=min(values, key=lambda value: (np.isnan(value), value)),
            outcome=", ".join(outcomes),
            seconds=round(seconds, 6),
        )
        paths = {
            label: Trajectory(
                batch.objective.shaped(one["points"]), one["values"], one["outcome"], one["minimum"]
            )
            for label, one in at.items()
            if "points" in one
        }
        yield Result(job, row, paths)


def _row(job: Job, **more: Any) -> dict[str, Any]:
    return {
        "number": job.number, "overrides": plain(job.words), "value": None, "outcome": "",
        "higher": False, "failed": "", "code": 0, "seconds": 0.0,
    } | more  # fmt: skip
