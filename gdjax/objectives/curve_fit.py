"""Fits to the user's own data: least squares over the columns of a table."""

import difflib
import functools
import logging
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from gdjax._util.errors import ArgumentError, check_known
from gdjax.objectives.formula import Formula, budget, in_order, symbol, vector
from gdjax.objectives.objective import Fit, Objective
from gdjax.objectives.parser import check_look_alikes, check_names
from gdjax.objectives.registry import maker
from gdjax.objectives.tables import Table, remembered, table

log: logging.Logger = logging.getLogger(__name__)

REACH = 5.0  # the domain goes this many times |start| to either side of it


@functools.partial(maker, as_is=("data",))
def curve_fit(
    data: Any,
    model: str,
    response: str | None = None,
    parameters: Any = None,
    start: Any = None,
    domain: Any = None,
    minima: Any = (),
    fmin: Any = None,
    name: str = "curve_fit",
    sep: str | None = None,
    columns: Any = None,
    missing: str | None = None,
) -> Objective:
    """f(b) = Σ (yᵢ − m(xᵢ; b))²: the misfit of a curve to the rows of a table.

    It is the plain sum of the squared residuals, as the NIST reference problems and
    ``scipy.optimize.curve_fit`` have it, neither halved nor divided by the number of rows. Its
    hand gradient −2 Σ (yᵢ − mᵢ) ∇mᵢ takes ∇m from sympy.

    Args:
        data: the path of a text file with a header and numbers, parted by commas, semicolons, tabs
            or spaces, plain or packed (gzip, bz2, xz, zip), or of a Parquet file. In Python also
            a DataFrame, a mapping of arrays by the names of their columns, or a structured array.
        model: a formula for m, such as ``b1*(1 - exp(-b2*x))``. A name in it is a function, a
            column, or else a parameter.
        response: the column to explain; by default ``y``, or the last one.
        parameters: the names to fit, in the order of the point's components; by default in
            natural order, b2 before b10.
        start: where to begin, ``(d,)``, or numbers by the names of the parameters; by default 1
            for every parameter.
        domain: one ``(low, high)`` pair a parameter; by default the start b and 5 |b| to either
            side, (-5, 5) where b is 0.
        minima: the best parameters, where they are known: a list of points.
        fmin: their misfit.
        name: what tables and pictures call it.
        sep: what parts the cells of a text file, a character or one of comma, semicolon, tab and
            spaces; by default found.
        columns: names for columns whose headers no formula can hold, each with its header or its
            number from 1: ``{t: "Time (s)", y: 3}``.
        missing: what becomes of rows that lack a number that is used: ``refuse``, the default, or
            ``drop``.

    Raises:
        ArgumentError: a file that is no such table, with row and column, or a model that does not
            fit its columns.

    Reference:
        NIST, Statistical Reference Datasets: Nonlinear Regression.
    """
    read = table(data, sep, columns, missing)
    with budget(model):
        return _curve_fit(
            read, read.file, model, response, parameters, start, domain, minima, fmin, name,
        )  # fmt: skip


@remembered
def _curve_fit(
    read: Table,
    file: str,
    model: str,
    response: str | None,
    parameters: Any,
    start: Any,
    domain: Any,
    minima: Any,
    fmin: Any,
    name: str,
) -> Objective:
    header, response = read.names, read.response(response)
    listed = None if parameters is None else check_names(parameters, "parameters")
    formula = read.formula(model, listed or ())
    check_look_alikes(formula, "model", (*header, *(listed or ())), "parameters")
    for constant in formula.own:
        log.warning("%s in model is the column of %s, not the constant", constant, file)
    chosen, used = _sort_names(formula.names, header, response, listed, file, read.hint)
    numbers = read.numbers((*used, response))
    columns, observed = {column: numbers[column] for column in used}, numbers[response]
    slopes = formula.derivatives(chosen)
    start = (1.0,) * len(chosen) if start is None else in_order(start, chosen)
    misfit_latex = rf"\left({formula.latex()} - {symbol(response)}\right)"
    return Objective(
        name=name,
        **_misfit(formula, slopes, chosen, columns, response, observed),
        domain=_around(start, chosen) if domain is None else domain,
        bounded=domain is not None,
        start=start,
        minima=minima,
        fmin=fmin,
        variables=chosen,
        latex=rf"\sum {misfit_latex}^2",
        gradient_latex=rf"2 \sum {misfit_latex} {vector([slope.latex() for slope in slopes])}",
        reference=f"{file}: {model}",
    )


