"""The page as one file: markup, style, scripts and programs, with nothing to load."""

import base64
import json
import re
import zlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

CORE = "program.js", "maps.js"  # what the thread runs that draws where there are no shaders
APP = "formula.js", "surface.js", "app.js"


def document(catalogue: dict[str, Any]) -> str:
    """The page of a catalogue, HTML."""
    parts = {"core": script(CORE), "app": script(APP), "catalogue": catalogue}
    told = json.dumps(parts, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    packed = base64.b64encode(zlib.compress(told.encode(), 9)).decode()
    filled = {"style": _read("style.css"), "packed": packed}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: filled[found[1]], _read("index.html"))


def script(names: Sequence[str]) -> str:
    """Some modules of the page as one script."""
    return "\n".join(_joined(_read(name)) for name in names) + "\n"


def _read(name: str) -> str:
    return (resources.files("gdjax.explorer") / "page" / name).read_text(encoding="utf-8")


def _joined(module: str) -> str:
    """A module as a part of one script: what it exports and imports is there already."""
    module = re.sub(r"^(import [^;]*|export \{[^}]*\});\n", "", module, flags=re.MULTILINE)
    return re.sub(r"^( *//.*\n| +|export )", "", module, flags=re.MULTILINE)
