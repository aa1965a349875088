"""What a certificate of equivalence says."""

from typing import NamedTuple

from gdjax._util.display import Card, shown
from gdjax._util.display import aligned as table


@shown
class Trial(NamedTuple):
    """Two optimizers held against each other along one path from each start.

    Args:
        rate: under which learning rate: ``as given``, or ``decaying``.
        verdict: ``same method``, ``same method, other convention: …``, ``different``, or
            ``undecided`` where too few steps are evidence.
        reason: why they differ, where it is known; why nothing is decided, and what to do.
        forced: what was made equal at every step: the ``state``, or the ``history`` of points and
            gradients where no conversion between the states is known.
        ulps: largest difference of the next points, in units in the last place of the largest
            of ``|x|``, the step and the carried step, component by component.
        carried: the same for the step that the next state would make without a gradient; 0
            where only the history is the same.
        where: start, step and component of the largest difference.
        first: the first step with a difference beyond rounding, or −1.
        steps: how many steps were compared, all starts together: those that are finite.
        counted: how many of them are evidence, in each phase of the run: a tenth of it, but ten
            steps at least. A step counts if a tenth of what the gradient adds to it would be seen,
            in one component at least, or if both stand still in spite of a gradient.
        factor: b is a with its learning rate times this.
        drift: largest distance of the two free runs, in widths of the domain.
        drift_step: the first step at which it passes the tolerance, or −1.
    """

    rate: str
    verdict: str
    reason: str
    forced: str
    ulps: float
    carried: float
    where: tuple[int, int, int]
    first: int
    steps: int
    counted: tuple[int, ...]
    factor: float
    drift: float
    drift_step: int

    @property
    def same(self) -> bool:
        """Whether the two are one method, in whatever convention."""
        return self.verdict.startswith("same")

    @property
    def parting(self) -> str:
        """What became of the free runs, in words."""
        return "together" if self.drift_step < 0 else f"apart at step {self.drift_step}"

    @property
    def evidence(self) -> str:
        """How many steps count, in words."""
        return f"{sum(self.counted)} of {self.steps}, ≥ {min(self.counted)} a phase"

    @property
    def _row(self) -> tuple[str, ...]:
        return (
            self.rate,
            self.verdict.partition(":")[0] + f" from step {self.first}" * (self.first > 0),
            self.evidence,
            f"{self.ulps:.3g} ulps at step {self.where[1]}",
            f"{self.carried:.3g} ulps" if self.forced == "state" else "–",
            self.forced,
            f"{self.drift:.1e}, {self.parting}",
        )


@shown
class EquivalenceReport(NamedTuple):
    """What ``certify_equivalence`` found; ``str`` of it is a table.

    Args:
        a, b: the two optimizers, as they write themselves.
        objective: name of the objective.
        dtype: ``float32`` or ``float64``.
        tolerance: of the free runs, in widths of the domain.
        trials: as given, and under a decaying learning rate where both take one.
    """

    a: str
    b: str
    objective: str
    dtype: str
    tolerance: float
    trials: tuple[Trial, ...]

    @property
    def same(self) -> bool:
        """Whether the two, as given, are one method."""
        return self.trials[0].same

    @property
    def verdict(self) -> str:
        """The finding in one sentence."""
        first, *others = (trial.verdict for trial in self.trials)
        odd = [verdict for verdict in others if not verdict.startswith("same")]
        return f"{first}; {odd[0]} under a schedule" if self.same and odd else first

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                "learning rate",
                "verdict",
                "steps that count",
                "next point",
                "carried step",
                "same",
                "free runs",
            ),
            *(trial._row for trial in self.trials),
        ]

    def __str__(self) -> str:
        lines = [
            f"a = {self.a}",
            f"b = {self.b}",
            f"on {self.objective}, {self.dtype}: {self.verdict}",
            table(self._rows()),
        ]
        lines += [f"{t.rate}: {t.reason}" for t in self.trials if t.reason]
        return "\n".join(lines)

    def _card(self) -> Card:
        reasons = {f"why, {t.rate}": t.reason for t in self.trials}
        on = f"{self.objective}, {self.dtype}"
        facts = {"a": self.a, "b": self.b, "on": on, **reasons}
        return Card(f"EquivalenceReport: {self.verdict}", facts, self._rows())
