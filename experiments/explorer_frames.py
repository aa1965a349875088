"""How long does the page of ``gdjax explore`` take, from a slider that moves to the painted frame?

    uv run python experiments/explorer_frames.py [--moves=40] [--gpu]

measures in headless Chromium at 1280 × 720, with WebGL in software unless ``--gpu`` is given, which
makes the figures upper bounds; and prints them, a row each, beside what was aimed for.
"""

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

import gdjax

SOFTWARE = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
OPTIMIZERS = {
    "gradient_descent": {"learning_rate": 0.05},
    "heavy_ball": {"learning_rate": 0.05, "momentum": 0.5},
    "nesterov": {"learning_rate": 0.05, "momentum": 0.5},
    "rmsprop": {},
}
# Moves the first slider and waits for two frames: the first one holds what was painted.
MOVE = """async (count) => {
  const slider = document.querySelector("#optimizers input[type=range]");
  const frame = () => new Promise((go) => requestAnimationFrame(go));
  const took = [];
  for (let k = 0; k < count; k++) {
    await new Promise((go) => setTimeout(go, 60));
    const began = performance.now();
    slider.value = 0.55 + 0.1 * Math.sin(k);
    slider.dispatchEvent(new Event("input"));
    await frame();
    await frame();
    took.push(performance.now() - began);
  }
  return took;
}"""
READY = """() => new Promise((go) => {
  const look = () => (document.body.dataset.painted ? go(performance.now()) : setTimeout(look, 5));
  look();
})"""


@contextlib.contextmanager
def browser(gpu: bool) -> Iterator[Browser]:
    """Chromium as it is found on this machine."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        sys.exit("explorer_frames: install chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", *([] if gpu else SOFTWARE)]
        made = playwright.chromium.launch(executable_path=found, args=flags)
        yield made
        made.close()


def shown(browser: Browser, file: Path, map_: str) -> Page:
    """The page on the first landscape, with four paths of 500 steps over a map."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.goto(file.as_uri())
    page.evaluate(READY)
    numbers = page.evaluate("""(names) => Object.fromEntries(EXPLORER.catalogue.optimizers
      .filter(({name}) => names.includes(name)).map(({name, numbers}) => [name, numbers]))""",
      list(OPTIMIZERS))  # fmt: skip
    state = {
        "objective": "qfsp", "formula": "", "start": [7.11, 6.97], "steps": 500, "map": map_,
        "optimizers": [{"name": k, "numbers": numbers[k] | v} for k, v in OPTIMIZERS.items()],
        "dtype": "float64", "axes": [0, 1], "box": None, "arrows": False,
    }  # fmt: skip
    page.goto("about:blank")
    page.goto(f"{file.as_uri()}#{json.dumps(state)}")
    page.evaluate(READY)
    assert page.evaluate("gdjax.state.steps") == 500, "the page did not take the state"
    page.wait_for_timeout(2000)
    return page


def frames(page: Page, moves: int) -> float:
    """Milliseconds from a slider to the frame, the median of many moves."""
    page.evaluate(MOVE, 5)
    return statistics.median(page.evaluate(MOVE, moves))


def command(folder: Path) -> float:
    """Seconds that ``gdjax explore`` takes once its programs are kept, to the file."""
    words = [sys.executable, "-m", "gdjax.cli", "explore", "page.html", "explore.open=false"]
    took = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - began)
    return min(took[1:])


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--gpu", action="store_true")
    asked = parser.parse_args()
    rows: list[tuple[str, float, float, str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows.append(("gdjax explore, warm, to the file", command(folder), 5, "s"))
        every, one = gdjax.explore(), gdjax.explore("rosenbrock")
        for told, page, most in (("whole catalogue", every, 150), ("one objective", one, 60)):
            rows.append((told, len(page.text.encode()) / 1000, most, "kB"))
        file = every.save(folder / "all.html")
        with browser(asked.gpu) as chromium:
            page = chromium.new_page()
            page.goto(file.as_uri())
            rows.append(("page ready, its first picture painted", page.evaluate(READY), 1000, "ms"))
            for told, map_, most in (
                ("slider to frame: contours, surface, 4 paths of 500", "contours", 80),
                ("the same over a basin map of 100 × 100", "basins", 100),
            ):
                rows.append((told, frames(shown(chromium, file, map_), asked.moves), most, "ms"))
    for told, measured, most, unit in rows:
        print(f"{told:52} {measured:8.1f} {unit:2}   aim {most:5} {unit}")


if __name__ == "__main__":
    main()
