"""Kernels, plans and starts: what a sweep is made of."""

import os
import re
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax
from gdjax import objectives, starts
from gdjax._compiler.xla_math import REPLACED, substituted
from gdjax._descent.cells import Setting, stride, trace
from gdjax._descent.outcomes import Outcome, StoppingRule
from gdjax._inputs import default_dtype
from gdjax._kernels.choice import CPU_TILE, _kernel
from gdjax._kernels.llvm import kernel
from gdjax._sweep.plan import plan
from gdjax._sweep.runner import Runner, processors

QFSP = objectives.get("qfsp")


def run(asked, **options):
    runner = Runner(asked, **options)
    chunks = [runner(index) for index in range(asked.chunks)]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}, runner


def same(a, b):
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_after_an_error_in_one_thread_none_begins_another_block():
    asked, finished = plan(QFSP, gdjax.heavy_ball(0.1), starts.uniform(2**19), steps=100), []

    def done(cells):
        finished.append(cells)
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Runner(asked, devices=2)(0, None, done)
    assert sum(finished) < asked.cells / 2


@pytest.mark.parametrize(
    ("dtype", "kernel"),
    [
        ("float32", "llvm"),
        ("float64", "xla"),
        pytest.param("float64", "llvm", marks=pytest.mark.full),
        pytest.param("float32", "xla", marks=pytest.mark.full),
    ],
)
def test_a_cell_is_the_descent_from_its_start(dtype, kernel):
    f = objectives.get("ill_conditioned_quadratic", dim=3)
    asked = plan(
        f, gdjax.heavy_ball, starts.uniform(3, seed=1),
        {"learning_rate": [0.01, 0.03, 1.0], "momentum": [0.0, 0.8]},
        steps=60, save_at=[0, 1, 7, 60], stopping=False, dtype=dtype,
    )  # fmt: skip
    found, runner = run(asked, choice=kernel)
    assert runner.kernel.name == kernel
    tolerance = 400 * float(jnp.finfo(dtype).eps)
    cells = [(s, rate, m) for s in range(3) for rate in (0.01, 0.03, 1.0) for m in (0.0, 0.8)]
    for i, (s, rate, momentum) in enumerate(cells):
        start = asked.starts.take(f, s, s + 1)[0]
        path = gdjax.descend(f, gdjax.heavy_ball(rate, momentum), start, 60, dtype=dtype)
        assert found["outcome"][i] == path.outcome
        if path.outcome != Outcome.DIVERGED:  # a sweep stops what descend follows
            np.testing.assert_allclose(
                found["points"][i], path.points[jnp.array([0, 1, 7, 60])], rtol=tolerance,
                atol=tolerance,
            )  # fmt: skip
            assert found["minimum"][i] == path.minimum
            assert found["steps"][i] == 60
            assert found["evaluations"][i] == 61
            np.testing.assert_allclose(
                found["best_value"][i], np.asarray(path.values).min(), rtol=1e-4
            )
            within = np.asarray(path.values) <= 1e-4
            assert found["steps_to_tolerance"][i] == (within.argmax() if within.any() else -1)
        else:
            assert found["steps"][i] < 60


def test_a_state_keeps_a_weak_type_only_where_steps_do():
    optimizer = optax.GradientTransformation(
        lambda point: (jnp.asarray(1.0), jnp.asarray(1.0)),
        lambda slope, state, point: (-state[0] * slope, (state[0] * slope[0], state[1] * 0.5)),
    )
    setting, _, _ = Setting.of(gdjax.optimizers.as_optimizer(optimizer), QFSP)
    start = jax.ShapeDtypeStruct((2,), np.float32)
    cells = trace(setting, [], start, "autodiff", StoppingRule(), 1e-4, True)
    assert [leaf.weak_type for leaf in cells.state.optimizer] == [False, True]


