"""The gate for configs: every setting of every command, its range, and what would not fit."""

import copy
import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import gdjax
from gdjax import ArgumentError, objectives, starts
from gdjax._descent.trajectory import Trajectory
from gdjax._util import files
from gdjax._util.errors import StorageError
from gdjax.certificates import certify_equivalence, check_gradient
from gdjax.cli import choices, kinds, settings
from gdjax.cli.hydra_versions import BASE
from gdjax.cli.output_folder import OutputFolder, file_name
from gdjax.cli.refusals import refuse
from gdjax.plotting import curves

CONF = Path(gdjax.__file__).parents[1] / "conf"
pytestmark = pytest.mark.usefixtures("untyped")  # what a config holds is no type's


# What some commands have only where it is chosen.
CHOSEN = {"rank": ["objective=sphere"], "explore": ["objective=sphere", "optimizer=adam"]}


@functools.cache
def composed(command):
    choices.store_choices(command)
    with initialize_config_dir(str(CONF), **BASE):
        config = compose(command, CHOSEN.get(command, []))
    return OmegaConf.to_container(config, resolve=True)


def places(of, before=()):
    """The path to every setting of a command, with its kind and its field."""
    for field, section, kind in settings._fields(of):
        if section:
            yield from places(section, (*before, field.name))
        else:
            yield (*before, field.name), kind, field


EVERY = [(command, *place) for command, of in settings.OF.items() for place in places(of)]
ids = lambda value: value if isinstance(value, str) else ""  # noqa: E731


def changed(command, path, *value):
    """A command's config with another value at a place, or with none."""
    config = copy.deepcopy(composed(command))
    *outer, last = path
    place = functools.reduce(lambda node, key: node[key], outer, config)
    if value:
        place[last] = value[0]
    else:
        place.pop(last, None)
    return config


@pytest.mark.parametrize("command", settings.OF)
def test_a_config_has_the_settings_that_its_command_takes_and_no_others(command):
    def keys(config, of):
        sections = {field.name: section for field, section, _ in settings._fields(of) if section}
        assert config.keys() == {field.name for field in dataclasses.fields(of)}
        for name, section in sections.items():
            keys(config[name], section)

    keys(composed(command), settings.OF[command])
    asked = settings.read(command, composed(command))
    assert type(asked) is settings.OF[command]


@pytest.mark.parametrize(("command", "path", "kind", "field"), EVERY, ids=ids)
def test_a_setting_that_is_missing_or_no_such_thing_is_named(command, path, kind, field):
    name = ".".join(path)
    if field.default is dataclasses.MISSING:
        missing = f"^{name} is missing from the config, and {command} needs it$"
        with pytest.raises(ArgumentError, match=missing):
            settings.read(command, changed(command, path))
    else:
        settings.read(command, changed(command, path))
    odd = [None, True, 1, -1, 1.5, float("nan"), "", "odd", [], [[]], {}, {1: 2}, {"name": [1]},
           [None], b"", object, 10**30, -(10**30), ["", 3], {"a": {"name": ""}}]  # fmt: skip
    refused = [*filter(None, (refusal(command, changed(command, path, value)) for value in odd))]
    assert len(refused) >= 6, "a gate that lets through whatever comes"
    for message in refused:
        assert path[-1] in message or message.startswith("unknown")
        assert "\n" not in message
        assert len(message) < 500


def refusal(command, config):
    """What a config is refused with; an empty text if it is taken."""
    try:
        settings.read(command, config)
    except ArgumentError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("command", "path", "kind", "field"), EVERY, ids=ids)
def test_help_says_what_each_setting_may_be(command, path, kind, field):
    lines = dict(line.split(maxsplit=1) for line in settings.rules(command).splitlines())
    assert lines[".".join(path)] == kind.words


OF_FEW = "seed", "plane_seed", "order", "dims"  # seeds have 32 bits, the others two values
COUNTED = [
    (command, path)
    for command, path, kind, _ in EVERY
    if kind.fits(3) and not kind.fits(0.5) and path[-1] not in OF_FEW
]


