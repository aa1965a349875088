"""The store of a sweep: made, continued, and written chunk by chunk."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import xarray as xr
import zarr

from gdjax._util.differences import differences, few
from gdjax._util.display import Card, shown
from gdjax._util.errors import ArgumentError, StorageError
from gdjax.results.checked import FINISHED, HEAD, CheckedFiles, Damage
from gdjax.results.folder import (
    checked,
    chunk_files,
    lay_out,
    open_group,
    read_layout,
    read_results,
    stored,
)
from gdjax.results.integrity import inspect, mend
from gdjax.results.layout import Layout
from gdjax.results.places import Place, place_of


@shown
class Store:
    """Results on disk: a zarr v3 folder of flat arrays, one row a cell.

    Every chunk has files of its own, which appear under their names only when they are whole
    and flushed to the disk, and a mark in ``status`` that is written after them. So a process
    that is killed at any moment loses the chunk in flight and nothing else, and a mark can be
    trusted after a power cut too, as far as the disk keeps its word; the folder entries
    themselves are left to the file system's journal. A mark holds digests of its chunk's files:
    what has changed since is computed again when the sweep is continued, and refused by whoever
    reads it before.

    Any number of processes may write to a store in a folder, and read it: of two that write the
    same chunk, each writes the same bits. One behind a URL has one that begins or continues it.

    Make one with ``create``, ``open`` or ``open_or_create``.

    Attributes:
        place: where it is.
        layout: what the results look like.
        done: for each chunk, whether it is finished and was whole when the store was opened.
        damage: what was not, or what had to be written again, when the store was opened.

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

    def __init__(self, place: Place, group: zarr.Group, layout: Layout) -> None:
        self.place: Place = place
        self.layout = layout
        self.damage: tuple[Damage, ...] = ()
        self._group = group
        self._files: CheckedFiles = checked(group)
        self._chunks = chunk_files(group, layout)
        self._arrays = {name: stored(group, name) for name in layout.variables}
        self.done: np.ndarray = np.zeros(layout.chunks, dtype=bool)

    def _card(self) -> Card:
        done, chunks = int(self.done.sum()), self.layout.chunks
        facts = {"chunks": f"{done:,} of {chunks:,} finished", "cells": self.layout.dims}
        return Card(f"Store {self.place}", facts | {"variables": tuple(self.layout.variables)})

    @classmethod
    def open_or_create(
        cls, path: str | os.PathLike[str], layout: Layout, *, accept_version: bool = False
    ) -> "Store":
        """``open`` what is there, or ``create`` it; of two at once, one opens the other's."""
        place = place_of(path)
        if place.is_empty():
            try:
                return cls.create(path, layout)
            except ArgumentError:
                if place.read(HEAD) is None:
                    raise
        return cls.open(path, layout, accept_version=accept_version)

    @classmethod
    def create(cls, path: str | os.PathLike[str], layout: Layout) -> "Store":
        """Make a store in a new or empty folder, or behind a URL where nothing is.

        Raises:
            ArgumentError: the path is a file or has something in it, or a URL that fsspec does
                not know.
            StorageError: the disk does not take it; nothing is left there then.
        """
        place = place_of(path)
        if not place.is_empty():
            raise ArgumentError(f"store must be a new or an empty folder, and {place} is not")
        kept = "nothing is left of it" if place.folder else "the same call begins it again"
        with _disk(f"store {place} could not be made", kept), place.made() as new:
            lay_out(new, layout)
        return cls(place, open_group(place, "r+"), layout)

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], layout: Layout, *, accept_version: bool = False
    ) -> "Store":
        """Continue a store of the same sweep. All of it is read, and what is damaged is missing.

        Args:
            path: the store's folder, or its URL.
            layout: of the sweep.
            accept_version: whether chunks of these versions of gdjax, of JAX, of NumPy and of
                what compiles the kernel may come beside those of others. The attr
                ``accepted_versions`` then tells them.

        Raises:
            ArgumentError: there is no store, or that of another sweep, of other versions or of
                another format of gdjax's; it is left untouched.
            DamageError: what says of which sweep it is was damaged; it is left untouched.
        """
        place = place_of(path)
        with _disk(f"store {place} could not be mended", "it stays as it is"):
            mended = mend(place, layout)
        group = open_group(place, "r+")
        there = read_layout(group)
        other = _other_versions(place, there, layout, accept_version)
        store = cls(place, group, layout)
        store.done, damaged = inspect(group, layout)
        store.damage = (*mended, *damaged)
        if other and store.missing():
            with _disk(f"versions could not be written to {place}", "it stays as it is"):
                lay_out(place, _with_versions(there, layout))
            return cls.open(path, layout)
        if store.missing():  # what a killed process had not finished writing
            place.tidy()
        elif place.read(FINISHED) is None:  # it was killed between its last mark and this
            with contextlib.suppress(OSError):
                store._files.finish()
        return store

    def missing(self) -> list[int]:
        """The chunks that are not finished."""
        return np.flatnonzero(~self.done).tolist()

    def told(self) -> str:
        """What was damaged when the store was opened, in one line; empty where nothing was."""
        one_each = {
            each.chunk if each.chunk is not None else each.file: each for each in self.damage
        }
        phrases = few([*map(str, one_each.values())])
        return phrases and f"store {self.place} was damaged: {phrases}; that is made again"

    def results(self, variables: Sequence[str] | None = None) -> xr.Dataset:
        """What is finished and whole, as ``open_results`` gives it."""
        return read_results(self._group, self.layout, bool(self.done.all()), variables)

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

        failure = f"chunk {index} of {self.layout.chunks} could not be written to {self.place}"
        kept = f"the {self.done.sum()} finished ones stay readable, and the same call continues"
        files = self._chunks[index]
        self._files.forget(files)  # else zarr would complete what is there
        with _disk(failure, kept):
            with ThreadPoolExecutor() as pool:  # so that flushing and packing overlap
                list(pool.map(put, arrays))
            self._files.write_mark(index, files)  # last: the only mark of done
            self._is_done(index)

    def finished(self, index: int) -> bool:
        """Whether chunk ``index`` is finished by now, by this process or by another one."""
        damaged = any(each.chunk == index for each in self.damage)  # its mark tells what was
        files = self._chunks[index]
        if not self.done[index] and not damaged and self._files.read_mark(index, files) is True:
            with contextlib.suppress(OSError):
                self._is_done(index)
        return bool(self.done[index])

    def _is_done(self, index: int) -> None:
        self.done[index] = True
        if self.done.all():
            self._files.finish()


