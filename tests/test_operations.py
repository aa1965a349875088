"""The compiler's tables: every rule, function and operation, and compositions of them.

What a kernel computes is held against ``jax.jit`` of the same function; how near an elementary
function comes to the truth, against more digits.
"""

import ctypes
import functools
import math
import re
from fractions import Fraction

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from jax import lax
from jax.experimental import pallas as pl
from jax.extend.core import Primitive, jaxpr_as_fun
from jax.interpreters import batching, mlir

# The seam: all that these tests know of where the compiler's parts are and how they are called.
from gdjax._compiler import elementary, interpreter, lower, rules, xla_math
from gdjax._compiler.lower import UnsupportedError
from gdjax._compiler.operations import BY_PRIMITIVE, MOVING
from gdjax._compiler.operations import OPERATIONS as TABLE
from gdjax._compiler.program import Program
from gdjax._inputs import default_dtype
from gdjax._kernels import pallas
from gdjax._kernels.llvm import kernel, vectors

LANES = 8
RULES = {*rules.RULES, *interpreter.CALLS, *elementary.FUNCTIONS}
BY_JNP = {name for name, row in TABLE.items() if row.jnp}
FOLDED = {name for name, row in TABLE.items() if row.numpy}
BY_LLVM = {name for name, row in TABLE.items() if row.llvm or row.integer}
OPERATIONS = (BY_JNP | FOLDED | BY_LLVM) - {*elementary.FUNCTIONS}


def unrolled(fn, kinds, functions=elementary.FUNCTIONS):
    """The program of a function of scalars."""
    shapes = [jax.ShapeDtypeStruct((), kind) for kind in kinds]
    traced = jax.make_jaxpr(lambda *args: jax.tree.map(jnp.asarray, fn(*args)))(*shapes)
    return lower.unroll(traced, functions)


def run_llvm(made, columns):
    """A program in the native kernel's vectors, over columns of numbers."""
    writer, ir, word = vectors.Writer(LANES), vectors.ir, vectors.I64
    table = word.as_pointer()
    function = ir.Function(
        writer.module, ir.FunctionType(ir.VoidType(), [table, table, word]), "run"
    )
    writer.entry = b = ir.IRBuilder(function.append_basic_block("entry"))
    body = b.append_basic_block("body")
    b.branch(body)
    b.position_at_end(body)
    given, kept, count = function.args

    def kind(dtype):
        return writer.type(np.int8 if np.dtype(dtype).kind == "b" else dtype)

    def place(table, i, dtype, row):
        base = b.load(b.gep(table, [word(i)]))
        address = b.add(base, b.mul(row, word(LANES * np.dtype(dtype).itemsize)))
        return b.inttoptr(address, kind(dtype).as_pointer())

    with writer.times(b, count) as row:
        inputs = [b.load(place(given, i, c.dtype, row), align=1) for i, c in enumerate(columns)]
        inputs = [b.trunc(v, writer.type(bool)) if c.dtype == bool else v
                  for v, c in zip(inputs, columns, strict=True)]  # fmt: skip
        (values,) = writer.run(b, made, inputs)
        for i, (value, output) in enumerate(zip(values, made.outputs, strict=True)):
            if output.dtype == bool:
                value = b.zext(value, kind(bool))
            b.store(value, place(kept, i, output.dtype, row), align=1)
    b.ret_void()
    engine = kernel._load(kernel._compile(str(writer.module)))
    size = -(-len(columns[0]) // LANES) * LANES
    padded = [np.ascontiguousarray(np.resize(c, size)) for c in columns]
    results = [np.zeros(size, output.dtype) for output in made.outputs]
    tables = [np.array([a.ctypes.data for a in t], np.int64) for t in (padded, results)]
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    call(engine.get_function_address("run"))(*(t.ctypes.data for t in tables), size // LANES)
    return [r[: len(columns[0])] for r in results]


def run_pallas(made, columns):
    """A program in a Pallas kernel, interpreted."""
    size = len(columns[0])

    def body(*refs):
        values = pallas.evaluate(made, [ref[...] for ref in refs[: len(columns)]])
        for ref, value in zip(refs[len(columns) :], values, strict=True):
            ref[...] = jnp.broadcast_to(value, (size,))

    shapes = [jax.ShapeDtypeStruct((size,), output.dtype) for output in made.outputs]
    call = pl.pallas_call(body, out_shape=shapes, interpret=True)
    return [np.asarray(r) for r in jax.jit(call)(*columns)]


def by_llvm(fn, columns):
    return run_llvm(unrolled(fn, [c.dtype for c in columns]), columns)


def by_pallas(fn, columns):
    return run_pallas(unrolled(fn, [c.dtype for c in columns], pallas.WHOLE), columns)


def by_xla(fn, columns):
    """XLA with our elementary functions in place of its own."""
    return by_jax(fn, columns, xla_math.substituted)


KERNELS = {"llvm": by_llvm, "xla": by_xla, "pallas": by_pallas}

# The end of the seam.


def by_jax(fn, columns, change=lambda fn: fn):
    """``jax.jit`` itself; the numbers of a result that is an array come one after another."""

    def flat(*row):
        return [jnp.asarray(leaf).reshape(-1) for leaf in jax.tree.leaves(fn(*row))]

    results = jax.jit(change(jax.vmap(flat)))(*columns)
    return [column for result in results for column in np.asarray(result).T]


def special(kind):
    """Numbers at the edges of a dtype and of what its functions decide by."""
    limits = np.finfo(kind)
    up = [0, limits.smallest_subnormal, limits.tiny / 3, limits.tiny, 1e-5, 0.3, 0.5, 0.625, 1]
    up += [1.5, 2, 2.5, 3, np.pi, 7, 20.5, 88.7, 103.9, 1e3, 12345.5, 2e9, limits.max, np.inf]
    return np.array([*up, *np.negative(up), np.nan], kind)


def pairs(values):
    """Every pair of values, as two columns, and a third one in another order."""
    x, y = (column.ravel() for column in np.meshgrid(values, values, indexing="ij"))
    return [x, y, np.random.default_rng(0).permutation(x)]


def subnormal(x):
    return (x != 0) & (np.abs(x) < np.finfo(x.dtype).tiny) if x.dtype.kind == "f" else x != x


def same(found, expected, label, units=0.0, zeros=True):
    """Equal within so many units in the last place; zeros of the same sign, if that is asked."""
    assert found.dtype == expected.dtype, label
    if found.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected, err_msg=label)
        return
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected), err_msg=label)
    limits, known = np.finfo(found.dtype), ~np.isnan(expected)
    a, b = found[known].astype(np.longdouble), expected[known].astype(np.longdouble)
    with np.errstate(all="ignore"):
        unit = np.maximum(np.spacing(np.abs(expected[known])), limits.smallest_subnormal)
        close = (a == b) | (np.abs(a - b) <= units * unit)
    assert close.all(), f"{label}: {a[~close][:5]} instead of {b[~close][:5]}"
    if zeros:
        none = (a == 0) & (b == 0)
        np.testing.assert_array_equal(np.signbit(a[none]), np.signbit(b[none]), err_msg=label)


