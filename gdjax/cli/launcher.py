"""How the jobs of a multirun are run: those that differ in numbers alone as one compiled batch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, configure_log, setup_globals
from omegaconf import DictConfig, OmegaConf, read_write

from gdjax._util.locks import locked
from gdjax.cli.hydra_versions import BasicLauncher, BasicSweeper

COMMANDS = ("run", "compare", "check")  # whose jobs can be a batch
SUBDIR = "${hydra.job.num}"  # the name of a job's folder, unless a user has another one


class BatchLauncher(BasicLauncher):
    """Runs jobs that differ in numbers alone at once.

    Those of ``run`` and ``compare`` are cells of one sweep, those of ``check`` run several at a
    time. They share one folder: a store for each kind of descents, and a row for each job. With
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
        if config.hydra.job.name not in COMMANDS or config.hydra.callbacks or own_names:
            return super().launch(job_overrides, initial_job_idx)
        from gdjax.cli import batches  # what descents need takes long to import

        words = {n: tuple(own) for n, own in enumerate(job_overrides, initial_job_idx)}
        returns: dict[int, JobReturn] = {}
        if kinds := [*batches.kinds(words, self._composed)]:
            folder = Path(config.hydra.sweep.dir)
            folder.mkdir(parents=True, exist_ok=True)
            config = config.copy()
            with read_write(config.hydra.runtime):
                config.hydra.runtime.output_dir = str(folder)
            configure_log(config.hydra.job_logging, config.hydra.verbose)
            with locked(folder):
                returns |= batches.launched(kinds, folder)
        for number, own in words.items():
            if number not in returns:
                (returns[number],) = super().launch([own], number)
        return [returns[number] for number in words]

    def _composed(self, words: Sequence[str]) -> DictConfig:
        """The config of a job with these words."""
        context: Any = self.hydra_context
        return context.config_loader.load_sweep_config(self.config, [*words])


class Sweeper(BasicSweeper):
    """Hydra's, but for configs that are composed only to see whether they can be.

    The launcher composes one of each kind before any of them runs.
    """

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose each, where the launcher does not."""
        recording, config = self.launcher, self.config
        assert config is not None
        ours = isinstance(getattr(recording, "launcher", recording), BatchLauncher)
        if not ours or config.hydra.job.name not in COMMANDS:
            super().validate_batch_is_legal(batch)
