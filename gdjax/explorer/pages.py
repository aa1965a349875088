"""``gdjax.explore``: the page about an objective, or about all of them."""

import html
import os
import webbrowser
from collections.abc import Mapping
from pathlib import Path

from gdjax import objectives
from gdjax._inputs import ObjectiveLike, OptimizerLike, as_objective, as_optimizers
from gdjax.explorer.contents import contents
from gdjax.explorer.document import document

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
        """Write the page to a file; returns its path."""
        path = Path(path)
        path.write_text(self.text, encoding="utf-8")
        return path

    def open(self, path: str | os.PathLike[str]) -> bool:
        """Write the page to a file and show it in a browser; whether there is one."""
        return webbrowser.open(self.save(path).resolve().as_uri())

    def __repr__(self) -> str:
        return f"Page ({len(self.text.encode()) / 1000:,.0f} kB of HTML; save(path), open(path))"

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.text)}" title="Gradient descent, live" '
            'style="width: 100%; height: 760px; border: 0"></iframe>'
        )


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
        optimizer: one, or several by label, that stand in front of all others.

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
    front = {} if optimizer is None else as_optimizers(optimizer)
    return Page(document(contents(shown, front)))
