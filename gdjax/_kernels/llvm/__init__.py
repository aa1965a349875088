"""A sweep as one native kernel, compiled with LLVM."""

from gdjax._kernels.llvm.kernel import Kernel as Kernel
