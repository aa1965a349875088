"""The gallery: a page that loads nothing, of studies that run once; a failure is told."""

import json
from types import SimpleNamespace

import pytest
from commands import called
from playwright import sync_api
from test_explorer_page import BROWSER, SOFTWARE

from gdjax.cli import gallery
from gdjax.cli.studies import studies
from gdjax.explorer import pages

SOURCE = '''"""How far is it?

It is 3 steps, as ``left`` says.

Reference: nobody, 1900.
"""

def finding(folder):
    assert (folder / "left.txt").read_text() == "3"
'''


@pytest.fixture
def there(tmp_path, monkeypatch):
    """A study of one's own, whose command leaves a number and a picture; how often it ran."""
    for name in ("experiments", "conf/experiment"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "experiments" / "how_far.py").write_text(SOURCE)
    yaml = "# @package _global_\n# gdjax run experiment=how_far\nsteps: 3\n"
    (tmp_path / "conf" / "experiment" / "how_far.yaml").write_text(yaml)
    ran = []

    def run(words, **how):
        ran.append(words[-3:])
        folder = tmp_path / "outputs" / "gallery" / "how_far"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "left.txt").write_text("3")
        (folder / "picture.png").write_bytes(b"a picture")
        (folder / "summary.json").write_text(json.dumps({"pictures": ["picture.png"]}))
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gallery, "subprocess", SimpleNamespace(run=run))
    monkeypatch.setattr(gallery, "studies", lambda: studies(tmp_path))
    monkeypatch.setattr(pages, "explore", lambda: SimpleNamespace(text="the <explorer>"))
    return tmp_path, ran


def test_a_study_is_run_once_and_again_when_it_has_changed(there):
    folder, ran = there
    assert gallery.gallery([]) == "gallery.html"
    assert gallery.gallery(["how_far"]) == "gallery.html"
    (words,) = ran
    assert words[0] == "experiment=how_far"
    page = (folder / "gallery.html").read_text()
    for told in ("How far is it?", "It is 3 steps, as <code>left</code> says.", "nobody, 1900.",
                 "gdjax run experiment=how_far", "steps: 3", "YSBwaWN0dXJl",
                 'srcdoc="the &lt;explorer&gt;"'):  # fmt: skip
        assert told in page
    source = folder / "experiments" / "how_far.py"
    source.write_text(source.read_text().replace("3 steps", "three steps, 3"))
    gallery.gallery(["there/page.html"])
    assert len(ran) == 2
    assert "three steps" in (folder / "there" / "page.html").read_text()


def test_a_finding_that_does_not_hold_is_told_and_is_not_kept(there, capsys):
    folder, ran = there
    source = folder / "experiments" / "how_far.py"
    source.write_text(source.read_text().replace('"3"', '"4"'))
    for _ in range(2):
        with pytest.raises(SystemExit) as left:
            gallery.gallery([])
        assert left.value.code == 1
        assert "study how_far failed: AssertionError" in capsys.readouterr().err
    assert len(ran) == 2
    assert "failed: AssertionError" in (folder / "gallery.html").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nothing"], "unknown study 'nothing'"),
        (["a.html", "b.html"], "gallery takes one page, got a.html b.html"),
    ],
)
def test_what_is_no_page_and_no_study_is_refused(words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = called(["gallery", *words])
    assert (code, err.count("\n")) == (2, 1)
    assert told in err
    assert not [*tmp_path.iterdir()]


def test_without_a_checkout_there_are_no_studies(monkeypatch):
    monkeypatch.setattr(gallery, "studies", dict)
    code, _, err = called(["gallery"])
    assert (code, err) == (
        2, "gdjax gallery: gallery needs the studies, which are in a checkout of gdjax alone\n",
    )  # fmt: skip


def test_the_studies_stand_in_the_order_of_a_lesson():
    assert {*gallery.LESSON} == {*studies()}


@pytest.mark.full
@pytest.mark.skipif(not BROWSER, reason="install chromium: apt-get install chromium")
def test_the_page_loads_nothing_and_complains_of_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = called(["gallery", "local_minimum_trap", "paraboloid"])
    assert (code, out, err) == (0, "gallery.html\n", "")
    complaints, asked = [], []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=SOFTWARE)
        page = browser.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "gallery.html").as_uri())
        page.wait_for_load_state("networkidle")
        whole = "() => [...document.images].every(image => image.naturalWidth > 300)"
        assert page.evaluate(whole)
        assert page.locator("section").count() == 2
        browser.close()
    assert complaints == []
    assert {address.partition(":")[0] for address in asked} <= {"file", "data", "blob", "about"}
    assert sum(address.startswith("file") for address in asked) == 1
