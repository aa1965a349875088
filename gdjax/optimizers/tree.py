"""What remembers how it was made, as a JAX pytree: its numbers are leaves, all else is static."""

import functools
import inspect
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar, cast

import jax
import numpy as np
from jax import tree_util
from jax.core import Tracer

from gdjax._util.arguments import as_numbers, refused
from gdjax._util.errors import ArgumentError
from gdjax._util.types import Function as Factory
from gdjax._util.types import PyTree
from gdjax.optimizers.limits import LIMITS

REQUIRED = inspect.Parameter.empty  # stands where a hyperparameter has no default

# JAX's ways to say that Python asked a traced value for its number.
IN_PYTHON = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


@functools.lru_cache(maxsize=1024)
def signature(factory: Factory) -> inspect.Signature:
    """The parameters of a factory, kept because every sweep asks for them."""
    return inspect.signature(factory)


class Kind:
    """All of an optimizer or a schedule but its numbers: what decides what is compiled.

    Args:
        factory: the function that makes it.
        tree: the structure of its hyperparameters.
        fixed: the leaves of that structure; ``NUMBER`` where one is a number to trace.
        names: of the numbers, in the order of the leaves.
        stuck: the names of the floats that are fixed, since optax decides on them in Python.
    """

    __slots__ = ("_hash", "factory", "fixed", "names", "stuck", "tree")

    factory: Factory
    tree: Hashable
    fixed: tuple[object, ...]
    names: tuple[str, ...]
    stuck: tuple[str, ...]

    def __init__(
        self, factory: Factory, tree: Hashable, fixed: tuple[object, ...],
        names: tuple[str, ...], stuck: tuple[str, ...],
    ) -> None:  # fmt: skip
        self.factory, self.tree, self.fixed = factory, tree, fixed
        self.names, self.stuck = names, stuck
        self._hash = hash((factory, tree, *map(_hash, fixed)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Kind)
            and self._hash == other._hash
            and (self.factory, self.tree) == (other.factory, other.tree)
            and all(map(_same, self.fixed, other.fixed))
        )

    def merge(self, numbers: Iterable[object]) -> dict[str, PyTree]:
        """The hyperparameters with these numbers in their places."""
        given = iter(numbers)
        leaves = [next(given) if leaf is NUMBER else leaf for leaf in self.fixed]
        return tree_util.tree_unflatten(self.tree, leaves)


@functools.lru_cache(maxsize=1024)
def bare(name: str) -> str:
    """The name of a number apart from the group of leaves that it is of.

    Example:
        >>> bare("learning_rate[layers[0].w].init_value"), bare("momentum")
        ('learning_rate.init_value', 'momentum')
    """
    return re.sub(r"\[.*\]", "", name)


class _Number:
    def __repr__(self) -> str:
        return "NUMBER"


NUMBER = _Number()
_STUCK: dict[Kind, frozenset[str]] = {}

Made = TypeVar("Made", bound="Tree")
Path = tuple[object, ...]  # through a pytree, as JAX has it
Parts = tuple[Kind, tuple[PyTree, ...]]  # what is static, and the numbers


