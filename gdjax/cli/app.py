"""The ``gdjax`` command: each a Hydra app, its errors in one line."""

import contextlib
import datetime
import hashlib
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import jax
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gdjax._util import signals
from gdjax._util.errors import ArgumentError, check_known
from gdjax._util.files import cache_folder
from gdjax._util.locks import locked
from gdjax.cli import collect, completion, jobs, rerun, settings
from gdjax.cli.choices import check_choices, check_options, store_choices
from gdjax.cli.commands import COMMANDS, LISTS, find
from gdjax.cli.hydra_versions import BASE, composed_once, plugged, register_resolver
from gdjax.cli.launcher import BatchLauncher, Sweeper
from gdjax.cli.output_folder import OutputFolder, remove_unused
from gdjax.cli.refusals import REFUSED, not_composed, refuse, told
from gdjax.cli.spelling import spelled_out

log: logging.Logger = logging.getLogger(__name__)


def main() -> None:
    """A command of the table, or a completion; signals are left to the caller."""
    command, *words = sys.argv[1:]
    tracebacks = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    logging.raiseExceptions = False  # a log that nobody reads on, as under head, ends nothing
    try:
        if command in completion.OPTIONS:
            completion.complete(words, _called)
            return
        check_known("task", command, [*COMMANDS, *LISTS, "rerun"])
        if command == "rerun":
            command, words = rerun.called_again(words)
        choices = store_choices(command)
        words = spelled_out(command, words)
        check_options(words)
        check_choices(choices, words)
        over: list[jobs.Job] = []
        with (
            plugged(BatchLauncher, Sweeper),
            jobs.each_alone(over),
            signals.before_end(_remove_folder_of_hydra),
        ):
            _configure_jax()
            try:
                _called(command, rerun.from_saved(command, words, _config_folder()), tracebacks)
            except Exception:
                if not over or not all(job.failed for job in over):
                    raise  # else it is what a sweeper makes of the failure of all its jobs
        if len(over) > 1:
            with contextlib.suppress(ArgumentError):  # of jobs that only tell
                print(end=collect.collected(jobs.folder_of(over)))
        if over and (code := jobs.exit_code(over)):
            print(f"gdjax {command}: {jobs.told(over)}", file=sys.stderr)
            sys.exit(code)
    except Exception as error:
        if tracebacks or isinstance(error, BrokenPipeError):  # whoever read has read enough
            raise
        refuse(command, error)


def _called(command: str, words: list[str], tracebacks: bool = False) -> None:
    """Hydra, with the words of a call."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors arrive here, to be told in one line
    sys.argv = ["gdjax", *words]
    content = _content(words)
    register_resolver("content", lambda: content)
    app = hydra.main(config_path=str(_config_folder()), config_name=command, **BASE)
    job, running = _job(command, tracebacks)
    with composed_once(words):
        try:
            app(job)()
        except (*REFUSED, MemoryError):
            raise
        except Exception as error:
            if running or tracebacks:
                raise
            raise not_composed(error) from error


def _content(words: list[str]) -> str:
    """A name for what a multirun is asked for, so that the same call goes on with it.

    What other sweepers than gdjax's try is not said by the words, and may differ every time.
    """
    if any(word.startswith("hydra/sweeper=") for word in words):
        return f"{datetime.datetime.now():%Y-%m-%d_%H-%M-%S-%f}"
    how = "-m", "--multirun", "overwrite=", jobs.ENGINE
    asked = sorted(word for word in words if not word.startswith(how))
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:10]


def _job(command: str, tracebacks: bool) -> tuple[Callable[[DictConfig], float | None], list[Path]]:
    """A command as Hydra calls it, and the folder of the one that runs.

    Alone, a bad call leaves no folder, and the exit code says how it went. Among the jobs of a
    multirun one that fails raises ``JobFailed``, and it may run in a process of its own.
    """
    running: list[Path] = []

    def job(config: DictConfig) -> float | None:
        hydra_config = HydraConfig.get()
        path = Path(hydra_config.runtime.output_dir)
        folder = Path(os.path.relpath(path))
        alone = hydra_config.mode != RunMode.MULTIRUN
        running[:] = [path]
        _configure_jax()
        try:
            with locked(folder):
                if config.get("overwrite") is not True:
                    rerun.check_free(folder, config)
                done = (_done if alone else _done_or_told)(command, config, folder)
        except Exception as error:
            if isinstance(error, BrokenPipeError | jobs.JobFailed) or (alone and tracebacks):
                raise
            if alone:
                refuse(command, error, folder)
            raise jobs.JobFailed(*told(command, error)) from None
        finally:
            remove_unused(path)
        running.clear()
        if done and done.code:
            sys.exit(done.code)
        return done and done.value

    return job, running


def _done(command: str, config: DictConfig, folder: Path) -> jobs.Done | None:
    """What a command comes to, which leaves its config beside the results; None if it only told."""
    began = time.perf_counter()
    asked = settings.read(command, OmegaConf.to_container(config, resolve=True))
    output = OutputFolder(folder, config.get("plot"), _text(command, config, folder))
    done = find(command)(asked, output)
    if done is not None:  # it has not only told what it would do
        output.config()
        jobs.save(jobs.row(done, time.perf_counter() - began), output)
    return done


def _text(command: str, config: DictConfig, folder: Path) -> str:
    return rerun.text(command, config, folder, HydraConfig.get().runtime.choices)


def _done_or_told(command: str, config: DictConfig, folder: Path) -> jobs.Done | None:
    """The same of a job of a multirun, which leaves its config and the reason if it fails.

    Raises:
        JobFailed: it does.
    """
    began = time.perf_counter()
    try:
        resolved: Any = OmegaConf.to_container(config, resolve=True)
        if not config.get("overwrite") and (found := jobs.finished(folder, resolved)):
            log.info("%s is done already", folder)
            return found
        done = _done(command, config, folder)
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit):
            error = RuntimeError(f"the program ended itself, with {error.code!r}")
        remark, code = told(command, error, folder)
        log.error("%s", remark)
        done = jobs.Done(None, code, remark)
        with contextlib.suppress(Exception):  # a full disk, say: it is in the log
            output = OutputFolder(folder, config=_text(command, config, folder))
            output.config()
            jobs.save(jobs.row(done, time.perf_counter() - began), output)
    if done and done.code:
        raise jobs.JobFailed(done.remark, done.code)
    return done


def _remove_folder_of_hydra() -> None:
    """Take back the folder of the job that began last, if it is empty."""
    if HydraConfig.initialized():
        remove_unused(Path(HydraConfig.get().runtime.output_dir))


def _config_folder() -> Path:
    """``conf``: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def _configure_jax() -> None:
    """Keep compiled programs between runs, in the user's cache folder."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        with contextlib.suppress(OSError):
            jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
