"""Comparing optimizers: their paths from one start, and a fair ranking over many."""