def rounded(truth, kind):
    """A fraction as the nearest number of a dtype."""
    try:
        near = float(truth)
    except OverflowError:
        return kind.type(np.inf if truth > 0 else -np.inf)
    if kind == np.float64 or truth == near:
        return kind.type(near)
    # To float32 by way of a float64 whose last bit says that more followed, so that ties are none.
    if not np.float64(near).view(np.int64) & 1:
        near = np.nextafter(near, np.inf if truth > near else -np.inf)
    return kind.type(near)


def fused(x, y, z):
    """x·y + z, rounded once."""
    plain = (x.astype(np.longdouble) * y + z).astype(x.dtype)
    finite = np.isfinite(x) & np.isfinite(y) & np.isfinite(z)
    for i in np.flatnonzero(finite):
        truth = Fraction(float(x[i])) * Fraction(float(y[i])) + Fraction(float(z[i]))
        if truth:
            plain[i] = rounded(truth, x.dtype)
    return plain


def divided(x, y):
    """Towards zero, as whole numbers of Python's are by hand; what XLA says of division by zero."""
    if x.dtype.kind == "f":
        return x / y
    rows = [(abs(a) // abs(b) * (-1 if (a < 0) != (b < 0) else 1)) if b else -1
            for a, b in zip(x.tolist(), y.tolist(), strict=True)]  # fmt: skip
    return np.array([row % 2 ** (8 * x.itemsize) for row in rows], f"u{x.itemsize}").view(x.dtype)


def remainder(x, y):
    return x - y * divided(x, y) if x.dtype.kind in "iu" else np.fmod(x, y)


FLOATS, INTEGERS, BOOL = "f4 f8", "i4 i8 u4", "?"
MEANINGS = {
    **{name: (f"{FLOATS} {INTEGERS}", getattr(np, full)) for name, full in {
        "add": "add", "sub": "subtract", "mul": "multiply", "neg": "negative", "abs": "abs",
    }.items()},
    **{name: (f"{FLOATS} {INTEGERS} {BOOL}", getattr(np, full)) for name, full in {
        "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal",
        "ne": "not_equal", "maximum": "maximum", "minimum": "minimum",
    }.items()},
    **{name: (FLOATS, getattr(np, name)) for name in ("sqrt", "floor", "ceil", "rint")},
    **{name: (f"{INTEGERS} {BOOL}", getattr(np, f"bitwise_{name}"))
       for name in ("and", "or", "xor")},
    "not": (f"{INTEGERS} {BOOL}", np.invert),
    "shl": (INTEGERS, lambda x: np.left_shift(x, x.dtype.type(5))),
    "ashr": ("i4 i8", lambda x: np.right_shift(x, x.dtype.type(5))),
    "div": (f"{FLOATS} {INTEGERS}", divided),
    "rem": (f"{FLOATS} {INTEGERS}", remainder),
    "fma": (FLOATS, fused),
    "fms": (FLOATS, lambda x, y, z: fused(x, y, -z)),
    "fnma": (FLOATS, lambda x, y, z: fused(-x, y, z)),
    "select": (f"{FLOATS} {INTEGERS} {BOOL}", lambda x, y, z: np.where(x > y, y, z)),
}  # fmt: skip


def values_of(kind):
    kind = np.dtype(kind)
    if kind.kind == "f":
        return special(kind)
    if kind.kind == "b":
        return np.array([False, True])
    limits = np.iinfo(kind)
    return np.array([0, 1, 2, 3, 7, 1000, limits.max // 2 + 9, limits.max - 1, limits.max,
                     limits.min, limits.min // 2 + 3, *((-1, -2, -1000) * (limits.min < 0))],
                    kind)  # fmt: skip


def emitted(p, op, arguments):
    """An operation of a program: what else it needs is made from the same arguments."""
    if op == "select":
        return p.emit(op, p.emit("gt", *arguments[:2]), *arguments[1:])
    if op in ("shl", "ashr"):
        return p.emit(op, arguments[0], 5)
    return p.emit(op, *arguments)


CALLS = [(op, kind) for op, (kinds, _) in MEANINGS.items() for kind in kinds.split()]
COLUMNS = {kind: pairs(values_of(kind)) for kind in f"{FLOATS} {INTEGERS} {BOOL}".split()}


SOME = 11  # one row in so many, where each is an operation of Python's


def arity(meaning):
    return getattr(meaning, "nin", None) or meaning.__code__.co_argcount


@functools.cache
def meant(op, kind):
    with np.errstate(all="ignore"):
        meaning = MEANINGS[op][1]
        return meaning(*COLUMNS[kind][: arity(meaning)])


def operations_hold(run):
    known = {run_llvm: MEANINGS, run_pallas: BY_JNP, "folded": FOLDED}[run]
    calls, every = [call for call in CALLS if call[0] in known], slice(None)
    if run is run_pallas:
        calls = [
            (op, kind) for op, kind in calls if kind not in ("f8", "i8")
        ]  # JAX's own either way
    if run == "folded":
        found = [folded(op, kind) for op, kind in calls]
        every = slice(None, None, SOME)
    else:
        p, size = Program(), max(len(columns[0]) for columns in COLUMNS.values())
        inputs = {kind: [p.input(c.dtype) for c in columns] for kind, columns in COLUMNS.items()}
        for op, kind in calls:
            p.outputs.append(emitted(p, op, inputs[kind][: arity(MEANINGS[op][1])]))
        with default_dtype("float64"):
            found = run(p, [np.resize(c, size) for columns in COLUMNS.values() for c in columns])
    for (op, kind), result in zip(calls, found, strict=True):
        expected, given = meant(op, kind), COLUMNS[kind][: arity(MEANINGS[op][1])]
        expected, given = expected[every], [column[every] for column in given]
        with np.errstate(all="ignore"):
            products = [given[0] * given[1]] if op in ("fma", "fms", "fnma") else []
        rows = np.ones(len(expected), bool)
        if run is run_pallas:  # XLA takes subnormal numbers for 0, and may round a product first
            rows &= ~np.any([subnormal(c) for c in (*given, *products, expected)], axis=0)
            if op in ("fma", "fms", "fnma"):
                twice = rounded_twice(op, *given)
                rows &= ~np.isclose(result[: len(expected)], twice, 0, 0, equal_nan=True)
        zeros = op not in ("maximum", "minimum")  # either of two zeros
        same(result[: len(expected)][rows], expected[rows], f"{op} of {kind}", zeros=zeros)


@pytest.mark.parametrize("run", [run_llvm, "folded"], ids=["llvm", "folded"])
def test_an_operation_means_the_same_everywhere(run):
    assert set(MEANINGS) >= OPERATIONS
    operations_hold(run)


def rounded_twice(op, x, y, z):
    with np.errstate(all="ignore"):
        return {"fma": x * y + z, "fms": x * y - z, "fnma": z - x * y}[op]


def folded(op, kind):
    """The operation where all is known when a program is written."""
    p = Program()
    arguments = [column[::SOME] for column in COLUMNS[kind][: arity(MEANINGS[op][1])]]
    return np.array([emitted(p, op, row) for row in zip(*arguments, strict=True)])


# One case a primitive of JAX's, or more: functions of x, y, z, each of them a number.


def primitive(name, meaning):
    """One that this version of JAX has under another name, or never; others have it."""
    made = Primitive(name)
    made.multiple_results = name in ("pjit", "closed_call", "checkpoint", "core_call", "remat")
    made.def_impl(meaning)

    def shapes(*args, **params):
        found = jax.eval_shape(lambda *a: meaning(*a, **params), *args)
        return jax.tree.map(lambda s: jax.core.ShapedArray(s.shape, s.dtype), found)

    def batched(args, axes, **params):
        found = jax.vmap(functools.partial(meaning, **params), axes)(*args)
        return found, jax.tree.map(lambda _: 0, found)

    made.def_abstract_eval(shapes)
    batching.primitive_batchers[made] = batched
    mlir.register_lowering(made, mlir.lower_fun(meaning, made.multiple_results))
    return made


copy_p = primitive("copy_p", lambda x: x)
closed_call = primitive("closed_call", lambda x, jaxpr: jaxpr_as_fun(jaxpr)(x))
checkpoint = primitive("checkpoint", lambda x, jaxpr: jaxpr_as_fun(jaxpr)(x))
core_call = primitive("core_call", lambda x, jaxpr: jaxpr_as_fun(jaxpr)(x))
remat = primitive("remat", lambda x, jaxpr: jaxpr_as_fun(jaxpr)(x))
pjit = primitive("pjit", lambda x, jaxpr: jaxpr_as_fun(jaxpr)(x))


@jax.custom_jvp
def with_jvp(x):
    return x * 2 - 1


@jax.custom_vjp
def with_vjp(x):
    return x * 2 - 3


with_jvp.defjvp(lambda p, t: (p[0], t[0]))
with_vjp.defvjp(lambda x: (x, None), lambda _, g: (g,))


def called(made):
    return lambda x: made.bind(x, jaxpr=doubled(x.dtype))


@functools.cache
def doubled(kind):
    return jax.make_jaxpr(lambda x: [x * 2 - 5])(jax.ShapeDtypeStruct((), kind))


def whole(x, scale=1):
    """A whole number from any: none where there is none near."""
    return jnp.where(jnp.abs(x) < 1e6, x * scale, 0).astype(jnp.int32)


ONE = {  # of single numbers, for special ones in all pairs
    "add": lambda x, y, z: [x + y, x + 0, 0 + y, x + 1, x + jnp.inf],
    "sub": lambda x, y, z: [x - y, y - x, x - 0, 0 - y, x - 1, 1 - x],
    "mul": lambda x, y, z: [x * y, x * 1, 1 * y, x * 0, x * -2],
    "div": lambda x, y, z: [x / y, y / x, x / 1, 1 / y, x / 0, 0 / x],
    "neg": lambda x, y, z: -x,
    "abs": lambda x, y, z: abs(x),
    "max": lambda x, y, z: [jnp.maximum(x, y), jnp.maximum(x, 2)],
    "min": lambda x, y, z: [jnp.minimum(x, y), jnp.minimum(x, 2)],
    "sqrt": lambda x, y, z: jnp.sqrt(x),
    "floor": lambda x, y, z: jnp.floor(x),
    "ceil": lambda x, y, z: jnp.ceil(x),
    "rem": lambda x, y, z: [lax.rem(x, y), lax.rem(x, jnp.ones_like(x))],
    "lt le gt ge": lambda x, y, z: [x < y, x <= y, x > y, x >= y, x < 1, y >= 1, y > 1, x <= 1],
    "eq ne": lambda x, y, z: [x == y, x != y, x == 1, y != 1],
    "and or xor not": lambda x, y, z: [
        (x > 0) & (y > 0), (x > 0) | (y > 0), (x > 0) ^ (y > 0), ~(x > 0),
        (x > 0) & True, (x > 0) & False, (x > 0) | True, False | (x > 0),
    ],
    "square": lambda x, y, z: jnp.square(x),
    "copy copy_p stop_gradient": lambda x, y, z: [
        jnp.copy(x), copy_p.bind(x), lax.stop_gradient(y),
    ],
    "is_finite": lambda x, y, z: jnp.isfinite(x),
    "clamp": lambda x, y, z: [
        lax.clamp(-1 * jnp.ones_like(x), x, 2 * jnp.ones_like(x)), lax.clamp(y, x, y + 1),
        jnp.clip(x, 0.5), jnp.clip(x, max=0.5),
    ],
    "select_n": lambda x, y, z: [
        jnp.where(x > y, x, y), jnp.where(x > y, z, z), jnp.where(x > 0, 1, y),
        lax.select_n(jnp.clip(whole(x), 0, 3), x, y, z, x + y),
        lax.select_n(x > 0, y, z),
        lax.select_n(jnp.int32(2), x, y, z), lax.select_n(True, y, z),
    ],
    "round": lambda x, y, z: [jnp.round(x), lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO)],
    "convert_element_type": lambda x, y, z: [
        x.astype(jnp.int32), x.astype(bool), (x > y).astype(jnp.int32), (x > y).astype(x.dtype),
        whole(x).astype(y.dtype), whole(x).astype(bool), x.astype(jnp.float32),
        jnp.float32(x).astype(x.dtype), x.astype(jnp.uint32), x.astype(jnp.uint32).astype(x.dtype),
        whole(x).astype(jnp.int8), whole(x).astype(jnp.int8).astype(jnp.int32),
        whole(x).astype(jnp.uint8).astype(jnp.int32),
    ],
    "integer_pow": lambda x, y, z: [lax.integer_pow(x, n) for n in (-3, -2, -1, 0, 1, 2, 3, 6, 7)],
    "jit pjit core_call closed_call custom_jvp custom_vjp checkpoint remat": lambda x, y, z: [
        jax.jit(lambda x, y: y - x)(y, x), with_jvp(x), with_vjp(x), called(pjit)(x),
        jax.checkpoint(lambda x, y: x - y)(x, y), called(closed_call)(x), called(checkpoint)(x),
        called(core_call)(x), called(remat)(x),
    ],
    "add_any": lambda x, y, z: jax.grad(lambda x: x * jnp.where(x > y, x, 2 * x))(x),
    "whole numbers": lambda x, y, z: whole_numbers(whole(x), whole(y, 3)),
}  # fmt: skip


def whole_numbers(i, j):
    """What rules make of integers."""
    return [
        i + j, i - j, i * j, -i, abs(i), jnp.maximum(i, j), jnp.minimum(i, j), i < j, i >= j,
        i == j,        i & j, i | j, i ^ j, ~i, lax.div(i, j), lax.rem(i, j), i // 7, i % 7,
        lax.clamp(np.int32(-3), i, np.int32(5)), jnp.clip(i, -2, 7),
        jnp.where(i > j, i, j), jnp.sign(i), lax.integer_pow(i, 3), i + 0, i * 1, 0 * j,
    ]  # fmt: skip


# Of the elementary functions: how many units in the last place they may be away from XLA's.
FUNCTIONS = {
    **{name: getattr(jnp, full) for name, full in {
        "sin": "sin", "cos": "cos", "tan": "tan", "exp": "exp", "log": "log", "tanh": "tanh",
        "atan": "arctan", "sign": "sign", "asin": "arcsin", "acos": "arccos", "sinh": "sinh",
        "cosh": "cosh", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh", "exp2": "exp2",
        "expm1": "expm1", "log1p": "log1p", "cbrt": "cbrt",
    }.items()},
    **{name: getattr(lax, name) for name in ("rsqrt", "logistic", "erf", "erfc", "lgamma")},
    "atan2": lambda x, y: [jnp.arctan2(x, y), jnp.arctan2(y, x)],
    "pow": lambda x, y: [jnp.power(x, y), lax.pow(x, jnp.int32(3)), jnp.power(x, 0.5)],
}  # fmt: skip

# Rules of arrays: functions of a vector of six, and of the same six as a matrix of (2, 3).
MANY = {
    "broadcast_in_dim": lambda v, m: [
        jnp.broadcast_to(v[:2, None], (2, 3)), lax.broadcast_in_dim(m, (2, 2, 3), (1, 2)),
        lax.broadcast_in_dim(v[:1], (3, 2), (1,)), jnp.zeros((2,), v.dtype) + v[0],
    ],
    "slice": lambda v, m: [v[1:5:2], m[:, 1:], m[1:, ::2], v[-2:]],
    "squeeze reshape": lambda v, m: [m[:1].squeeze(0), v.reshape(3, 2)[1], m[None]],
    "transpose": lambda v, m: [m.T, m.reshape(1, 2, 3).transpose(2, 0, 1)],
    "rev": lambda v, m: [v[::-1], lax.rev(m, (0,)), lax.rev(m, (1,))],
    "concatenate": lambda v, m: [jnp.concatenate([m, m[:1]]), jnp.concatenate([m, m[:, :1]], 1)],
    "stack": lambda v, m: [jnp.stack([v, 2 * v]), jnp.stack([m, -m], axis=1)],
    "unstack": lambda v, m: [jnp.unstack(m), jnp.unstack(m, axis=1)[::-1]],
    "split": lambda v, m: [jnp.split(v, [1, 4])[::-1], jnp.split(m, [2], axis=1)],
    "pad": lambda v, m: [
        lax.pad(v, v[0], [(2, 1, 0)]), lax.pad(v, v[1], [(0, 0, 2)]),
        lax.pad(v, v[2], [(-1, -2, 1)]),
        lax.pad(m, v[3], [(1, 0, 1), (-1, 2, 0)]), lax.pad(v, v[4], [(-3, 4, 0)]),
    ],
    "iota": lambda v, m: [
        jnp.arange(3.0) + v[:3], lax.broadcasted_iota(jnp.int32, (2, 3), 0),
        lax.broadcasted_iota(v.dtype, (2, 3), 1) * m,
    ],
    "reduce_sum": lambda v, m: [
        v.sum(), m.sum(0), m.sum(1), m.sum(), m.reshape(1, 2, 3).sum((0, 2)),
    ],
    "reduce_prod": lambda v, m: [v.prod(), m.prod(0), m.prod(1)],
    "reduce_max": lambda v, m: [v.max(), m.max(0), m.max(1)],
    "reduce_min": lambda v, m: [v.min(), m.min(0), m.min(1)],
    "reduce_and": lambda v, m: [(v > 0).all(), (m > 0).all(0), (m > 0).all(1)],
    "reduce_or": lambda v, m: [(v > 0).any(), (m > 0).any(0), (m > 0).any(1)],
    "argmin": lambda v, m: [jnp.argmin(v), jnp.argmin(v[:2]), lax.argmin(v, 0, jnp.int8)],
    "argmax": lambda v, m: [jnp.argmax(v), jnp.argmax(v[:2]), v[::-1].argmax()],
    "cumsum": lambda v, m: [jnp.cumsum(v), lax.cumsum(v, reverse=True)],
    "cumprod": lambda v, m: [jnp.cumprod(v), lax.cumprod(v, reverse=True)],
    "dot_general": lambda v, m: [
        v @ v, m @ v[:3], v[:2] @ m, m @ m.T, jnp.tensordot(m, m.T, ((0, 1), (1, 0))),
        jnp.outer(v[:2], v[2:5]), lax.dot_general(v[0], v, (((), ()), ((), ()))),
        lax.dot_general(m, m, (((0,), (0,)), ((), ()))), (v[:3] > 0).dot(v[1:4]),
        v[1:4].dot(v[:3] > 0), (v[:3] > 0).dot(v[1:4] > 0),
        lax.dot_general(m.reshape(1, 2, 3), m.T, (((2, 1), (0, 1)), ((), ()))),
    ],
    "gather": lambda v, m: [
        v[jnp.array([3, 0, 3])], m[:, jnp.array([2, 0])], m[jnp.array([1, 0]), jnp.array([0, 2])],
        v[-1], v.at[jnp.array([1, 9])].get(mode="clip"), jnp.take(m, 1, axis=1),
    ],
    "dynamic_slice": lambda v, m: [
        lax.dynamic_slice(v, (2,), (3,)), lax.dynamic_slice(m, (0, 9), (2, 2)),
        lax.dynamic_index_in_dim(m, 1, 0), lax.dynamic_slice(v, (jnp.int32(1) * 3,), (2,)),
    ],
    "dynamic_update_slice": lambda v, m: [
        lax.dynamic_update_slice(v, -v[:2], (3,)), lax.dynamic_update_slice(m, v[:2, None], (0, 9)),
    ],
    "scatter-add": lambda v, m: [
        v.at[jnp.array([1, 1, 4])].add(v[:3]), m.at[1, jnp.array([0, 2, 0])].add(v[1:4]),
        m.at[:, jnp.array([2, 2])].add(m[:, :2]), v.at[jnp.array([0, 9])].add(v[2:4]),
        v.at[2].add(1),
        jax.grad(lambda v: (v[jnp.array([0, 0, 5])] * v[jnp.array([0, 1, 2])]).sum())(v),
    ],
    "expand_dims": lambda v, m: expand_dims.bind(v),
    "cummax cummin": lambda v, m: [lax.cummax(v), lax.cummin(v, reverse=True)],
    "argmin of a matrix": lambda v, m: [jnp.argmin(m, 0), jnp.argmax(m, 1), jnp.argmin(m)],
    "cumsum of a matrix": lambda v, m: [jnp.cumsum(m, 0), jnp.cumprod(m, 1)],
    "batched product": lambda v, m: jnp.einsum("ij,ij->i", m, m),
    "gather out of bounds": lambda v, m: v.at[jnp.array([1, 9])].get(mode="fill"),
    "unknown index": lambda v, m: [v[whole(v[0])], lax.dynamic_slice(v, (whole(v[1]),), (2,))],
    "scatter": lambda v, m: [
        v.at[jnp.array([1, 4])].set(v[:2]), m.at[1].set(v[3:]), v.at[jnp.array([0, 9])].set(v[2:4]),
        v.at[2].set(7), m.at[:, 1].set(v[:2]),
        m.at[jnp.array([1, 0]), jnp.array([0, 2])].set(v[:2]),
    ],
    "reduce_sum of none": lambda v, m: v[:0].sum(),
    "scan": lambda v, m: lax.scan(lambda c, x: (c * 2 + x, c), v[0], v)[0],
    "while": lambda v, m: lax.while_loop(lambda x: x < 9, lambda x: x * 2 + 1, abs(v[0])),
    "loop": lambda v, m: lax.fori_loop(0, 3, lambda i, x: x * 2 + i, v, unroll=True),
    "sort": lambda v, m: jnp.sort(v),
    "half": lambda v, m: v.astype(jnp.float16),
    "bfloat": lambda v, m: v.astype(jnp.bfloat16) * 2,
    "complex": lambda v, m: abs(v.astype(complex)),
}  # fmt: skip
REFUSED = {  # what kernels leave to XLA, and what they say
    "half": "no numbers of float16", "bfloat": "no numbers of bfloat16",
    "complex": "no numbers of complex64",
    "cummax cummin": "cummax cannot be unrolled", "sort": "sort cannot be unrolled",
    "argmin of a matrix": "argmin of a matrix", "cumsum of a matrix": "cumsum of a matrix",
    "batched product": "a batched dot_general", "gather out of bounds": "gather out of bounds",
    "unknown index": "an index that is not a constant",
    "reduce_sum of none": "reduce_sum of nothing", "scan": "scan cannot be unrolled",
    "while": "while cannot be unrolled", "loop": "scan cannot be unrolled",
}  # fmt: skip
expand_dims = primitive("expand_dims", lambda x: x[None])


def of_six(case):
    return lambda *six: case(jnp.stack(six), jnp.stack(six).reshape(2, 3))


def ordinary(kind):
    """Six columns of halves, which sums and products of keep exactly; with ties and edges."""
    drawn = np.random.default_rng(1)
    values = drawn.choice([-3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5], (400, 6))
    values[200:] = np.where(drawn.random((200, 6)) < 0.2, drawn.choice(
        [np.inf, -np.inf, np.nan, -0.0], (200, 6)), values[200:])  # fmt: skip
    return list(values.T.astype(kind))


# What is true of the elementary functions, in more digits; the interval that a polynomial of ours
# is made for, if one is; and how many units in the last place a result may be off in float32 and
# float64: what was measured, rounded up.
def by_python(function):
    """One of Python's own, number by number; it raises at poles."""

    def one(x):
        try:
            return function(float(x))
        except OverflowError:
            return np.inf
        except ValueError:
            return np.nan if x == -np.inf and function is not math.lgamma else np.inf

    return lambda x: np.array([one(v) for v in x], np.longdouble)


TRUTH = {
    "sin": (np.sin, (-0.8, 0.8), 1.5, 1.6), "cos": (np.cos, (-0.8, 0.8), 1.5, 1.5),
    "tan": (np.tan, (-0.8, 0.8), 3.1, 3.0), "exp": (np.exp, (-0.35, 0.35), 0.95, 1.0),
    "log": (np.log, (0.7, 1.42), 1.0, 1.0), "tanh": (np.tanh, (-0.63, 0.63), 1.4, 2.2),
    "atan": (np.arctan, (-1, 1), 2.6, 0.6), "atan2": (np.arctan2, None, 2.7, 0.6),
    "pow": (np.power, None, 0.51, 0.6), "sign": (np.sign, None, 0, 0),
    "rsqrt": (lambda x: 1 / np.sqrt(x), None, 1.5, 1.5),
    "logistic": (lambda x: 1 / (1 + np.exp(-x)), None, 1.9, 2.0),
    "asin": (np.arcsin, None, 1, 1), "acos": (np.arccos, None, 1, 1),
    "sinh": (np.sinh, None, 2, 2), "cosh": (np.cosh, None, 1.5, 1.5),
    "asinh": (np.arcsinh, None, 2, 2), "acosh": (np.arccosh, None, 2, 2),
    "atanh": (np.arctanh, None, 2, 2), "exp2": (np.exp2, None, 1, 1),
    "expm1": (np.expm1, None, 1, 1), "log1p": (np.log1p, None, 1, 1),
    "cbrt": (np.cbrt, None, 1, 4), "erf": (by_python(math.erf), None, 1.5, 1.5),
    "erfc": (by_python(math.erfc), None, 3, 4), "lgamma": (by_python(math.lgamma), None, 4, 4000),
}  # fmt: skip
# How far the mean of the errors over a sixteenth of that interval may be from 0, where rounding
# evens out and a coefficient does not: a tenth of a unit, but where a rounded constant is added.
BIAS = {
    ("atan", "f4"): 0.75, ("sin", "f8"): 0.2, ("cos", "f8"): 0.25, ("tan", "f8"): 0.25,
    ("tanh", "f4"): 0.15, ("tan", "f4"): 0.15, ("cos", "f4"): 0.15,
}  # fmt: skip
EXTENDED = np.finfo(np.longdouble).nmant > 60


@functools.cache
def sample(kind):
    """Special numbers, numbers of every exponent and either sign, and many that are near 0."""
    limits, drawn = np.finfo(kind), np.random.default_rng(0)
    exponents = np.arange(limits.minexp - limits.nmant, limits.maxexp, 1 if kind == "f4" else 5)
    every = drawn.uniform(1, 2, (len(exponents), 4)) * 2.0 ** exponents[:, None]
    every *= drawn.choice([-1, 1], every.shape)
    near = drawn.uniform(-1, 1, (4, 1500)) * [[1], [3], [12], [85 if kind == "f4" else 700]]
    columns = [pairs(special(kind))[:2], [every.ravel(), drawn.permutation(every.ravel())],
               [near.ravel(), drawn.permutation(near.ravel())]]  # fmt: skip
    return [np.concatenate(c).astype(kind) for c in zip(*columns, strict=True)]


def all_functions(x, y, z=None):
    return [first(f(x, y) if name in ("atan2", "pow") else f(x)) for name, f in FUNCTIONS.items()]


def first(results):
    return results[0] if isinstance(results, list) else results


@functools.cache
def truths(kind):
    x, y = (column.astype(np.longdouble) for column in sample(kind))
    with np.errstate(all="ignore"):
        return {n: TRUTH[n][0](*([x, y] if n in ("atan2", "pow") else [x])) for n in FUNCTIONS}


def within(found, truth, units, label, zeros=True):
    """Equal to the truth within so many units in the last place, infinities and NaN included."""
    with np.errstate(over="ignore"):
        expected = truth.astype(found.dtype)
    finite = np.isfinite(expected)
    same(found[~finite], expected[~finite], label)
    size, limit = np.abs(expected[finite]), np.finfo(found.dtype).max
    unit = np.spacing(np.where(size == limit, limit / 2, size)) * (1 + (size == limit))
    error = np.abs(found[finite] - truth[finite]) / unit
    assert error.max() <= units, f"{label}: {error.max():.3f} units"
    if zeros:
        none = finite & (expected == 0)
        np.testing.assert_array_equal(np.signbit(found[none]), np.signbit(expected[none]), label)


@pytest.mark.skipif(not EXTENDED, reason="NumPy has no more digits than float64 here")
@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("name", ["llvm", "xla"])
def test_elementary_functions_are_near_the_truth(name, kind):
    assert set(FUNCTIONS) == set(TRUTH) == set(elementary.FUNCTIONS)
    x, y = sample(kind)
    replaced = xla_math.REPLACED[np.dtype(kind).name]
    with default_dtype(np.dtype(kind).name):
        found = dict(zip(FUNCTIONS, KERNELS[name](all_functions, [x, y]), strict=True))
    rows = ~subnormal(x) if name == "xla" else slice(None)  # XLA takes them for 0
    for function in FUNCTIONS if name == "llvm" else replaced:
        within(found[function][rows], truths(kind)[function][rows],
               TRUTH[function][2 + (kind == "f8")], f"{function} of {kind}",
               zeros=function not in ("sin", "tan", "tanh", "sign"))  # fmt: skip


@pytest.mark.skipif(not EXTENDED, reason="NumPy has no more digits than float64 here")
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_polynomials_err_to_neither_side(kind):
    ours = {name: row for name, row in TRUTH.items() if row[1]}
    columns = [np.linspace(*row[1], 16 * 800).astype(kind) for row in ours.values()]
    with default_dtype(np.dtype(kind).name):
        found = by_llvm(
            lambda *row: [FUNCTIONS[n](x) for n, x in zip(ours, row, strict=True)], columns
        )
    for (name, row), x, value in zip(ours.items(), columns, found, strict=True):
        truth = row[0](x.astype(np.longdouble))
        error = ((value - truth) / np.spacing(np.abs(truth).astype(kind))).astype(float)
        bias = np.abs(error.reshape(16, -1).mean(1)).max()
        assert bias <= BIAS.get((name, kind), 0.1), f"{name} of {kind}: {bias:.3f} units"


@functools.cache
def expected_of(group, kind):
    """``jax.jit`` of every case of a group that is not refused."""
    with default_dtype(np.dtype(kind).name):
        return by_jax(together(group), columns_of(group, kind))


def columns_of(group, kind):
    return ordinary(kind) if group == "many" else COLUMNS[kind]


GROUPS = {
    "one": ONE,
    "many": {name: of_six(case) for name, case in MANY.items() if name not in REFUSED},
    "functions": {
        name: (lambda x, y, z, f=f: f(x, y)) if name in ("atan2", "pow")
        else (lambda x, y, z, f=f: f(x))
        for name, f in FUNCTIONS.items()
    },
}  # fmt: skip
# Either zero is right where XLA begins a sum with one, or takes one of two zeros.
ANY_ZERO = {"iota", "reduce_sum", "cumsum", "dot_general", "scatter-add", "max", "min", "sin",
            "tan", "tanh", "reduce_max", "reduce_min"}  # fmt: skip


def together(group):
    return lambda *row: [case(*row) for case in GROUPS[group].values()]


def labels(group, kind):
    shapes = [jax.ShapeDtypeStruct((), c.dtype) for c in columns_of(group, kind)]
    for name, case in GROUPS[group].items():
        for leaf in jax.tree.leaves(jax.eval_shape(case, *shapes)):
            yield from [name] * math.prod(leaf.shape)


# A dtype's own are the kernel's operations, which XLA's and Pallas' columns have from JAX.
EVERYWHERE = [
    pytest.param(name, group, kind, marks=[pytest.mark.full] * (kind == "f8" and name != "llvm"))
    for name in KERNELS for group in ("one", "many") for kind in ("f4", "f8")
]  # fmt: skip


@pytest.mark.parametrize(("name", "group", "kind"), EVERYWHERE)
def test_every_rule_computes_what_jax_does(name, group, kind):
    columns = columns_of(group, kind)
    expected = expected_of(group, kind)
    with default_dtype(np.dtype(kind).name):
        found = KERNELS[name](together(group), columns)
        names = list(labels(group, kind))
    normal = ~np.any([subnormal(c) for c in columns], axis=0)  # XLA takes others for 0
    for label, a, b in zip(names, found, expected, strict=True):
        rows = normal & ~subnormal(b) & ~subnormal(a)
        same(a[rows], b[rows], f"{label} of {kind}", zeros=label not in ANY_ZERO)


@pytest.mark.parametrize("kind", ["f4", pytest.param("f8", marks=pytest.mark.full)])
def test_functions_that_are_left_to_a_gpu_are_xlas(kind):
    columns = columns_of("functions", kind)
    with default_dtype(np.dtype(kind).name):
        found = by_pallas(together("functions"), columns)
        names = list(labels("functions", kind))
    for label, a, b in zip(names, found, expected_of("functions", kind), strict=True):
        same(a, b, f"{label} of {kind}", units=4)


def primitives(jaxpr):
    """The names of all that a jaxpr does, in calls too."""
    for eqn in jaxpr.eqns:
        yield eqn.primitive.name
        for value in jax.tree.leaves([*eqn.params.values()]):
            if inner := getattr(value, "jaxpr", value if hasattr(value, "eqns") else None):
                yield from primitives(inner)


@pytest.mark.parametrize("name", sorted(BY_JNP))
def test_a_row_of_the_table_means_the_same_to_numpy_and_to_jax(name):
    kinds, meaning = MEANINGS[name] if name in MEANINGS else (FLOATS, TRUTH[name][0])
    kind, row = kinds.split()[0], TABLE[name]
    x = np.array([0.25, 0.5, 0.75] if kind == "f4" else [9, 5, 12], kind)
    x = x + x.dtype.type(name == "acosh")
    counts = {"shl": 2, "ashr": 2} | dict.fromkeys(("atan2", "pow"), 2)
    count = counts.get(name) or (arity(meaning) if name in MEANINGS else 1)
    columns = [x, x[::-1], x[[1, 2, 0]]][:count]
    if name == "select":
        columns[0] = columns[1] > columns[2]
    found = np.asarray(row.jnp(*columns))
    if row.numpy:  # which folds numbers, one by one
        expected = np.array([row.numpy(*numbers) for numbers in zip(*columns, strict=True)])
        assert expected.dtype == found.dtype
    else:
        expected = meaning(*columns).astype(kind)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_every_primitive_that_moves_numbers_or_is_a_row_has_a_rule():
    assert set(rules.RULES) >= {*MOVING, *(p for p, row in BY_PRIMITIVE.items() if row.jnp)}


def test_every_entry_of_the_tables_has_a_case():
    number = [jnp.float32(0)] * 3
    cases = [jax.make_jaxpr(together(group))(*number * (2 if group == "many" else 1))
             for group in GROUPS]  # fmt: skip
    assert {name for case in cases for name in primitives(case.jaxpr)} >= RULES


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_unrolled_says_why(name):
    with pytest.raises(UnsupportedError, match=re.escape(REFUSED[name])):
        unrolled(of_six(MANY[name]), ["f4"] * 6)


def operations(made):
    return [node.op for node in made.live() if node.op != "input"]


def test_equal_terms_are_computed_once():
    made = unrolled(
        lambda x, y: [
            x + y,
            y + x,
            x * y,
            y * x,
            x == y,
            y == x,
            x - y,
            y - x,
            x < y,
            y < x,
            x - y,
        ],
        ["f4", "f4"],
    )
    assert sorted(operations(made)) == ["add", "eq", "lt", "lt", "mul", "sub", "sub"]
    pairs_of = (jnp.logical_and, jnp.logical_or, jnp.logical_xor, jnp.not_equal)
    logic = unrolled(
        lambda x, y: [f(x > 0, y > 0) for f in pairs_of] + [f(y > 0, x > 0) for f in pairs_of],
        ["f4", "f4"],
    )
    assert sorted(operations(logic)) == ["and", "gt", "gt", "ne", "or", "xor"]


def test_what_changes_nothing_is_no_operation_and_what_does_is_one():
    neutral = unrolled(
        lambda x: [x + 0, 0 + x, x * 1, 1 * x, x - 0, x / 1, jnp.where(True, x, 2), x.astype("f4"),
                   jnp.where(x > 0, x, x), jnp.where(jnp.array(False), 2, x)], ["f4"],
    )  # fmt: skip
    assert operations(neutral) == []
    assert all(output is neutral.inputs[0] for output in neutral.outputs)
    other = unrolled(lambda x: [x + 1, x * 0, 0 - x, x - 1, 1 / x, x / 2, x * 2, jnp.maximum(x, 0),
                     jnp.minimum(1, x), x == 0, x < 1], ["f4"])  # fmt: skip
    assert len(operations(other)) == 11
    truths = unrolled(lambda x: [(x > 0) & True, False | (x > 0), True & (x > 0)], ["f4"])
    assert operations(truths) == ["gt"]


def test_a_product_in_a_sum_is_rounded_once_where_it_is_used_once():
    drawn = np.random.default_rng(2).normal(size=(3, 4000)).astype("f4")
    x, y, z = drawn
    found = by_llvm(lambda x, y, z: [x * y + z, z + x * y, x * y - z, z - x * y], [x, y, z])
    once = fused(x, y, z), fused(x, y, z), fused(x, y, -z), fused(-x, y, z)
    for a, b in zip(found, once, strict=True):  # four sums of one product: it is used more often
        assert 0 < (a != b).mean() < 0.5
    alone = [lambda x, y, z: x * y + z, lambda x, y, z: z + x * y, lambda x, y, z: x * y - z]
    for make, truth in zip([*alone, lambda x, y, z: z - x * y], once, strict=True):
        np.testing.assert_array_equal(by_llvm(make, [x, y, z])[0], truth)
    both = by_llvm(lambda x, y, z: [x * y + z, x * y], [x, y, z])
    np.testing.assert_array_equal(both[0], x * y + z)
    whole = by_llvm(lambda i, j, k: [i * j + k], [drawn.astype("i4")[i] * 7 for i in range(3)])
    np.testing.assert_array_equal(
        whole[0], np.prod(drawn[:2].astype("i4") * 7, 0) + drawn[2].astype("i4") * 7
    )


def test_a_program_may_be_so_long_and_no_longer():
    room = lower.LARGEST - 1  # the input is one
    longest = unrolled(lambda x: x + (lax.iota(jnp.float32, room) + 0.5), ["f4"])
    assert len(operations(longest)) == room
    with pytest.raises(UnsupportedError, match=f"more than {room + 1} operations"):
        unrolled(lambda x: x + (lax.iota(jnp.float32, room + 1) + 0.5), ["f4"])


def test_substitution_reaches_into_loops_and_leaves_what_it_is_given_alone():
    def nested(x):
        def turn(y):
            return lax.cond(y[0] > 0, jax.jit(jnp.arctan), jax.nn.relu, jnp.tan(y))

        def body(y, _):
            return lax.while_loop(lambda y: jnp.sum(jnp.arctan(y)) > 1, turn, y), jnp.tan(y)

        return {"found": lax.scan(body, x, None, length=3)}

    x = jnp.linspace(-1, 1.2, 5)
    asked = jax.make_jaxpr(nested)(x)
    own = jax.make_jaxpr(xla_math.substituted(nested))(x)
    replaced = {"tan", "atan", "reduce_sum"}
    assert not replaced & {*primitives(own.jaxpr)}
    assert replaced <= {*primitives(asked.jaxpr)} == {*primitives(jax.make_jaxpr(nested)(x).jaxpr)}
    found, expected = jax.jit(xla_math.substituted(nested))(x), jax.jit(nested)(x)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6), found, expected)