def test_rest_is_looked_for_by_strides_and_loss_at_every_step():
    asked = plan(
        objectives.get("booth"), gdjax.heavy_ball, starts.uniform(50),
        {"learning_rate": [0.03, 0.09, 0.3, 1e5], "momentum": [0.5]}, steps=384,
        dtype="float64",
    )  # fmt: skip
    native, runner = run(asked)
    xla, other = run(asked, choice="xla")
    often, _ = run(asked._replace(stopping=StoppingRule(every=1)))
    assert (runner.kernel.name, other.kernel.name) == ("llvm", "xla")
    resting = native["outcome"] == Outcome.CONVERGED
    lost = native["outcome"] == Outcome.DIVERGED
    assert resting.any()
    assert lost.any()
    assert (native["steps"][resting] % stride(384, 10) == 0).all()
    assert len({*(native["steps"][lost] % stride(384, 10))}) > 2
    np.testing.assert_array_equal(native["outcome"], often["outcome"])
    early = native["steps"][resting] - often["steps"][resting]
    assert {*early} == {*range(stride(384, 10))}
    for name in ("outcome", "steps", "evaluations", "steps_to_tolerance", "minimum"):
        np.testing.assert_array_equal(native[name], xla[name], err_msg=name)
    for name in ("final_point", "final_value", "best_value"):
        np.testing.assert_allclose(native[name], xla[name], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("record", [None, "all"])
def test_the_value_of_a_lost_point_is_known_but_never_the_best(record):
    # Its sines are far from where they are fast, and its value is lower than any before.
    f = gdjax.Objective(
        name="slide", domain=[(-200, 200)], fn=lambda p: jnp.sin(p[0]) - 0.5 * p[0] ** 2
    )
    asked = plan(f, gdjax.gradient_descent(0.9), np.linspace(1, 150, 40)[:, None], steps=60,
                 save_at=record)  # fmt: skip
    found, runner = run(asked)
    assert runner.kernel.name == "llvm"
    assert (found["outcome"] == Outcome.DIVERGED).all()
    last = found["final_point"][:, 0].astype(float)
    assert (np.abs(last) > 2e4).all()
    np.testing.assert_allclose(found["final_value"], np.sin(last) - last**2 / 2, rtol=1e-6)
    assert (found["best_value"] > found["final_value"]).all()
    # What is within tolerance, and near a minimum, is not said where neither is known.
    assert (found["steps_to_tolerance"] == found["minimum"]).all()
    assert (found["minimum"] == -1).all()
    if record:
        rows = found["steps"], np.arange(40)
        np.testing.assert_array_equal(found["values"].T[rows], found["final_value"])
        np.testing.assert_array_equal(found["values"][:, -1], found["final_value"])
        np.testing.assert_array_equal(found["points"][:, -1], found["final_point"])


def test_what_cannot_be_unrolled_runs_in_xla_and_says_why():
    def halvings(p):  # the square, by a loop whose length depends on the point
        return jax.lax.while_loop(lambda s: s[0] < jnp.abs(p[0]), lambda s: 2 * s, jnp.ones(1))[0]

    f = gdjax.Objective(
        name="loop", fn=lambda p: p[0] ** 2 + 0 * halvings(p), gradient=lambda p: 2 * p,
        domain=[(-5, 5)], minima=[[0.0]], fmin=0.0,
    )  # fmt: skip
    asked = plan(f, gdjax.gradient_descent(0.5), starts.uniform(5), steps=5, gradient="hand")
    found, runner = run(asked)
    assert runner.kernel.name == "xla_math"
    assert "cannot be unrolled" in runner.reason
    assert (found["outcome"] == Outcome.CONVERGED).all()


@pytest.mark.parametrize("kernel", ["llvm", pytest.param("xla", marks=pytest.mark.full)])
@pytest.mark.parametrize("record", [None, 7])
def test_results_do_not_depend_on_how_a_sweep_is_cut(kernel, record):
    given = starts.uniform(1500, seed=2)
    settings = {
        "hyperparameters": {"learning_rate": [0.05, 0.4], "momentum": [0.3, 0.95]},
        "steps": 30, "save_at": record, "gradient": "hand",
    }  # fmt: skip
    whole, _ = run(plan(QFSP, gdjax.heavy_ball, given, **settings), choice=kernel)
    assert len({*whole["outcome"]}) > 1  # some stop, and others take their place
    cut, _ = run(
        plan(QFSP, gdjax.heavy_ball, given, chunk=1111, **settings),
        devices=1, choice=kernel,
    )  # fmt: skip
    same(whole, cut)
    order = np.random.default_rng(0).permutation(1500)
    points = given.take(QFSP, 0, 1500)[order]
    mixed, _ = run(plan(QFSP, gdjax.heavy_ball, points, **settings), choice=kernel)
    same({k: v.reshape(1500, 4, *v.shape[1:])[order] for k, v in whole.items()},
         {k: v.reshape(1500, 4, *v.shape[1:]) for k, v in mixed.items()})  # fmt: skip


@pytest.mark.parametrize("record", [None, pytest.param("all", marks=pytest.mark.full)])
def test_results_do_not_depend_on_how_wide_a_processors_vectors_are(monkeypatch, record):
    if not kernel.llvm.get_host_cpu_features().get("avx2"):
        pytest.skip("this processor cannot run what is compiled for vectors of 32 bytes")
    asked = plan(
        QFSP, gdjax.heavy_ball, starts.uniform(300, seed=2), steps=40, save_at=record,
        hyperparameters={"learning_rate": [0.05, 0.4, 1e4], "momentum": [0.3, 0.95]},
    )  # fmt: skip
    own, _ = run(asked)
    monkeypatch.setattr(kernel, "_prepare", lambda: ("haswell", "+avx2,+fma,-avx512f"))
    _kernel.cache_clear()
    narrow, runner = run(asked)
    _kernel.cache_clear()
    assert runner.kernel.name == "llvm"
    same(own, narrow)


def test_nan_in_one_cell_touches_no_other():
    holed = gdjax.Objective(
        name="holed", domain=[(-2, 2)], fmin=0.0, minima=[[0]],
        fn=lambda p: p[0] ** 2 + jnp.where(p[0] > 1, jnp.log(-jnp.abs(p[0])), 0.0),
    )  # fmt: skip
    points = np.linspace(-2, 2, 101)[:, None]
    found, _ = run(plan(holed, gdjax.heavy_ball(0.1), points, steps=50))
    broken = points[:, 0] > 1
    assert (found["outcome"][broken] == Outcome.NONFINITE).all()
    assert (found["steps"][broken] == 0).all()
    alone, _ = run(plan(holed, gdjax.heavy_ball(0.1), points[~broken], steps=50))
    same({k: v[~broken] for k, v in found.items()}, alone)


def every_exponent(kind):
    """Numbers of every exponent and either sign, and the edges."""
    limits = np.finfo(kind)
    exponents = np.arange(limits.minexp - limits.nmant, limits.maxexp)
    mantissas = np.random.default_rng(0).uniform(1, 2, (len(exponents), 32))
    x = (mantissas * 2.0 ** exponents[:, None]).astype(kind).ravel()
    special = [0.0, -0.0, 1, np.pi, 1e4, 1e5, 100001, 88.7, -103.9, limits.max, limits.tiny, 0.5]
    return np.concatenate([x, -x, np.array(special, kind)])


def by_native_kernel(name, x):
    function = getattr(jnp, name)
    f = gdjax.Objective(
        name=name, fn=lambda p: function(p[0]), gradient=lambda p: p, domain=[(-1, 1)]
    )
    asked = plan(f, gdjax.gradient_descent(0.1), x.astype(float)[:, None], steps=0,
                 dtype=x.dtype.name, gradient="hand")  # fmt: skip
    found, runner = run(asked)
    assert runner.kernel.name == "llvm", runner.reason
    return found["final_value"]


def by_xla(name, x):
    with default_dtype(x.dtype.name):
        function = jax.vmap(getattr(jnp, name))
        value = np.asarray(jax.jit(substituted(function))(x))
        assert (value != np.asarray(jax.jit(function)(x)))[np.isfinite(value)].any()
    return value


@pytest.mark.full
@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "units"),
    [("sin", 2), ("cos", 2), ("tan", 4), ("exp", 2), ("log", 2), ("tanh", 3), ("arctan", 3)],
)
@pytest.mark.parametrize("computed", [by_native_kernel, by_xla])
def test_elementary_functions_over_every_exponent(computed, name, units, kind):
    x = every_exponent(kind)
    if computed is by_xla:
        if name.replace("arc", "a") not in REPLACED[kind]:
            pytest.skip("XLA's own")
        x = np.concatenate([x, np.array([np.nan, np.inf, -np.inf], kind)])
    wide = np.longdouble if kind == "float64" else np.float64
    with np.errstate(all="ignore"):
        truth = getattr(np, name)(x.astype(wide))
        rounded = truth.astype(kind)
    value = computed(name, x)
    np.testing.assert_array_equal(np.isnan(value), np.isnan(rounded))
    np.testing.assert_array_equal(np.isinf(value), np.isinf(rounded))
    finite = np.isfinite(rounded)
    error = np.abs(value[finite].astype(wide) - truth[finite])
    unit = np.maximum(np.spacing(np.abs(rounded[finite])), np.finfo(kind).tiny)
    assert (error / unit).max() <= units
    if name in ("sin", "cos") and kind == "float32":
        assert error.max() <= 1.2e-7
        far = np.abs(x[finite]) > 1e4  # there by way of float64, rounded once, or the C library's
        assert (error / unit)[far].max() <= (0.51 if computed is by_native_kernel else 0.56)


