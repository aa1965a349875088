"""Jobs of a multirun that differ in numbers alone: cells of one compiled sweep, a row for each."""

import itertools
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from omegaconf import DictConfig

from gdjax import optimizers
from gdjax._descent.outcomes import Outcome
from gdjax._descent.structured import over_vectors, points_of
from gdjax._descent.trajectory import Trajectory
from gdjax._sweep.engine import Sweep
from gdjax._sweep.outer import Plans, plans
from gdjax._sweep.plan import traced
from gdjax.cli import descents, numbers, settings
from gdjax.cli.batch import Batch, Job, Launch, Numbers, Result, as_dict, failed, row
from gdjax.cli.config import make_objective, make_optimizer, picked
from gdjax.cli.output_folder import OutputFolder, file_name
from gdjax.cli.refusals import told
from gdjax.objectives import Objective
from gdjax.optimizers import Optimizer

ALIKE = 64  # cells that kernels are made for, so that one job has the bits that it has among many
STORES = "stores"


class Cells(Batch):
    """What the jobs of one kind share, as ``Batch`` has it.

    Attributes:
        objective: what they descend.
        optimizers: by label; of ``run`` the one without any.
        names: by label, hyperparameter → the settings that decide it, the first one given of them.
    """

    def __init__(self, command: str, config: DictConfig):
        super().__init__(command, config)
        raw = as_dict(self.config, resolve=False)
        self.objective: Objective = make_objective(self.asked)
        nodes = self.asked.optimizers if command == "compare" else {"": self.asked.optimizer}
        self.optimizers: dict[str, Optimizer] = {}
        self.names: dict[str, dict[str, tuple[str, ...]]] = {}
        for label, node in nodes.items():
            of = raw["optimizers"][label] if label else raw["optimizer"]
            place = f"optimizers.{label}" if label else "optimizer"
            self.optimizers[label] = make_optimizer(node, self.asked)
            self.names[label] = dict(numbers.decided_by(of, node, place))
        every = (keys for names in self.names.values() for keys in names.values())
        self.decided = {"start", "steps", *itertools.chain.from_iterable(every)}
        self.free = {*self._free(raw)}

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
        for key in self.decided:
            if not numbers.related(key, fixed):
                yield key

    @property
    def batched(self) -> bool:
        """Whether a sweep tells all that such a job does."""
        asked = self.asked
        if self.command == "compare" and (asked.mode != "paths" or asked.distance or asked.certify):
            return False
        at = jax.ShapeDtypeStruct((self.objective.dim,), jnp.float32)
        every = self.optimizers.values()
        made = (over_vectors(one, points_of(one, self.objective)) for one in every)
        states = (jax.eval_shape(one.init, at) for one in made)
        return not any(map(optimizers.has_eval_point, states))

    def asked_of(self, jobs: Sequence[Job], record: bool = False) -> dict[str, Plans]:
        """For each label the sweep whose cells are these jobs, which take equally many steps.

        Raises:
            ArgumentError: a number of one of them that is out of range.
        """
        given = dict(self.resolved)
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

    def results(self, jobs: Sequence[Job], launch: Launch) -> Iterator[Result]:
        """What jobs come to, those that are in the stores already included."""
        by_steps = defaultdict(list)
        for job in jobs:
            by_steps[job.numbers.get("steps")].append(job)
        name = launch.folder / STORES / file_name(self.objective.name)
        for some in by_steps.values():
            good, bad = self._sorted_out(some)
            yield from bad
            if not good:
                continue
            began = time.perf_counter()
            try:
                found = {
                    label: _computed(asked, name, launch.executor)
                    for label, asked in self.asked_of(good, launch.each).items()
                }
            except Exception as error:  # it is of no single job
                remark, code = told(self.command, error, launch.folder)
                yield from (failed(job, remark, code) for job in good)
            else:
                yield from self._told(good, found, (time.perf_counter() - began) / len(good))

    def leave(self, result: Result, config: DictConfig, output: OutputFolder) -> None:
        """The paths of a job, its pictures and its summary."""
        made = self.optimizers_of(result.job.numbers)
        labels = descents.labels(made)
        asked = settings.read(self.command, as_dict(config))
        descents.finish(
            self.objective,
            {labels[key]: optimizer for key, optimizer in made.items()},
            {labels[key]: path for key, path in result.paths.items()},
            asked,
            output,
        )

    def _sorted_out(self, jobs: Sequence[Job]) -> tuple[list[Job], list[Result]]:
        """The jobs that can be asked for, and those that are refused: by halves, as few are bad."""
        try:
            self.asked_of(jobs)
        except Exception as error:
            if len(jobs) == 1:
                return [], [failed(jobs[0], *told(self.command, error))]
            middle = len(jobs) // 2
            halves = [self._sorted_out(half) for half in (jobs[:middle], jobs[middle:])]
            return [job for good, _ in halves for job in good], [
                one for _, bad in halves for one in bad
            ]
        return [*jobs], []

    def _told(
        self, jobs: Sequence[Job], found: Mapping[str, xr.Dataset], seconds: float
    ) -> Iterator[Result]:
        columns = {
            label: {name: one[name].values for name in one.data_vars}
            for label, one in found.items()
        }
        for i, job in enumerate(jobs):
            at = {label: {n: x[i] for n, x in each.items()} for label, each in columns.items()}
            values = [float(one["final_value"]) for one in at.values()]
            outcomes = [str(Outcome(int(one["outcome"]))) for one in at.values()]
            told = row(
                job,
                value=min(values, key=lambda value: (np.isnan(value), value)),
                outcome=", ".join(outcomes),
                seconds=round(seconds, 6),
            )
            paths = {
                label: Trajectory(
                    self.objective.shaped(one["points"]),
                    one["values"],
                    one["outcome"],
                    one["minimum"],
                )
                for label, one in at.items()
                if "points" in one
            }
            yield Result(job, told, paths)


def _computed(asked: Plans, name: Path, executor: Executor | None) -> xr.Dataset:
    sweep = Sweep(asked, in_memory=False, alike=ALIKE)
    store = name.with_name(f"{name.name}-{sweep.digest}.zarr")
    return sweep.run(store, executor=executor)
