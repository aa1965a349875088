"""Batches of the jobs of a multirun: which there are, and what is left of them."""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from omegaconf import DictConfig

from gdjax.cli import clusters, jobs, numbers, rerun
from gdjax.cli.batch import Batch, Job, Launch, Result
from gdjax.cli.checks import Checks
from gdjax.cli.output_folder import OutputFolder
from gdjax.cli.swept import Cells

log: logging.Logger = logging.getLogger(__name__)

Kind = tuple[Batch, list[Job]]
Composed = Callable[[Sequence[str]], DictConfig]


def kinds(words: Mapping[int, tuple[str, ...]], composed: Composed) -> Iterator[Kind]:
    """The batches that jobs make, with these; jobs of a kind that makes none are left out.

    Args:
        words: of each job, by its number.
        composed: words → the config that Hydra composes of them.
    """
    found = defaultdict[Any, list[Job]](list)
    for number, own in words.items():
        if len(filter_overrides(own)) == len(own):  # none of them is Hydra's
            kept, given = numbers.split(own)
            found[kept, frozenset(given)].append(Job(number, own, given))
    for (kept, keys), several in found.items():
        template = _batch(composed(kept))
        if template and (unset := keys - {*template.decided}):
            template = _batch(composed((*kept, *_words(several[0], unset))))
        if template is None:
            continue
        free = {*template.free}
        for some in _by_kind(several, free):
            fixed = _words(some[0], keys - free)
            one = _batch(composed((*kept, *fixed))) if fixed else template
            if one is not None:
                yield one, some


def _batch(config: DictConfig) -> Batch | None:
    """What jobs of this config share; None where each of them must run, or fail, alone."""
    try:
        command = config.hydra.job.name
        made = (Checks if command == "check" else Cells)(command, config)
        return made if made.batched else None
    except Exception:  # each of them tells it
        return None


def _by_kind(jobs: Sequence[Job], free: set[str]) -> list[list[Job]]:
    """Jobs of one kind cut into those that can be one batch: they differ in free numbers only."""
    found: dict[Any, list[Job]] = defaultdict(list)
    for job in jobs:
        fixed = sorted((key, job.numbers[key]) for key in job.numbers.keys() - free)
        found[repr(fixed)].append(job)
    return [*found.values()]


def _words(job: Job, keys: Collection[str]) -> list[str]:
    """Those of a job's words that give these settings."""
    return [word for word in job.words if word.partition("=")[0] in keys]


def launched(kinds: Sequence[Kind], folder: Path) -> Iterator[tuple[int, JobReturn]]:
    """Run batches, and leave what came out: in one folder, or in one for each job."""
    each = kinds[0][0].asked.folders == "each"
    table = jobs.Table(folder)
    if not kinds[0][0].asked.overwrite:
        for one, several in kinds:
            table.check_free(one.digest, several)
    count = sum(len(several) for _, several in kinds)
    log.info(f"Launching {count} job{'s' * (count > 1)} in {len(kinds)} "
             f"batch{'es' * (len(kinds) > 1)}")  # fmt: skip
    with clusters.executor(getattr(kinds[0][0].asked, jobs.ENGINE, None)) as executor:
        launch = Launch(folder, each, executor)
        for one, several in kinds:
            known = {} if each or one.asked.overwrite else table.rows
            left = []
            for job in several:
                if job.number in known and one.stands(known[job.number]):
                    found = Result(job, known[job.number])
                    yield job.number, _returned(found, folder / str(job.number))
                else:
                    left.append(job)
            for result in one.results(left, launch):
                place = folder / str(result.job.number)
                if each:
                    _leave(one, result, place)
                else:
                    table.add(result.row | {"command": one.command, "config": one.digest})
                yield result.job.number, _returned(result, place)
    table.write()


def _leave(one: Batch, result: Result, folder: Path) -> None:
    """Make the folder that a job would have alone."""
    config = one.of(result.job)
    if not one.asked.overwrite:
        rerun.check_free(folder, config)
    output = OutputFolder(
        folder, config.get("plot"), rerun.text(one.command, config, folder, one.choices)
    )
    if not result.row["failed"]:
        one.leave(result, config, output)
    output.config()
    jobs.save(result.row, output)


def _returned(result: Result, folder: Path) -> JobReturn:
    """The same as Hydra's sweepers read it, with the folder that the job has, or would have."""
    row = result.row
    place: Any = SimpleNamespace(runtime=SimpleNamespace(output_dir=str(folder.absolute())))
    made = JobReturn(result.job.words, hydra_cfg=SimpleNamespace(hydra=place))  # pyright: ignore
    failed = row["failed"]
    made.status = JobStatus.FAILED if failed else JobStatus.COMPLETED
    made._return_value = jobs.JobFailed(failed, row["code"]) if failed else row["value"]
    return made