def test_substitution_reaches_into_loops_and_leaves_what_it_is_given_alone():
    def nested(x):
        def turn(y):
            return jax.lax.cond(y[0] > 0, jax.jit(jnp.arctan), jax.nn.relu, jnp.tan(y))

        def body(y, _):
            return jax.lax.while_loop(lambda y: jnp.sum(jnp.arctan(y)) > 1, turn, y), jnp.tan(y)

        return {"found": jax.lax.scan(body, x, None, length=3)}

    x = jnp.linspace(-1, 1.2, 5)
    before = jax.jit(nested)(x)

    def tangents(fn):
        return re.findall("= a?tan ", str(jax.make_jaxpr(fn)(x)))

    assert tangents(substituted(nested)) == []
    assert len(tangents(nested)) == 4  # which is as it was
    after, own = jax.jit(lambda x: nested(x))(x), jax.jit(substituted(nested))(x)
    jax.tree.map(np.testing.assert_array_equal, before, after)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6), before, own)


def test_a_far_number_leaves_the_sines_beside_it_as_they_are():
    sine = jax.jit(substituted(lambda x: 2 * jnp.sin(x + 1) + x))
    x = np.random.default_rng(0).uniform(-40, 40, 999).astype(np.float32)
    near, mixed = sine(x), sine(np.where(np.arange(999) % 100, x, np.float32(1e7)))
    same = np.arange(999) % 100 > 0
    np.testing.assert_array_equal(near[same], mixed[same])
    assert not (near == mixed)[~same].any()