class Tree:
    """What remembers how it was made, as a JAX pytree: its leaves are its numbers.

    Floats and arrays are numbers, however deep: those of a schedule inside an optimizer have
    dotted names, such as ``learning_rate.init_value``. Everything else is static: functions,
    flags, integers (a seed too, unless it is an array), and what optax decides on in Python.
    Two that were made alike are equal. To unflatten one neither builds nor checks anything.

    Attributes:
        factory: the function that makes it.
        hyperparameters: the keyword arguments that it is called with.
    """

    factory: Factory
    _given: Mapping[str, PyTree] | None
    _parts: "Parts | None" = None
    _seeded: "Tree | None" = None

    @property
    def hyperparameters(self) -> Mapping[str, PyTree]:
        """The keyword arguments that the factory is called with."""
        if self._given is None:
            kind, numbers = self.parts
            self._given = kind.merge(numbers)
        return self._given

    @property
    def numbers(self) -> dict[str, PyTree]:
        """The leaves by their dotted names.

        Example:
            >>> import gdjax
            >>> gdjax.heavy_ball(0.1).numbers
            {'learning_rate': 0.1, 'momentum': 0.9}
        """
        kind, numbers = self.parts
        return dict(zip(kind.names, numbers, strict=True))

    @property
    def stuck(self) -> tuple[str, ...]:
        """The names of the floats that are no leaves, since optax decides on them in Python."""
        return self.parts[0].stuck

    @property
    def seeds(self) -> dict[str, int]:
        """The integer seeds by their dotted names; they are no leaves."""
        found = {}
        if all(type(value) is float for value in self.hyperparameters.values()):
            return found  # the usual case, in a tenth of the time
        for path, part in _parts_of(self.hyperparameters):
            if isinstance(part, Tree):
                found |= {f"{_name(path)}.{name}": seed for name, seed in part.seeds.items()}
            elif bare(_name(path[-1:])) == "seed" and type(part) is int:
                found[_name(path)] = part
        return found

    def replace(self: Made, **numbers: PyTree) -> Made:
        """The same with other numbers, by their dotted names.

        Raises:
            ArgumentError: a name that it does not have, or a value outside its range.

        Example:
            >>> import gdjax
            >>> gdjax.heavy_ball(0.1).replace(momentum=0.5)
            heavy_ball(learning_rate=0.1, momentum=0.5)
        """
        left = dict(numbers)
        made = _replaced(self, left, "")
        if left:
            known = ", ".join([*self.numbers, *self.stuck, *self.seeds]) or "none"
            raise ArgumentError(
                f"{self.factory.__name__} has no number {', '.join(left)}; it has {known}"
            )
        return made

    def with_arrays_for_seeds(self: Made) -> Made:
        """The same with its seeds as arrays, which are leaves: a new one never recompiles."""
        if self._seeded is None:
            arrays = {name: np.uint32(seed) for name, seed in self.seeds.items()}
            self._seeded = self.replace(**arrays) if arrays else self
        return cast(Made, self._seeded)

    def __repr__(self) -> str:
        return _written(self.factory, self.hyperparameters)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return False
        (kind, mine), (another, theirs) = self.parts, other.parts
        return kind == another and all(map(_same, mine, theirs))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.parts[0])

    def __reduce__(self) -> tuple[type, tuple[Factory, dict[str, PyTree]]]:
        return type(self), (self.factory, dict(self.hyperparameters))

    @property
    def parts(self) -> Parts:
        """What is static, and the numbers: what JAX's trees are made of, a little faster."""
        if self._parts is None:
            self._parts = _split(self)
        return self._parts

    @classmethod
    def of_parts(cls: type[Made], kind: Kind, numbers: Iterable[object]) -> Made:
        """What has these parts; nothing is checked, for JAX puts more than numbers there."""
        self = cls._empty(kind.factory)
        self._parts = kind, tuple(numbers)
        return self

    @classmethod
    def made_of(cls: type[Made], factory: Factory, hyperparameters: Mapping[str, PyTree]) -> Made:
        """What that factory makes of these hyperparameters."""
        self = cls._empty(factory)
        self._given = dict(hyperparameters)
        return self

    @classmethod
    def _empty(cls: type[Made], factory: Factory) -> Made:
        """One of that factory, without its numbers yet."""
        raise NotImplementedError

    def _step(self) -> PyTree:
        """Something that takes every number into account, to see which of them can be traced."""
        raise NotImplementedError


