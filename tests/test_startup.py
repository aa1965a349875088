"""What a command loads before it answers, and what it says when it runs out of memory or luck."""

import os
import subprocess
import sys

import pytest
from hydra._internal.hydra import Hydra

from gdjax import cli
from gdjax._util import memory
from gdjax.cli import app, hydra_versions
from gdjax.cli.refusals import refuse

# The command in a process of its own, and at its end which libraries it has loaded.
LOADED = """
import os, sys
end = os._exit
def tell(code):
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
    end(code)
os._exit = tell
sys.argv[0] = "gdjax"
from gdjax.cli import main
main()
"""
HEAVY = {
    "jax", "jaxtyping", "optax", "numpy", "scipy", "matplotlib", "xarray", "pandas", "zarr",
    "sympy", "hydra", "omegaconf", "psutil", "tqdm", "llvmlite", "pyarrow",
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "needs"),
    [
        ("--help", ""),
        ("--version", ""),
        *(
            pytest.param(*each, marks=pytest.mark.full)
            for each in (
                ("objectives", "jax jaxtyping numpy"),
                ("optimizers sgd", "jax jaxtyping numpy optax"),
                (
                    "check objective=sphere points=2",
                    "jax jaxtyping numpy optax hydra omegaconf tqdm",
                ),
            )
        ),
        ("run --help", "jax jaxtyping numpy optax hydra omegaconf"),
    ],
)
def test_a_command_loads_no_more_than_it_needs(tmp_path, words, needs):
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words.split()], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0
    loaded = HEAVY & {*done.stderr.split()}
    assert loaded - {"psutil"} == {*needs.split()}  # which JAX asks for where it is


@pytest.fixture
def patched(gdjax, monkeypatch):
    """A command that does something else than what is asked for, and counts its configs."""
    composed, compose = [], Hydra.compose_config

    def counted(*args, **more):
        composed.append(args)
        return compose(*args, **more)

    monkeypatch.setattr(Hydra, "compose_config", counted)
    ends = lambda asked, folder: None if asked.steps else 1 / 0  # noqa: E731
    monkeypatch.setattr(app, "find", lambda name: ends)
    return lambda *words: (*gdjax("run", *words), len(composed))


def test_a_config_is_composed_once_unless_it_may_say_how_it_is_to_run(patched, tmp_path):
    assert patched("steps=1") == (0, "", "", 1)
    several = 1 + hydra_versions._OLD  # Hydra 1.4 reads the mode by itself
    assert patched("steps=1", "hydra.job.name=a") == (0, "", "", 1 + several)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_command_that_fails_leaves_its_traceback_in_its_folder_and_no_other_file(
    patched, tmp_path
):
    code, _, said, _ = patched("steps=0")
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert (code, said) == (
        1,
        "gdjax run: an error that gdjax did not foresee: ZeroDivisionError: division by zero; "
        f"where it came from is in {file.relative_to(tmp_path)}\n",
    )
    assert "1 / 0" in file.read_text()


def failed(capsys, error, folder=None):
    def raised():
        raise error

    try:
        raised()
    except Exception as caught:
        with pytest.raises(SystemExit) as stop:
            refuse("run", caught, folder)
    return stop.value.code, capsys.readouterr().err


def test_what_nobody_foresaw_is_one_line_and_a_file_that_says_where(capsys, tmp_path):
    code, said = failed(capsys, KeyError("x\ny"), tmp_path / "out")
    file = tmp_path / "out" / "traceback.txt"
    assert (code, said) == (
        1,
        f"gdjax run: an error that gdjax did not foresee: KeyError: 'x\\ny'; "
        f"where it came from is in {file}\n",
    )
    assert "in raised" in file.read_text()
    assert [path.name for path in file.parent.iterdir()] == ["traceback.txt"]
    code, said = failed(capsys, TypeError("two\nlines"))
    assert (code, said.count("\n")) == (1, 1)
    assert said.endswith("TypeError: two; HYDRA_FULL_ERROR=1 shows where it came from\n")


def test_memory_that_is_not_there_is_one_line_that_names_what_was_wanted(capsys, tmp_path):
    numpys = MemoryError("Unable to allocate 3.58 GiB for an array with shape (5,)")
    xlas = RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 80 bytes.\nmore")
    assert failed(capsys, numpys, tmp_path / "a") == (1, f"gdjax run: out of memory: {numpys}\n")
    assert failed(capsys, xlas)[1].endswith("memory: RESOURCE_EXHAUSTED: Out of memory allocating "
                                            "80 bytes.\n")  # fmt: skip
    code, said = failed(capsys, MemoryError())
    assert (code, said.partition(":")[0]) == (1, "gdjax run")
    assert "out of memory: in raised, test_startup.py:" in said
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(os.name == "nt", reason="it has no such limit")
def test_the_limit_of_a_process_counts(monkeypatch):
    import resource

    used = 10**6 * 300
    monkeypatch.setattr("psutil.Process", lambda: type("", (), {"memory_info": lambda self: self,
                                                               "vms": used})())  # fmt: skip
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (used + 5000, used + 9000))
    assert memory.available_memory() == 5000
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY,) * 2)
    assert memory.available_memory() > 5000


@pytest.mark.skipif(os.name == "nt", reason="it has no such limit")
def test_jax_is_not_loaded_where_its_addresses_would_run_out(monkeypatch):
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (12 * 10**8, resource.RLIM_INFINITY))
    monkeypatch.setattr(sys, "argv", ["gdjax", "run"])
    with pytest.raises(SystemExit) as stop:
        cli.command()
    assert stop.value.code == (
        "gdjax run: out of memory: JAX needs 2.5 GB of addresses to begin, and this process may "
        "have 1.2 GB: raise the limit, ulimit -v 2441406 or more"
    )
