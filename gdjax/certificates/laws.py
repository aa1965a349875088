"""The laws that a rule for derivatives must obey, each held against what roundings can do."""

import functools
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gdjax._util.errors import first_line
from gdjax.certificates import host
from gdjax.certificates.arithmetic import Unit, spread, with_noise
from gdjax.certificates.conclusion import Own
from gdjax.certificates.estimates import COMPILER_OPTIONS, ROUNDINGS, SAMPLES
from gdjax.certificates.leaves import Leaves
from gdjax.certificates.loops import ending, enough, has_loop
from gdjax.certificates.pullbacks import Rule
from gdjax.certificates.rule_report import Law

SHARE = 0.25  # a comparison decides nothing if its roundings may amount to more than this
A, B = 0.75, -1.5  # of linearity
HOST = 1e-9  # of a number: what a rule on the host may round
SECONDS = 60.0  # that the laws may take

Sides = tuple[Any, Any]  # what must be equal, each a vector
Drawn = list[tuple[np.ndarray, ...]]  # x, u, w and v of every set of arguments
Measured = tuple[np.ndarray, np.ndarray]  # exact results, and how far roundings move them
Along = Callable[..., Any]  # x, v → J v of a function without its rule


class Case:
    """A rule at one x, with cotangents u and w and a tangent v; nothing is computed twice."""

    def __init__(self, rule: Rule, along: Along | None, *drawn: Any) -> None:
        self.rule, self.along = rule, along
        self.x, self.u, self.w, self.v = drawn

    @functools.cached_property
    def pulled(self) -> tuple[Any, Any]:
        """The rule's value, and its cotangent for u."""
        return self.rule.pull(self.x, self.u)

    @functools.cached_property
    def pushed(self) -> tuple[Any, Any]:
        """The rule's value, and its tangent for v."""
        assert self.rule.push is not None
        return self.rule.push(self.x, self.v)

    def primal(self) -> Sides:
        """The rule's value, and the function's."""
        return self.pulled[0], self.rule.value(self.x)

    def linear(self) -> Sides:
        """The pullback of a sum, and the sum of pullbacks."""
        both = self.rule.pull(self.x, A * self.u + B * self.w)[1]
        return both, A * self.pulled[1] + B * self.rule.pull(self.x, self.w)[1]

    def linear_forward(self) -> Sides:
        """The same in forward mode, with the tangent v and v in the other order."""
        push, other = self.rule.push, self.v[::-1]
        assert push is not None
        both = push(self.x, A * self.v + B * other)[1]
        return both, A * self.pushed[1] + B * push(self.x, other)[1]

    def forward(self) -> Sides:
        """The rule's tangent, and the function's."""
        assert self.along is not None
        return self.pushed[1], self.along(self.x, self.v)

    def adjoint(self) -> Sides:
        """⟨u, J v⟩ and ⟨Jᵀu, v⟩, with v within one part of the arguments at a time."""
        along, owners = self.along, self.rule.inputs.owners
        assert along is not None
        tangents = [jnp.where(owners == k, self.v, 0.0) for k in range(owners[-1] + 1)]
        left = [jnp.vdot(self.u, along(self.x, v)) for v in tangents]
        return jnp.stack(left), jnp.stack([jnp.vdot(self.pulled[1], v) for v in tangents])

    def apart(self) -> Sides:
        """Cotangents with one argument and with one output at a time, and those of all at once."""
        assert self.rule.apart is not None
        found = self.rule.apart(self.x, self.u)
        return jnp.concatenate(found), jnp.tile(self.pulled[1], 2)


def bounded(rule: Rule, drawn: Drawn) -> Rule:
    """The rule, with loops that end after ten times as many turns as they need; then it is NaN."""
    xs, us = (np.stack([one[k] for one in drawn]) for k in (0, 1))
    try:
        if not rule.traced or not has_loop(jax.make_jaxpr(rule.pull)(xs[0], us[0])):
            return rule
        at = np.concatenate([xs, us], axis=1)
        turns = enough(lambda z: rule.pull(*jnp.split(z, [xs.shape[1]])), at)
    except Exception:  # what it does with values, or in a batch, other laws say
        return rule
    ways = {name: getattr(rule, name) for name in ("value", "pull", "push", "apart")}
    return rule._replace(**{name: ending(fn, turns) for name, fn in ways.items() if fn})


def equations(rule: Rule, along: Along | None) -> dict[str, tuple[Callable[[Case], Sides], Leaves]]:
    """The laws that are equations between vectors, and what their components are.

    Args:
        rule: whose.
        along: x, v → J v of the undecorated function; None where only differences give it.
    """
    found = {
        "primal value": (Case.primal, rule.outputs),
        "linearity": (Case.linear, rule.inputs),
    }
    if rule.push is not None:
        found["linearity, forward"] = (Case.linear_forward, rule.outputs)
        if along is not None:
            found["forward mode"] = (Case.forward, rule.outputs)
    if along is not None:
        found["adjointness"] = (Case.adjoint, rule.inputs)
    if rule.apart is not None and len(rule.inputs.parts) + len(rule.outputs.parts) > 2:
        found["one at a time"] = (Case.apart, rule.inputs)
    return found