def _split(made: Tree) -> Parts:
    """What is static, and the numbers; those that do not trace are found by tracing, once."""
    kind, numbers = _divide(made, frozenset())
    if not numbers:
        return kind, numbers
    if kind not in _STUCK:
        _STUCK[kind] = _find_stuck(type(made), kind, numbers)
    stuck = _STUCK[kind]
    for name, number in zip(kind.names, numbers, strict=True):
        if name in stuck and isinstance(number, Tracer):
            raise _StuckError(made.factory.__name__, name)
    return _divide(made, stuck) if stuck else (kind, numbers)


def _divide(made: Tree, stuck: frozenset[str]) -> Parts:
    fixed, numbers, names, inside = [], [], [], []
    for path, part in _parts_of(made.hyperparameters):
        if isinstance(part, Tree):
            try:
                inside += [f"{_name(path)}.{name}" for name in part.parts[0].stuck]
            except _StuckError as error:
                raise _StuckError(made.factory.__name__, f"{_name(path)}.{error.name}") from None
    pairs, tree = tree_util.tree_flatten_with_path(dict(made.hyperparameters))
    for path, leaf in pairs:
        name = _name(path)
        traced = name not in stuck and is_number(leaf)
        fixed.append(NUMBER if traced else leaf)
        if traced:
            numbers.append(leaf)
            names.append(name)
    kind = Kind(made.factory, tree, tuple(fixed), tuple(names), (*sorted(stuck), *inside))
    return kind, tuple(numbers)


def _parts_of(given: Mapping[str, PyTree]) -> list[tuple[Path, PyTree]]:
    """The leaves among hyperparameters with their paths; schedules and optimizers are whole."""
    return tree_util.tree_flatten_with_path(dict(given), is_leaf=lambda x: isinstance(x, Tree))[0]


def _replaced(part: PyTree, numbers: dict[str, PyTree], path: str) -> PyTree:
    """A part made anew with those numbers whose names it has, which are taken out."""
    if path in numbers:
        return numbers.pop(path)
    inner = f"{path}." if path else ""
    if isinstance(part, Tree):
        before = part.hyperparameters
        given = _replaced(dict(before), numbers, path)
        own = is_own(part.factory)  # what stays may be beyond its range
        for key, value in given.items():
            if value is before[key]:
                continue
            if own:
                given[key] = checked(key, value)
            elif limited(part.factory, key) and _plain(value):
                checked(key, value)
        return part.made_of(part.factory, given)
    if type(part) is dict:
        return {key: _replaced(value, numbers, f"{inner}{key}") for key, value in part.items()}
    if type(part) in (list, tuple):
        return type(part)(_replaced(x, numbers, f"{inner}{i}") for i, x in enumerate(part))
    return part


def _name(path: Path) -> str:
    """A path through a pytree as a dotted name."""
    keys = (tree_util.keystr((entry,), simple=True) for entry in path)
    return ".".join(key for key in keys if key)


def is_own(factory: object) -> bool:
    """Whether a factory is one of gdjax's, which checks its numbers."""
    return getattr(factory, "is_own", False)


def _plain(value: PyTree) -> bool:
    """Whether a value is a number, or an array of them, and no tree."""
    return isinstance(value, int | float | np.ndarray | np.generic | jax.Array)


def is_number(leaf: object) -> bool:
    """Whether a leaf is traced: a float or an array of floats, or any array of JAX's."""
    if isinstance(leaf, np.ndarray | np.generic):
        return leaf.dtype.kind in "fc" or leaf.dtype == np.uint32  # a seed as an array
    return isinstance(leaf, float | jax.Array)


def _find_stuck(cls: type[Tree], kind: Kind, numbers: tuple[PyTree, ...]) -> frozenset[str]:
    """The names of the numbers that cannot be traced, found by tracing one step."""
    plain = tuple(0.5 if isinstance(number, Tracer) else number for number in numbers)

    def traces(which: range | tuple[int, ...]) -> bool:
        def step(traced: list[PyTree]) -> PyTree:
            mixed = list(plain)
            for i, number in zip(which, traced, strict=True):
                mixed[i] = number
            return cls.of_parts(kind, mixed)._step()

        try:
            jax.eval_shape(step, [plain[i] for i in which])
        except IN_PYTHON:
            return False
        except Exception:  # it fails with plain numbers too, and says so where it is used
            return True
        return True

    if traces(range(len(numbers))):
        return frozenset()
    return frozenset(name for i, name in enumerate(kind.names) if not traces((i,)))