def test_whatever_is_counted_is_refused_beyond_a_32_bit_integer():
    assert {path[-1] for _, path in COUNTED} >= {
        "steps", "trials", "starts", "held_out", "budget", "seeds", "points", "every", "chunk",
        "devices", "number", "save_at",
    }  # fmt: skip
    for command, path in COUNTED:
        settings.read(command, changed(command, path, 2**31 - 1))
        for more in (2**31, 2**32 + 3, 10**30):
            with pytest.raises(ArgumentError, match=r"must be at most 2,147,483,647, got \d+$"):
                settings.read(command, changed(command, path, more))


def test_a_setting_that_no_command_takes_is_refused_with_the_nearest():
    with pytest.raises(ArgumentError, match="unknown setting 'stpes'; did you mean 'steps'"):
        settings.read("run", changed("run", ("stpes",), 3))
    with pytest.raises(ArgumentError, match="unknown setting of plot 'dip'; did you mean 'dpi'"):
        settings.read("run", changed("run", ("plot", "dip"), 3))
    with pytest.raises(ArgumentError, match=r"^plot must be settings by name, got 3$"):
        settings.read("run", changed("run", ("plot",), 3))


@pytest.mark.parametrize("text", ["a\0b", "\udc80"])
def test_text_that_no_file_takes_is_refused_wherever_it_stands(text):
    for path in (("objective", "name"), ("optimizer", "name"), ("plot", "format")):
        with pytest.raises(ArgumentError, match=r"must be text without NUL or broken letters"):
            settings.read("run", changed("run", path, text))
    with pytest.raises(ArgumentError, match=r"^every word must be text without NUL"):
        choices.check_options([f"objective.name={text}"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (9, "must lie from 10 to 1,200, got 9"),
        (1201.0, "must lie from 10 to 1,200, got 1201.0"),
        (float("nan"), "must lie from 10 to 1,200, got nan"),
        ("150", "must be a number from 10 to 1,200, got 150"),
        (True, "must be a number from 10 to 1,200, got True"),
    ],
)
def test_dots_per_inch_have_a_range(value, message):
    with pytest.raises(ArgumentError, match=rf"^plot\.dpi {message}$"):
        settings.read("run", changed("run", ("plot", "dpi"), value))


@pytest.mark.parametrize(
    ("kind", "fine", "bad"),
    [
        (kinds.whole(1) | kinds.NULL, [1, None, 2**31 - 1], [0, "1", True, 1.0, []]),
        (kinds.FLAG, [True, False], [0, 1, "true", None]),
        (kinds.between(0, 1, "a share"), [0.5], [0, 1, -1, float("nan"), "0.5", True]),
        (kinds.listing(kinds.whole(0), "steps", 1), [[0], [3, 1]], [[], ["a"], [-1], 3, "ab"]),
        (kinds.listing(kinds.whole(0), "steps"), [[]], [[2**31]]),
        (kinds.mapping("values", kinds.FLAG), [{}, {"a": True}], [{"a": 1}, {1: True}, [], None]),
        (kinds.word("a", "b"), ["a"], ["c", "", 1, None, ["a"]]),
        (kinds.PATH | kinds.NULL, ["x", None], ["", 5, True, ["x"]]),
        (kinds.chosen("o", "o=a", "name", "maker"), [{"name": "x"}, {"name": None, "maker": "y"}],
         [{}, {"name": ""}, {"name": 3}, {"name": ["x"]}, {"name": "x", 1: 2}, "x", None]),
    ],
)  # fmt: skip
def test_a_kind_takes_what_it_says(kind, fine, bad):
    for value in fine:
        kind.check("it", value)
    for value in bad:
        with pytest.raises(ArgumentError, match="it"):
            kind.check("it", value)


