"""How the jobs of a multirun are run: those that differ in numbers alone as one compiled batch."""

import contextlib
import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from omegaconf import OmegaConf

from gdjax._util.locks import locked
from gdjax.cli import batch, descents, jobs, numbers, rerun, settings
from gdjax.cli.batch import Batch, Job, Result
from gdjax.cli.hydra_versions import BasicLauncher, BasicSweeper
from gdjax.cli.output_folder import OutputFolder

log: logging.Logger = logging.getLogger(__name__)

SUBDIR = "${hydra.job.num}"  # the name of a job's folder, unless a user has another one

Kind = tuple[Batch, list[Job]]


class BatchLauncher(BasicLauncher):
    """Runs jobs of ``run`` and ``compare`` that differ in numbers alone as cells of one sweep.

    They share one folder: a store for each kind of them, and a row for each job. With
    ``folders=each`` every job has the folder that it would have alone. What is no such job runs
    after them, one by one, as Hydra's basic launcher does it; so do all where callbacks are to
    hear of each job, or folders have names of a user's own.
    """

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """What became of the jobs, in order."""
        setup_globals()
        config: Any = self.config
        as_given: Any = OmegaConf.to_container(config.hydra.sweep, resolve=False)
        own_names = as_given["subdir"] != SUBDIR
        if config.hydra.job.name not in batch.COMMANDS or config.hydra.callbacks or own_names:
            return super().launch(job_overrides, initial_job_idx)
        alone = [Job(n, tuple(words), {}) for n, words in enumerate(job_overrides, initial_job_idx)]
        kinds = [*self._kinds(alone)]
        returns: dict[int, JobReturn] = {}
        if kinds:
            folder = Path(config.hydra.sweep.dir)
            folder.mkdir(parents=True, exist_ok=True)
            config = config.copy()
            config.hydra.runtime.output_dir = str(folder)
            configure_log(config.hydra.job_logging, config.hydra.verbose)
            with locked(folder):
                returns |= _launched(kinds, folder)
        for job in alone:
            if job.number not in returns:
                (returns[job.number],) = super().launch([job.words], job.number)
        return [returns[job.number] for job in alone]

    def _kinds(self, jobs: Sequence[Job]) -> Iterator[Kind]:
        """The batches that jobs make, with these; jobs of a kind that makes none are left out."""
        found = defaultdict[Any, list[Job]](list)
        for job in jobs:
            if len(filter_overrides(job.words)) == len(job.words):  # none of them is Hydra's
                kept, own = numbers.split(job.words)
                found[kept, frozenset(own)].append(job._replace(numbers=own))
        for (kept, keys), several in found.items():
            template = self._batch(kept)
            if template and (unset := keys - template.decided - {"start", "steps"}):
                template = self._batch((*kept, *_words(several[0], unset)))
            if template is None:
                continue
            for some in batch.by_kind(several, template.free):
                fixed = _words(some[0], keys - template.free)
                one = self._batch((*kept, *fixed)) if fixed else template
                if one is not None:
                    yield one, some

    def _batch(self, words: Sequence[str]) -> Batch | None:
        """What jobs with these words share; None where each of them must run, or fail, alone."""
        context: Any = self.hydra_context
        config = context.config_loader.load_sweep_config(self.config, [*words])
        try:
            made = Batch(config.hydra.job.name, config)
        except Exception:  # each of them tells it
            return None
        return made if made.batched else None


def _words(job: Job, keys: Collection[str]) -> list[str]:
    """Those of a job's words that give these settings."""
    return [word for word in job.words if word.partition("=")[0] in keys]


def _launched(kinds: Sequence[Kind], folder: Path) -> Iterator[tuple[int, JobReturn]]:
    """Run batches, and leave what came out: in one folder, or in one for each job."""
    each = kinds[0][0].asked.folders == "each"
    table = jobs.Table(folder)
    if not kinds[0][0].asked.overwrite:
        for one, several in kinds:
            table.check_free(one.digest, several)
    count = sum(len(several) for _, several in kinds)
    log.info(f"Launching {count} job{'s' * (count > 1)} in {len(kinds)} "
             f"batch{'es' * (len(kinds) > 1)}")  # fmt: skip
    for one, several in kinds:
        for result in batch.results(one, several, folder, record=each):
            place = folder / str(result.job.number)
            if each:
                _leave(one, result, place)
            else:
                table.add(result.row | {"command": one.command, "config": one.digest})
            yield result.job.number, _returned(result, place)
    table.write()


def _leave(one: Batch, result: Result, folder: Path) -> None:
    """Make the folder that a job would have alone."""
    config = one.config.copy()
    for key, value in result.job.numbers.items():
        OmegaConf.update(config, key, value)
    if not one.asked.overwrite:
        rerun.check_free(folder, config)
    output = OutputFolder(folder, config.plot, rerun.text(one.command, config, folder, one.choices))
    if not result.row["failed"]:
        made = one.optimizers_of(result.job.numbers)
        labels = descents.labels(made)
        optimizers = {labels[key]: optimizer for key, optimizer in made.items()}
        paths = {labels[key]: path for key, path in result.paths.items()}
        asked = settings.read(one.command, OmegaConf.to_container(config, resolve=True))
        descents.finish(one.objective, optimizers, paths, asked, output)
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


class Sweeper(BasicSweeper):
    """Hydra's, but for configs that are composed only to see whether they can be.

    The launcher composes one of each kind before any of them runs.
    """

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose each, where the launcher does not."""
        recording: Any = self.launcher
        if not isinstance(getattr(recording, "launcher", recording), BatchLauncher):
            super().validate_batch_is_legal(batch)


@contextlib.contextmanager
def chosen() -> Iterator[None]:
    """A context in which both of them can be chosen.

    Hydra takes plug-ins from packages of a certain name alone, which would stand beside gdjax.
    """
    taken = Plugins.is_in_toplevel_plugins_module
    for one in (BatchLauncher, Sweeper):
        Plugins.instance().register(one)
    Plugins.is_in_toplevel_plugins_module = staticmethod(
        lambda clazz: clazz.startswith(f"{__name__}.") or taken(clazz)
    )
    try:
        yield
    finally:
        Plugins.is_in_toplevel_plugins_module = staticmethod(taken)
