"""A rule for derivatives as functions of flat vectors: its value, its pullback, what it is of."""

import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, JaxprEqn, jaxpr_as_fun
from jaxtyping import Array

from gdjax._compiler.interpreter import called, evaluate
from gdjax._util.errors import ArgumentError, first_line
from gdjax._util.types import Flat, Function, PyTree
from gdjax.certificates.leaves import Leaves, lifted
from gdjax.objectives.closures import unshared

CUSTOM = ("custom_jvp_call", "custom_vjp_call")
_OBJECTS = {jax.custom_vjp: "custom_vjp", jax.custom_jvp: "custom_jvp"}

FlatFunction = Callable[..., Any]  # of flat vectors


class Rule(NamedTuple):
    """A function with a rule for its derivatives, on flat vectors x ``(d,)`` and y ``(m,)``.

    Args:
        name: of the function.
        kind: ``custom_vjp``, ``custom_jvp``, ``pullback`` or ``autodiff``.
        inputs: what can be differentiated of the arguments.
        outputs: the same of what is returned.
        value: x → y, the function without its rules.
        pull: x, cotangent ``(m,)`` → the rule's y, cotangent ``(d,)``.
        push: x, tangent ``(d,)`` → the rule's y, tangent ``(m,)``; None where it has no such mode.
        apart: x, cotangent → cotangents ``(d,)`` with one argument differentiated at a time, and
            with one output used at a time; None where the rule is not told of either.
        raw: what the rule itself makes of integer arguments: → its cotangents; None if unknown.
        traced: whether JAX can trace it.
        mismatch: what is wrong with the layout of its cotangents, in words.
    """

    name: str
    kind: str
    inputs: Leaves
    outputs: Leaves
    value: FlatFunction
    pull: FlatFunction
    push: FlatFunction | None = None
    apart: FlatFunction | None = None
    raw: Callable[[], PyTree] | None = None
    traced: bool = True
    mismatch: str = ""


def rule_of(given: Any, args: tuple[PyTree, ...], held: Sequence[int] | None) -> Rule:
    """The rule that a user brings: a decorated function, any function, or a pair.

    Raises:
        ArgumentError: what is none of these, or cannot be called with the arguments.
    """
    pair = isinstance(given, tuple | list)
    if pair and (len(given) != 2 or not all(map(callable, given))):
        raise ArgumentError(
            f"fn must be a function or a pair (function, pullback), got {given!r:.200}"
        )
    if not pair and not callable(given):
        raise ArgumentError(
            f"fn must be a function or a pair (function, pullback), got {given!r:.200}"
        )
    fn = given[0] if pair else given
    core = _undressed(fn)
    name = getattr(fn, "__name__", "function")
    own = getattr(core, "nondiff_argnums", ())
    still = {*own, *_places(held, len(args))}
    inputs = Leaves(lifted(args), _names(core, len(args)), still)
    if not inputs.size:
        raise ArgumentError(
            f"{name} has no argument of floats to be differentiated, got {args!r:.200}"
        )
    outputs, traced = _outputs(fn, name, inputs)
    on_flat = unshared(lambda x: outputs.flatten(fn(*inputs.join(x))))
    if pair:
        return _pair(name, fn, given[1], inputs, outputs, on_flat, traced)
    kind = next((word for cls, word in _OBJECTS.items() if isinstance(core, cls)), "")
    kind = kind or _kind_inside(on_flat, inputs.flat) or "autodiff"

    def pull(x: Flat, u: Flat) -> tuple[Flat, Flat]:
        value, back = jax.vjp(on_flat, x)
        return value, back(u)[0]

    def push(x: Flat, v: Flat) -> tuple[Array, Array]:
        return jax.jvp(on_flat, (x,), (v,))

    return Rule(
        name, kind, inputs, outputs, _undecorated(on_flat), pull,
        push=push if kind == "custom_jvp" else None,
        apart=None if kind == "autodiff" else _apart(fn, inputs, outputs),
        raw=_raw(core, inputs, outputs), traced=traced,
    )  # fmt: skip


