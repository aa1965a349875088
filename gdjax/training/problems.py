"""A loss over data as an objective: its point is the user's parameters, its data are its args."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._util.arguments import as_count, as_seed, function, gate, maybe, refused, text
from gdjax._util.errors import ArgumentError, first_line
from gdjax._util.types import Function, PyTree
from gdjax.objectives import Objective, validate
from gdjax.objectives.minibatches import Training, count_rows
from gdjax.objectives.structure import path_in_words


@gate(loss=function, metric=maybe(function), gradient=maybe(function), name=maybe(text))
def problem(
    loss: Function,
    *,
    init: Function | PyTree,
    data: PyTree,
    batch: int | None = None,
    metric: Function | None = None,
    target: PyTree = None,
    gradient: Function | None = None,
    seed: int = 0,
    name: str | None = None,
) -> Objective:
    r"""A loss over data, as an objective whose point is the user's own parameters.

    .. math:: f(\theta) = \mathrm{loss}(\theta, \mathrm{data})

    The value is that over all data, always. With ``batch`` a step follows the gradient over some
    rows alone: which ones is a function of ``seed`` and the step, in epochs without replacement,
    so that a descent that is cut and continued, anywhere, sees the same. There is no domain: a
    descent is lost only by numbers that are not finite. The data are the objective's ``args``:
    others of equal shapes compile nothing anew.

    Parameters are any pytree of arrays of floats: lists and dictionaries, the ``params`` of Flax,
    or an Equinox module. Of a module with arrays that are not to be trained, ``equinox.partition``
    takes the parameters, and the loss combines both again.

    Args:
        loss: parameters and data → scalar; the mean over rows, where batches are to mean anything.
        init: random key → parameters; or the parameters, for a start that no seed changes. A module
            that holds its parameters is these, though it can be called.
        data: a pytree of arrays with the same number of rows each, such as ``(X, y)``. The loss is
            handed the same pytree, of all rows or of a batch.
        batch: how many rows a step sees; None for all of them.
        metric: parameters and data → scalar, to be watched beside the loss.
        target: what counts as success in sweeps and rankings: a loss, such as 0.05, at most; or a
            metric by its name, ``{"accuracy": 0.95}``, at least (of one that falls, let it return
            the negative). It is asked of all data: where steps see batches, and of a metric, only
            where a sweep judges a descent, after every so many steps and at its end.
        gradient: parameters and data → gradient, derived by hand, like the parameters.
        seed: of the initialisation and of the batches.
        name: what tables and pictures call it; by default the loss's own name.

    Raises:
        ArgumentError: a loss or a metric that returns no scalar, a target of neither, data
            without rows or of unequal length, a batch of more rows than there are, an ``init``
            that no key changes, or parameters that are no floats.

    Example:
        >>> import gdjax, jax.numpy as jnp, numpy as np
        >>> X, y = np.arange(8.0)[:, None], 2 * np.arange(8.0)
        >>> def init(key):
        ...     return {"w": jax.random.normal(key, (1,)), "b": jnp.zeros(())}
        >>> def loss(params, batch):
        ...     X, y = batch
        ...     return jnp.mean((X @ params["w"] + params["b"] - y) ** 2)
        >>> line = problem(loss, init=init, data=(X, y), batch=4)
        >>> line.variables, line.dim
        (('b', 'w[0]'), 2)
        >>> path = gdjax.descend(line, "adam", steps=2000)
        >>> round(float(path.points["w"][-1, 0]), 2)
        2.0
    """
    seed = as_seed(seed)
    data = _as_arrays(data)
    rows = count_rows(data)
    if batch is not None:
        batch = as_count("batch", batch, 1)
        if batch > rows:
            raise ArgumentError(f"batch must be at most {rows:,}, as many rows as there are data, "
                                f"got {batch:,}")  # fmt: skip
    start = initialised(init, seed)
    drawn = _is_function(init)
    if drawn:
        _check_depends(init, start, seed)
    made = Objective(
        name=name or getattr(loss, "__name__", "loss").strip("<>"),
        fn=loss,
        gradient=gradient,
        start=start,
        args=(data,),
        training=Training(init=init if drawn else None, metric=metric, batch=batch, seed=seed),
        target=target,
    )
    validate(made, numbers=False)
    if batch is not None:
        _check_batch(made, batch)
    if metric is not None:
        _check_metric(metric, made)
    return made


def initialised(init: Function | PyTree, seed: int) -> PyTree:
    """Parameters, drawn in single precision, so that both precisions begin at one point.

    Raises:
        ArgumentError: an ``init`` that fails, or gives anything but finite floats.
    """
    start = init
    if _is_function(init):
        try:
            with jax.enable_x64(False):
                start = init(jax.random.key(seed))
        except Exception as error:  # whatever the user's code raises is told as it is
            raise ArgumentError(
                f"init must take a random key and return parameters, and fails: {first_line(error)}"
            ) from error
    leaves = jax.tree_util.tree_flatten_with_path(start)[0]
    for path, leaf in leaves:
        kind = getattr(getattr(leaf, "dtype", None), "kind", None)
        whole = isinstance(leaf, int | complex) and not isinstance(leaf, bool)
        if whole or (kind is not None and kind in "iubc"):
            where = path_in_words(path)
            given = "complex numbers" if isinstance(leaf, complex) else "integers"
            raise ArgumentError(
                f"init must give parameters of floats, got {'leaf ' * bool(where)}{where or 'one'} "
                f"of {getattr(leaf, 'dtype', given)}"
            )
        if _is_float(leaf) and not np.isfinite(np.asarray(leaf, float)).all():
            where = path_in_words(path)
            raise ArgumentError(f"init must give finite parameters, got {leaf!r:.100}"
                                f"{' in leaf ' * bool(where)}{where}")  # fmt: skip
    if not any(_is_float(leaf) for _, leaf in leaves):
        raise refused("init", "give parameters, a pytree of arrays of floats", start)
    return start


def _as_arrays(data: PyTree) -> PyTree:
    """Data whose leaves are arrays; lists of numbers are arrays too."""

    def array(leaf: Any) -> Any:
        found = leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)
        if found.dtype.kind not in "fiubc":
            raise refused("data", "be arrays of numbers", leaf)
        return found

    def is_leaf(node: Any) -> bool:
        return isinstance(node, list)

    try:
        return jax.tree.map(array, data, is_leaf=is_leaf)
    except ArgumentError:
        raise
    except Exception:  # rows of different lengths, or what is no pytree
        raise refused("data", "be a pytree of arrays", data) from None


def _check_depends(init: Function, start: PyTree, seed: int) -> None:
    """Refuse an initialisation that is the same for every key, or another one for the same."""
    if not _same(start, initialised(init, seed)):
        raise ArgumentError(
            "init must give the same parameters for the same random key, and does not: draw them "
            "from the key, by jax.random"
        )
    other = initialised(init, (seed + 1) % 2**32)
    if jax.tree.structure(other) != jax.tree.structure(start):
        raise ArgumentError("init must give parameters of one structure, whatever its random key")
    if _same(start, other):
        raise ArgumentError(
            "init must depend on its random key, and gives the same parameters for two of them; "
            "for a fixed start, hand over the parameters themselves"
        )


def _same(one: PyTree, other: PyTree) -> bool:
    """Whether the arrays of two trees hold the same."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=False)
    both = ([np.asarray(x, float) for x in pair] for pair in pairs if _is_float(pair[0]))
    return all(np.array_equal(a, b, equal_nan=True) for a, b in both)


