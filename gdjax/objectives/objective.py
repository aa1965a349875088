"""What an objective is: a function of one point with everything known about it."""

import copy
import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, DTypeLike, Float

from gdjax._util.arguments import refused
from gdjax._util.display import Card, brief, shown
from gdjax._util.errors import ArgumentError, unknown
from gdjax._util.types import Flat, Function, PointFunction, PointLike, PyTree
from gdjax.objectives.closures import unshared
from gdjax.objectives.coordinates import Coordinates
from gdjax.objectives.domains import is_tree, middle_of, pairs_of
from gdjax.objectives.facts import RULES, Smoothness, check_inside, sides_in_words
from gdjax.objectives.minibatches import Training
from gdjax.objectives.structure import (
    Structure,
    component_names,
    is_flat,
    is_traced,
    named,
)
from gdjax.objectives.targets import as_target

GradientSide = Literal["autodiff", "hand"]
ValueAndGradient = Callable[[Array], tuple[Array, Array]]
REACH = 3.0  # coordinates around the start, for certificates
_MADE = (
    "value", "measured", "hand_gradient", "hand_hessian", "residual_vector", "minimum_values",
    "_autodiff", "_by_dtype", "_fns",
)  # fmt: skip


@shown
class Fit(NamedTuple):
    """The data behind a least-squares objective, and the curve that a point draws through it.

    Args:
        columns: the independent variables, each ``(n,)``, by name.
        response: the name of the dependent one.
        observed: its values, ``(n,)``.
        predict: point ``(d,)`` and columns → what the model says, ``(n,)``.
        sigma: the standard deviation of each observation, ``(n,)``; None where all are alike.
        absolute: whether these are known, and not only in relation to each other.
        robust: whether the loss makes less of residuals that are large.
        penalties: how many residuals follow those of the n observations.
    """

    columns: Mapping[str, np.ndarray]
    response: str
    observed: np.ndarray
    predict: Function
    sigma: np.ndarray | None = None
    absolute: bool = False
    robust: bool = False
    penalties: int = 0