@pytest.mark.parametrize(
    "name", ["../../../../x", "/etc/x", "..", "", ".", "a\0b", "ä" * 300, "x" * 300, "a\\b", "a\nb"]
)
def test_a_name_never_decides_on_a_place_outside_of_the_folder(name, tmp_path):
    folder = OutputFolder(tmp_path / "run")
    with folder.file(f"{file_name(name)}.png") as file:
        file.touch()
    assert file.resolve().parent == tmp_path / "run"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_config_is_there_before_any_other_file_has_its_name(tmp_path, monkeypatch):
    named, rename = [], files.rename
    monkeypatch.setattr(files, "rename", lambda *f: (named.append(f[1].name), rename(*f)))
    folder = OutputFolder(tmp_path / "run", config="steps: 3\n")
    with pytest.raises(ZeroDivisionError), folder.file("a.txt"):
        1 / 0  # noqa: B018
    assert [*folder.path.iterdir()] == []
    folder.summary({"b": 1})
    folder.config()
    assert named == ["config.yaml", "summary.json"]
    assert (folder.path / "config.yaml").read_text() == "steps: 3\n"


def test_what_the_disk_does_not_take_or_give_is_told_apart(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"^cannot write to .*run: Not a directory$"):
        OutputFolder(tmp_path / "file" / "run").summary({})

    def told(action):
        with pytest.raises(NotADirectoryError) as caught:
            action()
        with pytest.raises(SystemExit, match="2"):
            refuse("run", caught.value)
        return capsys.readouterr().err

    there = tmp_path / "file" / "a"
    assert told(there.read_text) == f"gdjax run: cannot read {there}: Not a directory\n"
    assert told(there.mkdir) == f"gdjax run: cannot write to {there}: Not a directory\n"


QFSP = objectives.get("qfsp")
MANY = 2**31 - 1
TOO_MUCH = {
    "rank trials": lambda: gdjax.rank("sphere", "sgd", trials=10**12),
    "rank budget": lambda: gdjax.rank("sphere", "sgd", budget=10**12),
    "rank starts": lambda: gdjax.rank("sphere", "sgd", starts=10**12),
    "rank held_out": lambda: gdjax.rank("sphere", "sgd", held_out=10**12),
    "rank seeds": lambda: gdjax.rank("sphere", "sgd", seeds=10**12),
    "rank step by step": lambda: gdjax.rank("sphere", "lbfgs", trials=10**8, starts=10),
    "certify steps": lambda: certify_equivalence("sgd", "adam", QFSP, steps=10**12),
    "certify starts": lambda: certify_equivalence("sgd", "adam", QFSP, 10**12),
    "check points": lambda: check_gradient(QFSP, points=10**12),
    "recorded": lambda: gdjax.sweep(QFSP, "sgd", steps=MANY, save_at="all"),
    "every second": lambda: gdjax.sweep(QFSP, "sgd", steps=MANY, save_at=2),
    "cells": lambda: gdjax.sweep(QFSP, "sgd", starts.grid(10**9)),
    "a Latin hypercube": lambda: starts.latin_hypercube(10**11).take(QFSP, 0, 1),
    "drawn": lambda: starts.uniform(10**12).take(QFSP, 0, 10**12),
    "stationary": lambda: gdjax.stationary_points(QFSP, starts=10**12),
    "derivative": lambda: gdjax.hypergradient(QFSP, gdjax.heavy_ball, steps=10**12),
    "tuning": lambda: gdjax.tune_by_gradient(QFSP, gdjax.heavy_ball, steps=10**12),
    "path": lambda: gdjax.descend(QFSP, "sgd", steps=MANY * 100),
    "remembered": lambda: gdjax.optimizers.get("lbfgs", memory_size=MANY),
    "remembered, counted": lambda: gdjax.optimizers.get("lbfgs", memory_size=MANY + 1),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_what_does_not_fit_is_refused_before_it_is_made(what):
    with pytest.raises(
        ArgumentError, match=r"GB are free|up to 9,007,199,254,740,992|at most|1 to 2147483647"
    ):
        TOO_MUCH[what]()


def test_a_picture_of_many_steps_draws_what_it_can_show():
    values = 1 / (1 + np.arange(10**6, dtype=float))
    points = np.stack([values, values], axis=1)
    path = Trajectory(points, values, np.int32(0), np.int32(-1))
    assert len(curves.finite_points(path)) == curves.MOST_POINTS
    (line,) = curves.convergence(objectives.get("sphere"), {"a": path}).axes[0].lines
    steps, gaps = line.get_data()
    assert (len(steps), steps[0], steps[-1]) == (curves.MOST_POINTS, 0, 10**6 - 1)
    np.testing.assert_array_equal(gaps, values[steps])
