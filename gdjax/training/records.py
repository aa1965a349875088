"""A training run on disk: one file, whole or as it was, from which the run goes on."""

import hashlib
import time
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._util.errors import ArgumentError, StorageError
from gdjax._util.files import whole
from gdjax._util.types import PyTree

FORMAT = "gdjax training run 1"
SECONDS = 5.0  # between two writes


class Record:
    """What a run keeps along the way.

    Args:
        width: how many numbers a look has.
        dim: how many parameters there are.
    """

    def __init__(self, width: int, dim: int) -> None:
        self.width: int = width
        self.dim: int = dim
        self.steps: list[int] = []
        self.looks: list[list[float]] = []
        self.checkpoints: list[int] = []
        self.parameters: list[np.ndarray] = []

    @classmethod
    def empty(cls, width: int, start: Any) -> "Record":
        """One of a run that has not begun."""
        return cls(width, start.size)

    @property
    def last(self) -> int:
        """The step of the last look; −1 before the first."""
        return self.steps[-1] if self.steps else -1

    def add(self, step: int, look: list[float], point: Any = None) -> None:
        """Keep what was seen at a step, and the parameters if they are given."""
        self.steps.append(step)
        self.looks.append(look)
        if point is not None:
            self.checkpoints.append(step)
            self.parameters.append(np.asarray(point))


class Saver:
    """Writes a run every few seconds, and at the end.

    Args:
        file: where; None for nowhere.
        identity: what decides the numbers.
    """

    def __init__(self, file: Path | None, identity: str) -> None:
        self._file, self._identity = file, identity
        self._arrays: dict[str, np.ndarray] | None = None
        self._written = time.monotonic()

    def maybe_save(self, carried: PyTree, kept: Record) -> None:
        """Write it if the last time is long ago, or keep it for the end."""
        if self._file is None:
            return
        self._arrays = _arrays(carried, kept, self._identity)
        if time.monotonic() - self._written > SECONDS:
            self.save_now()

    def save_now(self) -> None:
        """Write what is not written yet.

        Raises:
            StorageError: the disk does not take it.
        """
        if self._file is None or self._arrays is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with whole(self._file) as partial, partial.open("wb") as out:
                np.savez(out, **self._arrays)  # pyright: ignore[reportArgumentType]
        except OSError as error:
            raise StorageError(
                f"cannot write to {self._file}: {error.strerror or error}"
            ) from error
        self._arrays, self._written = None, time.monotonic()


def load(file: Path, identity: str, carried: PyTree, kept: Record) -> tuple[PyTree, Record]:
    """What a run carried when it was last written, and what it had kept; as given if it is new.

    Raises:
        ArgumentError: a file of something else, or of another run; a place where none can be.
    """
    if not file.exists():
        _check_place(file)
        return carried, kept
    try:
        with np.load(file) as found:
            arrays = {name: found[name] for name in found.files}
        if str(arrays["format"]) != FORMAT:
            raise KeyError
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        raise ArgumentError(
            f"store must be the file of a training run, and {file} is none"
        ) from None
    if str(arrays["identity"]) != identity:
        raise ArgumentError(
            f"store must be of the same run, and {file} is of another one: objective, data, "
            f"optimizer, start, what is watched or how often differ"
        )
    leaves, tree = jax.tree.flatten(carried)
    restored = [_restored(arrays[f"state_{i}"], leaf) for i, leaf in enumerate(leaves)]
    kept.steps, kept.looks = arrays["steps"].tolist(), arrays["looks"].tolist()
    kept.checkpoints, kept.parameters = arrays["checkpoints"].tolist(), [*arrays["parameters"]]
    return jax.tree.unflatten(tree, restored), kept


def _check_place(file: Path) -> None:
    """Refuse a place below what is no folder, before anything is computed."""
    there = next(folder for folder in file.absolute().parents if folder.exists())
    if not there.is_dir():
        raise ArgumentError(f"store must be a file in a folder, and {there} is none, got {file}")


def digest(asked: object) -> str:
    """A short name for plain values."""
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:16]


def _arrays(carried: PyTree, kept: Record, identity: str) -> dict[str, np.ndarray]:
    state = {f"state_{i}": _plain(leaf) for i, leaf in enumerate(jax.tree.leaves(carried))}
    return {
        "format": np.array(FORMAT),
        "identity": np.array(identity),
        "steps": np.array(kept.steps),
        "looks": np.array(kept.looks).reshape(-1, kept.width),
        "checkpoints": np.array(kept.checkpoints, int),
        "parameters": np.array(kept.parameters).reshape(-1, kept.dim),
    } | state


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _restored(array: np.ndarray, leaf: Any) -> Any:
    if _is_key(leaf):
        return jax.random.wrap_key_data(jnp.asarray(array))
    return jnp.asarray(array, getattr(leaf, "dtype", None))
