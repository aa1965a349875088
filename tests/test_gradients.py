import pytest

import gdjax
from gdjax import objectives


def broken(mend):
    f = objectives.get("qfsp")
    return gdjax.Objective(
        name="broken", fn=f.fn, gradient=lambda p: mend(p, f.gradient(p)), domain=f.domain
    )


def test_a_wrong_gradient_is_found_and_located():
    report = gdjax.check_gradient(broken(lambda p, g: g.at[1].multiply(1 + 1e-4)))
    assert not report.ok
    assert report.component == 1
    assert report.error > report.tolerance
    assert report.hand / report.autodiff == pytest.approx(1 + 1e-4)
    assert "WRONG" in str(report)


def test_nan_is_wrong():
    assert not gdjax.check_gradient(broken(lambda p, g: g / 0.0)).ok


def test_bad_calls_say_what_is_wrong():
    bare = gdjax.Objective(name="bare", fn=lambda p: p.sum(), domain=[(0, 1)])
    with pytest.raises(gdjax.ArgumentError, match="bare has none"):
        gdjax.check_gradient(bare)
    with pytest.raises(gdjax.ArgumentError, match="points must be at least 1, got 0"):
        gdjax.check_gradient(objectives.get("qfsp"), points=0)