def _pair(
    name: str,
    fn: Function,
    pullback: Function,
    inputs: Leaves,
    outputs: Leaves,
    value: FlatFunction,
    traced: bool,
) -> Rule:
    """The rule of a function and its pullback, which returns cotangents, or a value and a map."""
    args = inputs.join(inputs.flat)
    one = outputs.join(np.ones(outputs.structure.size), dual=True)
    both = _takes(pullback, [*args, one])
    if both and _takes(pullback, args):  # *args take both, so what comes back has to tell
        both = not _gives_value_and_pull(pullback, args)

    def cotangents(x: Flat, u: Flat) -> tuple[PyTree, PyTree]:
        args, cotangent = inputs.join(x), outputs.join(u, dual=True)
        if both:
            return fn(*args), _tupled(pullback(*args, cotangent), args)
        result, pull = pullback(*args)
        return result, _tupled(pull(cotangent), args)

    def pull(x: Flat, u: Flat) -> tuple[Flat, Flat]:
        result, found = cotangents(x, u)
        return outputs.flatten(result), inputs.flatten(found, dual=True)

    u = np.ones(outputs.structure.size)
    try:
        given = cotangents(inputs.flat, u)[1]
    except ArgumentError:
        raise
    except Exception as error:
        raise ArgumentError(f"the pullback of {name} fails: {first_line(error)}") from error
    mismatch = inputs.mismatch(given)
    try:
        traced = traced and not mismatch and jax.eval_shape(pull, inputs.flat, u) is not None
    except Exception:  # on the host, then
        traced = False
    return Rule(
        name, "pullback", inputs, outputs, value, unshared(pull) if traced else pull,
        raw=lambda: given, traced=traced, mismatch=mismatch,
    )  # fmt: skip


def _gives_value_and_pull(pullback: Function, args: Sequence[PyTree]) -> bool:
    try:
        found = pullback(*args)
    except Exception:  # it misses the cotangent
        return False
    return isinstance(found, tuple) and len(found) == 2 and callable(found[1])


def _tupled(found: PyTree, args: tuple[PyTree, ...]) -> PyTree:
    """Cotangents as a tuple, one for each argument; None stands for those of all its leaves."""
    if not isinstance(found, tuple) or (len(args) == 1 and isinstance(args[0], tuple)
                                        and len(found) != 1):  # fmt: skip
        found = (found,)
    if len(found) != len(args):
        raise ArgumentError(
            f"a pullback must return one cotangent for each of {len(args)} arguments, "
            f"got {len(found)}"
        )
    pairs = zip(found, args, strict=True)
    return tuple(jax.tree.map(lambda _: None, arg) if ct is None else ct for ct, arg in pairs)


def _takes(fn: Function, args: Sequence[PyTree]) -> bool:
    try:
        inspect.signature(fn).bind(*args)
    except TypeError:
        return False
    except ValueError:  # it has no signature
        return True
    return True


def _places(held: Sequence[int] | None, count: int) -> Collection[int]:
    """The numbers of the arguments that are held constant."""
    held = [held] if isinstance(held, int) else [*(held or ())]
    for place in held:
        if not isinstance(place, int) or not -count <= place < count:
            raise ArgumentError(
                f"nondiff_argnums must be numbers of arguments, below {count}, got {place!r:.200}"
            )
    return {place % count for place in held}


def _undressed(fn: Any) -> Any:
    """The function under ``jax.jit`` and ``functools.partial`` that has the rule."""
    while not isinstance(fn, tuple(_OBJECTS)) and hasattr(fn, "__wrapped__"):
        fn = fn.__wrapped__
    return fn


def _names(fn: Any, count: int) -> list[str]:
    """What a function calls its arguments."""
    try:
        parameters = [*inspect.signature(fn).parameters.values()]
    except (TypeError, ValueError):
        parameters = []
    found = []
    for i in range(count):
        last = parameters[min(i, len(parameters) - 1)] if parameters else None
        if last is None or last.kind == last.KEYWORD_ONLY:
            found.append(f"args[{i}]")
        elif last.kind == last.VAR_POSITIONAL:
            found.append(f"{last.name}[{i - len(parameters) + 1}]")
        else:
            found.append(last.name)
    return found


