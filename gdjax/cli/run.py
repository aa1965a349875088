"""``gdjax run``: one descent."""

from omegaconf import DictConfig

from gdjax._descent.trajectory import descend
from gdjax.cli import descents
from gdjax.cli.config import make_objective, make_optimizer, settings
from gdjax.cli.output_folder import OutputFolder
from gdjax.comparison.comparison import rates


def run(config: DictConfig, folder: OutputFolder) -> int:
    """Descend with one optimizer; leave the path, its picture and what became of it."""
    optimizer, objective = make_optimizer(config.optimizer, config), make_objective(config)
    axes = descents.picked_axes(objective, config)
    asked = settings(config, *descents.ASKED)
    path = descend(objective, optimizer, **asked)
    label = repr(optimizer)
    paths, measured = {label: path}, {label: rates(objective, optimizer, path)}
    summary = descents.describe(objective, paths, measured, asked)
    descents.leave(objective, paths, summary, folder, axes)
    return 0
