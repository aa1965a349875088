"""Where chunks run and where their results go: the public ``sweep``."""

import hashlib
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr

from gdjax import results
from gdjax._descent.outcomes import StoppingRule
from gdjax._inputs import DType, ObjectiveLike, OptimizerLike, as_count
from gdjax._kernels.choice import KernelChoice
from gdjax._sweep.appearance import LazyStarts, layout
from gdjax._sweep.axes import Axes, Paired
from gdjax._sweep.claims import BEAT, Alone, Claims
from gdjax._sweep.outer import OuterRunner, Plans, plans
from gdjax._sweep.remote import request, spread
from gdjax._sweep.runner import TILE, Runner
from gdjax._util import signals
from gdjax._util.errors import ArgumentError
from gdjax._util.memory import NEGLIGIBLE_BYTES, SHARE, available_memory, size
from gdjax._util.types import PyTree
from gdjax.objectives import GradientSide
from gdjax.results.places import place_of
from gdjax.starts import Starts


def sweep(
    objective: ObjectiveLike | Sequence[ObjectiveLike] | Mapping[str, ObjectiveLike],
    optimizer: OptimizerLike | Sequence[OptimizerLike] | Mapping[str, OptimizerLike],
    starts: PyTree | Starts | None = None,
    hyperparameters: Axes | None = None,
    steps: int = 100,
    *,
    paired: Paired | None = None,
    save_at: str | int | Sequence[int] | None = None,
    stopping: StoppingRule | bool = True,
    classify_rest: bool = True,
    keep: Sequence[str] | None = None,
    tolerance: float = 1e-4,
    gradient: GradientSide = "autodiff",
    dtype: DType | None = None,
    chunk: int | None = None,
    devices: int | None = None,
    kernel: KernelChoice = "auto",
    store: str | os.PathLike[str] | None = None,
    accept_version: bool = False,
    progress: bool = False,
    executor: Executor | None = None,
) -> xr.Dataset:
    """Descend from every start with every combination of hyperparameters.

    Axes of numbers that the optimizer computes with run inside one compiled kernel. Whatever
    decides what is compiled (flags, whole numbers, choices, schedules, optimizers, objectives)
    becomes a loop over kernels, in the same result and the same store.

    Args:
        objective: what to descend: an ``Objective``, the name of one, or a function of a point,
            which needs starts. Several, in a list or a mapping from labels, are the axis
            ``objective``; their points must be alike.
        optimizer: a factory such as ``gdjax.heavy_ball`` or ``optax.adam``, the name of one, or a
            transformation whose hyperparameters do not vary. Several, in a list or a mapping from
            labels, are the axis ``optimizer``.
        starts: points ``(n, d)``, one point ``(d,)``, points of the objective's own structure in a
            list, or what ``gdjax.starts`` makes: a grid or a
            sample of the domain; by default the objective's own start. Objectives share points
            that are given; what is drawn lies in the domain of each, by the same seed, and where
            these differ ``start_point`` has the dim ``objective`` too.
        hyperparameters: values by name, each an axis of the result: numbers, flags, words,
            schedules, or a mapping from labels to any of these. A tuple of names with a tuple
            of equally long lists is one axis along which they vary together. The name
            ``learning_rate[layers.0]`` is that of a group of leaves: of what lies at that path of
            a point, or below it; of a vector, of the component of that name. Where groups lie in
            one another, the longest path counts; leaves in none have ``learning_rate`` itself.
        steps: the most steps a descent takes, at least 0.
        paired: hyperparameters that vary with the starts instead of along an axis of their own: by
            name one number for each start, as in a random search.
        save_at: besides the summary, which points and values to keep: ``"all"``, every k-th step
            (an integer), or a list of steps.
        stopping: whether a descent at rest stops; or the rule that says when it is at rest, and
            after how many steps that is judged. One that diverges or meets NaN always stops at
            once.
        classify_rest: whether to ask the Hessian, in float64, what a descent came to rest at where
            no known minimum is close by; without it such a descent is ``STALLED``.
        keep: which variables of the summary to keep, such as ``["final_point", "outcome"]``; by
            default all. What is left out costs nothing. Where the last point and its value alone
            are kept, a descent that diverges or meets NaN stops when it is next judged.
        tolerance: ``steps_to_tolerance`` is the first step with f ≤ f* + tolerance; of an objective
            with a ``target`` the first that meets it, as far as that is asked: of a metric, and of
            a loss in batches, where a descent is judged.
        gradient: which gradient to follow, ``autodiff`` or ``hand``.
        dtype: ``float32`` or ``float64``; by default as JAX is configured.
        chunk: how many descents are computed and stored at a time.
        devices: how many processors to use; by default all.
        kernel: what computes the cells: ``auto`` takes the fastest that can; ``llvm``, ``pallas``,
            ``xla_math`` (XLA with elementary functions of gdjax's own) or ``xla`` takes that one
            or fails.
        store: a folder to write the results to, chunk by chunk, or a URL such as ``s3://…``, which
            needs fsspec. A store of the same sweep is continued, and chunks in it that are damaged
            are computed again, with a warning. Several processes that sweep into one folder, here
            or on machines that share it, share the work; behind a URL one writes at a time.
        accept_version: whether a store that other versions of gdjax, of JAX, of NumPy or of what
            compiles the kernel have begun is continued all the same.
        progress: whether to show a progress bar.
        executor: of ``concurrent.futures``, such as that of a Dask client, whose workers compute
            the chunks, a processor each, and write them to the store that they share; by default
            this process computes them. It must start processes anew, not fork them.

    Returns:
        Final point, final and best value, first step within tolerance, steps taken, gradient
        evaluations, outcome and known minimum of every descent, or those of them that ``keep``
        names, with the dims ``start``, ``objective`` and ``optimizer`` where there are several, and
        one an axis, in the order given; with ``save_at`` also ``points`` and ``values``. All of
        them are at the iterates, also of a method whose evaluation point ``gdjax.descend`` tells.
        Attributes such as ``kernel`` that differ along axes of the loop, which the attribute
        ``outer`` names, are lists with an entry for each combination, the last axis fastest. Lists
        of minima that are shorter than others end in NaN. The results are the same bits as those of
        separate sweeps, however many devices computed them, and whether or not they were
        interrupted.

    Raises:
        ArgumentError: an unknown hyperparameter, zipped axes of unequal length, empty or
            non-finite values, objectives of other points, more memory than there is, a store that
            is a file or holds another sweep, or one of other versions.
        StorageError: a disk that does not take the results; finished chunks stay readable.
        ChunkError: chunks that failed on a worker, when all others are finished.

    Example:
        >>> import gdjax
        >>> f = gdjax.objectives.get("qfsp")
        >>> momenta = [0.0, 0.5, 0.9]
        >>> found = sweep(f, gdjax.heavy_ball, starts=[[7.11, 6.97]], steps=300,
        ...               hyperparameters={"learning_rate": [0.1], "momentum": momenta})
        >>> (found.minimum < len(f.minima)).values.ravel().tolist()
        [False, True, True]
        >>> both = sweep(f, "sgd", hyperparameters={
        ...     "learning_rate": [0.01, 0.1], "nesterov": [True, False], "momentum": [0.5]})
        >>> dict(both.outcome.sizes)
        {'start': 1, 'learning_rate': 2, 'nesterov': 2, 'momentum': 1}
        >>> drawn = sweep(f, "heavy_ball", [[7, 7], [5, 5]], paired={"learning_rate": [0.01, 0.1]},
        ...               hyperparameters={"momentum": momenta})
        >>> dict(drawn.outcome.sizes), drawn.learning_rate.dims
        ({'start': 2, 'momentum': 3}, ('start',))
    """
    return Sweep(
        plans(
            objective, optimizer, starts, hyperparameters, steps, paired=paired, save_at=save_at,
            stopping=stopping, classify_rest=classify_rest, keep=keep, tolerance=tolerance,
            gradient=gradient, dtype=dtype, chunk=chunk,
        ),
        devices,
        kernel,
        in_memory=store is None,
    ).run(store, progress, accept_version, executor)  # fmt: skip


