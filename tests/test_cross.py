"""Every optimizer and schedule of optax is, in every kernel, what it is in a plain loop of optax's.

What there is comes from the catalogues, so that what a new optax brings is tested by being there.
An object is made as people type it, ``optax.adam(0.1)``, and its numbers are constants of what is
compiled; by name every setting has another value than its default, and the numbers are traced.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from fall_backs import is_foreseen
from optax_loops import (
    A_PAIR,
    EXTRA,
    NO_POINT,
    OWN,
    SCHEDULES,
    SQUARES,
    XLA_ALONE,
    changed,
    raw,
    required,
    theirs,
    value,
    walks,
)

import gdjax
from gdjax import optimizers
from gdjax._descent.cells import Function, Setting, trace
from gdjax._descent.loop import Descent
from gdjax._descent.outcomes import DEFAULT_RULE
from gdjax._inputs import default_dtype

F = gdjax.Objective(name="f", fn=value, domain=[(-2, 2)] * 2)
STARTS, STEPS = np.array([(1.5, -0.8), (-0.6, 1.2), (0.3, 0.9)]), 20
# Kernels differ in the order of their sums, in the last bit of an elementary function, and 1 − β is
# rounded after it is taken where β is traced, and before it where it is a constant. On a smooth
# bowl, and far from where gradients change their signs, that makes a few units in the last place in
# twenty steps; a few hundred where a method divides by small differences, as D-adaptation does.
UNITS = 500
# optax takes the cosines of these in float32, whatever the dtype of the point.
SINGLE = {"cosine_onecycle_schedule", "piecewise_interpolate_schedule"}


def of_optax():
    """All by label: what optax makes, what gdjax is given for it, and what optax hands on to it."""
    for name in sorted({*optimizers.names()} - {*NO_POINT} - A_PAIR - SQUARES):
        made = functools.partial(lambda n: raw(n, required(n)), name)
        yield f"{name} object", (made, made, name)
        given = changed(optimizers.parameters(name))
        by_name = functools.partial(optimizers.get, name, **given)
        yield f"{name} by name", (functools.partial(raw, name, given), by_name, name)
    for name, given in SCHEDULES.items():
        made = functools.partial(lambda n, g: optax.sgd(theirs(n, g)), name, given)
        rate = {"schedule": name} | given
        by_name = functools.partial(optimizers.get, "gradient_descent", learning_rate=rate)
        yield f"{name} object", (made, made, name)
        yield f"{name} by name", (made, by_name, name)
    for name, made in (RATES | WRAPPED).items():
        yield name, (made, made, name)


RATES = {
    f"rate {name}": functools.partial(optax.sgd, rate)
    for name, rate in {
        "of a fraction": lambda c: 0.05 / (1 + c),
        "of a power": lambda c: 0.1 * 0.9**c,
        # JAX divides whole numbers in float32, whose cosines differ
        "of a cosine": lambda c: 0.05 * (1 + jnp.cos(jnp.asarray(c, float) / 7)),
        "of whole numbers": lambda c: 0.1 / (1 + c // 5),
        "of two pieces": lambda c: jnp.where(c < 7, 0.1, 0.03),
    }.items()
}
WRAPPED = {
    "masked adamw": lambda: optax.adamw(0.1, mask=lambda p: jax.tree.map(lambda _: True, p)),
    "masked": lambda: optax.masked(optax.adam(0.1), mask=True),
    "partition": lambda: optax.partition({"a": optax.adam(0.1), "b": optax.sgd(0.1)}, "a"),
    "chain": lambda: optax.chain(optax.sgd(0.1), optax.ema(0.9)),
    "chain with a clip": lambda: optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.1)),
    "named chain": lambda: optax.named_chain(("a", optax.adam(0.1)), ("b", optax.clip(0.05))),
    "MultiSteps": lambda: optax.MultiSteps(optax.adam(0.1), 3),
    "apply_if_finite": lambda: optax.apply_if_finite(optax.adam(0.1), 3),
    "inject_hyperparams": lambda: optax.inject_hyperparams(optax.adam)(0.1),
    "inject a schedule": lambda: optax.inject_hyperparams(optax.sgd)(
        optax.cosine_decay_schedule(0.1, 10)
    ),
    "reduce_on_plateau": lambda: optax.chain(optax.adam(0.1), optax.contrib.reduce_on_plateau()),
}  # fmt: skip
CASES = dict(of_optax())
EVERY_DAY = {
    "adam object": "float32", "warmup_cosine_decay_schedule by name": "float32",
    "rate of a fraction": "float32",  # where literals are too wide
    "adafactor by name": "float64",  # it casts the count of steps to float32
}  # fmt: skip
PRECISIONS = ("float32", "float64")


def precisions(label):
    """Of what is there twice one in each precision, of optimizers by turns; of all else both."""
    half = {"object": "float32", "name": "float64"}.get(label.split()[-1])
    if half is None:
        return PRECISIONS
    kinds = [n for n in optimizers.names() if n not in SQUARES]
    name = label.partition(" ")[0]
    turn = name not in kinds or kinds.index(name) % 2 == (half == "float64")
    return dict.fromkeys(filter(None, (EVERY_DAY.get(label), half if turn else None)))


def every_case(test):
    """In the precisions that are its own; every day a few in one."""
    assert {*CASES} >= {*EVERY_DAY}
    return pytest.mark.parametrize(
        ("label", "dtype"),
        [
            pytest.param(
                label, dtype, marks=() if EVERY_DAY.get(label) == dtype else pytest.mark.full
            )
            for label in CASES for dtype in precisions(label)
        ],
    )(pytest.mark.filterwarnings("ignore:`optimistic_adam` is deprecated")(test))  # fmt: skip


@every_case
def test_every_kernel_takes_the_steps_of_a_plain_loop(interpreted, label, dtype):
    make_theirs, make_mine, name = CASES[label]
    optimizer = make_mine()
    with default_dtype(dtype):
        path = walks(make_theirs(), EXTRA.get(name, None if name in OWN else ()), STEPS, STARTS)

    unit = np.finfo("float32" if name in SINGLE else dtype).eps

    def check(points, expected):
        assert points.dtype == path.dtype == dtype
        np.testing.assert_allclose(points, expected, rtol=0, atol=UNITS * unit)

    for i, start in enumerate(STARTS):
        found = gdjax.descend(F, optimizer, start, STEPS, dtype=dtype)
        check(np.asarray(found.points)[1:], path[i])
    for kernel in ("llvm", "pallas", "xla_math", "xla"):
        every = {"save_at": "all"} if kernel == "llvm" else {}  # the last point takes half as long
        run = functools.partial(
            gdjax.sweep, F, optimizer, STARTS, steps=STEPS, stopping=False, dtype=dtype,
            kernel=kernel, classify_rest=False, **every,
        )  # fmt: skip
        if {name, label} & XLA_ALONE and not kernel.startswith("xla"):
            with pytest.raises(gdjax.ArgumentError, match=f"^kernel {kernel} cannot") as refused:
                run()
            assert is_foreseen(str(refused.value).partition(": ")[2])
            continue
        found = run()
        if every:
            check(found.points.values[:, 1:], path)
        check(found.final_point.values, path[:, -1])


def bits(leaf):
    key = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if key else leaf)


@every_case
def test_a_step_of_a_kernel_is_a_step_of_descend(label, dtype):
    """From the same state, to the last bit: both are evaluated operation by operation."""
    optimizer = optimizers.as_optimizer(CASES[label][1]())
    setting, numbers, data = Setting.of(optimizer, F)
    with default_dtype(dtype):
        start, rules = jnp.array(STARTS[0], float), ("autodiff", DEFAULT_RULE, 1e-4, False)
        numbers, data = [jnp.asarray(n) for n in numbers], [jnp.asarray(x) for x in data]
        given, *kinds = (jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (start, *data))
        cells = trace(setting, kinds, given, *rules)

        def step(state, numbers):
            return Descent(F, setting.filled(numbers, data)[0]).step(state)

        state = Descent(F, setting.filled(numbers, data)[0]).init(start)
        cell = cells.init(start, numbers, data)
        for _ in range(3):
            # What a path and a cell know besides is not the same.
            cell = cell._replace(point=state.point, optimizer=state.optimizer)
            cell, value_of_cell = cells.step(cell, numbers, data)
            traced = Function(*jax.make_jaxpr(step, return_shape=True)(state, numbers))
            state, value_of_path = traced(state, numbers)
            theirs = jax.tree.leaves((state.point, state.optimizer, value_of_path))
            mine = jax.tree.leaves((cell.point, cell.optimizer, value_of_cell))
            for one, other in zip(map(bits, mine), map(bits, theirs), strict=True):
                assert one.dtype == other.dtype
                np.testing.assert_array_equal(one, other)
