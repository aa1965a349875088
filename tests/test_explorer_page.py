"""The page in a browser: what a person clicks, drags, types and presses, and what it then shows."""

import csv
import io
import json
import os
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
from playwright import sync_api
from test_notebook import executed

import gdjax
from gdjax import objectives

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
SOFTWARE = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SIZES = [(1280, 720), (820, 1180), (390, 844)]
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        not BROWSER and "CI" not in os.environ, reason="install chromium: apt-get install chromium"
    ),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return gdjax.explore().save(tmp_path_factory.mktemp("page") / "all.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=BROWSER, args=SOFTWARE)
        yield made
        made.close()


class Shown:
    """A page that is open; whatever it asks for or complains about fails the test."""

    def __init__(self, browser, address, size=SIZES[0], **how):
        self.complaints, self.asked = [], []
        width, height = size
        self.page = browser.new_page(viewport={"width": width, "height": height}, **how)
        self.page.on(
            "console", lambda m: self.complaints.append(m.text) if m.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)
        self.settle()

    def settle(self):
        painted = "() => (document.body.dataset.painted ?? '').startsWith('fine')"
        try:
            self.page.wait_for_function(painted, timeout=120_000)
        except sync_api.TimeoutError:
            raise TimeoutError(self.complaints) from None
        return self

    def rows(self):
        return [row.split("\t") for row in self.page.inner_text("#readout tbody").splitlines()]

    def outcomes(self):
        return [row[-1] for row in self.rows()]

    def press(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()
        return self.settle()

    def state(self):
        return json.loads(self.page.evaluate("decodeURIComponent(location.hash.slice(1))"))

    def ink(self, canvas, colour):
        """How many pixels of a canvas are of about a colour."""
        data = self.page.evaluate(
            """(id) => {const c = document.getElementById(id);
            return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]}""",
            canvas,
        )
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        return int((np.abs(np.reshape(data, (-1, 4))[:, :3] - wanted).max(axis=1) < 40).sum())

    def close(self):
        self.page.close()
        assert not self.complaints
        assert all(url.startswith(("file:", "blob:", "data:")) for url in self.asked), self.asked


@pytest.fixture(params=["", "?nogl"], ids=["shaders", "without"])
def shown(browser, file, request):
    made = Shown(browser, file + request.param)
    yield made
    made.close()


def test_what_a_person_does_by_mouse(shown):
    """The trap, the escape and the fall back; start, zoom and view; a play that can be paused."""
    assert shown.outcomes() == ["a local minimum"]
    assert shown.press("The escape").outcomes() == ["the global minimum", "a local minimum"]
    slider = shown.page.locator("[data-name=momentum]").first
    slider.fill(str(0.7 / 0.999))
    assert shown.settle().outcomes()[0] == "a local minimum"
    assert "still moving" in shown.press("Overshoot").outcomes()[0]
    assert shown.press("A bowl").outcomes() == ["the global minimum"]

    box = shown.press("The trap").page.locator("#map").bounding_box()
    shown.page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    x, y = shown.settle().state()["start"]
    low, high = objectives.get("qfsp").domain[0]
    assert abs(x - (low + (high - low) / 4)) < 0.2
    assert abs(y) < 0.2
    shown.page.mouse.wheel(0, -400)
    left, _, right, _ = shown.settle().state()["box"]
    assert right - left < high - low
    shown.press("Zoom out").press("whole domain")
    assert shown.state()["box"] is None

    box = shown.page.locator("#stability").bounding_box()
    shown.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    rate = shown.settle().state()["optimizers"][0]["numbers"]["learning_rate"]
    assert rate == pytest.approx(np.sqrt(1e-4 * 3), rel=0.05)  # the middle of a logarithmic axis
    shown.press("The trap").page.click("#play")
    shown.page.wait_for_function("() => document.getElementById('at').value > 3")
    shown.page.click("#play")
    assert shown.page.inner_text("#play") == "▶"


def test_everything_is_reached_by_keys(browser, file):
    shown = Shown(browser, file, reduced_motion="reduce")
    seen = []
    for _ in range(60):
        shown.page.keyboard.press("Tab")
        focused = shown.page.evaluate("""() => {const e = document.activeElement;
            return [e.id || e.dataset.name || e.ariaLabel || e.textContent,
                    e === document.body || e.matches(':focus-visible')]}""")
        assert focused[1], focused
        seen.append(focused[0])
    assert {
        "The trap", "copy-link", "save", "find", "objective", "formula", "start x", "start y",
        "optimizer 1", "learning_rate", "add", "steps", "dtype", "arrows", "closer", "farther",
        "whole", "map", "play", "back", "on", "at", "surface", "stability",
    } <= set(seen)  # fmt: skip
    unnamed = shown.page.evaluate("""() => [...document.querySelectorAll(
        'button, input, select, canvas')].filter((e) => !e.ariaLabel && !e.labels?.length
        && !e.textContent.trim()).map((e) => e.id)""")
    assert unnamed == []
    start = shown.state()["start"]
    shown.page.locator("#map").press("ArrowRight")
    assert shown.settle().state()["start"][0] > start[0]
    shown.page.locator("#map").press("+")
    shown.page.locator("#map").press("Shift+ArrowUp")
    assert shown.settle().state()["box"][3] != objectives.get("qfsp").domain[1][1]
    shown.page.locator("#map").press("0")
    assert shown.settle().state()["box"] is None
    rate = shown.state()["optimizers"][0]["numbers"]["learning_rate"]
    shown.page.locator("#stability").press("ArrowRight")
    assert shown.settle().state()["optimizers"][0]["numbers"]["learning_rate"] > rate
    azimuth = shown.page.evaluate("gdjax.state.azimuth")
    shown.page.locator("#surface").press("ArrowLeft")
    assert shown.page.evaluate("gdjax.state.azimuth") != azimuth
    shown.close()


def test_what_is_chosen_is_in_the_address_and_can_be_taken_away(browser, file):
    shown = Shown(browser, file)
    shown.page.select_option("#objective", "himmelblau")
    shown.settle().press("Add an optimizer").page.select_option("#dtype", "float64 and float32")
    assert "float32" in shown.settle().outcomes()[0]
    wanted = shown.state()
    again = Shown(browser, file + shown.page.evaluate("location.hash"))
    assert (again.state(), again.rows()) == (wanted, shown.rows())
    again.close()
    odd = [{}, [], 3, wanted | {"steps": 10**9}, wanted | {"box": [1, 1, 0, 0]},
           wanted | {"start": ["1", 2]}, wanted | {"optimizers": [{"name": "nope"}]},
           wanted | {"axes": [0, 0]}, wanted | {"objective": "__proto__"}]  # fmt: skip
    for one in odd:
        other = Shown(browser, f"{file}#{json.dumps(one)}")
        assert other.state()["objective"] == "qfsp"
        other.close()

    saved = {}
    for kind in ("png", "svg", "csv"):
        with shown.page.expect_download() as waited:
            shown.page.select_option("#save", kind)
        saved[kind] = waited.value.path().read_bytes()
    assert saved["png"].startswith(b"\x89PNG")
    drawn = ElementTree.fromstring(saved["svg"])
    assert len(drawn.findall("{http://www.w3.org/2000/svg}polyline")) == 2
    rows = [*csv.DictReader(io.StringIO(saved["csv"].decode()))]
    assert len(rows) == 2 * (wanted["steps"] + 1)
    copied = []
    shown.page.on("dialog", lambda box: (copied.append(box.default_value), box.dismiss()))
    shown.page.evaluate("delete Navigator.prototype.clipboard")
    for name in ("Copy as Python", "Copy as gdjax command"):
        shown.page.get_by_role("button", name=name).click()
        shown.page.wait_for_timeout(200)
    told = {}
    exec(copied[0], told)  # what it says is what the page shows
    mine = [float(rows[wanted["steps"]][key]) for key in ("x", "y")]
    np.testing.assert_allclose(told["path1"].points[-1], mine, atol=1e-9)
    assert copied[1].startswith("gdjax run objective=himmelblau optimizer=gradient_descent")
    shown.close()


def test_a_formula_is_drawn_as_it_is_typed_and_a_wrong_one_is_told(browser, file):
    shown = Shown(browser, file)
    shown.page.fill("#formula", "sin(x)*cos(y) + (x**2+y**2)/20")
    assert shown.settle().state()["formula"].startswith("sin(x)")
    assert shown.outcomes() == ["a local minimum"]
    for text, told in {
        "sin(x": ") is missing",
        "x^2": "write **",
        "toString(x)": "unknown function",
    }.items():
        shown.page.fill("#formula", text)
        assert told in shown.page.inner_text("#wrong")
    assert shown.state()["formula"].startswith("sin(x)")  # the last good one stays
    for text, axes in {"x**4 - x**2": 0, "x**2 + y**2 + z**2 + sin(w)": 2}.items():
        shown.page.fill("#formula", text)
        assert shown.settle().page.locator("#axes select").count() == axes
        assert shown.page.locator("#surface").is_visible() == (axes > 0)
    shown.page.select_option("#axes select >> nth=0", "2")
    assert shown.settle().state()["axes"] == [2, 1]
    shown.close()


@pytest.mark.parametrize("optimizer", [("gradient_descent", 0.01), ("heavy_ball", 0.01)])
def test_basins_are_those_of_a_sweep(browser, file, optimizer):
    name, rate = optimizer
    f = objectives.get("himmelblau")
    made = gdjax.optimizers.get(name, learning_rate=rate)
    chosen = {"objective": "himmelblau", "formula": "", "start": list(f.start), "steps": 400,
              "optimizers": [{"name": name, "numbers": dict(made.numbers)}], "map": "contours",
              "dtype": "float64", "axes": [0, 1], "box": None}  # fmt: skip
    count = 100
    xs, ys = (
        low + (high - low) * (np.arange(count) + 0.5) / count for low, high in np.array(f.domain)
    )
    starts = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    result = gdjax.sweep(f, made, starts=starts, steps=400, dtype="float64")
    truth = np.asarray(result["minimum"]).reshape(-1)
    for query in ("", "?nogl"):
        shown = Shown(browser, file + query + "#" + json.dumps(chosen))
        became = np.array(shown.page.evaluate(f"[...gdjax.classes({count})]"))
        shown.close()
        assert len(became) == len(truth)
        assert (np.where(became < 250, became, -1) == truth).mean() >= 0.999


def test_a_path_behind_a_hill_is_hidden_by_it(browser, file):
    """From the far side of a bump the path's colour is not to be seen, from the near side it is."""
    shown = Shown(browser, file)
    shown.page.fill("#formula", "9*exp(-(x**2+y**2)/4) + 0.01*(x-6)**2")
    seen = []
    for azimuth in (0.0, np.pi):
        shown.page.evaluate(f"gdjax.look({azimuth}, 0.25, [0, 5])")
        seen.append(shown.settle().ink("surface", "#D55E00"))
    assert min(seen) < max(seen) / 2
    shown.close()


def test_every_objective_compiles_in_every_map(browser, file):
    shown = Shown(browser, file)
    for name in objectives.names():
        shown.page.evaluate(
            """(name) => {const select = document.getElementById('objective');
            for (const map of ['basins', 'contours']) {
              Object.assign(gdjax.state, { map });
              select.value = name;
              select.onchange();
              gdjax.paint();
            }}""",
            name,
        )
        assert shown.state()["objective"] == name
        assert not shown.complaints, name
    shown.close()


def test_a_map_without_shaders_gives_way_to_the_next_one(browser, file):
    """A thread that draws for a setting that is gone stops, and the last one is what is shown."""
    shown = Shown(browser, f"{file}?nogl")
    shown.page.check("[name=map][value=basins]")
    for value in (0.3, 0.4, 0.5, 0.72):
        shown.page.locator("[data-name=learning_rate]").fill(str(value))
        shown.page.wait_for_timeout(30)
    shares = shown.settle().page.inner_text("#shares")
    again = Shown(browser, f"{file}?nogl{shown.page.evaluate('location.hash')}")
    assert again.page.inner_text("#shares") == shares
    assert "%" in shares
    again.close()
    shown.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen(browser, file, scheme):
    shown = Shown(browser, file, color_scheme=scheme)
    for width, height in SIZES:
        shown.page.set_viewport_size({"width": width, "height": height})
        for name in ("The escape", "A saddle"):
            assert shown.press(name).page.evaluate("document.documentElement.scrollWidth") <= width
    shown.close()


def test_a_notebook_shows_a_page_that_works(browser, tmp_path):
    source = 'import gdjax\ngdjax.explore("himmelblau", gdjax.heavy_ball(0.01))'
    (output,) = executed({"page": source}, tmp_path)["page"]
    file = tmp_path / "notebook.html"
    file.write_text(f"<!doctype html><body>{output.data['text/html']}</body>", encoding="utf-8")
    complaints = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    inside = page.frame_locator("iframe")
    before = inside.locator("#readout tbody").inner_text()
    assert before.startswith("heavy ball")
    inside.locator("[data-name=learning_rate]").first.fill("0.2")
    page.wait_for_timeout(1000)
    assert inside.locator("#readout tbody").inner_text() != before
    assert complaints == []
    page.close()
