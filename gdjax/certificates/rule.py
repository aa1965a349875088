"""Certificates of rules: ``custom_vjp``, ``custom_jvp``, or a function and its pullback."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._inputs import as_count
from gdjax._util.arguments import as_seed
from gdjax._util.errors import ArgumentError, first_line
from gdjax._util.types import Function, PyTree
from gdjax.certificates import laws
from gdjax.certificates.conclusion import Own
from gdjax.certificates.gradient import check_gradient
from gdjax.certificates.gradient_report import GradientReport, repeat
from gdjax.certificates.laws import Drawn
from gdjax.certificates.problem import running
from gdjax.certificates.pullbacks import Rule, rule_of
from gdjax.certificates.rule_report import Law, RuleReport

WORDS = {
    "custom_vjp": "the custom_vjp", "custom_jvp": "the custom_jvp", "pullback": "the pullback",
    "autodiff": "autodiff",
}  # fmt: skip


def check_rule(
    fn: Function | Sequence[Function],
    *args: PyTree,
    points: int = 8,
    order: int = 1,
    nondiff_argnums: int | Sequence[int] = (),
    rtol: float | int = 0.0,
    atol: float | int = 0.0,
    seed: int = 0,
) -> RuleReport:
    """Certify a rule for the derivatives of a function, law by law.

    A pullback maps a cotangent u of what is returned to Jᵀu, one cotangent for each argument. For
    a random u it is the gradient of ⟨u, f⟩, and is certified as ``check_gradient`` certifies one.
    Beside that

    - *primal value*: the rule returns what the function itself does;
    - *linearity*: the pullback of a u + b w is a times that of u plus b times that of w;
    - *adjointness*: ⟨u, J v⟩ = ⟨Jᵀu, v⟩, in each argument. J v is that of the function without
      its rule where JAX has one, else it comes from differences, and the report says which;
    - *layout*: cotangents have the structure, shapes and dtypes of the arguments;
    - *integer arguments*: they have none, ``float0``, or 0;
    - *one at a time*: the rule gives the same where it is told, by symbolic zeros, that only one
      argument is differentiated, or that only one output is used;
    - *jit* and *vmap*: it gives the same under them;
    - *second order*, with ``order=2``: its own derivative is right as well.

    Args:
        fn: a function with ``jax.custom_vjp`` or ``jax.custom_jvp``, one that calls such a
            function, or a pair (function, pullback). A pullback takes the arguments and
            then the cotangent; or the arguments alone, and returns the value and a function of
            the cotangent.
        *args: what to call it with, any pytrees. Floats are differentiated, complex ones too.
        points: how many more sets of arguments to draw around these, a tenth of each number wide.
        order: 2 certifies the derivative of the rule as well.
        nondiff_argnums: arguments whose floats are held constant, beside those that the rule names.
        rtol: granted in every comparison beside what rounding does: ``atol + rtol |truth|``.
        atol: likewise.
        seed: of the arguments, cotangents and tangents that are drawn.

    Raises:
        ArgumentError: what is no function or pair, or cannot be called with these arguments.

    Example:
        >>> @jax.custom_vjp
        ... def f(x, y):
        ...     return jnp.sin(x) * y
        >>> f.defvjp(lambda x, y: (f(x, y), (x, y)), lambda r, u: (u * jnp.cos(r[0]), u * r[0]))
        >>> report = check_rule(f, 1.0, 2.0)
        >>> report.ok, report.law("adjointness").ok, report.law("linearity").ok
        (False, False, True)
        >>> report.verdict
        'WRONG: the custom_vjp breaks derivative, adjointness'

    Reference:
        ``test_rrule`` and ``test_frule`` of ChainRulesTestUtils.jl do the like in Julia.
    """
    points, seed = as_count("points", points, 0), as_seed(seed)
    if order not in (1, 2):
        raise ArgumentError(f"order must be 1 or 2, got {order!r:.200}")
    own = Own(rtol, atol).check()
    places = [nondiff_argnums] if isinstance(nondiff_argnums, int) else nondiff_argnums
    with jax.enable_x64(True):
        rule = rule_of(fn, args, places)
        drawn = _drawn(rule, points, seed)
        with running(rule.name):
            rule = laws.bounded(rule, drawn)
            return _conclude(rule, drawn, own, order, seed)


def assert_rule(fn: Function | Sequence[Function], *args: PyTree, **options: Any) -> None:
    """Fail with the table of ``check_rule`` if a rule breaks a law: for a user's own tests.

    Args:
        fn: as in ``check_rule``, like all that follow.
        *args: what to call it with.
        **options: ``points``, ``order``, ``nondiff_argnums``, ``rtol``, ``atol``, ``seed``.

    Raises:
        AssertionError: a law is broken; the message ends with the call that repeats it.
        ArgumentError: as in ``check_rule``.

    Example:
        >>> assert_rule((jnp.sin, lambda x, u: (u * jnp.cos(x),)), 0.5)
    """
    report = check_rule(fn, *args, **options)
    if not report.ok:
        raise AssertionError(f"{report}\n{repeat('check_rule', fn, *args, **options)}")


def _drawn(rule: Rule, points: int, seed: int) -> Drawn:
    """The arguments and others around them, each with two cotangents and a tangent."""
    rng, given = np.random.default_rng(seed), rule.inputs.flat
    if not np.isfinite(given).all():
        index = int(np.argmin(np.isfinite(given)))
        name = rule.inputs.structure.names[index]
        raise ArgumentError(f"args must be finite, got {given[index]} in {name}")
    owners, m = rule.inputs.owners, rule.outputs.structure.size
    size = np.array([np.sqrt(np.mean(given[owners == k] ** 2)) for k in range(owners[-1] + 1)])
    spread = 0.1 * np.maximum(np.abs(given), np.where(size > 0, size, 1.0)[owners])
    around = given + spread * rng.standard_normal((points, len(given)))
    where = (given, *around.astype(np.float32).astype(float))
    return [(x, *(laws.signed(n, rng) for n in (m, m, len(given)))) for x in where]


def _conclude(rule: Rule, drawn: Drawn, own: Own, order: int, seed: int) -> RuleReport:
    layout = Law("layout", not rule.mismatch, rule.mismatch)
    broken = layout if rule.mismatch else _fails(rule, drawn)
    found = [broken or layout]
    certificate = second = None
    jv = ""
    if broken is None:
        rule, traced = _traced(rule, drawn)
        derivative, certificate = _derivative(rule, drawn, own, seed)
        along, jv = _along(rule, drawn)
        found = [derivative, *_equal(rule, drawn, own, along, certificate), *found, *traced]
        found.append(laws.integer_law(rule))
        if order == 2:
            law, second = _second(rule, drawn, own, seed)
            found.append(law)
    wrong = [law for law in found if law.ok is False]
    undecided = broken is None and found[0].ok is None
    what = WORDS[rule.kind]
    verdict = f"ok, {what} obeys every law"
    if wrong:
        verdict = f"WRONG: {what} breaks {', '.join(law.name for law in wrong)}"
    elif undecided:
        verdict = found[0].said
    worst = next((law for law in wrong if law.component), Law("", None))
    return RuleReport(
        rule.name, rule.kind, not wrong and not undecided, verdict, tuple(found), worst.argument,
        worst.component, jv, len(drawn), certificate, second,
    )  # fmt: skip


def _fails(rule: Rule, drawn: Drawn) -> Law | None:
    """The law that is broken where the rule cannot be called, in single precision neither."""
    if not rule.traced:
        return None
    x, u, _, v = drawn[0]
    try:
        jax.eval_shape(rule.pull, x, u)
        with jax.enable_x64(False):
            jax.eval_shape(rule.pull, x.astype(np.float32), u.astype(np.float32))
    except jax.errors.JAXTypeError:
        return None  # what it does with values is for jit to say
    except Exception as error:
        if rule.push is not None and _goes(rule.push, x, v):  # so that only its transpose fails
            return Law("linearity", False, f"its tangent has no transpose: {first_line(error)}")
        return Law("layout", False, first_line(error))
    return None


def _goes(fn: Function, *args: np.ndarray) -> bool:
    """Whether a function can be compiled and run."""
    try:
        jax.block_until_ready(jax.jit(fn)(*args))
    except Exception:
        return False
    return True


def _traced(rule: Rule, drawn: Drawn) -> tuple[Rule, list[Law]]:
    """The rule, on the host if it cannot be compiled; and what jit and vmap say then."""
    words = "the function runs on the host"
    if rule.traced:
        x, u = drawn[0][:2]
        try:
            jax.block_until_ready(jax.jit(rule.pull)(x, u))
            return rule, []
        except Exception as error:
            rule = rule._replace(traced=False, apart=None)
            if _goes(rule.value, x):
                said = f"it fails under jit: {first_line(error)}"
                return rule, [Law("jit", False, said), Law("vmap", None, "not compiled")]
            words = f"the function itself fails under jit: {first_line(error)}"
    return rule, [Law("jit", None, words), Law("vmap", None, words)]


def _derivative(rule: Rule, drawn: Drawn, own: Own, seed: int) -> tuple[Law, GradientReport | None]:
    """The pullback of one cotangent as a gradient, and its certificate."""
    cotangent = drawn[0][1]
    structure = rule.inputs.structure

    def paired(numbers: dict[str, Any]) -> Any:
        y = rule.value(structure.flatten(numbers))
        return (jnp if isinstance(y, jax.Array) else np).vdot(cotangent, y)

    def gradient(numbers: dict[str, Any]) -> Any:
        return structure.unflatten(rule.pull(structure.flatten(numbers), cotangent)[1])

    return _certified(rule, "derivative", drawn, own, seed, paired, gradient)


def _second(rule: Rule, drawn: Drawn, own: Own, seed: int) -> tuple[Law, GradientReport | None]:
    """The derivative of the rule itself: of ⟨w, pullback(u)⟩, by autodiff through the rule."""
    _, u, _, w = drawn[0]
    if not rule.traced:
        return Law("second order", None, "the function runs on the host"), None

    def paired(numbers: dict[str, Any]) -> Any:
        return jnp.vdot(w, rule.pull(rule.inputs.structure.flatten(numbers), u)[1])

    return _certified(rule, "second order", drawn, own, seed, paired, None)


def _certified(
    rule: Rule,
    name: str,
    drawn: Drawn,
    own: Own,
    seed: int,
    paired: Function,
    gradient: Function | None,
) -> tuple[Law, GradientReport | None]:
    """A certificate of a gradient as a law."""
    structure = rule.inputs.structure
    paired.__name__ = rule.name
    where = [structure.unflatten(x) for x, *_ in drawn]
    traceable = None if rule.traced and _batches(rule, drawn) else False
    try:
        report = check_gradient(
            paired, gradient, where, rtol=own.rtol, atol=own.atol, seed=seed,
            traceable=True if gradient is None else traceable,
        )  # fmt: skip
    except ArgumentError as error:
        if gradient is None:
            return Law(name, False, f"the rule cannot be differentiated: {error}"), None
        return Law(name, None, str(error)), None
    except Exception as error:
        return Law(name, False, first_line(error)), None
    component = str(report.component)
    names = list(structure.names)
    argument = rule.inputs.argument(names.index(component)) if component in names else ""
    said = "; ".join(report.patterns)
    ok = report.ok or (None if report.verdict.startswith("undecided") else False)
    if ok is None:
        return Law(name, None, report.verdict), report
    return Law(name, ok, said, argument, component, report.error, report.tolerance), report


def _batches(rule: Rule, drawn: Drawn) -> bool:
    """Whether function and rule can be run at many points at once, as a certificate does."""
    xs, us = (np.stack([one[k] for one in drawn]) for k in (0, 1))
    try:
        jax.eval_shape(jax.vmap(rule.pull), xs, us)
        jax.eval_shape(jax.vmap(rule.value), xs)
    except Exception:
        return False
    return True


def _along(rule: Rule, drawn: Drawn) -> tuple[Callable | None, str]:
    """x, v → J v of the function without its rule, if JAX has one; and where it comes from."""
    x, _, _, v = drawn[0]

    def along(x: Any, v: Any) -> Any:
        return jax.jvp(rule.value, (x,), (v,))[1]

    why = "the function runs on the host"
    if rule.traced:
        try:
            jax.make_jaxpr(along)(x, v)
            return along, "from jax.jvp of the function without its rule"
        except Exception as error:
            why = first_line(error)
    return None, f"from central differences of the function, for {why}"


def _equal(
    rule: Rule, drawn: Drawn, own: Own, along: Callable | None, report: GradientReport | None
) -> list[Law]:
    """The laws that are equations, and those whose tolerance follows from them."""
    kept = None
    if report is not None and len(report.details.kept) == len(drawn):
        kept = np.asarray(report.details.kept)  # a kink has no J v
    asked, said = laws.equations(rule, along), []
    found = laws.measure(rule, along, {name: sides for name, (sides, _) in asked.items()}, drawn)
    for name, (_, leaves) in asked.items():
        sides = found[name]
        if isinstance(sides, str):
            said.append(Law(name, False, sides))
            continue
        on_kinks = name in ("adjointness", "forward mode")
        law = laws.compare(name, sides, leaves, own, kept if on_kinks else None)
        if len(sides) < len(drawn):
            seen = f"after {laws.SECONDS:g} seconds {len(sides)} of {len(drawn)} were looked at"
            law = law._replace(said="; ".join(filter(None, (law.said, seen))))
        said.append(law)
    if along is None:
        sides = laws.by_differences(rule, drawn)
        said.append(laws.compare("adjointness", sides, rule.inputs, own, kept))
    values, lines = found["primal value"], found["linearity"]
    if rule.traced and not isinstance(values, str) and not isinstance(lines, str):
        spreads = [
            (value[0][1], line[0][1] + line[1][1])
            for value, line in zip(values, lines, strict=True)
        ]
        seen = drawn[: len(spreads)]
        said += [law(rule, seen, spreads, own) for law in (laws.jit_law, laws.vmap_law)]
    return said
