"""``gdjax check``: certificates of gradients."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor

from gdjax.certificates import GradientReport, check_gradient, check_hessian
from gdjax.cli.config import make_objectives, picked
from gdjax.cli.output_folder import OutputFolder
from gdjax.cli.settings import Check

log: logging.Logger = logging.getLogger(__name__)


def check(asked: Check, folder: OutputFolder) -> int:
    """Certify the gradient of each objective, several at a time; 1 if one is wrong.

    One objective gets its whole table, of several only those with a wrong gradient.
    """
    objectives = make_objectives(asked)
    kinds = [check_gradient, check_hessian] if asked.hessian else [check_gradient]
    how = picked(asked, "points", "seed", "dtype")

    def certify(job: tuple) -> GradientReport:
        objective, kind = job
        return kind(objective, **how)

    reports = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # XLA compiles outside Python's lock
        for report in pool.map(certify, [(f, kind) for f in objectives for kind in kinds]):
            reports.append(report)
            log.info("%s", report if len(objectives) == 1 or not report.ok else report.line)
    for report in reports if asked.draw else ():
        from gdjax import plotting  # not every call draws

        name = f"{report.name}_{report.kind.lower()}"
        folder.tell(folder.pictures({name: plotting.certificate(report)}))
    wrong = [f"{report.kind} of {report.name}" for report in reports if not report.ok]
    if len(reports) > 1:
        log.info("%d of %d are right", len(reports) - len(wrong), len(reports))
    if wrong:
        log.error("wrong: %s", ", ".join(wrong))
    return 1 if wrong else 0
