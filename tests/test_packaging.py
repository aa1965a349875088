"""What is declared in pyproject.toml is what the code imports: no less, no more."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest

from gdjax._util import memory

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OF_AN_EXTRA = {"fast": "gdjax/_kernels/llvm/"}  # rooms that nobody imports before they are used


def declared(requirements):
    return {re.match(r"[\w.-]+", word)[0].lower().replace("_", "-") for word in requirements}


CORE = declared(PROJECT["dependencies"])
NOT_OURS = ("bench", "docs", "optuna", "launchers")  # what gdjax itself does not import
EXTRAS = {k: declared(v) for k, v in PROJECT["optional-dependencies"].items() if k not in NOT_OURS}


def imports(body, at_once=True):
    """(module, whether it is imported with the file) of every import below."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module, at_once
            yield from ((f"{node.module}.{alias.name}", at_once) for alias in node.names)
        later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        later |= isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        yield from imports(ast.iter_child_nodes(node), at_once and not later)


FOUND = [
    (str(path.relative_to(ROOT).as_posix()), *found)
    for path in sorted((ROOT / "gdjax").rglob("*.py"))
    for found in imports(ast.parse(path.read_text(encoding="utf-8")).body)
]


def distributions():
    """(file, whether at once, the distribution) of everything imported from another package."""
    packages = importlib.metadata.packages_distributions()
    for file, module, at_once in FOUND:
        top = module.partition(".")[0]
        if top not in sys.stdlib_module_names and top != "gdjax":
            for name in packages.get(top, [top]):
                yield file, at_once, name.lower().replace("_", "-")


def test_every_imported_package_is_declared():
    # IPython shows what only it can ask for; joblib is there where Hydra's launcher brought it.
    known = CORE.union(*EXTRAS.values()) | {"ipython", "joblib"}
    assert {(file, name) for file, _, name in distributions() if name not in known} == set()


def test_every_declared_package_is_imported():
    assert {name for *_, name in distributions()} >= CORE.union(*EXTRAS.values())


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_an_extra_brings_is_imported_when_it_is_used(extra):
    room = OF_AN_EXTRA.get(extra, "no room")
    early = {
        file for file, at_once, name in distributions()
        if at_once and name in EXTRAS[extra] - CORE and not file.startswith(room)
    }  # fmt: skip
    package = room.rstrip("/").replace("/", ".")
    early |= {
        file for file, module, at_once in FOUND
        if at_once and module.startswith(package) and not file.startswith(room)
    }  # fmt: skip
    assert early == set()


def test_the_limit_of_a_container_counts(monkeypatch, tmp_path):
    whole = memory.available_memory()
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    parts = {"max": "5000000\n", "current": "3000000\n", "stat": "anon 1\ninactive_file 400000\n"}
    for name, text in parts.items():
        (tmp_path / f"memory.{name}").write_text(text)
    assert memory.available_memory() == 2_400_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_memory() == pytest.approx(whole, rel=0.5)
