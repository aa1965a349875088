"""Shapes and types in signatures are checked in every test."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from jaxtyping import install_import_hook

install_import_hook("gdjax", "beartype.beartype")

import pytest
from jaxtyping import config


@pytest.fixture
def untyped():
    """A user's Python, in which nothing checks types before gdjax does."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
