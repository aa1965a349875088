"""The ``gdjax`` command: its tasks as Hydra apps, its errors in one line."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import hydra
import jax
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from gdjax import objectives, optimizers
from gdjax._util import signals
from gdjax._util.errors import ArgumentError, unknown
from gdjax.cli.choices import check_choices, spelled_out, store_choices
from gdjax.cli.hydra_versions import BASE
from gdjax.cli.jobs import TASKS, check_kinds
from gdjax.cli.usage import HELP, USAGE
from gdjax.optimizers import listing

LISTS = {"objectives": objectives, "optimizers": optimizers}


def main() -> None:
    """The ``gdjax`` command; Ctrl-C is left to the caller."""
    words = sys.argv[1:]
    if words[0] in ("-sc", "--shell-completion"):
        task = _complete()
    else:
        task, *words = words
    tracebacks = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    try:
        if task == "objectives":
            print(_catalogue(words))
            return
        if task == "optimizers":
            print(_listed(words))
            return
        if task not in TASKS:
            raise unknown("task", task, [*TASKS, *LISTS])
        _configure_jax()
        store_choices(task)
        words = spelled_out(task, words)
        check_choices(task, words)
        os.environ["HYDRA_FULL_ERROR"] = "1"  # errors arrive here, to be told in one line
        sys.argv = ["gdjax", *words]
        app = hydra.main(config_path=str(_config_folder()), config_name=task, **BASE)
        signals.check()
        app(_job(task, tracebacks))()
    except (ArgumentError, HydraException, OmegaConfBaseException, OSError) as error:
        if tracebacks:
            raise
        _refuse(task, error)


def _catalogue(words: list[str]) -> str:
    """The catalogue of objectives, or the one that is named."""
    if words and words[0] in HELP:
        return USAGE.rstrip()
    if len(words) > 1:
        raise ArgumentError(f"objectives takes one name or none, got {' '.join(words)}")
    return objectives.describe(words[0]) if words else str(objectives.table())


def _listed(words: list[str]) -> str:
    """All optimizers, or the one that is named."""
    if words and words[0] in HELP:
        return USAGE.rstrip()
    if len(words) > 1:
        raise ArgumentError(f"optimizers takes one name or none, got {' '.join(words)}")
    return listing.one(words[0]) if words else listing.every()


def _refuse(task: str, error: Exception) -> NoReturn:
    """Tell a bad call in one line, and leave with exit code 2."""
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        place = error.filename or "the outputs"
        error = ArgumentError(f"cannot write to {place}: {error.strerror or error}")
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        error = unknown(group, name, error.options)
    elif isinstance(error, OverrideParseException):
        error = _unreadable(error)
    elif task == "certify" and str(error).startswith("Multiple values for optimizer@"):
        error = ArgumentError(
            "a pair of your own replaces the one given: ~pair +optimizer@a=adam +optimizer@b=adamw"
        )
    # What lies behind an ArgumentError is told in it; Hydra's errors leave it to their cause.
    cause = None if isinstance(error, ArgumentError) else error.__cause__
    node = getattr(cause, "parent_node", None)
    if isinstance(cause, ConfigKeyError | ConfigAttributeError) and isinstance(node, DictConfig):
        error, cause = (
            _no_setting(str(cause.full_key), [str(k) for k in node if k != "hydra"]),
            None,
        )
    lines = [line.strip() for e in (error, cause) if e for line in str(e).splitlines()]
    message = "; ".join(dict.fromkeys(line.rstrip(".") for line in lines if line))
    print(f"gdjax {task}: {message}", file=sys.stderr)
    sys.exit(2)


def _unreadable(error: OverrideParseException) -> ArgumentError:
    """The error for a word that is no key=value; each version of Hydra frames it in its own way."""
    frame = ("Error ", "LexerNoViableAltException: ", "^", "See ")
    lines = [line.strip() for line in str(error).splitlines() if line]
    why = "; ".join(line for line in lines if not line.startswith(frame))
    return ArgumentError(f"cannot read {error.override} as key=value" + (why and f": {why}"))


def _no_setting(key: str, there: list[str]) -> ArgumentError:
    """The error for a setting that the config does not have, with how one is added."""
    where, _, last = key.rpartition(".")
    error = unknown(f"setting of {where}" if where else "setting", last, there, every="there are")
    if where == "optimizers":
        return ArgumentError(f"{error}; another optimizer is +optimizer@{key}=adam")
    if where == "hyperparameters":
        return ArgumentError(
            f"{last} is no axis yet; a new axis takes a plus: +hyperparameters.{last}=[0.1,0.2]"
        )
    return error


def _job(task: str, tracebacks: bool) -> Callable[[DictConfig], None]:
    """A task as Hydra calls it: a bad call leaves no folder, the exit code says how it went."""

    def job(config: DictConfig) -> None:
        folder = Path(HydraConfig.get().runtime.output_dir)
        try:
            check_kinds(config)
            code = TASKS[task](config, Path(os.path.relpath(folder)))
        except KeyboardInterrupt:
            _remove_unused(folder)
            raise
        except (ArgumentError, OmegaConfBaseException, OSError) as error:
            _remove_unused(folder)
            if tracebacks:
                raise
            _refuse(task, error)
        OmegaConf.save(config, folder / "config.yaml", resolve=True)
        if code:
            sys.exit(code)

    return job


def _remove_unused(folder: Path) -> None:
    """Take back the folders that Hydra made for a job that never began, while they are empty."""
    here = Path.cwd()
    while folder != here and folder.is_relative_to(here):
        plan = folder / "multirun.yaml"
        if plan.is_file() and len(list(folder.iterdir())) == 1:
            plan.unlink()
        try:
            folder.rmdir()
        except OSError:  # it holds something, and so do its parents
            return
        folder = folder.parent


def _config_folder() -> Path:
    """``conf``: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def _configure_jax() -> None:
    """Keep compiled programs between runs, in the user's cache folder."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(cache / "gdjax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _complete() -> str:
    """The task whose config Hydra is to complete; the task itself is completed here."""
    line = os.environ.get("COMP_LINE", "")
    _, *words = line.split() or [""]
    if "query=bash" not in sys.argv[2:]:
        return "run"
    if not words or (len(words) == 1 and not line.endswith(" ")):
        print(" ".join([*TASKS, *LISTS]))
        sys.exit(0)
    if words[0] in LISTS:
        print(" ".join(LISTS[words[0]].names()))
        sys.exit(0)
    os.environ["COMP_LINE"] = line.replace(f" {words[0]}", "", 1)
    return words[0]
