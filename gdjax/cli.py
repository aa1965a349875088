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
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from gdjax import objectives, optimizers, tasks
from gdjax.errors import ArgumentError, unknown
from gdjax.optimizers import listing

log = logging.getLogger(__name__)

USAGE = """usage: gdjax TASK [key=value ...]

tasks:
  run      one descent: its picture, its path as data, its outcome
  compare  several optimizers from one start, on one landscape
  check    certify a hand-derived gradient: is it right, and if not, where and how
  certify  certify two optimizers as one method, step by step, on every objective

gdjax optimizers           every optimizer, with its hyperparameters and their defaults
gdjax optimizers NAME      one of them in detail

gdjax objectives [NAME]    the catalogue, or all that is known about one objective
your own objective, in every task:
  fn=my_file.py:f domain=[[-5,5],[-5,5]]     a function in a file, or package.module:f; its
                                             gradient is objective.gradient=my_file.py:grad_f,
                                             or gradient=my_file.py:grad_f in check
  objective=formula objective.expression="x**2 + y**2 + 10*sin(x)*sin(y)"
  objective=curve_fit objective.data=points.csv objective.model="b1*(1 - exp(-b2*x))"

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
    if task == "optimizers":
        try:
            print(listing.one(words[0]) if words else listing.every())
        except ArgumentError as error:
            _refuse(task, error)
        return
    tracebacks = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    try:
        if task == "objectives":
            print(_catalogue(words))
            return
        if task not in TASKS:
            raise unknown("task", task, [*TASKS, "objectives"])
        _configure_jax()
        _store_choices(task)
        words = [_spelled_out(task, word) for word in words]
        if any(word.startswith("objective.fn=") for word in words):
            words = [word for word in words if word != "objective=function"]
            words.insert(0, "objective=function")
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
    # What lies behind an ArgumentError is told in it; Hydra's errors leave it to their cause.
    cause = None if isinstance(error, ArgumentError) else error.__cause__
    node = getattr(cause, "parent_node", None)
    if isinstance(cause, ConfigKeyError | ConfigAttributeError) and isinstance(node, DictConfig):
        key = str(cause.full_key)
        where, _, last = key.rpartition(".")
        error = unknown(f"setting of {where}" if where else "setting", last, map(str, node))
        error.args = (f"{error}; there are {', '.join(map(str, node))}",)
    lines = [line.strip() for e in (error, cause) if e for line in str(e).splitlines()]
    message = "; ".join(dict.fromkeys(line.rstrip(".") for line in lines if line))
    print(f"gdjax {task}: {message}", file=sys.stderr)
    sys.exit(2)


def _job(task: str, tracebacks: bool) -> Callable[[DictConfig], None]:
    """A task as Hydra calls it: a bad call leaves no folder, the exit code says how it went."""

    def job(config: DictConfig) -> None:
        folder = Path(HydraConfig.get().runtime.output_dir)
        try:
            code = TASKS[task](config, Path(os.path.relpath(folder)))
        except (ArgumentError, OmegaConfBaseException) as error:
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
    optimizer = _optimizer(config.optimizer, config)
    tasks.compare(_objective(config), {repr(optimizer): optimizer}, folder, **_options(config))
    return 0


def _compare(config: DictConfig, folder: Path) -> int:
    chosen: dict[str, Any] = {}
    for key, node in config.optimizers.items():
        optimizer = _optimizer(node, config)
        label = repr(optimizer)
        chosen[f"{label} [{key}]" if label in chosen else label] = optimizer
    extra = {"distance": config.distance, "certify": config.certify}
    tasks.compare(_objective(config), chosen, folder, **extra, **_options(config))
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


def _certify(config: DictConfig, folder: Path) -> int:
    del folder  # the log is all that a certificate leaves
    names = objectives.names() if config.objective.name == "all" else [config.objective.name]
    chosen = [_objective(config)] if len(names) == 1 else [objectives.get(name) for name in names]

    def pair(rate: float) -> tuple[optimizers.Optimizer, optimizers.Optimizer]:
        at = OmegaConf.merge(config, {"learning_rate": rate})
        return _optimizer(at.a, at), _optimizer(at.b, at)  # type: ignore[arg-type]

    keys = ("learning_rate", "starts", "steps", "seed", "precisions", "decaying")
    reports = tasks.certify(chosen, pair, **{key: _plain(config)[key] for key in keys})
    return 0 if all(report.same for report in reports) else 1


TASKS = {"run": _run, "compare": _compare, "check": _check, "certify": _certify}


def _objective(config: DictConfig) -> objectives.Objective:
    """The chosen objective: one of the catalogue by its name, or what a maker makes."""
    chosen = _plain(config.objective)
    if "maker" not in chosen:
        return objectives.get(chosen.pop("name"), **chosen)
    if chosen["start"] is None and config.get("start") is not None:
        chosen["start"] = _plain(config)["start"]
    if chosen["name"] is None:
        del chosen["name"]
    return objectives.get(chosen.pop("maker"), **chosen)


def _optimizer(node: DictConfig, config: DictConfig | None = None) -> optimizers.Optimizer:
    """An optimizer, after the transforms of the whole config and then those of its own."""
    plain: Any = OmegaConf.to_container(node, resolve=True)
    plain = {key: value for key, value in plain.items() if value != "???"}  # get() tells these
    transforms = (_plain(config.transforms) if config else {}) | plain.pop("transforms", {})
    return optimizers.get(**plain, transforms=transforms)


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
    for name in objectives.makers():
        node = {"maker": name}
        for key, default in objectives.parameters(name).items():
            node[key] = "???" if default is objectives.REQUIRED else default
        store.store(name, node, group="objective")
    if task in ("check", "certify"):
        store.store("all", {"name": "all"}, group="objective")
    kinds = {
        "optimizer": ("name", optimizers),
        "transform": ("name", optimizers.TRANSFORMS),
        "schedule": ("schedule", optimizers.schedules),
    }
    for group, (key, catalogue) in kinds.items():
        for name in catalogue.names():
            store.store(name, {key: name} | _settings(catalogue.parameters(name)), group=group)


def _settings(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as a config can show them; the others can still be added to it."""
    shown = {}
    for key, default in parameters.items():
        if default is optimizers.REQUIRED:
            shown[key] = "${learning_rate}" if key == "learning_rate" else "???"
        elif isinstance(default, bool | int | float | str | None):
            shown[key] = default
        elif type(default) is tuple:
            shown[key] = list(default)
    return shown


