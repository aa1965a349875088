"""What can be chosen on the command line, and what a user may leave out in writing it."""

import functools
import re
from typing import Any

from hydra.core.config_store import ConfigStore

from gdjax import objectives, optimizers
from gdjax._util.errors import ArgumentError, unknown
from gdjax.cli.hydra_versions import REPLACE


def store_choices(task: str) -> None:
    """Make every registered objective and optimizer a config choice, with its parameters."""
    store = functools.partial(ConfigStore.instance().store, **REPLACE)
    for name in objectives.names():
        parameters = _parameters(objectives, name).items()
        node = {"name": name} | {key: _as_lists(default) for key, default in parameters}
        store(name, node, group="objective")
    for name in objectives.makers():
        node = {"maker": name}
        for key, default in objectives.parameters(name).items():
            node[key] = "???" if default is objectives.REQUIRED else _as_lists(default)
        store(name, node, group="objective")
    if task in ("check", "certify"):
        store("all", {"name": "all"}, group="objective")
    kinds = {
        "optimizer": ("name", optimizers),
        "transform": ("name", optimizers.TRANSFORMS),
        "schedule": ("schedule", optimizers.schedules),
    }
    for group, (key, catalogue) in kinds.items():
        for name in catalogue.names():
            store(name, {key: name} | _settings(_parameters(catalogue, name)), group=group)


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


def check_choices(task: str, words: list[str]) -> None:
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


def spelled_out(task: str, words: list[str]) -> list[str]:
    """The words of a call with a user's shorthand in full; see ``_spelled_out``."""
    words = [_spelled_out(task, word) for word in words]
    if any(word.startswith("objective.fn=") for word in words):
        words = ["objective=function", *(word for word in words if word != "objective=function")]
    return sorted(words, key=_is_setting)  # Hydra 1.3 takes no option in between


def _is_setting(word: str) -> bool:
    """Whether a word is one of key=value or ~key, not an option or what follows one."""
    return not word.startswith("-") and ("=" in word or word.startswith("~"))


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
