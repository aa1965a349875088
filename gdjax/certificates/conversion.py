"""Two momentum methods as filters: how a state of one is turned into one of the other, in words."""

from typing import NamedTuple

import numpy as np

from gdjax.certificates.filters import Filter


class Conversion(NamedTuple):
    """How a state of a is turned into one of b, at each step.

    Args:
        factor: b is a with its learning rate times this.
        memory: memory of b over that of a, ``(steps + 1,)``.
        carries: the step that one unit of memory makes, in a and, divided by ``factor``, in b,
            ``(2, steps + 1)``.
    """

    factor: float
    memory: np.ndarray
    carries: np.ndarray

    @classmethod
    def none(cls, steps: int) -> "Conversion":
        """That of two optimizers which are no filters: each keeps its own state."""
        return cls(1.0, np.ones(steps + 1), np.zeros((2, steps + 1)))

    @classmethod
    def between(cls, a: Filter, b: Filter) -> "Conversion":
        """Two states correspond if, without a gradient, they would make the same step."""
        smaller = np.minimum(abs(a.rate), abs(b.rate))
        fastest = smaller.argmax()  # the first rate may be 0, as in a warm-up
        factor = float(b.rate[fastest] / a.rate[fastest]) if smaller[fastest] else 1.0
        carries = np.stack([a.carry, b.carry / factor])
        with np.errstate(divide="ignore", invalid="ignore"):
            memory = np.where(carries[1] != 0, carries[0] / carries[1], 0.0)
            gains = b.gain / a.gain  # the same under a constant rate, and rounded less often
        # At a rate of 0 no memory makes a step, and yet it will be worth something later.
        silent = ~carries.any(axis=0) & np.isfinite(gains)
        memory = np.where(np.isclose(gains, memory, rtol=1e-9) | silent, gains, memory)
        return cls(factor, memory, carries)


def difference(a: Filter, b: Filter, convert: Conversion) -> str:
    """Why two filters are not one method."""
    parts = ~np.isclose(a.decay, b.decay)
    if parts.any():
        step = int(parts.argmax())
        since = f" from step {step + 1} on" * (step > 0)
        return f"a keeps {a.decay[step]:g} of its memory a step, b {b.decay[step]:g}{since}"
    odd = ~np.isclose(a.rate * convert.factor, b.rate, rtol=1e-9, atol=0)
    if odd.any():
        step = int(odd.argmax())
        rates = f"{-a.rate[step] * convert.factor:.8g} and {-b.rate[step]:.8g}"
        return f"the learning rates change differently: at step {step + 1} they are {rates}"
    if not np.allclose(convert.memory, convert.memory[0]):
        return f"the schedule changes what the past is worth: a remembers {a.memory}, b {b.memory}"
    return "they weigh a new gradient differently against the past"


def convention(a: Filter, b: Filter, factor: float, textbook: list[bool]) -> str:
    """The verdict on two filters that are one method: in which conventions."""
    notes = []
    if not np.isclose(factor, 1, rtol=1e-6):
        decay = float(a.decay[0])
        names = {"(1 − β)": 1 - decay, "1/(1 − β)": 1 / (1 - decay)} if decay else {}
        near = [name for name, value in names.items() if np.isclose(factor, value, rtol=1e-5)]
        notes.append(f"learning rate × {near[0] if near else f'{factor:g}'}")
    elif a.memory != b.memory and a.carry.any():
        notes.append(f"a remembers {a.memory}, b {b.memory}")
    if textbook[0] != textbook[1]:
        ahead, behind = "ba" if textbook[0] else "ab"
        notes.append(f"{ahead} visits the look-ahead points x + μ v of {behind}")
    return f"same method, other convention: {'; '.join(notes)}" if notes else "same method"
