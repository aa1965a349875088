"""``gdjax gallery``: every study with its figure, on one page that loads nothing."""

import base64
import contextlib
import html
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from gdjax._util.display import counted
from gdjax._util.errors import ArgumentError, check_known, first_line
from gdjax._util.files import whole
from gdjax._util.version import versions
from gdjax.cli.commands import HELP, USAGE
from gdjax.cli.studies import ROOT, Study, studies, told

PAGE = "gallery.html"
FOLDER = Path("outputs") / "gallery"  # where studies are run; those that are there stay
MADE = "study.json"
DPI = 110
LESSON = (  # in this order they teach; others follow
    "paraboloid", "derivative_in_1d", "gradient_field", "numerical_differentiation",
    "local_minimum_trap", "momentum_escape", "momentum_basins", "ackley_descent", "many_minima",
    "multi_start", "stability_limit", "optimal_momentum", "heavy_ball_cycle",
    "nesterov_vs_heavy_ball", "schedule_conventions", "optax_equivalence", "adam_counterexample",
    "curve_fit", "optimizer_race", "edge_of_stability", "adaptive_edge", "effective_rate",
    "noise_scale", "mode_connectivity", "trainability_fractal",
)  # fmt: skip


def gallery(words: list[str]) -> str:
    """Run the studies that are not yet run, write the page, and tell where it is.

    Words are the page's file, which ends in ``.html``, and names of studies; by default all. A
    study that fails is told on the page, and by exit code 1.
    """
    if words and words[0] in HELP:
        return USAGE.rstrip()
    pages = [word for word in words if word.endswith(".html")]
    names = [word for word in words if word not in pages]
    if len(pages) > 1:
        raise ArgumentError(f"gallery takes one page, got {' '.join(pages)}")
    known = studies()
    if not known:
        raise ArgumentError("gallery needs the studies, which are in a checkout of gdjax alone")
    for name in names:
        check_known("study", name, known)
    ordered = sorted(known, key=lambda x: (LESSON.index(x) if x in LESSON else len(LESSON), x))
    chosen = [known[name] for name in ordered if not names or name in names]
    shown = counted(chosen, " studies", sys.stderr.isatty())
    found = {study.name: made(study, FOLDER / study.name) for study in shown}
    page = Path(pages[0] if pages else PAGE)
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        with whole(page) as partial:
            partial.write_text(document(chosen, found), encoding="utf-8")
    except OSError as error:
        raise ArgumentError(f"cannot write to {page}: {error.strerror or error}") from error
    failed = [name for name, each in found.items() if each["failed"]]
    for name in failed:
        print(f"study {name} failed: {found[name]['failed']}", file=sys.stderr)
    if failed:
        print(page)
        sys.exit(1)
    return str(page)


def made(study: Study, folder: Path) -> dict[str, Any]:
    """What a study came to: its picture, how long it took, and why it failed, if it did.

    One that was made before, of the same files and by the same versions, is taken as it is.
    """
    file = folder / MADE
    try:
        there = json.loads(file.read_text(encoding="utf-8"))
        if there["digest"] == study.digest and (folder / there["picture"]).is_file():
            return there
    except (OSError, ValueError, LookupError, TypeError):
        pass
    began, picture, failed = time.perf_counter(), "", ""
    words = [*study.words, f"hydra.run.dir={folder.absolute().as_posix()}", "overwrite=true"]
    run = subprocess.run(
        [sys.executable, "-m", "gdjax.cli", *words],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        if run.returncode:
            raise ArgumentError(run.stderr.strip() or f"exit code {run.returncode}")
        picture = _pictured(study, folder)
    except Exception as error:  # a study is anybody's code
        failed = first_line(error)
    result = {
        "digest": study.digest, "picture": picture, "failed": failed,
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip
    if not failed:
        with contextlib.suppress(OSError):  # it is made again then
            file.write_text(json.dumps(result) + "\n", encoding="utf-8")
    return result


def _pictured(study: Study, folder: Path) -> str:
    """Assert the finding of a study, and draw its figure; the name of the picture."""
    module = study.load()
    module.finding(folder)
    if hasattr(module, "figure"):
        module.figure(folder).savefig(folder / "figure.png", dpi=DPI)
        return "figure.png"
    summary = folder / "summary.json"
    return json.loads(summary.read_text(encoding="utf-8"))["pictures"][0]


def document(chosen: Sequence[Study], found: Mapping[str, Mapping[str, Any]]) -> str:
    """The page, HTML."""
    from gdjax.explorer import pages

    fill = Template((resources.files("gdjax.cli") / "gallery.html").read_text(encoding="utf-8"))
    return fill.substitute(
        explorer=html.escape(pages.explore().text),
        contents="\n".join(
            f'<li><a href="#{study.name}">{_words(study.name)}</a></li>' for study in chosen
        ),
        studies="\n".join(_section(study, found[study.name]) for study in chosen),
        versions=html.escape(", ".join(map(" ".join, versions().items()))),
    )


def _section(study: Study, found: Mapping[str, Any]) -> str:
    text = told(study)
    shown = f'<p class="failed">failed: {html.escape(found["failed"])}</p>'
    if not found["failed"]:
        data = base64.b64encode((FOLDER / study.name / found["picture"]).read_bytes()).decode()
        about = html.escape(text.question, quote=True)
        shown = f'<img alt="{about}" src="data:image/png;base64,{data}">'
    paragraphs = "".join(f"<p>{_plain(part)}</p>" for part in text.finding.split("\n\n"))
    return f"""<section id="{study.name}">
<h2>{_words(study.name)}</h2>
<p class="question">{_plain(text.question)}</p>
{shown}
{paragraphs}
<pre>gdjax {html.escape(" ".join(study.words))}</pre>
<details><summary>what is run</summary><pre>{html.escape(study.config)}</pre></details>
<details><summary>what is asserted</summary>
<pre>{html.escape(study.source.read_text(encoding="utf-8"))}</pre></details>
<p class="reference">{_plain(text.reference)} <span>Made in {found["seconds"]} s.</span></p>
</section>"""


def _plain(text: str) -> str:
    """A paragraph of a docstring as HTML."""
    parts = html.escape(" ".join(text.split())).split("``")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


def _words(name: str) -> str:
    return html.escape(name.replace("_", " "))
