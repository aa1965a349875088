"""The report: what a certificate says, as data and as a table."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gdjax._inputs import DType
from gdjax._util.display import Card, brief, shown
from gdjax._util.types import PyTree


@shown
class Estimate(NamedTuple):
    """One estimate of the worst component at the worst point.

    Args:
        value: of that component; NaN where this way does not give it.
        error: value − truth, as a share of the derivative's norm.
        remark: more about it, or why there is none.
        outliers: at how many points this estimate is the outlier.
    """

    value: float
    error: float
    remark: str = ""
    outliers: int = 0


@shown
class Behaviour(NamedTuple):
    """How a derivative behaves in one precision.

    Args:
        ok: whether every error is within its tolerance.
        error: the largest norm-relative error, of the points that decide.
        tolerance: what rounding may do at that point, norm-relative.
        point: where that is, ``(d,)``.
        typical: the median error.
        undecided: at how many points rounding leaves nothing to decide.
    """

    ok: bool
    error: float
    tolerance: float
    point: np.ndarray
    typical: float
    undecided: int

    @property
    def _line(self) -> str:
        if np.isnan(self.typical):
            return "no point decides"
        return (
            f"{'within tolerance' if self.ok else 'BEYOND TOLERANCE'}: error {self.typical:.0e}, "
            f"at most {self.error:.0e} where {self.tolerance:.0e} is rounding"
        )


@shown
class Details(NamedTuple):
    """The numbers behind a report, for pictures and for further questions.

    Args:
        points: every point, ``(n, d)``.
        errors: norm-relative, ``(n,)``, every component weighed by its width.
        tolerances: the same, ``(n,)``.
        shares: the largest error of any one component, in what roundings do to it, ``(n,)``.
        wrong: where the derivative is wrong, ``(n,)``.
        kept: which points decide, ``(n,)``.
        steps: of the differences, in lengths of the point's scale, ``(s,)``.
        curve: error of the central differences with each step, norm-relative, ``(n, s)``.
        reached: the same with each direction's own step, at the bottom of its curve, ``(n,)``.
        domain: ``(d, 2)``, or None.
        variables: the names of the components.
        worst: index of the worst point.
    """

    points: np.ndarray
    errors: np.ndarray
    tolerances: np.ndarray
    shares: np.ndarray
    wrong: np.ndarray
    kept: np.ndarray
    steps: np.ndarray
    curve: np.ndarray
    reached: np.ndarray
    domain: np.ndarray | None
    variables: Sequence[str]
    worst: int


@shown
class GradientReport(NamedTuple):
    """A certificate: whether a derivative is right, and if not, where and by how much.

    Args:
        name: of the function.
        kind: ``gradient`` or ``Hessian``.
        dtype: the one that the verdict is about.
        ok: whether the hand-derived derivative, or autodiff's if there is no other, is right.
        verdict: the same in words, with the outlier; or ``undecided``, and what to do.
        points: how many points were drawn, or given.
        special: how many more were added: the origin, known minima, points on an axis.
        left_out: how many points decide nothing, by the reason.
        worst_point: where the error is largest, as the function takes it.
        component: the worst component there: an index, or a path into the pytree.
        error: ‖derivative − truth‖ / max(‖derivative‖, ‖truth‖) there.
        tolerance: what roundings can do to it there.
        estimates: of that component, by the name of the way it was computed.
        patterns: what the errors have in common, in words.
        warnings: what else should be known, such as an autodiff that is wrong.
        behaviour: of the derivative in float64 and in float32; empty if it runs on the host.
        reason: where the tolerance comes from.
        details: the numbers behind it.
    """

    name: str
    kind: str
    dtype: DType
    ok: bool
    verdict: str
    points: int
    special: int
    left_out: dict[str, int]
    worst_point: PyTree
    component: int | str
    error: float
    tolerance: float
    estimates: dict[str, Estimate]
    patterns: tuple[str, ...]
    warnings: tuple[str, ...]
    behaviour: dict[str, Behaviour]
    reason: str
    details: Details

    @property
    def undecided(self) -> bool:
        """Whether too few points decide to say anything."""
        return self.verdict.startswith("undecided")

    def _facts(self, point: str) -> dict[str, Sequence[str]]:
        """What stands beside the table, by label; the worst point is given in words."""
        special = f" and {self.special} special" if self.special else ""
        points = f"{self.points:,} point{'s' * (self.points != 1)}{special}, in {self.dtype}"
        facts = {
            "looked at": [points],
            "left out": [", ".join(f"{n:,} {why}" for why, n in self.left_out.items() if n)],
            "worst at": [f"{point}, component {self.component}"],
            "error": [f"{self.error:.1e} of the norm"],
            "tolerance": [f"{self.tolerance:.1e}, {self.reason}"],
            "pattern": self.patterns,
            "warning": self.warnings,
            **{dtype: [found._line] for dtype, found in self.behaviour.items()},
        }
        known = ("looked at", "left out", "warning") if self.undecided else facts
        return {label: facts[label] for label in known}

    def __str__(self) -> str:
        rows = [("", "value", "error / norm", "", "")]
        rows += [(label, *_cells(one)) for label, one in self.estimates.items()]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [f"{self.name}: {self.verdict}"]
        for fact, said in self._facts(_point(self.worst_point)).items():
            lines += [f"  {fact:<12}{one}" for one in said if one]
            if fact == "worst at":
                for label, value, error, *more in rows:
                    line = f"    {label:<{widths[0]}}  {value:>{widths[1]}}  {error:>{widths[2]}}  "
                    lines.append((line + "  ".join(filter(None, more))).rstrip())
        return "\n".join(lines)

    def _card(self) -> Card:
        facts = {
            label: "; ".join(said) for label, said in self._facts(brief(self.worst_point)).items()
        }
        rows = [("estimate", "value", "error / norm", "remark")]
        for label, one in () if self.undecided else self.estimates.items():
            value, error, *said = _cells(one)
            rows.append((label, value, error, "  ".join(filter(None, said))))
        return Card(f"GradientReport of {self.name}, {self.kind}: {self.verdict}", facts, rows)

    @property
    def line(self) -> str:
        """The report in one line."""
        left = sum(self.left_out.values())
        if self.undecided:
            return f"{self.name}: {self.verdict}"
        return (
            f"{self.name}: {self.verdict}; error {self.error:.1e}, tolerance {self.tolerance:.1e}"
            + f"; {left:,} left out" * bool(left)
        )


def _cells(one: Estimate) -> tuple[str, str, str, str]:
    if np.isnan(one.error) and one.remark and not one.outliers:
        return "—", "", "", one.remark
    where = f"OUTLIER at {one.outliers:,} point{'s' * (one.outliers > 1)}" if one.outliers else ""
    return f"{one.value:.15g}", f"{one.error:+.1e}", where, one.remark


def _point(point: PyTree) -> str:
    if isinstance(point, tuple):
        shown = ", ".join(f"{x:.9g}" for x in point[:6])
        return f"({shown}{', …' * (len(point) > 6)})"
    return str(point) if len(str(point)) < 60 else "the point report.worst_point"


def repeat(verb: str, *args: Any, **options: Any) -> str:
    """The call that gives a report again, with what is too long to write as ``…``.

    Example:
        >>> repeat("check_rule", abs, 0.5, seed=1)
        'to repeat: gdjax.check_rule(abs, 0.5, seed=1)'
    """

    def told(value: Any) -> str:
        if isinstance(value, tuple | list) and value and all(map(callable, value)):
            return f"({', '.join(map(told, value))})"
        name = getattr(value, "__name__", None) if callable(value) else None
        text = name or " ".join(repr(value).replace("array(", "np.array(").split())
        return text if len(text) <= 200 else "…"

    words = [*map(told, args), *(f"{key}={told(value)}" for key, value in options.items())]
    return f"to repeat: gdjax.{verb}({', '.join(words)})"
