"""``gdjax explore``: the page with its sliders, as a file, in the browser."""

from gdjax.cli.config import make_objective, make_optimizer
from gdjax.cli.jobs import Done
from gdjax.cli.output_folder import OutputFolder
from gdjax.cli.settings import Explore
from gdjax.explorer import pages


def explore(asked: Explore, folder: OutputFolder) -> Done | None:
    """Write the page, say where it is, and show it; nothing goes beside a file that was named."""
    chosen = None if asked.objective is None else make_objective(asked)
    front = None
    if asked.optimizer is not None:
        made = make_optimizer(asked.optimizer, asked, asked.learning_rate)
        front = {asked.optimizer["name"]: made}
    page = pages.explore(chosen, front)
    named = asked.explore.file
    if named is None:
        path = folder.path / "explore.html"
        with folder.file(path.name) as file:
            page.save(file)
    else:
        path = page.save(named)
    print(path)  # a log would be a file beside it
    if asked.explore.open and not pages.show(path):
        print("there is no display to show it on; open it in any browser")
    return Done(None) if named is None else None