@shown
@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Objective:
    """A function of one point, its hand-derived gradient, and what is known about it.

    It is a JAX pytree whose leaves are its ``args``; all else is static, and compares by
    identity. The function must be pure and written in ``jax.numpy``; it is never handed a
    batch (use ``jax.vmap``). Its data belong into ``args``, not into a closure: they are then
    no constants of what is compiled, and can be exchanged and differentiated.

    Args:
        name: what tables and pictures call it; by default the function's own name.
        fn: point ``(d,)`` and ``args`` → scalar of the point's dtype; by default the sum of the
            squares of ``residuals``.
        residuals: the same → residuals ``(n,)``, where the objective is the sum of their squares:
            what Gauss-Newton and Levenberg-Marquardt need.
        gradient: the same → gradient ``(d,)``, derived by hand; None if there is none.
        domain: one ``(low, high)`` pair a dimension, or a pytree like the start with such pairs,
            or arrays ``(…, 2)`` of them, for leaves; where starts are drawn and pictures look,
            and what lengths are measured by. Without one, a descent is lost only by numbers that
            are not finite, lengths are measured in ``max(1, |start|)``, and a start is needed.
        start: the customary first point ``(d,)``; by default well inside the domain, off every
            axis and diagonal on which a symmetric function would hold the path. It may be any
            pytree of arrays: then ``fn`` takes, and descents give back, points of that structure.
        args: what ``fn``, ``gradient`` and ``hessian`` are handed after the point: pytrees of
            arrays.
        minima: the global minimizers, each ``(d,)``.
        fmin: the value there; None where the function has no minimum.
        local_minima: the other known minimizers.
        saddles: known saddle points.
        maxima: known local maximizers.
        complete: whether these four lists hold every stationary point of the domain, kinks aside.
        smoothness: ``smooth``, ``removable`` (smooth, but a plain formula divides 0 by 0),
            ``kink`` (not differentiable somewhere, as at a jump, the minimum included) or
            ``smooth_at_min`` (kinks, but not at a minimum).
        kink: point ``(d,)`` → signed quantities ``(k,)`` whose zeros are the kinks and the jumps;
            None if smooth.
        hessian: point ``(d,)`` → Hessian ``(d, d)``, derived by hand; None if there is none.
        float32: whether single precision can resolve the landscape.
        latex: the formula, as LaTeX without dollar signs.
        gradient_latex: the gradient's formula likewise, where one was derived.
        variables: the names of the components; by default x and y, x1, x2, … in more than two,
            or the paths into the pytree that the start is, such as ``w1[0,3]``.
        coordinates: in which the optimizers move, where these are not the components themselves;
            the start must lie within their bounds. Points, gradients and values stay as they are.
        fit: the data, where the objective is the misfit of a curve to them.
        reference: where the function and its facts come from.
        bounded: whether the domain was given by a person or the catalogue. One that was guessed is
            drawn and sampled, but decides nothing: it is as if there were none.
        training: of a loss over data, its batches, initialisation and metric; see
            ``gdjax.problem``.
        target: what counts as success instead of the least value: a number to come down to, or a
            mapping from the metric's name to one to come up to, ``{"accuracy": 0.95}``.
        structure: how points of the start's structure lie flat; found by itself.

    Raises:
        ArgumentError: a domain that is not pairs ``low < high``, or a start or a stationary
            point that is not a finite point of the same dimension, or not one name a component.

    Example:
        >>> f = Objective(name="bowl", fn=lambda p: (p**2).sum(), domain=((-5, 5), (-5, 5)))
        >>> f.dim, float(f((3.0, 4.0)))
        (2, 25.0)
    """

    name: str = ""
    fn: Function = None  # pyright: ignore  # made of the residuals where it is not given
    residuals: Function | None = None
    gradient: Function | None = None
    domain: PyTree = None
    start: PointLike = None
    args: PyTree = ()
    minima: PyTree = ()
    fmin: float | None = None
    local_minima: PyTree = ()
    saddles: PyTree = ()
    maxima: PyTree = ()
    complete: bool = False
    smoothness: Smoothness = "smooth"
    kink: Function | None = None
    hessian: Function | None = None
    float32: bool = True
    latex: str = ""
    gradient_latex: str = ""
    variables: Sequence[str] = ()
    coordinates: Coordinates | None = None
    fit: Fit | None = None
    reference: str = ""
    bounded: bool = True
    training: Training | None = None
    target: PyTree = None  # a Target, once it is made
    structure: Structure | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__  # the instance is frozen; lists from YAML become tuples here
        for field, rule in RULES.items():
            put(self, field, rule(field, getattr(self, field)))
        if self.fn is None:
            put(self, "fn", _sum_of_squares(self.residuals))
        put(self, "name", self.name or getattr(self.fn, "__name__", "objective").strip("<>"))
        put(self, "args", _leaves(self.args, self.name))
        put(self, "target", as_target(self.target, self.training and self.training.metric))
        if isinstance(self.start, Mapping) and self.variables:
            put(self, "start", named(self.start, self.variables, "start"))
        if self.structure is None and not _plain(self.start):
            put(self, "structure", Structure(self.start))
        if self.domain is not None:
            if self.start is None and is_tree(self.domain):
                put(self, "structure", Structure(middle_of(self.domain), "domain"))
            put(self, "domain", pairs_of(self.domain, self.structure))
        else:
            put(self, "bounded", False)
        if self.domain is None and self.start is None:
            raise ArgumentError(
                f"{self.name} needs a domain, one (low, high) pair a dimension, or a start"
            )
        if self.start is None:
            sides = enumerate(pairs_of(self.domain))
            inside = tuple(a + (0.8 - 0.1 * (i % 2)) * (b - a) for i, (a, b) in sides)
            put(self, "start", inside)
        if not self.variables:
            structure = (
                self.structure if self.structure and self.structure.size == self.dim else None
            )
            put(self, "variables", structure.names if structure else component_names(self.dim))
        put(self, "variables", tuple(self.variables))
        if len(self.variables) != self.dim or len(set(self.variables)) != self.dim:
            raise ArgumentError(
                f"variables must be different names, one for each of the {self.dim} "
                f"{'(low, high) pairs of the domain' if self.domain else 'components'}, "
                f"got {', '.join(self.variables)}"
            )
        if self.coordinates is not None:
            self._check_coordinates(self.coordinates)
        put(self, "start", self.check_point(self.start, "start"))
        for kind in ("minima", "local_minima", "saddles", "maxima"):
            points = getattr(self, kind)
            known = () if points is None else points
            try:
                if isinstance(known, str | Mapping):
                    raise TypeError
                put(self, kind, tuple(self.check_point(point, kind) for point in known))
            except TypeError:
                raise refused(kind, "be a list of points", points) from None
            if self.bounded and "minima" in kind:
                check_inside(kind, getattr(self, kind), self.domain)

    def _check_coordinates(self, coordinates: Coordinates) -> None:
        if not isinstance(coordinates, Coordinates):
            raise refused("coordinates", "be objectives.Coordinates", coordinates)
        if self.structure is not None:
            raise ArgumentError(
                f"coordinates need points that are vectors; those of {self.name} are "
                f"{self.structure}"
            )
        if len(coordinates.scale) != self.dim:
            raise ArgumentError(
                f"coordinates must have {self.dim} components, as {self.name} has, "
                f"got {len(coordinates.scale)}"
            )

    def __call__(self, point: PointLike) -> Float[Array, ""]:
        """The value at one point, ``(d,)`` or of the structure of the start."""
        if self.structure is not None and not is_flat(point):
            return self.fn(point, *self.args)
        return self.value(jnp.asarray(point, dtype=float) if isinstance(point, Sequence) else point)

    def __getstate__(self) -> dict[str, object]:
        """What is copied and pickled: all but the functions that were made of it on the way."""
        return {key: value for key, value in self.__dict__.items() if key not in _MADE}

    def _card(self) -> Card:
        f = self
        names = f.variables if f.dim <= 6 else (f.variables[0], "…", f.variables[-1])
        guessed = "" if f.bounded or f.domain is None else ", guessed"
        derived = {"gradient": f.gradient, "Hessian": f.hessian}
        return Card(
            f"Objective {f.name}, of {f.dim} variable{'s' * (f.dim > 1)}: {', '.join(names)}",
            {
                "formula": f"${f.latex}$" if f.latex else None,
                "domain": sides_in_words(f.domain) + guessed
                if f.domain
                else "none: a descent is never out of bounds",
                "start": f.start,
                "f*": f.fmin,
                "target": f.target,
                "minima": _few(f.minima),
                "local minima": _few(f.local_minima),
                "saddles": _few(f.saddles),
                "maxima": _few(f.maxima),
                "coordinates": f.coordinates,
                "by hand": ", ".join(name for name, hand in derived.items() if hand)
                or "no derivative",
                "smoothness": f.smoothness,
                "args": f.args,
                "fit": f.fit and f"{f.fit.response} over {', '.join(f.fit.columns)}",
                "dtype": None if f.float32 else "needs float64",
                "reference": f.reference,
            },
        )

    @property
    def dim(self) -> int:
        """The number of dimensions d."""
        if self.domain is not None:
            return len(self.domain)
        return self.structure.size if self.structure else len(self.start)

    @property
    def center(self) -> np.ndarray:
        """The middle of the domain, ``(d,)``; the start where it is not bounded."""
        return np.mean(self.domain, axis=1) if self.bounded else np.asarray(self.start)

    @property
    def width(self) -> np.ndarray:
        """The unit of length on each axis ``(d,)``: the domain's side, else ``max(1, |start|)``."""
        return np.asarray(self.width_from(np.asarray(self.start)))

    def width_from(self, start: Flat) -> Flat:
        """The unit of length of descents from one start ``(d,)``, or from each of ``(n, d)``."""
        if self.bounded:
            return np.ptp(self.domain, axis=1)
        xp = np if isinstance(start, np.ndarray) else jnp
        return xp.maximum(1, xp.abs(start))

    @property
    def known_minima(self) -> np.ndarray:
        """Every known minimizer ``(k, d)``: the global ones first, then the local ones."""
        return np.asarray([*self.minima, *self.local_minima], dtype=float).reshape(-1, self.dim)

    @functools.cached_property
    def minimum_values(self) -> Flat:
        """The value at every known minimizer, ``(k,)``, in float64 unless the data are traced.

        Like the minimizers, they belong to the data that the objective was made with.
        """
        if self is not self._origin:
            return self._origin.minimum_values
        local = self.known_minima if self.fmin is None else self.known_minima[len(self.minima) :]
        known = np.full(len(self.known_minima) - len(local), self.fmin, float)
        if not len(local):
            return known
        if is_traced(self.args):
            return jnp.append(known, jax.vmap(self.value)(jnp.asarray(local)))
        with jax.enable_x64(True), jax.ensure_compile_time_eval():
            return np.append(known, jax.jit(jax.vmap(self.cast(float).value))(local))

    def needs_domain(self, what: str) -> np.ndarray:
        """The domain as pairs ``(d, 2)``, or an ArgumentError that says what needs one."""
        if self.domain is None:
            raise ArgumentError(
                f"{what} needs a domain, and {self.name} has none; hand over "
                f"gdjax.Objective(fn=..., domain=[(low, high), ...])"
            )
        return np.asarray(self.domain)

    def check_point(self, point: PointLike, argument: str = "start") -> tuple[float, ...]:
        """``point`` as a tuple of d finite floats, or an ArgumentError naming ``argument``."""
        point = self._as_flat(point, argument)
        try:  # an array gives its numbers one by one, but slowly
            if isinstance(point, str | bytes | set | frozenset):
                raise TypeError
            found = point.tolist() if hasattr(point, "tolist") else tuple(point)
            if not {str, bytes}.isdisjoint(map(type, found)):
                raise TypeError
            values = tuple(map(float, found))
        except (TypeError, ValueError, OverflowError):
            raise ArgumentError(
                f"{argument} must be a list of {self.dim} number{'s' * (self.dim > 1)}, "
                f"got {point!r:.200}"
            ) from None
        if len(values) != self.dim:
            shown = f": {values}" if len(values) <= 12 else ""
            raise ArgumentError(
                f"{argument} must have {self.dim} component{'s' * (self.dim > 1)}, "
                f"as {self.name} has, got {len(values)}{shown}"
            )
        if not all(map(math.isfinite, values)):
            raise ArgumentError(f"{argument} must be finite, got {values}")
        if self.coordinates is not None and argument.startswith("start"):
            self.coordinates.check_inside(values, self.variables)
        return values

    def flat(self, point: PointLike, argument: str = "start") -> Flat:
        """A point as one vector ``(d,)``: NumPy's of finite floats, or JAX's where it is traced.

        Raises:
            ArgumentError: a point of another structure or dimension, or one that is not finite.
        """
        if not is_traced(point):
            return np.array(self.check_point(point, argument))
        vector = jnp.asarray(self._as_flat(point, argument), dtype=float)
        if vector.shape != (self.dim,):
            raise ArgumentError(f"{argument} must have shape ({self.dim},), got {vector.shape}")
        return vector

    def _as_flat(self, point: PointLike, argument: str) -> PointLike:
        if self.structure is not None and not is_flat(point):
            return self.structure.flatten(point, argument)
        if type(point) is not tuple and isinstance(point, Mapping):
            return named(point, self.variables, argument)
        return point

    def shaped(self, points: Flat) -> PyTree:
        """Flat points ``(…, d)`` in the structure of the start; as they are if it is a vector."""
        return points if self.structure is None else self.structure.unflatten(points)

    def flattened(self, points: PyTree) -> PyTree:
        """Points ``(n, d)`` of what ``shaped`` gives; as they are if they are flat already."""
        flat = isinstance(points, np.ndarray | jax.Array) and points.ndim == 2
        if self.structure is None or flat:
            return points
        return self.structure.flatten(points, "points", batched=True)

    def with_args(self, *args: PyTree) -> "Objective":
        """The same objective over other data; of equal shapes, nothing is compiled again.

        Example:
            >>> f = Objective(fn=lambda p, c: c * (p**2).sum(), start=(1.0, 2.0), args=(3.0,))
            >>> float(f((1.0, 2.0))), float(f.with_args(10.0)((1.0, 2.0)))
            (15.0, 50.0)
        """
        return _unflatten(self._origin, _leaves(args, self.name))

    def in_coordinates(self) -> "Objective":
        """The same as a function of the coordinates v that optimizers move in: v → f(T(v)).

        Its gradient by hand is T′(v) ∇f(T(v)), so that a certificate holds for both.

        Raises:
            ArgumentError: where optimizers move in the components themselves.

        Example:
            >>> within = Coordinates([1.0], [(0.0, math.inf)])
            >>> f = Objective(fn=lambda x: x[0] ** 2, start=(2.0,), coordinates=within)
            >>> g = f.in_coordinates()
            >>> round(float(g(g.start)), 4)
            4.0
        """
        within = self.coordinates
        if within is None:
            raise ArgumentError(f"{self.name} has no coordinates but its components")
        fn, gradient, at = self.fn, self.gradient, within.inward(jnp.asarray(self.start, float))

        def derived(v: Array, *args: PyTree) -> Array:
            assert gradient is not None
            return within.slope(v) * gradient(within.outward(v), *args)

        return Objective(
            name=f"{self.name}_in_coordinates",
            fn=lambda v, *args: fn(within.outward(v), *args),
            gradient=gradient and derived,
            domain=[(v - REACH, v + REACH) for v in at.tolist()],
            bounded=False,
            start=at,
            args=self.args,
            variables=self.variables,
            reference=f"{self.reference}; {within}",
        )

    def cast(self, dtype: DTypeLike) -> "Objective":
        """The same with the floats among its data in that dtype, and integers no wider."""
        if not self.args:
            return self
        kept = self.__dict__.setdefault("_by_dtype", {})
        key = np.dtype(dtype)
        if is_traced(self.args):
            return _unflatten(self._origin, jax.tree.map(lambda x: _as_wide(x, key), self.args))
        if key not in kept:
            with jax.ensure_compile_time_eval():  # the caller may be tracing, and this is kept
                args = jax.tree.map(lambda x: _as_wide(x, key), self.args)
            kept[key] = _unflatten(self._origin, args)
        return kept[key]

    @property
    def in_batches(self) -> bool:
        """Whether a step sees only some of the data."""
        return self.training is not None and self.training.batch is not None

    def at_step(self, step: ArrayLike) -> "Objective":
        """The same objective over the data that a step sees."""
        if self.training is None:
            return self
        return _unflatten(self._origin, self.training.batch_of(self.args, step))

    @property
    def _origin(self) -> "Objective":
        """The one that all copies with other data share: what is static about them."""
        return self.__dict__.get("_shared", self)

    @functools.cached_property
    def value(self) -> PointFunction:
        """Flat point ``(d,)`` → value, with the data in place."""
        return self._on_flat(self.fn)

    @functools.cached_property
    def measured(self) -> PointFunction:
        """Flat point ``(d,)`` → what the target is of, the value or the metric, over all data."""
        if self.target is None or not self.target.metric:
            return self.value
        return self._on_flat(self.training.metric)  # pyright: ignore

    @functools.cached_property
    def hand_gradient(self) -> PointFunction | None:
        """Flat point ``(d,)`` → hand-derived gradient ``(d,)``, with the data in place."""
        if self.gradient is None or self.structure is None:
            return self.gradient and self._on_flat(self.gradient)
        derived, structure = self._on_flat(self.gradient), self.structure
        return lambda point: structure.flatten(derived(point), f"the gradient of {self.name}")

    @functools.cached_property
    def hand_hessian(self) -> PointFunction | None:
        """Flat point ``(d,)`` → hand-derived Hessian ``(d, d)``, with the data in place."""
        return self.hessian and self._on_flat(self.hessian)

    @functools.cached_property
    def residual_vector(self) -> PointFunction | None:
        """Flat point ``(d,)`` → residuals ``(n,)``, with the data in place."""
        return self.residuals and self._on_flat(self.residuals)

    def _on_flat(self, fn: Function) -> PointFunction:
        args, structure, kept = (
            self.args,
            self.structure,
            self._origin.__dict__.setdefault("_fns", {}),
        )
        fn = kept.setdefault(id(fn), unshared(fn))
        if structure is not None:
            return lambda point: fn(structure.unflatten(point), *args)
        return (lambda point: fn(point, *args)) if args else fn

    @functools.cached_property
    def _autodiff(self) -> ValueAndGradient:
        """Made once: making it takes a tenth of a whole short descent."""
        return jax.value_and_grad(self.value)

    def value_and_gradient(self, side: GradientSide = "autodiff") -> ValueAndGradient:
        """A function point → (value, gradient), the gradient by ``autodiff`` or by ``hand``.

        Raises:
            ArgumentError: another word, or ``hand`` where the objective has no hand-derived one.
        """
        if isinstance(side, str) and side == "autodiff":
            return self._autodiff
        if not isinstance(side, str) or side != "hand":
            raise unknown("gradient", side, ("autodiff", "hand"))
        value, hand = self.value, self.hand_gradient
        if hand is None:
            raise ArgumentError(
                f"gradient='hand' needs a hand-derived gradient, and {self.name} has none; "
                f"use 'autodiff'"
            )
        return lambda point: (value(point), hand(point))


