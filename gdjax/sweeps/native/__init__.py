"""A sweep as one native kernel, compiled with LLVM."""

from gdjax.sweeps.native.kernel import Kernel as Kernel
