"""Paths that grow step by step, on the surface and on the contours: GIF, or MP4 by ffmpeg."""

import base64
import io
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from gdjax._inputs import ObjectiveLike, as_count
from gdjax._util.arguments import POSITIVE, flag, gate, number, place
from gdjax._util.display import counted
from gdjax._util.errors import ArgumentError, StorageError
from gdjax._util.files import whole
from gdjax.plotting import given, growth, hills, landscape
from gdjax.plotting.curves import draw_curve
from gdjax.plotting.figure import AnyFigure
from gdjax.plotting.growth import Growing
from gdjax.plotting.paths import CLOSE, Drawn, Look, draw_paths

MOST_FRAMES = 2000
COLOURS = 255  # of a GIF, all frames alike: one more is kept for what does not change
HOLD = 12  # times as long is the last frame shown
SUFFIXES = (".gif", ".mp4")


class Animation:
    """A figure whose paths grow; a notebook shows it.

    Args:
        figure: with the whole paths.
        growing: what of it grows with the steps.
        steps: which step each frame shows.
        dpi: dots per inch.
        fps: frames a second.
    """

    def __init__(
        self,
        figure: AnyFigure,
        growing: Sequence[Growing],
        steps: np.ndarray,
        dpi: float | int,
        fps: float | int,
    ) -> None:
        self.figure, self.steps, self.fps = figure, steps, fps
        self._growing, self._dpi = growing, dpi

    def frames(self, progress: bool = False) -> Iterator[np.ndarray]:
        """The pictures, ``(height, width, 3)`` of bytes.

        The ground is drawn once; over it only what grows is drawn anew.
        """
        figure = self.figure
        figure.set_dpi(self._dpi)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # lays out
        engine = figure.get_layout_engine()
        figure.set_layout_engine("none")
        artists = [one.artist for one in self._growing]
        for artist in artists:
            artist.set_visible(False)
        canvas.draw()
        ground = canvas.copy_from_bbox(figure.bbox)
        for artist in artists:
            artist.set_visible(True)
        try:
            for step in counted(self.steps, " frames", progress):
                canvas.restore_region(ground)
                for one in self._growing:
                    one.show(int(step))
                    if hasattr(one.artist, "do_3d_projection"):
                        one.artist.do_3d_projection()
                    one.artist.draw(canvas.get_renderer())
                yield np.array(canvas.buffer_rgba())[..., :3]
        finally:
            figure.set_layout_engine(engine)

    def save(self, path: Any, progress: bool = False) -> Path:
        """Write it as ``.gif``, or as ``.mp4`` where ffmpeg is installed; returns the path.

        Args:
            path: of the file.
            progress: whether to show a progress bar.

        Raises:
            ArgumentError: another suffix, or no ffmpeg.
            StorageError: the disk does not take it.
        """
        path = Path(place("path", path))
        if path.suffix not in SUFFIXES:
            raise ArgumentError(f"path must end in {' or '.join(SUFFIXES)}, got {path}")
        write = self._gif if path.suffix == ".gif" else self._mp4
        try:
            with whole(path) as partial:
                write(partial, progress)
        except OSError as error:
            raise StorageError(f"{path} could not be written: {error.strerror or error}") from error
        return path

    def _repr_html_(self) -> str:
        picture = io.BytesIO()
        self._gif(picture)
        return f'<img src="data:image/gif;base64,{base64.b64encode(picture.getvalue()).decode()}"/>'

    def _gif(self, file: Any, progress: bool = False) -> None:
        *first, last = (Image.fromarray(frame) for frame in self.frames(progress))
        palette = last.quantize(COLOURS, dither=Image.Dither.NONE)  # it has all that is ever shown
        alike = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in (*first, last)]
        each = round(1000 / self.fps)
        alike[0].save(
            file, format="GIF", save_all=True, append_images=alike[1:], loop=0, disposal=1,
            duration=[each] * len(first) + [HOLD * each],
        )  # fmt: skip

    def _mp4(self, file: Path, progress: bool) -> None:
        program = shutil.which("ffmpeg")
        if program is None:
            raise ArgumentError("path must end in .gif, as MP4 needs ffmpeg, and there is none")
        frames = self.frames(progress)
        first = next(frames)
        tall, wide = (side - side % 2 for side in first.shape[:2])  # the format takes even sides
        words = [
            program, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
            "-s", f"{wide}x{tall}", "-r", str(self.fps), "-i", "-",
            "-pix_fmt", "yuv420p", str(file),
        ]  # fmt: skip
        with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin is not None
            for frame in (first, *frames):
                process.stdin.write(np.ascontiguousarray(frame[:tall, :wide]).tobytes())
            _, said = process.communicate()
        if process.returncode:
            raise StorageError(
                f"ffmpeg could not write it: {said.decode(errors='replace').strip()}"
            )


