"""Fits to the user's own data: least squares over the columns of a CSV file."""

import ast
import csv
import dataclasses
import difflib
import functools
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._util.arguments import POSITIVE, flag
from gdjax._util.arguments import number as a_number
from gdjax._util.errors import ArgumentError, check_known
from gdjax.objectives.coordinates import coordinates, pair
from gdjax.objectives.formula import Formula, budget, in_order, parse, symbol
from gdjax.objectives.loading import no_file
from gdjax.objectives.losses import LOSSES
from gdjax.objectives.misfit import Misfit, Terms
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
    sigma: Any = None,
    absolute_sigma: bool = False,
    loss: str = "linear",
    loss_scale: float | int = 1.0,
    penalties: Any = (),
    bounds: Any = None,
    scale: Any = "none",
    minima: Any = (),
    fmin: Any = None,
    name: str = "curve_fit",
) -> Objective:
    """f(b) = Σ (yᵢ − m(xᵢ; b))²: the misfit of a curve to the rows of a CSV file.

    It is the plain sum of the squared residuals, as the NIST reference problems and
    ``scipy.optimize.curve_fit`` have it, neither halved nor divided by the number of rows. Its
    hand gradient −2 Σ (yᵢ − mᵢ) ∇mᵢ takes ∇m from sympy. With weights, a loss ρ and penalties it
    is Σ s² ρ(rᵢ²/s²) + Σ pₖ(b)² with rᵢ = (yᵢ − mᵢ)/σᵢ.

    Args:
        data: path of a CSV file: commas, a header with the names of the columns, numbers.
        model: a formula for m, such as ``b1*(1 - exp(-b2*x))``. A name in it is a function, a
            column, or else a parameter.
        response: the column to explain, or a formula of columns such as ``log(y)``; by default
            ``y``, or the last one.
        parameters: the names to fit, in the order of the point's components; by default in
            natural order, b2 before b10.
        start: where to begin, ``(d,)``, or numbers by the names of the parameters; by default 1
            for every parameter.
        domain: one ``(low, high)`` pair a parameter; by default the start b and 5 |b| to either
            side, (-5, 5) where b is 0.
        sigma: the standard deviation of the observations: a column, or one number for all.
        absolute_sigma: whether ``sigma`` is known, and not only in relation: standard errors are
            then not scaled by the residuals.
        loss: what a residual counts: ``linear`` its square, ``soft_l1``, ``huber`` or ``cauchy``
            less than that where it is large.
        loss_scale: s, how large a residual, in units of σ, counts as large.
        penalties: formulas of the parameters whose squares are added, such as ``0.1*(b1 - b2)``.
        bounds: (low, high) by the names of parameters, null or inf where there is none. Optimizers
            then move in ``objectives.Coordinates`` that cannot leave them.
        scale: in what units optimizers move: ``none`` the parameters' own; ``auto`` units in which
            each parameter, at the start, curves the linearised misfit by 1; or a list of them.
        minima: the best parameters, where they are known: a list of points.
        fmin: their misfit.
        name: what tables and pictures call it.

    Raises:
        ArgumentError: a file that is no such table, with row and column, a model that does not
            fit its columns, or a weight, loss, bound or scale that is none.

    Reference:
        NIST, Statistical Reference Datasets: Nonlinear Regression.
    """
    check_known("loss", loss, LOSSES)
    a_number(POSITIVE)("loss_scale", loss_scale)
    flag("absolute_sigma", absolute_sigma)
    table = _read(Path(data))
    with budget(model):
        return _curve_fit(
            table, Path(data).name, model, response, parameters, start, domain, sigma,
            absolute_sigma, loss, loss_scale, penalties, bounds, scale, minima, fmin, name,
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
    sigma: Any,
    absolute_sigma: bool,
    loss: str,
    loss_scale: float | int,
    penalties: Any,
    bounds: Any,
    scale: Any,
    minima: Any,
    fmin: Any,
    name: str,
) -> Objective:
    header = table[0][1]
    if response is None:
        response = "y" if "y" in header else header[-1]
    left = _explained(response, header, file)
    listed = None if parameters is None else check_names(parameters, "parameters")
    formula = parse(model, "model", own=header)
    check_look_alikes(formula, "model", (*header, *(listed or ())), "parameters")
    for constant in formula.own:
        log.warning("%s in model is the column of %s, not the constant", constant, file)
    chosen, used = _sort_names(formula.names, header, left.names, listed, file)
    columns = {column: _numbers(table, column, file) for column in used}
    observed = _observed(left, {c: _numbers(table, c, file) for c in left.names}, file)
    weights = _weights(sigma, table, header, file, len(observed))
    terms = Terms.of(penalties, chosen)
    slopes, unit = formula.derivatives(chosen), 1.0 if loss == "linear" else loss_scale
    misfit = Misfit(formula, slopes, chosen, LOSSES[loss], unit, terms)
    start = (1.0,) * len(chosen) if start is None else in_order(start, chosen)
    sides = _around(start, chosen, dict(bounds or ())) if domain is None else domain
    kinks = formula.kinks(chosen)
    found = Objective(
        name=name,
        residuals=misfit.residuals,
        gradient=misfit.gradient,
        args=(columns, observed, weights),
        smoothness="kink" if kinks else "smooth",
        kink=kinks and functools.partial(misfit.kink, kinks, columns),
        domain=sides,
        bounded=domain is not None,
        start=start,
        minima=minima,
        fmin=fmin,
        variables=chosen,
        latex=misfit.latex(symbol(response), weights is not None),
        gradient_latex=misfit.gradient_latex(symbol(response), weights is not None),
        fit=Fit(
            columns, response, observed, misfit.predict, weights, absolute_sigma,
            loss != "linear", len(terms.formulas),
        ),
        reference=f"{file}: {model}",
    )  # fmt: skip
    moved = coordinates(units(found, scale), bounds, chosen)
    return found if moved is None else dataclasses.replace(found, coordinates=moved)