@pytest.mark.full
def test_what_is_too_long_for_the_native_kernel_comes_out_the_same_by_either_xla_kernel():
    f = objectives.get("rastrigin", dim=300)
    given = starts.uniform(200, seed=1).take(f, 0, 200)
    given[::7] *= 400  # its sine is far beyond the polynomial's reach
    asked = plan(f, gdjax.heavy_ball(1e-3), given, steps=10, chunk=77)
    own, runner = run(asked)
    exact, other = run(asked, choice="xla")
    assert (runner.kernel.name, other.kernel.name) == ("xla_math", "xla")
    assert runner.kernel.tile == other.kernel.tile < CPU_TILE
    assert (own["final_point"] != exact["final_point"]).any()
    for name in ("outcome", "steps", "minimum", "steps_to_tolerance"):
        np.testing.assert_array_equal(own[name], exact[name])
    # Ten steps let the 1e-7 of a sine grow by (1 + 0.4)¹⁰ at the most: the curvature is 400.
    np.testing.assert_allclose(own["final_point"], exact["final_point"], rtol=1e-5, atol=1e-4)
    whole, _ = run(asked._replace(chunk=200))
    same(own, whole)


def test_powers_keep_signs_and_edges():
    cases = [(-8.0, 3.0), (-8.0, 2.0), (-8.0, 0.5), (0.0, 0.0), (0.0, -1.0), (2.5, -3.5),
             (np.inf, -1.0), (-0.5, 4.0), (1.5, 60.0)]  # fmt: skip
    f = gdjax.Objective(
        name="power", fn=lambda p: p[0] ** p[1], gradient=lambda p: p, domain=[(-1, 1)] * 2
    )
    finite = [c for c in cases if np.isfinite(c).all()]
    asked = plan(f, gdjax.gradient_descent(0.1), finite, steps=0, gradient="hand")
    found, runner = run(asked)
    assert runner.kernel.name == "llvm", runner.reason
    with np.errstate(all="ignore"):
        expected = [np.power(np.float64(a), b) for a, b in finite]
    np.testing.assert_allclose(found["final_value"], expected, rtol=2e-7)


