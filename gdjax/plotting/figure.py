"""A figure that shows itself in a notebook, without pyplot."""

import base64
import html
import importlib
import io
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes

from gdjax._util.arguments import refused

SAMPLE, LETTER = 0.55, 0.085  # inches of a legend's line with its margins, and of a letter
AnyFigure: TypeAlias = matplotlib.figure.Figure  # a user's too


class Figure(AnyFigure):
    """A matplotlib figure; as the last value of a notebook's cell it is shown below it.

    It is not one of pyplot's, so that nothing keeps it open, and no window opens by itself.

    Example:
        >>> Figure(figsize=(1, 1))._repr_png_()[1:4]
        b'PNG'
    """

    def _repr_png_(self) -> bytes:
        return as_png(self)

    def show(self, warn: bool = True) -> None:
        """Display it: in a notebook below the cell, else in a window.

        Where there is no display, one line says how to save it.

        Args:
            warn: whether to say that.
        """
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
        if hasattr(shell, "kernel"):  # a notebook, and no terminal
            importlib.import_module("IPython.display").display(self)
        elif not _in_window(self) and warn:
            print(
                "there is no display to show it on; save it: figure.savefig('figure.png')",
                file=sys.stderr,
            )


def legend_below(figure: AnyFigure, handles: Sequence[Any], most: int, **how: Any) -> None:
    """What is what, under the pictures, in as many columns as there is room for."""
    labels = [str(handle.get_label()) for handle in handles]
    room = figure.get_figwidth()

    def wide(columns: int) -> float:
        parts = np.array_split(labels, columns)
        return sum(SAMPLE + LETTER * max(map(len, part)) for part in parts)

    fitting = (n for n in range(min(most, len(labels)), 1, -1) if wide(n) <= room)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=next(fitting, 1), frameon=False,
        fontsize=10, **how,
    )  # fmt: skip


def retitle(figure: AnyFigure, text: str) -> None:
    """Replace the title of a picture."""
    if figure.get_suptitle():
        figure.suptitle(text)
    else:
        figure.axes[0].set_title(text)


def as_png(figure: AnyFigure, **how: Any) -> bytes:
    """A figure as a PNG file, with settings of ``savefig``."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", **how)
    return picture.getvalue()


class Panel(NamedTuple):
    """One pair of axes, in a figure of its own or in a user's.

    Args:
        figure: theirs.
        axes: where the picture is drawn.
        own: whether the figure is made for it.
    """

    figure: AnyFigure
    axes: Any
    own: bool

    def title(self, text: str, size: float | int = 13, above: bool = False) -> None:
        """Say what the picture is of, above the whole figure or its axes; smaller in a user's."""
        if above and self.own:
            self.figure.suptitle(text, fontsize=size)
            return
        self.axes.set_title(text, fontsize=size if self.own else min(size, 11))

    def legend(self, ncols: int = 2, handles: Any = None) -> None:
        """Say what is what: below the picture, where the figure is its own."""
        if handles is None:
            handles = self.axes.get_legend_handles_labels()[0]
        if self.own:
            legend_below(self.figure, handles, ncols)
        else:
            self.axes.legend(handles=handles, fontsize=8, framealpha=0.8)


def one_panel(width: float | int, height: float | int, ax: Axes | None = None) -> Panel:
    """A figure with one pair of axes, or a user's axes.

    Raises:
        ArgumentError: they are no axes, or those of three dimensions.
    """
    if ax is None:
        figure = Figure(figsize=(width, height), layout="constrained")
        return Panel(figure, figure.add_subplot(), True)
    if not isinstance(ax, Axes) or hasattr(ax, "get_zlim"):
        raise refused("ax", "be axes of matplotlib, of two dimensions", ax)
    return Panel(figure_of(ax), ax, False)


def axes_in(ax: Any) -> list[Any]:
    """A user's axes, one or several.

    Raises:
        ArgumentError: what is among them that is none.
    """
    several = [*ax] if isinstance(ax, list | tuple) else [*np.ravel(ax)]
    if not several or not all(isinstance(one, Axes) for one in several):
        raise refused("ax", "be axes of matplotlib", ax)
    return several


def figure_of(ax: Axes) -> AnyFigure:
    """The whole figure that axes are in."""
    figure = ax.get_figure(root=True)
    assert isinstance(figure, AnyFigure)
    return figure


class Figures(dict[str, AnyFigure]):
    """Figures by name; a notebook shows all of them."""

    def _repr_html_(self) -> str:
        return "".join(
            f"<figure><figcaption>{html.escape(name)}</figcaption>"
            f'<img alt="{html.escape(name)}" src="data:image/png;base64,'
            f'{base64.b64encode(as_png(figure)).decode()}"/></figure>'
            for name, figure in self.items()
        )


def _in_window(figure: Figure) -> bool:
    """Show it in a window of pyplot's, which waits for it to be closed; False without a display."""
    import matplotlib.pyplot as plt  # it chooses a backend: only where a window is asked for
    from matplotlib.backends.registry import BackendFilter, backend_registry

    try:
        if plt.get_backend().lower() in backend_registry.list_builtin(
            BackendFilter.NON_INTERACTIVE
        ):
            return False
        manager = figure.canvas.manager
        if manager is None or not plt.fignum_exists(manager.num):
            blank = plt.figure(figsize=figure.get_size_inches(), dpi=figure.dpi)
            blank.canvas.figure = figure
            figure.set_canvas(blank.canvas)
    except ImportError:  # a backend that was chosen, and cannot be loaded here
        return False
    plt.show()
    return True
