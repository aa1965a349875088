"""What every implementation computes: which descents, from where, and what the answer is."""

from typing import Any, NamedTuple

import numpy as np

import gdjax
from gdjax._descent.trajectory import DType
from gdjax._util.errors import ArgumentError, unknown
from gdjax.objectives import Objective

MOMENTUM = 0.9
# Each below 3.8 over the largest curvature of the domain, so that no descent is lost at once.
LEARNING_RATE = {
    "sphere": 0.1, "qfsp": 0.1, "rosenbrock": 1e-5, "ackley": 0.02, "rastrigin": 0.002,
}  # fmt: skip
PERIODIC = ("qfsp", "ackley", "rastrigin")  # those with sines and cosines


class Workload(NamedTuple):
    """One objective, in one precision, keeping ``summary`` or ``path``."""

    name: str
    dim: int
    dtype: DType
    keep: str

    @property
    def label(self) -> str:
        """The objective with its dimension."""
        return f"{self.name} {self.dim}-D"

    @property
    def objective(self) -> Objective:
        """What is descended."""
        return gdjax.objectives.get(self.name, **self.options)

    @property
    def options(self) -> dict[str, int]:
        """What the objective is made with."""
        return {"dim": self.dim} if "dim" in gdjax.objectives.parameters(self.name) else {}

    @property
    def learning_rate(self) -> float:
        """The one that every implementation takes."""
        return LEARNING_RATE[self.name]

    @property
    def path_bytes(self) -> int:
        """Bytes that a start and a step add to a full path."""
        return (self.dim + 1) * np.dtype(self.dtype).itemsize

    def starts(self, number: int, first: int = 0) -> np.ndarray:
        """Uniform points of the domain, ``(number, d)``."""
        points = gdjax.starts.uniform(first + number).take(self.objective, first, first + number)
        return points.astype(self.dtype)


def parse(word: str, dtype: DType, keep: str) -> Workload:
    """``rosenbrock-10`` as a ``Workload``; without a number the objective's own dimension.

    Raises:
        ArgumentError: an objective that the benchmarks do not know.
    """
    name, _, dim = word.partition("-")
    if name not in LEARNING_RATE:
        raise unknown("workload", name, LEARNING_RATE)
    if dim and not dim.isdigit():
        raise ArgumentError(f"workload must be a name, or a name and a dimension, got {word!r}")
    found = Workload(name, int(dim or 0), dtype, keep)
    options = {"dim": found.dim} if dim else {}
    return found._replace(dim=gdjax.objectives.get(name, **options).dim)


# Written for NumPy and for PyTorch alike: xp is the module, x has its axes first, (d, …).


def _sphere(xp: Any, x: Any) -> Any:
    return (x * x).sum(0)


def _sphere_gradient(xp: Any, x: Any) -> Any:
    return 2 * x


def _qfsp(xp: Any, x: Any) -> Any:
    return x[0] ** 2 + x[1] ** 2 + 10 * xp.sin(x[0]) * xp.sin(x[1])


def _qfsp_gradient(xp: Any, x: Any) -> Any:
    s, c = xp.sin(x), xp.cos(x)
    return xp.stack([2 * x[0] + 10 * c[0] * s[1], 2 * x[1] + 10 * s[0] * c[1]])


def _rosenbrock(xp: Any, x: Any) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum(0)


def _rosenbrock_gradient(xp: Any, x: Any) -> Any:
    gap, gradient = x[1:] - x[:-1] ** 2, xp.zeros_like(x)
    gradient[:-1] = -400 * x[:-1] * gap - 2 * (1 - x[:-1])
    gradient[1:] += 200 * gap
    return gradient


def _ackley(xp: Any, x: Any) -> Any:
    radius, waves = xp.sqrt((x * x).mean(0)), xp.cos(2 * np.pi * x).mean(0)
    return -20 * xp.exp(-0.2 * radius) - xp.exp(waves) + 20 + np.e


def _ackley_gradient(xp: Any, x: Any) -> Any:
    radius, waves = xp.sqrt((x * x).mean(0)), xp.cos(2 * np.pi * x).mean(0)
    slope = 4 * xp.exp(-0.2 * radius) / radius
    return (slope * x + 2 * np.pi * xp.exp(waves) * xp.sin(2 * np.pi * x)) / len(x)


def _rastrigin(xp: Any, x: Any) -> Any:
    return 10 * len(x) + (x * x - 10 * xp.cos(2 * np.pi * x)).sum(0)


def _rastrigin_gradient(xp: Any, x: Any) -> Any:
    return 2 * x + 20 * np.pi * xp.sin(2 * np.pi * x)


VALUES = {
    "sphere": _sphere, "qfsp": _qfsp, "rosenbrock": _rosenbrock, "ackley": _ackley,
    "rastrigin": _rastrigin,
}  # fmt: skip
GRADIENTS = {
    "sphere": _sphere_gradient, "qfsp": _qfsp_gradient, "rosenbrock": _rosenbrock_gradient,
    "ackley": _ackley_gradient, "rastrigin": _rastrigin_gradient,
}  # fmt: skip


def reference(workload: Workload, starts: np.ndarray, steps: int) -> np.ndarray:
    """The last points, ``(n, d)``, in double precision."""
    x = starts.astype(float).T
    velocity, gradient = np.zeros_like(x), GRADIENTS[workload.name]
    for _ in range(steps):
        velocity = MOMENTUM * velocity - workload.learning_rate * gradient(np, x)
        x = x + velocity
    return x.T
