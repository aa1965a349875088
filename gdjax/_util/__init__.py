"""What every room uses: errors, memory, signals, how results show themselves."""
