"""Where a command's files go: the one writer of pictures, arrays, tables, summary and config."""

import contextlib
import csv
import json
import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gdjax._util.errors import StorageError
from gdjax._util.files import whole

log: logging.Logger = logging.getLogger(__name__)


CONFIG = "config.yaml"
LONGEST = 200  # bytes of a file's name, of the 255 that a system takes


def plain(value: float | None) -> float | None:
    """A number as a summary has it: what is not known, or not finite, is null.

    Example:
        >>> plain(0.5), plain(float("nan")), plain(None)
        (0.5, None, None)
    """
    return float(value) if value is not None and math.isfinite(value) else None


class OutputFolder:
    """A folder that is made with the first file, after everything has been computed.

    The config stands beside whatever lies there: no other file has its name before.

    Args:
        path: where it is.
        plot: the settings of its pictures: ``format`` is ``png``, ``svg`` or ``pdf``, or ``none``
            for no pictures, ``dpi`` dots per inch; ``title`` and ``figsize`` replace their own.
        config: the text of the config that its files come from.

    Raises:
        ArgumentError: another format, or no positive number of dots.
    """

    def __init__(
        self,
        path: Path,
        plot: Mapping[str, Any] | None = None,
        config: str = "",
    ) -> None:
        self.path, self._config = path, config
        self._format, self._dpi = "png", 150
        self._title, self._size = (plot or {}).get("title"), (plot or {}).get("figsize")
        if plot is not None:
            self._format, self._dpi = plot["format"], plot["dpi"]
        if plot is not None and self.draws:
            from gdjax import plotting  # not every command draws

            plotting.check_output(self._format, self._dpi)

    @property
    def draws(self) -> bool:
        """Whether pictures are wanted."""
        return self._format != "none"

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """Where a file is to be written, which has this name once it is whole.

        Raises:
            StorageError: the disk does not take it.
        """
        file = self.path / name
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with whole(file) as partial:
                yield partial
                self.config()
        except OSError as error:
            place = error.filename or file
            raise StorageError(f"cannot write to {place}: {error.strerror or error}") from error

    def pictures(self, figures: Mapping[str, Any]) -> list[str]:
        """Save figures by name; returns the names of the files."""
        from gdjax import plotting
        from gdjax.plotting.figure import retitle

        files = []
        for name, figure in figures.items():
            files.append(f"{file_name(name)}.{self._format}")
            if self._title is not None:
                retitle(figure, self._title)
            if self._size is not None:
                figure.set_size_inches(*self._size)
            with self.file(files[-1]) as file:
                plotting.save(figure, file, self._dpi)
        return files

    def arrays(
        self, name: str, arrays: Mapping[str, Any], save: Callable[..., None] = np.savez
    ) -> None:
        """Write arrays by name, compressed or not."""
        with self.file(name) as file:
            save(file, **arrays)

    def table(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows with the same keys as CSV."""
        rows = list(rows)
        with self.file(name) as file, file.open("w", newline="") as out:
            writer = csv.DictWriter(out, rows[0] if rows else ["objective"])
            writer.writeheader()
            writer.writerows(rows)

    def summary(self, summary: Mapping[str, Any]) -> None:
        """Write what came out, as plain numbers and words."""
        self.numbers("summary.json", summary)

    def numbers(self, name: str, found: Mapping[str, Any]) -> None:
        """Write plain numbers and words as JSON."""
        with self.file(name) as file:
            file.write_text(json.dumps(found, indent=2) + "\n")

    def config(self) -> None:
        """Write the config that all of this comes from, unless it is there."""
        config, self._config = self._config, ""
        if config:
            with self.file(CONFIG) as file:
                file.write_text(config, encoding="utf-8")

    def tell(self, names: Iterable[str]) -> None:
        """Say where the files of these names are."""
        for name in names:
            log.info("%s", self.path / name)


def file_name(name: str) -> str:
    """A name as a file may have it: no place but the folder's, on any system, and not too long.

    Example:
        >>> file_name("../../x"), file_name("basins, momentum = 0.5")
        ('_.._x', 'basins_momentum=0.5')
    """
    safe = re.sub(r"[^\w.=-]+", "_", name.replace(" = ", "=")).lstrip(".")
    return safe.encode()[:LONGEST].decode(errors="ignore") or "_"


def remove_unused(folder: Path) -> None:
    """Take back the folders that Hydra made for a job that never began, while they are empty."""
    here = Path.cwd()
    while folder != here and folder.is_relative_to(here):
        plan = folder / "multirun.yaml"
        if plan.is_file() and len(list(folder.iterdir())) == 1:
            plan.unlink()
        try:
            folder.rmdir()
        except OSError:  # it holds something, and so do its parents
            return
        folder = folder.parent
