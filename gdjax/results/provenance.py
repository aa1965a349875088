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


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return [_number(item) for item in value]
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value