def _check_choices(task: str, words: list[str]) -> None:
    """Refuse an unknown choice before Hydra makes a folder."""
    known = {
        "objective": {*objectives.names(), *objectives.makers()},
        "optimizer": {*optimizers.names()},
        "transform": {*optimizers.TRANSFORMS.names()},
        "schedule": {*optimizers.schedules.names()},
    }
    if task in ("check", "certify"):
        known["objective"].add("all")
    for word in words:
        if match := re.fullmatch(rf"\+?({'|'.join(known)})(?:@[\w.]+)?=([\w,]+)", word):
            for name in match[2].split(","):
                if name not in known[match[1]]:
                    raise unknown(match[1], name, known[match[1]])


def _spelled_out(task: str, word: str) -> str:
    """A user's shorthand in full, and a formula or a path in the quotes that Hydra wants.

    ``fn=`` and ``domain=`` stand for ``objective.fn=`` and ``objective.domain=``; so do
    ``gradient=`` and ``start=`` in ``check``, which follows no side and starts nowhere.
    """
    key, equals, value = word.partition("=")
    if key in ("fn", "domain") or (task == "check" and key in ("gradient", "start")):
        key = f"objective.{key}"
    if key == "gradient" and ":" in value:
        raise ArgumentError(
            f"gradient is the side to follow, autodiff or hand; where the hand's is, "
            f"objective.gradient says: objective.gradient={value}"
        )
    formula = key in ("objective.expression", "objective.model")
    path = key in ("objective.fn", "objective.gradient", "objective.data") and "," not in value
    if (formula or path) and value and value[0] not in "\"'":
        value = value.replace('"', r"\"")
        value = f'"{value}"'
    return f"{key}{equals}{value}"


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
