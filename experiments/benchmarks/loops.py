"""The loops for numba: explicit loops, one start after the other, spread over the cores."""

import math
from collections.abc import Callable
from typing import Any

import numba  # pyright: ignore[reportMissingImports]  # an extra
import numpy as np

from .workloads import Workload


def compiled(workload: Workload) -> Callable[..., None]:
    """(starts, steps, learning rate, momentum, …) → None; fills points, values and the path."""
    real = np.float64 if workload.dtype == "float64" else np.float32
    value, gradient = _functions(real)[workload.name]
    value = numba.njit(fastmath=True, inline="always")(value)
    gradient = numba.njit(fastmath=True, inline="always")(gradient)
    keep = workload.keep == "path"

    @numba.njit(parallel=True, fastmath=True)
    def run(starts, steps, learning_rate, momentum, points, values, path, path_values):
        for i in numba.prange(len(starts)):
            x = starts[i].copy()
            v, g = np.zeros_like(x), np.zeros_like(x)
            for k in range(steps):
                if keep:
                    path[i, k] = x
                    path_values[i, k] = value(x)
                gradient(x, g)
                for d in range(len(x)):
                    v[d] = momentum * v[d] - learning_rate * g[d]
                    x[d] += v[d]
            points[i] = x
            values[i] = value(x)
            if keep:
                path[i, steps] = x
                path_values[i, steps] = values[i]

    return run


def _functions(real: Any) -> dict[str, tuple[Callable, Callable]]:
    """Value and gradient of each objective; plain numbers would turn single precision to double."""
    one, two, ten = real(1), real(2), real(10)
    turn, hundred, fifth = real(2 * math.pi), real(100), real(0.2)

    def sphere(x):
        total = real(0)
        for d in range(len(x)):
            total += x[d] * x[d]
        return total

    def sphere_gradient(x, g):
        for d in range(len(x)):
            g[d] = two * x[d]

    def qfsp(x):
        return x[0] * x[0] + x[1] * x[1] + ten * np.sin(x[0]) * np.sin(x[1])

    def qfsp_gradient(x, g):
        g[0] = two * x[0] + ten * np.cos(x[0]) * np.sin(x[1])
        g[1] = two * x[1] + ten * np.sin(x[0]) * np.cos(x[1])

    def rosenbrock(x):
        total = real(0)
        for d in range(len(x) - 1):
            gap, off = x[d + 1] - x[d] * x[d], one - x[d]
            total += hundred * gap * gap + off * off
        return total

    def rosenbrock_gradient(x, g):
        carried = real(0)
        for d in range(len(x) - 1):
            gap = x[d + 1] - x[d] * x[d]
            g[d] = carried - two * two * hundred * x[d] * gap - two * (one - x[d])
            carried = two * hundred * gap
        g[len(x) - 1] = carried

    def ackley(x):
        square, waves, n = real(0), real(0), real(len(x))
        for d in range(len(x)):
            square += x[d] * x[d]
            waves += np.cos(turn * x[d])
        tip, pits = np.exp(-fifth * np.sqrt(square / n)), np.exp(waves / n)
        return two * ten * (one - tip) + real(math.e) - pits

    def ackley_gradient(x, g):
        square, waves, n = real(0), real(0), real(len(x))
        for d in range(len(x)):
            square += x[d] * x[d]
            waves += np.cos(turn * x[d])
        radius = np.sqrt(square / n)
        slope, pits = two * two * np.exp(-fifth * radius) / radius, turn * np.exp(waves / n)
        for d in range(len(x)):
            g[d] = (slope * x[d] + pits * np.sin(turn * x[d])) / n

    def rastrigin(x):
        total = ten * real(len(x))
        for d in range(len(x)):
            total += x[d] * x[d] - ten * np.cos(turn * x[d])
        return total

    def rastrigin_gradient(x, g):
        for d in range(len(x)):
            g[d] = two * x[d] + ten * turn * np.sin(turn * x[d])

    return {
        "sphere": (sphere, sphere_gradient),
        "qfsp": (qfsp, qfsp_gradient),
        "rosenbrock": (rosenbrock, rosenbrock_gradient),
        "ackley": (ackley, ackley_gradient),
        "rastrigin": (rastrigin, rastrigin_gradient),
    }
