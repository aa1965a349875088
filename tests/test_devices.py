"""Every objective on every device: without a GPU Pallas is interpreted, and lowered for one.

What is marked ``gpu`` runs on one alone: ``pytest -m gpu``.
"""

import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optax_loops import A_PAIR, NO_POINT, SQUARES, XLA_ALONE, changed

import gdjax
from gdjax import objectives, optimizers, starts
from gdjax._descent.cells import Setting, trace
from gdjax._descent.outcomes import DEFAULT_RULE
from gdjax._inputs import default_dtype
from gdjax._kernels import pallas

# A few of them every day: with sums, powers, exponentials, sines, kinks, and of many dimensions.
EVERY_DAY = {"booth", "beale", "qfsp", "rastrigin", "cross_in_tray", "rosenbrock"}
EVERY_OBJECTIVE = pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in EVERY_DAY else pytest.mark.full) for n in objectives.names()],
)


def check(name, kernel, dtype):
    """A step by hand's gradient, and the value after it, are those of the objective on the CPU."""
    f = objectives.get(name)
    points = starts.uniform(64, seed=3).take(f, 0, 64).astype(dtype)
    rate = 1e-3 / np.abs(np.asarray(f.domain)).max()
    found = gdjax.sweep(
        f, gdjax.gradient_descent(rate), points, steps=1, gradient="hand", dtype=dtype,
        stopping=False, classify_rest=False, kernel=kernel,
    )  # fmt: skip
    with default_dtype(dtype), jax.default_device(jax.devices("cpu")[0]):
        slope = jax.vmap(f.value_and_gradient("hand"))(jnp.asarray(points))[1]
        expected = points - np.asarray(rate * slope)
        value = np.asarray(jax.vmap(f.value)(found.final_point.values))
    # Sums in another order and elementary functions of our own: some units in the last place of
    # the largest term, which in these domains may be a thousand times the result.
    units = np.finfo(dtype).eps * np.array([1e5, 1e4])
    far = units * max(1, np.abs(value).max())
    np.testing.assert_allclose(found.final_value, value, rtol=units[0], atol=far[0])
    np.testing.assert_allclose(found.final_point, expected, rtol=units[1], atol=units[1])


@EVERY_OBJECTIVE
def test_every_objective_has_its_value_and_gradient_in_kernels_of_scalars(interpreted, name):
    for kernel in ("llvm", "pallas")[: 1 + (name in EVERY_DAY)]:
        check(name, kernel, "float64")


@pytest.mark.gpu
@pytest.mark.parametrize("name", objectives.names())
@pytest.mark.parametrize("kernel", ["pallas", "xla", "xla_math"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_kernel_agrees_with_the_cpu(name, kernel, dtype):
    check(name, kernel, dtype)


def lowered(objective, optimizer, dtype):
    """What a GPU's compiler is handed; no GPU is needed to write it."""
    f = objective.cast(dtype)
    setting, _, data = Setting.of(optimizer, f)
    with default_dtype(dtype):
        start = jax.ShapeDtypeStruct((f.dim,), dtype)
        rules = "autodiff", DEFAULT_RULE, 1e-4, True
        cells = trace(setting, data, start, *rules, carry_data=True)
        kernel = pallas.Kernel(cells, interpret=True)
        kernel._interpret = False
        rows = [jax.ShapeDtypeStruct((256,), i.dtype) for i in kernel._programs[0].inputs]
        traced = jax.jit(kernel._descend).trace(rows, jax.ShapeDtypeStruct((2,), np.int32))
        try:
            return traced.lower(lowering_platforms=("cuda",)).as_text()
        except RuntimeError as error:  # JAX 0.12
            if "No supported GPU" not in str(error):
                raise
            pytest.skip("this JAX lowers for a GPU only where there is one")


@EVERY_OBJECTIVE
def test_every_objective_can_be_lowered_for_a_gpu(name):
    for dtype in ("float32", "float64")[: 1 + (name in EVERY_DAY)]:
        text = lowered(objectives.get(name), gdjax.heavy_ball(0.1), dtype)
        assert "triton" in text


@pytest.mark.filterwarnings("ignore:`optimistic_adam` is deprecated")
@pytest.mark.parametrize(
    "name",
    [
        n if n in ("adafactor", "adam") else pytest.param(n, marks=pytest.mark.full)
        for n in sorted({*optimizers.names()} - {*NO_POINT} - A_PAIR - SQUARES)
        if not {n, f"{n} by name"} & XLA_ALONE
    ],
)
def test_every_optimizer_can_be_lowered_for_a_gpu(name):
    made = optimizers.get(name, **changed(optimizers.parameters(name)))
    for dtype in ("float32", "float64")[: 1 + (name in ("adafactor", "adam"))]:
        assert "triton" in lowered(objectives.get("rosenbrock"), made, dtype)


def test_all_parts_are_under_way_before_the_first_is_read(monkeypatch, interpreted):
    """So that its results come back while others run."""
    monkeypatch.setattr(pallas, "PART", 256)
    order = []

    class Result:
        def __init__(self, part, values):
            self.part, self.values = part, values

        def __array__(self, dtype=None, copy=None):
            order.append(f"read {self.part}")
            return np.asarray(self.values)

    def listening(run):
        def begin(rows, counts):
            part = sum(told.startswith("begin") for told in order)
            order.append(f"begin {part}")
            return [Result(part, values) for values in run(rows, counts)]

        return begin

    begun = pallas.Kernel.func.__init__

    def init(self, *args, **options):
        begun(self, *args, **options)
        self._run = listening(self._run)

    monkeypatch.setattr(pallas.Kernel.func, "__init__", init)
    given, rate = np.linspace(-3, 3, 1400).reshape(700, 2), gdjax.gradient_descent(0.0625)
    found = gdjax.sweep("sphere", rate, given, steps=8, kernel="pallas", stopping=False)
    assert [*dict.fromkeys(order)] == [
        f"{told} {i}" for told in ("begin", "read") for i in range(3)
    ]
    np.testing.assert_allclose(found.final_point, given * 0.875**8, rtol=1e-6)


@pytest.mark.gpu
def test_auto_takes_what_is_fastest():
    def seconds(kernel):
        def once():
            began = time.perf_counter()
            found = gdjax.sweep("qfsp", gdjax.heavy_ball(0.1), given, kernel=kernel,
                                classify_rest=False)  # fmt: skip
            return time.perf_counter() - began, found.attrs["kernel"]

        given = starts.uniform(2**20)
        times, names = zip(*(once() for _ in range(6)), strict=True)
        return statistics.median(times[1:]), names[0]  # the first one compiles

    chosen, name = seconds("auto")
    assert name == "pallas"
    assert chosen <= 1.2 * min(seconds(kernel)[0] for kernel in ("xla", "xla_math"))


@pytest.mark.gpu
def test_memory_is_bounded_whatever_the_number_of_cells():
    before = jax.devices()[0].memory_stats()["bytes_in_use"]
    gdjax.sweep("qfsp", gdjax.heavy_ball(0.1), starts.uniform(10**7), classify_rest=False)
    # Of 10⁷ cells a million at a time are there, each of about sixty bytes.
    assert jax.devices()[0].memory_stats()["peak_bytes_in_use"] - before < 2**20 * 128
