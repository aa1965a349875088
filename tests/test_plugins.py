"""Objectives and optimizers of other packages, found by their entry points."""

import sys
from pathlib import Path

import numpy as np
import pytest

import gdjax
from gdjax import objectives, optimizers
from gdjax._util.errors import ArgumentError
from gdjax.comparison.entrants import as_objectives
from gdjax.objectives import registry
from gdjax.optimizers import listing, lookup

MODULE = '''
"""Loaded, and seen to be."""
import jax.numpy as jnp
import optax
from gdjax import Objective
from gdjax.objectives import register

print("garden is imported")

@register
def double_well(dim: int = 1, depth: float = 1.0) -> Objective:
    """f(x) = depth · Σ (x² − 1)²: two wells an axis."""
    if dim > 3:
        from gdjax import ArgumentError
        raise ArgumentError(f"dim must be at most 3, got {dim}")

    def fn(point):
        return depth * jnp.sum((point**2 - 1) ** 2)

    return Objective(
        name="double_well", fn=fn, gradient=lambda x: depth * 4 * x * (x**2 - 1),
        domain=[(-2, 2)] * dim, minima=[(1.0,) * dim], fmin=0.0, reference="a garden",
    )

def bare() -> Objective:
    """Not registered."""
    return Objective(name="bare", fn=lambda p: p @ p, domain=[(-1, 1)] * 2)

def sign_descent(learning_rate, scale: float = 1.0):
    """Steps of one length."""
    return optax.chain(optax.scale_by_sign(), optax.scale_by_learning_rate(learning_rate * scale))

def noisy(learning_rate, key):
    """A random one."""
    return optax.noisy_sgd(learning_rate, key=key)

def demands(height):
    return bare()

def odd():
    return 3

word = "no function"
'''
GOOD = {
    "gdjax.objectives": {"double_well": "garden:double_well", "lawn": "garden:bare"},
    "gdjax.optimizers": {"sign_descent": "garden:sign_descent", "noisy": "garden:noisy"},
}
BAD = {
    "gdjax.objectives": {
        "gone": "no_such_module:f", "lost": "garden:nothing", "word": "garden:word",
        "demands": "garden:demands", "odd": "garden:odd", "qfsp": "garden:bare",
        "formula": "garden:bare", "twice": "garden:bare",
    },
    "gdjax.optimizers": {"gone": "broken:f", "word": "garden:word", "adam": "garden:sign_descent"},
}  # fmt: skip
REASONS = {
    "gone": "ModuleNotFoundError: No module named 'no_such_module'",
    "lost": "AttributeError: module 'garden' has no attribute 'nothing'",
    "word": "TypeError: it must be a function, and is a str",
    "demands": "demands: parameter 'height' needs a default",
    "odd": "TypeError: it must return an Objective, and returns a int",
}