BEALE = objectives.get("beale")
SAMPLES = {"uniform": 70_000, "sobol": 1024, "latin_hypercube": 300}


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_sample_can_be_made_in_parts_and_depends_on_its_seed_alone(kind):
    count = SAMPLES[kind]
    made = starts.make(kind, number=count, seed=5)
    assert (made.count(2), made.shape(2)) == (count, (count,))
    whole = made.take(BEALE, 0, count)
    low, high = np.asarray(BEALE.domain).T
    unit = (whole - low) / (high - low)
    assert whole.shape == (count, 2)
    assert ((unit >= 0) & (unit <= 1)).all()
    assert (np.abs(unit.mean(axis=0) - 0.5) < 2 / np.sqrt(count)).all()
    assert abs(np.corrcoef(unit.T)[0, 1]) < 0.2  # the axes are drawn apart
    assert len(np.unique(whole, axis=0)) == count
    last = min(count, 2**16)  # points of one seed; beyond there come those of the next
    for a, b in ((count // 3, count - 5), (last - 2, count), (0, 1), (count - 1, count)):
        np.testing.assert_array_equal(made.take(BEALE, a, b), whole[a:b])
    np.testing.assert_array_equal(
        starts.make(kind, number=count, seed=5).take(BEALE, 0, 9), whole[:9]
    )
    for seed in (0, 6):
        other = starts.make(kind, number=count, seed=seed).take(BEALE, 0, 9)
        assert not (other == whole[:9]).any()
    if kind == "uniform":
        np.testing.assert_array_equal(starts.uniform(9, 5).take(BEALE, 0, 9), whole[:9])
    else:  # every slice of every axis holds one of them
        np.testing.assert_array_equal(np.sort(np.floor(unit * count), axis=0)[:, 0], range(count))
        np.testing.assert_array_equal(np.sort(np.floor(unit * count), axis=0)[:, 1], range(count))


def test_a_grid_has_both_ends_of_a_domain_that_is_no_square():
    f = gdjax.Objective(name="f", fn=lambda p: p.sum(), domain=[(-1, 1), (0, 10)])
    made = starts.grid(3)
    assert (made.count(2), made.shape(2), made.count(1), made.shape(1)) == (9, (3, 3), 3, (3,))
    whole = [[x, y] for x in (-1, 0, 1) for y in (0, 5, 10)]  # the first axis is the slowest
    assert made.take(f, 0, 9).tolist() == whole
    assert made.take(f, 2, 7).tolist() == whole[2:7]


@pytest.mark.parametrize(
    ("given", "points"),
    [
        (None, [QFSP.start]),
        ([1, 2], [(1, 2)]),
        (np.array([1.5, 2]), [(1.5, 2)]),
        ([[1, 2], [3, 4], [5, 6]], [(1, 2), (3, 4), (5, 6)]),
        (jnp.array([[1.0, 2.0]]), [(1, 2)]),
    ],
)
def test_starts_may_be_one_point_or_many_or_left_out(given, points):
    made = plan(QFSP, gdjax.gradient_descent(0.1), given).starts
    assert (made.kind, made.count(2)) == ("array", len(points))
    np.testing.assert_array_equal(made.take(QFSP, 0, 9), points)


def test_numbers_in_one_dimension_are_so_many_starts():
    made = plan(objectives.get("parabola"), gdjax.gradient_descent(0.1), [1, 2, 3]).starts
    assert made.take(objectives.get("parabola"), 0, 9).tolist() == [[1], [2], [3]]


def test_starts_keep_the_precision_they_were_given_in():
    given = np.array([[0.1, 0.2]], np.float32)
    made = plan(QFSP, gdjax.gradient_descent(0.1), given, dtype="float64").starts
    assert made.take(QFSP, 0, 1).dtype == np.float32


@pytest.mark.parametrize("kind", starts.MAKERS)
@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("number", 0, "number of starts must be a whole number, at least 1, got 0"),
        ("number", True, "number of starts must be a whole number, at least 1, got True"),
        ("number", 2.0, "number of starts must be a whole number, at least 1, got 2.0"),
        ("seed", -1, "seed must be a whole number, at least 0, got -1"),
        ("seed", True, "seed must be a whole number, at least 0, got True"),
    ],
)
def test_a_number_and_a_seed_of_starts_are_whole(untyped, kind, option, value, message):
    if kind == "grid" and option == "seed":
        return
    with pytest.raises(gdjax.ArgumentError) as caught:
        starts.make(kind, **{"number": 8} | {option: value})
    assert message in str(caught.value)


