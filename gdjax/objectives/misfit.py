"""The misfit of a model to data, as functions of the model's parameters and of the data."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from gdjax._util.arguments import refused
from gdjax._util.errors import check_known
from gdjax._util.types import Flat
from gdjax.objectives.formula import Formula, parse, vector
from gdjax.objectives.losses import Loss

Columns = Mapping[str, Any]  # arrays of the data, by name


class Terms(NamedTuple):
    """Formulas of the parameters whose squares are added, with their derivatives."""

    formulas: tuple[Formula, ...] = ()
    slopes: tuple[tuple[Formula, ...], ...] = ()

    @classmethod
    def of(cls, texts: Any, parameters: Sequence[str]) -> "Terms":
        """The formulas of one text, of a list of them, or of None."""
        formulas = []
        for text in (texts,) if isinstance(texts, str) else tuple(texts or ()):
            if not isinstance(text, str):
                raise refused("penalties", "be formulas of the parameters", texts)
            formulas.append(parse(text, "penalties"))
            for free in formulas[-1].names:
                check_known("parameter in penalties", free, parameters)
        zero = parse("0")
        slopes = [dict(zip(f.names, f.derivatives(f.names), strict=True)) for f in formulas]
        return cls(
            tuple(formulas),
            tuple(tuple(each.get(name, zero) for name in parameters) for each in slopes),
        )


class Misfit(NamedTuple):
    """The misfit of a model as functions of the parameters ``(d,)`` and of the data."""

    model: Formula
    slopes: Sequence[Formula]
    parameters: Sequence[str]
    loss: Loss
    scale: float | int
    terms: Terms

    def _named(self, point: Flat, columns: Columns = MappingProxyType({})) -> dict[str, Any]:
        arrays = {key: jnp.asarray(value, point.dtype) for key, value in columns.items()}
        return dict(zip(self.parameters, point, strict=True)) | arrays

    def predict(self, point: Flat, columns: Columns) -> Any:
        """What the model says, ``(n,)``."""
        return self.model(self._named(point, columns))

    def _misses(
        self, point: Flat, columns: Columns, observed: Any, weights: Any
    ) -> tuple[Any, Any]:
        """What is left to explain, in units of the loss, ``(n,)``, and that unit."""
        unit = self.scale if weights is None else self.scale * jnp.asarray(weights, point.dtype)
        return (jnp.asarray(observed, point.dtype) - self.predict(point, columns)) / unit, unit

    def residuals(self, point: Flat, columns: Columns, observed: Any, weights: Any) -> Array:
        """s·root(u) of every observation, then the penalties."""
        misses, _ = self._misses(point, columns, observed, weights)
        found = self.scale * self.loss.root(misses)
        return self._joined(found, [term(self._named(point)) for term in self.terms.formulas])

    def _joined(self, misses: Any, terms: Sequence[Any]) -> Array:
        if not terms:
            return misses
        return jnp.append(misses, jnp.stack([jnp.asarray(x, misses.dtype) for x in terms]))

    def gradient(self, point: Flat, columns: Columns, observed: Any, weights: Any) -> Array:
        """−2 Σ s² ρ′(u²) u ∇m/unit + 2 Σ p ∇p."""
        misses, unit = self._misses(point, columns, observed, weights)
        pull = self.scale**2 * self.loss.weight(misses) * misses / unit
        names = self._named(point, columns)
        found = -2 * jnp.stack([jnp.sum(pull * slope(names)) for slope in self.slopes])
        for term, slopes in zip(*self.terms, strict=True):
            found += (
                2 * term(names) * jnp.stack([jnp.asarray(s(names), found.dtype) for s in slopes])
            )
        return found

    def kink(self, kinks: Any, columns: Columns, point: Flat) -> Array:
        """Signed quantities that vanish at a kink of the model."""
        return jnp.concatenate([jnp.ravel(each) for each in kinks(self._named(point, columns))])

    def _miss_latex(self, response: str, weighed: bool) -> str:
        miss, unit = f"{self.model.latex()} - {response}", r"\sigma" if weighed else ""
        if self.scale != 1:
            unit = f"{self.scale:g} {unit}".strip()
        if unit:
            miss = rf"\frac{{{miss}}}{{{unit}}}"
        return rf"\left({miss}\right)"

    def latex(self, response: str, weighed: bool) -> str:
        """The misfit as LaTeX."""
        counted = self.loss.latex.format(u=self._miss_latex(response, weighed))
        factor = "" if self.scale == 1 else f"{self.scale**2:g} "
        more = "".join(rf" + \left({term.latex()}\right)^2" for term in self.terms.formulas)
        return rf"{factor}\sum {counted}" + more

    def gradient_latex(self, response: str, weighed: bool) -> str:
        """Its gradient as LaTeX."""
        miss = self._miss_latex(response, weighed)
        slopes = vector([slope.latex() for slope in self.slopes])
        unit = r"\frac{1}{\sigma} " if weighed else ""
        factor = f"{2 * self.scale:g}"
        found = rf"{factor} \sum {self.loss.latex_weight.format(u=miss)}{unit}{miss} {slopes}"
        for term, each in zip(*self.terms, strict=True):
            found += rf" + 2 \left({term.latex()}\right) {vector([s.latex() for s in each])}"
        return found
