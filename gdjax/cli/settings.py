"""The one gate for configs: what each command is asked, by name, with what it may be.

A new setting is one field here and one line in ``conf/``; the check, the message and ``--help``
read the field.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

from gdjax._util.arguments import SEEDS
from gdjax._util.errors import ArgumentError, unknown
from gdjax.cli import kinds
from gdjax.cli.kinds import FLAG, NULL, NUMBER, PATH, TEXT, Kind, whole

# What settings were called in configs that were written before.
RENAMED = {
    "precision": "dtype", "precisions": "dtypes", "record": "save_at", "stop": "stopping",
    "fast_math": "kernel",
}  # fmt: skip

Section = TypeVar("Section")

PAGE = Kind(
    "the path of a file that ends in .html",
    lambda value: TEXT.fits(value) and value.lower().endswith((".html", ".htm")),
)
ANYTHING = Kind("anything", lambda value: True)

Count = Annotated[int, whole(1)]
Flag = Annotated[bool, FLAG]
Seed = Annotated[int, whole(0, SEEDS)]
Kernel = Literal["auto", "llvm", "xla", "xla_math", "pallas"]
Plane = Literal["random", "pca", "between", "hessian", "axes"]
Value = Literal["share_global", "share_target", "best_value", "median_value", "median_steps"]
Steps = Annotated[int, whole(0)]
Target = Annotated[Any, NUMBER | kinds.mapping("a metric's, such as {accuracy: 0.95}") | NULL]
Side = Annotated[Literal["autodiff", "hand"], kinds.word("autodiff", "hand", kind="gradient")]
Single = Literal["float32", "float64"]
DType = Annotated[Single, kinds.word("float32", "float64", kind="dtype")]
Rate = Annotated[Any, NUMBER | kinds.mapping("a schedule such as {schedule: NAME}")]
Point = Annotated[
    Any,
    kinds.listing(ANYTHING, "a list of numbers such as [1,2]")
    | kinds.mapping("a mapping from names") | NULL,
]  # fmt: skip
ONE_OBJECTIVE = kinds.chosen("objective", "objective=ackley", "name", "maker")
Objective = Annotated[dict[str, Any], ONE_OBJECTIVE]
ONE_OPTIMIZER = kinds.chosen("optimizer", "optimizer=adam", "name")
Optimizer = Annotated[dict[str, Any], ONE_OPTIMIZER]
Transforms = Annotated[
    dict[str, Any],
    kinds.mapping(
        "transforms by a name of their own",
        kinds.chosen("transform", "+transform@transforms.a=clip", "name"),
    ),
]
NAMES = kinds.listing(
    Kind("a name", lambda one: TEXT.fits(one.get("name") if isinstance(one, dict) else one)),
    "names, or mappings with a name such as {name: …}",
) | kinds.mapping("a mapping from labels to them")


@dataclass(frozen=True, kw_only=True)
class Command:
    """What every command shares."""

    overwrite: Flag
    folders: Annotated[str, kinds.word("one", "each")]


@dataclass(frozen=True, kw_only=True)
class Plot:
    """How pictures are written."""

    format: Annotated[str, kinds.word("png", "svg", "pdf", "none")]
    dpi: Annotated[float | int, kinds.number(10, 1200)]
    title: Annotated[str | None, TEXT | NULL]
    figsize: Annotated[
        list[Any] | None,
        kinds.listing(kinds.number(1, 100), "width and height in inches, such as [8,5]", 2, 2)
        | NULL,
    ]


@dataclass(frozen=True, kw_only=True)
class PathPlot(Plot):
    """The same, of paths."""

    axes: Annotated[
        list[Any] | None,
        kinds.listing(whole(0) | TEXT, "a list of two components, by number or name") | NULL,
    ]
    window: Annotated[
        Any,
        kinds.word("auto", "domain", kind="plot.window")
        | kinds.listing(ANYTHING, "intervals such as [[-1,1],[-1,1]]", 1),
    ]
    view: Annotated[
        list[Any] | None,
        kinds.listing(NUMBER, "elevation and azimuth in degrees, such as [45,-60]", 2, 2) | NULL,
    ]
    cmap: Annotated[str | None, TEXT | NULL]
    drape: Flag
    animate: Flag


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Who computes the chunks of a sweep, or of a multirun."""

    kind: Annotated[str, kinds.word("local", "dask", kind="engine")]
    address: Annotated[str | None, TEXT | NULL]
    workers: Annotated[int | None, whole(1) | NULL]


