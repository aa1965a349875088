"""What becomes of each job: one that fails does so alone, whoever launches them."""

import contextlib
import json
import math
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, filter_overrides

from gdjax._util.errors import ArgumentError
from gdjax._util.files import whole
from gdjax._util.version import versions
from gdjax.cli.output_folder import OutputFolder


class Done(NamedTuple):
    """What a command hands back.

    Args:
        value: the number that came out, which a sweeper such as Optuna's optimises.
        code: the exit code: 0, or 1 where what was asked turns out to be wrong.
        remark: why it is not 0.
        higher: whether a higher number is better, not a lower one.
    """

    value: float | None
    code: int = 0
    remark: str = ""
    higher: bool = False


NAME = "job.json"
TABLE = "jobs.jsonl"
ENGINE = "engine"  # how settings begin that say who computes, and not what
PAUSE = 5.0  # seconds in which a killed process loses rows
MOST_TOLD = 20  # jobs that failed; all of them are in the table
FILES = ("rule", "args", "pullback", "loss", "init", "data", "metric", "run", "at", "path")
FILES_OF_OBJECTIVES = ("fn", "gradient", "residuals", "data")


def row(done: Done, seconds: float) -> dict[str, Any]:
    """What the job that runs came to."""
    return {
        "value": done.value,
        "higher": done.higher,
        "failed": done.remark,
        "code": done.code,
        "seconds": round(seconds, 4),
        "overrides": plain(HydraConfig.get().overrides.task),
        "versions": versions(),
    }


def save(row: Mapping[str, Any], folder: OutputFolder) -> None:
    """Leave what a job came to beside its results, if any."""
    with folder.file(NAME) as file:
        file.write_text(_json(row) + "\n", encoding="utf-8")


def _json(row: Mapping[str, Any]) -> str:
    value = row["value"]
    known = value is None or math.isfinite(value)
    return json.dumps({**row, "value": value if known else str(value)})


class Table:
    """The jobs that share one folder: a file with a row for each.

    Args:
        folder: theirs.

    Raises:
        ArgumentError: there is such a file, and it cannot be read.
    """

    def __init__(self, folder: Path):
        self.file = folder / TABLE
        self._left: float = time.monotonic()
        self.rows: dict[int, dict[str, Any]] = {row["number"]: row for row in rows_of(self.file)}

    def check_free(self, config: str, jobs: Iterable[tuple[int, Sequence[str], Any]]) -> None:
        """Refuse to replace rows of other jobs.

        Args:
            config: a digest of what the jobs share.
            jobs: the number and the words of each come first.

        Raises:
            ArgumentError: it says what differs.
        """
        for number, words, *_ in jobs:
            there = self.rows.get(number)
            if there and (there["overrides"], there["config"]) != (plain(words), config):
                is_there, here = " ".join(there["overrides"]), " ".join(plain(words))
                differs = f"is {is_there} there and {here} here" if is_there != here else (
                    "had other settings there")  # fmt: skip
                raise ArgumentError(
                    f"{self.file.parent} holds jobs of another multirun: job {number} {differs}; "
                    f"overwrite=true replaces them"
                )

    def add(self, row: dict[str, Any]) -> None:
        """Put in a row, in place of the one of its number; it may be left a while later."""
        self.rows[row["number"]] = row
        if time.monotonic() > self._left + PAUSE:
            self.write()

    def write(self) -> None:
        """Leave the file, if there are rows."""
        if self.rows:
            lines = [_json(row) for _, row in sorted(self.rows.items())]
            with whole(self.file) as partial:
                partial.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        self._left = time.monotonic()


def rows_of(file: Path) -> list[dict[str, Any]]:
    """The rows of jobs that a file holds; none if it is not there."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise ArgumentError(f"{file} holds no jobs: {error}") from None


def plain(overrides: Sequence[str]) -> list[str]:
    """Overrides that say what is done, without the quotes that only Hydra's grammar needs."""
    words = [word for word in filter_overrides(overrides) if not word.startswith(ENGINE)]
    return [re.sub(r'^([^=]+)="(.*)"$', r"\1=\2", word) for word in words]


