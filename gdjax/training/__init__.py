"""Real training: losses over data, and what they look like along the way."""
