"""Who computes the chunks of a sweep: this process, or the workers of a Dask cluster."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, InvalidStateError
from typing import Any

from gdjax._util.errors import ArgumentError, first_line
from gdjax._util.version import versions
from gdjax.cli.settings import Engine
from gdjax.results.layout import DECIDING

PATIENCE = 4  # seconds in which a scheduler elsewhere answers
LIVES = 1000  # workers that may die over a chunk before Dask gives it up


def check_local(asked: Engine) -> None:
    """Refuse a cluster where there is nothing to hand out."""
    if asked.kind != "local":
        raise ArgumentError(
            f"engine={asked.kind} is for sweeps, and for jobs of -m that differ in numbers alone"
        )


@contextlib.contextmanager
def executor(asked: Engine | None) -> Iterator[Executor | None]:
    """A context with what computes chunks; None for this process.

    Raises:
        ArgumentError: Dask is not installed, nobody answers at the address, or workers there are of
            other versions.
    """
    if asked is None or asked.kind == "local":
        for name in ("address", "workers"):
            if getattr(asked, name, None) is not None:
                raise ArgumentError(f"engine.{name} is for a cluster: choose engine=dask")
        yield None
        return
    try:
        import distributed
        from dask import config
    except ImportError:
        raise ArgumentError("engine=dask needs Dask: pip install 'gdjax[cluster]'") from None
    for name in [*logging.root.manager.loggerDict]:  # each has a level of its own
        if name.startswith("distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    settings = {
        "distributed.scheduler.allowed-failures": LIVES,
        "distributed.worker.multiprocessing-method": "spawn",  # a fork of JAX's threads may hang
    }
    with contextlib.ExitStack() as stack:
        address: Any = asked.address
        if address is not None:
            settings["distributed.comm.timeouts.connect"] = PATIENCE
        stack.enter_context(config.set(settings))
        if address is None:
            address = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=asked.workers, threads_per_worker=1, processes=True,
                    dashboard_address=":0", silence_logs=logging.CRITICAL,
                )
            )  # fmt: skip
        try:
            client = stack.enter_context(distributed.Client(address))
        except (OSError, ValueError) as error:
            raise ArgumentError(
                f"engine.address must be that of a Dask scheduler, and at {asked.address} none "
                f"answers: {first_line(error)}"
            ) from None
        _check_versions(client)
        yield stack.enter_context(_Workers(client))


class _Workers(Executor):
    """The workers of a client; what they were handed ends with an error if the scheduler is gone.

    Args:
        client: of Dask.
    """

    def __init__(self, client: Any) -> None:
        self._client, self._inner = client, client.get_executor(pure=False)
        self._handed: list[Future] = []
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Have a worker call a function."""
        self._handed.append(self._inner.submit(fn, *args, **kwargs))
        return self._handed[-1]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Hand out nothing more."""
        self._over.set()
        if self._client.status == "running":
            self._inner.shutdown(wait=wait)

    def _watch(self) -> None:
        while not self._over.wait(1):
            if self._client.status in ("closing", "closed"):
                for future in self._handed:
                    with contextlib.suppress(InvalidStateError):  # it is done
                        future.set_exception(CancelledError())
                return


def _check_versions(client: Any) -> None:
    here = versions()
    for worker, there in client.run(versions).items():
        for name in (*DECIDING, "llvmlite"):
            if there.get(name) != here.get(name):
                raise ArgumentError(
                    f"engine: worker {worker} has {name} {there.get(name)}, and this process "
                    f"{here.get(name)}; chunks of two versions never mix"
                )
