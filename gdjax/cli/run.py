"""``gdjax run``: one descent."""

from gdjax._descent.trajectory import descend
from gdjax.cli import descents
from gdjax.cli.config import make_objective, make_optimizer, picked
from gdjax.cli.jobs import Done
from gdjax.cli.output_folder import OutputFolder
from gdjax.cli.settings import Run
from gdjax.comparison.comparison import rates


def run(asked: Run, folder: OutputFolder) -> Done:
    """Descend with one optimizer; leave the path, its picture and what became of it.

    Its number is the final value.
    """
    optimizer, objective = make_optimizer(asked.optimizer, asked), make_objective(asked)
    axes = descents.picked_axes(objective, asked.plot)
    descent = picked(asked, *descents.ASKED)
    path = descend(objective, optimizer, **descent)
    label = repr(optimizer)
    paths, measured = {label: path}, {label: rates(objective, optimizer, path)}
    summary = descents.describe(objective, paths, measured, descent)
    descents.leave(objective, paths, summary, folder, axes)
    return Done(summary["results"][label]["compared_by"])
