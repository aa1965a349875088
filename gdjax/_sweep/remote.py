"""Chunks that other processes compute: each writes its own to the shared store."""

import functools
import pickle
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Executor, as_completed
from pathlib import Path
from typing import NamedTuple

from gdjax import results
from gdjax._kernels.choice import KernelChoice
from gdjax._sweep.appearance import LazyStarts, layout
from gdjax._sweep.outer import OuterRunner, Plans
from gdjax._util.errors import ArgumentError, ChunkError, StorageError, first_line
from gdjax.objectives.loading import OWN
from gdjax.results.checked import HEAD
from gdjax.results.places import Place, place_of


class Request(NamedTuple):
    """What a worker is handed.

    Args:
        plans: pickled.
        store: its folder or URL, which worker and caller see alike.
        kernel: what computes the cells.
        alike: how many cells the kernel is made for.
        path: where modules are looked for, such as those beside a user's own file.
        processors: how many of them a worker uses.
    """

    plans: bytes
    store: str
    kernel: KernelChoice
    alike: int | None
    path: tuple[str, ...]
    processors: int = 1


def request(plans: Plans, store: Place, kernel: KernelChoice, alike: int | None) -> Request:
    """What workers are handed of a sweep, a user's own functions included.

    Raises:
        ArgumentError: cloudpickle is not installed, or one of the functions cannot be pickled.
    """
    try:
        import cloudpickle
    except ImportError:
        raise ArgumentError("executor needs cloudpickle: pip install 'gdjax[cluster]'") from None
    for name, module in list(sys.modules.items()):  # of files, which no worker has imported
        if name.startswith(OWN):
            cloudpickle.register_pickle_by_value(module)
    try:
        path = tuple(str(Path(place).absolute()) for place in sys.path)
        where = str(store.folder.absolute() if store.folder else store)
        return Request(cloudpickle.dumps(plans), where, kernel, alike, path)
    except Exception as error:
        raise ArgumentError(
            f"executor takes what can be pickled, and this sweep cannot: {first_line(error)}"
        ) from error


def compute(request: Request, chunk: int) -> None:
    """Compute a chunk, and write it to the store, unless it is there."""
    runner, store = _opened(request)
    if not store.finished(chunk):
        store.write(chunk, runner(chunk, None, lambda cells: None))


@functools.lru_cache(maxsize=4)  # a worker computes many chunks of one sweep
def _opened(request: Request) -> tuple[OuterRunner, results.Store]:
    sys.path += [place for place in request.path if place not in sys.path]
    plans: Plans = pickle.loads(request.plans)
    runner = OuterRunner(plans, request.processors, request.kernel, request.alike)
    laid_out = layout(plans, LazyStarts(plans), runner.runners, in_memory=False)
    return runner, results.Store.open(request.store, laid_out)


def head(store: str) -> bytes:
    """What says of which sweep a store is, as this process sees it; empty if it does not."""
    try:
        return place_of(store).read(HEAD) or b""
    except (ArgumentError, StorageError):
        return b""


def spread(
    executor: Executor,
    sent: Request,
    asked: Plans,
    missing: Sequence[int],
    done: Callable[[int], None],
) -> None:
    """Have an executor compute chunks; one that fails does so alone.

    Raises:
        ArgumentError: its workers do not see the store.
        ChunkError: chunks that failed, when all others are finished.
    """
    if executor.submit(head, sent.store).result() != head(sent.store):
        raise ArgumentError(
            f"executor has workers that do not see the store {sent.store}: give a folder that "
            f"they share with this process"
        )
    failed: dict[int, BaseException] = {}
    futures = {executor.submit(compute, sent, chunk): chunk for chunk in missing}
    for future in as_completed(futures):
        chunk = futures[future]
        try:
            future.result()
        except (Exception, CancelledError) as error:
            failed[chunk] = error
        else:
            first, last = asked.bounds(chunk)
            done(last - first)
    if failed:
        chunk, error = min(failed.items())
        first, last = asked.bounds(chunk)
        more = f", and {len(failed) - 1:,} more chunks failed" if len(failed) > 1 else ""
        gone = isinstance(error, CancelledError)
        why = "since who computes is gone" if gone else f"with {first_line(error)}"
        raise ChunkError(
            f"chunk {chunk} (descents {first:,} to {last - 1:,}) failed where it was computed, "
            f"{why}{more}; the others are in {sent.store}, and the same "
            f"call goes on with those that are not"
        )
