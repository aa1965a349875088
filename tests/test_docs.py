"""The site: what its pages show runs, and its reference has every public name."""

import importlib
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from notebooks import execute

import gdjax as library
from gdjax.cli.commands import COMMANDS, LISTS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / ".docs"
TEXTS = {str(page.relative_to(DOCS)): page.read_text() for page in sorted(DOCS.rglob("*.md"))}
NOTEBOOKS = {
    path.stem: nbformat.read(path, as_version=4)
    for path in sorted((ROOT / "experiments" / "notebooks").glob("*.ipynb"))
}
MODULES = re.findall(r"^   (gdjax[.\w]*)$", TEXTS["reference.md"], re.M)
NO_PAGE = {"gdjax.cli", "gdjax.comparison", "gdjax.training"}  # gdjax itself has what scripts use

SLOW = ("commands", "compare", "sweep", "rank", "collect", "explore")  # others run every day


def shown(page, language):
    return "".join(re.findall(rf"```{language}\n(.*?)```", TEXTS[page], re.S))


def weighed(page):
    """A page, left to the exhaustive tests where its commands take seconds."""
    return pytest.param(page, marks=[pytest.mark.full] if Path(page).stem in SLOW else [])


@pytest.mark.parametrize("page", [weighed(page) for page in TEXTS if shown(page, "bash")])
def test_the_commands_of_a_page_run(page, gdjax):
    for line in shown(page, "bash").splitlines():
        code, _, complaints = gdjax(*shlex.split(line)[1:])
        assert (line, code, complaints) == (line, 0, complaints)


@pytest.mark.parametrize("page", [page for page in TEXTS if shown(page, "python")])
def test_the_python_of_a_page_runs(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    exec(shown(page, "python"), {})


def test_every_command_has_a_page():
    assert {*COMMANDS, *LISTS, "rerun"} <= {Path(page).stem for page in TEXTS}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_short_and_kept_without_outputs(name):
    cells = [cell for cell in NOTEBOOKS[name].cells if cell.cell_type == "code"]
    assert len(cells) <= 12
    assert [cell for cell in cells if cell.outputs or cell.execution_count] == []


@pytest.mark.full
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_complains_of_nothing(name, tmp_path):
    execute(NOTEBOOKS[name], tmp_path)
    outputs = [output for cell in NOTEBOOKS[name].cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


def test_every_public_module_is_in_the_reference():
    public = {f"gdjax.{found.name}" for found in pkgutil.iter_modules(library.__path__)
              if not found.name.startswith("_")}  # fmt: skip
    assert {*MODULES} >= public - NO_PAGE


@pytest.mark.full
def test_the_site_is_built_and_its_reference_has_every_public_name(tmp_path):
    pytest.importorskip("sphinx")
    site = tmp_path / "site"
    subprocess.run([sys.executable, "-m", "sphinx", "-qW", DOCS, site], check=True)
    values = (site / "reference.html").read_text()
    for module in MODULES:
        page = (site / "reference" / f"{module}.html").read_text() + values
        names = importlib.import_module(module).__all__
        assert [name for name in names if not re.search(rf'#[\w.-]*\b{name}"', page)] == []
