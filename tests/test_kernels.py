"""Every kernel computes the cells that it is asked for, and touches nothing beside them.

The cells are worked out one by one in plain Python. Their numbers have few binary digits, so that
no sum is rounded: however a kernel orders its operations, its results have the same bits.
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax
from gdjax._descent.cells import Setting, trace
from gdjax._descent.loop import Summary
from gdjax._descent.outcomes import CLOSE, Outcome, StoppingRule
from gdjax._inputs import default_dtype
from gdjax._kernels import llvm, pallas, xla
from gdjax._kernels.call import ALIGNED, Call, Column, Paths
from gdjax._sweep import engine
from gdjax._sweep.plan import plan
from gdjax._util.memory import NEGLIGIBLE_BYTES, SHARE

RULE = StoppingRule(gradient=1 / 8, step=1 / 64, radius=1 / 64, value=1 / 32, bound=4, every=3)
TOLERANCE, STEPS = 0.3, 8  # looked at after every second step: the largest divisor up to 3
FIELDS = Summary._fields


@functools.cache
def bowl(dim):
    """Σ cᵢ xᵢ² / 2 with the data c = (1, 2, 1, 1, …), NaN where 20 < x₁ < 40."""
    slopes = np.ones(dim)
    slopes[1:2] = 2

    def value(p, slopes):
        whole = jnp.sum(slopes * p * p) / 2
        return jnp.where((p[0] > 20) & (p[0] < 40), jnp.nan, whole)

    domain = [(-8, 8), (-2, 6)] + [(-8, 8)] * (dim - 2)
    return gdjax.Objective(
        name="bowl with a hole", fn=value, gradient=lambda p, slopes: slopes * p, args=(slopes,),
        domain=domain[:dim], minima=[[0.0] * dim], fmin=0.0,
        local_minima=[[0.5] + [0.0] * (dim - 1)],
    )  # fmt: skip


STARTS = [(0, 0), (8, -2), (3, 1), (-5, 6), (30, 0), (80, 0), (48, 1), (0.5, 0), (1, 0), (7, 7)]
RATES, MOMENTA = (0.5, 1.0, 2.0), (0.0, 0.5)
GRID = len(STARTS), len(RATES), len(MOMENTA)


@functools.cache
def by_hand(start, rate, momentum, steps=STEPS):
    """What is kept of a cell, and its path: with the first two components; the others are 0."""
    center, width, slopes = np.array([0, 2]), np.array([16, 8]), np.array([1, 2])
    every = max(k for k in range(1, 4) if steps % k == 0)
    point, speed, path, values, seen = np.array(start, float), np.zeros(2), [], [], []
    for k in itertools.count():
        slope = slopes * point
        hole = 20 < point[0] < 40
        value = math.nan if hole else float(slope @ point) / 2
        lost = bool((np.abs(point - center) > 4 * width).any())
        path.append(point)
        values.append(value)
        seen += [] if lost or hole else [value]
        if k == 0:
            flat = (1 + math.hypot(*slope)) / 8
        following = momentum * speed - rate * slope
        rest = math.hypot(*slope) <= flat and bool((np.abs(following) <= width / 64).all())
        if lost or hole or (k % every == 0 and (rest or k == steps)):
            break
        point, speed = point + following, following
    far = [
        max(np.abs(point - (x, 0)) / width) if value <= x**2 / 2 + 1 / 32 else math.inf
        for x in (0, 0.5)
    ]
    minimum = far.index(min(far)) if min(far) <= 1 / 64 else -1
    outcome = (
        Outcome.DIVERGED if lost else Outcome.NONFINITE if hole else Outcome.MAX_STEPS
        if not rest else Outcome.CONVERGED if min(far) <= CLOSE / 64 else Outcome.STALLED
    )  # fmt: skip
    within = [v <= TOLERANCE for v in seen]
    summary = {
        "final_point": point, "final_value": value, "best_value": min(seen, default=math.inf),
        "steps_to_tolerance": within.index(True) if any(within) else -1,
        "steps": k, "evaluations": k + 1,
        "outcome": outcome, "minimum": minimum,
    }  # fmt: skip
    whole = steps + 1 - len(path)  # the rest of a path is its last point
    return summary, np.array(path + path[-1:] * whole), np.array(values + values[-1:] * whole)


def expected(numbers, dim=2, steps=STEPS):
    """Of so many cells: what is kept by field, points (cells, steps + 1, d) and values."""
    which = zip(*np.unravel_index(np.asarray(numbers) % math.prod(GRID), GRID), strict=True)
    found = [by_hand(STARTS[s], RATES[r], MOMENTA[m], steps) for s, r, m in which]
    wide = [(0, 0), (0, 0), (0, dim - 2)]
    points = np.pad(np.array([path for _, path, _ in found]), wide)
    kept = {name: np.array([summary[name] for summary, *_ in found]) for name in FIELDS}
    kept["final_point"] = points[:, -1]
    return kept, points, np.array([values for *_, values in found])


def test_the_cells_are_of_every_kind():
    kept, *_ = expected(range(math.prod(GRID)))
    assert {*kept["outcome"]} == {*range(5)}  # the others are told apart afterwards
    assert {*kept["minimum"]} == {-1, 0, 1}
    assert {*kept["steps"]} >= {0, 1, 2, 4, 6, 8}  # lanes fall idle at different times
    assert {*kept["steps_to_tolerance"]} >= {-1, 0, 1, 2}


# What follows is all that these tests know of how kernels are made and called.
@functools.cache
def kernel(kind, dtype="float32", dim=2, record=False):
    optimizer = gdjax.heavy_ball(0.5, 0.5)
    setting, _, data = Setting.of(optimizer, bowl(dim).cast(dtype))
    with default_dtype(dtype):
        start, carry = jax.ShapeDtypeStruct((dim,), dtype), kind in ("llvm", "pallas")
        rules = "hand", RULE, TOLERANCE, True
        shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in data]
        cells = trace(setting, shapes, start, *rules, carry_data=carry)
        if kind == "llvm":
            return llvm.Kernel(cells, record)
        if kind == "pallas":
            return pallas.Kernel(cells, interpret=True)
        return xla.Kernel(cells, tile=8, own_math=kind == "xla_math")


def as_a_grid(dim, dtype, count):
    """Starts and numbers that neighbouring cells share."""
    matrix = np.zeros((len(STARTS), dim), dtype)
    matrix[:, :2] = STARTS
    starts = Column(matrix, len(RATES) * len(MOMENTA))
    rates, momenta = np.array(RATES, dtype), np.array(MOMENTA, dtype)
    return starts, [Column(rates, len(MOMENTA)), Column(momenta, 1)]


def one_each(dim, dtype, count):
    """A start and numbers for every cell."""
    which = np.unravel_index(np.arange(count) % math.prod(GRID), GRID)
    matrix = np.zeros((count, dim), dtype)
    matrix[:, :2] = np.array(STARTS)[which[0]]
    values = np.array(RATES)[which[1]], np.array(MOMENTA)[which[2]]
    return Column(matrix, 1), [Column(v.astype(dtype), 1) for v in values]


class Guarded:
    """An array amid words that nobody may write: all of a larger one, but for a part."""

    def __init__(self, shape, dtype, *part):
        size = math.prod(shape) * np.dtype(dtype).itemsize
        memory = np.random.default_rng(0).integers(0, 256, size + ALIGNED, np.uint8)
        first = -memory.ctypes.data % ALIGNED
        self._memory = memory[first : first + size]
        self._before = self._memory.copy()
        self.array = self._memory.view(dtype).reshape(shape)[part]
        outside = np.ones(shape, bool)
        outside[part] = False
        self._outside = np.repeat(outside.ravel(), np.dtype(dtype).itemsize)

    def is_whole(self):
        """Whether nothing but the part was written."""
        return bool((self._memory == self._before)[self._outside].all())


def check(computed, begin, count, columns, dim=2, dtype="float32", when=()):
    """Run a kernel on some cells; what it kept of them is right, and it wrote nothing else."""
    steps, aside, data = STEPS, computed.tile + 3, bowl(dim).cast(dtype).args
    made = columns(dim, dtype, begin + count)
    fields = computed.summary._asdict()
    out = [
        Guarded((count + 2 * aside, *leaf.shape), leaf.dtype, slice(aside, aside + count))
        for leaf in fields.values()
    ]
    paths, recorded = [], None
    if when:
        padded = -(-count // computed.tile) * computed.tile
        line = ALIGNED + padded + ALIGNED  # in numbers: rows begin at multiples of bytes
        part = slice(1, -1), ..., slice(ALIGNED, ALIGNED + padded)
        paths = [
            Guarded((len(when) + 2, dim, line), dtype, *part),
            Guarded((len(when) + 2, line), dtype, *part),
        ]
        recorded = Paths(tuple(when), *(guarded.array for guarded in paths))
    with default_dtype(dtype):
        computed(Call(begin, begin + count, steps, *made, data, [g.array for g in out], recorded))
    kept, points, values = expected(range(begin, begin + count), dim)
    for name, guarded in zip(fields, out, strict=True):
        np.testing.assert_array_equal(guarded.array, kept[name].astype(guarded.array.dtype), name)
    if when:
        rows = list(when)
        points = points[:, rows].transpose(1, 2, 0)
        np.testing.assert_array_equal(paths[0].array[..., :count], points, "points")
        np.testing.assert_array_equal(paths[1].array[..., :count], values[:, rows].T, "values")
    assert all(guarded.is_whole() for guarded in [*out, *paths])


def numbers_round(tile):
    """Numbers of cells at which a tile is full, or one too few or too many; and several tiles."""
    return 1, tile - 1, tile, tile + 1, 2 * tile - 1, 2 * tile, 2 * tile + 1, 5 * tile + 3


KINDS = [
    ("llvm", "float32", 2), ("llvm", "float64", 2), ("llvm", "float64", 3),
    pytest.param("llvm", "float64", 30, marks=pytest.mark.full), ("xla", "float64", 2),
    ("xla_math", "float32", 2), ("pallas", "float32", 2),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "dtype", "dim"), KINDS)
@pytest.mark.parametrize("record", [False, True])
def test_a_kernel_computes_its_cells_and_nothing_beside_them(kind, dtype, dim, record):
    if record and (kind == "pallas" or dim > 3):
        return  # paths are recorded by others, and in the same way whatever the dimension
    computed = kernel(kind, dtype, dim, record)
    tile = computed.tile
    when = (0, 1, 5, 8) if record else ()
    most = tile if kind.startswith("xla") else 99 * tile  # XLA is handed a tile at the most
    for count in numbers_round(tile):
        if count <= most and not (kind == "pallas" and count > 2 * tile):  # each is compiled anew
            for columns, begin in ((as_a_grid, 0), (as_a_grid, 5), (one_each, 0), (one_each, 7)):
                check(computed, begin, count, columns, dim, dtype, when)


def test_kernels_come_in_several_sizes_of_a_tile():
    assert (
        len({kernel("llvm", *kind, False).tile for kind in (("float32", 2), ("float64", 3))}) == 2
    )


@pytest.mark.parametrize("kind", ["llvm", "xla"])
@pytest.mark.parametrize("when", [(0,), (8,), (3, 4), tuple(range(STEPS + 1))])
def test_any_steps_can_be_recorded(kind, when):
    computed = kernel(kind, "float32", 2, True)
    check(computed, 0, computed.tile, as_a_grid, 2, "float32", when)


@functools.cache
def many(count):
    """So many starts, some of each kind, in no order; and what becomes of their cells."""
    which = np.random.default_rng(1).integers(len(STARTS), size=count)
    kept, points, values = expected(range(math.prod(GRID)))
    cells = (which[:, None] * 6 + np.arange(6)).ravel()
    return np.array(STARTS, float)[which], kept, points, values, cells


def check_sweep(count, record=None, kernel="llvm", **options):
    """A sweep of many cells has in each place what that cell has by itself."""
    given, kept, points, values, cells = many(count)
    found = gdjax.sweep(
        bowl(2), gdjax.heavy_ball, given, {"learning_rate": RATES, "momentum": MOMENTA}, STEPS,
        stopping=RULE, classify_rest=False, tolerance=TOLERANCE, gradient="hand", save_at=record,
        kernel=kernel, **options,
    )  # fmt: skip
    assert found.attrs["kernel"] == kernel
    at_rest = (kept["outcome"] == Outcome.STALLED) & (kept["minimum"] >= 0)
    kept = kept | {"outcome": np.where(at_rest, Outcome.CONVERGED, kept["outcome"])}
    dtype = found.final_value.dtype
    for name in FIELDS:
        came = found[name].values.reshape(len(cells), -1).squeeze()
        np.testing.assert_array_equal(came, kept[name][cells].squeeze(), name)
    if record is not None:
        rows = found.record.values
        came = found.points.values.reshape(len(cells), len(rows), 2)
        np.testing.assert_array_equal(came, points[cells][:, rows].astype(dtype))
        came = found["values"].values.reshape(len(cells), len(rows))
        np.testing.assert_array_equal(came, values[cells][:, rows].astype(dtype))
    return found


@pytest.mark.parametrize("kernel", ["llvm", "xla"])
@pytest.mark.parametrize("record", [None, 4])
@pytest.mark.parametrize(
    ("count", "options"),
    [
        (1, {}),
        (30, {"chunk": 1, "devices": 1}),
        (60, {"chunk": 7, "devices": 2}),  # chunks that begin in the midst of a tile
        (400, {"chunk": 192, "devices": 3}),  # and those that do not: 2,400 cells, 12.5 chunks
        (9000, {"devices": 3}),  # several blocks a chunk, more than there are processors
        (9000, {"chunk": 51_200}),
    ],
)
def test_a_sweep_is_its_cells_however_it_is_cut(kernel, record, count, options):
    if options.get("chunk") in (1, 7) and kernel == "xla":
        options = options | {"chunk": 100 * options["chunk"]}  # it computes a whole tile each time
    found = check_sweep(count, record, kernel, **options)
    if "devices" in options:
        assert found.attrs["processors"] == options["devices"]


def test_a_store_has_what_memory_has_and_is_written_chunk_by_chunk(tmp_path):
    check_sweep(400, 4, chunk=500, store=tmp_path / "store")
    assert gdjax.open_results(tmp_path / "store").attrs["chunk"] == 500


def size_of(found):
    """Bytes of a sweep's results, which are one number a cell or more."""
    return sum(v.nbytes for v in found.data_vars.values() if v.dims[0] == "start")


