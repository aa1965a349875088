"""Formulas as objectives: their values by ``jax.numpy``, their gradients by sympy."""

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike

from gdjax._util.errors import ArgumentError, check_known
from gdjax.objectives.formula_values import evaluate, functions_of
from gdjax.objectives.functions import EVERY, FUNCTIONS
from gdjax.objectives.kinks import kinks_at, kinks_of
from gdjax.objectives.loading import DEFAULT_SIDE
from gdjax.objectives.objective import Objective
from gdjax.objectives.parser import (
    CONSTANTS,
    Parsed,
    check,
    check_look_alikes,
    check_names,
    short,
)
from gdjax.objectives.registry import maker
from gdjax.objectives.sizes import guard
from gdjax.objectives.symbolic import derivatives, in_python, in_sympy

if TYPE_CHECKING:
    from sympy import Expr, Symbol
else:
    Expr = Symbol = Any  # sympy is loaded where a formula is derived


LARGEST_WORK = 16_000_000  # calls within sympy: about five seconds


class Formula(Parsed):
    """A formula that has passed the whitelist, with its value and its derivatives."""

    def __call__(self, values: Mapping[str, ArrayLike]) -> ArrayLike:
        """The value where the names have these values, with ``jax.numpy``."""
        return evaluate(self.tree, CONSTANTS | dict(values), functions_of("jax.numpy"), float)

    def derivatives(self, names: Sequence[str]) -> tuple["Formula", ...]:
        """The partial derivatives, derived by sympy: each a formula again.

        At a kink they are the subgradient that ``sign(0) = 0`` and ``heaviside(0) = ½`` give; those
        of what jumps, such as ``floor``, are 0, which they are between the jumps.
        """
        import sympy

        with budget(self.text):
            # Of a name that the formula does not hold, the derivative is 0.
            symbols = [sympy.Symbol(name, real=True) for name in names]
            found = derivatives(self._expression, symbols)
            told = [in_python(expression, self.own) for expression in found]
            slopes = tuple(Formula(*check(text, "derivative", EVERY, self.own)) for text in told)
        for slope, expression in zip(slopes, found, strict=True):
            slope.__dict__["_expression"] = expression
        for slope in slopes:  # sympy says zoo, nan or oo where there is none
            if strange := {*slope.names} - {*self.names}:
                raise ArgumentError(
                    f"{short(self.text)} has no derivative: sympy finds {', '.join(strange)}"
                )
        return slopes

    def latex(self) -> str:
        """The formula as LaTeX."""
        import sympy

        with budget(self.text):
            return sympy.latex(self._expression)

    def kinks(self, variables: Sequence[str]) -> Callable[[Mapping[str, Any]], list[Any]] | None:
        """Signed quantities of values by name that vanish where it may have a kink.

        Args:
            variables: what it is differentiated by.

        Returns:
            A function of the values; None where it is smooth.
        """
        with budget(self.text):
            found = kinks_of(self.tree, lambda part: in_sympy(part, self._symbols), variables)

        def at(values: Mapping[str, Any]) -> list[Any]:
            return kinks_at(found, CONSTANTS | dict(values))

        return at if found else None

    @functools.cached_property
    def _expression(self) -> Expr:
        """The formula in sympy, over the real numbers."""
        return in_sympy(self.tree, self._symbols)

    @functools.cached_property
    def _symbols(self) -> dict[str, Symbol]:
        import sympy

        return {name: sympy.Symbol(name, real=True) for name in self.names}


def parse(text: str, argument: str = "expression", own: Iterable[str] = ()) -> Formula:
    """A formula, if it holds nothing but what the whitelist allows; nothing is ever executed.

    Args:
        text: such as ``x**2 + y**2 + 10*sin(x)*sin(y)``.
        argument: what an error calls it.
        own: names that are no constants, since something of the user's has them.

    Raises:
        ArgumentError: anything else, with its name, its position and what is allowed.

    Example:
        >>> f = parse("x1**2 + x10 * pi + x2")
        >>> f.names
        ('x1', 'x2', 'x10')
        >>> f.derivatives(["x1"])[0].text
        '2*x1'
        >>> parse("x^2")
        Traceback (most recent call last):
        gdjax._util.errors.ArgumentError: expression: 'x^2' is not allowed, at column 1 of
        'x^2'; write ** for powers, not ^
    """
    parsed = check(text, argument, FUNCTIONS, own)
    guard(parsed, argument)
    return Formula(*parsed)


@contextlib.contextmanager
def budget(text: str) -> Iterator[None]:
    """Bounds what sympy may spend on a formula, counted in calls, the same on every machine.

    Raises:
        ArgumentError: a formula that takes more, or is too deep for Python.
    """
    import sympy  # noqa: F401  (to load it is not counted)

    left = iter(range(LARGEST_WORK))

    def spent(frame: FrameType) -> None:
        # Python drops what is raised while it closes a generator, and the counting with it.
        if not frame.f_code.co_flags & inspect.CO_GENERATOR:
            raise _SpentError

    profiled = sys.getprofile() is not None  # by somebody who wants it whole
    if not profiled:
        sys.setprofile(lambda frame, *_: next(left, None) is None and spent(frame))
    try:
        yield
    except _SpentError:
        raise ArgumentError(
            f"{short(text)} takes too long to derive: more than {LARGEST_WORK:,} calls of sympy's"
        ) from None
    except RecursionError:
        raise ArgumentError(f"{short(text)} is too deeply nested to derive") from None
    finally:
        if not profiled:
            sys.setprofile(None)


