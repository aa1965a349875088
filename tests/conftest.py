"""Shapes and types in signatures are checked in every test."""

import pytest
from jaxtyping import config, install_import_hook

install_import_hook("gdjax", "beartype.beartype")


@pytest.fixture
def untyped():
    """A user's Python, in which nothing checks types before gdjax does."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
