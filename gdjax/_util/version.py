"""Which gdjax this is, and what it runs on."""

import contextlib
import functools
import importlib.metadata
import platform
import tomllib
from collections.abc import Mapping
from pathlib import Path

PACKAGES = ("jax", "jaxlib", "optax", "numpy", "xarray", "zarr")


def _version() -> str:
    try:
        return importlib.metadata.version("gdjax")
    except importlib.metadata.PackageNotFoundError:  # a source tree that nobody installed
        project = Path(__file__).parents[2] / "pyproject.toml"
        return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]


@functools.cache  # to read them takes longer than a small sweep
def versions() -> Mapping[str, str]:
    """The versions of gdjax, of what its results depend on, and of Python; JAX is not loaded."""
    others = {name: importlib.metadata.version(name) for name in PACKAGES}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # it comes with an extra
        others["llvmlite"] = importlib.metadata.version("llvmlite")
    return {"gdjax": __version__, **others, "python": platform.python_version()}


__version__ = _version()
