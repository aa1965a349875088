"""What a sweep would take, told before anything of it is computed."""

import statistics
from collections import Counter
from typing import NamedTuple

import jax
import numpy as np

from gdjax._compiler.lower import operations
from gdjax._descent.cells import stride
from gdjax._inputs import default_dtype
from gdjax._kernels.choice import traced
from gdjax._sweep.engine import Sweep
from gdjax._sweep.runner import Runner
from gdjax._util.display import duration
from gdjax._util.memory import size

# Operations on float32 a second that one core of an AMD EPYC with AVX-512 did, the median over
# six objectives and three optimizers; float64 has half as many lanes. Other processors differ.
THROUGHPUT = {"llvm": 1.4e11, "xla_math": 3.5e10, "xla": 7e9}


class Estimate(NamedTuple):
    """What a sweep would take.

    Args:
        cells: how many descents.
        chunks: how many pieces they are computed and stored in.
        chunk: cells in each of them.
        result_bytes: of all results, uncompressed.
        kernels: by kernel, and the reason for it, how many of the compiled programs.
        processors: how many are used.
        operations: in a step, the median over the programs.
        seconds: roughly the time if every descent takes all steps, compilation aside; None where
            nothing was measured to tell it by.
    """

    cells: int
    chunks: int
    chunk: int
    result_bytes: int
    kernels: dict[tuple[str, str], int]
    processors: int
    operations: float
    seconds: float | None

    def __str__(self) -> str:
        """A few lines for a person."""
        kernels = ", ".join(
            name + (f" × {count}" if count > 1 else "") + (f" ({reason})" if reason else "")
            for (name, reason), count in self.kernels.items()
        )
        rate = "on this kind of processor nothing was measured to tell it by"
        if self.seconds is not None:
            rate = (
                f"roughly {duration(self.seconds)} and compilation, if every descent takes all "
                f"steps: {self.operations:,.0f} operations a step at the throughput of an AMD EPYC"
            )
        each = self.result_bytes / self.cells
        return "\n".join(
            [
                f"descents  {self.cells:,} in {self.chunks:,} chunk{'s' * (self.chunks > 1)} of "
                f"{'up to ' * (self.cells % self.chunk > 0)}{self.chunk:,}",
                f"results   {size(self.result_bytes)} before compression, {each:g} bytes a descent",
                f"kernel    {kernels}",
                f"devices   {self.processors} of kind {jax.devices()[0].device_kind}",
                f"time      {rate}",
            ]
        )


def estimate(prepared: Sweep) -> Estimate:
    """What a sweep would take: nothing of it is computed, and nothing is written.

    Example:
        >>> import gdjax
        >>> from gdjax._sweep.outer import plans
        >>> asked = plans("qfsp", "sgd", gdjax.starts.grid(10), {
        ...     "nesterov": [True, False], "learning_rate": [0.1], "momentum": [0.0, 0.5, 0.9]})
        >>> found = estimate(Sweep(asked))
        >>> found.cells, found.result_bytes, sum(found.kernels.values())
        (600, 18600, 2)
    """
    asked, runners, layout = prepared.plans, prepared.runners, prepared.layout
    counts = [*map(_operations, runners)]
    seconds: float | None = 0.0
    for one, runner, count in zip(asked.plans, runners, counts, strict=True):
        throughput = THROUGHPUT.get(runner.kernel.name)
        if throughput is None or seconds is None or jax.default_backend() != "cpu":
            seconds = None
            continue
        lanes = 4 / np.dtype(one.dtype).itemsize
        seconds += one.cells * max(one.steps, 1) * count / (throughput * lanes * runner.devices)
    return Estimate(
        asked.cells, asked.chunks, asked.chunk, asked.cells * layout.bytes_per_cell,
        dict(Counter((runner.kernel.name, runner.reason) for runner in runners)),
        runners[0].devices, statistics.median(counts), seconds,
    )  # fmt: skip


def _operations(runner: Runner) -> float:
    """Operations in a step of a cell, its share of being judged included."""
    asked = runner.plan
    with default_dtype(asked.dtype):
        cells = traced(runner.case)
        step, judged = (operations(f.traced) for f in (cells.step, cells.terminate))
    return step + (judged - step) / stride(asked.steps, asked.stopping.every)
