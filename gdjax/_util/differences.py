"""At which keys two JSON values differ, in words."""

import reprlib
from typing import Any


def differences(there: Any, here: Any, name: str = "") -> list[str]:
    """For each key at which two JSON values differ, a phrase with both sides.

    Example:
        >>> differences({"steps": 3, "plot": {"dpi": 10}}, {"steps": 5, "plot": {"dpi": 10}})
        ['steps is 3 there and 5 here']
    """
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        there, here = ({f"[{i}]": item for i, item in enumerate(x)} for x in (there, here))
    if isinstance(there, dict) and isinstance(here, dict):
        return [
            phrase
            for key in {**there, **here}
            for phrase in differences(
                there.get(key, "absent"),
                here.get(key, "absent"),
                name + str(key) if str(key).startswith("[") else f"{name}.{key}".lstrip("."),
            )
        ]
    if there == here or (there != there and here != here):  # NaN is no difference to NaN
        return []
    return [f"{name} is {reprlib.repr(there)} there and {reprlib.repr(here)} here"]


def few(phrases: list[str], most: int = 8) -> str:
    """Phrases in one line, the first of many."""
    more = [f"and {len(phrases) - most} more"] if len(phrases) > most else []
    return "; ".join(phrases[:most] + more)
