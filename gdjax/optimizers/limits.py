"""The range of each hyperparameter: one table for gdjax's own optimizers and optax's, by its name.

What optax says of a parameter in the docstrings of ``optax._src.alias``, ``optax._src.transform``,
``optax.contrib`` and ``optax.schedules`` is its source; optax itself checks few of them, and a
decay of 1.5 or a negative ε gives a path without a word.
"""

import math

from gdjax._util.arguments import FINITE, INSIDE, MOST, NOT_NEGATIVE, POSITIVE, SHARE, Limits

CUT = Limits(ends="(]")  # infinity cuts nothing
COUNT = Limits(1, MOST, "[]", whole=True)
STEPS = Limits(1, MOST, "[]")

LIMITS: dict[str, Limits] = {
    **dict.fromkeys(
        ("learning_rate", "adam_learning_rate", "max_learning_rate", "trust_coefficient",
         "decay_rate", "div_factor", "final_div_factor", "increase_factor", "min_step_size",
         "radius"),
        POSITIVE,
    ),
    **dict.fromkeys(
        ("b1", "b2", "b3", "adam_b1", "adam_b2", "decay", "momentum", "rho"), SHARE
    ),  # of what was there before: 1 would never forget it, more than 1 grows
    **dict.fromkeys(
        ("eps", "eps_root", "adam_eps_root", "weight_decay", "adam_weight_decay",
         "weight_decay_rate", "additive", "relative", "eta", "noise_multiplier", "initial_scale",
         "initial_accumulator_value", "init_value", "peak_value", "end_value", "value",
         "min_norm", "min_scale", "atol", "rtol", "tol", "transition_begin", "warmup_steps"),
        NOT_NEGATIVE,
    ),
    **dict.fromkeys(
        ("max_norm", "max_delta", "threshold", "clip_threshold", "clipping_threshold", "clipping",
         "l2_norm_clip", "max_step_size"), CUT
    ),
    **dict.fromkeys(("transition_steps", "decay_steps"), STEPS),
    **dict.fromkeys(
        ("memory_size", "max_linesearch_steps", "max_backtracking_steps", "sync_period", "k",
         "update_interval", "update_proj_gap", "ns_steps", "rank", "num_betas", "period"), COUNT
    ),
    "eta_minus": INSIDE,
    "eta_plus": Limits(1.0, math.inf),
    **dict.fromkeys(("rare", "common"), FINITE),
    "pct_start": INSIDE,
    "pct_final": INSIDE,
    "slow_step_size": Limits(0.0, 1.0, "[]"),
}  # fmt: skip
# Searched between 0 and 1, every decade of 1 − x alike; of the last two some optimizers know more.
SHARES = frozenset({name for name, limits in LIMITS.items() if limits == SHARE}) | {
    "beta", "decay_rate",
}  # fmt: skip