def _outputs(fn: Function, name: str, inputs: Leaves) -> tuple[Leaves, bool]:
    """What is returned, and whether it can be compiled as it is.

    A callback may run in a thread of XLA's, where JAX has single precision again.
    """
    x = inputs.flat
    try:
        closed, like = jax.make_jaxpr(lambda x: fn(*inputs.join(x)), return_shape=True)(x)
        traced = "_callback[" not in str(closed)
        like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), like)
    except Exception as error:
        try:
            like, traced = fn(*inputs.join(x)), False
        except Exception:
            raise ArgumentError(
                f"{name} cannot be called with these arguments: {first_line(error)}"
            ) from error
    outputs = Leaves(lifted(like), "output")
    if not outputs.size:
        raise ArgumentError(f"{name} must return floats, got {like!r:.200}")
    return outputs, traced


def _rules_in(closed: ClosedJaxpr, x: Flat) -> list[str]:
    """The names of the rules that a traced function calls."""
    met: list[str] = []

    def rule(eqn: JaxprEqn, operands: list[Any]) -> list[Any] | None:
        if eqn.primitive.name not in CUSTOM:
            return None
        met.append(eqn.primitive.name)
        return _called_alone(eqn, operands)

    jax.eval_shape(lambda x: evaluate(closed, [x], rule), x)
    return met


def _kind_inside(value: FlatFunction, x: np.ndarray) -> str:
    """The kind of the rule that a function calls which is decorated within."""
    met = _rules_in(jax.make_jaxpr(value)(x), x)
    return "custom_vjp" if CUSTOM[1] in met else "custom_jvp" if met else ""


def _called_alone(eqn: JaxprEqn, operands: list[Any]) -> list[Any]:
    """What a decorated function returns, its rule left out; the rules within it stay."""
    inner: Any = called(eqn)
    return jaxpr_as_fun(inner)(*operands)


def _undecorated(value: FlatFunction) -> FlatFunction:
    """The same function without its outermost rules."""

    def plain(x: Flat) -> Flat:
        closed = jax.make_jaxpr(value)(x)
        rule = lambda eqn, ops: _called_alone(eqn, ops) if eqn.primitive.name in CUSTOM else None  # noqa: E731
        return evaluate(closed, [jnp.asarray(x)], rule)[0]

    return plain


def _apart(fn: Function, inputs: Leaves, outputs: Leaves) -> FlatFunction:
    """Cotangents with one argument at a time, and as the sum of those of one output at a time."""

    def apart(x: Flat, u: Flat) -> tuple[Array, Array]:
        numbers, cotangents = inputs.structure.unflatten(x), outputs.structure.unflatten(u)

        def by_argument(name: str) -> Array:
            def value(one: Array) -> Flat:
                return outputs.flatten(fn(*inputs.join(numbers | {name: one})))

            return jnp.ravel(jax.vjp(value, numbers[name])[1](u)[0])

        def by_output(name: str) -> Array:
            def value(x: Array) -> Array:
                return outputs.pick(fn(*inputs.join(x)), name)

            return jax.vjp(value, x)[1](jnp.ravel(cotangents[name]))[0]

        one = jnp.concatenate([by_argument(name) for name in inputs.parts])
        return one, sum(map(by_output, outputs.parts), jnp.zeros(()))

    return apart


def _raw(core: Any, inputs: Leaves, outputs: Leaves) -> Callable[[], PyTree] | None:
    """The cotangents as a ``custom_vjp`` returns them; JAX itself drops those of integers."""
    if not isinstance(core, jax.custom_vjp) or getattr(core, "symbolic_zeros", False):
        return None
    forward, backward = getattr(core, "fwd", None), getattr(core, "bwd", None)
    if forward is None or backward is None:
        raise ArgumentError(f"{getattr(core, '__name__', 'fn')} has no rule: call its defvjp first")

    def raw() -> PyTree:
        args = inputs.join(inputs.flat)
        static = [args[i] for i in core.nondiff_argnums]
        _, residuals = forward(*args)
        cotangent = outputs.join(np.ones(outputs.structure.size), dual=True)
        found = iter(backward(*static, residuals, cotangent))
        every = [None if i in core.nondiff_argnums else next(found) for i in range(len(args))]
        return _tupled(tuple(every), args)

    return raw
