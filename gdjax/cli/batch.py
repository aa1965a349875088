"""What the jobs of a batch share, and what each of them comes to."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from gdjax._descent.trajectory import Trajectory
from gdjax.cli import rerun, settings
from gdjax.cli.jobs import ENGINE, plain
from gdjax.cli.output_folder import OutputFolder

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


class Result(NamedTuple):
    """What one job of a batch came to.

    Args:
        job: which.
        row: as ``job.json`` has it.
        paths: its trajectories by label, where they were recorded.
    """

    job: Job
    row: dict[str, Any]
    paths: Mapping[str, Trajectory] = {}


class Launch(NamedTuple):
    """How jobs are launched.

    Args:
        folder: of the whole multirun.
        each: whether each job is to leave what it leaves alone.
        executor: whose workers compute; None for this process.
    """

    folder: Path
    each: bool
    executor: Executor | None


class Batch:
    """What the jobs of one kind share.

    Args:
        command: whose jobs they are.
        config: of one of them, as Hydra composes it.

    Attributes:
        command: as given.
        config: the same without Hydra's own part.
        resolved: its settings, none of which refers to another one.
        choices: what was chosen of each group.
        asked: its settings, checked.
        digest: short name of the config.
        free: settings of the config that may differ within the batch.
        decided: those of them that a job may lack.
    """

    free: Collection[str] = ()
    decided: Collection[str] = ()

    def __init__(self, command: str, config: DictConfig):
        self.command, self.config = command, without_hydra(config)
        self.choices: Mapping[str, Any] = config.hydra.runtime.choices
        self.resolved: dict[str, Any] = as_dict(self.config)
        self.asked: Any = settings.read(command, self.resolved)
        left = {k: v for k, v in self.resolved.items() if k not in (*rerun.CALL, ENGINE)}
        self.digest: str = hashlib.sha256(repr(left).encode()).hexdigest()[:10]

    @property
    def batched(self) -> bool:
        """Whether a batch does all that such a job does."""
        raise NotImplementedError

    def of(self, job: Job) -> DictConfig:
        """The config of a job."""
        config = self.config.copy()
        for key, value in job.numbers.items():
            OmegaConf.update(config, key, value)
        return config

    def stands(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of such a job says all that it would come to again."""
        del row
        return False

    def results(self, jobs: Sequence[Job], launch: Launch) -> Iterator[Result]:
        """What jobs come to; one that is refused, or fails, does so alone.

        Args:
            jobs: in order.
            launch: how they are launched.
        """
        raise NotImplementedError

    def leave(self, result: Result, config: DictConfig, output: OutputFolder) -> None:
        """Leave what a job that did not fail leaves alone, besides its config and its row."""


def without_hydra(config: DictConfig) -> DictConfig:
    """A composed config without Hydra's own part."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def as_dict(config: DictConfig, resolve: bool = True) -> dict[str, Any]:
    """A config as a dict, in which settings that refer to others have their values by default."""
    found: Any = OmegaConf.to_container(config, resolve=resolve)
    return found


def failed(job: Job, remark: str, code: int) -> Result:
    """What a job comes to that was refused, or failed."""
    return Result(job, row(job, failed=remark, code=code))


def row(job: Job, **more: Any) -> dict[str, Any]:
    """What a job comes to, as ``job.json`` has it."""
    return {
        "number": job.number, "overrides": plain(job.words), "value": None, "outcome": "",
        "higher": False, "failed": "", "code": 0, "seconds": 0.0,
    } | more  # fmt: skip