def test_a_far_number_leaves_the_sines_beside_it_as_they_are():
    sine = jax.jit(xla_math.substituted(lambda x: 2 * jnp.sin(x + 1) + x))
    x = np.random.default_rng(0).uniform(-40, 40, 999).astype(np.float32)
    near, mixed = sine(x), sine(np.where(np.arange(999) % 100, x, np.float32(1e7)))
    rest = np.arange(999) % 100 > 0
    np.testing.assert_array_equal(near[rest], mixed[rest])
    assert not (near == mixed)[~rest].any()


def test_an_operation_of_the_pallas_kernel_is_that_of_the_others():
    operations_hold(run_pallas)


# Compositions. What is piecewise polynomial is computed of halves that a dtype holds exactly, so
# that every order of computing gives the same; what is not comes last, and is compared by size.

PIECEWISE = {  # of four numbers: the degree, how many terms at the most, and what
    "sum": (1, 2, lambda a, b, c, d: a + b), "difference": (1, 2, lambda a, b, c, d: a - b),
    "product": (2, 1, lambda a, b, c, d: a * b), "fused": (2, 2, lambda a, b, c, d: a * b - c),
    "negated": (2, 2, lambda a, b, c, d: c - a * b), "abs": (1, 1, lambda a, b, c, d: -abs(a)),
    "max": (1, 2, lambda a, b, c, d: jnp.maximum(a, b) + 1),
    "min": (1, 1, lambda a, b, c, d: jnp.minimum(a, b)),
    "where": (1, 1, lambda a, b, c, d: jnp.where((a < b) & (c != d), c, d)),
    "several": (1, 1, lambda a, b, c, d: lax.select_n(jnp.clip(whole(a), 0, 2), b, c, d)),
    "clamp": (1, 1, lambda a, b, c, d: lax.clamp(jnp.minimum(b, c), a, jnp.maximum(b, c))),
    "round": (1, 1, lambda a, b, c, d: jnp.round(a) - lax.round(b) * 0.5),
    "floor": (1, 2, lambda a, b, c, d: jnp.floor(a) + jnp.ceil(b)),
    "sign": (1, 2, lambda a, b, c, d: jnp.sign(a) + lax.stop_gradient(b)),
    "power": (3, 1, lambda a, b, c, d: lax.integer_pow(a, 3)),
    "square": (2, 2, lambda a, b, c, d: jnp.square(a) + (whole(b) % 3)),
    "cumsum": (1, 4, lambda *v: jnp.cumsum(jnp.stack(v))[2]),
    "cumprod": (3, 1, lambda *v: lax.cumprod(jnp.stack(v), reverse=True)[1]),
    "reduced": (1, 4, lambda *v: jnp.stack(v).reshape(2, 2).max(0).sum()),
    "prod": (4, 1, lambda *v: jnp.stack(v).prod()),
    "least": (1, 1, lambda *v: jnp.stack(v).min() * jnp.argmax(jnp.stack(v)) / 2),
    "dot": (2, 4, lambda *v: jnp.stack(v) @ jnp.stack(v[::-1])),
    "matrix": (2, 2, lambda *v: (jnp.stack(v).reshape(2, 2) @ jnp.stack(v[:2]))[1]),
    "gathered": (1, 2, lambda *v: jnp.stack(v)[jnp.array([3, 1, 3])].sum() / 2),
    "scattered": (1, 4, lambda *v: jnp.stack(v).at[jnp.array([2, 2, 0])].add(jnp.stack(v[:3]))[2]),
    "moved": (1, 2, lambda *v: jnp.pad(jnp.stack(v)[::-1], (1, 0))[1:3].sum()),
    "padded": (1, 3, lambda *v: lax.pad(jnp.stack(v), v[0], [(-1, 1, 1)])[1:5:2].sum()),
    "sliced": (1, 2, lambda *v: lax.dynamic_slice(jnp.stack(v), (1,), (2,)).sum()),
    "updated": (1, 2, lambda *v: lax.dynamic_update_slice(
        jnp.stack(v), -jnp.stack(v[:2]), (2,))[1:3].sum()),
    "loop": (1, 8, lambda a, b, c, d: functools.reduce(
        lambda x, i: x * 2 - b + i, range(2), a) / 2),
    "call": (2, 2, lambda a, b, c, d: jax.jit(lambda x, y: y * x - x)(a, b)),
}  # fmt: skip
SMOOTH = {
    "sin": lambda a, b: jnp.sin(a), "cos": lambda a, b: jnp.cos(a + b),
    "tan": lambda a, b: jnp.tan(jnp.clip(a, -1, 1)),
    "exp": lambda a, b: jnp.exp(jnp.clip(a, -4, 4)),
    "log": lambda a, b: jnp.log(1 + abs(a)), "tanh": lambda a, b: jnp.tanh(a),
    "atan": lambda a, b: jnp.arctan(a), "atan2": lambda a, b: jnp.arctan2(jnp.abs(a) + 1, b),
    "below": lambda a, b: jnp.arctan2(-0.5 - jnp.abs(a), b),
    "pow": lambda a, b: jnp.power(1 + abs(a), jnp.clip(b, -2, 2)),
    "logistic": lambda a, b: jax.nn.sigmoid(a) * b, "silu": lambda a, b: jax.nn.silu(a),
    "rsqrt": lambda a, b: lax.rsqrt(1 + abs(a)), "sqrt": lambda a, b: jnp.sqrt(1 + a * a),
    "div": lambda a, b: a / (1 + abs(b)), "inverse": lambda a, b: lax.integer_pow(2 + abs(a), -2),
    "erf": lambda a, b: lax.erf(a), "softplus": lambda a, b: jax.nn.softplus(a),
    "norm": lambda a, b: jnp.sqrt(jnp.mean(jnp.stack([a, b]) ** 2) + 1),
}  # fmt: skip


