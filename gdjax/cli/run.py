"""``gdjax run``: one descent."""

from gdjax._descent.trajectory import descend
from gdjax.cli import clusters, descents
from gdjax.cli.config import make_objective, make_optimizer, picked
from gdjax.cli.jobs import Done
from gdjax.cli.output_folder import OutputFolder
from gdjax.cli.settings import Run


def run(asked: Run, folder: OutputFolder) -> Done:
    """Descend with one optimizer; leave the path, its picture and what became of it.

    Its number is the final value.
    """
    clusters.check_local(asked.engine)
    optimizer, objective = make_optimizer(asked.optimizer, asked), make_objective(asked)
    descents.check_look(objective, asked.plot)
    path = descend(objective, optimizer, **picked(asked, *descents.ASKED))
    label = repr(optimizer)
    return descents.finish(objective, {label: optimizer}, {label: path}, asked, folder)
