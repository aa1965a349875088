"""Types in signatures are checked in every test; what XLA compiled is kept between runs.

A sweep that falls back to a slower kernel for a reason that nobody foresaw fails its test.
"""

import functools
import os
from pathlib import Path

import hypothesis
import jax
import pytest
from commands import called
from fall_backs import is_foreseen
from jaxtyping import config, install_import_hook

# In the environment, so that commands that tests start have it too. It is read at JAX's import.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".cache/jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# A test that breaks a kernel on purpose must neither find nor leave one.
os.environ["GDJAX_KERNEL_CACHE"] = "off"

install_import_hook("gdjax", "beartype.beartype")

# A test draws the same examples in every run; compiling takes as long as it takes.
hypothesis.settings.register_profile("gdjax", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("gdjax")


@pytest.fixture
def untyped():
    """A user's Python, in which nothing checks types before gdjax does."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture
def gdjax(monkeypatch, tmp_path):
    """The command in this process, in a folder of its own: exit code, output, complaints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / "cache"))
    return lambda *words, tracebacks="0": called(words, tracebacks)


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and jax.default_backend() != "gpu":
        pytest.skip("there is no GPU")


@pytest.fixture(autouse=True)
def reasons(monkeypatch):
    """Why the sweeps of a test fell back so far; who breaks a kernel on purpose clears it."""
    from gdjax._sweep import runner

    compiled, found = runner.compiled, []

    def listening(*asked):
        kernel, reason = compiled(*asked)
        found.append(reason)
        return kernel, reason

    monkeypatch.setattr(runner, "compiled", listening)
    yield found
    unforeseen = sorted({reason for reason in found if not is_foreseen(reason)})
    assert not unforeseen, f"a sweep fell back for no reason in fall_backs.py: {unforeseen}"


@pytest.fixture
def interpreted(monkeypatch):
    """Pallas step by step, on any device."""
    from gdjax._kernels import pallas

    monkeypatch.setattr(pallas, "Kernel", functools.partial(pallas.Kernel, interpret=True))