def enough(need):
    """The least free bytes of which so many may be asked for."""
    return int(need / SHARE) + 1


@pytest.mark.parametrize(
    ("dim", "options"),
    [(2, {}), (2, {"dtype": "float64"}), (3, {}), (2, {"save_at": [0, 3, 8]})],
)
def test_a_sweep_asks_for_the_memory_that_its_results_take(monkeypatch, tmp_path, dim, options):
    def run(count, **more):
        given = np.zeros((count, dim))
        return gdjax.sweep(bowl(dim), gdjax.gradient_descent(0.5), given, steps=8, gradient="hand",
                           **options | more)  # fmt: skip

    found = run(51_200)
    need = size_of(found)
    assert need > NEGLIGIBLE_BYTES  # of which nobody asks whether it fits
    starts = 51_200 * dim * found.final_point.dtype.itemsize
    for free, fits in ((enough(need + starts), True), (enough(need + starts) - 2, False)):
        monkeypatch.setattr(engine, "available_memory", lambda free=free: free)
        if fits:
            run(51_200)
            continue
        with pytest.raises(gdjax.ArgumentError) as caught:
            run(51_200)
        said = f"{need // 51_200} bytes for each of 51,200 descents"
        assert said in str(caught.value)
        assert ("fewer recorded steps" in str(caught.value)) == ("save_at" in options)
    # In a store two chunks are in memory at a time: one that is computed, one that is written.
    monkeypatch.setattr(engine, "available_memory", lambda: enough(2 * need) - 2)
    store = {"chunk": 51_200, "store": tmp_path / "store"}
    with pytest.raises(gdjax.ArgumentError, match=r"for each of 102,400 descents.* smaller chunk"):
        run(204_800, **store)
    assert not (tmp_path / "store").exists()
    monkeypatch.setattr(engine, "available_memory", lambda: enough(2 * need))
    # On the disk there must be room for all of them and for their starts.
    whole = 4 * (need + starts)
    disk = engine.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        engine.shutil, "disk_usage", lambda _: disk._replace(free=enough(whole) - 2)
    )
    with pytest.raises(gdjax.ArgumentError, match="204,800 descents needs up to"):
        run(204_800, **store)
    monkeypatch.setattr(engine.shutil, "disk_usage", lambda _: disk._replace(free=enough(whole)))
    if dim == 2 and not options:
        run(204_800, **store)


def test_little_is_never_refused(monkeypatch):
    monkeypatch.setattr(engine, "available_memory", lambda: 0)
    assert gdjax.sweep(bowl(2), gdjax.gradient_descent(0.5), steps=1).sizes["start"] == 1


@pytest.mark.parametrize(
    ("dim", "steps", "chunk"),
    [
        (2, 0, 2**20), (2, 100, 2**20), (2, 1000, 2**17), (2, 10**4, 2**14), (2, 10**6, 2**14),
        (14, 128, 2**17), (1, 1000, 2**18),
    ],
)  # fmt: skip
def test_by_default_a_chunk_takes_a_fraction_of_a_second(dim, steps, chunk):
    f = gdjax.objectives.get("sphere", dim=dim)
    asked = plan(f, gdjax.gradient_descent(0.1), gdjax.starts.uniform(10**7), steps=steps)
    # About 2²⁸ steps times dimensions, in a power of two of cells from 2¹⁴ to 2²⁰.
    assert asked.chunk == chunk
    assert (asked.chunks - 1) * chunk < asked.cells == 10**7 <= asked.chunks * chunk
    assert plan(f, gdjax.gradient_descent(0.1), steps=steps).chunk == 1  # no more than there are