class Sweep:
    """A sweep that has been checked and compiled, and is yet to run.

    Args:
        asked: what to compute.
        devices: how many processors to use; by default all.
        kernel: what computes the cells.
        in_memory: whether all results are to be in memory at once, and not in a store.
        alike: how many cells kernels are made for, where sweeps of different sizes are to give a
            cell the same bits; by default as many as there are.

    Raises:
        ArgumentError: more memory than there is, or a number of devices below 1.

    Attributes:
        layout: what its results look like.
        digest: short name of everything that decides the results.
        plans: what is computed.
        runners: what computes it, one a plan.
    """

    def __init__(
        self,
        asked: Plans,
        devices: int | None = None,
        kernel: KernelChoice = "auto",
        in_memory: bool = True,
        alike: int | None = None,
    ):
        if devices is not None:
            as_count("devices", devices, 1)
        _check_memory(asked, in_memory)
        self._kernel: KernelChoice = kernel
        self._alike = alike
        self.plans, starts = asked, LazyStarts(asked)
        if in_memory:  # the results hold all of them: they are made once, for both
            starts = starts[:]
            self.plans = asked.at(starts)
        self._runner = OuterRunner(self.plans, devices, kernel, alike)
        self.runners: list[Runner] = self._runner.runners
        self.layout: results.Layout = layout(asked, starts, self.runners, in_memory)
        decides = [self.layout.attrs["config"], self.layout.dims, self.layout.chunk]
        self.digest: str = hashlib.sha256(repr(decides).encode()).hexdigest()[:10]

    def run(
        self,
        store: str | os.PathLike[str] | None = None,
        progress: bool = False,
        accept_version: bool = False,
        executor: Executor | None = None,
    ) -> xr.Dataset:
        """The labelled results: computed, or read from a store as far as they are there.

        Args:
            store: a folder or URL to write them to, or to continue.
            progress: whether to show a progress bar.
            accept_version: whether to continue a store that other versions have begun.
            executor: whose workers compute the chunks; by default this process.

        Raises:
            ArgumentError: a store that is a file, holds another sweep or is of other versions.
            StorageError: a disk that does not take the results; finished chunks stay readable.
            ChunkError: chunks that failed on a worker, when all others are finished.
        """
        if executor is not None and store is None:
            raise ArgumentError("executor needs a store, which its workers write to: give store=")
        asked, runner, layout = self.plans, self._runner, self.layout
        if store is None:
            buffers = runner.buffers(asked.cells)
            with _bar(asked, 0, progress) as done:
                for index in range(asked.chunks):
                    runner(index, buffers, done)
            return results.dataset(layout, {n: buffers.arrays[n] for n in layout.variables})
        place = place_of(store)
        if place.folder and not place.folder.exists():
            _check_disk(asked, layout, place.folder)
        folder = results.Store.open_or_create(store, layout, accept_version=accept_version)
        if told := folder.told():
            warnings.warn(told, RuntimeWarning, stacklevel=3)
        missing = folder.missing()
        ready = asked.cells - sum(last - first for first, last in map(asked.bounds, missing))
        with _bar(asked, ready, progress) as done:
            if executor is None:
                _compute(asked, runner, folder, missing, done)
            elif missing:
                sent = request(asked, folder.place, self._kernel, self._alike)
                spread(executor, sent, asked, missing, done)
        return results.open_results(store)