@st.composite
def compositions(draw):
    """A dtype, a number of inputs and steps: what is done, to which of the values so far."""
    kind, inputs = draw(st.sampled_from(["f4", "f8"])), draw(st.integers(2, 6))
    count = draw(st.integers(3, 10))
    steps = [
        (draw(st.sampled_from(sorted(PIECEWISE))),
         draw(st.lists(st.integers(0, inputs + i - 1), min_size=4, max_size=4)))
        for i in range(count)
    ]  # fmt: skip
    last = draw(st.lists(st.sampled_from(sorted(SMOOTH)), min_size=1, max_size=4, unique=True))
    return kind, inputs, steps, last


def composed(inputs, steps, last):
    """The function of a composition: the values that nothing uses, then what is smooth of them."""

    def tamed(x):
        return jnp.clip(jnp.round(x * 2), -6, 6) / 2

    def function(*numbers):
        values = [(x, 3.0, 1) for x in numbers]  # with a bound, and the bits after the point
        for name, operands in steps:
            degree, terms, make = PIECEWISE[name]
            given = [values[i] for i in operands]
            bound, bits = max(m for _, m, _ in given), max(k for _, _, k in given)
            if terms * (bound + 2) ** degree * 2.0 ** (degree * bits + 2) > 2**21:
                given = [(tamed(x), 3.0, 1) for x, *_ in given]
                bound, bits = 3.0, 1
            result = make(*(x for x, *_ in given))
            values.append((result, terms * (bound + 2) ** degree, degree * bits + 1))
        used = {i for _, operands in steps for i in operands}
        ends = [x for i, (x, *_) in enumerate(values) if i not in used or i == len(values) - 1]
        smooth = [SMOOTH[name](tamed(ends[-1 - i % len(ends)]), tamed(numbers[i % inputs])) * 2 - 1
                  for i, name in enumerate(last)]  # fmt: skip
        return jnp.stack(ends), jnp.stack(smooth)

    return function


