"""What a sweep keeps of its descents, and what it need not compute."""

import numpy as np
import optax
import pytest

import gdjax
from gdjax._descent.loop import Summary

EVERYTHING = {
    "objective": "qfsp", "optimizer": gdjax.heavy_ball, "steps": 150, "tolerance": 0.1,
    "starts": gdjax.starts.uniform(40, seed=3),
    "hyperparameters": {"learning_rate": [0.02, 0.1, 5.0], "momentum": [0.0, 0.9]},
}  # fmt: skip
FAILED = gdjax.Outcome.DIVERGED, gdjax.Outcome.NONFINITE


@pytest.fixture(scope="module", params=["llvm", "xla"])
def whole(request):
    return gdjax.sweep(**EVERYTHING, kernel=request.param)


def test_the_descents_end_in_many_ways(whole):
    assert {0, 2, 4} <= {*np.unique(whole.outcome)}  # converged, diverged, still moving
    assert {-1, 0, 3} <= {*np.unique(whole.minimum)}
    assert (whole.steps_to_tolerance > 0).any()


@pytest.mark.parametrize(
    "keep",
    [*((name,) for name in Summary._fields), ("outcome", "final_point"), ("steps", "best_value")],
)
def test_what_is_kept_has_the_bits_that_it_has_beside_the_rest(whole, keep):
    found = gdjax.sweep(**EVERYTHING, keep=keep, kernel=whole.kernel)
    assert {*found.data_vars} == {*keep}
    same = np.ones(whole.outcome.shape, bool)
    if {*keep} <= {"final_point", "final_value"}:  # one that fails goes on until it is judged
        same = ~np.isin(whole.outcome, FAILED)
        assert not same.all()
    for name in keep:
        np.testing.assert_array_equal(found[name].values[same], whole[name].values[same], name)


def test_a_line_search_that_is_stuck_is_told_though_no_best_value_is_kept():
    search = optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(2))
    found = gdjax.sweep(
        lambda p: 1e8 * p[0] ** 2, search, [[1.0]], steps=3, dtype="float64", keep="outcome"
    )
    assert found.outcome.item() == gdjax.Outcome.STUCK


def test_paths_are_recorded_beside_what_is_kept(whole):
    given = EVERYTHING | {"save_at": 50, "kernel": whole.kernel}
    found, every = gdjax.sweep(**given, keep=["final_value"]), gdjax.sweep(**given)
    assert {*found.data_vars} == {"final_value", "points", "values"}
    for name in found.data_vars:
        np.testing.assert_array_equal(found[name], every[name])


def test_a_store_holds_what_is_kept_and_is_continued(tmp_path):
    axes = EVERYTHING["hyperparameters"] | {"nesterov": [True, False]}
    settings = EVERYTHING | {"optimizer": "sgd", "hyperparameters": axes, "chunk": 100}
    settings["keep"] = ["outcome"]
    found = gdjax.sweep(**settings, store=tmp_path / "s")
    assert {*found.data_vars} == {"outcome"}
    (tmp_path / "s" / "status" / "c" / "1").unlink()
    with pytest.warns(RuntimeWarning, match="status/c/1 is missing; that is made again"):
        again = gdjax.sweep(**settings, store=tmp_path / "s")
    np.testing.assert_array_equal(again.outcome, found.outcome)
    with pytest.raises(gdjax.ArgumentError, match=r"another sweep: .*keep"):
        gdjax.sweep(**settings | {"keep": ["minimum"]}, store=tmp_path / "s")


@pytest.mark.parametrize(
    ("keep", "words"),
    [("outcom", "unknown variable to keep 'outcom'; did you mean 'outcome'?"),
     (["final_point", "x"], "unknown variable to keep 'x'"), ([], "keep must name at least one")],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused(keep, words):
    with pytest.raises(gdjax.ArgumentError) as caught:
        gdjax.sweep(**EVERYTHING, keep=keep)
    assert words in str(caught.value)
