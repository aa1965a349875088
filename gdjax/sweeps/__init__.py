"""Sweeps: starts and hyperparameters, cut into chunks, computed by kernels."""
