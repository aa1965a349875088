"""Every study: its command runs, its finding holds, its figure is drawn."""

import pytest
from commands import called

from gdjax.cli.studies import studies, told

STUDIES = studies()
SLOW = {  # more than seconds
    "adaptive_edge", "edge_of_stability", "effective_rate", "many_minima", "mode_connectivity",
    "noise_scale", "optimal_momentum", "optimizer_race", "trainability_fractal",
}  # fmt: skip


def answered(name, folder):
    study = STUDIES[name]
    code, _, err = called([*study.words, f"hydra.run.dir={folder}", "overwrite=true"])
    assert code == 0, err
    module = study.load()
    module.finding(folder)
    if hasattr(module, "figure"):
        module.figure(folder).savefig(folder / "figure.png", dpi=40)
    return {file.name for file in folder.glob("*.png")}


@pytest.mark.parametrize("name", sorted(STUDIES.keys() - SLOW))
def test_the_finding_of_a_study_holds(name, tmp_path, untyped):
    assert answered(name, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(SLOW))
def test_the_finding_of_a_slow_study_holds(name, tmp_path, untyped):
    assert answered(name, tmp_path)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_short_and_says_what_it_asks_finds_and_rests_on(name):
    study = STUDIES[name]
    assert len(study.source.read_text().splitlines()) <= 40
    question, finding, reference = told(study)
    assert question.endswith("?")
    assert any(character.isdigit() for character in finding)
    assert reference
