"""The laws that a rule for derivatives must obey, each held against what roundings can do."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gdjax._util.errors import first_line
from gdjax._util.types import Flat
from gdjax.certificates import host
from gdjax.certificates.arithmetic import Unit, with_noise
from gdjax.certificates.conclusion import Own
from gdjax.certificates.estimates import COMPILER_OPTIONS, ROUNDINGS, SAMPLES
from gdjax.certificates.leaves import Leaves
from gdjax.certificates.pullbacks import Rule
from gdjax.certificates.rule_report import Law

SHARE = 0.25  # a comparison decides nothing if its roundings may amount to more than this
A, B = 0.75, -1.5  # of linearity
HOST = 1e-9  # of a number: what a rule on the host may round

Sides = tuple[Any, Any]  # what must be equal, each a vector
Equation = Callable[..., Sides]  # x, u, u', v → two sides
Measured = tuple[np.ndarray, np.ndarray]  # exact results, and how far roundings move them


def equations(rule: Rule, along: Callable | None) -> dict[str, tuple[Equation, Leaves]]:
    """The laws that are equations between vectors, and what their components are.

    Args:
        rule: whose.
        along: x, v → J v of the undecorated function; None where only differences give it.
    """
    pull, push = rule.pull, rule.push
    found: dict[str, tuple[Equation, Leaves]] = {
        "primal value": (lambda x, u, w, v: (pull(x, u)[0], rule.value(x)), rule.outputs),
        "linearity": (
            lambda x, u, w, v: (
                pull(x, A * u + B * w)[1], A * pull(x, u)[1] + B * pull(x, w)[1],
            ),
            rule.inputs,
        ),
    }  # fmt: skip
    if push is not None:
        found["linearity, forward"] = (
            lambda x, u, w, v: (
                push(x, A * v + B * v[::-1])[1], A * push(x, v)[1] + B * push(x, v[::-1])[1],
            ),
            rule.outputs,
        )  # fmt: skip
        if along is not None:
            found["forward mode"] = (
                lambda x, u, w, v: (push(x, v)[1], along(x, v)),
                rule.outputs,
            )
    if along is not None:
        found["adjointness"] = (lambda x, u, w, v: _adjoint(rule, along, x, u, v), rule.inputs)
    if rule.apart is not None and len(rule.inputs.parts) + len(rule.outputs.parts) > 2:
        apart = rule.apart
        found["one at a time"] = (
            lambda x, u, w, v: (jnp.concatenate(apart(x, u)), jnp.tile(pull(x, u)[1], 2)),
            rule.inputs,
        )
    return found


def _adjoint(rule: Rule, along: Callable, x: Any, u: Any, v: Any) -> Sides:
    """⟨u, J v⟩ and ⟨Jᵀ u, v⟩ with v within one part of the arguments at a time."""
    owners, back = rule.inputs.owners, rule.pull(x, u)[1]
    masks = [owners == k for k in range(len(rule.inputs.parts))]
    left = [jnp.vdot(u, along(x, jnp.where(mask, v, 0.0))) for mask in masks]
    return jnp.stack(left), jnp.stack([jnp.vdot(back, jnp.where(mask, v, 0.0)) for mask in masks])


def measure(equation: Equation, drawn: list[tuple[np.ndarray, ...]], traced: bool) -> list:
    """Both sides of an equation with their roundings, at every x, u, u' and v.

    Returns:
        For each of them two pairs: the exact side, and how far 32 roundings of every operation,
        or where it runs on the host roundings of x, move it.
    """
    sizes = np.cumsum([len(one) for one in drawn[0]])[:-1]
    sides = lambda z: [jnp.asarray(side) for side in equation(*jnp.split(z, sizes))]  # noqa: E731
    stacked = np.stack([np.concatenate(one) for one in drawn])
    if not traced:
        return [_on_host(equation, one) for one in drawn]
    noisy, count = with_noise(jax.make_jaxpr(sides)(stacked[0]))
    unit, rng = Unit.of("float64"), np.random.default_rng(0)

    def all_of(z: Any, numbers: Any) -> Any:
        return lax.map(lambda one: noisy(z, one, ROUNDINGS, unit), numbers)

    compiled = jax.jit(all_of, compiler_options=COMPILER_OPTIONS)
    found = []
    for z in stacked:
        numbers = rng.integers(-127, 128, (1 + SAMPLES, count), dtype=np.int8)
        numbers[0] = 0
        found.append([_spread(np.asarray(side)) for side in compiled(z, numbers)])
    return found


@np.errstate(all="ignore")
def _spread(side: np.ndarray) -> Measured:
    return side[0], np.sqrt(np.mean((side[1:] - side[0]) ** 2, axis=0))


@np.errstate(all="ignore")
def _on_host(equation: Equation, drawn: tuple[np.ndarray, ...]) -> list[Measured]:
    rng, found = np.random.default_rng(0), []
    x, *others = drawn
    for scale in (0.0, *[ROUNDINGS * Unit.of("float64").rounding] * 3):
        at = x * (1 + scale * rng.uniform(-1, 1, x.shape))
        found.append([np.asarray(side, float) for side in equation(at, *others)])
    spreads = [_spread(np.stack(sides)) for sides in zip(*found, strict=True)]
    return [(exact, spread + HOST * np.linalg.norm(exact)) for exact, spread in spreads]


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
    counts = np.ones(len(gap), bool) if kept is None else kept
    wrong = (gap > allowed) & counts[:, None]
    decides = ((rounding <= SHARE * size) | same) & counts[:, None]
    if not wrong.any() and not decides.any():
        why = "rounding leaves nothing to decide" if counts.any() else "on a kink or a jump"
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


def by_differences(rule: Rule, drawn: list[tuple[np.ndarray, ...]]) -> list:
    """Adjointness with J v from central differences of the function's own values."""
    value = (jax.jit(rule.value) if rule.traced else rule.value)
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


def jit_law(rule: Rule, drawn: list[tuple[np.ndarray, ...]], spreads: list, own: Own) -> Law:
    """Whether the rule is the same under ``jax.jit``: to the bit, or to within roundings.

    Args:
        rule: whose.
        drawn: x, u, u' and v of every set of arguments.
        spreads: how far roundings move the rule's value and its cotangent at each.
        own: what the user grants.
    """
    x, u = drawn[0][:2]
    plain = [np.asarray(part, float) for part in rule.pull(x, u)]
    try:
        jitted = jax.jit(lambda x, u: rule.pull(x, u))
        fast = [np.asarray(part, float) for part in jitted(x, u)]
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


def vmap_law(rule: Rule, drawn: list[tuple[np.ndarray, ...]], spreads: list, own: Own) -> Law:
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
    single = jax.jit(lambda x, u: rule.pull(x, u)[1])
    one_by_one = [np.asarray(single(x, u), float) for x, u in zip(xs, us, strict=True)]
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


def flat_like(size: int, rng: np.random.Generator) -> Flat:
    """Random numbers of either sign, none near 0, that single precision can hold."""
    numbers = rng.uniform(0.5, 1.5, size) * rng.choice([-1.0, 1.0], size)
    return numbers.astype(np.float32).astype(float)
