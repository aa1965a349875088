"""The ``gdjax`` command: each a Hydra app, its errors in one line."""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import hydra
import jax
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from gdjax import objectives, optimizers
from gdjax._util import signals
from gdjax._util.errors import ArgumentError, check_known
from gdjax._util.files import cache_folder
from gdjax.cli.choices import check_choices, check_options, spelled_out, store_choices
from gdjax.cli.commands import COMMANDS, LISTS, find
from gdjax.cli.config import check_settings
from gdjax.cli.hydra_versions import BASE
from gdjax.cli.output_folder import OutputFolder, remove_unused
from gdjax.cli.refusals import refuse

REFUSED = (ArgumentError, HydraException, OmegaConfBaseException, OSError)


def main() -> None:
    """The ``gdjax`` command; Ctrl-C is left to the caller."""
    command, *words = sys.argv[1:]
    if completing := command in ("-sc", "--shell-completion"):
        command, words = _complete(), [command, *words]
    tracebacks = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    try:
        if command in LISTS:
            print(find(command)(words))
            return
        check_known("task", command, [*COMMANDS, *LISTS])
        _configure_jax()
        choices = store_choices(command)
        words = spelled_out(command, words)
        if not completing:
            check_options(words)
            check_choices(choices, words)
            with signals.exit_on_sigint(f"gdjax {command}"):  # its imports take a while
                find(command)
        os.environ["HYDRA_FULL_ERROR"] = "1"  # errors arrive here, to be told in one line
        sys.argv = ["gdjax", *words]
        app = hydra.main(config_path=str(_config_folder()), config_name=command, **BASE)
        signals.check()
        app(_job(command, tracebacks))()
    except REFUSED as error:
        if tracebacks:
            raise
        refuse(command, error)


def _job(command: str, tracebacks: bool) -> Callable[[DictConfig], None]:
    """A command as Hydra calls it: a bad call leaves no folder, the exit code says how it went."""

    def job(config: DictConfig) -> None:
        path = Path(HydraConfig.get().runtime.output_dir)
        try:
            check_settings(config)
            folder = OutputFolder(Path(os.path.relpath(path)), config.get("plot"))
            code = find(command)(config, folder)
        except KeyboardInterrupt:
            remove_unused(path)
            raise
        except REFUSED as error:
            remove_unused(path)
            if tracebacks:
                raise
            refuse(command, error)
        if code is None:  # it has only told what it would do
            remove_unused(path)
            return
        folder.config(config)
        if code:
            sys.exit(code)

    return job


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
