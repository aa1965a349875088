"""Pictures: data in, matplotlib ``Figure`` out; nothing here runs a descent or opens a window."""

from gdjax.plotting.certificates import certificate
from gdjax.plotting.curves import convergence, curve
from gdjax.plotting.fields import gradient_field
from gdjax.plotting.paths import comparison, trajectory
from gdjax.plotting.style import save

__all__ = [
    "certificate",
    "comparison",
    "convergence",
    "curve",
    "gradient_field",
    "save",
    "trajectory",
]
