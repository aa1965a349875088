"""A notebook that is run: pictures and results show themselves in it."""

import base64
import os
import pickle
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
from notebooks import execute

import gdjax
from gdjax import plotting
from gdjax.plotting.figure import AnyFigure, Figure, Figures

PNG = b"\x89PNG\r\n"
QFSP = gdjax.objectives.get("qfsp")

# What is typed into each cell, by a name for it; one notebook, since a kernel takes a while.
CELLS = {
    "first": """
        import gdjax
        f = gdjax.objectives.get("qfsp")
        path = gdjax.descend(f, gdjax.heavy_ball(0.1), steps=30)
        gdjax.plotting.trajectory(f, path)""",
    "no pyplot": "import sys; 'matplotlib.pyplot' in sys.modules",
    "path": "path",
    "objective": "f",
    "comparison": """
        found = gdjax.compare(f, {"<b>plain</b>": gdjax.gradient_descent(0.1)}, steps=30)
        found""",
    "table": "gdjax.objectives.table()",
    "shown": "figure = gdjax.plotting.convergence(f, found.paths); figure.show()",
    "several": "gdjax.plotting.figure.Figures(convergence=figure)",
    "silent": "figure;",
    "pyplot": "import matplotlib.pyplot as plt\nfigure",
    "inline": "%matplotlib inline\nfigure",
    "shown inline": "figure.show()",
    "of pyplot": "plt.plot([1, 2]); None",
    "pickled": "import pickle\npickle.loads(pickle.dumps(figure))",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What each cell put out."""
    return executed(CELLS, tmp_path_factory.mktemp("jupyter"))


def executed(cells, folder):
    """What each cell of a notebook puts out, by the names of the cells."""
    made = [nbformat.v4.new_code_cell(_dedented(source)) for source in cells.values()]
    notebook = nbformat.v4.new_notebook(cells=made)
    execute(notebook, folder)
    return {name: cell.outputs for name, cell in zip(cells, notebook.cells, strict=True)}


def _dedented(source):
    return "\n".join(line.removeprefix(" " * 8) for line in source.strip("\n").splitlines())


@pytest.mark.parametrize(
    "cell", ["first", "shown", "pyplot", "inline", "shown inline", "of pyplot", "pickled"]
)
def test_a_picture_is_shown_once(outputs, cell):
    (output,) = outputs[cell]
    assert base64.b64decode(output.data["image/png"]).startswith(PNG)
    assert output.data["text/plain"].startswith("<Figure size")


def test_pyplot_was_not_loaded_for_it(outputs):
    assert outputs["no pyplot"][0].data["text/plain"] == "False"
    assert outputs["silent"] == []


@pytest.mark.parametrize(
    ("cell", "title", "text"),
    [
        ("path", "Trajectory: max_steps after 30 steps", "float32 (31, 2)"),
        ("objective", "Objective qfsp", "x^2 + y^2"),
        ("comparison", "Comparison on qfsp", "<b>plain</b>"),
        ("table", "Table of", "rosenbrock"),
    ],
)
def test_a_result_is_a_table(outputs, cell, title, text):
    (output,) = outputs[cell]
    page = "".join(ElementTree.fromstring(output.data["text/html"]).itertext())
    assert page.startswith(title)
    assert text in page
    assert output.data["text/plain"].startswith(title)  # for a console


def test_several_pictures_are_shown_by_their_names(outputs):
    (output,) = outputs["several"]
    page = ElementTree.fromstring(output.data["text/html"])
    assert page.findtext("figcaption") == "convergence"
    picture = page.find("img").get("src").removeprefix("data:image/png;base64,")
    assert base64.b64decode(picture).startswith(PNG)


# ---- Elsewhere -----------------------------------------------------------------------------

WINDOW = """
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

class FigureManager(FigureManagerBase):
    @classmethod
    def pyplot_show(cls, *, block=None):
        from matplotlib import pyplot
        for number in pyplot.get_fignums():
            figure = pyplot.figure(number)
            print("window of", type(figure).__module__, *figure.get_size_inches())
            pyplot.close(figure)  # as a person does

class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager
"""
SHOW = """
from gdjax.plotting.figure import Figure
figure = Figure(figsize=(3, 2))
figure.subplots().plot([1, 2])
figure.show()
figure.show()
figure.savefig("figure.png")
"""


def show(folder, backend):
    (folder / "a_window.py").write_text(WINDOW)
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment |= {"PYTHONPATH": str(folder)} | ({"MPLBACKEND": backend} if backend else {})
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        capture_output=True, text=True, cwd=folder, env=environment, check=True,
    )  # fmt: skip
    assert (folder / "figure.png").read_bytes().startswith(PNG)
    return done.stdout, done.stderr


def test_at_a_terminal_it_opens_a_window_as_often_as_asked(tmp_path):
    out, err = show(tmp_path, "module://a_window")
    assert out == "window of gdjax.plotting.figure 3.0 2.0\n" * 2
    assert err == ""


@pytest.mark.parametrize("backend", [None, "tkagg"])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
def test_without_a_display_it_says_what_to_do(tmp_path, backend):
    out, err = show(tmp_path, backend)
    assert out == ""
    line = "there is no display to show it on; save it: figure.savefig('figure.png')\n"
    assert err == 2 * line


def test_every_picture_is_one_that_shows_itself():
    path = gdjax.descend(QFSP, gdjax.heavy_ball(0.1), steps=5)
    figure = plotting.trajectory(QFSP, path)
    assert isinstance(figure, Figure)
    annotations = {n: getattr(plotting, n).__annotations__ for n in plotting.__all__ if n.islower()}
    drawn = {n: a["return"] for n, a in annotations.items() if n not in ("save", "check_output")}
    assert {*drawn.values()} == {Figure, AnyFigure, Figures, plotting.Animation}
    made = [
        (file.name, line)
        for file in Path(plotting.__file__).parent.glob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line == "from matplotlib.figure import Figure" and file.name != "style.py"
    ]
    assert made == []


def test_a_picture_can_be_pickled_and_is_the_same_picture(tmp_path):
    figure = plotting.gradient_field(QFSP)
    again = pickle.loads(pickle.dumps(figure))
    assert type(again) is Figure
    assert again._repr_png_() == figure._repr_png_()
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes() == figure._repr_png_()


def test_the_pictures_of_a_sweep_are_shown_together():
    found = gdjax.sweep("sphere", gdjax.heavy_ball(0.1), starts=np.ones((8, 2)), steps=300)
    figures = plotting.sweep_pictures(found, "sphere", ["steps"])
    assert type(figures) is Figures
    assert figures._repr_html_().count("<img") == 1
