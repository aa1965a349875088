"""What a command left in a folder, for studies: its summary, its paths, its sweep."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import gdjax


def summary(folder: Path) -> dict[str, Any]:
    """The numbers that the command told."""
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def swept(folder: Path) -> xr.Dataset:
    """The results of a sweep."""
    return gdjax.open_results(summary(folder)["store"])


def arrays(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of ``run`` or ``compare``."""
    with np.load(folder / "trajectory.npz") as found:
        return dict(found)