def install(folder: Path, package: str, groups: dict[str, dict[str, str]]) -> None:
    about = folder / f"{package}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = (
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in groups.items()
    )
    (about / "entry_points.txt").write_text("\n".join(lines))
    (folder / "garden.py").write_text(MODULE)
    (folder / "broken.py").write_text("import jax\n1 / 0\n")


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Installs the good ones, or these and others."""

    def forget():
        for plugins in (registry._PLUGINS, lookup.OPTIMIZERS.plugins):
            vars(plugins).pop("found", None)
            plugins._told.clear()
        registry._build.cache_clear()
        registry._FACTORIES.pop("double_well", None)
        sys.modules.pop("garden", None)

    def put(**others):
        install(tmp_path, "garden-tools", GOOD)
        for package, groups in others.items():
            install(tmp_path, package, groups)
        monkeypatch.syspath_prepend(tmp_path)
        forget()
        return tmp_path

    yield put
    monkeypatch.undo()
    forget()


def test_another_package_adds_objectives_as_if_they_were_registered_here(installed, capsys):
    installed()
    assert {"double_well", "lawn", "qfsp"} <= {*objectives.names()}
    assert capsys.readouterr().out == ""  # nothing is imported for its name
    assert objectives.parameters("double_well") == {"dim": 1, "depth": 1.0}
    assert capsys.readouterr().out == "garden is imported\n"
    f = objectives.get("double_well", dim=2, depth=3.0)
    assert f is objectives.get("double_well", dim=2, depth=3.0)
    assert f([2.0, 1.0]) == 27
    assert objectives.family("double_well") == "garden"
    assert "two wells" in objectives.describe("double_well")
    assert {"double_well", "lawn"} <= {entry.name for entry in objectives.table()}
    assert gdjax.descend("double_well", "sign_descent", steps=3).points.shape == (4, 1)
    assert [*as_objectives("garden")] == ["double_well"]  # the family; lawn has no least value
    assert gdjax.check_gradient("double_well").ok
    for call, message in {
        lambda: objectives.get("double_well", dim=5): "^dim must be at most 3, got 5$",
        lambda: objectives.get("lawn", dim=5): "^dim cannot be chosen: lawn has 2 by definition$",
        lambda: objectives.get("double_wel"): "did you mean 'double_well'",
    }.items():
        with pytest.raises(ArgumentError, match=message):
            call()


def test_another_package_adds_optimizers_as_if_they_stood_here(installed, capsys):
    installed()
    assert {"sign_descent", "noisy", "adam", "heavy_ball"} <= {*optimizers.names()}
    assert capsys.readouterr().out == ""
    made = optimizers.get("sign_descent", learning_rate=0.5, scale=2)
    assert repr(made) == "sign_descent(learning_rate=0.5, scale=2)"
    path = gdjax.descend("sphere", "sign_descent", start=(1.0, -1.0), steps=2)
    np.testing.assert_allclose(path.points[-1], (0.8, -0.8), rtol=1e-6)
    assert set(optimizers.parameters("noisy")) == {"learning_rate", "seed"}  # a key is a seed
    assert "Steps of one length" in listing.one("sign_descent")
    assert any(line.split() == ["sign_descent", "learning_rate=?,", "scale=1.0"]
               for line in listing.every().splitlines())  # fmt: skip


@pytest.mark.parametrize("name", REASONS)
def test_a_broken_objective_is_refused_by_name(installed, name):
    installed(weeds=BAD)
    with pytest.raises(ArgumentError) as caught:
        objectives.get(name)
    point = f"{name!r} = {BAD['gdjax.objectives'][name]} of package weeds in gdjax.objectives"
    assert str(caught.value) == f"entry point {point} is refused: {REASONS[name]}"


def test_broken_ones_stand_in_nobody_elses_way_and_are_told_once(installed, caplog):
    installed(weeds=BAD, thistle={"gdjax.objectives": {"twice": "garden:bare"}})
    for _ in range(2):
        found = {entry.name for entry in objectives.table()}
        assert {"double_well", "lawn", "qfsp"} <= found
        assert not {*REASONS, "formula", "twice"} & found
        assert {*optimizers.names()} >= {"adam", "sign_descent", "gone"}
    told = [r.getMessage() for r in caplog.records]
    assert len(told) == len({*BAD["gdjax.objectives"]}) + 1  # adam
    assert all("\n" not in line and "weeds" in line for line in told)
    (qfsp,) = (line for line in told if "'qfsp'" in line)
    assert qfsp.endswith("is refused: gdjax has an objective of that name")
    assert any("weeds" in line and "thistle" in line for line in told)
    assert objectives.get("qfsp").name == "qfsp"
    assert optimizers.factory("adam").__module__.startswith("optax")
    with pytest.raises(ArgumentError, match=r"weeds in gdjax\.optimizers is refused: ZeroDiv"):
        optimizers.get("gone", learning_rate=0.1)
    assert any(line.startswith("gone ") and "(✗)" in line for line in listing.every().splitlines())


def test_the_command_line_takes_them_and_refuses_a_broken_one_in_one_line(installed, gdjax):
    installed(weeds=BAD)
    code, out, err = gdjax("run", "objective=double_well", "objective.depth=2",
                           "optimizer=sign_descent", "optimizer.scale=0.5", "steps=3",
                           "plot.dpi=10")  # fmt: skip
    assert (code, err) == (0, "")
    assert "double_well" in out
    code, _, err = gdjax("run", "objective=lost")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("gdjax run: entry point 'lost' = garden:nothing of package weeds in ")
    _, listed, _ = gdjax("objectives")
    assert "double_well" in listed
    assert "qfsp" in listed
