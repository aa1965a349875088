"""What the commands do: plain Python objects in, written files and a summary out."""
