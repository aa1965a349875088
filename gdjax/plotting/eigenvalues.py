"""Where the eigenvalues of a Hessian lie, in one picture."""

import numpy as np
from matplotlib.axes import Axes

from gdjax._util.arguments import POSITIVE, gate, maybe, number, one_of
from gdjax.plotting import style
from gdjax.plotting.figure import AnyFigure, one_panel
from gdjax.training.spectrum import SpectralDensity

BULK, ALONE, LIMIT = style.PALETTE[1], style.PALETTE[0], "0.25"
PLACES = 1500
APART = 3.0  # widths between eigenvalues that stand alone
DEPTH = 1e-6  # of the highest density: below it nothing is drawn
NEAR = 2.0  # a limit beyond so many times the range would leave no room for the rest


@gate(
    density=one_of(SpectralDensity, "be what gdjax.spectral_density gives"),
    limit=maybe(number(POSITIVE)),
)
def hessian_spectrum(
    density: SpectralDensity, *, limit: float | int | None = None, ax: Axes | None = None
) -> AnyFigure:
    r"""The density of the eigenvalues of a Hessian, on a logarithmic axis.

    Every node of the quadrature is a normal curve, a hundredth of the range wide. Marked are
    outliers: eigenvalues that every probe found at the same place, with none beside them; their
    places are as good as exact, how high they are is chance.

    Args:
        density: of ``gdjax.spectral_density``.
        limit: of stability on the sharpness, such as :math:`2 / \alpha`: a line, where it is near
            enough to be drawn, and told in any case.
        ax: axes to draw in; by default those of a new figure.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Example:
        >>> import gdjax
        >>> density = gdjax.spectral_density(lambda p: p[0] ** 2 + 5 * p[1] ** 2, [1.0, 1.0])
        >>> figure = hessian_spectrum(density, limit=2 / 0.15)
        >>> outliers(density).round(3).tolist()
        [2.0, 10.0]
    """
    panel = one_panel(8.5, 4.6, ax)
    axes, alone = panel.axes, outliers(density)
    low, high, width = *_range(density), _width(density)
    drawn = limit is not None and limit <= high + NEAR * (high - low + width)
    at = np.linspace(
        low - 4 * width, max(high, limit if drawn and limit else high) + 4 * width, PLACES
    )
    at = np.union1d(at, alone)  # no peak is missed between two places
    curve = density.density(at, width)
    heights = density.density(alone, width)
    floor = min(0.2 / (density.dim * width * np.sqrt(2 * np.pi)), *heights / 3, curve.max() / 10)
    floor = max(floor, curve.max() * DEPTH)
    axes.fill_between(at, floor, np.maximum(curve, floor), color=BULK, alpha=0.3, linewidth=0)
    axes.plot(at, np.maximum(curve, floor), color=BULK, linewidth=1.4)
    if alone.size:
        heights = np.maximum(heights, floor)
        axes.plot(alone, 1.6 * heights, "v", color=ALONE, markersize=5)
        axes.annotate(
            f"{alone[-1]:.4g}", (alone[-1], 1.6 * heights[-1]), (0, 7), ha="center", color=ALONE,
            textcoords="offset points",
        )  # fmt: skip
    axes.set(
        yscale="log", ylim=(floor, 6 * curve.max()), xlim=(at[0], at[-1]),
        xlabel="eigenvalue of the Hessian", ylabel="density",
    )  # fmt: skip
    if limit is not None:
        _mark_limit(axes, float(limit), drawn)
    count = f"{density.dim:,} eigenvalue{'s' * (density.dim > 1)}"
    stand = f", {alone.size} of them outliers" if alone.size else ""
    axes.set_title(count + stand, loc="left")
    style.quiet(axes)
    return panel.figure


def outliers(density: SpectralDensity) -> np.ndarray:
    """Eigenvalues that every probe found, once and at the same place, with none beside them.

    Args:
        density: of ``gdjax.spectral_density``.

    Returns:
        Them, ascending, ``(k,)``.
    """
    width, kept = _width(density), density.weights > 0
    probe, _ = np.nonzero(kept)
    nodes = density.nodes[kept]
    order = np.argsort(nodes)
    probe, nodes = probe[order], nodes[order]
    groups = np.split(np.arange(nodes.size), np.flatnonzero(np.diff(nodes) > APART * width) + 1)
    every = np.arange(len(density.nodes))
    found = [
        nodes[group].mean()
        for group in groups
        if np.array_equal(np.sort(probe[group]), every) and np.ptp(nodes[group]) < width / 2
    ]
    return np.array(found)


def _mark_limit(axes: Axes, limit: float, drawn: bool) -> None:
    """The limit of stability, as a line or, where it lies too far away, in words."""
    name = f"stability limit {limit:.4g}"
    if not drawn:
        axes.set_title(f"{name}, further right", loc="right", fontsize=9, color=LIMIT)
        return
    axes.axvline(limit, color=LIMIT, linewidth=1.2, linestyle="--")
    axes.annotate(
        name, (limit, 1), (-4, -4), ha="right", va="top", rotation=90, color=LIMIT,
        xycoords=axes.get_xaxis_transform(), textcoords="offset points", path_effects=style.HALO,
    )  # fmt: skip


def _range(density: SpectralDensity) -> tuple[float, float]:
    return float(density.nodes.min()), float(density.nodes.max())


def _width(density: SpectralDensity) -> float:
    """How wide a node is drawn: a hundredth of the range, and of one eigenvalue that of it."""
    low, high = _range(density)
    return max(high - low, 0.1 * max(abs(low), abs(high)), 1e-12) / 100