def _hash(leaf: object) -> int:
    try:
        return hash(leaf)
    except TypeError:  # an array: equality decides
        return hash(type(leaf))


def _same(a: PyTree, b: PyTree) -> bool:
    if a is b:
        return True
    if isinstance(a, Tracer) or isinstance(b, Tracer) or type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | jax.Array):
        return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    return bool(a == b or (a != a and b != b))


class _StuckError(ArgumentError):
    """A traced value where optax needs a number; one inside another is told by its path."""

    def __init__(self, optimizer: str, name: str) -> None:
        super().__init__(cannot_trace(optimizer, name))
        self.name = name


def cannot_trace(optimizer: str, name: str) -> str:
    """The sentence for a hyperparameter whose every value is another program."""
    return (
        f"{name} of {optimizer} cannot be traced, as a sweep or a derivative would need: optax "
        f"decides on its value in Python"
    )


def checked(name: str, value: PyTree) -> PyTree:
    """A hyperparameter as a Python number, if it is a plain one, and within its range.

    Raises:
        ArgumentError: what is no number, or one that lies elsewhere.
    """
    limits = LIMITS.get(bare(name))
    if type(value) is float and limits and not limits.whole and limits.low < value < limits.high:
        return value  # the usual case, in a tenth of the time
    if isinstance(value, Tracer):
        return value
    if callable(value) and not isinstance(value, type) and _scheduled(name):
        return value
    if callable(value) or isinstance(value, Sequence) or not np.size(value):
        raise refused(name, "be a number", value)
    numbers = as_numbers(name, value)
    if bare(name) == "seed" and not numbers.ndim:
        number = float(numbers)
        if not number.is_integer() or not 0 <= number < 2**32:
            raise refused(name, "be a whole number, at least 0 and below 2³²", value)
        return value if isinstance(value, np.ndarray | np.generic | jax.Array) else int(number)
    if limits is not None and not limits.hold(numbers):
        raise ArgumentError(f"{name} must {limits}, got {value!s:.200}")
    if numbers.ndim or (limits is not None and limits.whole):
        return value
    return float(numbers)


def _scheduled(name: str) -> bool:
    """Whether a hyperparameter may be a schedule, or anything else of a factory's own."""
    name = bare(name)
    return name not in LIMITS or "learning_rate" in name or "weight_decay" in name


def limited(factory: object, name: str) -> bool:
    """Whether the table of limits speaks of this hyperparameter of a factory: gdjax's or optax's.

    In a factory of anybody else the same name may mean something else.
    """
    module = str(getattr(factory, "__module__", ""))
    return bare(name) in LIMITS and module.partition(".")[0] in ("gdjax", "optax")


def _written(factory: Factory, hyperparameters: Mapping[str, PyTree]) -> str:
    """The call that makes it, without the arguments that are at their defaults."""
    if written := getattr(factory, "written", None):  # of an object whose arguments nobody knows
        return written
    defaults = {p.name: p.default for p in signature(factory).parameters.values()}
    shown = ", ".join(
        f"{key}={_short(value)}"
        for key, value in hyperparameters.items()
        if value is not None
        and (
            bare(key) in ("learning_rate", "momentum")
            or not _same(value, defaults.get(key, REQUIRED))
        )
    )
    return f"{factory.__name__}({shown})"


def _short(value: object) -> str:
    return getattr(value, "__name__", None) or (
        f"{value:g}" if isinstance(value, float) else str(value)
    )
