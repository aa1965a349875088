"""The ``gdjax`` command: each a Hydra app, its errors in one line."""

import contextlib
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import hydra
import jax
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gdjax import objectives, optimizers
from gdjax._util import signals
from gdjax._util.errors import check_known
from gdjax._util.files import cache_folder
from gdjax.cli import settings
from gdjax.cli.choices import check_choices, check_options, spelled_out, store_choices
from gdjax.cli.commands import COMMANDS, LISTS, find
from gdjax.cli.hydra_versions import BASE, composed_once
from gdjax.cli.output_folder import OutputFolder, remove_unused
from gdjax.cli.refusals import REFUSED, not_composed, refuse

COMPLETION = ("-sc", "--shell-completion")


def main() -> None:
    """A command of the table, or a completion; signals are left to the caller."""
    command, *words = sys.argv[1:]
    if completing := command in COMPLETION:
        command, words = _complete(), [command, *words]
    logging.raiseExceptions = False  # a log that nobody reads on, as under head, ends nothing
    tracebacks = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    try:
        check_known("task", command, [*COMMANDS, *LISTS])
        _configure_jax()
        choices = store_choices(command)
        words = spelled_out(command, words)
        if not completing:
            check_options(words)
            check_choices(choices, words)
        os.environ["HYDRA_FULL_ERROR"] = "1"  # errors arrive here, to be told in one line
        sys.argv = ["gdjax", *words]
        app = hydra.main(config_path=str(_config_folder()), config_name=command, **BASE)
        job, running = _job(command, tracebacks)
        with composed_once(words), signals.before_end(_remove_folder_of_hydra):
            try:
                app(job)()
            except (*REFUSED, MemoryError):
                raise
            except Exception as error:
                if running or tracebacks:
                    raise
                raise not_composed(error) from error
    except Exception as error:
        if tracebacks or isinstance(error, BrokenPipeError):  # whoever read has read enough
            raise
        refuse(command, error)


def _job(command: str, tracebacks: bool) -> tuple[Callable[[DictConfig], None], list[Path]]:
    """A command as Hydra calls it, and the folder of the one that runs.

    A bad call leaves no folder, the exit code says how it went.
    """
    running: list[Path] = []

    def job(config: DictConfig) -> None:
        path = Path(HydraConfig.get().runtime.output_dir)
        running[:] = [path]
        try:
            asked = settings.read(command, OmegaConf.to_container(config, resolve=True))
            folder = OutputFolder(Path(os.path.relpath(path)), config.get("plot"), config)
            code = find(command)(asked, folder)
            if code is not None:  # it has not only told what it would do
                folder.config()
        except Exception as error:
            if tracebacks or isinstance(error, BrokenPipeError):
                raise
            refuse(command, error, Path(os.path.relpath(path)))
        finally:
            remove_unused(path)
        running.clear()
        if code:
            sys.exit(code)

    return job, running


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


def _complete() -> str:
    """The command whose config Hydra is to complete; its own name is completed here."""
    line = os.environ.get("COMP_LINE", "")
    _, *words = line.split() or [""]
    if "query=bash" not in sys.argv[2:]:
        return "run"
    if not words or (len(words) == 1 and not line.endswith(" ")):
        print(" ".join([*COMMANDS, *LISTS]))
        sys.exit(0)
    if words[0] in LISTS:
        named = {"objectives": objectives, "optimizers": optimizers}.get(words[0])
        print(" ".join(named.names()) if named else "")
        sys.exit(0)
    os.environ["COMP_LINE"] = line.replace(f" {words[0]}", "", 1)
    return words[0]
