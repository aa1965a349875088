"""The page as one file: markup, style, scripts and programs, with nothing to load."""

import base64
import json
import re
import zlib
from importlib import resources
from typing import Any

SCRIPTS = ("program.js", "formula.js", "maps.js", "surface.js", "app.js")


def document(catalogue: dict[str, Any]) -> str:
    """The page of a catalogue, HTML."""
    data = json.dumps(catalogue, separators=(",", ":"), allow_nan=False).encode()
    parts = {
        "style": _read("style.css"),
        "catalogue": base64.b64encode(zlib.compress(data, 9)).decode(),
        "script": "\n".join(_joined(_read(name)) for name in SCRIPTS),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _read("index.html"))


def _read(name: str) -> str:
    return (resources.files("gdjax.explorer") / "page" / name).read_text(encoding="utf-8")


def _joined(module: str) -> str:
    """A module as a part of one script: what it exports and imports is there already."""
    module = re.sub(r"^(import [^;]*|export \{[^}]*\});\n", "", module, flags=re.MULTILINE)
    return re.sub(r"^( *//.*\n| +|export )", "", module, flags=re.MULTILINE)
