"""The loop of a descent: its state, its steps, its end."""
