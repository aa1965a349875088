"""Fits to the user's own data: least squares over the columns of a table."""

import ast
import dataclasses
import difflib
import functools
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._util.arguments import POSITIVE, flag, number
from gdjax._util.errors import ArgumentError, check_known
from gdjax.objectives.columns import Table, remembered, table
from gdjax.objectives.coordinates import by_name, coordinates, pair
from gdjax.objectives.formula import Formula, budget, in_order, parse, symbol
from gdjax.objectives.losses import LOSSES
from gdjax.objectives.misfit import Misfit, Terms
from gdjax.objectives.objective import Fit, Objective
from gdjax.objectives.parser import check_look_alikes, check_names
from gdjax.objectives.registry import maker

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
    sep: str | None = None,
    columns: Any = None,
    missing: str | None = None,
) -> Objective:
    """f(b) = Σ (yᵢ − m(xᵢ; b))²: the misfit of a curve to the rows of a table.

    It is the plain sum of the squared residuals, as the NIST reference problems and
    ``scipy.optimize.curve_fit`` have it, neither halved nor divided by the number of rows. Its
    hand gradient −2 Σ (yᵢ − mᵢ) ∇mᵢ takes ∇m from sympy. With weights, a loss ρ and penalties it
    is Σ s² ρ(rᵢ²/s²) + Σ pₖ(b)² with rᵢ = (yᵢ − mᵢ)/σᵢ.

    Args:
        data: the path of a text file with a header and numbers, parted by commas, semicolons, tabs
            or spaces, plain or packed (gzip, bz2, xz, zip), or of a Parquet file. In Python also
            a DataFrame, a mapping of arrays by the names of their columns, or a structured array.
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
        sep: what parts the cells of a text file, a character or one of comma, semicolon, tab and
            spaces; by default found.
        columns: names for columns whose headers no formula can hold, each with its header or its
            number from 1: ``{t: "Time (s)", y: 3}``.
        missing: what becomes of rows that lack a number that is used: ``refuse``, the default, or
            ``drop``.

    Raises:
        ArgumentError: a file that is no such table, with row and column, a model that does not
            fit its columns, or a weight, loss, bound or scale that is none.

    Reference:
        NIST, Statistical Reference Datasets: Nonlinear Regression.
    """
    check_known("loss", loss, LOSSES)
    number(POSITIVE)("loss_scale", loss_scale)
    flag("absolute_sigma", absolute_sigma)
    read = table(data, sep, columns, missing)
    with budget(model):
        return _curve_fit(
            read, read.file, model, response, parameters, start, domain, sigma, absolute_sigma,
            loss, loss_scale, penalties, bounds, scale, minima, fmin, name,
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
    header = read.names
    left = _explained(read, response)
    listed = None if parameters is None else check_names(parameters, "parameters")
    formula = read.formula(model, listed or ())
    check_look_alikes(formula, "model", (*header, *(listed or ())), "parameters")
    for constant in formula.own:
        log.warning("%s in model is the column of %s, not the constant", constant, file)
    named = symbol(left.text) if left.text in header else left.latex()
    chosen, used = _sort_names(formula.names, header, left.names, listed, file, read.hint)
    weighing = (sigma,) if isinstance(sigma, str) else ()
    for column in weighing:
        check_known(f"sigma, a column of {file} or a number,", column, header)
    numbers = read.numbers((*used, *left.names, *weighing))
    columns = {column: numbers[column] for column in used}
    observed = _observed(left, numbers, file)
    weights = _weights(sigma, numbers, file, len(observed))
    slopes, unit = formula.derivatives(chosen), 1.0 if loss == "linear" else loss_scale
    terms = Terms.of(penalties, chosen)
    misfit = Misfit(formula, slopes, chosen, LOSSES[loss], unit, terms)
    start = (1.0,) * len(chosen) if start is None else in_order(start, chosen)
    sides = _around(start, chosen, bounds) if domain is None else domain
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
        latex=misfit.latex(named, weights is not None),
        gradient_latex=misfit.gradient_latex(named, weights is not None),
        fit=Fit(
            columns, left.text, observed, misfit.predict, weights, absolute_sigma,
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
    given = in_order(scale.tolist() if hasattr(scale, "tolist") else scale, names)
    if not isinstance(given, Sequence) or len(given) != len(names):
        raise ArgumentError(
            f"scale must be auto, none or one positive number for each of {', '.join(names)}, "
            f"got {scale!r:.100}"
        )
    return tuple(number(POSITIVE)(f"scale of {n}", s) for n, s in zip(names, given, strict=True))


def _explained(read: Table, response: str | None) -> Formula:
    """What the model has to explain, as a formula of columns."""
    if response is None or response in read.names or response.isidentifier():
        column = read.response(response)
        return Formula(column, ast.Name(column), (column,))
    formula = parse(response, "response", own=read.names)
    for free in formula.names:
        check_known(f"response, a formula of columns of {read.file}: column", free, read.names)
    return formula


def _observed(formula: Formula, columns: Mapping[str, np.ndarray], file: str) -> np.ndarray:
    """What is to be explained, ``(n,)``, in float64."""
    if formula.text in columns:
        return columns[formula.text]
    with jax.enable_x64(True):
        found = np.asarray(formula({name: jnp.asarray(columns[name]) for name in formula.names}))
    _check_all(f"response {formula.text} must be finite", found, np.isfinite(found), file)
    return found


def _weights(
    sigma: Any, columns: Mapping[str, np.ndarray], file: str, rows: int
) -> np.ndarray | None:
    """The standard deviations of the observations, ``(n,)``, all positive; None for none."""
    if sigma is None:
        return None
    if not isinstance(sigma, str):
        return np.full(rows, number(POSITIVE)("sigma", sigma))
    _check_all(
        f"sigma, column {sigma!r}, must be positive", columns[sigma], columns[sigma] > 0, file
    )
    return columns[sigma]


def _check_all(rule: str, values: np.ndarray, good: np.ndarray, file: str) -> None:
    if not good.all():
        row = int(np.argmin(good))
        raise ArgumentError(f"{rule}, got {values[row]:g} in row {row + 1} of the data of {file}")


def _sort_names(
    names: Sequence[str],
    header: Sequence[str],
    explained: Sequence[str],
    parameters: tuple[str, ...] | None,
    file: str,
    hint: str,
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
            f"{', '.join(others)} would all be parameters{hint}"
        )
    return chosen, used


def _around(start: Any, names: Sequence[str], bounds: Any) -> list[tuple[float, float]]:
    """A domain about a start, each side as wide as the component is large, within the bounds."""
    if not isinstance(start, Sequence) or not all(isinstance(b, int | float) for b in start):
        raise ArgumentError(f"start must be a list of numbers, got {start!r}")
    if len(start) != len(names):
        raise ArgumentError(
            f"start must have {len(names)} component{'s' * (len(names) > 1)}, one for each of "
            f"{', '.join(names)}, got {len(start)}"
        )
    within = coordinates(None, bounds, names)
    if within is not None:
        within.check_inside(start, names)
    given, found = by_name(bounds), []
    for name, b in zip(names, start, strict=True):
        low, high = pair(name, given.get(name))
        if not (math.isfinite(low) and math.isfinite(high)):
            reach = REACH * (abs(b) or 1)
            low, high = max(low, b - reach), min(high, b + reach)
        found.append((low, high))
    return found
