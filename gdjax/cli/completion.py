"""What the tab key offers: tasks, names of the catalogues, and what Hydra knows of a task."""

import contextlib
import io
import os
from collections.abc import Callable

from gdjax import objectives, optimizers
from gdjax.cli.choices import store_choices
from gdjax.cli.commands import COMMANDS, LISTS

OPTIONS = ("-sc", "--shell-completion")


def complete(words: list[str], hydra: Callable[[str, list[str]], None]) -> None:
    """Print what may follow in the line of the shell, or what makes a shell ask.

    Args:
        words: what follows the option, such as ``query=bash``.
        hydra: calls Hydra, with a task and words.
    """
    line = os.environ.get("COMP_LINE", "")
    _, *typed = line.split() or [""]
    if not any(word.startswith("query=") for word in words):
        hydra("run", [OPTIONS[0], *words])
    elif not typed or (len(typed) == 1 and not line.endswith(" ")):
        print(" ".join([*COMMANDS, *LISTS, "rerun"]))
    elif typed[0] in LISTS:
        named = {"objectives": objectives, "optimizers": optimizers}.get(typed[0])
        print(" ".join(named.names()) if named else "")
    elif typed[0] in COMMANDS:
        _complete_task(typed[0], line, words, hydra)


def _complete_task(
    task: str, line: str, words: list[str], hydra: Callable[[str, list[str]], None]
) -> None:
    """What Hydra offers; and the choices of a group that goes elsewhere, as ``+group@place=``."""
    before, _, last = line.replace(f" {task}", "", 1).rpartition(" ")
    group, at, rest = last.partition("@")
    place, equals, chosen = rest.partition("=")
    if at and equals:
        last = f"{group}={chosen}"
    os.environ["COMP_LINE"] = f"{before} {last}"
    store_choices(task)
    with contextlib.redirect_stdout(io.StringIO()) as offered:
        hydra(task, [OPTIONS[0], *words])
    offers = offered.getvalue().split()
    if at and equals:
        offers = [offer.replace("=", f"@{place}=", 1) for offer in offers]
    print(" ".join(offers))
