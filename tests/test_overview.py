"""The picture of a multirun: what suits the axes, and every job in it."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection, QuadMesh

import gdjax
from gdjax.plotting import overview

RNG = np.random.default_rng(0)
RATES, MOMENTA = (x.ravel() for x in np.meshgrid(np.geomspace(1e-3, 1, 6), np.linspace(0, 0.9, 5)))


def table(**columns):
    """Jobs with these settings; the first failed and the second diverged."""
    made = pd.DataFrame(columns)
    made["value"] = RNG.uniform(1, 2, len(made))
    made["outcome"] = "converged"
    made["failed"] = False
    made.loc[0, ["failed", "value"]] = True, np.nan
    made.loc[1, ["outcome", "value"]] = "diverged", 1e30
    return made


def marks(figure):
    """How many failed and lost jobs are marked."""
    lines = [line for panel in figure.axes for line in panel.get_lines()]
    return [
        sum(len(line.get_xdata()) for line in lines if line.get_marker() == marker)
        for marker in "x^"
    ]


KINDS = {  # settings; how many panels with axes, and what is drawn
    "a curve": (table(momentum=MOMENTA[::6]), 1, None),
    "lines": (table(momentum=np.tile(MOMENTA[::6], 3), objective=np.repeat([*"abc"], 5)), 1, None),
    "a map": (table(learning_rate=RATES, momentum=MOMENTA), 1, QuadMesh),
    "maps": (
        table(learning_rate=np.tile(RATES, 3), momentum=np.tile(MOMENTA, 3),
              objective=np.repeat([*"abc"], 30)), 3, QuadMesh,
    ),
    "a search": (table(learning_rate=RNG.uniform(size=30), momentum=RNG.uniform(size=30)), 1,
                 PathCollection),
    "a search of three": (table(a=RNG.uniform(size=30), b=RNG.uniform(size=30),
                                c=RNG.uniform(size=30)), 3, None),
    "words": (table(objective=[*"abcde"]), 1, None),
    "points": (table(start=["[1,2]", "[3,4]", "[5,6]"]), 1, None),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_job_is_in_the_picture_that_suits_its_settings(name):
    jobs, panels, drawn = KINDS[name]
    settings = [key for key in jobs if key not in ("value", "outcome", "failed")]
    figure = overview(jobs, settings)
    figure.canvas.draw()
    shown = [panel for panel in figure.axes if panel.axison and panel.get_label() != "<colorbar>"]
    assert len(shown) == panels
    assert marks(figure) == [panels if name == "a search of three" else 1] * 2
    assert figure.get_suptitle() == f"{len(jobs):,} jobs, 1 failed and 1 diverged"
    kinds = [type(artist) for panel in shown for artist in panel.collections]
    assert drawn is None or kinds == [drawn] * panels
    if drawn is None and "search" not in name:  # what was lost squeezes nothing
        assert np.ravel([panel.dataLim.intervaly for panel in shown]).max() < 30


def test_colours_go_by_quantile_so_that_one_large_value_hides_nothing():
    jobs = table(learning_rate=RATES, momentum=MOMENTA)
    jobs["value"] = 10.0 ** np.arange(len(jobs))
    (shades,) = [
        artist for panel in overview(jobs, ["learning_rate", "momentum"]).axes
        for artist in panel.collections if isinstance(artist, QuadMesh) and artist.norm.vmax > 1e9
    ][:1]  # fmt: skip
    colours = shades.cmap(shades.norm(np.ma.masked_invalid(jobs["value"][2:])))
    assert len({tuple(colour) for colour in colours.tolist()}) > 6


def test_tables_that_are_none_are_refused():
    jobs = table(momentum=[0.1, 0.2])
    with pytest.raises(gdjax.ArgumentError, match="table must have a column mu"):
        overview(jobs, ["mu"])
    with pytest.raises(gdjax.ArgumentError, match="table must have a job"):
        overview(jobs[:0], ["momentum"])
