"""Studies: a question, the command that answers it, and what is asserted and drawn of the answer.

A study ``NAME`` is ``conf/experiment/NAME.yaml``, which says what is run and begins with the
command, and ``experiments/NAME.py``: its docstring is the question, the finding and the reference,
its ``finding(folder)`` asserts the numbers of the finding in what the command left, and its
``figure(folder)``, if it has one, draws more than the command does.
"""

import ast
import hashlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from gdjax._util.display import shown
from gdjax._util.version import versions

ROOT = Path(__file__).resolve().parents[2]
COMMAND = re.compile(r"^# gdjax (.*experiment=\w+.*)$", re.MULTILINE)


@shown
class Study(NamedTuple):
    """A study.

    Args:
        name: of its files.
        words: of its command, after ``gdjax``.
        config: what the YAML says.
        source: what the Python says.
    """

    name: str
    words: tuple[str, ...]
    config: str
    source: Path

    def load(self) -> ModuleType:
        """Its module."""
        spec = importlib.util.spec_from_file_location(f"study_{self.name}", self.source)
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]  # it is a .py
        sys.path.insert(0, str(self.source.parent))  # what studies share is beside them
        try:
            spec.loader.exec_module(module)  # type: ignore[union-attr]
        finally:
            sys.path.remove(str(self.source.parent))
        return module

    @property
    def digest(self) -> str:
        """A short name of all that decides what comes out."""
        told = [self.config, self.source.read_text(encoding="utf-8"), versions()]
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


class Told(NamedTuple):
    """What the docstring of a study tells.

    Args:
        question: its first paragraph.
        finding: what stands between.
        reference: its last paragraph.
    """

    question: str
    finding: str
    reference: str


def told(study: Study) -> Told:
    """What a study asks and finds; its code is read, and does not run."""
    tree = ast.parse(study.source.read_text(encoding="utf-8"))
    first, *between, last = (ast.get_docstring(tree) or "").split("\n\n")
    return Told(first, "\n\n".join(between), last.removeprefix("Reference: "))


def studies(root: Path = ROOT) -> Mapping[str, Study]:
    """The studies of a checkout, by name; none where there is no checkout.

    Example:
        >>> "local_minimum_trap" in studies()
        True
    """
    found = {}
    for source in sorted((root / "experiments").glob("*.py")):
        file = root / "conf" / "experiment" / f"{source.stem}.yaml"
        if file.is_file():
            config = file.read_text(encoding="utf-8")
            words = COMMAND.findall(config)[0].split()
            found[source.stem] = Study(source.stem, tuple(words), config, source)
    return found