def _compute(
    asked: Plans,
    runner: Callable[..., dict[str, np.ndarray]],
    store: results.Store,
    missing: list[int],
    done: Callable[[int], None],
) -> None:
    """Compute and write chunks, but for those that other processes do meanwhile."""
    claims = Claims(store.place.folder) if store.place.folder else Alone()

    def write(index: int, arrays: dict[str, np.ndarray]) -> None:
        store.write(index, arrays)
        claims.release(index)

    with ThreadPoolExecutor(1) as writer:  # a chunk is written while the next one is computed
        written = writer.submit(lambda: None)
        with claims.counted(), signals.before_end(lambda: written.result()):  # nothing is lost
            while missing:
                waiting = []
                for index in missing:
                    taken = claims.take(index)
                    if store.finished(index):  # by another process
                        first, last = asked.bounds(index)
                        done(last - first)
                        if taken:
                            claims.release(index)
                    elif taken:
                        arrays = runner(index, None, done)
                        written.result()
                        written = writer.submit(write, index, arrays)
                    else:
                        waiting.append(index)
                if len(waiting) == len(missing):
                    time.sleep(BEAT / 2)
                missing = waiting
            written.result()


@contextmanager
def _bar(asked: Plans, ready: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """A function that takes how many descents were finished, and shows their number."""
    if not shown:
        yield lambda cells: None
        return
    from tqdm import tqdm

    with tqdm(total=asked.cells, initial=ready, unit=" descents", unit_scale=True) as bar:

        def tell(cells: int) -> None:
            bar.update(cells)

        yield tell


def _check_memory(asked: Plans, in_memory: bool) -> None:
    """Refuse a sweep that would not fit, before it starts."""
    one = asked.plans[0]
    kept = results.standard_variables(
        one.dtype, one.objective.dim, len(one.save_at), one.computed
    ).values()
    each = sum(variable.nbytes for variable in kept)
    spare = min(asked.chunk, one.cells) if len(asked.plans) > 1 else 0  # of one, to be copied
    descents = asked.cells + spare if in_memory else 2 * asked.chunk  # one is written, one computed
    rows = -(-descents // TILE) * TILE if one.save_at else descents  # a path takes a whole tile
    need = each * rows + (_bytes_of_starts(asked) if in_memory else 0)
    if need <= NEGLIGIBLE_BYTES:
        return
    free = available_memory()
    if need > SHARE * free:
        ways = ["fewer starts or values"] if in_memory else ["a smaller chunk"]
        ways += ["fewer recorded steps"] if one.save_at else []
        ways += ["store='a folder', which keeps a chunk in memory at a time"] if in_memory else []
        raise ArgumentError(
            f"this sweep needs {size(need)} of memory, {each} bytes for each of {descents:,} "
            f"descents{' beside the starts' if in_memory else ''}, and {size(free)} are free; "
            f"take {', or '.join(ways)}"
        )


def _check_disk(asked: Plans, layout: results.Layout, store: Path) -> None:
    """Refuse a sweep whose results would not fit on the disk, before a store is made."""
    one = asked.plans[0]
    place = next(folder for folder in store.absolute().parents if folder.is_dir())
    need = asked.cells * layout.bytes_per_cell + _bytes_of_starts(asked)
    free = shutil.disk_usage(place).free
    if need > SHARE * free:
        grid = one.starts.kind == "grid"
        sides = f" ({one.starts.number:,} starts a side, {one.objective.dim} sides)"
        saved = ", or save fewer steps" if one.save_at else ""
        raise ArgumentError(
            f"this sweep of {asked.cells:,} descents{sides if grid else ''} needs up to "
            f"{size(need)} on the disk, and {size(free)} are free; take fewer starts"
            f"{' a side' if grid else ''} or values{saved}"
        )


def _bytes_of_starts(asked: Plans) -> int:
    points = LazyStarts(asked)
    return math.prod(points.shape) * points.dtype.itemsize
