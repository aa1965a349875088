"""The kernel that LLVM compiles."""

from gdjax._kernels.llvm.kernel import Kernel as Kernel
