"""How many descents run at once: with LLVM, Pallas or XLA."""
