"""Types in signatures are checked in every test; what XLA compiled is kept between runs."""

import os
from pathlib import Path

import hypothesis
import pytest
from jaxtyping import config, install_import_hook

# In the environment, so that commands that tests start have it too. It is read at JAX's import.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".cache/jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

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
