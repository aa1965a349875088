"""Sweeps: what is asked for, cut into chunks, and where they run."""
