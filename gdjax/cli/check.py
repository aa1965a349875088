"""``gdjax check``: certificates of gradients and of rules."""

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from gdjax._util.errors import ArgumentError
from gdjax.certificates import GradientReport, check_gradient, check_hessian, check_rule
from gdjax.cli.config import make_objectives, picked
from gdjax.cli.jobs import Done
from gdjax.cli.output_folder import OutputFolder
from gdjax.cli.settings import Check
from gdjax.objectives import Objective
from gdjax.objectives.loading import find, load

log: logging.Logger = logging.getLogger(__name__)


def check(asked: Check, folder: OutputFolder) -> Done:
    """Certify the gradient of each objective, several at a time; 1 unless all are right.

    One objective gets its whole table, of several only those whose gradient is not right. Its
    number is the largest error.
    """
    if asked.rule is not None:
        return _check_rule(asked, folder)
    objectives, reports = make_objectives(asked), []
    objectives += [f.in_coordinates() for f in objectives if f.coordinates is not None]
    for report in certified(asked, objectives):
        reports.append(report)
        folder.config()
        log.info("%s", report if len(objectives) == 1 or not report.ok else report.line)
    for report in reports if asked.draw else ():
        from gdjax import plotting  # not every call draws

        name = f"{report.name}_{report.kind.lower()}"
        folder.tell(folder.pictures({name: plotting.certificate(report)}))
    if len(reports) > 1:
        log.info("%d of %d are right", sum(report.ok for report in reports), len(reports))
    done = concluded(reports)
    if done.remark:
        log.error("%s", done.remark)
    return done


def certified(asked: Check, objectives: Sequence[Objective]) -> Iterator[GradientReport]:
    """The certificate of each gradient, and of its Hessian if that is asked for, in order.

    Raises:
        ArgumentError: settings that only a rule has.
    """
    for key in ("args", "pullback"):
        if getattr(asked, key) is not None:
            raise ArgumentError(f"{key} belongs to a rule: give rule=my_file.py:f")
    kinds = [check_gradient, check_hessian] if asked.hessian else [check_gradient]
    how = picked(asked, "points", "seed", "dtype")

    def certify(job: tuple) -> GradientReport:
        objective, kind = job
        return kind(objective, **how)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # XLA compiles outside Python's lock
        yield from pool.map(certify, [(f, kind) for f in objectives for kind in kinds])


def concluded(reports: Sequence[GradientReport]) -> Done:
    """The largest error, with what is not right."""
    left = {"wrong": [r for r in reports if not r.ok and not r.undecided],
            "undecided": [r for r in reports if r.undecided]}  # fmt: skip
    remarks = [
        f"{word}: {', '.join(f'{report.kind} of {report.name}' for report in found)}"
        for word, found in left.items()
        if found
    ]
    worst = max(report.error for report in reports)
    return Done(worst, int(bool(remarks)), "; ".join(remarks))


def _check_rule(asked: Check, folder: OutputFolder) -> Done:
    """Certify a rule, with the arguments that a file holds; 1 if it breaks a law."""
    if asked.args is None:
        raise ArgumentError("rule needs args: give args=my_file.py:args, what to call it with")
    fn, args = find(asked.rule, "rule"), load(asked.args, "args")
    args = args() if callable(args) else args
    if asked.pullback is not None:
        fn = (fn, find(asked.pullback, "pullback"))
    given = args if isinstance(args, tuple) else (args,)
    report = check_rule(fn, *given, order=asked.order, seed=asked.seed)
    folder.config()
    log.info("%s", report)
    remark = "" if report.ok else f"wrong: {report.line}"
    if remark:
        log.error("%s", remark)
    worst = max((law.error for law in report.laws), default=0.0)
    return Done(worst, int(bool(remark)), remark)
