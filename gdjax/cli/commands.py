"""The commands: where each is found, and what ``gdjax --help`` says of them; no JAX here."""

from typing import Any

# A config and a folder in, the exit code out, or None where nothing is to be left; each loads what
# it needs when it is called.
COMMANDS = {
    "run": "gdjax.cli.run:run",
    "compare": "gdjax.cli.compare:compare",
    "rank": "gdjax.cli.rank:rank",
    "sweep": "gdjax.cli.sweep:sweep",
    "train": "gdjax.cli.train:train",
    "landscape": "gdjax.cli.landscapes:landscape",
    "check": "gdjax.cli.check:check",
    "certify": "gdjax.cli.certify:certify",
    "explore": "gdjax.cli.explore:explore",
}
# The words of the call in, text out.
LISTS = {
    "objectives": "gdjax.cli.lists:list_objectives",
    "optimizers": "gdjax.cli.lists:list_optimizers",
    "verify": "gdjax.cli.verify:verify",
    "collect": "gdjax.cli.collect:collect",
    "gallery": "gdjax.cli.gallery:gallery",
}
HELP = ("-h", "--help", "help")
USAGE = """usage: gdjax TASK [key=value ...]

tasks:
  run      one descent: its picture, its path as data, its outcome
  compare  several optimizers from one start, on one landscape
  rank     many optimizers on many objectives, each tuned: profiles, ranks, a table
  sweep    many descents, over starts and hyperparameters: their share, basins, stability
  train    a network or a loss of yours, watched: sharpness against the stability limit, noise
  landscape  a slice of a loss, and what it hides: random, principal, between minima, Hessian
  check    certify a hand-derived gradient, or a rule: is it right, and if not, where and how
  certify  certify two optimizers as one method, step by step, on every objective
  explore  a page for the browser in which every slider descends anew: gdjax explore [PAGE.html]

gdjax objectives [NAME]    the catalogue, or all that is known about one objective
gdjax optimizers [NAME]    every optimizer with its defaults, or one of them in detail
gdjax rerun FOLDER [key=value ...]   a run again from its folder, or with other settings
gdjax collect FOLDER       what the jobs of a multirun came to: a table, a picture, the best ones
gdjax gallery [PAGE.html] [STUDY ...]   every study, its figure and its finding, on one page
gdjax verify STORE         whether the results of a sweep are what was written, file by file
your own objective, in every task:
  fn=my_file.py:f domain=[[-5,5],[-5,5]]     a function in a file, or package.module:f; its
                                             gradient is objective.gradient=my_file.py:grad_f,
                                             or gradient=my_file.py:grad_f in check
  residuals=my_file.py:r start=[1,2]         the sum of their squares, alone or beside fn=
  objective=formula objective.expression="x**2 + y**2 + 10*sin(x)*sin(y)"
  loss=my.py:loss init=my.py:init data=my.py:data     in train and landscape: parameters of any kind
  objective=curve_fit objective.data=points.csv objective.model="b1*(1 - exp(-b2*x))"

gdjax TASK --help          what can be chosen, and the defaults
gdjax TASK --cfg job       the config as it would run
gdjax TASK -m key=a,b,c    every combination, what differs in numbers at once; a bad one fails alone
gdjax --version            of gdjax, of what its results depend on, and of Python
eval "$(gdjax -sc install=bash)"   completion for this shell
"""


def find(name: str) -> Any:
    """The function of a command or a list, by its name."""
    import pkgutil  # no help needs it

    return pkgutil.resolve_name((COMMANDS | LISTS)[name])