@np.errstate(all="ignore")
def measure(
    rule: Rule, along: Along | None, asked: dict[str, Callable[[Case], Sides]], drawn: Drawn
) -> dict[str, list | str]:
    """Both sides of equations with their roundings, at every x, u, w and v.

    Returns:
        Of each equation, for each of them two pairs: the exact side, and how far 32 roundings of
        every operation, or where it runs on the host roundings of x, move it. Or why it fails.
        Those that are left when the budget is spent, in seconds, are not looked at.
    """
    if not rule.traced:
        return {name: _on_host(rule, sides, drawn) for name, sides in asked.items()}
    stacked = [np.concatenate(one) for one in drawn]
    sizes = np.cumsum([len(one) for one in drawn[0]])[:-1]

    def sides(z: Any, asked: Iterable[Callable[[Case], Sides]]) -> list[Any]:
        case = Case(rule, along, *jnp.split(z, sizes))
        return [jnp.asarray(side) for equation in asked for side in equation(case)]

    found: dict[str, list | str] = {}
    for name, equation in asked.items():
        try:
            jax.make_jaxpr(functools.partial(sides, asked=[equation]))(stacked[0])
        except Exception as error:
            found[name] = first_line(error)
    names = [name for name in asked if name not in found]
    every = functools.partial(sides, asked=[asked[name] for name in names])
    noisy, count = with_noise(jax.make_jaxpr(every)(stacked[0]))
    unit, rng = Unit.of("float64"), np.random.default_rng(0)

    @functools.partial(jax.jit, compiler_options=COMPILER_OPTIONS)
    def compiled(z: Any, numbers: Any) -> Any:
        return lax.map(lambda one: noisy(z, one, ROUNDINGS, unit), numbers)

    rows, begun = [], time.monotonic()
    for z in stacked:
        if rows and time.monotonic() - begun > SECONDS:
            break
        numbers = rng.integers(-127, 128, (1 + SAMPLES, count), dtype=np.int8)
        numbers[0] = 0  # the exact result comes first
        rows.append([spread(np.asarray(side)) for side in compiled(z, numbers)])
    for i, name in enumerate(names):
        found[name] = [row[2 * i : 2 * i + 2] for row in rows]
    return found


@np.errstate(all="ignore")
def _on_host(rule: Rule, equation: Callable[[Case], Sides], drawn: Drawn) -> list | str:
    """The same of what cannot be traced, by roundings of x."""
    rng, rows, begun = np.random.default_rng(0), [], time.monotonic()
    try:
        for x, *others in drawn:
            if rows and time.monotonic() - begun > SECONDS:
                break
            found = []
            for scale in (0.0, *[ROUNDINGS * Unit.of("float64").rounding] * 3):
                at = x * (1 + scale * rng.uniform(-1, 1, x.shape))
                sides = equation(Case(rule, None, at, *others))
                found.append([np.asarray(side, float) for side in sides])
            measured = [spread(np.stack(sides)) for sides in zip(*found, strict=True)]
            rows.append([(at, off + HOST * np.linalg.norm(at)) for at, off in measured])
    except Exception as error:
        return first_line(error)
    return rows


@np.errstate(all="ignore")
def compare(
    name: str, found: list, leaves: Leaves, own: Own, kept: np.ndarray | None = None
) -> Law:
    """Whether two sides are equal to within roundings, at every set of arguments.

    Args:
        name: of the law.
        found: as ``measure`` returns it.
        leaves: what the components are; where there are fewer, one a part.
        own: what the user grants beside.
        kept: the sets of arguments that decide, ``(n,)``; by default all.
    """
    left, right = ([np.stack([one[i][k] for one in found]) for k in (0, 1)] for i in (0, 1))
    size = np.fmax(np.abs(left[0]), np.abs(right[0]))
    gap = np.abs(left[0] - right[0])
    same = (left[0] == right[0]) | (np.isnan(left[0]) & np.isnan(right[0]))
    gap = np.where(same, 0.0, np.where(np.isfinite(gap), gap, np.inf))
    rounding = left[1] + right[1] + 8 * np.finfo(float).eps * size
    rounding = np.where(np.isnan(rounding), np.where(np.isinf(gap), 0.0, np.inf), rounding)
    allowed = rounding + own.atol + own.rtol * np.abs(right[0])
    counts = np.ones(len(gap), bool) if kept is None else kept[: len(gap)]
    wrong = (gap > allowed) & counts[:, None]
    decides = ((rounding <= SHARE * size) | same) & counts[:, None] & np.isfinite(size)
    if not wrong.any() and not decides.any():
        finite = np.isfinite(size).any() or not size.size
        why = "rounding leaves nothing to decide" if counts.any() else "as the derivative is here"
        why = why if finite else "the function is not finite"
        return Law(name, None, f"undecided: {why}")
    share = np.where(wrong if wrong.any() else decides, gap / np.fmax(allowed, 1e-300), -1.0)
    excess = np.where(wrong, gap / np.where(np.isfinite(size) & (size > 0), size, 1.0), -1.0)
    point, index = np.unravel_index(int((excess if wrong.any() else share).argmax()), gap.shape)
    scale = float(size[point, index]) or 1.0
    scale = scale if math.isfinite(scale) else 1.0
    parts = gap.shape[1] != leaves.structure.size and gap.shape[1] == len(leaves.parts)
    if parts:
        component = list(leaves.parts)[index]
        argument = leaves.parts[component].argument
    else:
        component = leaves.structure.names[index % leaves.structure.size]
        argument = leaves.argument(int(index) % leaves.structure.size)
    return Law(
        name, not wrong.any(), "", argument, component,
        float(gap[point, index] / scale), float(allowed[point, index] / scale),
    )  # fmt: skip