def units(objective: Objective, scale: Any) -> tuple[float, ...] | None:
    """The units in which optimizers move; None for the parameters' own.

    With ``auto`` each is 1/(√2 ‖∂r/∂b‖) at the start, so that the matrix 2 JᵀJ, which is nearly the
    Hessian, has a diagonal of ones there; the size of the start where the residuals do not depend
    on a parameter.
    """
    names = objective.variables
    if scale is None or (isinstance(scale, str) and scale == "none"):
        return None
    if isinstance(scale, str):
        check_known("scale", scale, ("auto", "none"))
        with jax.enable_x64(True):
            start = jnp.asarray(objective.start, float)
            found = jax.jit(lambda f, at: jax.jacfwd(f.residual_vector)(at))
            norms = np.linalg.norm(found(objective.cast(float), start), axis=0)
        size = np.where(np.asarray(objective.start) == 0, 1.0, np.abs(objective.start))
        told = np.isfinite(norms) & (norms > 0)
        return tuple(np.where(told, 1 / (math.sqrt(2) * np.where(told, norms, 1)), size).tolist())
    given = in_order(scale, names)
    if not isinstance(given, Sequence) or len(given) != len(names):
        raise ArgumentError(
            f"scale must be auto, none or one positive number for each of {', '.join(names)}, "
            f"got {scale!r:.100}"
        )
    return tuple(a_number(POSITIVE)(f"scale of {n}", s) for n, s in zip(names, given, strict=True))


def _explained(response: str, header: Sequence[str], file: str) -> Formula:
    """What the model has to explain, as a formula of columns."""
    if response in header and not response.isidentifier():
        return Formula(response, ast.Name(response), (response,), ())
    if response in header or response.isidentifier():
        check_known(f"response, a column of {file},", response, header)
    formula = parse(response, "response", own=header)
    for free in formula.names:
        check_known(f"response, a formula of columns of {file}: column", free, header)
    return formula


def _observed(formula: Formula, columns: dict[str, np.ndarray], file: str) -> np.ndarray:
    """What is to be explained, ``(n,)``, in float64."""
    with jax.enable_x64(True):
        found = np.asarray(formula({k: jnp.asarray(v) for k, v in columns.items()}), float)
    if not np.isfinite(found).all():
        row = int(np.argmin(np.isfinite(found)))
        raise ArgumentError(
            f"response {formula.text} must be finite, and is {found[row]} in row {row + 1} of the "
            f"numbers of {file}"
        )
    return found


def _weights(
    sigma: Any, table: Table, header: Sequence[str], file: str, rows: int
) -> np.ndarray | None:
    """The standard deviations of the observations, ``(n,)``, all positive; None for none."""
    if sigma is None:
        return None
    if isinstance(sigma, str):
        check_known(f"sigma, a column of {file} or a number,", sigma, header)
        found = _numbers(table, sigma, file)
        if not (found > 0).all():
            row = int(np.argmin(found > 0))
            raise ArgumentError(
                f"sigma must be positive, and column {sigma!r} of {file} is {found[row]:g} in row "
                f"{row + 1} of the numbers"
            )
        return found
    return np.full(rows, a_number(POSITIVE)("sigma", sigma))


def _sort_names(
    names: Sequence[str],
    header: Sequence[str],
    explained: Sequence[str],
    parameters: tuple[str, ...] | None,
    file: str,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which names of the model are parameters, and which columns."""
    for response in explained:
        if response in names:
            raise ArgumentError(
                f"model must not hold the response {response!r}; which column it has to explain is "
                f"chosen by response, one of {', '.join(header)}"
            )
    used = tuple(name for name in names if name in header)
    others = tuple(name for name in names if name not in header)
    unused = [column for column in header if column not in (*used, *explained)]
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


def _around(
    start: Any, names: Sequence[str], bounds: Mapping[str, Any]
) -> list[tuple[float, float]]:
    """A domain about a start, each side as wide as the component is large, within the bounds."""
    if not isinstance(start, Sequence) or not all(isinstance(b, int | float) for b in start):
        raise ArgumentError(f"start must be a list of numbers, got {start!r}")
    if len(start) != len(names):
        raise ArgumentError(
            f"start must have {len(names)} component{'s' * (len(names) > 1)}, one for each of "
            f"{', '.join(names)}, got {len(start)}"
        )
    found = []
    for name, b in zip(names, start, strict=True):
        low, high = pair(name, bounds.get(name))
        if not (math.isfinite(low) and math.isfinite(high)):
            reach = REACH * (abs(b) or 1)
            low, high = max(low, b - reach), min(high, b + reach)
        found.append((low, high))
    return found


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
