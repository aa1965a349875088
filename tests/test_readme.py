import re
from pathlib import Path

import jax.numpy as jnp
import pytest

import gdjax
from gdjax.objectives.registry import _FACTORIES, register

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)


def block(word):
    """The one block of Python that has the word."""
    (found,) = (code for code in BLOCKS if word in code)
    return found


def test_the_python_of_the_readme_does_what_it_says(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    exec(BLOCKS[0], {})
    assert (tmp_path / "comparison.png").is_file()
    plain, ball, _ = capsys.readouterr().out.splitlines()
    assert "= 10.1679" in plain
    assert "= -5.90449" in ball


def test_the_certificate_of_the_readme_does_what_it_says(capsys):
    exec(block("certify_equivalence"), {})
    out = capsys.readouterr().out
    assert "a remembers steps, b gradients; different under a schedule" in out
    assert "d/d momentum" in out


def test_the_sweep_of_the_readme_does_what_it_says(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    exec(block("share.sel"), {})
    assert 0 <= float(capsys.readouterr().out) <= 0.95
    assert (tmp_path / "success_rate.png").is_file()


def test_the_axes_of_the_readme_are_those_of_its_result():
    names = {}
    exec(block("rmsprop"), names)
    assert names["reached"].shape == (64, 2, 2, 3)


def test_the_functions_of_the_readme_can_be_descended(monkeypatch, tmp_path, capsys):
    own, use = (block(word) for word in ("def bowl(point)", "from my_file import"))
    (tmp_path / "my_file.py").write_text(own)
    monkeypatch.syspath_prepend(tmp_path)
    exec(use, {})
    bare, known = capsys.readouterr().out.splitlines()
    assert "max_steps" in bare
    assert "converged" in known


def test_what_the_readme_brings_works_in_every_verb(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    exec(block("def misfit"), {})
    rate, right, *_, slopes = capsys.readouterr().out.splitlines()
    assert float(rate) == pytest.approx(0.48, abs=0.01)
    assert right == "True"
    assert len(slopes.strip("[]").split()) == 4
    assert (tmp_path / "doses.png").is_file()


def test_the_training_of_the_readme_does_what_it_says(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    exec(block("gdjax.train("), {})
    run, top = capsys.readouterr().out.splitlines()
    assert "sharpness" in run
    assert "limit 190" in run
    assert top.count("±") == 3
    assert (tmp_path / "training.png").is_file()


def test_the_slices_of_the_readme_do_what_they_say(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    exec(block("gdjax.landscape("), {})
    told, barrier = capsys.readouterr().out.splitlines()
    assert "of the path's squared distance" in told
    assert barrier == "1.0"
    assert (tmp_path / "landscape.png").is_file()


def test_the_objective_of_the_readme_is_right():
    try:
        exec(
            block("def tilted_wave"),
            {"register": register, "jnp": jnp, "Objective": gdjax.Objective},
        )
        assert gdjax.check_gradient(gdjax.objectives.get("tilted_wave")).ok
    finally:
        _FACTORIES.pop("tilted_wave", None)


def test_the_rule_of_the_readme_breaks_the_laws_that_it_shows(capsys):
    exec(block("print(gdjax.check_rule"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[:4] == [line for line in README.splitlines() if line in printed[:4]]
    assert [line.split("  at ")[0] in README for line in printed] == [True] * len(printed)


def test_the_certificate_of_the_readme_says_what_it_shows(capsys):
    exec(block("print(report)"), {"gdjax": gdjax})
    printed, shown = (
        [re.sub(r"\W*\d[\d.,e+-]*\W*", " # ", line) for line in text.splitlines()]
        for text in (capsys.readouterr().out, README)
    )
    assert "  pattern     component # lacks a factor x # " in printed
    assert set(printed) <= set(shown)
