"""Which kernel computes a sweep: the next one takes over whatever one of ours cannot do."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax
from gdjax._compiler import lower, operations, program, rules, xla_math
from gdjax._kernels import choice, llvm, pallas, xla

ON_A_CPU, ON_A_GPU = ["llvm", "xla_math", "xla"], ["pallas", "xla"]


def broken(*args, **kwargs):
    raise TypeError("no such lowering\nand more")


def breaks_native(patch):
    patch.setattr(llvm, "Kernel", broken)


def breaks_a_rule(patch):
    patch.setitem(rules.RULES, "mul", broken)


def breaks_a_program(patch):
    patch.setattr(program.Program, "fuse", broken)


def breaks_a_type(patch):  # LLVM knows no bits of floats
    ill = operations.OPERATIONS["mul"]._replace(llvm="and_")
    patch.setitem(operations.OPERATIONS, "mul", ill)


def breaks_a_substitute(patch):
    breaks_native(patch)
    patch.setattr(xla_math, "_sum", broken)


def breaks_a_trace(patch):
    breaks_native(patch)
    patch.setattr(xla, "substituted", lambda fn: broken)


def breaks_pallas(patch):
    patch.setattr(jax, "default_backend", lambda: "gpu")
    patch.setattr(pallas, "evaluate", broken)


def lacks_a_gpu(patch):
    patch.setattr(jax, "default_backend", lambda: "gpu")


@pytest.fixture
def fresh():
    choice._kernel.cache_clear(), choice._of_tile.cache_clear()
    yield
    choice._kernel.cache_clear(), choice._of_tile.cache_clear()


@pytest.mark.parametrize(
    ("fault", "order", "left", "why"),
    [
        (breaks_native, ON_A_CPU, 1, "TypeError: no such lowering"),
        (breaks_a_rule, ON_A_CPU, 1, "TypeError: no such lowering"),
        (breaks_a_program, ON_A_CPU, 1, "TypeError: no such lowering"),
        (breaks_a_type, ON_A_CPU, 1, "RuntimeError: LLVM IR parsing error"),
        (breaks_a_substitute, ON_A_CPU, 2, "TypeError: no such lowering"),
        (breaks_a_trace, ON_A_CPU, 2, "TypeError: no such lowering"),
        (breaks_pallas, ON_A_GPU, 1, "TypeError: no such lowering"),
        (lacks_a_gpu, ON_A_GPU, 1, "ValueError: Only interpret mode is supported on CPU backend."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("record", [None, "all"])
def test_where_a_kernel_fails_the_next_takes_over_and_says_why(
    monkeypatch, fresh, reasons, fault, order, left, why, record
):
    given = {"starts": np.float32([[1, 2], [3, 4]]), "steps": 20, "save_at": record}
    right = gdjax.sweep("sphere", gdjax.heavy_ball(0.1), kernel="xla", **given)
    with monkeypatch.context() as patch:
        fault(patch)
        found = gdjax.sweep("sphere", gdjax.heavy_ball(0.1), **given)
    assert found.attrs["kernel"] == order[left]
    tried = order[:left] if order == ON_A_CPU or not record else []  # Pallas keeps no paths
    said = [f"the {name} kernel fails with {why}" for name in tried]
    assert found.attrs["kernel_reason"] == "; ".join(said)
    np.testing.assert_allclose(found.final_point, right.final_point, rtol=1e-6, atol=1e-6)
    assert reasons.pop() == found.attrs["kernel_reason"]  # else it would fail this test


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


@pytest.mark.parametrize(("count", "tile"), [(1, 1), (7, 4)])
def test_a_tile_over_data_holds_few_cells_and_none_in_vain(count, tile):
    data = np.random.default_rng(0).normal(size=(10_000, 3)).astype(np.float32)
    starts = np.random.default_rng(1).normal(size=(count, 3)).astype(np.float32)

    def fn(p):
        return ((data @ p - data[:, 0]) ** 2).mean()

    found = gdjax.sweep(fn, gdjax.heavy_ball(0.05), starts, steps=20)
    assert found.attrs["tile"] == tile
    for start, point in zip(starts, found.final_point, strict=True):
        path = gdjax.descend(fn, gdjax.heavy_ball(0.05), start, 20)
        np.testing.assert_allclose(point, path.points[-1], rtol=1e-4, atol=1e-5)
