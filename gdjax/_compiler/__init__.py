"""From traced JAX functions to straight-line programs over scalars."""
