"""Where results come from, and how that is written down as JSON."""

import datetime
import json
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from gdjax._util.version import versions


def provenance() -> dict[str, str]:
    """Where results come from: versions (JSON), devices and the time, as attrs.

    Example:
        >>> sorted(provenance())
        ['created', 'devices', 'versions']
    """
    devices = jax.devices()
    return {
        "versions": json.dumps(versions()),
        "devices": f"{len(devices)} × {devices[0].device_kind}",
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def to_json(value: Any) -> Any:
    """``value`` in JSON's own types; what JSON cannot say is written as zarr writes it.

    Example:
        >>> to_json({"fmin": math.nan, "rates": np.array([0.5, 1.0]), "domain": ((-1, 1),)})
        {'fmin': 'NaN', 'rates': [0.5, 1.0], 'domain': [[-1, 1]]}
    """
    if type(value) in (str, int, bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return to_json(value.tolist())
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def numbers(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Attrs as they were before ``to_json``: NaN and infinity are numbers again, in lists too."""
    return {name: _number(value) for name, value in attrs.items()}


def holdable(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Attrs as netCDF holds them too: numbers, text, lists of either, and the rest as JSON.

    None is left out, and truth values are 1 and 0.

    Example:
        >>> holdable({"domain": [[-1, 1]], "seed": None, "complete": True, "shape": [3, 3]})
        {'domain': '[[-1, 1]]', 'complete': 1, 'shape': [3, 3]}
    """
    return {name: _holdable(value) for name, value in attrs.items() if value is not None}


def _holdable(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    flat = isinstance(value, list) and all(type(item) in (int, float, str) for item in value)
    return value if flat or isinstance(value, str | int | float) else json.dumps(to_json(value))


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return [_number(item) for item in value]
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value
