"""Jobs of ``gdjax check`` that differ in numbers alone: certified in one process."""

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gdjax._util.version import versions
from gdjax.cli import settings
from gdjax.cli.batch import Batch, Job, Launch, Result, as_dict, failed, row
from gdjax.cli.check import certified, concluded
from gdjax.cli.config import make_objectives
from gdjax.cli.jobs import stands
from gdjax.cli.refusals import told


class Checks(Batch):
    """What the jobs of one kind share: all but how many points are drawn, and how."""

    free: Collection[str] = ("points", "seed")
    decided: Collection[str] = free

    @property
    def batched(self) -> bool:
        """Whether a row tells all that such a job does."""
        return self.asked.rule is None and not self.asked.draw

    def stands(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of such a job says all that it would come to again."""
        return stands(row, self.resolved)

    def results(self, jobs: Sequence[Job], launch: Launch) -> Iterator[Result]:
        """What jobs come to, in order, several at a time in this process."""

        def result(job: Job) -> Result:
            try:
                began = time.perf_counter()
                asked: Any = settings.read("check", as_dict(self.of(job)))
                done = concluded([*certified(asked, make_objectives(asked))])
                seconds = round(time.perf_counter() - began, 6)
            except Exception as error:
                return failed(job, *told("check", error, launch.folder))
            return Result(
                job,
                row(
                    job,
                    value=done.value,
                    failed=done.remark,
                    code=done.code,
                    seconds=seconds,
                    versions=versions(),
                ),
            )

        with ThreadPoolExecutor(os.cpu_count()) as pool:  # XLA compiles outside Python's lock
            yield from pool.map(result, jobs)
