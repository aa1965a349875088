"""A fit: its data with the curves that descents ended at, and what these leave to explain."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from gdjax._inputs import ObjectiveLike
from gdjax._util.errors import ArgumentError
from gdjax.objectives import Objective
from gdjax.objectives.objective import Fit
from gdjax.plotting import given, style
from gdjax.plotting.curves import finite_points
from gdjax.plotting.figure import AnyFigure, Figure, Panel, one_panel
from gdjax.regressions import Regression, band, regression

HEADROOM = 0.35  # room above and below the data, in their height; curves are cut off beyond it
MANY = 200  # observations from which on they are dots
MOST = 20_000  # that are drawn: a picture has fewer pixels across


def fit(objective: ObjectiveLike, paths: Any, *, ax: Axes | None = None) -> AnyFigure:
    """The data of a fit, with the curve at the start and at the end of each descent.

    Around the lowest of the curves, where it is the best fit, lies the band that holds the true
    curve at 95 %, and the wider one that holds a new observation. Below, in a figure of its own,
    stands what each curve leaves unexplained, in standard deviations where the data have them.
    Data of several independent columns are drawn over what the model of the lowest path says.

    Args:
        objective: made by ``gdjax.objectives.get("curve_fit", ...)``.
        paths: trajectories by the label that the legend shows.
        ax: axes to draw in; by default those of a new figure.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Raises:
        ArgumentError: an objective without data.
    """
    objective, paths = given.described(objective, paths)
    data = objective.fit
    if data is None:
        raise ArgumentError(f"fit needs data, and {objective.name} has none")
    panel, below = _panels(ax)
    ends = {label: finite_points(path) for label, path in paths.items()}
    values = {label: float(objective(points[-1].tolist())) for label, points in ends.items()}
    best = min(values, key=lambda label: np.nan_to_num(values[label], nan=np.inf))
    along = _Along.of(data, ends[best][-1])
    first = next(iter(ends.values()))[0]
    along.draw(
        panel.axes, first, color="0.45", linewidth=1.4, linestyle="--", label="start", zorder=2
    )
    colours = style.colours(ends)
    for label, points in ends.items():
        how = {"color": colours[label], "zorder": 3}
        along.draw(
            panel.axes, points[-1], linewidth=2, label=f"{label}:  f = {values[label]:.5g}", **how
        )
        if below is not None:
            _draw_left(below, along, points[-1], colours[label])
    _draw_bands(panel.axes, objective, along, ends[best][-1], colours[best])
    _draw_data(panel.axes, along)
    bottom, top = data.observed.min(), data.observed.max()
    room = HEADROOM * (top - bottom or 1.0)
    style.quiet(panel.axes)
    panel.axes.set(ylabel=data.response, xlim=along.limits)
    (below or panel.axes).set_xlabel(along.name)
    low, high = panel.axes.get_ylim()
    panel.axes.set_ylim(max(low, bottom - room), min(high, top + room))
    panel.title(style.title(objective.name, objective.latex))
    panel.axes.legend(frameon=False)
    return panel.figure


class _Along:
    """What lies along the horizontal axis.

    Args:
        data: of the fit.
        name: of the axis.
        at: where the observations stand on it, ``(n,)``.
        columns: of the points of a smooth curve; None where there is none to draw.
        grid: where these stand on the axis.
    """

    def __init__(
        self, data: Fit, name: str, at: np.ndarray, columns: Mapping[str, np.ndarray] | None,
        grid: np.ndarray,
    ) -> None:  # fmt: skip
        self.data, self.name, self.at, self.columns, self.grid = data, name, at, columns, grid

    @classmethod
    def of(cls, data: Fit, point: np.ndarray) -> "_Along":
        """Along the one column, or along what the model says with these parameters."""
        if len(data.columns) == 1:
            ((name, at),) = data.columns.items()
        else:
            name, at = f"{data.response}, as the model has it", _said(data, point, data.columns)
        low, high = at.min(), at.max()
        margin = 0.04 * (high - low or 1.0)
        grid = np.linspace(low - margin, high + margin, 401)
        return cls(data, name, at, {name: grid} if len(data.columns) == 1 else None, grid)

    @property
    def limits(self) -> tuple[float, float]:
        """The ends of the axis."""
        return self.grid[0], self.grid[-1]

    def draw(self, axes: Any, point: np.ndarray, **how: Any) -> None:
        """The curve with these parameters; over what the model says, a diagonal or points."""
        if self.columns is not None:
            axes.plot(self.grid, _said(self.data, point, self.columns), **how)
            return
        how = {"color": how["color"], "label": how["label"], "zorder": how["zorder"]}
        said = _said(self.data, point, self.data.columns)
        if np.array_equal(said, self.at):
            axes.plot(self.grid, self.grid, linewidth=2, **how)
        else:
            axes.plot(*_few(self.at, said), ".", markersize=3, **how)


def _said(data: Fit, point: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """What the model says, ``(k,)``."""
    with jax.enable_x64(True):
        found = data.predict(jnp.asarray(point, float), columns)
    return np.broadcast_to(np.asarray(found), np.shape(next(iter(columns.values()))))


def _panels(ax: Axes | None) -> tuple[Panel, Any]:
    """Where the data are drawn, and what is left of them, which a user's axes have no room for."""
    if ax is not None:
        return one_panel(8.5, 6.5, ax), None
    figure = Figure(figsize=(8.5, 6.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    return Panel(figure, above, True), below


def _draw_left(axes: Any, along: _Along, point: np.ndarray, colour: str) -> None:
    data = along.data
    left = data.observed - _said(data, point, data.columns)
    unit = 1.0 if data.sigma is None else data.sigma
    axes.axhline(0, color="0.6", linewidth=0.8, zorder=1)
    size = 2 if len(left) > MANY else 4
    axes.plot(*_few(along.at, left / unit), "o", color=colour, markersize=size, alpha=0.8, zorder=2)
    axes.set_ylabel("left over" if data.sigma is None else "left over / σ")
    style.quiet(axes)


def _draw_bands(
    axes: Any, objective: Objective, along: _Along, point: np.ndarray, colour: str
) -> None:
    found = _surely(objective, point)
    if found is None or along.columns is None:
        return
    curve = _said(along.data, point, along.columns)
    narrow, wide = band(objective, found, along.columns)
    if along.data.sigma is None and not along.data.robust:
        axes.fill_between(
            along.grid, curve - wide, curve + wide, color=colour, alpha=0.10, linewidth=0, zorder=0,
            label="a new observation, 95%",
        )  # fmt: skip
    axes.fill_between(
        along.grid, curve - narrow, curve + narrow, color=colour, alpha=0.3, linewidth=0, zorder=1,
        label="the curve, 95%",
    )  # fmt: skip


def _surely(objective: Objective, point: np.ndarray) -> Regression | None:
    """The regression at the best fit; None where there is none to speak of."""
    if objective.residuals is None:
        return None
    try:
        found = regression(objective, point)
    except ArgumentError:
        return None
    sure = found.at_best and found.degrees_of_freedom > 0 and not found.undetermined
    return found if sure else None


def _draw_data(axes: Any, along: _Along) -> None:
    data = along.data
    how: dict[str, Any] = {"color": "white", "markeredgecolor": "black", "markersize": 6}
    if len(data.observed) > MANY:
        how = {"color": "black", "markersize": 2, "alpha": 0.5}
    x, y = _few(along.at, data.observed)
    if data.sigma is not None and len(data.observed) <= MANY:
        axes.errorbar(x, y, data.sigma, fmt="none", ecolor="0.3", elinewidth=0.9, zorder=3.5)
    axes.plot(x, y, "o", label="data", zorder=4 if len(x) <= MANY else 1.5, **how)


def _few(*columns: np.ndarray) -> list[np.ndarray]:
    """Every so manieth of the observations, where there are more than a picture shows."""
    return [np.asarray(column)[:: -(-len(column) // MOST)] for column in columns]