def finished(folder: Path, settings: Mapping[str, Any]) -> Done | None:
    """What a job that was done before came to; None if it has to be done.

    Its folder is known to be of the same settings. What it read of files may have changed.

    Args:
        folder: of the job.
        settings: all of them.
    """
    try:
        row = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if not stands(row, settings):
            return None
        value = None if row["value"] is None else float(row["value"])
        return Done(value, row["code"], row["failed"], row["higher"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def stands(row: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether what a job of these settings came to would come out again; not if it read files."""
    objective = settings.get("objective") or {}
    files = [settings.get(key) for key in FILES] + [
        objective.get(key) for key in FILES_OF_OBJECTIVES
    ]
    return not any(files) and row["code"] == 0 and row.get("versions") == versions()


def left_nothing(folder: Path) -> bool:
    """Whether a folder is that of a job which failed, and so has no results."""
    try:
        return json.loads((folder / NAME).read_text(encoding="utf-8"))["value"] is None
    except (OSError, ValueError, LookupError, TypeError):
        return False


class JobFailed(Exception):  # noqa: N818  # it is no error of the call
    """A job of a multirun that failed, and has told so in its log.

    Args:
        told: what is wrong, in one line.
        code: the exit code that it would have alone.
    """

    def __init__(self, told: str, code: int) -> None:
        super().__init__(told, code)
        self.told = told
        self.code = code


class Job(NamedTuple):
    """One job of a multirun, once it is over.

    Args:
        number: among the jobs, from 0.
        overrides: what it has that the command alone would not.
        folder: where its files are.
        value: the number that came out; None if it failed.
        failed: why; an empty text if it did not.
        code: its exit code.
    """

    number: int
    overrides: tuple[str, ...]
    folder: Path
    value: float | None
    failed: str
    code: int


@contextlib.contextmanager
def each_alone(over: list[Job]) -> Iterator[None]:
    """A context in which launchers return what jobs came to, where Hydra's sweepers would raise.

    Sweepers raise the error of the first job that failed, before callbacks hear of the end and
    before further batches are launched. Callbacks hear of each failure; a sweeper gets a text in
    the place of a number, which Optuna's counts as a failed trial.

    Args:
        over: is given the jobs as they end.
    """
    instantiate = Plugins.instantiate_launcher

    def recording(self: Plugins, *args: Any, **kwargs: Any) -> Any:
        return _Recorder(instantiate(self, *args, **kwargs), over)

    Plugins.instantiate_launcher = recording
    try:
        yield
    finally:
        Plugins.instantiate_launcher = instantiate
        if "joblib.externals.loky" in sys.modules:  # its processes wait for more, minutes long
            from joblib.externals.loky import get_reusable_executor

            get_reusable_executor().shutdown()


class _Recorder:
    """A launcher that keeps what its jobs came to."""

    def __init__(self, launcher: Any, over: list[Job]) -> None:
        self.launcher = launcher
        self._over = over

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        returns = self.launcher.launch(job_overrides, initial_job_idx=initial_job_idx)
        for number, returned in enumerate(returns, initial_job_idx):
            job = _over(number, returned)
            self._over.append(job)
            if job.failed:
                returned.status, returned.return_value = JobStatus.COMPLETED, job.failed
        return returns


def _over(number: int, returned: JobReturn) -> Job:
    folder = Path(returned.hydra_cfg.hydra.runtime.output_dir)  # pyright: ignore  # it is set
    words = tuple(plain(returned.overrides or ()))
    if returned.status == JobStatus.COMPLETED:
        return Job(number, words, folder, returned.return_value, "", 0)
    error = returned._return_value  # the property prints, and raises it
    if isinstance(error, JobFailed):
        return Job(number, words, folder, None, error.told, error.code)
    return Job(number, words, folder, None, f"{type(error).__name__}: {error}", 1)


def varied(jobs: Sequence[Job]) -> list[list[str]]:
    """For each job the overrides that not all of them have.

    Example:
        >>> same = Path(), 1.0, "", 0
        >>> jobs = [Job(i, ("steps=3", f"optimizer={name}"), *same)
        ...         for i, name in enumerate(["adam", "sgd"])]
        >>> varied(jobs)
        [['optimizer=adam'], ['optimizer=sgd']]
    """
    common = set[str]().union(*(job.overrides for job in jobs)).intersection(
        *(job.overrides for job in jobs)
    )  # fmt: skip
    return [[word for word in job.overrides if word not in common] for job in jobs]


def told(jobs: Sequence[Job]) -> str:
    """Which jobs failed, by their overrides and with the reason; nothing if none did."""
    failed = [job for job in jobs if job.failed]
    if not failed:
        return ""
    words = dict(zip((job.number for job in jobs), varied(jobs), strict=True))
    lines = [f"{len(failed)} of {len(jobs)} jobs failed:"]
    if len(failed) > MOST_TOLD:
        lines[0] = f"{lines[0][:-1]}, the first of them:"
    for job in failed[:MOST_TOLD]:
        lines.append(
            f"  #{job.number} {' '.join(words[job.number] or job.overrides)}: {job.failed}"
        )
    return "\n".join(lines)


def folder_of(jobs: Sequence[Job]) -> Path:
    """The folder that holds those of all jobs."""
    return Path(os.path.relpath(os.path.commonpath([job.folder.parent for job in jobs])))


def exit_code(jobs: Sequence[Job]) -> int:
    """Of a multirun: 0, 1 where a job failed, 2 where all were refused."""
    codes = {job.code for job in jobs}
    return 2 if codes == {2} else int(codes != {0})
