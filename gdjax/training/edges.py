"""Up to which sharpness a step is stable, and what of an optimizer's state scales the Hessian."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from gdjax._util.display import shown
from gdjax._util.types import PyTree
from gdjax.objectives import Objective
from gdjax.optimizers import Optimizer
from gdjax.optimizers.groups import has_groups

PRECONDITIONED = ("adam", "rmsprop")


@shown
class Edge(NamedTuple):
    """Where stability ends, or why that is not known.

    Args:
        limit: on the sharpness; None where there is none.
        formula: of it, as LaTeX.
        why: why there is none.
    """

    limit: float | None
    formula: str = ""
    why: str = ""


def edge(optimizer: Optimizer, objective: Objective) -> Edge:
    r"""The sharpness at which an optimizer at constant rate, over all data, begins to oscillate.

    ===============================  ===================================================
    gradient descent                 :math:`2 / \alpha`
    heavy ball, sgd with momentum    :math:`2 (1 + \mu) / \alpha`
    Nesterov                         :math:`2 (1 + \mu) / ((1 + 2 \mu) \alpha)`
    Adam, preconditioned             :math:`2 (1 + \beta_1) / ((1 - \beta_1) \alpha)`
    RMSProp, preconditioned          :math:`2 / \alpha`
    ===============================  ===================================================

    Example:
        >>> import gdjax
        >>> edge(gdjax.heavy_ball(0.25, 0.5), gdjax.objectives.get("qfsp")).limit
        12.0

    Reference:
        Cohen et al. 2021 and 2022, as ``sharpness`` has them.
    """
    name, given = _known(optimizer)
    if objective.in_batches:
        return Edge(None, why="no limit is drawn: steps see batches, and it holds over all data")
    if objective.coordinates is not None:
        return Edge(None, why="no limit is drawn: steps are taken in other coordinates")
    if not name:
        return Edge(None, why=f"no limit is drawn: of {optimizer!r:.60} none is known")
    numbers = given["learning_rate"], given.get("momentum") or 0.0, given.get("b1", 0.0)
    if not all(map(_is_number, numbers)):
        return Edge(None, why="no limit is drawn: it holds at a constant learning rate alone")
    rate, momentum, b1 = map(float, numbers)
    if rate <= 0:
        return Edge(None, why="no limit is drawn: the learning rate is 0")
    if name == "adam":
        return Edge(2 * (1 + b1) / ((1 - b1) * rate), r"2(1+\beta_1)/((1-\beta_1)\alpha)")
    ahead = name == "nesterov" or (momentum and given.get("nesterov"))
    if ahead:
        limit = 2 * (1 + momentum) / ((1 + 2 * momentum) * rate)
        return Edge(limit, r"2(1+\mu)/((1+2\mu)\alpha)")
    formula = r"2(1+\mu)/\alpha" if momentum else r"2/\alpha"
    return Edge(2 * (1 + momentum) / rate, formula)


def is_preconditioned(optimizer: Optimizer) -> bool:
    """Whether it is the preconditioned sharpness that counts."""
    return _known(optimizer)[0] in PRECONDITIONED


def preconditioner(optimizer: Optimizer, state: PyTree) -> Array | None:
    r"""P ``(d,)`` of Adam or RMSProp in a state; None of others; NaN before the first step.

    Of Adam it is :math:`(1 - \beta_1^t)(\sqrt{\hat\nu} + \epsilon)`, so that its bias correction
    is a part of it; of RMSProp :math:`\sqrt{\nu + \epsilon}`.
    """
    name, given = _known(optimizer)
    if name == "adam":
        kept = _part(state, optax.ScaleByAdamState)
        count = jnp.maximum(kept.count, 1)
        corrected = _flat(kept.nu) / (1 - given["b2"] ** count)
        root = jnp.sqrt(corrected + given["eps_root"]) + given["eps"]
        return jnp.where(kept.count > 0, (1 - given["b1"] ** count) * root, jnp.nan)
    if name == "rmsprop":
        nu = _flat(_part(state, optax.ScaleByRmsState).nu)
        inside = given["eps_in_sqrt"]
        root = jnp.sqrt(nu + given["eps"]) if inside else jnp.sqrt(nu) + given["eps"]
        return jnp.where(jnp.any(nu > 0), root, jnp.nan)
    return None


def _known(optimizer: Optimizer) -> tuple[str, dict[str, Any]]:
    """The name of an optimizer whose limit is known, and its numbers; else an empty name."""
    name = getattr(optimizer.factory, "__name__", "")
    given = dict(optimizer.hyperparameters)
    module = getattr(optimizer.factory, "__module__", "")
    if module.split(".")[0] not in ("gdjax", "optax"):
        return "", given
    before = any(isinstance(value, optax.GradientTransformation) for value in given.values())
    if before or has_groups(optimizer):
        return "", given  # what transforms its gradients changes the limit
    other = {
        "adam": name == "adam" and given["nesterov"],
        "rmsprop": name == "rmsprop"
        and (given["centered"] or given["bias_correction"] or given["momentum"] is not None),
    }
    known = "gradient_descent", "heavy_ball", "nesterov", "sgd", *other
    return ("" if name not in known or other.get(name) else name), given


def _is_number(value: Any) -> bool:
    return not callable(value) and np.ndim(value) == 0


def _part(state: PyTree, kind: type) -> Any:
    leaves = jax.tree.leaves(state, is_leaf=lambda part: isinstance(part, kind))
    return next(part for part in leaves if isinstance(part, kind))


def _flat(tree: PyTree) -> Array:
    """The leaves of a tree like a point's, as a point lies flat."""
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)])
