"""Fits to the user's own data: least squares over the columns of a CSV file."""

import csv
import difflib
import functools
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from gdjax._util.errors import ArgumentError, check_known
from gdjax.objectives.formula import Formula, budget, in_order, parse, symbol, vector
from gdjax.objectives.loading import no_file
from gdjax.objectives.objective import Fit, Objective
from gdjax.objectives.parser import check_look_alikes, check_names
from gdjax.objectives.registry import maker

log: logging.Logger = logging.getLogger(__name__)

Table = tuple[tuple[int, tuple[str, ...]], ...]  # the file's rows: their number and their cells
REACH = 5.0  # the domain goes this many times |start| to either side of it


@maker
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
) -> Objective:
    """f(b) = Σ (yᵢ − m(xᵢ; b))²: the misfit of a curve to the rows of a CSV file.

    It is the plain sum of the squared residuals, as the NIST reference problems and
    ``scipy.optimize.curve_fit`` have it, neither halved nor divided by the number of rows. Its
    hand gradient −2 Σ (yᵢ − mᵢ) ∇mᵢ takes ∇m from sympy.

    Args:
        data: path of a CSV file: commas, a header with the names of the columns, numbers.
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

    Raises:
        ArgumentError: a file that is no such table, with row and column, or a model that does not
            fit its columns.

    Reference:
        NIST, Statistical Reference Datasets: Nonlinear Regression.
    """
    table = _read(Path(data))
    with budget(model):
        return _curve_fit(
            table, Path(data).name, model, response, parameters, start, domain, minima, fmin, name,
        )  # fmt: skip


@functools.cache
def _curve_fit(
    table: Table,
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
    header = table[0][1]
    if response is None:
        response = "y" if "y" in header else header[-1]
    check_known(f"response, a column of {file},", response, header)
    listed = None if parameters is None else check_names(parameters, "parameters")
    formula = parse(model, "model", own=header)
    check_look_alikes(formula, "model", (*header, *(listed or ())), "parameters")
    for constant in formula.own:
        log.warning("%s in model is the column of %s, not the constant", constant, file)
    chosen, used = _sort_names(formula.names, header, response, listed, file)
    columns = {column: _numbers(table, column, file) for column in used}
    observed = _numbers(table, response, file)
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
            f"{', '.join(others)} would all be parameters"
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


def _read(path: Path) -> Table:
    """The rows of a CSV file, its header first, all of the same length."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file, skipinitialspace=True)
            rows = tuple(
                (lines.line_num, tuple(cell.strip() for cell in line)) for line in lines if line
            )
    except FileNotFoundError:
        raise no_file("data", str(path), path, "*.*") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ArgumentError(f"data: {path} cannot be read as a CSV file: {error}") from None
    if len(rows) < 2:
        raise ArgumentError(f"data: {path.name} needs a header and at least one row of numbers")
    header = rows[0][1]
    if all(_number(column) is not None for column in header):
        raise ArgumentError(
            f"data: {path.name} needs a header with the names of its columns, got the numbers "
            f"{', '.join(header)}"
        )
    for i, column in enumerate(header):
        if not column:
            raise ArgumentError(f"data: {path.name} has no name for column {i + 1} in its header")
        if column in header[:i]:
            raise ArgumentError(f"data: {path.name} has two columns named {column!r}")
    for number, row in rows:
        if len(row) != len(header):
            raise ArgumentError(
                f"data: {path.name}, row {number}: {len(header)} cells expected, as in the "
                f"header ({', '.join(header)}), got {len(row)}"
            )
    return rows


def _numbers(table: Table, column: str, file: str) -> np.ndarray:
    """A column as numbers, ``(n,)``."""
    (_, header), *rows = table
    index, values = header.index(column), []
    for number, row in rows:
        value = _number(row[index])
        if value is None:
            got = f"got {row[index]!r}" if row[index] else "the cell is empty"
            raise ArgumentError(
                f"data: {file}, row {number}, column {column!r} must be a finite number; {got}"
            )
        values.append(value)
    return np.array(values)


def _number(cell: str) -> float | None:
    try:
        value = float(cell.replace("_", "x"))  # 1_0 is a number to Python alone
    except ValueError:
        return None
    return value if math.isfinite(value) else None