def _is_function(init: Any) -> bool:
    """Whether it draws parameters; a module of Equinox can be called too, and holds them."""
    held = not isinstance(init, jax.tree_util.Partial) and any(
        map(_is_float, jax.tree.leaves(init))
    )
    return callable(init) and not held


def _is_float(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    return isinstance(leaf, float) or (dtype is not None and jnp.issubdtype(dtype, jnp.floating))


def _check_batch(objective: Objective, batch: int) -> None:
    """Refuse a loss that takes all rows, and not some of them."""
    point = jax.ShapeDtypeStruct((objective.dim,), np.float32)
    given = objective.cast(np.float32).at_step(0)
    try:
        found = jax.eval_shape(given.value, point)
    except Exception as error:  # whatever the user's code raises is told as it is
        raise ArgumentError(
            f"batch={batch:,} needs a loss that takes any rows of the data, and {objective.name} "
            f"fails on so many: {first_line(error)}"
        ) from error
    if found.shape != ():
        raise ArgumentError(
            f"batch={batch:,} needs a loss that returns a scalar for any rows of the data, and "
            f"{objective.name} returns an array of shape {found.shape}"
        )


def _check_metric(metric: Callable[..., Any], objective: Objective) -> None:
    """Refuse a metric that is no number."""
    try:
        params = jax.tree.map(lambda x: x, objective.shaped(np.asarray(objective.start)))
        found = jax.eval_shape(metric, params, *objective.args)
    except Exception as error:  # whatever the user's code raises is told as it is
        raise ArgumentError(f"metric fails on the parameters: {first_line(error)}") from error
    if not isinstance(found, jax.ShapeDtypeStruct):
        came = "None" if found is None else f"a {type(found).__name__}"
        raise ArgumentError(f"metric must return a scalar, got {came}")
    if found.shape != ():
        raise ArgumentError(f"metric must return a scalar, got an array of shape {found.shape}")
    if found.dtype.kind == "c":
        raise ArgumentError("metric must return a real number, got a complex one")
