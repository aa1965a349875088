"""What can be chosen on the command line, and which options there are."""

import argparse
import re
from typing import Any, NoReturn

from hydra.core.config_store import ConfigStore

from gdjax import objectives, optimizers
from gdjax._util.errors import ArgumentError, check_known, unknown
from gdjax.cli import settings
from gdjax.cli.hydra_versions import REPLACE, register_resolver

# The options of Hydra's that an unknown one is likely to be meant for.
OPTIONS = (
    "--help", "--hydra-help", "--version", "--cfg", "--resolve", "--package", "--run", "--multirun",
    "--shell-completion", "--config-path", "--config-name", "--config-dir", "--info",
)  # fmt: skip
SHORT = ("-h", "-c", "-p", "-r", "-m", "-s", "-i")
MODES = ("--run", "-r", "--multirun", "-m", "--cfg", "-c", "--info", "-i")  # one at a time

# Options that take a value, and which ones are possible.
VALUED: dict[tuple[str, ...], dict[str, Any]] = {
    ("--cfg", "-c"): {"choices": ["job", "hydra", "all"]},
    ("--info", "-i"): {
        "choices": ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"],
        "nargs": "?",
    },
    ("--package", "-p"): {},
    ("--config-path", "-cp"): {},
    ("--config-name", "-cn"): {},
    ("--config-dir", "-cd"): {},
}

FILES = ("engine", "experiment", "sweep", "pair", "plot", "tuned")  # groups whose choices are files

# What runs the jobs of a multirun, unless another choice of Hydra's groups is made.
LAUNCHING: dict[str, dict[str, Any]] = {
    "launcher": {"_target_": "gdjax.cli.launcher.BatchLauncher"},
    "sweeper": {"_target_": "gdjax.cli.launcher.Sweeper", "max_batch_size": None, "params": None},
}

Choices = dict[str, dict[str, dict[str, Any]]]  # group → name → settings


class _Parser(argparse.ArgumentParser):
    """One that raises in one line what it would print in many."""

    def error(self, message: str) -> NoReturn:
        raise ArgumentError(message)


def store_choices(command: str) -> Choices:
    """Make every registered objective and optimizer a config choice, with its parameters."""
    kinds = {
        "objective": [
            ("name", (*objectives.names(), *objectives.network_names(every=True)), objectives),
            ("maker", objectives.makers(), objectives),
        ],
        "optimizer": [("name", optimizers.names(), optimizers)],
        "transform": [("name", optimizers.TRANSFORMS.names(), optimizers.TRANSFORMS)],
        "schedule": [("schedule", optimizers.schedules.names(), optimizers.schedules)],
    }
    choices = {
        group: {
            name: {key: name} | _settings(_parameters(catalogue, name))
            for key, names, catalogue in shelves
            for name in names
        }
        for group, shelves in kinds.items()
    }
    register_resolver("rules", settings.rules)  # as --help asks for
    if command in ("check", "certify"):
        choices["objective"]["all"] = {"name": "all"}
    ConfigStore.instance().repo = _Shared(ConfigStore.instance().repo)
    for group, node in LAUNCHING.items():
        ConfigStore.instance().store("gdjax", node, group=f"hydra/{group}", **REPLACE)
    for group, nodes in choices.items():
        for name, node in nodes.items():
            ConfigStore.instance().store(name, node, group=group, **REPLACE)
    return choices


class _Shared(dict[str, Any]):
    """What Hydra copies a hundred times for one help, and changes no copy of."""

    def __deepcopy__(self, memo: object) -> "_Shared":
        return self


def _parameters(catalogue: Any, name: str) -> dict[str, Any]:
    """What can be chosen; nothing where another package fails, which is told once it is chosen."""
    try:
        return catalogue.parameters(name)
    except ArgumentError:
        return {}


def _settings(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as a config can show them; the others can still be added to it."""
    shown = {}
    for key, default in parameters.items():
        if default is optimizers.REQUIRED:
            shown[key] = "${learning_rate}" if key == "learning_rate" else "???"
        elif isinstance(default, bool | int | float | str | None):
            shown[key] = default
        elif type(default) is tuple:
            shown[key] = _as_lists(default)
    return shown


def _as_lists(value: Any) -> Any:
    """Tuples as lists, which every version of OmegaConf shows and changes alike."""
    return [_as_lists(item) for item in value] if type(value) is tuple else value


def check_choices(choices: Choices, words: list[str]) -> None:
    """Refuse an unknown choice before Hydra makes a folder, and one that is no name at all.

    Hydra knows itself what is in folders that the words bring in.
    """
    brings = any(word.startswith(("-cd", "--config-dir", "hydra.searchpath")) for word in words)
    for word in words:
        if match := re.fullmatch(rf"\+?({'|'.join(FILES)})=([-+.\d]+|true|false)", word):
            raise ArgumentError(f"{match[1]} must be a name, got {match[2]}")
        if match := re.fullmatch(rf"\+?({'|'.join(choices)})(?:@[\w.]+)?=([\w,]+)", word):
            for name in () if brings else match[2].split(","):
                check_known(match[1], name, choices[match[1]])


def check_options(words: list[str]) -> None:
    """Refuse an unknown option, one without its value, and two that exclude each other."""
    for word in words:
        settings.check_printable(word, "every word")
    given = [word.partition("=")[0] for word in words if word.startswith("-")]
    if any(len(option) > 3 and "--experimental-rerun".startswith(option) for option in given):
        raise ArgumentError("a finished run runs again by gdjax rerun FOLDER")
    for option in given:
        if not option.startswith(SHORT) and not any(o.startswith(option) for o in OPTIONS):
            raise unknown("option", option, OPTIONS)
    values = _Parser(add_help=False)
    for names, allowed in VALUED.items():
        values.add_argument(*names, **allowed)
    values.parse_known_args(words)
    if not any(o in ("--cfg", "-c", "--help", "-h") for o in given):
        for option in given:
            if option in ("--resolve", "--package", "-p"):
                raise ArgumentError(f"{option} goes with --cfg, which is not given")
    modes = {option.lstrip("-")[0]: option for option in given if option in MODES}
    if len(modes) > 1:
        raise ArgumentError(f"{' and '.join(modes.values())} exclude each other: give one of them")