@dataclass(frozen=True, kw_only=True)
class Descending(Command):
    """What every command that descends shares."""

    learning_rate: Rate
    start: Point
    steps: Steps
    gradient: Side
    dtype: DType
    transforms: Transforms
    objective: Objective
    engine: Engine


@dataclass(frozen=True, kw_only=True)
class Run(Descending):
    """``gdjax run``."""

    optimizer: Optimizer
    plot: PathPlot


WATCHED = kinds.word("sharpness", "noise_scale", "alignment", kind="quantity to watch")


@dataclass(frozen=True, kw_only=True)
class OverData(Descending):
    """What the commands share that take a loss over data."""

    optimizer: Optimizer
    loss: Annotated[str | None, PATH | NULL]
    init: Annotated[str | None, PATH | NULL]
    data: Annotated[str | None, PATH | NULL]
    metric: Annotated[str | None, PATH | NULL]
    batch: Annotated[int | None, whole(1) | NULL]
    seed: Seed
    plot: Plot


@dataclass(frozen=True, kw_only=True)
class Train(OverData):
    """``gdjax train``."""

    watch: Annotated[
        Any, kinds.listing(WATCHED, "a list of sharpness, noise_scale, alignment") | WATCHED
    ]
    every: Count
    checkpoint: Annotated[int | None, whole(1) | NULL]
    store: Annotated[str | None, PATH | NULL]


@dataclass(frozen=True, kw_only=True)
class Landscape(OverData):
    """``gdjax landscape``."""

    dtype: Annotated[Single | None, kinds.word("float32", "float64", kind="dtype") | NULL]  # pyright: ignore[reportIncompatibleVariableOverride]  # null stands for that of the run
    run: Annotated[str | None, PATH | NULL]
    at: Annotated[
        Any,
        PATH
        | kinds.listing(ANYTHING, "a list of numbers or of checkpoints", 1)
        | kinds.mapping("a mapping from names")
        | NULL,
    ]
    path: Annotated[Any, PATH | kinds.listing(ANYTHING, "a list of checkpoints", 1) | NULL]
    plane: Annotated[Plane, kinds.word(*get_args(Plane), kind="plane")]
    dims: Annotated[int | None, whole(1, 2) | NULL]
    axes: Annotated[
        list[Any] | None,
        kinds.listing(whole(0) | TEXT, "a list of one or two variables, by number or name", 1, 2)
        | NULL,
    ]
    radius: Annotated[float | int | None, kinds.between(0, math.inf, "a positive number") | NULL]
    points: Annotated[int | None, whole(2) | NULL]
    plane_seed: Seed


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """How a fair comparison tunes and scores."""

    budget: Annotated[int, whole(2)]
    trials: Count
    starts: Count
    held_out: Count
    seeds: Count
    seed: Seed
    tau: Annotated[
        Any,
        kinds.listing(
            kinds.between(0, 1, "a number between 0 and 1"), "a list of numbers between 0 and 1", 1
        )
        | kinds.between(0, 1, "a number between 0 and 1"),
    ]
    ranges: Annotated[dict[str, Any], kinds.mapping("ranges by hyperparameter")]
    together: Flag


@dataclass(frozen=True, kw_only=True)
class Compare(Descending):
    """``gdjax compare``."""

    optimizers: Annotated[
        dict[str, Any],
        kinds.mapping(
            "optimizers by a name of their own",
            kinds.chosen("optimizer", "optimizer@optimizers.a=adam", "name"),
        ),
    ]
    mode: Annotated[str, kinds.word("paths", "tuned")]
    distance: Flag
    certify: Flag
    tuned: Tuned
    plot: PathPlot


