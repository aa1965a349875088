"""Where the descents of a fit came to rest: the distinct minima of many starts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from gdjax import metrics
from gdjax._descent.outcomes import Outcome
from gdjax._util.display import aligned
from gdjax.objectives import Objective

AT_REST = (Outcome.CONVERGED, Outcome.DEGENERATE, Outcome.PLATEAU, Outcome.STALLED)
MOST_ENDS = 100_000  # descents that are looked at: their places are told apart one by one
SHOWN_ENDS = 5


def described(works: Sequence[Objective], found: xr.Dataset) -> list[dict[str, Any]]:
    """Where descents came to rest, the lowest first, with how many did; of a fit alone."""
    wanted = {"final_point", "final_value", "outcome"}
    if len(works) > 1 or works[0].fit is None or not wanted <= {*found.data_vars}:
        return []
    points = found.final_point.values.reshape(-1, works[0].dim)
    values, outcome = found.final_value.values.ravel(), found.outcome.values.ravel()
    rest = np.isin(outcome, AT_REST) & np.isfinite(values)
    rest &= np.cumsum(rest) <= MOST_ENDS
    ends = metrics.distinct(points[rest], values[rest], works[0].width)
    return [
        {
            "value": float(value),
            "point": dict(zip(works[0].variables, map(float, point), strict=True)),
            "descents": int(number),
            "share": float(number / values.size),
        }
        for point, value, number in zip(*ends, strict=True)
    ]


def table(ends: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same as lines of text."""
    rows = [("", "value", "reached by", "at")]
    for i, end in enumerate(ends[:SHOWN_ENDS]):
        at = ", ".join(f"{name}={x:.6g}" for name, x in [*end["point"].items()][:6])
        share = f"{100 * end['share']:.3g} %"
        rows.append(("best" if i == 0 else "", f"{end['value']:.8g}", share, at))
    more = len(ends) - SHOWN_ENDS
    rest = [f"and {more:,} higher ones, in summary.json"] if more > 0 else []
    return ["where descents came to rest:", aligned(rows), *rest]
