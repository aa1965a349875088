"""``gdjax.explore``: the page about an objective, or about all of them."""

import html
import os
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path

from gdjax import objectives
from gdjax._inputs import ObjectiveLike, OptimizerLike, as_objective, as_optimizers
from gdjax._util.errors import ArgumentError
from gdjax._util.files import whole
from gdjax.explorer.contents import contents
from gdjax.explorer.document import document
from gdjax.optimizers import Optimizer

FIRST = "qfsp"  # in front where nothing is asked for


class Page:
    """A page that explores descents: one file of HTML, which loads nothing.

    A notebook shows it in the output of its cell; there it needs no extension.

    Args:
        text: the HTML.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, whole or not at all, in a folder that is made if need be.

        Args:
            path: of the file; one that is there is replaced.

        Returns:
            Its path.

        Raises:
            ArgumentError: there is a folder of that name.
            OSError: the system refuses.
        """
        path = Path(path)
        if path.is_dir():
            raise ArgumentError(f"path must be that of a file, got the folder {str(path)!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as file:
            file.write_text(self.text, encoding="utf-8")
        return path

    def open(self, path: str | os.PathLike[str]) -> bool:
        """Write the page to a file and show it in a browser; whether there is one."""
        return show(self.save(path))

    def __repr__(self) -> str:
        return f"Page ({len(self.text.encode()) / 1000:,.0f} kB of HTML; save(path), open(path))"

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.text)}" title="Gradient descent, live" '
            'style="width: 100%; height: 760px; border: 0"></iframe>'
        )


def show(file: Path) -> bool:
    """Show a file in the user's browser; False without one, or without a display for it."""
    windows = any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))
    if sys.platform.startswith(("linux", "freebsd")) and not windows:
        return False  # one of a terminal's own would take the place of the shell
    return webbrowser.open(file.resolve().as_uri())


def explore(
    objective: ObjectiveLike | None = None,
    optimizer: OptimizerLike | Mapping[str, OptimizerLike] | None = None,
) -> Page:
    """A page in which start, learning rate, momentum and all other numbers are sliders.

    The programs in it are those that the kernels run, written as text: value and gradient of the
    objective, and the step of each optimizer, all from their traces in float64. It draws the
    landscape, the paths, the basins of attraction and what each setting leads to, and recomputes
    them while a slider moves.

    Args:
        objective: an objective, its name, or a function with a domain; it stands in front, alone.
            By default all that are registered.
        optimizer: one, or several by label, that stand in front of all others; the first four
            descend as the page opens.

    Returns:
        The page: ``save(path)`` it, ``open(path)`` it in a browser, or leave it to the notebook.

    Raises:
        ArgumentError: an objective or an optimizer that cannot be written as text, or one of more
            than 8 dimensions.

    Example:
        >>> page = explore("rosenbrock")
        >>> page.text.startswith("<!doctype html>")
        True
    """
    if objective is None:
        names = sorted(objectives.names(), key=lambda name: name != FIRST)
        shown = [objectives.get(name) for name in names]
    else:
        shown = [as_objective(objective)]
    return Page(document(contents(shown, {} if optimizer is None else _labelled(optimizer))))


def _labelled(given: OptimizerLike | Mapping[str, OptimizerLike]) -> dict[str, Optimizer]:
    """Optimizers by label: without labels by their names alone, for their numbers are sliders."""
    made = as_optimizers(given)
    short = {label.partition("(")[0]: one for label, one in made.items()}
    return made if isinstance(given, Mapping) or len(short) < len(made) else short
