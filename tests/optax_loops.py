"""Everything of optax, with every setting changed, and the plain loop that each is held against."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdjax import optimizers

REQUIRED = optimizers.REQUIRED
# What optax asks of a caller, by the optimizer's name; all others are handed nothing more.
SEARCH = ("value", "grad", "value_fn")
EXTRA = {
    "lbfgs": SEARCH, "scale_by_backtracking_linesearch": SEARCH, "scale_by_zoom_linesearch": SEARCH,
    "polyak_sgd": ("value",), "scale_by_polyak": ("value",), "momo": ("value",),
    "momo_adam": ("value",), "reduce_on_plateau": ("value",), "sophia": ("obj_fn",),
    "sam": ("grad_fn",), "nesterov_textbook": ("grad_fn",),
}  # fmt: skip
# Where what `changed` makes up is no choice.
CHOSEN = {
    "ns_steps": 4, "max_backtracking_steps": 5, "max_linesearch_steps": 5, "k": 2, "rank": 1,
    "memory_size": 3, "update_interval": 2, "verbose": False, "opaque_mode": False,
    "flip_sign": False, "reset_state": False, "sync_period": 3, "axis": None,
}  # fmt: skip


def value(p):
    return 1.5 * p[0] ** 2 + 0.25 * p[1] ** 4 + 0.3 * p[0] * p[1]


gradient = jax.grad(value)


def walks(transformation, extra=None, steps=3, starts=((1.5, -0.8),)):
    """The points of a plain loop, ``(starts, steps, 2)``; by default with all that gdjax hands on.

    Args:
        transformation: one of optax's.
        extra: what of the arguments that optax knows it is handed.
        steps: how many.
        starts: from where.
    """

    @jax.jit
    def step(x, state):
        now, slope = value(x), gradient(x)
        mine = optimizers.extra_arguments(now, slope, value, gradient)
        plain = {"value": now, "grad": slope, "value_fn": value, "obj_fn": value}
        plain |= {"grad_fn": lambda point, *_: gradient(point)}
        given = mine if extra is None else {key: plain[key] for key in extra}
        update, state = transformation.update(slope, state, x, **given)
        return optax.apply_updates(x, update), state

    def path(x):
        state = transformation.init(x)
        for _ in range(steps):
            x, state = step(x, state)
            yield np.asarray(x)

    return np.array([[*path(jnp.array(start, float))] for start in starts])


def walk(transformation, extra=None, steps=3):
    """The points of a plain loop from one start, ``(steps, 2)``."""
    return walks(transformation, extra, steps)[0]


def changed(known):
    """Another value than the default for all that can be chosen, large enough to be seen."""
    given = {}
    for key, default in known.items():
        if key in CHOSEN:
            given[key] = CHOSEN[key]
        elif key == "seed":
            given[key] = 3
        elif "optimizer" in key and default is REQUIRED:
            given[key] = optimizers.get("sgd", learning_rate=0.1)
        elif default is REQUIRED or (key.endswith("learning_rate") and default is None):
            given[key] = 0.1
        elif isinstance(default, bool):
            given[key] = not default
        elif isinstance(default, float):
            given[key] = 0.9 * default if default > 2e-3 else 0.01
    return given


def required(name):
    """The settings that an optimizer cannot do without, as people give them."""
    return {
        key: optax.sgd(0.1) if "optimizer" in key else 0.1
        for key, default in optimizers.parameters(name).items() if default is REQUIRED
    }  # fmt: skip


def raw(name, given):
    """optax's own, by its own argument for randomness."""
    factory = next(getattr(m, name) for m in (optax, optax.contrib, optimizers) if hasattr(m, name))
    if "key" in inspect.signature(factory).parameters:
        given = {key: v for key, v in given.items() if key != "seed"} | {"key": jax.random.key(3)}
    return factory(**given)


NO_POINT = {"dpsgd": "one gradient for each example"}
A_PAIR = {"lookahead"}  # what optax moves a pair of points with; see the tests of evaluation points
# Those that loop, branch or draw random numbers: no kernel of scalars has them.
XLA_ALONE = {"MultiSteps", "apply_if_finite", "lbfgs", "mechanize", "momo by name", "noisy_sgd",
             "novograd", "reduce_on_plateau", "sophia"}  # fmt: skip
SQUARES = {"gauss_newton", "levenberg_marquardt"}  # these need residuals: test_least_squares
OWN = "gradient_descent", "heavy_ball", "nesterov", "averaged_momentum", "nesterov_textbook"

SCHEDULES = {
    "constant_schedule": {"value": 0.3},
    "cosine_decay_schedule": {"init_value": 0.3, "decay_steps": 7, "alpha": 0.2, "exponent": 1.5},
    "cosine_onecycle_schedule": {"transition_steps": 9, "peak_value": 0.4, "pct_start": 0.35,
                                 "div_factor": 5.0, "final_div_factor": 50.0},
    "exponential_decay": {"init_value": 0.3, "transition_steps": 3, "decay_rate": 0.6,
                          "transition_begin": 2, "staircase": True, "end_value": 0.1},
    "join_schedules": {"schedules": [{"schedule": "constant_schedule", "value": 0.1},
                                     {"schedule": "linear_schedule", "init_value": 0.3,
                                      "end_value": 0.2, "transition_steps": 4}],
                       "boundaries": [3]},
    "linear_onecycle_schedule": {"transition_steps": 10, "peak_value": 0.4, "pct_start": 0.4,
                                 "pct_final": 0.8, "div_factor": 5.0, "final_div_factor": 50.0},
    "linear_schedule": {"init_value": 0.3, "end_value": 0.1, "transition_steps": 5,
                        "transition_begin": 2},
    "piecewise_constant_schedule": {"init_value": 0.3, "boundaries_and_scales": {3: 0.5, 6: 0.1}},
    "piecewise_interpolate_schedule": {"interpolate_type": "cosine", "init_value": 0.3,
                                       "boundaries_and_scales": {3: 0.5, 6: 0.1}},
    "polynomial_schedule": {"init_value": 0.3, "end_value": 0.1, "power": 2.0,
                            "transition_steps": 5, "transition_begin": 2},
    "sgdr_schedule": {"cosine_kwargs": [
        {"init_value": 0.1, "peak_value": 0.4, "warmup_steps": 2, "decay_steps": 4,
         "end_value": 0.05},
        {"init_value": 0.1, "peak_value": 0.2, "warmup_steps": 1, "decay_steps": 5,
         "end_value": 0.01}]},
    "warmup_constant_schedule": {"init_value": 0.1, "peak_value": 0.3, "warmup_steps": 4},
    "warmup_cosine_decay_schedule": {"init_value": 0.1, "peak_value": 0.3, "warmup_steps": 3,
                                     "decay_steps": 8, "end_value": 0.05, "exponent": 1.5},
    "warmup_exponential_decay_schedule": {
        "init_value": 0.1, "peak_value": 0.3, "warmup_steps": 3, "transition_steps": 2,
        "decay_rate": 0.6, "transition_begin": 1, "staircase": True, "end_value": 0.07},
}  # fmt: skip


def theirs(name, given):
    inner = given.get("schedules")
    if inner:
        parts = [theirs(node["schedule"], {k: node[k] for k in node if k != "schedule"})
                 for node in inner]  # fmt: skip
        given = given | {"schedules": parts}
    return getattr(optax.schedules, name)(**given)
