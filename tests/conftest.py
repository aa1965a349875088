"""Types in signatures are checked in every test; XLA programs are kept between runs, ours not."""

import os
from pathlib import Path

import hypothesis
import pytest
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
