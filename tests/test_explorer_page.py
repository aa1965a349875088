"""The page in a browser: what a person clicks, drags and types, and what the page then shows."""

import json
import os
import shutil

import numpy as np
import pytest
from playwright import sync_api

import gdjax
from gdjax import objectives

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
SOFTWARE = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
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

    def __init__(self, browser, address, size=(1280, 720), **how):
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
        self.page.wait_for_timeout(300)
        for _ in range(600):
            if str(self.page.evaluate("document.body.dataset.painted")).startswith("fine"):
                return self
            self.page.wait_for_timeout(100)
        raise TimeoutError(self.complaints)

    def rows(self):
        return [row.split("\t") for row in self.page.inner_text("#readout tbody").splitlines()]

    def state(self):
        return json.loads(self.page.evaluate("decodeURIComponent(location.hash.slice(1))"))

    def pixel(self, canvas, x, y):
        """The colour at shares of the width and height."""
        return self.page.evaluate(
            """([id, x, y]) => {const c = document.getElementById(id);
            return [...c.getContext('2d').getImageData(c.width * x, c.height * y, 1, 1).data]}""",
            [canvas, x, y],
        )

    def close(self):
        self.page.close()
        assert not self.complaints
        assert all(url.startswith(("file:", "blob:", "data:")) for url in self.asked), self.asked


@pytest.fixture
def shown(browser, file):
    made = Shown(browser, file)
    yield made
    made.close()


def test_the_trap_the_escape_and_the_fall_back(shown):
    assert shown.rows()[0][-1] == "a local minimum"
    shown.page.get_by_role("button", name="The escape").click()
    assert [row[-1] for row in shown.settle().rows()] == ["the global minimum", "a local minimum"]
    slider = shown.page.locator("[data-name=momentum]").first
    slider.fill(str(0.7 / 0.999))
    assert shown.settle().rows()[0][-1] == "a local minimum"


def test_a_click_sets_the_start_keys_move_it_and_the_wheel_zooms(shown):
    box = shown.page.locator("#map").bounding_box()
    shown.page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    x, y = shown.settle().state()["start"]
    low, high = objectives.get("qfsp").domain[0]
    assert abs(x - (low + (high - low) / 4)) < 0.2
    assert abs(y) < 0.2
    shown.page.locator("#map").press("ArrowRight")
    assert shown.settle().state()["start"][0] > x
    shown.page.mouse.wheel(0, -400)
    left, _, right, _ = shown.settle().state()["box"]
    assert right - left < high - low
    shown.page.get_by_role("button", name="whole domain").click()
    assert shown.settle().state()["box"] is None


def test_a_link_brings_back_what_was_chosen(browser, shown, file):
    shown.page.select_option("#objective", "himmelblau")
    shown.settle().page.get_by_role("button", name="Add an optimizer").click()
    shown.settle().page.select_option("#dtype", "float32")
    wanted = shown.settle().state()
    again = Shown(browser, file + shown.page.evaluate("location.hash"))
    assert again.state() == wanted
    assert again.rows() == shown.rows()
    again.close()


def test_a_formula_is_drawn_as_it_is_typed_and_a_wrong_one_is_told(shown):
    shown.page.fill("#formula", "sin(x)*cos(y) + (x**2+y**2)/20")
    assert shown.settle().state()["formula"].startswith("sin(x)")
    assert shown.rows()[0][-1] == "a local minimum"
    for text, told in {
        "sin(x": ") is missing",
        "x^2": "write **",
        "toString(x)": "unknown function",
    }.items():
        shown.page.fill("#formula", text)
        assert told in shown.page.inner_text("#wrong")
    assert shown.state()["formula"].startswith("sin(x)")  # the last good one stays


@pytest.mark.parametrize("optimizer", [("gradient_descent", 0.01), ("heavy_ball", 0.01)])
def test_basins_are_those_of_a_sweep(browser, file, optimizer):
    name, rate = optimizer
    f = objectives.get("himmelblau")
    numbers = gdjax.optimizers.get(name, learning_rate=rate).numbers
    chosen = {"objective": "himmelblau", "formula": "", "start": list(f.start), "steps": 400,
              "optimizers": [{"name": name, "numbers": dict(numbers)}], "map": "contours",
              "dtype": "float64", "axes": [0, 1], "box": None}  # fmt: skip
    count = 100
    (x0, x1), (y0, y1) = f.domain
    xs, ys = (
        low + (high - low) * (np.arange(count) + 0.5) / count for low, high in ((x0, x1), (y0, y1))
    )
    starts = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    made = gdjax.optimizers.get(name, learning_rate=rate)
    result = gdjax.sweep(f, made, starts=starts, steps=400, dtype="float64")
    truth = np.asarray(result["minimum"]).reshape(-1)
    for query in ("", "?nogl"):
        shown = Shown(browser, file + query + "#" + json.dumps(chosen))
        became = np.array(shown.page.evaluate(f"[...gdjax.classes({count})]"))
        shown.close()
        assert len(became) == len(truth)
        assert (np.where(became < 250, became, -1) == truth).mean() >= 0.999


def test_a_path_behind_a_hill_is_hidden_by_it(shown):
    """From the far side of a bump the path's colour is not to be seen, from the near side it is."""
    shown.page.fill("#formula", "9*exp(-(x**2+y**2)/4) + 0.01*(x-6)**2")
    ink = np.array([0xD5, 0x5E, 0x00])
    seen = {}
    for side, azimuth in {"near": 0.0, "far": np.pi}.items():
        shown.page.evaluate(f"gdjax.look({azimuth}, 0.25, [0, 5])")
        shown.settle()
        data = np.array(
            shown.page.evaluate("""() => {const c = document.getElementById('surface');
            return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]}""")
        )
        near = np.abs(data.reshape(-1, 4)[:, :3] - ink).max(axis=1) < 40
        seen[side] = int(near.sum())
    assert seen["near"] != seen["far"]
    assert min(seen.values()) < max(seen.values()) / 2


def test_every_objective_compiles_in_every_map(browser, file):
    shown = Shown(browser, file)
    for name in objectives.names():
        shown.page.select_option("#objective", name)
        for which in ("contours", "basins"):
            shown.page.check(f"[name=map][value={which}]")
            shown.settle()
        assert shown.state()["objective"] == name
        assert not shown.complaints, name
    shown.close()


@pytest.mark.parametrize("size", [(1280, 720), (820, 1180), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen(browser, file, size, scheme):
    shown = Shown(browser, file, size, color_scheme=scheme)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert sum(shown.pixel("map", 0.5, 0.5)[:3]) > 0
    shown.close()
