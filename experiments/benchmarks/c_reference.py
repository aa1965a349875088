"""The reference in C: the same descents in C, compiled on the spot for this processor."""

import ctypes
import functools
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gdjax._compiler import elementary
from gdjax._descent.cells import stride
from gdjax._descent.outcomes import DEFAULT_RULE
from gdjax.objectives import Objective

SOURCE = Path(__file__).with_name("c_reference.c")
# GCC takes half of the vector's width by default.
WIDE = {"x86_64": ("-mprefer-vector-width=512",)}.get(platform.machine(), ())
# Comparisons raise no floating-point traps and sqrt sets no errno: else nothing is vectorised.
FLAGS = ["-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros",
         "-fopenmp", "-shared", "-fPIC", "-w", *WIDE]  # fmt: skip
OBJECTIVES = ("sphere", "qfsp", "rosenbrock", "ackley", "rastrigin")
FIELDS = {
    "final_point": None, "final_value": None, "best_value": None, "steps_to_tolerance": np.int32,
    "steps": np.int32, "evaluations": np.int32, "outcome": np.int8, "minimum": np.int16,
}  # fmt: skip


class CReference(NamedTuple):
    """A compiled kernel: ``call(variant, starts, steps, ...)`` fills and returns a summary."""

    objective: Objective
    dtype: str
    library: ctypes.CDLL

    def __call__(
        self,
        variant: str,
        starts: np.ndarray,
        steps: int,
        learning_rate: float,
        momentum: float,
        threads: int,
        tolerance: float = 1e-4,
        stop: bool = True,
    ) -> dict[str, np.ndarray]:
        """Descend from every start, ``(n, d)``: variant ``sweep``, or ``bare`` without outcomes."""
        f, rule, n = self.objective, DEFAULT_RULE, len(starts)
        starts = np.ascontiguousarray(starts, self.dtype)
        out = {
            name: np.empty((n, f.dim) if name == "final_point" else n, kind or self.dtype)
            for name, kind in FIELDS.items()
            if variant == "sweep" or name in ("final_point", "final_value")
        }
        frame = [np.ascontiguousarray(a, self.dtype) for a in (f.center, f.width)]
        levels = rule.levels(f.minimum_values)
        frame += [np.ascontiguousarray(a, self.dtype) for a in (f.known_minima, levels)]
        real = ctypes.c_double if self.dtype == "float64" else ctypes.c_float
        within = -np.inf if f.fmin is None else f.fmin + tolerance
        numbers = [learning_rate, momentum, within]
        numbers += [rule.gradient, rule.step, rule.radius, rule.bound]

        class Task(ctypes.Structure):
            _fields_ = (
                [(f"number{i}", real) for i in range(len(numbers))]
                + [(f"frame{i}", ctypes.c_void_p) for i in range(len(frame))]
                + [("known", ctypes.c_int64), ("steps", ctypes.c_int32), ("stop", ctypes.c_int32)]
                + [("stride", ctypes.c_int32)]
            )

        task = Task(
            *numbers, *(a.ctypes.data for a in frame), len(f.known_minima), steps, stop,
            stride(steps, rule.every),
        )  # fmt: skip
        pointers = [out[name].ctypes.data if name in out else None for name in FIELDS]
        summary = (ctypes.c_void_p * len(FIELDS))(*pointers)
        function = getattr(self.library, variant)
        function(
            ctypes.c_void_p(starts.ctypes.data), ctypes.c_int64(n), ctypes.byref(task),
            ctypes.byref(summary), ctypes.c_int(threads),
        )  # fmt: skip
        return out


def missing(objective: str, dim: int) -> str:
    """Why there is no such kernel; empty if there is one."""
    if objective not in OBJECTIVES:
        return f"{objective} is not written in C"
    if dim > 16:
        return "the C kernel is unrolled over at most 16 dimensions"
    if compiler() is None:
        return "no C compiler (set CC)"
    return ""


@functools.cache
def compiler() -> str | None:
    """The system's C compiler, or the one that CC names."""
    return next(filter(None, map(shutil.which, (os.environ.get("CC", ""), "cc", "gcc", "clang"))),
                None)  # fmt: skip


def build(objective: Objective, dtype: str, extra: tuple[str, ...] = ()) -> CReference:
    """Compile the kernel of one objective.

    Raises:
        RuntimeError: the compiler refuses.
    """
    numbers = elementary._DOUBLE if dtype == "float64" else elementary._SINGLE
    names = ("half_pi", "ln2", "sine", "cosine", "exponential")
    tables = {name.upper(): _braced(getattr(numbers, name)) for name in names}
    defined = tables | {
        "MAGIC": repr(numbers.magic), "OBJECTIVE": objective.name, "DIM": objective.dim,
    }  # fmt: skip
    if dtype == "float64":
        defined["DOUBLE"] = 1
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "c_reference.so"
        words = [f"-D{name}={value}" for name, value in defined.items()]
        command = [compiler() or "cc", *FLAGS, *extra, *words, str(SOURCE), "-o", str(made), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[0])
        return CReference(objective, dtype, ctypes.CDLL(str(made)))


def _braced(values: Any) -> str:
    return "{" + ",".join(map(repr, values)) + "}"
