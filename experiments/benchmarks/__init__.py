"""The benchmarks: the same descents by gdjax and by everything else, measured in one run."""
