"""What a user may leave out in writing a call: shorthands, quotes, an order of words."""

import os
import re

from gdjax._util.errors import ArgumentError
from gdjax.cli import settings

TEXTS = (
    "objective.expression", "objective.model", "objective.fn", "objective.gradient",
    "objective.residuals", "objective.data", "rule", "args", "pullback", "store", "hydra.run.dir",
    "hydra.sweep.dir", "hydra.sweep.subdir", "explore.file", "loss", "init", "data", "metric",
    "run", "at", "path",
)  # fmt: skip
FORMULAS = TEXTS[:2]
OF_A_RUN = re.compile(  # what the folder of a run says, and the call must not
    r"[+~]*(objective|optimizer|transforms|loss|init|data|metric|batch|seed|learning_rate|start"
    r"|steps|gradient|fn|residuals|domain)(\.[\w.]+)?="
)
# What Hydra's grammar reads as it is meant: quoted text, lists, mappings, and its own functions
# that make several values of one; of a path also numbers and truth values, which are refused.
READ = re.compile(
    r"""null|\?\?\?|[\[{"'].*|(choice|range|interval|glob|shuffle|sort|tag)\(.*""",
    re.IGNORECASE | re.DOTALL,
)
# A hyperparameter of a group of leaves, learning_rate[layers.0], which no key of Hydra's may be.
OF_GROUP = re.compile(
    r"\+{0,2}(?:(hyperparameters|ranges|tuned\.ranges|optimizer|optimizers\.\w+)\.)?"
    r"(\w+\[.+\])((?:\.\w+)*)"
)
NUMBER = re.compile(r"true|false|[-+.\d]+(e[-+]?\d+)?", re.IGNORECASE)


def spelled_out(task: str, words: list[str]) -> list[str]:
    """The words of a call with a user's shorthand in full, options first; see ``_spelled_out``."""
    if task == "explore":
        words = _with_file(words)
    if task == "landscape" and any(word.startswith("run=") for word in words):
        for word in words:
            if given := OF_A_RUN.match(word):
                raise ArgumentError(
                    f"{given[1]} is what the folder of a run says: leave out {given[1]} or run"
                )
    words = [_spelled_out(task, word) for word in words]
    if any(word.startswith(("objective.fn=", "objective.residuals=")) for word in words):
        words = ["objective=function", *(word for word in words if word != "objective=function")]
    return sorted(words, key=is_setting)  # Hydra 1.3 takes no option in between


def _with_file(words: list[str]) -> list[str]:
    """The file that comes first in a call of ``explore``, as a setting."""
    if not words or re.match(r"[-+~]|[\w.@/]+=", words[0]):
        return words
    settings.PAGE.check("the file of the page", words[0])
    return [f"explore.file={_quoted(words[0])}", *words[1:]]


def is_setting(word: str) -> bool:
    """Whether a word is one of key=value or ~key, not an option or what follows one."""
    return not word.startswith("-") and ("=" in word or word.startswith("~"))


def _spelled_out(task: str, word: str) -> str:
    """A user's shorthand in full, and formulas and paths in the quotes that Hydra wants.

    ``fn=``, ``residuals=`` and ``domain=`` stand for ``objective.fn=`` and so on; so do
    ``gradient=`` and ``start=`` in ``check`` and ``explore``, which follow no side and have no
    start of their own. ``learning_rate[layers.0]=`` is of a group of leaves,
    ``target.accuracy=`` of a metric.
    """
    if word == "~plot":
        return "plot=none"
    key, equals, value = word.partition("=")
    if key in ("fn", "residuals", "domain") or (
        task in ("check", "explore") and key in ("gradient", "start")
    ):
        key = f"objective.{key}"
    if key == "gradient" and ":" in value:
        raise ArgumentError(
            f"gradient is the side to follow, autodiff or hand; where the hand's is, "
            f"objective.gradient says: objective.gradient={value}"
        )
    if match := re.fullmatch(r"\+{0,2}target\.(\w+)", key):
        key, value = "target", ",".join(f"{{{match[1]}:{part}}}" for part in several(value))
    if match := OF_GROUP.fullmatch(key):
        place, name, inside = match.groups()
        return _of_group(task, place, name, inside, value)
    if key.startswith("hydra.job.env_set."):  # any name may be set, whether it is there or not
        key = f"++{key}"
    if key.lstrip("+") in TEXTS and value and not READ.fullmatch(value):
        value = ",".join(_text(key, part) for part in several(value))
    return f"{key}{equals}{value}"


def _of_group(task: str, place: str | None, name: str, inside: str, value: str) -> str:
    """A hyperparameter of a group as an entry of a mapping, whose keys Hydra takes as they are."""
    if place is None:
        if task not in ("run", "sweep", "train"):
            raise ArgumentError(
                f"{name} must say of which optimizer it is: optimizers.a.{name}={value}"
            )
        place = "optimizer"
    if place.startswith("optimizer"):
        place = f"{place}.groups"
    key = re.sub(r"[\\()\[\]{}:=, \t]", lambda special: f"\\{special[0]}", name)
    before = "".join(f"{{{part}:" for part in inside.split(".")[1:])
    after = "}" * inside.count(".")
    each = [f"{{{key}:{before}{part}{after}}}" for part in several(value)]
    return f"+{place}={','.join(each)}"


def _text(key: str, value: str) -> str:
    """One formula or path in quotes; ``~`` is the user's home, which a shell leaves after ``=``."""
    if key not in FORMULAS:
        if NUMBER.fullmatch(value):
            return value
        value = os.path.expanduser(value)
    if READ.fullmatch(value):
        return value
    return _quoted(value)


def _quoted(text: str) -> str:
    """A text as Hydra's grammar takes it whole."""
    doubled = re.sub(r'(\\*)("|\Z)', lambda end: end[1] * 2 + end[2].replace('"', r"\""), text)
    return f'"{doubled}"'


def several(value: str) -> list[str]:
    """The values between commas, but for those inside of brackets.

    Example:
        >>> several("x**2+y**2,max(x, y)")
        ['x**2+y**2', 'max(x, y)']
    """
    parts, depth = [""], 0
    for letter in value:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]