@gate(drape=flag, dpi=number(POSITIVE), fps=number(POSITIVE))
def animate(
    objective: ObjectiveLike,
    paths: Any,
    axes: Sequence[int | str] | None = None,
    drape: bool = False,
    *,
    frames: Any = 200,
    fps: float | int = 20,
    dpi: float | int = 80,
    window: landscape.Shown = "auto",
    view: Sequence[float | int] | None = None,
    cmap: landscape.Shades = None,
) -> Animation:
    """Paths that grow from their start, all at the same step: several optimizers race.

    Args:
        objective: what was descended: an ``Objective``, the name of one, or the function.
        paths: trajectories by the label that the legend shows, what ``gdjax.compare`` found,
            or one.
        axes: the two components to draw, by number or by name; by default the first two.
        drape: whether lines follow the ground from step to step.
        frames: at most so many; where there are more steps, evenly chosen ones are shown, up to the
            one from which nothing is seen to move.
        fps: frames a second.
        dpi: dots per inch.
        window: what of the landscape is shown, as of ``comparison``.
        view: elevation and azimuth of the camera, in degrees.
        cmap: a colour map of matplotlib, by its name or itself.

    Returns:
        An animation; nothing is shown or saved.

    Raises:
        ArgumentError: as ``comparison``, or a number out of range.

    Example:
        >>> import gdjax
        >>> found = gdjax.compare("qfsp", {"plain": gdjax.gradient_descent(0.1),
        ...                                "heavy ball": gdjax.heavy_ball(0.1)}, steps=50)
        >>> race = animate("qfsp", found, frames=10)
        >>> next(race.frames()).shape[2]
        3
    """
    f, paths = given.described(objective, paths)
    most = as_count("frames", frames, 2, MOST_FRAMES)
    last = end = max(max(path.finite, 1) for path in paths.values()) - 1
    if f.dim == 1:
        figure, growing = draw_curve(f, paths, window)
    else:
        drawn = draw_paths(f, paths, drape, Look(axes, window, view, cmap))
        figure, growing = drawn.places.figure, [*drawn.growing, *_balls(drawn)]
        rests = (_at_rest(track, drawn.scene.window) for track in drawn.tracks.values())
        last = min(last, max(rests))
    steps = np.unique(np.linspace(0, last, min(most, last + 1)).round().astype(int))
    steps[-1] = end  # whole, whatever happens too slowly to be seen
    return Animation(figure, [*growing, _counter(figure)], steps, dpi, fps)


def _at_rest(track: hills.Track, window: landscape.Window) -> int:
    """The step from which a path moves no more than an eye can see."""
    away = np.abs(track.at - track.at[-1]) / (window.high - window.low)
    moving = np.flatnonzero(away.max(axis=1) > CLOSE)
    return int(track.steps[min(moving[-1] + 1, len(track.steps) - 1)]) if moving.size else 1


def _counter(figure: AnyFigure) -> Growing:
    """The number of the step that is shown."""
    told = figure.text(0.01, 0.99, "", va="top", fontsize=11, color="0.35")
    return Growing(told, lambda step: told.set_text(f"step {step:,}"))


def _balls(drawn: Drawn) -> Iterator[Growing]:
    """What rolls at the head of each path."""
    for at, steps, colour, _ in drawn.tracks.values():
        deep = np.column_stack([at, drawn.scene.heights(at)])
        for axes, points in ((drawn.places.flat, at), (drawn.places.hill, deep)):
            if axes is not None:
                (mark,) = axes.plot(
                    *points[:1].T,
                    "o",
                    color=colour,
                    markeredgecolor="white",
                    markersize=9,
                    zorder=9,
                )
                yield growth.ball(mark, points, steps)
