"""The rooms of the package: imports run downwards only, with no circle, and files have one name."""

import ast
import collections
import graphlib
from pathlib import Path

import gdjax

ROOT = Path(gdjax.__file__).parent
LAYERS = (
    ("_util", "_compiler"),
    ("objectives", "optimizers", "theory", "metrics", "curvature"),
    ("_inputs", "starts"),
    ("_descent", "stationary", "certificates", "regressions"),
    ("_kernels", "results"),
    ("_sweep",),
    ("comparison", "hypergradients", "training"),
    ("plotting", "explorer"),
    ("cli",),
)
LEVELS = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def module(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module(file): file for file in ROOT.rglob("*.py")}
TREES = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in FILES.items()}
INSIDE = sorted(FILES.keys() - {"gdjax"})  # what loads the public names is above all of them


def imported(node: ast.AST) -> list[str]:
    """What one node imports, by full names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def found(name: str) -> str:
    """The module of the package that a full name belongs to."""
    return name if name in FILES else name.rpartition(".")[0]


def imports(name: str) -> set[str]:
    """The modules of the package that a module imports: at its top, in functions, for types."""
    names = {full for node in ast.walk(TREES[name]) for full in imported(node)}
    return {found(full) for full in names if full.split(".")[0] == "gdjax"} - {name}


def room(name: str) -> str:
    return name.split(".")[1]


def test_every_room_has_its_layer():
    assert {room(name) for name in INSIDE} == LEVELS.keys()


def test_imports_make_no_circle():
    graph = {name: imports(name) for name in INSIDE}
    assert sum(map(len, graph.values())) > 100
    list(graphlib.TopologicalSorter(graph).static_order())


def test_imports_run_downwards_only():
    upward = [
        f"{name} imports {other}"
        for name in INSIDE
        for other in imports(name)
        if other == "gdjax" or LEVELS[room(other)] > LEVELS[room(name)]
    ]
    assert upward == []


def test_no_two_modules_share_a_file_name():
    names = collections.Counter(file.name for file in FILES.values())
    assert [name for name, count in names.items() if count > 1] == ["__init__.py"]


def test_only_the_command_line_imports_hydra():
    users = {
        room(name)
        for name in INSIDE
        for node in ast.walk(TREES[name])
        for full in imported(node)
        if full.split(".")[0] in ("hydra", "omegaconf")
    }
    assert users == {"cli"}


def test_only_plotting_imports_matplotlib_when_it_is_loaded():
    users = {
        room(name)
        for name in INSIDE
        for node in TREES[name].body
        for full in imported(node)
        if full.split(".")[0] == "matplotlib"
    }
    assert users == {"plotting"}