def compared(composition):
    kind, inputs, steps, last = composition
    function = composed(inputs, steps, last)

    def with_slopes(*numbers):
        slopes = jax.grad(lambda x: sum(r.sum() for r in function(x, *numbers[1:])))(numbers[0])
        return *function(*numbers), slopes

    columns = [c[:200] for c in ordinary(kind)[:inputs]]  # without infinities
    with default_dtype(np.dtype(kind).name):
        asked = with_slopes if kind == "f8" else function
        expected = by_jax(asked, columns)
        for name, kernel in KERNELS.items():
            found = kernel(asked, columns)
            assert len(found) == len(expected)
            exact = len(expected) - len(last) - (kind == "f8")
            for i, (a, b) in enumerate(zip(found, expected, strict=True)):
                if i < exact:
                    np.testing.assert_array_equal(a, b, err_msg=name)
                else:
                    size = max(np.abs(b).max(), 1)
                    np.testing.assert_allclose(
                        a / size, b / size, rtol=0, atol=16 * np.finfo(kind).eps, err_msg=name
                    )


@hypothesis.given(compositions())
@hypothesis.settings(max_examples=3)
def test_compositions_compute_what_jax_does(composition):
    compared(composition)


@pytest.mark.full
@hypothesis.given(compositions())
@hypothesis.settings(max_examples=60)
def test_many_compositions_compute_what_jax_does(composition):
    compared(composition)
