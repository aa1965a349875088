"""The command line: ``gdjax TASK [overrides]``, each task a Hydra app."""

import logging
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import hydra
import jax
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gdjax import objectives, optimizers, tasks
from gdjax.errors import ArgumentError, unknown

log = logging.getLogger(__name__)

USAGE = """usage: gdjax TASK [key=value ...]

tasks:
  run      one descent: its picture, its path as data, its outcome
  compare  several optimizers from one start, on one landscape
  check    certify a hand-derived gradient: is it right, and if not, where and how

gdjax objectives [NAME]    the catalogue, or all that is known about one objective
gdjax TASK --help          what can be chosen, and the defaults
gdjax TASK --cfg job       the config as it would run
gdjax TASK -m key=a,b,c    every combination, one after the other
eval "$(gdjax -sc install=bash)"   completion for this shell
"""


def main() -> None:
    """Entry point of the ``gdjax`` command."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return
    if words[0] in ("-sc", "--shell-completion"):
        task = _complete()
    else:
        task, *words = words
    tracebacks = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    try:
        if task == "objectives":
            print(_catalogue(words))
            return
        if task not in TASKS:
            raise unknown("task", task, [*TASKS, "objectives"])
        _configure_jax()
        _store_choices(task)
        _check_choices(task, words)
        os.environ["HYDRA_FULL_ERROR"] = "1"  # errors arrive here, to be told in one line
        sys.argv = ["gdjax", *words]
        app = hydra.main(version_base="1.3", config_path=str(_config_folder()), config_name=task)
        app(_job(task, tracebacks))()
    except (ArgumentError, HydraException, OmegaConfBaseException) as error:
        if tracebacks:
            raise
        _refuse(task, error)


def _catalogue(words: list[str]) -> str:
    """The catalogue of objectives, or the one that is named."""
    if words and words[0] in ("-h", "--help"):
        return USAGE.rstrip()
    if len(words) > 1:
        raise ArgumentError(f"objectives takes one name or none, got {' '.join(words)}")
    return objectives.describe(words[0]) if words else str(objectives.table())


def _refuse(task: str, error: Exception) -> NoReturn:
    """Tell a bad call in one line, and leave with exit code 2."""
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        error = unknown(group, name, error.options)
    lines = [line.strip() for e in (error, error.__cause__) if e for line in str(e).splitlines()]
    message = "; ".join(dict.fromkeys(line.rstrip(".") for line in lines if line))
    print(f"gdjax {task}: {message}", file=sys.stderr)
    sys.exit(2)


def _job(task: str, tracebacks: bool) -> Callable[[DictConfig], None]:
    """A task as Hydra calls it: a bad call leaves no folder, the exit code says how it went."""

    def job(config: DictConfig) -> None:
        folder = Path(HydraConfig.get().runtime.output_dir)
        try:
            code = TASKS[task](config, Path(os.path.relpath(folder)))
        except ArgumentError as error:
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


def _run(config: DictConfig, folder: Path) -> int:
    optimizer = _optimizer(config.optimizer)
    tasks.compare(_objective(config), {repr(optimizer): optimizer}, folder, **_options(config))
    return 0


def _compare(config: DictConfig, folder: Path) -> int:
    chosen: dict[str, Any] = {}
    for key, node in config.optimizers.items():
        optimizer = _optimizer(node)
        label = repr(optimizer)
        chosen[f"{label} [{key}]" if label in chosen else label] = optimizer
    tasks.compare(_objective(config), chosen, folder, distance=config.distance, **_options(config))
    return 0


def _check(config: DictConfig, folder: Path) -> int:
    names = objectives.names() if config.objective.name == "all" else [config.objective.name]
    chosen = [_objective(config)] if len(names) == 1 else [objectives.get(name) for name in names]
    keys = ("points", "seed", "precision", "hessian", "draw")
    reports = tasks.check(chosen, folder, **{key: config[key] for key in keys})
    wrong = [f"{report.kind} of {report.name}" for report in reports if not report.ok]
    if len(reports) > 1:
        log.info("%d of %d are right", len(reports) - len(wrong), len(reports))
    if wrong:
        log.error("wrong: %s", ", ".join(wrong))
    return 1 if wrong else 0


TASKS = {"run": _run, "compare": _compare, "check": _check}


def _objective(config: DictConfig) -> objectives.Objective:
    return objectives.get(**_plain(config.objective))


def _optimizer(node: DictConfig) -> optimizers.Optimizer:
    return optimizers.get(**_plain(node))


def _options(config: DictConfig) -> dict[str, Any]:
    keys = ("start", "steps", "gradient", "precision")
    return {key: _plain(config)[key] for key in keys} | _plain(config.plot)


def _plain(node: DictConfig) -> dict[str, Any]:
    return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)  # type: ignore[return-value]


def _store_choices(task: str) -> None:
    """Make every registered objective and optimizer a config choice, with its parameters."""
    store = ConfigStore.instance()
    for name in objectives.names():
        store.store(name, {"name": name} | objectives.parameters(name), group="objective")
    if task == "check":
        store.store("all", {"name": "all"}, group="objective")
    for name in optimizers.names():
        node: dict[str, Any] = {"name": name}
        for key, default in optimizers.parameters(name).items():
            if default is optimizers.REQUIRED:
                node[key] = "${learning_rate}" if key == "learning_rate" else "???"
            elif isinstance(default, bool | int | float | str | None):
                node[key] = default
        store.store(name, node, group="optimizer")


def _check_choices(task: str, words: list[str]) -> None:
    """Refuse an unknown objective or optimizer before Hydra makes a folder."""
    known = {"objective": {*objectives.names()}, "optimizer": {*optimizers.names()}}
    if task == "check":
        known["objective"].add("all")
    for word in words:
        if match := re.fullmatch(r"\+?(objective|optimizer)(?:@[\w.]+)?=([\w,]+)", word):
            for name in match[2].split(","):
                if name not in known[match[1]]:
                    raise unknown(match[1], name, known[match[1]])


def _config_folder() -> Path:
    """``conf``: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
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
        print(" ".join([*TASKS, "objectives"]))
        sys.exit(0)
    if words[0] == "objectives":
        print(" ".join(objectives.names()))
        sys.exit(0)
    os.environ["COMP_LINE"] = line.replace(f" {words[0]}", "", 1)
    return words[0]


if __name__ == "__main__":
    main()
