"""Names for types that several rooms share."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Array

PyTree: TypeAlias = Any  # whatever JAX takes for a tree; jaxtyping's own is unknown to checkers
PointLike: TypeAlias = PyTree  # a point as a person brings it: a vector, by names, or a tree
Flat: TypeAlias = np.ndarray | Array  # flat points, NumPy's or JAX's; traced ones are JAX's
Function: TypeAlias = Callable[..., Any]  # a person's own, or one with arguments of many kinds
PointFunction: TypeAlias = Callable[[Array], Array]  # of a flat point ``(d,)``