def by_differences(rule: Rule, drawn: Drawn) -> list:
    """Adjointness with J v from central differences of the function's own values."""
    value = jax.jit(rule.value) if rule.traced else rule.value
    on_host = lambda x: np.asarray(value(x), float)  # noqa: E731
    owners, found = rule.inputs.owners, []
    for x, u, _, v in drawn:
        back = np.asarray(rule.pull(x, u)[1], float)
        masks = np.arange(len(rule.inputs.parts))[:, None] == owners
        ways = np.where(masks, v, 0.0)
        reach = np.array([max(np.abs(x[mask]).max(), 1 / 128) if np.abs(x[mask]).max() else 1.0
                          for mask in masks])  # fmt: skip
        _, slopes = host.differences(lambda at, u=u: u @ on_host(at)[:, None], x, ways, reach)
        left = slopes.estimate[0]
        right = ways @ back
        found.append([(left, 5 * slopes.bound[0]), (right, np.zeros_like(right))])
    return found


def jit_law(rule: Rule, drawn: Drawn, spreads: list, own: Own) -> Law:
    """Whether the rule is the same under ``jax.jit``: to the bit, or to within roundings.

    Args:
        rule: whose.
        drawn: x, u, w and v of every set of arguments.
        spreads: how far roundings move the rule's value and its cotangent at each.
        own: what the user grants.
    """
    x, u = drawn[0][:2]
    plain = [np.asarray(part, float) for part in rule.pull(x, u)]
    try:
        fast = [np.asarray(part, float) for part in jax.jit(rule.pull)(x, u)]
    except Exception as error:
        return Law("jit", False, f"it fails under jit: {first_line(error)}")
    if all(np.array_equal(a, b, equal_nan=True) for a, b in zip(plain, fast, strict=True)):
        return Law("jit", True, "the same bits")
    laws = [
        compare("jit", [[(a, spread), (b, spread)]], leaves, own)
        for a, b, spread, leaves in zip(
            fast, plain, spreads[0], (rule.outputs, rule.inputs), strict=True
        )
    ]
    broken = [law for law in laws if law.ok is False]
    return broken[0] if broken else laws[1]._replace(ok=True, said="other bits, within rounding")


def vmap_law(rule: Rule, drawn: Drawn, spreads: list, own: Own) -> Law:
    """Whether many sets of arguments at once give what they give one by one."""
    xs, us = (np.stack([one[k] for one in drawn]) for k in (0, 1))
    try:
        batched = np.asarray(jax.jit(jax.vmap(rule.pull))(xs, us)[1], float)
    except Exception as error:
        try:
            jax.eval_shape(jax.vmap(rule.value), xs)
        except Exception as also:
            return Law("vmap", None, f"the function itself has no vmap: {first_line(also)}")
        return Law("vmap", False, f"it fails under vmap: {first_line(error)}")
    single = jax.jit(rule.pull)
    one_by_one = [np.asarray(single(x, u)[1], float) for x, u in zip(xs, us, strict=True)]
    pairs = zip(batched, one_by_one, spreads, strict=True)
    sides = [[(a, spread[1]), (b, spread[1])] for a, b, spread in pairs]
    return compare("vmap", sides, rule.inputs, own)


def integer_law(rule: Rule) -> Law:
    """Whether integers have no cotangent: None, ``float0`` or 0."""
    name = "integer arguments"
    if not rule.inputs.integers:
        return Law(name, None, "there is none")
    if rule.raw is None:
        return Law(name, True, "JAX gives them float0")
    odd = rule.inputs.nonzero_integers(rule.raw())
    if odd:
        said = f"the cotangent of {odd} must be None, float0 or 0, for it is no float"
        return Law(name, False, said, odd, odd, 1.0)
    return Law(name, True)


def signed(size: int, rng: np.random.Generator) -> np.ndarray:
    """Random numbers of either sign, none near 0, that single precision can hold."""
    numbers = rng.uniform(0.5, 1.5, size) * rng.choice([-1.0, 1.0], size)
    return numbers.astype(np.float32).astype(float)
