"""Names for types that several rooms share."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array

Function = Callable[..., Any]  # a person's own, or one whose arguments differ from use to use
PointFunction = Callable[[Array], Array]  # of a flat point ``(d,)``
