"""Results made by hand, whose numbers a test can know."""

import jax.numpy as jnp
import numpy as np
import xarray as xr

import gdjax
from gdjax.comparison.ranking import Ranking

NEVER = np.inf


def path(points, values, outcome, minimum):
    as_arrays = jnp.array(points, float), jnp.array(values, float)
    return gdjax.Trajectory(*as_arrays, jnp.asarray(outcome), jnp.asarray(minimum))


def ranking(known=(True, False), together=False, optimizers=("slow", "fast")):
    """Two objectives, in two and three dimensions; two seeds and three starts."""
    o = len(optimizers)
    costs = np.full((2, 2, 2, 3, 2), NEVER)
    costs[:, 0, :, :, 0], costs[:, 1, :, :, 0] = 8, 2  # to the first precision
    costs[0, 1, 1, :, 0], costs[1, 1, 0, 0, 0] = 4, NEVER
    costs[:, 1, :, :, 1] = 5
    best = np.arange(24.0).reshape(2, 2, 2, 3)
    return Ranking(
        objectives=("flat", "steep"), dims=np.array([2, 3]), fmin=np.array([0.0, -1.0]),
        known=np.array(known), optimizers=optimizers, budget=1000, tau=np.array([0.1, 0.01]),
        targets=np.array([0.5]), costs=costs[:, :o], runtimes=costs[:, :o, ..., :1],
        best=best[:, :o], stuck=best[:, :o] < 0, elsewhere=np.zeros(o, bool),
        at=np.array([1, 3, 1000]), gaps=np.zeros((2, o, 3, 3)),
        settings={"slow": {"learning_rate": np.array([[0.1, 0.2], [0.3, 0.4]])}, "fast": {}},
        tuning=np.array([[10, 20], [30, 40]])[:, :o], allotted=123456,
        functions=np.ones((2, o)), gradients=np.ones((2, o)),
        tuning_starts={"flat": np.zeros((2, 1, 2)), "steep": np.zeros((2, 1, 3))},
        held_out={"flat": np.full((3, 2), 7.0), "steep": np.full((3, 3), 8.0)},
        together=together,
    )  # fmt: skip


def sweep_of(outcome, minimum, first, taken, axes=None, **attrs):
    """The results of a sweep, by hand."""
    dims = ("start", *(axes or {}))
    shape = np.shape(outcome)
    coords = dict(axes or {})
    given = {
        "optimizer": "heavy_ball(learning_rate=0.1, momentum=0.9)", "dtype": "float32",
        "kernel": "llvm", "kernel_reason": "",
    }  # fmt: skip
    arrays = {
        "outcome": outcome,
        "minimum": minimum,
        "steps_to_tolerance": first,
        "evaluations": taken,
    }
    return xr.Dataset(
        {name: (dims, np.reshape(value, shape)) for name, value in arrays.items()},
        coords, given | attrs,
    )  # fmt: skip