def _misfit(
    formula: Formula,
    slopes: Sequence[Formula],
    chosen: Sequence[str],
    columns: dict[str, np.ndarray],
    response: str,
    observed: np.ndarray,
) -> dict[str, Any]:
    """The sum of squared residuals as a function of the parameters, and all that goes with it."""

    def named(point, columns):
        arrays = {key: jnp.asarray(value, point.dtype) for key, value in columns.items()}
        return dict(zip(chosen, point, strict=True)) | arrays

    def predict(point, columns):
        return formula(named(point, columns))

    def residual(point):
        return jnp.asarray(observed, point.dtype) - predict(point, columns)

    def gradient(point):
        misfit, names = residual(point), named(point, columns)
        return -2 * jnp.stack([jnp.sum(misfit * slope(names)) for slope in slopes])

    kinks = formula.kinks(chosen)
    kink = kinks and (
        lambda point: jnp.concatenate([jnp.ravel(each) for each in kinks(named(point, columns))])
    )

    return {
        "residuals": residual,
        "gradient": gradient,
        "smoothness": "kink" if kinks else "smooth",
        "kink": kink,
        "fit": Fit(columns, response, observed, predict),
    }


def _sort_names(
    names: Sequence[str],
    header: Sequence[str],
    response: str,
    parameters: tuple[str, ...] | None,
    file: str,
    hint: str,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which names of the model are parameters, and which columns."""
    if response in names:
        raise ArgumentError(
            f"model must not hold the response {response!r}; which column it has to explain is "
            f"chosen by response, one of {', '.join(header)}"
        )
    used = tuple(name for name in names if name in header)
    others = tuple(name for name in names if name not in header)
    unused = [column for column in header if column not in (*used, response)]
    if parameters is None:
        for name in others:  # a misspelled column must not become a parameter
            alike = [c for c in unused if c.lower() == name.lower()]
            if len(name) > 3:
                alike += difflib.get_close_matches(name, unused, cutoff=0.8)
            if alike:
                raise ArgumentError(
                    f"unknown column {name!r} in model; did you mean {alike[0]!r}? If it is a "
                    f"parameter, name all of them: parameters=[{','.join(others)}]"
                )
        chosen = others
    else:
        chosen = parameters
        for name in others:
            check_known(f"column or parameter of {file}", name, (*header, *chosen))
        if clash := [name for name in chosen if name in header]:
            raise ArgumentError(f"parameters must not be columns of {file}, got {clash[0]!r}")
    if not chosen:
        raise ArgumentError("model needs at least one parameter to fit: all its names are columns")
    if not used:
        raise ArgumentError(
            f"model names no column of {file}; columns are {', '.join(header)}, and "
            f"{', '.join(others)} would all be parameters{hint}"
        )
    return chosen, used


def _around(start: Any, names: Sequence[str]) -> list[tuple[float, float]]:
    """A domain about a start, each side as wide as the component is large."""
    if not isinstance(start, Sequence) or not all(isinstance(b, int | float) for b in start):
        raise ArgumentError(f"start must be a list of numbers, got {start!r}")
    if len(start) != len(names):
        raise ArgumentError(
            f"start must have {len(names)} component{'s' * (len(names) > 1)}, one for each of "
            f"{', '.join(names)}, got {len(start)}"
        )
    return [(b - REACH * (abs(b) or 1), b + REACH * (abs(b) or 1)) for b in start]
