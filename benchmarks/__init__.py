"""Measurements of ours against the least that does the same: `python -m benchmarks`."""