def test_there_are_no_starts_of_an_unknown_kind():
    assert starts.make("uniform", number=1).take(BEALE, 0, 1).shape == (1, 2)
    with pytest.raises(gdjax.ArgumentError, match="unknown kind of starts 'unifrom'"):
        starts.make("unifrom", number=1)


def test_a_plan_counts_its_cells_with_the_starts_slowest_and_the_last_axis_fastest():
    axes = {"momentum": [0.1, 0.2, 0.3], "learning_rate": [0.5, 0.25]}
    asked = plan(QFSP, gdjax.heavy_ball, starts.grid(2), axes, chunk=10)
    assert (asked.shape, asked.cells, asked.chunks) == ((4, 3, 2), 24, 3)
    assert [asked.bounds(i) for i in range(3)] == [(0, 10), (10, 20), (20, 24)]
    assert [*map(list, asked.axes)] == [["momentum"], ["learning_rate"]]
    zipped = plan(QFSP, gdjax.heavy_ball, None, {tuple(axes): ([0.1, 0.2], [1, 2])}, chunk=2)
    assert [*map(list, zipped.axes)] == [["momentum", "learning_rate"]]
    assert (zipped.shape, zipped.chunks) == ((1, 2), 1)


@pytest.mark.parametrize(
    ("record", "steps", "kept"),
    [
        (None, 9, ()), ("summary", 9, ()), ("all", 3, (0, 1, 2, 3)), (4, 9, (0, 4, 8)),
        (3, 9, (0, 3, 6, 9)), (1, 2, (0, 1, 2)), ([5, 0, 9, 5], 9, (0, 5, 9)), ([], 9, ()),
        (9, 9, (0, 9)), ("all", 0, (0,)),
    ],
)  # fmt: skip
def test_what_is_to_be_recorded(record, steps, kept):
    assert plan(QFSP, gdjax.heavy_ball(0.1), steps=steps, save_at=record).save_at == kept


def test_a_sweep_says_how_it_was_run():
    found = gdjax.sweep(QFSP, gdjax.heavy_ball(0.1), [(1, 2), (3, 4)], steps=12)
    said = {
        "objective": "qfsp", "fmin": QFSP.fmin, "max_steps": 12, "tolerance": 1e-4, "chunk": 2,
        "gradient": "autodiff", "dtype": "float32", "starts_kind": "array", "kernel": "llvm",
        "kernel_reason": "", "stride": 6, "processors": processors(), "complete": True,
    }  # fmt: skip
    assert {name: found.attrs[name] for name in said} == said
    assert processors() == len(os.sched_getaffinity(0))
    alone = gdjax.sweep(QFSP, gdjax.heavy_ball(0.1), steps=1, devices=1, kernel="xla")
    assert (alone.attrs["kernel_reason"], alone.attrs["processors"]) == ("", 1)
    with pytest.raises(gdjax.ArgumentError, match="devices must be a whole number, at least 1"):
        gdjax.sweep(QFSP, gdjax.heavy_ball(0.1), devices=0)


@pytest.mark.parametrize(
    ("stopping", "stops", "rule"),
    [
        (True, True, StoppingRule()), (False, False, StoppingRule()),
        (StoppingRule(bound=5), True, StoppingRule(bound=5)),
    ],
)  # fmt: skip
def test_a_rule_is_a_way_to_stop(stopping, stops, rule):
    asked = plan(QFSP, gdjax.heavy_ball(0.1), stopping=stopping)
    assert (asked.stops, asked.stopping) == (stops, rule)


