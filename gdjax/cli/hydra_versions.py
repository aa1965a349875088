"""What Hydra 1.3 and Hydra 1.4 must be told for both to do the same, and to do it once."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hydra
from hydra._internal.hydra import Hydra
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

Plugins.instance()  # it runs the modules of Hydra's own plug-ins once more, with classes anew
from hydra._internal.core_plugins.basic_launcher import BasicLauncher  # noqa: E402
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # noqa: E402

__all__ = [
    "BASE", "REPLACE", "BasicLauncher", "BasicSweeper", "composed_once", "plugged",
    "register_resolver",
]  # fmt: skip

_OLD = hydra.__version__.startswith("1.3.")

# Hydra 1.3 does as version 1.1 did unless told otherwise; Hydra 1.4 no longer can.
BASE: dict[str, Any] = {"version_base": "1.3"} if _OLD else {}

# A choice may be stored again, with other parameters. Hydra 1.4 wants to hear that it is meant.
REPLACE: dict[str, Any] = {} if _OLD else {"replace": True}

# OmegaConf 2.4 has another name for it, which meant something else before.
_REGISTER = "register_new_resolver" if _OLD else "register_resolver"


def register_resolver(name: str, resolver: Callable[..., Any]) -> None:
    """Have ``${name:…}`` in a config stand for what a function says."""
    getattr(OmegaConf, _REGISTER)(name, resolver, replace=True)


@contextlib.contextmanager
def composed_once(words: Sequence[str]) -> Iterator[None]:
    """A context in which Hydra does not compose a config only to read ``hydra.mode`` in it.

    None of gdjax's configs sets it; another's may, which a word that brings one in lets it read.
    """
    brings = ("hydra", "+hydra", "experiment", "+experiment", "--config", "-cd", "-cp", "-cn")
    if any(word.startswith(brings) for word in words):
        yield
        return
    kept, Hydra.get_mode = Hydra.get_mode, lambda *_, **__: None
    try:
        yield
    finally:
        Hydra.get_mode = kept


@contextlib.contextmanager
def plugged(*classes: type) -> Iterator[None]:
    """A context in which a config can choose these launchers and sweepers.

    Hydra 1.3 takes plug-ins from packages of a certain name alone, which would stand beside gdjax.
    """
    for one in classes:
        Plugins.instance().register(one)
    if not _OLD:
        yield
        return
    ours = tuple(f"{one.__module__}." for one in classes)
    taken = Plugins.is_in_toplevel_plugins_module
    Plugins.is_in_toplevel_plugins_module = staticmethod(
        lambda clazz: clazz.startswith(ours) or taken(clazz)
    )
    try:
        yield
    finally:
        Plugins.is_in_toplevel_plugins_module = staticmethod(taken)
