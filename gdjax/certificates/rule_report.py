"""The report on a rule: which law it breaks, and in which component of which argument."""

from collections.abc import Sequence
from typing import NamedTuple

from gdjax._util.display import Card, shown
from gdjax.certificates.gradient_report import GradientReport


@shown
class Law(NamedTuple):
    """One law that a rule must obey.

    Args:
        name: of the law.
        ok: whether it holds; None where it does not apply, or could not be decided.
        said: how it is broken, or what was found, in words.
        argument: in which the error is worst, or ``output``.
        component: the worst one there.
        error: |one side − the other| / the larger of them.
        tolerance: what rounding may do to that, and what the user grants.
    """

    name: str
    ok: bool | None
    said: str = ""
    argument: str = ""
    component: str = ""
    error: float = 0.0
    tolerance: float = 0.0

    @property
    def _state(self) -> str:
        return {True: "holds", False: "BROKEN", None: "—"}[self.ok]

    @property
    def _words(self) -> str:
        where = f"at {self.component}: error {self.error:.1e}, tolerance {self.tolerance:.1e}"
        return "; ".join(filter(None, (where if self.component else "", self.said)))


@shown
class RuleReport(NamedTuple):
    """A certificate of a rule for derivatives: every law that it must obey, and whether it does.

    Args:
        name: of the function.
        kind: ``custom_vjp``, ``custom_jvp``, ``pullback``, or ``autodiff`` where there is no rule.
        ok: whether no law is broken and the derivative was decided.
        verdict: the same in words, with the laws that are broken.
        laws: all of them.
        argument: the one in which the first broken law fails; empty where none is broken.
        component: the worst component there.
        jv: where the derivative along a direction comes from, which the rule is held against.
        points: how many sets of arguments were looked at, the given ones included.
        certificate: of the derivative, against every other way to it; None where it has none.
        second: the same of the rule's own derivative, where ``order=2`` asked for it.
    """

    name: str
    kind: str
    ok: bool
    verdict: str
    laws: tuple[Law, ...]
    argument: str
    component: str
    jv: str
    points: int
    certificate: GradientReport | None
    second: GradientReport | None

    def law(self, name: str) -> Law:
        """The law of a name.

        Example:
            >>> import gdjax, jax.numpy as jnp
            >>> gdjax.check_rule((jnp.sin, lambda x, u: (u * jnp.cos(x),)), 0.5).law("jit").ok
            True
        """
        return next(law for law in self.laws if law.name == name)

    @property
    def _facts(self) -> dict[str, Sequence[str]]:
        around = f" and {self.points - 1} drawn around them" if self.points > 1 else ""
        worst = f"argument {self.argument}, component {self.component}" if self.argument else ""
        return {
            "looked at": [f"the arguments given{around}, in float64"],
            "worst at": [worst],
            "J v": [self.jv],
            "pattern": self.certificate.patterns if self.certificate else (),
            "warning": self.certificate.warnings if self.certificate else (),
        }

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.verdict}"]
        lines += [f"  {key:<12}{one}" for key, said in self._facts.items() for one in said if one]
        width = max(len(law.name) for law in self.laws)
        lines += [
            f"    {law.name:<{width}}  {law._state:<6}  {law._words}".rstrip() for law in self.laws
        ]
        return "\n".join(lines)

    def _card(self) -> Card:
        facts = {label: "; ".join(filter(None, said)) for label, said in self._facts.items()}
        rows = [("law", "", "found")]
        rows += [(law.name, law._state, law._words) for law in self.laws]
        return Card(f"RuleReport of {self.name}, {self.kind}: {self.verdict}", facts, rows)

    @property
    def line(self) -> str:
        """The report in one line."""
        return f"{self.name}: {self.verdict}"
