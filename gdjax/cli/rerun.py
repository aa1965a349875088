"""A config as it is saved beside the results, and the same command again from it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gdjax._util.differences import differences, few
from gdjax._util.errors import ArgumentError
from gdjax.cli import jobs, settings
from gdjax.cli.hydra_versions import REPLACE
from gdjax.cli.output_folder import CONFIG

HEADER = "# gdjax {command} made this folder; again, or with other settings: gdjax rerun {folder}\n"
MADE = re.compile(r"# gdjax (\w+) made this folder")
STORED = "rerun"  # what Hydra knows a saved config by
CALL = ("overwrite", "folders")  # settings of a call, not of what comes out


def text(command: str, config: DictConfig, folder: Path, choices: Mapping[str, Any]) -> str:
    """A config as it is left beside the results: complete, and itself one that Hydra composes.

    A setting that follows another one, as each optimizer's learning rate follows the config's, goes
    on to do so. Groups are chosen as nothing, since what they chose is spelled out.
    """
    saved = _saved(config, choices)
    return HEADER.format(command=command, folder=folder) + OmegaConf.to_yaml(saved)


def _saved(config: DictConfig, choices: Mapping[str, Any]) -> dict[str, Any]:
    raw = OmegaConf.to_container(config, resolve=False)
    settings = _following(raw, OmegaConf.to_container(config, resolve=True))
    groups = [{group: None} for group in choices if not group.startswith("hydra/")]
    kept = {key: value for key, value in settings.items() if key not in CALL}
    return {"defaults": ["output", *groups, "_self_"], **kept}


def _following(raw: Any, resolved: Any) -> Any:
    """A config with its values, but for those that are another setting of it."""
    if isinstance(raw, dict):
        return {key: _following(raw[key], resolved[key]) for key in raw}
    if isinstance(raw, list):
        return [_following(*pair) for pair in zip(raw, resolved, strict=True)]
    return raw if isinstance(raw, str) and re.fullmatch(r"\$\{[\w.]+\}", raw) else resolved


def check_free(folder: Path, config: DictConfig) -> None:
    """Refuse a folder that holds results of another config.

    Raises:
        ArgumentError: it says what differs.
    """
    if not (folder / CONFIG).exists() or jobs.left_nothing(folder):
        return
    there: Any = _read(folder / CONFIG)
    here: Any = OmegaConf.to_container(config, resolve=True)
    others = (*CALL, "defaults", "hydra")
    there, here = (
        {key: value for key, value in side.items() if key not in others} for side in (there, here)
    )
    if found := differences(there, here):
        raise ArgumentError(
            f"{folder} holds results of another config: {few(found)}; overwrite=true replaces them"
        )


def _read(file: Path, resolve: bool = True) -> dict[str, Any]:
    try:
        found: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=resolve)
    except (OmegaConfBaseException, YAMLError, ValueError, OSError) as error:
        raise ArgumentError(f"{file} is no config: {error}") from None
    if not isinstance(found, dict):
        raise ArgumentError(f"{file} is no config of gdjax's")
    return found


def called_again(words: list[str]) -> tuple[str, list[str]]:
    """The command and the words that run a folder's config again.

    Args:
        words: the folder, and what is to be different.

    Raises:
        ArgumentError: there is no such folder, or no config in it.
    """
    if not words or words[0].startswith("-"):
        raise ArgumentError(
            "rerun takes the folder of a run, and then what is to be different: "
            "gdjax rerun outputs/run/… learning_rate=0.01"
        )
    folder, *rest = words
    file = Path(folder) / CONFIG
    if not file.is_file():
        raise ArgumentError(f"rerun needs a folder with a {CONFIG}, and there is no {file}")
    if (command := made_by(file)) is None:
        raise ArgumentError(f"{file} does not say which command made it")
    return command, ["--config-dir", folder, "--config-name", Path(CONFIG).stem, *rest]


def asked_of(folder: Path, argument: str, commands: tuple[str, ...]) -> Any:
    """What a command was asked whose folder this is, as ``settings.OF`` has it.

    Raises:
        ArgumentError: there is no such folder, or another command made it.
    """
    file, wanted = folder / CONFIG, " or ".join(f"gdjax {command}" for command in commands)
    if not file.is_file():
        raise ArgumentError(f"{argument} must be the folder of {wanted}, and there is no {file}")
    if (made := made_by(file)) not in commands:
        whose = "of no command" if made is None else f"of gdjax {made}"
        raise ArgumentError(f"{argument} must be the folder of {wanted}, and {folder} is {whose}")
    kept = {key: value for key, value in _read(file).items() if key not in ("defaults", "hydra")}
    return settings.read(str(made), kept | {"overwrite": False, "folders": "one"})


def made_by(file: Path) -> str | None:
    """The command that saved a config; None if none of gdjax's did."""
    try:
        with file.open(encoding="utf-8") as lines:
            found = MADE.match(lines.readline())
    except (OSError, UnicodeDecodeError):
        return None
    return found and found[1]


