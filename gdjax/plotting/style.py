"""What all pictures share: a palette safe for colour-blind readers, and sizes that stay legible."""

import re
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps, patheffects, rc_params_from_file
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from gdjax._util.arguments import POSITIVE, gate, number, one_of, place
from gdjax._util.errors import check_known

FORMATS = ("png", "svg", "pdf")
SHEET = rc_params_from_file(
    Path(__file__).with_name("gdjax.mplstyle"), use_default_template=False
)  # what a user's own pictures look alike with: plt.style.use("gdjax.plotting.gdjax")
# Told apart under every common colour blindness. The second seven are darker shades of the same
# hues (of black a grey), for crowded pictures.
PALETTE = tuple(SHEET["axes.prop_cycle"].by_key()["color"])
# Optimizers that are often drawn together; every other one has the colour that its name hashes to.
FIRST = (
    "gradient_descent", "heavy_ball", "nesterov", "adam", "rmsprop", "lion", "lbfgs",
    "averaged_momentum", "sgd", "nesterov_textbook", "adamw", "adagrad", "nadam", "adadelta",
)  # fmt: skip
# Ten for pictures with many classes, chosen to stay apart from each other and from the greys.
CLASSES = (*PALETTE[:6], "#332288", "#DDCC77", "#661100", "#8C6D31")
HALO: list[patheffects.AbstractPathEffect] = [
    patheffects.Stroke(linewidth=3.4, foreground="white", alpha=0.9),
    patheffects.Normal(),
]
RIM: list[patheffects.AbstractPathEffect] = [
    patheffects.Stroke(linewidth=2.6, foreground="black"),
    patheffects.Normal(),
]

GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu",
    "nu", "xi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega",
}  # fmt: skip
LINE = 100  # glyphs of a formula that a title has room for


def _pale(name: str, white: float) -> ListedColormap:
    """A colour map mixed with white, so that paths stand out against the ground."""
    shades = colormaps[name](np.linspace(0, 1, 256))[:, :3]
    return ListedColormap(white + (1 - white) * shades, name=f"pale_{name}")


LANDSCAPE = _pale("viridis", 0.35)
colormaps.register(LANDSCAPE, force=True)  # by its name in the sheet


def colours(labels: Iterable[str]) -> dict[str, str]:
    """A colour for each label, by the optimizer that it begins with.

    An optimizer has the same colour in every picture, whatever its hyperparameters and the
    company it is in; only where two labels would share one does the later of them, by the
    alphabet, take the next that is free. From the fifteenth label on colours come again.

    Example:
        >>> colours(["adam(learning_rate=0.1)", "heavy_ball(learning_rate=0.1)"])
        {'adam(learning_rate=0.1)': '#CC79A7', 'heavy_ball(learning_rate=0.1)': '#0072B2'}
    """
    labels = list(labels)
    alphabetical = sorted(labels)
    firsts = {_name(label): label for label in reversed(alphabetical)}
    ranked = sorted(alphabetical, key=lambda x: (firsts[_name(x)] != x, _name(x) not in FIRST))
    taken: dict[str, int] = {}
    for label in ranked:
        name, count = _name(label), len(PALETTE)
        place = FIRST.index(name) if name in FIRST else zlib.crc32(name.encode()) % count
        shades = place, (place + count // 2) % count  # the other shade of the hue comes next
        tries = [*shades, *((place + shift) % count for shift in range(count))]
        taken[label] = next((i for i in tries if i not in taken.values()), place)
    return {label: PALETTE[taken[label]] for label in labels}


def _name(label: str) -> str:
    """The optimizer's name in a label such as ``heavy ball (momentum 0.9)``."""
    return label.partition("(")[0].partition("[")[0].strip().replace(" ", "_").lower()


def paler(colour: str, white: float | np.ndarray) -> np.ndarray:
    """A colour mixed with white, as RGB; one for each share of white, ``(..., 3)``.

    Example:
        >>> paler("#000000", 0.25).tolist()
        [0.25, 0.25, 0.25]
    """
    white = np.asarray(white)[..., None]
    return white + (1 - white) * np.asarray(to_rgb(colour))


def title(name: str, latex: str) -> str:
    """An objective's title: its name, and its formula where one is known and not too long.

    Example:
        >>> title("three_hump", "x^2")
        'three hump:  $f = x^2$'
    """
    readable = name.replace("_", " ")
    return f"{readable}:  $f = {latex}$" if fits(latex) else readable


def fits(latex: str) -> bool:
    """Whether there is a formula, short enough for a line of a title."""
    glyphs = re.sub(r"\\[a-zA-Z]+", "xx", latex)
    return 0 < len(re.sub(r"[\\{}^_ ]", "", glyphs)) <= LINE


def point(at: Iterable[float]) -> str:
    """A point in brackets, short.

    Example:
        >>> point([1.29787, -1.29787])
        '(1.30, −1.30)'
    """
    return f"({', '.join(f'{x:.2f}'.replace('-', '−') for x in at)})"


def bar(
    figure: Figure, shades: ScalarMappable, panels: Sequence[Axes], title: str, note: str = ""
) -> None:
    """A colour bar beside some axes, with a note along it; a logarithmic one with plain numbers."""
    drawn = figure.colorbar(shades, ax=panels, pad=0.03, shrink=0.95, aspect=30)
    drawn.ax.set_title(title, fontsize=10)
    drawn.set_label(note)
    drawn.outline.set_visible(False)  # type: ignore[operator]  # a Patch, typed as a callable
    if isinstance(shades.norm, LogNorm):
        low, high = shades.get_clim()
        plain_logarithmic(drawn.ax.yaxis, wide=bool(low and high and high > 10 * low))
    if isinstance(shades.norm, BoundaryNorm):
        steps = np.asarray(shades.norm.boundaries)
        drawn.ax.set_yticks(steps, [f"{step:.4g}".replace("-", "−") for step in steps])


def plain_logarithmic(axis: Axis, wide: bool = True) -> None:
    """Mark a logarithmic axis at 1, 2, 5, 10, … in plain numbers; a narrow one evenly."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if wide else MaxNLocator(6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def quiet(axes: Axes) -> None:
    """Take the frame off the top and the right, and lay a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color=SHEET["grid.color"], linewidth=SHEET["grid.linewidth"])
    axes.set_axisbelow(True)


def check_output(format: str, dpi: int) -> None:
    """Refuse a format or a resolution before anything is computed.

    Raises:
        ArgumentError: a format other than ``png``, ``svg`` and ``pdf``, or no positive ``dpi``.
    """
    check_known("plot.format", format, FORMATS)
    number(POSITIVE)("plot.dpi", dpi)


@gate(figure=one_of(Figure, "be a figure of matplotlib"), path=place, dpi=number(POSITIVE))
def save(figure: Figure, path: Path, dpi: float | int = 150) -> Path:
    """Write a figure in the format that the path's suffix names, and return the path."""
    figure.savefig(path, dpi=dpi, facecolor="white")
    return path


def component(name: str) -> str:
    """What an axis is called: the component's name, a number at its end as an index.

    Example:
        >>> component("x1"), component("w1[0,3]")
        ('$x_{1}$', 'w1[0,3]')
    """
    index = re.fullmatch(r"([A-Za-z])_?(\d+)", name)
    if index:
        return f"${index[1]}_{{{index[2]}}}$"
    return rf"$\{name}$" if name in GREEK else name
