"""Pictures: data in, matplotlib ``Figure`` out; nothing here runs a descent or opens a window."""

from gdjax.plotting.curves import convergence, curve, fit
from gdjax.plotting.fields import gradient_field
from gdjax.plotting.paths import comparison, trajectory
from gdjax.plotting.style import save

__all__ = ["comparison", "convergence", "curve", "fit", "gradient_field", "save", "trajectory"]
