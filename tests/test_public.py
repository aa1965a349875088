"""What a person meets first: the names of gdjax, its version, and how fast it is there."""

import ast
import importlib
import importlib.metadata
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import gdjax
from gdjax._util import version

HEAVY = {
    "jax", "jaxlib", "jaxtyping", "optax", "numpy", "scipy", "matplotlib", "xarray", "pandas",
    "zarr", "sympy", "hydra", "omegaconf", "IPython",
}  # fmt: skip
LISTED = (
    "certificates", "metrics", "objectives", "optimizers", "plotting", "results",
    "starts", "theory",
)  # fmt: skip


def python(code, **more):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, **more
    )
    return done.stdout


@pytest.mark.parametrize(
    "code", ["import gdjax", "from gdjax import cli", "import gdjax as g; dir(g)"]
)
def test_importing_gdjax_loads_no_other_library(code):
    found = python(f"{code}\nimport sys; print(*{{n.partition('.')[0] for n in sys.modules}})")
    assert not HEAVY & {*found.split()}
    assert "gdjax" in found.split()


def test_every_name_of_gdjax_is_found_and_no_other():
    assert [n for n in dir(gdjax) if not n.startswith("__")] == sorted(gdjax.__all__)
    assert {"__all__", "__doc__", "__file__", "__version__"} <= {*dir(gdjax)}
    for name in gdjax.__all__:
        found = getattr(gdjax, name)
        assert (found.__name__).rpartition(".")[2] == name
    with pytest.raises(AttributeError, match="module 'gdjax' has no attribute 'swep'"):
        _ = gdjax.swep
    assert "Did you mean: 'sweep'" in subprocess.run(
        [sys.executable, "-c", "import gdjax; gdjax.swep"], capture_output=True, text=True
    ).stderr  # fmt: skip


def test_a_type_checker_sees_the_same_names():
    tree = ast.parse(Path(gdjax.__file__).read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If)).body
    seen = {alias.name for node in block for alias in node.names}
    assert seen == {*gdjax.__all__, "__version__"} == {*gdjax._HOMES}


def test_a_star_brings_all_of_them():
    names = {}
    exec("from gdjax import *", names)
    assert {*gdjax.__all__} <= {*names}


@pytest.mark.parametrize("name", LISTED)
def test_a_module_lists_what_is_public(name):
    module = importlib.import_module(f"gdjax.{name}")
    assert [n for n in dir(module) if not n.startswith("__")] == sorted(module.__all__)
    assert {"__doc__", "__file__", "__all__"} <= {*dir(module)}
    assert all(hasattr(module, n) for n in dir(module))


@pytest.mark.parametrize("name", ["metrics", "theory"])
def test_a_module_of_functions_lists_all_that_it_defines(name):
    module = importlib.import_module(f"gdjax.{name}")
    own = {
        n for n, value in vars(module).items()
        if not n.startswith("_") and inspect.getmodule(value) is module
    }  # fmt: skip
    assert own <= {*module.__all__}


def test_the_version_is_that_of_the_package(monkeypatch):
    assert gdjax.__version__ == importlib.metadata.version("gdjax")

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert version._version() == gdjax.__version__  # a source tree that nobody installed


def test_the_command_says_its_version_and_what_it_runs_on_without_loading_it():
    code = (
        "import sys; sys.argv[1:] = ['--version']\n"
        "from gdjax.cli import command; command()\n"
        "print(sys.modules.keys() & {'jax', 'numpy', 'hydra'})"
    )
    first, *others, last = python(code).splitlines()
    assert first == f"gdjax {gdjax.__version__}"
    assert {f"{name} {importlib.metadata.version(name)}" for name in ("jax", "optax")} <= {*others}
    assert others[-1] == f"python {sys.version.split()[0]}"
    assert last == "set()"


def test_it_says_that_it_is_typed():
    assert (Path(gdjax.__file__).parent / "py.typed").is_file()
