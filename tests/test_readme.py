import re
from pathlib import Path

import jax.numpy as jnp

import gdjax
from gdjax.objectives.registry import _FACTORIES, register

BLOCKS = re.findall(
    r"```python\n(.*?)```", (Path(__file__).parents[1] / "README.md").read_text(), re.S
)


def test_the_python_of_the_readme_does_what_it_says(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    exec(BLOCKS[0], {})
    assert (tmp_path / "comparison.png").is_file()
    plain, ball, _ = capsys.readouterr().out.splitlines()
    assert "= 10.1679" in plain
    assert "= -5.90449" in ball


def test_the_certificate_of_the_readme_does_what_it_says(capsys):
    exec(BLOCKS[1], {})
    out = capsys.readouterr().out
    assert "a remembers steps, b gradients; different under a schedule" in out
    assert "d/d momentum" in out


def test_the_functions_of_the_readme_can_be_descended(monkeypatch, tmp_path, capsys):
    own, use = BLOCKS[2:4]
    (tmp_path / "my_file.py").write_text(own)
    monkeypatch.syspath_prepend(tmp_path)
    exec(use, {})
    bare, known = capsys.readouterr().out.splitlines()
    assert "max_steps" in bare
    assert "converged" in known


def test_the_objective_of_the_readme_is_right():
    try:
        exec(BLOCKS[4], {"register": register, "jnp": jnp, "Objective": gdjax.Objective})
        assert gdjax.check_gradient(gdjax.objectives.get("tilted_wave")).ok
    finally:
        _FACTORIES.pop("tilted_wave", None)