def _flatten(objective: Objective) -> tuple[tuple[PyTree, ...], Objective]:
    return (objective.args,), objective._origin


def _flatten_with_keys(objective: Objective) -> tuple[tuple[PyTree, ...], Objective]:
    return ((jax.tree_util.GetAttrKey("args"), objective.args),), objective._origin


def _unflatten(origin: Objective, args: PyTree) -> Objective:
    made = copy.copy(origin)
    made.__dict__.update(args=args, _shared=origin)
    return made


jax.tree_util.register_pytree_with_keys(
    Objective, _flatten_with_keys, lambda origin, parts: _unflatten(origin, *parts), _flatten
)


def _sum_of_squares(residuals: Function | None) -> Function:
    if residuals is None:
        raise ArgumentError("fn must be a function of a point, or residuals be given; got neither")

    @functools.wraps(residuals)
    def fn(point: PyTree, *args: PyTree) -> Array:
        return jnp.sum(jnp.asarray(residuals(point, *args)) ** 2)

    return fn


def _leaves(args: PyTree, name: str) -> tuple[PyTree, ...]:
    """What is handed over after the point, as a tuple of pytrees of arrays."""
    args = args if isinstance(args, tuple | list) else () if args is None else (args,)

    def array(leaf: PyTree) -> Flat:
        found = leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)
        if np.dtype(found.dtype).kind not in "fiubc":
            raise ArgumentError(f"args of {name} must be arrays of numbers, got {leaf!r:.100}")
        return found

    return jax.tree.map(array, tuple(args))


def _as_wide(array: Flat, dtype: np.dtype) -> Flat:
    """An array of floats in that dtype, and of others as JAX has them beside it."""
    kind = np.dtype(array.dtype)
    if kind.kind == "f":
        return array.astype(dtype)
    if kind.itemsize == (16 if kind.kind == "c" else 8) and dtype.itemsize == 4:
        return array.astype(f"{kind.kind}{kind.itemsize // 2}")
    return array


def _plain(start: PointLike) -> bool:
    """Whether a start is a vector, or what a message is for, and no pytree of another shape."""
    return start is None or isinstance(start, str) or is_flat(start) or not jax.tree.leaves(start)


def _few(points: PyTree) -> str:
    points = points or ()
    shown = ", ".join(map(brief, points[:2]))
    return f"{shown}, … {len(points)} in all" if len(points) > 2 else shown
