"""Whether a store is what was written: looked at whole, told, and written again where it is not."""

import itertools
import json
import os
from typing import NamedTuple

import numpy as np
import zarr

from gdjax._util.arguments import gate, place
from gdjax._util.display import Card, shown
from gdjax._util.errors import DamageError
from gdjax.results.checked import CheckedFiles, Damage, identity_digest
from gdjax.results.folder import (
    FORMAT,
    checked,
    chunk_files,
    lay_out,
    open_group,
    read_layout,
    root_attrs,
)
from gdjax.results.layout import Layout
from gdjax.results.places import Place, place_of
from gdjax.results.provenance import numbers


@shown
class Verification(NamedTuple):
    """What became of a store since it was written.

    Args:
        store: where it is.
        chunks: how many chunks it has; None where its layout cannot be read.
        finished: how many of them are finished and whole.
        files: how many files were read and held against their digests.
        damage: what is not what was written.
    """

    store: str
    chunks: int | None
    finished: int
    files: int
    damage: tuple[Damage, ...]

    def _card(self) -> Card:
        chunks = "not to be told" if self.chunks is None else f"{self.chunks:,}"
        whole = f"damaged: {len(self.damage):,} files" if self.damage else "whole"
        return Card(
            f"Store {self.store}, {whole}",
            {
                "chunks": f"{self.finished:,} of {chunks} finished and whole",
                "files": f"{self.files:,} read",
            },
            [("chunk", "file", "what"), *(
                ("" if each.chunk is None else str(each.chunk), each.file, each.what)
                for each in self.damage
            )] if self.damage else (),
        )  # fmt: skip


@gate(path=place)
def verify(path: str | os.PathLike[str]) -> Verification:
    """Read a store whole, and hold every file against the digest that was kept of it.

    What is flipped, truncated, missing or swapped is told by chunk and file. The same sweep
    into the store writes that again, and nothing else. A chunk that is not finished is no damage.

    Args:
        path: the store's folder, or its URL.

    Raises:
        ArgumentError: no store there, or one that another format of gdjax's wrote.
        StorageError: a file cannot be read.

    Example:
        >>> import tempfile
        >>> from gdjax.results import Store, sweep_layout
        >>> layout = sweep_layout(np.ones((5, 2)), dtype="float32", chunk=4, config={})
        >>> folder = tempfile.mkdtemp()
        >>> store = Store.create(folder, layout)
        >>> verify(folder).damage
        ()
        >>> os.remove(f"{folder}/start_point/c/0/0")
        >>> print(*verify(folder).damage)
        start_point/c/0/0 is missing
    """
    place = place_of(path)
    _, head, files = _read_head(place)
    try:
        group = open_group(place)
        layout = read_layout(group)
    except DamageError:
        return Verification(str(place), None, 0, len(files.digests), tuple(head))
    done, damaged = inspect(group, layout)
    count = len(files.digests) + len({*checked(group).digests} - {*files.digests})
    return Verification(str(place), layout.chunks, int(done.sum()), count, (*head, *damaged))


def inspect(group: zarr.Group, layout: Layout) -> tuple[np.ndarray, list[Damage]]:
    """For each chunk whether it is finished and whole, and what is damaged; all of it is read.

    What is damaged is as good as absent in ``group`` from then on.
    """
    files, own = checked(group), chunk_files(group, layout)
    done, damaged = files.read_marks(own)
    finished = itertools.chain.from_iterable(own[chunk] for chunk in np.flatnonzero(done))
    damaged += files.damage(finished)
    for chunk in {each.chunk for each in damaged if each.chunk is not None}:
        done[chunk] = False
        files.forget(own[chunk])
    return done, sorted(damaged, key=lambda each: (each.chunk or 0, each.file))


def mend(place: Place, layout: Layout) -> list[Damage]:
    """Write what is there before the first chunk again if it is damaged; returns what was.

    Only if the store is known to be of this layout: by what is kept of it beside the digests, or,
    where these are what is damaged, by its attrs.
    """
    known, damaged, _ = _read_head(place)
    if damaged and (known or _named(place, layout)) == identity_digest(layout.identity):
        lay_out(place, layout)
        return damaged
    return []


def _read_head(place: Place) -> tuple[str, list[Damage], CheckedFiles]:
    """What a store is of, what is damaged of that which is there before the first chunk, files."""
    files = CheckedFiles(place, read_only=True)
    try:
        known = files.read_head()
    except DamageError as error:
        return "", [error.damage], files
    return known, files.damage(files.digests), files


def _named(place: Place, layout: Layout) -> str:
    """What the attrs of a store say that it is of, if its arrays are those of this layout."""
    attrs = root_attrs(place)
    try:
        dims = json.loads(attrs["layout"])["dims"]
        there = Layout(
            dims=dims, coordinates={}, variables=layout.variables, chunk=int(attrs["chunk"]),
            attrs=numbers(attrs), order=(),
        )  # fmt: skip
        return identity_digest(there.identity) if attrs["gdjax_format"] == FORMAT else ""
    except (KeyError, ValueError, TypeError, AttributeError):
        return ""