@contextlib.contextmanager
def uncounted() -> Iterator[None]:
    """What is done here is no work of sympy's: a budget around it neither counts nor slows it."""
    counting = sys.getprofile()
    if getattr(counting, "__module__", None) != __name__:  # nobody counts, or somebody else does
        yield
        return
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.setprofile(counting)


class _SpentError(BaseException):
    """The budget is spent; nothing of sympy's catches it."""


@maker
def formula(
    expression: str,
    variables: Any = None,
    domain: Any = None,
    start: Any = None,
    name: str = "formula",
) -> Objective:
    """A formula such as ``x**2 + y**2 + 10*sin(x)*sin(y)``; its hand gradient is sympy's.

    It is made of numbers, names, ``+ - * / **``, ``pi``, ``e`` and these functions:

    - ``exp``, ``expm1``, ``log`` (or ``ln``), ``log1p``, ``log2``, ``log10``, ``sqrt``, ``cbrt``,
      ``hypot`` of two or more;
    - ``sin``, ``cos``, ``tan``, ``sinh``, ``cosh``, ``tanh`` and their inverses ``asin``,
      ``acos``, ``atan``, ``atan2``, ``asinh``, ``acosh``, ``atanh``, which may be spelled
      ``arcsin`` and so on;
    - ``sigmoid``, ``erf``, ``erfc``, ``gamma`` (a name where it is not called), ``lgamma``;
    - with kinks: ``abs``, ``max`` and ``min`` of two or more;
    - with jumps: ``sign``, ``heaviside`` (½ at 0, or its second argument), ``floor``, ``ceil``,
      ``mod``, whose result has the sign of the second argument;
    - ``piecewise(x < 0, x**2, 0 <= x < 1, x, 1)``: conditions and values in turn, then the value
      elsewhere. The first condition that holds decides; ``and``, ``or``, ``not`` join them.
    - ``sum(x[i]**2, i, 1, 10)`` and ``product(x[i], i, 1, 10)``: in the term ``x[i]`` is the name
      x1, x2, …, and ``i`` the number. The bounds, both included, are whole numbers, or are made of
      the indices of sums around.

    It may hold 5,000 names, numbers and operations, sums written out. Where it may have a kink or
    a jump, ``kink`` has a quantity that vanishes there: certificates leave such points out.
    Between its jumps a function such as ``floor`` has the slope 0, which is the one that is used.

    Args:
        expression: the formula.
        variables: its names in the order of the point's components; by default in natural
            order, x2 before x10.
        domain: one ``(low, high)`` pair a variable; by default (-5, 5).
        start: the customary first point, ``(d,)`` or numbers by name.
        name: what tables and pictures call it.

    Raises:
        ArgumentError: something that is not on the whitelist, or variables that do not fit.

    Reference:
        Meurer et al. 2017, SymPy: symbolic computing in Python, PeerJ Computer Science 3:e103.
    """
    with budget(expression):
        return _formula(expression, variables, domain, start, name)


@functools.cache
def _formula(expression: str, variables: Any, domain: Any, start: Any, name: str) -> Objective:
    given = () if variables is None else check_names(variables, "variables", may_be_constants=True)
    parsed = parse(expression, own=given)
    check_look_alikes(parsed, "expression", given, "variables")
    chosen = given or parsed.names
    for free in parsed.names:
        check_known("variable", free, chosen)
    if not chosen:
        raise ArgumentError(f"expression needs at least one variable, got {expression!r}")
    slopes, kinks = parsed.derivatives(chosen), parsed.kinks(chosen)

    def gradient(point):
        names = named(point)
        return jnp.stack([_as(point, slope(names)) for slope in slopes])

    def named(point):
        return dict(zip(chosen, point, strict=True))

    kink = kinks and (lambda point: jnp.stack([_as(point, k) for k in kinks(named(point))]))

    return Objective(
        name=name,
        fn=lambda point: _as(point, parsed(named(point))),
        gradient=gradient,
        domain=[DEFAULT_SIDE] * len(chosen) if domain is None else domain,
        bounded=domain is not None,
        start=in_order(start, chosen),
        smoothness="kink" if kinks else "smooth",
        kink=kink,
        variables=chosen,
        latex=parsed.latex(),
        gradient_latex=vector([slope.latex() for slope in slopes]),
        reference=expression,
    )


def in_order(start: Any, names: Sequence[str]) -> Any:
    """A start by names in their order, from pairs of them; any other as it is."""
    pairs = start if isinstance(start, tuple) and start and isinstance(start[0], tuple) else None
    if pairs is None:
        return start
    given = dict(pairs)
    for name in given:
        check_known("name in start", name, names)
    if lacking := [name for name in names if name not in given]:
        raise ArgumentError(f"start must have a number for each name, and {lacking[0]} has none")
    return tuple(given[name] for name in names)


def vector(components: Sequence[str]) -> str:
    """A vector in LaTeX, of components in LaTeX."""
    return r"\left(" + r",\ ".join(components) + r"\right)"


def symbol(name: str) -> str:
    """A name in LaTeX: alpha is a Greek letter, b1 has an index; y if it cannot stand there."""
    import sympy

    return sympy.latex(sympy.Symbol(name)) if name.isidentifier() else "y"


def _as(point: Array, value: ArrayLike) -> Array:
    return jnp.asarray(value, point.dtype)
