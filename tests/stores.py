"""Small stores, whose results the numbers of chunks decide, and a disk that fails when told to."""

import errno
import functools
import io
import os
import shutil
import threading
from pathlib import Path

import numpy as np

from gdjax.results import dataset, sweep_layout
from gdjax.results.checked import HEAD

AXES = [{"learning_rate": [0.1, 0.2, 0.3], "momentum": [0.9, 0.5, 0.0]}, {"decay": [0.0, 1.0]}]


def make_layout(starts=25, axes=AXES, chunk=32, record=None, dtype="float32", **config):
    return sweep_layout(
        np.random.default_rng(0).uniform(-1, 1, (starts, 2)).astype(dtype),
        axes,
        dtype=dtype,
        chunk=chunk,
        record=record,
        minima=[[0.0, 0.0], [1.0, 1.0]],
        global_minima=1,
        config={"steps": 100, "fmin": np.nan, "rates": [0.1, 0.2]} | config,
        attrs={"objective": "qfsp", "fmin": np.nan, "domain": ((-1, 1), (-1, 1)), "seed": None},
    )


def make_chunk(layout, index):
    """Arrays that a chunk's number alone decides."""
    bounds = layout.bounds(index)
    random = np.random.default_rng(index)
    return {
        name: np.asfortranarray(
            random.uniform(0, 100, (bounds.stop - bounds.start, *v.shape)).astype(v.dtype)
        )
        for name, v in layout.variables.items()
    }


def fill(target):
    for index in target.missing():
        target.write(index, make_chunk(target.layout, index))
    return target


def in_memory(layout, chunks=None):
    """The Dataset of the same chunks, of all by default, without a store."""
    arrays = {
        n: np.full((layout.cells, *v.shape), v.fill, v.dtype) for n, v in layout.variables.items()
    }
    for index in range(layout.chunks) if chunks is None else chunks:
        for name, array in make_chunk(layout, index).items():
            arrays[name][layout.bounds(index)] = array
    return dataset(layout, arrays, complete=chunks is None)


def files(path):
    """Every file of a store by name, without the attrs, which hold the time, and their digest."""
    found = {str(p.relative_to(path)): p for p in Path(path).rglob("*") if p.is_file()}
    return {name: p.read_bytes() for name, p in found.items() if name not in ("zarr.json", HEAD)}


WRITES = (
    (io, "open"), (os, "mkdir"), (os, "replace"), (os, "rename"), (os, "link"), (os, "unlink"),
    (os, "rmdir"), (os, "fsync"), (shutil, "rmtree"),
)  # fmt: skip


class Disk:
    """What is done to the files below a folder, one operation after another; one can be made fail.

    Args:
        monkeypatch: what undoes it.
        folder: whose files are watched.
        fails: the number of the operation that fails.
        forever: whether all that follow fail too, as for a process that was killed.
    """

    def __init__(self, monkeypatch, folder, fails=None, forever=False):
        self.folder, self.done, self.flushed, self.lock = folder, [], set(), threading.RLock()
        self.fails, self.forever = fails, forever
        for module, name in WRITES:
            call = functools.partial(self.call, name, getattr(module, name))
            monkeypatch.setattr(module, name, call)

    def call(self, name, real, target, *args, **kwargs):
        path = os.readlink(f"/proc/self/fd/{target}") if name == "fsync" else str(target)
        reads = name == "open" and not set(args[0] if args else "r") & set("wax")
        if reads or not path.startswith(str(self.folder)):
            return real(target, *args, **kwargs)
        with self.lock:
            number = len(self.done)
            renamed = Path(args[0]) if name in ("replace", "rename") else None
            self.done.append((name, Path(path), renamed))
            broken = self.fails is not None and number >= self.fails
            if broken and (self.forever or number == self.fails):
                if kwargs.get("ignore_errors"):
                    return None
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            if name == "fsync":  # that it was asked for is noted, and not waited for
                return self.flushed.add(os.fstat(target).st_ino)
            result = real(target, *args, **kwargs)
            if name == "open":
                self.flushed.discard(os.fstat(result.fileno()).st_ino)
            return result

    def lose_power(self):
        """What was not flushed is gone: files have their names, and nothing in them."""
        for path in self.folder.rglob("*"):
            if path.is_file() and path.stat().st_ino not in self.flushed:
                path.write_bytes(b"")