@dataclass(frozen=True, kw_only=True)
class Rank(Tuned, Command):
    """``gdjax rank``."""

    objective: Annotated[dict[str, Any] | None, ONE_OBJECTIVE | NULL] = None
    objectives: Annotated[Any, NAMES | TEXT]
    target: Target
    optimizers: Annotated[Any, NAMES | TEXT]
    gradient: Side
    dtype: DType
    plot: Plot


@dataclass(frozen=True, kw_only=True)
class Starts:
    """Where a sweep begins."""

    kind: Annotated[
        str,
        kinds.word(
            "own",
            "array",
            "grid",
            "uniform",
            "sobol",
            "latin_hypercube",
            "init",
            kind="kind of starts",
        ),
    ]
    number: Annotated[int | None, whole(1) | NULL]
    points: Annotated[Any, kinds.listing(ANYTHING, "a list of points") | NULL]
    seed: Seed


@dataclass(frozen=True, kw_only=True)
class Sweep(Descending):
    """``gdjax sweep``."""

    optimizer: Optimizer
    objectives: Annotated[Any, NAMES | NULL]
    optimizers: Annotated[Any, NAMES | NULL]
    starts: Starts
    hyperparameters: Annotated[dict[str, Any] | None, kinds.mapping("values by name") | NULL] = None
    zipped: Annotated[
        list[list[str]],
        kinds.listing(
            kinds.listing(TEXT, "a list of names", 1), "a list of groups of hyperparameters"
        ),
    ]
    save_at: Annotated[
        Any,
        kinds.word("all", "summary", kind="save_at")
        | whole(1)
        | kinds.listing(whole(0), "a list of steps")
        | NULL,
    ]
    plots: Annotated[list[str] | None, kinds.listing(TEXT, "a list of pictures") | NULL]
    stopping: Flag
    classify_rest: Flag
    every: Count
    keep: Annotated[list[str] | None, kinds.listing(TEXT, "a list of variables", 1) | NULL]
    tolerance: Annotated[float | int, kinds.between(0, math.inf, "a positive number")]
    target: Target
    devices: Annotated[int | None, whole(1) | NULL]
    kernel: Annotated[Kernel, kinds.word(*get_args(Kernel), kind="kernel")]
    chunk: Annotated[int | None, whole(1) | NULL]
    accept_version: Flag
    store: Annotated[str | None, PATH | NULL]
    parquet: Flag
    plan: Flag
    objective_value: Annotated[
        Value | None, kinds.word(*get_args(Value), kind="objective_value") | NULL
    ]
    plot: Plot


@dataclass(frozen=True, kw_only=True)
class Check(Command):
    """``gdjax check``."""

    objective: Objective
    rule: Annotated[str | None, TEXT | NULL]
    args: Annotated[str | None, TEXT | NULL]
    pullback: Annotated[str | None, TEXT | NULL]
    order: Annotated[int, whole(1, 2)]
    points: Annotated[Any, whole(1) | kinds.listing(ANYTHING, "a list of points", 1)]
    seed: Seed
    dtype: DType
    hessian: Flag
    draw: Flag


@dataclass(frozen=True, kw_only=True)
class Certify(Command):
    """``gdjax certify``."""

    a: Optimizer
    b: Optimizer
    objective: Objective
    learning_rate: Annotated[Any, NUMBER | kinds.mapping("a schedule") | NULL]
    transforms: Transforms
    starts: Annotated[Any, whole(1) | kinds.listing(ANYTHING, "a list of points", 1)]
    steps: Count
    seed: Seed
    dtypes: Annotated[
        list[Single],
        kinds.listing(
            kinds.word("float32", "float64", kind="dtype"), "a list of float32 and float64", 1
        ),
    ]
    decaying: Flag