def _other_versions(place: Place, there: Layout, here: Layout, accept_version: bool) -> bool:
    """Whether a store holds chunks of other versions alone, and that is accepted.

    Raises:
        ArgumentError: it is not accepted, or the store holds another sweep.
    """
    told, mine = there.identity, here.identity
    known, current = [told.pop("versions"), *_accepted(there)], mine.pop("versions")
    otherwise = differences(told, mine)
    other = [] if current in known else differences(known[0], current)
    if otherwise:
        raise ArgumentError(
            f"store {place} holds another sweep: {few(otherwise + other)}; "
            f"choose another path, or delete it"
        )
    if other and not accept_version:
        raise ArgumentError(
            f"store {place} holds chunks of other versions: {few(other)}; choose another path, "
            f"or continue it all the same with accept_version=True"
        )
    return bool(other)


def _accepted(layout: Layout) -> list[dict[str, str]]:
    """The versions whose chunks may be in a store beside those of the versions that made it."""
    return json.loads(layout.attrs.get("accepted_versions", "[]"))


def _with_versions(there: Layout, here: Layout) -> Layout:
    """A layout whose attrs tell who made a store, and who else may have written to it."""
    accepted = json.dumps([*_accepted(there), here.versions])
    made = {name: there.attrs[name] for name in ("versions", "devices", "created")}
    return dataclasses.replace(here, attrs={**here.attrs, **made, "accepted_versions": accepted})


@contextlib.contextmanager
def _disk(failure: str, kept: str) -> Iterator[None]:
    """What the disk refuses, as one clear line."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{failure}: {error.strerror or error}; {kept}") from error