def test_a_hyperparameter_given_with_the_optimizer_stays_unless_it_is_swept():
    asked = plan(QFSP, gdjax.heavy_ball(0.1, 0.7), None, {"learning_rate": [0.2, 0.3]})
    assert repr(asked.optimizer) == repr(gdjax.heavy_ball(0.2, 0.7))  # the first of its values
    found = gdjax.sweep(QFSP, "heavy_ball", None, {"learning_rate": [0.02]}, 7)
    path = gdjax.descend(QFSP, gdjax.heavy_ball(0.02), steps=7)
    np.testing.assert_allclose(found.final_point.values[0, 0], path.points[-1], rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hyperparameters": {"learning_rate": [0.1], "momentun": [0.5]}},
         "unknown hyperparameter of heavy_ball 'momentun'; did you mean 'momentum'?"),
        ({"hyperparameters": {"momentum": [0.5, 1.0]}}, "momentum must lie in [0, 1), got 1.0"),
        ({"hyperparameters": {"momentum": []}}, "momentum must be a list of at least one value"),
        ({"hyperparameters": {"momentum": [0.1, np.inf]}}, "momentum must be finite, got inf"),
        ({"hyperparameters": {("learning_rate", "momentum"): ([0.1], [0.1, 0.2])}},
         "must have equally many values, got 1 of learning_rate, 2 of momentum"),
        ({"optimizer": optax.adam, "hyperparameters": {"b1": [0.9]}}, "adam needs learning_rate"),
        ({"starts": np.zeros((3, 4))}, "starts must have shape (n, 2), as qfsp needs, got (3, 4)"),
        ({"starts": [[1.0, np.nan]]}, "starts must be finite, got (1.0, nan) at index 0"),
        ({"starts": np.zeros((0, 2))}, "starts must hold at least one point"),
        ({"save_at": "everything"}, "unknown save_at 'everything'"),
        ({"save_at": [3, 200]}, "save_at must lie within the 100 steps, got 200"),
        ({"steps": -1}, "steps must be a whole number, at least 0, got -1"),
        ({"stopping": StoppingRule(every=0)}, "every must be a whole number, at least 1, got 0"),
        ({"chunk": 0}, "chunk must be a whole number, at least 1, got 0"),
        ({"chunk": True}, "chunk must be a whole number, at least 1, got True"),
        ({"steps": 1.0}, "steps must be a whole number, at least 0, got 1.0"),
        ({"tolerance": np.inf}, "tolerance must be positive and finite, got inf"),
        ({"save_at": 0}, "save_at must be a whole number, at least 1, got 0"),
        ({"save_at": [-1]}, "save_at must be a whole number, at least 0, got -1"),
        ({"gradient": "left"}, "unknown gradient 'left'"),
        ({"optimizer": 3},
         "must be a name, a factory such as optax.adam, or an optax transformation, got 3"),
        ({"hyperparameters": {"momentum": [[0.5]]}}, "momentum must be a number, got (0.5,)"),
        ({"hyperparameters": {"momentum": np.ones((1, 2))}}, "momentum must be a list of at least"),
        ({"hyperparameters": {"momentum": ["a"]}}, "momentum must be a number, got 'a'"),
        ({"hyperparameters": {"momentum": [0.5, -1.0, 0.6]}}, "momentum must lie in [0, 1)"),
        ({"hyperparameters": {("learning_rate", "momentum"): ([0.1],)}},
         "hyperparameters learning_rate, momentum are zipped: one list of values each, got 1"),
        ({"hyperparameters": {("learning_rate",): ([0.1],), "learning_rate": [0.1]}},
         "hyperparameters must be named once each"),
        ({"starts": "here"}, "starts must be points of 2 numbers, got 'here'"),
        ({"tolerance": 0.0}, "tolerance must be positive and finite, got 0"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
        ({"kernel": "cuda"}, "unknown kernel 'cuda'; choose from auto, llvm, pallas, xla"),
        ({"kernel": "pallas", "save_at": "all"}, "pallas cannot compute this sweep: it keeps"),
        ({"optimizer": "lbfgs", "kernel": "llvm"}, "kernel llvm cannot compute this sweep: "),
        ({"optimizer": optax.adam(0.1), "hyperparameters": {"b1": [0.9]}}, "is made already"),
    ],
)  # fmt: skip
def test_bad_calls_say_what_is_wrong(untyped, arguments, message):
    rate = {"learning_rate": [0.1]}
    settings = {"optimizer": gdjax.heavy_ball, "hyperparameters": rate}
    if "momentum" in arguments.get("hyperparameters", ()):
        arguments = {"hyperparameters": rate | arguments["hyperparameters"]}
    with pytest.raises(gdjax.ArgumentError) as caught:
        gdjax.sweep(QFSP, **settings | arguments)
    assert message in str(caught.value)


def test_sobol_wants_a_power_of_two():
    with pytest.raises(gdjax.ArgumentError, match="power of two, got 1000; take 1024"):
        starts.sobol(1000)
