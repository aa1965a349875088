"""The store of a sweep: made, continued, and written chunk by chunk."""

import contextlib
import os
import reprlib
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from gdjax._util import signals
from gdjax._util.display import Card, shown
from gdjax._util.errors import ArgumentError, StorageError
from gdjax._util.files import rename
from gdjax.results.folder import finished, lay_out, open_group, read_layout, stored
from gdjax.results.layout import Layout


@shown
class Store:
    """Results on disk: a zarr v3 folder of flat arrays, one row a cell.

    Every chunk has files of its own, which appear under their names only when they are whole
    and flushed to the disk, and a mark in ``status`` that is written after them. So a process
    that is killed at any moment loses the chunk in flight and nothing else, and a mark can be
    trusted after a power cut too, as far as the disk keeps its word; the folder entries
    themselves are left to the file system's journal.

    One process writes a store at a time. A second one loses nothing that is finished, but
    either of them may then end with a ``StorageError``. Any number may read.

    Make one with ``create``, ``open`` or ``open_or_create``.

    Attributes:
        path: where it is.
        layout: what the results look like.
        done: for each chunk, whether it is finished.

    Example:
        >>> import tempfile
        >>> from gdjax.results import sweep_layout
        >>> layout = sweep_layout(np.zeros((5, 2)), dtype="float32", chunk=4, config={})
        >>> store = Store.open_or_create(tempfile.mkdtemp() + "/sweep", layout)
        >>> variables = layout.variables.items()
        >>> store.write(1, {name: np.zeros((1, *v.shape), v.dtype) for name, v in variables})
        >>> store.missing()
        [0]
    """

    def __init__(self, path: Path, group: zarr.Group, layout: Layout) -> None:
        self.path = path
        self.layout = layout
        self._arrays = {name: stored(group, name) for name in (*layout.variables, "status")}
        self.done: np.ndarray = finished(group)

    def _card(self) -> Card:
        done, chunks = int(self.done.sum()), self.layout.chunks
        facts = {"chunks": f"{done:,} of {chunks:,} finished", "cells": self.layout.dims}
        return Card(f"Store {self.path}", facts | {"variables": tuple(self.layout.variables)})

    @classmethod
    def open_or_create(cls, path: str | os.PathLike[str], layout: Layout) -> "Store":
        """``open`` what is there, or ``create`` it."""
        return cls.open(path, layout) if _occupied(Path(path)) else cls.create(path, layout)

    @classmethod
    def create(cls, path: str | os.PathLike[str], layout: Layout) -> "Store":
        """Make a store in a new or empty folder.

        Raises:
            ArgumentError: the path is a file, or a folder with something in it.
            StorageError: the disk does not take it; nothing is left there then.
        """
        path = Path(path)
        if _occupied(path):
            raise ArgumentError(f"store must be a new or an empty folder, and {path} is not")
        partial = path.absolute().with_name(f".{path.name}.partial")
        try:
            with (
                _disk(f"store {path} could not be made", "nothing is left of it"),
                signals.unfinished(str(partial)),
            ):
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
                lay_out(partial, layout)
                if path.is_dir():
                    path.rmdir()
                rename(partial, path)  # in one step, so that a store is there whole or not at all
        except StorageError:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return cls(path, open_group(path, "r+"), layout)

    @classmethod
    def open(cls, path: str | os.PathLike[str], layout: Layout) -> "Store":
        """Continue a store of the same sweep.

        Raises:
            ArgumentError: there is no store, or that of another sweep or of another format of
                gdjax's; it is left untouched.
        """
        path = Path(path)
        group = open_group(path, "r+")
        differences = _differences(_identity(read_layout(group)), _identity(layout))
        if differences:
            raise ArgumentError(
                f"store {path} holds another sweep: {_few(differences)}; "
                f"choose another path, or delete it"
            )
        store = cls(path, group, layout)
        if not store.done.all():  # what a killed process had not finished writing
            for leftover in path.rglob("*.partial"):
                leftover.unlink(missing_ok=True)
        return store

    def missing(self) -> list[int]:
        """The chunks that are not finished."""
        return np.flatnonzero(~self.done).tolist()

    def write(self, index: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the results of chunk ``index``: by variable, an array ``(its cells, ...)``.

        Raises:
            ArgumentError: arrays of another shape or type than the layout's.
            StorageError: the disk does not take them; the finished chunks stay as they are.
        """
        self.layout.check(index, arrays)
        bounds = self.layout.bounds(index)

        def put(name: str) -> None:
            self._arrays[name][bounds] = arrays[name]

        failure = f"chunk {index} of {self.layout.chunks} could not be written to {self.path}"
        kept = f"the {self.done.sum()} finished ones stay readable, and the same call continues"
        with _disk(failure, kept):
            with ThreadPoolExecutor() as pool:  # so that flushing and packing overlap
                list(pool.map(put, arrays))
            self._arrays["status"][index] = 1  # last: the only mark of done
        self.done[index] = True


def _occupied(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _identity(layout: Layout) -> dict[str, Any]:
    """What must agree for a store to be continued."""
    variables = {name: [v.dtype, list(v.shape)] for name, v in layout.variables.items()}
    return {
        "dims": dict(layout.dims),
        "axes": list(layout.dims),  # their order, which says which cell is which
        "chunk": layout.chunk,
        "variables": variables,
        **layout.config,
    }


def _differences(there: Any, here: Any, name: str = "") -> list[str]:
    """For each key at which two JSON values differ, a phrase with both sides."""
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        there, here = ({f"[{i}]": item for i, item in enumerate(x)} for x in (there, here))
    if isinstance(there, dict) and isinstance(here, dict):
        return [
            phrase
            for key in {**there, **here}
            for phrase in _differences(
                there.get(key, "absent"),
                here.get(key, "absent"),
                name + key if key.startswith("[") else f"{name}.{key}".lstrip("."),
            )
        ]
    if there == here:
        return []
    return [f"{name} is {reprlib.repr(there)} there and {reprlib.repr(here)} here"]


def _few(phrases: list[str], most: int = 8) -> str:
    more = [f"and {len(phrases) - most} more"] if len(phrases) > most else []
    return "; ".join(phrases[:most] + more)


@contextlib.contextmanager
def _disk(failure: str, kept: str) -> Iterator[None]:
    """What the disk refuses, as one clear line."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{failure}: {error.strerror or error}; {kept}") from error
