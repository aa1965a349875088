"""A figure that shows itself in a notebook, without pyplot."""

import base64
import html
import importlib
import io
import sys

import matplotlib.figure
from matplotlib.axes import Axes


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure; as the last value of a notebook's cell it is shown below it.

    It is not one of pyplot's, so that nothing keeps it open, and no window opens by itself.

    Example:
        >>> Figure(figsize=(1, 1))._repr_png_()[1:4]
        b'PNG'
    """

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()

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


def one_panel(width: float | int, height: float | int) -> tuple[Figure, Axes]:
    """A figure with one pair of axes, and these."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


class Figures(dict[str, Figure]):
    """Figures by name; a notebook shows all of them."""

    def _repr_html_(self) -> str:
        return "".join(
            f"<figure><figcaption>{html.escape(name)}</figcaption>"
            f'<img alt="{html.escape(name)}" src="data:image/png;base64,'
            f'{base64.b64encode(figure._repr_png_()).decode()}"/></figure>'
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
