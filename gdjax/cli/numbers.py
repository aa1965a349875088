"""Which settings of jobs may differ within one compiled batch: numbers that kernels take."""

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

KEY = re.compile(r"start|steps|points|seed|(learning_rate|optimizers?\.\w+)(\.\w+)*")
_ONE = r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?"
NUMBER = re.compile(_ONE, re.IGNORECASE)
POINT = re.compile(rf"\[\s*{_ONE}(\s*,\s*{_ONE})*\s*\]", re.IGNORECASE)
FOLLOWS = re.compile(r"\$\{([\w.]+)\}")  # a setting that is another one
MENTIONED = re.compile(r"[\w.]+")


def split(words: Sequence[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The words of a job that may decide what is compiled, and its numbers by setting.

    Example:
        >>> split(["objective=booth", "start=[1,2.5]", "optimizer.momentum=.5", "steps=9"])
        (('objective=booth',), {'start': [1, 2.5], 'optimizer.momentum': 0.5, 'steps': 9})
    """
    kept, numbers = [], {}
    for word in words:
        key, _, value = word.partition("=")
        form = POINT if key == "start" else NUMBER
        if KEY.fullmatch(key) and form.fullmatch(value) and key not in numbers:
            numbers[key] = ast.literal_eval(value)
        else:
            kept.append(word)
    return tuple(kept), numbers


def decided_by(
    raw: Any, resolved: Any, place: str, name: str = ""
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The numbers of a choice: each hyperparameter, with the settings that decide it, first first.

    Args:
        raw: the choice as it is composed, with references to other settings.
        resolved: the same without any.
        place: where it stands in the config.
        name: of the hyperparameter that it is, or belongs to.

    Example:
        >>> raw = {"learning_rate": "${learning_rate}", "momentum": 0.5}
        >>> rate, momentum = decided_by(raw, raw | {"learning_rate": 0.1}, "optimizer")
        >>> rate
        ('learning_rate', ('optimizer.learning_rate', 'learning_rate'))
    """
    places = [place]
    if isinstance(raw, str) and (match := FOLLOWS.fullmatch(raw)):
        raw = resolved
        places.append(match[1])
    if isinstance(resolved, dict) and isinstance(raw, dict):
        for key, value in resolved.items():
            inner = f"{name}.{key}" if name else str(key)
            yield from decided_by(raw[key], value, f"{places[-1]}.{key}", inner)
    elif isinstance(resolved, int | float) and not isinstance(resolved, bool):
        yield name, tuple(places)


def mentioned(raw: Any, whole_too: Collection[str] = ()) -> set[str]:
    """The settings that other ones refer to, but for those that just are another one.

    Args:
        raw: a config as it is composed.
        whole_too: the parts of it in which a setting that is another one counts too.
    """

    def found(node: Any, whole: bool) -> Iterator[str]:
        if isinstance(node, Mapping):
            for value in node.values():
                yield from found(value, whole)
        elif isinstance(node, list):
            for value in node:
                yield from found(value, whole)
        elif isinstance(node, str) and "${" in node and (whole or not FOLLOWS.fullmatch(node)):
            yield from MENTIONED.findall(node)

    return {name for key, node in raw.items() for name in found(node, key in whole_too)}


def related(key: str, names: Collection[str]) -> bool:
    """Whether a setting is one of these, or holds one, or belongs to one."""
    return any(f"{key}.".startswith(f"{n}.") or f"{n}.".startswith(f"{key}.") for n in names)
