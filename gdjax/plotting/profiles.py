"""Rankings drawn: profiles, the distribution of runtimes, ranks, and convergence over starts."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator, PercentFormatter

from gdjax._util.arguments import flag, gate, maybe, one_of, refused
from gdjax._util.errors import ArgumentError
from gdjax.comparison.ranking import Profile, Ranking
from gdjax.plotting import style
from gdjax.plotting.datasets import readable
from gdjax.plotting.figure import AnyFigure, Figure, one_panel

DASHED = 7  # an optimizer whose colour is of the palette's darker half is dashed as well
BANDS = 5  # more bands than that hide each other
RANKS = LinearSegmentedColormap.from_list("ranks", ["#0B4F7D", "#8FC1DE", "#F7F7F7"])
RANKING = one_of(Ranking, "be what gdjax.rank gives")
RATIOS = np.geomspace(1, 64, 181)


@gate(ranking=RANKING)
def performance_profiles(ranking: Ranking) -> AnyFigure:
    """Performance profiles, a panel for each precision τ; bands span the tuning seeds.

    At the left, the share of problems on which an optimizer is the fastest; at the right, the
    share that it solves at all within that factor of the fastest.

    Args:
        ranking: of ``gdjax.rank``.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Reference:
        ``gdjax.metrics.performance_profile``.
    """
    return _profiles(
        ranking,
        lambda tau: ranking.performance(RATIOS, tau),
        "times the evaluations of the fastest",
        f"Performance profiles: {_size(ranking)}",
    )


@gate(ranking=RANKING)
def data_profiles(ranking: Ranking) -> AnyFigure:
    """Data profiles, a panel for each precision τ; bands span the tuning seeds.

    Args:
        ranking: of ``gdjax.rank``.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Reference:
        ``gdjax.metrics.data_profile``.
    """
    budgets = simplex_gradients(ranking)
    return _profiles(
        ranking,
        lambda tau: ranking.data(budgets, tau),
        "evaluations / (dimension + 1)",
        f"Data profiles: {_size(ranking)}",
    )


def simplex_gradients(ranking: Ranking) -> np.ndarray:
    """The budgets of a data profile: from one evaluation to all, for every dimension."""
    ends = 1 / (ranking.dims.max() + 1), ranking.budget / (ranking.dims.min() + 1)
    return np.geomspace(*ends, 181)


@gate(ranking=RANKING)
def runtime_ecdf(ranking: Ranking, *, ax: Axes | None = None) -> AnyFigure:
    """The share of all (objective, start, target) met after so many evaluations.

    Args:
        ranking: of ``gdjax.rank``.
        ax: axes to draw in; by default those of a new figure.

    Returns:
        A matplotlib figure; nothing is shown or saved.
    """
    panel = one_panel(9.5, 5.2, ax)
    axes = panel.axes
    profile = ranking.runtime()
    _curves(axes, ranking, profile)
    axes.set(xlabel="evaluations", ylabel="share of targets met", xlim=(1, ranking.budget))
    first, last = ranking.targets[0], ranking.targets[-1]
    panel.title(
        f"Runtime: {_size(ranking)},\n{len(ranking.targets)} targets from {first:.2g} to "
        f"{last:.0e} of f(x₀) − {_least(ranking)}",
        12,
        above=True,
    )
    handles = _handles(ranking, _best_first(profile))
    if panel.own:
        panel.figure.legend(handles=handles, loc="outside right center", frameon=False)
    else:
        panel.legend(handles=handles)
    return panel.figure


@gate(ranking=RANKING)
def rank_table(ranking: Ranking, *, ax: Axes | None = None) -> AnyFigure:
    """Ranks as a heat map, objectives by optimizers, the best mean rank at the left.

    Args:
        ranking: of ``gdjax.rank``.
        ax: axes to draw in; by default those of a new figure.

    Returns:
        A matplotlib figure; nothing is shown or saved.
    """
    order, ranks = ranking.order, ranking.ranks
    p, o = ranks.shape
    figure, axes, _ = one_panel(max(2.6 + 0.62 * o, 5.2), 2.1 + 0.3 * p, ax)
    shown = np.vstack([ranks.mean(axis=0), ranks])[:, order]
    axes.imshow(shown, cmap=RANKS, vmin=1, vmax=max(o, 2), aspect="auto")
    for (i, j), value in np.ndenumerate(shown):
        dark = value < 1 + 0.35 * (o - 1)
        axes.text(
            j, i, f"{value:.1f}" if i == 0 else f"{value:g}", ha="center", va="center",
            color="white" if dark else "0.15", fontsize=9, weight="bold" if i == 0 else "normal",
        )  # fmt: skip
    axes.axhline(0.5, color="white", linewidth=4)
    labels = [ranking.optimizers[j] for j in order]
    axes.set_xticks(range(o), [readable(label) for label in labels], rotation=40, ha="left")
    axes.set_yticks(range(p + 1), ["mean rank", *map(readable, ranking.objectives)])
    axes.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    for tick, colour in zip(axes.get_xticklabels(), _colours(ranking, labels), strict=True):
        tick.set(rotation_mode="anchor", color=colour)
    axes.spines[:].set_visible(False)
    precisions = "τ = " + ", ".join(f"{t:g}" for t in ranking.tau)
    precisions = "the target" if ranking.by_target else precisions
    axes.set_xlabel(
        f"rank by mean evaluations to {precisions};\na failure counts {2 * ranking.budget:,}",
        fontsize=9,
    )
    return figure


@gate(ranking=RANKING, bands=maybe(flag))
def convergence_bands(
    ranking: Ranking, objectives: Sequence[str] | None = None, bands: bool | None = None
) -> AnyFigure:
    """Convergence over the held-out starts: the median of the gap that is left, in panels.

    Args:
        ranking: of ``gdjax.rank``.
        objectives: which; by default all of them.
        bands: whether to draw the quartiles too; by default for up to five optimizers.

    Returns:
        A matplotlib figure; nothing is shown or saved.

    Raises:
        ArgumentError: an objective that was not ranked on.
    """
    chosen = ranking.objectives if objectives is None else objectives
    if not isinstance(chosen, list | tuple) or not chosen:
        raise refused("objectives", "be a list of ranked ones", chosen)
    for name in chosen:
        if name not in ranking.objectives:
            raise ArgumentError(f"objectives must be ranked ones, got {name}")
    bands = len(ranking.optimizers) <= BANDS if bands is None else bands
    columns = min(4, len(chosen))
    rows = -(-len(chosen) // columns)
    width = max(3.0 * columns, 7.5)
    figure = Figure(figsize=(width + 2.0, max(2.1 * rows + 1.2, 4.2)), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    colours = _colours(ranking, ranking.optimizers)
    for panel, name in zip(panels.flat, chosen, strict=False):
        gaps = ranking.gaps[ranking.objectives.index(name)]
        for (low, middle, high), colour in zip(gaps, colours, strict=True):
            panel.plot(ranking.at, middle, color=colour, linestyle=_dash(colour), linewidth=1.6)
            if bands:
                panel.fill_between(ranking.at, low, high, color=colour, alpha=0.18, linewidth=0)
        panel.set_title(readable(name), fontsize=10)
        style.quiet(panel)
    for panel in panels.flat[len(chosen) :]:
        panel.set_visible(False)
    for panel in panels.flat[max(len(chosen) - columns, 0) : len(chosen)]:
        panel.tick_params(labelbottom=True)
    first = panels.flat[0]
    first.set(xscale="log", yscale="log", xlim=(1, ranking.budget), ylim=(1e-10, 1.6))
    first.yaxis.set_major_locator(LogLocator(numticks=6))
    first.yaxis.set_minor_locator(NullLocator())
    figure.supxlabel("evaluations", fontsize=11)
    least = _least(ranking)
    figure.supylabel(f"(best f − {least}) / (f(x₀) − {least})", fontsize=11)
    what = "median and quartiles" if bands else "median"
    figure.suptitle(f"Convergence, {what} over {_starts(ranking)}", fontsize=12)
    _legend(figure, ranking, ranking.order)
    return figure


RANKING_PICTURES: dict[str, Callable[[Ranking], AnyFigure]] = {
    "ranks": rank_table,
    "performance_profiles": performance_profiles,
    "data_profiles": data_profiles,
    "runtime_ecdf": runtime_ecdf,
    "convergence": convergence_bands,
}


def _profiles(
    ranking: Ranking, profile: Callable[[int], Profile], xlabel: str, title: str
) -> AnyFigure:
    count = len(ranking.tau)
    figure = Figure(figsize=(3.6 * count + 2.4, 4.4), layout="constrained")
    panels = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    found = [profile(t) for t in range(count)]
    for panel, tau, each in zip(panels, ranking.tau, found, strict=True):
        _curves(panel, ranking, each)
        panel.set_xlim(each.x[0], each.x[-1])
        told = ", ".join(dict.fromkeys(ranking.goals)) if ranking.by_target else f"τ = {tau:g}"
        panel.set_title(told, fontsize=11)
    panels[0].set_ylabel("share of problems solved")
    figure.supxlabel(xlabel, fontsize=11)
    figure.suptitle(title, fontsize=12)
    _legend(figure, ranking, _best_first(found[-1]))
    return figure


def _best_first(profile: Profile) -> np.ndarray:
    """The optimizers, those with the largest share in the end first, ``(o,)``."""
    return np.argsort(-profile.shares.mean(axis=1)[:, -1], kind="stable")


def _curves(axes: Axes, ranking: Ranking, profile: Profile) -> None:
    """For each optimizer the mean over tuning seeds, in a band from the least to the most."""
    for seeds, colour in zip(profile.shares, _colours(ranking, ranking.optimizers), strict=True):
        axes.step(
            profile.x, seeds.mean(axis=0), where="post", color=colour, linewidth=1.8,
            linestyle=_dash(colour),
        )  # fmt: skip
        axes.fill_between(
            profile.x, seeds.min(axis=0), seeds.max(axis=0), step="post", color=colour,
            alpha=0.13, linewidth=0,
        )  # fmt: skip
    style.quiet(axes)
    axes.set(xscale="log", ylim=(-0.01, 1.02))
    decades = np.log10(profile.x[-1] / profile.x[0])
    style.plain_logarithmic(axes.xaxis)
    if decades > 2:
        axes.xaxis.set_major_locator(LogLocator(numticks=7))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _legend(figure: AnyFigure, ranking: Ranking, order: np.ndarray) -> None:
    figure.legend(handles=_handles(ranking, order), loc="outside right center", frameon=False)


def _handles(ranking: Ranking, order: np.ndarray) -> list[Line2D]:
    labels = [ranking.optimizers[j] for j in order]
    return [
        Line2D([], [], color=colour, linestyle=_dash(colour), linewidth=2, label=readable(label))
        for label, colour in zip(labels, _colours(ranking, labels), strict=True)
    ]


def _colours(ranking: Ranking, labels: Sequence[str]) -> list[str]:
    """The colours of these labels, the same in every picture of the ranking."""
    colours = style.colours(ranking.optimizers)
    return [colours[label] for label in labels]


def _dash(colour: str) -> Literal["-", "--"]:
    return "-" if style.PALETTE.index(colour) < DASHED else "--"


def _least(ranking: Ranking) -> str:
    """What gaps are measured from."""
    return "target" if ranking.by_target else "f*"


def _size(ranking: Ranking) -> str:
    return f"{_many(len(ranking.objectives), 'objective')}, {_starts(ranking)}"


def _starts(ranking: Ranking) -> str:
    _, _, seeds, held_out, _ = ranking.costs.shape
    each = " each" if len(ranking.objectives) > 1 else ""
    return f"{_many(held_out, 'held-out start')}{each}, {_many(seeds, 'tuning')}"


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"
