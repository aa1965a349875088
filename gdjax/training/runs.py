"""A training run that is watched: numbers every so many steps, parameters at checkpoints alone."""

import functools
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdjax import optimizers
from gdjax._compiler.fingerprint import fingerprint
from gdjax._descent.loop import Descent, State
from gdjax._inputs import (
    DType,
    ObjectiveLike,
    OptimizerLike,
    as_objective,
    cannot_descend,
    default_dtype,
)
from gdjax._util.arguments import as_count, flag, gate, maybe, place, refused
from gdjax._util.display import Card, counted, shown
from gdjax._util.errors import ArgumentError, check_known
from gdjax._util.memory import check_fits
from gdjax._util.types import PointLike, PyTree
from gdjax.objectives import GradientSide, Objective, validate
from gdjax.objectives.targets import metric_name
from gdjax.optimizers import Optimizer
from gdjax.training import records, watching
from gdjax.training.edges import Edge, edge, is_preconditioned
from gdjax.training.watching import WATCHED, Look

Watched = Literal["sharpness", "noise_scale", "alignment"]
EVERY = 100


@shown
class TrainingRun(NamedTuple):
    """A training run, as it was watched.

    Args:
        steps: at which it was looked at, the start and the end included, ``(r,)``.
        looks: what was seen there, each ``(r,)``; NaN where it was not watched.
        edge: the limit of stability on the sharpness, or why none is known.
        preconditioned: whether the sharpness is that of the preconditioned Hessian.
        metric: what the metric is called; empty where there is none.
        point: the last parameters, in the structure of the start.
        checkpoints: at which steps parameters were kept, ``(c,)``.
        parameters: those parameters, flat, ``(c, d)``.
        broken: the first step after which a parameter was not finite; None if there was none.
        leaf: where in the parameters that began.
        objective: what was trained.
        optimizer: by what.
    """

    steps: np.ndarray
    looks: Look
    edge: Edge
    preconditioned: bool
    metric: str
    point: PyTree
    checkpoints: np.ndarray
    parameters: np.ndarray
    broken: int | None
    leaf: str
    objective: str
    optimizer: str

    @property
    def reached(self) -> int | None:
        """The first step at which the sharpness was seen at its limit; None if it never was."""
        limit = self.edge.limit
        beyond = np.asarray(self.looks.sharpness) >= (np.inf if limit is None else limit)
        return int(self.steps[beyond.argmax()]) if beyond.any() else None

    @property
    def hovering(self) -> float | None:
        """The mean sharpness over the second half of the run, as a multiple of its limit."""
        late = np.asarray(self.looks.sharpness)[len(self.steps) // 2 :]
        late = late[np.isfinite(late)]
        if self.edge.limit is None or not late.size:
            return None
        return float(late.mean() / self.edge.limit)

    @property
    def sentences(self) -> list[str]:
        """What became of it, in words."""
        loss, last = np.asarray(self.looks.loss), int(self.steps[-1])
        found = [f"loss {loss[0]:.6g} → {loss[-1]:.6g} in {last:,} steps"]
        if self.metric:
            metric = np.asarray(self.looks.metric)
            found.append(f"{self.metric} {metric[0]:.4g} → {metric[-1]:.4g}")
        if self.broken is not None:
            found.append(f"not finite from step {self.broken:,}, first in {self.leaf}")
        if np.isfinite(self.looks.sharpness).any():
            found.append(self._of_sharpness())
        return found

    def _of_sharpness(self) -> str:
        kind = "preconditioned sharpness" if self.preconditioned else "sharpness"
        sharp = np.asarray(self.looks.sharpness)
        last = sharp[np.isfinite(sharp)][-1]
        if self.edge.limit is None:
            return f"{kind} {last:.4g}; {self.edge.why}"
        limit = f"{kind} {last:.4g}, limit {self.edge.limit:.4g}"
        if self.reached is None:
            return f"{limit}, not reached"
        when = f"reached at step {self.reached:,}" if self.reached else "beyond it from the start"
        late = "" if self.hovering is None else f"; {self.hovering:.3f} of it over the second half"
        return f"{limit}, {when}{late}"

    def __str__(self) -> str:
        return "; ".join(self.sentences)

    def _card(self) -> Card:
        head, *more = self.sentences
        facts = {"objective": self.objective, "optimizer": self.optimizer}
        return Card(f"TrainingRun: {head}", facts | {f"({i + 1})": s for i, s in enumerate(more)})


@gate(store=maybe(place), progress=flag)
def train(
    objective: ObjectiveLike,
    optimizer: OptimizerLike,
    start: PointLike = None,
    steps: int = 1000,
    *,
    watch: Sequence[Watched] | Watched = ("sharpness",),
    every: int = EVERY,
    checkpoint: int | None = None,
    gradient: GradientSide = "autodiff",
    dtype: DType | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> TrainingRun:
    r"""Train, and watch loss, metric, gradient and sharpness along the way.

    The steps are those of ``descend``. Every so many of them the loss over all data, the metric
    and the norm of the gradient are kept, and with ``watch`` the sharpness with its residual, the
    noise scale :math:`\mathrm{tr}\,\Sigma / \|g\|^2` of the gradient, and how far the gradient
    lies along the sharpest direction. At a constant rate over all data the sharpness has a limit
    of stability, such as 2/α: networks train towards it, and hover there.

    Args:
        objective: what to train: a ``gdjax.problem``, a network of the catalogue, or whatever
            else ``descend`` takes.
        optimizer: as ``descend`` takes it. Of one by name or by gdjax's own factory the numbers
            are known, and so is the limit.
        start: the first parameters; by default the objective's own.
        steps: number of steps.
        watch: of ``sharpness``, ``noise_scale`` (of a problem with data) and ``alignment``.
        every: how many steps lie between two looks.
        checkpoint: keep the parameters every so many steps, a multiple of ``every``; by default
            only the last.
        gradient: which gradient to follow, ``autodiff`` or ``hand``.
        dtype: ``float32`` or ``float64``; by default as JAX is configured.
        store: a file, ``run.npz``, that the run is kept in as it goes: the same call goes on
            where it stood, to the same bits, and one with more steps goes further.
        progress: whether to show a bar.

    Returns:
        The run. One whose parameters are not finite ends there, and tells the step and the leaf.

    Raises:
        ArgumentError: as ``descend`` does; something to be watched that is not known, or the noise
            of a loss without data; a store of another run.

    Example:
        >>> import gdjax
        >>> run = train("qfsp", gdjax.heavy_ball(0.05, 0.9), steps=200, every=50)
        >>> run.steps.tolist(), round(run.edge.limit, 6), run.reached
        ([0, 50, 100, 150, 200], 76.0, None)
    """
    watched = _as_watch(watch)
    steps, every = as_count("steps", steps, 0), as_count("every", every, 1)
    if checkpoint is not None and as_count("checkpoint", checkpoint, 1) % every:
        raise ArgumentError(f"checkpoint must be a multiple of every={every:,}, got {checkpoint:,}")
    f = as_objective(objective, start)
    f.value_and_gradient(gradient)  # says early what is wrong with the choice
    if "noise_scale" in watched and f.training is None:
        raise ArgumentError(
            f"watch=noise_scale needs a loss over data, as gdjax.problem makes one, and {f.name} "
            f"is none"
        )
    with default_dtype(dtype):
        first = f.flat(f.start if start is None else start)
        validate(f, at=first)
        chosen = optimizers.as_optimizer(optimizer)
        at = jnp.asarray(first, float)
        if checkpoint is not None:
            need = at.nbytes * (steps // checkpoint + 1)
            check_fits(need, f"checkpoint={checkpoint:,}", "keep fewer")
        asked = _Asked(f.cast(at.dtype), chosen, watched, every, checkpoint, gradient)
        try:
            return asked.run(at, steps, None if store is None else Path(store), progress)
        except Exception as error:
            cannot_descend(f, chosen, error)


def _as_watch(watch: Any) -> tuple[str, ...]:
    """What is to be watched, in a fixed order."""
    given = (watch,) if isinstance(watch, str) else watch
    if not isinstance(given, list | tuple):
        raise refused("watch", f"be a list of {', '.join(WATCHED)}", watch)
    for each in given:
        check_known("quantity to watch", each, WATCHED)
    return tuple(name for name in WATCHED if name in given)


_advance = jax.jit(watching.advance, static_argnums=(4,))
_look = jax.jit(watching.look, static_argnums=(4, 5))


class _Asked(NamedTuple):
    """What decides a run."""

    objective: Objective
    optimizer: Optimizer
    watch: tuple[str, ...]
    every: int
    checkpoint: int | None
    gradient: GradientSide

    def run(self, start: jax.Array, steps: int, store: Path | None, progress: bool) -> TrainingRun:
        """Take the steps, or those that a store has not; see ``train``."""
        f, given = self.objective, self.optimizer.with_arrays_for_seeds()
        begun = Descent.of(f, given, self.gradient).init(start)._replace(failed=None)
        vector = jax.random.normal(jax.random.key(0), start.shape, start.dtype)
        kept = records.Record.empty(len(Look._fields), start)
        carried, identity = (begun, vector), ""
        if store is not None:
            identity = self._identity(start)
            carried, kept = records.load(store, identity, carried, kept)
        state, vector = carried
        broken, leaf = None, ""
        marks = [*range(0, steps, self.every), steps]
        left = [mark for mark in marks if mark > kept.last]
        if kept.last < 0:  # the start is looked at too
            vector = self._seen(kept, 0, given, state, vector)
            left = [mark for mark in left if mark > 0]
        elif kept.last > steps:
            raise ArgumentError(
                f"steps must be at least {kept.last:,}, as many as {store} has taken, got {steps:,}"
            )
        saver = records.Saver(store, identity)
        if kept.last == 0:  # the file is there from the start on, or cannot be
            saver.maybe_save((state, vector), kept)
        for mark in counted(left, " looks", progress):
            before, taken = state, mark - kept.last
            state = _advance(f, given, state, taken, self.gradient)
            if not bool(jnp.isfinite(state.point).all()):
                broken, leaf = self._first_broken(given, before, kept.last)
                self._seen(kept, mark, given, state, vector)
                break
            whole = mark % self.every == 0
            vector = self._seen(kept, mark, given, state, vector)
            if whole:  # a last stretch that is shorter is not gone on from
                saver.maybe_save((state, vector), kept)
        saver.save_now()
        return self._result(kept, state, broken, leaf)

    def _seen(
        self, kept: "records.Record", step: int, given: Optimizer, state: State, vector: jax.Array
    ) -> jax.Array:
        """Look at a state, and keep what is seen; returns the sharpest direction."""
        seen, vector = _look(self.objective, given, state, vector, self.watch, self.gradient)
        keep = self.checkpoint is not None and step % self.checkpoint == 0
        kept.add(step, [float(x) for x in seen], state.point if keep else None)
        return vector

    def _first_broken(self, given: Optimizer, state: State, step: int) -> tuple[int, str]:
        """The step after which something was not finite, and the leaf in which it began."""
        while bool(jnp.isfinite(state.point).all()):
            state = _advance(self.objective, given, state, 1, self.gradient)
            step += 1
        at = int(np.isfinite(state.point).argmin())
        structure = self.objective.structure
        if structure is None:
            return step, self.objective.variables[at]
        ends = np.cumsum([math.prod(shape) for _, shape in structure.leaves])
        path, _ = structure.leaves[int(np.searchsorted(ends, at, "right"))]
        return step, path or self.objective.variables[at]

    def _result(
        self, kept: "records.Record", state: State, broken: int | None, leaf: str
    ) -> TrainingRun:
        f = self.objective
        metric = f.training and f.training.metric
        looks = np.asarray(kept.looks, float)
        return TrainingRun(
            steps=np.asarray(kept.steps),
            looks=Look(*looks.T),
            edge=edge(self.optimizer, f),
            preconditioned=is_preconditioned(self.optimizer),
            metric=metric_name(metric) if metric else "",
            point=f.shaped(state.point),
            checkpoints=np.asarray(kept.checkpoints, int),
            parameters=np.asarray(kept.parameters).reshape(len(kept.checkpoints), f.dim),
            broken=broken,
            leaf=leaf,
            objective=f.name,
            optimizer=repr(self.optimizer),
        )

    def _identity(self, start: jax.Array) -> str:
        """A name for all that decides the numbers, but for how many steps are taken."""
        f, given = self.objective, self.optimizer.with_arrays_for_seeds()
        descent = Descent.of(f, given, self.gradient)
        state = descent.init(start)._replace(failed=None)
        step = functools.partial(watching.advance, count=1, gradient=self.gradient)
        program = fingerprint(lambda state: step(f, given, state), state)
        asked = self.watch, self.every, self.checkpoint, np.asarray(start).tobytes()
        return f"{program} {records.digest(asked)}"
