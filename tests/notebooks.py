"""Notebooks, run by this Python and in a folder of their own."""

import json
import sys

import pytest
from nbclient import NotebookClient


def execute(notebook, folder):
    """Run every cell; the outputs are then in the notebook."""
    spec = folder / "kernels" / "this" / "kernel.json"
    spec.parent.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": command, "display_name": "this", "language": "python"}))
    folders = {name: str(folder) for name in ("JUPYTER_PATH", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in folders.items():
            patch.setenv(name, value)
        patch.delenv("MPLBACKEND", raising=False)
        NotebookClient(notebook, timeout=120, kernel_name="this").execute(cwd=folder)