def from_saved(command: str, words: list[str], files: Path) -> list[str]:
    """The words of a call, where its config is a saved one, for Hydra to compose it anew.

    What a word chooses anew replaces what is saved of that choice, and settings that are changed
    change what follows them.

    Args:
        command: its name.
        words: of the call.
        files: the folder of gdjax's own configs.
    """
    folder, rest = _taken(words, ("--config-dir", "-cd"))
    name, rest = _taken(rest, ("--config-name", "-cn"))
    if folder is None or name is None:
        return words
    file = Path(folder) / f"{name.removesuffix('.yaml')}.yaml"
    if (made := made_by(file)) is None:
        return words
    if made != command:
        raise ArgumentError(f"{file} is of gdjax {made}, not of gdjax {command}")
    body = _read(file, resolve=False)
    slots = {key: None for entry in body.pop("defaults", []) if entry not in ("output", "_self_")
             for key in entry}  # fmt: skip
    for group, choice in _chosen(rest):
        if group in slots:
            for place in _places(files, group, choice, slots):
                _remove(body, place.split("."))
    body["hydra"] = {"job": {"name": command}}
    groups = [{group: None} for group in slots]
    node = {"defaults": ["output", *groups, "_self_"]} | body
    ConfigStore.instance().store(STORED, node, **REPLACE)
    return ["--config-name", STORED, *rest]


def _taken(words: list[str], names: tuple[str, ...]) -> tuple[str | None, list[str]]:
    """The value of an option, and the words without it."""
    for i, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in names:
            after = i + 1 if equals else i + 2
            return (value if equals else "".join(words[i + 1 : after])), words[:i] + words[after:]
    return None, words


def _chosen(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The groups that words may choose of, with the first choice."""
    for word in words:
        if match := re.fullmatch(r"([\w/]+(?:@[\w.]+)?)=([\w,]+)", word):
            yield match[1], match[2].partition(",")[0]


def _places(files: Path, group: str, choice: str, slots: dict[str, Any]) -> Iterator[str]:
    """The settings that a choice decides, by their dotted names.

    Groups that its file brings are no slots any more: Hydra takes each once.
    """
    name, _, package = group.partition("@")
    file = files / name / f"{choice}.yaml"
    if not file.is_file():
        yield package or name
        return
    held = _read(file, resolve=False)
    for entry in held.pop("defaults", []):
        if isinstance(entry, dict):
            for key, chosen in entry.items():
                inner = key.removeprefix("override ").lstrip("/")
                if not key.startswith("override "):
                    slots.pop(inner, None)
                yield from _places(files, inner, str(chosen), slots)
    at_root = "@package _global_" in file.read_text(encoding="utf-8")
    yield from _leaves(held, "" if at_root else f"{package or name}.")


def _leaves(node: Mapping[str, Any], before: str) -> Iterator[str]:
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}"


def _remove(node: Any, keys: list[str]) -> None:
    first, *rest = keys
    if isinstance(node, dict) and first in node:
        if rest:
            _remove(node[first], rest)
        else:
            del node[first]