@dataclass(frozen=True, kw_only=True)
class Page:
    """Where a page goes."""

    file: Annotated[str | None, PAGE | NULL]
    open: Flag


@dataclass(frozen=True, kw_only=True)
class Explore(Command):
    """``gdjax explore``."""

    objective: Annotated[dict[str, Any] | None, ONE_OBJECTIVE | NULL] = None
    optimizer: Annotated[dict[str, Any] | None, ONE_OPTIMIZER | NULL] = None
    learning_rate: Rate
    transforms: Transforms
    explore: Page


OF: dict[str, type] = {
    "run": Run, "compare": Compare, "rank": Rank, "sweep": Sweep, "train": Train,
    "landscape": Landscape, "check": Check, "certify": Certify, "explore": Explore,
}  # fmt: skip


def read(command: str, given: Any) -> Any:
    """A composed config, as Python's own containers, as what ``OF`` has for a command.

    Raises:
        ArgumentError: a setting that is missing, unknown, of another kind or out of range.
    """
    _check_text(given)
    return _section(OF[command], command, given)


def rules(command: str) -> str:
    """What each setting of a command may be, a line each; nothing where that is not known."""
    if command not in OF:
        return ""
    lines = [*_lines(OF[command])]
    wide = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:{wide}}  {words}" for name, words in lines)


def _fields(of: type) -> Iterator[tuple[dataclasses.Field, type | None, Kind | None]]:
    """Each field of a section: its own section, or its kind."""
    hints = get_type_hints(of, include_extras=True)
    for field in dataclasses.fields(of):
        hint = hints[field.name]
        section = hint if dataclasses.is_dataclass(hint) else None
        yield field, section, None if section else get_args(hint)[1]  # pyright: ignore


def _lines(of: type, before: str = "") -> Iterator[tuple[str, str]]:
    for field, section, kind in _fields(of):
        name = before + field.name
        if section:
            yield from _lines(section, f"{name}.")
        else:
            yield name, str(kind and kind.words)


def _section(of: type[Section], command: str, given: Any, before: str = "") -> Section:
    """One section of a config, its values checked."""
    if not isinstance(given, dict):
        raise ArgumentError(f"{before[:-1]} must be settings by name, got {given!r:.200}")
    known = [field.name for field in dataclasses.fields(of)]  # pyright: ignore
    for key in given:
        if key not in known:
            raise _unknown(key, before, known)
    values = {}
    for field, section, kind in _fields(of):
        name = before + field.name
        if field.name not in given:
            if field.default is dataclasses.MISSING:
                raise ArgumentError(f"{name} is missing from the config, and {command} needs it")
            continue
        value = given[field.name]
        if section:
            value = _section(section, command, value, f"{name}.")
        elif kind:
            kind.check(name, value)
        values[field.name] = value
    return of(**values)


def _unknown(key: Any, before: str, known: list[str]) -> ArgumentError:
    if not before and RENAMED.get(key) in known:
        return renamed(key)
    return unknown(f"setting of {before[:-1]}" if before else "setting", key, known, "there are")


def renamed(key: str) -> ArgumentError:
    """The error for a setting that has another name now."""
    return ArgumentError(f"unknown setting {key!r}; it is {RENAMED[key]} now")


def _check_text(value: Any, name: str = "") -> None:
    """Refuse text that no file and no terminal takes, wherever it stands."""
    if isinstance(value, str):
        check_printable(value, name)
    pairs = value.items() if isinstance(value, Mapping) else ()
    for key, item in (*pairs, *(enumerate(value) if isinstance(value, list) else ())):
        check_printable(str(key), name or "a setting")
        _check_text(item, f"{name}.{key}" if name else str(key))


def check_printable(text: str, name: str) -> None:
    """Refuse a NUL, and bytes that are no letters.

    Raises:
        ArgumentError: for such a text.
    """
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ArgumentError(f"{name} must be text without NUL or broken letters, got {text!a:.200}")
