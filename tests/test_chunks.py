"""Which kernel computes a sweep: the next one takes over whatever one of ours cannot do."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax
from gdjax._compiler import lower, program, rules, xla_math
from gdjax._kernels import choice, llvm, xla

ORDER = ["llvm", "xla_math", "xla"]


def broken(*args, **kwargs):
    raise TypeError("no such lowering\nand more")


def breaks_native(patch):
    patch.setattr(llvm, "Kernel", broken)


def breaks_a_rule(patch):
    patch.setitem(rules.RULES, "mul", broken)


def breaks_a_program(patch):
    patch.setattr(program.Program, "fuse", broken)


def breaks_a_substitute(patch):
    breaks_native(patch)
    patch.setattr(xla_math, "_sum", broken)


def breaks_a_trace(patch):
    breaks_native(patch)
    patch.setattr(xla, "substituted", lambda fn: broken)


@pytest.fixture
def fresh():
    choice._kernel.cache_clear(), choice._of_tile.cache_clear()
    yield
    choice._kernel.cache_clear(), choice._of_tile.cache_clear()


@pytest.mark.parametrize(
    ("fault", "left"),
    [(breaks_native, 1), (breaks_a_rule, 1), (breaks_a_program, 1), (breaks_a_substitute, 2),
     (breaks_a_trace, 2)],
)  # fmt: skip
@pytest.mark.parametrize("record", [None, "all"])
def test_where_a_kernel_fails_the_next_takes_over_and_says_why(
    monkeypatch, fresh, fault, left, record
):
    given = {"starts": np.float32([[1, 2], [3, 4]]), "steps": 20, "save_at": record}
    right = gdjax.sweep("sphere", gdjax.heavy_ball(0.1), kernel="xla", **given)
    with monkeypatch.context() as patch:
        fault(patch)
        found = gdjax.sweep("sphere", gdjax.heavy_ball(0.1), **given)
    assert found.attrs["kernel"] == ORDER[left]
    said = [f"the {name} kernel fails with TypeError: no such lowering" for name in ORDER[:left]]
    assert found.attrs["kernel_reason"] == "; ".join(said)
    np.testing.assert_allclose(found.final_point, right.final_point, rtol=1e-6, atol=1e-6)


def test_what_no_kernel_can_do_is_refused_in_one_line(tmp_path):
    def update(updates, state, params=None):
        raise ValueError("made to fail\nat length")

    made = optax.GradientTransformation(lambda params: (), update)

    def fails(learning_rate=0.1):
        return optax.chain(optax.scale(learning_rate), made)

    for call in (
        lambda: gdjax.descend("sphere", made),
        lambda: gdjax.sweep("sphere", made),
        lambda: gdjax.sweep("sphere", made, store=tmp_path / "store"),
        lambda: gdjax.compare("sphere", {"mine": made}),
        lambda: gdjax.hypergradient("sphere", fails),
    ):
        with pytest.raises(gdjax.ArgumentError, match=r"ValueError: made to fail$"):
            call()
    assert not (tmp_path / "store").exists()


def test_a_program_too_large_to_unroll_is_known_from_its_shapes(monkeypatch):
    weights = np.ones((200, 200), np.float32)
    network = gdjax.Objective(
        name="network", start=np.ones(200),
        fn=lambda p, w: sum(jnp.sum(jnp.tanh(w @ (w @ p)) ** 2) for _ in range(3)),
    )  # fmt: skip
    unrolled = []
    monkeypatch.setattr(lower, "walk", lambda *args: unrolled.append(args))
    began = time.perf_counter()
    with pytest.raises(lower.UnsupportedError, match=r"about \d\d\d,\d\d\d operations"):
        lower.unroll(jax.make_jaxpr(lambda p: network.fn(p, weights))(np.ones(200, np.float32)))
    assert time.perf_counter() - began < 5  # unrolling it takes a minute
    assert not unrolled
